//! The collecting side as a whole, against a registry that is made up.

use serde_json::{Value, json};

use super::Npm;
use super::fake::{Fake, REGISTRY};
use crate::ecosystem::{Collect as _, Gathered, Planned, Proof, Resolution};
use crate::problem::{Kind, Problem};

/// An SRI of 64 equal bytes.
fn sri(byte: u8) -> String {
    use base64::Engine as _;
    format!("sha512-{}", base64::engine::general_purpose::STANDARD.encode([byte; 64]))
}

/// A version object, whose tarball stands at a host that only its registry knows.
fn version(name: &str, version: &str, more: Value) -> (String, Value) {
    let tarball = format!("https://inner.example.test/{}", super::names::tarball_path(name, version));
    let mut object =
        json!({"name": name, "version": version, "dist": {"tarball": tarball, "integrity": sri(1)}});
    for (key, value) in more.as_object().unwrap() {
        object[key] = value.clone();
    }
    (version.to_owned(), object)
}

fn package(fake: &mut Fake, name: &str, latest: &str, versions: Vec<(String, Value)>) {
    let times: serde_json::Map<_, _> =
        versions.iter().map(|(version, _)| (version.clone(), json!("2020-01-01T00:00:00.000Z"))).collect();
    let versions: serde_json::Map<_, _> = versions.into_iter().collect();
    let tags = json!({"latest": latest, "1.x": latest, "lost": "99.0.0"});
    let document = json!({"name": name, "dist-tags": tags, "versions": versions, "time": times});
    fake.document(&format!("{REGISTRY}{}", name.replace('/', "%2f")), &document.to_string());
}

fn one(fake: &mut Fake, name: &str, more: Value) {
    package(fake, name, "1.0.0", vec![version(name, "1.0.0", more)]);
}

async fn collect(fake: &mut Fake, packages: Value, platforms: &[&str]) -> Result<Resolution, Problem> {
    let lock = json!({"lockfileVersion": 3, "packages": packages});
    fake.file("/project/package-lock.json", &lock.to_string());
    let request = Npm.parse("npm", "package-lock.json", fake).await?;
    let platforms: Vec<String> = platforms.iter().map(|platform| (*platform).to_owned()).collect();
    Npm.resolve(&[request], &platforms, fake).await
}

fn listed(resolution: &Resolution) -> Vec<Planned> {
    resolution.artifacts.iter().map(Result::unwrap).collect()
}

fn prove(resolution: &Resolution) -> Proof {
    let (artifacts, refs) = (&resolution.artifacts, &resolution.refs);
    Npm.prove(&Gathered { ecosystem: "npm", artifacts, refs }).unwrap()
}

fn shown(resolution: &Resolution) -> Vec<String> {
    let show = |planned: &Planned| {
        let tarball = if planned.files.len() > 1 { "" } else { " (metadata)" };
        format!("{} {}@{}{tarball}", planned.repository, planned.name, planned.version)
    };
    listed(resolution).iter().map(show).collect()
}

fn gaps(resolution: &Resolution) -> Vec<String> {
    resolution.gaps.iter().map(|gap| format!("{} {} {}", gap.reason, gap.name, gap.version)).collect()
}

fn notes(resolution: &Resolution) -> Vec<String> {
    resolution.notes.iter().map(|note| format!("{} {}", note.code, note.subject)).collect()
}

#[tokio::test]
async fn a_lockfile_becomes_artifacts_with_their_upstream_bytes() {
    let mut fake = Fake::with_registry();
    one(
        &mut fake,
        "a",
        json!({"dependencies": {"cjs": "npm:@s/real@^1", "b": "1"}, "scripts": {"install": "get it"}}),
    );
    one(&mut fake, "@s/real", json!({}));
    one(&mut fake, "b", json!({"bundleDependencies": ["inner"], "dependencies": {"inner": "1"}}));
    let resolution = collect(
        &mut fake,
        json!({
            "": {"dependencies": {"a": "^1"}, "workspaces": ["w"]},
            "node_modules/a": {"version": "1.0.0", "resolved": format!("{REGISTRY}a/-/a-1.0.0.tgz"), "integrity": sri(1)},
            "node_modules/cjs": {"name": "@s/real", "version": "1.0.0"},
            "node_modules/b": {"version": "1.0.0", "integrity": sri(1)},
            "node_modules/b/node_modules/inner": {"version": "1.0.0", "inBundle": true},
            "node_modules/w": {"link": true, "resolved": "w"},
            "w": {"version": "0.0.0", "dependencies": {"b": "*"}},
        }),
        &[],
    )
    .await
    .unwrap();
    assert_eq!(shown(&resolution), ["npm @s/real@1.0.0", "npm a@1.0.0", "npm b@1.0.0"]);
    assert_eq!(gaps(&resolution), [""; 0]);
    assert_eq!(
        notes(&resolution),
        ["npm.bundled b@1.0.0", "npm.install-script a@1.0.0", "npm.no-keys npm", "npm.no-advisories npm"]
    );
    assert!(resolution.notes[1].message.contains("install: get it"));
    assert_eq!(resolution.repositories.len(), 1);
    assert_eq!(resolution.repositories[0].origin, REGISTRY);
    assert_eq!(resolution.evidence.len(), 3);
    let scoped = &listed(&resolution)[0];
    let [manifest, tarball] = scoped.files.as_slice() else { panic!("{scoped:?}") };
    let kept = fake.kept.lock().unwrap()[&manifest.blob.unwrap()].clone();
    assert_eq!(manifest.size, Some(kept.len() as u64));
    assert_eq!(kept, version("@s/real", "1.0.0", json!({})).1.to_string().as_bytes());
    assert_eq!(tarball.path, "@s/real/-/real-1.0.0.tgz");
    assert_eq!(tarball.origin, "@s/real/-/real-1.0.0.tgz");
    assert_eq!(tarball.checksums.len(), 1);
    assert_eq!(scoped.attributes["time"], "2020-01-01T00:00:00.000Z");
    let refs: Vec<_> = resolution.refs.iter().map(Result::unwrap).collect();
    let labels: Vec<_> = refs.iter().map(|r| (r.name.as_str(), r.label.as_str())).collect();
    assert_eq!(labels, [("@s/real", "latest"), ("a", "latest"), ("b", "latest")]);
    assert!(prove(&resolution).gaps.is_empty());
    let access =
        Npm.upstreams(&[], &fake).await.unwrap().access("npm", &tarball.origin, &fake).await.unwrap();
    assert_eq!(access.url.as_str(), format!("{REGISTRY}@s/real/-/real-1.0.0.tgz"));
}

#[tokio::test]
async fn optional_packages_that_the_lockfile_left_out_are_found() {
    let mut fake = Fake::with_registry();
    one(
        &mut fake,
        "native",
        json!({"optionalDependencies": {"native-linux": "1.0.0", "native-mac": "^1", "native-gone": "^1"},
               "dependencies": {"native-linux": "1.0.0"}}),
    );
    one(&mut fake, "native-linux", json!({"os": ["linux"], "cpu": ["x64"]}));
    package(
        &mut fake,
        "native-mac",
        "1.1.0",
        vec![
            version("native-mac", "1.1.0", json!({"os": ["darwin"], "dependencies": {"helper": "^1"}})),
            version("native-mac", "1.9.0", json!({"os": ["darwin"], "deprecated": "no"})),
        ],
    );
    one(&mut fake, "helper", json!({}));
    let lock = json!({
        "": {"dependencies": {"native": "^1"}},
        "node_modules/native": {"version": "1.0.0", "optionalDependencies":
            {"native-linux": "1.0.0", "native-mac": "^1", "native-gone": "^1"}},
        "node_modules/native-linux": {"version": "1.0.0", "optional": true, "os": ["linux"], "cpu": ["x64"]},
    });
    let all = collect(&mut fake, lock.clone(), &[]).await.unwrap();
    let everything =
        ["npm helper@1.0.0", "npm native@1.0.0", "npm native-linux@1.0.0", "npm native-mac@1.1.0"];
    assert_eq!(shown(&all), everything);
    assert_eq!(gaps(&all), [""; 0]);
    assert_eq!(
        notes(&all),
        ["npm.absent-optional native-gone@^1", "npm.no-keys npm", "npm.no-advisories npm"]
    );
    assert_eq!(prove(&all), Proof::default());
    for (platform, expected) in [
        ("linux-x64-glibc", ["npm native-linux@1.0.0", "npm native-mac@1.1.0 (metadata)"]),
        ("darwin-arm64", ["npm native-linux@1.0.0 (metadata)", "npm native-mac@1.1.0"]),
    ] {
        let some = collect(&mut fake, lock.clone(), &[platform]).await.unwrap();
        assert_eq!(shown(&some)[2..], expected);
        assert_eq!(prove(&some).gaps, []);
    }
    let problem = collect(&mut fake, lock, &["vax"]).await.unwrap_err();
    assert_eq!(problem.kind, Kind::Usage);
}

#[tokio::test]
async fn what_cannot_be_had_is_a_gap() {
    let mut fake = Fake::with_registry();
    one(&mut fake, "a", json!({}));
    one(&mut fake, "bare", json!({"dist": {}}));
    let resolution = collect(
        &mut fake,
        json!({
            "": {"dependencies": {"git": "github:x/git", "tarball": "https://files.example.test/t.tgz", "behind": "1",
                                  "local": "file:l.tgz", "old": "1", "a": "1", "bare": "1", "absent": "1"}},
            "node_modules/git": {"version": "1.0.0", "resolved": "git+ssh://git@git.example.test/x/git.git#abc"},
            "node_modules/tarball": {"version": "1.0.0", "resolved": "https://user:word@files.example.test/t.tgz"},
            "node_modules/local": {"version": "1.0.0", "resolved": "file:l.tgz"},
            "node_modules/a": {"version": "1.0.0"},
            "node_modules/a/node_modules/a": {"version": "2.0.0", "optional": true},
            "node_modules/bare": {"version": "1.0.0"},
            "node_modules/absent": {"version": "1.0.0"},
            "node_modules/old": {"version": "0.1.0"},
        }),
        &[],
    )
    .await
    .unwrap();
    assert_eq!(shown(&resolution), ["npm a@1.0.0"]);
    let expected = [
        "not-found a 2.0.0",
        "not-found absent 1.0.0",
        "no-checksum bare 1.0.0",
        "not-in-lockfile behind 1",
        "git-dependency git git+ssh://git@git.example.test/x/git.git#abc",
        "not-in-lockfile old 1",
        "not-found old 0.1.0",
        "url-dependency tarball https://files.example.test/t.tgz",
    ];
    let mut found = gaps(&resolution);
    found.sort();
    let mut expected = expected.map(str::to_owned);
    expected.sort();
    assert_eq!(found, expected);
    assert_eq!(
        notes(&resolution),
        ["npm.local-dependency local", "npm.no-keys npm", "npm.no-advisories npm"]
    );
    let git = resolution.gaps.iter().find(|gap| gap.name == "git").unwrap();
    assert!(git.detail.contains("needed by the project"), "{}", git.detail);
}

#[tokio::test]
async fn overrides_are_part_of_the_proof() {
    let mut fake = Fake::with_registry();
    one(&mut fake, "a", json!({"dependencies": {"b": "^0.1"}, "peerDependencies": {"c": "^7"}}));
    one(&mut fake, "b", json!({}));
    let lock = json!({
        "": {"dependencies": {"a": "^1"}},
        "node_modules/a": {"version": "1.0.0", "dependencies": {"b": "^0.1"}, "peerDependencies": {"c": "^7"}},
        "node_modules/b": {"version": "1.0.0"},
    });
    let without = collect(&mut fake, lock.clone(), &[]).await.unwrap();
    let proof = prove(&without);
    assert_eq!(proof.gaps.iter().map(|gap| gap.name.as_str()).collect::<Vec<_>>(), ["b"]);
    assert_eq!(proof.notes.iter().map(|note| note.code.as_str()).collect::<Vec<_>>(), ["npm.open-peer"]);
    fake.file("/project/package.json", r#"{"overrides": {"a": {"b": "$b"}}}"#);
    let with = collect(&mut fake, lock, &[]).await.unwrap();
    assert_eq!(prove(&with).gaps, []);
    let with = listed(&with);
    let kinds: Vec<_> = with[0].requires.iter().map(|edge| edge.kind.as_str()).collect();
    assert_eq!(kinds, ["override", "runtime", "peer"]);
}

#[tokio::test]
async fn a_registry_that_lies_is_not_believed() {
    let mut fake = Fake::with_registry();
    one(&mut fake, "a", json!({}));
    let lock = |integrity: String| json!({"node_modules/a": {"version": "1.0.0", "integrity": integrity}});
    let problem = collect(&mut fake, lock(sri(2)), &[]).await.unwrap_err();
    assert_eq!((problem.kind, problem.code.as_ref()), (Kind::Untrusted, "npm.checksum-conflict"));
    assert!(problem.causes[0].contains("0202") && problem.causes[1].contains("0101"), "{:?}", problem.causes);
    assert_eq!(problem.place.as_deref(), Some("https://registry.example.test/a"));
    let problem = collect(&mut fake, lock("sha512-AAAA".to_owned()), &[]).await.unwrap_err();
    assert_eq!((problem.kind, problem.code.as_ref()), (Kind::Untrusted, "npm.bad-integrity"));
    assert!(problem.place.unwrap().ends_with("package-lock.json, node_modules/a"));
    for (document, code) in [
        ("<html>", "npm.damaged-document"),
        ("{\"versions\":{\"1.0.0\":7}}", "npm.bad-version-object"),
        ("{\"versions\":{\"1.0.0\":{\"name\":\"b\",\"version\":\"1.0.0\"}}}", "npm.bad-version-object"),
    ] {
        fake.document(&format!("{REGISTRY}a"), document);
        let problem = collect(&mut fake, lock(sri(1)), &[]).await.unwrap_err();
        assert_eq!((problem.kind, problem.code.as_ref()), (Kind::Untrusted, code));
    }
    one(&mut fake, "a", json!({"optionalDependencies": {"../../etc": "1", "b?c": "1"}}));
    let resolution = collect(&mut fake, lock(sri(1)), &[]).await.unwrap();
    assert_eq!(gaps(&resolution), ["bad-name ../../etc 1", "bad-name b?c 1"]);
    let tarball = json!({"dist": {"tarball": "file:///etc/passwd", "integrity": sri(1)}});
    one(&mut fake, "a", tarball);
    let problem = collect(&mut fake, lock(sri(1)), &[]).await.unwrap_err();
    assert_eq!(problem.code, "npm.bad-tarball-address");
}

#[tokio::test]
async fn packages_of_other_registries_keep_their_own_repository() {
    let mut fake = Fake::with_registry();
    fake.file("/project/.npmrc", "@s:registry=https://scope.example.test:8443/r/\n");
    one(&mut fake, "a", json!({}));
    for (url, name) in
        [("https://scope.example.test:8443/r/@s%2fp", "@s/p"), ("https://other.example.test/a", "a")]
    {
        let document = json!({"versions": {"1.0.0": version(name, "1.0.0", json!({"dist": {
            "tarball": "https://other.example.test/download/1", "shasum": "ab".repeat(20)}})).1}});
        fake.document(url, &document.to_string());
    }
    let resolution = collect(
        &mut fake,
        json!({
            "node_modules/a": {"version": "1.0.0"},
            "node_modules/@s/p": {"version": "1.0.0", "integrity": sri(1)},
            "node_modules/b/node_modules/a": {"version": "1.0.0", "resolved": "https://other.example.test/a/-/a-1.0.0.tgz"},
        }),
        &[],
    )
    .await
    .unwrap();
    let expected = ["npm a@1.0.0", "other.example.test a@1.0.0", "scope.example.test_8443 @s/p@1.0.0"];
    assert_eq!(shown(&resolution), expected);
    let origins: Vec<_> =
        resolution.repositories.iter().map(|repository| repository.origin.as_str()).collect();
    assert_eq!(origins, [REGISTRY, "https://other.example.test/", "https://scope.example.test:8443/r/"]);
    let tarball = &listed(&resolution)[2].files[1];
    assert_eq!(tarball.origin, "https://other.example.test/download/1");
    assert_eq!(tarball.checksums.len(), 2);
}

#[tokio::test]
async fn a_lockfile_that_changes_before_it_is_resolved_is_refused() {
    let mut fake = Fake::with_registry();
    one(&mut fake, "a", json!({}));
    let lock =
        |version: &str| json!({"lockfileVersion": 3, "packages": {"node_modules/a": {"version": version}}});
    fake.file("/project/package-lock.json", &lock("1.0.0").to_string());
    let request = Npm.parse("npm", "package-lock.json", &fake).await.unwrap();
    fake.file("/project/package-lock.json", &lock("2.0.0").to_string());
    let problem = Npm.resolve(&[request], &[], &fake).await.unwrap_err();
    assert_eq!((problem.kind, problem.code.as_ref()), (Kind::Failed, "npm.document-changed"));
    assert!(!problem.hints.is_empty());
}

#[tokio::test]
async fn two_lockfiles_are_taken_together_and_what_is_absent_stays_marked() {
    let mut fake = Fake::with_registry();
    one(&mut fake, "shared", json!({"optionalDependencies": {"gone": "^1"}}));
    one(&mut fake, "one", json!({}));
    one(&mut fake, "other", json!({}));
    let mut requests = Vec::new();
    for (path, name) in [("one/package-lock.json", "one"), ("other/package-lock.json", "other")] {
        let mut packages = json!({"node_modules/shared": {"version": "1.0.0", "integrity": sri(1)}});
        packages[format!("node_modules/{name}")] = json!({"version": "1.0.0"});
        fake.file(
            &format!("/project/{path}"),
            &json!({"lockfileVersion": 3, "packages": packages}).to_string(),
        );
        requests.push(Npm.parse("npm", path, &fake).await.unwrap());
    }
    let resolution = Npm.resolve(&requests, &[], &fake).await.unwrap();
    assert_eq!(shown(&resolution), ["npm one@1.0.0", "npm other@1.0.0", "npm shared@1.0.0"]);
    let shared = &listed(&resolution)[2];
    let edges: Vec<_> = shared.requires.iter().map(|edge| edge.kind.as_str()).collect();
    assert_eq!((shared.files.len(), edges.as_slice()), (2, ["absent-optional"].as_slice()));
    assert_eq!((resolution.refs.len(), resolution.evidence.len(), resolution.repositories.len()), (3, 3, 1));
    assert_eq!(prove(&resolution), Proof::default());
}

async fn collect_words(fake: &Fake, words: &[&str], platforms: &[&str]) -> Result<Resolution, Problem> {
    let mut requests = Vec::new();
    for word in words {
        requests.push(Npm.parse("npm", word, fake).await?);
    }
    let platforms: Vec<String> = platforms.iter().map(|platform| (*platform).to_owned()).collect();
    Npm.resolve(&requests, &platforms, fake).await
}

#[tokio::test]
async fn packages_by_name_bring_all_that_npm_would_install() {
    let mut fake = Fake::with_registry();
    one(
        &mut fake,
        "a",
        json!({"dependencies": {"b": "^1", "gone": "^1"}, "optionalDependencies": {"lost": "1"}}),
    );
    one(&mut fake, "@s/b", json!({"peerDependencies": {"c": "1"}, "os": ["darwin"]}));
    let both = vec![version("b", "1.0.0", json!({})), version("b", "2.0.0", json!({}))];
    package(&mut fake, "b", "2.0.0", both);
    one(&mut fake, "c", json!({"optionalDependencies": {"@s/b": "*"}}));
    let resolution =
        collect_words(&fake, &["a@latest", "other@npm:c", "b", "b@1.x"], &["linux-x64"]).await.unwrap();
    let expected = ["npm @s/b@1.0.0 (metadata)", "npm a@1.0.0", "npm b@1.0.0", "npm b@2.0.0", "npm c@1.0.0"];
    assert_eq!(shown(&resolution), expected);
    assert_eq!(gaps(&resolution), ["not-found gone ^1"]);
    assert_eq!(
        notes(&resolution),
        ["npm.absent-optional lost@1", "npm.no-keys npm", "npm.no-advisories npm"]
    );
    let requests = listed(&resolution).into_iter().map(|planned| planned.requests.join(" "));
    let expected = ["a@latest b other@npm:c", "a@latest b other@npm:c", "a@latest b b@1.x other@npm:c"];
    assert_eq!(requests.take(3).collect::<Vec<_>>(), expected);
    // Each document was asked for once, and those that lack something once more.
    let mut asked = fake.asked.lock().unwrap().clone();
    asked.sort();
    let before = asked.len();
    asked.dedup();
    assert_eq!(before - asked.len(), 2, "{asked:?}");
}

#[tokio::test]
async fn wishes_that_contradict_are_shown_as_npm_shows_them() {
    let mut fake = Fake::with_registry();
    let both = vec![version("react", "18.3.1", json!({})), version("react", "19.0.0", json!({}))];
    package(&mut fake, "react", "19.0.0", both);
    let peers = json!({"peerDependencies": {"react": "^18.3.1"}});
    package(&mut fake, "dom", "18.3.1", vec![version("dom", "18.3.1", peers)]);
    let problem = collect_words(&fake, &["react@latest", "dom@18.3.1"], &[]).await.unwrap_err();
    assert_eq!((problem.kind, problem.code.as_ref()), (Kind::Incomplete, "npm.unsolvable"));
    assert!(problem.causes[0].starts_with("found: react@19.0.0"), "{problem:?}");
    assert_eq!(shown(&collect_words(&fake, &["react", "dom"], &[]).await.unwrap()).len(), 2);
    fake.file("/home/user/.npmrc", "legacy-peer-deps=true");
    assert_eq!(shown(&collect_words(&fake, &["react@latest", "dom"], &[]).await.unwrap()).len(), 2);
}

#[tokio::test]
async fn a_project_without_lockfile_is_solved_with_its_workspaces() {
    let mut fake = Fake::with_registry();
    let all = |name: &str| ["1.0.0", "2.0.0"].map(|text| version(name, text, json!({}))).to_vec();
    package(&mut fake, "a", "2.0.0", all("a"));
    package(&mut fake, "b", "2.0.0", all("b"));
    one(&mut fake, "c", json!({"dependencies": {"b": "*"}}));
    fake.file(
        "/project/package.json",
        r#"{"workspaces":["apps/*"],"dependencies":{"a":"^1","c":"*","git":"github:x/git","tar":"https://files.example.test/t.tgz"},
            "overrides":{"c":{"b":"1.0.0"}}}"#,
    );
    fake.file("/project/apps/one/package.json", r#"{"name":"one","devDependencies":{"a":"^2","two":"*"}}"#);
    fake.file(
        "/project/apps/two/package.json",
        r#"{"name":"two","version":"1.0.0","dependencies":{"local":"file:./gone"}}"#,
    );
    let request = Npm.parse("npm", "./package.json", &fake).await.unwrap();
    let resolution = Npm.resolve(std::slice::from_ref(&request), &[], &fake).await.unwrap();
    let expected = ["npm a@1.0.0", "npm a@2.0.0", "npm b@1.0.0", "npm c@1.0.0"];
    assert_eq!(shown(&resolution), expected);
    assert_eq!(
        gaps(&resolution),
        ["git-dependency git github:x/git", "url-dependency tar https://files.example.test/t.tgz"]
    );
    assert_eq!(
        notes(&resolution),
        ["npm.local-dependency local", "npm.no-keys npm", "npm.no-advisories npm"]
    );
    assert_eq!(prove(&resolution), Proof::default());
    let (artifacts, refs) = (&resolution.artifacts, &resolution.refs);
    let gathered = Gathered { ecosystem: "npm", artifacts, refs };
    Npm.prove_requests(&gathered, std::slice::from_ref(&request), &[], &fake).await.unwrap();
    let words = Npm.parse("npm", "b@2", &fake).await.unwrap();
    let problem = Npm.prove_requests(&gathered, &[request.clone(), words], &[], &fake).await.unwrap_err();
    assert_eq!((problem.kind, problem.code.as_ref()), (Kind::Incomplete, "npm.unproved"));
    assert_eq!(problem.causes, ["b@2 is missing, needed by the root project"]);
    fake.file("/project/package.json", "{}");
    let problem = Npm.resolve(&[request], &[], &fake).await.unwrap_err();
    assert_eq!(problem.code, "npm.document-changed");
}

#[tokio::test]
async fn what_npm_asks_for_without_installing_it_is_carried_as_metadata() {
    let mut fake = Fake::with_registry();
    let host = |text: &str| version("host", text, json!({"dependencies": {"never": "1"}}));
    package(&mut fake, "host", "2.0.0", vec![host("1.0.0"), host("2.0.0")]);
    one(&mut fake, "never", json!({}));
    one(&mut fake, "plugin", json!({"peerDependencies": {"host": "^2"}}));
    one(&mut fake, "helper", json!({"peerDependencies": {"host": "^1"}, "dependencies": {"plugin": "1"}}));
    let resolution = collect_words(&fake, &["helper", "host@1.0.0"], &[]).await.unwrap();
    let expected = [
        "npm helper@1.0.0",
        "npm host@1.0.0",
        "npm host@2.0.0 (metadata)",
        "npm never@1.0.0",
        "npm plugin@1.0.0",
    ];
    assert_eq!(shown(&resolution), expected);
    assert!(notes(&resolution).contains(&"npm.overruled-peer plugin@1.0.0".to_owned()));
    let tagged: Vec<_> = resolution.refs.iter().map(|one| one.unwrap().name).collect();
    assert!(!tagged.contains(&"host".to_owned()), "no tag leads to what cannot be installed: {tagged:?}");
    assert_eq!(prove(&resolution).gaps, []);
    let mut requests = Vec::new();
    for words in ["helper", "host@1.0.0"] {
        requests.push(Npm.parse("npm", words, &fake).await.unwrap());
    }
    let (artifacts, refs) = (&resolution.artifacts, &resolution.refs);
    let gathered = Gathered { ecosystem: "npm", artifacts, refs };
    Npm.prove_requests(&gathered, &requests, &[], &fake).await.unwrap();
}
