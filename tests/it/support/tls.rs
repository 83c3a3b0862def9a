//! An upstream that speaks TLS, under an authority that nobody knows.

use std::path::PathBuf;

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};

use super::fake_upstream::FakeUpstream;

/// A certificate for `localhost` and `registry.example.test`, and its key.
pub(crate) fn certificate() -> (CertificateDer<'static>, PrivateKeyDer<'static>) {
    let certificate = CertificateDer::from_pem_slice(include_bytes!("tls/server.pem")).unwrap();
    (certificate, PrivateKeyDer::from_pem_slice(include_bytes!("tls/server.key.pem")).unwrap())
}

/// The file of the authority that signed it.
pub(crate) fn authority() -> PathBuf {
    concat!(env!("CARGO_MANIFEST_DIR"), "/tests/it/support/tls/authority.pem").into()
}

/// An upstream that shows that certificate.
pub(crate) fn with_tls() -> FakeUpstream {
    let (certificate, key) = certificate();
    let config = rustls::ServerConfig::builder().with_no_client_auth();
    FakeUpstream::start_tls(config.with_single_cert(vec![certificate], key).unwrap())
}
