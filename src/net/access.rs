//! Addresses with what it takes to be let in.

use std::fmt;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use url::Url;
use zeroize::Zeroizing;

use super::redact;
use super::route::Route;
use super::sign_in::SignIn;

/// An address, the way to it, and what it takes to be let in. Credentials go to the URL's own origin and nowhere else.
#[derive(Clone)]
pub struct Access {
    /// The address, without user or password in it.
    pub url: Url,
    /// What to show, if anything.
    pub credential: Option<Credential>,
    /// How to answer if the server asks who we are, if we do.
    pub sign_in: Option<Arc<SignIn>>,
    /// How to get there.
    pub route: Arc<Route>,
}

impl Access {
    /// An address that is open to everybody, by the usual way.
    pub fn open(url: Url) -> Access {
        Access { url, credential: None, sign_in: None, route: Arc::default() }
    }
}

impl fmt::Debug for Access {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let url = redact(&self.url).to_string();
        f.debug_struct("Access")
            .field("url", &url)
            .field("credential", &self.credential)
            .field("sign_in", &self.sign_in)
            .field("route", &self.route)
            .finish()
    }
}

/// A secret that is shown to one origin only, and never printed.
#[derive(Clone)]
pub struct Credential {
    /// The whole value of the Authorization header.
    authorization: Zeroizing<String>,
    /// The origin it may be shown to.
    origin: url::Origin,
}

impl Credential {
    /// A bearer token for the origin of `url`.
    pub fn bearer(url: &Url, token: &str) -> Credential {
        Credential { authorization: format!("Bearer {token}").into(), origin: url.origin() }
    }

    /// A user and password for the origin of `url` (RFC 7617).
    pub fn basic(url: &Url, user: &str, password: &str) -> Credential {
        let joined = Zeroizing::new(format!("{user}:{password}"));
        Credential::basic_encoded(url, &Zeroizing::new(STANDARD.encode(joined.as_bytes())))
    }

    /// A user and password for the origin of `url`, already joined and in base64 (RFC 7617).
    pub fn basic_encoded(url: &Url, encoded: &str) -> Credential {
        Credential { authorization: format!("Basic {encoded}").into(), origin: url.origin() }
    }

    /// The Authorization header, if `url` is of the origin that this credential is bound to.
    pub fn for_url(&self, url: &Url) -> Option<&str> {
        (url.origin() == self.origin).then_some(self.authorization.as_str())
    }
}

impl fmt::Debug for Credential {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Credential(hidden)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_credential_is_for_its_own_origin_only() {
        let url = Url::parse("https://registry.example.test/a/b").unwrap();
        let credential = Credential::bearer(&url, "open-sesame");
        let shown = |text: &str| credential.for_url(&Url::parse(text).unwrap()).map(str::to_owned);
        assert_eq!(shown("https://registry.example.test:443/else"), Some("Bearer open-sesame".to_owned()));
        assert_eq!(shown("https://registry.example.test:444/a/b"), None);
        assert_eq!(shown("http://registry.example.test/a/b"), None);
        assert_eq!(shown("https://cdn.registry.example.test/a/b"), None);
    }

    #[test]
    fn nothing_secret_is_printed() {
        let url = Url::parse("https://registry.example.test/?token=open-sesame").unwrap();
        let credential = Some(Credential::bearer(&url, "open-sesame"));
        let printed = format!("{:?}", Access { credential, ..Access::open(url) });
        assert!(printed.contains("registry.example.test") && !printed.contains("sesame"), "{printed}");
    }
}
