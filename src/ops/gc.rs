//! Frees what nothing in the store refers to any more.
//!
//! A blob is removed inside the transaction that finds it unneeded, so that whoever claims it does so before, and
//! keeps it, or after, and sees that it is gone.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::cancel::Cancel;
use crate::clock;
use crate::events::{Events, Happening};
use crate::fsx::Lock;
use crate::problem::Problem;
use crate::store::{Store, StoreError};

/// Downloads that nobody went on with for this long are given up.
const STAGING_KEPT: Duration = Duration::from_secs(24 * 60 * 60);
/// Answers of upstreams that were not confirmed for this long are forgotten.
const ANSWERS_KEPT: Duration = Duration::from_secs(30 * 24 * 60 * 60);

/// A wish to collect garbage.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct GcRequest {
    /// Only say what would be freed.
    pub dry_run: bool,
    /// How many generations of each channel stay, so that one can go back to them; at least 1.
    pub keep_generations: u64,
}

/// What was freed, or would be.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct GcReport {
    /// Whether nothing was changed. Then what only old answers refer to is not counted.
    pub dry_run: bool,
    /// How many blobs.
    pub blobs: u64,
    /// How many bytes, those of downloads that were given up included.
    pub bytes: u64,
}

/// Collects garbage.
///
/// # Errors
/// Untrusted, if the catalogue is damaged; if the store cannot be read or written, another process does the same, or the
/// job was stopped.
pub fn gc(
    store: &Store,
    request: &GcRequest,
    events: &dyn Events,
    cancel: &Cancel,
) -> Result<GcReport, Problem> {
    let GcRequest { dry_run, keep_generations } = *request;
    let path = store.layout.gc_lock();
    let lock = Lock::try_exclusive(&path)
        .map_err(|source| StoreError::Io { what: format!("cannot lock {}", path.display()), source })?;
    let Some(_lock) = lock else {
        return Err(StoreError::Busy("the store's garbage collection".into()).into());
    };
    events.emit(Happening::Stage { name: "gc".into(), items: None, bytes: None });
    must_be_sound(store)?;
    let mut report = GcReport { dry_run, ..GcReport::default() };
    if !dry_run {
        let before = clock::now().checked_sub(ANSWERS_KEPT).unwrap_or(std::time::UNIX_EPOCH);
        store.catalogue.prune(&clock::text(before), keep_generations)?;
        // What is in the trash by now was left by a collection that was interrupted.
        report.bytes += store.blobs.empty_trash(STAGING_KEPT.as_secs())?;
    }
    let mut interrupted = None;
    store.blobs.list(&mut |key, size| {
        if let Err(problem) = cancel.check() {
            interrupted = Some(problem);
            return Ok(false);
        }
        let goes = match dry_run {
            true => store.catalogue.would_be_unreferenced(&key, keep_generations)?,
            false => store.catalogue.if_unreferenced(&key, &mut || store.blobs.remove(&key))?,
        };
        if goes {
            report.blobs += 1;
            if dry_run {
                report.bytes += size;
            }
        }
        Ok(true)
    })?;
    if !dry_run {
        report.bytes += store.blobs.empty_trash(STAGING_KEPT.as_secs())?;
    }
    match interrupted {
        Some(problem) => Err(problem),
        None => Ok(report),
    }
}

/// Refuses to free anything by what a damaged catalogue says: a row that cannot be found looks like a blob that nothing
/// needs.
fn must_be_sound(store: &Store) -> Result<(), Problem> {
    let mut found = store.catalogue.check()?.into_iter();
    let Some(first) = found.next() else { return Ok(()) };
    Err(found.fold(Problem::from(StoreError::Damaged(first)), Problem::because))
}

#[cfg(test)]
mod tests {
    use bundle_format::BlobKey;

    use super::*;
    use crate::events::Silent;
    use crate::ops::testing::{artifact, import, keep, replace};
    use crate::store::CachedAnswer;

    const REQUEST: GcRequest = GcRequest { dry_run: false, keep_generations: 2 };

    fn run(store: &Store, dry_run: bool) -> GcReport {
        let request = GcRequest { dry_run, ..REQUEST };
        gc(store, &request, &Silent, &Cancel::default()).unwrap()
    }

    fn held(store: &Store, text: &str) -> bool {
        store.blobs.size(&BlobKey::of(text.as_bytes())).unwrap().is_some()
    }

    #[test]
    fn what_is_needed_stays_and_the_rest_goes() {
        let home = crate::fsx::test_directory();
        let store = Store::open(home.path()).unwrap();
        for text in ["linked", "claimed", "answer", "old answer", "garbage"] {
            keep(&store, text);
        }
        import(&store, "prod", &[artifact("a", "1", &["linked"])]);
        let session = store.catalogue.open_session(3600).unwrap();
        store.catalogue.claim(session, &[BlobKey::of(b"claimed")]).unwrap();
        for (body, confirmed) in
            [("answer", clock::now_text()), ("old answer", "2001-01-01T00:00:00Z".into())]
        {
            let (etag, last_modified, content_type) = (None, None, String::new());
            let body = BlobKey::of(body.as_bytes());
            let answer = CachedAnswer { body, etag, last_modified, content_type, confirmed };
            store.catalogue.cache(&[(body.hex(), answer)]).unwrap();
        }

        assert_eq!(run(&store, true), GcReport { dry_run: true, blobs: 1, bytes: 7 });
        assert!(held(&store, "garbage"));
        assert_eq!(run(&store, false), GcReport { dry_run: false, blobs: 2, bytes: 17 });
        assert!(held(&store, "linked") && held(&store, "claimed") && held(&store, "answer"));
        assert!(!held(&store, "garbage") && !held(&store, "old answer"));

        store.catalogue.close_session(session).unwrap();
        assert_eq!(run(&store, false).blobs, 1);
        assert!(!held(&store, "claimed"));
    }

    #[test]
    fn what_was_replaced_goes_once_one_cannot_go_back_to_it() {
        let home = crate::fsx::test_directory();
        let store = Store::open(home.path()).unwrap();
        for text in ["first", "second", "third"] {
            keep(&store, text);
        }
        import(&store, "prod", &[artifact("a", "1", &["first"])]);
        replace(&store, "prod", &[artifact("a", "1", &["second"])]);
        assert_eq!(run(&store, false).blobs, 1, "only the third");
        assert!(held(&store, "first") && held(&store, "second"));
        keep(&store, "third");
        replace(&store, "prod", &[artifact("a", "1", &["third"])]);
        assert_eq!(run(&store, true).blobs, 1);
        assert_eq!(run(&store, false).blobs, 1);
        assert!(!held(&store, "first") && held(&store, "second") && held(&store, "third"));
    }

    #[test]
    fn one_at_a_time_and_not_when_stopped() {
        let home = crate::fsx::test_directory();
        let store = Store::open(home.path()).unwrap();
        keep(&store, "garbage");
        let cancel = Cancel::default();
        let lock = Lock::exclusive(&store.layout.gc_lock()).unwrap();
        assert_eq!(gc(&store, &REQUEST, &Silent, &cancel).unwrap_err().code, "store.busy");
        drop(lock);
        cancel.ask();
        assert!(gc(&store, &REQUEST, &Silent, &cancel).is_err());
        assert!(held(&store, "garbage"));
    }

    /// Whoever claims a blob and then sees that it is held may rely on it, whatever gc does meanwhile.
    #[test]
    fn a_claim_comes_before_the_check_or_after_the_removal() {
        let home = crate::fsx::test_directory();
        let store = Store::open(home.path()).unwrap();
        let texts: Vec<String> = (0..60).map(|number| format!("blob {number}")).collect();
        for text in &texts {
            keep(&store, text);
        }
        std::thread::scope(|scope| {
            let collection = scope.spawn(|| run(&store, false));
            let other = Store::open_existing(home.path()).unwrap();
            let session = other.catalogue.open_session(3600).unwrap();
            let mut relied = Vec::new();
            for text in texts.iter().rev() {
                other.catalogue.claim(session, &[BlobKey::of(text.as_bytes())]).unwrap();
                if held(&other, text) {
                    relied.push(text);
                }
            }
            let freed = collection.join().unwrap().blobs + run(&other, false).blobs;
            assert_eq!(freed as usize + relied.len(), texts.len());
            for text in relied {
                assert!(held(&other, text), "{text}");
            }
        });
    }

    #[test]
    fn interrupted_anywhere_it_has_removed_nothing_that_is_needed() {
        use crate::fsx::faults::{Fault, Kind, Watch};
        let prepare = || {
            let home = crate::fsx::test_directory();
            let store = Store::open(home.path()).unwrap();
            for text in ["needed", "garbage", "more garbage"] {
                keep(&store, text);
            }
            import(&store, "prod", &[artifact("a", "1", &["needed"])]);
            (home, store)
        };
        let (home, store) = prepare();
        let watch = Watch::new(home.path());
        run(&store, false);
        let points = watch.count();
        drop(watch);
        for at in 1..=points {
            let (home, store) = prepare();
            let watch = Watch::new(home.path());
            watch.plan(Fault { at, kind: Kind::Halt });
            let result = gc(&store, &REQUEST, &Silent, &Cancel::default());
            assert!(watch.forget());
            drop(store);
            let store = Store::open_existing(home.path()).unwrap();
            assert!(held(&store, "needed"));
            run(&store, false);
            assert!(held(&store, "needed") && !held(&store, "garbage") && !held(&store, "more garbage"));
            assert_eq!(std::fs::read_dir(store.layout.trash()).unwrap().count(), 0);
            assert!(result.is_err() || at == points, "fault {at} of {points} is reported");
        }
    }
}
