//! What a handler that writes can do: uploads, blobs, and the commit of what they become.

use std::fs::File;
use std::sync::atomic::Ordering;
use std::sync::{MutexGuard, PoisonError};

use bundle_format::{Algorithm, BlobKey, Digest};
use bytes::Bytes;

use super::context::Context;
use super::uploads::Whose;
use crate::access::Hosted;
use crate::clock;
use crate::ecosystem::Principal;
use crate::ecosystem::host::{HostContext, Resumed, Upload};
use crate::problem::Problem;
use crate::store::{self, AuditEntry, Change, ChangeSet, Expected, Precondition, Staged, StoreError};

/// How long a blob that was taken in is kept for the commit that follows at once, in seconds.
const CLAIMED: u64 = 15 * 60;
/// What is left on the disk for the catalogue, in bytes: a store that is full can still be cleared.
const RESERVE: u64 = 64 * 1024 * 1024;

impl Context<'_> {
    /// Whose an upload is: nobody else finds it.
    fn whose(&self, hosted: &Hosted, scope: &str) -> Whose {
        let account = match self.principal {
            Principal::Anonymous => "anonymous".to_owned(),
            Principal::Account(name) => format!("account {name}"),
        };
        Whose { repository: repository(hosted), scope: scope.to_owned(), account }
    }

    /// Makes staged bytes a blob, which gc leaves alone until this request is answered.
    fn settle(&self, staged: Box<dyn Staged>) -> Result<BlobKey, Problem> {
        let key = staged.key();
        self.claim(&[key])?;
        self.site.blobs.settle(vec![staged])?;
        Ok(key)
    }

    fn claim(&self, keys: &[BlobKey]) -> Result<(), Problem> {
        let catalogue = &self.site.catalogue;
        let mut claims = self.claims.lock().unwrap_or_else(PoisonError::into_inner);
        let session = match *claims {
            Some(session) => session,
            None => *claims.insert(catalogue.open_session(CLAIMED)?),
        };
        Ok(catalogue.claim(session, keys)?)
    }
}

/// By what uploads into a repository are counted.
fn repository(hosted: &Hosted) -> String {
    format!("{} {}", hosted.ecosystem, hosted.name)
}

impl Drop for Context<'_> {
    fn drop(&mut self) {
        let claims = self.claims.get_mut().unwrap_or_else(PoisonError::into_inner);
        if let Some(session) = claims.take() {
            // What cannot be closed now ends by itself.
            let _ = self.site.catalogue.close_session(session);
        }
    }
}

impl HostContext for Context<'_> {
    fn begin_upload(
        &self,
        hosted: &Hosted,
        scope: &str,
        algorithms: &[Algorithm],
    ) -> Result<Upload, Problem> {
        let write = self.site.blobs.begin(algorithms, true)?;
        self.site.uploads.begin(self.whose(hosted, scope), algorithms, write)
    }

    fn resume_upload(&self, hosted: &Hosted, scope: &str, id: &str) -> Resumed {
        self.site.uploads.resume(&self.whose(hosted, scope), id)
    }

    fn upload_length(&self, hosted: &Hosted, scope: &str, id: &str) -> Option<u64> {
        self.site.uploads.length(&self.whose(hosted, scope), id)
    }

    fn suspend_upload(&self, upload: Upload) {
        self.site.uploads.suspend(upload);
    }

    fn cancel_upload(&self, hosted: &Hosted, scope: &str, id: &str) -> bool {
        self.site.uploads.forget(&self.whose(hosted, scope), id)
    }

    fn finish_upload(
        &self,
        (hosted, scope): (&Hosted, &str),
        upload: Upload,
        digests: &[Digest],
    ) -> Result<Option<(BlobKey, u64)>, Problem> {
        self.site.uploads.forget(&self.whose(hosted, scope), &upload.id);
        let is_computed = |digest: &Digest| {
            digest.algorithm() == Algorithm::Sha256 || upload.algorithms.contains(&digest.algorithm())
        };
        let (checksums, others): (Vec<_>, Vec<_>) = digests.iter().cloned().partition(is_computed);
        let size = upload.write.length();
        let staged = match upload.write.stage(&Expected { checksums, ..Expected::default() }) {
            Ok(staged) => staged,
            Err(StoreError::Mismatch { .. }) => return Ok(None),
            Err(error) => return Err(error.into()),
        };
        let key = self.settle(staged)?;
        // The client says only now what it wants to be computed. If it comes to something else, the blob is garbage.
        for digest in &others {
            if !store::reads_as(self.site.open_sized(&key, size)?.file, digest)? {
                return Ok(None);
            }
        }
        Ok(Some((key, size)))
    }

    fn take_in(&self, bytes: &Bytes) -> Result<BlobKey, Problem> {
        let mut write = self.site.blobs.begin(&[], true)?;
        write.write(bytes)?;
        self.settle(write.stage(&Expected::default())?)
    }

    fn open(&self, key: &BlobKey) -> Result<File, Problem> {
        Ok(self.site.open(key)?.file)
    }

    fn hold(&self, keys: &[BlobKey]) -> Result<bool, Problem> {
        self.claim(keys)?;
        for key in keys {
            if self.site.blobs.size(key)?.is_none() {
                return Ok(false);
            }
        }
        Ok(true)
    }

    fn blob_of(&self, key: Option<&BlobKey>, label: &str) -> Result<Option<(BlobKey, u64)>, Problem> {
        Ok(self.site.catalogue.blob_of(self.ecosystem, key, label)?)
    }

    fn room(&self, hosted: &Hosted) -> Result<u64, Problem> {
        let left = match hosted.quota {
            Some(quota) => quota
                .saturating_sub(self.site.catalogue.hosted_size(&hosted.ecosystem, &hosted.name)?)
                .saturating_sub(self.site.uploads.bytes(&repository(hosted))),
            None => u64::MAX,
        };
        let free = self.site.blobs.free_space()?.unwrap_or(u64::MAX);
        Ok(left.min(free.saturating_sub(RESERVE)))
    }

    fn room_for(&self, hosted: &Hosted, blob: &BlobKey) -> Result<u64, Problem> {
        match self.site.catalogue.hosted_has(&hosted.ecosystem, &hosted.name, blob)? {
            true => Ok(u64::MAX),
            false => self.room(hosted),
        }
    }

    fn alone(&self) -> Result<MutexGuard<'_, ()>, Problem> {
        let alone = self.site.writing.lock().unwrap_or_else(PoisonError::into_inner);
        // Others may have committed since the request came in; what is derived must be of now.
        self.revision.store(self.site.catalogue.revision()?.0, Ordering::Relaxed);
        Ok(alone)
    }

    fn commit(&self, mut changes: Vec<Change>, action: &str, about: &[(&str, &str)]) -> Result<(), Problem> {
        if !action.is_empty() {
            let account = match self.principal {
                Principal::Account(name) => name,
                Principal::Anonymous => "",
            };
            let subject = about.iter().copied().chain([("account", account)]);
            let subject = subject.map(|(key, value)| (key.to_owned(), value.to_owned())).collect();
            changes.push(Change::Audit(AuditEntry {
                time: clock::now_text(),
                action: action.to_owned(),
                subject,
            }));
        }
        self.site.catalogue.commit(&ChangeSet { changes }, &Precondition::None)?;
        self.site.answers.doubt();
        Ok(())
    }
}
