//! The shape of an artifact: one manifest with the blobs that it names.

use std::collections::{BTreeMap, HashSet};

use bundle_format::{Artifact, Digest, File, Requirement};
use serde_json::Value;

use super::manifest::{Descriptor, Kind, Manifest};
use super::reference::read_digest;

/// The role of the manifest itself.
pub(crate) const MANIFEST: &str = "manifest";
/// The role of an image's configuration.
pub(crate) const CONFIG: &str = "config";
/// The role of layers, and of the blobs of artifacts.
pub(crate) const LAYER: &str = "layer";

/// The attribute that lists what a manifest names and nobody carries: entries of an index for platforms that were not
/// asked for, and layers that registries do not keep.
const ABSENT: &str = "absent";
/// The attribute that names the manifest that this one says something of.
const SUBJECT: &str = "subject";
/// The edge from an index to an entry.
const ENTRY: &str = "entry";

/// The path of a manifest, below `/v2/` and its registry.
pub(crate) fn manifest_path(repository: &str, digest: &Digest) -> String {
    format!("{repository}/manifests/{digest}")
}

/// The path of a blob, below `/v2/` and its registry.
pub(crate) fn blob_path(repository: &str, digest: &Digest) -> String {
    format!("{repository}/blobs/{digest}")
}

/// A blob that a manifest names, with its role: each once, however often it is named.
pub(crate) fn parts(manifest: &Manifest) -> Vec<(&'static str, &Descriptor)> {
    let config = manifest.config.iter().map(|config| (CONFIG, config));
    let layers = manifest.layers.iter().map(|layer| (LAYER, layer));
    let mut parts: Vec<(&'static str, &Descriptor)> = Vec::new();
    let mut seen = HashSet::new();
    parts.extend(config.chain(layers).filter(|(_, part)| seen.insert(&part.digest)));
    parts
}

/// What is recorded of a manifest besides its files: what is absent, and what it is about.
pub(crate) fn attributes(manifest: &Manifest, absent: &[&Digest]) -> BTreeMap<String, Value> {
    let mut attributes = BTreeMap::new();
    if !absent.is_empty() {
        let mut absent: Vec<String> = absent.iter().map(ToString::to_string).collect();
        absent.sort();
        absent.dedup();
        attributes.insert(ABSENT.to_owned(), Value::from(absent));
    }
    if let Some(subject) = &manifest.subject {
        attributes.insert(SUBJECT.to_owned(), Value::from(subject.digest.to_string()));
    }
    attributes
}

/// The edges from an index to the entries that are carried.
pub(crate) fn requires(repository: &str, manifest: &Manifest, absent: &[&Digest]) -> Vec<Requirement> {
    if manifest.kind != Kind::Index {
        return Vec::new();
    }
    // Both lists may be long, and come from a bundle.
    let absent: HashSet<&Digest> = absent.iter().copied().collect();
    let carried = manifest.manifests.iter().filter(|entry| !absent.contains(&entry.digest));
    let mut edges: Vec<Requirement> = carried
        .map(|entry| Requirement {
            name: repository.to_owned(),
            range: entry.digest.to_string(),
            kind: ENTRY.to_owned(),
        })
        .collect();
    edges.sort();
    edges.dedup();
    edges
}

/// What an artifact says that it does without.
///
/// # Errors
/// If that is no list of digests.
pub(crate) fn absent(artifact: &Artifact) -> Result<Vec<Digest>, String> {
    let Some(absent) = artifact.attributes.get(ABSENT) else { return Ok(Vec::new()) };
    let absent = absent.as_array().ok_or_else(|| format!("its attribute {ABSENT:?} is no list"))?;
    absent.iter().map(|one| read_digest(one.as_str().unwrap_or_default())).collect()
}

/// The manifest that an artifact says something of, as it was recorded.
pub(crate) fn subject(artifact: &Artifact) -> Option<&str> {
    artifact.attributes.get(SUBJECT)?.as_str()
}

/// Whether a file's bytes have this digest: its listed checksums were compared with them, and the key is what they hash to.
pub(super) fn is_of(file: &File, digest: &Digest) -> bool {
    digest.blob_key() == Some(file.blob) || file.checksums.contains(digest)
}
