//! The one HTTP client.

use url::Url;

/// An address with what it takes to be let in. Credentials go to the URL's own origin and nowhere else.
#[derive(Debug, Clone)]
pub struct Access {
    /// The address, without user or password in it.
    pub url: Url,
    /// What to show, if anything.
    pub credential: Option<Credential>,
}

/// A secret that is shown to one origin only, and never printed.
#[derive(Clone)]
pub struct Credential {
    /// The whole value of the Authorization header.
    authorization: zeroize::Zeroizing<String>,
    /// The origin it may be shown to.
    origin: url::Origin,
}

impl Credential {
    /// A bearer token for the origin of `url`.
    pub fn bearer(url: &Url, token: &str) -> Credential {
        Credential { authorization: format!("Bearer {token}").into(), origin: url.origin() }
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

impl std::fmt::Debug for Credential {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Credential(hidden)")
    }
}
