//! What packing would come to: the same steps without a write, a signature, or a sequence that is given away.

use std::path::Path;

use bundle_format::signature::{PayloadType, sign};
use bundle_format::{BlobKey, Mode, Signer};
use serde::{Deserialize, Serialize};

use super::archive_index;
use super::issue::{AtSite, leave_out, unpackable};
use super::ledger;
use super::lock_file::Lock;
use super::volumes::{Cutting, Files, Volumes};
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
    /// How many volumes it would have.
    pub volumes: u64,
    /// The size in bytes of each volume, and then of each spare one, with what lies beside it to mend it; what signatures
    /// take is assumed.
    pub media: Vec<u64>,
    /// How many blobs they would carry.
    pub blobs: u64,
    /// How many would be left out, because the site has them.
    pub left_out: u64,
    /// How many bytes those have.
    pub left_out_bytes: u64,
}

impl Forecast {
    /// The size of all files in bytes.
    pub fn bytes(&self) -> u64 {
        self.media.iter().sum()
    }
}

/// What would be packed, and how it would travel.
pub(super) struct Forecasting<'a> {
    pub(super) channel: &'a str,
    pub(super) mode: Mode,
    pub(super) ledger: &'a Path,
    pub(super) volumes: Volumes,
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
    let mut segments = snapshot.segments.clone();
    let (left_out, left_out_bytes) =
        at_site.map_or((0, 0), |at_site| leave_out(at_site, &mut segments, &mut blobs));
    let is_archive = wish.volumes.size.is_none() && at_site.is_none();
    let index = if is_archive { archive_index::of(records::of_lock(lock))? } else { None };
    let bytes = snapshot.to_bytes().map_err(|error| unpackable(&error))?;
    let signed = sign(PayloadType::Snapshot, &bytes, &[&Nobody]).map_err(|error| unpackable(&error))?;
    let mut cutting = Cutting {
        volumes: wish.volumes,
        segments: &segments,
        blobs: &blobs,
        index: index.as_deref(),
        // What blobs are cut into is not read: any other key of a piece is as long.
        hash: &mut |piece| Ok(BlobKey::of(format!("{} from {}", piece.blob, piece.offset).as_bytes())),
        keep: &mut |_, _| Ok(()),
    };
    let (plan, documents) = cutting.cut(&bytes, &signed, &Nobody)?;
    let files = Files::of(&plan, &documents);
    Ok(Forecast {
        channel: wish.channel.to_owned(),
        sequence: snapshot.sequence,
        held,
        media: files.all().map(|medium| files.medium(medium)).collect(),
        volumes: files.counts().0,
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
