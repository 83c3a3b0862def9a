//! The suites that packages are collected from: believed, and with the indices of all architectures that are wanted.

use std::collections::BTreeMap;

use bundle_format::BlobKey;
use jiff::Timestamp;

use super::EVIDENCE;
use super::credentials::Ways;
use super::index::{self, Index};
use super::keys::keys_of;
use super::machine::Machine;
use super::options::Options;
use super::release::{self, Listed, Proof, Release};
use super::source::{Source, SourceKind, evidence_name_of};
use super::task::Task;
use super::universe::IndexFacts;
use crate::ecosystem::{CollectContext, Note, Planned};
use crate::problem::{Kind, Problem};

/// A suite that is believed.
#[derive(Debug)]
pub(super) struct Suite {
    /// The first source that names it.
    pub(super) source: Source,
    pub(super) release: Release,
    pub(super) proof: Proof,
}

/// An index of one of the suites.
#[derive(Debug)]
pub(super) struct SuiteIndex {
    /// The suite's place in the list.
    pub(super) suite: usize,
    pub(super) index: Index,
    pub(super) kind: SourceKind,
    /// Empty in a flat repository.
    pub(super) component: String,
    /// As in the index's path; empty for source packages.
    pub(super) architecture: String,
}

/// All suites, and their indices in the order in which apt reads them.
#[derive(Debug, Default)]
pub(super) struct Suites {
    pub(super) suites: Vec<Suite>,
    pub(super) indices: Vec<SuiteIndex>,
    pub(super) notes: Vec<Note>,
}

impl Suites {
    /// Fetches what the sources name, for these architectures.
    ///
    /// # Errors
    /// If a suite is not believed, is stale, or cannot be had.
    pub(super) async fn fetch(
        options: &Options,
        architectures: &[String],
        (machine, ways): (&Machine, &Ways),
        context: &dyn CollectContext,
    ) -> Result<Suites, Problem> {
        let before = dates(&context.locked(EVIDENCE).await?);
        let mut found = Suites::default();
        for source in &options.sources {
            if source.kind == SourceKind::Source && !options.with_sources {
                continue;
            }
            let known = found
                .suites
                .iter()
                .position(|suite| suite.source.base == source.base && suite.source.suite == source.suite);
            let number = match known {
                Some(number) if found.suites[number].source.trust == source.trust => number,
                Some(_) => {
                    let what = source.suite_of_repository();
                    let message = format!("two sources say differently who signs {what}");
                    return Err(Problem::new(Kind::Usage, "apt.keys", message).at(&source.place));
                }
                None => {
                    let keys = keys_of(source, machine, context).await?;
                    let (release, proof) = release::fetch(source, keys.as_ref(), ways, context).await?;
                    let name = (source.repository.clone(), source.evidence_name());
                    let before = before.get(&name).copied();
                    let over = release::must_be_current(&release, source, before, proof.observed)?;
                    found.note("apt.expired", source, over);
                    if keys.is_none() {
                        let why = "nobody has to have signed it, because the source is marked as trusted";
                        found.note("apt.unsigned", source, Some(why.to_owned()));
                    }
                    found.suites.push(Suite { source: source.clone(), release, proof });
                    found.suites.len() - 1
                }
            };
            found.take_indices(number, source, architectures, ways, context).await?;
        }
        Ok(found)
    }

    /// Those that packages were locked from, with indices that stand for what is carried of them. `evidence` is what proves
    /// them.
    ///
    /// # Errors
    /// If a Release that is held cannot be read.
    pub(super) async fn carried(
        task: &Task,
        evidence: &[Planned],
        context: &dyn CollectContext,
    ) -> Result<Suites, Problem> {
        let mut found = Suites::default();
        let architectures = task.architectures();
        for source in task.options.sources.iter().filter(|source| source.kind == SourceKind::Binary) {
            let proofs = evidence.iter().filter(|one| {
                (&*one.repository, &*one.name) == (&*source.repository, &*source.evidence_name())
            });
            // Inside, the latest is the one that counts.
            let Some(proof) = proofs.max_by(|one, other| one.version.cmp(&other.version)) else { continue };
            let number = found.suites.len();
            let (release, proof) = release::held(proof, context).await?;
            let nothing = Listed { digest: BlobKey::of(b"").into(), size: 0 };
            for (component, name, architecture) in source.binaries(&release, &architectures) {
                let index = Index::carried(&name, nothing.clone(), &release);
                let kind = SourceKind::Binary;
                found.indices.push(SuiteIndex { suite: number, index, kind, component, architecture });
            }
            found.suites.push(Suite { source: source.clone(), release, proof });
        }
        Ok(found)
    }

    async fn take_indices(
        &mut self,
        suite: usize,
        source: &Source,
        architectures: &[String],
        ways: &Ways,
        context: &dyn CollectContext,
    ) -> Result<(), Problem> {
        let release = &self.suites[suite].release;
        let wanted = match source.kind {
            SourceKind::Binary => source.binaries(release, architectures),
            SourceKind::Source => source.sources(),
        };
        for (component, name, architecture) in wanted {
            let release = &self.suites[suite].release;
            let Some(index) = index::fetch(&name, release, source, ways, context).await? else {
                if source.kind == SourceKind::Binary {
                    self.note("apt.no-index", source, Some(format!("its Release lists no {name}")));
                }
                continue;
            };
            let is_known = self.indices.iter().any(|one| one.suite == suite && one.index.path == index.path);
            if !is_known {
                let kind = source.kind;
                self.indices.push(SuiteIndex { suite, index, kind, component, architecture });
            }
        }
        Ok(())
    }

    fn note(&mut self, code: &str, source: &Source, message: Option<String>) {
        let Some(message) = message else { return };
        self.notes.push(Note { code: code.to_owned(), subject: source.suite_of_repository(), message });
    }

    /// Whether the index at a place lists packages of that kind.
    pub(super) fn is_of(&self, place: usize, kind: SourceKind) -> bool {
        self.indices.get(place).is_some_and(|index| index.kind == kind)
    }

    /// What pins may ask about an index.
    pub(super) fn facts(&self, index: &SuiteIndex) -> IndexFacts {
        let Suite { source, release, .. } = &self.suites[index.suite];
        IndexFacts {
            archive: release.suite.clone(),
            codename: release.codename.clone(),
            origin: release.origin.clone(),
            label: release.label.clone(),
            version: release.version.clone(),
            component: index.component.clone(),
            architecture: index.architecture.clone(),
            site: source.base.host_str().unwrap_or_default().to_owned(),
            not_automatic: release.not_automatic,
            but_automatic_upgrades: release.but_automatic_upgrades,
        }
    }
}

impl Source {
    /// The name of what proves the suite: `dists/bookworm`, or the folder of a flat repository.
    pub(super) fn evidence_name(&self) -> String {
        evidence_name_of(&self.suite)
    }

    /// The indices of binary packages that systems of these architectures read of it: component, name and architecture.
    fn binaries(&self, release: &Release, architectures: &[String]) -> Vec<(String, String, String)> {
        let is_meant = |one: &&String| self.architectures.is_empty() || self.architectures.contains(one);
        let meant: Vec<String> = architectures.iter().filter(is_meant).cloned().collect();
        let of_component = |component: Option<&str>| {
            let names = index::names_of_binaries(release, component, &meant).into_iter();
            let component = component.unwrap_or_default().to_owned();
            names.map(move |(name, architecture)| (component.clone(), name, architecture))
        };
        self.each_component().flat_map(of_component).collect()
    }

    /// The same of source packages, which are of no architecture.
    fn sources(&self) -> Vec<(String, String, String)> {
        let of_component = |component: Option<&str>| {
            (component.unwrap_or_default().to_owned(), index::name_of_sources(component), String::new())
        };
        self.each_component().map(of_component).collect()
    }

    /// Its components; of a flat repository one that is none.
    fn each_component(&self) -> impl Iterator<Item = Option<&str>> {
        let none = self.components.is_empty().then_some(None);
        none.into_iter().chain(self.components.iter().map(|component| Some(component.as_str())))
    }
}

/// The dates of suites that a lock has, by repository and name.
fn dates(locked: &[Planned]) -> BTreeMap<(String, String), Timestamp> {
    let dates = locked.iter().filter_map(|planned| {
        Some(((planned.repository.clone(), planned.name.clone()), planned.version.parse().ok()?))
    });
    dates.collect()
}
