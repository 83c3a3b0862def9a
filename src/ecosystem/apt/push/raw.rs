//! A server that keeps files as they are: Nexus' raw repositories, WebDAV, object stores behind a gateway; whatever takes PUT.
//!
//! The pool comes first, then the indices by their hashes and names, and each suite's InRelease last: whoever reads
//! meanwhile finds all that they are told of.

use std::collections::BTreeSet;
use std::pin::pin;
use std::sync::Arc;

use bundle_format::BlobKey;
use futures_util::StreamExt as _;
use http::{HeaderMap, Method};
use url::Url;

use super::{AT_ONCE, access_to_write, is_unreachable, outcome_of};
use crate::ecosystem::apt::SCHEMA;
use crate::ecosystem::apt::credentials::Ways;
use crate::ecosystem::apt::release::joined;
use crate::ecosystem::push::{Entry, Failure, Ledger, Outcome, Part, PartState, PushContext};
use crate::events::Happening;
use crate::net::{Access, FilePart, Payload, Upload};
use crate::problem::{Kind, Problem};
use crate::store::EditionDocument;

const TAKEN: [u16; 3] = [200, 201, 204];

/// A server and the place in it.
pub(super) struct Raw<'a> {
    pub(super) base: Url,
    pub(super) ways: Ways,
    pub(super) context: &'a dyn PushContext,
    pub(super) dry_run: bool,
}

/// A file and where it goes, below the target.
struct File {
    path: String,
    blob: BlobKey,
    size: u64,
}

impl Raw<'_> {
    /// Pushes a repository of these packages whole.
    pub(super) async fn repository(
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
        let artifacts = linked.into_iter().map(|one| one.artifact).filter(|one| one.schema == SCHEMA);
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
                Some((_, problem)) if is_unreachable(&problem) => {
                    return Err(problem);
                }
                Some((_, problem)) => {
                    failed += 1;
                    let outcome = outcome_of(&problem);
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

    async fn access(&self, path: &str) -> Result<Access, Problem> {
        access_to_write(&self.ways, self.address(path)?, self.context).await
    }
}
