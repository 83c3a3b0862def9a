//! Copying from media that cannot be read everywhere: what cannot be read is zeros in the copy, to be mended later.

use std::fs::File;
use std::io::{self, Read, Write};
use std::os::unix::fs::FileExt;
use std::path::Path;

use bundle_format::{FormatError, Verifier, VolumeReader};

use crate::cancel::Cancel;
use crate::events::{Events, Happening};
use crate::fsx;

/// How much is read at once, and how much once that has failed.
const BLOCK: usize = 256 << 10;
const SECTOR: usize = 4 << 10;

/// A file that is copied while it is read.
struct Copying<'a> {
    medium: &'a File,
    size: u64,
    place: u64,
    copy: &'a mut fsx::AtomicFile,
    events: &'a dyn Events,
    cancel: &'a Cancel,
}

/// Copies a file under another name.
///
/// # Errors
/// If the copy cannot be written, or the job is stopped. That the medium cannot be read is none.
pub(super) fn copy(from: &Path, to: &Path, events: &dyn Events, cancel: &Cancel) -> io::Result<()> {
    let medium = fsx::open_regular(from)?;
    let mut copy = fsx::AtomicFile::create(to)?;
    Copying::begin(&medium, &mut copy, events, cancel)?.drain()?;
    copy.commit()
}

/// Copies a volume under another name; says whether it is sound. One that is not replaces no earlier copy.
///
/// # Errors
/// As [`copy`].
pub(super) fn copy_volume(
    from: &Path,
    to: &Path,
    verifier: &dyn Verifier,
    events: &dyn Events,
    cancel: &Cancel,
) -> io::Result<bool> {
    let medium = fsx::open_regular(from)?;
    let mut copy = fsx::AtomicFile::create(to)?;
    let mut copying = Copying::begin(&medium, &mut copy, events, cancel)?;
    let is_sound = is_sound(&mut copying, verifier)?;
    copying.drain()?;
    if is_sound || !to.exists() {
        copy.commit()?;
    }
    Ok(is_sound)
}

/// Reads a volume; says whether it is sound to its end.
///
/// # Errors
/// If it was not read for another reason than what it holds.
pub(super) fn is_sound(source: &mut dyn Read, verifier: &dyn Verifier) -> io::Result<bool> {
    let read = || {
        let mut volume = VolumeReader::open(source, verifier)?;
        while volume.next_blob()?.is_some() {}
        volume.finish()
    };
    match read() {
        Ok(_) => Ok(true),
        // Not the medium's: that never fails.
        Err(FormatError::Read { source, .. }) => Err(source),
        Err(_) => Ok(false),
    }
}

impl<'a> Copying<'a> {
    fn begin(
        medium: &'a File,
        copy: &'a mut fsx::AtomicFile,
        events: &'a dyn Events,
        cancel: &'a Cancel,
    ) -> io::Result<Copying<'a>> {
        Ok(Copying { size: medium.metadata()?.len(), medium, place: 0, copy, events, cancel })
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
        self.cancel.check_io()?;
        let left = usize::try_from(self.size - self.place).unwrap_or(usize::MAX);
        let length = left.min(buffer.len()).min(BLOCK);
        let part = buffer.get_mut(..length).unwrap_or_default();
        if self.medium.read_exact_at(part, self.place).is_err() {
            read_what_can_be(self.medium, self.place, part, self.cancel)?;
        }
        self.copy.write_all(part)?;
        self.place += length as u64;
        self.events.emit(Happening::ItemProgress { bytes: length as u64 });
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
        super::copy(&path, &copy, &Silent, &Cancel::default()).unwrap();
        assert_eq!(std::fs::read(copy).unwrap(), [7; 3 * SECTOR]);
    }
}
