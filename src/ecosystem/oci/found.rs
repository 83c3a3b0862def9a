//! What was found, in lists that may outgrow memory.

use std::collections::BTreeSet;
use std::path::Path;

use bundle_format::{Digest, Ref, Repository};

use super::SCHEMA;
use super::manifest::Manifest;
use super::record;
use super::reference::Name;
use crate::ecosystem::{Evidence, Gap, Note, Planned, PlannedFile, Resolution};
use crate::problem::Problem;
use crate::spill::Sorter;

/// What was found so far.
pub(super) struct Found {
    artifacts: Sorter<Planned>,
    refs: Sorter<Ref>,
    pub(super) evidence: Sorter<Evidence>,
    /// The requests that lead to what is found next.
    pub(super) requests: BTreeSet<String>,
    repositories: Vec<Repository>,
    gaps: Vec<Gap>,
    notes: Vec<Note>,
    scratch: std::path::PathBuf,
}

impl Found {
    /// Nothing yet. `scratch` gets what outgrows memory.
    pub(super) fn new(scratch: &Path) -> Found {
        Found {
            artifacts: Sorter::new(scratch),
            refs: Sorter::new(scratch),
            evidence: Sorter::new(scratch),
            requests: BTreeSet::new(),
            repositories: Vec::new(),
            gaps: Vec::new(),
            notes: Vec::new(),
            scratch: scratch.to_owned(),
        }
    }

    /// A registry that something is carried of.
    pub(super) fn registry(&mut self, registry: &str) {
        if self.repositories.iter().all(|known| known.name != registry) {
            let (ecosystem, name) = ("oci".to_owned(), registry.to_owned());
            self.repositories.push(Repository { ecosystem, name, origin: String::new() });
        }
    }

    /// A manifest with its blob and size, without the parts that `absent` names; whether its blobs are to be had from its
    /// registry. Blocks now and then.
    pub(super) fn manifest(
        &mut self,
        name: &Name,
        digest: &Digest,
        (blob, size): (bundle_format::BlobKey, u64),
        manifest: &Manifest,
        absent: &[&Digest],
        is_of_registry: bool,
    ) -> Result<(), Problem> {
        let own = PlannedFile {
            role: record::MANIFEST.to_owned(),
            path: record::manifest_path(&name.path, digest),
            media_type: manifest.media_type.clone(),
            origin: String::new(),
            checksums: vec![digest.clone()],
            blob: Some(blob),
            size: Some(size),
            estimate: None,
            held: false,
        };
        let parts = record::parts(manifest).into_iter().filter(|(_, part)| !absent.contains(&&part.digest));
        let parts = parts.map(|(role, part)| {
            let path = record::blob_path(&name.path, &part.digest);
            PlannedFile {
                role: role.to_owned(),
                origin: if is_of_registry { path.clone() } else { String::new() },
                path,
                media_type: part.media_type.clone(),
                checksums: vec![part.digest.clone()],
                blob: part.digest.blob_key(),
                size: Some(part.size),
                estimate: None,
                held: false,
            }
        });
        self.artifacts.push(Planned {
            ecosystem: "oci".to_owned(),
            repository: name.registry.clone(),
            name: name.path.clone(),
            version: digest.to_string(),
            qualifier: String::new(),
            schema: SCHEMA.to_owned(),
            attributes: record::attributes(manifest, absent),
            files: std::iter::once(own).chain(parts).collect(),
            requires: record::requires(&name.path, manifest, absent),
            requests: self.requests.iter().cloned().collect(),
        })
    }

    /// A tag.
    pub(super) fn tag(&mut self, name: &Name, tag: &str, digest: &Digest) -> Result<(), Problem> {
        self.refs.push(Ref {
            ecosystem: "oci".to_owned(),
            repository: name.registry.clone(),
            name: name.path.clone(),
            label: tag.to_owned(),
            version: digest.to_string(),
        })
    }

    /// Something that cannot be had.
    pub(super) fn gap(&mut self, name: &Name, version: &str, reason: &str, detail: String) {
        self.gaps.push(Gap {
            ecosystem: "oci".to_owned(),
            name: name.to_string(),
            version: version.to_owned(),
            reason: reason.to_owned(),
            detail,
        });
    }

    /// Something that a person should know.
    pub(super) fn note(&mut self, code: &str, subject: String, message: String) {
        self.notes.push(Note { code: code.to_owned(), subject, message });
    }

    /// Everything, sorted and each once.
    pub(super) fn settle(mut self) -> Result<Resolution, Problem> {
        self.notes.sort();
        self.notes.dedup();
        self.repositories.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(Resolution {
            repositories: self.repositories,
            artifacts: self.artifacts.finish()?.distinct(&self.scratch)?,
            refs: self.refs.finish()?.distinct(&self.scratch)?,
            follow_ups: Vec::new(),
            gaps: self.gaps,
            notes: self.notes,
            evidence: self.evidence.finish()?.distinct(&self.scratch)?,
        })
    }
}
