//! A machine for tests whose files, documents and blobs come from tables.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Mutex;

use async_trait::async_trait;
use bundle_format::{BlobKey, Digest};
use bytes::Bytes;

use crate::ecosystem::testing::FakeMachine;
use crate::ecosystem::{Metadata, MetadataRequest, Planned};
use crate::net::Access;
use crate::problem::{Kind, Problem};
use crate::settings::Settings;

#[derive(Default)]
pub(super) struct Fake {
    /// What `apt-config dump` prints; none: there is no apt.
    pub(super) apt_config: Option<String>,
    /// What the project says.
    pub(super) settings: Vec<Settings>,
    /// Whether its archive answers 403 where it has nothing.
    pub(super) forbids_what_is_not_there: bool,
    /// The user's variables.
    pub(super) environment: BTreeMap<String, String>,
    /// What the lock had.
    pub(super) locked: Vec<Planned>,
    pub(super) files: BTreeMap<PathBuf, Bytes>,
    pub(super) documents: BTreeMap<String, Bytes>,
    /// What the store holds.
    pub(super) held: Mutex<BTreeMap<BlobKey, Bytes>>,
    /// What was asked for.
    pub(super) asked: Mutex<Vec<String>>,
}

pub(super) fn wait<T>(work: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(work)
}

impl Fake {
    /// Puts a file there.
    pub(super) fn file(&mut self, path: &str, bytes: impl AsRef<[u8]>) {
        self.files.insert(PathBuf::from(path), Bytes::copy_from_slice(bytes.as_ref()));
    }

    /// Answers an address.
    pub(super) fn document(&mut self, url: &str, bytes: impl AsRef<[u8]>) {
        self.documents.insert(url.to_owned(), Bytes::copy_from_slice(bytes.as_ref()));
    }

    /// Forgets an address.
    pub(super) fn without(&mut self, url: &str) {
        self.documents.remove(url);
    }

    fn must_not_be_forbidden(&self, access: &Access) -> Result<(), Problem> {
        let url = access.url.as_str();
        if self.forbids_what_is_not_there && !self.documents.contains_key(url) {
            return Err(Problem::new(Kind::Refused, "net.forbidden", "the server answered 403"));
        }
        Ok(())
    }

    fn ask(&self, access: &Access) -> Option<Bytes> {
        let url = access.url.to_string();
        let found = self.documents.get(&url).cloned();
        self.asked.lock().unwrap().push(url);
        found
    }
}

#[async_trait]
impl FakeMachine for Fake {
    async fn metadata(&self, request: &MetadataRequest) -> Result<Option<Metadata>, Problem> {
        self.must_not_be_forbidden(&request.access)?;
        let Some(bytes) = self.ask(&request.access) else { return Ok(None) };
        let digest = FakeMachine::keep(self, bytes.clone()).await?;
        Ok(Some(Metadata { bytes, digest, content_type: String::new() }))
    }

    async fn keep(&self, bytes: Bytes) -> Result<BlobKey, Problem> {
        let key = BlobKey::of(&bytes);
        self.held.lock().unwrap().insert(key, bytes);
        Ok(key)
    }

    async fn hold(&self, key: &BlobKey, _: u64) -> Result<bool, Problem> {
        Ok(self.held.lock().unwrap().contains_key(key))
    }

    async fn held(&self, key: &BlobKey, _: u64) -> Result<Bytes, Problem> {
        let found = self.held.lock().unwrap().get(key).cloned();
        found.ok_or_else(|| Problem::new(Kind::Failed, "fake.not-held", "it is not held"))
    }

    async fn obtain(&self, access: &Access, digest: &Digest, size: u64) -> Result<Option<BlobKey>, Problem> {
        let key = digest.blob_key().expect("the little archive has SHA256");
        if FakeMachine::hold(self, &key, size).await? {
            return Ok(Some(key));
        }
        self.must_not_be_forbidden(access)?;
        let Some(bytes) = self.ask(access) else { return Ok(None) };
        if BlobKey::of(&bytes) != key || bytes.len() as u64 != size {
            return Err(Problem::new(Kind::Untrusted, "collect.upstream-mismatch", "other bytes came"));
        }
        FakeMachine::keep(self, bytes).await.map(Some)
    }

    async fn read(&self, path: &Path, _: u64) -> Result<Option<Bytes>, Problem> {
        Ok(self.files.get(path).cloned())
    }

    async fn list(&self, directory: &Path) -> Result<Vec<PathBuf>, Problem> {
        Ok(self.files.keys().filter(|path| path.parent() == Some(directory)).cloned().collect())
    }

    fn environment(&self, name: &str) -> Option<String> {
        self.environment.get(name).cloned()
    }

    fn home_directory(&self) -> Option<PathBuf> {
        Some(PathBuf::from("/home/user"))
    }

    async fn ask_client(&self, program: &str, arguments: &[&str], _: bool) -> Option<String> {
        assert_eq!((program, arguments), ("apt-config", &["dump"][..]));
        self.apt_config.clone()
    }

    fn settings(&self, _ecosystem: &str) -> Vec<Settings> {
        self.settings.clone()
    }

    fn locked(&self) -> Vec<Planned> {
        self.locked.clone()
    }
}

/// Where [`Fake::with_archive`] has its archive.
pub(super) const ARCHIVE: &str = "http://mirror.example.test/debian/";

impl Fake {
    /// A machine whose apt uses the archive of `fixtures/apt/archive`, of which nothing is held.
    pub(super) fn with_archive() -> Fake {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/apt/archive");
        let dump = "APT::Architecture \"amd64\";\nDir::Etc \"etc/apt\";\nDir::Etc::sourceparts \"sources.list.d\";\n";
        let mut fake = Fake { apt_config: Some(dump.to_owned()), ..Fake::default() };
        let mut folders = vec![root.clone()];
        while let Some(folder) = folders.pop() {
            for entry in std::fs::read_dir(folder).unwrap() {
                let path = entry.unwrap().path();
                if path.is_dir() {
                    folders.push(path);
                    continue;
                }
                let name = path.strip_prefix(&root).unwrap().to_str().unwrap().replace('+', "%2B");
                fake.document(&format!("{ARCHIVE}{name}"), std::fs::read(path).unwrap());
            }
        }
        let stable = format!(
            "Types: deb deb-src\nURIs: {ARCHIVE}\nSuites: stable\nComponents: main\nSigned-By: /etc/apt/keyring.asc\n"
        );
        fake.file("/etc/apt/sources.list.d/stable.sources", stable);
        fake.file("/etc/apt/keyring.asc", std::fs::read(root.join("keyring.asc")).unwrap());
        fake
    }

    /// What its apt is configured to use, and the ways there.
    pub(super) fn sources(
        &self,
    ) -> (Vec<super::source::Source>, super::machine::Machine, super::credentials::Ways) {
        let machine = wait(super::machine::Machine::ask(self));
        let sources = wait(machine.sources(self)).unwrap();
        let ways = wait(super::credentials::Ways::load(&machine, &sources, self)).unwrap();
        (sources, machine, ways)
    }

    /// What was asked for below its archive.
    pub(super) fn asked_below(&self) -> Vec<String> {
        let asked = self.asked.lock().unwrap();
        asked.iter().map(|url| url.strip_prefix(ARCHIVE).unwrap_or(url).to_owned()).collect()
    }

    /// What an address is answered with.
    pub(super) fn answer(&self, path: &str) -> Bytes {
        self.documents[&format!("{ARCHIVE}{path}")].clone()
    }
}
