//! Planned failures: the N-th write below a directory fails, or the program ends there.
//!
//! Tests count the fault points of some work with a [`Watch`], then run the work once for every one of them.
//! Watches of different directories don't see each other, so that tests run side by side. A child process is
//! told by the variable `AFTK_FAULT`, for example `17:abort`; it counts every write of the process.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, LazyLock, Mutex, MutexGuard, PoisonError};

/// What goes wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// The disk is full.
    Enospc,
    /// The disk is broken.
    Eio,
    /// Half of the bytes are written before the disk is full. Elsewhere than in a write: the disk is full.
    ShortWrite,
    /// The process ends at once.
    Abort,
    /// Every call from here on fails: for what is on disk the same as [`Kind::Abort`], within the process.
    Halt,
}

/// A failure at the `at`-th fault point, counted from 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Fault {
    /// At which fault point.
    pub at: u64,
    /// What goes wrong there.
    pub kind: Kind,
}

/// Counts the fault points below a directory, and makes one of them fail.
#[derive(Debug)]
pub struct Watch {
    state: Arc<Mutex<State>>,
}

#[derive(Debug)]
struct State {
    root: PathBuf,
    count: u64,
    last: u64,
    fault: Option<Fault>,
}

static WATCHES: LazyLock<Mutex<Vec<Arc<Mutex<State>>>>> =
    LazyLock::new(|| Mutex::new(from_environment().into_iter().collect()));

impl Watch {
    /// Begins to count the fault points at or below `root`.
    pub fn new(root: &Path) -> Watch {
        let state = State { root: root.to_owned(), count: 0, last: 0, fault: None };
        let state = Arc::new(Mutex::new(state));
        lock(&WATCHES).push(state.clone());
        Watch { state }
    }

    /// How many fault points were passed since the watch, or its last plan, began.
    pub fn count(&self) -> u64 {
        lock(&self.state).count
    }

    /// What [`Watch::count`] was when [`Watch::plan`] was first called.
    pub fn last(&self) -> u64 {
        lock(&self.state).last
    }

    /// Counts from 0 again, and lets this fault happen.
    pub fn plan(&self, fault: Fault) {
        let mut state = lock(&self.state);
        if state.last == 0 {
            state.last = state.count;
        }
        (state.count, state.fault) = (0, Some(fault));
    }

    /// Lets nothing happen any more. Says whether the fault was reached.
    pub fn forget(&self) -> bool {
        let mut state = lock(&self.state);
        state.fault.take().is_some_and(|fault| state.count >= fault.at)
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        lock(&WATCHES).retain(|other| !Arc::ptr_eq(other, &self.state));
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[expect(clippy::disallowed_methods, reason = "faults are for tests alone, no part of the configuration")]
fn from_environment() -> Option<Arc<Mutex<State>>> {
    let text = std::env::var("AFTK_FAULT").ok()?;
    let fault = parse(&text)?;
    Some(Arc::new(Mutex::new(State { root: PathBuf::new(), count: 0, last: 0, fault: Some(fault) })))
}

fn parse(text: &str) -> Option<Fault> {
    let (at, kind) = text.split_once(':')?;
    let kind = match kind {
        "enospc" => Kind::Enospc,
        "eio" => Kind::Eio,
        "short-write" => Kind::ShortWrite,
        "abort" => Kind::Abort,
        "halt" => Kind::Halt,
        _ => return None,
    };
    Some(Fault { at: at.parse().ok()?, kind })
}

/// Counts a fault point; what goes wrong there, if anything.
fn pass(path: &Path) -> Option<Kind> {
    let mut hit = None;
    for state in lock(&WATCHES).iter() {
        let mut state = lock(state);
        // The watch from the environment has the empty root, which every path begins with.
        if !path.starts_with(&state.root) {
            continue;
        }
        state.count += 1;
        match state.fault {
            Some(fault) if fault.at == state.count => hit = Some(fault.kind),
            Some(Fault { at, kind: Kind::Halt }) if at < state.count => hit = Some(Kind::Halt),
            _ => {}
        }
    }
    if hit == Some(Kind::Abort) {
        std::process::abort();
    }
    hit
}

fn error(kind: Kind, what: &str) -> io::Error {
    let kind = match kind {
        Kind::Enospc | Kind::ShortWrite => io::ErrorKind::StorageFull,
        Kind::Eio | Kind::Abort | Kind::Halt => io::ErrorKind::Other,
    };
    io::Error::new(kind, format!("a planned fault ({what})"))
}

/// A fault point that writes nothing.
pub(super) fn point(path: &Path, what: &'static str) -> io::Result<()> {
    match pass(path) {
        Some(kind) => Err(error(kind, what)),
        None => Ok(()),
    }
}

/// The fault point of a write: how many of the bytes reach the file, and the error after them.
pub(super) fn write<'a>(path: &Path, bytes: &'a [u8]) -> Option<(&'a [u8], io::Error)> {
    let kind = pass(path)?;
    let written = if kind == Kind::ShortWrite { bytes.len() / 2 } else { 0 };
    Some((bytes.get(..written).unwrap_or_default(), error(kind, "write")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_planned_call_fails_and_no_other() {
        let (here, there) = (Path::new("/nowhere/a"), Path::new("/nowhere/b"));
        let watch = Watch::new(here);
        watch.plan(Fault { at: 2, kind: Kind::Enospc });
        assert!(point(&here.join("1"), "test").is_ok());
        assert!(point(there, "test").is_ok());
        assert_eq!(point(&here.join("2"), "test").unwrap_err().kind(), io::ErrorKind::StorageFull);
        assert!(point(here, "test").is_ok());
        assert!(watch.forget());

        watch.plan(Fault { at: 1, kind: Kind::ShortWrite });
        assert_eq!(write(here, b"1234").unwrap().0, b"12");
        watch.plan(Fault { at: 1, kind: Kind::Halt });
        assert!(point(here, "test").is_err() && point(here, "test").is_err());
    }

    #[test]
    fn the_variable_is_read() {
        assert_eq!(parse("17:abort"), Some(Fault { at: 17, kind: Kind::Abort }));
        assert_eq!(parse("abort"), None);
        assert_eq!(parse("x:eio"), None);
    }
}
