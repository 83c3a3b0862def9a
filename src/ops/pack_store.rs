//! Packing what a store shows into a bundle of a channel of this side's own, without any network: from ship to ship, from
//! low to high, or what was pushed here.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use bundle_format::{Artifact, BlobKey, Mode, Ref, Repository, Signer};
use serde::{Deserialize, Serialize};

use super::admission::{self, ADMIT_READS};
use super::at_site::{self, Basis};
use super::collect;
use super::evidence;
use super::forecast::{self, Forecast, Forecasting};
use super::intake::Intake;
use super::issue::{AtSite, Issuing, NextMedium};
use super::lock;
use super::lock_file::Lock;
use super::pack::{self, Packed, Packing};
use super::receipt::Pins;
use super::select::{self, Selected, Selector};
use super::volumes::Volumes;
use crate::cancel::Cancel;
use crate::clock;
use crate::ecosystem::Planned;
use crate::events::Events;
use crate::problem::{Kind, Problem};
use crate::spill::{Entry, Sorted, Sorter};
use crate::store::{
    AuditEntry, Change, ChangeSet, Generation, Linked, Precondition, SnapshotEntry, Source, Store,
};

/// A wish to pack what the store shows.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PackStoreRequest {
    /// The channel of this side's own that it is packed for.
    pub channel: String,
    /// The registries that hosted repositories are packed as, by their names here.
    pub hosted_as: BTreeMap<String, String>,
    /// The directory that gets the bundle.
    pub out: PathBuf,
    /// Whether the finished bundle is read back from the medium.
    pub read_back: bool,
    /// Into what it is cut.
    pub volumes: Volumes,
    /// What the site has, which is left out; `None`: nothing.
    pub basis: Option<Basis>,
    /// Every so many sequences, nothing is left out.
    pub full_every: Option<u64>,
}

/// What was packed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PackStoreReport {
    /// The bundle.
    #[serde(flatten)]
    pub bundle: Packed,
    /// How many artifacts it lists that were selected.
    pub artifacts: u64,
    /// How many earlier snapshots it lists as evidence.
    pub evidence: u64,
}

/// What would be packed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PackForecast {
    /// The bundle that it would be.
    pub would: Forecast,
    /// How many artifacts it would list that were selected.
    pub artifacts: u64,
    /// How many earlier snapshots it would list as evidence.
    pub evidence: u64,
}

/// Packs what selectors select, all that is visible if there is none. Unchanged content gives the held snapshot.
///
/// # Errors
/// Usage, if what is hosted here has no name to be packed under. Incomplete (4), if a selector selects nothing, or the store
/// lacks something of what is selected. Refused (6), if the channel is filled by others, or as [`pack::pack`].
pub fn pack_store(
    request: &PackStoreRequest,
    selectors: &[Selector],
    (store, signer): (&Store, &dyn Signer),
    next_medium: Option<&NextMedium>,
    events: &dyn Events,
    cancel: &Cancel,
) -> Result<PackStoreReport, Problem> {
    let channel = lock::must_be_channel(&request.channel)?;
    let ledger = must_be_own(store, channel)?;
    let intake = Intake::new(store)?;
    let (lock, artifacts) = gather(request, selectors, store, &|blob, size| intake.hold(blob, size), cancel)?;
    let at_site = at_site(request, store, events)?;
    let packing = Packing {
        channel,
        mode: Mode::Add,
        ledger: &ledger,
        issuing: Issuing {
            out: &request.out,
            signer,
            read_back: request.read_back,
            volumes: request.volumes,
            next_medium,
            at_site: at_site.as_deref(),
        },
        full_every: request.full_every,
    };
    let made = pack::pack(&lock, &packing, store, &intake, events, cancel)?;
    let bundle = made.packed.clone();
    note(store, &made, signer.key_id())?;
    Ok(PackStoreReport { bundle, artifacts, evidence: lock.artifacts.len() - artifacts })
}

/// What packing would come to. Nothing is written, and no sequence taken.
///
/// # Errors
/// As [`pack_store`], but for what only writing meets.
pub fn forecast(
    request: &PackStoreRequest,
    selectors: &[Selector],
    store: &Store,
    events: &dyn Events,
    cancel: &Cancel,
) -> Result<PackForecast, Problem> {
    let channel = lock::must_be_channel(&request.channel)?;
    let ledger = must_be_own(store, channel)?;
    let is_held = |blob: &BlobKey, size| Ok(store.blobs.size(blob)? == Some(size));
    let (lock, artifacts) = gather(request, selectors, store, &is_held, cancel)?;
    let at_site = at_site(request, store, events)?;
    let wish = Forecasting {
        channel,
        mode: Mode::Add,
        ledger: &ledger,
        volumes: request.volumes,
        full_every: request.full_every,
        at_site: at_site.as_deref(),
    };
    let would = forecast::forecast(&lock, &wish, store)?;
    Ok(PackForecast { would, artifacts, evidence: lock.artifacts.len() - artifacts })
}

/// Gathers what is to be packed as a lock, and how many artifacts were selected. `holds` says whether a blob is held whole.
fn gather(
    request: &PackStoreRequest,
    selectors: &[Selector],
    store: &Store,
    holds: &dyn Fn(&BlobKey, u64) -> Result<bool, Problem>,
    cancel: &Cancel,
) -> Result<(Lock, u64), Problem> {
    let scratch = store.layout.staging();
    let mut gathering = Gathering {
        request,
        store,
        artifacts: Sorter::new(&scratch),
        refs: Sorter::new(&scratch),
        repositories: BTreeSet::new(),
        brought: BTreeMap::new(),
        last: None,
    };
    gathering.gather(selectors, cancel)?;
    let (lock, artifacts) = gathering.finish(&scratch)?;
    for artifact in lock.artifacts.iter() {
        cancel.check()?;
        must_be_held(&artifact?, holds)?;
    }
    Ok((lock, artifacts))
}

/// What the site has.
fn at_site(
    request: &PackStoreRequest,
    store: &Store,
    events: &dyn Events,
) -> Result<Option<Box<AtSite>>, Problem> {
    let pins = Pins::of(store.layout.home());
    let basis = request.basis.as_ref();
    basis.map(|basis| at_site::at_site(basis, &request.channel, store, &pins, events)).transpose()
}

/// Notes the snapshot, so that it can be issued again, and left out of what comes later. It shows nothing here, and keeps
/// nothing but its lists: what it lists is shown by those who brought it, and goes with them.
fn note(store: &Store, made: &pack::Made, key_id: &str) -> Result<(), Problem> {
    let snapshot = &made.snapshot;
    let known = store.catalogue.snapshots(&snapshot.channel)?;
    if known.iter().any(|entry| entry.snapshot == made.packed.snapshot) {
        return Ok(());
    }
    let now = clock::now_text();
    let entry = SnapshotEntry {
        channel: snapshot.channel.clone(),
        epoch: snapshot.epoch,
        sequence: snapshot.sequence,
        snapshot: made.packed.snapshot,
        signatures: made.signatures,
        segments: snapshot.segments.iter().map(|segment| segment.digest).collect(),
        created: snapshot.created.clone(),
        accepted: now.clone(),
        signers: vec![key_id.to_owned()],
        generation: Generation::NONE,
    };
    let subject = [
        ("channel", snapshot.channel.clone()),
        ("sequence", format!("{}.{}", snapshot.epoch, snapshot.sequence)),
        ("snapshot", made.packed.snapshot.to_string()),
    ];
    let subject = subject.into_iter().map(|(key, value)| (key.to_owned(), value)).collect();
    let audit = AuditEntry { time: now, action: "pack".to_owned(), subject };
    let changes = ChangeSet { changes: vec![Change::Snapshot(entry), Change::Audit(audit)] };
    store.catalogue.commit(&changes, &Precondition::None)?;
    Ok(())
}

/// The ledger of a channel of this side's own.
///
/// # Errors
/// Refused, if the channel is here and has no ledger here: then others give its sequences.
fn must_be_own(store: &Store, channel: &str) -> Result<PathBuf, Problem> {
    let ledger = lock::ledger_in(&collect::channel_directory(store.layout.home(), channel));
    if ledger.exists() || store.catalogue.channel(channel)?.is_none() {
        return Ok(ledger);
    }
    let message = format!("the channel {channel} is filled by imports, or by a project of its own");
    Err(Problem::new(Kind::Refused, "pack.foreign-channel", message)
        .because("its sequences are given elsewhere, and a second one of a number would be refused as a fork")
        .hint("name a channel of this side's own with --channel"))
}

/// Refuses an artifact of which a blob is not held.
fn must_be_held(
    artifact: &Planned,
    holds: &dyn Fn(&BlobKey, u64) -> Result<bool, Problem>,
) -> Result<(), Problem> {
    for (blob, size) in artifact.files.iter().filter_map(|file| Some((file.blob?, file.size?))) {
        if !holds(&blob, size)? {
            let message = format!("blob {blob} of {} {} is not here", artifact.name, artifact.version);
            return Err(Problem::new(Kind::Incomplete, "pack.missing", message)
                .hint("`aftk check` lists what is missing; import or push it once more"));
        }
    }
    Ok(())
}

/// What was selected, while it is gathered.
struct Gathering<'a> {
    request: &'a PackStoreRequest,
    store: &'a Store,
    artifacts: Sorter<Planned>,
    refs: Sorter<Ref>,
    /// The repositories of what was selected, by ecosystem and name, as they are packed.
    repositories: BTreeSet<(String, String)>,
    /// The generations that brought it, by channel.
    brought: BTreeMap<String, BTreeSet<Generation>>,
    /// The artifact that was met last: several sources may show one under the same name.
    last: Option<Selected>,
}

impl Gathering<'_> {
    /// Walks each ecosystem by itself: refs are told of one at a time.
    fn gather(&mut self, selectors: &[Selector], cancel: &Cancel) -> Result<(), Problem> {
        let ecosystems: BTreeSet<String> =
            self.store.catalogue.repositories()?.into_iter().map(|repository| repository.ecosystem).collect();
        let mut counts = vec![0; selectors.len()];
        for ecosystem in &ecosystems {
            let store = self.store;
            let found = select::each(store, Some(ecosystem), selectors, &mut |selected| {
                cancel.check()?;
                self.meet(selected)
            })?;
            counts.iter_mut().zip(found).for_each(|(count, found)| *count += found);
        }
        if let Some(last) = self.last.take() {
            self.take(last)?;
        }
        match selectors.iter().zip(counts).find(|(_, count)| *count == 0) {
            Some((selector, _)) => Err(select::nothing(format!("{} selects nothing here", selector.text()))),
            None => Ok(()),
        }
    }

    /// Of what several sources show under one name, clients see what the one with precedence shows; so does the bundle.
    fn meet(&mut self, next: Selected) -> Result<(), Problem> {
        let Some(mut last) = self.last.take() else {
            self.last = Some(next);
            return Ok(());
        };
        let (a, b) = (&last.linked.artifact, &next.linked.artifact);
        if key(a) != key(b) {
            self.last = Some(next);
            return self.take(last);
        }
        if a != b {
            let seen = self.store.catalogue.artifacts(&a.ecosystem, Some(&a.repository), &a.name)?;
            let place = |artifact: &Artifact| seen.iter().position(|linked| linked.artifact == *artifact);
            if place(b) < place(a) {
                last.linked = next.linked;
            }
        }
        last.labels.extend(next.labels);
        self.last = Some(last);
        Ok(())
    }

    fn take(&mut self, Selected { linked, labels }: Selected) -> Result<(), Problem> {
        let Linked { mut artifact, source, generation } = linked;
        match source {
            Source::Channel(channel) => {
                self.brought.entry(channel).or_default().insert(generation);
            }
            Source::Hosted => {
                artifact.repository = self.name_elsewhere(&artifact.repository)?;
                self.must_be_admitted(&artifact)?;
            }
        }
        self.repositories.insert((artifact.ecosystem.clone(), artifact.repository.clone()));
        for label in labels {
            self.refs.push(Ref {
                ecosystem: artifact.ecosystem.clone(),
                repository: artifact.repository.clone(),
                name: artifact.name.clone(),
                label,
                version: artifact.version.clone(),
            })?;
        }
        self.artifacts.push(artifact.into())
    }

    /// The registry that a hosted repository is packed as. Under its own name no other site would take it: names without a
    /// host are those of the repositories that a site hosts itself.
    fn name_elsewhere(&self, repository: &str) -> Result<String, Problem> {
        self.request.hosted_as.get(repository).cloned().ok_or_else(|| {
            let message =
                format!("{repository} is hosted here, and elsewhere it needs the name of a registry");
            Problem::new(Kind::Usage, "pack.hosted-name", message).hint(format!(
                "give it one, with --as {repository}=registry.example, or select what is to be packed"
            ))
        })
    }

    /// What no site would take in is not packed.
    fn must_be_admitted(&self, artifact: &Artifact) -> Result<(), Problem> {
        let Some(admit) = admission::admitting(artifact) else { return Ok(()) };
        let mut read = |key: &BlobKey| super::read_blob(self.store, key, ADMIT_READS);
        admit.admit(artifact, &mut read).map_err(|problem| {
            let mut refused = Problem::new(Kind::Usage, "pack.hosted-name", "no site would take this in");
            refused.causes = problem.causes;
            refused
                .at(format!("{}/{}", artifact.repository, artifact.name))
                .hint("give another name of a registry with --as")
        })
    }

    /// All of it as a lock, and how many artifacts were selected; behind them comes the evidence.
    fn finish(mut self, scratch: &Path) -> Result<(Lock, u64), Problem> {
        let selected = first_of_each(self.artifacts.finish()?, scratch)?;
        let count = selected.len();
        if count == 0 {
            return Err(select::nothing("nothing is here that could be packed".to_owned()));
        }
        let mut artifacts = Sorter::new(scratch);
        for artifact in selected.iter() {
            artifacts.push(artifact?)?;
        }
        for (channel, generations) in &self.brought {
            for artifact in evidence::of(channel, generations, self.store)? {
                self.repositories.insert((artifact.ecosystem.clone(), artifact.repository.clone()));
                artifacts.push(artifact)?;
            }
        }
        // What these snapshots brought as evidence themselves proves where their content is from.
        let (brought, repositories) = (&self.brought, &mut self.repositories);
        select::each(self.store, Some(evidence::ECOSYSTEM), &[], &mut |Selected { linked, .. }| {
            let Linked { artifact, source: Source::Channel(channel), generation } = linked else {
                return Ok(());
            };
            if !brought.get(&channel).is_some_and(|generations| generations.contains(&generation)) {
                return Ok(());
            }
            repositories.insert((artifact.ecosystem.clone(), artifact.repository.clone()));
            artifacts.push(artifact.into())
        })?;
        let known = self.store.catalogue.repositories()?;
        let origin = |ecosystem: &str, name: &str| {
            let found = known.iter().find(|one| one.ecosystem == ecosystem && one.name == name);
            found.map(|one| one.origin.clone()).unwrap_or_default()
        };
        let repositories = self.repositories.into_iter().map(|(ecosystem, name)| {
            let origin = origin(&ecosystem, &name);
            Repository { ecosystem, name, origin }
        });
        let lock = Lock {
            resolved: clock::now_text(),
            repositories: repositories.collect(),
            artifacts: first_of_each(artifacts.finish()?, scratch)?,
            refs: first_of_each(self.refs.finish()?, scratch)?,
            ..Lock::default()
        };
        Ok((lock, count))
    }
}

fn key(artifact: &Artifact) -> [&str; 5] {
    let Artifact { ecosystem, repository, name, version, qualifier, .. } = artifact;
    [ecosystem, repository, name, version, qualifier]
}

/// A list without what has the place of the entry before it.
fn first_of_each<T: Entry>(list: Sorted<T>, scratch: &Path) -> Result<Sorted<T>, Problem> {
    let mut firsts = Sorter::new(scratch);
    let mut last: Option<T> = None;
    for entry in list.iter() {
        let entry = entry?;
        if last.as_ref().is_none_or(|last| last.order(&entry).is_ne()) {
            firsts.push(entry.clone())?;
            last = Some(entry);
        }
    }
    firsts.finish()
}
