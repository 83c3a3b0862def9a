//! Evidence: who had signed what a bundle was packed from. The snapshots that brought it travel as they were signed, with
//! their lists, as artifacts of an ecosystem of the format's own (section 8.2 of `SPEC.md`).

use std::collections::{BTreeMap, BTreeSet};

use bundle_format::BlobKey;
use serde_json::Value;

use crate::ecosystem::{Planned, PlannedFile};
use crate::problem::{Kind, Problem};
use crate::store::{Generation, SnapshotEntry, Store};

/// The ecosystem of what bundles say of bundles.
pub(super) const ECOSYSTEM: &str = "aftk";
/// The repository of evidence.
const REPOSITORY: &str = "evidence";
/// The form of its attributes and files.
const SCHEMA: &str = "evidence/1";

/// The snapshots of a channel that brought these generations, as artifacts.
///
/// # Errors
/// Incomplete (4), if a document of one is not held any more.
pub(super) fn of(
    channel: &str,
    generations: &BTreeSet<Generation>,
    store: &Store,
) -> Result<Vec<Planned>, Problem> {
    let entries = store.catalogue.snapshots(channel)?;
    entries
        .iter()
        .filter(|entry| generations.contains(&entry.generation))
        .map(|one| artifact(one, store))
        .collect()
}

/// Its files have no paths: clients ask for none of them, and what another channel says of the same snapshot is no
/// contradiction.
fn artifact(entry: &SnapshotEntry, store: &Store) -> Result<Planned, Problem> {
    let file = |role: &str, blob: BlobKey| -> Result<PlannedFile, Problem> {
        let size = store.blobs.size(&blob)?.ok_or_else(|| {
            let message = format!("what proves {} {} is not here any more", entry.channel, entry.sequence);
            Problem::new(Kind::Incomplete, "pack.evidence", message)
                .because(blob.to_string())
                .hint("import the bundle that brought it once more")
        })?;
        Ok(PlannedFile {
            role: role.to_owned(),
            blob: Some(blob),
            size: Some(size),
            ..PlannedFile::default()
        })
    };
    let mut files = vec![file("signatures", entry.signatures)?, file("snapshot", entry.snapshot)?];
    for segment in &entry.segments {
        files.push(file("segment", *segment)?);
    }
    let attributes = [
        ("created", Value::from(entry.created.as_str())),
        ("epoch", Value::from(entry.epoch)),
        ("sequence", Value::from(entry.sequence)),
        ("signers", Value::from(entry.signers.as_slice())),
    ];
    Ok(Planned {
        ecosystem: ECOSYSTEM.to_owned(),
        repository: REPOSITORY.to_owned(),
        name: entry.channel.clone(),
        version: entry.snapshot.to_string(),
        qualifier: String::new(),
        schema: SCHEMA.to_owned(),
        attributes: attributes
            .into_iter()
            .map(|(key, value)| (key.to_owned(), value))
            .collect::<BTreeMap<_, _>>(),
        files,
        requires: Vec::new(),
        requests: Vec::new(),
    })
}
