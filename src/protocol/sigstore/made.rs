//! For tests: an authority, its logs, and attestations that they vouch for.

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
use super::{Attestation, Entry, PAYLOAD, SignedBy};

/// When everything is signed here, unless it is said otherwise: in January 2026.
pub const THEN: i64 = 1_767_225_600;
/// Who signs.
pub const IDENTITY: &str = "https://forge.example.test/team/app/.github/workflows/release.yml@refs/tags/v1";
/// Who vouches for that.
pub const VOUCHER: &str = "https://tokens.forge.example.test";

/// The repository that was built.
pub const REPOSITORY: &str = "https://forge.example.test/team/app";
/// The commit of it.
pub const COMMIT: &str = "06528997c3c8ab9f864fad9a3658446aca7fd86d";

/// An authority with one below it, and logs of signatures and of certificates.
pub struct Made {
    root: Vec<u8>,
    intermediate: Vec<u8>,
    issuer: Issuer<'static, KeyPair>,
    /// The sha256 of the key of the authority below.
    issuer_key: BlobKey,
    log: KeyPair,
    certificate_log: KeyPair,
}

/// The forms in which a log keeps signatures.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// `dsse` 0.0.1.
    Dsse,
    /// `intoto` 0.0.2.
    Intoto,
}

/// An extension of certificates that has a text, in DER.
fn text(place: u64, text: &str) -> CustomExtension {
    let text = [&[0x0c, text.len() as u8], text.as_bytes()].concat();
    CustomExtension::from_oid_content(&[1, 3, 6, 1, 4, 1, 57264, 1, place], text)
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
            issuer_key: BlobKey::of(&second.subject_public_key_info()),
            issuer: Issuer::new(params, second),
            log: KeyPair::generate()?,
            certificate_log: KeyPair::generate()?,
        })
    }

    /// The sha256 of the key that issues certificates.
    pub fn issuer_key(&self) -> BlobKey {
        self.issuer_key
    }

    /// Those whom one has to believe, as a `trusted_root.json`.
    pub fn trusted_root(&self) -> Value {
        let certificate = |der: &[u8]| json!({ "rawBytes": BASE64.encode(der) });
        let log = |key: &KeyPair| {
            json!({ "publicKey": {
                "rawBytes": BASE64.encode(key.subject_public_key_info()),
                "keyDetails": "PKIX_ECDSA_P256_SHA_256",
                "validFor": { "start": "2021-01-12T11:53:27.000Z" },
            }})
        };
        json!({
            "mediaType": "application/vnd.dev.sigstore.trustedroot+json;version=0.1",
            "tlogs": [log(&self.log)],
            "ctlogs": [log(&self.certificate_log)],
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
        params.custom_extensions = vec![text(8, VOUCHER), text(12, REPOSITORY), text(13, COMMIT)];
        params.serial_number = Some(7.into());
        // From the day before to the day after; rcgen writes days alone.
        (params.not_before, params.not_after) =
            (rcgen::date_time_ymd(2025, 12, 31), rcgen::date_time_ymd(2026, 1, 2));
        change(&mut params);
        // What is promised to be made public is the certificate without the promise.
        let before = params.signed_by(&key, &self.issuer)?;
        params.custom_extensions.push(self.promise(before.der()));
        let certificate = params.signed_by(&key, &self.issuer)?;
        let signed_by = SignedBy::Certificate(certificate.der().to_vec());
        let mut attestation = Attestation {
            signed_by,
            statement: statement.to_vec(),
            signature: Vec::new(),
            entries: Vec::new(),
        };
        attestation.signature = signed(&key, &encoded(statement));
        self.log(&mut attestation, certificate.der(), Form::Dsse, logged);
        Ok(attestation)
    }

    /// An attestation by a key of that name; `sign` makes its signatures, and `spki` is it in DER.
    pub fn attest_with_key(
        &self,
        statement: &[u8],
        (name, spki): (&str, &[u8]),
        sign: impl FnOnce(&[u8]) -> Vec<u8>,
    ) -> Attestation {
        let signature = sign(&encoded(statement));
        let signed_by = SignedBy::Key(name.to_owned());
        let mut attestation =
            Attestation { signed_by, statement: statement.to_vec(), signature, entries: Vec::new() };
        self.log(&mut attestation, spki, Form::Intoto, THEN);
        attestation
    }

    /// The extension with the promise of the log of certificates.
    fn promise(&self, before: &[u8]) -> CustomExtension {
        // The certificate is a sequence, whose length has two bytes; what is signed of it is the first in it.
        let signed_part = before.get(4..).unwrap_or_default();
        let length =
            signed_part.get(2..4).map_or(0, |length| usize::from(length[0]) << 8 | usize::from(length[1]));
        let signed_part = signed_part.get(..length + 4).unwrap_or_default();
        let then = (THEN as u64 * 1000).to_be_bytes();
        let length = (signed_part.len() as u32).to_be_bytes();
        let parts: [&[u8]; 7] =
            [&[0, 0], &then, &[0, 1], self.issuer_key.as_bytes(), &length[1..], signed_part, &[0, 0]];
        let signature = signed(&self.certificate_log, &parts.concat());
        let id = BlobKey::of(&self.certificate_log.subject_public_key_info());
        let size = |bytes: &[u8]| (bytes.len() as u16).to_be_bytes();
        let promise: [&[u8]; 7] =
            [&[0], id.as_bytes(), &then, &[0, 0], &[4, 3], &size(&signature), &signature];
        let promise = promise.concat();
        let list = [&size(&promise)[..], &promise].concat();
        let list = [&size(&list)[..], &list].concat();
        // All of it has fewer than 128 bytes, or at least fewer than 256.
        let octets = match list.len() {
            short @ ..128 => vec![4, short as u8],
            long => vec![4, 0x81, long as u8],
        };
        let content = [octets, list].concat();
        CustomExtension::from_oid_content(&[1, 3, 6, 1, 4, 1, 11129, 2, 4, 2], content)
    }

    /// Puts an attestation into the log, with its signer: their certificate or key in DER.
    pub fn log(&self, attestation: &mut Attestation, signer: &[u8], form: Form, logged: i64) {
        let label = match attestation.signed_by {
            SignedBy::Certificate(_) => "CERTIFICATE",
            SignedBy::Key(_) => "PUBLIC KEY",
        };
        let pem = format!("-----BEGIN {label}-----\n{}\n-----END {label}-----\n", BASE64.encode(signer));
        let hash = json!({ "algorithm": "sha256", "value": BlobKey::of(&attestation.statement).hex() });
        let signature = BASE64.encode(&attestation.signature);
        let body = match form {
            Form::Dsse => json!({ "apiVersion": "0.0.1", "kind": "dsse", "spec": {
                "payloadHash": hash,
                "signatures": [{ "signature": signature, "verifier": BASE64.encode(pem) }],
            }}),
            Form::Intoto => json!({ "apiVersion": "0.0.2", "kind": "intoto", "spec": { "content": {
                "envelope": {
                    "payloadType": PAYLOAD,
                    "signatures": [{ "sig": BASE64.encode(signature), "publicKey": BASE64.encode(pem) }],
                },
                "payloadHash": hash,
            }}}),
        };
        attestation.entries = vec![self.entry(body.to_string().into_bytes(), logged)];
    }

    /// What the log says of what it took in: the third of five entries.
    fn entry(&self, body: Vec<u8>, logged: i64) -> Entry {
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

/// A statement in DSSE's encoding.
fn encoded(statement: &[u8]) -> Vec<u8> {
    let before = format!("DSSEv1 {} {PAYLOAD} {} ", PAYLOAD.len(), statement.len());
    [before.as_bytes(), statement].concat()
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
    json!({
        "version": 1,
        "verification_material": {
            "certificate": BASE64.encode(signer(attestation)),
            "transparency_entries": entries(attestation),
        },
        "envelope": {
            "statement": BASE64.encode(&attestation.statement),
            "signature": BASE64.encode(&attestation.signature),
        },
    })
}

/// An attestation as a bundle of Sigstore, of version 0.1 or 0.3.
pub fn bundle(attestation: &Attestation, is_first: bool) -> Value {
    let certificate = json!({ "rawBytes": BASE64.encode(signer(attestation)) });
    let mut material = match (&attestation.signed_by, is_first) {
        (SignedBy::Key(name), _) => json!({ "publicKey": { "hint": name } }),
        (SignedBy::Certificate(_), true) => {
            json!({ "x509CertificateChain": { "certificates": [certificate, { "rawBytes": "AAAA" }] } })
        }
        (SignedBy::Certificate(_), false) => json!({ "certificate": certificate }),
    };
    material["tlogEntries"] = entries(attestation);
    let name = match &attestation.signed_by {
        SignedBy::Key(name) => name,
        SignedBy::Certificate(_) => "",
    };
    let media_type = match is_first {
        true => "application/vnd.dev.sigstore.bundle+json;version=0.1",
        false => "application/vnd.dev.sigstore.bundle.v0.3+json",
    };
    json!({
        "mediaType": media_type,
        "verificationMaterial": material,
        "dsseEnvelope": {
            "payload": BASE64.encode(&attestation.statement),
            "payloadType": PAYLOAD,
            "signatures": [{ "sig": BASE64.encode(&attestation.signature), "keyid": name }],
        },
    })
}

fn signer(attestation: &Attestation) -> &[u8] {
    match &attestation.signed_by {
        SignedBy::Certificate(der) => der,
        SignedBy::Key(_) => &[],
    }
}

fn entries(attestation: &Attestation) -> Value {
    let entries = attestation.entries.iter().map(|entry| {
        let mut written = json!({
            "logIndex": entry.index.to_string(),
            "logId": { "keyId": BASE64.encode(entry.log.as_bytes()) },
            "integratedTime": entry.integrated.to_string(),
            "inclusionPromise": { "signedEntryTimestamp": BASE64.encode(&entry.promise) },
            "canonicalizedBody": BASE64.encode(&entry.body),
        });
        if let Some(proof) = &entry.inclusion {
            written["inclusionProof"] = json!({
                "logIndex": proof.index.to_string(),
                "treeSize": proof.size.to_string(),
                "rootHash": BASE64.encode(&proof.root),
                "hashes": proof.path.iter().map(|hash| BASE64.encode(hash)).collect::<Vec<_>>(),
                "checkpoint": { "envelope": proof.checkpoint },
            });
        }
        written
    });
    entries.collect()
}
