//! A version as it is taken in from whoever made it, rather than from a registry.

use std::collections::BTreeMap;

use bundle_format::{Artifact, BlobKey, Digest, File, Requirement};

use super::version_object::VersionObject;
use super::{SCHEMA, names};

/// What makes a version.
pub(super) struct Publication<'a> {
    pub(super) repository: &'a str,
    pub(super) name: &'a str,
    pub(super) version: &'a str,
    /// Its object, understood.
    pub(super) object: &'a VersionObject,
    /// Its object's blob, and how many bytes that has.
    pub(super) manifest: (BlobKey, u64),
    /// Its tarball's blob, and how many bytes that has.
    pub(super) tarball: (BlobKey, u64),
    /// What holds for its tarball.
    pub(super) digests: &'a [Digest],
    /// When it was published, if it was.
    pub(super) time: Option<String>,
}

impl Publication<'_> {
    /// The artifact that it is.
    pub(super) fn artifact(&self) -> Artifact {
        let mut attributes = BTreeMap::new();
        if let Some(time) = &self.time {
            attributes.insert("time".to_owned(), time.as_str().into());
        }
        if let Some(licence) = &self.object.licence {
            attributes.insert("licence".to_owned(), licence.as_str().into());
        }
        let file = |role: &str, path: String, (blob, size), media_type: &str, checksums| File {
            role: role.to_owned(),
            path,
            blob,
            size,
            media_type: media_type.to_owned(),
            checksums,
            origin: String::new(),
        };
        let path = names::tarball_path(self.name, self.version);
        let edges = self.object.edges.iter().map(|(name, range, kind)| Requirement {
            name: name.clone(),
            range: range.clone(),
            kind: kind.name().to_owned(),
        });
        let mut requires: Vec<Requirement> = edges.collect();
        requires.sort();
        Artifact {
            ecosystem: "npm".to_owned(),
            repository: self.repository.to_owned(),
            name: self.name.to_owned(),
            version: self.version.to_owned(),
            qualifier: String::new(),
            schema: SCHEMA.to_owned(),
            attributes,
            files: vec![
                file("manifest", String::new(), self.manifest, "application/json", Vec::new()),
                file("tarball", path, self.tarball, "application/octet-stream", self.digests.to_vec()),
            ],
            requires,
        }
    }
}
