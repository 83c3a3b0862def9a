//! npm packages as clients publish them, and in the store of a home as an import leaves them there.

use std::path::Path;

use aftk::store::Store;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bundle_format::{Algorithm, Artifact, Digest, File, Record, Ref};
use serde_json::{Value, json};
use sha1::Digest as _;

use super::published;

/// A tarball whose package.json says this.
pub(crate) fn tarball(package: &Value) -> Vec<u8> {
    let mut builder =
        tar::Builder::new(flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast()));
    for (path, text) in [
        ("package/index.js", "module.exports = 1\n".to_owned()),
        ("package/package.json", package.to_string()),
    ] {
        let mut header = tar::Header::new_ustar();
        header.set_size(text.len() as u64);
        builder.append_data(&mut header, path, text.as_bytes()).unwrap();
    }
    builder.into_inner().unwrap().finish().unwrap()
}

pub(crate) fn integrity(tarball: &[u8]) -> String {
    format!("sha512-{}", STANDARD.encode(sha2::Sha512::digest(tarball)))
}

/// What npm sends to publish a version.
pub(crate) fn document(name: &str, version: &str, tarball: &[u8]) -> Value {
    let shasum = Digest::new(Algorithm::Sha1, &sha1::Sha1::digest(tarball)).unwrap().hex();
    json!({
        "_id": name,
        "name": name,
        "description": "An example",
        "dist-tags": {"latest": version},
        "versions": {version: {
            "name": name, "version": version, "license": "MIT", "dependencies": {"other": "^1.0.0"},
            "dist": {"integrity": integrity(tarball), "shasum": shasum, "tarball": "http://elsewhere.example.test/x"},
        }},
        "access": null,
        "_attachments": {format!("{name}-{version}.tgz"): {
            "content_type": "application/octet-stream", "data": STANDARD.encode(tarball), "length": tarball.len(),
        }},
    })
}

/// Shows a package of a mirror, as an import would leave it: what a channel of its own brought last.
pub(crate) fn mirror(home: &Path, name: &str, version: &str) {
    mirror_all(home, name, &[version], &[]);
}

/// The same for several versions, and tags with what they stand for.
pub(crate) fn mirror_all(home: &Path, name: &str, versions: &[&str], tags: &[(&str, &str)]) {
    let store = Store::open(home).unwrap();
    let mut records: Vec<Record> = versions.iter().map(|version| mirrored(&store, name, version)).collect();
    records.extend(tags.iter().map(|(label, version)| {
        Record::Ref(Ref {
            ecosystem: "npm".to_owned(),
            repository: "npm".to_owned(),
            name: name.to_owned(),
            label: (*label).to_owned(),
            version: (*version).to_owned(),
        })
    }));
    published::publish(&store, &format!("of-{}", name.rsplit('/').next().unwrap()), records);
}

fn mirrored(store: &Store, name: &str, version: &str) -> Record {
    let tarball = tarball(&json!({"name": name, "version": version, "by": "a stranger"}));
    let object = document(name, version, &tarball)["versions"][version].to_string();
    let file = |role: &str, path: String, bytes: &[u8]| File {
        role: role.to_owned(),
        path,
        blob: published::blob(store, bytes),
        size: bytes.len() as u64,
        media_type: String::new(),
        checksums: Vec::new(),
        origin: String::new(),
    };
    let base = name.rsplit('/').next().unwrap();
    let artifact = Artifact {
        ecosystem: "npm".to_owned(),
        repository: "npm".to_owned(),
        name: name.to_owned(),
        version: version.to_owned(),
        qualifier: String::new(),
        schema: "npm/1".to_owned(),
        attributes: Default::default(),
        files: vec![
            file("manifest", String::new(), object.as_bytes()),
            file("tarball", format!("{name}/-/{base}-{version}.tgz"), &tarball),
        ],
        requires: Vec::new(),
    };
    Record::Artifact(artifact)
}
