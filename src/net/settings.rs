//! How the network is reached: proxies, extra certificate authorities, limits.

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use url::{Host, Url};

/// How the network is reached. The default goes straight, trusts the system's authorities and retries four
/// times.
#[derive(Debug, Clone)]
pub struct Settings {
    /// The proxies.
    pub proxies: Proxies,
    /// PEM files with certificate authorities to trust besides all others.
    pub ca_files: Vec<PathBuf>,
    /// PEM files with certificate authorities to trust besides the system's, where a route names none of its own.
    pub environment_ca_files: Vec<PathBuf>,
    /// Hosts that may be spoken to in plain HTTP, as `host` or `host:port`, or with certificates that nobody checks if
    /// the route has it so; loopback always may.
    pub insecure_hosts: Vec<String>,
    /// The most bytes a second that bodies may bring in, over all connections; 0 is no limit.
    pub rate_limit: Option<u64>,
    /// When to stop waiting.
    pub timeouts: Timeouts,
    /// How often a failed attempt is repeated. Downloads that get on count anew.
    pub retries: u32,
}

impl Default for Settings {
    fn default() -> Settings {
        Settings {
            proxies: Proxies::default(),
            ca_files: Vec::new(),
            environment_ca_files: Vec::new(),
            insecure_hosts: Vec::new(),
            rate_limit: None,
            timeouts: Timeouts::default(),
            retries: 4,
        }
    }
}

impl Settings {
    /// The settings that environment variables ask for, as other clients read them: `HTTPS_PROXY`,
    /// `HTTP_PROXY`, `ALL_PROXY` and `NO_PROXY` (the lower-case names win, as for curl), `SSL_CERT_FILE`,
    /// `NODE_EXTRA_CA_CERTS`. Empty ones count as unset.
    pub fn from_environment(get: impl Fn(&str) -> Option<String>) -> Settings {
        let first =
            |names: [&str; 2]| names.iter().filter_map(|name| get(name)).find(|value| !value.is_empty());
        let proxies = Proxies {
            https: first(["https_proxy", "HTTPS_PROXY"]),
            http: first(["http_proxy", "HTTP_PROXY"]),
            all: first(["all_proxy", "ALL_PROXY"]),
            except: first(["no_proxy", "NO_PROXY"]),
        };
        let mut environment_ca_files = Vec::new();
        for name in ["SSL_CERT_FILE", "NODE_EXTRA_CA_CERTS"] {
            if let Some(file) = get(name).filter(|file| !file.is_empty()).map(PathBuf::from)
                && !environment_ca_files.contains(&file)
            {
                environment_ca_files.push(file);
            }
        }
        Settings { proxies, environment_ca_files, ..Settings::default() }
    }

    /// Whether a host may be spoken to in plain HTTP, or unchecked.
    pub(super) fn allows_insecure(&self, url: &Url) -> bool {
        let Some(host) = url.host_str() else { return false };
        let port = url.port_or_known_default().unwrap_or(80);
        let with_port = format!("{host}:{port}");
        let listed =
            |entry: &String| entry.eq_ignore_ascii_case(host) || entry.eq_ignore_ascii_case(&with_port);
        is_loopback(url) || self.insecure_hosts.iter().any(listed)
    }
}

/// Whether an address is this machine's own, by what it says; names are not looked up.
pub(super) fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(Host::Ipv4(address)) => address.is_loopback() || address.is_unspecified(),
        Some(Host::Ipv6(address)) => {
            let address = address.to_canonical();
            address.is_loopback() || address.is_unspecified()
        }
        Some(Host::Domain(name)) => {
            let name = name.trim_end_matches('.');
            name == "localhost" || name.ends_with(".localhost")
        }
        None => false,
    }
}

/// Proxies: `http://`, `https://`, `socks5://` or `socks5h://`, with user and password if need be. Loopback
/// is never reached by way of a proxy.
#[derive(Clone, Default)]
pub struct Proxies {
    /// For `https://` addresses.
    pub https: Option<String>,
    /// For `http://` addresses.
    pub http: Option<String>,
    /// For what the others leave.
    pub all: Option<String>,
    /// Hosts, domains and networks that are reached without, separated by commas; `*` for all.
    pub except: Option<String>,
}

impl fmt::Debug for Proxies {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Proxies often have a password in them.
        let hidden = |value: &Option<String>| value.as_ref().map(|_| "hidden");
        f.debug_struct("Proxies")
            .field("https", &hidden(&self.https))
            .field("http", &hidden(&self.http))
            .field("all", &hidden(&self.all))
            .field("except", &self.except)
            .finish()
    }
}

/// When to stop waiting.
#[derive(Debug, Clone, Copy)]
pub struct Timeouts {
    /// For a connection.
    pub connect: Duration,
    /// From sending a request to the end of the answer's head.
    pub response: Duration,
    /// For the next piece of a body; also the time in which a body has to bring at least 1 KiB.
    pub stall: Duration,
}

impl Default for Timeouts {
    fn default() -> Timeouts {
        Timeouts {
            connect: Duration::from_secs(15),
            response: Duration::from_secs(60),
            stall: Duration::from_secs(30),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_environment_is_read_as_other_clients_do() {
        let settings = Settings::from_environment(|name| {
            let value = match name {
                "https_proxy" => "http://lower.example.test",
                "HTTPS_PROXY" => "http://upper.example.test",
                "http_proxy" => "",
                "HTTP_PROXY" => "http://me:sesame@plain.example.test",
                "NO_PROXY" => "intern.example.test",
                "SSL_CERT_FILE" | "NODE_EXTRA_CA_CERTS" => "/etc/ca.pem",
                _ => return None,
            };
            Some(value.to_owned())
        });
        assert_eq!(settings.proxies.https.as_deref(), Some("http://lower.example.test"));
        assert_eq!(settings.proxies.http.as_deref(), Some("http://me:sesame@plain.example.test"));
        assert_eq!(settings.proxies.all, None);
        assert_eq!(settings.proxies.except.as_deref(), Some("intern.example.test"));
        assert_eq!(settings.environment_ca_files, [PathBuf::from("/etc/ca.pem")]);
        assert!(!format!("{settings:?}").contains("sesame"));
    }

    #[test]
    fn plain_http_is_for_loopback_and_listed_hosts() {
        let insecure_hosts = vec!["old.example.test".to_owned(), "Other.example.test:8081".to_owned()];
        let settings = Settings { insecure_hosts, ..Settings::default() };
        let allows = |text: &str| settings.allows_insecure(&Url::parse(text).unwrap());
        for url in [
            "http://localhost",
            "http://registry.localhost.",
            "http://127.3.2.1:1",
            "http://[::1]",
            "http://[::ffff:127.0.0.1]",
            "http://OLD.example.test",
            "http://old.example.test:8080",
            "http://other.example.test:8081",
        ] {
            assert!(allows(url), "{url}");
        }
        for url in
            ["http://other.example.test", "http://example.test", "http://notlocalhost", "http://128.0.0.1"]
        {
            assert!(!allows(url), "{url}");
        }
    }
}
