//! Artifacts between resolving and packing.

use std::cmp::Ordering;

use bundle_format::{Artifact, BlobKey, Digest, Ref, Requirement};
use serde::{Deserialize, Serialize};

use crate::problem::Problem;
use crate::spill::{Entry, Sorted};

/// An artifact as resolved, before its files are downloaded.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Planned {
    /// As in [`Artifact`](bundle_format::Artifact).
    pub ecosystem: String,
    /// As in [`Artifact`](bundle_format::Artifact).
    pub repository: String,
    /// As in [`Artifact`](bundle_format::Artifact).
    pub name: String,
    /// As in [`Artifact`](bundle_format::Artifact).
    pub version: String,
    /// As in [`Artifact`](bundle_format::Artifact).
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub qualifier: String,
    /// As in [`Artifact`](bundle_format::Artifact).
    pub schema: String,
    /// As in [`Artifact`](bundle_format::Artifact).
    #[serde(default, skip_serializing_if = "std::collections::BTreeMap::is_empty")]
    pub attributes: std::collections::BTreeMap<String, serde_json::Value>,
    /// Its files.
    pub files: Vec<PlannedFile>,
    /// As in [`Artifact`](bundle_format::Artifact).
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub requires: Vec<Requirement>,
    /// The requests that lead to it, as they were written; sorted. Of those that are resolved together, as images of one
    /// repository are, all. For people alone: they are no part of what is carried.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub requests: Vec<String>,
}

impl Planned {
    /// Notes down that other requests lead to it too.
    pub fn is_asked_for_by(&mut self, requests: impl IntoIterator<Item = String>) {
        self.requests.extend(requests);
        self.requests.sort();
        self.requests.dedup();
    }

    /// What makes it one certain artifact; in this order locks and segments list them.
    pub fn key(&self) -> (&str, &str, &str, &str, &str) {
        (&self.ecosystem, &self.repository, &self.name, &self.version, &self.qualifier)
    }
}

/// A file as resolved. `blob` and `size` are known once it is held.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct PlannedFile {
    /// As in [`bundle_format::File`].
    pub role: String,
    /// As in [`bundle_format::File`].
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub path: String,
    /// As in [`bundle_format::File`].
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub media_type: String,
    /// Where it comes from: an absolute URL, or a path below its repository's route. Empty: it cannot be downloaded,
    /// only be resolved again (a document cut out of another) or read again (a file of this machine).
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub origin: String,
    /// What upstream says of it; every one is verified.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub checksums: Vec<Digest>,
    /// Its blob, once known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub blob: Option<BlobKey>,
    /// Its size in bytes, once known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub size: Option<u64>,
    /// Until the size is known: the most bytes it is likely to have, by what upstream says of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub estimate: Option<u64>,
    /// Whether the store holds it whole: looked up anew in every run, and never part of a lock.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub held: bool,
}

impl From<Artifact> for Planned {
    /// One that is held already.
    fn from(artifact: Artifact) -> Planned {
        let files = artifact.files.into_iter().map(|file| PlannedFile {
            role: file.role,
            path: file.path,
            media_type: file.media_type,
            origin: file.origin,
            checksums: file.checksums,
            blob: Some(file.blob),
            size: Some(file.size),
            estimate: None,
            held: true,
        });
        Planned {
            ecosystem: artifact.ecosystem,
            repository: artifact.repository,
            name: artifact.name,
            version: artifact.version,
            qualifier: artifact.qualifier,
            schema: artifact.schema,
            attributes: artifact.attributes,
            files: files.collect(),
            requires: artifact.requires,
            requests: Vec::new(),
        }
    }
}

impl Entry for Planned {
    fn order(&self, other: &Self) -> Ordering {
        self.key().cmp(&other.key())
    }
}

/// What one ecosystem contributes to a lock, to be walked as often as a proof needs.
pub struct Gathered<'a> {
    /// The ecosystem.
    pub ecosystem: &'a str,
    /// Artifacts of all ecosystems.
    pub artifacts: &'a Sorted<Planned>,
    /// Refs of all ecosystems.
    pub refs: &'a Sorted<Ref>,
}

impl Gathered<'_> {
    /// Its artifacts, in order.
    pub fn artifacts(&self) -> impl Iterator<Item = Result<Planned, Problem>> {
        self.artifacts.iter().filter(|one| one.as_ref().map_or(true, |one| one.ecosystem == self.ecosystem))
    }

    /// Its refs, in order.
    pub fn refs(&self) -> impl Iterator<Item = Result<Ref, Problem>> {
        self.refs.iter().filter(|one| one.as_ref().map_or(true, |one| one.ecosystem == self.ecosystem))
    }
}
