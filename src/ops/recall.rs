//! Remembering what the store holds already of a lock.

use std::sync::Arc;

use bundle_format::BlobKey;

use super::context::Outside;
use super::lock_file::Lock;
use crate::blocking::blocking;
use crate::ecosystem::PlannedFile;
use crate::problem::Problem;

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
pub async fn recall(mut lock: Lock, outside: &Arc<Outside>) -> Result<(Lock, usize), Problem> {
    let outside = outside.clone();
    blocking(move || {
        // What was taken in a moment ago must be seen.
        outside.intake().flush()?;
        let store = outside.store();
        let mut known: Vec<BlobKey> = Vec::new();
        for artifact in &mut lock.artifacts {
            let repository = &artifact.repository;
            for file in &mut artifact.files {
                if file.blob.is_none()
                    && let Some(alias) = alias(repository, file)
                    && let Some(answer) = store.catalogue.cached(&alias)?
                {
                    file.blob = Some(answer.body);
                }
                known.extend(file.blob);
            }
        }
        known.sort();
        known.dedup();
        for keys in known.chunks(1024) {
            outside.intake().claim(keys)?;
        }
        let mut lost = 0;
        for file in lock.artifacts.iter_mut().flat_map(|artifact| &mut artifact.files) {
            let Some(blob) = file.blob else { continue };
            match store.blobs.size(&blob)? {
                Some(size) if file.size.is_none_or(|expected| expected == size) => {
                    (file.size, file.estimate, file.held) = (Some(size), None, true);
                }
                // The digest stays known: the download is held to it.
                _ => lost += usize::from(file.origin.is_empty()),
            }
        }
        Ok((lock, lost))
    })
    .await
}
