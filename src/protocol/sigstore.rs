//! Sigstore's attestations: who says what of a file, and did they say it while their certificate held?
//!
//! A publisher's build has a certificate for some minutes, which names it, and signs a statement with its key. That this was
//! done in those minutes is what an append-only log says, with a signature of its own. So an attestation proves itself for
//! good to whoever knows the authorities and logs beforehand ([`Roots`]); nobody is asked.
//!
//! - `roots`: whom one believes · `certificate`: who signed · `log`: when · `statement`: what
//!
//! Not looked at: whether the certificate itself was logged (its SCT), which tells of authorities that issue in secret.

mod certificate;
mod log;
#[cfg(any(test, feature = "faults"))]
pub mod made;
mod roots;
pub mod statement;

use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_ASN1, ECDSA_P256_SHA384_ASN1, ECDSA_P384_SHA256_ASN1, ECDSA_P384_SHA384_ASN1,
    EcdsaVerificationAlgorithm, UnparsedPublicKey,
};
use jiff::Timestamp;
use x509_parser::x509::SubjectPublicKeyInfo;

use self::certificate::Leaf;
pub use self::log::{Entry, Inclusion};
pub use self::roots::Roots;

/// Why an attestation is not believed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    /// It is not of the form that it should have.
    #[error("it cannot be read: {0}")]
    Malformed(String),
    /// Nobody who is pinned vouches for its certificate.
    #[error("its certificate {0}")]
    Certificate(String),
    /// Somebody changed it, or it is somebody else's.
    #[error("its signature is none of its certificate's key")]
    Signature,
    /// No log that is pinned says that and when it was signed.
    #[error("the log of signatures {0}")]
    Log(String),
    /// It is about something else.
    #[error("{0}")]
    Statement(String),
}

/// A statement, and what shows who made it when.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Attestation {
    /// The signer's certificate (X.509 in DER).
    pub certificate: Vec<u8>,
    /// What is stated.
    pub statement: Vec<u8>,
    /// The signature over it in DSSE's encoding.
    pub signature: Vec<u8>,
    /// What logs say of it: one is enough.
    pub entries: Vec<Entry>,
}

/// Who made a statement.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Signer {
    /// Whom the certificate names: the address of a workflow, or somebody's mail.
    pub identity: String,
    /// Who vouched to the authority for that.
    pub issuer: String,
    /// When it was logged.
    pub logged: Timestamp,
}

/// The type of payload that statements have in DSSE.
const PAYLOAD: &str = "application/vnd.in-toto+json";

impl Attestation {
    /// Who made the statement, by those whom one believes.
    ///
    /// # Errors
    /// Why nobody is believed to have made it.
    pub fn verify(&self, roots: &Roots) -> Result<Signer, Fault> {
        let leaf = Leaf::read(&self.certificate)?;
        let encoded = format!("DSSEv1 {} {PAYLOAD} {} ", PAYLOAD.len(), self.statement.len());
        let encoded = [encoded.as_bytes(), &self.statement].concat();
        if !leaf.key.verifies(Hash::Sha256, &encoded, &self.signature) {
            return Err(Fault::Signature);
        }
        let mut why = Fault::Log("has no entry of it".to_owned());
        for entry in &self.entries {
            match entry.logged(self, roots) {
                Ok(logged) => {
                    roots.vouch_for(&leaf, logged)?;
                    return Ok(Signer { identity: leaf.identity, issuer: leaf.issuer, logged });
                }
                Err(fault) => why = fault,
            }
        }
        Err(why)
    }
}

/// How a message is hashed before it is signed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Hash {
    Sha256,
    Sha384,
}

/// A public key of ECDSA, which is what Sigstore's public instances and their kin use.
#[derive(Debug, Clone)]
struct Key {
    is_p384: bool,
    point: Vec<u8>,
}

impl Key {
    fn read(info: &SubjectPublicKeyInfo<'_>) -> Option<Key> {
        let curve = info.algorithm.parameters.as_ref()?.as_oid().ok()?.to_id_string();
        let is_ecdsa = info.algorithm.algorithm.to_id_string() == "1.2.840.10045.2.1";
        let is_p384 = match curve.as_str() {
            "1.2.840.10045.3.1.7" => false,
            "1.3.132.0.34" => true,
            _ => return None,
        };
        is_ecdsa.then(|| Key { is_p384, point: info.subject_public_key.data.to_vec() })
    }

    fn verifies(&self, hash: Hash, message: &[u8], signature: &[u8]) -> bool {
        let algorithm: &'static EcdsaVerificationAlgorithm = match (self.is_p384, hash) {
            (false, Hash::Sha256) => &ECDSA_P256_SHA256_ASN1,
            (false, Hash::Sha384) => &ECDSA_P256_SHA384_ASN1,
            (true, Hash::Sha256) => &ECDSA_P384_SHA256_ASN1,
            (true, Hash::Sha384) => &ECDSA_P384_SHA384_ASN1,
        };
        UnparsedPublicKey::new(algorithm, &self.point).verify(message, signature).is_ok()
    }
}

fn malformed(why: impl Into<String>) -> Fault {
    Fault::Malformed(why.into())
}

#[cfg(test)]
mod tests;
