//! `Pipfile.lock`: versions and checksums, which do not say of which files they are.

use std::collections::BTreeMap;

use serde::Deserialize;

use super::lock::{Edge, Hash, Lock, Origin, Owner, Package};
use super::{damaged, unreadable};
use crate::ecosystem::pypi::marker::Marker;
use crate::ecosystem::pypi::name::Name;
use crate::ecosystem::pypi::specifier::Specifiers;
use crate::problem::Problem;

#[derive(Deserialize)]
struct Document {
    #[serde(rename = "_meta")]
    meta: Meta,
    /// The categories: `default`, `develop`, and what people call others.
    #[serde(flatten)]
    categories: BTreeMap<String, BTreeMap<String, Written>>,
}

#[derive(Deserialize)]
struct Meta {
    #[serde(default)]
    sources: Vec<Source>,
}

#[derive(Deserialize)]
struct Source {
    name: String,
    url: String,
}

#[derive(Deserialize)]
struct Written {
    version: Option<String>,
    markers: Option<String>,
    index: Option<String>,
    #[serde(default)]
    hashes: Vec<String>,
    git: Option<String>,
    #[serde(rename = "ref")]
    reference: Option<String>,
    file: Option<String>,
    path: Option<String>,
}

/// The category that every project has.
const DEFAULT: &str = "default";

/// Reads a lockfile.
///
/// # Errors
/// If it is damaged.
pub(crate) fn parse(text: &str, place: &str) -> Result<Lock, Problem> {
    let document: Document = serde_json::from_str(text)
        .map_err(|error| damaged(place, error.to_string()).at(format_args!("{place}:{}", error.line())))?;
    let unreadable = unreadable(place);
    let indexes = document.meta.sources.into_iter().map(|source| (source.name, source.url)).collect();
    let mut lock = Lock { indexes, ..Lock::default() };
    for (category, packages) in document.categories {
        let of = match category.as_str() {
            DEFAULT => Owner::Package,
            category => Owner::Group(Name::parse(category).map_err(&unreadable)?),
        };
        for (name, written) in packages {
            let marker = written.markers.as_deref().map(Marker::parse).transpose().map_err(&unreadable)?;
            lock.roots.push(Edge { of: of.clone(), marker, ..Edge::to(lock.packages.len()) });
            lock.packages.push(package(&name, written, place)?);
        }
        if let Owner::Group(group) = of {
            lock.groups.push(group);
        }
    }
    Ok(lock)
}

fn package(name: &str, written: Written, place: &str) -> Result<Package, Problem> {
    let unreadable = unreadable(place);
    let specifiers = written.version.as_deref().map(Specifiers::parse).transpose().map_err(&unreadable)?;
    let version = specifiers.and_then(|specifiers| specifiers.pinned().next().cloned());
    let origin = match (written.git, written.file, written.path) {
        (Some(git), ..) => Origin::Repository(format!("{git}@{}", written.reference.unwrap_or_default())),
        (_, Some(file), _) if file.contains("://") => Origin::Url(file),
        (_, Some(path), _) | (.., Some(path)) => Origin::Local(path),
        _ => Origin::Index(written.index),
    };
    if version.is_none() && matches!(origin, Origin::Index(_)) {
        return Err(damaged(place, format!("{name} has no version in it")));
    }
    let hashes = written.hashes.iter().map(|hash| Hash::parse(hash)).collect::<Result<_, _>>();
    let hashes = hashes.map_err(&unreadable)?;
    let name = Name::parse(name).map_err(&unreadable)?;
    Ok(Package { name, version, origin, files: Vec::new(), hashes, edges: Vec::new() })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ecosystem::pypi::marker::Chosen;
    use crate::ecosystem::pypi::target::Target;

    const TEXT: &str = r#"{
        "_meta": {
            "hash": {"sha256": "x"}, "pipfile-spec": 6, "requires": {"python_version": "3.12"},
            "sources": [{"name": "ours", "url": "https://index.example.test/simple", "verify_ssl": true}]
        },
        "default": {
            "a": {"hashes": ["sha256:0000000000000000000000000000000000000000000000000000000000000000"], "index": "ours", "version": "==1.0"},
            "b": {"markers": "sys_platform == 'win32'", "version": "==2.0"},
            "c": {"git": "https://git.example.test/c.git", "ref": "abc"}
        },
        "develop": {"d": {"version": "==3", "extras": ["x"]}}
    }"#;

    #[test]
    fn categories_and_markers_say_what_a_target_needs() {
        let lock = parse(TEXT, "Pipfile.lock").unwrap();
        let names = |target: &str, groups: &[Name]| -> Vec<_> {
            let packages = lock.packages_for(&Target::parse(target).unwrap(), Chosen { extras: &[], groups });
            packages.iter().map(|package| package.name.to_string()).collect()
        };
        assert_eq!(names("cp312-linux-x86_64", &[]), ["a", "c"]);
        assert_eq!(names("cp312-win_amd64", &lock.groups), ["a", "b", "c", "d"]);
        assert_eq!(lock.packages[0].version.as_ref().unwrap().to_string(), "1.0");
        assert_eq!(lock.packages[0].hashes.len(), 1);
        assert_eq!(lock.indexes["ours"], "https://index.example.test/simple");
        for (from, to) in [("==1.0", ">=1.0"), ("sha256:", "x"), ("_meta", "meta"), ("\"d\"", "\"d d\"")] {
            assert!(parse(&TEXT.replacen(from, to, 1), "Pipfile.lock").is_err(), "{to}");
        }
        let problem = parse("{\n\"_meta\": ", "Pipfile.lock").unwrap_err();
        assert_eq!(problem.place.as_deref(), Some("Pipfile.lock:2"));
    }
}
