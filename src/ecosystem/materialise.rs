//! The seam for materialising: documents that are costly or signed are made when the store has changed, not when a client
//! asks.

use std::fs::File;
use std::io::{Read, Write};
use std::path::PathBuf;

use bundle_format::BlobKey;
use bytes::Bytes;
use zeroize::Zeroizing;

use crate::problem::Problem;
use crate::settings::Settings;
use crate::store::{EditionDocument, EditionDocuments, Linked};

/// Makes the documents of an ecosystem's repositories.
pub trait Materialise: Send + Sync {
    /// What the documents depend on besides the store: they are made again when it changes.
    ///
    /// # Errors
    /// If it cannot be read.
    fn stamp(&self, context: &dyn MaterialiseContext) -> Result<String, Problem>;
    /// Makes one more key that signs; those that are there sign as well, so that clients can be given it before they need it.
    ///
    /// # Errors
    /// If it cannot be made or kept.
    fn new_key(&self, context: &dyn MaterialiseContext) -> Result<(), Problem>;
    /// The documents of these repositories, in the same order. Those of the edition before may be used again.
    ///
    /// # Errors
    /// If they cannot be made; then clients find those of the edition before.
    fn materialise(
        &self,
        repositories: &[String],
        context: &dyn MaterialiseContext,
    ) -> Result<Vec<EditionDocuments>, Problem>;
}

/// What a materialising ecosystem sees of the store.
pub trait MaterialiseContext: Send + Sync {
    /// Calls back for each of the ecosystem's artifacts that clients may see, in the order of their names and repositories.
    fn each(&self, each: &mut dyn FnMut(Linked) -> Result<(), Problem>) -> Result<(), Problem>;
    /// A small blob's bytes, at most `limit`.
    fn read(&self, key: &BlobKey, limit: u64) -> Result<Bytes, Problem>;
    /// A blob, to be read from its beginning.
    fn open(&self, key: &BlobKey) -> Result<Box<dyn Read + Send>, Problem>;
    /// What the site says to this ecosystem alone.
    fn settings(&self) -> Result<Vec<Settings>, Problem>;
    /// The keyrings of those whom the site believes, as [`super::AdmitContext::keyrings`] has them.
    fn keyrings(&self, endings: &[&str]) -> Result<Vec<(PathBuf, Bytes)>, Problem>;
    /// Says what cannot be as the site wants it, and what is done instead.
    fn warn(&self, code: &str, text: &str);
    /// A document of the edition before, which begins at the file's start.
    fn before(&self, repository: &str, path: &str) -> Result<Option<(EditionDocument, File)>, Problem>;
    /// Begins a document.
    fn begin(&self) -> Result<Box<dyn DocumentWrite + '_>, Problem>;
    /// The private keys that the site has for this ecosystem, by their names, each of at most 64 KiB.
    fn keys(&self) -> Result<Vec<(String, Zeroizing<String>)>, Problem>;
    /// Keeps a private key under a name, for the owner's eyes alone; it is said, and noted in the audit log, that there is
    /// one now with this fingerprint.
    fn add_key(&self, name: &str, text: &str, fingerprint: &str) -> Result<(), Problem>;
}

/// A document that is being written.
pub trait DocumentWrite: Write + Send {
    /// Ends it; its blob and its size in bytes. It is held once the edition is published.
    fn finish(self: Box<Self>) -> Result<(BlobKey, u64), Problem>;
}
