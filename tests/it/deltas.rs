//! Bundles without what the site has: by its receipts, by what was sent before, by what it says is missing.

use std::fs;
use std::path::PathBuf;

use serde_json::Value;

use crate::support::sides::{Ran, Sides, bundles, sound};

/// Two files, the second of which changes.
fn write(sides: &Sides, version: u8) {
    sides.write("stays.bin", vec![7; 400_000]);
    sides.write("changes.bin", vec![version; 90_000]);
}

/// Collects both into a directory of its own; what it wrote, and what it says.
fn collect(sides: &Sides, out: &str, more: &[&str]) -> (Vec<PathBuf>, Ran) {
    let out = sides.path(out);
    let mut command = sides.command("out");
    command.args(["collect", "--channel", "prod", "--json", "--out"]).arg(&out).args(more);
    let ran: Ran = command.args(["file:./stays.bin", "file:./changes.bin"]).output().unwrap().into();
    (bundles(&out), ran)
}

fn import(sides: &Sides, home: &str, volumes: &[PathBuf], more: &[&str]) -> Ran {
    let mut command = sides.command(home);
    command.args(["import", "--json"]).args(more).args(volumes).output().unwrap().into()
}

/// An inside that has sequence 1, and an outside where a file has changed since.
fn sides() -> Sides {
    let sides = Sides::new();
    write(&sides, 1);
    let (first, ran) = collect(&sides, "first", &[]);
    ran.done();
    sides.trust();
    import(&sides, "in", &first, &[]).done();
    write(&sides, 2);
    sides
}

fn receipt(sides: &Sides, home: &str, file: &str, more: &[&str]) -> String {
    let text = sides.command(home).arg("receipt").args(more).output().unwrap();
    let text = Ran::from(text).done();
    sides.write(file, &text);
    text
}

fn size(files: &[PathBuf]) -> u64 {
    files.iter().map(|file| file.metadata().unwrap().len()).sum()
}

#[track_caller]
fn left_out(ran: &Ran) -> u64 {
    ran.json()["bundle"]["left_out"].as_u64().unwrap()
}

#[test]
fn a_receipt_makes_the_next_bundle_an_exact_delta() {
    for kind in [&[][..], &["--short"]] {
        let sides = sides();
        let text = receipt(&sides, "in", "site.receipt", kind);
        assert_eq!(text.contains("\n\n"), kind.is_empty(), "{text}");
        assert!(kind.is_empty() || text.len() < 600, "{} bytes", text.len());
        let (files, ran) = collect(&sides, "delta", &["--receipt", "site.receipt"]);
        assert_eq!(left_out(&ran), 1, "{ran:?}");
        assert!(ran.stderr.contains("is believed from now on: site site"), "{}", ran.stderr);
        let name = files[0].file_name().unwrap().to_str().unwrap();
        assert!(
            size(&files) < 200_000 && name.len() == "prod-000002-01234567-01of01.aftk.tar".len(),
            "{name}"
        );
        import(&sides, "in", &files, &[]).done();
        assert_eq!(sound(&sides.path("in")).len(), 2);
        // Whoever has nothing is told so, and nothing is half there.
        sides.run("new", &["key", "trust", "collector.pem"]).done();
        assert_eq!(import(&sides, "new", &files, &[]).code, Some(4));
        assert!(sound(&sides.path("new")).is_empty());
    }
}

#[test]
fn a_receipt_is_believed_as_it_was_signed_and_only_the_newest() {
    let sides = sides();
    let first = receipt(&sides, "in", "first.receipt", &["--site", "ward"]);
    receipt(&sides, "in", "second.receipt", &["--site", "ward"]);
    let refused = |file: &str| collect(&sides, "refused", &["--receipt", file]).1;
    for (at, what) in [(20, "document"), (first.len() - 2, "list")] {
        let mut bytes = first.clone().into_bytes();
        bytes[at] ^= 1;
        sides.write("changed.receipt", bytes);
        assert_eq!(refused("changed.receipt").code, Some(3), "{what}");
    }
    sides.write("cut.receipt", &first[..first.len() / 2]);
    assert_eq!(refused("cut.receipt").code, Some(3));
    sides.write("other.receipt", "something else");
    assert_eq!(refused("other.receipt").code, Some(2));
    assert_eq!(refused("absent.receipt").code, Some(2));
    assert!(!sides.path("refused").exists());
    collect(&sides, "delta", &["--receipt", "second.receipt"]).1.done();
    let old = refused("first.receipt");
    assert_eq!((old.code, &old.json()["error"]["code"]), (Some(7), &Value::from("receipt.old")));
    // Another site cannot speak for this one.
    sides.run("eve", &["key", "trust", "collector.pem"]).done();
    import(&sides, "eve", &bundles(&sides.path("first")), &[]).done();
    receipt(&sides, "eve", "eve.receipt", &["--site", "ward"]);
    assert_eq!(refused("eve.receipt").code, Some(6));
}

#[test]
fn of_several_sites_what_all_have_is_left_out() {
    let sides = sides();
    sides.run("new", &["key", "trust", "collector.pem"]).done();
    sides.write("lone.bin", "alone");
    sides.run("out", &["collect", "--channel", "lone", "--out", "../lone", "file:./lone.bin"]).done();
    import(&sides, "new", &bundles(&sides.path("lone")), &[]).done();
    receipt(&sides, "in", "in.receipt", &["--site", "in"]);
    receipt(&sides, "new", "new.receipt", &["--site", "new"]);
    let (files, ran) = collect(&sides, "both", &["--receipt", "in.receipt", "--receipt", "new.receipt"]);
    assert_eq!(left_out(&ran), 0);
    for home in ["in", "new"] {
        import(&sides, home, &files, &[]).done();
    }
    assert_eq!(sound(&sides.path("new")).len(), 3);
}

#[test]
fn what_was_sent_before_is_left_out() {
    let sides = sides();
    let (since, ran) = collect(&sides, "since", &["--since", "1"]);
    assert_eq!(left_out(&ran), 1);
    let (assumed, ran) = collect(&sides, "assumed", &["--assume-held", "1"]);
    assert_eq!(left_out(&ran), 1);
    assert_eq!(fs::read(&since[0]).unwrap(), fs::read(&assumed[0]).unwrap());
    let (full, ran) = collect(&sides, "full", &["--since", "1", "--full-every", "2"]);
    assert_eq!((left_out(&ran), ran.json()["bundle"]["sequence"].as_u64()), (0, Some(2)));
    assert!(full[0].ends_with("prod-000002-01of01.aftk.tar"));
    assert_eq!(collect(&sides, "unknown", &["--since", "9"]).1.code, Some(2));
    import(&sides, "in", &since, &[]).done();
    assert_eq!(sound(&sides.path("in")).len(), 2);
    // In volumes, too.
    sides.write(
        "large.bin",
        (0..4_000_000_u32).map(|at| (at.wrapping_mul(at) >> 7) as u8).collect::<Vec<_>>(),
    );
    let out = sides.path("cut");
    let mut command = sides.command("out");
    command
        .args(["collect", "--channel", "prod", "--since", "2", "--volume-size", "2MiB", "--out"])
        .arg(&out);
    let requests = ["file:./stays.bin", "file:./changes.bin", "file:./large.bin"];
    Ran::from(command.args(requests).output().unwrap()).done();
    let volumes = bundles(&out);
    assert!(volumes.len() > 1);
    import(&sides, "in", &volumes, &[]).done();
    assert_eq!(sound(&sides.path("in")).len(), 3);
}

#[test]
fn what_is_missing_is_asked_for_and_brought() {
    let sides = sides();
    let (delta, _) = collect(&sides, "delta", &["--since", "1"]);
    sides.run("new", &["key", "trust", "collector.pem"]).done();
    let ran = import(&sides, "new", &delta, &["--missing", "missing.txt"]);
    assert_eq!(ran.code, Some(4));
    let list = fs::read_to_string(sides.path("project/missing.txt")).unwrap();
    assert_eq!(list, format!("{}\n", bundle_format::BlobKey::of(&[7; 400_000])));
    let (answer, ran) = collect(&sides, "answer", &["--missing", "missing.txt"]);
    assert_eq!(
        (ran.json()["bundle"]["blobs"].as_u64(), ran.json()["bundle"]["held"].as_bool()),
        (Some(1), Some(true))
    );
    import(&sides, "new", &answer, &[]).done();
    assert_eq!(sound(&sides.path("new")).len(), 2);
    sides.write("bad.txt", "sha256:12\n");
    assert_eq!(collect(&sides, "bad", &["--missing", "bad.txt"]).1.code, Some(2));
}

#[test]
fn a_sequence_is_issued_again_without_its_sources() {
    let sides = sides();
    collect(&sides, "second", &[]).1.done();
    for name in ["stays.bin", "changes.bin"] {
        fs::remove_file(sides.path("project").join(name)).unwrap();
    }
    let reissue = |sequence: &str, out: &str, more: &[&str]| {
        let words = ["collect", "--channel", "prod", "--reissue", sequence, "--out", out];
        sides.run("out", &[&words[..], more].concat())
    };
    for (sequence, before) in [("1", "first"), ("2", "second")] {
        let out = format!("../again-{sequence}");
        reissue(sequence, &out, &[]).done();
        let again = bundles(&sides.path(&out[3..]));
        let before = bundles(&sides.path(before));
        assert_eq!(again[0].file_name(), before[0].file_name());
        assert!(fs::read(&again[0]).unwrap() == fs::read(&before[0]).unwrap(), "{sequence}");
    }
    let delta = reissue("2", "../delta", &["--since", "1"]);
    assert!(delta.stderr.contains("without 1 blob"), "{}", delta.stderr);
    import(&sides, "in", &bundles(&sides.path("delta")), &[]).done();
    assert_eq!(reissue("3", "../none", &[]).code, Some(2));
    assert_eq!(reissue("1", "../none", &["file:./x"]).code, Some(2));
}

#[test]
fn what_a_receipt_promised_stays() {
    let sides = sides();
    receipt(&sides, "in", "site.receipt", &[]);
    // The channel is replaced by one that lists nothing of it, twice, so that nobody goes back either.
    for version in [1, 2] {
        sides.write(
            "aftk.toml",
            "format = 1\nchannel = \"prod\"\nmode = \"replace\"\nrequests = [\"file:./other.bin\"]\n",
        );
        sides.write("other.bin", format!("other {version}"));
        if version == 1 {
            fs::copy(sides.path("out/channels/prod/aftk.ledger"), sides.path("project/aftk.ledger")).unwrap();
        }
        let out = format!("../replacing-{version}");
        sides.run("out", &["collect", "--out", &out]).done();
        import(&sides, "in", &bundles(&sides.path(&out[3..])), &[]).done();
    }
    assert_eq!(sound(&sides.path("in")).len(), 1);
    for _ in 0..3 {
        sides.run("in", &["gc"]).done();
    }
    let key = bundle_format::BlobKey::of(&[7; 400_000]).hex();
    assert!(sides.path("in/store/blobs/sha256").join(&key[..2]).join(&key).exists());
}

#[test]
fn a_patch_of_one_file_stands_not_for_all_in_a_short_receipt() {
    let sides = sides();
    sides.write("patch.bin", "mended");
    sides.run("out", &["collect", "--channel", "prod", "--out", "../patch", "file:./patch.bin"]).done();
    import(&sides, "in", &bundles(&sides.path("patch")), &[]).done();
    receipt(&sides, "in", "short.receipt", &["--short"]);
    let (files, ran) = collect(&sides, "delta", &["--receipt", "short.receipt"]);
    assert_eq!(left_out(&ran), 1, "{ran:?}");
    import(&sides, "in", &files, &[]).done();
}

#[test]
fn what_a_bundle_relies_on_is_told_by_where_one_asks() {
    let sides = sides();
    let (delta, _) = collect(&sides, "delta", &["--since", "1"]);
    let said = |home: &str, words: &[&str]| -> String {
        let ran = sides.run(home, &[words, &["--json", delta[0].to_str().unwrap()]].concat());
        assert_eq!(ran.code, Some(4), "{ran:?}");
        ran.json()["failed"][0]["problem"]["message"].as_str().unwrap().to_owned()
    };
    sides.run("new", &["key", "trust", "collector.pem"]).done();
    assert!(
        said("out", &["verify"]).contains("sound, and relies on what the site has: it leaves out sha256:")
    );
    assert!(said("new", &["import", "-n"]).contains("relies on what is not here: it leaves out sha256:"));
    assert!(said("new", &["import"]).starts_with("1 blob that the snapshot lists is neither"));
    assert_eq!(import(&sides, "in", &delta, &["-n"]).code, Some(0));
}
