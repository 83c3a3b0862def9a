//! Verifying bundles: every byte, and that nothing they list is missing.

use std::collections::{HashMap, HashSet};
use std::path::{Path, PathBuf};

use bundle_format::{BlobKey, Recipe, RecipeReader, Record, RecordOrder, SegmentReader, Verifier};
use serde::{Deserialize, Serialize};

use super::archive_index;
use super::media::{self, Failed, Which};
use super::repair::{self, VerifiedRecovery};
use crate::cancel::Cancel;
use crate::events::{Events, Happening};
use crate::problem::{Kind, Problem};

/// A bundle that is sound.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Verified {
    /// Which one.
    #[serde(flatten)]
    pub which: Which,
    /// Which volume of the bundle it is, from 1.
    pub volume: u64,
    /// How many volumes the bundle has.
    pub volumes: u64,
    /// How many artifacts the snapshot lists.
    pub artifacts: u64,
    /// How many blobs the file carries.
    pub blobs: u64,
    /// Its size in bytes.
    pub bytes: u64,
}

/// What was verified.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct VerifyReport {
    /// One entry a volume.
    pub bundles: Vec<Verified>,
    /// Files of recovery that are sound.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub recovery: Vec<VerifiedRecovery>,
    /// Those that are not sound, or not trusted.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub failed: Vec<Failed>,
}

impl VerifyReport {
    /// The report, if all bundles are sound.
    ///
    /// # Errors
    /// Why the first that isn't, isn't.
    pub fn all(self) -> Result<VerifyReport, Problem> {
        match self.failed.first() {
            Some(first) => Err(first.problem.clone()),
            None => Ok(self),
        }
    }
}

/// Verifies bundles, each volume by one read: untrusted (3) is one that is damaged or not trusted, incomplete (4) one of
/// which not all volumes are there, or that does not carry all that its snapshot lists.
///
/// # Errors
/// If a path is not there, or the job is stopped.
pub fn verify(
    paths: &[PathBuf],
    verifier: &dyn Verifier,
    events: &dyn Events,
    cancel: &Cancel,
) -> Result<VerifyReport, Problem> {
    let (volumes, beside) = media::volumes_and_recovery(paths)?;
    let bytes =
        volumes.iter().chain(&beside).map(|path| path.metadata().map_or(0, |metadata| metadata.len())).sum();
    events.emit(Happening::Stage {
        name: "verify".into(),
        items: Some((volumes.len() + beside.len()) as u64),
        bytes: Some(bytes),
    });
    let (sets, unread) = media::sets(&volumes, verifier)?;
    let look = |path: &Path, problem: Problem| with_outlook(path, problem, verifier, events, cancel);
    let mut failed = Vec::new();
    for Failed { file, problem } in unread {
        Failed::note(&mut failed, &file, look(&file, problem))?;
    }
    let mut bundles = Vec::new();
    for set in &sets {
        match verify_set(set, verifier, None, events, cancel) {
            Ok((verified, _)) => bundles.extend(verified),
            Err((path, problem)) => Failed::note(&mut failed, &path, look(&path, problem))?,
        }
    }
    let mut recovery = Vec::new();
    for path in &beside {
        match repair::verify_recovery(path, verifier, events, cancel) {
            Ok(verified) => recovery.push(verified),
            Err(problem) => Failed::note(&mut failed, path, problem)?,
        }
        events.emit(Happening::ItemDone { item: path.display().to_string() });
    }
    cancel.check()?;
    Ok(VerifyReport { bundles, recovery, failed })
}

/// Says of a damaged volume whether it can be mended.
fn with_outlook(
    path: &Path,
    problem: Problem,
    verifier: &dyn Verifier,
    events: &dyn Events,
    cancel: &Cancel,
) -> Problem {
    if problem.kind != Kind::Untrusted || media::recovery_of(path).is_none() {
        return problem;
    }
    match repair::outlook(path, verifier, events, cancel) {
        Some((true, said)) => problem.because(said),
        Some((false, said)) => problem.because(said).hint(
            "volumes that lie beside each other, spare ones included, may mend it together: `aftk repair` them into one \
             directory; else have it written again",
        ),
        None => problem,
    }
}

/// Reads a volume to its end, keeping nothing: its number.
///
/// # Errors
/// Untrusted, if it is not sound or trusted.
pub(super) fn read_through(
    path: &Path,
    verifier: &dyn Verifier,
    events: &dyn Events,
    cancel: &Cancel,
) -> Result<u64, Problem> {
    let format = |error| media::problem(error, path);
    let mut volume = media::open(path, verifier)?;
    while volume.next_blob().map_err(format)?.is_some() {
        media::skip_blob(&mut volume, path, events, cancel)?;
    }
    Ok(volume.finish().map_err(format)?.volume_number)
}

/// Blobs that a bundle brings, and their bytes.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Brought {
    pub(super) blobs: u64,
    pub(super) bytes: u64,
}

/// Says whether a blob of that key and size is held.
pub(super) type Held<'a> = dyn Fn(&BlobKey, u64) -> bool + 'a;

/// Verifies the volumes of one bundle, and counts what they bring; `site` says what is held where it is to be imported, if that
/// is here.
///
/// # Errors
/// What is wrong, and with which file.
pub(super) fn verify_set(
    set: &media::Set,
    verifier: &dyn Verifier,
    site: Option<&Held<'_>>,
    events: &dyn Events,
    cancel: &Cancel,
) -> Result<(Vec<Verified>, Brought), (PathBuf, Problem)> {
    let held = site.unwrap_or(&|_, _| false);
    let mut found = Found::default();
    let mut verified = Vec::new();
    for path in set.volumes.values() {
        let one = found.volume(path, verifier, held, events, cancel);
        verified.push(one.map_err(|problem| (path.clone(), problem))?);
        events.emit(Happening::ItemDone { item: path.display().to_string() });
    }
    let first = set.volumes.values().next().cloned().unwrap_or_default();
    let complete = set.must_be_whole().and_then(|()| found.must_be_whole(held, site.is_some()));
    complete.map_err(|problem| (first.clone(), problem.at(first.display())))?;
    for one in &mut verified {
        one.artifacts = found.artifacts;
    }
    Ok((verified, found.brought))
}

/// What was met in the volumes of a bundle.
#[derive(Default)]
struct Found {
    /// What the segments name and the volume that has them does not carry, with its size.
    named: HashMap<BlobKey, u64>,
    carried: HashSet<BlobKey>,
    /// The segments that are to come, and those that came.
    expected: Vec<BlobKey>,
    segments: HashSet<BlobKey>,
    recipes: Vec<Recipe>,
    /// Recipe segments that came.
    recipe_segments: HashSet<BlobKey>,
    order: RecordOrder,
    recipe_order: RecordOrder,
    artifacts: u64,
    brought: Brought,
}

impl Found {
    fn volume(
        &mut self,
        path: &Path,
        verifier: &dyn Verifier,
        held: &Held<'_>,
        events: &dyn Events,
        cancel: &Cancel,
    ) -> Result<Verified, Problem> {
        let format = |error| media::problem(error, path);
        let mut volume = media::open(path, verifier)?;
        let which = Which::of(path, &volume);
        self.expected = volume.snapshot().segments.iter().map(|segment| segment.digest).collect();
        self.expected.extend(volume.packing().recipes.iter().map(|segment| segment.digest));
        let mut index = archive_index::Check::of(&volume);
        while let Some((key, size)) = volume.next_blob().map_err(format)? {
            cancel.check()?;
            if let Some(segment) = volume.current_segment().cloned() {
                let (_, bytes) = volume.read_segment().map_err(format)?;
                // The last volume has again what the first one had.
                if self.segments.insert(key) {
                    for record in SegmentReader::new(&segment, bytes.as_slice(), &mut self.order) {
                        let record = record.map_err(format)?;
                        if let Some(index) = &mut index {
                            index.take(&record, &volume);
                        }
                        if let Record::Artifact(artifact) = record {
                            self.artifacts += 1;
                            let elsewhere = artifact.files.iter().filter(|file| !volume.carries(&file.blob));
                            self.named.extend(elsewhere.map(|file| (file.blob, file.size)));
                        }
                    }
                }
                events.emit(Happening::ItemProgress { bytes: size });
            } else if let Some(segment) = volume.current_recipes().cloned() {
                let (_, bytes) = volume.read_segment().map_err(format)?;
                if self.recipe_segments.insert(key) {
                    let recipes = RecipeReader::new(&segment, bytes.as_slice(), &mut self.recipe_order);
                    for recipe in recipes {
                        self.recipes.push(recipe.map_err(format)?);
                    }
                }
                events.emit(Happening::ItemProgress { bytes: size });
            } else {
                media::skip_blob(&mut volume, path, events, cancel)?;
                // Of one volume alone its contents table says it.
                if volume.volume_count() > 1 || !volume.packing().recipes.is_empty() {
                    self.carried.insert(key);
                }
                if !held(&key, size) {
                    self.brought.blobs += 1;
                    self.brought.bytes += size;
                }
            }
        }
        let (number, count) = (volume.volume_number(), volume.volume_count());
        let whole = volume.finish().map_err(format)?;
        index.map_or(Ok(()), |index| index.finish(path))?;
        Ok(Verified {
            which,
            volume: number,
            volumes: count,
            artifacts: 0,
            blobs: whole.blobs,
            bytes: whole.size,
        })
    }

    /// # Errors
    /// Incomplete, if something is neither carried, nor made of what is carried, nor held.
    fn must_be_whole(&self, held: &Held<'_>, is_at_site: bool) -> Result<(), Problem> {
        let made = self.recipes.iter().filter(|recipe| {
            recipe
                .concat
                .iter()
                .all(|piece| self.carried.contains(&piece.blob) || held(&piece.blob, piece.size))
        });
        let made: HashSet<&BlobKey> = made.map(|recipe| &recipe.blob).collect();
        let is_here = |key: &BlobKey| self.carried.contains(key) || made.contains(key);
        let blobs = self.named.iter().filter(|(key, size)| !is_here(key) && !held(key, **size));
        let came = |key: &&BlobKey| self.segments.contains(*key) || self.recipe_segments.contains(*key);
        let segments = self.expected.iter().filter(|key| !came(key));
        let missing: Vec<&BlobKey> = blobs.map(|(key, _)| key).chain(segments).collect();
        let Some(first) = missing.iter().min() else { return Ok(()) };
        let left_out = match missing.len() {
            1 => format!("it leaves out {first}"),
            count => format!("it leaves out {count} blobs, the first is {first}"),
        };
        if is_at_site {
            let message = format!("the bundle relies on what is not here: {left_out}");
            return Err(Problem::new(Kind::Incomplete, "bundle.incomplete", message)
                .hint("import the bundles before it first, or ask for a full bundle of this snapshot"));
        }
        let message = format!("the bundle is sound, and relies on what the site has: {left_out}");
        Err(Problem::new(Kind::Incomplete, "bundle.incomplete", message).hint(
            "`aftk import -n` at the site says whether all of it is there; any other site needs a full bundle",
        ))
    }
}
