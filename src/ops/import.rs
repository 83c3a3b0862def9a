//! Importing: a bundle's bytes go straight into staging while they are hashed, and one commit makes it visible.
//!
//! Order matters. Signatures come before anything is parsed, the sequence is decided before a blob is read, rows are
//! staged from the segments (which come first) so that every later blob can be held to the checksums they claim,
//! and nothing is visible until every byte was verified and nothing is missing.

use std::io::Read;
use std::path::{Path, PathBuf};

use bundle_format::{BlobKey, Record, RecordOrder, SegmentReader, Snapshot};
use serde::{Deserialize, Serialize};

use super::accession::{Accession, Papers, View};
use super::admission;
use super::arriving::{Arriving, arrival, end_arrivals, missing_segments, write_list};
use super::believed::Documents;
use super::heal;
use super::intake::Intake;
use super::late;
use super::media::{self, Failed, Set, Volume, Which};
use super::recover;
use super::site_time;
use super::unpack::{self, Pieces, Side, Unpacking};
use super::verify;
use crate::cancel::Cancel;
use crate::clock;
use crate::events::{Events, Happening};
use crate::problem::{Kind, Problem};
use crate::store::{AuditEntry, Change, ChangeSet, Precondition, Store};
use crate::trust::Trust;
use crate::trust::sequence::{self, Decision, Mark};
use crate::trust::time;
use crate::units;

/// Blobs are settled in groups of so many: each waits for the disk, and an import that dies is repeated from its medium
/// anyway.
const GROUP_BLOBS: usize = 4096;
/// Bytes of a volume that are a blob's header and padding, at most.
const TAR_OVERHEAD: u64 = 1024;
/// How many missing blobs are named.
const NAMED: usize = 10;

/// A wish to import.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ImportRequest {
    /// Bundles, or directories of them.
    pub paths: Vec<PathBuf>,
    /// Verify every byte and decide, but change nothing.
    pub dry_run: bool,
    /// The file that gets the list of what a bundle relies on and is not here.
    pub missing: Option<PathBuf>,
}

/// What became of a bundle.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Outcome {
    /// It is visible now.
    Imported,
    /// It is visible now, but a newer one had overtaken it: it moved no tag that the newer one set.
    ImportedLate,
    /// It was here already; nothing changed.
    AlreadyHeld,
    /// It was here already, and blobs of it that had been lost are back.
    Healed,
}

/// A bundle that was imported.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Imported {
    /// Which one.
    #[serde(flatten)]
    pub which: Which,
    /// What became of it.
    pub outcome: Outcome,
    /// How many volumes it has.
    pub volumes: u64,
    /// How many artifacts it lists.
    pub artifacts: u64,
    /// How many blobs were new here.
    pub new_blobs: u64,
    /// How many bytes they have.
    pub new_bytes: u64,
}

/// What was imported.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ImportReport {
    /// One entry a bundle.
    pub bundles: Vec<Imported>,
    /// Those that were not accepted.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub failed: Vec<Failed>,
}

impl ImportReport {
    /// The report, if all bundles were accepted.
    ///
    /// # Errors
    /// Why the first that wasn't, wasn't.
    pub fn all(self) -> Result<ImportReport, Problem> {
        match self.failed.first() {
            Some(first) => Err(first.problem.clone()),
            None => Ok(self),
        }
    }
}

/// Says what importing a bundle would do by itself. Nothing is logged.
fn foresee(
    store: &Store,
    trust: &Trust,
    set: &Set,
    events: &dyn Events,
    cancel: &Cancel,
) -> Result<Imported, (PathBuf, Problem)> {
    let path = set.first();
    let of_first = |problem: Problem| (path.to_owned(), problem);
    let decide = || -> Result<_, Problem> {
        let verifier = trust.verifier(false)?;
        let volume = media::open(path, &verifier)?;
        let key = volume.head().snapshot_key();
        let (decision, _) = decide(store, trust, volume.snapshot(), key)?;
        if let Some(refusal) = decision.refusal(&volume.snapshot().channel, mark_of(volume.snapshot())) {
            return Err(refusal.at(path.display()));
        }
        let arrived = arrival(store, set.packing)?.map(|arrival| arrival.arrived.into_keys().collect());
        Ok((verifier, decision, arrived.unwrap_or_default()))
    };
    let (verifier, decision, arrived) = decide().map_err(of_first)?;
    let set = Set { arrived, ..set.clone() };
    let held = |key: &BlobKey, size| matches!(store.blobs.size(key), Ok(Some(held)) if held == size);
    let (verified, brought) = verify::verify_set(&set, &verifier, Some(&held), events, cancel)?;
    let Some(first) = verified.into_iter().next() else {
        return Err(of_first(Problem::new(Kind::Usage, "media.none", "no bundle was named")));
    };
    Ok(Imported {
        which: first.which,
        outcome: match decision {
            Decision::AlreadyHeld if brought.blobs > 0 => Outcome::Healed,
            Decision::AlreadyHeld => Outcome::AlreadyHeld,
            Decision::Late => Outcome::ImportedLate,
            _ => Outcome::Imported,
        },
        volumes: set.count,
        artifacts: first.artifacts,
        new_blobs: brought.blobs,
        new_bytes: brought.bytes,
    })
}

/// Imports bundles, one after the other; what is imported stays if a later one fails. Of a bundle of several volumes those
/// that are there are taken in, and it becomes visible with the last one, in whatever order and however many at a time they
/// come. A dry run says what would become of each by itself. A bundle can be untrusted (3), incomplete (4) or refused (6); refusals are in the audit
/// log.
///
/// # Errors
/// If a path is not there, this side cannot go on, or the job is stopped.
pub fn import(
    store: &Store,
    trust: &Trust,
    request: &ImportRequest,
    events: &dyn Events,
    cancel: &Cancel,
) -> Result<ImportReport, Problem> {
    let volumes = media::volumes(&request.paths)?;
    let bytes = volumes.iter().map(|path| path.metadata().map_or(0, |metadata| metadata.len())).sum();
    events.emit(Happening::Stage {
        name: "import".into(),
        items: Some(volumes.len() as u64),
        bytes: Some(bytes),
    });
    let (sets, unread) = media::sets(&volumes, &trust.reread()?.verifier(false)?)?;
    let refused = |path: &Path, problem: &Problem| match is_refusal(problem) && !request.dry_run {
        true => log_refusal(store, path, problem),
        false => Ok(()),
    };
    unread.iter().try_for_each(|failed| refused(&failed.file, &failed.problem))?;
    let (mut bundles, mut failed) = (Vec::new(), unread);
    for set in &sets {
        // Another process may have revoked a key while the one before was read.
        let trust = trust.reread()?;
        let done = match request.dry_run {
            true => foresee(store, &trust, set, events, cancel),
            false => import_set(store, &trust, (set, request.missing.as_deref()), events, cancel)
                .map_err(|problem| (set.first().to_owned(), problem)),
        };
        match done {
            Ok(imported) => bundles.push(imported),
            Err((path, problem)) => {
                refused(&path, &problem)?;
                Failed::note(&mut failed, &path, problem)?;
            }
        }
        for path in set.volumes.values().filter(|_| !request.dry_run) {
            events.emit(Happening::ItemDone { item: path.display().to_string() });
        }
    }
    Ok(ImportReport { bundles, failed })
}

/// Imports one volume from what can be read but once, such as a pipe; as [`import`].
///
/// # Errors
/// If this side cannot go on, or the job is stopped.
pub fn import_from(
    source: Box<dyn Read + Send>,
    (store, trust): (&Store, &Trust),
    missing: Option<&Path>,
    events: &dyn Events,
    cancel: &Cancel,
) -> Result<ImportReport, Problem> {
    events.emit(Happening::Stage { name: "import".into(), items: Some(1), bytes: None });
    let path = Path::new(PIPE);
    let done = trust.reread()?.verifier(false).map_err(Problem::from).and_then(|verifier| {
        let volume = media::read(source, path, &verifier)?;
        let mut set = Set::begin(&volume);
        set.volumes.insert(volume.volume_number(), path.to_owned());
        import_volumes(store, trust, (&set, missing), vec![(path, volume)], events, cancel)
    });
    let (mut bundles, mut failed) = (Vec::new(), Vec::new());
    match done {
        Ok(imported) => bundles.push(imported),
        Err(problem) => {
            if is_refusal(&problem) {
                log_refusal(store, path, &problem)?;
            }
            Failed::note(&mut failed, path, problem)?;
        }
    }
    Ok(ImportReport { bundles, failed })
}

/// The code of a bundle that relies on what is not here.
pub(super) const RELIES: &str = "bundle.incomplete";
/// What a volume from a pipe is called.
pub const PIPE: &str = "-";

/// Whether a bundle was turned away, and not merely found incomplete.
fn is_refusal(problem: &Problem) -> bool {
    matches!(problem.kind, Kind::Untrusted | Kind::Refused | Kind::Stale)
}

/// Imports the volumes of a bundle that are at hand.
fn import_set(
    store: &Store,
    trust: &Trust,
    (set, list): (&Set, Option<&Path>),
    events: &dyn Events,
    cancel: &Cancel,
) -> Result<Imported, Problem> {
    let verifier = trust.verifier(false)?;
    let mut opened = Vec::new();
    for (number, path) in &set.volumes {
        let volume = media::open(path, &verifier)?;
        // It was looked at before, to find out what belongs together.
        if volume.head().packing_key() != set.packing || volume.volume_number() != *number {
            let message = "the medium returns another volume than a moment ago";
            return Err(Problem::new(Kind::Untrusted, "media.changed", message).at(path.display()));
        }
        opened.push((path.as_path(), volume));
    }
    import_volumes(store, trust, (set, list), opened, events, cancel)
}

/// Imports volumes of a bundle, each of which is read once.
fn import_volumes(
    store: &Store,
    trust: &Trust,
    (set, list): (&Set, Option<&Path>),
    opened: Vec<(&Path, Volume)>,
    events: &dyn Events,
    cancel: &Cancel,
) -> Result<Imported, Problem> {
    let path = set.first();
    let Some((_, first)) = opened.first() else {
        return Err(Problem::new(Kind::Usage, "media.none", "no bundle was named"));
    };
    let snapshot = first.snapshot().clone();
    let packing = first.packing().clone();
    let key = first.head().snapshot_key();
    let (documents, signers) = (Documents::of(first), first.signers().to_vec());
    let mut imported = Imported {
        which: Which::of(path, first),
        outcome: Outcome::Imported,
        volumes: set.count,
        artifacts: 0,
        new_blobs: 0,
        new_bytes: 0,
    };
    let (decision, mark) = decide(store, trust, &snapshot, key)?;
    if let Some(refusal) = decision.refusal(&snapshot.channel, mark_of(&snapshot)) {
        return Err(refusal.at(path.display()));
    }
    match decision {
        Decision::AlreadyHeld if heal::all_held(store, &snapshot, key)? => {
            imported.outcome = Outcome::AlreadyHeld;
            for (path, volume) in opened {
                // Held or not, a bundle that is damaged is reported as damaged.
                imported.artifacts = imported.artifacts.max(read_to_the_end(volume, path, events, cancel)?);
            }
            end_arrivals(store, key)?;
            return Ok(imported);
        }
        Decision::AlreadyHeld => imported.outcome = Outcome::Healed,
        Decision::Late => imported.outcome = Outcome::ImportedLate,
        _ => {}
    }

    must_fit(store, opened.iter().map(|(_, volume)| volume), path, events)?;
    let mut arriving = None;
    let intake = match set.count {
        1 => Intake::new(store)?,
        _ => {
            let arrival = arriving.insert(Arriving::begin(store, set, &snapshot, key)?);
            Intake::into(store, arrival.session())
        }
    };
    let intake = intake.every(GROUP_BLOBS);
    let side = Side { store, intake: &intake, events, cancel };
    let signatures = match opened.first() {
        Some((_, first)) => {
            intake.keep(first.head().snapshot_bytes(), None)?;
            intake.keep(first.head().snapshot_signatures(), None)?
        }
        None => key,
    };
    let mut accession = Accession::begin(store, &snapshot)?;
    let has_all = |volume: &Volume| snapshot.segments.iter().all(|one| volume.carries(&one.digest));
    let mut is_staged = set.count == 1 && opened.first().is_some_and(|(_, volume)| has_all(volume));
    let mut begun = Vec::new();
    for (path, volume) in opened {
        let rows = is_staged.then_some(&mut accession);
        begun.push(Unpacking::begin(volume, path, rows, side)?);
    }
    if !is_staged {
        // Others of the segments came earlier, or are here anyway.
        intake.flush()?;
        is_staged = unpack::stage(&mut accession, &snapshot, path, side)?;
    }
    let generation = is_staged.then(|| accession.generation());
    let pieces = Pieces::read(&packing, path, side)?;
    for volume in begun {
        let number = volume.volume().volume_number();
        let new = volume.finish(generation, pieces.sizes(), side)?;
        imported.new_blobs += new.blobs;
        imported.new_bytes += new.bytes;
        // Every byte of the medium is verified from here on.
        intake.flush()?;
        if let Some(arriving) = &mut arriving {
            arriving.arrived(store, number, is_staged)?;
        }
    }
    if let Some(arriving) = &arriving {
        arriving.must_be_whole(set)?;
    }
    if let Err(problem) = pieces.assemble(generation, path, side) {
        if matches!(problem.kind, Kind::Untrusted | Kind::Incomplete) {
            // Of what arrived, some is of no use, or gone.
            end_arrivals(store, key)?;
        }
        return Err(problem);
    }
    if arriving.as_ref().is_some_and(|arriving| !arriving.is_checked()) {
        unpack::recheck(accession.generation(), path, side)?;
    }
    let lacking = |limit| match is_staged {
        true => accession.missing(limit),
        // What else is missing can be said once these are here.
        false => missing_segments(store, &snapshot),
    };
    let (named, count) = lacking(NAMED)?;
    if count > 0 {
        if let Some(list) = list {
            write_list(list, &lacking(usize::MAX)?.0)?;
        }
        let mut problem = Problem::new(
            Kind::Incomplete,
            RELIES,
            match count {
                1 => "1 blob that the snapshot lists is neither in the bundle nor here".to_owned(),
                _ => format!("{count} blobs that the snapshot lists are neither in the bundle nor here"),
            },
        )
        .at(path.display())
        .hint("import the bundles before it first, or ask outside for what is missing: `aftk import --missing FILE`");
        problem.causes.extend(named.iter().map(ToString::to_string));
        return Err(problem);
    }
    imported.artifacts = accession.artifacts();
    let still_believed = || documents.must_be_believed(trust);
    let mut papers = Papers {
        snapshot: &snapshot,
        key,
        signatures,
        signers,
        verdicts: Vec::new(),
        still_believed: &still_believed,
    };
    if imported.outcome == Outcome::Healed {
        // What it says was decided when it was accepted; only bytes had been lost.
        heal::signatures(store, &papers)?;
    } else {
        let admitted = admission::admit(store, &snapshot, events, cancel);
        papers.verdicts = admitted.map_err(|problem| problem.at(path.display()))?;
        accession
            .commit(papers, mark, View::OneOfAll, "import", cancel)
            .map_err(|problem| problem.at(path.display()))?;
    }
    end_arrivals(store, key)?;
    Ok(imported)
}

/// Refuses early what cannot fit. How much of a bundle is new is known only once it was read: a store that holds
/// nothing needs all of it, any other one is only warned.
fn must_fit<'v>(
    store: &Store,
    volumes: impl Iterator<Item = &'v Volume>,
    path: &Path,
    events: &dyn Events,
) -> Result<(), Problem> {
    let needs =
        |volume: &Volume| volume.expected_size().saturating_sub(volume.blobs().saturating_mul(TAR_OVERHEAD));
    let needs: u64 = volumes.map(needs).sum();
    let Some(free) = store.blobs.free_space()?.filter(|free| *free < needs) else { return Ok(()) };
    let mut holds_nothing = true;
    store.blobs.list(&mut |_, _| {
        holds_nothing = false;
        Ok(false)
    })?;
    let message = format!(
        "the bundle has about {}, and the store's file system has {} left",
        units::bytes(needs),
        units::bytes(free)
    );
    if holds_nothing {
        return Err(Problem::new(Kind::Failed, "store.full", message)
            .at(path.display())
            .hint("free some space, or choose a home on another disk with --home DIR"));
    }
    events.warn("import.space", format!("{message}: it fits only if enough of it is here already"));
    Ok(())
}

fn mark_of(snapshot: &Snapshot) -> Mark {
    Mark { epoch: snapshot.epoch, sequence: snapshot.sequence }
}

/// Decides about the snapshot's sequence and time; returns the high-water mark that the decision relied on.
fn decide(
    store: &Store,
    trust: &Trust,
    snapshot: &Snapshot,
    key: BlobKey,
) -> Result<(Decision, Option<(u64, u64)>), Problem> {
    if !snapshot.sites.is_empty() {
        return Err(Problem::new(
            Kind::Refused,
            "trust.other-site",
            format!("this bundle is only for: {}", snapshot.sites.join(", ")),
        )
        .hint("this version cannot give a site a name; collect it without naming sites"));
    }
    let root = trust.root();
    time::check_expiry(root, snapshot, site_time::now(store, root)?)?;

    let state = store.catalogue.channel(&snapshot.channel)?;
    let mark = state.as_ref().map(|state| (state.epoch, state.sequence));
    let accepted: Vec<(Mark, BlobKey)> = store
        .catalogue
        .snapshots(&snapshot.channel)?
        .into_iter()
        .map(|entry| (Mark { epoch: entry.epoch, sequence: entry.sequence }, entry.snapshot))
        .collect();
    let channel = sequence::Channel {
        high_water: mark.map(|(epoch, sequence)| Mark { epoch, sequence }),
        accepted: &accepted,
        floor: root.map_or(Mark { epoch: 1, sequence: 0 }, |root| root.floor(&snapshot.channel)),
    };
    let decision = sequence::decide(channel, mark_of(snapshot), key);
    if matches!(decision, Decision::New | Decision::Late) {
        recover::must_not_be_put_back(store)?;
    }
    if decision == Decision::Late {
        late::must_not_be_replaced(store, snapshot)?;
    }
    Ok((decision, mark))
}

/// Verifies what is left of a volume, and counts the artifacts it lists.
fn read_to_the_end(
    mut volume: Volume,
    path: &Path,
    events: &dyn Events,
    cancel: &Cancel,
) -> Result<u64, Problem> {
    let format = |error| media::problem(error, path);
    let mut artifacts = 0;
    let mut order = RecordOrder::default();
    while let Some((_, size)) = volume.next_blob().map_err(format)? {
        cancel.check()?;
        match volume.current_segment().cloned() {
            Some(segment) => {
                let (_, bytes) = volume.read_segment().map_err(format)?;
                for record in SegmentReader::new(&segment, bytes.as_slice(), &mut order) {
                    artifacts += u64::from(matches!(record.map_err(format)?, Record::Artifact(_)));
                }
                events.emit(Happening::ItemProgress { bytes: size });
            }
            None => media::skip_blob(&mut volume, path, events, cancel)?,
        }
    }
    volume.finish().map_err(format)?;
    Ok(artifacts)
}

fn log_refusal(store: &Store, path: &Path, problem: &Problem) -> Result<(), Problem> {
    let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    let subject = [("file", name), ("code", problem.code.to_string()), ("reason", problem.message.clone())];
    let subject = subject.into_iter().map(|(key, value)| (key.to_owned(), value)).collect();
    let entry = AuditEntry { time: clock::now_text(), action: "refused".to_owned(), subject };
    store.catalogue.commit(&ChangeSet { changes: vec![Change::Audit(entry)] }, &Precondition::None)?;
    Ok(())
}
