//! Whom one believes: authorities that issue certificates, and logs, of signatures and of certificates. A `trusted_root.json`, as Sigstore's clients have it.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use bundle_format::BlobKey;
use jiff::Timestamp;
use serde::Deserialize;
use x509_parser::prelude::FromDer as _;
use x509_parser::x509::SubjectPublicKeyInfo;

use super::certificate::Leaf;
use super::{Fault, Key, certificate_log, malformed};

/// The most authorities and logs that a file may have.
const MOST: usize = 256;

/// All who are believed. What one file names belongs together: nothing is believed by half of one and half of another.
#[derive(Debug, Clone, Default)]
pub struct Roots(Vec<Root>);

/// The authorities and logs that one file names.
#[derive(Debug, Clone, Default)]
pub(super) struct Root {
    authorities: Vec<Authority>,
    logs: Vec<Log>,
    /// Where what its authorities issue has to be public; nowhere, if there are none.
    certificate_logs: Vec<Log>,
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
    /// The sha256 of its key.
    pub(super) id: BlobKey,
    pub(super) key: Key,
    pub(super) valid: Valid,
}

/// The time for which somebody is believed.
#[derive(Debug, Clone, Default, Deserialize)]
pub(super) struct Valid {
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
    #[serde(default)]
    ctlogs: Vec<WrittenLog>,
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
    /// What kind of key it is; the bytes of some are of other forms.
    #[serde(default)]
    key_details: String,
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
        let most = [document.tlogs.len(), document.certificate_authorities.len(), document.ctlogs.len()];
        if most.iter().any(|count| *count > MOST) {
            return Err(malformed("it names more than 256 logs or authorities"));
        }
        let mut root = Root { logs: logs(document.tlogs)?, ..Root::default() };
        let is_public = !document.ctlogs.is_empty();
        root.certificate_logs = logs(document.ctlogs)?;
        for authority in document.certificate_authorities {
            let chain = authority.cert_chain.certificates.iter().take(16);
            let chain = chain.map(|one| decoded(&one.raw_bytes)).collect::<Result<Vec<_>, _>>()?;
            root.authorities.push(Authority { chain, valid: authority.valid_for });
        }
        if root.logs.is_empty() || root.authorities.is_empty() {
            return Err(malformed("it names no log of ECDSA, or no authority"));
        }
        if is_public && root.certificate_logs.is_empty() {
            return Err(malformed("it names no log of certificates that is of ECDSA"));
        }
        Ok(Roots(vec![root]))
    }

    /// Believes others as well.
    pub fn extend(&mut self, others: Roots) {
        self.0.extend(others.0);
    }

    /// Whether nobody is believed.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// What holds by one of them.
    ///
    /// # Errors
    /// Why it holds by none: by the first that has to do with it.
    pub(super) fn first_that<T>(&self, check: impl Fn(&Root) -> Result<T, Fault>) -> Result<T, Fault> {
        let mut why = Fault::Unpinned("nobody is pinned");
        for root in &self.0 {
            match check(root) {
                Err(fault @ Fault::Unpinned(_)) => why = fault,
                found => return found,
            }
        }
        Err(why)
    }
}

impl Root {
    /// The log of an id, if it was believed then.
    pub(super) fn log(&self, id: &BlobKey, then: Timestamp) -> Option<&Log> {
        self.logs.iter().find(|log| log.id == *id && log.valid.has(then))
    }

    /// Whether an authority vouched for a certificate then, in public.
    pub(super) fn vouch_for(&self, leaf: &Leaf, then: Timestamp) -> Result<(), Fault> {
        let mut why = Fault::Unpinned("its certificate is of no authority that is pinned");
        for authority in self.authorities.iter().filter(|authority| authority.valid.has(then)) {
            match leaf.is_vouched_for(&authority.chain, then) {
                Ok(_) if self.certificate_logs.is_empty() => return Ok(()),
                Ok(issuer) => return certificate_log::check(&leaf.der, &issuer, &self.certificate_logs),
                Err(Some(fault)) => why = fault,
                Err(None) => {}
            }
        }
        Err(why)
    }
}

/// Those that have keys of ECDSA.
fn logs(written: Vec<WrittenLog>) -> Result<Vec<Log>, Fault> {
    let mut logs = Vec::new();
    let is_known = |log: &WrittenLog| {
        let details = &log.public_key.key_details;
        details.is_empty() || details.starts_with("PKIX_ECDSA_")
    };
    for log in written.into_iter().filter(is_known) {
        let spki = decoded(&log.public_key.raw_bytes)?;
        let (_, info) = SubjectPublicKeyInfo::from_der(&spki).map_err(|_| malformed("the key of a log"))?;
        let (id, valid) = (BlobKey::of(&spki), log.public_key.valid_for);
        logs.extend(Key::read(&info).map(|key| Log { id, key, valid }));
    }
    Ok(logs)
}

fn decoded(text: &str) -> Result<Vec<u8>, Fault> {
    BASE64.decode(text).map_err(|_| malformed("a key or certificate in it"))
}

impl Valid {
    pub(super) fn has(&self, then: Timestamp) -> bool {
        self.start.is_none_or(|start| start <= then) && self.end.is_none_or(|end| then <= end)
    }
}

#[cfg(test)]
pub(super) mod testing {
    use super::*;

    /// The logs of certificates of the first that is believed.
    pub(in super::super) fn certificate_logs(roots: &Roots) -> Vec<Log> {
        roots.0[0].certificate_logs.clone()
    }
}
