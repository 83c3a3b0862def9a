//! Exporting images: which manifests of each repository are meant, and what the store has of them.
//!
//! [`to_layout`](super::to_layout) writes them as they are, with all that belongs to them; [`to_docker`](super::to_docker)
//! as docker loads them.

use std::collections::{BTreeMap, BTreeSet, HashSet};

use bundle_format::{Artifact, Digest};

use super::manifest::{self, Manifest};
use super::platform::Platform;
use super::record::{self, MANIFEST};
use super::reference::{Name, check_path, check_registry, check_tag, read_digest};
use super::request::{DOCKER_ARCHIVE, LAYOUT, LAYOUT_ARCHIVE};
use super::to_docker::DockerArchive;
use super::to_layout::{Layout, is_about};
use super::{Oci, SCHEMA};
use crate::ecosystem::{Chosen, Export, ExportContext, ExportKind, Exported, ExportedFile};
use crate::problem::{Kind, Problem};

impl Export for Oci {
    fn kinds(&self) -> &'static [ExportKind] {
        &[
            ExportKind {
                name: DOCKER_ARCHIVE,
                about: "a tar for `docker load` and `podman load`, one platform of each image",
                is_directory: false,
            },
            ExportKind {
                name: LAYOUT_ARCHIVE,
                about: "an OCI image layout in a tar, all platforms: skopeo, containerd, k3s, RKE2, and podman one image at a time",
                is_directory: false,
            },
            ExportKind { name: LAYOUT, about: "an OCI image layout in a directory", is_directory: true },
        ]
    }

    fn export(
        &self,
        kind: &str,
        chosen: &[Chosen],
        platforms: &[String],
        context: &dyn ExportContext,
    ) -> Result<Exported, Problem> {
        if kind != DOCKER_ARCHIVE {
            let platforms = platforms.iter().map(|text| Platform::read(text)).collect::<Result<_, _>>()?;
            let mut layout = Layout::new(platforms);
            for package in packages(chosen) {
                let package = Package::read(package, context)?;
                layout.take(&package)?;
            }
            layout.note_docker_types();
            return layout.finish();
        }
        let platform = match platforms {
            [] => Platform::of_this_machine()?,
            [one] => Platform::read(one)?,
            _ => {
                let message = "docker-archive holds one platform of each image";
                return Err(Problem::new(Kind::Usage, "oci.export-platform", message)
                    .hint("make an archive for each platform, or an oci-archive for all of them"));
            }
        };
        let mut archive = DockerArchive::new(platform);
        for package in packages(chosen) {
            archive.take(&Package::read(package, context)?)?;
        }
        archive.finish()
    }
}

/// What was chosen, repository by repository.
pub(super) fn packages(chosen: &[Chosen]) -> impl Iterator<Item = &[Chosen]> {
    chosen.chunk_by(|a, b| (&a.repository, &a.name) == (&b.repository, &b.name))
}

/// A repository of images, of which something was chosen.
pub(super) struct Package<'a> {
    /// What it is called.
    pub(super) name: Name,
    /// The chosen manifests that belong to no other chosen one, with the tags that were chosen.
    pub(super) tops: BTreeMap<String, Vec<String>>,
    /// By the digest of a manifest, those that say something of it.
    pub(super) referrers: BTreeMap<String, Vec<String>>,
    /// All tags of the repository, with where they lead.
    pub(super) tags: BTreeMap<String, String>,
    held: BTreeMap<String, Artifact>,
    context: &'a dyn ExportContext,
}

/// A manifest of the store.
pub(super) struct HeldManifest<'a> {
    /// As it was read.
    pub(super) manifest: Manifest,
    /// Its digest.
    pub(super) digest: Digest,
    /// Its bytes.
    pub(super) content: ExportedFile,
    artifact: &'a Artifact,
}

impl HeldManifest<'_> {
    /// A blob that it names, if it is carried.
    pub(super) fn part(&self, digest: &Digest) -> Option<ExportedFile> {
        let mut files = self.artifact.files.iter().filter(|file| file.role != MANIFEST);
        let file = files.find(|file| record::is_of(file, digest))?;
        Some(ExportedFile::Blob { key: file.blob, size: file.size })
    }
}

impl<'a> Package<'a> {
    fn read(chosen: &[Chosen], context: &'a dyn ExportContext) -> Result<Package<'a>, Problem> {
        let first = chosen.first().map(|one| (one.repository.clone(), one.name.clone())).unwrap_or_default();
        let name = Name { registry: first.0, path: first.1 };
        check_registry(&name.registry).and_then(|()| check_path(&name.path)).map_err(bad_record)?;
        let mut held = BTreeMap::new();
        // Of one that several sources have, the first has precedence.
        for linked in context.artifacts(&name.registry, &name.path)? {
            if linked.artifact.schema == SCHEMA {
                held.entry(linked.artifact.version.clone()).or_insert(linked.artifact);
            }
        }
        let mut referrers: BTreeMap<String, Vec<String>> = BTreeMap::new();
        for (version, artifact) in &held {
            if let Some(subject) = record::subject(artifact) {
                referrers.entry(subject.to_owned()).or_default().push(version.clone());
            }
        }
        let mut tags = BTreeMap::new();
        for linked in context.refs(&name.registry, &name.path)? {
            tags.entry(linked.reference.label).or_insert(linked.reference.version);
        }
        let mut package = Package { name, tops: BTreeMap::new(), referrers, tags, held, context };
        package.tops = package.find_tops(chosen)?;
        Ok(package)
    }

    /// The chosen ones, without those that come along with another one.
    fn find_tops(&self, chosen: &[Chosen]) -> Result<BTreeMap<String, Vec<String>>, Problem> {
        let chosen_versions: HashSet<&str> = chosen.iter().map(|one| one.version.as_str()).collect();
        let entries: HashSet<&str> = chosen_versions
            .iter()
            .filter_map(|version| self.held.get(*version))
            .flat_map(|artifact| artifact.requires.iter().map(|edge| edge.range.as_str()))
            .collect();
        let comes_along = |version: &str| {
            let subject = self.held.get(version).and_then(record::subject);
            entries.contains(version) || subject.is_some_and(|subject| chosen_versions.contains(subject))
        };
        let mut tops = BTreeMap::new();
        for one in chosen {
            if one.labels.is_empty() && comes_along(&one.version) {
                continue;
            }
            one.labels.iter().try_for_each(|label| check_tag(label)).map_err(bad_record)?;
            tops.insert(one.version.clone(), one.labels.clone());
        }
        Ok(tops)
    }

    /// Whether a manifest is carried.
    pub(super) fn has(&self, version: &str) -> bool {
        self.held.contains_key(version)
    }

    /// A manifest that is carried; `None` if it isn't, or is recorded in a way that this build does not know.
    ///
    /// # Errors
    /// If it cannot be read, or is none.
    pub(super) fn manifest(&self, version: &str) -> Result<Option<HeldManifest<'_>>, Problem> {
        let Some(artifact) = self.held.get(version) else { return Ok(None) };
        let digest = read_digest(version).map_err(bad_record)?;
        let file = artifact.files.iter().find(|file| file.role == MANIFEST);
        let file = file.ok_or_else(|| bad_record(format!("{}@{version} has no manifest", self.name)))?;
        let bytes = self.context.read(&file.blob, manifest::LARGEST)?;
        let manifest = Manifest::read(&bytes, &file.media_type)
            .map_err(|why| bad_record(format!("{}@{version}: {why}", self.name)))?;
        let content = ExportedFile::Blob { key: file.blob, size: file.size };
        Ok(Some(HeldManifest { manifest, digest, content, artifact }))
    }

    /// What images are called in messages: by the tags that were chosen, or the digest.
    pub(super) fn called(&self, version: &str, tags: &[String]) -> String {
        match tags.first() {
            Some(tag) => format!("{}:{tag}", self.name),
            None => format!("{}@{version}", self.name),
        }
    }

    /// The tags whose names say that they are about a manifest: those of registries without an API for referrers, and
    /// cosign's (`sha256-DIGEST`, `sha256-DIGEST.sig`).
    pub(super) fn speaking_tags(&self, version: &str) -> impl Iterator<Item = (&str, &str)> {
        let begin = version.replacen(':', "-", 1);
        let tags = self.tags.range(begin.clone()..).take_while(move |(tag, _)| tag.starts_with(&begin));
        tags.map(|(tag, version)| (tag.as_str(), version.as_str()))
    }

    /// Whether a tag is about a manifest of this repository, and no image's own.
    pub(super) fn is_speaking(&self, tag: &str) -> bool {
        is_about(tag, |digest| self.has(digest))
    }
}

fn bad_record(why: String) -> Problem {
    Problem::new(Kind::Untrusted, "oci.bad-record", "the store has an image that is recorded wrongly")
        .because(why)
}

/// Nothing of what was chosen can be exported.
pub(super) fn nothing_left(reasons: impl IntoIterator<Item = String>) -> Problem {
    let message = "nothing of what is selected can be exported like that";
    let problem = Problem::new(Kind::Incomplete, "oci.export-nothing", message);
    let mut reasons: Vec<String> = reasons.into_iter().collect::<BTreeSet<_>>().into_iter().collect();
    reasons.truncate(20);
    reasons.into_iter().fold(problem, Problem::because)
}
