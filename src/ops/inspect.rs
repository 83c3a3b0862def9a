//! Looking into a bundle without unpacking it: who made it, what it lists. Only the signed lists are read.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use bundle_format::{Artifact, BlobKey, File, Mode, Record, Ref};
use serde::Serialize;

use super::bundle::{Bundle, FoundVolume, SignedDocument, Verdict};
use super::media::Which;
use super::records::{Named, ShownList};
use crate::cancel::Cancel;
use crate::ecosystem::registry;
use crate::problem::Problem;
use crate::spill::{Sorted, Sorter};
use crate::store::Store;
use crate::trust::{KeyInfo, Trust};

/// What a bundle says of itself, after its signatures were verified.
#[derive(Debug, Clone, Serialize)]
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
    /// What people say about it.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub labels: BTreeMap<String, String>,
    /// Who signed it, and what is to be made of that here.
    pub signatures: Vec<Signature>,
    /// How many volumes it has.
    pub volume_count: u64,
    /// Those that were found.
    pub volumes: Vec<FoundVolume>,
    /// The size of the files as signed.
    pub bytes: u64,
    /// How many blobs they carry.
    pub blobs: u64,
    /// What upstream's word there is for what it lists.
    pub evidence: Evidence,
    /// What it carries to prove that word with, as whoever collected it says; importing verifies it anew.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub proofs: Vec<UpstreamProof>,
    /// What it lists.
    pub artifacts: ShownList<Artifact, InspectedArtifact>,
    /// The movable names it sets.
    pub refs: Sorted<Ref>,
}

/// A signature, and what is to be made of it here.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Signature {
    /// What it signs.
    pub document: SignedDocument,
    /// The key that it names.
    pub key: String,
    /// Whose key that is, if it is known here.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Whether it counts.
    pub verdict: Verdict,
}

/// For how many files there is upstream's word.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Evidence {
    /// All files that are listed.
    pub files: u64,
    /// Those with a checksum that their upstream published.
    pub with_checksums: u64,
    /// Those that say where they are from.
    pub with_origins: u64,
}

/// An artifact that upstream proves others with.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct UpstreamProof {
    /// Its repository and name.
    pub subject: String,
    /// What it says of itself.
    pub says: String,
}

impl UpstreamProof {
    /// What an artifact proves others with, if it does.
    pub(super) fn of(artifact: &Artifact) -> Option<UpstreamProof> {
        let says = registry::find(&artifact.ecosystem)?.proof(artifact)?;
        Some(UpstreamProof { subject: format!("{} {}", artifact.repository, artifact.name), says })
    }
}

/// An artifact with its files.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct InspectedArtifact {
    /// What it is called.
    #[serde(flatten)]
    pub named: Named,
    /// Its files.
    pub files: Vec<File>,
    /// The artifact as listed.
    #[serde(skip)]
    pub artifact: Artifact,
}

impl InspectedArtifact {
    fn of(artifact: Artifact) -> InspectedArtifact {
        let named = Named::of(&artifact);
        InspectedArtifact { named, files: artifact.files.clone(), artifact }
    }
}

/// What was looked into.
#[derive(Debug, Clone, Serialize)]
pub struct InspectReport {
    /// One entry a bundle.
    pub bundles: Vec<Inspected>,
}

/// Reads the lists of bundles, flat in memory. The blobs behind them are not read: `verify` does that. What a delta does
/// not list itself is looked for in `store`.
///
/// # Errors
/// Untrusted (3) for the first that is damaged as far as it was read, or not trusted; incomplete (4), if the volumes with
/// its lists are not there.
pub fn inspect(
    paths: &[PathBuf],
    trust: &Trust,
    store: Option<&Store>,
    cancel: &Cancel,
) -> Result<InspectReport, Problem> {
    let scratch = super::scratch()?;
    let (verifier, keys) = (trust.verifier(true)?, trust.keys()?);
    let bundles = Bundle::find(paths, &verifier)?;
    let bundles = bundles.into_iter().map(|bundle| {
        let lists = Lists::read(&bundle, &verifier, store, scratch.path(), cancel)?;
        Ok(inspected(bundle, lists, &keys))
    });
    Ok(InspectReport { bundles: bundles.collect::<Result<_, Problem>>()? })
}

/// What a snapshot lists.
struct Lists {
    artifacts: Sorted<Artifact>,
    refs: Sorted<Ref>,
    evidence: Evidence,
    proofs: Vec<UpstreamProof>,
}

impl Lists {
    fn read(
        bundle: &Bundle,
        verifier: &dyn bundle_format::Verifier,
        store: Option<&Store>,
        scratch: &Path,
        cancel: &Cancel,
    ) -> Result<Lists, Problem> {
        let (mut artifacts, mut refs) = (Sorter::new(scratch), Sorter::new(scratch));
        let mut evidence = Evidence::default();
        let mut proofs = Vec::new();
        bundle.each(verifier, store, cancel, &mut |record| match record {
            Record::Artifact(artifact) => {
                for file in &artifact.files {
                    evidence.files += 1;
                    evidence.with_checksums += u64::from(!file.checksums.is_empty());
                    evidence.with_origins += u64::from(!file.origin.is_empty());
                }
                proofs.extend(UpstreamProof::of(&artifact));
                artifacts.push(artifact)
            }
            Record::Ref(reference) => refs.push(reference),
            Record::Repository(_) => Ok(()),
        })?;
        Ok(Lists { artifacts: artifacts.finish()?, refs: refs.finish()?, evidence, proofs })
    }
}

fn inspected(bundle: Bundle, lists: Lists, keys: &[KeyInfo]) -> Inspected {
    let signatures = bundle.signatures.into_iter().map(|signed| {
        let known = keys.iter().find(|known| known.id == signed.key);
        let is_revoked = known.is_some_and(|known| known.revoked.is_some());
        Signature {
            document: signed.document,
            name: known.map(|known| known.name.clone()).filter(|name| !name.is_empty()),
            verdict: if is_revoked { Verdict::Revoked } else { signed.verdict },
            key: signed.key,
        }
    });
    Inspected {
        signatures: signatures.collect(),
        which: bundle.which,
        previous: bundle.snapshot.previous,
        created: bundle.snapshot.created,
        expires: bundle.snapshot.expires,
        mode: bundle.snapshot.mode,
        labels: bundle.snapshot.labels,
        volume_count: bundle.volume_count,
        bytes: bundle.volumes.iter().map(|volume| volume.bytes).fold(0, u64::saturating_add),
        blobs: bundle.volumes.iter().map(|volume| volume.blobs).fold(0, u64::saturating_add),
        volumes: bundle.volumes,
        evidence: lists.evidence,
        proofs: lists.proofs,
        artifacts: ShownList::new(lists.artifacts, InspectedArtifact::of),
        refs: lists.refs,
    }
}
