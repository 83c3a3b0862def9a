//! Packets (RFC 9580, section 4), and the numbers in them.

use super::{Fault, malformed};

/// What a packet is (RFC 9580, section 5).
pub(super) mod tag {
    pub(crate) const SIGNATURE: u8 = 2;
    pub(crate) const SECRET_KEY: u8 = 5;
    pub(crate) const PUBLIC_KEY: u8 = 6;
    pub(crate) const USER_ID: u8 = 13;
    pub(crate) const PUBLIC_SUBKEY: u8 = 14;
    pub(crate) const USER_ATTRIBUTE: u8 = 17;
}

/// One packet.
#[derive(Debug, Clone, Copy)]
pub(super) struct Packet<'a> {
    /// What it is: one of [`tag`], or another one.
    pub(super) tag: u8,
    pub(super) body: &'a [u8],
}

/// The packets that follow one another in some bytes; after one that cannot be read, none is.
pub(super) fn packets(bytes: &[u8]) -> impl Iterator<Item = Result<Packet<'_>, Fault>> {
    let mut rest = Bytes(bytes);
    std::iter::from_fn(move || {
        if rest.0.is_empty() {
            return None;
        }
        let packet = read(&mut rest);
        if packet.is_none() {
            rest = Bytes(&[]);
        }
        Some(packet.ok_or_else(|| malformed("its packets are cut off, or none")))
    })
}

/// Packets come in two forms. One whose length is told in parts, or not at all, is for data that is being made while it is
/// sent: no key or signature is.
fn read<'a>(from: &mut Bytes<'a>) -> Option<Packet<'a>> {
    let first = from.byte()?;
    let (tag, length) = match first >> 6 {
        0b11 => (first & 0x3f, new_length(from)?),
        0b10 => {
            let length = match first & 0x03 {
                0 => usize::from(from.byte()?),
                1 => usize::from(from.short()?),
                2 => from.long()? as usize,
                _ => return None,
            };
            ((first >> 2) & 0x0f, length)
        }
        _ => return None,
    };
    Some(Packet { tag, body: from.take(length)? })
}

/// A length as packets of the newer form and the parts of a signature have it (RFC 9580, sections 4.2.1 and 5.2.3.7); that
/// of a part has two bytes for what would be the beginning of a length in parts.
pub(super) fn new_length(from: &mut Bytes<'_>) -> Option<usize> {
    match from.byte()? {
        short @ 0..=191 => Some(usize::from(short)),
        high @ 192..=223 => Some((usize::from(high) - 192) * 256 + usize::from(from.byte()?) + 192),
        255 => Some(from.long()? as usize),
        224..=254 => None,
    }
}

/// Writes a packet of the newer form.
pub(super) fn write(tag: u8, body: &[u8], to: &mut Vec<u8>) {
    to.push(0xc0 | tag);
    write_length(body.len(), to);
    to.extend_from_slice(body);
}

/// Writes a length that [`new_length`] reads.
pub(super) fn write_length(length: usize, to: &mut Vec<u8>) {
    match length {
        0..=191 => to.push(length as u8),
        192..=8383 => {
            let rest = length - 192;
            to.extend([(rest / 256 + 192) as u8, (rest % 256) as u8]);
        }
        _ => {
            to.push(255);
            to.extend_from_slice(&(length as u32).to_be_bytes());
        }
    }
}

/// Bytes that are read from their beginning on; nothing is given where they are too few.
#[derive(Debug, Clone, Copy)]
pub(super) struct Bytes<'a>(pub(super) &'a [u8]);

impl<'a> Bytes<'a> {
    pub(super) fn take(&mut self, length: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(length)?;
        self.0 = rest;
        Some(taken)
    }

    pub(super) fn byte(&mut self) -> Option<u8> {
        self.take(1).map(|taken| taken[0])
    }

    pub(super) fn short(&mut self) -> Option<u16> {
        Some(u16::from_be_bytes(*self.take(2)?.first_chunk()?))
    }

    pub(super) fn long(&mut self) -> Option<u32> {
        Some(u32::from_be_bytes(*self.take(4)?.first_chunk()?))
    }

    /// A number of any size (RFC 9580, section 3.2), without zeros at its beginning.
    pub(super) fn number(&mut self) -> Option<&'a [u8]> {
        let bits = usize::from(self.short()?);
        let number = self.take(bits.div_ceil(8))?;
        let zeros = number.iter().take_while(|byte| **byte == 0).count();
        Some(&number[zeros..])
    }
}

/// Writes a number that [`Bytes::number`] reads.
pub(super) fn write_number(number: &[u8], to: &mut Vec<u8>) {
    let zeros = number.iter().take_while(|byte| **byte == 0).count();
    let number = &number[zeros..];
    let bits = number.first().map_or(0, |first| number.len() * 8 - first.leading_zeros() as usize);
    to.extend_from_slice(&(bits as u16).to_be_bytes());
    to.extend_from_slice(number);
}
