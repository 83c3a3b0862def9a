//! The registry that npm, pnpm, yarn and bun talk to.
//!
//! What the mirror does not hold is answered in npm's own form, with a text that says what to do: npm prints the
//! `error` member and nothing else.

use bytes::Bytes;
use serde_json::{Value, json};

use super::address::{self, Address};
use super::host::{self, TARBALL};
use super::keys::{self, Keys};
use super::{KEYS, REMOTE, attestations, audit, hosted, names, packument, search, tarball_name};
use crate::ecosystem::host::Host;
use crate::ecosystem::template::within_quotes;
use crate::ecosystem::{
    ALL, Answer, ClientRequest, Content, Principal, Route, Serve, ServeContext, Session, SignIn, Takes,
};
use crate::problem::Problem;

/// Serves npm's clients.
pub(super) struct NpmServe;

const JSON: &str = "application/json";

/// A scope comes as a segment of its own or, escaped, in one with the name: berry asks for
/// `/@x%2flinux/-/linux-1.0.0.tgz`. The first match wins, so what has a literal in it stands before what has none.
static ROUTES: &[Route] = &[
    Route::get("", "about"),
    Route::get("-/ping", "ping"),
    Route::get("-/whoami", "whoami"),
    Route::get("-/v1/search", "search"),
    Route::get("-/npm/v1/keys", "keys"),
    Route::get("-/npm/v1/attestations/@{scope}/{spec}", "attestations"),
    Route::get("-/npm/v1/attestations/{spec}", "attestations"),
    Route::get("-/npm/v1/tokens", "tokens"),
    Route::post("-/npm/v1/tokens", "tokens"),
    Route::post("-/v1/login", "login-in-a-browser"),
    Route::get("-/package/@{scope}/{name}/dist-tags", "dist-tags"),
    Route::get("-/package/{package}/dist-tags", "dist-tags"),
    Route::get("-/npm/v1/security/advisories", "day-of-advisories"),
    Route::post("-/npm/v1/security/advisories/bulk", "advisories"),
    Route::post("-/npm/v1/security/audits/quick", "audit"),
    Route::post("-/npm/v1/security/audits", "audit"),
    Route::get("-/remote/{address...}", "remote"),
    Route::get("{package}/-/{file}", "tarball"),
    Route::get("@{scope}/{name}/-/{file}", "tarball"),
    Route::get("@{scope}/{name}/{version}", "version"),
    Route::get("@{scope}/{name}", "packument"),
    Route::get("{package}/{version}", "version"),
    Route::get("{package}", "packument"),
    Route::get("{path...}", "unknown"),
    put("-/user/org.couchdb.user:{user}", "login", Takes::SignIn(Session::Begins)),
    Route { takes: Takes::SignIn(Session::Ends), ..delete("-/user/token/{token}", "logout") },
    put("-/package/@{scope}/{name}/dist-tags/{tag}", host::SET_TAG, Takes::Document(1024)),
    put("-/package/{package}/dist-tags/{tag}", host::SET_TAG, Takes::Document(1024)),
    delete("-/package/@{scope}/{name}/dist-tags/{tag}", host::DROP_TAG),
    delete("-/package/{package}/dist-tags/{tag}", host::DROP_TAG),
    put("@{scope}/{name}/-rev/{revision}", host::REVISE, Takes::Document(host::LARGEST_DOCUMENT)),
    put("{package}/-rev/{revision}", host::REVISE, Takes::Document(host::LARGEST_DOCUMENT)),
    delete("@{scope}/{name}/-rev/{revision}", host::UNPUBLISH),
    delete("{package}/-rev/{revision}", host::UNPUBLISH),
    delete("@{scope}/{name}/-/{file}/-rev/{revision}", host::DELETE_TARBALL),
    delete("{package}/-/{file}/-rev/{revision}", host::DELETE_TARBALL),
    put("@{scope}/{name}", host::PUBLISH, Takes::Attachment(TARBALL)),
    put("{package}", host::PUBLISH, Takes::Attachment(TARBALL)),
];

const fn put(pattern: &'static str, action: &'static str, takes: Takes) -> Route {
    Route { method: "PUT", pattern, action, takes }
}

const fn delete(pattern: &'static str, action: &'static str) -> Route {
    Route { method: "DELETE", pattern, action, takes: Takes::Document(0) }
}

impl Serve for NpmServe {
    fn prefix(&self) -> &'static str {
        "npm"
    }

    fn routes(&self) -> &'static [Route] {
        ROUTES
    }

    fn host(&self) -> Option<&dyn Host> {
        Some(self)
    }

    fn sign_in(&self) -> Option<&dyn SignIn> {
        Some(self)
    }

    fn handle(&self, request: &ClientRequest, context: &dyn ServeContext) -> Result<Answer, Problem> {
        if request.action == "remote" {
            let address = capture(request, "address");
            let found = remote_at(context, address)?;
            return Ok(found.unwrap_or_else(|| no_remote(address)));
        }
        let (_, host) = request.base.split_once("://").unwrap_or_default();
        let host = host.split('/').next().unwrap_or_default();
        let query = if request.query.is_empty() { String::new() } else { format!("?{}", request.query) };
        let asked = format!("{host}{}{query}", request.path);
        if request.repository.as_deref().is_some_and(address::is_repository) {
            return Ok(remote_at(context, &asked)?.unwrap_or_else(|| no_remote(&asked)));
        }
        let answer = self.answer(request, context)?;
        // A registry and what else stands at its host go by the same name.
        let is_missing = matches!(answer.content, Content::Status { status: 404, .. });
        let remote = if is_missing { remote_at(context, &asked)? } else { None };
        Ok(remote.unwrap_or(answer))
    }
}

impl NpmServe {
    /// Answers for a registry.
    fn answer(&self, request: &ClientRequest, context: &dyn ServeContext) -> Result<Answer, Problem> {
        let repository = request.repository.as_deref();
        let package = asked_package(request);
        let home = hosted::home(context, repository, &package)?;
        let asked = Asked { request, context, repository: home };
        match request.action {
            "about" => Ok(document(&json!({ "db_name": repository.unwrap_or(ALL) }))),
            "ping" => Ok(document(&json!({}))),
            "whoami" => Ok(match &request.principal {
                Principal::Account(account) => document(&json!({ "username": account })),
                Principal::Anonymous => refusal(401, "unauthorized", "nobody has signed in: npm login"),
            }),
            "search" => search::answer(context, repository, &request.query).map(answer),
            "attestations" => attestations_of(request, context, repository),
            "keys" => keys_of(context, repository),
            "day-of-advisories" => audit::day(context, repository).map(|day| document(&day)),
            "advisories" => audit::bulk(request, context, repository).map(|told| document(&told)),
            "audit" => audit::report(request, context, repository).map(|report| document(&report)),
            "tokens" => Ok(refusal(
                400,
                "bad_request",
                "tokens are not listed here: npm login makes one, npm logout ends it, and another password ends all",
            )),
            "login-in-a-browser" => Ok(refusal(404, "not_found", "this site has no page to sign in")),
            "dist-tags" => asked.dist_tags(&package),
            "tarball" => asked.tarball(&package, capture(request, "file")),
            "version" => asked.version(&package, capture(request, "version")),
            "packument" => asked.packument(&package),
            _ => Ok(refusal(404, "not_found", "this mirror has nothing at that address")),
        }
    }
}

/// What a request's path has under that name.
pub(super) fn capture<'a>(request: &'a ClientRequest, name: &str) -> &'a str {
    request.captures.iter().find(|(key, _)| *key == name).map_or("", |(_, value)| value)
}

/// The full name of the package that a request is about, not yet known to be one.
pub(super) fn asked_package(request: &ClientRequest) -> String {
    match (capture(request, "package"), capture(request, "scope")) {
        ("", "") => String::new(),
        ("", scope) => format!("@{scope}/{}", capture(request, "name")),
        (package, _) => package.to_owned(),
    }
}

/// A request with what it takes to answer it.
struct Asked<'a> {
    request: &'a ClientRequest,
    context: &'a dyn ServeContext,
    /// The repository that answers for the package.
    repository: Option<&'a str>,
}

impl Asked<'_> {
    fn packument(&self, name: &str) -> Result<Answer, Problem> {
        if !names::is_valid(name) {
            return Ok(no_such_name());
        }
        let key = format!("npm packument {} {name}", self.repository.unwrap_or("*"));
        let make = &mut || packument::document(self.context, self.repository, name);
        let document = self.context.derived(&key, &within_quotes(&self.request.base), make)?;
        Ok(document.map_or_else(|| self.missing(name, ""), answer))
    }

    fn version(&self, name: &str, version_or_tag: &str) -> Result<Answer, Problem> {
        if !names::is_valid(name) {
            return Ok(no_such_name());
        }
        let held = packument::held(self.context, self.repository, name)?;
        let tags = packument::dist_tags(self.context, self.repository, name, &held)?;
        let version = tags.get(version_or_tag).copied().unwrap_or(version_or_tag);
        let Some(found) = held.versions.iter().find(|held| held.artifact.version == version) else {
            let said = tarball_name::is_sane_version(version_or_tag);
            return Ok(self.missing(name, if said { version_or_tag } else { "" }));
        };
        let object = packument::version_object(self.context, &found.artifact)?;
        Ok(answer(object.fill(&within_quotes(&self.request.base))))
    }

    fn dist_tags(&self, name: &str) -> Result<Answer, Problem> {
        if !names::is_valid(name) {
            return Ok(no_such_name());
        }
        let held = packument::held(self.context, self.repository, name)?;
        if held.versions.is_empty() {
            return Ok(self.missing(name, ""));
        }
        let tags = packument::dist_tags(self.context, self.repository, name, &held)?;
        Ok(document(&json!(tags)))
    }

    fn tarball(&self, name: &str, file: &str) -> Result<Answer, Problem> {
        if !names::is_valid(name) {
            return Ok(no_such_name());
        }
        let Some(version) = tarball_name::tarball_version(name, file) else {
            return Ok(refusal(404, "not_found", "no tarball of this package is called so"));
        };
        let path = names::tarball_path(name, version);
        let found = self.context.file_at(self.repository, &path)?;
        // A path is only a string to the store: the file must be a tarball of the package that was asked for.
        match found.filter(|found| found.name == name && found.file.role == "tarball") {
            Some(found) => Ok(Answer::from(Content::Blob {
                key: found.file.blob,
                size: found.file.size,
                // Never what a bundle claims.
                media_type: "application/octet-stream".to_owned(),
            })),
            None => Ok(self.missing(name, version)),
        }
    }

    /// Says that something is not here, and remembers that it was wanted.
    fn missing(&self, name: &str, version: &str) -> Answer {
        let what = if version.is_empty() { name.to_owned() } else { format!("{name}@{version}") };
        // A hosted name is nobody else's, so nothing could bring it from outside.
        if let Some(hosted) = self.repository.and_then(|repository| self.context.hosted(repository)) {
            return refusal(404, "not_found", &format!("{what} was not published into {}", hosted.name));
        }
        // npm looks itself up now and then, to say that there is a newer one: nobody wanted that.
        let agent =
            self.request.headers.get(http::header::USER_AGENT).map_or(&b""[..], |agent| agent.as_bytes());
        if !(name == "npm" && version.is_empty() && agent.starts_with(b"npm/")) {
            self.context.missed(self.repository, name, version);
        }
        let help =
            format!("{what} is not in this mirror; collect it outside (npm:{what}) and import the bundle");
        refusal(404, "not_found", &help)
    }
}

/// The tarball that stands at an address, by its name.
fn remote_at(context: &dyn ServeContext, address: &str) -> Result<Option<Answer>, Problem> {
    let Some(address) = Address::named(address) else { return Ok(None) };
    let linked = context.artifacts(None, &address.name())?.into_iter();
    let mut files = linked.filter(|one| one.artifact.schema == REMOTE).flat_map(|one| one.artifact.files);
    let tarball = files.find(|file| file.role == "tarball");
    Ok(tarball.map(|file| {
        Answer::from(Content::Blob {
            key: file.blob,
            size: file.size,
            media_type: "application/octet-stream".to_owned(),
        })
    }))
}

fn no_remote(address: &str) -> Answer {
    let shown: String = address.chars().take(256).flat_map(char::escape_debug).collect();
    let help = format!(
        "https://{shown} is not in this mirror; outside, `allow-remote` or `allow-git` in [[npm]] of aftk.toml takes it along"
    );
    refusal(404, "not_found", &help)
}

/// The attestations of a version, as its registry has them.
fn attestations_of(
    request: &ClientRequest,
    context: &dyn ServeContext,
    repository: Option<&str>,
) -> Result<Answer, Problem> {
    let scope = capture(request, "scope");
    let scope = if scope.is_empty() { String::new() } else { format!("@{scope}/") };
    let path = format!("{}/{scope}{}", attestations::PLACE, capture(request, "spec"));
    let found = context.file_at(repository, &path)?;
    Ok(match found.filter(|found| found.file.role == attestations::ROLE) {
        Some(found) => Answer::from(Content::Blob {
            key: found.file.blob,
            size: found.file.size,
            media_type: JSON.to_owned(),
        }),
        None => refusal(404, "not_found", "no attestations of that version were brought here"),
    })
}

/// The keys that the registries of what is here sign with, for `npm audit signatures`.
fn keys_of(context: &dyn ServeContext, repository: Option<&str>) -> Result<Answer, Problem> {
    let mut keys = Keys::default();
    for linked in context.artifacts(repository, keys::PLACE)? {
        if linked.artifact.schema == KEYS
            && let Ok(carried) = Keys::of(&linked.artifact.attributes)
        {
            keys.extend(carried);
        }
    }
    if keys.is_empty() {
        return Ok(refusal(404, "not_found", "no registry's keys were brought here"));
    }
    Ok(document(&keys.document()))
}

fn no_such_name() -> Answer {
    refusal(404, "not_found", "this is no package's name")
}

/// A JSON document that stands in memory. All of them vary, so that no cache between gives one client what another
/// asked for.
fn answer(body: Bytes) -> Answer {
    Answer::from(Content::Document { media_type: JSON, body, vary: "Accept, Accept-Encoding" })
}

fn document(value: &Value) -> Answer {
    answer(Bytes::from(value.to_string()))
}

/// npm shows `error` to the person, so the code and the help stand in it together.
pub(super) fn refusal(code: u16, word: &str, help: &str) -> Answer {
    status(code, &json!({ "error": format!("{word}: {help}"), "code": word }))
}

/// A JSON document with another status than 200.
pub(super) fn status(status: u16, body: &Value) -> Answer {
    Answer::from(Content::Status { status, media_type: JSON, body: Bytes::from(body.to_string()) })
}

#[cfg(test)]
mod tests {
    use super::super::fake_store::{BASE, FakeStore};
    use super::super::keys::testing::Signing;
    use super::*;

    fn store() -> FakeStore {
        let mut store = FakeStore::default();
        store.hold("lodash", "4.17.20", |_| {});
        store.hold("lodash", "4.17.21", |_| {});
        store.hold("@x/linux", "1.0.0", |_| {});
        store.hold("@x/mac", "1.0.0", |artifact| artifact.files.truncate(1));
        store.hold("JSONStream", "1.3.5", |_| {});
        store.tag("lodash", "legacy", "4.17.20");
        store.hold("forked-at-address", "1.0.0", |artifact| {
            artifact.name = "files.example.test/x/a%2Fb.tgz?c=d".to_owned();
            artifact.repository = "files.example.test_remote".to_owned();
            artifact.schema = REMOTE.to_owned();
            artifact.files.remove(0);
        });
        store
    }

    #[test]
    fn what_stands_at_an_address_is_found_there_too() {
        let store = store();
        for (base, path, expected) in [
            ("https://files.example.test/", "x/a%2Fb.tgz?c=d", "tarball"),
            ("http://FILES.example.test/x/", "a%2Fb.tgz?c=d", "404"),
            ("https://files.example.test/", "x/a%2Fb.tgz", "404"),
            ("https://files.example.test/", "x/a/b.tgz?c=d", "404"),
            // A registry may stand at the same host.
            ("https://files.example.test/", "lodash", "packument lodash"),
        ] {
            let found = outcome(&store.ask_as(base, path));
            assert_eq!(found.split(' ').next(), expected.split(' ').next(), "{base}{path}: {found}");
        }
    }

    /// The answer in a word: the package of a document, the size of a blob, a status.
    fn outcome(answer: &Answer) -> String {
        match &answer.content {
            Content::Document { body, media_type, vary } => {
                assert_eq!((*media_type, *vary), (JSON, "Accept, Accept-Encoding"));
                let body: Value = serde_json::from_slice(body).unwrap();
                match (&body["_id"], &body["version"]) {
                    (Value::String(id), _) => format!("packument {id}"),
                    (_, Value::String(version)) => format!("version {version}"),
                    _ => body.to_string(),
                }
            }
            Content::Blob { size, media_type, .. } => {
                assert_eq!(media_type, "application/octet-stream");
                format!("tarball {size}")
            }
            Content::Status { status, body, .. } => {
                let body: Value = serde_json::from_slice(body).unwrap();
                assert!(body["error"].as_str().unwrap().starts_with(body["code"].as_str().unwrap()));
                status.to_string()
            }
        }
    }

    #[test]
    fn clients_ask_in_many_ways() {
        let store = store();
        for (path, expected) in [
            // npm and yarn escape a scope in lower case, pnpm in upper case, others not at all.
            ("lodash", "packument lodash"),
            ("@x/linux", "packument @x/linux"),
            ("@x%2flinux", "packument @x/linux"),
            ("@x%2Flinux", "packument @x/linux"),
            ("%40x%2flinux", "packument @x/linux"),
            ("lodash?write=true", "packument lodash"),
            ("JSONStream", "packument JSONStream"),
            ("jsonstream", "404"),
            ("lodash/-/lodash-4.17.21.tgz", "tarball 29"),
            ("-/remote/files.example.test/x/a%252Fb.tgz%3Fc=d", "tarball 38"),
            ("-/remote/files.example.test/x/a%2Fb.tgz%3Fc=d", "404"),
            ("-/remote/files.example.test/other.tgz", "404"),
            ("@x/linux/-/linux-1.0.0.tgz", "tarball 29"),
            ("@x%2flinux/-/linux-1.0.0.tgz", "tarball 29"),
            ("lodash/4.17.20", "version 4.17.20"),
            ("lodash/latest", "version 4.17.21"),
            ("lodash/legacy", "version 4.17.20"),
            ("@x/linux/1.0.0", "version 1.0.0"),
            ("@x%2flinux/latest", "version 1.0.0"),
            ("-/package/lodash/dist-tags", r#"{"latest":"4.17.21","legacy":"4.17.20"}"#),
            ("-/package/@x/linux/dist-tags", r#"{"latest":"1.0.0"}"#),
            ("-/package/@x%2flinux/dist-tags", r#"{"latest":"1.0.0"}"#),
            ("-/ping", "{}"),
            ("-/whoami", "401"),
            ("-/npm/v1/keys", "404"),
            ("-/npm/v1/security/advisories", r#"{"made":null}"#),
            ("-/npm/v1/attestations/lodash@4.17.21", "404"),
            ("", r#"{"db_name":"all"}"#),
            // Listed for other platforms, but not held.
            ("@x/mac", "packument @x/mac"),
            ("@x/mac/-/mac-1.0.0.tgz", "404"),
            ("pnpm", "404"),
            ("lodash/-/lodash-1.0.0.tgz", "404"),
            ("lodash/-/linux-1.0.0.tgz", "404"),
            ("lodash/9.9.9", "404"),
            ("lodash/^4", "404"),
            ("..%2flodash", "404"),
            ("@x%2f..%2flodash", "404"),
            ("@x", "404"),
            ("a/b/c/d/e/f", "404"),
        ] {
            assert_eq!(outcome(&store.ask("GET", path)), expected, "{path}");
        }
    }

    #[test]
    fn the_keys_of_registries_are_answered_together() {
        let (one, two) = (Signing::new("SHA256:one"), Signing::new("SHA256:two"));
        let mut store = store();
        for listed in [vec![one.key(None)], vec![one.key(None), two.key(None)]] {
            let keys = Keys::read(json!({ "keys": listed }).to_string().as_bytes()).unwrap().unwrap();
            store.hold("a", "1.0.0", |artifact| {
                artifact.name = keys::PLACE.to_owned();
                artifact.schema = KEYS.to_owned();
                artifact.attributes = keys.planned("npm").attributes;
            });
        }
        let Content::Document { body, .. } = store.ask("GET", keys::PLACE).content else { panic!("keys") };
        let answered: Value = serde_json::from_slice(&body).unwrap();
        assert_eq!(answered, json!({ "keys": [one.key(None), two.key(None)] }));
    }

    #[test]
    fn a_tarball_of_a_schema_that_was_never_admitted_is_not_answered() {
        let mut store = store();
        store.hold("later", "1.0.0", |artifact| artifact.schema = "npm/2".to_owned());
        assert_eq!(outcome(&store.ask("GET", "later/-/later-1.0.0.tgz")), "404");
    }

    #[test]
    fn what_is_not_here_is_remembered_and_said() {
        let store = store();
        let paths =
            ["@x%2fnew", "@x/mac/-/mac-1.0.0.tgz", "lodash/9.9.9", "lodash/beta", "lodash/%0a", "bad%20name"];
        for path in paths {
            assert_eq!(outcome(&store.ask("GET", path)), "404", "{path}");
        }
        // Taken out, so that the store is not locked when it is asked again.
        let misses = std::mem::take(&mut *store.misses.lock().unwrap());
        let misses: Vec<_> = misses.iter().map(|(name, version)| (name.as_str(), version.as_str())).collect();
        let expected =
            [("@x/new", ""), ("@x/mac", "1.0.0"), ("lodash", "9.9.9"), ("lodash", "beta"), ("lodash", "")];
        assert_eq!(misses, expected);
        let Content::Status { body, .. } = store.ask("GET", "left-pad/-/left-pad-1.3.0.tgz").content else {
            panic!("a status")
        };
        let error = "not_found: left-pad@1.3.0 is not in this mirror; collect it outside (npm:left-pad@1.3.0) and \
                     import the bundle";
        assert_eq!(serde_json::from_slice::<Value>(&body).unwrap()["error"], error);
    }

    #[test]
    fn search_is_over_what_is_held() {
        let store = store();
        for (query, names, total) in [
            ("text=LINUX", vec!["@x/linux"], 1),
            ("text=", vec!["@x/linux", "@x/mac", "JSONStream", "lodash"], 4),
            ("text=x%20ma", vec!["@x/mac"], 1),
            ("text=&size=1&from=2", vec!["JSONStream"], 4),
            (
                "text=&size=99999999999999999999&from=-1",
                vec!["@x/linux", "@x/mac", "JSONStream", "lodash"],
                4,
            ),
            ("text=nothing", vec![], 0),
        ] {
            let Content::Document { body, .. } = store.ask("GET", &format!("-/v1/search?{query}")).content
            else {
                panic!("a document")
            };
            let found: Value = serde_json::from_slice(&body).unwrap();
            let objects = found["objects"].as_array().unwrap();
            let found_names: Vec<_> =
                objects.iter().map(|o| o["package"]["name"].as_str().unwrap()).collect();
            assert_eq!((found_names, found["total"].as_u64()), (names, Some(total)), "{query}");
        }
    }

    #[test]
    fn a_search_tells_who_published_as_far_as_it_is_known() {
        let mut store = FakeStore::default();
        let people = "{\"name\":\"a\",\"version\":\"1.0.0\",\"_npmUser\":{\"name\":\"ada\",\"email\":\"ada@example.test\"},\
                      \"maintainers\":[\"eve <eve@example.test>\",7]}";
        let key = bundle_format::BlobKey::of(people.as_bytes());
        store.blobs.insert(key, Bytes::from(people));
        store.hold("a", "1.0.0", |artifact| artifact.files[0].blob = key);
        store.hold("b", "1.0.0", |_| {});
        let Content::Document { body, .. } = store.ask("GET", "-/v1/search?text=").content else { panic!() };
        let found: Value = serde_json::from_slice(&body).unwrap();
        let package = |at: usize| &found["objects"][at]["package"];
        assert_eq!(package(0)["publisher"], json!({"username": "ada", "email": "ada@example.test"}));
        let maintainers =
            json!([{"username": "eve", "email": "eve@example.test"}, {"username": "", "email": ""}]);
        assert_eq!(package(0)["maintainers"], maintainers);
        assert_eq!(
            (&package(1)["publisher"]["username"], &package(1)["maintainers"]),
            (&json!(""), &json!([]))
        );
    }

    #[test]
    fn a_search_for_a_whole_name_finds_that_first() {
        let mut store = FakeStore::default();
        for name in ["@esbuild/linux", "esbuild", "esbuild-plugin"] {
            store.hold(name, "1.0.0", |_| {});
        }
        for (query, expected) in [
            ("text=EsBuild", vec!["esbuild", "@esbuild/linux", "esbuild-plugin"]),
            ("text=esbuild&from=1&size=1", vec!["@esbuild/linux"]),
            ("text=esbuild%20linux", vec!["@esbuild/linux"]),
        ] {
            let Content::Document { body, .. } = store.ask("GET", &format!("-/v1/search?{query}")).content
            else {
                panic!("a document")
            };
            let found: Value = serde_json::from_slice(&body).unwrap();
            let objects = found["objects"].as_array().unwrap().iter();
            let names: Vec<_> = objects.map(|object| object["package"]["name"].as_str().unwrap()).collect();
            assert_eq!(names, expected, "{query}");
        }
    }

    #[test]
    fn a_path_is_not_enough_to_be_a_tarball() {
        let mut store = FakeStore::default();
        store.hold("other", "1.0.0", |artifact| artifact.files[1].path = "a/-/a-1.0.0.tgz".to_owned());
        store.hold("b", "1.0.0", |artifact| artifact.files[1].role = "readme".to_owned());
        assert_eq!(outcome(&store.ask("GET", "a/-/a-1.0.0.tgz")), "404");
        assert_eq!(outcome(&store.ask("GET", "b/-/b-1.0.0.tgz")), "404");
        assert!(BASE.ends_with('/'));
    }
}
