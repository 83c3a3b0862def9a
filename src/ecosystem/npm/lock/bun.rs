//! `bun.lock`: JSON with commas at the ends of lists and with comments, version 0 to 2.
//!
//! It is a tree as npm's is, whose paths leave `node_modules` out: `a/b` is the b that a finds. A package is a list: what it
//! is called, where its registry is if that isn't the usual one, what it says of itself, and its checksum.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::Value;

use super::read::Damage;
use super::{EdgeKind, Flags, Lock, MOST, MOST_EDGES, Written, WrittenEdge};
use crate::ecosystem::npm::spec::{Spec, split_range};

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Document {
    lockfile_version: u64,
    #[serde(default)]
    workspaces: BTreeMap<String, About>,
    #[serde(default)]
    packages: BTreeMap<String, Vec<Value>>,
    #[serde(default)]
    overrides: BTreeMap<String, Value>,
}

/// What a package or a directory of the project says of itself.
#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct About {
    name: Option<String>,
    dependencies: BTreeMap<String, String>,
    dev_dependencies: BTreeMap<String, String>,
    optional_dependencies: BTreeMap<String, String>,
    peer_dependencies: BTreeMap<String, String>,
    optional_peers: Vec<String>,
}

/// Reads a lockfile; with the names whose versions the project overrides.
pub(super) fn read(text: &str) -> Result<(Lock, Vec<String>), Damage> {
    let document: Document = serde_json::from_str(&plain(text))
        .map_err(|error| Damage::new(error.line(), format!("the lockfile is damaged: {error}")))?;
    if document.lockfile_version > 2 {
        let version = document.lockfile_version;
        return Err(Damage::unsupported(format!("this is a bun.lock of version {version}; 0 to 2 are read")));
    }
    if document.packages.len() + document.workspaces.len() > MOST {
        return Err(Damage::new(1, format!("the lockfile has more than {MOST} entries")));
    }
    // Under the name of a directory of the project stands what that directory finds.
    let mut directories = BTreeMap::new();
    for (path, about) in &document.workspaces {
        directories
            .extend(about.name.as_deref().filter(|_| !path.is_empty()).map(|name| (name, path.as_str())));
    }
    let mut lock = Lock::default();
    let mut edges = 0;
    for (path, about) in &document.workspaces {
        let written = Written { path, edges: about.edges(true), ..Written::default() };
        edges += written.edges.len();
        lock.push(&written);
    }
    for (key, parts) in &document.packages {
        let entry = Entry::read(parts).ok_or_else(|| {
            Damage::new(line_of(text, key), format!("the lockfile is damaged: {key:?} cannot be read"))
        })?;
        edges += entry.about.edges(false).len();
        if edges > MOST_EDGES {
            return Err(Damage::new(1, format!("the lockfile has more than {MOST_EDGES} dependencies")));
        }
        let path = path(key, &directories);
        lock.push(&entry.at(&path));
    }
    lock.put_in_order();
    lock.mark_optional();
    Ok((lock, document.overrides.into_keys().collect()))
}

/// A package as it stands there.
struct Entry<'a> {
    /// The real name.
    name: &'a str,
    /// The version, or where it comes from.
    locator: &'a str,
    registry: &'a str,
    about: About,
    integrity: Option<&'a str>,
}

impl<'a> Entry<'a> {
    fn read(parts: &'a [Value]) -> Option<Entry<'a>> {
        let (name, locator) = split_range(parts.first()?.as_str()?);
        let about = parts.iter().find(|part| part.is_object());
        let about = about.map_or_else(|| Some(About::default()), |about| About::deserialize(about).ok())?;
        let texts: Vec<&str> = parts.iter().skip(1).filter_map(Value::as_str).collect();
        let integrity = texts.last().copied().filter(|text| text.starts_with("sha"));
        let registry = texts.first().copied().filter(|text| text.starts_with("http")).unwrap_or_default();
        Some(Entry { name, locator, registry, about, integrity })
    }

    fn at<'b>(&'b self, path: &'b str) -> Written<'b> {
        let is_link =
            ["workspace:", "link:", "root:", "file:"].iter().any(|start| self.locator.starts_with(start));
        let of_registry = Spec::read(self.locator).is_registry();
        Written {
            path,
            name: Some(self.name),
            version: of_registry.then_some(self.locator),
            resolved: match () {
                () if is_link => self.locator.strip_prefix("workspace:").or(Some(self.locator)),
                () if !of_registry => Some(self.locator),
                () => Some(self.registry).filter(|address| !address.is_empty()),
            },
            integrity: self.integrity,
            flags: Flags { link: is_link, ..Flags::default() },
            edges: self.about.edges(false),
        }
    }
}

impl About {
    /// What leads from it to others, by name.
    fn edges(&self, is_project: bool) -> Vec<WrittenEdge<'_>> {
        let mut edges: BTreeMap<&str, (&str, EdgeKind)> = BTreeMap::new();
        for (name, range) in &self.peer_dependencies {
            let kind = match self.optional_peers.contains(name) {
                true => EdgeKind::OptionalPeer,
                false => EdgeKind::Peer,
            };
            edges.insert(name, (range, kind));
        }
        let development = is_project.then_some(&self.dev_dependencies);
        for (dependencies, kind) in [
            (development, EdgeKind::Runtime),
            (Some(&self.dependencies), EdgeKind::Runtime),
            (Some(&self.optional_dependencies), EdgeKind::Optional),
        ] {
            for (name, range) in dependencies.into_iter().flatten() {
                edges.insert(name, (range, kind));
            }
        }
        let edges = edges.into_iter();
        edges.map(|(name, (range, kind))| WrittenEdge { name, range, kind, to: None }).collect()
    }
}

/// Where a package stands in a tree that has `node_modules` in its paths.
fn path(key: &str, directories: &BTreeMap<&str, &str>) -> String {
    let mut path = String::new();
    let mut rest = key;
    let mut is_first = true;
    while !rest.is_empty() {
        // A scope and its slash belong to the name.
        let scope = if rest.starts_with('@') { rest.find('/').map_or(rest.len(), |at| at + 1) } else { 0 };
        let end = rest.get(scope..).and_then(|name| name.find('/')).map_or(rest.len(), |at| scope + at);
        let (name, after) = rest.split_at(end);
        rest = after.strip_prefix('/').unwrap_or(after);
        match directories.get(name).filter(|_| is_first && !rest.is_empty()) {
            Some(directory) => path.push_str(directory),
            None => {
                if !path.is_empty() {
                    path.push('/');
                }
                path.push_str("node_modules/");
                path.push_str(name);
            }
        }
        is_first = false;
    }
    path
}

/// The text as plain JSON of the same lines: without comments, and commas before the end of a list.
fn plain(text: &str) -> String {
    let bytes = text.as_bytes();
    let mut plain = Vec::with_capacity(bytes.len());
    // Where the last comma stands, if nothing came after it yet.
    let mut comma = None;
    let mut at = 0;
    while let Some(byte) = bytes.get(at) {
        match (byte, bytes.get(at + 1)) {
            (b'"', _) => {
                let start = at;
                at += 1;
                while let Some(byte) = bytes.get(at).filter(|byte| **byte != b'"') {
                    at += if *byte == b'\\' { 2 } else { 1 };
                }
                plain.extend_from_slice(bytes.get(start..=at).unwrap_or(&bytes[start..]));
                comma = None;
            }
            (b'/', Some(b'/')) => {
                at = memchr::memchr(b'\n', &bytes[at..]).map_or(bytes.len(), |end| at + end);
                continue;
            }
            (b'/', Some(b'*')) => {
                let end = memchr::memmem::find(&bytes[at..], b"*/").map_or(bytes.len(), |end| at + end + 2);
                let lines = bytes.get(at..end).unwrap_or_default().iter().filter(|byte| **byte == b'\n');
                plain.extend(lines);
                at = end;
                continue;
            }
            (b',', _) => {
                comma = Some(plain.len());
                plain.push(b',');
            }
            (b']' | b'}', _) => {
                if let Some(comma) = comma.take().and_then(|at| plain.get_mut(at)) {
                    *comma = b' ';
                }
                plain.push(*byte);
            }
            (byte, _) => {
                if !byte.is_ascii_whitespace() {
                    comma = None;
                }
                plain.push(*byte);
            }
        }
        at += 1;
    }
    // Only whole characters were left out.
    String::from_utf8(plain).unwrap_or_default()
}

/// The line that an entry stands on; 1 if it cannot be found.
fn line_of(text: &str, key: &str) -> usize {
    let before = text.find(&format!("{key:?}:")).and_then(|at| text.get(..at)).unwrap_or_default();
    1 + before.matches('\n').count()
}
