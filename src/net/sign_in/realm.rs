//! Where a server may send us to sign in.
//!
//! The address of a token server, the realm, is the word of whoever answered 401; and there go an account, and a request
//! from within this network. What is trusted, and why:
//!
//! - **The server's own origin.** It could have asked for the account itself.
//! - **Another host, by https and by name.** That is how the largest registries are made: the registry on one host, its
//!   token server on another, and nothing but the registry's word to join them. So whoever keeps an account for a
//!   registry trusts it to say where the account is to be shown, as with every other client; the certificate then
//!   proves that it is shown to nobody else. It is shown to no host that this one redirects to.
//! - **Plain HTTP only from a server in plain HTTP**, and only to hosts that are allowed to be spoken to in it: nobody
//!   can lead us from https down to it.
//! - **No addresses in numbers and none of this machine**, unless the server is one itself: with those, a stranger would
//!   choose which of the services in here are asked in our name.

use url::{Host, Url};

use crate::net::error::{Fault, host_of};
use crate::net::redact;
use crate::net::redirect::without_user;
use crate::net::settings::{Settings, is_loopback};

/// No token server has a longer address.
const LONGEST: usize = 2048;

/// The address to sign in at, if `server`, whose word `realm` is, may send us there.
///
/// # Errors
/// `net.realm` if not; `net.plain-http` if the host may not be spoken to in plain HTTP.
pub(super) fn trusted(realm: &str, server: &Url, settings: &Settings) -> Result<Url, Fault> {
    let unreadable = Fault::Protocol("the place to sign in at is no address");
    if realm.len() > LONGEST {
        return Err(unreadable);
    }
    let Ok(url) = Url::parse(realm) else { return Err(unreadable) };
    let mut url = without_user(url);
    url.set_fragment(None);
    let refuse = |why| Err(Fault::Realm { realm: redact(&url).to_string(), why });
    match url.scheme() {
        "https" => {}
        "http" if server.scheme() != "http" => return refuse("it is plain HTTP"),
        "http" if settings.allows_insecure(&url) => {}
        "http" => return Err(Fault::PlainHttp { host: host_of(&url) }),
        _ => return refuse("it is neither https nor http"),
    }
    let is_same_host = url.host() == server.host();
    let is_of_this_machine = is_loopback(&url);
    if is_of_this_machine && !is_loopback(server) {
        return refuse("it leads from elsewhere to this machine's own services");
    }
    let is_number = matches!(url.host(), Some(Host::Ipv4(_) | Host::Ipv6(_)));
    if is_number && !is_same_host && !is_of_this_machine {
        return refuse("it is an address in numbers, which no certificate ties to the registry");
    }
    Ok(url)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn to(realm: &str, server: &str) -> Result<String, Fault> {
        let insecure_hosts = vec!["old.example.test".to_owned(), "10.0.0.7".to_owned()];
        let settings = Settings { insecure_hosts, ..Settings::default() };
        trusted(realm, &Url::parse(server).unwrap(), &settings).map(String::from)
    }

    #[test]
    fn good_places_are_gone_to() {
        let registry = "https://registry.example.test/v2/a/manifests/1";
        for (realm, server) in [
            ("https://registry.example.test/token?x=1", registry),
            ("https://registry.example.test:8443/token", registry),
            ("https://auth.example.test/token", registry),
            ("https://192.0.2.1/token", "https://192.0.2.1:5000/v2/"),
            ("http://localhost:5001/token", "http://127.0.0.1:5000/v2/"),
            ("https://auth.example.test/token", "http://127.0.0.1:5000/v2/"),
            ("http://old.example.test/token", "http://old.example.test:8081/v2/"),
            ("http://old.example.test/token", "http://localhost:8081/v2/"),
            ("http://10.0.0.7/token", "http://10.0.0.7:8081/v2/"),
        ] {
            assert_eq!(to(realm, server).ok().as_deref(), Some(realm), "{server}");
        }
        let stripped = to("https://me:sesame@auth.example.test/token#x", registry).unwrap();
        assert_eq!(stripped, "https://auth.example.test/token");
    }

    #[test]
    fn bad_ones_are_not() {
        let registry = "https://registry.example.test/v2/";
        for (realm, server) in [
            ("http://registry.example.test/token", registry),
            ("http://old.example.test/token", registry),
            ("http://old.example.test/token", "https://old.example.test/v2/"),
            ("https://192.0.2.1/token", registry),
            ("https://0xc0000201/token", registry),
            ("https://[2001:db8::1]/token", registry),
            ("https://192.0.2.1/token", "https://192.0.2.2/v2/"),
            ("https://192.0.2.1/token", "http://localhost/v2/"),
            ("https://169.254.169.254/latest/meta-data", registry),
            ("https://localhost/token", registry),
            ("https://127.1/token", registry),
            ("https://[::ffff:127.0.0.1]/token", "https://192.0.2.1/v2/"),
            ("http://localhost/token", "http://old.example.test/v2/"),
            ("file:///etc/passwd", registry),
            ("null://registry.example.test/token", registry),
        ] {
            let refused = to(realm, server).unwrap_err();
            assert!(matches!(refused, Fault::Realm { .. }), "{realm}: {refused}");
        }
        let plain = to("http://auth.example.test/token", "http://old.example.test/v2/").unwrap_err();
        assert!(matches!(plain, Fault::PlainHttp { .. }), "{plain}");
        for realm in ["", "/token", "token", "https://", &format!("https://a.test/{}", "x".repeat(LONGEST))] {
            assert!(matches!(to(realm, registry), Err(Fault::Protocol(_))), "{realm}");
        }
        let told = to("http://auth.example.test/?token=sesame", registry).unwrap_err().to_string();
        assert!(told.contains("auth.example.test") && !told.contains("sesame"), "{told}");
    }
}
