//! Making packets.

use std::io;
use std::ops::Range;

use super::code::Encoder;
use super::grid::{Grid, Lanes};
use super::packet::{SHORT, Seal, short_digest};

/// A packet that was made.
#[derive(Debug, Clone, Copy)]
pub struct Made<'a> {
    /// The lane of recovery, from 0.
    pub lane: usize,
    /// The stripe, from 0.
    pub stripe: u64,
    /// Its bytes.
    pub bytes: &'a [u8],
}

/// Makes the packets of these lanes of recovery, stripe after stripe: every slice of data is read once, and one stripe is
/// held in memory.
///
/// # Errors
/// If data cannot be read; what `each` fails with.
pub fn protect(
    grid: &Grid,
    data: &Lanes<'_>,
    seal: &Seal,
    lanes: &Range<usize>,
    each: &mut dyn FnMut(Made<'_>) -> io::Result<()>,
) -> io::Result<()> {
    let mut encoder = Encoder::new(grid)?;
    let mut slice = vec![0; grid.slice];
    let mut digests = vec![0; grid.data * SHORT];
    let mut packet = vec![0; grid.packet()];
    for stripe in 0..grid.stripes {
        for (lane, digest) in digests.chunks_exact_mut(SHORT).enumerate() {
            data.read(grid, lane, stripe, &mut slice)?;
            digest.copy_from_slice(&short_digest(&slice));
            encoder.take(&slice)?;
        }
        encoder.finish(lanes.clone(), &mut |lane, made| {
            if let Some(room) = packet.get_mut(grid.packet_head()..) {
                room.copy_from_slice(made);
            }
            seal.close(grid, lane, stripe, &digests, &mut packet);
            each(Made { lane, stripe, bytes: &packet })
        })?;
    }
    Ok(())
}
