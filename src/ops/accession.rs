//! Making a snapshot part of the catalogue: its rows first, invisibly, then one commit.

use std::collections::BTreeMap;

use bundle_format::{BlobKey, Mode, Record, Snapshot};

use super::late;
use crate::cancel::Cancel;
use crate::clock;
use crate::ecosystem::{Verdict, registry};
use crate::problem::{Kind, Problem};
use crate::store::{
    AuditEntry, Change, ChangeSet, Generation, Merge, Precondition, Revision, SnapshotEntry, Store,
    StoreError,
};

/// How many rows are staged in one transaction.
pub(super) const BATCH: usize = 2_000;
/// How many conflicts are shown to a person.
const CONFLICTS: usize = 20;

/// A snapshot on its way into the catalogue. Dropped before [`Accession::commit`], it leaves nothing visible.
pub(super) struct Accession {
    store: Store,
    generation: Generation,
    batch: Vec<Record>,
    artifacts: u64,
    committed: bool,
}

impl Drop for Accession {
    fn drop(&mut self) {
        if !self.committed {
            // The rows are invisible; what cannot be cleared now, the next import or gc clears.
            let _ = self.store.catalogue.abandon(self.generation);
        }
    }
}

/// How the channels of a store are read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum View {
    /// Together, by one site: none may shadow another.
    OneOfAll,
    /// Each for itself, by different sites.
    Apart,
}

/// The documents of a snapshot, as blobs.
pub(super) struct Papers<'a> {
    /// The snapshot.
    pub snapshot: &'a Snapshot,
    /// The blob of its bytes.
    pub key: BlobKey,
    /// The blob of its signatures.
    pub signatures: BlobKey,
    /// Who signed it.
    pub signers: Vec<String>,
    /// What upstreams proved of it.
    pub verdicts: Vec<Verdict>,
    /// Whether whoever signed it is trusted still: asked last, because much time may have passed.
    pub still_believed: &'a dyn Fn() -> Result<(), Problem>,
}

impl Accession {
    /// Begins the generation of a snapshot.
    pub(super) fn begin(store: &Store, snapshot: &Snapshot) -> Result<Accession, Problem> {
        let generation = store.catalogue.begin_generation(&snapshot.channel)?;
        Ok(Accession { store: store.clone(), generation, batch: Vec::new(), artifacts: 0, committed: false })
    }

    /// The invisible generation.
    pub(super) fn generation(&self) -> Generation {
        self.generation
    }

    /// How many artifacts were added.
    pub(super) fn artifacts(&self) -> u64 {
        self.artifacts
    }

    /// Adds a record.
    pub(super) fn add(&mut self, record: Record) -> Result<(), Problem> {
        self.artifacts += u64::from(matches!(record, Record::Artifact(_)));
        self.batch.push(record);
        if self.batch.len() >= BATCH { self.flush() } else { Ok(()) }
    }

    /// Stages what is left of a batch; rows can be asked about afterwards.
    pub(super) fn flush(&mut self) -> Result<(), Problem> {
        if !self.batch.is_empty() {
            self.store.catalogue.stage(self.generation, &self.batch)?;
            self.batch.clear();
        }
        Ok(())
    }

    /// Up to `limit` blobs that the snapshot names and the store lacks, and how many there are in all.
    pub(super) fn missing(&self, limit: usize) -> Result<(Vec<BlobKey>, u64), Problem> {
        let (mut named, mut count) = (Vec::new(), 0);
        self.store.catalogue.staged_blobs(self.generation, &mut |key, size| {
            if self.store.blobs.size(&key)? != Some(size) {
                count += 1;
                if named.len() < limit {
                    named.push(key);
                }
            }
            Ok(true)
        })?;
        Ok((named, count))
    }

    /// Refuses a snapshot that would show other bytes under a name that another channel has: else a channel of little
    /// trust could stand in for one of much.
    ///
    /// # Errors
    /// Refused, naming what would be shadowed.
    fn must_not_shadow(&mut self, channel: &str) -> Result<(), Problem> {
        self.flush()?;
        let conflicts = self.store.catalogue.conflicts(self.generation, &registry::apart(), CONFLICTS)?;
        if conflicts.is_empty() {
            return Ok(());
        }
        let mut problem = Problem::new(
            Kind::Refused,
            "policy.shadowed",
            format!("channel {channel} would show other bytes for files that are here already"),
        )
        .hint(
            "a channel may not silently replace what another one brought; ask whoever fills the two channels",
        );
        for conflict in conflicts {
            problem = problem.because(format!(
                "{} {}/{} is held by {}",
                conflict.ecosystem, conflict.repository, conflict.path, conflict.held_by
            ));
        }
        Err(problem)
    }

    /// Makes the snapshot visible, in one transaction with its audit entry.
    ///
    /// `mark` is the channel's high-water mark as it was when the decision to accept was taken; a snapshot below it is
    /// late, and gives way. `view` says whether what other channels show must not be shadowed: a site has one view of
    /// all of them.
    ///
    /// # Errors
    /// Untrusted, if its papers are not believed any more. Refused, if it would shadow another channel, or its own moved
    /// on meanwhile. If what overtook a late one cannot be read, or the job is stopped.
    pub(super) fn commit(
        mut self,
        papers: Papers<'_>,
        mark: Option<(u64, u64)>,
        view: View,
        action: &str,
        cancel: &Cancel,
    ) -> Result<Revision, Problem> {
        self.flush()?;
        let snapshot = papers.snapshot;
        let is_late = mark > Some((snapshot.epoch, snapshot.sequence));
        if is_late {
            late::give_way(&self.store, self.generation, snapshot, cancel)?;
        }
        let merge = match snapshot.mode {
            Mode::Replace if !is_late => Merge::Replace,
            _ => Merge::Add,
        };
        self.store.catalogue.merge(self.generation, merge)?;
        let now = clock::now_text();
        let entry = SnapshotEntry {
            channel: snapshot.channel.clone(),
            epoch: snapshot.epoch,
            sequence: snapshot.sequence,
            snapshot: papers.key,
            signatures: papers.signatures,
            segments: snapshot.segments.iter().map(|segment| segment.digest).collect(),
            created: snapshot.created.clone(),
            accepted: now.clone(),
            signers: papers.signers.clone(),
            generation: self.generation,
        };
        let mut subject = BTreeMap::from([
            ("channel".to_owned(), snapshot.channel.clone()),
            ("sequence".to_owned(), format!("{}.{}", snapshot.epoch, snapshot.sequence)),
            ("snapshot".to_owned(), papers.key.to_string()),
            ("signers".to_owned(), papers.signers.join(" ")),
        ]);
        subject.extend(papers.verdicts.iter().map(|one| (proved(&one.subject), one.text.clone())));
        let changes = ChangeSet {
            changes: vec![
                Change::Publish(self.generation),
                Change::Snapshot(entry),
                Change::Audit(AuditEntry { time: now, action: action.to_owned(), subject }),
            ],
        };
        let revision = loop {
            // Another channel's commit may change what is shown while this looks; then it looks again.
            let seen = self.store.catalogue.revision()?;
            let state = self.store.catalogue.channel(&snapshot.channel)?;
            if state.map(|state| (state.epoch, state.sequence)) != mark {
                return Err(StoreError::Precondition.into());
            }
            if view == View::OneOfAll {
                self.must_not_shadow(&snapshot.channel)?;
            }
            (papers.still_believed)()?;
            match self.store.catalogue.commit(&changes, &Precondition::Revision(seen)) {
                Ok(revision) => break revision,
                Err(StoreError::Precondition) if self.store.catalogue.revision()? != seen => {}
                Err(error) => return Err(error.into()),
            }
        };
        self.committed = true;
        Ok(revision)
    }
}

/// What the audit log calls the verdict on something that an upstream proves.
pub(super) fn proved(subject: &str) -> String {
    format!("upstream {subject}")
}
