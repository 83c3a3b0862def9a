//! What one bundle carried: the artifacts and refs that its snapshot lists, whatever its channel shows since.

use std::collections::HashMap;

use bundle_format::{BlobKey, Record, RecordOrder};

use super::select;
use super::snapshots;
use crate::problem::Problem;
use crate::store::{Linked, Source, Store};

/// The artifacts of a snapshot: 32 bytes for each, and the labels of its own refs.
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
        let snapshot = snapshots::read(store, entry)?;
        let mut carried = Carried { source: Source::Channel(channel.to_owned()), labels: HashMap::new() };
        let mut order = RecordOrder::default();
        for segment in &snapshot.segments {
            for record in snapshots::segment(store, segment, &mut order)? {
                match record {
                    Record::Artifact(it) => {
                        let key = key([&it.ecosystem, &it.repository, &it.name, &it.version]);
                        carried.labels.entry(key).or_default();
                    }
                    Record::Ref(it) => {
                        let key = key([&it.ecosystem, &it.repository, &it.name, &it.version]);
                        carried.labels.entry(key).or_default().push(it.label);
                    }
                    _ => {}
                }
            }
        }
        Ok(carried)
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
