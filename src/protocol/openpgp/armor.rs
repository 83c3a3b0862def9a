//! Armor (RFC 9580, section 6): packets as text.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::{Fault, malformed};

/// What stands in an armored block, as its frame says it.
pub(super) const PUBLIC_KEY: &str = "PGP PUBLIC KEY BLOCK";
/// As [`PUBLIC_KEY`].
pub(super) const PRIVATE_KEY: &str = "PGP PRIVATE KEY BLOCK";
/// As [`PUBLIC_KEY`].
pub(super) const SIGNATURE: &str = "PGP SIGNATURE";

/// How many letters of it stand on a line.
const LINE: usize = 64;

/// The line a block begins with.
pub(super) fn beginning(of: &str) -> String {
    format!("-----BEGIN {of}-----")
}

/// The line a block ends with.
pub(super) fn end(of: &str) -> String {
    format!("-----END {of}-----")
}

/// The blocks of one kind in a text, each from its first line to its last.
pub(super) fn blocks<'a>(text: &'a [u8], of: &str) -> impl Iterator<Item = &'a [u8]> {
    let (begin, end) = (beginning(of), end(of));
    let mut rest = text;
    std::iter::from_fn(move || {
        let from = memchr::memmem::find(rest, begin.as_bytes())?;
        let to = from + memchr::memmem::find(&rest[from..], end.as_bytes())? + end.len();
        let block = &rest[from..to];
        rest = &rest[to..];
        Some(block)
    })
}

/// The packets of a text that has a block of this kind first.
///
/// # Errors
/// If there is none, or it is not of the form that it should have.
pub(super) fn read(text: &[u8], of: &str) -> Result<Vec<u8>, Fault> {
    let block = blocks(text, of).next().filter(|block| text.trim_ascii_start().starts_with(block));
    let block = block.ok_or_else(|| malformed(format!("this is no {of}")))?;
    let inner = &block[beginning(of).len()..block.len() - end(of).len()];
    let mut letters = Vec::with_capacity(inner.len());
    // Headers come first and end with an empty line. They say nothing that counts.
    let mut is_past_headers = false;
    for line in inner.split(|byte| *byte == b'\n').skip(1).map(<[u8]>::trim_ascii) {
        match (is_past_headers, line) {
            (false, b"") => is_past_headers = true,
            (false, header) if memchr::memmem::find(header, b": ").is_some() => {}
            (false, _) => break,
            // The checksum (section 6.1), which does not protect from anybody.
            (true, [b'=', _, _, _, _]) => break,
            (true, line) => letters.extend_from_slice(line),
        }
    }
    match STANDARD.decode(letters) {
        Ok(packets) if !packets.is_empty() => Ok(packets),
        _ => Err(malformed("its armor cannot be read")),
    }
}

/// Packets as a block of this kind, with the checksum that older programs want.
pub(super) fn write(packets: &[u8], of: &str) -> String {
    let letters = STANDARD.encode(packets);
    let mut text = beginning(of);
    text.push_str("\n\n");
    let mut rest = letters.as_str();
    while !rest.is_empty() {
        let (line, after) = rest.split_at(rest.len().min(LINE));
        text.push_str(line);
        text.push('\n');
        rest = after;
    }
    let [_, checksum @ ..] = checksum(packets).to_be_bytes();
    text.push('=');
    text.push_str(&STANDARD.encode(checksum));
    text.push('\n');
    text.push_str(&end(of));
    text.push('\n');
    text
}

/// CRC-24 (RFC 9580, section 6.1.1).
fn checksum(bytes: &[u8]) -> u32 {
    let mut sum = 0x00b7_04ce;
    for byte in bytes {
        sum ^= u32::from(*byte) << 16;
        for _ in 0..8 {
            sum <<= 1;
            if sum & 0x0100_0000 != 0 {
                sum ^= 0x0186_4cfb;
            }
        }
    }
    sum & 0x00ff_ffff
}
