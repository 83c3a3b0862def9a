//! For tests: an authority, a log, and attestations that they vouch for.

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_ASN1_SIGNING, EcdsaKeyPair};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use bundle_format::BlobKey;
use rcgen::{
    BasicConstraints, CertificateParams, CustomExtension, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer,
    KeyPair, KeyUsagePurpose, PublicKeyData as _, SanType,
};
use serde_json::{Value, json};

use super::log::Inclusion;
use super::{Attestation, Entry, PAYLOAD};

/// When everything is signed here, unless it is said otherwise: in January 2026.
pub const THEN: i64 = 1_767_225_600;
/// Who signs.
pub const IDENTITY: &str = "https://forge.example.test/team/app/.github/workflows/release.yml@refs/tags/v1";
/// Who vouches for that.
pub const VOUCHER: &str = "https://tokens.forge.example.test";

/// An authority with one below it, and a log.
pub struct Made {
    root: Vec<u8>,
    intermediate: Vec<u8>,
    issuer: Issuer<'static, KeyPair>,
    log: KeyPair,
}

fn authority(name: &str, most_below: u8) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name = rcgen::DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, name);
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(most_below));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    params
}

/// A signature of ECDSA on P-256.
fn signed(key: &KeyPair, message: &[u8]) -> Vec<u8> {
    let pair = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_ASN1_SIGNING, key.serialized_der());
    let signature = pair.ok().and_then(|pair| pair.sign(&SystemRandom::new(), message).ok());
    signature.map(|signature| signature.as_ref().to_vec()).unwrap_or_default()
}

impl Made {
    /// Makes them.
    ///
    /// # Errors
    /// If the library of cryptography fails.
    pub fn new() -> Result<Made, rcgen::Error> {
        let (first, second) = (KeyPair::generate()?, KeyPair::generate()?);
        let root = authority("root", 1);
        let root_der = root.self_signed(&first)?.der().to_vec();
        let above = Issuer::new(root, first);
        let params = authority("intermediate", 0);
        let intermediate = params.signed_by(&second, &above)?.der().to_vec();
        Ok(Made {
            root: root_der,
            intermediate,
            issuer: Issuer::new(params, second),
            log: KeyPair::generate()?,
        })
    }

    /// Those whom one has to believe, as a `trusted_root.json`.
    pub fn trusted_root(&self) -> Value {
        let certificate = |der: &[u8]| json!({ "rawBytes": BASE64.encode(der) });
        json!({
            "mediaType": "application/vnd.dev.sigstore.trustedroot+json;version=0.1",
            "tlogs": [{ "publicKey": {
                "rawBytes": BASE64.encode(self.log.subject_public_key_info()),
                "keyDetails": "PKIX_ECDSA_P256_SHA_256",
                "validFor": { "start": "2021-01-12T11:53:27.000Z" },
            }}],
            "certificateAuthorities": [{
                "certChain": { "certificates": [certificate(&self.intermediate), certificate(&self.root)] },
                "validFor": { "start": "2021-01-12T11:53:27.000Z" },
            }],
        })
    }

    /// An attestation of a statement that was logged at a time; `change` may change the certificate before it is issued.
    ///
    /// # Errors
    /// If the library of cryptography fails.
    pub fn attest(
        &self,
        statement: &[u8],
        logged: i64,
        change: impl FnOnce(&mut CertificateParams),
    ) -> Result<Attestation, rcgen::Error> {
        let key = KeyPair::generate()?;
        let mut params = CertificateParams::default();
        params.distinguished_name = rcgen::DistinguishedName::new();
        params.subject_alt_names = vec![SanType::URI(IDENTITY.try_into()?)];
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::CodeSigning];
        let voucher = [&[0x0c, VOUCHER.len() as u8], VOUCHER.as_bytes()].concat();
        let oid = [1, 3, 6, 1, 4, 1, 57264, 1, 8];
        params.custom_extensions = vec![CustomExtension::from_oid_content(&oid, voucher)];
        // From the day before to the day after; rcgen writes days alone.
        (params.not_before, params.not_after) =
            (rcgen::date_time_ymd(2025, 12, 31), rcgen::date_time_ymd(2026, 1, 2));
        change(&mut params);
        let certificate = params.signed_by(&key, &self.issuer)?;
        let encoded = format!("DSSEv1 {} {PAYLOAD} {} ", PAYLOAD.len(), statement.len());
        let signature = signed(&key, &[encoded.as_bytes(), statement].concat());
        let mut attestation = Attestation {
            certificate: certificate.der().to_vec(),
            statement: statement.to_vec(),
            signature,
            entries: Vec::new(),
        };
        attestation.entries.push(self.entry(&attestation, logged));
        Ok(attestation)
    }

    /// What the log says of an attestation: the third of five entries.
    fn entry(&self, attestation: &Attestation, logged: i64) -> Entry {
        let pem = format!(
            "-----BEGIN CERTIFICATE-----\n{}\n-----END CERTIFICATE-----\n",
            BASE64.encode(&attestation.certificate)
        );
        let body = json!({ "apiVersion": "0.0.1", "kind": "dsse", "spec": {
            "payloadHash": { "algorithm": "sha256", "value": BlobKey::of(&attestation.statement).hex() },
            "signatures": [{ "signature": BASE64.encode(&attestation.signature), "verifier": BASE64.encode(pem) }],
        }});
        let body = body.to_string().into_bytes();
        let log = BlobKey::of(&self.log.subject_public_key_info());
        let promised = format!(
            "{{\"body\":\"{}\",\"integratedTime\":{logged},\"logID\":\"{}\",\"logIndex\":{}}}",
            BASE64.encode(&body),
            log.hex(),
            1002
        );
        let promise = signed(&self.log, promised.as_bytes());
        let leaf = |text: &[u8]| BlobKey::of(&[&[0], text].concat());
        let node = |left: BlobKey, right: BlobKey| {
            BlobKey::of(&[&[1], left.as_bytes().as_slice(), right.as_bytes().as_slice()].concat())
        };
        let (own, fourth, fifth) = (leaf(&body), leaf(b"four"), leaf(b"five"));
        let first_two = node(leaf(b"one"), leaf(b"two"));
        let root = node(node(first_two, node(own, fourth)), fifth);
        let text = format!("log.example.test - 1\n5\n{}\n", BASE64.encode(root.as_bytes()));
        let note = BASE64.encode([b"hint", signed(&self.log, text.as_bytes()).as_slice()].concat());
        let inclusion = Inclusion {
            index: 2,
            size: 5,
            root: root.as_bytes().to_vec(),
            path: [fourth, first_two, fifth].map(|hash| hash.as_bytes().to_vec()).to_vec(),
            checkpoint: format!("{text}\n\u{2014} log.example.test {note}\n"),
        };
        Entry { log, index: 1002, integrated: logged, body, promise, inclusion: Some(inclusion) }
    }
}

/// A statement about a file.
pub fn statement(name: &str, sha256: &BlobKey) -> Vec<u8> {
    let statement = json!({
        "_type": "https://in-toto.io/Statement/v1",
        "subject": [{ "name": name, "digest": { "sha256": sha256.hex() } }],
        "predicateType": "https://attestations.example.test/publish/v1",
        "predicate": null,
    });
    statement.to_string().into_bytes()
}

/// An attestation as indexes of Python packages write it (PEP 740).
pub fn pep740(attestation: &Attestation) -> Value {
    let entries = attestation.entries.iter().map(|entry| {
        let proof = entry.inclusion.clone().unwrap_or_default();
        json!({
            "logIndex": entry.index.to_string(),
            "logId": { "keyId": BASE64.encode(entry.log.as_bytes()) },
            "kindVersion": { "kind": "dsse", "version": "0.0.1" },
            "integratedTime": entry.integrated.to_string(),
            "inclusionPromise": { "signedEntryTimestamp": BASE64.encode(&entry.promise) },
            "inclusionProof": {
                "logIndex": proof.index.to_string(),
                "treeSize": proof.size.to_string(),
                "rootHash": BASE64.encode(&proof.root),
                "hashes": proof.path.iter().map(|hash| BASE64.encode(hash)).collect::<Vec<_>>(),
                "checkpoint": { "envelope": proof.checkpoint },
            },
            "canonicalizedBody": BASE64.encode(&entry.body),
        })
    });
    json!({
        "version": 1,
        "verification_material": {
            "certificate": BASE64.encode(&attestation.certificate),
            "transparency_entries": entries.collect::<Vec<_>>(),
        },
        "envelope": {
            "statement": BASE64.encode(&attestation.statement),
            "signature": BASE64.encode(&attestation.signature),
        },
    })
}
