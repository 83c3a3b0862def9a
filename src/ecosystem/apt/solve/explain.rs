//! Why something cannot be had, in apt's words.

use super::super::universe::{Dependency, PackageId, groups};
use super::plan::Plan;

/// More packages than these are only counted.
const MOST_SHOWN: usize = 50;

/// What is asked for cannot be had.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in super::super) struct Unsolvable {
    /// One reason a line: `nginx : Depends: libfoo (>= 2) but 1.0 is to be installed`.
    pub(in super::super) reasons: Vec<String>,
}

impl Unsolvable {
    pub(super) fn because(reason: String) -> Unsolvable {
        Unsolvable { reasons: vec![reason] }
    }
}

impl std::fmt::Display for Unsolvable {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str(&self.reasons.join("\n"))
    }
}

impl Plan<'_> {
    /// What keeps packages from being installed.
    pub(super) fn unmet(&self, packages: &[PackageId]) -> Unsolvable {
        let mut reasons: Vec<String> =
            packages.iter().take(MOST_SHOWN).flat_map(|package| self.unmet_of(*package)).collect();
        if packages.len() > MOST_SHOWN {
            reasons.push(format!("and {} packages more", packages.len() - MOST_SHOWN));
        }
        Unsolvable { reasons }
    }

    fn unmet_of(&self, package: PackageId) -> Vec<String> {
        let Some(version) = self.choice(package) else { return Vec::new() };
        let dependencies = self.universe.dependencies(version);
        let shown = self.universe.shown(package);
        groups(&dependencies)
            .filter(|group| group[0].kind.is_critical() && !self.group_holds(version, group))
            .map(|group| {
                let members: Vec<String> = group.iter().map(|member| self.member(member)).collect();
                format!("{shown} : {}: {}", group[0].kind.shown(), members.join(" or "))
            })
            .collect()
    }

    fn member(&self, dependency: &Dependency) -> String {
        let universe = self.universe;
        let shown = universe.dependency_shown(dependency);
        if universe.is_provided(dependency) {
            return shown;
        }
        let Some(target) = universe.target(dependency) else {
            return format!("{shown} but it is not installable");
        };
        match (self.choice(target), self.candidate(target)) {
            (Some(version), _) => {
                format!("{shown} but {} is to be installed", universe.version_text(version))
            }
            (None, None) => format!("{shown} but it is not installable"),
            (None, Some(_)) => format!("{shown} but it is not going to be installed"),
        }
    }
}
