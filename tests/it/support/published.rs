//! What a store shows, put there as an import leaves it.

use std::collections::BTreeSet;

use aftk::store::{Change, ChangeSet, Expected, Merge, Precondition, Store};
use bundle_format::{BlobKey, Record, Repository};

/// Puts bytes into the store.
pub(crate) fn blob(store: &Store, bytes: &[u8]) -> BlobKey {
    let mut write = store.blobs.begin(&[], true).unwrap();
    write.write(bytes).unwrap();
    let staged = write.stage(&Expected::default()).unwrap();
    let key = staged.key();
    store.blobs.settle(vec![staged]).unwrap();
    key
}

/// Shows records as what a channel has now, with the repositories that they name.
pub(crate) fn publish(store: &Store, channel: &str, mut records: Vec<Record>) {
    let catalogue = &store.catalogue;
    let repositories: BTreeSet<_> = records
        .iter()
        .filter_map(|record| match record {
            Record::Artifact(artifact) => Some((artifact.ecosystem.clone(), artifact.repository.clone())),
            _ => None,
        })
        .collect();
    records.extend(repositories.into_iter().map(|(ecosystem, name)| {
        let origin = format!("https://{name}");
        Record::Repository(Repository { ecosystem, name, origin })
    }));
    let generation = catalogue.begin_generation(channel).unwrap();
    for records in records.chunks(10_000) {
        catalogue.stage(generation, records).unwrap();
    }
    catalogue.merge(generation, Merge::Replace).unwrap();
    let changes = ChangeSet { changes: vec![Change::Publish(generation)] };
    catalogue.commit(&changes, &Precondition::None).unwrap();
}
