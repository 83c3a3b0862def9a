//! `package-lock.json`, version 1: packages in packages, as they lie in `node_modules`.
//!
//! What the project itself asks for isn't said, nor which dependencies of a package are optional, nor what a package is an
//! alias of but in its version.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::Value;

use super::read::Damage;
use super::{EdgeKind, Flags, Lock, MOST, MOST_EDGES, Written, WrittenEdge};
use crate::ecosystem::npm::spec::{Spec, split_range};

#[derive(Deserialize)]
struct Document {
    #[serde(default)]
    dependencies: BTreeMap<String, Entry>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Entry {
    version: Option<String>,
    /// `false` in some.
    resolved: Value,
    integrity: Option<String>,
    bundled: bool,
    optional: bool,
    /// Ranges by name; `true` in those of old.
    requires: Value,
    dependencies: BTreeMap<String, Entry>,
}

/// Reads a lockfile.
pub(super) fn read(text: &[u8]) -> Result<Lock, Damage> {
    let document: Document = serde_json::from_slice(text)
        .map_err(|error| Damage::new(error.line(), format!("the lockfile is damaged: {error}")))?;
    let mut lock = Lock::default();
    let mut edges = 0;
    // What the project asks for is what lies at the top, as far as one can tell: it is met by what is there.
    take(&document.dependencies, "", &mut lock, &mut edges)?;
    lock.put_in_order();
    Ok(lock)
}

fn take(
    entries: &BTreeMap<String, Entry>,
    below: &str,
    lock: &mut Lock,
    edges: &mut usize,
) -> Result<(), Damage> {
    for (name, entry) in entries {
        let path = match below {
            "" => format!("node_modules/{name}"),
            below => format!("{below}/node_modules/{name}"),
        };
        let written = entry.at(name, &path);
        *edges += written.edges.len();
        if lock.len() == MOST || *edges > MOST_EDGES {
            let message = format!("the lockfile has more than {MOST} entries or {MOST_EDGES} dependencies");
            return Err(Damage::new(1, message));
        }
        lock.push(&written);
        // The JSON reader lets nothing through that is deeper than this may go.
        take(&entry.dependencies, &path, lock, edges)?;
    }
    Ok(())
}

impl Entry {
    fn at<'a>(&'a self, name: &'a str, path: &'a str) -> Written<'a> {
        let version = self.version.as_deref().unwrap_or_default();
        let alias = version.strip_prefix("npm:").map(split_range);
        let of_registry = alias.is_some() || Spec::read(version).is_registry();
        let resolved = self.resolved.as_str().or((!of_registry).then_some(version));
        let requires = self.requires.as_object().into_iter().flatten();
        let edges = requires.filter_map(|(name, range)| {
            Some(WrittenEdge { name, range: range.as_str()?, kind: EdgeKind::Runtime, to: None })
        });
        Written {
            path,
            name: alias.map(|(real, _)| real).filter(|real| *real != name),
            version: of_registry.then(|| alias.map_or(version, |(_, version)| version)),
            resolved,
            integrity: self.integrity.as_deref(),
            flags: Flags { in_bundle: self.bundled, optional: self.optional, ..Flags::default() },
            edges: edges.collect(),
        }
    }
}
