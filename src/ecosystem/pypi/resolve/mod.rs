//! From requirements to one version of each project, for one target: PubGrub, with pip's and uv's rules.
//!
//! Nothing is fetched here. [`solve`] is asked with what is known ([`Candidates`]); where that is not enough it says what it
//! would look at next ([`Need`]), everything that can be told at once, and is asked again when that is there. A round costs
//! what its decisions cost, and there are about twice as many as dependencies are deep.
//!
//! [`provider`] answers PubGrub's questions, and [`explain`] says in words why there is no answer to ours.

mod candidates;
mod explain;
mod package;
mod provider;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use pubgrub::PubGrubError;

pub(crate) use candidates::{Candidates, Need, Origin};
use package::Package;
use provider::{Provider, Stop};

use super::name::Name;
use super::release::Formats;
use super::requirement::Requirement;
use super::target::Target;
use super::version::Version;

/// What is to be resolved.
#[derive(Debug, Clone, Default)]
pub(crate) struct Wanted {
    /// What is asked for.
    pub(crate) requirements: Vec<Requirement>,
    /// What holds for projects that are needed, and makes none needed.
    pub(crate) constraints: Vec<Requirement>,
    /// How many indexes there are. A project is taken from the first that has it, and from no other: else whoever can
    /// publish in one of them could take over a name of another.
    pub(crate) indexes: usize,
    /// Projects that are to be had from one index alone, by its number.
    pub(crate) index_of: HashMap<Name, usize>,
    /// What may be used of some projects.
    pub(crate) formats: HashMap<Name, Formats>,
    /// What may be used of all others; both, if nothing is said.
    pub(crate) other_formats: Option<Formats>,
    /// Whether prereleases are as welcome as releases.
    pub(crate) with_prereleases: bool,
}

/// What came of it.
#[derive(Debug)]
pub(crate) enum Outcome {
    /// One version of each project, by name.
    Solved(Solution),
    /// These have to be known first. Some may turn out not to be needed.
    Needs(Vec<Need>),
    /// Not all that is wanted can be had: who wants what, a line each.
    Conflict(Vec<String>),
}

/// What a target needs.
#[derive(Debug, Default)]
pub(crate) struct Solution {
    /// The projects.
    pub(crate) selected: BTreeMap<Name, Selected>,
    /// What a person should know: extras that do not exist.
    pub(crate) notes: BTreeSet<String>,
}

/// A project's version.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Selected {
    /// The version.
    pub(crate) version: Version,
    /// Where it is from.
    pub(crate) origin: Origin,
    /// The file that the target installs, by its name; of an address, the address.
    pub(crate) file: String,
    /// The extras that are wanted of it.
    pub(crate) extras: Vec<Name>,
}

/// What a run finds out that would have changed what it decided before: then it begins anew. It only grows, so that ends.
#[derive(Debug, Default)]
struct Learned {
    /// Projects that are to be had from an address.
    urls: HashMap<Name, Box<str>>,
    /// Projects of which somebody names a prerelease: they are taken where no release will do.
    tolerant: HashSet<Name>,
    /// Versions that are pinned, and may be yanked.
    pins: HashMap<Name, BTreeSet<Version>>,
}

/// Resolves what is wanted for a target, as far as `candidates` know enough.
pub(crate) fn solve(wanted: &Wanted, target: &Target, candidates: &dyn Candidates) -> Outcome {
    let mut learned = Learned::default();
    loop {
        let provider = Provider::new(wanted, target, candidates, learned);
        let stop = match pubgrub::resolve(&provider, Package::Root, Version::zero()) {
            Ok(decided) => return Outcome::Solved(provider.solution(&decided)),
            Err(PubGrubError::NoSolution(tree)) => {
                return Outcome::Conflict(explain::explain(&tree, &provider));
            }
            Err(PubGrubError::ErrorRetrievingDependencies { source, .. }) => source,
            Err(PubGrubError::ErrorChoosingVersion { source, .. }) => source,
            Err(PubGrubError::ErrorInShouldCancel(source)) => source,
        };
        learned = match stop {
            Stop::Unknown => return Outcome::Needs(provider.into_needs()),
            Stop::Learned => provider.into_learned(),
            Stop::Endless => {
                return Outcome::Conflict(vec![
                    "there are too many combinations to try; constraints help".to_owned(),
                ]);
            }
        };
    }
}
