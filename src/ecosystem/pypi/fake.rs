//! An index that does not exist, for tests, and the machine that asks it.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{Read, Seek as _, Write as _};
use std::path::{Path, PathBuf};
use std::sync::Mutex;

use async_trait::async_trait;
use bundle_format::BlobKey;
use bytes::Bytes;
use serde_json::{Value, json};

use super::collect::PypiCollect;
use super::sdist::tests::tarred;
use crate::ecosystem::testing::FakeMachine;
use crate::ecosystem::{
    Attempt, Collect as _, Gathered, Made, Metadata, MetadataRequest, Planned, Proof, Resolution,
};
use crate::net::Access;
use crate::problem::{Kind, Problem};
use crate::settings::Settings;

/// The index of a client that nobody configured.
pub(super) const INDEX: &str = "https://index.example.test/simple/";
/// A target, as the tests' settings have it.
pub(super) const TARGET: &str = "cp312-manylinux_2_28_x86_64";

/// A machine with an index.
pub(super) struct Fake {
    /// Files of this machine.
    pub(super) local: BTreeMap<PathBuf, String>,
    pub(super) variables: BTreeMap<String, String>,
    pub(super) settings: Vec<Value>,
    /// What indexes list, by the index and the project.
    pages: BTreeMap<(String, String), Vec<Value>>,
    /// What there is at addresses besides.
    documents: BTreeMap<String, Bytes>,
    pub(super) asked: Mutex<Vec<String>>,
    /// The series of CPython that are installed, on x86_64 with glibc.
    pub(super) pythons: Vec<&'static str>,
    /// What building a source distribution leaves.
    pub(super) leaves: BTreeMap<String, Vec<(String, Vec<u8>)>>,
    /// What was built.
    pub(super) attempts: Mutex<Vec<Attempt>>,
    held: Mutex<BTreeMap<BlobKey, Bytes>>,
    /// What the lock has.
    pub(super) locked: Vec<Planned>,
}

impl Default for Fake {
    fn default() -> Fake {
        let installers = ["pip", "setuptools", "wheel"].map(|name| format!("{name} 99"));
        let fake = Fake {
            local: BTreeMap::new(),
            variables: BTreeMap::new(),
            settings: vec![json!({ "targets": [TARGET] })],
            pages: BTreeMap::new(),
            documents: BTreeMap::new(),
            asked: Mutex::default(),
            pythons: Vec::new(),
            leaves: BTreeMap::new(),
            attempts: Mutex::default(),
            held: Mutex::default(),
            locked: Vec::new(),
        };
        installers.iter().fold(fake, |fake, release| fake.has(release, &[]))
    }
}

fn described(release: &str, requires: &[&str]) -> Bytes {
    let (project, version) = release.split_once(' ').unwrap();
    let mut text = format!("Metadata-Version: 2.1\nName: {project}\nVersion: {version}\n");
    requires.iter().for_each(|line| text.push_str(&format!("Requires-Dist: {line}\n")));
    text.into()
}

impl Fake {
    /// A pure wheel of the public index.
    pub(super) fn has(self, release: &str, requires: &[&str]) -> Fake {
        let (project, version) = release.split_once(' ').unwrap();
        let file = format!("{}-{version}-py3-none-any.whl", project.replace('-', "_"));
        self.lists(INDEX, release, &file, requires, json!({}))
    }

    /// A wheel of an index, with more of what it says of it.
    pub(super) fn lists(
        mut self,
        index: &str,
        release: &str,
        file: &str,
        requires: &[&str],
        more: Value,
    ) -> Fake {
        let url = format!("https://files.example.test/{file}");
        self.documents.insert(format!("{url}.metadata"), described(release, requires));
        self.documents.insert(url, Bytes::from(file.to_owned()));
        self.line(index, release, file, more)
    }

    /// A source distribution, with what else is in it.
    pub(super) fn source(mut self, release: &str, requires: &[&str], pyproject: Option<&str>) -> Fake {
        let file = format!("{}.tar.gz", release.replace(' ', "-"));
        let folder = release.replace(' ', "-");
        let info = String::from_utf8(described(release, requires).to_vec()).unwrap();
        let info = info.replace("Metadata-Version: 2.1", "Metadata-Version: 2.2");
        let mut files = vec![(format!("{folder}/PKG-INFO"), info)];
        files.extend(pyproject.map(|text| (format!("{folder}/pyproject.toml"), text.to_owned())));
        let files: Vec<_> = files.iter().map(|(path, text)| (path.as_str(), text.as_bytes())).collect();
        self.documents.insert(format!("https://files.example.test/{file}"), tarred(&files).into());
        self.line(INDEX, release, &file, json!({}))
    }

    /// A line of an index.
    fn line(mut self, index: &str, release: &str, file: &str, more: Value) -> Fake {
        let (project, _) = release.split_once(' ').unwrap();
        let url = format!("https://files.example.test/{file}");
        let mut line = json!({ "filename": file, "url": url, "hashes": { "sha256": BlobKey::of(file.as_bytes()).hex() } });
        line.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        let page = self.pages.entry((index.to_owned(), project.replace(['.', '_'], "-").to_lowercase()));
        page.or_default().push(line);
        self
    }

    /// A document at an address.
    pub(super) fn at(mut self, url: &str, bytes: impl Into<Bytes>) -> Fake {
        self.documents.insert(url.to_owned(), bytes.into());
        self
    }

    /// Remembers what is in the store.
    fn holds(&self, bytes: Bytes) -> BlobKey {
        let key = BlobKey::of(&bytes);
        self.held.lock().unwrap().insert(key, bytes);
        key
    }

    /// A file of this machine.
    pub(super) fn file(mut self, path: &str, text: &str) -> Fake {
        self.local.insert(PathBuf::from(path), text.to_owned());
        self
    }

    /// What the project says.
    pub(super) fn says(mut self, table: Value) -> Fake {
        self.settings.push(table);
        self
    }

    pub(super) async fn resolve(&self, requests: &[&str]) -> Result<Resolution, Problem> {
        let mut parsed = Vec::new();
        for text in requests {
            let mut request = PypiCollect.parse("pypi", text, self).await?;
            request.text = format!("pypi:{text}");
            parsed.push(request);
        }
        PypiCollect.resolve(&parsed, &[], self).await
    }

    /// What is carried, but for pip, setuptools and wheel, as `name version: files`; and it proves itself.
    pub(super) async fn carries(&self, requests: &[&str]) -> Vec<String> {
        let resolution = self.resolve(requests).await.unwrap();
        assert_eq!(resolution.gaps, []);
        assert_eq!(proof(&resolution).gaps, []);
        lines(&resolution)
    }
}

/// What is carried, a line each.
pub(super) fn lines(resolution: &Resolution) -> Vec<String> {
    let mut lines = Vec::new();
    for artifact in artifacts(resolution) {
        let is_of_installer = ["pip", "setuptools", "wheel"].contains(&artifact.name.as_str());
        let files =
            artifact.files.iter().filter(|file| file.role != "metadata").map(|file| file.path.as_str());
        if !is_of_installer {
            lines.push(format!(
                "{} {}: {}",
                artifact.name,
                artifact.version,
                files.collect::<Vec<_>>().join(" ")
            ));
        }
    }
    lines
}

pub(super) fn artifacts(resolution: &Resolution) -> Vec<Planned> {
    resolution.artifacts.iter().map(|artifact| artifact.unwrap()).collect()
}

pub(super) fn proof(resolution: &Resolution) -> Proof {
    let gathered = Gathered { ecosystem: "pypi", artifacts: &resolution.artifacts, refs: &resolution.refs };
    PypiCollect.prove(&gathered).unwrap()
}

#[async_trait]
impl FakeMachine for Fake {
    async fn metadata(&self, request: &MetadataRequest) -> Result<Option<Metadata>, Problem> {
        let url = request.access.url.to_string();
        self.asked.lock().unwrap().push(url.clone());
        let found = |bytes: Bytes, content_type: &str| {
            let (digest, content_type) = (BlobKey::of(&bytes), content_type.to_owned());
            Ok(Some(Metadata { bytes, digest, content_type }))
        };
        if let Some(bytes) = self.documents.get(&url) {
            return found(bytes.clone(), if url.ends_with('/') { "text/html" } else { "" });
        }
        let page = self.pages.iter().find(|((index, project), _)| url == format!("{index}{project}/"));
        let Some((_, files)) = page else { return Ok(None) };
        let page = json!({ "meta": { "api-version": "1.1" }, "name": "x", "files": files });
        found(page.to_string().into(), "application/vnd.pypi.simple.v1+json")
    }

    async fn download(&self, access: &Access) -> Result<File, Problem> {
        let bytes = self.documents.get(access.url.as_str());
        let bytes = bytes.ok_or_else(|| Problem::new(Kind::Unavailable, "net.not-found", "there is none"))?;
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(bytes).unwrap();
        file.rewind().unwrap();
        Ok(file)
    }

    async fn take_in(
        &self,
        _: &str,
        mut from: Box<dyn Read + Send>,
        _: Option<bundle_format::Digest>,
    ) -> Result<(BlobKey, u64), Problem> {
        let mut bytes = Vec::new();
        from.read_to_end(&mut bytes).unwrap();
        let size = bytes.len() as u64;
        Ok((self.holds(bytes.into()), size))
    }

    async fn keep(&self, bytes: Bytes) -> Result<BlobKey, Problem> {
        Ok(self.holds(bytes))
    }

    async fn hold(&self, key: &BlobKey, _size: u64) -> Result<bool, Problem> {
        Ok(self.held.lock().unwrap().contains_key(key))
    }

    async fn held(&self, key: &BlobKey, _limit: u64) -> Result<Bytes, Problem> {
        Ok(self.held.lock().unwrap()[key].clone())
    }

    async fn make(&self, attempt: &Attempt, folder: &str) -> Result<Result<Vec<Made>, String>, Problem> {
        assert_eq!(folder, "wheels");
        self.attempts.lock().unwrap().push(attempt.clone());
        let sdist = attempt.steps[0].last().unwrap().strip_prefix("links/").unwrap();
        let Some(left) = self.leaves.get(sdist) else { return Ok(Err("error: no compiler".to_owned())) };
        let made = left.iter().map(|(name, bytes)| Made {
            name: name.clone(),
            key: self.holds(bytes.clone().into()),
            size: bytes.len() as u64,
        });
        Ok(Ok(made.collect()))
    }

    fn locked(&self) -> Vec<Planned> {
        self.locked.clone()
    }

    async fn read(&self, path: &Path, _limit: u64) -> Result<Option<Bytes>, Problem> {
        Ok(self.local.get(path).map(|text| Bytes::from(text.clone())))
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

    fn settings(&self, ecosystem: &str) -> Vec<Settings> {
        let settings = |(number, values): (usize, &Value)| Settings {
            ecosystem: ecosystem.to_owned(),
            place: format!("aftk.toml:{}", number + 1),
            values: values.as_object().unwrap().clone(),
        };
        self.settings.iter().enumerate().map(settings).collect()
    }

    async fn ask_client(&self, program: &str, arguments: &[&str], pristine: bool) -> Option<String> {
        if let Some(series) = program.strip_prefix("python").filter(|series| self.pythons.contains(series)) {
            let host = "linux\nx86_64\nx86_64-pc-linux-gnu";
            return Some(format!("/usr/bin/{program}\ncpython\n{series}\nFalse\n{host}\n{series}.4\n"));
        }
        let is_help = program == "pip" && arguments == ["download", "--help"] && pristine;
        is_help.then(|| format!("-i, --index-url <url> Base URL (default {})", INDEX.trim_end_matches('/')))
    }
}
