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
