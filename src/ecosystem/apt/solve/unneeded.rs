//! Leaving out what was to be installed for something that then was not.

use super::super::universe::{PackageId, Priority, VersionId};
use super::install::{Follow, Wish};
use super::plan::Plan;

impl Plan<'_> {
    /// Gives up new packages that nobody asked for and nothing needs, recommends or suggests.
    pub(super) fn drop_unneeded(&mut self) {
        let mut dropped: Vec<PackageId> = Vec::new();
        for package in self.unneeded() {
            if self.is_new(package) && self.remove(package, 0) {
                dropped.push(package);
            }
        }
        let incomplete = |plan: &Self| plan.chosen().into_iter().any(|package| plan.is_incomplete(package));
        if dropped.is_empty() || !incomplete(self) {
            return;
        }
        // Unneeded is not the same as without use: put back what something that stays asks for by name.
        while let Some(place) = dropped.iter().position(|package| self.is_asked_for_by_another(*package)) {
            let package = dropped.remove(place);
            self.install(package, Follow::Nothing, Wish::Need, 0);
        }
    }

    /// Packages that are there and that nobody needs.
    pub(super) fn unneeded(&self) -> Vec<PackageId> {
        let needed = self.needed();
        self.chosen().into_iter().filter(|package| !needed[package.index()]).collect()
    }

    /// For each package, whether something that is wanted for itself leads to it.
    fn needed(&self) -> Vec<bool> {
        let universe = self.universe;
        let mut needed = vec![false; universe.package_count()];
        let mut open: Vec<VersionId> = Vec::new();
        for package in self.chosen() {
            let Some(version) = self.choice(package) else { continue };
            let installed = universe.installed(package);
            let wanted = !self.is_automatic(package)
                || self.is_protected(package)
                || universe.is_essential(package)
                || universe.is_important(package)
                || universe.is_held(package)
                || installed.is_some_and(|version| universe.priority(version) == Priority::Required);
            if wanted {
                needed[package.index()] = true;
                open.push(version);
            }
        }
        while let Some(version) = open.pop() {
            for dependency in &*universe.dependencies(version) {
                if dependency.kind.is_negative() {
                    continue;
                }
                for met in universe.meeting(version, dependency, |package| self.choice(package)) {
                    let package = universe.package(met);
                    if !needed[package.index()] {
                        needed[package.index()] = true;
                        open.push(met);
                    }
                }
            }
        }
        needed
    }

    /// Whether something that is there names it, or something that it provides.
    fn is_asked_for_by_another(&self, package: PackageId) -> bool {
        let universe = self.universe;
        let Some(candidate) = self.candidate(package) else { return false };
        let is_it = |target: PackageId| {
            target == package || universe.all_providers_of(target).any(|provide| provide.owner == candidate)
        };
        self.chosen().into_iter().filter_map(|other| self.choice(other)).any(|version| {
            universe.dependencies(version).iter().any(|dependency| {
                !dependency.kind.is_negative()
                    && self.is_important(dependency.kind)
                    && universe.target(dependency).is_some_and(is_it)
            })
        })
    }
}
