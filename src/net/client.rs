//! One request and its answer: proxies, TLS, redirects, credentials, time limits.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use tokio::time::timeout;
use url::Url;

use super::access::{Access, Credential};
use super::body::{Answer, Window};
use super::error::{Fault, NetError, host_of, sort};
use super::limits::Limits;
use super::retry::{Budget, SystemTimer, Timer};
use super::settings::{Proxies, Settings};
use super::{redirect, trust};
use crate::problem::{Kind, Problem};

/// The HTTP client. Clones share their connections and limits.
#[derive(Clone)]
pub struct Client {
    inner: Arc<Inner>,
}

struct Inner {
    http: reqwest::Client,
    settings: Settings,
    limits: Arc<Limits>,
    timer: Arc<dyn Timer>,
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
        let http = build(&settings)?;
        let limits = Arc::new(Limits::new(settings.rate_limit));
        Ok(Client { inner: Arc::new(Inner { http, settings, limits, timer }) })
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

    /// Makes one GET and follows its redirects, up to the head of the last answer, whatever its status.
    ///
    /// A credential is shown to its own origin. Once a redirect led away from there, it isn't shown again,
    /// even if a further one leads back: else a stranger would choose what is read in our name.
    pub(super) async fn get(&self, access: &Access, headers: &HeaderMap) -> Result<Answer, NetError> {
        self.ask(Method::GET, access, headers).await
    }

    /// Asks how large a file is, once and without its body; `None` if the server does not say, for whatever reason.
    pub async fn size(&self, access: &Access) -> Option<u64> {
        let identity =
            HeaderMap::from_iter([(header::ACCEPT_ENCODING, HeaderValue::from_static("identity"))]);
        let answer = self.ask(Method::HEAD, access, &identity).await.ok()?;
        let length =
            (answer.status() == StatusCode::OK).then(|| answer.headers().get(header::CONTENT_LENGTH))??;
        length.to_str().ok()?.parse().ok()
    }

    async fn ask(&self, method: Method, access: &Access, headers: &HeaderMap) -> Result<Answer, NetError> {
        let settings = self.settings();
        let first = redirect::without_user(access.url.clone());
        match first.scheme() {
            "https" => {}
            "http" if settings.allows_plain(&first) => {}
            "http" => return Err(NetError::new(&first, Fault::PlainHttp { host: host_of(&first) })),
            _ => return Err(NetError::new(&first, Fault::Scheme)),
        }
        let mut url = first.clone();
        let mut credential = access.credential.as_ref();
        for _ in 0..=redirect::MOST {
            let mut headers = headers.clone();
            match credential.and_then(|credential| credential.for_url(&url)) {
                Some(value) => {
                    let value = authorization(value).ok_or_else(|| NetError::new(&url, Fault::Credential))?;
                    headers.insert(header::AUTHORIZATION, value);
                }
                None => credential = None,
            }
            let answer = self.exchange(method.clone(), url.clone(), headers, credential).await?;
            match redirect::target(&url, answer.status(), answer.headers(), settings) {
                Ok(None) => return Ok(answer),
                Ok(Some(next)) => url = next,
                Err(fault) => return Err(answer.error(fault)),
            }
        }
        Err(NetError::new(&first, Fault::TooManyRedirects(redirect::MOST)))
    }

    async fn exchange(
        &self,
        method: Method,
        url: Url,
        headers: HeaderMap,
        credential: Option<&Credential>,
    ) -> Result<Answer, NetError> {
        let permit = self.limits().enter(&url).await;
        let after = self.settings().timeouts.response;
        let sending = self.inner.http.request(method, url.clone()).headers(headers).send();
        match timeout(after, sending).await {
            Err(_) => Err(NetError::new(&url, Fault::TimedOut { what: "waiting for an answer", after })),
            Ok(Err(error)) => Err(sort(error, &url, self.settings().proxies.any_for(&url))),
            Ok(Ok(response)) => Ok(Answer {
                limits: self.inner.limits.clone(),
                timer: self.inner.timer.clone(),
                stall: self.settings().timeouts.stall,
                response,
                url,
                shown_credential: credential.is_some(),
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

fn authorization(value: &str) -> Option<HeaderValue> {
    let mut value = HeaderValue::from_str(value).ok()?;
    value.set_sensitive(true);
    Some(value)
}

#[expect(clippy::disallowed_methods, reason = "this is the one HTTP client")]
fn build(settings: &Settings) -> Result<reqwest::Client, Problem> {
    let authorities = trust::read_authorities(&settings.extra_ca_files)?;
    let proxies = settings.proxies.build()?;
    let builder = || {
        let builder = reqwest::Client::builder()
            .user_agent(concat!("aftk/", env!("CARGO_PKG_VERSION")))
            // Neither the environment, nor redirects, nor retries are left to the library.
            .no_proxy()
            .redirect(reqwest::redirect::Policy::none())
            .retry(reqwest::retry::never())
            .referer(false)
            .connect_timeout(settings.timeouts.connect)
            .pool_idle_timeout(Duration::from_secs(60))
            .tcp_keepalive(Duration::from_secs(60));
        proxies.iter().cloned().fold(builder, reqwest::ClientBuilder::proxy)
    };
    // A machine without any authorities, as a bare container, can still read from loopback and from hosts
    // whose authority was named.
    builder()
        .tls_certs_merge(authorities.iter().cloned())
        .build()
        .or_else(|_| builder().tls_certs_only(authorities.iter().cloned()).build())
        .map_err(|error| {
            Problem::new(Kind::Failed, "net.client", "the HTTP client cannot be set up").caused_by(&error)
        })
}

/// Hosts that no proxy stands between, whatever `NO_PROXY` says.
const OWN_MACHINE: &str = "localhost,127.0.0.0/8,::1";

impl Proxies {
    fn build(&self) -> Result<Vec<reqwest::Proxy>, Problem> {
        let except = match &self.except {
            Some(except) => format!("{except},{OWN_MACHINE}"),
            None => OWN_MACHINE.to_owned(),
        };
        let mut proxies = Vec::new();
        for (name, value) in
            [("HTTPS_PROXY", &self.https), ("HTTP_PROXY", &self.http), ("ALL_PROXY", &self.all)]
        {
            let Some(value) = value else { continue };
            let url = proxy_url(value).ok_or_else(|| {
                // Not the value: it may hold a password.
                Problem::new(Kind::Usage, "net.proxy", format!("{name} is not the address of a proxy"))
                    .hint("a proxy is written http://HOST:PORT, https://HOST:PORT or socks5h://HOST:PORT")
            })?;
            let proxy = match name {
                "HTTPS_PROXY" => reqwest::Proxy::https(url),
                "HTTP_PROXY" => reqwest::Proxy::http(url),
                _ => reqwest::Proxy::all(url),
            };
            let proxy = proxy.map_err(|error| {
                let error = error.without_url();
                Problem::new(Kind::Usage, "net.proxy", format!("{name} cannot be used")).caused_by(&error)
            })?;
            proxies.push(proxy.no_proxy(reqwest::NoProxy::from_string(&except)));
        }
        Ok(proxies)
    }

    /// Whether a proxy may stand between us and `url`: only for hints.
    fn any_for(&self, url: &Url) -> bool {
        let own = if url.scheme() == "https" { &self.https } else { &self.http };
        !super::settings::is_loopback(url) && (own.is_some() || self.all.is_some())
    }
}

/// A proxy's address, `http://` if it has no scheme. Others than these would be passed over silently by the
/// library, and the proxy with it.
fn proxy_url(value: &str) -> Option<Url> {
    let known =
        |url: &Url| matches!(url.scheme(), "http" | "https" | "socks4" | "socks4a" | "socks5" | "socks5h");
    let value = value.trim();
    let url = if value.contains("://") { Url::parse(value) } else { Url::parse(&format!("http://{value}")) };
    url.ok().filter(known).filter(Url::has_host)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn proxies_are_checked_when_the_client_is_made() {
        for good in ["proxy.example.test:3128", "http://me:se%40same@[::1]:1", "socks5h://proxy.example.test"]
        {
            let proxies = Proxies { https: Some(good.to_owned()), ..Proxies::default() };
            assert!(Client::new(Settings { proxies, ..Settings::default() }).is_ok(), "{good}");
        }
        for bad in ["ftp://me:sesame@proxy.example.test", "http://", "http://me:sesame@", ":sesame"] {
            let proxies = Proxies { all: Some(bad.to_owned()), ..Proxies::default() };
            let problem = Client::new(Settings { proxies, ..Settings::default() }).unwrap_err();
            assert_eq!(problem.code, "net.proxy", "{bad}");
            assert!(!format!("{problem:?}").contains("sesame"), "{problem:?}");
        }
    }

    #[test]
    fn a_file_without_authorities_is_named() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("ca.pem");
        let settings = Settings { extra_ca_files: vec![file.clone()], ..Settings::default() };
        let problem = Client::new(settings.clone()).unwrap_err();
        assert_eq!((problem.code.as_ref(), problem.place), ("net.ca-file", Some(file.display().to_string())));
        std::io::Write::write_all(&mut tempfile::NamedTempFile::new_in(&directory).unwrap(), b"none")
            .unwrap();
    }
}
