//! Small documents: metadata, decoded by us, under a cap.

use bytes::Bytes;
use http::header::{
    ACCEPT, ACCEPT_ENCODING, CACHE_CONTROL, CONTENT_TYPE, ETAG, HeaderName, IF_MODIFIED_SINCE, IF_NONE_MATCH,
    LAST_MODIFIED, LINK,
};
use http::{HeaderMap, HeaderValue, Method};
use url::Url;

use super::access::Access;
use super::body::Answer;
use super::client::Client;
use super::decode::{Decoder, Stop};
use super::error::{Fault, NetError};
use super::payload::Payload;
use crate::problem::Problem;

/// What an answer says of itself, so that one can ask later whether it changed (RFC 9110, section 8.8).
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Validators {
    /// The ETag header, as it was sent.
    pub etag: Option<String>,
    /// The Last-Modified header, as it was sent.
    pub last_modified: Option<String>,
}

impl Validators {
    pub(super) fn of(answer: &Answer) -> Validators {
        let text = |name| answer.header(name).map(str::to_owned);
        Validators { etag: text(ETAG), last_modified: text(LAST_MODIFIED) }
    }
}

/// What became of a request for a document.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DocumentAnswer {
    /// It is still what is held.
    NotModified,
    /// Here it is.
    Found(Document),
    /// The server says that there is none (404, 410), or not of its own ([`Route::same_origin`](super::Route)).
    NotFound,
}

/// A document as it was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Document {
    /// Its decoded bytes.
    pub bytes: Bytes,
    /// Its media type as the server said it; empty if it didn't.
    pub content_type: String,
    /// The ETag header, as it was sent: for [`Validators`].
    pub etag: Option<String>,
    /// The Last-Modified header, as it was sent: for [`Validators`].
    pub last_modified: Option<String>,
    /// Where a list goes on (RFC 8288, `rel="next"`); only at the same server, whoever else is named.
    pub next: Option<Url>,
}

impl Client {
    /// Reads a small document: at most `limit` decoded bytes. `accept` is the Accept header, empty for none
    /// in particular. With `fresh`, caches on the way have to ask the server (RFC 9111, section 5.2.1.4). `held` is what an earlier answer said of itself, empty if none is held: if the document
    /// is still that one, it isn't sent again.
    ///
    /// # Errors
    /// `net.too-large` over the limit; others of kind Unavailable when trying again did not help.
    pub async fn document(
        &self,
        access: &Access,
        accept: &str,
        limit: u64,
        fresh: bool,
        held: &Validators,
    ) -> Result<DocumentAnswer, Problem> {
        let mut headers = headers(accept, held);
        if fresh {
            headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-cache"));
        }
        let mut budget = self.budget();
        loop {
            match self.document_once(access, &headers, limit).await {
                Ok(document) => return Ok(document),
                Err(error) => budget.spend(error).await?,
            }
        }
    }

    /// Asks with a JSON document (POST) and reads the answer, of at most `limit` decoded bytes; `None`, if the server takes
    /// no such question (404, 405, 410).
    ///
    /// # Errors
    /// As [`Client::document`].
    pub async fn answer(
        &self,
        access: &Access,
        limit: u64,
        question: Bytes,
    ) -> Result<Option<Document>, Problem> {
        let mut headers = headers("application/json", &Validators::default());
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        let payload = Payload::Bytes(question);
        let mut budget = self.budget();
        loop {
            match self.answer_once(access, &headers, limit, &payload).await {
                Ok(answer) => return Ok(answer),
                Err(error) => budget.spend(error).await?,
            }
        }
    }

    async fn answer_once(
        &self,
        access: &Access,
        headers: &HeaderMap,
        limit: u64,
        payload: &Payload,
    ) -> Result<Option<Document>, NetError> {
        let answer = self.ask_with(Method::POST, access, headers, payload).await?;
        match answer.status().as_u16() {
            200 => read(answer, limit).await.map(Some),
            404 | 405 | 410 => Ok(None),
            _ => Err(answer.refused()),
        }
    }

    async fn document_once(
        &self,
        access: &Access,
        headers: &HeaderMap,
        limit: u64,
    ) -> Result<DocumentAnswer, NetError> {
        let conditional = headers.contains_key(IF_NONE_MATCH) || headers.contains_key(IF_MODIFIED_SINCE);
        let answer = self.ask(Method::GET, access, headers).await?;
        match answer.status().as_u16() {
            200 => Ok(DocumentAnswer::Found(read(answer, limit).await?)),
            304 if conditional => Ok(DocumentAnswer::NotModified),
            404 | 410 => Ok(DocumentAnswer::NotFound),
            300..=399 if access.route.same_origin => Ok(DocumentAnswer::NotFound),
            _ => Err(answer.refused()),
        }
    }
}

fn headers(accept: &str, held: &Validators) -> HeaderMap {
    let mut headers = HeaderMap::new();
    headers.insert(ACCEPT_ENCODING, HeaderValue::from_static("gzip"));
    // What no header can carry was not had from one, so nothing is lost by leaving it out.
    let mut insert = |name: HeaderName, value: Option<&str>| {
        if let Some(Ok(value)) = value.map(HeaderValue::from_str) {
            headers.insert(name, value);
        }
    };
    insert(ACCEPT, Some(accept).filter(|accept| !accept.is_empty()));
    insert(IF_NONE_MATCH, held.etag.as_deref());
    insert(IF_MODIFIED_SINCE, held.last_modified.as_deref());
    headers
}

pub(super) async fn read(mut answer: Answer, limit: u64) -> Result<Document, NetError> {
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
    let Validators { etag, last_modified } = Validators::of(&answer);
    let next = answer.header(LINK).and_then(|links| next(&answer.url, links));
    Ok(Document { bytes: bytes.into(), content_type, etag, last_modified, next })
}

/// The address of the next page, of a Link header such as `</v2/_catalog?last=x>; rel="next"`.
fn next(from: &Url, links: &str) -> Option<Url> {
    let mut rest = links;
    while let Some((target, after)) = rest.split_once('<').and_then(|(_, rest)| rest.split_once('>')) {
        let parameters = after.split(',').next().unwrap_or_default();
        let is_next = parameters.split(';').any(|parameter| {
            let parameter: String = parameter.split_whitespace().collect();
            let relation = parameter.strip_prefix("rel=").map(|value| value.trim_matches('"'));
            relation.is_some_and(|relation| relation.eq_ignore_ascii_case("next"))
        });
        if is_next {
            return from.join(target).ok().filter(|to| to.origin() == from.origin());
        }
        rest = after;
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_goes_on_at_the_same_server() {
        let from = Url::parse("https://registry.example.test/v2/a/tags/list?n=2").unwrap();
        let found = |links: &str| next(&from, links).map(String::from);
        let expected = Some("https://registry.example.test/v2/a/tags/list?n=2&last=b".to_owned());
        assert_eq!(found("</v2/a/tags/list?n=2&last=b>; rel=\"next\""), expected);
        assert_eq!(found("</x>; rel=prev, <?n=2&last=b>;title=\"x\"; rel=Next"), expected);
        for none in [
            "",
            "</x>",
            "</x>; rel=\"prev\"",
            "<https://other.example.test/x>; rel=next",
            "<//o/x>; rel=next",
            "<",
        ] {
            assert_eq!(found(none), None, "{none}");
        }
    }
}
