//! Which glibc the programs in a wheel need: they name it by the versions of its symbols, `GLIBC_2.34`.
//!
//! What was built on one system does not load on an older one, and its wheel's tag does not say so.

use std::io::{self, Read, Seek};

use flate2::read::DeflateDecoder;
use rawzip::{CompressionMethod, RECOMMENDED_BUFFER_SIZE, ZipArchive};

/// How programs and libraries begin.
const ELF: &[u8] = b"\x7fELF";
/// How the versions of its symbols are called.
const SYMBOL: &[u8] = b"GLIBC_2.";
/// The most bytes that are unpacked of a wheel.
const MOST_UNPACKED: u64 = 16 << 30;

/// The second number of the newest glibc (2.x) that something in a wheel needs; `None`, if nothing does. Blocks.
///
/// # Errors
/// If the wheel is damaged, or unpacks to more than 16 GiB.
pub(super) fn needed(wheel: impl Read + Seek) -> io::Result<Option<u64>> {
    let odd = |error: rawzip::Error| io::Error::new(io::ErrorKind::InvalidData, error.to_string());
    let mut buffer = vec![0; RECOMMENDED_BUFFER_SIZE];
    let archive = ZipArchive::from_seekable(wheel, &mut buffer).map_err(odd)?;
    let mut entries = archive.entries(&mut buffer);
    let mut all = Vec::new();
    while let Some(entry) = entries.next_entry().map_err(odd)? {
        all.push((entry.wayfinder(), entry.compression_method()));
    }
    let (mut newest, mut left) = (None, MOST_UNPACKED);
    for (wayfinder, method) in all {
        let entry = archive.get_entry(wayfinder).map_err(odd)?;
        let found = match method {
            CompressionMethod::STORE => in_program(entry.verifying_reader(entry.reader()), &mut left)?,
            CompressionMethod::DEFLATE => {
                in_program(entry.verifying_reader(DeflateDecoder::new(entry.reader())), &mut left)?
            }
            _ => return Err(io::Error::other("it is compressed in a way that installers do not know")),
        };
        newest = newest.max(found);
    }
    Ok(newest)
}

/// The same of one file, if it is a program or a library.
fn in_program(mut file: impl Read, left: &mut u64) -> io::Result<Option<u64>> {
    let mut start = Vec::new();
    file.by_ref().take(ELF.len() as u64).read_to_end(&mut start)?;
    if start != ELF {
        return Ok(None);
    }
    // What may be the start of a symbol stays in the window until the next bytes are there.
    let (mut newest, mut window, mut buffer) = (None, Vec::new(), vec![0; 64 << 10]);
    loop {
        let length = file.read(&mut buffer)?;
        *left = left
            .checked_sub(length as u64)
            .ok_or_else(|| io::Error::other("it unpacks to more than 16 GiB"))?;
        window.extend_from_slice(buffer.get(..length).unwrap_or_default());
        newest = newest.max(in_bytes(&window));
        if length == 0 {
            return Ok(newest);
        }
        window.drain(..window.len().saturating_sub(SYMBOL.len() + 4));
    }
}

fn in_bytes(bytes: &[u8]) -> Option<u64> {
    let after = memchr::memmem::find_iter(bytes, SYMBOL).filter_map(|at| bytes.get(at + SYMBOL.len()..));
    let number = |rest: &[u8]| {
        let digits = rest.iter().take(3).take_while(|byte| byte.is_ascii_digit());
        digits
            .fold(None, |number: Option<u64>, digit| Some(number.unwrap_or(0) * 10 + u64::from(digit - b'0')))
    };
    after.filter_map(number).max()
}

#[cfg(test)]
mod tests {
    use std::io::Cursor;

    use super::*;
    use crate::ecosystem::pypi::wheel::made::archive;

    #[test]
    fn the_newest_symbol_counts_wherever_it_stands() {
        let filled = |before: usize, symbols: &str| [ELF, &vec![0; before], symbols.as_bytes()].concat();
        for (file, newest) in [
            (filled(0, "GLIBC_2.2.5\0GLIBC_2.34\0GLIBC_2.17\0"), Some(34)),
            // Across what is read at once.
            (filled((64 << 10) - 5, "GLIBC_2.38\0"), Some(38)),
            (filled((64 << 10) - 9, "GLIBC_2.38\0"), Some(38)),
            (filled(9, "no symbol"), None),
            (filled(9, "GLIBC_2."), None),
            (b"GLIBC_2.99".to_vec(), None),
        ] {
            let wheel = archive(&[("a/__init__.py", b"pass"), ("a/a.so", &file)]);
            assert_eq!(needed(Cursor::new(wheel)).unwrap(), newest);
        }
        assert!(needed(Cursor::new(b"no wheel")).is_err());
    }
}
