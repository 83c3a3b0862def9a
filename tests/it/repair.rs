//! Media that are scratched or lost: what lies beside volumes mends them, and spare ones make them again.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use aftk::cancel::Cancel;
use aftk::events::Silent;
use aftk::fsx::faults::{Fault, Kind, Watch};
use aftk::ops::collect::{self, ReissueRequest};
use aftk::ops::repair::{self, RepairRequest, State};
use aftk::ops::volumes::Volumes;
use aftk::store::Store;
use aftk::trust::{COLLECT_KEY, Trust};
use bundle_format::Recovery;
use bundle_format::recovery::RecoveryFile;

use crate::support::crash::for_every;
use crate::support::sides::{Ran, Sides, noise, sound};

/// A bundle of three volumes with these options, on the medium `stick`.
fn collected(options: &[&str]) -> Sides {
    let sides = Sides::new();
    let sizes = [5_000_000, 700_000, 300, 0];
    for (number, size) in sizes.into_iter().enumerate() {
        sides.write(&format!("part-{number}.bin"), noise(number as u64, size));
    }
    let names: Vec<String> = (0..sizes.len()).map(|number| format!("file:./part-{number}.bin")).collect();
    let mut words = vec!["collect", "--channel", "prod", "--volume-size", "2600KiB", "--out", "../stick"];
    words.extend(options.iter().copied().chain(names.iter().map(String::as_str)));
    sides.run("out", &words).done();
    sides.trust();
    sides
}

const VOLUMES: [&str; 3] =
    ["prod-000001-01of03.aftk.tar", "prod-000001-02of03.aftk.tar", "prod-000001-03of03.aftk.tar"];
const SPARE: &str = "prod-000001-s01of01.aftk.spare";

/// What a directory holds, but for what a process that ended left of files it was writing.
fn contents(directory: &Path) -> BTreeMap<String, Vec<u8>> {
    let entries = fs::read_dir(directory).unwrap().map(|entry| entry.unwrap());
    entries
        .filter(|entry| entry.path().is_file() && !entry.file_name().to_string_lossy().starts_with('.'))
        .map(|entry| (entry.file_name().into_string().unwrap(), fs::read(entry.path()).unwrap()))
        .collect()
}

/// A medium with some files of the stick.
fn medium(sides: &Sides, name: &str, files: &[&str]) -> PathBuf {
    let medium = sides.path(name);
    fs::create_dir_all(&medium).unwrap();
    for file in files {
        fs::copy(sides.path("stick").join(file), medium.join(file)).unwrap();
    }
    medium
}

/// Makes a hole into a file.
fn hole(path: &Path, at: u64, length: usize) {
    fs::OpenOptions::new().write(true).open(path).unwrap().write_all_at(&vec![0x5A; length], at).unwrap();
}

fn repair(sides: &Sides, paths: &[&Path], out: &str) -> Ran {
    let mut command = sides.command("in");
    command.args(["repair", "--json", "--out", sides.path(out).to_str().unwrap()]).args(paths);
    command.output().unwrap().into()
}

fn states(ran: &Ran) -> Vec<String> {
    let volumes = ran.json()["bundles"][0]["volumes"].as_array().unwrap().clone();
    volumes.iter().map(|volume| volume["state"].as_str().unwrap().to_owned()).collect()
}

/// What is in a directory are the volumes as they were, and nothing else.
#[track_caller]
fn assert_repaired(sides: &Sides, out: &str) {
    let (made, was) = (contents(&sides.path(out)), contents(&sides.path("stick")));
    assert_eq!(made.keys().collect::<Vec<_>>(), VOLUMES.iter().collect::<Vec<_>>());
    assert!(VOLUMES.iter().all(|name| made[*name] == was[*name]), "byte for byte");
}

#[test]
fn a_lost_volume_and_a_scratched_one_are_repaired_and_imported() {
    let sides = collected(&["--recovery", "10%", "--survive", "1"]);
    let names: Vec<String> = contents(&sides.path("stick")).into_keys().collect();
    assert_eq!(names.iter().filter(|name| name.ends_with(".aftk.rec")).count(), 4, "{names:?}");
    let bad = sides.path("bad");
    let kept: Vec<&str> = names.iter().map(String::as_str).filter(|name| *name != VOLUMES[1]).collect();
    medium(&sides, "bad", &kept);
    hole(&bad.join(VOLUMES[0]), 900_000, 100_000);
    let before = contents(&bad);

    let refused = sides.run("in", &["import", "../bad"]);
    assert_eq!(refused.code, Some(3));
    assert!(
        refused.stderr.contains("mend it: `aftk repair") || refused.stderr.contains("repair ../bad/"),
        "{refused:?}"
    );
    let verified = sides.run("in", &["verify", "../bad"]);
    assert!(verified.stderr.contains("are damaged, and can be mended"), "{verified:?}");

    let ran = repair(&sides, &[&bad], "fixed");
    assert_eq!(ran.code, Some(0), "{ran:?}");
    assert_eq!(states(&ran), ["mended", "made-again", "sound"]);
    assert_repaired(&sides, "fixed");
    assert!(contents(&bad) == before, "a medium is never written");
    sides.run("in", &["import", "../fixed"]).done();
    assert_eq!(sound(&sides.path("in")).len(), 4);
    let again = repair(&sides, &[&bad], "fixed");
    assert_eq!(states(&again), ["sound", "sound", "sound"]);
}

#[test]
fn one_drive_is_enough_in_whatever_order_media_are_put_in() {
    let sides = collected(&["--survive", "1"]);
    let media = [
        medium(&sides, "m1", &[VOLUMES[0]]),
        medium(&sides, "m3", &[VOLUMES[2]]),
        medium(&sides, "spare", &[SPARE]),
    ];
    for (number, order) in [[0, 1, 2], [2, 0, 1], [1, 2, 0]].into_iter().enumerate() {
        let out = format!("fixed-{number}");
        let mut with_spare = false;
        for (step, at) in order.into_iter().enumerate() {
            with_spare |= at == 2;
            // A spare volume alone says which bundle it is of, too.
            let ran = repair(&sides, &[&media[at]], &out);
            let expected = if step == 2 || !with_spare { 0 } else { 4 };
            assert_eq!(ran.code, Some(expected), "{order:?} at {step}: {ran:?}");
        }
        assert_repaired(&sides, &out);
    }
}

#[test]
fn every_volume_of_a_bundle_can_be_the_lost_one() {
    let sides = collected(&["--survive", "1"]);
    for (lost, gone) in VOLUMES.into_iter().enumerate() {
        let kept: Vec<&str> = VOLUMES.into_iter().filter(|name| *name != gone).collect();
        let (others, spare) =
            (medium(&sides, &format!("others-{lost}"), &kept), medium(&sides, "spare", &[SPARE]));
        let out = format!("fixed-{lost}");
        let ran = repair(&sides, &[&others, &spare], &out);
        assert_eq!(ran.code, Some(0), "{ran:?}");
        assert_eq!(states(&ran)[lost], "made-again");
        assert_repaired(&sides, &out);
    }
}

#[test]
fn damage_anywhere_in_a_volume_is_mended() {
    let sides = collected(&["--recovery", "8%"]);
    let whole = fs::metadata(sides.path("stick").join(VOLUMES[1])).unwrap().len();
    // Its very beginning, its contents table, its end; and the file that mends it is damaged as well.
    let holes =
        [vec![(0, 4000)], vec![(0, 20_000)], vec![(whole - 2000, 2000)], vec![(5000, 9), (1_000_000, 1)]];
    for (number, holes) in holes.into_iter().enumerate() {
        let (name, beside) = (VOLUMES[1], "prod-000001-02of03.aftk.rec");
        let at = medium(&sides, &format!("bad-{number}"), &[name, beside]);
        for (place, length) in holes {
            hole(&at.join(name), place, length);
        }
        hole(&at.join(beside), 0, 3000);
        hole(&at.join(beside), 70_000, 50);
        let out = format!("fixed-{number}");
        let ran = repair(&sides, &[&at.join(name)], &out);
        assert_eq!(ran.code, Some(0), "{number}: {ran:?}");
        assert_eq!(states(&ran), ["missing", "mended", "missing"]);
        let made = contents(&sides.path(&out));
        assert!(made[name] == contents(&sides.path("stick"))[name] && made.len() == 1);
    }
    // One that ends early.
    let at = medium(&sides, "short", &[VOLUMES[1], "prod-000001-02of03.aftk.rec"]);
    fs::OpenOptions::new().write(true).open(at.join(VOLUMES[1])).unwrap().set_len(whole - 50_000).unwrap();
    assert_eq!(states(&repair(&sides, &[&at], "fixed-short"))[1], "mended");
}

#[test]
fn what_is_not_enough_is_kept_until_more_comes() {
    let sides = collected(&["--recovery", "5%", "--survive", "1"]);
    let bad = medium(&sides, "bad", &[VOLUMES[0], "prod-000001-01of03.aftk.rec", VOLUMES[1]]);
    hole(&bad.join(VOLUMES[0]), 300_000, 800_000);
    let ran = repair(&sides, &[&bad], "fixed");
    assert_eq!(ran.code, Some(4), "{ran:?}");
    assert_eq!(states(&ran), ["damaged", "sound", "missing"]);
    let verified = sides.run("in", &["verify", "../bad"]);
    assert!(verified.stderr.contains("what lies beside it mends"), "{verified:?}");
    // The spare volume mends the first one only with all others.
    let rest = medium(&sides, "rest", &[SPARE]);
    let ran = repair(&sides, &[&rest], "fixed");
    assert_eq!((ran.code, states(&ran)[0].as_str()), (Some(4), "damaged"), "{ran:?}");
    let third = medium(&sides, "third", &[VOLUMES[2]]);
    let ran = repair(&sides, &[&third], "fixed");
    assert_eq!(ran.code, Some(0), "{ran:?}");
    assert_repaired(&sides, "fixed");
}

#[test]
fn what_cannot_be_repaired_is_said_and_nothing_is_harmed() {
    let sides = collected(&["--recovery", "5%"]);
    let stick = sides.path("stick");
    let problem =
        |ran: &Ran| ran.json()["failed"][0]["problem"]["code"].as_str().unwrap_or_default().to_owned();
    // Into the directory of the medium.
    let ran = repair(&sides, &[&stick], "stick");
    assert_eq!((ran.code, ran.stderr.contains("goes into another directory")), (Some(2), true), "{ran:?}");
    // Nothing of a bundle.
    fs::create_dir(sides.path("empty")).unwrap();
    assert_eq!(repair(&sides, &[&sides.path("empty")], "fixed").code, Some(2));
    assert_eq!(repair(&sides, &[&sides.path("gone")], "fixed").code, Some(2));
    // Nobody's signature.
    let mut command = sides.command("stranger");
    command.args(["repair", "../stick", "--out", "../strange"]);
    let ran: Ran = command.output().unwrap().into();
    assert_eq!(ran.code, Some(3), "{ran:?}");
    assert!(contents(&sides.path("strange")).is_empty());
    // Renamed, and damaged where it says which volume it is.
    let odd = medium(&sides, "odd", &[VOLUMES[0]]);
    fs::rename(odd.join(VOLUMES[0]), odd.join("odd.aftk.tar")).unwrap();
    let ran = repair(&sides, &[&odd], "fixed-odd");
    assert_eq!(states(&ran), ["sound", "missing", "missing"], "a name alone is no harm: {ran:?}");
    hole(&odd.join("odd.aftk.tar"), 10_000, 40);
    let head = bundle_format::Head::read(
        fs::File::open(stick.join(VOLUMES[0])).unwrap(),
        &Trust::open(&sides.path("in")).unwrap().verifier(true).unwrap(),
    );
    hole(&odd.join("odd.aftk.tar"), head.unwrap().documents().head_size() + 600, 40);
    let ran = repair(&sides, &[&odd], "fixed-nameless");
    assert_eq!((ran.code, problem(&ran).as_str()), (Some(4), "repair.nameless"), "{ran:?}");
    // Another bundle's volume is in the way.
    let other = collected(&[]);
    let taken = sides.path("taken");
    fs::create_dir(&taken).unwrap();
    fs::copy(other.path("stick").join(VOLUMES[0]), taken.join(VOLUMES[0])).unwrap();
    sides.run("in", &["key", "trust", other.path("project/collector.pem").to_str().unwrap()]).done();
    let ran = repair(&sides, &[&stick], "taken");
    assert!(ran.code == Some(6) && ran.stderr.contains("is there already"), "{ran:?}");
    // A file of recovery is no volume.
    let ran = sides.run("in", &["import", "../stick/prod-000001-01of03.aftk.rec"]);
    assert!(ran.code == Some(2) && ran.stderr.contains("are mended by"), "{ran:?}");
}

#[test]
fn a_medium_takes_a_volume_and_what_mends_it() {
    for options in [&["--recovery", "25%"][..], &["--survive", "2"], &["--recovery", "60%", "--survive", "1"]]
    {
        let sides = collected(options);
        let files = contents(&sides.path("stick"));
        let stems = files.keys().filter(|name| name.ends_with(".tar") || name.ends_with(".spare"));
        for name in stems {
            let stem = name.trim_end_matches(".tar").trim_end_matches(".spare");
            let beside = files.get(&format!("{stem}.rec")).map_or(0, Vec::len);
            assert!(files[name].len() + beside <= 2600 * 1024, "{options:?} {name}");
        }
        // The same again: everything is there already, and stays as it is.
        let mut words = vec!["collect", "--channel", "prod", "--volume-size", "2600KiB", "--out", "../stick"];
        words.extend(options);
        words.extend(["file:./part-0.bin", "file:./part-1.bin", "file:./part-2.bin", "file:./part-3.bin"]);
        let again = sides.run("out", &words);
        assert_eq!(again.code, Some(0), "{again:?}");
        assert!(contents(&sides.path("stick")) == files);
        // What is not what would be written is not overwritten.
        let beside = files.keys().find(|name| name.ends_with(".rec") || name.ends_with(".spare")).unwrap();
        hole(&sides.path("stick").join(beside), 5000, 1);
        let refused = sides.run("out", &words);
        assert_eq!(refused.code, Some(6), "{refused:?}");
    }
    let sides = Sides::new();
    sides.write("a.bin", noise(1, 100));
    for (option, value) in
        [("--recovery", "0%"), ("--recovery", "101"), ("--survive", "0"), ("--survive", "256")]
    {
        let ran = sides.run("out", &["collect", "--channel", "prod", option, value, "file:./a.bin"]);
        assert_eq!(ran.code, Some(2), "{option} {value}: {ran:?}");
    }
}

#[test]
fn a_spare_volume_that_lies_harms_nothing_that_is_sound() {
    let sides = collected(&["--survive", "1"]);
    let trust = Trust::open(&sides.path("in")).unwrap();
    let bad = medium(&sides, "bad", &[VOLUMES[0], VOLUMES[1], SPARE]);
    // The packet of a stripe in which the first volume has data, sealed anew around a lie.
    let mut bytes = fs::read(bad.join(SPARE)).unwrap();
    let read = RecoveryFile::open(&bytes, bytes.len() as u64, &trust.verifier(true).unwrap()).unwrap();
    let grid = read.layout.grid;
    let at = (read.start + read.layout.offset(0, 1)) as usize;
    let packet = &mut bytes[at..at + grid.packet()];
    let mut digests = packet[32..32 + grid.data * 8].to_vec();
    digests[0] ^= 1;
    read.layout.seal.close(&grid, 0, 1, &digests, packet);
    fs::write(bad.join(SPARE), bytes).unwrap();
    let ran = repair(&sides, &[&bad], "fixed");
    let (made, was) = (contents(&sides.path("fixed")), contents(&sides.path("stick")));
    for (name, bytes) in made.iter().filter(|(name, _)| name.ends_with(".tar")) {
        assert!(was[name] == *bytes, "{name}: {ran:?}");
    }
    let verified = sides.run("in", &["verify", "../bad"]);
    assert_eq!(verified.code, Some(4), "a seal is no signature: {verified:?}");
}

#[test]
fn what_stands_in_the_way_stays_as_it_is() {
    let sides = collected(&["--recovery", "10%", "--survive", "1"]);
    let stick = sides.path("stick");
    let before = contents(&stick);
    // Into the directory of the medium, by names without a directory.
    for name in [VOLUMES[0], "prod-000001-01of03.aftk.rec"] {
        let mut command = sides.command("in");
        command.current_dir(&stick).args(["--home", sides.path("in").to_str().unwrap()]);
        let ran: Ran = command.args(["repair", name, "--out", "."]).output().unwrap().into();
        assert_eq!(ran.code, Some(2), "{ran:?}");
        assert!(contents(&stick) == before);
    }
    // A sound volume under the name of another one.
    fs::create_dir(sides.path("odd")).unwrap();
    fs::copy(stick.join(VOLUMES[1]), sides.path("odd").join(VOLUMES[0])).unwrap();
    let ran = repair(&sides, &[&stick], "odd");
    assert_eq!(ran.code, Some(6), "{ran:?}");
    assert_eq!(contents(&sides.path("odd")).len(), 1);
    // Somebody's own copy of a spare volume.
    fs::create_dir(sides.path("own")).unwrap();
    fs::copy(stick.join(SPARE), sides.path("own").join(SPARE)).unwrap();
    assert_eq!(repair(&sides, &[&stick], "own").code, Some(0));
    assert!(contents(&sides.path("own"))[SPARE] == before[SPARE]);
}

#[test]
fn copies_that_are_damaged_elsewhere_make_one_that_is_sound() {
    let sides = collected(&["--recovery", "10%", "--survive", "1"]);
    let beside = "prod-000001-01of03.aftk.rec";
    let worse = medium(&sides, "worse", &[VOLUMES[0]]);
    hole(&worse.join(VOLUMES[0]), 300_000, 1_500_000);
    let better = medium(&sides, "better", &[VOLUMES[0], beside]);
    hole(&better.join(VOLUMES[0]), 1_900_000, 80_000);
    assert_eq!(repair(&sides, &[&worse], "fixed").code, Some(4));
    let ran = repair(&sides, &[&better], "fixed");
    assert_eq!((ran.code, states(&ran)[0].as_str()), (Some(0), "mended"), "{ran:?}");
    // Neither is enough by itself.
    hole(&better.join(VOLUMES[0]), 1_900_000, 500_000);
    let ran = repair(&sides, &[&worse, &better], "both");
    assert_eq!((ran.code, states(&ran)[0].as_str()), (Some(0), "mended"), "{ran:?}");
    // The same by spare volumes, of which the first copy is damaged.
    let spoilt = medium(&sides, "spoilt", &[SPARE, VOLUMES[1]]);
    hole(&spoilt.join(SPARE), 400_000, 900_000);
    let ran = repair(&sides, &[&spoilt, &sides.path("stick").join(VOLUMES[2])], "late");
    assert_eq!(ran.code, Some(4), "{ran:?}");
    assert_eq!(states(&ran)[0], "missing", "nothing that nobody has is kept");
    let ran = repair(&sides, &[&sides.path("stick").join(SPARE)], "late");
    assert_eq!(ran.code, Some(0), "{ran:?}");
    assert_repaired(&sides, "late");
}

#[test]
fn a_volume_that_could_not_be_made_again_is_taken_when_it_turns_up() {
    let sides = collected(&["--recovery", "10%", "--survive", "1"]);
    let first = medium(&sides, "first", &[VOLUMES[0], SPARE]);
    assert_eq!(repair(&sides, &[&first], "fixed").code, Some(4));
    let scratched = medium(&sides, "third", &[VOLUMES[2], "prod-000001-03of03.aftk.rec"]);
    hole(&scratched.join(VOLUMES[2]), 100_000, 50_000);
    let ran = repair(&sides, &[&scratched], "fixed");
    assert_eq!(ran.code, Some(0), "{ran:?}");
    assert_repaired(&sides, "fixed");
}

#[test]
fn what_every_volume_has_is_taken_from_another_one() {
    let sides = collected(&[]);
    let bad = medium(&sides, "bad", &VOLUMES);
    hole(&bad.join(VOLUMES[0]), 600, 50);
    let file = fs::OpenOptions::new().append(true).open(bad.join(VOLUMES[1])).unwrap();
    file.write_all_at(&[0; 4096], file.metadata().unwrap().len()).unwrap();
    let ran = repair(&sides, &[&bad], "fixed");
    assert_eq!(ran.code, Some(0), "{ran:?}");
    // What stands behind the end of a volume is not copied.
    assert_eq!(states(&ran), ["mended", "sound", "sound"]);
    assert_repaired(&sides, "fixed");
}

#[test]
fn deltas_are_repaired_under_their_names() {
    let sides = collected(&[]);
    sides.write("part-4.bin", noise(4, 4_500_000));
    let mut words = vec!["collect", "--channel", "prod", "--volume-size", "2600KiB", "--since", "1"];
    words.extend(["--survive", "1", "--out", "../delta", "file:./part-0.bin", "file:./part-1.bin"]);
    words.extend(["file:./part-2.bin", "file:./part-3.bin", "file:./part-4.bin"]);
    sides.run("out", &words).done();
    let delta = contents(&sides.path("delta"));
    let volumes: Vec<&String> = delta.keys().filter(|name| name.ends_with(".tar")).collect();
    assert!(volumes.len() == 2 && volumes[0].len() > VOLUMES[0].len(), "{volumes:?}");
    // The first medium's file was renamed, and tells nothing of how the others are called.
    let renamed = sides.path("renamed");
    fs::create_dir(&renamed).unwrap();
    fs::write(renamed.join("copy.aftk.tar"), &delta[volumes[0]]).unwrap();
    let spare = sides.path("spare");
    fs::create_dir(&spare).unwrap();
    let name = delta.keys().find(|name| name.ends_with(".spare")).unwrap();
    fs::write(spare.join(name), &delta[name]).unwrap();
    let ran = repair(&sides, &[&spare, &renamed], "fixed");
    assert_eq!(ran.code, Some(0), "{ran:?}");
    let made = contents(&sides.path("fixed"));
    assert!(volumes.iter().all(|name| made[*name] == delta[*name]), "{:?}", made.keys());
}

#[test]
fn what_mends_is_verified_too() {
    let sides = collected(&["--recovery", "10%", "--survive", "1"]);
    let verified = sides.run("in", &["verify", "--json", "../stick"]).json();
    assert_eq!(verified["recovery"].as_array().unwrap().len(), 5, "{verified}");
    hole(&sides.path("stick").join(SPARE), 400_000, 600_000);
    let ran = sides.run("in", &["verify", "../stick"]);
    assert!(ran.code == Some(3) && ran.stderr.contains("of this file of recovery are damaged"), "{ran:?}");
    // What is proposed is enough.
    let mut words = vec!["collect", "--channel", "small", "--recovery", "50%", "--survive", "1"];
    words.extend(["--out", "../small", "file:./part-0.bin", "--volume-size"]);
    let ran = sides.run("out", &[&words[..], &["1100KiB"]].concat());
    let size = ran.stderr.split("--volume-size ").nth(1).unwrap().split(' ').next().unwrap();
    sides.run("out", &[&words[..], &[size]].concat()).done();
}

/// How the N-th write fails.
const KINDS: [Kind; 4] = [Kind::Enospc, Kind::Eio, Kind::ShortWrite, Kind::Halt];

#[test]
fn every_failing_write_of_protecting_and_of_a_repair_harms_nothing() {
    let sides = collected(&[]);
    let protect = |out: &Path| {
        let recovery = Recovery { percent: Some(10), spares: Some(1) };
        let request = ReissueRequest {
            channel: "prod".to_owned(),
            sequence: 1,
            out: out.to_owned(),
            read_back: true,
            volumes: Volumes { size: Some(2_600 * 1024), recovery: Some(recovery) },
            basis: None,
        };
        let home = sides.path("out");
        let (store, trust) = (Store::open(&home).unwrap(), Trust::open(&home).unwrap());
        let signer = trust.signer(COLLECT_KEY, None).unwrap();
        collect::reissue(&request, &store, &signer, None, &Silent, &Cancel::default())
    };
    let trust = Trust::open(&sides.path("in")).unwrap();
    let repair = |medium: &Path, out: &Path| {
        let request = RepairRequest { paths: vec![medium.to_owned()], out: out.to_owned() };
        let verifier = trust.verifier(true).unwrap();
        repair::repair(&request, &verifier, &Silent, &Cancel::default())
    };
    // Protecting: a file that is there is the whole one.
    let reference = sides.path("protected");
    let watch = Watch::new(&reference);
    protect(&reference).unwrap();
    let (last, whole) = (watch.count(), contents(&reference));
    drop(watch);
    let failed = AtomicU64::new(0);
    // The packets of one file are all written by the same call, so every third write will do.
    for_every(last.div_ceil(3), |number| {
        let (at, kind) = (number * 3 - 2, KINDS[number as usize % 4]);
        let out = sides.path(&format!("protected-{number}"));
        let watch = Watch::new(&out);
        watch.plan(Fault { at, kind });
        failed.fetch_add(u64::from(protect(&out).is_err()), Ordering::Relaxed);
        watch.forget();
        drop(watch);
        let left = if out.exists() { contents(&out) } else { BTreeMap::new() };
        for (name, bytes) in left.iter().filter(|(name, _)| whole.contains_key(*name)) {
            assert!(whole[name] == *bytes, "{kind:?} at {at}: {name}");
        }
        protect(&out).unwrap();
        assert!(contents(&out) == whole, "{kind:?} at {at}");
        fs::remove_dir_all(&out).unwrap();
        true
    });
    assert!(failed.into_inner() * 10 >= last.div_ceil(3) * 8, "most faults must be noticed");

    // Repairing: what has a volume's name is the volume.
    let bad = sides.path("bad");
    fs::create_dir(&bad).unwrap();
    for (name, bytes) in whole.iter().filter(|(name, _)| *name != VOLUMES[2]) {
        fs::write(bad.join(name), bytes).unwrap();
    }
    hole(&bad.join(VOLUMES[0]), 100_000, 70_000);
    let before = contents(&bad);
    let reference = sides.path("repaired");
    let watch = Watch::new(&reference);
    let report = repair(&bad, &reference).unwrap();
    let last = watch.count();
    drop(watch);
    let states: Vec<State> = report.bundles[0].volumes.iter().map(|volume| volume.state).collect();
    assert_eq!(states, [State::Mended, State::Sound, State::MadeAgain]);
    let failed = AtomicU64::new(0);
    for_every(last, |at| {
        let kind = KINDS[at as usize % 4];
        let out = sides.path(&format!("repaired-{at}"));
        let watch = Watch::new(&out);
        watch.plan(Fault { at, kind });
        let result = repair(&bad, &out).map_or(true, |report| !report.failed.is_empty());
        failed.fetch_add(u64::from(result), Ordering::Relaxed);
        watch.forget();
        drop(watch);
        let left = if out.exists() { contents(&out) } else { BTreeMap::new() };
        for (name, bytes) in left.iter().filter(|(name, _)| name.ends_with(".tar")) {
            assert!(whole[name] == *bytes, "{kind:?} at {at}: {name}");
        }
        let again = repair(&bad, &out).unwrap();
        assert!(again.failed.is_empty(), "{kind:?} at {at}: {again:?}");
        let made = contents(&out);
        assert!(VOLUMES.iter().all(|name| made[*name] == whole[*name]), "{kind:?} at {at}");
        fs::remove_dir_all(&out).unwrap();
        true
    });
    assert!(contents(&bad) == before);
    assert!(failed.into_inner() * 10 >= last * 8, "most faults must be noticed");
}
