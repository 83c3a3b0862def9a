//! Verifying bundles: every byte, and that nothing they list is missing.

use std::collections::HashSet;
use std::path::{Path, PathBuf};

use bundle_format::{BlobKey, Record, RecordOrder, SegmentReader, Verifier};
use serde::{Deserialize, Serialize};

use super::archive_index;
use super::media::{self, Failed, Which};
use crate::cancel::Cancel;
use crate::events::{Events, Happening};
use crate::problem::{Kind, Problem};

/// A bundle that is sound.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Verified {
    /// Which one.
    #[serde(flatten)]
    pub which: Which,
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
    /// One entry a bundle.
    pub bundles: Vec<Verified>,
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

/// Verifies bundles, each by one read: untrusted (3) is one that is damaged or not trusted, incomplete (4) one that
/// does not carry all that its snapshot lists.
///
/// # Errors
/// If a path is not there, or the job is stopped.
pub fn verify(
    paths: &[PathBuf],
    verifier: &dyn Verifier,
    events: &dyn Events,
    cancel: &Cancel,
) -> Result<VerifyReport, Problem> {
    let volumes = media::volumes(paths)?;
    let bytes = volumes.iter().map(|path| path.metadata().map_or(0, |metadata| metadata.len())).sum();
    events.emit(Happening::Stage {
        name: "verify".into(),
        items: Some(volumes.len() as u64),
        bytes: Some(bytes),
    });
    let (mut bundles, mut failed) = (Vec::new(), Vec::new());
    for path in &volumes {
        match verify_one(path, verifier, &|_, _| false, events, cancel) {
            Ok((verified, _)) => bundles.push(verified),
            Err(problem) => Failed::note(&mut failed, path, problem)?,
        }
        events.emit(Happening::ItemDone { item: path.display().to_string() });
    }
    Ok(VerifyReport { bundles, failed })
}

/// Blobs that a bundle brings, and their bytes.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Brought {
    pub(super) blobs: u64,
    pub(super) bytes: u64,
}

/// Verifies one bundle, and counts what it brings; `held` says whether a blob of that key and size is here already.
pub(super) fn verify_one(
    path: &Path,
    verifier: &dyn Verifier,
    held: &dyn Fn(&BlobKey, u64) -> bool,
    events: &dyn Events,
    cancel: &Cancel,
) -> Result<(Verified, Brought), Problem> {
    let format = |error| media::problem(error, path);
    let mut volume = media::open(path, verifier)?;
    let snapshot = volume.snapshot().clone();
    let which = Which::of(path, &volume);
    let mut index = archive_index::Check::of(&volume);
    let mut order = RecordOrder::default();
    let mut segments = HashSet::new();
    let mut missing: HashSet<BlobKey> = HashSet::new();
    let mut artifacts = 0;
    let mut brought = Brought::default();
    while let Some((key, size)) = volume.next_blob().map_err(format)? {
        cancel.check()?;
        match volume.current_segment().cloned() {
            Some(segment) => {
                let (_, bytes) = volume.read_segment().map_err(format)?;
                for record in SegmentReader::new(&segment, bytes.as_slice(), &mut order) {
                    let record = record.map_err(format)?;
                    if let Some(index) = &mut index {
                        index.take(&record, &volume);
                    }
                    if let Record::Artifact(artifact) = record {
                        artifacts += 1;
                        let absent = artifact.files.iter().filter(|file| !volume.carries(&file.blob));
                        missing
                            .extend(absent.filter(|file| !held(&file.blob, file.size)).map(|file| file.blob));
                    }
                }
                segments.insert(key);
                events.emit(Happening::ItemProgress { bytes: size });
            }
            None => {
                media::skip_blob(&mut volume, path, events, cancel)?;
                if !held(&key, size) {
                    brought.blobs += 1;
                    brought.bytes += size;
                }
            }
        }
    }
    missing
        .extend(snapshot.segments.iter().map(|segment| segment.digest).filter(|key| !segments.contains(key)));
    let verified = volume.finish().map_err(format)?;
    if let Some(first) = missing.iter().min() {
        return Err(Problem::new(
            Kind::Incomplete,
            "bundle.incomplete",
            format!(
                "{} blobs that the snapshot lists are not in the bundle, the first is {first}",
                missing.len()
            ),
        )
        .at(path.display())
        .hint("ask for a full bundle of this snapshot"));
    }
    index.map_or(Ok(()), |index| index.finish(path))?;
    Ok((Verified { which, artifacts, blobs: verified.blobs, bytes: verified.size }, brought))
}
