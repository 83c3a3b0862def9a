//! What packing would come to: the same steps without a write, a signature, or a sequence that is given away.

use std::path::Path;

use bundle_format::{BlobKey, BundlePlan, Cutter, Documents, Mode, Signer};
use serde::{Deserialize, Serialize};

use super::archive_index;
use super::issue::{AtSite, DOCUMENTS, uncuttable, unpackable};
use super::ledger;
use super::lock_file::Lock;
use super::{pack, records};
use crate::problem::Problem;
use crate::store::Store;

/// What a bundle would be.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Forecast {
    /// Its channel.
    pub channel: String,
    /// The place in the channel that it would get.
    pub sequence: u64,
    /// Whether the content was packed before under this sequence.
    pub held: bool,
    /// The size of each volume in bytes; what signatures take is assumed.
    pub volumes: Vec<u64>,
    /// How many blobs they would carry.
    pub blobs: u64,
    /// How many would be left out, because the site has them.
    pub left_out: u64,
    /// How many bytes those have.
    pub left_out_bytes: u64,
}

impl Forecast {
    /// The size of all volumes in bytes.
    pub fn bytes(&self) -> u64 {
        self.volumes.iter().sum()
    }
}

/// What would be packed, and how it would travel.
pub(super) struct Forecasting<'a> {
    pub(super) channel: &'a str,
    pub(super) mode: Mode,
    pub(super) ledger: &'a Path,
    pub(super) volume_size: Option<u64>,
    pub(super) full_every: Option<u64>,
    pub(super) at_site: Option<&'a AtSite>,
}

/// Finds out what packing a lock would come to.
///
/// # Errors
/// As [`pack::pack`], but for what only writing meets.
pub(super) fn forecast(lock: &Lock, wish: &Forecasting<'_>, store: &Store) -> Result<Forecast, Problem> {
    let (mut snapshot, mut blobs) = pack::draft(lock, wish.channel, wish.mode, |_| Ok(()))?;
    let held = ledger::place(wish.ledger, &mut snapshot, lock, store)?;
    let is_full = pack::is_full(&snapshot, wish.full_every);
    let at_site = wish.at_site.filter(|_| !is_full);
    blobs.sort_unstable();
    blobs.dedup();
    let mut segments = snapshot.segments.clone();
    let (mut left_out, mut left_out_bytes) = (0, 0);
    if let Some(at_site) = at_site {
        let mut travels = |key: &BlobKey, size: u64| {
            let is_there = at_site(key);
            left_out += u64::from(is_there);
            left_out_bytes += if is_there { size } else { 0 };
            !is_there
        };
        segments.retain(|segment| travels(&segment.digest, segment.size));
        blobs.retain(|(key, size)| travels(key, *size));
    }
    let most = wish.volume_size.unwrap_or(u64::MAX);
    let documents = snapshot.to_bytes().map_err(|error| unpackable(&error))?.len() as u64 + DOCUMENTS;
    // What blobs are cut into is not read: any other key of a piece is as long.
    let hash = &mut |piece: &bundle_format::Source| {
        Ok(BlobKey::of(format!("{} from {}", piece.blob, piece.offset).as_bytes()))
    };
    let cutter = &mut Cutter { most, documents, hash, keep: &mut |_, _| Ok(()) };
    let mut plan = BundlePlan::cut(&segments, blobs, cutter).map_err(uncuttable)?;
    if wish.volume_size.is_none()
        && at_site.is_none()
        && let Some(index) = archive_index::of(records::of_lock(lock))?
    {
        plan = plan.with_index(index).map_err(|error| unpackable(&error))?;
    }
    let documents = Documents::sign(&snapshot, &plan, &[&Nobody]).map_err(|error| unpackable(&error))?;
    Ok(Forecast {
        channel: wish.channel.to_owned(),
        sequence: snapshot.sequence,
        held,
        volumes: plan.volumes().iter().map(|volume| documents.file_size(volume)).collect(),
        blobs: plan.volumes().iter().map(|volume| volume.blobs().len() as u64).sum(),
        left_out,
        left_out_bytes,
    })
}

/// Signs with as many bytes as Ed25519 does, which mean nothing.
struct Nobody;

impl Signer for Nobody {
    fn key_id(&self) -> &str {
        "ed25519:0000000000000000000000000000000000000000000000000000000000000000"
    }

    fn sign(&self, _: &[u8]) -> Result<Vec<u8>, String> {
        Ok(vec![0; 64])
    }
}
