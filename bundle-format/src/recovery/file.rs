//! Files of recovery: which there are of a bundle, and how they are laid out.
//!
//! Such a file has the bundle's head twice, at its beginning and at its end, and packets between them, lane after lane: so a
//! hole in it hits one lane of many stripes rather than many lanes of one.

use std::io::{self, Read};
use std::ops::Range;

use serde::{Deserialize, Serialize};

use super::grid::Grid;
use super::packet::Seal;
use crate::body::ReadAt;
use crate::canonical;
use crate::error::{Damage, FormatError};
use crate::head::Head;
use crate::input::Input;
use crate::names;
use crate::packing::PackingList;
use crate::signature::Verifier;
use crate::tar::{BLOCK, END, Met, parse};
use crate::writer::{Documents, push_member};

/// The largest `aftk/recovery.json`, in bytes.
const MAX_SUBJECT: u64 = 1024;
/// The head at the end of a damaged file is looked for in so many bytes, and so often.
const MAX_HEAD: u64 = 5 << 20;
const TRIES: usize = 8;

/// What a file of recovery is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case", deny_unknown_fields)]
pub enum Subject {
    /// It protects the file with this number: a volume, or, counted on from the last volume, a spare one.
    Recovery {
        /// From 1.
        number: u64,
    },
    /// It is the spare volume with this number.
    Spare {
        /// From 1.
        number: u64,
    },
}

/// How the packets of a file of recovery are laid out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Layout {
    /// Which slices stand together.
    pub grid: Grid,
    /// What the packets are for.
    pub seal: Seal,
    /// The lanes of recovery that the file has.
    pub lanes: Range<usize>,
}

impl Layout {
    /// The layout of a file, as the packing list has it; none, if the bundle has no such file.
    pub fn of(packing: &PackingList, key: crate::BlobKey, subject: Subject) -> Option<Layout> {
        let recovery = packing.recovery?;
        match subject {
            Subject::Recovery { number } => {
                let grid = Grid::of_one(Layout::body_size(packing, key, number)?, recovery.percent?);
                let seal = Seal { packing: key, unit: number };
                Some(Layout { grid, seal, lanes: 0..grid.recovery })
            }
            Subject::Spare { number } => {
                let sizes = packing.volumes.iter().map(|volume| volume.size);
                let grid = Grid::across(sizes, recovery.spares());
                let lane = usize::try_from(number.checked_sub(1)?).ok()?;
                let seal = Seal { packing: key, unit: 0 };
                (lane < grid.recovery).then_some(Layout { grid, seal, lanes: lane..lane + 1 })
            }
        }
    }

    /// The size of the body of the file with this number; spare volumes are counted on from the last one.
    pub fn body_size(packing: &PackingList, key: crate::BlobKey, number: u64) -> Option<u64> {
        let volume = usize::try_from(number.checked_sub(1)?).ok()?;
        if let Some(volume) = packing.volumes.get(volume) {
            return Some(volume.size);
        }
        let number = number - packing.volumes.len() as u64;
        Layout::of(packing, key, Subject::Spare { number }).map(|spare| spare.size())
    }

    /// Bytes of all packets of the file: its body.
    pub fn size(&self) -> u64 {
        self.lanes.len() as u64 * self.grid.stripes * self.grid.packet() as u64
    }

    /// Where in the body a packet begins.
    pub fn offset(&self, lane: usize, stripe: u64) -> u64 {
        let lane = lane.saturating_sub(self.lanes.start) as u64;
        (lane * self.grid.stripes + stripe) * self.grid.packet() as u64
    }
}

/// The head of a file of recovery: the bundle's documents, and what the file is for.
pub fn head(documents: &Documents, subject: Subject) -> Vec<u8> {
    let subject = canonical::to_bytes(&subject).unwrap_or_default();
    let mut bytes = documents.to_members();
    push_member(&mut bytes, names::RECOVERY, &subject);
    bytes.resize(bytes.len() + 1024, 0);
    bytes
}

/// A file of recovery whose head was verified.
pub struct RecoveryFile {
    /// The bundle's documents.
    pub head: Head,
    /// What it is for.
    pub subject: Subject,
    /// How its packets are laid out.
    pub layout: Layout,
    /// Where they begin: behind the head at the beginning, which is as long as the one at the end.
    pub start: u64,
}

impl RecoveryFile {
    /// Reads the head of a file of so many bytes; if it is damaged, the one at the end.
    ///
    /// # Errors
    /// If both are damaged or not trusted, or say what cannot be.
    pub fn open(file: &dyn ReadAt, size: u64, verifier: &dyn Verifier) -> Result<RecoveryFile, FormatError> {
        RecoveryFile::read(file, 0, size, verifier).or_else(|error| {
            let from = size.saturating_sub(MAX_HEAD).next_multiple_of(BLOCK);
            let mut tail = vec![0; usize::try_from(size.saturating_sub(from)).unwrap_or_default()];
            if file.read_at(from, &mut tail).is_err() {
                return Err(error);
            }
            let is_head = |block: &&[u8]| {
                <&[u8; 512]>::try_from(*block).is_ok_and(
                    |block| matches!(parse(block), Met::File { name, .. } if name == names::SNAPSHOT),
                )
            };
            let heads = tail.chunks_exact(512).zip((from..).step_by(512)).filter(|(block, _)| is_head(block));
            // There is one, unless somebody made the file so that there are many.
            let places: Vec<u64> = heads.map(|(_, place)| place).take(TRIES).collect();
            let read = |place| RecoveryFile::read(file, place, size, verifier).ok();
            places.into_iter().rev().find_map(read).ok_or(error)
        })
    }

    fn read(
        file: &dyn ReadAt,
        at: u64,
        size: u64,
        verifier: &dyn Verifier,
    ) -> Result<RecoveryFile, FormatError> {
        let mut input = Input::new(Section { file, at, end: size });
        let head = Head::read_from(&mut input, verifier)?;
        let (bytes, place) = input.document(names::RECOVERY, MAX_SUBJECT)?;
        let damaged = |met: String| FormatError::damaged(Damage::Recovery, place.clone(), met);
        let subject: Subject = canonical::from_bytes(&bytes).map_err(|error| damaged(error.to_string()))?;
        let layout = Layout::of(head.packing(), head.packing_key(), subject);
        let layout = layout.ok_or_else(|| damaged("the bundle has no such file of recovery".to_owned()))?;
        Ok(RecoveryFile { head, subject, layout, start: input.offset() + END })
    }
}

/// A part of what can be read at any place, from its beginning.
struct Section<'a> {
    file: &'a dyn ReadAt,
    at: u64,
    end: u64,
}

impl Read for Section<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let left = usize::try_from(self.end.saturating_sub(self.at)).unwrap_or(usize::MAX);
        let length = left.min(buffer.len());
        let part = buffer.get_mut(..length).unwrap_or_default();
        self.file.read_at(self.at, part)?;
        self.at += length as u64;
        Ok(length)
    }
}

/// How many bytes the file of recovery takes whose head has `head` bytes and whose body is laid out so.
pub fn file_size(head: u64, layout: &Layout) -> u64 {
    2 * head + layout.size()
}
