//! What of one repository is pushed, and in which order: what others name comes before them.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::sync::Arc;

use bundle_format::{Artifact, BlobKey, Digest};
use serde_json::Value;

use super::super::manifest::{self, Manifest};
use super::super::reference::{Name, check_tag, read_digest};
use super::super::{SCHEMA, record, referrers};
use crate::ecosystem::Chosen;
use crate::ecosystem::push::PushContext;
use crate::problem::{Kind, Problem};
use crate::store;

/// The longest chain of manifests that name one another.
const DEEPEST: usize = 64;

/// A manifest to be pushed.
pub(super) struct Image {
    pub(super) digest: Digest,
    pub(super) blob: BlobKey,
    pub(super) media_type: String,
    pub(super) subject: Option<Digest>,
    /// How a list of what refers to its subject describes it.
    pub(super) descriptor: Value,
    /// The blobs that it names and that are pushed.
    pub(super) parts: Vec<Digest>,
    /// Whether it names entries of an index that the store does not have, on purpose.
    pub(super) is_sparse: bool,
    /// Whether it names a blob twice, as signatures may.
    pub(super) repeats: bool,
    /// What it is, if it is neither an index nor an image with a file system.
    pub(super) artifact_type: Option<String>,
    /// The manifests of the same repository that come first.
    after: Vec<Digest>,
}

/// A blob to be pushed.
#[derive(Clone)]
pub(super) struct Blob {
    pub(super) digest: Digest,
    pub(super) key: BlobKey,
    pub(super) size: u64,
}

/// What of one repository is pushed.
pub(super) struct Plan {
    pub(super) blobs: Vec<Blob>,
    /// Manifests in steps: those of one step name only those of the steps before.
    pub(super) steps: Vec<Vec<Arc<Image>>>,
    /// Tags and what they point at.
    pub(super) tags: BTreeMap<String, Digest>,
}

/// Plans what was chosen of a repository; `None` if this build knows nothing of it.
///
/// # Errors
/// If the store lacks a manifest or blob, or has another one than it says.
pub(super) async fn plan(
    name: &Name,
    chosen: &[Chosen],
    context: &dyn PushContext,
) -> Result<Option<Plan>, Problem> {
    let (artifacts, refs) = context.package(&name.registry, &name.path).await?;
    // What is of another schema than this build's was never checked.
    let artifacts: HashMap<String, Artifact> = artifacts
        .into_iter()
        .map(|linked| linked.artifact)
        .filter(|artifact| artifact.schema == SCHEMA)
        .map(|artifact| (artifact.version.clone(), artifact))
        .collect();
    let mut labels: BTreeMap<String, String> = BTreeMap::new();
    for linked in refs {
        let reference = linked.reference;
        if check_tag(&reference.label).is_ok() && artifacts.contains_key(&reference.version) {
            // Of several, the first has precedence.
            labels.entry(reference.label).or_insert(reference.version);
        }
    }
    let wanted = wanted(&artifacts, &labels, chosen);
    if wanted.is_empty() {
        return Ok(None);
    }
    let is_taken = |label: &String, version: &String| {
        wanted.contains(version) && speaks_of(label).is_some_and(|digest| wanted.contains(&digest))
    };
    let speaking = labels.iter().filter(|(label, version)| is_taken(label, version));
    let mut leading: BTreeMap<&String, &String> = speaking.collect();
    // What was chosen says itself which tags lead there: a channel may have others than those with precedence.
    for one in chosen.iter().filter(|one| wanted.contains(&one.version)) {
        for label in one.labels.iter().filter(|label| check_tag(label).is_ok()) {
            if labels.get(label) == Some(&one.version) || !leading.contains_key(label) {
                leading.insert(label, &one.version);
            }
        }
    }
    let mut images = Vec::new();
    let mut blobs: BTreeMap<Digest, Blob> = BTreeMap::new();
    for version in &wanted {
        let Some(artifact) = artifacts.get(version) else { continue };
        let (image, parts) = read(name, artifact, context).await?;
        blobs.extend(parts.into_iter().map(|part| (part.digest.clone(), part)));
        images.push(image);
    }
    let digest = |text: &str| {
        read_digest(text).map_err(|why| Problem::new(Kind::Untrusted, "oci.bad-record", why).at(name))
    };
    let tags = leading.iter().map(|(tag, version)| Ok(((*tag).clone(), digest(version)?)));
    let tags = tags.collect::<Result<_, Problem>>()?;
    Ok(Some(Plan { blobs: blobs.into_values().collect(), steps: steps(name, images)?, tags }))
}

/// The digest that a tag speaks of by its name: signatures, and lists of referrers.
pub(super) fn speaks_of(tag: &str) -> Option<String> {
    let (algorithm, rest) = tag.split_once('-')?;
    let hex = rest.split('.').next()?;
    (matches!(algorithm, "sha256" | "sha512") && hex.len() >= 64).then(|| format!("{algorithm}:{hex}"))
}

/// What was chosen, with all that belongs to it: entries of indexes, and what says something of any of them.
fn wanted(
    artifacts: &HashMap<String, Artifact>,
    labels: &BTreeMap<String, String>,
    chosen: &[Chosen],
) -> BTreeSet<String> {
    let mut next: Vec<String> = chosen.iter().map(|one| one.version.clone()).collect();
    let mut about: HashMap<String, Vec<&String>> = HashMap::new();
    for (version, artifact) in artifacts {
        if let Some(subject) = record::subject(artifact) {
            about.entry(subject.to_owned()).or_default().push(version);
        }
    }
    for (label, version) in labels {
        if let Some(digest) = speaks_of(label) {
            about.entry(digest).or_default().push(version);
        }
    }
    let mut wanted = BTreeSet::new();
    while let Some(version) = next.pop() {
        let Some(artifact) = artifacts.get(&version) else { continue };
        if wanted.insert(version.clone()) {
            next.extend(artifact.requires.iter().map(|edge| edge.range.clone()));
            next.extend(about.get(&version).into_iter().flatten().map(|one| (*one).clone()));
        }
    }
    wanted
}

/// Reads a manifest of the store: what it says counts, and not what its record says of it.
async fn read(
    name: &Name,
    artifact: &Artifact,
    context: &dyn PushContext,
) -> Result<(Image, Vec<Blob>), Problem> {
    let place = format!("{name}@{}", artifact.version);
    let bad = |why: String| {
        let message = "the store's record of an image is not what its manifest says";
        Problem::new(Kind::Untrusted, "oci.bad-record", message).at(&place).because(why)
    };
    let digest = read_digest(&artifact.version).map_err(bad)?;
    let file = artifact.files.iter().find(|file| file.role == record::MANIFEST);
    let file = file.ok_or_else(|| bad("it has no manifest".to_owned()))?;
    let bytes = context.machine().held(&file.blob, manifest::LARGEST).await?;
    if !store::has_digest(&bytes, &digest)? {
        return Err(bad("its manifest has another digest".to_owned()));
    }
    let manifest = Manifest::read(&bytes, &file.media_type).map_err(bad)?;
    let mut blobs = Vec::new();
    for (_, part) in record::parts(&manifest) {
        let held = artifact.files.iter().find(|file| {
            let key = Digest::from(file.blob);
            file.role != record::MANIFEST && (key == part.digest || file.checksums.contains(&part.digest))
        });
        match held {
            Some(file) => blobs.push(Blob { digest: part.digest.clone(), key: file.blob, size: file.size }),
            None if part.is_foreign() => {}
            None => {
                let message = format!("the store does not have the part {} of an image", part.digest);
                return Err(Problem::new(Kind::Incomplete, "oci.missing-part", message).at(&place));
            }
        }
    }
    let entries = manifest.manifests.iter().map(|entry| entry.digest.clone());
    let mut layers = HashSet::new();
    let is_plain = manifest.kind == manifest::Kind::Index || manifest.is_of_file_system();
    let image = Image {
        digest,
        repeats: !manifest.layers.iter().all(|layer| layers.insert(&layer.digest)),
        parts: blobs.iter().map(|blob| blob.digest.clone()).collect(),
        artifact_type: (!is_plain).then(|| manifest.artifact_type.clone()),
        blob: file.blob,
        media_type: manifest.media_type.clone(),
        is_sparse: !record::absent(artifact).map_err(bad)?.is_empty(),
        descriptor: referrers::descriptor(&manifest, &artifact.version, bytes.len() as u64),
        after: entries.chain(manifest.subject.iter().map(|subject| subject.digest.clone())).collect(),
        subject: manifest.subject.map(|subject| subject.digest),
    };
    Ok((image, blobs))
}

/// Puts manifests into steps.
fn steps(name: &Name, mut left: Vec<Image>) -> Result<Vec<Vec<Arc<Image>>>, Problem> {
    let mut waiting: HashSet<Digest> = left.iter().map(|image| image.digest.clone()).collect();
    let mut steps = Vec::new();
    while !left.is_empty() {
        let (now, later): (Vec<Image>, Vec<Image>) = left.into_iter().partition(|image| {
            image.after.iter().all(|other| *other == image.digest || !waiting.contains(other))
        });
        if now.is_empty() || steps.len() >= DEEPEST {
            let message = format!("the manifests of {name} name one another without end");
            return Err(Problem::new(Kind::Untrusted, "oci.endless", message));
        }
        for image in &now {
            waiting.remove(&image.digest);
        }
        steps.push(now.into_iter().map(Arc::new).collect());
        left = later;
    }
    Ok(steps)
}
