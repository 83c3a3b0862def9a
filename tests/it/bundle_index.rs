//! Bundles of images whose `index.json` says something else than their records.

use std::collections::BTreeMap;
use std::io::{Cursor, Read};

use aftk::cancel::Cancel;
use aftk::events::Silent;
use aftk::ops::verify;
use bundle_format::{
    Artifact, BlobKey, BundlePlan, Documents, File, Format, Mode, PayloadType, Record, Ref, SegmentRef,
    SegmentWriter, SignatureLine, Signer, Snapshot, Untrusted, Verifier, write_volume,
};

use crate::support::sides::scratch;

/// Signs and believes everything.
struct Anyone;

impl Signer for Anyone {
    fn key_id(&self) -> &str {
        "anyone"
    }

    fn sign(&self, _: &[u8]) -> Result<Vec<u8>, String> {
        Ok(vec![1])
    }
}

impl Verifier for Anyone {
    fn verify(&self, _: PayloadType, _: &[u8], _: &[SignatureLine]) -> Result<Vec<String>, Untrusted> {
        Ok(vec!["anyone".to_owned()])
    }

    fn authorise(&self, _: PayloadType, _: &Snapshot, _: &[String]) -> Result<(), Untrusted> {
        Ok(())
    }
}

const MANIFEST: &[u8] = b"a manifest";

/// An image with a tag, as its records.
fn records() -> Vec<Record> {
    let version = BlobKey::of(MANIFEST).to_string();
    let file = File {
        role: "manifest".to_owned(),
        path: format!("app/manifests/{version}"),
        blob: BlobKey::of(MANIFEST),
        size: MANIFEST.len() as u64,
        media_type: "application/vnd.oci.image.manifest.v1+json".to_owned(),
        checksums: Vec::new(),
        origin: String::new(),
    };
    let image = Artifact {
        ecosystem: "oci".to_owned(),
        repository: "registry.example.test".to_owned(),
        name: "app".to_owned(),
        version: version.clone(),
        qualifier: String::new(),
        schema: "oci/1".to_owned(),
        attributes: BTreeMap::new(),
        files: vec![file],
        requires: Vec::new(),
    };
    let tag = Ref {
        ecosystem: "oci".to_owned(),
        repository: "registry.example.test".to_owned(),
        name: "app".to_owned(),
        label: "1".to_owned(),
        version,
    };
    vec![Record::Artifact(image), Record::Ref(tag)]
}

/// The index that follows: SPEC.md, section 7.1.
fn index() -> String {
    let digest = BlobKey::of(MANIFEST);
    format!(
        concat!(
            r#"{{"manifests":[{{"annotations":{{"io.containerd.image.name":"registry.example.test/app:1","#,
            r#""org.opencontainers.image.ref.name":"registry.example.test/app:1"}},"digest":"{}","#,
            r#""mediaType":"application/vnd.oci.image.manifest.v1+json","size":{}}}],"#,
            r#""mediaType":"application/vnd.oci.image.index.v1+json","schemaVersion":2}}"#
        ),
        digest,
        MANIFEST.len()
    )
}

/// What verifying says to a volume of these records with that index.
fn verdict(index: &str) -> String {
    let mut segment = Vec::new();
    let mut writer = SegmentWriter::new(|_: &SegmentRef, bytes: &[u8]| {
        segment = bytes.to_vec();
        Ok(())
    });
    records().iter().for_each(|record| writer.push(record).unwrap());
    let segments = writer.finish().unwrap();
    let snapshot = Snapshot {
        format: Format::current(),
        channel: "prod".to_owned(),
        epoch: 1,
        sequence: 1,
        previous: None,
        created: "2026-11-21T09:00:00Z".to_owned(),
        expires: None,
        mode: Mode::Add,
        sites: Vec::new(),
        labels: BTreeMap::new(),
        segments,
        ext: BTreeMap::new(),
    };
    let blobs = [(BlobKey::of(MANIFEST), MANIFEST.len() as u64)];
    let plan = BundlePlan::single(&snapshot.segments, blobs).unwrap().with_index(index.into()).unwrap();
    let documents = Documents::sign(&snapshot, &plan, &[&Anyone]).unwrap();
    let mut volume = Vec::new();
    let open = &mut |key: &BlobKey| {
        let bytes = if *key == BlobKey::of(MANIFEST) { MANIFEST } else { &segment };
        Ok(Box::new(Cursor::new(bytes.to_vec())) as Box<dyn Read>)
    };
    write_volume(&mut volume, &documents, (&plan, 0), open).unwrap();
    let directory = scratch();
    let path = directory.path().join("volume");
    std::fs::write(&path, &volume).unwrap();
    let report = verify::verify(&[path], &Anyone, &Silent, &Cancel::default()).unwrap();
    report.failed.first().map_or("ok".to_owned(), |failed| failed.problem.code.to_string())
}

#[test]
fn an_index_must_be_the_one_that_follows() {
    assert_eq!(verdict(&index()), "ok");
    assert_eq!(verdict(&index().replace("app:1", "app:2")), "bundle.index");
    assert_eq!(verdict(&index().replace("\"schemaVersion\":2", "\"schemaVersion\": 2")), "bundle.index");
}
