//! `pdm.lock`: packages by groups, with markers where PDM was told to keep them.

use std::collections::HashMap;

use serde::Deserialize;

use super::lock::{Edge, File, Hash, Lock, Origin, Owner, Package, file_name};
use super::{damaged, read_toml, unreadable};
use crate::ecosystem::pypi::marker::Marker;
use crate::ecosystem::pypi::name::Name;
use crate::ecosystem::pypi::version::Version;
use crate::problem::Problem;

#[derive(Deserialize)]
struct Document {
    metadata: Metadata,
    #[serde(default)]
    package: Vec<Written>,
}

#[derive(Deserialize)]
struct Metadata {
    lock_version: String,
}

#[derive(Deserialize)]
struct Written {
    name: String,
    version: Option<String>,
    #[serde(default)]
    groups: Vec<String>,
    marker: Option<String>,
    url: Option<String>,
    path: Option<String>,
    git: Option<String>,
    revision: Option<String>,
    #[serde(default)]
    files: Vec<WrittenFile>,
}

#[derive(Deserialize)]
struct WrittenFile {
    file: Option<String>,
    url: Option<String>,
    hash: String,
}

/// The group that every project has.
const DEFAULT: &str = "default";

/// Reads a lockfile.
///
/// # Errors
/// If it is damaged, or older than version 4, which had the files elsewhere.
pub(crate) fn parse(text: &str, place: &str) -> Result<Lock, Problem> {
    let document: Document = read_toml(text, place)?;
    if document.metadata.lock_version.split('.').next() != Some("4") {
        let why = format!("it is of version {}, and versions 4.x are read", document.metadata.lock_version);
        return Err(damaged(place, why).hint("PDM writes a newer one with: pdm lock"));
    }
    let unreadable = unreadable(place);
    let mut lock = Lock::default();
    let mut known: HashMap<(Name, Option<Version>), usize> = HashMap::new();
    for written in document.package {
        let marker = written.marker.as_deref().map(Marker::parse).transpose().map_err(&unreadable)?;
        let groups =
            if written.groups.is_empty() { vec![DEFAULT.to_owned()] } else { written.groups.clone() };
        let package = package(written, place)?;
        // With extras it stands there once more, with the same files.
        let key = (package.name.clone(), package.version.clone());
        let number = *known.entry(key).or_insert_with(|| {
            lock.packages.push(package);
            lock.packages.len() - 1
        });
        for group in groups {
            let of = match group.as_str() {
                DEFAULT => Owner::Package,
                group => Owner::Group(Name::parse(group).map_err(&unreadable)?),
            };
            if let Owner::Group(group) = &of {
                lock.groups.push(group.clone());
            }
            lock.roots.push(Edge { of, marker: marker.clone(), ..Edge::to(number) });
        }
    }
    lock.groups.sort();
    lock.groups.dedup();
    Ok(lock)
}

fn package(written: Written, place: &str) -> Result<Package, Problem> {
    let unreadable = unreadable(place);
    let origin = match (written.git, written.url, written.path) {
        (Some(git), ..) => Origin::Repository(format!("{git}@{}", written.revision.unwrap_or_default())),
        (_, Some(url), _) => Origin::Url(url),
        (.., Some(path)) => Origin::Local(path),
        _ => Origin::Index(None),
    };
    let mut files = Vec::new();
    for file in written.files {
        let named = file.file.or_else(|| file.url.as_deref().map(file_name));
        let name = named.ok_or_else(|| damaged(place, format!("a file of {} has no name", written.name)))?;
        let hashes = vec![Hash::parse(&file.hash).map_err(&unreadable)?];
        files.push(File { name, url: file.url, size: None, hashes });
    }
    let name = Name::parse(&written.name).map_err(&unreadable)?;
    let version = written.version.as_deref().and_then(Version::parse);
    Ok(Package { name, version, origin, files, hashes: Vec::new(), edges: Vec::new() })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ecosystem::pypi::marker::Chosen;
    use crate::ecosystem::pypi::target::Target;

    const TEXT: &str = r#"
        [metadata]
        groups = ["default", "dev"]
        strategy = ["inherit_metadata"]
        lock_version = "4.5.0"
        [[metadata.targets]]
        requires_python = ">=3.9"
        [[package]]
        name = "a"
        version = "1.0"
        groups = ["default"]
        marker = "python_version < \"4\" and sys_platform == \"linux\""
        files = [{ file = "a-1.0.tar.gz", hash = "sha256:0000000000000000000000000000000000000000000000000000000000000000" }]
        [[package]]
        name = "a"
        version = "1.0"
        extras = ["x"]
        groups = ["dev"]
        dependencies = ["a==1.0"]
        files = [{ url = "https://files.example.test/a-1.0.tar.gz", hash = "sha256:0000000000000000000000000000000000000000000000000000000000000000" }]
        [[package]]
        name = "b"
        version = "2.0"
        git = "https://git.example.test/b.git"
        ref = "main"
        revision = "abc"
    "#;

    #[test]
    fn groups_and_markers_say_what_a_target_needs() {
        let lock = parse(TEXT, "pdm.lock").unwrap();
        let names = |target: &str, groups: &[Name]| -> Vec<_> {
            let packages = lock.packages_for(&Target::parse(target).unwrap(), Chosen { extras: &[], groups });
            packages.iter().map(|package| package.name.to_string()).collect()
        };
        assert_eq!(names("cp312-linux-x86_64", &[]), ["a", "b"]);
        assert_eq!(names("cp312-win_amd64", &[]), ["b"]);
        assert_eq!(names("cp312-win_amd64", &lock.groups), ["a", "b"]);
        assert_eq!(lock.packages.len(), 2);
        assert_eq!(
            lock.packages[1].origin,
            Origin::Repository("https://git.example.test/b.git@abc".to_owned())
        );
        for (from, to) in [("4.5.0", "3.1"), ("sha256:", "x"), ("[metadata]", "[other]")] {
            assert!(parse(&TEXT.replace(from, to), "pdm.lock").is_err(), "{to}");
        }
    }
}
