//! Remembering what the store holds already of a lock.

use std::sync::Arc;

use super::context::Outside;
use super::lock_file::Lock;
use crate::blocking::blocking;
use crate::ecosystem::{CollectContext as _, Planned, PlannedFile};
use crate::problem::Problem;
use crate::spill::Sorter;

/// How many artifacts are looked up and claimed at once.
const CHUNK: usize = 512;

/// What a file is known by until its blob is known: its strongest checksum, else where it comes from.
pub(super) fn alias(repository: &str, file: &PlannedFile) -> Option<String> {
    if let Some(strong) = file.checksums.iter().filter(|checksum| checksum.is_strong()).max() {
        return Some(format!("file {strong}"));
    }
    let checksum = file.checksums.first().map(ToString::to_string).unwrap_or_default();
    (!file.origin.is_empty()).then(|| format!("file {repository} {} {checksum}", file.origin))
}

/// Fills in the blobs that the store holds already, marks them as held, and claims them.
///
/// Returned too is the number of files that are not held and cannot be downloaded (they have no origin): they
/// must be resolved anew.
pub async fn recall(mut lock: Lock, outside: &Arc<Outside>) -> Result<(Lock, u64), Problem> {
    let outside = outside.clone();
    blocking(move || {
        // What was taken in a moment ago must be seen.
        outside.intake().flush()?;
        let mut recalled = Sorter::new(outside.scratch());
        let mut lost = 0;
        let mut artifacts = lock.artifacts.iter();
        loop {
            let mut chunk = artifacts.by_ref().take(CHUNK).collect::<Result<Vec<Planned>, Problem>>()?;
            if chunk.is_empty() {
                break;
            }
            outside.cancel().check()?;
            lost += recall_some(&mut chunk, &outside)?;
            recalled.extend(chunk)?;
        }
        lock.artifacts = recalled.finish()?;
        Ok((lock, lost))
    })
    .await
}

fn recall_some(artifacts: &mut [Planned], outside: &Outside) -> Result<u64, Problem> {
    let store = outside.store();
    let mut known = Vec::new();
    for artifact in &mut *artifacts {
        for file in &mut artifact.files {
            if file.blob.is_none()
                && let Some(alias) = alias(&artifact.repository, file)
                && let Some(answer) = store.catalogue.cached(&alias)?
            {
                file.blob = Some(answer.body);
            }
            known.extend(file.blob);
        }
    }
    known.sort();
    known.dedup();
    // Only what is still there after the claim is safe: gc may have been faster.
    outside.intake().claim(&known)?;
    let mut lost = 0;
    for file in artifacts.iter_mut().flat_map(|artifact| &mut artifact.files) {
        let Some(blob) = file.blob else { continue };
        match store.blobs.size(&blob)? {
            Some(size) if file.size.is_none_or(|expected| expected == size) => {
                (file.size, file.estimate, file.held) = (Some(size), None, true);
            }
            // The digest stays known: the download is held to it.
            _ => {
                file.held = false;
                lost += u64::from(file.origin.is_empty());
            }
        }
    }
    Ok(lost)
}
