//! Manifests and tags: put, and read again.

use bundle_format::{BlobKey, Digest};
use bytes::Bytes;
use http::Method;
use http::header::{ACCEPT, CONTENT_TYPE};

use super::super::manifest::{ACCEPT as MANIFESTS, LARGEST};
use super::plan::Image;
use super::registry::Repository;
use crate::ecosystem::push::{Outcome, Product};
use crate::events::Happening;
use crate::net::{Document, DocumentAnswer, Payload, Validators};
use crate::problem::{Kind, Problem};
use crate::store;

impl Repository<'_> {
    /// Sees to it that the repository has a manifest, under its digest.
    ///
    /// # Errors
    /// If the registry refuses it.
    pub(super) async fn push_manifest(&self, image: &Image) -> Result<Outcome, Problem> {
        let digest = image.digest.to_string();
        let item = format!("{} {digest}", self.name);
        let events = self.target.context.machine().events();
        if self.digest_of(&digest).await?.as_ref() == Some(&image.digest) {
            events.emit(Happening::ItemSkip { item, reason: "exists".to_owned() });
            return Ok(Outcome::Present);
        }
        if !self.target.order.dry_run {
            let bytes = self.target.context.machine().held(&image.blob, LARGEST).await?;
            let put = self.put_manifest(&digest, bytes, &image.media_type, &image.digest).await;
            put.map_err(|problem| doubted(problem, image))?;
        }
        events.emit(Happening::ItemDone { item });
        Ok(Outcome::Uploaded)
    }

    /// Lets a tag point at a manifest that is there. What the tag pointed at before, if that was another one.
    ///
    /// # Errors
    /// If the registry refuses it, or shows another manifest under the tag afterwards.
    pub(super) async fn push_tag(
        &self,
        image: &Image,
        tag: &str,
    ) -> Result<(Outcome, Option<String>), Problem> {
        let before = self.digest_of(tag).await?;
        let (outcome, was) = match before {
            Some(before) if before == image.digest => return Ok((Outcome::Present, None)),
            Some(before) if !self.target.order.moves_labels => {
                return Ok((Outcome::Conflict, Some(before.to_string())));
            }
            Some(before) => (Outcome::Moved, Some(before.to_string())),
            None => (Outcome::Uploaded, None),
        };
        if self.target.order.dry_run {
            return Ok((outcome, was));
        }
        let bytes = self.target.context.machine().held(&image.blob, LARGEST).await?;
        self.put_manifest(tag, bytes, &image.media_type, &image.digest).await?;
        let there = self.manifest(tag).await?.map(|document| document.bytes);
        if !there.map_or(Ok(false), |bytes| store::has_digest(&bytes, &image.digest))? {
            return Err(self.other(tag, &image.digest));
        }
        Ok((outcome, was))
    }

    /// Puts a manifest under a tag or its digest.
    pub(super) async fn put_manifest(
        &self,
        under: &str,
        bytes: Bytes,
        media_type: &str,
        digest: &Digest,
    ) -> Result<(), Problem> {
        let access = self.access(&format!("manifests/{under}")).await?;
        let headers = [(CONTENT_TYPE, media_type.to_owned())];
        let mut attempts = self.target.context.client().attempts();
        loop {
            let payload = Payload::Bytes(bytes.clone());
            let sent = self.send(Method::PUT, &access, &headers, payload, &[200, 201, 202, 204]).await;
            match sent {
                Ok(sent) => match sent.header("docker-content-digest") {
                    Some(said) if said.starts_with("sha") && said != digest.to_string() => {
                        return Err(self.other(under, digest));
                    }
                    _ => return Ok(()),
                },
                Err(unsent) => attempts
                    .again(unsent)
                    .await
                    .map_err(|unsent| self.explain(unsent, &format!("the manifest {under}")))?,
            }
        }
    }

    /// The digest of what stands under a tag or digest; `None` if nothing does.
    pub(super) async fn digest_of(&self, under: &str) -> Result<Option<Digest>, Problem> {
        if self.is_to_come {
            return Ok(None);
        }
        let access = self.access(&format!("manifests/{under}")).await?;
        let headers = [(ACCEPT, MANIFESTS.to_owned())];
        let mut attempts = self.target.context.client().attempts();
        loop {
            match self.send(Method::HEAD, &access, &headers, Payload::Nothing, &[200, 404]).await {
                // Nexus says so of what it has, too.
                Ok(sent) if sent.status() == 404 && self.target.order.product != Product::Nexus => {
                    return Ok(None);
                }
                Ok(sent) => {
                    if let Some(Ok(digest)) = sent.header("docker-content-digest").map(str::parse) {
                        return Ok(Some(digest));
                    }
                    break;
                }
                // Some do not answer HEAD for manifests as they answer GET.
                Err(unsent) if matches!(unsent.status(), Some(400 | 405 | 406 | 500 | 501)) => break,
                Err(unsent) => {
                    attempts
                        .again(unsent)
                        .await
                        .map_err(|unsent| self.explain(unsent, "to show its manifests"))?;
                }
            }
        }
        let found = self.manifest(under).await?;
        Ok(found.map(|document| match under.parse::<Digest>() {
            Ok(digest) if store::has_digest(&document.bytes, &digest).unwrap_or(false) => digest,
            _ => BlobKey::of(&document.bytes).into(),
        }))
    }

    /// What stands under a tag or digest.
    pub(super) async fn manifest(&self, under: &str) -> Result<Option<Document>, Problem> {
        let access = self.access(&format!("manifests/{under}")).await?;
        let client = self.target.context.client();
        match client.document(&access, MANIFESTS, LARGEST, true, &Validators::default()).await? {
            DocumentAnswer::Found(document) => Ok(Some(document)),
            DocumentAnswer::NotFound | DocumentAnswer::NotModified => Ok(None),
        }
    }

    fn other(&self, under: &str, digest: &Digest) -> Problem {
        let message = format!("the registry has another manifest at {} than what was pushed", self.name);
        Problem::new(Kind::Untrusted, "oci.digest-mismatch", message)
            .at(format!("{}:{under}", self.name))
            .because(format!("{digest} was pushed"))
            .hint("somebody else may push there at the same time; else the registry changes what it gets, and signatures no longer hold: ask whoever runs it")
    }
}

/// A refused manifest, with what it has that not every registry takes.
fn doubted(mut problem: Problem, image: &Image) -> Problem {
    let is_answer = matches!(problem.code.as_ref(), "net.status" | "net.not-found");
    if problem.kind == Kind::Unavailable || !is_answer {
        return problem;
    }
    if image.is_sparse {
        problem = problem
            .because("only some platforms of the index were collected, and some registries take no index unless all of its entries are there")
            .hint("collect the image for all platforms, or pull the platforms' own manifests, which are there, by their digests");
    }
    if image.repeats {
        problem =
            problem.because("it names a blob twice, which Quay does not take: signatures made twice are so");
    } else if let Some(artifact_type) = &image.artifact_type {
        problem = problem
            .because(format!(
                "it is no image but {artifact_type:?}, and some registries take but the types that they know"
            ))
            .hint("ask whoever runs that registry to allow it; images go on without it");
    }
    problem
}
