//! An inbox: a directory whose volumes are imported as they appear. It is only read.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use super::import::{self, ImportReport, ImportRequest};
use super::media;
use crate::cancel::Cancel;
use crate::events::Events;
use crate::problem::{Kind, Problem};
use crate::store::Store;
use crate::trust::Trust;

/// How often one looks whether the wish to stop came.
const PAUSE: Duration = Duration::from_millis(50);

/// What a file was like when it was looked at: another size or time is another file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Look {
    size: u64,
    modified: Option<SystemTime>,
}

/// The volumes of an inbox, and what was done about them. Of what is taken out of it nothing is remembered.
struct Inbox {
    directory: PathBuf,
    /// As they were when one looked before.
    seen: BTreeMap<PathBuf, Look>,
    /// Those that were imported, or refused.
    done: BTreeMap<PathBuf, Look>,
    /// Those of them that were refused, or that rely on what was not here.
    refused: BTreeSet<PathBuf>,
    waiting: BTreeSet<PathBuf>,
    /// The version of the root document when they were refused.
    root: u64,
}

/// Imports the volumes of a directory, those that are there and those that come, until the job is stopped. A volume is taken
/// once it is whole: when its `.sha256` lies beside it, or it was the same when one looked `every` ago. What was refused is
/// not looked at again until it is another file, or other keys are trusted; what relies on something that is not here,
/// whenever something else was imported. `found` hears what became of those that came together.
///
/// # Errors
/// Usage, if there is no such directory; if this side cannot go on.
pub fn watch(
    (store, trust): (&Store, &Trust),
    directory: &Path,
    every: Duration,
    found: &mut dyn FnMut(&ImportReport),
    events: &dyn Events,
    cancel: &Cancel,
) -> Result<(), Problem> {
    if !directory.is_dir() {
        let message = format!("{} is no directory", directory.display());
        return Err(Problem::new(Kind::Usage, "watch.directory", message).hint("make the inbox first"));
    }
    let mut inbox = Inbox {
        directory: directory.to_owned(),
        seen: BTreeMap::new(),
        done: BTreeMap::new(),
        refused: BTreeSet::new(),
        waiting: BTreeSet::new(),
        root: 0,
    };
    loop {
        let trust = trust.reread()?;
        let paths = inbox.look(trust.root().map_or(0, |root| root.version));
        if paths.is_empty() {
            if stops_within(every, cancel) {
                return Ok(());
            }
            continue;
        }
        let request = ImportRequest { paths, dry_run: false, missing: None };
        match import::import(store, &trust, &request, events, cancel) {
            Ok(report) => {
                inbox.note(&report);
                found(&report);
            }
            Err(problem) if problem.kind == Kind::Interrupted => return Ok(()),
            // A medium that was pulled out just now.
            Err(problem) if problem.kind == Kind::Usage => {}
            Err(problem) => return Err(problem),
        }
    }
}

/// Waits; says whether the job is to stop.
fn stops_within(every: Duration, cancel: &Cancel) -> bool {
    let mut waited = Duration::ZERO;
    while waited < every && cancel.check().is_ok() {
        std::thread::sleep(PAUSE);
        waited += PAUSE;
    }
    cancel.check().is_err()
}

impl Inbox {
    /// The volumes that are to be imported now. A directory that cannot be read, as when a medium is changed, is empty.
    fn look(&mut self, root: u64) -> Vec<PathBuf> {
        let mut there = BTreeMap::new();
        for path in media::volumes(std::slice::from_ref(&self.directory)).unwrap_or_default() {
            if let Ok(metadata) = path.symlink_metadata() {
                there.insert(path, Look { size: metadata.len(), modified: metadata.modified().ok() });
            }
        }
        let before = std::mem::replace(&mut self.seen, there);
        self.done.retain(|path, look| self.seen.get(path) == Some(look));
        let is_trusted_otherwise = std::mem::replace(&mut self.root, root) != root;
        self.done.retain(|path, _| !(is_trusted_otherwise && self.refused.contains(path)));
        self.refused.retain(|path| self.done.contains_key(path));
        self.waiting.retain(|path| self.done.contains_key(path));
        let is_new = |path: &PathBuf| !self.done.contains_key(path);
        let is_whole = |(path, look): (&PathBuf, &Look)| {
            before.get(path) == Some(look) || media::sidecar(path).is_file()
        };
        let taken = self.seen.iter().filter(|(path, look)| is_new(path) && is_whole((path, look)));
        let taken: Vec<(PathBuf, Look)> = taken.map(|(path, look)| (path.clone(), *look)).collect();
        self.done.extend(taken.iter().cloned());
        taken.into_iter().map(|(path, _)| path).collect()
    }

    /// Notes what became of volumes.
    fn note(&mut self, report: &ImportReport) {
        for failed in &report.failed {
            match failed.problem.kind {
                // Volumes are kept until the others come.
                Kind::Incomplete if failed.problem.code != import::RELIES => {}
                Kind::Incomplete => drop(self.waiting.insert(failed.file.clone())),
                _ => drop(self.refused.insert(failed.file.clone())),
            }
        }
        if !report.bundles.is_empty() {
            let waiting = std::mem::take(&mut self.waiting);
            self.done.retain(|path, _| !waiting.contains(path));
        }
    }
}
