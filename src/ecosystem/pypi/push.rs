//! Pushing releases into somebody else's index, by the interface of forms that twine speaks: pypiserver, devpi, Nexus and
//! others take it at an address of their own, beside which they list what they have.

use std::collections::{BTreeMap, BTreeSet};
use std::pin::pin;
use std::sync::Arc;

use async_trait::async_trait;
use bundle_format::{Artifact, BlobKey, Digest, File};
use bytes::Bytes;
use futures_util::StreamExt as _;
use http::Method;
use http::header::{CONTENT_TYPE, HeaderMap, HeaderValue};
use url::Url;

use super::facts::{Facts, METADATA, METADATA_END, SDIST, WHEEL};
use super::simple::{ACCEPT, LARGEST, Page};
use super::wheel::LARGEST_METADATA;
use super::{Pypi, SCHEMA, metadata, pypirc};
use crate::ecosystem::push::{
    Entry, Failure, Ledger, Outcome, Part, PartState, Push, PushContext, PushOrder, address, by_package,
    deliver, must_not_rename,
};
use crate::ecosystem::{Chosen, MetadataRequest};
use crate::events::Happening;
use crate::net::{Access, Encoding, FilePart, Payload, Route, Upload};
use crate::problem::{Kind, Problem};

/// How many projects at once; the client has its own limit for each host.
const AT_ONCE: usize = 4;
/// Where servers list what they have, below where they take uploads. devpi has it elsewhere.
const LISTS: [&str; 2] = ["simple/", "+simple/"];

#[async_trait]
impl Push for Pypi {
    fn check(&self, order: &PushOrder) -> Result<(), Problem> {
        must_not_rename(order, "releases")?;
        order.must_sign_nothing()?;
        base(&order.target).map(drop)
    }

    async fn push(
        &self,
        order: &PushOrder,
        chosen: &[Chosen],
        context: &dyn PushContext,
    ) -> Result<Ledger, Problem> {
        let base = base(&order.target)?;
        let credential = pypirc::account(&base, context.machine()).await?;
        let target =
            Target { access: Access { credential, ..Access::open(base) }, context, dry_run: order.dry_run };
        let stage = Happening::Stage { name: "push".to_owned(), items: None, bytes: None };
        context.machine().events().emit(stage);
        let pushes =
            by_package(chosen).into_iter().map(|(project, versions)| target.project(project, versions));
        let mut pushes = pin!(futures_util::stream::iter(pushes).buffered(AT_ONCE));
        let mut ledger = Ledger::default();
        while let Some(pushed) = pushes.next().await {
            ledger.extend(pushed?);
        }
        Ok(ledger)
    }
}

/// Where releases go: `https://nexus.example.test/repository/pypi/`.
fn base(target: &str) -> Result<Url, Problem> {
    let example =
        "pypi:https://HOST/PATH/, as twine has it: pypi:https://nexus.example.test/repository/pypi/";
    address(target, example, "TWINE_USERNAME and TWINE_PASSWORD, or .pypirc")
}

/// An index elsewhere.
struct Target<'a> {
    access: Access,
    context: &'a dyn PushContext,
    dry_run: bool,
}

/// What an index has of a project: the sha256 of each file, where it says that.
type There = BTreeMap<String, Option<BlobKey>>;

impl Target<'_> {
    /// Pushes versions of a project. What fails for one of them stops no other.
    async fn project(
        &self,
        (index, name): (String, String),
        versions: BTreeSet<String>,
    ) -> Result<Ledger, Problem> {
        let (linked, _) = self.context.package(&index, &name).await?;
        let own = |artifact: &Artifact| artifact.schema == SCHEMA && versions.contains(&artifact.version);
        let artifacts: Vec<Artifact> = linked.into_iter().map(|one| one.artifact).filter(own).collect();
        let mut ledger = Ledger::default();
        let there = self.there(&name).await;
        for artifact in &artifacts {
            let (mut parts, mut failure) = (Vec::new(), None);
            for file in artifact.files.iter().filter(|file| [WHEEL, SDIST].contains(&file.role.as_str())) {
                let state = match &there {
                    Ok(there) => self.file(artifact, file, there).await,
                    Err(problem) => Err(problem.clone()),
                };
                match state {
                    Ok(state) => parts.push(self.part(file, state)),
                    Err(problem) if matches!(problem.code.as_ref(), "net.connect" | "net.tls") => {
                        return Err(problem);
                    }
                    Err(problem) => failure = Some(problem),
                }
            }
            let source = format!("{index}/{name}@{}", artifact.version);
            let target = format!("{}{name}/{}", self.access.url, artifact.version);
            let outcome = match &failure {
                Some(problem) if problem.code == CONFLICT => Outcome::Conflict,
                Some(_) => Outcome::Failed,
                None if parts.iter().all(|part| part.state == PartState::Exists) => Outcome::Present,
                None => Outcome::Uploaded,
            };
            if let Some(problem) = failure {
                ledger.failures.push(Failure { source: source.clone(), target: target.clone(), problem });
            }
            let version = artifact.version.clone();
            ledger.artifacts.push(Entry { source, target, version, outcome, was: None, parts });
        }
        Ok(ledger)
    }

    fn part(&self, file: &File, state: PartState) -> Part {
        let repository = self.access.url.to_string();
        Part { repository, digest: file.blob.to_string(), size: file.size, state }
    }

    /// What the index lists of a project now; nothing, if it does not know it. pypiserver leads on to the public index then:
    /// what that has is not there.
    async fn there(&self, name: &str) -> Result<There, Problem> {
        for list in LISTS {
            let mut access = self.below(&format!("{list}{name}/"))?;
            access.route = Arc::new(Route { same_origin: true, ..Route::clone(&access.route) });
            let request = MetadataRequest { access, accept: ACCEPT, limit: LARGEST, fresh: true };
            let Some(page) = self.context.machine().page(&request).await? else { continue };
            let page = Page::parse(&page.bytes, "", &request.access.url).map_err(|error| {
                let message = "what the index lists of a project cannot be read";
                Problem::new(Kind::Failed, "push.page", message)
                    .at(&request.access.url)
                    .because(error.to_string())
            })?;
            let files = page.files.into_iter();
            return Ok(files
                .map(|file| (file.name, file.checksums.iter().find_map(Digest::blob_key)))
                .collect());
        }
        Ok(There::new())
    }

    /// Sees to it that a file is there. What is there under its name has to have its bytes.
    async fn file(&self, artifact: &Artifact, file: &File, there: &There) -> Result<PartState, Problem> {
        if let Some(found) = there.get(&file.path) {
            return self.compare(file, found);
        }
        if self.dry_run {
            return Ok(PartState::Missing);
        }
        match self.upload(artifact, file).await {
            Ok(()) => Ok(PartState::Pushed),
            // Somebody was faster, or the answer to an earlier attempt was lost.
            Err(problem) => match self.there(&artifact.name).await?.get(&file.path) {
                Some(found) => self.compare(file, found),
                None => Err(problem),
            },
        }
    }

    fn compare(&self, file: &File, found: &Option<BlobKey>) -> Result<PartState, Problem> {
        // An index that says no sha256 may have the same, and keeps what it has in any case.
        if found.is_none_or(|found| found == file.blob) {
            return Ok(PartState::Exists);
        }
        let message = format!("another file is there under the name {}", file.path);
        Err(Problem::new(Kind::Refused, CONFLICT, message)
            .at(&self.access.url)
            .hint("an index never changes a file that it has: take it out there, or leave it"))
    }

    async fn upload(&self, artifact: &Artifact, file: &File) -> Result<(), Problem> {
        let missing = || crate::store::StoreError::Missing(file.blob);
        let blob = self.context.open(&file.blob).await?.ok_or_else(missing)?;
        let boundary = format!("aftk-{}", file.blob.hex());
        let (before, after) = form(&self.fields(artifact, file).await?, &file.path, &boundary);
        let part = FilePart {
            file: Arc::new(blob.file),
            from: 0,
            length: file.size,
            progress: self.context.progress(),
        };
        let payload = Payload::Between { before, file: part, encoding: Encoding::Plain, after };
        let kind = format!("multipart/form-data; boundary={boundary}");
        let headers: HeaderMap =
            HeaderValue::try_from(kind).ok().map(|kind| (CONTENT_TYPE, kind)).into_iter().collect();
        let upload = Upload { method: Method::POST, access: &self.access, headers, payload };
        deliver(self.context.client(), &upload, "index").await?;
        self.context.machine().events().emit(Happening::ItemDone { item: file.path.clone() });
        Ok(())
    }

    /// What a form says of a file: which it is, and what it says of itself.
    async fn fields(&self, artifact: &Artifact, file: &File) -> Result<Vec<(String, String)>, Problem> {
        let facts = Facts::of(artifact).unwrap_or_default();
        let is_wheel = file.role == WHEEL;
        let spelled = if facts.name.is_empty() { &artifact.name } else { &facts.name };
        let python = if is_wheel { file.path.rsplit('-').nth(2).unwrap_or_default() } else { "source" };
        let mut fields: Vec<(String, String)> = [
            (":action", "file_upload"),
            ("protocol_version", "1"),
            ("name", spelled),
            ("version", &artifact.version),
            ("filetype", if is_wheel { "bdist_wheel" } else { "sdist" }),
            ("pyversion", python),
            ("sha256_digest", &file.blob.hex()),
        ]
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .into();
        let beside =
            |one: &&File| one.role == METADATA && one.path.strip_suffix(METADATA_END) == Some(&file.path);
        let Some(document) = artifact.files.iter().find(beside) else {
            let python = facts.files.get(&file.path).and_then(|facts| facts.requires_python.clone());
            fields.push(("metadata_version".to_owned(), "2.1".to_owned()));
            fields.extend(python.map(|python| ("requires_python".to_owned(), python)));
            return Ok(fields);
        };
        let bytes = self.context.machine().held(&document.blob, LARGEST_METADATA).await?;
        let text = String::from_utf8_lossy(&bytes);
        fields.extend(
            metadata::headers(&text).filter_map(|(key, value)| Some((field(key)?, value.to_owned()))),
        );
        Ok(fields)
    }

    fn below(&self, path: &str) -> Result<Access, Problem> {
        let url = self.access.url.join(path).map_err(|error| {
            Problem::new(Kind::Failed, "push.address", "an address cannot be made").because(error.to_string())
        })?;
        Ok(Access { url, ..self.access.clone() })
    }
}

/// The problem that another file is there.
const CONFLICT: &str = "push.conflict";

/// What a header of METADATA is called in a form; `None` for those that the form has anyway.
fn field(header: &str) -> Option<String> {
    let name = header.to_ascii_lowercase().replace('-', "_");
    Some(match name.as_str() {
        "name" | "version" => return None,
        "classifier" => "classifiers".to_owned(),
        "project_url" => "project_urls".to_owned(),
        _ => name,
    })
}

/// What stands before a file in a form, and after it. The boundary is made of the file's own digest, which it cannot hold.
fn form(fields: &[(String, String)], file: &str, boundary: &str) -> (Bytes, Bytes) {
    let quoted = |text: &str| text.replace('"', "%22").replace(['\r', '\n'], " ");
    let mut before = String::new();
    for (name, value) in fields {
        let name = quoted(name);
        before.push_str(&format!(
            "--{boundary}\r\nContent-Disposition: form-data; name=\"{name}\"\r\n\r\n{value}\r\n"
        ));
    }
    before.push_str(&format!(
        "--{boundary}\r\nContent-Disposition: form-data; name=\"content\"; filename=\"{}\"\r\n\
         Content-Type: application/octet-stream\r\n\r\n",
        quoted(file)
    ));
    (before.into(), format!("\r\n--{boundary}--\r\n").into())
}
