//! What a version of a package says that a tree is built from.

use std::borrow::Cow;
use std::sync::Arc;

use crate::ecosystem::npm::lock::{EdgeKind, Lock};
use crate::ecosystem::npm::spec::Spec;
use crate::ecosystem::npm::version::Version;
use crate::ecosystem::npm::version_object::VersionObject;

/// A version of a package, as the tree sees it.
#[derive(Debug)]
pub(crate) struct Manifest {
    /// The package's real name.
    pub(crate) name: Arc<str>,
    /// Its version; empty, if it is none that was found.
    pub(crate) version: Arc<str>,
    /// The same, read.
    pub(crate) number: Option<Version>,
    /// What it needs, peers first.
    pub(crate) dependencies: Vec<Dependency>,
    /// Where it comes from.
    pub(crate) origin: Origin,
    /// What its own `npm-shrinkwrap.json` puts into its `node_modules`, whatever is found elsewhere: ordered by paths, so that what
    /// others stand in comes before them.
    pub(crate) shrinkwrap: Vec<Arc<Shrinkwrapped>>,
}

/// A package as another's shrinkwrap has it.
#[derive(Debug)]
pub(crate) struct Shrinkwrapped {
    /// Its path in the other: `node_modules/a/node_modules/b`.
    pub(crate) path: String,
    /// What it is.
    pub(crate) manifest: Arc<Manifest>,
    /// Where it is had, if that is said.
    pub(crate) resolved: Option<String>,
    /// Its checksums as SRI, if they are said.
    pub(crate) integrity: Option<String>,
    /// Whether it comes inside another's tarball.
    pub(crate) in_bundle: bool,
}

/// Where a package comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Origin {
    /// A registry.
    Registry,
    /// A tarball's address.
    Address(String),
    /// A directory of the project, below the project's own; empty for that itself.
    Directory(Arc<str>),
    /// Nowhere: it could not be had.
    Nowhere,
}

/// Something that is needed.
#[derive(Debug, Clone)]
pub(crate) struct Dependency {
    /// The name that it goes by.
    pub(crate) name: Arc<str>,
    /// What is asked for, as written.
    pub(crate) text: Arc<str>,
    /// The same, read.
    pub(crate) spec: Arc<Spec>,
    /// How badly.
    pub(crate) kind: EdgeKind,
}

impl Manifest {
    /// A version with what it needs.
    pub(crate) fn new(
        name: &str,
        version: &str,
        mut dependencies: Vec<Dependency>,
        origin: Origin,
    ) -> Manifest {
        // npm takes peers in before the others, which matters to the order in which sets of peers come together.
        dependencies.sort_by_key(|dependency| match dependency.kind {
            EdgeKind::Peer => 0,
            EdgeKind::OptionalPeer => 1,
            EdgeKind::Runtime => 2,
            EdgeKind::Optional => 3,
        });
        Manifest {
            name: Arc::from(name),
            version: Arc::from(version),
            number: Version::parse(version),
            dependencies,
            origin,
            shrinkwrap: Vec::new(),
        }
    }

    /// The same with what its own shrinkwrap lists. Links in one are to nothing that is published.
    pub(crate) fn with_shrinkwrap(&self, lock: &Lock) -> Manifest {
        let installed =
            lock.nodes().filter(|node| node.path().starts_with("node_modules/") && !node.flags().link);
        let shrinkwrap = installed.map(|node| {
            let needed = node.needs().map(|(name, range, kind)| Dependency::new(name, range, kind));
            let (name, version) = (node.name().unwrap_or_default(), node.version().unwrap_or_default());
            Arc::new(Shrinkwrapped {
                path: node.path().to_owned(),
                manifest: Arc::new(Manifest::new(name, version, needed.collect(), Origin::Registry)),
                resolved: node.resolved().map(Cow::into_owned),
                integrity: node.integrity().map(str::to_owned),
                in_bundle: node.flags().in_bundle,
            })
        });
        Manifest {
            name: self.name.clone(),
            version: self.version.clone(),
            number: self.number.clone(),
            dependencies: self.dependencies.clone(),
            origin: self.origin.clone(),
            shrinkwrap: shrinkwrap.collect(),
        }
    }

    /// What a registry's version says.
    pub(crate) fn of(object: &VersionObject, name: &str, version: &str) -> Manifest {
        let needed = object.edges.iter().map(|(name, range, kind)| Dependency::new(name, range, *kind));
        Manifest::new(name, version, needed.collect(), Origin::Registry)
    }

    /// What stands where something could not be had.
    pub(crate) fn nowhere(name: &str) -> Manifest {
        Manifest::new(name, "", Vec::new(), Origin::Nowhere)
    }
}

impl Dependency {
    /// Reads what is asked for.
    pub(crate) fn new(name: &str, text: &str, kind: EdgeKind) -> Dependency {
        Dependency { name: Arc::from(name), text: Arc::from(text), spec: Arc::new(Spec::read(text)), kind }
    }
}

/// The key by which a directory of packages tells names apart: disks that fold case must not merge two packages.
pub(super) fn key(name: &Arc<str>) -> Arc<str> {
    if name.bytes().any(|byte| byte.is_ascii_uppercase()) {
        Arc::from(name.to_ascii_lowercase())
    } else {
        name.clone()
    }
}
