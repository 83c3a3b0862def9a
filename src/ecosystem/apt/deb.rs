//! What a package's own file says that it is (deb(5)): an `ar` archive in which a compressed tar holds the control data.
//!
//! Only the beginning of the file is read, and of what is unpacked no more than is needed.

use std::io::{self, BufReader, Read};

use super::deb822::Stanza;

/// The most bytes that the control archive may have, packed: 64 MiB. The largest of Debian's has 3.
const LARGEST_MEMBER: u64 = 64 << 20;
/// The most that is unpacked of it in search of the control data: 256 MiB.
const LARGEST_ARCHIVE: u64 = 256 << 20;
/// The most bytes that control data may have.
const LARGEST_CONTROL: u64 = 1 << 20;
/// What unpacking may need, in KiB.
const UNPACKING_MEMORY: u32 = 128 << 10;
const LARGEST_WINDOW: u32 = 27;
/// How many members are looked at: the version, the control archive, and what others put before it.
const MOST_MEMBERS: usize = 8;

const MAGIC: &[u8; 8] = b"!<arch>\n";

/// The control data of a package.
///
/// # Errors
/// If it is no package, or one whose control data cannot be read within these bounds.
pub(super) fn control_of(mut package: impl Read) -> io::Result<Vec<u8>> {
    let mut magic = [0; MAGIC.len()];
    package.read_exact(&mut magic)?;
    if magic != *MAGIC {
        return Err(wrong("it is no package: it does not begin as one"));
    }
    for _ in 0..MOST_MEMBERS {
        let mut header = [0; 60];
        package.read_exact(&mut header)?;
        let text = std::str::from_utf8(&header).map_err(|_| wrong("a member's header is no text"))?;
        let (name, size) = (text.get(..16).unwrap_or_default(), text.get(48..58).unwrap_or_default());
        let size: u64 = size.trim().parse().map_err(|_| wrong("a member's size is no number"))?;
        let name = name.trim_end().trim_end_matches('/');
        if size > LARGEST_MEMBER {
            return Err(wrong("something large stands before its control data"));
        }
        if let Some(packing) = name.strip_prefix("control.tar") {
            return within(unpacked(packing, package.take(size))?.take(LARGEST_ARCHIVE));
        }
        // Members begin at even places.
        io::copy(&mut (&mut package).take(size + size % 2), &mut io::sink())?;
    }
    Err(wrong("it has no control data where packages have it"))
}

fn unpacked<'a>(packing: &str, packed: impl Read + 'a) -> io::Result<Box<dyn Read + 'a>> {
    Ok(match packing {
        "" => Box::new(packed),
        ".gz" => Box::new(flate2::read::MultiGzDecoder::new(packed)),
        ".xz" => {
            Box::new(lzma_rust2::XzReader::new_mem_limit(BufReader::new(packed), true, UNPACKING_MEMORY))
        }
        ".zst" => {
            let mut decoder = zstd::Decoder::new(packed)?;
            decoder.window_log_max(LARGEST_WINDOW)?;
            Box::new(decoder)
        }
        _ => return Err(wrong("its control data is packed in a way that this version does not know")),
    })
}

fn within(archive: impl Read) -> io::Result<Vec<u8>> {
    for entry in tar::Archive::new(archive).entries()? {
        let entry = entry?;
        let path = entry.path_bytes();
        if !matches!(&*path, b"./control" | b"control") {
            continue;
        }
        if !entry.header().entry_type().is_file() || entry.size() > LARGEST_CONTROL {
            return Err(wrong("its control data is no file, or too large"));
        }
        let mut control = Vec::new();
        entry.take(LARGEST_CONTROL).read_to_end(&mut control)?;
        return Ok(control);
    }
    Err(wrong("its control data is missing"))
}

/// Whether a package is the one that a stanza of an index describes.
///
/// # Errors
/// What is different, or why it cannot be read.
pub(super) fn must_agree(package: impl Read, stanza: &Stanza<'_>) -> Result<(), String> {
    let control =
        control_of(package).map_err(|error| format!("its file cannot be read as a package: {error}"))?;
    let own = Stanza::only(&control);
    for field in ["Package", "Version", "Architecture"] {
        if own.text(field).is_none() || own.text(field) != stanza.text(field) {
            let said = String::from_utf8_lossy(own.field(field).unwrap_or_default())
                .chars()
                .take(100)
                .collect::<String>();
            return Err(format!("its file says {field}: {said}"));
        }
    }
    Ok(())
}

fn wrong(why: &'static str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, why)
}

#[cfg(test)]
#[path = "deb_tests.rs"]
pub(super) mod tests;
