//! Bundles as they lie on media: which files are volumes, and what the format's errors mean to people.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Read;
use std::path::{Path, PathBuf};

use bundle_format::names::{RECOVERY_ENDING, SPARE_ENDING, VOLUME_ENDING};
use bundle_format::{BlobKey, Damage, FormatError, Verifier, VolumeReader, recovery_name};
use serde::{Deserialize, Serialize};

use crate::cancel::{Cancel, interruption};
use crate::events::{Events, Happening};
use crate::problem::{Kind, Problem};
use crate::trust;
use crate::units;

/// A volume whose documents are verified, read once from wherever it is.
pub type Volume = VolumeReader<Box<dyn Read + Send>>;

/// The most volumes that are looked for in a directory.
const VOLUMES: usize = 100_000;

/// Which bundle a report speaks of.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Which {
    /// The file.
    pub file: PathBuf,
    /// Its channel.
    pub channel: String,
    /// Its place in the channel.
    pub epoch: u64,
    /// Its place in the epoch.
    pub sequence: u64,
    /// The digest of its snapshot.
    pub snapshot: BlobKey,
    /// The key ids that signed it and are trusted.
    pub signers: Vec<String>,
}

impl Which {
    /// The one of this volume, whose documents are verified.
    pub fn of(path: &Path, volume: &Volume) -> Which {
        let snapshot = volume.snapshot();
        Which {
            file: path.to_owned(),
            channel: snapshot.channel.clone(),
            epoch: snapshot.epoch,
            sequence: snapshot.sequence,
            snapshot: volume.head().snapshot_key(),
            signers: volume.signers().to_vec(),
        }
    }
}

/// A bundle that was not accepted, and why.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Failed {
    /// The file.
    pub file: PathBuf,
    /// Why not.
    pub problem: Problem,
}

impl Failed {
    /// Notes why a bundle was not accepted. The others are looked at all the same, unless it is this side that cannot
    /// go on.
    ///
    /// # Errors
    /// The problem itself, if it isn't the bundle's.
    pub(super) fn note(failed: &mut Vec<Failed>, file: &Path, problem: Problem) -> Result<(), Problem> {
        if !matches!(
            problem.kind,
            Kind::Untrusted | Kind::Incomplete | Kind::Refused | Kind::Stale | Kind::Usage
        ) {
            return Err(problem);
        }
        failed.push(Failed { file: file.to_owned(), problem });
        Ok(())
    }
}

/// The file beside a volume that has its digest.
pub(super) fn sidecar(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".sha256");
    PathBuf::from(name)
}

/// The volumes that paths stand for: a file is itself, a directory is every volume in it, by name.
///
/// # Errors
/// Usage, if a path isn't there or a directory has no volume.
pub fn volumes(paths: &[PathBuf]) -> Result<Vec<PathBuf>, Problem> {
    let mut volumes = Vec::new();
    for path in paths {
        let unreadable = |error: &std::io::Error| {
            Problem::new(Kind::Usage, "media.unreadable", format!("cannot read {}", path.display()))
                .caused_by(error)
        };
        let metadata = std::fs::symlink_metadata(path).map_err(|error| unreadable(&error))?;
        if !metadata.is_dir() {
            volumes.push(path.clone());
            continue;
        }
        let mut found = Vec::new();
        for entry in std::fs::read_dir(path).map_err(|error| unreadable(&error))?.take(VOLUMES) {
            let entry = entry.map_err(|error| unreadable(&error))?;
            let is_file = entry.file_type().map_err(|error| unreadable(&error))?.is_file();
            if is_file && entry.file_name().to_string_lossy().ends_with(VOLUME_ENDING) {
                found.push(entry.path());
            }
        }
        if found.is_empty() {
            return Err(Problem::new(
                Kind::Usage,
                "media.empty",
                format!("no bundle is in {}", path.display()),
            )
            .hint(format!("bundles are files whose names end in {VOLUME_ENDING}")));
        }
        found.sort();
        volumes.extend(found);
    }
    if volumes.is_empty() {
        return Err(Problem::new(Kind::Usage, "media.none", "no bundle was named"));
    }
    Ok(volumes)
}

/// The files of recovery that paths stand for, and the volumes; as [`volumes`], but one of both is enough.
///
/// # Errors
/// As [`volumes`].
pub fn volumes_and_recovery(paths: &[PathBuf]) -> Result<(Vec<PathBuf>, Vec<PathBuf>), Problem> {
    let is_recovery = |path: &Path| {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        path.is_file() && (name.ends_with(RECOVERY_ENDING) || name.ends_with(SPARE_ENDING))
    };
    let (mut all, mut recovery) = (Vec::new(), Vec::new());
    for path in paths {
        if is_recovery(path) {
            recovery.push(path.clone());
            continue;
        }
        let entries = std::fs::read_dir(path).into_iter().flatten().take(VOLUMES);
        let mut beside: Vec<PathBuf> = entries.filter_map(|entry| Some(entry.ok()?.path())).collect();
        beside.retain(|path| is_recovery(path));
        beside.sort();
        match volumes(std::slice::from_ref(path)) {
            Err(problem) if problem.code == "media.empty" && !beside.is_empty() => {}
            found => all.extend(found?),
        }
        recovery.append(&mut beside);
    }
    Ok((all, recovery))
}

/// The volumes of one bundle that are at hand.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Set {
    /// How many the bundle has.
    pub count: u64,
    /// How many spare ones were made.
    pub spares: u64,
    /// The digest of its packing list.
    pub packing: BlobKey,
    /// The files by their numbers; one that is there twice counts once.
    pub volumes: BTreeMap<u64, PathBuf>,
    /// The numbers of volumes that arrived before.
    pub arrived: BTreeSet<u64>,
}

impl Set {
    /// The bundle of a volume, without any volume.
    pub fn begin(volume: &Volume) -> Set {
        Set {
            count: volume.volume_count(),
            spares: volume.packing().recovery.map_or(0, |recovery| recovery.spares()),
            packing: volume.head().packing_key(),
            volumes: BTreeMap::new(),
            arrived: BTreeSet::new(),
        }
    }

    /// The file of the first volume that is at hand.
    pub fn first(&self) -> &Path {
        self.volumes.values().next().map_or(Path::new(""), PathBuf::as_path)
    }

    /// # Errors
    /// Incomplete, naming the volumes that are not there.
    pub fn must_be_whole(&self) -> Result<(), Problem> {
        let is_missing = |number: &u64| !self.volumes.contains_key(number) && !self.arrived.contains(number);
        missing_volumes((1..=self.count).filter(is_missing), self.count).map_err(|problem| match self.spares {
            0 => problem,
            spares => problem.hint(format!(
                "volumes may come in any order, one at a time; {} of those that were lost can be made again from the \
                 others and the spare ones: `aftk repair`",
                units::count(spares, "volume")
            )),
        })
    }
}

/// # Errors
/// Incomplete, if there are such numbers.
fn missing_volumes(numbers: impl Iterator<Item = u64>, count: u64) -> Result<(), Problem> {
    let numbers: Vec<u64> = numbers.collect();
    let Some((last, others)) = numbers.split_last() else { return Ok(()) };
    let others: Vec<String> = others.iter().take(NAMED).map(ToString::to_string).collect();
    let named = match (others.len(), numbers.len()) {
        (0, _) => format!("volume {last} of {count} is missing"),
        (few, all) if few + 1 == all => {
            format!("volumes {} and {last} of {count} are missing", others.join(", "))
        }
        (_, all) => format!("{all} of {count} volumes are missing: {}, … {last}", others.join(", ")),
    };
    Err(Problem::new(Kind::Incomplete, "bundle.volumes-missing", named).hint(
        "volumes may come in any order, one at a time; those that were lost can be written again outside",
    ))
}

/// How many missing volumes are named.
const NAMED: usize = 12;

/// Sorts volumes by the bundles that they are of: in the order in which each was met first. What cannot be opened has
/// failed.
///
/// # Errors
/// If this side cannot go on.
pub fn sets(volumes: &[PathBuf], verifier: &dyn Verifier) -> Result<(Vec<Set>, Vec<Failed>), Problem> {
    let (mut sets, mut failed): (Vec<Set>, _) = (Vec::new(), Vec::new());
    for path in volumes {
        let volume = match open(path, verifier) {
            Ok(volume) => volume,
            Err(problem) => {
                Failed::note(&mut failed, path, problem)?;
                continue;
            }
        };
        let packing = volume.head().packing_key();
        if sets.iter().all(|set| set.packing != packing) {
            sets.push(Set::begin(&volume));
        }
        let Some(set) = sets.iter_mut().find(|set| set.packing == packing) else { continue };
        set.volumes.entry(volume.volume_number()).or_insert_with(|| path.clone());
    }
    Ok((sets, failed))
}

/// Opens a volume and verifies its documents. Only a regular file is read, and no link is followed.
///
/// # Errors
/// Untrusted, with member and offset, for whatever is not a whole, well-formed, trusted volume.
pub fn open(path: &Path, verifier: &dyn Verifier) -> Result<Volume, Problem> {
    let file = crate::fsx::open_regular(path).map_err(|error| {
        let kind = if error.kind() == std::io::ErrorKind::NotFound { Kind::Usage } else { Kind::Untrusted };
        let problem = Problem::new(kind, "media.unreadable", format!("cannot read {}", path.display()))
            .caused_by(&error);
        if path.is_symlink() { problem.hint("name what it points to") } else { problem }
    })?;
    read(Box::new(file), path, verifier)
}

/// Reads the documents of a volume and verifies them; `path` is what the source is called.
///
/// # Errors
/// As [`open`].
pub(super) fn read(
    source: Box<dyn Read + Send>,
    path: &Path,
    verifier: &dyn Verifier,
) -> Result<Volume, Problem> {
    VolumeReader::open(source, verifier).map_err(|error| problem(error, path))
}

/// Hashes the blob that was begun last and keeps nothing of it, telling how far it is. One blob may be most of a bundle,
/// so the wish to stop is heard amid it.
///
/// # Errors
/// Untrusted, if the blob is damaged; interrupted.
pub(super) fn skip_blob(
    volume: &mut Volume,
    path: &Path,
    events: &dyn Events,
    cancel: &Cancel,
) -> Result<(), Problem> {
    let skipped = volume.copy_blob(&mut |bytes| {
        cancel.check_io()?;
        events.emit(Happening::ItemProgress { bytes: bytes.len() as u64 });
        Ok(())
    });
    skipped.map(drop).map_err(|error| problem(error, path))
}

/// What a format's error means to people.
pub fn problem(error: FormatError, path: &Path) -> Problem {
    if let FormatError::Sink(source) = &error
        && let Some(problem) = interruption(source)
    {
        return problem;
    }
    let code = error.code().to_owned();
    let place = match error.place() {
        Some(place) => format!("{}: {place}", path.display()),
        None => path.display().to_string(),
    };
    let (kind, message, hint) = match &error {
        FormatError::Damaged { damage: Damage::Recovery, met, .. } => {
            (Kind::Usage, met.clone(), "name the volumes; damaged ones are mended by `aftk repair`")
        }
        FormatError::Damaged { met, .. } => (
            Kind::Untrusted,
            format!("this is not a sound bundle: {met}"),
            "copy it again from where it was made, and compare with the .sha256 beside it; nothing of it was used",
        ),
        FormatError::Unsupported { met, .. } => (
            Kind::Untrusted,
            format!("this version of aftk does not read this bundle: {met}"),
            "use the version of aftk that wrote it, or a newer one",
        ),
        FormatError::Untrusted { reason, .. } => {
            (Kind::Untrusted, reason.message.clone(), trust::hint_for(&reason.code).unwrap_or_default())
        }
        FormatError::Read { .. } => (
            Kind::Untrusted,
            "the medium could not be read to the end".to_owned(),
            "clean it, or try another drive",
        ),
        _ => (Kind::Failed, error.to_string(), ""),
    };
    let mut problem = Problem::new(kind, "bundle.unreadable", message).at(place);
    problem.code = code.into();
    if let FormatError::Read { source, .. } = &error {
        problem = problem.caused_by(source);
    }
    if let FormatError::Sink(source) = &error {
        problem = problem.caused_by(source);
    }
    let is_damaged = matches!(error, FormatError::Damaged { .. } | FormatError::Read { .. });
    if is_damaged && kind == Kind::Untrusted && recovery_of(path).is_some() {
        return problem.hint(format!("mend it: `aftk repair {} --out DIR`", path.display()));
    }
    if hint.is_empty() { problem } else { problem.hint(hint) }
}

/// The file beside a volume that mends it, if there is one.
pub fn recovery_of(path: &Path) -> Option<PathBuf> {
    let name = path.file_name()?.to_string_lossy();
    let beside = path.with_file_name(recovery_name(&name));
    (!name.ends_with(RECOVERY_ENDING) && beside.is_file()).then_some(beside)
}
