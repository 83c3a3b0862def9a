//! What a lock holds on to, what moves it, and what a person is told of that.

use serde_json::json;

use crate::support::fake_upstream::{FakeUpstream, Reply, Seen};
use crate::support::npm_project::{self, Package, lockfile, packages, publish, write_project};
use crate::support::sides::{Ran, Sides};

struct Project {
    sides: Sides,
    upstream: FakeUpstream,
    packages: Vec<Package>,
}

impl Project {
    fn new() -> Project {
        let project = Project { sides: Sides::new(), upstream: FakeUpstream::start(), packages: packages() };
        publish(&project.upstream, &project.packages);
        write_project(&project.sides, &project.packages);
        project
    }

    fn run(&self, arguments: &[&str]) -> Ran {
        let mut command = self.sides.command("out");
        npm_project::reach(&mut command, &self.upstream);
        command.args(arguments).output().unwrap().into()
    }

    fn lock(&self) -> String {
        std::fs::read_to_string(self.sides.path("project/aftk.lock")).unwrap()
    }
}

#[test]
fn a_lock_stays_until_it_is_upgraded() {
    let project = Project::new();
    assert_eq!(project.run(&["lock"]).done(), "./aftk.lock: 4 artifacts, written\n");
    let first = project.lock();
    // The registry publishes a second version, moves its tag there, and writes something into the first one.
    let plain = &project.packages[1];
    let mut document = plain.document();
    document["versions"]["1.4.0"]["deprecated"] = json!("use 1.5.0");
    document["versions"]["1.5.0"] = document["versions"]["1.4.0"].clone();
    document["versions"]["1.5.0"]["version"] = json!("1.5.0");
    document["dist-tags"] = json!({"latest": "1.5.0", "old": "1.4.0"});
    project.upstream.route(&plain.document_path(), Reply::json(&document));

    assert_eq!(project.run(&["lock"]).done(), "./aftk.lock: 4 artifacts, unchanged\n");
    assert_eq!(project.lock(), first);
    let moved = "~ npm:plain 1.4.0: something else than it was\n\
                 - npm:plain tag latest 1.4.0\n\
                 + npm:plain tag old 1.4.0\n";
    assert_eq!(project.run(&["lock", "--upgrade", "--dry-run"]).done(), moved);
    assert_eq!(project.lock(), first);
    let upgraded = project.run(&["lock", "--upgrade"]).done();
    assert_eq!(upgraded, format!("{moved}./aftk.lock: 4 artifacts, written\n"));
    let second = project.lock();
    assert_ne!(second, first);
    assert_eq!(project.run(&["lock", "--upgrade"]).done(), "./aftk.lock: 4 artifacts, unchanged\n");
    assert_eq!(project.lock(), second);
}

#[test]
fn what_a_changed_lockfile_moves_is_told() {
    let mut project = Project::new();
    project.run(&["lock"]).done();
    project.packages[1] = npm_project::package("plain", "1.5.0", json!({}), 9000);
    publish(&project.upstream, &project.packages);
    let added = npm_project::package("added", "3.0.0", json!({}), 100);
    publish(&project.upstream, std::slice::from_ref(&added));
    let all = [&project.packages[1..], &[added]].concat();
    project.sides.write("package-lock.json", lockfile(&all).to_string());
    let refused = project.run(&["collect", "--locked"]);
    assert_eq!(refused.code, Some(6), "{}", refused.stderr);
    // `top` needs the scoped package, which is no longer listed.
    let gap = project.run(&["lock"]);
    assert_eq!(gap.code, Some(4), "{}", gap.stderr);
    let all = [&project.packages[..], &all[2..]].concat();
    project.sides.write("package-lock.json", lockfile(&all).to_string());
    let told = project.run(&["lock", "--json"]).json();
    let moved = told["difference"]["moved"].as_array().unwrap();
    let versions = moved.iter().filter(|moved| moved.get("label").is_none());
    let versions: Vec<_> = versions.map(|moved| json!([moved["name"], moved["from"], moved["to"]])).collect();
    assert_eq!(json!(versions), json!([["added", null, ["3.0.0"]], ["plain", ["1.4.0"], ["1.5.0"]]]));
}

#[test]
fn requests_are_added_to_those_of_a_project() {
    let project = Project::new();
    project.run(&["collect", "--out", "../stick"]).done();
    let (lock, entries) = (project.lock(), || {
        let entries = std::fs::read_dir(project.sides.path("project")).unwrap();
        let mut names: Vec<_> =
            entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    });
    let expected = [".npmrc", "aftk.ledger", "aftk.lock", "aftk.toml", "manual.txt", "package-lock.json"];
    assert_eq!(entries(), expected, "nothing else is left in the project");
    std::fs::create_dir(project.sides.path("elsewhere")).unwrap();
    std::fs::write(project.sides.path("elsewhere/extra.txt"), "extra").unwrap();
    let extended = project.run(&[
        "collect",
        "-f",
        "aftk.toml",
        "file:../elsewhere/extra.txt",
        "--out",
        "../stick",
        "--json",
    ]);
    let report = extended.json();
    extended.done();
    assert_eq!((&report["bundle"]["channel"], &report["bundle"]["sequence"]), (&json!("prod"), &json!(2)));
    assert_eq!(report["artifacts"].as_array().unwrap().len(), 5);
    assert_eq!(project.lock(), lock, "the project's own lock does not move");
    let again = project.run(&["collect", "--out", "../stick", "--json"]).json();
    assert_eq!((&again["bundle"]["held"], &again["bundle"]["sequence"]), (&json!(true), &json!(1)));
    assert_eq!(entries(), expected);
}

#[test]
fn a_damaged_lock_is_not_gone_on_with() {
    let project = Project::new();
    project.run(&["lock"]).done();
    let lock = project.lock();
    let lines: Vec<&str> = lock.lines().collect();
    for (text, line) in [
        (String::new(), 0),
        (lock[..lock.len() / 2].to_owned(), lines.len() / 2),
        (lock.replacen("\"format\":1", "\"format\":2", 1), 1),
        (lines[1..].join("\n") + "\n", 1),
        (format!("{lock}{}\n", lines[0]), lines.len() + 1),
        (format!("{lock}<<<<<<< HEAD\n"), lines.len() + 1),
    ] {
        std::fs::write(project.sides.path("project/aftk.lock"), &text).unwrap();
        for arguments in [&["lock", "--json"][..], &["collect", "--json"]] {
            let ran = project.run(arguments);
            assert_eq!(ran.code, Some(3), "{}", ran.stderr);
            let error = ran.json()["error"].clone();
            assert_eq!(error["code"], "lock.invalid");
            let place = error["place"].as_str().unwrap().to_owned();
            let met: usize = place.rsplit(':').next().unwrap().parse().unwrap();
            assert!(met == line || (line == lines.len() / 2 && met > 1), "{place}, not {line}");
        }
        assert_eq!(project.lock(), text);
    }
    // Lines that were merged by hand may stand in any order.
    let mut mixed = lines.clone();
    mixed[1..].reverse();
    std::fs::write(project.sides.path("project/aftk.lock"), mixed.join("\n") + "\n").unwrap();
    project.run(&["collect", "--locked"]).done();
}

/// A cache before the registry that still has an older answer, and asks the registry only if it is made to.
fn behind_a_cache(old: Reply, new: Reply) -> Reply {
    let is_made_to_ask = |seen: &Seen| seen.header("cache-control") == Some("no-cache");
    Reply::answer(move |seen| if is_made_to_ask(seen) { new.clone() } else { old.clone() })
}

#[test]
fn a_version_that_a_cache_does_not_know_yet_is_asked_for_again() {
    let project = Project::new();
    let [leaf, plain, _] = &project.packages[..] else { panic!() };
    let before = npm_project::package("plain", "1.3.0", json!({}), 10).document();
    let reply = behind_a_cache(Reply::json(&before), Reply::json(&plain.document()));
    project.upstream.route(&plain.document_path(), reply);
    let reply = behind_a_cache(Reply::status(404), Reply::json(&leaf.document()));
    project.upstream.route(&leaf.document_path(), reply);
    assert_eq!(project.run(&["lock"]).done(), "./aftk.lock: 4 artifacts, written\n");
    let asked = |path: &str| project.upstream.requests_to(path).len();
    assert_eq!((asked(&plain.document_path()), asked(&leaf.document_path()), asked("/top")), (2, 2, 1));
}

#[test]
fn a_version_that_does_not_exist_is_asked_for_twice_and_named() {
    let project = Project::new();
    let plain = &project.packages[1];
    let other = npm_project::package("plain", "1.3.0", json!({}), 10);
    project.upstream.route(&plain.document_path(), Reply::json(&other.document()));
    let refused = project.run(&["lock"]);
    assert_eq!(refused.code, Some(4), "{}", refused.stderr);
    assert!(
        refused.stderr.contains("plain") && refused.stderr.contains("no such version"),
        "{}",
        refused.stderr
    );
    assert_eq!(project.upstream.requests_to(&plain.document_path()).len(), 2);
}

#[test]
fn one_package_is_upgraded_alone() {
    let project = Project::new();
    project.run(&["lock"]).done();
    let first = project.lock();
    // Both packages have a newer latest; the lockfile holds the versions.
    for package in &project.packages[..2] {
        let mut document = package.document();
        document["versions"]["9.0.0"] = document["versions"][package.version].clone();
        document["versions"]["9.0.0"]["version"] = json!("9.0.0");
        document["versions"][package.version]["deprecated"] = json!("use 9.0.0");
        document["dist-tags"] = json!({"latest": "9.0.0", "old": package.version});
        project.upstream.route(&package.document_path(), Reply::json(&document));
    }
    let unknown = project.run(&["lock", "-P", "nobody"]);
    assert_eq!(
        (unknown.code, unknown.stderr.contains("is called nobody")),
        (Some(2), true),
        "{}",
        unknown.stderr
    );
    assert_eq!(project.lock(), first);
    let moved = project.run(&["lock", "--upgrade-package", "npm:plain"]).done();
    assert!(moved.starts_with("~ npm:plain 1.4.0: something else than it was\n"), "{moved}");
    assert!(moved.contains("+ npm:plain tag old 1.4.0\n") && !moved.contains("leaf"), "{moved}");
    assert_ne!(project.lock(), first);
    assert_eq!(project.run(&["lock"]).done(), "./aftk.lock: 4 artifacts, unchanged\n");
    assert_eq!(project.run(&["lock", "-P", "plain"]).done(), "./aftk.lock: 4 artifacts, unchanged\n");
    // The others move when they are asked to.
    let rest = project.run(&["lock", "--upgrade"]).done();
    assert!(rest.contains("@scope/leaf") && !rest.contains("npm:plain"), "{rest}");
    project.run(&["collect", "--locked", "--out", "../stick"]).done();
}
