//! Records: what the segments of a snapshot list, one canonical JSON object a line.
//!
//! A record says what a channel holds. The format knows no ecosystem: names, versions and attributes are
//! opaque to it, and it never compares two versions.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::digest::{BlobKey, Digest};
use crate::document::strictly_ascending;
use crate::error::readable;

/// One line of a segment.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "kebab-case")]
pub enum Record {
    /// A version of a package, or whatever else an ecosystem calls one thing.
    Artifact(Artifact),
    /// A movable name: a tag, a dist-tag, a suite.
    Ref(Ref),
    /// A repository that artifacts and refs of this snapshot are linked into.
    Repository(Repository),
}

/// A repository as an upstream knows it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Repository {
    /// The ecosystem that reads it: `npm`, `file` …
    pub ecosystem: String,
    /// Its name within the ecosystem: a logical origin (`npm`) or a host.
    pub name: String,
    /// Where the outside found it, without credentials; empty where that is not said.
    pub origin: String,
}

/// One version of one thing in one repository.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Artifact {
    /// The ecosystem that reads it.
    pub ecosystem: String,
    /// The repository it is linked into.
    pub repository: String,
    /// Its name as upstream writes it; case is kept.
    pub name: String,
    /// Its version as upstream writes it; opaque.
    pub version: String,
    /// What tells several artifacts of one name and version apart (architecture, platform); often empty.
    pub qualifier: String,
    /// Which schema `attributes` follows, for example `npm/1`.
    pub schema: String,
    /// What the ecosystem needs besides the files; opaque to everything else.
    pub attributes: BTreeMap<String, serde_json::Value>,
    /// Its files, strictly ascending by (role, path, blob).
    pub files: Vec<File>,
    /// What it needs, strictly ascending by (name, range, kind); the closure that the outside proved.
    pub requires: Vec<Requirement>,
}

/// One file of an artifact.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct File {
    /// What it is to the artifact: `tarball`, `manifest` …
    pub role: String,
    /// Its path within the repository as clients ask for it; empty if no client asks by path.
    pub path: String,
    /// The blob that holds its bytes.
    pub blob: BlobKey,
    /// Its size in bytes.
    pub size: u64,
    /// Its media type; empty if unknown.
    pub media_type: String,
    /// The checksums that upstream published for it, strictly ascending by algorithm (in the order of
    /// [`crate::Algorithm`]) and digest.
    pub checksums: Vec<Digest>,
    /// Where it was fetched, without credentials; empty where that is not recorded.
    pub origin: String,
}

/// An edge of the closure.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Requirement {
    /// The name that is required, as the requiring artifact writes it.
    pub name: String,
    /// The range, in the ecosystem's own grammar.
    pub range: String,
    /// What kind of edge: `runtime`, `optional`, `peer`, `optional-peer` …
    pub kind: String,
}

/// A movable name and what it points at.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Ref {
    /// The ecosystem that reads it.
    pub ecosystem: String,
    /// The repository it stands in.
    pub repository: String,
    /// The package it belongs to.
    pub name: String,
    /// The ref's own name: `latest`, `1.25`, `bookworm` …
    pub label: String,
    /// The version it points at.
    pub version: String,
}

impl Record {
    /// What records are sorted by; two records of a snapshot never share one.
    pub fn sort_key(&self) -> (&str, &str, &str, &str, &str, &str) {
        match self {
            Record::Artifact(a) => {
                ("artifact", &a.ecosystem, &a.repository, &a.name, &a.version, &a.qualifier)
            }
            Record::Ref(r) => ("ref", &r.ecosystem, &r.repository, &r.name, &r.label, ""),
            Record::Repository(r) => ("repository", &r.ecosystem, &r.name, "", "", ""),
        }
    }

    /// What people read where a message must say which record it means.
    pub fn label(&self) -> String {
        let (kind, ecosystem, repository, name, version, qualifier) = self.sort_key();
        let parts = [repository, name, version, qualifier].into_iter().filter(|part| !part.is_empty());
        let label = format!("{kind} {ecosystem}:{}", parts.collect::<Vec<_>>().join(" "));
        readable(&label)
    }

    /// Checks every rule that the types do not express: what must be said is said, names hold no control
    /// characters, and every list is strictly ascending, so that it has one order and nothing twice.
    ///
    /// The error says what was met.
    pub fn validate(&self) -> Result<(), String> {
        let (_, ecosystem, repository, name, version, qualifier) = self.sort_key();
        if ecosystem.is_empty() || repository.is_empty() {
            return Err("the ecosystem or the repository is not said".to_owned());
        }
        if name.is_empty() && !matches!(self, Record::Repository(_)) {
            return Err("the name is empty".to_owned());
        }
        if [ecosystem, repository, name, version, qualifier]
            .iter()
            .any(|text| text.contains(char::is_control))
        {
            return Err("control characters in a name".to_owned());
        }
        match self {
            Record::Artifact(artifact) => artifact.validate(),
            Record::Ref(reference) => printable(&[&reference.version]),
            Record::Repository(repository) => printable(&[&repository.origin]),
        }
    }
}

impl Artifact {
    fn validate(&self) -> Result<(), String> {
        printable(&[&self.schema])?;
        if !strictly_ascending(self.files.iter().map(|file| (&file.role, &file.path, &file.blob))) {
            return Err("files are not sorted by role, path and blob, or one stands twice".to_owned());
        }
        if !strictly_ascending(&self.requires) {
            return Err("requires are not sorted, or one stands twice".to_owned());
        }
        for file in &self.files {
            if file.role.is_empty() {
                return Err("a file has no role".to_owned());
            }
            printable(&[&file.role, &file.path, &file.media_type, &file.origin])?;
            if !strictly_ascending(&file.checksums) {
                return Err("checksums are not sorted, or one stands twice".to_owned());
            }
        }
        Ok(())
    }
}

fn printable(texts: &[&str]) -> Result<(), String> {
    if texts.iter().any(|text| text.contains(char::is_control)) {
        return Err("control characters in a text that has none".to_owned());
    }
    Ok(())
}

/// Types of records that later versions have; refused by name.
pub(crate) const RESERVED: &[&str] = &["recipe", "approval", "receipt", "recovery"];
