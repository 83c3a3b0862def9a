//! Whom one believes: authorities that issue certificates, and logs. A `trusted_root.json`, as Sigstore's clients have it.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use bundle_format::BlobKey;
use jiff::Timestamp;
use serde::Deserialize;
use x509_parser::prelude::FromDer as _;
use x509_parser::x509::SubjectPublicKeyInfo;

use super::certificate::Leaf;
use super::{Fault, Key, malformed};

/// The most authorities and logs that a file may have.
const MOST: usize = 256;

/// Authorities and logs that are believed.
#[derive(Debug, Clone, Default)]
pub struct Roots {
    authorities: Vec<Authority>,
    logs: Vec<Log>,
}

/// Who issues certificates.
#[derive(Debug, Clone)]
struct Authority {
    /// Its own certificates, in DER, in any order.
    chain: Vec<Vec<u8>>,
    valid: Valid,
}

/// Who keeps a log.
#[derive(Debug, Clone)]
pub(super) struct Log {
    id: BlobKey,
    pub(super) key: Key,
    valid: Valid,
}

/// The time for which somebody is believed.
#[derive(Debug, Clone, Default, Deserialize)]
struct Valid {
    start: Option<Timestamp>,
    end: Option<Timestamp>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Document {
    #[serde(default)]
    tlogs: Vec<WrittenLog>,
    #[serde(default)]
    certificate_authorities: Vec<WrittenAuthority>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct WrittenLog {
    public_key: WrittenKey,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct WrittenKey {
    raw_bytes: String,
    #[serde(default)]
    valid_for: Valid,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct WrittenAuthority {
    cert_chain: Chain,
    #[serde(default)]
    valid_for: Valid,
}

#[derive(Deserialize)]
struct Chain {
    certificates: Vec<Certificate>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Certificate {
    raw_bytes: String,
}

impl Roots {
    /// Reads a `trusted_root.json`. Logs with keys of other algorithms than ECDSA are left out.
    ///
    /// # Errors
    /// If it is none, or names nobody.
    pub fn read(bytes: &[u8]) -> Result<Roots, Fault> {
        let document: Document =
            serde_json::from_slice(bytes).map_err(|error| malformed(format!("no trusted root: {error}")))?;
        if document.tlogs.len() > MOST || document.certificate_authorities.len() > MOST {
            return Err(malformed("it names more than 256 logs or authorities"));
        }
        let decoded = |text: &str| BASE64.decode(text).map_err(|_| malformed("a key or certificate in it"));
        let mut roots = Roots::default();
        for log in document.tlogs {
            let spki = decoded(&log.public_key.raw_bytes)?;
            let (_, info) =
                SubjectPublicKeyInfo::from_der(&spki).map_err(|_| malformed("the key of a log"))?;
            let (id, valid) = (BlobKey::of(&spki), log.public_key.valid_for);
            roots.logs.extend(Key::read(&info).map(|key| Log { id, key, valid }));
        }
        for authority in document.certificate_authorities {
            let chain = authority.cert_chain.certificates.iter().take(16);
            let chain = chain.map(|one| decoded(&one.raw_bytes)).collect::<Result<Vec<_>, _>>()?;
            roots.authorities.push(Authority { chain, valid: authority.valid_for });
        }
        if roots.logs.is_empty() || roots.authorities.is_empty() {
            return Err(malformed("it names no log of ECDSA, or no authority"));
        }
        Ok(roots)
    }

    /// Believes others as well.
    pub fn extend(&mut self, others: Roots) {
        self.authorities.extend(others.authorities);
        self.logs.extend(others.logs);
    }

    /// Whether nobody is believed.
    pub fn is_empty(&self) -> bool {
        self.authorities.is_empty()
    }

    /// The log of an id, if it was believed then.
    pub(super) fn log(&self, id: &BlobKey, then: Timestamp) -> Option<&Log> {
        self.logs.iter().find(|log| log.id == *id && log.valid.has(then))
    }

    /// Whether an authority vouched for a certificate then.
    pub(super) fn vouch_for(&self, leaf: &Leaf, then: Timestamp) -> Result<(), Fault> {
        let mut why = Fault::Certificate("is of no authority that is pinned".to_owned());
        for authority in self.authorities.iter().filter(|authority| authority.valid.has(then)) {
            match leaf.is_vouched_for(&authority.chain, then) {
                Ok(()) => return Ok(()),
                Err(Some(fault)) => why = fault,
                Err(None) => {}
            }
        }
        Err(why)
    }
}

impl Valid {
    fn has(&self, then: Timestamp) -> bool {
        self.start.is_none_or(|start| start <= then) && self.end.is_none_or(|end| then <= end)
    }
}
