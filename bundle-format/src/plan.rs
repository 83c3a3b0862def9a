//! The plan of a volume: which blobs it carries in which order, and so every size, before a blob is read.

use std::collections::HashSet;
use std::io::{self, Write};

use crate::digest::{BlobHasher, BlobKey};
use crate::limits::{MAX_BLOB, MAX_BLOBS};
use crate::names::contents_line;
use crate::snapshot::SegmentRef;
use crate::tar::{contents_and_end, member_size};

/// The blobs of a volume in order, 40 bytes of memory each.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VolumePlan {
    blobs: Vec<(BlobKey, u64)>,
    contents: BlobKey,
    size: u64,
}

/// Why blobs do not fit into a volume.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PlanError {
    /// Larger than a tar member can be.
    #[error("the blob {key} has {size} bytes; this version carries at most {MAX_BLOB}")]
    TooLarge {
        /// Which blob.
        key: BlobKey,
        /// Its size in bytes.
        size: u64,
    },
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
}

impl VolumePlan {
    /// Plans a volume with these of the snapshot's segments, in the snapshot's order, and these other blobs, in
    /// any order; a blob that comes twice is carried once.
    pub fn new(
        segments: &[SegmentRef],
        blobs: impl IntoIterator<Item = (BlobKey, u64)>,
    ) -> Result<VolumePlan, PlanError> {
        let listed: HashSet<BlobKey> = segments.iter().map(|segment| segment.digest).collect();
        let mut all: Vec<(BlobKey, u64)> =
            segments.iter().map(|segment| (segment.digest, segment.size)).collect();
        all.extend(blobs.into_iter().filter(|(key, _)| !listed.contains(key)));
        let rest = all.get_mut(segments.len()..).unwrap_or_default();
        rest.sort_unstable();
        let twice = rest.iter().zip(rest.iter().skip(1)).find(|(a, b)| a.0 == b.0 && a.1 != b.1);
        if let Some(((key, one), (_, other))) = twice {
            return Err(PlanError::TwoSizes { key: *key, one: *one, other: *other });
        }
        // Segments are distinct by the snapshot's rules, so only neighbours can be equal here.
        all.dedup();
        if all.len() as u64 > MAX_BLOBS {
            return Err(PlanError::TooMany(all.len()));
        }
        if let Some((key, size)) = all.iter().find(|(_, size)| *size > MAX_BLOB) {
            return Err(PlanError::TooLarge { key: *key, size: *size });
        }
        // 4 million blobs of 8 GiB stay far below 2^63.
        let size =
            all.iter().map(|(_, size)| member_size(*size)).sum::<u64>() + contents_and_end(all.len() as u64);
        let mut plan = VolumePlan { blobs: all, contents: BlobKey::new([0; 32]), size };
        let mut hasher = BlobHasher::default();
        plan.contents_lines(|line| hasher.update(line));
        plan.contents = hasher.finish();
        Ok(plan)
    }

    /// The blobs in the volume's order: key and size in bytes.
    pub fn blobs(&self) -> impl ExactSizeIterator<Item = (BlobKey, u64)> + '_ {
        self.blobs.iter().copied()
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

    fn contents_lines(&self, mut each: impl FnMut(&[u8])) {
        for (key, _) in &self.blobs {
            each(contents_line(key).as_bytes());
        }
    }
}
