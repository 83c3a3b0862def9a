//! What is sent after the headers: nothing, a document, or a blob straight from its file.
//!
//! A blob is read in pieces of 32 KiB, and the next piece is read only when the connection has room for it: a client
//! that stalls holds one piece. Pieces that the page cache holds are read right here, with `RWF_NOWAIT`; only what
//! would wait for the disk goes to a thread that may block. There is no sendfile (it waits for the disk on the
//! runtime's thread) and no mmap (a file that shrinks would kill the process).

use std::cell::RefCell;
use std::future::Future;
use std::io;
use std::os::unix::fs::FileExt as _;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use hyper::body::{Frame, SizeHint};

use super::completion::Completion;
use crate::blocking::blocking;
use crate::problem::{Kind, Problem};
use crate::store::BlobFile;

/// The size of a piece in bytes.
pub(super) const PIECE: usize = 32 * 1024;

/// The body of a response. When it is dropped, sent or not, its request is over.
#[derive(Debug)]
pub(super) struct Body {
    content: Content,
    completion: Completion,
}

/// What a body consists of.
#[derive(Debug)]
pub(super) enum Content {
    /// Nothing, or nothing any more.
    Empty,
    /// Bytes in memory.
    Whole(Bytes),
    /// A blob, or a part of one.
    Blob(BlobStream),
}

impl Body {
    pub(super) fn new(content: Content, completion: Completion) -> Body {
        Body { content, completion }
    }
}

impl hyper::body::Body for Body {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, io::Error>>> {
        let bytes = match std::mem::replace(&mut self.content, Content::Empty) {
            Content::Empty => return Poll::Ready(None),
            Content::Whole(bytes) => bytes,
            Content::Blob(mut stream) => {
                let piece = stream.poll_piece(context);
                if stream.left > 0 {
                    self.content = Content::Blob(stream);
                }
                match piece {
                    Poll::Pending => return Poll::Pending,
                    Poll::Ready(Ok(bytes)) => bytes,
                    Poll::Ready(Err(error)) => {
                        self.content = Content::Empty;
                        self.completion.failed(&error);
                        return Poll::Ready(Some(Err(error)));
                    }
                }
            }
        };
        self.completion.sent(bytes.len() as u64);
        Poll::Ready(Some(Ok(Frame::data(bytes))))
    }

    fn is_end_stream(&self) -> bool {
        matches!(self.content, Content::Empty)
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(match &self.content {
            Content::Empty => 0,
            Content::Whole(bytes) => bytes.len() as u64,
            Content::Blob(stream) => stream.left,
        })
    }
}

type Waiting = Pin<Box<dyn Future<Output = Result<io::Result<Bytes>, Problem>> + Send>>;

/// A part of a blob that is still to be sent.
pub(super) struct BlobStream {
    file: Arc<std::fs::File>,
    offset: u64,
    left: u64,
    /// Whether this file system can say that it would have to wait.
    can_tell: bool,
    waiting: Option<Waiting>,
}

impl std::fmt::Debug for BlobStream {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "BlobStream({} bytes from {})", self.left, self.offset)
    }
}

/// The bytes `start..end` of an open blob. What fits into one piece is read at once, so call this where blocking is
/// allowed.
///
/// # Errors
/// `store.short-blob` if the file does not hold what it should.
pub(super) fn part(blob: BlobFile, start: u64, end: u64) -> Result<Content, Problem> {
    let left = end.saturating_sub(start);
    if left > PIECE as u64 {
        let file = Arc::new(blob.file);
        return Ok(Content::Blob(BlobStream { file, offset: start, left, can_tell: true, waiting: None }));
    }
    let length = usize::try_from(left).unwrap_or(PIECE);
    read_waiting(&blob.file, start, length).map(Content::Whole).map_err(|error| {
        Problem::new(Kind::Failed, "store.short-blob", "a blob could not be read").caused_by(&error)
    })
}

impl BlobStream {
    fn poll_piece(&mut self, context: &mut Context<'_>) -> Poll<io::Result<Bytes>> {
        let length = usize::try_from(self.left).unwrap_or(PIECE).min(PIECE);
        if self.waiting.is_none() && self.can_tell {
            match read_ready(&self.file, self.offset, length) {
                Ok(Some(bytes)) => return Poll::Ready(Ok(self.advance(bytes))),
                Ok(None) => {}
                Err(rustix::io::Errno::OPNOTSUPP | rustix::io::Errno::NOSYS | rustix::io::Errno::INVAL) => {
                    self.can_tell = false;
                }
                Err(error) => return Poll::Ready(Err(error.into())),
            }
        }
        let waiting = self.waiting.get_or_insert_with(|| {
            let (file, offset) = (Arc::clone(&self.file), self.offset);
            Box::pin(blocking(move || Ok(read_waiting(&file, offset, length))))
        });
        let result = std::task::ready!(waiting.as_mut().poll(context));
        self.waiting = None;
        Poll::Ready(match result {
            Ok(Ok(bytes)) => Ok(self.advance(bytes)),
            Ok(Err(error)) => Err(error),
            Err(problem) => Err(io::Error::other(problem)),
        })
    }

    fn advance(&mut self, bytes: Bytes) -> Bytes {
        self.offset += bytes.len() as u64;
        self.left = self.left.saturating_sub(bytes.len() as u64);
        bytes
    }
}

/// A blob that ends before its size: the connection is cut rather than a wrong body completed.
fn shorter() -> io::Error {
    io::Error::new(io::ErrorKind::UnexpectedEof, "the blob is shorter than its size")
}

/// Reads what is in the page cache, up to `length` bytes; `None` if the disk would have to be waited for.
#[cfg(target_os = "linux")]
fn read_ready(file: &std::fs::File, offset: u64, length: usize) -> Result<Option<Bytes>, rustix::io::Errno> {
    use rustix::io::{Errno, ReadWriteFlags};
    let mut piece = Piece::take();
    let Some(target) = piece.buffer.get_mut(..length) else { return Ok(None) };
    loop {
        let read =
            rustix::io::preadv2(file, &mut [io::IoSliceMut::new(target)], offset, ReadWriteFlags::NOWAIT);
        return match read {
            // The end of the file; the reader that may wait finds it too, and says so.
            Ok(0) | Err(Errno::AGAIN) => Ok(None),
            Ok(count) => Ok(Some(piece.filled(count))),
            Err(Errno::INTR) => continue,
            Err(error) => Err(error),
        };
    }
}

#[cfg(not(target_os = "linux"))]
fn read_ready(_: &std::fs::File, _: u64, _: usize) -> Result<Option<Bytes>, rustix::io::Errno> {
    Err(rustix::io::Errno::OPNOTSUPP)
}

/// Reads exactly `length` bytes (at most a piece), waiting for the disk.
fn read_waiting(file: &std::fs::File, offset: u64, length: usize) -> io::Result<Bytes> {
    let mut piece = Piece::take();
    let target = piece.buffer.get_mut(..length).ok_or_else(shorter)?;
    file.read_exact_at(target, offset).map_err(|error| match error.kind() {
        io::ErrorKind::UnexpectedEof => shorter(),
        _ => error,
    })?;
    Ok(piece.filled(length))
}

thread_local! {
    /// Buffers to use again: neither allocated nor zeroed for every piece.
    static SPARE: RefCell<Vec<Vec<u8>>> = const { RefCell::new(Vec::new()) };
}

/// How many buffers a thread keeps.
const SPARES: usize = 32;

/// A buffer of one piece, which goes back to the spare ones when the last user drops it.
struct Piece {
    buffer: Vec<u8>,
    length: usize,
}

impl Piece {
    fn take() -> Piece {
        let spare = SPARE.with_borrow_mut(Vec::pop);
        Piece { buffer: spare.unwrap_or_else(|| vec![0; PIECE]), length: 0 }
    }

    fn filled(mut self, length: usize) -> Bytes {
        self.length = length;
        Bytes::from_owner(self)
    }
}

impl AsRef<[u8]> for Piece {
    fn as_ref(&self) -> &[u8] {
        self.buffer.get(..self.length).unwrap_or_default()
    }
}

impl Drop for Piece {
    fn drop(&mut self) {
        let buffer = std::mem::take(&mut self.buffer);
        // A thread that is ending has no spare buffers any more.
        let _ = SPARE.try_with(|spare| {
            if let Ok(mut spare) = spare.try_borrow_mut()
                && spare.len() < SPARES
            {
                spare.push(buffer);
            }
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write as _;

    fn blob(bytes: &[u8]) -> BlobFile {
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(bytes).unwrap();
        BlobFile { file, length: bytes.len() as u64 }
    }

    #[tokio::test]
    async fn both_ways_of_reading_yield_the_same() {
        let bytes: Vec<u8> = (0..200_000_u32).map(|index| (index % 251) as u8).collect();
        for can_tell in [true, false] {
            let Content::Blob(mut stream) = part(blob(&bytes), 1000, 199_000).unwrap() else {
                panic!("small")
            };
            stream.can_tell = can_tell;
            let mut read = Vec::new();
            while stream.left > 0 {
                let piece = std::future::poll_fn(|context| stream.poll_piece(context)).await.unwrap();
                assert!(!piece.is_empty() && piece.len() <= PIECE);
                read.extend_from_slice(&piece);
            }
            assert!(read == bytes[1000..199_000], "{can_tell}");
        }
    }

    #[tokio::test]
    async fn a_file_that_ends_early_is_an_error_either_way() {
        for can_tell in [true, false] {
            let Content::Blob(mut stream) = part(blob(&[1; 40_000]), 0, 90_000).unwrap() else {
                panic!("small")
            };
            stream.can_tell = can_tell;
            let mut result = Ok(Bytes::new());
            while result.is_ok() && stream.left > 0 {
                result = std::future::poll_fn(|context| stream.poll_piece(context)).await;
            }
            assert_eq!(result.unwrap_err().kind(), io::ErrorKind::UnexpectedEof);
        }
    }
}
