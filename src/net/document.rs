//! Small documents: metadata, decoded by us, under a cap.

use bytes::Bytes;
use http::header::{
    ACCEPT, ACCEPT_ENCODING, CONTENT_TYPE, ETAG, HeaderName, IF_MODIFIED_SINCE, IF_NONE_MATCH, LAST_MODIFIED,
};
use http::{HeaderMap, HeaderValue};

use super::access::Access;
use super::body::Answer;
use super::client::Client;
use super::decode::{Decoder, Stop};
use super::error::{Fault, NetError};
use crate::problem::Problem;

/// What document is wanted.
#[derive(Debug, Clone, Copy)]
pub struct DocumentRequest<'a> {
    /// Where, and with which credential.
    pub access: &'a Access,
    /// The Accept header; empty for none in particular.
    pub accept: &'a str,
    /// The most bytes that the decoded document may have.
    pub limit: u64,
    /// What an earlier answer said of itself: if the document is still that one, it isn't sent again.
    pub held: Option<&'a Validators>,
}

/// What an answer says of itself, so that one can ask later whether it changed (RFC 9110, section 8.8).
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Validators {
    /// The ETag header, as it was sent.
    pub etag: Option<String>,
    /// The Last-Modified header, as it was sent.
    pub last_modified: Option<String>,
}

impl Validators {
    pub(super) fn of(headers: &HeaderMap) -> Validators {
        let text = |name| headers.get(name).and_then(|value| value.to_str().ok()).map(str::to_owned);
        Validators { etag: text(ETAG), last_modified: text(LAST_MODIFIED) }
    }
}

/// What became of a request for a document.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Document {
    /// It is still what is held.
    NotModified,
    /// Here it is.
    Found(Found),
    /// The server says that there is none (404, 410).
    NotFound,
}

/// A document.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    /// Its decoded bytes.
    pub bytes: Bytes,
    /// Its media type as the server said it; empty if it didn't.
    pub content_type: String,
    /// What to ask with next time.
    pub validators: Validators,
}

impl Client {
    /// Reads a small document.
    ///
    /// # Errors
    /// `net.too-large` over the limit; others of kind Unavailable when trying again did not help.
    pub async fn document(&self, request: &DocumentRequest<'_>) -> Result<Document, Problem> {
        let headers = headers(request);
        let mut budget = self.budget();
        loop {
            match self.document_once(request, &headers).await {
                Ok(document) => return Ok(document),
                Err(error) => budget.spend(error).await?,
            }
        }
    }

    async fn document_once(
        &self,
        request: &DocumentRequest<'_>,
        headers: &HeaderMap,
    ) -> Result<Document, NetError> {
        let answer = self.get(request.access, headers).await?;
        match answer.status().as_u16() {
            200 => Ok(Document::Found(read(answer, request.limit).await?)),
            304 if request.held.is_some() => Ok(Document::NotModified),
            404 | 410 => Ok(Document::NotFound),
            _ => Err(answer.refused()),
        }
    }
}

fn headers(request: &DocumentRequest<'_>) -> HeaderMap {
    let mut headers = HeaderMap::new();
    headers.insert(ACCEPT_ENCODING, HeaderValue::from_static("gzip"));
    // What no header can carry was not had from one, so nothing is lost by leaving it out.
    let mut insert = |name: HeaderName, value: Option<&str>| {
        if let Some(Ok(value)) = value.map(HeaderValue::from_str) {
            headers.insert(name, value);
        }
    };
    insert(ACCEPT, Some(request.accept).filter(|accept| !accept.is_empty()));
    insert(IF_NONE_MATCH, request.held.and_then(|held| held.etag.as_deref()));
    insert(IF_MODIFIED_SINCE, request.held.and_then(|held| held.last_modified.as_deref()));
    headers
}

async fn read(mut answer: Answer, limit: u64) -> Result<Found, NetError> {
    let too_large = || Fault::TooLarge { limit };
    let coding = answer.coding();
    let mut decoder = Decoder::new(&coding).ok_or_else(|| answer.error(Fault::Coding(coding.clone())))?;
    if answer.length().is_some_and(|length| length > limit) {
        return Err(answer.error(too_large()));
    }
    let mut bytes: Vec<u8> = Vec::new();
    let mut take = |piece: &[u8]| {
        if (bytes.len() + piece.len()) as u64 > limit {
            return Err(too_large());
        }
        bytes.extend_from_slice(piece);
        Ok(())
    };
    let fault = |stop| match stop {
        Stop::Taker(fault) => fault,
        Stop::Damaged(cause) => Fault::Damaged { coding: coding.clone(), cause: cause.to_string() },
    };
    while let Some(chunk) = answer.chunk().await? {
        decoder.feed(&chunk, &mut take).map_err(|stop| answer.error(fault(stop)))?;
    }
    decoder.finish(&mut take).map_err(|stop| answer.error(fault(stop)))?;
    let content_type = answer.header(CONTENT_TYPE).unwrap_or_default().to_owned();
    let validators = Validators::of(answer.headers());
    Ok(Found { bytes: bytes.into(), content_type, validators })
}
