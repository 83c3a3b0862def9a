//! What a server says of a file without sending it.

use http::header::{ACCEPT, ACCEPT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE};
use http::{HeaderMap, HeaderValue, Method};

use super::access::Access;
use super::body::header_text;
use super::client::Client;
use super::error::NetError;
use crate::problem::Problem;

/// What a server says of a file.
#[derive(Debug, Clone)]
pub struct Head(HeaderMap);

impl Head {
    /// The media type; empty if it is not told.
    pub fn content_type(&self) -> &str {
        self.header(CONTENT_TYPE.as_str()).unwrap_or_default()
    }

    /// How many bytes it has, if that is told.
    pub fn length(&self) -> Option<u64> {
        self.header(CONTENT_LENGTH.as_str())?.parse().ok()
    }

    /// A header by its name in lower case, as it was sent: nobody has checked that it is true. `None` if it is absent,
    /// longer than 1 KiB or not plain ASCII.
    pub fn header(&self, name: &str) -> Option<&str> {
        header_text(&self.0, name)
    }
}

impl Client {
    /// Asks what a server says of a file. `accept` is the Accept header, empty for none in particular. `Ok(None)` if it
    /// says that there is none (404, 410).
    ///
    /// # Errors
    /// As [`Client::document`]; `net.status` also where a server does not answer HEAD (405): ask for the file itself.
    pub async fn head(&self, access: &Access, accept: &str) -> Result<Option<Head>, Problem> {
        let mut budget = self.budget();
        loop {
            match self.head_once(access, accept).await {
                Ok(head) => return Ok(head),
                Err(error) => budget.spend(error).await?,
            }
        }
    }

    /// Asks how large a file is, once; `None` if the server does not say, for whatever reason.
    pub async fn size(&self, access: &Access) -> Option<u64> {
        self.head_once(access, "").await.ok()??.length()
    }

    async fn head_once(&self, access: &Access, accept: &str) -> Result<Option<Head>, NetError> {
        // The length of the file itself is wanted, not that of a compressed one.
        let mut headers = HeaderMap::from_iter([(ACCEPT_ENCODING, HeaderValue::from_static("identity"))]);
        if let Some(Ok(accept)) = Some(accept).filter(|accept| !accept.is_empty()).map(HeaderValue::from_str)
        {
            headers.insert(ACCEPT, accept);
        }
        let answer = self.ask(Method::HEAD, access, &headers).await?;
        match answer.status().as_u16() {
            200 => Ok(Some(Head(answer.headers().clone()))),
            404 | 410 => Ok(None),
            _ => Err(answer.refused()),
        }
    }
}
