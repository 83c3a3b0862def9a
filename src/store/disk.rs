//! Blobs in files, each named by its digest.

use std::collections::BTreeSet;
use std::fs::File;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::time::Duration;

use bundle_format::{Algorithm, BlobKey};

use super::error::io_error;
use super::layout::Layout;
use super::staging::{DiskStaged, DiskWrite};
use super::{BlobFile, BlobWrite, Blobs, Staged, StoreError};
use crate::{clock, fsx};

/// Up to this many files are synced one by one: a sync of the whole file system also waits for whatever else
/// is being written to it.
const SYNC_ONE_BY_ONE: usize = 4;
/// How many files are synced at once where the file system cannot be synced as a whole.
const SYNC_THREADS: usize = 4;

/// The blobs of a store on disk.
#[derive(Debug)]
pub struct DiskBlobs {
    layout: Layout,
}

impl DiskBlobs {
    /// Opens the blobs of a store, and makes its directories where they are missing.
    ///
    /// # Errors
    /// If a directory cannot be made.
    pub fn open(layout: &Layout) -> Result<DiskBlobs, StoreError> {
        for directory in
            [layout.blobs(), layout.staging(), layout.trash(), layout.quarantine(), layout.locks()]
        {
            fsx::create_directory(&directory, fsx::Access::Private)
                .map_err(|error| io_error("cannot create", &directory, error))?;
        }
        Ok(DiskBlobs { layout: layout.clone() })
    }

    /// Gives a staged blob, whose bytes are durable, its name. Adds the directories that are to be made durable.
    fn name(&self, blob: DiskStaged, changed: &mut BTreeSet<PathBuf>) -> Result<(), StoreError> {
        let key = blob.key();
        let directory = self.layout.blob_directory(&key);
        // One of another size is damaged, and healed by these bytes.
        if self.size(&key)? == Some(blob.size()) {
            blob.discard()?;
        } else {
            let missing = fsx::make_directory(&directory, fsx::Access::Private)
                .map_err(|error| io_error("cannot create", &directory, error))?;
            changed.extend(missing.then(|| self.layout.blobs()));
            blob.place(&self.layout.blob(&key))?;
        }
        // Even if the blob was there: whoever named it may not have come so far yet.
        changed.insert(directory);
        Ok(())
    }

    /// Moves a blob out of the way; says whether there was one.
    fn set_aside(&self, key: &BlobKey, to: &Path) -> Result<bool, StoreError> {
        let path = self.layout.blob(key);
        match fsx::rename(&path, to) {
            Ok(()) => Ok(true),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(false),
            Err(error) => Err(io_error("cannot move away", &path, error)),
        }
    }
}

impl Blobs for DiskBlobs {
    fn size(&self, key: &BlobKey) -> Result<Option<u64>, StoreError> {
        let path = self.layout.blob(key);
        match std::fs::symlink_metadata(&path) {
            Ok(metadata) if metadata.is_file() => Ok(Some(metadata.len())),
            Ok(_) => Ok(None),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
            Err(error) => Err(io_error("cannot look at", &path, error)),
        }
    }

    fn open(&self, key: &BlobKey) -> Result<Option<BlobFile>, StoreError> {
        let path = self.layout.blob(key);
        let failed = |error| io_error("cannot open", &path, error);
        let file = match File::open(&path) {
            Ok(file) => file,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(failed(error)),
        };
        let metadata = file.metadata().map_err(failed)?;
        Ok(metadata.is_file().then_some(BlobFile { file, length: metadata.len() }))
    }

    fn begin(&self, algorithms: &[Algorithm], hash: bool) -> Result<Box<dyn BlobWrite>, StoreError> {
        Ok(Box::new(DiskWrite::begin(&self.layout.staging(), algorithms, hash)?))
    }

    fn resume(&self, name: &str, algorithms: &[Algorithm]) -> Result<Box<dyn BlobWrite>, StoreError> {
        Ok(Box::new(DiskWrite::resume(&self.layout.staging(), name, algorithms)?))
    }

    fn settle(&self, group: Vec<Box<dyn Staged>>) -> Result<(), StoreError> {
        let staging = self.layout.staging();
        let mut blobs = Vec::with_capacity(group.len());
        for staged in group {
            let blob = staged.into_any().downcast::<DiskStaged>().ok();
            let blob = blob.filter(|blob| blob.path().parent() == Some(staging.as_path()));
            blobs.push(blob.ok_or(StoreError::Misuse("a blob is settled where it was not staged"))?);
        }
        sync(&staging, &blobs)?;
        let mut changed = BTreeSet::new();
        for blob in blobs {
            self.name(*blob, &mut changed)?;
        }
        // Each sync of a directory waits for the disk: 256 of them take longer than everything at once.
        if changed.len() > SYNC_ONE_BY_ONE && sync_all(&staging)? {
            return Ok(());
        }
        for directory in changed {
            fsx::sync_directory(&directory).map_err(|error| io_error("cannot sync", &directory, error))?;
        }
        Ok(())
    }

    fn list(&self, each: &mut dyn FnMut(BlobKey, u64) -> Result<bool, StoreError>) -> Result<(), StoreError> {
        for prefix in names(&self.layout.blobs())?.into_iter().filter(|name| name.len() == 2) {
            for name in names(&self.layout.blobs().join(&prefix))? {
                // Anything else is none of ours and does no harm.
                let Ok(key) = BlobKey::from_hex(&name) else { continue };
                if !name.starts_with(&prefix) {
                    continue;
                }
                if let Some(size) = self.size(&key)?
                    && !each(key, size)?
                {
                    return Ok(());
                }
            }
        }
        Ok(())
    }

    fn remove(&self, key: &BlobKey) -> Result<(), StoreError> {
        let trash = self.layout.trash();
        let random = fsx::random_name().map_err(|error| io_error("no random name in", &trash, error))?;
        self.set_aside(key, &trash.join(format!("{}.{random}", key.hex())))?;
        Ok(())
    }

    fn quarantine(&self, key: &BlobKey) -> Result<(), StoreError> {
        if self.set_aside(key, &self.layout.quarantine().join(key.hex()))? {
            for directory in [self.layout.quarantine(), self.layout.blob_directory(key)] {
                fsx::sync_directory(&directory)
                    .map_err(|error| io_error("cannot sync", &directory, error))?;
            }
        }
        Ok(())
    }

    fn empty_trash(&self, age_seconds: u64) -> Result<u64, StoreError> {
        let mut freed = 0;
        for name in names(&self.layout.trash())? {
            freed += free(&self.layout.trash().join(name), fsx::remove)?;
        }
        let before = clock::now().checked_sub(Duration::from_secs(age_seconds));
        for name in names(&self.layout.staging())? {
            let path = self.layout.staging().join(name);
            let old = match fsx::modified(&path) {
                Ok(modified) => before.is_some_and(|before| modified <= before),
                Err(error) if error.kind() == ErrorKind::NotFound => false,
                Err(error) => return Err(io_error("cannot look at", &path, error)),
            };
            if old {
                freed += free(&path, fsx::remove_unless_locked)?;
            }
        }
        Ok(freed)
    }

    fn free_space(&self) -> Result<Option<u64>, StoreError> {
        let path = self.layout.blobs();
        let system =
            rustix::fs::statvfs(&path).map_err(|error| io_error("cannot look at", &path, error.into()))?;
        Ok(Some(system.f_bavail.saturating_mul(system.f_frsize)))
    }
}

/// Makes everything in the store's file system durable at once; says `false` where the system cannot.
fn sync_all(staging: &Path) -> Result<bool, StoreError> {
    fsx::sync_file_system(staging).map_err(|error| io_error("cannot sync", staging, error))
}

/// Makes the bytes of staged blobs durable.
fn sync(staging: &Path, blobs: &[Box<DiskStaged>]) -> Result<(), StoreError> {
    let one_by_one = |blobs: &[Box<DiskStaged>]| {
        blobs.iter().try_for_each(|blob| {
            fsx::sync_file(blob.path()).map_err(|error| io_error("cannot sync", blob.path(), error))
        })
    };
    if blobs.len() <= SYNC_ONE_BY_ONE {
        return one_by_one(blobs);
    }
    if sync_all(staging)? {
        return Ok(());
    }
    std::thread::scope(|scope| {
        let share = blobs.len().div_ceil(SYNC_THREADS);
        let threads: Vec<_> =
            blobs.chunks(share).map(|blobs| scope.spawn(move || one_by_one(blobs))).collect();
        threads.into_iter().try_for_each(|thread| {
            thread.join().unwrap_or(Err(StoreError::Misuse("a thread that syncs files panicked")))
        })
    })
}

/// The names in a directory, sorted; a directory that is not there is empty.
fn names(directory: &Path) -> Result<Vec<String>, StoreError> {
    let failed = |error| io_error("cannot list", directory, error);
    let entries = match std::fs::read_dir(directory) {
        Ok(entries) => entries,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(failed(error)),
    };
    let mut names = Vec::new();
    for entry in entries {
        names.extend(entry.map_err(failed)?.file_name().into_string());
    }
    names.sort_unstable();
    Ok(names)
}

/// Removes a file; how many bytes it had.
fn free(path: &Path, remove: fn(&Path) -> std::io::Result<bool>) -> Result<u64, StoreError> {
    let size = std::fs::symlink_metadata(path).map(|metadata| metadata.len()).unwrap_or_default();
    let removed = remove(path).map_err(|error| io_error("cannot remove", path, error))?;
    Ok(if removed { size } else { 0 })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fsx::faults::{Fault, Kind, Watch};
    use crate::store::Expected;
    use crate::store::conformance::{self, put, stage};

    fn fresh() -> (tempfile::TempDir, DiskBlobs, Layout) {
        let home = crate::fsx::test_directory();
        let layout = Layout::new(home.path());
        let blobs = DiskBlobs::open(&layout).unwrap();
        (home, blobs, layout)
    }

    #[test]
    fn it_conforms() {
        let (_home, blobs, layout) = fresh();
        conformance::all(&blobs);
        assert_eq!(names(&layout.staging()).unwrap(), [""; 0], "nothing is left behind");
        assert!(blobs.free_space().unwrap().unwrap() > 0);
    }

    #[test]
    fn blobs_are_read_only_and_strangers_are_not_listed() {
        use std::os::unix::fs::PermissionsExt;
        let (_home, blobs, layout) = fresh();
        let key = put(&blobs, b"bytes");
        let mode = layout.blob(&key).metadata().unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o444);
        fsx::replace_file(&layout.blob_directory(&key).join("README"), b"not a blob").unwrap();
        let elsewhere = layout.blobs().join("zz");
        fsx::create_directory(&elsewhere, fsx::Access::Private).unwrap();
        fsx::replace_file(&elsewhere.join(key.hex()), b"in the wrong place").unwrap();
        let mut listed = Vec::new();
        blobs
            .list(&mut |key, _| {
                listed.push(key);
                Ok(true)
            })
            .unwrap();
        assert_eq!(listed, [key]);
    }

    #[test]
    fn a_truncated_blob_is_healed_by_settling_it_again() {
        let (_home, blobs, layout) = fresh();
        let key = put(&blobs, b"whole bytes");
        fsx::remove(&layout.blob(&key)).unwrap();
        fsx::replace_file(&layout.blob(&key), b"whole").unwrap();
        put(&blobs, b"whole bytes");
        assert_eq!(std::fs::read(layout.blob(&key)).unwrap(), b"whole bytes");
    }

    #[test]
    fn staging_is_kept_while_it_is_young_or_in_use() {
        let (_home, blobs, layout) = fresh();
        let name = "ab".repeat(32);
        let mut write = blobs.resume(&name, &[]).unwrap();
        write.write(b"1234").unwrap();
        assert_eq!(blobs.empty_trash(0).unwrap(), 0, "somebody works on it");
        write.suspend();
        assert_eq!(blobs.empty_trash(3600).unwrap(), 0, "it is young");
        assert_eq!(blobs.resume(&name, &[]).unwrap().length(), 4);
        assert_eq!(blobs.empty_trash(0).unwrap(), 4);
        assert_eq!(names(&layout.staging()).unwrap(), [""; 0]);
    }

    /// Settles a group of new blobs and one that is resumed.
    fn work(blobs: &DiskBlobs) -> Result<(), StoreError> {
        let mut group = Vec::new();
        for number in 0..6 {
            let mut write = blobs.begin(&[], true)?;
            write.write(format!("blob {number}").as_bytes())?;
            group.push(write.stage(&Expected::default())?);
        }
        let mut write = blobs.resume(&"cd".repeat(32), &[])?;
        if write.length() == 0 {
            write.write(b"resu")?;
        }
        if write.length() == 4 {
            write.write(b"med")?;
        }
        let expected = Expected { key: Some(BlobKey::of(b"resumed")), ..Expected::default() };
        group.push(write.stage(&expected)?);
        blobs.settle(group)
    }

    fn assert_sound(layout: &Layout) -> usize {
        let blobs = DiskBlobs::open(layout).unwrap();
        let mut count = 0;
        blobs
            .list(&mut |key, _| {
                assert_eq!(BlobKey::of(&std::fs::read(layout.blob(&key)).unwrap()), key);
                count += 1;
                Ok(true)
            })
            .unwrap();
        count
    }

    #[test]
    fn whatever_write_fails_blobs_are_whole_and_the_next_run_completes() {
        let (home, blobs, _) = fresh();
        let watch = Watch::new(home.path());
        work(&blobs).unwrap();
        let points = watch.count();
        assert!(points > 30);
        drop(watch);
        for kind in [Kind::Enospc, Kind::ShortWrite, Kind::Halt] {
            for at in 1..=points {
                let (home, blobs, layout) = fresh();
                let watch = Watch::new(home.path());
                watch.plan(Fault { at, kind });
                let result = work(&blobs);
                assert!(watch.forget(), "{kind:?} at {at} was reached");
                assert!(result.is_err(), "{kind:?} at {at} is reported");
                assert_sound(&layout);
                drop(blobs);
                let blobs = DiskBlobs::open(&layout).unwrap();
                // A short write into a named session leaves a beginning that is not one of ours.
                if work(&blobs).is_err() {
                    work(&blobs).unwrap();
                }
                assert_eq!(assert_sound(&layout), 7);
                blobs.empty_trash(0).unwrap();
                assert_eq!(names(&layout.staging()).unwrap(), [""; 0], "{kind:?} at {at}");
            }
        }
    }

    #[test]
    fn a_large_download_that_was_complete_is_found_again() {
        let (_home, blobs, layout) = fresh();
        let (name, bytes) = ("ef".repeat(32), vec![7; 5 << 20]);
        let stage = || {
            let mut write = blobs.resume(&name, &[]).unwrap();
            if write.length() == 0 {
                write.write(&bytes).unwrap();
            }
            assert_eq!(write.length(), bytes.len() as u64);
            write.stage(&Expected::default()).unwrap()
        };
        let staged = stage();
        assert!(matches!(blobs.resume(&name, &[]), Err(StoreError::Busy(_))), "until it is settled");
        drop(staged);
        assert_eq!(blobs.resume(&name, &[]).unwrap().length(), bytes.len() as u64);
        for _ in 0..2 {
            let staged = stage();
            let key = staged.key();
            blobs.settle(vec![staged]).unwrap();
            assert_eq!(blobs.size(&key).unwrap(), Some(bytes.len() as u64));
            assert!(layout.blob(&key).metadata().unwrap().permissions().readonly());
            assert_eq!(names(&layout.staging()).unwrap(), [""; 0]);
        }
    }

    #[test]
    fn a_session_whose_write_failed_does_not_go_on() {
        let (home, blobs, _) = fresh();
        let mut write = blobs.begin(&[], true).unwrap();
        let watch = Watch::new(home.path());
        watch.plan(Fault { at: 1, kind: Kind::ShortWrite });
        assert!(matches!(write.write(b"12345678"), Err(StoreError::Io { .. })));
        assert!(matches!(write.write(b"1"), Err(StoreError::Misuse(_))));
        write.restart().unwrap();
        write.write(b"anew").unwrap();
        assert_eq!(write.stage(&Expected::default()).unwrap().key(), BlobKey::of(b"anew"));
        drop(stage(&blobs, b"dropped"));
    }
}
