//! The tar of a volume: ustar headers that are determined by name and size alone.
//!
//! A reader makes the header anew and compares all of its 512 bytes, so that no byte of it can carry anything,
//! and no two programs can read it differently.

use crate::limits::MAX_BLOB;
use crate::names::{LAYOUT_BYTES, contents_size};

/// Everything in a tar is a multiple of this many bytes.
pub(crate) const BLOCK: u64 = 512;

/// The zero bytes at the end of a volume.
pub(crate) const END: u64 = 1024;

/// A header.
pub(crate) type Header = [u8; 512];

/// How many zero bytes follow `size` bytes of a member.
pub(crate) fn padding(size: u64) -> u64 {
    size.wrapping_neg() % BLOCK
}

/// What a member of `size` bytes takes: header, bytes, padding.
pub(crate) fn member_size(size: u64) -> u64 {
    BLOCK + size + padding(size)
}

/// What a volume of that many blobs takes besides them, from `aftk/contents` on; `index` is the size of its `index.json` if
/// it is an OCI archive as well.
pub(crate) fn around_blobs(blobs: u64, index: Option<u64>) -> u64 {
    let layout = index.map_or(0, |index| member_size(LAYOUT_BYTES.len() as u64) + member_size(index));
    member_size(contents_size(blobs, index.is_some())) + layout + END
}

/// The fields of a header: name, offset, length. For messages, too.
const FIELDS: [(&str, usize, usize); 17] = [
    ("name", 0, 100),
    ("mode", 100, 8),
    ("owner", 108, 8),
    ("group", 116, 8),
    ("size", 124, 12),
    ("time", 136, 12),
    ("checksum", 148, 8),
    ("type", 156, 1),
    ("link", 157, 100),
    ("magic", 257, 6),
    ("version", 263, 2),
    ("owner name", 265, 32),
    ("group name", 297, 32),
    ("device", 329, 8),
    ("device", 337, 8),
    ("prefix", 345, 155),
    ("rest", 500, 12),
];

/// The header of a plain file: mode 0644, owner, group and time 0. `None` if the name is longer than 100 bytes
/// or the size more than ustar can say.
pub(crate) fn header(name: &str, size: u64) -> Option<Header> {
    if name.len() > 100 || size > MAX_BLOB {
        return None;
    }
    let mut header = [0; 512];
    let mut put = |offset: usize, bytes: &[u8]| {
        for (to, from) in header.iter_mut().skip(offset).zip(bytes) {
            *to = *from;
        }
    };
    put(0, name.as_bytes());
    put(100, b"0000644\x000000000\x000000000\0");
    put(124, format!("{size:011o}\0").as_bytes());
    put(136, b"00000000000\0");
    put(148, b"        0");
    put(257, b"ustar\x0000");
    put(329, b"0000000\x000000000\0");
    let sum: u32 = header.iter().map(|byte| u32::from(*byte)).sum();
    for (to, from) in header.iter_mut().skip(148).zip(format!("{sum:06o}\0 ").bytes()) {
        *to = from;
    }
    Some(header)
}

/// What a reader met where a header must stand.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Met {
    /// A plain file of that name and size, its header as it must be.
    File { name: String, size: u64 },
    /// 512 zero bytes: the beginning of the end.
    End,
    /// Something else than a plain file.
    OtherType(String),
    /// A header that is not the determined one; says where it differs.
    Broken(String),
}

/// Reads a header.
pub(crate) fn parse(block: &Header) -> Met {
    if block.iter().all(|byte| *byte == 0) {
        return Met::End;
    }
    let field = |name: &str| {
        let place = FIELDS.iter().find(|(field, ..)| *field == name);
        place.and_then(|(_, offset, length)| block.get(*offset..offset + length)).unwrap_or_default()
    };
    let kind = match field("type") {
        b"0" => None,
        // Without the magic it is no header at all, and said to be so below.
        b"\0" if field("magic") == b"ustar\0" => Some("a file of the old kind"),
        b"\0" => None,
        b"1" | b"2" => Some("a link"),
        b"5" => Some("a directory"),
        b"x" | b"g" => Some("a pax record"),
        b"L" | b"K" | b"S" | b"M" | b"V" | b"D" | b"N" => Some("a GNU record"),
        _ => Some("a member that is no plain file"),
    };
    if let Some(kind) = kind {
        return Met::OtherType(format!("{kind}; a volume holds plain files alone"));
    }
    let name: Vec<u8> = field("name").iter().copied().take_while(|byte| *byte != 0).collect();
    let Ok(name) = String::from_utf8(name) else {
        return Met::Broken("the name is not text".to_owned());
    };
    let Some(size) = parse_size(field("size")) else {
        return Met::Broken("the size is not 11 octal digits and a zero byte".to_owned());
    };
    let Some(expected) = header(&name, size) else {
        return Met::Broken("the name is too long".to_owned());
    };
    match block.iter().zip(&expected).position(|(met, expected)| met != expected) {
        None => Met::File { name, size },
        Some(at) => {
            let field =
                FIELDS.iter().rev().find(|(_, offset, _)| *offset <= at).map_or("", |(name, ..)| name);
            Met::Broken(format!(
                "the header's {field} is not the one that belongs to {name:?} of {size} bytes"
            ))
        }
    }
}

fn parse_size(field: &[u8]) -> Option<u64> {
    let (digits, end) = field.split_at_checked(11)?;
    if end != b"\0" {
        return None;
    }
    digits.iter().try_fold(0, |sum: u64, digit| match digit {
        b'0'..=b'7' => Some(sum << 3 | u64::from(digit - b'0')),
        _ => None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_header_is_read_back_and_no_other_byte_is_accepted() {
        let good = header("aftk/contents", 144).unwrap();
        assert_eq!(parse(&good), Met::File { name: "aftk/contents".to_owned(), size: 144 });
        for at in 0..512 {
            for bit in 0..8 {
                let mut bad = good;
                bad[at] ^= 1 << bit;
                assert!(!matches!(parse(&bad), Met::File { .. }), "bit {bit} of byte {at}");
            }
        }
        assert_eq!(parse(&[0; 512]), Met::End);
        assert!(header(&"a".repeat(101), 0).is_none());
        assert!(header("a", MAX_BLOB).is_some());
        assert!(header("a", MAX_BLOB + 1).is_none());
    }

    #[test]
    fn sizes_add_up() {
        assert_eq!((padding(0), padding(1), padding(511), padding(512)), (0, 511, 1, 0));
        assert_eq!(member_size(513), 512 + 1024);
        assert_eq!(around_blobs(0, None), 512 + 1024);
        assert_eq!(around_blobs(1, Some(513)), 1024 + 1024 + 1536 + 1024);
    }
}
