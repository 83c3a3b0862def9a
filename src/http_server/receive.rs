//! The body of a request that may be large, on its way into an upload: a batch is written while the next one comes.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::BodyExt as _;
use hyper::body::{Body as _, Incoming};

use super::envelope::{Envelope, Malformed};
use super::site::Site;
use crate::blocking::blocking;
use crate::ecosystem::host::{BodyEnd, Upload};
use crate::problem::Problem;

/// How many bytes are written at once, about: enough that handing them over costs nothing.
const BATCH: usize = 512 * 1024;
/// How much of a body that nobody wants is read, and for how long at most, so that the client can read why.
#[derive(Debug, Clone, Copy)]
pub(super) struct Patience {
    bytes: usize,
    time: Duration,
}

impl Patience {
    /// A document that is somewhat too large is read to its end.
    pub(super) const USUAL: Patience = Patience { bytes: 8 << 20, time: Duration::from_secs(2) };
    /// For clients of Node.js with an account, which die of a connection that ends while they send, and show nobody why. The
    /// longest text that Node.js can make is half as long.
    pub(super) const LONG: Patience = Patience { bytes: 1 << 30, time: Duration::from_secs(60) };
}

/// Who sends nothing for so long is not in the middle of it.
const QUIET: Duration = Duration::from_millis(250);

/// An upload while a request works on it. It goes back to where the next one finds it, also when the connection ends and
/// nobody waits for this one any more.
pub(super) struct Carried {
    site: Arc<Site>,
    upload: Option<Upload>,
}

impl Carried {
    pub(super) fn new(site: &Arc<Site>, upload: Upload) -> Carried {
        Carried { site: Arc::clone(site), upload: Some(upload) }
    }

    /// The upload, for good.
    pub(super) fn take(mut self) -> Option<Upload> {
        self.upload.take()
    }

    fn length(&self) -> u64 {
        self.upload.as_ref().map_or(0, |upload| upload.write.length())
    }

    /// How many bytes others bring into the same repository meanwhile.
    fn beside(&self) -> u64 {
        self.upload.as_ref().map_or(0, |upload| self.site.uploads.beside(&upload.id, upload.write.length()))
    }

    /// Throws away what stands in its way and may never be gone on with; says how many bytes others still bring.
    fn clear_the_way(&self) -> u64 {
        if let Some(upload) = &self.upload {
            self.site.uploads.clear_the_way(&upload.id);
        }
        self.beside()
    }

    fn write(&mut self, batch: &[Bytes]) -> Result<(), Problem> {
        let Some(upload) = &mut self.upload else { return Ok(()) };
        let written = batch.iter().try_for_each(|bytes| upload.write.write(bytes));
        if written.is_err()
            && let Some(upload) = self.upload.take()
        {
            // Nobody knows what it holds now.
            self.site.uploads.abandon(upload);
        }
        Ok(written?)
    }
}

impl Drop for Carried {
    fn drop(&mut self) {
        if let Some(upload) = self.upload.take() {
            self.site.uploads.suspend(upload);
        }
    }
}

/// Writes a body into an upload, which may have at most `most` bytes afterwards, and less by what others bring into the same
/// repository from now on. Only the file in its envelope is written. A client that sends nothing for `stall` is gone. One that
/// `waits` for our 100 has sent nothing yet.
///
/// # Errors
/// If the upload cannot be written; it is lost then.
pub(super) async fn receive(
    body: &mut Incoming,
    envelope: &mut Envelope,
    carried: Carried,
    most: u64,
    stall: Duration,
    waits: bool,
) -> Result<(Carried, BodyEnd), Problem> {
    let mut left = most.saturating_sub(carried.length());
    let beside = carried.beside();
    let expected = envelope.least(body.size_hint().lower());
    if expected > left {
        left = left.saturating_add(beside.saturating_sub(carried.clear_the_way()));
    }
    if expected > left {
        if !waits {
            drain(body, envelope.patience()).await;
        }
        return Ok((carried, BodyEnd::TooLarge));
    }
    let received =
        write_all(&mut Source { body: &mut *body, envelope: &mut *envelope }, carried, left, stall).await;
    if let Ok((carried, BodyEnd::TooLarge)) = &received {
        // For the client's next attempt.
        carried.clear_the_way();
    }
    // Who is in the middle of sending reads no answer yet, although it may have waited for our 100 before.
    if !body.is_end_stream() {
        drain(body, envelope.patience()).await;
    }
    received
}

/// What is written of a body.
struct Source<'a> {
    body: &'a mut Incoming,
    envelope: &'a mut Envelope,
}

async fn write_all(
    source: &mut Source<'_>,
    mut carried: Carried,
    mut left: u64,
    stall: Duration,
) -> Result<(Carried, BodyEnd), Problem> {
    let mut beside = carried.beside();
    let (mut batch, mut end) = read(source, &mut left, stall).await;
    loop {
        let grown = carried.beside().max(beside);
        left = left.saturating_sub(grown.saturating_sub(beside));
        beside = grown;
        let write = blocking(move || {
            carried.write(&batch)?;
            Ok(carried)
        });
        if let Some(end) = end {
            return Ok((write.await?, end));
        }
        let (written, next) = tokio::join!(write, read(source, &mut left, stall));
        carried = written?;
        (batch, end) = next;
    }
}

/// The next bytes, and how the body ended if it did.
async fn read(source: &mut Source<'_>, left: &mut u64, stall: Duration) -> (Vec<Bytes>, Option<BodyEnd>) {
    let (mut batch, mut length) = (Vec::new(), 0);
    while length < BATCH {
        let frame = match tokio::time::timeout(stall, source.body.frame()).await {
            Ok(Some(Ok(frame))) => frame,
            Ok(None) => return (batch, Some(BodyEnd::Whole)),
            Ok(Some(Err(_))) | Err(_) => return (batch, Some(BodyEnd::Broken)),
        };
        let Ok(bytes) = frame.into_data() else { continue };
        let pieces = match source.envelope.take(bytes) {
            Ok(pieces) => pieces,
            Err(Malformed) => return (batch, Some(BodyEnd::Malformed)),
        };
        for piece in pieces {
            let Some(fits) = left.checked_sub(piece.len() as u64) else {
                return (batch, Some(BodyEnd::TooLarge));
            };
            *left = fits;
            length += piece.len();
            batch.push(piece);
        }
    }
    (batch, None)
}

/// Reads some of a body that nobody wants: an answer that is lost on the way would look like a broken connection.
pub(super) async fn drain(body: &mut Incoming, patience: Patience) {
    let read = async {
        let mut read = 0;
        while let Ok(Some(Ok(frame))) = tokio::time::timeout(QUIET, body.frame()).await {
            read += frame.data_ref().map_or(0, Bytes::len);
            if read > patience.bytes {
                return;
            }
        }
    };
    let _ = tokio::time::timeout(patience.time, read).await;
}
