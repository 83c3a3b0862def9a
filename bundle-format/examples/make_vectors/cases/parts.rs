//! A volume taken apart, so that one thing about it can be changed and all others put right again.

use std::collections::BTreeMap;

use bundle_format::signature::{pae, sign};
use bundle_format::*;

use crate::support::{TestKey, artifact};

/// The documents and blobs of a volume as bytes, in no way checked.
#[derive(Clone)]
pub(super) struct Parts {
    pub(super) snapshot: Vec<u8>,
    pub(super) snapshot_sig: Vec<u8>,
    pub(super) packing: Vec<u8>,
    pub(super) packing_sig: Vec<u8>,
    pub(super) contents: Vec<u8>,
    /// The members of an OCI archive, name and bytes, if it is one as well.
    pub(super) layout: Vec<(String, Vec<u8>)>,
    /// Name and bytes.
    pub(super) blobs: Vec<(String, Vec<u8>)>,
}

/// A member of a tar: 512 bytes of header, its bytes, what follows them up to the next 512.
#[derive(Clone)]
pub(super) struct Member {
    pub(super) header: Vec<u8>,
    pub(super) bytes: Vec<u8>,
    pub(super) padding: Vec<u8>,
}

/// The files of the good volume: one of less than a block, one of more.
pub(super) fn payloads() -> [Vec<u8>; 2] {
    [b"carried by hand\n".to_vec(), vec![b'x'; 600]]
}

/// The segment of the good volume: two artifacts, a ref and a repository.
pub(super) fn segment() -> Vec<u8> {
    let [small, large] = payloads();
    let reference = Record::Ref(Ref {
        ecosystem: "file".to_owned(),
        repository: "registry.example.test".to_owned(),
        name: "small".to_owned(),
        label: "latest".to_owned(),
        version: "1".to_owned(),
    });
    let repository = Record::Repository(Repository {
        ecosystem: "file".to_owned(),
        name: "registry.example.test".to_owned(),
        origin: "https://registry.example.test".to_owned(),
    });
    let records = [artifact("large", &large), artifact("small", &small), reference, repository];
    records
        .iter()
        .flat_map(|record| [canonical::to_bytes(record).unwrap(), b"\n".to_vec()].concat())
        .collect()
}

/// A snapshot of these segments, each with as many records as it has lines.
pub(super) fn snapshot(segments: &[Vec<u8>]) -> Snapshot {
    let segments = segments.iter().map(|bytes| SegmentRef {
        digest: BlobKey::of(bytes),
        records: bytes.iter().filter(|byte| **byte == b'\n').count() as u64,
        size: bytes.len() as u64,
    });
    Snapshot {
        format: Format::current(),
        channel: "prod".to_owned(),
        epoch: 1,
        sequence: 42,
        previous: None,
        created: "2026-11-21T08:38:55Z".to_owned(),
        expires: None,
        mode: Mode::Add,
        sites: vec!["north".to_owned(), "south".to_owned()],
        labels: BTreeMap::from([("ticket".to_owned(), "example".to_owned())]),
        segments: segments.collect(),
        ext: BTreeMap::new(),
    }
}

impl Parts {
    /// The volume that every bad vector is made from.
    pub(super) fn good() -> Parts {
        Parts::with_segments(&[segment()])
    }

    /// A volume of these segments and the usual files, everything else right.
    pub(super) fn with_segments(segments: &[Vec<u8>]) -> Parts {
        Parts::of(&snapshot(segments), segments, &payloads())
    }

    /// A volume of this snapshot that carries these segments and files.
    pub(super) fn of(snapshot: &Snapshot, segments: &[Vec<u8>], files: &[Vec<u8>]) -> Parts {
        let mut files = files.to_vec();
        files.sort_by_key(|bytes| BlobKey::of(bytes));
        let name = |bytes: &Vec<u8>| (names::blob_name(&BlobKey::of(bytes)), bytes.clone());
        let mut parts = Parts {
            // Not by the snapshot's own writer, which would refuse what some vectors need.
            snapshot: canonical::to_bytes(snapshot).unwrap(),
            snapshot_sig: Vec::new(),
            packing: Vec::new(),
            packing_sig: Vec::new(),
            contents: Vec::new(),
            layout: Vec::new(),
            blobs: segments.iter().chain(&files).map(name).collect(),
        };
        parts.list();
        parts.seal();
        parts
    }

    /// The two volumes of a bundle in which the first of the usual files travels in two pieces.
    pub(super) fn pair() -> [Parts; 2] {
        let [first, second] = payloads();
        let (begin, end) = first.split_at(first.len() / 2);
        let piece = |bytes: &[u8]| Piece { blob: BlobKey::of(bytes), size: bytes.len() as u64 };
        let recipe = serde_json::json!({
            "type": "recipe", "blob": BlobKey::of(&first), "size": first.len(), "concat": [piece(begin), piece(end)],
        });
        let mut recipes = canonical::to_bytes(&recipe).unwrap();
        recipes.push(b'\n');
        let segments = [segment(), recipes.clone()];
        let snapshot = snapshot(&segments[..1]);
        let mut pair = [vec![begin.to_vec()], vec![end.to_vec(), second]]
            .map(|files| Parts::of(&snapshot, &segments, &files));
        let volumes: Vec<String> = pair
            .iter()
            .map(|parts| {
                let text = String::from_utf8(parts.packing.clone()).unwrap();
                text[text.find("[{").unwrap() + 1..text.len() - 2].to_owned()
            })
            .collect();
        let packing = format!(
            concat!(
                r#"{{"format":{{"major":0,"minor":1,"must_understand":[]}},"#,
                r#""recipes":[{{"digest":"{}","records":1,"size":{}}}],"snapshot":"{}","volumes":[{},{}]}}"#
            ),
            BlobKey::of(&recipes),
            recipes.len(),
            BlobKey::of(&pair[0].snapshot),
            volumes[0],
            volumes[1].replace(r#""number":1"#, r#""number":2"#),
        );
        for parts in &mut pair {
            parts.packing = packing.clone().into_bytes();
            parts.sign();
        }
        pair
    }

    /// The same as an OCI archive.
    pub(super) fn with_layout(mut self) -> Parts {
        let index =
            br#"{"manifests":[],"mediaType":"application/vnd.oci.image.index.v1+json","schemaVersion":2}"#;
        self.layout = vec![
            (names::LAYOUT.to_owned(), br#"{"imageLayoutVersion":"1.0.0"}"#.to_vec()),
            (names::INDEX.to_owned(), index.to_vec()),
        ];
        self.list();
        self.seal();
        self
    }

    /// Makes the contents table for the blobs as they are.
    pub(super) fn list(&mut self) {
        let line = |(name, bytes): &(String, Vec<u8>)| format!("{}  {name}\n", BlobKey::of(bytes).hex());
        self.contents = self.layout.iter().chain(&self.blobs).map(line).collect::<String>().into_bytes();
    }

    /// Makes the packing list for snapshot, contents and blobs as they are, and signs everything.
    pub(super) fn seal(&mut self) {
        let members = self.layout.iter().chain(&self.blobs);
        let sizes = members.map(|(_, bytes)| bytes.len()).chain([self.contents.len()]);
        let size: usize = sizes.map(|size| 512 + size.next_multiple_of(512)).sum::<usize>() + 1024;
        let index = self.layout.get(1).map(|(_, bytes)| format!(r#""index":{},"#, bytes.len()));
        self.packing = format!(
            concat!(
                r#"{{"format":{{"major":0,"minor":1,"must_understand":[]}},"snapshot":"{}","#,
                r#""volumes":[{{"blobs":{},"contents":"{}",{}"number":1,"size":{}}}]}}"#
            ),
            BlobKey::of(&self.snapshot),
            self.contents.len().saturating_sub(77 * self.layout.len()) / 144,
            BlobKey::of(&self.contents),
            index.unwrap_or_default(),
            size
        )
        .into_bytes();
        self.sign();
    }

    /// Signs the documents as they are.
    pub(super) fn sign(&mut self) {
        let key = TestKey::new(1);
        self.snapshot_sig = sign(PayloadType::Snapshot, &self.snapshot, &[&key]).unwrap();
        self.packing_sig = sign(PayloadType::PackingList, &self.packing, &[&key]).unwrap();
    }

    /// A change to the snapshot's text, with everything else put right.
    pub(super) fn snapshot_with(from: &str, to: &str) -> Vec<u8> {
        let mut parts = Parts::good();
        edit(&mut parts.snapshot, from, to);
        parts.seal();
        parts.volume()
    }

    /// A change to the packing list's text, with everything else put right.
    pub(super) fn packing_with(from: &str, to: &str) -> Vec<u8> {
        let mut parts = Parts::good();
        edit(&mut parts.packing, from, to);
        parts.sign();
        parts.volume()
    }

    /// The members in their order.
    pub(super) fn members(&self) -> Vec<Member> {
        let documents = [
            (names::SNAPSHOT, &self.snapshot),
            (names::SNAPSHOT_SIGNATURES, &self.snapshot_sig),
            (names::PACKING, &self.packing),
            (names::PACKING_SIGNATURES, &self.packing_sig),
            (names::CONTENTS, &self.contents),
        ];
        let blobs = self.layout.iter().chain(&self.blobs).map(|(name, bytes)| (name.as_str(), bytes));
        documents.into_iter().chain(blobs).map(|(name, bytes)| Member::new(name, bytes)).collect()
    }

    /// The volume.
    pub(super) fn volume(&self) -> Vec<u8> {
        archive(&self.members(), &[0; 1024])
    }
}

impl Member {
    /// A member with the header that belongs to it.
    pub(super) fn new(name: &str, bytes: &[u8]) -> Member {
        let padding = vec![0; bytes.len().next_multiple_of(512) - bytes.len()];
        let mut member = Member { header: vec![0; 512], bytes: bytes.to_vec(), padding };
        member.put(0, name.as_bytes());
        member.put(100, b"0000644\x000000000\x000000000\0");
        member.put(124, format!("{:011o}\0", bytes.len()).as_bytes());
        member.put(136, b"00000000000\0");
        member.put(156, b"0");
        member.put(257, b"ustar\x0000");
        member.put(329, b"0000000\x000000000\0");
        member.seal();
        member
    }

    /// Writes into the header and corrects its checksum.
    pub(super) fn with(mut self, offset: usize, bytes: &[u8]) -> Member {
        self.put(offset, bytes);
        self.seal();
        self
    }

    /// Writes into the header and leaves its checksum.
    pub(super) fn put(&mut self, offset: usize, bytes: &[u8]) {
        self.header[offset..offset + bytes.len()].copy_from_slice(bytes);
    }

    fn seal(&mut self) {
        self.put(148, b"        ");
        let sum: u32 = self.header.iter().map(|byte| u32::from(*byte)).sum();
        self.put(148, format!("{sum:06o}\0 ").as_bytes());
    }
}

/// A tar of these members.
pub(super) fn archive(members: &[Member], end: &[u8]) -> Vec<u8> {
    let member = |member: &Member| [&member.header[..], &member.bytes, &member.padding].concat();
    [members.iter().flat_map(member).collect(), end.to_vec()].concat()
}

/// Replaces `from`, which must stand in the text once.
pub(super) fn edit(text: &mut Vec<u8>, from: &str, to: &str) {
    let old = String::from_utf8(text.clone()).unwrap();
    assert_eq!(old.matches(from).count(), 1, "{from} in {old}");
    *text = old.replace(from, to).into_bytes();
}

/// The signature by the key of this seed over this encoding, as a line.
pub(super) fn line(seed: u8, encoding: &[u8]) -> SignatureLine {
    let key = TestKey::new(seed);
    SignatureLine { key_id: key.key_id().to_owned(), signature: key.sign(encoding).unwrap() }
}

/// The encoding of the snapshot of `parts` as a payload of this type.
pub(super) fn encoding(kind: PayloadType, parts: &Parts) -> Vec<u8> {
    pae(kind, &parts.snapshot)
}
