//! The aftk bundle format: what is in it, how it is written and read.
//!
//! `SPEC.md` beside this crate's manifest is normative.

pub mod digest;
pub mod record;

pub use digest::{Algorithm, BlobKey, Digest, DigestError};
pub use record::{Artifact, File, Record, Ref, Repository, Requirement};

/// Proof that the reader has hashed a blob's bytes as it handed them out; only this crate can make one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct VerifiedBlob {
    key: BlobKey,
    size: u64,
}

impl VerifiedBlob {
    /// The blob's key.
    pub fn key(&self) -> BlobKey {
        self.key
    }

    /// Its size in bytes.
    pub fn size(&self) -> u64 {
        self.size
    }
}
