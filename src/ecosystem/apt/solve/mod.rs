//! Which packages have to be there for others to work on a machine: as apt decides it (`exact`), or all that could ever be
//! needed (`superset`).
//!
//! `exact` follows apt's own solver of the versions 2.6 to 2.8, decision by decision, since a bundle is only of use if apt
//! inside finds in it what it chooses there: `wanted.rs` finds what is meant, `install.rs` chooses greedily, `repair.rs`
//! mends what that broke, and `unneeded.rs` leaves out what nothing needs in the end.

#[cfg(test)]
pub(super) mod cases;
mod explain;
mod install;
mod plan;
mod prefer;
mod repair;
mod superset;
#[cfg(test)]
mod tests;
mod unneeded;
mod upgrade;
mod wanted;

use std::borrow::Cow;

use super::preferences::{Pin, Policy, ReleasePattern};
use super::status::Baseline;
use super::universe::{PackageId, Universe, VersionId};
pub(super) use explain::Unsolvable;
use install::{Follow, Wish};
use plan::{Action, Plan};
use repair::After;
pub(super) use wanted::Want;

/// Chains of needs are followed by calls; apt follows 3000 of them.
const STACK: usize = 256 << 20;

/// How alternatives are treated.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) enum Engine {
    /// What apt would choose.
    #[default]
    Exact,
    /// All that could be chosen, and what apt would.
    Superset,
}

/// What is asked for, and for what kind of machine.
#[derive(Debug, Clone, Default)]
pub(super) struct Question<'a> {
    pub(super) wanted: Vec<Want>,
    /// Whether what is recommended is installed too; apt does so unless told otherwise.
    pub(super) recommends: bool,
    pub(super) suggests: bool,
    /// What the machine has; nothing if it is to be complete without.
    pub(super) baseline: Option<&'a Baseline>,
    /// In the order of the preferences files.
    pub(super) pins: &'a [Pin],
    /// As `apt-get -t` is given it; empty for none.
    pub(super) target_release: &'a str,
    pub(super) engine: Engine,
}

/// What has to be fetched.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Answer {
    /// Versions of the universe that was asked, ordered by name and architecture; where each is to be had says
    /// `Universe::origins`.
    pub(super) install: Vec<VersionId>,
    /// Installed packages that would be removed, as apt prints them, in order.
    pub(super) remove: Vec<String>,
    /// What of the baseline could not be understood.
    pub(super) strange: Vec<String>,
}

/// Answers a question. The universe has to know all of the baseline's architectures.
///
/// # Errors
/// Says as apt would what cannot be had and why.
pub(super) fn solve(universe: &Universe, question: &Question<'_>) -> Result<Answer, Unsolvable> {
    std::thread::scope(|scope| {
        let worker = std::thread::Builder::new()
            .name("apt-solver".to_owned())
            .stack_size(STACK)
            .spawn_scoped(scope, || answer(universe, question))
            .map_err(|error| Unsolvable::because(format!("no thread could be started: {error}")))?;
        worker.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    })
}

fn answer(universe: &Universe, question: &Question<'_>) -> Result<Answer, Unsolvable> {
    let (universe, strange) = match question.baseline {
        None => (Cow::Borrowed(universe), Vec::new()),
        Some(baseline) => {
            let mut with_baseline = universe.clone();
            let strange = baseline.install_into(&mut with_baseline).map_err(Unsolvable::because)?;
            (Cow::Owned(with_baseline), strange)
        }
    };
    let policy =
        Policy::new(&universe, question.pins, question.target_release).map_err(Unsolvable::because)?;
    let plan = || Plan::new(&universe, &policy, (question.recommends, question.suggests));
    let exact = decide(plan(), &question.wanted);
    let (mut install, remove) = match question.engine {
        Engine::Exact => exact?,
        Engine::Superset => {
            let mut all = everything(plan(), &question.wanted)?;
            // Wants that exclude each other cannot be installed at once, but each for itself.
            let (chosen, removed) = exact.unwrap_or_default();
            all.extend(chosen);
            (all, removed)
        }
    };
    install.sort_unstable();
    install.dedup();
    install.sort_by_cached_key(|version| {
        let package = universe.package(*version);
        (universe.name_text(universe.name(package)).to_owned(), universe.architecture_of(package), *version)
    });
    let mut remove: Vec<String> = remove.into_iter().map(|package| universe.shown(package)).collect();
    remove.sort_unstable();
    Ok(Answer { install, remove, strange })
}

/// Finds what is wanted, or says of each want why there is nothing.
fn find_all(plan: &mut Plan<'_>, wants: &[Want]) -> Result<Vec<wanted::Wanted>, Unsolvable> {
    let (mut found, mut reasons) = (Vec::new(), Vec::new());
    for want in wants {
        match plan.find(want) {
            Ok(versions) => found.extend(versions),
            Err(reason) => reasons.push(reason),
        }
    }
    if reasons.is_empty() { Ok(found) } else { Err(Unsolvable { reasons }) }
}

/// What apt would install, and remove.
fn decide(mut plan: Plan<'_>, wants: &[Want]) -> Result<(Vec<VersionId>, Vec<PackageId>), Unsolvable> {
    let was_broken: Vec<PackageId> =
        plan.installed.iter().copied().filter(|package| plan.was_broken(*package)).collect();
    let wanted = find_all(&mut plan, wants)?;
    let mut asked: Vec<PackageId> = Vec::new();
    for (version, _) in &wanted {
        let package = plan.universe.package(*version);
        plan.set_candidate(package, *version);
        plan.protect(package, true);
        plan.install(package, Follow::Nothing, Wish::User, 0);
        if !asked.contains(&package) {
            asked.push(package);
        }
    }
    let mut switched = Vec::new();
    for (version, suite) in &wanted {
        if let Some(suite) = suite {
            plan.prefer_suite(*version, &ReleasePattern::read(suite), &mut switched);
        }
    }
    if was_broken.is_empty() {
        for package in &asked {
            plan.install(*package, Follow::Needs, Wish::User, 0);
        }
    } else if !plan.broken().is_empty() {
        // apt mends nothing of its own accord that was broken before.
        return Err(plan.unmet(&plan.broken()));
    }
    let mut after = After::Install;
    if wants.contains(&Want::Upgrades) {
        after = After::Upgrade { unneeded: plan.unneeded() };
        asked.extend(plan.upgrade_all());
    }
    let repaired = plan.repair(&asked, &after);
    if plan.is_exhausted() {
        return Err(Unsolvable::because("the packages exclude each other in too many ways".to_owned()));
    }
    if !repaired {
        return Err(plan.unmet(&plan.broken()));
    }
    plan.drop_unneeded();
    let universe = plan.universe;
    let chosen = plan.chosen();
    let install = chosen
        .into_iter()
        .filter(|package| plan.action(*package) == Action::Install)
        .filter_map(|package| plan.choice(package))
        .filter(|version| universe.is_downloadable(*version))
        .collect();
    let remove =
        plan.installed.iter().copied().filter(|package| plan.action(*package) == Action::Remove).collect();
    Ok((install, remove))
}

/// All that what is wanted may need, and what a machine lacks of it.
fn everything(mut plan: Plan<'_>, wants: &[Want]) -> Result<Vec<VersionId>, Unsolvable> {
    let mut wanted: Vec<VersionId> =
        find_all(&mut plan, wants)?.into_iter().map(|(version, _)| version).collect();
    if wants.contains(&Want::Upgrades) {
        wanted.extend(plan.installed.iter().filter_map(|package| plan.candidate(*package)));
    }
    let all =
        plan.superset(&wanted).map_err(|refused| Unsolvable { reasons: plan.nowhere_to_be_had(&refused) })?;
    let universe = plan.universe;
    Ok(all
        .into_iter()
        .filter(|version| {
            universe.installed(universe.package(*version)) != Some(*version)
                && universe.is_downloadable(*version)
        })
        .collect())
}
