//! Verifying bundles: every byte, and that nothing they list is missing.

use std::collections::HashSet;
use std::path::{Path, PathBuf};

use bundle_format::{BlobKey, Record, RecordOrder, SegmentReader, Verifier};
use serde::{Deserialize, Serialize};

use super::media::{self, Which};
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
}

/// Verifies bundles, each by one read.
///
/// # Errors
/// Untrusted (3) for the first that is damaged or not trusted; incomplete (4) for one that does not carry all that
/// its snapshot lists.
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
    let mut bundles = Vec::new();
    for path in &volumes {
        bundles.push(verify_one(path, verifier, &|_, _| false, events, cancel)?);
        events.emit(Happening::ItemDone { item: path.display().to_string() });
    }
    Ok(VerifyReport { bundles })
}

/// Verifies one bundle; `held` says whether a blob of that key and size need not be in it.
pub(super) fn verify_one(
    path: &Path,
    verifier: &dyn Verifier,
    held: &dyn Fn(&BlobKey, u64) -> bool,
    events: &dyn Events,
    cancel: &Cancel,
) -> Result<Verified, Problem> {
    let format = |error| media::problem(error, path);
    let mut volume = media::open(path, verifier)?;
    let snapshot = volume.snapshot().clone();
    let which = Which::of(path, &volume);
    let mut order = RecordOrder::default();
    let mut segments = HashSet::new();
    let mut missing: HashSet<BlobKey> = HashSet::new();
    let mut artifacts = 0;
    while let Some((key, size)) = volume.next_blob().map_err(format)? {
        cancel.check()?;
        match volume.current_segment().cloned() {
            Some(segment) => {
                let (_, bytes) = volume.read_segment().map_err(format)?;
                for record in SegmentReader::new(&segment, bytes.as_slice(), &mut order) {
                    if let Record::Artifact(artifact) = record.map_err(format)? {
                        artifacts += 1;
                        let absent = artifact.files.iter().filter(|file| !volume.carries(&file.blob));
                        missing
                            .extend(absent.filter(|file| !held(&file.blob, file.size)).map(|file| file.blob));
                    }
                }
                segments.insert(key);
            }
            None => {
                volume.skip_blob().map_err(format)?;
            }
        }
        events.emit(Happening::ItemProgress { bytes: size });
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
    Ok(Verified { which, artifacts, blobs: verified.blobs, bytes: verified.size })
}
