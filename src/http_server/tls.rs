//! TLS on the listener: what it shows, and how a connection begins.
//!
//! TLS 1.2 and 1.3, HTTP/1.1 within it. The certificate can be replaced while connections come in; those that are there
//! keep the one that they began with.

use std::io;
use std::sync::{Arc, PoisonError, RwLock};

use rustls::ServerConfig;
use rustls::crypto::CryptoProvider;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use tokio::net::TcpStream;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

use super::Timeouts;
use super::guard::{Guarded, Phase};
use super::origin::Speech;
use crate::problem::{Kind, Problem};

/// The most bytes that wait in a connection to be encrypted, and to be sent: a client that stalls holds no more.
const BUFFER: usize = 16 * 1024;
/// What the first byte of every TLS connection is: the type of a handshake's record (RFC 8446 section 5.1).
const HANDSHAKE: u8 = 22;

/// How a listener speaks TLS. Clones show the same certificate.
#[derive(Debug, Clone)]
pub struct Tls {
    config: Arc<ServerConfig>,
    shown: Arc<Shown>,
    authority: Option<String>,
}

/// A certificate with the chain that leads to an authority, and its key.
#[derive(Debug, Clone)]
pub struct Certificate(Arc<CertifiedKey>);

impl Certificate {
    /// Reads a chain and a private key (PKCS#8, PKCS#1 or SEC1), each in PEM, the listener's own certificate first.
    ///
    /// # Errors
    /// `tls.certificate` and `tls.key` if they are not that, or do not belong together.
    pub fn from_pem(chain: &[u8], key: &[u8]) -> Result<Certificate, Problem> {
        let problem = |code: &'static str, what: &str| Problem::new(Kind::Usage, code, what.to_owned());
        let chain = CertificateDer::pem_slice_iter(chain).collect::<Result<Vec<_>, _>>();
        let chain =
            chain.map_err(|error| problem("tls.certificate", "this is no PEM file").caused_by(&error))?;
        if chain.is_empty() {
            return Err(problem("tls.certificate", "there is no certificate in it")
                .hint("the file has to be in PEM: -----BEGIN CERTIFICATE-----"));
        }
        let key = PrivateKeyDer::from_pem_slice(key).map_err(|error| {
            problem("tls.key", "there is no private key in it that can be used")
                .caused_by(&error)
                .hint("the file has to be in PEM and without a passphrase: -----BEGIN PRIVATE KEY-----")
        })?;
        match CertifiedKey::from_der(chain, key, &provider()) {
            Ok(certified) => Ok(Certificate(Arc::new(certified))),
            Err(rustls::Error::InconsistentKeys(_)) => {
                Err(problem("tls.key", "this is not the key of the certificate"))
            }
            Err(error) => {
                Err(problem("tls.certificate", "the certificate or its key cannot be used").caused_by(&error))
            }
        }
    }
}

impl Tls {
    /// Shows a certificate. `authority` is what clients need to believe it, in PEM, and is handed out to them; `None`
    /// where it is not known or clients have it already.
    ///
    /// # Errors
    /// `tls.provider`, if the library knows no version of the protocol.
    pub fn new(certificate: Certificate, authority: Option<String>) -> Result<Tls, Problem> {
        let shown = Arc::new(Shown(RwLock::new(certificate.0)));
        let builder = ServerConfig::builder_with_provider(Arc::new(provider()))
            .with_safe_default_protocol_versions()
            .map_err(|error| {
                Problem::new(Kind::Failed, "tls.provider", "TLS cannot be spoken").caused_by(&error)
            })?;
        let resolver: Arc<dyn ResolvesServerCert> = Arc::clone(&shown) as _;
        let mut config = builder.with_no_client_auth().with_cert_resolver(resolver);
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        Ok(Tls { config: Arc::new(config), shown, authority })
    }

    /// Shows another certificate to whoever connects from now on.
    pub fn replace(&self, certificate: Certificate) {
        *self.shown.0.write().unwrap_or_else(PoisonError::into_inner) = certificate.0;
    }

    /// What clients need to believe the certificate, in PEM.
    pub(super) fn authority(&self) -> Option<String> {
        self.authority.clone()
    }
}

/// A connection on which requests can come.
pub(super) enum Begun {
    /// Without TLS, wanted or not.
    Plain(Guarded, Speech),
    /// Within TLS. Boxed, so that other connections need no room for it.
    Tls(Box<TlsStream<Guarded>>),
}

/// Shakes hands, if the listener speaks TLS.
///
/// # Errors
/// If the client does not go through with it, or not within the time for the head of a request.
pub(super) async fn begin(
    tls: Option<&Tls>,
    stream: TcpStream,
    phase: Arc<Phase>,
    timeouts: Timeouts,
) -> io::Result<Begun> {
    let Some(tls) = tls else {
        return Ok(Begun::Plain(Guarded::new(stream, phase, timeouts), Speech::Plain));
    };
    let shaking = async {
        let mut first = [0];
        let is_plain = stream.peek(&mut first).await? == 1 && first != [HANDSHAKE];
        let stream = Guarded::new(stream, phase, timeouts);
        if is_plain {
            return Ok(Begun::Plain(stream, Speech::PlainByMistake));
        }
        let acceptor = TlsAcceptor::from(Arc::clone(&tls.config));
        let accepting = acceptor.accept_with(stream, |connection| connection.set_buffer_limit(Some(BUFFER)));
        Ok(Begun::Tls(Box::new(accepting.await?)))
    };
    // Boxed, because what only a handshake needs would take room in the connection for as long as it lasts.
    tokio::time::timeout(timeouts.head, Box::pin(shaking)).await?
}

fn provider() -> CryptoProvider {
    rustls::crypto::aws_lc_rs::default_provider()
}

/// The certificate that is shown.
#[derive(Debug)]
struct Shown(RwLock<Arc<CertifiedKey>>);

impl ResolvesServerCert for Shown {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(Arc::clone(&self.0.read().unwrap_or_else(PoisonError::into_inner)))
    }
}
