//! The plan of a volume: which blobs it carries in which order, and so every size, before a blob is read.
//! `cut` says what of a bundle goes into which volume.

mod cut;

use std::collections::HashSet;
use std::io::{self, Write};

use crate::digest::{BlobHasher, BlobKey};
use crate::limits::{MAX_BLOBS, MAX_INDEX, MAX_VOLUMES};
use crate::names::{INDEX, LAYOUT, LAYOUT_BYTES, contents_line, contents_size, layout_line};
use crate::segment::SegmentError;
use crate::tar::{around_blobs, member_size};

pub use cut::{BundlePlan, Cutter, Source};

/// The blobs of a volume in order, 40 bytes of memory each.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VolumePlan {
    blobs: Vec<(BlobKey, u64)>,
    index: Option<Vec<u8>>,
    contents: BlobKey,
    size: u64,
}

/// Why blobs do not fit into a volume.
#[derive(Debug, thiserror::Error)]
pub enum PlanError {
    /// Volumes that are too small for what each of them has to have.
    #[error("volumes of {0} bytes are too small; {1} at least")]
    TooSmall(u64, u64),
    /// More than a bundle may have.
    #[error("{0} volumes; a bundle has at most {MAX_VOLUMES}")]
    TooManyVolumes(usize),
    /// A blob that is to be cut could not be read.
    #[error("the blob {key} cannot be cut into pieces: {source}")]
    Unreadable {
        /// Which blob.
        key: BlobKey,
        /// What the system said.
        source: io::Error,
    },
    /// The recipes could not be written.
    #[error("recipes cannot be written: {0}")]
    Recipes(#[from] SegmentError),
    /// One key with two sizes: one of them is wrong.
    #[error("the blob {key} is said to have {one} and {other} bytes")]
    TwoSizes {
        /// Which blob.
        key: BlobKey,
        /// One size in bytes.
        one: u64,
        /// The other.
        other: u64,
    },
    /// More than a volume may have.
    #[error("{0} blobs; a volume carries at most {MAX_BLOBS}")]
    TooMany(usize),
    /// Of a size that an index cannot have.
    #[error("an index.json of {0} bytes; one has from 1 to {MAX_INDEX}")]
    IndexSize(usize),
}

impl VolumePlan {
    /// A volume of these segments and recipe segments, in their order, and these other blobs.
    fn assemble(
        segments: Vec<(BlobKey, u64)>,
        mut rest: Vec<(BlobKey, u64)>,
    ) -> Result<VolumePlan, PlanError> {
        // A piece may be what stands there anyway.
        let listed: HashSet<BlobKey> = segments.iter().map(|(key, _)| *key).collect();
        rest.sort_unstable();
        rest.dedup();
        rest.retain(|(key, _)| !listed.contains(key));
        let mut blobs = segments;
        blobs.append(&mut rest);
        if blobs.len() as u64 > MAX_BLOBS {
            return Err(PlanError::TooMany(blobs.len()));
        }
        Ok(VolumePlan { blobs, index: None, contents: BlobKey::new([0; 32]), size: 0 }.settled())
    }

    /// The same, as an OCI archive whose `index.json` has these bytes.
    pub fn with_index(mut self, index: Vec<u8>) -> Result<VolumePlan, PlanError> {
        if index.is_empty() || index.len() as u64 > MAX_INDEX {
            return Err(PlanError::IndexSize(index.len()));
        }
        self.index = Some(index);
        Ok(self.settled())
    }

    /// The same, with what follows from the blobs and the index.
    fn settled(mut self) -> VolumePlan {
        // 4 million blobs of 8 GiB stay far below 2^63.
        let blobs: u64 = self.blobs.iter().map(|(_, size)| member_size(*size)).sum();
        let index = self.index.as_ref().map(|index| index.len() as u64);
        self.size = blobs + around_blobs(self.blobs.len() as u64, index);
        let mut hasher = BlobHasher::default();
        self.contents_lines(|line| hasher.update(line));
        self.contents = hasher.finish();
        self
    }

    /// The blobs in the volume's order: key and size in bytes.
    pub fn blobs(&self) -> impl ExactSizeIterator<Item = (BlobKey, u64)> + '_ {
        self.blobs.iter().copied()
    }

    /// The blob in that place, from 0.
    pub(crate) fn blob(&self, place: usize) -> Option<(BlobKey, u64)> {
        self.blobs.get(place).copied()
    }

    /// The bytes of `index.json`, if the volume is an OCI archive as well.
    pub fn index(&self) -> Option<&[u8]> {
        self.index.as_deref()
    }

    /// The members that make the volume an OCI archive: name and bytes of each, in order.
    pub(crate) fn layout(&self) -> impl Iterator<Item = (&'static str, &[u8])> {
        self.index.iter().flat_map(|index| [(LAYOUT, LAYOUT_BYTES), (INDEX, index.as_slice())])
    }

    /// The size of `aftk/contents` in bytes.
    pub(crate) fn contents_size(&self) -> u64 {
        contents_size(self.blobs.len() as u64, self.index.is_some())
    }

    /// The digest of `aftk/contents`.
    pub fn contents(&self) -> BlobKey {
        self.contents
    }

    /// Bytes from the header of `aftk/contents` to the end of the file, as [`crate::Volume::size`].
    pub fn size(&self) -> u64 {
        self.size
    }

    /// Writes `aftk/contents`.
    pub fn write_contents(&self, out: &mut dyn Write) -> io::Result<()> {
        let mut result = Ok(());
        self.contents_lines(|line| {
            if result.is_ok() {
                result = out.write_all(line);
            }
        });
        result
    }

    /// The lines of `aftk/contents` that stand before those of the blobs.
    pub(crate) fn layout_lines(&self) -> String {
        self.layout().map(|(name, bytes)| layout_line(name, &BlobKey::of(bytes))).collect()
    }

    fn contents_lines(&self, mut each: impl FnMut(&[u8])) {
        each(self.layout_lines().as_bytes());
        for (key, _) in &self.blobs {
            each(contents_line(key).as_bytes());
        }
    }
}
