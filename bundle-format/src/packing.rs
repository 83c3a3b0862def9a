//! The packing list: how a snapshot travels.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::canonical::{CanonicalError, MAX_INTEGER};
use crate::digest::BlobKey;
use crate::document::{self, Document, Format};
use crate::error::{FormatError, Place};
use crate::limits::{MAX_BLOBS, MAX_INDEX};
use crate::plan::VolumePlan;

/// `aftk/packing.json`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PackingList {
    /// Version and required features.
    pub format: Format,
    /// The digest of the snapshot that travels.
    pub snapshot: BlobKey,
    /// The volumes; in this version exactly one.
    pub volumes: Vec<Volume>,
    /// What readers may ignore.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub ext: BTreeMap<String, Value>,
}

/// One volume, by what it must be.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Volume {
    /// Its number, from 1.
    pub number: u64,
    /// Bytes from the header of `aftk/contents` to the end of the file. So the size depends neither on this
    /// list's own length nor on how many signatures are attached.
    pub size: u64,
    /// How many blobs it carries, at most [`MAX_BLOBS`]; this bounds what a reader must hold.
    pub blobs: u64,
    /// The sha256 of `aftk/contents`.
    pub contents: BlobKey,
    /// If the volume is an OCI archive as well, the size of its `index.json` in bytes, at most [`MAX_INDEX`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub index: Option<u64>,
}

impl PackingList {
    /// The packing list under which the snapshot with this digest travels as planned, in one volume.
    pub fn new(snapshot: BlobKey, plan: &VolumePlan) -> PackingList {
        let volume = Volume {
            number: 1,
            size: plan.size(),
            blobs: plan.blobs().count() as u64,
            contents: plan.contents(),
            index: plan.index().map(|index| index.len() as u64),
        };
        PackingList { format: Format::current(), snapshot, volumes: vec![volume], ext: BTreeMap::new() }
    }

    /// Reads a packing list strictly. Only bytes whose signatures were verified should come here.
    pub fn from_bytes(bytes: &[u8]) -> Result<PackingList, FormatError> {
        document::parse(bytes, Place::new(crate::names::PACKING, 0))
    }

    /// The canonical bytes, if every rule is kept.
    pub fn to_bytes(&self) -> Result<Vec<u8>, CanonicalError> {
        document::to_bytes(self)
    }
}

impl Document for PackingList {
    const RESERVED: &'static [(&'static str, &'static str)] = &[
        ("trust", "root documents that travel"),
        ("recipes", "recipe segments (concat and encodings)"),
        ("recovery", "recovery data"),
        ("approvals", "approvals"),
        ("receipt", "receipts"),
    ];

    fn beyond(&self) -> Option<String> {
        let count = self.volumes.len();
        (count > 1).then(|| format!("a bundle of {count} volumes, this version reads bundles of one"))
    }

    fn validate(&self) -> Result<(), String> {
        if self.format != Format::current() {
            return Err("the format is not the one that this version writes".to_owned());
        }
        let [volume] = self.volumes.as_slice() else {
            return Err(format!("{} volumes, this version writes bundles of one", self.volumes.len()));
        };
        if volume.number != 1 {
            return Err(format!("the only volume has number {}", volume.number));
        }
        if volume.blobs > MAX_BLOBS {
            return Err(format!("{} blobs in a volume, the limit is {MAX_BLOBS}", volume.blobs));
        }
        if volume.index.is_some_and(|size| size == 0 || size > MAX_INDEX) {
            return Err(format!("an index.json has from 1 to {MAX_INDEX} bytes"));
        }
        // The arithmetic cannot overflow: the blobs are limited, and a blob takes at least a header.
        if volume.size
            < crate::tar::around_blobs(volume.blobs, volume.index) + volume.blobs * crate::tar::BLOCK
            || volume.size > MAX_INTEGER
            || !volume.size.is_multiple_of(crate::tar::BLOCK)
        {
            return Err(format!(
                "{} bytes cannot be the size of a volume of {} blobs",
                volume.size, volume.blobs
            ));
        }
        Ok(())
    }
}
