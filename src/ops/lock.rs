//! Locking: from a project or from words on the command line to an `aftk.lock` that answers them.

use std::collections::HashSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bundle_format::{BlobKey, Mode};
use serde::{Deserialize, Serialize};

use super::context::Outside;
use super::lock_file::{AcceptedGap, Lock};
use super::records::Named;
use super::{recall, requests, resolve};
use crate::blocking::blocking;
use crate::config::{AllowedGap, Project};
use crate::ecosystem::{CollectContext, Gathered, Note, Planned, Request, registry};
use crate::problem::{Kind, Problem};

/// What to lock or collect, wherever it was said.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Order {
    /// The channel.
    pub channel: String,
    /// How it changes the channel inside.
    pub mode: Mode,
    /// The requests as written.
    pub requests: Vec<String>,
    /// The platforms.
    pub platforms: Vec<String>,
    /// The gaps that were accepted.
    pub gaps: Vec<AllowedGap>,
    /// Where lock and ledger are.
    pub place: Place,
}

/// Where an order keeps its lock and ledger.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Place {
    /// In a project: `aftk.lock` and `aftk.ledger` beside `aftk.toml`.
    Project(PathBuf),
    /// In the home, under the channel: one lock for each set of requests, one ledger.
    Channel(PathBuf),
}

impl Order {
    /// The order of a project.
    pub fn of_project(project: Project, directory: &Path) -> Order {
        Order {
            channel: project.channel,
            mode: project.mode.into(),
            requests: project.requests,
            platforms: project.platforms,
            gaps: project.gaps,
            place: Place::Project(directory.to_owned()),
        }
    }

    /// Where paths in its requests begin: at the project, else where the person stands.
    pub fn directory<'a>(&'a self, standing: &'a Path) -> &'a Path {
        match &self.place {
            Place::Project(directory) => directory,
            Place::Channel(_) => standing,
        }
    }

    /// The ledger.
    pub fn ledger(&self) -> PathBuf {
        match &self.place {
            Place::Project(directory) | Place::Channel(directory) => directory.join("aftk.ledger"),
        }
    }

    /// The lock of these requests.
    fn lock(&self, identities: &[String]) -> PathBuf {
        match &self.place {
            Place::Project(directory) => directory.join("aftk.lock"),
            Place::Channel(directory) => {
                let what = [identities, &self.platforms].map(|list| list.join("\n")).join("\n\n");
                let name: String = BlobKey::of(what.as_bytes()).hex().chars().take(16).collect();
                directory.join(format!("{name}.lock"))
            }
        }
    }
}

/// A wish to lock.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LockRequest {
    /// What to lock.
    pub order: Order,
    /// Resolve, but write nothing.
    pub dry_run: bool,
}

/// A lock that answers an order.
pub struct Locked {
    /// The lock; what the store holds of it is filled in and claimed.
    pub lock: Lock,
    /// What it answers.
    pub requests: Arc<Vec<Request>>,
    /// Where it is kept.
    pub path: PathBuf,
    /// Whether it is already kept there as it is.
    pub kept: bool,
}

/// What was locked.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct LockReport {
    /// The channel.
    pub channel: String,
    /// The file; none in a dry run.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub lock: Option<PathBuf>,
    /// Whether the lock that was there still answers.
    pub held: bool,
    /// What it lists.
    pub artifacts: Vec<Named>,
    /// Gaps that were accepted.
    pub gaps: Vec<AcceptedGap>,
    /// What a person should know.
    pub notes: Vec<Note>,
}

/// Locks an order and keeps the lock, unless it is a dry run.
pub async fn lock(request: &LockRequest, outside: &Arc<Outside>) -> Result<LockReport, Problem> {
    let (order, dry_run) = (&request.order, request.dry_run);
    let mut locked = obtain(order, outside, false).await?;
    prove(&locked.lock, order, &**outside)?;
    if !dry_run && !locked.kept {
        locked = keep(locked).await?;
    }
    Ok(LockReport {
        channel: order.channel.clone(),
        lock: (!dry_run).then(|| locked.path.clone()),
        held: locked.kept,
        artifacts: locked.lock.artifacts.iter().map(Named::of_planned).collect(),
        gaps: locked.lock.gaps,
        notes: locked.lock.notes,
    })
}

/// The lock that answers an order: the held one if it does, else a new one. With `locked`, only the held one.
///
/// # Errors
/// Refused (6) with `locked` if the held lock answers other requests; incomplete (4) for gaps.
pub async fn obtain(order: &Order, outside: &Arc<Outside>, locked: bool) -> Result<Locked, Problem> {
    if !bundle_format::document::is_channel(&order.channel) {
        return Err(Problem::new(
            Kind::Usage,
            "channel.name",
            format!("{:?} cannot be a channel's name", order.channel),
        )
        .hint("use lower-case letters, digits, `.`, `_` and `-`, at most 32"));
    }
    let mut parsed: Vec<Request> = Vec::new();
    let mut known = HashSet::new();
    for text in &order.requests {
        let request = requests::parse(text, &**outside).await?;
        if known.insert(request.identity.clone()) {
            parsed.push(request);
        }
    }
    let mut identities: Vec<String> = parsed.iter().map(|request| request.identity.clone()).collect();
    identities.sort();
    let mut platforms = order.platforms.clone();
    platforms.sort();
    platforms.dedup();

    let path = order.lock(&identities);
    let reading = path.clone();
    let held = blocking(move || Lock::read(&reading)).await?;
    if let Some(held) = held {
        if held.answers(&identities, &platforms) {
            still_accepted(&held, order, &**outside)?;
            let (held, lost) = recall::recall(held, outside).await?;
            if lost == 0 {
                return Ok(Locked { kept: true, lock: held, path, requests: Arc::new(parsed) });
            }
            // Something that cannot be downloaded by itself is gone from the store: it is resolved anew, and must
            // come out the same.
            let fresh = resolve::resolve(parsed.clone(), &platforms, &order.gaps, &**outside).await?;
            let (fresh, _) = recall::recall(fresh, outside).await?;
            return agree(held, fresh, path, locked, parsed);
        }
        if locked {
            return Err(Problem::new(
                Kind::Refused,
                "lock.outdated",
                "the lock answers other requests than these",
            )
            .at(path.display())
            .hint("run `aftk lock`, review the difference, and commit it"));
        }
    } else if locked {
        return Err(Problem::new(Kind::Refused, "lock.missing", "there is no lock")
            .at(path.display())
            .hint("run `aftk lock` first"));
    }
    let lock = resolve::resolve(parsed.clone(), &platforms, &order.gaps, &**outside).await?;
    let (lock, _) = recall::recall(lock, outside).await?;
    Ok(Locked { lock, path, kept: false, requests: Arc::new(parsed) })
}

/// Writes a lock back.
pub async fn keep(locked: Locked) -> Result<Locked, Problem> {
    blocking(move || {
        if let Some(directory) = locked.path.parent() {
            crate::fsx::create_directory(directory, crate::fsx::Access::Ordinary).map_err(|error| {
                Problem::new(Kind::Failed, "lock.unwritable", format!("cannot make {}", directory.display()))
                    .caused_by(&error)
            })?;
        }
        locked.lock.write(&locked.path)?;
        Ok(locked)
    })
    .await
}

/// Proves that what a lock lists is enough, by each ecosystem's own rules and without any network. What it merely
/// notes is returned; gaps that nobody accepted are an error.
pub fn prove(lock: &Lock, order: &Order, context: &dyn CollectContext) -> Result<Vec<Note>, Problem> {
    let mut notes = Vec::new();
    let mut artifacts = crate::spill::Sorter::new(context.scratch());
    artifacts.extend(lock.artifacts.iter().cloned())?;
    let mut refs = crate::spill::Sorter::new(context.scratch());
    refs.extend(lock.refs.iter().cloned())?;
    let (artifacts, refs) = (artifacts.finish()?, refs.finish()?);
    for ecosystem in registry::ECOSYSTEMS {
        let Some(collect) = ecosystem.collect() else { continue };
        let gathered = Gathered { ecosystem: ecosystem.name(), artifacts: &artifacts, refs: &refs };
        let proof = collect.prove(&gathered)?;
        // A gap that the resolution met already is not counted twice.
        let known = |gap: &crate::ecosystem::Gap| {
            lock.gaps
                .iter()
                .any(|accepted| (&accepted.gap.ecosystem, &accepted.gap.name) == (&gap.ecosystem, &gap.name))
        };
        let open = proof.gaps.into_iter().filter(|gap| !known(gap)).collect();
        resolve::accept(open, &order.gaps, context)?;
        notes.extend(proof.notes);
    }
    Ok(notes)
}

/// Gaps in a held lock must still be accepted: somebody may have taken the acceptance out of aftk.toml.
fn still_accepted(lock: &Lock, order: &Order, context: &dyn CollectContext) -> Result<(), Problem> {
    let gaps = lock.gaps.iter().map(|accepted| accepted.gap.clone()).collect();
    resolve::accept(gaps, &order.gaps, context).map(|_| ())
}

/// Compares a lock with what its requests resolve to now.
fn agree(
    held: Lock,
    fresh: Lock,
    path: PathBuf,
    locked: bool,
    parsed: Vec<Request>,
) -> Result<Locked, Problem> {
    let plain = |lock: &Lock| -> Vec<Planned> {
        let mut artifacts = lock.artifacts.clone();
        for file in artifacts.iter_mut().flat_map(|artifact| &mut artifact.files) {
            (file.held, file.estimate) = (false, None);
            // What is downloaded is held to its digest anyway; sizes and digests of it are known to only one of the two.
            if !file.origin.is_empty() {
                (file.blob, file.size) = (None, None);
            }
        }
        artifacts
    };
    let (before, now) = (plain(&held), plain(&fresh));
    if before == now {
        let mut lock = held;
        for (artifact, fresh) in lock.artifacts.iter_mut().zip(fresh.artifacts) {
            for (file, fresh) in artifact.files.iter_mut().zip(fresh.files) {
                file.held = fresh.held;
                file.size = file.size.or(fresh.size);
            }
        }
        return Ok(Locked { lock, path, kept: true, requests: Arc::new(parsed) });
    }
    let changed =
        before.iter().filter(|artifact| !now.contains(artifact)).map(|a| format!("{}@{}", a.name, a.version));
    let changed: Vec<String> = changed.take(5).collect();
    if locked {
        let mut problem = Problem::new(
            Kind::Refused,
            "lock.moved",
            "the store lost documents that the lock names, and upstream publishes others now",
        )
        .at(path.display())
        .hint("run `aftk lock`, review the difference, and commit it");
        problem.causes.extend(changed);
        return Err(problem);
    }
    Ok(Locked { lock: fresh, path, kept: false, requests: Arc::new(parsed) })
}
