//! Signatures: what is signed, how they are written, and the two seams to whoever holds keys.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::error::{Damage, FormatError, Place, Untrusted};
use crate::limits::{MAX_KEY_ID, MAX_SIGNATURE, MAX_SIGNATURE_LINES, MAX_SIGNATURES};
use crate::snapshot::Snapshot;

/// What kind of document is signed. It is part of what is signed, so that none passes for another.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum PayloadType {
    /// `aftk/snapshot.json`.
    Snapshot,
    /// `aftk/packing.json`.
    PackingList,
    /// A second person's consent to a snapshot.
    Approval,
    /// What a site says that it holds.
    Receipt,
    /// A version of the root document.
    Root,
    /// The head of an audit log.
    AuditCheckpoint,
}

impl PayloadType {
    /// The string that stands in the pre-authentication encoding.
    pub fn as_str(self) -> &'static str {
        match self {
            PayloadType::Snapshot => "application/vnd.aftk.snapshot+json",
            PayloadType::PackingList => "application/vnd.aftk.packing-list+json",
            PayloadType::Approval => "application/vnd.aftk.approval+json",
            PayloadType::Receipt => "application/vnd.aftk.receipt+json",
            PayloadType::Root => "application/vnd.aftk.root+json",
            PayloadType::AuditCheckpoint => "application/vnd.aftk.audit-checkpoint+json",
        }
    }
}

/// DSSE's pre-authentication encoding, version 1: the bytes that are signed.
pub fn pae(payload_type: PayloadType, payload: &[u8]) -> Vec<u8> {
    let name = payload_type.as_str();
    let mut bytes = format!("DSSEv1 {} {} {} ", name.len(), name, payload.len()).into_bytes();
    bytes.extend_from_slice(payload);
    bytes
}

/// A line of a signature file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SignatureLine {
    /// Which key made it: a hint where to look, never a proof.
    pub key_id: String,
    /// The raw signature; its algorithm is the key's matter.
    pub signature: Vec<u8>,
}

/// Answers whether a document may be believed; implemented by whoever keeps the trusted keys.
pub trait Verifier {
    /// Every line by a known key must verify, and at least one key must be known; returns the ids of the keys
    /// that verified. `payload` must not be parsed for it.
    fn verify(
        &self,
        kind: PayloadType,
        payload: &[u8],
        lines: &[SignatureLine],
    ) -> Result<Vec<String>, Untrusted>;

    /// Whether these signers may speak for this snapshot's channel, epoch and sequence. Called after `verify`
    /// for each of the two documents, and before anything after the document is read.
    fn authorise(&self, kind: PayloadType, snapshot: &Snapshot, signers: &[String]) -> Result<(), Untrusted>;
}

/// Makes signatures: a key file, or a command that asks a token.
pub trait Signer {
    /// The id under which verifiers know the key.
    fn key_id(&self) -> &str;

    /// Signs the pre-authentication encoding; the error is for people.
    fn sign(&self, pae: &[u8]) -> Result<Vec<u8>, String>;
}

/// Why a document was not signed.
#[derive(Debug, thiserror::Error)]
pub enum SignError {
    /// The signer failed.
    #[error("the key {key_id} did not sign: {reason}")]
    Signer {
        /// Which signer.
        key_id: String,
        /// What it said.
        reason: String,
    },
    /// The signatures do not make a signature file: none, too many, two of one key, a key id out of form.
    #[error("{0}")]
    Lines(String),
}

/// The signature file for `payload` by these signers.
pub fn sign(kind: PayloadType, payload: &[u8], signers: &[&dyn Signer]) -> Result<Vec<u8>, SignError> {
    let encoding = pae(kind, payload);
    let lines = signers.iter().map(|signer| {
        let key_id = signer.key_id().to_owned();
        match signer.sign(&encoding) {
            Ok(signature) => Ok(SignatureLine { key_id, signature }),
            Err(reason) => Err(SignError::Signer { key_id, reason }),
        }
    });
    write_signatures(lines.collect::<Result<_, _>>()?)
}

/// The signature file of these lines, sorted here by key id.
pub fn write_signatures(mut lines: Vec<SignatureLine>) -> Result<Vec<u8>, SignError> {
    lines.sort_by(|a, b| a.key_id.cmp(&b.key_id));
    let mut text = String::new();
    for line in &lines {
        text.push_str(&format!("{} {}\n", line.key_id, STANDARD.encode(&line.signature)));
    }
    // One set of rules: what is written is what would be read.
    match parse_signatures(text.as_bytes()) {
        Ok(_) => Ok(text.into_bytes()),
        Err(reason) => Err(SignError::Lines(reason)),
    }
}

/// Reads a signature file that stands at `place`.
pub(crate) fn read_signatures(bytes: &[u8], place: Place) -> Result<Vec<SignatureLine>, FormatError> {
    parse_signatures(bytes).map_err(|met| FormatError::damaged(Damage::SignatureLine, place, met))
}

/// Reads a signature file: `<key id> <canonical base64>` a line, strictly ascending by key id, 1 to 64 lines.
/// The error says what was met.
pub fn parse_signatures(bytes: &[u8]) -> Result<Vec<SignatureLine>, String> {
    if bytes.len() as u64 > MAX_SIGNATURES {
        return Err(format!("{} bytes of signatures, the limit is {MAX_SIGNATURES}", bytes.len()));
    }
    let text = std::str::from_utf8(bytes).map_err(|_| "not text".to_owned())?;
    let body = text.strip_suffix('\n').ok_or("the last line does not end with a line feed")?;
    let mut lines: Vec<SignatureLine> = Vec::new();
    for (index, line) in body.split('\n').enumerate() {
        let number = index + 1;
        if number > MAX_SIGNATURE_LINES {
            return Err(format!("more than {MAX_SIGNATURE_LINES} signatures"));
        }
        let (key_id, encoded) = line
            .split_once(' ')
            .ok_or_else(|| format!("line {number}: expected a key id and a signature"))?;
        if !is_key_id(key_id) {
            return Err(format!("line {number}: not a key id"));
        }
        if lines.last().is_some_and(|last| last.key_id.as_str() >= key_id) {
            return Err(format!("line {number}: key ids are not sorted, or one stands twice"));
        }
        // The standard engine refuses missing padding and stray last bits: one spelling for each signature.
        let signature =
            STANDARD.decode(encoded).map_err(|e| format!("line {number}: not canonical base64: {e}"))?;
        if signature.is_empty() || signature.len() > MAX_SIGNATURE {
            return Err(format!("line {number}: a signature of {} bytes", signature.len()));
        }
        lines.push(SignatureLine { key_id: key_id.to_owned(), signature });
    }
    Ok(lines)
}

/// Whether `text` has the form of a key id: 1 to 128 ASCII letters, digits and `. _ : + / = -`.
pub fn is_key_id(text: &str) -> bool {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"._:+/=-".contains(&byte);
    (1..=MAX_KEY_ID).contains(&text.len()) && text.bytes().all(allowed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_encoding_is_the_one_of_dsse() {
        // The example of the DSSE protocol's own text has this form.
        let encoded = pae(PayloadType::Root, b"hello world");
        assert_eq!(encoded, b"DSSEv1 30 application/vnd.aftk.root+json 11 hello world");
    }

    #[test]
    fn signature_files_have_one_spelling() {
        let line = |id: &str| SignatureLine { key_id: id.to_owned(), signature: vec![1, 2, 3, 4] };
        let bytes = write_signatures(vec![line("b"), line("a")]).unwrap();
        assert_eq!(bytes, b"a AQIDBA==\nb AQIDBA==\n");
        assert_eq!(parse_signatures(&bytes).unwrap(), [line("a"), line("b")]);
        for bad in [
            "",
            "\n",
            "a AQIDBA==",
            "a AQIDBA\n",
            "a AQIDBB==\n",
            "a  AQIDBA==\n",
            "a AQIDBA== \n",
            "a AQIDBA==\r\n",
            "a AQIDBA==\n\n",
            "a \n",
            " AQIDBA==\n",
            "b AQIDBA==\na AQIDBA==\n",
            "a AQIDBA==\na AQIDBA==\n",
            "é AQIDBA==\n",
        ] {
            assert!(parse_signatures(bad.as_bytes()).is_err(), "{bad:?}");
        }
        assert!(write_signatures(vec![line("a"), line("a")]).is_err());
        assert!(write_signatures(vec![]).is_err());
    }
}
