//! What was asked for and was not there, on its way to the catalogue.
//!
//! A request never waits for this: it is put into a short queue, and one task writes so many of them a second. What
//! does not fit is only counted: a client that asks for a million names that are not there must not fill the disk or
//! keep the writer busy.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::sync::mpsc;

use crate::blocking::blocking;
use crate::store::Catalogue;

/// How many wait in the queue.
const QUEUE: usize = 1024;
/// How many are written in one go …
const BATCH: usize = 128;
/// … and how long the writer rests afterwards.
const REST: Duration = Duration::from_millis(200);
/// No package has a longer name; and nobody wants to read it.
const LONGEST: usize = 512;

/// One of them.
#[derive(Debug)]
struct Missed {
    ecosystem: &'static str,
    repository: String,
    name: String,
    version: String,
}

/// Where requests leave them.
#[derive(Debug)]
pub(super) struct Misses {
    queue: mpsc::Sender<Missed>,
    dropped: AtomicU64,
}

/// Where they are taken from.
#[derive(Debug)]
pub(super) struct MissWriter(mpsc::Receiver<Missed>);

/// A queue and its end.
pub(super) fn queue() -> (Misses, MissWriter) {
    let (sender, receiver) = mpsc::channel(QUEUE);
    (Misses { queue: sender, dropped: AtomicU64::new(0) }, MissWriter(receiver))
}

impl Misses {
    /// Leaves one, if there is room.
    pub(super) fn note(&self, ecosystem: &'static str, repository: &str, name: &str, version: &str) {
        let missed = (name.len().max(version.len()) <= LONGEST).then(|| Missed {
            ecosystem,
            repository: repository.to_owned(),
            name: name.to_owned(),
            version: version.to_owned(),
        });
        if missed.is_none_or(|missed| self.queue.try_send(missed).is_err()) {
            self.dropped.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// How many did not fit.
    pub(super) fn dropped(&self) -> u64 {
        self.dropped.load(Ordering::Relaxed)
    }
}

impl MissWriter {
    /// Writes them, for as long as the server runs.
    pub(super) async fn run(&mut self, catalogue: &Arc<dyn Catalogue>) {
        loop {
            let mut batch = Vec::with_capacity(BATCH);
            if self.0.recv_many(&mut batch, BATCH).await == 0 {
                return;
            }
            write(catalogue, batch).await;
            tokio::time::sleep(REST).await;
        }
    }

    /// Writes what is left in the queue when the server stops.
    pub(super) async fn finish(&mut self, catalogue: &Arc<dyn Catalogue>) {
        let rest = std::iter::from_fn(|| self.0.try_recv().ok()).take(QUEUE).collect();
        write(catalogue, rest).await;
    }
}

async fn write(catalogue: &Arc<dyn Catalogue>, batch: Vec<Missed>) {
    let catalogue = Arc::clone(catalogue);
    let written = blocking(move || {
        for missed in batch {
            catalogue.record_miss(missed.ecosystem, &missed.repository, &missed.name, &missed.version)?;
        }
        Ok(())
    });
    if let Err(problem) = written.await {
        tracing::warn!(%problem, "what clients missed could not be recorded");
    }
}
