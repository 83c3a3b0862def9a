//! Manifests that clients push: kept as they are, byte for byte, with what they name of what the repository has.

use bundle_format::{Artifact, BlobKey, Digest, File, Ref};
use bytes::Bytes;
use http::header::{CONTENT_TYPE, HeaderName};
use url::form_urlencoded;

use super::hosting::{Writer, header};
use super::manifest::{self, Descriptor, Manifest};
use super::reference::{check_tag, read_digest};
use super::refusal::{Code, refuse, refuse_as};
use super::{SCHEMA, record, upload};
use crate::ecosystem::Answer;
use crate::ecosystem::template::Template;
use crate::problem::Problem;
use crate::store::{Change, has_digest};

/// Says that what the manifest is about was understood.
const SUBJECT: HeaderName = HeaderName::from_static("oci-subject");
/// Says which tags were set.
const TAG: HeaderName = HeaderName::from_static("oci-tag");
/// The most tags that one request sets.
const MOST_TAGS: usize = 100;

/// `PUT …/manifests/…`: by tag, or by digest with any number of tags (`?tag=`).
pub(super) fn put(writer: &Writer<'_>) -> Result<Answer, Problem> {
    let (asked, name, context) = (&writer.asked, &writer.name, writer.context);
    let bytes = &asked.request.body;
    let (digest, tags) = match wanted(writer, bytes)? {
        Ok(wanted) => wanted,
        Err(refusal) => return Ok(refusal),
    };
    let media_type = asked.request.headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok());
    let manifest = match Manifest::read(bytes, media_type.unwrap_or_default()) {
        Ok(manifest) => manifest,
        Err(why) => return Ok(refuse(Code::ManifestInvalid, &why)),
    };
    let _alone = context.alone()?;
    if bytes.len() as u64 > context.room_for(writer.hosted, &BlobKey::of(bytes))? {
        return Ok(upload::too_large(writer));
    }
    let key = context.take_in(bytes)?;
    let artifact = match artifact(writer, &digest, &manifest, key, bytes.len() as u64, None)? {
        Ok(artifact) => artifact,
        Err(why) => return Ok(refuse(Code::ManifestInvalid, &why)),
    };
    let set = |tag: &String| {
        Change::SetRef(Ref {
            ecosystem: artifact.ecosystem.clone(),
            repository: artifact.repository.clone(),
            name: artifact.name.clone(),
            label: tag.clone(),
            version: artifact.version.clone(),
        })
    };
    let mut changes: Vec<Change> = tags.iter().map(set).collect();
    changes.insert(0, Change::Link(artifact));
    changes.extend(completed(writer, Brought::Manifest(&digest, bytes.len() as u64))?);
    let image = format!("{name}@{digest}");
    context.commit(changes, "push", &[("image", &image), ("tags", &tags.join(" "))])?;
    let mut answer = writer.created("manifests", &digest);
    if let Some(subject) = &manifest.subject {
        header(&mut answer, SUBJECT, &subject.digest.to_string());
    }
    if asked.parameter("tag").is_some() {
        header(&mut answer, TAG, &tags.join(", "));
    }
    Ok(answer)
}

/// The digest and the tags under which a manifest is pushed; or why it is refused.
type Wanted = Result<(Digest, Vec<String>), Answer>;

fn wanted(writer: &Writer<'_>, bytes: &Bytes) -> Result<Wanted, Problem> {
    let reference = writer.asked.capture("reference");
    if !reference.contains(':') {
        return Ok(match check_tag(reference) {
            Ok(()) => Ok((BlobKey::of(bytes).into(), vec![reference.to_owned()])),
            Err(why) => Err(refuse(Code::ManifestInvalid, &why)),
        });
    }
    let digest = match read_digest(reference) {
        Ok(digest) => digest,
        Err(why) => return Ok(Err(refuse(Code::DigestInvalid, &why))),
    };
    if !has_digest(bytes, &digest)? {
        return Ok(Err(refuse(Code::DigestInvalid, &format!("the manifest is not {digest}"))));
    }
    let query = form_urlencoded::parse(writer.asked.request.query.as_bytes());
    let tags: Vec<String> =
        query.filter(|(key, _)| key == "tag").map(|(_, tag)| tag.into_owned()).take(MOST_TAGS + 1).collect();
    if tags.len() > MOST_TAGS {
        let message = format!("more than {MOST_TAGS} tags are not set at once");
        return Ok(Err(refuse_as(414, Code::ManifestInvalid, &message)));
    }
    Ok(match tags.iter().try_for_each(|tag| check_tag(tag)) {
        Ok(()) => Ok((digest, tags)),
        Err(why) => Err(refuse(Code::ManifestInvalid, &why)),
    })
}

/// What a request brings, which the repository does not show yet.
#[derive(Clone, Copy)]
pub(super) enum Brought<'a> {
    /// A blob and its size.
    Blob(&'a Digest, BlobKey, u64),
    /// An entry of indexes and its size.
    Manifest(&'a Digest, u64),
}

/// The record of a manifest with what the repository has of what it names; what it has not is recorded as absent. `Err`
/// says what is wrong with it.
fn artifact(
    writer: &Writer<'_>,
    digest: &Digest,
    manifest: &Manifest,
    key: BlobKey,
    size: u64,
    brought: Option<Brought<'_>>,
) -> Result<Result<Artifact, String>, Problem> {
    let (asked, name) = (&writer.asked, &writer.name);
    let own = File {
        role: record::MANIFEST.to_owned(),
        path: record::manifest_path(&name.path, digest),
        blob: key,
        size,
        media_type: manifest.media_type.clone(),
        checksums: checksums(digest),
        origin: String::new(),
    };
    let (mut files, mut keys, mut absent) = (vec![own], Vec::new(), Vec::new());
    for (role, part) in record::parts(manifest) {
        let path = record::blob_path(&name.path, &part.digest);
        // Only what this repository has: that the store has it for another one is none of the client's business.
        let found = match (brought, asked.file(name, &path, &[record::CONFIG, record::LAYER])?) {
            (Some(Brought::Blob(digest, blob, size)), _) if *digest == part.digest => Some((blob, size)),
            (_, Some(found)) => Some((found.file.blob, found.file.size)),
            (_, None) => asked.context.deposit(&name.registry, &name.path, &part.digest.to_string())?,
        };
        let Some((blob, size)) = found else {
            absent.push(&part.digest);
            continue;
        };
        if size != part.size {
            return Ok(Err(differs(part, size)));
        }
        keys.push(blob);
        files.push(File {
            role: role.to_owned(),
            path,
            blob,
            size,
            media_type: part.media_type.clone(),
            checksums: checksums(&part.digest),
            origin: String::new(),
        });
    }
    for entry in &manifest.manifests {
        let path = record::manifest_path(&name.path, &entry.digest);
        let size = match (brought, asked.file(name, &path, &[record::MANIFEST])?) {
            (Some(Brought::Manifest(digest, size)), _) if *digest == entry.digest => size,
            (_, Some(found)) => found.file.size,
            (_, None) => {
                absent.push(&entry.digest);
                continue;
            }
        };
        if size != entry.size {
            return Ok(Err(differs(entry, size)));
        }
    }
    if !writer.context.hold(&keys)? {
        return Ok(Err("a blob that it names was deleted just now; push again".to_owned()));
    }
    Ok(Ok(Artifact {
        ecosystem: "oci".to_owned(),
        repository: name.registry.clone(),
        name: name.path.clone(),
        version: digest.to_string(),
        qualifier: String::new(),
        schema: SCHEMA.to_owned(),
        attributes: record::attributes(manifest, &absent),
        requires: record::requires(&name.path, manifest, &absent),
        files,
    }))
}

fn differs(part: &Descriptor, size: u64) -> String {
    format!("{} has {size} bytes, and not {}", part.digest, part.size)
}

/// What is recorded besides the key, which is a digest itself.
fn checksums(digest: &Digest) -> Vec<Digest> {
    if digest.blob_key().is_some() { Vec::new() } else { vec![digest.clone()] }
}

/// Completes manifests that came before what they name, so that it stays as long as they do. It is committed together with
/// what is brought: if only that were, nobody would bring it again.
pub(super) fn completed(writer: &Writer<'_>, brought: Brought<'_>) -> Result<Vec<Change>, Problem> {
    let (asked, name) = (&writer.asked, &writer.name);
    let (Brought::Blob(digest, ..) | Brought::Manifest(digest, _)) = brought;
    let key = format!("oci awaited {name}");
    let awaited = asked.context.derived(&key, "", &mut || awaited(writer).map(Some))?.unwrap_or_default();
    let wanted = format!("{digest} ");
    let lines = std::str::from_utf8(&awaited).unwrap_or_default().lines();
    let mut changes = Vec::new();
    for version in lines.filter_map(|line| line.strip_prefix(&wanted)) {
        let Ok(version) = read_digest(version) else { continue };
        let path = record::manifest_path(&name.path, &version);
        let Some(file) = asked.file(name, &path, &[record::MANIFEST])?.map(|found| found.file) else {
            continue;
        };
        let bytes = asked.context.read(&file.blob, manifest::LARGEST)?;
        let Ok(manifest) = Manifest::read(&bytes, &file.media_type) else { continue };
        if let Ok(whole) = artifact(writer, &version, &manifest, file.blob, file.size, Some(brought))? {
            changes.push(Change::Link(whole));
        }
    }
    Ok(changes)
}

/// What manifests of the repository lack: a line for each with its digest and that of the manifest. It is kept, because to
/// find it out all records of the repository have to be read.
fn awaited(writer: &Writer<'_>) -> Result<Template, Problem> {
    let held = writer.asked.context.artifacts(Some(&writer.name.registry), &writer.name.path)?;
    let mut document = Template::default();
    // Nothing empty is kept.
    document.push_str("part manifest\n");
    for artifact in held.iter().map(|linked| &linked.artifact).filter(|artifact| artifact.schema == SCHEMA) {
        for digest in record::absent(artifact).unwrap_or_default() {
            document.push_str(&format!("{digest} {}\n", artifact.version));
        }
    }
    Ok(document)
}
