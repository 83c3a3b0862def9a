//! What the tests of several operations need: a store with something in it.

use std::collections::BTreeMap;

use bundle_format::{Artifact, BlobKey, File, Record};

use crate::store::{Change, ChangeSet, Expected, Merge, Precondition, Source, Store};

/// Keeps the bytes of a text.
pub(super) fn keep(store: &Store, text: &str) {
    let mut write = store.blobs.begin(&[], true).unwrap();
    write.write(text.as_bytes()).unwrap();
    let staged = write.stage(&Expected::default()).unwrap();
    store.blobs.settle(vec![staged]).unwrap();
}

/// An artifact with one file per text.
pub(super) fn artifact(name: &str, version: &str, texts: &[&str]) -> Record {
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

/// Adds records to a channel.
pub(super) fn import(store: &Store, channel: &str, records: &[Record]) {
    change(store, channel, Merge::Add, records);
}

/// Makes a channel exactly these records.
pub(super) fn replace(store: &Store, channel: &str, records: &[Record]) {
    change(store, channel, Merge::Replace, records);
}

fn change(store: &Store, channel: &str, merge: Merge, records: &[Record]) {
    let generation = store.catalogue.begin_generation(&Source::Channel(channel.into()), (1, 1)).unwrap();
    store.catalogue.stage(generation, records).unwrap();
    store.catalogue.merge(generation, merge).unwrap();
    let changes = ChangeSet { changes: vec![Change::Publish(generation)] };
    store.catalogue.commit(&changes, &Precondition::None).unwrap();
}
