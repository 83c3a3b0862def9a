//! The site's own certificate authority, for a listener that speaks TLS where nobody issues certificates.
//!
//! `tls/authority.key` is its private key, `tls/authority.pem` its certificate, the file that clients are given. Its
//! name comes from the key, so that a certificate can be issued without reading the authority's own. What it issues is
//! kept nowhere: a listener gets a new certificate with a new key whenever it wants one.

use std::net::IpAddr;
use std::path::Path;
use std::time::{Duration, SystemTime};

use bundle_format::BlobKey;
use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer,
    KeyPair, KeyUsagePurpose, PublicKeyData as _, SanType, date_time_ymd,
};
use zeroize::Zeroizing;

use super::crypto::{Document, LineEnding, SecretDocument};
use crate::clock;
use crate::fsx;
use crate::problem::{Kind, Problem};

/// How long a certificate of a listener holds.
pub const CERTIFICATE_LIFE: Duration = Duration::from_secs(90 * DAY);
/// Certificates hold from a day ago on: without a network, clocks differ.
const BACKDATED: Duration = Duration::from_secs(DAY);
const DAY: u64 = 24 * 60 * 60;
/// The most bytes that each of the two files may have.
const LIMIT: u64 = 64 * 1024;

/// The site's own certificate authority.
pub struct SiteAuthority {
    issuer: Issuer<'static, KeyPair>,
    certificate: String,
}

/// A certificate for a listener.
pub struct ListenerCertificate {
    /// The certificate, in PEM.
    pub chain: String,
    /// Its private key (PKCS#8), in PEM.
    pub key: Zeroizing<String>,
    /// Until when it holds.
    pub ends: SystemTime,
}

impl std::fmt::Debug for SiteAuthority {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("SiteAuthority")
    }
}

impl std::fmt::Debug for ListenerCertificate {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ListenerCertificate").field("ends", &self.ends).finish_non_exhaustive()
    }
}

impl SiteAuthority {
    /// Opens the authority in a directory, or makes one; says whether it was made.
    ///
    /// # Errors
    /// `tls.authority` if a file cannot be read or written, or is not what was written there.
    pub fn open_or_make(directory: &Path) -> Result<(SiteAuthority, bool), Problem> {
        let (key_path, certificate_path) = (directory.join("authority.key"), directory.join("authority.pem"));
        let io = |what: &str| {
            let what = format!("cannot {what} {}", directory.display());
            move |error: std::io::Error| failed(&what).caused_by(&error)
        };
        fsx::create_directory(directory, fsx::Access::Private).map_err(io("make"))?;
        let _lock = fsx::Lock::exclusive(&directory.join("lock")).map_err(io("lock a file in"))?;
        let key_text =
            fsx::read_limited(&key_path, LIMIT).map_err(io("read the key in"))?.map(Zeroizing::new);
        let certificate = SiteAuthority::certificate_in(directory)?;
        let key = match (&key_text, &certificate) {
            (Some(text), _) => read_key(text).ok_or_else(|| {
                failed("the key of the certificate authority is damaged").at(key_path.display()).hint(AGAIN)
            })?,
            (None, Some(_)) => {
                return Err(failed("the key of the certificate authority is gone")
                    .at(key_path.display())
                    .hint(AGAIN));
            }
            (None, None) => {
                let key =
                    KeyPair::generate().map_err(|error| failed("no key could be made").caused_by(&error))?;
                // The key first: the certificate can be made from it.
                fsx::replace_private(&key_path, key_pem(&key)?.as_bytes()).map_err(io("write the key in"))?;
                key
            }
        };
        let parameters = authority_parameters(&key);
        let (certificate, made) = match certificate {
            Some(certificate) => (certificate, false),
            None => {
                let issued = parameters.self_signed(&key).map_err(not_issued)?;
                let pem = certificate_pem(issued.der())?;
                fsx::replace_file(&certificate_path, pem.as_bytes())
                    .map_err(io("write the certificate in"))?;
                (pem, true)
            }
        };
        Ok((SiteAuthority { issuer: Issuer::new(parameters, key), certificate }, made))
    }

    /// The certificate of the authority in a directory, in PEM, if there is one.
    ///
    /// # Errors
    /// `tls.authority` if it cannot be read.
    pub fn certificate_in(directory: &Path) -> Result<Option<String>, Problem> {
        SiteAuthority::certificate_at(&directory.join("authority.pem"))
    }

    /// A certificate in a file, in PEM, if the file is there.
    ///
    /// # Errors
    /// `tls.authority` if it cannot be read or is something else.
    pub fn certificate_at(path: &Path) -> Result<Option<String>, Problem> {
        let unreadable = || failed("the certificate of the authority cannot be read").at(path.display());
        let bytes = fsx::read_limited(path, LIMIT).map_err(|error| unreadable().caused_by(&error))?;
        let Some(bytes) = bytes else { return Ok(None) };
        let text = String::from_utf8(bytes).map_err(|error| unreadable().caused_by(&error))?;
        match Document::from_pem(&text) {
            Ok((CERTIFICATE, _)) => Ok(Some(text)),
            _ => Err(unreadable().because("it is not one certificate in PEM")),
        }
    }

    /// The sha256 of a certificate in PEM as browsers and openssl write it: pairs of digits with colons.
    pub fn fingerprint(pem: &str) -> String {
        let Ok((_, document)) = Document::from_pem(pem) else { return String::new() };
        let digest = BlobKey::of(document.as_bytes());
        digest.as_bytes().iter().map(|byte| format!("{byte:02X}")).collect::<Vec<_>>().join(":")
    }

    /// Its certificate, in PEM.
    pub fn certificate(&self) -> &str {
        &self.certificate
    }

    /// Issues a certificate for these names and addresses, which the client may use to reach the listener.
    ///
    /// # Errors
    /// Usage, `tls.name`, if one of them can stand in no certificate.
    pub fn issue(&self, names: &[String], now: SystemTime) -> Result<ListenerCertificate, Problem> {
        let mut parameters = CertificateParams::default();
        for name in names {
            parameters.subject_alt_names.push(subject(name).ok_or_else(|| {
                Problem::new(Kind::Usage, "tls.name", format!("{name:?} is no name for a certificate"))
                    .hint("give a host name or an IP address, without a port")
            })?);
        }
        parameters.distinguished_name = DistinguishedName::new();
        parameters.distinguished_name.push(DnType::CommonName, "aftk");
        parameters.is_ca = IsCa::ExplicitNoCa;
        parameters.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        parameters.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        parameters.use_authority_key_identifier_extension = true;
        let ends = now + CERTIFICATE_LIFE;
        parameters.not_before = date_time_ymd(1970, 1, 1) + since_1970(now - BACKDATED);
        parameters.not_after = date_time_ymd(1970, 1, 1) + since_1970(ends);
        let key = KeyPair::generate().map_err(not_issued)?;
        let certificate = parameters.signed_by(&key, &self.issuer).map_err(not_issued)?;
        Ok(ListenerCertificate { chain: certificate_pem(certificate.der())?, key: key_pem(&key)?, ends })
    }
}

/// A name or an address as certificates have it.
fn subject(name: &str) -> Option<SanType> {
    if let Ok(address) = name.parse::<IpAddr>() {
        return Some(SanType::IpAddress(address));
    }
    let known = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
    let is_label = |label: &str| !label.is_empty() && label.len() <= 63 && label.bytes().all(known);
    let labels = name.strip_prefix("*.").unwrap_or(name);
    let is_name = name.len() <= 253 && labels.split('.').all(is_label);
    is_name.then(|| name.try_into().ok().map(SanType::DnsName)).flatten()
}

/// What the authority's certificate says. It has no end (RFC 5280 section 4.1.2.5 has this date for that): a site that
/// wants another authority removes the old one, and no mirror stops on a day that nobody remembers.
fn authority_parameters(key: &KeyPair) -> CertificateParams {
    let name = BlobKey::of(&key.subject_public_key_info()).hex();
    let mut parameters = CertificateParams::default();
    parameters.distinguished_name = DistinguishedName::new();
    parameters
        .distinguished_name
        .push(DnType::CommonName, format!("aftk site authority {}", name.get(..8).unwrap_or_default()));
    parameters.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    parameters.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    parameters.not_before = date_time_ymd(1970, 1, 1) + since_1970(clock::now() - BACKDATED);
    parameters.not_after = date_time_ymd(9999, 12, 31) + Duration::from_secs(DAY - 1);
    parameters
}

/// Certificates know whole seconds.
fn since_1970(time: SystemTime) -> Duration {
    Duration::from_secs(time.duration_since(SystemTime::UNIX_EPOCH).unwrap_or(Duration::ZERO).as_secs())
}

/// The labels of PEM (RFC 7468).
const CERTIFICATE: &str = "CERTIFICATE";
const PRIVATE_KEY: &str = "PRIVATE KEY";

fn certificate_pem(der: &[u8]) -> Result<String, Problem> {
    Document::try_from(der)
        .and_then(|document| document.to_pem(CERTIFICATE, LineEnding::LF))
        .map_err(not_issued)
}

fn key_pem(key: &KeyPair) -> Result<Zeroizing<String>, Problem> {
    SecretDocument::try_from(key.serialized_der())
        .and_then(|document| document.to_pem(PRIVATE_KEY, LineEnding::LF))
        .map_err(not_issued)
}

fn read_key(pem: &[u8]) -> Option<KeyPair> {
    let (label, document) = SecretDocument::from_pem(std::str::from_utf8(pem).ok()?).ok()?;
    if label != PRIVATE_KEY {
        return None;
    }
    KeyPair::try_from(document.as_bytes()).ok()
}

const AGAIN: &str = "without the directory `tls` a new authority is made at the next start, which clients have to be given again";

fn failed(what: &str) -> Problem {
    Problem::new(Kind::Failed, "tls.authority", what)
}

fn not_issued(error: impl std::error::Error) -> Problem {
    failed("no certificate could be issued").caused_by(&error)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[test]
    fn an_authority_is_made_once_and_its_key_is_private() {
        let home = tempfile::tempdir().unwrap();
        let directory = home.path().join("tls");
        assert_eq!(SiteAuthority::certificate_in(&directory).unwrap(), None);
        let (first, made) = SiteAuthority::open_or_make(&directory).unwrap();
        assert!(made);
        let mode = |name: &str| directory.join(name).metadata().unwrap().permissions().mode() & 0o777;
        assert_eq!(mode("authority.key"), 0o600);
        let (again, made) = SiteAuthority::open_or_make(&directory).unwrap();
        assert!(!made && again.certificate() == first.certificate());
        assert_eq!(SiteAuthority::certificate_in(&directory).unwrap().as_deref(), Some(first.certificate()));
        // A process that died between the two files: the key stays, and has a certificate.
        fsx::remove(&directory.join("authority.pem")).unwrap();
        assert!(SiteAuthority::open_or_make(&directory).unwrap().1);
        fsx::remove(&directory.join("authority.key")).unwrap();
        assert_eq!(SiteAuthority::open_or_make(&directory).unwrap_err().code, "tls.authority");
        for damaged in ["", "x", first.certificate()] {
            fsx::replace_file(&directory.join("authority.key"), damaged.as_bytes()).unwrap();
            assert_eq!(SiteAuthority::open_or_make(&directory).unwrap_err().code, "tls.authority");
        }
    }

    #[test]
    fn what_is_no_name_is_refused() {
        let home = tempfile::tempdir().unwrap();
        let (authority, _) = SiteAuthority::open_or_make(home.path()).unwrap();
        let now = clock::now();
        let issued =
            authority.issue(&["mirror.example.test".into(), "192.0.2.7".into(), "::1".into()], now).unwrap();
        assert_eq!(issued.ends, now + CERTIFICATE_LIFE);
        for bad in ["", "müller", "a b", "mirror:2385", "[::1]", ".", "a..b", "*", "a.*"] {
            assert_eq!(authority.issue(&[bad.to_owned()], now).unwrap_err().code, "tls.name", "{bad}");
        }
    }
}
