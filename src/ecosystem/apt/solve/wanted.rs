//! What was asked for, as versions of packages.

use super::super::preferences::{ReleasePattern, is_glob_of};
use super::super::universe::{Dependency, Kind, PackageId, Universe, VersionId, groups};
use super::plan::{DEEPEST, Plan};

/// One thing that is asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in super::super) enum Want {
    /// A package by its name, or the only one that provides it.
    Package {
        name: String,
        /// As `:i386`; the machine's own if it is not said.
        architecture: Option<String>,
        /// As `=1.2-3` or `=1.2*`.
        version: Option<String>,
        /// As `/bookworm-backports`: the package of that suite, and of what it needs the versions of that suite where
        /// no others will do.
        suite: Option<String>,
    },
    /// All packages of a task.
    Task(String),
    /// What `apt-get dist-upgrade` does: all that is installed in its latest version.
    Upgrades,
}

impl Want {
    /// A package by its name alone.
    pub(in super::super) fn package(name: &str) -> Want {
        Want::Package { name: name.to_owned(), architecture: None, version: None, suite: None }
    }
}

/// A version that is to be installed, and the suite it was asked for from.
pub(super) type Wanted = (VersionId, Option<String>);

impl Plan<'_> {
    /// The versions that somebody means.
    ///
    /// # Errors
    /// Says as apt would why there are none.
    pub(super) fn find(&mut self, want: &Want) -> Result<Vec<Wanted>, String> {
        match want {
            Want::Upgrades => Ok(Vec::new()),
            Want::Task(task) => {
                let mut candidates = self.universe.task(task).to_vec();
                candidates.sort_unstable_by_key(|version| self.universe.package(*version));
                let versions: Vec<Wanted> = candidates
                    .into_iter()
                    .filter(|version| self.candidate(self.universe.package(*version)) == Some(*version))
                    .map(|version| (version, None))
                    .collect();
                if versions.is_empty() { Err(format!("Couldn't find task '{task}'")) } else { Ok(versions) }
            }
            Want::Package { name, architecture, version, suite } => {
                let package = find_package(self.universe, name, architecture.as_deref())?;
                let found = match (version, suite) {
                    (Some(version), _) => self.of_version(package, version)?,
                    (None, Some(suite)) => self.of_suite(package, suite)?,
                    (None, None) => self.candidate_or_provider(package)?,
                };
                Ok(vec![(found, suite.clone())])
            }
        }
    }

    fn candidate_or_provider(&self, package: PackageId) -> Result<VersionId, String> {
        let universe = self.universe;
        if let Some(candidate) = self.candidate(package) {
            return Ok(candidate);
        }
        let providers: Vec<VersionId> = universe
            .all_providers_of(package)
            .map(|provide| provide.owner)
            .filter(|owner| self.candidate(universe.package(*owner)) == Some(*owner))
            .collect();
        self.only(package, &providers).ok_or_else(|| self.no_candidate(package, &providers))
    }

    /// The one package that some versions are of, for the best architecture.
    fn only(&self, package: PackageId, versions: &[VersionId]) -> Option<VersionId> {
        let universe = self.universe;
        let name = |version: &VersionId| universe.name(universe.package(*version));
        let first = versions.first()?;
        if versions.iter().any(|version| name(version) != name(first)) {
            return None;
        }
        let wanted = universe.architecture_of(package);
        versions.iter().copied().min_by_key(|version| {
            let architecture = universe.architecture_of(universe.package(*version));
            (architecture != wanted, architecture)
        })
    }

    fn no_candidate(&self, package: PackageId, providers: &[VersionId]) -> String {
        let universe = self.universe;
        let shown = universe.shown(package);
        let mut text = format!("Package '{shown}' has no installation candidate");
        if !providers.is_empty() {
            let mut names: Vec<String> =
                providers.iter().map(|version| universe.shown(universe.package(*version))).collect();
            names.sort_unstable();
            names.dedup();
            text += &format!("; it is a virtual package provided by {}", names.join(", "));
        } else if universe.versions(package).is_empty() {
            text += "; another package refers to it, but no source has it";
        }
        text
    }

    fn of_version(&self, package: PackageId, wanted: &str) -> Result<VersionId, String> {
        let universe = self.universe;
        let is_it = |version: &str| version == wanted || is_glob_of(wanted, version);
        let own = universe.versions(package).iter().find(|version| is_it(universe.version_text(**version)));
        let provided = || {
            let providers: Vec<VersionId> = universe
                .all_providers_of(package)
                .filter(|provide| universe.text(provide.version) == wanted)
                .map(|provide| provide.owner)
                .collect();
            self.only(package, &providers)
        };
        own.copied().or_else(provided).ok_or_else(|| {
            let known: Vec<&str> =
                universe.versions(package).iter().map(|version| universe.version_text(*version)).collect();
            let shown = universe.shown(package);
            format!("Version '{wanted}' for '{shown}' was not found; there is {}", known.join(", "))
        })
    }

    fn of_suite(&self, package: PackageId, suite: &str) -> Result<VersionId, String> {
        let universe = self.universe;
        let pattern = ReleasePattern::read(suite);
        let own = universe.versions(package).iter().find(|version| is_of(universe, **version, &pattern));
        let provided = || {
            let providers: Vec<VersionId> = universe
                .all_providers_of(package)
                .map(|provide| provide.owner)
                .filter(|owner| is_of(universe, *owner, &pattern))
                .collect();
            self.only(package, &providers)
        };
        own.copied()
            .or_else(provided)
            .ok_or_else(|| format!("Release '{suite}' for '{}' was not found", universe.shown(package)))
    }

    /// Where the candidates do not meet what a version needs, but versions of its suite do, makes those the candidates.
    /// Gives back whether it can be met then.
    pub(super) fn prefer_suite(
        &mut self,
        version: VersionId,
        pattern: &ReleasePattern,
        switched: &mut Vec<PackageId>,
    ) -> bool {
        let universe = self.universe;
        self.set_candidate(universe.package(version), version);
        let dependencies = universe.dependencies(version);
        for group in groups(&dependencies) {
            let kind = group[0].kind;
            if kind.is_negative() || !self.is_important(kind) {
                continue;
            }
            let fine = group.iter().any(|dependency| self.is_fine(version, dependency));
            if fine || group.iter().any(|dependency| self.switch(dependency, pattern, switched)) {
                continue;
            }
            if matches!(kind, Kind::Depends | Kind::PreDepends) {
                return false;
            }
        }
        true
    }

    /// Whether what is installed, or a candidate that can be installed, meets a dependency.
    fn is_fine(&self, asking: VersionId, dependency: &Dependency) -> bool {
        let universe = self.universe;
        let candidates: Vec<VersionId> =
            universe.meeting(asking, dependency, |package| self.candidate(package)).collect();
        self.holds_now(asking, dependency) || candidates.into_iter().any(|version| self.is_ready(version))
    }

    /// Whether it could be put on the machine as that is to be.
    fn is_ready(&self, version: VersionId) -> bool {
        let dependencies = self.universe.dependencies(version);
        groups(&dependencies).all(|group| !group[0].kind.is_critical() || self.group_holds(version, group))
    }

    fn switch(
        &mut self,
        dependency: &Dependency,
        pattern: &ReleasePattern,
        switched: &mut Vec<PackageId>,
    ) -> bool {
        let universe = self.universe;
        let Some(target) = universe.target(dependency) else { return false };
        if universe.text(dependency.version).is_empty() {
            return false;
        }
        let mut versions = universe.versions(target).iter().copied();
        let Some(version) = versions.find(|version| is_of(universe, *version, pattern)) else { return false };
        if !universe.allows(dependency, version) {
            return false;
        }
        let before = self.candidate(target);
        if before == Some(version) && switched.contains(&target) {
            return true;
        }
        switched.push(target);
        if switched.len() < DEEPEST && self.prefer_suite(version, pattern, switched) {
            return true;
        }
        // Without another alternative it stays, though something of what it needs was not found.
        if let Some(before) = before.filter(|_| dependency.or_next) {
            self.set_candidate(target, before);
        }
        false
    }
}

fn find_package(universe: &Universe, name: &str, architecture: Option<&str>) -> Result<PackageId, String> {
    let found = match architecture {
        Some(text) => universe.architecture(text).and_then(|wanted| universe.find_package(name, wanted)),
        None => universe.find_name(name).and_then(|name| universe.preferred(name)),
    };
    found.ok_or_else(|| match architecture {
        Some(architecture) => format!("Unable to locate package {name}:{architecture}"),
        None => format!("Unable to locate package {name}"),
    })
}

/// Whether a version is in an index of a release.
fn is_of(universe: &Universe, version: VersionId, pattern: &ReleasePattern) -> bool {
    universe
        .origins(version)
        .any(|origin| origin.index.is_some_and(|index| pattern.fits(&universe.indices()[usize::from(index)])))
}
