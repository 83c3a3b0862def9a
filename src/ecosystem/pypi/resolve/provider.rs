//! PubGrub's questions: which version next, and what does it need.

use std::cell::RefCell;
use std::cmp::Reverse;
use std::collections::{BTreeSet, HashMap, HashSet};
use std::ops::Bound;

use pubgrub::{
    Dependencies, DependencyConstraints, DependencyProvider, PackageResolutionStatistics, Ranges,
    SelectedDependencies,
};
use thiserror::Error;

use super::package::Package;
use super::{Candidates, Learned, Need, Origin, Selected, Solution, Wanted};
use crate::ecosystem::pypi::marker::Chosen;
use crate::ecosystem::pypi::metadata::Metadata;
use crate::ecosystem::pypi::name::Name;
use crate::ecosystem::pypi::release::{File, Formats, Release};
use crate::ecosystem::pypi::requirement::{Requirement, Source};
use crate::ecosystem::pypi::target::Target;
use crate::ecosystem::pypi::version::Version;

/// After that many steps nobody waits for an answer any more.
const MOST_STEPS: u32 = 2_000_000;
/// How many versions of a project are looked into one by one before the next ones are asked for ahead.
const PATIENCE: usize = 3;
/// The most versions of a project that are asked for ahead.
const MOST_AHEAD: usize = 64;
/// How many conflicts make a project one that is decided early.
const MANY_CONFLICTS: u32 = 5;

/// Why a run ends before its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub(super) enum Stop {
    #[error("something is not known yet")]
    Unknown,
    #[error("something was learned that changes what was decided")]
    Learned,
    #[error("it takes too many steps")]
    Endless,
}

/// What answers PubGrub in one run.
pub(super) struct Provider<'a> {
    pub(super) wanted: &'a Wanted,
    pub(super) target: &'a Target,
    candidates: &'a dyn Candidates,
    constraints: HashMap<Name, Vec<&'a Requirement>>,
    run: RefCell<Run>,
}

/// What a run remembers.
#[derive(Default)]
struct Run {
    learned: Learned,
    needs: Vec<Need>,
    /// The same, to have each once.
    needed: HashSet<Need>,
    /// When each package was first heard of.
    heard: HashMap<Package, usize>,
    /// Projects a version of which was asked for: what is learned of them now comes late.
    asked: HashSet<Name>,
    /// The version that was last taken of a project: its extras had best be of the same.
    last: HashMap<Name, Version>,
    /// The set out of which that was taken.
    out_of: HashMap<Name, Ranges<Version>>,
    /// How many versions of a project were looked into.
    looked_into: HashMap<Name, usize>,
    steps: u32,
}

type Needed = Result<DependencyConstraints<Package, Ranges<Version>>, NotSo>;

/// Why the dependencies of a version cannot be said.
pub(super) enum NotSo {
    Stop(Stop),
    /// The version cannot be used at all.
    Unusable(String),
}

impl From<Stop> for NotSo {
    fn from(stop: Stop) -> NotSo {
        NotSo::Stop(stop)
    }
}

impl<'a> Provider<'a> {
    pub(super) fn new(
        wanted: &'a Wanted,
        target: &'a Target,
        candidates: &'a dyn Candidates,
        learned: Learned,
    ) -> Provider<'a> {
        let mut constraints: HashMap<Name, Vec<&Requirement>> = HashMap::new();
        for constraint in &wanted.constraints {
            if constraint.counts(&target.environment, Chosen::default()) {
                constraints.entry(constraint.name.clone()).or_default().push(constraint);
            }
        }
        let run = RefCell::new(Run { learned, ..Run::default() });
        Provider { wanted, target, candidates, constraints, run }
    }

    pub(super) fn into_needs(self) -> Vec<Need> {
        self.run.into_inner().needs
    }

    pub(super) fn into_learned(self) -> Learned {
        self.run.into_inner().learned
    }

    /// What was decided, for those who asked.
    pub(super) fn solution(self, decided: &SelectedDependencies<Provider<'a>>) -> Solution {
        let mut solution = Solution::default();
        for (package, version) in decided {
            let Package::Project(name) = package else { continue };
            let (origin, file) = match self.url(name) {
                Some(url) => (Origin::Url(url.clone()), url.to_string()),
                None => {
                    let Ok((index, releases)) = self.releases(name) else { continue };
                    let found = find(releases, version).and_then(|release| self.best(name, release));
                    (Origin::Index(index), found.map(|file| file.name.clone()).unwrap_or_default())
                }
            };
            let selected = Selected { version: version.clone(), origin, file, extras: Vec::new() };
            solution.selected.insert(name.clone(), selected);
        }
        let extras: BTreeSet<_> = decided
            .keys()
            .filter_map(|package| match package {
                Package::Extra(name, extra) => Some((name, extra)),
                _ => None,
            })
            .collect();
        for (name, extra) in extras {
            let Some(selected) = solution.selected.get_mut(name) else { continue };
            if self.metadata(name, &selected.version).is_ok_and(|metadata| !metadata.extras.contains(extra)) {
                solution.notes.insert(format!("{name} {} has no extra {extra}", selected.version));
            }
            selected.extras.push(extra.clone());
        }
        solution
    }

    /// The address that a project is to be had from, if one was named.
    pub(super) fn url(&self, name: &Name) -> Option<Box<str>> {
        self.run.borrow().learned.urls.get(name).cloned()
    }

    /// Which index has a project, and what it lists.
    pub(super) fn releases(&self, name: &Name) -> Result<(usize, &'a [Release]), Stop> {
        let indexes = match self.wanted.index_of.get(name) {
            Some(index) => *index..index + 1,
            None => 0..self.wanted.indexes,
        };
        let mut none = (indexes.start, &[][..]);
        for index in indexes {
            let Some(releases) = self.candidates.releases(index, name) else {
                return Err(self.need(Need::Releases { index, project: name.clone() }));
            };
            if !releases.is_empty() {
                return Ok((index, releases));
            }
            none.0 = index;
        }
        Ok(none)
    }

    fn formats(&self, name: &Name) -> Formats {
        let others = self.wanted.other_formats.unwrap_or(Formats::Both);
        self.wanted.formats.get(name).copied().unwrap_or(others)
    }

    /// The file of a release that the target would install.
    fn best(&self, name: &Name, release: &'a Release) -> Option<&'a File> {
        release.best(self.target, self.formats(name)).ok()
    }

    /// Why the target can install nothing of a release, in words; `None`, if it can.
    pub(super) fn why_not(&self, name: &Name, release: &Release) -> Option<String> {
        use crate::ecosystem::pypi::release::Unusable;
        let (version, target) = (&release.version, &self.target.name);
        match release.best(self.target, self.formats(name)) {
            Ok(file) if file.is_yanked => {
                Some(format!("{name} {version} was taken back by its authors (yanked)"))
            }
            Ok(_) if version.is_prerelease() => {
                Some(format!("{name} {version} is a prerelease, which nobody names"))
            }
            Ok(_) => None,
            Err(Unusable::Python) => {
                let pythons = release.files.iter().find_map(|file| file.requires_python.as_ref());
                let pythons = pythons.map(ToString::to_string).unwrap_or_default();
                Some(format!(
                    "{name} {version} needs Python {pythons}, and the target has {}",
                    self.target.python
                ))
            }
            Err(Unusable::Wheels) => Some(format!(
                "{name} {version} has no wheel for {target}, and no source distribution that may be used"
            )),
            Err(Unusable::Formats) => {
                Some(format!("{name} {version} has no file of the formats that may be used"))
            }
        }
    }

    /// Notes what has to be known.
    fn need(&self, need: Need) -> Stop {
        let mut run = self.run.borrow_mut();
        if run.needed.insert(need.clone()) {
            run.needs.push(need);
        }
        Stop::Unknown
    }

    /// The versions of a project that may be taken out of a set, best first: those that the target can install.
    fn acceptable<'s>(
        &'s self,
        name: &'s Name,
        releases: &'a [Release],
        range: &'s Ranges<Version>,
    ) -> impl Iterator<Item = (&'a Release, &'a File)> + 's {
        let (pins, tolerant) = {
            let learned = &self.run.borrow().learned;
            (learned.pins.get(name).cloned().unwrap_or_default(), learned.tolerant.contains(name))
        };
        let usable = move |release: &'a Release| Some((release, self.best(name, release)?));
        let with_prereleases = self.wanted.with_prereleases || self.is_named_prerelease(name);
        let within = move || newest_first(releases, range).filter_map(usable);
        let first = within().filter(move |(release, file)| {
            !file.is_yanked && (with_prereleases || !release.version.is_prerelease())
        });
        let second = within().filter(move |(release, file)| {
            !with_prereleases
                && !file.is_yanked
                && release.version.is_prerelease()
                && (tolerant || !self.has_release(name, releases))
        });
        let third = within().filter(move |(release, file)| file.is_yanked && pins.contains(&release.version));
        first.chain(second).chain(third)
    }

    /// Whether who asks names a prerelease: then prereleases are as welcome as releases.
    fn is_named_prerelease(&self, name: &Name) -> bool {
        let names = |requirement: &&Requirement| {
            requirement.name == *name
                && matches!(&requirement.source, Source::Index(specifiers) if specifiers.names_prerelease())
        };
        self.wanted.requirements.iter().chain(&self.wanted.constraints).any(|requirement| names(&requirement))
    }

    /// Whether a project has anything but prereleases that the target can install.
    fn has_release(&self, name: &Name, releases: &'a [Release]) -> bool {
        releases.iter().rev().any(|release| {
            !release.version.is_prerelease() && self.best(name, release).is_some_and(|file| !file.is_yanked)
        })
    }

    fn metadata(&self, name: &Name, version: &Version) -> Result<&'a Metadata, NotSo> {
        let unusable = |why: &str| NotSo::Unusable(why.to_owned());
        let known = match self.url(name) {
            Some(url) => {
                self.candidates.metadata_at(&url).ok_or_else(|| self.need(Need::MetadataAt { url }))?
            }
            None => {
                let (index, releases) = self.releases(name)?;
                let file = find(releases, version).and_then(|release| self.best(name, release));
                let file = file.ok_or_else(|| unusable("it cannot be installed"))?;
                match self.candidates.metadata(index, name, &file.name) {
                    Some(known) => known,
                    None => {
                        let need = |file: &File| Need::Metadata {
                            index,
                            project: name.clone(),
                            file: file.name.clone(),
                        };
                        let stop = self.need(need(file));
                        for (_, file) in self.ahead(name, releases, version) {
                            if self.candidates.metadata(index, name, &file.name).is_none() {
                                self.need(need(file));
                            }
                        }
                        return Err(stop.into());
                    }
                }
            }
        };
        let metadata = known.map_err(unusable)?;
        if metadata.name != *name || metadata.version != *version {
            let (name, version) = (&metadata.spelled, &metadata.version);
            return Err(NotSo::Unusable(format!("it says of itself that it is {name} {version}")));
        }
        if !metadata.requires_python.as_ref().is_none_or(|pythons| self.target.has_python(pythons)) {
            let pythons = metadata.requires_python.as_ref().map(ToString::to_string).unwrap_or_default();
            let python = &self.target.python;
            return Err(NotSo::Unusable(format!("it needs Python {pythons}, and the target has {python}")));
        }
        Ok(metadata)
    }

    /// The versions that come after one that is not known, when many were looked into before: the more, the more.
    fn ahead(&self, name: &Name, releases: &'a [Release], version: &Version) -> Vec<(&'a Release, &'a File)> {
        let (looked_into, range) = {
            let run = self.run.borrow();
            (run.looked_into.get(name).copied().unwrap_or(0), run.out_of.get(name).cloned())
        };
        let Some(range) = range.filter(|_| looked_into >= PATIENCE) else { return Vec::new() };
        let older = range.intersection(&Ranges::strictly_lower_than(version.clone()));
        self.acceptable(name, releases, &older).take(looked_into.min(MOST_AHEAD)).collect()
    }

    /// What requirements ask for, together; `of` is whose they are.
    fn needed<'r>(
        &self,
        of: Option<(&Name, &Version)>,
        requirements: impl Iterator<Item = &'r Requirement>,
    ) -> Needed {
        let mut needed = DependencyConstraints::default();
        for requirement in requirements {
            if let Some((name, version)) = of.filter(|(name, _)| **name == requirement.name) {
                // It asks for extras of itself: of this very version.
                if matches!(&requirement.source, Source::Index(specifiers) if !specifiers.contains(version)) {
                    return Err(NotSo::Unusable(format!("it needs {requirement}, which it is not itself")));
                }
                for extra in &requirement.extras {
                    self.add(
                        &mut needed,
                        Package::Extra(name.clone(), extra.clone()),
                        &Ranges::singleton(version.clone()),
                    );
                }
                continue;
            }
            let mut range = Ranges::full();
            let constraints = self.constraints.get(&requirement.name).map(Vec::as_slice).unwrap_or_default();
            for one in [requirement].into_iter().chain(constraints.iter().copied()) {
                self.learn(one)?;
                if let Source::Index(specifiers) = &one.source {
                    range = range.intersection(specifiers.ranges());
                }
            }
            self.add(&mut needed, Package::Project(requirement.name.clone()), &range);
            for extra in &requirement.extras {
                self.add(&mut needed, Package::Extra(requirement.name.clone(), extra.clone()), &range);
            }
        }
        for (package, range) in &needed {
            self.look_ahead(package, range);
        }
        Ok(needed)
    }

    fn add(
        &self,
        needed: &mut DependencyConstraints<Package, Ranges<Version>>,
        package: Package,
        range: &Ranges<Version>,
    ) {
        let mut run = self.run.borrow_mut();
        let next = run.heard.len();
        run.heard.entry(package.clone()).or_insert(next);
        let known = needed.entry(package).or_insert_with(Ranges::full);
        *known = known.intersection(range);
    }

    /// Notes what a requirement says beside its range. What comes too late ends the run.
    fn learn(&self, requirement: &Requirement) -> Result<(), NotSo> {
        let name = &requirement.name;
        let specifiers = match &requirement.source {
            Source::Url(url) => {
                let mut run = self.run.borrow_mut();
                return match run.learned.urls.get(name) {
                    Some(known) if known == url => Ok(()),
                    Some(known) => {
                        Err(NotSo::Unusable(format!("it needs {requirement}, and {known} is asked for, too")))
                    }
                    None => {
                        run.learned.urls.insert(name.clone(), url.clone());
                        if run.asked.contains(name) { Err(Stop::Learned.into()) } else { Ok(()) }
                    }
                };
            }
            Source::Index(specifiers) => specifiers,
        };
        let mut is_new = false;
        if specifiers.names_prerelease() {
            is_new = self.run.borrow_mut().learned.tolerant.insert(name.clone());
        }
        for pin in specifiers.pinned() {
            // Only what is yanked has to be pinned; of a project that was not asked for yet, nobody knows.
            let is_asked = self.run.borrow().asked.contains(name);
            let yanked = |releases: &'a [Release]| {
                let pinned = newest_first(releases, specifiers.ranges());
                let is_yanked =
                    |release: &&Release| self.best(name, release).is_some_and(|file| file.is_yanked);
                pinned.filter(is_yanked).map(|release| release.version.clone()).collect()
            };
            let pinned = match self.releases_known(name) {
                Some(releases) => yanked(releases),
                None => vec![pin.clone()],
            };
            let mut run = self.run.borrow_mut();
            let pins = run.learned.pins.entry(name.clone()).or_default();
            for pin in pinned {
                is_new |= pins.insert(pin) && is_asked;
            }
        }
        let is_asked = self.run.borrow().asked.contains(name);
        if is_new && is_asked { Err(Stop::Learned.into()) } else { Ok(()) }
    }

    /// What is listed of a project, if that is known, without asking for it.
    fn releases_known(&self, name: &Name) -> Option<&'a [Release]> {
        let indexes = match self.wanted.index_of.get(name) {
            Some(index) => *index..index + 1,
            None => 0..self.wanted.indexes,
        };
        for index in indexes {
            let releases = self.candidates.releases(index, name)?;
            if !releases.is_empty() {
                return Some(releases);
            }
        }
        Some(&[])
    }

    /// Asks for what will be wanted of a package very likely, so that it comes with what is wanted now.
    fn look_ahead(&self, package: &Package, range: &Ranges<Version>) {
        let Package::Project(name) = package else { return };
        if let Some(url) = self.url(name) {
            if self.candidates.metadata_at(&url).is_none() {
                self.need(Need::MetadataAt { url });
            }
            return;
        }
        let Ok((index, releases)) = self.releases(name) else { return };
        if let Some((_, file)) = self.acceptable(name, releases, range).next()
            && self.candidates.metadata(index, name, &file.name).is_none()
        {
            self.need(Need::Metadata { index, project: name.clone(), file: file.name.clone() });
        }
    }

    fn dependencies(&self, package: &Package, version: &Version) -> Needed {
        let environment = &self.target.environment;
        let counts = |requirement: &Requirement, extras: &[Name]| {
            requirement.counts(environment, Chosen { extras, groups: &[] })
        };
        match package {
            Package::Root => {
                let requirements = self.wanted.requirements.iter();
                self.needed(None, requirements.filter(|requirement| counts(requirement, &[])))
            }
            Package::Project(name) => {
                let metadata = self.metadata(name, version)?;
                *self.run.borrow_mut().looked_into.entry(name.clone()).or_default() += 1;
                let requires = metadata.requires.iter();
                self.needed(Some((name, version)), requires.filter(|requirement| counts(requirement, &[])))
            }
            Package::Extra(name, extra) => {
                let metadata = self.metadata(name, version)?;
                let extras = std::slice::from_ref(extra);
                let requires = metadata.requires.iter();
                let added =
                    requires.filter(|requirement| counts(requirement, extras) && !counts(requirement, &[]));
                let mut needed = self.needed(Some((name, version)), added)?;
                self.add(&mut needed, Package::Project(name.clone()), &Ranges::singleton(version.clone()));
                Ok(needed)
            }
        }
    }
}

/// The release of a version.
fn find<'a>(releases: &'a [Release], version: &Version) -> Option<&'a Release> {
    let at = releases.binary_search_by(|release| release.version.cmp(version)).ok()?;
    releases.get(at)
}

/// The releases within a set, newest first.
pub(super) fn newest_first<'a: 's, 's>(
    releases: &'a [Release],
    range: &'s Ranges<Version>,
) -> impl Iterator<Item = &'a Release> + 's {
    let (low, high) = range.bounding_range().unwrap_or((Bound::Unbounded, Bound::Unbounded));
    let start = releases.partition_point(|release| match low {
        Bound::Unbounded => false,
        Bound::Included(low) => release.version < *low,
        Bound::Excluded(low) => release.version <= *low,
    });
    let end = releases.partition_point(|release| match high {
        Bound::Unbounded => true,
        Bound::Included(high) => release.version <= *high,
        Bound::Excluded(high) => release.version < *high,
    });
    let within = releases.get(start..end).unwrap_or_default();
    within.iter().rev().filter(|release| range.contains(&release.version))
}

impl DependencyProvider for Provider<'_> {
    type P = Package;
    type V = Version;
    type VS = Ranges<Version>;
    type M = String;
    type Err = Stop;
    /// What is sure, what often conflicts, what has one version left; of those alike, what was heard of first.
    type Priority = (u8, Reverse<usize>);

    fn prioritize(
        &self,
        package: &Package,
        range: &Ranges<Version>,
        conflicts: &PackageResolutionStatistics,
    ) -> Self::Priority {
        let run = self.run.borrow();
        let heard = run.heard.get(package).copied().unwrap_or(0);
        let class = match package {
            Package::Root => 5,
            Package::Extra(..) => 4,
            Package::Project(name) if run.learned.urls.contains_key(name) => 4,
            Package::Project(_) if conflicts.conflict_count() >= MANY_CONFLICTS => 3,
            Package::Project(_) if is_pin(range) => 2,
            Package::Project(_) => 1,
        };
        (class, Reverse(heard))
    }

    fn choose_version(&self, package: &Package, range: &Ranges<Version>) -> Result<Option<Version>, Stop> {
        let Some(name) = package.project() else { return Ok(Some(Version::zero())) };
        self.run.borrow_mut().asked.insert(name.clone());
        if let Some(url) = self.url(name) {
            return match self.candidates.metadata_at(&url) {
                None => Err(self.need(Need::MetadataAt { url })),
                // What cannot be read cannot be told apart from what is not there.
                Some(known) => Ok(known.ok().map(|it| it.version.clone()).filter(|it| range.contains(it))),
            };
        }
        let (_, releases) = self.releases(name)?;
        let last = self.run.borrow().last.get(name).cloned();
        if let (Package::Extra(..), Some(last)) = (package, last)
            && range.contains(&last)
        {
            return Ok(Some(last));
        }
        let chosen =
            self.acceptable(name, releases, range).next().map(|(release, _)| release.version.clone());
        let mut run = self.run.borrow_mut();
        if let Some(chosen) = &chosen {
            run.last.insert(name.clone(), chosen.clone());
            run.out_of.insert(name.clone(), range.clone());
        }
        Ok(chosen)
    }

    fn get_dependencies(
        &self,
        package: &Package,
        version: &Version,
    ) -> Result<Dependencies<Package, Ranges<Version>, String>, Stop> {
        match self.dependencies(package, version) {
            Ok(needed) => Ok(Dependencies::Available(needed)),
            Err(NotSo::Unusable(why)) => Ok(Dependencies::Unavailable(why)),
            Err(NotSo::Stop(stop)) => Err(stop),
        }
    }

    fn should_cancel(&self) -> Result<(), Stop> {
        let mut run = self.run.borrow_mut();
        run.steps += 1;
        if run.steps > MOST_STEPS { Err(Stop::Endless) } else { Ok(()) }
    }
}

/// Whether a set is what `==` leaves: a version and its local ones.
fn is_pin(range: &Ranges<Version>) -> bool {
    match range.bounding_range() {
        Some((Bound::Included(low), Bound::Included(high))) => low == high || low.after_locals() == *high,
        _ => false,
    }
}
