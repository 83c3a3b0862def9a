//! One request and its answer: proxies, TLS, redirects, credentials, time limits.

use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::SystemTime;

use http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use url::Url;

use super::access::{Access, Credential};
use super::body::{Answer, Window};
use super::error::{Fault, NetError, host_of, sort};
use super::limits::Limits;
use super::payload::Payload;
use super::pools::Pools;
use super::redirect;
use super::retry::{Budget, SystemTimer, Timer};
use super::route::Route;
use super::settings::Settings;
use super::sign_in::Sessions;
use crate::problem::Problem;

/// The HTTP client. Clones share their connections and limits.
#[derive(Clone)]
pub struct Client {
    inner: Arc<Inner>,
}

struct Inner {
    pools: Pools,
    settings: Settings,
    limits: Arc<Limits>,
    timer: Arc<dyn Timer>,
    sessions: Sessions,
}

impl Client {
    /// A client with these settings.
    ///
    /// # Errors
    /// `net.proxy` or `net.ca-file` if a proxy or a file of certificate authorities cannot be used.
    pub fn new(settings: Settings) -> Result<Client, Problem> {
        Client::with_timer(settings, Arc::new(SystemTimer))
    }

    /// A client whose pauses between attempts are somebody else's: tests wait for nothing.
    ///
    /// # Errors
    /// As [`Client::new`].
    pub fn with_timer(settings: Settings, timer: Arc<dyn Timer>) -> Result<Client, Problem> {
        let pools = Pools::new(&settings)?;
        let limits = Arc::new(Limits::new(settings.rate_limit));
        Ok(Client {
            inner: Arc::new(Inner { pools, settings, limits, timer, sessions: Sessions::default() }),
        })
    }

    pub(super) fn settings(&self) -> &Settings {
        &self.inner.settings
    }

    pub(super) fn limits(&self) -> &Limits {
        &self.inner.limits
    }

    /// What one operation may spend on trying again.
    pub(super) fn budget(&self) -> Budget {
        Budget::new(self.inner.timer.clone(), self.settings().retries)
    }

    /// What time it is, as tests have it.
    pub(super) fn now(&self) -> SystemTime {
        self.inner.timer.now()
    }

    /// What was got by signing in.
    pub(super) fn sessions(&self) -> &Sessions {
        &self.inner.sessions
    }

    /// Makes one request without a body, up to the head of the last answer, whatever its status: signs in where the
    /// server asks for it and follows redirects.
    pub(super) async fn ask(
        &self,
        method: Method,
        access: &Access,
        headers: &HeaderMap,
    ) -> Result<Answer, NetError> {
        self.ask_with(method, access, headers, &Payload::Nothing).await
    }

    /// Makes one request with a body, as [`Client::ask`] does; where it has to be made again, the body is sent again.
    pub(super) async fn ask_with(
        &self,
        method: Method,
        access: &Access,
        headers: &HeaderMap,
        payload: &Payload,
    ) -> Result<Answer, NetError> {
        match &access.sign_in {
            Some(sign_in) => self.ask_signed_in(method, access, sign_in, headers, payload).await,
            None => self.follow(method, access, access.credential.as_ref(), headers, payload).await,
        }
    }

    /// Whether a server answers in plain HTTP at an `http` address that may be spoken to so; asked once. One that speaks
    /// TLS alone says 400 or nothing, and one that leads on to TLS is better spoken to there.
    pub async fn speaks_plain_http(&self, url: &Url) -> bool {
        if url.scheme() != "http" || !self.settings().allows_insecure(url) {
            return false;
        }
        match self.ask(Method::GET, &Access::open(url.clone()), &HeaderMap::new()).await {
            Ok(answer) => answer.status() != StatusCode::BAD_REQUEST && answer.url.scheme() == "http",
            Err(_) => false,
        }
    }

    /// Makes one request and follows its redirects: those of a request that changes something only where the server
    /// says that it is to be made there just so (307, 308).
    ///
    /// A credential is shown to its own origin. Once a redirect led away from there, it isn't shown again,
    /// even if a further one leads back: else a stranger would choose what is read in our name. So it is with a
    /// certificate of our own.
    pub(super) async fn follow(
        &self,
        method: Method,
        access: &Access,
        mut credential: Option<&Credential>,
        headers: &HeaderMap,
        payload: &Payload,
    ) -> Result<Answer, NetError> {
        let settings = self.settings();
        let first = redirect::without_user(access.url.clone());
        match first.scheme() {
            "https" => {}
            "http" if access.route.plain_http || settings.allows_insecure(&first) => {}
            "http" => return Err(NetError::new(&first, Fault::PlainHttp { host: host_of(&first) })),
            _ => return Err(NetError::new(&first, Fault::Scheme)),
        }
        let mut url = first.clone();
        let mut at_home = true;
        for _ in 0..=redirect::MOST {
            let mut headers = headers.clone();
            match credential.and_then(|credential| credential.for_url(&url)) {
                Some(value) => {
                    let value = authorization(value).ok_or_else(|| NetError::new(&url, Fault::Credential))?;
                    headers.insert(header::AUTHORIZATION, value);
                }
                None => credential = None,
            }
            at_home &= url.origin() == first.origin();
            let route = hop(&access.route, at_home, settings.allows_insecure(&url));
            let sending = self.exchange(method.clone(), url.clone(), headers, payload, &route);
            let answer = Answer { shown_credential: credential.is_some(), at_home, ..sending.await? };
            if !method.is_safe() && matches!(answer.status().as_u16(), 301..=303) {
                return Ok(answer);
            }
            match redirect::target(&url, answer.status(), answer.headers(), (settings, route.plain_http)) {
                Ok(None) => return Ok(answer),
                Ok(Some(next)) if access.route.same_origin && next.origin() != first.origin() => {
                    return Ok(answer);
                }
                Ok(Some(next)) => url = next,
                Err(fault) => return Err(answer.error(fault)),
            }
        }
        Err(NetError::new(&first, Fault::TooManyRedirects(redirect::MOST)))
    }

    /// Makes one request, without redirects. Whether it may be made at all is for the caller to find out.
    pub(super) async fn exchange(
        &self,
        method: Method,
        url: Url,
        headers: HeaderMap,
        payload: &Payload,
        route: &Route,
    ) -> Result<Answer, NetError> {
        let pool = self.inner.pools.of(route).map_err(|fault| NetError::new(&url, fault))?;
        let permit = self.limits().enter(&url).await;
        let after = self.settings().timeouts.response;
        let sent = Arc::new(AtomicU64::new(0));
        let mut headers = headers;
        if !method.is_safe() {
            // Also where it is nothing: some servers want that said (411).
            headers.insert(header::CONTENT_LENGTH, payload.length().into());
        }
        let mut request = pool.request(method, url.clone()).headers(headers);
        if let Some(body) = payload.body(&sent, &self.inner.limits) {
            request = request.body(body);
        }
        match payload.answered(request.send(), &sent, after).await {
            Err(_) => Err(NetError::new(&url, Fault::TimedOut { what: "waiting for an answer", after })),
            Ok(Err(error)) => {
                let proxied = self.settings().proxies.any_for(&url, route);
                Err(sort(error, &url, proxied))
            }
            Ok(Ok(response)) => Ok(Answer {
                limits: self.inner.limits.clone(),
                timer: self.inner.timer.clone(),
                stall: self.settings().timeouts.stall,
                response,
                url,
                shown_credential: false,
                at_home: false,
                sign_in: None,
                _permit: permit,
                window: Window::default(),
            }),
        }
    }
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client").field("settings", &self.inner.settings).finish_non_exhaustive()
    }
}

/// The way to one address of a chain of redirects: what is not for everybody's eyes, or not to be had from everybody, is
/// taken out.
pub(super) fn hop(route: &Route, at_home: bool, may_be_insecure: bool) -> Cow<'_, Route> {
    let unchecked = route.unchecked && may_be_insecure;
    if unchecked == route.unchecked && (at_home || route.identity.is_none()) {
        return Cow::Borrowed(route);
    }
    let identity = route.identity.clone().filter(|_| at_home);
    Cow::Owned(Route { identity, unchecked, ..route.clone() })
}

fn authorization(value: &str) -> Option<HeaderValue> {
    let mut value = HeaderValue::from_str(value).ok()?;
    value.set_sensitive(true);
    Some(value)
}
