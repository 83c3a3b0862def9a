//! Uploading blobs: looked for, mounted, sent whole, and in pieces where a registry wants that.

use std::sync::Arc;

use bundle_format::Digest;
use http::header::{CONTENT_RANGE, CONTENT_TYPE};
use http::{HeaderName, Method};
use url::Url;

use super::plan::Blob;
use super::registry::Repository;
use crate::ecosystem::push::PartState;
use crate::events::Happening;
use crate::net::{Access, Attempts, FilePart, Payload, Sent, Unsent};
use crate::problem::{Kind, Problem};

/// The size of a piece in bytes, unless the registry wants larger ones.
const PIECE: u64 = 32 * 1024 * 1024;
/// The largest piece that a registry may want.
const LARGEST_PIECE: u64 = 1024 * 1024 * 1024;
/// Statuses that say that blobs are not taken whole, by whichever word.
const NOT_WHOLE: [u16; 6] = [404, 405, 411, 413, 416, 501];
/// Statuses that say that a mount is not to be had; then it is an upload like others.
const NO_MOUNT: [u16; 8] = [202, 400, 401, 403, 404, 405, 500, 501];
const TAKEN: [u16; 4] = [200, 201, 202, 204];

/// How a blob goes out.
enum Way {
    /// In one request.
    Whole,
    /// In pieces.
    Pieces(Option<Session>),
}

/// An upload in pieces.
struct Session {
    location: Url,
    /// How much of it the registry has.
    offset: u64,
    piece: u64,
}

/// What is sent.
struct Content {
    file: Arc<std::fs::File>,
    progress: Arc<dyn Fn(u64) + Send + Sync>,
}

impl Content {
    fn part(&self, from: u64, length: u64) -> Payload {
        let (file, progress) = (self.file.clone(), self.progress.clone());
        if length == 0 { Payload::Nothing } else { Payload::File(FilePart { file, from, length, progress }) }
    }
}

fn octets() -> (HeaderName, String) {
    (CONTENT_TYPE, "application/octet-stream".to_owned())
}

impl Repository<'_> {
    /// Sees to it that the repository has a blob.
    ///
    /// # Errors
    /// If the registry refuses it, or trying again did not help.
    pub(super) async fn push_blob(&self, blob: &Blob) -> Result<PartState, Problem> {
        let place = self.target.place(&blob.digest);
        // Held meanwhile: whoever wants to push the same elsewhere waits, and mounts it then.
        let mut known = place.lock().await;
        let context = self.target.context;
        let events = context.machine().events();
        let item = format!("{} {}", self.name, blob.digest);
        let mut attempts = context.client().attempts();
        let mut way = Way::Whole;
        let (mut content, mut furthest) = (None, 0);
        let state = loop {
            match self.try_blob(blob, known.as_deref(), &mut content, &mut way).await {
                Ok(state) => break state,
                Err(Stopped::Here(problem)) => return Err(problem),
                Err(Stopped::There(unsent)) => {
                    self.go_on(unsent, &mut attempts, &way, &mut furthest)
                        .await
                        .map_err(|unsent| self.explain(unsent, &format!("the blob {}", blob.digest)))?;
                }
            }
        };
        if state != PartState::Missing {
            *known = Some(self.name.path.clone());
        }
        events.emit(Happening::ItemState { item: item.clone(), state: state.word().to_owned() });
        if state == PartState::Pushed {
            events.emit(Happening::ItemDone { item });
        }
        Ok(state)
    }

    /// Waits for the next attempt; those before no longer count once it got further.
    async fn go_on(
        &self,
        unsent: Unsent,
        attempts: &mut Attempts,
        way: &Way,
        furthest: &mut u64,
    ) -> Result<(), Unsent> {
        if let Way::Pieces(Some(session)) = way
            && session.offset > *furthest
        {
            *furthest = session.offset;
            attempts.refill();
        }
        attempts.again(unsent).await
    }

    async fn try_blob(
        &self,
        blob: &Blob,
        elsewhere: Option<&str>,
        content: &mut Option<Content>,
        way: &mut Way,
    ) -> Result<PartState, Stopped> {
        if self.is_to_come {
            return Ok(PartState::Missing);
        }
        let there = self.access(&format!("blobs/{}", blob.digest)).await?;
        if self.send(Method::HEAD, &there, &[], Payload::Nothing, &[200, 404]).await?.status() == 200 {
            return Ok(PartState::Exists);
        }
        if self.target.order.dry_run {
            return Ok(PartState::Missing);
        }
        if let Some(other) = elsewhere.filter(|other| *other != self.name.path)
            && self.mount(blob, other).await?
        {
            return Ok(PartState::Mounted);
        }
        let content = match content {
            Some(content) => content,
            None => content.insert(self.open(blob).await?),
        };
        let access = self.access("blobs/uploads/").await?;
        if let Way::Whole = way {
            let location = self.begin(&access).await?.0;
            let to = Access { url: with_digest(location, &blob.digest), ..access.clone() };
            let whole = content.part(0, blob.size);
            let headers = [octets()];
            match self.send(Method::PUT, &to, &headers, whole, &TAKEN).await {
                Ok(sent) => return Ok(self.taken(&sent, blob)?),
                Err(unsent) if unsent.status().is_some_and(|status| NOT_WHOLE.contains(&status)) => {
                    *way = Way::Pieces(None);
                }
                Err(unsent) => return Err(unsent.into()),
            }
        }
        let Way::Pieces(session) = way else { return Ok(PartState::Missing) };
        self.in_pieces(blob, content, &access, session).await
    }

    async fn in_pieces(
        &self,
        blob: &Blob,
        content: &Content,
        access: &Access,
        kept: &mut Option<Session>,
    ) -> Result<PartState, Stopped> {
        let resumed = match kept.take() {
            Some(session) => self.resume(access, session, blob.size).await?,
            None => None,
        };
        let session = match resumed {
            Some(session) => kept.insert(session),
            None => {
                let (location, piece) = self.begin(access).await?;
                kept.insert(Session { location, offset: 0, piece })
            }
        };
        while session.offset < blob.size {
            let length = session.piece.min(blob.size - session.offset);
            let to = Access { url: session.location.clone(), ..access.clone() };
            let range = format!("{}-{}", session.offset, session.offset + length - 1);
            let headers = [octets(), (CONTENT_RANGE, range)];
            let piece = content.part(session.offset, length);
            let sent = self.send(Method::PATCH, &to, &headers, piece, &TAKEN).await?;
            session.offset += length;
            if let Some(location) = self.location(&sent)? {
                session.location = location;
            }
        }
        let to = Access { url: with_digest(session.location.clone(), &blob.digest), ..access.clone() };
        let sent = self.send(Method::PUT, &to, &[octets()], Payload::Nothing, &TAKEN).await;
        // Whatever became of it, this session is over.
        *kept = None;
        Ok(self.taken(&sent?, blob)?)
    }

    /// Asks how far an upload got; `None` if it has to begin anew.
    async fn resume(&self, access: &Access, session: Session, size: u64) -> Result<Option<Session>, Unsent> {
        let at = Access { url: session.location.clone(), ..access.clone() };
        let asked = self.send(Method::GET, &at, &[], Payload::Nothing, &[200, 202, 204]).await;
        let answer = match asked {
            Ok(answer) => answer,
            Err(unsent) if unsent.status().is_some_and(|status| (400..500).contains(&status)) => {
                return Ok(None);
            }
            Err(unsent) => return Err(unsent),
        };
        // `0-0` is what registries say of nothing as well as of one byte, so nothing is taken for granted then.
        let end = answer.header("range").and_then(|range| range.rsplit_once('-')?.1.parse().ok());
        let offset =
            end.and_then(|end: u64| end.checked_add(1)).filter(|offset| *offset > 1 && *offset <= size);
        let location = self.location(&answer)?.unwrap_or(session.location);
        Ok(offset.map(|offset| Session { location, offset, piece: session.piece }))
    }

    /// Begins an upload: where it goes on, and the size of pieces that is wanted there.
    async fn begin(&self, access: &Access) -> Result<(Url, u64), Stopped> {
        let sent = self.send(Method::POST, access, &[], Payload::Nothing, &[200, 201, 202, 204]).await?;
        let least = sent.header("oci-chunk-min-length").and_then(|length| length.parse().ok());
        let piece = least.unwrap_or(0).clamp(PIECE, LARGEST_PIECE);
        match self.location(&sent)? {
            Some(location) => Ok((location, piece)),
            None => Err(Stopped::Here(odd("it does not say where the upload goes on", access))),
        }
    }

    /// Asks the registry to take a blob from another of its repositories; whether it did.
    async fn mount(&self, blob: &Blob, other: &str) -> Result<bool, Stopped> {
        let mut access = self.access_also("blobs/uploads/", Some(other)).await?;
        access
            .url
            .query_pairs_mut()
            .append_pair("mount", &blob.digest.to_string())
            .append_pair("from", other);
        match self.send(Method::POST, &access, &[], Payload::Nothing, &[201]).await {
            Ok(_) => Ok(true),
            Err(unsent) if unsent.status().is_some_and(|status| NO_MOUNT.contains(&status)) => Ok(false),
            Err(unsent) => Err(unsent.into()),
        }
    }

    async fn open(&self, blob: &Blob) -> Result<Content, Problem> {
        let context = self.target.context;
        let file =
            context.open(&blob.key).await?.filter(|file| file.length == blob.size).ok_or_else(|| {
                let message = format!("the store does not have the blob {} whole", blob.key);
                Problem::new(Kind::Incomplete, "oci.missing-part", message)
                    .hint("run `aftk check`, then collect or import again")
            })?;
        let item = format!("{} {}", self.name, blob.digest);
        let events = context.machine().events();
        events.emit(Happening::ItemStart { item: item.clone(), bytes: Some(blob.size) });
        events.emit(Happening::ItemState { item, state: "uploading".to_owned() });
        Ok(Content { file: Arc::new(file.file), progress: context.progress() })
    }

    /// Whether what a registry says to have taken is what was sent.
    fn taken(&self, sent: &Sent, blob: &Blob) -> Result<PartState, Problem> {
        match sent.header("docker-content-digest") {
            Some(other) if other.starts_with("sha") && other != blob.digest.to_string() => {
                let message = format!("the registry says to have got another blob than {}", blob.digest);
                Err(Problem::new(Kind::Untrusted, "oci.digest-mismatch", message)
                    .at(&self.name)
                    .hint("something on the way changes uploads: ask whoever runs that registry, or the proxy before it"))
            }
            _ => Ok(PartState::Pushed),
        }
    }
}

fn with_digest(mut location: Url, digest: &Digest) -> Url {
    location.query_pairs_mut().append_pair("digest", &digest.to_string());
    location
}

fn odd(why: &str, access: &Access) -> Problem {
    Problem::new(
        Kind::Unavailable,
        "oci.no-registry-answer",
        "what answers there is no registry that can be pushed to",
    )
    .at(crate::net::redact(&access.url))
    .because(why)
}

/// Why an attempt ended.
enum Stopped {
    /// Trying again does not help.
    Here(Problem),
    /// The network or the registry was in the way.
    There(Unsent),
}

impl From<Problem> for Stopped {
    fn from(problem: Problem) -> Stopped {
        Stopped::Here(problem)
    }
}

impl From<Unsent> for Stopped {
    fn from(unsent: Unsent) -> Stopped {
        Stopped::There(unsent)
    }
}
