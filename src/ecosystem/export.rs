//! The seam of exporting: what was selected, as files that other programs read without a registry.

use std::collections::BTreeMap;

use bundle_format::BlobKey;
use bytes::Bytes;
use serde::Serialize;

use super::Note;
use crate::problem::Problem;
use crate::store::{Linked, LinkedRef};

/// Exporting: from artifacts of the store to files in a form that its clients know.
pub trait Export: Send + Sync {
    /// The forms, by the names that the command line takes.
    fn kinds(&self) -> &'static [ExportKind];
    /// What an export consists of. Nothing is written: whoever calls streams the blobs that are named. `platforms` is
    /// empty where nobody said any.
    ///
    /// # Errors
    /// If nothing of what was chosen can stand in this form, or the store lacks a document that says what belongs to it.
    fn export(
        &self,
        kind: &str,
        chosen: &[Chosen],
        platforms: &[String],
        context: &dyn ExportContext,
    ) -> Result<Exported, Problem>;
}

/// A form of export.
#[derive(Debug, Clone, Copy)]
pub struct ExportKind {
    /// Its name: `docker-archive`.
    pub name: &'static str,
    /// Who reads it, for the help.
    pub about: &'static str,
    /// Whether it is a directory; else it is a tar archive.
    pub is_directory: bool,
}

/// An artifact that was selected; lists of them are sorted, each once.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Chosen {
    /// As in [`bundle_format::Artifact`].
    pub repository: String,
    /// As in [`bundle_format::Artifact`].
    pub name: String,
    /// As in [`bundle_format::Artifact`].
    pub version: String,
    /// The labels of the refs that lead to it, as far as they were selected; sorted.
    pub labels: Vec<String>,
}

/// What an exporting ecosystem sees of the store.
pub trait ExportContext: Send + Sync {
    /// The artifacts of one package, in the order of precedence ([`crate::store::Catalogue`]).
    fn artifacts(&self, repository: &str, name: &str) -> Result<Vec<Linked>, Problem>;
    /// The refs of one package, in the order of precedence; several sources may have set the same one.
    fn refs(&self, repository: &str, name: &str) -> Result<Vec<LinkedRef>, Problem>;
    /// A small blob's bytes, at most `limit`, which are what its key says.
    fn read(&self, key: &BlobKey, limit: u64) -> Result<Bytes, Problem>;
}

/// What an export consists of.
#[derive(Debug, Clone, Default)]
pub struct Exported {
    /// Its files by their paths, which are relative, without `.` and `..`, and of at most 100 bytes.
    pub files: BTreeMap<String, ExportedFile>,
    /// What its readers find in it.
    pub items: Vec<ExportedItem>,
    /// What a person should know, such as what was left out.
    pub notes: Vec<Note>,
}

/// What a file of an export consists of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ExportedFile {
    /// Made for this export.
    Document(Bytes),
    /// A blob of the store.
    Blob {
        /// Its key.
        key: BlobKey,
        /// Its size in bytes.
        size: u64,
    },
}

impl ExportedFile {
    /// How many bytes it has.
    pub fn size(&self) -> u64 {
        match self {
            ExportedFile::Document(bytes) => bytes.len() as u64,
            ExportedFile::Blob { size, .. } => *size,
        }
    }
}

/// Something that readers of an export find in it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct ExportedItem {
    /// The name that it is found by.
    pub name: String,
    /// The digest of what the name stands for.
    pub digest: String,
}
