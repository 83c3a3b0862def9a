//! A store in memory for the tests of serving, and the server's matching of paths in a few lines.

use std::collections::BTreeMap;
use std::sync::Mutex;

use bundle_format::{Algorithm, Artifact, BlobKey, Digest, File, Ref};
use bytes::Bytes;
use percent_encoding::percent_decode_str;
use sha1::Digest as _;

use super::SCHEMA;
use super::names;
use super::serve::NpmServe;
use crate::ecosystem::template::Template;
use crate::ecosystem::{Answer, ClientRequest, Principal, Serve, ServeContext};
use crate::problem::{Kind, Problem};
use crate::store::{FoundFile, Generation, Linked, LinkedRef, Source};

/// Where the fake mirror stands.
pub(super) const BASE: &str = "http://mirror.example.test/npm/all/";

/// The channel of what no other one is said of.
const DEFAULT: &str = "default";

/// What is held.
#[derive(Default)]
pub(super) struct FakeStore {
    pub(super) linked: Vec<Linked>,
    pub(super) refs: Vec<LinkedRef>,
    pub(super) blobs: BTreeMap<BlobKey, Bytes>,
    pub(super) misses: Mutex<Vec<(String, String)>>,
    /// The codes of what whoever runs the site was told.
    pub(super) warned: Mutex<Vec<&'static str>>,
}

/// The sha1 of some bytes.
pub(super) fn sha1(bytes: &[u8]) -> Digest {
    Digest::new(Algorithm::Sha1, &sha1::Sha1::digest(bytes)).unwrap()
}

/// The sha512 of some bytes.
pub(super) fn sha512(bytes: &[u8]) -> Digest {
    Digest::new(Algorithm::Sha512, &sha2::Sha512::digest(bytes)).unwrap()
}

/// An artifact as the outside makes one, its version object and its tarball.
pub(super) fn artifact(name: &str, version: &str) -> (Artifact, Bytes, Bytes) {
    use base64::Engine as _;
    let tarball = Bytes::from(format!("the tarball of {name} {version}"));
    let integrity = base64::engine::general_purpose::STANDARD.encode(sha512(&tarball).as_bytes());
    let object = Bytes::from(format!(
        "{{ \"name\":\"{name}\",\"version\":\"{version}\",\"dist\":{{\"tarball\":\"https://registry.example.test/x\", \
         \"integrity\":\"sha512-{integrity}\", \"shasum\": \"{}\"}} ,\"description\":\"About {name}\"}}",
        sha1(&tarball).hex()
    ));
    let file = |role: &str, path: String, bytes: &Bytes, checksums| File {
        role: role.to_owned(),
        path,
        blob: BlobKey::of(bytes),
        size: bytes.len() as u64,
        media_type: String::new(),
        checksums,
        origin: String::new(),
    };
    let path = names::tarball_path(name, version);
    let artifact = Artifact {
        ecosystem: "npm".to_owned(),
        repository: "npm".to_owned(),
        name: name.to_owned(),
        version: version.to_owned(),
        qualifier: String::new(),
        schema: SCHEMA.to_owned(),
        attributes: BTreeMap::new(),
        files: vec![
            file("manifest", String::new(), &object, Vec::new()),
            file("tarball", path, &tarball, vec![sha512(&tarball)]),
        ],
        requires: Vec::new(),
    };
    (artifact, object, tarball)
}

impl FakeStore {
    /// Holds an artifact after `change`. What is held first has precedence.
    pub(super) fn hold(&mut self, name: &str, version: &str, change: impl FnOnce(&mut Artifact)) {
        self.hold_from(DEFAULT, name, version, change);
    }

    /// The same, brought by that channel.
    pub(super) fn hold_from(
        &mut self,
        channel: &str,
        name: &str,
        version: &str,
        change: impl FnOnce(&mut Artifact),
    ) {
        let (mut artifact, object, tarball) = artifact(name, version);
        change(&mut artifact);
        for bytes in [object, tarball] {
            self.blobs.insert(BlobKey::of(&bytes), bytes);
        }
        let generation = Generation(self.linked.len() as u64);
        self.linked.push(Linked { artifact, source: Source::Channel(channel.to_owned()), generation });
    }

    /// Holds a ref.
    pub(super) fn tag(&mut self, name: &str, label: &str, version: &str) {
        self.tag_from(DEFAULT, name, label, version);
    }

    /// The same, set by that channel.
    pub(super) fn tag_from(&mut self, channel: &str, name: &str, label: &str, version: &str) {
        let reference = Ref {
            ecosystem: "npm".to_owned(),
            repository: "npm".to_owned(),
            name: name.to_owned(),
            label: label.to_owned(),
            version: version.to_owned(),
        };
        self.refs.push(LinkedRef { reference, source: Source::Channel(channel.to_owned()) });
    }

    /// What a client gets for method and path below the virtual repository.
    pub(super) fn ask(&self, method: &str, path: &str) -> Answer {
        self.put(method, path, Bytes::new(), "identity")
    }

    /// The same with a body in a coding.
    pub(super) fn put(&self, method: &str, path: &str, body: Bytes, coding: &'static str) -> Answer {
        self.request(BASE, method, path, body, coding)
    }

    /// What a client gets at an address of another host, that the mirror answers for.
    pub(super) fn ask_as(&self, base: &str, path: &str) -> Answer {
        self.request(base, "GET", path, Bytes::new(), "identity")
    }

    fn request(&self, base: &str, method: &str, path: &str, body: Bytes, coding: &'static str) -> Answer {
        let (path, query) = path.split_once('?').unwrap_or((path, ""));
        let whole = base.split_once("://").and_then(|(_, rest)| rest.split_once('/')).unwrap().1;
        let matched = NpmServe.routes().iter().find_map(|route| {
            let captures = (route.method == method).then(|| captures(route.pattern, path))??;
            Some((route.action, captures))
        });
        let (action, captures) = matched.expect("a route for every path");
        let request = ClientRequest {
            action,
            captures,
            repository: None,
            base: base.to_owned(),
            path: format!("/{whole}{path}"),
            query: query.to_owned(),
            headers: [
                (http::header::USER_AGENT, http::HeaderValue::from_static("npm/11.0.0 node/v20")),
                (http::header::CONTENT_ENCODING, http::HeaderValue::from_static(coding)),
            ]
            .into_iter()
            .collect(),
            body,
            form: Vec::new(),
            principal: Principal::Anonymous,
        };
        NpmServe.handle(&request, self).unwrap()
    }
}

/// Matches a path as [`crate::ecosystem::Route`] says.
fn captures(pattern: &'static str, path: &str) -> Option<Vec<(&'static str, String)>> {
    let mut captures = Vec::new();
    let mut segments = path.split('/').map(|segment| percent_decode_str(segment).decode_utf8().unwrap());
    for part in pattern.split('/') {
        if let Some(name) = part.strip_suffix("...}") {
            captures.push((name.trim_start_matches('{'), segments.collect::<Vec<_>>().join("/")));
            return Some(captures);
        }
        let segment = segments.next()?;
        let Some((literal, name)) = part.strip_suffix('}').and_then(|part| part.split_once('{')) else {
            (segment == part).then_some(())?;
            continue;
        };
        let value = segment.strip_prefix(literal).filter(|value| !value.is_empty())?;
        // `@{scope}` is a scope alone; with its name behind an escaped slash it is a segment that is captured whole.
        (literal.is_empty() || !value.contains('/')).then_some(())?;
        captures.push((name, value.to_owned()));
    }
    segments.next().is_none().then_some(captures)
}

impl ServeContext for FakeStore {
    fn artifacts(&self, repository: Option<&str>, name: &str) -> Result<Vec<Linked>, Problem> {
        let wanted = |linked: &&Linked| {
            linked.artifact.name == name
                && repository.is_none_or(|wanted| linked.artifact.repository == wanted)
        };
        Ok(self.linked.iter().filter(wanted).cloned().collect())
    }

    fn refs(&self, _: Option<&str>, name: &str, _: Option<&str>) -> Result<Vec<LinkedRef>, Problem> {
        Ok(self.refs.iter().filter(|linked| linked.reference.name == name).cloned().collect())
    }

    fn repositories(&self) -> Result<Vec<String>, Problem> {
        Ok(vec!["npm".to_owned()])
    }

    fn names(&self, _: Option<&str>, after: &str, limit: usize) -> Result<Vec<String>, Problem> {
        let names: std::collections::BTreeSet<_> = self
            .linked
            .iter()
            .map(|linked| linked.artifact.name.as_str())
            .filter(|name| *name > after)
            .collect();
        Ok(names.into_iter().take(limit).map(str::to_owned).collect())
    }

    fn file_at(&self, _: Option<&str>, path: &str) -> Result<Option<FoundFile>, Problem> {
        let admitted = self.linked.iter().map(|linked| &linked.artifact).filter(|a| a.schema == SCHEMA);
        Ok(admitted.into_iter().find_map(|artifact| {
            let file = artifact.files.iter().find(|file| file.path == path)?.clone();
            let (repository, name) = (artifact.repository.clone(), artifact.name.clone());
            Some(FoundFile { file, repository, name, version: artifact.version.clone() })
        }))
    }

    fn read(&self, key: &BlobKey, _: u64) -> Result<Bytes, Problem> {
        let missing = || Problem::new(Kind::Incomplete, "store.missing-blob", "a blob is missing");
        self.blobs.get(key).cloned().ok_or_else(missing)
    }

    fn derived(
        &self,
        _: &str,
        filling: &str,
        make: &mut dyn FnMut() -> Result<Option<Template>, Problem>,
    ) -> Result<Option<Bytes>, Problem> {
        Ok(make()?.map(|template| template.fill(filling)))
    }

    fn warn_once(&self, code: &'static str, _: &str) {
        self.warned.lock().unwrap().push(code);
    }

    fn missed(&self, _: Option<&str>, name: &str, version: &str) {
        self.misses.lock().unwrap().push((name.to_owned(), version.to_owned()));
    }
}
