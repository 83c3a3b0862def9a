//! An OCI layout: every chosen image as it is, with what belongs to it (image specification, "Image Layout").

use std::collections::{BTreeMap, BTreeSet, HashSet};

use bundle_format::Digest;
use bytes::Bytes;
use serde_json::{Value, json};

use super::export::{HeldManifest, Package, nothing_left};
use super::layout::{IMAGE_NAME, OWN_NAME, REF_NAME, blob_path};
use super::manifest::{DOCKER_LIST, DOCKER_MANIFEST, OCI_INDEX};
use super::platform::{self, Platform};
use super::record;
use crate::ecosystem::{Exported, ExportedFile, ExportedItem, Note};
use crate::problem::Problem;

/// The code of notes that say of an image that it is not exported.
pub(super) const LEFT_OUT: &str = "oci.left-out";

/// A layout that is being gathered.
#[derive(Debug, Default)]
pub(super) struct Layout {
    /// Those that are wanted of an index; all, if none is named.
    platforms: Vec<Platform>,
    files: BTreeMap<String, ExportedFile>,
    entries: Entries,
    pub(super) notes: BTreeSet<Note>,
}

/// What an entry of the layout's index is called.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum EntryName {
    /// What readers find it by.
    Image(String),
    /// The tag of what says something of an image. Under a name that containerd knows it would be unpacked as an image,
    /// and end the whole import.
    About(String),
    /// It says itself, by its subject, where it belongs.
    None,
}

/// The entries of an index, by their names and with their digests.
#[derive(Debug, Default)]
pub(super) struct Entries(BTreeMap<(EntryName, String), Value>);

impl Entries {
    /// Adds one. What containerd and docker look for and what others do is the same name: a tag alone would not tell two
    /// repositories apart.
    pub(super) fn add(&mut self, name: EntryName, media_type: &str, digest: &str, size: u64) {
        let mut entry = json!({"mediaType": media_type, "digest": digest, "size": size});
        match &name {
            EntryName::Image(name) => entry["annotations"] = json!({REF_NAME: name, IMAGE_NAME: name}),
            EntryName::About(name) => entry["annotations"] = json!({OWN_NAME: name}),
            EntryName::None => {}
        }
        self.0.insert((name, digest.to_owned()), entry);
    }

    /// Whether there is none.
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The index.
    pub(super) fn document(self) -> Value {
        let manifests: Vec<Value> = self.0.into_values().collect();
        json!({"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": manifests})
    }
}

/// Whether a tag is about a manifest that `is_held`, and no image's own: those of registries without an API for referrers,
/// and cosign's (`sha256-DIGEST`, `sha256-DIGEST.sig`).
pub(super) fn is_about(tag: &str, is_held: impl Fn(&str) -> bool) -> bool {
    is_held(&tag.split('.').next().unwrap_or_default().replacen('-', ":", 1))
}

/// How a manifest was found.
#[derive(Debug, Default)]
struct Called {
    tags: BTreeSet<String>,
    /// It was chosen itself, so it needs a name even without a tag.
    is_chosen: bool,
}

impl Layout {
    /// Nothing yet.
    pub(super) fn new(platforms: Vec<Platform>) -> Layout {
        Layout { platforms, ..Layout::default() }
    }

    /// Takes in what was chosen of a repository, and what belongs to it: the entries of indexes, and what says something
    /// of any of them.
    pub(super) fn take(&mut self, package: &Package<'_>) -> Result<(), Problem> {
        let mut roots: BTreeMap<String, Called> = BTreeMap::new();
        for (version, tags) in &package.tops {
            let called = Called { tags: tags.iter().cloned().collect(), is_chosen: true };
            roots.insert(version.clone(), called);
        }
        let mut next: Vec<String> = roots.keys().cloned().collect();
        let mut seen: HashSet<String> = HashSet::new();
        let mut media_types: BTreeMap<String, (String, u64)> = BTreeMap::new();
        while let Some(version) = next.pop() {
            if !seen.insert(version.clone()) {
                continue;
            }
            let Some(held) = package.manifest(&version)? else { continue };
            let entries = platform::entries_for(&held.manifest, &self.platforms).into_iter();
            let entries = entries.map(ToString::to_string).filter(|entry| package.has(entry));
            let entries: BTreeSet<String> = entries.collect();
            if let Some(tags) = package.tops.get(&version)
                && !self.suits(&held, &entries)
            {
                let here =
                    held.manifest.runnable().filter(|(entry, _)| package.has(&entry.digest.to_string()));
                let why = platform::none_for(&self.platforms, here.map(|(_, runs_on)| runs_on));
                self.note(LEFT_OUT, package.called(&version, tags), format!("it is left out: {why}"));
                roots.remove(&version);
                continue;
            }
            if !self.manifest(package, &version, &held, &entries) {
                continue;
            }
            media_types.insert(version.clone(), (held.manifest.media_type.clone(), held.content.size()));
            next.extend(entries);
            for referrer in package.referrers.get(&version).into_iter().flatten() {
                roots.entry(referrer.clone()).or_default();
                next.push(referrer.clone());
            }
            for (tag, about) in package.speaking_tags(&version) {
                roots.entry(about.to_owned()).or_default().tags.insert(tag.to_owned());
                next.push(about.to_owned());
            }
        }
        for (version, called) in roots {
            let Some((media_type, size)) = media_types.get(&version) else { continue };
            let (speaking, tags): (Vec<_>, Vec<_>) =
                called.tags.iter().partition(|tag| package.is_speaking(tag));
            let is_nameless = tags.is_empty() && speaking.is_empty();
            let mut names: Vec<EntryName> =
                tags.iter().map(|tag| EntryName::Image(format!("{}:{tag}", package.name))).collect();
            names.extend(speaking.iter().map(|tag| EntryName::About(format!("{}:{tag}", package.name))));
            if is_nameless && called.is_chosen {
                names.push(EntryName::Image(format!("{}@{version}", package.name)));
            } else if is_nameless {
                names.push(EntryName::None);
            }
            for name in names {
                self.entry(name, media_type, &version, *size);
            }
        }
        Ok(())
    }

    /// Whether an index has an image for one of the platforms that are wanted, among the entries that come along. What is
    /// no index of images suits everybody.
    fn suits(&self, held: &HeldManifest<'_>, carried: &BTreeSet<String>) -> bool {
        let mut runnable = held.manifest.runnable().peekable();
        self.platforms.is_empty()
            || runnable.peek().is_none()
            || runnable.any(|(entry, _)| carried.contains(&entry.digest.to_string()))
    }

    /// Takes in a manifest with its blobs, and notes down what is absent; whether it can stand in a layout. Of its entries
    /// some are `carried`.
    fn manifest(
        &mut self,
        package: &Package<'_>,
        version: &str,
        held: &HeldManifest<'_>,
        carried: &BTreeSet<String>,
    ) -> bool {
        let tags = package.tops.get(version).map_or(&[][..], Vec::as_slice);
        let subject = || package.called(version, tags);
        let parts = record::parts(&held.manifest);
        let mut digests = parts.iter().map(|(_, part)| &part.digest).chain([&held.digest]);
        if digests.any(|digest| digest.blob_key().is_none()) {
            let message = "it is not named by sha256, and skopeo 1.9 and umoci 0.4 cannot copy such images; as a docker-archive \
                           they can be loaded";
            self.note("oci.no-sha256", subject(), message.to_owned());
        }
        self.blob(&held.digest, &held.content);
        let mut absent = 0;
        for (_, part) in &parts {
            match held.part(&part.digest) {
                Some(content) => self.blob(&part.digest, &content),
                None => absent += 1,
            }
        }
        if absent > 0 {
            let message = format!("{absent} of its {} blobs are not carried", parts.len());
            self.note("oci.absent-blobs", subject(), message);
        }
        let entries = held.manifest.manifests.len();
        if carried.len() < entries {
            let left_out =
                held.manifest.runnable().filter(|(entry, _)| !carried.contains(&entry.digest.to_string()));
            let platforms = platform::named(left_out.map(|(_, runs_on)| runs_on));
            let colon = if platforms.is_empty() { "" } else { ": " };
            let message = format!(
                "its index stays as it is, and {} of its {entries} entries are not in here{colon}{platforms}",
                entries - carried.len()
            );
            self.note("oci.sparse-index", subject(), message);
        }
        true
    }

    /// Adds a blob, once.
    pub(super) fn blob(&mut self, digest: &Digest, content: &ExportedFile) {
        self.files.insert(blob_path(digest), content.clone());
    }

    /// Adds a document beside the layout's own.
    pub(super) fn document(&mut self, path: &str, document: &Value) {
        self.files.insert(path.to_owned(), ExportedFile::Document(Bytes::from(document.to_string())));
    }

    /// Adds a manifest to the layout's index.
    pub(super) fn entry(&mut self, name: EntryName, media_type: &str, digest: &str, size: u64) {
        self.entries.add(name, media_type, digest, size);
    }

    /// Notes down which images skopeo and podman do not find by name among several (containers/image skips entries of
    /// docker's types). They stay as they are, as other types would be other digests.
    pub(super) fn note_docker_types(&mut self) {
        let is_dockers =
            |entry: &&Value| matches!(entry["mediaType"].as_str(), Some(DOCKER_LIST | DOCKER_MANIFEST));
        let count = self.entries.0.values().filter(is_dockers).count() as u64;
        if count > 0 && self.entries.0.len() > 1 {
            let message = format!(
                "skopeo and podman find none of them by name ({count} here); for them, export each alone, or all as \
                 docker-archive"
            );
            self.note("oci.docker-type", "images with manifests of docker's own type".to_owned(), message);
        }
    }

    /// Notes down something that a person should know.
    pub(super) fn note(&mut self, code: &str, subject: String, message: String) {
        self.notes.insert(Note { code: code.to_owned(), subject, message });
    }

    /// The finished layout.
    ///
    /// # Errors
    /// If nothing is in it, or only what says something of images that were left out.
    pub(super) fn finish(mut self) -> Result<Exported, Problem> {
        let is_image = |(name, _): &(EntryName, String)| matches!(name, EntryName::Image(_));
        let is_left_out = |note: &Note| note.code == LEFT_OUT;
        if self.entries.is_empty()
            || !self.entries.0.keys().any(is_image) && self.notes.iter().any(is_left_out)
        {
            let reasons = self.notes.into_iter().map(|note| format!("{}: {}", note.subject, note.message));
            return Err(nothing_left(reasons));
        }
        let named = self.entries.0.keys().filter_map(|(name, digest)| match name {
            EntryName::Image(name) => Some(ExportedItem { name: name.clone(), digest: digest.clone() }),
            EntryName::About(_) | EntryName::None => None,
        });
        let items = named.collect();
        let index = std::mem::take(&mut self.entries).document();
        self.document("oci-layout", &json!({"imageLayoutVersion": "1.0.0"}));
        self.document("index.json", &index);
        Ok(Exported { files: self.files, items, notes: self.notes.into_iter().collect() })
    }
}
