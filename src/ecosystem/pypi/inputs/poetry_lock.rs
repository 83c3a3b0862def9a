//! `poetry.lock`: packages with the names and checksums of their files, and, in newer ones, groups and markers.

use std::collections::BTreeMap;

use serde::Deserialize;

use super::lock::{Edge, File, Hash, Lock, Origin, Owner, Package, file_name};
use super::{read_toml, unreadable};
use crate::ecosystem::pypi::marker::Marker;
use crate::ecosystem::pypi::name::Name;
use crate::ecosystem::pypi::version::Version;
use crate::problem::Problem;

#[derive(Deserialize)]
struct Document {
    #[serde(default)]
    package: Vec<Written>,
    #[serde(default)]
    extras: BTreeMap<String, Vec<String>>,
    #[serde(default)]
    metadata: Metadata,
}

#[derive(Deserialize, Default)]
struct Metadata {
    /// Before lockfiles of version 2 the files stood here, by package.
    #[serde(default)]
    files: BTreeMap<String, Vec<WrittenFile>>,
}

#[derive(Deserialize)]
struct Written {
    name: String,
    version: String,
    #[serde(default)]
    optional: bool,
    groups: Option<Vec<String>>,
    markers: Option<Markers>,
    #[serde(default)]
    files: Vec<WrittenFile>,
    source: Option<Source>,
}

/// One marker for all groups of a package, or one for each.
#[derive(Deserialize)]
#[serde(untagged)]
enum Markers {
    All(String),
    Groups(BTreeMap<String, String>),
}

#[derive(Deserialize, Clone)]
struct WrittenFile {
    file: String,
    hash: String,
}

#[derive(Deserialize)]
struct Source {
    #[serde(rename = "type")]
    kind: String,
    url: String,
    resolved_reference: Option<String>,
}

/// The group that every project has.
const MAIN: &str = "main";

/// Reads a lockfile of any version.
///
/// # Errors
/// If it is damaged.
pub(crate) fn parse(text: &str, place: &str) -> Result<Lock, Problem> {
    let document: Document = read_toml(text, place)?;
    let unreadable = unreadable(place);
    let mut lock = Lock::default();
    // Poetry writes what Pythons it is for in a form of its own, and every package's markers say it again.
    for extra in document.extras.keys() {
        lock.extras.push(Name::parse(extra).map_err(&unreadable)?);
    }
    for written in document.package {
        let number = lock.packages.len();
        let groups = written.groups.clone().unwrap_or_else(|| vec![MAIN.to_owned()]);
        for group in &groups {
            let marker = match &written.markers {
                Some(Markers::All(marker)) => Some(marker.as_str()),
                Some(Markers::Groups(markers)) => markers.get(group).map(String::as_str),
                None => None,
            };
            let marker = marker.map(Marker::parse).transpose().map_err(&unreadable)?;
            let of = if group == MAIN {
                Owner::Package
            } else {
                Owner::Group(Name::parse(group).map_err(&unreadable)?)
            };
            let edge = Edge { of: of.clone(), marker, ..Edge::to(number) };
            if written.optional && edge.marker.is_none() && of == Owner::Package {
                // Older ones do not say for which extra; with any, it may be needed.
                let any =
                    lock.extras.iter().map(|extra| Edge { of: Owner::Extra(extra.clone()), ..edge.clone() });
                lock.roots.extend(any);
            } else {
                lock.roots.push(edge);
            }
            if let Owner::Group(group) = of {
                lock.groups.push(group);
            }
        }
        let older = document.metadata.files.get(&written.name).cloned().unwrap_or_default();
        lock.packages.push(package(written, older, place)?);
    }
    lock.groups.sort();
    lock.groups.dedup();
    lock.default_groups = lock.groups.clone();
    Ok(lock)
}

fn package(written: Written, older: Vec<WrittenFile>, place: &str) -> Result<Package, Problem> {
    let unreadable = unreadable(place);
    let origin = match &written.source {
        None => Origin::Index(None),
        Some(source) => match source.kind.as_str() {
            "git" => {
                let reference = source.resolved_reference.as_deref().unwrap_or_default();
                Origin::Repository(format!("{}@{reference}", source.url))
            }
            "url" => Origin::Url(source.url.clone()),
            "file" | "directory" => Origin::Local(source.url.clone()),
            _ => Origin::Index(Some(source.url.clone())),
        },
    };
    let mut files = Vec::new();
    for file in written.files.into_iter().chain(older) {
        let hashes = vec![Hash::parse(&file.hash).map_err(&unreadable)?];
        files.push(File { name: file_name(&file.file), url: None, size: None, hashes });
    }
    let name = Name::parse(&written.name).map_err(&unreadable)?;
    let version = Version::parse(&written.version);
    Ok(Package { name, version, origin, files, hashes: Vec::new(), edges: Vec::new() })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ecosystem::pypi::marker::Chosen;
    use crate::ecosystem::pypi::target::Target;

    const NEWER: &str = r#"
        [[package]]
        name = "A"
        version = "1.0"
        optional = false
        python-versions = ">=3.9"
        groups = ["main", "dev"]
        markers = { main = "sys_platform == 'win32'" }
        files = [{ file = "A-1.0-py3-none-any.whl", hash = "sha256:0000000000000000000000000000000000000000000000000000000000000000" }]
        [package.dependencies]
        b = ">=1"
        [[package]]
        name = "b"
        version = "2"
        optional = true
        groups = ["main"]
        markers = "extra == \"fast\""
        files = []
        [package.source]
        type = "legacy"
        url = "https://index.example.test/simple"
        reference = "ours"
        [[package]]
        name = "c"
        version = "3"
        optional = false
        groups = ["main"]
        files = []
        [package.source]
        type = "git"
        url = "https://git.example.test/c.git"
        reference = "main"
        resolved_reference = "abc"
        [extras]
        fast = ["b"]
        [metadata]
        lock-version = "2.1"
        python-versions = ">=3.9,<4.0"
    "#;

    const OLDER: &str = r#"
        [[package]]
        name = "a"
        version = "1.0"
        category = "main"
        optional = false
        [[package]]
        name = "b"
        version = "1.0"
        optional = true
        [extras]
        fast = ["b"]
        [metadata.files]
        a = [{ file = "a-1.0.tar.gz", hash = "sha256:0000000000000000000000000000000000000000000000000000000000000000" }]
        b = []
    "#;

    fn names(lock: &Lock, target: &str, extras: &[Name], groups: &[Name]) -> Vec<String> {
        let packages = lock.packages_for(&Target::parse(target).unwrap(), Chosen { extras, groups });
        packages.iter().map(|package| package.name.to_string()).collect()
    }

    #[test]
    fn groups_and_markers_say_what_a_target_needs() {
        let lock = parse(NEWER, "poetry.lock").unwrap();
        assert_eq!(names(&lock, "cp312-linux-x86_64", &[], &[]), ["c"]);
        assert_eq!(names(&lock, "cp312-win_amd64", &[], &[]), ["a", "c"]);
        assert_eq!(names(&lock, "cp312-linux-x86_64", &lock.extras, &lock.groups), ["a", "b", "c"]);
        assert_eq!(lock.packages[0].files[0].name, "A-1.0-py3-none-any.whl");
        assert_eq!(
            lock.packages[1].origin,
            Origin::Index(Some("https://index.example.test/simple".to_owned()))
        );
        assert_eq!(
            lock.packages[2].origin,
            Origin::Repository("https://git.example.test/c.git@abc".to_owned())
        );
    }

    #[test]
    fn older_lockfiles_are_read_too() {
        let lock = parse(OLDER, "poetry.lock").unwrap();
        assert_eq!(names(&lock, "cp312-linux-x86_64", &[], &[]), ["a"]);
        assert_eq!(names(&lock, "cp312-linux-x86_64", &lock.extras, &[]), ["a", "b"]);
        assert_eq!(lock.packages[0].files[0].name, "a-1.0.tar.gz");
        assert!(parse(&OLDER.replace("sha256:", "sha0:"), "poetry.lock").is_err());
        assert!(parse("[[package]]", "poetry.lock").is_err());
    }
}
