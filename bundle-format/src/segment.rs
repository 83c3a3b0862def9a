//! Segments: the records of a snapshot as sorted lines, cut where their content says.

use std::io::{self, BufRead, Read};
use std::marker::PhantomData;

use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::canonical::{self, CanonicalError};
use crate::digest::BlobKey;
use crate::error::{Damage, FormatError, Place, Unsupported};
use crate::limits::{MAX_LINE, MAX_SEGMENT, MIN_SEGMENT};
use crate::recipe::Recipe;
use crate::record::Record;
use crate::snapshot::SegmentRef;

/// Writes the records of a snapshot.
pub type SegmentWriter<F> = LineWriter<Record, F>;
/// Reads the records of a snapshot.
pub type SegmentReader<'a, R> = LineReader<'a, R, Record>;
/// Writes the recipes of a packing list.
pub type RecipeWriter<F> = LineWriter<Recipe, F>;
/// Reads the recipes of a packing list.
pub type RecipeReader<'a, R> = LineReader<'a, R, Recipe>;

/// What stands in a line of a segment.
pub trait Line: Serialize + DeserializeOwned {
    /// What lines are sorted by; no two share one.
    fn key(&self) -> [String; 6];
    /// What people read where a message must say which one it means.
    fn label(&self) -> String;
    /// Checks every rule that the types do not express; says what was met.
    fn validate(&self) -> Result<(), String>;
    /// What of a later version a line has that is none of these, in words.
    fn beyond(value: &Value) -> Option<String>;
}

impl Line for Record {
    fn key(&self) -> [String; 6] {
        let (kind, ecosystem, repository, name, version, qualifier) = self.sort_key();
        [kind, ecosystem, repository, name, version, qualifier].map(str::to_owned)
    }

    fn label(&self) -> String {
        Record::label(self)
    }

    fn validate(&self) -> Result<(), String> {
        Record::validate(self)
    }

    fn beyond(value: &Value) -> Option<String> {
        let kind = value.get("type")?.as_str()?;
        let reserved = crate::record::RESERVED.contains(&kind);
        reserved.then(|| format!("records of the type {kind:?} are reserved for a later version"))
    }
}

/// What the sort key of the last line was; carried from one segment to the next.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct RecordOrder(Option<[String; 6]>);

impl RecordOrder {
    /// Takes the next line; false if it does not sort after the one before.
    fn advance(&mut self, line: &impl Line) -> bool {
        let key = line.key();
        if self.0.as_ref().is_some_and(|last| *last >= key) {
            return false;
        }
        self.0 = Some(key);
        true
    }
}

/// Why records do not make segments.
#[derive(Debug, thiserror::Error)]
pub enum SegmentError {
    /// A record breaks a rule.
    #[error("{record}: {reason}")]
    Record {
        /// Which record, by its sort key.
        record: String,
        /// What is wrong with it.
        reason: String,
    },
    /// A finished segment could not be stored.
    #[error("a segment cannot be stored: {0}")]
    Sink(#[from] io::Error),
}

/// Writes records, which come sorted, into segments.
///
/// A segment ends after a line whose sha256 begins with ten zero bits, once it has 1 MiB, and before the line
/// that would make it larger than 4 MiB. So an insertion changes the segment it is in, and the next ones keep
/// their bytes.
pub struct LineWriter<T, F> {
    sink: F,
    lines: PhantomData<T>,
    bytes: Vec<u8>,
    records: u64,
    order: RecordOrder,
    finished: Vec<SegmentRef>,
}

impl<T: Line, F: FnMut(&SegmentRef, &[u8]) -> io::Result<()>> LineWriter<T, F> {
    /// A writer that hands each finished segment and its bytes to `sink`.
    pub fn new(sink: F) -> LineWriter<T, F> {
        LineWriter {
            sink,
            lines: PhantomData,
            bytes: Vec::new(),
            records: 0,
            order: RecordOrder::default(),
            finished: Vec::new(),
        }
    }

    /// Writes the next record. Refuses one that is not valid, or does not sort after the one before.
    pub fn push(&mut self, record: &T) -> Result<(), SegmentError> {
        let refuse = |reason: String| SegmentError::Record { record: record.label(), reason };
        record.validate().map_err(refuse)?;
        let mut line = canonical::to_bytes(record).map_err(|e| refuse(e.to_string()))?;
        line.push(b'\n');
        if line.len() > MAX_LINE {
            return Err(refuse(format!("{} bytes in a line, the limit is {MAX_LINE}", line.len())));
        }
        if !self.order.advance(record) {
            return Err(refuse("stands twice, or not in the order of segments".to_owned()));
        }
        if self.bytes.len() + line.len() > MAX_SEGMENT {
            self.cut()?;
        }
        self.bytes.extend_from_slice(&line);
        self.records += 1;
        if self.bytes.len() >= MIN_SEGMENT && ends_a_segment(&line) {
            self.cut()?;
        }
        Ok(())
    }

    /// Finishes the last segment; returns all of them in order, as the snapshot lists them.
    pub fn finish(mut self) -> Result<Vec<SegmentRef>, SegmentError> {
        self.cut()?;
        Ok(self.finished)
    }

    fn cut(&mut self) -> Result<(), SegmentError> {
        if self.bytes.is_empty() {
            return Ok(());
        }
        let digest = BlobKey::of(&self.bytes);
        let segment = SegmentRef { digest, records: self.records, size: self.bytes.len() as u64 };
        (self.sink)(&segment, &self.bytes)?;
        self.finished.push(segment);
        self.bytes.clear();
        self.records = 0;
        Ok(())
    }
}

fn ends_a_segment(line: &[u8]) -> bool {
    let hash = BlobKey::of(line);
    matches!(hash.as_bytes(), [0, second, ..] if second >> 6 == 0)
}

/// Reads the records of one segment, a line at a time; an error ends it.
///
/// The bytes should be verified ones: this checks form, order, count and size, not the digest.
pub struct LineReader<'a, R, T> {
    source: R,
    lines: PhantomData<T>,
    segment: &'a SegmentRef,
    order: &'a mut RecordOrder,
    line: Vec<u8>,
    records: u64,
    offset: u64,
    done: bool,
}

impl<'a, R: BufRead, T: Line> LineReader<'a, R, T> {
    /// Reads `segment` from `source`. `order` begins as default and is passed from each segment of a snapshot
    /// to the next.
    pub fn new(segment: &'a SegmentRef, source: R, order: &'a mut RecordOrder) -> LineReader<'a, R, T> {
        LineReader {
            source,
            lines: PhantomData,
            segment,
            order,
            line: Vec::new(),
            records: 0,
            offset: 0,
            done: false,
        }
    }

    fn place(&self) -> Place {
        Place::new(crate::names::blob_name(&self.segment.digest), self.offset)
    }

    fn damaged(&self, damage: Damage, met: impl Into<String>) -> FormatError {
        FormatError::damaged(damage, self.place(), met)
    }

    fn read(&mut self) -> Result<Option<T>, FormatError> {
        self.line.clear();
        let limit = MAX_LINE as u64;
        let read = self.source.by_ref().take(limit).read_until(b'\n', &mut self.line);
        let length = read.map_err(|source| FormatError::Read { place: self.place(), source })?;
        if length == 0 {
            let (records, size) = (self.records, self.offset);
            if (records, size) != (self.segment.records, self.segment.size) {
                let met = format!("{records} records in {size} bytes are not what the snapshot says");
                return Err(self.damaged(Damage::Segment, met));
            }
            return Ok(None);
        }
        let Some(line) = self.line.strip_suffix(b"\n") else {
            let met =
                if length == MAX_LINE { "a line is longer than 1 MiB" } else { "the last line has no end" };
            return Err(self.damaged(Damage::Segment, met));
        };
        let record = match canonical::from_bytes::<T>(line) {
            Ok(record) => record,
            Err(error) => return Err(self.not_a_record(line, &error)),
        };
        record
            .validate()
            .map_err(|met| self.damaged(Damage::Segment, format!("{}: {met}", record.label())))?;
        if !self.order.advance(&record) {
            let met = format!("{} stands twice, or in the wrong place", record.label());
            return Err(self.damaged(Damage::RecordOrder, met));
        }
        self.records += 1;
        self.offset += length as u64;
        Ok(Some(record))
    }

    /// Tells the records of a later version from damage.
    fn not_a_record(&self, line: &[u8], error: &CanonicalError) -> FormatError {
        let value: Option<Value> = canonical::from_bytes(line).ok();
        match value.as_ref().and_then(T::beyond) {
            Some(met) => FormatError::unsupported(Unsupported::Reserved, self.place(), met),
            None => self.damaged(Damage::Segment, format!("not a record: {error}")),
        }
    }
}

impl<R: BufRead, T: Line> Iterator for LineReader<'_, R, T> {
    type Item = Result<T, FormatError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.done {
            return None;
        }
        let item = self.read().transpose();
        self.done = !matches!(item, Some(Ok(_)));
        item
    }
}
