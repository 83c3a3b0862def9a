//! What says something of a manifest: signatures, attestations, bills of materials.

use bundle_format::Digest;
use bytes::Bytes;
use http::header::{HeaderName, HeaderValue, LINK};
use serde_json::{Value, json};

use super::manifest::{self, Manifest, OCI_INDEX};
use super::reference::{Name, read_digest};
use super::refusal::{Code, refuse};
use super::serve::{Asked, document};
use super::{SCHEMA, record};
use crate::ecosystem::Answer;
use crate::ecosystem::template::Template;
use crate::problem::Problem;

/// The largest index of one page in bytes: clients need not read larger manifests.
const LARGEST: usize = manifest::LARGEST as usize;
/// How many bytes of manifests are read for one page.
const MOST_READ: u64 = 64 * 1024 * 1024;

const FILTERS_APPLIED: HeaderName = HeaderName::from_static("oci-filters-applied");
const FILTER: &str = "artifactType";

/// An index of what refers to a digest; an empty one where nothing does. `written` is the repository's name as the client
/// wrote it.
///
/// # Errors
/// If the store cannot be read.
pub(super) fn answer(asked: &Asked<'_>, name: &Name, written: &str, digest: &str) -> Result<Answer, Problem> {
    let digest = match read_digest(digest) {
        Ok(digest) => digest,
        Err(why) => return Ok(refuse(Code::DigestInvalid, &why)),
    };
    let filter = asked.parameter(FILTER).filter(|filter| !filter.is_empty());
    let after = asked.parameter("last").unwrap_or_default();
    let mut index = format!(r#"{{"schemaVersion":2,"mediaType":"{OCI_INDEX}","manifests":["#);
    let (mut read, mut last, mut next) = (0, None, None);
    for referrer in to(asked, name, &digest)?.into_iter().filter(|referrer| *referrer > after) {
        if read > MOST_READ {
            next = last;
            break;
        }
        let Some((manifest, size)) = load(asked, name, &referrer)? else { continue };
        read += size;
        if filter.as_ref().is_none_or(|filter| *filter == manifest.artifact_type) {
            let descriptor = descriptor(&manifest, &referrer, size).to_string();
            let is_first = index.ends_with('[');
            // One that is too large alone comes alone.
            if !is_first && index.len() + descriptor.len() + 3 > LARGEST {
                next = last;
                break;
            }
            if !is_first {
                index.push(',');
            }
            index.push_str(&descriptor);
        }
        last = Some(referrer);
    }
    index.push_str("]}");
    let mut answer = document(OCI_INDEX, Bytes::from(index));
    if filter.is_some() {
        answer.headers.insert(FILTERS_APPLIED, HeaderValue::from_static(FILTER));
    }
    if let Some(last) = next {
        let mut parameters = vec![("last", last.as_str())];
        parameters.extend(filter.as_deref().map(|filter| (FILTER, filter)));
        let path = format!("{written}/referrers/{digest}");
        answer.headers.extend(asked.next(&path, &parameters).map(|link| (LINK, link)));
    }
    Ok(answer)
}

/// The digests of the manifests that refer to one, in byte order.
fn to(asked: &Asked<'_>, name: &Name, digest: &Digest) -> Result<Vec<String>, Problem> {
    let key = format!("oci subjects {name}");
    let subjects = asked.context.derived(&key, "", &mut || subjects(asked, name).map(Some))?;
    let subjects = subjects.unwrap_or_default();
    let subject = format!("{digest} ");
    let lines = std::str::from_utf8(&subjects).unwrap_or_default().lines();
    Ok(lines.filter_map(|line| line.strip_prefix(&subject)).map(str::to_owned).collect())
}

/// All that refers to anything in a repository: a line for each with what it refers to and its own digest, in order. It is
/// kept, because to find it out all records of the repository have to be read.
fn subjects(asked: &Asked<'_>, name: &Name) -> Result<Template, Problem> {
    let held = asked.context.artifacts(Some(&name.registry), &name.path)?;
    let admitted = held.iter().map(|linked| &linked.artifact).filter(|artifact| artifact.schema == SCHEMA);
    let mut lines: Vec<String> = admitted
        .filter_map(|artifact| Some(format!("{} {}\n", record::subject(artifact)?, artifact.version)))
        .collect();
    lines.sort_unstable();
    lines.dedup();
    let mut document = Template::default();
    // Nothing empty is kept.
    document.push_str("subject referrer\n");
    lines.iter().for_each(|line| document.push_str(line));
    Ok(document)
}

/// A manifest that is held, with its size.
fn load(asked: &Asked<'_>, name: &Name, digest: &str) -> Result<Option<(Manifest, u64)>, Problem> {
    let Ok(digest) = read_digest(digest) else { return Ok(None) };
    let found = asked.file(name, &record::manifest_path(&name.path, &digest), &[record::MANIFEST])?;
    let Some(file) = found.map(|found| found.file) else { return Ok(None) };
    let bytes = asked.context.read(&file.blob, manifest::LARGEST)?;
    Ok(Manifest::read(&bytes, &file.media_type).ok().map(|manifest| (manifest, file.size)))
}

/// The entry of a referrer, with what its author says of it pulled up.
fn descriptor(manifest: &Manifest, digest: &str, size: u64) -> Value {
    let mut descriptor = json!({ "mediaType": manifest.media_type, "digest": digest, "size": size });
    if let Some(members) = descriptor.as_object_mut() {
        if !manifest.artifact_type.is_empty() {
            members.insert(FILTER.to_owned(), json!(manifest.artifact_type));
        }
        if !manifest.annotations.is_empty() {
            members.insert("annotations".to_owned(), json!(manifest.annotations));
        }
    }
    descriptor
}
