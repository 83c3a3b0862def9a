//! The registry that docker, containerd, podman and others pull from.
//!
//! Manifests and blobs are sent as they came, under the digests that clients know them by. Either is sent only where the
//! very repository that is asked has it: who may read one repository has not thereby a right to what another one holds.

use bundle_format::Digest;
use bytes::Bytes;
use http::header::{HeaderMap, HeaderName, HeaderValue};
use url::form_urlencoded;

use super::reference::{Name, check_tag, read_digest};
use super::refusal::{Code, JSON, of_server, refuse};
use super::{address, lists, record, referrers};
use crate::ecosystem::{Answer, ClientRequest, Content, Route, Serve, ServeContext};
use crate::problem::Problem;
use crate::store::FoundFile;

/// Serves clients of registries.
pub(super) struct OciServe;

/// Everything has a route for GET, so that whoever wants to write is told that it is not supported.
static ROUTES: &[Route] = &[
    get("", "version"),
    get("_catalog", "catalogue"),
    get("{name...}/tags/list", "tags"),
    get("{name...}/manifests/{reference}", "manifest"),
    get("{name...}/blobs/{digest}", "blob"),
    get("{name...}/referrers/{digest}", "referrers"),
    get("{path...}", "unknown"),
    get("{path...}/", "unknown"),
];

const fn get(pattern: &'static str, action: &'static str) -> Route {
    Route { method: "GET", pattern, action }
}

const API_VERSION: HeaderName = HeaderName::from_static("docker-distribution-api-version");
const CONTENT_DIGEST: HeaderName = HeaderName::from_static("docker-content-digest");
const NAMESPACE: HeaderName = HeaderName::from_static("oci-namespace");

impl Serve for OciServe {
    fn prefix(&self) -> &'static str {
        "v2"
    }

    fn names_repository_first(&self) -> bool {
        false
    }

    fn place(&self, repository: Option<&str>) -> String {
        repository.map(|registry| format!("{}/", address::segment(registry))).unwrap_or_default()
    }

    fn routes(&self) -> &'static [Route] {
        ROUTES
    }

    fn handle(&self, request: &ClientRequest, context: &dyn ServeContext) -> Result<Answer, Problem> {
        let asked = Asked::of(request, context);
        let mut answer = asked.answer()?;
        // By this header old clients know a registry.
        answer.headers.insert(API_VERSION, HeaderValue::from_static("registry/2.0"));
        if let Some(namespace) = asked.namespace.as_deref().and_then(|one| HeaderValue::try_from(one).ok()) {
            answer.headers.insert(NAMESPACE, namespace);
        }
        Ok(answer)
    }

    fn is_greeting(&self, action: &str) -> bool {
        action == "version"
    }

    fn scope(&self, captures: &[(&'static str, String)]) -> String {
        let name = captures.iter().find(|(key, _)| *key == "name").map(|(_, name)| name);
        // What stands in quotes there must not end them.
        let name = name.filter(|name| address::read(name, None).is_ok());
        name.map(|name| format!("repository:{name}:pull,push")).unwrap_or_default()
    }

    /// Only `Bearer`: docker without credentials gives up where a `Basic` stands beside it.
    fn challenge(&self, origin: &str, scope: &str) -> String {
        let service = origin.split_once("://").map_or(origin, |(_, host)| host);
        let scope = if scope.is_empty() { String::new() } else { format!(",scope=\"{scope}\"") };
        format!("Bearer realm=\"{origin}/-/token\",service=\"{service}\"{scope}")
    }

    fn error(&self, status: u16, message: &str) -> Bytes {
        of_server(status, message)
    }
}

/// A request with what it takes to answer it.
pub(super) struct Asked<'a> {
    request: &'a ClientRequest,
    pub(super) context: &'a dyn ServeContext,
    /// The registry, where the client named it in the query or the mount is for that one alone.
    pub(super) namespace: Option<String>,
}

impl<'a> Asked<'a> {
    fn of(request: &'a ClientRequest, context: &'a dyn ServeContext) -> Asked<'a> {
        let mut asked = Asked { request, context, namespace: None };
        asked.namespace = asked.parameter("ns").or_else(|| request.repository.clone());
        asked
    }

    fn capture(&self, name: &str) -> &'a str {
        self.request.captures.iter().find(|(key, _)| *key == name).map_or("", |(_, value)| value)
    }

    /// A parameter of the query, decoded.
    pub(super) fn parameter(&self, name: &str) -> Option<String> {
        let mut all = form_urlencoded::parse(self.request.query.as_bytes());
        all.find(|(key, _)| key == name).map(|(_, value)| value.into_owned())
    }

    /// The Link to the next page, at a path below the mount; with the namespace, as clients may not add it.
    pub(super) fn next(&self, path: &str, parameters: &[(&str, &str)]) -> Option<HeaderValue> {
        let mut query = form_urlencoded::Serializer::new(String::new());
        query.extend_pairs(parameters);
        if let Some(namespace) = self.parameter("ns") {
            query.append_pair("ns", &namespace);
        }
        let (_, below) = self.request.base.split_once("://")?;
        let root = below.find('/').and_then(|slash| below.get(slash..))?;
        HeaderValue::try_from(format!("<{root}{path}?{}>; rel=\"next\"", query.finish())).ok()
    }

    fn answer(&self) -> Result<Answer, Problem> {
        match self.request.action {
            "version" => return Ok(document(JSON, Bytes::from_static(b"{}"))),
            "catalogue" => return lists::catalogue(self),
            "unknown" => return Ok(refuse(Code::Unsupported, "this mirror has nothing at that address")),
            _ => {}
        }
        let written = self.capture("name");
        let name = match address::read(written, self.namespace.as_deref()) {
            Ok(name) => name,
            Err(why) => return Ok(refuse(Code::NameInvalid, &why)),
        };
        match self.request.action {
            "tags" => lists::tags(self, &name, written),
            "manifest" => self.manifest(&name, self.capture("reference")),
            "blob" => self.blob(&name, self.capture("digest")),
            _ => referrers::answer(self, &name, written, self.capture("digest")),
        }
    }

    fn manifest(&self, name: &Name, reference: &str) -> Result<Answer, Problem> {
        let is_digest = reference.contains(':');
        let digest = if is_digest {
            match read_digest(reference) {
                Ok(digest) => Some(digest),
                Err(why) => return Ok(refuse(Code::DigestInvalid, &why)),
            }
        } else {
            self.tagged(name, reference)?
        };
        let found = match &digest {
            Some(digest) => {
                self.file(name, &record::manifest_path(&name.path, digest), &[record::MANIFEST])?
            }
            None => None,
        };
        match (found, digest) {
            (Some(found), Some(digest)) => {
                let media_type = found.file.media_type.clone();
                // What a digest names is the same for ever; a tag moves with an import, and its reader comes right after.
                Ok(Answer { lasting: is_digest, ..blob(&found, media_type, &digest) })
            }
            _ => self.missing(name, reference),
        }
    }

    /// What a tag points at. Where several channels set it, the one with precedence counts.
    fn tagged(&self, name: &Name, tag: &str) -> Result<Option<Digest>, Problem> {
        if check_tag(tag).is_err() {
            return Ok(None);
        }
        let refs = self.context.refs(Some(&name.registry), &name.path, Some(tag))?;
        Ok(refs.first().and_then(|linked| read_digest(&linked.reference.version).ok()))
    }

    fn blob(&self, name: &Name, digest: &str) -> Result<Answer, Problem> {
        let digest = match read_digest(digest) {
            Ok(digest) => digest,
            Err(why) => return Ok(refuse(Code::DigestInvalid, &why)),
        };
        let roles = &[record::CONFIG, record::LAYER];
        match self.file(name, &record::blob_path(&name.path, &digest), roles)? {
            // A blob may be named under several media types, and is only bytes.
            Some(found) => {
                let media_type = "application/octet-stream".to_owned();
                Ok(Answer { lasting: true, ..blob(&found, media_type, &digest) })
            }
            None => Ok(refuse(Code::BlobUnknown, &format!("{name} has no blob {digest} in this mirror"))),
        }
    }

    /// The file of a repository at a path. A path is only a string to the store: the file must be this repository's own.
    pub(super) fn file(&self, name: &Name, path: &str, roles: &[&str]) -> Result<Option<FoundFile>, Problem> {
        let found = self.context.file_at(Some(&name.registry), path)?;
        Ok(found.filter(|found| found.name == name.path && roles.contains(&found.file.role.as_str())))
    }

    /// Whether there is anything of a repository.
    pub(super) fn holds(&self, name: &Name) -> Result<bool, Problem> {
        // Names are had in byte order after one of them: after what stands right before this one comes this one.
        let mut before = name.path.clone();
        let last = before.pop().and_then(|last| char::from_u32(u32::from(last).saturating_sub(1)));
        before.extend(last);
        before.push(char::MAX);
        Ok(self.context.names(Some(&name.registry), &before, 1)?.first() == Some(&name.path))
    }

    /// Says that a manifest is not here, and remembers that it was wanted.
    fn missing(&self, name: &Name, reference: &str) -> Result<Answer, Problem> {
        let image = match reference.contains(':') {
            true => format!("{name}@{reference}"),
            false if check_tag(reference).is_err() => {
                return Ok(refuse(Code::ManifestUnknown, &format!("{reference:?} is not a tag")));
            }
            false => format!("{name}:{reference}"),
        };
        // Under such tags clients look for signatures of whatever they pull, and mostly there are none.
        if !reference.starts_with("sha256-") && !reference.starts_with("sha512-") {
            self.context.missed(Some(&name.registry), &name.path, reference);
        }
        let code = if self.holds(name)? { Code::ManifestUnknown } else { Code::NameUnknown };
        let help = format!(
            "{image} is not in this mirror; collect it outside (docker:{image}) and import the bundle"
        );
        Ok(refuse(code, &help))
    }
}

fn blob(found: &FoundFile, media_type: String, digest: &Digest) -> Answer {
    let mut headers = HeaderMap::new();
    if let Ok(digest) = HeaderValue::try_from(digest.to_string()) {
        headers.insert(CONTENT_DIGEST, digest);
    }
    let content = Content::Blob { key: found.file.blob, size: found.file.size, media_type };
    Answer { content, headers, lasting: false }
}

/// A document that stands in memory.
pub(super) fn document(media_type: &'static str, body: Bytes) -> Answer {
    Answer::from(Content::Document { media_type, body, vary: "" })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clients_are_told_where_to_get_a_token() {
        let about = |name: &str| OciServe.scope(&[("reference", "1".to_owned()), ("name", name.to_owned())]);
        let challenge = OciServe.challenge("https://mirror.example.test:2385", &about("team/app"));
        assert_eq!(
            challenge,
            "Bearer realm=\"https://mirror.example.test:2385/-/token\",service=\"mirror.example.test:2385\",\
             scope=\"repository:team/app:pull,push\""
        );
        let greeting = OciServe.challenge("http://a", &OciServe.scope(&[]));
        assert_eq!(greeting, "Bearer realm=\"http://a/-/token\",service=\"a\"");
        for hostile in ["a\"b", "a\",realm=\"http://evil.test", "A", ""] {
            assert_eq!(about(hostile), "", "{hostile}");
        }
    }
}
