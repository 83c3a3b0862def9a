//! Images in the store of a home, as an import leaves them there.

use std::collections::BTreeMap;
use std::path::Path;

use aftk::store::Store;
use bundle_format::{Algorithm, Artifact, BlobKey, Digest, File, Record, Ref, Requirement};
use serde_json::{Value, json};
use sha2::Digest as _;

use super::published;

/// The media types of an index and an image.
pub(crate) const INDEX: &str = "application/vnd.oci.image.index.v1+json";
pub(crate) const IMAGE: &str = "application/vnd.oci.image.manifest.v1+json";

/// What is to be imported by one channel.
pub(crate) struct Images {
    store: Store,
    records: Vec<Record>,
}

/// The sha512 of some bytes, as registries write it.
pub(crate) fn sha512(bytes: &[u8]) -> Digest {
    Digest::new(Algorithm::Sha512, &sha2::Sha512::digest(bytes)).unwrap()
}

impl Images {
    pub(crate) fn new(home: &Path) -> Images {
        Images { store: Store::open(home).unwrap(), records: Vec::new() }
    }

    /// Puts bytes into the store and describes them.
    pub(crate) fn blob(&self, media_type: &str, bytes: &[u8]) -> Value {
        let digest = published::blob(&self.store, bytes).to_string();
        json!({ "mediaType": media_type, "digest": digest, "size": bytes.len() })
    }

    /// Adds a manifest with the blobs that it names, which are in the store, and describes it.
    pub(crate) fn manifest(&mut self, registry: &str, path: &str, manifest: &Value) -> Value {
        self.manifest_as(registry, path, manifest, |bytes| BlobKey::of(bytes).into())
    }

    /// The same under another digest than sha256.
    pub(crate) fn manifest_as(
        &mut self,
        registry: &str,
        path: &str,
        manifest: &Value,
        digest: fn(&[u8]) -> Digest,
    ) -> Value {
        let bytes = serde_json::to_vec_pretty(manifest).unwrap();
        let media_type = manifest["mediaType"].as_str().unwrap();
        let mut descriptor = self.blob(media_type, &bytes);
        let version = digest(&bytes);
        let file = |role: &str, kind: &str, descriptor: &Value, blob: BlobKey, checksums: Vec<Digest>| File {
            role: role.to_owned(),
            path: format!("{path}/{kind}/{}", descriptor["digest"].as_str().unwrap()),
            blob,
            size: descriptor["size"].as_u64().unwrap(),
            media_type: descriptor["mediaType"].as_str().unwrap().to_owned(),
            checksums,
            origin: String::new(),
        };
        let key = |descriptor: &Value| {
            let digest: Digest = descriptor["digest"].as_str().unwrap().parse().unwrap();
            digest.blob_key().unwrap()
        };
        let checksums = if version.blob_key().is_none() { vec![version.clone()] } else { Vec::new() };
        let blob = key(&descriptor);
        descriptor["digest"] = json!(version.to_string());
        let mut files = vec![file("manifest", "manifests", &descriptor, blob, checksums)];
        let config = manifest.get("config").into_iter().map(|config| ("config", config));
        let layers = manifest["layers"].as_array().into_iter().flatten().map(|layer| ("layer", layer));
        for (role, part) in config.chain(layers) {
            files.push(file(role, "blobs", part, key(part), Vec::new()));
        }
        let subject = manifest.get("subject").map(|subject| subject["digest"].clone());
        let entries = manifest["manifests"].as_array().into_iter().flatten();
        self.records.push(Record::Artifact(Artifact {
            ecosystem: "oci".into(),
            repository: registry.into(),
            name: path.into(),
            version: version.to_string(),
            qualifier: String::new(),
            schema: "oci/1".into(),
            attributes: subject
                .map(|subject| BTreeMap::from([("subject".to_owned(), subject)]))
                .unwrap_or_default(),
            files,
            requires: entries
                .map(|entry| Requirement {
                    name: path.into(),
                    range: entry["digest"].as_str().unwrap().into(),
                    kind: "entry".into(),
                })
                .collect(),
        }));
        descriptor
    }

    /// Adds an image with one layer, and describes it.
    pub(crate) fn image(&mut self, registry: &str, path: &str, layer: &[u8]) -> Value {
        let config = self.blob("application/vnd.oci.image.config.v1+json", b"{}");
        let layer = self.blob("application/vnd.oci.image.layer.v1.tar", layer);
        let image = json!({"schemaVersion": 2, "mediaType": IMAGE, "config": config, "layers": [layer]});
        self.manifest(registry, path, &image)
    }

    /// Lets a tag point at a manifest.
    pub(crate) fn tag(&mut self, registry: &str, path: &str, tag: &str, manifest: &Value) {
        self.records.push(Record::Ref(Ref {
            ecosystem: "oci".into(),
            repository: registry.into(),
            name: path.into(),
            label: tag.into(),
            version: manifest["digest"].as_str().unwrap().into(),
        }));
    }

    /// Shows all that was added since the last time as what a channel has now.
    pub(crate) fn publish(&mut self, channel: &str) {
        published::publish(&self.store, channel, std::mem::take(&mut self.records));
    }
}
