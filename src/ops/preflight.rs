//! What a collect is about to do, in numbers, before it downloads anything.

use std::collections::HashSet;
use std::path::Path;

use bundle_format::BlobKey;

use super::lock_file::Lock;
use super::recall;
use crate::events::Preflight;
use crate::problem::{Kind, Problem};
use crate::store::Store;
use crate::units;

/// Assumed for a file of which upstream says nothing at all.
const UNKNOWN_SIZE: u64 = 256 * 1024;
/// What a bundle needs besides its blobs: a tar header and padding each with its lines in the lists, and the signed
/// documents.
const OVERHEAD_PER_BLOB: u64 = 1024 + 256;
const OVERHEAD: u64 = 12 * 1024;

/// Counts. `out` is where the bundle will be written; `None` where none will be.
pub fn measure(lock: &Lock, store: &Store, out: Option<&Path>) -> Result<Preflight, Problem> {
    let mut preflight = Preflight {
        artifacts: lock.artifacts.len(),
        downloads: 0,
        download_bytes: 0,
        unknown_sizes: 0,
        bundle_bytes: OVERHEAD,
        store_free: store.blobs.free_space()?,
        out_free: out.and_then(free_space),
    };
    // What several artifacts share, such as the layers of images, is downloaded and packed once.
    let mut counted: HashSet<BlobKey> = HashSet::new();
    for artifact in lock.artifacts.iter() {
        let artifact = artifact?;
        for file in &artifact.files {
            let known_by = || Some(BlobKey::of(recall::alias(&artifact.repository, file)?.as_bytes()));
            if !file.blob.or_else(known_by).is_none_or(|key| counted.insert(key)) {
                continue;
            }
            let size = file.size.or(file.estimate);
            if !file.held {
                preflight.downloads += 1;
                preflight.download_bytes += size.unwrap_or(UNKNOWN_SIZE);
                preflight.unknown_sizes += u64::from(size.is_none());
            }
            preflight.bundle_bytes += size.unwrap_or(UNKNOWN_SIZE) + OVERHEAD_PER_BLOB;
        }
    }
    Ok(preflight)
}

/// Refuses what cannot fit.
///
/// # Errors
/// Refused, with what is needed and what is there.
pub fn must_fit(preflight: &Preflight, store: &Path, out: Option<&Path>) -> Result<(), Problem> {
    let one_disk = out.is_some_and(|out| device(out).is_some() && device(out) == device(store));
    let bundle = if out.is_some() { preflight.bundle_bytes } else { 0 };
    let (store_needs, out_needs) =
        if one_disk { (preflight.download_bytes + bundle, 0) } else { (preflight.download_bytes, bundle) };
    for (path, needs, free) in
        [(Some(store), store_needs, preflight.store_free), (out, out_needs, preflight.out_free)]
    {
        if let (Some(path), Some(free)) = (path, free)
            && needs > free
        {
            return Err(Problem::new(
                Kind::Refused,
                "collect.no-space",
                format!(
                    "this needs about {} at {}, and {} are free",
                    units::bytes(needs),
                    path.display(),
                    units::bytes(free)
                ),
            )
            .hint("free some space, or choose another place with --home or --out"));
        }
    }
    Ok(())
}

/// The nearest directory above a path that exists.
fn existing(path: &Path) -> Option<&Path> {
    path.ancestors()
        .map(|path| if path.as_os_str().is_empty() { Path::new(".") } else { path })
        .find(|p| p.exists())
}

/// What is left where a path is or will be, where the system tells.
pub(super) fn free_space(path: &Path) -> Option<u64> {
    let status = rustix::fs::statvfs(existing(path)?).ok()?;
    status.f_bavail.checked_mul(status.f_frsize)
}

fn device(path: &Path) -> Option<u64> {
    use std::os::unix::fs::MetadataExt;
    Some(existing(path)?.metadata().ok()?.dev())
}
