//! Pushing packages into somebody else's registry: each version as `npm publish` sends it, with the bytes that upstream made.
//!
//! Every publish moves a dist-tag, `latest` if no other is named. So versions go in their order, and the tags are set last.

use std::collections::{BTreeMap, BTreeSet};
use std::pin::pin;

use async_trait::async_trait;
use bundle_format::{Artifact, Digest, File};
use bytes::Bytes;
use futures_util::StreamExt as _;
use http::Method;
use http::header::{CONTENT_TYPE, HeaderMap, HeaderValue};
use serde_json::{Value, json};
use url::Url;

use super::origin::Routes;
use super::packument::{self, LATEST, VERSION_OBJECT_LIMIT};
use super::version::Version;
use super::version_object::{LARGEST_DOCUMENT, Upstream, VersionObject};
use super::{Npm, SCHEMA, integrity, names, splice};
use crate::blocking::blocking;
use crate::ecosystem::push::{
    Entry, Failure, Ledger, Outcome, Part, PartState, Push, PushContext, PushOrder, address, by_package,
    deliver, must_not_rename,
};
use crate::ecosystem::template::within_quotes;
use crate::ecosystem::{Chosen, MetadataRequest};
use crate::events::Happening;
use crate::net::{Access, Encoding, FilePart, Payload, Upload};
use crate::problem::{Kind, Problem};
use crate::store::{LinkedRef, reads_as};

/// How many packages at once; the client has its own limit for each host.
const AT_ONCE: usize = 4;
/// The problem that another tarball is there.
const CONFLICT: &str = "push.conflict";

#[async_trait]
impl Push for Npm {
    fn check(&self, order: &PushOrder) -> Result<(), Problem> {
        must_not_rename(order, "packages")?;
        order.must_sign_nothing()?;
        base(&order.target).map(drop)
    }

    async fn push(
        &self,
        order: &PushOrder,
        chosen: &[Chosen],
        context: &dyn PushContext,
    ) -> Result<Ledger, Problem> {
        let machine = context.machine();
        let routes = Routes::configured(machine, machine.directory()).await?;
        let registry = Registry { base: base(&order.target)?, routes, order, context };
        let stage = Happening::Stage { name: "push".to_owned(), items: None, bytes: None };
        machine.events().emit(stage);
        let pushes =
            by_package(chosen).into_iter().map(|(package, versions)| registry.package(package, versions));
        let mut pushes = pin!(futures_util::stream::iter(pushes).buffered(AT_ONCE));
        let mut ledger = Ledger::default();
        while let Some(pushed) = pushes.next().await {
            ledger.extend(pushed?);
        }
        Ok(ledger)
    }
}

/// The registry that packages go to: `https://nexus.example.test/repository/npm/`.
fn base(target: &str) -> Result<Url, Problem> {
    let example = "npm:https://HOST/PATH/, as .npmrc has it: npm:https://nexus.example.test/repository/npm/";
    address(target, example, ".npmrc: //HOST/PATH/:_authToken=…")
}

/// A registry elsewhere.
struct Registry<'a> {
    base: Url,
    /// What `.npmrc` says of the way there.
    routes: Routes,
    order: &'a PushOrder,
    context: &'a dyn PushContext,
}

/// What the registry has of a package.
#[derive(Default)]
struct There {
    /// What it says of the tarball of each version.
    versions: BTreeMap<String, Vec<Digest>>,
    tags: BTreeMap<String, String>,
}

impl Registry<'_> {
    /// Pushes versions of a package, and then its tags. What fails for one of them stops no other.
    async fn package(
        &self,
        (repository, name): (String, String),
        versions: BTreeSet<String>,
    ) -> Result<Ledger, Problem> {
        let (linked, refs) = self.context.package(&repository, &name).await?;
        let mut artifacts: BTreeMap<String, Artifact> = BTreeMap::new();
        for artifact in linked.into_iter().map(|one| one.artifact) {
            // Of a version that several brought, the one with precedence comes first.
            if artifact.schema == SCHEMA && versions.contains(&artifact.version) {
                artifacts.entry(artifact.version.clone()).or_insert(artifact);
            }
        }
        let mut artifacts: Vec<(Version, Artifact)> = artifacts
            .into_values()
            .filter_map(|artifact| Some((Version::parse(&artifact.version)?, artifact)))
            .collect();
        artifacts.sort_by(|(one, _), (other, _)| one.cmp(other));
        let mut ledger = Ledger::default();
        let there = self.there(&name).await;
        let mut is_stopped = None;
        for (_, artifact) in &artifacts {
            let (Some(manifest), Some(tarball)) =
                (packument::file(artifact, "manifest"), packument::file(artifact, "tarball"))
            else {
                // Of a platform that nobody wanted; clients need no more than that it is not there.
                continue;
            };
            let tag = wanted_tag(&refs, &artifact.version);
            let state = match &there {
                Ok(there) => self.version(artifact, manifest, tarball, tag, there).await,
                Err(problem) => Err(problem.clone()),
            };
            let source = format!("{repository}/{name}@{}", artifact.version);
            let target = format!("{}{name}@{}", self.base, artifact.version);
            let (outcome, parts) = match state {
                Ok(PartState::Exists) => (Outcome::Present, vec![self.part(tarball, PartState::Exists)]),
                Ok(state) => (Outcome::Uploaded, vec![self.part(tarball, state)]),
                Err(problem) => {
                    let is_unreachable = matches!(problem.code.as_ref(), "net.connect" | "net.tls");
                    if is_unreachable {
                        return Err(problem);
                    }
                    let outcome = if problem.code == CONFLICT { Outcome::Conflict } else { Outcome::Failed };
                    is_stopped.get_or_insert(outcome);
                    ledger.failures.push(Failure { source: source.clone(), target: target.clone(), problem });
                    (outcome, Vec::new())
                }
            };
            let version = artifact.version.clone();
            ledger.artifacts.push(Entry { source, target, version, outcome, was: None, parts });
        }
        if let Ok(before) = &there {
            let held: Vec<&(Version, Artifact)> = artifacts.iter().collect();
            self.tags(&repository, &name, &refs, &held, before, &mut ledger).await?;
        }
        Ok(ledger)
    }

    fn part(&self, tarball: &File, state: PartState) -> Part {
        let (repository, digest) = (self.base.to_string(), tarball.blob.to_string());
        Part { repository, digest, size: tarball.size, state }
    }

    /// What the registry has of a package now; nothing, if it does not know it.
    async fn there(&self, name: &str) -> Result<There, Problem> {
        let access = self.access(&name.replace('/', "%2f"))?;
        let request =
            MetadataRequest { access, accept: "application/json", limit: LARGEST_DOCUMENT, fresh: true };
        let Some(page) = self.context.machine().page(&request).await? else { return Ok(There::default()) };
        let (name, place) = (name.to_owned(), request.access.url.to_string());
        blocking(move || {
            let upstream = Upstream::read(&page.bytes, &place)?;
            let digests = |(version, raw): (&String, &&str)| {
                let object = VersionObject::read(raw, &name, version, &place)?;
                let mut digests = object.integrity.as_deref().map(integrity::read).unwrap_or_default();
                digests.extend(object.shasum.as_deref().and_then(integrity::read_shasum));
                Ok((version.clone(), digests))
            };
            let versions = upstream.versions().iter().map(digests).collect::<Result<_, Problem>>()?;
            Ok(There { versions, tags: upstream.tags })
        })
        .await
    }

    /// Sees to it that a version is there. What is there under its number has to have its bytes.
    async fn version(
        &self,
        artifact: &Artifact,
        manifest: &File,
        tarball: &File,
        tag: Option<&str>,
        there: &There,
    ) -> Result<PartState, Problem> {
        if let Some(digests) = there.versions.get(&artifact.version) {
            return self.compare(artifact, tarball, digests).await;
        }
        if self.order.dry_run {
            return Ok(PartState::Missing);
        }
        match self.publish(artifact, manifest, tarball, tag.unwrap_or(LATEST)).await {
            Ok(()) => Ok(PartState::Pushed),
            // Somebody was faster, or the answer to an earlier attempt was lost.
            Err(problem) => match self.there(&artifact.name).await?.versions.get(&artifact.version) {
                Some(digests) => self.compare(artifact, tarball, digests).await,
                None => Err(problem),
            },
        }
    }

    async fn compare(
        &self,
        artifact: &Artifact,
        tarball: &File,
        digests: &[Digest],
    ) -> Result<PartState, Problem> {
        // Of several of one algorithm one has to be right, as for npm, which looks at the strongest alone.
        let strongest = digests.iter().map(Digest::algorithm).max();
        for digest in digests.iter().filter(|digest| Some(digest.algorithm()) == strongest) {
            let (digest, file) = (digest.clone(), self.open(tarball).await?);
            if blocking(move || Ok(reads_as(file, &digest)?)).await? {
                return Ok(PartState::Exists);
            }
        }
        let message = format!("{}@{} is there with another tarball", artifact.name, artifact.version);
        Err(Problem::new(Kind::Refused, CONFLICT, message)
            .at(&self.base)
            .hint("a registry never changes a version that it has: take it out there, or leave it"))
    }

    async fn open(&self, file: &File) -> Result<std::fs::File, Problem> {
        let missing = || crate::store::StoreError::Missing(file.blob);
        Ok(self.context.open(&file.blob).await?.ok_or_else(missing)?.file)
    }

    async fn publish(
        &self,
        artifact: &Artifact,
        manifest: &File,
        tarball: &File,
        tag: &str,
    ) -> Result<(), Problem> {
        let object = self.context.machine().held(&manifest.blob, VERSION_OBJECT_LIMIT).await?;
        let (before, after) = document(artifact, &object, tarball.size, tag, &self.base)?;
        let file = FilePart {
            file: self.open(tarball).await?.into(),
            from: 0,
            length: tarball.size,
            progress: self.context.progress(),
        };
        let payload = Payload::Between { before, file, encoding: Encoding::Base64, after };
        self.put(&artifact.name.replace('/', "%2f"), payload).await?;
        let item = format!("{}@{}", artifact.name, artifact.version);
        self.context.machine().events().emit(Happening::ItemDone { item });
        Ok(())
    }

    /// Sets the tags that ours are and the registry's are not.
    async fn tags(
        &self,
        repository: &str,
        name: &str,
        refs: &[LinkedRef],
        held: &[&(Version, Artifact)],
        before: &There,
        ledger: &mut Ledger,
    ) -> Result<(), Problem> {
        let is_new = ledger.artifacts.iter().any(|entry| entry.outcome == Outcome::Uploaded);
        let now = match is_new && !self.order.dry_run {
            true => self.there(name).await.unwrap_or_default(),
            false => There { versions: before.versions.clone(), tags: before.tags.clone() },
        };
        let uploaded = |version: &str| {
            let is_of = |entry: &Entry| entry.version == version && entry.outcome == Outcome::Uploaded;
            now.versions.contains_key(version) || (self.order.dry_run && ledger.artifacts.iter().any(is_of))
        };
        let mut wanted: BTreeMap<&str, &str> = BTreeMap::new();
        for reference in refs.iter().map(|one| &one.reference) {
            if uploaded(&reference.version) {
                wanted.entry(&reference.label).or_insert(&reference.version);
            }
        }
        let stable = held.iter().rev().find(|(version, _)| !version.is_prerelease());
        let highest = stable.or(held.last()).map(|(_, artifact)| artifact.version.as_str());
        // Where nobody said which one it is, it stays what it was, though publishing moved it.
        let latest =
            before.tags.get(LATEST).map(String::as_str).or(highest.filter(|version| uploaded(version)));
        wanted.extend(latest.filter(|_| !wanted.contains_key(LATEST)).map(|latest| (LATEST, latest)));
        let mut entries = Vec::new();
        for (tag, version) in wanted {
            let was = before.tags.get(tag).filter(|was| *was != version).cloned();
            let target = format!("{}{name}:{tag}", self.base);
            let source = format!("{repository}/{name}:{tag}");
            let (goal, mut outcome) = match &was {
                None if before.tags.contains_key(tag) => (version, Outcome::Present),
                None => (version, Outcome::Uploaded),
                Some(was) if !self.order.moves_labels => (was.as_str(), Outcome::Conflict),
                Some(_) => (version, Outcome::Moved),
            };
            if !self.order.dry_run
                && now.tags.get(tag).map(String::as_str) != Some(goal)
                && let Err(problem) = self.set_tag(name, tag, goal).await
            {
                outcome = Outcome::Failed;
                ledger.failures.push(Failure { source: source.clone(), target: target.clone(), problem });
            }
            entries.push(Entry {
                source,
                target,
                version: version.to_owned(),
                outcome,
                was,
                parts: Vec::new(),
            });
        }
        ledger.refs.extend(entries);
        Ok(())
    }

    async fn set_tag(&self, name: &str, tag: &str, version: &str) -> Result<(), Problem> {
        let tag = percent_encoding::utf8_percent_encode(tag, percent_encoding::NON_ALPHANUMERIC);
        let path = format!("-/package/{}/dist-tags/{tag}", name.replace('/', "%2f"));
        self.put(&path, Payload::Bytes(Value::from(version).to_string().into())).await
    }

    /// Writes something at a path below the registry.
    async fn put(&self, path: &str, payload: Payload) -> Result<(), Problem> {
        let access = self.access(path)?;
        let json = HeaderValue::from_static("application/json");
        let headers: HeaderMap = [(CONTENT_TYPE, json)].into_iter().collect();
        let upload = Upload { method: Method::PUT, access: &access, headers, payload };
        deliver(self.context.client(), &upload, "registry").await
    }

    /// A path below the registry, with what lets one in.
    fn access(&self, path: &str) -> Result<Access, Problem> {
        self.routes.below(&self.base, path)
    }
}

/// The tag that a version is published under: one of its own, and not `latest` if it has another, as that stays where it is then.
fn wanted_tag<'a>(refs: &'a [LinkedRef], version: &str) -> Option<&'a str> {
    let of_version = refs.iter().map(|one| &one.reference).filter(|one| one.version == version);
    of_version.map(|one| one.label.as_str()).max_by_key(|label| *label != LATEST)
}

/// What `npm publish` sends, as far as the tarball and from there on.
fn document(
    artifact: &Artifact,
    object: &[u8],
    size: u64,
    tag: &str,
    base: &Url,
) -> Result<(Bytes, Bytes), Problem> {
    let damaged = |error: &dyn std::error::Error| {
        Problem::new(
            Kind::Untrusted,
            "npm.damaged-version-object",
            "a version object in the store is damaged",
        )
        .at(format!("{}@{}", artifact.name, artifact.version))
        .caused_by(error)
    };
    let (name, version) = (&artifact.name, &artifact.version);
    let text = std::str::from_utf8(object).map_err(|error| damaged(&error))?;
    let template = splice::with_addresses(text, &names::tarball_path(name, version), None)
        .map_err(|error| damaged(&error))?;
    let object = template.fill(&within_quotes(base.as_str()));
    let members = splice::members(text).map_err(|error| damaged(&error))?;
    let description = splice::last(&members, "description").unwrap_or("\"\"");
    let quoted = |text: &str| Value::from(text).to_string();
    let start = format!(
        "{{\"_id\":{name},\"name\":{name},\"description\":{description},\"dist-tags\":{tags},\"versions\":{{{version}:",
        name = quoted(name),
        tags = json!({ tag: version }),
        version = quoted(version),
    );
    let end = format!(
        "}},\"access\":null,\"_attachments\":{{{}:{{\"content_type\":\"application/octet-stream\",\"length\":{size},\"data\":\"",
        quoted(&format!("{name}-{version}.tgz")),
    );
    let before = [start.as_bytes(), &object, end.as_bytes()].concat();
    Ok((before.into(), Bytes::from_static(b"\"}}}")))
}
