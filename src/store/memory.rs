//! Blobs in memory, for tests: stricter than a disk. What was not settled is gone after [`MemoryBlobs::crash`],
//! and what the rules forbid is refused even where a disk would let it pass.

use std::any::Any;
use std::collections::BTreeMap;
use std::io::{Seek, Write};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bundle_format::{Algorithm, BlobKey, Digest, VerifiedBlob};

use super::hashes::Hashes;
use super::{BlobFile, BlobWrite, Blobs, Expected, Staged, StoreError};

/// The most blobs that are settled in one go.
const GROUP: usize = 1024;

/// The fake. Clones are the same store.
#[derive(Debug, Clone, Default)]
pub struct MemoryBlobs {
    state: Arc<Mutex<State>>,
}

#[derive(Debug, Default)]
struct State {
    held: BTreeMap<BlobKey, Arc<[u8]>>,
    trash: Vec<Arc<[u8]>>,
    quarantine: BTreeMap<BlobKey, Arc<[u8]>>,
    /// Suspended named sessions; `None` while somebody works on one.
    named: BTreeMap<String, Option<Vec<u8>>>,
    /// What is said to be left.
    free: Option<u64>,
    /// Counts crashes: sessions of an earlier life are refused.
    life: u64,
}

struct MemoryWrite {
    store: MemoryBlobs,
    name: Option<String>,
    hashes: Hashes,
    bytes: Vec<u8>,
    life: u64,
}

struct MemoryStaged {
    store: MemoryBlobs,
    key: BlobKey,
    bytes: Vec<u8>,
    life: u64,
}

impl MemoryBlobs {
    /// An empty store.
    pub fn new() -> MemoryBlobs {
        MemoryBlobs::default()
    }

    /// The machine loses power: whatever was not settled is gone, and sessions end.
    pub fn crash(&self) {
        let mut state = self.state();
        state.named.clear();
        state.life += 1;
    }

    /// Says from now on that so many bytes are left, and takes more all the same.
    pub fn set_free_space(&self, bytes: u64) {
        self.state().free = Some(bytes);
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn alive(&self, life: u64) -> Result<(), StoreError> {
        if self.state().life == life {
            Ok(())
        } else {
            Err(StoreError::Misuse("a session goes on although its process is gone"))
        }
    }
}

impl Blobs for MemoryBlobs {
    fn size(&self, key: &BlobKey) -> Result<Option<u64>, StoreError> {
        Ok(self.state().held.get(key).map(|bytes| bytes.len() as u64))
    }

    fn open(&self, key: &BlobKey) -> Result<Option<BlobFile>, StoreError> {
        let Some(bytes) = self.state().held.get(key).cloned() else { return Ok(None) };
        let failed = |source| StoreError::Io { what: "cannot make a file in memory".into(), source };
        let descriptor = rustix::fs::memfd_create("blob", rustix::fs::MemfdFlags::CLOEXEC)
            .map_err(|error| failed(error.into()))?;
        let mut file = std::fs::File::from(descriptor);
        file.write_all(&bytes).and_then(|()| file.rewind()).map_err(failed)?;
        Ok(Some(BlobFile { file, length: bytes.len() as u64 }))
    }

    fn begin(&self, algorithms: &[Algorithm], hash: bool) -> Result<Box<dyn BlobWrite>, StoreError> {
        let hashes = Hashes::new(algorithms, hash)?;
        let (store, life) = (self.clone(), self.state().life);
        Ok(Box::new(MemoryWrite { store, name: None, hashes, bytes: Vec::new(), life }))
    }

    fn resume(&self, name: &str, algorithms: &[Algorithm]) -> Result<Box<dyn BlobWrite>, StoreError> {
        if BlobKey::from_hex(name).is_err() {
            return Err(StoreError::Misuse("a staging session is named by 64 hex digits"));
        }
        let mut hashes = Hashes::new(algorithms, true)?;
        let mut state = self.state();
        let bytes = match state.named.insert(name.to_owned(), None) {
            None => Vec::new(),
            Some(Some(bytes)) => bytes,
            Some(None) => return Err(StoreError::Busy(format!("the download {name}"))),
        };
        hashes.update(&bytes);
        let (store, life) = (self.clone(), state.life);
        Ok(Box::new(MemoryWrite { store, name: Some(name.to_owned()), hashes, bytes, life }))
    }

    fn settle(&self, group: Vec<Box<dyn Staged>>) -> Result<(), StoreError> {
        if group.len() > GROUP {
            return Err(StoreError::Misuse("a group is larger than it may be"));
        }
        let mut blobs = Vec::new();
        for staged in group {
            let blob = staged.into_any().downcast::<MemoryStaged>().ok();
            let blob = blob.filter(|blob| Arc::ptr_eq(&blob.store.state, &self.state));
            let blob = blob.ok_or(StoreError::Misuse("a blob is settled where it was not staged"))?;
            self.alive(blob.life)?;
            blobs.push(blob);
        }
        let mut state = self.state();
        for blob in blobs {
            state.held.insert(blob.key, blob.bytes.into());
        }
        Ok(())
    }

    fn list(&self, each: &mut dyn FnMut(BlobKey, u64) -> Result<bool, StoreError>) -> Result<(), StoreError> {
        // The callback may well use this store.
        let all: Vec<_> = self.state().held.iter().map(|(key, bytes)| (*key, bytes.len() as u64)).collect();
        for (key, size) in all {
            if !each(key, size)? {
                break;
            }
        }
        Ok(())
    }

    fn remove(&self, key: &BlobKey) -> Result<(), StoreError> {
        let mut state = self.state();
        if let Some(bytes) = state.held.remove(key) {
            state.trash.push(bytes);
        }
        Ok(())
    }

    fn quarantine(&self, key: &BlobKey) -> Result<(), StoreError> {
        let mut state = self.state();
        if let Some(bytes) = state.held.remove(key) {
            state.quarantine.insert(*key, bytes);
        }
        Ok(())
    }

    fn empty_trash(&self, age_seconds: u64) -> Result<u64, StoreError> {
        let mut state = self.state();
        let mut freed: usize = state.trash.drain(..).map(|bytes| bytes.len()).sum();
        // Nothing here has an age: it is new unless every age counts.
        if age_seconds == 0 {
            state.named.retain(|_, bytes| match bytes {
                Some(bytes) => {
                    freed += bytes.len();
                    false
                }
                None => true,
            });
        }
        Ok(freed as u64)
    }

    fn free_space(&self) -> Result<Option<u64>, StoreError> {
        Ok(self.state().free)
    }
}

impl MemoryWrite {
    fn finish(mut self, key: BlobKey) -> Result<Box<dyn Staged>, StoreError> {
        if let Some(name) = self.name.take() {
            self.store.state().named.remove(&name);
        }
        let bytes = std::mem::take(&mut self.bytes);
        Ok(Box::new(MemoryStaged { store: self.store.clone(), key, bytes, life: self.life }))
    }

    fn throw_away(&mut self) {
        self.bytes.clear();
        if let Some(name) = self.name.take() {
            self.store.state().named.remove(&name);
        }
    }
}

impl BlobWrite for MemoryWrite {
    fn length(&self) -> u64 {
        self.bytes.len() as u64
    }

    fn write(&mut self, bytes: &[u8]) -> Result<(), StoreError> {
        self.store.alive(self.life)?;
        self.hashes.update(bytes);
        self.bytes.extend_from_slice(bytes);
        Ok(())
    }

    fn sync(&mut self) -> Result<(), StoreError> {
        self.store.alive(self.life)
    }

    fn restart(&mut self) -> Result<(), StoreError> {
        self.store.alive(self.life)?;
        self.hashes.reset();
        self.bytes.clear();
        Ok(())
    }

    fn stage(mut self: Box<Self>, expected: &Expected) -> Result<Box<dyn Staged>, StoreError> {
        self.store.alive(self.life)?;
        let found = self.hashes.found();
        if let Err(error) = found.check(self.length(), expected) {
            self.throw_away();
            return Err(error);
        }
        let key = found.key()?;
        self.finish(key)
    }

    fn stage_verified(
        mut self: Box<Self>,
        proof: VerifiedBlob,
        checksums: &[Digest],
    ) -> Result<Box<dyn Staged>, StoreError> {
        self.store.alive(self.life)?;
        if let Err(error) = self.hashes.found().check_others(self.length(), &proof, checksums) {
            self.throw_away();
            return Err(error);
        }
        if BlobKey::of(&self.bytes) != proof.key() {
            return Err(StoreError::Misuse("the proof is another blob's"));
        }
        self.finish(proof.key())
    }

    fn suspend(self: Box<Self>) {}
}

impl Drop for MemoryWrite {
    fn drop(&mut self) {
        let mut state = self.store.state();
        if let Some(name) = self.name.take()
            && state.life == self.life
        {
            state.named.insert(name, Some(std::mem::take(&mut self.bytes)));
        }
    }
}

impl Staged for MemoryStaged {
    fn key(&self) -> BlobKey {
        self.key
    }

    fn size(&self) -> u64 {
        self.bytes.len() as u64
    }

    fn into_any(self: Box<Self>) -> Box<dyn Any + Send> {
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::conformance;

    #[test]
    fn it_conforms() {
        conformance::all(&MemoryBlobs::new());
    }

    #[test]
    fn a_crash_takes_what_was_not_settled() {
        let store = MemoryBlobs::new();
        let kept = conformance::put(&store, b"settled");
        let mut write = store.begin(&[], true).unwrap();
        write.write(b"staged").unwrap();
        let staged = write.stage(&Expected::default()).unwrap();
        let lost = staged.key();
        let mut open = store.begin(&[], true).unwrap();
        store.crash();
        assert!(matches!(store.settle(vec![staged]), Err(StoreError::Misuse(_))));
        assert!(matches!(open.write(b"more"), Err(StoreError::Misuse(_))));
        assert_eq!(store.size(&kept).unwrap(), Some(7));
        assert_eq!(store.size(&lost).unwrap(), None);
    }
}
