//! What `docker save` writes since docker 25: an OCI layout, and beside it the documents that older ones load from.
//!
//! It has one platform of an image, and nothing that is no image.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::export::{HeldManifest, Package};
use super::layout::blob_path;
use super::manifest::{Descriptor, Kind, Manifest};
use super::platform::{self, Platform};
use super::reference::{DOCKER, Name, OFFICIAL};
use super::to_layout::{EntryName, LEFT_OUT, Layout};
use crate::ecosystem::Exported;
use crate::problem::Problem;

/// How many indexes may lead from one to the next.
const DEEPEST: usize = 8;

/// An archive that is being gathered.
pub(super) struct DockerArchive {
    platform: Platform,
    layout: Layout,
    /// By the digest of the manifest, so that an image of several names is loaded once.
    images: BTreeMap<String, Image>,
    /// By repository and tag, the last layer.
    repositories: BTreeMap<String, BTreeMap<String, String>>,
    /// How many signatures and the like stay behind.
    left_out: u64,
}

struct Image {
    config: String,
    layers: Vec<String>,
    tags: Vec<String>,
}

impl DockerArchive {
    /// Nothing yet.
    pub(super) fn new(platform: Platform) -> DockerArchive {
        DockerArchive {
            platform,
            layout: Layout::default(),
            images: BTreeMap::new(),
            repositories: BTreeMap::new(),
            left_out: 0,
        }
    }

    /// Takes in what was chosen of a repository. What docker cannot load is noted down.
    pub(super) fn take(&mut self, package: &Package<'_>) -> Result<(), Problem> {
        for (version, tags) in &package.tops {
            if !tags.is_empty() && tags.iter().all(|tag| package.is_speaking(tag)) {
                self.left_out += 1;
                continue;
            }
            self.left_out += package.referrers.get(version).map_or(0, |all| all.len() as u64);
            let called = package.called(version, tags);
            match self.find(package, version, &called)? {
                Ok(image) => self.image(package, &image, tags, &called),
                Err(why) => self.layout.note(LEFT_OUT, called, format!("it is left out: {why}")),
            }
        }
        Ok(())
    }

    /// The image of the platform, or why there is none.
    fn find<'p>(
        &mut self,
        package: &'p Package<'_>,
        version: &str,
        called: &str,
    ) -> Result<Result<HeldManifest<'p>, String>, Problem> {
        let mut version = version.to_owned();
        for _ in 0..DEEPEST {
            let Some(held) = package.manifest(&version)? else {
                return Ok(Err("this version does not know how it is recorded".to_owned()));
            };
            if held.manifest.kind != Kind::Index {
                return Ok(must_be_loadable(&held).map(|()| held));
            }
            let carried: Vec<_> = held
                .manifest
                .runnable()
                .filter(|(entry, _)| package.has(&entry.digest.to_string()))
                .collect();
            let Some((found, _)) = carried.iter().find(|(_, runs_on)| self.platform.is(runs_on)) else {
                let here = carried.iter().map(|(_, runs_on)| *runs_on);
                return Ok(Err(platform::none_for(std::slice::from_ref(&self.platform), here)));
            };
            if carried.len() > 1 {
                let message = format!(
                    "it has {} platforms, and docker-archive holds one: {}",
                    carried.len(),
                    self.platform
                );
                self.layout.note("oci.one-platform", called.to_owned(), message);
            }
            version = found.digest.to_string();
        }
        Ok(Err("its indexes lead on and on".to_owned()))
    }

    fn image(&mut self, package: &Package<'_>, held: &HeldManifest<'_>, tags: &[String], called: &str) {
        let digest = held.digest.to_string();
        let manifest = &held.manifest;
        self.layout.blob(&held.digest, &held.content);
        for part in manifest.blobs() {
            if let Some(content) = held.part(&part.digest) {
                self.layout.blob(&part.digest, &content);
            }
        }
        if manifest.layers.iter().any(|layer| layer.media_type.ends_with("zstd")) {
            let message = "its layers are compressed by zstd, which old versions of docker cannot load";
            self.layout.note("oci.zstd", called.to_owned(), message.to_owned());
        }
        let (media_type, size) = (&manifest.media_type, held.content.size());
        let repository = familiar(&package.name);
        for tag in tags {
            self.layout.entry(EntryName::Image(format!("{}:{tag}", package.name)), media_type, &digest, size);
            if let Some(last) = manifest.layers.last() {
                let tags = self.repositories.entry(repository.clone()).or_default();
                tags.insert(tag.clone(), last.digest.hex());
            }
        }
        if tags.is_empty() {
            self.layout.entry(
                EntryName::Image(format!("{}@{digest}", package.name)),
                media_type,
                &digest,
                size,
            );
        }
        let path = |part: &Descriptor| blob_path(&part.digest);
        let image = self.images.entry(digest).or_insert_with(|| Image {
            config: manifest.config.as_ref().map(path).unwrap_or_default(),
            layers: manifest.layers.iter().map(path).collect(),
            tags: Vec::new(),
        });
        image.tags.extend(tags.iter().map(|tag| format!("{repository}:{tag}")));
    }

    /// The finished archive.
    ///
    /// # Errors
    /// If nothing is in it.
    pub(super) fn finish(mut self) -> Result<Exported, Problem> {
        if self.left_out > 0 {
            let message =
                format!("docker-archive holds images alone, so they are left out ({} here)", self.left_out);
            self.layout.note(LEFT_OUT, "signatures and the like".to_owned(), message);
        }
        let images = self.images.into_values().map(|image| {
            let tags = if image.tags.is_empty() { Value::Null } else { json!(image.tags) };
            json!({"Config": image.config, "RepoTags": tags, "Layers": image.layers})
        });
        let images: Vec<Value> = images.collect();
        self.layout.document("manifest.json", &json!(images));
        if !self.repositories.is_empty() {
            self.layout.document("repositories", &json!(self.repositories));
        }
        self.layout.finish()
    }
}

/// Docker loads images whose layers are file systems and all there.
fn must_be_loadable(held: &HeldManifest<'_>) -> Result<(), String> {
    let Manifest { layers, artifact_type, .. } = &held.manifest;
    let is_layer = |layer: &Descriptor| {
        let kind = layer.media_type.as_str();
        (kind.starts_with("application/vnd.oci.image.layer.")
            || kind.starts_with("application/vnd.docker.image.rootfs."))
            && [".tar", ".tar+gzip", ".tar.gzip", ".tar+zstd", ".tar.zstd"]
                .iter()
                .any(|end| kind.ends_with(end))
    };
    if !held.manifest.is_of_file_system() || !layers.iter().all(is_layer) {
        return Err(format!("docker cannot load it, as it is no image but {artifact_type:?}"));
    }
    let parts = held.manifest.blobs();
    let lacking = parts.filter(|part| held.part(&part.digest).is_none()).count();
    if lacking > 0 {
        return Err(format!("{lacking} of its layers are not carried, and docker loads images whole"));
    }
    Ok(())
}

/// A repository's name as docker shows it: without its own registry.
fn familiar(name: &Name) -> String {
    match name.registry == DOCKER {
        true => name.path.strip_prefix(OFFICIAL).unwrap_or(&name.path).to_owned(),
        false => name.to_string(),
    }
}
