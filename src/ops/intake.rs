//! Taking blobs into the store in groups: one flush to the disk for many small files.

use std::collections::BTreeSet;
use std::sync::{Condvar, Mutex, PoisonError};

use bundle_format::{BlobKey, Digest};

use crate::problem::Problem;
use crate::store::{CachedAnswer, SessionId, Staged, Store};

/// A group is settled when it has so many blobs …
const GROUP_BLOBS: usize = 1024;
/// … or so many bytes. Few enough that the disk is busy while the next group is made.
const GROUP_BYTES: u64 = 32 * 1024 * 1024;
/// Claims outlive a process that was killed by so long; a living one renews them with every group.
const SESSION_SECONDS: u64 = 24 * 60 * 60;

/// Collects staged blobs and settles them in groups. What it took is claimed, so that gc leaves it alone until a
/// commit refers to it; the claims end when it is dropped, whether the work was done or failed.
pub struct Intake {
    store: Store,
    session: SessionId,
    /// Whether the session ends with it.
    owns: bool,
    group: Mutex<Group>,
    settled: Condvar,
    group_blobs: usize,
}

#[derive(Default)]
struct Group {
    staged: Vec<Box<dyn Staged>>,
    bytes: u64,
    answers: Vec<(String, CachedAnswer)>,
    /// The numbers of the groups that are being settled.
    settling: BTreeSet<u64>,
    /// The number of the next one.
    next: u64,
}

/// A group that is settled by whoever has taken it out.
struct Taken {
    number: u64,
    staged: Vec<Box<dyn Staged>>,
    answers: Vec<(String, CachedAnswer)>,
}

/// The settling of a group, which ends however it ends.
struct Settling<'a> {
    intake: &'a Intake,
    number: u64,
}

impl Drop for Settling<'_> {
    fn drop(&mut self) {
        self.intake.group.lock().unwrap_or_else(PoisonError::into_inner).settling.remove(&self.number);
        self.intake.settled.notify_all();
    }
}

impl Group {
    fn take(&mut self) -> Taken {
        let number = self.next;
        self.next += 1;
        self.settling.insert(number);
        self.bytes = 0;
        Taken { number, staged: std::mem::take(&mut self.staged), answers: std::mem::take(&mut self.answers) }
    }
}

impl Intake {
    /// An intake with a session of its own.
    pub fn new(store: &Store) -> Result<Intake, Problem> {
        let session = store.catalogue.open_session(SESSION_SECONDS)?;
        let mut intake = Intake::into(store, session);
        intake.owns = true;
        Ok(intake)
    }

    /// An intake whose claims go into a session that outlives it.
    pub(super) fn into(store: &Store, session: SessionId) -> Intake {
        let (store, group) = (store.clone(), Mutex::default());
        Intake { store, session, owns: false, group, settled: Condvar::new(), group_blobs: GROUP_BLOBS }
    }

    /// The same, settling after so many blobs: fewer are lost when the process dies.
    #[must_use]
    pub fn every(mut self, blobs: usize) -> Intake {
        self.group_blobs = blobs.max(1);
        self
    }

    /// Takes a staged blob, and what is to be kept in the cache of answers with it. Blocks now and then.
    pub fn take(
        &self,
        staged: Box<dyn Staged>,
        answer: Option<(String, CachedAnswer)>,
    ) -> Result<BlobKey, Problem> {
        let key = staged.key();
        let full = {
            let mut group = self.group.lock().unwrap_or_else(PoisonError::into_inner);
            group.bytes += staged.size();
            group.staged.push(staged);
            group.answers.extend(answer);
            (group.staged.len() >= self.group_blobs || group.bytes >= GROUP_BYTES).then(|| group.take())
        };
        if let Some(group) = full {
            self.settle(group)?;
        }
        Ok(key)
    }

    /// Keeps a small document.
    pub fn keep(&self, bytes: &[u8], answer: Option<(String, CachedAnswer)>) -> Result<BlobKey, Problem> {
        let key = BlobKey::of(bytes);
        if self.hold(&key, bytes.len() as u64)? {
            self.store.catalogue.cache(answer.as_slice())?;
            return Ok(key);
        }
        let mut write = self.store.blobs.begin(&[], true)?;
        write.write(bytes)?;
        let expected = crate::store::Expected { key: Some(key), ..Default::default() };
        self.take(write.stage(&expected)?, answer)
    }

    /// The blob that was taken in with a digest of another algorithm, if one was; it may be gone by now.
    pub fn known_as(&self, digest: &Digest) -> Result<Option<BlobKey>, Problem> {
        let name = digest_name(digest);
        let waiting = {
            let group = self.group.lock().unwrap_or_else(PoisonError::into_inner);
            group.answers.iter().find(|(key, _)| *key == name).map(|(_, answer)| answer.body)
        };
        match waiting {
            Some(key) => Ok(Some(key)),
            None => Ok(self.store.catalogue.cached(&name)?.map(|answer| answer.body)),
        }
    }

    /// Claims a blob if it is held whole, so that it may be relied on.
    pub fn hold(&self, key: &BlobKey, size: u64) -> Result<bool, Problem> {
        if self.store.blobs.size(key)? != Some(size) {
            return Ok(false);
        }
        self.store.catalogue.claim(self.session, &[*key])?;
        // Only what is still there after the claim is safe: gc may have been faster.
        Ok(self.store.blobs.size(key)? == Some(size))
    }

    /// Claims many blobs that the caller will look at again afterwards.
    pub fn claim(&self, keys: &[BlobKey]) -> Result<(), Problem> {
        Ok(self.store.catalogue.claim(self.session, keys)?)
    }

    /// Gives up a blob, and frees its bytes unless something else needs it.
    pub fn free(&self, key: &BlobKey) -> Result<(), Problem> {
        self.store.catalogue.release(self.session, key)?;
        if self.store.catalogue.if_unreferenced(key, &mut || self.store.blobs.remove(key))? {
            // No staging file is that old.
            self.store.blobs.empty_trash(u64::MAX)?;
        }
        Ok(())
    }

    /// Settles what is left. All that was taken before is durable when this returns, also what others are settling.
    pub fn flush(&self) -> Result<(), Problem> {
        let group = self.group.lock().unwrap_or_else(PoisonError::into_inner).take();
        let number = group.number;
        self.settle(group)?;
        let group = self.group.lock().unwrap_or_else(PoisonError::into_inner);
        let is_earlier = |group: &mut Group| group.settling.first().is_some_and(|first| *first < number);
        drop(self.settled.wait_while(group, is_earlier).unwrap_or_else(PoisonError::into_inner));
        Ok(())
    }

    fn settle(&self, group: Taken) -> Result<(), Problem> {
        let _done = Settling { intake: self, number: group.number };
        // The answers first: a process that dies in between leaves answers without bodies, which are none, and not bodies
        // that nobody knows by their address, which would be downloaded again.
        self.store.catalogue.cache(&group.answers)?;
        if !group.staged.is_empty() {
            let keys: Vec<BlobKey> = group.staged.iter().map(|staged| staged.key()).collect();
            self.store.catalogue.claim(self.session, &keys)?;
            self.store.blobs.settle(group.staged)?;
        }
        Ok(())
    }
}

/// What the cache of answers knows a blob by that has another digest besides its key.
pub(super) fn digest_name(digest: &Digest) -> String {
    format!("digest {digest}")
}

impl Drop for Intake {
    fn drop(&mut self) {
        if self.owns {
            // Where this fails, the claims expire by themselves.
            let _ = self.store.catalogue.close_session(self.session);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fsx;
    use crate::fsx::faults::{Fault, Kind, Watch};

    #[test]
    fn a_blob_that_is_held_is_known_by_its_address() {
        let home = fsx::test_directory();
        let store = Store::open(home.path()).unwrap();
        let watch = Watch::new(home.path());
        for at in 1.. {
            let body = format!("body {at}");
            let key = BlobKey::of(body.as_bytes());
            let answer = CachedAnswer {
                body: key,
                etag: None,
                last_modified: None,
                content_type: String::new(),
                confirmed: crate::clock::now_text(),
            };
            let intake = Intake::new(&store).unwrap();
            intake.keep(body.as_bytes(), Some((body.clone(), answer))).unwrap();
            watch.plan(Fault { at, kind: Kind::Halt });
            let settled = intake.flush();
            watch.forget();
            if store.blobs.size(&key).unwrap().is_some() {
                assert!(store.catalogue.cached(&body).unwrap().is_some(), "fault {at}");
            }
            if settled.is_ok() {
                assert!(at > 3, "faults were met");
                break;
            }
        }
    }

    #[test]
    fn what_was_taken_is_there_after_a_flush_whoever_settles_it() {
        let home = fsx::test_directory();
        let store = Store::open(home.path()).unwrap();
        let intake = Intake::new(&store).unwrap();
        std::thread::scope(|scope| {
            for thread in 0..8 {
                let (intake, store) = (&intake, &store);
                scope.spawn(move || {
                    for at in 0..40 {
                        let key = intake.keep(format!("{thread} {at}").as_bytes(), None).unwrap();
                        intake.flush().unwrap();
                        assert!(store.blobs.size(&key).unwrap().is_some());
                    }
                });
            }
        });
    }

    #[test]
    fn claims_end_with_the_work() {
        let home = fsx::test_directory();
        let store = Store::open(home.path()).unwrap();
        let intake = Intake::new(&store).unwrap();
        let key = intake.keep(b"claimed", None).unwrap();
        intake.flush().unwrap();
        let unneeded = || store.catalogue.if_unreferenced(&key, &mut || Ok(())).unwrap();
        assert!(!unneeded());
        drop(intake);
        assert!(unneeded());
    }
}
