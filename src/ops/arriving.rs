//! Bundles that arrive volume by volume, and what is missing of what arrived.

use std::collections::BTreeMap;
use std::path::Path;

use bundle_format::{BlobKey, Snapshot};

use super::media::Set;
use crate::clock;
use crate::problem::{Kind, Problem};
use crate::store::{Arrival, SessionId, Store};

/// What has arrived of a bundle.
pub(super) fn arrival(store: &Store, packing: BlobKey) -> Result<Option<Arrival>, Problem> {
    Ok(store.catalogue.arrivals()?.into_iter().find(|arrival| arrival.packing == packing))
}

/// Forgets what else arrived of a snapshot that is here now: it may have been packed more than once.
pub(super) fn end_arrivals(store: &Store, snapshot: BlobKey) -> Result<(), Problem> {
    for arrival in store.catalogue.arrivals()?.iter().filter(|arrival| arrival.snapshot == snapshot) {
        store.catalogue.end_arrival(&arrival.packing)?;
    }
    Ok(())
}

pub(super) fn missing_segments(store: &Store, snapshot: &Snapshot) -> Result<(Vec<BlobKey>, u64), Problem> {
    let mut missing = Vec::new();
    for segment in &snapshot.segments {
        if store.blobs.size(&segment.digest)? != Some(segment.size) {
            missing.push(segment.digest);
        }
    }
    let count = missing.len() as u64;
    Ok((missing, count))
}

/// Writes a list that `collect --missing` reads: a key a line.
pub(super) fn write_list(path: &Path, keys: &[BlobKey]) -> Result<(), Problem> {
    let text: String = keys.iter().map(|key| format!("{key}\n")).collect();
    crate::fsx::replace_file(path, text.as_bytes()).map_err(|error| {
        Problem::new(Kind::Failed, "import.missing-list", format!("cannot write {}", path.display()))
            .caused_by(&error)
    })
}

/// A bundle of several volumes while they arrive.
pub(super) struct Arriving(Arrival);

impl Arriving {
    pub(super) fn begin(
        store: &Store,
        set: &Set,
        snapshot: &Snapshot,
        key: BlobKey,
    ) -> Result<Arriving, Problem> {
        if let Some(known) = arrival(store, set.packing)? {
            return Ok(Arriving(known));
        }
        let mut arrival = Arrival {
            packing: set.packing,
            snapshot: key,
            channel: snapshot.channel.clone(),
            epoch: snapshot.epoch,
            sequence: snapshot.sequence,
            volumes: set.count,
            arrived: BTreeMap::new(),
            session: SessionId(0),
            began: clock::now_text(),
        };
        arrival.session = store.catalogue.begin_arrival(&arrival)?;
        Ok(Arriving(arrival))
    }

    /// What keeps the blobs that have arrived.
    pub(super) fn session(&self) -> SessionId {
        self.0.session
    }

    pub(super) fn arrived(&mut self, store: &Store, number: u64, checked: bool) -> Result<(), Problem> {
        store.catalogue.volume_arrived(&self.0.packing, number, checked)?;
        let known = self.0.arrived.entry(number).or_default();
        *known |= checked;
        Ok(())
    }

    /// Whether all blobs were held against what is claimed of them when they came.
    pub(super) fn is_checked(&self) -> bool {
        self.0.arrived.values().all(|checked| *checked)
    }

    /// # Errors
    /// Incomplete, naming the volumes that have not arrived.
    pub(super) fn must_be_whole(&self, set: &Set) -> Result<(), Problem> {
        let arrived = self.0.arrived.keys().copied().collect();
        Set { arrived, ..set.clone() }.must_be_whole().map_err(|mut problem| {
            let Arrival { channel, sequence, arrived, .. } = &self.0;
            problem.message = format!("{channel} {sequence}: {}", problem.message);
            let here = arrived.keys().map(ToString::to_string).collect::<Vec<_>>().join(", ");
            problem.because(format!("kept here until the others come: {here}"))
        })
    }
}
