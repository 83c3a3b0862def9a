//! The way to a server: redirects, proxies, TLS.

use aftk::net::{Access, Client, Credential, DocumentAnswer, Proxies, Settings, Validators};
use aftk::problem::{Kind, Problem};
use url::Url;

use super::{impatient, noting};
use crate::support::fake_upstream::{FakeUpstream, Reply};
use crate::support::tls::{authority, with_tls};

pub(super) async fn read(client: &Client, access: &Access) -> Result<String, Problem> {
    match client.document(access, "", 1000, false, &Validators::default()).await? {
        DocumentAnswer::Found(document) => Ok(String::from_utf8_lossy(&document.bytes).into_owned()),
        other => panic!("{other:?}"),
    }
}

pub(super) fn open(url: &str) -> Access {
    Access::open(Url::parse(url).unwrap())
}

#[tokio::test]
async fn redirects_take_the_credential_no_further_than_its_origin() {
    let (own, other) = (FakeUpstream::start(), FakeUpstream::start());
    own.route("/a", Reply::redirect("/b?x"));
    own.route("/b?x", Reply::redirect(other.at("/c").as_str()));
    other.route("/c", Reply::redirect(own.at("/d").as_str()));
    own.route("/d", Reply::ok("there"));
    let url = own.at("/a");
    let credential = Some(Credential::basic_encoded(&url, "bWU6c2VzYW1l"));
    let access = Access { credential, ..Access::open(url) };
    assert_eq!(read(&impatient(), &access).await.unwrap(), "there");
    let shown =
        |upstream: &FakeUpstream, path| upstream.requests_to(path)[0].header("authorization").is_some();
    assert!(shown(&own, "/a") && shown(&own, "/b?x"));
    assert!(!shown(&other, "/c"));
    assert!(!shown(&own, "/d"), "a stranger chose this address");
}

#[tokio::test]
async fn loops_end() {
    let upstream = FakeUpstream::start();
    upstream.route("/a", Reply::redirect("/a"));
    let problem = read(&impatient(), &Access::open(upstream.at("/a"))).await.unwrap_err();
    assert_eq!((problem.code.as_ref(), upstream.requests().len()), ("net.redirect", 11));
}

#[tokio::test]
async fn plain_http_is_refused_before_anything_is_sent() {
    let problem = read(&impatient(), &open("http://registry.example.test:8081/a")).await.unwrap_err();
    assert_eq!((problem.code.as_ref(), problem.kind), ("net.plain-http", Kind::Refused));
    assert!(problem.hints[0].contains("--insecure-host registry.example.test:8081"), "{problem:?}");
    assert_eq!(
        read(&impatient(), &open("ftp://registry.example.test/")).await.unwrap_err().code,
        "net.scheme"
    );
}

fn through(proxy: &FakeUpstream, hosts: &[&str]) -> Settings {
    let address = proxy.url().replace("http://", "http://me:se%40same@");
    Settings {
        proxies: Proxies { http: Some(address.clone()), https: Some(address), ..Proxies::default() },
        insecure_hosts: hosts.iter().map(|&host| host.to_owned()).collect(),
        ..Settings::default()
    }
}

#[tokio::test]
async fn proxies_are_used_and_told_who_we_are() {
    let proxy = FakeUpstream::start();
    proxy.route("/a", Reply::ok("by proxy"));
    let client = noting(through(&proxy, &["registry.example.test"])).0;
    assert_eq!(read(&client, &open("http://registry.example.test/a")).await.unwrap(), "by proxy");
    let [seen] = &proxy.requests()[..] else { panic!() };
    assert_eq!(seen.target, "http://registry.example.test/a");
    assert_eq!(seen.header("proxy-authorization"), Some("Basic bWU6c2VAc2FtZQ=="));

    let own = FakeUpstream::start();
    own.route("/a", Reply::ok("directly"));
    assert_eq!(read(&client, &Access::open(own.at("/a"))).await.unwrap(), "directly");
}

#[tokio::test]
async fn a_server_elsewhere_cannot_send_us_to_our_own_services() {
    let proxy = FakeUpstream::start();
    let own = FakeUpstream::start();
    proxy.route("/a", Reply::redirect(own.at("/admin").as_str()));
    let client = noting(through(&proxy, &["registry.example.test"])).0;
    let problem = read(&client, &open("http://registry.example.test/a")).await.unwrap_err();
    assert_eq!((problem.code.as_ref(), problem.kind), ("net.redirect", Kind::Refused));
    assert_eq!(own.requests().len(), 0);
}

#[tokio::test]
async fn a_proxy_that_refuses_is_told_without_its_password() {
    let proxy = FakeUpstream::start();
    proxy.route("registry.example.test:443", Reply::status(407));
    let client = noting(through(&proxy, &[])).0;
    let problem = read(&client, &open("https://registry.example.test/a")).await.unwrap_err();
    let told = format!("{problem:?}");
    assert_eq!((problem.code.as_ref(), proxy.requests().len()), ("net.proxy", 1));
    assert!(problem.hints[0].contains("HTTPS_PROXY"), "{told}");
    assert!(!told.contains("same@") && !told.contains("se%40"), "{told}");
    assert_eq!(proxy.requests()[0].method, "CONNECT");
}

#[tokio::test]
async fn no_proxy_is_heeded() {
    let proxy = FakeUpstream::start();
    proxy.route("/a", Reply::ok("by proxy"));
    let mut settings = through(&proxy, &["registry.example.invalid"]);
    settings.proxies.except = Some("other.test, .example.invalid".to_owned());
    settings.retries = 0;
    let problem = read(&noting(settings).0, &open("http://registry.example.invalid/a")).await.unwrap_err();
    assert_eq!(problem.code, "net.connect", "straight, where no such name exists");
    assert_eq!(proxy.requests().len(), 0);
}

#[tokio::test]
async fn only_known_authorities_and_the_right_name_are_trusted() {
    let upstream = with_tls();
    upstream.route("/a", Reply::ok("safe"));
    let port = upstream.at("/a").port().unwrap();
    let access = open(&format!("https://localhost:{port}/a"));
    let problem = read(&impatient(), &access).await.unwrap_err();
    assert_eq!((problem.code.as_ref(), problem.kind), ("net.tls", Kind::Unavailable), "{problem:?}");
    assert!(problem.hints[0].contains("--ca-file"), "{problem:?}");
    assert!(problem.causes.iter().any(|cause| cause.contains("UnknownIssuer")), "{problem:?}");
    assert!(!problem.causes.iter().any(|cause| cause.contains("attempt")), "it does not help to try again");

    let settings = Settings { ca_files: vec![authority()], ..Settings::default() };
    let client = noting(settings).0;
    assert_eq!(read(&client, &access).await.unwrap(), "safe");
    let problem = read(&client, &Access::open(upstream.at("/a"))).await.unwrap_err();
    assert_eq!(problem.code, "net.tls", "the certificate is for localhost, not for 127.0.0.1");
}

/// Something that a client connects through: it answers what the client says first, with `answers` in turn,
/// and then hands everything on to `upstream`. Returns its address and what the client said.
fn tunnel(
    upstream: &FakeUpstream,
    answers: Vec<&'static [u8]>,
) -> (std::net::SocketAddr, std::sync::mpsc::Receiver<Vec<u8>>) {
    use std::io::{Read, Write, copy};
    use std::net::{Shutdown, TcpListener, TcpStream};
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let port = upstream.at("/").port().unwrap();
    let (said, heard) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        let (mut client, _) = listener.accept().unwrap();
        for answer in answers {
            let mut words = [0; 1024];
            let length = client.read(&mut words).unwrap();
            said.send(words[..length].to_vec()).unwrap();
            client.write_all(answer).unwrap();
        }
        let mut server = TcpStream::connect(("127.0.0.1", port)).unwrap();
        let (mut from, mut to) = (client.try_clone().unwrap(), server.try_clone().unwrap());
        std::thread::spawn(move || copy(&mut from, &mut to).and_then(|_| to.shutdown(Shutdown::Write)));
        drop(copy(&mut server, &mut client));
    });
    (address, heard)
}

#[tokio::test]
async fn https_goes_through_proxies_of_both_kinds() {
    let upstream = with_tls();
    upstream.route("/a", Reply::ok("safe"));
    let ca_files = vec![authority()];
    let access = open("https://registry.example.test/a");

    let (proxy, heard) = tunnel(&upstream, vec![b"HTTP/1.1 200 Go on\r\n\r\n"]);
    let proxies = Proxies { https: Some(format!("http://me:sesame@{proxy}")), ..Proxies::default() };
    let settings = Settings { proxies, ca_files: ca_files.clone(), ..Settings::default() };
    assert_eq!(read(&noting(settings).0, &access).await.unwrap(), "safe");
    let said = String::from_utf8(heard.recv().unwrap()).unwrap();
    assert!(said.starts_with("CONNECT registry.example.test:443 HTTP/1.1\r\n"), "{said}");
    assert!(said.to_ascii_lowercase().contains("proxy-authorization: basic "), "{said}");

    // SOCKS 5 (RFC 1928): no authentication; then the name goes to the proxy, which looks it up.
    let connected = b"\x05\x00\x00\x01\x00\x00\x00\x00\x00\x00";
    let (proxy, heard) = tunnel(&upstream, vec![b"\x05\x00", connected]);
    let proxies = Proxies { all: Some(format!("socks5h://{proxy}")), ..Proxies::default() };
    let settings = Settings { proxies, ca_files, ..Settings::default() };
    assert_eq!(read(&noting(settings).0, &access).await.unwrap(), "safe");
    assert_eq!(heard.recv().unwrap()[..1], [5]);
    let name = heard.recv().unwrap();
    assert!(name.windows(21).any(|part| part == b"registry.example.test"), "{name:?}");
    assert!(upstream.requests().iter().all(|seen| seen.header("proxy-authorization").is_none()));
}
