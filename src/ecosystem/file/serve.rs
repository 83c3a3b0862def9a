//! Files over HTTP: what was collected, at the path it had.

use bytes::Bytes;

use super::{ROLE, path};
use crate::ecosystem::{Answer, ClientRequest, Content, Route, Serve, ServeContext};
use crate::problem::Problem;

/// Serves files.
pub(super) struct FileServe;

static ROUTES: &[Route] = &[Route::get("{path...}", "file")];

impl Serve for FileServe {
    fn prefix(&self) -> &'static str {
        "files"
    }

    fn routes(&self) -> &'static [Route] {
        ROUTES
    }

    fn handle(&self, request: &ClientRequest, context: &dyn ServeContext) -> Result<Answer, Problem> {
        let name = request.captures.iter().find(|(key, _)| *key == "path").map_or("", |(_, value)| value);
        if path::check(name).is_err() {
            return Ok(not_found("that is no file's name"));
        }
        let repository = request.repository.as_deref();
        let found = context.file_at(repository, name)?;
        match found.filter(|found| found.name == name && found.file.role == ROLE) {
            Some(found) => Ok(Answer::from(Content::Blob {
                key: found.file.blob,
                size: found.file.size,
                media_type: media_type(name).to_owned(),
            })),
            None => {
                context.missed(repository, name, "");
                Ok(not_found(&format!(
                    "{name} is not in this mirror; collect it outside and import the bundle"
                )))
            }
        }
    }
}

fn not_found(help: &str) -> Answer {
    let body = Bytes::from(format!("{help}\n"));
    Answer::from(Content::Status { status: 404, media_type: "text/plain; charset=utf-8", body })
}

/// What browsers and download tools should take a file for, by its extension; never what a bundle claims. Nothing
/// here lets a browser run what a file says (HTML, SVG, XML, scripts) on the mirror's own origin.
fn media_type(name: &str) -> &'static str {
    let base = name.rsplit('/').next().unwrap_or_default();
    let extension = base.rsplit_once('.').map_or("", |(_, extension)| extension).to_ascii_lowercase();
    match extension.as_str() {
        "txt" | "md" | "asc" | "sig" | "sha256" | "sha512" | "log" => "text/plain; charset=utf-8",
        "csv" => "text/csv; charset=utf-8",
        "json" => "application/json",
        "pdf" => "application/pdf",
        "png" => "image/png",
        "jpg" | "jpeg" => "image/jpeg",
        "gz" | "tgz" => "application/gzip",
        "xz" => "application/x-xz",
        "zst" => "application/zstd",
        "bz2" => "application/x-bzip2",
        "tar" => "application/x-tar",
        "zip" => "application/zip",
        "deb" => "application/vnd.debian.binary-package",
        "rpm" => "application/x-rpm",
        _ => "application/octet-stream",
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use bundle_format::BlobKey;

    use super::super::example;
    use super::*;
    use crate::ecosystem::Principal;
    use crate::ecosystem::template::Template;
    use crate::store::{FoundFile, Linked, LinkedRef};

    /// A store that holds `local/a/page.html` and remembers what it was asked for in vain.
    #[derive(Default)]
    struct Store(Mutex<Vec<String>>);

    impl ServeContext for Store {
        fn artifacts(&self, _: Option<&str>, _: &str) -> Result<Vec<Linked>, Problem> {
            Ok(Vec::new())
        }
        fn refs(&self, _: Option<&str>, _: &str, _: Option<&str>) -> Result<Vec<LinkedRef>, Problem> {
            Ok(Vec::new())
        }
        fn names(&self, _: Option<&str>, _: &str, _: usize) -> Result<Vec<String>, Problem> {
            Ok(Vec::new())
        }
        fn repositories(&self) -> Result<Vec<String>, Problem> {
            Ok(Vec::new())
        }
        fn file_at(&self, repository: Option<&str>, path: &str) -> Result<Option<FoundFile>, Problem> {
            let held = example("local", "a/page.html", "");
            let found = repository.is_none_or(|r| r == held.repository) && path == held.name;
            let (file, repository) = (held.files[0].clone(), held.repository);
            Ok(found.then_some(FoundFile { file, repository, name: held.name, version: held.version }))
        }
        fn read(&self, _: &BlobKey, _: u64) -> Result<Bytes, Problem> {
            Ok(Bytes::new())
        }
        fn derived(
            &self,
            _: &str,
            filling: &str,
            make: &mut dyn FnMut() -> Result<Option<Template>, Problem>,
        ) -> Result<Option<Bytes>, Problem> {
            Ok(make()?.map(|template| template.fill(filling)))
        }
        fn missed(&self, _: Option<&str>, name: &str, _: &str) {
            self.0.lock().unwrap().push(name.to_owned());
        }
    }

    fn ask(store: &Store, repository: Option<&str>, path: &str) -> Answer {
        let request = ClientRequest {
            action: "file",
            captures: vec![("path", path.to_owned())],
            repository: repository.map(str::to_owned),
            base: "http://mirror.example.test/files/local/".to_owned(),
            path: format!("/files/local/{path}"),
            query: String::new(),
            headers: http::HeaderMap::new(),
            body: Bytes::new(),
            form: Vec::new(),
            principal: Principal::Anonymous,
        };
        FileServe.handle(&request, store).unwrap()
    }

    #[test]
    fn held_files_are_answered_and_others_remembered() {
        let store = Store::default();
        for repository in [Some("local"), None] {
            let answer = ask(&store, repository, "a/page.html");
            let Content::Blob { key, size, media_type } = answer.content else { panic!("a blob") };
            assert_eq!((key, size), (BlobKey::of(b"content"), 7));
            assert_eq!(media_type, "application/octet-stream", "no page of a stranger's runs here");
        }
        for (repository, path) in
            [(Some("other"), "a/page.html"), (None, "b"), (None, "../b"), (None, ""), (None, "b\u{1b}[2J")]
        {
            let answer = ask(&store, repository, path).content;
            assert!(matches!(answer, Content::Status { status: 404, .. }), "{path}");
        }
        assert_eq!(*store.0.lock().unwrap(), ["a/page.html", "b"]);
    }

    #[test]
    fn media_types_go_by_the_last_extension() {
        for (name, expected) in [
            ("a.tar.GZ", "application/gzip"),
            ("dir.json/file", "application/octet-stream"),
            ("README.md", "text/plain; charset=utf-8"),
            ("x.svg", "application/octet-stream"),
            ("json", "application/octet-stream"),
        ] {
            assert_eq!(media_type(name), expected, "{name}");
        }
    }
}
