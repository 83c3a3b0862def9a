//! What lockfiles ask for: exact versions by registry and name, and what cannot be had from any registry.

use std::collections::{BTreeMap, BTreeSet};

use bundle_format::{Digest, Requirement};
use url::Url;

use super::integrity;
use super::lock_graph::{Overrides, Place, is_from_registry};
use super::lockfile::{Lock, installed_name};
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

/// All that is wanted, and what is known to be missing already.
#[derive(Debug, Default)]
pub(crate) struct Wants {
    /// By registry and real name.
    pub(crate) packages: BTreeMap<(Source, String), Package>,
    /// What edges of a package get instead, by real name and version.
    pub(crate) bent: BTreeMap<(String, String), BTreeSet<Requirement>>,
    /// What no registry has.
    pub(crate) gaps: Vec<Gap>,
    /// What is left out on purpose.
    pub(crate) notes: Vec<Note>,
}

impl Wants {
    /// Adds all that a lockfile lists. `place` is its path, for messages.
    ///
    /// # Errors
    /// If no registry is known, or the lockfile contradicts itself about a checksum or has one that none could be.
    pub(crate) fn add(
        &mut self,
        lock: &Lock,
        overrides: &Overrides,
        routes: &Routes,
        place: &str,
    ) -> Result<(), Problem> {
        let by_address = lock.asked_for_by_address();
        let mut askers = BTreeMap::new();
        for edge in lock.edges() {
            if let Some(to) = edge.to {
                askers.entry(to).or_insert(edge.from);
            }
        }
        let needed_by = |path: &str| match askers.get(path).map(|from| lock.place(from)) {
            Some(Place::Package(name, version)) => format!("needed by {name}@{version}"),
            Some(Place::Elsewhere) => "needed by the project".to_owned(),
            None => "listed in the lockfile".to_owned(),
        };
        for (path, entry) in &lock.packages {
            let Some(name) = entry.name(path).filter(|_| installed_name(path).is_some()) else { continue };
            if entry.link || entry.in_bundle {
                continue;
            }
            let address = entry.resolved.as_deref().or(entry.version.as_deref()).unwrap_or_default();
            let shown = without_credentials(address);
            match Spec::read(address) {
                Spec::Git => {
                    let detail =
                        format!("comes from git, which cannot be replayed inside; {}", needed_by(path));
                    self.gap(name, &shown, "git-dependency", detail);
                    continue;
                }
                Spec::Local => {
                    let message = format!("comes from {shown}, a file of the project, and is not carried");
                    let code = "npm.local-dependency".to_owned();
                    self.notes.push(Note { code, subject: name.to_owned(), message });
                    continue;
                }
                _ => {}
            }
            let source = routes.source(name, entry.resolved.as_deref()).map_err(|problem| {
                problem.because(format!("{name} has no usable `resolved` address in {place}"))
            })?;
            // Asked for by its address, it is the registry's only if the address is where a registry keeps it.
            let of_registry = is_from_registry(entry)
                && (!by_address.contains(path.as_str()) || is_conventional(name, address));
            let (Some(source), Some(version), true) = (source, &entry.version, of_registry) else {
                let detail = format!("comes from an address that is no registry's; {}", needed_by(path));
                self.gap(name, &shown, "url-dependency", detail);
                continue;
            };
            let checksums = integrity::read_binding(entry.integrity.as_deref().unwrap_or_default());
            let checksums = checksums.map_err(|why| {
                let message = format!("the lockfile's integrity of {name}@{version} cannot be held to");
                Problem::new(Kind::Untrusted, "npm.bad-integrity", message)
                    .at(format_args!("{place}, {path}"))
                    .because(why)
                    .hint("find out what changed it; only where a lockfile has none, the registry's is taken")
            })?;
            let package = self.packages.entry((source, name.to_owned())).or_default();
            let wanted = package.versions.entry(version.clone()).or_insert_with(|| Wanted {
                checksums: checksums.clone(),
                optional: entry.optional,
                install_script: entry.has_install_script,
                needed_by: needed_by(path),
            });
            wanted.optional &= entry.optional;
            if checksums.is_empty() || checksums == wanted.checksums {
                continue;
            }
            wanted.checksums = integrity::join(&wanted.checksums, &checksums).map_err(|algorithm| {
                let message =
                    format!("lockfiles disagree about the {} of {name}@{version}", algorithm.name());
                Problem::new(Kind::Untrusted, "npm.checksum-conflict", message)
                    .at(place)
                    .because(format!("one says {:?}, another {checksums:?}", wanted.checksums))
            })?;
        }
        for edge in lock.unmet_by_project(overrides) {
            let detail = "the lockfile is behind package.json; bring it up to date with: npm install \
                          --package-lock-only";
            self.gap(edge.name, edge.range, "not-in-lockfile", detail.to_owned());
        }
        for (package, bent) in lock.bent_edges(overrides) {
            self.bent.entry(package).or_default().extend(bent);
        }
        Ok(())
    }

    fn gap(&mut self, name: &str, version: &str, reason: &str, detail: String) {
        self.gaps.push(gap(name, version, reason, detail));
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
