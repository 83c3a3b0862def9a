//! All packages that apt could choose from: those of every suite together, and those that a machine has installed.
//!
//! Filled stanza by stanza (`read.rs`, `status.rs`) in the order in which apt reads its indices, since apt prefers, where
//! nothing else decides, the package that it met last. Afterwards it does not change. Whatever is asked of it is about
//! numbers: a package is a name and an architecture, and has versions; a version has dependencies and provides names.

mod names;
mod read;
mod relations;
mod table;

use std::collections::HashMap;

use self::names::Texts;
use self::relations::Mention;
pub(super) use self::relations::{Dependency, Kind, groups};

/// A name that packages have or provide: `libc6`, and also `python3:any`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Name(u32);

/// Another text that occurs often: a version, a source.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Text(u32);

impl Text {
    pub(super) const EMPTY: Text = Text(0);
}

/// A name and an architecture. They are numbered in the order in which they were first spoken of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct PackageId(u32);

/// One version of a package.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct VersionId(u32);

impl PackageId {
    pub(super) fn index(self) -> usize {
        self.0 as usize
    }
}

impl VersionId {
    pub(super) fn index(self) -> usize {
        self.0 as usize
    }
}

/// Architectures by their place in the universe's list; the machine's own is the first.
pub(super) type Architecture = u8;
/// The machine's own architecture.
pub(super) const NATIVE: Architecture = 0;
/// Where `python3:any` is at home, which only packages that allow it provide.
const ANY: Architecture = 254;
/// Every architecture: what a conflict is about, and for whom a `Multi-Arch: foreign` package provides.
const EVERY: Architecture = 255;
/// The most architectures that one machine may have.
const MOST_ARCHITECTURES: usize = 16;
/// From here on architectures are numbered that the machine does not have, but dependencies name.
const STRANGE: Architecture = 16;

/// What pins may ask about the index that a version came from: what its Release says, and where it is.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct IndexFacts {
    /// `Suite` of the Release: `stable-security`.
    pub(super) archive: String,
    /// `Codename`: `bookworm-security`.
    pub(super) codename: String,
    /// `Origin`: `Debian`.
    pub(super) origin: String,
    /// `Label`: `Debian-Security`.
    pub(super) label: String,
    /// `Version`: `12`.
    pub(super) version: String,
    /// `main`; empty in a flat repository.
    pub(super) component: String,
    /// The architecture in the index's path.
    pub(super) architecture: String,
    /// The host it is fetched from.
    pub(super) site: String,
    /// `NotAutomatic: yes`
    pub(super) not_automatic: bool,
    /// `ButAutomaticUpgrades: yes`
    pub(super) but_automatic_upgrades: bool,
}

/// Which index a version was seen in, and a number of the caller's that says where.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Origin {
    /// As `begin_index` numbered it; `None` for the status of a machine.
    pub(super) index: Option<u16>,
    /// As it was given with the stanza.
    pub(super) place: u64,
}

/// `Priority`, the most needed first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Priority {
    Unknown,
    Required,
    Important,
    Standard,
    Optional,
    Extra,
}

/// `Multi-Arch`
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum MultiArch {
    No,
    Same,
    Foreign,
    Allowed,
}

/// All that is known of a name.
#[derive(Clone, Default)]
struct Group {
    /// Its packages, of one architecture each, in the order in which they were met.
    packages: Vec<PackageId>,
    /// Versions that provide it, in the order in which they were met.
    provides: Vec<Provide>,
}

/// That a version provides a name.
#[derive(Debug, Clone, Copy)]
pub(super) struct Provide {
    pub(super) owner: VersionId,
    /// Empty if it provides none in particular.
    pub(super) version: Text,
    /// For packages of which architecture.
    architecture: Architecture,
    /// Whether it follows from `Multi-Arch` alone.
    implicit: bool,
}

#[derive(Clone)]
struct Package {
    name: Name,
    architecture: Architecture,
    /// The latest first.
    versions: Vec<VersionId>,
    /// The latest mention of it, and the version that the first one asks for.
    mention: Mention,
    first_mention: Option<Text>,
    installed: Option<VersionId>,
    /// `Essential: yes` in any version, or `Important: yes`, which protects as well.
    essential: bool,
    important: bool,
    /// Held by the machine's administrator.
    held: bool,
    /// Installed because another needed it.
    automatic: bool,
}

#[derive(Clone)]
struct Version {
    package: PackageId,
    version: Text,
    source: Text,
    source_version: Text,
    priority: Priority,
    multi_arch: MultiArch,
    /// `Architecture: all`
    of_all: bool,
    /// Of what apt compares to know a version again, and what its archive takes in bytes.
    fingerprint: u64,
    size: u64,
    /// From where to where in `dependencies`.
    dependencies: (u32, u32),
    /// The first of its origins; each knows the next.
    origin: u32,
}

/// See the head of this file.
#[derive(Clone)]
pub(super) struct Universe {
    architectures: Vec<String>,
    /// Those that only dependencies name.
    strange: Vec<String>,
    indices: Vec<IndexFacts>,
    names: Texts,
    texts: Texts,
    groups: Vec<Group>,
    packages: Vec<Package>,
    versions: Vec<Version>,
    dependencies: Vec<Dependency>,
    /// Each with the place of the next one of the same version, or `NONE`.
    origins: Vec<(Origin, u32)>,
    tasks: HashMap<Text, Vec<VersionId>>,
}

/// The end of a list of origins.
const NONE: u32 = u32::MAX;

impl Universe {
    /// An empty one for a machine of these architectures, its own first.
    ///
    /// # Errors
    /// Says it if there is none, or more than 16.
    pub(super) fn new(architectures: &[&str]) -> Result<Universe, String> {
        if architectures.is_empty() || architectures.len() > MOST_ARCHITECTURES {
            return Err(format!("a machine has 1 to {MOST_ARCHITECTURES} architectures"));
        }
        Ok(Universe {
            architectures: architectures.iter().map(|one| (*one).to_owned()).collect(),
            strange: Vec::new(),
            indices: Vec::new(),
            names: Texts::new(),
            texts: Texts::new(),
            groups: Vec::new(),
            packages: Vec::new(),
            versions: Vec::new(),
            dependencies: Vec::new(),
            origins: Vec::new(),
            tasks: HashMap::new(),
        })
    }

    /// The indices, as they were begun.
    pub(super) fn indices(&self) -> &[IndexFacts] {
        &self.indices
    }

    /// The place of an architecture; `all` is at home at the machine's own.
    pub(super) fn architecture(&self, name: &str) -> Option<Architecture> {
        if matches!(name, "all" | "native") {
            return Some(NATIVE);
        }
        let place = self.architectures.iter().position(|one| one == name)?;
        Architecture::try_from(place).ok()
    }

    /// What an architecture that the machine has is called.
    pub(super) fn architecture_name(&self, architecture: Architecture) -> Option<String> {
        self.architectures.get(usize::from(architecture)).cloned()
    }

    /// Every package that was spoken of, also those that are not to be had, in the order of their numbers.
    pub(super) fn packages(&self) -> impl DoubleEndedIterator<Item = PackageId> + use<> {
        (0..u32::try_from(self.packages.len()).unwrap_or(u32::MAX)).map(PackageId)
    }

    pub(super) fn package_count(&self) -> usize {
        self.packages.len()
    }

    pub(super) fn version_count(&self) -> usize {
        self.versions.len()
    }

    pub(super) fn find_name(&self, name: &str) -> Option<Name> {
        self.names.find(name).map(Name)
    }

    pub(super) fn find_package(&self, name: &str, architecture: Architecture) -> Option<PackageId> {
        self.package_of(self.find_name(name)?, architecture)
    }

    fn package_of(&self, name: Name, architecture: Architecture) -> Option<PackageId> {
        let packages = self.packages_of(name);
        packages.iter().copied().find(|one| self.packages[one.index()].architecture == architecture)
    }

    /// The packages of a name, one for each architecture.
    pub(super) fn packages_of(&self, name: Name) -> &[PackageId] {
        self.groups.get(name.0 as usize).map_or(&[], |group| &group.packages)
    }

    /// The package that is meant by a name alone: of the first architecture that has it, or else of the machine's own.
    pub(super) fn preferred(&self, name: Name) -> Option<PackageId> {
        let packages = self.packages_of(name).iter().copied().filter(|one| self.is_at_home(*one));
        packages.min_by_key(|one| (self.versions(*one).is_empty(), self.architecture_of(*one)))
    }

    pub(super) fn name(&self, package: PackageId) -> Name {
        self.packages[package.index()].name
    }

    pub(super) fn name_text(&self, name: Name) -> &str {
        self.names.text(name.0)
    }

    /// Whether the machine could have packages of its architecture.
    pub(super) fn is_at_home(&self, package: PackageId) -> bool {
        usize::from(self.architecture_of(package)) < self.architectures.len()
    }

    pub(super) fn architecture_of(&self, package: PackageId) -> Architecture {
        self.packages[package.index()].architecture
    }

    /// As apt prints it: with its architecture unless it is the machine's own.
    pub(super) fn shown(&self, package: PackageId) -> String {
        let one = &self.packages[package.index()];
        let name = self.name_text(one.name);
        let strange = || self.strange.get(usize::from(one.architecture.saturating_sub(STRANGE)));
        match self.architectures.get(usize::from(one.architecture)).or_else(strange) {
            Some(architecture) if one.architecture != NATIVE => format!("{name}:{architecture}"),
            _ => name.to_owned(),
        }
    }

    /// As apt calls a version's file: `name:architecture=version`, where what is of no architecture is `all`.
    pub(super) fn file_name(&self, version: VersionId) -> String {
        let one = &self.versions[version.index()];
        let package = &self.packages[one.package.index()];
        let architecture = match one.of_all {
            true => "all",
            false => &self.architectures[usize::from(package.architecture)],
        };
        format!("{}:{architecture}={}", self.name_text(package.name), self.version_text(version))
    }

    /// Its versions, the latest first.
    pub(super) fn versions(&self, package: PackageId) -> &[VersionId] {
        &self.packages[package.index()].versions
    }

    pub(super) fn installed(&self, package: PackageId) -> Option<VersionId> {
        self.packages[package.index()].installed
    }

    /// Whether a machine must not lose it: `Essential: yes`.
    pub(super) fn is_essential(&self, package: PackageId) -> bool {
        self.packages[package.index()].essential
    }

    /// Whether a machine must not lose it: `Protected: yes`, formerly `Important: yes`.
    pub(super) fn is_important(&self, package: PackageId) -> bool {
        self.packages[package.index()].important
    }

    pub(super) fn is_held(&self, package: PackageId) -> bool {
        self.packages[package.index()].held
    }

    /// Whether it is on the machine only because another needed it.
    pub(super) fn is_automatic(&self, package: PackageId) -> bool {
        self.packages[package.index()].automatic
    }

    pub(super) fn package(&self, version: VersionId) -> PackageId {
        self.versions[version.index()].package
    }

    pub(super) fn version_text(&self, version: VersionId) -> &str {
        self.text(self.versions[version.index()].version)
    }

    pub(super) fn text(&self, text: Text) -> &str {
        self.texts.text(text.0)
    }

    /// The source package that a version was built from, and that one's version.
    pub(super) fn source(&self, version: VersionId) -> (Text, Text) {
        let version = &self.versions[version.index()];
        (version.source, version.source_version)
    }

    pub(super) fn priority(&self, version: VersionId) -> Priority {
        self.versions[version.index()].priority
    }

    pub(super) fn multi_arch(&self, version: VersionId) -> MultiArch {
        self.versions[version.index()].multi_arch
    }

    /// Where it was seen, in the order in which the indices were read: apt fetches from the first.
    pub(super) fn origins(&self, version: VersionId) -> impl Iterator<Item = Origin> {
        let mut next = self.versions[version.index()].origin;
        std::iter::from_fn(move || {
            let (origin, after) = *self.origins.get(next as usize)?;
            next = after;
            Some(origin)
        })
    }

    /// Whether an index has it, rather than the status of a machine alone.
    pub(super) fn is_downloadable(&self, version: VersionId) -> bool {
        self.origins(version).any(|origin| origin.index.is_some())
    }

    /// The versions that are part of a task.
    pub(super) fn task(&self, task: &str) -> &[VersionId] {
        let text = self.texts.find(task).map(Text);
        text.and_then(|text| self.tasks.get(&text)).map_or(&[], |versions| versions)
    }
}
