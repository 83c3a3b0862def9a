//! What all requests share: the store, what is derived from it, and who counts.

use std::os::unix::fs::FileExt as _;
use std::sync::{Arc, Mutex, PoisonError};

use bundle_format::{BlobKey, Repository};
use bytes::Bytes;

use super::access_log::AccessLog;
use super::answers::Answers;
use super::documents::Documents;
use super::metrics::Metrics;
use super::misses::Misses;
use super::uploads::Uploads;
use super::warnings::Warnings;
use crate::access::Hosted;
use crate::problem::{Kind, Problem};
use crate::store::{BlobFile, Blobs, Catalogue, Revision};

/// What all requests share.
pub(super) struct Site {
    pub(super) blobs: Arc<dyn Blobs>,
    pub(super) catalogue: Arc<dyn Catalogue>,
    pub(super) documents: Documents,
    pub(super) answers: Answers,
    pub(super) misses: Misses,
    pub(super) metrics: Metrics,
    pub(super) log: Option<AccessLog>,
    pub(super) warnings: Warnings,
    pub(super) hosted: Vec<Hosted>,
    pub(super) uploads: Uploads,
    /// Held between what a client's write is based on and its commit.
    pub(super) writing: Mutex<()>,
    pub(super) repositories: Mutex<Option<(Revision, Arc<Vec<Repository>>)>>,
}

impl std::fmt::Debug for Site {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Site")
    }
}

impl Site {
    /// Opens a blob that must be there.
    pub(super) fn open(&self, key: &BlobKey) -> Result<BlobFile, Problem> {
        self.blobs.open(key)?.ok_or_else(|| crate::store::StoreError::Missing(*key).into())
    }

    /// Opens a blob that must be there and have this size.
    pub(super) fn open_sized(&self, key: &BlobKey, size: u64) -> Result<BlobFile, Problem> {
        let blob = self.open(key)?;
        if blob.length != size {
            let message = format!("blob {key} has {} bytes instead of {size}", blob.length);
            return Err(Problem::new(Kind::Failed, "store.wrong-size", message));
        }
        Ok(blob)
    }

    /// All bytes of an open blob that is small enough for memory.
    pub(super) fn read(key: &BlobKey, blob: &BlobFile) -> Result<Bytes, Problem> {
        let mut bytes = vec![0; usize::try_from(blob.length).unwrap_or(0)];
        blob.file.read_exact_at(&mut bytes, 0).map_err(|error| {
            Problem::new(Kind::Failed, "store.io", format!("blob {key} could not be read")).caused_by(&error)
        })?;
        Ok(Bytes::from(bytes))
    }

    /// The repositories at a revision.
    pub(super) fn repositories(&self, revision: Revision) -> Result<Arc<Vec<Repository>>, Problem> {
        let known = self.repositories.lock().unwrap_or_else(PoisonError::into_inner).clone();
        if let Some((at, repositories)) = known
            && at == revision
        {
            return Ok(repositories);
        }
        let repositories = Arc::new(self.catalogue.repositories()?);
        *self.repositories.lock().unwrap_or_else(PoisonError::into_inner) =
            Some((revision, Arc::clone(&repositories)));
        Ok(repositories)
    }
}
