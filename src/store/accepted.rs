//! Which snapshots were accepted, in a file each beside the catalogue: with their blobs, all that a lost catalogue can be made
//! again from.
//!
//! A file is written before its snapshot is committed. If the process dies in between, it says of a snapshot that was
//! verified to the end that it was accepted, as the next import of the same bundle would.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::error::io_error;
use super::layout::Layout;
use super::{Generation, SnapshotEntry, StoreError};
use crate::fsx;

/// The most bytes that such a file may have: it names each segment.
const LIMIT: u64 = 16 * 1024 * 1024;

/// A snapshot that was accepted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Accepted {
    /// The generation that was visible when its own began.
    pub base: Generation,
    /// What the catalogue says of it.
    pub entry: SnapshotEntry,
    /// The incarnation that the store got with it; empty where that is not known.
    pub incarnation: String,
}

impl Accepted {
    fn path(&self, layout: &Layout) -> PathBuf {
        let SnapshotEntry { channel, epoch, sequence, snapshot, .. } = &self.entry;
        let digest = snapshot.hex();
        let name = format!("{epoch:06}-{sequence:06}-{}.json", digest.get(..16).unwrap_or_default());
        layout.accepted().join(channel).join(name)
    }

    /// Whether there is a file of it.
    pub(super) fn is_written(&self, layout: &Layout) -> Result<bool, StoreError> {
        let path = self.path(layout);
        path.try_exists().map_err(|error| io_error("cannot look at", &path, error))
    }

    /// The same with the incarnation that its file says, if there is one that can be read.
    pub(super) fn with_written_incarnation(self, layout: &Layout) -> Accepted {
        match read(&self.path(layout)) {
            Ok(written) => Accepted { incarnation: written.incarnation, ..self },
            Err(_) => self,
        }
    }

    /// Writes the file, in place of one that is there.
    pub(super) fn write(&self, layout: &Layout) -> Result<(), StoreError> {
        let path = self.path(layout);
        let directory = path.parent().unwrap_or(&path);
        fsx::create_directory(directory, fsx::Access::Private)
            .map_err(|error| io_error("cannot create", directory, error))?;
        let bytes = bundle_format::canonical::to_bytes(self)
            .map_err(|error| StoreError::Catalogue(format!("a record cannot be written: {error}")))?;
        fsx::replace_private(&path, &bytes).map_err(|error| io_error("cannot write", &path, error))
    }

    /// Removes the file of a snapshot that was not accepted after all.
    pub(super) fn remove(&self, layout: &Layout) -> Result<(), StoreError> {
        let path = self.path(layout);
        fsx::remove(&path).map(drop).map_err(|error| io_error("cannot remove", &path, error))
    }
}

/// The snapshots that were accepted in a store, in the order in which their generations began; and the files that cannot be
/// read, each with the reason.
///
/// # Errors
/// If a directory cannot be read.
pub fn accepted(layout: &Layout) -> Result<(Vec<Accepted>, Vec<String>), StoreError> {
    let (mut found, mut unreadable) = (Vec::new(), Vec::new());
    for path in files(&layout.accepted())? {
        match read(&path) {
            Ok(accepted) => found.push(accepted),
            Err(reason) => unreadable.push(format!("{}: {reason}", path.display())),
        }
    }
    found.sort_by_key(|accepted| (accepted.entry.generation, accepted.entry.epoch, accepted.entry.sequence));
    unreadable.sort();
    Ok((found, unreadable))
}

fn read(path: &Path) -> Result<Accepted, String> {
    let bytes = fsx::read_limited(path, LIMIT).map_err(|error| error.to_string())?.unwrap_or_default();
    serde_json::from_slice(&bytes).map_err(|error| error.to_string())
}

/// The files of all channels in a directory. What a process that died left of one is none yet.
pub(super) fn files(directory: &Path) -> Result<Vec<PathBuf>, StoreError> {
    let mut files = Vec::new();
    for channel in entries(directory)? {
        files.extend(
            entries(&channel)?.into_iter().filter(|path| path.extension().is_some_and(|end| end == "json")),
        );
    }
    Ok(files)
}

/// What is in a directory; nothing, if there is none.
fn entries(directory: &Path) -> Result<Vec<PathBuf>, StoreError> {
    let failed = |error| io_error("cannot read", directory, error);
    match std::fs::read_dir(directory) {
        Ok(entries) => entries.map(|entry| entry.map(|entry| entry.path()).map_err(failed)).collect(),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(Vec::new()),
        Err(error) => Err(failed(error)),
    }
}

#[cfg(test)]
mod tests {
    use bundle_format::BlobKey;

    use super::*;

    fn accepted_at(sequence: u64, generation: u64) -> Accepted {
        let entry = SnapshotEntry {
            channel: "prod".into(),
            epoch: 1,
            sequence,
            snapshot: BlobKey::of(&sequence.to_be_bytes()),
            signatures: BlobKey::of(b"signatures"),
            segments: vec![BlobKey::of(b"segment")],
            created: String::new(),
            accepted: String::new(),
            signers: vec!["ed25519:1".into()],
            generation: Generation(generation),
        };
        Accepted { base: Generation(generation - 1), entry, incarnation: String::new() }
    }

    #[test]
    fn they_are_read_in_the_order_of_their_generations() {
        let home = crate::fsx::test_directory();
        let layout = Layout::new(home.path());
        assert_eq!(accepted(&layout).unwrap(), (Vec::new(), Vec::new()));
        let [first, second] = [accepted_at(9, 1), accepted_at(2, 2)];
        assert!(!first.is_written(&layout).unwrap());
        second.write(&layout).unwrap();
        Accepted { incarnation: "one".into(), ..first.clone() }.write(&layout).unwrap();
        assert!(first.is_written(&layout).unwrap());
        let first = first.with_written_incarnation(&layout);
        assert_eq!(first.incarnation, "one");
        fsx::replace_private(&layout.accepted().join("prod/torn.json"), b"{").unwrap();
        fsx::replace_private(&layout.accepted().join("prod/.x.partial"), b"{").unwrap();
        let (found, unreadable) = accepted(&layout).unwrap();
        assert_eq!((found, unreadable.len()), (vec![first, second.clone()], 1));
        second.remove(&layout).unwrap();
        assert_eq!(accepted(&layout).unwrap().0.len(), 1);
    }
}
