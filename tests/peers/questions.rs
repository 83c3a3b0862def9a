//! What npm's users ask besides installing.

use std::thread;
use std::time::{Duration, Instant};

use aftk::store::Store;
use serde_json::json;

use super::command::run;
use super::inside::Inside;
use super::outside::{self, Lockfile};

#[test]
fn npm_asks_and_is_answered() {
    let collected = outside::collected(Lockfile::Bare);
    let inside = Inside::new();
    inside.import(&collected.stick);
    let _server = inside.serve();
    let project = inside.project(&collected.project);
    let npm = |words: &[&str]| run(inside.program("npm").current_dir(&project).args(words));

    npm(&["ping"]).succeeded().complained("PONG");
    assert_eq!(npm(&["view", "esbuild", "versions", "--json"]).succeeded().json(), json!(["0.21.5"]));
    assert_eq!(npm(&["view", "semver-six@npm:semver", "name"]).code, Some(1));
    let semver = npm(&["view", "semver", "versions", "--json"]).succeeded().json();
    assert!(semver.as_array().unwrap().len() > 1, "{semver}");
    assert_eq!(
        npm(&["view", "esbuild@^0.21", "dist.tarball"]).succeeded().stdout,
        "http://127.0.0.1:2385/npm/all/esbuild/-/esbuild-0.21.5.tgz\n"
    );
    for (name, other) in [("JSONStream", "1.3.5"), ("jsonstream", "1.0.3")] {
        assert_eq!(npm(&["view", name, "version"]).succeeded().stdout, format!("{other}\n"));
    }
    assert_eq!(npm(&["dist-tag", "ls", "esbuild"]).succeeded().stdout, "latest: 0.21.5\n");
    let found = npm(&["search", "esbuild", "--json"]).succeeded().json();
    let names: Vec<_> =
        found.as_array().unwrap().iter().map(|package| package["name"].as_str().unwrap()).collect();
    assert_eq!(names.first(), Some(&"esbuild"));
    assert!(names.contains(&"@esbuild/linux-x64"));

    let audit = npm(&["audit", "--json"]).succeeded().json();
    assert_eq!(audit["metadata"]["vulnerabilities"]["total"], 0);
    npm(&["outdated"]);
    npm(&["whoami"]).ended(1).complained("ENEEDAUTH");
}

#[test]
fn what_is_missing_is_npms_own_404_and_is_recorded() {
    let collected = outside::collected(Lockfile::Bare);
    let inside = Inside::new();
    inside.import(&collected.stick);
    let server = inside.serve();
    let project = inside.project(&collected.project);
    let install = |what: &str| run(inside.program("npm").current_dir(&project).args(["install", what]));
    install("left-pad@1.3.0").ended(1).complained("npm error code E404").complained(
        "left-pad is not in this mirror; collect it outside (npm:left-pad) and import the bundle",
    );
    install("@no-such/thing").ended(1).complained("@no-such/thing is not in this mirror");
    // The package is here and the version is not: npm decides that by itself, from the packument.
    install("esbuild@0.1.0").ended(1).complained("npm error code ETARGET");

    // Misses are written behind the answer.
    let waited = Instant::now();
    let names = loop {
        let misses = Store::open_existing(&inside.home()).unwrap().catalogue.misses().unwrap();
        let names: Vec<_> = misses.into_iter().map(|miss| (miss.ecosystem, miss.name)).collect();
        if names.len() >= 2 || waited.elapsed() > Duration::from_secs(20) {
            break names;
        }
        thread::sleep(Duration::from_millis(100));
    };
    let missed = |name: &str| ("npm".to_owned(), name.to_owned());
    assert_eq!(names, [missed("@no-such/thing"), missed("left-pad")], "{}", server.log());
}
