//! Repair: what media still give is copied into a directory, damage is mended there, and lost volumes are made again.
//!
//! Media are only read, one after the other: a site with one drive calls this once for each. Nothing gets a volume's name
//! that is not sound to its last byte; until then it is called `….damaged`.
//!
//! - [`found`]: which files there are · [`salvage`]: copying from a medium that fails
//! - [`mending`]: mending copies · [`outlook`]: whether it would go well

mod found;
mod mending;
mod outlook;
mod salvage;

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};

use bundle_format::recovery::Subject;
use bundle_format::{BlobKey, Head, Verifier};
use serde::{Deserialize, Serialize};

pub use self::outlook::outlook;

use self::found::{Bundle, Found, Role};
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
/// If a path is not there, the directory cannot be written, or the job is stopped.
pub fn repair(
    request: &RepairRequest,
    verifier: &dyn Verifier,
    events: &dyn Events,
    cancel: &Cancel,
) -> Result<RepairReport, Problem> {
    fsx::create_directory(&request.out, fsx::Access::Ordinary)
        .map_err(|error| unwritable(&request.out, &error))?;
    must_be_elsewhere(request)?;
    let (found, unknown) = found::find(&request.paths, verifier)?;
    let bytes = found.iter().flat_map(|bundle| &bundle.files);
    let bytes = bytes.map(|file| file.path.metadata().map_or(0, |metadata| metadata.len())).sum();
    let items = found.iter().map(|bundle| bundle.files.len() as u64).sum();
    events.emit(Happening::Stage { name: "repair".into(), items: Some(items), bytes: Some(bytes) });
    let mut report = RepairReport { bundles: Vec::new(), failed: Vec::new() };
    for (file, problem) in unknown {
        report.failed.push(Failed { file, problem });
    }
    for bundle in &found {
        let repairing = Repairing { bundle, out: &request.out, verifier, events, cancel };
        let repaired = repairing.run().map_err(|error| unwritable(&request.out, &error))?;
        if let Some(problem) = repairing.lacking(&repaired) {
            let file = repaired.volumes.first().map(|volume| volume.file.clone()).unwrap_or_default();
            report.failed.push(Failed { file, problem });
        }
        report.bundles.push(repaired);
    }
    Ok(report)
}

/// Media are never written to.
fn must_be_elsewhere(request: &RepairRequest) -> Result<(), Problem> {
    let out = request.out.canonicalize().map_err(|error| unwritable(&request.out, &error))?;
    for path in &request.paths {
        let directory = if path.is_dir() { Some(path.as_path()) } else { path.parent() };
        if directory.and_then(|directory| directory.canonicalize().ok()).as_ref() == Some(&out) {
            return Err(Problem::new(
                Kind::Usage,
                "repair.same-directory",
                "what is repaired goes into another directory, and the medium stays as it is",
            )
            .at(path.display())
            .hint("choose another directory with --out"));
        }
    }
    Ok(())
}

/// Repairing one bundle.
struct Repairing<'a> {
    bundle: &'a Bundle,
    out: &'a Path,
    verifier: &'a dyn Verifier,
    events: &'a dyn Events,
    cancel: &'a Cancel,
}

impl Repairing<'_> {
    fn run(&self) -> io::Result<Repaired> {
        let count = self.bundle.count();
        let mut states: BTreeMap<u64, State> = BTreeMap::new();
        for number in 1..=count {
            states.insert(number, self.state_before(number)?);
        }
        for Found { path, role } in &self.bundle.files {
            if let Role::Volume(number) = role
                && !matches!(states.get(number), Some(State::Sound))
            {
                let is_sound = self.take(path, *number)?;
                states.insert(*number, if is_sound { State::Sound } else { State::Damaged });
            }
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
            for number in 1..=self.bundle.spares() {
                fsx::remove(&self.spare(number))?;
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

    /// Where the copy of a spare volume is.
    fn spare(&self, number: u64) -> PathBuf {
        self.out.join(self.bundle.spare_name(number))
    }

    /// What an earlier repair, or somebody else, has left of a volume.
    fn state_before(&self, number: u64) -> io::Result<State> {
        let (volume, damaged) = (self.volume(number), self.damaged(number));
        if volume.exists() {
            if !self.is_of_the_bundle(&volume)? {
                let met = format!("{} is there already, and of another bundle", volume.display());
                return Err(io::Error::new(io::ErrorKind::AlreadyExists, met));
            }
            if salvage::is_sound(&mut fsx::open_regular(&volume)?, self.verifier)? {
                return Ok(State::Sound);
            }
            fsx::rename(&volume, &damaged)?;
        }
        Ok(if damaged.exists() { State::Damaged } else { State::Missing })
    }

    /// Whether a file is of this bundle, as far as its head can be read.
    fn is_of_the_bundle(&self, path: &Path) -> io::Result<bool> {
        let head = Head::read(fsx::open_regular(path)?, self.verifier);
        Ok(head.map_or(true, |head| head.packing_key() == self.bundle.key))
    }

    /// Copies a volume; says whether it is sound.
    fn take(&self, from: &Path, number: u64) -> io::Result<bool> {
        let damaged = self.damaged(number);
        let is_sound = salvage::copy_volume(from, &damaged, self.verifier, self.events, self.cancel)?;
        if is_sound {
            self.name(number)?;
        }
        self.events.emit(Happening::ItemDone { item: from.display().to_string() });
        Ok(is_sound)
    }

    /// Gives a volume that is sound its name.
    fn name(&self, number: u64) -> io::Result<()> {
        fsx::rename(&self.damaged(number), &self.volume(number))?;
        fsx::sync_directory(self.out)
    }

    /// Copies the spare volumes that were given, mended by what lies beside them.
    fn take_spares(&self) -> io::Result<()> {
        for Found { path, role } in &self.bundle.files {
            let Role::Recovery(Subject::Spare { number }, _) = role else { continue };
            let copy = self.spare(*number);
            if !copy.exists() || !self.is_of_the_bundle(&copy)? {
                salvage::copy(path, &copy, self.events, self.cancel)?;
                self.mend_spare(&copy, *number)?;
            }
            self.events.emit(Happening::ItemDone { item: path.display().to_string() });
        }
        Ok(())
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
            0 => "what is kept of it helps nobody else: have it written again outside (`aftk collect --reissue`)"
                .to_owned(),
            made if lost > made => format!(
                "repair the other volumes into the same directory: {} can be made again from {}",
                units::count(made, "volume"),
                units::count(made, "spare volume")
            ),
            _ => "repair another spare volume, or a better copy, into the same directory".to_owned(),
        };
        Some(Problem::new(Kind::Incomplete, "repair.incomplete", message).at(self.out.display()).hint(hint))
    }
}
