//! A store that lost its catalogue, or has a damaged one, is never taken for an empty or a sound one; and what cannot
//! be held is told before it is copied.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::Stdio;
use std::sync::{Arc, Mutex};

use aftk::cancel::Cancel;
use aftk::events::{Events, Happening};
use aftk::ops::import::{self, ImportRequest};
use aftk::store::{Blobs, Expected, MemoryBlobs, Store};
use aftk::trust::Trust;

use crate::support::sides::Sides;

/// An inside that has imported a bundle of one file.
fn imported() -> Sides {
    let sides = Sides::new();
    sides.write("a.txt", "needed");
    sides.run("out", &["collect", "file:./a.txt", "--out", "../stick"]).done();
    sides.trust();
    sides.run("in", &["import", "../stick"]).done();
    sides
}

/// How many blobs a home holds.
fn blobs(home: &Path) -> usize {
    let directories = home.join("store/blobs/sha256").read_dir().unwrap();
    directories.map(|directory| directory.unwrap().path().read_dir().unwrap().count()).sum()
}

#[test]
fn a_lost_catalogue_is_said_by_every_verb_and_costs_no_blob() {
    let sides = imported();
    let store = sides.path("in/store");
    let held = blobs(&sides.path("in"));
    assert!(held > 0);
    let lose: [fn(&Path); 2] =
        [|file| std::fs::write(file, "").unwrap(), |file| std::fs::remove_file(file).unwrap()];
    for lose in lose {
        lose(&store.join("catalogue.sqlite"));
        for verb in
            [&["ls"][..], &["check"], &["gc"], &["serve", "--listen", "127.0.0.1:0"], &["import", "../stick"]]
        {
            let ran = sides.run("in", &[verb, &["--json"]].concat());
            assert_eq!(ran.code, Some(3), "{verb:?}: {}", ran.stderr);
            assert_eq!(ran.json()["error"]["code"], "store.catalogue-lost", "{verb:?}");
            assert!(ran.stderr.contains("check --rebuild`"), "{}", ran.stderr);
        }
        assert_eq!(blobs(&sides.path("in")), held);
    }
    // The way out that the hint names, and the one where that cannot be gone.
    sides.run("in", &["check", "--rebuild"]).done();
    sides.run("in", &["check"]).done();
    std::fs::rename(&store, sides.path("in/aside")).unwrap();
    assert_eq!(sides.run("in", &["import", "../stick"]).code, Some(6));
    sides.run("in", &["recover", "--min-sequence", "default=1"]).done();
    sides.run("in", &["import", "../stick"]).done();
    sides.run("in", &["check"]).done();
    assert_eq!(blobs(&sides.path("in")), held);
}

#[test]
fn a_damaged_catalogue_is_unsound_whatever_of_it_is_damaged() {
    let sides = imported();
    let file = sides.path("in/store/catalogue.sqlite");
    let sound = std::fs::read(&file).unwrap();
    assert!(sound.len() > 8 * 4096);
    for (from, to) in [(0, 4096), (4096, sound.len()), (sound.len() / 2, sound.len())] {
        let mut damaged = sound.clone();
        damaged[from..to].fill(0x5A);
        std::fs::write(&file, damaged).unwrap();
        let ran = sides.run("in", &["check", "--json"]);
        assert_eq!(ran.code, Some(3), "{from}..{to}: {}", ran.stderr);
        assert!(ran.stderr.contains("check --rebuild`"), "{from}..{to}: {}", ran.stderr);
    }
    std::fs::write(&file, sound).unwrap();
    sides.run("in", &["check"]).done();
}

#[test]
fn a_catalogue_that_forgets_what_is_needed_frees_nothing() {
    let sides = imported();
    let held = blobs(&sides.path("in"));
    let catalogue = rusqlite::Connection::open(sides.path("in/store/catalogue.sqlite")).unwrap();
    // The index of what needs a blob becomes another one, in which nothing is found.
    let damage = "PRAGMA writable_schema = on; UPDATE sqlite_schema SET rootpage = (SELECT rootpage FROM \
                  sqlite_schema WHERE name = 'answer_body') WHERE name IN ('file_blob', 'snapshot_blob_blob')";
    catalogue.execute_batch(damage).unwrap();
    catalogue.close().unwrap();
    for arguments in [&["gc", "--json"][..], &["gc", "-n", "--json"]] {
        let ran = sides.run("in", arguments);
        let error = &ran.json()["error"];
        assert_eq!(
            (ran.code, &error["code"]),
            (Some(3), &"store.catalogue-damaged".into()),
            "{}",
            ran.stderr
        );
    }
    assert_eq!(blobs(&sides.path("in")), held);
}

#[test]
fn serving_an_empty_store_works_and_is_said() {
    let sides = Sides::new();
    let mut command = sides.command("in");
    command.args(["serve", "--listen", "127.0.0.1:0"]).stderr(Stdio::piped()).stdout(Stdio::null());
    let mut child = command.spawn().unwrap();
    let lines = BufReader::new(child.stderr.take().unwrap()).lines().take(2);
    let said: Vec<String> = lines.map(Result::unwrap).collect();
    child.kill().unwrap();
    child.wait().unwrap();
    assert!(said[0].contains("is empty"), "{said:?}");
    assert!(said[1].starts_with("serving on http://127.0.0.1:"), "{said:?}");
}

/// Keeps the codes of warnings.
#[derive(Default)]
struct Warnings(Mutex<Vec<String>>);

impl Events for Warnings {
    fn emit(&self, happening: Happening) {
        if let Happening::Warning { code, .. } = happening {
            self.0.lock().unwrap().push(code);
        }
    }
}

#[test]
fn a_bundle_that_cannot_fit_is_refused_before_it_is_copied() {
    let sides = Sides::new();
    sides.write("a.bin", vec![7; 100_000]);
    sides.run("out", &["collect", "file:./a.bin", "--out", "../stick"]).done();
    sides.trust();
    let blobs = MemoryBlobs::new();
    let store = Store { blobs: Arc::new(blobs.clone()), ..Store::open(&sides.path("in")).unwrap() };
    let trust = Trust::open(&sides.path("in")).unwrap();
    let request = ImportRequest { paths: sides.medium(), dry_run: false, missing: None };
    let run = || {
        let warnings = Warnings::default();
        let result = import::import(&store, &trust, &request, &warnings, &Cancel::default());
        (result, warnings.0.into_inner().unwrap())
    };

    blobs.set_free_space(99_999);
    let problem = run().0.unwrap_err();
    assert_eq!((&*problem.code, problem.kind.exit_code()), ("store.full", 1), "{problem}");
    let mut held = 0;
    blobs
        .list(&mut |_, _| {
            held += 1;
            Ok(true)
        })
        .unwrap();
    assert_eq!(held, 0, "nothing was copied");
    assert!(store.catalogue.channels().unwrap().is_empty());

    // Who holds something may hold enough of it.
    let mut write = blobs.begin(&[], true).unwrap();
    write.write(b"held").unwrap();
    blobs.settle(vec![write.stage(&Expected::default()).unwrap()]).unwrap();
    let (result, warnings) = run();
    assert_eq!(result.unwrap().bundles.len(), 1);
    assert_eq!(warnings, ["import.space"]);
    // What is here already needs nothing.
    let (result, warnings) = run();
    assert!(result.is_ok() && warnings.is_empty(), "{warnings:?}");
}
