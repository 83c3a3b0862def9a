//! A collecting context for tests: files and documents from tables, nothing of this machine.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io::{Cursor, Read, Seek as _, Write as _};
use std::path::{Path, PathBuf};
use std::sync::Mutex;

use async_trait::async_trait;
use bundle_format::{BlobKey, Digest};
use bytes::Bytes;

use crate::ecosystem::testing::FakeMachine;
use crate::ecosystem::{Metadata, MetadataRequest, Planned, ReadSeek};
use crate::net::Access;
use crate::problem::{Kind, Problem};
use crate::settings::Settings;

/// The registry that [`Fake::with_registry`] has.
pub(crate) const REGISTRY: &str = "https://registry.example.test/";

#[derive(Default)]
pub(crate) struct Fake {
    pub(crate) pristine_registry: Option<String>,
    /// What node says that it is.
    pub(crate) node: Option<String>,
    pub(crate) variables: BTreeMap<String, String>,
    /// What the project says to npm.
    pub(crate) settings: Vec<Settings>,
    /// What its lock has.
    pub(crate) locked: Vec<Planned>,
    /// What can be downloaded.
    pub(crate) downloads: BTreeMap<String, Vec<u8>>,
    files: BTreeMap<PathBuf, Bytes>,
    documents: BTreeMap<String, Bytes>,
    /// What was kept.
    pub(crate) kept: Mutex<BTreeMap<BlobKey, Bytes>>,
    /// The questions that were put.
    pub(crate) questions: Mutex<Vec<String>>,
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

    /// Puts a file there that is no text.
    pub(crate) fn bytes(&mut self, path: &str, bytes: Vec<u8>) {
        self.files.insert(PathBuf::from(path), Bytes::from(bytes));
    }

    /// Answers an address.
    pub(crate) fn document(&mut self, url: &str, text: &str) {
        self.documents.insert(url.to_owned(), Bytes::copy_from_slice(text.as_bytes()));
    }
}

#[async_trait]
impl FakeMachine for Fake {
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

    async fn answer(&self, request: &MetadataRequest, question: Bytes) -> Result<Option<Bytes>, Problem> {
        let url = request.access.url.to_string();
        self.questions.lock().unwrap().push(String::from_utf8(question.to_vec()).unwrap());
        Ok(self.documents.get(&url).cloned())
    }

    async fn keep(&self, bytes: Bytes) -> Result<BlobKey, Problem> {
        let key = BlobKey::of(&bytes);
        self.kept.lock().unwrap().insert(key, bytes);
        Ok(key)
    }

    async fn download(&self, access: &Access) -> Result<File, Problem> {
        let url = access.url.to_string();
        self.asked.lock().unwrap().push(url.clone());
        let missing = || Problem::new(Kind::Incomplete, "net.not-found", "there is nothing");
        let bytes = self.downloads.get(&url).ok_or_else(missing)?;
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(bytes).unwrap();
        file.rewind().unwrap();
        Ok(file)
    }

    async fn take_in(
        &self,
        _: &str,
        mut from: Box<dyn Read + Send>,
        _: Option<Digest>,
    ) -> Result<(BlobKey, u64), Problem> {
        let mut bytes = Vec::new();
        from.read_to_end(&mut bytes).unwrap();
        Ok((BlobKey::of(&bytes), bytes.len() as u64))
    }

    async fn read(&self, path: &Path, limit: u64) -> Result<Option<Bytes>, Problem> {
        let found = self.files.get(path).cloned();
        assert!(found.as_ref().is_none_or(|bytes| bytes.len() as u64 <= limit));
        Ok(found)
    }

    async fn open(&self, path: &Path) -> Result<Option<Box<dyn ReadSeek>>, Problem> {
        let found = self.files.get(path).cloned();
        Ok(found.map(|bytes| Box::new(Cursor::new(bytes)) as Box<dyn ReadSeek>))
    }

    fn settings(&self, _: &str) -> Vec<Settings> {
        self.settings.clone()
    }

    fn locked(&self) -> Vec<Planned> {
        self.locked.clone()
    }

    async fn list(&self, directory: &Path) -> Result<Vec<PathBuf>, Problem> {
        let below = self.files.keys().filter_map(|path| path.strip_prefix(directory).ok());
        let names: BTreeSet<_> = below.filter_map(|path| path.components().next()).collect();
        Ok(names.into_iter().map(|name| directory.join(name)).collect())
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

    async fn ask_client(&self, program: &str, arguments: &[&str], pristine: bool) -> Option<String> {
        match (program, arguments, pristine) {
            ("npm", ["config", "get", "registry"], true) => self.pristine_registry.clone(),
            ("node", ["--version"], false) => self.node.clone(),
            _ => None,
        }
    }
}
