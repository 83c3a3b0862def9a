//! Downloading what a lock names and the store lacks.

use std::collections::BTreeMap;
use std::sync::Arc;

use bundle_format::{Algorithm, BlobKey};
use tokio::task::JoinSet;

use super::context::Outside;
use super::lock_file::Lock;
use crate::blocking::blocking;
use crate::ecosystem::{Collect, PlannedFile, registry};
use crate::events::Happening;
use crate::net::{self, Sink};
use crate::problem::{Kind, Problem};
use crate::store::{BlobWrite, CachedAnswer, Expected, StoreError};

/// No single file may be larger: 1 TiB. An upstream that never ends is cut off.
const FILE_LIMIT: u64 = 1 << 40;

/// What a file is known by until its blob is known: its strongest checksum, else where it comes from.
fn alias(repository: &str, file: &PlannedFile) -> Option<String> {
    if let Some(strong) = file.checksums.iter().filter(|checksum| checksum.is_strong()).max() {
        return Some(format!("file {strong}"));
    }
    let checksum = file.checksums.first().map(ToString::to_string).unwrap_or_default();
    (!file.origin.is_empty()).then(|| format!("file {repository} {} {checksum}", file.origin))
}

/// Fills in the blobs that the store holds already, marks them as held, and claims them.
///
/// Returned too is the number of files that are not held and cannot be downloaded (they have no origin): they
/// must be resolved anew.
pub async fn recall(mut lock: Lock, outside: &Arc<Outside>) -> Result<(Lock, usize), Problem> {
    let outside = outside.clone();
    blocking(move || {
        let store = outside.store();
        let mut known: Vec<BlobKey> = Vec::new();
        for artifact in &mut lock.artifacts {
            let repository = &artifact.repository;
            for file in &mut artifact.files {
                if file.blob.is_none()
                    && let Some(alias) = alias(repository, file)
                    && let Some(answer) = store.catalogue.cached(&alias)?
                {
                    file.blob = Some(answer.body);
                }
                known.extend(file.blob);
            }
        }
        known.sort();
        known.dedup();
        for keys in known.chunks(1024) {
            outside.intake().claim(keys)?;
        }
        let mut lost = 0;
        for file in lock.artifacts.iter_mut().flat_map(|artifact| &mut artifact.files) {
            let Some(blob) = file.blob else { continue };
            match store.blobs.size(&blob)? {
                Some(size) if file.size.is_none_or(|expected| expected == size) => {
                    (file.size, file.held) = (Some(size), true);
                }
                // The digest stays known: the download is held to it.
                _ => lost += usize::from(file.origin.is_empty()),
            }
        }
        Ok((lock, lost))
    })
    .await
}

/// Downloads every file that is not held, and fills its blob in.
///
/// # Errors
/// The first download that fails for good ends the others; what arrived stays in the store.
pub async fn fetch(mut lock: Lock, outside: &Arc<Outside>, jobs: usize) -> Result<Lock, Problem> {
    // One download per alias, whatever number of files name it.
    let mut wanted: BTreeMap<String, (String, String, PlannedFile)> = BTreeMap::new();
    for artifact in &lock.artifacts {
        for file in artifact.files.iter().filter(|file| !file.held) {
            if let Some(alias) = alias(&artifact.repository, file) {
                let place = (artifact.ecosystem.clone(), artifact.repository.clone(), file.clone());
                wanted.entry(alias).or_insert(place);
            }
        }
    }
    let bytes = wanted.values().map(|(_, _, file)| file.size).sum();
    let items = wanted.len() as u64;
    if items > 0 {
        outside.shared_events().emit(Happening::Stage { name: "download".into(), items: Some(items), bytes });
    }
    let mut waiting = wanted.into_iter();
    let mut running: JoinSet<Result<(String, BlobKey, u64), Problem>> = JoinSet::new();
    let mut done: BTreeMap<String, (BlobKey, u64)> = BTreeMap::new();
    loop {
        while running.len() < jobs.max(1)
            && let Some((alias, (ecosystem, repository, file))) = waiting.next()
        {
            let outside = outside.clone();
            running.spawn(async move {
                let (key, size) = download(&outside, &alias, &ecosystem, &repository, &file).await?;
                Ok((alias, key, size))
            });
        }
        let Some(finished) = running.join_next().await else { break };
        let result = finished.map_err(|error| {
            Problem::new(Kind::Failed, "internal.panic", "a download ended early").because(error.to_string())
        })?;
        match result {
            Ok((alias, key, size)) => _ = done.insert(alias, (key, size)),
            Err(problem) => {
                running.shutdown().await;
                // What other downloads brought is kept for the next run.
                let intake = outside.intake().clone();
                blocking(move || intake.flush()).await?;
                return Err(problem);
            }
        }
    }
    for artifact in &mut lock.artifacts {
        for file in artifact.files.iter_mut().filter(|file| !file.held) {
            if let Some((key, size)) = alias(&artifact.repository, file).and_then(|alias| done.get(&alias)) {
                (file.blob, file.size, file.held) = (Some(*key), Some(*size), true);
            }
        }
    }
    Ok(lock)
}

async fn download(
    outside: &Arc<Outside>,
    alias: &str,
    ecosystem: &str,
    repository: &str,
    file: &PlannedFile,
) -> Result<(BlobKey, u64), Problem> {
    let collect: &dyn Collect = registry::find(ecosystem).and_then(|ecosystem| ecosystem.collect()).ok_or_else(|| {
        Problem::new(Kind::Usage, "request.not-collected", format!("{ecosystem} cannot be collected by this version"))
    })?;
    let access = collect.access(repository, &file.origin, &**outside).await?;
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
        let (store, name, wanted) = (outside.store().clone(), staging_name.clone(), algorithms.clone());
        let write = blocking(move || Ok(store.blobs.resume(&name, &wanted)?)).await?;
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
            return Err(problem);
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
                return Err(Problem::new(
                    Kind::Untrusted,
                    "collect.upstream-mismatch",
                    "the upstream sent other bytes than it published checksums for",
                )
                .at(place)
                .because(error.to_string())
                .hint("nothing of it was kept; try again, and if it stays so, ask whoever runs that upstream or the proxy before it"));
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
        self.write.as_mut().ok_or_else(|| Problem::new(Kind::Failed, "internal.sink", "a download lost its staging file"))
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
