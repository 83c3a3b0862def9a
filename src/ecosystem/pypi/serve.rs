//! The index that pip, uv, poetry and pdm install from.
//!
//! It lists exactly what the store holds. A file stands under its own digest, so that what a client wrote into its lock means
//! the same bytes for ever.

use bundle_format::{BlobKey, File};
use bytes::Bytes;
use http::header::{HeaderValue, LOCATION};
use percent_encoding::percent_decode_str;
use url::Url;

use super::facts::{METADATA, METADATA_END, PROVENANCE, SDIST, WHEEL};
use super::file_name::FileName;
use super::name::Name;
use super::pages::{self, Form};
use super::version::Version;
use super::{host, listed, project_json};
use crate::ecosystem::host::Host;
use crate::ecosystem::template::within_quotes;
use crate::ecosystem::{Answer, ClientRequest, Content, Route, Serve, ServeContext, Takes};
use crate::problem::Problem;
use crate::store::FoundFile;

/// Serves installers.
pub(super) struct PypiServe;

/// What a page depends on besides its address.
const VARY: &str = "Accept, Accept-Encoding";
const TEXT: &str = "text/plain; charset=utf-8";
/// What provenance is served as (PEP 740).
const INTEGRITY: &str = "application/vnd.pypi.integrity.v1+json";

static ROUTES: &[Route] = &[
    Route::get("", "about"),
    Route { method: "POST", pattern: "", action: "upload", takes: Takes::Form(host::CONTENT) },
    Route::get("simple/", "index"),
    Route::get("simple", "about"),
    Route::get("simple/{project}/", "project"),
    Route::get("simple/{project}", "project-without-slash"),
    Route::get("pypi/{project}/json", "project-json"),
    Route::get("pypi/{project}/{version}/json", "version-json"),
    Route::get("files/{digest}/{file}", "file"),
    Route::get("{path...}", "unknown"),
    Route::get("{path...}/", "unknown"),
];

impl Serve for PypiServe {
    fn prefix(&self) -> &'static str {
        "pypi"
    }

    /// An index is called by the place of its pages.
    fn root_of<'a>(&self, path: &'a str) -> &'a str {
        let path = path.trim_end_matches('/');
        path.strip_suffix("/simple").unwrap_or(path)
    }

    /// Indexes and their files often have hosts of their own each.
    fn has_upstream_addresses(&self) -> bool {
        true
    }

    fn routes(&self) -> &'static [Route] {
        ROUTES
    }

    fn host(&self) -> Option<&dyn Host> {
        Some(self)
    }

    fn handle(&self, request: &ClientRequest, context: &dyn ServeContext) -> Result<Answer, Problem> {
        let asked = Asked { request, context, repository: request.repository.as_deref() };
        match request.action {
            "about" => Ok(asked.moved("simple/")),
            "index" => asked.index(),
            "project" | "project-without-slash" => asked.project(asked.capture("project")),
            "project-json" => asked.json(asked.capture("project"), None),
            "version-json" => asked.json(asked.capture("project"), Some(asked.capture("version"))),
            "file" => asked.file(asked.capture("digest"), asked.capture("file")),
            _ => asked.upstream_file(asked.capture("path")),
        }
    }
}

/// A request with what it takes to answer it.
struct Asked<'a> {
    request: &'a ClientRequest,
    context: &'a dyn ServeContext,
    repository: Option<&'a str>,
}

impl Asked<'_> {
    fn capture(&self, name: &str) -> &str {
        self.request.captures.iter().find(|(key, _)| *key == name).map_or("", |(_, value)| value)
    }

    /// By what something derived is kept.
    fn key(&self, what: &str) -> String {
        format!("pypi {what} {}", self.repository.unwrap_or("*"))
    }

    fn index(&self) -> Result<Answer, Problem> {
        let Some(form) = Form::liked(&self.request.headers) else { return Ok(unacceptable()) };
        let make = &mut || pages::index(self.context, self.repository, form).map(Some);
        let page = self.context.derived(&self.key(&format!("index {form:?}")), "", make)?;
        Ok(document(form.media_type(), page.unwrap_or_default()))
    }

    fn project(&self, written: &str) -> Result<Answer, Problem> {
        let Ok(name) = Name::parse(written) else { return Ok(no_such_name()) };
        if self.request.action != "project" || name.as_str() != written {
            return Ok(self.moved(&format!("simple/{name}/")));
        }
        let Some(form) = Form::liked(&self.request.headers) else { return Ok(unacceptable()) };
        let make = &mut || {
            let project = listed::project(self.context, self.repository, name.as_str())?;
            Ok(project.map(|project| pages::project(name.as_str(), &project, form)))
        };
        let key = self.key(&format!("page {form:?} {name}"));
        let page = self.context.derived(&key, &form.filling(&self.request.base), make)?;
        Ok(match page {
            Some(page) => document(form.media_type(), page),
            None => self.missing(&name, ""),
        })
    }

    fn json(&self, written: &str, version: Option<&str>) -> Result<Answer, Problem> {
        let Ok(name) = Name::parse(written) else { return Ok(no_such_name()) };
        let wanted = match version.map(Version::parse) {
            Some(None) => return Ok(refuse(404, "this is no version")),
            Some(wanted) => wanted,
            None => None,
        };
        let make = &mut || {
            let Some(project) = listed::project(self.context, self.repository, name.as_str())? else {
                return Ok(None);
            };
            project_json::document(self.context, &project, wanted.as_ref())
        };
        let shown = wanted.as_ref().map(ToString::to_string).unwrap_or_default();
        let key = self.key(&format!("json {name} {shown}"));
        let made = self.context.derived(&key, &within_quotes(&self.request.base), make)?;
        Ok(match made {
            Some(made) => document("application/json", made),
            None => self.missing(&name, &shown),
        })
    }

    /// A file, or what stands beside it.
    fn file(&self, digest: &str, path: &str) -> Result<Answer, Problem> {
        let nothing = || refuse(404, "this mirror has no such file");
        let Ok(digest) = BlobKey::from_hex(digest) else {
            return self.upstream_file(&format!("files/{digest}/{path}"));
        };
        let (file, end) = pages::belonging(path);
        let Some(found) = self.find(file, &digest)? else { return Ok(nothing()) };
        let (role, media_type) = match end {
            "" => (found.file.role.as_str(), "application/octet-stream"),
            METADATA_END => (METADATA, TEXT),
            _ => (PROVENANCE, INTEGRITY),
        };
        let wanted = if end.is_empty() {
            found.file.clone()
        } else {
            let beside = self.context.file_at(Some(&found.repository), path)?;
            let own = |one: &FoundFile| {
                one.name == found.name && one.version == found.version && one.file.role == role
            };
            let Some(beside) = beside.filter(own) else { return Ok(nothing()) };
            beside.file
        };
        let content =
            Content::Blob { key: wanted.blob, size: wanted.size, media_type: media_type.to_owned() };
        // What is said of who published a file may become more; the rest is decided by the digest in the path.
        Ok(Answer { lasting: role != PROVENANCE, ..Answer::from(content) })
    }

    /// The wheel or source distribution of that name and digest. Several indexes may have a file of one name, each with bytes
    /// of its own.
    fn find(&self, file: &str, digest: &BlobKey) -> Result<Option<FoundFile>, Problem> {
        let is_it = |found: &FoundFile| {
            found.file.blob == *digest && [WHEEL, SDIST].contains(&found.file.role.as_str())
        };
        let first = self.context.file_at(self.repository, file)?;
        if first.is_none() || self.repository.is_some() || first.as_ref().is_some_and(is_it) {
            return Ok(first.filter(is_it));
        }
        for repository in self.context.repositories()? {
            let found = self.context.file_at(Some(&repository), file)?;
            if let Some(found) = found.filter(is_it) {
                return Ok(Some(found));
            }
        }
        Ok(None)
    }

    /// A file at the address that it has upstream, on a host that is answered for by its name: lockfiles say it.
    fn upstream_file(&self, below: &str) -> Result<Answer, Problem> {
        let nothing = || refuse(404, "this mirror has nothing at that address");
        let Ok(base) = Url::parse(&self.request.base) else { return Ok(nothing()) };
        let wanted = format!("{}{below}", percent_decode_str(base.path()).decode_utf8_lossy());
        let (name, _) = pages::belonging(below.rsplit('/').next().unwrap_or_default());
        let Some((project, _)) = FileName::with_project(name) else { return Ok(nothing()) };
        let is_it = |file: &File| {
            Url::parse(&file.origin).is_ok_and(|origin| {
                origin.host() == base.host()
                    && percent_decode_str(origin.path()).decode_utf8().is_ok_and(|path| path == wanted)
            })
        };
        for artifact in listed::releases(self.context, self.repository, project.as_str())? {
            if let Some(file) = artifact.files.into_iter().find(is_it) {
                let media_type = match file.role.as_str() {
                    METADATA => TEXT,
                    PROVENANCE => INTEGRITY,
                    _ => "application/octet-stream",
                };
                let media_type = media_type.to_owned();
                return Ok(Content::Blob { key: file.blob, size: file.size, media_type }.into());
            }
        }
        Ok(nothing())
    }

    /// Leads on to where something stands below this index.
    fn moved(&self, path: &str) -> Answer {
        let (_, below) = self.request.base.split_once("://").unwrap_or_default();
        let root = below.split_once('/').map_or("", |(_, path)| path);
        let mut answer = refuse(301, "it is found elsewhere");
        let place = HeaderValue::try_from(format!("/{root}{path}"));
        answer.headers.extend(place.ok().map(|place| (LOCATION, place)));
        answer
    }

    /// Says that something is not here, and remembers that it was wanted: but not in a hosted index, whose names are nobody
    /// else's to know.
    fn missing(&self, name: &Name, version: &str) -> Answer {
        if self.repository.is_none_or(|repository| self.context.hosted(repository).is_none()) {
            self.context.missed(self.repository, name.as_str(), version);
        }
        let what = if version.is_empty() { name.to_string() } else { format!("{name}=={version}") };
        refuse(
            404,
            &format!("{what} is not in this mirror; collect it outside (pypi:{what}) and import the bundle"),
        )
    }
}

fn no_such_name() -> Answer {
    refuse(404, "this is no project's name")
}

fn unacceptable() -> Answer {
    let forms = Form::ALL.map(Form::media_type).join(", ");
    refuse(406, &format!("this mirror answers in {forms}"))
}

fn document(media_type: &'static str, body: Bytes) -> Answer {
    Answer::from(Content::Document { media_type, body, vary: VARY })
}

/// An answer with another status, in words for people.
pub(super) fn refuse(status: u16, message: &str) -> Answer {
    Answer::from(Content::Status { status, media_type: TEXT, body: Bytes::from(format!("{message}\n")) })
}
