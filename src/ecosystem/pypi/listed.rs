//! What a mirror lists of a project: every file that it holds, once, with what its index said of it.

use std::collections::BTreeSet;

use bundle_format::{Artifact, BlobKey};

use super::SCHEMA;
use super::facts::{
    Facts, FileFacts, METADATA, METADATA_END, PROVENANCE, PROVENANCE_END, SDIST, Status, WHEEL,
};
use super::version::Version;
use crate::ecosystem::ServeContext;
use crate::problem::Problem;
use crate::store::Linked;

/// A project, as it is listed.
pub(super) struct Project {
    /// As it spells itself.
    pub(super) spelled: String,
    /// Its state, where its index said one.
    pub(super) status: Option<Status>,
    /// Its files, ascending by version.
    pub(super) files: Vec<Listed>,
}

/// A file, as it is listed.
pub(super) struct Listed {
    /// Its name.
    pub(super) name: String,
    /// Whether it is a wheel.
    pub(super) is_wheel: bool,
    /// The version that it is of.
    pub(super) version: Version,
    /// Its bytes.
    pub(super) blob: BlobKey,
    /// How many.
    pub(super) size: u64,
    /// Its metadata, where that is held.
    pub(super) metadata: Option<BlobKey>,
    /// Whether its provenance is held.
    pub(super) has_provenance: bool,
    /// What its index said of it.
    pub(super) facts: FileFacts,
}

/// What is held of a project; nothing, if that is no file.
///
/// # Errors
/// If the store cannot be read.
pub(super) fn project(
    context: &dyn ServeContext,
    repository: Option<&str>,
    name: &str,
) -> Result<Option<Project>, Problem> {
    let mut project = Project { spelled: String::new(), status: None, files: Vec::new() };
    let mut seen = BTreeSet::new();
    for artifact in releases(context, repository, name)? {
        let Some(version) = Version::parse(&artifact.version) else { continue };
        // It was read when it was admitted.
        let mut facts = Facts::of(&artifact).unwrap_or_default();
        if project.spelled.is_empty() {
            project.spelled = facts.name;
        }
        project.status = project.status.or(facts.project_status);
        for file in &artifact.files {
            let is_wheel = file.role == WHEEL;
            // Of files of one name, the one with precedence is shown.
            if !(is_wheel || file.role == SDIST) || !seen.insert(file.path.clone()) {
                continue;
            }
            let beside = |role: &str, end: &str| {
                let mut others = artifact.files.iter().filter(|other| other.role == role);
                others.find(|other| other.path.strip_suffix(end) == Some(&file.path)).map(|other| other.blob)
            };
            project.files.push(Listed {
                name: file.path.clone(),
                is_wheel,
                version: version.clone(),
                blob: file.blob,
                size: file.size,
                metadata: beside(METADATA, METADATA_END),
                has_provenance: beside(PROVENANCE, PROVENANCE_END).is_some(),
                facts: facts.files.remove(&file.path).unwrap_or_default(),
            });
        }
    }
    if project.files.is_empty() {
        return Ok(None);
    }
    if project.spelled.is_empty() {
        name.clone_into(&mut project.spelled);
    }
    project.files.sort_by(|one, other| (&one.version, &one.name).cmp(&(&other.version, &other.name)));
    Ok(Some(project))
}

/// The releases that clients may see, in the order of precedence. A name that is hosted here is nobody else's: whoever asks
/// the index over all must not be given what a stranger published under it.
pub(super) fn releases(
    context: &dyn ServeContext,
    repository: Option<&str>,
    name: &str,
) -> Result<impl Iterator<Item = Artifact> + use<>, Problem> {
    let mut linked: Vec<Linked> = context.artifacts(repository, name)?;
    linked.retain(|one| one.artifact.schema == SCHEMA);
    let is_hosted = |one: &Linked| context.hosted(&one.artifact.repository).is_some();
    let is_owned = || context.hosted_repositories().iter().any(|hosted| hosted.owns(name));
    if linked.iter().any(is_hosted) || (repository.is_none() && is_owned()) {
        linked.retain(is_hosted);
    }
    Ok(linked.into_iter().map(|one| one.artifact))
}
