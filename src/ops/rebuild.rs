//! Making the catalogue again, from the snapshots that were accepted: their documents and what they list are blobs.
//!
//! Every snapshot is taken in again, in the order in which they came, into a catalogue of its own, and what was forgotten
//! in between is forgotten there. What no file says is taken over from the old catalogue as far as that can be read.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bundle_format::{Artifact, BlobKey, Mode, RecordOrder};
use serde::Serialize;

use super::list::Shown;
use super::{late, select, snapshots};
use crate::cancel::Cancel;
use crate::clock;
use crate::events::{Events, Happening};
use crate::fsx::Lock;
use crate::problem::{Kind, Problem};
use crate::store::{
    self, Accepted, AuditEntry, CATALOGUE_DAMAGED, CATALOGUE_LOST, Catalogue, Change, ChangeSet, DiskBlobs,
    Forgotten, Generation, Layout, Linked, Merge, Place, Precondition, Rebuild, SnapshotEntry, Source, Store,
    StoreError,
};

/// The most artifacts that are named where the two catalogues differ; all are counted.
const NAMED: usize = 1_000;

/// How the old catalogue was found.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Old {
    /// It is sound.
    Sound,
    /// It is damaged, or none of ours.
    Damaged,
    /// It is gone.
    Lost,
}

/// What making the catalogue again came to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct RebuildReport {
    /// How the old one was found.
    pub old: Old,
    /// How many snapshots the new one is made from.
    pub snapshots: u64,
    /// How many artifacts the new one shows.
    pub artifacts: u64,
    /// What could not be taken in or over, a sentence each.
    pub lost: Vec<String>,
    /// How many artifacts a sound old one shows that no snapshot lists, and that no client pushed.
    pub underived_count: u64,
    /// Which; the first 1,000.
    pub underived: Vec<Shown>,
    /// How many artifacts snapshots list that are not shown, because they were forgotten.
    pub forgotten_count: u64,
    /// Whether the new one took the old one's place.
    pub replaced: bool,
    /// Where the old one is now.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub aside: Option<PathBuf>,
}

/// A catalogue that was made again, to be looked at and then put in its place.
pub struct Rebuilt {
    rebuild: Rebuild,
    report: RebuildReport,
    _lock: Lock,
}

impl Rebuilt {
    /// Makes the catalogue of a home again, beside the old one.
    ///
    /// # Errors
    /// Usage, if there is no store, or a newer version wrote it. If the store cannot be read or written, another process
    /// does the same or collects garbage, or the job was stopped.
    pub fn make(home: &Path, events: &dyn Events, cancel: &Cancel) -> Result<Rebuilt, Problem> {
        let layout = Layout::new(home);
        if !layout.blobs().is_dir() {
            return Err(StoreError::Absent(home.to_owned()).into());
        }
        let blobs = Arc::new(DiskBlobs::open(&layout)?);
        let path = layout.gc_lock();
        let lock = Lock::try_exclusive(&path)
            .map_err(|source| StoreError::Io { what: format!("cannot lock {}", path.display()), source })?;
        let Some(lock) = lock else {
            return Err(StoreError::Busy("the store's garbage collection".into()).into());
        };
        Rebuild::finish(&layout)?;
        let (old, state) = old(home)?;
        let (accepted, mut unreadable) = store::accepted(&layout)?;
        if accepted.is_empty() && state == Old::Lost {
            let message = "no file in HOME/store/accepted says what was accepted here";
            return Err(Problem::new(Kind::Incomplete, "store.nothing-accepted", message).hint(
                "`aftk restore` a backup; without one move HOME/store aside, say with `aftk recover` from which sequences \
                 on bundles are taken, and import them again",
            ));
        }
        events.emit(Happening::Stage {
            name: "rebuild".into(),
            items: Some(accepted.len() as u64),
            bytes: None,
        });
        let (forgotten, unread) = store::forgotten(&layout)?;
        unreadable.extend(unread.into_iter().map(|file| format!("what was forgotten, of {file}")));
        let (rebuild, catalogue) = Rebuild::begin(&layout)?;
        let new = Store { blobs, catalogue, layout };
        let mut replay = Replay {
            store: &new,
            rebuild: &rebuild,
            taken: BTreeSet::new(),
            forgotten,
            forgot: HashSet::new(),
            lost: unreadable,
            cancel,
        };
        let mut count = 0;
        for one in &accepted {
            count += u64::from(replay.take_in(one)?);
            events
                .emit(Happening::ItemDone { item: format!("{}/{}", one.entry.channel, one.entry.sequence) });
        }
        replay.forget(&|_| true)?;
        let Replay { taken, forgot, mut lost, .. } = replay;
        // One that is not known is none that was told.
        let newest = accepted.iter().rev().map(|one| &one.incarnation).find(|one| !one.is_empty());
        rebuild.go_on_from(newest.map_or("", String::as_str))?;
        lost.extend(rebuild.take_over());
        match &old {
            Some(old) => lost.extend(show_the_same(&*old.catalogue, &*new.catalogue, &taken)),
            None => lost.push("from which states of channels one went back: the newest are shown".to_owned()),
        }
        let mut report = RebuildReport {
            old: state,
            snapshots: count,
            artifacts: 0,
            lost,
            underived_count: 0,
            underived: Vec::new(),
            forgotten_count: 0,
            replaced: false,
            aside: None,
        };
        compare(old.as_ref().filter(|_| state == Old::Sound), &new, forgot, &mut report)?;
        Ok(Rebuilt { rebuild, report, _lock: lock })
    }

    /// What was found.
    pub fn report(&self) -> &RebuildReport {
        &self.report
    }

    /// Puts the new catalogue in the place of one that is lost or damaged, which is set aside. No other process may use
    /// the store meanwhile.
    ///
    /// # Errors
    /// If files cannot be moved.
    pub fn replace(self) -> Result<RebuildReport, Problem> {
        let subject = BTreeMap::from([
            ("snapshots".to_owned(), self.report.snapshots.to_string()),
            ("lost".to_owned(), self.report.lost.join("; ")),
        ]);
        let audit = AuditEntry { time: clock::now_text(), action: "catalogue-rebuilt".to_owned(), subject };
        let changes = ChangeSet { changes: vec![Change::Audit(audit)] };
        self.rebuild.catalogue().commit(&changes, &Precondition::None)?;
        let aside = self.rebuild.replace()?;
        Ok(RebuildReport { replaced: true, aside, ..self.report })
    }

    /// Leaves everything as it was.
    ///
    /// # Errors
    /// If the new catalogue cannot be removed.
    pub fn discard(self) -> Result<RebuildReport, Problem> {
        self.rebuild.discard()?;
        Ok(self.report)
    }
}

/// The old catalogue, if it can be opened, and how it was found.
fn old(home: &Path) -> Result<(Option<Store>, Old), Problem> {
    match Store::open_existing(home) {
        Ok(old) => {
            let is_sound = old.catalogue.check().is_ok_and(|found| found.is_empty());
            Ok((Some(old), if is_sound { Old::Sound } else { Old::Damaged }))
        }
        Err(error) => {
            let problem = Problem::from(error);
            match &*problem.code {
                CATALOGUE_LOST => Ok((None, Old::Lost)),
                CATALOGUE_DAMAGED => Ok((None, Old::Damaged)),
                _ => Err(problem),
            }
        }
    }
}

/// An artifact of a channel that was forgotten: the channel, where it stood there, and its qualifier.
type Remembered = (String, Place, String);

/// Taking snapshots in again.
struct Replay<'a> {
    store: &'a Store,
    rebuild: &'a Rebuild,
    /// The generations that are there again, by the numbers that they had.
    taken: BTreeSet<Generation>,
    /// What is still to be forgotten.
    forgotten: Vec<Forgotten>,
    /// What was, unless it came back.
    forgot: HashSet<Remembered>,
    lost: Vec<String>,
    cancel: &'a Cancel,
}

impl Replay<'_> {
    /// Takes a snapshot in as it was taken in before; says whether what it lists could be read.
    fn take_in(&mut self, accepted: &Accepted) -> Result<bool, Problem> {
        self.cancel.check()?;
        let entry = &accepted.entry;
        let catalogue = &*self.store.catalogue;
        if entry.generation == Generation::NONE {
            let changes = vec![Change::Snapshot(entry.clone())];
            catalogue.commit(&ChangeSet { changes }, &Precondition::None)?;
            return Ok(true);
        }
        self.forget(&|one| one.channel == entry.channel && one.until < entry.generation)?;
        let mark = catalogue.channel(&entry.channel)?;
        // It continued what was visible then, from which one may have gone back since.
        if self.taken.contains(&accepted.base)
            && mark.as_ref().is_some_and(|state| state.generation != accepted.base)
        {
            let changes = vec![Change::Publish(accepted.base)];
            catalogue.commit(&ChangeSet { changes }, &Precondition::None)?;
        }
        self.rebuild.number_next(entry.generation)?;
        let generation = catalogue.begin_generation(&entry.channel)?;
        match self.fill(generation, entry, mark.map(|state| (state.epoch, state.sequence))) {
            Ok(()) => {}
            Err(problem) if problem.kind == Kind::Interrupted => return Err(problem),
            Err(problem) => {
                catalogue.abandon(generation)?;
                self.lost.push(format!(
                    "{}/{}: {}; import its bundle again",
                    entry.channel, entry.sequence, problem.message
                ));
                return Ok(false);
            }
        }
        let own = SnapshotEntry { generation, ..entry.clone() };
        let changes = vec![Change::Publish(generation), Change::Snapshot(own)];
        catalogue.commit(&ChangeSet { changes }, &Precondition::None)?;
        self.taken.insert(generation);
        Ok(true)
    }

    /// Forgets again what is due.
    fn forget(&mut self, is_due: &dyn Fn(&Forgotten) -> bool) -> Result<(), Problem> {
        for mut one in self.forgotten.extract_if(.., |one| is_due(one)) {
            self.cancel.check()?;
            one.let_go = one.let_go.filter(|generation| self.taken.contains(generation));
            let changes = one.changes();
            self.store.catalogue.commit(&ChangeSet { changes }, &Precondition::None)?;
            let Forgotten { channel, artifacts, .. } = one;
            let artifacts = artifacts.into_iter();
            self.forgot.extend(artifacts.map(|(place, qualifier)| (channel.clone(), place, qualifier)));
        }
        Ok(())
    }

    fn fill(
        &self,
        generation: Generation,
        entry: &SnapshotEntry,
        mark: Option<(u64, u64)>,
    ) -> Result<(), Problem> {
        let snapshot = snapshots::read(self.store, entry)?;
        let mut order = RecordOrder::default();
        for segment in &snapshot.segments {
            self.cancel.check()?;
            for batch in snapshots::segment(self.store, segment, &mut order)?.chunks(super::accession::BATCH)
            {
                self.store.catalogue.stage(generation, batch)?;
            }
        }
        let is_late = mark > Some((entry.epoch, entry.sequence));
        if is_late {
            late::give_way(self.store, generation, &snapshot, self.cancel)?;
        }
        let merge = match snapshot.mode {
            Mode::Replace if !is_late => Merge::Replace,
            _ => Merge::Add,
        };
        Ok(self.store.catalogue.merge(generation, merge)?)
    }
}

/// Makes the same generation of each channel visible as before; returns what stands in the way, a sentence each.
fn show_the_same(old: &dyn Catalogue, new: &dyn Catalogue, taken: &BTreeSet<Generation>) -> Vec<String> {
    let channels = match old.channels() {
        Ok(channels) => channels,
        Err(error) => return vec![format!("from which states of channels one went back: {error}")],
    };
    let mut lost = Vec::new();
    for state in channels {
        let shown = new.channel(&state.name).map(|state| state.map(|state| state.generation));
        if !taken.contains(&state.generation) || shown.is_ok_and(|shown| shown == Some(state.generation)) {
            continue;
        }
        let changes = ChangeSet { changes: vec![Change::Publish(state.generation)] };
        if let Err(error) = new.commit(&changes, &Precondition::None) {
            lost.push(format!("which state of channel {} is visible: {error}", state.name));
        }
    }
    lost
}

/// Counts what the new catalogue shows, and what it was made to forget, and holds a sound old one against it.
fn compare(
    old: Option<&Store>,
    new: &Store,
    mut forgot: HashSet<Remembered>,
    report: &mut RebuildReport,
) -> Result<(), Problem> {
    let mut derived = HashSet::new();
    select::each(new, None, &[], &mut |selected| {
        derived.insert(identity(&selected.linked)?);
        remembered(&selected.linked).map(|shown| forgot.remove(&shown));
        Ok(())
    })?;
    report.artifacts = derived.len() as u64;
    report.forgotten_count = forgot.len() as u64;
    let Some(old) = old else { return Ok(()) };
    let mut shown = 0;
    select::each(old, None, &[], &mut |selected| {
        if derived.contains(&identity(&selected.linked)?) {
            shown += 1;
        } else if remembered(&selected.linked).is_none_or(|one| !forgot.contains(&one)) {
            report.underived_count += 1;
            if report.underived.len() < NAMED {
                report.underived.push(Shown::of(&selected.linked.artifact, &selected.linked.source));
            }
        }
        Ok(())
    })?;
    report.forgotten_count += report.artifacts.saturating_sub(shown);
    Ok(())
}

/// An artifact as it is named when a channel forgets it.
fn remembered(Linked { artifact, source, .. }: &Linked) -> Option<Remembered> {
    let Source::Channel(channel) = source else { return None };
    let Artifact { ecosystem, repository, name, version: what, qualifier, .. } = artifact.clone();
    Some((channel.clone(), Place { ecosystem, repository, name, what }, qualifier))
}

/// An artifact and who shows it, in 32 bytes.
fn identity(linked: &Linked) -> Result<BlobKey, Problem> {
    let bytes = bundle_format::canonical::to_bytes(&(&linked.artifact, &linked.source));
    let bytes =
        bytes.map_err(|error| StoreError::Catalogue(format!("a record cannot be written: {error}")))?;
    Ok(BlobKey::of(&bytes))
}
