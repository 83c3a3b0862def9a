//! For tests: a machine that has nothing. Each test says what its own has, and nothing else.

use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use async_trait::async_trait;
use bundle_format::{BlobKey, Digest};
use bytes::Bytes;
use url::Url;

use super::{
    Attempt, CollectContext, HelperAnswer, Made, Metadata, MetadataRequest, Page, Planned, ReadSeek,
};
use crate::events::{Events, Silent};
use crate::net::Access;
use crate::problem::{Kind, Problem};
use crate::settings::Settings;

fn none(what: &str) -> Problem {
    Problem::new(Kind::Failed, "fake.none", format!("there is no {what} here"))
}

/// What a test collects with. Its methods are those of [`CollectContext`], which it is thereby.
#[async_trait]
pub trait FakeMachine: Send + Sync {
    /// The upstreams have no document.
    async fn metadata(&self, _request: &MetadataRequest) -> Result<Option<Metadata>, Problem> {
        Ok(None)
    }
    /// They take no question.
    async fn answer(&self, _request: &MetadataRequest, _question: Bytes) -> Result<Option<Bytes>, Problem> {
        Ok(None)
    }
    /// They have no list.
    async fn page(&self, _request: &MetadataRequest) -> Result<Option<Page>, Problem> {
        Ok(None)
    }
    /// Documents are not kept, but have their keys.
    async fn keep(&self, bytes: Bytes) -> Result<BlobKey, Problem> {
        Ok(BlobKey::of(&bytes))
    }
    /// Nothing is held.
    async fn hold(&self, _key: &BlobKey, _size: u64) -> Result<bool, Problem> {
        Ok(false)
    }
    /// So it cannot be read.
    async fn held(&self, _key: &BlobKey, _limit: u64) -> Result<Bytes, Problem> {
        Err(none("store"))
    }
    /// The upstreams have no large document.
    async fn obtain(
        &self,
        _access: &Access,
        _digest: &Digest,
        _size: u64,
    ) -> Result<Option<BlobKey>, Problem> {
        Ok(None)
    }
    /// No file is taken in.
    async fn ingest(&self, _path: &Path) -> Result<(BlobKey, u64), Problem> {
        Err(none("store"))
    }
    /// Nor what is read.
    async fn take_in(
        &self,
        _name: &str,
        _from: Box<dyn Read + Send>,
        _digest: Option<Digest>,
    ) -> Result<(BlobKey, u64), Problem> {
        Err(none("store"))
    }
    /// There is no file.
    async fn read(&self, _path: &Path, _limit: u64) -> Result<Option<Bytes>, Problem> {
        Ok(None)
    }
    /// There is no large file either.
    async fn open(&self, _path: &Path) -> Result<Option<Box<dyn ReadSeek>>, Problem> {
        Ok(None)
    }
    /// No directory has a file.
    async fn list(&self, _directory: &Path) -> Result<Vec<PathBuf>, Problem> {
        Ok(Vec::new())
    }
    /// Memory.
    fn scratch(&self) -> &Path {
        Path::new("/dev/shm")
    }
    /// No variable is set.
    fn environment(&self, _name: &str) -> Option<String> {
        None
    }
    /// None with a prefix either.
    fn environment_with(&self, _prefix: &str) -> Vec<(String, String)> {
        Vec::new()
    }
    /// The user has no home.
    fn home_directory(&self) -> Option<PathBuf> {
        None
    }
    /// A place that is not there.
    fn directory(&self) -> &Path {
        Path::new("/project")
    }
    /// Nothing can be had whole.
    async fn download(&self, _access: &Access) -> Result<File, Problem> {
        Err(none("download"))
    }
    /// The project says nothing to anybody alone.
    fn settings(&self, _ecosystem: &str) -> Vec<Settings> {
        Vec::new()
    }
    /// No client is installed.
    async fn ask_client(&self, _program: &str, _arguments: &[&str], _pristine: bool) -> Option<String> {
        None
    }
    /// Nor is a helper.
    async fn ask_helper(
        &self,
        _program: &str,
        _arguments: &[&str],
        _input: &str,
    ) -> Result<HelperAnswer, Problem> {
        Err(none("helper"))
    }
    /// No program makes anything.
    async fn make(&self, _attempt: &Attempt, _folder: &str) -> Result<Result<Vec<Made>, String>, Problem> {
        Err(none("program"))
    }
    /// There is no lock.
    fn locked(&self) -> Vec<Planned> {
        Vec::new()
    }
}

#[async_trait]
impl<T: FakeMachine> CollectContext for T {
    async fn metadata(&self, request: &MetadataRequest) -> Result<Option<Metadata>, Problem> {
        FakeMachine::metadata(self, request).await
    }
    async fn answer(&self, request: &MetadataRequest, question: Bytes) -> Result<Option<Bytes>, Problem> {
        FakeMachine::answer(self, request, question).await
    }
    async fn page(&self, request: &MetadataRequest) -> Result<Option<Page>, Problem> {
        FakeMachine::page(self, request).await
    }
    async fn speaks_plain_http(&self, _: &Url) -> bool {
        false
    }
    async fn keep(&self, bytes: Bytes) -> Result<BlobKey, Problem> {
        FakeMachine::keep(self, bytes).await
    }
    async fn take_in(
        &self,
        name: &str,
        from: Box<dyn Read + Send>,
        digest: Option<Digest>,
    ) -> Result<(BlobKey, u64), Problem> {
        FakeMachine::take_in(self, name, from, digest).await
    }
    async fn download(&self, access: &Access) -> Result<File, Problem> {
        FakeMachine::download(self, access).await
    }
    fn settings(&self, ecosystem: &str) -> Vec<Settings> {
        FakeMachine::settings(self, ecosystem)
    }
    async fn hold(&self, key: &BlobKey, size: u64) -> Result<bool, Problem> {
        FakeMachine::hold(self, key, size).await
    }
    async fn held(&self, key: &BlobKey, limit: u64) -> Result<Bytes, Problem> {
        FakeMachine::held(self, key, limit).await
    }
    async fn obtain(&self, access: &Access, digest: &Digest, size: u64) -> Result<Option<BlobKey>, Problem> {
        FakeMachine::obtain(self, access, digest, size).await
    }
    async fn ingest(&self, path: &Path) -> Result<(BlobKey, u64), Problem> {
        FakeMachine::ingest(self, path).await
    }
    async fn read(&self, path: &Path, limit: u64) -> Result<Option<Bytes>, Problem> {
        let found = FakeMachine::read(self, path, limit).await?;
        assert!(found.as_ref().is_none_or(|bytes| bytes.len() as u64 <= limit));
        Ok(found)
    }
    async fn open(&self, path: &Path) -> Result<Option<Box<dyn ReadSeek>>, Problem> {
        FakeMachine::open(self, path).await
    }
    async fn list(&self, directory: &Path) -> Result<Vec<PathBuf>, Problem> {
        FakeMachine::list(self, directory).await
    }
    fn scratch(&self) -> &Path {
        FakeMachine::scratch(self)
    }
    fn environment(&self, name: &str) -> Option<String> {
        FakeMachine::environment(self, name)
    }
    fn environment_with(&self, prefix: &str) -> Vec<(String, String)> {
        FakeMachine::environment_with(self, prefix)
    }
    fn home_directory(&self) -> Option<PathBuf> {
        FakeMachine::home_directory(self)
    }
    fn directory(&self) -> &Path {
        FakeMachine::directory(self)
    }
    async fn ask_client(&self, program: &str, arguments: &[&str], pristine: bool) -> Option<String> {
        FakeMachine::ask_client(self, program, arguments, pristine).await
    }
    async fn ask_helper(
        &self,
        program: &str,
        arguments: &[&str],
        input: &str,
    ) -> Result<HelperAnswer, Problem> {
        FakeMachine::ask_helper(self, program, arguments, input).await
    }
    async fn make(&self, attempt: &Attempt, folder: &str) -> Result<Result<Vec<Made>, String>, Problem> {
        FakeMachine::make(self, attempt, folder).await
    }
    fn events(&self) -> &dyn Events {
        &Silent
    }
    async fn locked(&self, _: &str) -> Result<Vec<Planned>, Problem> {
        Ok(FakeMachine::locked(self))
    }
}
