//! Which of several requests, that were answered together, led to which packages: for people who ask why something is there.

use std::collections::{BTreeSet, HashMap, HashSet};

use super::solve::Want;
use super::universe::{Kind, Universe, VersionId};

/// Of each of these versions, by their numbers the requests that asked for it, or for what needs it. One that none leads to,
/// because only what is installed already needs it, is there for the sake of all.
pub(super) fn requests_of(
    universe: &Universe,
    wants: &[(usize, Vec<Want>)],
    install: &[VersionId],
    is_followed: impl Fn(Kind) -> bool,
) -> HashMap<VersionId, BTreeSet<usize>> {
    let chosen: HashSet<VersionId> = install.iter().copied().collect();
    let mut led: HashMap<VersionId, BTreeSet<usize>> = HashMap::new();
    for (request, wanted) in wants.iter().filter(|_| wants.len() > 1) {
        let mut next: Vec<VersionId> =
            wanted.iter().flat_map(|want| meant(universe, want, install)).collect();
        while let Some(version) = next.pop() {
            if !led.entry(version).or_default().insert(*request) {
                continue;
            }
            for dependency in universe.dependencies(version).iter().filter(|one| is_followed(one.kind)) {
                let meeting = universe.all_meeting(version, dependency);
                next.extend(meeting.into_iter().filter(|met| chosen.contains(met)));
            }
        }
    }
    let all: BTreeSet<usize> = wants.iter().map(|(request, _)| *request).collect();
    for version in install {
        led.entry(*version).or_insert_with(|| all.clone());
    }
    led
}

/// The versions, of those that are installed, that a want may mean.
fn meant(universe: &Universe, want: &Want, install: &[VersionId]) -> Vec<VersionId> {
    match want {
        Want::Upgrades => install.to_vec(),
        Want::Task(task) => {
            let of_task = universe.task(task);
            install.iter().copied().filter(|version| of_task.contains(version)).collect()
        }
        Want::Package { name, architecture, .. } => {
            let wanted = universe.architecture(architecture.as_deref().unwrap_or("native"));
            let Some(package) = wanted.and_then(|one| universe.find_package(name, one)) else {
                return Vec::new();
            };
            let own: Vec<VersionId> =
                install.iter().copied().filter(|version| universe.package(*version) == package).collect();
            let provide = |version: &VersionId| {
                universe.all_providers_of(package).any(|provide| provide.owner == *version)
            };
            if own.is_empty() { install.iter().copied().filter(provide).collect() } else { own }
        }
    }
}
