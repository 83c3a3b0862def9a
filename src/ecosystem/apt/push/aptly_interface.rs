//! aptly's REST interface (aptly.info/doc/api), as far as packages are brought into it and published.

use std::time::Duration;

use bytes::Bytes;
use http::header::CONTENT_TYPE;
use http::{HeaderMap, HeaderValue, Method};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use url::Url;

use super::access_to_write;
use crate::ecosystem::apt::credentials::Ways;
use crate::ecosystem::push::PushContext;
use crate::net::{Document, DocumentAnswer, Encoding, FilePart, Payload, Unsent, Upload, Validators};
use crate::problem::{Kind, Problem};

/// The longest answer that is read, in bytes: the keys of half a million packages.
const LONGEST_ANSWER: u64 = 64 << 20;
/// How often it is asked whether a task has ended.
const PAUSE: Duration = Duration::from_millis(300);
/// So many characters of what aptly says of an error are shown.
const SHOWN: usize = 500;
/// What separates the parts of a form; no package begins a line so.
const BOUNDARY: &str = "aftk-5f1d7a2c94b84e0f8a6b3c0d";

/// An aptly.
pub(super) struct Interface<'a> {
    /// `https://aptly.example.test/api/`
    pub(super) api: Url,
    pub(super) ways: Ways,
    pub(super) context: &'a dyn PushContext,
}

/// A package as aptly shows it.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Shown {
    #[serde(rename = "SHA256")]
    pub(super) sha256: String,
    /// Of a source package: a line a file.
    #[serde(rename = "Checksums-Sha256")]
    pub(super) checksums: String,
}

/// What became of files that were added to a repository.
#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "PascalCase")]
pub(super) struct Added {
    pub(super) failed_files: Vec<String>,
    pub(super) report: Report,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "PascalCase")]
pub(super) struct Report {
    pub(super) warnings: Vec<String>,
}

/// A suite that is published.
#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "PascalCase")]
pub(super) struct Publication {
    pub(super) prefix: String,
    pub(super) distribution: String,
    pub(super) source_kind: String,
    pub(super) sources: Vec<Source>,
}

/// A local repository as a component.
#[derive(Debug, Default, Clone, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(default, rename_all = "PascalCase")]
pub(super) struct Source {
    pub(super) component: String,
    pub(super) name: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Task {
    #[serde(rename = "ID")]
    id: u64,
    state: u8,
}

/// The states of a task that has ended.
const SUCCEEDED: u8 = 2;
const FAILED: u8 = 3;

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Ended {
    value: Value,
}

/// A segment of a path, as it is.
pub(super) fn segment(text: &str) -> String {
    const ESCAPED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');
    utf8_percent_encode(text, ESCAPED).to_string()
}

/// A prefix or distribution in a path: slashes are underscores there.
pub(super) fn flattened(text: &str) -> String {
    segment(&text.replace('_', "__").replace('/', "_"))
}

impl Interface<'_> {
    /// What stands at a path below `/api/`; `None` if nothing does.
    pub(super) async fn get<T: DeserializeOwned>(&self, path: &str) -> Result<Option<T>, Problem> {
        let url = self.url(path)?;
        let access = access_to_write(&self.ways, url.clone(), self.context).await?;
        let (client, held) = (self.context.client(), Validators::default());
        match client.document(&access, "application/json", LONGEST_ANSWER, true, &held).await? {
            DocumentAnswer::Found(Document { bytes, .. }) => {
                serde_json::from_slice(&bytes).map(Some).map_err(|error| foreign(&url, &error))
            }
            DocumentAnswer::NotFound | DocumentAnswer::NotModified => Ok(None),
        }
    }

    /// Lets it do something, and waits until that is done: what it says of it.
    pub(super) async fn act<T: DeserializeOwned>(
        &self,
        method: Method,
        path: &str,
        order: Option<Value>,
    ) -> Result<T, Problem> {
        let mut url = self.url(path)?;
        // Adding and publishing take longer than an answer may.
        url.set_query(Some("_async=true"));
        let (payload, headers) = match order {
            None => (Payload::Nothing, HeaderMap::new()),
            Some(order) => (Payload::Bytes(order.to_string().into()), said_to_be("application/json")),
        };
        let (status, said) = self.send(method, url.clone(), headers, payload).await?;
        let read =
            |bytes: &[u8]| serde_json::from_slice::<Value>(bytes).map_err(|error| foreign(&url, &error));
        let value = match status {
            202 => {
                let task: Task = serde_json::from_slice(&said).map_err(|error| foreign(&url, &error))?;
                self.ended(task, &url).await?
            }
            // Older ones know nothing of tasks.
            _ if said.is_empty() => Value::Null,
            _ => read(&said)?,
        };
        serde_json::from_value(value).map_err(|error| foreign(&url, &error))
    }

    async fn ended(&self, mut task: Task, url: &Url) -> Result<Value, Problem> {
        let path = format!("tasks/{}", task.id);
        let gone = || {
            Problem::new(Kind::Failed, "push.aptly", "aptly has forgotten what it was asked to do").at(url)
        };
        while task.state != SUCCEEDED && task.state != FAILED {
            tokio::time::sleep(PAUSE).await;
            task = self.get(&path).await?.ok_or_else(gone)?;
        }
        let ended: Option<Ended> = self.get(&format!("{path}/return_value")).await?;
        let said: Option<String> = self.get(&format!("{path}/output")).await?;
        // Else aptly would keep it for ever.
        self.send(Method::DELETE, self.url(&path)?, HeaderMap::new(), Payload::Nothing).await?;
        match task.state {
            SUCCEEDED => Ok(ended.map_or(Value::Null, |ended| ended.value)),
            _ => Err(refused(url).because(shown(&said.unwrap_or_default()))),
        }
    }

    /// Uploads a file into a folder of files that are to be added.
    pub(super) async fn upload(&self, folder: &str, name: &str, file: FilePart) -> Result<(), Problem> {
        let before = format!(
            "--{BOUNDARY}\r\nContent-Disposition: form-data; name=\"file\"; filename=\"{name}\"\r\nContent-Type: \
             application/octet-stream\r\n\r\n"
        );
        let payload = Payload::Between {
            before: before.into(),
            file,
            encoding: Encoding::Plain,
            after: Bytes::from(format!("\r\n--{BOUNDARY}--\r\n")),
        };
        let headers = said_to_be(&format!("multipart/form-data; boundary={BOUNDARY}"));
        let url = self.url(&format!("files/{}", segment(folder)))?;
        self.send(Method::POST, url, headers, payload).await.map(drop)
    }

    /// Removes a folder of files that are to be added, be it there or not.
    pub(super) async fn clear(&self, folder: &str) -> Result<(), Problem> {
        let url = self.url(&format!("files/{}", segment(folder)))?;
        self.send(Method::DELETE, url, HeaderMap::new(), Payload::Nothing).await.map(drop)
    }

    /// All that is sent may be sent again: the same files, the same packages, the same suite.
    async fn send(
        &self,
        method: Method,
        url: Url,
        headers: HeaderMap,
        payload: Payload,
    ) -> Result<(u16, Bytes), Problem> {
        let access = access_to_write(&self.ways, url.clone(), self.context).await?;
        let upload = Upload { method, access: &access, headers, payload };
        let mut attempts = self.context.client().attempts();
        loop {
            match self.context.client().send(&upload, &[200, 201, 202]).await {
                Ok(sent) => return Ok((sent.status(), sent.words().clone())),
                Err(unsent) => attempts.again(unsent).await.map_err(explained)?,
            }
        }
    }

    fn url(&self, path: &str) -> Result<Url, Problem> {
        self.api.join(path).map_err(|error| foreign(&self.api, &error))
    }
}

fn said_to_be(media_type: &str) -> HeaderMap {
    let value = HeaderValue::try_from(media_type).ok();
    value.into_iter().map(|value| (CONTENT_TYPE, value)).collect()
}

fn refused(url: &Url) -> Problem {
    Problem::new(Kind::Failed, "push.aptly", "aptly could not do what it was asked to").at(url)
}

/// A refusal with aptly's own words for it.
fn explained(unsent: Unsent) -> Problem {
    #[derive(Deserialize)]
    struct Words {
        error: String,
    }
    let words = serde_json::from_slice::<Words>(unsent.words()).ok();
    let problem = Problem::from(unsent);
    match words {
        Some(words) => problem.because(shown(&words.error)),
        None => problem,
    }
}

/// What aptly says, so that a terminal shows it and does nothing else.
pub(super) fn shown(text: &str) -> String {
    let line = text.split_whitespace().collect::<Vec<_>>().join(" ");
    // Quotes are harmless, and aptly's words are full of them.
    line.chars()
        .take(SHOWN)
        .collect::<String>()
        .escape_debug()
        .to_string()
        .replace("\\'", "'")
        .replace("\\\"", "\"")
}

fn foreign(url: &Url, error: &dyn std::error::Error) -> Problem {
    Problem::new(Kind::Failed, "push.aptly", "this answers otherwise than aptly")
        .at(url)
        .because(error.to_string())
        .hint("name the address where `aptly api serve` listens, without /api")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_written_as_aptly_reads_them_in_paths() {
        assert_eq!(flattened("linux_x/bookworm"), "linux__x_bookworm");
        assert_eq!(segment("Pamd64 hello 1:2+b1 0a"), "Pamd64%20hello%201%3A2%2Bb1%200a");
        assert_eq!(shown("a\n\u{1b}[31mb"), "a \\u{1b}[31mb");
    }
}
