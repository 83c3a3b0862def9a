//! Writing an index so that the next edition need not compress it again.
//!
//! An index is cut where the names of packages say, into parts of some 256 KiB that are compressed each by itself: xz and
//! gzip both read what follows one another as one. Whatever part is as it was in the edition before is copied from there,
//! so that ten packages more among 60,000 cost ten parts. Memory holds a few parts and no index.

use std::collections::HashMap;
use std::fs::File;
use std::io::Write as _;
use std::os::unix::fs::FileExt as _;

use bundle_format::{BlobHasher, BlobKey};
use flate2::write::GzEncoder;
use serde::{Deserialize, Serialize};

use crate::ecosystem::{DocumentWrite, MaterialiseContext};
use crate::problem::{Kind, Problem};

/// A part is not ended before it has so many bytes …
const LEAST: usize = 128 << 10;
/// … and not later than with so many and a stanza.
const MOST: usize = 1 << 20;
/// One name in so many ends a part that is long enough.
const ENDS: u64 = 96;
/// As small as the parts are, more effort gains 3 % and takes twice the time.
const XZ_PRESET: u32 = 4;
/// The most bytes that a list of parts may have.
const LARGEST_LIST: u64 = 64 << 20;

/// A part, as the list of them says it.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Part {
    plain: BlobKey,
    /// What it has packed, in bytes.
    xz: u64,
    gz: u64,
}

/// Bytes and where they stand: the blob and its size.
pub(super) type Written = (BlobKey, u64);

/// An index that was written.
pub(super) struct Index {
    /// The unpacked bytes, which are listed and not kept.
    pub(super) plain: Written,
    pub(super) xz: Written,
    pub(super) gz: Written,
    /// The list of its parts.
    pub(super) parts: Written,
}

/// An index that is being written.
pub(super) struct IndexWriter<'a> {
    before: Before,
    hasher: BlobHasher,
    size: u64,
    part: Vec<u8>,
    /// Parts that are to be compressed, and those between them that need not be.
    waiting: Vec<Waiting>,
    at_once: usize,
    xz: Box<dyn DocumentWrite + 'a>,
    gz: Box<dyn DocumentWrite + 'a>,
    parts: Vec<Part>,
}

enum Waiting {
    Known(Part, (u64, u64)),
    New(BlobKey, Vec<u8>),
}

/// The same index in the edition before.
#[derive(Default)]
struct Before {
    files: Option<(File, File)>,
    /// Each part, and where it begins in both.
    parts: HashMap<BlobKey, (Part, (u64, u64))>,
}

impl Before {
    fn open(repository: &str, path: &str, context: &dyn MaterialiseContext) -> Result<Before, Problem> {
        let open = |path: &str| context.before(repository, path);
        let (list, xz, gz) =
            (open(&list_path(path))?, open(&format!("{path}.xz"))?, open(&format!("{path}.gz"))?);
        let (Some((list, _)), Some((_, xz)), Some((_, gz))) = (list, xz, gz) else {
            return Ok(Before::default());
        };
        let list = context.read(&list.blob, LARGEST_LIST)?;
        // One that another version wrote is none.
        let list: Vec<Part> = serde_json::from_slice(&list).unwrap_or_default();
        let (mut parts, mut at) = (HashMap::with_capacity(list.len()), (0, 0));
        for part in list {
            let next = (at.0 + part.xz, at.1 + part.gz);
            parts.insert(part.plain, (part, at));
            at = next;
        }
        Ok(Before { files: Some((xz, gz)), parts })
    }
}

/// Where the list of an index's parts is.
pub(super) fn list_path(path: &str) -> String {
    format!("/parts/{path}")
}

impl<'a> IndexWriter<'a> {
    /// Begins the index that is at `path`, without its ending.
    pub(super) fn begin(
        repository: &str,
        path: &str,
        context: &'a dyn MaterialiseContext,
    ) -> Result<IndexWriter<'a>, Problem> {
        Ok(IndexWriter {
            before: Before::open(repository, path, context)?,
            hasher: BlobHasher::default(),
            size: 0,
            part: Vec::new(),
            waiting: Vec::new(),
            at_once: std::thread::available_parallelism().map_or(1, usize::from).min(16),
            xz: context.begin()?,
            gz: context.begin()?,
            parts: Vec::new(),
        })
    }

    /// Adds a stanza as it is; packages come in the order of their names.
    pub(super) fn push(&mut self, name: &str, stanza: &str) -> Result<(), Problem> {
        let is_long = self.part.len() >= LEAST && mark_of(name).is_multiple_of(ENDS);
        if is_long || self.part.len() >= MOST {
            self.end_part()?;
        }
        self.part.extend_from_slice(stanza.as_bytes());
        self.part.extend_from_slice(b"\n\n");
        Ok(())
    }

    fn end_part(&mut self) -> Result<(), Problem> {
        if self.part.is_empty() {
            return Ok(());
        }
        self.hasher.update(&self.part);
        self.size += self.part.len() as u64;
        let key = BlobKey::of(&self.part);
        match self.before.parts.get(&key) {
            Some((part, at)) => {
                self.waiting.push(Waiting::Known(part.clone(), *at));
                self.part.clear();
            }
            None => self.waiting.push(Waiting::New(key, std::mem::take(&mut self.part))),
        }
        let new = self.waiting.iter().filter(|one| matches!(one, Waiting::New(..))).count();
        if new >= self.at_once || self.waiting.len() >= 64 { self.write_out() } else { Ok(()) }
    }

    /// Writes what waits, in its order; what is new is compressed by as many threads as there are processors.
    fn write_out(&mut self) -> Result<(), Problem> {
        let waiting = std::mem::take(&mut self.waiting);
        let packed = std::thread::scope(|scope| {
            let begun: Vec<_> = waiting
                .into_iter()
                .map(|one| match one {
                    Waiting::Known(part, at) => (part.plain, Err((part, at))),
                    Waiting::New(key, bytes) => (key, Ok(scope.spawn(move || pack(&bytes)))),
                })
                .collect();
            let ended = begun.into_iter().map(|(key, work)| {
                let work = work.map(|thread| {
                    thread.join().unwrap_or_else(|_| Err(std::io::Error::other("a thread failed")))
                });
                (key, work)
            });
            ended.collect::<Vec<_>>()
        });
        for (plain, packed) in packed {
            let (xz, gz) = match packed {
                Ok(packed) => packed.map_err(|error| cannot_write(&error))?,
                Err((part, at)) => {
                    let Some((xz, gz)) = &self.before.files else { continue };
                    (copied(xz, at.0, part.xz)?, copied(gz, at.1, part.gz)?)
                }
            };
            let part = Part { plain, xz: xz.len() as u64, gz: gz.len() as u64 };
            self.xz
                .write_all(&xz)
                .and_then(|()| self.gz.write_all(&gz))
                .map_err(|error| cannot_write(&error))?;
            self.parts.push(part);
        }
        Ok(())
    }

    /// Ends it.
    pub(super) fn finish(mut self, context: &dyn MaterialiseContext) -> Result<Index, Problem> {
        self.end_part()?;
        self.write_out()?;
        if self.parts.is_empty() {
            // Nothing packed is still something.
            let (xz, gz) = pack(&[]).map_err(|error| cannot_write(&error))?;
            self.xz
                .write_all(&xz)
                .and_then(|()| self.gz.write_all(&gz))
                .map_err(|error| cannot_write(&error))?;
        }
        let list = serde_json::to_vec(&self.parts).map_err(|error| cannot_write(&error))?;
        Ok(Index {
            plain: (self.hasher.finish(), self.size),
            xz: self.xz.finish()?,
            gz: self.gz.finish()?,
            parts: write(&list, context)?,
        })
    }
}

/// Writes a small document.
pub(super) fn write(bytes: &[u8], context: &dyn MaterialiseContext) -> Result<Written, Problem> {
    let mut document = context.begin()?;
    document.write_all(bytes).map_err(|error| cannot_write(&error))?;
    document.finish()
}

/// Where parts end depends on names alone (FNV-1a), so that they end at the same names in the next edition.
fn mark_of(name: &str) -> u64 {
    name.bytes()
        .fold(0xcbf2_9ce4_8422_2325, |mark, byte| (mark ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3))
}

/// As xz and as gzip.
fn pack(bytes: &[u8]) -> std::io::Result<(Vec<u8>, Vec<u8>)> {
    let options = lzma_rust2::XzOptions::with_preset(XZ_PRESET);
    let mut xz = lzma_rust2::XzWriter::new(Vec::with_capacity(bytes.len() / 3), options)?;
    xz.write_all(bytes)?;
    let mut gz = GzEncoder::new(Vec::with_capacity(bytes.len() / 3), flate2::Compression::default());
    gz.write_all(bytes)?;
    Ok((xz.finish()?, gz.finish()?))
}

fn copied(file: &File, from: u64, length: u64) -> Result<Vec<u8>, Problem> {
    let mut bytes = vec![0; usize::try_from(length).unwrap_or(0).min(MOST * 8)];
    file.read_exact_at(&mut bytes, from).map_err(|error| cannot_write(&error))?;
    Ok(bytes)
}

fn cannot_write(error: &dyn std::error::Error) -> Problem {
    Problem::new(Kind::Failed, "apt.edition", "an index could not be written").because(error.to_string())
}
