//! A listener that speaks TLS.

use std::io::{Read, Write};
use std::net::TcpStream;

use aftk::http_server::{Certificate, Tls};
use aftk::trust::SiteAuthority;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned, SupportedProtocolVersion, version};

use super::*;

/// A site's authority, and the site that shows its certificates.
struct Secured {
    site: Site,
    authority: SiteAuthority,
    tls: Tls,
    _directory: tempfile::TempDir,
}

fn issue(authority: &SiteAuthority, name: &str) -> Certificate {
    let issued = authority.issue(&[name.to_owned()], clock::now()).unwrap();
    Certificate::from_pem(issued.chain.as_bytes(), issued.key.as_bytes()).unwrap()
}

impl Secured {
    fn start() -> Secured {
        let directory = tempfile::tempdir().unwrap();
        let (authority, _) = SiteAuthority::open_or_make(directory.path()).unwrap();
        let certificate = issue(&authority, "mirror.example.test");
        let tls = Tls::new(certificate, Some(authority.certificate().to_owned())).unwrap();
        let site = Site::with(|settings| {
            settings.tls = Some(tls.clone());
            settings.timeouts = quick();
        });
        Secured { site, authority, tls, _directory: directory }
    }

    /// A connection of a client that believes the authority alone, and expects this name.
    fn connect(
        &self,
        name: &'static str,
        versions: &[&'static SupportedProtocolVersion],
        protocols: &[&str],
    ) -> std::io::Result<StreamOwned<ClientConnection, TcpStream>> {
        let mut roots = RootCertStore::empty();
        roots.add(CertificateDer::from_pem_slice(self.authority.certificate().as_bytes()).unwrap()).unwrap();
        let mut config = ClientConfig::builder_with_protocol_versions(versions)
            .with_root_certificates(roots)
            .with_no_client_auth();
        config.alpn_protocols = protocols.iter().map(|one| one.as_bytes().to_vec()).collect();
        let name = ServerName::try_from(name).unwrap();
        let connection = ClientConnection::new(Arc::new(config), name).unwrap();
        let stream = Client::connect(self.site.address).0;
        let mut stream = StreamOwned::new(connection, stream);
        while stream.conn.is_handshaking() {
            stream.conn.complete_io(&mut stream.sock)?;
        }
        Ok(stream)
    }

    fn ask(&self, path: &str, versions: &[&'static SupportedProtocolVersion]) -> String {
        let mut stream = self.connect("mirror.example.test", versions, &["h2", "http/1.1"]).unwrap();
        assert_eq!(stream.conn.alpn_protocol(), Some(&b"http/1.1"[..]));
        let head = format!("GET {path} HTTP/1.1\r\nHost: mirror.example.test\r\nConnection: close\r\n\r\n");
        stream.write_all(head.as_bytes()).unwrap();
        let mut answer = String::new();
        // An end without the alert that announces it would be an error here.
        stream.read_to_string(&mut answer).unwrap();
        answer
    }
}

#[test]
fn both_versions_are_spoken_and_documents_name_https() {
    let secured = Secured::start();
    for versions in [[&version::TLS12], [&version::TLS13]] {
        let answer = secured.ask("/fake/all/x", &versions);
        assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
        assert!(answer.contains(" https://mirror.example.test/fake/all/ "), "{answer}");
    }
    // A client for which there is no protocol in common is told so by TLS itself.
    let refused = secured.connect("mirror.example.test", &[&version::TLS13], &["h2"]).unwrap_err();
    assert!(refused.to_string().contains("NoApplicationProtocol"), "{refused}");
}

#[test]
fn a_large_blob_comes_whole() {
    let secured = Secured::start();
    let size = 5 << 20;
    let key = secured.site.store.put_zeros(size).hex();
    let answer = secured.ask(&format!("/fake/all/blob/{key}/{size}"), &[&version::TLS13]);
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    assert!(head.contains(&format!("content-length: {size}")), "{head}");
    assert!(body.len() as u64 == size && body.bytes().all(|byte| byte == 0));
}

#[test]
fn whoever_speaks_plainly_is_told_what_is_spoken_here() {
    let secured = Secured::start();
    let answer = secured.site.get("/fake/all/x", &[]);
    assert_eq!(answer.status, 400);
    assert!(answer.text().contains("https://"), "{}", answer.text());
}

#[test]
fn a_handshake_does_not_wait_for_ever() {
    let secured = Secured::start();
    let begin = clock::instant();
    let mut silent = secured.site.client();
    let mut halting = secured.site.client();
    // The head of a record of 512 bytes that do not come.
    halting.send([22, 3, 1, 2, 0]);
    let mut mute = secured.connect("mirror.example.test", &[&version::TLS13], &[]).unwrap();
    assert!(silent.ends() && halting.ends());
    assert_eq!(mute.read(&mut [0]).unwrap_or(0), 0);
    assert!(begin.elapsed() < Duration::from_secs(4));
    assert_eq!(secured.site.log(), "");
}

#[test]
fn what_is_no_handshake_ends_a_connection_and_nothing_else() {
    let secured = Secured::start();
    for bytes in [&[22; 4096][..], &[22, 3, 1, 0, 1, 1], &[22, 255, 255, 255, 255, 0], &[0x80, 0x2e, 1, 3, 1]]
    {
        let mut client = secured.site.client();
        client.send(bytes);
        assert!(client.ends());
    }
    assert!(secured.ask("/fake/all/x", &[&version::TLS13]).starts_with("HTTP/1.1 200 "));
}

#[test]
fn a_client_that_drains_nothing_is_dropped_within_tls_too() {
    let secured = Secured::start();
    let size = 64 << 20;
    let key = secured.site.store.put_zeros(size).hex();
    let mut stream = secured.connect("mirror.example.test", &[&version::TLS13], &[]).unwrap();
    stream
        .write_all(format!("GET /fake/all/blob/{key}/{size} HTTP/1.1\r\nHost: a\r\n\r\n").as_bytes())
        .unwrap();
    eventually("it is dropped", || secured.site.log().contains(" cut "));
}

#[test]
fn a_certificate_can_be_replaced_under_way() {
    let secured = Secured::start();
    assert!(secured.connect("other.example.test", &[&version::TLS13], &[]).is_err());
    secured.tls.replace(issue(&secured.authority, "other.example.test"));
    secured.connect("other.example.test", &[&version::TLS13], &[]).unwrap();
    assert!(secured.connect("mirror.example.test", &[&version::TLS13], &[]).is_err());
}

#[test]
fn clients_are_given_the_authority() {
    let secured = Secured::start();
    let pem = secured.authority.certificate();
    assert!(secured.ask("/setup/ca.pem", &[&version::TLS13]).ends_with(pem));
    assert!(secured.ask("/setup/fakeclient", &[&version::TLS13]).ends_with(pem));
    assert!(secured.ask("/", &[&version::TLS13]).contains("https://mirror.example.test/setup/ca.pem"));
    let plain = Site::start();
    assert_eq!(plain.get("/setup/ca.pem", &[]).status, 404);
}
