//! The snapshot: what a channel holds at a sequence.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::canonical::{self, CanonicalError, MAX_INTEGER};
use crate::digest::BlobKey;
use crate::document::{self, Document, Format, is_channel, is_name, is_time, strictly_ascending};
use crate::error::{FormatError, Place};
use crate::limits::{MAX_LABEL, MAX_LABELS, MAX_SEGMENT, MAX_SITES};

/// `aftk/snapshot.json`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Snapshot {
    /// Version and required features.
    pub format: Format,
    /// The channel's name, see [`is_channel`].
    pub channel: String,
    /// Which root document's reign it belongs to; at least 1. Snapshots are ordered by (epoch, sequence).
    pub epoch: u64,
    /// At least 1, never reused for other content.
    pub sequence: u64,
    /// The digest of the snapshot before it, if there was one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub previous: Option<BlobKey>,
    /// When its lock was resolved, see [`is_time`].
    pub created: String,
    /// From when on it must not be imported any more; later than `created`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires: Option<String>,
    /// How it changes the channel inside.
    pub mode: Mode,
    /// The sites it is for, strictly ascending; empty means every site.
    pub sites: Vec<String>,
    /// What people say about it: a classification, a ticket.
    pub labels: BTreeMap<String, String>,
    /// The segments that list it, in order.
    pub segments: Vec<SegmentRef>,
    /// What readers may ignore. The only place for fields that this version does not know.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub ext: BTreeMap<String, Value>,
}

/// How a snapshot changes the channel.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Mode {
    /// The channel becomes the union of what it had and the snapshot.
    Add,
    /// The channel becomes exactly the snapshot.
    Replace,
}

/// A segment, by what its blob must be.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SegmentRef {
    /// The key of the blob that holds it.
    pub digest: BlobKey,
    /// How many records it lists, at least 1.
    pub records: u64,
    /// Its size in bytes, at least 1 and at most [`MAX_SEGMENT`].
    pub size: u64,
}

impl Snapshot {
    /// Reads a snapshot strictly. Only bytes whose signatures were verified should come here.
    pub fn from_bytes(bytes: &[u8]) -> Result<Snapshot, FormatError> {
        document::parse(bytes, Place::new(crate::names::SNAPSHOT, 0))
    }

    /// The canonical bytes, if every rule is kept.
    pub fn to_bytes(&self) -> Result<Vec<u8>, CanonicalError> {
        document::to_bytes(self)
    }

    /// The digest by which packing lists, approvals and the ledger name the snapshot with these bytes.
    pub fn digest_of(bytes: &[u8]) -> BlobKey {
        BlobKey::of(bytes)
    }

    /// The digest of what it holds: channel, mode and segments, and nothing of when or for whom.
    ///
    /// Two snapshots of one channel with equal content keys hold the same.
    pub fn content_key(&self) -> Result<BlobKey, CanonicalError> {
        #[derive(Serialize)]
        struct Content<'a> {
            channel: &'a str,
            mode: Mode,
            segments: &'a [SegmentRef],
        }
        let content = Content { channel: &self.channel, mode: self.mode, segments: &self.segments };
        Ok(BlobKey::of(&canonical::to_bytes(&content)?))
    }

    /// The segment that the blob of this key holds, if it is one of the snapshot's.
    pub fn segment(&self, key: &BlobKey) -> Option<&SegmentRef> {
        self.segments.iter().find(|segment| segment.digest == *key)
    }
}

impl Document for Snapshot {
    const RESERVED: &'static [(&'static str, &'static str)] =
        &[("approvals", "approvals"), ("receipt", "receipts")];

    fn validate(&self) -> Result<(), String> {
        if self.format != Format::current() {
            return Err("the format is not the one that this version writes".to_owned());
        }
        if !is_channel(&self.channel) {
            return Err(format!("{:?} cannot name a channel", self.channel));
        }
        for (field, number) in [("epoch", self.epoch), ("sequence", self.sequence)] {
            if number == 0 || number > MAX_INTEGER {
                return Err(format!("{field} is {number}, it starts at 1"));
            }
        }
        if !is_time(&self.created) {
            return Err(format!("created is {:?}, not a UTC time in whole seconds", self.created));
        }
        if let Some(expires) = &self.expires {
            // Times of this one form sort as text.
            if !is_time(expires) || *expires <= self.created {
                return Err(format!("expires is {expires:?}, not a UTC time after created"));
            }
        }
        if self.sites.len() > MAX_SITES || !self.sites.iter().all(|site| is_name(site)) {
            return Err("sites: too many, or a name that cannot be a site's".to_owned());
        }
        if !strictly_ascending(&self.sites) {
            return Err("sites are not sorted, or one stands twice".to_owned());
        }
        let fits = |text: &String| text.len() <= MAX_LABEL && !text.contains(char::is_control);
        if self.labels.len() > MAX_LABELS {
            return Err(format!("{} labels, the limit is {MAX_LABELS}", self.labels.len()));
        }
        if let Some((key, _)) = self.labels.iter().find(|(k, v)| k.is_empty() || !fits(k) || !fits(v)) {
            return Err(format!("label {key:?}: empty, too long, or with control characters"));
        }
        validate_segments(&self.segments)
    }
}

/// Sizes and counts that a segment can have, and none twice.
pub(crate) fn validate_segments(segments: &[SegmentRef]) -> Result<(), String> {
    for segment in segments {
        if segment.size == 0 || segment.size > MAX_SEGMENT as u64 {
            return Err(format!(
                "segment {}: {} bytes is no size of a segment",
                segment.digest, segment.size
            ));
        }
        // The shortest record is far longer than a byte; this only keeps the count within the size.
        if segment.records == 0 || segment.records > segment.size {
            return Err(format!("segment {}: {} records cannot be", segment.digest, segment.records));
        }
    }
    let mut keys: Vec<_> = segments.iter().map(|segment| segment.digest).collect();
    keys.sort_unstable();
    if strictly_ascending(&keys) { Ok(()) } else { Err("a segment stands twice".to_owned()) }
}
