//! The aftk bundle format: what is in it, how it is written and read.
//!
//! `SPEC.md` beside this crate's manifest is normative.

pub mod digest;
pub mod record;

pub use digest::{Algorithm, BlobKey, Digest, DigestError};
pub use record::{Artifact, File, Record, Ref, Repository, Requirement};
