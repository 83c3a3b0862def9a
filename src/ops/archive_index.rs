//! Bundles that are OCI archives as well: what their `index.json` is to be, and whether it is.

use std::path::Path;

use bundle_format::{BlobKey, Record, VolumeReader};

use crate::ecosystem::{ArchiveIndex, registry};
use crate::problem::{Kind, Problem};

/// The index for records that travel together and whole; `None` if they are not all of one ecosystem that has such.
///
/// # Errors
/// The first that is none.
pub(super) fn of(records: impl Iterator<Item = Result<Record, Problem>>) -> Result<Option<Vec<u8>>, Problem> {
    let Some(mut index) = begin() else { return Ok(None) };
    for record in records {
        index.take(&record?);
    }
    Ok(index.finish())
}

/// Of the ecosystems of a build there is one at most whose artifacts such archives hold.
pub(super) fn begin() -> Option<Box<dyn ArchiveIndex>> {
    registry::ECOSYSTEMS.iter().find_map(|ecosystem| ecosystem.archive_index())
}

/// Holds the index of a volume against its records.
pub(super) struct Check {
    index: Box<dyn ArchiveIndex>,
    carried: BlobKey,
    is_whole: bool,
}

impl Check {
    /// `None` if the volume is no OCI archive, or this build does not know what those hold: then the index is nothing to
    /// it but bytes that were signed.
    pub(super) fn of<R: std::io::Read>(volume: &VolumeReader<R>) -> Option<Check> {
        Some(Check { carried: volume.index()?, index: begin()?, is_whole: true })
    }

    /// Takes in a record of the volume.
    pub(super) fn take<R: std::io::Read>(&mut self, record: &Record, volume: &VolumeReader<R>) {
        if let Record::Artifact(artifact) = record {
            self.is_whole &= artifact.files.iter().all(|file| volume.carries(&file.blob));
        }
        self.index.take(record);
    }

    /// # Errors
    /// Untrusted, if the index is another one than follows from the records, or lists what is not carried: other programs
    /// would find something else in the bundle than those who import it.
    pub(super) fn finish(self, path: &Path) -> Result<(), Problem> {
        let message = if !self.is_whole {
            "the bundle has an index.json and does not carry all that its records name"
        } else if self.index.finish().is_none_or(|index| BlobKey::of(&index) != self.carried) {
            "the bundle's index.json is not the one that follows from its records"
        } else {
            return Ok(());
        };
        Err(Problem::new(Kind::Untrusted, "bundle.index", message)
            .at(path.display())
            .hint("whoever made it wrote it with another program, or meant to show two things; nothing of it was used"))
    }
}
