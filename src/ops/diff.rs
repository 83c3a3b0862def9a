//! What one bundle has that another one, or the store, has not.
//!
//! Both sides are lists that may be long: each is read once into what is compared, sorted, and then walked beside the
//! other one.

use std::cmp::Ordering;
use std::path::{Path, PathBuf};

use bundle_format::{Artifact, BlobKey, Mode, Record, Ref, Verifier, canonical};
use serde::{Deserialize, Serialize};

use super::bundle::Bundle;
use super::difference::{self, Compared, Left, MoveKind, Moved, Side};
use crate::cancel::Cancel;
use crate::problem::{Kind, Problem};
use crate::spill::{Entry, Sorted, Sorter};
use crate::store::{Cursor, Source, Store};

/// How many rows are read at once.
const PAGE: usize = 1000;

/// What is compared.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct DiffSide {
    /// The file; none for what the store shows.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub file: Option<PathBuf>,
    /// The channel.
    pub channel: String,
    /// The sequence; of the store, the newest that was accepted. None, if the channel is not there yet.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sequence: Option<u64>,
}

/// What moved, and what it costs.
#[derive(Debug, Clone, Serialize)]
pub struct DiffReport {
    /// What was before.
    pub from: DiffSide,
    /// What is after.
    pub to: DiffSide,
    /// Whether anything moved.
    pub differs: bool,
    /// In numbers.
    pub totals: DiffTotals,
    /// Each name with what happened to it: packages, then tags.
    pub changes: Sorted<Moved>,
}

/// A difference in numbers.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct DiffTotals {
    /// Packages that are new.
    pub added: u64,
    /// Packages that are gone.
    pub removed: u64,
    /// Packages with other versions than before.
    pub updated: u64,
    /// Packages some of whose versions are something else than they were; none of those above.
    pub changed: u64,
    /// Tags that are new, gone or moved.
    pub tags: u64,
    /// Blobs that were not there before.
    pub new_blobs: u64,
    /// How many bytes they have.
    pub new_bytes: u64,
}

/// An artifact as far as it is compared.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Brief {
    ecosystem: String,
    repository: String,
    name: String,
    version: String,
    qualifier: String,
    /// Of all that its record says.
    digest: BlobKey,
    size: u64,
}

impl Entry for Brief {
    fn order(&self, other: &Self) -> Ordering {
        fn key(it: &Brief) -> [&str; 5] {
            [&it.ecosystem, &it.repository, &it.name, &it.version, &it.qualifier]
        }
        key(self).cmp(&key(other))
    }
}

impl Compared for Brief {
    fn place(&self) -> [&str; 3] {
        [&self.ecosystem, &self.repository, &self.name]
    }

    fn version(&self) -> String {
        difference::shown_version(&self.version, &self.qualifier)
    }

    fn is_same(&self, other: &Self) -> bool {
        self.digest == other.digest
    }

    fn size(&self) -> Option<u64> {
        Some(self.size)
    }
}

/// A blob that a side lists.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Listed {
    key: BlobKey,
    size: u64,
}

impl Entry for Listed {
    fn order(&self, other: &Self) -> Ordering {
        self.key.cmp(&other.key)
    }
}

/// A side that is being read.
struct Reading {
    artifacts: Sorter<Brief>,
    refs: Sorter<Ref>,
    blobs: Sorter<Listed>,
}

/// A side that was read.
struct Read {
    artifacts: Sorted<Brief>,
    refs: Sorted<Ref>,
    blobs: Sorted<Listed>,
}

impl Reading {
    fn new(scratch: &Path) -> Reading {
        Reading { artifacts: Sorter::new(scratch), refs: Sorter::new(scratch), blobs: Sorter::new(scratch) }
    }

    fn artifact(&mut self, artifact: Artifact) -> Result<(), Problem> {
        self.blobs.extend(artifact.files.iter().map(|file| Listed { key: file.blob, size: file.size }))?;
        let record = canonical::to_bytes(&artifact).map_err(|error| {
            Problem::new(Kind::Failed, "internal.record", "a record cannot be written").caused_by(&error)
        })?;
        self.artifacts.push(Brief {
            size: artifact.files.iter().map(|file| file.size).fold(0, u64::saturating_add),
            ecosystem: artifact.ecosystem,
            repository: artifact.repository,
            name: artifact.name,
            version: artifact.version,
            qualifier: artifact.qualifier,
            digest: BlobKey::of(&record),
        })
    }

    fn finish(self, scratch: &Path) -> Result<Read, Problem> {
        Ok(Read {
            artifacts: self.artifacts.finish()?,
            refs: self.refs.finish()?,
            blobs: self.blobs.finish()?.distinct(scratch)?,
        })
    }
}

/// Compares two bundles; without the second one, what importing the first would change in its channel here.
///
/// # Errors
/// Untrusted (3) for a bundle that is damaged as far as it was read, or not trusted; incomplete (4), if a list of it is
/// not to be had; if there is no store where one is needed, or the job is stopped.
pub fn diff(
    before: Option<&Path>,
    after: &Path,
    store: Option<&Store>,
    verifier: &dyn Verifier,
    cancel: &Cancel,
) -> Result<DiffReport, Problem> {
    let scratch = super::scratch()?;
    let scratch = scratch.path();
    let bundle = Bundle::find_one(after, verifier)?;
    let to = read_bundle(&bundle, store, verifier, scratch, cancel)?;
    let (from, from_side, left) = match (before, store) {
        (Some(path), _) => {
            let before = Bundle::find_one(path, verifier)?;
            (read_bundle(&before, store, verifier, scratch, cancel)?, side(&before), Left::Goes)
        }
        (None, Some(store)) => {
            let channel = bundle.snapshot.channel.as_str();
            let sequence = store.catalogue.channel(channel)?.map(|state| state.sequence);
            let side = DiffSide { file: None, channel: channel.to_owned(), sequence };
            // What a site has stays, unless the bundle says that the channel is exactly this.
            let left = if bundle.snapshot.mode == Mode::Add { Left::Stays } else { Left::Goes };
            (read_channel(store, channel, scratch, cancel)?, side, left)
        }
        (None, None) => {
            return Err(Problem::new(Kind::Usage, "diff.nothing", "there is nothing to compare with"));
        }
    };
    let mut totals = DiffTotals::default();
    let mut changes = Sorter::new(scratch);
    difference::compare_artifacts(from.artifacts.iter(), to.artifacts.iter(), left, &mut |moved| {
        match moved.kind {
            MoveKind::Added => totals.added += 1,
            MoveKind::Removed => totals.removed += 1,
            MoveKind::Updated => totals.updated += 1,
            MoveKind::Changed => totals.changed += 1,
        }
        changes.push(moved)
    })?;
    difference::compare_refs(from.refs.iter(), to.refs.iter(), left, &mut |moved| {
        totals.tags += 1;
        changes.push(moved)
    })?;
    // Into a store nothing has to be brought that any channel has brought already.
    let target = store.filter(|_| before.is_none());
    difference::walk(from.blobs.iter(), to.blobs.iter(), |side| {
        let Side::Right(blob) = side else { return Ok(()) };
        let is_held = target.map(|store| store.blobs.size(&blob.key)).transpose()?.flatten();
        if is_held != Some(blob.size) {
            totals.new_blobs += 1;
            totals.new_bytes = totals.new_bytes.saturating_add(blob.size);
        }
        Ok(())
    })?;
    let changes = changes.finish()?;
    Ok(DiffReport { from: from_side, to: side(&bundle), differs: !changes.is_empty(), totals, changes })
}

fn side(bundle: &Bundle) -> DiffSide {
    DiffSide {
        file: Some(bundle.which.file.clone()),
        channel: bundle.which.channel.clone(),
        sequence: Some(bundle.which.sequence),
    }
}

fn read_bundle(
    bundle: &Bundle,
    store: Option<&Store>,
    verifier: &dyn Verifier,
    scratch: &Path,
    cancel: &Cancel,
) -> Result<Read, Problem> {
    let mut reading = Reading::new(scratch);
    bundle.each(verifier, store, cancel, &mut |record| match record {
        Record::Artifact(artifact) => reading.artifact(artifact),
        Record::Ref(reference) => reading.refs.push(reference),
        Record::Repository(_) => Ok(()),
    })?;
    reading.finish(scratch)
}

/// Reads what a channel shows here.
fn read_channel(store: &Store, channel: &str, scratch: &Path, cancel: &Cancel) -> Result<Read, Problem> {
    let mut reading = Reading::new(scratch);
    let own = Source::Channel(channel.to_owned());
    let mut cursor: Option<Cursor> = None;
    let mut package = [String::new(), String::new(), String::new()];
    loop {
        cancel.check()?;
        let page = store.catalogue.list(cursor.as_ref(), PAGE)?;
        let Some(last) = page.last() else { break };
        cursor = Some(last.cursor.clone());
        for linked in page.into_iter().map(|listed| listed.linked).filter(|linked| linked.source == own) {
            let it = &linked.artifact;
            let of = [&it.ecosystem, &it.repository, &it.name].map(Clone::clone);
            if package != of {
                let refs = store.catalogue.refs(&it.ecosystem, Some(&it.repository), &it.name, None)?;
                let refs = refs.into_iter().filter(|one| one.source == own);
                reading.refs.extend(refs.map(|one| one.reference))?;
                package = of;
            }
            reading.artifact(linked.artifact)?;
        }
    }
    reading.finish(scratch)
}
