//! `pylock.toml`, the lockfile that all tools may write (PEP 751).

use std::collections::BTreeMap;

use serde::Deserialize;

use super::lock::{Edge, File, Hash, Lock, Origin, Package, file_name};
use super::{damaged, read_toml, unreadable};
use crate::ecosystem::pypi::marker::Marker;
use crate::ecosystem::pypi::name::Name;
use crate::ecosystem::pypi::specifier::Specifiers;
use crate::ecosystem::pypi::version::Version;
use crate::problem::Problem;

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
struct Document {
    lock_version: String,
    #[serde(default)]
    environments: Vec<String>,
    requires_python: Option<String>,
    #[serde(default)]
    extras: Vec<String>,
    #[serde(default)]
    dependency_groups: Vec<String>,
    #[serde(default)]
    default_groups: Vec<String>,
    #[serde(default)]
    packages: Vec<Written>,
}

#[derive(Deserialize)]
struct Written {
    name: String,
    version: Option<String>,
    marker: Option<String>,
    index: Option<String>,
    vcs: Option<Repository>,
    directory: Option<Directory>,
    archive: Option<WrittenFile>,
    sdist: Option<WrittenFile>,
    #[serde(default)]
    wheels: Vec<WrittenFile>,
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
struct Repository {
    url: Option<String>,
    path: Option<String>,
    commit_id: String,
}

#[derive(Deserialize)]
struct Directory {
    path: String,
}

#[derive(Deserialize)]
struct WrittenFile {
    name: Option<String>,
    url: Option<String>,
    path: Option<String>,
    size: Option<u64>,
    #[serde(default)]
    hashes: BTreeMap<String, String>,
}

/// Reads a lockfile.
///
/// # Errors
/// If it is damaged, or of a version to come.
pub(crate) fn parse(text: &str, place: &str) -> Result<Lock, Problem> {
    let document: Document = read_toml(text, place)?;
    if document.lock_version.split('.').next() != Some("1") {
        let why = format!("it is of version {}, and versions 1.x are read", document.lock_version);
        return Err(damaged(place, why));
    }
    let names = |texts: &[String]| {
        texts.iter().map(|text| Name::parse(text)).collect::<Result<Vec<_>, _>>().map_err(unreadable(place))
    };
    let environments = document.environments.iter().map(|text| Marker::parse(text)).collect::<Result<_, _>>();
    let requires_python = document.requires_python.as_deref().map(Specifiers::parse).transpose();
    let mut lock = Lock {
        requires_python: requires_python.map_err(unreadable(place))?,
        environments: environments.map_err(unreadable(place))?,
        extras: names(&document.extras)?,
        groups: names(&document.dependency_groups)?,
        default_groups: names(&document.default_groups)?,
        ..Lock::default()
    };
    for written in document.packages {
        let marker = written.marker.as_deref().map(Marker::parse).transpose().map_err(unreadable(place))?;
        lock.roots.push(Edge { marker, ..Edge::to(lock.packages.len()) });
        lock.packages.push(package(written, place)?);
    }
    Ok(lock)
}

fn package(written: Written, place: &str) -> Result<Package, Problem> {
    let version = written.version.as_deref().and_then(Version::parse);
    let origin = if let Some(vcs) = written.vcs {
        let at = vcs.url.or(vcs.path).unwrap_or_default();
        Origin::Repository(format!("{at}@{}", vcs.commit_id))
    } else if let Some(directory) = written.directory {
        Origin::Local(directory.path)
    } else if let Some(archive) = &written.archive {
        match (&archive.url, &archive.path) {
            (Some(url), _) => Origin::Url(url.clone()),
            (None, path) => Origin::Local(path.clone().unwrap_or_default()),
        }
    } else {
        Origin::Index(written.index)
    };
    let mut files = Vec::new();
    for file in written.wheels.into_iter().chain(written.sdist).chain(written.archive) {
        let named = file.url.as_deref().or(file.path.as_deref()).map(file_name);
        let name = file
            .name
            .or(named)
            .ok_or_else(|| damaged(place, format!("a file of {} has no name", written.name)))?;
        // A checksum of an algorithm to come is as good as none; the others are there for that.
        let hashes = file.hashes.iter().filter_map(|(algorithm, hex)| Hash::new(algorithm, hex)).collect();
        files.push(File { name, url: file.url, size: file.size, hashes });
    }
    let name = Name::parse(&written.name).map_err(unreadable(place))?;
    Ok(Package { name, version, origin, files, hashes: Vec::new(), edges: Vec::new() })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ecosystem::pypi::marker::Chosen;
    use crate::ecosystem::pypi::target::Target;

    const TEXT: &str = r#"
        lock-version = "1.0"
        environments = ["sys_platform == 'linux'"]
        requires-python = ">=3.9"
        extras = ["fast"]
        dependency-groups = ["dev"]
        created-by = "a tool"
        [[packages]]
        name = "A.b"
        version = "1.0"
        index = "https://index.example.test/simple"
        wheels = [{ name = "a_b-1.0-py3-none-any.whl", url = "https://files.example.test/a_b-1.0-py3-none-any.whl", size = 3, hashes = { sha256 = "0000000000000000000000000000000000000000000000000000000000000000", new = "x" } }]
        sdist = { url = "https://files.example.test/a_b-1.0.tar.gz", hashes = {} }
        [[packages]]
        name = "c"
        marker = "'fast' in extras or 'dev' in dependency_groups"
        vcs = { type = "git", url = "https://git.example.test/c.git", commit-id = "abc" }
        [[packages]]
        name = "d"
        marker = "sys_platform == 'win32'"
        directory = { path = "../d" }
        [[packages]]
        name = "e"
        archive = { url = "https://files.example.test/e.zip", hashes = {} }
    "#;

    #[test]
    fn markers_say_what_a_target_needs() {
        let lock = parse(TEXT, "pylock.toml").unwrap();
        let target = Target::parse("cp312-linux-x86_64").unwrap();
        let names = |extras: &[Name], groups: &[Name]| -> Vec<_> {
            let packages = lock.packages_for(&target, Chosen { extras, groups });
            packages.iter().map(|package| package.name.to_string()).collect()
        };
        assert_eq!(names(&[], &[]), ["a-b", "e"]);
        assert_eq!(names(&lock.extras, &[]), ["a-b", "c", "e"]);
        assert_eq!(names(&[], &lock.groups), ["a-b", "c", "e"]);
        assert!(lock.is_for(&target));
        assert!(!lock.is_for(&Target::parse("cp312-win_amd64").unwrap()));
        assert!(!lock.is_for(&Target::parse("cp38-linux-x86_64").unwrap()));
        let files: Vec<_> =
            lock.packages[0].files.iter().map(|file| (file.name.as_str(), file.hashes.len())).collect();
        assert_eq!(files, [("a_b-1.0-py3-none-any.whl", 1), ("a_b-1.0.tar.gz", 0)]);
        assert_eq!(
            lock.packages[1].origin,
            Origin::Repository("https://git.example.test/c.git@abc".to_owned())
        );
        assert_eq!(lock.packages[3].files[0].name, "e.zip");
    }

    #[test]
    fn what_is_wrong_is_said() {
        for (text, why) in [
            ("lock-version = '2.0'", "version 2.0"),
            ("", "lock-version"),
            ("lock-version = '1.0'\n[[packages]]\nname = '!'", "no project name"),
            ("lock-version = '1.0'\n[[packages]]\nname = 'a'\nmarker = 'x'", "no environment marker"),
            ("lock-version = '1.0'\n[[packages]]\nname = 'a'\nsdist = {}", "has no name"),
        ] {
            let problem = parse(text, "pylock.toml").unwrap_err();
            assert!(problem.causes.iter().any(|cause| cause.contains(why)), "{problem:?}");
        }
    }
}
