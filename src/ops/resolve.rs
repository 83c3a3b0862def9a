//! Resolving: requests to artifacts, round after round, until nothing follows.

use std::collections::BTreeMap;

use super::lock_file::{AcceptedGap, Lock};
use super::requests;
use crate::config::AllowedGap;
use crate::ecosystem::{CollectContext, Gap, Planned, Request, Resolution, registry};
use crate::events::Happening;
use crate::problem::{Kind, Problem};

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
    let mut all = Resolution::default();
    let (mut artifacts, mut refs, mut evidence) = (Vec::new(), Vec::new(), Vec::new());
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
            let resolution = collect.resolve(&requests, platforms, context).await?;
            let count = resolution.artifacts.len();
            context.events().emit(Happening::Resolved { request: names, artifacts: count });
            follow_ups.extend(resolution.follow_ups);
            all.repositories.extend(resolution.repositories);
            artifacts.extend(resolution.artifacts.iter().collect::<Result<Vec<_>, _>>()?);
            refs.extend(resolution.refs.iter().collect::<Result<Vec<_>, _>>()?);
            all.gaps.extend(resolution.gaps);
            all.notes.extend(resolution.notes);
            evidence.extend(resolution.evidence.iter().collect::<Result<Vec<_>, _>>()?);
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
    let gaps = accept(all.gaps, allowed, context)?;
    let mut lock = Lock {
        resolved: crate::clock::now_text(),
        identities,
        platforms: platforms.to_vec(),
        repositories: all.repositories,
        artifacts: unite(artifacts)?,
        refs,
        evidence,
        gaps,
        notes: all.notes,
    };
    lock.sort();
    lock.repositories.dedup();
    lock.refs.dedup();
    lock.evidence.sort();
    lock.evidence.dedup();
    lock.notes.sort();
    lock.notes.dedup();
    Ok(lock)
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

/// Sorts artifacts and merges those that several requests named alike.
fn unite(mut artifacts: Vec<Planned>) -> Result<Vec<Planned>, Problem> {
    artifacts.sort_by(|a, b| a.key().cmp(&b.key()));
    artifacts.dedup();
    if let Some([a, b]) = artifacts.windows(2).find_map(|pair| match pair {
        [a, b] if a.key() == b.key() => Some([a, b]),
        _ => None,
    }) {
        let name = format!("{} {}", a.name, a.version);
        let files = |artifact: &Planned| {
            let files = artifact.files.iter().map(|file| match (file.blob, file.checksums.first()) {
                (Some(blob), _) => format!("{} {blob}", file.role),
                (None, Some(checksum)) => format!("{} {checksum}", file.role),
                (None, None) => file.role.clone(),
            });
            files.collect::<Vec<_>>().join(", ")
        };
        return Err(Problem::new(
            Kind::Refused,
            "resolve.conflict",
            format!("two different things are called {} in {}:{}", name.trim(), a.ecosystem, a.repository),
        )
        .because(files(a))
        .because(files(b))
        .hint("collect them in two channels, or rename one"));
    }
    Ok(artifacts)
}
