//! What the catalogue promises, beyond what types say.

mod crash;
mod generations;
mod hosting;
mod keeping;
mod precedence;
mod several;

use std::collections::BTreeMap;
use std::path::PathBuf;

use super::*;
use crate::store::testing::artifact;

/// A store of its own, gone after the test.
struct Home {
    directory: tempfile::TempDir,
    store: Store,
}

impl Home {
    fn new() -> Home {
        let directory = crate::fsx::test_directory();
        let store = Store::open(directory.path()).unwrap();
        Home { directory, store }
    }

    fn catalogue(&self) -> &dyn Catalogue {
        &*self.store.catalogue
    }

    /// Another process, as far as locks and connections go.
    fn again(&self) -> Store {
        Store::open_existing(self.directory.path()).unwrap()
    }
}

fn prod() -> Source {
    Source::Channel("prod".into())
}

fn tag(name: &str, label: &str, version: &str) -> Record {
    Record::Ref(Ref {
        ecosystem: "npm".into(),
        repository: "registry.example.test".into(),
        name: name.into(),
        label: label.into(),
        version: version.into(),
    })
}

fn repository(origin: &str) -> Record {
    Record::Repository(Repository {
        ecosystem: "npm".into(),
        name: "registry.example.test".into(),
        origin: origin.into(),
    })
}

/// Stages and merges, and does not publish.
fn prepare(
    catalogue: &dyn Catalogue,
    source: &Source,
    merge: Merge,
    records: &[Record],
) -> Result<Generation, StoreError> {
    let Source::Channel(channel) = source else { return Err(StoreError::Misuse("only channels stage")) };
    let generation = catalogue.begin_generation(channel)?;
    catalogue.stage(generation, records)?;
    catalogue.merge(generation, merge)?;
    Ok(generation)
}

fn publish(catalogue: &dyn Catalogue, generation: Generation) -> Result<Revision, StoreError> {
    catalogue.commit(&ChangeSet { changes: vec![Change::Publish(generation)] }, &Precondition::None)
}

fn import(catalogue: &dyn Catalogue, source: &Source, merge: Merge, records: &[Record]) -> Generation {
    let generation = prepare(catalogue, source, merge, records).unwrap();
    publish(catalogue, generation).unwrap();
    generation
}

/// Writes into a hosted repository.
fn host(catalogue: &dyn Catalogue, records: &[Record]) {
    let changes = records.iter().map(|record| match record {
        Record::Artifact(artifact) => Change::Link(artifact.clone()),
        Record::Ref(reference) => Change::SetRef(reference.clone()),
        Record::Repository(_) => panic!("a hosted repository comes with what is in it"),
    });
    catalogue.commit(&ChangeSet { changes: changes.collect() }, &Precondition::None).unwrap();
}

/// What is seen: each artifact as `name@version=first file's blob`, in order, the blob in 4 digits.
fn seen(catalogue: &dyn Catalogue) -> Vec<String> {
    let mut all: Vec<_> = catalogue
        .list(None, 10_000)
        .unwrap()
        .into_iter()
        .map(|listed| listed.linked.artifact)
        .map(|a| format!("{}@{}={}", a.name, a.version, &a.files[0].blob.hex()[..4]))
        .collect();
    all.sort();
    all
}

/// As [`seen`] writes it.
fn line(name: &str, version: &str, text: &str) -> String {
    format!("{name}@{version}={}", &BlobKey::of(text.as_bytes()).hex()[..4])
}

fn tagged(catalogue: &dyn Catalogue, name: &str, label: &str) -> Option<String> {
    let refs = catalogue.refs("npm", None, name, Some(label)).unwrap();
    assert!(refs.iter().all(|found| found.reference.label == label));
    refs.into_iter().next().map(|found| found.reference.version)
}
