//! The packing list: how a snapshot travels.

use std::collections::{BTreeMap, HashSet};

use serde::{Deserialize, Deserializer, Serialize, de};
use serde_json::Value;

use crate::canonical::{CanonicalError, MAX_INTEGER};
use crate::digest::BlobKey;
use crate::document::{self, Document, Format};
use crate::error::{FormatError, Place};
use crate::limits::{MAX_BLOBS, MAX_INDEX, MAX_VOLUMES};
use crate::plan::BundlePlan;
use crate::recovery::Recovery;
use crate::snapshot::{SegmentRef, validate_segments};

/// `aftk/packing.json`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PackingList {
    /// Version and required features.
    pub format: Format,
    /// The digest of the snapshot that travels.
    pub snapshot: BlobKey,
    /// The volumes, in order; at most [`MAX_VOLUMES`].
    pub volumes: Vec<Volume>,
    /// The segments of recipes, for blobs that travel in pieces. They travel as the snapshot's segments do.
    #[serde(default, skip_serializing_if = "Vec::is_empty", deserialize_with = "some_segments")]
    pub recipes: Vec<SegmentRef>,
    /// What there is to mend it with.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub recovery: Option<Recovery>,
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

/// A field that says nothing is left out.
fn some_segments<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<SegmentRef>, D::Error> {
    let segments = Vec::deserialize(deserializer)?;
    if segments.is_empty() {
        Err(de::Error::custom("a list of no recipes is left out"))
    } else {
        Ok(segments)
    }
}

impl PackingList {
    /// The packing list under which the snapshot with this digest travels as planned.
    pub fn new(snapshot: BlobKey, plan: &BundlePlan) -> PackingList {
        let volumes = plan.volumes().iter().zip(1..).map(|(volume, number)| Volume {
            number,
            size: volume.size(),
            blobs: volume.blobs().count() as u64,
            contents: volume.contents(),
            index: volume.index().map(|index| index.len() as u64),
        });
        PackingList {
            format: Format::current(),
            snapshot,
            volumes: volumes.collect(),
            recipes: plan.recipes().to_vec(),
            recovery: plan.recovery(),
            ext: BTreeMap::new(),
        }
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
    const RESERVED: &'static [(&'static str, &'static str)] =
        &[("trust", "root documents that travel"), ("approvals", "approvals"), ("receipt", "receipts")];

    fn validate(&self) -> Result<(), String> {
        if self.format != Format::current() {
            return Err("the format is not the one that this version writes".to_owned());
        }
        if self.volumes.is_empty() || self.volumes.len() > MAX_VOLUMES {
            return Err(format!("{} volumes, a bundle has from 1 to {MAX_VOLUMES}", self.volumes.len()));
        }
        let is_single = self.volumes.len() == 1;
        let mut contents = HashSet::new();
        for (volume, number) in self.volumes.iter().zip(1..) {
            if volume.number != number {
                return Err(format!("the volume in place {number} has number {}", volume.number));
            }
            // By this a volume is told from the others.
            if !contents.insert(volume.contents) {
                return Err(format!("two volumes have the contents {}", volume.contents));
            }
            volume.validate(is_single && self.recipes.is_empty())?;
        }
        if let Some(recovery) = &self.recovery {
            recovery.validate(self.volumes.len() as u64)?;
        }
        validate_segments(&self.recipes)
    }
}

impl Volume {
    fn validate(&self, may_be_archive: bool) -> Result<(), String> {
        if self.blobs > MAX_BLOBS {
            return Err(format!("{} blobs in a volume, the limit is {MAX_BLOBS}", self.blobs));
        }
        if self.index.is_some() && !may_be_archive {
            return Err("only a bundle of one volume, without recipes, is an OCI archive".to_owned());
        }
        if self.index.is_some_and(|size| size == 0 || size > MAX_INDEX) {
            return Err(format!("an index.json has from 1 to {MAX_INDEX} bytes"));
        }
        // The arithmetic cannot overflow: the blobs are limited, and a blob takes at least a header.
        if self.size < crate::tar::around_blobs(self.blobs, self.index) + self.blobs * crate::tar::BLOCK
            || self.size > MAX_INTEGER
            || !self.size.is_multiple_of(crate::tar::BLOCK)
        {
            return Err(format!(
                "{} bytes cannot be the size of a volume of {} blobs",
                self.size, self.blobs
            ));
        }
        Ok(())
    }
}
