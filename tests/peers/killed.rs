//! Power cuts: what was done stays done, and nothing half-done shows.

use std::collections::BTreeSet;
use std::fs;
use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde_json::Value;

use super::command::{Outcome, run};
use super::inside::{Inside, Server};
use super::outside::{self, Lockfile, purls};

#[test]
fn a_killed_collect_goes_on_where_it_was() {
    let collected = outside::collected(Lockfile::Bare);
    // A mirror is the upstream here: its log tells what was asked for.
    let mirror = Inside::new();
    mirror.import(&collected.stick);
    let server = mirror.serve();
    let out = mirror.path("stick");
    let home = mirror.path("collecting");
    let collect = |mut command: Command, more: &[&str]| {
        command.env("AFTK_HOME", &home).args(["collect", &collected.request(), "--out"]).arg(&out);
        command.args(["--json", "--progress", "json"]).args(more);
        // The mirror stands for the public registry of this user.
        command.env("npm_config_registry", "http://127.0.0.1:2385/npm/all/");
        command
    };

    let blobs = home.join("store/blobs");
    kill_when(&mut collect(mirror.aftk_alone(), &["--limit-rate", "40MiB"]), |event| {
        event["event"] == "item-done" && !tarballs(&blobs).is_empty()
    });
    assert!(!out.exists() || fs::read_dir(&out).unwrap().count() == 0, "a bundle of half a download");
    run(mirror.aftk().env("AFTK_HOME", &home).arg("check")).succeeded();
    let held = tarballs(&blobs);
    let before = Asked::of(&server);
    assert!(!held.is_empty() && before.packuments > 0);

    let outcome = run(&mut collect(mirror.aftk(), &[])).succeeded();
    let (report, artifacts) = (outcome.json(), packages(&outcome).len());
    let asked = Asked::of(&server);
    let again = asked.tarballs.len() - before.tarballs.len();
    assert_eq!(report["preflight"]["downloads"], artifacts - held.len());
    // Also what had arrived whole but was not yet in the store is asked for only once, for what is left of it.
    assert_eq!(again, artifacts - held.len(), "{} were held, {}", held.len(), before.tarballs.len());
    assert_eq!(asked.packuments, before.packuments, "the lock was held");
    eprintln!("{artifacts} artifacts, {} held after the kill, {again} requests for the rest", held.len());
    run(mirror.aftk().env("AFTK_HOME", &home).arg("check")).succeeded();
    assert_eq!(packages(&outcome), packages(&run(mirror.aftk().args(["ls", "--json"])).succeeded()));
    assert_eq!(tarballs(&blobs), tarballs(&mirror.home().join("store/blobs")));
}

#[test]
fn a_killed_import_leaves_the_store_as_it_was() {
    let collected = outside::collected(Lockfile::Bare);
    let inside = Inside::new();
    for enough in [1, 60_000_000, 150_000_000] {
        let mut import = inside.aftk_alone();
        import.arg("import").arg(&collected.stick).args(["--json", "--progress", "json"]);
        let mut bytes = 0;
        kill_when(&mut import, |event| {
            bytes += event["bytes"].as_u64().filter(|_| event["event"] == "item-progress").unwrap_or(0);
            bytes >= enough
        });
        run(inside.aftk().arg("check")).succeeded();
        assert_eq!(purls(&run(inside.aftk().args(["ls", "--json"])).succeeded()), [""; 0]);
    }
    inside.import(&collected.stick);
    run(inside.aftk().arg("check")).succeeded();
    let listed = purls(&run(inside.aftk().args(["ls", "--json"])).succeeded());
    assert_eq!(listed.len(), collected.report["artifacts"].as_array().unwrap().len());
}

/// The purls of packages, without what a registry tells of itself.
fn packages(outcome: &Outcome) -> Vec<String> {
    purls(outcome).into_iter().filter(|purl| !purl.starts_with("pkg:npm/-/")).collect()
}

/// Runs a command and kills it without a warning at the event that is chosen.
fn kill_when(command: &mut Command, mut chosen: impl FnMut(&Value) -> bool) {
    let mut process = command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
    let mut events = BufReader::new(process.stderr.take().unwrap()).lines();
    loop {
        let line = events.next().expect("an event before the end").unwrap();
        if serde_json::from_str(&line).is_ok_and(|event| chosen(&event)) {
            break;
        }
    }
    process.kill().unwrap();
    assert!(!process.wait().unwrap().success(), "it ended before it was killed");
}

/// What a server was asked for.
struct Asked {
    /// Paths of tarballs that it sent anything of, one for each request.
    tarballs: Vec<String>,
    /// How many packuments it sent.
    packuments: usize,
}

impl Asked {
    fn of(server: &Server) -> Asked {
        let log = server.log();
        let paths = log.lines().filter_map(|line| line.split_once("\"GET ")?.1.split('"').next());
        let (tarballs, others): (Vec<&str>, Vec<&str>) = paths.partition(|path| path.ends_with(".tgz"));
        Asked { tarballs: tarballs.into_iter().map(str::to_owned).collect(), packuments: others.len() }
    }
}

/// The blobs that are tarballs: gzip's magic number tells.
fn tarballs(directory: &Path) -> BTreeSet<PathBuf> {
    let mut found = BTreeSet::new();
    for entry in fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.append(&mut tarballs(&path));
            continue;
        }
        let mut magic = [0; 2];
        let read = fs::File::open(&path).unwrap().read(&mut magic).unwrap();
        if magic.get(..read) == Some(&[0x1f, 0x8b]) {
            found.insert(PathBuf::from(path.file_name().unwrap()));
        }
    }
    found
}
