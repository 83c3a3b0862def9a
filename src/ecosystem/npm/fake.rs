//! A collecting context for tests: files and documents from tables, nothing of this machine.

use std::collections::BTreeMap;
use std::io::{Cursor, Read};
use std::path::{Path, PathBuf};
use std::sync::Mutex;

use async_trait::async_trait;
use bundle_format::BlobKey;
use bytes::Bytes;
use url::Url;

use crate::ecosystem::{CollectContext, HelperAnswer, Metadata, MetadataRequest, Page};
use crate::events::{Events, Silent};
use crate::problem::{Kind, Problem};

/// The registry that [`Fake::with_registry`] has.
pub(crate) const REGISTRY: &str = "https://registry.example.test/";

#[derive(Default)]
pub(crate) struct Fake {
    pub(crate) pristine_registry: Option<String>,
    pub(crate) variables: BTreeMap<String, String>,
    files: BTreeMap<PathBuf, Bytes>,
    documents: BTreeMap<String, Bytes>,
    /// What was kept.
    pub(crate) kept: Mutex<BTreeMap<BlobKey, Bytes>>,
    /// What was asked for.
    pub(crate) asked: Mutex<Vec<String>>,
}

impl Fake {
    /// A context whose client has a registry.
    pub(crate) fn with_registry() -> Fake {
        Fake { pristine_registry: Some(REGISTRY.to_owned()), ..Fake::default() }
    }

    /// Puts a file there.
    pub(crate) fn file(&mut self, path: &str, text: &str) {
        self.files.insert(PathBuf::from(path), Bytes::copy_from_slice(text.as_bytes()));
    }

    /// Answers an address.
    pub(crate) fn document(&mut self, url: &str, text: &str) {
        self.documents.insert(url.to_owned(), Bytes::copy_from_slice(text.as_bytes()));
    }
}

#[async_trait]
impl CollectContext for Fake {
    async fn metadata(&self, request: &MetadataRequest) -> Result<Option<Metadata>, Problem> {
        let url = request.access.url.to_string();
        let found = self.documents.get(&url).map(|bytes| Metadata {
            bytes: bytes.clone(),
            digest: BlobKey::of(bytes),
            content_type: "application/json".to_owned(),
        });
        self.asked.lock().unwrap().push(url);
        Ok(found)
    }

    async fn page(&self, _: &MetadataRequest) -> Result<Option<Page>, Problem> {
        Ok(None)
    }

    async fn speaks_plain_http(&self, _: &Url) -> bool {
        false
    }

    async fn keep(&self, bytes: Bytes) -> Result<BlobKey, Problem> {
        let key = BlobKey::of(&bytes);
        self.kept.lock().unwrap().insert(key, bytes);
        Ok(key)
    }

    async fn take_in(
        &self,
        _: &str,
        _: Box<dyn Read + Send>,
        _: Option<bundle_format::Digest>,
    ) -> Result<(BlobKey, u64), Problem> {
        Err(Problem::new(Kind::Failed, "fake.no-store", "nothing is taken in here"))
    }

    async fn download(&self, _: &crate::net::Access) -> Result<std::fs::File, Problem> {
        Err(Problem::new(Kind::Failed, "fake.no-download", "nothing is downloaded here"))
    }

    async fn hold(&self, _: &BlobKey, _: u64) -> Result<bool, Problem> {
        Ok(false)
    }

    async fn held(&self, _: &BlobKey, _: u64) -> Result<Bytes, Problem> {
        Err(Problem::new(Kind::Failed, "fake.no-store", "nothing is held here"))
    }

    async fn ingest(&self, _: &Path) -> Result<(BlobKey, u64), Problem> {
        Err(Problem::new(Kind::Failed, "fake.no-store", "nothing is taken in here"))
    }

    async fn read(&self, path: &Path, limit: u64) -> Result<Option<Bytes>, Problem> {
        let found = self.files.get(path).cloned();
        assert!(found.as_ref().is_none_or(|bytes| bytes.len() as u64 <= limit));
        Ok(found)
    }

    async fn open(&self, path: &Path) -> Result<Option<Box<dyn Read + Send>>, Problem> {
        let found = self.files.get(path).cloned();
        Ok(found.map(|bytes| Box::new(Cursor::new(bytes)) as Box<dyn Read + Send>))
    }

    fn scratch(&self) -> &Path {
        Path::new("/dev/shm")
    }

    fn environment(&self, name: &str) -> Option<String> {
        self.variables.get(name).cloned()
    }

    fn environment_with(&self, prefix: &str) -> Vec<(String, String)> {
        let all = self.variables.iter().filter(|(name, _)| name.starts_with(prefix));
        all.map(|(name, value)| (name.clone(), value.clone())).collect()
    }

    fn home_directory(&self) -> Option<PathBuf> {
        Some(PathBuf::from("/home/user"))
    }

    fn directory(&self) -> &Path {
        Path::new("/project")
    }

    async fn ask_client(&self, program: &str, arguments: &[&str], pristine: bool) -> Option<String> {
        assert_eq!(program, "npm");
        match (arguments, pristine) {
            (["config", "get", "registry"], true) => self.pristine_registry.clone(),
            _ => None,
        }
    }

    async fn ask_helper(&self, _: &str, _: &[&str], _: &str) -> Result<HelperAnswer, Problem> {
        unreachable!("nothing here has helpers")
    }

    fn events(&self) -> &dyn Events {
        &Silent
    }
}
