//! Bundles that are cut into volumes: carried in any order, one at a time, with some of them lost.

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::support::crash::for_every;
use crate::support::sides::{Ran, Sides, bundles, copy_directory, noise, sound};

/// How large volumes are at most.
const SIZE: u64 = 2 * 1024 * 1024;

/// Files of which one is larger than a volume, collected into three volumes or so.
fn collected() -> (Sides, Vec<PathBuf>) {
    let sides = Sides::new();
    let sizes = [5_000_000, 700_000, 300, 0];
    let names: Vec<String> = (0..sizes.len()).map(|number| format!("file:./part-{number}.bin")).collect();
    for (number, size) in sizes.into_iter().enumerate() {
        sides.write(&format!("part-{number}.bin"), noise(number as u64, size));
    }
    let mut words = vec!["collect", "--channel", "prod", "--volume-size", "2MiB", "--out", "../stick"];
    words.extend(names.iter().map(String::as_str));
    sides.run("out", &words).done();
    sides.trust();
    let volumes = sides.medium();
    (sides, volumes)
}

/// Imports these volumes, given one by one or together.
fn import(sides: &Sides, home: &str, volumes: &[&PathBuf]) -> Ran {
    let mut command = sides.command(home);
    command.args(["import", "--json"]).args(volumes).output().unwrap().into()
}

/// A new home that trusts what outside collects with.
fn fresh<'a>(sides: &Sides, home: &'a str) -> &'a str {
    sides.run(home, &["key", "trust", "collector.pem"]).done();
    home
}

#[track_caller]
fn assert_whole(sides: &Sides, home: &str) {
    assert_eq!(sound(&sides.path(home)).len(), 4, "{home}");
    for (number, size) in [(0, 5_000_000), (1, 700_000)] {
        let key = bundle_format::BlobKey::of(&noise(number, size)).hex();
        let path = sides.path(home).join("store/blobs/sha256").join(&key[..2]).join(&key);
        assert_eq!(fs::read(path).unwrap().len(), size);
    }
    // What was put together does not stay in pieces.
    sides.run(home, &["gc"]).done();
    let mut held = 0;
    for directory in fs::read_dir(sides.path(home).join("store/blobs/sha256")).unwrap() {
        held += fs::read_dir(directory.unwrap().path()).unwrap().count();
    }
    assert_eq!(held, 4 + 3, "files, a segment, and the two papers of the snapshot");
}

#[test]
fn volumes_arrive_in_every_order() {
    let (sides, volumes) = collected();
    let sizes: Vec<u64> = volumes.iter().map(|path| path.metadata().unwrap().len()).collect();
    assert!(volumes.len() == 3 && sizes.iter().all(|size| *size <= SIZE), "{sizes:?}");
    assert!(volumes[2].ends_with("prod-000001-03of03.aftk.tar"));
    let orders = [[0, 1, 2], [0, 2, 1], [1, 0, 2], [1, 2, 0], [2, 0, 1], [2, 1, 0]];
    for (number, order) in orders.into_iter().enumerate() {
        let home = format!("in-{number}");
        fresh(&sides, &home);
        for volume in &order[..2] {
            let ran = import(&sides, &home, &[&volumes[*volume]]);
            assert_eq!(ran.code, Some(4), "{ran:?}");
            assert!(sound(&sides.path(&home)).is_empty(), "nothing is visible yet");
            // What has arrived is kept, and a volume that comes twice is no mistake.
            sides.run(&home, &["gc"]).done();
        }
        let ran = import(&sides, &home, &[&volumes[order[0]]]);
        let problem = &ran.json()["failed"][0]["problem"];
        let missing = format!("prod 1: volume {} of 3 is missing", order[2] + 1);
        assert_eq!(problem["message"], missing, "{order:?}");
        let last = import(&sides, &home, &[&volumes[order[2]]]);
        assert_eq!(last.code, Some(0), "{last:?}");
        assert_eq!(last.json()["bundles"][0]["outcome"], "imported");
        assert_whole(&sides, &home);
        let again = import(&sides, &home, &[&volumes[1]]).json();
        assert_eq!(again["bundles"][0]["outcome"], "already-held");
    }
}

/// How many bytes the files below a directory have.
fn bytes_below(directory: &Path) -> u64 {
    let entries = fs::read_dir(directory).unwrap().map(|entry| entry.unwrap());
    let size = |entry: fs::DirEntry| match entry.file_type().unwrap().is_dir() {
        true => bytes_below(&entry.path()),
        false => entry.metadata().unwrap().len(),
    };
    entries.map(size).sum()
}

#[test]
fn a_blob_is_put_together_in_the_room_that_it_and_one_piece_take_wherever_that_dies() {
    let (sides, volumes) = collected();
    fresh(&sides, "in");
    assert_eq!(import(&sides, "in", &[&volumes[0], &volumes[1]]).code, Some(4));
    for_every(500, |number| {
        let home = format!("in-{number}");
        copy_directory(&sides.path("in"), &sides.path(&home));
        let mut command = sides.command(&home);
        command.arg("import").arg(&volumes[2]).env("AFTK_FAULT", format!("{number}:abort"));
        let was_aborted = command.output().unwrap().status.code().is_none();
        let store = sides.path(&home).join("store");
        let held = ["blobs", "staging", "trash"].map(|name| bytes_below(&store.join(name)));
        let most = 5_700_300 + SIZE + 100_000;
        assert!(held.iter().sum::<u64>() <= most, "{number}: {held:?}");
        // Pieces of which the copies are safe are not needed once more.
        let last = import(&sides, &home, &[&volumes[2]]);
        assert_eq!(last.code, Some(0), "{number}: {last:?}");
        assert_whole(&sides, &home);
        fs::remove_dir_all(sides.path(&home)).unwrap();
        was_aborted
    });
}

#[test]
fn pieces_that_are_lost_are_asked_for_again() {
    let (sides, volumes) = collected();
    fresh(&sides, "in");
    assert_eq!(import(&sides, "in", &[&volumes[0], &volumes[1]]).code, Some(4));
    let blobs = sides.path("in/store/blobs");
    fs::remove_dir_all(&blobs).unwrap();
    let last = import(&sides, "in", &[&volumes[2]]);
    assert_eq!(
        (last.code, &last.json()["failed"][0]["problem"]["code"]),
        (Some(4), &"import.pieces-missing".into())
    );
    let last = import(&sides, "in", &[&volumes[2]]);
    let problem = &last.json()["failed"][0]["problem"];
    assert_eq!(problem["message"], "prod 1: volumes 1 and 2 of 3 are missing");
    assert_eq!(import(&sides, "in", &[&volumes[0], &volumes[1]]).code, Some(0));
    assert_whole(&sides, "in");
}

#[test]
fn volumes_are_imported_together_from_a_directory_that_cannot_be_written() {
    use std::os::unix::fs::PermissionsExt;
    let (sides, _) = collected();
    let stick = sides.path("stick");
    let before: Vec<Vec<u8>> = bundles(&stick).iter().map(|path| fs::read(path).unwrap()).collect();
    fs::set_permissions(&stick, fs::Permissions::from_mode(0o555)).unwrap();
    let stick_text = stick.to_str().unwrap();
    let verified = sides.run("in", &["verify", stick_text, "--json"]).json();
    assert_eq!(verified["bundles"].as_array().unwrap().len(), 3);
    assert_eq!(verified["bundles"][1]["volume"], 2);
    let foreseen = sides.run("in", &["import", "-n", "--json", stick_text]).json();
    assert_eq!(foreseen["bundles"][0]["outcome"], "imported");
    sides.run("in", &["import", stick_text]).done();
    assert_whole(&sides, "in");
    fs::set_permissions(&stick, fs::Permissions::from_mode(0o755)).unwrap();
    let after: Vec<Vec<u8>> = bundles(&stick).iter().map(|path| fs::read(path).unwrap()).collect();
    assert!(before == after, "a medium is never written");
}

#[test]
fn what_is_missing_is_named() {
    let (sides, volumes) = collected();
    let named = |ran: &Ran| -> Value { ran.json()["failed"][0]["problem"]["message"].clone() };
    let alone = sides.run("in", &["verify", "--json", volumes[1].to_str().unwrap()]);
    assert_eq!((alone.code, named(&alone)), (Some(4), "volumes 1 and 3 of 3 are missing".into()));
    // Under another name it is the same volume.
    let renamed = sides.path("renamed.tar");
    fs::copy(&volumes[0], &renamed).unwrap();
    let both = import(&sides, "in", &[&renamed, &volumes[0]]);
    assert_eq!((both.code, named(&both)), (Some(4), "prod 1: volumes 2 and 3 of 3 are missing".into()));
    // A damaged one is not taken, and does no harm to what arrived.
    let damaged = sides.path("damaged.tar");
    let mut bytes = fs::read(&volumes[1]).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    fs::write(&damaged, bytes).unwrap();
    assert_eq!(import(&sides, "in", &[&damaged]).code, Some(3));
    let short = sides.path("short.tar");
    fs::write(&short, &fs::read(&volumes[2]).unwrap()[..1_000_000]).unwrap();
    assert_eq!(import(&sides, "in", &[&short]).code, Some(3));
    assert_eq!(import(&sides, "in", &[&volumes[1], &volumes[2]]).code, Some(0));
    assert_whole(&sides, "in");
}

#[test]
fn volumes_of_two_bundles_do_not_mix() {
    let (sides, volumes) = collected();
    sides.write("part-3.bin", b"changed");
    let words = ["collect", "--channel", "prod", "--volume-size", "2MiB", "--out", "../other"];
    let files: Vec<String> = (0..4).map(|number| format!("file:./part-{number}.bin")).collect();
    let words: Vec<&str> = words.into_iter().chain(files.iter().map(String::as_str)).collect();
    sides.run("out", &words).done();
    let other = bundles(&sides.path("other"));
    let mixed = import(&sides, "in", &[&volumes[0], &other[1], &volumes[2]]);
    assert_eq!(mixed.code, Some(4));
    assert!(sound(&sides.path("in")).is_empty());
    // Each is completed by its own.
    assert_eq!(import(&sides, "in", &[&volumes[1]]).code, Some(0));
    assert_eq!(import(&sides, "in", &[&other[0], &other[2]]).code, Some(0));
    assert_eq!(sound(&sides.path("in")).len(), 4, "the newer file took the place of the one before");
}

#[test]
fn the_same_volumes_are_written_again_and_other_sizes_are_other_volumes() {
    let (sides, volumes) = collected();
    let first: Vec<Vec<u8>> = volumes.iter().map(|path| fs::read(path).unwrap()).collect();
    let files: Vec<String> = (0..4).map(|number| format!("file:./part-{number}.bin")).collect();
    let collect = |out: &str, size: &str| {
        let words = ["collect", "--channel", "prod", "--json", "--volume-size", size, "--out", out];
        let words: Vec<&str> = words.into_iter().chain(files.iter().map(String::as_str)).collect();
        sides.run("out", &words)
    };
    fs::remove_file(&volumes[1]).unwrap();
    let again = collect("../stick", "2MiB").json();
    assert_eq!(again["bundle"]["held"], true);
    assert!(
        sides.medium().iter().map(|path| fs::read(path).unwrap()).eq(first),
        "one lost volume came again"
    );
    // Cut otherwise it is the same snapshot, and another packing of it.
    let recut = collect("../recut", "4MiB").json();
    assert_eq!(
        (&recut["bundle"]["sequence"], &recut["bundle"]["snapshot"]),
        (&1.into(), &again["bundle"]["snapshot"])
    );
    let recut = bundles(&sides.path("recut"));
    assert_eq!(recut.len(), 2);
    let home = fresh(&sides, "both");
    assert_eq!(import(&sides, home, &[&volumes[0]]).code, Some(4));
    assert_eq!(import(&sides, home, &recut.iter().collect::<Vec<_>>()).code, Some(0));
    assert_whole(&sides, home);
    let small = collect("../small", "100KiB");
    assert_eq!(small.code, Some(2), "{small:?}");
    assert!(small.json()["error"]["hints"][0].as_str().unwrap().contains("--volume-size"));
    assert!(!Path::new(&sides.path("small")).exists());
}

#[test]
fn a_segment_that_was_damaged_since_it_came_is_not_believed() {
    let (sides, volumes) = collected();
    assert_eq!(import(&sides, "in", &[&volumes[0]]).code, Some(4));
    let mut segments = Vec::new();
    for directory in fs::read_dir(sides.path("in/store/blobs/sha256")).unwrap() {
        segments.extend(fs::read_dir(directory.unwrap().path()).unwrap().map(|entry| entry.unwrap().path()));
    }
    // Of the rows it would be as good as another: a version that nobody signed.
    segments.retain(|path| fs::read(path).unwrap().starts_with(b"{\"attributes\""));
    let [segment] = &segments[..] else { panic!("{segments:?}") };
    let text = fs::read_to_string(segment).unwrap().replacen("part-1.bin", "part-9.bin", 2);
    fs::remove_file(segment).unwrap();
    fs::write(segment, text).unwrap();
    let ran = import(&sides, "in", &[&volumes[1]]);
    assert_eq!(
        (ran.code, &ran.json()["failed"][0]["problem"]["code"]),
        (Some(3), &Value::from("store.damaged"))
    );
    assert_eq!(sides.run("in", &["check"]).code, Some(3));
    assert_eq!(import(&sides, "in", &volumes.iter().collect::<Vec<_>>()).code, Some(0));
    assert_eq!(sound(&sides.path("in")).len(), 4);
}
