//! Downloading what a lock names and the store lacks.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use bundle_format::{Algorithm, BlobKey};
use tokio::task::JoinSet;

use super::context::Outside;
use super::lock_file::Lock;
use super::recall::alias;
use crate::blocking::blocking;
use crate::ecosystem::{Collect, Planned, PlannedFile, Request, registry};
use crate::events::Happening;
use crate::net::{self, Access, Sink};
use crate::problem::{Kind, Problem};
use crate::store::{BlobWrite, CachedAnswer, Expected, StoreError};

/// No single file may be larger: 1 TiB. An upstream that never ends is cut off.
const FILE_LIMIT: u64 = 1 << 40;

/// What is to be downloaded, each file once whatever number of artifacts name it.
struct Wanted {
    alias: String,
    ecosystem: String,
    repository: String,
    /// The first artifact that it belongs to, for people.
    artifact: String,
    file: PlannedFile,
}

impl Wanted {
    fn of(lock: &Lock) -> Vec<Wanted> {
        let mut seen = HashSet::new();
        let mut wanted = Vec::new();
        for artifact in &lock.artifacts {
            for file in artifact.files.iter().filter(|file| !file.held) {
                let Some(alias) = alias(&artifact.repository, file) else { continue };
                if seen.insert(alias.clone()) {
                    let (ecosystem, repository) = (artifact.ecosystem.clone(), artifact.repository.clone());
                    let (artifact, file) = (named(artifact), file.clone());
                    wanted.push(Wanted { alias, ecosystem, repository, artifact, file });
                }
            }
        }
        wanted
    }

    fn collect(&self) -> Option<&'static dyn Collect> {
        registry::find(&self.ecosystem)?.collect()
    }

    /// A failed download, with what it is of.
    fn failed(&self, mut problem: Problem) -> Problem {
        if problem.code.starts_with("net.") {
            problem.message = format!("{} cannot be downloaded: {}", self.artifact, problem.message);
        }
        if problem.code == "net.not-found" {
            problem = problem.hint(
                "it may have been removed upstream, or be hidden from whoever is not logged in: check the address",
            );
        }
        problem
    }

    /// Bytes that are not the expected ones.
    fn mismatched(&self) -> Problem {
        let by_checksum = self.collect().is_some_and(|collect| collect.is_asked_by_checksum());
        let (instead, hint) = if by_checksum {
            (
                "the checksum that was asked for",
                "nothing of it was kept; compare the checksum with what the publisher names now",
            )
        } else {
            (
                "it published checksums for",
                "nothing of it was kept; try again, and if it stays so, ask whoever runs that upstream or the proxy before it",
            )
        };
        let message = format!("the upstream sent other bytes than {instead}");
        Problem::new(Kind::Untrusted, "collect.upstream-mismatch", message).hint(hint)
    }

    async fn access(&self, requests: &[Request], outside: &Outside) -> Result<Access, Problem> {
        let collect = self.collect().ok_or_else(|| {
            let message = format!("{} cannot be collected by this version", self.ecosystem);
            Problem::new(Kind::Usage, "request.not-collected", message)
        })?;
        let requests: Vec<Request> =
            requests.iter().filter(|request| request.ecosystem == self.ecosystem).cloned().collect();
        collect.access(&requests, &self.repository, &self.file.origin, outside).await
    }
}

/// An artifact in a message: `npm left-pad 1.3.0`.
fn named(artifact: &Planned) -> String {
    let parts = [&artifact.ecosystem, &artifact.name, &artifact.version, &artifact.qualifier];
    let parts: Vec<&str> = parts.into_iter().map(String::as_str).filter(|part| !part.is_empty()).collect();
    parts.join(" ")
}

/// Asks upstream for the sizes that its metadata does not tell, so that the preflight is worth something. An upstream
/// that does not say leaves them unknown.
pub async fn ask_sizes(
    mut lock: Lock,
    requests: &Arc<Vec<Request>>,
    outside: &Arc<Outside>,
    jobs: usize,
) -> Result<Lock, Problem> {
    let mut unknown = Wanted::of(&lock);
    unknown.retain(|wanted| wanted.file.size.or(wanted.file.estimate).is_none());
    let (asking, requests) = (outside.clone(), requests.clone());
    let sizes = at_once(unknown, jobs, move |wanted| {
        let (outside, requests) = (asking.clone(), requests.clone());
        async move {
            let access = wanted.access(&requests, &outside).await?;
            let size = outside.cancel().race(async { Ok(outside.client().size(&access).await) }).await?;
            Ok((wanted.alias, size))
        }
    })
    .await?;
    let sizes: HashMap<String, Option<u64>> = sizes.into_iter().collect();
    for artifact in &mut lock.artifacts {
        for file in artifact.files.iter_mut().filter(|file| !file.held && file.estimate.is_none()) {
            file.estimate = alias(&artifact.repository, file).and_then(|alias| *sizes.get(&alias)?);
        }
    }
    Ok(lock)
}

/// Downloads every file that is not held, and fills its blob in. Says whether there was any.
///
/// # Errors
/// The first download that fails for good ends the others; what arrived stays in the store.
pub async fn fetch(
    mut lock: Lock,
    requests: &Arc<Vec<Request>>,
    outside: &Arc<Outside>,
    jobs: usize,
) -> Result<(Lock, bool), Problem> {
    let wanted = Wanted::of(&lock);
    let any = !wanted.is_empty();
    if any {
        let bytes = wanted.iter().map(|wanted| wanted.file.size.or(wanted.file.estimate)).sum();
        let items = Some(wanted.len() as u64);
        outside.shared_events().emit(Happening::Stage { name: "download".into(), items, bytes });
    }
    let (fetching, requests) = (outside.clone(), requests.clone());
    let done = at_once(wanted, jobs, move |wanted| {
        let (outside, requests) = (fetching.clone(), requests.clone());
        async move {
            let held = download(&wanted, &requests, &outside).await?;
            Ok((wanted.alias, held))
        }
    })
    .await;
    // Whether all went well or not: what came is kept.
    let intake = outside.intake().clone();
    blocking(move || intake.flush()).await?;
    let done: HashMap<String, (BlobKey, u64)> = done?.into_iter().collect();
    for artifact in &mut lock.artifacts {
        for file in artifact.files.iter_mut().filter(|file| !file.held) {
            if let Some((key, size)) = alias(&artifact.repository, file).and_then(|alias| done.get(&alias)) {
                (file.blob, file.size, file.estimate, file.held) = (Some(*key), Some(*size), None, true);
            }
        }
    }
    Ok((lock, any))
}

/// Works on many things, so many at once; the first that fails ends the others.
async fn at_once<T, R, F>(
    things: Vec<T>,
    jobs: usize,
    work: impl Fn(T) -> F + Send + 'static,
) -> Result<Vec<R>, Problem>
where
    R: Send + 'static,
    F: Future<Output = Result<R, Problem>> + Send + 'static,
{
    let mut waiting = things.into_iter();
    let mut running: JoinSet<Result<R, Problem>> = JoinSet::new();
    let mut done = Vec::new();
    loop {
        while running.len() < jobs.max(1)
            && let Some(thing) = waiting.next()
        {
            running.spawn(work(thing));
        }
        let Some(finished) = running.join_next().await else { return Ok(done) };
        let result = finished.unwrap_or_else(|error| {
            let message = "a download ended early";
            Err(Problem::new(Kind::Failed, "internal.panic", message).because(error.to_string()))
        });
        match result {
            Ok(result) => done.push(result),
            Err(problem) => {
                running.shutdown().await;
                return Err(problem);
            }
        }
    }
}

async fn download(
    wanted: &Wanted,
    requests: &[Request],
    outside: &Arc<Outside>,
) -> Result<(BlobKey, u64), Problem> {
    let (file, alias) = (&wanted.file, &wanted.alias);
    let access = wanted.access(requests, outside).await?;
    let place = net::redact(&access.url).to_string();
    let events = outside.shared_events();
    events.emit(Happening::ItemStart { item: file.path.clone(), bytes: file.size });

    let mut algorithms: Vec<Algorithm> = file.checksums.iter().map(|checksum| checksum.algorithm()).collect();
    algorithms.sort();
    algorithms.dedup();
    algorithms.retain(|algorithm| *algorithm != Algorithm::Sha256);
    let staging_name = BlobKey::of(alias.as_bytes()).hex();
    let expected = Expected { key: file.blob, size: file.size, checksums: file.checksums.clone() };

    let mut resumed = true;
    loop {
        let (store, name, also) = (outside.store().clone(), staging_name.clone(), algorithms.clone());
        let write = blocking(move || Ok(store.blobs.resume(&name, &also)?)).await?;
        resumed &= write.length() > 0;
        let mut sink = StagingSink { write: Some(write) };
        let progress = |bytes| events.emit(Happening::ItemProgress { bytes });
        let limit = file.size.unwrap_or(FILE_LIMIT);
        let fetched = outside.client().download(&access, file.size, limit, &mut sink, &progress);
        let result = outside.cancel().race(fetched).await;
        let Some(write) = sink.write.take() else {
            return Err(Problem::new(Kind::Failed, "internal.sink", "a download lost its staging file"));
        };
        if let Err(problem) = result {
            // The staged bytes stay for the next run.
            write.suspend();
            return Err(wanted.failed(problem));
        }
        let (check, intake, note) = (expected.clone(), outside.intake().clone(), alias.to_owned());
        let staged = blocking(move || match write.stage(&check) {
            Ok(staged) => {
                let size = staged.size();
                let answer = CachedAnswer {
                    body: staged.key(),
                    etag: None,
                    last_modified: None,
                    content_type: String::new(),
                    confirmed: crate::clock::now_text(),
                };
                Ok(Ok((intake.take(staged, Some((note, answer)))?, size)))
            }
            Err(error @ (StoreError::Mismatch { .. } | StoreError::Size { .. })) => Ok(Err(error)),
            Err(error) => Err(error.into()),
        })
        .await?;
        match staged {
            Ok(done) => {
                events.emit(Happening::ItemDone { item: file.path.clone() });
                return Ok(done);
            }
            // What an earlier run left may be what is wrong: once more, from the start.
            Err(_) if resumed => resumed = false,
            Err(error) => {
                return Err(wanted.mismatched().at(place).because(error.to_string()));
            }
        }
    }
}

/// Writes a download to its staging file.
struct StagingSink {
    write: Option<Box<dyn BlobWrite>>,
}

impl StagingSink {
    fn inner(&mut self) -> Result<&mut Box<dyn BlobWrite>, Problem> {
        self.write
            .as_mut()
            .ok_or_else(|| Problem::new(Kind::Failed, "internal.sink", "a download lost its staging file"))
    }
}

impl Sink for StagingSink {
    fn length(&self) -> u64 {
        self.write.as_ref().map_or(0, |write| write.length())
    }

    fn write(&mut self, bytes: &[u8]) -> Result<(), Problem> {
        Ok(self.inner()?.write(bytes)?)
    }

    fn restart(&mut self) -> Result<(), Problem> {
        Ok(self.inner()?.restart()?)
    }
}
