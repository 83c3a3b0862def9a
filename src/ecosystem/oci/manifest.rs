//! Manifests: images, indexes and artifacts, read under limits (OCI image specification 1.1; docker's schema 2).

use std::collections::BTreeMap;
use std::fmt;

use bundle_format::Digest;
use serde::Deserialize;

use super::reference::read_digest;

/// The largest manifest in bytes: what the distribution specification asks registries to accept.
pub(crate) const LARGEST: u64 = 4 * 1024 * 1024;
/// The most descriptors of one manifest.
const MOST: usize = 10_000;

pub(crate) const OCI_INDEX: &str = "application/vnd.oci.image.index.v1+json";
pub(crate) const OCI_MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
pub(crate) const OCI_ARTIFACT: &str = "application/vnd.oci.artifact.manifest.v1+json";
pub(crate) const DOCKER_LIST: &str = "application/vnd.docker.distribution.manifest.list.v2+json";
pub(crate) const DOCKER_MANIFEST: &str = "application/vnd.docker.distribution.manifest.v2+json";

/// What a client says that it can read, so that a registry sends manifests as they are and converts none.
pub(crate) const ACCEPT: &str = "application/vnd.oci.image.index.v1+json, \
     application/vnd.oci.image.manifest.v1+json, application/vnd.oci.artifact.manifest.v1+json, \
     application/vnd.docker.distribution.manifest.list.v2+json, \
     application/vnd.docker.distribution.manifest.v2+json";

/// The types of configurations of images with a file system.
const FILE_SYSTEMS: [&str; 2] =
    ["application/vnd.oci.image.config.v1+json", "application/vnd.docker.container.image.v1+json"];

/// The annotation of an index's entry that says which other entry an attestation is of (BuildKit).
const ATTESTED: &str = "vnd.docker.reference.digest";

/// What a manifest is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// A list of manifests.
    Index,
    /// One image: a configuration and layers.
    Image,
    /// What came before images without a file system: only blobs.
    Artifact,
}

/// A manifest, as far as it leads to others.
#[derive(Debug, Clone)]
pub(crate) struct Manifest {
    /// What it is.
    pub(crate) kind: Kind,
    /// Its media type.
    pub(crate) media_type: String,
    /// The configuration of an image.
    pub(crate) config: Option<Descriptor>,
    /// The layers of an image, or the blobs of an artifact.
    pub(crate) layers: Vec<Descriptor>,
    /// The entries of an index.
    pub(crate) manifests: Vec<Descriptor>,
    /// The manifest that it says something of.
    pub(crate) subject: Option<Descriptor>,
    /// What kind of thing it is, for those that say something of others.
    pub(crate) artifact_type: String,
    /// What its author notes.
    pub(crate) annotations: BTreeMap<String, String>,
}

/// What a manifest says of one of its parts.
#[derive(Debug, Clone)]
pub(crate) struct Descriptor {
    /// The part's media type.
    pub(crate) media_type: String,
    /// Its digest.
    pub(crate) digest: Digest,
    /// Its size in bytes.
    pub(crate) size: u64,
    /// Where else it may be had: layers that registries do not keep.
    pub(crate) urls: Vec<String>,
    /// What an entry of an index runs on.
    pub(crate) platform: Option<Platform>,
    /// The entry of the same index that this one attests, if it does.
    pub(crate) attests: Option<Digest>,
}

impl Descriptor {
    /// Whether registries are not meant to keep it (base layers of Windows).
    pub(crate) fn is_foreign(&self) -> bool {
        !self.urls.is_empty()
            || self.media_type.contains(".nondistributable.")
            || self.media_type.contains(".rootfs.foreign.")
    }
}

/// What an image runs on.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
pub(crate) struct Platform {
    #[serde(default)]
    pub(crate) os: String,
    #[serde(default)]
    pub(crate) architecture: String,
    #[serde(default)]
    pub(crate) variant: String,
}

impl fmt::Display for Platform {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.os, self.architecture)?;
        if self.variant.is_empty() { Ok(()) } else { write!(f, "/{}", self.variant) }
    }
}

impl Platform {
    /// Whether it says nothing, or what BuildKit writes where there is nothing to say.
    pub(crate) fn is_unknown(&self) -> bool {
        self.os.is_empty() || self.os == "unknown"
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Document {
    schema_version: Option<u64>,
    media_type: Option<String>,
    config: Option<RawDescriptor>,
    layers: Option<Vec<RawDescriptor>>,
    blobs: Option<Vec<RawDescriptor>>,
    manifests: Option<Vec<RawDescriptor>>,
    subject: Option<RawDescriptor>,
    artifact_type: Option<String>,
    annotations: Option<BTreeMap<String, String>>,
    /// Of docker's schema 1, which has no layers by digest and size.
    fs_layers: Option<serde::de::IgnoredAny>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct RawDescriptor {
    #[serde(default)]
    media_type: String,
    digest: String,
    size: u64,
    urls: Option<Vec<String>>,
    platform: Option<Platform>,
    annotations: Option<BTreeMap<String, String>>,
}

impl RawDescriptor {
    fn read(self) -> Result<Descriptor, String> {
        let attests = self.annotations.as_ref().and_then(|annotations| annotations.get(ATTESTED));
        Ok(Descriptor {
            attests: attests.and_then(|digest| read_digest(digest).ok()),
            media_type: self.media_type,
            digest: read_digest(&self.digest)?,
            size: self.size,
            urls: self.urls.unwrap_or_default(),
            platform: self.platform,
        })
    }
}

fn read_all(raw: Option<Vec<RawDescriptor>>) -> Result<Vec<Descriptor>, String> {
    let raw = raw.unwrap_or_default();
    if raw.len() > MOST {
        return Err(format!("it has {} parts, and more than {MOST} are not read", raw.len()));
    }
    raw.into_iter().map(RawDescriptor::read).collect()
}

impl Manifest {
    /// Whether it is an image with a file system, as engines run them.
    pub(crate) fn is_of_file_system(&self) -> bool {
        self.kind == Kind::Image
            && self.config.as_ref().is_some_and(|config| FILE_SYSTEMS.contains(&config.media_type.as_str()))
    }

    /// Reads a manifest. `content_type` is the media type that it was served under; its own, if it has one, must be
    /// the same: else clients would disagree about what it is (CVE-2021-41190).
    ///
    /// # Errors
    /// What is wrong with it, for a person.
    pub(crate) fn read(bytes: &[u8], content_type: &str) -> Result<Manifest, String> {
        let document: Document =
            serde_json::from_slice(bytes).map_err(|error| format!("it is no manifest: {error}"))?;
        if document.schema_version == Some(1) || document.fs_layers.is_some() {
            return Err(
                "it is of docker's schema 1, which no registry takes any more; have its owner push the \
                        image again"
                    .to_owned(),
            );
        }
        let served = content_type.split(';').next().unwrap_or_default().trim();
        let media_type = match &document.media_type {
            Some(own) if kind_of(served).is_some() && own != served => {
                return Err(format!("it was served as {served} and calls itself {own}"));
            }
            Some(own) => own.clone(),
            None if kind_of(served).is_some() => served.to_owned(),
            // OCI's own may leave it out, docker's may not.
            None if document.manifests.is_some() => OCI_INDEX.to_owned(),
            None if document.config.is_some() => OCI_MANIFEST.to_owned(),
            None => served.to_owned(),
        };
        let kind =
            kind_of(&media_type).ok_or_else(|| format!("{media_type:?} is no manifest that is known"))?;
        let has_parts = document.config.is_some() || document.layers.is_some() || document.blobs.is_some();
        let is_both = document.manifests.is_some() && has_parts;
        let fits = match kind {
            Kind::Index => document.manifests.is_some(),
            Kind::Image => document.config.is_some() && document.layers.is_some(),
            Kind::Artifact => document.manifests.is_none(),
        };
        if is_both || !fits {
            return Err(format!("what it holds is not what a manifest of the type {media_type} holds"));
        }
        let config = document.config.map(RawDescriptor::read).transpose()?;
        let layers = read_all(if kind == Kind::Image { document.layers } else { document.blobs })?;
        // The configuration's media type said what an artifact is before there was a field for it (image
        // specification, "Guidelines for artifact usage").
        let artifact_type = document.artifact_type.filter(|text| !text.is_empty());
        let artifact_type = artifact_type
            .or_else(|| config.as_ref().map(|config| config.media_type.clone()))
            .unwrap_or_default();
        Ok(Manifest {
            kind,
            media_type,
            layers,
            config,
            manifests: read_all(document.manifests)?,
            subject: document.subject.map(RawDescriptor::read).transpose()?,
            artifact_type,
            annotations: document.annotations.unwrap_or_default(),
        })
    }

    /// The entries of an index that run somewhere, with where.
    pub(crate) fn runnable(&self) -> impl Iterator<Item = (&Descriptor, &Platform)> {
        let entries = self.manifests.iter().filter(|entry| entry.attests.is_none());
        let known = entries.filter_map(|entry| Some((entry, entry.platform.as_ref()?)));
        known.filter(|(_, platform)| !platform.is_unknown())
    }

    /// The blobs that it leads to, without manifests.
    pub(crate) fn blobs(&self) -> impl Iterator<Item = &Descriptor> {
        self.config.iter().chain(&self.layers)
    }
}

/// What a media type stands for.
pub(crate) fn kind_of(media_type: &str) -> Option<Kind> {
    match media_type {
        OCI_INDEX | DOCKER_LIST => Some(Kind::Index),
        OCI_MANIFEST | DOCKER_MANIFEST => Some(Kind::Image),
        OCI_ARTIFACT => Some(Kind::Artifact),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn descriptor(digit: &str) -> Value {
        json!({"mediaType": "application/octet-stream", "digest": format!("sha256:{}", digit.repeat(64)), "size": 3})
    }

    fn read(document: &Value, content_type: &str) -> Result<Manifest, String> {
        Manifest::read(document.to_string().as_bytes(), content_type)
    }

    #[test]
    fn images_and_indexes_are_told_apart() {
        let image = json!({"schemaVersion": 2, "config": descriptor("a"), "layers": [descriptor("b"), descriptor("c")]});
        let read_image = read(&image, OCI_MANIFEST).unwrap();
        assert_eq!((read_image.kind, read_image.blobs().count()), (Kind::Image, 3));
        assert_eq!(read_image.artifact_type, "application/octet-stream");
        let mut entry = descriptor("a");
        entry["platform"] = json!({"os": "linux", "architecture": "arm", "variant": "v7"});
        let index = json!({"mediaType": DOCKER_LIST, "manifests": [entry]});
        let index = read(&index, &format!("{DOCKER_LIST}; charset=utf-8")).unwrap();
        assert_eq!(index.kind, Kind::Index);
        assert_eq!(index.manifests[0].platform.as_ref().unwrap().variant, "v7");
    }

    #[test]
    fn what_is_two_things_is_refused() {
        let both = json!({"mediaType": OCI_INDEX, "manifests": [], "config": descriptor("a"), "layers": []});
        let image = json!({"mediaType": OCI_MANIFEST, "config": descriptor("a"), "layers": []});
        assert!(read(&both, OCI_INDEX).is_err());
        assert!(read(&image, OCI_INDEX).unwrap_err().contains("calls itself"));
        assert!(read(&image, OCI_MANIFEST).is_ok());
        assert!(read(&image, "application/json").is_ok());
        assert_eq!(read(&json!({"manifests": []}), "text/plain").unwrap().media_type, OCI_INDEX);
        for bad in [
            json!({}),
            json!({"mediaType": OCI_INDEX}),
            json!({"mediaType": OCI_MANIFEST, "layers": []}),
            json!({"mediaType": OCI_MANIFEST, "config": descriptor("g"), "layers": []}),
            json!({"mediaType": OCI_MANIFEST, "config": {"digest": "sha256:..", "size": -1}, "layers": []}),
            json!({"schemaVersion": 1, "fsLayers": []}),
            json!([]),
        ] {
            assert!(read(&bad, "").is_err(), "{bad}");
        }
    }

    #[test]
    fn endless_lists_are_refused() {
        let many: Vec<_> = (0..=MOST).map(|_| descriptor("a")).collect();
        assert!(read(&json!({"mediaType": OCI_INDEX, "manifests": many}), "").is_err());
    }
}
