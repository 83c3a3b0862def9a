//! Resolving: requests to artifacts, round after round, until nothing follows.

use std::collections::BTreeMap;
use std::path::Path;

use super::lock_file::{AcceptedGap, Lock};
use super::requests;
use crate::blocking::blocking;
use crate::config::AllowedGap;
use crate::ecosystem::{CollectContext, Gap, Planned, Request, Resolution, registry};
use crate::events::Happening;
use crate::problem::{Kind, Problem};
use crate::spill::{Entry, Sorted, Sorter};

/// How often requests may lead to further requests: charts name images, packages name packages of the system.
const ROUNDS: usize = 32;

/// Resolves requests to a lock without sizes and digests of what is still to be downloaded.
///
/// # Errors
/// Whatever the ecosystems find wrong; a conflict if two different artifacts share one name; and, with exit code
/// 4, gaps that `allowed` does not cover.
pub async fn resolve(
    first: Vec<Request>,
    platforms: &[String],
    allowed: &[AllowedGap],
    context: &dyn CollectContext,
) -> Result<Lock, Problem> {
    let mut identities: Vec<String> = first.iter().map(|request| request.identity.clone()).collect();
    identities.sort();
    identities.dedup();
    let mut seen = identities.clone();
    let mut all = Vec::new();
    let mut next = first;
    let mut rounds = 0;
    while !next.is_empty() {
        rounds += 1;
        if rounds > ROUNDS {
            let message = format!("requests still lead to further ones after {ROUNDS} rounds");
            return Err(Problem::new(Kind::Failed, "resolve.endless", message));
        }
        let mut follow_ups = Vec::new();
        for (ecosystem, requests) in by_ecosystem(next) {
            let Some(collect) = registry::find(ecosystem).and_then(|ecosystem| ecosystem.collect()) else {
                continue;
            };
            let names = requests.iter().map(|request| request.text.as_str()).collect::<Vec<_>>().join(" ");
            let mut resolution = collect.resolve(&requests, platforms, context).await?;
            let artifacts = resolution.artifacts.len();
            context.events().emit(Happening::Resolved { request: names, artifacts });
            follow_ups.append(&mut resolution.follow_ups);
            all.push(resolution);
        }
        next = Vec::new();
        for text in follow_ups {
            let request = requests::parse(&text, context).await?;
            if !seen.contains(&request.identity) {
                seen.push(request.identity.clone());
                next.push(request);
            }
        }
    }
    let gaps = all.iter_mut().flat_map(|resolution| std::mem::take(&mut resolution.gaps)).collect();
    let gaps = accept(gaps, allowed, context)?;
    let (platforms, scratch) = (platforms.to_vec(), context.scratch().to_owned());
    blocking(move || {
        let mut lock =
            Lock { resolved: crate::clock::now_text(), identities, platforms, gaps, ..Lock::default() };
        for resolution in &mut all {
            lock.repositories.append(&mut resolution.repositories);
            lock.notes.append(&mut resolution.notes);
        }
        lock.sort_repositories();
        lock.repositories.dedup();
        lock.notes.sort();
        lock.notes.dedup();
        lock.artifacts = one_each(unite(&all, |resolution| &resolution.artifacts, &scratch)?, &scratch)?;
        lock.refs = unite(&all, |resolution| &resolution.refs, &scratch)?.distinct(&scratch)?;
        lock.evidence = unite(&all, |resolution| &resolution.evidence, &scratch)?.distinct(&scratch)?;
        Ok(lock)
    })
    .await
}

/// One list of those of all resolutions.
fn unite<T: Entry>(
    all: &[Resolution],
    list: impl Fn(&Resolution) -> &Sorted<T>,
    scratch: &Path,
) -> Result<Sorted<T>, Problem> {
    if let [only] = all {
        return Ok(list(only).clone());
    }
    let mut sorter = Sorter::new(scratch);
    for entry in all.iter().flat_map(|resolution| list(resolution).iter()) {
        sorter.push(entry?)?;
    }
    sorter.finish()
}

/// Splits gaps into those that somebody accepted and those that stop the job.
///
/// # Errors
/// Incomplete, naming every gap that nobody accepted.
pub fn accept(
    gaps: Vec<Gap>,
    allowed: &[AllowedGap],
    context: &dyn CollectContext,
) -> Result<Vec<AcceptedGap>, Problem> {
    let mut accepted = Vec::new();
    let mut open = Vec::new();
    for gap in gaps {
        match allowed.iter().find(|allowed| allowed.covers(&gap)) {
            Some(allowed) => accepted.push(AcceptedGap { gap, accepted: allowed.reason.clone() }),
            None => open.push(gap),
        }
    }
    if open.is_empty() {
        return Ok(accepted);
    }
    let names: Vec<String> =
        open.iter().map(|gap| format!("{}:{} {}", gap.ecosystem, gap.name, gap.version)).collect();
    let mut problem = Problem::new(
        Kind::Incomplete,
        "collect.gaps",
        match names.len() {
            1 => "1 thing would be missing inside, and nobody accepted that".to_owned(),
            n => format!("{n} things would be missing inside, and nobody accepted that"),
        },
    )
    .hint(format!(
        "if it may be missing, say so in the project's aftk.toml (`aftk init` makes one), with a reason: \
         gap = [{{ name = \"{}\", reason = \"…\" }}]",
        gap_name(&open)
    ));
    for gap in open {
        problem.causes.push(format!("{}:{} {}: {}", gap.ecosystem, gap.name, gap.version, gap.detail));
        context.events().emit(Happening::Gap(gap));
    }
    Err(problem)
}

fn gap_name(open: &[Gap]) -> String {
    open.first().map(|gap| format!("{}:{}", gap.ecosystem, gap.name)).unwrap_or_default()
}

fn by_ecosystem(requests: Vec<Request>) -> BTreeMap<&'static str, Vec<Request>> {
    let mut groups: BTreeMap<&'static str, Vec<Request>> = BTreeMap::new();
    for request in requests {
        groups.entry(request.ecosystem).or_default().push(request);
    }
    groups
}

/// Each artifact once, with all requests that lead to it.
///
/// # Errors
/// If two different ones have one name.
fn one_each(artifacts: Sorted<Planned>, scratch: &Path) -> Result<Sorted<Planned>, Problem> {
    let mut united = Sorter::new(scratch);
    let mut last: Option<Planned> = None;
    for artifact in artifacts.iter() {
        let mut artifact = artifact?;
        if let Some(last) = last.as_mut().filter(|last| last.key() == artifact.key()) {
            last.is_asked_for_by(artifact.requests);
            artifact.requests = last.requests.clone();
            if *last != artifact {
                return Err(conflict(last, &artifact));
            }
        } else if let Some(done) = last.replace(artifact) {
            united.push(done)?;
        }
    }
    last.map_or(Ok(()), |done| united.push(done))?;
    united.finish()
}

fn conflict(one: &Planned, other: &Planned) -> Problem {
    let name = format!("{} {}", one.name, one.version);
    let files = |artifact: &Planned| {
        let files = artifact.files.iter().map(|file| match (file.blob, file.checksums.first()) {
            (Some(blob), _) => format!("{} {blob}", file.role),
            (None, Some(checksum)) => format!("{} {checksum}", file.role),
            (None, None) => file.role.clone(),
        });
        files.collect::<Vec<_>>().join(", ")
    };
    Problem::new(
        Kind::Refused,
        "resolve.conflict",
        format!("two different things are called {} in {}:{}", name.trim(), one.ecosystem, one.repository),
    )
    .because(files(one))
    .because(files(other))
    .hint("collect them in two channels, or rename one")
}
