//! What the tests of several operations need: a store with something in it.

use bundle_format::Record;

pub(super) use crate::store::testing::{artifact, keep};
use crate::store::{Change, ChangeSet, Merge, Precondition, Store};

/// Adds records to a channel.
pub(super) fn import(store: &Store, channel: &str, records: &[Record]) {
    change(store, channel, Merge::Add, records);
}

/// Makes a channel exactly these records.
pub(super) fn replace(store: &Store, channel: &str, records: &[Record]) {
    change(store, channel, Merge::Replace, records);
}

fn change(store: &Store, channel: &str, merge: Merge, records: &[Record]) {
    let generation = store.catalogue.begin_generation(channel).unwrap();
    store.catalogue.stage(generation, records).unwrap();
    store.catalogue.merge(generation, merge).unwrap();
    let changes = ChangeSet { changes: vec![Change::Publish(generation)] };
    store.catalogue.commit(&changes, &Precondition::None).unwrap();
}
