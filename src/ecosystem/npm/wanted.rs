//! What a lockfile asks for: exact versions by registry and name, and what cannot be had from any registry.

use std::cmp::Ordering;
use std::collections::{BTreeMap, BTreeSet};
use std::iter;
use std::path::Path;

use bundle_format::{Digest, Requirement};
use serde::{Deserialize, Serialize};
use url::Url;

use super::address::Allowed;
use super::integrity;
use super::lock::{Lock, Node, Overrides, Place, is_from_registry, place};
use super::origin::{Routes, Source, is_conventional};
use super::remote::Remote;
use super::spec::Spec;
use crate::ecosystem::{Gap, Note};
use crate::problem::{Kind, Problem};
use crate::spill::{Entry, Sorted, Sorter};

/// What a lockfile may have from elsewhere than registries.
pub(crate) struct Elsewhere {
    /// From where it may be had.
    pub(crate) allowed: Allowed,
    /// Whether it is a lockfile of npm, which has its own way to repositories.
    pub(crate) is_of_npm: bool,
}

/// What is wanted of one package of one registry.
#[derive(Debug, Default, Clone)]
pub(crate) struct Package {
    /// Exact versions.
    pub(crate) versions: BTreeMap<String, Wanted>,
    /// Ranges of which the best version is wanted, each with who wants it.
    pub(crate) ranges: BTreeMap<String, Wanted>,
}

/// A version or range that is wanted.
#[derive(Debug, Clone)]
pub(crate) struct Wanted {
    /// The checksums that lockfiles know.
    pub(crate) checksums: Vec<Digest>,
    /// Whether one can do without it.
    pub(crate) optional: bool,
    /// Whether a lockfile says that it runs scripts when it is installed.
    pub(crate) install_script: bool,
    /// Whether it is never installed, and clients only have to know what it says.
    pub(crate) only_known: bool,
    /// Who needs it, for messages.
    pub(crate) needed_by: String,
}

/// All that a lockfile lists, and what is known to be missing already.
pub(crate) struct Wants {
    /// The lockfile's path, for messages.
    path: String,
    /// The registries that are asked, in the order in which they turned up.
    sources: Vec<Source>,
    listed: Sorted<Listed>,
    /// How many packages that are.
    count: usize,
    /// What edges of a package get instead, by real name and version.
    pub(crate) bent: BTreeMap<(String, String), BTreeSet<Requirement>>,
    /// What stands at addresses of their own, each once.
    pub(crate) remotes: Vec<Remote>,
    /// What no registry has.
    pub(crate) gaps: Vec<Gap>,
    /// What is left out on purpose.
    pub(crate) notes: Vec<Note>,
}

/// An entry of the lockfile that a registry is asked for.
#[derive(Clone, Serialize, Deserialize)]
struct Listed {
    /// The registry's place among [`Wants::sources`].
    source: usize,
    name: String,
    version: String,
    checksums: Vec<Digest>,
    optional: bool,
    install_script: bool,
    only_known: bool,
    needed_by: String,
}

impl Entry for Listed {
    fn order(&self, other: &Self) -> Ordering {
        self.package().cmp(&other.package()).then_with(|| self.version.cmp(&other.version))
    }
}

impl Listed {
    fn package(&self) -> (usize, &str) {
        (self.source, &self.name)
    }
}

impl Wants {
    /// Finds out what a lockfile asks for, and what clients have to know `beside`, by name and version. `path` is its path,
    /// for messages; `scratch` gets what outgrows memory. It blocks.
    ///
    /// # Errors
    /// If no registry is known, or the lockfile contradicts itself about a checksum or has one that none could be.
    pub(crate) fn of(
        (lock, beside): (&Lock, &BTreeSet<(String, String)>),
        overrides: &Overrides,
        (routes, elsewhere): (&Routes, &Elsewhere),
        path: &str,
        scratch: &Path,
    ) -> Result<Wants, Problem> {
        let mut wants = Wants {
            path: path.to_owned(),
            sources: Vec::new(),
            listed: Sorted::default(),
            count: 0,
            bent: lock.bent_edges(overrides),
            remotes: Vec::new(),
            gaps: Vec::new(),
            notes: Vec::new(),
        };
        wants.list(lock, beside, (routes, elsewhere), scratch)?;
        for edge in lock.unmet_by_project(overrides) {
            let detail = "the lockfile is behind package.json; bring it up to date with: npm install \
                          --package-lock-only";
            wants.gaps.push(gap(edge.name, edge.range, "not-in-lockfile", detail.to_owned()));
        }
        // Contradictions are found before anything is fetched.
        let count = wants.packages().try_fold(0, |count, package| package.map(|_| count + 1))?;
        Ok(Wants { count, ..wants })
    }

    fn list(
        &mut self,
        lock: &Lock,
        beside: &BTreeSet<(String, String)>,
        (routes, elsewhere): (&Routes, &Elsewhere),
        scratch: &Path,
    ) -> Result<(), Problem> {
        let by_address = lock.asked_for_by_address();
        let askers = Askers::of(lock);
        let mut listed = Sorter::new(scratch);
        for node in lock.nodes().filter(|node| node.installed_name().is_some()) {
            let Some(name) = node.name() else { continue };
            if node.flags().link || node.flags().in_bundle {
                continue;
            }
            let resolved = node.resolved();
            let address = resolved.as_deref().or(node.version()).unwrap_or_default();
            match Spec::read(address) {
                Spec::Git => {
                    self.locate(node, (name, address), askers.needed_by(node), elsewhere)?;
                    continue;
                }
                Spec::Local => {
                    let shown = without_credentials(address);
                    let message = format!("comes from {shown}, a file of the project, and is not carried");
                    let code = "npm.local-dependency".to_owned();
                    self.notes.push(Note { code, subject: name.to_owned(), message });
                    continue;
                }
                _ => {}
            }
            let source = routes.source(name, resolved.as_deref()).map_err(|problem| {
                problem.because(format!("{name} has no usable `resolved` address in {}", self.path))
            })?;
            // Asked for by its address, it is the registry's only if the address is where a registry keeps it.
            let of_registry = is_from_registry(node)
                && (!by_address.contains(&node.number()) || is_conventional(name, address));
            let (Some(source), Some(version), true) = (source, node.version(), of_registry) else {
                self.locate(node, (name, address), askers.needed_by(node), elsewhere)?;
                continue;
            };
            listed.push(Listed {
                source: self.number(source),
                name: name.to_owned(),
                version: version.to_owned(),
                checksums: self.checksums(node, name, version)?,
                optional: node.flags().optional,
                install_script: node.flags().has_install_script,
                only_known: false,
                needed_by: askers.needed_by(node),
            })?;
        }
        for (name, version) in beside {
            let Some(source) = routes.source(name, None)? else { continue };
            listed.push(Listed {
                source: self.number(source),
                name: name.clone(),
                version: version.clone(),
                checksums: Vec::new(),
                optional: true,
                install_script: false,
                only_known: true,
                needed_by: "looked at while the tree is built".to_owned(),
            })?;
        }
        self.listed = listed.finish()?;
        Ok(())
    }

    /// Notes down what no registry has: where it is to be had, or that it cannot be.
    fn locate(
        &mut self,
        node: Node<'_>,
        (name, address): (&str, &str),
        needed_by: String,
        elsewhere: &Elsewhere,
    ) -> Result<(), Problem> {
        let located = match elsewhere.allowed.locate(address, elsewhere.is_of_npm) {
            Ok(located) => located,
            Err((reason, why)) => {
                let detail = format!("{why}; {needed_by}");
                self.gaps.push(gap(name, &without_credentials(address), reason, detail));
                return Ok(());
            }
        };
        // What npm packs of a repository has other bytes than the archive that it asks for.
        let checksums = match located.is_of_git {
            true => Vec::new(),
            false => self.checksums(node, name, node.version().unwrap_or_default())?,
        };
        let optional = node.flags().optional;
        let Some(known) = self.remotes.iter_mut().find(|known| known.located == located) else {
            self.remotes.push(Remote { located, name: name.to_owned(), checksums, optional, needed_by });
            return Ok(());
        };
        known.optional &= optional;
        known.checksums = integrity::join(&known.checksums, &checksums).map_err(|algorithm| {
            let message = format!("the lockfile disagrees about the {} of {address}", algorithm.name());
            Problem::new(Kind::Untrusted, "npm.checksum-conflict", message).at(&self.path)
        })?;
        Ok(())
    }

    /// A registry's place among those that are asked.
    fn number(&mut self, source: Source) -> usize {
        self.sources.iter().position(|other| *other == source).unwrap_or_else(|| {
            self.sources.push(source);
            self.sources.len() - 1
        })
    }

    /// What the lockfile says of a tarball's bytes.
    fn checksums(&self, node: Node<'_>, name: &str, version: &str) -> Result<Vec<Digest>, Problem> {
        integrity::read_binding(node.integrity().unwrap_or_default()).map_err(|why| {
            let message = format!("the lockfile's integrity of {name}@{version} cannot be held to");
            Problem::new(Kind::Untrusted, "npm.bad-integrity", message)
                .at(format_args!("{}, {}", self.path, node.path()))
                .because(why)
                .hint("find out what changed it; only where a lockfile has none, the registry's is taken")
        })
    }

    /// How many packages registries are asked for.
    pub(crate) fn count(&self) -> usize {
        self.count
    }

    /// What registries are asked for, package by package, ordered by registry and name. Reads from the disk now and
    /// then.
    pub(crate) fn packages(&self) -> impl Iterator<Item = Result<(Source, String, Package), Problem>> {
        let mut listed = self.listed.iter().peekable();
        iter::from_fn(move || {
            let first = match listed.next()? {
                Ok(first) => first,
                Err(problem) => return Some(Err(problem)),
            };
            let is_same = |next: &Result<Listed, Problem>| {
                next.as_ref().is_ok_and(|next| next.package() == first.package())
            };
            let others = iter::from_fn(|| listed.next_if(is_same)).flatten();
            let package = self.package(iter::once(first.clone()).chain(others));
            let source = self.sources.get(first.source)?.clone();
            Some(package.map(|package| (source, first.name, package)))
        })
    }

    /// What entries, all of one package, ask for.
    fn package(&self, listed: impl Iterator<Item = Listed>) -> Result<Package, Problem> {
        let mut package = Package::default();
        for one in listed {
            let checksums = one.checksums;
            let wanted = package.versions.entry(one.version.clone()).or_insert_with(|| Wanted {
                checksums: checksums.clone(),
                optional: one.optional,
                install_script: one.install_script,
                only_known: one.only_known,
                needed_by: one.needed_by,
            });
            wanted.optional &= one.optional;
            wanted.only_known &= one.only_known;
            if checksums.is_empty() || checksums == wanted.checksums {
                continue;
            }
            wanted.checksums = integrity::join(&wanted.checksums, &checksums).map_err(|algorithm| {
                let (name, version, algorithm) = (&one.name, &one.version, algorithm.name());
                let message = format!("lockfiles disagree about the {algorithm} of {name}@{version}");
                Problem::new(Kind::Untrusted, "npm.checksum-conflict", message)
                    .at(&self.path)
                    .because(format!("one says {:?}, another {checksums:?}", wanted.checksums))
            })?;
        }
        Ok(package)
    }
}

/// Who asks for the entries of a lockfile.
struct Askers<'a> {
    lock: &'a Lock,
    /// By the number of an entry: that of the first one that asks for it.
    first: Vec<Option<usize>>,
}

impl Askers<'_> {
    fn of(lock: &Lock) -> Askers<'_> {
        let mut first = vec![None; lock.len()];
        for edge in lock.edges() {
            if let Some(asker) = edge.to.and_then(|to| first.get_mut(to.number())) {
                asker.get_or_insert(edge.from.number());
            }
        }
        Askers { lock, first }
    }

    /// Who needs an entry, in words.
    fn needed_by(&self, node: Node<'_>) -> String {
        let asker = self.first.get(node.number()).copied().flatten();
        match asker.and_then(|asker| self.lock.node(asker)).map(place) {
            Some(Place::Package(name, version)) => format!("needed by {name}@{version}"),
            Some(Place::Elsewhere) => "needed by the project".to_owned(),
            None => "listed in the lockfile".to_owned(),
        }
    }
}

/// A gap of this ecosystem.
pub(crate) fn gap(name: &str, version: &str, reason: &str, detail: String) -> Gap {
    Gap {
        ecosystem: "npm".to_owned(),
        name: name.to_owned(),
        version: version.to_owned(),
        reason: reason.to_owned(),
        detail,
    }
}

/// An address as it may be shown and recorded. The user of a git address is part of it, unless it has a password.
fn without_credentials(address: &str) -> String {
    let Ok(mut url) = Url::parse(address) else { return address.to_owned() };
    if url.password().is_some() || !url.username().is_empty() && url.username() != "git" {
        // Addresses without a host have no credentials either; then both are refused and nothing changes.
        let _ = url.set_password(None);
        let _ = url.set_username("");
    }
    url.into()
}
