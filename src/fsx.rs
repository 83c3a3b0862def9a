//! Every file write of the program, so that what is durable, private or atomic is decided in one place.
//!
//! With the feature `faults` each call that writes is a fault point: see its module `faults`.

#![expect(clippy::disallowed_methods, reason = "this is the room that every write passes")]

#[cfg(feature = "faults")]
pub mod faults;
mod lock;
mod read_ahead;
mod whole;

use std::fs::{DirBuilder, OpenOptions, Permissions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

pub use lock::{Lock, remove_unless_locked};
pub use read_ahead::read_ahead;
pub(crate) use whole::random_name;
pub use whole::{
    AtomicDirectory, AtomicFile, TemporaryDirectory, lasting_temporary_directory, replace_file,
    replace_private, temporary_directory,
};

/// What a file that must not change any more is set to.
const READ_ONLY: u32 = 0o444;
/// After so many bytes the disk is asked to begin writing: what is left for the sync is little then, and a slow stick is
/// busy from the start.
const STRETCH: u64 = 8 << 20;

/// Who may read what is made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Access {
    /// As the user's umask says.
    Ordinary,
    /// The owner alone: keys, accounts, the store.
    Private,
}

impl Access {
    fn file_mode(self) -> u32 {
        match self {
            Access::Ordinary => 0o666,
            Access::Private => 0o600,
        }
    }

    fn directory_mode(self) -> u32 {
        match self {
            Access::Ordinary => 0o777,
            Access::Private => 0o700,
        }
    }
}

/// A file that is being written. [`File::sync`] makes it durable; dropping it does not.
#[derive(Debug)]
pub struct File {
    inner: std::fs::File,
    path: PathBuf,
    /// Bytes that the disk was not yet asked to write.
    waiting: u64,
}

impl File {
    /// Creates a file, or empties the one that is there.
    pub fn create(path: &Path, access: Access) -> io::Result<File> {
        File::open_with(path, OpenOptions::new().write(true).create(true).truncate(true), access)
    }

    /// Creates a file; one that is there is an error.
    pub fn create_new(path: &Path, access: Access) -> io::Result<File> {
        File::open_with(path, OpenOptions::new().write(true).create_new(true), access)
    }

    /// Opens a file to read what it holds and to write after it, or creates it. Links are not followed.
    pub fn resume(path: &Path, access: Access) -> io::Result<File> {
        let no_links = i32::try_from(rustix::fs::OFlags::NOFOLLOW.bits()).unwrap_or_default();
        let mut options = OpenOptions::new();
        options.read(true).write(true).create(true).truncate(false).custom_flags(no_links);
        File::open_with(path, &mut options, access)
    }

    fn open_with(path: &Path, options: &mut OpenOptions, access: Access) -> io::Result<File> {
        fault_point(path, "create")?;
        let inner = options.mode(access.file_mode()).open(path)?;
        Ok(File { inner, path: path.to_owned(), waiting: 0 })
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The file, for reading and for asking about it.
    pub fn inner(&self) -> &std::fs::File {
        &self.inner
    }

    /// Waits until its bytes and its size are on the disk.
    pub fn sync(&self) -> io::Result<()> {
        fault_point(&self.path, "sync")?;
        self.inner.sync_all()
    }

    /// Empties it; what is written next stands at its start.
    pub fn clear(&mut self) -> io::Result<()> {
        use std::io::Seek;
        fault_point(&self.path, "truncate")?;
        self.waiting = 0;
        self.inner.set_len(0)?;
        self.inner.rewind()
    }

    /// Has the disk begin to write what was written here, without waiting for it.
    fn begin_writing_back(&mut self) -> io::Result<()> {
        use std::io::Seek;
        let from = self.inner.stream_position()?.saturating_sub(self.waiting);
        // That the bytes are not needed soon makes the system write them. It keeps them until that is done, and an error
        // is left to be told by the sync.
        let length = std::num::NonZeroU64::new(self.waiting);
        let _ = rustix::fs::fadvise(&self.inner, from, length, rustix::fs::Advice::DontNeed);
        self.waiting = 0;
        Ok(())
    }

    /// Writes at a place; what is written next by [`Write`] stands where it would have stood.
    pub fn write_at(&self, place: u64, bytes: &[u8]) -> io::Result<()> {
        use std::os::unix::fs::FileExt;
        #[cfg(feature = "faults")]
        if let Some((written, error)) = faults::write(&self.path, bytes) {
            self.inner.write_all_at(written, place)?;
            return Err(error);
        }
        self.inner.write_all_at(bytes, place)
    }

    /// Gives it so many bytes: what is more is cut off, what is missing is zeros.
    pub fn set_size(&self, size: u64) -> io::Result<()> {
        fault_point(&self.path, "truncate")?;
        self.inner.set_len(size)
    }

    /// Lets nobody write it any more, its owner included.
    pub fn set_read_only(&self) -> io::Result<()> {
        fault_point(&self.path, "permissions")?;
        self.inner.set_permissions(Permissions::from_mode(READ_ONLY))
    }
}

impl Write for File {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.write_all(bytes)?;
        Ok(bytes.len())
    }

    fn write_all(&mut self, bytes: &[u8]) -> io::Result<()> {
        #[cfg(feature = "faults")]
        if let Some((written, error)) = faults::write(&self.path, bytes) {
            self.inner.write_all(written)?;
            return Err(error);
        }
        self.inner.write_all(bytes)?;
        self.waiting += bytes.len() as u64;
        if self.waiting >= STRETCH { self.begin_writing_back() } else { Ok(()) }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// A file in a directory that has no name: nothing is left of it once it is closed, whatever becomes of the process.
pub fn nameless_file(directory: &Path) -> io::Result<File> {
    let path = directory.join(random_name()?);
    let mut options = OpenOptions::new();
    let file = File::open_with(&path, options.read(true).write(true).create_new(true), Access::Private)?;
    remove(&path)?;
    Ok(file)
}

/// A place where a test can make the program fail or end. `what` says which step it is, for people who debug.
///
/// # Errors
/// Only what a test planned.
#[inline]
pub fn fault_point(path: &Path, what: &'static str) -> io::Result<()> {
    #[cfg(feature = "faults")]
    return faults::point(path, what);
    #[cfg(not(feature = "faults"))]
    {
        let _ = (path, what);
        Ok(())
    }
}

/// Moves a file, over one that may be there. Durable once both directories are synced.
pub fn rename(from: &Path, to: &Path) -> io::Result<()> {
    fault_point(to, "rename")?;
    std::fs::rename(from, to)
}

/// Removes a file; says whether there was one.
pub fn remove(path: &Path) -> io::Result<bool> {
    fault_point(path, "remove")?;
    match std::fs::remove_file(path) {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(error),
    }
}

/// Removes a directory and all below it. One that is not there is no error.
pub fn remove_directory(path: &Path) -> io::Result<()> {
    fault_point(path, "remove")?;
    match std::fs::remove_dir_all(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

/// Creates a directory and those above it that are missing, durably. One that is there stays as it is.
pub fn create_directory(path: &Path, access: Access) -> io::Result<()> {
    if path.is_dir() {
        return Ok(());
    }
    let parent = parent(path);
    create_directory(parent, access)?;
    make_directory(path, access)?;
    sync_directory(parent)
}

/// Creates a directory where its parent is; says whether it was missing. It is durable once its parent is synced.
pub fn make_directory(path: &Path, access: Access) -> io::Result<bool> {
    if path.is_dir() {
        return Ok(false);
    }
    fault_point(path, "create")?;
    match DirBuilder::new().mode(access.directory_mode()).create(path) {
        // Another process may have been faster.
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists || !path.is_dir() => Err(error),
        _ => Ok(true),
    }
}

/// The directory that a path stands in.
fn parent(path: &Path) -> &Path {
    match path.parent() {
        Some(parent) if parent.as_os_str().is_empty() => Path::new("."),
        Some(parent) => parent,
        None => Path::new("/"),
    }
}

/// What is said of a link where none is followed.
const LINK: &str = "it is a symbolic link, and links are not followed";

/// Opens a regular file for reading; links are not followed, and devices and pipes are not waited for.
pub fn open_regular(path: &Path) -> io::Result<std::fs::File> {
    let flags = rustix::fs::OFlags::NOFOLLOW | rustix::fs::OFlags::NONBLOCK;
    let flags = i32::try_from(flags.bits()).unwrap_or_default();
    let opened = OpenOptions::new().read(true).custom_flags(flags).open(path);
    let file = opened.map_err(|error| {
        // The system would speak of too many levels of links.
        let link = error.raw_os_error() == Some(rustix::io::Errno::LOOP.raw_os_error());
        if link { io::Error::new(io::ErrorKind::InvalidInput, LINK) } else { error }
    })?;
    if !file.metadata()?.is_file() {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "it is not a regular file"));
    }
    Ok(file)
}

/// Makes durable which names a directory holds.
pub fn sync_directory(path: &Path) -> io::Result<()> {
    fault_point(path, "sync")?;
    std::fs::File::open(path)?.sync_all()
}

/// Makes durable what is in a file that is closed already.
pub fn sync_file(path: &Path) -> io::Result<()> {
    fault_point(path, "sync")?;
    std::fs::File::open(path)?.sync_all()
}

/// Makes everything durable that was written to the file system that `path` is on. Says `false` where the
/// system cannot.
pub fn sync_file_system(path: &Path) -> io::Result<bool> {
    use rustix::io::Errno;
    fault_point(path, "sync")?;
    match rustix::fs::syncfs(std::fs::File::open(path)?) {
        Ok(()) => Ok(true),
        Err(Errno::NOSYS | Errno::INVAL | Errno::OPNOTSUPP) => Ok(false),
        Err(error) => Err(error.into()),
    }
}

/// Reads a file of at most `limit` bytes; `None` if it is not there, an error if it is larger or no file.
pub fn read_limited(path: &Path, limit: u64) -> io::Result<Option<Vec<u8>>> {
    let file = match std::fs::File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error),
    };
    let too_large = || {
        io::Error::new(
            io::ErrorKind::FileTooLarge,
            format!("it has more than {}", crate::units::bytes(limit)),
        )
    };
    let metadata = file.metadata()?;
    if metadata.is_dir() {
        return Err(io::ErrorKind::IsADirectory.into());
    }
    if metadata.is_file() && metadata.len() > limit {
        return Err(too_large());
    }
    let mut bytes = Vec::new();
    // What is not a regular file, a pipe for example, has no size that could be trusted.
    file.take(limit.saturating_add(1)).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > limit { Err(too_large()) } else { Ok(Some(bytes)) }
}

/// When a file was last written.
pub fn modified(path: &Path) -> io::Result<SystemTime> {
    std::fs::symlink_metadata(path)?.modified()
}

/// A directory of a test's own: in memory where the system has such a place, as no test needs bytes that outlive
/// the machine, and a disk that really syncs is slow.
#[cfg(test)]
pub(crate) fn test_directory() -> tempfile::TempDir {
    tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir()).expect("a directory for the test")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn private_means_the_owner_alone() {
        let home = test_directory();
        let directory = home.path().join("a/b");
        create_directory(&directory, Access::Private).unwrap();
        let mode = |path: &Path| path.metadata().unwrap().permissions().mode() & 0o777;
        assert_eq!(mode(&home.path().join("a")), 0o700);
        assert_eq!(mode(&directory), 0o700);
        create_directory(&directory, Access::Private).unwrap();

        replace_private(&directory.join("key"), b"secret").unwrap();
        assert_eq!(mode(&directory.join("key")), 0o600);
        assert!(create_directory(&directory.join("key"), Access::Private).is_err());
    }

    #[test]
    fn small_files_are_read_up_to_the_limit() {
        let home = test_directory();
        let path = home.path().join("file");
        assert_eq!(read_limited(&path, 5).unwrap(), None);
        replace_file(&path, b"12345").unwrap();
        assert_eq!(read_limited(&path, 5).unwrap().unwrap(), b"12345");
        assert_eq!(read_limited(&path, 4).unwrap_err().kind(), io::ErrorKind::FileTooLarge);
        assert!(read_limited(home.path(), 4).is_err());
    }
}
