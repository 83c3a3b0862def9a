//! What stands at addresses of its own, collected as a whole.

use serde_json::{Value, json};

use super::fake::{Fake, REGISTRY};
use super::fake_store::sha512;
use super::tarball::tests::tarball as files;
use super::{Npm, REMOTE};
use crate::ecosystem::{Collect as _, Ecosystem as _, Gathered, Planned, Request, Resolution};
use crate::problem::{Kind, Problem};
use crate::settings::Settings;

const ADDRESS: &str = "https://files.example.test/x/a.tgz";
const COMMIT: &str = "0123456789abcdef0123456789abcdef01234567";

fn tarball(package: &Value) -> Vec<u8> {
    files(&[("folder/package.json", &package.to_string())])
}

fn sri(bytes: &[u8]) -> String {
    use base64::Engine as _;
    format!("sha512-{}", base64::engine::general_purpose::STANDARD.encode(sha512(bytes).as_bytes()))
}

fn archive() -> String {
    format!("https://codeload.github.com/x/g/tar.gz/{COMMIT}")
}

/// A machine whose project lets packages come from those hosts.
fn machine(values: &Value) -> Fake {
    let mut fake = Fake::with_registry();
    let (ecosystem, place) = ("npm".to_owned(), "aftk.toml:1:1".to_owned());
    fake.settings.push(Settings { ecosystem, place, values: values.as_object().unwrap().clone() });
    let package = json!({
        "name": "a", "version": "1.2.3", "license": "MIT", "dependencies": {"g": "^2"}, "devDependencies": {"c": "1"},
        "scripts": {"postinstall": "node x.js"},
    });
    fake.downloads.insert(ADDRESS.to_owned(), tarball(&package));
    fake.downloads.insert(archive(), tarball(&json!({"name": "g", "version": "2.0.0"})));
    fake
}

fn allowed() -> Fake {
    machine(&json!({"allow-remote": "files.example.test", "allow-git": ["github.com"], "advisories": false}))
}

async fn request(fake: &mut Fake, packages: &Value) -> Request {
    let lock = json!({"lockfileVersion": 3, "packages": packages});
    fake.file("/project/package-lock.json", &lock.to_string());
    Npm.parse("npm", "package-lock.json", fake).await.unwrap()
}

async fn collect(fake: &mut Fake, packages: &Value) -> Result<Resolution, Problem> {
    let request = request(fake, packages).await;
    Npm.resolve(&[request], &[], fake).await
}

/// A lockfile that has one from a tarball and one from a repository.
fn lock(integrity: &str) -> Value {
    json!({
        "": {"dependencies": {"a": ADDRESS, "g": "github:x/g"}},
        "node_modules/a": {"version": "1.2.3", "resolved": ADDRESS, "integrity": integrity, "dependencies": {"g": "^2"}},
        "node_modules/g": {"version": "2.0.0", "resolved": format!("git+ssh://git@github.com/x/g.git#{COMMIT}"),
            "integrity": sri(b"what npm packed of it")},
    })
}

fn artifacts(resolution: &Resolution) -> Vec<Planned> {
    resolution.artifacts.iter().map(Result::unwrap).collect()
}

fn reasons(resolution: &Resolution) -> Vec<&str> {
    resolution.gaps.iter().map(|gap| gap.reason.as_str()).collect()
}

#[tokio::test]
async fn what_the_project_allows_is_taken_along() {
    let mut fake = allowed();
    let integrity = sri(&fake.downloads[ADDRESS]);
    let resolution = collect(&mut fake, &lock(&integrity)).await.unwrap();
    assert_eq!(reasons(&resolution), [""; 0]);
    let found = artifacts(&resolution);
    let shown: Vec<_> =
        found.iter().map(|one| (one.repository.as_str(), one.name.as_str(), one.version.as_str())).collect();
    assert_eq!(
        shown,
        [
            ("codeload.github.com_remote", &archive()["https://".len()..], "2.0.0"),
            ("files.example.test_remote", "files.example.test/x/a.tgz", "1.2.3"),
        ]
    );
    let origins: Vec<_> = resolution.repositories.iter().map(|one| one.origin.as_str()).collect();
    assert_eq!(origins, ["https://codeload.github.com/", "https://files.example.test/"]);
    let notes: Vec<_> =
        resolution.notes.iter().map(|note| (note.code.as_str(), note.subject.as_str())).collect();
    let expected = [
        ("npm.install-script", "a@1.2.3"),
        ("npm.remote", "a@1.2.3"),
        ("npm.remote", "g@2.0.0"),
        ("npm.unpinned", "g@2.0.0"),
    ];
    assert_eq!(notes, expected);
    // One of them needs the other, by a range that a registry would answer.
    let gathered = Gathered { ecosystem: "npm", artifacts: &resolution.artifacts, refs: &resolution.refs };
    assert_eq!(Npm.prove(&gathered).unwrap().gaps, []);
    for planned in found {
        let file = &planned.files[0];
        assert!(file.checksums == [sha512(&fake.downloads[&file.origin])] && file.blob.is_some());
        let artifact = as_carried(&planned);
        let admitted = Npm.admit().unwrap().admit(&artifact, &mut |_| panic!("nothing is read"));
        admitted.unwrap();
        assert!(Npm.knows(&artifact.schema));
        let purl = Npm.purl(&artifact);
        let package = if artifact.version == "1.2.3" { "a" } else { "g" };
        assert!(
            purl.starts_with(&format!("pkg:npm/{package}@{}?download_url=https%3A%2F%2F", artifact.version)),
            "{purl}"
        );
    }
}

fn as_carried(planned: &Planned) -> bundle_format::Artifact {
    let file = &planned.files[0];
    bundle_format::Artifact {
        ecosystem: planned.ecosystem.clone(),
        repository: planned.repository.clone(),
        name: planned.name.clone(),
        version: planned.version.clone(),
        qualifier: planned.qualifier.clone(),
        schema: planned.schema.clone(),
        attributes: planned.attributes.clone(),
        files: vec![bundle_format::File {
            role: file.role.clone(),
            path: file.path.clone(),
            blob: file.blob.unwrap(),
            size: file.size.unwrap(),
            media_type: file.media_type.clone(),
            checksums: file.checksums.clone(),
            origin: file.origin.clone(),
        }],
        requires: planned.requires.clone(),
    }
}

#[tokio::test]
async fn a_bundle_cannot_put_anything_else_there() {
    let mut fake = allowed();
    let integrity = sri(&fake.downloads[ADDRESS]);
    let resolution = collect(&mut fake, &lock(&integrity)).await.unwrap();
    let good = as_carried(&artifacts(&resolution)[1]);
    type Change = fn(&mut bundle_format::Artifact);
    let changes: [(&str, Change); 12] = [
        ("repository", |one| one.repository = "npm".to_owned()),
        ("name", |one| one.name = "a".to_owned()),
        ("name that is another's", |one| one.name = "files.example.test/x/../a.tgz".to_owned()),
        ("package", |one| drop(one.attributes.insert("package".to_owned(), "../a".into()))),
        ("no package", |one| drop(one.attributes.remove("package"))),
        ("version", |one| one.version = "new".to_owned()),
        ("qualifier", |one| one.qualifier = "x".to_owned()),
        ("no file", |one| one.files.clear()),
        ("two files", |one| one.files.push(one.files[0].clone())),
        ("a path", |one| one.files[0].path = "a/-/a-1.2.3.tgz".to_owned()),
        ("no checksum", |one| one.files[0].checksums.clear()),
        ("origin", |one| one.files[0].origin = "https://files.example.test/other.tgz".to_owned()),
    ];
    for (what, change) in changes {
        let mut bad = good.clone();
        change(&mut bad);
        let refused = Npm.admit().unwrap().admit(&bad, &mut |_| panic!("nothing is read")).unwrap_err();
        assert_eq!(refused.kind, Kind::Untrusted, "{what}");
    }
    assert_eq!(good.schema, REMOTE);
}

#[tokio::test]
async fn what_is_not_allowed_or_not_there_is_a_gap() {
    let mut nobody = machine(&json!({"advisories": false}));
    let resolution = collect(&mut nobody, &lock("")).await.unwrap();
    assert_eq!(reasons(&resolution), ["url-dependency", "git-dependency"]);
    assert!(
        resolution.gaps[0].detail.contains("`allow-remote = [\"files.example.test\"]`"),
        "{:?}",
        resolution.gaps
    );
    assert_eq!(*nobody.asked.lock().unwrap(), [""; 0], "no host was asked");
    for (bytes, why) in [
        (None, "there is nothing at"),
        (Some(b"<html>".to_vec()), "is no package"),
        (Some(tarball(&json!({"name": "a"}))), "it says that it is"),
        (Some(tarball(&json!({"name": "../a", "version": "1.0.0"}))), "it says that it is"),
    ] {
        let mut fake = allowed();
        fake.downloads.remove(ADDRESS);
        fake.downloads.extend(bytes.map(|bytes| (ADDRESS.to_owned(), bytes)));
        let resolution = collect(&mut fake, &lock("")).await.unwrap();
        assert_eq!(reasons(&resolution), ["not-found"]);
        assert!(resolution.gaps[0].detail.contains(why), "{:?}", resolution.gaps);
    }
}

#[tokio::test]
async fn bytes_that_a_lockfile_does_not_know_are_refused() {
    let problem = collect(&mut allowed(), &lock(&sri(b"other"))).await.unwrap_err();
    assert_eq!((problem.kind, &*problem.code), (Kind::Untrusted, "npm.address-mismatch"));
    assert_eq!(problem.place.as_deref(), Some(ADDRESS));
}

#[tokio::test]
async fn what_npm_would_build_first_is_a_gap_though_it_is_carried() {
    for package in [json!({"scripts": {"prepare": "tsc"}}), json!({"workspaces": ["a"]})] {
        let mut fake = allowed();
        let mut package = package;
        (package["name"], package["version"]) = ("g".into(), "2.0.0".into());
        fake.downloads.insert(archive(), tarball(&package));
        let resolution = collect(&mut fake, &lock("")).await.unwrap();
        assert_eq!(reasons(&resolution), ["git-prepare"]);
        assert_eq!(artifacts(&resolution).len(), 2);
    }
}

#[tokio::test]
async fn a_project_without_lockfile_is_solved_with_what_addresses_have() {
    let mut fake = allowed();
    let dependencies = json!({"a": ADDRESS, "g": format!("github:x/g#{COMMIT}")});
    fake.file("/project/package.json", &json!({"dependencies": dependencies}).to_string());
    let request = Npm.parse("npm", "./package.json", &fake).await.unwrap();
    let requests = [request];
    let resolution = Npm.resolve(&requests, &[], &fake).await.unwrap();
    assert_eq!((reasons(&resolution), artifacts(&resolution).len()), (vec![], 2));
    let gathered = Gathered { ecosystem: "npm", artifacts: &resolution.artifacts, refs: &resolution.refs };
    Npm.prove_requests(&gathered, &requests, &[], &fake).await.unwrap();
    // Each is asked for once, however often it is needed.
    let mut asked = fake.asked.lock().unwrap().clone();
    asked.retain(|address| !address.starts_with(REGISTRY));
    asked.sort();
    assert_eq!(asked, [archive(), ADDRESS.to_owned()]);
}

#[tokio::test]
async fn what_a_project_says_to_npm_makes_another_request() {
    let packages = lock("");
    let mut identities = Vec::new();
    for mut fake in [Fake::with_registry(), machine(&json!({})), allowed()] {
        identities.push(request(&mut fake, &packages).await.identity);
    }
    assert!(identities[0] != identities[1] && identities[1] != identities[2]);
    for wrong in ["https://h/", "", "h/x"] {
        let mut fake = machine(&json!({"allow-remote": [wrong]}));
        let problem = collect(&mut fake, &packages).await.unwrap_err();
        assert_eq!((problem.kind, &*problem.code), (Kind::Usage, "npm.settings"), "{wrong}");
    }
}
