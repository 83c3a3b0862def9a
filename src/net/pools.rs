//! Connections: one pool of them for each route.

use std::collections::VecDeque;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use url::Url;

use super::error::Fault;
use super::route::{Authorities, Route};
use super::settings::{Proxies, Settings};
use super::trust;
use crate::problem::{Kind, Problem};

/// Routes whose connections are kept. A run has one for each project that it collects for, and a few for hosts with a
/// certificate or a trust of their own; beyond that, the oldest pool is closed.
const MOST: usize = 16;

/// The pools of a client.
pub(super) struct Pools {
    /// Authorities that the user named to aftk: trusted on every route.
    named: Vec<reqwest::Certificate>,
    /// Authorities that the environment names: trusted where a route names none.
    of_environment: Vec<reqwest::Certificate>,
    /// How addresses are reached where no route says anything.
    settings: Settings,
    open: Mutex<VecDeque<(Route, reqwest::Client)>>,
}

impl Pools {
    /// Pools whose first one is that of the route that says nothing.
    ///
    /// # Errors
    /// `net.proxy` or `net.ca-file` if a proxy or a file of certificate authorities cannot be used.
    pub(super) fn new(settings: &Settings) -> Result<Pools, Problem> {
        settings.proxies.check()?;
        let pools = Pools {
            named: trust::read_authorities(&settings.ca_files)?,
            of_environment: trust::read_authorities(&settings.environment_ca_files)?,
            settings: settings.clone(),
            open: Mutex::default(),
        };
        pools.of(&Route::default()).map_err(|fault| {
            Problem::new(Kind::Failed, "net.client", "the HTTP client cannot be set up")
                .because(fault.to_string())
        })?;
        Ok(pools)
    }

    /// The pool of a route.
    ///
    /// # Errors
    /// If what the route names cannot be used.
    pub(super) fn of(&self, route: &Route) -> Result<reqwest::Client, Fault> {
        // Held while a pool is made: whoever wants the same route waits for that one.
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, pool)) = open.iter().find(|(known, _)| known == route) {
            return Ok(pool.clone());
        }
        let pool = self.build(route)?;
        if open.len() >= MOST {
            open.pop_front();
        }
        open.push_back((route.clone(), pool.clone()));
        Ok(pool)
    }

    #[expect(clippy::disallowed_methods, reason = "this is the one HTTP client")]
    fn build(&self, route: &Route) -> Result<reqwest::Client, Fault> {
        let proxies = self.settings.proxies.of_route(route)?;
        let identity = match &route.identity {
            Some(identity) => Some(reqwest::Identity::from_pem(&identity.pem).map_err(|error| {
                Fault::Identity { named_by: identity.named_by.clone(), cause: innermost(&error) }
            })?),
            None => None,
        };
        let mut authorities = self.named.clone();
        match &route.authorities {
            Some(own) => {
                let found = trust::authorities(&own.pem);
                if found.is_empty() {
                    return Err(Fault::Authorities { named_by: own.named_by.clone() });
                }
                authorities.extend(found);
            }
            None => authorities.extend(self.of_environment.iter().cloned()),
        }
        let builder = || {
            let builder = reqwest::Client::builder()
                .user_agent(concat!("aftk/", env!("CARGO_PKG_VERSION")))
                // Neither the environment, nor redirects, nor retries are left to the library.
                .no_proxy()
                .redirect(reqwest::redirect::Policy::none())
                .retry(reqwest::retry::never())
                .referer(false)
                .connect_timeout(self.settings.timeouts.connect)
                .pool_idle_timeout(Duration::from_secs(60))
                .tcp_keepalive(Duration::from_secs(60))
                .tls_danger_accept_invalid_certs(route.unchecked);
            let builder = identity.iter().cloned().fold(builder, reqwest::ClientBuilder::identity);
            let builder = match &route.socket {
                Some(socket) => builder.unix_socket(socket.as_path()),
                None => builder,
            };
            proxies.iter().cloned().fold(builder, reqwest::ClientBuilder::proxy)
        };
        let only_these = || builder().tls_certs_only(authorities.iter().cloned()).build();
        let pool = match &route.authorities {
            Some(Authorities { alone: true, .. }) => only_these(),
            // A machine without any authorities, as a bare container, can still read from loopback and from hosts
            // whose authority was named.
            _ => builder().tls_certs_merge(authorities.iter().cloned()).build().or_else(|_| only_these()),
        };
        pool.map_err(|error| match &route.identity {
            // All else was built before: the key does not belong to the certificate.
            Some(identity) => {
                Fault::Identity { named_by: identity.named_by.clone(), cause: innermost(&error) }
            }
            None => Fault::Client { cause: innermost(&error) },
        })
    }
}

/// The last word of an error's sources, which says it best.
fn innermost(error: &dyn std::error::Error) -> String {
    std::iter::successors(Some(error), |error| error.source()).last().unwrap_or(error).to_string()
}

/// Hosts that no proxy stands between, whatever `NO_PROXY` says.
const OWN_MACHINE: &str = "localhost,127.0.0.0/8,::1";

impl Proxies {
    /// # Errors
    /// `net.proxy` if one is no address of a proxy.
    fn check(&self) -> Result<(), Problem> {
        for (name, value) in self.named() {
            if value.is_some_and(|value| proxy_url(value).is_none()) {
                // Not the value: it may hold a password.
                let message = format!("{name} is not the address of a proxy");
                return Err(Problem::new(Kind::Usage, "net.proxy", message).hint(PROXY_HINT));
            }
        }
        Ok(())
    }

    fn named(&self) -> [(&'static str, Option<&str>); 3] {
        [("HTTPS_PROXY", &self.https), ("HTTP_PROXY", &self.http), ("ALL_PROXY", &self.all)]
            .map(|(name, value)| (name, value.as_deref()))
    }

    fn of_route(&self, route: &Route) -> Result<Vec<reqwest::Proxy>, Fault> {
        let lists = [route.no_proxy.as_deref(), self.except.as_deref(), Some(OWN_MACHINE)];
        let except = lists.into_iter().flatten().collect::<Vec<_>>().join(",");
        let make = |name: &str, value: &str, kind: fn(Url) -> reqwest::Result<reqwest::Proxy>| {
            let wrong = || Fault::ProxyAddress { named_by: name.to_owned() };
            let proxy = kind(proxy_url(value).ok_or_else(wrong)?).map_err(|_| wrong())?;
            Ok(proxy.no_proxy(reqwest::NoProxy::from_string(&except)))
        };
        if let Some(proxy) = &route.proxy {
            return Ok(vec![make(&proxy.named_by, &proxy.address, reqwest::Proxy::all)?]);
        }
        let mut proxies = Vec::new();
        for (name, value) in self.named() {
            let Some(value) = value else { continue };
            proxies.push(match name {
                "HTTPS_PROXY" => make(name, value, reqwest::Proxy::https)?,
                "HTTP_PROXY" => make(name, value, reqwest::Proxy::http)?,
                _ => make(name, value, reqwest::Proxy::all)?,
            });
        }
        Ok(proxies)
    }

    /// Whether a proxy may stand between us and `url`: only for hints.
    pub(super) fn any_for(&self, url: &Url, route: &Route) -> bool {
        let own = if url.scheme() == "https" { &self.https } else { &self.http };
        let any = route.proxy.is_some() || own.is_some() || self.all.is_some();
        any && !super::settings::is_loopback(url)
    }
}

/// How a proxy is written.
pub(super) const PROXY_HINT: &str =
    "a proxy is written http://HOST:PORT, https://HOST:PORT or socks5h://HOST:PORT";

/// A proxy's address, `http://` if it has no scheme. Others than these would be passed over silently by the
/// library, and the proxy with it.
fn proxy_url(value: &str) -> Option<Url> {
    let known =
        |url: &Url| matches!(url.scheme(), "http" | "https" | "socks4" | "socks4a" | "socks5" | "socks5h");
    let value = value.trim();
    let url = match value.split_once("://") {
        // As other clients have it, the plain word lets the proxy look names up.
        Some(("socks", rest)) => Url::parse(&format!("socks5h://{rest}")),
        Some(_) => Url::parse(value),
        None => Url::parse(&format!("http://{value}")),
    };
    url.ok().filter(known).filter(Url::has_host)
}

#[cfg(test)]
mod tests {
    use super::super::route::{Authorities, Identity, Proxy};
    use super::*;

    fn proxy(address: &str) -> Route {
        let named_by = "the client's setting".to_owned();
        Route { proxy: Some(Proxy { address: address.to_owned().into(), named_by }), ..Route::default() }
    }

    #[test]
    fn proxies_are_checked_when_the_client_is_made() {
        for good in ["proxy.example.test:3128", "http://me:se%40same@[::1]:1", "socks5h://proxy.example.test"]
        {
            let proxies = Proxies { https: Some(good.to_owned()), ..Proxies::default() };
            assert!(Pools::new(&Settings { proxies, ..Settings::default() }).is_ok(), "{good}");
        }
        for bad in ["ftp://me:sesame@proxy.example.test", "http://", "http://me:sesame@", ":sesame"] {
            let proxies = Proxies { all: Some(bad.to_owned()), ..Proxies::default() };
            let problem = Pools::new(&Settings { proxies, ..Settings::default() }).err().unwrap();
            assert_eq!(problem.code, "net.proxy", "{bad}");
            assert!(!format!("{problem:?}").contains("sesame"), "{problem:?}");
        }
    }

    #[test]
    fn a_file_without_authorities_is_named() {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        std::io::Write::write_all(&mut file, b"none").unwrap();
        for (path, why) in [(file.path(), "no certificate"), ("/no/such/file".as_ref(), "No such file")] {
            let settings = Settings { ca_files: vec![path.to_owned()], ..Settings::default() };
            let problem = Pools::new(&settings).err().unwrap();
            assert_eq!(
                (problem.code.as_ref(), problem.place),
                ("net.ca-file", Some(path.display().to_string()))
            );
            assert!(problem.causes[0].contains(why), "{:?}", problem.causes);
        }
    }

    #[test]
    fn equal_routes_share_a_pool_and_old_ones_are_closed() {
        let pools = Pools::new(&Settings::default()).unwrap();
        for number in (0..2 * MOST).chain(0..2) {
            pools.of(&proxy(&format!("http://proxy.example.test:{}", number + 1))).unwrap();
            pools.of(&proxy(&format!("http://proxy.example.test:{}", number + 1))).unwrap();
        }
        let open = pools.open.lock().unwrap();
        assert_eq!(open.len(), MOST);
        let last = open.back().unwrap().0.proxy.as_ref().unwrap();
        assert_eq!(*last.address, "http://proxy.example.test:2");
        let same = open.iter().filter(|(route, _)| route.proxy.as_ref() == Some(last)).count();
        assert_eq!(same, 1);
    }

    #[test]
    fn a_route_that_cannot_be_used_is_named_without_its_secrets() {
        let named_by = "the client's setting".to_owned();
        let authorities =
            Some(Authorities { pem: b"sesame".as_slice().into(), alone: true, named_by: named_by.clone() });
        let identity = Some(Identity { pem: b"sesame".to_vec().into(), named_by });
        let pools = Pools::new(&Settings::default()).unwrap();
        for route in [
            proxy("ftp://me:sesame@proxy.example.test"),
            Route { authorities, ..Route::default() },
            Route { identity, ..Route::default() },
        ] {
            let told = pools.of(&route).unwrap_err().to_string();
            assert!(told.contains("the client's setting") && !told.contains("sesame"), "{told}");
        }
    }
}
