//! What debootstrap builds a system of.
//!
//! debootstrap knows one suite and nothing of apt's choices: it takes what has the priorities `required` and `important`
//! there, and of all that this needs the first alternative, whichever version it asks for. So what it takes is carried as
//! that suite has it, though another suite may have something newer.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use super::universe::{Kind, NATIVE, Origin, Priority, Universe, VersionId, groups};

/// debootstrap installs these by their names; a suite that lacks one, as those of updates do, is none that it can build from.
const NAMED: [&str; 3] = ["base-passwd", "base-files", "dpkg"];
/// What it takes besides, whatever its priority is: the smaller variants have apt, a mirror that speaks TLS needs to be
/// believed, and where debootstrap merges `/usr` itself it says so by a package. Whether it takes that one or `usrmerge`, which
/// is needed otherwise, depends on the distribution and on how old debootstrap is: both are carried.
const BESIDES: [&str; 3] = ["apt", "ca-certificates", "usr-is-merged"];

/// Of each suite that a system can be built from, by its number, where the packages stand that debootstrap takes.
/// `suite_of` says of which suite an index of the universe is.
pub(super) fn sets(
    universe: &Universe,
    suite_of: impl Fn(u16) -> Option<usize>,
) -> BTreeMap<usize, Vec<(VersionId, Origin)>> {
    // As debootstrap does where a suite has several versions, the last one is taken.
    let mut suites: BTreeMap<usize, HashMap<&str, (VersionId, Origin)>> = BTreeMap::new();
    for package in universe.packages().filter(|package| universe.architecture_of(*package) == NATIVE) {
        for version in universe.versions(package) {
            for origin in universe.origins(*version) {
                let Some(suite) = origin.index.and_then(&suite_of) else { continue };
                let name = universe.name_text(universe.name(package));
                let known = suites.entry(suite).or_default().entry(name).or_insert((*version, origin));
                if (known.1.index, known.1.place) < (origin.index, origin.place) {
                    *known = (*version, origin);
                }
            }
        }
    }
    suites.retain(|_, suite| NAMED.iter().all(|name| suite.contains_key(name)));
    suites.into_iter().map(|(number, suite)| (number, set(universe, &suite))).collect()
}

/// What it takes of one suite.
fn set(universe: &Universe, suite: &HashMap<&str, (VersionId, Origin)>) -> Vec<(VersionId, Origin)> {
    let is_base =
        |version: VersionId| matches!(universe.priority(version), Priority::Required | Priority::Important);
    let bases = suite.iter().filter(|(_, (version, _))| is_base(*version)).map(|(name, _)| *name);
    let mut next: Vec<&str> = bases.chain(BESIDES).collect();
    let mut taken: BTreeSet<&str> = BTreeSet::new();
    let mut set = Vec::new();
    while let Some(name) = next.pop() {
        // What only others provide it does not find, and goes without.
        let Some((version, origin)) = suite.get(name).filter(|_| taken.insert(name)) else { continue };
        set.push((*version, *origin));
        let dependencies = universe.dependencies(*version);
        let needs = groups(&dependencies).filter_map(<[_]>::first);
        let needs = needs.filter(|first| matches!(first.kind, Kind::PreDepends | Kind::Depends));
        next.extend(needs.filter_map(|first| universe.name_text(first.target).split(':').next()));
    }
    set
}
