//! Outside: the real registry, the real npm, and what was collected with them.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Arc, Mutex, OnceLock};
use std::{env, fs};

use serde_json::Value;

use super::command::{AFTK, Outcome, bounded, bundle_in, run};

/// What a lockfile says of where packages are.
#[derive(Clone, Copy)]
pub(crate) enum Lockfile {
    /// Nothing: `resolved` is absent. The fixture is of this kind.
    Bare,
    /// The registry's addresses.
    Resolved,
}

/// A project and what was collected for it.
pub(crate) struct Collected {
    /// `package.json` and `package-lock.json` are here.
    pub(crate) project: PathBuf,
    /// The bundle is here.
    pub(crate) stick: PathBuf,
    /// What `collect --json` said.
    pub(crate) report: Value,
}

impl Collected {
    /// The bundle.
    pub(crate) fn bundle(&self) -> PathBuf {
        bundle_in(&self.stick)
    }

    /// The request for the project's lockfile.
    pub(crate) fn request(&self) -> String {
        format!("npm:{}", self.project.join("package-lock.json").display())
    }
}

/// Where all of it happens. What an earlier run left is cleared away first.
pub(crate) fn directory() -> &'static Path {
    static DIRECTORY: OnceLock<PathBuf> = OnceLock::new();
    DIRECTORY.get_or_init(|| {
        let directory = Path::new(env!("CARGO_TARGET_TMPDIR")).join("peers");
        if directory.exists() {
            fs::remove_dir_all(&directory).unwrap();
        }
        // The outside's user, who has configured nothing.
        fs::create_dir_all(directory.join("user")).unwrap();
        directory
    })
}

/// This side's home.
pub(crate) fn home() -> PathBuf {
    directory().join("outside")
}

/// A program of the outside's user, run behind `before`. What the machine needs to reach its registry stays as it is.
fn program(before: &[&str], program: &str) -> Command {
    let mut command = bounded(before, program);
    command.env("HOME", directory().join("user")).env_remove("npm_config_userconfig");
    command
}

/// npm of the outside's user.
pub(crate) fn npm() -> Command {
    program(&[], "npm")
}

/// aftk of the outside's user, run behind `before`.
pub(crate) fn aftk_behind(before: &[&str]) -> Command {
    let mut command = program(before, AFTK);
    command.arg("--home").arg(home());
    command
}

/// Collects the project's lockfile and more words into a stick of that name.
pub(crate) fn collect(project: &Path, name: &str, words: &[&str]) -> Collected {
    let stick = directory().join(format!("stick-{name}"));
    let mut collected = Collected { project: project.to_owned(), stick, report: Value::Null };
    let mut command = aftk_behind(&[]);
    command
        .args(["collect", &collected.request(), "--channel", name, "--json", "--out"])
        .arg(&collected.stick);
    collected.report = run(command.args(words)).succeeded().json();
    run(aftk_behind(&[]).arg("verify").arg(&collected.stick)).succeeded();
    collected
}

/// The collected project of a kind; collected once, for all journeys.
pub(crate) fn collected(lockfile: Lockfile) -> &'static Collected {
    static BARE: OnceLock<Collected> = OnceLock::new();
    static RESOLVED: OnceLock<Collected> = OnceLock::new();
    let (cell, name) = match lockfile {
        Lockfile::Bare => (&BARE, "bare"),
        Lockfile::Resolved => (&RESOLVED, "resolved"),
    };
    cell.get_or_init(|| {
        let project = directory().join(format!("project-{name}"));
        fs::create_dir_all(&project).unwrap();
        copy_project(Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/fixtures/npm/journey")), &project);
        if matches!(lockfile, Lockfile::Resolved) {
            // npm adds no addresses to a lockfile that has none, so it writes a new one, as the fixture's README says.
            fs::remove_file(project.join("package-lock.json")).unwrap();
            let mut npm = npm();
            npm.current_dir(&project).args(["install", "--package-lock-only", "--ignore-scripts"]);
            npm.args(["--omit-lockfile-registry-resolved=false", "--before=2026-11-01"]);
            run(npm.args(["--no-audit", "--no-fund"])).succeeded();
        }
        let text = fs::read_to_string(project.join("package-lock.json")).unwrap();
        assert_eq!(text.contains("\"resolved\": \"https://"), matches!(lockfile, Lockfile::Resolved));
        assert!(text.matches("\"node_modules/").count() >= 300);
        collect(&project, name, &[])
    })
}

/// Copies what makes a project.
pub(crate) fn copy_project(from: &Path, to: &Path) {
    for file in ["package.json", "package-lock.json"] {
        fs::copy(from.join(file), to.join(file)).unwrap();
    }
}

/// The public half of the collecting key, as a file that inside can trust.
pub(crate) fn key() -> PathBuf {
    let path = directory().join(format!("{:?}.pem", std::thread::current().id()));
    fs::write(&path, run(aftk_behind(&[]).args(["key", "show"])).succeeded().stdout).unwrap();
    path
}

/// The directory with the programs of a package in that major version, installed by npm; once for all journeys.
pub(crate) fn programs(package: &str, major: &str) -> PathBuf {
    static INSTALLED: Mutex<BTreeMap<String, Arc<OnceLock<PathBuf>>>> = Mutex::new(BTreeMap::new());
    let name = format!("{}-{major}", package.replace(['@', '/'], "_"));
    let cell = Arc::clone(INSTALLED.lock().unwrap().entry(name.clone()).or_default());
    cell.get_or_init(|| {
        let prefix = directory().join(name);
        fs::create_dir(&prefix).unwrap();
        // Verdaccio asks for it by a tag, and not every way to the registry has its tags.
        fs::write(prefix.join("package.json"), "{\"overrides\": {\"node-fetch\": \"2.6.7\"}}").unwrap();
        let mut npm = npm();
        npm.current_dir(&prefix).args(["install", "--no-audit", "--no-fund", "--prefix"]);
        run(npm.arg(&prefix).arg(format!("{package}@{major}"))).succeeded();
        prefix.join("node_modules/.bin")
    })
    .clone()
}

/// A search path with another directory before it.
pub(crate) fn search_path(first: Option<&Path>) -> std::ffi::OsString {
    let path = env::var_os("PATH").unwrap_or_default();
    let directories = first.map(Path::to_owned).into_iter().chain(env::split_paths(&path));
    env::join_paths(directories).unwrap()
}

/// The purls of a report's artifacts.
pub(crate) fn purls(outcome: &Outcome) -> Vec<String> {
    let report = outcome.json();
    let artifacts = report["artifacts"].as_array().unwrap();
    artifacts.iter().map(|artifact| artifact["purl"].as_str().unwrap().to_owned()).collect()
}
