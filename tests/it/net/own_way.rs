//! The way to a server that its client's configuration names: proxy, authorities, certificate.

use std::sync::Arc;

use aftk::net::{Access, Authorities, Identity, Proxies, Proxy, Route, Settings, SignIn};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;

use super::noting;
use super::route::{open, read};
use crate::support::connect_proxy::ConnectProxy;
use crate::support::fake_upstream::{FakeUpstream, Reply};
use crate::support::tls::{authority, certificate, with_tls};

fn by(url: &str, route: Route) -> Access {
    Access { route: Arc::new(route), ..open(url) }
}

fn proxied(address: String) -> Route {
    let named_by = "npm's setting https-proxy".to_owned();
    Route { proxy: Some(Proxy { address: address.into(), named_by }), ..Route::default() }
}

fn authorities() -> Option<Authorities> {
    let pem = std::fs::read(authority()).unwrap().into();
    Some(Authorities { alone: true, pem, named_by: "npm's setting cafile".to_owned() })
}

fn at_localhost(upstream: &FakeUpstream, path: &str) -> String {
    format!("https://localhost:{}{path}", upstream.at("/").port().unwrap())
}

#[tokio::test]
async fn proxy_and_authorities_of_a_route_count_before_those_of_the_settings() {
    let upstream = with_tls();
    upstream.route("/a", Reply::ok("safe"));
    let proxy = ConnectProxy::start(&upstream);
    let environment = FakeUpstream::start();
    let proxies = Proxies { https: Some(environment.url()), ..Proxies::default() };
    let client = noting(Settings { proxies, retries: 0, ..Settings::default() }).0;

    let route = Route { authorities: authorities(), ..proxied(proxy.url()) };
    let access = by("https://registry.example.test/a", route.clone());
    assert_eq!(read(&client, &access).await.unwrap(), "safe");
    assert_eq!(proxy.targets(), ["registry.example.test:443"]);

    let straight = Route { no_proxy: Some("example.test".to_owned()), ..route.clone() };
    let problem = read(&client, &by("https://registry.example.test/a", straight)).await.unwrap_err();
    assert_eq!(problem.code, "net.connect", "straight, where no such name exists");
    let problem =
        read(&client, &by("https://registry.example.test/a", proxied(proxy.url()))).await.unwrap_err();
    assert_eq!(problem.code, "net.tls", "the authority was that of the other route");
    let problem =
        read(&client, &by("https://registry.example.test/a", proxied(proxy.bare_url()))).await.unwrap_err();
    assert_eq!(problem.code, "net.proxy", "it wants a password");
    assert_eq!(environment.requests().len(), 0);
}

#[tokio::test]
async fn what_is_reached_without_a_proxy_stands_in_both_lists() {
    let proxy = ConnectProxy::start(&with_tls());
    let proxies = Proxies { except: Some("one.example.test".to_owned()), ..Proxies::default() };
    let client = noting(Settings { proxies, retries: 0, ..Settings::default() }).0;
    let route = Route { no_proxy: Some("two.example.test".to_owned()), ..proxied(proxy.url()) };
    for (host, through) in [("one", 0), ("two", 0), ("three", 1)] {
        let access = by(&format!("https://{host}.example.test/"), route.clone());
        assert!(read(&client, &access).await.is_err());
        assert_eq!(proxy.targets().len(), through, "{host}");
    }
}

#[tokio::test]
async fn authorities_of_a_route_are_the_only_ones_besides_the_users_own() {
    let upstream = with_tls();
    upstream.route("/a", Reply::ok("safe"));
    let other = include_bytes!("../support/tls/client-authority.pem").as_slice().into();
    let other = Authorities { alone: true, pem: other, named_by: "npm's setting ca".to_owned() };
    let access = by(&at_localhost(&upstream, "/a"), Route { authorities: Some(other), ..Route::default() });
    let environment = Settings { environment_ca_files: vec![authority()], ..Settings::default() };
    let client = noting(environment).0;
    assert_eq!(read(&client, &access).await.unwrap_err().code, "net.tls");
    assert_eq!(read(&client, &open(access.url.as_str())).await.unwrap(), "safe");
    let user = Settings { ca_files: vec![authority()], ..Settings::default() };
    assert_eq!(read(&noting(user).0, &access).await.unwrap(), "safe");
}

#[tokio::test]
async fn certificates_are_unchecked_only_where_both_the_route_and_the_settings_say_so() {
    let upstream = with_tls();
    let proxy = ConnectProxy::start(&upstream);
    upstream.route("/a", Reply::ok("unseen"));
    upstream.route("/away", Reply::redirect("https://other.example.test/a"));
    let unchecked = Route { unchecked: true, ..proxied(proxy.url()) };
    let insecure = |hosts: &[&str]| {
        let insecure_hosts = hosts.iter().map(|&host| host.to_owned()).collect();
        noting(Settings { insecure_hosts, ..Settings::default() }).0
    };
    let access = by("https://registry.example.test/a", unchecked.clone());
    let problem = read(&insecure(&["other.example.test"]), &access).await.unwrap_err();
    assert_eq!(problem.code, "net.tls");
    let listed = insecure(&["registry.example.test"]);
    assert_eq!(read(&listed, &access).await.unwrap(), "unseen");
    let checked = by("https://registry.example.test/a", proxied(proxy.url()));
    assert_eq!(read(&listed, &checked).await.unwrap_err().code, "net.tls");
    let away = by("https://registry.example.test/away", unchecked);
    assert_eq!(read(&listed, &away).await.unwrap_err().code, "net.tls", "the next host was not listed");
}

/// An upstream that wants to see a certificate of [`identity`]'s authority.
fn with_client_authority() -> FakeUpstream {
    let authority =
        CertificateDer::from_pem_slice(include_bytes!("../support/tls/client-authority.pem")).unwrap();
    let mut roots = rustls::RootCertStore::empty();
    roots.add(authority).unwrap();
    let clients = rustls::server::WebPkiClientVerifier::builder(Arc::new(roots)).build().unwrap();
    let config = rustls::ServerConfig::builder().with_client_cert_verifier(clients);
    let (certificate, key) = certificate();
    FakeUpstream::start_tls(config.with_single_cert(vec![certificate], key).unwrap())
}

fn identity() -> Option<Identity> {
    let pem = [
        include_bytes!("../support/tls/client.pem").as_slice(),
        include_bytes!("../support/tls/client.key.pem"),
    ]
    .concat();
    Some(Identity { pem: pem.into(), named_by: "npm's settings certfile and keyfile".to_owned() })
}

#[tokio::test]
async fn a_certificate_of_our_own_is_shown_to_its_own_origin_alone() {
    let (own, other) = (with_client_authority(), with_client_authority());
    own.route("/a", Reply::ok("let in"));
    own.route("/away", Reply::redirect(at_localhost(&other, "/a")));
    other.route("/a", Reply::ok("shown to a stranger"));
    let route = Route { authorities: authorities(), identity: identity(), ..Route::default() };
    let client = noting(Settings { retries: 0, ..Settings::default() }).0;
    let access = |path| by(&at_localhost(&own, path), route.clone());
    assert_eq!(read(&client, &access("/a")).await.unwrap(), "let in");
    let bare = Route { identity: None, ..route.clone() };
    assert!(read(&client, &by(&at_localhost(&own, "/a"), bare)).await.is_err(), "it is asked for");
    assert!(read(&client, &access("/away")).await.is_err());
    assert_eq!(other.requests().len(), 0);
}

#[tokio::test]
async fn a_token_server_elsewhere_does_not_see_our_certificate() {
    let (own, other) = (with_client_authority(), with_client_authority());
    let token = || Reply::ok(r#"{"token":"let-me-in"}"#);
    own.route("/token", token());
    other.route("/token", token());
    let route = Arc::new(Route { authorities: authorities(), identity: identity(), ..Route::default() });
    let client = || noting(Settings { retries: 0, ..Settings::default() }).0;
    for (realm, path, is_let_in) in [(&own, "/own", true), (&other, "/other", false)] {
        let challenge = format!("Bearer realm=\"{}\"", at_localhost(realm, "/token"));
        let challenge = Reply::status(401).header("WWW-Authenticate", challenge);
        own.route(path, Reply::first(vec![challenge], Reply::ok("let in")));
        let sign_in = SignIn::default();
        let sign_in = Some(Arc::new(sign_in));
        let access = Access { sign_in, route: route.clone(), ..open(&at_localhost(&own, path)) };
        // Each has a client of its own, or the second would have the token of the first.
        assert_eq!(read(&client(), &access).await.is_ok(), is_let_in, "{path}");
    }
    assert_eq!((own.requests_to("/token").len(), other.requests().len()), (1, 0));
}

#[tokio::test]
async fn a_key_of_another_certificate_is_named() {
    let pem = [
        include_bytes!("../support/tls/client.pem").as_slice(),
        include_bytes!("../support/tls/server.key.pem"),
    ]
    .concat();
    let named_by = "npm's settings certfile and keyfile".to_owned();
    let route = Route { identity: Some(Identity { pem: pem.into(), named_by }), ..Route::default() };
    let client = noting(Settings::default()).0;
    let problem = read(&client, &by("https://registry.example.test/", route)).await.unwrap_err();
    assert_eq!(problem.code, "net.identity");
    assert!(problem.message.contains("certfile and keyfile"), "{problem:?}");
}
