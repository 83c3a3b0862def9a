//! Looking into a bundle without unpacking it: who made it, what it lists. Only the signed lists are read.

use std::path::{Path, PathBuf};

use bundle_format::{BlobKey, Mode, Record, RecordOrder, Ref, SegmentReader, Verifier};
use serde::Serialize;

use super::media::{self, Which};
use super::records::Named;
use crate::problem::Problem;

/// What a bundle says of itself, after its signatures were verified.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Inspected {
    /// Which one.
    #[serde(flatten)]
    pub which: Which,
    /// The snapshot before it.
    pub previous: Option<BlobKey>,
    /// When its lock was resolved.
    pub created: String,
    /// From when on it must not be imported.
    pub expires: Option<String>,
    /// How it changes the channel inside.
    pub mode: Mode,
    /// The size of the file as signed.
    pub bytes: u64,
    /// How many blobs it carries.
    pub blobs: u64,
    /// What it lists.
    pub artifacts: Vec<Named>,
    /// The movable names it sets.
    pub refs: Vec<Ref>,
}

/// What was looked into.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct InspectReport {
    /// One entry a bundle.
    pub bundles: Vec<Inspected>,
}

/// Reads the lists of bundles. The blobs behind them are not read: `verify` does that.
///
/// # Errors
/// Untrusted (3) for the first that is damaged as far as it was read, or not trusted.
pub fn inspect(paths: &[PathBuf], verifier: &dyn Verifier) -> Result<InspectReport, Problem> {
    let bundles =
        media::volumes(paths)?.iter().map(|path| inspect_one(path, verifier)).collect::<Result<_, _>>()?;
    Ok(InspectReport { bundles })
}

fn inspect_one(path: &Path, verifier: &dyn Verifier) -> Result<Inspected, Problem> {
    let format = |error| media::problem(error, path);
    let mut volume = media::open(path, verifier)?;
    let snapshot = volume.snapshot().clone();
    let (mut artifacts, mut refs) = (Vec::new(), Vec::new());
    let mut order = RecordOrder::default();
    while volume.next_blob().map_err(format)?.is_some() {
        // Segments come first: behind them there is nothing to list.
        let Some(segment) = volume.current_segment().cloned() else { break };
        let (_, bytes) = volume.read_segment().map_err(format)?;
        for record in SegmentReader::new(&segment, bytes.as_slice(), &mut order) {
            match record.map_err(format)? {
                Record::Artifact(artifact) => artifacts.push(Named::of(&artifact)),
                Record::Ref(reference) => refs.push(reference),
                Record::Repository(_) => {}
            }
        }
    }
    Ok(Inspected {
        which: Which::of(path, &volume),
        previous: snapshot.previous,
        created: snapshot.created.clone(),
        expires: snapshot.expires.clone(),
        mode: snapshot.mode,
        bytes: volume.expected_size(),
        blobs: volume.blobs(),
        artifacts,
        refs,
    })
}
