//! Whatever write fails, an import is seen whole or not at all, and the next run completes it.

use super::*;
use crate::fsx::faults::{Fault, Kind, Watch};
use crate::store::conformance::put;

const OLD: &str = "old";
const NEW: &str = "new";

/// What every run begins with: one channel, one artifact.
fn fresh() -> tempfile::TempDir {
    let home = crate::fsx::test_directory();
    let store = Store::open(home.path()).unwrap();
    put(&*store.blobs, OLD.as_bytes());
    import(&*store.catalogue, &prod(), Merge::Add, &[artifact("a", "1", &[OLD]), tag("a", "latest", "1")]);
    home
}

/// A store that was made only in part is no lost one.
#[test]
fn whoever_dies_while_making_a_store_can_make_it_again() {
    let whole = crate::fsx::test_directory();
    let watch = Watch::new(whole.path());
    Store::open(whole.path()).unwrap();
    let points = watch.count();
    drop(watch);
    assert!(points > 5);
    for at in 1..=points {
        let home = crate::fsx::test_directory();
        let watch = Watch::new(home.path());
        watch.plan(Fault { at, kind: Kind::Halt });
        drop(Store::open(home.path()));
        assert!(watch.forget());
        let store = Store::open(home.path()).unwrap_or_else(|error| panic!("{at} of {points}: {error}"));
        put(&*store.blobs, b"held");
        drop(store);
        Store::open_existing(home.path()).unwrap();
    }
}

/// Takes the second import in, unless it has been already.
fn work(home: &std::path::Path) -> Result<(), StoreError> {
    let store = Store::open(home)?;
    let catalogue = &*store.catalogue;
    if catalogue.channel("prod")?.is_some_and(|state| state.sequence == 2) {
        return Ok(());
    }
    let session = catalogue.open_session(3600)?;
    let mut group = Vec::new();
    for text in [NEW, "b"] {
        let mut write = store.blobs.begin(&[], true)?;
        write.write(text.as_bytes())?;
        group.push(write.stage(&Expected::default())?);
    }
    let mut download = store.blobs.resume(&"d0".repeat(32), &[])?;
    if download.length() == 0 {
        download.write(b"c")?;
    }
    let expected = Expected { key: Some(BlobKey::of(b"c")), ..Expected::default() };
    group.push(download.stage(&expected)?);
    catalogue.claim(session, &[BlobKey::of(NEW.as_bytes()), BlobKey::of(b"b"), BlobKey::of(b"c")])?;
    store.blobs.settle(group)?;
    let records = [artifact("a", "1", &[NEW]), tag("b", "latest", "1"), artifact("b", "1", &["b", "c"])];
    let generation = prepare(catalogue, &prod(), Merge::Replace, &records)?;
    let entry = SnapshotEntry {
        channel: "prod".into(),
        epoch: 1,
        sequence: 2,
        snapshot: BlobKey::of(b"b"),
        signatures: BlobKey::of(b"c"),
        segments: Vec::new(),
        created: "2026-01-01T00:00:00Z".into(),
        accepted: "2026-01-01T00:00:00Z".into(),
        signers: Vec::new(),
        generation,
    };
    let audit =
        AuditEntry { time: "2026-01-01T00:00:00Z".into(), action: "import".into(), subject: BTreeMap::new() };
    let changes = vec![Change::Publish(generation), Change::Snapshot(entry), Change::Audit(audit)];
    let seen = catalogue.revision()?;
    catalogue.commit(&ChangeSet { changes }, &Precondition::Revision(seen))?;
    catalogue.close_session(session)
}

/// Whether the import is there; panics if it is there in part.
fn is_done(home: &std::path::Path) -> bool {
    let store = Store::open_existing(home).unwrap();
    let catalogue = &*store.catalogue;
    let done = catalogue.channel("prod").unwrap().unwrap().sequence == 2;
    let (expected, tagged_one) = match done {
        true => (vec![line("a", "1", NEW), line("b", "1", "b")], "b"),
        false => (vec![line("a", "1", OLD)], "a"),
    };
    assert_eq!(seen(catalogue), expected);
    for name in ["a", "b"] {
        assert_eq!(tagged(catalogue, name, "latest").is_some(), name == tagged_one);
    }
    assert_eq!(catalogue.audit(0, 10).unwrap().len(), usize::from(done));
    assert_eq!(catalogue.snapshots("prod").unwrap().len(), usize::from(done));
    for listed in catalogue.list(None, 10).unwrap() {
        for file in listed.linked.artifact.files {
            assert!(store.blobs.size(&file.blob).unwrap().is_some(), "no row without its bytes");
        }
    }
    assert_eq!(catalogue.check().unwrap(), [""; 0]);
    done
}

#[test]
fn whatever_write_fails_an_import_is_whole_or_not_at_all() {
    let home = fresh();
    let watch = Watch::new(home.path());
    work(home.path()).unwrap();
    let points = watch.count();
    drop(watch);
    assert!(is_done(home.path()) && points > 40, "{points}");
    for kind in [Kind::Eio, Kind::Halt] {
        for at in 1..=points {
            let home = fresh();
            let watch = Watch::new(home.path());
            watch.plan(Fault { at, kind });
            let result = work(home.path());
            assert!(watch.forget(), "{kind:?} at {at} was reached");
            let done = is_done(home.path());
            assert!(done || result.is_err(), "{kind:?} at {at}");
            work(home.path()).unwrap();
            assert!(is_done(home.path()), "{kind:?} at {at}");
        }
    }
}

const HOME: &str = "AFTK_TEST_HOME";

#[expect(clippy::disallowed_methods, reason = "how a test tells its own child where to work")]
fn told_home() -> Option<PathBuf> {
    std::env::var_os(HOME).map(PathBuf::from)
}

/// Does nothing but in the child processes of the next test.
#[test]
fn child() {
    if let Some(home) = told_home() {
        work(&home).unwrap();
    }
}

#[test]
fn a_process_that_dies_leaves_no_lock_and_no_half() {
    let run = |home: &std::path::Path, fault: &str| {
        std::process::Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "store::sqlite::tests::crash::child"])
            .env(HOME, home)
            .env("AFTK_FAULT", fault)
            .output()
            .unwrap()
            .status
            .success()
    };
    let (mut before, mut after) = (0, 0);
    for at in (1..).step_by(4) {
        let home = fresh();
        if run(home.path(), &format!("{at}:abort")) {
            break;
        }
        if is_done(home.path()) {
            after += 1
        } else {
            before += 1
        }
        work(home.path()).unwrap();
        assert!(is_done(home.path()), "abort at {at}");
    }
    assert!(before > 8 && after > 0, "{before} {after}");
}
