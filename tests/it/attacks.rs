//! What an attacker, or chance, does to a bundle that comes volume by volume: rows of the attack table that are not tested
//! where volumes, deltas and receipts are.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Mutex;

use aftk::cancel::Cancel;
use aftk::events::{Events, Happening};
use aftk::ops::import::{self, ImportRequest};
use aftk::store::Store;
use aftk::trust::Trust;
use serde_json::Value;

use crate::support::sides::{Ran, Sides, bundles, copy_directory, sound};

/// Collects one large file into two volumes, with a home of outside's.
fn collect(sides: &Sides, home: &str, fill: u8, out: &str) -> Vec<PathBuf> {
    sides.write("large.bin", vec![fill; 1_800_000]);
    let words = ["collect", "--channel", "prod", "--volume-size", "1200KiB", "--out"];
    sides.run(home, &[&words[..], &[out, "file:./large.bin"]].concat()).done();
    let volumes = bundles(&sides.path(out.trim_start_matches("../")));
    assert_eq!(volumes.len(), 2);
    volumes
}

fn import(sides: &Sides, volume: &Path) -> Ran {
    sides.run("in", &["import", "--json", volume.to_str().unwrap()])
}

/// Exit code and the code of the problem.
fn refusal(ran: &Ran) -> (Option<i32>, Value) {
    (ran.code, ran.json()["failed"][0]["problem"]["code"].clone())
}

#[test]
fn key_compromise_between_two_volumes() {
    let sides = Sides::new();
    let volumes = collect(&sides, "out", 1, "../stick");
    sides.trust();
    assert_eq!(import(&sides, &volumes[0]).code, Some(4));
    let key = sides.run("in", &["inspect", "--json", volumes[0].to_str().unwrap()]).json();
    let key = key["bundles"][0]["signers"][0].as_str().unwrap().to_owned();
    sides.run("in", &["key", "revoke", &key, "--compromised", "-y"]).done();
    assert_eq!(refusal(&import(&sides, &volumes[1])), (Some(3), "trust.revoked".into()));
    assert!(sound(&sides.path("in")).is_empty());
}

#[test]
fn fork_that_is_completed_between_two_volumes() {
    let sides = Sides::new();
    sides.run("out", &["key", "show"]).done();
    copy_directory(&sides.path("out"), &sides.path("twin"));
    let volumes = collect(&sides, "out", 1, "../stick");
    let other = collect(&sides, "twin", 2, "../other");
    sides.trust();
    assert_eq!(import(&sides, &volumes[0]).code, Some(4));
    // The two halves make no whole.
    assert_eq!(import(&sides, &other[1]).code, Some(4));
    assert_eq!(import(&sides, &other[0]).code, Some(0));
    let shown = sound(&sides.path("in"));
    assert_eq!(refusal(&import(&sides, &volumes[1])), (Some(6), "trust.fork".into()));
    assert_eq!(sound(&sides.path("in")), shown);
}

#[test]
fn rollback_by_a_volume_that_was_kept_back() {
    let sides = Sides::new();
    let old = collect(&sides, "out", 1, "../old");
    let new = collect(&sides, "out", 2, "../new");
    sides.trust();
    assert_eq!(import(&sides, &old[0]).code, Some(4));
    sides.run("in", &["import", "../new"]).done();
    let shown = sound(&sides.path("in"));
    let late = import(&sides, &old[1]);
    assert_eq!((late.code, &late.json()["bundles"][0]["outcome"]), (Some(0), &"imported-late".into()));
    assert_eq!(sound(&sides.path("in")), shown, "what overtook it stays");
    assert_eq!(import(&sides, &new[0]).json()["bundles"][0]["outcome"], "already-held");
}

/// Puts another file in the place of one as soon as the first byte of something is read.
struct Swap(Mutex<Option<(PathBuf, PathBuf)>>);

impl Events for Swap {
    fn emit(&self, happening: Happening) {
        if let Happening::ItemProgress { .. } = happening
            && let Some((from, to)) = self.0.lock().unwrap().take()
        {
            fs::copy(from, to).unwrap();
        }
    }
}

#[test]
fn lying_media_that_return_another_volume_on_the_second_read() {
    let sides = Sides::new();
    let (first, second) = (collect(&sides, "out", 1, "../first"), collect(&sides, "out", 2, "../second"));
    sides.trust();
    let home = sides.path("in");
    // Both bundles are looked at before the first one is read.
    let paths = [&first[..], &second[1..]].concat();
    let events = Swap(Mutex::new(Some((second[0].clone(), second[1].clone()))));
    let request = ImportRequest { paths, dry_run: false, missing: None };
    let (store, trust) = (Store::open(&home).unwrap(), Trust::open(&home).unwrap());
    let report = import::import(&store, &trust, &request, &events, &Cancel::default()).unwrap();
    assert_eq!((report.bundles.len(), report.failed.len()), (1, 1));
    assert_eq!(report.failed[0].problem.code, "media.changed");
    // What the other volume really was is none of what arrived.
    let status = sides.run("in", &["status", "--json"]).json();
    assert_eq!(status["channels"][0]["arriving"], Value::Null);
    assert_eq!(sound(&home).len(), 1);
}

#[test]
fn endless_data_behind_a_volume() {
    let sides = Sides::new();
    let volumes = collect(&sides, "out", 1, "../stick");
    sides.trust();
    for (at, volume) in volumes.iter().enumerate() {
        let mut bytes = fs::read(volume).unwrap();
        bytes.push(0);
        let longer = sides.path(&format!("longer-{at}.tar"));
        fs::write(&longer, bytes).unwrap();
        assert_eq!(import(&sides, &longer).code, Some(3));
    }
    let whole = sides.run("in", &["import", "../stick", "--json"]);
    assert_eq!(whole.code, Some(0), "{whole:?}");
}

#[test]
fn wrong_key_of_a_volume_that_is_packed_again() {
    let sides = Sides::new();
    let volumes = collect(&sides, "out", 1, "../stick");
    sides.trust();
    // Somebody else signs how the same content travels; the snapshot stays what it was.
    sides.run("eve", &["key", "show"]).done();
    let theirs = collect(&sides, "eve", 1, "../eve");
    assert_eq!(import(&sides, &volumes[0]).code, Some(4));
    assert_eq!(import(&sides, &theirs[1]).code, Some(3));
    assert!(sound(&sides.path("in")).is_empty());
    assert_eq!(import(&sides, &volumes[1]).code, Some(0));
}
