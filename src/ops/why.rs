//! Why something is here: from the request that asked for it to where it was pushed, with who vouched for it on the way.

use std::path::{Path, PathBuf};

use bundle_format::{Artifact, File};
use serde::{Deserialize, Serialize};

use super::accession::proved;
use super::inspect::UpstreamProof;
use super::lock_file::Lock;
use super::push::PUSHED;
use super::records::{self, Named};
use super::select::{self, Selected, Selector};
use crate::cancel::Cancel;
use crate::config::Project;
use crate::ecosystem::{pattern, registry};
use crate::problem::Problem;
use crate::store::{Linked, SnapshotEntry, Source, Store};
use crate::trust::{KeyInfo, Trust};

/// So many artifacts are told of; of more it is only said how many there are.
const NAMED: usize = 100;
/// So many that need an artifact are named.
const REQUIRERS: usize = 5;
/// How many lines of the audit log are read at once.
const PAGE: usize = 1000;

/// What is known of the artifacts that were asked about.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct WhyReport {
    /// One entry an artifact.
    pub artifacts: Vec<Why>,
    /// How many more there are.
    pub more: u64,
}

/// What is known of an artifact.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Why {
    /// What it is called.
    #[serde(flatten)]
    pub named: Named,
    /// Its files, with where they are from and what upstream says of them.
    pub files: Vec<File>,
    /// Why it is in the lock of the project.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub locked: Option<InLock>,
    /// What its upstream proves it with: what it brings of its own, and what proves others as well.
    pub upstream: Vec<Upstream>,
    /// Who brought it into the store.
    pub brought: Vec<Brought>,
    /// Where it was pushed, oldest first.
    pub pushes: Vec<Pushed>,
    #[serde(skip)]
    artifact: Artifact,
}

/// What an upstream proves an artifact with.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Upstream {
    /// The proof, as whoever collected it says.
    #[serde(flatten)]
    pub proof: UpstreamProof,
    /// What was made of it when a snapshot was accepted here, with the keys of upstreams that were pinned.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub verdict: Option<String>,
}

impl From<UpstreamProof> for Upstream {
    fn from(proof: UpstreamProof) -> Upstream {
        Upstream { proof, verdict: None }
    }
}

/// Why something is in a lock.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct InLock {
    /// The lock.
    pub file: PathBuf,
    /// When it was resolved.
    pub resolved: String,
    /// The requests that led to it: each asks for it, or for what requires it.
    pub requests: Vec<String>,
    /// Some of those that require it.
    pub required_by: Vec<Requirer>,
    /// How many more there are.
    pub more_requirers: u64,
}

/// What requires something.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Requirer {
    /// Its package URL.
    pub purl: String,
    /// The range that it wants.
    pub range: String,
    /// How it wants it.
    pub kind: String,
}

/// A source that shows an artifact.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Brought {
    /// `channel:NAME` or `hosted`.
    pub source: String,
    /// The generation of the source that linked it.
    pub generation: u64,
    /// The labels that lead to it.
    pub labels: Vec<String>,
    /// The snapshot that brought it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub snapshot: Option<BroughtBy>,
}

/// The snapshot that brought something.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct BroughtBy {
    /// It.
    #[serde(flatten)]
    pub entry: SnapshotEntry,
    /// Who signed it: the names of the keys, as they are known here today; empty for one that is not.
    pub signer_names: Vec<String>,
}

/// A push that an artifact had a part in.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pushed {
    /// When.
    pub time: String,
    /// The target.
    pub target: String,
    /// What it is called there.
    pub there: String,
    /// `uploaded`, `moved`, or `present` if it was there already.
    pub outcome: String,
}

/// Where is looked.
pub struct Where<'a> {
    /// The store of this side, if it has one.
    pub store: Option<&'a Store>,
    /// The `aftk.toml` of a project, if there is one.
    pub project: Option<&'a Path>,
}

/// Tells what is known of the artifacts that a selector names.
///
/// # Errors
/// Incomplete (4), if none is known; if something cannot be read, or the job is stopped.
pub fn why(
    selector: Selector,
    places: &Where<'_>,
    trust: &Trust,
    cancel: &Cancel,
) -> Result<WhyReport, Problem> {
    let mut report = WhyReport::default();
    let scratch = super::scratch()?;
    if let Some(project) = places.project {
        in_lock(&mut report, &selector, project, scratch.path(), cancel)?;
    }
    let text = selector.text().to_owned();
    if let Some(store) = places.store {
        let keys = trust.keys()?;
        in_store(&mut report, selector, store, &keys)?;
        from_audit(&mut report, store, cancel)?;
    }
    if report.artifacts.is_empty() {
        return Err(select::nothing(format!("nothing that {text} names is known here")));
    }
    Ok(report)
}

impl WhyReport {
    /// What is told of an artifact; none, if too many are told of already.
    fn entry(&mut self, artifact: &Artifact) -> Option<&mut Why> {
        let place = self.artifacts.iter().position(|known| is_one(&known.artifact, artifact));
        if place.is_none() && self.artifacts.len() >= NAMED {
            self.more += 1;
            return None;
        }
        let place = place.unwrap_or_else(|| {
            self.artifacts.push(Why {
                named: Named::of(artifact),
                files: artifact.files.clone(),
                locked: None,
                upstream: UpstreamProof::of(artifact).map(Upstream::from).into_iter().collect(),
                brought: Vec::new(),
                pushes: Vec::new(),
                artifact: artifact.clone(),
            });
            self.artifacts.len() - 1
        });
        self.artifacts.get_mut(place)
    }
}

impl Why {
    /// The name of the artifact that proves it.
    fn proved_by(&self) -> Option<String> {
        registry::find(&self.artifact.ecosystem)?.proved_by(&self.artifact)
    }

    /// Takes an artifact for its proof, if it is. Where there are several, the one that is looked at last counts.
    fn may_be_proved_by(&mut self, proof: &Artifact) {
        let is_of_it =
            (&proof.ecosystem, &proof.repository) == (&self.artifact.ecosystem, &self.artifact.repository);
        if !is_of_it || self.proved_by().as_ref() != Some(&proof.name) {
            return;
        }
        if let Some(proof) = UpstreamProof::of(proof) {
            self.upstream.retain(|known| known.proof.subject != proof.subject);
            self.upstream.push(Upstream::from(proof));
        }
    }
}

fn is_one(one: &Artifact, other: &Artifact) -> bool {
    use crate::spill::Entry as _;
    one.order(other).is_eq()
}

/// What the lock beside an `aftk.toml` says.
fn in_lock(
    report: &mut WhyReport,
    selector: &Selector,
    project: &Path,
    scratch: &Path,
    cancel: &Cancel,
) -> Result<(), Problem> {
    let path = project.with_file_name("aftk.lock");
    let Some(lock) = Lock::read(&path, scratch)? else { return Ok(()) };
    let all = Project::read(project)?.requests;
    for planned in lock.artifacts.iter() {
        cancel.check()?;
        let mut planned = planned?;
        let requests = std::mem::take(&mut planned.requests);
        let artifact = records::provisional(planned)?;
        let labelled = |wanted: &str| {
            for reference in lock.refs.iter() {
                let it = reference?;
                let leads = (&it.ecosystem, &it.repository, &it.name, &it.version)
                    == (&artifact.ecosystem, &artifact.repository, &artifact.name, &artifact.version);
                if leads && pattern::matches(wanted, &it.label) {
                    return Ok(true);
                }
            }
            Ok(false)
        };
        if selector.names(&artifact, &labelled)?
            && let Some(why) = report.entry(&artifact)
        {
            why.locked = Some(InLock {
                file: path.clone(),
                resolved: lock.resolved.clone(),
                // The lock of a single request does not repeat it.
                requests: if requests.is_empty() { all.clone() } else { requests },
                required_by: Vec::new(),
                more_requirers: 0,
            });
        }
    }
    if report.artifacts.is_empty() {
        return Ok(());
    }
    for planned in lock.artifacts.iter() {
        let planned = planned?;
        if registry::find(&planned.ecosystem).is_some_and(|ecosystem| ecosystem.is_proof(&planned.schema)) {
            let proof = records::provisional(planned.clone())?;
            report.artifacts.iter_mut().for_each(|why| why.may_be_proved_by(&proof));
        }
        for edge in &planned.requires {
            // Which of several versions a range means is the ecosystem's to say: any may be the one.
            let wanted = report.artifacts.iter_mut().filter(|why| {
                let it = &why.artifact;
                let is_itself =
                    planned.key() == (&it.ecosystem, &it.repository, &it.name, &it.version, &it.qualifier);
                // A digest means one version alone; `>= 1:2` has an epoch.
                let is_digest = edge.range.contains(':') && !edge.range.contains(' ');
                let is_exact = is_digest.then(|| edge.range == it.version);
                it.ecosystem == planned.ecosystem && it.name == edge.name && is_exact.unwrap_or(!is_itself)
            });
            for locked in wanted.filter_map(|why| why.locked.as_mut()) {
                if locked.required_by.len() >= REQUIRERS {
                    locked.more_requirers += 1;
                    continue;
                }
                let purl = Named::of_planned(planned.clone()).purl;
                let (range, kind) = (edge.range.clone(), edge.kind.clone());
                locked.required_by.push(Requirer { purl, range, kind });
            }
        }
    }
    Ok(())
}

/// What the store shows, and which snapshots brought it.
fn in_store(
    report: &mut WhyReport,
    selector: Selector,
    store: &Store,
    keys: &[KeyInfo],
) -> Result<(), Problem> {
    let mut found: Vec<Linked> = Vec::new();
    select::each(store, None, &[selector], &mut |Selected { linked, .. }| {
        if let Some(why) = report.entry(&linked.artifact) {
            // Of the lock only what was resolved is known; here are the files.
            why.named = Named::of(&linked.artifact);
            why.files.clone_from(&linked.artifact.files);
            found.push(linked);
        }
        Ok(())
    })?;
    for linked in found {
        let it = &linked.artifact;
        let refs = store.catalogue.refs(&it.ecosystem, Some(&it.repository), &it.name, None)?;
        let leading = refs.into_iter().map(|found| (found.source, found.reference));
        let leading =
            leading.filter(|(source, reference)| *source == linked.source && reference.version == it.version);
        let mut brought = Brought {
            source: "hosted".to_owned(),
            generation: linked.generation.0,
            labels: leading.map(|(_, reference)| reference.label).collect(),
            snapshot: None,
        };
        if let Source::Channel(channel) = &linked.source {
            brought.source = format!("channel:{channel}");
            let entries = store.catalogue.snapshots(channel)?;
            let entry = entries.into_iter().find(|entry| entry.generation == linked.generation);
            brought.snapshot = entry.map(|entry| {
                let name = |id: &String| {
                    let known = keys.iter().find(|key| key.id == *id);
                    known.map(|key| key.name.clone()).unwrap_or_default()
                };
                BroughtBy { signer_names: entry.signers.iter().map(name).collect(), entry }
            });
        }
        if let Some(why) = report.entry(it) {
            if let Some(name) = why.proved_by() {
                let mut proofs = store.catalogue.artifacts(&it.ecosystem, Some(&it.repository), &name)?;
                proofs.sort_by(|one, other| one.artifact.version.cmp(&other.artifact.version));
                proofs.iter().for_each(|proof| why.may_be_proved_by(&proof.artifact));
            }
            why.brought.push(brought);
        }
    }
    Ok(())
}

/// What the audit log says of pushes, and of what upstreams proved.
fn from_audit(report: &mut WhyReport, store: &Store, cancel: &Cancel) -> Result<(), Problem> {
    let mut next = 0;
    loop {
        cancel.check()?;
        let page = store.catalogue.audit(next, PAGE)?;
        if page.is_empty() {
            return Ok(());
        }
        next += page.len() as u64;
        for (entry, _) in page {
            let said = |key: &str| entry.subject.get(key).map(String::as_str).unwrap_or_default();
            for why in &mut report.artifacts {
                let was_brought = why.brought.iter().filter_map(|brought| brought.snapshot.as_ref());
                let was_brought =
                    was_brought.map(|by| by.entry.snapshot.to_string()).any(|key| key == said("snapshot"));
                for upstream in why.upstream.iter_mut().filter(|_| was_brought) {
                    let verdict = entry.subject.get(&proved(&upstream.proof.subject));
                    upstream.verdict = verdict.cloned().or(upstream.verdict.take());
                }
            }
            if entry.action != PUSHED {
                continue;
            }
            let pushed = report.artifacts.iter_mut().filter(|why| {
                let it = &why.artifact;
                let package = said("source").strip_prefix(&format!("{}/{}", it.repository, it.name));
                said("ecosystem") == it.ecosystem
                    && said("version") == it.version
                    && package.is_some_and(|rest| rest.starts_with(['@', ':']))
            });
            for why in pushed {
                why.pushes.push(Pushed {
                    time: entry.time.clone(),
                    target: said("target").to_owned(),
                    there: said("there").to_owned(),
                    outcome: said("outcome").to_owned(),
                });
            }
        }
    }
}
