//! What bundles carried: the artifacts and refs that their snapshots list, whatever its channel shows since.

use std::collections::{HashMap, HashSet};

use bundle_format::{BlobKey, Record, RecordOrder};

use super::select;
use super::snapshots;
use crate::problem::Problem;
use crate::store::{Linked, SnapshotEntry, Source, Store};

/// The artifacts of snapshots: 32 bytes for each, and the labels of its own refs.
pub(super) struct Carried {
    source: Source,
    /// By what an artifact is called.
    labels: HashMap<BlobKey, Vec<String>>,
}

impl Carried {
    /// Reads what the bundle of that number in its channel carried; of several epochs, in the newest that has it.
    ///
    /// # Errors
    /// Incomplete (4), if no such bundle was taken in here; if what it lists cannot be read.
    pub(super) fn read(store: &Store, channel: &str, sequence: u64) -> Result<Carried, Problem> {
        let entries = store.catalogue.snapshots(channel)?;
        let entry = entries.iter().filter(|entry| entry.sequence == sequence).max_by_key(|entry| entry.epoch);
        let entry = entry.ok_or_else(|| {
            select::nothing(format!("no bundle {sequence} of the channel {channel} was taken in here"))
        })?;
        Carried::by(store, channel, std::slice::from_ref(entry))
    }

    /// Reads what any of these bundles of a channel carried.
    ///
    /// # Errors
    /// If what one of them lists cannot be read.
    pub(super) fn by(store: &Store, channel: &str, entries: &[SnapshotEntry]) -> Result<Carried, Problem> {
        let mut carried = Carried { source: Source::Channel(channel.to_owned()), labels: HashMap::new() };
        let mut known = HashSet::new();
        for entry in entries {
            let snapshot = snapshots::read(store, entry)?;
            let mut order = RecordOrder::default();
            // What several of them list stands in the same segments.
            for segment in snapshot.segments.iter().filter(|segment| known.insert(segment.digest)) {
                for record in snapshots::segment(store, segment, &mut order)? {
                    carried.add(record);
                }
            }
        }
        Ok(carried)
    }

    fn add(&mut self, record: Record) {
        match record {
            Record::Artifact(it) => {
                let key = key([&it.ecosystem, &it.repository, &it.name, &it.version]);
                self.labels.entry(key).or_default();
            }
            Record::Ref(it) => {
                let key = key([&it.ecosystem, &it.repository, &it.name, &it.version]);
                self.labels.entry(key).or_default().push(it.label);
            }
            Record::Repository(_) => {}
        }
    }

    /// The labels that lead to an artifact of the bundle; `None` if it is none of it.
    pub(super) fn labels(&self, linked: &Linked) -> Option<&[String]> {
        let it = &linked.artifact;
        let key = key([&it.ecosystem, &it.repository, &it.name, &it.version]);
        self.labels.get(&key).filter(|_| linked.source == self.source).map(Vec::as_slice)
    }
}

/// What an artifact is called, in 32 bytes. No part of it has a zero byte.
fn key(parts: [&str; 4]) -> BlobKey {
    BlobKey::of(parts.join("\0").as_bytes())
}
