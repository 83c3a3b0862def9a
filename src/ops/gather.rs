//! A store for the time of one job: what requests stand for is taken in, shown as everything in a store is, and gone with
//! it. Nothing is signed and nothing is kept.

use std::sync::Arc;

use super::accession::BATCH;
use super::context::Outside;
use super::{fetch, lock, recall, records, resolve};
use crate::blocking::blocking;
use crate::events::Happening;
use crate::fsx;
use crate::problem::{Kind, Problem};
use crate::store::{Change, ChangeSet, Merge, Precondition, Store};

/// The one channel of such a store.
const CHANNEL: &str = "gathered";

/// A store among the system's temporary files, gone when this is dropped.
pub struct TemporaryStore {
    /// It.
    pub store: Store,
    _directory: fsx::TemporaryDirectory,
}

impl TemporaryStore {
    /// Makes an empty one.
    ///
    /// # Errors
    /// If there is no room for it.
    pub fn make() -> Result<TemporaryStore, Problem> {
        let directory = fsx::temporary_directory().map_err(|error| {
            Problem::new(Kind::Failed, "gather.directory", "cannot make a directory for what is read")
                .caused_by(&error)
                .hint("TMPDIR says where there is room")
        })?;
        Ok(TemporaryStore { store: Store::open(directory.path())?, _directory: directory })
    }
}

/// Takes what requests stand for into the store of `outside`, and shows it there.
///
/// # Errors
/// As collecting does.
pub async fn gather(texts: &[String], outside: &Arc<Outside>, jobs: usize) -> Result<(), Problem> {
    let stage = Happening::Stage { name: "read".to_owned(), items: None, bytes: None };
    outside.shared_events().emit(stage);
    let requests = Arc::new(lock::parse(texts, &**outside).await?);
    let resolved = resolve::resolve(requests.to_vec(), &[], &[], &**outside).await?;
    let mut lock = recall::recall(resolved, outside).await?.0;
    if fetch::fetch(&lock, &requests, outside, jobs).await? {
        lock = recall::recall(lock, outside).await?.0;
    }
    let outside = outside.clone();
    blocking(move || {
        outside.intake().flush()?;
        let catalogue = &outside.store().catalogue;
        let generation = catalogue.begin_generation(CHANNEL)?;
        let mut batch = Vec::new();
        for record in records::of_lock(&lock) {
            outside.cancel().check()?;
            batch.push(record?);
            if batch.len() >= BATCH {
                catalogue.stage(generation, &batch)?;
                batch.clear();
            }
        }
        catalogue.stage(generation, &batch)?;
        catalogue.merge(generation, Merge::Replace)?;
        let changes = ChangeSet { changes: vec![Change::Publish(generation)] };
        catalogue.commit(&changes, &Precondition::None)?;
        Ok(())
    })
    .await
}
