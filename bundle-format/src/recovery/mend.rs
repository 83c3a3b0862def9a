//! Finding damaged slices, and making them again.

use std::io;

use super::code::Decoder;
use super::file::Layout;
use super::grid::{Grid, Lanes};
use super::packet::{SHORT, Seal, short_digest};
use crate::body::ReadAt;

/// What is damaged, and what of it can be mended.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Survey {
    /// How many slices of data there are.
    pub slices: u64,
    /// How many of them are not as they were.
    pub damaged: u64,
    /// How many of those can be made again, or are sound in another copy.
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

/// The data that is to be mended.
pub struct Data<'a> {
    /// Where it is, and where it is put.
    pub lanes: &'a Lanes<'a>,
    /// Other copies, each with the same lanes: what is sound in one of them need not be made.
    pub copies: &'a [Lanes<'a>],
    /// Lanes that are known to be sound, whatever a packet says of them.
    pub sound: &'a dyn Fn(usize) -> bool,
}

/// A file of recovery, or a copy of one.
pub struct Packets<'a> {
    /// The file.
    pub file: &'a dyn ReadAt,
    /// Where its packets begin.
    pub start: u64,
    /// How they are laid out.
    pub layout: Layout,
}

/// Puts a slice that was made again in its place: its lane of data, its stripe, its bytes.
pub type PutSlice<'a> = dyn FnMut(usize, u64, &[u8]) -> io::Result<()> + 'a;

/// Looks through the data, slice by slice, and has what can be made again put in its place if there is a `put`. What cannot be
/// read is damaged. `step` is called with the bytes of data of each stripe.
///
/// The packets are of one grid and seal; there may be several of a place.
///
/// # Errors
/// What `put` and `step` fail with.
pub fn mend(
    data: &Data<'_>,
    packets: &[Packets<'_>],
    mut put: Option<&mut PutSlice<'_>>,
    step: &mut dyn FnMut(u64) -> io::Result<()>,
) -> io::Result<Survey> {
    let Some(Layout { grid, seal, .. }) = packets.first().map(|packets| &packets.layout) else {
        return Ok(Survey::default());
    };
    let mut survey = Survey { slices: grid.stripes * grid.data as u64, ..Survey::default() };
    let mut mending = Mending {
        grid,
        data,
        seal,
        packets,
        decoder: None,
        slices: vec![0; grid.data * grid.slice],
        packet: vec![0; grid.packet()],
    };
    for stripe in 0..grid.stripes {
        match mending.look(stripe) {
            None => survey.unknown += 1,
            Some(Met { damaged, copied, .. }) if damaged.is_empty() && copied.is_empty() => {}
            Some(met) => {
                survey.damaged += (met.damaged.len() + met.copied.len()) as u64;
                survey.mendable += met.copied.len() as u64;
                if let Some(put) = &mut put {
                    mending.put_copied(&met, stripe, *put)?;
                }
                let sound = mending.sound(&met, stripe);
                if sound.len() >= met.damaged.len() {
                    survey.mendable += met.damaged.len() as u64;
                    if let (Some(put), false) = (&mut put, met.damaged.is_empty()) {
                        mending.make(&met.damaged, &sound, stripe, *put)?;
                    }
                }
            }
        }
        step((grid.data * grid.slice) as u64)?;
    }
    Ok(survey)
}

/// What was met in a stripe.
struct Met {
    /// The lane of the first sound packet, by whose digests it is known, and its slice.
    first: (usize, Vec<u8>),
    /// The lanes whose slices are damaged in every copy.
    damaged: Vec<usize>,
    /// Those whose slices are sound in another copy, and in memory now.
    copied: Vec<usize>,
}

/// One stripe after the other.
struct Mending<'a> {
    grid: &'a Grid,
    data: &'a Data<'a>,
    seal: &'a Seal,
    packets: &'a [Packets<'a>],
    /// Made when it is first needed: most stripes are sound.
    decoder: Option<Decoder>,
    /// The slices of data of the stripe.
    slices: Vec<u8>,
    packet: Vec<u8>,
}

impl Mending<'_> {
    /// Reads the slices of a stripe; `None` if no packet tells what they must be.
    fn look(&mut self, stripe: u64) -> Option<Met> {
        let first = self.next_sound(0, stripe)?;
        let (digests, slice) = self.seal.open(self.grid, first, stripe, &self.packet)?;
        let mut met = Met { first: (first, Vec::new()), damaged: Vec::new(), copied: Vec::new() };
        let lanes = self.slices.chunks_exact_mut(self.grid.slice).zip(digests.chunks_exact(SHORT));
        for (lane, (room, digest)) in lanes.enumerate() {
            let read = self.data.lanes.read(self.grid, lane, stripe, room);
            if read.is_ok() && ((self.data.sound)(lane) || short_digest(room) == digest) {
                continue;
            }
            let is_copied =
                self.data.copies.iter().any(|copy| {
                    copy.read(self.grid, lane, stripe, room).is_ok() && short_digest(room) == digest
                });
            if is_copied { met.copied.push(lane) } else { met.damaged.push(lane) }
        }
        if !met.damaged.is_empty() {
            met.first.1.extend_from_slice(slice);
        }
        Some(met)
    }

    /// As many sound packets as there are damaged slices, if there are: their lanes and slices.
    fn sound(&mut self, met: &Met, stripe: u64) -> Vec<(usize, Vec<u8>)> {
        let mut sound = vec![met.first.clone()];
        while let (true, Some((last, _))) = (sound.len() < met.damaged.len(), sound.last()) {
            let Some(next) = self.next_sound(last + 1, stripe) else { break };
            // A medium that fails may return other bytes the next time, so they are kept.
            sound.push((next, self.packet.get(self.grid.packet_head()..).unwrap_or_default().to_vec()));
        }
        sound
    }

    /// The first lane of recovery from `lane` on with a sound packet, which is in the buffer then.
    fn next_sound(&mut self, lane: usize, stripe: u64) -> Option<usize> {
        (lane..self.grid.recovery).find(|lane| {
            self.packets.iter().filter(|packets| packets.layout.lanes.contains(lane)).any(|packets| {
                let place = packets.start + packets.layout.offset(*lane, stripe);
                packets.file.read_at(place, &mut self.packet).is_ok()
                    && self.seal.open(self.grid, *lane, stripe, &self.packet).is_some()
            })
        })
    }

    fn slice(&self, lane: usize) -> &[u8] {
        self.slices.chunks_exact(self.grid.slice).nth(lane).unwrap_or_default()
    }

    /// Puts in their places what another copy has.
    fn put_copied(&self, met: &Met, stripe: u64, put: &mut PutSlice<'_>) -> io::Result<()> {
        met.copied.iter().try_for_each(|lane| put(*lane, stripe, self.slice(*lane)))
    }

    /// Makes the damaged slices again.
    fn make(
        &mut self,
        damaged: &[usize],
        sound: &[(usize, Vec<u8>)],
        stripe: u64,
        put: &mut PutSlice<'_>,
    ) -> io::Result<()> {
        let mut decoder = match self.decoder.take() {
            Some(decoder) => decoder,
            None => Decoder::new(self.grid)?,
        };
        for lane in (0..self.grid.data).filter(|lane| !damaged.contains(lane)) {
            decoder.take_data(lane, self.slice(lane))?;
        }
        for (lane, slice) in sound {
            decoder.take_recovery(*lane, slice)?;
        }
        decoder.finish(&mut |lane, slice| put(lane, stripe, slice))?;
        self.decoder = Some(decoder);
        Ok(())
    }
}

/// How many packets of a file of recovery are damaged, and how many it has. `step` is called with the bytes of each.
///
/// # Errors
/// What `step` fails with.
pub fn damaged_packets(
    packets: &Packets<'_>,
    step: &mut dyn FnMut(u64) -> io::Result<()>,
) -> io::Result<(u64, u64)> {
    let Layout { grid, seal, lanes } = &packets.layout;
    let mut packet = vec![0; grid.packet()];
    let (mut damaged, mut all) = (0, 0);
    for lane in lanes.clone() {
        for stripe in 0..grid.stripes {
            let place = packets.start + packets.layout.offset(lane, stripe);
            let is_sound = packets.file.read_at(place, &mut packet).is_ok()
                && seal.open(grid, lane, stripe, &packet).is_some();
            (damaged, all) = (damaged + u64::from(!is_sound), all + 1);
            step(packet.len() as u64)?;
        }
    }
    Ok((damaged, all))
}
