//! How one request is answered: by an ecosystem where it has a mount, else by one of our own pages.

use std::borrow::Cow;
use std::net::IpAddr;
use std::sync::atomic::AtomicU64;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bundle_format::Repository;
use bytes::{Bytes, BytesMut};
use http::header::EXPECT;
use http::request::Parts;
use http::{HeaderMap, Method, Request, Response, StatusCode};
use http_body_util::BodyExt as _;
use hyper::body::{Body as _, Incoming};

use super::accounts::{Asker, Credentials, Denied};
use super::answers::{self, Held};
use super::body::Body;
use super::completion::Completion;
use super::context::Context;
use super::envelope::{Envelope, Malformed};
use super::gate::Access;
use super::guard::Phase;
use super::mount::{Destination, Mounted, Mounts};
use super::origin::{self, Ends, Origin};
use super::pages::{self, Pages};
use super::receive::{self, Carried, Patience};
use super::reply::{Asked, Refusal, Reply};
use super::route::Path;
use super::site::Site;
use super::token;
use crate::access::Hosted;
use crate::blocking::blocking;
use crate::clock;
use crate::ecosystem::host::{BodyEnd, Host, Receiving};
use crate::ecosystem::{Answer, BASIC, ClientRequest, Content, Principal, QUESTION, Session, Takes};
use crate::problem::{Kind, Problem};
use crate::store::Revision;

/// Answers requests.
pub(super) struct Responder {
    pub(super) site: Arc<Site>,
    pub(super) access: Access,
    pub(super) mounts: Mounts,
    pub(super) pages: Pages,
    pub(super) trusted_proxies: Vec<IpAddr>,
    pub(super) body_timeout: Duration,
}

impl std::fmt::Debug for Responder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Responder")
    }
}

impl Responder {
    /// Answers a request.
    pub(super) async fn respond(
        self: Arc<Responder>,
        ends: Ends,
        phase: Arc<Phase>,
        request: Request<Incoming>,
    ) -> Response<Body> {
        let (parts, mut body) = request.into_parts();
        let client = origin::client(&parts.headers, ends, &self.trusted_proxies);
        let completion = Completion::begin(Arc::clone(&self.site), phase, client, &parts);
        let is_head = parts.method == Method::HEAD;
        let waits = parts.headers.contains_key(EXPECT);
        let reply = self.answer(parts, &mut body, ends).await.unwrap_or_else(Reply::from);
        // A connection closed on what the client is still sending loses the answer. One that waits for our 100 has sent
        // nothing yet.
        if !body.is_end_stream() && !waits {
            receive::drain(&mut body, Patience::USUAL).await;
        }
        reply.respond(is_head, completion)
    }

    async fn answer(
        self: &Arc<Responder>,
        parts: Parts,
        body: &mut Incoming,
        ends: Ends,
    ) -> Result<Reply, Refusal> {
        let bad = |why: &str| Refusal::new(StatusCode::BAD_REQUEST, why);
        let origin = Origin::of(&parts, ends, &self.trusted_proxies).map_err(bad)?;
        if parts.uri.path() == token::PATH {
            return self.token(parts, body).await;
        }
        let is_get = parts.method == Method::GET;
        if !is_get && let Some((destination, session)) = self.signs_in(&parts, &origin) {
            return self.sign_in(destination, session, parts, body, &origin).await;
        }
        let host = if self.mounts.impersonates(origin.host()) { origin.host() } else { "" };
        let is_everybodys = host.is_empty() && pages::is_everybodys(parts.uri.path());
        let asker = match self.access.asker(&parts.headers).await {
            Ok(asker) if self.access.admits(&asker) || is_everybodys => asker,
            Ok(_) => return self.denied(Denied::Needed, &parts, &origin),
            Err(denied) => return self.denied(denied, &parts, &origin),
        };
        let key = (is_get || parts.method == Method::HEAD).then(|| answers::key(host, &parts.uri));
        if let Some(held) = key.as_deref().and_then(|key| self.site.answers.fresh(key)) {
            let sent = Reply::held(&held, Asked { headers: &parts.headers, is_get }, &self.site);
            return Ok(sent.unwrap_or_else(|problem| Reply::problem(&problem, None)));
        }
        let key = key.map(Cow::into_owned);
        let path = Path::parse(parts.uri.path()).map_err(bad)?;
        let method = parts.method.as_str();
        if let Some(destination) = self.mounts.find(method, &path, &origin)? {
            let Some(mount) = self.mounts.get(destination.mount) else {
                return Err(bad("there is no mount"));
            };
            if asker == Asker::Nobody && mount.serve.is_greeting(destination.action) {
                match self.access.has_writers(mount.ecosystem).await {
                    Ok(false) => {}
                    Ok(true) => return self.denied(Denied::Needed, &parts, &origin),
                    Err(denied) => return self.denied(denied, &parts, &origin),
                }
            }
            let serve = mount.serve;
            let principal = asker.into();
            let most = match destination.takes {
                Takes::Question | Takes::SignIn(_) => QUESTION,
                // Nobody writes without an account, so nothing of theirs needs to be in memory.
                Takes::Document(_) if principal == Principal::Anonymous => {
                    let made = self.handle(destination, parts, Bytes::new(), principal, None).await;
                    return Ok(made.unwrap_or_else(|problem| Reply::problem(&problem, Some(serve))));
                }
                Takes::Document(most) => most,
                Takes::Upload | Takes::Form(_) | Takes::Attachment(_) => {
                    let made = self.receive(destination, parts, body, principal).await;
                    return Ok(made.unwrap_or_else(|problem| Reply::problem(&problem, Some(serve))));
                }
            };
            let body = self.collect(&parts.method, body, most).await;
            let body = body.map_err(|refusal| refusal.in_words_of(serve))?;
            let made = self.handle(destination, parts, body, principal, key).await;
            return Ok(made.unwrap_or_else(|problem| Reply::problem(&problem, Some(serve))));
        }
        if !host.is_empty() {
            return Err(Refusal::new(StatusCode::NOT_FOUND, "there is nothing at this path"));
        }
        let page = self.pages.find(method, &path)?;
        let here = Arc::clone(self);
        let made = blocking(move || {
            let asked = Asked { headers: &parts.headers, is_get };
            here.pages.answer(&page, &here.site, &here.mounts, &origin, asked)
        });
        Ok(made.await.unwrap_or_else(|problem| Reply::problem(&problem, None)))
    }

    /// Gives a token.
    async fn token(&self, parts: Parts, body: &mut Incoming) -> Result<Reply, Refusal> {
        let form = match parts.method {
            Method::GET | Method::HEAD => None,
            Method::POST => Some(self.collect(&parts.method, body, QUESTION).await?),
            _ => return Err(Refusal::method(token::METHODS.to_owned())),
        };
        let query = parts.uri.query().unwrap_or_default();
        match token::answer(&self.access, &parts.headers, query, form.as_ref()).await {
            Ok(reply) => Ok(reply),
            Err(denied) => {
                denied.refuse(|| BASIC.to_owned(), None).map_err(|refusal| refusal.in_words(token::refusal))
            }
        }
    }

    /// Where somebody who signs in or out is going, who may be nobody yet.
    fn signs_in(&self, parts: &Parts, origin: &Origin) -> Option<(Destination, Session)> {
        let path = Path::parse(parts.uri.path()).ok()?;
        let destination = self.mounts.find(parts.method.as_str(), &path, origin).ok()??;
        match destination.takes {
            Takes::SignIn(session) => Some((destination, session)),
            _ => None,
        }
    }

    /// Lets somebody sign in or out.
    async fn sign_in(
        &self,
        destination: Destination,
        session: Session,
        parts: Parts,
        body: &mut Incoming,
        origin: &Origin,
    ) -> Result<Reply, Refusal> {
        let mount = self.mounts.get(destination.mount);
        let missing =
            || Refusal::new(StatusCode::NOT_FOUND, "nobody signs in here: this site has no accounts");
        let (Some(serve), Some(accounts)) = (mount.map(|mount| mount.serve), &self.access.accounts) else {
            return Err(missing());
        };
        let Some(words) = serve.sign_in() else { return Err(missing()) };
        let body = self.collect(&parts.method, body, QUESTION).await;
        let body = body.map_err(|refusal| refusal.in_words_of(serve))?;
        let request = client_request(destination, &parts, body, Principal::Anonymous);
        let made = async {
            if session == Session::Ends {
                accounts.lasting.end(&words.token(&request)).await?;
                return Ok(Some(Reply::secret(StatusCode::OK, words.signed_out())));
            }
            let Some((name, password)) = words.credentials(&request) else { return Ok(None) };
            let list = accounts.list().await?;
            let account = accounts.sign_in(&list, Credentials { name, password }).await?;
            let token = accounts.lasting.give(&list, &account).await?;
            Ok(Some(Reply::secret(StatusCode::CREATED, words.signed_in(&account, &token))))
        };
        match made.await {
            Ok(Some(reply)) => Ok(reply),
            Ok(None) => {
                let refusal =
                    Refusal::new(StatusCode::BAD_REQUEST, "a name and a password are needed to sign in");
                Err(refusal.in_words_of(serve))
            }
            Err(denied) => Denied::refuse(denied, || serve.challenge(&origin.to_string(), ""), Some(serve)),
        }
    }

    /// Turns a request away in the words of whoever answers at its path.
    fn denied(&self, denied: Denied, parts: &Parts, origin: &Origin) -> Result<Reply, Refusal> {
        let path = Path::parse(parts.uri.path()).map_err(|why| Refusal::new(StatusCode::BAD_REQUEST, why))?;
        let Some(mount) = self.mounts.at(&path, origin) else {
            return denied.refuse(|| BASIC.to_owned(), None);
        };
        let scope = match self.mounts.find(parts.method.as_str(), &path, origin) {
            Ok(Some(destination)) => mount.serve.scope(&destination.captures),
            _ => String::new(),
        };
        denied.refuse(|| mount.serve.challenge(&origin.to_string(), &scope), Some(mount.serve))
    }

    /// Lets the ecosystem answer, where that may block.
    async fn handle(
        self: &Arc<Responder>,
        destination: Destination,
        parts: Parts,
        body: Bytes,
        principal: Principal,
        key: Option<String>,
    ) -> Result<Reply, Problem> {
        let here = Arc::clone(self);
        let is_get = parts.method == Method::GET;
        let made = blocking(move || {
            let (site, mount) = (&*here.site, here.mounts.get(destination.mount).ok_or_else(gone)?);
            let asked = Asked { headers: &parts.headers, is_get };
            let begun = clock::instant();
            let revision = site.catalogue.revision()?;
            if let Some(held) = key.as_deref().and_then(|key| site.answers.at(revision, begun, key)) {
                return Reply::held(&held, asked, site);
            }
            if let (true, Some(name)) = (destination.named, &destination.repository) {
                let repositories = site.repositories(revision)?;
                let known = |one: &Repository| one.ecosystem == mount.ecosystem && one.name == *name;
                // A hosted one is there before anything is in it.
                let hosts = |one: &Hosted| one.ecosystem == mount.ecosystem && one.name == *name;
                if !repositories.iter().any(known) && !site.hosted.iter().any(hosts) {
                    let message = format!(
                        "there is no {} repository {name:?} here; `all` has all of them",
                        mount.ecosystem
                    );
                    let refusal = Refusal::new(StatusCode::NOT_FOUND, message);
                    return Ok(Reply::from(refusal.in_words_of(mount.serve)));
                }
            }
            let writes = destination.takes != Takes::Question;
            let request = client_request(destination, &parts, body, principal);
            let mut context = here.context(mount, revision, &request.principal);
            context.is_look = parts.method == Method::HEAD;
            let answer = match mount.serve.host().filter(|_| writes) {
                Some(host) => host.write(&request, &context)?,
                None => mount.serve.handle(&request, &context)?,
            };
            match (answer, key) {
                (
                    Answer {
                        content: Content::Blob { key: blob, size, media_type },
                        headers,
                        lasting: true,
                        ..
                    },
                    Some(key),
                ) => {
                    let mut held = Held::new(blob, size, media_type, headers);
                    if size <= answers::SMALL {
                        held.bytes = Some(Site::read(&blob, &site.open_sized(&blob, size)?)?);
                    }
                    let held = Arc::new(held);
                    site.answers.keep(revision, key, Arc::clone(&held));
                    Reply::held(&held, asked, site)
                }
                (answer, _) => Reply::of(answer, asked, site),
            }
        });
        made.await
    }

    /// Lets the ecosystem say where a body goes, brings it there, and lets it go on.
    async fn receive(
        self: &Arc<Responder>,
        destination: Destination,
        parts: Parts,
        body: &mut Incoming,
        principal: Principal,
    ) -> Result<Reply, Problem> {
        let envelope = Envelope::of(destination.takes, &parts.headers);
        let here = Arc::clone(self);
        let begun = blocking(move || {
            let number = destination.mount;
            let (mount, host) = here.hosting(number)?;
            let request = client_request(destination, &parts, Bytes::new(), principal);
            let context = here.context(mount, here.site.catalogue.revision()?, &request.principal);
            let receiving = match host.receive(&request, &context)? {
                Receiving::Answer(answer) => Err(answer),
                // From here on it is put aside whatever happens, also if the client goes away before its body is read.
                Receiving::Into { upload, most } => Ok((Carried::new(&here.site, upload), most)),
            };
            drop(context);
            Ok((receiving, request, number))
        });
        let (receiving, mut request, mount) = begun.await?;
        let here = Arc::clone(self);
        let answer = match receiving {
            Err(answer) => answer,
            Ok((carried, most)) => {
                let (carried, end) = match envelope {
                    Err(Malformed) => (carried, BodyEnd::Malformed),
                    Ok(mut envelope) => {
                        let (timeout, waits) = (self.body_timeout, request.headers.contains_key(EXPECT));
                        let received = receive::receive(body, &mut envelope, carried, most, timeout, waits);
                        match received.await? {
                            (carried, BodyEnd::Whole) if envelope.open(&mut request).is_err() => {
                                (carried, BodyEnd::Malformed)
                            }
                            received => received,
                        }
                    }
                };
                let finished = blocking(move || {
                    let (mount, host) = here.hosting(mount)?;
                    let context = here.context(mount, here.site.catalogue.revision()?, &request.principal);
                    match carried.take() {
                        Some(upload) => host.received(&request, upload, end, &context),
                        None => Err(gone()),
                    }
                });
                finished.await?
            }
        };
        Reply::of(answer, Asked { headers: &HeaderMap::new(), is_get: false }, &self.site)
    }

    /// The mount of a route that takes uploads, and what answers there.
    fn hosting(&self, mount: usize) -> Result<(&Mounted, &dyn Host), Problem> {
        let mount = self.mounts.get(mount).ok_or_else(gone)?;
        Ok((mount, mount.serve.host().ok_or_else(gone)?))
    }

    fn context<'a>(&'a self, mount: &Mounted, revision: Revision, principal: &'a Principal) -> Context<'a> {
        let (ecosystem, schema) = (mount.ecosystem, mount.schema);
        let revision = AtomicU64::new(revision.0);
        let claims = Mutex::default();
        Context { site: &self.site, principal, is_look: false, claims, ecosystem, schema, revision }
    }

    /// The body of a request whose method has one.
    async fn collect(&self, method: &Method, body: &mut Incoming, most: usize) -> Result<Bytes, Refusal> {
        if !matches!(*method, Method::POST | Method::PUT | Method::PATCH) || body.is_end_stream() {
            return Ok(Bytes::new());
        }
        let large = || {
            let message = format!("the body is larger than {most} bytes");
            Refusal::new(StatusCode::PAYLOAD_TOO_LARGE, message)
        };
        if body.size_hint().lower() > most as u64 {
            return Err(large());
        }
        let collected = async {
            let mut all = BytesMut::new();
            while let Some(frame) = body.frame().await {
                let frame =
                    frame.map_err(|_| Refusal::new(StatusCode::BAD_REQUEST, "the body is not whole"))?;
                let Ok(data) = frame.into_data() else { continue };
                if all.len() + data.len() > most {
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

/// A mistake in an ecosystem: a route leads where nobody answers.
fn gone() -> Problem {
    Problem::new(Kind::Failed, "http.no-mount", "nobody answers at this route")
}

fn client_request(
    destination: Destination,
    parts: &Parts,
    body: Bytes,
    principal: Principal,
) -> ClientRequest {
    ClientRequest {
        action: destination.action,
        captures: destination.captures,
        repository: destination.repository,
        base: destination.base,
        path: parts.uri.path().to_owned(),
        query: parts.uri.query().unwrap_or_default().to_owned(),
        headers: parts.headers.clone(),
        body,
        form: Vec::new(),
        principal,
    }
}
