//! The ledger of an order: which content was given which sequence, decided durably before anything is signed.

use std::path::{Path, PathBuf};

use bundle_format::{Artifact, BlobKey, Ledger, LedgerEntry, Mode, Record, Snapshot};

use super::lock_file::Lock;
use super::records;
use crate::fsx;
use crate::problem::{Kind, Problem};
use crate::store::{Generation, Source, Store};

/// The most bytes that a ledger may have: some 100,000 snapshots.
const LIMIT: u64 = 32 * 1024 * 1024;
/// The file beside the ledger that is there, and locked, while somebody packs with it.
const LOCK: &str = ".aftk.lock";

/// The ledger, while nobody else packs with it.
pub(super) struct LockedLedger {
    read: ReadLedger,
    _lock: fsx::Lock,
}

/// A ledger as it was read.
struct ReadLedger {
    path: PathBuf,
    bytes: Vec<u8>,
    ledger: Ledger,
}

/// The place of a snapshot in its channel.
enum Standing {
    /// Its content has one already.
    Held,
    /// This is its entry, once it is written.
    New(LedgerEntry),
}

/// Gives the snapshot the sequence that it would get, without taking it. Returns whether its content has it already.
///
/// # Errors
/// As [`LockedLedger::reserve`].
pub(super) fn place(
    path: &Path,
    snapshot: &mut Snapshot,
    lock: &Lock,
    store: &Store,
) -> Result<bool, Problem> {
    let standing = ReadLedger::read(path)?.place(snapshot, lock, store)?;
    Ok(matches!(standing, Standing::Held))
}

impl LockedLedger {
    /// Waits until nobody else packs with the ledger, and reads it. One that is not there is empty.
    pub(super) fn open(path: &Path) -> Result<LockedLedger, Problem> {
        let directory = path.parent().unwrap_or(Path::new("."));
        fsx::create_directory(directory, fsx::Access::Ordinary).map_err(|error| unwritable(path, &error))?;
        let lock = fsx::Lock::passing(&directory.join(LOCK)).map_err(|error| unwritable(path, &error))?;
        Ok(LockedLedger { read: ReadLedger::read(path)?, _lock: lock })
    }

    /// Gives the snapshot the sequence that its content has already, or the next one. Returns whether it had one.
    ///
    /// # Errors
    /// Refused (6), if the store knows another snapshot under that sequence.
    pub(super) fn reserve(
        &mut self,
        snapshot: &mut Snapshot,
        lock: &Lock,
        store: &Store,
    ) -> Result<bool, Problem> {
        match self.read.place(snapshot, lock, store)? {
            Standing::Held => Ok(true),
            Standing::New(entry) => self.read.append(entry).map(|()| false),
        }
    }
}

impl ReadLedger {
    fn read(path: &Path) -> Result<ReadLedger, Problem> {
        let bytes = fsx::read_limited(path, LIMIT).map_err(|error| broken(path, &error))?.unwrap_or_default();
        let ledger = Ledger::parse(&bytes).map_err(|error| broken(path, &error))?;
        Ok(ReadLedger { path: path.to_owned(), bytes, ledger })
    }

    fn append(&mut self, entry: LedgerEntry) -> Result<(), Problem> {
        let line = self.ledger.append(entry).map_err(|error| broken(&self.path, &error))?;
        self.bytes.extend(line);
        // Replaced, not appended to: a line of which a crash left half would be no ledger any more.
        fsx::replace_file(&self.path, &self.bytes).map_err(|error| unwritable(&self.path, &error))
    }

    fn place(&self, snapshot: &mut Snapshot, lock: &Lock, store: &Store) -> Result<Standing, Problem> {
        let content = snapshot.content_key().map_err(|error| broken(&self.path, &error))?;
        if let Some(entry) = self.held(snapshot, &content, lock, store)? {
            let before = self.ledger.entries().iter().rev();
            let mut before =
                before.filter(|other| other.channel == entry.channel && other.sequence < entry.sequence);
            (snapshot.epoch, snapshot.sequence) = (entry.epoch, entry.sequence);
            snapshot.previous = before.next().map(|other| other.snapshot);
            snapshot.created.clone_from(&entry.created);
            let key = self.key(snapshot)?;
            if key != entry.snapshot {
                let message = format!(
                    "sequence {} of channel {} is {}, but the same content gives {key} now",
                    entry.sequence, entry.channel, entry.snapshot
                );
                return Err(broken(&self.path, &std::io::Error::other(message)));
            }
            self.not_a_fork(snapshot, key, store)?;
            return Ok(Standing::Held);
        }
        let newest = self.ledger.newest(&snapshot.channel);
        snapshot.previous = newest.map(|entry| entry.snapshot);
        snapshot.sequence = self.ledger.next_sequence(&snapshot.channel);
        let key = self.key(snapshot)?;
        self.not_a_fork(snapshot, key, store)?;
        Ok(Standing::New(LedgerEntry {
            channel: snapshot.channel.clone(),
            content,
            created: snapshot.created.clone(),
            epoch: snapshot.epoch,
            sequence: snapshot.sequence,
            snapshot: key,
        }))
    }

    /// The entry under which a site has this content and shows it.
    ///
    /// The newest always does. An older one of a channel that adds does too, unless a later one changed a file or moved
    /// a tag of it: then the site must be told again, under a new sequence.
    fn held(
        &self,
        snapshot: &Snapshot,
        content: &BlobKey,
        lock: &Lock,
        store: &Store,
    ) -> Result<Option<LedgerEntry>, Problem> {
        if let Some(entry) = self.ledger.held(&snapshot.channel, content) {
            return Ok(Some(entry.clone()));
        }
        let mut older = self.ledger.entries().iter().rev();
        let older = older.find(|entry| entry.channel == snapshot.channel && entry.content == *content);
        match older {
            Some(entry) if snapshot.mode == Mode::Add && still_shown(store, &snapshot.channel, lock)? => {
                Ok(Some(entry.clone()))
            }
            _ => Ok(None),
        }
    }

    fn key(&self, snapshot: &Snapshot) -> Result<BlobKey, Problem> {
        let bytes = snapshot.to_bytes().map_err(|error| broken(&self.path, &error))?;
        Ok(Snapshot::digest_of(&bytes))
    }

    /// Refuses a sequence under which this home knows another snapshot: a second project of the same channel name, or
    /// a ledger that was lost. A site would refuse it too, but after the drive.
    fn not_a_fork(&self, snapshot: &Snapshot, key: BlobKey, store: &Store) -> Result<(), Problem> {
        let (channel, sequence) = (&snapshot.channel, snapshot.sequence);
        let snapshots = store.catalogue.snapshots(channel)?;
        let newest = snapshots.iter().map(|entry| entry.sequence).max().unwrap_or(0);
        let taken = snapshots
            .iter()
            .find(|entry| (entry.epoch, entry.sequence) == (snapshot.epoch, snapshot.sequence));
        match taken {
            Some(entry) if entry.snapshot == key => return Ok(()),
            None if sequence > newest => return Ok(()),
            _ => {}
        }
        Err(Problem::new(
            Kind::Refused,
            "ledger.fork",
            format!("sequence {sequence} of channel {channel} was already given to something else"),
        )
        .at(self.path.display())
        .because(format!("this home has collected up to sequence {newest} of that channel, with another ledger"))
        .hint("give each project its own `channel` in aftk.toml, or restore the ledger that belongs to this channel"))
    }
}

/// Whether this side's own catalogue shows exactly what the lock lists in the channel, as a site that imported all of it does.
fn still_shown(store: &Store, channel: &str, lock: &Lock) -> Result<bool, Problem> {
    // What was packed from the store shows nothing here itself, so nothing is known of what its sites show.
    if store.catalogue.channel(channel)?.is_none_or(|state| state.generation == Generation::NONE) {
        return Ok(false);
    }
    let channel = Source::Channel(channel.to_owned());
    // Those of one package follow one another, and of an image there may be thousands: each package is read once.
    let mut package = (String::new(), String::new(), String::new());
    let mut linked = Vec::new();
    for record in records::of_lock(lock) {
        let shown = match &record? {
            Record::Artifact(artifact) => {
                let (ecosystem, repository, name) =
                    (&artifact.ecosystem, &artifact.repository, &artifact.name);
                if (ecosystem, repository, name) != (&package.0, &package.1, &package.2) {
                    linked = store.catalogue.artifacts(ecosystem, Some(repository), name)?;
                    package = (ecosystem.clone(), repository.clone(), name.clone());
                }
                let key = |artifact: &Artifact| (artifact.version.clone(), artifact.qualifier.clone());
                // Several channels may link one record; it is then shown as the first one's.
                linked.iter().any(|linked| linked.artifact == *artifact)
                    && linked.iter().all(|linked| {
                        linked.source != channel
                            || linked.artifact == *artifact
                            || key(&linked.artifact) != key(artifact)
                    })
            }
            Record::Ref(reference) => {
                let refs = store.catalogue.refs(
                    &reference.ecosystem,
                    Some(&reference.repository),
                    &reference.name,
                    Some(&reference.label),
                )?;
                refs.iter().any(|linked| linked.source == channel && linked.reference == *reference)
            }
            Record::Repository(_) => true,
        };
        if !shown {
            return Ok(false);
        }
    }
    Ok(true)
}

fn broken(path: &Path, error: &dyn std::error::Error) -> Problem {
    Problem::new(Kind::Untrusted, "ledger.invalid", "this is not a ledger that can be gone on with")
        .at(path.display())
        .because(error.to_string())
        .hint("restore the ledger from version control; it must never lose a line")
}

fn unwritable(path: &Path, error: &std::io::Error) -> Problem {
    Problem::new(Kind::Failed, "ledger.unwritable", format!("cannot write {}", path.display()))
        .caused_by(error)
}
