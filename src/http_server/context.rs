//! What a handler sees of the store: one ecosystem's view, at one revision.

use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

use bundle_format::BlobKey;
use bytes::Bytes;

use super::site::Site;
use crate::access::Hosted;
use crate::ecosystem::template::Template;
use crate::ecosystem::{ALL, Principal, ServeContext};
use crate::problem::{Kind, Problem};
use crate::store::{
    FoundDocument, FoundFile, Linked, LinkedRef, Place, Revision, SessionId, edition_document,
};

/// The context of one request.
#[derive(Debug)]
pub(super) struct Context<'a> {
    pub(super) site: &'a Site,
    /// Who asks.
    pub(super) principal: &'a Principal,
    /// Whether they only look whether something is there.
    pub(super) is_look: bool,
    /// What keeps blobs that were taken in and are not committed yet.
    pub(super) claims: Mutex<Option<SessionId>>,
    pub(super) ecosystem: &'static str,
    /// The schema of the ecosystem that this build knows.
    pub(super) schema: &'static str,
    /// The number of the revision when the request was begun with, or when it last had the catalogue to itself.
    pub(super) revision: AtomicU64,
}

impl Context<'_> {
    fn revision(&self) -> Revision {
        Revision(self.revision.load(Ordering::Relaxed))
    }
}

impl ServeContext for Context<'_> {
    fn artifacts(&self, repository: Option<&str>, name: &str) -> Result<Vec<Linked>, Problem> {
        Ok(self.site.catalogue.artifacts(self.ecosystem, repository, name)?)
    }

    fn names(&self, repository: Option<&str>, after: &str, limit: usize) -> Result<Vec<String>, Problem> {
        Ok(self.site.catalogue.names(self.ecosystem, repository, after, limit)?)
    }

    fn refs(
        &self,
        repository: Option<&str>,
        name: &str,
        label: Option<&str>,
    ) -> Result<Vec<LinkedRef>, Problem> {
        Ok(self.site.catalogue.refs(self.ecosystem, repository, name, label)?)
    }

    fn repositories(&self) -> Result<Vec<String>, Problem> {
        let all = self.site.repositories(self.revision())?;
        let own = all.iter().filter(|one| one.ecosystem == self.ecosystem);
        Ok(own.map(|one| one.name.clone()).collect())
    }

    fn file_at(&self, repository: Option<&str>, path: &str) -> Result<Option<FoundFile>, Problem> {
        Ok(self.site.catalogue.file_at(self.ecosystem, self.schema, repository, path)?)
    }

    fn former_file_at(&self, repository: Option<&str>, path: &str) -> Result<Option<FoundFile>, Problem> {
        Ok(self.site.catalogue.former_file_at(self.ecosystem, self.schema, repository, path)?)
    }

    fn edition(&self, repository: &str, path: &str) -> Result<Option<FoundDocument>, Problem> {
        let (catalogue, blobs) = (&*self.site.catalogue, &*self.site.blobs);
        Ok(edition_document(catalogue, blobs, (self.ecosystem, repository), path)?)
    }

    fn deposit(&self, repository: &str, name: &str, label: &str) -> Result<Option<(BlobKey, u64)>, Problem> {
        let place = Place {
            ecosystem: self.ecosystem.to_owned(),
            repository: repository.to_owned(),
            name: name.to_owned(),
            what: label.to_owned(),
        };
        Ok(self.site.catalogue.deposit(&place)?)
    }

    fn hosted_repositories(&self) -> Vec<&Hosted> {
        self.site.hosted.iter().filter(|hosted| hosted.ecosystem == self.ecosystem).collect()
    }

    fn read(&self, key: &BlobKey, limit: u64) -> Result<Bytes, Problem> {
        let blob = self.site.open(key)?;
        if blob.length > limit {
            let message = format!("a document of {} bytes is larger than {limit}", blob.length);
            return Err(Problem::new(Kind::Failed, "http.document-too-large", message));
        }
        Site::read(key, &blob)
    }

    fn derived(
        &self,
        key: &str,
        filling: &str,
        make: &mut dyn FnMut() -> Result<Option<Template>, Problem>,
    ) -> Result<Option<Bytes>, Problem> {
        self.site.documents.get(self.revision(), (self.ecosystem, key), filling, make)
    }

    fn warn_once(&self, code: &'static str, message: &str) {
        self.site.warnings.say_once(code, message);
    }

    fn missed(&self, repository: Option<&str>, name: &str, version: &str) {
        let what = [repository.unwrap_or(ALL), name, version];
        self.site.misses.note(self.ecosystem, what, self.is_look);
    }
}
