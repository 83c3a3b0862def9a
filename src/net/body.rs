//! An answer and its body, read under the clock.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, StatusCode, header};
use tokio::time::timeout;
use url::Url;

use super::error::{Fault, NetError, sort};
use super::limits::{Limits, Permit};
use super::retry::Timer;
use super::sign_in::SignIn;
use crate::clock;

/// What a body has to bring in the time after which it counts as stalled.
const LEAST: u64 = 1024;

/// Longer header values are taken for absent: they are kept, sent back and printed.
const LONGEST_HEADER: usize = 1024;

/// The head of an answer, with its body still to come.
pub(super) struct Answer {
    pub(super) limits: Arc<Limits>,
    pub(super) timer: Arc<dyn Timer>,
    /// How long the body may bring next to nothing.
    pub(super) stall: Duration,
    pub(super) response: reqwest::Response,
    /// Where it came from in the end.
    pub(super) url: Url,
    pub(super) shown_credential: bool,
    /// Whether it came from the origin of the first address, and no redirect ever led away from there.
    pub(super) at_home: bool,
    /// How we would have answered if the server had asked who we are.
    pub(super) sign_in: Option<Arc<SignIn>>,
    /// Held until the body is read or dropped.
    pub(super) _permit: Permit,
    pub(super) window: Window,
}

/// A header as text; `None` if it is absent, too long or not plain ASCII.
pub(super) fn header_text<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers.get(name)?.to_str().ok().filter(|value| value.len() <= LONGEST_HEADER)
}

/// Since when a body is being watched, and what it brought.
#[derive(Default)]
pub(super) struct Window {
    waited: Duration,
    brought: u64,
}

impl Answer {
    pub(super) fn status(&self) -> StatusCode {
        self.response.status()
    }

    pub(super) fn headers(&self) -> &HeaderMap {
        self.response.headers()
    }

    /// A header as text; `None` if it is absent, too long or not plain ASCII.
    pub(super) fn header(&self, name: header::HeaderName) -> Option<&str> {
        header_text(self.headers(), name.as_str())
    }

    /// The length of the body as it is sent, where it is known beforehand.
    pub(super) fn length(&self) -> Option<u64> {
        self.response.content_length()
    }

    /// The Content-Encoding, all values joined; empty if there is none.
    pub(super) fn coding(&self) -> String {
        let values = self.headers().get_all(header::CONTENT_ENCODING);
        let texts: Vec<_> = values.iter().map(|value| String::from_utf8_lossy(value.as_bytes())).collect();
        texts.join(", ")
    }

    /// The error that this answer's status stands for.
    pub(super) fn refused(&self) -> NetError {
        let now = self.timer.now();
        let retry_after =
            self.header(header::RETRY_AFTER).and_then(|value| super::retry::retry_after(value, now));
        let advice = self.sign_in.as_ref().and_then(|sign_in| sign_in.advice(self.status()));
        let (status, shown_credential) = (self.status().as_u16(), self.shown_credential);
        self.error(Fault::Status { status, retry_after, shown_credential, advice })
    }

    /// A fault of this answer.
    pub(super) fn error(&self, fault: Fault) -> NetError {
        NetError::new(&self.url, fault)
    }

    /// The next piece of the body; `None` at its end.
    ///
    /// # Errors
    /// If the connection breaks or ends too early, if nothing comes for [`super::Timeouts::stall`], or next
    /// to nothing: a server that sends a byte a minute must not hold us for ever.
    pub(super) async fn chunk(&mut self) -> Result<Option<Bytes>, NetError> {
        let stall = self.stall;
        let before = clock::instant();
        let stalled = |url: &Url| NetError::new(url, Fault::TimedOut { what: "reading on", after: stall });
        let chunk = match timeout(stall, self.response.chunk()).await {
            Err(_) => return Err(stalled(&self.url)),
            Ok(Err(error)) => return Err(sort(error, &self.url, false)),
            Ok(Ok(None)) => return Ok(None),
            Ok(Ok(Some(chunk))) => chunk,
        };
        // Only the time spent waiting for the network counts, not that for the disk or our own rate limit.
        self.window.waited += before.elapsed();
        self.window.brought += chunk.len() as u64;
        if self.window.waited >= stall {
            if self.window.brought < LEAST {
                return Err(stalled(&self.url));
            }
            self.window = Window::default();
        }
        self.limits.pace(chunk.len()).await;
        Ok(Some(chunk))
    }
}
