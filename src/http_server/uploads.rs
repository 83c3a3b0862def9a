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
/// The most that one account has of them: no client brings more than a few blobs at once, but several may share it.
const MOST_OF_ONE: usize = 128;
/// How long an upload waits for its next request …
const KEPT: Duration = Duration::from_secs(60 * 60);
/// … and how long, if it stands in the way of another one: many clients begin again rather than go on.
const KEPT_IN_THE_WAY: Duration = Duration::from_secs(60);

/// The uploads under way.
#[derive(Default)]
pub(super) struct Uploads(Mutex<HashMap<String, Entry>>);

/// Whose an upload is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Whose {
    /// The repository that takes it in, with its ecosystem: its quota counts all that are on their way to it.
    pub(super) repository: String,
    /// What in that it is for.
    pub(super) scope: String,
    /// The account that began it.
    pub(super) account: String,
}

struct Entry {
    whose: Whose,
    /// What is computed of its bytes besides sha256.
    algorithms: Vec<Algorithm>,
    /// How many bytes it has.
    length: u64,
    /// `None` while a request works on it.
    write: Option<Box<dyn BlobWrite>>,
    /// When it was last used.
    used: Instant,
}

impl Uploads {
    /// Begins an upload, which the caller holds until it puts it aside.
    ///
    /// # Errors
    /// Unavailable, if there are too many, or too many of this account.
    pub(super) fn begin(
        &self,
        whose: Whose,
        algorithms: &[Algorithm],
        write: Box<dyn BlobWrite>,
    ) -> Result<Upload, Problem> {
        let id = identifier()?;
        let mut uploads = self.uploads();
        let now = clock::instant();
        uploads.retain(|_, entry| !entry.is_idle(now, KEPT));
        let is_of_account = |entry: &Entry| entry.whose.account == whose.account;
        let of_account =
            |uploads: &HashMap<_, _>| uploads.values().filter(|entry| is_of_account(entry)).count();
        if of_account(&uploads) >= MOST_OF_ONE {
            uploads.retain(|_, entry| !is_of_account(entry) || !entry.is_idle(now, KEPT_IN_THE_WAY));
        }
        let too_many = |message| Err(Problem::new(Kind::Unavailable, "http.uploads", message));
        if of_account(&uploads) >= MOST_OF_ONE {
            return too_many(format!("{MOST_OF_ONE} uploads of this account are under way already"));
        }
        if uploads.len() >= MOST {
            return too_many(format!("{MOST} uploads are under way, and more are not taken at once"));
        }
        let algorithms = algorithms.to_vec();
        let length = write.length();
        let entry = Entry { whose, algorithms: algorithms.clone(), length, write: None, used: now };
        uploads.insert(id.clone(), entry);
        Ok(Upload { id, algorithms, write })
    }

    /// Takes an upload up again.
    pub(super) fn resume(&self, whose: &Whose, id: &str) -> Resumed {
        let mut uploads = self.uploads();
        let Some(entry) = uploads.get_mut(id).filter(|entry| entry.whose == *whose) else {
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

    /// How many bytes an upload has.
    pub(super) fn length(&self, whose: &Whose, id: &str) -> Option<u64> {
        let uploads = self.uploads();
        uploads.get(id).filter(|entry| entry.whose == *whose).map(|entry| entry.length)
    }

    /// Puts an upload aside for the next request. One that was cancelled meanwhile is thrown away.
    pub(super) fn suspend(&self, upload: Upload) {
        if let Some(entry) = self.uploads().get_mut(&upload.id) {
            entry.length = upload.write.length();
            entry.write = Some(upload.write);
            entry.used = clock::instant();
        }
    }

    /// How many bytes are on their way into a repository.
    pub(super) fn bytes(&self, repository: &str) -> u64 {
        let uploads = self.uploads();
        let into = uploads.values().filter(|entry| entry.whose.repository == repository);
        into.map(|entry| entry.length).sum()
    }

    /// How many bytes other uploads bring into the repository of this one, which has so many by now.
    pub(super) fn beside(&self, id: &str, length: u64) -> u64 {
        let mut uploads = self.uploads();
        let Some(entry) = uploads.get_mut(id) else { return 0 };
        entry.length = length;
        let repository = entry.whose.repository.clone();
        let others =
            uploads.iter().filter(|(other, entry)| *other != id && entry.whose.repository == repository);
        others.map(|(_, entry)| entry.length).sum()
    }

    /// Throws away what waits in the same repository for a request that may never come.
    pub(super) fn clear_the_way(&self, id: &str) {
        let mut uploads = self.uploads();
        let Some(repository) = uploads.get(id).map(|entry| entry.whose.repository.clone()) else { return };
        let now = clock::instant();
        uploads
            .retain(|_, entry| entry.whose.repository != repository || !entry.is_idle(now, KEPT_IN_THE_WAY));
    }

    /// Throws an upload away that a request works on.
    pub(super) fn abandon(&self, upload: Upload) {
        self.uploads().remove(&upload.id);
    }

    /// Forgets an upload; says whether there was one.
    pub(super) fn forget(&self, whose: &Whose, id: &str) -> bool {
        let mut uploads = self.uploads();
        let is_there = uploads.get(id).is_some_and(|entry| entry.whose == *whose);
        is_there && uploads.remove(id).is_some()
    }

    fn uploads(&self) -> MutexGuard<'_, HashMap<String, Entry>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Entry {
    /// Whether no request has worked on it for so long.
    fn is_idle(&self, now: Instant, long: Duration) -> bool {
        self.write.is_some() && now.saturating_duration_since(self.used) >= long
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

    fn whose(scope: &str, account: &str) -> Whose {
        Whose { repository: "oci team".into(), scope: scope.into(), account: account.into() }
    }

    fn begin(uploads: &Uploads, whose: &Whose) -> Result<Upload, Problem> {
        uploads.begin(whose.clone(), &[], MemoryBlobs::default().begin(&[], true).unwrap())
    }

    #[test]
    fn an_upload_belongs_to_whoever_began_it() {
        let uploads = Uploads::default();
        let ada = whose("team/app", "ada");
        let mut upload = begin(&uploads, &ada).unwrap();
        let id = upload.id.clone();
        assert!(matches!(uploads.resume(&ada, &id), Resumed::Busy));
        upload.write.write(b"12345").unwrap();
        uploads.suspend(upload);
        for other in [whose("team/app", "eve"), whose("team/other", "ada"), whose("", "")] {
            assert!(matches!(uploads.resume(&other, &id), Resumed::Unknown), "{other:?}");
            assert_eq!(uploads.length(&other, &id), None);
            assert!(!uploads.forget(&other, &id));
        }
        assert_eq!(uploads.length(&ada, &id), Some(5));
        let Resumed::Upload(upload) = uploads.resume(&ada, &id) else { panic!("it is there") };
        assert_eq!(upload.write.length(), 5);
        assert!(uploads.forget(&ada, &id), "also while a request works on it");
        uploads.suspend(upload);
        assert!(matches!(uploads.resume(&ada, &id), Resumed::Unknown));
    }

    #[test]
    fn there_are_only_so_many_and_of_each_account() {
        let uploads = Uploads::default();
        for account in 0..MOST / MOST_OF_ONE {
            let whose = whose("team/app", &account.to_string());
            for _ in 0..MOST_OF_ONE {
                let upload = begin(&uploads, &whose).unwrap();
                uploads.suspend(upload);
            }
            let refused = begin(&uploads, &whose).unwrap_err();
            assert!(refused.kind == Kind::Unavailable && refused.message.contains("of this account"));
        }
        let refused = begin(&uploads, &whose("team/app", "one more")).unwrap_err();
        assert!(refused.kind == Kind::Unavailable && refused.message.starts_with("512 uploads"));
    }

    #[test]
    fn what_is_on_its_way_into_a_repository_is_counted_together() {
        let uploads = Uploads::default();
        let elsewhere = Whose { repository: "oci other".into(), ..whose("team/app", "ada") };
        let [first, second, third] = [whose("team/app", "ada"), whose("team/b", "eve"), elsewhere]
            .map(|whose| begin(&uploads, &whose).unwrap());
        assert_eq!(uploads.beside(&first.id, 5), 0);
        assert_eq!(uploads.beside(&second.id, 7), 5);
        assert_eq!(uploads.beside(&third.id, 100), 0);
        assert_eq!((uploads.bytes("oci team"), uploads.bytes("oci other")), (12, 100));
        uploads.abandon(first);
        assert_eq!(uploads.bytes("oci team"), 7);
    }
}
