//! Advisory locks between processes: flock, which the kernel gives back when a process dies.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::Duration;

use rustix::fs::FlockOperation;
use rustix::io::Errno;

/// An exclusive lock, held until it is dropped.
#[derive(Debug)]
pub struct Lock {
    file: File,
    /// The file that carries it, if it goes with the lock.
    passing: Option<PathBuf>,
}

impl Lock {
    /// Takes the lock on `path`, which is created if need be; `None` if somebody else holds it, in this process
    /// or another.
    pub fn try_exclusive(path: &Path) -> io::Result<Option<Lock>> {
        let file = open(path)?;
        Ok(lock_soon(&file)?.then_some(Lock { file, passing: None }))
    }

    /// Takes the lock on `path` once it is free.
    pub fn exclusive(path: &Path) -> io::Result<Lock> {
        let file = open(path)?;
        rustix::io::retry_on_intr(|| rustix::fs::flock(&file, FlockOperation::LockExclusive))?;
        Ok(Lock { file, passing: None })
    }

    /// Takes the lock on `path` once it is free. The file goes away with the lock: for places where it would be in
    /// people's way. Every holder must take it like this.
    pub fn passing(path: &Path) -> io::Result<Lock> {
        loop {
            let mut lock = Lock::exclusive(path)?;
            // Whoever held it before may have removed the file that was waited for.
            if is_at(&lock.file, path)? {
                lock.passing = Some(path.to_owned());
                return Ok(lock);
            }
        }
    }
}

impl Drop for Lock {
    fn drop(&mut self) {
        if let Some(path) = &self.passing {
            // Still locked. A file that stays is only in the way.
            let _ = super::remove(path);
        }
    }
}

/// Whether an open file is the one that stands at a path.
fn is_at(file: &File, path: &Path) -> io::Result<bool> {
    let mine = file.metadata()?;
    match std::fs::symlink_metadata(path) {
        Ok(there) => Ok((there.dev(), there.ino()) == (mine.dev(), mine.ino())),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(error),
    }
}

#[expect(clippy::disallowed_methods, reason = "a lock is a write that has no bytes")]
fn open(path: &Path) -> io::Result<File> {
    OpenOptions::new().read(true).write(true).create(true).truncate(false).mode(0o600).open(path)
}

/// How often a lock that somebody holds is tried again, and after how long.
const TRIES: usize = 40;
const WAIT: Duration = Duration::from_millis(5);

/// Locks an open file; says whether that went well. A lock can outlive its holder for a moment: a process that is
/// just being started holds all open files of its parent until it is the other program. So a few more tries.
fn lock_soon(file: &File) -> io::Result<bool> {
    for _ in 0..TRIES {
        if try_lock(file)? {
            return Ok(true);
        }
        std::thread::sleep(WAIT);
    }
    try_lock(file)
}

/// Locks an open file; says whether that went well. The lock ends with the file.
fn try_lock(file: &File) -> io::Result<bool> {
    match rustix::fs::flock(file, FlockOperation::NonBlockingLockExclusive) {
        Ok(()) => Ok(true),
        Err(Errno::WOULDBLOCK) => Ok(false),
        Err(error) => Err(error.into()),
    }
}

/// Removes a file unless somebody holds its lock; says whether it did. Whoever locks it by [`super::File::try_lock`]
/// meanwhile is told that it is gone.
pub fn remove_unless_locked(path: &Path) -> io::Result<bool> {
    let file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(false),
        Err(error) => return Err(error),
    };
    if lock_soon(&file)? { super::remove(path) } else { Ok(false) }
}

impl super::File {
    /// Locks this file; says whether that went well. `false` also if, by then, the path names another file or
    /// none: whoever held the lock before has moved it away.
    pub fn try_lock(&self) -> io::Result<bool> {
        if !lock_soon(&self.inner)? {
            return Ok(false);
        }
        is_at(&self.inner, &self.path)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_holder_at_a_time() {
        let home = crate::fsx::test_directory();
        let path = home.path().join("lock");
        let held = Lock::try_exclusive(&path).unwrap().unwrap();
        assert!(Lock::try_exclusive(&path).unwrap().is_none());
        drop(held);
        assert!(Lock::try_exclusive(&path).unwrap().is_some());
        Lock::exclusive(&path).unwrap();
    }

    #[test]
    fn a_passing_lock_leaves_no_file_and_lets_nobody_in_beside_it() {
        use std::sync::atomic::{AtomicUsize, Ordering};
        let home = crate::fsx::test_directory();
        let path = home.path().join("lock");
        let (inside, entered) = (AtomicUsize::new(0), AtomicUsize::new(0));
        std::thread::scope(|scope| {
            for _ in 0..8 {
                scope.spawn(|| {
                    for _ in 0..50 {
                        let _lock = Lock::passing(&path).unwrap();
                        assert_eq!(inside.fetch_add(1, Ordering::SeqCst), 0);
                        entered.fetch_add(1, Ordering::SeqCst);
                        inside.fetch_sub(1, Ordering::SeqCst);
                    }
                });
            }
        });
        assert_eq!(entered.into_inner(), 400);
        assert!(!path.exists());
    }

    #[test]
    fn a_file_that_was_moved_away_is_not_locked_by_its_old_name() {
        use crate::fsx::{Access, File};
        let home = crate::fsx::test_directory();
        let path = home.path().join("file");
        let file = File::resume(&path, Access::Private).unwrap();
        std::fs::read(&path).unwrap();
        crate::fsx::rename(&path, &home.path().join("elsewhere")).unwrap();
        assert!(!file.try_lock().unwrap());
    }

    #[test]
    fn what_is_locked_is_not_removed() {
        use crate::fsx::{Access, File};
        let home = crate::fsx::test_directory();
        let path = home.path().join("file");
        let file = File::resume(&path, Access::Private).unwrap();
        assert!(file.try_lock().unwrap());
        assert!(!remove_unless_locked(&path).unwrap());
        drop(file);
        assert!(remove_unless_locked(&path).unwrap());
        assert!(!remove_unless_locked(&path).unwrap());
    }
}
