//! Documents derived from the store: made once per revision, kept while there is room.
//!
//! Whoever asks while another thread is making the same document waits for that one. Beside each document stand its
//! entity tag and its compressed form, which are made when they are first wanted.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, OnceLock, PoisonError};

use bundle_format::BlobKey;
use bytes::Bytes;

use super::compression;
use crate::problem::Problem;
use crate::store::Revision;

/// A document with what is known about it.
#[derive(Debug)]
pub(super) struct Document {
    /// Its bytes.
    pub(super) body: Bytes,
    digest: OnceLock<BlobKey>,
    packed: OnceLock<Option<Bytes>>,
}

impl Document {
    pub(super) fn new(body: Bytes) -> Document {
        Document { body, digest: OnceLock::new(), packed: OnceLock::new() }
    }

    /// The sha256 of its bytes.
    pub(super) fn digest(&self) -> BlobKey {
        *self.digest.get_or_init(|| BlobKey::of(&self.body))
    }

    /// Its gzip form, if that is smaller. `kept`: whether it will be used again.
    pub(super) fn packed(&self, kept: bool) -> Option<Bytes> {
        self.packed.get_or_init(|| compression::gzip(&self.body, kept)).clone()
    }
}

/// The bounded cache.
#[derive(Debug)]
pub(super) struct Documents {
    capacity: usize,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    revision: Revision,
    kept: HashMap<Key, Kept>,
    /// Keys by when they were last used.
    order: BTreeMap<u64, Key>,
    /// Kept documents by where their bytes stand: a document that comes back in an answer is known by its address.
    places: HashMap<usize, Key>,
    making: HashMap<Key, Arc<Making>>,
    bytes: usize,
    clock: u64,
}

/// An ecosystem and its own key.
type Key = Arc<(&'static str, String)>;

#[derive(Debug)]
struct Kept {
    document: Arc<Document>,
    weight: usize,
    used: u64,
}

/// A document that some thread is making.
#[derive(Debug, Default)]
struct Making {
    outcome: Mutex<Option<Outcome>>,
    done: Condvar,
}

#[derive(Debug, Clone)]
enum Outcome {
    Made(Result<Option<Bytes>, Problem>),
    /// The thread panicked; somebody else has to try.
    GivenUp,
}

/// What an entry costs besides its bytes.
const OVERHEAD: usize = 512;

impl Documents {
    /// A cache of so many bytes.
    pub(super) fn new(capacity: usize) -> Documents {
        Documents { capacity, state: Mutex::default() }
    }

    /// The document of that key at that revision, kept or made now. `make` must not ask for the same key.
    ///
    /// # Errors
    /// What `make` returns, to everybody who waited for it.
    pub(super) fn get(
        &self,
        revision: Revision,
        ecosystem: &'static str,
        key: &str,
        make: &mut dyn FnMut() -> Result<Option<Bytes>, Problem>,
    ) -> Result<Option<Bytes>, Problem> {
        let key: Key = Arc::new((ecosystem, key.to_owned()));
        let making = loop {
            let mut state = self.state();
            if revision > state.revision {
                // What was derived from an older state of the store is never asked for again.
                *state = State { revision, ..State::default() };
            } else if revision < state.revision {
                // This request began before the last commit. Rare, and not worth keeping.
                drop(state);
                return make();
            }
            if let Some(document) = state.touch(&key) {
                return Ok(Some(document.body.clone()));
            }
            let Some(other) = state.making.get(&key).map(Arc::clone) else {
                let making = Arc::<Making>::default();
                state.making.insert(Arc::clone(&key), Arc::clone(&making));
                break making;
            };
            drop(state);
            if let Outcome::Made(result) = other.wait() {
                return result;
            }
        };
        let mut maker = Maker { documents: self, revision, key, making, outcome: Outcome::GivenUp };
        let result = make();
        maker.outcome = Outcome::Made(result.clone());
        drop(maker);
        result
    }

    /// The kept document whose very bytes these are.
    pub(super) fn kept(&self, body: &Bytes) -> Option<Arc<Document>> {
        let state = self.state();
        let key = state.places.get(&(body.as_ptr() as usize))?;
        let document = &state.kept.get(key)?.document;
        // The cache holds the bytes, so nothing else can stand at their address.
        (document.body.len() == body.len()).then(|| Arc::clone(document))
    }

    /// Counts the compressed form of a kept document, once it is made.
    pub(super) fn grown(&self, document: &Document, packed: usize) {
        let mut state = self.state();
        let Some(key) = state.places.get(&(document.body.as_ptr() as usize)).cloned() else { return };
        let whole = weight(&key, document) + packed;
        let Some(kept) = state.kept.get_mut(&key) else { return };
        let more = whole.saturating_sub(kept.weight);
        kept.weight += more;
        state.bytes += more;
        state.shrink(self.capacity);
    }

    /// How many bytes are held.
    pub(super) fn bytes(&self) -> usize {
        self.state().bytes
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn weight(key: &Key, document: &Document) -> usize {
    document.body.len() + key.1.len() * 2 + OVERHEAD
}

impl State {
    fn touch(&mut self, key: &Key) -> Option<Arc<Document>> {
        self.clock += 1;
        let kept = self.kept.get_mut(key)?;
        if let Some(key) = self.order.remove(&kept.used) {
            self.order.insert(self.clock, key);
        }
        kept.used = self.clock;
        Some(Arc::clone(&kept.document))
    }

    fn keep(&mut self, key: Key, body: Bytes, capacity: usize) {
        let document = Arc::new(Document::new(body));
        let weight = weight(&key, &document);
        // An empty document has no address of its own; one that is too large would push out all others.
        if document.body.is_empty() || weight > capacity / 2 {
            return;
        }
        self.clock += 1;
        self.bytes += weight;
        self.order.insert(self.clock, Arc::clone(&key));
        self.places.insert(document.body.as_ptr() as usize, Arc::clone(&key));
        self.kept.insert(key, Kept { document, weight, used: self.clock });
        self.shrink(capacity);
    }

    /// Drops what was not used for longest.
    fn shrink(&mut self, capacity: usize) {
        while self.bytes > capacity {
            let Some((_, key)) = self.order.pop_first() else { return };
            if let Some(kept) = self.kept.remove(&key) {
                self.bytes -= kept.weight;
                self.places.remove(&(kept.document.body.as_ptr() as usize));
            }
        }
    }
}

impl Making {
    fn wait(&self) -> Outcome {
        let mut outcome = self.outcome.lock().unwrap_or_else(PoisonError::into_inner);
        loop {
            if let Some(outcome) = outcome.as_ref() {
                return outcome.clone();
            }
            outcome = self.done.wait(outcome).unwrap_or_else(PoisonError::into_inner);
        }
    }
}

/// Whoever makes a document: wakes those who wait for it, even if it panics.
struct Maker<'a> {
    documents: &'a Documents,
    revision: Revision,
    key: Key,
    making: Arc<Making>,
    outcome: Outcome,
}

impl Drop for Maker<'_> {
    fn drop(&mut self) {
        let outcome = std::mem::replace(&mut self.outcome, Outcome::GivenUp);
        {
            let mut state = self.documents.state();
            // After a commit the state is a new one, and what is being made in it is somebody else's.
            if state.revision == self.revision {
                state.making.remove(&self.key);
                if let Outcome::Made(Ok(Some(body))) = &outcome {
                    state.keep(Arc::clone(&self.key), body.clone(), self.documents.capacity);
                }
            }
        }
        *self.making.outcome.lock().unwrap_or_else(PoisonError::into_inner) = Some(outcome);
        self.making.done.notify_all();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicUsize, Ordering};

    fn get(documents: &Documents, revision: u64, key: &str, size: usize) -> bool {
        let mut made = false;
        let body = documents
            .get(Revision(revision), "x", key, &mut || {
                made = true;
                Ok(Some(Bytes::from(vec![1; size])))
            })
            .unwrap();
        assert_eq!(body.unwrap().len(), size);
        made
    }

    #[test]
    fn a_document_is_made_once_a_revision() {
        let documents = Documents::new(1 << 20);
        assert!(get(&documents, 1, "a", 10));
        assert!(!get(&documents, 1, "a", 10));
        assert!(get(&documents, 2, "a", 20));
        assert!(get(&documents, 1, "a", 10), "an older view is not served the newer document");
        assert!(!get(&documents, 2, "a", 20));
    }

    #[test]
    fn the_cache_is_bounded_and_forgets_what_is_not_used() {
        let documents = Documents::new(10_000);
        for key in ["a", "b", "c"] {
            get(&documents, 1, key, 2000);
        }
        assert!(!get(&documents, 1, "a", 2000));
        get(&documents, 1, "d", 2000);
        assert!(documents.bytes() <= 10_000);
        assert!(!get(&documents, 1, "a", 2000) && get(&documents, 1, "b", 2000));
        assert!(get(&documents, 1, "large", 6000) && get(&documents, 1, "large", 6000));
    }

    #[test]
    fn compressed_forms_count() {
        let documents = Documents::new(10_000);
        let body = documents
            .get(Revision(1), "x", "a", &mut || Ok(Some(Bytes::from(vec![1; 3000]))))
            .unwrap()
            .unwrap();
        let before = documents.bytes();
        let kept = documents.kept(&body).unwrap();
        assert!(documents.kept(&body.slice(1..)).is_none() && documents.kept(&body.slice(..9)).is_none());
        let packed = kept.packed(true).unwrap().len();
        documents.grown(&kept, packed);
        documents.grown(&kept, packed);
        assert_eq!(documents.bytes(), before + packed);
    }

    #[test]
    fn failures_and_absences_are_not_kept() {
        let documents = Documents::new(10_000);
        assert_eq!(documents.get(Revision(1), "x", "a", &mut || Ok(None)).unwrap(), None);
        let problem = Problem::new(crate::problem::Kind::Failed, "x.y", "no");
        assert!(documents.get(Revision(1), "x", "a", &mut || Err(problem.clone())).is_err());
        assert!(get(&documents, 1, "a", 5));
    }

    #[test]
    fn many_ask_and_one_makes() {
        let documents = Documents::new(1 << 20);
        let (made, barrier) = (AtomicUsize::new(0), std::sync::Barrier::new(8));
        std::thread::scope(|scope| {
            for _ in 0..8 {
                scope.spawn(|| {
                    barrier.wait();
                    let make = &mut || {
                        made.fetch_add(1, Ordering::Relaxed);
                        std::thread::sleep(std::time::Duration::from_millis(30));
                        Ok(Some(Bytes::from_static(b"document")))
                    };
                    assert!(documents.get(Revision(1), "x", "a", make).unwrap().is_some());
                });
            }
        });
        assert_eq!(made.load(Ordering::Relaxed), 1);
    }

    #[test]
    fn a_maker_that_panics_blocks_nobody() {
        let documents = Arc::new(Documents::new(1 << 20));
        let other = Arc::clone(&documents);
        let panicked = std::thread::spawn(move || {
            let _ = other.get(Revision(1), "x", "a", &mut || panic!("on purpose"));
        });
        assert!(panicked.join().is_err());
        assert!(get(&documents, 1, "a", 5));
    }
}
