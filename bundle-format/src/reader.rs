//! Reads a volume once, in order, and releases nothing that is not verified.
//!
//! Signatures first, then the two documents that they sign, then the contents table that the packing list
//! names, then each blob by the digest that the table names; headers and padding are determined, and the end is.

use std::io::{self, Read};

use crate::contents::{Contents, all_segments};
use crate::digest::{BlobHasher, BlobKey};
use crate::error::{Damage, FormatError};
use crate::head::Head;
use crate::input::{Input, unexpected};
use crate::limits::{MAX_BLOB, MAX_INDEX};
use crate::names::{self, LAYOUT_BYTES, blob_name};
use crate::packing::{PackingList, Volume};
use crate::signature::Verifier;
use crate::snapshot::{SegmentRef, Snapshot};
use crate::tar::{BLOCK, END, Met, padding};

/// A volume whose documents are verified and whose blobs are to be read.
///
/// After any error nothing more can be read from it.
pub struct VolumeReader<R> {
    input: Input<R>,
    head: Head,
    volume: Volume,
    contents: Contents,
    /// Where the header of `aftk/contents` begins: from here on, the volume's size counts.
    contents_start: u64,
    /// How many blobs were begun.
    begun: usize,
    /// The blob that was begun and not yet read.
    current: Option<(BlobKey, u64)>,
    /// Cleared while something is under way, so that it stays cleared if that fails.
    sound: bool,
}

/// A blob whose every byte was hashed on its way and had the digest that names it.
///
/// Only this crate makes one, so whoever holds it need not hash again.
#[derive(Debug, PartialEq, Eq)]
pub struct VerifiedBlob {
    key: BlobKey,
    size: u64,
}

impl VerifiedBlob {
    /// The blob's key.
    pub fn key(&self) -> BlobKey {
        self.key
    }

    /// Its size in bytes.
    pub fn size(&self) -> u64 {
        self.size
    }
}

/// A volume that was read to its end, every byte of it verified.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verified {
    /// The snapshot.
    pub snapshot: Snapshot,
    /// The snapshot's digest.
    pub snapshot_key: BlobKey,
    /// The ids of the keys that signed the snapshot and verified.
    pub signers: Vec<String>,
    /// The volume's number, from 1.
    pub volume_number: u64,
    /// How many blobs it carries.
    pub blobs: u64,
    /// The size of the file in bytes.
    pub size: u64,
}

impl<R: Read> VolumeReader<R> {
    /// Reads the documents and the contents table, and verifies them. No blob is touched.
    pub fn open(source: R, verifier: &dyn Verifier) -> Result<VolumeReader<R>, FormatError> {
        let mut input = Input::new(source);
        let head = Head::read_from(&mut input, verifier)?;
        let contents_start = input.offset();
        let (contents, volume) = Contents::read(&mut input, head.snapshot(), head.packing())?;
        if let (Some(size), Some(digest)) = (volume.index, contents.index) {
            read_layout(&mut input, size, digest)?;
        }
        Ok(VolumeReader {
            input,
            head,
            volume,
            contents,
            contents_start,
            begun: 0,
            current: None,
            sound: true,
        })
    }

    /// The documents, as they are in every volume of the bundle.
    pub fn head(&self) -> &Head {
        &self.head
    }

    /// The snapshot.
    pub fn snapshot(&self) -> &Snapshot {
        self.head.snapshot()
    }

    /// The packing list.
    pub fn packing(&self) -> &PackingList {
        self.head.packing()
    }

    /// The ids of the keys that signed the snapshot and verified.
    pub fn signers(&self) -> &[String] {
        self.head.signers()
    }

    /// The number of this volume, from 1.
    pub fn volume_number(&self) -> u64 {
        self.volume.number
    }

    /// How many blobs the volume carries.
    pub fn blobs(&self) -> u64 {
        self.volume.blobs
    }

    /// How many volumes the bundle has.
    pub fn volume_count(&self) -> u64 {
        self.packing().volumes.len() as u64
    }

    /// Whether the volume carries the blob `key`; known before any blob is read.
    pub fn carries(&self, key: &BlobKey) -> bool {
        self.contents.carries(key)
    }

    /// The digest of the `index.json` of a volume that is an OCI archive as well.
    ///
    /// Its bytes are those that were signed. That they say the same as the records is for whoever knows what the records
    /// mean: else other programs would find something else in the volume than those who follow the records.
    pub fn index(&self) -> Option<BlobKey> {
        self.contents.index
    }

    /// Bytes from the start of the volume to what is read next; for progress.
    pub fn offset(&self) -> u64 {
        self.input.offset()
    }

    /// The size of the whole file in bytes, if it is the one that was signed.
    pub fn expected_size(&self) -> u64 {
        self.contents_start + self.volume.size
    }

    /// Goes to the next blob: its key and size in bytes. One that was begun and not read is hashed first.
    pub fn next_blob(&mut self) -> Result<Option<(BlobKey, u64)>, FormatError> {
        if self.current.is_some() {
            self.skip_blob()?;
        }
        self.begin()?;
        let Some(key) = self.contents.keys.get(self.begun).copied() else {
            self.sound = true;
            return Ok(None);
        };
        let size = self.input.member(&blob_name(&key), MAX_BLOB)?;
        self.begun += 1;
        if let Some(segment) = self.segment_at(self.begun - 1).filter(|segment| segment.size != size) {
            let met = format!("the segment has {size} bytes, {} were signed", segment.size);
            return Err(self.input.damaged(Damage::SizeMismatch, met));
        }
        // What must follow this blob at least: a header for each of the others, and the end.
        let others = (self.contents.keys.len() - self.begun) as u64 * BLOCK;
        let room = self.expected_size().saturating_sub(self.input.offset());
        if size + padding(size) + others + END > room {
            let met = format!("{size} bytes are more than the volume's signed size leaves room for");
            return Err(self.input.damaged(Damage::SizeMismatch, met));
        }
        self.current = Some((key, size));
        self.sound = true;
        Ok(self.current)
    }

    /// The segment of the snapshot that the blob begun last holds, if it is one. Segments come first.
    pub fn current_segment(&self) -> Option<&SegmentRef> {
        let index = self.current_segment_index()?;
        self.snapshot().segments.get(index)
    }

    /// The segment of recipes that the blob begun last holds, if it is one. They come right after the snapshot's segments.
    pub fn current_recipes(&self) -> Option<&SegmentRef> {
        let index = self.current_segment_index()?;
        self.packing().recipes.get(index.checked_sub(self.snapshot().segments.len())?)
    }

    fn current_segment_index(&self) -> Option<usize> {
        self.current.and_then(|_| self.contents.segments.get(self.begun.checked_sub(1)?).copied())
    }

    fn segment_at(&self, index: usize) -> Option<&SegmentRef> {
        let index = self.contents.segments.get(index)?;
        all_segments(self.snapshot(), self.packing()).nth(*index)
    }

    /// Streams the blob that was begun last into `sink`, in chunks of up to 256 KiB, and hashes it on the way.
    ///
    /// What the sink took may be used only once this has returned the proof.
    pub fn copy_blob(
        &mut self,
        sink: &mut dyn FnMut(&[u8]) -> io::Result<()>,
    ) -> Result<VerifiedBlob, FormatError> {
        self.begin()?;
        let Some((key, size)) = self.current.take() else {
            return Err(FormatError::Sink(io::Error::other("no blob was begun")));
        };
        let place = self.input.place();
        let mut hasher = BlobHasher::default();
        self.input.each_chunk(size, |chunk| {
            hasher.update(chunk);
            sink(chunk).map_err(FormatError::Sink)
        })?;
        let met = hasher.finish();
        if met != key {
            let met = format!("the blob's bytes have the digest {met}");
            return Err(FormatError::damaged(Damage::DigestMismatch, place, met));
        }
        self.input.padding(size)?;
        self.sound = true;
        Ok(VerifiedBlob { key, size })
    }

    /// Hashes the blob that was begun last, and keeps nothing of it.
    pub fn skip_blob(&mut self) -> Result<VerifiedBlob, FormatError> {
        self.copy_blob(&mut |_| Ok(()))
    }

    /// Reads the segment that was begun last into memory, at most 4 MiB.
    pub fn read_segment(&mut self) -> Result<(VerifiedBlob, Vec<u8>), FormatError> {
        let segment = self.current_segment().or_else(|| self.current_recipes());
        let Some(size) = segment.map(|segment| segment.size) else {
            return Err(FormatError::Sink(io::Error::other("the blob that was begun is not a segment")));
        };
        let mut bytes = Vec::with_capacity(usize::try_from(size).unwrap_or_default());
        let blob = self.copy_blob(&mut |chunk| {
            bytes.extend_from_slice(chunk);
            Ok(())
        })?;
        Ok((blob, bytes))
    }

    /// Hashes the blobs that are left, and checks that the volume ends as it must.
    pub fn finish(mut self) -> Result<Verified, FormatError> {
        while self.next_blob()?.is_some() {}
        self.begin()?;
        self.input.enter_end();
        self.read_end()?;
        let snapshot_key = self.head.snapshot_key();
        let (snapshot, signers) = self.head.into_snapshot();
        Ok(Verified {
            snapshot_key,
            snapshot,
            signers,
            volume_number: self.volume.number,
            blobs: self.volume.blobs,
            size: self.input.offset(),
        })
    }

    fn read_end(&mut self) -> Result<(), FormatError> {
        let place = self.input.place();
        match self.input.header()? {
            Met::End => {}
            Met::File { name, .. } => return Err(unexpected(&name, "the end of the archive", place)),
            Met::OtherType(met) => return Err(FormatError::damaged(Damage::MemberType, place, met)),
            Met::Broken(_) => return Err(FormatError::damaged(Damage::Trailing, place, "not zero bytes")),
        }
        let mut rest = [0; (END - BLOCK) as usize];
        self.input.fill(&mut rest)?;
        if rest.iter().any(|byte| *byte != 0) || !self.input.chunk(1)?.is_empty() {
            let met = "more follows than the 1,024 zero bytes that end a volume";
            return Err(self.input.damaged(Damage::Trailing, met));
        }
        if self.input.offset() != self.expected_size() {
            let met = format!("{} bytes, {} were signed", self.input.offset(), self.expected_size());
            return Err(self.input.damaged(Damage::SizeMismatch, met));
        }
        Ok(())
    }

    /// Begins something that must succeed before anything else can be done.
    fn begin(&mut self) -> Result<(), FormatError> {
        if !std::mem::replace(&mut self.sound, false) {
            return Err(FormatError::Sink(io::Error::other("reading this volume has failed before")));
        }
        Ok(())
    }
}

impl<R> std::fmt::Debug for VolumeReader<R> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("VolumeReader")
            .field("snapshot", self.head.snapshot())
            .field("volume", &self.volume)
            .field("begun", &self.begun)
            .finish_non_exhaustive()
    }
}

/// Reads the members that make a volume an OCI archive. Nothing of them is kept.
fn read_layout<R: Read>(input: &mut Input<R>, index_size: u64, index: BlobKey) -> Result<(), FormatError> {
    let layout = (names::LAYOUT, LAYOUT_BYTES.len() as u64, BlobKey::of(LAYOUT_BYTES));
    for (name, expected, digest) in [layout, (names::INDEX, index_size, index)] {
        let size = input.member(name, MAX_INDEX)?;
        if size != expected {
            let met = format!("{name} has {size} bytes, {expected} were signed");
            return Err(input.damaged(Damage::SizeMismatch, met));
        }
        let place = input.place();
        let mut hasher = BlobHasher::default();
        input.each_chunk(size, |chunk| {
            hasher.update(chunk);
            Ok(())
        })?;
        let met = hasher.finish();
        if met != digest {
            let met = format!("its bytes have the digest {met}, the contents table says {digest}");
            return Err(FormatError::damaged(Damage::DigestMismatch, place, met));
        }
        input.padding(size)?;
    }
    Ok(())
}
