//! The log of signatures (Rekor): when was something signed? The log promises by its own signature that it took an entry in at
//! a time, and shows that the entry is in the tree whose head it signed (RFC 6962).

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use bundle_format::BlobKey;
use jiff::Timestamp;
use serde::Deserialize;
use serde_json::value::RawValue;

use super::roots::Log;
use super::{Attestation, Fault, Hash, Root, malformed};

/// The most that a path in a log's tree may have: a tree has no more levels.
const LONGEST_PATH: usize = 64;

/// What a log says of one signature.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// The log: the sha256 of its key.
    pub log: BlobKey,
    /// Its place among all entries of the log.
    pub index: u64,
    /// When the log took it in, in seconds since 1970.
    pub integrated: i64,
    /// What was taken in, in JSON.
    pub body: Vec<u8>,
    /// The log's promise: its signature over all of the above.
    pub promise: Vec<u8>,
    /// That it kept it; older attestations have only the promise.
    pub inclusion: Option<Inclusion>,
}

/// What shows that an entry is in the tree of a log.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Inclusion {
    /// Its place in the tree.
    pub index: u64,
    /// How many entries the tree has.
    pub size: u64,
    /// The head of the tree.
    pub root: Vec<u8>,
    /// The hashes beside its way up.
    pub path: Vec<Vec<u8>>,
    /// The head as the log signed it: a note in text.
    pub checkpoint: String,
}

/// What was taken in. Logs keep signatures of DSSE in two forms.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Body {
    kind: String,
    api_version: String,
    spec: Box<RawValue>,
}

/// The form `dsse` 0.0.1.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Dsse {
    payload_hash: Hashed,
    signatures: Vec<Signature>,
}

/// The form `intoto` 0.0.2.
#[derive(Deserialize)]
struct Intoto {
    content: IntotoContent,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct IntotoContent {
    payload_hash: Hashed,
    envelope: IntotoEnvelope,
}

#[derive(Deserialize)]
struct IntotoEnvelope {
    signatures: Vec<Signature>,
}

#[derive(Deserialize)]
struct Hashed {
    algorithm: String,
    value: String,
}

#[derive(Deserialize)]
struct Signature {
    /// In base64, and in `intoto` twice.
    #[serde(alias = "sig")]
    signature: String,
    /// The signer's certificate or key in PEM, in base64.
    #[serde(alias = "publicKey")]
    verifier: String,
}

impl Entry {
    /// When an attestation of this signer (their certificate or key, in DER) was logged, by a log that is pinned.
    pub(super) fn logged(
        &self,
        attestation: &Attestation,
        signer: &[u8],
        root: &Root,
    ) -> Result<Timestamp, Fault> {
        let refuse = |why: &str| Fault::Log(why.to_owned());
        let then = Timestamp::from_second(self.integrated).map_err(|_| malformed("its time is none"))?;
        let log = root.log(&self.log, then);
        let log = log.ok_or(Fault::Unpinned("the log of signatures that has it is not pinned"))?;
        self.check_body(attestation, signer)?;
        // As the log writes it: the keys in order, nothing between them.
        let promised = format!(
            "{{\"body\":\"{}\",\"integratedTime\":{},\"logID\":\"{}\",\"logIndex\":{}}}",
            BASE64.encode(&self.body),
            self.integrated,
            self.log.hex(),
            self.index
        );
        if !log.key.verifies(Hash::Sha256, promised.as_bytes(), &self.promise) {
            return Err(refuse("did not promise to have it since then"));
        }
        if let Some(inclusion) = &self.inclusion {
            inclusion.check(&self.body, log)?;
        }
        Ok(then)
    }

    /// Whether it is this attestation that was logged.
    fn check_body(&self, attestation: &Attestation, signer: &[u8]) -> Result<(), Fault> {
        let wrong = |error: serde_json::Error| malformed(format!("what the log has of it: {error}"));
        let body: Body = serde_json::from_slice(&self.body).map_err(wrong)?;
        let spec = body.spec.get();
        let (hash, signatures, is_wrapped) = match (body.kind.as_str(), body.api_version.as_str()) {
            ("dsse", "0.0.1") => {
                let Dsse { payload_hash, signatures } = serde_json::from_str(spec).map_err(wrong)?;
                (payload_hash, signatures, false)
            }
            ("intoto", "0.0.2") => {
                let Intoto { content } = serde_json::from_str(spec).map_err(wrong)?;
                (content.payload_hash, content.envelope.signatures, true)
            }
            _ => return Err(malformed("the log has it in a form that is not known here")),
        };
        let [signed] = signatures.as_slice() else {
            return Err(malformed("the log has other than one signature of it"));
        };
        let signature = BASE64.decode(&signed.signature).ok();
        let signature =
            signature.and_then(|inner| if is_wrapped { BASE64.decode(inner).ok() } else { Some(inner) });
        let is_statement =
            hash.algorithm == "sha256" && hash.value == BlobKey::of(&attestation.statement).hex();
        let is_signature = signature.is_some_and(|signature| signature == attestation.signature);
        if is_statement && is_signature && from_pem(&signed.verifier).is_some_and(|der| der == signer) {
            return Ok(());
        }
        Err(Fault::Log("has another statement, signature or signer".to_owned()))
    }
}

/// A certificate or key in PEM, in base64.
fn from_pem(text: &str) -> Option<Vec<u8>> {
    let pem = String::from_utf8(BASE64.decode(text).ok()?).ok()?;
    let inner = ["CERTIFICATE", "PUBLIC KEY"].iter().find_map(|label| {
        let inner = pem.trim().strip_prefix(&format!("-----BEGIN {label}-----"))?;
        inner.strip_suffix(&format!("-----END {label}-----"))
    })?;
    let inner: String = inner.split_whitespace().collect();
    BASE64.decode(inner).ok()
}

impl Inclusion {
    fn check(&self, body: &[u8], log: &Log) -> Result<(), Fault> {
        let refuse = |why: &str| Err(Fault::Log(why.to_owned()));
        let root = self.root_above(BlobKey::of(&[&[0], body].concat()));
        if root.is_none_or(|root| root.as_bytes().as_slice() != self.root) {
            return refuse("does not show that it kept it");
        }
        // A note: lines of text, an empty one, and lines of signatures.
        let Some((text, signatures)) = self.checkpoint.split_once("\n\n") else {
            return refuse("signed no head of its tree");
        };
        let signed = format!("{text}\n");
        let mut signatures = signatures.lines().take(16).filter_map(|line| {
            let (_, encoded) = line.strip_prefix("\u{2014} ")?.rsplit_once(' ')?;
            // Four bytes say which key it is.
            Some(BASE64.decode(encoded).ok()?.get(4..)?.to_vec())
        });
        if !signatures.any(|signature| log.key.verifies(Hash::Sha256, signed.as_bytes(), &signature)) {
            return refuse("signed no head of its tree");
        }
        let mut lines = text.lines().skip(1);
        let size = lines.next().and_then(|line| line.parse::<u64>().ok());
        let root = lines.next().and_then(|line| BASE64.decode(line).ok());
        if size != Some(self.size) || root.as_ref() != Some(&self.root) {
            return refuse("signed the head of another tree");
        }
        Ok(())
    }

    /// The head of the tree that has this leaf at the entry's place (RFC 9162, 2.1.3.2).
    fn root_above(&self, leaf: BlobKey) -> Option<BlobKey> {
        if self.index >= self.size || self.path.len() > LONGEST_PATH {
            return None;
        }
        let (mut place, mut last, mut hash) = (self.index, self.size - 1, leaf);
        for beside in &self.path {
            if last == 0 || beside.len() != 32 {
                return None;
            }
            let both = |left: &[u8], right: &[u8]| BlobKey::of(&[&[1], left, right].concat());
            if place & 1 == 1 || place == last {
                hash = both(beside, hash.as_bytes());
                while place & 1 == 0 && place != 0 {
                    (place, last) = (place >> 1, last >> 1);
                }
            } else {
                hash = both(hash.as_bytes(), beside);
            }
            (place, last) = (place >> 1, last >> 1);
        }
        (last == 0).then_some(hash)
    }
}
