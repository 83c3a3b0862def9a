//! What a `package-lock.json` says, held so that two hundred thousand entries need little more than their own words.
//!
//! The traps: an alias' name is not its path's; `resolved` and `integrity` may be missing; bundled packages and links
//! stand among the others; entries of other platforms may have been left out altogether.

use std::borrow::Cow;

use super::names;
use super::texts::{Id, Texts};

/// A lockfile that was read and checked, by [`super::lockfile_text`].
#[derive(Debug, Default)]
pub(crate) struct Lock {
    texts: Texts,
    /// Ordered by their paths.
    entries: Vec<Entry>,
    /// The edges of each entry stand together.
    edges: Vec<StoredEdge>,
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
pub(super) struct Written<'a> {
    pub(super) path: &'a str,
    pub(super) name: Option<&'a str>,
    pub(super) version: Option<&'a str>,
    pub(super) resolved: Option<&'a str>,
    pub(super) integrity: Option<&'a str>,
    pub(super) flags: Flags,
    /// Name, range and kind, ordered by name.
    pub(super) edges: Vec<(&'a str, &'a str, EdgeKind)>,
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
        for (name, range, kind) in &written.edges {
            let (name, range) = (self.texts.intern(name), self.texts.intern(range));
            self.edges.push(StoredEdge { name, range, kind: *kind });
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

    /// What leads from it to others: name, range and kind, ordered by name.
    pub(crate) fn edges(self) -> impl Iterator<Item = (&'a str, &'a str, EdgeKind)> {
        let texts = &self.lock.texts;
        let edges = self.lock.edges.iter().skip(long(self.entry.first_edge)).take(long(self.entry.edges));
        edges.map(|edge| (texts.get(edge.name), texts.get(edge.range), edge.kind))
    }
}

/// The name that a path under `node_modules` gives a package; `None` for other paths.
pub(crate) fn installed_name(path: &str) -> Option<&str> {
    let (before, name) = path.rsplit_once("node_modules/")?;
    (before.is_empty() || before.ends_with('/')).then_some(name)
}

/// A number of things in a lockfile, of which it holds no more than it has bytes.
fn short(number: usize) -> u32 {
    u32::try_from(number).unwrap_or(u32::MAX)
}

fn long(number: u32) -> usize {
    usize::try_from(number).unwrap_or(usize::MAX)
}
