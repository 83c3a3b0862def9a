//! What clients are uploading: bytes that stay between the requests that bring them.
//!
//! An upload is known by a number that nobody can guess, and only to who began it, for the repository where it was begun:
//! else one client could finish, or read the progress of, what another one sends (CVE-2026-32589). It lives in this process;
//! a client that finds it gone begins again, as clients do anyway when a connection breaks.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use bundle_format::Algorithm;

use crate::clock;
use crate::ecosystem::host::{Resumed, Upload};
use crate::problem::{Kind, Problem};
use crate::store::BlobWrite;

/// The most uploads at once; each has a file open.
pub(super) const MOST: usize = 512;
/// How long an upload waits for its next request.
const KEPT: Duration = Duration::from_secs(60 * 60);

/// The uploads under way.
#[derive(Default)]
pub(super) struct Uploads(Mutex<HashMap<String, Entry>>);

struct Entry {
    /// Whose it is: repository and account.
    scope: String,
    /// What is computed of its bytes besides sha256.
    algorithms: Vec<Algorithm>,
    /// How many bytes it had when it was last put aside.
    length: u64,
    /// `None` while a request works on it.
    write: Option<Box<dyn BlobWrite>>,
    /// When it was last used.
    used: Instant,
}

impl Uploads {
    /// Begins an upload, which the caller holds until it puts it aside.
    pub(super) fn begin(
        &self,
        scope: String,
        algorithms: &[Algorithm],
        write: Box<dyn BlobWrite>,
    ) -> Result<Upload, Problem> {
        let id = identifier()?;
        let mut uploads = self.uploads();
        let now = clock::instant();
        uploads.retain(|_, entry| entry.write.is_none() || now.saturating_duration_since(entry.used) < KEPT);
        if uploads.len() >= MOST {
            let message = format!("{MOST} uploads are under way, and more are not taken at once");
            return Err(Problem::new(Kind::Unavailable, "http.uploads", message));
        }
        let algorithms = algorithms.to_vec();
        let length = write.length();
        let entry = Entry { scope, algorithms: algorithms.clone(), length, write: None, used: now };
        uploads.insert(id.clone(), entry);
        Ok(Upload { id, algorithms, write })
    }

    /// Takes an upload up again.
    pub(super) fn resume(&self, scope: &str, id: &str) -> Resumed {
        let mut uploads = self.uploads();
        let Some(entry) = uploads.get_mut(id).filter(|entry| entry.scope == scope) else {
            return Resumed::Unknown;
        };
        entry.used = clock::instant();
        match entry.write.take() {
            Some(write) => {
                let algorithms = entry.algorithms.clone();
                Resumed::Upload(Upload { id: id.to_owned(), algorithms, write })
            }
            None => Resumed::Busy,
        }
    }

    /// How many bytes an upload has, as of the last request that ended.
    pub(super) fn length(&self, scope: &str, id: &str) -> Option<u64> {
        let uploads = self.uploads();
        uploads.get(id).filter(|entry| entry.scope == scope).map(|entry| entry.length)
    }

    /// Puts an upload aside for the next request. One that was cancelled meanwhile is thrown away.
    pub(super) fn suspend(&self, upload: Upload) {
        if let Some(entry) = self.uploads().get_mut(&upload.id) {
            entry.length = upload.write.length();
            entry.write = Some(upload.write);
            entry.used = clock::instant();
        }
    }

    /// Throws an upload away that a request works on.
    pub(super) fn abandon(&self, upload: Upload) {
        self.uploads().remove(&upload.id);
    }

    /// Forgets an upload; says whether there was one.
    pub(super) fn forget(&self, scope: &str, id: &str) -> bool {
        let mut uploads = self.uploads();
        let is_there = uploads.get(id).is_some_and(|entry| entry.scope == scope);
        is_there && uploads.remove(id).is_some()
    }

    fn uploads(&self) -> MutexGuard<'_, HashMap<String, Entry>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A random UUID, as the distribution specification wants it in an upload's address.
fn identifier() -> Result<String, Problem> {
    let mut random = [0; 16];
    getrandom::fill(&mut random).map_err(|error| {
        Problem::new(Kind::Failed, "http.random", "no number for an upload could be made")
            .because(error.to_string())
    })?;
    Ok(uuid::Builder::from_random_bytes(random).into_uuid().to_string())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::{Blobs, MemoryBlobs};

    fn begin(uploads: &Uploads, scope: &str) -> Result<Upload, Problem> {
        uploads.begin(scope.to_owned(), &[], MemoryBlobs::default().begin(&[], true).unwrap())
    }

    #[test]
    fn an_upload_belongs_to_whoever_began_it() {
        let uploads = Uploads::default();
        let mut upload = begin(&uploads, "team/app ada").unwrap();
        let id = upload.id.clone();
        assert!(matches!(uploads.resume("team/app ada", &id), Resumed::Busy));
        upload.write.write(b"12345").unwrap();
        uploads.suspend(upload);
        for other in ["team/app eve", "team/other ada", ""] {
            assert!(matches!(uploads.resume(other, &id), Resumed::Unknown), "{other}");
            assert_eq!(uploads.length(other, &id), None);
            assert!(!uploads.forget(other, &id));
        }
        assert_eq!(uploads.length("team/app ada", &id), Some(5));
        let Resumed::Upload(upload) = uploads.resume("team/app ada", &id) else { panic!("it is there") };
        assert_eq!(upload.write.length(), 5);
        assert!(uploads.forget("team/app ada", &id), "also while a request works on it");
        uploads.suspend(upload);
        assert!(matches!(uploads.resume("team/app ada", &id), Resumed::Unknown));
    }

    #[test]
    fn there_are_only_so_many() {
        let uploads = Uploads::default();
        for _ in 0..MOST {
            let upload = begin(&uploads, "a").unwrap();
            uploads.suspend(upload);
        }
        assert_eq!(begin(&uploads, "a").unwrap_err().kind, Kind::Unavailable);
    }
}
