//! `package.json` without a lockfile: what a project and its workspaces need.
//!
//! npm's own form is read, and what yarn and pnpm write into it for the same ends: `resolutions`, `pnpm.overrides` and
//! `workspace:`.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::Path;
use std::sync::Arc;

use bundle_format::BlobKey;
use serde_json::{Map, Value};

use super::ideal::{Dependency, Directory, Manifest, Origin, Project, joined};
use super::lock::EdgeKind;
use super::names;
use super::spec::Spec;
use super::version_object::is_true;
use super::workspaces;
use crate::ecosystem::CollectContext;
use crate::problem::{Kind, Problem};

/// The largest `package.json` that is read, in bytes.
pub(super) const LARGEST: u64 = 8 << 20;
/// The most directories that a project consists of.
const MOST_DIRECTORIES: usize = 5_000;

/// A project that was read.
pub(super) struct PackageJson {
    /// What is solved.
    pub(super) project: Project,
    /// What it says as far as that goes: the same means the same.
    pub(super) digest: BlobKey,
    /// What it says of what runs it.
    pub(super) engines: Value,
}

/// A `package.json` as it stands there.
struct Document {
    members: Map<String, Value>,
    /// Where it stands, for messages.
    place: String,
}

/// Reads the `package.json` at `path`, with those of its workspaces and of the directories that it refers to. `Ok(None)` if
/// there is none.
///
/// # Errors
/// If one cannot be read or is damaged, or two workspaces have one name.
pub(super) async fn load(path: &Path, context: &dyn CollectContext) -> Result<Option<PackageJson>, Problem> {
    let root = path.parent().unwrap_or(Path::new("")).to_owned();
    let Some(document) = read(path, context).await? else { return Ok(None) };
    let mut directories: BTreeMap<String, (Document, bool)> = BTreeMap::new();
    for directory in workspaces::find(&root, document.members.get("workspaces"), context).await? {
        if let Some(found) = read(&root.join(&directory).join("package.json"), context).await? {
            directories.insert(directory, (found, true));
        }
    }
    let names = names_of(&directories)?;
    // Directories refer to further ones.
    let mut open: Vec<String> = vec![String::new()];
    open.extend(directories.keys().cloned());
    while let Some(from) = open.pop() {
        let members = if from.is_empty() { &document.members } else { &directories[&from].0.members };
        let referred: Vec<String> = dependencies(members, &from, &names)
            .filter(|dependency| *dependency.spec == Spec::Local)
            .filter_map(|dependency| joined(&from, path_of(&dependency.text)))
            .filter(|path| !path.is_empty())
            .collect();
        for directory in referred {
            if directories.contains_key(&directory) || directories.len() >= MOST_DIRECTORIES {
                continue;
            }
            if let Some(found) = read(&root.join(&directory).join("package.json"), context).await? {
                directories.insert(directory.clone(), (found, false));
                open.push(directory);
            }
        }
    }
    Ok(Some(assemble(&document, &directories, &names)))
}

/// Where each workspace is, by its name.
fn names_of(directories: &BTreeMap<String, (Document, bool)>) -> Result<BTreeMap<String, String>, Problem> {
    let mut names: BTreeMap<String, String> = BTreeMap::new();
    for (path, (document, _)) in directories {
        let name = name_of(&document.members, path);
        if let Some(other) = names.insert(name.clone(), path.clone()) {
            let message = format!("two workspaces are called {name}");
            return Err(Problem::new(Kind::Usage, "npm.two-workspaces", message)
                .at(&document.place)
                .because(format!("one is {other}, the other {path}")));
        }
    }
    Ok(names)
}

fn assemble(
    document: &Document,
    directories: &BTreeMap<String, (Document, bool)>,
    names: &BTreeMap<String, String>,
) -> PackageJson {
    let manifest = |members: &Map<String, Value>, path: &str| {
        let mut needed: BTreeMap<Arc<str>, Dependency> = BTreeMap::new();
        needed.extend(dependencies(members, path, names).map(|one| (one.name.clone(), one)));
        if path.is_empty() {
            // The project has its workspaces, whatever else it says of those names.
            let own = names
                .iter()
                .map(|(name, path)| Dependency::new(name, &format!("file:{path}"), EdgeKind::Runtime));
            needed.extend(own.map(|one| (one.name.clone(), one)));
        }
        let version = members.get("version").and_then(Value::as_str).unwrap_or_default();
        let origin = Origin::Directory(Arc::from(path));
        Arc::new(Manifest::new(&name_of(members, path), version, needed.into_values().collect(), origin))
    };
    let (overrides, overrides_itself) = overrides(&document.members);
    let project = Project {
        manifest: manifest(&document.members, ""),
        overrides,
        overrides_itself,
        directories: directories
            .iter()
            .map(|(path, (document, is_workspace))| Directory {
                path: Arc::from(path.as_str()),
                manifest: manifest(&document.members, path),
                is_workspace: *is_workspace,
            })
            .collect(),
    };
    let mut said = Value::Object(project.overrides.clone()).to_string();
    let all = project.directories.iter().map(|directory| &directory.manifest);
    for manifest in std::iter::once(&project.manifest).chain(all) {
        let _ = write!(said, "\n{:?} {} {}", manifest.origin, manifest.name, manifest.version);
        for Dependency { name, text, kind, .. } in &manifest.dependencies {
            let _ = write!(said, "\n{name} {text} {}", kind.name());
        }
    }
    let engines = document.members.get("engines").cloned().unwrap_or_default();
    PackageJson { project, digest: BlobKey::of(said.as_bytes()), engines }
}

async fn read(path: &Path, context: &dyn CollectContext) -> Result<Option<Document>, Problem> {
    let Some(bytes) = context.read(path, LARGEST).await? else { return Ok(None) };
    let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(&bytes);
    let place = path.display().to_string();
    let members = serde_json::from_slice(bytes).map_err(|error| {
        Problem::new(Kind::Usage, "npm.damaged-manifest", "package.json is damaged")
            .at(format_args!("{place}:{}", error.line()))
            .caused_by(&error)
    })?;
    Ok(Some(Document { members, place }))
}

/// What a directory is called: as its `package.json` says, or as it is named itself.
fn name_of(members: &Map<String, Value>, path: &str) -> String {
    let own = members.get("name").and_then(Value::as_str).filter(|name| names::is_valid(name));
    own.unwrap_or_else(|| path.rsplit('/').next().unwrap_or_default()).to_owned()
}

/// What a `package.json` asks for. Of several lists with one name the last one counts, as with npm.
fn dependencies<'a>(
    members: &'a Map<String, Value>,
    from: &'a str,
    workspaces: &'a BTreeMap<String, String>,
) -> impl Iterator<Item = Dependency> + 'a {
    let is_optional_peer = |name: &str| {
        let meta = members.get("peerDependenciesMeta").and_then(|meta| meta.get(name));
        is_true(meta.and_then(|meta| meta.get("optional")))
    };
    let lists = [
        ("peerDependencies", EdgeKind::Peer),
        ("dependencies", EdgeKind::Runtime),
        ("optionalDependencies", EdgeKind::Optional),
        ("devDependencies", EdgeKind::Runtime),
    ];
    let mut needed: BTreeMap<&str, Dependency> = BTreeMap::new();
    for (list, kind) in lists {
        for (name, text) in members.get(list).and_then(Value::as_object).into_iter().flatten() {
            let Some(text) = text.as_str() else { continue };
            let kind =
                if kind == EdgeKind::Peer && is_optional_peer(name) { EdgeKind::OptionalPeer } else { kind };
            // Other clients' word for a workspace.
            let linked = text.starts_with("workspace:").then(|| workspaces.get(name)).flatten();
            let text = match linked {
                Some(path) => format!("file:{}{path}", "../".repeat(depth(from))),
                None => text.to_owned(),
            };
            needed.insert(name, Dependency::new(name, &text, kind));
        }
    }
    needed.into_values()
}

fn depth(path: &str) -> usize {
    path.split('/').filter(|part| !part.is_empty()).count()
}

/// The path in `file:PATH` and its like.
fn path_of(text: &str) -> &str {
    text.split_once(':').map_or(text, |(_, path)| path)
}

/// What a project puts in the place of what packages ask for, in npm's form, and whether that may contradict what it asks
/// for itself.
fn overrides(members: &Map<String, Value>) -> (Map<String, Value>, bool) {
    if let Some(overrides) = object(members.get("overrides")) {
        return (overrides.clone(), false);
    }
    let pnpm = object(members.get("pnpm").and_then(|pnpm| pnpm.get("overrides")));
    let Some(others) = pnpm.or(object(members.get("resolutions"))) else { return (Map::new(), false) };
    let mut overrides = Map::new();
    for (key, value) in others.iter().filter(|(_, value)| value.is_string()) {
        put(&mut overrides, &way(key), value);
    }
    (overrides, true)
}

fn object(value: Option<&Value>) -> Option<&Map<String, Value>> {
    value.and_then(Value::as_object).filter(|object| !object.is_empty())
}

fn put(members: &mut Map<String, Value>, way: &[String], value: &Value) {
    let Some((first, rest)) = way.split_first() else {
        members.insert(".".to_owned(), value.clone());
        return;
    };
    let below = members.entry(first.as_str()).or_insert_with(|| Value::Object(Map::new()));
    if let Value::Object(below) = below {
        put(below, rest, value);
    }
}

/// The packages that `a/b`, `**/b`, `@s/a/**/b` (yarn) or `a>b` (pnpm) lead through.
fn way(key: &str) -> Vec<String> {
    let mut way: Vec<String> = Vec::new();
    for part in key.split(['/', '>']).filter(|part| !part.is_empty() && *part != "**") {
        match way.last_mut() {
            Some(scope) if scope.starts_with('@') && !scope.contains('/') => {
                scope.push('/');
                scope.push_str(part);
            }
            _ => way.push(part.trim().to_owned()),
        }
    }
    way.into_iter().map(|part| part.replace("@npm:", "@")).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::ecosystem::npm::fake::Fake;

    fn shown(manifest: &Manifest) -> Vec<String> {
        let show = |one: &Dependency| format!("{} {} {}", one.name, one.text, one.kind.name());
        manifest.dependencies.iter().map(show).collect()
    }

    #[tokio::test]
    async fn a_project_is_read_with_its_workspaces_and_what_they_refer_to() {
        let mut fake = Fake::default();
        let root = json!({
            "name": "app", "workspaces": ["packages/*", "!packages/old"],
            "dependencies": {"a": "^1", "both": "1", "w": "9"}, "devDependencies": {"both": "2", "d": "file:./local"},
            "optionalDependencies": {"o": "1"}, "peerDependencies": {"p": "1", "q": "1"},
            "peerDependenciesMeta": {"q": {"optional": true}}, "overrides": {"a": "2"},
        });
        fake.file("/project/package.json", &root.to_string());
        fake.file(
            "/project/packages/one/package.json",
            r#"{"name":"w","dependencies":{"x":"1","two":"workspace:^"}}"#,
        );
        fake.file("/project/packages/two/package.json", r#"{"version":"2.0.0"}"#);
        fake.file("/project/packages/old/package.json", "{}");
        fake.file("/project/local/package.json", r#"{"name":"l","dependencies":{"m":"../more"}}"#);
        fake.file("/project/more/package.json", "{}");
        let path = Path::new("/project/package.json");
        let read = load(path, &fake).await.unwrap().unwrap();
        let project = &read.project;
        let expected = [
            "p 1 peer",
            "q 1 optional-peer",
            "a ^1 runtime",
            "both 2 runtime",
            "d file:./local runtime",
            "two file:packages/two runtime",
            "w file:packages/one runtime",
            "o 1 optional",
        ];
        assert_eq!(shown(&project.manifest), expected);
        let directories: Vec<_> = project
            .directories
            .iter()
            .map(|one| format!("{} {} {}", one.path, one.manifest.name, one.is_workspace))
            .collect();
        let expected = ["local l false", "more more false", "packages/one w true", "packages/two two true"];
        assert_eq!(directories, expected);
        assert_eq!(shown(&project.directories[2].manifest)[0], "two file:../../packages/two runtime");
        // What decides nothing makes no other request of it.
        let mut other = root.clone();
        other["scripts"] = json!({"build": "x"});
        fake.file("/project/package.json", &other.to_string());
        assert_eq!(load(path, &fake).await.unwrap().unwrap().digest, read.digest);
        other["overrides"] = json!({"a": "3"});
        fake.file("/project/package.json", &other.to_string());
        assert_ne!(load(path, &fake).await.unwrap().unwrap().digest, read.digest);
        fake.file("/project/packages/two/package.json", r#"{"name":"w"}"#);
        assert_eq!(load(path, &fake).await.err().unwrap().code, "npm.two-workspaces");
        fake.file("/project/packages/two/package.json", "{\n]");
        assert_eq!(
            load(path, &fake).await.err().unwrap().place.unwrap(),
            "/project/packages/two/package.json:2"
        );
        assert!(load(Path::new("/elsewhere/package.json"), &fake).await.unwrap().is_none());
    }

    #[test]
    fn what_others_call_overrides_is_one() {
        let read = |text: Value| overrides(text.as_object().unwrap());
        let resolutions =
            json!({"resolutions": {"a": "1", "b/c": "2", "**/@s/d": "3", "@s/e/**/f@npm:^1": "4"}});
        let expected = json!({
            "a": {".": "1"}, "b": {"c": {".": "2"}}, "@s/d": {".": "3"}, "@s/e": {"f@^1": {".": "4"}},
        });
        assert_eq!(read(resolutions), (expected.as_object().unwrap().clone(), true));
        let pnpm = json!({"pnpm": {"overrides": {"a@^1>@s/b": "1"}}, "resolutions": {"x": "1"}});
        assert_eq!(read(pnpm).0["a@^1"]["@s/b"]["."], "1");
        assert_eq!(read(json!({"overrides": {"a": "1"}, "resolutions": {"b": "1"}})).0.len(), 1);
    }
}
