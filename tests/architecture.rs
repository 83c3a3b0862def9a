//! The house is what ARCHITECTURE.md says: who may use whom, and which room alone may do a thing.
//!
//! Tests are free; what is held here is the program. A new room has to be written into [`ROOMS`].

#![expect(clippy::unwrap_used, reason = "a test that cannot read the house fails")]

#[path = "architecture/source.rs"]
mod source;

use std::collections::BTreeSet;
use std::path::Path;

use source::Source;

/// Each room of `src/`, and the rooms it may use.
const ROOMS: &[(&str, &str)] = &[
    // What every room needs.
    ("problem", ""),
    ("units", ""),
    ("access", "units"),
    ("clock", ""),
    ("fsx", "units"),
    ("findings", ""),
    ("settings", "problem"),
    ("cancel", "problem"),
    ("blocking", "problem"),
    ("spill", "fsx problem"),
    ("events", "clock findings problem"),
    ("config", "access findings fsx problem settings units"),
    // The rooms that know nothing of the verbs.
    ("protocol", ""),
    ("net", "clock problem units"),
    ("store", "blocking clock fsx problem"),
    ("trust", "access clock fsx problem store"),
    ("ecosystem", "access blocking clock events findings net problem protocol settings spill store units"),
    ("http_server", "access blocking clock ecosystem problem store trust"),
    // The verbs.
    (
        "ops",
        "access blocking cancel clock config ecosystem events findings fsx http_server net problem settings spill store trust units",
    ),
    (
        "demo",
        "access blocking cancel clock config ecosystem events fsx http_server net ops problem store trust units",
    ),
    (
        "cli",
        "access blocking cancel clock config demo ecosystem events findings fsx http_server net ops problem settings store trust units",
    ),
];

/// What only one place may name, and where that is. Paths match by whole segments, from their beginning.
const ALONE: &[(&str, &[&str])] = &[
    // Cryptography. Hashing is no secret: whoever names a blob asks `bundle_format`.
    ("ed25519_dalek", &["src/trust/crypto.rs"]),
    (
        "aws_lc_rs",
        &["src/trust/crypto.rs", "src/protocol/ecdsa.rs", "src/protocol/openpgp", "src/protocol/sigstore"],
    ),
    ("x509_parser", &["src/protocol/sigstore"]),
    ("bcrypt", &["src/trust/crypto.rs"]),
    ("pkcs8", &["src/trust/crypto.rs"]),
    // It issues certificates by its own calls of the same library.
    ("rcgen", &["src/trust/site_authority.rs", "src/protocol/sigstore/made.rs"]),
    ("sha1", &["src/store/hashes.rs"]),
    ("sha2", &["src/store/hashes.rs"]),
    // The catalogue.
    ("rusqlite", &["src/store/sqlite/"]),
    // The network: one client, one server.
    ("reqwest", &["src/net/"]),
    ("rustls", &["src/net/", "src/http_server/tls.rs"]),
    ("tokio_rustls", &["src/http_server/tls.rs"]),
    ("hyper", &["src/http_server/"]),
    ("hyper_util", &["src/http_server/"]),
    ("tokio::net", &["src/http_server/", "src/ops/serve.rs"]),
    ("std::net::TcpStream", &[]),
    // The command line.
    ("clap", &["src/cli/"]),
    ("spdx", &["src/ops/sbom"]),
    ("clap_complete", &["src/cli/"]),
    ("indicatif", &["src/cli/"]),
    ("print!", &["src/cli/"]),
    ("println!", &["src/cli/"]),
    ("eprint!", &["src/cli/"]),
    ("eprintln!", &["src/cli/"]),
    ("dbg!", &[]),
    ("std::process::exit", &["src/cli/"]),
    // Configuration and the clock.
    // Podman's configuration is TOML as well, and so are Python's lockfiles.
    ("toml_edit", &["src/config/"]),
    ("toml", &["src/config/", "src/ecosystem/oci/registries_conf.rs", "src/ecosystem/pypi/inputs/"]),
    ("std::env::var", &["src/config/environment.rs", "src/fsx/faults.rs"]),
    ("std::env::var_os", &["src/config/environment.rs"]),
    ("std::env::vars", &["src/config/environment.rs"]),
    ("std::env::vars_os", &["src/config/environment.rs"]),
    ("std::time::SystemTime::now", &["src/clock.rs"]),
    ("std::time::Instant::now", &["src/clock.rs"]),
    ("jiff::Timestamp::now", &["src/clock.rs"]),
    ("jiff::Zoned", &[]),
    // Every write of a file.
    ("std::fs::OpenOptions", &["src/fsx"]),
    ("std::fs::DirBuilder", &["src/fsx"]),
    ("std::fs::File::create", &["src/fsx"]),
    ("std::fs::File::create_new", &["src/fsx"]),
    ("std::fs::copy", &["src/fsx"]),
    ("std::fs::create_dir", &["src/fsx"]),
    ("std::fs::create_dir_all", &["src/fsx"]),
    ("std::fs::hard_link", &["src/fsx"]),
    ("std::fs::remove_dir", &["src/fsx"]),
    ("std::fs::remove_dir_all", &["src/fsx"]),
    ("std::fs::remove_file", &["src/fsx"]),
    ("std::fs::rename", &["src/fsx"]),
    ("std::fs::set_permissions", &["src/fsx"]),
    ("std::fs::write", &["src/fsx"]),
    ("tokio::fs", &[]),
];

/// Files longer than this are two ideas.
const LONGEST: usize = 600;

/// The crates that the format may need, so that others can take it as it is.
const FORMAT_NEEDS: &[&str] = &["base64", "reed-solomon-simd", "serde", "serde_json", "sha2", "thiserror"];

/// Everything that is not as it should be, one line each.
fn findings(sources: &[Source], ecosystems: &[String]) -> Vec<String> {
    let tests: BTreeSet<Vec<String>> = sources
        .iter()
        .flat_map(|source| {
            source.test_modules.iter().map(|name| [source.module(), vec![name.clone()]].concat())
        })
        .collect();
    let is_test = |module: &[String]| tests.iter().any(|test| module.starts_with(test));
    let mut findings = Vec::new();
    for source in sources {
        let path = &source.path;
        if source.lines > LONGEST {
            findings.push(format!("{path} has {} lines; {LONGEST} are enough for one idea", source.lines));
        }
        let module = source.module();
        if !path.starts_with("src/") || is_test(&module) {
            continue;
        }
        if let Some(room) = module.first() {
            match ROOMS.iter().find(|(name, _)| name == room) {
                None => findings.push(format!("{path}: the room {room} is not in the table of rooms")),
                Some((_, uses)) => findings.extend(arrows(source, room, uses)),
            }
        }
        findings.extend(blindness(source, &module, ecosystems));
        for (name, places) in ALONE {
            let named = source.names.iter().any(|used| is_below(used, name));
            if named && !places.iter().any(|place| path.starts_with(place)) {
                findings.push(format!("{path} names {name}, which is for {places:?} alone"));
            }
        }
    }
    findings.sort();
    findings.dedup();
    findings
}

/// The rooms that a file uses and may not.
fn arrows(source: &Source, room: &str, uses: &str) -> Vec<String> {
    let used = source.names.iter().filter_map(|name| name.strip_prefix("crate::")?.split("::").next());
    let known = |name: &&str| ROOMS.iter().any(|(room, _)| room == name);
    used.filter(|used| *used != room && known(used) && !uses.split(' ').any(|one| one == *used))
        .map(|used| format!("{}: {room} may not use {used}", source.path))
        .collect()
}

/// No ecosystem is known by name, neither to another one nor to the rooms that are blind to them: what each is told
/// by, its folder and its feature, stands in the list and in the one `mod` line.
fn blindness(source: &Source, module: &[String], ecosystems: &[String]) -> Vec<String> {
    let own = match module {
        [room] if room == "ecosystem" => return Vec::new(),
        [room, folder, ..] if room == "ecosystem" => folder.as_str(),
        _ => "",
    };
    if own == "registry" {
        return Vec::new();
    }
    let mut findings = Vec::new();
    for other in ecosystems {
        let folder = format!("crate::ecosystem::{other}");
        if other != own && source.names.iter().any(|name| is_below(name, &folder)) {
            findings.push(format!("{} names the ecosystem {other}", source.path));
        }
        if source.features.contains(other) {
            findings.push(format!("{} asks whether {other} is built in", source.path));
        }
    }
    if !own.is_empty() && source.names.iter().any(|name| is_below(name, "crate::ecosystem::registry")) {
        findings.push(format!("{} asks for the list of ecosystems", source.path));
    }
    findings
}

fn is_below(name: &str, prefix: &str) -> bool {
    name.strip_prefix(prefix).is_some_and(|rest| rest.is_empty() || rest.starts_with("::"))
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Every Rust file below a folder of the repository.
fn read_all(folder: &str, into: &mut Vec<Source>) {
    for entry in std::fs::read_dir(root().join(folder)).unwrap() {
        let entry = entry.unwrap();
        let path = format!("{folder}/{}", entry.file_name().to_str().unwrap());
        if entry.file_type().unwrap().is_dir() {
            read_all(&path, into);
        } else if path.ends_with(".rs") {
            into.push(Source::read(&path, &std::fs::read_to_string(root().join(&path)).unwrap()));
        }
    }
}

/// The ecosystems: the folders of their room.
fn ecosystems() -> Vec<String> {
    let entries = std::fs::read_dir(root().join("src/ecosystem")).unwrap().map(Result::unwrap);
    let folders = entries.filter(|entry| entry.file_type().unwrap().is_dir());
    let mut names: Vec<_> = folders.map(|folder| folder.file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

#[test]
fn every_arrow_points_down() {
    let mut sources = Vec::new();
    for folder in
        ["src", "tests", "examples", "bundle-format/src", "bundle-format/tests", "bundle-format/examples"]
    {
        read_all(folder, &mut sources);
    }
    assert!(sources.len() > 100, "only {} files were read", sources.len());
    let findings = findings(&sources, &ecosystems());
    assert!(findings.is_empty(), "the house is not as planned:\n{}", findings.join("\n"));
}

#[test]
fn every_room_is_there() {
    let map = std::fs::read_to_string(root().join("ARCHITECTURE.md")).unwrap();
    for (room, uses) in ROOMS {
        assert!(
            map.contains(&format!("{room}/")) || map.contains(&format!("{room}.rs")),
            "{room} is not on the map"
        );
        let there =
            [format!("src/{room}"), format!("src/{room}.rs")].iter().any(|path| root().join(path).exists());
        assert!(there, "there is no room {room}");
        for used in uses.split(' ').filter(|used| !used.is_empty()) {
            let place = |name: &str| ROOMS.iter().position(|(room, _)| *room == name);
            assert!(place(used) < place(room), "{room} may not use {used}: it stands above it or is no room");
        }
    }
}

#[test]
fn the_format_stands_alone() {
    let manifest = std::fs::read_to_string(root().join("bundle-format/Cargo.toml")).unwrap();
    let manifest: toml::Table = manifest.parse().unwrap();
    let needs: Vec<_> = manifest["dependencies"].as_table().unwrap().keys().map(String::as_str).collect();
    assert_eq!(needs, FORMAT_NEEDS);
    let mut sources = Vec::new();
    read_all("bundle-format/src", &mut sources);
    for source in sources {
        assert!(
            !source.names.iter().any(|name| is_below(name, "std::net")),
            "{} uses the network",
            source.path
        );
    }
}

#[test]
fn every_ecosystem_is_a_feature_and_one_line() {
    let manifest = std::fs::read_to_string(root().join("Cargo.toml")).unwrap();
    let manifest: toml::Table = manifest.parse().unwrap();
    let features = manifest["features"].as_table().unwrap();
    let list = Source::read(
        "src/ecosystem/registry.rs",
        &std::fs::read_to_string(root().join("src/ecosystem/registry.rs")).unwrap(),
    );
    for name in ecosystems() {
        assert!(features.contains_key(&name), "the ecosystem {name} has no cargo feature");
        assert_eq!(list.features.iter().filter(|feature| **feature == name).count(), 1, "{name} in the list");
    }
}

/// The test itself is tested: each of these breaks one arrow, and is found.
#[test]
fn a_broken_arrow_is_found() {
    let ecosystems = ["apt".to_owned(), "npm".to_owned()];
    let found = |path: &str, text: &str| findings(&[Source::read(path, text)], &ecosystems);
    for (path, text, finding) in [
        ("src/store/disk.rs", "use crate::ops::check;", "store may not use ops"),
        ("src/store/disk.rs", "use super::super::{fsx, cli::output};", "store may not use cli"),
        ("src/net/client.rs", "fn f() { crate::http_server::serve(); }", "net may not use http_server"),
        ("src/trust/mod.rs", "use crate::{\n    clock,\n    ops::{import},\n};", "trust may not use ops"),
        ("src/events.rs", "pub struct E(crate::ecosystem::Gap);", "events may not use ecosystem"),
        ("src/ecosystem/npm/serve.rs", "use crate::http_server::Body;", "ecosystem may not use http_server"),
        ("src/ecosystem/npm/serve.rs", "use super::super::apt::Deb;", "names the ecosystem apt"),
        ("src/ecosystem/npm/mod.rs", "use super::registry;", "asks for the list"),
        ("src/ops/import.rs", "use crate::ecosystem::npm;", "names the ecosystem npm"),
        ("src/ops/import.rs", "#[cfg(feature = \"npm\")]\nfn f() {}", "asks whether npm is built in"),
        ("src/attic/mod.rs", "", "not in the table of rooms"),
        ("src/ops/import.rs", "use sha2::Digest as _;", "names sha2"),
        ("src/trust/key.rs", "use ed25519_dalek::{Signature, SigningKey};", "names ed25519_dalek"),
        ("src/ops/import.rs", "fn f() { println!(); }", "names println!"),
        (
            "src/ops/import.rs",
            "use std::time::{Duration, Instant};\nfn f() { Instant::now(); }",
            "Instant::now",
        ),
        ("src/store/disk.rs", "use std::fs;\nfn f() { fs::rename(a, b); }", "names std::fs::rename"),
        ("src/ops/serve.rs", "fn f() { std::env::var(\"HOME\"); }", "names std::env::var"),
        ("src/store/memory.rs", "use rusqlite::Connection;", "names rusqlite"),
        ("src/ops/import.rs", &"\n".repeat(LONGEST + 1), "lines"),
    ] {
        let findings = found(path, text);
        assert!(findings.len() == 1 && findings[0].contains(finding), "{path} {text:?}: {findings:?}");
    }
    assert!(found("src/ops/import.rs", "use crate::{store, ecosystem::registry};").is_empty());
    assert!(found("src/ops/import.rs", "#[cfg(test)]\nmod tests { use sha2::Digest; }").is_empty());
}
