//! A sound package, and what is wrong with others.

use std::collections::BTreeMap;

use super::*;

fn package() -> Artifact {
    let blob = BlobKey::of(b"package");
    let control = format!(
        "Package: hello\nVersion: 1:2.10-3+b1\nArchitecture: amd64\nFilename: ./pool/h/hello_2.10-3+b1_amd64.deb\nSize: \
         7\nSHA256: {}",
        blob.hex()
    );
    let attributes = [
        ("architecture", "amd64"),
        ("component", "main"),
        ("control", &control),
        ("origin", "Example"),
        ("suite", "stable"),
    ];
    Artifact {
        ecosystem: "apt".to_owned(),
        repository: "debian".to_owned(),
        name: "hello".to_owned(),
        version: "1:2.10-3+b1".to_owned(),
        qualifier: "amd64;stable/main".to_owned(),
        schema: SCHEMA.to_owned(),
        attributes: attributes.map(|(name, value)| (name.to_owned(), value.into())).into(),
        files: vec![File {
            role: "package".to_owned(),
            path: "pool/h/hello_2.10-3+b1_amd64.deb".to_owned(),
            blob,
            size: 7,
            media_type: String::new(),
            checksums: Vec::new(),
            origin: String::new(),
        }],
        requires: Vec::new(),
    }
}

fn set(artifact: &mut Artifact, name: &str, value: &str) {
    artifact.attributes.insert(name.to_owned(), value.into());
}

fn control(artifact: &mut Artifact, from: &str, to: &str) {
    let text = artifact.attributes["control"].as_str().unwrap().replace(from, to);
    set(artifact, "control", &text);
}

#[test]
fn a_package_says_what_its_stanza_says() {
    assert_eq!(check(&package()), Ok(()));
    let wrong: BTreeMap<&str, fn(&mut Artifact)> = BTreeMap::from([
        ("repository", (|one| one.repository = "../x".to_owned()) as fn(&mut Artifact)),
        ("schema", |one| one.schema = "apt/2".to_owned()),
        ("name", |one| one.name = "hallo".to_owned()),
        ("version", |one| one.version = "2".to_owned()),
        ("qualifier", |one| one.qualifier = "amd64;stable/contrib".to_owned()),
        ("architecture", |one| set(one, "architecture", "i386")),
        ("suite", |one| {
            set(one, "suite", "../stable");
            one.qualifier = "amd64;../stable/main".to_owned();
        }),
        ("flat with a component", |one| {
            set(one, "suite", "./");
            one.qualifier = "amd64;.//main".to_owned();
        }),
        ("stanza of another name", |one| control(one, "Package: hello", "Package: hallo")),
        ("stanza of another architecture", |one| control(one, "amd64\nF", "all\nF")),
        ("two stanzas", |one| control(one, "Size", "\nSize")),
        ("a field twice", |one| control(one, "Size: 7", "Size: 7\nSize: 8")),
        ("a control character", |one| control(one, "Size: 7", "Size: 7\nTag: \u{1b}[2J")),
        ("another size", |one| control(one, "Size: 7", "Size: 8")),
        ("another sha256", |one| control(one, "SHA256: ", "SHA256: 0")),
        ("no sha256", |one| control(one, "SHA256", "SHA255")),
        ("a checksum that was not compared", |one| {
            control(one, "Size: 7", "Size: 7\nSHA1: aaf4c61ddcc5e8a2dabede0f3b482cd9aea9434d");
        }),
        ("a path that leads elsewhere", |one| {
            control(one, "./pool", "../pool");
            one.files[0].path = "../pool/h/hello_2.10-3+b1_amd64.deb".to_owned();
        }),
        ("another path", |one| one.files[0].path = "pool/other.deb".to_owned()),
        ("no file", |one| one.files.clear()),
        ("two files", |one| one.files.push(one.files[0].clone())),
    ]);
    for (what, change) in wrong {
        let mut artifact = package();
        change(&mut artifact);
        assert!(check(&artifact).is_err(), "{what}");
    }
}

#[test]
fn what_proves_a_suite_has_names_for_all_its_files_and_no_paths() {
    let mut artifact = package();
    let names = serde_json::json!({ "InRelease": artifact.files[0].blob.to_string() });
    artifact.attributes = BTreeMap::from([("files".to_owned(), names)]);
    artifact.name = "dists/stable".to_owned();
    artifact.version = "2026-01-01T00:00:00Z".to_owned();
    artifact.qualifier.clear();
    artifact.schema = EVIDENCE.to_owned();
    artifact.files[0].role = "inrelease".to_owned();
    artifact.files[0].path.clear();
    assert_eq!(check(&artifact), Ok(()));
    let wrong: [fn(&mut Artifact); 5] = [
        |one| one.name = "../stable".to_owned(),
        |one| one.version = "yesterday".to_owned(),
        |one| one.files[0].path = "dists/stable/InRelease".to_owned(),
        |one| one.files[0].role = "index".to_owned(),
        |one| one.attributes.clear(),
    ];
    for change in wrong {
        let mut other = artifact.clone();
        change(&mut other);
        assert!(check(&other).is_err());
    }
}
