//! Files that are there whole or not at all, and directories that go away by themselves.

use std::fs::OpenOptions;
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use super::{
    Access, File, create_directory, make_directory, parent, remove, remove_directory, rename, sync_directory,
};

/// A file that takes its name only when it is complete: written beside it, synced, renamed. Dropped before
/// [`AtomicFile::commit`] it leaves nothing, and what had the name stays.
#[derive(Debug)]
pub struct AtomicFile {
    file: File,
    target: PathBuf,
    done: bool,
}

impl AtomicFile {
    /// Begins a file that everybody may read.
    pub fn create(path: &Path) -> io::Result<AtomicFile> {
        AtomicFile::create_with(path, Access::Ordinary)
    }

    /// Removes what processes that died left of files that were to have this name. Only for a caller who knows that
    /// nobody is writing one.
    pub fn remove_leftovers(path: &Path) -> io::Result<()> {
        let begin = format!("{}.", beginning(path)?);
        for entry in std::fs::read_dir(parent(path))? {
            let entry = entry?;
            let name = entry.file_name();
            let name = name.to_string_lossy();
            if name.starts_with(&begin) && name.ends_with(PARTIAL) {
                remove(&entry.path())?;
            }
        }
        Ok(())
    }

    /// Begins a file.
    pub fn create_with(path: &Path, access: Access) -> io::Result<AtomicFile> {
        let beside = parent(path).join(format!("{}.{}{PARTIAL}", beginning(path)?, random_name()?));
        Ok(AtomicFile { file: File::create_new(&beside, access)?, target: path.to_owned(), done: false })
    }

    /// Writes at a place of it, such as after bytes that are still to come.
    pub fn write_at(&self, place: u64, bytes: &[u8]) -> io::Result<()> {
        self.file.write_at(place, bytes)
    }

    /// Makes what was written so far durable and opens it for reading, past the cache: what comes back is what the
    /// medium holds, as far as the system lets one ask. To be read with [`read_ahead`](super::read_ahead).
    pub fn read_back(&self) -> io::Result<std::fs::File> {
        self.file.sync()?;
        let path = self.file.path();
        let direct = i32::try_from(rustix::fs::OFlags::DIRECT.bits()).unwrap_or_default();
        let opened = OpenOptions::new().read(true).custom_flags(direct).open(path);
        opened.or_else(|_| {
            // Only advice: on a file system that keeps everything in memory there is nothing else to read.
            let file = std::fs::File::open(path)?;
            let _ = rustix::fs::fadvise(&file, 0, None, rustix::fs::Advice::DontNeed);
            Ok(file)
        })
    }

    /// Makes it durable and gives it its name.
    pub fn commit(mut self) -> io::Result<()> {
        self.file.sync()?;
        rename(self.file.path(), &self.target)?;
        self.done = true;
        sync_directory(parent(&self.target))
    }
}

impl Write for AtomicFile {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.file.write(bytes)
    }

    fn write_all(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.file.write_all(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Drop for AtomicFile {
    fn drop(&mut self) {
        if !self.done {
            let _ = remove(self.file.path());
        }
    }
}

/// A directory that takes its name only when it is complete: filled beside it, synced, renamed. Dropped before
/// [`AtomicDirectory::commit`] it leaves nothing.
#[derive(Debug)]
pub struct AtomicDirectory {
    partial: PathBuf,
    target: PathBuf,
    done: bool,
}

impl AtomicDirectory {
    /// Begins a directory that everybody may read. What has its name already may only be an empty directory.
    pub fn create(path: &Path) -> io::Result<AtomicDirectory> {
        AtomicDirectory::create_with(path, Access::Ordinary)
    }

    /// Begins a directory.
    pub fn create_with(path: &Path, access: Access) -> io::Result<AtomicDirectory> {
        let partial = parent(path).join(format!("{}.{}{PARTIAL}", beginning(path)?, random_name()?));
        make_directory(&partial, access)?;
        Ok(AtomicDirectory { partial, target: path.to_owned(), done: false })
    }

    /// Where it is filled. Whoever fills it syncs the files and the directories in it.
    pub fn path(&self) -> &Path {
        &self.partial
    }

    /// Makes it durable and gives it its name.
    ///
    /// # Errors
    /// Also if something other than an empty directory has the name by now.
    pub fn commit(mut self) -> io::Result<()> {
        sync_directory(&self.partial)?;
        rename(&self.partial, &self.target)?;
        self.done = true;
        sync_directory(parent(&self.target))
    }
}

impl Drop for AtomicDirectory {
    fn drop(&mut self) {
        if !self.done {
            let _ = remove_directory(&self.partial);
        }
    }
}

/// Replaces a small file, or makes it: the old bytes are there until the new ones are durable.
pub fn replace_file(path: &Path, bytes: &[u8]) -> io::Result<()> {
    replace(path, bytes, Access::Ordinary)
}

/// What the name of a file ends in that is not complete.
const PARTIAL: &str = ".partial";

/// What the name of such a file begins with: at most 255 bytes are allowed, the random part included.
fn beginning(path: &Path) -> io::Result<String> {
    let name = path.file_name().ok_or(io::ErrorKind::InvalidInput)?.to_string_lossy();
    Ok(format!(".{}", name.chars().take(40).collect::<String>()))
}

/// [`replace_file`] for what its owner alone may read.
pub fn replace_private(path: &Path, bytes: &[u8]) -> io::Result<()> {
    replace(path, bytes, Access::Private)
}

fn replace(path: &Path, bytes: &[u8], access: Access) -> io::Result<()> {
    let mut file = AtomicFile::create_with(path, access)?;
    file.write_all(bytes)?;
    file.commit()
}

/// A directory that is removed, with all in it, when this is dropped.
#[derive(Debug)]
pub struct TemporaryDirectory {
    path: PathBuf,
}

impl TemporaryDirectory {
    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }
}

impl Drop for TemporaryDirectory {
    fn drop(&mut self) {
        let _ = remove_directory(&self.path);
    }
}

/// An empty directory of our own among the system's temporary files.
pub fn temporary_directory() -> io::Result<TemporaryDirectory> {
    let path = std::env::temp_dir().join(format!("aftk-{}", random_name()?));
    create_directory(&path, Access::Private)?;
    Ok(TemporaryDirectory { path })
}

/// A directory of our own among the system's temporary files that stays: its name begins with `purpose`.
pub fn lasting_temporary_directory(purpose: &str) -> io::Result<PathBuf> {
    let path = std::env::temp_dir().join(format!("{purpose}-{}", random_name()?));
    create_directory(&path, Access::Private)?;
    Ok(path)
}

/// 16 hex digits that nobody can guess.
pub(crate) fn random_name() -> io::Result<String> {
    let mut bytes = [0; 8];
    getrandom::fill(&mut bytes).map_err(|error| io::Error::other(error.to_string()))?;
    Ok(bundle_format::digest::encode_hex(&bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_replaced_whole_or_not_at_all() {
        let home = crate::fsx::test_directory();
        let path = home.path().join("site.toml");
        replace_file(&path, b"old").unwrap();
        let mut dropped = AtomicFile::create(&path).unwrap();
        dropped.write_all(b"half").unwrap();
        drop(dropped);
        assert_eq!(std::fs::read(&path).unwrap(), b"old");
        replace_file(&path, b"new").unwrap();
        assert_eq!(std::fs::read(&path).unwrap(), b"new");
        assert_eq!(home.path().read_dir().unwrap().count(), 1);
    }

    #[test]
    fn every_failing_step_leaves_the_old_file() {
        use crate::fsx::faults::{Fault, Kind, Watch};
        let home = crate::fsx::test_directory();
        let path = home.path().join("key");
        replace_file(&path, b"old").unwrap();
        let watch = Watch::new(home.path());
        replace_file(&path, b"old").unwrap();
        for at in 1..=watch.count() {
            for kind in [Kind::Enospc, Kind::Eio, Kind::ShortWrite] {
                watch.plan(Fault { at, kind });
                assert!(replace_file(&path, b"new").is_err(), "fault {at}");
                watch.forget();
                let bytes = std::fs::read(&path).unwrap();
                // After the rename the new bytes are there, only not surely for ever.
                assert!(bytes == b"old" || (bytes == b"new" && at == watch.last()), "fault {at}");
                replace_file(&path, b"old").unwrap();
            }
        }
        assert_eq!(home.path().read_dir().unwrap().count(), 1, "no partial file is left");
    }

    #[test]
    fn a_temporary_directory_goes_away() {
        let directory = temporary_directory().unwrap();
        let path = directory.path().to_owned();
        replace_file(&path.join("file"), b"").unwrap();
        drop(directory);
        assert!(!path.exists());
    }
}
