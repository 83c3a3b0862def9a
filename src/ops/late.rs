//! Snapshots that arrive after a newer one of their channel: an urgent patch overtook them on the way. They add what
//! they have, and nothing that the newer ones say is taken back.

use std::collections::BTreeSet;

use bundle_format::{Mode, RecordOrder, Snapshot};

use super::snapshots;
use crate::cancel::Cancel;
use crate::problem::{Kind, Problem};
use crate::store::{Generation, Store};

/// The accepted snapshots of the channel that are newer, oldest first.
fn newer(store: &Store, snapshot: &Snapshot) -> Result<Vec<Snapshot>, Problem> {
    let mut found = Vec::new();
    for entry in store.catalogue.snapshots(&snapshot.channel)? {
        if (entry.epoch, entry.sequence) > (snapshot.epoch, snapshot.sequence) {
            found.push(snapshots::read(store, &entry)?);
        }
    }
    Ok(found)
}

/// Refuses a late snapshot if a newer one said exactly what the channel shows: else whoever holds a medium back could
/// bring back what was withdrawn.
///
/// # Errors
/// `trust.overtaken`; if a snapshot cannot be read.
pub(super) fn must_not_be_replaced(store: &Store, snapshot: &Snapshot) -> Result<(), Problem> {
    let newer = newer(store, snapshot)?.into_iter().find(|newer| newer.mode == Mode::Replace);
    let Some(newer) = newer else { return Ok(()) };
    Err(Problem::new(
        Kind::Refused,
        "trust.overtaken",
        format!(
            "sequence {} of channel {} comes too late: sequence {} says exactly what the channel holds",
            snapshot.sequence, snapshot.channel, newer.sequence
        ),
    )
    .hint("there is nothing to do: whatever is still wanted is in the newer one"))
}

/// Takes back from the generation of a late snapshot what newer ones say themselves, be it the same or not. What only
/// older ones had said is the late one's to replace.
///
/// # Errors
/// If a segment of a newer snapshot cannot be read, or the job is stopped.
pub(super) fn give_way(
    store: &Store,
    generation: Generation,
    snapshot: &Snapshot,
    cancel: &Cancel,
) -> Result<(), Problem> {
    // What both list is the same in both, and each segment is read once.
    let mut read: BTreeSet<_> = snapshot.segments.iter().map(|segment| segment.digest).collect();
    for newer in newer(store, snapshot)? {
        let mut order = RecordOrder::default();
        for segment in &newer.segments {
            if !read.insert(segment.digest) {
                continue;
            }
            cancel.check()?;
            let records = snapshots::segment(store, segment, &mut order)?;
            for batch in records.chunks(super::accession::BATCH) {
                store.catalogue.give_way(generation, batch)?;
            }
        }
    }
    Ok(())
}
