//! Attestations of files (PEP 740): who published a file, by the word of an authority and of a log that one believes.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use bundle_format::BlobKey;
use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize};

use crate::protocol::sigstore::statement::Statement;
use crate::protocol::sigstore::{Attestation, Entry, Fault, Inclusion, Roots};

/// The most attestations that a file may have; real ones have one or two.
const MOST: usize = 64;

/// Who published a file, as it was verified.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(super) struct Attested {
    /// Whom the certificate names: the address of a workflow, or somebody's mail.
    pub(super) by: String,
    /// Who vouched for that.
    pub(super) issuer: String,
    /// When that was logged (RFC 3339).
    pub(super) logged: String,
    /// What kind of thing is stated.
    pub(super) kind: String,
}

/// What an index has of one file.
#[derive(Debug, Deserialize)]
pub(super) struct Provenance {
    version: u32,
    attestation_bundles: Vec<Bundle>,
}

/// Attestations of one publisher. Who that is, the index says of itself; here counts what certificates say.
#[derive(Debug, Deserialize)]
struct Bundle {
    attestations: Vec<Written>,
}

#[derive(Debug, Deserialize)]
struct Written {
    version: u32,
    verification_material: Material,
    envelope: Envelope,
}

#[derive(Debug, Deserialize)]
struct Material {
    certificate: Base64,
    transparency_entries: Vec<WrittenEntry>,
}

#[derive(Debug, Deserialize)]
struct Envelope {
    statement: Base64,
    signature: Base64,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct WrittenEntry {
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

/// Bytes in base64.
#[derive(Debug)]
struct Base64(Vec<u8>);

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

impl Provenance {
    /// Reads what an index has of a file.
    ///
    /// # Errors
    /// If it is nothing of the kind, or too much.
    pub(super) fn read(bytes: &[u8]) -> Result<Provenance, String> {
        let read: Provenance = serde_json::from_slice(bytes).map_err(|error| error.to_string())?;
        let all = || read.attestation_bundles.iter().flat_map(|bundle| &bundle.attestations);
        if read.version != 1 || all().any(|one| one.version != 1) {
            return Err("it is of a version that is not known here".to_owned());
        }
        if all().count() > MOST {
            return Err(format!("it has more than {MOST} attestations"));
        }
        Ok(read)
    }

    /// Who published the file of this name and sha256, by those who are believed: one for each attestation.
    ///
    /// # Errors
    /// Why one of them is not believed.
    pub(super) fn verify(self, name: &str, sha256: &BlobKey, roots: &Roots) -> Result<Vec<Attested>, Fault> {
        let mut attested = Vec::new();
        for written in self.attestation_bundles.into_iter().flat_map(|bundle| bundle.attestations) {
            let attestation = written.attestation();
            let signer = attestation.verify(roots)?;
            let statement = Statement::read(&attestation.statement)?;
            statement.is_about(name, sha256)?;
            attested.push(Attested {
                by: signer.identity,
                issuer: signer.issuer,
                logged: signer.logged.to_string(),
                kind: statement.kind,
            });
        }
        attested.sort();
        attested.dedup();
        Ok(attested)
    }
}

impl Written {
    fn attestation(self) -> Attestation {
        let entries = self.verification_material.transparency_entries.into_iter().map(WrittenEntry::entry);
        Attestation {
            certificate: self.verification_material.certificate.0,
            statement: self.envelope.statement.0,
            signature: self.envelope.signature.0,
            entries: entries.collect(),
        }
    }
}

impl WrittenEntry {
    fn entry(self) -> Entry {
        Entry {
            log: self.log_id.key_id.0,
            index: self.log_index.0,
            integrated: i64::try_from(self.integrated_time.0).unwrap_or(i64::MAX),
            body: self.canonicalized_body.0,
            promise: self.inclusion_promise.map(|one| one.signed_entry_timestamp.0).unwrap_or_default(),
            inclusion: self.inclusion_proof.map(|proof| Inclusion {
                index: proof.log_index.0,
                size: proof.tree_size.0,
                root: proof.root_hash.0,
                path: proof.hashes.into_iter().map(|hash| hash.0).collect(),
                checkpoint: proof.checkpoint.envelope,
            }),
        }
    }
}
