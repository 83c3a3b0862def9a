//! Packing: from a lock whose files are all held to a signed bundle file, the same bytes every time.

use std::io;
use std::path::{Path, PathBuf};

use bundle_format::signature::{PayloadType, sign};
use bundle_format::{BlobKey, Format, Mode, Record, SegmentWriter, Snapshot};
use serde::{Deserialize, Serialize};

use super::archive_index;
use super::at_site;
use super::intake::Intake;
use super::issue::{Contents, Issuing, issue, unpackable, unsigned};
use super::ledger::LockedLedger;
use super::lock_file::Lock;
use super::records;
use super::signing::OnceSigner;
use crate::cancel::Cancel;
use crate::events::Events;
use crate::problem::{Kind, Problem};
use crate::store::Store;

/// This version opens no epoch but the first: only a new root document does.
const EPOCH: u64 = 1;

/// Where and how to pack.
pub struct Packing<'a> {
    /// The channel.
    pub channel: &'a str,
    /// How it changes the channel inside.
    pub mode: Mode,
    /// The ledger.
    pub ledger: &'a Path,
    /// How it travels.
    pub issuing: Issuing<'a>,
    /// Every so many sequences, nothing is left out.
    pub full_every: Option<u64>,
}

/// A bundle that was packed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Packed {
    /// Its channel.
    pub channel: String,
    /// Its place in the channel.
    pub sequence: u64,
    /// The digest of its snapshot.
    pub snapshot: BlobKey,
    /// Whether the content was packed before under this sequence.
    pub held: bool,
    /// The files, in order, those of recovery included.
    pub files: Vec<PathBuf>,
    /// How many volumes there are among them.
    pub volumes: u64,
    /// How many spare volumes.
    pub spares: u64,
    /// Their size in bytes.
    pub bytes: u64,
    /// How many blobs they carry.
    pub blobs: u64,
    /// How many were left out, because the site has them.
    pub left_out: u64,
    /// How many bytes those have.
    pub left_out_bytes: u64,
}

/// A snapshot with its documents.
pub struct Made {
    /// What was packed.
    pub packed: Packed,
    /// The snapshot.
    pub snapshot: Snapshot,
    /// The blob of its signatures.
    pub signatures: BlobKey,
    /// Held until the catalogue knows the snapshot: whoever packs next must find it there.
    _ledger: LockedLedger,
}

/// Packs a lock.
///
/// # Errors
/// Refused (6) if the channel has another snapshot of that sequence here, or another file of that name is in the way.
pub fn pack(
    lock: &Lock,
    packing: &Packing<'_>,
    store: &Store,
    intake: &Intake,
    events: &dyn Events,
    cancel: &Cancel,
) -> Result<Made, Problem> {
    let (mut snapshot, blobs) = draft(lock, packing.channel, packing.mode, |bytes| {
        intake.keep(bytes, None).map(drop).map_err(|problem| io::Error::other(problem.to_string()))
    })?;
    // Held to the end and beyond: two that pack the same would write the same file.
    let mut ledger = LockedLedger::open(packing.ledger)?;
    let held = ledger.reserve(&mut snapshot, lock, store)?;
    let is_full = is_full(&snapshot, packing.full_every);
    let issuing = Issuing { at_site: packing.issuing.at_site.filter(|_| !is_full), ..packing.issuing };
    let index = match issuing.can_be_archive() {
        true => archive_index::of(records::of_lock(lock))?,
        false => None,
    };
    let bytes = snapshot.to_bytes().map_err(|error| unpackable(&error))?;
    let key = Snapshot::digest_of(&bytes);
    intake.keep(&bytes, None)?;
    let signer = OnceSigner::new(packing.issuing.signer, store, intake);
    let signed = sign(PayloadType::Snapshot, &bytes, &[&signer]).map_err(|error| unsigned(&error))?;
    let signatures = intake.keep(&signed, None)?;
    let contents = Contents { bytes, signed, snapshot: &snapshot, blobs, index };
    let issued = issue(contents, &issuing, (store, intake), events, cancel)?;
    let packed = Packed {
        channel: packing.channel.to_owned(),
        sequence: snapshot.sequence,
        snapshot: key,
        held,
        files: issued.files,
        volumes: issued.volumes,
        spares: issued.spares,
        bytes: issued.bytes,
        blobs: issued.blobs,
        left_out: issued.left_out,
        left_out_bytes: issued.left_out_bytes,
    };
    Ok(Made { packed, snapshot, signatures, _ledger: ledger })
}

/// The snapshot of a lock, which has no place in its channel yet, and the blobs that it lists, some perhaps more than once.
/// `keep` gets its segments.
///
/// # Errors
/// If the lock cannot be read, or what it says cannot be packed.
pub(super) fn draft(
    lock: &Lock,
    channel: &str,
    mode: Mode,
    mut keep: impl FnMut(&[u8]) -> io::Result<()>,
) -> Result<(Snapshot, Vec<(BlobKey, u64)>), Problem> {
    let mut segments = SegmentWriter::new(|_, bytes: &[u8]| keep(bytes));
    for record in records::of_lock(lock) {
        segments.push(&record?).map_err(|error| unpackable(&error))?;
    }
    let segments = segments.finish().map_err(|error| unpackable(&error))?;
    let snapshot = Snapshot {
        format: Format::current(),
        channel: channel.to_owned(),
        epoch: EPOCH,
        sequence: 1,
        previous: None,
        created: lock.resolved.clone(),
        expires: None,
        mode,
        sites: Vec::new(),
        labels: Default::default(),
        segments,
        ext: Default::default(),
    };
    let mut unread = Ok(());
    let artifacts =
        lock.artifacts.iter().map_while(|artifact| artifact.map_err(|error| unread = Err(error)).ok());
    let files = artifacts.flat_map(|artifact| artifact.files);
    let blobs = files.filter_map(|file| Some((file.blob?, file.size?)));
    let blobs = blobs.collect();
    unread?;
    Ok((snapshot, blobs))
}

/// Whether nothing is left out of a snapshot.
pub(super) fn is_full(snapshot: &Snapshot, full_every: Option<u64>) -> bool {
    full_every.is_some_and(|every| snapshot.sequence.is_multiple_of(every.max(1)))
}

/// Issues a snapshot that was made before once more: the same snapshot with the same signatures, whole or in part, in volumes
/// of any size. Nothing is resolved and nothing downloaded.
///
/// # Errors
/// Usage, if there is no such snapshot; incomplete, if something of it is not held any more.
pub fn reissue(
    (channel, sequence): (&str, u64),
    issuing: &Issuing<'_>,
    (store, intake): (&Store, &Intake),
    events: &dyn Events,
    cancel: &Cancel,
) -> Result<Packed, Problem> {
    let entry = at_site::snapshot(store, channel, sequence)?;
    let mut blobs = Vec::new();
    let mut index = if issuing.can_be_archive() { archive_index::begin() } else { None };
    let snapshot = at_site::records(&entry, store, &mut |record| {
        if let Some(index) = &mut index {
            index.take(&record);
        }
        if let Record::Artifact(artifact) = record {
            blobs.extend(artifact.files.iter().map(|file| (file.blob, file.size)));
        }
        cancel.check()
    })?;
    blobs.sort_unstable();
    blobs.dedup();
    for (key, size) in &blobs {
        if !issuing.at_site.is_some_and(|at_site| at_site(key)) && !intake.hold(key, *size)? {
            let message = format!("blob {key} of {channel} {sequence} is not here any more");
            return Err(Problem::new(Kind::Incomplete, "collect.gone", message)
                .hint("what a newer snapshot replaced is freed by `aftk gc`; collect it again"));
        }
    }
    let contents = Contents {
        bytes: super::read_blob(store, &entry.snapshot, PAPERS)?.to_vec(),
        signed: super::read_blob(store, &entry.signatures, PAPERS)?.to_vec(),
        snapshot: &snapshot,
        blobs,
        index: index.and_then(|index| index.finish()),
    };
    let issued = issue(contents, issuing, (store, intake), events, cancel)?;
    Ok(Packed {
        channel: channel.to_owned(),
        sequence,
        snapshot: entry.snapshot,
        held: true,
        files: issued.files,
        volumes: issued.volumes,
        spares: issued.spares,
        bytes: issued.bytes,
        blobs: issued.blobs,
        left_out: issued.left_out,
        left_out_bytes: issued.left_out_bytes,
    })
}

/// The largest papers of a snapshot in bytes: the format's own limit.
const PAPERS: u64 = 1024 * 1024;
