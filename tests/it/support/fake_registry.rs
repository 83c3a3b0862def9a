//! A registry in memory, which takes images and gives them out again; what it does otherwise is for tests to say.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use bundle_format::BlobKey;
use serde_json::{Value, json};

use super::fake_upstream::{FakeUpstream, Reply, Seen};

pub(crate) const OCI_MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
pub(crate) const OCI_INDEX: &str = "application/vnd.oci.image.index.v1+json";

/// A registry.
pub(crate) struct FakeRegistry {
    pub(crate) upstream: FakeUpstream,
    state: Arc<Mutex<State>>,
}

#[derive(Default)]
struct State {
    /// By repository and digest.
    blobs: HashMap<(String, String), Vec<u8>>,
    /// By repository and tag or digest.
    manifests: HashMap<(String, String), (String, Vec<u8>)>,
    sessions: HashMap<String, Vec<u8>>,
}

impl FakeRegistry {
    /// One without quirks.
    pub(crate) fn start() -> FakeRegistry {
        FakeRegistry::odd(|_| None)
    }

    /// One that answers some requests in its own way.
    pub(crate) fn odd(quirk: impl Fn(&Seen) -> Option<Reply> + Send + Sync + 'static) -> FakeRegistry {
        FakeRegistry::with(move |seen, answer| quirk(seen).unwrap_or_else(answer))
    }

    /// One that does what others do, and answers in its own words.
    pub(crate) fn saying(words: impl Fn(&Seen, Reply) -> Reply + Send + Sync + 'static) -> FakeRegistry {
        FakeRegistry::with(move |seen, answer| words(seen, answer()))
    }

    fn with(
        quirk: impl Fn(&Seen, &mut dyn FnMut() -> Reply) -> Reply + Send + Sync + 'static,
    ) -> FakeRegistry {
        let upstream = FakeUpstream::start();
        let state: Arc<Mutex<State>> = Arc::default();
        let own = state.clone();
        upstream.route("*", Reply::answer(move |seen| quirk(seen, &mut || own.lock().unwrap().answer(seen))));
        FakeRegistry { upstream, state }
    }

    /// `127.0.0.1:PORT`.
    pub(crate) fn host(&self) -> String {
        self.upstream.url().replace("http://", "")
    }

    /// Has a blob; its descriptor.
    pub(crate) fn blob(&self, repository: &str, bytes: &[u8]) -> Value {
        let digest = BlobKey::of(bytes).to_string();
        self.state.lock().unwrap().blobs.insert((repository.to_owned(), digest.clone()), bytes.to_vec());
        json!({"mediaType": "application/octet-stream", "digest": digest, "size": bytes.len()})
    }

    /// Has a manifest under its digest and a tag; its descriptor.
    pub(crate) fn manifest(&self, repository: &str, tag: Option<&str>, document: &Value) -> Value {
        let bytes = document.to_string().into_bytes();
        let (media_type, size) = (document["mediaType"].as_str().unwrap().to_owned(), bytes.len());
        let digest = BlobKey::of(&bytes).to_string();
        let mut state = self.state.lock().unwrap();
        for name in [Some(digest.as_str()), tag].into_iter().flatten() {
            state
                .manifests
                .insert((repository.to_owned(), name.to_owned()), (media_type.clone(), bytes.clone()));
        }
        json!({"mediaType": media_type, "digest": digest, "size": size})
    }

    /// Has an image of one layer under a tag; its descriptor.
    pub(crate) fn image(&self, repository: &str, tag: &str, layer: &[u8]) -> Value {
        let config = self.blob(repository, format!("{{\"of\":{}}}", layer.len()).as_bytes());
        let layer = self.blob(repository, layer);
        let image =
            json!({"schemaVersion": 2, "mediaType": OCI_MANIFEST, "config": config, "layers": [layer]});
        self.manifest(repository, Some(tag), &image)
    }

    /// The bytes that stand under a tag or digest.
    pub(crate) fn shown(&self, repository: &str, name: &str) -> Option<Vec<u8>> {
        let key = (repository.to_owned(), name.to_owned());
        self.state.lock().unwrap().manifests.get(&key).map(|(_, bytes)| bytes.clone())
    }

    /// How many requests of a method there were to paths that contain something.
    pub(crate) fn count(&self, method: &str, part: &str) -> usize {
        let requests = self.upstream.requests();
        requests.iter().filter(|seen| seen.method == method && seen.path.contains(part)).count()
    }
}

impl State {
    fn answer(&mut self, seen: &Seen) -> Reply {
        let (path, query) = seen.path.split_once('?').unwrap_or((&seen.path, ""));
        let Some(path) = path.strip_prefix("/v2/") else { return Reply::status(404) };
        if path.is_empty() {
            return Reply::ok("{}");
        }
        if let Some((repository, name)) = path.split_once("/manifests/") {
            return self.manifest(seen, repository, name);
        }
        if let Some((repository, session)) = path.split_once("/blobs/uploads/") {
            return self.upload(seen, repository, session, query);
        }
        if let Some((repository, digest)) = path.split_once("/blobs/") {
            let blob = self.blobs.get(&(repository.to_owned(), digest.to_owned()));
            return blob.map_or_else(|| Reply::status(404), |blob| Reply::ok(blob.clone()));
        }
        match path.strip_suffix("/tags/list") {
            Some(repository) => {
                let own = self.manifests.keys().filter(|(of, name)| of == repository && !name.contains(':'));
                let tags: Vec<_> = own.map(|(_, tag)| tag).collect();
                Reply::json(&json!({"name": repository, "tags": tags}))
            }
            None => Reply::status(404),
        }
    }

    fn manifest(&mut self, seen: &Seen, repository: &str, name: &str) -> Reply {
        let digest = BlobKey::of(&seen.body).to_string();
        if seen.method != "PUT" {
            let Some((media_type, bytes)) = self.manifests.get(&(repository.to_owned(), name.to_owned()))
            else {
                return Reply::status(404);
            };
            let reply = Reply::ok(bytes.clone()).header("Content-Type", media_type);
            return reply.header("Docker-Content-Digest", BlobKey::of(bytes).to_string());
        }
        // As real ones do, it takes nothing whose parts are not there.
        let document: Value = serde_json::from_slice(&seen.body).unwrap();
        let empty = Vec::new();
        let list = |name: &str| document[name].as_array().unwrap_or(&empty).clone();
        let key = |part: &Value| (repository.to_owned(), part["digest"].as_str().unwrap().to_owned());
        let mut blobs = list("layers").into_iter().chain(document.get("config").cloned());
        let is_whole = blobs.all(|part| self.blobs.contains_key(&key(&part)))
            && list("manifests").iter().all(|part| self.manifests.contains_key(&key(part)));
        if !is_whole {
            let error =
                json!({"errors": [{"code": "MANIFEST_BLOB_UNKNOWN", "message": "blob unknown to registry"}]});
            return Reply::json(&error).with_status(400);
        }
        let media_type = seen.header("content-type").unwrap().to_owned();
        for name in [name, digest.as_str()] {
            self.manifests
                .insert((repository.to_owned(), name.to_owned()), (media_type.clone(), seen.body.clone()));
        }
        Reply::status(201).header("Docker-Content-Digest", digest)
    }

    fn upload(&mut self, seen: &Seen, repository: &str, session: &str, query: &str) -> Reply {
        let parameter = |name: &str| {
            let mut pairs = url::form_urlencoded::parse(query.as_bytes());
            pairs.find(|(known, _)| known == name).map(|(_, value)| value.into_owned())
        };
        let location = |session: &str| format!("/v2/{repository}/blobs/uploads/{session}?state=a%2Fb");
        match seen.method.as_str() {
            "POST" => {
                if let (Some(digest), Some(from)) = (parameter("mount"), parameter("from"))
                    && let Some(blob) = self.blobs.get(&(from, digest.clone())).cloned()
                {
                    self.blobs.insert((repository.to_owned(), digest), blob);
                    return Reply::status(201);
                }
                let session = format!("s{}", self.sessions.len());
                self.sessions.insert(session.clone(), Vec::new());
                Reply::status(202).header("Location", location(&session))
            }
            _ if parameter("state").as_deref() != Some("a/b") => Reply::status(400),
            method => {
                let Some(bytes) = self.sessions.get_mut(session) else { return Reply::status(404) };
                if method == "PATCH" {
                    let begins =
                        seen.header("content-range").unwrap().split('-').next().unwrap().parse::<usize>();
                    if begins != Ok(bytes.len()) {
                        return Reply::status(416);
                    }
                }
                bytes.extend_from_slice(&seen.body);
                let range = format!("0-{}", bytes.len().saturating_sub(1));
                if method != "PUT" {
                    let status = if method == "GET" { 204 } else { 202 };
                    return Reply::status(status)
                        .header("Location", location(session))
                        .header("Range", range);
                }
                let (digest, bytes) = (parameter("digest").unwrap(), std::mem::take(bytes));
                if BlobKey::of(&bytes).to_string() != digest {
                    let error = json!({"errors": [{"code": "DIGEST_INVALID", "message": "it is not"}]});
                    return Reply::json(&error).with_status(400);
                }
                self.blobs.insert((repository.to_owned(), digest), bytes);
                Reply::status(201)
            }
        }
    }
}
