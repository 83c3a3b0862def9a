//! The registry that docker, containerd, podman and others pull from.
//!
//! Manifests and blobs are sent as they came, under the digests that clients know them by. Either is sent only where the
//! very repository that is asked has it: who may read one repository has not thereby a right to what another one holds.

use bundle_format::Digest;
use bytes::Bytes;
use http::header::{HeaderMap, HeaderName, HeaderValue, WWW_AUTHENTICATE};
use url::form_urlencoded;

use super::reference::{Name, check_tag, read_digest};
use super::refusal::{Code, JSON, of_server, refuse};
use super::{address, hosting, lists, manifest, record, referrers};
use crate::ecosystem::host::Host;
use crate::ecosystem::{Answer, ClientRequest, Content, Route, Serve, ServeContext, Takes};
use crate::problem::Problem;
use crate::store::FoundFile;

/// Serves clients of registries.
pub(super) struct OciServe;

/// Everything has a route for GET, so that whoever asks for what there is not is told so as clients read it.
static ROUTES: &[Route] = &[
    Route::get("", "version"),
    Route::get("_catalog", "catalogue"),
    Route::get("{name...}/tags/list", "tags"),
    Route::get("{name...}/manifests/{reference}", "manifest"),
    Route::get("{name...}/blobs/{digest}", "blob"),
    Route::get("{name...}/referrers/{digest}", "referrers"),
    write(
        "PUT",
        "{name...}/manifests/{reference}",
        hosting::PUT_MANIFEST,
        Takes::Document(manifest::LARGEST as usize),
    ),
    write("DELETE", "{name...}/manifests/{reference}", hosting::DELETE_MANIFEST, Takes::Document(0)),
    write("DELETE", "{name...}/blobs/{digest}", hosting::DELETE_BLOB, Takes::Document(0)),
    write("POST", "{name...}/blobs/uploads/", hosting::BEGIN, Takes::Upload),
    write("POST", "{name...}/blobs/uploads", hosting::BEGIN, Takes::Upload),
    write("PATCH", "{name...}/blobs/uploads/{session}", hosting::CONTINUE, Takes::Upload),
    write("PUT", "{name...}/blobs/uploads/{session}", hosting::FINISH, Takes::Upload),
    write("GET", "{name...}/blobs/uploads/{session}", hosting::STATUS, Takes::Document(0)),
    write("DELETE", "{name...}/blobs/uploads/{session}", hosting::CANCEL, Takes::Document(0)),
    Route::get("{path...}", "unknown"),
    Route::get("{path...}/", "unknown"),
];

const fn write(method: &'static str, pattern: &'static str, action: &'static str, takes: Takes) -> Route {
    Route { method, pattern, action, takes }
}

const API_VERSION: HeaderName = HeaderName::from_static("docker-distribution-api-version");
pub(super) const CONTENT_DIGEST: HeaderName = HeaderName::from_static("docker-content-digest");
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
        introduce(&mut answer);
        if let Some(namespace) = asked.namespace.as_deref().and_then(|one| HeaderValue::try_from(one).ok()) {
            answer.headers.insert(NAMESPACE, namespace);
        }
        Ok(answer)
    }

    fn host(&self) -> Option<&dyn Host> {
        Some(self)
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

/// By this header old clients know a registry.
pub(super) fn introduce(answer: &mut Answer) {
    answer.headers.insert(API_VERSION, HeaderValue::from_static("registry/2.0"));
}

/// A request with what it takes to answer it.
pub(super) struct Asked<'a> {
    pub(super) request: &'a ClientRequest,
    pub(super) context: &'a dyn ServeContext,
    /// The registry, where the client named it in the query or the mount is for that one alone.
    pub(super) namespace: Option<String>,
}

impl<'a> Asked<'a> {
    pub(super) fn of(request: &'a ClientRequest, context: &'a dyn ServeContext) -> Asked<'a> {
        let mut asked = Asked { request, context, namespace: None };
        let namespace = asked.parameter("ns").or_else(|| request.repository.clone());
        // Whoever names this very server asks for what it has, as it has it.
        asked.namespace = namespace.filter(|namespace| namespace != asked.address().0);
        asked
    }

    /// Host and path by which the client reached the mount.
    fn address(&self) -> (&'a str, &'a str) {
        let (_, below) = self.request.base.split_once("://").unwrap_or_default();
        below.split_at(below.find('/').unwrap_or(below.len()))
    }

    /// The path of something below the mount, as clients reach it.
    pub(super) fn location(&self, path: &str) -> Option<HeaderValue> {
        HeaderValue::try_from(format!("{}{path}", self.address().1)).ok()
    }

    /// The repository that a client means. What a hosted one claims never falls through to a mirror; but whoever names
    /// another registry means that one.
    ///
    /// # Errors
    /// What is wrong with it, for a person.
    pub(super) fn name(&self, written: &str) -> Result<Name, String> {
        let (first, below) = written.split_once('/').unwrap_or((written, ""));
        match self.context.hosted(first).filter(|_| self.namespace.is_none()) {
            Some(_) => Name::hosted(first, below),
            None => address::read(written, self.namespace.as_deref()),
        }
    }

    pub(super) fn capture(&self, name: &str) -> &'a str {
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
        let root = self.address().1;
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
        let name = match self.name(written) {
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
    pub(super) fn tagged(&self, name: &Name, tag: &str) -> Result<Option<Digest>, Problem> {
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
            None => match self.context.deposit(&name.registry, &name.path, &digest.to_string())? {
                // It may be taken out again without anybody noticing.
                Some((key, size)) => {
                    let media_type = "application/octet-stream".to_owned();
                    Ok(sent(Content::Blob { key, size, media_type }, &digest))
                }
                None => Ok(refuse(Code::BlobUnknown, &format!("{name} has no blob {digest} here"))),
            },
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
        let code = if self.holds(name)? { Code::ManifestUnknown } else { Code::NameUnknown };
        // Clients look before they push, and nobody outside has what is hosted here.
        if self.context.hosted(&name.registry).is_some() {
            return Ok(refuse(
                code,
                &format!("{image} is not here; nobody has pushed it, or it was deleted"),
            ));
        }
        // Under such tags clients look for signatures of whatever they pull, and mostly there are none.
        if !reference.starts_with("sha256-") && !reference.starts_with("sha512-") {
            self.context.missed(Some(&name.registry), &name.path, reference);
        }
        let help = format!(
            "{image} is not in this mirror; collect it outside (docker:{image}) and import the bundle"
        );
        Ok(refuse(code, &help))
    }
}

fn blob(found: &FoundFile, media_type: String, digest: &Digest) -> Answer {
    sent(Content::Blob { key: found.file.blob, size: found.file.size, media_type }, digest)
}

fn sent(content: Content, digest: &Digest) -> Answer {
    let mut headers = HeaderMap::new();
    if let Ok(digest) = HeaderValue::try_from(digest.to_string()) {
        headers.insert(CONTENT_DIGEST, digest);
    }
    Answer { headers, ..Answer::from(content) }
}

/// A document that stands in memory.
pub(super) fn document(media_type: &'static str, body: Bytes) -> Answer {
    Answer::from(Content::Document { media_type, body, vary: "" })
}

/// Asks a client to say who it is.
pub(super) fn unauthorized(request: &ClientRequest, name: &Name) -> Answer {
    let mut answer = refuse(Code::Unauthorized, &format!("an account is needed to write into {name}"));
    let (scheme, below) = request.base.split_once("://").unwrap_or_default();
    let host = below.split('/').next().unwrap_or_default();
    let challenge = OciServe.challenge(&format!("{scheme}://{host}"), &OciServe.scope(&request.captures));
    answer.headers.extend(HeaderValue::try_from(challenge).ok().map(|value| (WWW_AUTHENTICATE, value)));
    answer
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
