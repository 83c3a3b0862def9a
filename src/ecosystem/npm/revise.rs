//! What is changed of packages that are published: `npm deprecate`, `npm dist-tag` and `npm unpublish`.
//!
//! npm reads the whole packument, changes it and writes it back, with the `_rev` that it read: if the package is another one by
//! now, it is told to begin again.

use std::collections::BTreeMap;

use bundle_format::{Artifact, Ref};
use bytes::Bytes;
use serde_json::{Value, json};

use super::admit::NpmAdmit;
use super::host::{Writer, bad_request, forbidden};
use super::packument::{self, LATEST, VERSION_OBJECT_LIMIT};
use super::serve::{refusal, status};
use super::written::Written;
use super::{hosted, splice, tarball_name};
use crate::ecosystem::host::Stop;
use crate::ecosystem::{Admit as _, Answer};
use crate::store::Change;

/// A ref of a package.
pub(super) fn reference(writer: &Writer<'_>, tag: &str, version: &str) -> Ref {
    Ref {
        ecosystem: "npm".to_owned(),
        repository: writer.hosted.name.clone(),
        name: writer.name.clone(),
        label: tag.to_owned(),
        version: version.to_owned(),
    }
}

/// `PUT /<name>` without a tarball, as `npm deprecate` sends it: no version goes away by it.
pub(super) fn changed(writer: &Writer<'_>, written: &Written<'_>) -> Result<Answer, Stop> {
    change(writer, written, written.revision.as_deref(), false)
}

/// `PUT /<name>/-rev/<revision>`: what it does not have any more goes away.
pub(super) fn revise(writer: &Writer<'_>) -> Result<Answer, Stop> {
    let written = Written::read(&writer.request.body)?;
    change(writer, &written, Some(writer.capture("revision")), true)
}

/// `DELETE /<name>/-rev/<revision>`: the whole package goes away.
pub(super) fn unpublish(writer: &Writer<'_>) -> Result<Answer, Stop> {
    let _alone = writer.context.alone()?;
    let package = Package::read(writer)?;
    package.must_be_at(Some(writer.capture("revision")))?;
    let gone: Vec<Change> =
        package.versions.keys().map(|version| Change::Unlink(writer.place(version))).collect();
    writer.context.commit(gone, "delete", &[("package", &writer.subject("*"))])?;
    Ok(done(200))
}

/// `DELETE` of a tarball, which npm sends last: its version went away with the packument before.
pub(super) fn delete_tarball(writer: &Writer<'_>) -> Result<Answer, Stop> {
    let _alone = writer.context.alone()?;
    let version = tarball_name::tarball_version(&writer.name, writer.capture("file"));
    let held = hosted::published(writer.context, &writer.hosted.name, &writer.name)?;
    if let Some(version) = version.filter(|version| held.contains_key(*version)) {
        let gone = vec![Change::Unlink(writer.place(version))];
        writer.context.commit(gone, "delete", &[("package", &writer.subject(version))])?;
    }
    Ok(done(200))
}

/// `PUT` of a dist-tag: the version stands in the body, as a JSON text.
pub(super) fn set_tag(writer: &Writer<'_>) -> Result<Answer, Stop> {
    let Ok(version) = serde_json::from_slice::<String>(&writer.request.body) else {
        return Err(bad_request("the body of a dist-tag is a version in quotation marks").into());
    };
    let _alone = writer.context.alone()?;
    let package = Package::read(writer)?;
    let tags = BTreeMap::from([(writer.capture("tag").to_owned(), version)]);
    let changes = package.set_tags(&tags)?;
    let subject = writer.subject(writer.capture("tag"));
    writer.context.commit(changes, "dist-tag", &[("package", &subject)])?;
    Ok(done(201))
}

/// `DELETE` of a dist-tag.
pub(super) fn drop_tag(writer: &Writer<'_>) -> Result<Answer, Stop> {
    let tag = writer.capture("tag");
    if tag == LATEST {
        return Err(
            forbidden("a package is never without the dist-tag latest; set it to another version").into()
        );
    }
    let _alone = writer.context.alone()?;
    let package = Package::read(writer)?;
    if !package.tags.contains_key(tag) {
        return Err(refusal(404, "not_found", &format!("{tag} is no dist-tag of {}", writer.name)).into());
    }
    let gone = vec![Change::DropRef(writer.place(tag))];
    writer.context.commit(gone, "dist-tag", &[("package", &writer.subject(tag))])?;
    Ok(done(200))
}

/// Makes a package what a client wrote.
fn change(
    writer: &Writer<'_>,
    written: &Written<'_>,
    revision: Option<&str>,
    may_remove: bool,
) -> Result<Answer, Stop> {
    let context = writer.context;
    if written.name != writer.name {
        let message =
            format!("the document is about {:?}, and its address about {}", written.name, writer.name);
        return Err(bad_request(&message).into());
    }
    let _alone = context.alone()?;
    let package = Package::read(writer)?;
    package.must_be_at(revision)?;
    if let Some(other) = written.versions.keys().find(|version| !package.versions.contains_key(*version)) {
        let message = format!("{}@{other} is not here, and needs its tarball to be published", writer.name);
        return Err(bad_request(&message).into());
    }
    let mut changes = Vec::new();
    let (mut gone, mut said) = (Vec::new(), Vec::new());
    for (version, artifact) in &package.versions {
        match written.versions.get(version) {
            Some(object) => {
                let Some(deprecated) = package.deprecated(artifact, object)? else { continue };
                said.push(version.as_str());
                changes.push(Change::Link(deprecated));
            }
            None if may_remove => gone.push(version.as_str()),
            None => {}
        }
    }
    changes.extend(gone.iter().map(|version| Change::Unlink(writer.place(version))));
    let mut tags = written.tags.clone();
    tags.retain(|_, version| !gone.contains(&version.as_str()));
    changes.extend(package.set_tags(&tags)?);
    let dropped = package
        .tags
        .iter()
        .filter(|(tag, version)| may_remove && !tags.contains_key(*tag) && !gone.contains(&version.as_str()));
    changes.extend(dropped.map(|(tag, _)| Change::DropRef(writer.place(tag))));
    if changes.is_empty() {
        return Ok(done(201));
    }
    let (action, about) = match (gone.is_empty(), said.is_empty()) {
        (false, _) => ("delete", gone),
        (true, false) => ("deprecate", said),
        (true, true) => ("dist-tag", Vec::new()),
    };
    context.commit(changes, action, &[("package", &writer.subject(&about.join(",")))])?;
    Ok(done(201))
}

fn done(code: u16) -> Answer {
    status(code, &json!({ "ok": true }))
}

/// A package as it is before the change.
struct Package<'a> {
    writer: &'a Writer<'a>,
    versions: BTreeMap<String, Artifact>,
    /// The dist-tags that clients set.
    tags: BTreeMap<String, String>,
    /// Those that are shown, with a `latest` in any case.
    shown: BTreeMap<String, String>,
    revision: String,
}

impl<'a> Package<'a> {
    fn read(writer: &'a Writer<'a>) -> Result<Package<'a>, Stop> {
        let (context, repository, name) = (writer.context, writer.hosted.name.as_str(), writer.name.as_str());
        let versions = hosted::published(context, repository, name)?;
        if versions.is_empty() {
            return Err(refusal(404, "not_found", &format!("{name} is not in {repository}")).into());
        }
        let held = packument::held(context, Some(repository), name)?;
        let shown = packument::dist_tags(context, Some(repository), name, &held)?;
        let revision = packument::revision(&held, &shown);
        let shown = shown.into_iter().map(|(tag, version)| (tag, version.to_owned())).collect();
        let tags = hosted::tags(context, repository, name)?;
        Ok(Package { writer, versions, tags, shown, revision })
    }

    /// Turns away a change of what it was before.
    fn must_be_at(&self, revision: Option<&str>) -> Result<(), Stop> {
        if revision.is_none_or(|revision| revision == self.revision) {
            return Ok(());
        }
        let message = "Document update conflict: the package was changed meanwhile; try again";
        Err(refusal(409, "conflict", message).into())
    }

    /// The tags that are not so yet.
    fn set_tags(&self, tags: &BTreeMap<String, String>) -> Result<Vec<Change>, Stop> {
        let mut changes = Vec::new();
        for (tag, version) in tags.iter().filter(|(tag, version)| self.shown.get(*tag) != Some(version)) {
            if !self.versions.contains_key(version) {
                let message = format!("{}@{version} is not in {}", self.writer.name, self.writer.hosted.name);
                return Err(refusal(404, "not_found", &message).into());
            }
            let reference = reference(self.writer, tag, version);
            NpmAdmit.admit_ref(&reference).map_err(|problem| {
                bad_request(&problem.causes.first().cloned().unwrap_or(problem.message))
            })?;
            changes.push(Change::SetRef(reference));
        }
        Ok(changes)
    }

    /// The artifact as deprecated, or not, as the client wrote its object; `None`: as it is.
    fn deprecated(&self, artifact: &Artifact, written: &str) -> Result<Option<Artifact>, Stop> {
        let context = self.writer.context;
        let mut artifact = artifact.clone();
        let Some(manifest) = artifact.files.iter_mut().find(|file| file.role == "manifest") else {
            return Ok(None);
        };
        let bytes = context.read(&manifest.blob, VERSION_OBJECT_LIMIT)?;
        let held = std::str::from_utf8(&bytes).unwrap_or_default();
        let message = deprecation(written)?;
        if deprecation(held)? == message {
            return Ok(None);
        }
        let mut members = splice::members(held).unwrap_or_default();
        members.retain(|(key, _)| key != "deprecated");
        let message = message.map(|message| Value::from(message).to_string());
        members.extend(message.as_deref().map(|message| ("deprecated".to_owned(), message)));
        let object = Bytes::from(splice::object(&members));
        if object.len() as u64 > VERSION_OBJECT_LIMIT {
            return Err(bad_request("the message is too long").into());
        }
        (manifest.blob, manifest.size) = (context.take_in(&object)?, object.len() as u64);
        Ok(Some(artifact))
    }
}

/// What a version's object says of its deprecation, if it is deprecated.
fn deprecation(object: &str) -> Result<Option<String>, Answer> {
    let members = splice::members(object)
        .map_err(|error| bad_request(&format!("a version in the document is no object: {error}")))?;
    let message =
        splice::last(&members, "deprecated").and_then(|value| serde_json::from_str::<String>(value).ok());
    Ok(message.filter(|message| !message.is_empty()))
}
