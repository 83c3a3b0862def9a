//! What the tests and the generator of the vectors share: keys made from a seed, and an artifact.

use std::collections::BTreeMap;

use bundle_format::*;
use ed25519_dalek::{Signature, Signer as _, SigningKey};

/// A key whose secret is 32 times the same byte: nobody trusts it, and every run makes the same signatures.
pub(crate) struct TestKey {
    id: String,
    key: SigningKey,
}

impl TestKey {
    pub(crate) fn new(seed: u8) -> TestKey {
        let key = SigningKey::from_bytes(&[seed; 32]);
        TestKey { id: BlobKey::of(key.verifying_key().as_bytes()).to_string(), key }
    }
}

impl TestKey {
    /// The public key.
    pub(crate) fn public(&self) -> [u8; 32] {
        self.key.verifying_key().to_bytes()
    }
}

impl Signer for TestKey {
    fn key_id(&self) -> &str {
        &self.id
    }

    fn sign(&self, pae: &[u8]) -> Result<Vec<u8>, String> {
        Ok(self.key.sign(pae).to_bytes().to_vec())
    }
}

/// Trusts these keys for the channel `prod`.
pub(crate) struct TestVerifier {
    pub(crate) keys: Vec<TestKey>,
}

impl TestVerifier {
    /// Trusts the keys with the seeds 1 and 2.
    pub(crate) fn new() -> TestVerifier {
        TestVerifier { keys: vec![TestKey::new(1), TestKey::new(2)] }
    }
}

fn untrusted(code: &str) -> Untrusted {
    Untrusted { code: code.to_owned(), message: code.to_owned() }
}

impl Verifier for TestVerifier {
    fn verify(
        &self,
        kind: PayloadType,
        payload: &[u8],
        lines: &[SignatureLine],
    ) -> Result<Vec<String>, Untrusted> {
        let encoding = signature::pae(kind, payload);
        let mut signers = Vec::new();
        for line in lines {
            let Some(key) = self.keys.iter().find(|key| key.id == line.key_id) else { continue };
            Signature::from_slice(&line.signature)
                .and_then(|signature| key.key.verifying_key().verify_strict(&encoding, &signature))
                .map_err(|_| untrusted("trust.bad-signature"))?;
            signers.push(key.id.clone());
        }
        if signers.is_empty() { Err(untrusted("trust.unknown-key")) } else { Ok(signers) }
    }

    fn authorise(&self, _: PayloadType, snapshot: &Snapshot, _: &[String]) -> Result<(), Untrusted> {
        if snapshot.channel == "prod" { Ok(()) } else { Err(untrusted("trust.scope")) }
    }
}

/// An artifact with one file.
pub(crate) fn artifact(name: &str, bytes: &[u8]) -> Record {
    let file = File {
        role: "file".to_owned(),
        path: format!("{name}.bin"),
        blob: BlobKey::of(bytes),
        size: bytes.len() as u64,
        media_type: "application/octet-stream".to_owned(),
        checksums: Vec::new(),
        origin: format!("https://registry.example.test/{name}.bin"),
    };
    Record::Artifact(Artifact {
        ecosystem: "file".to_owned(),
        repository: "registry.example.test".to_owned(),
        name: name.to_owned(),
        version: "1".to_owned(),
        qualifier: String::new(),
        schema: "file/1".to_owned(),
        attributes: BTreeMap::new(),
        files: vec![file],
        requires: Vec::new(),
    })
}
