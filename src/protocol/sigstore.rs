//! Sigstore's attestations: who says what of a file, and did they say it while their certificate held?
//!
//! A publisher's build has a certificate for some minutes, which names it, and signs a statement with its key. That this was
//! done in those minutes is what an append-only log says, with a signature of its own. So an attestation proves itself for
//! good to whoever knows the authorities and logs beforehand ([`Roots`]); nobody is asked.
//!
//! - `roots`: whom one believes · `certificate`: who signed · `log`: when · `statement`: what
//! - `certificate_log`: that an authority issued a certificate in public · `bundle`: how all this is written down
//!
//! What a key signs that its reader knows by name, and no certificate, is looked up in the log all the same.

pub mod bundle;
mod certificate;
mod certificate_log;
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
use x509_parser::prelude::FromDer as _;
use x509_parser::x509::SubjectPublicKeyInfo;

use self::certificate::Leaf;
pub use self::log::{Entry, Inclusion};
use self::roots::Root;
pub use self::roots::Roots;

/// Why an attestation is not believed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    /// It is not of the form that it should have.
    #[error("it cannot be read: {0}")]
    Malformed(String),
    /// Nobody who is pinned has to do with it.
    #[error("{0}")]
    Unpinned(&'static str),
    /// Those who are pinned do not vouch for its certificate.
    #[error("its certificate {0}")]
    Certificate(String),
    /// Somebody changed it, or it is somebody else's.
    #[error("its signature is none of {0}")]
    Signature(&'static str),
    /// No log that is pinned says that and when it was signed.
    #[error("the log of signatures {0}")]
    Log(String),
    /// It is about something else.
    #[error("{0}")]
    Statement(String),
}

/// A statement, and what shows who made it when.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Attestation {
    /// Who is said to have signed it.
    pub signed_by: SignedBy,
    /// What is stated.
    pub statement: Vec<u8>,
    /// The signature over it in DSSE's encoding.
    pub signature: Vec<u8>,
    /// What logs say of it: one is enough.
    pub entries: Vec<Entry>,
}

/// Whose a signature is said to be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SignedBy {
    /// Whom this certificate names (X.509 in DER).
    Certificate(Vec<u8>),
    /// The key of this name, which whoever reads it has to know.
    Key(String),
}

/// Who made a statement.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Signer {
    /// Whom the certificate names: the address of a workflow, or somebody's mail.
    pub identity: String,
    /// Who vouched to the authority for that.
    pub issuer: String,
    /// The repository that a workflow was run for; empty, where the certificate does not say.
    pub repository: String,
    /// The commit of it; empty, where the certificate does not say.
    pub commit: String,
    /// When it was logged.
    pub logged: Timestamp,
}

/// The type of payload that statements have in DSSE.
pub const PAYLOAD: &str = "application/vnd.in-toto+json";

impl Attestation {
    /// Who made the statement, by those whom one believes.
    ///
    /// # Errors
    /// Why nobody is believed to have made it.
    pub fn verify(&self, roots: &Roots) -> Result<Signer, Fault> {
        let SignedBy::Certificate(certificate) = &self.signed_by else {
            return Err(Fault::Certificate("is missing".to_owned()));
        };
        let leaf = Leaf::read(certificate)?;
        if !self.is_signed_with(&leaf.key) {
            return Err(Fault::Signature("its certificate's key"));
        }
        let logged = roots.first_that(|root| {
            let logged = self.logged(certificate, root)?;
            root.vouch_for(&leaf, logged)?;
            Ok(logged)
        })?;
        let Leaf { identity, issuer, repository, commit, .. } = leaf;
        Ok(Signer { identity, issuer, repository, commit, logged })
    }

    /// When a key, a SubjectPublicKeyInfo in DER that is believed to be its signer's, made the statement.
    ///
    /// # Errors
    /// Why the key is not believed to have made it.
    pub fn verify_with_key(&self, key: &[u8], roots: &Roots) -> Result<Timestamp, Fault> {
        let info = SubjectPublicKeyInfo::from_der(key).ok().filter(|(rest, _)| rest.is_empty());
        let read = info.and_then(|(_, info)| Key::read(&info));
        let read = read.ok_or_else(|| malformed("the key is none of ECDSA on P-256 or P-384"))?;
        if !self.is_signed_with(&read) {
            return Err(Fault::Signature("the key that it names"));
        }
        roots.first_that(|root| self.logged(key, root))
    }

    fn is_signed_with(&self, key: &Key) -> bool {
        let encoded = format!("DSSEv1 {} {PAYLOAD} {} ", PAYLOAD.len(), self.statement.len());
        let encoded = [encoded.as_bytes(), &self.statement].concat();
        key.verifies(Hash::Sha256, &encoded, &self.signature)
    }

    /// When a log took it in, as that of this signer: their certificate or key in DER.
    fn logged(&self, signer: &[u8], root: &Root) -> Result<Timestamp, Fault> {
        let mut why = Fault::Log("has no entry of it".to_owned());
        for entry in &self.entries {
            match entry.logged(self, signer, root) {
                Ok(logged) => return Ok(logged),
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
