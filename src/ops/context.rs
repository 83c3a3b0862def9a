//! What a collecting ecosystem sees of this machine: the metadata cache, small blobs, files, the environment.

use std::fs::File;
use std::io::{Read, Seek as _, Write as _};
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};

use async_trait::async_trait;
use bundle_format::{BlobKey, Digest};
use bytes::Bytes;
use url::Url;

use super::download::{self, Download};
use super::ingest::{ingest, take_in};
use super::intake::{Intake, digest_name};
use super::make;
use super::programs::Programs;
use crate::blocking::blocking;
use crate::cancel::Cancel;
use crate::config;
use crate::ecosystem::{
    Attempt, CollectContext, HelperAnswer, Made, Metadata, MetadataRequest, Page, Planned, ReadSeek,
};
use crate::events::{Events, Happening};
use crate::fsx;
use crate::net::{self, Access, DocumentAnswer, PartAnswer, Sink, Span, Validators};
use crate::problem::{Kind, Problem};
use crate::settings::Settings;
use crate::spill::Sorted;
use crate::store::{CachedAnswer, Expected, Store, StoreError};

/// Metadata is settled in small groups, so that an interrupted run does not fetch much of it again.
const SETTLE_EVERY: usize = 64;
/// The largest download that is not kept, in bytes: 1 TiB. One that never ends is cut off.
const LARGEST_DOWNLOAD: u64 = 1 << 40;

/// The most files of a directory that are listed.
const LARGEST_LIST: usize = 10_000;

/// The context of one collecting job.
pub struct Outside {
    store: Store,
    client: Arc<net::Client>,
    intake: Arc<Intake>,
    events: Arc<dyn Events>,
    cancel: Cancel,
    directory: PathBuf,
    scratch: PathBuf,
    /// Variables whose names begin with this, in any case, are none for ecosystems.
    ignored: Option<&'static str>,
    programs: Programs,
    /// What the project says to one ecosystem alone.
    settings: OnceLock<Vec<Settings>>,
    /// What the lock has that is being replaced.
    before: OnceLock<Sorted<Planned>>,
}

impl Outside {
    /// A context that works in `directory`.
    pub fn new(
        store: &Store,
        client: Arc<net::Client>,
        events: Arc<dyn Events>,
        cancel: Cancel,
        directory: &Path,
    ) -> Result<Outside, Problem> {
        let intake = Arc::new(Intake::new(store)?.every(SETTLE_EVERY));
        // Ecosystems join it with what they are asked for, and hand that back to be read.
        let directory = std::path::absolute(directory).map_err(|error| {
            let message = format!("cannot find out where {} is", directory.display());
            Problem::new(Kind::Failed, "input.directory", message).caused_by(&error)
        })?;
        Ok(Outside {
            store: store.clone(),
            client,
            intake,
            events,
            cancel,
            programs: Programs::new(&directory),
            directory,
            scratch: store.layout.staging(),
            ignored: None,
            settings: OnceLock::new(),
            before: OnceLock::new(),
        })
    }

    /// The same, where no variable whose name begins with `prefix`, in any case, is seen by ecosystems.
    #[must_use]
    pub fn ignoring_variables(mut self, prefix: &'static str) -> Outside {
        self.ignored = Some(prefix);
        self
    }

    /// Hands on what the project says to one ecosystem alone; the first time counts.
    pub fn follow(&self, settings: &[Settings]) {
        self.settings.get_or_init(|| settings.to_vec());
    }

    /// Remembers what a lock has that may be replaced; the first time counts.
    pub fn remember(&self, artifacts: &Sorted<Planned>) {
        self.before.get_or_init(|| artifacts.clone());
    }

    fn is_ignored(&self, name: &str) -> bool {
        let start = self.ignored.and_then(|prefix| Some((prefix, name.get(..prefix.len())?)));
        start.is_some_and(|(prefix, start)| start.eq_ignore_ascii_case(prefix))
    }

    /// The store that is collected into.
    pub fn store(&self) -> &Store {
        &self.store
    }

    /// The one HTTP client.
    pub fn client(&self) -> &Arc<net::Client> {
        &self.client
    }

    /// Where blobs are taken in.
    pub fn intake(&self) -> &Arc<Intake> {
        &self.intake
    }

    /// Those who listen, to be handed on.
    pub fn shared_events(&self) -> Arc<dyn Events> {
        self.events.clone()
    }

    /// Whether the job was asked to stop.
    pub fn cancel(&self) -> &Cancel {
        &self.cancel
    }

    async fn fetch(
        &self,
        request: &MetadataRequest,
        cached: Option<CachedAnswer>,
    ) -> Result<Option<Metadata>, Problem> {
        let name = cache_name(request);
        let validators = cached.as_ref().map_or_else(Validators::default, |cached| Validators {
            etag: cached.etag.clone(),
            last_modified: cached.last_modified.clone(),
        });
        let MetadataRequest { access, accept, limit, fresh } = request;
        let asked = self.client.document(access, accept, *limit, *fresh, &validators);
        let answer = self.cancel.race(asked).await?;
        match (answer, cached) {
            (DocumentAnswer::NotFound, _) => Ok(None),
            (DocumentAnswer::NotModified, Some(cached)) => self.confirmed(request, cached).await.map(Some),
            (DocumentAnswer::NotModified, None) => Err(Problem::new(
                Kind::Unavailable,
                "net.not-modified",
                "the upstream answered 304 although nothing was asked conditionally",
            )
            .at(net::redact(&request.access.url))),
            (DocumentAnswer::Found(found), _) => {
                let intake = self.intake.clone();
                blocking(move || {
                    let digest = BlobKey::of(&found.bytes);
                    let answer = CachedAnswer {
                        body: digest,
                        etag: found.etag,
                        last_modified: found.last_modified,
                        content_type: found.content_type.clone(),
                        confirmed: crate::clock::now_text(),
                    };
                    intake.keep(&found.bytes, Some((name, answer)))?;
                    Ok(Some(Metadata { bytes: found.bytes, digest, content_type: found.content_type }))
                })
                .await
            }
        }
    }
}

impl Outside {
    /// What an upstream answered before, if its body is held.
    async fn cached(&self, request: &MetadataRequest) -> Result<Option<CachedAnswer>, Problem> {
        let (store, name) = (self.store.clone(), cache_name(request));
        blocking(move || {
            let cached = store.catalogue.cached(&name)?;
            match cached {
                // A body that is gone is no answer: the document is asked for again, unconditionally.
                Some(cached) if store.blobs.size(&cached.body)?.is_none() => Ok(None),
                other => Ok(other),
            }
        })
        .await
    }

    /// An answer that still holds.
    async fn confirmed(
        &self,
        request: &MetadataRequest,
        mut cached: CachedAnswer,
    ) -> Result<Metadata, Problem> {
        let (store, name, limit) = (self.store.clone(), cache_name(request), request.limit);
        blocking(move || {
            let bytes = super::read_blob(&store, &cached.body, limit)?;
            let (digest, content_type) = (cached.body, cached.content_type.clone());
            cached.confirmed = crate::clock::now_text();
            store.catalogue.cache(&[(name, cached)])?;
            Ok(Metadata { bytes, digest, content_type })
        })
        .await
    }
}

/// A download that is needed for a while.
struct Temporary {
    file: fsx::File,
    length: u64,
}

impl Temporary {
    fn new(directory: &Path) -> Result<Temporary, Problem> {
        let file = fsx::nameless_file(directory).map_err(|error| no_room(&error))?;
        Ok(Temporary { file, length: 0 })
    }

    fn finish(self) -> Result<File, Problem> {
        let file = self.file.inner().try_clone().and_then(|mut file| file.rewind().map(|()| file));
        file.map_err(|error| no_room(&error))
    }
}

impl Sink for Temporary {
    fn length(&self) -> u64 {
        self.length
    }

    fn write(&mut self, bytes: &[u8]) -> Result<(), Problem> {
        self.length += bytes.len() as u64;
        self.file.write_all(bytes).map_err(|error| no_room(&error))
    }

    fn restart(&mut self) -> Result<(), Problem> {
        self.length = 0;
        self.file.clear().map_err(|error| no_room(&error))
    }
}

fn no_room(error: &std::io::Error) -> Problem {
    Problem::new(Kind::Failed, "input.temporary", "cannot write a temporary file").caused_by(error)
}

fn unreadable(path: &Path, error: &std::io::Error) -> Problem {
    Problem::new(Kind::Usage, "input.unreadable", format!("cannot read {}", path.display())).caused_by(error)
}

fn cache_name(request: &MetadataRequest) -> String {
    format!("document {} {}", request.accept, request.access.url)
}

#[async_trait]
impl CollectContext for Outside {
    async fn metadata(&self, request: &MetadataRequest) -> Result<Option<Metadata>, Problem> {
        let cached = self.cached(request).await?;
        self.fetch(request, cached).await
    }

    async fn metadata_told_by(
        &self,
        request: &MetadataRequest,
        header: &'static str,
    ) -> Result<Option<Metadata>, Problem> {
        let cached = self.cached(request).await?;
        if let Some(held) = &cached {
            match self.cancel.race(self.client.head(&request.access, request.accept)).await {
                Ok(Some(head)) if head.header(header) == Some(held.body.to_string().as_str()) => {
                    return self.confirmed(request, held.clone()).await.map(Some);
                }
                // Some answer to nothing but GET.
                Err(problem) if problem.code != "net.status" => return Err(problem),
                _ => {}
            }
        }
        self.fetch(request, cached).await
    }

    async fn answer(&self, request: &MetadataRequest, question: Bytes) -> Result<Option<Bytes>, Problem> {
        let asked = self.client.answer(&request.access, request.limit, question);
        Ok(self.cancel.race(asked).await?.map(|document| document.bytes))
    }

    async fn page(&self, request: &MetadataRequest) -> Result<Option<Page>, Problem> {
        let MetadataRequest { access, accept, limit, fresh } = request;
        let held = Validators::default();
        let asked = self.client.document(access, accept, *limit, *fresh, &held);
        match self.cancel.race(asked).await? {
            DocumentAnswer::Found(found) => Ok(Some(Page { bytes: found.bytes, next: found.next })),
            DocumentAnswer::NotFound | DocumentAnswer::NotModified => Ok(None),
        }
    }

    async fn speaks_plain_http(&self, url: &Url) -> bool {
        self.client.speaks_plain_http(url).await
    }

    async fn keep(&self, bytes: Bytes) -> Result<BlobKey, Problem> {
        let intake = self.intake.clone();
        blocking(move || intake.keep(&bytes, None)).await
    }

    async fn take_in(
        &self,
        name: &str,
        from: Box<dyn Read + Send>,
        digest: Option<Digest>,
    ) -> Result<(BlobKey, u64), Problem> {
        let (store, intake, name) = (self.store.clone(), self.intake.clone(), name.to_owned());
        let (events, cancel) = (self.events.clone(), self.cancel.clone());
        blocking(move || take_in(&store, &intake, (&name, from, digest), &*events, &cancel)).await
    }

    async fn part(&self, access: &Access, span: Span) -> Result<PartAnswer, Problem> {
        self.cancel.race(self.client.part(access, span)).await
    }

    async fn download(&self, access: &Access) -> Result<File, Problem> {
        let directory = self.scratch.clone();
        let mut sink = blocking(move || Temporary::new(&directory)).await?;
        let events = self.events.clone();
        let progress = move |bytes| events.emit(Happening::ItemProgress { bytes });
        let downloaded = self.client.download(access, None, LARGEST_DOWNLOAD, &mut sink, &progress);
        self.cancel.race(downloaded).await?;
        sink.finish()
    }

    async fn key_of(&self, digest: &Digest) -> Result<Option<BlobKey>, Problem> {
        match digest.blob_key() {
            Some(key) => Ok(Some(key)),
            None => {
                let (intake, digest) = (self.intake.clone(), digest.clone());
                blocking(move || intake.known_as(&digest)).await
            }
        }
    }

    async fn hold(&self, key: &BlobKey, size: u64) -> Result<bool, Problem> {
        let (intake, key) = (self.intake.clone(), *key);
        blocking(move || intake.hold(&key, size)).await
    }

    async fn held(&self, key: &BlobKey, limit: u64) -> Result<Bytes, Problem> {
        let (store, intake, key) = (self.store.clone(), self.intake.clone(), *key);
        blocking(move || {
            // What was taken in a moment ago must be seen.
            intake.flush()?;
            super::read_blob(&store, &key, limit)
        })
        .await
    }

    async fn ingest(&self, path: &Path) -> Result<(BlobKey, u64), Problem> {
        let (store, intake, path) = (self.store.clone(), self.intake.clone(), path.to_owned());
        let (events, cancel) = (self.events.clone(), self.cancel.clone());
        blocking(move || ingest(&store, &intake, &path, &*events, &cancel)).await
    }

    async fn read(&self, path: &Path, limit: u64) -> Result<Option<Bytes>, Problem> {
        let path = self.directory.join(path);
        blocking(move || {
            let read = fsx::read_limited(&path, limit).map(|bytes| bytes.map(Bytes::from));
            read.map_err(|error| unreadable(&path, &error))
        })
        .await
    }

    async fn open(&self, path: &Path) -> Result<Option<Box<dyn ReadSeek>>, Problem> {
        let path = self.directory.join(path);
        blocking(move || match std::fs::File::open(&path) {
            Ok(file) => Ok(Some(Box::new(file) as Box<dyn ReadSeek>)),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(unreadable(&path, &error)),
        })
        .await
    }

    async fn list(&self, directory: &Path) -> Result<Vec<PathBuf>, Problem> {
        let directory = self.directory.join(directory);
        blocking(move || {
            let entries = match std::fs::read_dir(&directory) {
                Ok(entries) => entries,
                Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
                Err(error) => return Err(unreadable(&directory, &error)),
            };
            let paths = entries.take(LARGEST_LIST).map(|entry| entry.map(|entry| entry.path()));
            paths.collect::<Result<_, _>>().map_err(|error| unreadable(&directory, &error))
        })
        .await
    }

    fn scratch(&self) -> &Path {
        &self.scratch
    }

    fn environment(&self, name: &str) -> Option<String> {
        if self.is_ignored(name) { None } else { config::variable(name) }
    }

    fn environment_with(&self, prefix: &str) -> Vec<(String, String)> {
        let mut variables = config::all_with_prefix(prefix);
        variables.retain(|(name, _)| !self.is_ignored(name));
        variables
    }

    fn home_directory(&self) -> Option<PathBuf> {
        config::user_home()
    }

    fn directory(&self) -> &Path {
        &self.directory
    }

    async fn ask_client(&self, program: &str, arguments: &[&str], pristine: bool) -> Option<String> {
        self.programs.ask_client(program, arguments, pristine).await
    }

    async fn ask_helper(
        &self,
        program: &str,
        arguments: &[&str],
        input: &str,
    ) -> Result<HelperAnswer, Problem> {
        self.cancel.race(self.programs.ask_helper(program, arguments, input)).await
    }

    async fn make(&self, attempt: &Attempt, folder: &str) -> Result<Result<Vec<Made>, String>, Problem> {
        make::make(self, attempt, folder).await
    }

    fn events(&self) -> &dyn Events {
        &*self.events
    }

    async fn obtain(&self, access: &Access, digest: &Digest, size: u64) -> Result<Option<BlobKey>, Problem> {
        if let Some(key) = self.key_of(digest).await?
            && self.hold(&key, size).await?
        {
            return Ok(Some(key));
        }
        let segments = access.url.path_segments();
        let item = segments.and_then(|mut segments| segments.next_back()).unwrap_or_default();
        let key = digest.blob_key();
        let checksums = key.is_none().then(|| digest.clone()).into_iter().collect();
        let expected = Expected { key, size: Some(size), checksums };
        // By this name [`CollectContext::key_of`] finds what has another digest.
        let alias = key.map_or_else(|| digest_name(digest), |key| format!("document {key}"));
        match download::download(Download { access, item, alias: &alias, expected }, self).await {
            Ok(None) => self.key_of(digest).await,
            Ok(Some(error)) => Err(Problem::new(
                Kind::Untrusted,
                "collect.upstream-mismatch",
                "the upstream sent other bytes than it published a checksum for",
            )
            .at(net::redact(&access.url))
            .because(error.to_string())),
            Err(problem) if problem.code == "net.not-found" => Ok(None),
            Err(problem) => Err(problem),
        }
    }

    async fn open_blob(&self, key: &BlobKey) -> Result<Box<dyn ReadSeek>, Problem> {
        let (store, intake, key) = (self.store.clone(), self.intake.clone(), *key);
        blocking(move || {
            intake.flush()?;
            let blob = store.blobs.open(&key)?.ok_or(StoreError::Missing(key))?;
            Ok(Box::new(blob.file) as Box<dyn ReadSeek>)
        })
        .await
    }

    fn settings(&self, ecosystem: &str) -> Vec<Settings> {
        let all = self.settings.get().into_iter().flatten();
        all.filter(|settings| settings.ecosystem == ecosystem).cloned().collect()
    }

    async fn locked(&self, schema: &str) -> Result<Vec<Planned>, Problem> {
        let Some(before) = self.before.get().cloned() else { return Ok(Vec::new()) };
        let schema = schema.to_owned();
        blocking(move || {
            before.iter().filter(|one| one.as_ref().map_or(true, |one| one.schema == schema)).collect()
        })
        .await
    }
}
