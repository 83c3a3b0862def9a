//! What was found for all lockfiles, in lists that may outgrow memory, and how it becomes one resolution.

use std::cmp::Ordering;
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use bundle_format::{Ref, Repository};
use serde::{Deserialize, Serialize};

use super::integrity;
use crate::ecosystem::{Evidence, Gap, Note, Planned, Resolution};
use crate::problem::{Kind, Problem};
use crate::spill::{Entry, Sorted, Sorter};

/// What was found so far.
pub(crate) struct Found {
    /// The artifacts, each as one lockfile leads to it.
    pub(crate) artifacts: Sorter<Sighting>,
    /// The dist-tags.
    pub(crate) refs: Sorter<Ref>,
    /// The documents that all this was read from.
    pub(crate) evidence: Sorter<Evidence>,
    /// The repositories that artifacts name.
    pub(crate) repositories: Vec<Repository>,
    /// What cannot be had.
    pub(crate) gaps: Vec<Gap>,
    /// What a person should know.
    pub(crate) notes: Vec<Note>,
    /// By lockfile: the optional dependencies, by name and range, that nothing meets.
    pub(crate) absent: Vec<BTreeSet<(String, String)>>,
    /// By lockfile: the requests that it stands for.
    pub(crate) requests: Vec<Vec<String>>,
    scratch: PathBuf,
}

/// An artifact as one lockfile leads to it.
#[derive(Clone, Serialize, Deserialize)]
pub(crate) struct Sighting {
    /// Which lockfile, from 0.
    pub(crate) lockfile: usize,
    /// The address of the registry: two of one host are one repository.
    pub(crate) base: String,
    /// What is recorded of it.
    pub(crate) planned: Planned,
}

impl Entry for Sighting {
    fn order(&self, other: &Self) -> Ordering {
        let place = |one: &Sighting| (one.lockfile, one.base.as_str()).cmp(&(other.lockfile, &other.base));
        self.planned.order(&other.planned).then_with(|| place(self))
    }
}

impl Found {
    /// Nothing yet. `scratch` gets what outgrows memory.
    pub(crate) fn new(scratch: &Path) -> Found {
        Found {
            artifacts: Sorter::new(scratch),
            refs: Sorter::new(scratch),
            evidence: Sorter::new(scratch),
            repositories: Vec::new(),
            gaps: Vec::new(),
            notes: Vec::new(),
            absent: Vec::new(),
            requests: Vec::new(),
            scratch: scratch.to_owned(),
        }
    }

    /// Sorts everything and takes together what is said twice, so that equal requests give equal answers. Blocks.
    ///
    /// # Errors
    /// If two different things go by one name, or the disk is full.
    pub(crate) fn settle(mut self) -> Result<Resolution, Problem> {
        let sightings = self.artifacts.finish()?;
        let artifacts = sightings.iter().map(|sighting| {
            let sighting = sighting?;
            let requests = self.requests.get(sighting.lockfile).cloned();
            let mut planned = mark_absent(sighting, &self.absent);
            planned.is_asked_for_by(requests.into_iter().flatten());
            Ok(planned)
        });
        let artifacts = unite(artifacts, &self.scratch, merge)?;
        let refs = self.refs.finish()?;
        let refs = unite(refs.iter(), &self.scratch, |kept, next: Ref| {
            // Two registries of one host may disagree about a tag.
            if next.version < kept.version {
                *kept = next;
            }
            Ok(())
        })?;
        let evidence = self.evidence.finish()?;
        let evidence = unite(evidence.iter(), &self.scratch, |_, _| Ok(()))?;
        self.repositories.sort_by(|a, b| (&a.name, &a.origin).cmp(&(&b.name, &b.origin)));
        self.repositories.dedup_by(|next, first| next.name == first.name);
        self.gaps.sort_by(|a, b| {
            (&a.name, &a.version, &a.reason, &a.detail).cmp(&(&b.name, &b.version, &b.reason, &b.detail))
        });
        self.gaps.dedup_by(|a, b| (&a.name, &a.version, &a.reason) == (&b.name, &b.version, &b.reason));
        self.notes.sort();
        self.notes.dedup();
        Ok(Resolution {
            repositories: self.repositories,
            artifacts,
            refs,
            follow_ups: Vec::new(),
            gaps: self.gaps,
            notes: self.notes,
            evidence,
        })
    }
}

/// Marks the optional edges that nothing meets. All were followed, so their packages are absent upstream as well, and
/// the proof need not look for them.
fn mark_absent(sighting: Sighting, absent: &[BTreeSet<(String, String)>]) -> Planned {
    let Sighting { lockfile, mut planned, .. } = sighting;
    let Some(absent) = absent.get(lockfile).filter(|absent| !absent.is_empty()) else { return planned };
    for edge in planned.requires.iter_mut().filter(|edge| edge.kind == "optional") {
        if absent.contains(&(edge.name.clone(), edge.range.clone())) {
            edge.kind = "absent-optional".to_owned();
        }
    }
    planned
}

/// The list without entries that compare as equal: each is merged into the one before it.
fn unite<T: Entry>(
    list: impl Iterator<Item = Result<T, Problem>>,
    scratch: &Path,
    merge: impl Fn(&mut T, T) -> Result<(), Problem>,
) -> Result<Sorted<T>, Problem> {
    let mut united = Sorter::new(scratch);
    let mut last: Option<T> = None;
    for next in list {
        let next = next?;
        match &mut last {
            Some(kept) if kept.order(&next) == Ordering::Equal => merge(kept, next)?,
            _ => last.replace(next).map_or(Ok(()), |done| united.push(done))?,
        }
    }
    last.map_or(Ok(()), |done| united.push(done))?;
    united.finish()
}

/// Merges what two lockfiles, or two registries of one host, say of one version.
fn merge(artifact: &mut Planned, other: Planned) -> Result<(), Problem> {
    artifact.is_asked_for_by(other.requests);
    artifact.requires.extend(other.requires);
    artifact.requires.sort();
    artifact.requires.dedup();
    for file in other.files {
        let Some(held) = artifact.files.iter_mut().find(|held| held.role == file.role) else {
            // Another lockfile needs the tarball that this one doesn't.
            artifact.files.push(file);
            artifact.attributes.remove("selected");
            continue;
        };
        held.checksums = integrity::join(&held.checksums, &file.checksums).map_err(|algorithm| {
            let subject = format!("{}@{}", artifact.name, artifact.version);
            let message = format!("two different {subject} go by the one repository {}", artifact.repository);
            Problem::new(Kind::Refused, "npm.version-conflict", message)
                .because(format!("their {} differ", algorithm.name()))
                .because(format!("one comes from {}, the other from {}", held.origin, file.origin))
                .hint("collect them into two channels")
        })?;
    }
    Ok(())
}
