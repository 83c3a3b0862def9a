//! What becomes true at once: the changes that [`Catalogue::commit`] applies, and what must still be so for that.

use std::collections::BTreeMap;

use bundle_format::{Artifact, BlobKey, Ref};
use serde::{Deserialize, Serialize};

use super::{Generation, Revision, SnapshotEntry, Source};

#[cfg(doc)]
use super::Catalogue;

/// One line of the audit log; the catalogue chains each to the one before.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AuditEntry {
    /// When.
    pub time: String,
    /// `import`, `refused`, `key-trusted`, `gc` …
    pub action: String,
    /// What it was about: names, digests, reasons.
    pub subject: BTreeMap<String, String>,
}

/// A single change of a [`ChangeSet`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Change {
    /// Makes a merged generation the visible one of its source; or one that was visible before, as long as its
    /// rows are kept (at least the previous one's are).
    Publish(Generation),
    /// Gives up all states of its source before this generation, which is not after the visible one.
    LetGo(Generation),
    /// Takes an artifact out of every generation of a source, with the refs that lead to its version alone. Whoever lists
    /// it later brings it back.
    Forget {
        /// Whose link it is.
        source: Source,
        /// Where; `what` is the version.
        place: Place,
        /// What tells it apart from others of its version.
        qualifier: String,
    },
    /// Records that a snapshot was accepted and raises the channel's high-water mark if it is above it.
    Snapshot(SnapshotEntry),
    /// Records other signatures, and who made them, for a snapshot that was accepted: the same channel, place and
    /// snapshot. The rest of the entry is not looked at.
    Signatures(SnapshotEntry),
    /// Takes the store for what it is, though an old copy was put back.
    Recovered,
    /// Appends to the audit log.
    Audit(AuditEntry),
    /// Links an artifact into a hosted repository, in place of what stands there under its name, version and qualifier.
    Link(Artifact),
    /// Takes a version of a package out of a hosted repository, with the refs that lead to it.
    Unlink(Place),
    /// Sets a ref of a hosted repository.
    SetRef(Ref),
    /// Takes the ref of this label out of a hosted repository.
    DropRef(Place),
    /// Keeps a blob for an artifact that is still to come, under a label; for a week, unless it was linked until then.
    /// Nothing that is derived from the catalogue depends on it.
    Deposit {
        /// Where; `what` is the label.
        place: Place,
        /// The blob, which is held.
        blob: BlobKey,
        /// Its size in bytes.
        size: u64,
    },
    /// Takes a blob out again that was deposited.
    Withdraw(Place),
}

/// Something of a package in a repository.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Place {
    /// The ecosystem.
    pub ecosystem: String,
    /// The repository.
    pub repository: String,
    /// The package.
    pub name: String,
    /// Which version, or the label of a ref or deposit.
    pub what: String,
}

/// Everything that becomes true at once.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ChangeSet {
    /// Applied in this order, in one transaction.
    pub changes: Vec<Change>,
}

/// What must still be so for a [`ChangeSet`] to be applied.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Precondition {
    /// Nothing.
    None,
    /// The catalogue's revision, as it was when what the change set relies on was read: marks, and what is shown.
    Revision(Revision),
}
