//! Snapshots that this store accepted, read again: what they list is kept as blobs.

use bundle_format::{Record, RecordOrder, SegmentReader, SegmentRef, Snapshot, limits};

use super::media;
use crate::problem::Problem;
use crate::store::{SnapshotEntry, Store};

/// Reads an accepted snapshot.
///
/// # Errors
/// If its blob is gone or damaged.
pub(super) fn read(store: &Store, entry: &SnapshotEntry) -> Result<Snapshot, Problem> {
    let bytes = super::read_blob(store, &entry.snapshot, limits::MAX_DOCUMENT)?;
    Snapshot::from_bytes(&bytes).map_err(|error| media::problem(error, entry.snapshot.to_string().as_ref()))
}

/// Reads the records of one of its segments; `order` is that of the segments before.
///
/// # Errors
/// If its blob is gone or damaged.
pub(super) fn segment(
    store: &Store,
    segment: &SegmentRef,
    order: &mut RecordOrder,
) -> Result<Vec<Record>, Problem> {
    let bytes = super::read_blob(store, &segment.digest, limits::MAX_SEGMENT as u64)?;
    let records: Result<Vec<_>, _> = SegmentReader::new(segment, bytes.as_ref(), order).collect();
    records.map_err(|error| media::problem(error, segment.digest.to_string().as_ref()))
}
