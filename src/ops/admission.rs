//! Letting every ecosystem look at what a bundle brought, once all its blobs are held and before anything is seen.

use std::io::{BufReader, Read};
use std::path::{Path, PathBuf};

use bundle_format::{Artifact, BlobKey, Record, RecordOrder, SegmentReader, Snapshot};
use bytes::Bytes;

use super::media;
use crate::cancel::Cancel;
use crate::ecosystem::{Admit, AdmitContext, Ecosystem, Together, Verdict, registry};
use crate::events::Events;
use crate::fsx;
use crate::problem::{Kind, Problem};
use crate::store::{Store, StoreError};

/// Documents that an ecosystem reads while it admits an artifact are no larger than this: the manifest of an image may have
/// 4 MiB, as registries have to accept such a one.
pub(super) const ADMIT_READS: u64 = 4 * 1024 * 1024;
/// The most bytes that a keyring may have.
const LARGEST_KEYRING: u64 = 16 << 20;

/// Admits the records of a snapshot; says what upstreams proved of it, and warns of what they did not.
///
/// # Errors
/// Untrusted, if one of them is not acceptable.
pub(super) fn admit(
    store: &Store,
    snapshot: &Snapshot,
    events: &dyn Events,
    cancel: &Cancel,
) -> Result<Vec<Verdict>, Problem> {
    let sides: Vec<_> =
        registry::ECOSYSTEMS.iter().map(|one| Side { store, ecosystem: one.name() }).collect();
    let mut together: Vec<(&str, Box<dyn Together + '_>)> = Vec::new();
    for (ecosystem, side) in registry::ECOSYSTEMS.iter().zip(&sides) {
        let begun = ecosystem.admit().map(|admit| admit.together(side)).transpose()?.flatten();
        together.extend(begun.map(|begun| (ecosystem.name(), begun)));
    }
    let mut read = |key: &BlobKey| super::read_blob(store, key, ADMIT_READS);
    let mut is_second_needed = false;
    each(store, snapshot, cancel, &mut |record| match record {
        Record::Artifact(artifact) => {
            let Some(admit) = admitting(artifact) else { return Ok(()) };
            admit.admit(artifact, &mut read)?;
            for (_, one) in together.iter_mut().filter(|(name, _)| *name == artifact.ecosystem) {
                is_second_needed = true;
                one.first(artifact)?;
            }
            Ok(())
        }
        Record::Ref(reference) => match registry::find(&reference.ecosystem).and_then(|one| one.admit()) {
            Some(admit) => admit.admit_ref(reference),
            None => Ok(()),
        },
        Record::Repository(_) => Ok(()),
    })?;
    if !is_second_needed {
        return Ok(Vec::new());
    }
    each(store, snapshot, cancel, &mut |record| {
        let Record::Artifact(artifact) = record else { return Ok(()) };
        let is_known = admitting(artifact).is_some();
        let mut own = together.iter_mut().filter(|(name, _)| is_known && *name == artifact.ecosystem);
        own.try_for_each(|(_, one)| one.second(artifact))
    })?;
    let verdicts: Vec<Verdict> = together.into_iter().flat_map(|(_, one)| one.verdicts()).collect();
    for verdict in verdicts.iter().filter(|verdict| !verdict.is_proved) {
        events.warn("import.not-proved", format!("{}: {}", verdict.subject, verdict.text));
    }
    Ok(verdicts)
}

/// Who admits an artifact. What this version does not know is stored unchecked, and neither served nor pushed.
pub(super) fn admitting(artifact: &Artifact) -> Option<&'static dyn Admit> {
    let known: Option<&'static dyn Ecosystem> = registry::find(&artifact.ecosystem);
    known.filter(|known| known.knows(&artifact.schema))?.admit()
}

/// Walks the records of a snapshot.
fn each(
    store: &Store,
    snapshot: &Snapshot,
    cancel: &Cancel,
    each: &mut dyn FnMut(&Record) -> Result<(), Problem>,
) -> Result<(), Problem> {
    let mut order = RecordOrder::default();
    for segment in &snapshot.segments {
        cancel.check()?;
        let blob = store.blobs.open(&segment.digest)?.ok_or(StoreError::Missing(segment.digest))?;
        let reader = BufReader::new(blob.file);
        for record in SegmentReader::new(segment, reader, &mut order) {
            each(&record.map_err(|error| media::problem(error, Path::new(&segment.digest.to_string())))?)?;
        }
    }
    Ok(())
}

/// What an ecosystem sees of this side.
pub(super) struct Side<'a> {
    pub(super) store: &'a Store,
    pub(super) ecosystem: &'static str,
}

impl AdmitContext for Side<'_> {
    fn read(&self, key: &BlobKey, limit: u64) -> Result<Bytes, Problem> {
        super::read_blob(self.store, key, limit)
    }

    fn open(&self, key: &BlobKey) -> Result<Box<dyn Read + Send>, Problem> {
        let blob = self.store.blobs.open(key)?.ok_or(StoreError::Missing(*key))?;
        Ok(Box::new(blob.file.take(blob.length)))
    }

    fn keyrings(&self, endings: &[&str]) -> Result<Vec<(PathBuf, Bytes)>, Problem> {
        let directory = self.store.layout.ecosystem_keyrings(self.ecosystem);
        let unreadable = |error: std::io::Error| {
            Problem::new(Kind::Usage, "import.keyrings", "a pinned keyring cannot be read")
                .at(directory.display())
                .caused_by(&error)
        };
        let entries = match std::fs::read_dir(&directory) {
            Ok(entries) => entries,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(error) => return Err(unreadable(error)),
        };
        let mut keyrings = Vec::new();
        for entry in entries {
            let path = entry.map_err(unreadable)?.path();
            if path.extension().is_some_and(|ending| endings.iter().any(|one| ending == *one)) {
                let bytes = fsx::read_limited(&path, LARGEST_KEYRING).map_err(unreadable)?;
                keyrings.extend(bytes.map(|bytes| (path, Bytes::from(bytes))));
            }
        }
        keyrings.sort();
        Ok(keyrings)
    }
}
