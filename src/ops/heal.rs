//! Bundles that were accepted before: what of them was lost, and what puts it right.

use std::collections::BTreeMap;

use bundle_format::{BlobKey, Record, RecordOrder, SegmentReader, Snapshot};

use super::accession::Papers;
use crate::clock;
use crate::problem::Problem;
use crate::store::{AuditEntry, Change, ChangeSet, Precondition, SnapshotEntry, Store};

/// How the catalogue names an accepted snapshot.
fn entry(store: &Store, snapshot: &Snapshot, key: BlobKey) -> Result<Option<SnapshotEntry>, Problem> {
    Ok(store.catalogue.snapshots(&snapshot.channel)?.into_iter().find(|entry| entry.snapshot == key))
}

/// Whether an accepted snapshot is still held with everything that is needed of it, so that there is nothing to heal.
/// What a newer one replaced may be gone: gc freed it.
pub(super) fn all_held(store: &Store, snapshot: &Snapshot, key: BlobKey) -> Result<bool, Problem> {
    if let Some(entry) = entry(store, snapshot, key)? {
        for document in [&entry.snapshot, &entry.signatures] {
            if store.blobs.size(document)?.is_none() {
                return Ok(false);
            }
        }
    }
    let mut order = RecordOrder::default();
    for segment in &snapshot.segments {
        let Some(blob) = store.blobs.open(&segment.digest)? else { return Ok(false) };
        let reader = std::io::BufReader::new(blob.file);
        for record in SegmentReader::new(segment, reader, &mut order) {
            let Ok(record) = record else { return Ok(false) };
            let Record::Artifact(artifact) = record else { continue };
            for file in &artifact.files {
                let is_held = store.blobs.size(&file.blob)? == Some(file.size);
                if !is_held && !store.catalogue.if_unreferenced(&file.blob, &mut || Ok(()))? {
                    return Ok(false);
                }
            }
        }
    }
    Ok(true)
}

/// Puts the signatures of this bundle in the place of those that the snapshot was accepted with, if those were lost:
/// whoever signed it again signed the same.
pub(super) fn signatures(store: &Store, papers: &Papers<'_>) -> Result<(), Problem> {
    let Some(entry) = entry(store, papers.snapshot, papers.key)? else { return Ok(()) };
    if entry.signatures == papers.signatures || store.blobs.size(&entry.signatures)?.is_some() {
        return Ok(());
    }
    let subject = BTreeMap::from([
        ("channel".to_owned(), entry.channel.clone()),
        ("sequence".to_owned(), format!("{}.{}", entry.epoch, entry.sequence)),
        ("snapshot".to_owned(), papers.key.to_string()),
        ("signers".to_owned(), papers.signers.join(" ")),
    ]);
    let healed = SnapshotEntry { signatures: papers.signatures, signers: papers.signers.clone(), ..entry };
    let audit = AuditEntry { time: clock::now_text(), action: "healed-signatures".to_owned(), subject };
    (papers.still_believed)()?;
    let changes = vec![Change::Signatures(healed), Change::Audit(audit)];
    store.catalogue.commit(&ChangeSet { changes }, &Precondition::None)?;
    Ok(())
}
