//! Packets: a slice of recovery each, with digests of the slices of data that it stands beside.
//!
//! By its own digest a packet is told from a damaged one, or one of another bundle; by the digests that it holds, damaged
//! slices of data are found. Each packet of a stripe has all of them, so that one sound packet is enough to know.

use sha2::{Digest as _, Sha256};

use super::grid::Grid;
use crate::digest::BlobKey;

/// What the digest of a packet begins with, so that it is one of nothing else.
const DOMAIN: &[u8] = b"aftk recovery packet 1\n";
/// Bytes of a packet's own digest.
const SEAL: usize = 32;
/// Bytes of the digest of a slice of data: by far enough where nobody is deceived, as mended files are verified wholly.
pub const SHORT: usize = 8;
/// Packets are of a multiple of so many bytes.
const BLOCK: usize = 512;

/// What a packet is for: the bundle, and the file in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Seal {
    /// The digest of the packing list.
    pub packing: BlobKey,
    /// The number of the file that is protected by itself; 0 if the volumes are protected by each other.
    pub unit: u64,
}

impl Grid {
    /// Bytes before a packet's slice.
    pub fn packet_head(&self) -> usize {
        (SEAL + self.data * SHORT).next_multiple_of(BLOCK)
    }

    /// Bytes of a packet.
    pub fn packet(&self) -> usize {
        self.packet_head() + self.slice
    }
}

impl Seal {
    /// Fills in the digests of the data and then the packet's own one. The slice stands in the packet already.
    pub fn close(&self, grid: &Grid, lane: usize, stripe: u64, digests: &[u8], packet: &mut [u8]) {
        let (head, slice) = packet.split_at_mut(grid.packet_head());
        head.fill(0);
        if let Some(room) = head.get_mut(SEAL..SEAL + digests.len()) {
            room.copy_from_slice(digests);
        }
        let digest = self.digest(lane, stripe, head.get(SEAL..).unwrap_or_default(), slice);
        if let Some(room) = head.get_mut(..SEAL) {
            room.copy_from_slice(&digest);
        }
    }

    /// The digests of the data and the slice of a packet that is sound and the one that belongs there.
    pub fn open<'p>(
        &self,
        grid: &Grid,
        lane: usize,
        stripe: u64,
        packet: &'p [u8],
    ) -> Option<(&'p [u8], &'p [u8])> {
        let (head, slice) = packet.split_at_checked(grid.packet_head())?;
        let (digest, rest) = head.split_at_checked(SEAL)?;
        if slice.len() != grid.slice || self.digest(lane, stripe, rest, slice) != digest {
            return None;
        }
        Some((rest.get(..grid.data * SHORT)?, slice))
    }

    fn digest(&self, lane: usize, stripe: u64, head: &[u8], slice: &[u8]) -> [u8; SEAL] {
        let mut hasher = Sha256::new();
        hasher.update(DOMAIN);
        hasher.update(self.packing.as_bytes());
        for number in [self.unit, lane as u64, stripe] {
            hasher.update(number.to_be_bytes());
        }
        hasher.update(head);
        hasher.update(slice);
        hasher.finalize().into()
    }
}

/// The digest of a slice of data.
pub(super) fn short_digest(slice: &[u8]) -> [u8; SHORT] {
    let digest: [u8; 32] = Sha256::digest(slice).into();
    digest.first_chunk().copied().unwrap_or_default()
}
