//! What tests put into a store.

use std::collections::BTreeMap;

use bundle_format::{Artifact, BlobKey, File, Record};

use super::{Expected, Store};

/// Keeps the bytes of a text.
pub(crate) fn keep(store: &Store, text: &str) {
    let mut write = store.blobs.begin(&[], true).unwrap();
    write.write(text.as_bytes()).unwrap();
    let staged = write.stage(&Expected::default()).unwrap();
    store.blobs.settle(vec![staged]).unwrap();
}

/// An artifact with one file per text: role `tarball`, path `NAME/-/NAME-VERSION.N`.
pub(crate) fn artifact(name: &str, version: &str, texts: &[&str]) -> Record {
    let files = texts.iter().enumerate().map(|(number, text)| File {
        role: "tarball".into(),
        path: format!("{name}/-/{name}-{version}.{number}"),
        blob: BlobKey::of(text.as_bytes()),
        size: text.len() as u64,
        media_type: String::new(),
        checksums: Vec::new(),
        origin: String::new(),
    });
    Record::Artifact(Artifact {
        ecosystem: "npm".into(),
        repository: "registry.example.test".into(),
        name: name.into(),
        version: version.into(),
        qualifier: String::new(),
        schema: "npm/1".into(),
        attributes: BTreeMap::new(),
        files: files.collect(),
        requires: Vec::new(),
    })
}
