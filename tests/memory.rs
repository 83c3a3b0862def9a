//! What resolving a large lockfile costs in memory, and what choosing from a large document does, seen from outside: the most
//! that this process had, since the mark was last taken back. So this is a program of one test.
//!
//! The context stands in for the network and the store, so what is measured is the ecosystem's own.

#![expect(clippy::unwrap_used, reason = "a test that cannot be set up fails")]
#![expect(clippy::disallowed_methods, reason = "what a test writes for itself need not be safe from faults")]

use std::io::Write as _;
use std::path::{Path, PathBuf};

use aftk::ecosystem::testing::FakeMachine;
use aftk::ecosystem::{Collect, Gathered, Metadata, MetadataRequest, ReadSeek, registry};
use aftk::problem::Problem;
use async_trait::async_trait;
use bundle_format::BlobKey;
use bytes::Bytes;

const REGISTRY: &str = "https://registry.example.test/";
/// A lockfile of so many packages has some 7 MiB of text.
const COUNT: usize = 20_000;
/// What it may cost: 8 MiB for each of the two lists that are being filled, whatever the count, 450 bytes a package, and what the
/// allocator keeps for itself, which differs by some 5 MiB from run to run.
const LIMIT: usize = 2 * (8 << 20) + COUNT * 450 + (6 << 20);

/// The most that choosing from a document of 20 MiB may cost, itself included.
const LIMIT_OF_DOCUMENT: usize = 32 << 20;
/// So many versions it has.
const VERSIONS: usize = 4_000;

#[tokio::test]
async fn little_memory_is_needed() {
    a_large_document_needs_little_more_than_itself().await;
    a_large_lockfile_needs_little_memory().await;
}

async fn a_large_document_needs_little_more_than_itself() {
    let directory = tempfile::tempdir().unwrap();
    let context = Context { directory: directory.path().to_owned() };
    let npm: &dyn Collect = registry::find("npm").unwrap().collect().unwrap();
    // The program's own pages come into memory as they are used for the first time.
    let small = npm.parse("npm", "small", &context).await.unwrap();
    assert_eq!(npm.resolve(&[small], &[], &context).await.unwrap().artifacts.len(), 1);
    let before = take_mark_back();
    let mut requests = Vec::new();
    for words in ["large@^1", "large@1.0.7", "large@latest"] {
        requests.push(npm.parse("npm", words, &context).await.unwrap());
    }
    let resolution = npm.resolve(&requests, &[], &context).await.unwrap();
    let used = (kibibytes("VmHWM:") << 10) - before;
    assert_eq!(resolution.artifacts.len(), 2);
    assert!(large_document("large", VERSIONS).len() > 20 << 20);
    assert!(used < LIMIT_OF_DOCUMENT, "{} KiB were used", used >> 10);
}

async fn a_large_lockfile_needs_little_memory() {
    let project = tempfile::tempdir().unwrap();
    write_lockfile(project.path());
    let context = Context { directory: project.path().to_owned() };
    let npm = registry::find("npm").unwrap();
    let npm: &dyn Collect = npm.collect().unwrap();

    let before = take_mark_back();
    let request = npm.parse("npm", "package-lock.json", &context).await.unwrap();
    let resolution = npm.resolve(&[request], &[], &context).await.unwrap();
    let (artifacts, refs) = (&resolution.artifacts, &resolution.refs);
    let proof = npm.prove(&Gathered { ecosystem: "npm", artifacts, refs }).unwrap();
    let used = (kibibytes("VmHWM:") << 10) - before;

    assert_eq!((artifacts.len(), refs.len()), (COUNT as u64, COUNT as u64));
    assert!(proof.gaps.is_empty() && proof.notes.is_empty() && resolution.gaps.is_empty());
    assert!(used < LIMIT, "{} KiB were used, {} for each package", used >> 10, used / COUNT);
}

/// Lets the most that this process had be what it has now, which is returned in bytes (proc_pid_clear_refs(5)): else what one
/// measurement needed would count for the next.
fn take_mark_back() -> usize {
    std::fs::write("/proc/self/clear_refs", "5").unwrap();
    kibibytes("VmRSS:") << 10
}

/// A figure of this process, as Linux tells it.
fn kibibytes(name: &str) -> usize {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix(name)).unwrap();
    line.trim().trim_end_matches(" kB").parse().unwrap()
}

fn name_of(number: usize) -> String {
    format!("package-{number:06}")
}

fn integrity(number: usize) -> String {
    // Base64 of 64 bytes, the first of which depend on the number.
    format!("sha512-{number:08}{}==", "A".repeat(78))
}

/// Each package needs two others.
fn dependencies(number: usize) -> String {
    let (one, other) = (name_of((number * 7 + 1) % COUNT), name_of((number * 13 + 5) % COUNT));
    format!(r#"{{"{one}":"^1.0.0","{other}":">=1.0.0 <2"}}"#)
}

fn write_lockfile(directory: &Path) {
    // Written piece by piece, as the text alone would be more than what is measured.
    let file = std::fs::File::create(directory.join("package-lock.json")).unwrap();
    let mut text = std::io::BufWriter::new(file);
    text.write_all(br#"{"lockfileVersion":3,"packages":{"":{}"#).unwrap();
    for number in 0..COUNT {
        let (name, integrity, dependencies) = (name_of(number), integrity(number), dependencies(number));
        write!(
            text,
            r#","node_modules/{name}":{{"version":"1.0.0","resolved":"{REGISTRY}{name}/-/{name}-1.0.0.tgz","integrity":"{integrity}","dependencies":{dependencies}}}"#
        )
        .unwrap();
    }
    text.write_all(b"}}").unwrap();
    text.flush().unwrap();
}

fn packument(name: &str) -> String {
    let number = name.trim_start_matches("package-").parse().unwrap();
    let (integrity, dependencies) = (integrity(number), dependencies(number));
    format!(
        r#"{{"name":"{name}","dist-tags":{{"latest":"1.0.0"}},"versions":{{"1.0.0":{{"name":"{name}","version":"1.0.0","dependencies":{dependencies},"dist":{{"integrity":"{integrity}","tarball":"{REGISTRY}{name}/-/{name}-1.0.0.tgz"}}}}}}}}"#
    )
}

/// The document of a package with many versions, each with much to say.
fn large_document(name: &str, versions: usize) -> String {
    let words = "x".repeat(5_100);
    let mut text = String::with_capacity(versions * 5_400 + 1_000);
    let latest = versions - 1;
    text.push_str(&format!(r#"{{"name":"{name}","dist-tags":{{"latest":"1.0.{latest}"}},"versions":{{"#));
    for number in 0..versions {
        let comma = if number == 0 { "" } else { "," };
        let integrity = integrity(number);
        let object = format!(
            r#"{comma}"1.0.{number}":{{"name":"{name}","version":"1.0.{number}","description":"{words}","dist":{{"integrity":"{integrity}"}}}}"#
        );
        text.push_str(&object);
    }
    text.push_str("}}");
    text
}

struct Context {
    directory: PathBuf,
}

#[async_trait]
impl FakeMachine for Context {
    async fn metadata(&self, request: &MetadataRequest) -> Result<Option<Metadata>, Problem> {
        let bytes = match request.access.url.path().trim_matches('/') {
            "large" => Bytes::from(large_document("large", VERSIONS)),
            "small" => Bytes::from(large_document("small", 1)),
            // It signs nothing.
            own if own.starts_with("-/") => return Ok(None),
            name => Bytes::from(packument(name)),
        };
        let digest = BlobKey::of(&bytes);
        Ok(Some(Metadata { bytes, digest, content_type: "application/json".to_owned() }))
    }

    async fn held(&self, key: &BlobKey, _: u64) -> Result<Bytes, Problem> {
        let bytes = Bytes::from(large_document("large", VERSIONS));
        assert_eq!(BlobKey::of(&bytes), *key);
        Ok(bytes)
    }

    async fn read(&self, path: &Path, limit: u64) -> Result<Option<Bytes>, Problem> {
        Ok(aftk::fsx::read_limited(path, limit).unwrap().map(Bytes::from))
    }

    async fn open(&self, path: &Path) -> Result<Option<Box<dyn ReadSeek>>, Problem> {
        Ok(Some(Box::new(std::fs::File::open(path).unwrap())))
    }

    fn scratch(&self) -> &Path {
        &self.directory
    }

    fn directory(&self) -> &Path {
        &self.directory
    }

    async fn ask_client(&self, _: &str, _: &[&str], _: bool) -> Option<String> {
        Some(REGISTRY.to_owned())
    }
}
