//! What all connections share, and how one request is answered.

use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bundle_format::{BlobKey, Repository};
use bytes::{Bytes, BytesMut};
use http::request::Parts;
use http::{Method, Request, Response, StatusCode};
use http_body_util::BodyExt as _;
use hyper::body::{Body as _, Incoming};

use super::access_log::{AccessLog, Completion};
use super::body::Body;
use super::context::Context;
use super::documents::Documents;
use super::guard::Phase;
use super::metrics::Metrics;
use super::misses::Misses;
use super::mount::{Destination, Mounts};
use super::origin::{self, Ends, Origin};
use super::pages::Pages;
use super::reply::{Asked, Refusal, Reply};
use super::route::Path;
use crate::blocking::blocking;
use crate::ecosystem::{ClientRequest, Principal};
use crate::problem::{Kind, Problem};
use crate::store::{BlobFile, Blobs, Catalogue, Revision};

/// The largest body of a request in bytes.
const BODY_LIMIT: usize = 1024 * 1024;
/// How long a body that nobody wants is read, so that the client can read why.
const DRAIN: Duration = Duration::from_secs(2);

/// What all connections share.
pub(super) struct Site {
    pub(super) blobs: Arc<dyn Blobs>,
    pub(super) catalogue: Arc<dyn Catalogue>,
    pub(super) mounts: Mounts,
    pub(super) pages: Pages,
    pub(super) documents: Documents,
    pub(super) misses: Misses,
    pub(super) metrics: Metrics,
    pub(super) log: Option<AccessLog>,
    pub(super) trusted_proxies: Vec<IpAddr>,
    pub(super) body_timeout: Duration,
    pub(super) repositories: Mutex<Option<(Revision, Arc<Vec<Repository>>)>>,
}

impl std::fmt::Debug for Site {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Site")
    }
}

impl Site {
    /// Opens a blob that must be there.
    pub(super) fn open(&self, key: &BlobKey) -> Result<BlobFile, Problem> {
        self.blobs.open(key)?.ok_or_else(|| crate::store::StoreError::Missing(*key).into())
    }

    /// The repositories at a revision.
    pub(super) fn repositories(&self, revision: Revision) -> Result<Arc<Vec<Repository>>, Problem> {
        let known = self.repositories.lock().unwrap_or_else(PoisonError::into_inner).clone();
        if let Some((at, repositories)) = known
            && at == revision
        {
            return Ok(repositories);
        }
        let repositories = Arc::new(self.catalogue.repositories()?);
        *self.repositories.lock().unwrap_or_else(PoisonError::into_inner) =
            Some((revision, Arc::clone(&repositories)));
        Ok(repositories)
    }

    /// Answers a request.
    pub(super) async fn respond(
        self: Arc<Site>,
        ends: Ends,
        phase: Arc<Phase>,
        request: Request<Incoming>,
    ) -> Response<Body> {
        let (parts, mut body) = request.into_parts();
        let client = origin::client(&parts.headers, ends, &self.trusted_proxies);
        let completion = Completion::begin(Arc::clone(&self), phase, client, &parts);
        let is_head = parts.method == Method::HEAD;
        let waits = parts.headers.contains_key(http::header::EXPECT);
        let reply = match self.answer(parts, &mut body, ends).await {
            Ok(reply) => reply,
            Err(refusal) => {
                // A connection closed on what the client is still sending loses the answer. One that waits for our
                // 100 has sent nothing yet.
                if !body.is_end_stream() && !waits {
                    drain(&mut body).await;
                }
                Reply::from(refusal)
            }
        };
        reply.respond(is_head, completion)
    }

    async fn answer(
        self: &Arc<Site>,
        parts: Parts,
        body: &mut Incoming,
        ends: Ends,
    ) -> Result<Reply, Refusal> {
        let bad = |why: &str| Refusal::new(StatusCode::BAD_REQUEST, why);
        let origin = Origin::of(&parts, ends, &self.trusted_proxies).map_err(bad)?;
        let path = Path::parse(parts.uri.path()).map_err(bad)?;
        let method = parts.method.as_str();
        if let Some(destination) = self.mounts.find(method, &path, &origin)? {
            let body = self.collect(&parts.method, body).await?;
            return Ok(self.handle(destination, parts, body).await);
        }
        if self.mounts.impersonates(origin.host()) {
            return Err(Refusal::new(StatusCode::NOT_FOUND, "there is nothing at this path"));
        }
        let page = self.pages.find(method, &path)?;
        let (site, is_get) = (Arc::clone(self), parts.method == Method::GET);
        let made = blocking(move || page.answer(&site, &origin, Asked { headers: &parts.headers, is_get }));
        Ok(made.await.unwrap_or_else(|problem| Reply::problem(&problem)))
    }

    /// Lets the ecosystem answer, where that may block.
    async fn handle(self: &Arc<Site>, destination: Destination, parts: Parts, body: Bytes) -> Reply {
        let site = Arc::clone(self);
        let is_get = parts.method == Method::GET;
        let made = blocking(move || {
            let Some(mount) = site.mounts.get(destination.mount) else {
                return Err(Problem::new(Kind::Failed, "http.no-mount", "the mount is gone"));
            };
            let revision = site.catalogue.revision()?;
            if let (true, Some(name)) = (destination.named, &destination.repository) {
                let repositories = site.repositories(revision)?;
                let known = |one: &Repository| one.ecosystem == mount.ecosystem && one.name == *name;
                if !repositories.iter().any(known) {
                    let message = format!(
                        "there is no {} repository {name:?} here; `all` has all of them",
                        mount.ecosystem
                    );
                    return Ok(Reply::from(Refusal::new(StatusCode::NOT_FOUND, message)));
                }
            }
            let request = ClientRequest {
                action: destination.action,
                captures: destination.captures,
                repository: destination.repository,
                base: destination.base,
                query: parts.uri.query().unwrap_or_default().to_owned(),
                headers: parts.headers,
                body,
                principal: Principal::Anonymous,
            };
            let context = Context { site: &site, ecosystem: mount.ecosystem, revision };
            let answer = mount.serve.handle(&request, &context)?;
            Reply::of(answer, Asked { headers: &request.headers, is_get }, &site)
        });
        made.await.unwrap_or_else(|problem| Reply::problem(&problem))
    }

    /// The body of a request whose method has one.
    async fn collect(&self, method: &Method, body: &mut Incoming) -> Result<Bytes, Refusal> {
        if !matches!(*method, Method::POST | Method::PUT | Method::PATCH) || body.is_end_stream() {
            return Ok(Bytes::new());
        }
        let large = || {
            let message = format!("the body is larger than {BODY_LIMIT} bytes");
            Refusal::new(StatusCode::PAYLOAD_TOO_LARGE, message)
        };
        if body.size_hint().lower() > BODY_LIMIT as u64 {
            return Err(large());
        }
        let collected = async {
            let mut all = BytesMut::new();
            while let Some(frame) = body.frame().await {
                let frame =
                    frame.map_err(|_| Refusal::new(StatusCode::BAD_REQUEST, "the body is not whole"))?;
                let Ok(data) = frame.into_data() else { continue };
                if all.len() + data.len() > BODY_LIMIT {
                    return Err(large());
                }
                all.extend_from_slice(&data);
            }
            Ok(all.freeze())
        };
        let late = |_| Refusal::new(StatusCode::REQUEST_TIMEOUT, "the body took too long");
        tokio::time::timeout(self.body_timeout, collected).await.map_err(late)?
    }
}

async fn drain(body: &mut Incoming) {
    let read = async {
        let mut read = 0;
        while let Some(Ok(frame)) = body.frame().await {
            read += frame.data_ref().map_or(0, Bytes::len);
            if read > BODY_LIMIT {
                return;
            }
        }
    };
    let _ = tokio::time::timeout(DRAIN, read).await;
}
