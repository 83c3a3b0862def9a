//! Reading a file to its end, with the disk and the reader's own work at the same time.

use std::fs::File;
use std::io::{self, ErrorKind, Read};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};

/// How much is read at once.
const PIECE: usize = 1 << 20;
/// How many pieces there are: one that is looked at, one that is read, one between them.
const PIECES: usize = 3;
/// What reading past the cache wants addresses in memory to be a multiple of; that of the disks that exist.
const ALIGNMENT: usize = 4096;

/// Hands on all bytes of a file, piece by piece; while one is looked at, the next is read.
///
/// # Errors
/// What the system says, and what `each` returns; no further piece is handed on then.
pub fn read_ahead(file: File, each: &mut dyn FnMut(&[u8]) -> io::Result<()>) -> io::Result<()> {
    std::thread::scope(|scope| {
        let (full, pieces) = sync_channel(PIECES);
        let (give_back, spare) = sync_channel(PIECES);
        for _ in 0..PIECES {
            give_back.send(Piece::new()).map_err(|_| ended())?;
        }
        let reader = std::thread::Builder::new().name("read".to_owned());
        let reader = reader.spawn_scoped(scope, move || read(file, &spare, &full))?;
        for piece in pieces {
            each(piece.bytes())?;
            // The reader may be at the end, and wants none back.
            _ = give_back.send(piece);
        }
        reader.join().map_err(|_| ended())?
    })
}

fn read(mut file: File, spare: &Receiver<Piece>, full: &SyncSender<Piece>) -> io::Result<()> {
    // Past the cache nothing can be asked for from amid a block on, so the end is not found by trying.
    let mut left = file.metadata()?.len();
    while left > 0 {
        // Where nobody takes or gives pieces any more, the other side has failed, and has an error of its own.
        let Ok(mut piece) = spare.recv() else { break };
        piece.fill(&mut file, left)?;
        left -= piece.length as u64;
        if full.send(piece).is_err() {
            break;
        }
    }
    Ok(())
}

fn ended() -> io::Error {
    io::Error::other("the thread that reads ended early")
}

/// A part of a file.
struct Piece {
    buffer: Vec<u8>,
    start: usize,
    length: usize,
}

impl Piece {
    fn new() -> Piece {
        let buffer = vec![0; PIECE + ALIGNMENT];
        let start = buffer.as_ptr().align_offset(ALIGNMENT).min(ALIGNMENT);
        Piece { buffer, start, length: 0 }
    }

    fn bytes(&self) -> &[u8] {
        self.buffer.get(self.start..self.start + self.length).unwrap_or_default()
    }

    /// Reads what comes next of a file that has so many bytes left. A file that grew meanwhile ends where it did.
    fn fill(&mut self, file: &mut File, left: u64) -> io::Result<()> {
        self.length = 0;
        let expected = usize::try_from(left).map_or(PIECE, |left| left.min(PIECE));
        while self.length < expected {
            let room = self.buffer.get_mut(self.start + self.length..self.start + PIECE).unwrap_or_default();
            match file.read(room) {
                Ok(0) => return Err(ErrorKind::UnexpectedEof.into()),
                Ok(read) => self.length = expected.min(self.length + read),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fsx;

    /// Bytes that differ from piece to piece.
    fn bytes(length: usize) -> Vec<u8> {
        (0..length).map(|at| (at / 7 + at / PIECE) as u8).collect()
    }

    #[test]
    fn every_byte_is_handed_on_in_order_from_the_medium_too() {
        let directory = fsx::test_directory();
        for length in [0, 1, ALIGNMENT, PIECE - 1, PIECE, PIECE + 1, 5 * PIECE + 513] {
            let path = directory.path().join(length.to_string());
            let bytes = bytes(length);
            let mut file = fsx::AtomicFile::create(&path).unwrap();
            std::io::Write::write_all(&mut file, &bytes).unwrap();
            let medium = file.read_back().unwrap();
            file.commit().unwrap();
            for file in [medium, File::open(&path).unwrap()] {
                let mut met = Vec::new();
                read_ahead(file, &mut |piece| {
                    met.extend_from_slice(piece);
                    Ok(())
                })
                .unwrap();
                assert!(met == bytes, "{length}");
            }
        }
    }

    #[test]
    fn who_has_seen_enough_is_handed_nothing_more() {
        let directory = fsx::test_directory();
        let path = directory.path().join("long");
        fsx::replace_file(&path, &bytes(8 * PIECE)).unwrap();
        let mut pieces = 0;
        let failed = read_ahead(File::open(&path).unwrap(), &mut |_| {
            pieces += 1;
            if pieces == 2 { Err(io::Error::other("enough")) } else { Ok(()) }
        });
        assert_eq!((failed.unwrap_err().to_string().as_str(), pieces), ("enough", 2));
    }
}
