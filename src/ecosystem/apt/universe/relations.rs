//! What a version asks of others, and which packages meet that.

use std::borrow::Cow;
use std::cmp::Reverse;

use super::super::relation::Operator;
use super::{ANY, Architecture, EVERY, MultiArch, Name, PackageId, Provide, Text, Universe, VersionId};

/// The kind of a dependency, as the field is called that it is in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(in super::super) enum Kind {
    PreDepends,
    Depends,
    Conflicts,
    Breaks,
    Recommends,
    Suggests,
}

impl Kind {
    /// Whether it names what must not be there.
    pub(in super::super) fn is_negative(self) -> bool {
        matches!(self, Kind::Conflicts | Kind::Breaks)
    }

    /// Whether a package does not work without it being met.
    pub(in super::super) fn is_critical(self) -> bool {
        !matches!(self, Kind::Recommends | Kind::Suggests)
    }

    /// As apt prints it.
    pub(in super::super) fn shown(self) -> &'static str {
        match self {
            Kind::PreDepends => "PreDepends",
            Kind::Depends => "Depends",
            Kind::Conflicts => "Conflicts",
            Kind::Breaks => "Breaks",
            Kind::Recommends => "Recommends",
            Kind::Suggests => "Suggests",
        }
    }
}

/// One alternative of what a version asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in super::super) struct Dependency {
    pub(in super::super) target: Name,
    pub(in super::super) version: Text,
    pub(in super::super) operator: Operator,
    pub(in super::super) kind: Kind,
    /// Of which architecture the target has to be.
    architecture: Architecture,
    /// Whether that was written (`foo:i386`), so that nobody of another architecture will do.
    exact: bool,
    /// Whether it follows from `Multi-Arch` alone.
    implicit: bool,
    /// Whether the next one would do as well.
    pub(in super::super) or_next: bool,
    /// Where it stands among all that name its target.
    pub(in super::super) mention: Mention,
}

/// Where a dependency stands among those that name a package. apt goes through them in an order of its own making: the
/// first one stays first until one asks for a version that was met later than its version, and all others come right after
/// the first, so that what was met last comes second.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(in super::super) struct Mention {
    /// How often another one had become the first.
    reign: u32,
    first: bool,
}

impl Mention {
    /// Orders mentions as apt goes through them; `met` counts up as they were met.
    pub(in super::super) fn order(self, met: usize) -> impl Ord {
        (Reverse(self.reign), !self.first, Reverse(met))
    }

    /// The next mention of a package. `first` is what the first one asks for, and changes with it.
    pub(super) fn next(&mut self, first: &mut Option<Text>, version: Text) -> Mention {
        let becomes_first = first.is_none_or(|first| version.0 > first.0);
        if becomes_first {
            *first = Some(version);
            self.reign += 1;
        }
        Mention { first: becomes_first, ..*self }
    }
}

impl Dependency {
    /// One that follows from the fields of a stanza.
    pub(super) fn written(
        target: Name,
        (architecture, exact): (Architecture, bool),
        (operator, version): (Operator, Text),
        kind: Kind,
        or_next: bool,
        mention: Mention,
    ) -> Dependency {
        Dependency { target, version, operator, kind, architecture, exact, implicit: false, or_next, mention }
    }

    /// Whether it names an architecture, as `foo:i386`. apt takes that for the name of a package that nobody has, and
    /// that the one of the architecture provides.
    pub(in super::super) fn names_architecture(&self) -> bool {
        self.exact
    }
}

/// Cuts dependencies up into groups, of which one member is enough.
pub(in super::super) fn groups(dependencies: &[Dependency]) -> impl Iterator<Item = &[Dependency]> {
    dependencies.split_inclusive(|one| !one.or_next)
}

impl Universe {
    /// What a version asks for, with what follows from `Multi-Arch`: packages of one name and several architectures
    /// exclude each other, unless they are `same` and have one version. What excludes a name is there once for each
    /// architecture of it.
    pub(in super::super) fn dependencies(&self, version: VersionId) -> Cow<'_, [Dependency]> {
        let asking = &self.versions[version.index()];
        let (start, end) = asking.dependencies;
        let written = &self.dependencies[start as usize..end as usize];
        let name = self.name(asking.package);
        let siblings = self.packages_of(name);
        let excludes_several =
            |one: &Dependency| one.architecture == EVERY && self.packages_of(one.target).len() > 1;
        if siblings.len() < 2 && !written.iter().any(excludes_several) {
            return Cow::Borrowed(written);
        }
        let mut all = Vec::with_capacity(written.len() + siblings.len());
        for dependency in written {
            if excludes_several(dependency) {
                let excluded = self.packages_of(dependency.target).iter();
                all.extend(excluded.map(|package| Dependency {
                    architecture: self.architecture_of(*package),
                    ..*dependency
                }));
            } else {
                all.push(*dependency);
            }
        }
        let siblings = siblings
            .iter()
            .filter(|sibling| **sibling != asking.package && !self.versions(**sibling).is_empty());
        let (kind, operator, excluded) = match asking.multi_arch {
            MultiArch::Same => (Kind::Breaks, Operator::Other, asking.version),
            _ => (Kind::Conflicts, Operator::Any, Text::EMPTY),
        };
        all.extend(siblings.map(|sibling| Dependency {
            target: name,
            version: excluded,
            operator,
            kind,
            architecture: self.architecture_of(*sibling),
            exact: false,
            implicit: true,
            or_next: false,
            mention: Mention::default(),
        }));
        Cow::Owned(all)
    }

    /// The package that is meant if a dependency is about one.
    pub(in super::super) fn target(&self, dependency: &Dependency) -> Option<PackageId> {
        match dependency.architecture {
            EVERY => self.packages_of(dependency.target).first().copied(),
            architecture => self.package_of(dependency.target, architecture),
        }
    }

    /// The packages that have the name which a dependency asks for.
    fn targets(&self, dependency: &Dependency) -> impl Iterator<Item = PackageId> {
        let wanted = dependency.architecture;
        let packages = self.packages_of(dependency.target).iter().copied();
        packages.filter(move |one| wanted == EVERY || self.architecture_of(*one) == wanted)
    }

    /// The versions that provide what a dependency asks for, if its version fits.
    fn providers(&self, dependency: &Dependency) -> impl DoubleEndedIterator<Item = &Provide> {
        let (wanted, exact) = (dependency.architecture, dependency.exact);
        let provides = self.groups.get(dependency.target.0 as usize).map_or(&[][..], |group| &group.provides);
        provides.iter().filter(move |one| {
            let fits = wanted == EVERY || one.architecture == EVERY || one.architecture == wanted;
            let strange = exact
                && wanted != ANY
                && (one.implicit || self.architecture_of(self.package(one.owner)) != wanted);
            fits && !strange
        })
    }

    /// Whether somebody provides what a dependency names, other than by `Multi-Arch`.
    pub(in super::super) fn is_provided(&self, dependency: &Dependency) -> bool {
        self.providers(dependency).any(|one| !one.implicit)
    }

    /// Whether a version of the target itself has the version that is asked for.
    pub(in super::super) fn allows(&self, dependency: &Dependency, version: VersionId) -> bool {
        let has = self.versions[version.index()].version;
        self.compares(dependency, has)
    }

    fn compares(&self, dependency: &Dependency, has: Text) -> bool {
        let wanted = dependency.version;
        dependency.operator.allows(self.text(has), self.text(wanted))
    }

    /// Nobody excludes themselves. What is `Multi-Arch: same` may exclude its own name, and means others that provide
    /// it, but not itself on another architecture.
    fn excludes_itself(&self, asking: VersionId, dependency: &Dependency, package: PackageId) -> bool {
        if !dependency.kind.is_negative() {
            return false;
        }
        let own = self.package(asking);
        if self.name(own) != self.name(package) {
            return false;
        }
        own == package || (self.multi_arch(asking) == MultiArch::Same && !dependency.implicit)
    }

    /// The same for who provides the name: never of one's own, and what follows from `Multi-Arch` is about no others.
    fn excludes_own_provider(&self, asking: VersionId, dependency: &Dependency, provide: &Provide) -> bool {
        let same_name = || self.name(self.package(provide.owner)) == self.name(self.package(asking));
        dependency.kind.is_negative() && (dependency.implicit || same_name())
    }

    /// The versions, of those that `at` picks for each package, that meet a dependency (or are hit by a conflict): the
    /// target's own first, then those that provide it. One can come twice.
    pub(in super::super) fn meeting(
        &self,
        asking: VersionId,
        dependency: &Dependency,
        at: impl Fn(PackageId) -> Option<VersionId>,
    ) -> impl Iterator<Item = VersionId> {
        let at = move |package| at(package);
        let own: Vec<VersionId> = self
            .targets(dependency)
            .filter(|package| !self.excludes_itself(asking, dependency, *package))
            .filter_map(&at)
            .filter(|version| self.allows(dependency, *version))
            .collect();
        own.into_iter().chain(
            self.providers(dependency)
                .rev()
                .filter(move |one| {
                    !self.excludes_own_provider(asking, dependency, one)
                        && at(self.package(one.owner)) == Some(one.owner)
                        && self.compares(dependency, one.version)
                })
                .map(|one| one.owner),
        )
    }

    /// Every version that could meet a dependency.
    pub(in super::super) fn all_meeting(&self, asking: VersionId, dependency: &Dependency) -> Vec<VersionId> {
        let mut found: Vec<VersionId> = self
            .targets(dependency)
            .filter(|package| !self.excludes_itself(asking, dependency, *package))
            .flat_map(|package| self.versions(package).iter().copied())
            .filter(|version| self.allows(dependency, *version))
            .collect();
        found.extend(
            self.providers(dependency)
                .rev()
                .filter(|one| !self.excludes_own_provider(asking, dependency, one))
                .filter(|one| self.compares(dependency, one.version))
                .map(|one| one.owner),
        );
        found
    }

    /// Whether one of those that `at` picks meets a dependency.
    pub(in super::super) fn is_met(
        &self,
        asking: VersionId,
        dependency: &Dependency,
        at: impl Fn(PackageId) -> Option<VersionId>,
    ) -> bool {
        let own = self.targets(dependency).any(|package| {
            !self.excludes_itself(asking, dependency, package)
                && at(package).is_some_and(|version| self.allows(dependency, version))
        });
        own || self.providers(dependency).any(|one| {
            at(self.package(one.owner)) == Some(one.owner)
                && !self.excludes_own_provider(asking, dependency, one)
                && self.compares(dependency, one.version)
        })
    }

    /// Versions that provide a package's name to it, other than by `Multi-Arch`.
    pub(in super::super) fn providers_of(&self, package: PackageId) -> impl Iterator<Item = &Provide> {
        self.all_providers_of(package).filter(|one| !one.implicit)
    }

    /// Versions that provide a package's name to it: also those of another architecture that serve every one.
    pub(in super::super) fn all_providers_of(&self, package: PackageId) -> impl Iterator<Item = &Provide> {
        let wanted = self.architecture_of(package);
        let provides = &self.groups[self.name(package).0 as usize].provides;
        provides.iter().filter(move |one| one.architecture == EVERY || one.architecture == wanted)
    }

    /// As apt prints it: `libfoo (>= 2)`.
    pub(in super::super) fn dependency_shown(&self, dependency: &Dependency) -> String {
        let name = match self.target(dependency) {
            Some(package) if !matches!(dependency.architecture, ANY | EVERY) => self.shown(package),
            _ => self.name_text(dependency.target).to_owned(),
        };
        match dependency.operator {
            Operator::Any => name,
            operator => format!("{name} ({} {})", operator.sign(), self.text(dependency.version)),
        }
    }
}
