//! Reed and Solomon's code over GF(2^16), as SPEC.md section 10.3 defines it.
//!
//! The arithmetic is a library's; which of its two ways of laying out a word is used is part of the format, so it is
//! chosen here and not left to it.

use std::io;

use reed_solomon_simd::engine::DefaultEngine;
use reed_solomon_simd::rate::{HighRateDecoder, HighRateEncoder, RateDecoder, RateEncoder};

use super::grid::Grid;

/// Makes the slices of recovery of a stripe.
pub(super) struct Encoder(HighRateEncoder<DefaultEngine>);

impl Encoder {
    pub(super) fn new(grid: &Grid) -> io::Result<Encoder> {
        let engine = DefaultEngine::new();
        let encoder = HighRateEncoder::new(grid.data, grid.recovery, grid.slice, engine, None);
        Ok(Encoder(encoder.map_err(io::Error::other)?))
    }

    /// Takes the slice of the next lane.
    pub(super) fn take(&mut self, slice: &[u8]) -> io::Result<()> {
        self.0.add_original_shard(slice).map_err(io::Error::other)
    }

    /// Hands on the slices of these lanes of recovery; then the next stripe may be taken.
    pub(super) fn finish(
        &mut self,
        lanes: std::ops::Range<usize>,
        each: &mut dyn FnMut(usize, &[u8]) -> io::Result<()>,
    ) -> io::Result<()> {
        let made = self.0.encode().map_err(io::Error::other)?;
        for lane in lanes {
            each(lane, made.recovery(lane).ok_or(io::ErrorKind::InvalidInput)?)?;
        }
        Ok(())
    }
}

/// Makes the lost slices of data of a stripe again.
pub(super) struct Decoder(HighRateDecoder<DefaultEngine>);

impl Decoder {
    pub(super) fn new(grid: &Grid) -> io::Result<Decoder> {
        let engine = DefaultEngine::new();
        let decoder = HighRateDecoder::new(grid.data, grid.recovery, grid.slice, engine, None);
        Ok(Decoder(decoder.map_err(io::Error::other)?))
    }

    /// Takes a sound slice of data.
    pub(super) fn take_data(&mut self, lane: usize, slice: &[u8]) -> io::Result<()> {
        self.0.add_original_shard(lane, slice).map_err(io::Error::other)
    }

    /// Takes a sound slice of recovery.
    pub(super) fn take_recovery(&mut self, lane: usize, slice: &[u8]) -> io::Result<()> {
        self.0.add_recovery_shard(lane, slice).map_err(io::Error::other)
    }

    /// Hands on every slice of data that was not taken; then the next stripe may be taken. As many slices as there are lanes
    /// of data must have been taken.
    pub(super) fn finish(&mut self, each: &mut dyn FnMut(usize, &[u8]) -> io::Result<()>) -> io::Result<()> {
        let made = self.0.decode().map_err(io::Error::other)?;
        for (lane, slice) in made.restored_original_iter() {
            each(lane, slice)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The basis in which the bits of a symbol stand (SPEC.md, section 10.3).
    const BASIS: [u32; 16] = [
        0x0001, 0xACCA, 0x3C0E, 0x163E, 0xC582, 0xED2E, 0x914C, 0x4012, 0x6C98, 0x10D8, 0x6A72, 0xB900,
        0xFDB8, 0xFB34, 0xFF38, 0x991E,
    ];

    /// The field as the specification writes it down, without a thought for speed.
    struct Field {
        symbols: Vec<u16>,
    }

    impl Field {
        fn new() -> Field {
            let mut symbols = vec![0; 1 << 16];
            for symbol in 0..=u16::MAX {
                symbols[Field::polynomial(symbol) as usize] = symbol;
            }
            Field { symbols }
        }

        fn polynomial(symbol: u16) -> u32 {
            (0..16).filter(|bit| symbol >> bit & 1 == 1).fold(0, |sum, bit| sum ^ BASIS[bit])
        }

        fn times(&self, a: u16, b: u16) -> u16 {
            let (mut a, b, mut product) = (Field::polynomial(a), Field::polynomial(b), 0);
            for bit in 0..16 {
                if b >> bit & 1 == 1 {
                    product ^= a;
                }
                a <<= 1;
                if a >> 16 == 1 {
                    a ^= 0x1002D;
                }
            }
            self.symbols[product as usize]
        }

        fn inverse(&self, a: u16) -> u16 {
            // a^(2^16 - 2)
            let (mut power, mut result) = (a, self.symbols[1]);
            for _ in 1..16 {
                power = self.times(power, power);
                result = self.times(result, power);
            }
            result
        }

        /// What the polynomial of least degree through these points is at `x`.
        fn through(&self, points: &[(u16, u16)], x: u16) -> u16 {
            points.iter().fold(0, |sum, (at, value)| {
                let others = points.iter().filter(|(other, _)| other != at);
                sum ^ others.fold(*value, |term, (other, _)| {
                    let share = self.times(x ^ other, self.inverse(at ^ other));
                    self.times(term, share)
                })
            })
        }
    }

    fn symbols(slice: &[u8]) -> Vec<u16> {
        let block = |block: &[u8]| -> Vec<u16> {
            (0..32).map(|i| u16::from(block[i]) | u16::from(block[i + 32]) << 8).collect()
        };
        slice.chunks_exact(64).flat_map(block).collect()
    }

    #[test]
    fn the_code_is_the_one_that_the_specification_defines() {
        let field = Field::new();
        for (data, recovery) in [(1, 1), (3, 1), (5, 3), (4, 4), (2, 5), (19, 2)] {
            let grid = Grid { slice: 128, data, recovery, stripes: 1 };
            let slices: Vec<Vec<u8>> = (0..data)
                .map(|lane| (0..128).map(|i| (i * 37 + lane * 101 + i * i * 7) as u8).collect())
                .collect();
            let mut encoder = Encoder::new(&grid).unwrap();
            slices.iter().for_each(|slice| encoder.take(slice).unwrap());
            let size = recovery.next_power_of_two();
            encoder
                .finish(0..recovery, &mut |lane, made| {
                    let mut expected = vec![0; 64];
                    for start in (0..data).step_by(size) {
                        for (at, symbol) in expected.iter_mut().enumerate() {
                            let value = |lane: usize| slices.get(lane).map_or(0, |it| symbols(it)[at]);
                            let points: Vec<_> =
                                (0..size).map(|j| ((start + size + j) as u16, value(start + j))).collect();
                            *symbol ^= field.through(&points, lane as u16);
                        }
                    }
                    assert_eq!(symbols(made), expected, "{data} + {recovery}, lane {lane}");
                    Ok(())
                })
                .unwrap();
        }
    }
}
