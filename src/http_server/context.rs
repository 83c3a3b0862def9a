//! What a handler sees of the store: one ecosystem's view, at one revision.

use bundle_format::{BlobKey, Ref};
use bytes::Bytes;

use super::site::Site;
use crate::ecosystem::ServeContext;
use crate::problem::{Kind, Problem};
use crate::store::{FoundFile, Linked, Revision};

/// The context of one request.
#[derive(Debug)]
pub(super) struct Context<'a> {
    pub(super) site: &'a Site,
    pub(super) ecosystem: &'static str,
    /// The revision when the request was begun with.
    pub(super) revision: Revision,
}

/// How the virtual repository of an ecosystem is written where a name is needed.
pub(super) const ALL: &str = "all";

impl ServeContext for Context<'_> {
    fn artifacts(&self, repository: Option<&str>, name: &str) -> Result<Vec<Linked>, Problem> {
        Ok(self.site.catalogue.artifacts(self.ecosystem, repository, name)?)
    }

    fn refs(&self, repository: Option<&str>, name: &str) -> Result<Vec<Ref>, Problem> {
        Ok(self.site.catalogue.refs(self.ecosystem, repository, name)?)
    }

    fn file_at(&self, repository: Option<&str>, path: &str) -> Result<Option<FoundFile>, Problem> {
        Ok(self.site.catalogue.file_at(self.ecosystem, repository, path)?)
    }

    fn read(&self, key: &BlobKey, limit: u64) -> Result<Bytes, Problem> {
        use std::io::Read as _;
        let blob = self.site.open(key)?;
        if blob.length > limit {
            let message = format!("a document of {} bytes is larger than {limit}", blob.length);
            return Err(Problem::new(Kind::Failed, "http.document-too-large", message));
        }
        let mut bytes = Vec::with_capacity(usize::try_from(blob.length).unwrap_or(0));
        // What does not end where it should is not worth more memory than was asked for.
        let read = blob.file.take(blob.length.saturating_add(1)).read_to_end(&mut bytes);
        match read {
            Ok(count) if count as u64 == blob.length => Ok(Bytes::from(bytes)),
            Ok(_) => Err(Problem::new(Kind::Failed, "store.short-blob", "a blob has not its size")),
            Err(error) => {
                Err(Problem::new(Kind::Failed, "store.io", "a blob could not be read").caused_by(&error))
            }
        }
    }

    fn derived(
        &self,
        key: &str,
        make: &mut dyn FnMut() -> Result<Option<Bytes>, Problem>,
    ) -> Result<Option<Bytes>, Problem> {
        self.site.documents.get(self.revision, self.ecosystem, key, make)
    }

    fn missed(&self, repository: Option<&str>, name: &str, version: &str) {
        self.site.misses.note(self.ecosystem, repository.unwrap_or(ALL), name, version);
    }
}
