//! What the `index.json` of a bundle lists that is an OCI archive as well: every image under all its names, and what says
//! something of it (SPEC.md of the bundle format, section 7.1). It follows from the records alone.

use std::collections::{BTreeMap, HashMap, HashSet};

use bundle_format::limits::MAX_INDEX;
use bundle_format::{Artifact, Record, canonical};

use super::SCHEMA;
use super::record::{self, MANIFEST};
use super::reference::read_digest;
use super::to_layout::{Entries, EntryName, is_about};
use crate::ecosystem::ArchiveIndex;

/// The most manifests of such a bundle: its index would be larger than one may be long before.
const MOST: usize = 100_000;

/// An index that is being gathered.
#[derive(Default)]
pub(super) struct BundleIndex {
    manifests: HashMap<Key, Listed>,
    tags: Vec<(Key, String)>,
    /// What belongs to an index that is here.
    entries: HashSet<Key>,
    /// Whether something was met that cannot be in an OCI archive.
    is_unfit: bool,
}

/// A repository with the name in front of its path, and the digest of a manifest in it.
type Key = (String, String);

/// What the index says of a manifest.
struct Listed {
    media_type: String,
    size: u64,
    has_subject: bool,
}

impl BundleIndex {
    fn artifact(&mut self, artifact: &Artifact) -> Option<()> {
        let name = format!("{}/{}", artifact.repository, artifact.name);
        let is_sha256 = |text: &str| read_digest(text).is_ok_and(|digest| digest.blob_key().is_some());
        let is_named_so = |path: &str| path.rsplit('/').next().is_some_and(is_sha256);
        let own = artifact.files.iter().find(|file| file.role == MANIFEST)?;
        if artifact.schema != SCHEMA
            || self.manifests.len() >= MOST
            || !is_sha256(&artifact.version)
            || !artifact.files.iter().all(|file| is_named_so(&file.path))
        {
            return None;
        }
        for edge in &artifact.requires {
            self.entries.insert((name.clone(), edge.range.clone()));
        }
        let listed = Listed {
            media_type: own.media_type.clone(),
            size: own.size,
            has_subject: record::subject(artifact).is_some(),
        };
        self.manifests.insert((name, artifact.version.clone()), listed);
        Some(())
    }
}

impl ArchiveIndex for BundleIndex {
    fn take(&mut self, record: &Record) {
        let taken = match record {
            Record::Artifact(artifact) if artifact.ecosystem == "oci" => self.artifact(artifact),
            Record::Ref(one) if one.ecosystem == "oci" => {
                let name = format!("{}/{}", one.repository, one.name);
                self.tags.push(((name, one.version.clone()), one.label.clone()));
                Some(())
            }
            Record::Repository(repository) if repository.ecosystem == "oci" => Some(()),
            _ => None,
        };
        if taken.is_none() {
            *self = BundleIndex { is_unfit: true, ..BundleIndex::default() };
        }
    }

    fn finish(self: Box<Self>) -> Option<Vec<u8>> {
        let BundleIndex { manifests, tags, entries, is_unfit } = *self;
        let mut named: BTreeMap<&Key, Vec<EntryName>> = BTreeMap::new();
        for (key, tag) in &tags {
            let is_held = |digest: &str| manifests.contains_key(&(key.0.clone(), digest.to_owned()));
            let called = format!("{}:{tag}", key.0);
            let name =
                if is_about(tag, is_held) { EntryName::About(called) } else { EntryName::Image(called) };
            named.entry(key).or_default().push(name);
        }
        for (key, listed) in &manifests {
            if !named.contains_key(key) && !entries.contains(key) {
                let called = || EntryName::Image(format!("{}@{}", key.0, key.1));
                named.insert(key, vec![if listed.has_subject { EntryName::None } else { called() }]);
            }
        }
        let mut index = Entries::default();
        for (key, names) in named {
            // A tag that leads to nothing that is here is refused at import; an index does not have it.
            let Some(listed) = manifests.get(key) else { continue };
            names.into_iter().for_each(|name| index.add(name, &listed.media_type, &key.1, listed.size));
        }
        if is_unfit || index.is_empty() {
            return None;
        }
        let bytes = canonical::to_bytes(&index.document()).ok()?;
        (bytes.len() as u64 <= MAX_INDEX).then_some(bytes)
    }
}

#[cfg(test)]
mod tests {
    use bundle_format::{BlobKey, File, Ref, Repository, Requirement};
    use serde_json::{Value, json};

    use super::*;
    use crate::store::testing;

    const HOST: &str = "registry.example.test";

    /// A manifest that is called by its bytes, and says something of another one if that is named.
    fn manifest(bytes: &str, subject: Option<&str>) -> Artifact {
        let version = BlobKey::of(bytes.as_bytes()).to_string();
        let own = File {
            role: MANIFEST.to_owned(),
            path: format!("app/manifests/{version}"),
            blob: BlobKey::of(bytes.as_bytes()),
            size: bytes.len() as u64,
            media_type: "application/vnd.oci.image.manifest.v1+json".to_owned(),
            checksums: Vec::new(),
            origin: String::new(),
        };
        let subject = subject.map(|subject| ("subject".to_owned(), json!(digest(subject))));
        Artifact {
            ecosystem: "oci".to_owned(),
            repository: HOST.to_owned(),
            name: "app".to_owned(),
            version,
            qualifier: String::new(),
            schema: SCHEMA.to_owned(),
            attributes: subject.into_iter().collect(),
            files: vec![own],
            requires: Vec::new(),
        }
    }

    fn digest(bytes: &str) -> String {
        BlobKey::of(bytes.as_bytes()).to_string()
    }

    fn tag(label: &str, bytes: &str) -> Record {
        Record::Ref(Ref {
            ecosystem: "oci".to_owned(),
            repository: HOST.to_owned(),
            name: "app".to_owned(),
            label: label.to_owned(),
            version: digest(bytes),
        })
    }

    fn index(records: &[Record]) -> Option<Value> {
        let mut index = Box::new(BundleIndex::default());
        records.iter().for_each(|record| index.take(record));
        index.finish().map(|bytes| serde_json::from_slice(&bytes).unwrap())
    }

    #[test]
    fn every_image_has_its_names_and_what_is_about_it_has_none_of_an_image() {
        let mut both = manifest("index", None);
        both.requires =
            vec![Requirement { name: "app".to_owned(), range: digest("entry"), kind: "entry".to_owned() }];
        let signature = format!("{}.sig", digest("index").replace(':', "-"));
        let records = [
            Record::Artifact(both),
            Record::Artifact(manifest("entry", None)),
            Record::Artifact(manifest("nameless", None)),
            Record::Artifact(manifest("signature", None)),
            Record::Artifact(manifest("statement", Some("entry"))),
            tag("1", "index"),
            tag("1.0", "index"),
            tag(&signature, "signature"),
            tag("gone", "not carried"),
            Record::Repository(Repository {
                ecosystem: "oci".to_owned(),
                name: HOST.to_owned(),
                origin: String::new(),
            }),
        ];
        let index = index(&records).unwrap();
        let entries: Vec<(String, &str, bool)> = index["manifests"]
            .as_array()
            .unwrap()
            .iter()
            .map(|entry| {
                let annotations = entry["annotations"].as_object();
                let name = annotations.and_then(|all| all.values().next()).and_then(Value::as_str);
                let is_image = annotations.is_some_and(|all| all.len() == 2);
                (name.unwrap_or_default().to_owned(), entry["digest"].as_str().unwrap(), is_image)
            })
            .collect();
        let name = |rest: &str| format!("{HOST}/app{rest}");
        let of = ["index", "index", "nameless", "signature", "statement"].map(digest);
        assert_eq!(
            entries,
            [
                (name(":1"), of[0].as_str(), true),
                (name(":1.0"), of[1].as_str(), true),
                (name(&format!("@{}", of[2])), of[2].as_str(), true),
                (name(&format!(":{signature}")), of[3].as_str(), false),
                (String::new(), of[4].as_str(), false),
            ]
        );
    }

    #[test]
    fn what_is_not_images_alone_has_none() {
        let image = || vec![Record::Artifact(manifest("image", None)), tag("1", "image")];
        assert!(index(&image()).is_some());
        assert_eq!(index(&[]), None);
        assert_eq!(index(&[image(), vec![testing::artifact("left-pad", "1", &[])]].concat()), None);
        let newer = Artifact { schema: "oci/2".to_owned(), ..manifest("image", None) };
        assert_eq!(index(&[Record::Artifact(newer)]), None);
        let mut long = manifest("image", None);
        long.version = format!("sha512:{}", "a".repeat(128));
        assert_eq!(index(&[Record::Artifact(long)]), None);
    }
}
