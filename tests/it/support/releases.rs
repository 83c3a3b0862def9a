//! Python releases in the store of a home, as an import leaves them there, and wheels as builders make them.

use std::io::Write as _;
use std::path::Path;

use aftk::store::Store;
use bundle_format::{Artifact, BlobKey, File, Record};
use serde_json::{Value, json};

use super::published;

/// What is to be imported by one channel.
pub(crate) struct Releases {
    store: Store,
    records: Vec<Record>,
}

/// What a release says of itself.
pub(crate) fn metadata(name: &str, version: &str) -> String {
    format!(
        "Metadata-Version: 2.1\nName: {name}\nVersion: {version}\nSummary: About {name}\nRequires-Python: >=3.8\n\
         Requires-Dist: other>=1\nLicense: MIT\n\nA description.\n"
    )
}

/// A wheel with this METADATA, which installers can install.
pub(crate) fn wheel(name: &str, version: &str, metadata: &str) -> Vec<u8> {
    let module = name.replace('-', "_");
    let directory = format!("{module}-{version}.dist-info");
    let kind = "Wheel-Version: 1.0\nGenerator: hand\nRoot-Is-Purelib: true\nTag: py3-none-any\n";
    archive(&[
        (&format!("{module}.py"), &format!("version = {version:?}\n")),
        (&format!("{directory}/METADATA"), metadata),
        (&format!("{directory}/WHEEL"), kind),
        (&format!("{directory}/RECORD"), ""),
    ])
}

/// A zip archive of documents, which are stored as they are.
fn archive(documents: &[(&str, &str)]) -> Vec<u8> {
    let mut archive = Vec::new();
    let mut directory = Vec::new();
    for (path, text) in documents {
        let mut crc = flate2::Crc::new();
        crc.update(text.as_bytes());
        // From "needed to extract" to the lengths of path and extra field (APPNOTE 4.3.7, 4.3.12).
        let mut common = vec![10, 0, 0, 0, 0, 0, 0, 0, 0x21, 0];
        for number in [crc.sum(), text.len() as u32, text.len() as u32, path.len() as u32] {
            common.extend(number.to_le_bytes());
        }
        let offset = archive.len() as u32;
        archive.write_all(&[b"PK\x03\x04", &common[..], path.as_bytes(), text.as_bytes()].concat()).unwrap();
        directory.write_all(&[b"PK\x01\x02\x14\x00", &common[..], &[0; 10]].concat()).unwrap();
        directory.write_all(&[&offset.to_le_bytes(), path.as_bytes()].concat()).unwrap();
    }
    let (count, at) = ((documents.len() as u16).to_le_bytes(), archive.len() as u32);
    archive.extend(&directory);
    archive.extend([&b"PK\x05\x06\0\0\0\0"[..], &count, &count].concat());
    archive.extend([(directory.len() as u32).to_le_bytes(), at.to_le_bytes()].concat());
    archive.extend([0, 0]);
    archive
}

impl Releases {
    pub(crate) fn new(home: &Path) -> Releases {
        Releases { store: Store::open(home).unwrap(), records: Vec::new() }
    }

    /// Adds a release with a wheel, that one's metadata and provenance, and a source distribution. `facts` are what the
    /// index says of the wheel; the digest of that is returned.
    pub(crate) fn release(&mut self, index: &str, name: &str, version: &str, facts: Value) -> BlobKey {
        let metadata = metadata(name, version);
        let file = format!("{}-{version}-py3-none-any.whl", name.replace('-', "_"));
        // Of another index it has other bytes.
        let wheel = wheel(name, version, &format!("{metadata}From {index}.\n"));
        let files = [
            ("metadata", format!("{file}.metadata"), format!("{metadata}From {index}.\n").into_bytes()),
            (
                "provenance",
                format!("{file}.provenance"),
                b"{\"version\":1,\"attestation_bundles\":[]}".to_vec(),
            ),
            (
                "sdist",
                format!("{name}-{version}.tar.gz"),
                format!("sources of {name} {version} from {index}").into_bytes(),
            ),
            ("wheel", file.clone(), wheel),
        ];
        let digest = BlobKey::of(&files[3].2);
        let files = files.map(|(role, path, bytes)| File {
            role: role.to_owned(),
            blob: published::blob(&self.store, &bytes),
            size: bytes.len() as u64,
            media_type: "text/html".to_owned(),
            checksums: Vec::new(),
            origin: format!("https://files.{index}.example.test/packages/{name}+/{path}"),
            path,
        });
        self.records.push(Record::Artifact(Artifact {
            ecosystem: "pypi".to_owned(),
            repository: index.to_owned(),
            name: name.to_owned(),
            version: version.to_owned(),
            qualifier: String::new(),
            schema: "pypi/1".to_owned(),
            attributes: serde_json::from_value(json!({ "files": { file: facts } })).unwrap(),
            files: files.to_vec(),
            requires: Vec::new(),
        }));
        digest
    }

    /// Says something of the last release that was added.
    pub(crate) fn say(&mut self, attribute: &str, value: Value) {
        let Some(Record::Artifact(artifact)) = self.records.last_mut() else { panic!("nothing was added") };
        artifact.attributes.insert(attribute.to_owned(), value);
    }

    /// Shows all that was added since the last time as what a channel has now.
    pub(crate) fn publish(&mut self, channel: &str) {
        published::publish(&self.store, channel, std::mem::take(&mut self.records));
    }
}
