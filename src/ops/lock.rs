//! Locking: from a project or from words on the command line to an `aftk.lock` that answers them.

use std::collections::HashSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bundle_format::{BlobKey, Mode};
use serde::{Deserialize, Serialize};

use super::context::Outside;
use super::difference::Difference;
use super::lock_file::{AcceptedGap, Lock};
use super::records::NamedList;
use super::{lock_file, recall, requests, resolve, upgrade};
use crate::blocking::blocking;
use crate::config::{AllowedGap, Project};
use crate::ecosystem::{CollectContext, Gap, Gathered, Note, Proof, Request, registry};
use crate::problem::{Kind, Problem};
use crate::settings::Settings;

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
    /// What is said to one ecosystem alone.
    #[serde(default)]
    pub settings: Vec<Settings>,
    /// Where lock and ledger are.
    pub place: Place,
}

/// The ledger in a directory.
pub(super) fn ledger_in(directory: &Path) -> PathBuf {
    directory.join("aftk.ledger")
}

/// Where an order keeps its lock and ledger.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Place {
    /// In a project: `aftk.lock` and `aftk.ledger` beside `aftk.toml`.
    Project(PathBuf),
    /// In the home, under the channel: one lock for each set of requests, one ledger.
    Channel(PathBuf),
    /// A project, with requests besides its own: its ledger, and a lock in the home as its own is not to move.
    Extended {
        /// The directory of the project.
        project: PathBuf,
        /// The channel's directory in the home.
        channel: PathBuf,
    },
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
            settings: project.settings,
            place: Place::Project(directory.to_owned()),
        }
    }

    /// Where paths in its requests begin: at the project, else where the person stands.
    pub fn directory<'a>(&'a self, standing: &'a Path) -> &'a Path {
        match &self.place {
            Place::Project(directory) | Place::Extended { project: directory, .. } => directory,
            Place::Channel(_) => standing,
        }
    }

    /// The ledger.
    pub fn ledger(&self) -> PathBuf {
        let directory = match &self.place {
            Place::Project(directory) | Place::Channel(directory) => directory,
            Place::Extended { project, .. } => project,
        };
        ledger_in(directory)
    }

    /// The lock of these requests.
    fn lock(&self, identities: &[String]) -> PathBuf {
        match &self.place {
            Place::Project(directory) => directory.join("aftk.lock"),
            Place::Channel(directory) | Place::Extended { channel: directory, .. } => {
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
    /// Resolve anew, even if the held lock answers.
    pub upgrade: bool,
    /// Of what is resolved anew, take these packages alone: `name` or `ecosystem:name`. None: all.
    pub packages: Vec<String>,
    /// Resolve, but write nothing.
    pub dry_run: bool,
}

/// When requests are resolved.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Resolving {
    /// When no held lock answers them.
    IfNeeded,
    /// Not at all: the held lock must answer.
    Never,
    /// In any case; a held lock stays all the same if nothing moved.
    Anew,
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
    /// What it moves, if another one is kept there.
    pub difference: Option<Difference>,
    /// The notes of the lock that was there before: somebody was told of them.
    pub told: Vec<Note>,
}

/// What was locked.
#[derive(Debug, Clone, Serialize)]
pub struct LockReport {
    /// The channel.
    pub channel: String,
    /// The file; none in a dry run.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub lock: Option<PathBuf>,
    /// Whether the lock that was there still answers.
    pub held: bool,
    /// What moved, if another one was there.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub difference: Option<Difference>,
    /// What it lists.
    pub artifacts: NamedList,
    /// Gaps that were accepted.
    pub gaps: Vec<AcceptedGap>,
    /// What a person should know.
    pub notes: Vec<Note>,
    /// Of which they were told before.
    #[serde(skip)]
    pub told: Vec<Note>,
}

/// Locks an order and keeps the lock, unless it is a dry run.
pub async fn lock(request: &LockRequest, outside: &Arc<Outside>) -> Result<LockReport, Problem> {
    let (order, dry_run) = (&request.order, request.dry_run);
    let resolving = if request.upgrade { Resolving::Anew } else { Resolving::IfNeeded };
    let mut locked = match request.packages.as_slice() {
        [] => obtain(order, outside, resolving).await?,
        packages => upgrade_alone(order, outside, packages).await?,
    };
    prove(&locked, order, outside).await?;
    if !dry_run && !locked.kept {
        locked = keep(locked).await?;
    }
    Ok(LockReport {
        channel: order.channel.clone(),
        lock: (!dry_run).then(|| locked.path.clone()),
        held: locked.kept,
        difference: locked.difference,
        artifacts: NamedList::of(&locked.lock),
        gaps: locked.lock.gaps,
        notes: locked.lock.notes,
        told: locked.told,
    })
}

/// The lock that answers an order, resolved anew or the held one.
///
/// # Errors
/// Refused (6) if it may not be resolved and the held lock answers other requests; incomplete (4) for gaps.
pub async fn obtain(order: &Order, outside: &Arc<Outside>, resolving: Resolving) -> Result<Locked, Problem> {
    must_be_channel(&order.channel)?;
    outside.follow(&order.settings);
    let requests = Arc::new(parse(&order.requests, &**outside).await?);
    let mut identities: Vec<String> = requests.iter().map(|request| request.identity.clone()).collect();
    identities.sort();
    let mut platforms = order.platforms.clone();
    platforms.sort();
    platforms.dedup();

    let path = order.lock(&identities);
    let (reading, scratch) = (path.clone(), outside.scratch().to_owned());
    let held = blocking(move || Lock::read(&reading, &scratch)).await?;
    if let Some(held) = &held {
        outside.remember(&held.artifacts);
    }
    let answers = held.as_ref().is_some_and(|held| held.answers(&identities, &platforms));
    if resolving == Resolving::Never && !answers {
        let (code, message, hint) = match held {
            Some(_) => (
                "lock.outdated",
                "the lock answers other requests than these",
                "run `aftk lock`, review the difference, and commit it",
            ),
            None => ("lock.missing", "there is no lock", "run `aftk lock` first"),
        };
        return Err(Problem::new(Kind::Refused, code, message).at(path.display()).hint(hint));
    }
    let fresh = async || {
        let lock = resolve::resolve(requests.to_vec(), &platforms, &order.gaps, &**outside).await?;
        Ok::<_, Problem>(recall::recall(lock, outside).await?.0)
    };
    let Some(held) = held else {
        let told = Vec::new();
        return Ok(Locked { lock: fresh().await?, requests, path, kept: false, difference: None, told });
    };
    let told = held.notes.clone();
    if answers && resolving != Resolving::Anew {
        still_accepted(&held, order, &**outside)?;
        let (held, lost) = recall::recall(held, outside).await?;
        if lost == 0 {
            return Ok(Locked { lock: held, requests, path, kept: true, difference: None, told });
        }
        // Something that cannot be downloaded by itself is gone from the store: it is resolved anew, and must come
        // out the same.
        return agree(held, fresh().await?, path, resolving, requests, outside).await;
    }
    let fresh = fresh().await?;
    let (before, after) = (held.clone(), fresh.clone());
    let difference = blocking(move || Difference::between(&before, &after)).await?;
    if answers && difference.is_empty() {
        return agree(held, fresh, path, resolving, requests, outside).await;
    }
    Ok(Locked { lock: fresh, requests, path, kept: false, difference: Some(difference), told })
}

/// The held lock, in which these packages alone are resolved anew; what they need and it never had comes with them.
///
/// # Errors
/// Refused (6), if no lock is held that answers the order; usage (2), if a package is in neither lock. That the others are
/// enough for what moved is for the proof to say.
async fn upgrade_alone(
    order: &Order,
    outside: &Arc<Outside>,
    packages: &[String],
) -> Result<Locked, Problem> {
    let held = obtain(order, outside, Resolving::Never).await?;
    let anew = obtain(order, outside, Resolving::Anew).await?;
    if anew.kept {
        let known = upgrade::must_be_known(&held.lock, &anew.lock, packages);
        return known.map(|()| anew);
    }
    let (before, after, packages) = (held.lock, anew.lock, packages.to_vec());
    let scratch = outside.scratch().to_owned();
    let (lock, difference) = blocking(move || {
        upgrade::must_be_known(&before, &after, &packages)?;
        let lock = upgrade::alone(&before, after, &packages, &scratch)?;
        let difference = Difference::between(&before, &lock)?;
        Ok((lock, difference))
    })
    .await?;
    let kept = difference.is_empty();
    Ok(Locked {
        lock,
        requests: anew.requests,
        path: anew.path,
        kept,
        difference: (!kept).then_some(difference),
        told: held.told,
    })
}

/// A channel's name, checked.
///
/// # Errors
/// Usage (2) if it is none.
pub fn must_be_channel(name: &str) -> Result<&str, Problem> {
    if bundle_format::document::is_channel(name) {
        return Ok(name);
    }
    Err(Problem::new(Kind::Usage, "channel.name", format!("{name:?} cannot be a channel's name"))
        .hint("use lower-case letters, digits, `.`, `_` and `-`, at most 32"))
}

/// Reads requests, each once.
pub(super) async fn parse(texts: &[String], context: &dyn CollectContext) -> Result<Vec<Request>, Problem> {
    let mut parsed: Vec<Request> = Vec::new();
    let mut known = HashSet::new();
    for text in texts {
        let request = requests::parse(text, context).await?;
        if known.insert(request.identity.clone()) {
            parsed.push(request);
        }
    }
    Ok(parsed)
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
pub async fn prove(locked: &Locked, order: &Order, outside: &Arc<Outside>) -> Result<Vec<Note>, Problem> {
    let lock = &locked.lock;
    let proving = lock.clone();
    let proof = blocking(move || {
        let mut all = Proof::default();
        for ecosystem in registry::ECOSYSTEMS {
            let Some(collect) = ecosystem.collect() else { continue };
            let (artifacts, refs) = (&proving.artifacts, &proving.refs);
            let proof = collect.prove(&Gathered { ecosystem: ecosystem.name(), artifacts, refs })?;
            all.gaps.extend(proof.gaps);
            all.notes.extend(proof.notes);
        }
        Ok(all)
    })
    .await?;
    for ecosystem in registry::ECOSYSTEMS {
        let Some(collect) = ecosystem.collect() else { continue };
        let of_it = locked.requests.iter().filter(|request| request.ecosystem == ecosystem.name());
        let requests: Vec<Request> = of_it.cloned().collect();
        // Where something may be missing, not all can be had that was asked for.
        let has_gaps = lock.gaps.iter().any(|accepted| accepted.gap.ecosystem == ecosystem.name());
        if !requests.is_empty() && !has_gaps {
            let (artifacts, refs) = (&lock.artifacts, &lock.refs);
            let gathered = Gathered { ecosystem: ecosystem.name(), artifacts, refs };
            collect.prove_requests(&gathered, &requests, &lock.platforms, &**outside).await?;
        }
    }
    // A gap that the resolution met already is not counted twice.
    let known = |gap: &Gap| {
        let names = |gap: &Gap| (gap.ecosystem.clone(), gap.name.clone());
        lock.gaps.iter().any(|accepted| names(&accepted.gap) == names(gap))
    };
    let open = proof.gaps.into_iter().filter(|gap| !known(gap)).collect();
    resolve::accept(open, &order.gaps, &**outside)?;
    Ok(proof.notes)
}

/// Gaps in a held lock must still be accepted: somebody may have taken the acceptance out of aftk.toml.
fn still_accepted(lock: &Lock, order: &Order, context: &dyn CollectContext) -> Result<(), Problem> {
    let gaps = lock.gaps.iter().map(|accepted| accepted.gap.clone()).collect();
    resolve::accept(gaps, &order.gaps, context).map(|_| ())
}

/// Keeps a lock if its requests still resolve to the same artifacts, with what the store holds of those now.
async fn agree(
    held: Lock,
    fresh: Lock,
    path: PathBuf,
    resolving: Resolving,
    requests: Arc<Vec<Request>>,
    outside: &Arc<Outside>,
) -> Result<Locked, Problem> {
    let scratch = outside.scratch().to_owned();
    blocking(move || {
        let difference = Difference::of_lasting(&held, &fresh)?;
        let told = held.notes.clone();
        if difference.is_empty() {
            let mut lock = held;
            let mut now = fresh.lasting();
            lock.artifacts = lock.artifacts.map(&scratch, |artifact| {
                if lock_file::is_of_its_day(artifact) {
                    return Ok(());
                }
                let fresh = now.next().transpose()?.map(|fresh| fresh.files).unwrap_or_default();
                for (file, fresh) in artifact.files.iter_mut().zip(fresh) {
                    file.held = fresh.held;
                    file.blob = file.blob.or(fresh.blob);
                    file.size = file.size.or(fresh.size);
                }
                Ok(())
            })?;
            return Ok(Locked { lock, requests, path, kept: true, difference: None, told });
        }
        if resolving == Resolving::Never {
            let mut problem = Problem::new(
                Kind::Refused,
                "lock.moved",
                "the store lost documents that the lock names, and upstream publishes others now",
            )
            .at(path.display())
            .hint("run `aftk lock`, review the difference, and commit it");
            let moved = difference.moved.into_iter().take(5);
            let versions = moved.map(|moved| (moved.name, [moved.from, moved.changed].concat().join(", ")));
            problem.causes.extend(versions.map(|(name, versions)| format!("{name}@{versions}")));
            return Err(problem);
        }
        Ok(Locked { lock: fresh, requests, path, kept: false, difference: Some(difference), told })
    })
    .await
}
