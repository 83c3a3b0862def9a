//! The whole way, by the program itself: a project outside, a bundle on a medium, a mirror inside.

use std::collections::BTreeSet;

use serde_json::Value;

use crate::support::fake_upstream::{FakeUpstream, Reply};
use crate::support::npm_project::{self, packages, publish, write_project};
use crate::support::raw_http::Client;
use crate::support::serving::Serving;
use crate::support::sides::{Ran, Sides, bundles};

const PURLS: [&str; 3] = ["pkg:npm/%40scope/leaf@2.0.1", "pkg:npm/plain@1.4.0", "pkg:npm/top@0.3.0"];

/// The package URLs in a report, those of plain files without their checksum.
fn purls(report: &Value) -> BTreeSet<String> {
    let artifacts = report["artifacts"].as_array().unwrap();
    artifacts
        .iter()
        .map(|artifact| artifact["purl"].as_str().unwrap().split('?').next().unwrap().to_owned())
        .collect()
}

fn expected() -> BTreeSet<String> {
    PURLS.iter().map(|purl| (*purl).to_owned()).chain(["pkg:generic/manual.txt".to_owned()]).collect()
}

fn online(sides: &Sides, upstream: &FakeUpstream, arguments: &[&str]) -> Ran {
    let mut command = sides.command("out");
    npm_project::reach(&mut command, upstream);
    command.args(arguments).output().unwrap().into()
}

#[test]
fn a_project_crosses_the_gap() {
    let (sides, upstream, packages) = (Sides::new(), FakeUpstream::start(), packages());
    publish(&upstream, &packages);
    write_project(&sides, &packages);

    let dry = online(&sides, &upstream, &["lock", "-n", "--json"]).json();
    assert_eq!(purls(&dry), expected());
    assert!(!sides.path("project/aftk.lock").exists(), "a dry run wrote a lock");
    let locked = online(&sides, &upstream, &["lock", "--json"]).json();
    assert_eq!(purls(&locked), expected());
    let tarballs = || {
        let seen = upstream.requests();
        seen.iter().filter(|seen| seen.method == "GET" && seen.path.ends_with(".tgz")).count()
    };
    assert_eq!(tarballs(), 0, "lock asks for metadata alone");

    let collected = online(&sides, &upstream, &["collect", "--locked", "--out", "../stick", "--json"]);
    let report = collected.json();
    collected.done();
    assert_eq!(purls(&report), expected());
    assert_eq!(report["bundle"]["sequence"], 1);
    assert_eq!(tarballs(), 3);
    let [bundle] = &sides.medium()[..] else { panic!("{:?}", sides.medium()) };
    assert!(bundle.ends_with("prod-000001-01of01.aftk.tar"), "{bundle:?}");
    let stick = sides.path("stick");
    let stick = stick.to_str().unwrap();

    // Inside: nothing of outside is within reach but the stick and the key.
    drop(upstream);
    sides.trust();
    assert!(sides.run("in", &["verify", stick]).done().contains("sound; prod sequence 1, 4 artifacts"));
    let inspected = sides.run("in", &["inspect", stick, "--json"]).json();
    assert_eq!(purls(&inspected["bundles"][0]), expected());
    let imported = sides.run("in", &["import", stick, "--json"]).json();
    assert_eq!(imported["bundles"][0]["outcome"], "imported");
    assert_eq!(purls(&sides.run("in", &["ls", "--json"]).json()), expected());
    assert!(sides.run("in", &["check"]).done().starts_with("sound: "));

    let serving = Serving::start(&sides);
    let get = |path: &str| Client::connect(serving.address).ask("GET", path, &[]);
    for package in &packages {
        let packument = get(&format!("/npm/all{}", package.document_path()));
        assert_eq!(packument.status, 200, "{}", packument.text());
        let packument: Value = serde_json::from_slice(&packument.body).unwrap();
        assert_eq!(packument["dist-tags"]["latest"], package.version);
        let version = &packument["versions"][package.version];
        assert_eq!(version["dist"]["integrity"], package.integrity());
        let tarball: url::Url = version["dist"]["tarball"].as_str().unwrap().parse().unwrap();
        assert_eq!(get(tarball.path()).body, package.tarball, "{tarball}");
    }
    assert_eq!(get("/files/local/manual.txt").text(), "read me\n".repeat(300));
    assert_eq!(get("/npm/all/absent").status, 404);
    assert_eq!(get("/files/local/absent").status, 404);
}

#[test]
fn unchanged_content_gives_the_same_bytes_and_downloads_nothing() {
    let (sides, upstream, packages) = (Sides::new(), FakeUpstream::start(), packages());
    publish(&upstream, &packages);
    write_project(&sides, &packages);
    online(&sides, &upstream, &["collect", "--out", "../stick"]).done();
    let first = std::fs::read(&sides.medium()[0]).unwrap();
    let asked = upstream.requests().len();
    for out in ["../stick", "../other"] {
        let again = online(&sides, &upstream, &["collect", "--out", out, "--json"]).json();
        assert_eq!((&again["bundle"]["held"], &again["bundle"]["sequence"]), (&Value::Bool(true), &1.into()));
    }
    let [other] = &bundles(&sides.path("other"))[..] else { panic!() };
    assert!(std::fs::read(other).unwrap() == first, "the same snapshot has other bytes");
    assert_eq!(upstream.requests().len(), asked, "it asked upstream again");
    // A key whose signatures are different every time.
    sides.run("out", &["key", "new", "module", "--algorithm", "ecdsa-p384-sha384"]).done();
    for out in ["../third", "../third"] {
        online(&sides, &upstream, &["collect", "--out", out, "--key", "module"]).done();
    }
    online(&sides, &upstream, &["collect", "--out", "../fourth", "--key", "module"]).done();
    let [third, fourth] =
        ["third", "fourth"].map(|out| std::fs::read(&bundles(&sides.path(out))[0]).unwrap());
    assert!(third == fourth, "the same snapshot, signed with the same key, has other bytes");
}

/// Every way to fail has its exit code; results are on stdout, messages on stderr, and a failure makes no result.
#[test]
fn exit_codes_say_what_kind_of_failure_it_is() {
    let (sides, upstream, packages) = (Sides::new(), FakeUpstream::start(), packages());
    publish(&upstream, &packages);
    write_project(&sides, &packages);
    sides.write("gap.toml", "format = 1\nrequests = [\"npm:./gap/package-lock.json\"]\n");
    std::fs::create_dir(sides.path("project/gap")).unwrap();
    let absent = npm_project::package("absent", "1.0.0", serde_json::json!({}), 10);
    sides.write("gap/package-lock.json", npm_project::lockfile(&[absent]).to_string());
    online(&sides, &upstream, &["collect", "--out", "../stick"]).done();
    let bundle = sides.medium().remove(0);
    let mut bytes = std::fs::read(&bundle).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    sides.write("damaged.aftk.tar", &bytes);
    sides.write("cut.aftk.tar", &bytes[..middle]);
    sides.write("empty.aftk.tar", "");
    std::fs::create_dir(sides.path("project/nothing-here")).unwrap();
    std::fs::create_dir(sides.path("taken")).unwrap();
    std::fs::write(sides.path("taken/prod-000001-01of01.aftk.tar"), "something else").unwrap();
    let busy = npm_project::package("busy", "1.0.0", serde_json::json!({}), 10);
    upstream.route(&busy.document_path(), Reply::status(503));
    std::fs::create_dir(sides.path("project/busy")).unwrap();
    sides.write("busy/package-lock.json", npm_project::lockfile(&[busy]).to_string());
    sides.run("trusting", &["key", "show"]).done();

    let stick = bundle.to_str().unwrap();
    for (arguments, code, said) in [
        (&["import", "no-such-file.aftk.tar"][..], 2, "media.unreadable"),
        (&["verify", "no-such-file.aftk.tar"], 2, "media.unreadable"),
        (&["inspect", "nothing-here"], 2, "media.empty"),
        (&["collect", "file:./no-such-file"], 2, "file.not-found"),
        (&["collect", "--file", "no-such.toml"], 2, "config.missing"),
        (&["collect", "cobol:x"], 2, "request.unknown"),
        (&["collect", "file:./manual.txt", "--channel", "../x"], 2, "channel.name"),
        (&["ls", "--home", "no-home"], 2, "store.missing"),
        (&["ls", "lodash"], 2, "selector.invalid"),
        (&["import", stick, "--home", "stranger"], 3, "trust.unknown-key"),
        (&["verify", "damaged.aftk.tar"], 3, "bundle."),
        (&["verify", "cut.aftk.tar"], 3, "bundle."),
        (&["verify", "empty.aftk.tar"], 3, "bundle."),
        (&["verify", "manual.txt"], 3, "bundle."),
        (&["verify", "/dev/null"], 3, "media.unreadable"),
        (&["collect", "--file", "gap.toml"], 4, "collect.gaps"),
        (&["collect", "--out", "../taken"], 6, "collect.in-the-way"),
        (&["collect", "npm:./gap/package-lock.json", "--locked"], 6, "lock.missing"),
        (&["init"], 6, "init.exists"),
    ] {
        let ran = online(&sides, &upstream, &[arguments, &["--json"]].concat());
        assert_eq!(ran.code, Some(code), "{arguments:?}: {}", ran.stderr);
        let error = &ran.json()["error"];
        assert!(error["code"].as_str().unwrap().starts_with(said), "{arguments:?}: {error}");
        assert!(ran.stderr.contains("error: "), "{arguments:?}: {}", ran.stderr);
        let plain = online(&sides, &upstream, arguments);
        assert_eq!((plain.code, plain.stdout.as_str()), (Some(code), ""), "{arguments:?}");
    }
    // Tried again a few times, with pauses: only once here.
    let unavailable = online(&sides, &upstream, &["collect", "npm:./busy/package-lock.json"]);
    assert_eq!((unavailable.code, unavailable.stdout.as_str()), (Some(5), ""), "{}", unavailable.stderr);
    for arguments in [&["no-such-verb"][..], &["collect", "--no-such-flag"], &["import"]] {
        let ran = sides.run("out", arguments);
        assert_eq!((ran.code, ran.stdout.as_str()), (Some(2), ""), "{arguments:?}");
    }
    let help = sides.run("out", &["--help"]);
    assert_eq!((help.code, help.stderr.as_str()), (Some(0), ""));
}

#[test]
fn a_package_for_other_platforms_is_marked_as_known_of_alone() {
    let (sides, upstream, packages) = (Sides::new(), FakeUpstream::start(), packages());
    // Without the one that needs both others.
    let packages = &packages[..2];
    publish(&upstream, packages);
    write_project(&sides, packages);
    let plain = &packages[1];
    let mut document = plain.document();
    document["versions"]["1.4.0"]["os"] = serde_json::json!(["darwin"]);
    upstream.route(&plain.document_path(), Reply::json(&document));
    let mut lock = npm_project::lockfile(packages);
    lock["packages"]["node_modules/plain"]["optional"] = Value::Bool(true);
    sides.write("package-lock.json", lock.to_string());
    online(&sides, &upstream, &["collect", "-p", "linux-x64-glibc", "--out", "../stick"]).done();
    sides.trust();

    let listed = sides.run("out", &["ls"]).done();
    let inspected = sides.run("in", &["inspect", "../stick"]).done();
    for lines in [listed, inspected] {
        let marked: Vec<&str> = lines.lines().filter(|line| line.contains("metadata only")).collect();
        assert!(marked.len() == 1 && marked[0].contains("pkg:npm/plain@1.4.0"), "{lines}");
    }
    let report = sides.run("out", &["ls", "--json"]).json();
    let marks = report["artifacts"].as_array().unwrap().iter().filter(|shown| shown["metadata_only"] == true);
    assert_eq!(marks.count(), 1);
}
