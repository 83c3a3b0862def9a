//! How attestations are written down: bundles of Sigstore in JSON (versions 0.1 to 0.3), and parts of them that others have taken
//! over (PEP 740).

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use bundle_format::BlobKey;
use serde::de::Error as _;
use serde::{Deserialize, Deserializer};
use serde_json::Value;

use super::{Attestation, Entry, Fault, Inclusion, PAYLOAD, SignedBy, malformed};

/// The most entries of logs that one attestation may have; real ones have one.
const MOST_ENTRIES: usize = 16;

/// A statement with what shows who made it. The latter is only read when somebody wants to know.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Bundle {
    #[serde(default)]
    media_type: String,
    #[serde(default)]
    verification_material: Value,
    dsse_envelope: Envelope,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Envelope {
    payload: Base64,
    payload_type: String,
    signatures: Vec<Signature>,
}

#[derive(Debug, Deserialize)]
struct Signature {
    sig: Base64,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Material {
    certificate: Option<Certificate>,
    x509_certificate_chain: Option<Chain>,
    public_key: Option<PublicKey>,
    #[serde(default)]
    tlog_entries: Vec<LogEntry>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Certificate {
    raw_bytes: Base64,
}

/// The signer's certificate, and those above it, which are not looked at: one believes others.
#[derive(Debug, Deserialize)]
struct Chain {
    certificates: Vec<Certificate>,
}

#[derive(Debug, Deserialize)]
struct PublicKey {
    #[serde(default)]
    hint: String,
}

impl Bundle {
    /// What is stated, not yet verified.
    ///
    /// # Errors
    /// If it is no statement that one has signed.
    pub fn statement(&self) -> Result<&[u8], Fault> {
        let envelope = &self.dsse_envelope;
        if envelope.payload_type != PAYLOAD || envelope.signatures.len() != 1 {
            return Err(malformed("it is no statement that one signed"));
        }
        Ok(&envelope.payload.0)
    }

    /// The attestation, to be verified.
    ///
    /// # Errors
    /// If it is not of a form that is known here.
    pub fn attestation(self) -> Result<Attestation, Fault> {
        self.statement()?;
        let version = self.media_type.strip_prefix("application/vnd.dev.sigstore.bundle");
        let is_first = match version {
            Some("+json;version=0.1") => true,
            Some("+json;version=0.2" | "+json;version=0.3" | ".v0.3+json") => false,
            _ => return Err(malformed("it is a bundle of a version that is not known here")),
        };
        let material = Material::deserialize(self.verification_material);
        let material = material.map_err(|error| malformed(format!("what shows who signed it: {error}")))?;
        let chain = material.x509_certificate_chain.and_then(|chain| chain.certificates.into_iter().next());
        let signed_by = match (material.certificate.or(chain), material.public_key) {
            (Some(certificate), None) => SignedBy::Certificate(certificate.raw_bytes.0),
            (None, Some(key)) => SignedBy::Key(key.hint),
            _ => return Err(malformed("it does not say by one certificate or key who signed it")),
        };
        if material.tlog_entries.len() > MOST_ENTRIES {
            return Err(malformed("more than 16 entries of logs are about it"));
        }
        let entries: Vec<Entry> = material.tlog_entries.into_iter().map(Entry::from).collect();
        if !is_first && entries.iter().any(|entry| entry.inclusion.is_none()) {
            return Err(malformed("it does not show that the log kept it, as bundles of its version do"));
        }
        let Envelope { payload, signatures, .. } = self.dsse_envelope;
        let signature = signatures.into_iter().next().map(|one| one.sig.0).unwrap_or_default();
        Ok(Attestation { signed_by, statement: payload.0, signature, entries })
    }
}

/// What a log says of a signature, as it is written.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct LogEntry {
    log_index: Number,
    log_id: LogId,
    integrated_time: Number,
    inclusion_promise: Option<Promise>,
    inclusion_proof: Option<Proof>,
    canonicalized_body: Base64,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct LogId {
    key_id: KeyId,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Promise {
    signed_entry_timestamp: Base64,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Proof {
    log_index: Number,
    tree_size: Number,
    root_hash: Base64,
    #[serde(default)]
    hashes: Vec<Base64>,
    checkpoint: Checkpoint,
}

#[derive(Debug, Deserialize)]
struct Checkpoint {
    envelope: String,
}

impl From<LogEntry> for Entry {
    fn from(written: LogEntry) -> Entry {
        Entry {
            log: written.log_id.key_id.0,
            index: written.log_index.0,
            integrated: i64::try_from(written.integrated_time.0).unwrap_or(i64::MAX),
            body: written.canonicalized_body.0,
            promise: written.inclusion_promise.map(|one| one.signed_entry_timestamp.0).unwrap_or_default(),
            inclusion: written.inclusion_proof.map(|proof| Inclusion {
                index: proof.log_index.0,
                size: proof.tree_size.0,
                root: proof.root_hash.0,
                path: proof.hashes.into_iter().map(|hash| hash.0).collect(),
                checkpoint: proof.checkpoint.envelope,
            }),
        }
    }
}

/// Bytes in base64.
#[derive(Debug)]
pub struct Base64(pub Vec<u8>);

/// A sha256 in base64.
#[derive(Debug)]
struct KeyId(BlobKey);

/// A number, which some write as text.
#[derive(Debug, Clone, Copy)]
struct Number(u64);

impl<'de> Deserialize<'de> for Base64 {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Base64, D::Error> {
        let text = String::deserialize(deserializer)?;
        BASE64.decode(text).map(Base64).map_err(D::Error::custom)
    }
}

impl<'de> Deserialize<'de> for KeyId {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<KeyId, D::Error> {
        let Base64(bytes) = Base64::deserialize(deserializer)?;
        let bytes = <[u8; 32]>::try_from(bytes).map_err(|_| D::Error::custom("the log's id is no sha256"))?;
        Ok(KeyId(BlobKey::new(bytes)))
    }
}

impl<'de> Deserialize<'de> for Number {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Number, D::Error> {
        #[derive(Deserialize)]
        #[serde(untagged)]
        enum Written {
            Number(u64),
            Text(String),
        }
        match Written::deserialize(deserializer)? {
            Written::Number(number) => Ok(Number(number)),
            Written::Text(text) => text.parse().map(Number).map_err(D::Error::custom),
        }
    }
}
