//! Requests: packages by name, and the documents of a project that say what it needs.

use std::path::{Path, PathBuf};

use bundle_format::BlobKey;
use serde_json::Value;

use super::solve::Word;
use super::{lock, package_json};
use crate::ecosystem::{CollectContext, Request, RequestBody, settings_identity};
use crate::problem::{Kind, Problem};

/// What a project without a lockfile says that it needs.
pub(super) const PACKAGE_JSON: &str = "package.json";

/// Whether a file is one that requests may be by its name.
pub(super) fn is_document(file_name: &str) -> bool {
    lock::is_lockfile(file_name) || is_package_json(Path::new(file_name))
}

/// The document that says what is installed, where several stand side by side: as npm goes by them, then those of other
/// clients.
pub(super) fn first_that_counts<'a>(file_names: &[&'a str]) -> Option<&'a str> {
    const ORDER: [&str; 7] = [
        "npm-shrinkwrap.json",
        "package-lock.json",
        "yarn.lock",
        "pnpm-lock.yaml",
        "bun.lock",
        PACKAGE_JSON,
        "bun.lockb",
    ];
    ORDER.iter().find_map(|name| file_names.iter().copied().find(|other| other == name))
}

/// Whether a path is of a `package.json`.
pub(super) fn is_package_json(path: &Path) -> bool {
    path.file_name().is_some_and(|name| name == PACKAGE_JSON)
}

/// Whether the words of a request are the path of a document that is read, or a package by name.
///
/// # Errors
/// If they are something else.
pub(super) fn check(what: &str) -> Result<(), Problem> {
    match is_path(what) {
        true => lock::must_be_readable(file_name(what), Path::new(what)),
        false => Word::read(what).map(drop),
    }
}

fn file_name(what: &str) -> &str {
    what.rsplit('/').next().unwrap_or_default()
}

fn is_path(what: &str) -> bool {
    is_document(file_name(what)) || ["/", "./", "../"].iter().any(|start| what.starts_with(start))
}

/// Reads a request: the path of a lockfile or a `package.json`, or a package by name.
///
/// # Errors
/// As [`check`], or if the document is missing, damaged or not of a form that is read.
pub(super) async fn parse(what: &str, context: &dyn CollectContext) -> Result<Request, Problem> {
    let mut request = asked(what, context).await?;
    request.identity += &settings_identity("npm", context);
    Ok(request)
}

/// The request, without what the project says to all of npm's.
async fn asked(what: &str, context: &dyn CollectContext) -> Result<Request, Problem> {
    check(what)?;
    if !is_path(what) {
        let (text, identity) = (what.to_owned(), Word::read(what)?.identity() + &settings(context));
        return Ok(Request { ecosystem: "npm", text, identity, body: RequestBody::Words(what.to_owned()) });
    }
    let path = context.directory().join(what);
    if is_package_json(&path) {
        let read = package_json::load(&path, context).await?.ok_or_else(|| {
            Problem::new(Kind::Usage, "npm.no-package-json", "there is no such package.json")
                .at(what)
                .hint("npm writes one with: npm init")
        })?;
        let identity = format!("npm:project:{}{}", read.digest.hex(), settings(context));
        let body = RequestBody::Document { path, digest: read.digest };
        return Ok(Request { ecosystem: "npm", text: what.to_owned(), identity, body });
    }
    let lockfile = lock::load(&path, Path::new(what), context).await?.ok_or_else(|| {
        Problem::new(Kind::Usage, "npm.no-lockfile", "there is no such lockfile")
            .at(what)
            .hint("npm writes one with: npm install --package-lock-only")
    })?;
    let digest = lockfile.digest;
    let mut identity = format!("npm:lockfile:{}", digest.hex());
    identity.push_str(&settings(context));
    if let Some(overrides) = overrides(&path, context).await? {
        let digest = BlobKey::of(overrides.to_string().as_bytes());
        identity = format!("{identity}:overrides:{}", digest.hex());
    }
    let body = RequestBody::Document { path, digest };
    Ok(Request { ecosystem: "npm", text: what.to_owned(), identity, body })
}

/// What an identity has of what the project says to npm, as other keys, advisories and hosts make another lock; nothing, if it says
/// nothing.
fn settings(context: &dyn CollectContext) -> String {
    let tables = context.settings("npm");
    if tables.is_empty() {
        return String::new();
    }
    let tables: Vec<String> =
        tables.into_iter().map(|table| Value::Object(table.values).to_string()).collect();
    format!(":settings:{}", BlobKey::of(tables.join("\n").as_bytes()).hex())
}

/// The directories that documents stand in, each once.
pub(super) fn projects(requests: &[Request]) -> Vec<PathBuf> {
    let documents = requests.iter().filter_map(|request| match &request.body {
        RequestBody::Document { path, .. } => path.parent().map(Path::to_owned),
        _ => None,
    });
    let mut projects: Vec<PathBuf> = documents.collect();
    projects.sort();
    projects.dedup();
    projects
}

/// The `overrides` of the `package.json` beside a lockfile, which the lockfile doesn't repeat.
///
/// # Errors
/// If there is a `package.json` that cannot be read.
pub(super) async fn overrides(
    lockfile: &Path,
    context: &dyn CollectContext,
) -> Result<Option<Value>, Problem> {
    let path = lockfile.with_file_name("package.json");
    let Some(bytes) = context.read(&path, package_json::LARGEST).await? else { return Ok(None) };
    let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(&bytes);
    let mut manifest: Value = serde_json::from_slice(bytes).map_err(|error| {
        Problem::new(Kind::Usage, "npm.damaged-manifest", "package.json is damaged")
            .at(format_args!("{}:{}", path.display(), error.line()))
            .caused_by(&error)
    })?;
    let overrides = manifest.get_mut("overrides").map(Value::take);
    Ok(overrides.filter(|overrides| overrides.as_object().is_some_and(|rules| !rules.is_empty())))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ecosystem::npm::fake::Fake;

    const LOCK: &str = r#"{"lockfileVersion":3,"packages":{}}"#;

    #[tokio::test]
    async fn a_lockfile_is_known_by_what_it_and_the_overrides_say() {
        let mut fake = Fake::default();
        fake.file("/project/package-lock.json", LOCK);
        fake.file("/elsewhere/npm-shrinkwrap.json", LOCK);
        let bare = parse("package-lock.json", &fake).await.unwrap();
        assert_eq!(parse("/elsewhere/npm-shrinkwrap.json", &fake).await.unwrap().identity, bare.identity);
        fake.file("/project/package.json", r#"{"scripts":{},"overrides":{}}"#);
        assert_eq!(parse("./package-lock.json", &fake).await.unwrap().identity, bare.identity);
        fake.file("/project/package.json", r#"{"overrides":{"a":"1"}}"#);
        let with_overrides = parse("package-lock.json", &fake).await.unwrap().identity;
        assert!(with_overrides.starts_with(&bare.identity) && with_overrides != bare.identity);
        // Whom one believes decides what is taken.
        let values = serde_json::Map::from_iter([("trusted-root".to_owned(), "roots.json".into())]);
        let (ecosystem, place) = ("npm".to_owned(), "aftk.toml:1:1".to_owned());
        fake.settings = vec![crate::settings::Settings { ecosystem, place, values }];
        assert_ne!(parse("package-lock.json", &fake).await.unwrap().identity, with_overrides);
        fake.file("/project/package.json", "{\n\"overrides\":");
        let problem = parse("package-lock.json", &fake).await.unwrap_err();
        assert_eq!(problem.place.as_deref(), Some("/project/package.json:2"));
    }

    #[tokio::test]
    async fn other_requests_are_refused_by_name() {
        let mut fake = Fake::default();
        fake.file("/project/odd.json", "{\n}");
        for (what, code) in [
            ("../app/pnpm-lock.yaml", "npm.no-lockfile"),
            ("bun.lockb", "npm.binary-lockfile"),
            ("", "npm.request"),
            ("a b", "npm.request"),
            ("react@github:a/b", "npm.request"),
            ("react@./a", "npm.request"),
            ("./package-lock.json", "npm.no-lockfile"),
            ("./odd.json", "npm.no-lockfile"),
            ("app/package.json", "npm.no-package-json"),
        ] {
            let problem = parse(what, &fake).await.unwrap_err();
            assert_eq!((problem.code.as_ref(), problem.kind), (code, Kind::Usage), "{what}");
            assert!(!problem.hints.is_empty());
        }
    }
}
