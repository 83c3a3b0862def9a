//! What the tests and the generator of the vectors share: keys made from a seed, and a small snapshot.

use std::collections::{BTreeMap, HashMap};
use std::io::{self, Read};

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
    /// Trusts the key with the seed 1.
    pub(crate) fn new() -> TestVerifier {
        TestVerifier { keys: vec![TestKey::new(1)] }
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

/// A snapshot with its blobs in memory.
#[derive(Clone)]
pub(crate) struct Sample {
    pub(crate) snapshot: Snapshot,
    pub(crate) blobs: HashMap<BlobKey, Vec<u8>>,
}

impl Sample {
    /// One artifact for each of these blobs.
    pub(crate) fn of(files: &[Vec<u8>]) -> Sample {
        let mut blobs: HashMap<BlobKey, Vec<u8>> =
            files.iter().map(|bytes| (BlobKey::of(bytes), bytes.clone())).collect();
        let mut writer = SegmentWriter::new(|segment: &SegmentRef, bytes: &[u8]| {
            blobs.insert(segment.digest, bytes.to_vec());
            Ok(())
        });
        for (index, bytes) in files.iter().enumerate() {
            writer.push(&artifact(&format!("part-{index:04}"), bytes)).unwrap();
        }
        let segments = writer.finish().unwrap();
        let snapshot = Snapshot {
            format: Format::current(),
            channel: "prod".to_owned(),
            epoch: 1,
            sequence: 42,
            previous: None,
            created: "2026-11-21T08:38:55Z".to_owned(),
            expires: None,
            mode: Mode::Add,
            sites: Vec::new(),
            labels: BTreeMap::new(),
            segments,
            ext: BTreeMap::new(),
        };
        Sample { snapshot, blobs }
    }

    pub(crate) fn plan(&self) -> VolumePlan {
        let sizes = self.blobs.iter().map(|(key, bytes)| (*key, bytes.len() as u64));
        VolumePlan::new(&self.snapshot.segments, sizes).unwrap()
    }

    /// The volume, signed by the key with the seed 1.
    pub(crate) fn volume(&self) -> Vec<u8> {
        let plan = self.plan();
        let documents = Documents::sign(&self.snapshot, &plan, &[&TestKey::new(1)]).unwrap();
        let mut volume = Vec::new();
        let written = write_volume(&mut volume, &documents, &plan, &mut |key| self.open(key)).unwrap();
        assert_eq!((written.size, written.digest), (volume.len() as u64, BlobKey::of(&volume)));
        assert_eq!(documents.file_size(&plan), written.size);
        volume
    }

    pub(crate) fn open(&self, key: &BlobKey) -> io::Result<Box<dyn Read>> {
        let bytes = self.blobs.get(key).ok_or(io::ErrorKind::NotFound)?;
        Ok(Box::new(io::Cursor::new(bytes.clone())))
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
