//! Installing a package with what it needs, as greedily as apt: the first alternative that can be had is taken, one need
//! after the other, and nothing is taken back but what failed.

use super::super::universe::{Dependency, MultiArch, PackageId, VersionId, groups};
use super::plan::{Action, DEEPEST, Plan};
use super::prefer::Among;

/// Why a package is to be installed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Wish {
    /// Somebody asked for it.
    User,
    /// Another package needs it.
    Need,
}

/// Whether what a package needs is installed with it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Follow {
    Needs,
    Nothing,
}

/// A group of dependencies, and the version that asks for it.
type Group = Vec<Dependency>;

/// What has to be done for a candidate, found before it is chosen.
#[derive(Default)]
struct Work {
    needs: Vec<Group>,
    excludes: Vec<Dependency>,
    /// Installed packages that have to be upgraded with it.
    upgrades: Vec<PackageId>,
    /// Installed packages that go once everything else was done.
    removals: Vec<PackageId>,
}

impl Plan<'_> {
    /// Installs a package's candidate. Gives back whether that went well; what was decided on the way stays.
    pub(super) fn install(&mut self, package: PackageId, follow: Follow, wish: Wish, depth: usize) -> bool {
        let candidate = self.candidate(package);
        let installed = self.universe.installed(package);
        let stays = self.is_protected(package)
            && self.action(package) == Action::Keep
            && candidate.is_some()
            && candidate == installed;
        if !stays && !self.may_change(package, Action::Install, wish, depth) {
            return false;
        }
        let Some(candidate) = candidate else { return false };
        if !self.is_protected(package) && !self.is_incomplete(package) {
            if Some(candidate) == installed {
                return self.choice(package).is_some() || self.keep(package, wish, depth + 1);
            }
            if self.action(package) == Action::Install {
                return true;
            }
        }
        if wish == Wish::Need && !self.keeps_step_with_siblings(package, candidate) {
            return false;
        }
        if follow == Follow::Needs && !self.is_installable(package, candidate) {
            return false;
        }
        match follow {
            Follow::Nothing => {
                self.take(package, wish, follow);
                true
            }
            Follow::Needs => self.install_with_needs(package, candidate, wish, depth),
        }
    }

    fn install_with_needs(
        &mut self,
        package: PackageId,
        candidate: VersionId,
        wish: Wish,
        depth: usize,
    ) -> bool {
        let protected = self.is_protected(package);
        // Others do not fail because of it: it is wanted whatever happens.
        let goes_on = protected || wish == Wish::User;
        if wish == Wish::User {
            self.take(package, wish, Follow::Needs);
        }
        let mut work = self.work_for(candidate, protected);
        let mut succeeded = self.exclude(&mut work, candidate, goes_on, protected, depth);
        if !succeeded && !goes_on {
            return false;
        }
        self.find_dependants(package, candidate, &mut work.upgrades);
        if wish == Wish::Need {
            self.take(package, wish, Follow::Needs);
        }
        // While its needs are looked after, nobody takes it away.
        self.protect(package, true);
        self.upgrade_same_source(package, candidate, depth);
        let upgraded = self.upgrade_or_remove(&work.upgrades, goes_on, protected, depth);
        let provided = (upgraded || goes_on)
            && self.install_needs(package, candidate, &work.needs, goes_on, protected, depth);
        succeeded &= upgraded && provided;
        if succeeded || goes_on {
            for removed in work.removals {
                succeeded &= self.remove(removed, depth);
                if !succeeded && !goes_on {
                    break;
                }
            }
        }
        if !succeeded && !goes_on {
            self.discard(package);
        }
        self.protect(package, protected);
        succeeded
    }

    /// Whether a package's fate may change so.
    fn may_change(&self, package: PackageId, to: Action, wish: Wish, depth: usize) -> bool {
        if depth > DEEPEST || self.universe.versions(package).is_empty() || self.is_exhausted() {
            return false;
        }
        if wish == Wish::User || self.action(package) == to {
            return true;
        }
        let universe = self.universe;
        let refused = match to {
            Action::Keep => false,
            Action::Install => universe.is_held(package),
            Action::Remove => {
                universe.is_held(package) || universe.is_essential(package) || universe.is_important(package)
            }
        };
        !refused && !self.is_protected(package)
    }

    /// Leaves a package as it was.
    pub(super) fn keep(&mut self, package: PackageId, wish: Wish, depth: usize) -> bool {
        if !self.may_change(package, Action::Keep, wish, depth) {
            return false;
        }
        if self.action(package) != Action::Keep {
            self.choose(package, Action::Keep, self.universe.installed(package));
        }
        true
    }

    /// Removes a package, unless a user asked for it.
    pub(super) fn remove(&mut self, package: PackageId, depth: usize) -> bool {
        if !self.may_change(package, Action::Remove, Wish::Need, depth) {
            return false;
        }
        if self.action(package) == Action::Remove || self.choice(package).is_none() {
            return true;
        }
        if self.is_asked_for(package) {
            return false;
        }
        let action = match self.universe.installed(package) {
            Some(_) => Action::Remove,
            None => Action::Keep,
        };
        self.choose(package, action, None);
        true
    }

    /// Whether it is new, and somebody asked for it.
    fn is_asked_for(&self, package: PackageId) -> bool {
        self.universe.installed(package).is_none()
            && self.choice(package).is_some()
            && !self.is_automatic(package)
    }

    /// Chooses the candidate.
    fn take(&mut self, package: PackageId, wish: Wish, follow: Follow) {
        let candidate = self.candidate(package);
        if self.is_protected(package) && self.choice(package) == candidate {
            return;
        }
        let installed = self.universe.installed(package);
        let action = if candidate == installed { Action::Keep } else { Action::Install };
        self.choose(package, action, candidate);
        match wish {
            Wish::User if installed.is_none() || follow == Follow::Needs => {
                self.set_automatic(package, false)
            }
            Wish::Need if installed.is_none() => self.set_automatic(package, true),
            _ => {}
        }
    }

    /// Gives an attempt up: it stays as it was, and nobody is to try its candidate again.
    fn discard(&mut self, package: PackageId) {
        let installed = self.universe.installed(package);
        let (choice, candidate) = (self.choice(package), self.candidate(package));
        if self.action(package) == Action::Keep && choice == candidate && candidate == installed {
            return;
        }
        self.choose(package, Action::Keep, installed);
        self.set_candidate_silently(package, installed);
    }

    /// Nobody is to try its candidate.
    fn discard_candidate(&mut self, package: PackageId) {
        self.set_candidate_silently(package, self.choice(package));
    }

    /// Packages that may be there for several architectures have to be of one version on all that have them.
    fn keeps_step_with_siblings(&self, package: PackageId, candidate: VersionId) -> bool {
        let universe = self.universe;
        let taken = self.action(package) == Action::Install && self.choice(package) == Some(candidate);
        let alone = universe.multi_arch(candidate) != MultiArch::Same;
        if taken || alone || universe.installed(package) == Some(candidate) {
            return true;
        }
        universe.packages_of(universe.name(package)).iter().all(|sibling| {
            if *sibling == package || universe.installed(*sibling).is_none() {
                return true;
            }
            self.candidate(*sibling).is_none_or(|theirs| {
                universe.version_text(theirs) == universe.version_text(candidate)
                    || universe.multi_arch(theirs) != MultiArch::Same
                    || !universe.is_downloadable(theirs)
            })
        })
    }

    /// Whether everything is to be had that it cannot do without. If not, it is no candidate any more.
    fn is_installable(&mut self, package: PackageId, candidate: VersionId) -> bool {
        let installed = self.universe.installed(package);
        if installed == Some(candidate) {
            return true;
        }
        let dependencies = self.universe.dependencies(candidate);
        let installable = groups(&dependencies).all(|group| {
            !group[0].kind.is_critical()
                || group[0].kind.is_negative()
                || self.group_holds(candidate, group)
                || self.group_holds_with_candidates(candidate, group)
        });
        if !installable && !self.is_protected(package) {
            match installed {
                Some(installed) => self.set_candidate(package, installed),
                None => self.set_candidate_silently(package, None),
            }
            if self.action(package) != Action::Remove {
                self.set_action(package, Action::Keep);
            }
        }
        installable
    }

    /// What is not as the candidate wants it. For one that is protected, what is already so counts as well: it is to be
    /// protected too.
    fn work_for(&self, candidate: VersionId, protected: bool) -> Work {
        let mut work = Work::default();
        let dependencies = self.universe.dependencies(candidate);
        for group in groups(&dependencies) {
            if !self.is_important(group[0].kind) || (!protected && self.group_holds(candidate, group)) {
                continue;
            }
            if group[0].kind.is_negative() {
                work.excludes.extend_from_slice(group);
            } else {
                work.needs.push(group.to_vec());
            }
        }
        work
    }

    /// Gets out of the way what the candidate excludes: a candidate is not taken, an installed package is upgraded or
    /// goes.
    fn exclude(
        &mut self,
        work: &mut Work,
        candidate: VersionId,
        goes_on: bool,
        protected: bool,
        depth: usize,
    ) -> bool {
        let mut succeeded = true;
        let mut not_taken = Vec::new();
        for excluded in std::mem::take(&mut work.excludes) {
            let group = std::slice::from_ref(&excluded);
            for version in self.solutions(candidate, group, Among::Candidates) {
                let package = self.universe.package(version);
                if self.candidate(package) != Some(version) {
                    continue;
                }
                let gone = if self.universe.installed(package) == Some(version) {
                    self.remove_for_good(package, protected, &mut work.removals, depth)
                } else if self.action(package) == Action::Install && !self.keep(package, Wish::Need, depth) {
                    false
                } else {
                    if protected {
                        self.discard_candidate(package);
                        if self.universe.installed(package).is_none() {
                            self.protect(package, true);
                        }
                    } else {
                        not_taken.push(package);
                    }
                    true
                };
                succeeded &= gone;
                if !gone && !goes_on {
                    return false;
                }
            }
            for version in self.solutions(candidate, group, Among::Installed) {
                let package = self.universe.package(version);
                let other = self.candidate(package).filter(|other| *other != version);
                let gone = if other.is_some() && !not_taken.contains(&package) {
                    work.upgrades.push(package);
                    true
                } else if self.candidate(package) == self.universe.installed(package) {
                    // Done above.
                    true
                } else {
                    self.remove_for_good(package, protected, &mut work.removals, depth)
                };
                succeeded &= gone;
                if !gone && !goes_on {
                    return false;
                }
            }
        }
        succeeded
    }

    /// Removes an installed package that no upgrade helps: at once for one that is protected, else when all is done.
    fn remove_for_good(
        &mut self,
        package: PackageId,
        protected: bool,
        later: &mut Vec<PackageId>,
        depth: usize,
    ) -> bool {
        if protected {
            if self.action(package) != Action::Remove && !self.remove(package, depth + 1) {
                return false;
            }
            self.discard_candidate(package);
            self.protect(package, true);
            return true;
        }
        if self.action(package) != Action::Remove {
            if !self.may_change(package, Action::Remove, Wish::Need, depth) || self.is_asked_for(package) {
                return false;
            }
            later.push(package);
        }
        true
    }

    /// Installed packages that need the installed version, and would not do with the candidate.
    fn find_dependants(&self, package: PackageId, candidate: VersionId, upgrades: &mut Vec<PackageId>) {
        let universe = self.universe;
        let Some(current) = universe.installed(package) else { return };
        if current == candidate {
            return;
        }
        for dependant in self.dependants(package) {
            let dependency = &dependant.dependency;
            let outdone = self.is_important(dependency.kind)
                && universe.allows(dependency, current)
                && !universe.allows(dependency, candidate);
            let package = dependant.package;
            if outdone && self.action(package) != Action::Install && !upgrades.contains(&package) {
                upgrades.push(package);
            }
        }
    }

    /// Installed packages of the same source are upgraded to the same version of it.
    fn upgrade_same_source(&mut self, package: PackageId, candidate: VersionId, depth: usize) {
        let universe = self.universe;
        let source = universe.source(candidate);
        let others: Vec<PackageId> = self
            .installed
            .iter()
            .copied()
            .filter(|other| {
                let Some(theirs) = self.candidate(*other) else { return false };
                let settled = universe.installed(*other) == Some(theirs)
                    || (self.action(*other) == Action::Install && self.choice(*other) == Some(theirs));
                *other != package && !settled && universe.source(theirs) == source
            })
            .collect();
        for follow in [Follow::Nothing, Follow::Needs] {
            for other in &others {
                self.install(*other, follow, Wish::Need, depth + 1);
            }
        }
    }

    fn upgrade_or_remove(
        &mut self,
        packages: &[PackageId],
        goes_on: bool,
        protected: bool,
        depth: usize,
    ) -> bool {
        let mut succeeded = true;
        for package in packages {
            if self.action(*package) == Action::Install
                || self.install(*package, Follow::Needs, Wish::Need, depth + 1)
            {
                continue;
            }
            if self.remove(*package, depth + 1) {
                if protected {
                    self.protect(*package, true);
                }
            } else {
                succeeded = false;
                if !goes_on {
                    break;
                }
            }
        }
        succeeded
    }

    fn install_needs(
        &mut self,
        package: PackageId,
        candidate: VersionId,
        needs: &[Group],
        goes_on: bool,
        protected: bool,
        depth: usize,
    ) -> bool {
        let mut succeeded = true;
        for group in needs {
            let critical = group[0].kind.is_critical();
            let met = if self.group_holds(candidate, group) {
                if !protected || !critical {
                    continue;
                }
                self.protect_only_solution(candidate, group, depth)
            } else if !critical && !self.is_worth_following(package, group) {
                continue;
            } else {
                self.install_first_solution(candidate, group, protected && critical, depth)
            };
            if !met && critical {
                succeeded = false;
                if !goes_on {
                    break;
                }
            }
        }
        succeeded
    }

    /// What a protected package needs, and only one package gives, is protected with it.
    fn protect_only_solution(&mut self, candidate: VersionId, group: &[Dependency], depth: usize) -> bool {
        let solutions = self.all_solutions(candidate, group);
        let [only] = solutions[..] else { return true };
        let only = self.universe.package(only);
        if self.is_protected(only) {
            return true;
        }
        self.protect(only, true);
        self.install(only, Follow::Needs, Wish::Need, depth + 1)
    }

    fn install_first_solution(
        &mut self,
        candidate: VersionId,
        group: &[Dependency],
        protected: bool,
        depth: usize,
    ) -> bool {
        let solutions = self.solutions(candidate, group, Among::Candidates);
        let only = solutions.len() == 1;
        for version in solutions {
            let package = self.universe.package(version);
            if self.candidate(package) != Some(version) {
                continue;
            }
            if protected && only {
                if !self.install(package, Follow::Nothing, Wish::Need, depth + 1) {
                    continue;
                }
                self.protect(package, true);
            }
            if self.install(package, Follow::Needs, Wish::Need, depth + 1) {
                return true;
            }
        }
        false
    }

    /// What an upgraded package recommends is only installed if the installed version did not recommend it, or had it.
    fn is_worth_following(&self, package: PackageId, group: &[Dependency]) -> bool {
        let Some(current) = self.universe.installed(package) else { return true };
        let target = self.universe.target(&group[0]);
        let dependencies = self.universe.dependencies(current);
        let mut recommended_before = false;
        for before in groups(&dependencies) {
            let kind = before[0].kind;
            if kind.is_critical() || !self.is_important(kind) {
                continue;
            }
            // From the member that names it to the end of its group.
            let Some(place) = before.iter().position(|one| self.universe.target(one) == target) else {
                continue;
            };
            recommended_before = true;
            if place < before.len() && self.group_holds_now(current, before) {
                return true;
            }
        }
        !recommended_before
    }
}
