//! What proves npm's packages and what is known of their weaknesses, from a registry to the clients inside.

use std::process::Command;

use aftk::protocol::sigstore::made::{COMMIT, IDENTITY, Made, THEN, VOUCHER, bundle};
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
/// What kind of statement says who built something.
const BUILT: &str = "https://slsa.dev/provenance/v1";

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
        self.publish(package, message, &json!(null));
    }

    /// The same, with where it is attested.
    fn publish(&self, package: &Package, message: &str, attestations: &Value) {
        let signature = self.pair.sign(&SystemRandom::new(), message.as_bytes()).unwrap();
        let mut document = package.document();
        let dist = &mut document["versions"][package.version]["dist"];
        dist["signatures"] = json!([{ "keyid": "SHA256:one", "sig": STANDARD.encode(signature.as_ref()) }]);
        if !attestations.is_null() {
            dist["attestations"] = attestations.clone();
        }
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

/// Has the registry attest a package: who built it, and that it was published.
fn attest(registry: &Signing, package: &Package, made: &Made, subject: &str) -> Value {
    use sha2::Digest as _;
    let message = format!("{}@{}:{}", package.name, package.version, package.integrity());
    registry.publish(package, &message, &json!({ "url": "https://x.example.test/" }));
    let sha512 = sha2::Sha512::digest(&package.tarball);
    let sha512: String = sha512.iter().map(|byte| format!("{byte:02x}")).collect();
    let statement = |kind: &str| {
        let subject = json!([{ "name": subject, "digest": { "sha512": sha512 } }]);
        let form = "https://in-toto.io/Statement/v1";
        json!({ "_type": form, "subject": subject, "predicateType": kind, "predicate": {} }).to_string()
    };
    let built = made.attest(statement(BUILT).as_bytes(), THEN, |_| {}).unwrap();
    let spki = registry.pair.public_key().as_der().unwrap();
    let sign = |text: &[u8]| registry.pair.sign(&SystemRandom::new(), text).unwrap().as_ref().to_vec();
    let published = statement("https://registry.example.test/publish/v0.1");
    let published = made.attest_with_key(published.as_bytes(), ("SHA256:one", spki.as_ref()), sign);
    let attestations = json!({ "attestations": [
        { "predicateType": BUILT, "bundle": bundle(&built, false) },
        { "predicateType": "publish", "bundle": bundle(&published, true) },
    ]});
    let name = package.name.replace('/', "%2f");
    let path = format!("/-/npm/v1/attestations/{name}@{}", package.version);
    registry.upstream.route(&path, Reply::json(&attestations));
    attestations
}

/// Attestations are carried where they are about the very tarball, and answered where their registry has them.
#[test]
fn attestations_are_carried_for_the_tarball_that_they_are_about() {
    let (sides, registry, made) = (Sides::new(), Signing::start(), Made::new().unwrap());
    write_project(&sides, &registry.packages);
    let [scoped, plain] = [&registry.packages[0], &registry.packages[1]];
    attest(&registry, plain, &made, "pkg:npm/other@1.4.0");
    let refused = registry.online(&sides, "out", &["collect", "--json"]);
    assert_eq!((refused.code, &refused.json()["error"]["code"]), (Some(3), &json!("npm.attestation")));
    let told = [
        ("plain@1.4.0", attest(&registry, plain, &made, "pkg:npm/plain@1.4.0")),
        ("@scope%2fleaf@2.0.1", attest(&registry, scoped, &made, "pkg:npm/%40scope/leaf@2.0.1")),
    ];
    registry.online(&sides, "out", &["collect", "--out", "../stick"]).done();
    sides.trust();
    let stick = sides.path("stick");
    let inspected = sides.run("in", &["inspect", stick.to_str().unwrap()]).done();
    assert!(
        inspected.contains("plain 1.4.0, has attestations, which nobody verified outside"),
        "{inspected}"
    );
    sides.run("in", &["import", stick.to_str().unwrap()]).done();
    let serving = Serving::start(&sides);
    for (version, document) in told {
        let path = format!("/npm/all/-/npm/v1/attestations/{version}");
        let answer = Client::connect(serving.address).ask("GET", &path, &[]);
        assert_eq!(answer.status, 200, "{version}: {}", answer.text());
        assert_eq!(serde_json::from_slice::<Value>(&answer.body).unwrap(), document);
    }
    // npm takes the path of the address that a version has, and asks its own registry for that.
    let packument = Client::connect(serving.address).ask("GET", "/npm/all/@scope%2fleaf", &[]).text();
    let packument: Value = serde_json::from_str(&packument).unwrap();
    let address = packument["versions"]["2.0.1"]["dist"]["attestations"]["url"].as_str().unwrap();
    assert!(address.ends_with("/npm/all/-/npm/v1/attestations/@scope/leaf@2.0.1"), "{address}");
    let absent = Client::connect(serving.address).ask("GET", "/npm/all/-/npm/v1/attestations/top@0.3.0", &[]);
    assert_eq!(absent.status, 404);
}

#[test]
fn who_built_a_version_is_verified_on_both_sides() {
    let (sides, registry) = (Sides::new(), Signing::start());
    let (made, strangers) = (Made::new().unwrap(), Made::new().unwrap());
    write_project(&sides, &registry.packages);
    attest(&registry, &registry.packages[1], &made, "pkg:npm/plain@1.4.0");
    let project = std::fs::read_to_string(sides.path("project/aftk.toml")).unwrap();
    sides.write("aftk.toml", format!("{project}\n[[npm]]\ntrusted-root = \"roots.json\"\n"));
    sides.write("roots.json", strangers.trusted_root().to_string());
    let refused = registry.online(&sides, "out", &["collect"]);
    assert_eq!(refused.code, Some(3), "{}", refused.stderr);
    for said in ["the attestations of plain@1.4.0 do not hold", BUILT, "is not pinned"] {
        assert!(refused.stderr.contains(said), "{said}: {}", refused.stderr);
    }
    sides.write("roots.json", made.trusted_root().to_string());
    registry.online(&sides, "out", &["collect", "--out", "../stick"]).done();
    sides.trust();
    let stick = sides.path("stick");
    let stick = stick.to_str().unwrap();
    let built =
        format!("1.4.0, built by {IDENTITY} at {COMMIT}, for whom {VOUCHER} vouched, logged 2026-01-01");
    let inspected = sides.run("in", &["inspect", stick]).done();
    assert!(inspected.contains(&format!("upstream  npm plain {built}")), "{inspected}");
    assert!(inspected.contains("; published by SHA256:one, logged"), "{inspected}");
    // Inside, others are believed: then it is refused; those who are believed outside: then it is noted.
    let keyrings = sides.path("in/npm/keyrings");
    std::fs::create_dir_all(&keyrings).unwrap();
    let pin = |name: &str, text: &Value| std::fs::write(keyrings.join(name), text.to_string()).unwrap();
    pin("sigstore.json", &strangers.trusted_root());
    let refused = sides.run("in", &["import", stick]);
    assert_eq!(refused.code, Some(3), "{}", refused.stderr);
    assert!(refused.stderr.contains("its attestations do not hold"), "{}", refused.stderr);
    pin("sigstore.json", &made.trusted_root());
    pin("npm.json", &registry.keys());
    sides.run("in", &["import", stick]).done();
    let why = sides.run("in", &["why", "npm:plain"]).done();
    assert!(why.contains(&format!("when it was accepted here: {built}")), "{why}");
    assert!(why.contains("upstream  npm -/npm/v1/keys signs with SHA256:one"), "{why}");
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
