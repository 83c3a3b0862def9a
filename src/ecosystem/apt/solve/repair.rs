//! Mending what greedy installing left broken, as apt does: every package has a score, by how much others need it, and of
//! two that cannot both be had the one with the lower score gives way.

use super::super::universe::{Dependency, Kind, PackageId, Priority, Text, VersionId, groups};
use super::install::{Follow, Wish};
use super::plan::{Action, DEEPEST, Plan};

/// How often all packages are gone through, at most.
const MOST_ROUNDS: usize = 20;
/// What is asked for is worth this much more, what no machine may lose that much.
const OF_ASKED: i32 = 10_000;
const OF_VITAL: i32 = 5_000;
const OF_ESSENTIAL: i32 = 100;

/// What is mended after.
pub(super) enum After {
    /// Some packages were to be installed.
    Install,
    /// All were upgraded as far as that goes. Those that nothing needed before may go at once.
    Upgrade { unneeded: Vec<PackageId> },
}

/// What is known of the packages while they are mended.
struct Repair<'p, 'u> {
    plan: &'p mut Plan<'u>,
    scores: Vec<i32>,
    /// What somebody asked for.
    asked: Vec<bool>,
    /// Not upgraded by [`Repair::upgrade`] yet.
    upgradable: Vec<bool>,
    /// Was to be installed when mending began.
    meant: Vec<bool>,
    /// Was needed by nothing before anything was done.
    unneeded: Vec<bool>,
    /// Whether a broken package is upgraded for its own sake.
    upgrades: bool,
}

/// What becomes of a package if no member of a group could be made to hold.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Otherwise {
    Remove,
    Keep,
}

/// What the attempt with one member of a group came to.
enum Attempt {
    /// Nothing is left to be tried for this package.
    Settled,
    /// Something was changed.
    Changed,
    /// Packages may have been noted that have to give way.
    Noted,
}

impl Plan<'_> {
    /// Mends what is broken. Gives back whether nothing is any more.
    pub(super) fn repair(&mut self, asked: &[PackageId], after: &After) -> bool {
        if matches!(after, After::Install) {
            self.install_for_broken();
        }
        let count = self.universe.package_count();
        let mut repair = Repair {
            scores: Vec::new(),
            asked: vec![false; count],
            upgradable: vec![true; count],
            meant: vec![false; count],
            unneeded: vec![false; count],
            upgrades: true,
            plan: self,
        };
        if repair.plan.broken().is_empty() {
            return true;
        }
        for package in asked {
            repair.asked[package.index()] = true;
        }
        if let After::Upgrade { unneeded } = after {
            repair.upgrades = false;
            for package in unneeded {
                repair.unneeded[package.index()] = true;
            }
        }
        for package in repair.plan.chosen() {
            repair.meant[package.index()] = repair.plan.action(package) == Action::Install;
        }
        repair.score();
        repair.go_through();
        repair.plan.broken().is_empty()
    }

    /// Upgrades what is installed and broken, as long as that changes anything.
    fn install_for_broken(&mut self) {
        while !self.broken().is_empty() {
            let mut again = false;
            let mut chosen = self.chosen();
            self.universe.sort_as_table(&mut chosen);
            for package in chosen {
                if self.action(package) != Action::Install && self.is_broken(package) {
                    self.install(package, Follow::Nothing, Wish::Need, 0);
                    again |= self.action(package) == Action::Install;
                }
            }
            if !again {
                return;
            }
        }
    }
}

impl Repair<'_, '_> {
    fn go_through(&mut self) {
        let order = self.plan.universe.by_score(&self.scores);
        for round in 0..MOST_ROUNDS {
            let mut changed = false;
            for package in &order {
                if self.plan.is_exhausted() {
                    return;
                }
                self.reinstate(*package);
                if self.plan.is_broken(*package) {
                    changed |= self.mend(*package, round);
                }
            }
            if !changed {
                return;
            }
        }
    }

    /// An upgrade that was given up may be possible by now. It is tried once, and not by anybody else afterwards.
    fn reinstate(&mut self, package: PackageId) {
        let (plan, at) = (&mut *self.plan, package.index());
        let choice = plan.choice(package);
        if !self.meant[at]
            || choice.is_none()
            || choice == plan.candidate(package)
            || plan.universe.installed(package).is_none()
            || plan.is_protected(package)
        {
            return;
        }
        (self.meant[at], self.upgradable[at]) = (false, false);
        let broken = plan.broken().len();
        plan.install(package, Follow::Nothing, Wish::Need, 0);
        if plan.is_broken(package) || plan.broken().len() > broken {
            plan.keep(package, Wish::Need, 0);
        }
    }

    /// Tries to make one package's dependencies hold, or gives it up. Gives back whether anything was changed.
    fn mend(&mut self, package: PackageId, round: usize) -> bool {
        let universe = self.plan.universe;
        let Some(version) = self.plan.choice(package) else { return false };
        let dependencies = universe.dependencies(version);
        let mut changed = false;
        // Packages that are to give way, with the dependencies for whose sake.
        let mut giving_way: Vec<(PackageId, &[Dependency])> = Vec::new();
        'groups: for group in groups(&dependencies) {
            if !group[0].kind.is_critical() {
                continue;
            }
            let several = group.len() > 1;
            let noted = giving_way.len();
            let mut otherwise = Otherwise::Remove;
            let mut holds = false;
            for dependency in group {
                if self.plan.group_holds(version, group) {
                    holds = true;
                    break;
                }
                let attempt = self.try_member(
                    (package, version),
                    (dependency, group),
                    round,
                    &mut otherwise,
                    &mut giving_way,
                );
                changed |= !matches!(attempt, Attempt::Noted);
                match attempt {
                    Attempt::Settled => break 'groups,
                    Attempt::Changed if !several => break 'groups,
                    Attempt::Changed | Attempt::Noted => {}
                }
            }
            if several && !holds && giving_way.len() == noted {
                changed |= self.give_up(package, otherwise);
            }
        }
        if self.plan.choice(package).is_some() {
            for (other, group) in giving_way {
                changed |= self.give_way((package, version), other, group, round);
            }
        }
        changed
    }

    fn give_up(&mut self, package: PackageId, otherwise: Otherwise) -> bool {
        match otherwise {
            Otherwise::Remove if self.plan.is_protected(package) => false,
            Otherwise::Remove => {
                self.plan.remove(package, 0);
                true
            }
            Otherwise::Keep => {
                self.plan.keep(package, Wish::Need, 0);
                true
            }
        }
    }

    fn try_member<'d>(
        &mut self,
        (package, version): (PackageId, VersionId),
        (dependency, group): (&'d Dependency, &'d [Dependency]),
        round: usize,
        otherwise: &mut Otherwise,
        giving_way: &mut Vec<(PackageId, &'d [Dependency])>,
    ) -> Attempt {
        let universe = self.plan.universe;
        let negative = dependency.kind.is_negative();
        let several = group.len() > 1;
        let solutions = universe.all_meeting(version, dependency);
        if solutions.is_empty() && !negative && !self.plan.is_protected(package) {
            if !self.plan.was_broken(package) {
                if several {
                    // That keeping it helps could be another member's doing.
                    return Attempt::Noted;
                }
                self.plan.keep(package, Wish::Need, 0);
                return Attempt::Settled;
            }
            self.keep_or_else(package, several, otherwise, |repair| {
                if !several {
                    repair.plan.remove(package, 0);
                }
            });
            return Attempt::Changed;
        }
        for solution in solutions {
            let other = universe.package(solution);
            if negative && self.plan.choice(other) != Some(solution) {
                continue;
            }
            let weaker = self.scores[package.index()] <= self.scores[other.index()];
            if weaker || (!negative && !self.plan.holds_now(version, dependency)) {
                if self.plan.is_protected(package) {
                    if self.upgrade(other, 0) {
                        let own = self.scores[package.index()];
                        let score = &mut self.scores[other.index()];
                        *score = own.min(*score);
                        break;
                    }
                    continue;
                }
                self.keep_or_else(package, several, otherwise, |repair| {
                    if !repair.upgrades || !repair.upgrade(package, 0) {
                        repair.sacrifice(package, other, dependency, several, round);
                    }
                });
                return Attempt::Changed;
            }
            if dependency.kind == Kind::Breaks && self.plan.group_holds_with_candidates(version, group) {
                self.plan.install(other, Follow::Nothing, Wish::Need, 0);
                continue;
            }
            if self.plan.is_protected(other) && self.plan.action(other) != Action::Remove {
                continue;
            }
            giving_way.push((other, group));
            if !negative {
                break;
            }
        }
        Attempt::Noted
    }

    /// Leaves a package as it was, if that mends it, and does something else if not. Of several members, another may
    /// still hold, so it is only noted that keeping it would do.
    fn keep_or_else(
        &mut self,
        package: PackageId,
        several: bool,
        otherwise: &mut Otherwise,
        act: impl FnOnce(&mut Self),
    ) {
        let was_installed = self.plan.action(package) == Action::Install;
        self.plan.keep(package, Wish::Need, 0);
        if self.plan.is_broken(package) {
            act(self);
            return;
        }
        *otherwise = Otherwise::Keep;
        if several && was_installed {
            self.plan.install(package, Follow::Nothing, Wish::Need, 0);
        }
    }

    /// A package that neither keeping nor upgrading helps.
    fn sacrifice(
        &mut self,
        package: PackageId,
        other: PackageId,
        dependency: &Dependency,
        several: bool,
        round: usize,
    ) {
        if !several || self.unneeded[package.index()] {
            self.plan.remove(package, 0);
            if round > 1 {
                let score = self.scores[other.index()];
                let own = &mut self.scores[package.index()];
                *own = score.max(*own);
            }
            return;
        }
        let plan = &mut *self.plan;
        let Some(target) = plan.universe.target(dependency) else { return };
        if plan.universe.installed(target).is_none()
            && plan.action(target) != Action::Remove
            && plan.candidate(target).is_some()
        {
            let broken = plan.broken().len();
            plan.install(target, Follow::Needs, Wish::Need, 1);
            if plan.is_broken(target) || plan.broken().len() > broken {
                plan.remove(target, 1);
            }
        }
    }

    /// Another package makes room.
    fn give_way(
        &mut self,
        (package, version): (PackageId, VersionId),
        other: PackageId,
        group: &[Dependency],
        round: usize,
    ) -> bool {
        let done = if self.plan.group_holds_now(version, group) {
            self.plan.keep(other, Wish::Need, 0)
        } else {
            group[0].kind.is_negative() && self.plan.remove(other, 0)
        };
        let mut changed = done;
        if !done || round > 1 {
            let own = self.scores[package.index()];
            if own > self.scores[other.index()] {
                self.scores[other.index()] = own;
                changed = true;
            }
        }
        changed
    }

    /// Installs a package's candidate, and upgrades what it needs for that.
    fn upgrade(&mut self, package: PackageId, depth: usize) -> bool {
        let at = package.index();
        if depth > DEEPEST || !self.upgradable[at] || !self.plan.is_upgradable(package) || self.asked[at] {
            return false;
        }
        self.upgradable[at] = false;
        let was_kept = self.plan.action(package) == Action::Keep;
        if !self.plan.install(package, Follow::Nothing, Wish::Need, 0) {
            return false;
        }
        let Some(version) = self.plan.choice(package) else { return false };
        let dependencies = self.plan.universe.dependencies(version);
        let failed = groups(&dependencies)
            .any(|group| group[0].kind.is_critical() && !self.upgrade_for(version, group, depth));
        if failed {
            if was_kept {
                self.plan.keep(package, Wish::Need, 0);
            } else {
                self.plan.remove(package, 0);
            }
        }
        !failed
    }

    /// Makes a group hold by upgrading one of its members.
    fn upgrade_for(&mut self, version: VersionId, group: &[Dependency], depth: usize) -> bool {
        let mut failed = false;
        for dependency in group {
            if self.plan.group_holds(version, group) {
                break;
            }
            let target = self.target_or_provider(version, dependency);
            if target.is_some_and(|target| self.plan.is_protected(target)) {
                failed = true;
            } else if self.plan.holds_with_candidates(version, dependency) {
                failed = !target.is_some_and(|target| self.upgrade(target, depth + 1));
                if !failed {
                    break;
                }
            } else if dependency.kind.is_negative() {
                // Left to the next round.
                break;
            } else {
                failed = true;
            }
        }
        !failed
    }

    fn target_or_provider(&self, asking: VersionId, dependency: &Dependency) -> Option<PackageId> {
        let universe = self.plan.universe;
        let target = universe.target(dependency)?;
        if !universe.versions(target).is_empty() {
            return Some(target);
        }
        let own = universe.package(asking);
        let providers = universe.providers_of(target).map(|provide| universe.package(provide.owner));
        Some(providers.filter(|provider| *provider != own).last().unwrap_or(target))
    }

    /// How much others need each package.
    fn score(&mut self) {
        let (plan, universe) = (&*self.plan, self.plan.universe);
        let mut scores = vec![0_i32; universe.package_count()];
        let chosen = plan.chosen();
        for package in &chosen {
            let Some(version) = plan.choice(*package) else { continue };
            let score = &mut scores[package.index()];
            if universe.is_essential(*package) || universe.is_important(*package) {
                *score += OF_ESSENTIAL;
            }
            *score += match universe.priority(version) {
                _ if !universe.is_downloadable(version) => -2,
                Priority::Unknown => 0,
                Priority::Required => 3,
                Priority::Important => 2,
                Priority::Standard => 1,
                Priority::Optional => -1,
                Priority::Extra => -2,
            };
            let obsolete = !plan.candidate(*package).is_some_and(|version| universe.is_downloadable(version));
            if universe.installed(*package).is_some() && !obsolete {
                *score += 1;
            }
            for dependency in &*universe.dependencies(version) {
                let points = match dependency.kind {
                    Kind::Suggests => continue,
                    kind if kind.is_negative() => -1,
                    _ => 1,
                };
                for scored in self.scored_by(version, dependency) {
                    scores[scored.index()] += points;
                }
            }
        }
        // What depends on a package hands its own score down, once.
        let own = scores.clone();
        for package in &chosen {
            let Some(version) = plan.choice(*package) else { continue };
            let handed = own[package.index()];
            for dependency in &*universe.dependencies(version) {
                let counts = matches!(dependency.kind, Kind::PreDepends | Kind::Depends | Kind::Recommends)
                    && !dependency.names_architecture();
                if let Some(target) = universe.target(dependency)
                    && counts
                    && handed > 0
                    && plan.choice(target).is_some()
                {
                    scores[target.index()] = scores[target.index()].saturating_add(handed);
                }
            }
        }
        // And whoever provides something has what it got.
        let inherited = scores.clone();
        for package in universe.packages() {
            let transfer = (inherited[package.index()] - own[package.index()]).saturating_abs();
            if transfer == 0 {
                continue;
            }
            let mut providers: Vec<PackageId> = universe
                .providers_of(package)
                .filter(|provide| plan.choice(universe.package(provide.owner)) == Some(provide.owner))
                .map(|provide| universe.package(provide.owner))
                .collect();
            providers.sort_unstable();
            providers.dedup();
            for provider in providers {
                scores[provider.index()] = scores[provider.index()].saturating_add(transfer);
            }
        }
        for package in universe.packages() {
            let score = &mut scores[package.index()];
            if self.asked[package.index()] {
                *score = score.saturating_add(OF_ASKED);
            }
            if universe.is_essential(package) || universe.is_important(package) {
                *score = score.saturating_add(OF_VITAL);
            }
        }
        self.scores = scores;
    }

    /// The packages whose score a dependency changes: its target, and whoever provides that. Where a version is asked
    /// for that the target itself does not have, apt scores nobody.
    fn scored_by(&self, version: VersionId, dependency: &Dependency) -> Vec<PackageId> {
        let (plan, universe) = (&*self.plan, self.plan.universe);
        let Some(target) = universe.target(dependency) else { return Vec::new() };
        let own = universe.name(target) == universe.name(universe.package(version));
        let mut scored = Vec::new();
        if !(dependency.kind.is_negative() && own) {
            let named = !dependency.names_architecture();
            let has = named && plan.choice(target).is_some_and(|choice| universe.allows(dependency, choice));
            if dependency.version != Text::EMPTY && !has {
                return scored;
            }
            if named {
                scored.push(target);
            }
        }
        let meeting = universe.meeting(version, dependency, |package| plan.choice(package));
        scored.extend(meeting.map(|version| universe.package(version)));
        scored.sort_unstable();
        scored.dedup();
        scored
    }
}
