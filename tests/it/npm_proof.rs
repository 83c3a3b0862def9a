//! What proves npm's packages and what is known of their weaknesses, from a registry to the clients inside.

use std::process::Command;

use aws_lc_rs::encoding::AsDer as _;
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_ASN1_SIGNING, EcdsaKeyPair, KeyPair as _};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use crate::support::fake_upstream::{FakeUpstream, Reply};
use crate::support::npm_project::{self, Package, packages, publish, write_project};
use crate::support::raw_http::Client;
use crate::support::serving::Serving;
use crate::support::sides::{Ran, Sides};

const SCHEME: &str = "ecdsa-sha2-nistp256";

/// A registry that signs what it publishes, and tells of weaknesses.
struct Signing {
    upstream: FakeUpstream,
    pair: EcdsaKeyPair,
    packages: Vec<Package>,
}

impl Signing {
    fn start() -> Signing {
        let pair = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_ASN1_SIGNING).unwrap();
        let signing = Signing { upstream: FakeUpstream::start(), pair, packages: packages() };
        publish(&signing.upstream, &signing.packages);
        for package in &signing.packages {
            signing.sign(package, &format!("{}@{}:{}", package.name, package.version, package.integrity()));
        }
        signing.upstream.route("/-/npm/v1/keys", Reply::json(&signing.keys()));
        signing.tell("<2.0.0");
        signing
    }

    fn keys(&self) -> Value {
        let key = STANDARD.encode(self.pair.public_key().as_der().unwrap().as_ref());
        json!({ "keys": [{ "keyid": "SHA256:one", "keytype": SCHEME, "scheme": SCHEME, "key": key, "expires": null }] })
    }

    /// Publishes a package with the signature of a message.
    fn sign(&self, package: &Package, message: &str) {
        let signature = self.pair.sign(&SystemRandom::new(), message.as_bytes()).unwrap();
        let mut document = package.document();
        document["versions"][package.version]["dist"]["signatures"] =
            json!([{ "keyid": "SHA256:one", "sig": STANDARD.encode(signature.as_ref()) }]);
        self.upstream.route(&package.document_path(), Reply::json(&document));
    }

    /// Tells of a weakness of `plain`.
    fn tell(&self, range: &str) {
        let advisory = json!({ "id": 7, "url": "https://advisories.example.test/GHSA-7", "title": "bad", "severity": "high",
                               "vulnerable_versions": range });
        let bulk = "/-/npm/v1/security/advisories/bulk";
        self.upstream.route(bulk, Reply::json(&json!({ "plain": [advisory] })));
    }

    fn online(&self, sides: &Sides, home: &str, arguments: &[&str]) -> Ran {
        let mut command: Command = sides.command(home);
        npm_project::reach(&mut command, &self.upstream);
        command.args(arguments).output().unwrap().into()
    }
}

#[test]
fn signatures_and_advisories_cross_the_gap() {
    let (sides, registry) = (Sides::new(), Signing::start());
    write_project(&sides, &registry.packages);
    let collected = registry.online(&sides, "out", &["collect", "--out", "../stick"]);
    assert!(collected.stderr.contains("SHA256:one"), "the first keys are shown: {}", collected.stderr);
    collected.done();
    let lock = std::fs::read_to_string(sides.path("project/aftk.lock")).unwrap();
    assert_eq!(lock.matches(r#""signed_by":["SHA256:one"]"#).count(), 3);

    sides.trust();
    let stick = sides.path("stick");
    let stick = stick.to_str().unwrap();
    let inspected = sides.run("in", &["inspect", stick]).done();
    assert!(inspected.contains("upstream  npm -/npm/v1/keys signs with SHA256:one"), "{inspected}");
    let keyrings = sides.path("in/npm/keyrings");
    std::fs::create_dir_all(&keyrings).unwrap();
    // A site that believes somebody else takes nothing in.
    let stranger = Signing::start();
    std::fs::write(keyrings.join("npm.json"), stranger.keys().to_string()).unwrap();
    let refused = sides.run("in", &["import", stick]);
    assert_eq!(refused.code, Some(3), "{}", refused.stderr);
    std::fs::write(keyrings.join("npm.json"), registry.keys().to_string()).unwrap();
    sides.run("in", &["import", stick]).done();
    let why = sides.run("in", &["why", "npm:plain"]).done();
    assert!(
        why.contains("signs with SHA256:one") && why.contains("3 packages signed by SHA256:one"),
        "{why}"
    );
    let status = sides.run("in", &["status"]).done();
    assert!(status.contains("advisories of npm/npm"), "{status}");

    let serving = Serving::start(&sides);
    let get = |path: &str| Client::connect(serving.address).ask("GET", path, &[]);
    let keys: Value = serde_json::from_slice(&get("/npm/all/-/npm/v1/keys").body).unwrap();
    assert_eq!(keys, registry.keys());
    let packument: Value = serde_json::from_slice(&get("/npm/all/plain").body).unwrap();
    assert_eq!(packument["versions"]["1.4.0"]["dist"]["signatures"][0]["keyid"], "SHA256:one");
}

#[test]
fn a_wrong_signature_stops_collecting() {
    let (sides, registry) = (Sides::new(), Signing::start());
    write_project(&sides, &registry.packages);
    registry.sign(&registry.packages[1], "plain@1.4.0:sha512-AAAA");
    let refused = registry.online(&sides, "out", &["collect", "--json"]);
    assert_eq!(refused.code, Some(3), "{}", refused.stderr);
    assert!(refused.json()["error"]["message"].as_str().unwrap().contains("plain@1.4.0"));
}

/// What is known of weaknesses changes by the day, and a lock has to be good for all who have it.
#[test]
fn a_lock_answers_on_another_machine_whatever_is_known_by_then() {
    let (sides, registry) = (Sides::new(), Signing::start());
    write_project(&sides, &registry.packages);
    registry.online(&sides, "out", &["collect", "--out", "../stick"]).done();
    let lock = std::fs::read(sides.path("project/aftk.lock")).unwrap();
    registry.tell("<9.0.0");
    registry.online(&sides, "other", &["collect", "--locked", "--out", "../other-stick"]).done();
    assert_eq!(std::fs::read(sides.path("project/aftk.lock")).unwrap(), lock);
    let upgraded = registry.online(&sides, "out", &["lock", "--upgrade"]).done();
    assert!(upgraded.contains("-/npm/v1/security/advisories/plain"), "{upgraded}");
    assert_ne!(std::fs::read(sides.path("project/aftk.lock")).unwrap(), lock);
}

/// Attestations are carried where they are about the very tarball, and answered where their registry has them.
#[test]
fn attestations_are_carried_for_the_tarball_that_they_are_about() {
    let (sides, registry) = (Sides::new(), Signing::start());
    write_project(&sides, &registry.packages);
    let hex = |package: &Package| {
        use sha2::Digest as _;
        sha2::Sha512::digest(&package.tarball).iter().map(|byte| format!("{byte:02x}")).collect::<String>()
    };
    let attest = |package: &Package, subject: &str, path: &str| {
        let mut document = package.document();
        document["versions"][package.version]["dist"]["attestations"] =
            json!({ "url": "https://x.example.test/" });
        registry.upstream.route(&package.document_path(), Reply::json(&document));
        let statement = json!({ "_type": "https://in-toto.io/Statement/v1",
                                "subject": [{ "name": subject, "digest": { "sha512": hex(package) } }] });
        let envelope = json!({ "payload": STANDARD.encode(statement.to_string()),
                               "payloadType": "application/vnd.in-toto+json", "signatures": [{ "sig": "AAAA" }] });
        let attestations = json!({ "attestations": [{ "bundle": { "dsseEnvelope": envelope } }] });
        registry.upstream.route(path, Reply::json(&attestations));
        attestations
    };
    let [scoped, plain] = [&registry.packages[0], &registry.packages[1]];
    attest(plain, "pkg:npm/other@1.4.0", "/-/npm/v1/attestations/plain@1.4.0");
    let refused = registry.online(&sides, "out", &["collect", "--json"]);
    assert_eq!((refused.code, &refused.json()["error"]["code"]), (Some(3), &json!("npm.attestation")));
    let told = [
        ("plain@1.4.0", attest(plain, "pkg:npm/plain@1.4.0", "/-/npm/v1/attestations/plain@1.4.0")),
        (
            "@scope%2fleaf@2.0.1",
            attest(scoped, "pkg:npm/%40scope/leaf@2.0.1", "/-/npm/v1/attestations/@scope%2fleaf@2.0.1"),
        ),
    ];
    registry.online(&sides, "out", &["collect", "--out", "../stick"]).done();
    sides.trust();
    sides.run("in", &["import", sides.path("stick").to_str().unwrap()]).done();
    let serving = Serving::start(&sides);
    for (version, document) in told {
        let path = format!("/npm/all/-/npm/v1/attestations/{version}");
        let answer = Client::connect(serving.address).ask("GET", &path, &[]);
        assert_eq!(answer.status, 200, "{version}: {}", answer.text());
        assert_eq!(serde_json::from_slice::<Value>(&answer.body).unwrap(), document);
    }
    let absent = Client::connect(serving.address).ask("GET", "/npm/all/-/npm/v1/attestations/top@0.3.0", &[]);
    assert_eq!(absent.status, 404);
}

/// Packages leave the store as plain files, named as upstream names them, together with files of other ecosystems.
#[test]
fn packages_are_exported_as_plain_files() {
    let (sides, registry) = (Sides::new(), Signing::start());
    write_project(&sides, &registry.packages);
    registry.online(&sides, "out", &["collect", "--out", "../stick"]).done();
    let export = |arguments: &[&str]| sides.run("out", &[&["export", "files"], arguments].concat());
    let said = export(&["plain"]).done();
    assert!(said.contains("plain: written, 4 files"), "{said}");
    for package in &registry.packages {
        let base = package.tarball_path();
        let base = base.rsplit('/').next().unwrap();
        let scope = package.name.split_once('/').map(|(scope, _)| format!("{scope}/")).unwrap_or_default();
        let bytes = std::fs::read(sides.path("project/plain").join(format!("{scope}{base}"))).unwrap();
        assert_eq!(bytes, package.tarball);
    }
    assert_eq!(
        std::fs::read(sides.path("project/plain/manual.txt")).unwrap(),
        "read me\n".repeat(300).as_bytes()
    );
    assert!(export(&["plain"]).done().contains("unchanged"));
    export(&["some.tar", "npm:plain", "npm:@scope/*"]).done();
    let archive = std::fs::File::open(sides.path("project/some.tar")).unwrap();
    let mut archive = tar::Archive::new(archive);
    let names: Vec<String> = archive
        .entries()
        .unwrap()
        .map(|entry| entry.unwrap().path().unwrap().display().to_string())
        .collect();
    assert_eq!(names, ["@scope/leaf-2.0.1.tgz", "plain-1.4.0.tgz"]);
    for (arguments, code) in [
        (&["other", "npm:absent"][..], 4),
        (&["plain", "npm:plain"], 6),
        (&["other", "--platform", "linux/amd64"], 2),
    ] {
        let refused = export(arguments);
        assert_eq!(refused.code, Some(code), "{arguments:?}: {}", refused.stderr);
    }
    assert!(!sides.path("project/other").exists());
}
