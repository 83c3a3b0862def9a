//! Answers as HTTP: status, headers and body. Here alone are HEAD, ranges, entity tags and compression done.

use bundle_format::BlobKey;
use bytes::Bytes;
use http::header::{
    ACCEPT_RANGES, ALLOW, CACHE_CONTROL, CONNECTION, CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_RANGE,
    CONTENT_SECURITY_POLICY, CONTENT_TYPE, ETAG, HeaderName, HeaderValue, LAST_MODIFIED, RANGE, RETRY_AFTER,
    VARY, WWW_AUTHENTICATE, X_CONTENT_TYPE_OPTIONS,
};
use http::{HeaderMap, Response, StatusCode};
use hyper::ext::ReasonPhrase;

use super::answers::Held;
use super::body::{self, Body, Content};
use super::completion::Completion;
use super::compression;
use super::conditional;
use super::ranges::{self, Range};
use super::site::Site;
use crate::ecosystem::{self, Answer, Serve};
use crate::problem::Problem;

/// What is sent, before it is known whether the client wants the body.
#[derive(Debug)]
pub(super) struct Reply {
    status: StatusCode,
    headers: HeaderMap,
    content: Content,
    /// The length of the body.
    length: u64,
    /// What stands behind the status, if that is not what HTTP says of it.
    reason: Option<ReasonPhrase>,
    /// For the log alone.
    failure: Option<String>,
}

/// A request that gets no further, and why.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Refusal {
    status: StatusCode,
    message: String,
    /// What the client has to know besides.
    header: Option<(HeaderName, String)>,
    /// The message in the form that clients of a mount read.
    body: Option<Bytes>,
}

impl Refusal {
    pub(super) fn new(status: StatusCode, message: impl Into<String>) -> Refusal {
        Refusal { status, message: message.into(), header: None, body: None }
    }

    /// Only these methods.
    pub(super) fn method(allow: String) -> Refusal {
        let message = format!("this path answers {allow} only");
        Refusal { header: Some((ALLOW, allow)), ..Refusal::new(StatusCode::METHOD_NOT_ALLOWED, message) }
    }

    /// Only with credentials; the challenge says of what kind.
    pub(super) fn challenge(challenge: String, message: &str) -> Refusal {
        let header = Some((WWW_AUTHENTICATE, challenge));
        Refusal { header, ..Refusal::new(StatusCode::UNAUTHORIZED, message) }
    }

    /// Not now, but after so many seconds.
    pub(super) fn later(seconds: u32, message: &str) -> Refusal {
        let header = Some((RETRY_AFTER, seconds.to_string()));
        Refusal { header, ..Refusal::new(StatusCode::SERVICE_UNAVAILABLE, message) }
    }

    /// The same in the form that these clients read.
    pub(super) fn in_words_of(self, serve: &dyn Serve) -> Refusal {
        self.in_words(|status, message| serve.error(status, message))
    }

    /// The same with the body that `words` makes of status and message.
    pub(super) fn in_words(self, words: impl FnOnce(u16, &str) -> Bytes) -> Refusal {
        Refusal { body: Some(words(self.status.as_u16(), &self.message)), ..self }
    }
}

impl From<Refusal> for Reply {
    fn from(refusal: Refusal) -> Reply {
        let body = refusal.body.unwrap_or_else(|| own_error(&refusal.message));
        let mut reply = Reply::error(refusal.status, body);
        if let Some((name, value)) = refusal.header
            && let Ok(value) = HeaderValue::try_from(value)
        {
            reply.headers.insert(name, value);
        }
        // What the client is still sending will not be read.
        if matches!(refusal.status, StatusCode::PAYLOAD_TOO_LARGE | StatusCode::REQUEST_TIMEOUT) {
            reply.headers.insert(CONNECTION, HeaderValue::from_static("close"));
        }
        reply
    }
}

/// The request's side of a representation.
#[derive(Debug, Clone, Copy)]
pub(super) struct Asked<'a> {
    pub(super) headers: &'a HeaderMap,
    /// Only GET has ranges.
    pub(super) is_get: bool,
}

/// What scripts, styles and frames a document of ours may use: none.
const NOTHING: HeaderValue = HeaderValue::from_static("default-src 'none'; frame-ancestors 'none'; sandbox");

impl Reply {
    /// What a handler answered.
    ///
    /// # Errors
    /// If a blob is not held, or not as it should be.
    pub(super) fn of(answer: Answer, asked: Asked<'_>, site: &Site) -> Result<Reply, Problem> {
        let mut reply = match answer.content {
            ecosystem::Content::Document { media_type, body, vary } => {
                Reply::document(HeaderValue::from_static(media_type), body, vary, asked, site)
            }
            ecosystem::Content::Blob { key, size, media_type } => {
                return Reply::held(&Held::new(key, size, media_type, answer.headers), asked, site);
            }
            ecosystem::Content::Status { status, media_type, body } => {
                let status = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
                let length = body.len() as u64;
                let line = body.split(|byte| *byte == b'\n').next().filter(|_| answer.tells_reason);
                let reason = line.and_then(|line| ReasonPhrase::try_from(line).ok());
                let media_type = HeaderValue::from_static(media_type);
                Reply { reason, ..Reply::new(status, media_type, Content::Whole(body), length) }
            }
        };
        reply.headers.extend(answer.headers);
        Ok(reply)
    }

    /// A blob, or the part of it that was asked for.
    ///
    /// # Errors
    /// If it is not held, or not as it should be.
    pub(super) fn held(held: &Held, asked: Asked<'_>, site: &Site) -> Result<Reply, Problem> {
        let (headers, length) = (held.headers.clone(), held.size);
        let mut reply = Reply {
            status: StatusCode::OK,
            headers,
            content: Content::Empty,
            length,
            reason: None,
            failure: None,
        };
        let Some((start, end)) = reply.select(&held.tag, asked) else { return Ok(reply) };
        reply.content = match &held.bytes {
            Some(bytes) => Content::Whole(bytes.slice(within_memory(start, end))),
            None => {
                let blob = site.open_sized(&held.key, held.size)?;
                // HEAD gets the same headers, so the blob is looked at, but not read.
                if asked.is_get { body::part(blob, start, end)? } else { Content::Empty }
            }
        };
        Ok(reply)
    }

    /// A document, compressed if the client takes that.
    pub(super) fn document(
        media_type: HeaderValue,
        body: Bytes,
        vary: &str,
        asked: Asked<'_>,
        site: &Site,
    ) -> Reply {
        let kept = site.documents.kept(&body);
        let is_kept = kept.is_some();
        let document = kept.unwrap_or_else(|| std::sync::Arc::new(super::documents::Document::new(body)));
        let mut packed = None;
        if document.body.len() >= compression::WORTHWHILE && compression::accepts_gzip(asked.headers) {
            packed = document.packed(is_kept);
            if is_kept {
                site.documents.grown(&document);
            }
        }
        let digest = document.digest();
        let (tag, bytes) = match &packed {
            Some(packed) => (format!("\"{digest}-gzip\""), packed),
            None => (format!("\"{digest}\""), &document.body),
        };
        let mut reply = Reply::new(StatusCode::OK, media_type, Content::Empty, bytes.len() as u64);
        if packed.is_some() {
            reply.headers.insert(CONTENT_ENCODING, HeaderValue::from_static("gzip"));
        }
        reply.vary(vary);
        represent(&mut reply.headers, &tag);
        if let Some((start, end)) = reply.select(&tag, asked) {
            reply.content = Content::Whole(bytes.slice(within_memory(start, end)));
        }
        reply
    }

    /// A problem as a client may know it.
    ///
    /// `serve`: whose clients are to read it.
    pub(super) fn problem(problem: &Problem, serve: Option<&dyn Serve>) -> Reply {
        let status =
            StatusCode::from_u16(problem.kind.http_status()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        // A store that is damaged must not look like one that does not have a package: clients believe a 404.
        let status = match problem.code.as_ref() {
            "store.busy" => StatusCode::SERVICE_UNAVAILABLE,
            code if code.starts_with("store.") => StatusCode::INTERNAL_SERVER_ERROR,
            _ => status,
        };
        let body = |message: &str| match serve {
            Some(serve) => serve.error(status.as_u16(), message),
            None => own_error(message),
        };
        if !status.is_server_error() {
            return Reply::error(status, body(&problem.message));
        }
        let message = match status {
            StatusCode::SERVICE_UNAVAILABLE => "this is not available at the moment; try again later",
            _ => "the server failed to answer this; its log says why",
        };
        let causes: String = problem.causes.iter().map(|cause| format!(": {cause}")).collect();
        let failure = Some(format!("{}: {problem}{causes}", problem.code));
        Reply { failure, ..Reply::error(status, body(message)) }
    }

    /// An error of the server's own.
    fn error(status: StatusCode, body: Bytes) -> Reply {
        let length = body.len() as u64;
        Reply::new(status, HeaderValue::from_static("application/json"), Content::Whole(body), length)
    }

    /// JSON that nobody on the way may keep.
    pub(super) fn secret(status: StatusCode, body: Bytes) -> Reply {
        let mut reply = Reply::error(status, body);
        reply.headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
        reply
    }

    fn new(status: StatusCode, media_type: HeaderValue, content: Content, length: u64) -> Reply {
        let mut headers = HeaderMap::with_capacity(12);
        headers.insert(CONTENT_TYPE, media_type);
        // Names keep their meaning only until the next import: ask again, and be told 304.
        headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-cache"));
        // Packages are foreign: a browser must never run what one of them contains.
        headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
        headers.insert(CONTENT_SECURITY_POLICY, NOTHING);
        Reply { status, headers, content, length, reason: None, failure: None }
    }

    /// Allows a page its style.
    pub(super) fn with_policy(mut self, policy: HeaderValue) -> Reply {
        self.headers.insert(CONTENT_SECURITY_POLICY, policy);
        self
    }

    /// With another status.
    pub(super) fn with_status(mut self, status: StatusCode) -> Reply {
        self.status = status;
        self
    }

    fn vary(&mut self, by: &str) {
        let all = by.split(',').map(str::trim).filter(|name| !name.is_empty());
        let known = all.clone().any(|name| name.eq_ignore_ascii_case("accept-encoding") || name == "*");
        let names: Vec<&str> = all.chain((!known).then_some("Accept-Encoding")).collect();
        if let Ok(value) = HeaderValue::try_from(names.join(", ")) {
            self.headers.insert(VARY, value);
        }
    }

    /// Decides, for a representation of `self.length` bytes with this tag, which of them are to be sent; `None` if
    /// none are (304, 416).
    fn select(&mut self, tag: &str, asked: Asked<'_>) -> Option<(u64, u64)> {
        let whole = self.length;
        if conditional::is_held(asked.headers, tag, self.headers.get(LAST_MODIFIED)) {
            self.status = StatusCode::NOT_MODIFIED;
            self.length = 0;
            return None;
        }
        let range = asked.headers.get(RANGE).and_then(|value| value.to_str().ok());
        let modified = self.headers.get(LAST_MODIFIED);
        let range =
            range.filter(|_| asked.is_get && conditional::range_applies(asked.headers, tag, modified));
        match range.map_or(Range::Whole, |range| ranges::read(range, whole)) {
            Range::Whole => Some((0, whole)),
            Range::Part { start, end } => {
                self.status = StatusCode::PARTIAL_CONTENT;
                self.length = end - start;
                self.content_range(format!("bytes {start}-{}/{whole}", end.saturating_sub(1)));
                Some((start, end))
            }
            Range::Unsatisfiable => {
                self.status = StatusCode::RANGE_NOT_SATISFIABLE;
                self.length = 0;
                self.content_range(format!("bytes */{whole}"));
                None
            }
        }
    }

    fn content_range(&mut self, text: String) {
        if let Ok(value) = HeaderValue::try_from(text) {
            self.headers.insert(CONTENT_RANGE, value);
        }
    }

    /// The response, whose body reports to `completion`.
    pub(super) fn respond(mut self, is_head: bool, mut completion: Completion) -> Response<Body> {
        let bodiless = self.status == StatusCode::NOT_MODIFIED || self.status == StatusCode::NO_CONTENT;
        if !bodiless {
            self.headers.insert(CONTENT_LENGTH, HeaderValue::from(self.length));
        }
        if bodiless || is_head {
            self.content = Content::Empty;
        }
        let sent = if bodiless || is_head { 0 } else { self.length };
        completion.answered(self.status, sent, self.failure);
        let mut response = Response::new(Body::new(self.content, completion));
        *response.status_mut() = self.status;
        *response.headers_mut() = self.headers;
        if let Some(reason) = self.reason {
            response.extensions_mut().insert(reason);
        }
        response
    }
}

impl Held {
    /// A blob as it is answered with these headers of the ecosystem's own.
    pub(super) fn new(key: BlobKey, size: u64, media_type: String, own: HeaderMap) -> Held {
        let mut headers = Reply::new(StatusCode::OK, media_type_of(media_type), Content::Empty, size).headers;
        headers.extend(own);
        let tag = format!("\"{key}\"");
        represent(&mut headers, &tag);
        Held { headers, tag, key, size, bytes: None }
    }
}

/// What is said of everything that has an entity tag.
fn represent(headers: &mut HeaderMap, tag: &str) {
    if let Ok(value) = HeaderValue::try_from(tag) {
        headers.insert(ETAG, value);
    }
    headers.insert(ACCEPT_RANGES, HeaderValue::from_static("bytes"));
}

/// An error for clients of no ecosystem.
fn own_error(message: &str) -> Bytes {
    Bytes::from(serde_json::json!({ "error": message }).to_string())
}

/// A part of what stands in memory, so that its numbers fit.
fn within_memory(start: u64, end: u64) -> std::ops::Range<usize> {
    usize::try_from(start).unwrap_or(0)..usize::try_from(end).unwrap_or(0)
}

/// The media type of a blob comes from a bundle: it may be anything.
fn media_type_of(text: String) -> HeaderValue {
    HeaderValue::try_from(text)
        .ok()
        .filter(|value| !value.is_empty())
        .unwrap_or(HeaderValue::from_static("application/octet-stream"))
}
