//! Finding damaged slices, and making them again.

use std::io;

use super::code::Decoder;
use super::grid::{Grid, Lanes};
use super::packet::{SHORT, Seal, short_digest};

/// What is damaged, and what of it can be mended.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Survey {
    /// How many slices of data there are.
    pub slices: u64,
    /// How many of them are not as they were.
    pub damaged: u64,
    /// How many of those can be made again.
    pub mendable: u64,
    /// In how many stripes nothing can be told, as all packets are damaged.
    pub unknown: u64,
}

impl Survey {
    /// Whether all that is damaged can be made again.
    pub fn is_mendable(&self) -> bool {
        self.damaged == self.mendable && self.unknown == 0
    }
}

/// Reads the packet of a lane of recovery and a stripe into a buffer. One that cannot be read is a damaged one.
pub type ReadPacket<'a> = dyn FnMut(usize, u64, &mut [u8]) -> io::Result<()> + 'a;
/// Puts a slice that was made again in its place: its lane of data, its stripe, its bytes.
pub type PutSlice<'a> = dyn FnMut(usize, u64, &[u8]) -> io::Result<()> + 'a;

/// Looks through the data, slice by slice, and has what can be made again put in its place if there is a `put`. What cannot be
/// read is damaged. `step` is called with the bytes of data of each stripe.
///
/// # Errors
/// What `put` and `step` fail with.
pub fn mend(
    grid: &Grid,
    data: &Lanes<'_>,
    seal: &Seal,
    packet: &mut ReadPacket<'_>,
    mut put: Option<&mut PutSlice<'_>>,
    step: &mut dyn FnMut(u64) -> io::Result<()>,
) -> io::Result<Survey> {
    let mut survey = Survey { slices: grid.stripes * grid.data as u64, ..Survey::default() };
    let mut mending = Mending {
        grid,
        data,
        seal,
        decoder: None,
        slices: vec![0; grid.data * grid.slice],
        packet: vec![0; grid.packet()],
    };
    for stripe in 0..grid.stripes {
        match mending.damaged(stripe, packet) {
            None => survey.unknown += 1,
            Some((_, damaged)) if damaged.is_empty() => {}
            Some((first, damaged)) => {
                survey.damaged += damaged.len() as u64;
                let sound = mending.sound(first, damaged.len(), stripe, packet);
                if sound.len() == damaged.len() {
                    survey.mendable += damaged.len() as u64;
                    if let Some(put) = &mut put {
                        mending.make(&damaged, &sound, stripe, (packet, *put))?;
                    }
                }
            }
        }
        step((grid.data * grid.slice) as u64)?;
    }
    Ok(survey)
}

/// One stripe after the other.
struct Mending<'a> {
    grid: &'a Grid,
    data: &'a Lanes<'a>,
    seal: &'a Seal,
    /// Made when it is first needed: most stripes are sound.
    decoder: Option<Decoder>,
    /// The slices of data of the stripe.
    slices: Vec<u8>,
    packet: Vec<u8>,
}

impl Mending<'_> {
    /// The lanes whose slices are damaged, and the first sound packet, by whose digests that is known.
    fn damaged(&mut self, stripe: u64, packet: &mut ReadPacket<'_>) -> Option<(usize, Vec<usize>)> {
        let first = self.next_sound(0, stripe, packet)?;
        let (digests, _) = self.seal.open(self.grid, first, stripe, &self.packet)?;
        let slices = self.slices.chunks_exact_mut(self.grid.slice).zip(digests.chunks_exact(SHORT));
        let damaged = slices.enumerate().filter_map(|(lane, (slice, digest))| {
            let read = self.data.read(self.grid, lane, stripe, slice);
            (read.is_err() || short_digest(slice) != digest).then_some(lane)
        });
        Some((first, damaged.collect()))
    }

    /// The lanes of up to `count` sound packets, from `first` on.
    fn sound(&mut self, first: usize, count: usize, stripe: u64, packet: &mut ReadPacket<'_>) -> Vec<usize> {
        let mut sound = vec![first];
        while let (true, Some(last)) = (sound.len() < count, sound.last()) {
            let Some(next) = self.next_sound(last + 1, stripe, packet) else { break };
            sound.push(next);
        }
        sound
    }

    /// The first sound packet from `lane` on, which is in the buffer then.
    fn next_sound(&mut self, lane: usize, stripe: u64, packet: &mut ReadPacket<'_>) -> Option<usize> {
        (lane..self.grid.recovery).find(|lane| {
            packet(*lane, stripe, &mut self.packet).is_ok()
                && self.seal.open(self.grid, *lane, stripe, &self.packet).is_some()
        })
    }

    /// Makes the damaged slices again.
    fn make(
        &mut self,
        damaged: &[usize],
        sound: &[usize],
        stripe: u64,
        (packet, put): (&mut ReadPacket<'_>, &mut PutSlice<'_>),
    ) -> io::Result<()> {
        let mut decoder = match self.decoder.take() {
            Some(decoder) => decoder,
            None => Decoder::new(self.grid)?,
        };
        for (lane, slice) in self.slices.chunks_exact(self.grid.slice).enumerate() {
            if !damaged.contains(&lane) {
                decoder.take_data(lane, slice)?;
            }
        }
        for lane in sound {
            packet(*lane, stripe, &mut self.packet)?;
            let (_, slice) =
                self.seal.open(self.grid, *lane, stripe, &self.packet).ok_or(io::ErrorKind::InvalidData)?;
            decoder.take_recovery(*lane, slice)?;
        }
        decoder.finish(&mut |lane, slice| put(lane, stripe, slice))?;
        self.decoder = Some(decoder);
        Ok(())
    }
}
