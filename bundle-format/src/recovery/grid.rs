//! Which slices stand together.

use std::io;

use crate::body::ReadAt;

/// The slices of what protects a file by itself, in bytes.
pub const SLICE: usize = 64 << 10;
/// The most lanes that a file is cut into.
pub const LANES: u64 = 200;
/// The slices of what protects volumes by each other, in bytes.
pub const WIDE_SLICE: usize = 256 << 10;

/// Lanes of data and of recovery, side by side, each of `stripes` slices. The slices of one stripe, a slice of each lane,
/// are one word of the code: as many of them may be lost as there are lanes of recovery.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Grid {
    /// Bytes of a slice.
    pub slice: usize,
    /// Lanes of data.
    pub data: usize,
    /// Lanes of recovery.
    pub recovery: usize,
    /// How long lanes are, in slices.
    pub stripes: u64,
}

impl Grid {
    /// The grid of one body: it is cut into lanes, so that a hole hits few slices of each stripe. `percent` is from 1 to 100.
    pub fn of_one(size: u64, percent: u64) -> Grid {
        let slices = size.div_ceil(SLICE as u64).max(1);
        let stripes = slices.div_ceil(LANES);
        let data = slices.div_ceil(stripes);
        let recovery = (data * percent).div_ceil(100);
        Grid { slice: SLICE, data: small(data), recovery: small(recovery), stripes }
    }

    /// The grid of the bodies of several volumes: each is a lane.
    pub fn across(sizes: impl Iterator<Item = u64>, spares: u64) -> Grid {
        let (mut data, mut most) = (0, 1);
        for size in sizes {
            (data, most) = (data + 1, most.max(size));
        }
        Grid { slice: WIDE_SLICE, data, recovery: small(spares), stripes: most.div_ceil(WIDE_SLICE as u64) }
    }
}

/// Both are a few hundred at most.
fn small(count: u64) -> usize {
    usize::try_from(count).unwrap_or(usize::MAX)
}

/// Where the lanes of data are read.
pub enum Lanes<'a> {
    /// A body of so many bytes, cut into lanes.
    One(&'a dyn ReadAt, u64),
    /// A body for each lane, with its size.
    Each(Vec<(&'a dyn ReadAt, u64)>),
}

impl Lanes<'_> {
    /// Where a slice stands: the body's size, and the slice's place in it.
    fn place(&self, grid: &Grid, lane: usize, stripe: u64) -> (u64, u64) {
        match self {
            Lanes::One(_, size) => (*size, (lane as u64 * grid.stripes + stripe) * grid.slice as u64),
            Lanes::Each(lanes) => (lanes.get(lane).map_or(0, |(_, size)| *size), stripe * grid.slice as u64),
        }
    }

    /// How many bytes of a slice are the body's, and where in it they begin; what follows them are zeros.
    pub fn part(&self, grid: &Grid, lane: usize, stripe: u64) -> (u64, usize) {
        let (size, offset) = self.place(grid, lane, stripe);
        let length = size.saturating_sub(offset).min(grid.slice as u64);
        (offset, usize::try_from(length).unwrap_or_default())
    }

    /// Reads a slice.
    ///
    /// # Errors
    /// If it cannot be read, or there is no such body.
    pub fn read(&self, grid: &Grid, lane: usize, stripe: u64, slice: &mut [u8]) -> io::Result<()> {
        let (offset, length) = self.part(grid, lane, stripe);
        slice.fill(0);
        let part = slice.get_mut(..length).unwrap_or_default();
        if part.is_empty() {
            return Ok(());
        }
        let body = match self {
            Lanes::One(body, _) => Some(*body),
            Lanes::Each(lanes) => lanes.get(lane).map(|(body, _)| *body),
        };
        body.ok_or(io::ErrorKind::NotFound)?.read_at(offset, part)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lanes_cover_a_body_and_no_lane_is_empty() {
        for size in [0, 1, SLICE as u64, 199 * SLICE as u64 + 1, 200 * SLICE as u64 + 1, 5 << 30] {
            let grid = Grid::of_one(size, 10);
            let slices = grid.data as u64 * grid.stripes;
            assert!(slices * SLICE as u64 >= size, "{size}: {grid:?}");
            assert!((slices - grid.stripes) * (SLICE as u64) < size.max(1), "{size}: {grid:?}");
            assert!(grid.data as u64 <= LANES && grid.recovery * 10 >= grid.data);
        }
        assert_eq!(Grid::across([3, 1 << 20, 7].into_iter(), 2).stripes, 4);
    }
}
