//! Going back: earlier states, forgetting, a catalogue made again, backups, and an old copy put back.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};

use aftk::store::{AuditEntry, Change, ChangeSet, Expected, Merge, Precondition, Store};
use bundle_format::{Artifact, BlobKey, File, Record};
use serde_json::{Value, json};

use crate::support::crash::for_every;
use crate::support::raw_http::Client;
use crate::support::serving::Serving;
use crate::support::sides::{Ran, Sides, bundles, copy_directory};

/// An outside that has collected three bundles of the channel `prod`, and an inside that has imported some.
struct Site {
    sides: Sides,
    bundles: Vec<PathBuf>,
}

impl Site {
    /// Each bundle lists a file of its own, `1.txt`, and one that it changes, `moving.txt`; an inside that has imported
    /// the first so many.
    fn with(imported: usize) -> Site {
        let sides = Sides::new();
        for sequence in 1..=3 {
            sides.write(&format!("{sequence}.txt"), format!("only in {sequence}"));
            sides.write("moving.txt", format!("moved {sequence}"));
            let file = format!("file:./{sequence}.txt");
            let words = ["collect", &file, "file:./moving.txt", "--channel", "prod", "--out", "../stick"];
            sides.run("out", &words).done();
        }
        sides.trust();
        let site = Site { bundles: bundles(&sides.path("stick")), sides };
        (0..imported)
            .for_each(|index| assert_eq!(site.import(index).json()["bundles"][0]["outcome"], "imported"));
        site
    }

    fn run(&self, words: &[&str]) -> Ran {
        self.sides.run("in", words)
    }

    fn import(&self, index: usize) -> Ran {
        self.run(&["import", "--json", self.bundles[index].to_str().unwrap()])
    }

    /// What `ls --json` prints.
    fn listed(&self) -> Value {
        let ran = self.run(&["ls", "--json"]);
        assert_eq!(ran.code, Some(0), "{}", ran.stderr);
        ran.json()
    }

    /// The names that are shown.
    fn names(&self) -> Vec<String> {
        let listed = self.listed();
        let artifacts = listed["artifacts"].as_array().unwrap();
        let mut names: Vec<String> = artifacts
            .iter()
            .map(|one| one["purl"].as_str().unwrap().split(['/', '?']).nth(1).unwrap().to_owned())
            .collect();
        names.sort();
        names
    }

    #[track_caller]
    fn fails(&self, words: &[&str], exit: i32, code: &str) -> Ran {
        let ran = self.run(&[words, &["--json"]].concat());
        assert_eq!((ran.code, &ran.json()["error"]["code"]), (Some(exit), &json!(code)), "{}", ran.stderr);
        ran
    }
}

#[test]
fn a_channel_goes_back_and_forward_again() {
    let site = Site::with(3);
    assert_eq!(
        site.run(&["rollback", "prod", "-n"]).done(),
        "prod: would show sequence 2 (it was 3, the newest here is 3)\n"
    );
    let back = site.run(&["rollback", "prod"]);
    assert_eq!(back.stdout, "prod: shows sequence 2 (it was 3, the newest here is 3)\n");
    assert!(back.stderr.contains("promote prod`"), "{}", back.stderr);
    assert!(!site.names().contains(&"3.txt".to_owned()));
    // What it went back from is held already; that does not show it again.
    assert_eq!(site.import(2).json()["bundles"][0]["outcome"], "already-held");
    assert!(!site.names().contains(&"3.txt".to_owned()));
    site.fails(&["promote", "prod/7"], 4, "generation.none");
    site.fails(&["rollback", "other"], 4, "selector.nothing");
    site.fails(&["promote", "prod/x"], 2, "usage.sequence");
    assert_eq!(site.run(&["promote", "prod"]).done(), "prod: shows sequence 3 (it was 2, the newest here)\n");
    assert!(site.names().contains(&"3.txt".to_owned()));
    // gc leaves two states, and the bytes of those.
    site.run(&["gc"]).done();
    site.fails(&["rollback", "prod", "--to", "1"], 4, "generation.none");
    site.run(&["rollback", "prod", "--to", "2"]).done();
    site.run(&["check"]).done();
}

#[test]
fn what_is_forgotten_comes_back_with_the_next_bundle() {
    let site = Site::with(2);
    let would = site.run(&["forget", "file:1.txt", "-n"]).done();
    assert!(would.ends_with("would forget 1 artifact; gc frees 1 blob, 9 B\n"), "{would}");
    assert_eq!(site.names(), ["1.txt", "2.txt", "moving.txt"]);
    assert!(site.run(&["forget", "file:moving.txt"]).done().ends_with("gc frees 2 blobs, 14 B\n"));
    assert_eq!(site.names(), ["1.txt", "2.txt"]);
    assert_eq!(site.run(&["gc"]).done(), "freed 2 blobs, 14 B\n");
    site.run(&["check"]).done();
    assert_eq!(site.import(2).json()["bundles"][0]["outcome"], "imported");
    assert_eq!(site.names(), ["1.txt", "2.txt", "3.txt", "moving.txt"]);

    site.run(&["forget", "--channel", "prod", "--keep-last", "1"]).done();
    assert_eq!(site.names(), ["3.txt", "moving.txt"]);
    site.fails(&["rollback", "prod"], 4, "generation.none");
    site.run(&["gc"]).done();
    site.run(&["check"]).done();
    site.run(&["forget", "--channel", "prod", "--keep-within", "6m"]).done();
    site.fails(&["forget", "--channel", "prod", "--keep-within", "6"], 2, "usage.time");
    site.fails(&["forget", "npm:nothing"], 4, "selector.nothing");
    assert_eq!(site.run(&["forget"]).code, Some(2));
}

/// Takes the catalogue of the inside away.
fn lose_catalogue(site: &Site) {
    for name in ["catalogue.sqlite", "catalogue.sqlite-wal", "catalogue.sqlite-shm"] {
        let _ = std::fs::remove_file(site.sides.path("in/store").join(name));
    }
}

/// Puts a package into a hosted repository of the inside, as its server would.
fn host(site: &Site, bytes: &[u8]) {
    let store = Store::open(&site.sides.path("in")).unwrap();
    let mut write = store.blobs.begin(&[], true).unwrap();
    write.write(bytes).unwrap();
    store.blobs.settle(vec![write.stage(&Expected::default()).unwrap()]).unwrap();
    let changes = vec![Change::Link(artifact("hosted", bytes))];
    store.catalogue.commit(&ChangeSet { changes }, &Precondition::None).unwrap();
}

fn artifact(name: &str, bytes: &[u8]) -> Artifact {
    Artifact {
        ecosystem: "npm".into(),
        repository: "team".into(),
        name: name.into(),
        version: "1.0.0".into(),
        qualifier: String::new(),
        schema: "npm/1".into(),
        attributes: BTreeMap::new(),
        files: vec![File {
            role: "tarball".into(),
            path: format!("{name}/-/{name}-1.0.0.tgz"),
            blob: BlobKey::of(bytes),
            size: bytes.len() as u64,
            media_type: String::new(),
            checksums: Vec::new(),
            origin: String::new(),
        }],
        requires: Vec::new(),
    }
}

#[test]
fn a_lost_catalogue_is_made_again_from_what_was_imported() {
    let site = Site::with(2);
    // What the third continues is the first.
    site.run(&["rollback", "prod"]).done();
    assert_eq!(site.import(2).json()["bundles"][0]["outcome"], "imported");
    assert_eq!(site.names(), ["1.txt", "3.txt", "moving.txt"]);
    let before = site.listed();
    lose_catalogue(&site);
    site.fails(&["ls"], 3, "store.catalogue-lost");

    let would = site.run(&["check", "--rebuild", "-n"]).done();
    assert!(would.starts_with("the catalogue would be made again: 3 snapshots, 3 artifacts\n"), "{would}");
    site.fails(&["ls"], 3, "store.catalogue-lost");
    let made = site.run(&["check", "--rebuild"]);
    assert_eq!(made.code, Some(0), "{}", made.stderr);
    for lost in ["what clients pushed", "from which states"] {
        assert!(made.stderr.contains(&format!("lost: {lost}")), "{}", made.stderr);
    }
    assert_eq!(site.listed(), before);
    site.run(&["check"]).done();
    // The marks are what they were, and one can still go back.
    for index in 0..3 {
        assert_eq!(site.import(index).json()["bundles"][0]["outcome"], "already-held");
    }
    site.run(&["rollback", "prod", "--to", "2"]).done();
    assert_eq!(site.names(), ["1.txt", "2.txt", "moving.txt"]);
    assert!(!site.sides.path("in/store/rebuild").exists());
}

#[test]
fn what_was_forgotten_does_not_come_back_with_a_catalogue_that_is_made_again() {
    let site = Site::with(2);
    site.run(&["forget", "file:1.txt", "file:moving.txt"]).done();
    assert_eq!(site.import(2).json()["bundles"][0]["outcome"], "imported");
    assert_eq!(site.names(), ["2.txt", "3.txt", "moving.txt"], "the third lists one of them again");
    let rebuilt = |shown: &Value, said: &str| {
        lose_catalogue(&site);
        assert_eq!(
            site.run(&["check", "--rebuild"]).done(),
            format!("the catalogue was made again: {said}\n")
        );
        assert_eq!(site.listed(), *shown);
    };
    rebuilt(&site.listed(), "3 snapshots, 3 artifacts, and 1 forgotten");
    site.run(&["gc"]).done();
    site.run(&["check"]).done();

    // With the states that were given up.
    site.run(&["forget", "--channel", "prod", "--keep-last", "1"]).done();
    assert_eq!(site.names(), ["3.txt", "moving.txt"]);
    rebuilt(&site.listed(), "3 snapshots, 2 artifacts, and 2 forgotten");
    site.fails(&["rollback", "prod"], 4, "generation.none");
    site.run(&["gc"]).done();
    site.run(&["check"]).done();

    // A backup remembers it too; what the snapshots list comes with the kept media.
    let backup = site.sides.path("backup.tar");
    site.run(&["backup", backup.to_str().unwrap()]).done();
    site.sides.run("again", &["restore", backup.to_str().unwrap()]).done();
    for bundle in &site.bundles {
        site.sides.run("again", &["import", bundle.to_str().unwrap()]).done();
    }
    std::fs::remove_file(site.sides.path("again/store/catalogue.sqlite")).unwrap();
    let would = site.sides.run("again", &["check", "--rebuild", "-n"]).done();
    assert!(would.contains("3 snapshots, 2 artifacts, and 2 forgotten"), "{would}");
}

#[test]
fn a_catalogue_that_was_made_again_twice_knows_what_was_continued_in_between() {
    let site = Site::with(1);
    // Generations that came to nothing have had numbers.
    for _ in 0..2 {
        let store = Store::open(&site.sides.path("in")).unwrap();
        let generation = store.catalogue.begin_generation("prod").unwrap();
        store.catalogue.abandon(generation).unwrap();
    }
    site.import(1);
    lose_catalogue(&site);
    site.run(&["check", "--rebuild"]).done();
    // What the third continues is the first.
    site.run(&["rollback", "prod"]).done();
    site.import(2);
    assert_eq!(site.names(), ["1.txt", "3.txt", "moving.txt"]);
    lose_catalogue(&site);
    site.run(&["check", "--rebuild"]).done();
    assert_eq!(site.names(), ["1.txt", "3.txt", "moving.txt"]);
}

#[test]
fn what_no_snapshot_says_is_taken_over_from_a_damaged_catalogue() {
    let site = Site::with(3);
    host(&site, b"pushed");
    site.run(&["rollback", "prod"]).done();
    let (before, log) = (site.listed(), audit(&site));
    let catalogue = rusqlite::Connection::open(site.sides.path("in/store/catalogue.sqlite")).unwrap();
    let damage = "PRAGMA writable_schema = on; UPDATE sqlite_schema SET rootpage = (SELECT rootpage FROM \
                  sqlite_schema WHERE name = 'answer_body') WHERE name IN ('file_blob', 'snapshot_blob_blob')";
    catalogue.execute_batch(damage).unwrap();
    catalogue.close().unwrap();
    assert_eq!(site.run(&["check"]).code, Some(3));

    let made = site.run(&["check", "--rebuild", "--json"]);
    let report = made.json();
    assert_eq!(
        (made.code, &report["old"], &report["lost"]),
        (Some(0), &json!("damaged"), &json!([])),
        "{report}"
    );
    assert!(PathBuf::from(report["aside"].as_str().unwrap()).is_file());
    assert_eq!(site.listed(), before);
    site.run(&["check"]).done();
    let after = audit(&site);
    assert_eq!((&after[..log.len()], after.len()), (&log[..], log.len() + 1));
    assert_eq!(after.last().unwrap().0.action, "catalogue-rebuilt");
}

fn audit(site: &Site) -> Vec<(AuditEntry, BlobKey)> {
    Store::open(&site.sides.path("in")).unwrap().catalogue.audit(0, 1000).unwrap()
}

#[test]
fn a_sound_catalogue_is_held_against_what_was_imported() {
    let site = Site::with(3);
    host(&site, b"pushed");
    assert_eq!(
        site.run(&["check", "--rebuild"]).done(),
        "the catalogue is sound: 3 snapshots, 5 artifacts\n"
    );
    site.run(&["forget", "file:1.txt"]).done();
    let said = site.run(&["check", "--rebuild"]).done();
    assert_eq!(said, "the catalogue is sound: 3 snapshots, 4 artifacts, and 1 forgotten\n");
    // Somebody else wrote into it.
    let store = Store::open(&site.sides.path("in")).unwrap();
    let generation = store.catalogue.begin_generation("prod").unwrap();
    store.catalogue.stage(generation, &[Record::Artifact(artifact("smuggled", b"pushed"))]).unwrap();
    store.catalogue.merge(generation, Merge::Add).unwrap();
    let changes = vec![Change::Publish(generation)];
    store.catalogue.commit(&ChangeSet { changes }, &Precondition::None).unwrap();
    let ran = site.fails(&["check", "--rebuild"], 3, "store.underived");
    assert_eq!(ran.json()["underived"][0]["purl"], "pkg:npm/smuggled@1.0.0");
    assert!(site.listed().to_string().contains("smuggled"), "nothing was changed");
}

#[test]
fn a_store_that_says_nothing_of_what_it_accepted_is_not_made_empty() {
    let site = Site::with(1);
    lose_catalogue(&site);
    std::fs::remove_dir_all(site.sides.path("in/store/accepted")).unwrap();
    site.fails(&["check", "--rebuild"], 4, "store.nothing-accepted");
    site.fails(&["ls"], 3, "store.catalogue-lost");
    let nowhere = site.sides.run("nowhere", &["check", "--rebuild"]);
    assert_eq!(nowhere.code, Some(2), "{}", nowhere.stderr);
}

/// Takes the whole inside away.
fn destroy(site: &Site) {
    std::fs::remove_dir_all(site.sides.path("in")).unwrap();
}

#[test]
fn a_restored_site_and_the_kept_sticks_are_what_was_there() {
    let site = Site::with(3);
    host(&site, b"pushed by a client");
    site.run(&["rollback", "prod"]).done();
    site.run(&["forget", "file:1.txt"]).done();
    std::fs::write(site.sides.path("in/site.toml"), "format = 1\n[store]\nkeep_generations = 4\n").unwrap();
    let (before, log) = (site.listed(), audit(&site));
    let backup = site.sides.path("backup.tar");
    let (first, again) = (backup.to_str().unwrap(), site.sides.path("again.tar"));
    let would = site.run(&["backup", first, "-n"]).done();
    assert!(would.starts_with("would write") && !backup.exists(), "{would}");
    site.run(&["backup", first]).done();
    site.fails(&["backup", first], 6, "backup.exists");
    let mode = std::os::unix::fs::PermissionsExt::mode(&backup.metadata().unwrap().permissions());
    assert_eq!(mode & 0o777, 0o600);
    site.run(&["backup", again.to_str().unwrap()]).done();
    let bytes = std::fs::read(&backup).unwrap();
    assert!(bytes == std::fs::read(&again).unwrap(), "the same home makes the same archive");
    site.fails(&["restore", first], 6, "restore.not-empty");
    site.run(&["restore", first, "-n"]).done();

    destroy(&site);
    let restored = site.run(&["restore", first]).done();
    assert!(restored.ends_with("prod: up to sequence 3\n"), "{restored}");
    assert_eq!((site.listed(), audit(&site)), (before.clone(), log));
    assert_eq!(site.run(&["check", "--json"]).code, Some(3), "what was imported is on the sticks");
    for index in 0..3 {
        assert_eq!(site.import(index).json()["bundles"][0]["outcome"], "healed", "{index}");
    }
    assert_eq!(site.listed(), before);
    site.run(&["check"]).done();
    site.run(&["promote", "prod"]).done();
    site.run(&["gc"]).done();
    site.run(&["check"]).done();

    // What is new to it may be older than what it does not remember.
    site.sides.write("4.txt", "only in 4");
    let words = ["collect", "file:./4.txt", "--channel", "prod", "--out", "../stick"];
    site.sides.run("out", &words).done();
    let next = bundles(&site.sides.path("stick"))[3].to_str().unwrap().to_owned();
    site.fails(&["import", &next], 6, "trust.put-back");
    site.run(&["recover", "--min-sequence", "prod=4"]).done();
    site.run(&["import", &next]).done();
    // Receipts that were written after the backup are older than the next one.
    let receipt = site.run(&["receipt", "--site", "ship", "--json"]);
    assert!(receipt.stdout.contains("\"number\":1000001"), "{receipt:?}");
}

#[test]
fn a_backup_is_restored_whole_or_not_at_all() {
    let site = Site::with(1);
    host(&site, b"pushed by a client");
    let backup = site.sides.path("backup.tar");
    let file = backup.to_str().unwrap();
    site.run(&["backup", file]).done();
    let bytes = std::fs::read(&backup).unwrap();
    let restore = |bytes: &[u8]| {
        std::fs::write(&backup, bytes).unwrap();
        let ran = site.sides.run("new", &["restore", file, "--json"]);
        assert!(!site.sides.path("new").exists(), "{}", ran.stdout);
        (ran.code, ran.json()["error"]["code"].as_str().unwrap().to_owned())
    };
    // A byte of every member's content, and every place where it may end early.
    let contents: Vec<usize> = {
        let (mut at, mut found) = (0, Vec::new());
        while bytes[at] != 0 {
            let digits = std::str::from_utf8(&bytes[at + 124..at + 135]).unwrap();
            let size = usize::from_str_radix(digits, 8).unwrap();
            found.extend((size > 0).then_some(at + 512 + size / 2));
            at += 512 + size.next_multiple_of(512);
        }
        found
    };
    assert!(contents.len() > 8);
    for at in contents {
        let mut damaged = bytes.clone();
        damaged[at] ^= 1;
        let (exit, code) = restore(&damaged);
        assert!(
            (exit, &*code) == (Some(3), "restore.damaged")
                || (exit, &*code) == (Some(2), "restore.no-backup"),
            "{at}: {exit:?} {code}"
        );
        restore(&bytes[..at]);
    }
    restore(b"");
    restore(&bytes[512..]);
    std::fs::write(&backup, &bytes).unwrap();
    site.sides.run("new", &["restore", file]).done();
    assert_eq!(site.sides.run("new", &["ls"]).done(), site.run(&["ls"]).done());
    // Without what clients pushed it is said.
    let small = site.sides.path("small.tar");
    let said = site.run(&["backup", small.to_str().unwrap(), "--without-hosted"]).done();
    assert!(said.contains("left out: 1 blob"), "{said}");
    assert!(small.metadata().unwrap().len() < backup.metadata().unwrap().len());
}

#[test]
fn an_old_copy_of_the_store_takes_nothing_new_until_it_is_said_what_is_too_old() {
    let site = Site::with(1);
    let (store, old) = (site.sides.path("in/store"), site.sides.path("old"));
    copy_directory(&store, &old);
    assert_eq!(site.run(&["recover", "--min-sequence", "prod=1"]).code, Some(0), "there is nothing to do");
    assert_eq!(site.import(1).json()["bundles"][0]["outcome"], "imported");
    std::fs::remove_dir_all(&store).unwrap();
    std::fs::rename(&old, &store).unwrap();

    for words in [&["import"][..], &["import", "-n"]] {
        let words = [words, &[site.bundles[1].to_str().unwrap()]].concat();
        site.fails(&words, 6, "trust.put-back");
    }
    // What it knows brings nothing in.
    assert_eq!(site.import(0).json()["bundles"][0]["outcome"], "already-held");
    site.run(&["check", "--rebuild"]).done();
    site.fails(&["recover", "--min-sequence", "other=2"], 2, "recover.channel");
    site.fails(&["recover", "--min-sequence", "prod"], 2, "usage.sequence");
    site.run(&["recover", "--min-sequence", "prod=3", "-n"]).done();
    site.fails(&["import", site.bundles[2].to_str().unwrap()], 6, "trust.put-back");
    assert_eq!(
        site.run(&["recover", "--min-sequence", "prod=3"]).done(),
        "prod: takes bundles from sequence 3 on\n"
    );
    site.fails(&["import", site.bundles[1].to_str().unwrap()], 6, "trust.below-floor");
    assert_eq!(site.import(2).json()["bundles"][0]["outcome"], "imported");
    assert_eq!(audit(&site).iter().filter(|(entry, _)| entry.action == "recovered").count(), 1);
}

#[test]
fn a_lost_catalogue_of_an_old_copy_is_no_way_around() {
    let site = Site::with(1);
    let (store, old) = (site.sides.path("in/store"), site.sides.path("old"));
    copy_directory(&store, &old);
    assert_eq!(site.import(1).json()["bundles"][0]["outcome"], "imported");
    // Of the store itself a lost catalogue goes on where it was.
    lose_catalogue(&site);
    site.run(&["check", "--rebuild"]).done();
    assert_eq!(site.import(2).json()["bundles"][0]["outcome"], "imported");
    std::fs::remove_dir_all(&store).unwrap();
    std::fs::rename(&old, &store).unwrap();
    lose_catalogue(&site);
    site.run(&["check", "--rebuild"]).done();
    site.fails(&["import", site.bundles[1].to_str().unwrap()], 6, "trust.put-back");
}

/// Runs the program on a copy of the inside until it ends at its N-th write, for every N, and looks at what is left.
fn at_every_write(site: &Site, words: &[&str], look: impl Fn(&str) + Sync) {
    let aborted = AtomicU64::new(0);
    for_every(2000, |number| {
        let home = format!("in-{number}");
        copy_directory(&site.sides.path("in"), &site.sides.path(&home));
        let words: Vec<_> = words.iter().map(|word| word.replace("NUMBER", &number.to_string())).collect();
        let mut command = site.sides.command(&home);
        let ran = command.args(&words).env("AFTK_FAULT", format!("{number}:abort")).output().unwrap();
        let was_aborted = ran.status.code().is_none();
        assert!(was_aborted || ran.status.success(), "{}", String::from_utf8_lossy(&ran.stderr));
        look(&number.to_string());
        std::fs::remove_dir_all(site.sides.path(&home)).unwrap();
        aborted.fetch_add(u64::from(was_aborted), Ordering::Relaxed);
        was_aborted
    });
    let aborted = aborted.into_inner();
    println!("{}: ended at {aborted} writes", words.join(" "));
    assert!(aborted > 10, "{aborted}");
}

#[test]
fn an_import_that_dies_anywhere_leaves_no_old_copy() {
    let site = Site::with(1);
    let (second, third) = (site.bundles[1].to_str().unwrap(), site.bundles[2].to_str().unwrap());
    at_every_write(&site, &["import", second], |number| {
        let home = format!("in-{number}");
        site.sides.run(&home, &["import", third]).done();
        let rebuilt = site.sides.run(&home, &["check", "--rebuild"]).done();
        assert!(rebuilt.starts_with("the catalogue is sound"), "{number}: {rebuilt}");
        site.sides.run(&home, &["import", second]).done();
        assert_eq!(site.sides.run(&home, &["ls", "-q"]).done().lines().count(), 4, "{number}");
    });
}

#[test]
fn forgetting_that_dies_anywhere_is_done_again() {
    let site = Site::with(2);
    at_every_write(&site, &["forget", "file:1.txt"], |number| {
        let home = format!("in-{number}");
        let run = |words: &[&str]| site.sides.run(&home, words);
        assert!(run(&["check", "--rebuild"]).done().starts_with("the catalogue is sound"), "{number}");
        if run(&["ls", "-q"]).done().contains("1.txt") {
            run(&["forget", "file:1.txt"]).done();
        }
        std::fs::remove_file(site.sides.path(&home).join("store/catalogue.sqlite")).unwrap();
        run(&["check", "--rebuild"]).done();
        assert!(!run(&["ls", "-q"]).done().contains("1.txt"), "{number}");
    });
}

#[test]
fn a_catalogue_that_is_made_again_is_there_whole_wherever_that_dies() {
    let site = Site::with(1);
    host(&site, b"pushed");
    let before = site.run(&["ls"]).done();
    let catalogue = rusqlite::Connection::open(site.sides.path("in/store/catalogue.sqlite")).unwrap();
    let damage = "PRAGMA writable_schema = on; UPDATE sqlite_schema SET rootpage = (SELECT rootpage FROM \
                  sqlite_schema WHERE name = 'answer_body') WHERE name IN ('file_blob', 'snapshot_blob_blob')";
    catalogue.execute_batch(damage).unwrap();
    catalogue.close().unwrap();
    at_every_write(&site, &["check", "--rebuild"], |number| {
        let home = format!("in-{number}");
        site.sides.run(&home, &["check", "--rebuild"]).done();
        assert_eq!(site.sides.run(&home, &["ls"]).done(), before, "{number}");
        site.sides.run(&home, &["check"]).done();
        site.sides.run(&home, &["import", site.bundles[1].to_str().unwrap()]).done();
    });
}

#[test]
fn a_backup_and_its_restoration_are_whole_or_not_there() {
    let site = Site::with(1);
    let whole = site.sides.path("whole.tar");
    site.run(&["backup", whole.to_str().unwrap()]).done();
    at_every_write(&site, &["backup", "../NUMBER.tar"], |number| {
        let file = site.sides.path(&format!("{number}.tar"));
        if file.exists() {
            assert!(std::fs::read(&file).unwrap() == std::fs::read(&whole).unwrap(), "{number}");
        }
    });
    let expected = site.run(&["ls"]).done();
    std::fs::remove_dir_all(site.sides.path("in")).unwrap();
    std::fs::create_dir(site.sides.path("in")).unwrap();
    at_every_write(&site, &["restore", "../whole.tar"], |number| {
        let home = format!("in-{number}");
        if site.sides.path(&home).join("store").exists() {
            assert_eq!(site.sides.run(&home, &["ls"]).done(), expected, "{number}");
        } else {
            site.sides.run(&home, &["restore", "../whole.tar"]).done();
        }
    });
}

#[test]
fn clients_of_a_running_server_see_the_earlier_state_at_once() {
    let site = Site::with(2);
    let serving = Serving::start(&site.sides);
    let get = || Client::connect(serving.address).ask("GET", "/files/local/moving.txt", &[]).text();
    assert_eq!(get(), "moved 2");
    site.run(&["rollback", "prod"]).done();
    assert_eq!(get(), "moved 1");
    site.run(&["promote", "prod"]).done();
    assert_eq!(get(), "moved 2");
    site.run(&["forget", "file:moving.txt"]).done();
    assert_eq!(Client::connect(serving.address).ask("GET", "/files/local/moving.txt", &[]).status, 404);
}
