//! What the configuration of a client says of the way to its servers.

use std::fmt;
use std::path::PathBuf;

use bytes::Bytes;
use zeroize::Zeroizing;

/// How to reach a server, as the configuration of its ecosystem's client says: plain data, of which every part that is
/// unset leaves it to [`Settings`](super::Settings). Equal routes share their connections.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Route {
    /// The proxy for all addresses, whatever their scheme.
    pub proxy: Option<Proxy>,
    /// Hosts, domains and networks that are reached without a proxy, separated by commas: besides those of
    /// [`Proxies::except`](super::Proxies::except).
    pub no_proxy: Option<String>,
    /// Certificate authorities to trust besides those of [`Settings::ca_files`](super::Settings::ca_files).
    pub authorities: Option<Authorities>,
    /// What this machine shows of itself, to the origin of the first address alone.
    pub identity: Option<Identity>,
    /// Whether certificates need not be checked. It is followed only for hosts that
    /// [`Settings::insecure_hosts`](super::Settings::insecure_hosts) names, and for loopback.
    pub unchecked: bool,
    /// Whether plain HTTP will do for any host, because whatever comes is held to signatures or checksums. It is no way
    /// down from https.
    pub plain_http: bool,
    /// Whether the server itself has to answer: where it leads on to another origin, it has nothing of its own.
    pub same_origin: bool,
    /// The socket of this machine that answers, whatever host an address names.
    pub socket: Option<PathBuf>,
}

impl fmt::Debug for Route {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Route")
            .field("proxy", &self.proxy.as_ref().map(|proxy| &proxy.named_by))
            .field("no_proxy", &self.no_proxy)
            .field("authorities", &self.authorities.as_ref().map(|authorities| &authorities.named_by))
            .field("identity", &self.identity.as_ref().map(|identity| &identity.named_by))
            .field("unchecked", &self.unchecked)
            .field("plain_http", &self.plain_http)
            .field("same_origin", &self.same_origin)
            .field("socket", &self.socket)
            .finish()
    }
}

/// A proxy.
#[derive(Clone, PartialEq, Eq)]
pub struct Proxy {
    /// Its address, with user and password if need be.
    pub address: Zeroizing<String>,
    /// Who names it, for messages: `npm's setting https-proxy`.
    pub named_by: String,
}

/// Certificate authorities.
#[derive(Clone, PartialEq, Eq)]
pub struct Authorities {
    /// Their certificates, PEM.
    pub pem: Bytes,
    /// Whether they are the only ones, and the system's are not trusted.
    pub alone: bool,
    /// Who names them, for messages.
    pub named_by: String,
}

/// A certificate of this machine's own.
#[derive(Clone, PartialEq, Eq)]
pub struct Identity {
    /// The certificate, those that vouch for it, and its private key, PEM.
    pub pem: Zeroizing<Vec<u8>>,
    /// Who names it, for messages.
    pub named_by: String,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_secret_is_printed() {
        let named_by = "npm's settings".to_owned();
        let route = Route {
            proxy: Some(Proxy {
                address: "http://me:sesame@proxy.example.test".to_owned().into(),
                named_by: named_by.clone(),
            }),
            identity: Some(Identity { pem: b"sesame".to_vec().into(), named_by }),
            ..Route::default()
        };
        let printed = format!("{route:?}");
        assert!(printed.contains("npm's settings") && !printed.contains("sesame"), "{printed}");
    }
}
