//! npm packages without a lockfile: the real registry and the real npm, whose choice ours is held to.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::{BufRead as _, BufReader, Write as _};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::{Value, json};

use super::command::run;
use super::outside::{aftk_behind, directory, npm};

/// Packages that many people use. The first ones are compared in every run.
const PACKAGES: [&str; 66] = [
    "express",
    "next",
    "@nestjs/core",
    "vite",
    "ts-node",
    "sharp",
    "esbuild@0.21.5",
    "babel-core@bridge",
    "JSONStream",
    "eslint",
    "@angular/core",
    "@angular/cli",
    "typescript",
    "webpack",
    "webpack-dev-server",
    "rollup",
    "nuxt",
    "gatsby-cli",
    "@nestjs/cli",
    "react-scripts",
    "prettier",
    "jest",
    "mocha",
    "vitest",
    "cypress",
    "@playwright/test",
    "storybook",
    "tailwindcss",
    "postcss",
    "sass",
    "@babel/core",
    "@babel/preset-env",
    "tsx",
    "nodemon",
    "axios",
    "got",
    "fastify",
    "koa",
    "socket.io",
    "mongoose",
    "sequelize",
    "typeorm",
    "prisma",
    "knex",
    "graphql",
    "@apollo/server",
    "redux",
    "@reduxjs/toolkit",
    "zustand",
    "rxjs",
    "puppeteer",
    "electron",
    "npm",
    "yarn",
    "lerna",
    "nx",
    "husky",
    "semantic-release",
    "svelte",
    "@sveltejs/kit",
    "astro",
    "@mui/material",
    "antd",
    "aws-sdk",
    "@aws-sdk/client-s3",
    "@isaacs/cliui@8.0.2",
];
/// How many of them are compared in every run.
const FEW: usize = 6;
/// Where an answer of ours differs from npm's, and why it may: lines of `NAME: why`.
const DIFFERENCES: &str = include_str!("../../fixtures/npm/differences-from-npm.txt");

/// A directory of fixtures.
fn fixtures(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/npm").join(name)
}

/// An empty directory for a project, with its `package.json`.
fn project(name: &str, package_json: &Value) -> PathBuf {
    let directory = directory().join("npm-outside").join(name.replace(['/', '@'], "_"));
    let _ = fs::remove_dir_all(&directory);
    fs::create_dir_all(&directory).unwrap();
    fs::write(directory.join("package.json"), package_json.to_string()).unwrap();
    directory
}

/// The versions that npm puts into its lockfile; none, if it gives up.
fn theirs(project: &Path) -> BTreeSet<String> {
    let mut command = npm();
    command.args(["install", "--package-lock-only", "--no-audit", "--no-fund", "--cache"]);
    let outcome = run(command.arg(directory().join("npm-outside/cache")).current_dir(project));
    if outcome.code != Some(0) {
        assert!(
            outcome.stderr.contains("ERESOLVE") || outcome.stderr.contains("ETARGET"),
            "{}",
            outcome.stderr
        );
        return BTreeSet::new();
    }
    let lock: Value = serde_json::from_slice(&fs::read(project.join("package-lock.json")).unwrap()).unwrap();
    let entries = lock["packages"].as_object().unwrap().iter();
    let placed = entries.filter_map(|(path, entry)| {
        let installed = path.rsplit_once("node_modules/")?.1;
        let is_own = entry["link"] != json!(true) && entry["inBundle"] != json!(true);
        let name = entry["name"].as_str().unwrap_or(installed);
        is_own.then(|| format!("{name}@{}", entry["version"].as_str().unwrap()))
    });
    placed.collect()
}

/// The versions that we would carry whole; none, if that cannot be.
fn ours(project: &Path, name: &str) -> BTreeSet<String> {
    let mut command = aftk_behind(&[]);
    let outcome = run(command.arg("-C").arg(project).args(["lock", "-n", "--json", "./package.json"]));
    if outcome.code == Some(4) {
        return BTreeSet::new();
    }
    assert_eq!(outcome.code, Some(0), "{name}: {}", outcome.stderr);
    let report = outcome.json();
    let whole =
        report["artifacts"].as_array().unwrap().iter().filter(|one| one["metadata_only"] != json!(true));
    let purls = whole.map(|one| one["purl"].as_str().unwrap().replace("%40", "@"));
    purls.map(|purl| purl.trim_start_matches("pkg:npm/").to_owned()).collect()
}

/// Compares what is chosen for projects; those that differ without a known reason are named.
fn compare(projects: impl Iterator<Item = (String, Value)>) {
    let known: BTreeSet<&str> =
        DIFFERENCES.lines().filter_map(|line| line.split_once(": ")).map(|(what, _)| what).collect();
    let (mut all, mut same, mut unexplained) = (0, 0, Vec::new());
    for (name, package_json) in projects {
        let project = project(&name, &package_json);
        let (ours, theirs) = (ours(&project, &name), theirs(&project));
        all += theirs.len().max(1);
        same += if ours == theirs { theirs.len().max(1) } else { ours.intersection(&theirs).count() };
        if ours != theirs && !known.contains(name.as_str()) {
            let (more, less): (Vec<_>, Vec<_>) =
                (ours.difference(&theirs).collect(), theirs.difference(&ours).collect());
            unexplained.push(format!("{name}: ours alone {more:?}, npm's alone {less:?}"));
        }
    }
    assert!(unexplained.is_empty(), "{same} of {all} alike\n{}", unexplained.join("\n"));
    assert!(same * 100 >= 98 * all, "{same} of {all} alike");
}

fn of_package(request: &&str) -> (String, Value) {
    let at = request.char_indices().skip(1).find(|(_, character)| *character == '@').map(|(at, _)| at);
    let (name, range) = at.map_or((*request, "*"), |at| (&request[..at], &request[at + 1..]));
    ((*request).to_owned(), json!({"name": "outside", "dependencies": {name: range}}))
}

fn of_applications(names: &[&str]) -> Vec<(String, Value)> {
    let read = |name: &&str| {
        let text = fs::read(fixtures("applications").join(format!("{name}.json"))).unwrap();
        ((*name).to_owned(), serde_json::from_slice(&text).unwrap())
    };
    names.iter().map(read).collect()
}

#[test]
fn npm_chooses_what_we_choose() {
    let packages = PACKAGES.iter().take(FEW).map(of_package);
    compare(packages.chain(of_applications(&["vite-react", "express-realworld"])));
}

#[test]
#[ignore = "npm alone takes ten minutes for it: cargo test --test peers npm_outside -- --ignored"]
fn npm_chooses_what_we_choose_for_all() {
    let applications =
        ["vite-react", "express-realworld", "nest-starter", "next-shop", "react-scripts-redux"];
    let packages = PACKAGES.iter().map(of_package);
    compare(packages.chain(of_applications(&applications)));
}

/// The small registries that the hermetic tests answer from are answered by npm as it is said there.
#[test]
fn npm_builds_the_trees_of_our_small_registries() {
    let mut count = 0;
    for entry in fs::read_dir(fixtures("solving")).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_none_or(|extension| extension != "txt") {
            continue;
        }
        let text = fs::read_to_string(&path).unwrap();
        let (given, expected) = text.split_once("\n---\n").unwrap();
        let (packages, package_json) = read(given);
        let project = project(path.file_stem().unwrap().to_str().unwrap(), &package_json);
        let registry = serve(packages);
        let mut command = Command::new("npm");
        command.args(["install", "--package-lock-only", "--no-audit", "--no-fund", "--registry", &registry]);
        command.arg("--cache").arg(project.join("cache")).env("HOME", directory().join("user"));
        let outcome = run(command.current_dir(&project));
        assert_eq!(tree(&project, outcome.code), expected.lines().collect::<Vec<_>>(), "{}", path.display());
        count += 1;
    }
    assert!(count >= 20, "{count}");
}

/// What npm made of a project, line by line.
fn tree(project: &Path, code: Option<i32>) -> Vec<String> {
    if code != Some(0) {
        return vec!["conflict".to_owned()];
    }
    let lock: Value = serde_json::from_slice(&fs::read(project.join("package-lock.json")).unwrap()).unwrap();
    let entries = lock["packages"].as_object().unwrap().iter().filter(|(path, _)| !path.is_empty());
    let mut lines: Vec<String> = entries
        .map(|(path, entry)| match entry["link"].as_bool() {
            Some(true) => format!("{path} -> {}", entry["resolved"].as_str().unwrap()),
            _ => {
                let optional = entry["optional"] == json!(true) || entry["extraneous"] == json!(true);
                let optional = if optional { " optional" } else { "" };
                format!("{path} {}{optional}", entry["version"].as_str().unwrap())
            }
        })
        .collect();
    lines.sort();
    lines
}

/// Where tarballs are, before it is known where the registry is.
const TARBALLS: &str = "http://tarballs.invalid/";

/// Reads a small registry, and the `package.json` of its project.
fn read(text: &str) -> (BTreeMap<String, Value>, Value) {
    let (mut packages, mut project) = (BTreeMap::new(), json!({"name": "project", "version": "1.0.0"}));
    for line in text.lines().filter(|line| !line.is_empty() && !line.starts_with('#')) {
        let mut words = line.split_whitespace();
        let name = words.next().unwrap();
        if name == "project" {
            words.for_each(|word| put(&mut project, word));
            continue;
        }
        let version = words.next().unwrap();
        let tarball = format!("{TARBALLS}{name}-{version}.tgz");
        let mut object = json!({"name": name, "version": version, "dist": {"tarball": tarball}});
        words.for_each(|word| put(&mut object, word));
        let package = packages.entry(name.to_owned()).or_insert_with(|| json!({"name": name}));
        if let Some(tag) = object["tag"].as_str() {
            package["dist-tags"][tag] = json!(version);
        }
        package["last"] = json!(version);
        package["versions"][version] = object;
    }
    for package in packages.values_mut() {
        if package["dist-tags"]["latest"].is_null() {
            package["dist-tags"]["latest"] = package["last"].clone();
        }
    }
    (packages, project)
}

fn put(object: &mut Value, word: &str) {
    if let Some(packages) = word.strip_prefix("shrinkwrap=") {
        let packages: Value = serde_json::from_str(packages).unwrap();
        object["_hasShrinkwrap"] = json!(true);
        object["shrinkwrap"] = json!({"lockfileVersion": 3, "requires": true, "packages": packages});
        return;
    }
    if let Some(overrides) = word.strip_prefix("overrides=") {
        object["overrides"] = serde_json::from_str(overrides).unwrap();
        return;
    }
    if word == "deprecated" {
        object["deprecated"] = json!("old");
        return;
    }
    let (kind, what) = word.split_once(':').unwrap_or(("", word));
    let (field, what) = match kind {
        "peer" | "optpeer" => ("peerDependencies", what),
        "opt" => ("optionalDependencies", what),
        "engine" => ("engines", what),
        "os" | "tag" => {
            object[kind] = if kind == "os" { json!([what]) } else { json!(what) };
            return;
        }
        _ => ("dependencies", word),
    };
    let at = what.char_indices().skip(1).find(|(_, character)| *character == '@').unwrap().0;
    let (name, range) = (&what[..at], &what[at + 1..]);
    object[field][name] = json!(range);
    if kind == "optpeer" {
        object["peerDependenciesMeta"][name] = json!({"optional": true});
    }
}

/// The tarball of a version that has a shrinkwrap: npm looks at no others.
fn tarball(packages: &BTreeMap<String, Value>, path: &str) -> Option<Vec<u8>> {
    let all = packages.values().flat_map(|package| package["versions"].as_object().unwrap().values());
    let object = all.into_iter().find(|object| {
        object["dist"]["tarball"]
            .as_str()
            .is_some_and(|address| address.strip_prefix(TARBALLS) == path.get(1..))
    });
    let object = object.filter(|object| object["shrinkwrap"].is_object())?;
    let mut builder =
        tar::Builder::new(flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast()));
    for (name, text) in [("package.json", object), ("npm-shrinkwrap.json", &object["shrinkwrap"])] {
        let text = text.to_string();
        let mut header = tar::Header::new_ustar();
        header.set_size(text.len() as u64);
        builder.append_data(&mut header, format!("package/{name}"), text.as_bytes()).unwrap();
    }
    Some(builder.into_inner().unwrap().finish().unwrap())
}

/// A registry on loopback that lives as long as this process; its address.
fn serve(packages: BTreeMap<String, Value>) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = format!("http://{}/", listener.local_addr().unwrap());
    let own = address.clone();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let Ok(mut stream) = stream else { continue };
            let lines = BufReader::new(stream.try_clone().unwrap()).lines();
            let head: Vec<String> = lines.map_while(Result::ok).take_while(|line| !line.is_empty()).collect();
            let path = head.first().and_then(|line| line.split(' ').nth(1)).unwrap_or("/").to_owned();
            let found = packages.get(path.trim_start_matches('/'));
            let (status, body) = match (found, tarball(&packages, &path)) {
                (Some(package), _) => ("200 OK", package.to_string().replace(TARBALLS, &own).into_bytes()),
                (None, Some(tarball)) => ("200 OK", tarball),
                (None, None) => ("404 Not Found", b"{}".to_vec()),
            };
            let _ = write!(
                stream,
                "HTTP/1.1 {status}\r\ncontent-type: application/json\r\ncontent-length: {}\r\nconnection: close\r\n\r\n",
                body.len()
            );
            let _ = stream.write_all(&body);
        }
    });
    address
}
