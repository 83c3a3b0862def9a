//! Files: streamed into a sink, resumed where they broke off.

use http::header::{ACCEPT_ENCODING, CONTENT_RANGE, CONTENT_TYPE, IF_RANGE, RANGE};
use http::{HeaderMap, HeaderValue, Method};

use super::access::Access;
use super::body::Answer;
use super::client::Client;
use super::decode::{Decoder, Stop};
use super::document::Validators;
use super::error::{Fault, NetError};
use crate::problem::Problem;

/// Where a download goes: a staging session of the store.
pub trait Sink: Send {
    /// How many bytes it holds; a download goes on from there.
    fn length(&self) -> u64;
    /// Appends.
    ///
    /// # Errors
    /// What the store says; the download ends with it.
    fn write(&mut self, bytes: &[u8]) -> Result<(), Problem>;
    /// Throws away what it holds, because the server begins again.
    ///
    /// # Errors
    /// What the store says; the download ends with it.
    fn restart(&mut self) -> Result<(), Problem>;
}

/// A file that is in its sink.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Downloaded {
    /// How many bytes.
    pub length: u64,
    /// The media type as the server said it; empty if it didn't.
    pub content_type: String,
}

/// A download that got on by so much counts its failures anew.
const STEP: u64 = 64 * 1024;
/// How often a file may turn out to be another than the one that was begun.
const CHANGES: u32 = 3;

impl Client {
    /// Streams a file into `sink`, and goes on from what the sink holds. `progress` is told how many bytes
    /// came in since it was last called.
    ///
    /// Only sizes are checked here: whether these are the right bytes is for whoever has their digest. If
    /// they are not, restart the sink and call again: bytes of an earlier process may have been of another
    /// version.
    ///
    /// # Errors
    /// `net.not-found` if the server says that there is none (404, 410), `net.size` if it has another size
    /// than `expected_size`, `net.too-large` over `limit`, what the sink returns; others of kind Unavailable
    /// when trying again did not help.
    pub async fn download(
        &self,
        access: &Access,
        expected_size: Option<u64>,
        limit: u64,
        sink: &mut dyn Sink,
        progress: &(dyn Fn(u64) + Sync),
    ) -> Result<Downloaded, Problem> {
        let mut budget = self.budget();
        let mut next_step = sink.length().saturating_add(STEP);
        let mut download = Download {
            client: self,
            access,
            expected_size,
            limit,
            sink,
            progress,
            version: None,
            changes: 0,
        };
        loop {
            match download.attempt().await {
                Ok(outcome) => return Ok(outcome),
                Err(Failure::Sink(problem)) => return Err(problem),
                Err(Failure::Net(error)) => {
                    // Only new heights count, so that a server cannot keep us going in circles.
                    if download.sink.length() >= next_step {
                        next_step = download.sink.length().saturating_add(STEP);
                        budget.refill();
                    }
                    budget.spend(error).await?;
                }
            }
        }
    }
}

struct Download<'a> {
    client: &'a Client,
    access: &'a Access,
    expected_size: Option<u64>,
    limit: u64,
    sink: &'a mut dyn Sink,
    progress: &'a (dyn Fn(u64) + Sync),
    /// What the server said of the version that the sink holds a part of.
    version: Option<Version>,
    changes: u32,
}

/// A version of a file, as a server tells it from others.
struct Version {
    validators: Validators,
    size: Option<u64>,
}

/// Why an attempt ended.
enum Failure {
    Net(NetError),
    Sink(Problem),
}

impl From<NetError> for Failure {
    fn from(error: NetError) -> Failure {
        Failure::Net(error)
    }
}

impl Download<'_> {
    async fn attempt(&mut self) -> Result<Downloaded, Failure> {
        loop {
            let offset = self.sink.length();
            if self.expected_size.is_some_and(|expected| offset > expected) || offset > self.limit {
                self.sink.restart().map_err(Failure::Sink)?;
                continue;
            }
            if offset > 0 && self.expected_size == Some(offset) {
                return Ok(Downloaded { length: offset, content_type: String::new() });
            }
            let answer = self.client.ask(Method::GET, self.access, &self.headers(offset)).await?;
            match answer.status().as_u16() {
                200 => {
                    if offset > 0 {
                        self.sink.restart().map_err(Failure::Sink)?;
                    }
                    let size = answer.length().filter(|_| answer.coding().is_empty());
                    self.version = Some(Version { validators: Validators::of(&answer), size });
                    return self.receive(answer).await;
                }
                206 if offset > 0 => {
                    if self.continues(&answer, offset)? {
                        return self.receive(answer).await;
                    }
                    self.changed(&answer)?;
                }
                // Nothing is left to send, or the file is shorter than what is held. As with a part of an earlier
                // process, that these are the right bytes is for whoever has their digest.
                416 if offset > 0 => {
                    if total(&answer) == Some(offset) {
                        self.check_size(&answer, offset)?;
                        return Ok(Downloaded { length: offset, content_type: String::new() });
                    }
                    self.changed(&answer)?;
                }
                _ => return Err(answer.refused().into()),
            }
        }
    }

    fn headers(&self, offset: u64) -> HeaderMap {
        let mut headers = HeaderMap::new();
        headers.insert(ACCEPT_ENCODING, HeaderValue::from_static("identity"));
        if offset == 0 {
            return headers;
        }
        if let Ok(range) = HeaderValue::from_str(&format!("bytes={offset}-")) {
            headers.insert(RANGE, range);
        }
        // Weak tags are not allowed here (RFC 9110, section 13.1.5): a weak match may be of other bytes.
        let validators = self.version.as_ref().map(|version| &version.validators);
        let strong = validators.and_then(|it| it.etag.as_deref()).filter(|etag| etag.starts_with('"'));
        let date = validators.and_then(|it| it.last_modified.as_deref());
        if let Some(Ok(validator)) = strong.or(date).map(HeaderValue::from_str) {
            headers.insert(IF_RANGE, validator);
        }
        headers
    }

    /// Whether a partial answer goes on with what the sink holds.
    fn continues(&mut self, answer: &Answer, offset: u64) -> Result<bool, Failure> {
        let range = answer.header(CONTENT_RANGE).and_then(ContentRange::parse);
        let range =
            range.ok_or_else(|| answer.error(Fault::Protocol("a part of a file that does not say which")))?;
        let now = Validators::of(answer);
        let same = match &self.version {
            None => true,
            Some(held) => {
                // What one of the two answers does not say tells nothing.
                let differ =
                    |a: &Option<String>, b: &Option<String>| matches!((a, b), (Some(a), Some(b)) if a != b);
                !differ(&held.validators.etag, &now.etag)
                    && !differ(&held.validators.last_modified, &now.last_modified)
                    && !matches!((held.size, range.total), (Some(a), Some(b)) if a != b)
            }
        };
        if range.first != Some(offset) || !same || !answer.coding().is_empty() {
            return Ok(false);
        }
        if let Some(total) = range.total {
            self.check_size(answer, total)?;
        }
        let known = self.version.take();
        let size = range.total.or(known.as_ref().and_then(|version| version.size));
        let validators = known.map_or(now, |version| version.validators);
        self.version = Some(Version { validators, size });
        Ok(true)
    }

    /// The server has another version than the one the sink holds a part of: begin again.
    fn changed(&mut self, answer: &Answer) -> Result<(), Failure> {
        self.changes += 1;
        if self.changes > CHANGES {
            return Err(answer.error(Fault::Unstable).into());
        }
        self.version = None;
        self.sink.restart().map_err(Failure::Sink)
    }

    /// Streams a body to the end of the sink.
    async fn receive(&mut self, mut answer: Answer) -> Result<Downloaded, Failure> {
        let coding = self.coding_to_undo(&answer);
        let unknown = || answer.error(Fault::Coding(coding.clone()));
        let mut decoder = Decoder::new(&coding).ok_or_else(unknown)?;
        let plain = matches!(decoder, Decoder::Identity);
        if let (true, Some(length)) = (plain, answer.length()) {
            self.check_size(&answer, self.sink.length().saturating_add(length))?;
        }
        let outcome = self.stream(&mut answer, &mut decoder, &coding).await;
        if !plain && outcome.is_err() {
            // Ranges count encoded bytes, so what was decoded cannot be gone on with.
            self.sink.restart().map_err(Failure::Sink)?;
        }
        outcome?;
        let length = self.sink.length();
        let promised = self.expected_size.or(self.version.as_ref().and_then(|version| version.size));
        match promised {
            Some(expected) if length < expected => {
                Err(answer.error(Fault::Truncated { got: length, expected }).into())
            }
            _ => {
                let content_type = answer.header(CONTENT_TYPE).unwrap_or_default().to_owned();
                Ok(Downloaded { length, content_type })
            }
        }
    }

    async fn stream(
        &mut self,
        answer: &mut Answer,
        decoder: &mut Decoder,
        coding: &str,
    ) -> Result<(), Failure> {
        let (limit, expected_size, url) = (self.limit, self.expected_size, answer.url.clone());
        let sink = &mut *self.sink;
        let mut take = |bytes: &[u8]| {
            let length = sink.length().saturating_add(bytes.len() as u64);
            match expected_size {
                _ if length > limit => Err(NetError::new(&url, Fault::TooLarge { limit }).into()),
                Some(expected) if length > expected => {
                    Err(NetError::new(&url, Fault::Size { expected, got: length }).into())
                }
                _ => sink.write(bytes).map_err(Failure::Sink),
            }
        };
        let failure = |stop| match stop {
            Stop::Taker(failure) => failure,
            Stop::Damaged(cause) => {
                let fault = Fault::Damaged { coding: coding.to_owned(), cause: cause.to_string() };
                Failure::Net(NetError::new(&url, fault))
            }
        };
        while let Some(chunk) = answer.chunk().await? {
            decoder.feed(&chunk, &mut take).map_err(failure)?;
            (self.progress)(chunk.len() as u64);
        }
        decoder.finish(&mut take).map_err(failure)
    }

    /// The content coding that has to be undone, against our asking for none.
    ///
    /// Servers that hold `x.tgz` often say that it is encoded as gzip, meaning that it *is* gzip: these bytes
    /// are the file, and its checksums are of them. So what a name or the expected size tells to be
    /// compressed stays as it is.
    fn coding_to_undo(&self, answer: &Answer) -> String {
        let coding = answer.coding();
        let path = answer.url.path();
        let named = |url_path: &str| url_path.ends_with(".gz") || url_path.ends_with(".tgz");
        let sized = self.expected_size.is_some() && answer.length() == self.expected_size;
        let gzip = matches!(coding.to_ascii_lowercase().as_str(), "gzip" | "x-gzip");
        if gzip && (named(path) || named(self.access.url.path()) || sized) { String::new() } else { coding }
    }

    fn check_size(&self, answer: &Answer, got: u64) -> Result<(), Failure> {
        let fault = match self.expected_size {
            Some(expected) if expected != got => Fault::Size { expected, got },
            _ if got > self.limit => Fault::TooLarge { limit: self.limit },
            _ => return Ok(()),
        };
        Err(answer.error(fault).into())
    }
}

/// The whole size that an answer tells in Content-Range.
fn total(answer: &Answer) -> Option<u64> {
    answer.header(CONTENT_RANGE).and_then(ContentRange::parse).and_then(|range| range.total)
}

/// A Content-Range header (RFC 9110, section 14.4).
#[derive(Debug, PartialEq, Eq)]
pub(super) struct ContentRange {
    /// The first byte's position; `None` in `*/total`.
    pub(super) first: Option<u64>,
    pub(super) total: Option<u64>,
}

impl ContentRange {
    pub(super) fn parse(value: &str) -> Option<ContentRange> {
        let (range, total) = value.trim().strip_prefix("bytes")?.trim_start().split_once('/')?;
        let total = if total == "*" { None } else { Some(total.parse().ok()?) };
        if range == "*" {
            return Some(ContentRange { first: None, total });
        }
        let (first, last) = range.split_once('-')?;
        let (first, last): (u64, u64) = (first.parse().ok()?, last.parse().ok()?);
        let sensible = first <= last && total.is_none_or(|total| last < total);
        sensible.then_some(ContentRange { first: Some(first), total })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn content_ranges_are_read_strictly() {
        let range = |first, total| Some(ContentRange { first, total });
        assert_eq!(ContentRange::parse("bytes 5-9/10"), range(Some(5), Some(10)));
        assert_eq!(ContentRange::parse("bytes 5-9/*"), range(Some(5), None));
        assert_eq!(ContentRange::parse("bytes */10"), range(None, Some(10)));
        for bad in [
            "",
            "bytes",
            "bytes 5-9",
            "items 5-9/10",
            "bytes 9-5/10",
            "bytes 5-10/10",
            "bytes -5/10",
            "bytes 5-/10",
        ] {
            assert_eq!(ContentRange::parse(bad), None, "{bad}");
        }
    }
}
