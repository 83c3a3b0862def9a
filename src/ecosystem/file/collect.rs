//! `file:PATH` and `file:URL#sha256=…`.

use std::collections::BTreeMap;
use std::path::Path;

use async_trait::async_trait;
use bundle_format::{BlobKey, Digest, Repository};
use url::Url;

use super::{LOCAL, ROLE, SCHEMA, path};
use crate::ecosystem::{
    Collect, CollectContext, Gathered, Planned, PlannedFile, Proof, Request, RequestBody, Resolution,
    Upstreams,
};
use crate::net::Access;
use crate::problem::{Kind, Problem};
use crate::spill::Sorter;

/// Collects files.
pub(super) struct FileCollect;

#[async_trait]
impl Collect for FileCollect {
    fn check(&self, _word: &str, what: &str) -> Result<(), Problem> {
        if is_address(what) {
            return Asked::read(what).map(drop);
        }
        if what.contains("://") {
            return Err(usage("file.address", format!("{what:?} is neither http nor https"))
                .hint("download it yourself and give the file's path"));
        }
        Ok(())
    }

    async fn parse(&self, word: &str, what: &str, context: &dyn CollectContext) -> Result<Request, Problem> {
        self.check(word, what)?;
        if is_address(what) {
            let asked = Asked::read(what)?;
            let identity = format!("file:{asked}");
            return Ok(request(what, identity, RequestBody::Words(asked.to_string())));
        }
        local(what, context).await
    }

    async fn resolve(
        &self,
        requests: &[Request],
        _platforms: &[String],
        context: &dyn CollectContext,
    ) -> Result<Resolution, Problem> {
        let mut planned: BTreeMap<(String, String), Planned> = BTreeMap::new();
        for request in requests {
            let artifact = plan(request)?;
            let key = (artifact.repository.clone(), artifact.name.clone());
            match planned.get_mut(&key) {
                Some(held) if !is_same_content(held, &artifact) => return Err(conflict(&artifact)),
                Some(held) => held.is_asked_for_by(artifact.requests),
                None => drop(planned.insert(key, artifact)),
            }
        }
        let mut repositories: Vec<Repository> = Vec::new();
        for (repository, _) in planned.keys() {
            if repositories.last().is_none_or(|last| last.name != *repository) {
                // One host may be reached by http and https: the files say which, the repository doesn't.
                let (ecosystem, name) = ("file".to_owned(), repository.clone());
                repositories.push(Repository { ecosystem, name, origin: String::new() });
            }
        }
        let mut artifacts = Sorter::new(context.scratch());
        artifacts.extend(planned.into_values())?;
        Ok(Resolution { repositories, artifacts: artifacts.finish()?, ..Resolution::default() })
    }

    async fn upstreams(
        &self,
        _requests: &[Request],
        _context: &dyn CollectContext,
    ) -> Result<Box<dyn Upstreams>, Problem> {
        Ok(Box::new(Addresses))
    }

    fn is_asked_by_checksum(&self) -> bool {
        true
    }

    /// A file needs nothing but itself.
    fn prove(&self, _gathered: &Gathered<'_>) -> Result<Proof, Problem> {
        Ok(Proof::default())
    }
}

/// Files are recorded with their addresses.
struct Addresses;

#[async_trait]
impl Upstreams for Addresses {
    async fn access(
        &self,
        repository: &str,
        origin: &str,
        _context: &dyn CollectContext,
    ) -> Result<Access, Problem> {
        if repository == LOCAL {
            return Err(usage(
                "file.local-gone",
                "a local file's path is not recorded, so it cannot be fetched",
            )
            .hint("collect again with `file:PATH` on the machine that has it"));
        }
        let url = Url::parse(origin).map_err(|error| not_an_address(origin).caused_by(&error))?;
        path::check_url(&url).map_err(|why| not_an_address(origin).because(format!("it {why}")))?;
        if path::repository_of(&url).as_deref() != Ok(repository) {
            return Err(not_an_address(origin).because(format!("it does not belong to {repository}")));
        }
        Ok(Access::open(url))
    }
}

fn is_address(what: &str) -> bool {
    what.starts_with("http://") || what.starts_with("https://")
}

/// An address with the checksum that makes it one certain file.
struct Asked {
    url: Url,
    key: BlobKey,
}

impl Asked {
    fn read(what: &str) -> Result<Asked, Problem> {
        let mut url = Url::parse(what).map_err(|error| not_an_address(what).caused_by(&error))?;
        path::check_url(&url).map_err(|why| {
            // The address is not repeated: it may hold the secret that is the trouble.
            usage("file.address", format!("the address {why}"))
                .hint("download it yourself and give the file's path")
        })?;
        let named = path::repository_of(&url).and_then(|_| path::name_of(&url));
        named.map_err(|why| {
            usage("file.address", format!("the address {why}"))
                .at(without_secrets(what))
                .hint("download it yourself and give the file's path")
        })?;
        let wrong = |why: &str| {
            usage("file.checksum", why)
                .at(without_secrets(what))
                .hint("write it as file:URL#sha256=…, with the 64 hex digits that the publisher names")
        };
        let checksum = url.fragment().and_then(|fragment| fragment.strip_prefix("sha256="));
        let hex = checksum.ok_or_else(|| wrong("an address needs the file's sha256 checksum"))?;
        let key = BlobKey::from_hex(&hex.to_ascii_lowercase())
            .map_err(|_| wrong("the checksum is malformed: a sha256 has 64 digits of 0-9 and a-f"))?;
        url.set_fragment(None);
        Ok(Asked { url, key })
    }
}

impl std::fmt::Display for Asked {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}#sha256={}", self.url, self.key.hex())
    }
}

/// Takes a file of this machine into the store; of its path only the base name stays.
async fn local(what: &str, context: &dyn CollectContext) -> Result<Request, Problem> {
    let place = context.directory().join(what);
    if place.is_dir() {
        return Err(usage("file.directory", "a directory is not a file").at(what).hint(
            "name its files one by one (file:DIR/A file:DIR/B), or pack them into one: tar -cf DIR.tar DIR",
        ));
    }
    if !place.exists() {
        return Err(usage("file.not-found", "there is no such file").at(what));
    }
    let name = Path::new(what).file_name().and_then(|name| name.to_str());
    let Some(name) = name else {
        return Err(usage("file.name", "the file's name is not UTF-8").at(what).hint("rename it"));
    };
    path::check(name)
        .map_err(|why| usage("file.name", format!("the file's name {why}")).at(what).hint("rename it"))?;
    let (key, size) = context.ingest(&place).await?;
    let identity = format!("file:{LOCAL}/{name}#sha256={}", key.hex());
    Ok(request(what, identity, RequestBody::Blob { name: name.to_owned(), key, size }))
}

fn request(what: &str, identity: String, body: RequestBody) -> Request {
    Request { ecosystem: "file", text: format!("file:{what}"), identity, body }
}

/// What a request will become.
fn plan(request: &Request) -> Result<Planned, Problem> {
    let artifact = |repository: String, name: String, file: PlannedFile| Planned {
        ecosystem: "file".to_owned(),
        repository,
        version: String::new(),
        qualifier: String::new(),
        schema: SCHEMA.to_owned(),
        attributes: BTreeMap::new(),
        files: vec![PlannedFile { path: name.clone(), ..file }],
        requires: Vec::new(),
        requests: vec![request.text.clone()],
        name,
    };
    let file = PlannedFile {
        role: ROLE.to_owned(),
        path: String::new(),
        media_type: String::new(),
        origin: String::new(),
        checksums: Vec::new(),
        blob: None,
        size: None,
        estimate: None,
        held: false,
    };
    match &request.body {
        RequestBody::Blob { name, key, size } => {
            let file = PlannedFile { blob: Some(*key), size: Some(*size), ..file };
            Ok(artifact(LOCAL.to_owned(), name.clone(), file))
        }
        RequestBody::Words(words) => {
            let asked = Asked::read(words)?;
            let wrong = |why| usage("file.address", format!("the address {why}"));
            let repository = path::repository_of(&asked.url).map_err(wrong)?;
            let name = path::name_of(&asked.url).map_err(wrong)?;
            let (origin, checksums) = (asked.url.to_string(), vec![Digest::from(asked.key)]);
            Ok(artifact(repository, name, PlannedFile { origin, checksums, ..file }))
        }
        RequestBody::Document { .. } => {
            Err(usage("file.document", "files are collected as they are, not read").at(&request.text))
        }
    }
}

fn is_same_content(one: &Planned, other: &Planned) -> bool {
    let content = |planned: &Planned| -> Vec<_> {
        planned.files.iter().map(|file| (file.blob, file.checksums.clone())).collect()
    };
    content(one) == content(other)
}

fn conflict(artifact: &Planned) -> Problem {
    let what = format!(
        "two files with different content would both be files/{}/{}",
        artifact.repository, artifact.name
    );
    Problem::new(Kind::Refused, "file.conflict", what)
        .hint("rename one of them, or collect them into two channels")
}

fn usage(code: &'static str, message: impl Into<String>) -> Problem {
    Problem::new(Kind::Usage, code, message)
}

fn not_an_address(text: &str) -> Problem {
    usage("file.address", "this is no address of a file").at(without_secrets(text))
}

/// An address for a message, without anything that may be a secret in it. It may be one that cannot be read, where
/// nobody knows what the text before an `@` is.
fn without_secrets(text: &str) -> String {
    let text = text.split(['?', '#']).next().unwrap_or_default();
    let shown = match text.split_once("://") {
        Some((scheme, rest)) if rest.contains('@') => format!("{scheme}://…"),
        _ => text.chars().take(256).collect(),
    };
    shown.escape_debug().to_string()
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;
    use std::sync::Mutex;

    use bytes::Bytes;

    use super::*;
    use crate::ecosystem::{HelperAnswer, Metadata, MetadataRequest};
    use crate::events::{Events, Silent};

    /// A machine with one directory.
    struct Machine {
        directory: tempfile::TempDir,
        ingested: Mutex<Vec<PathBuf>>,
    }

    impl Machine {
        fn new(files: &[(&str, &str)]) -> Machine {
            let directory = tempfile::tempdir().unwrap();
            for (name, content) in files {
                use std::io::Write as _;
                #[allow(clippy::disallowed_methods, reason = "a test prepares its machine")]
                let mut file = {
                    let place = directory.path().join(name);
                    std::fs::create_dir_all(place.parent().unwrap()).unwrap();
                    std::fs::File::create(place).unwrap()
                };
                file.write_all(content.as_bytes()).unwrap();
            }
            Machine { directory, ingested: Mutex::default() }
        }

        fn parse(&self, what: &str) -> Result<Request, Problem> {
            wait(FileCollect.parse("file", what, self))
        }

        fn resolve(&self, all: &[&str]) -> Result<Resolution, Problem> {
            let requests: Vec<_> = all.iter().map(|what| self.parse(what).unwrap()).collect();
            wait(FileCollect.resolve(&requests, &[], self))
        }
    }

    #[async_trait]
    impl CollectContext for Machine {
        async fn metadata(&self, _: &MetadataRequest) -> Result<Option<Metadata>, Problem> {
            unreachable!("files have no metadata")
        }
        async fn page(&self, _: &MetadataRequest) -> Result<Option<crate::ecosystem::Page>, Problem> {
            Ok(None)
        }

        async fn speaks_plain_http(&self, _: &url::Url) -> bool {
            false
        }

        async fn keep(&self, _: Bytes) -> Result<BlobKey, Problem> {
            unreachable!("files have no documents")
        }
        async fn take_in(
            &self,
            _: &str,
            _: Box<dyn std::io::Read + Send>,
            _: Option<BlobKey>,
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

        async fn ingest(&self, path: &Path) -> Result<(BlobKey, u64), Problem> {
            self.ingested.lock().unwrap().push(path.to_owned());
            let bytes = std::fs::read(path).unwrap();
            Ok((BlobKey::of(&bytes), bytes.len() as u64))
        }
        async fn read(&self, _: &Path, _: u64) -> Result<Option<Bytes>, Problem> {
            Ok(None)
        }
        async fn open(&self, _: &Path) -> Result<Option<Box<dyn std::io::Read + Send>>, Problem> {
            Ok(None)
        }
        fn scratch(&self) -> &Path {
            self.directory.path()
        }
        fn environment(&self, _: &str) -> Option<String> {
            None
        }
        fn environment_with(&self, _: &str) -> Vec<(String, String)> {
            Vec::new()
        }
        fn home_directory(&self) -> Option<PathBuf> {
            None
        }
        fn directory(&self) -> &Path {
            self.directory.path()
        }
        async fn ask_client(&self, _: &str, _: &[&str], _: bool) -> Option<String> {
            None
        }
        async fn ask_helper(&self, _: &str, _: &[&str], _: &str) -> Result<HelperAnswer, Problem> {
            unreachable!("nothing here has helpers")
        }
        fn events(&self) -> &dyn Events {
            &Silent
        }
    }

    fn wait<T>(work: impl Future<Output = T>) -> T {
        tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(work)
    }

    fn listed(resolution: &Resolution) -> Vec<Planned> {
        resolution.artifacts.iter().map(Result::unwrap).collect()
    }

    fn hex() -> String {
        "0f".repeat(32)
    }

    #[test]
    fn a_local_file_keeps_nothing_but_its_name() {
        let machine = Machine::new(&[("deep/tool.bin", "content")]);
        let request = machine.parse("./deep/tool.bin").unwrap();
        let key = BlobKey::of(b"content");
        assert_eq!(request.identity, format!("file:local/tool.bin#sha256={}", key.hex()));
        let resolution = machine.resolve(&["./deep/tool.bin"]).unwrap();
        let [artifact] = &listed(&resolution)[..] else { panic!("one artifact") };
        assert_eq!((artifact.repository.as_str(), artifact.name.as_str()), ("local", "tool.bin"));
        let [file] = &artifact.files[..] else { panic!("one file") };
        assert_eq!((file.blob, file.size, file.path.as_str()), (Some(key), Some(7), "tool.bin"));
        // The lock says what was asked for, as aftk.toml does; nothing else does.
        let carried = Planned { requests: Vec::new(), ..artifact.clone() };
        assert!(!serde_json::to_string(&carried).unwrap().contains("deep"));
        assert_eq!(resolution.repositories[0].origin, "");
    }

    #[test]
    fn an_address_is_one_certain_file() {
        let machine = Machine::new(&[]);
        let what = format!("https://files.example.test:5000/a/b%20c.tgz#sha256={}", hex().to_uppercase());
        let resolution = machine.resolve(&[&what, &what]).unwrap();
        let [artifact] = &listed(&resolution)[..] else { panic!("one artifact") };
        assert_eq!(artifact.repository, "files.example.test_5000");
        assert_eq!((artifact.name.as_str(), artifact.files[0].path.as_str()), ("a/b c.tgz", "a/b c.tgz"));
        assert_eq!(artifact.files[0].origin, "https://files.example.test:5000/a/b%20c.tgz");
        assert_eq!(artifact.files[0].checksums, [format!("sha256:{}", hex()).parse().unwrap()]);
        let access =
            wait(Addresses.access(&artifact.repository, &artifact.files[0].origin, &machine)).unwrap();
        assert_eq!(access.url.as_str(), artifact.files[0].origin);
        assert!(access.credential.is_none());
        assert!(wait(Addresses.access("other.example.test", &artifact.files[0].origin, &machine)).is_err());
        assert!(wait(Addresses.access("local", "", &machine)).is_err());
    }

    #[test]
    fn what_cannot_be_one_file_is_refused_with_a_hint() {
        let machine = Machine::new(&[("directory/a", "")]);
        let address = |rest: &str| format!("https://{rest}#sha256={}", hex());
        for (what, code) in [
            ("directory".to_owned(), "file.directory"),
            ("absent".to_owned(), "file.not-found"),
            ("".to_owned(), "file.directory"),
            ("https://files.example.test/a".to_owned(), "file.checksum"),
            ("https://files.example.test/a#sha256=00".to_owned(), "file.checksum"),
            (format!("https://files.example.test/a#sha512={}", hex()), "file.checksum"),
            (address("files.example.test/"), "file.address"),
            (address("files.example.test/a%2fb"), "file.address"),
            (address("me:hunter2@files.example.test/a"), "file.address"),
            (address("me:hun/ter2@files.example.test/a"), "file.address"),
            (address("files.example.test/a?token=hunter2"), "file.address"),
            (address("local/a"), "file.address"),
            ("ftp://files.example.test/a".to_owned(), "file.address"),
        ] {
            let problem = machine.parse(&what).unwrap_err();
            assert_eq!((problem.kind, &*problem.code), (Kind::Usage, code), "{what}");
            let malformed = what.contains("#sha256=00");
            assert_eq!(problem.message.contains("malformed"), malformed, "{}", problem.message);
            let told = format!("{problem:?}");
            assert!(!told.contains("ter2"), "{told}");
        }
        assert!(machine.ingested.lock().unwrap().is_empty());
    }

    #[test]
    fn two_files_of_one_name_conflict() {
        let machine = Machine::new(&[("a/x", "1"), ("b/x", "2"), ("c/x", "1")]);
        let problem = machine.resolve(&["a/x", "b/x"]).unwrap_err();
        assert_eq!(problem.kind, Kind::Refused);
        assert_eq!(machine.resolve(&["a/x", "c/x"]).unwrap().artifacts.len(), 1);
    }
}
