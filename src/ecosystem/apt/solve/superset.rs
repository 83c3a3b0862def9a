//! Everything that could be chosen: all alternatives and all who provide them, for targets whose state nobody knows.

use super::super::universe::{PackageId, VersionId, groups};
use super::plan::Plan;

impl Plan<'_> {
    /// All versions that what is wanted may need, whichever alternatives a target prefers or excludes. What cannot be
    /// installed because something is nowhere to be had is left out, and with it what only it needs.
    ///
    /// # Errors
    /// The wanted versions that cannot be installed.
    pub(super) fn superset(&self, wanted: &[VersionId]) -> Result<Vec<VersionId>, Vec<VersionId>> {
        let mut left_out = vec![false; self.universe.version_count()];
        loop {
            let reached = self.reach(wanted, &left_out);
            let hopeless: Vec<VersionId> = reached
                .iter()
                .copied()
                .filter(|version| !self.could_be_installed(*version, &left_out))
                .collect();
            if hopeless.is_empty() {
                return Ok(reached);
            }
            let refused: Vec<VersionId> =
                wanted.iter().copied().filter(|version| hopeless.contains(version)).collect();
            if !refused.is_empty() {
                return Err(refused);
            }
            for version in hopeless {
                left_out[version.index()] = true;
            }
        }
    }

    /// What one gets to from the wanted versions, over every alternative.
    fn reach(&self, wanted: &[VersionId], left_out: &[bool]) -> Vec<VersionId> {
        let mut seen = vec![false; self.universe.version_count()];
        let mut reached: Vec<VersionId> = Vec::new();
        for version in wanted {
            if !std::mem::replace(&mut seen[version.index()], true) {
                reached.push(*version);
            }
        }
        let mut next = 0;
        while let Some(version) = reached.get(next).copied() {
            next += 1;
            for dependency in &*self.universe.dependencies(version) {
                if dependency.kind.is_negative() || !self.is_important(dependency.kind) {
                    continue;
                }
                for met in self.takeable(version, dependency, left_out) {
                    if !std::mem::replace(&mut seen[met.index()], true) {
                        reached.push(met);
                    }
                }
            }
        }
        reached
    }

    /// Of each package that meets a dependency the candidate, or the latest version that does if the candidate does not.
    fn takeable(
        &self,
        asking: VersionId,
        dependency: &super::super::universe::Dependency,
        left_out: &[bool],
    ) -> Vec<VersionId> {
        let universe = self.universe;
        let mut taken: Vec<(PackageId, VersionId)> = Vec::new();
        let meeting = universe.all_meeting(asking, dependency);
        for version in meeting.into_iter().filter(|version| !left_out[version.index()]) {
            let package = universe.package(version);
            match taken.iter_mut().find(|(other, _)| *other == package) {
                None => taken.push((package, version)),
                Some((_, other)) if self.candidate(package) == Some(version) => *other = version,
                Some(_) => {}
            }
        }
        taken.into_iter().map(|(_, version)| version).collect()
    }

    fn could_be_installed(&self, version: VersionId, left_out: &[bool]) -> bool {
        let dependencies = self.universe.dependencies(version);
        groups(&dependencies).all(|group| {
            let kind = group[0].kind;
            !kind.is_critical()
                || kind.is_negative()
                || group.iter().any(|dependency| !self.takeable(version, dependency, left_out).is_empty())
        })
    }

    /// What keeps versions from being installed, whatever is chosen.
    pub(super) fn nowhere_to_be_had(&self, versions: &[VersionId]) -> Vec<String> {
        let universe = self.universe;
        let none = vec![false; universe.version_count()];
        let mut reasons = Vec::new();
        for version in versions {
            let shown = universe.shown(universe.package(*version));
            let dependencies = universe.dependencies(*version);
            let hopeless: Vec<String> = groups(&dependencies)
                .filter(|group| group[0].kind.is_critical() && !group[0].kind.is_negative())
                .filter(|group| group.iter().all(|one| self.takeable(*version, one, &none).is_empty()))
                .map(|group| {
                    let members: Vec<String> =
                        group.iter().map(|member| universe.dependency_shown(member)).collect();
                    format!(
                        "{shown} : {}: {} but it is not installable",
                        group[0].kind.shown(),
                        members.join(" or ")
                    )
                })
                .collect();
            if hopeless.is_empty() {
                reasons.push(format!("{shown} needs something that is not installable"));
            }
            reasons.extend(hopeless);
        }
        reasons
    }
}
