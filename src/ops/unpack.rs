//! Taking the blobs of a bundle in: one thread reads and verifies them, others hold them against what the snapshot
//! claims, and write them.

mod pieces;
mod writers;

use std::collections::HashMap;
use std::path::Path;

use bundle_format::{BlobKey, FormatError, RecordOrder, SegmentReader, SegmentRef, Snapshot};
use bytes::Bytes;

pub(super) use self::pieces::{Pieces, recheck};
use self::writers::{Target, Writers};
use super::accession::Accession;
use super::archive_index;
use super::intake::Intake;
use super::media::{self, Volume};
use crate::cancel::Cancel;
use crate::events::{Events, Happening};
use crate::problem::Problem;
use crate::store::{Generation, Store};

/// How many blobs were new here, and how many bytes they have.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct New {
    pub(super) blobs: u64,
    pub(super) bytes: u64,
}

/// A volume whose segments are read, and whose other blobs are to be.
pub(super) struct Unpacking<'a> {
    volume: Volume,
    path: &'a Path,
    /// The blob that was begun.
    next: Option<(BlobKey, u64)>,
}

/// What unpacking needs of this side.
#[derive(Clone, Copy)]
pub(super) struct Side<'a> {
    pub(super) store: &'a Store,
    pub(super) intake: &'a Intake,
    pub(super) events: &'a dyn Events,
    pub(super) cancel: &'a Cancel,
}

impl<'a> Unpacking<'a> {
    /// Takes in the segments, of the snapshot and of recipes, which come first. With `rows`, all segments of the snapshot are
    /// in this volume, and become rows at once: nothing of one that is refused is left in the store then.
    ///
    /// # Errors
    /// If the volume is not sound, or the store does not take them; as [`stage`].
    pub(super) fn begin(
        mut volume: Volume,
        path: &'a Path,
        mut rows: Option<&mut Accession>,
        side: Side<'_>,
    ) -> Result<Unpacking<'a>, Problem> {
        let format = |error| media::problem(error, path);
        let mut index = rows.as_ref().and_then(|_| archive_index::Check::of(&volume));
        let mut order = RecordOrder::default();
        let mut next = volume.next_blob().map_err(format)?;
        loop {
            side.cancel.check()?;
            let segment = volume.current_segment().cloned();
            if segment.is_none() && volume.current_recipes().is_none() {
                break;
            }
            let (_, bytes) = volume.read_segment().map_err(format)?;
            if let (Some(segment), Some(rows)) = (&segment, &mut rows) {
                for record in SegmentReader::new(segment, bytes.as_slice(), &mut order) {
                    let record = record.map_err(format)?;
                    if let Some(index) = &mut index {
                        index.take(&record, &volume);
                    }
                    rows.add(record)?;
                }
            }
            side.intake.keep(&bytes, None)?;
            side.events.emit(Happening::ItemProgress { bytes: bytes.len() as u64 });
            next = volume.next_blob().map_err(format)?;
        }
        index.map_or(Ok(()), |index| index.finish(path))?;
        // From here on, the rows can be asked what they claim of a blob.
        rows.map_or(Ok(()), Accession::flush)?;
        Ok(Unpacking { volume, path, next })
    }

    /// The volume.
    pub(super) fn volume(&self) -> &Volume {
        &self.volume
    }

    /// Takes in all other blobs, and reads the volume to its end. `generation` has the rows that say what is claimed of
    /// them, where these are known.
    ///
    /// # Errors
    /// What is wrong with a blob, the first in the volume if there are several; or that the store does not take it.
    pub(super) fn finish(
        self,
        generation: Option<Generation>,
        pieces: &HashMap<BlobKey, u64>,
        side: Side<'_>,
    ) -> Result<New, Problem> {
        let Unpacking { mut volume, path, mut next } = self;
        let format = |error| media::problem(error, path);
        let sink = |error| format(FormatError::Sink(error));
        let target = Target { store: side.store, intake: side.intake, generation, pieces, path };
        let new = std::thread::scope(|scope| -> Result<New, Problem> {
            let mut writers = Writers::start(scope, target)?;
            let mut read = || -> Result<(), Problem> {
                while let Some((key, size)) = next {
                    side.cancel.check()?;
                    writers.begin(key, size).map_err(sink)?;
                    let copied = volume.copy_blob(&mut |bytes| {
                        side.events.emit(Happening::ItemProgress { bytes: bytes.len() as u64 });
                        writers.bytes(bytes)
                    });
                    writers.end(copied.map_err(format)?).map_err(sink)?;
                    next = volume.next_blob().map_err(format)?;
                }
                Ok(())
            };
            let read = read();
            // What a writer met stands in the bundle before what the reader met, and may be why the reader had to stop.
            let new = writers.finish()?;
            read.map(|()| new)
        })?;
        volume.finish().map_err(format)?;
        Ok(new)
    }
}

/// Makes rows of the snapshot's segments, as far as the store has them by now; says whether it has all.
///
/// # Errors
/// If a segment breaks a rule.
pub(super) fn stage(
    accession: &mut Accession,
    snapshot: &Snapshot,
    path: &Path,
    side: Side<'_>,
) -> Result<bool, Problem> {
    let mut order = RecordOrder::default();
    for segment in &snapshot.segments {
        side.cancel.check()?;
        let Some(bytes) = read_again(side.store, segment)? else { return Ok(false) };
        for record in SegmentReader::new(segment, bytes.as_ref(), &mut order) {
            accession.add(record.map_err(|error| media::problem(error, path))?)?;
        }
    }
    accession.flush()?;
    Ok(true)
}

/// The bytes of a segment that the store has, if it does. They may have come long ago, so they are hashed once more before
/// anything is believed of them.
///
/// # Errors
/// Untrusted, if they are not what they were.
fn read_again(store: &Store, segment: &SegmentRef) -> Result<Option<Bytes>, Problem> {
    match store.blobs.size(&segment.digest)? == Some(segment.size) {
        true => super::read_blob(store, &segment.digest, segment.size).map(Some),
        false => Ok(None),
    }
}
