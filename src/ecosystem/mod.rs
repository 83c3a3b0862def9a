//! Ecosystems: what an ecosystem has to tell the house, and nothing else.
//!
//! Each lives in one folder, behind one cargo feature, and stands in one line of [`registry`]. No ecosystem knows
//! another, nor who calls it: it sees the traits here, and what its context hands it.

#[cfg(any(feature = "npm", feature = "pypi"))]
mod addresses;
mod admit;
mod archive_index;
#[cfg(feature = "sigstore")]
mod attested;
mod export;
pub mod host;
mod install;
mod materialise;
#[cfg(any(feature = "apt", feature = "pypi"))]
mod netrc;
pub mod origin;
pub mod pattern;
mod planned;
pub mod push;
pub mod registry;
mod serve;
pub mod server_address;
mod setup;
pub mod template;
#[cfg(any(test, feature = "faults"))]
pub mod testing;
pub mod weights;

#[cfg(feature = "apt")]
mod apt;
#[cfg(feature = "file")]
mod file;
#[cfg(feature = "npm")]
mod npm;
#[cfg(feature = "oci")]
mod oci;
#[cfg(feature = "pypi")]
mod pypi;

use std::cmp::Ordering;
use std::fs::File;
use std::io::{Read, Seek};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use async_trait::async_trait;
use bundle_format::{Artifact, BlobKey, Digest, Ref, Repository};
use bytes::Bytes;
use serde::{Deserialize, Serialize};
use url::Url;
use zeroize::Zeroizing;

use crate::events::Events;
pub use crate::findings::{Gap, Note};
use crate::net::{Access, PartAnswer, Span};
use crate::problem::Problem;
use crate::settings::Settings;
use crate::spill::{Entry, Sorted};
pub use admit::{Admit, AdmitContext, Together, Verdict};
pub use archive_index::ArchiveIndex;
pub use export::{Chosen, Export, ExportContext, ExportKind, Exported, ExportedFile, ExportedItem};
pub use install::{Attempt, Attempts, Install, Made};
pub use materialise::{DocumentWrite, Materialise, MaterialiseContext};
use pattern::Pattern;
pub use planned::{Gathered, Planned, PlannedFile};
pub use serve::{
    ALL, Answer, BASIC, ClientRequest, Content, LASTING, Principal, QUESTION, Route, Serve, ServeContext,
    Session, SignIn, Takes,
};
pub use setup::{AUTHORITY, ClientFile, Editions, Form, RewrittenLock, Setup, SetupServer};

/// An ecosystem, by what it can do. Every part is optional.
pub trait Ecosystem: Send + Sync {
    /// Its name in records and addresses: lower case.
    fn name(&self) -> &'static str;
    /// The words before the colon of its requests.
    fn words(&self) -> &'static [&'static str];
    /// The schema its artifacts' attributes follow, `npm/1`. Others of its name are stored unchecked.
    fn schema(&self) -> &'static str;
    /// Whether this build knows what artifacts of a schema say, so that it admits them: those of its own, and of what proves
    /// them.
    fn knows(&self, schema: &str) -> bool {
        schema == self.schema()
    }
    /// Whether a path is a lockfile of this ecosystem by its name, so that it may be given without prefix.
    fn is_lockfile(&self, _file_name: &str) -> bool {
        false
    }
    /// Of files of one directory that are lockfiles by their names, those that say what its project needs: where several
    /// say the same, the one that its clients go by.
    fn that_count<'a>(&self, file_names: &[&'a str]) -> Vec<&'a str> {
        file_names.to_vec()
    }
    /// Whether each of its repositories is shown by itself alone: then one path may have other bytes in another repository.
    fn repositories_stand_apart(&self) -> bool {
        false
    }
    /// An artifact's package URL, without the blob's digest in it unless the purl type wants it.
    fn purl(&self, artifact: &Artifact) -> String;
    /// Whether an artifact is there to be known of alone: clients see its metadata and could not install it.
    fn is_metadata_only(&self, _artifact: &Artifact) -> bool {
        false
    }
    /// Whether artifacts of a schema carry what upstream proves others with.
    fn is_proof(&self, _schema: &str) -> bool {
        false
    }
    /// The name of the artifact, of the same repository, that carries upstream's proof of this one.
    fn proved_by(&self, _artifact: &Artifact) -> Option<String> {
        None
    }
    /// What an artifact that carries upstream's proof, of others or of itself, says of it for people: who signed what, and
    /// when it was looked at.
    fn proof(&self, _artifact: &Artifact) -> Option<String> {
        None
    }
    /// Whether artifacts of a schema say what was so when somebody looked: they come out otherwise each time, so what a lock
    /// has of them is as good as what would be found now.
    fn is_of_its_day(&self, _schema: &str) -> bool {
        false
    }
    /// What the artifacts are called, one in a repository, that tell what gets old ([`Ecosystem::as_of`]).
    fn dated(&self) -> Option<&'static str> {
        None
    }
    /// What an artifact tells that gets old, in a word, and as of when (RFC 3339).
    fn as_of<'a>(&self, _artifact: &'a Artifact) -> Option<(&'static str, &'a str)> {
        None
    }
    /// The files of an artifact that are of use by themselves, each with the name that upstream gives it; a slash in that
    /// stands for a folder.
    fn plain_files<'a>(&self, _artifact: &'a Artifact) -> Vec<(String, &'a bundle_format::File)> {
        Vec::new()
    }
    /// What upstream says of an artifact's licence, if its record knows that: an SPDX expression, or what people write.
    fn licence<'a>(&self, _artifact: &'a Artifact) -> Option<&'a str> {
        None
    }
    /// What its artifacts are in a CycloneDX document: one of the types of components there.
    fn component_type(&self) -> &'static str {
        "library"
    }
    /// The request that would bring what a client asked for in vain: a package of a repository, in a version or range, if the
    /// client said one. `None` where no request can say it.
    fn request_for(&self, _repository: &str, _name: &str, _version: &str) -> Option<String> {
        None
    }
    /// Collecting, outside.
    fn collect(&self) -> Option<&dyn Collect> {
        None
    }
    /// Installing what was collected, to prove it.
    fn install(&self) -> Option<&dyn Install> {
        None
    }
    /// Signing in to its upstreams.
    fn login(&self) -> Option<&dyn Login> {
        None
    }
    /// Re-validation at import, inside.
    fn admit(&self) -> Option<&dyn Admit> {
        None
    }
    /// Serving clients.
    fn serve(&self) -> Option<&dyn Serve> {
        None
    }
    /// Documents that are made before clients ask for them.
    fn materialise(&self) -> Option<&dyn Materialise> {
        None
    }
    /// Exporting to files that its clients read.
    fn export(&self) -> Option<&dyn Export> {
        None
    }
    /// What makes a bundle of nothing but its artifacts an OCI archive as well.
    fn archive_index(&self) -> Option<Box<dyn ArchiveIndex>> {
        None
    }
    /// Reads what stands after the colon of a selector.
    ///
    /// # Errors
    /// Usage, if it can select nothing.
    fn pattern(&self, text: &str) -> Result<Box<dyn Pattern>, Problem> {
        Ok(pattern::names(text))
    }
    /// Pushing into servers that speak its protocol.
    fn push(&self) -> Option<&dyn push::Push> {
        None
    }
    /// Configuring clients.
    fn setup(&self) -> &[&dyn Setup] {
        &[]
    }
}

/// What a person asked for, read and identified, not yet resolved.
#[derive(Debug, Clone)]
pub struct Request {
    /// The ecosystem that resolves it.
    pub ecosystem: &'static str,
    /// As the person wrote it: for messages.
    pub text: String,
    /// What it is, without paths: two requests of one identity resolve to the same.
    pub identity: String,
    /// What the ecosystem needs to resolve it.
    pub body: RequestBody,
}

/// What a request consists of.
#[derive(Debug, Clone)]
pub enum RequestBody {
    /// Words: a name and a range, an address.
    Words(String),
    /// A document of this machine, such as a lockfile. It may be large, so it is read again when it is resolved.
    Document {
        /// Where it stands.
        path: PathBuf,
        /// The digest of its bytes when the request was read: they may not change before it is resolved.
        digest: BlobKey,
    },
    /// A file of this machine that is already in the store.
    Blob {
        /// Its base name.
        name: String,
        /// Its blob.
        key: BlobKey,
        /// Its size in bytes.
        size: u64,
    },
}

impl Entry for Ref {
    fn order(&self, other: &Self) -> Ordering {
        fn key(r: &Ref) -> [&str; 4] {
            [&r.ecosystem, &r.repository, &r.name, &r.label]
        }
        key(self).cmp(&key(other))
    }
}

impl Entry for Artifact {
    fn order(&self, other: &Self) -> Ordering {
        fn key(a: &Artifact) -> [&str; 5] {
            [&a.ecosystem, &a.repository, &a.name, &a.version, &a.qualifier]
        }
        key(self).cmp(&key(other))
    }
}

impl Entry for Evidence {
    fn order(&self, other: &Self) -> Ordering {
        self.cmp(other)
    }
}

/// What requests stand for. There may be hundreds of thousands of artifacts, so these lists are not held in memory.
#[derive(Debug, Clone, Default)]
pub struct Resolution {
    /// The repositories that artifacts name.
    pub repositories: Vec<Repository>,
    /// The artifacts.
    pub artifacts: Sorted<Planned>,
    /// The refs.
    pub refs: Sorted<Ref>,
    /// Requests, of any ecosystem, that follow from these.
    pub follow_ups: Vec<String>,
    /// What cannot be had.
    pub gaps: Vec<Gap>,
    /// What a person should know.
    pub notes: Vec<Note>,
    /// The upstream documents this was read from, by their digest: the lock names them.
    pub evidence: Sorted<Evidence>,
}

/// An upstream document that a resolution was read from.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Evidence {
    /// Where it was had, without credentials.
    pub origin: String,
    /// The digest of its decoded bytes.
    pub digest: BlobKey,
}

/// Whether a set of artifacts is enough.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Proof {
    /// What is missing for sure.
    pub gaps: Vec<Gap>,
    /// What may be wanted.
    pub notes: Vec<Note>,
}

/// A metadata document to be had through the one cache.
#[derive(Debug, Clone)]
pub struct MetadataRequest {
    /// Where, and with which credentials.
    pub access: Access,
    /// The Accept header; empty for none.
    pub accept: &'static str,
    /// The most bytes that the decoded document may have.
    pub limit: u64,
    /// Whether caches on the way have to ask the upstream, as after one of them had an answer that cannot be its last.
    pub fresh: bool,
}

/// A metadata document.
#[derive(Debug, Clone)]
pub struct Metadata {
    /// The decoded bytes.
    pub bytes: Bytes,
    /// Their digest.
    pub digest: BlobKey,
    /// The media type as the upstream said it.
    pub content_type: String,
}

/// A page of a list that goes on elsewhere.
#[derive(Debug, Clone)]
pub struct Page {
    /// The decoded bytes.
    pub bytes: Bytes,
    /// Where the list goes on, at the same server (RFC 8288, `rel="next"`).
    pub next: Option<Url>,
}

/// What a helper program wrote, which may well be a secret.
#[derive(Clone)]
pub struct HelperAnswer {
    /// Whether it says, by its exit code, that it did what it was asked for.
    pub succeeded: bool,
    /// What it wrote to its standard output.
    pub output: Zeroizing<String>,
}

/// What can be read at any place of it.
pub trait ReadSeek: Read + Seek + Send {}

impl<T: Read + Seek + Send> ReadSeek for T {}

/// What the project says to an ecosystem, as a part of the identity of each of its requests: a lock that was resolved under
/// other settings is not good any more. Nothing, where it says nothing.
#[cfg(any(feature = "npm", feature = "pypi"))]
fn settings_identity(ecosystem: &str, context: &dyn CollectContext) -> String {
    let settings = context.settings(ecosystem);
    let all: Vec<String> =
        settings.iter().map(|table| serde_json::Value::Object(table.values.clone()).to_string()).collect();
    match all.is_empty() {
        true => String::new(),
        false => format!(" [{}]", BlobKey::of(all.join("\n").as_bytes()).hex().get(..16).unwrap_or_default()),
    }
}

/// What ops hand to a collecting ecosystem.
#[async_trait]
pub trait CollectContext: Send + Sync {
    /// A document through the one cache. `Ok(None)` if the upstream says that it does not exist (404, 410).
    async fn metadata(&self, request: &MetadataRequest) -> Result<Option<Metadata>, Problem>;
    /// The same of a document whose sha256 the upstream tells in a header of that name (lower case): one that is held is
    /// only asked about, where [`CollectContext::metadata`] asks for it.
    async fn metadata_told_by(
        &self,
        request: &MetadataRequest,
        _header: &'static str,
    ) -> Result<Option<Metadata>, Problem> {
        self.metadata(request).await
    }
    /// What a server answers to a question of its own form, a JSON document (POST). It is asked anew each time, and neither
    /// is kept. `Ok(None)` if the server takes no such question (404, 405, 410).
    async fn answer(&self, _request: &MetadataRequest, _question: Bytes) -> Result<Option<Bytes>, Problem> {
        Ok(None)
    }
    /// A page of a list. It is asked for anew each time and not kept: what a list says now is what is wanted, and its
    /// headers say where it goes on. `Ok(None)` if the upstream says that there is none (404, 410).
    async fn page(&self, request: &MetadataRequest) -> Result<Option<Page>, Problem>;
    /// Whether a server answers in plain HTTP at an `http` address that may be spoken to so: this machine's own, and
    /// those that the user named as insecure.
    async fn speaks_plain_http(&self, url: &Url) -> bool;
    /// Keeps a small document (cut out of another, say) as a blob.
    async fn keep(&self, bytes: Bytes) -> Result<BlobKey, Problem>;
    /// Takes what `from` reads into the store, where it goes by `name` in messages and progress; reading it blocks. With
    /// `digest`, it must have that one.
    async fn take_in(
        &self,
        name: &str,
        from: Box<dyn Read + Send>,
        digest: Option<Digest>,
    ) -> Result<(BlobKey, u64), Problem>;
    /// The key of what has this digest: of any sha256, and of what was taken in by another one.
    async fn key_of(&self, digest: &Digest) -> Result<Option<BlobKey>, Problem> {
        Ok(digest.blob_key())
    }
    /// Reads a part of a file, which is not kept.
    async fn part(&self, _access: &Access, _span: Span) -> Result<PartAnswer, Problem> {
        Ok(PartAnswer::Whole)
    }
    /// Downloads what is needed for a while into a file without a name, which is at its beginning then.
    async fn download(&self, access: &Access) -> Result<File, Problem>;
    /// Whether the store holds a blob of that size; then it stays as long as this job needs it.
    async fn hold(&self, key: &BlobKey, size: u64) -> Result<bool, Problem>;
    /// Reads a small blob that is held, at most `limit` bytes.
    async fn held(&self, key: &BlobKey, limit: u64) -> Result<Bytes, Problem>;
    /// Takes a file of this machine into the store.
    async fn ingest(&self, path: &Path) -> Result<(BlobKey, u64), Problem>;
    /// Reads a document of this machine, at most `limit` bytes; `Ok(None)` if there is none.
    async fn read(&self, path: &Path, limit: u64) -> Result<Option<Bytes>, Problem>;
    /// Opens a document of this machine that may be too large to be held in memory; `Ok(None)` if there is none.
    /// Reading it blocks.
    async fn open(&self, path: &Path) -> Result<Option<Box<dyn ReadSeek>>, Problem>;
    /// The files of a directory of this machine, in no order; none, if it is not there.
    async fn list(&self, _directory: &Path) -> Result<Vec<PathBuf>, Problem> {
        Ok(Vec::new())
    }
    /// A directory for what outgrows memory.
    fn scratch(&self) -> &Path;
    /// An environment variable of the user.
    fn environment(&self, name: &str) -> Option<String>;
    /// All environment variables whose names begin with `prefix`.
    fn environment_with(&self, prefix: &str) -> Vec<(String, String)>;
    /// The user's home directory.
    fn home_directory(&self) -> Option<PathBuf>;
    /// The directory the command works in.
    fn directory(&self) -> &Path;
    /// What an installed client prints when it is asked for its configuration, with an empty configuration of its own
    /// when `pristine`; `None` if the client is not there or does not answer within 10 s.
    async fn ask_client(&self, program: &str, arguments: &[&str], pristine: bool) -> Option<String>;
    /// What an installed helper, one that keeps credentials for instance, writes when it reads `input`. It may ask a
    /// person, for a minute. The same question is answered from memory.
    ///
    /// # Errors
    /// If the program cannot be run, takes longer, or writes more than 64 KiB or something that is no text.
    async fn ask_helper(
        &self,
        program: &str,
        arguments: &[&str],
        input: &str,
    ) -> Result<HelperAnswer, Problem>;
    /// Has programs of this machine make files, where they reach neither the network nor what is the user's: see [`Attempt`].
    /// What they leave in `folder` is taken into the store. Where they fail, or take longer than an hour, the end of what they
    /// said is the inner error.
    ///
    /// # Errors
    /// Usage, if this machine cannot cut programs off.
    async fn make(&self, attempt: &Attempt, folder: &str) -> Result<Result<Vec<Made>, String>, Problem>;
    /// Who listens.
    fn events(&self) -> &dyn Events;
    /// Takes a document that may be too large for memory into the store, from where it is said to have this digest and
    /// size, and gives back its key; it is not asked for if it is held. `Ok(None)` if the upstream says that there is none
    /// (404, 410).
    ///
    /// # Errors
    /// Untrusted, if it has another digest or size.
    async fn obtain(
        &self,
        _access: &Access,
        _digest: &Digest,
        _size: u64,
    ) -> Result<Option<BlobKey>, Problem> {
        Ok(None)
    }
    /// Opens a blob that is held. Reading it blocks.
    async fn open_blob(&self, key: &BlobKey) -> Result<Box<dyn ReadSeek>, Problem> {
        let bytes = self.held(key, u64::MAX).await?;
        Ok(Box::new(std::io::Cursor::new(bytes)))
    }
    /// What the project says to an ecosystem alone.
    fn settings(&self, _ecosystem: &str) -> Vec<Settings> {
        Vec::new()
    }
    /// The artifacts of a schema in the lock that this resolution may replace.
    async fn locked(&self, _schema: &str) -> Result<Vec<Planned>, Problem> {
        Ok(Vec::new())
    }
}

/// Collecting: from requests to artifacts, reading metadata only.
#[async_trait]
pub trait Collect: Send + Sync {
    /// Whether a request is one that [`Collect::parse`] reads, by its words alone: neither files nor network are asked.
    fn check(&self, word: &str, what: &str) -> Result<(), Problem>;
    /// Reads a request: the word before the colon, one of [`Ecosystem::words`], and what stands after it; or a path, and
    /// the first of these words. No network.
    async fn parse(&self, word: &str, what: &str, context: &dyn CollectContext) -> Result<Request, Problem>;
    /// Resolves requests for platforms (all, if none is named).
    async fn resolve(
        &self,
        requests: &[Request],
        platforms: &[String],
        context: &dyn CollectContext,
    ) -> Result<Resolution, Problem>;
    /// The ways to its upstreams on this machine. `requests` are those of this ecosystem: what is configured beside their
    /// documents counts.
    ///
    /// # Errors
    /// If a configuration cannot be read.
    async fn upstreams(
        &self,
        requests: &[Request],
        context: &dyn CollectContext,
    ) -> Result<Box<dyn Upstreams>, Problem>;
    /// Whether the checksums of files are named by whoever asks for them, and not by the upstream.
    fn is_asked_by_checksum(&self) -> bool {
        false
    }
    /// Proves that what was gathered is enough, without any network.
    ///
    /// # Errors
    /// Only if it cannot be read; what is missing stands in the proof.
    fn prove(&self, gathered: &Gathered<'_>) -> Result<Proof, Problem>;
    /// Proves besides, without any network, that each system which requests are for gets what they ask for from what was
    /// gathered alone. Nothing to prove, where that follows from [`Collect::prove`].
    ///
    /// # Errors
    /// Incomplete, if one does not.
    async fn prove_requests(
        &self,
        _gathered: &Gathered<'_>,
        _requests: &[Request],
        _platforms: &[String],
        _context: &dyn CollectContext,
    ) -> Result<(), Problem> {
        Ok(())
    }
}

/// The ways to an ecosystem's upstreams, read from the configuration once for a whole run.
#[async_trait]
pub trait Upstreams: Send + Sync {
    /// Mirrors that may have a file of a repository, in the order in which they are asked before its own upstream. None of
    /// them is believed: what they send is held to the file's checksums.
    ///
    /// # Errors
    /// If the file must not be had at all.
    async fn mirrors(
        &self,
        _repository: &str,
        _origin: &str,
        _context: &dyn CollectContext,
    ) -> Result<Vec<Access>, Problem> {
        Ok(Vec::new())
    }
    /// How to reach a file of a repository: the route in use on this machine, with its credentials.
    ///
    /// # Errors
    /// If no way leads there.
    async fn access(
        &self,
        repository: &str,
        origin: &str,
        context: &dyn CollectContext,
    ) -> Result<Access, Problem>;
}

/// Signing in to an upstream as its own client does, so that both know the account afterwards.
#[async_trait]
pub trait Login: Send + Sync {
    /// Asks a host whether it knows the user, and finds out where the client would keep that.
    ///
    /// # Errors
    /// Refused, if the host does not; if it cannot be reached, or the client's configuration cannot be read.
    async fn log_in(
        &self,
        host: &str,
        user: &str,
        password: Zeroizing<String>,
        context: &dyn CollectContext,
    ) -> Result<Keeping, Problem>;
}

/// Where an account is kept.
pub enum Keeping {
    /// A helper program has it already.
    Helper(String),
    /// The client's own file, which is to have these bytes, for the user's eyes alone.
    File {
        /// Where it is.
        path: PathBuf,
        /// All of it.
        bytes: Zeroizing<Vec<u8>>,
    },
}

/// The context as ops hand it about.
pub type SharedContext = Arc<dyn CollectContext>;
