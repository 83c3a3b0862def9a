//! Lasting answers: blobs that the same path led to since the last commit, sent again without asking the ecosystem.
//!
//! Clients of images ask for the same few manifests again and again, by their digests. Small blobs are kept whole, so
//! that their requests are answered where they come in; of larger ones it is kept which blob they are. An answer
//! is the same for everybody who may read; whoever may not is turned away before this (`gate`).

use std::borrow::Cow;
use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use bundle_format::BlobKey;
use bytes::Bytes;
use http::uri::PathAndQuery;
use http::{HeaderMap, Uri};

use crate::clock;
use crate::ecosystem::LASTING;
use crate::store::Revision;

/// The largest blob that is kept whole, in bytes. All but a few manifests are smaller.
pub(super) const SMALL: u64 = 256 * 1024;
/// How many bytes are kept, about.
const CAPACITY: usize = 32 * 1024 * 1024;
/// What an answer costs besides its bytes and its path.
const OVERHEAD: usize = 1024;

/// A blob as everybody gets it.
#[derive(Debug)]
pub(super) struct Held {
    /// Those of the whole blob.
    pub(super) headers: HeaderMap,
    /// Its entity tag.
    pub(super) tag: String,
    /// Which one.
    pub(super) key: BlobKey,
    /// Its size in bytes.
    pub(super) size: u64,
    /// Its bytes, where they are kept.
    pub(super) bytes: Option<Bytes>,
}

/// The answers of a site.
#[derive(Default)]
pub(super) struct Answers(Mutex<State>);

#[derive(Default)]
struct State {
    revision: Revision,
    /// When the revision was last known to be the newest.
    confirmed: Option<Instant>,
    /// What was asked for lately, and before that: when the first is full it takes the place of the second.
    recent: HashMap<String, Arc<Held>>,
    older: HashMap<String, Arc<Held>>,
    /// What the recent ones weigh in bytes.
    weight: usize,
}

/// Under what an answer is kept: all that it depends on. `host` is that of the request if it is impersonated, else empty.
pub(super) fn key<'a>(host: &str, uri: &'a Uri) -> Cow<'a, str> {
    let path = uri.path_and_query().map_or("/", PathAndQuery::as_str);
    if host.is_empty() { Cow::Borrowed(path) } else { Cow::Owned(format!("{host}{path}")) }
}

impl Answers {
    /// The answer, if it is in memory and known to be true not long ago. Neither waits nor reads.
    pub(super) fn fresh(&self, key: &str) -> Option<Arc<Held>> {
        let mut state = self.state();
        if clock::instant().saturating_duration_since(state.confirmed?) > LASTING {
            return None;
        }
        state.find(key).filter(|held| held.bytes.is_some())
    }

    /// The answer at the revision that was the newest one at `confirmed`.
    pub(super) fn at(&self, revision: Revision, confirmed: Instant, key: &str) -> Option<Arc<Held>> {
        let mut state = self.state();
        if revision > state.revision {
            *state = State { revision, ..State::default() };
        }
        if revision < state.revision {
            return None;
        }
        state.confirmed = state.confirmed.max(Some(confirmed));
        state.find(key)
    }

    /// Keeps an answer of that revision.
    pub(super) fn keep(&self, revision: Revision, key: String, held: Arc<Held>) {
        let mut state = self.state();
        if state.revision == revision {
            state.put(key, held);
        }
    }

    /// Believes nothing more until the revision is asked for again: this process has just committed.
    pub(super) fn doubt(&self) {
        self.state().confirmed = None;
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Answers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Answers")
    }
}

impl State {
    fn find(&mut self, key: &str) -> Option<Arc<Held>> {
        if let Some(held) = self.recent.get(key) {
            return Some(Arc::clone(held));
        }
        let (key, held) = self.older.remove_entry(key)?;
        self.put(key, Arc::clone(&held));
        Some(held)
    }

    fn put(&mut self, key: String, held: Arc<Held>) {
        let weight = key.len() + held.bytes.as_ref().map_or(0, Bytes::len) + OVERHEAD;
        if self.weight + weight > CAPACITY / 2 {
            self.older = std::mem::take(&mut self.recent);
            self.weight = 0;
        }
        if self.recent.insert(key, held).is_none() {
            self.weight += weight;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn held(size: usize, whole: bool) -> Arc<Held> {
        let bytes = Bytes::from(vec![0; size]);
        let key = BlobKey::of(&bytes);
        let (headers, tag) = (HeaderMap::new(), format!("\"{key}\""));
        Arc::new(Held { headers, tag, key, size: size as u64, bytes: whole.then_some(bytes) })
    }

    #[test]
    fn answers_end_with_their_revision() {
        let (answers, now) = (Answers::default(), clock::instant());
        assert!(answers.fresh("a").is_none() && answers.at(Revision(1), now, "a").is_none());
        answers.keep(Revision(1), "a".to_owned(), held(1, true));
        answers.keep(Revision(1), "large".to_owned(), held(1, false));
        assert!(answers.fresh("a").is_some() && answers.fresh("large").is_none());
        assert!(answers.at(Revision(1), now, "large").is_some());
        assert!(answers.at(Revision(2), now, "a").is_none() && answers.fresh("a").is_none());
        // A request that began before the commit neither sees nor leaves anything.
        answers.keep(Revision(1), "a".to_owned(), held(1, true));
        answers.keep(Revision(2), "b".to_owned(), held(1, true));
        assert!(answers.fresh("a").is_none() && answers.at(Revision(1), now, "b").is_none());
        assert!(answers.fresh("b").is_some());
    }

    #[test]
    fn what_was_not_confirmed_lately_is_asked_again() {
        let answers = Answers::default();
        let Some(past) = clock::instant().checked_sub(LASTING + Duration::from_millis(1)) else { return };
        assert!(answers.at(Revision(1), past, "a").is_none());
        answers.keep(Revision(1), "a".to_owned(), held(1, true));
        assert!(answers.fresh("a").is_none());
        assert!(answers.at(Revision(1), clock::instant(), "a").is_some() && answers.fresh("a").is_some());
    }

    #[test]
    fn memory_is_bounded_and_what_is_asked_for_stays() {
        let (answers, now) = (Answers::default(), clock::instant());
        assert!(answers.at(Revision(1), now, "hot").is_none());
        answers.keep(Revision(1), "hot".to_owned(), held(10, true));
        for number in 0..1000 {
            answers.keep(Revision(1), number.to_string(), held(256 * 1024, true));
            assert!(answers.at(Revision(1), now, "hot").is_some(), "{number}");
        }
        let state = answers.state();
        let kept: usize =
            state.recent.values().chain(state.older.values()).map(|held| held.size as usize).sum();
        assert!(kept <= CAPACITY && kept > CAPACITY / 4, "{kept}");
    }
}
