//! Importing again what was imported before: it puts back what was lost, and nothing else is to be done.

use aftk::cancel::Cancel;
use aftk::ops::gc::{self, GcRequest};
use aftk::store::Store;

use crate::support::sides::{Sides, sound};

/// Outside collects this file under this key; inside imports what came of it. The outcome.
#[track_caller]
fn carry(sides: &Sides, key: &str, stick: &str) -> String {
    sides.run("out", &["collect", "file:./a.txt", "--key", key, "--out", stick]).done();
    let bundle = sides.path(stick.trim_start_matches("../")).display().to_string();
    let ran = sides.run("in", &["import", "--json", &bundle]);
    assert_eq!(ran.code, Some(0), "{}", ran.stderr);
    ran.json()["bundles"][0]["outcome"].as_str().unwrap().to_owned()
}

/// An outside with two keys that inside trusts.
fn sides() -> Sides {
    let sides = Sides::new();
    for key in ["first", "second"] {
        sides.run("out", &["key", "new", key]).done();
        sides.write("key.pem", sides.run("out", &["key", "show", key]).done());
        sides.run("in", &["key", "trust", "key.pem", "--name", key]).done();
    }
    sides
}

#[test]
fn what_was_replaced_and_freed_is_not_lost() {
    let sides = sides();
    for (content, stick) in [("one", "../one"), ("two", "../two"), ("three", "../three")] {
        sides.write("a.txt", content);
        assert_eq!(carry(&sides, "first", stick), "imported");
    }
    let store = Store::open(&sides.path("in")).unwrap();
    let freed = gc::gc(
        &store,
        &GcRequest { dry_run: false, keep_generations: 2 },
        &aftk::events::Silent,
        &Cancel::default(),
    )
    .unwrap();
    assert_eq!(freed.blobs, 1, "the first file");
    let again = |stick: &str| {
        let ran = sides.run("in", &["import", "--json", sides.path(stick).to_str().unwrap()]);
        ran.json()["bundles"][0]["outcome"].as_str().unwrap().to_owned()
    };
    let revision = store.catalogue.revision().unwrap();
    for stick in ["one", "two", "three"] {
        assert_eq!(again(stick), "already-held");
    }
    assert_eq!(store.catalogue.revision().unwrap(), revision);
    // What is still needed is put back.
    store.blobs.remove(&bundle_format::BlobKey::of(b"three")).unwrap();
    assert_eq!([again("three"), again("three")], ["healed", "already-held"]);
    sound(&sides.path("in"));
}

#[test]
fn lost_signatures_are_put_right_by_others_of_the_same_snapshot() {
    let sides = sides();
    sides.write("a.txt", "one");
    assert_eq!(carry(&sides, "first", "../first"), "imported");
    assert_eq!(carry(&sides, "second", "../second"), "already-held");
    let store = Store::open(&sides.path("in")).unwrap();
    let before = store.catalogue.snapshots("default").unwrap().remove(0);
    store.blobs.remove(&before.signatures).unwrap();
    assert_eq!(carry(&sides, "second", "../second"), "healed");
    let after = store.catalogue.snapshots("default").unwrap().remove(0);
    assert!(after.signatures != before.signatures && after.signers != before.signers);
    assert_eq!((after.snapshot, &after.accepted), (before.snapshot, &before.accepted));
    sound(&sides.path("in"));
    for stick in ["../second", "../first"] {
        assert_eq!(carry(&sides, stick.trim_start_matches("../"), stick), "already-held");
    }
}
