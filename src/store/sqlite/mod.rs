//! The catalogue on disk: SQLite. All SQL of the program is in this folder.
//!
//! - `schema`: the tables and their versions; `database`: connections and transactions
//! - `view`: what clients see
//! - `stage`, `merge`, `inspect`: a generation before anybody sees it
//! - `commit`: what becomes true at once, with the audit log
//! - `arrivals`: bundles of which volumes are missing; `hosted`: what clients write; `forget`: what goes again
//! - `incarnation`: whether it is an old copy; `copy`: for backups; `journal`, `rebuild`: a lost catalogue made again
//! - `claims`: what gc asks; `notes`: cached answers and misses

mod arrivals;
mod claims;
mod commit;
mod copy;
mod database;
mod forget;
mod hosted;
mod incarnation;
mod inspect;
mod journal;
mod merge;
mod notes;
mod rebuild;
mod schema;
mod stage;
#[cfg(test)]
mod tests;
mod value;
mod view;

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::{Mutex, MutexGuard, PoisonError};

use bundle_format::{BlobKey, Digest, Record, Repository};

use self::database::{Database, Durable};
use self::hosted::Hosted;
use self::incarnation::Renewal;
use self::journal::forgetting_channel;
pub use self::rebuild::Rebuild;
use self::value::number;
use super::error::io_error;
use super::layout::Layout;
use super::*;
use crate::fsx::{self, Lock};

/// The most records that one call hands over.
const RECORDS: usize = 10_000;

/// The catalogue of a store on disk.
pub struct SqliteCatalogue {
    database: Database,
    layout: Layout,
    /// The locks of the generations that this process fills.
    open: Mutex<BTreeMap<i64, Lock>>,
}

impl SqliteCatalogue {
    /// Opens the catalogue of a store, or makes it; an older schema becomes the newest.
    ///
    /// # Errors
    /// [`StoreError::Newer`]; [`StoreError::Damaged`] if it is none of ours; [`StoreError::Lost`] if it is gone or empty
    /// beside the blobs of a store; [`StoreError::Unsuitable`] if it cannot be kept here.
    pub fn open(layout: &Layout) -> Result<SqliteCatalogue, StoreError> {
        super::suitable::check(&layout.store())?;
        // Asked before the catalogue is looked at: another process that makes the store makes its catalogue first.
        let blobs = layout.blobs();
        let made = blobs.try_exists().map_err(|error| io_error("cannot look at", &blobs, error))?;
        let path = layout.catalogue();
        // SQLite would remove a log that it finds beside an empty database, and with it the last chance.
        if made && size(&path)? == 0 {
            return Err(StoreError::Lost);
        }
        let database = Database::open(&path, made)?;
        if !made {
            let store = layout.store();
            fsx::sync_directory(&store).map_err(|error| io_error("cannot sync", &store, error))?;
        }
        Ok(SqliteCatalogue { database, layout: layout.clone(), open: Mutex::new(BTreeMap::new()) })
    }

    fn locks(&self) -> MutexGuard<'_, BTreeMap<i64, Lock>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn lock(&self, source: i64) -> Result<Option<Lock>, StoreError> {
        let path = self.layout.source_lock(source);
        Lock::try_exclusive(&path).map_err(|error| io_error("cannot lock", &path, error))
    }

    /// The generation's number, if it is this process that fills it.
    fn mine(&self, generation: Generation) -> Result<i64, StoreError> {
        let id = number(generation.0)?;
        if self.locks().contains_key(&id) {
            Ok(id)
        } else {
            Err(StoreError::Misuse("a generation is written that this process did not begin"))
        }
    }

    /// Keeps imports away from the channels that are to forget something: a generation that is being filled relies on what
    /// its channel shows already.
    fn quiet(&self, changes: &ChangeSet) -> Result<Vec<Lock>, StoreError> {
        let forgetting: BTreeSet<&str> = changes.changes.iter().filter_map(forgetting_channel).collect();
        let lock = |channel| {
            let id = stage::channel_id(&self.database, channel)?;
            self.lock(id)?.ok_or_else(|| StoreError::Busy(format!("the channel {channel}")))
        };
        forgetting.into_iter().map(lock).collect()
    }

    /// What gives the catalogue another incarnation, if these changes do.
    fn renewal(&self, changes: &ChangeSet) -> Result<Option<Renewal>, StoreError> {
        let is_recovery = changes.changes.contains(&Change::Recovered);
        let accepts = changes.changes.iter().any(|change| matches!(change, Change::Snapshot(_)));
        (is_recovery || accepts).then(|| self.begin_renewal(is_recovery)).transpose()
    }

    /// The unfinished generations, of one source or all: their number and their source's.
    fn unfinished(&self, source: Option<i64>) -> Result<Vec<(i64, i64)>, StoreError> {
        self.database.read(|connection| {
            let mut statement = connection.prepare_cached(
                "SELECT id, source FROM generation WHERE state < ?1 AND (?2 IS NULL OR source = ?2)",
            )?;
            let rows =
                statement.query_map((stage::PUBLISHED, source), |row| Ok((row.get(0)?, row.get(1)?)))?;
            Ok(rows.collect::<Result<Vec<_>, _>>()?)
        })
    }
}

/// Refuses more records than one call may hand over.
fn few(records: &[Record]) -> Result<(), StoreError> {
    if records.len() > RECORDS {
        return Err(StoreError::Misuse("more records are handed over at once than may be"));
    }
    Ok(())
}

/// How many bytes a file has; none if it isn't there.
fn size(path: &Path) -> Result<u64, StoreError> {
    match std::fs::symlink_metadata(path) {
        Ok(metadata) => Ok(metadata.len()),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(0),
        Err(error) => Err(io_error("cannot look at", path, error)),
    }
}

impl Catalogue for SqliteCatalogue {
    fn revision(&self) -> Result<Revision, StoreError> {
        self.database.read(commit::revision)
    }

    fn repositories(&self) -> Result<Vec<Repository>, StoreError> {
        self.database.read(view::repositories)
    }

    fn servers(&self, ecosystem: &str, limit: usize) -> Result<Vec<String>, StoreError> {
        self.database.read(|connection| view::servers(connection, ecosystem, limit))
    }

    fn artifacts(
        &self,
        ecosystem: &str,
        repository: Option<&str>,
        name: &str,
    ) -> Result<Vec<Linked>, StoreError> {
        self.database.read(|connection| view::artifacts(connection, ecosystem, repository, name))
    }

    fn file_at(
        &self,
        ecosystem: &str,
        schema: &str,
        repository: Option<&str>,
        path: &str,
    ) -> Result<Option<FoundFile>, StoreError> {
        self.database.read(|connection| view::file_at(connection, ecosystem, schema, repository, path))
    }

    fn former_file_at(
        &self,
        ecosystem: &str,
        schema: &str,
        repository: Option<&str>,
        path: &str,
    ) -> Result<Option<FoundFile>, StoreError> {
        self.database.read(|connection| view::former_file_at(connection, ecosystem, schema, repository, path))
    }

    fn refs(
        &self,
        ecosystem: &str,
        repository: Option<&str>,
        name: &str,
        label: Option<&str>,
    ) -> Result<Vec<LinkedRef>, StoreError> {
        self.database.read(|connection| view::refs(connection, ecosystem, repository, name, label))
    }

    fn names(
        &self,
        ecosystem: &str,
        repository: Option<&str>,
        after: &str,
        limit: usize,
    ) -> Result<Vec<String>, StoreError> {
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        self.database.read(|connection| view::names(connection, ecosystem, repository, after, limit))
    }

    fn list(&self, after: Option<&Cursor>, limit: usize) -> Result<Vec<Listed>, StoreError> {
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        self.database.read(|connection| view::list(connection, after, limit))
    }

    fn channels(&self) -> Result<Vec<ChannelState>, StoreError> {
        self.database.read(|connection| view::channels(connection, None))
    }

    fn channel(&self, name: &str) -> Result<Option<ChannelState>, StoreError> {
        self.database.read(|connection| Ok(view::channels(connection, Some(name))?.pop()))
    }

    fn snapshots(&self, channel: &str) -> Result<Vec<SnapshotEntry>, StoreError> {
        self.database.read_at_once(|connection| view::snapshots(connection, channel))
    }

    fn generations(&self, channel: &str) -> Result<Vec<Published>, StoreError> {
        self.database.read(|connection| view::generations(connection, channel))
    }

    fn deposit(&self, place: &Place) -> Result<Option<(BlobKey, u64)>, StoreError> {
        self.database.read(|connection| hosted::deposit(connection, place))
    }

    fn blob_of(
        &self,
        ecosystem: &str,
        key: Option<&BlobKey>,
        label: &str,
    ) -> Result<Option<(BlobKey, u64)>, StoreError> {
        self.database.read(|connection| hosted::blob_of(connection, ecosystem, key, label))
    }

    fn hosted_size(&self, ecosystem: &str, repository: &str) -> Result<u64, StoreError> {
        self.database.read(|connection| hosted::size(connection, ecosystem, repository))
    }

    fn hosted_has(&self, ecosystem: &str, repository: &str, blob: &BlobKey) -> Result<bool, StoreError> {
        self.database.read(|connection| hosted::has(connection, ecosystem, repository, blob))
    }

    fn deposits(
        &self,
        each: &mut dyn FnMut(BlobKey, u64) -> Result<bool, StoreError>,
    ) -> Result<(), StoreError> {
        hosted::deposits(&self.database, each)
    }

    fn begin_generation(&self, channel: &str) -> Result<Generation, StoreError> {
        let id = stage::channel_id(&self.database, channel)?;
        let Some(lock) = self.lock(id)? else {
            return Err(StoreError::Busy(format!("the channel {channel}")));
        };
        for (leftover, _) in self.unfinished(Some(id))? {
            stage::clear(&self.database, leftover)?;
        }
        let generation = stage::begin(&self.database, id)?;
        self.locks().insert(generation, lock);
        u64::try_from(generation).map(Generation).map_err(|_| value::damaged("generation"))
    }

    fn stage(&self, generation: Generation, records: &[Record]) -> Result<(), StoreError> {
        few(records)?;
        stage::stage(&self.database, self.mine(generation)?, records)
    }

    fn give_way(&self, generation: Generation, newer: &[Record]) -> Result<(), StoreError> {
        few(newer)?;
        merge::give_way(&self.database, self.mine(generation)?, newer)
    }

    fn merge(&self, generation: Generation, merge: Merge) -> Result<(), StoreError> {
        merge::merge(&self.database, self.mine(generation)?, merge)
    }

    fn claimed_checksums(
        &self,
        generation: Generation,
        key: &BlobKey,
    ) -> Result<(Option<u64>, Vec<Digest>), StoreError> {
        let id = number(generation.0)?;
        self.database.read(|connection| inspect::claimed_checksums(connection, id, key))
    }

    fn staged_blobs(
        &self,
        generation: Generation,
        each: &mut dyn FnMut(BlobKey, u64) -> Result<bool, StoreError>,
    ) -> Result<(), StoreError> {
        inspect::staged_blobs(&self.database, number(generation.0)?, each)
    }

    fn conflicts(
        &self,
        generation: Generation,
        apart: &[&str],
        limit: usize,
    ) -> Result<Vec<Conflict>, StoreError> {
        let id = number(generation.0)?;
        self.database.read_at_once(|connection| inspect::conflicts(connection, id, apart, limit))
    }

    fn abandon(&self, generation: Generation) -> Result<(), StoreError> {
        let id = self.mine(generation)?;
        // Given back even if the clearing fails: whoever comes next clears what is left.
        let _lock = self.locks().remove(&id);
        // A commit that failed may have gone through all the same.
        if self.unfinished(None)?.iter().any(|(open, _)| *open == id) {
            stage::clear(&self.database, id)?;
        }
        Ok(())
    }

    fn commit(&self, changes: &ChangeSet, precondition: &Precondition) -> Result<Revision, StoreError> {
        let _quiet = self.quiet(changes)?;
        let renewal = self.renewal(changes)?;
        let noted = self.note(changes, renewal.as_ref())?;
        let committed = self.database.write(Durable::Now, |transaction| {
            commit::check(transaction, precondition)?;
            let mut hosted = Hosted::new(transaction);
            changes.changes.iter().try_for_each(|change| commit::apply(&mut hosted, change))?;
            if let Some(renewal) = &renewal {
                incarnation::renew(transaction, &renewal.incarnation)?;
            }
            // The log, and what nobody has linked yet, change nothing that was derived.
            let is_aside = |change: &Change| matches!(change, Change::Audit(_) | Change::Deposit { .. });
            if changes.changes.iter().all(is_aside) {
                commit::revision(transaction)
            } else {
                commit::count(transaction)
            }
        });
        let revision = committed.inspect_err(|_| self.take_back(changes, &noted))?;
        if let Some(renewal) = &renewal {
            self.end_renewal(renewal)?;
        }
        for change in &changes.changes {
            if let Change::Publish(generation) = change
                && let Ok(id) = self.mine(*generation)
            {
                // It is published; what is left to tidy up can also be done by the next prune.
                let _ = stage::forget_staged(&self.database, id);
                self.locks().remove(&id);
            }
        }
        Ok(revision)
    }

    fn open_session(&self, seconds: u64) -> Result<SessionId, StoreError> {
        let id = self.database.write(Durable::Soon, |transaction| claims::open(transaction, seconds))?;
        u64::try_from(id).map(SessionId).map_err(|_| value::damaged("session"))
    }

    fn claim(&self, session: SessionId, keys: &[BlobKey]) -> Result<(), StoreError> {
        let id = number(session.0)?;
        self.database.write(Durable::Soon, |transaction| claims::claim(transaction, id, keys))
    }

    fn release(&self, session: SessionId, key: &BlobKey) -> Result<(), StoreError> {
        let id = number(session.0)?;
        self.database.write(Durable::Soon, |transaction| claims::release(transaction, id, key))
    }

    fn close_session(&self, session: SessionId) -> Result<(), StoreError> {
        let id = number(session.0)?;
        self.database.write(Durable::Soon, |transaction| claims::close(transaction, id))
    }

    fn arrivals(&self) -> Result<Vec<Arrival>, StoreError> {
        self.database.read_at_once(arrivals::all)
    }

    fn begin_arrival(&self, arrival: &Arrival) -> Result<SessionId, StoreError> {
        self.database.write(Durable::Soon, |transaction| arrivals::begin(transaction, arrival))
    }

    fn volume_arrived(&self, packing: &BlobKey, volume: u64, checked: bool) -> Result<(), StoreError> {
        self.database
            .write(Durable::Now, |transaction| arrivals::arrived(transaction, packing, volume, checked))
    }

    fn end_arrival(&self, packing: &BlobKey) -> Result<(), StoreError> {
        self.database.write(Durable::Soon, |transaction| arrivals::end(transaction, packing))
    }

    fn if_unreferenced(
        &self,
        key: &BlobKey,
        act: &mut dyn FnMut() -> Result<(), StoreError>,
    ) -> Result<bool, StoreError> {
        // Most blobs are needed, and then nobody else has to wait.
        if self.database.read(|connection| claims::is_needed(connection, key, None))? {
            return Ok(false);
        }
        self.database.write(Durable::Soon, |transaction| {
            if claims::is_needed(transaction, key, None)? {
                return Ok(false);
            }
            act()?;
            Ok(true)
        })
    }

    fn would_be_unreferenced(&self, key: &BlobKey, keep_generations: u64) -> Result<bool, StoreError> {
        let keep = number(keep_generations)?;
        self.database.read(|connection| Ok(!claims::is_needed(connection, key, Some(keep))?))
    }

    fn freed_by(
        &self,
        changes: &ChangeSet,
        keep_generations: u64,
        each: &mut dyn FnMut(BlobKey, u64) -> Result<(), StoreError>,
    ) -> Result<(), StoreError> {
        let keep = number(keep_generations)?;
        self.database.rehearse(|transaction| {
            let mut hosted = Hosted::new(transaction);
            changes.changes.iter().try_for_each(|change| commit::apply(&mut hosted, change))?;
            forget::freed(transaction, keep, each)
        })
    }

    fn cached(&self, key: &str) -> Result<Option<CachedAnswer>, StoreError> {
        self.database.read(|connection| notes::cached(connection, key))
    }

    fn cache(&self, answers: &[(String, CachedAnswer)]) -> Result<(), StoreError> {
        if answers.is_empty() {
            return Ok(());
        }
        self.database.write(Durable::Soon, |transaction| {
            answers.iter().try_for_each(|(key, answer)| notes::cache(transaction, key, answer))
        })
    }

    fn prune(&self, before: &str, keep_generations: u64) -> Result<(), StoreError> {
        for (generation, source) in self.unfinished(None)? {
            // Whoever holds the lock works on it.
            if let Some(lock) = self.lock(source)? {
                // It may have been published, and another begun, before the lock was ours.
                if self.unfinished(Some(source))?.contains(&(generation, source)) {
                    stage::clear(&self.database, generation)?;
                }
                drop(lock);
            }
        }
        claims::prune(&self.database, before, number(keep_generations)?)
    }

    fn record_miss(
        &self,
        ecosystem: &str,
        repository: &str,
        name: &str,
        version: &str,
    ) -> Result<(), StoreError> {
        let miss = (ecosystem, repository, name, version);
        self.database.write(Durable::Soon, |transaction| notes::record_miss(transaction, miss))
    }

    fn misses(&self) -> Result<Vec<Miss>, StoreError> {
        self.database.read(notes::misses)
    }

    fn clear_misses(&self) -> Result<(), StoreError> {
        self.database.write(Durable::Soon, notes::clear_misses)
    }

    fn audit(&self, from: u64, limit: usize) -> Result<Vec<(AuditEntry, BlobKey)>, StoreError> {
        let Ok(from) = i64::try_from(from) else { return Ok(Vec::new()) };
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        self.database.read(|connection| commit::audit_from(connection, from, limit))
    }

    fn is_put_back(&self) -> Result<bool, StoreError> {
        self.differs()
    }

    fn copy_to(&self, path: &Path) -> Result<Copied, StoreError> {
        self.database.alone(|connection| copy::copy(connection, path))
    }

    fn check(&self) -> Result<Vec<String>, StoreError> {
        self.database.read_at_once(|connection| {
            let mut statement = connection.prepare("PRAGMA integrity_check(100)")?;
            let rows = statement.query_map([], |row| row.get::<_, String>(0))?;
            let mut found = rows.collect::<Result<Vec<_>, _>>()?;
            found.retain(|line| line != "ok");
            // A damaged database may not even let the log be read.
            match commit::check_audit(connection) {
                Ok(problem) => found.extend(problem),
                Err(error) => found.push(format!("the audit log cannot be read: {error}")),
            }
            Ok(found)
        })
    }
}
