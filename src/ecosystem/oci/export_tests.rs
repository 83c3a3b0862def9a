//! Exporting what was resolved against a registry of tables.

use std::collections::BTreeMap;

use bundle_format::{Artifact, BlobKey, File, Ref};
use bytes::Bytes;
use serde_json::{Value, json};

use super::Oci;
use super::collect_tests::{image, resolve, with_index};
use super::fake::{Fake, HOST};
use super::manifest::{OCI_INDEX, OCI_MANIFEST};
use super::request::{DOCKER_ARCHIVE, LAYOUT};
use crate::ecosystem::{Chosen, Export as _, ExportContext, Exported, ExportedFile, Resolution};
use crate::problem::{Kind, Problem};
use crate::store::{Generation, Linked, LinkedRef, Source};

/// A store that holds what was resolved.
#[derive(Default)]
struct Held {
    artifacts: Vec<Artifact>,
    refs: Vec<Ref>,
    documents: BTreeMap<BlobKey, Bytes>,
}

impl Held {
    async fn of(fake: &Fake, what: &[&str], platforms: &[&str]) -> Held {
        let resolution: Resolution = resolve(fake, what, platforms).await.unwrap();
        let mut held = Held { refs: resolution.refs.iter().map(Result::unwrap).collect(), ..Held::default() };
        for planned in resolution.artifacts.iter().map(Result::unwrap) {
            let files = planned.files.into_iter().map(|file| File {
                role: file.role,
                path: file.path,
                blob: file.blob.unwrap(),
                size: file.size.unwrap(),
                media_type: file.media_type,
                checksums: file.checksums,
                origin: file.origin,
            });
            held.artifacts.push(Artifact {
                ecosystem: planned.ecosystem,
                repository: planned.repository,
                name: planned.name,
                version: planned.version,
                qualifier: planned.qualifier,
                schema: planned.schema,
                attributes: planned.attributes,
                files: files.collect(),
                requires: planned.requires,
            });
        }
        for document in fake.documents() {
            held.documents.insert(BlobKey::of(&document), document);
        }
        held
    }

    /// Everything, as a selection without selectors has it.
    fn all(&self) -> Vec<Chosen> {
        let mut all: Vec<Chosen> = self
            .artifacts
            .iter()
            .map(|artifact| {
                let leading = self.refs.iter().filter(|one| one.version == artifact.version);
                let labels = leading.map(|one| one.label.clone()).collect();
                let (repository, name) = (artifact.repository.clone(), artifact.name.clone());
                Chosen { repository, name, version: artifact.version.clone(), labels }
            })
            .collect();
        all.sort();
        all
    }

    fn export(&self, kind: &str, chosen: &[Chosen]) -> Result<Exported, Problem> {
        self.export_for(kind, chosen, if kind == DOCKER_ARCHIVE { &["linux/amd64"] } else { &[] })
    }

    fn export_for(&self, kind: &str, chosen: &[Chosen], platforms: &[&str]) -> Result<Exported, Problem> {
        let platforms: Vec<String> = platforms.iter().map(|&platform| platform.to_owned()).collect();
        Oci.export(kind, chosen, &platforms, self)
    }
}

impl ExportContext for Held {
    fn artifacts(&self, repository: &str, name: &str) -> Result<Vec<Linked>, Problem> {
        let those = self.artifacts.iter().filter(|one| one.repository == repository && one.name == name);
        let source = Source::Channel("default".to_owned());
        Ok(those
            .map(|artifact| Linked {
                artifact: artifact.clone(),
                source: source.clone(),
                generation: Generation(1),
            })
            .collect())
    }

    fn refs(&self, repository: &str, name: &str) -> Result<Vec<LinkedRef>, Problem> {
        let those = self.refs.iter().filter(|one| one.repository == repository && one.name == name);
        let source = Source::Channel("default".to_owned());
        Ok(those.map(|one| LinkedRef { reference: one.clone(), source: source.clone() }).collect())
    }

    fn read(&self, key: &BlobKey, _: u64) -> Result<Bytes, Problem> {
        Ok(self.documents[key].clone())
    }
}

fn document(exported: &Exported, path: &str) -> Value {
    match &exported.files[path] {
        ExportedFile::Document(bytes) => serde_json::from_slice(bytes).unwrap(),
        ExportedFile::Blob { key, .. } => panic!("{path} is the blob {key}"),
    }
}

/// The entries of the layout's index: what each is called, and its digest.
fn entries(exported: &Exported) -> Vec<(String, String)> {
    let index = document(exported, "index.json");
    let entries = index["manifests"].as_array().unwrap().iter().map(|entry| {
        let name = entry["annotations"]["org.opencontainers.image.ref.name"].as_str().unwrap_or_default();
        (name.to_owned(), entry["digest"].as_str().unwrap().to_owned())
    });
    entries.collect()
}

fn has(exported: &Exported, digest: &str) -> bool {
    exported.files.contains_key(&digest.replacen("sha256:", "blobs/sha256/", 1))
}

fn codes(exported: &Exported) -> Vec<&str> {
    exported.notes.iter().map(|note| note.code.as_str()).collect()
}

#[tokio::test]
async fn an_index_is_exported_with_its_entries_and_named_once() {
    let (fake, index, below) = with_index();
    let held = Held::of(&fake, &["app:1"], &[]).await;
    let exported = held.export(LAYOUT, &held.all()).unwrap();
    assert_eq!(entries(&exported), [(format!("{HOST}/app:1"), index.clone())]);
    assert!(below.iter().chain([&index]).all(|digest| has(&exported, digest)));
    assert_eq!(codes(&exported), [""; 0]);
    // An entry that was chosen alone is named by its digest.
    let chosen: Vec<Chosen> = held.all().into_iter().filter(|one| one.version == below[0]).collect();
    let alone = held.export(LAYOUT, &chosen).unwrap();
    assert_eq!(entries(&alone), [(format!("{HOST}/app@{}", below[0]), below[0].clone())]);
    assert!(!has(&alone, &index));
}

#[tokio::test]
async fn a_sparse_index_stays_as_it_is_and_what_is_absent_is_said() {
    let (fake, index, [amd64, arm64, ..]) = with_index();
    let held = Held::of(&fake, &["app:1"], &["linux/amd64"]).await;
    let exported = held.export(LAYOUT, &held.all()).unwrap();
    assert!(has(&exported, &index) && has(&exported, &amd64) && !has(&exported, &arm64));
    let note = &exported.notes[0];
    assert_eq!(
        (note.code.as_str(), note.subject.as_str()),
        ("oci.sparse-index", "registry.example.test/app:1")
    );
    assert!(note.message.ends_with("2 of its 4 entries are not in here: linux/arm64"), "{}", note.message);
    // The same, if everything is carried and one platform is wanted.
    let whole = Held::of(&fake, &["app:1"], &[]).await;
    let chosen = whole.export_for(LAYOUT, &whole.all(), &["linux/amd64"]).unwrap();
    assert_eq!((chosen.files, chosen.notes), (exported.files, exported.notes));
    let two = whole.export_for(DOCKER_ARCHIVE, &whole.all(), &["linux/amd64", "linux/arm64"]);
    assert_eq!(two.unwrap_err().kind, Kind::Usage);
}

#[tokio::test]
async fn an_index_without_the_platform_is_left_out_and_named() {
    let (mut fake, index, _) = with_index();
    let signature = fake.manifest(&image("signature"));
    fake.tag(&format!("{}.sig", index.replace(':', "-")), &signature);
    let held = Held::of(&fake, &["app:1"], &[]).await;
    let problem = held.export_for(LAYOUT, &held.all(), &["linux/s390x"]).unwrap_err();
    assert_eq!(problem.kind, Kind::Incomplete);
    let why = "registry.example.test/app:1: it is left out: it has no image for linux/s390x, but linux/amd64, linux/arm64";
    assert_eq!(problem.causes, [why]);
    // What is for no platform in particular goes all the same.
    let other = fake.manifest(&image("other"));
    fake.tag("other", &other);
    let held = Held::of(&fake, &["app:1", "app:other"], &[]).await;
    let exported = held.export_for(LAYOUT, &held.all(), &["linux/s390x"]).unwrap();
    assert_eq!((exported.items.len(), codes(&exported)), (1, vec!["oci.left-out"]));
    assert!(has(&exported, &other) && !has(&exported, &index));
}

#[tokio::test]
async fn what_says_something_of_an_image_comes_along_without_a_name_of_an_image() {
    let (mut fake, index, [amd64, ..]) = with_index();
    let mut about = image("statement");
    about["subject"] = fake.describe(&amd64);
    let statement = fake.manifest(&about);
    let referrers = json!({"mediaType": OCI_INDEX, "manifests": [fake.describe(&statement)]});
    fake.document(&format!("app/referrers/{amd64}"), &referrers, OCI_INDEX);
    let signature = fake.manifest(&image("signature"));
    let tag = format!("{}.sig", index.replace(':', "-"));
    fake.tag(&tag, &signature);
    let held = Held::of(&fake, &["app:1"], &[]).await;
    let by_tag: Vec<Chosen> = held.all().into_iter().filter(|one| one.labels == ["1"]).collect();
    assert_eq!(by_tag.len(), 1);
    for chosen in [held.all(), by_tag] {
        let exported = held.export(LAYOUT, &chosen).unwrap();
        let mut expected = vec![
            (format!("{HOST}/app:1"), index.clone()),
            (String::new(), signature.clone()),
            (String::new(), statement.clone()),
        ];
        expected.sort();
        let mut found = entries(&exported);
        found.sort();
        assert_eq!(found, expected);
        let names = document(&exported, "index.json").to_string();
        assert!(names.contains(&format!("{HOST}/app:{tag}")), "what it is about is kept: {names}");
        assert_eq!(exported.items.len(), 1);

        let docker = held.export(DOCKER_ARCHIVE, &chosen).unwrap();
        assert!(!has(&docker, &signature) && !has(&docker, &statement));
    }
}

#[tokio::test]
async fn docker_gets_one_image_of_an_index_under_all_its_tags() {
    let (mut fake, index, [amd64, arm64, ..]) = with_index();
    fake.tag("1.0", &index);
    let held = Held::of(&fake, &["app:1*"], &[]).await;
    let exported = held.export(DOCKER_ARCHIVE, &held.all()).unwrap();
    let name = |tag: &str| format!("{HOST}/app:{tag}");
    assert_eq!(entries(&exported), [(name("1"), amd64.clone()), (name("1.0"), amd64)]);
    assert!(!has(&exported, &arm64) && !has(&exported, &index));
    let images = document(&exported, "manifest.json");
    let path = |text: &str| format!("blobs/sha256/{}", BlobKey::of(text.as_bytes()).hex());
    assert_eq!(
        images,
        json!([{
            "Config": path("configuration of amd64"), "RepoTags": [name("1"), name("1.0")],
            "Layers": [path("base"), path("amd64"), path("base")],
        }])
    );
    assert_eq!(codes(&exported), ["oci.one-platform"]);
}

#[tokio::test]
async fn what_docker_cannot_load_is_left_out_and_said() {
    let mut fake = Fake::default();
    let mut chart = image("chart");
    chart["config"]["mediaType"] = json!("application/vnd.cncf.helm.config.v1+json");
    let mut windows = image("windows");
    windows["layers"][0]["urls"] = json!(["https://elsewhere.example.test/layer"]);
    for (tag, manifest) in [("chart", chart), ("windows", windows), ("good", image("good"))] {
        let digest = fake.manifest(&manifest);
        fake.tag(tag, &digest);
    }
    let held = Held::of(&fake, &["app:chart", "app:windows", "app:good"], &[]).await;
    let exported = held.export(DOCKER_ARCHIVE, &held.all()).unwrap();
    assert_eq!(exported.items.len(), 1);
    assert_eq!(codes(&exported), ["oci.left-out", "oci.left-out"]);
    let bad: Vec<Chosen> = held.all().into_iter().filter(|one| one.labels != ["good"]).collect();
    let problem = held.export(DOCKER_ARCHIVE, &bad).unwrap_err();
    assert_eq!((problem.kind, problem.causes.len()), (Kind::Incomplete, 2));
    // A layout holds them all.
    let exported = held.export(LAYOUT, &held.all()).unwrap();
    assert_eq!((exported.items.len(), codes(&exported)), (3, vec!["oci.absent-blobs"]));
}

#[tokio::test]
async fn records_that_nobody_made_in_good_faith_are_refused() {
    let (fake, index, _) = with_index();
    let chosen = |name: &str, version: &str, label: &str| {
        let (repository, name) = (HOST.to_owned(), name.to_owned());
        vec![Chosen { repository, name, version: version.to_owned(), labels: vec![label.to_owned()] }]
    };
    let held = Held::of(&fake, &["app:1"], &[]).await;
    for bad in [chosen("../app", &index, "1"), chosen("app", &index, "-"), chosen("App", &index, "1")] {
        assert_eq!(held.export(LAYOUT, &bad).unwrap_err().kind, Kind::Untrusted, "{bad:?}");
    }
    let mut other = held;
    for artifact in &mut other.artifacts {
        artifact.version = artifact.version.replace("sha256:", "../");
    }
    let version = other.artifacts[0].version.clone();
    assert_eq!(other.export(LAYOUT, &chosen("app", &version, "1")).unwrap_err().kind, Kind::Untrusted);
    // An index that lists itself ends all the same.
    let mut fake = Fake::default();
    let this = fake.manifest(&json!({"mediaType": OCI_INDEX, "manifests": []}));
    let mut held = Held::of(&fake, &[&format!("app@{this}")], &[]).await;
    let lying = json!({"mediaType": OCI_INDEX, "manifests": [{
        "mediaType": OCI_MANIFEST, "digest": this, "size": 1, "platform": {"os": "linux", "architecture": "amd64"},
    }]});
    held.documents.values_mut().for_each(|bytes| *bytes = lying.to_string().into());
    assert!(held.export(LAYOUT, &held.all()).is_ok());
    assert_eq!(held.export(DOCKER_ARCHIVE, &held.all()).unwrap_err().kind, Kind::Incomplete);
}
