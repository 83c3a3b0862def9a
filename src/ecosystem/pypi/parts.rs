//! Files of which only parts are known: reading one says what has to be known next.

use std::cell::Cell;
use std::io::{self, Read, Seek, SeekFrom};

use bytes::Bytes;

/// A file of which only parts are known.
#[derive(Default)]
pub(super) struct Parts {
    total: u64,
    known: Vec<(u64, Bytes)>,
    /// Where reading came to what is not known.
    unknown: Cell<Option<u64>>,
}

impl Parts {
    /// A file of that size, of which nothing is known.
    pub(super) fn new(total: u64) -> Parts {
        Parts { total, ..Parts::default() }
    }

    /// These bytes are there.
    pub(super) fn learn(&mut self, first: u64, bytes: Bytes) {
        self.known.push((first, bytes));
    }

    /// From where on one has to know more, if reading came to that since this was last asked.
    pub(super) fn unknown(&self) -> Option<u64> {
        self.unknown.take()
    }

    /// To read it from its beginning.
    pub(super) fn reader(&self) -> impl Read + Seek + '_ {
        PartsReader { parts: self, at: 0 }
    }
}

struct PartsReader<'a> {
    parts: &'a Parts,
    at: u64,
}

impl Read for PartsReader<'_> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        if self.at >= self.parts.total || into.is_empty() {
            return Ok(0);
        }
        let known = self.parts.known.iter().find_map(|(first, bytes)| {
            let from = usize::try_from(self.at.checked_sub(*first)?).ok()?;
            bytes.get(from..).filter(|rest| !rest.is_empty())
        });
        let Some(rest) = known else {
            self.parts.unknown.set(Some(self.at));
            return Err(io::Error::other("this part is not known yet"));
        };
        let length = rest.len().min(into.len());
        into.iter_mut().zip(rest).for_each(|(to, from)| *to = *from);
        self.at += length as u64;
        Ok(length)
    }
}

impl Seek for PartsReader<'_> {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        let at = match to {
            SeekFrom::Start(at) => Some(at),
            SeekFrom::End(by) => self.parts.total.checked_add_signed(by),
            SeekFrom::Current(by) => self.at.checked_add_signed(by),
        };
        self.at =
            at.ok_or_else(|| io::Error::new(io::ErrorKind::InvalidInput, "it is before the beginning"))?;
        Ok(self.at)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ecosystem::pypi::name::Name;
    use crate::ecosystem::pypi::wheel::{made, metadata};

    #[test]
    fn metadata_is_read_from_few_bytes() {
        let noise: Vec<u8> =
            (0..300_000_u32).flat_map(|number| number.wrapping_mul(2_654_435_761).to_le_bytes()).collect();
        let project = Name::parse("some-project").unwrap();
        let wheel =
            made::archive(&[("some/noise", &noise), ("Some_Project-1.dist-info/METADATA", b"Name: x\n")]);
        let mut parts = Parts::new(wheel.len() as u64);
        let mut fetched = 0;
        let found = loop {
            let error = match metadata(parts.reader(), "a wheel", &project) {
                Ok(found) => break found,
                Err(error) => error,
            };
            let from = usize::try_from(parts.unknown().unwrap_or_else(|| panic!("{error}"))).unwrap();
            let part = &wheel[from..(from + 8192).min(wheel.len())];
            fetched += part.len();
            parts.learn(from as u64, Bytes::copy_from_slice(part));
        };
        assert_eq!(found, b"Name: x\n");
        assert!(fetched < 160 << 10 && wheel.len() > 500 << 10, "{fetched} of {}", wheel.len());
    }
}
