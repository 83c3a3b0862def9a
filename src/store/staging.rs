//! Staging sessions on disk: where bytes are until they are complete, checked and settled.
//!
//! A session holds a lock on its file. Complete bytes of a named one keep name and lock until they are settled: if the
//! process dies before that, a session of that name finds them. If too many wait already, they take a name that
//! nobody else knows, so that a session that begins under the old name cannot touch them.

use std::any::Any;
use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};

use bundle_format::{Algorithm, BlobKey, Digest, VerifiedBlob};

use super::error::io_error;
use super::hashes::Hashes;
use super::{BlobWrite, Expected, Staged, StoreError};
use crate::fsx;

/// How much is read at once when bytes of an earlier process are hashed again.
const BUFFER: usize = 256 * 1024;

/// So many complete files at once keep their names. Each is open, and a process may often open no more than 1,024.
const WAITING: usize = 256;

/// How many do.
static NOW_WAITING: AtomicUsize = AtomicUsize::new(0);

/// A place among those that keep their names.
struct Place;

impl Place {
    fn take() -> Option<Place> {
        let place = Place;
        // Dropping the place gives it back, also if it was one too many.
        (NOW_WAITING.fetch_add(1, Ordering::Relaxed) < WAITING).then_some(place)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        NOW_WAITING.fetch_sub(1, Ordering::Relaxed);
    }
}

/// A session that is open.
pub(super) struct DiskWrite {
    file: fsx::File,
    directory: PathBuf,
    hashes: Hashes,
    length: u64,
    /// Whether the file outlives the session.
    keep: bool,
    /// Whether a write has failed: then nobody knows what the file holds.
    broken: bool,
}

/// Complete bytes in a file. Dropped unsettled they are removed, unless a session of their name can find them.
pub(super) struct DiskStaged {
    key: BlobKey,
    size: u64,
    path: PathBuf,
    /// Whether nothing is left to do with the file.
    done: bool,
    /// The named session that they came from, for its lock, and its place.
    session: Option<(Box<DiskWrite>, Place)>,
}

impl DiskWrite {
    /// A session of no name.
    pub(super) fn begin(
        directory: &Path,
        algorithms: &[Algorithm],
        hash: bool,
    ) -> Result<DiskWrite, StoreError> {
        let hashes = Hashes::new(algorithms, hash)?;
        let path = random_path(directory)?;
        let failed = |error| io_error("cannot create", &path, error);
        let file = fsx::File::create_new(&path, fsx::Access::Private).map_err(failed)?;
        // Nobody else knows the name, so nobody else holds the lock; it tells gc that somebody works here.
        file.try_lock().map_err(failed)?;
        Ok(DiskWrite::new(file, directory, hashes, 0, false))
    }

    /// The session of this name, with the bytes that are there.
    pub(super) fn resume(
        directory: &Path,
        name: &str,
        algorithms: &[Algorithm],
    ) -> Result<DiskWrite, StoreError> {
        if BlobKey::from_hex(name).is_err() {
            return Err(StoreError::Misuse("a staging session is named by 64 hex digits"));
        }
        let mut hashes = Hashes::new(algorithms, true)?;
        let path = directory.join(name);
        let failed = |error| io_error("cannot resume", &path, error);
        let file = fsx::File::resume(&path, fsx::Access::Private).map_err(failed)?;
        if !file.try_lock().map_err(failed)? {
            return Err(StoreError::Busy(format!("the download {}", path.display())));
        }
        let mut buffer = vec![0; BUFFER];
        let mut length = 0;
        loop {
            let count = file.inner().read(&mut buffer).map_err(failed)?;
            if count == 0 {
                break;
            }
            hashes.update(buffer.get(..count).unwrap_or_default());
            length += count as u64;
        }
        Ok(DiskWrite::new(file, directory, hashes, length, true))
    }

    fn new(file: fsx::File, directory: &Path, hashes: Hashes, length: u64, keep: bool) -> DiskWrite {
        DiskWrite { file, directory: directory.to_owned(), hashes, length, keep, broken: false }
    }

    fn whole(&self) -> Result<(), StoreError> {
        if self.broken {
            Err(StoreError::Misuse("a staging session goes on after a failed write"))
        } else {
            Ok(())
        }
    }

    /// The bytes are complete and what they should be.
    fn finish(mut self: Box<Self>, key: BlobKey) -> Result<Box<dyn Staged>, StoreError> {
        let (size, mut path) = (self.length, self.file.path().to_owned());
        if self.keep
            && let Some(place) = Place::take()
        {
            return Ok(Box::new(DiskStaged { key, size, path, done: false, session: Some((self, place)) }));
        }
        let failed = |error| io_error("cannot finish", self.file.path(), error);
        self.file.set_read_only().map_err(failed)?;
        if self.keep {
            path = random_path(&self.directory)?;
            fsx::rename(self.file.path(), &path).map_err(failed)?;
        }
        self.keep = true;
        Ok(Box::new(DiskStaged { key, size, path, done: false, session: None }))
    }
}

fn random_path(directory: &Path) -> Result<PathBuf, StoreError> {
    let name =
        fsx::random_name().map_err(|error| io_error("no random name for a file in", directory, error))?;
    Ok(directory.join(format!("{name}.part")))
}

impl BlobWrite for DiskWrite {
    fn length(&self) -> u64 {
        self.length
    }

    fn write(&mut self, bytes: &[u8]) -> Result<(), StoreError> {
        self.whole()?;
        if let Err(error) = self.file.write_all(bytes) {
            self.broken = true;
            return Err(io_error("cannot write", self.file.path(), error));
        }
        self.hashes.update(bytes);
        self.length += bytes.len() as u64;
        Ok(())
    }

    fn sync(&mut self) -> Result<(), StoreError> {
        self.whole()?;
        let synced = self.file.sync().and_then(|()| fsx::sync_directory(&self.directory));
        synced.map_err(|error| io_error("cannot sync", self.file.path(), error))
    }

    fn restart(&mut self) -> Result<(), StoreError> {
        self.broken = true;
        self.file.clear().map_err(|error| io_error("cannot empty", self.file.path(), error))?;
        self.hashes.reset();
        (self.length, self.broken) = (0, false);
        Ok(())
    }

    fn stage(mut self: Box<Self>, expected: &Expected) -> Result<Box<dyn Staged>, StoreError> {
        self.whole()?;
        let found = self.hashes.found();
        if let Err(error) = found.check(self.length, expected) {
            self.keep = false;
            return Err(error);
        }
        self.finish(found.key()?)
    }

    fn stage_verified(
        mut self: Box<Self>,
        proof: VerifiedBlob,
        checksums: &[Digest],
    ) -> Result<Box<dyn Staged>, StoreError> {
        self.whole()?;
        if let Err(error) = self.hashes.found().check_others(self.length, &proof, checksums) {
            self.keep = false;
            return Err(error);
        }
        self.finish(proof.key())
    }

    fn suspend(self: Box<Self>) {}
}

impl Drop for DiskWrite {
    fn drop(&mut self) {
        if !self.keep {
            let _ = fsx::remove(self.file.path());
        }
    }
}

impl DiskStaged {
    /// Where the bytes are.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Gives the bytes their place among the blobs.
    pub(super) fn place(mut self, path: &Path) -> Result<(), StoreError> {
        let failed = |error| io_error("cannot place", path, error);
        fsx::rename(&self.path, path).map_err(failed)?;
        self.done = true;
        // Only now: a session that is resumed must be able to write.
        self.session.as_ref().map_or(Ok(()), |(session, _)| session.file.set_read_only()).map_err(failed)
    }

    /// The bytes are held already.
    pub(super) fn discard(mut self) -> Result<(), StoreError> {
        fsx::remove(&self.path).map_err(|error| io_error("cannot remove", &self.path, error))?;
        self.done = true;
        Ok(())
    }
}

impl Staged for DiskStaged {
    fn key(&self) -> BlobKey {
        self.key
    }

    fn size(&self) -> u64 {
        self.size
    }

    fn into_any(self: Box<Self>) -> Box<dyn Any + Send> {
        self
    }
}

impl Drop for DiskStaged {
    fn drop(&mut self) {
        if !self.done && self.session.is_none() {
            let _ = fsx::remove(&self.path);
        }
    }
}
