//! `npm publish`: one version with its tarball, in a document that says what it is.

use bundle_format::{BlobKey, Digest, Ref};
use bytes::Bytes;
use serde_json::json;

use super::admit::NpmAdmit;
use super::host::{SCOPE, Writer, bad_request, forbidden};
use super::publication::Publication;
use super::serve::status;
use super::version::Version;
use super::version_object::VersionObject;
use super::written::Written;
use super::{hosted, integrity, names, revise, tarball};
use crate::clock;
use crate::ecosystem::host::{Stop, Upload};
use crate::ecosystem::{Admit as _, Answer};
use crate::store::{Change, Source};

/// Goes on with a document of which all came, and the tarball in it.
pub(super) fn received(writer: &Writer<'_>, upload: Upload) -> Result<Answer, Stop> {
    let written = Written::read(&writer.request.body)?;
    if !written.has_tarball {
        return revise::changed(writer, &written);
    }
    let given = Given::read(writer, &written)?;
    given.must_be_new()?;
    let (context, whose) = (writer.context, (writer.hosted, SCOPE));
    let Some((key, size)) = context.finish_upload(whose, upload, &given.digests)? else {
        let message = "the tarball is not what dist.integrity and dist.shasum say, or was damaged on the way";
        return Err(bad_request(message).into());
    };
    given.must_be_of(&key)?;
    given.take(key, size)
}

/// A version that is to be published.
struct Given<'a> {
    writer: &'a Writer<'a>,
    version: &'a str,
    /// Its object, as it was written.
    text: &'a str,
    object: VersionObject,
    /// What has to hold for its tarball.
    digests: Vec<Digest>,
    /// The tags that it gets.
    tags: Vec<&'a str>,
}

impl<'a> Given<'a> {
    fn read(writer: &'a Writer<'a>, written: &'a Written<'a>) -> Result<Given<'a>, Answer> {
        if written.name != writer.name {
            let message =
                format!("the document is about {:?}, and its address about {}", written.name, writer.name);
            return Err(bad_request(&message));
        }
        let mut versions = written.versions.iter();
        let (Some((version, text)), None) = (versions.next(), versions.next()) else {
            return Err(bad_request("a document that publishes has one version in it"));
        };
        let object = VersionObject::read(text, &writer.name, version, &"what was published")
            .map_err(|problem| bad_request(&problem.message))?;
        let published = object.integrity.as_deref().map(integrity::read).unwrap_or_default();
        let shasum = object.shasum.as_deref().and_then(integrity::read_shasum);
        // Where npm would take any of several, nobody could say which one the tarball was meant to have.
        let Ok(digests) = integrity::join(&published, &shasum.into_iter().collect::<Vec<_>>()) else {
            return Err(bad_request("dist.integrity and dist.shasum contradict each other"));
        };
        if !digests.iter().any(Digest::is_strong) {
            return Err(bad_request("dist.integrity has to say a sha512 of the tarball"));
        }
        let tags = written.tags.iter().filter(|(_, target)| *target == version).map(|(tag, _)| tag.as_str());
        Ok(Given { writer, version, text, object, digests, tags: tags.collect() })
    }

    /// Turns away a version that is there, or a name that is another's.
    fn must_be_new(&self) -> Result<(), Stop> {
        let Writer { context, hosted, name, .. } = self.writer;
        let held = hosted::published(*context, &hosted.name, name)?;
        if held.contains_key(self.version) {
            let message =
                format!("You cannot publish over the previously published versions: {}.", self.version);
            return Err(forbidden(&message).into());
        }
        let path = names::tarball_path(name, self.version);
        if context.former_file_at(Some(&hosted.name), &path)?.is_some() {
            let message = format!(
                "You cannot publish over the previously published versions: {} was unpublished, and whoever has it would have another",
                self.version
            );
            return Err(forbidden(&message).into());
        }
        let is_mirrored = |context: &dyn crate::ecosystem::ServeContext| -> Result<bool, Stop> {
            let all = context.artifacts(None, name)?;
            Ok(all.iter().any(|one| one.source != Source::Hosted))
        };
        if held.is_empty() && !hosted.owns(name) && is_mirrored(*context)? {
            let message = format!(
                "{name} is a package of a mirror here, which this would hide from everybody; whoever runs this site can make \
                 the name this repository's with `packages` in [[hosted]] of site.toml"
            );
            return Err(forbidden(&message).into());
        }
        Ok(())
    }

    /// Turns away a tarball that says that it is something else.
    fn must_be_of(&self, key: &BlobKey) -> Result<(), Stop> {
        let found = tarball::identity(self.writer.context.open(key)?)
            .map_err(|error| bad_request(&format!("the tarball cannot be read: {error}")))?;
        // The version in the document was cleaned by the client: `v1.0` is `1.0.0` there.
        let same_version = match (Version::parse(&found.version), Version::parse(self.version)) {
            (Some(found), Some(version)) => found.cmp(&version).is_eq(),
            _ => false,
        };
        if found.name != self.writer.name || !same_version {
            let message = format!(
                "the package.json in the tarball is that of {:?} {:?}, and not of {} {}",
                found.name, found.version, self.writer.name, self.version
            );
            return Err(bad_request(&message).into());
        }
        Ok(())
    }

    /// Lists the version, at once.
    fn take(&self, tarball: BlobKey, size: u64) -> Result<Answer, Stop> {
        let Writer { context, hosted, name, .. } = self.writer;
        let text = Bytes::copy_from_slice(self.text.as_bytes());
        let manifest = context.take_in(&text)?;
        let publication = Publication {
            repository: &hosted.name,
            name,
            version: self.version,
            object: &self.object,
            manifest: (manifest, text.len() as u64),
            tarball: (tarball, size),
            digests: &self.digests,
            time: Some(clock::now_text()),
        };
        let artifact = publication.artifact();
        let refuse = |problem: crate::problem::Problem| {
            bad_request(&problem.causes.first().cloned().unwrap_or(problem.message))
        };
        NpmAdmit.admit(&artifact, &mut |_| Ok(text.clone())).map_err(refuse)?;
        let refs: Vec<Ref> =
            self.tags.iter().map(|tag| revise::reference(self.writer, tag, self.version)).collect();
        refs.iter().try_for_each(|reference| NpmAdmit.admit_ref(reference).map_err(refuse))?;
        let _alone = context.alone()?;
        self.must_be_new()?;
        let needed = artifact.files.iter().map(|file| file.size).sum::<u64>();
        let room = context.room_for(hosted, &tarball)?.min(context.room_for(hosted, &manifest)?);
        if needed > room {
            return Err(self.writer.too_large().into());
        }
        let mut changes = vec![Change::Link(artifact)];
        changes.extend(refs.into_iter().map(Change::SetRef));
        context.commit(changes, "push", &[("package", &self.writer.subject(self.version))])?;
        let id = format!("{name}@{}", self.version);
        Ok(status(201, &json!({ "ok": true, "id": id, "success": true })))
    }
}
