//! The contents table: which blobs a volume carries, and in which order.

use std::collections::HashMap;
use std::io::Read;

use crate::digest::{BlobHasher, BlobKey};
use crate::error::{Damage, FormatError};
use crate::input::Input;
use crate::names::{self, CONTENTS_LINE, INDEX, LAYOUT, LAYOUT_BYTES, LAYOUT_LINE, contents_size};
use crate::packing::{PackingList, Volume};
use crate::snapshot::{SegmentRef, Snapshot};

/// A verified table, 32 bytes of memory a blob.
pub(crate) struct Contents {
    /// The blobs in the volume's order.
    pub(crate) keys: Vec<BlobKey>,
    /// The digest of `index.json`, if the volume is an OCI archive as well.
    pub(crate) index: Option<BlobKey>,
    /// The first of them are segments: for each its index among the snapshot's and then the recipes'.
    pub(crate) segments: Vec<usize>,
}

/// All segments that a bundle has: the snapshot's, then those of recipes.
pub(crate) fn all_segments<'a>(
    snapshot: &'a Snapshot,
    packing: &'a PackingList,
) -> impl Iterator<Item = &'a SegmentRef> {
    snapshot.segments.iter().chain(&packing.recipes)
}

impl Contents {
    /// Reads the member `aftk/contents`, and finds out which of the volumes this is.
    pub(crate) fn read<R: Read>(
        input: &mut Input<R>,
        snapshot: &Snapshot,
        packing: &PackingList,
    ) -> Result<(Contents, Volume), FormatError> {
        let size = input.member(names::CONTENTS, crate::limits::MAX_BLOB)?;
        let place = input.place();
        let damaged = |damage, met: String| FormatError::damaged(damage, place.clone(), met);
        // The signed numbers of blobs bound what is held, before any of the table is read.
        let fits = |volume: &&Volume| size == contents_size(volume.blobs, volume.index.is_some());
        let Some(like) = packing.volumes.iter().find(fits) else {
            let met = format!("{size} bytes are no table of so many blobs as the packing list says");
            return Err(damaged(Damage::ContentsMismatch, met));
        };
        let mut keys = Vec::new();
        let mut hasher = BlobHasher::default();
        let mut broken = None;
        let mut layout = Vec::new();
        if like.index.is_some() {
            layout.resize(2 * LAYOUT_LINE as usize, 0);
            input.fill(&mut layout)?;
            hasher.update(&layout);
        }
        for number in 1..=like.blobs {
            let mut line = [0; CONTENTS_LINE as usize];
            input.fill(&mut line)?;
            hasher.update(&line);
            match parse_line(&line) {
                // A broken line matters only if it was signed; so the digest is judged first.
                None => broken = broken.or(Some(number)),
                Some(key) if broken.is_none() => keys.push(key),
                Some(_) => {}
            }
        }
        input.padding(size)?;
        let met = hasher.finish();
        let Some(volume) = packing.volumes.iter().filter(fits).find(|volume| volume.contents == met) else {
            let met = format!("the table's digest is {met}, the packing list says {}", like.contents);
            return Err(damaged(Damage::ContentsMismatch, met));
        };
        let index = volume
            .index
            .map(|_| parse_layout(&layout))
            .transpose()
            .map_err(|met| damaged(Damage::Contents, met))?;
        if let Some(number) = broken {
            let met = format!("line {number} is not \"<hex>  {}<hex>\"", names::BLOBS);
            return Err(damaged(Damage::Contents, met));
        }
        let segments = segments_in_front(keys.iter().copied(), snapshot, packing)
            .map_err(|met| FormatError::damaged(Damage::Contents, place.clone(), met))?;
        Ok((Contents { keys, index, segments }, volume.clone()))
    }

    /// Whether the volume carries this blob.
    pub(crate) fn carries(&self, key: &BlobKey) -> bool {
        let (segments, rest) = self.keys.split_at_checked(self.segments.len()).unwrap_or((&self.keys, &[]));
        rest.binary_search(key).is_ok() || segments.contains(key)
    }
}

/// Checks the order of a volume's blobs: some of the snapshot's segments in its order, then some of the recipes', then the
/// others, strictly ascending. Returns the indices of the segments among [`all_segments`].
pub(crate) fn segments_in_front(
    keys: impl Iterator<Item = BlobKey>,
    snapshot: &Snapshot,
    packing: &PackingList,
) -> Result<Vec<usize>, String> {
    let all = all_segments(snapshot, packing).enumerate();
    let listed: HashMap<BlobKey, usize> = all.map(|(index, segment)| (segment.digest, index)).collect();
    let mut segments: Vec<usize> = Vec::new();
    let mut previous: Option<BlobKey> = None;
    for key in keys {
        match (listed.get(&key), previous) {
            (Some(index), None) if segments.last().is_none_or(|last| last < index) => segments.push(*index),
            (Some(_), _) => return Err(format!("the segment {key} stands in the wrong place, or twice")),
            (None, Some(previous)) if previous >= key => {
                return Err(format!("the blob {key} stands in the wrong place, or twice"));
            }
            (None, _) => previous = Some(key),
        }
    }
    Ok(segments)
}

/// The digest of `index.json`, from the two lines that a volume has for the members of an OCI archive.
fn parse_layout(lines: &[u8]) -> Result<BlobKey, String> {
    let wrong = || format!("the first lines are not those of {LAYOUT} and {INDEX}");
    let (layout, index) = lines.split_at_checked(LAYOUT_LINE as usize).ok_or_else(wrong)?;
    let digest = |line: &[u8], name: &str| {
        let (hex, rest) = std::str::from_utf8(line).ok()?.split_at_checked(64)?;
        let named = rest.strip_prefix("  ")?.strip_suffix('\n')?;
        if named == name { BlobKey::from_hex(hex).ok() } else { None }
    };
    if digest(layout, LAYOUT) != Some(BlobKey::of(LAYOUT_BYTES)) {
        return Err(wrong());
    }
    digest(index, INDEX).ok_or_else(wrong)
}

fn parse_line(line: &[u8]) -> Option<BlobKey> {
    let (hex, rest) = std::str::from_utf8(line).ok()?.split_at_checked(64)?;
    let named = rest.strip_prefix("  ")?.strip_prefix(names::BLOBS)?.strip_suffix('\n')?;
    if named == hex { BlobKey::from_hex(hex).ok() } else { None }
}
