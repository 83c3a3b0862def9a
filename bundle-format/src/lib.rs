//! The aftk bundle format: what is in it, how it is written and read.
//!
//! `SPEC.md` beside this crate's manifest is normative. The crate is synchronous and knows no ecosystem, no
//! network, no database and no keys: whoever uses it hands it a [`Verifier`] and [`Signer`]s.
//!
//! - [`canonical`], [`digest`], [`document`]: how things are spelled
//! - [`snapshot`], [`record`], [`segment`], [`ledger`]: what a channel holds
//! - [`packing`], [`plan`], [`recipe`], [`names`]: how it travels
//! - [`signature`]: what is signed, and the seams to whoever holds keys
//! - [`writer`], [`reader`], [`verify`]: volumes
//! - [`body`], [`recovery`]: what damage is mended with

#![forbid(unsafe_code)]
// A test says what it expects by failing.
#![cfg_attr(test, allow(clippy::unwrap_used))]

pub mod body;
pub mod canonical;
mod contents;
pub mod digest;
pub mod document;
pub mod error;
pub mod head;
mod input;
pub mod ledger;
pub mod limits;
pub mod names;
pub mod packing;
pub mod plan;
pub mod reader;
pub mod recipe;
pub mod record;
pub mod recovery;
pub mod segment;
pub mod signature;
pub mod snapshot;
mod tar;
pub mod verify;
mod whole_hash;
pub mod writer;

pub use body::{Body, ReadAt};
pub use canonical::CanonicalError;
pub use digest::{Algorithm, BlobHasher, BlobKey, Digest, DigestError};
pub use document::Format;
pub use error::{Damage, FormatError, Place, Unsupported, Untrusted};
pub use head::Head;
pub use ledger::{Ledger, LedgerEntry, LedgerError, Standing};
pub use names::{file_name, recovery_name, spare_name};
pub use packing::{PackingList, Volume};
pub use plan::{BundlePlan, Cutter, PlanError, Source, VolumePlan};
pub use reader::{Verified, VerifiedBlob, VolumeReader};
pub use recipe::{Piece, Recipe};
pub use record::{Artifact, File, Record, Ref, Repository, Requirement};
pub use recovery::Recovery;
pub use segment::{
    Line, RecipeReader, RecipeWriter, RecordOrder, SegmentError, SegmentReader, SegmentWriter,
};
pub use signature::{PayloadType, SignError, SignatureLine, Signer, Verifier};
pub use snapshot::{Mode, SegmentRef, Snapshot};
pub use verify::verify_volume;
pub use writer::{Documents, DocumentsError, WriteError, Written, write_volume};
