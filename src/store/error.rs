//! What can go wrong in the store, and how it reads outside of it.

use std::path::{Path, PathBuf};

use bundle_format::{Algorithm, BlobKey, Digest};

use crate::problem::{Kind, Problem};

/// The code of a [`StoreError::Damaged`].
pub const CATALOGUE_DAMAGED: &str = "store.catalogue-damaged";

/// The code of a [`StoreError::Lost`].
pub const CATALOGUE_LOST: &str = "store.catalogue-lost";

/// What helps when the catalogue is lost or damaged.
pub const RESTORE_CATALOGUE: &str =
    "`aftk check --rebuild` makes it again from what was imported, once no other aftk uses this home";

/// An error of the store. Clients of the server never see one as it is.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StoreError {
    /// A file could not be read or written.
    #[error("{what}")]
    Io {
        /// What was being done, with the path.
        what: String,
        /// Why it failed.
        #[source]
        source: std::io::Error,
    },
    /// The bytes are not what was expected.
    #[error("expected {expected}, but the bytes are {found}")]
    Mismatch {
        /// The digest that was expected.
        expected: Digest,
        /// The digest of what came.
        found: Digest,
    },
    /// The size is not what was expected.
    #[error("expected {expected} bytes, but there are {found}")]
    Size {
        /// What was expected.
        expected: u64,
        /// What came.
        found: u64,
    },
    /// A blob that must be held isn't.
    #[error("blob {0} is not in the store")]
    Missing(BlobKey),
    /// Another process works on the same thing.
    #[error("{0} is in use by another process")]
    Busy(String),
    /// The database says no.
    #[error("the catalogue failed: {0}")]
    Catalogue(String),
    /// The catalogue is none, or not as we wrote it.
    #[error("the catalogue is damaged: {0}")]
    Damaged(String),
    /// A store was made here, and its catalogue is gone or empty: all that blobs are for, and all sequence marks.
    #[error("the store's catalogue is lost: without it nobody can tell what the blobs are for")]
    Lost,
    /// There is no store in this home.
    #[error("there is no store in {}", .0.display())]
    Absent(PathBuf),
    /// The store was written by a newer version.
    #[error("the store has schema {found}, and this version knows up to {known}")]
    Newer {
        /// The store's.
        found: u32,
        /// Ours.
        known: u32,
    },
    /// What a change set relied on is no longer so.
    #[error("the channel moved on while this was prepared")]
    Precondition,
    /// The place is no good for a store.
    #[error("{0}")]
    Unsuitable(String),
    /// The store does not compute checksums of this algorithm.
    #[error("{} checksums cannot be checked", .0.name())]
    Unsupported(Algorithm),
    /// A call that the room's rules forbid: a mistake of ours, not of people or files.
    #[error("the store was used wrongly: {0}")]
    Misuse(&'static str),
}

/// An [`StoreError::Io`] about a path: `what` is like "cannot write".
pub(super) fn io_error(what: &str, path: &Path, source: std::io::Error) -> StoreError {
    StoreError::Io { what: format!("{what} {}", path.display()), source }
}

impl From<StoreError> for Problem {
    fn from(error: StoreError) -> Problem {
        let (kind, code, hint) = match &error {
            StoreError::Io { source, .. } if source.kind() == std::io::ErrorKind::StorageFull => (
                Kind::Failed,
                "store.full",
                "free some space, then run the same command again: it goes on where it was",
            ),
            StoreError::Io { .. } => (Kind::Failed, "store.io", ""),
            StoreError::Mismatch { .. } => (Kind::Untrusted, "store.digest-mismatch", ""),
            StoreError::Size { .. } => (Kind::Untrusted, "store.size-mismatch", ""),
            StoreError::Missing(_) => {
                (Kind::Incomplete, "store.missing-blob", "run `aftk check`, then collect or import again")
            }
            StoreError::Busy(_) => {
                (Kind::Refused, "store.busy", "wait for the other process to end, then try again")
            }
            StoreError::Catalogue(_) => (
                Kind::Failed,
                "store.catalogue",
                "look whether the disk is sound and HOME/store can be written",
            ),
            StoreError::Damaged(_) => (Kind::Untrusted, CATALOGUE_DAMAGED, RESTORE_CATALOGUE),
            StoreError::Lost => (Kind::Untrusted, CATALOGUE_LOST, RESTORE_CATALOGUE),
            StoreError::Absent(_) => (
                Kind::Usage,
                "store.missing",
                "`aftk import PATH` or `aftk collect` makes one; name another home with --home DIR",
            ),
            StoreError::Newer { .. } => {
                (Kind::Usage, "store.newer", "use the version of aftk that wrote it, or a newer one")
            }
            StoreError::Precondition => (Kind::Refused, "store.precondition", "run the same command again"),
            StoreError::Unsuitable(_) => {
                (Kind::Usage, "store.unsuitable", "choose a directory on a local disk with --home")
            }
            StoreError::Unsupported(_) => (Kind::Failed, "store.algorithm", ""),
            StoreError::Misuse(_) => (Kind::Failed, "internal.store", ""),
        };
        let problem = Problem::new(kind, code, error.to_string());
        let problem = match &error {
            StoreError::Io { source, .. } => problem.because(source.to_string()),
            _ => problem,
        };
        if hint.is_empty() { problem } else { problem.hint(hint) }
    }
}
