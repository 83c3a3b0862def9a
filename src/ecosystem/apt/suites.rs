//! The suites that packages are collected from: believed, and with the indices of all architectures that are wanted.

use std::collections::BTreeMap;

use jiff::Timestamp;

use super::EVIDENCE;
use super::credentials::Ways;
use super::index::{self, Index};
use super::keys::keys_of;
use super::machine::Machine;
use super::options::Options;
use super::release::{self, Proof, Release};
use super::source::{Source, SourceKind, evidence_name_of};
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

    async fn take_indices(
        &mut self,
        suite: usize,
        source: &Source,
        architectures: &[String],
        ways: &Ways,
        context: &dyn CollectContext,
    ) -> Result<(), Problem> {
        let is_meant = |one: &&String| source.architectures.is_empty() || source.architectures.contains(one);
        let architectures: Vec<String> = architectures.iter().filter(is_meant).cloned().collect();
        let components: Vec<Option<&str>> = match &source.components[..] {
            [] => vec![None],
            some => some.iter().map(|component| Some(component.as_str())).collect(),
        };
        for component in components {
            let release = &self.suites[suite].release;
            let wanted = match source.kind {
                SourceKind::Binary => index::names_of_binaries(release, component, &architectures),
                SourceKind::Source => vec![(index::name_of_sources(component), String::new())],
            };
            for (name, architecture) in wanted {
                let release = &self.suites[suite].release;
                let Some(index) = index::fetch(&name, release, source, ways, context).await? else {
                    if source.kind == SourceKind::Binary {
                        self.note("apt.no-index", source, Some(format!("its Release lists no {name}")));
                    }
                    continue;
                };
                let component = component.unwrap_or_default().to_owned();
                let is_known =
                    self.indices.iter().any(|one| one.suite == suite && one.index.path == index.path);
                if !is_known {
                    self.indices.push(SuiteIndex {
                        suite,
                        index,
                        kind: source.kind,
                        component,
                        architecture,
                    });
                }
            }
        }
        Ok(())
    }

    fn note(&mut self, code: &str, source: &Source, message: Option<String>) {
        let Some(message) = message else { return };
        self.notes.push(Note { code: code.to_owned(), subject: source.suite_of_repository(), message });
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
}

/// The dates of suites that a lock has, by repository and name.
fn dates(locked: &[Planned]) -> BTreeMap<(String, String), Timestamp> {
    let dates = locked.iter().filter_map(|planned| {
        Some(((planned.repository.clone(), planned.name.clone()), planned.version.parse().ok()?))
    });
    dates.collect()
}
