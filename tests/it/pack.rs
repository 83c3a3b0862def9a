//! Bundles of what a store shows: from site to site, with what had been signed before as evidence.

use std::fs;
use std::path::{Path, PathBuf};

use aftk::access::Read;
use aftk::ops::check;
use aftk::store::Store;

use crate::support::hosting::Hosting;
use crate::support::sides::{Ran, Sides, bundles, sound};

/// A site that imported a file twice, as it was and as it is, and a second file beside it.
fn site() -> Sides {
    let sides = Sides::new();
    for version in ["old", "new"] {
        sides.write("manual.txt", version);
        let words = ["collect", "--channel", "prod", "--out", "../stick", "file:./manual.txt"];
        sides.run("out", &words).done();
    }
    sides.write("tool.bin", vec![7; 100_000]);
    sides.run("out", &["collect", "--channel", "extra", "--out", "../stick", "file:./tool.bin"]).done();
    sides.trust();
    sides.run("in", &["import", "../stick"]).done();
    sides
}

/// Packs at one site, and has another import it, which trusts the first one's key from now on.
fn carry(sides: &Sides, from: &str, to: &str, more: &[&str]) -> Ran {
    let out = format!("../{from}-{to}");
    let ran = pack(sides, from, &out, more);
    assert_eq!(ran.code, Some(0), "{ran:?}");
    let pem = sides.run(from, &["key", "show"]).done();
    sides.write("packer.pem", pem);
    sides.run(to, &["key", "trust", "packer.pem", "--name", from]).done();
    sides.run(to, &["import", &out]).done();
    ran
}

fn pack(sides: &Sides, from: &str, out: &str, more: &[&str]) -> Ran {
    sides.run(from, &[&["pack", "--json", "--out", out], more].concat())
}

#[test]
fn what_a_site_shows_goes_on_to_the_next_ones_with_what_was_signed() {
    let sides = site();
    let ran = carry(&sides, "in", "far", &[]);
    let report = ran.json();
    assert_eq!((&report["channel"], &report["artifacts"]), (&"packed".into(), &2.into()));
    // Of prod, the bundle that brought what is shown now.
    assert_eq!(report["evidence"], 2);
    let files = |home: &str| -> Vec<String> {
        let mut shown = sound(&sides.path(home));
        shown.retain(|line| line.contains("manual") || line.contains("tool"));
        shown.iter().map(|line| line.split(' ').next().unwrap().to_owned()).collect()
    };
    let mut first = files("in");
    first.dedup();
    assert_eq!(files("far"), first);
    // What the collector signed is there byte for byte, and onward from there too.
    carry(&sides, "far", "third", &["--channel", "onward", "file:*"]);
    assert_eq!(files("third"), first);
    let store = Store::open(&sides.path("in")).unwrap();
    let entry = store.catalogue.snapshots("prod").unwrap().pop().unwrap();
    for home in ["far", "third"] {
        let there = Store::open(&sides.path(home)).unwrap();
        let evidence = there.catalogue.artifacts("aftk", Some("evidence"), "prod").unwrap();
        let [linked] = evidence.as_slice() else { panic!("{home}: {evidence:?}") };
        let artifact = &linked.artifact;
        assert_eq!(
            (artifact.schema.as_str(), &artifact.version),
            ("evidence/1", &entry.snapshot.to_string())
        );
        assert_eq!((&artifact.attributes["epoch"], &artifact.attributes["sequence"]), (&1.into(), &2.into()));
        assert_eq!(artifact.attributes["signers"], serde_json::json!(entry.signers));
        for (role, blob) in
            [("snapshot", entry.snapshot), ("signatures", entry.signatures), ("segment", entry.segments[0])]
        {
            let file = artifact.files.iter().find(|file| file.role == role).unwrap();
            assert_eq!(file.blob, blob, "{role}");
            assert_eq!(there.blobs.size(&blob).unwrap(), Some(file.size), "{role}");
        }
    }
    // The third one has what the second one said as well.
    let there = Store::open(&sides.path("third")).unwrap();
    assert_eq!(there.catalogue.artifacts("aftk", None, "packed").unwrap().len(), 1);
}

#[test]
fn unchanged_content_is_the_same_bundle_and_changed_content_the_next_one() {
    let sides = site();
    let first = pack(&sides, "in", "../first", &[]);
    let again = pack(&sides, "in", "../again", &[]);
    assert_eq!((&first.json()["held"], &again.json()["held"]), (&false.into(), &true.into()));
    let bytes = |directory: &str| -> Vec<Vec<u8>> {
        bundles(&sides.path(directory)).iter().map(|file| fs::read(file).unwrap()).collect()
    };
    assert!(bytes("first") == bytes("again"));
    sides.write("tool.bin", b"changed");
    sides.run("out", &["collect", "--channel", "extra", "--out", "../more", "file:./tool.bin"]).done();
    sides.run("in", &["import", "../more"]).done();
    let next = pack(&sides, "in", "../next", &["--since", "1"]).json();
    assert_eq!(
        (&next["sequence"], &next["left_out"].as_u64().map(|count| count > 0)),
        (&2.into(), &Some(true))
    );
    // Packing shows nothing here: it stands in nobody's way, and is no part of what is packed.
    assert_eq!(pack(&sides, "in", "../next", &["--since", "1"]).json()["held"], true);
    assert!(sound(&sides.path("in")).iter().all(|line| !line.contains("packed")));
    let words = ["collect", "--reissue", "2", "--channel", "packed", "--since", "1", "--out", "../once-more"];
    sides.run("in", &words).done();
    assert!(bytes("next") == bytes("once-more"));
    // Going back is news for those who had gone forward.
    sides.run("in", &["rollback", "extra"]).done();
    assert_eq!(pack(&sides, "in", "../back", &[]).json()["sequence"], 3);
    // It is known after the catalogue was lost, and shows nothing then either.
    fs::remove_file(sides.path("in").join("store/catalogue.sqlite")).unwrap();
    sides.run("in", &["check", "--rebuild", "-y"]).done();
    assert!(sound(&sides.path("in")).iter().all(|line| !line.contains("packed")));
    let status = sides.run("in", &["status", "packed", "--json"]).json();
    assert_eq!(status["channels"][0]["newest"]["sequence"], 3);
    assert_eq!(status["channels"][0]["visible"]["sequence"], serde_json::Value::Null);
    assert_eq!(status["channels"][0]["packed"], serde_json::json!({"artifacts": 2, "evidence": 2}));
    let text = sides.run("in", &["status", "packed"]).done();
    assert!(text.contains("  packed    3 snapshots\n"), "{text}");
    assert!(
        text.ends_with("  lists     2 artifacts, with 2 snapshots as evidence; here, others show them\n"),
        "{text}"
    );
    sides.run("out", &["key", "trust", "collector.pem"]).done();
}

/// All files below a directory.
fn files_below(directory: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().path());
    let mut files: Vec<PathBuf> =
        entries.flat_map(|path| if path.is_dir() { files_below(&path) } else { vec![path] }).collect();
    files.sort();
    files
}

#[test]
fn a_dry_run_says_what_would_be_packed_and_writes_nothing() {
    let sides = site();
    let mut noise: u64 = 1;
    let bytes: Vec<u8> = (0..6_000_000)
        .map(|_| {
            noise = noise.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            (noise >> 56) as u8
        })
        .collect();
    sides.write("large.bin", &bytes);
    sides.run("out", &["collect", "--channel", "large", "--out", "../more", "file:./large.bin"]).done();
    sides.run("in", &["import", "../more"]).done();
    // The database has files of its own, which come and go.
    let files = || {
        let mut files = files_below(&sides.path("in"));
        files.retain(|file| !file.to_string_lossy().contains("catalogue.sqlite"));
        files
    };
    let mut before = files();
    let protected = ["--volume-size", "4MiB", "--recovery", "10%", "--survive", "1"];
    for more in [&["--volume-size", "4MiB"][..], &[], &protected, &["file:large.bin", "--since", "1"]] {
        let would = pack(&sides, "in", "../would", &[more, &["-n"]].concat()).json();
        let text = sides.run("in", &[&["pack", "-n"], more].concat()).done();
        assert_eq!(files(), before, "{would}");
        // Other volumes of one sequence are called alike.
        let made = pack(&sides, "in", &format!("../made-{}", more.len()), more).json();
        let sizes: Vec<u64> = made["files"]
            .as_array()
            .unwrap()
            .iter()
            .map(|file| fs::metadata(sides.path("in").join(file.as_str().unwrap())).unwrap().len())
            .collect();
        let media: Vec<u64> = serde_json::from_value(would["would"]["media"].clone()).unwrap();
        assert_eq!(media.iter().sum::<u64>(), sizes.iter().sum::<u64>());
        assert_eq!(media.len() as u64, made["volumes"].as_u64().unwrap() + made["spares"].as_u64().unwrap());
        assert_eq!(would["would"]["volumes"], made["volumes"]);
        for name in ["channel", "sequence", "blobs", "left_out", "left_out_bytes"] {
            assert_eq!(would["would"][name], made[name], "{name}");
        }
        assert_eq!((&would["artifacts"], &would["evidence"]), (&made["artifacts"], &made["evidence"]));
        let word = if made["held"] == true { "unchanged:" } else { "would be" };
        let expected = format!("{word} packed sequence {}: ", made["sequence"]);
        assert!(text.lines().last().unwrap().starts_with(&expected), "{text}");
        assert_eq!(text.lines().next().unwrap().starts_with("volume 1 of "), media.len() > 1, "{text}");
        before = files();
    }
    assert!(!sides.path("would").exists());
}

#[test]
fn selectors_say_what_is_packed_and_the_channel_is_this_side_s_own() {
    let sides = site();
    let only = pack(&sides, "in", "../only", &["file:manual.txt"]).json();
    assert_eq!((&only["artifacts"], &only["evidence"]), (&1.into(), &1.into()));
    let nothing = pack(&sides, "in", "../nothing", &["file:manual.txt", "npm:absent"]);
    assert_eq!((nothing.code, &nothing.json()["error"]["code"]), (Some(4), &"selector.nothing".into()));
    let foreign = pack(&sides, "in", "../foreign", &["--channel", "prod"]);
    assert_eq!((foreign.code, &foreign.json()["error"]["code"]), (Some(6), &"pack.foreign-channel".into()));
    assert!(!sides.path("nothing").exists() && !sides.path("foreign").exists());
    // What is damaged or gone is not packed.
    let key = bundle_format::BlobKey::of(&vec![7; 100_000]).hex();
    fs::remove_file(sides.path("in").join("store/blobs/sha256").join(&key[..2]).join(&key)).unwrap();
    let lost = pack(&sides, "in", "../lost", &[]);
    assert_eq!((lost.code, &lost.json()["error"]["code"]), (Some(4), &"pack.missing".into()));
}

#[test]
fn what_was_pushed_is_packed_as_of_the_registry_that_is_named() {
    let sides = Sides::new();
    let home = sides.path("in");
    let hosting = Hosting::at(&home, Read::Open);
    hosting.client().image("team/app", "1.0", b"layer");
    let unnamed = pack(&sides, "in", "../unnamed", &[]);
    assert_eq!((unnamed.code, &unnamed.json()["error"]["code"]), (Some(2), &"pack.hosted-name".into()));
    for bad in ["team=team", "team=", "team"] {
        assert_eq!(pack(&sides, "in", "../unnamed", &["--as", bad]).code, Some(2), "{bad}");
    }
    assert!(!sides.path("unnamed").exists());
    carry(&sides, "in", "far", &["--as", "team=registry.example.test"]);
    let there = far_images(&sides.path("far"));
    assert_eq!(there, ["registry.example.test/app 1.0"]);
    // Here, what clients push into and pull from stays as it was.
    assert_eq!(hosting.ask("GET", "/v2/team/app/manifests/1.0").status, 200);
}

/// The images that a home shows, with their tags.
fn far_images(home: &Path) -> Vec<String> {
    let store = Store::open(home).unwrap();
    assert!(
        check::check(&store, &aftk::events::Silent, &aftk::cancel::Cancel::default()).unwrap().is_sound()
    );
    let names = store.catalogue.names("oci", None, "", 10).unwrap();
    let refs = names.iter().flat_map(|name| store.catalogue.refs("oci", None, name, None).unwrap());
    let shown = refs.map(|linked| linked.reference);
    shown.map(|one| format!("{}/{} {}", one.repository, one.name, one.label)).collect()
}
