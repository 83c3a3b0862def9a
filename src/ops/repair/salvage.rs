//! Copying from media that cannot be read everywhere: what cannot be read is zeros in the copy, to be mended later.

use std::fs::File;
use std::io::{self, Read, Write};
use std::os::unix::fs::FileExt;
use std::path::Path;

use bundle_format::{BlobKey, FormatError, Verifier, VolumeReader};

use crate::cancel::{Cancel, interruption};
use crate::events::{Events, Happening};
use crate::fsx;

/// How much is read at once, and how much once that has failed.
const BLOCK: usize = 256 << 10;
const SECTOR: usize = 4 << 10;

/// A file that is copied while it is read.
struct Copying<'a> {
    medium: File,
    /// How many bytes of it are copied.
    size: u64,
    place: u64,
    copy: &'a mut fsx::AtomicFile,
    listener: Listener<'a>,
}

/// Who is told how far reading is, and who may stop it.
#[derive(Clone, Copy)]
pub(super) struct Listener<'a> {
    pub(super) events: &'a dyn Events,
    pub(super) cancel: &'a Cancel,
}

impl Listener<'_> {
    /// So many more bytes are done.
    ///
    /// # Errors
    /// If the job is to stop.
    pub(super) fn step(&self, bytes: u64) -> io::Result<()> {
        self.events.emit(Happening::ItemProgress { bytes });
        self.cancel.check_io()
    }
}

/// A volume of a bundle, by which one is told from others.
#[derive(Debug, Clone, Copy)]
pub(super) struct Expected {
    /// The bundle's packing list.
    pub(super) packing: BlobKey,
    /// The volume's number.
    pub(super) number: u64,
}

/// Copies up to `size` bytes of a file under another name.
///
/// # Errors
/// If the copy cannot be written, or the job is stopped. That the medium cannot be read is none.
pub(super) fn copy(from: &Path, to: &Path, size: u64, listener: Listener<'_>) -> io::Result<()> {
    let mut copy = begin(to)?;
    Copying::begin(from, size, &mut copy, listener)?.drain()?;
    copy.commit()
}

/// Copies a volume under another name; says whether it is sound. One that is not replaces no earlier copy.
///
/// # Errors
/// As [`copy`].
pub(super) fn copy_volume(
    from: &Path,
    to: &Path,
    (expected, size): (Expected, u64),
    verifier: &dyn Verifier,
    listener: Listener<'_>,
) -> io::Result<bool> {
    let mut copy = begin(to)?;
    let mut copying = Copying::begin(from, size, &mut copy, listener)?;
    let is_sound = is_sound(&mut copying, expected, verifier)?;
    copying.drain()?;
    if is_sound || !to.exists() {
        copy.commit()?;
    }
    Ok(is_sound)
}

/// Begins a copy. The directory is locked, so what another one left of such a file is nobody's.
fn begin(to: &Path) -> io::Result<fsx::AtomicFile> {
    fsx::AtomicFile::remove_leftovers(to)?;
    fsx::AtomicFile::create(to)
}

/// Reads a volume that is there; says whether it is the expected one, and sound to its end.
///
/// # Errors
/// If it cannot be opened, or the job is stopped.
pub(super) fn is_sound_at(
    path: &Path,
    expected: Expected,
    verifier: &dyn Verifier,
    listener: Listener<'_>,
) -> io::Result<bool> {
    let mut file = Heard { file: fsx::open_regular(path)?, listener };
    match is_sound(&mut file, expected, verifier) {
        // What cannot be read is not sound.
        Err(error) if interruption(&error).is_none() => Ok(false),
        done => done,
    }
}

/// A file that is read while somebody listens.
struct Heard<'a> {
    file: File,
    listener: Listener<'a>,
}

impl Read for Heard<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.file.read(buffer)?;
        self.listener.step(read as u64)?;
        Ok(read)
    }
}

fn is_sound(source: &mut dyn Read, expected: Expected, verifier: &dyn Verifier) -> io::Result<bool> {
    let read = || {
        let mut volume = VolumeReader::open(source, verifier)?;
        let met = (volume.head().packing_key(), volume.volume_number());
        while volume.next_blob()?.is_some() {}
        volume.finish().map(|_| met)
    };
    match read() {
        Ok(met) => Ok(met == (expected.packing, expected.number)),
        // Not the medium's: that never fails while it is copied.
        Err(FormatError::Read { source, .. }) => Err(source),
        Err(_) => Ok(false),
    }
}

impl<'a> Copying<'a> {
    fn begin(
        from: &Path,
        size: u64,
        copy: &'a mut fsx::AtomicFile,
        listener: Listener<'a>,
    ) -> io::Result<Copying<'a>> {
        let medium = fsx::open_regular(from)?;
        let size = medium.metadata()?.len().min(size);
        Ok(Copying { medium, size, place: 0, copy, listener })
    }

    /// Copies what nobody wanted to read.
    fn drain(mut self) -> io::Result<()> {
        let mut buffer = vec![0; BLOCK];
        while self.read(&mut buffer)? > 0 {}
        Ok(())
    }
}

impl Read for Copying<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.listener.cancel.check_io()?;
        let left = usize::try_from(self.size - self.place).unwrap_or(usize::MAX);
        let length = left.min(buffer.len()).min(BLOCK);
        let part = buffer.get_mut(..length).unwrap_or_default();
        if self.medium.read_exact_at(part, self.place).is_err() {
            read_what_can_be(&self.medium, self.place, part, self.listener.cancel)?;
        }
        self.copy.write_all(part)?;
        self.place += length as u64;
        self.listener.step(length as u64)?;
        Ok(length)
    }
}

/// Reads sector by sector; what cannot be read is zeros.
fn read_what_can_be(medium: &File, place: u64, part: &mut [u8], cancel: &Cancel) -> io::Result<()> {
    for (sector, number) in part.chunks_mut(SECTOR).zip(0_u64..) {
        // A drive can try for seconds.
        cancel.check_io()?;
        if medium.read_exact_at(sector, place + number * SECTOR as u64).is_err() {
            sector.fill(0);
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::events::Silent;

    #[test]
    fn what_cannot_be_read_is_zeros_and_the_rest_is_copied() {
        let home = fsx::test_directory();
        let path = home.path().join("medium");
        fsx::replace_file(&path, &[7; 3 * SECTOR]).unwrap();
        let medium = fsx::open_regular(&path).unwrap();
        // The file is as short as a medium that cannot be read from there on.
        let mut part = vec![1; 5 * SECTOR];
        read_what_can_be(&medium, SECTOR as u64, &mut part, &Cancel::default()).unwrap();
        assert!(part[..2 * SECTOR].iter().all(|byte| *byte == 7));
        assert!(part[2 * SECTOR..].iter().all(|byte| *byte == 0));
        let copy = home.path().join("copy");
        let listener = Listener { events: &Silent, cancel: &Cancel::default() };
        super::copy(&path, &copy, u64::MAX, listener).unwrap();
        assert_eq!(std::fs::read(copy).unwrap(), [7; 3 * SECTOR]);
    }
}
