//! Cutting a bundle into volumes.

use std::collections::{BTreeMap, HashSet};
use std::io;

use super::{PlanError, VolumePlan};
use crate::digest::BlobKey;
use crate::limits::{MAX_BLOB, MAX_VOLUMES};
use crate::recipe::{Kind, Piece, Recipe};
use crate::recovery::Recovery;
use crate::segment::RecipeWriter;
use crate::snapshot::SegmentRef;
use crate::tar::{BLOCK, around_blobs, member_size};

/// What a bundle's volumes carry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BundlePlan {
    volumes: Vec<VolumePlan>,
    recipes: Vec<SegmentRef>,
    pieces: BTreeMap<BlobKey, Source>,
    recovery: Option<Recovery>,
}

/// Where a piece stands in the blob that it is of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Source {
    /// The blob.
    pub blob: BlobKey,
    /// Where in it the piece begins.
    pub offset: u64,
    /// How many bytes it has.
    pub size: u64,
}

/// How volumes are cut.
pub struct Cutter<'a> {
    /// The most bytes that the file of a volume may have.
    pub most: u64,
    /// How many of them are for the documents, which are not made yet.
    pub documents: u64,
    /// The key of a part of a blob.
    pub hash: &'a mut dyn FnMut(&Source) -> io::Result<BlobKey>,
    /// Keeps a finished segment of recipes.
    pub keep: &'a mut dyn FnMut(&SegmentRef, &[u8]) -> io::Result<()>,
}

/// A share of less than this of a volume is left empty rather than cut a blob for it: a blob that was cut is copied once
/// more inside.
const WORTHWHILE: u64 = 16;
/// What a volume needs to be worth its name, in bytes.
const SMALLEST: u64 = 1 << 20;
/// How many bytes of recipes a piece makes, at most.
const RECIPE: u64 = 512;

impl BundlePlan {
    /// The volumes, in order.
    pub fn volumes(&self) -> &[VolumePlan] {
        &self.volumes
    }

    /// The segments of recipes.
    pub fn recipes(&self) -> &[SegmentRef] {
        &self.recipes
    }

    /// What a blob of a volume is a piece of, if it is one.
    pub fn piece(&self, key: &BlobKey) -> Option<&Source> {
        self.pieces.get(key)
    }

    /// What there is to mend it with.
    pub fn recovery(&self) -> Option<Recovery> {
        self.recovery
    }

    /// The same, with this to mend it with.
    pub fn with_recovery(self, recovery: Option<Recovery>) -> BundlePlan {
        BundlePlan { recovery, ..self }
    }

    /// One volume of everything; none of the blobs may be larger than a member can be.
    ///
    /// # Errors
    /// If it is too much for one volume, or one blob is said to have two sizes.
    pub fn single(
        segments: &[SegmentRef],
        blobs: impl IntoIterator<Item = (BlobKey, u64)>,
    ) -> Result<BundlePlan, PlanError> {
        let none = || io::Error::other("a blob is too large for one member");
        BundlePlan::cut(
            segments,
            blobs,
            &mut Cutter {
                most: u64::MAX,
                documents: 0,
                hash: &mut |_| Err(none()),
                keep: &mut |_, _| Err(none()),
            },
        )
    }

    /// The same, as an OCI archive whose `index.json` has these bytes; a bundle of several volumes is none.
    ///
    /// # Errors
    /// If an index cannot have that size.
    pub fn with_index(mut self, index: Vec<u8>) -> Result<BundlePlan, PlanError> {
        if self.recipes.is_empty() && self.volumes.len() == 1 {
            let volume = self.volumes.remove(0).with_index(index)?;
            self.volumes.push(volume);
        }
        Ok(self)
    }

    /// Volumes with all of the snapshot's segments, in the snapshot's order, and all of these blobs, in any order; a blob
    /// that comes twice is carried once. The first volumes have the segments, and the last one has them again if there is
    /// room. Blobs follow by their keys; one that does not fit into what is left of a volume goes on in the next one.
    ///
    /// # Errors
    /// If volumes of that size cannot be made, one blob is said to have two sizes, or what is to be cut cannot be read.
    pub fn cut(
        segments: &[SegmentRef],
        blobs: impl IntoIterator<Item = (BlobKey, u64)>,
        cutter: &mut Cutter<'_>,
    ) -> Result<BundlePlan, PlanError> {
        let listed: Vec<(BlobKey, u64)> =
            segments.iter().map(|segment| (segment.digest, segment.size)).collect();
        let mut rest: Vec<(BlobKey, u64)> = {
            let listed: HashSet<&BlobKey> = listed.iter().map(|(key, _)| key).collect();
            blobs.into_iter().filter(|(key, _)| !listed.contains(key)).collect()
        };
        rest.sort_unstable();
        rest.dedup();
        if let Some(((key, one), (_, other))) = rest.iter().zip(rest.iter().skip(1)).find(|(a, b)| a.0 == b.0)
        {
            return Err(PlanError::TwoSizes { key: *key, one: *one, other: *other });
        }
        let total = rest.iter().fold(0_u64, |sum, (_, size)| sum.saturating_add(member_size(*size)));
        let room = cutter.most.saturating_sub(cutter.documents);
        let cuts = total / room.max(1) + 1 + total / MAX_BLOB;
        // Recipes are known last and travel first, so room is left for as many as there can be.
        let recipes = if total > room || rest.iter().any(|(_, size)| *size > MAX_BLOB) {
            4096 + cuts.saturating_mul(2 * RECIPE)
        } else {
            0
        };
        let least = cutter.documents.saturating_add(recipes).saturating_add(SMALLEST);
        if cutter.most < least {
            return Err(PlanError::TooSmall(cutter.most, least));
        }
        let mut filling = Filling { room, volumes: Vec::new(), now: Volume::default() };
        filling.now.reserved = recipes;
        for (key, size) in &listed {
            if !filling.fits(*size) {
                filling.next()?;
            }
            filling.now.segments.push((*key, *size));
            filling.now.bytes += member_size(*size);
        }
        let (mut made, mut pieces) = (Vec::new(), BTreeMap::new());
        for (key, size) in rest {
            let parts = filling.place(key, size, cutter)?;
            if !parts.is_empty() {
                let concat =
                    parts.iter().map(|(blob, part)| Piece { blob: *blob, size: part.size }).collect();
                made.push(Recipe { kind: Kind::Recipe, blob: key, size, concat });
                pieces.extend(parts);
            }
        }
        let mut writer = RecipeWriter::new(&mut *cutter.keep);
        made.iter().try_for_each(|recipe| writer.push(recipe))?;
        let recipes = writer.finish()?;
        filling.finish(&listed, recipes, pieces)
    }
}

/// A volume that is being filled.
#[derive(Default)]
struct Volume {
    segments: Vec<(BlobKey, u64)>,
    rest: Vec<(BlobKey, u64)>,
    /// What members of blobs take.
    bytes: u64,
    /// What is left free for recipes.
    reserved: u64,
}

struct Filling {
    /// What a volume has for its contents table and blobs.
    room: u64,
    volumes: Vec<Volume>,
    now: Volume,
}

impl Filling {
    /// How many bytes a blob may have that is added to the volume; `None` if there is no room for one at all.
    fn left(&self) -> Option<u64> {
        let count = (self.now.segments.len() + self.now.rest.len()) as u64 + 1;
        let taken = around_blobs(count, None) + self.now.bytes + self.now.reserved + BLOCK;
        let left = self.room.checked_sub(taken)?;
        Some(left - left % BLOCK)
    }

    fn fits(&self, size: u64) -> bool {
        self.left().is_some_and(|left| size <= left && size <= MAX_BLOB)
    }

    fn next(&mut self) -> Result<(), PlanError> {
        self.volumes.push(std::mem::take(&mut self.now));
        if self.volumes.len() >= MAX_VOLUMES {
            return Err(PlanError::TooManyVolumes(self.volumes.len() + 1));
        }
        Ok(())
    }

    fn add(&mut self, key: BlobKey, size: u64) {
        self.now.rest.push((key, size));
        self.now.bytes += member_size(size);
    }

    /// Puts a blob into the volume, or pieces of it into this one and the next ones, which are returned.
    fn place(
        &mut self,
        key: BlobKey,
        size: u64,
        cutter: &mut Cutter<'_>,
    ) -> Result<Vec<(BlobKey, Source)>, PlanError> {
        let (mut offset, mut parts) = (0, Vec::new());
        loop {
            let left = size - offset;
            if self.fits(left) {
                if offset == 0 {
                    self.add(key, size);
                } else {
                    parts.push(self.piece(key, offset, left, cutter)?);
                }
                return Ok(parts);
            }
            let worthwhile = (self.room / WORTHWHILE).max(BLOCK);
            match self.left() {
                // Larger than a member can be, or than what is left.
                Some(room) if room >= worthwhile => {
                    let length = room.min(left).min(MAX_BLOB - MAX_BLOB % BLOCK);
                    parts.push(self.piece(key, offset, length, cutter)?);
                    offset += length;
                }
                _ => self.next()?,
            }
        }
    }

    fn piece(
        &mut self,
        blob: BlobKey,
        offset: u64,
        size: u64,
        cutter: &mut Cutter<'_>,
    ) -> Result<(BlobKey, Source), PlanError> {
        let source = Source { blob, offset, size };
        let key = (cutter.hash)(&source).map_err(|source| PlanError::Unreadable { key: blob, source })?;
        self.add(key, size);
        Ok((key, source))
    }

    fn finish(
        mut self,
        segments: &[(BlobKey, u64)],
        recipes: Vec<SegmentRef>,
        pieces: BTreeMap<BlobKey, Source>,
    ) -> Result<BundlePlan, PlanError> {
        let written: Vec<(BlobKey, u64)> = recipes.iter().map(|one| (one.digest, one.size)).collect();
        let again: Vec<(BlobKey, u64)> = segments.iter().chain(&written).copied().collect();
        let needed: u64 = again.iter().map(|(_, size)| member_size(*size)).sum();
        let taken = around_blobs((self.now.rest.len() + again.len()) as u64, None) + self.now.bytes;
        if !self.volumes.is_empty() && self.now.segments.is_empty() && taken + needed <= self.room {
            self.now.segments = again;
        } else if self.volumes.is_empty() {
            self.now.segments.extend(&written);
        }
        if let Some(first) = self.volumes.first_mut() {
            first.segments.extend(&written);
        }
        self.volumes.push(self.now);
        let volumes =
            self.volumes.into_iter().map(|volume| VolumePlan::assemble(volume.segments, volume.rest));
        Ok(BundlePlan { volumes: volumes.collect::<Result<_, _>>()?, recipes, pieces, recovery: None })
    }
}
