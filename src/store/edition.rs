//! Editions: the documents of a repository that were made from its artifacts beforehand, because they are costly or signed.
//!
//! They are derived, so they are kept where answers of upstreams are: gc forgets what nobody confirmed for long, a backup
//! has none of them, and whoever serves makes them again. A new edition is seen all at once.

use std::collections::BTreeMap;
use std::time::Duration;

use bundle_format::BlobKey;
use serde::{Deserialize, Serialize};

use super::{Blobs, CachedAnswer, Catalogue, StoreError};
use crate::clock;

/// How long a lasting document is there after the edition that it was in, as a client may be about to fetch it.
const SUPERSEDED_KEPT: Duration = Duration::from_secs(24 * 60 * 60);

/// A document of an edition.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct EditionDocument {
    /// Its blob.
    pub blob: BlobKey,
    /// In bytes.
    pub size: u64,
    /// Whether its path means these bytes for ever, so that it outlives its edition by a day.
    pub lasts: bool,
}

/// Documents by their paths below the repository. Those whose paths begin with `/` are for whoever makes the next edition.
pub type EditionDocuments = BTreeMap<String, EditionDocument>;

/// Which edition a repository has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EditionState {
    /// Counts them.
    pub number: u64,
    /// From what it was made, in words of whoever made it.
    pub stamp: String,
    /// When it was last published or confirmed, RFC 3339 UTC.
    pub confirmed: String,
    /// The blob that lists its documents.
    pub list: BlobKey,
}

/// The edition of a repository, if there is one.
pub fn edition_state(
    catalogue: &dyn Catalogue,
    ecosystem: &str,
    repository: &str,
) -> Result<Option<EditionState>, StoreError> {
    let Some(answer) = catalogue.cached(&state_key(ecosystem, repository))? else { return Ok(None) };
    let number = answer.etag.and_then(|text| text.parse().ok()).unwrap_or_default();
    let stamp = answer.last_modified.unwrap_or_default();
    Ok(Some(EditionState { number, stamp, confirmed: answer.confirmed, list: answer.body }))
}

/// The document at a path: of the edition, or a lasting one of an edition before.
pub fn edition_document(
    catalogue: &dyn Catalogue,
    blobs: &dyn Blobs,
    (ecosystem, repository): (&str, &str),
    path: &str,
) -> Result<Option<(BlobKey, u64)>, StoreError> {
    let Some(found) = catalogue.cached(&document_key(ecosystem, repository, path))? else { return Ok(None) };
    let state = catalogue.cached(&state_key(ecosystem, repository))?;
    let is_current = state.is_some_and(|state| state.etag == found.etag);
    let since = clock::now().checked_sub(SUPERSEDED_KEPT).map(clock::text).unwrap_or_default();
    let lasts = found.content_type == LASTS && found.confirmed >= since;
    if !is_current && !lasts {
        return Ok(None);
    }
    Ok(blobs.size(&found.body)?.map(|size| (found.body, size)))
}

/// Makes an edition the one that is seen. The blobs, that of its `list` included, are held; `before` is what the one before
/// had.
pub fn publish_edition(
    catalogue: &dyn Catalogue,
    (ecosystem, repository): (&str, &str),
    state: &EditionState,
    documents: &EditionDocuments,
    before: &EditionDocuments,
) -> Result<(), StoreError> {
    let answer = |body: BlobKey, number: u64, lasts: bool, stamp: Option<&str>| CachedAnswer {
        body,
        etag: Some(number.to_string()),
        last_modified: stamp.map(str::to_owned),
        content_type: if lasts { LASTS } else { "" }.to_owned(),
        confirmed: state.confirmed.clone(),
    };
    let gone = before.iter().filter(|(path, document)| document.lasts && !documents.contains_key(*path));
    // Their time runs from now on: it is now that clients begin to be told of others.
    let gone = gone
        .map(|(path, document)| (path, answer(document.blob, state.number.saturating_sub(1), true, None)));
    let here = documents.iter().map(|(path, one)| (path, answer(one.blob, state.number, one.lasts, None)));
    let mut answers: Vec<_> =
        gone.chain(here).map(|(path, answer)| (document_key(ecosystem, repository, path), answer)).collect();
    answers.push((
        state_key(ecosystem, repository),
        answer(state.list, state.number, false, Some(&state.stamp)),
    ));
    catalogue.cache(&answers)
}

/// The media type, so to say, of what outlives its edition.
const LASTS: &str = "lasts";

fn state_key(ecosystem: &str, repository: &str) -> String {
    format!("edition {ecosystem} {repository}")
}

/// Names of repositories have no newline.
fn document_key(ecosystem: &str, repository: &str, path: &str) -> String {
    format!("edition {ecosystem} {repository}\n{path}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fsx;
    use crate::store::{Expected, Store};

    fn hold(store: &Store, text: &str, lasts: bool) -> EditionDocument {
        let mut write = store.blobs.begin(&[], true).unwrap();
        write.write(text.as_bytes()).unwrap();
        let staged = write.stage(&Expected::default()).unwrap();
        let document = EditionDocument { blob: staged.key(), size: staged.size(), lasts };
        store.blobs.settle(vec![staged]).unwrap();
        document
    }

    fn state(number: u64, confirmed: &str) -> EditionState {
        let list = BlobKey::of(b"list");
        EditionState { number, stamp: format!("stamp {number}"), confirmed: confirmed.to_owned(), list }
    }

    #[test]
    fn an_edition_is_seen_at_once_and_what_lasts_stays_for_a_day() {
        let home = fsx::test_directory();
        let store = Store::open(home.path()).unwrap();
        let catalogue = &*store.catalogue;
        let place = ("apt", "debian");
        let read =
            |path: &str| edition_document(catalogue, &*store.blobs, place, path).unwrap().map(|(key, _)| key);
        let (one, two) = (hold(&store, "one", false), hold(&store, "two", false));
        let (first, second) = (hold(&store, "first", true), hold(&store, "second", true));
        let old = EditionDocuments::from([
            ("InRelease".to_owned(), one),
            ("gone".to_owned(), one),
            ("by/first".to_owned(), first),
        ]);
        let new = EditionDocuments::from([("InRelease".to_owned(), two), ("by/second".to_owned(), second)]);
        assert_eq!(edition_state(catalogue, "apt", "debian").unwrap(), None);
        let long_ago = state(1, "2020-01-01T00:00:00Z");
        publish_edition(catalogue, place, &long_ago, &old, &EditionDocuments::new()).unwrap();
        assert_eq!(edition_state(catalogue, "apt", "debian").unwrap(), Some(long_ago));
        assert_eq!((read("InRelease"), read("by/first")), (Some(one.blob), Some(first.blob)));
        let now = state(2, &clock::now_text());
        publish_edition(catalogue, place, &now, &new, &old).unwrap();
        assert_eq!((read("InRelease"), read("gone")), (Some(two.blob), None));
        assert_eq!((read("by/first"), read("by/second")), (Some(first.blob), Some(second.blob)));
        // A day later than it was last told of, it is gone.
        publish_edition(catalogue, place, &state(3, "2020-01-01T00:00:00Z"), &new, &old).unwrap();
        assert_eq!((read("by/first"), read("by/second")), (None, Some(second.blob)));
        let elsewhere = edition_document(catalogue, &*store.blobs, ("apt", "other"), "InRelease");
        assert_eq!(elsewhere.unwrap(), None);
    }
}
