//! What a lockfile says, held so that two hundred thousand entries need little more than their own words.
//!
//! npm's and bun's are trees: an edge leads to the nearest package of its name. Those of yarn and pnpm say of each edge
//! where it leads; they come through [`flat`]. [`read`] finds out which one a file is.
//!
//! The traps: an alias' name is not its path's; addresses and checksums may be missing; bundled packages and links
//! stand among the others; entries of other platforms may have been left out altogether.

mod berry;
mod bun;
mod flat;
mod graph;
mod package_lock;
mod package_lock_1;
mod pnpm;
mod read;
mod rewrite;
mod yaml;
mod yarn;

use std::borrow::Cow;

pub(super) use self::graph::{Overrides, Place, is_from_registry, place};
pub(super) use self::read::{is_lockfile, load, must_be_readable, read_shrinkwrap};
pub(super) use self::rewrite::{rewrite, rewrite_project};
use super::names;
use super::texts::{Id, Texts};
use super::version::Version;

/// The most entries of a lockfile.
const MOST: usize = 200_000;
/// The most edges of a lockfile.
const MOST_EDGES: usize = 1_000_000;
/// The most segments of an entry's path, each of at most [`names`]' length.
const DEEPEST: usize = 128;

/// What a lockfile says.
#[derive(Debug, Default)]
pub(crate) struct Lock {
    texts: Texts,
    /// Ordered by their paths.
    entries: Vec<Entry>,
    /// The edges of each entry stand together.
    edges: Vec<StoredEdge>,
    /// The paths that edges lead to, as far as the lockfile says them: by their numbers, and none behind the last one.
    targets: Vec<Option<Id>>,
}

/// An entry: what stands at a path of the tree. `""` is the project itself.
#[derive(Clone, Copy)]
pub(crate) struct Node<'a> {
    lock: &'a Lock,
    number: usize,
    entry: &'a Entry,
}

/// An entry as the lockfile writes it.
#[derive(Default)]
pub(in crate::ecosystem::npm) struct Written<'a> {
    pub(super) path: &'a str,
    pub(super) name: Option<&'a str>,
    pub(super) version: Option<&'a str>,
    pub(super) resolved: Option<&'a str>,
    pub(super) integrity: Option<&'a str>,
    pub(super) flags: Flags,
    /// Ordered by name.
    pub(super) edges: Vec<WrittenEdge<'a>>,
}

/// An edge as the lockfile writes it.
pub(in crate::ecosystem::npm) struct WrittenEdge<'a> {
    pub(super) name: &'a str,
    pub(super) range: &'a str,
    pub(super) kind: EdgeKind,
    /// The path of the entry that it leads to, if the lockfile says it.
    pub(super) to: Option<&'a str>,
}

/// What is or isn't so with an entry.
#[derive(Debug, Default, Clone, Copy)]
pub(crate) struct Flags {
    /// Whether it is a symbolic link to `resolved`.
    pub(crate) link: bool,
    /// Whether it comes inside another package's tarball.
    pub(crate) in_bundle: bool,
    /// Whether only optional dependencies lead to it.
    pub(crate) optional: bool,
    /// Whether it runs scripts when it is installed.
    pub(crate) has_install_script: bool,
    /// Whether the lockfile calls it by its address, as it was asked for by that.
    pub(crate) by_address: bool,
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

#[derive(Debug, Clone, Copy)]
struct Entry {
    path: Id,
    name: Option<Id>,
    version: Option<Id>,
    resolved: Resolved,
    integrity: Option<Id>,
    flags: Flags,
    first_edge: u32,
    edges: u32,
}

#[derive(Debug, Clone, Copy)]
struct StoredEdge {
    name: Id,
    range: Id,
    kind: EdgeKind,
}

/// Nearly all addresses follow from a registry's own, which a lockfile repeats in every entry.
#[derive(Debug, Clone, Copy)]
enum Resolved {
    Missing,
    /// What stands before [`names::tarball_path`].
    Conventional(Id),
    Other(Id),
}

impl Lock {
    /// Takes an entry in. After the last one: [`Lock::put_in_order`].
    pub(super) fn push(&mut self, written: &Written<'_>) {
        let name = written.name.or_else(|| installed_name(written.path));
        let first_edge = short(self.edges.len());
        for edge in &written.edges {
            let (name, range) = (self.texts.intern(edge.name), self.texts.intern(edge.range));
            if let Some(path) = edge.to {
                self.targets.resize(self.edges.len(), None);
                self.targets.push(Some(self.texts.intern(path)));
            }
            self.edges.push(StoredEdge { name, range, kind: edge.kind });
        }
        let entry = Entry {
            resolved: self.resolved(name, written.version, written.resolved),
            integrity: written.integrity.map(|integrity| self.texts.add(integrity)),
            path: self.texts.add(written.path),
            name: written.name.map(|name| self.texts.intern(name)),
            version: written.version.map(|version| self.texts.intern(version)),
            flags: written.flags,
            first_edge,
            edges: short(written.edges.len()),
        };
        self.entries.push(entry);
    }

    fn resolved(&mut self, name: Option<&str>, version: Option<&str>, resolved: Option<&str>) -> Resolved {
        let Some(resolved) = resolved else { return Resolved::Missing };
        let path = name.zip(version).map(|(name, version)| names::tarball_path(name, version));
        match path.and_then(|path| resolved.strip_suffix(path.as_str())) {
            Some(before) => Resolved::Conventional(self.texts.intern(before)),
            None => Resolved::Other(self.texts.add(resolved)),
        }
    }

    /// Orders the entries by their paths. Of several with one path the last one counts, as with `JSON.parse`.
    pub(super) fn put_in_order(&mut self) {
        let texts = &self.texts;
        self.entries.sort_by(|one, other| texts.get(one.path).cmp(texts.get(other.path)));
        self.entries.dedup_by(|next, kept| {
            let is_same = texts.get(next.path) == texts.get(kept.path);
            if is_same {
                *kept = *next;
            }
            is_same
        });
    }

    /// Checks every entry.
    ///
    /// # Errors
    /// The path of one, and what is wrong with it.
    fn check(&self) -> Result<(), (String, String)> {
        self.nodes().try_for_each(|node| check(node).map_err(|message| (node.path().to_owned(), message)))
    }

    /// Marks what the project can do without, where the lockfile doesn't say it: what only optional edges lead to.
    fn mark_optional(&mut self) {
        let needed = self.needed();
        for (entry, needed) in self.entries.iter_mut().zip(needed) {
            entry.flags.optional |= !needed;
        }
    }

    /// The entries, ordered by their paths.
    pub(crate) fn nodes(&self) -> impl Iterator<Item = Node<'_>> {
        self.entries.iter().enumerate().map(|(number, entry)| Node { lock: self, number, entry })
    }

    /// How many entries it has.
    pub(crate) fn len(&self) -> usize {
        self.entries.len()
    }

    /// The entry of that number.
    pub(crate) fn node(&self, number: usize) -> Option<Node<'_>> {
        self.entries.get(number).map(|entry| Node { lock: self, number, entry })
    }

    /// The entry at a path.
    pub(crate) fn at(&self, path: &str) -> Option<Node<'_>> {
        let found = self.entries.binary_search_by(|entry| self.texts.get(entry.path).cmp(path));
        self.node(found.ok()?)
    }
}

impl<'a> Node<'a> {
    /// Which one it is, in the order of the paths, from 0.
    pub(crate) fn number(self) -> usize {
        self.number
    }

    /// Its path.
    pub(crate) fn path(self) -> &'a str {
        self.lock.texts.get(self.entry.path)
    }

    /// The real name of the package; `None` if it is a directory of the project that doesn't say it.
    pub(crate) fn name(self) -> Option<&'a str> {
        self.own_name().or_else(|| self.installed_name())
    }

    /// The name that the entry itself says, where the path doesn't.
    pub(super) fn own_name(self) -> Option<&'a str> {
        self.entry.name.map(|name| self.lock.texts.get(name))
    }

    /// The name that its path gives it; `None` for what isn't installed: the project and its directories.
    pub(crate) fn installed_name(self) -> Option<&'a str> {
        installed_name(self.path())
    }

    /// The version; missing in links and in some local packages.
    pub(crate) fn version(self) -> Option<&'a str> {
        self.entry.version.map(|version| self.lock.texts.get(version))
    }

    /// Where it was had.
    pub(crate) fn resolved(self) -> Option<Cow<'a, str>> {
        match self.entry.resolved {
            Resolved::Missing => None,
            Resolved::Other(text) => Some(Cow::Borrowed(self.lock.texts.get(text))),
            Resolved::Conventional(before) => {
                let (name, version) = (self.name().unwrap_or_default(), self.version().unwrap_or_default());
                let path = names::tarball_path(name, version);
                Some(Cow::Owned(format!("{}{path}", self.lock.texts.get(before))))
            }
        }
    }

    /// Its checksums, as SRI.
    pub(crate) fn integrity(self) -> Option<&'a str> {
        self.entry.integrity.map(|integrity| self.lock.texts.get(integrity))
    }

    /// What is or isn't so with it.
    pub(crate) fn flags(self) -> Flags {
        self.entry.flags
    }

    /// What it needs: names, what is asked for, and how badly.
    pub(crate) fn needs(self) -> impl Iterator<Item = (&'a str, &'a str, EdgeKind)> {
        self.edges().map(|edge| (edge.name, edge.range, edge.kind))
    }

    /// What leads from it to others, ordered by name.
    pub(super) fn edges(self) -> impl Iterator<Item = WrittenEdge<'a>> {
        let texts = &self.lock.texts;
        let edges = self.lock.edges.iter().enumerate();
        let own = edges.skip(long(self.entry.first_edge)).take(long(self.entry.edges));
        own.map(|(number, edge)| WrittenEdge {
            name: texts.get(edge.name),
            range: texts.get(edge.range),
            kind: edge.kind,
            to: self.lock.targets.get(number).copied().flatten().map(|path| texts.get(path)),
        })
    }
}

/// The name that a path under `node_modules` gives a package; `None` for other paths.
pub(crate) fn installed_name(path: &str) -> Option<&str> {
    let (before, name) = path.rsplit_once("node_modules/")?;
    (before.is_empty() || before.ends_with('/')).then_some(name)
}

/// What is wrong with an entry, if anything.
fn check(node: Node<'_>) -> Result<(), String> {
    let path = node.path();
    if path.split('/').count() > DEEPEST || path.split('/').any(|segment| segment.len() > 255) {
        return Err(format!("an entry's path is nested deeper than {DEEPEST} directories, or too long"));
    }
    let shown = || -> String { path.escape_debug().collect() };
    let is_bad = |name: &&str| !names::is_valid(name);
    if let Some(name) = node.installed_name().filter(is_bad) {
        return Err(format!("entry {:?}: {name:?} is no package name", shown()));
    }
    if node.installed_name().is_none() || node.flags().link || node.flags().in_bundle {
        return Ok(());
    }
    if let Some(name) = node.own_name().filter(is_bad) {
        return Err(format!("entry {:?}: {name:?} is no package name", shown()));
    }
    match node.version() {
        // npm writes the address there for packages that come from one.
        Some(version) if Version::parse(version).is_none() && !version.contains(':') => {
            Err(format!("entry {:?}: {version:?} is no version", shown()))
        }
        None if node.resolved().is_none_or(|resolved| !resolved.contains(':')) => {
            Err(format!("entry {:?} has neither a version nor an address", shown()))
        }
        _ => Ok(()),
    }
}

/// A number of things in a lockfile, of which it holds no more than it has bytes.
fn short(number: usize) -> u32 {
    u32::try_from(number).unwrap_or(u32::MAX)
}

fn long(number: u32) -> usize {
    usize::try_from(number).unwrap_or(usize::MAX)
}
