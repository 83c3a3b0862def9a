//! A registry for tests: manifests, tags and referrers from tables, nothing of this machine.

use std::collections::BTreeMap;
use std::sync::Mutex;

use async_trait::async_trait;
use bundle_format::BlobKey;
use bytes::Bytes;
use serde_json::{Value, json};
use url::Url;

use crate::ecosystem::testing::FakeMachine;
use crate::ecosystem::{Metadata, MetadataRequest, Page};
use crate::problem::{Kind, Problem};

/// The registry.
pub(crate) const HOST: &str = "registry.example.test";

/// What it answers, by the path below `/v2/`.
#[derive(Default)]
pub(crate) struct Fake {
    documents: BTreeMap<String, (Bytes, String)>,
    denied: Vec<String>,
    /// What was asked for.
    pub(crate) asked: Mutex<Vec<String>>,
}

impl Fake {
    /// Answers a path with a document.
    pub(crate) fn document(&mut self, path: &str, document: &Value, media_type: &str) {
        self.documents.insert(path.to_owned(), (document.to_string().into(), media_type.to_owned()));
    }

    /// Answers a path with 403.
    pub(crate) fn deny(&mut self, path: &str) {
        self.denied.push(path.to_owned());
    }

    /// Has a manifest in the repository `app` under its digest, which is returned.
    pub(crate) fn manifest(&mut self, document: &Value) -> String {
        let digest = BlobKey::of(document.to_string().as_bytes()).to_string();
        let media_type = document["mediaType"].as_str().unwrap_or_default().to_owned();
        self.document(&format!("app/manifests/{digest}"), document, &media_type);
        digest
    }

    /// Lets a tag of the repository `app` point at a manifest.
    pub(crate) fn tag(&mut self, tag: &str, digest: &str) {
        let (bytes, media_type) = self.documents[&format!("app/manifests/{digest}")].clone();
        self.documents.insert(format!("app/manifests/{tag}"), (bytes, media_type));
        let path = "app/tags/list?n=1000";
        let mut list: Value = match self.documents.get(path) {
            Some((bytes, _)) => serde_json::from_slice(bytes).unwrap(),
            None => json!({"name": "app", "tags": []}),
        };
        list["tags"].as_array_mut().unwrap().push(json!(tag));
        self.document(path, &list, "application/json");
    }

    /// All that it answers with.
    pub(crate) fn documents(&self) -> impl Iterator<Item = Bytes> {
        self.documents.values().map(|(bytes, _)| bytes.clone())
    }

    /// A descriptor of a manifest that is there.
    pub(crate) fn describe(&self, digest: &str) -> Value {
        let (bytes, media_type) = &self.documents[&format!("app/manifests/{digest}")];
        json!({"mediaType": media_type, "digest": digest, "size": bytes.len()})
    }
}

#[async_trait]
impl FakeMachine for Fake {
    async fn metadata(&self, request: &MetadataRequest) -> Result<Option<Metadata>, Problem> {
        let path = self.path(&request.access.url)?;
        Ok(self.documents.get(&path).map(|(bytes, content_type)| Metadata {
            bytes: bytes.clone(),
            digest: BlobKey::of(bytes),
            content_type: content_type.clone(),
        }))
    }

    async fn page(&self, request: &MetadataRequest) -> Result<Option<Page>, Problem> {
        let path = self.path(&request.access.url)?;
        // A page that is there in parts goes on at `…&last=PART`.
        let next = (0..10).map(|part| format!("{path}&last={part}")).find(|next| {
            let later = !path.contains("last=") || *next > path;
            later && self.documents.contains_key(next)
        });
        let next = next.map(|path| Url::parse(&format!("https://{HOST}/v2/{path}")).unwrap());
        Ok(self.documents.get(&path).map(|(bytes, _)| Page { bytes: bytes.clone(), next }))
    }
}

impl Fake {
    fn path(&self, url: &Url) -> Result<String, Problem> {
        let text =
            url.as_str().strip_prefix(&format!("https://{HOST}/v2/")).expect("the registry's own address");
        self.asked.lock().unwrap().push(text.to_owned());
        if self.denied.iter().any(|denied| text.starts_with(denied)) {
            return Err(Problem::new(Kind::Unavailable, "net.forbidden", "the server refused it"));
        }
        Ok(text.to_owned())
    }
}
