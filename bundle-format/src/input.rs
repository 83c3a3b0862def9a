//! The bytes of a volume as they come, from a source that is read once and in order.

use std::io::{self, Read};

use crate::error::{Damage, FormatError, Place, Unsupported};
use crate::names::{RECOVERY, RESERVED};
use crate::tar::{self, Met};

/// How much is read at once.
const BUFFER: usize = 256 << 10;

/// A source with one buffer, from which blobs are hashed and handed on without a further copy.
pub(crate) struct Input<R> {
    source: R,
    buffer: Box<[u8]>,
    start: usize,
    end: usize,
    offset: u64,
    /// The member that is being read, for messages.
    member: String,
}

impl<R: Read> Input<R> {
    pub(crate) fn new(source: R) -> Input<R> {
        let buffer = vec![0; BUFFER].into_boxed_slice();
        Input { source, buffer, start: 0, end: 0, offset: 0, member: "the volume".to_owned() }
    }

    /// Bytes from the start of the volume to what is read next.
    pub(crate) fn offset(&self) -> u64 {
        self.offset
    }

    /// Where reading stands.
    pub(crate) fn place(&self) -> Place {
        Place::new(self.member.clone(), self.offset)
    }

    pub(crate) fn damaged(&self, damage: Damage, met: impl Into<String>) -> FormatError {
        FormatError::damaged(damage, self.place(), met)
    }

    /// The next bytes, at most `limit` of them; none only at the end of the source.
    pub(crate) fn chunk(&mut self, limit: u64) -> Result<&[u8], FormatError> {
        while self.start == self.end {
            match self.source.read(&mut self.buffer) {
                Ok(0) => return Ok(&[]),
                // A source that claims more than there is room for is broken; it gets no further than this.
                Ok(read) => (self.start, self.end) = (0, read.min(self.buffer.len())),
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                Err(source) => return Err(FormatError::Read { place: self.place(), source }),
            }
        }
        let available = self.buffer.get(self.start..self.end).unwrap_or_default();
        let length = usize::try_from(limit).unwrap_or(usize::MAX).min(available.len());
        Ok(available.get(..length).unwrap_or_default())
    }

    /// Marks bytes of the last chunk as read.
    pub(crate) fn advance(&mut self, length: usize) {
        self.start = (self.start + length).min(self.end);
        self.offset += length as u64;
    }

    /// Fills `target` completely.
    pub(crate) fn fill(&mut self, target: &mut [u8]) -> Result<(), FormatError> {
        let mut rest = target;
        while !rest.is_empty() {
            let chunk = self.chunk(rest.len() as u64)?;
            let length = chunk.len();
            let Some((now, later)) = rest.split_at_mut_checked(length).filter(|_| length > 0) else {
                return Err(self.truncated());
            };
            now.copy_from_slice(chunk);
            self.advance(length);
            rest = later;
        }
        Ok(())
    }

    /// Hands on the next `size` bytes in chunks.
    pub(crate) fn each_chunk(
        &mut self,
        size: u64,
        mut each: impl FnMut(&[u8]) -> Result<(), FormatError>,
    ) -> Result<(), FormatError> {
        let mut left = size;
        while left > 0 {
            let chunk = self.chunk(left)?;
            let length = chunk.len();
            if length == 0 {
                return Err(self.truncated());
            }
            each(chunk)?;
            self.advance(length);
            left -= length as u64;
        }
        Ok(())
    }

    pub(crate) fn truncated(&self) -> FormatError {
        self.damaged(Damage::Truncated, "the volume ends here, and must not yet")
    }

    /// Reads what must be the header of the member `expected`, of at most `limit` bytes; returns its size.
    pub(crate) fn member(&mut self, expected: &str, limit: u64) -> Result<u64, FormatError> {
        self.member.clear();
        self.member.push_str(expected);
        let place = self.place();
        let (damage, met) = match self.header()? {
            Met::File { name, size } if name == expected => {
                if size <= limit {
                    return Ok(size);
                }
                (Damage::TooLarge, format!("{size} bytes, the limit is {limit}"))
            }
            Met::File { name, .. } => return Err(unexpected(&name, expected, place)),
            Met::End => (Damage::MissingMember, format!("the archive ends where {expected} must stand")),
            Met::OtherType(met) => (Damage::MemberType, met),
            Met::Broken(met) => (Damage::Header, met),
        };
        Err(FormatError::damaged(damage, place, met))
    }

    /// Reads the 512 bytes of a header.
    pub(crate) fn header(&mut self) -> Result<Met, FormatError> {
        let mut block = [0; 512];
        self.fill(&mut block)?;
        Ok(tar::parse(&block))
    }

    /// Reads the zero bytes after a member of `size` bytes.
    pub(crate) fn padding(&mut self, size: u64) -> Result<(), FormatError> {
        let mut block = [0; 512];
        let length = usize::try_from(tar::padding(size)).unwrap_or_default();
        let padding = block.get_mut(..length).unwrap_or_default();
        let place = self.place();
        self.fill(padding)?;
        if padding.iter().all(|byte| *byte == 0) {
            return Ok(());
        }
        Err(FormatError::damaged(Damage::Padding, place, "the bytes after the member are not all zero"))
    }

    /// Reads a whole document of at most `limit` bytes.
    pub(crate) fn document(&mut self, name: &str, limit: u64) -> Result<(Vec<u8>, Place), FormatError> {
        let size = self.member(name, limit)?;
        let place = self.place();
        let mut bytes = vec![0; usize::try_from(size).unwrap_or_default()];
        self.fill(&mut bytes)?;
        self.padding(size)?;
        Ok((bytes, place))
    }

    /// Says that the rest is the end of the volume, for messages.
    pub(crate) fn enter_end(&mut self) {
        self.member = "the end of the volume".to_owned();
    }
}

/// The error for a plain file that must not stand here; reserved names are refused as such.
pub(crate) fn unexpected(name: &str, expected: &str, place: Place) -> FormatError {
    if name == RECOVERY {
        let met = "it is a file of recovery, from which volumes are mended, and no volume";
        return FormatError::damaged(Damage::Recovery, place, met);
    }
    match RESERVED.iter().find(|(reserved, _)| name.starts_with(reserved)) {
        Some((_, meaning)) => {
            let met = format!("{name:?} is reserved for {meaning}, which this version does not read");
            FormatError::unsupported(Unsupported::Reserved, place, met)
        }
        None => {
            let met = format!("{name:?} stands where {expected} must stand");
            FormatError::damaged(Damage::UnexpectedMember, place, met)
        }
    }
}
