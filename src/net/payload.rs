//! What a request carries: bytes, or a part of a file that is read while it is sent and never held in memory.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt as _;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use futures_util::{Stream, StreamExt as _, stream};
use tokio::time::timeout;

use super::limits::Limits;

/// How much of a file is read at once: a multiple of three bytes, which are four characters of base64.
const PIECE: u64 = 3 * 128 * 1024;
/// A server may look through what it got before it answers: it has a second more for every so many bytes.
const BYTES_A_SECOND: u64 = 20 * 1024 * 1024;

/// What a request carries.
#[derive(Clone, Default)]
pub enum Payload {
    /// Nothing.
    #[default]
    Nothing,
    /// A few bytes.
    Bytes(Bytes),
    /// A part of a file.
    File(FilePart),
    /// The same between some bytes, as forms and documents have it.
    Between {
        /// What comes first.
        before: Bytes,
        /// The part of a file.
        file: FilePart,
        /// How it is written there.
        encoding: Encoding,
        /// What comes last.
        after: Bytes,
    },
}

/// How a file is written into what is sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Encoding {
    /// As it is.
    Plain,
    /// In base64, with its padding.
    Base64,
}

impl Encoding {
    /// How many bytes so many have then.
    fn length(self, plain: u64) -> u64 {
        match self {
            Encoding::Plain => plain,
            Encoding::Base64 => plain.div_ceil(3).saturating_mul(4),
        }
    }

    /// What a piece is written as; of all but the last one, the length is a multiple of three.
    fn write(self, piece: Bytes) -> Bytes {
        match self {
            Encoding::Plain => piece,
            Encoding::Base64 => STANDARD.encode(piece).into(),
        }
    }
}

/// A part of a file.
#[derive(Clone)]
pub struct FilePart {
    /// The file, which nobody changes.
    pub file: Arc<File>,
    /// Where the part begins.
    pub from: u64,
    /// How many bytes it has.
    pub length: u64,
    /// Is told of every so many bytes that were handed to the network.
    pub progress: Arc<dyn Fn(u64) + Send + Sync>,
}

/// Nothing was answered in time.
pub(super) struct Late;

impl Payload {
    /// How many bytes it has.
    pub(super) fn length(&self) -> u64 {
        match self {
            Payload::Nothing => 0,
            Payload::Bytes(bytes) => bytes.len() as u64,
            Payload::File(part) => part.length,
            Payload::Between { before, file, encoding, after } => {
                encoding.length(file.length).saturating_add((before.len() + after.len()) as u64)
            }
        }
    }

    /// The body of a request, which counts in `sent` what it handed over.
    pub(super) fn body(&self, sent: &Arc<AtomicU64>, limits: &Arc<Limits>) -> Option<reqwest::Body> {
        match self {
            Payload::Nothing => None,
            Payload::Bytes(bytes) => Some(bytes.clone().into()),
            Payload::File(part) => {
                let pieces = part.clone().pieces(Encoding::Plain, sent.clone(), limits.clone());
                Some(reqwest::Body::wrap_stream(pieces))
            }
            Payload::Between { before, file, encoding, after } => {
                let few = |bytes: &Bytes| {
                    let (bytes, sent) = (bytes.clone(), sent.clone());
                    stream::once(async move {
                        sent.fetch_add(bytes.len() as u64, Ordering::Relaxed);
                        Ok::<_, io::Error>(bytes)
                    })
                };
                let pieces = file.clone().pieces(*encoding, sent.clone(), limits.clone());
                Some(reqwest::Body::wrap_stream(few(before).chain(pieces).chain(few(after))))
            }
        }
    }

    /// Waits for the answer to a request that carries this, as long as the body gets on; and at its end somewhat longer
    /// for a large one.
    pub(super) async fn answered<T>(
        &self,
        sending: impl Future<Output = T>,
        sent: &AtomicU64,
        after: Duration,
    ) -> Result<T, Late> {
        let mut sending = pin!(sending);
        let mut before = 0;
        loop {
            let (now, length) = (sent.load(Ordering::Relaxed), self.length());
            let is_whole = now >= length;
            let thinking =
                if is_whole { Duration::from_secs(length / BYTES_A_SECOND) } else { Duration::ZERO };
            if let Ok(answer) = timeout(after + thinking, &mut sending).await {
                return Ok(answer);
            }
            let now = sent.load(Ordering::Relaxed);
            if now == before || is_whole {
                return Err(Late);
            }
            before = now;
        }
    }
}

impl FilePart {
    fn pieces(
        self,
        encoding: Encoding,
        sent: Arc<AtomicU64>,
        limits: Arc<Limits>,
    ) -> impl Stream<Item = io::Result<Bytes>> + Send + 'static {
        let end = self.from.saturating_add(self.length);
        stream::try_unfold(self.from, move |at| {
            let (part, sent, limits) = (self.clone(), sent.clone(), limits.clone());
            async move {
                if at >= end {
                    return Ok::<_, io::Error>(None);
                }
                let bytes = read(part.file, at, PIECE.min(end - at)).await?;
                let count = bytes.len() as u64;
                let written = encoding.write(bytes);
                limits.pace(written.len()).await;
                sent.fetch_add(written.len() as u64, Ordering::Relaxed);
                (part.progress)(count);
                Ok(Some((written, at + count)))
            }
        })
    }
}

async fn read(file: Arc<File>, at: u64, length: u64) -> io::Result<Bytes> {
    let read = move || {
        let mut bytes = vec![0; usize::try_from(length).map_err(io::Error::other)?];
        file.read_exact_at(&mut bytes, at)?;
        Ok(Bytes::from(bytes))
    };
    tokio::task::spawn_blocking(read).await.map_err(io::Error::other)?
}
