//! The proof that what is carried is enough: every entry of an index and every tag leads to a manifest that is carried.

use std::collections::HashSet;

use bundle_format::BlobKey;

use crate::ecosystem::{Gap, Gathered, Proof};
use crate::problem::Problem;

/// Proves what was gathered. The blobs of a manifest are its own files: that they are there is for whoever packs to see.
///
/// # Errors
/// If it cannot be read.
pub(super) fn prove(gathered: &Gathered<'_>) -> Result<Proof, Problem> {
    // A digest of the names instead of the names: there may be very many.
    let key = |repository: &str, name: &str, digest: &str| {
        BlobKey::of(format!("{repository}/{name}@{digest}").as_bytes())
    };
    let mut carried = HashSet::new();
    for artifact in gathered.artifacts() {
        let artifact = artifact?;
        carried.insert(key(&artifact.repository, &artifact.name, &artifact.version));
    }
    let mut proof = Proof::default();
    let mut missing = |repository: &str, name: &str, version: &str, detail: String| {
        proof.gaps.push(Gap {
            ecosystem: "oci".to_owned(),
            name: format!("{repository}/{name}"),
            version: version.to_owned(),
            reason: "missing-manifest".to_owned(),
            detail,
        });
    };
    for artifact in gathered.artifacts() {
        let artifact = artifact?;
        for edge in &artifact.requires {
            if !carried.contains(&key(&artifact.repository, &edge.name, &edge.range)) {
                let detail = format!("an entry of the index {}", artifact.version);
                missing(&artifact.repository, &edge.name, &edge.range, detail);
            }
        }
    }
    for tag in gathered.refs() {
        let tag = tag?;
        if !carried.contains(&key(&tag.repository, &tag.name, &tag.version)) {
            missing(&tag.repository, &tag.name, &tag.version, format!("the tag {} points at it", tag.label));
        }
    }
    Ok(proof)
}
