//! Resolving against a registry of tables.

use bundle_format::BlobKey;
use serde_json::{Value, json};

use super::Oci;
use super::fake::{Fake, HOST};
use super::manifest::{DOCKER_MANIFEST, OCI_INDEX, OCI_MANIFEST};
use crate::ecosystem::{Collect as _, Gathered, Planned, Proof, Request, Resolution};
use crate::problem::{Kind, Problem};

pub(super) fn blob(text: &str) -> Value {
    let digest = BlobKey::of(text.as_bytes()).to_string();
    json!({"mediaType": "application/vnd.oci.image.layer.v1.tar+gzip", "digest": digest, "size": text.len()})
}

/// An image whose parts are named after it.
pub(super) fn image(name: &str) -> Value {
    let mut config = blob(&format!("configuration of {name}"));
    config["mediaType"] = json!("application/vnd.oci.image.config.v1+json");
    json!({
        "schemaVersion": 2, "mediaType": OCI_MANIFEST, "config": config,
        "layers": [blob("base"), blob(name), blob("base")],
    })
}

pub(super) fn platform(mut descriptor: Value, platform: &str) -> Value {
    let mut parts = platform.split('/');
    descriptor["platform"] = json!({"os": parts.next(), "architecture": parts.next()});
    if let Some(variant) = parts.next() {
        descriptor["platform"]["variant"] = json!(variant);
    }
    descriptor
}

/// A registry with `app:1`: two platforms, and an attestation of each.
pub(super) fn with_index() -> (Fake, String, [String; 4]) {
    let mut fake = Fake::default();
    let images = ["amd64", "arm64"].map(|name| fake.manifest(&image(name)));
    let attestations = ["about amd64", "about arm64"].map(|name| fake.manifest(&image(name)));
    let mut entries = Vec::new();
    for (digest, architecture) in images.iter().zip(["amd64", "arm64"]) {
        entries.push(platform(fake.describe(digest), &format!("linux/{architecture}")));
    }
    for (digest, of) in attestations.iter().zip(&images) {
        let mut entry = platform(fake.describe(digest), "unknown/unknown");
        entry["annotations"] = json!({
            "vnd.docker.reference.digest": of, "vnd.docker.reference.type": "attestation-manifest",
        });
        entries.push(entry);
    }
    let index = fake.manifest(&json!({"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": entries}));
    fake.tag("1", &index);
    let [amd64, arm64] = images;
    let [about_amd64, about_arm64] = attestations;
    (fake, index, [amd64, arm64, about_amd64, about_arm64])
}

pub(super) async fn resolve(fake: &Fake, what: &[&str], platforms: &[&str]) -> Result<Resolution, Problem> {
    let mut requests: Vec<Request> = Vec::new();
    for what in what {
        requests.push(Oci.parse("docker", &format!("{HOST}/{what}"), fake).await?);
    }
    let platforms: Vec<String> = platforms.iter().map(|&platform| platform.to_owned()).collect();
    Oci.resolve(&requests, &platforms, fake).await
}

fn artifacts(resolution: &Resolution) -> Vec<Planned> {
    resolution.artifacts.iter().collect::<Result<_, _>>().unwrap()
}

fn digests(resolution: &Resolution) -> Vec<String> {
    artifacts(resolution).into_iter().map(|artifact| artifact.version).collect()
}

fn tags(resolution: &Resolution) -> Vec<(String, String)> {
    resolution.refs.iter().map(|tag| tag.map(|tag| (tag.label, tag.version)).unwrap()).collect()
}

fn gaps(resolution: &Resolution) -> Vec<(&str, &str)> {
    resolution.gaps.iter().map(|gap| (gap.version.as_str(), gap.reason.as_str())).collect()
}

fn sorted<const N: usize>(mut digests: [&String; N]) -> Vec<String> {
    digests.sort();
    digests.into_iter().cloned().collect()
}

fn prove(resolution: &Resolution) -> Proof {
    let gathered = Gathered { ecosystem: "oci", artifacts: &resolution.artifacts, refs: &resolution.refs };
    Oci.prove(&gathered).unwrap()
}

#[tokio::test]
async fn an_index_brings_all_platforms_and_what_attests_them() {
    let (fake, index, [amd64, arm64, about_amd64, about_arm64]) = with_index();
    let resolution = resolve(&fake, &["app:1"], &[]).await.unwrap();
    assert_eq!(digests(&resolution), sorted([&index, &amd64, &arm64, &about_amd64, &about_arm64]));
    assert_eq!(tags(&resolution), [("1".to_owned(), index.clone())]);
    assert_eq!(prove(&resolution), Proof::default());
    let artifacts = artifacts(&resolution);
    let one = artifacts.iter().find(|one| one.version == amd64).unwrap();
    // A layer that is named twice is one file.
    let paths: Vec<_> = one.files.iter().map(|file| (file.role.as_str(), file.path.as_str())).collect();
    let path = |text: &str| format!("app/blobs/{}", BlobKey::of(text.as_bytes()));
    assert_eq!(
        paths,
        [
            ("manifest", format!("app/manifests/{amd64}").as_str()),
            ("config", path("configuration of amd64").as_str()),
            ("layer", path("base").as_str()),
            ("layer", path("amd64").as_str()),
        ]
    );
    assert_eq!(one.files[1].blob, Some(BlobKey::of(b"configuration of amd64")));
    let whole = artifacts.iter().find(|one| one.version == index).unwrap();
    assert_eq!((whole.requires.len(), whole.attributes.len()), (4, 0));
    for artifact in &artifacts {
        assert_eq!(artifact.requests, [format!("{HOST}/app:1")]);
    }
}

#[tokio::test]
async fn of_an_index_only_wanted_platforms_are_carried_and_the_rest_is_said() {
    let (fake, index, [amd64, _, about_amd64, _]) = with_index();
    let resolution = resolve(&fake, &["app:1"], &["linux-x64-glibc"]).await.unwrap();
    assert_eq!(digests(&resolution), sorted([&index, &amd64, &about_amd64]));
    assert_eq!(prove(&resolution), Proof::default());
    let artifacts = artifacts(&resolution);
    let whole = artifacts.iter().find(|one| one.version == index).unwrap();
    assert_eq!(whole.attributes["absent"].as_array().unwrap().len(), 2);
    let resolution = resolve(&fake, &["app:1"], &["linux/amd64", "linux/s390x"]).await.unwrap();
    assert_eq!(gaps(&resolution), [("1", "no-platform")]);
}

#[tokio::test]
async fn an_image_without_index_is_for_one_platform() {
    let mut fake = Fake::default();
    let mut only = image("only");
    only["mediaType"] = json!(DOCKER_MANIFEST);
    let configuration = json!({"os": "linux", "architecture": "arm64"});
    let config = configuration.to_string();
    only["config"]["digest"] = json!(BlobKey::of(config.as_bytes()).to_string());
    only["config"]["size"] = json!(config.len());
    fake.document(&format!("app/blobs/{}", BlobKey::of(config.as_bytes())), &configuration, "");
    let only = fake.manifest(&only);
    fake.tag("1", &only);
    for (platforms, expected) in
        [(vec![], vec![]), (vec!["linux/arm64"], vec![]), (vec!["linux/amd64"], vec![("1", "no-platform")])]
    {
        let resolution = resolve(&fake, &["app:1"], &platforms).await.unwrap();
        assert_eq!(gaps(&resolution), expected, "{platforms:?}");
        assert_eq!(digests(&resolution).len(), usize::from(expected.is_empty()));
    }
}

#[tokio::test]
async fn what_says_something_of_an_image_comes_along() {
    let (mut fake, index, [amd64, ..]) = with_index();
    let about = |what: &str, subject: Option<&Value>| {
        let mut about = image(what);
        about["artifactType"] = json!("application/vnd.example.statement");
        if let Some(subject) = subject {
            about["subject"] = subject.clone();
        }
        about
    };
    let described = fake.describe(&amd64);
    let listed = fake.manifest(&about("by the interface", Some(&described)));
    let referrers = json!({"mediaType": OCI_INDEX, "manifests": [fake.describe(&listed)]});
    fake.document(&format!("app/referrers/{amd64}"), &referrers, OCI_INDEX);
    let later = fake.manifest(&about("on a further page", Some(&described)));
    let referrers = json!({"mediaType": OCI_INDEX, "manifests": [fake.describe(&later)]});
    fake.document(&format!("app/referrers/{amd64}&last=1"), &referrers, OCI_INDEX);
    let signature = fake.manifest(&about("by cosign's tag", None));
    fake.tag(&format!("{}.sig", index.replace(':', "-")), &signature);
    let signed = fake.manifest(&about("of the signature", None));
    let fallback = fake.manifest(&json!({"mediaType": OCI_INDEX, "manifests": [fake.describe(&signed)]}));
    fake.tag(&signature.replace(':', "-"), &fallback);
    fake.tag("unrelated", &amd64);
    let resolution = resolve(&fake, &["app:1"], &["linux/amd64"]).await.unwrap();
    let found = digests(&resolution);
    for (what, digest) in [
        ("listed", &listed),
        ("later", &later),
        ("signature", &signature),
        ("signed", &signed),
        ("fallback", &fallback),
    ] {
        assert!(found.contains(digest), "{what}");
    }
    assert_eq!(tags(&resolution).len(), 3);
    assert_eq!(prove(&resolution), Proof::default());
}

#[tokio::test]
async fn patterns_name_tags_and_digests_name_themselves() {
    let mut fake = Fake::default();
    for tag in ["1.9", "1.10", "1.11", "2.0"] {
        let digest = fake.manifest(&image(tag));
        fake.tag(tag, &digest);
    }
    let last = fake.manifest(&image("on a further page"));
    fake.document("app/manifests/1.12", &image("on a further page"), OCI_MANIFEST);
    fake.document("app/tags/list?n=1000&last=1", &json!({"tags": ["1.12", "no tag!"]}), "");
    let resolution = resolve(&fake, &["app:1.*#newest=2"], &[]).await.unwrap();
    let labels: Vec<_> = tags(&resolution).into_iter().map(|(label, _)| label).collect();
    assert_eq!(labels, ["1.11", "1.12"]);
    let resolution = resolve(&fake, &[&format!("app:9.9@{last}")], &[]).await.unwrap();
    assert_eq!((digests(&resolution), tags(&resolution)), (vec![last], vec![]));
    let resolution = resolve(&fake, &["app:3.*", "app:gone", "other:1"], &[]).await.unwrap();
    assert_eq!(gaps(&resolution), [("3.*", "not-found"), ("gone", "not-found"), ("1", "not-found")]);
}

#[tokio::test]
async fn a_registry_that_hides_its_tags_gives_images_all_the_same() {
    let (mut fake, index, _) = with_index();
    fake.deny("app/tags/");
    fake.deny("app/referrers/");
    let resolution = resolve(&fake, &["app:1"], &[]).await.unwrap();
    assert!(digests(&resolution).contains(&index));
    assert_eq!(resolution.notes[0].code, "oci.no-tag-list");
    assert!(resolve(&fake, &["app:1.*"], &[]).await.is_err());
}

#[tokio::test]
async fn layers_that_a_registry_must_not_give_are_left_out_and_said() {
    let mut fake = Fake::default();
    let mut windows = image("windows");
    windows["layers"][0]["mediaType"] = json!("application/vnd.docker.image.rootfs.foreign.diff.tar.gzip");
    windows["layers"][0]["urls"] = json!(["https://elsewhere.example.test/layer"]);
    windows["layers"][2] = windows["layers"][0].clone();
    let digest = fake.manifest(&windows);
    fake.tag("1", &digest);
    let resolution = resolve(&fake, &["app:1"], &[]).await.unwrap();
    let artifact = artifacts(&resolution).remove(0);
    assert_eq!(artifact.files.len(), 3);
    assert_eq!(artifact.attributes["absent"].as_array().unwrap().len(), 1);
    assert_eq!(resolution.notes[0].code, "oci.foreign-layer");
}

#[tokio::test]
async fn what_is_not_what_its_digest_says_is_refused() {
    let (mut fake, index, [amd64, ..]) = with_index();
    fake.document(&format!("app/manifests/{amd64}"), &image("another"), OCI_MANIFEST);
    let problem = resolve(&fake, &["app:1"], &[]).await.unwrap_err();
    assert_eq!((problem.kind, problem.code.as_ref()), (Kind::Untrusted, "oci.digest-mismatch"));
    let problem = resolve(&fake, &[&format!("app@sha512:{}", "0".repeat(128))], &[]).await.unwrap();
    assert_eq!(problem.gaps.len(), 1);

    let both = json!({"mediaType": OCI_INDEX, "manifests": [], "config": blob("x"), "layers": []});
    let both = fake.manifest(&both);
    let problem = resolve(&fake, &[&format!("app@{both}")], &[]).await.unwrap_err();
    assert_eq!(problem.code, "oci.bad-manifest");

    // A size that is not the manifest's, said by an index.
    let mut entry = fake.describe(&index);
    entry["size"] = json!(7);
    let lying = fake.manifest(&json!({"mediaType": OCI_INDEX, "manifests": [entry]}));
    let problem = resolve(&fake, &[&format!("app@{lying}")], &[]).await.unwrap_err();
    assert_eq!(problem.code, "oci.digest-mismatch");
}

#[tokio::test]
async fn what_leads_on_and_on_is_given_up() {
    let mut fake = Fake::default();
    let mut digest = fake.manifest(&image("innermost"));
    for _ in 0..40 {
        let entry = fake.describe(&digest);
        digest = fake.manifest(&json!({"mediaType": OCI_INDEX, "manifests": [entry]}));
    }
    let problem = resolve(&fake, &[&format!("app@{digest}")], &[]).await.unwrap_err();
    assert_eq!(problem.code, "oci.endless");
}
