//! A store that only serves: blobs are files of a temporary directory, the catalogue a number and a list.

use std::collections::HashMap;
use std::fs::File;
use std::io::Write as _;
use std::path::Path;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

use aftk::store::{
    Arrival, AuditEntry, BlobFile, BlobWrite, Blobs, CachedAnswer, Catalogue, ChangeSet, ChannelState,
    Conflict, Copied, Cursor, FoundFile, Generation, Linked, LinkedRef, Listed, Merge, Miss, Place,
    Precondition, Published, Revision, SessionId, SnapshotEntry, Staged, StoreError,
};
use bundle_format::{Algorithm, BlobKey, Digest, Record, Repository};

/// The blobs and the catalogue in one.
#[derive(Default)]
pub(crate) struct FakeStore {
    files: Mutex<HashMap<BlobKey, (File, u64)>>,
    pub(crate) revision: AtomicU64,
    pub(crate) repositories: Mutex<Vec<Repository>>,
    pub(crate) misses: Mutex<Vec<String>>,
}

impl FakeStore {
    /// Puts bytes into the store.
    pub(crate) fn put(&self, bytes: &[u8]) -> BlobKey {
        self.put_claiming(bytes, bytes.len() as u64)
    }

    /// Puts bytes that are said to be of another size.
    pub(crate) fn put_claiming(&self, bytes: &[u8], length: u64) -> BlobKey {
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(bytes).unwrap();
        let key = BlobKey::of(bytes);
        self.files.lock().unwrap().insert(key, (file, length));
        key
    }

    /// Puts so many zeros, under a key that is not theirs: nobody wants to hash them.
    pub(crate) fn put_zeros(&self, length: u64) -> BlobKey {
        let file = tempfile::tempfile().unwrap();
        file.set_len(length).unwrap();
        let key = BlobKey::of(&length.to_be_bytes());
        self.files.lock().unwrap().insert(key, (file, length));
        key
    }
}

fn unsupported<T>() -> Result<T, StoreError> {
    Err(StoreError::Unsuitable("the fake store only serves".to_owned()))
}

impl Blobs for FakeStore {
    fn size(&self, key: &BlobKey) -> Result<Option<u64>, StoreError> {
        Ok(self.files.lock().unwrap().get(key).map(|(_, length)| *length))
    }
    fn open(&self, key: &BlobKey) -> Result<Option<BlobFile>, StoreError> {
        let files = self.files.lock().unwrap();
        Ok(files.get(key).map(|(file, length)| BlobFile { file: file.try_clone().unwrap(), length: *length }))
    }
    fn begin(&self, _: &[Algorithm], _: bool) -> Result<Box<dyn BlobWrite>, StoreError> {
        unsupported()
    }
    fn resume(&self, _: &str, _: &[Algorithm]) -> Result<Box<dyn BlobWrite>, StoreError> {
        unsupported()
    }
    fn settle(&self, _: Vec<Box<dyn Staged>>) -> Result<(), StoreError> {
        unsupported()
    }
    fn list(&self, _: &mut dyn FnMut(BlobKey, u64) -> Result<bool, StoreError>) -> Result<(), StoreError> {
        unsupported()
    }
    fn remove(&self, _: &BlobKey) -> Result<(), StoreError> {
        unsupported()
    }
    fn quarantine(&self, _: &BlobKey) -> Result<(), StoreError> {
        unsupported()
    }
    fn empty_trash(&self, _: u64) -> Result<u64, StoreError> {
        unsupported()
    }
    fn free_space(&self) -> Result<Option<u64>, StoreError> {
        unsupported()
    }
}

impl Catalogue for FakeStore {
    fn revision(&self) -> Result<Revision, StoreError> {
        Ok(Revision(self.revision.load(Ordering::Relaxed)))
    }
    fn servers(&self, _: &str, _: usize) -> Result<Vec<String>, StoreError> {
        Ok(Vec::new())
    }

    fn repositories(&self) -> Result<Vec<Repository>, StoreError> {
        Ok(self.repositories.lock().unwrap().clone())
    }
    fn record_miss(
        &self,
        ecosystem: &str,
        repository: &str,
        name: &str,
        version: &str,
    ) -> Result<(), StoreError> {
        self.misses.lock().unwrap().push(format!("{ecosystem}/{repository}/{name}@{version}"));
        Ok(())
    }
    fn artifacts(&self, _: &str, _: Option<&str>, _: &str) -> Result<Vec<Linked>, StoreError> {
        unsupported()
    }
    fn file_at(&self, _: &str, _: &str, _: Option<&str>, _: &str) -> Result<Option<FoundFile>, StoreError> {
        unsupported()
    }
    fn former_file_at(
        &self,
        _: &str,
        _: &str,
        _: Option<&str>,
        _: &str,
    ) -> Result<Option<FoundFile>, StoreError> {
        unsupported()
    }
    fn refs(&self, _: &str, _: Option<&str>, _: &str, _: Option<&str>) -> Result<Vec<LinkedRef>, StoreError> {
        unsupported()
    }
    fn names(&self, _: &str, _: Option<&str>, _: &str, _: usize) -> Result<Vec<String>, StoreError> {
        unsupported()
    }
    fn list(&self, _: Option<&Cursor>, _: usize) -> Result<Vec<Listed>, StoreError> {
        unsupported()
    }
    fn channels(&self) -> Result<Vec<ChannelState>, StoreError> {
        unsupported()
    }
    fn channel(&self, _: &str) -> Result<Option<ChannelState>, StoreError> {
        unsupported()
    }
    fn snapshots(&self, _: &str) -> Result<Vec<SnapshotEntry>, StoreError> {
        unsupported()
    }
    fn deposit(&self, _: &Place) -> Result<Option<(BlobKey, u64)>, StoreError> {
        unsupported()
    }
    fn blob_of(&self, _: &str, _: Option<&BlobKey>, _: &str) -> Result<Option<(BlobKey, u64)>, StoreError> {
        unsupported()
    }
    fn hosted_size(&self, _: &str, _: &str) -> Result<u64, StoreError> {
        unsupported()
    }
    fn hosted_has(&self, _: &str, _: &str, _: &BlobKey) -> Result<bool, StoreError> {
        unsupported()
    }
    fn deposits(
        &self,
        _: &mut dyn FnMut(BlobKey, u64) -> Result<bool, StoreError>,
    ) -> Result<(), StoreError> {
        unsupported()
    }
    fn arrivals(&self) -> Result<Vec<Arrival>, StoreError> {
        unsupported()
    }
    fn begin_arrival(&self, _: &Arrival) -> Result<SessionId, StoreError> {
        unsupported()
    }
    fn volume_arrived(&self, _: &BlobKey, _: u64, _: bool) -> Result<(), StoreError> {
        unsupported()
    }
    fn end_arrival(&self, _: &BlobKey) -> Result<(), StoreError> {
        unsupported()
    }
    fn generations(&self, _: &str) -> Result<Vec<Published>, StoreError> {
        unsupported()
    }
    fn begin_generation(&self, _: &str) -> Result<Generation, StoreError> {
        unsupported()
    }
    fn stage(&self, _: Generation, _: &[Record]) -> Result<(), StoreError> {
        unsupported()
    }
    fn give_way(&self, _: Generation, _: &[Record]) -> Result<(), StoreError> {
        unsupported()
    }
    fn merge(&self, _: Generation, _: Merge) -> Result<(), StoreError> {
        unsupported()
    }
    fn claimed_checksums(
        &self,
        _: Generation,
        _: &BlobKey,
    ) -> Result<(Option<u64>, Vec<Digest>), StoreError> {
        unsupported()
    }
    fn staged_blobs(
        &self,
        _: Generation,
        _: &mut dyn FnMut(BlobKey, u64) -> Result<bool, StoreError>,
    ) -> Result<(), StoreError> {
        unsupported()
    }
    fn conflicts(&self, _: Generation, _: &[&str], _: usize) -> Result<Vec<Conflict>, StoreError> {
        unsupported()
    }
    fn abandon(&self, _: Generation) -> Result<(), StoreError> {
        unsupported()
    }
    fn commit(&self, _: &ChangeSet, _: &Precondition) -> Result<Revision, StoreError> {
        unsupported()
    }
    fn open_session(&self, _: u64) -> Result<SessionId, StoreError> {
        unsupported()
    }
    fn claim(&self, _: SessionId, _: &[BlobKey]) -> Result<(), StoreError> {
        unsupported()
    }
    fn release(&self, _: SessionId, _: &BlobKey) -> Result<(), StoreError> {
        unsupported()
    }
    fn close_session(&self, _: SessionId) -> Result<(), StoreError> {
        unsupported()
    }
    fn if_unreferenced(
        &self,
        _: &BlobKey,
        _: &mut dyn FnMut() -> Result<(), StoreError>,
    ) -> Result<bool, StoreError> {
        unsupported()
    }
    fn cached(&self, _: &str) -> Result<Option<CachedAnswer>, StoreError> {
        unsupported()
    }
    fn cache(&self, _: &[(String, CachedAnswer)]) -> Result<(), StoreError> {
        unsupported()
    }
    fn would_be_unreferenced(&self, _: &BlobKey, _: u64) -> Result<bool, StoreError> {
        unsupported()
    }
    fn freed_by(
        &self,
        _: &ChangeSet,
        _: u64,
        _: &mut dyn FnMut(BlobKey, u64) -> Result<(), StoreError>,
    ) -> Result<(), StoreError> {
        unsupported()
    }
    fn prune(&self, _: &str, _: u64) -> Result<(), StoreError> {
        unsupported()
    }
    fn misses(&self) -> Result<Vec<Miss>, StoreError> {
        unsupported()
    }
    fn clear_misses(&self) -> Result<(), StoreError> {
        unsupported()
    }
    fn audit(&self, _: u64, _: usize) -> Result<Vec<(AuditEntry, BlobKey)>, StoreError> {
        unsupported()
    }
    fn is_put_back(&self) -> Result<bool, StoreError> {
        unsupported()
    }
    fn copy_to(&self, _: &Path) -> Result<Copied, StoreError> {
        unsupported()
    }
    fn check(&self) -> Result<Vec<String>, StoreError> {
        unsupported()
    }
}
