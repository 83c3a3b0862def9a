//! The seam for admitting: what comes out of a bundle is looked at again by who knows what it says.

use std::io::Read;
use std::path::PathBuf;

use bundle_format::{Artifact, BlobKey, Ref};
use bytes::Bytes;

use crate::problem::Problem;

/// Re-validation at import: what comes out of a bundle is hostile until it passed.
pub trait Admit: Send + Sync {
    /// Checks an artifact's names, paths, roles and checksums. The checksums listed in it have been compared with the
    /// bytes by the caller; this says whether they are enough. `read` opens small blobs it names (at most 4 MiB).
    fn admit(
        &self,
        artifact: &Artifact,
        read: &mut dyn FnMut(&BlobKey) -> Result<Bytes, Problem>,
    ) -> Result<(), Problem>;
    /// Checks a ref.
    fn admit_ref(&self, reference: &Ref) -> Result<(), Problem>;
    /// Begins to check what can only be said of all artifacts of a bundle together.
    fn together<'a>(
        &self,
        _context: &'a dyn AdmitContext,
    ) -> Result<Option<Box<dyn Together + 'a>>, Problem> {
        Ok(None)
    }
}

/// What checks artifacts together works with.
pub trait AdmitContext: Send + Sync {
    /// Reads a small blob that is held, at most `limit` bytes.
    fn read(&self, key: &BlobKey, limit: u64) -> Result<Bytes, Problem>;
    /// Opens a blob that is held.
    fn open(&self, key: &BlobKey) -> Result<Box<dyn Read + Send>, Problem>;
    /// The keyrings of upstreams that are pinned at this side, each with its path: the files with one of these endings.
    fn keyrings(&self, endings: &[&str]) -> Result<Vec<(PathBuf, Bytes)>, Problem>;
}

/// Checks the artifacts of a bundle together. All of them are shown to it twice, each admitted by itself before.
pub trait Together {
    /// The first time.
    fn first(&mut self, artifact: &Artifact) -> Result<(), Problem>;
    /// The second time.
    fn second(&mut self, artifact: &Artifact) -> Result<(), Problem>;
    /// What was found, for people and the audit log.
    fn verdicts(self: Box<Self>) -> Vec<Verdict>;
}

/// Whether something of a bundle was proved by its upstream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verdict {
    /// What: `debian dists/bookworm`.
    pub subject: String,
    /// Whether all of it was.
    pub is_proved: bool,
    /// How, or why not.
    pub text: String,
}
