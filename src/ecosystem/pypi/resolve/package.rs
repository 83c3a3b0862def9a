//! What PubGrub decides about: projects, and the extras of projects as packages of their own.

use std::fmt;

use crate::ecosystem::pypi::name::Name;

/// A package of PubGrub's.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) enum Package {
    /// What was asked for.
    Root,
    /// A project.
    Project(Name),
    /// An extra of a project: it needs the project in its own version, and what the extra adds.
    Extra(Name, Name),
}

impl Package {
    /// The project that it is of.
    pub(super) fn project(&self) -> Option<&Name> {
        match self {
            Package::Root => None,
            Package::Project(name) | Package::Extra(name, _) => Some(name),
        }
    }
}

impl fmt::Display for Package {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Package::Root => f.write_str("what is asked for"),
            Package::Project(name) => write!(f, "{name}"),
            Package::Extra(name, extra) => write!(f, "{name}[{extra}]"),
        }
    }
}
