//! Which repository answers for a package, where clients publish packages of their own here.

use std::collections::BTreeMap;

use bundle_format::{Artifact, BlobKey};

use super::SCHEMA;
use super::packument::file;
use crate::ecosystem::ServeContext;
use crate::problem::Problem;
use crate::store::Source;

/// The repository that answers for a package when `asked` is asked (`None`: all of them). A hosted name is nobody else's:
/// the repository that keeps it for itself, or has it, answers alone, so that nobody is given what a stranger published
/// under it elsewhere. Without a name it is the one that was asked.
///
/// # Errors
/// If the store cannot be read.
pub(super) fn home<'a>(
    context: &'a dyn ServeContext,
    asked: Option<&'a str>,
    name: &str,
) -> Result<Option<&'a str>, Problem> {
    if asked.is_some() || name.is_empty() {
        return Ok(asked);
    }
    let hosted = context.hosted_repositories();
    if let Some(owner) = hosted.iter().find(|hosted| hosted.owns(name)) {
        return Ok(Some(&owner.name));
    }
    for one in hosted {
        if !published(context, &one.name, name)?.is_empty() {
            return Ok(Some(&one.name));
        }
    }
    Ok(None)
}

/// What clients published of a package in a hosted repository, by version.
///
/// # Errors
/// If the store cannot be read.
pub(super) fn published(
    context: &dyn ServeContext,
    repository: &str,
    name: &str,
) -> Result<BTreeMap<String, Artifact>, Problem> {
    let linked = context.artifacts(Some(repository), name)?.into_iter();
    let own = linked.filter(|one| one.source == Source::Hosted && one.artifact.schema == SCHEMA);
    Ok(own.map(|one| (one.artifact.version.clone(), one.artifact)).collect())
}

/// The dist-tags that clients set in a hosted repository.
///
/// # Errors
/// If the store cannot be read.
pub(super) fn tags(
    context: &dyn ServeContext,
    repository: &str,
    name: &str,
) -> Result<BTreeMap<String, String>, Problem> {
    let refs = context.refs(Some(repository), name, None)?.into_iter();
    let own = refs.filter(|one| one.source == Source::Hosted).map(|one| one.reference);
    Ok(own.map(|reference| (reference.label, reference.version)).collect())
}

/// By what it is seen that a package is another one than before: `_rev`, which npm sends back with what it changes.
pub(super) fn revision<'a>(
    versions: impl Iterator<Item = &'a Artifact>,
    tags: impl Iterator<Item = (&'a str, &'a str)>,
) -> String {
    let mut count = 0_usize;
    let mut text = String::new();
    for artifact in versions {
        let manifest = file(artifact, "manifest").map(|file| file.blob.hex()).unwrap_or_default();
        text.push_str(&format!("{} {manifest}\n", artifact.version));
        count += 1;
    }
    for (tag, version) in tags {
        text.push_str(&format!("{tag} {version}\n"));
    }
    let digest = BlobKey::of(text.as_bytes()).hex();
    format!("{count}-{}", digest.get(..32).unwrap_or_default())
}
