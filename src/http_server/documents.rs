//! Documents derived from the store: made once per revision, kept while there is room.
//!
//! Whoever asks while another thread is making the same document waits for that one. Beside each document stand its
//! entity tag and its compressed form, which are made when they are first wanted.
//!
//! What is put into a document's gaps is the address by which a client reached us, and clients can call us by any name
//! they like. So a document is made once for all addresses and kept for the few that it is mostly asked by; for any other
//! it is copied from one of those.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, OnceLock, PoisonError};

use bundle_format::BlobKey;
use bytes::Bytes;

use super::compression;
use crate::ecosystem::template::{self, Template};
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

/// A document, for one address or a few.
#[derive(Debug)]
struct Kept {
    /// Where the address stands, as [`template::refill`] takes it.
    gaps: Arc<[usize]>,
    /// Never empty.
    variants: Vec<Variant>,
    /// What was asked for last and found no place among them: only who comes again may take one, so that names that are
    /// made up once push nobody out.
    contender: String,
    weight: usize,
    used: u64,
}

/// A document for one address.
#[derive(Debug)]
struct Variant {
    filling: String,
    document: Arc<Document>,
    /// How often it was asked for, up to [`FAVOUR`]; each time that a contender comes again takes one off.
    favour: u32,
}

/// What the cache knows of a document.
enum Found {
    /// All of it.
    Kept(Bytes),
    /// It for another address.
    Other { body: Bytes, gaps: Arc<[usize]>, filled: usize },
}

/// A document that some thread is making.
#[derive(Debug, Default)]
struct Making {
    outcome: Mutex<Option<Outcome>>,
    done: Condvar,
}

#[derive(Debug, Clone)]
enum Outcome {
    Made(Result<Option<Arc<Template>>, Problem>),
    /// The thread panicked; somebody else has to try.
    GivenUp,
}

/// What an entry, and each variant of it, costs besides its bytes.
const OVERHEAD: usize = 512;
/// A document is kept for so many addresses: most servers are called by a name and a number.
const VARIANTS: usize = 2;
/// See [`Variant::favour`].
const FAVOUR: u32 = 16;

impl Documents {
    /// A cache of so many bytes.
    pub(super) fn new(capacity: usize) -> Documents {
        Documents { capacity, state: Mutex::default() }
    }

    /// The document of that ecosystem and key at that revision, with that filling, kept or made now. `make` must not ask
    /// for the same key.
    ///
    /// # Errors
    /// What `make` returns, to everybody who waited for it.
    pub(super) fn get(
        &self,
        revision: Revision,
        (ecosystem, key): (&'static str, &str),
        filling: &str,
        make: &mut dyn FnMut() -> Result<Option<Template>, Problem>,
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
                return Ok(make()?.map(|template| template.fill(filling)));
            }
            if let Some(found) = state.find(&key, filling) {
                drop(state);
                return Ok(Some(self.complete(revision, &key, filling, found)));
            }
            let Some(other) = state.making.get(&key).map(Arc::clone) else {
                let making = Arc::<Making>::default();
                state.making.insert(Arc::clone(&key), Arc::clone(&making));
                break making;
            };
            drop(state);
            let Outcome::Made(result) = other.wait() else { continue };
            let Some(template) = result? else { return Ok(None) };
            // Most likely it is kept by now; else it is too large for that, or the store moved on.
            let mut state = self.state();
            let found = if state.revision == revision { state.find(&key, filling) } else { None };
            drop(state);
            return Ok(Some(match found {
                Some(found) => self.complete(revision, &key, filling, found),
                None => template.fill(filling),
            }));
        };
        let mut maker =
            Maker { documents: self, revision, key, making, outcome: Outcome::GivenUp, first: None };
        let template = make().map(|made| made.map(Arc::new));
        let body = template.clone().map(|template| template.map(|template| template.fill(filling)));
        maker.first = body.clone().ok().flatten().map(|body| (filling.to_owned(), body));
        maker.outcome = Outcome::Made(template);
        drop(maker);
        body
    }

    /// The document that was found; one for another address is copied for this one, and kept if there is a place.
    fn complete(&self, revision: Revision, key: &Key, filling: &str, found: Found) -> Bytes {
        match found {
            Found::Kept(body) => body,
            Found::Other { body, gaps, filled } => {
                let body = template::refill(&body, &gaps, filled, filling);
                let mut state = self.state();
                if state.revision == revision {
                    state.add(key, filling, &body, self.capacity);
                }
                body
            }
        }
    }

    /// The kept document whose very bytes these are.
    pub(super) fn kept(&self, body: &Bytes) -> Option<Arc<Document>> {
        let state = self.state();
        let kept = state.kept.get(state.places.get(&place(body))?)?;
        let variant = kept.variants.iter().find(|variant| place(&variant.document.body) == place(body))?;
        // The cache holds the bytes, so nothing else can stand at their address.
        (variant.document.body.len() == body.len()).then(|| Arc::clone(&variant.document))
    }

    /// Counts the compressed form of a kept document, once it is made.
    pub(super) fn grown(&self, document: &Document) {
        let mut state = self.state();
        let Some(key) = state.places.get(&place(&document.body)).cloned() else { return };
        state.weigh(&key);
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

/// Where bytes stand.
fn place(body: &Bytes) -> usize {
    body.as_ptr() as usize
}

fn weight(key: &Key, kept: &Kept) -> usize {
    let variant = |variant: &Variant| {
        let packed = variant.document.packed.get().and_then(Option::as_ref).map_or(0, Bytes::len);
        variant.document.body.len() + packed + variant.filling.len() + OVERHEAD
    };
    key.1.len() * 2
        + kept.contender.len()
        + size_of_val(&*kept.gaps)
        + kept.variants.iter().map(variant).sum::<usize>()
}

impl State {
    fn find(&mut self, key: &Key, filling: &str) -> Option<Found> {
        self.clock += 1;
        let kept = self.kept.get_mut(key)?;
        if let Some(key) = self.order.remove(&kept.used) {
            self.order.insert(self.clock, key);
        }
        kept.used = self.clock;
        if let Some(variant) = kept.variants.iter_mut().find(|variant| variant.filling == filling) {
            variant.favour = variant.favour.saturating_add(1).min(FAVOUR);
            return Some(Found::Kept(variant.document.body.clone()));
        }
        let variant = kept.variants.first()?;
        let (body, gaps) = (variant.document.body.clone(), Arc::clone(&kept.gaps));
        Some(Found::Other { body, gaps, filled: variant.filling.len() })
    }

    fn keep(&mut self, key: Key, filling: String, body: Bytes, gaps: Arc<[usize]>, capacity: usize) {
        // An empty document has no address of its own.
        if body.is_empty() {
            return;
        }
        let variant = Variant { filling, document: Arc::new(Document::new(body)), favour: 1 };
        let place = place(&variant.document.body);
        self.clock += 1;
        let (variants, contender) = (vec![variant], String::new());
        let kept = Kept { gaps, variants, contender, weight: 0, used: self.clock };
        // One that is too large would push out all others.
        if weight(&key, &kept) > capacity / 2 {
            return;
        }
        self.order.insert(self.clock, Arc::clone(&key));
        self.places.insert(place, Arc::clone(&key));
        self.kept.insert(Arc::clone(&key), kept);
        self.weigh(&key);
        self.shrink(capacity);
    }

    /// Keeps a document for one address more, if there is a place, or one that went out of favour.
    fn add(&mut self, key: &Key, filling: &str, body: &Bytes, capacity: usize) {
        let Some(kept) = self.kept.get_mut(key) else { return };
        if kept.variants.iter().any(|variant| variant.filling == filling) {
            return;
        }
        if kept.variants.len() >= VARIANTS {
            if kept.contender != filling {
                filling.clone_into(&mut kept.contender);
                self.weigh(key);
                return self.shrink(capacity);
            }
            let Some(least) = kept.variants.iter_mut().min_by_key(|variant| variant.favour) else { return };
            least.favour = least.favour.saturating_sub(1);
            if least.favour > 0 {
                return;
            }
            self.places.remove(&place(&least.document.body));
            kept.variants.retain(|variant| variant.favour > 0);
        }
        self.places.insert(place(body), Arc::clone(key));
        let document = Arc::new(Document::new(body.clone()));
        kept.variants.push(Variant { filling: filling.to_owned(), document, favour: 1 });
        self.weigh(key);
        self.shrink(capacity);
    }

    /// Counts what an entry weighs now.
    fn weigh(&mut self, key: &Key) {
        let Some(kept) = self.kept.get_mut(key) else { return };
        let now = weight(key, kept);
        self.bytes = self.bytes + now - kept.weight;
        kept.weight = now;
    }

    /// Drops what was not used for longest.
    fn shrink(&mut self, capacity: usize) {
        while self.bytes > capacity {
            let Some((_, key)) = self.order.pop_first() else { return };
            if let Some(kept) = self.kept.remove(&key) {
                self.bytes -= kept.weight;
                for variant in &kept.variants {
                    self.places.remove(&place(&variant.document.body));
                }
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
    /// For whom it was made.
    first: Option<(String, Bytes)>,
}

impl Drop for Maker<'_> {
    fn drop(&mut self) {
        let outcome = std::mem::replace(&mut self.outcome, Outcome::GivenUp);
        {
            let mut state = self.documents.state();
            // After a commit the state is a new one, and what is being made in it is somebody else's.
            if state.revision == self.revision {
                state.making.remove(&self.key);
                if let (Outcome::Made(Ok(Some(template))), Some((filling, body))) =
                    (&outcome, self.first.take())
                {
                    state.keep(
                        Arc::clone(&self.key),
                        filling,
                        body,
                        template.gaps().into(),
                        self.documents.capacity,
                    );
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

    /// A document of so many bytes and no gap.
    fn document(size: usize) -> Template {
        let mut template = Template::default();
        template.push_str(&"x".repeat(size));
        template
    }

    fn get(documents: &Documents, revision: u64, key: &str, size: usize) -> bool {
        let mut made = false;
        let body = documents
            .get(Revision(revision), ("x", key), "", &mut || {
                made = true;
                Ok(Some(document(size)))
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
        let body =
            documents.get(Revision(1), ("x", "a"), "", &mut || Ok(Some(document(3000)))).unwrap().unwrap();
        let before = documents.bytes();
        let kept = documents.kept(&body).unwrap();
        assert!(documents.kept(&body.slice(1..)).is_none() && documents.kept(&body.slice(..9)).is_none());
        let packed = kept.packed(true).unwrap().len();
        documents.grown(&kept);
        documents.grown(&kept);
        assert_eq!(documents.bytes(), before + packed);
    }

    /// Asks for a document with a gap by a name; whether it was made now.
    fn ask(documents: &Documents, name: &str) -> bool {
        let mut made = false;
        let body = documents
            .get(Revision(1), ("x", "named"), name, &mut || {
                made = true;
                let mut template = document(1000);
                template.push_gap();
                Ok(Some(template))
            })
            .unwrap();
        let expected = format!("{}{name}", "x".repeat(1000));
        assert_eq!(body.unwrap(), expected);
        made
    }

    /// Whether the very bytes that a name is answered are kept.
    fn is_kept(documents: &Documents, name: &str) -> bool {
        let body = documents.get(Revision(1), ("x", "named"), name, &mut || panic!("it is kept")).unwrap();
        documents.kept(&body.unwrap()).is_some()
    }

    #[test]
    fn names_that_clients_make_up_fill_no_cache_and_push_nobody_out() {
        let documents = Documents::new(1 << 20);
        assert!(ask(&documents, "mirror.example.test"));
        for _ in 0..FAVOUR {
            assert!(!ask(&documents, "192.0.2.1") && !ask(&documents, "mirror.example.test"));
        }
        let before = documents.bytes();
        for number in 0..10 * FAVOUR {
            assert!(!ask(&documents, &format!("{number}.example.test")), "it is copied");
        }
        assert!(documents.bytes() < before + 100);
        assert!(is_kept(&documents, "mirror.example.test") && is_kept(&documents, "192.0.2.1"));
        assert!(!is_kept(&documents, "other.example.test"));
        // A name that clients went over to has its place in the end.
        assert!((0..3 * FAVOUR).any(|_| is_kept(&documents, "new.example.test")));
        assert!(documents.bytes() <= before + 100);
        assert!(!is_kept(&documents, "other.example.test"));
    }

    #[test]
    fn failures_and_absences_are_not_kept() {
        let documents = Documents::new(10_000);
        assert_eq!(documents.get(Revision(1), ("x", "a"), "", &mut || Ok(None)).unwrap(), None);
        let problem = Problem::new(crate::problem::Kind::Failed, "x.y", "no");
        assert!(documents.get(Revision(1), ("x", "a"), "", &mut || Err(problem.clone())).is_err());
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
                        Ok(Some(document(8)))
                    };
                    assert!(documents.get(Revision(1), ("x", "a"), "", make).unwrap().is_some());
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
            let _ = other.get(Revision(1), ("x", "a"), "", &mut || panic!("on purpose"));
        });
        assert!(panicked.join().is_err());
        assert!(get(&documents, 1, "a", 5));
    }
}
