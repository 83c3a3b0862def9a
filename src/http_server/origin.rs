//! By what address a client reached us: documents that name other documents begin with it.

use std::net::{IpAddr, SocketAddr};

use http::HeaderMap;
use http::header::{HOST, HeaderName};
use http::request::Parts;

/// The two ends of a connection.
#[derive(Debug, Clone, Copy)]
pub(super) struct Ends {
    /// The other one.
    pub(super) remote: SocketAddr,
    /// Ours.
    pub(super) local: SocketAddr,
    /// What is spoken between them.
    pub(super) speech: Speech,
}

/// What is spoken on a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Speech {
    /// HTTP.
    Plain,
    /// HTTP within TLS.
    Tls,
    /// HTTP, where the listener speaks TLS: nothing is answered but that.
    PlainByMistake,
}

/// The address a client used.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Origin {
    scheme: &'static str,
    authority: String,
}

const FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");
const FORWARDED_HOST: HeaderName = HeaderName::from_static("x-forwarded-host");
const FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");

impl Origin {
    /// Reads it from a request. The error says what is wrong.
    pub(super) fn of(parts: &Parts, ends: Ends, trusted: &[IpAddr]) -> Result<Origin, &'static str> {
        let proxied = is_trusted(ends, trusted);
        let spoken = match ends.speech {
            Speech::Plain => "http",
            Speech::Tls => "https",
            Speech::PlainByMistake => {
                return Err("this port speaks TLS; ask it with https:// instead of http://");
            }
        };
        let scheme = match proxied.then(|| last(&parts.headers, &FORWARDED_PROTO)).flatten() {
            Some("https") => "https",
            Some("http") => "http",
            _ => spoken,
        };
        if let Some(host) = proxied.then(|| last(&parts.headers, &FORWARDED_HOST)).flatten() {
            return Origin::new(scheme, host);
        }
        let mut hosts = parts.headers.get_all(HOST).iter();
        let host = hosts.next();
        if hosts.next().is_some() {
            return Err("there is more than one Host header");
        }
        // An absolute target wins over the header (RFC 9112 section 3.2.2).
        match (parts.uri.authority(), host) {
            (Some(authority), _) => Origin::new(scheme, authority.as_str()),
            (None, Some(host)) => Origin::new(scheme, host.to_str().map_err(|_| BAD_HOST)?),
            (None, None) if parts.version == http::Version::HTTP_10 => {
                Ok(Origin { scheme, authority: ends.local.to_string() })
            }
            (None, None) => Err("there is no Host header"),
        }
    }

    fn new(scheme: &'static str, authority: &str) -> Result<Origin, &'static str> {
        if is_authority(authority) {
            Ok(Origin { scheme, authority: authority.to_ascii_lowercase() })
        } else {
            Err(BAD_HOST)
        }
    }

    /// The host without its port, lower case.
    pub(super) fn host(&self) -> &str {
        match self.authority.rsplit_once(':') {
            Some((host, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => host,
            _ => &self.authority,
        }
    }
}

impl std::fmt::Display for Origin {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}://{}", self.scheme, self.authority)
    }
}

/// Who asks: the connection's other end, or, if that is a trusted proxy, whom it names.
pub(super) fn client(headers: &HeaderMap, ends: Ends, trusted: &[IpAddr]) -> IpAddr {
    let peer = ends.remote.ip().to_canonical();
    if !is_trusted(ends, trusted) {
        return peer;
    }
    last(headers, &FORWARDED_FOR).and_then(|text| text.parse().ok()).unwrap_or(peer)
}

fn is_trusted(ends: Ends, trusted: &[IpAddr]) -> bool {
    !trusted.is_empty() && trusted.contains(&ends.remote.ip().to_canonical())
}

/// The last value of a list: the one that the proxy next to us wrote.
fn last<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Option<&'a str> {
    let value = headers.get_all(name).iter().next_back()?.to_str().ok()?;
    value.rsplit(',').next().map(str::trim).filter(|value| !value.is_empty())
}

const BAD_HOST: &str = "the Host header is not a host";

/// Whether it is a name or an address with an optional port, and nothing that could break out of a document.
fn is_authority(text: &str) -> bool {
    if text.len() > 261 {
        return false;
    }
    let (host, port) = match text.strip_prefix('[').and_then(|inner| inner.split_once(']')) {
        Some((address, after)) => {
            let valid = address.parse::<std::net::Ipv6Addr>().is_ok();
            match (valid, after.strip_prefix(':')) {
                (false, _) => return false,
                (true, None) => return after.is_empty(),
                (true, port) => ("address", port),
            }
        }
        None => match text.split_once(':') {
            Some((host, port)) => (host, Some(port)),
            None => (text, None),
        },
    };
    let named = !host.is_empty()
        && !host.starts_with(['.', '-'])
        && host.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b'_'));
    // `u16::from_str` would take a sign.
    let numbered = |port: &str| port.bytes().all(|byte| byte.is_ascii_digit()) && port.parse::<u16>().is_ok();
    named && port.is_none_or(numbered)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_hosts_are_hosts() {
        for good in ["a", "a.b:80", "127.0.0.1:2385", "[::1]", "[::1]:80", "host_5000", "xn--a", "a.", "A-1"]
        {
            assert!(is_authority(good), "{good}");
        }
        let long = "a".repeat(262);
        for bad in [
            "", ":80", "a:", "a:b", "a:80:90", "a:+1", "a:65536", "a b", "a/b", "a\"b", "<a>", "a@b", "a,b",
            "a?b", "::1", "[::1", "[x]", "[::1]x", "[::1]:", ".a", "-a", "ä", "a%41", &long,
        ] {
            assert!(!is_authority(bad), "{bad}");
        }
    }

    fn request(headers: &[(&'static str, &'static str)]) -> Parts {
        let mut builder = http::Request::builder().uri("/x");
        for (name, value) in headers {
            builder = builder.header(*name, *value);
        }
        builder.body(()).unwrap().into_parts().0
    }

    fn ends(local: &str, speech: Speech) -> Ends {
        Ends { remote: "192.0.2.7:1".parse().unwrap(), local: local.parse().unwrap(), speech }
    }

    #[test]
    fn an_address_has_the_scheme_that_is_spoken_unless_a_proxy_says_another() {
        let of = |speech, headers: &[_]| {
            let ends = ends("192.0.2.1:2385", speech);
            Origin::of(&request(headers), ends, &[ends.remote.ip()]).map(|origin| origin.to_string())
        };
        let forwarded = |scheme| [("host", "a"), ("x-forwarded-proto", scheme)];
        assert_eq!(of(Speech::Tls, &[("host", "a:1")]).unwrap(), "https://a:1");
        assert_eq!(of(Speech::Tls, &forwarded("http")).unwrap(), "http://a");
        assert_eq!(of(Speech::Plain, &forwarded("https")).unwrap(), "https://a");
        assert!(of(Speech::PlainByMistake, &forwarded("https")).is_err());
    }

    #[test]
    fn forwarded_headers_count_only_from_a_trusted_proxy() {
        let ends = ends("192.0.2.1:2385", Speech::Plain);
        let parts = request(&[
            ("host", "Inside:2385"),
            ("x-forwarded-proto", "https"),
            ("x-forwarded-host", "evil.test, packages.example.test"),
            ("x-forwarded-for", "203.0.113.1, 198.51.100.9"),
        ]);
        let trusted = [ends.remote.ip()];
        let origin = Origin::of(&parts, ends, &[]).unwrap();
        assert_eq!((origin.to_string().as_str(), origin.host()), ("http://inside:2385", "inside"));
        assert_eq!(client(&parts.headers, ends, &[]), ends.remote.ip());
        let origin = Origin::of(&parts, ends, &trusted).unwrap();
        assert_eq!(origin.to_string(), "https://packages.example.test");
        assert_eq!(client(&parts.headers, ends, &trusted), IpAddr::from([198, 51, 100, 9]));
    }

    #[test]
    fn a_request_names_one_host() {
        let ends = ends("[::1]:2385", Speech::Plain);
        assert!(Origin::of(&request(&[]), ends, &[]).is_err());
        assert!(Origin::of(&request(&[("host", "a"), ("host", "a")]), ends, &[]).is_err());
        assert!(Origin::of(&request(&[("host", "a<b")]), ends, &[]).is_err());
        let mut old = request(&[]);
        old.version = http::Version::HTTP_10;
        assert_eq!(Origin::of(&old, ends, &[]).unwrap().to_string(), "http://[::1]:2385");
        let mut absolute = request(&[("host", "a")]);
        absolute.uri = "http://b:8080/x".parse().unwrap();
        assert_eq!(Origin::of(&absolute, ends, &[]).unwrap().host(), "b");
        assert_eq!(Origin::of(&request(&[("host", "[::1]")]), ends, &[]).unwrap().host(), "[::1]");
    }
}
