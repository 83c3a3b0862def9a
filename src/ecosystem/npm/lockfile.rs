//! `package-lock.json` and `npm-shrinkwrap.json`, versions 2 and 3: the `packages` map.
//!
//! The traps: an alias' name is not its path's; `resolved` and `integrity` may be missing; bundled packages and links
//! stand among the others; entries of other platforms may have been left out altogether.

use std::collections::BTreeMap;
use std::path::Path;

use serde::{Deserialize, Deserializer};

use super::names;
use super::version::Version;
use crate::problem::{Kind, Problem};

/// The largest lockfile that is read, in bytes.
pub(crate) const LARGEST: u64 = 64 << 20;
/// The most entries of a lockfile.
const MOST: usize = 200_000;
/// The most edges of a lockfile.
const MOST_EDGES: usize = 1_000_000;
/// The most segments of an entry's path, each of at most [`names`]' length.
const DEEPEST: usize = 128;

/// A lockfile that was read and checked.
#[derive(Debug)]
pub(crate) struct Lock {
    /// The entries by their path: `""` is the project itself.
    pub(crate) packages: BTreeMap<String, Entry>,
}

/// An entry: what stands at a path of the tree.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct Entry {
    /// The real name, where the path doesn't say it.
    #[serde(deserialize_with = "text")]
    name: Option<String>,
    /// The version; missing in links and in some local packages.
    #[serde(deserialize_with = "text")]
    pub(crate) version: Option<String>,
    /// Where it was had.
    #[serde(deserialize_with = "text")]
    pub(crate) resolved: Option<String>,
    /// Its checksums, as SRI.
    #[serde(deserialize_with = "text")]
    pub(crate) integrity: Option<String>,
    /// Whether it is a symbolic link to `resolved`.
    pub(crate) link: bool,
    /// Whether it comes inside another package's tarball.
    pub(crate) in_bundle: bool,
    /// Whether only optional dependencies lead to it.
    pub(crate) optional: bool,
    /// Whether it runs scripts when it is installed.
    pub(crate) has_install_script: bool,
    dependencies: Dependencies,
    dev_dependencies: Dependencies,
    optional_dependencies: Dependencies,
    peer_dependencies: Dependencies,
    peer_dependencies_meta: BTreeMap<String, PeerMeta>,
}

type Dependencies = BTreeMap<String, String>;

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct PeerMeta {
    optional: bool,
}

/// What kind of edge leads from one package to another.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum EdgeKind {
    /// Needed.
    Runtime,
    /// Done without, if it doesn't fit the platform or cannot be had.
    Optional,
    /// Needed beside the package, which the project usually provides.
    Peer,
    /// Used beside the package if the project happens to have it.
    OptionalPeer,
}

impl EdgeKind {
    /// Its name in records.
    pub(crate) fn name(self) -> &'static str {
        match self {
            EdgeKind::Runtime => "runtime",
            EdgeKind::Optional => "optional",
            EdgeKind::Peer => "peer",
            EdgeKind::OptionalPeer => "optional-peer",
        }
    }
}

impl Lock {
    /// Reads and checks a lockfile. `path` is for messages.
    pub(crate) fn read(path: &Path, bytes: &[u8]) -> Result<Lock, Problem> {
        let damaged = |message: String, line: usize| {
            Problem::new(Kind::Untrusted, "npm.damaged-lockfile", message)
                .at(format_args!("{}:{line}", path.display()))
                .hint("npm writes it anew with: npm install --package-lock-only")
        };
        // npm writes no byte order mark, but editors do, and npm reads it.
        let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
        if let Some(line) = bytes.split(|byte| *byte == b'\n').position(|line| line.starts_with(b"<<<<<<< "))
        {
            return Err(damaged("the lockfile holds an unresolved merge conflict".to_owned(), line + 1));
        }
        let document: Document = serde_json::from_slice(bytes)
            .map_err(|error| damaged("the lockfile is damaged".to_owned(), error.line()).caused_by(&error))?;
        let upgrade = "write a newer one with: npm install --package-lock-only --lockfile-version 3";
        let packages = match (document.lockfile_version, document.packages) {
            (Some(2 | 3), Some(packages)) => packages,
            (Some(1), _) => {
                let message = "this is a package-lock of version 1, which is not read";
                let problem = Problem::new(Kind::Usage, "npm.old-lockfile", message);
                return Err(problem.at(path.display()).hint(upgrade));
            }
            (Some(2 | 3), None) => {
                return Err(damaged("the lockfile has no `packages`".to_owned(), 1));
            }
            (Some(version), _) => {
                let message = format!("this is a package-lock of version {version}; 2 and 3 are read");
                let problem = Problem::new(Kind::Usage, "npm.unknown-lockfile", message);
                return Err(problem.at(path.display()).hint(upgrade));
            }
            (None, _) => {
                let message = "this is no package-lock: it has no `lockfileVersion`";
                return Err(Problem::new(Kind::Usage, "npm.no-lockfile", message)
                    .at(path.display())
                    .hint(upgrade));
            }
        };
        if packages.len() > MOST {
            return Err(damaged(format!("the lockfile has more than {MOST} entries"), 1));
        }
        let edges: usize = packages.values().map(Entry::edge_count).sum();
        if edges > MOST_EDGES {
            return Err(damaged(format!("the lockfile has more than {MOST_EDGES} dependencies"), 1));
        }
        for (key, entry) in &packages {
            check(key, entry).map_err(|message| damaged(message, line_of(bytes, key)))?;
        }
        Ok(Lock { packages })
    }
}

impl Entry {
    /// The real name of the package at `key`; `None` if it is a directory of the project that doesn't say it.
    pub(crate) fn name<'a>(&'a self, key: &'a str) -> Option<&'a str> {
        self.name.as_deref().or_else(|| installed_name(key))
    }

    fn edge_count(&self) -> usize {
        let dependencies = self.dependencies.len() + self.dev_dependencies.len();
        dependencies + self.optional_dependencies.len() + self.peer_dependencies.len()
    }

    /// What leads from it to others, development included only where `development` says so. npm lists an optional
    /// dependency a second time among the needed ones; it counts as optional.
    pub(crate) fn edges(&self, development: bool) -> Vec<(&str, &str, EdgeKind)> {
        let mut edges = BTreeMap::new();
        let optional = |name: &str| self.peer_dependencies_meta.get(name).is_some_and(|meta| meta.optional);
        for (name, range) in &self.peer_dependencies {
            let kind = if optional(name) { EdgeKind::OptionalPeer } else { EdgeKind::Peer };
            edges.insert(name.as_str(), (range.as_str(), kind));
        }
        for (dependencies, kind) in [
            (development.then_some(&self.dev_dependencies), EdgeKind::Runtime),
            (Some(&self.dependencies), EdgeKind::Runtime),
            (Some(&self.optional_dependencies), EdgeKind::Optional),
        ] {
            for (name, range) in dependencies.into_iter().flatten() {
                edges.insert(name, (range, kind));
            }
        }
        edges.into_iter().map(|(name, (range, kind))| (name, range, kind)).collect()
    }
}

/// The name that a path under `node_modules` gives a package; `None` for other paths.
pub(crate) fn installed_name(key: &str) -> Option<&str> {
    let (before, name) = key.rsplit_once("node_modules/")?;
    (before.is_empty() || before.ends_with('/')).then_some(name)
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Document {
    lockfile_version: Option<u64>,
    packages: Option<BTreeMap<String, Entry>>,
}

/// A text, or nothing for whatever else stands there: npm wrote `false` in its time.
fn text<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<String>, D::Error> {
    Ok(match serde_json::Value::deserialize(deserializer)? {
        serde_json::Value::String(text) => Some(text),
        _ => None,
    })
}

/// What is wrong with an entry, if anything.
fn check(key: &str, entry: &Entry) -> Result<(), String> {
    if key.split('/').count() > DEEPEST || key.split('/').any(|segment| segment.len() > 255) {
        return Err(format!("an entry's path is nested deeper than {DEEPEST} directories, or too long"));
    }
    let shown: String = key.escape_debug().collect();
    if let Some(name) = installed_name(key).filter(|name| !names::is_valid(name)) {
        return Err(format!("entry {shown:?}: {name:?} is no package name"));
    }
    if installed_name(key).is_none() || entry.link || entry.in_bundle {
        return Ok(());
    }
    if let Some(name) = entry.name.as_deref().filter(|name| !names::is_valid(name)) {
        return Err(format!("entry {shown:?}: {name:?} is no package name"));
    }
    match entry.version.as_deref() {
        Some(version) if Version::parse(version).is_none() => {
            // npm writes the address there for packages that come from one.
            if version.contains(':') {
                Ok(())
            } else {
                Err(format!("entry {shown:?}: {version:?} is no version"))
            }
        }
        None if entry.resolved.as_deref().is_none_or(|resolved| !resolved.contains(':')) => {
            Err(format!("entry {shown:?} has neither a version nor an address"))
        }
        _ => Ok(()),
    }
}

/// The line that an entry begins on; 1 if it cannot be found (its path is written with escapes).
fn line_of(bytes: &[u8], key: &str) -> usize {
    let quoted = format!("{key:?}:");
    let found = bytes.windows(quoted.len()).position(|window| window == quoted.as_bytes());
    let before = found.and_then(|at| bytes.get(..at)).unwrap_or_default();
    1 + before.iter().filter(|byte| **byte == b'\n').count()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn read(text: &str) -> Result<Lock, Problem> {
        Lock::read(Path::new("project/package-lock.json"), text.as_bytes())
    }

    fn packages(entries: &str) -> String {
        format!("{{\"lockfileVersion\":3,\n\"packages\":{{\n{entries}\n}}}}")
    }

    #[test]
    fn names_come_from_the_entry_or_its_path() {
        let lock = read(&packages(
            r#""":{"name":"project","devDependencies":{"a":"^1"},"peerDependencies":{"p":"1","q":"2"},
                "peerDependenciesMeta":{"q":{"optional":true}},"dependencies":{"o":"1","d":"1"},
                "optionalDependencies":{"o":"1"}},
            "node_modules/a":{"version":"1.0.0","resolved":false},
            "node_modules/b/node_modules/@s/c":{"version":"1.0.0"},
            "node_modules/alias":{"name":"@s/real","version":"2.0.0"},
            "packages/w":{"version":"0.0.0"}"#,
        ))
        .unwrap();
        let name = |key: &str| lock.packages[key].name(key).map(str::to_owned);
        assert_eq!(name("node_modules/a").as_deref(), Some("a"));
        assert_eq!(name("node_modules/b/node_modules/@s/c").as_deref(), Some("@s/c"));
        assert_eq!(name("node_modules/alias").as_deref(), Some("@s/real"));
        assert_eq!(name("packages/w"), None);
        assert_eq!(lock.packages["node_modules/a"].resolved, None);
        let edges = lock.packages[""].edges(true);
        let kinds: Vec<_> = edges.iter().map(|(name, _, kind)| (*name, kind.name())).collect();
        let expected =
            [("a", "runtime"), ("d", "runtime"), ("o", "optional"), ("p", "peer"), ("q", "optional-peer")];
        assert_eq!(kinds, expected);
        assert!(lock.packages[""].edges(false).iter().all(|(name, ..)| *name != "a"));
    }

    #[test]
    fn bad_lockfiles_are_refused_with_their_place() {
        let long = packages(&format!("\"node_modules/{}\":{{\"version\":\"1.0.0\"}}", "a/".repeat(3000)));
        let deep = format!("{{\"lockfileVersion\":3,\"packages\":{{\"\":{{\"x\":{}", "[".repeat(100_000));
        for (text, code, line) in [
            ("", "npm.damaged-lockfile", ":1"),
            ("[]", "npm.damaged-lockfile", ":1"),
            ("{\n\"lockfileVersion\":\n", "npm.damaged-lockfile", ":3"),
            ("{}", "npm.no-lockfile", ""),
            ("{\"lockfileVersion\":1}", "npm.old-lockfile", ""),
            ("{\"lockfileVersion\":9}", "npm.unknown-lockfile", ""),
            ("{\"lockfileVersion\":3}", "npm.damaged-lockfile", ":1"),
            ("{\n<<<<<<< HEAD\n", "npm.damaged-lockfile", ":2"),
            (&packages("\"node_modules/a\":7"), "npm.damaged-lockfile", ":3"),
            (&packages("\"node_modules/a\":{\"dependencies\":[1]}"), "npm.damaged-lockfile", ":3"),
            (&packages("\"\":{},\n\"node_modules/a\":{}"), "npm.damaged-lockfile", ":4"),
            (&packages("\"node_modules/a\":{\"version\":\"one\"}"), "npm.damaged-lockfile", ":3"),
            (&packages("\"node_modules/../../etc\":{\"version\":\"1.0.0\"}"), "npm.damaged-lockfile", ":3"),
            (
                &packages("\"node_modules/a\":{\"name\":\"../a\",\"version\":\"1.0.0\"}"),
                "npm.damaged-lockfile",
                ":3",
            ),
            (&long, "npm.damaged-lockfile", ":3"),
            (&deep, "npm.damaged-lockfile", ":1"),
        ] {
            let problem = read(text).unwrap_err();
            assert_eq!(problem.code, code, "{text:.80}");
            let place = format!("project/package-lock.json{line}");
            assert_eq!(problem.place.as_deref(), Some(place.as_str()), "{text:.80}");
            assert!(!problem.hints.is_empty());
        }
        assert!(read("\u{feff}{\"lockfileVersion\":3,\"packages\":{}}").is_ok());
    }

    proptest! {
        #[test]
        fn no_damage_panics(at in 0usize..400, byte: u8) {
            let mut bytes = packages(r#""":{"dependencies":{"a":"^1"}},"node_modules/a":{"version":"1.0.0",
                "resolved":"https://registry.example.test/a/-/a-1.0.0.tgz","integrity":"sha512-AA=="}"#).into_bytes();
            let length = bytes.len();
            if let Some(place) = bytes.get_mut(at % length) {
                *place = byte;
            }
            let _ = Lock::read(Path::new("package-lock.json"), &bytes);
        }
    }
}
