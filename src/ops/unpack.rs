//! Taking the blobs of a bundle in: one thread reads and verifies them, others hold them against what the snapshot
//! claims, and write them.

mod writers;

use std::fs::File;
use std::path::Path;

use bundle_format::{FormatError, RecordOrder, SegmentReader, VolumeReader};

use self::writers::{Target, Writers};
use super::accession::Accession;
use super::archive_index;
use super::intake::Intake;
use super::media;
use crate::cancel::Cancel;
use crate::events::{Events, Happening};
use crate::problem::Problem;
use crate::store::Store;

/// How many blobs were new here, and how many bytes they have.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct New {
    pub(super) blobs: u64,
    pub(super) bytes: u64,
}

/// Reads every blob of the bundle at `path` once: rows out of segments, which come first, then bytes into staging.
///
/// # Errors
/// What is wrong with a blob, the first in the bundle if there are several; or that the store does not take it.
pub(super) fn unpack(
    volume: &mut VolumeReader<File>,
    store: &Store,
    intake: &Intake,
    accession: &mut Accession,
    path: &Path,
    events: &dyn Events,
    cancel: &Cancel,
) -> Result<New, Problem> {
    let format = |error| media::problem(error, path);
    let sink = |error| format(FormatError::Sink(error));
    let mut index = archive_index::Check::of(volume);
    let mut order = RecordOrder::default();
    let mut next = volume.next_blob().map_err(format)?;
    while let Some(segment) = volume.current_segment().cloned() {
        cancel.check()?;
        let (_, bytes) = volume.read_segment().map_err(format)?;
        for record in SegmentReader::new(&segment, bytes.as_slice(), &mut order) {
            let record = record.map_err(format)?;
            if let Some(index) = &mut index {
                index.take(&record, volume);
            }
            accession.add(record)?;
        }
        intake.keep(&bytes, None)?;
        events.emit(Happening::ItemProgress { bytes: segment.size });
        next = volume.next_blob().map_err(format)?;
    }
    index.map_or(Ok(()), |index| index.finish(path))?;
    // From here on, the rows can be asked what they claim of a blob.
    accession.flush()?;
    let target = Target { store, intake, generation: accession.generation(), path };
    std::thread::scope(|scope| {
        let mut writers = Writers::start(scope, target)?;
        let mut read = || {
            while let Some((key, size)) = next {
                cancel.check()?;
                writers.begin(key, size).map_err(sink)?;
                let copied = volume.copy_blob(&mut |bytes| {
                    events.emit(Happening::ItemProgress { bytes: bytes.len() as u64 });
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
    })
}
