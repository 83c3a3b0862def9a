//! Follows each request to its end, when its body is sent or given up: then it is counted and logged.

use std::fmt;
use std::io;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Instant;

use http::{HeaderValue, Method, StatusCode, Uri};

use super::access_log::AccessRecord;
use super::guard::Phase;
use super::site::Site;
use crate::clock;

/// Follows a request to its end, and then counts and logs it.
pub(super) struct Completion {
    site: Arc<Site>,
    phase: Arc<Phase>,
    client: IpAddr,
    method: Method,
    uri: Uri,
    agent: Option<HeaderValue>,
    started: Instant,
    status: StatusCode,
    expected: u64,
    sent: u64,
    failure: Option<String>,
}

impl Completion {
    /// A request begins.
    pub(super) fn begin(
        site: Arc<Site>,
        phase: Arc<Phase>,
        client: IpAddr,
        parts: &http::request::Parts,
    ) -> Completion {
        phase.busy();
        Completion {
            site,
            phase,
            client,
            method: parts.method.clone(),
            uri: parts.uri.clone(),
            agent: parts.headers.get(http::header::USER_AGENT).cloned(),
            started: clock::instant(),
            status: StatusCode::INTERNAL_SERVER_ERROR,
            expected: 0,
            sent: 0,
            failure: None,
        }
    }

    /// The headers are decided; so many bytes of a body should follow.
    pub(super) fn answered(&mut self, status: StatusCode, expected: u64, failure: Option<String>) {
        self.status = status;
        self.expected = expected;
        self.failure = failure;
    }

    /// So many more bytes went to the connection.
    pub(super) fn sent(&mut self, bytes: u64) {
        self.sent += bytes;
    }

    /// The body could not be read to its end.
    pub(super) fn failed(&mut self, error: &io::Error) {
        self.failure = Some(error.to_string());
    }
}

impl fmt::Debug for Completion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Completion({} {})", self.method, self.uri.path())
    }
}

impl Drop for Completion {
    fn drop(&mut self) {
        self.phase.idle();
        let record = AccessRecord {
            time: clock::now(),
            client: self.client,
            method: self.method.as_str(),
            path: self.uri.path(),
            status: self.status.as_u16(),
            bytes: self.sent,
            complete: self.sent == self.expected,
            duration: clock::instant().saturating_duration_since(self.started),
            agent: self.agent.as_ref().and_then(|agent| agent.to_str().ok()).unwrap_or(""),
            failure: self.failure.as_deref(),
        };
        self.site.metrics.request(&record);
        if let Some(log) = &self.site.log {
            log(&record);
        }
    }
}
