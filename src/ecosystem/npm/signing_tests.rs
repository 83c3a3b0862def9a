//! Collecting from a registry that signs.

use serde_json::{Value, json};

use super::fake::{Fake, REGISTRY};
use super::keys::testing::Signing;
use super::{KEYS, Npm, keys};
use crate::ecosystem::{Collect as _, Planned, Resolution};
use crate::problem::{Kind, Problem};
use crate::settings::Settings;

const KEYS_AT: &str = "https://registry.example.test/-/npm/v1/keys";

/// What signs a message.
type Sign<'a> = &'a dyn Fn(&str) -> Vec<Value>;

/// A registry that lists these keys, and has `a` and `b` with these signatures.
fn registry(keys: &[Value], signed: [Sign<'_>; 2]) -> Fake {
    use base64::Engine as _;
    let mut fake = Fake::with_registry();
    let integrity = format!("sha512-{}", base64::engine::general_purpose::STANDARD.encode([1; 64]));
    for (name, sign) in ["a", "b"].into_iter().zip(signed) {
        let signatures = sign(&format!("{name}@1.0.0:{integrity}"));
        let dist = json!({ "tarball": format!("{REGISTRY}{name}/-/{name}-1.0.0.tgz"), "integrity": integrity,
                           "signatures": signatures });
        let versions = json!({ "1.0.0": { "name": name, "version": "1.0.0", "dist": dist } });
        let document = json!({ "name": name, "dist-tags": {}, "versions": versions,
                               "time": { "1.0.0": "2024-06-01T00:00:00.000Z" } });
        fake.document(&format!("{REGISTRY}{name}"), &document.to_string());
    }
    if !keys.is_empty() {
        fake.document(KEYS_AT, &json!({ "keys": keys }).to_string());
    }
    let packages =
        json!({ "": {}, "node_modules/a": { "version": "1.0.0" }, "node_modules/b": { "version": "1.0.0" } });
    let lock = json!({ "lockfileVersion": 3, "packages": packages });
    fake.file("/project/package-lock.json", &lock.to_string());
    fake
}

async fn collect(fake: &Fake) -> Result<Resolution, Problem> {
    let request = Npm.parse("npm", "package-lock.json", fake).await?;
    Npm.resolve(&[request], &[], fake).await
}

fn signers(resolution: &Resolution) -> Vec<String> {
    let artifacts = resolution.artifacts.iter().map(Result::unwrap);
    let shown = artifacts.map(|one| match one.attributes.get("signed_by") {
        Some(signers) => format!("{} {signers}", one.name),
        None => one.name,
    });
    shown.collect()
}

fn notes(resolution: &Resolution) -> Vec<&str> {
    let codes = resolution.notes.iter().map(|note| note.code.as_str());
    codes.filter(|code| *code != "npm.no-advisories").collect()
}

fn carried_keys(resolution: &Resolution) -> Vec<Planned> {
    resolution.artifacts.iter().map(Result::unwrap).filter(|one| one.schema == KEYS).collect()
}

fn settings(values: Value) -> Settings {
    let Value::Object(values) = values else { panic!("a table") };
    Settings { ecosystem: "npm".to_owned(), place: "aftk.toml:4:1".to_owned(), values }
}

#[tokio::test]
async fn what_is_signed_is_verified_and_its_keys_are_carried() {
    let one = Signing::new("SHA256:one");
    let fake = registry(&[one.key(None)], [&|message| vec![one.sign(message)], &|_| Vec::new()]);
    let resolution = collect(&fake).await.unwrap();
    assert_eq!(signers(&resolution), [keys::PLACE, r#"a ["SHA256:one"]"#, "b"]);
    assert_eq!(notes(&resolution), ["npm.first-keys", "npm.unsigned"]);
    assert!(resolution.notes[0].message.contains("SHA256:one"), "{}", resolution.notes[0].message);
    assert!(resolution.notes[1].message.contains("b@1.0.0"), "{}", resolution.notes[1].message);
    let asked = fake.asked.lock().unwrap().iter().filter(|url| *url == KEYS_AT).count();
    assert_eq!(asked, 1, "once for all versions");
}

#[tokio::test]
async fn a_registry_without_keys_is_noted_once() {
    let one = Signing::new("SHA256:one");
    let fake = registry(&[], [&|message| vec![one.sign(message)], &|_| Vec::new()]);
    let resolution = collect(&fake).await.unwrap();
    assert_eq!(signers(&resolution), ["a", "b"]);
    assert_eq!(notes(&resolution), ["npm.no-keys"]);
}

#[tokio::test]
async fn a_wrong_signature_is_refused_with_its_package() {
    let (one, other) = (Signing::new("SHA256:one"), Signing::new("SHA256:other"));
    for sign in [
        &(|_: &str| vec![one.sign("a@1.0.0:sha512-AAAA")]) as &dyn Fn(&str) -> Vec<Value>,
        &|message| vec![other.sign(message)],
        &|_| vec![json!({})],
    ] {
        let fake = registry(&[one.key(None)], [&|message| vec![one.sign(message)], sign]);
        let problem = collect(&fake).await.unwrap_err();
        assert_eq!((problem.kind, problem.code.as_ref()), (Kind::Untrusted, "npm.signature"));
        assert!(problem.message.contains("b@1.0.0"), "{problem}");
    }
}

#[tokio::test]
async fn keys_that_the_lock_does_not_have_are_not_believed() {
    let (one, two) = (Signing::new("SHA256:one"), Signing::new("SHA256:two"));
    let by_one: &dyn Fn(&str) -> Vec<Value> = &|message| vec![one.sign(message)];
    let mut fake = registry(&[one.key(None)], [by_one, by_one]);
    fake.locked = carried_keys(&collect(&fake).await.unwrap());
    let again = collect(&fake).await.unwrap();
    assert_eq!((notes(&again), carried_keys(&again)), (vec![], fake.locked.clone()));
    let forged = Signing::new("SHA256:one");
    for listed in [[one.key(None), two.key(None)], [forged.key(None), two.key(None)]] {
        fake.document(KEYS_AT, &json!({ "keys": listed }).to_string());
        let problem = collect(&fake).await.unwrap_err();
        assert_eq!((problem.kind, problem.code.as_ref()), (Kind::Untrusted, "npm.keys-changed"));
    }
    // One that says less is believed: the key expires, and what was published before is as good as it was.
    fake.document(KEYS_AT, &json!({ "keys": [one.key(Some("2025-01-29T00:00:00.000Z"))] }).to_string());
    assert_ne!(carried_keys(&collect(&fake).await.unwrap()), fake.locked);
    // Nor does it help to hide them.
    fake.document(KEYS_AT, "<html>");
    assert_eq!(carried_keys(&collect(&fake).await.unwrap()), fake.locked);
}

#[tokio::test]
async fn pinned_keys_count_whatever_the_registry_lists() {
    let (one, two) = (Signing::new("SHA256:one"), Signing::new("SHA256:two"));
    let by_one: &dyn Fn(&str) -> Vec<Value> = &|message| vec![one.sign(message)];
    let mut fake = registry(&[two.key(None)], [by_one, by_one]);
    fake.file("/project/keys.json", &json!({ "keys": [one.key(None)] }).to_string());
    fake.file("keys.json", &json!({ "keys": [one.key(None)] }).to_string());
    for keys in [json!("keys.json"), json!([one.key(None)])] {
        fake.settings = vec![settings(json!({ "keys": keys }))];
        let resolution = collect(&fake).await.unwrap();
        assert_eq!((notes(&resolution), signers(&resolution).len()), (vec![], 3));
    }
    assert!(!fake.asked.lock().unwrap().iter().any(|url| url == KEYS_AT), "nobody has to be asked");
    fake.settings = vec![settings(json!({ "keys": [two.key(None)] }))];
    assert_eq!(collect(&fake).await.unwrap_err().code, "npm.signature");
    fake.settings[0].values.insert("registry".to_owned(), "https://other.example.test".into());
    assert_eq!(collect(&fake).await.unwrap_err().code, "npm.signature", "of another registry");
    for wrong in [
        json!({ "keys": "absent.json" }),
        json!({ "keys": [] }),
        json!({ "keys": [{ "keyid": "SHA256:one", "key": "AAAA" }] }),
        json!({ "keys": 7 }),
        json!({ "key": [] }),
        json!({ "registry": "none" }),
    ] {
        fake.settings = vec![settings(wrong.clone())];
        let problem = collect(&fake).await.unwrap_err();
        assert_eq!((problem.kind, problem.place.as_deref()), (Kind::Usage, Some("aftk.toml:4:1")), "{wrong}");
    }
}

#[tokio::test]
async fn keys_that_are_none_are_an_error() {
    let one = Signing::new("SHA256:one");
    let mut key = one.key(None);
    key["key"] = "!!!!".into();
    let fake = registry(&[key], [&|_| Vec::new(), &|_| Vec::new()]);
    assert_eq!(collect(&fake).await.unwrap_err().code, "npm.keys");
}
