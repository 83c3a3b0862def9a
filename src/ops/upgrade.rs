//! Moving some packages of a lock and leaving the others where they are.

use std::collections::{BTreeMap, HashSet};
use std::path::Path;

use super::lock_file::Lock;
use crate::ecosystem::{Planned, registry};
use crate::problem::{Kind, Problem};
use crate::spill::Sorter;

/// Whether a package is one of those that are named: `name` or `ecosystem:name`.
fn is_named(packages: &[String], ecosystem: &str, name: &str) -> bool {
    packages.iter().any(|named| {
        named == name || named.strip_prefix(ecosystem).and_then(|rest| rest.strip_prefix(':')) == Some(name)
    })
}

/// Each of the packages must be in one of the locks.
///
/// # Errors
/// Usage, naming the first that is in none; if a lock cannot be read.
pub(super) fn must_be_known(before: &Lock, after: &Lock, packages: &[String]) -> Result<(), Problem> {
    let mut unknown: Vec<&String> = packages.iter().collect();
    for planned in before.artifacts.iter().chain(after.artifacts.iter()) {
        let planned = planned?;
        unknown.retain(|named| !is_named(std::slice::from_ref(named), &planned.ecosystem, &planned.name));
        if unknown.is_empty() {
            return Ok(());
        }
    }
    match unknown.first() {
        Some(named) => Err(Problem::new(
            Kind::Usage,
            "lock.unknown-package",
            format!("nothing that is locked is called {named}"),
        )
        .hint("write the name as `aftk ls` shows it, without a version: left-pad, npm:left-pad")),
        None => Ok(()),
    }
}

/// Whether it only proves others: both locks' are needed for the packages of both.
fn is_proof(planned: &Planned) -> bool {
    registry::find(&planned.ecosystem).is_some_and(|ecosystem| ecosystem.is_proof(&planned.schema))
}

/// The lock before, but these packages as the lock after has them, with the packages that only that one has. Head, gaps and
/// notes are those of the lock after.
///
/// # Errors
/// If a lock cannot be read.
pub(super) fn alone(
    before: &Lock,
    after: Lock,
    packages: &[String],
    scratch: &Path,
) -> Result<Lock, Problem> {
    // Digests of names: a lock may have hundreds of thousands.
    let key = |ecosystem: &str, repository: &str, name: &str| {
        bundle_format::BlobKey::of([ecosystem, repository, name].join("\0").as_bytes())
    };
    let (mut artifacts, mut refs) = (Sorter::new(scratch), Sorter::new(scratch));
    // Of what proves the same state of an upstream, the one that vouches for more.
    let mut proofs: BTreeMap<[String; 4], Planned> = BTreeMap::new();
    for planned in before.artifacts.iter().chain(after.artifacts.iter()) {
        let planned = planned?;
        if is_proof(&planned) {
            let key =
                [&planned.ecosystem, &planned.repository, &planned.name, &planned.version].map(Clone::clone);
            let known = proofs.entry(key).or_insert_with(|| planned.clone());
            if known.files.len() < planned.files.len() {
                *known = planned;
            }
        }
    }
    proofs.into_values().try_for_each(|proof| artifacts.push(proof))?;
    let mut kept = HashSet::new();
    for planned in before.artifacts.iter() {
        let planned = planned?;
        if !is_proof(&planned) && !is_named(packages, &planned.ecosystem, &planned.name) {
            kept.insert(key(&planned.ecosystem, &planned.repository, &planned.name));
            artifacts.push(planned)?;
        }
    }
    for planned in after.artifacts.iter() {
        let planned = planned?;
        let is_kept = kept.contains(&key(&planned.ecosystem, &planned.repository, &planned.name));
        if !is_proof(&planned) && !is_kept {
            artifacts.push(planned)?;
        }
    }
    let is_kept = |one: &bundle_format::Ref| kept.contains(&key(&one.ecosystem, &one.repository, &one.name));
    for (list, takes_kept) in [(&before.refs, true), (&after.refs, false)] {
        for reference in list.iter() {
            let reference = reference?;
            if is_kept(&reference) == takes_kept {
                refs.push(reference)?;
            }
        }
    }
    // What was read for either is what this one is from.
    let mut evidence = Sorter::new(scratch);
    for document in before.evidence.iter().chain(after.evidence.iter()) {
        evidence.push(document?)?;
    }
    let mut lock = Lock {
        artifacts: artifacts.finish()?,
        refs: refs.finish()?,
        evidence: evidence.finish()?.distinct(scratch)?,
        ..after
    };
    for repository in &before.repositories {
        let is_there = lock
            .repositories
            .iter()
            .any(|one| (&one.ecosystem, &one.name) == (&repository.ecosystem, &repository.name));
        if !is_there {
            lock.repositories.push(repository.clone());
        }
    }
    lock.sort_repositories();
    Ok(lock)
}
