//! What a site has already, so that a bundle need not carry it.

use std::collections::HashSet;
use std::io::BufReader;
use std::path::{Path, PathBuf};

use bundle_format::{BlobKey, Record, RecordOrder, SegmentReader, Snapshot};
use serde::{Deserialize, Serialize};

use super::issue::AtSite;
use super::media;
use super::receipt::{self, Pins};
use crate::events::Events;
use crate::problem::{Kind, Problem};
use crate::store::{SnapshotEntry, Store};

/// The largest list of missing blobs in bytes: one of three million.
const LARGEST_LIST: u64 = 256 * 1024 * 1024;
/// Snapshots are read up to this size (the format's own limit).
const LARGEST_SNAPSHOT: u64 = 1024 * 1024;

/// How it is known what the site has.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Basis {
    /// It has what this snapshot of the channel lists.
    Snapshot(u64),
    /// It has what any snapshot of the channel up to this one lists.
    UpTo(u64),
    /// It says so in receipts; of several sites, what all have.
    Receipts(Vec<PathBuf>),
    /// It has everything but what this list names.
    AllBut(PathBuf),
}

/// Finds out what the site has.
///
/// # Errors
/// Usage, if there is no such snapshot here, or a file is none; untrusted for a receipt that is not what a site signed.
pub(super) fn at_site(
    basis: &Basis,
    channel: &str,
    store: &Store,
    pins: &Pins,
    events: &dyn Events,
) -> Result<Box<AtSite>, Problem> {
    let among = |keys: HashSet<BlobKey>| -> Box<AtSite> { Box::new(move |key| keys.contains(key)) };
    Ok(match basis {
        Basis::Snapshot(sequence) => {
            let mut keys = HashSet::new();
            listed(&snapshot(store, channel, *sequence)?, store, &mut keys)?;
            among(keys)
        }
        Basis::UpTo(last) => {
            let mut keys = HashSet::new();
            // That there is one of that number is known, so that a slip of the pen is noticed.
            snapshot(store, channel, *last)?;
            for entry in store.catalogue.snapshots(channel)?.iter().filter(|entry| entry.sequence <= *last) {
                listed(entry, store, &mut keys)?;
            }
            among(keys)
        }
        Basis::Receipts(files) => {
            let mut common: Option<HashSet<BlobKey>> = None;
            for file in files {
                let keys = receipt::held(file, store, pins, events)?;
                common = Some(match common {
                    Some(known) => known.intersection(&keys).copied().collect(),
                    None => keys,
                });
            }
            among(common.unwrap_or_default())
        }
        Basis::AllBut(file) => {
            let wanted = read_list(file)?;
            Box::new(move |key| !wanted.contains(key))
        }
    })
}

/// A snapshot of this side's own.
///
/// # Errors
/// Usage, if there is none of that number.
pub(super) fn snapshot(store: &Store, channel: &str, sequence: u64) -> Result<SnapshotEntry, Problem> {
    let known = store.catalogue.snapshots(channel)?;
    let newest = known.last().map(|entry| entry.sequence);
    known.into_iter().rev().find(|entry| entry.sequence == sequence).ok_or_else(|| {
        let message = format!("there is no sequence {sequence} of the channel {channel} here");
        let problem = Problem::new(Kind::Usage, "collect.no-snapshot", message);
        match newest {
            Some(newest) => problem.hint(format!("the newest one is {newest}")),
            None => problem.hint("name the channel with --channel; `aftk ls` shows what is here"),
        }
    })
}

/// The keys of all segments and blobs of a snapshot.
pub(super) fn listed(
    entry: &SnapshotEntry,
    store: &Store,
    keys: &mut HashSet<BlobKey>,
) -> Result<(), Problem> {
    records(entry, store, &mut |record| {
        if let Record::Artifact(artifact) = record {
            keys.extend(artifact.files.iter().map(|file| file.blob));
        }
        Ok(())
    })?;
    keys.extend(&entry.segments);
    Ok(())
}

/// Reads the records of a snapshot that is held; the snapshot.
///
/// # Errors
/// If its papers are not held, or not sound.
pub(super) fn records(
    entry: &SnapshotEntry,
    store: &Store,
    each: &mut dyn FnMut(Record) -> Result<(), Problem>,
) -> Result<Snapshot, Problem> {
    let place = format!("{} {}", entry.channel, entry.sequence);
    let format = |error| media::problem(error, Path::new(&place));
    let bytes = super::read_blob(store, &entry.snapshot, LARGEST_SNAPSHOT)?;
    let snapshot = Snapshot::from_bytes(&bytes).map_err(format)?;
    let mut order = RecordOrder::default();
    for segment in &snapshot.segments {
        let blob = store.blobs.open(&segment.digest)?;
        let blob = blob.ok_or(crate::store::StoreError::Missing(segment.digest))?;
        for record in SegmentReader::new(segment, BufReader::new(blob.file), &mut order) {
            each(record.map_err(format)?)?;
        }
    }
    Ok(snapshot)
}

/// The keys in a list, each at the beginning of a line, as `import --missing` writes it.
fn read_list(path: &Path) -> Result<HashSet<BlobKey>, Problem> {
    let unreadable = |why: String| {
        Problem::new(Kind::Usage, "input.unreadable", format!("cannot read {}", path.display())).because(why)
    };
    let length = path.metadata().map_err(|error| unreadable(error.to_string()))?.len();
    if length > LARGEST_LIST {
        return Err(unreadable(format!("{length} bytes are no list of blobs")));
    }
    let text = std::fs::read_to_string(path).map_err(|error| unreadable(error.to_string()))?;
    let mut keys = HashSet::new();
    for (line, number) in text.lines().zip(1..) {
        let Some(word) = line.split_whitespace().next() else { continue };
        let key = word.parse().map_err(|_| {
            Problem::new(Kind::Usage, "collect.missing-list", "a line does not begin with a blob's key")
                .at(format!("{}:{number}", path.display()))
                .hint("give the file that `aftk import --missing FILE` wrote")
        })?;
        keys.insert(key);
    }
    Ok(keys)
}
