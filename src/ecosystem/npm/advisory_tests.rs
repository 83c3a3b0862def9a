//! Collecting what is known of weaknesses.

use serde_json::{Value, json};

use super::fake::{Fake, REGISTRY};
use super::{ADVISORIES, Npm, advisory};
use crate::ecosystem::{Collect as _, Planned, Resolution};
use crate::problem::{Kind, Problem};
use crate::settings::Settings;

const DAY: &str = "https://registry.example.test/-/npm/v1/security/advisories";
const BULK: &str = "https://registry.example.test/-/npm/v1/security/advisories/bulk";

/// A registry with these packages in version 1.0.0.
fn registry(names: &[&str]) -> Fake {
    let mut fake = Fake::with_registry();
    let mut packages = json!({ "": {} });
    for name in names {
        let dist =
            json!({ "tarball": format!("{REGISTRY}{name}/-/{name}-1.0.0.tgz"), "shasum": "01".repeat(20) });
        let versions = json!({ "1.0.0": { "name": name, "version": "1.0.0", "dist": dist } });
        let document = json!({ "name": name, "dist-tags": {}, "versions": versions });
        fake.document(&format!("{REGISTRY}{name}"), &document.to_string());
        packages[format!("node_modules/{name}")] = json!({ "version": "1.0.0" });
    }
    fake.file(
        "/project/package-lock.json",
        &json!({ "lockfileVersion": 3, "packages": packages }).to_string(),
    );
    fake
}

fn says(fake: &mut Fake, values: Value) {
    let Value::Object(values) = values else { panic!("a table") };
    let place = "aftk.toml:4:1".to_owned();
    fake.settings = vec![Settings { ecosystem: "npm".to_owned(), place, values }];
}

async fn collect(fake: &Fake) -> Result<Resolution, Problem> {
    let request = Npm.parse("npm", "package-lock.json", fake).await?;
    Npm.resolve(&[request], &[], fake).await
}

/// What is carried, by name: the ranges.
fn carried(resolution: &Resolution) -> Vec<String> {
    let records = resolution.artifacts.iter().map(Result::unwrap).filter(|one| one.schema == ADVISORIES);
    let show = |one: Planned| {
        let list = one.attributes.get("advisories").and_then(Value::as_array).cloned().unwrap_or_default();
        let ranges: Vec<String> = list.iter().map(|one| one["range"].as_str().unwrap().to_owned()).collect();
        format!("{} {}", one.name.trim_start_matches(advisory::PLACE), ranges.join(" and ")).trim().to_owned()
    };
    records.map(show).collect()
}

fn has_note(resolution: &Resolution) -> bool {
    resolution.notes.iter().any(|note| note.code == "npm.no-advisories")
}

fn told(range: &str) -> Value {
    json!({ "id": 1, "url": "https://advisories.example.test/1", "severity": "high", "vulnerable_versions": range })
}

#[tokio::test]
async fn what_registries_tell_is_carried_with_its_day() {
    let mut fake = registry(&["a", "b"]);
    let answer =
        json!({ "a": [told("<2.0.0"), told("<2.0.0"), { "id": 2 }, 7], "b": [], "stranger": [told("*")] });
    fake.document(BULK, &answer.to_string());
    let resolution = collect(&fake).await.unwrap();
    assert_eq!(carried(&resolution), ["", "/a <2.0.0"]);
    assert!(!has_note(&resolution));
    assert_eq!(*fake.questions.lock().unwrap(), [r#"{"a":["1.0.0"],"b":["1.0.0"]}"#]);
    // Nothing known is known too.
    fake.document(BULK, "{}");
    assert_eq!(carried(&collect(&fake).await.unwrap()), [""]);
    says(&mut fake, json!({ "advisories": false }));
    assert_eq!(carried(&collect(&fake).await.unwrap()), [""; 0]);
}

#[tokio::test]
async fn a_registry_that_tells_nothing_is_noted() {
    let mut fake = registry(&["a"]);
    for answer in ["", "[]", "<html>", r#"{"a":{}}"#, "null"] {
        fake.document(BULK, answer);
        let resolution = collect(&fake).await.unwrap();
        assert!(has_note(&resolution) && carried(&resolution).is_empty(), "{answer}");
    }
}

#[tokio::test]
async fn what_a_mirror_tells_is_as_old_as_what_it_was_brought() {
    let mut fake = registry(&["a"]);
    fake.document(BULK, &json!({ "a": [told("<2.0.0")] }).to_string());
    let day = async |fake: &mut Fake, answer: &str| {
        fake.document(DAY, answer);
        let resolution = collect(fake).await.unwrap();
        let all: Vec<Planned> = resolution.artifacts.iter().map(Result::unwrap).collect();
        let day = all.into_iter().find(|one| one.name == advisory::PLACE);
        (day.map(|one| one.attributes[advisory::MADE].as_str().unwrap().to_owned()), has_note(&resolution))
    };
    let then = "2026-01-01T00:00:00Z";
    assert_eq!(day(&mut fake, &json!({ "made": then }).to_string()).await, (Some(then.to_owned()), false));
    // It answers clients all the same; what it says is no knowledge.
    assert_eq!(day(&mut fake, r#"{"made":null}"#).await, (None, true));
    for other in [
        "",
        "[]",
        "{}",
        "<html>",
        r#"{"made":7}"#,
        r#"{"made":"soon"}"#,
        r#"{"made":"9999-01-01T00:00:00Z"}"#,
    ] {
        let (made, has_note) = day(&mut fake, other).await;
        let made = crate::clock::seconds(&made.unwrap()).unwrap();
        let now = crate::clock::seconds(&crate::clock::now_text()).unwrap();
        assert!(!has_note && (now - 600..=now).contains(&made), "{other}");
    }
}

#[tokio::test]
async fn files_tell_of_what_is_carried_as_well() {
    let mut fake = registry(&["a", "b"]);
    let osv = |name: &str, fixed: &str| {
        let ranges = json!([{ "type": "SEMVER", "events": [{ "introduced": "0" }, { "fixed": fixed }] }]);
        let affected = json!([{ "package": { "ecosystem": "npm", "name": name }, "ranges": ranges }]);
        json!({ "id": format!("GHSA-{name}"), "summary": "bad", "affected": affected }).to_string()
    };
    for directory in ["/project/osv", "osv"] {
        fake.file(&format!("{directory}/a.json"), &osv("a", "1.5.0"));
        fake.file(&format!("{directory}/other.json"), &osv("other", "1.0.0"));
        fake.file(&format!("{directory}/README.txt"), "no advisory");
    }
    fake.document(BULK, &json!({ "a": [told("<2.0.0")] }).to_string());
    for files in [json!("osv"), json!(["osv/*.json"]), json!(["osv/a.json", "osv/oth*"])] {
        says(&mut fake, json!({ "advisories": files }));
        let resolution = collect(&fake).await.unwrap();
        assert_eq!(carried(&resolution), ["", "/a <2.0.0 and <1.5.0"], "{files}");
    }
    // As one archive, of more than what is carried.
    let archive = [("GHSA-a.json", osv("a", "1.5.0")), ("GHSA-other.json", osv("other", "1.0.0"))];
    let archive = archive.map(|(name, text)| (name, text.into_bytes()));
    fake.bytes("osv/all.zip", super::osv_archive::made::archive(&archive));
    says(&mut fake, json!({ "advisories": "osv/all.zip" }));
    assert_eq!(carried(&collect(&fake).await.unwrap()), ["", "/a <2.0.0 and <1.5.0"]);
    fake.file("osv/bad.zip", "no archive");
    says(&mut fake, json!({ "advisories": ["osv/bad.zip"] }));
    assert_eq!(collect(&fake).await.unwrap_err().code, "npm.advisory");
    says(&mut fake, json!({ "advisories": "osv" }));
    // Where the registry tells nothing, they do.
    fake.document(BULK, "");
    let resolution = collect(&fake).await.unwrap();
    assert_eq!(
        (carried(&resolution), has_note(&resolution)),
        (vec![String::new(), "/a <1.5.0".to_owned()], false)
    );
    fake.file("osv/bad.json", "{");
    for (files, code) in
        [("absent", "npm.advisories"), ("absent.json", "npm.advisory"), ("osv", "npm.advisory")]
    {
        says(&mut fake, json!({ "advisories": files }));
        let problem = collect(&fake).await.unwrap_err();
        assert_eq!((problem.kind, problem.code.as_ref()), (Kind::Usage, code), "{files}");
    }
}
