//! The store: blobs by their digest, and the catalogue that says what they are.
//!
//! Both sides keep the same store: outside it holds what was collected, inside what was imported. The two
//! traits here are its seams. They are synchronous because disks, SQLite and the bundle reader are; whoever
//! is on an async thread comes in through [`crate::blocking`].

mod accepted;
mod change;
#[cfg(test)]
mod conformance;
mod disk;
mod edition;
mod error;
mod forgotten;
mod hashes;
mod layout;
mod listing;
#[cfg(any(test, feature = "faults"))]
mod memory;
mod sqlite;
mod staging;
mod suitable;
#[cfg(test)]
pub(crate) mod testing;

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File as DiskFile;
use std::path::Path;
use std::sync::Arc;

use bundle_format::{Artifact, BlobKey, Digest, Record, Ref, Repository};
use serde::{Deserialize, Serialize};

pub use accepted::{Accepted, accepted};
pub use change::{AuditEntry, Change, ChangeSet, Place, Precondition};
pub use disk::DiskBlobs;
pub use edition::{
    EditionDocument, EditionDocuments, EditionState, FoundDocument, edition_document, edition_state,
    publish_edition,
};
pub use error::{CATALOGUE_DAMAGED, CATALOGUE_LOST, RESTORE_CATALOGUE, StoreError};
pub use forgotten::{Forgotten, forgotten};
pub use hashes::{digests_of, has_digest, reads_as};
pub use layout::Layout;
pub use listing::{Cursor, Listed};
#[cfg(any(test, feature = "faults"))]
pub use memory::MemoryBlobs;
pub use sqlite::{Rebuild, SqliteCatalogue};

use crate::fsx;

/// A store: what is held and what it is called. Clones are the same store.
#[derive(Clone)]
pub struct Store {
    /// The bytes.
    pub blobs: Arc<dyn Blobs>,
    /// The rows.
    pub catalogue: Arc<dyn Catalogue>,
    /// Where everything is on disk.
    pub layout: Layout,
}

impl Store {
    /// Opens the store of a home, and makes both where they are missing, for their owner alone.
    ///
    /// The catalogue is made first and the directories of blobs last. So whoever finds those has a store, and a
    /// catalogue that isn't there then is lost rather than not yet made.
    ///
    /// # Errors
    /// [`StoreError::Lost`] or [`StoreError::Damaged`] for the catalogue; or if the place is no good, or the store is
    /// of a newer version.
    pub fn open(home: &Path) -> Result<Store, StoreError> {
        let layout = Layout::new(home);
        fsx::create_directory(&layout.store(), fsx::Access::Private)
            .map_err(|error| error::io_error("cannot create", &layout.store(), error))?;
        let catalogue = Arc::new(SqliteCatalogue::open(&layout)?);
        let blobs = Arc::new(DiskBlobs::open(&layout)?);
        Ok(Store { blobs, catalogue, layout })
    }

    /// Opens the store of a home that has one; makes none.
    ///
    /// # Errors
    /// [`StoreError::Absent`] if there is none; else as [`Store::open`].
    pub fn open_existing(home: &Path) -> Result<Store, StoreError> {
        let layout = Layout::new(home);
        // One that may not be looked at is not absent.
        let is_there =
            |path: &Path| path.try_exists().map_err(|error| error::io_error("cannot read", path, error));
        if !is_there(&layout.catalogue())? && !is_there(&layout.blobs())? {
            return Err(StoreError::Absent(home.to_owned()));
        }
        Store::open(home)
    }
}

/// Counts the commits of a catalogue, except those that only write to the audit log; whatever is derived from it is
/// cached under this number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
pub struct Revision(pub u64);

/// A state of a source: each import makes one. Rows of a generation are invisible until it is published.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Generation(pub u64);

impl Generation {
    /// Before any: of what shows nothing.
    pub const NONE: Generation = Generation(0);
}

/// Who linked something into a repository.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Source {
    /// A channel, by import (or, outside, by collect).
    Channel(String),
    /// A client that wrote to a hosted repository.
    Hosted,
}

/// A session that protects blobs from gc while nothing refers to them yet. Expires by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct SessionId(pub u64);

/// An open blob: its bytes stand in `file` from the start, `length` of them. Blobs are never modified.
#[derive(Debug)]
pub struct BlobFile {
    /// The open file.
    pub file: DiskFile,
    /// How many bytes.
    pub length: u64,
}

/// What a caller knows of bytes that it hands over; everything that is said is checked.
#[derive(Debug, Clone, Default)]
pub struct Expected {
    /// The blob's key.
    pub key: Option<BlobKey>,
    /// Its size in bytes.
    pub size: Option<u64>,
    /// Other checksums, computed in the same pass.
    pub checksums: Vec<Digest>,
}

/// A blob that is complete and checked, but not yet durable or visible: see [`Blobs::settle`].
pub trait Staged: Send {
    /// Its key.
    fn key(&self) -> BlobKey;
    /// Its size in bytes.
    fn size(&self) -> u64;
    /// For the implementation that made it.
    fn into_any(self: Box<Self>) -> Box<dyn std::any::Any + Send>;
}

/// A staging session: bytes are appended and hashed as they come.
pub trait BlobWrite: Send {
    /// How many bytes it holds; after [`Blobs::resume`] not always 0.
    fn length(&self) -> u64;
    /// Appends.
    fn write(&mut self, bytes: &[u8]) -> Result<(), StoreError>;
    /// Makes durable what it holds: of a named session, that outlives the machine.
    fn sync(&mut self) -> Result<(), StoreError>;
    /// Throws away what it holds and begins again, when a server does not resume.
    fn restart(&mut self) -> Result<(), StoreError>;
    /// Checks all that is expected and ends the session. On a mismatch the staged bytes are thrown away.
    fn stage(self: Box<Self>, expected: &Expected) -> Result<Box<dyn Staged>, StoreError>;
    /// Ends the session of bytes that the bundle reader has hashed already; only `checksums` besides the key are
    /// compared here.
    fn stage_verified(
        self: Box<Self>,
        proof: bundle_format::VerifiedBlob,
        checksums: &[Digest],
    ) -> Result<Box<dyn Staged>, StoreError>;
    /// Ends the session; named sessions keep their bytes for a later [`Blobs::resume`].
    fn suspend(self: Box<Self>);
}

/// Where blobs live. `disk.rs` keeps them in files, `memory.rs` is the strict fake; both pass `conformance.rs`.
pub trait Blobs: Send + Sync {
    /// The size of a blob that is held; `None` if it isn't.
    fn size(&self, key: &BlobKey) -> Result<Option<u64>, StoreError>;
    /// Opens a blob that is held; `None` if it isn't.
    fn open(&self, key: &BlobKey) -> Result<Option<BlobFile>, StoreError>;
    /// Begins a staging session. `algorithms` are computed besides sha256; `hash` is false only where the bundle
    /// reader hashes (then only [`BlobWrite::stage_verified`] ends it).
    fn begin(
        &self,
        algorithms: &[bundle_format::Algorithm],
        hash: bool,
    ) -> Result<Box<dyn BlobWrite>, StoreError>;
    /// Opens the staging session of that name, with the bytes an earlier process left there, re-hashed.
    /// `name` is 64 hex digits. One process at a time: a second one gets [`StoreError::Busy`].
    fn resume(
        &self,
        name: &str,
        algorithms: &[bundle_format::Algorithm],
    ) -> Result<Box<dyn BlobWrite>, StoreError>;
    /// Makes a group durable and then visible, in one go. Callers group up to 4,096 blobs or 256 MiB, and have
    /// claimed the keys before ([`Catalogue::claim`]): of a blob that is held already the staged bytes are dropped.
    fn settle(&self, group: Vec<Box<dyn Staged>>) -> Result<(), StoreError>;
    /// All keys in order, calling back for each; ends early when the callback says so.
    fn list(&self, each: &mut dyn FnMut(BlobKey, u64) -> Result<bool, StoreError>) -> Result<(), StoreError>;
    /// Moves a blob to the trash; bytes are freed by [`Blobs::empty_trash`]. Unknown keys are no error.
    fn remove(&self, key: &BlobKey) -> Result<(), StoreError>;
    /// Sets a damaged blob aside, so that it is no longer held and the next import heals it.
    fn quarantine(&self, key: &BlobKey) -> Result<(), StoreError>;
    /// Frees the trash, and staging files that nobody works on or wrote for `age_seconds`. Returns the bytes freed.
    fn empty_trash(&self, age_seconds: u64) -> Result<u64, StoreError>;
    /// Bytes that the file system has left for blobs, where it can be told.
    fn free_space(&self) -> Result<Option<u64>, StoreError>;
}

/// An artifact as a view sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Linked {
    /// The artifact.
    pub artifact: Artifact,
    /// Who linked it.
    pub source: Source,
    /// The generation that linked it.
    pub generation: Generation,
}

/// A ref as a view sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LinkedRef {
    /// The ref.
    pub reference: Ref,
    /// Who set it.
    pub source: Source,
}

/// A file found by the path that clients ask for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FoundFile {
    /// The file.
    pub file: bundle_format::File,
    /// The repository it was found in.
    pub repository: String,
    /// The artifact's name.
    pub name: String,
    /// The artifact's version.
    pub version: String,
}

/// What a channel is at here.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChannelState {
    /// Its name.
    pub name: String,
    /// The newest epoch and sequence that were accepted: never goes back.
    pub epoch: u64,
    /// See `epoch`.
    pub sequence: u64,
    /// The generation that is visible.
    pub generation: Generation,
}

/// A generation that is or was visible.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Published {
    /// Its number.
    pub generation: Generation,
    /// The one that was visible when it began, which it continues.
    pub base: Generation,
    /// Whether its rows are kept, so that it can be shown.
    pub is_kept: bool,
}

/// A snapshot that was accepted here.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SnapshotEntry {
    /// The channel.
    pub channel: String,
    /// Its place in the channel.
    pub epoch: u64,
    /// Its place in the epoch.
    pub sequence: u64,
    /// The digest of `snapshot.json`, which is a blob.
    pub snapshot: BlobKey,
    /// The blob of `snapshot.sig`.
    pub signatures: BlobKey,
    /// The snapshot's segments, which are blobs too.
    pub segments: Vec<BlobKey>,
    /// The `created` it is signed with.
    pub created: String,
    /// When it was accepted here.
    pub accepted: String,
    /// The key ids that signed it.
    pub signers: Vec<String>,
    /// The generation it became; [`Generation::NONE`] of one that was packed here, of what others brought.
    pub generation: Generation,
}

/// How the rows of a generation relate to what its channel had.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Merge {
    /// The union of both; of two artifacts with one name, version and qualifier the new one is seen.
    Add,
    /// Exactly the new rows.
    Replace,
}

/// Two different files where a view can show only one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Conflict {
    /// The ecosystem.
    pub ecosystem: String,
    /// The repository.
    pub repository: String,
    /// The path, or name and version where a file has no path.
    pub path: String,
    /// The channel (or `hosted`) that has it already.
    pub held_by: String,
}

/// A bundle of which not all volumes have arrived.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Arrival {
    /// The digest of its packing list.
    pub packing: BlobKey,
    /// The digest of its snapshot.
    pub snapshot: BlobKey,
    /// The channel.
    pub channel: String,
    /// Its place in the channel.
    pub epoch: u64,
    /// Its place in the epoch.
    pub sequence: u64,
    /// How many volumes it has.
    pub volumes: u64,
    /// The volumes that have arrived, and whether they were checked against what the snapshot claims.
    pub arrived: BTreeMap<u64, bool>,
    /// What keeps their blobs.
    #[serde(skip, default = "no_session")]
    pub session: SessionId,
    /// When the first arrived, RFC 3339 UTC.
    pub began: String,
}

fn no_session() -> SessionId {
    SessionId(0)
}

/// Something that a client asked for and that was not there.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Miss {
    /// The ecosystem.
    pub ecosystem: String,
    /// The repository that was asked.
    pub repository: String,
    /// The package.
    pub name: String,
    /// The version or range; empty where the client did not say.
    pub version: String,
    /// How often.
    pub count: u64,
    /// Last time, RFC 3339 UTC.
    pub last: String,
}

/// A cached answer of an upstream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CachedAnswer {
    /// The decoded body.
    pub body: BlobKey,
    /// The upstream's ETag, as sent.
    pub etag: Option<String>,
    /// The upstream's Last-Modified, as sent.
    pub last_modified: Option<String>,
    /// The media type.
    pub content_type: String,
    /// When it was fetched or last confirmed, RFC 3339 UTC.
    pub confirmed: String,
}

/// What a copy of the catalogue refers to that is nowhere else than in the store.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Copied {
    /// The documents of accepted snapshots and their signatures.
    pub papers: BTreeSet<BlobKey>,
    /// What clients pushed, or uploaded and did not name yet.
    pub hosted: BTreeSet<BlobKey>,
}

/// The rows: what is held, under which names, since which generation. `sqlite/` is the one for disks.
///
/// A *view* shows all channels, each at its visible generation. Where several have the same package, the one that brought
/// it into the repository first has precedence over those that came later, and keeps it: what clients are pointed at must not
/// move because another channel was imported. Versions that only a later one has are seen beside the others.
pub trait Catalogue: Send + Sync {
    /// The number of the newest commit.
    fn revision(&self) -> Result<Revision, StoreError>;
    /// The repositories that the view shows, by ecosystem and name.
    fn repositories(&self) -> Result<Vec<Repository>, StoreError>;
    /// The servers (`https://host:port`) that files of an ecosystem's visible artifacts are from: each once, in order, and not
    /// more than `limit`.
    fn servers(&self, ecosystem: &str, limit: usize) -> Result<Vec<String>, StoreError>;
    /// The artifacts of one package, in the order of precedence, each once; `repository` `None` means any (the virtual
    /// `all`).
    fn artifacts(
        &self,
        ecosystem: &str,
        repository: Option<&str>,
        name: &str,
    ) -> Result<Vec<Linked>, StoreError>;
    /// The file that clients ask for by `path`, of an artifact whose attributes are of this schema: what is of another
    /// one than this build knows was never admitted.
    fn file_at(
        &self,
        ecosystem: &str,
        schema: &str,
        repository: Option<&str>,
        path: &str,
    ) -> Result<Option<FoundFile>, StoreError>;
    /// The same of what is not shown any more, but was, and is kept because one may go back to it. What was forgotten is not.
    fn former_file_at(
        &self,
        ecosystem: &str,
        schema: &str,
        repository: Option<&str>,
        path: &str,
    ) -> Result<Option<FoundFile>, StoreError>;
    /// The refs of one package, or those with this label, in the order of precedence; several sources may have set the same
    /// one. A ref to a version that its source does not show itself is not among them: it would lead to what another one
    /// brought.
    fn refs(
        &self,
        ecosystem: &str,
        repository: Option<&str>,
        name: &str,
        label: Option<&str>,
    ) -> Result<Vec<LinkedRef>, StoreError>;
    /// Up to `limit` names of packages after `after` (empty at first), in bytewise order, each once.
    fn names(
        &self,
        ecosystem: &str,
        repository: Option<&str>,
        after: &str,
        limit: usize,
    ) -> Result<Vec<String>, StoreError>;
    /// Up to `limit` artifacts of the view after a place in the list (`None`: from its beginning), flat in memory.
    /// Ordered by ecosystem, name, repository, version and qualifier as texts: nothing here knows what they mean.
    fn list(&self, after: Option<&Cursor>, limit: usize) -> Result<Vec<Listed>, StoreError>;

    /// The blob that a client deposited, and its size.
    fn deposit(&self, place: &Place) -> Result<Option<(BlobKey, u64)>, StoreError>;
    /// A blob that any package of an ecosystem shows or has in deposit, and its size: by its key, or by the label of a
    /// deposit.
    fn blob_of(
        &self,
        ecosystem: &str,
        key: Option<&BlobKey>,
        label: &str,
    ) -> Result<Option<(BlobKey, u64)>, StoreError>;
    /// The bytes of all blobs that a hosted repository links or has in deposit, each counted once.
    fn hosted_size(&self, ecosystem: &str, repository: &str) -> Result<u64, StoreError>;
    /// Whether that counts this blob.
    fn hosted_has(&self, ecosystem: &str, repository: &str, blob: &BlobKey) -> Result<bool, StoreError>;
    /// Walks the blobs in deposit, in key order, with their sizes.
    fn deposits(
        &self,
        each: &mut dyn FnMut(BlobKey, u64) -> Result<bool, StoreError>,
    ) -> Result<(), StoreError>;

    /// All channels.
    fn channels(&self) -> Result<Vec<ChannelState>, StoreError>;
    /// One channel.
    fn channel(&self, name: &str) -> Result<Option<ChannelState>, StoreError>;
    /// The snapshots accepted in a channel, oldest first.
    fn snapshots(&self, channel: &str) -> Result<Vec<SnapshotEntry>, StoreError>;
    /// The generations that a channel ever showed, in the order in which they began.
    fn generations(&self, channel: &str) -> Result<Vec<Published>, StoreError>;

    /// Begins an invisible generation of a channel. One that an earlier, dead process left for it is cleared away. While
    /// another one is open, this is [`StoreError::Busy`].
    fn begin_generation(&self, channel: &str) -> Result<Generation, StoreError>;
    /// Adds rows to an invisible generation: at most 10,000 a call. The same row again changes nothing.
    fn stage(&self, generation: Generation, records: &[Record]) -> Result<(), StoreError>;
    /// Takes back what an invisible generation says under the names under which `newer` says something: records of a
    /// snapshot that overtook the one that arrives late. At most 10,000 a call, before `merge`.
    fn give_way(&self, generation: Generation, newer: &[Record]) -> Result<(), StoreError>;
    /// Applies how the generation relates to what its channel had, still invisibly. Call once, after the last `stage`.
    fn merge(&self, generation: Generation, merge: Merge) -> Result<(), StoreError>;
    /// The checksums and the size that staged rows claim for a blob; empty if none names it.
    fn claimed_checksums(
        &self,
        generation: Generation,
        key: &BlobKey,
    ) -> Result<(Option<u64>, Vec<Digest>), StoreError>;
    /// Walks the distinct blobs that a staged generation names, in key order, with the sizes claimed.
    fn staged_blobs(
        &self,
        generation: Generation,
        each: &mut dyn FnMut(BlobKey, u64) -> Result<bool, StoreError>,
    ) -> Result<(), StoreError>;
    /// Up to `limit` files of a generation, staged or published before, that would be shown in place of what other
    /// sources show under the same name: files of one path that differ, and what has no path where they show no file of a
    /// path. Of a published one, only what is not shown now is looked at. In ecosystems that are `apart` a path is one of its
    /// repository alone; in others, all repositories are shown as one, too.
    fn conflicts(
        &self,
        generation: Generation,
        apart: &[&str],
        limit: usize,
    ) -> Result<Vec<Conflict>, StoreError>;
    /// Clears an invisible generation away.
    fn abandon(&self, generation: Generation) -> Result<(), StoreError>;
    /// The one writer: applies all changes, or none. A channel that another process imports into forgets nothing meanwhile:
    /// [`StoreError::Busy`].
    fn commit(&self, changes: &ChangeSet, precondition: &Precondition) -> Result<Revision, StoreError>;

    /// Opens a session of claims that expires by itself after `seconds`.
    fn open_session(&self, seconds: u64) -> Result<SessionId, StoreError>;
    /// Protects blobs from gc, and puts the session's end off to the same number of seconds from now. A blob can
    /// be relied on if it is held *after* this returned. A session that has ended is an error.
    fn claim(&self, session: SessionId, keys: &[BlobKey]) -> Result<(), StoreError>;
    /// Ends the claim of one blob.
    fn release(&self, session: SessionId, key: &BlobKey) -> Result<(), StoreError>;
    /// Ends a session and its claims.
    fn close_session(&self, session: SessionId) -> Result<(), StoreError>;
    /// The bundles of which not all volumes have arrived, by channel and sequence.
    fn arrivals(&self) -> Result<Vec<Arrival>, StoreError>;
    /// Notes that volumes of a bundle begin to arrive; the session that keeps their blobs, for 400 days after the last one.
    fn begin_arrival(&self, arrival: &Arrival) -> Result<SessionId, StoreError>;
    /// Notes that every blob of a volume is held, durably; and whether it was `checked` against what the snapshot claims of
    /// them.
    fn volume_arrived(&self, packing: &BlobKey, volume: u64, checked: bool) -> Result<(), StoreError>;
    /// Forgets a bundle that arrived, or that nobody waits for, and what kept its blobs.
    fn end_arrival(&self, packing: &BlobKey) -> Result<(), StoreError>;
    /// Whether nothing refers to a blob: no link of a generation that is kept, no deposit, snapshot, cache entry or claim.
    /// `act` runs inside the same exclusive transaction if so, so that a claim comes either before the check or after the
    /// act; it must not use the catalogue.
    fn if_unreferenced(
        &self,
        key: &BlobKey,
        act: &mut dyn FnMut() -> Result<(), StoreError>,
    ) -> Result<bool, StoreError>;
    /// Whether nothing would refer to a blob after a [`Catalogue::prune`] that keeps so many generations. Cached answers
    /// and sessions count as they are.
    fn would_be_unreferenced(&self, key: &BlobKey, keep_generations: u64) -> Result<bool, StoreError>;

    /// Walks the blobs that nothing would refer to after these changes and a [`Catalogue::prune`], and that links refer to
    /// now or did since the last one; with the sizes claimed. Nothing is changed, but others wait with their writes.
    fn freed_by(
        &self,
        changes: &ChangeSet,
        keep_generations: u64,
        each: &mut dyn FnMut(BlobKey, u64) -> Result<(), StoreError>,
    ) -> Result<(), StoreError>;

    /// A cached answer for a key (URL and what was accepted).
    fn cached(&self, key: &str) -> Result<Option<CachedAnswer>, StoreError>;
    /// Keeps answers, each under its key. Their bodies need not be held yet: an answer whose body is not held is none.
    fn cache(&self, answers: &[(String, CachedAnswer)]) -> Result<(), StoreError>;
    /// Drops cached answers not confirmed since `before` (RFC 3339), deposits that are older than a week, invisible
    /// generations nobody works on, and of each channel all generations but the visible one, the newest
    /// `keep_generations` (at least 1), and, where those are several, the one that was visible before; and what was shown
    /// within the last day, where an edition told clients of it.
    fn prune(&self, before: &str, keep_generations: u64) -> Result<(), StoreError>;

    /// Counts a miss. At most 100,000 different ones are kept.
    fn record_miss(
        &self,
        ecosystem: &str,
        repository: &str,
        name: &str,
        version: &str,
    ) -> Result<(), StoreError>;
    /// All misses.
    fn misses(&self) -> Result<Vec<Miss>, StoreError>;
    /// Forgets all misses.
    fn clear_misses(&self) -> Result<(), StoreError>;

    /// The audit log from an index on, up to `limit` entries, each with the chain's digest after it.
    fn audit(&self, from: u64, limit: usize) -> Result<Vec<(AuditEntry, BlobKey)>, StoreError>;
    /// Whether this is an old copy that was put back: whatever was accepted after it was taken is not known to it.
    fn is_put_back(&self) -> Result<bool, StoreError>;
    /// Copies all rows into a new file, as one moment saw them, without what refers to bytes that nobody will have:
    /// bundles of which volumes are missing, and cached answers.
    fn copy_to(&self, path: &Path) -> Result<Copied, StoreError>;
    /// Whether the database itself is sound; says what isn't.
    fn check(&self) -> Result<Vec<String>, StoreError>;
}
