//! Building wheels outside: what it is done with, and what comes of it.

use serde_json::{Value, json};

use super::fake::{Fake, TARGET, artifacts, lines, proof};
use super::wheel::made::archive;
use crate::ecosystem::{Planned, Resolution};

/// A wheel as a build leaves it, with a program in it.
fn wheel(release: &str, requires: &[&str], program: &[u8]) -> Vec<u8> {
    let (name, version) = release.split_once(' ').unwrap();
    let mut text =
        format!("Metadata-Version: 2.1\nName: {name}\nVersion: {version}\nRequires-Python: >=3.8\n");
    requires.iter().for_each(|line| text.push_str(&format!("Requires-Dist: {line}\n")));
    archive(&[
        (&format!("{name}.so"), program),
        (&format!("{name}-{version}.dist-info/METADATA"), text.as_bytes()),
    ])
}

/// A machine with Python 3.12 and a project `app` of sources alone, whose build leaves a file.
fn app(file: &str, bytes: Vec<u8>) -> Fake {
    let mut fake = Fake::default()
        .says(json!({ "build-wheels": true }))
        .source("app 1.0", &[], Some("[build-system]\nrequires = [\"builder\"]\n"))
        .has("builder 2.0", &["helper"])
        .has("helper 3.0", &[])
        .has("lib 1.0", &[]);
    fake.pythons.push("3.12");
    fake.leaves.insert("app-1.0.tar.gz".to_owned(), vec![(file.to_owned(), bytes)]);
    fake
}

const NATIVE: &str = "app-1.0-cp312-cp312-linux_x86_64.whl";

fn codes(resolution: &Resolution) -> Vec<&str> {
    resolution.notes.iter().map(|note| note.code.as_str()).collect()
}

fn found(resolution: &Resolution, name: &str) -> Planned {
    artifacts(resolution).into_iter().find(|artifact| artifact.name == name).unwrap()
}

#[tokio::test]
async fn a_wheel_is_built_with_what_is_carried_and_stands_beside_its_sources() {
    let fake = app(NATIVE, wheel("app 1.0", &[], b"\x7fELF GLIBC_2.28\0"));
    let resolution = fake.resolve(&["app"]).await.unwrap();
    assert_eq!((&resolution.gaps, codes(&resolution)), (&Vec::new(), vec!["pypi.built-here"]));
    assert_eq!(
        lines(&resolution),
        [
            format!("app 1.0: app-1.0.tar.gz {NATIVE}"),
            "builder 2.0: builder-2.0-py3-none-any.whl".to_owned(),
            "helper 3.0: helper-3.0-py3-none-any.whl".to_owned(),
        ]
    );
    assert_eq!(proof(&resolution).gaps, []);
    let app = found(&resolution, "app");
    let file = app.files.iter().find(|file| file.path == NATIVE).unwrap();
    assert!(file.blob.is_some() && file.origin.is_empty() && file.checksums.is_empty(), "{file:?}");
    let fact = &app.attributes["files"][NATIVE];
    assert_eq!(fact["targets"], json!([TARGET]));
    assert_eq!(
        (&fact["built"]["from"], &fact["requires_python"]),
        (&json!("app-1.0.tar.gz"), &json!(">=3.8"))
    );
    assert_eq!(fact["built"]["by"], "pip 99, Python 3.12.4");
    assert_eq!(fact["built"]["with"], json!(["builder 2.0", "helper 3.0"]));
    let attempts = fake.attempts.lock().unwrap();
    let [attempt] = attempts.as_slice() else { panic!("{attempts:?}") };
    let mut given: Vec<&str> = attempt.blobs.iter().map(|(name, _)| name.as_str()).collect();
    given.sort_unstable();
    assert_eq!(
        given,
        [
            "links/app-1.0.tar.gz",
            "links/builder-2.0-py3-none-any.whl",
            "links/helper-3.0-py3-none-any.whl",
            "links/pip-99-py3-none-any.whl",
        ]
    );
    let step = attempt.steps[0].join(" ");
    assert!(
        step.starts_with("/usr/bin/python3.12 links/pip-99-py3-none-any.whl/pip wheel --no-deps --no-index ")
    );
}

#[tokio::test]
async fn what_only_the_wheel_says_is_carried_too() {
    let fake = app(NATIVE, wheel("app 1.0", &["lib"], b""));
    assert!(fake.carries(&["app"]).await.contains(&"lib 1.0: lib-1.0-py3-none-any.whl".to_owned()));
    assert_eq!(fake.attempts.lock().unwrap().len(), 1);
}

#[tokio::test]
async fn a_pure_wheel_serves_every_target() {
    let file = "app-1.0-py2.py3-none-any.whl";
    let targets = json!({ "targets": ["cp310-win_amd64", TARGET, "cp313-linux-aarch64"] });
    let fake = app(file, wheel("app 1.0", &[], b"")).says(targets);
    let resolution = fake.resolve(&["app"]).await.unwrap();
    assert_eq!(resolution.gaps, []);
    let of_wheel = &found(&resolution, "app").attributes["files"][file]["targets"];
    assert_eq!(of_wheel.as_array().map(Vec::len), Some(3), "{of_wheel}");
}

#[tokio::test]
async fn what_the_lock_has_is_not_built_again() {
    let mut fake = app(NATIVE, wheel("app 1.0", &["lib"], b""));
    let first = artifacts(&fake.resolve(&["app"]).await.unwrap());
    fake.locked.clone_from(&first);
    assert_eq!(artifacts(&fake.resolve(&["app"]).await.unwrap()), first);
    assert_eq!(fake.attempts.lock().unwrap().len(), 1);
    // With another builder it may come out otherwise.
    let fake = fake.has("helper 3.1", &[]);
    fake.resolve(&["app"]).await.unwrap();
    assert_eq!(fake.attempts.lock().unwrap().len(), 2);
}

#[tokio::test]
async fn what_is_of_no_use_is_a_gap_that_says_why() {
    let good = || wheel("app 1.0", &[], b"");
    let other_glibc = wheel("app 1.0", &[], b"\x7fELF GLIBC_2.34\0");
    for (file, bytes, why) in [
        (
            "app-1.0-cp312-cp312-linux_aarch64.whl",
            good(),
            "is not for cp312-manylinux_2_28_x86_64 by its tags",
        ),
        (NATIVE, other_glibc, "needs glibc 2.34, and cp312-manylinux_2_28_x86_64 has 2.28"),
        (NATIVE, wheel("app 1.1", &[], b""), "says of itself that it is app 1.1"),
        (NATIVE, b"no wheel".to_vec(), "archive is damaged"),
        ("app-1.1-py3-none-any.whl", wheel("app 1.1", &[], b""), "which is no wheel of it"),
        ("../app-1.0-py3-none-any.whl", good(), "which is no wheel of it"),
        ("listed", good(), "its index lists a file"),
        ("no Python", good(), "this machine has no python3.12 on its PATH"),
    ] {
        let mut fake = app(if file == "listed" { NATIVE } else { file }, bytes);
        if file == "listed" {
            let index = super::fake::INDEX;
            // Clients may not have it: its checksum is not the one that the requirements name.
            fake = fake.lists(index, "app 1.0", NATIVE, &[], Value::Object(Default::default()));
            fake = fake.says(json!({ "no-binary": ["app"] }));
        }
        if file == "no Python" {
            fake.pythons.clear();
        }
        let resolution = fake.resolve(&["app"]).await.unwrap();
        let [gap] = resolution.gaps.as_slice() else { panic!("{file}: {:?}", resolution.gaps) };
        assert!(gap.reason == "not-built" && gap.detail.contains(why), "{file}: {}", gap.detail);
        assert_eq!(codes(&resolution), ["pypi.built-inside"], "{file}");
    }
}

#[tokio::test]
async fn a_build_that_fails_ends_it_with_what_was_said() {
    let mut fake = app(NATIVE, Vec::new());
    fake.leaves.clear();
    let problem = fake.resolve(&["app"]).await.unwrap_err();
    assert_eq!(
        (problem.code.as_ref(), problem.causes.as_slice()),
        ("pypi.build-failed", &["error: no compiler".to_owned()][..])
    );
    assert!(problem.hints.iter().any(|hint| hint.contains("system-packages")), "{problem:?}");
}
