//! The body of a volume, from the header of `aftk/contents` to its end, read at any place without there being a file.
//!
//! Every byte of it follows from which blobs the volume carries. So it can be had where the blobs are, long after the
//! medium it was on has left the drive.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;

use crate::digest::BlobKey;
use crate::names::{self, CONTENTS_LINE, blob_name, contents_line};
use crate::plan::VolumePlan;
use crate::tar::{BLOCK, END, header, member_size};

/// Bytes that can be read at any place.
pub trait ReadAt: Send + Sync {
    /// Fills `buffer` with what stands at `offset`.
    ///
    /// # Errors
    /// If it cannot be read, or ends before.
    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<()>;
}

impl ReadAt for File {
    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<()> {
        self.read_exact_at(buffer, offset)
    }
}

impl ReadAt for Vec<u8> {
    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<()> {
        let start = usize::try_from(offset).unwrap_or(usize::MAX);
        let bytes = start.checked_add(buffer.len()).and_then(|end| self.get(start..end));
        buffer.copy_from_slice(bytes.ok_or(io::ErrorKind::UnexpectedEof)?);
        Ok(())
    }
}

impl<T: ReadAt + ?Sized> ReadAt for &T {
    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<()> {
        (**self).read_at(offset, buffer)
    }
}

/// What can be read at any place, from some place on.
#[derive(Debug)]
pub struct Tail<T> {
    /// All of it.
    pub whole: T,
    /// Where this begins.
    pub start: u64,
}

impl<T: ReadAt> ReadAt for Tail<T> {
    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<()> {
        let offset = offset.checked_add(self.start).ok_or(io::ErrorKind::InvalidInput)?;
        self.whole.read_at(offset, buffer)
    }
}

/// Opens a blob of a volume.
pub type OpenBlob<'a> = dyn Fn(&BlobKey) -> io::Result<Box<dyn ReadAt>> + Send + Sync + 'a;

/// The body of a volume.
pub struct Body<'a> {
    plan: &'a VolumePlan,
    open: &'a OpenBlob<'a>,
    /// The members before the blobs, each with its header, bytes and padding.
    front: Vec<(u64, Vec<u8>)>,
    /// Where the contents table's lines begin, and end.
    lines: (u64, u64),
    /// Where each blob's header begins, and at last where the last blob ends: 8 bytes of memory a blob.
    blobs: Vec<u64>,
}

impl<'a> Body<'a> {
    /// The body of a volume of these blobs, which `open` has.
    pub fn new(plan: &'a VolumePlan, open: &'a OpenBlob<'a>) -> Body<'a> {
        let mut front = Vec::new();
        let table = plan.contents_size();
        front.push((0, header_bytes(names::CONTENTS, table)));
        let mut offset = member_size(table);
        for (name, bytes) in plan.layout() {
            let mut member = header_bytes(name, bytes.len() as u64);
            member.extend_from_slice(bytes);
            front.push((offset, member));
            offset += member_size(bytes.len() as u64);
        }
        let mut blobs = Vec::with_capacity(plan.blobs().len() + 1);
        for (_, size) in plan.blobs() {
            blobs.push(offset);
            offset += member_size(size);
        }
        blobs.push(offset);
        Body { plan, open, front, lines: (BLOCK, BLOCK + table), blobs }
    }

    /// Its size in bytes.
    pub fn size(&self) -> u64 {
        self.blobs.last().copied().unwrap_or_default() + END
    }

    /// The part of the contents table that stands at `offset`.
    fn read_lines(&self, offset: u64, buffer: &mut [u8]) {
        let first = self.plan.layout_lines();
        let (start, end) = self.lines;
        copy_overlap(start, first.as_bytes(), offset, buffer);
        let start = start + first.len() as u64;
        let until = end.min(offset + buffer.len() as u64);
        let mut number = offset.saturating_sub(start) / CONTENTS_LINE;
        while start + number * CONTENTS_LINE < until {
            let Some((key, _)) = usize::try_from(number).ok().and_then(|number| self.plan.blob(number))
            else {
                return;
            };
            copy_overlap(start + number * CONTENTS_LINE, contents_line(&key).as_bytes(), offset, buffer);
            number += 1;
        }
    }

    /// What of the blobs stands at `offset`.
    fn read_blobs(&self, offset: u64, buffer: &mut [u8]) -> io::Result<()> {
        let until = offset + buffer.len() as u64;
        let mut number = self.blobs.partition_point(|start| *start <= offset).saturating_sub(1);
        while let (Some(start), Some((key, size))) = (self.blobs.get(number), self.plan.blob(number)) {
            if *start >= until {
                return Ok(());
            }
            copy_overlap(*start, &header_bytes(&blob_name(&key), size), offset, buffer);
            let first = start + BLOCK;
            let (from, to) = (first.max(offset), (first + size).min(until));
            if from < to {
                let part = overlap_mut(from, to, offset, buffer);
                (self.open)(&key)?.read_at(from - first, part)?;
            }
            number += 1;
        }
        Ok(())
    }
}

impl ReadAt for Body<'_> {
    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<()> {
        let until = offset.checked_add(buffer.len() as u64).ok_or(io::ErrorKind::InvalidInput)?;
        if until > self.size() {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        // What nothing else fills are padding and the end.
        buffer.fill(0);
        if offset < self.blobs.first().copied().unwrap_or_default() {
            for (start, bytes) in &self.front {
                copy_overlap(*start, bytes, offset, buffer);
            }
            self.read_lines(offset, buffer);
        }
        self.read_blobs(offset, buffer)
    }
}

/// A header. A plan has only members that have one.
fn header_bytes(name: &str, size: u64) -> Vec<u8> {
    header(name, size).map(|header| header.to_vec()).unwrap_or_default()
}

/// Copies what of `bytes`, which stand at `start`, falls into the buffer, which stands at `offset`.
fn copy_overlap(start: u64, bytes: &[u8], offset: u64, buffer: &mut [u8]) {
    let (from, to) = (start.max(offset), (start + bytes.len() as u64).min(offset + buffer.len() as u64));
    if from < to {
        let part = overlap_mut(from, to, offset, buffer);
        let first = usize::try_from(from - start).unwrap_or(usize::MAX);
        if let Some(bytes) = bytes.get(first..).and_then(|bytes| bytes.get(..part.len())) {
            part.copy_from_slice(bytes);
        }
    }
}

/// The part of a buffer at `offset` that stands from `from` to `to`.
fn overlap_mut(from: u64, to: u64, offset: u64, buffer: &mut [u8]) -> &mut [u8] {
    let range = |place: u64| usize::try_from(place - offset).unwrap_or_default();
    buffer.get_mut(range(from)..range(to)).unwrap_or_default()
}
