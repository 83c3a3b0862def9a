//! The seam for installing: what an ecosystem's own client does, on the machine that collects, to show that what is carried
//! is enough. Where it does that, and that it reaches nothing but the bundle, is the caller's to see to.

use async_trait::async_trait;
use bundle_format::BlobKey;
use bytes::Bytes;

use super::{CollectContext, Note, Request};
use crate::problem::Problem;

/// Installing what was collected.
#[async_trait]
pub trait Install: Send + Sync {
    /// What installs requests of this ecosystem from a server that holds what was collected for them.
    ///
    /// # Errors
    /// If what was asked for cannot be read any more.
    async fn attempts(
        &self,
        requests: &[Request],
        platforms: &[String],
        server: &str,
        context: &dyn CollectContext,
    ) -> Result<Attempts, Problem>;
}

/// What is tried, and what is not.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Attempts {
    /// Each in a directory and with a home of its own.
    pub attempts: Vec<Attempt>,
    /// What cannot be tried on this machine, and why.
    pub notes: Vec<Note>,
}

/// What programs of this machine are to do, cut off from everything: an installation, a build.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Attempt {
    /// What is installed or built, for people: `requirements.txt for cp312-manylinux_2_28_x86_64`.
    pub what: String,
    /// The files that it begins with, by their paths in the directory.
    pub files: Vec<(String, Bytes)>,
    /// The same of what the store holds.
    pub blobs: Vec<(String, BlobKey)>,
    /// Variables besides PATH and HOME.
    pub variables: Vec<(String, String)>,
    /// Programs with their arguments, one after the other, in the directory.
    pub steps: Vec<Vec<String>>,
}

/// A file that an attempt left, which is held now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Made {
    /// Its name.
    pub name: String,
    /// Its blob.
    pub key: BlobKey,
    /// Its size in bytes.
    pub size: u64,
}
