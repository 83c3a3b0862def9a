//! Collecting: lock, preflight, download, proof, pack, and one commit to the catalogue of this side.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use bundle_format::Signer;
use serde::{Deserialize, Serialize};

use super::accession::{Accession, Papers, View};
use super::at_site::{self, Basis};
use super::context::Outside;
use super::fetch;
use super::install::{self, Installed};
use super::intake::Intake;
use super::issue::{self, Issuing};
use super::lock::{self, Order, Resolving};
use super::lock_file::{AcceptedGap, Lock};
use super::pack::{self, Packed, Packing};
use super::preflight;
use super::recall;
use super::receipt::Pins;
use super::records::{self, NamedList};
use super::volumes::Volumes;
use crate::blocking::blocking;
use crate::cancel::Cancel;
use crate::ecosystem::Note;
use crate::events::{Events, Happening, Preflight};
use crate::problem::Problem;
use crate::store::{Layout, Store};

/// A wish to collect.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CollectRequest {
    /// What to collect.
    pub order: Order,
    /// The directory that gets the bundle.
    pub out: PathBuf,
    /// Only what the held lock says.
    pub locked: bool,
    /// Stop after the preflight.
    pub dry_run: bool,
    /// Whether the finished bundle is read back from the medium.
    pub read_back: bool,
    /// How many downloads at once.
    pub jobs: usize,
    /// Into what it is cut.
    pub volumes: Volumes,
    /// What the site has, which is left out; `None`: nothing.
    pub basis: Option<Basis>,
    /// Every so many sequences, nothing is left out.
    pub full_every: Option<u64>,
    /// Whether the clients of this machine have to be able to install from the finished bundle alone.
    pub must_install: bool,
}

/// What was collected.
#[derive(Debug, Clone, Serialize)]
pub struct CollectReport {
    /// The channel.
    pub channel: String,
    /// What was about to be done.
    pub preflight: Preflight,
    /// The bundle; none in a dry run.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bundle: Option<Packed>,
    /// What it lists.
    pub artifacts: NamedList,
    /// Gaps that were accepted.
    pub gaps: Vec<AcceptedGap>,
    /// What a person should know, such as what cannot be replayed inside.
    pub notes: Vec<Note>,
    /// Of which they were told before.
    #[serde(skip)]
    pub told: Vec<Note>,
    /// What clients of this machine installed from the bundle.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub installed: Vec<Installed>,
}

/// Collects an order into a bundle. `signer` is asked for only when the preflight is passed, and `next_medium` when a volume
/// does not fit on the medium that is there.
///
/// # Errors
/// As its parts; no bundle is written unless all is complete, and what was downloaded stays for the next try.
pub async fn collect(
    request: &CollectRequest,
    outside: &Arc<Outside>,
    signer: impl FnOnce() -> Result<Arc<dyn Signer + Send + Sync>, Problem>,
    next_medium: Option<Arc<issue::NextMedium>>,
) -> Result<CollectReport, Problem> {
    let (order, how) = (&request.order, request);
    let events = outside.shared_events();
    let resolving = if how.locked { Resolving::Never } else { Resolving::IfNeeded };
    let mut locked = lock::obtain(order, outside, resolving).await?;
    let proof = lock::prove(&locked, order, outside).await?;
    for note in proof {
        if !locked.lock.notes.contains(&note) {
            locked.lock.notes.push(note);
            locked.kept &= how.locked;
        }
    }
    locked.lock.notes.sort();

    locked.lock = fetch::ask_sizes(locked.lock, &locked.requests, outside, how.jobs).await?;
    let (measured, store, out) = (locked.lock.clone(), outside.store().clone(), how.out.clone());
    let preflight = blocking(move || preflight::measure(&measured, &store, Some(&out))).await?;
    let report = |preflight, bundle, locked: &lock::Locked| CollectReport {
        channel: order.channel.clone(),
        preflight,
        bundle,
        artifacts: NamedList::of(&locked.lock),
        gaps: locked.lock.gaps.clone(),
        notes: locked.lock.notes.clone(),
        told: locked.told.clone(),
        installed: Vec::new(),
    };
    // Whoever can be asked for another medium need not have all of it in one.
    let out = Some(how.out.as_path()).filter(|_| next_medium.is_none());
    preflight::must_fit(&preflight, &outside.store().layout.store(), out)?;
    events.emit(Happening::Preflight(preflight.clone()));
    if how.dry_run {
        return Ok(report(preflight, None, &locked));
    }
    let ready = match how.must_install {
        true => Some(install::prepare(&locked.requests, &order.platforms, outside).await?),
        false => None,
    };
    // Before the download: a passphrase that is wrong should be known now.
    let signer = signer()?;
    if !locked.kept {
        // Before the download, so that an interrupted run goes on with the same resolution.
        flush(outside).await?;
        locked = lock::keep(locked).await?;
    }
    let downloaded = fetch::fetch(&locked.lock, &locked.requests, outside, how.jobs).await?;
    if downloaded {
        locked.lock = recall::recall(locked.lock, outside).await?.0;
    }
    flush(outside).await?;
    if downloaded && !how.locked {
        locked = lock::keep(locked).await?;
    }

    let (asked, outside_now) = (request.clone(), outside.clone());
    let (locked, packed, key) = blocking(move || {
        let ledger = asked.order.ledger();
        let store = outside_now.store();
        let events = outside_now.shared_events();
        let pins = Pins::of(store.layout.home());
        let at_site = asked
            .basis
            .as_ref()
            .map(|basis| at_site::at_site(basis, &asked.order.channel, store, &pins, &*events));
        let at_site = at_site.transpose()?;
        let packing = Packing {
            channel: &asked.order.channel,
            mode: asked.order.mode,
            ledger: &ledger,
            issuing: Issuing {
                out: &asked.out,
                signer: &*signer,
                read_back: asked.read_back,
                volumes: asked.volumes,
                next_medium: next_medium.as_deref(),
                at_site: at_site.as_deref(),
            },
            full_every: asked.full_every,
        };
        let made =
            pack::pack(&locked.lock, &packing, store, outside_now.intake(), &*events, outside_now.cancel())?;
        let packed = made.packed.clone();
        commit(store, &locked.lock, made, signer.key_id(), outside_now.cancel())?;
        Ok((locked, packed, signer.key_id().to_owned()))
    })
    .await?;
    let mut report = report(preflight, Some(packed.clone()), &locked);
    if let Some(ready) = ready {
        let (installed, notes) = ready.install(&packed.files, &key, outside).await?;
        report.installed = installed;
        report.notes.extend(notes);
    }
    Ok(report)
}

/// A wish to issue a snapshot once more.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReissueRequest {
    /// The channel.
    pub channel: String,
    /// Which of its sequences.
    pub sequence: u64,
    /// The directory that gets the bundle.
    pub out: PathBuf,
    /// Whether the finished bundle is read back from the medium.
    pub read_back: bool,
    /// Into what it is cut.
    pub volumes: Volumes,
    /// What the site has, which is left out; `None`: nothing.
    pub basis: Option<Basis>,
}

/// Issues a snapshot of this side once more.
///
/// # Errors
/// As [`pack::reissue`]; if it cannot be known what the site has.
pub fn reissue(
    request: &ReissueRequest,
    store: &Store,
    signer: &dyn Signer,
    next_medium: Option<&issue::NextMedium>,
    events: &dyn Events,
    cancel: &Cancel,
) -> Result<Packed, Problem> {
    let pins = Pins::of(store.layout.home());
    let basis = request.basis.as_ref();
    let at_site =
        basis.map(|basis| at_site::at_site(basis, &request.channel, store, &pins, events)).transpose()?;
    let issuing = Issuing {
        out: &request.out,
        signer,
        read_back: request.read_back,
        volumes: request.volumes,
        next_medium,
        at_site: at_site.as_deref(),
    };
    let intake = Intake::new(store)?;
    pack::reissue((&request.channel, request.sequence), &issuing, (store, &intake), events, cancel)
}

async fn flush(outside: &Arc<Outside>) -> Result<(), Problem> {
    let intake = outside.intake().clone();
    blocking(move || intake.flush()).await
}

/// Makes the snapshot part of this side's own catalogue: `ls` shows it, gc keeps it, and a second project of the same
/// channel is noticed.
fn commit(
    store: &Store,
    lock: &Lock,
    made: pack::Made,
    key_id: &str,
    cancel: &Cancel,
) -> Result<(), Problem> {
    let snapshot = &made.snapshot;
    let mark = store.catalogue.channel(&snapshot.channel)?.map(|state| (state.epoch, state.sequence));
    let known = store.catalogue.snapshots(&snapshot.channel)?;
    if known.iter().any(|entry| entry.snapshot == made.packed.snapshot) {
        return Ok(());
    }
    let mut accession = Accession::begin(store, snapshot)?;
    for record in records::of_lock(lock) {
        accession.add(record?)?;
    }
    let papers = Papers {
        verdicts: Vec::new(),
        snapshot,
        key: made.packed.snapshot,
        signatures: made.signatures,
        signers: vec![key_id.to_owned()],
        still_believed: &|| Ok(()),
    };
    accession.commit(papers, mark, View::Apart, "collect", cancel)?;
    Ok(())
}

/// The directory of a channel's locks and ledger in a home.
pub fn channel_directory(home: &Path, channel: &str) -> PathBuf {
    Layout::new(home).channel(channel)
}
