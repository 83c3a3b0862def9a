//! In which order packages are tried that would all meet a dependency.

use std::cmp::Ordering;

use super::super::universe::{Dependency, MultiArch, PackageId, VersionId};
use super::plan::{Action, Plan};

/// Which versions may be tried.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Among {
    Candidates,
    Installed,
}

impl Plan<'_> {
    /// The versions that meet one of a group, the best first: of what is installed before what is new, and otherwise
    /// alternative after alternative.
    pub(super) fn solutions(&self, asking: VersionId, group: &[Dependency], among: Among) -> Vec<VersionId> {
        let (mut installed, mut new) = (Vec::new(), Vec::new());
        for dependency in group {
            let mut meeting = self.meeting(asking, dependency, among);
            meeting.sort_by(|one, other| self.preference(dependency, *one, *other));
            for version in meeting {
                let is_installed = self.universe.installed(self.universe.package(version)).is_some();
                if is_installed { &mut installed } else { &mut new }.push(version);
            }
        }
        installed.append(&mut new);
        self.open(installed, group)
    }

    /// Every version that is installed or a candidate and meets one of a group, in no particular order.
    pub(super) fn all_solutions(&self, asking: VersionId, group: &[Dependency]) -> Vec<VersionId> {
        let mut found: Vec<VersionId> = group
            .iter()
            .flat_map(|dependency| {
                let mut found = self.meeting(asking, dependency, Among::Candidates);
                found.extend(self.meeting(asking, dependency, Among::Installed));
                found
            })
            .collect();
        found.sort_unstable();
        self.open(found, group)
    }

    fn meeting(&self, asking: VersionId, dependency: &Dependency, among: Among) -> Vec<VersionId> {
        match among {
            Among::Candidates => {
                let hit = self.holds_with_candidates(asking, dependency) != dependency.kind.is_negative();
                if !hit {
                    return Vec::new();
                }
                self.universe.meeting(asking, dependency, |package| self.candidate(package)).collect()
            }
            Among::Installed => self
                .universe
                .meeting(asking, dependency, |package| self.universe.installed(package))
                .collect(),
        }
    }

    /// Leaves out what comes twice in a row, and what is decided not to be there.
    fn open(&self, mut versions: Vec<VersionId>, group: &[Dependency]) -> Vec<VersionId> {
        versions.dedup();
        if group.iter().all(|dependency| !dependency.kind.is_negative()) {
            versions.retain(|version| {
                let package = self.universe.package(*version);
                let absent = match self.action(package) {
                    Action::Remove => true,
                    Action::Keep => self.universe.installed(package).is_none(),
                    Action::Install => false,
                };
                !(self.is_protected(package) && absent)
            });
        }
        versions
    }

    /// The better one is less.
    fn preference(&self, dependency: &Dependency, one: VersionId, other: VersionId) -> Ordering {
        let universe = self.universe;
        let (left, right) = (universe.package(one), universe.package(other));
        // What is true of the better one alone decides.
        let which = |holds: &dyn Fn(PackageId, VersionId) -> bool| holds(right, other).cmp(&holds(left, one));
        let name = |package, _| universe.name(package);
        which(&|package, _| self.is_protected(package))
            .then_with(|| which(&|package, version| self.has_installed_sibling(package, version)))
            .then_with(|| which(&|package, _| universe.installed(package).is_some()))
            .then_with(|| which(&|package, version| name(package, version) == dependency.target))
            .then_with(|| which(&|package, _| universe.is_essential(package)))
            .then_with(|| which(&|package, _| universe.is_important(package)))
            .then_with(|| universe.architecture_of(left).cmp(&universe.architecture_of(right)))
            .then_with(|| universe.priority(one).cmp(&universe.priority(other)))
            // The one that was met last.
            .then_with(|| right.cmp(&left))
    }

    /// Whether it is installed on some architecture, and may be on several.
    fn has_installed_sibling(&self, package: PackageId, version: VersionId) -> bool {
        self.universe.multi_arch(version) == MultiArch::Same
            && self
                .universe
                .packages_of(self.universe.name(package))
                .iter()
                .any(|sibling| self.universe.installed(*sibling).is_some())
    }
}
