//! Repair: what media still give is copied into a directory, damage is mended there, and lost volumes are made again.
//!
//! Media are only read, one after the other: a site with one drive calls this once for each. Nothing gets a volume's name
//! that is not sound to its last byte; until then it is called `….damaged`. A volume that has its name is never written to.
//!
//! - `found`: which files there are · `salvage`: copying from a medium that fails
//! - `mending`: mending copies · `outlook`: whether it would go well

mod found;
mod mending;
mod outlook;
mod salvage;

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};

use bundle_format::recovery::{RecoveryFile, Subject};
use bundle_format::{BlobKey, Head, Verifier};
use serde::{Deserialize, Serialize};

pub use self::outlook::{VerifiedRecovery, outlook, verify_recovery};

use self::found::{Bundle, Found, Role};
use self::salvage::{Expected, Listener};
use super::issue::unwritable;
use super::media::Failed;
use crate::cancel::Cancel;
use crate::events::{Events, Happening};
use crate::fsx;
use crate::problem::{Kind, Problem};
use crate::units;

/// A wish to repair.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RepairRequest {
    /// Files of bundles, or directories of them.
    pub paths: Vec<PathBuf>,
    /// The directory that gets what is sound. What an earlier repair left there is gone on with.
    pub out: PathBuf,
}

/// What became of a volume.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum State {
    /// It was sound.
    Sound,
    /// It was damaged, and is sound now.
    Mended,
    /// It was lost, and was made again.
    MadeAgain,
    /// What of it could be read is kept, but it is not sound.
    Damaged,
    /// It is not there.
    Missing,
}

impl State {
    /// Whether the volume is sound now.
    pub fn is_sound(self) -> bool {
        matches!(self, State::Sound | State::Mended | State::MadeAgain)
    }
}

/// A volume of a bundle.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Volume {
    /// Its number, from 1.
    pub number: u64,
    /// The file that it has, or will have.
    pub file: PathBuf,
    /// What became of it.
    pub state: State,
}

/// A bundle that was repaired, as far as it could be.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Repaired {
    /// Its channel.
    pub channel: String,
    /// Its place in the channel.
    pub sequence: u64,
    /// The digest of its snapshot.
    pub snapshot: BlobKey,
    /// All its volumes.
    pub volumes: Vec<Volume>,
    /// How many spare volumes are at hand.
    pub spares: u64,
}

/// What was repaired.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RepairReport {
    /// One entry a bundle.
    pub bundles: Vec<Repaired>,
    /// What could not be mended.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub failed: Vec<Failed>,
}

/// Repairs bundles. Incomplete (4) is one of which a volume that was given is not sound yet, or a volume lacks although there
/// are spare ones.
///
/// # Errors
/// Usage (2), if a path is not there, or `out` is where a medium is. Refused (6), if something else has the name of what is to
/// be written. If the directory cannot be written, or the job is stopped.
pub fn repair(
    request: &RepairRequest,
    verifier: &dyn Verifier,
    events: &dyn Events,
    cancel: &Cancel,
) -> Result<RepairReport, Problem> {
    let out = request.out.as_path();
    let unwritable = |error: &io::Error| unwritable(out, error);
    fsx::create_directory(out, fsx::Access::Ordinary).map_err(|error| unwritable(&error))?;
    let (found, unknown) = found::find(&request.paths, Some(out), verifier)?;
    let files = || found.iter().flat_map(|bundle| &bundle.files).map(|file| &file.path);
    files().chain(unknown.iter().map(|(path, _)| path)).try_for_each(|path| must_be_elsewhere(path, out))?;
    let _lock = fsx::Lock::passing(&out.join(LOCK)).map_err(|error| unwritable(&error))?;
    let bytes = files().map(|path| path.metadata().map_or(0, |metadata| metadata.len())).sum();
    let items = Some(files().count() as u64);
    events.emit(Happening::Stage { name: "repair".into(), items, bytes: Some(bytes) });
    let mut report = RepairReport { bundles: Vec::new(), failed: Vec::new() };
    for (file, problem) in unknown {
        report.failed.push(Failed { file, problem });
    }
    for bundle in &found {
        let repairing = Repairing { bundle, out, verifier, listener: Listener { events, cancel } };
        let repaired = repairing.run().map_err(|error| match error.kind() {
            io::ErrorKind::AlreadyExists => in_the_way(out, &error),
            _ => unwritable(&error),
        })?;
        if let Some(problem) = repairing.lacking(&repaired) {
            let file = repaired.volumes.first().map(|volume| volume.file.clone()).unwrap_or_default();
            report.failed.push(Failed { file, problem });
        }
        report.bundles.push(repaired);
    }
    Ok(report)
}

/// While somebody repairs into a directory, nobody else does.
const LOCK: &str = ".aftk.repair.lock";

/// Media are never written to.
fn must_be_elsewhere(path: &Path, out: &Path) -> Result<(), Problem> {
    let directory = match path.parent() {
        Some(directory) if !directory.as_os_str().is_empty() => directory,
        _ => Path::new("."),
    };
    let place = |path: &Path| path.canonicalize().map_err(|error| unwritable(path, &error));
    if place(directory)? != place(out)? {
        return Ok(());
    }
    Err(Problem::new(
        Kind::Usage,
        "repair.same-directory",
        "what is repaired goes into another directory, and the medium stays as it is",
    )
    .at(path.display())
    .hint("choose another directory with --out"))
}

fn in_the_way(out: &Path, error: &io::Error) -> Problem {
    Problem::new(Kind::Refused, "repair.in-the-way", error.to_string())
        .at(out.display())
        .hint("move it away, or choose another directory with --out")
}

/// Repairing one bundle.
struct Repairing<'a> {
    bundle: &'a Bundle,
    out: &'a Path,
    verifier: &'a dyn Verifier,
    listener: Listener<'a>,
}

impl Repairing<'_> {
    fn run(&self) -> io::Result<Repaired> {
        let mut states: BTreeMap<u64, State> = BTreeMap::new();
        for number in 1..=self.bundle.count() {
            let before = self.state_before(number)?;
            states.insert(number, if before.is_sound() { before } else { self.take(number, before)? });
        }
        self.mend_by_what_lies_beside(&mut states)?;
        if !states.values().all(|state| state.is_sound()) {
            self.take_spares()?;
            self.mend_by_each_other(&mut states)?;
            self.mend_by_what_lies_beside(&mut states)?;
        }
        let spares = (1..=self.bundle.spares()).filter(|number| self.spare(*number).exists());
        let spares = spares.count() as u64;
        if states.values().all(|state| state.is_sound()) {
            // Nobody but a repair calls anything so.
            for number in 1..=self.bundle.spares() {
                fsx::remove(&self.spare(number))?;
            }
            for number in states.keys() {
                fsx::remove(&self.damaged(*number))?;
            }
        }
        let snapshot = self.bundle.head.snapshot();
        let volume = |(number, state)| Volume { number, file: self.volume(number), state };
        Ok(Repaired {
            channel: snapshot.channel.clone(),
            sequence: snapshot.sequence,
            snapshot: self.bundle.head.snapshot_key(),
            volumes: states.into_iter().map(volume).collect(),
            spares,
        })
    }

    /// Where a volume will be once it is sound.
    fn volume(&self, number: u64) -> PathBuf {
        self.out.join(self.bundle.volume_name(number))
    }

    /// Where what there is of a volume is until then.
    fn damaged(&self, number: u64) -> PathBuf {
        self.out.join(format!("{}.damaged", self.bundle.volume_name(number)))
    }

    /// Where the copy of a spare volume is, until all volumes are sound.
    fn spare(&self, number: u64) -> PathBuf {
        self.out.join(format!("{}.copy", self.bundle.spare_name(number)))
    }

    fn expected(&self, number: u64) -> Expected {
        Expected { packing: self.bundle.key, number }
    }

    /// What an earlier repair, or somebody else, has left of a volume.
    fn state_before(&self, number: u64) -> io::Result<State> {
        let (volume, damaged) = (self.volume(number), self.damaged(number));
        if volume.exists() {
            if salvage::is_sound_at(&volume, self.expected(number), self.verifier, self.listener)? {
                return Ok(State::Sound);
            }
            let met =
                format!("{} is there already, and not the sound volume of this bundle", volume.display());
            return Err(io::Error::new(io::ErrorKind::AlreadyExists, met));
        }
        Ok(if damaged.exists() { State::Damaged } else { State::Missing })
    }

    /// The files that were given of a volume.
    fn given(&self, number: u64) -> impl Iterator<Item = &Path> {
        let is_given = move |found: &&Found| found.role == Role::Volume(number);
        self.bundle.files.iter().filter(is_given).map(|found| found.path.as_path())
    }

    /// Copies a volume, from the first medium that has it sound. What is not sound is kept if there is nothing yet.
    fn take(&self, number: u64, mut state: State) -> io::Result<State> {
        let size = self.head().len() as u64 + self.body_size(number);
        for path in self.given(number) {
            let expected = (self.expected(number), size);
            let damaged = self.damaged(number);
            let is_sound = salvage::copy_volume(path, &damaged, expected, self.verifier, self.listener)?;
            self.listener.events.emit(Happening::ItemDone { item: path.display().to_string() });
            if is_sound {
                self.name(number)?;
                return Ok(State::Sound);
            }
            state = State::Damaged;
        }
        Ok(state)
    }

    /// Gives a volume that is sound its name.
    fn name(&self, number: u64) -> io::Result<()> {
        fsx::rename(&self.damaged(number), &self.volume(number))?;
        fsx::sync_directory(self.out)
    }

    /// Copies the spare volumes that were given, mended by what lies beside them.
    fn take_spares(&self) -> io::Result<()> {
        for number in 1..=self.bundle.spares() {
            let copy = self.spare(number);
            if copy.exists() && !self.is_of_the_bundle(&copy) {
                fsx::remove(&copy)?;
            }
            let subject = Subject::Spare { number };
            let given = || self.bundle.files.iter().filter(move |found| found.role.is(subject));
            if let (Some(first), false) = (given().next(), copy.exists()) {
                salvage::copy(&first.path, &copy, self.file_size(subject), self.listener)?;
            }
            if copy.exists() && given().next().is_some() {
                self.mend_spare(&copy, number)?;
            }
            for found in given() {
                self.listener.events.emit(Happening::ItemDone { item: found.path.display().to_string() });
            }
        }
        Ok(())
    }

    /// Whether a copy of a spare volume is of this bundle; one whose heads cannot be read may be.
    fn is_of_the_bundle(&self, copy: &Path) -> bool {
        let Ok(file) = fsx::open_regular(copy) else { return false };
        let size = file.metadata().map_or(0, |metadata| metadata.len());
        let head: Option<Head> = RecoveryFile::open(&file, size, self.verifier).ok().map(|read| read.head);
        head.is_none_or(|head| head.packing_key() == self.bundle.key)
    }

    /// What is still to be said of a bundle that is not repaired; `None` if all that was given is sound.
    fn lacking(&self, repaired: &Repaired) -> Option<Problem> {
        let numbers = |state| {
            let of_state = repaired.volumes.iter().filter(move |volume| volume.state == state);
            of_state.map(|volume| volume.number.to_string()).collect::<Vec<_>>()
        };
        let (damaged, missing) = (numbers(State::Damaged), numbers(State::Missing));
        if damaged.is_empty() && (missing.is_empty() || repaired.spares == 0) {
            return None;
        }
        let part = |numbers: &[String], what| match numbers {
            [] => None,
            [one] => Some(format!("volume {one} of {} is {what}", self.bundle.count())),
            [others @ .., last] => Some(format!(
                "volumes {} and {last} of {} are {what}",
                others.join(", "),
                self.bundle.count()
            )),
        };
        let parts: Vec<String> =
            [part(&damaged, "damaged"), part(&missing, "missing")].into_iter().flatten().collect();
        let message = format!("{} sequence {}: {}", repaired.channel, repaired.sequence, parts.join(", "));
        let lost = (damaged.len() + missing.len()) as u64;
        let hint = match self.bundle.spares() {
            0 => format!(
                "repair another copy of it into the same directory, or have it written again outside: collect --reissue {}",
                repaired.sequence
            ),
            made if lost > made => format!(
                "repair the other volumes into the same directory: {} can be made again from {}",
                units::count(made, "volume"),
                units::count(made, "spare volume")
            ),
            _ => "repair another spare volume, or another copy of it, into the same directory".to_owned(),
        };
        Some(Problem::new(Kind::Incomplete, "repair.incomplete", message).at(self.out.display()).hint(hint))
    }
}
