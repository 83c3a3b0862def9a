//! Choosing for packages by name and projects, as npm is told to: what shrinkwraps, dates and engines say.

use serde_json::{Value, json};

use super::Npm;
use super::fake::{Fake, REGISTRY};
use super::fake_store::sha512;
use super::tarball::tests::tarball;
use crate::ecosystem::{Collect as _, Gathered, Planned, Resolution};
use crate::problem::Kind;

fn sri(bytes: &[u8]) -> String {
    use base64::Engine as _;
    format!("sha512-{}", base64::engine::general_purpose::STANDARD.encode(sha512(bytes).as_bytes()))
}

fn artifacts(resolution: &Resolution) -> Vec<Planned> {
    resolution.artifacts.iter().map(Result::unwrap).collect()
}

#[tokio::test]
async fn what_a_shrinkwrap_lists_is_taken_along() {
    let mut fake = Fake::with_registry();
    let version = |name: &str, version: &str, more: Value| {
        let mut object =
            json!({"name": name, "version": version, "dist": {"integrity": sri(name.as_bytes())}});
        object.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        object
    };
    let shrinkwrap = json!({"lockfileVersion": 1, "dependencies": {"a": {"version": "1.0.0"}, "d": {"version": "1.0.0", "dev": true}}});
    let bytes =
        tarball(&[("package/npm-shrinkwrap.json", &shrinkwrap.to_string()), ("package/package.json", "{}")]);
    let wrapped =
        json!({"_hasShrinkwrap": true, "dependencies": {"a": "^1"}, "dist": {"integrity": sri(&bytes)}});
    for (name, versions) in [
        ("wrapped", json!({"1.0.0": version("wrapped", "1.0.0", wrapped)})),
        ("a", json!({"1.0.0": version("a", "1.0.0", json!({})), "1.1.0": version("a", "1.1.0", json!({}))})),
        ("d", json!({"1.0.0": version("d", "1.0.0", json!({}))})),
    ] {
        let latest = versions.as_object().unwrap().keys().next_back().cloned();
        let document = json!({"name": name, "dist-tags": {"latest": latest}, "versions": versions});
        fake.document(&format!("{REGISTRY}{name}"), &document.to_string());
    }
    let address = format!("{REGISTRY}wrapped/-/wrapped-1.0.0.tgz");
    fake.downloads.insert(address.clone(), bytes);
    let requests = [Npm.parse("npm", "wrapped", &fake).await.unwrap()];
    let resolution = Npm.resolve(&requests, &[], &fake).await.unwrap();
    let found = artifacts(&resolution);
    let shown: Vec<_> = found.iter().map(|one| format!("{}@{}", one.name, one.version)).collect();
    assert_eq!((shown.join(" ").as_str(), resolution.gaps.len()), ("a@1.0.0 d@1.0.0 wrapped@1.0.0", 0));
    assert_eq!(found[2].attributes["shrinkwrap"], true);
    let gathered = Gathered { ecosystem: "npm", artifacts: &resolution.artifacts, refs: &resolution.refs };
    Npm.prove_requests(&gathered, &requests, &[], &fake).await.unwrap();
    assert_eq!(Npm.prove(&gathered).unwrap().gaps, []);
    // A tarball that is not its registry's is not read.
    fake.downloads.insert(address, tarball(&[("package/npm-shrinkwrap.json", "{}")]));
    assert_eq!(Npm.resolve(&requests, &[], &fake).await.unwrap_err().code, "npm.shrinkwrap");
}

#[tokio::test]
async fn what_is_younger_than_npm_is_told_to_take_is_not_chosen() {
    let time = |day: u8| format!("2026-10-{day:02}T00:00:00.000Z");
    let object = |version: &str| json!({"name": "a", "version": version, "dist": {"integrity": sri(b"a")}});
    let document = json!({
        "name": "a", "dist-tags": {"latest": "1.2.0", "next": "2.0.0-rc.1"}, "time": {"1.0.0": time(1), "1.1.0": time(10), "1.2.0": time(20)},
        "versions": {"1.0.0": object("1.0.0"), "1.1.0": object("1.1.0"), "1.2.0": object("1.2.0"), "2.0.0-rc.1": object("2.0.0-rc.1")},
    });
    for (npmrc, asked, chosen) in [
        ("", "a", Some("1.2.0")),
        ("before=2026-10-10", "a", Some("1.1.0")),
        ("before=2026-10-09T23:59:59Z", "a@^1", Some("1.0.0")),
        ("before=2026-10-15", "a@latest", Some("1.1.0")),
        ("before=2026-10-15", "a@1.2.0", None),
        ("before=2026-09-01", "a@1", None),
        // The registry does not say when this one was published.
        ("before=2026-09-01", "a@next", Some("2.0.0-rc.1")),
        ("min-release-age=0", "a", Some("1.2.0")),
        ("min-release-age=100000", "a@1", None),
        ("before=2026-10-10\nmin-release-age=100000", "a", Some("1.1.0")),
    ] {
        let mut fake = Fake::with_registry();
        fake.document(&format!("{REGISTRY}a"), &document.to_string());
        fake.file("/project/.npmrc", npmrc);
        let request = Npm.parse("npm", asked, &fake).await.unwrap();
        let resolution = Npm.resolve(&[request], &[], &fake).await.unwrap();
        let found: Vec<_> = artifacts(&resolution).into_iter().map(|one| one.version).collect();
        assert_eq!(found.first().map(String::as_str), chosen, "{npmrc} {asked}");
    }
    for wrong in ["before=soon", "min-release-age=-1", "min-release-age=a week"] {
        let mut fake = Fake::with_registry();
        fake.file("/project/.npmrc", wrong);
        let request = Npm.parse("npm", "a", &fake).await.unwrap();
        assert_eq!(Npm.resolve(&[request], &[], &fake).await.unwrap_err().code, "npm.before", "{wrong}");
    }
}

#[tokio::test]
async fn a_project_for_another_node_is_warned_of_or_refused() {
    for (npmrc, wanted, refused) in [
        ("", ">=22", false),
        ("engine-strict=true", ">=22", true),
        ("engine-strict=true", "^20", false),
        ("engine-strict=true", "", false),
    ] {
        let mut fake = Fake::with_registry();
        fake.node = Some("v20.20.2\n".to_owned());
        fake.file("/project/.npmrc", npmrc);
        fake.file("/project/package.json", &json!({"engines": {"node": wanted}}).to_string());
        let request = Npm.parse("npm", "./package.json", &fake).await.unwrap();
        let resolved = Npm.resolve(&[request], &[], &fake).await;
        let problem = resolved.err().map(|problem| (problem.kind, problem.code.into_owned()));
        assert_eq!(problem, refused.then(|| (Kind::Refused, "npm.engines".to_owned())), "{npmrc} {wanted}");
    }
}
