//! Is everything that is held what it should be? Every blob is hashed again; damaged ones are set aside, so that
//! the next collect or import brings them back.

use std::collections::BTreeMap;
use std::sync::mpsc::{Receiver, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};

use bundle_format::{BlobHasher, BlobKey};
use serde::{Deserialize, Serialize};

use crate::cancel::Cancel;
use crate::events::{Events, Happening};
use crate::problem::{Kind, Problem};
use crate::store::{Blobs, CATALOGUE_DAMAGED, Store};

/// How many blobs are hashed at once.
const THREADS: usize = 2;
/// How much of a blob is read at once.
const BUFFER: usize = 256 * 1024;
/// How many rows of the catalogue are read at once.
const PAGE: usize = 1_000;
/// The most damaged or missing blobs that are named, and the most artifacts for each; all are counted.
const NAMED: usize = 1_000;

/// What was found.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct CheckReport {
    /// How many blobs are held and sound.
    pub blobs: u64,
    /// How many bytes they have.
    pub bytes: u64,
    /// How many blobs were damaged and set aside.
    pub damaged_count: u64,
    /// Their keys, the first 1,000.
    pub damaged: Vec<BlobKey>,
    /// How many blobs are needed and not held, those set aside now included.
    pub missing_count: u64,
    /// Which, and who needs them; the first 1,000.
    pub missing: Vec<Missing>,
    /// What is wrong with the catalogue and its audit log.
    pub catalogue: Vec<String>,
}

/// A blob that is needed and not held.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Missing {
    /// The blob.
    pub blob: BlobKey,
    /// The artifacts (`ecosystem:name version`) or snapshots that need it, the first 1,000.
    pub needed_by: Vec<String>,
}

impl CheckReport {
    /// Whether nothing is damaged or missing.
    pub fn is_sound(&self) -> bool {
        self.damaged_count == 0 && self.missing_count == 0 && self.catalogue.is_empty()
    }

    /// What is wrong, a sentence each, for people.
    pub fn findings(&self) -> impl Iterator<Item = String> {
        let damaged = self.damaged.iter().map(|key| format!("damaged, set aside: {key}"));
        let more = |count: u64, named: usize, what: &str| {
            let unnamed = count.saturating_sub(named as u64);
            (unnamed > 0).then(|| format!("{what}: {unnamed} more"))
        };
        let missing = self.missing.iter().map(|missing| {
            let named = missing.needed_by.first().map_or("", String::as_str);
            match missing.needed_by.len() {
                0 | 1 => format!("missing: {}, needed by {named}", missing.blob),
                count => format!("missing: {}, needed by {named} and {} more", missing.blob, count - 1),
            }
        });
        let catalogue = self.catalogue.iter().map(|line| format!("catalogue: {line}"));
        damaged
            .chain(more(self.damaged_count, self.damaged.len(), "damaged, set aside"))
            .chain(missing)
            .chain(more(self.missing_count, self.missing.len(), "missing"))
            .chain(catalogue)
    }
}

/// Checks the whole store.
///
/// # Errors
/// If the store cannot be read, or the job was stopped. What is unsound is no error but stands in the report.
pub fn check(store: &Store, events: &dyn Events, cancel: &Cancel) -> Result<CheckReport, Problem> {
    let mut report = hash_all(&*store.blobs, events, cancel)?;
    report.catalogue = store.catalogue.check().or_else(found)?;
    if let Err(problem) = find_missing(store, cancel, &mut report) {
        report.catalogue.extend(found(problem)?);
    }
    Ok(report)
}

/// What a catalogue that cannot be read is found to be; any other problem ends the check.
fn found(problem: impl Into<Problem>) -> Result<Vec<String>, Problem> {
    let problem = problem.into();
    if problem.code == CATALOGUE_DAMAGED { Ok(vec![problem.message]) } else { Err(problem) }
}

/// Hashes every blob again and sets aside what is not what its key says.
fn hash_all(blobs: &dyn Blobs, events: &dyn Events, cancel: &Cancel) -> Result<CheckReport, Problem> {
    let (mut items, mut bytes) = (0, 0);
    blobs.list(&mut |_, size| {
        items += 1;
        bytes += size;
        Ok(true)
    })?;
    events.emit(Happening::Stage { name: "check".into(), items: Some(items), bytes: Some(bytes) });
    let (send, receive) = sync_channel(4 * THREADS);
    let receive = Arc::new(Mutex::new(receive));
    std::thread::scope(|scope| {
        let workers: Vec<_> = (0..THREADS)
            .map(|_| {
                // Each worker has its own hold: when the last one ends, the listing below does too.
                let receive = receive.clone();
                scope.spawn(move || work(&receive, blobs, events, cancel))
            })
            .collect();
        drop(receive);
        // A worker that failed takes no more; what went wrong is its result.
        let listed = blobs.list(&mut |key, _| Ok(send.send(key).is_ok()));
        drop(send);
        let mut report = CheckReport::default();
        for worker in workers {
            let stopped = |_| Problem::new(Kind::Failed, "internal.panic", "a worker thread ended early");
            let found = worker.join().map_err(stopped)??;
            report.blobs += found.blobs;
            report.bytes += found.bytes;
            report.damaged_count += found.damaged_count;
            report.damaged.extend(found.damaged);
        }
        listed?;
        report.damaged.sort();
        report.damaged.truncate(NAMED);
        Ok(report)
    })
}

/// Hashes the blobs that are handed over, until there are no more.
fn work(
    receive: &Mutex<Receiver<BlobKey>>,
    blobs: &dyn Blobs,
    events: &dyn Events,
    cancel: &Cancel,
) -> Result<CheckReport, Problem> {
    let mut report = CheckReport::default();
    let mut buffer = vec![0; BUFFER];
    loop {
        let next = receive.lock().unwrap_or_else(PoisonError::into_inner).recv();
        let Ok(key) = next else { return Ok(report) };
        match hash(blobs, &key, &mut buffer, events, cancel)? {
            // Removed by another process in between.
            None => {}
            Some((found, length)) if found == key => {
                report.blobs += 1;
                report.bytes += length;
            }
            Some(_) => {
                blobs.quarantine(&key)?;
                events.warn("check.damaged", format!("{key} is damaged and was set aside"));
                report.damaged_count += 1;
                if report.damaged.len() < NAMED {
                    report.damaged.push(key);
                }
            }
        }
    }
}

/// What a blob's bytes come to, and how many there are. Bytes that the disk does not return count as damaged.
fn hash(
    blobs: &dyn Blobs,
    key: &BlobKey,
    buffer: &mut [u8],
    events: &dyn Events,
    cancel: &Cancel,
) -> Result<Option<(BlobKey, u64)>, Problem> {
    use std::io::{ErrorKind, Read};
    let Some(mut blob) = blobs.open(key)? else { return Ok(None) };
    let (mut hash, mut length) = (BlobHasher::default(), 0);
    loop {
        cancel.check()?;
        match blob.file.read(buffer) {
            Ok(0) => break,
            Ok(count) => {
                hash.update(buffer.get(..count).unwrap_or_default());
                length += count as u64;
                events.emit(Happening::ItemProgress { bytes: count as u64 });
            }
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => {
                events.warn("check.unreadable", format!("{key} cannot be read: {error}"));
                break;
            }
        }
    }
    Ok(Some((hash.finish(), length)))
}

/// Looks for every blob that the view or a snapshot names.
fn find_missing(store: &Store, cancel: &Cancel, report: &mut CheckReport) -> Result<(), Problem> {
    let mut missing = BTreeMap::new();
    let mut look = |blob: BlobKey, size: Option<u64>, who: &dyn Fn() -> String| {
        let held = store.blobs.size(&blob)?;
        if held.is_some() && (size.is_none() || held == size) {
            return Ok::<_, Problem>(());
        }
        let known = missing.len();
        let needed_by: &mut Vec<String> = match missing.entry(blob) {
            std::collections::btree_map::Entry::Occupied(entry) => entry.into_mut(),
            std::collections::btree_map::Entry::Vacant(entry) => {
                report.missing_count += 1;
                if known >= NAMED {
                    return Ok(());
                }
                entry.insert(Vec::new())
            }
        };
        if needed_by.len() < NAMED {
            needed_by.push(who());
        }
        Ok(())
    };
    let mut cursor = None;
    loop {
        cancel.check()?;
        let page = store.catalogue.list(cursor.as_ref(), PAGE)?;
        let Some(last) = page.last() else { break };
        cursor = Some(last.cursor.clone());
        for artifact in page.iter().map(|listed| &listed.linked.artifact) {
            let who = || format!("{}:{} {}", artifact.ecosystem, artifact.name, artifact.version);
            for file in &artifact.files {
                look(file.blob, Some(file.size), &who)?;
            }
        }
    }
    let mut problem = None;
    store.catalogue.deposits(&mut |blob, size| {
        let looked =
            cancel.check().and_then(|()| look(blob, Some(size), &|| "what clients uploaded".to_owned()));
        problem = looked.err();
        Ok(problem.is_none())
    })?;
    if let Some(problem) = problem {
        return Err(problem);
    }
    for channel in store.catalogue.channels()? {
        for entry in store.catalogue.snapshots(&channel.name)? {
            let who = || format!("snapshot {}/{}", entry.channel, entry.sequence);
            for blob in [entry.snapshot, entry.signatures].into_iter().chain(entry.segments.iter().copied()) {
                look(blob, None, &who)?;
            }
        }
    }
    report.missing = missing.into_iter().map(|(blob, needed_by)| Missing { blob, needed_by }).collect();
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::events::Silent;
    use crate::fsx;
    use crate::ops::testing::{artifact, import, keep};

    fn run(store: &Store) -> CheckReport {
        check(store, &Silent, &Cancel::default()).unwrap()
    }

    #[test]
    fn what_is_damaged_is_set_aside_and_named() {
        let home = crate::fsx::test_directory();
        let store = Store::open(home.path()).unwrap();
        assert!(run(&store).is_sound());
        for text in ["one", "two", "three"] {
            keep(&store, text);
        }
        import(&store, "prod", &[artifact("a", "1", &["one", "two"]), artifact("b", "1", &["two", "three"])]);
        let report = run(&store);
        assert!(report.is_sound());
        assert_eq!((report.blobs, report.bytes), (3, 11));

        let damaged = BlobKey::of(b"two");
        let path = store.layout.blob(&damaged);
        fsx::remove(&path).unwrap();
        fsx::replace_file(&path, b"twO").unwrap();
        fsx::remove(&store.layout.blob(&BlobKey::of(b"one"))).unwrap();
        let report = run(&store);
        assert!(!report.is_sound());
        assert_eq!((report.blobs, report.damaged.as_slice()), (1, [damaged].as_slice()));
        let missing = |text: &str| {
            let found = report.missing.iter().find(|missing| missing.blob == BlobKey::of(text.as_bytes()));
            found.unwrap().needed_by.clone()
        };
        assert_eq!(missing("one"), ["npm:a 1"]);
        assert_eq!(missing("two"), ["npm:a 1", "npm:b 1"]);
        assert_eq!(report.findings().count(), 3);
        assert_eq!(
            fsx::read_limited(&store.layout.quarantine().join(damaged.hex()), 9).unwrap().unwrap(),
            b"twO"
        );

        keep(&store, "one");
        keep(&store, "two");
        assert!(run(&store).is_sound());
    }

    #[test]
    fn it_can_be_stopped() {
        let home = crate::fsx::test_directory();
        let store = Store::open(home.path()).unwrap();
        for number in 0..50 {
            keep(&store, &format!("{number}"));
        }
        let cancel = Cancel::default();
        cancel.ask();
        assert_eq!(check(&store, &Silent, &cancel).unwrap_err().kind, Kind::Interrupted);
    }
}
