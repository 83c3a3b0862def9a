//! What a version of a package says that a tree is built from.

use std::sync::Arc;

use crate::ecosystem::npm::lock::EdgeKind;
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
