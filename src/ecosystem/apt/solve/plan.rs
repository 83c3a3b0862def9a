//! What is to become of each package, while it is being decided.
//!
//! For every package there is the *candidate*, which would be installed, and the *choice*: the version that will be there
//! in the end. Whether a dependency is met is asked of the choices, never remembered.

use std::cell::Cell;
use std::collections::HashMap;

use super::super::preferences::Policy;
use super::super::universe::{Dependency, Kind, PackageId, Universe, VersionId, groups};

/// What is done with a package.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Action {
    /// It stays as it is, there or not.
    Keep,
    /// Its candidate is installed.
    Install,
    Remove,
}

/// How far a chain of needs is followed, as in apt. Longer ones are given up.
pub(super) const DEEPEST: usize = 3000;

/// How many dependencies are looked at before it is given up. An upgrade of a thousand packages to the next release looks
/// at 34,000; only what is made for it takes more.
const MOST_LOOKS: u64 = 50_000_000;

/// What is known of one package.
#[derive(Debug, Clone, Copy)]
struct State {
    candidate: Option<VersionId>,
    /// The candidate that those who depend on it believe in. apt discards candidates in silence at times, and what is
    /// chosen then depends on who has not noticed.
    announced: Option<VersionId>,
    choice: Option<VersionId>,
    action: Action,
    /// Nothing but a wish of the user may change what is done with it.
    protected: bool,
    /// It is there only because another needs it.
    automatic: bool,
}

/// An installed package that needs another one.
pub(super) struct Dependant {
    pub(super) package: PackageId,
    pub(super) dependency: Dependency,
}

fn dependants(universe: &Universe, installed: &[PackageId]) -> HashMap<PackageId, Vec<Dependant>> {
    let mut versions: Vec<VersionId> =
        installed.iter().filter_map(|package| universe.installed(*package)).collect();
    // As they were met.
    versions.sort_unstable();
    let mut dependants: HashMap<PackageId, Vec<(usize, Dependant)>> = HashMap::new();
    let mut met = 0;
    for version in versions {
        for dependency in universe.dependencies(version).iter().filter(|one| !one.kind.is_negative()) {
            if let Some(target) = universe.target(dependency) {
                met += 1;
                let dependant = Dependant { package: universe.package(version), dependency: *dependency };
                dependants.entry(target).or_default().push((met, dependant));
            }
        }
    }
    let in_order = |mut of_one: Vec<(usize, Dependant)>| {
        of_one.sort_by_key(|(met, dependant)| dependant.dependency.mention.order(*met));
        of_one.into_iter().map(|(_, dependant)| dependant).collect()
    };
    dependants.into_iter().map(|(package, of_one)| (package, in_order(of_one))).collect()
}

/// What is to become of a universe's packages.
pub(super) struct Plan<'a> {
    pub(super) universe: &'a Universe,
    states: Vec<State>,
    pub(super) recommends: bool,
    pub(super) suggests: bool,
    /// The packages that are installed before anything is done, in the order of their numbers.
    pub(super) installed: Vec<PackageId>,
    /// What installed packages need of others.
    dependants: HashMap<PackageId, Vec<Dependant>>,
    /// Packages whose choice ever was something, so that nobody has to look through all.
    touched: Vec<PackageId>,
    /// How many dependencies were looked at.
    looks: Cell<u64>,
}

impl<'a> Plan<'a> {
    /// One that leaves everything as it is.
    pub(super) fn new(
        universe: &'a Universe,
        policy: &Policy,
        (recommends, suggests): (bool, bool),
    ) -> Plan<'a> {
        let states = universe
            .packages()
            .map(|package| {
                let candidate = policy.candidate(universe, package);
                State {
                    candidate,
                    announced: candidate,
                    choice: universe.installed(package),
                    action: Action::Keep,
                    protected: false,
                    automatic: universe.is_automatic(package),
                }
            })
            .collect();
        let installed: Vec<PackageId> =
            universe.packages().filter(|package| universe.installed(*package).is_some()).collect();
        let dependants = dependants(universe, &installed);
        Plan {
            universe,
            states,
            recommends,
            suggests,
            dependants,
            touched: installed.clone(),
            installed,
            looks: Cell::new(0),
        }
    }

    /// The dependencies of installed packages on one, in apt's order.
    pub(super) fn dependants(&self, package: PackageId) -> &[Dependant] {
        self.dependants.get(&package).map_or(&[], |dependants| dependants)
    }

    fn state(&mut self, package: PackageId) -> &mut State {
        &mut self.states[package.index()]
    }

    pub(super) fn candidate(&self, package: PackageId) -> Option<VersionId> {
        self.states[package.index()].candidate
    }

    pub(super) fn choice(&self, package: PackageId) -> Option<VersionId> {
        self.states[package.index()].choice
    }

    pub(super) fn action(&self, package: PackageId) -> Action {
        self.states[package.index()].action
    }

    pub(super) fn is_protected(&self, package: PackageId) -> bool {
        self.states[package.index()].protected
    }

    pub(super) fn is_automatic(&self, package: PackageId) -> bool {
        self.states[package.index()].automatic
    }

    pub(super) fn protect(&mut self, package: PackageId, protected: bool) {
        self.state(package).protected = protected;
    }

    pub(super) fn set_automatic(&mut self, package: PackageId, automatic: bool) {
        self.state(package).automatic = automatic;
    }

    /// Whether more was tried than any honest archive asks for.
    pub(super) fn is_exhausted(&self) -> bool {
        self.looks.get() > MOST_LOOKS
    }

    /// Decides, and lets those who depend on it know its candidate.
    pub(super) fn choose(&mut self, package: PackageId, action: Action, choice: Option<VersionId>) {
        if choice.is_some() && self.choice(package).is_none() && self.universe.installed(package).is_none() {
            self.touched.push(package);
        }
        let state = self.state(package);
        (state.action, state.choice, state.announced) = (action, choice, state.candidate);
    }

    /// Only says what is done, as apt does where it discards a candidate.
    pub(super) fn set_action(&mut self, package: PackageId, action: Action) {
        self.state(package).action = action;
    }

    /// Another candidate, which everybody learns of.
    pub(super) fn set_candidate(&mut self, package: PackageId, candidate: VersionId) {
        let state = self.state(package);
        if state.candidate == Some(candidate) {
            return;
        }
        if state.candidate == state.choice && state.action == Action::Install {
            state.choice = Some(candidate);
        }
        (state.candidate, state.announced) = (Some(candidate), Some(candidate));
    }

    /// Another candidate, which nobody learns of.
    pub(super) fn set_candidate_silently(&mut self, package: PackageId, candidate: Option<VersionId>) {
        self.state(package).candidate = candidate;
    }

    /// Whether a later version than the installed one, or any if none is, is to be had.
    pub(super) fn is_upgradable(&self, package: PackageId) -> bool {
        match (self.universe.installed(package), self.candidate(package)) {
            (_, None) => false,
            (None, Some(_)) => true,
            (Some(installed), Some(candidate)) => {
                // Versions stand in their order, the latest first.
                let versions = self.universe.versions(package);
                let place = |version| versions.iter().position(|one| *one == version);
                place(candidate) < place(installed)
            }
        }
    }

    /// Whether it is installed now where nothing was.
    pub(super) fn is_new(&self, package: PackageId) -> bool {
        self.action(package) == Action::Install && self.universe.installed(package).is_none()
    }

    /// The packages that are there in the end, in the order of their numbers.
    pub(super) fn chosen(&self) -> Vec<PackageId> {
        let mut chosen: Vec<PackageId> =
            self.touched.iter().copied().filter(|package| self.choice(*package).is_some()).collect();
        chosen.sort_unstable();
        chosen.dedup();
        chosen
    }

    /// Whether a dependency counts: what is recommended or suggested does where that is wished.
    pub(super) fn is_important(&self, kind: Kind) -> bool {
        match kind {
            Kind::Recommends => self.recommends,
            Kind::Suggests => self.suggests,
            _ => true,
        }
    }

    /// Whether a dependency holds in the end: one that is negative if nobody is hit by it.
    pub(super) fn holds(&self, asking: VersionId, dependency: &Dependency) -> bool {
        self.looks.set(self.looks.get() + 1);
        let met = self.universe.is_met(asking, dependency, |package| self.choice(package));
        met != dependency.kind.is_negative()
    }

    /// The same for what is installed before anything is done.
    pub(super) fn holds_now(&self, asking: VersionId, dependency: &Dependency) -> bool {
        let met = self.universe.is_met(asking, dependency, |package| self.universe.installed(package));
        met != dependency.kind.is_negative()
    }

    /// The same if everybody had their candidate, so far as that is known.
    pub(super) fn holds_with_candidates(&self, asking: VersionId, dependency: &Dependency) -> bool {
        let announced = |package: PackageId| self.states[package.index()].announced;
        let met = self.universe.is_met(asking, dependency, announced);
        met != dependency.kind.is_negative()
    }

    /// Whether one member of a group holds in the end.
    pub(super) fn group_holds(&self, asking: VersionId, group: &[Dependency]) -> bool {
        group.iter().any(|dependency| self.holds(asking, dependency))
    }

    pub(super) fn group_holds_now(&self, asking: VersionId, group: &[Dependency]) -> bool {
        group.iter().any(|dependency| self.holds_now(asking, dependency))
    }

    pub(super) fn group_holds_with_candidates(&self, asking: VersionId, group: &[Dependency]) -> bool {
        group.iter().any(|dependency| self.holds_with_candidates(asking, dependency))
    }

    /// Whether a package that is there in the end lacks what it cannot do without.
    pub(super) fn is_broken(&self, package: PackageId) -> bool {
        self.choice(package).is_some_and(|version| self.lacks(version, Kind::is_critical))
    }

    /// Whether it lacks that, or what counts otherwise.
    pub(super) fn is_incomplete(&self, package: PackageId) -> bool {
        self.choice(package).is_some_and(|version| self.lacks(version, |kind| self.is_important(kind)))
    }

    fn lacks(&self, version: VersionId, counts: impl Fn(Kind) -> bool) -> bool {
        let dependencies = self.universe.dependencies(version);
        groups(&dependencies).any(|group| counts(group[0].kind) && !self.group_holds(version, group))
    }

    /// Whether an installed package lacks what it cannot do without before anything is done.
    pub(super) fn was_broken(&self, package: PackageId) -> bool {
        let Some(version) = self.universe.installed(package) else { return false };
        let dependencies = self.universe.dependencies(version);
        groups(&dependencies)
            .any(|group| group[0].kind.is_critical() && !self.group_holds_now(version, group))
    }

    /// The packages that lack what they cannot do without.
    pub(super) fn broken(&self) -> Vec<PackageId> {
        self.chosen().into_iter().filter(|package| self.is_broken(*package)).collect()
    }
}
