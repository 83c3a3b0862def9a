//! Images of this machine: OCI layouts, and what `docker save` writes, as directories or archives.
//!
//! Their blobs are taken into the store when the request is read. What the request becomes are the names and digests of
//! its images, which are then walked as those of a registry are, but in the store.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;

use bundle_format::{BlobKey, Digest};
use serde::Deserialize;
use serde_json::json;

use super::archive_files::Files;
use super::manifest::{self, Descriptor, Manifest};
use super::reference::{Name, Reference, Which, check_tag, read_digest};
use super::request::Image;
use crate::blocking::blocking;
use crate::ecosystem::CollectContext;
use crate::problem::{Kind as Class, Problem};

/// The annotation that tools which write layouts name an image with: a tag, or all of its name (image specification).
pub(super) const REF_NAME: &str = "org.opencontainers.image.ref.name";
/// The annotation that containerd and docker write the whole name into.
pub(super) const IMAGE_NAME: &str = "io.containerd.image.name";
/// The annotation that we write the whole name of a signature and the like into. Under another one they would be taken for
/// images.
pub(super) const OWN_NAME: &str = "vnd.aftk.image.name";
/// The largest list of images, in bytes: that of a hundred thousand, each of which takes some 350.
const LARGEST_INDEX: u64 = 64 << 20;
/// The most blobs of one layout.
const MOST: usize = 200_000;
/// The type of a layer as `docker save` writes it.
const UNCOMPRESSED: &str = "application/vnd.docker.image.rootfs.diff.tar";
/// The type of its configuration.
const CONFIGURATION: &str = "application/vnd.docker.container.image.v1+json";

/// What is to be read of this machine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Place {
    /// The path of the directory or archive.
    pub(super) path: String,
    /// The only image that is wanted of it, by tag or name, as in skopeo's `oci:DIR:TAG`.
    pub(super) only: Option<String>,
    /// What images are called of which the layout only knows a tag.
    pub(super) name: Option<Name>,
}

impl Place {
    /// Reads `PATH`, `PATH:TAG`, `PATH#name=REPOSITORY`. A colon in the path's last part begins a tag, unless `exists`
    /// says that there is a file of the whole name.
    ///
    /// # Errors
    /// If the name is none.
    pub(super) fn read(what: &str, exists: impl Fn(&str) -> bool) -> Result<Place, String> {
        let (what, name) = match what.split_once("#name=") {
            Some((what, name)) => (what, Some(Name::read(name)?)),
            None => (what, None),
        };
        let last = what.rfind('/').map_or(0, |slash| slash + 1);
        let colon = what.get(last..).and_then(|rest| rest.find(':')).map(|colon| last + colon);
        // The name after the colon may have slashes and colons itself: then the first colon is the one.
        let colon = match (colon, what.find(':')) {
            _ if exists(what) => None,
            (_, Some(first)) if exists(what.get(..first).unwrap_or_default()) => Some(first),
            (colon, _) => colon,
        };
        let (path, only) = match colon.map(|colon| what.split_at(colon)) {
            Some((path, only)) => (path, only.get(1..).filter(|only| !only.is_empty())),
            None => (what, None),
        };
        Ok(Place { path: path.to_owned(), only: only.map(str::to_owned), name })
    }
}

#[derive(Deserialize)]
struct Index {
    manifests: Vec<Entry>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Entry {
    digest: String,
    size: u64,
    #[serde(default)]
    media_type: String,
    #[serde(default)]
    annotations: BTreeMap<String, String>,
}

/// An image of `docker save`.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Saved {
    config: String,
    repo_tags: Option<Vec<String>>,
    layers: Vec<String>,
}

/// Takes the images of a place into the store, and says which they are.
///
/// # Errors
/// If it cannot be read, is not whole, or does not say what its images are called.
pub(super) async fn take_in(place: &Place, context: &dyn CollectContext) -> Result<Vec<Image>, Problem> {
    let path = context.directory().join(&place.path);
    let (shown, scratch) = (place.path.clone(), context.scratch().to_owned());
    let files =
        blocking(move || Files::open(&path, &scratch).map_err(|error| unreadable(&shown, error))).await?;
    images(place, files, context).await
}

/// The same of an archive that was downloaded from a daemon, which `place` says.
///
/// # Errors
/// As [`take_in`].
pub(super) async fn take_in_archive(
    place: &Place,
    archive: File,
    context: &dyn CollectContext,
) -> Result<Vec<Image>, Problem> {
    let (shown, scratch) = (place.path.clone(), context.scratch().to_owned());
    let files =
        blocking(move || Files::of_archive(archive, &scratch).map_err(|error| unreadable(&shown, error)))
            .await?;
    images(place, files, context).await
}

fn unreadable(shown: &str, error: std::io::Error) -> Problem {
    Problem::new(Class::Usage, "oci.bad-archive", format!("{shown} cannot be read as images"))
        .caused_by(&error)
}

async fn images(place: &Place, files: Files, context: &dyn CollectContext) -> Result<Vec<Image>, Problem> {
    let reading = Reading { place, files, context };
    let index = reading.document("index.json").await?;
    let saved = reading.document("manifest.json").await?;
    let mut images = match (index, saved) {
        (Some(index), _) => reading.layout(&index).await?,
        (None, Some(saved)) => reading.saved(&saved).await?,
        (None, None) => {
            let why = "it has neither index.json (an OCI layout) nor manifest.json (docker save)";
            return Err(reading.wrong(why.to_owned()));
        }
    };
    images.sort();
    images.dedup();
    if images.is_empty() {
        let what = place.only.as_deref().map_or("no image".to_owned(), |only| format!("no image {only:?}"));
        return Err(reading.wrong(format!("it has {what}")));
    }
    Ok(images)
}

struct Reading<'a> {
    place: &'a Place,
    files: Files,
    context: &'a dyn CollectContext,
}

/// A manifest of a layout's index, with everything below it in the store.
struct Root {
    digest: Digest,
    subject: Option<Digest>,
    names: Vec<(Name, Option<String>)>,
    /// All manifests below it, with it.
    below: BTreeSet<Digest>,
}

impl Reading<'_> {
    fn wrong(&self, why: String) -> Problem {
        let message = format!("{} cannot be read as images", self.place.path);
        Problem::new(Class::Usage, "oci.bad-archive", message).because(why)
    }

    fn incomplete(&self, what: &str) -> Problem {
        let message = format!("{} is not whole: {what} is not in it", self.place.path);
        Problem::new(Class::Incomplete, "oci.incomplete-archive", message)
            .hint("make it again, with all platforms that are wanted")
    }

    async fn document(&self, name: &str) -> Result<Option<Vec<u8>>, Problem> {
        let (files, name) = (self.files.clone(), name.to_owned());
        let read = blocking(move || Ok(files.read(&name, LARGEST_INDEX))).await?;
        read.map_err(|error| self.wrong(error.to_string()))
    }

    /// The images of an OCI layout.
    async fn layout(&self, index: &[u8]) -> Result<Vec<Image>, Problem> {
        let index: Index =
            serde_json::from_slice(index).map_err(|error| self.wrong(format!("index.json: {error}")))?;
        let mut roots = Vec::new();
        let mut unnamed = Vec::new();
        for entry in index.manifests {
            let names = self.names(&entry)?;
            let is_named = !names.is_empty();
            if is_named && !self.is_wanted(&entry, &names) {
                continue;
            }
            let root = self.root(&entry, names).await?;
            if is_named { roots.push(root) } else { unnamed.push(root) }
        }
        // What has no name may say something of what has one; else it needs the name that the request gives.
        let mut images = Vec::new();
        for root in &roots {
            for (name, tag) in &root.names {
                images.push(Image::held(name, tag.as_deref(), &root.digest));
            }
        }
        for root in unnamed {
            let about =
                |named: &&Root| root.subject.as_ref().is_some_and(|subject| named.below.contains(subject));
            let named: Vec<&Root> = roots.iter().filter(about).collect();
            match (named.as_slice(), &self.place.name) {
                ([], Some(name)) => images.push(Image::held(name, None, &root.digest)),
                ([], None) if root.subject.is_some() && !roots.is_empty() => {}
                ([], None) => {
                    let why = format!("it does not say what its image {} is called", root.digest);
                    return Err(self
                        .wrong(why)
                        .hint(format!("say it: {}#name=registry.example.org/team/app", self.place.path)));
                }
                (named, _) => {
                    let names = named.iter().flat_map(|root| &root.names);
                    images.extend(names.map(|(name, _)| Image::held(name, None, &root.digest)));
                }
            }
        }
        Ok(images)
    }

    /// What an entry of the index is called.
    fn names(&self, entry: &Entry) -> Result<Vec<(Name, Option<String>)>, Problem> {
        let whole = entry.annotations.get(OWN_NAME).or_else(|| entry.annotations.get(IMAGE_NAME));
        let short = entry.annotations.get(REF_NAME);
        let whole = whole.or_else(|| short.filter(|name| name.contains(['/', ':'])));
        match whole.map(|name| Reference::read(name)) {
            Some(Ok(Reference { name, which: Which::Tag(tag) })) => return Ok(vec![(name, Some(tag))]),
            // What has no tag is named by its digest, as containerd does.
            Some(Ok(Reference { name, which: Which::Digest(digest) }))
                if digest.to_string() == entry.digest =>
            {
                return Ok(vec![(name, None)]);
            }
            _ => {}
        }
        let tag = short.filter(|tag| check_tag(tag).is_ok());
        Ok(match (tag, &self.place.name) {
            (Some(tag), Some(name)) => vec![(name.clone(), Some(tag.clone()))],
            (Some(tag), None) => {
                let why = format!("of an image it says the tag {tag} and no name");
                return Err(self
                    .wrong(why)
                    .hint(format!("say the name: {}#name=registry.example.org/team/app", self.place.path)));
            }
            (None, _) => Vec::new(),
        })
    }

    fn is_wanted(&self, entry: &Entry, names: &[(Name, Option<String>)]) -> bool {
        let Some(only) = &self.place.only else { return true };
        let whole = Reference::read(only).ok();
        entry.annotations.get(REF_NAME) == Some(only)
            || names.iter().any(|(name, tag)| {
                let tag = tag.as_deref();
                tag == Some(only)
                    || whole.as_ref().is_some_and(|whole| {
                        whole.name == *name
                            && tag.is_some_and(|tag| whole.which == Which::Tag(tag.to_owned()))
                    })
            })
    }

    /// Takes a manifest and everything below it into the store. What an index lists and the layout lacks is absent.
    async fn root(&self, entry: &Entry, names: Vec<(Name, Option<String>)>) -> Result<Root, Problem> {
        let digest = read_digest(&entry.digest).map_err(|why| self.wrong(why))?;
        let mut root = Root { digest: digest.clone(), subject: None, names, below: BTreeSet::new() };
        let mut next = vec![(digest.clone(), entry.size, entry.media_type.clone())];
        while let Some((at, size, media_type)) = next.pop() {
            if !root.below.insert(at.clone()) {
                continue;
            }
            if root.below.len() > MOST {
                return Err(self.wrong(format!("it has more than {MOST} manifests")));
            }
            let key = match self.blob(&at, size).await? {
                Some(key) => key,
                None if at == digest => return Err(self.incomplete(&format!("the manifest {at}"))),
                None => {
                    root.below.remove(&at);
                    continue;
                }
            };
            let bytes = self.context.held(&key, manifest::LARGEST).await?;
            let manifest = Manifest::read(&bytes, &media_type).map_err(|why| self.wrong(why))?;
            if at == digest {
                root.subject = manifest.subject.as_ref().map(|subject| subject.digest.clone());
            }
            for part in manifest.blobs() {
                if self.blob(&part.digest, part.size).await?.is_none() && !part.is_foreign() {
                    return Err(self.incomplete(&format!("the blob {}", part.digest)));
                }
            }
            let entries = manifest.manifests.into_iter();
            next.extend(
                entries.map(|Descriptor { digest, size, media_type, .. }| (digest, size, media_type)),
            );
        }
        Ok(root)
    }

    /// Takes a blob of a layout into the store; `None` if the layout lacks it.
    async fn blob(&self, digest: &Digest, size: u64) -> Result<Option<BlobKey>, Problem> {
        if let Some(key) = self.context.key_of(digest).await?
            && self.context.hold(&key, size).await?
        {
            return Ok(Some(key));
        }
        let name = blob_path(digest);
        match self.member(&name, Some(digest.clone())).await? {
            Some((_, found)) if found != size => {
                Err(self.wrong(format!("{name} has {found} bytes, and {size} are said")))
            }
            found => Ok(found.map(|(key, _)| key)),
        }
    }

    /// Takes a file into the store; `None` if there is none.
    async fn member(&self, name: &str, digest: Option<Digest>) -> Result<Option<(BlobKey, u64)>, Problem> {
        let (files, path) = (self.files.clone(), name.to_owned());
        let found = blocking(move || Ok(files.get(&path))).await?;
        let Some((file, _)) = found.map_err(|error| self.wrong(error.to_string()))? else { return Ok(None) };
        self.context.take_in(name, file, digest).await.map(Some)
    }

    /// The images of an archive that `docker save` wrote before it wrote layouts: their manifests are lost, so each is
    /// given one.
    async fn saved(&self, saved: &[u8]) -> Result<Vec<Image>, Problem> {
        let saved: Vec<Saved> =
            serde_json::from_slice(saved).map_err(|error| self.wrong(format!("manifest.json: {error}")))?;
        let mut images = Vec::new();
        for image in saved {
            let mut names = Vec::new();
            for tag in image.repo_tags.iter().flatten() {
                let reference = Reference::read(tag).map_err(|why| self.wrong(why))?;
                let Which::Tag(label) = &reference.which else { continue };
                let label = label.clone();
                if self
                    .place
                    .only
                    .as_ref()
                    .is_none_or(|only| Reference::read(only).as_ref() == Ok(&reference))
                {
                    names.push((reference.name, label));
                }
            }
            if names.is_empty() && (self.place.only.is_some() || self.place.name.is_none()) {
                if self.place.only.is_some() {
                    continue;
                }
                let why = "an image of it has no name".to_owned();
                return Err(self
                    .wrong(why)
                    .hint(format!("say it: {}#name=registry.example.org/team/app", self.place.path)));
            }
            let digest = self.saved_image(&image).await?;
            if let (true, Some(name)) = (names.is_empty(), &self.place.name) {
                images.push(Image::held(name, None, &digest));
            }
            images.extend(names.iter().map(|(name, tag)| Image::held(name, Some(tag), &digest)));
        }
        Ok(images)
    }

    async fn saved_image(&self, image: &Saved) -> Result<Digest, Problem> {
        let lacks = |name: &str| self.incomplete(name);
        let (config, config_size) =
            self.member(&image.config, None).await?.ok_or_else(|| lacks(&image.config))?;
        let configuration = self.context.held(&config, manifest::LARGEST).await?;
        let configuration: Configuration = serde_json::from_slice(&configuration)
            .map_err(|error| self.wrong(format!("{}: {error}", image.config)))?;
        let mut layers = Vec::new();
        for (number, layer) in image.layers.iter().enumerate() {
            let (key, size) = self.member(layer, None).await?.ok_or_else(|| lacks(layer))?;
            let key = key.to_string();
            if configuration.rootfs.diff_ids.get(number) != Some(&key) {
                return Err(Problem::new(
                    Class::Untrusted,
                    "oci.archive-mismatch",
                    format!("{layer} of {} is not the layer that its image names", self.place.path),
                ));
            }
            layers.push(json!({"mediaType": UNCOMPRESSED, "size": size, "digest": key}));
        }
        let manifest = json!({
            "schemaVersion": 2,
            "mediaType": manifest::DOCKER_MANIFEST,
            "config": {"mediaType": CONFIGURATION, "size": config_size, "digest": config.to_string()},
            "layers": layers,
        });
        let key = self.context.keep(manifest.to_string().into()).await?;
        Ok(key.into())
    }
}

/// Where a layout has a blob.
pub(super) fn blob_path(digest: &Digest) -> String {
    format!("blobs/{}/{}", digest.algorithm().name(), digest.hex())
}

#[derive(Deserialize)]
struct Configuration {
    rootfs: RootFs,
}

#[derive(Deserialize)]
struct RootFs {
    diff_ids: Vec<String>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_is_read_as_skopeo_reads_it() {
        let read = |what: &str, there: &str| {
            let place = Place::read(what, |path| path == there).unwrap();
            (place.path, place.only, place.name.map(|name| name.to_string()))
        };
        let some = |text: &str| Some(text.to_owned());
        assert_eq!(read("./dir", "./dir"), ("./dir".to_owned(), None, None));
        assert_eq!(read("./dir:1.0", "./dir"), ("./dir".to_owned(), some("1.0"), None));
        assert_eq!(read("./a:b/dir", "./a:b/dir"), ("./a:b/dir".to_owned(), None, None));
        assert_eq!(
            read("f.tar:host:5000/app:1", "f.tar"),
            ("f.tar".to_owned(), some("host:5000/app:1"), None)
        );
        assert_eq!(read("dir#name=team/app", "dir"), ("dir".to_owned(), None, some("docker.io/team/app")));
        assert_eq!(read("gone:1", ""), ("gone".to_owned(), some("1"), None));
        assert!(Place::read("dir#name=Team", |_| true).is_err());
    }
}
