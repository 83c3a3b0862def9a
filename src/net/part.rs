//! A part of a file: for who needs a few of its bytes.

use bytes::Bytes;
use http::header::{ACCEPT_ENCODING, CONTENT_RANGE, RANGE};
use http::{HeaderMap, HeaderValue, Method};

use super::access::Access;
use super::client::Client;
use super::download::ContentRange;
use super::error::{Fault, NetError};
use crate::problem::Problem;

/// Which bytes of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Span {
    /// The last so many, or all.
    Last(u64),
    /// So many from a place on, or as many as there are.
    From(u64, u64),
}

/// Bytes of a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Part {
    /// Where the first one is.
    pub first: u64,
    /// How many the file has.
    pub total: u64,
    /// The bytes.
    pub bytes: Bytes,
}

/// What became of a request for a part.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PartAnswer {
    /// Here it is.
    Found(Part),
    /// The server sends files whole, or not at all.
    Whole,
    /// The server says that there is none (404, 410).
    NotFound,
}

impl Client {
    /// Reads a part of a file.
    ///
    /// # Errors
    /// As [`Client::document`].
    pub async fn part(&self, access: &Access, span: Span) -> Result<PartAnswer, Problem> {
        let mut budget = self.budget();
        loop {
            match self.part_once(access, span).await {
                Ok(part) => return Ok(part),
                Err(error) => budget.spend(error).await?,
            }
        }
    }

    async fn part_once(&self, access: &Access, span: Span) -> Result<PartAnswer, NetError> {
        let (range, length) = match span {
            Span::Last(length) => (format!("bytes=-{length}"), length),
            Span::From(first, length) => {
                let last = first.saturating_add(length).saturating_sub(1);
                (format!("bytes={first}-{last}"), length)
            }
        };
        let mut headers = HeaderMap::new();
        headers.insert(ACCEPT_ENCODING, HeaderValue::from_static("identity"));
        headers.extend(HeaderValue::from_str(&range).map(|range| (RANGE, range)));
        let mut answer = self.ask(Method::GET, access, &headers).await?;
        match answer.status().as_u16() {
            206 => {}
            // Whoever knows no ranges says 200; who knows none that count from the end, 416 or 501.
            200 | 416 | 501 => return Ok(PartAnswer::Whole),
            404 | 410 => return Ok(PartAnswer::NotFound),
            _ => return Err(answer.refused()),
        }
        let range = answer.header(CONTENT_RANGE).and_then(ContentRange::parse);
        let (Some(first), Some(total)) =
            (range.as_ref().and_then(|range| range.first), range.and_then(|range| range.total))
        else {
            return Ok(PartAnswer::Whole);
        };
        if let Span::From(asked, _) = span
            && asked != first
        {
            return Err(
                answer.error(Fault::Protocol("it sent another range than the one that was asked for"))
            );
        }
        if !answer.coding().is_empty() {
            return Ok(PartAnswer::Whole);
        }
        let mut bytes = Vec::new();
        while let Some(chunk) = answer.chunk().await? {
            if (bytes.len() + chunk.len()) as u64 > length {
                return Err(answer.error(Fault::TooLarge { limit: length }));
            }
            bytes.extend_from_slice(&chunk);
        }
        Ok(PartAnswer::Found(Part { first, total, bytes: bytes.into() }))
    }
}
