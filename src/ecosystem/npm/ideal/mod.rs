//! What `npm install` would choose where no lockfile says it: npm's *ideal tree*.
//!
//! Which versions npm installs follows from where it puts them: what stands in the tree already, where a package can see it, is
//! taken; only otherwise the registry's best. So the tree is built here as npm builds it, decision by decision: which package
//! is looked at next ([`builder`]), what it brings along that has to stand beside it ([`peers`]), where that may go
//! ([`check`]), and what then makes room or is needless ([`place`]). [`tree`] holds it, [`fit`] says what fits what,
//! [`rules`] are the project's overrides, [`explain`] says what stands in whose way, and [`finish`] makes a lockfile of it,
//! which is followed like any other.
//!
//! A package that brings an `npm-shrinkwrap.json` along has all that is in it, and nothing else, in its own `node_modules`.
//!
//! What packages say is [`known`] beforehand; where it isn't, building stops and says what it needs.

mod builder;
mod check;
mod collation;
mod explain;
mod finish;
mod fit;
mod known;
mod manifest;
mod peers;
mod place;
mod project;
mod rules;
#[cfg(test)]
mod tests;
mod tree;

use std::collections::BTreeSet;

pub(crate) use self::finish::Failed;
pub(crate) use self::known::{Known, Look, Need, Needs};
pub(crate) use self::manifest::{Dependency, Manifest, Origin};
pub(crate) use self::peers::joined;
pub(crate) use self::project::{Directory, Project};
use super::lock::Lock;
use crate::problem::Problem;

/// How many questions may be asked where something can be put: real projects ask some ten thousand.
const EFFORT: u64 = 10_000_000;
/// How many nodes and edges may be made, those included that are only tried.
const LARGEST: usize = 8_000_000;

/// How a tree is built, as npm's configuration has it.
#[derive(Debug, Clone)]
pub(crate) struct Settings {
    /// Whether a peer that doesn't fit is always an error (`strict-peer-deps`).
    pub(crate) is_strict: bool,
    /// Whether nothing is wanted beside anything (`legacy-peer-deps`).
    pub(crate) ignores_peers: bool,
    /// Whether what is there is rather kept than something newer taken (`prefer-dedupe`).
    pub(crate) prefers_fewer: bool,
    /// How many questions may be asked where something can be put.
    pub(crate) effort: u64,
}

impl Default for Settings {
    fn default() -> Settings {
        Settings { is_strict: false, ignores_peers: false, prefers_fewer: false, effort: EFFORT }
    }
}

/// A tree that was built.
#[derive(Debug, Default)]
pub(crate) struct Ideal {
    /// As the lockfile that npm would write, without addresses and checksums.
    pub(crate) lock: Lock,
    /// Names and versions that are nowhere in it, but that npm asks registries for while it builds it: it cannot go on
    /// without knowing what they want beside them.
    pub(crate) beside: BTreeSet<(String, String)>,
    /// What is needed and could not be had.
    pub(crate) failed: Vec<Failed>,
    /// The peers that don't get what they ask for: who asks, for what, and what is there instead.
    pub(crate) overruled: Vec<(String, String, String)>,
}

/// What came of building a tree.
pub(crate) enum Outcome {
    /// It is built.
    Built(Box<Ideal>),
    /// These have to be known first; then it is begun anew.
    Needs(Needs),
    /// Two wishes contradict each other: what npm would say of it (`ERESOLVE`), line by line.
    Conflict(Vec<String>),
    /// There is no end of it.
    Endless,
}

/// Builds the tree of a project, as far as enough is known. Computes long: call it where that is allowed.
///
/// # Errors
/// If the project's overrides cannot be followed.
pub(crate) fn build(project: &Project, known: &dyn Known, settings: Settings) -> Result<Outcome, Problem> {
    Ok(builder::Builder::new(project, known, settings)?.build())
}
