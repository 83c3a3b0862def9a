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

/// How long a lasting document is there after the edition that it was in, as a client may be about to fetch it; and files of
/// the generation that it lists.
pub(super) const SUPERSEDED_KEPT: Duration = Duration::from_secs(24 * 60 * 60);

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

/// A document as clients find it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FoundDocument {
    /// Its blob.
    pub blob: BlobKey,
    /// In bytes.
    pub size: u64,
    /// Since when its path has these bytes, RFC 3339 UTC. No other bytes ever had the same path and the same time.
    pub since: String,
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
) -> Result<Option<FoundDocument>, StoreError> {
    let Some(found) = catalogue.cached(&document_key(ecosystem, repository, path))? else { return Ok(None) };
    let state = catalogue.cached(&state_key(ecosystem, repository))?;
    let is_current = state.is_some_and(|state| state.etag == found.etag);
    let since = clock::now().checked_sub(SUPERSEDED_KEPT).map(clock::text).unwrap_or_default();
    let lasts = found.content_type == LASTS && found.confirmed >= since;
    if !is_current && !lasts {
        return Ok(None);
    }
    let since = found.last_modified.unwrap_or(found.confirmed);
    Ok(blobs.size(&found.body)?.map(|size| FoundDocument { blob: found.body, size, since }))
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
    let answer = |body: BlobKey, number: u64, lasts: bool, last_modified: &str| CachedAnswer {
        body,
        etag: Some(number.to_string()),
        last_modified: Some(last_modified.to_owned()),
        content_type: if lasts { LASTS } else { "" }.to_owned(),
        confirmed: state.confirmed.clone(),
    };
    let gone = before.iter().filter(|(path, document)| document.lasts && !documents.contains_key(*path));
    // Their time runs from now on: it is now that clients begin to be told of others.
    let gone = gone.map(|(path, document)| (path, document, state.number.saturating_sub(1)));
    let here = documents.iter().map(|(path, document)| (path, document, state.number));
    let mut answers = Vec::new();
    for (path, document, number) in gone.chain(here) {
        let key = document_key(ecosystem, repository, path);
        let since = since(catalogue.cached(&key)?, &document.blob, &state.confirmed);
        answers.push((key, answer(document.blob, number, document.lasts, &since)));
    }
    answers.push((state_key(ecosystem, repository), answer(state.list, state.number, false, &state.stamp)));
    catalogue.cache(&answers)
}

/// Since when a path has these bytes. Two editions may be made within a second, or the clock go back; whoever holds the
/// other bytes must not take them for these.
fn since(known: Option<CachedAnswer>, blob: &BlobKey, now: &str) -> String {
    let Some(last) = known.as_ref().and_then(|answer| answer.last_modified.as_deref()) else {
        return now.to_owned();
    };
    if known.as_ref().is_some_and(|answer| answer.body == *blob) {
        return last.to_owned();
    }
    let after = clock::seconds(last).and_then(|seconds| u64::try_from(seconds).ok()).unwrap_or_default() + 1;
    clock::text(std::time::UNIX_EPOCH + Duration::from_secs(after)).max(now.to_owned())
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
        let read = |path: &str| {
            edition_document(catalogue, &*store.blobs, place, path).unwrap().map(|found| found.blob)
        };
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

    #[test]
    fn no_two_documents_of_a_path_have_the_same_time() {
        let home = fsx::test_directory();
        let store = Store::open(home.path()).unwrap();
        let catalogue = &*store.catalogue;
        let place = ("apt", "debian");
        let path = "InRelease";
        let of = |document: EditionDocument| EditionDocuments::from([(path.to_owned(), document)]);
        let (one, two) = (of(hold(&store, "one", false)), of(hold(&store, "two", false)));
        let mut before = EditionDocuments::new();
        let mut seen = Vec::new();
        // Twice the same, another one within the same second, the first one again, and another after the clock went back.
        let steps = [
            (&one, "2026-01-01T00:00:00Z"),
            (&one, "2026-01-02T00:00:00Z"),
            (&two, "2026-01-01T00:00:00Z"),
            (&one, "2026-01-03T00:00:00Z"),
            (&two, "2020-01-01T00:00:00Z"),
        ];
        for (number, (documents, now)) in (1..).zip(steps) {
            publish_edition(catalogue, place, &state(number, now), documents, &before).unwrap();
            before = documents.clone();
            seen.push(edition_document(catalogue, &*store.blobs, place, path).unwrap().unwrap().since);
        }
        let expected = [
            "2026-01-01T00:00:00Z",
            "2026-01-01T00:00:00Z",
            "2026-01-01T00:00:01Z",
            "2026-01-03T00:00:00Z",
            "2026-01-03T00:00:01Z",
        ];
        assert_eq!(seen, expected);
    }
}
