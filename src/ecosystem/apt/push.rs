//! Pushing archives into a server that keeps files as they are: Nexus' raw repositories, WebDAV, object stores behind a
//! gateway; whatever takes PUT.
//!
//! A repository is pushed whole, because its indices list all of it. The pool comes first, then the indices by their
//! hashes and names, and each suite's InRelease last: whoever reads meanwhile finds all that they are told of.

use std::collections::BTreeSet;
use std::pin::pin;
use std::sync::Arc;

use async_trait::async_trait;
use bundle_format::BlobKey;
use futures_util::StreamExt as _;
use http::{HeaderMap, Method};
use url::Url;

use super::Apt;
use super::credentials::Ways;
use super::machine::Machine;
use super::release::joined;
use super::source::base_of;
use crate::ecosystem::push::{
    Entry, Failure, Ledger, Outcome, Part, PartState, Push, PushContext, PushOrder,
};
use crate::events::Happening;
use crate::net::{Access, FilePart, Payload, Route, Upload};
use crate::problem::{Kind, Problem};
use crate::store::EditionDocument;

/// How many files at once; the client has its own limit for each host.
const AT_ONCE: usize = 8;
const TAKEN: [u16; 3] = [200, 201, 204];

#[async_trait]
impl Push for Apt {
    fn check(&self, order: &PushOrder) -> Result<(), Problem> {
        let is_of_images = !order.map.is_empty() || order.label.is_some() || order.keep_host;
        if is_of_images || order.creates_projects || order.realm.is_some() {
            let message = "an archive is pushed as it is: --map, --tag, --keep-host, --create-projects and --realm-override \
                           are for images";
            return Err(Problem::new(Kind::Usage, "push.options", message));
        }
        base(order).map(drop)
    }

    async fn push(
        &self,
        order: &PushOrder,
        chosen: &[crate::ecosystem::Chosen],
        context: &dyn PushContext,
    ) -> Result<Ledger, Problem> {
        let machine = Machine::ask(context.machine()).await;
        let ways = Ways::load(&machine, &[], context.machine()).await?;
        let target = Target { base: base(order)?, ways, context, dry_run: order.dry_run };
        let stage = Happening::Stage { name: "push".to_owned(), items: None, bytes: None };
        context.machine().events().emit(stage);
        let all = context.all().await?;
        let repositories: BTreeSet<&str> = chosen.iter().map(|one| one.repository.as_str()).collect();
        let mut ledger = Ledger::default();
        for repository in repositories {
            let names = all.iter().filter(|one| one.repository == repository).map(|one| one.name.as_str());
            match target.repository(repository, &names.collect(), &mut ledger).await {
                Ok(()) => {}
                Err(problem) if matches!(problem.code.as_ref(), "net.connect" | "net.tls") => {
                    return Err(problem);
                }
                Err(problem) => {
                    let (source, target) = (repository.to_owned(), format!("{}{repository}/", target.base));
                    ledger.failures.push(Failure { source, target, problem });
                }
            }
        }
        Ok(ledger)
    }
}

/// Where archives go: `https://nexus.example.test/repository/raw`.
fn base(order: &PushOrder) -> Result<Url, Problem> {
    base_of(&order.target, "the target").map_err(|problem| {
        problem.hint("write apt:https://HOST/PATH: each archive comes to stand in a folder below, under its repository's name")
    })
}

/// A server and the place in it.
struct Target<'a> {
    base: Url,
    ways: Ways,
    context: &'a dyn PushContext,
    dry_run: bool,
}

/// A file and where it goes, below the target.
struct File {
    path: String,
    blob: BlobKey,
    size: u64,
}

impl Target<'_> {
    async fn repository(
        &self,
        repository: &str,
        names: &BTreeSet<&str>,
        ledger: &mut Ledger,
    ) -> Result<(), Problem> {
        let mut failed = 0;
        for name in names {
            failed += self.package(repository, name, ledger).await?;
        }
        if failed > 0 {
            let message =
                format!("{failed} packages of {repository} are not there, so its indices stay as they were");
            return Err(Problem::new(Kind::Incomplete, "push.incomplete", message));
        }
        let edition = self.context.edition(repository).await?;
        // What clients look at first comes last.
        let rank = |path: &str| match path.rsplit('/').next() {
            Some("InRelease") => 3,
            Some("Release" | "Release.gpg") => 2,
            _ if path.contains("by-hash/") => 0,
            _ => 1,
        };
        let mut documents: Vec<(&String, &EditionDocument)> =
            edition.iter().filter(|(path, _)| !path.starts_with('/')).collect();
        documents.sort_by_key(|(path, _)| rank(path));
        for (path, document) in documents {
            let file =
                File { path: format!("{repository}/{path}"), blob: document.blob, size: document.size };
            if !self.dry_run {
                self.put(&file).await?;
            }
            if path.ends_with("InRelease") {
                ledger.refs.push(Entry {
                    source: format!("{repository}/{}", path.trim_end_matches("/InRelease")),
                    target: self.address(&file.path)?.to_string(),
                    version: file.blob.to_string(),
                    outcome: Outcome::Uploaded,
                    was: None,
                    parts: Vec::new(),
                });
            }
        }
        Ok(())
    }

    /// Pushes all versions of a package; says how many of them failed.
    async fn package(&self, repository: &str, name: &str, ledger: &mut Ledger) -> Result<u64, Problem> {
        let (linked, _) = self.context.package(repository, name).await?;
        let artifacts = linked.into_iter().map(|one| one.artifact).filter(|one| one.schema == super::SCHEMA);
        let pushes = artifacts.map(|artifact| async move {
            let mut parts = Vec::new();
            for file in &artifact.files {
                let path = format!("{repository}/{}", file.path);
                let file = File { path, blob: file.blob, size: file.size };
                match self.file(&file).await {
                    Ok(state) => parts.push(Part {
                        repository: repository.to_owned(),
                        digest: file.blob.to_string(),
                        size: file.size,
                        state,
                    }),
                    Err(problem) => return (artifact, parts, Some((file.path, problem))),
                }
            }
            (artifact, parts, None)
        });
        let mut pushes = pin!(futures_util::stream::iter(pushes).buffered(AT_ONCE));
        let mut failed = 0;
        while let Some((artifact, parts, failure)) = pushes.next().await {
            let source = format!("{repository}/{}@{}", artifact.name, artifact.version);
            let path = artifact.files.first().map(|file| file.path.as_str()).unwrap_or_default();
            let target = self.address(&format!("{repository}/{path}"))?.to_string();
            let outcome = match failure {
                None if parts.iter().all(|part| part.state == PartState::Exists) => Outcome::Present,
                None => Outcome::Uploaded,
                Some((_, problem)) if matches!(problem.code.as_ref(), "net.connect" | "net.tls") => {
                    return Err(problem);
                }
                Some((_, problem)) => {
                    failed += 1;
                    let outcome =
                        if problem.kind == Kind::Refused { Outcome::Conflict } else { Outcome::Failed };
                    ledger.failures.push(Failure { source: source.clone(), target: target.clone(), problem });
                    outcome
                }
            };
            let version = artifact.version.clone();
            ledger.artifacts.push(Entry { source, target, version, outcome, was: None, parts });
        }
        Ok(failed)
    }

    /// Sees to it that a file of the pool is there. What is there under its name has to be as long: no more can be said of
    /// it without fetching it, and clients hold it to its digest.
    async fn file(&self, file: &File) -> Result<PartState, Problem> {
        let access = self.access(&file.path).await?;
        if let Some(there) = self.context.client().head(&access, "").await? {
            return match there.length() {
                Some(length) if length != file.size => {
                    let message =
                        format!("another file is there, of {length} bytes in place of {}", file.size);
                    Err(Problem::new(Kind::Refused, "push.conflict", message).at(&access.url))
                }
                _ => Ok(PartState::Exists),
            };
        }
        if self.dry_run {
            return Ok(PartState::Missing);
        }
        self.put(file).await.map(|()| PartState::Pushed)
    }

    async fn put(&self, file: &File) -> Result<(), Problem> {
        let access = self.access(&file.path).await?;
        let missing = || crate::store::StoreError::Missing(file.blob);
        let blob = self.context.open(&file.blob).await?.ok_or_else(missing)?;
        let part = FilePart {
            file: Arc::new(blob.file),
            from: 0,
            length: file.size,
            progress: self.context.progress(),
        };
        let payload = if file.size == 0 { Payload::Nothing } else { Payload::File(part) };
        let upload = Upload { method: Method::PUT, access: &access, headers: HeaderMap::new(), payload };
        let mut attempts = self.context.client().attempts();
        // The same bytes under the same name: they may be sent again.
        while let Err(unsent) = self.context.client().send(&upload, &TAKEN).await {
            attempts.again(unsent).await?;
        }
        self.context.machine().events().emit(Happening::ItemDone { item: file.path.clone() });
        Ok(())
    }

    fn address(&self, path: &str) -> Result<Url, Problem> {
        joined(&self.base, path)
    }

    /// With the accounts of apt's `auth.conf`. What is read without TLS is held to signatures; what is written is not.
    async fn access(&self, path: &str) -> Result<Access, Problem> {
        let mut access = self.ways.access(self.address(path)?, self.context.machine()).await?;
        access.route = Arc::new(Route { plain_http: false, ..Route::clone(&access.route) });
        Ok(access)
    }
}
