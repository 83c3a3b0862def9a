//! What can go wrong on the network, and how it is told to people.

use std::error::Error;
use std::time::Duration;

use url::Url;

use super::pools::PROXY_HINT;
use super::redact;
use crate::problem::{Kind, Problem};
use crate::units;

/// A fault, and the address it happened at, already without secrets.
#[derive(Debug, thiserror::Error)]
#[error("{fault} ({url})")]
pub(super) struct NetError {
    pub(super) fault: Fault,
    pub(super) url: String,
    /// How many attempts were made before this was final.
    pub(super) attempts: u32,
}

impl NetError {
    pub(super) fn new(url: &Url, fault: Fault) -> NetError {
        NetError { fault, url: redact(url).to_string(), attempts: 1 }
    }
}

/// What went wrong. The words are for people and hold no secret.
#[derive(Debug, thiserror::Error)]
pub(super) enum Fault {
    #[error("only http and https addresses can be read")]
    Scheme,
    #[error("{host} would be spoken to in plain HTTP")]
    PlainHttp { host: String },
    #[error("the credential cannot be sent: it has characters that a header cannot carry")]
    Credential,
    #[error("{named_by} is not the address of a proxy")]
    ProxyAddress { named_by: String },
    #[error("{named_by} has no certificate that can be used")]
    Authorities { named_by: String },
    #[error("{named_by} cannot be used as a certificate of this machine's own")]
    Identity { named_by: String, cause: String },
    #[error("the HTTP client cannot be set up")]
    Client { cause: String },
    #[error("the redirect to {} is not followed: {why}", quoted(.to))]
    Redirect { to: String, why: &'static str },
    #[error("the server wants the upload to go on at {}, which is not its own address", quoted(.to))]
    Location { to: String },
    #[error("more than {0} redirects")]
    TooManyRedirects(usize),
    #[error("cannot connect to {host}")]
    Connect { host: String, proxied: bool, causes: Vec<String> },
    #[error("no trusted TLS connection to {host}")]
    Tls { host: String, causes: Vec<String> },
    #[error("{what} took more than {}", seconds(*.after))]
    TimedOut { what: &'static str, after: Duration },
    #[error("the connection broke")]
    Broken { causes: Vec<String> },
    #[error("the server answered {}", status_line(*.status))]
    Status {
        status: u16,
        retry_after: Option<Duration>,
        shown_credential: bool,
        /// What helps, by the word of whoever knows how to sign in there.
        advice: Option<String>,
    },
    #[error("signing in at {}, where the server sends us, is out of the question: {why}", quoted(.realm))]
    Realm { realm: String, why: &'static str },
    #[error("the answer ended after {got} of {expected} bytes")]
    Truncated { got: u64, expected: u64 },
    #[error("the answer is not {} as it says it is", quoted(.coding))]
    Damaged { coding: String, cause: String },
    #[error("the answer is encoded as {}, which nobody asked for", quoted(.0))]
    Coding(String),
    #[error("the answer is larger than {}", units::bytes(*limit))]
    TooLarge { limit: u64 },
    #[error("the file has {got} bytes instead of {expected}")]
    Size { expected: u64, got: u64 },
    #[error("the file changes while it is read")]
    Unstable,
    #[error("the answer breaks the rules of HTTP: {0}")]
    Protocol(&'static str),
}

/// Whether trying again may help.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Again {
    Never,
    /// After a pause of our choice.
    Soon,
    /// Not before the server said.
    After(Duration),
}

impl Fault {
    pub(super) fn again(&self) -> Again {
        match self {
            Fault::Connect { .. }
            | Fault::TimedOut { .. }
            | Fault::Broken { .. }
            | Fault::Truncated { .. }
            | Fault::Damaged { .. } => Again::Soon,
            // 501 and 505 say that the server will never be able to.
            Fault::Status { status: 501 | 505, .. } => Again::Never,
            Fault::Status { status: 408 | 425 | 429 | 500..=599, retry_after, .. } => {
                retry_after.map_or(Again::Soon, Again::After)
            }
            _ => Again::Never,
        }
    }

    fn code(&self) -> &'static str {
        match self {
            Fault::Scheme => "net.scheme",
            Fault::PlainHttp { .. } => "net.plain-http",
            Fault::Credential => "net.credential",
            Fault::ProxyAddress { .. } => "net.proxy",
            Fault::Authorities { .. } => "net.authorities",
            Fault::Identity { .. } => "net.identity",
            Fault::Client { .. } => "net.client",
            Fault::Redirect { .. } | Fault::TooManyRedirects(_) => "net.redirect",
            Fault::Location { .. } => "net.location",
            Fault::Realm { .. } => "net.realm",
            Fault::Connect { .. } => "net.connect",
            Fault::Tls { .. } => "net.tls",
            Fault::TimedOut { .. } => "net.timeout",
            Fault::Broken { .. } => "net.broken",
            Fault::Status { status: 404 | 410, .. } => "net.not-found",
            Fault::Status { status: 401, .. } => "net.unauthorized",
            Fault::Status { status: 403, .. } => "net.forbidden",
            Fault::Status { status: 407, .. } => "net.proxy",
            Fault::Status { status: 429, .. } => "net.too-many-requests",
            Fault::Status { .. } => "net.status",
            Fault::Truncated { .. } => "net.truncated",
            Fault::Damaged { .. } => "net.damaged",
            Fault::Coding(_) => "net.coding",
            Fault::TooLarge { .. } => "net.too-large",
            Fault::Size { .. } => "net.size",
            Fault::Unstable => "net.unstable",
            Fault::Protocol(_) => "net.protocol",
        }
    }

    fn kind(&self) -> Kind {
        match self {
            Fault::Scheme
            | Fault::Credential
            | Fault::ProxyAddress { .. }
            | Fault::Authorities { .. }
            | Fault::Identity { .. } => Kind::Usage,
            Fault::Client { .. } => Kind::Failed,
            Fault::PlainHttp { .. }
            | Fault::Redirect { .. }
            | Fault::Location { .. }
            | Fault::Realm { .. }
            | Fault::TooLarge { .. } => Kind::Refused,
            // Asking again would be answered in the same way.
            Fault::Status { status: 401 | 403, .. } => Kind::Refused,
            Fault::Status { status: 404 | 410, .. } => Kind::Incomplete,
            Fault::Size { .. } => Kind::Untrusted,
            _ => Kind::Unavailable,
        }
    }

    /// What helps, if anything does.
    fn hint(&self) -> Option<String> {
        let hint = match self {
            Fault::PlainHttp { host } => {
                return Some(format!(
                    "use https, or allow it with `--insecure-host {host}` if you trust the way there"
                ));
            }
            Fault::Status { advice: Some(advice), .. } => return Some(advice.clone()),
            Fault::Realm { .. } => {
                "the server itself names where to sign in: ask who runs it, or who runs what stands between; where a push goes, `--realm-override URL` says it instead"
            }
            Fault::Location { .. } => {
                "behind a proxy it may not know what it is called: with `--rewrite-location same-host` the upload goes on where it began"
            }
            Fault::ProxyAddress { .. } => PROXY_HINT,
            Fault::Authorities { .. } => {
                "certificate authorities are written as PEM: -----BEGIN CERTIFICATE-----"
            }
            Fault::Identity { .. } => {
                "both are written as PEM: the certificate, and the private key that belongs to it, without passphrase"
            }
            Fault::Connect { proxied: true, .. } => {
                "the connection goes by way of a proxy: check the client's own settings, HTTPS_PROXY, HTTP_PROXY, ALL_PROXY and NO_PROXY"
            }
            Fault::Connect { .. } => {
                "check the name and this machine's network; if there is a proxy, set HTTPS_PROXY"
            }
            Fault::Tls { .. } => {
                "if the network or the registry has a certificate authority of its own, name its PEM file: `--ca-file`, or the client's own setting"
            }
            Fault::Status { status: 401, shown_credential: false, .. } => {
                "configure credentials for this host where the client itself keeps them"
            }
            Fault::Status { status: 401, .. } => {
                "the credential was not accepted: renew it where the client itself keeps it"
            }
            Fault::Status { status: 403, shown_credential: false, .. } => {
                "if it is not for everybody, configure credentials where the client itself keeps them"
            }
            Fault::Status { status: 403, .. } => {
                "the account may not read this, or a firewall on the way refuses it"
            }
            Fault::Status { status: 407, .. } => {
                "the proxy wants a user and a password: put them into its address, in HTTPS_PROXY or the client's own setting"
            }
            Fault::Status { status: 429, .. } => {
                "the server wants fewer requests: try later, or log in for a higher limit"
            }
            Fault::Status { retry_after: Some(_), .. } => "run it again then: what was downloaded is kept",
            _ => return None,
        };
        Some(hint.to_owned())
    }
}

impl From<NetError> for Problem {
    fn from(error: NetError) -> Problem {
        let NetError { fault, url, attempts } = error;
        let mut problem = Problem::new(fault.kind(), fault.code(), fault.to_string()).at(url);
        let hint = fault.hint();
        match fault {
            Fault::Connect { causes, .. } | Fault::Tls { causes, .. } | Fault::Broken { causes } => {
                problem.causes = causes;
            }
            Fault::Damaged { cause, .. } | Fault::Identity { cause, .. } | Fault::Client { cause } => {
                problem.causes.push(cause);
            }
            Fault::Status { retry_after: Some(wait), .. } => {
                problem.causes.push(format!("it says to come back in {}", about(wait)));
            }
            _ => {}
        }
        if attempts > 1 {
            problem.causes.push(format!("this was attempt {attempts}"));
        }
        problem.hints.extend(hint);
        problem
    }
}

/// Sorts an error of the library below by what can be done about it.
pub(super) fn sort(error: reqwest::Error, url: &Url, proxied: bool) -> NetError {
    // The library's own words name the address with its secrets.
    let error = error.without_url();
    let host = host_of(url);
    let (timed_out, connecting) = (error.is_timeout(), error.is_connect());
    let (causes, tls) = causes(&error);
    let fault = match () {
        () if tls => Fault::Tls { host, causes },
        // The answer to CONNECT comes as an error that has no type of its own to us.
        () if causes.iter().any(|cause| cause.contains("proxy authorization required")) => {
            Fault::Status { status: 407, retry_after: None, shown_credential: false, advice: None }
        }
        () if connecting => Fault::Connect { host, proxied, causes },
        () if timed_out => Fault::Broken { causes },
        () if error.is_builder() => Fault::Protocol("the address cannot be put into a request"),
        () => Fault::Broken { causes },
    };
    NetError::new(url, fault)
}

/// Host and port as people write them.
pub(super) fn host_of(url: &Url) -> String {
    match (url.host_str(), url.port()) {
        (Some(host), Some(port)) => format!("{host}:{port}"),
        (Some(host), None) => host.to_owned(),
        (None, _) => String::new(),
    }
}

/// The words of an error and its sources, without repetitions, and whether TLS is among them.
fn causes(error: &dyn Error) -> (Vec<String>, bool) {
    let mut words: Vec<String> = Vec::new();
    let mut tls = false;
    let mut next = error.source();
    while let Some(cause) = next {
        let text = cause.to_string();
        // Wrappers repeat what they wrap, the innermost says it best; and one of them says nothing.
        words.retain(|earlier| !earlier.contains(&text) && !earlier.starts_with("client error ("));
        words.push(text);
        tls |= cause.is::<rustls::Error>();
        // An io::Error does not count what it wraps among its sources.
        next = match cause.downcast_ref::<std::io::Error>().and_then(std::io::Error::get_ref) {
            Some(wrapped) => Some(wrapped),
            None => cause.source(),
        };
    }
    (words, tls)
}

/// A server's own words: cut short, and with nothing in them that a terminal would obey.
fn quoted(words: &str) -> String {
    let end = words.char_indices().nth(200).map_or(words.len(), |(end, _)| end);
    let (shown, rest) = words.split_at(end);
    format!("\"{}{}\"", shown.escape_debug(), if rest.is_empty() { "" } else { " …" })
}

fn seconds(time: Duration) -> String {
    match time.as_millis() {
        milliseconds @ 0..1000 => format!("{milliseconds} ms"),
        _ => format!("{} s", time.as_secs()),
    }
}

/// A wait of any length, as people say it; rounded up, so that nobody comes too early.
fn about(time: Duration) -> String {
    let seconds = time.as_secs();
    match seconds {
        0..120 => format!("{seconds} s"),
        120..7200 => format!("{} min", seconds.div_ceil(60)),
        7200..172_800 => format!("{} h", seconds.div_ceil(3600)),
        172_800..31_536_000 => format!("{} days", seconds.div_ceil(86_400)),
        _ => "more than a year".to_owned(),
    }
}

fn status_line(status: u16) -> String {
    let known = http::StatusCode::from_u16(status).ok().and_then(|status| status.canonical_reason());
    known.map_or_else(|| status.to_string(), |reason| format!("{status} {reason}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_are_told_as_people_say_them() {
        for (seconds, said) in [
            (0, "0 s"),
            (119, "119 s"),
            (121, "3 min"),
            (86_400, "24 h"),
            (86_401, "25 h"),
            (30 * 86_400, "30 days"),
            (u64::MAX, "more than a year"),
        ] {
            assert_eq!(about(Duration::from_secs(seconds)), said);
        }
    }

    #[test]
    fn servers_words_are_cut_short_and_harmless() {
        assert_eq!(quoted("gzip"), "\"gzip\"");
        assert_eq!(quoted("a\u{1b}[2J\u{202e}\""), r#""a\u{1b}[2J\u{202e}\"""#);
        assert_eq!(quoted(&"é".repeat(1000)), format!("\"{} …\"", "é".repeat(200)));
    }
}
