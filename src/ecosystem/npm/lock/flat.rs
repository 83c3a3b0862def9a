//! Lockfiles that are no tree: each package stands there once, and each edge says where it leads.
//!
//! Here they become what a tree is held as. A package's path is made of its name and version, and nothing is found by it.

use std::collections::BTreeMap;

use super::read::Damage;
use super::{EdgeKind, Flags, Lock, MOST, MOST_EDGES, Written, WrittenEdge};
use crate::ecosystem::npm::version::Version;

/// A package or a directory of the project.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Place(usize);

/// What is known of a package.
#[derive(Debug, Default)]
pub(super) struct Package {
    /// Its real name.
    pub(super) name: String,
    pub(super) version: Option<String>,
    /// Where it was had, if that is said.
    pub(super) resolved: Option<String>,
    /// Its checksums, as SRI.
    pub(super) integrity: Option<String>,
    pub(super) has_install_script: bool,
    /// Whether it is called by its address.
    pub(super) by_address: bool,
}

/// What was read so far.
#[derive(Debug, Default)]
pub(super) struct Flat {
    entries: Vec<Entry>,
    /// What lockfiles call them.
    keys: BTreeMap<String, Place>,
    edges: usize,
    /// Whether one can do without a package cannot be said, as the lockfile doesn't say what the project itself asks for.
    pub(super) is_without_projects: bool,
}

#[derive(Debug)]
struct Entry {
    path: String,
    package: Option<Package>,
    edges: Vec<Edge>,
}

#[derive(Debug)]
struct Edge {
    name: String,
    range: String,
    kind: EdgeKind,
    to: Option<Place>,
}

impl Flat {
    /// Takes a package in.
    pub(super) fn package(&mut self, package: Package, line: usize) -> Result<Place, Damage> {
        let name = &package.name;
        let number = self.entries.len();
        let version = package.version.as_deref().unwrap_or_default();
        // Those whose peers differ stand there several times.
        let path = format!("{name}@{version}#{number}/node_modules/{name}");
        self.entry(Entry { path, package: Some(package), edges: Vec::new() }, line)
    }

    /// Takes in a directory of the project, by its path; `""` is the project's own.
    pub(super) fn project(&mut self, path: &str, line: usize) -> Result<Place, Damage> {
        self.entry(Entry { path: path.to_owned(), package: None, edges: Vec::new() }, line)
    }

    fn entry(&mut self, entry: Entry, line: usize) -> Result<Place, Damage> {
        if self.entries.len() == MOST {
            return Err(Damage::new(line, format!("the lockfile has more than {MOST} entries")));
        }
        self.entries.push(entry);
        Ok(Place(self.entries.len() - 1))
    }

    /// Notes what something is called. The first name of several equal ones counts.
    pub(super) fn call(&mut self, key: String, place: Place) {
        self.keys.entry(key).or_insert(place);
    }

    /// What is called so.
    pub(super) fn find(&self, key: &str) -> Option<Place> {
        self.keys.get(key).copied()
    }

    /// Of each package, by its real name, the newest version.
    pub(super) fn newest(&self) -> BTreeMap<String, Place> {
        let mut newest: BTreeMap<&str, (Version, Place)> = BTreeMap::new();
        for (number, entry) in self.entries.iter().enumerate() {
            let Some(package) = &entry.package else { continue };
            let Some(version) = package.version.as_deref().and_then(Version::parse) else { continue };
            if newest.get(package.name.as_str()).is_none_or(|(known, _)| *known < version) {
                newest.insert(&package.name, (version, Place(number)));
            }
        }
        newest.into_iter().map(|(name, (_, place))| (name.to_owned(), place)).collect()
    }

    /// Takes in an edge.
    pub(super) fn edge(
        &mut self,
        from: Place,
        (name, range, kind): (&str, &str, EdgeKind),
        to: Option<Place>,
        line: usize,
    ) -> Result<(), Damage> {
        self.edges += 1;
        if self.edges > MOST_EDGES {
            return Err(Damage::new(line, format!("the lockfile has more than {MOST_EDGES} dependencies")));
        }
        if let Some(entry) = self.entries.get_mut(from.0) {
            entry.edges.push(Edge { name: name.to_owned(), range: range.to_owned(), kind, to });
        }
        Ok(())
    }

    /// What was read, held as a tree is.
    pub(super) fn into_lock(mut self) -> Lock {
        for entry in &mut self.entries {
            entry.edges.sort_by(|one, other| (&one.name, one.kind).cmp(&(&other.name, other.kind)));
        }
        let mut lock = Lock::default();
        for entry in &self.entries {
            let package = entry.package.as_ref();
            let edges = entry.edges.iter().map(|edge| WrittenEdge {
                name: &edge.name,
                range: &edge.range,
                kind: edge.kind,
                to: edge.to.and_then(|to| Some(self.entries.get(to.0)?.path.as_str())),
            });
            lock.push(&Written {
                path: &entry.path,
                name: None,
                version: package.and_then(|package| package.version.as_deref()),
                resolved: package.and_then(|package| package.resolved.as_deref()),
                integrity: package.and_then(|package| package.integrity.as_deref()),
                flags: Flags {
                    has_install_script: package.is_some_and(|package| package.has_install_script),
                    by_address: package.is_some_and(|package| package.by_address),
                    ..Flags::default()
                },
                edges: edges.collect(),
            });
        }
        lock.put_in_order();
        if !self.is_without_projects {
            lock.mark_optional();
        }
        lock
    }
}
