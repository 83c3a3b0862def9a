//! What was asked for and was not there, on its way to the catalogue.
//!
//! A request never waits for this: it is put into a short queue, and one task writes so many of them a second. What
//! does not fit is only counted: a client that asks for a million names that are not there must not fill the disk or
//! keep the writer busy.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use tokio::sync::mpsc;

use crate::blocking::blocking;
use crate::clock;
use crate::store::Catalogue;

/// How many wait in the queue.
const QUEUE: usize = 1024;
/// How many are written in one go …
const BATCH: usize = 128;
/// … and how long the writer rests afterwards.
const REST: Duration = Duration::from_millis(200);
/// No package has a longer name; and nobody wants to read it.
const LONGEST: usize = 512;

/// So many questions whether something is there are remembered …
const LOOKS: usize = 1024;
/// … for so long: clients of images look first whether one is there (HEAD), and then ask for it (GET).
const LOOK_LASTS: Duration = Duration::from_secs(10);

/// One of them.
#[derive(Debug, Clone)]
struct Missed {
    /// Whether the client only looked whether it is there.
    is_look: bool,
    ecosystem: &'static str,
    repository: String,
    name: String,
    version: String,
}

impl Missed {
    fn what(&self) -> [&str; 4] {
        [self.ecosystem, &self.repository, &self.name, &self.version]
    }
}

/// Where requests leave them.
#[derive(Debug)]
pub(super) struct Misses {
    queue: mpsc::Sender<Missed>,
    dropped: AtomicU64,
}

/// Where they are taken from.
#[derive(Debug)]
pub(super) struct MissWriter {
    queue: mpsc::Receiver<Missed>,
    looks: Looks,
}

/// What clients looked for a moment ago: what follows such a look is no further miss.
#[derive(Debug, Default)]
struct Looks(VecDeque<(Missed, Instant)>);

impl Looks {
    /// Whether a miss counts, now.
    fn counts(&mut self, missed: &Missed, now: Instant) -> bool {
        while self.0.front().is_some_and(|(_, at)| now.duration_since(*at) > LOOK_LASTS) {
            self.0.pop_front();
        }
        let place = self.0.iter().position(|(look, _)| look.what() == missed.what());
        match place {
            _ if missed.is_look => {
                if self.0.len() < LOOKS {
                    self.0.push_back((Missed { is_look: true, ..missed.clone() }, now));
                }
                true
            }
            Some(place) => self.0.remove(place).is_none(),
            None => true,
        }
    }
}

/// A queue and its end.
pub(super) fn queue() -> (Misses, MissWriter) {
    let (sender, receiver) = mpsc::channel(QUEUE);
    let writer = MissWriter { queue: receiver, looks: Looks::default() };
    (Misses { queue: sender, dropped: AtomicU64::new(0) }, writer)
}

impl Misses {
    /// Leaves one, if there is room.
    pub(super) fn note(
        &self,
        ecosystem: &'static str,
        [repository, name, version]: [&str; 3],
        is_look: bool,
    ) {
        let missed = (name.len().max(version.len()) <= LONGEST).then(|| Missed {
            is_look,
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
            if self.queue.recv_many(&mut batch, BATCH).await == 0 {
                return;
            }
            self.write(catalogue, batch).await;
            tokio::time::sleep(REST).await;
        }
    }

    /// Writes what is left in the queue when the server stops.
    pub(super) async fn finish(&mut self, catalogue: &Arc<dyn Catalogue>) {
        let rest = std::iter::from_fn(|| self.queue.try_recv().ok()).take(QUEUE).collect();
        self.write(catalogue, rest).await;
    }

    async fn write(&mut self, catalogue: &Arc<dyn Catalogue>, mut batch: Vec<Missed>) {
        let now = clock::instant();
        batch.retain(|missed| self.looks.counts(missed, now));
        let catalogue = Arc::clone(catalogue);
        let written = blocking(move || {
            for missed in batch {
                let [ecosystem, repository, name, version] = missed.what();
                catalogue.record_miss(ecosystem, repository, name, version)?;
            }
            Ok(())
        });
        if let Err(problem) = written.await {
            tracing::warn!(%problem, "what clients missed could not be recorded");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn looking_and_asking_is_one_miss() {
        let missed = |is_look, version: &str| {
            let [repository, name] = ["registry.example.test", "app"].map(str::to_owned);
            Missed { is_look, ecosystem: "oci", repository, name, version: version.to_owned() }
        };
        let (mut looks, start) = (Looks::default(), clock::instant());
        assert!(looks.counts(&missed(true, "1"), start));
        assert!(looks.counts(&missed(false, "2"), start), "something else");
        assert!(!looks.counts(&missed(false, "1"), start + LOOK_LASTS));
        assert!(looks.counts(&missed(false, "1"), start + LOOK_LASTS), "asked for once more");
        assert!(looks.counts(&missed(true, "1"), start));
        assert!(looks.counts(&missed(false, "1"), start + 2 * LOOK_LASTS), "much later");
        for number in 0..2 * LOOKS {
            assert!(looks.counts(&missed(true, &number.to_string()), start));
        }
        assert_eq!(looks.0.len(), LOOKS);
    }
}
