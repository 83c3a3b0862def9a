//! Bundles as lists: what their snapshots say, without reading the blobs behind them.

use std::path::{Path, PathBuf};

use bundle_format::{BlobKey, Record, RecordOrder, SegmentReader, SegmentRef, Snapshot, Verifier, signature};
use serde::{Deserialize, Serialize};

use super::media::{self, Which};
use super::snapshots;
use crate::cancel::Cancel;
use crate::problem::{Kind, Problem};
use crate::store::Store;

/// A bundle, by those of its volumes that were found. Its documents are verified.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Bundle {
    /// Which one; the file is the first of its volumes.
    pub which: Which,
    /// The snapshot.
    pub snapshot: Snapshot,
    /// Who signed its documents.
    pub signatures: Vec<Signed>,
    /// How many volumes it has.
    pub volume_count: u64,
    /// Those that were found, by number: each with its size in bytes and its count of blobs as signed.
    pub volumes: Vec<FoundVolume>,
}

/// A volume that was found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FoundVolume {
    /// Its number, from 1.
    pub number: u64,
    /// The file.
    pub file: PathBuf,
    /// Its size in bytes, as signed.
    pub bytes: u64,
    /// How many blobs it carries.
    pub blobs: u64,
}

/// A line of signature.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Signed {
    /// What it signs.
    pub document: SignedDocument,
    /// The key that it names.
    pub key: String,
    /// Whether it counts here.
    pub verdict: Verdict,
}

/// A document of a bundle that is signed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum SignedDocument {
    /// What the channel holds.
    Snapshot,
    /// How it travels.
    PackingList,
}

/// Whether a signature counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Verdict {
    /// It verifies, and whoever made it is trusted here.
    Trusted,
    /// The key was revoked here, wholly or from some sequence on.
    Revoked,
    /// The key is not known here, so that nothing can be said of it.
    Unknown,
}

impl Bundle {
    /// The bundles that paths stand for, in the order in which they come: volumes of one packing are one bundle.
    ///
    /// # Errors
    /// Untrusted (3) for the first volume that is damaged as far as it was read, or not trusted; usage (2), if a path is
    /// not there.
    pub fn find(paths: &[PathBuf], verifier: &dyn Verifier) -> Result<Vec<Bundle>, Problem> {
        let mut bundles: Vec<(BlobKey, Bundle)> = Vec::new();
        for path in media::volumes(paths)? {
            let volume = media::open(&path, verifier)?;
            let packing = volume.head().packing_key();
            let found = FoundVolume {
                number: volume.volume_number(),
                file: path.clone(),
                bytes: volume.expected_size(),
                blobs: volume.blobs(),
            };
            if let Some((_, bundle)) = bundles.iter_mut().find(|(known, _)| *known == packing) {
                bundle.volumes.push(found);
                continue;
            }
            let documents = [
                (SignedDocument::Snapshot, volume.head().snapshot_signatures(), volume.signers()),
                (
                    SignedDocument::PackingList,
                    volume.head().packing_signatures(),
                    volume.head().packing_signers(),
                ),
            ];
            let mut signatures = Vec::new();
            for (document, lines, trusted) in documents {
                let lines = signature::parse_signatures(lines)
                    .map_err(|met| Problem::new(Kind::Untrusted, "bundle.signature-line", met))?;
                signatures.extend(lines.into_iter().map(|line| {
                    let verdict =
                        if trusted.contains(&line.key_id) { Verdict::Trusted } else { Verdict::Unknown };
                    Signed { document, key: line.key_id, verdict }
                }));
            }
            let bundle = Bundle {
                which: Which::of(&path, &volume),
                snapshot: volume.snapshot().clone(),
                signatures,
                volume_count: volume.volume_count(),
                volumes: vec![found],
            };
            bundles.push((packing, bundle));
        }
        for (_, bundle) in &mut bundles {
            bundle.volumes.sort_by_key(|volume| volume.number);
            bundle.volumes.dedup_by_key(|volume| volume.number);
            if let Some(first) = bundle.volumes.first() {
                bundle.which.file.clone_from(&first.file);
            }
        }
        Ok(bundles.into_iter().map(|(_, bundle)| bundle).collect())
    }

    /// The one bundle that a path stands for.
    ///
    /// # Errors
    /// As [`Bundle::find`]; usage (2), if there are several.
    pub fn find_one(path: &Path, verifier: &dyn Verifier) -> Result<Bundle, Problem> {
        let mut bundles = Bundle::find(&[path.to_owned()], verifier)?;
        match (bundles.pop(), bundles.is_empty()) {
            (Some(bundle), true) => Ok(bundle),
            _ => Err(Problem::new(
                Kind::Usage,
                "media.several",
                format!("several bundles are in {}, and one is needed", path.display()),
            )
            .hint("name the file of the one that is meant")),
        }
    }

    /// Walks the records of the snapshot, in their order. Only the lists are read, flat in memory; those that the volumes
    /// do not carry, as in a delta, are looked for in `store`.
    ///
    /// # Errors
    /// Untrusted (3), if a volume is damaged as far as it was read; incomplete (4), if a list is nowhere; what `visit`
    /// fails with, or if the job is stopped.
    pub fn each(
        &self,
        verifier: &dyn Verifier,
        store: Option<&Store>,
        cancel: &Cancel,
        visit: &mut dyn FnMut(Record) -> Result<(), Problem>,
    ) -> Result<(), Problem> {
        let mut walk = Walk { segments: &self.snapshot.segments, order: RecordOrder::default(), visit };
        for found in &self.volumes {
            if walk.segments.is_empty() {
                return Ok(());
            }
            let mut volume = media::open(&found.file, verifier)?;
            if volume.head().snapshot_key() != self.which.snapshot {
                let message = "the file is another one than it was a moment ago";
                return Err(Problem::new(Kind::Untrusted, "media.changed", message).at(found.file.display()));
            }
            let format = |error| media::problem(error, &found.file);
            // Segments come first: behind them there is nothing to list.
            while volume.next_blob().map_err(format)?.is_some() {
                cancel.check()?;
                let Some(segment) = volume.current_segment().cloned() else { break };
                walk.up_to(&segment, store)?;
                if walk.segments.first() == Some(&segment) {
                    let (_, bytes) = volume.read_segment().map_err(format)?;
                    walk.next(&bytes, &found.file)?;
                }
            }
        }
        while let Some(segment) = walk.segments.first() {
            cancel.check()?;
            if !walk.take_held(store)? {
                return Err(Problem::new(
                    Kind::Incomplete,
                    "bundle.list-missing",
                    format!(
                        "the list {} of the bundle is in none of the volumes that are here",
                        segment.digest
                    ),
                )
                .at(self.which.file.display())
                .hint("look at all volumes together, the first one above all"));
            }
        }
        Ok(())
    }
}

/// A walk over the segments of a snapshot, in their order, wherever each comes from.
struct Walk<'a> {
    /// Those that are still to come.
    segments: &'a [SegmentRef],
    order: RecordOrder,
    visit: &'a mut dyn FnMut(Record) -> Result<(), Problem>,
}

impl Walk<'_> {
    /// Takes from the store what comes before a segment, as far as it is held.
    fn up_to(&mut self, segment: &SegmentRef, store: Option<&Store>) -> Result<(), Problem> {
        if self.segments.contains(segment) {
            while self.segments.first() != Some(segment) && self.take_held(store)? {}
        }
        Ok(())
    }

    /// Takes the next segment from the store; false, if it is not held.
    fn take_held(&mut self, store: Option<&Store>) -> Result<bool, Problem> {
        let (Some((segment, rest)), Some(store)) = (self.segments.split_first(), store) else {
            return Ok(false);
        };
        if store.blobs.size(&segment.digest)?.is_none() {
            return Ok(false);
        }
        for record in snapshots::segment(store, segment, &mut self.order)? {
            (self.visit)(record)?;
        }
        self.segments = rest;
        Ok(true)
    }

    /// Takes the next segment, whose verified bytes are these.
    fn next(&mut self, bytes: &[u8], path: &Path) -> Result<(), Problem> {
        let Some((segment, rest)) = self.segments.split_first() else { return Ok(()) };
        for record in SegmentReader::new(segment, bytes, &mut self.order) {
            (self.visit)(record.map_err(|error| media::problem(error, path))?)?;
        }
        self.segments = rest;
        Ok(())
    }
}
