//! Upgrading all that is installed, as `apt-get dist-upgrade` does.

use super::super::universe::PackageId;
use super::install::{Follow, Wish};
use super::plan::{Action, Plan};

impl Plan<'_> {
    /// Gives everything that is installed its candidate, and installs what a machine cannot be without. What that breaks
    /// is left for [`Plan::repair`]. Gives back the packages that are held, which have to stay as if that was asked for.
    pub(super) fn upgrade_all(&mut self) -> Vec<PackageId> {
        let mut installed = self.installed.clone();
        self.universe.sort_as_table(&mut installed);
        // First without what they need, so that an alternative that is there already is upgraded rather than another one
        // installed; last once more, so that all exclusions are looked after.
        self.upgrade_each(&installed, Follow::Nothing);
        self.upgrade_each(&installed, Follow::Needs);
        for package in self.missing_essential() {
            self.install(package, Follow::Needs, Wish::Need, 0);
        }
        self.upgrade_each(&installed, Follow::Nothing);
        let held: Vec<PackageId> =
            installed.into_iter().filter(|package| self.universe.is_held(*package)).collect();
        for package in &held {
            self.protect(*package, true);
            self.keep(*package, Wish::Need, 0);
        }
        held
    }

    fn upgrade_each(&mut self, packages: &[PackageId], follow: Follow) {
        for package in packages {
            self.install(*package, follow, Wish::Need, 0);
        }
    }

    /// Essential packages of which no architecture is there.
    fn missing_essential(&self) -> Vec<PackageId> {
        let universe = self.universe;
        let siblings = |package: PackageId| universe.packages_of(universe.name(package)).iter().copied();
        let is_there = |package: PackageId| self.action(package) == Action::Install;
        let mut essential: Vec<PackageId> =
            universe.packages().filter(|package| universe.is_essential(*package)).collect();
        universe.sort_as_table(&mut essential);
        let mut missing: Vec<PackageId> = essential
            .into_iter()
            .filter(|package| !siblings(*package).any(|one| universe.is_essential(one) && is_there(one)))
            .filter_map(|package| universe.preferred(universe.name(package)))
            .collect();
        missing.dedup();
        missing
    }
}
