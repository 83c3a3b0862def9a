//! Sending something to a server: one request with a body, made again only where whoever asks for it says so.
//!
//! What may be sent twice, and from where on, is for the protocol above to know. So [`Client::send`] makes one attempt,
//! and [`Attempts`] says whether a failed one may be repeated: one budget for the whole of an operation.

use std::fmt;

use bytes::Bytes;
use http::{HeaderMap, Method, StatusCode, header};
use tokio::time::timeout;
use url::Url;

use super::access::Access;
use super::body::{Answer, header_text};
use super::client::Client;
use super::error::{Fault, NetError};
use super::own_host::at_own_host;
use super::payload::Payload;
use super::redact;
use super::redirect::without_user;
use super::retry::Budget;
use crate::problem::Problem;

/// So much of what a server says beside its status is read, in bytes.
const LARGEST: usize = 64 * 1024;
/// No server leads on to a longer address.
const LONGEST_LOCATION: usize = 8 * 1024;

/// A request that carries something.
pub struct Upload<'a> {
    /// `PUT`, `POST`, `PATCH` …; also those that go before and after.
    pub method: Method,
    /// Where.
    pub access: &'a Access,
    /// What is said of what is sent.
    pub headers: HeaderMap,
    /// What is sent.
    pub payload: Payload,
}

/// What a server answered that took it.
#[derive(Debug)]
pub struct Sent {
    status: StatusCode,
    headers: HeaderMap,
    url: Url,
    words: Bytes,
}

/// A request that failed, or was refused.
#[derive(Debug)]
pub struct Unsent {
    error: NetError,
    status: Option<u16>,
    words: Bytes,
}

/// What one operation may spend on trying again.
pub struct Attempts(Budget);

impl Client {
    /// What one operation may spend on trying again.
    pub fn attempts(&self) -> Attempts {
        Attempts(self.budget())
    }

    /// Makes a request once. Credentials, redirects and limits are as for whatever is read; a redirect is followed only
    /// where the server says that the very same request is to be made elsewhere (307, 308).
    ///
    /// # Errors
    /// If it cannot be made, or the status of the answer is not one of `accepted`.
    pub async fn send(&self, upload: &Upload<'_>, accepted: &[u16]) -> Result<Sent, Unsent> {
        let Upload { method, access, headers, payload } = upload;
        let mut answer = self.ask_with(method.clone(), access, headers, payload).await?;
        let status = answer.status();
        let mut words = Vec::new();
        // Whatever becomes of its words, it was taken or refused.
        let reading = read_some(&mut answer, &mut words);
        let _ = timeout(self.settings().timeouts.stall, reading).await;
        let words = words.into();
        if accepted.contains(&status.as_u16()) {
            return Ok(Sent { status, headers: answer.headers().clone(), url: answer.url.clone(), words });
        }
        Err(Unsent { error: answer.refused(), status: Some(status.as_u16()), words })
    }
}

async fn read_some(answer: &mut Answer, words: &mut Vec<u8>) -> Result<(), NetError> {
    while words.len() < LARGEST
        && let Some(chunk) = answer.chunk().await?
    {
        words.extend_from_slice(chunk.get(..LARGEST - words.len()).unwrap_or(&chunk));
    }
    Ok(())
}

impl Attempts {
    /// Waits until the next attempt.
    ///
    /// # Errors
    /// What failed, if trying again does not help or was done often enough.
    pub async fn again(&mut self, unsent: Unsent) -> Result<(), Unsent> {
        let Unsent { error, status, words } = unsent;
        self.0.spend(error).await.map_err(|error| Unsent { error, status, words })
    }

    /// The operation got on since its last failure: earlier ones no longer count. Whoever calls this sees to it that it
    /// can be called only so often.
    pub fn refill(&mut self) {
        self.0.refill();
    }
}

impl Sent {
    /// The status.
    pub fn status(&self) -> u16 {
        self.status.as_u16()
    }

    /// What the server said, at most 64 KiB, and not to be trusted.
    pub fn words(&self) -> &Bytes {
        &self.words
    }

    /// A header by its name in lower case, as it was sent: nobody has checked that it is true. `None` if it is absent,
    /// longer than 1 KiB or not plain ASCII.
    pub fn header(&self, name: &str) -> Option<&str> {
        header_text(&self.headers, name)
    }

    /// Where the server says to go on, if it does: at its own origin alone. With `same_host`, an address elsewhere is
    /// taken for one of this origin: some servers behind a proxy do not know what they are called.
    ///
    /// # Errors
    /// `net.location` if it leads elsewhere, or nowhere.
    pub fn location(&self, same_host: bool) -> Result<Option<Url>, Unsent> {
        let Some(value) = self.headers.get(header::LOCATION) else { return Ok(None) };
        let text = std::str::from_utf8(value.as_bytes()).ok().filter(|text| text.len() <= LONGEST_LOCATION);
        let url = match same_host {
            true => text.and_then(|text| at_own_host(text, &self.url)),
            false => text.and_then(|text| self.url.join(text).ok()),
        };
        let refuse = |fault| Unsent::from(NetError::new(&self.url, fault));
        let Some(url) = url else {
            return Err(refuse(match text {
                // Such as one with two ports.
                Some(text) if !same_host && at_own_host(text, &self.url).is_some() => {
                    Fault::Location { to: text.to_owned() }
                }
                _ => Fault::Protocol("a Location that is no address"),
            }));
        };
        let mut url = without_user(url);
        url.set_fragment(None);
        if url.origin() != self.url.origin() {
            return Err(refuse(Fault::Location { to: redact(&url).to_string() }));
        }
        Ok(Some(url))
    }
}

impl Unsent {
    /// The status that refused it, if one did.
    pub fn status(&self) -> Option<u16> {
        self.status
    }

    /// What the server said of it, at most 64 KiB, and not to be trusted.
    pub fn words(&self) -> &[u8] {
        &self.words
    }
}

impl From<NetError> for Unsent {
    fn from(error: NetError) -> Unsent {
        Unsent { error, status: None, words: Bytes::new() }
    }
}

impl From<Unsent> for Problem {
    fn from(unsent: Unsent) -> Problem {
        unsent.error.into()
    }
}

impl fmt::Debug for Upload<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Upload")
            .field("method", &self.method)
            .field("access", self.access)
            .finish_non_exhaustive()
    }
}
