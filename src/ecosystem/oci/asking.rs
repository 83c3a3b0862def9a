//! Asking for manifests, and for what refers to them: a registry, or the store where images of this machine are.

use std::collections::BTreeMap;

use bundle_format::{BlobKey, Digest};
use bytes::Bytes;
use serde::Deserialize;

use super::manifest::{self, Descriptor, Manifest};
use super::reference::{Name, Which, read_digest};
use super::registries::Registries;
use crate::ecosystem::{CollectContext, Evidence, Metadata, MetadataRequest};
use crate::net::Access;
use crate::problem::{Kind, Problem};
use crate::store;

/// The most pages of what refers to one manifest.
const PAGES: usize = 1000;

/// The header in which registries tell a manifest's digest. Asking for it alone is nothing that they count, as they count
/// the manifests that they send.
const DIGEST_HEADER: &str = "docker-content-digest";

/// Where manifests are asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Source {
    /// Their own registry.
    Registry,
    /// The store, which took them in from a file of this machine.
    Store,
}

/// What somebody asked for of a repository.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Asked {
    /// As in a reference.
    pub(super) which: Which,
    /// The manifest in the store.
    pub(super) held: Option<Digest>,
}

/// A manifest that is to be read.
pub(super) struct Wanted {
    pub(super) by: By,
    /// The tag that points at it, to be recorded.
    pub(super) tag: Option<String>,
    /// Whether somebody asked for it: then it has to be of a platform that is wanted.
    pub(super) asked_for: bool,
}

/// What a manifest is asked for by.
pub(super) enum By {
    Tag(String),
    Digest(Digest),
    /// As another manifest describes it.
    Described(Descriptor),
}

impl By {
    /// What it is asked for by, as it stands in an address.
    pub(super) fn text(&self) -> String {
        match self {
            By::Tag(tag) => tag.clone(),
            By::Digest(digest) => digest.to_string(),
            By::Described(descriptor) => descriptor.digest.to_string(),
        }
    }
}

/// A manifest that was read.
pub(super) struct Read {
    /// Its digest.
    pub(super) digest: Digest,
    /// Its blob.
    pub(super) blob: BlobKey,
    /// Its size in bytes.
    pub(super) size: u64,
    /// What it says.
    pub(super) manifest: Manifest,
    /// The document of a registry that it is, if it is one.
    pub(super) evidence: Option<Evidence>,
    /// What an image for one platform alone runs on, if that matters.
    pub(super) runs_on: Option<manifest::Platform>,
    /// What refers to it, as the registry says.
    pub(super) referrers: Vec<Descriptor>,
    /// Of an index in the store: the entries that the store lacks.
    pub(super) lacking: Vec<Digest>,
    /// Of what is in the store: the keys of the blobs that it names, by their digests. Others are to be had from the registry.
    pub(super) keys: Option<BTreeMap<Digest, BlobKey>>,
}

/// What manifests are asked for with.
#[derive(Clone, Copy)]
pub(super) struct Asking<'a> {
    /// The repository.
    pub(super) name: &'a Name,
    /// Where.
    pub(super) source: Source,
    /// Whether it matters what an image runs on.
    pub(super) checks_platform: bool,
    /// The ways to registries.
    pub(super) registries: &'a Registries,
    /// What ops hand us.
    pub(super) context: &'a dyn CollectContext,
}

/// A manifest as it came.
struct Document {
    bytes: Bytes,
    blob: BlobKey,
    media_type: String,
    /// Where it was had, for messages.
    place: String,
}

#[derive(Deserialize)]
struct Referrers {
    manifests: Vec<serde_json::Value>,
}

impl Asking<'_> {
    /// A document of the repository, and the address that it has at the registry itself: from the first mirror that has it,
    /// else from the registry.
    async fn document(
        self,
        below: &str,
        accept: &'static str,
    ) -> Result<Option<(Metadata, String)>, Problem> {
        let request = |access| MetadataRequest { access, accept, limit: manifest::LARGEST, fresh: false };
        let digest = read_digest(below.rsplit('/').next().unwrap_or_default()).ok();
        // Which mirrors a machine has, and what stands in for a registry, is nothing that a lock should say.
        let canonical = || format!("https://{}/v2/{}/{below}", self.name.registry, self.name.path);
        for access in self.registries.mirrors(self.name, below, self.context).await? {
            let found = self.context.metadata_told_by(&request(access), DIGEST_HEADER).await;
            if let Some(found) = unless_it_fails(found)?.flatten()
                && digest
                    .as_ref()
                    .is_none_or(|digest| store::has_digest(&found.bytes, digest).unwrap_or(false))
            {
                return Ok(Some((found, canonical())));
            }
        }
        let access = self.registries.access(self.name, below, self.context).await?;
        let place =
            if self.registries.is_elsewhere(self.name)? { canonical() } else { access.url.to_string() };
        Ok(self.context.metadata_told_by(&request(access), DIGEST_HEADER).await?.map(|found| (found, place)))
    }

    /// Reads a manifest and what refers to it; `None` if there is none.
    ///
    /// # Errors
    /// If the registry cannot be reached, or what it sends is not what was asked for or no manifest.
    pub(super) async fn read(self, wanted: &Wanted) -> Result<Option<Read>, Problem> {
        let document = match self.source {
            Source::Registry => self.of_registry(wanted).await?,
            Source::Store => self.of_store(wanted).await?,
        };
        let Some(Document { bytes, blob, media_type, place }) = document else { return Ok(None) };
        let untrusted = |code: &'static str, message: String| {
            Problem::new(Kind::Untrusted, code, message)
                .at(&place)
                .hint("nothing of it was kept; try again, and if it stays so, ask whoever runs that registry")
        };
        let (digest, described) = match &wanted.by {
            By::Tag(_) => (blob.into(), None),
            By::Digest(digest) => (digest.clone(), None),
            By::Described(descriptor) => (descriptor.digest.clone(), Some(descriptor)),
        };
        let size = bytes.len() as u64;
        if !store::has_digest(&bytes, &digest)? || described.is_some_and(|one| one.size != size) {
            let message = format!("the registry sent another manifest than {} {digest}", self.name);
            return Err(untrusted("oci.digest-mismatch", message));
        }
        let manifest = Manifest::read(&bytes, &media_type).map_err(|why| {
            untrusted("oci.bad-manifest", format!("the manifest of {} cannot be relied on", self.name))
                .because(why)
        })?;
        let runs_on =
            if self.checks_platform && wanted.asked_for { self.runs_on(&manifest).await? } else { None };
        let mut read = Read {
            digest,
            blob,
            size,
            manifest,
            evidence: None,
            runs_on,
            referrers: Vec::new(),
            lacking: Vec::new(),
            keys: None,
        };
        match self.source {
            Source::Registry => {
                read.evidence = Some(Evidence { origin: place, digest: blob });
                read.referrers = self.referrers(&read.digest).await?;
            }
            Source::Store => {
                read.lacking = self.lacking(&read.manifest).await?;
                read.keys = Some(self.keys(&read.manifest).await?);
            }
        }
        Ok(Some(read))
    }

    async fn of_registry(self, wanted: &Wanted) -> Result<Option<Document>, Problem> {
        // What is named by its digest is what is held of that digest.
        if let By::Described(descriptor) = &wanted.by
            && let Some(key) = self.context.key_of(&descriptor.digest).await?
            && descriptor.size <= manifest::LARGEST
            && self.context.hold(&key, descriptor.size).await?
        {
            return self.of_store(wanted).await;
        }
        let found = self.document(&format!("manifests/{}", wanted.by.text()), manifest::ACCEPT).await?;
        Ok(found.map(|(found, place)| Document {
            bytes: found.bytes,
            blob: found.digest,
            media_type: found.content_type,
            place,
        }))
    }

    /// A manifest that was taken in when its request was read.
    async fn of_store(self, wanted: &Wanted) -> Result<Option<Document>, Problem> {
        let (digest, media_type) = match &wanted.by {
            By::Tag(_) => return Ok(None),
            By::Digest(digest) => (digest, String::new()),
            By::Described(descriptor) => (&descriptor.digest, descriptor.media_type.clone()),
        };
        let Some(blob) = self.context.key_of(digest).await? else { return Ok(None) };
        let bytes = self.context.held(&blob, manifest::LARGEST).await?;
        Ok(Some(Document { bytes, blob, media_type, place: format!("{}@{digest}", self.name) }))
    }

    /// The entries of an index that the store lacks: an archive may have been made for one platform alone.
    async fn lacking(self, manifest: &Manifest) -> Result<Vec<Digest>, Problem> {
        let mut lacking = Vec::new();
        for entry in &manifest.manifests {
            let is_held = match self.context.key_of(&entry.digest).await? {
                Some(key) => self.context.hold(&key, entry.size).await?,
                None => false,
            };
            if !is_held {
                lacking.push(entry.digest.clone());
            }
        }
        Ok(lacking)
    }

    /// The keys of the blobs that a manifest names.
    async fn keys(self, manifest: &Manifest) -> Result<BTreeMap<Digest, BlobKey>, Problem> {
        let mut keys = BTreeMap::new();
        for part in manifest.blobs() {
            if let Some(key) = self.context.key_of(&part.digest).await? {
                keys.insert(part.digest.clone(), key);
            }
        }
        Ok(keys)
    }

    /// What an image runs on, by its configuration; `None` for what is no image of a file system.
    async fn runs_on(self, manifest: &Manifest) -> Result<Option<manifest::Platform>, Problem> {
        let is_image = |config: &&Descriptor| config.media_type.contains(".image.");
        let Some(config) = manifest.config.as_ref().filter(is_image) else { return Ok(None) };
        let bytes = match (self.source, self.context.key_of(&config.digest).await?) {
            (Source::Store, Some(key)) => self.context.held(&key, manifest::LARGEST).await?,
            (Source::Store, None) => return Ok(None),
            (Source::Registry, _) => match self.document(&format!("blobs/{}", config.digest), "").await? {
                Some((found, _)) => found.bytes,
                None => return Ok(None),
            },
        };
        // A wrong one is found out when it is downloaded.
        let is_right = store::has_digest(&bytes, &config.digest)?;
        let platform: Option<manifest::Platform> =
            is_right.then(|| serde_json::from_slice(&bytes).ok()).flatten();
        Ok(platform.filter(|platform| !platform.is_unknown()))
    }

    /// What refers to a manifest, as a mirror or the registry says; nothing if none has an API for it.
    async fn referrers(self, digest: &Digest) -> Result<Vec<Descriptor>, Problem> {
        let below = format!("referrers/{digest}");
        let (mut list, mut is_answered) = (None, false);
        for access in self.registries.mirrors(self.name, &below, self.context).await? {
            if let Some(found) = unless_it_fails(self.referrers_at(access, digest).await)? {
                (list, is_answered) = (found, true);
            }
            if list.is_some() {
                break;
            }
        }
        if list.is_none() && !(is_answered && self.registries.is_silent(self.name)) {
            let own = async {
                let access = self.registries.access(self.name, &below, self.context).await?;
                self.referrers_at(access, digest).await
            };
            list =
                if is_answered { self.registries.unless_silent(self.name, own.await)? } else { own.await? };
        }
        Ok(list.unwrap_or_default())
    }

    /// `None` if there is no API for it.
    async fn referrers_at(
        self,
        mut access: Access,
        digest: &Digest,
    ) -> Result<Option<Vec<Descriptor>>, Problem> {
        let mut referrers = None;
        for _ in 0..PAGES {
            let place = access.url.to_string();
            let limit = manifest::LARGEST;
            let request =
                MetadataRequest { access: access.clone(), accept: manifest::OCI_INDEX, limit, fresh: true };
            let page = match self.context.page(&request).await {
                Ok(Some(page)) => page,
                Ok(None) => break,
                // Registries that do not know the API answer it in many ways.
                Err(problem) if is_denied(&problem) => break,
                Err(problem) => return Err(problem),
            };
            // Some answer anything that they do not know with a page for people.
            let Ok(index) = serde_json::from_slice::<Referrers>(&page.bytes) else { break };
            let read = Manifest::read(&page.bytes, manifest::OCI_INDEX).map_err(|why| {
                let message =
                    format!("what the registry says to refer to {} {digest} cannot be read", self.name);
                Problem::new(Kind::Untrusted, "oci.bad-referrers", message).at(&place).because(why)
            })?;
            let all = referrers.get_or_insert_with(Vec::new);
            let before = all.len();
            all.extend(read.manifests);
            match page.next {
                Some(next) if all.len() > before && !index.manifests.is_empty() => {
                    access = Access { url: next, ..access };
                }
                _ => break,
            }
        }
        Ok(referrers)
    }
}

/// What a mirror gave; `None` if it failed: then the next one is asked, and in the end the registry itself, which says what
/// is wrong if nobody has it.
///
/// # Errors
/// If the job was stopped.
pub(super) fn unless_it_fails<T>(asked: Result<T, Problem>) -> Result<Option<T>, Problem> {
    match asked {
        Ok(given) => Ok(Some(given)),
        Err(problem) if problem.kind == Kind::Interrupted => Err(problem),
        Err(_) => Ok(None),
    }
}

/// Whether a registry said that this is not for us.
pub(super) fn is_denied(problem: &Problem) -> bool {
    matches!(problem.code.as_ref(), "net.unauthorized" | "net.forbidden" | "net.status")
}
