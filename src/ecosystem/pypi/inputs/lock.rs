//! A lockfile as they all say it in the end: packages, their files, and what leads to them under which condition.

use std::collections::{BTreeMap, BTreeSet, HashSet};

use crate::ecosystem::pypi::marker::{Chosen, Marker};
use crate::ecosystem::pypi::name::Name;
use crate::ecosystem::pypi::specifier::Specifiers;
use crate::ecosystem::pypi::target::Target;
use crate::ecosystem::pypi::unreadable::Unreadable;
use crate::ecosystem::pypi::version::Version;

/// What a lockfile says.
#[derive(Debug, Default)]
pub(crate) struct Lock {
    /// The Pythons that it was made for.
    pub(crate) requires_python: Option<Specifiers>,
    /// The environments that it was made for; none, if it does not say.
    pub(crate) environments: Vec<Marker>,
    /// The addresses of indexes, by their names where they have some.
    pub(crate) indexes: BTreeMap<String, String>,
    /// The extras that it knows of the project.
    pub(crate) extras: Vec<Name>,
    /// The groups that it knows.
    pub(crate) groups: Vec<Name>,
    /// The groups that are meant where nobody names some.
    pub(crate) default_groups: Vec<Name>,
    /// All packages, of all targets.
    pub(crate) packages: Vec<Package>,
    /// What leads to the first of them.
    pub(crate) roots: Vec<Edge>,
}

/// A package of a lockfile.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Package {
    /// The project.
    pub(crate) name: Name,
    /// The version; none, where only building it tells.
    pub(crate) version: Option<Version>,
    /// Where it is from.
    pub(crate) origin: Origin,
    /// The files to choose from; none, if the index has to say which there are.
    pub(crate) files: Vec<File>,
    /// The checksums that files may have, where the lockfile does not say of which they are.
    pub(crate) hashes: Vec<Hash>,
    /// What it leads to.
    pub(crate) edges: Vec<Edge>,
}

/// Where a package of a lockfile is from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Origin {
    /// An index: its address or name, if the lockfile says it.
    Index(Option<String>),
    /// An archive at an address.
    Url(String),
    /// A repository of sources, which is no index's: which kind, where, and at which commit.
    Repository(String),
    /// The project itself, or something beside it.
    Local(String),
}

/// A file of a package.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct File {
    /// Its name.
    pub(crate) name: String,
    /// Its address, if the lockfile says it.
    pub(crate) url: Option<String>,
    /// Its size in bytes, if the lockfile says it.
    pub(crate) size: Option<u64>,
    /// Its checksums.
    pub(crate) hashes: Vec<Hash>,
}

/// A checksum.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Hash {
    /// The algorithm, as Python calls it: `sha256`.
    pub(crate) algorithm: String,
    /// The digest in lower-case hexadecimal.
    pub(crate) hex: String,
}

/// What leads from one package to another, or into the lockfile.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Edge {
    /// The number of the package that it leads to.
    pub(crate) to: usize,
    /// The extras that are wanted of it.
    pub(crate) extras: Vec<Name>,
    /// Whose it is.
    pub(crate) of: Owner,
    /// Only where this holds.
    pub(crate) marker: Option<Marker>,
}

/// Whose an edge is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Owner {
    /// The package itself.
    Package,
    /// One of its extras.
    Extra(Name),
    /// One of the project's groups of dependencies.
    Group(Name),
}

impl Hash {
    /// Reads `sha256:hex`, as lockfiles write it.
    ///
    /// # Errors
    /// If it is no algorithm with a digest of its length.
    pub(crate) fn parse(text: &str) -> Result<Hash, Unreadable> {
        let fail = |why: &str| Unreadable::new(text, "checksum", why);
        let (algorithm, hex) =
            text.trim().split_once([':', '=']).ok_or_else(|| fail("write it as sha256:HEX"))?;
        Hash::new(algorithm, hex).ok_or_else(|| fail("it is no digest of an algorithm that is known"))
    }

    /// A digest of an algorithm; `None`, if it has another length, or nobody knows the algorithm.
    pub(crate) fn new(algorithm: &str, hex: &str) -> Option<Hash> {
        let algorithm = algorithm.to_ascii_lowercase();
        let length = match algorithm.as_str() {
            "md5" => 32,
            "sha1" => 40,
            "sha224" => 56,
            "sha256" | "blake2s" => 64,
            "sha384" => 96,
            "sha512" | "blake2b" => 128,
            _ => return None,
        };
        let is_digest = hex.len() == length && hex.bytes().all(|byte| byte.is_ascii_hexdigit());
        is_digest.then(|| Hash { algorithm, hex: hex.to_ascii_lowercase() })
    }
}

impl Edge {
    /// An edge without conditions, into a package itself.
    pub(super) fn to(to: usize) -> Edge {
        Edge { to, extras: Vec::new(), of: Owner::Package, marker: None }
    }
}

impl Lock {
    /// Whether it was made for a target, too.
    pub(crate) fn is_for(&self, target: &Target) -> bool {
        let python = self.requires_python.as_ref().is_none_or(|pythons| target.has_python(pythons));
        let holds = |marker: &Marker| marker.holds(&target.environment, Chosen::default());
        python && (self.environments.is_empty() || self.environments.iter().any(holds))
    }

    /// The packages that a target needs, with these extras and groups of the project; in the lockfile's order.
    pub(crate) fn packages_for(&self, target: &Target, chosen: Chosen<'_>) -> Vec<&Package> {
        let mut entered = HashSet::new();
        let mut needed = BTreeSet::new();
        let mut waiting = Vec::new();
        let is_chosen = |edge: &Edge| match &edge.of {
            Owner::Package => true,
            Owner::Extra(extra) => chosen.extras.contains(extra),
            Owner::Group(group) => chosen.groups.contains(group),
        };
        let holds =
            |edge: &Edge| edge.marker.as_ref().is_none_or(|marker| marker.holds(&target.environment, chosen));
        let enter = |edge: &Edge, waiting: &mut Vec<(usize, Option<Name>)>| {
            waiting.push((edge.to, None));
            waiting.extend(edge.extras.iter().map(|extra| (edge.to, Some(extra.clone()))));
        };
        for edge in self.roots.iter().filter(|edge| is_chosen(edge) && holds(edge)) {
            enter(edge, &mut waiting);
        }
        while let Some((number, extra)) = waiting.pop() {
            if !entered.insert((number, extra.clone())) {
                continue;
            }
            needed.insert(number);
            let Some(package) = self.packages.get(number) else { continue };
            let of = |edge: &&Edge| match (&edge.of, &extra) {
                (Owner::Package, None) => true,
                (Owner::Extra(of), Some(extra)) => of == extra,
                _ => false,
            };
            for edge in package.edges.iter().filter(of).filter(|edge| holds(edge)) {
                enter(edge, &mut waiting);
            }
        }
        needed.into_iter().filter_map(|number| self.packages.get(number)).collect()
    }
}

/// The last part of an address, which names a file.
pub(super) fn file_name(url: &str) -> String {
    let path = url.split(['?', '#']).next().unwrap_or_default();
    let last = path.rsplit('/').next().unwrap_or_default();
    // Local versions have a `+`, which addresses may write otherwise.
    last.replace("%2B", "+").replace("%2b", "+")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn checksums_are_read_strictly() {
        let hex = "AB".repeat(32);
        assert_eq!(Hash::parse(&format!("sha256:{hex}")).unwrap().hex, hex.to_lowercase());
        assert_eq!(Hash::parse(&format!("sha256={hex}")).unwrap().algorithm, "sha256");
        for bad in
            ["", "sha256", "sha256:", "sha256:abc", "crc:00000000", &format!("sha1:{hex}"), &"g".repeat(64)]
        {
            assert!(Hash::parse(bad).is_err(), "{bad:?}");
        }
        assert_eq!(
            file_name("https://files.example.test/a/p-1%2Bcu1-py3-none-any.whl#x"),
            "p-1+cu1-py3-none-any.whl"
        );
    }
}
