//! Certificate authorities besides the system's.

use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use rustls::RootCertStore;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;

use crate::problem::{Kind, Problem};

/// A bundle of all the world's authorities takes about 250 KiB.
const LARGEST_FILE: u64 = 16 << 20;

/// The certificates in a PEM text that can be an authority's. Others are passed over, because bundles that have grown
/// for years hold some.
pub(super) fn authorities(pem: &[u8]) -> Vec<reqwest::Certificate> {
    let usable =
        |certificate: &CertificateDer<'static>| RootCertStore::empty().add(certificate.clone()).is_ok();
    let certificates = CertificateDer::pem_slice_iter(pem).flatten().filter(usable);
    certificates.filter_map(|certificate| reqwest::Certificate::from_der(&certificate).ok()).collect()
}

/// Reads PEM files of certificate authorities. A file without a single good one is an error.
///
/// # Errors
/// `net.ca-file`, which names the file.
pub(super) fn read_authorities(files: &[PathBuf]) -> Result<Vec<reqwest::Certificate>, Problem> {
    let mut all = Vec::new();
    for file in files {
        let found = authorities(&read(file)?);
        if found.is_empty() {
            return Err(problem(file, "there is no certificate in it that can be used".to_owned()));
        }
        all.extend(found);
    }
    Ok(all)
}

fn read(file: &Path) -> Result<Vec<u8>, Problem> {
    let mut pem = Vec::new();
    let read = File::open(file).and_then(|opened| opened.take(LARGEST_FILE).read_to_end(&mut pem));
    read.map(|_| pem).map_err(|error| problem(file, error.to_string()))
}

fn problem(file: &Path, why: String) -> Problem {
    Problem::new(Kind::Usage, "net.ca-file", "the file of certificate authorities cannot be used")
        .at(file.display())
        .because(why)
        .hint("`--ca-file`, SSL_CERT_FILE or NODE_EXTRA_CA_CERTS names it: it has to be a PEM file")
}
