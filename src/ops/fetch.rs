//! Downloading what a lock names and the store lacks.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use bundle_format::BlobKey;
use tokio::sync::Mutex;
use tokio::task::JoinSet;

use super::context::Outside;
use super::download::{self, Download};
use super::lock_file::Lock;
use super::recall::alias;
use crate::blocking::blocking;
use crate::ecosystem::{Collect, CollectContext as _, Planned, PlannedFile, Request, Upstreams, registry};
use crate::events::Happening;
use crate::net::{self, Access};
use crate::problem::{Kind, Problem};
use crate::spill::Sorter;
use crate::store::Expected;

/// How many artifacts are worked on at once where their files are asked about.
const CHUNK: usize = 512;
/// The code of a problem with bytes that are not the expected ones.
const MISMATCH: &str = "collect.upstream-mismatch";

/// A file that is to be downloaded.
struct Wanted {
    alias: String,
    ecosystem: String,
    repository: String,
    /// The first artifact that it belongs to, for people.
    artifact: String,
    file: PlannedFile,
}

impl Wanted {
    /// The files of an artifact that are not held and can be downloaded.
    fn of(artifact: &Planned) -> impl Iterator<Item = Wanted> {
        artifact.files.iter().filter(|file| !file.held).filter_map(|file| {
            Some(Wanted {
                alias: alias(&artifact.repository, file)?,
                ecosystem: artifact.ecosystem.clone(),
                repository: artifact.repository.clone(),
                artifact: named(artifact),
                file: file.clone(),
            })
        })
    }

    /// What is to be downloaded for a lock, each file once whatever number of artifacts name it.
    fn of_all(lock: &Lock) -> impl Iterator<Item = Result<Wanted, Problem>> + Send + use<> {
        let mut seen = HashSet::new();
        let wanted = lock.artifacts.iter().flat_map(|artifact| match artifact {
            Ok(artifact) => Wanted::of(&artifact).map(Ok).collect(),
            Err(problem) => vec![Err(problem)],
        });
        wanted.filter(move |wanted| match wanted {
            // A digest of the alias instead of the alias: there may be very many.
            Ok(wanted) => seen.insert(BlobKey::of(wanted.alias.as_bytes())),
            Err(_) => true,
        })
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
        Problem::new(Kind::Untrusted, MISMATCH, message).hint(hint)
    }
}

/// The ways to all upstreams, each ecosystem's read when it is first needed.
#[derive(Clone)]
struct Ways {
    outside: Arc<Outside>,
    requests: Arc<Vec<Request>>,
    opened: Arc<Mutex<HashMap<String, Arc<dyn Upstreams>>>>,
}

impl Ways {
    fn new(outside: &Arc<Outside>, requests: &Arc<Vec<Request>>) -> Ways {
        Ways { outside: outside.clone(), requests: requests.clone(), opened: Arc::default() }
    }

    async fn mirrors(&self, wanted: &Wanted) -> Result<Vec<Access>, Problem> {
        let upstreams = self.upstreams(wanted).await?;
        upstreams.mirrors(&wanted.repository, &wanted.file.origin, &*self.outside).await
    }

    async fn access(&self, wanted: &Wanted) -> Result<Access, Problem> {
        let upstreams = self.upstreams(wanted).await?;
        upstreams.access(&wanted.repository, &wanted.file.origin, &*self.outside).await
    }

    async fn upstreams(&self, wanted: &Wanted) -> Result<Arc<dyn Upstreams>, Problem> {
        let ecosystem = &wanted.ecosystem;
        // Held while the configuration is read: whoever wants the same meanwhile waits for it.
        let mut opened = self.opened.lock().await;
        if let Some(upstreams) = opened.get(ecosystem) {
            return Ok(upstreams.clone());
        }
        let collect = wanted.collect().ok_or_else(|| {
            let message = format!("{ecosystem} cannot be collected by this version");
            Problem::new(Kind::Usage, "request.not-collected", message)
        })?;
        let of_ecosystem = self.requests.iter().filter(|request| request.ecosystem == ecosystem);
        let requests: Vec<Request> = of_ecosystem.cloned().collect();
        let upstreams: Arc<dyn Upstreams> = collect.upstreams(&requests, &*self.outside).await?.into();
        opened.insert(ecosystem.clone(), upstreams.clone());
        Ok(upstreams)
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
    let is_unknown = |file: &PlannedFile| !file.held && file.size.or(file.estimate).is_none();
    let any = |artifact: Planned| artifact.files.iter().any(is_unknown);
    if !lock.artifacts.iter().any(|artifact| artifact.map_or(true, any)) {
        return Ok(lock);
    }
    let ways = Ways::new(outside, requests);
    let mut asked = Sorter::new(outside.scratch());
    let mut artifacts = lock.artifacts.iter();
    loop {
        let mut chunk = artifacts.by_ref().take(CHUNK).collect::<Result<Vec<Planned>, Problem>>()?;
        if chunk.is_empty() {
            break;
        }
        let mut sizes: HashMap<String, Option<u64>> = HashMap::new();
        let unknown = chunk.iter().flat_map(Wanted::of).filter(|wanted| is_unknown(&wanted.file)).map(Ok);
        let unknown: Vec<_> = unknown.collect();
        let (asking, ways) = (outside.clone(), ways.clone());
        let ask = move |wanted: Wanted| {
            let (outside, ways) = (asking.clone(), ways.clone());
            async move {
                let access = ways.access(&wanted).await?;
                let size = outside.cancel().race(async { Ok(outside.client().size(&access).await) }).await?;
                Ok((wanted.alias, size))
            }
        };
        at_once(unknown, jobs, ask, |(alias, size)| {
            sizes.insert(alias, size);
        })
        .await?;
        for artifact in &mut chunk {
            for file in artifact.files.iter_mut().filter(|file| is_unknown(file)) {
                file.estimate = alias(&artifact.repository, file).and_then(|alias| *sizes.get(&alias)?);
            }
        }
        asked.extend(chunk)?;
    }
    lock.artifacts = asked.finish()?;
    Ok(lock)
}

/// Downloads every file that is not held; the store knows each by its alias then. Says whether there was any.
///
/// # Errors
/// The first download that fails for good ends the others; what arrived stays in the store.
pub async fn fetch(
    lock: &Lock,
    requests: &Arc<Vec<Request>>,
    outside: &Arc<Outside>,
    jobs: usize,
) -> Result<bool, Problem> {
    let counting = lock.clone();
    let (items, bytes) = blocking(move || {
        let (mut items, mut bytes) = (0, Some(0));
        for wanted in Wanted::of_all(&counting) {
            let file = wanted?.file;
            items += 1;
            bytes = bytes.and_then(|bytes: u64| bytes.checked_add(file.size.or(file.estimate)?));
        }
        Ok((items, bytes))
    })
    .await?;
    if items == 0 {
        return Ok(false);
    }
    let stage = Happening::Stage { name: "download".into(), items: Some(items), bytes };
    outside.shared_events().emit(stage);
    let ways = Ways::new(outside, requests);
    let fetch = move |wanted: Wanted| {
        let ways = ways.clone();
        async move { download_wanted(&wanted, &ways).await }
    };
    let done = at_once(Wanted::of_all(lock), jobs, fetch, drop).await;
    // Whether all went well or not: what came is kept.
    let intake = outside.intake().clone();
    blocking(move || intake.flush()).await?;
    done.map(|()| true)
}

/// Works on many things, so many at once, and hands over each result as it comes; the first that fails ends the others.
async fn at_once<T, R, F>(
    things: impl IntoIterator<Item = Result<T, Problem>>,
    jobs: usize,
    work: impl Fn(T) -> F,
    mut done: impl FnMut(R),
) -> Result<(), Problem>
where
    R: Send + 'static,
    F: Future<Output = Result<R, Problem>> + Send + 'static,
{
    let mut waiting = things.into_iter();
    let mut running: JoinSet<Result<R, Problem>> = JoinSet::new();
    loop {
        let mut failed = None;
        while running.len() < jobs.max(1)
            && let Some(thing) = waiting.next()
        {
            match thing {
                Ok(thing) => drop(running.spawn(work(thing))),
                Err(problem) => {
                    failed = Some(problem);
                    break;
                }
            }
        }
        let result = match failed {
            Some(problem) => Err(problem),
            None => match running.join_next().await {
                None => return Ok(()),
                Some(Ok(result)) => result,
                Some(Err(error)) => {
                    let message = "a download ended early";
                    Err(Problem::new(Kind::Failed, "internal.panic", message).because(error.to_string()))
                }
            },
        };
        match result {
            Ok(result) => done(result),
            Err(problem) => {
                running.shutdown().await;
                return Err(problem);
            }
        }
    }
}

/// Downloads a file from the first mirror that has it, else from its own upstream, which says what is wrong if nobody has.
async fn download_wanted(wanted: &Wanted, ways: &Ways) -> Result<(), Problem> {
    for access in ways.mirrors(wanted).await? {
        match download_from(access, wanted, ways).await {
            Err(problem) if problem.code.starts_with("net.") || problem.code == MISMATCH => {}
            result => return result,
        }
    }
    download_from(ways.access(wanted).await?, wanted, ways).await
}

async fn download_from(access: Access, wanted: &Wanted, ways: &Ways) -> Result<(), Problem> {
    let (file, place) = (&wanted.file, net::redact(&access.url).to_string());
    let expected = Expected { key: file.blob, size: file.size, checksums: file.checksums.clone() };
    let what = Download { access: &access, item: &file.path, alias: &wanted.alias, expected };
    match download::download(what, &ways.outside).await {
        Ok(None) => Ok(()),
        Ok(Some(error)) => Err(wanted.mismatched().at(place).because(error.to_string())),
        Err(problem) => Err(wanted.failed(problem)),
    }
}
