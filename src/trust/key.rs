//! Public keys: their id, their one encoding, and how they are written in files and in root documents.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bundle_format::BlobKey;
use serde::{Deserialize, Serialize};

use super::crypto::{Algorithm, Document, KeyRejected, LineEnding, VerifyingKey};

/// The label of a public key's PEM block (RFC 7468).
const PEM_LABEL: &str = "PUBLIC KEY";

/// How many hex digits of the digest stand in a key id: 128 bits, so that nobody finds a second key for an id.
const ID_DIGITS: usize = 32;

/// A public key that was checked when it was read: of a known algorithm, on its curve and not weak.
///
/// Its id is `<algorithm>:<32 hex digits>`, the digits being the first of the sha256 of its SubjectPublicKeyInfo
/// in DER: `openssl pkey -pubin -outform DER | sha256sum` shows them to anybody. An id finds a key, it proves
/// nothing; what is compared and counted are the keys.
#[derive(Clone, Serialize, Deserialize)]
#[serde(try_from = "WrittenKey", into = "WrittenKey")]
pub struct PublicKey {
    id: String,
    spki: Vec<u8>,
    key: VerifyingKey,
}

/// A public key as it stands in a root document.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct WrittenKey {
    algorithm: Algorithm,
    /// SubjectPublicKeyInfo in DER, in base64.
    public: String,
}

impl PublicKey {
    /// Reads a SubjectPublicKeyInfo in DER (RFC 5280).
    ///
    /// # Errors
    /// If it is not a key of a known algorithm in its one encoding, or is weak.
    pub fn from_spki(spki: &[u8]) -> Result<PublicKey, KeyRejected> {
        let key = VerifyingKey::from_spki(spki)?;
        let digest = BlobKey::of(spki).hex();
        let digits = digest.get(..ID_DIGITS).unwrap_or(&digest);
        let id = format!("{}:{digits}", key.algorithm().name());
        Ok(PublicKey { id, spki: spki.to_vec(), key })
    }

    /// Reads a PEM file with one `PUBLIC KEY` block (RFC 7468), as OpenSSL and [`PublicKey::to_pem`] write it.
    ///
    /// # Errors
    /// As [`PublicKey::from_spki`]; a private key is refused by name.
    pub fn from_pem(pem: &[u8]) -> Result<PublicKey, KeyRejected> {
        let text = std::str::from_utf8(pem).map_err(|_| KeyRejected::Unsupported)?;
        if text.contains("PRIVATE KEY-----") {
            return Err(KeyRejected::PrivateGiven);
        }
        let (label, document) = Document::from_pem(text).map_err(|_| KeyRejected::Unsupported)?;
        if label != PEM_LABEL {
            return Err(KeyRejected::Unsupported);
        }
        PublicKey::from_spki(document.as_bytes())
    }

    /// The key as a PEM file.
    ///
    /// # Errors
    /// If the library cannot write it.
    pub fn to_pem(&self) -> Result<String, KeyRejected> {
        Document::try_from(self.spki.as_slice())
            .and_then(|document| document.to_pem(PEM_LABEL, LineEnding::LF))
            .map_err(|_| KeyRejected::Failed("it cannot be written as PEM"))
    }

    /// Its SubjectPublicKeyInfo.
    pub fn spki(&self) -> &[u8] {
        &self.spki
    }

    /// Its id.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// Its algorithm.
    pub fn algorithm(&self) -> Algorithm {
        self.key.algorithm()
    }

    /// The whole sha256 of its SubjectPublicKeyInfo, in groups of four digits: to be read aloud and compared.
    pub fn fingerprint(&self) -> String {
        let digits = BlobKey::of(&self.spki).hex();
        let groups: Vec<_> = digits.as_bytes().chunks(4).map(String::from_utf8_lossy).collect();
        groups.join(" ")
    }

    /// Whether `signature` is this key's over `message`.
    pub fn verifies(&self, message: &[u8], signature: &[u8]) -> bool {
        self.key.verifies(message, signature)
    }
}

impl PartialEq for PublicKey {
    fn eq(&self, other: &PublicKey) -> bool {
        self.spki == other.spki
    }
}

impl Eq for PublicKey {}

impl fmt::Debug for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PublicKey({})", self.id)
    }
}

impl TryFrom<WrittenKey> for PublicKey {
    type Error = KeyRejected;

    fn try_from(written: WrittenKey) -> Result<PublicKey, KeyRejected> {
        // The standard engine refuses missing padding and stray bits, so that there is one spelling.
        let spki = STANDARD.decode(&written.public).map_err(|_| KeyRejected::Unsupported)?;
        let key = PublicKey::from_spki(&spki)?;
        if key.algorithm() == written.algorithm { Ok(key) } else { Err(KeyRejected::Unsupported) }
    }
}

impl From<PublicKey> for WrittenKey {
    fn from(key: PublicKey) -> WrittenKey {
        WrittenKey { algorithm: key.algorithm(), public: STANDARD.encode(&key.spki) }
    }
}
