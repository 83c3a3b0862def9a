//! What a lockfile asks for: exact versions by registry and name, and what cannot be had from any registry.

use std::collections::{BTreeMap, BTreeSet};

use bundle_format::{Digest, Requirement};
use url::Url;

use super::integrity;
use super::lock_graph::{Overrides, Place, is_from_registry, place};
use super::lockfile::{Lock, Node};
use super::origin::{Routes, Source, is_conventional};
use super::spec::Spec;
use crate::ecosystem::{Gap, Note};
use crate::problem::{Kind, Problem};

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
    /// Who needs it, for messages.
    pub(crate) needed_by: String,
}

/// All that a lockfile lists, and what is known to be missing already.
pub(crate) struct Wants {
    lock: Lock,
    /// The lockfile's path, for messages.
    path: String,
    /// By registry, what it is asked for: the numbers of entries, ordered by name, version and path.
    listed: BTreeMap<Source, Vec<usize>>,
    /// By the number of an entry: that of the first one that asks for it.
    askers: Vec<Option<usize>>,
    /// How many packages that are.
    count: usize,
    /// What edges of a package get instead, by real name and version.
    pub(crate) bent: BTreeMap<(String, String), BTreeSet<Requirement>>,
    /// What no registry has.
    pub(crate) gaps: Vec<Gap>,
    /// What is left out on purpose.
    pub(crate) notes: Vec<Note>,
}

impl Wants {
    /// Finds out what a lockfile asks for. `path` is its path, for messages.
    ///
    /// # Errors
    /// If no registry is known, or the lockfile contradicts itself about a checksum.
    pub(crate) fn of(
        lock: Lock,
        overrides: &Overrides,
        routes: &Routes,
        path: &str,
    ) -> Result<Wants, Problem> {
        let mut askers = vec![None; lock.len()];
        for edge in lock.edges() {
            if let Some(asker) = edge.to.and_then(|to| askers.get_mut(to.number())) {
                asker.get_or_insert(edge.from.number());
            }
        }
        let mut wants = Wants {
            path: path.to_owned(),
            listed: BTreeMap::new(),
            askers,
            count: 0,
            bent: lock.bent_edges(overrides),
            gaps: Vec::new(),
            notes: Vec::new(),
            lock,
        };
        wants.list(routes)?;
        for edge in wants.lock.unmet_by_project(overrides) {
            let detail = "the lockfile is behind package.json; bring it up to date with: npm install \
                          --package-lock-only";
            wants.gaps.push(gap(edge.name, edge.range, "not-in-lockfile", detail.to_owned()));
        }
        wants.lock.forget_edges();
        // Contradictions are found before anything is fetched.
        let count = wants.packages().try_fold(0, |count, package| package.map(|_| count + 1))?;
        Ok(Wants { count, ..wants })
    }

    fn list(&mut self, routes: &Routes) -> Result<(), Problem> {
        let by_address = self.lock.asked_for_by_address();
        for node in self.lock.nodes().filter(|node| node.installed_name().is_some()) {
            let Some(name) = node.name() else { continue };
            if node.flags().link || node.flags().in_bundle {
                continue;
            }
            let resolved = node.resolved();
            let address = resolved.as_deref().or(node.version()).unwrap_or_default();
            match Spec::read(address) {
                Spec::Git => {
                    let needed_by = self.needed_by(node);
                    let detail = format!("comes from git, which cannot be replayed inside; {needed_by}");
                    self.gaps.push(gap(name, &without_credentials(address), "git-dependency", detail));
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
            if let (Some(source), Some(_), true) = (source, node.version(), of_registry) {
                self.listed.entry(source).or_default().push(node.number());
            } else {
                let needed_by = self.needed_by(node);
                let detail = format!("comes from an address that is no registry's; {needed_by}");
                self.gaps.push(gap(name, &without_credentials(address), "url-dependency", detail));
            }
        }
        let key = |number: &usize| self.lock.node(*number).map(|node| (node.name(), node.version()));
        for numbers in self.listed.values_mut() {
            numbers.sort_by(|one, other| key(one).cmp(&key(other)));
        }
        Ok(())
    }

    /// How many packages registries are asked for.
    pub(crate) fn count(&self) -> usize {
        self.count
    }

    /// What registries are asked for, package by package, ordered by registry and name.
    pub(crate) fn packages(&self) -> impl Iterator<Item = Result<(Source, String, Package), Problem>> {
        self.listed.iter().flat_map(move |(source, numbers)| {
            let name = |number: &usize| self.lock.node(*number).and_then(Node::name).unwrap_or_default();
            numbers.chunk_by(move |one, next| name(one) == name(next)).map(move |numbers| {
                let nodes = numbers.iter().filter_map(|number| self.lock.node(*number));
                let name = numbers.first().map(name).unwrap_or_default();
                Ok((source.clone(), name.to_owned(), self.package(name, nodes)?))
            })
        })
    }

    /// What `nodes`, all of one package, ask for.
    fn package<'a>(&self, name: &str, nodes: impl Iterator<Item = Node<'a>>) -> Result<Package, Problem> {
        let mut package = Package::default();
        for node in nodes {
            let flags = node.flags();
            let checksums = node.integrity().map(|text| integrity::read(&text)).unwrap_or_default();
            let version = node.version().unwrap_or_default();
            let wanted = package.versions.entry(version.to_owned()).or_insert_with(|| Wanted {
                checksums: checksums.clone(),
                optional: flags.optional,
                install_script: flags.has_install_script,
                needed_by: self.needed_by(node),
            });
            wanted.optional &= flags.optional;
            if checksums.is_empty() || checksums == wanted.checksums {
                continue;
            }
            wanted.checksums = integrity::join(&wanted.checksums, &checksums).map_err(|algorithm| {
                let message =
                    format!("lockfiles disagree about the {} of {name}@{version}", algorithm.name());
                Problem::new(Kind::Untrusted, "npm.checksum-conflict", message)
                    .at(&self.path)
                    .because(format!("one says {:?}, another {checksums:?}", wanted.checksums))
            })?;
        }
        Ok(package)
    }

    /// Who needs an entry, in words.
    fn needed_by(&self, node: Node<'_>) -> String {
        let asker = self.askers.get(node.number()).copied().flatten();
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
