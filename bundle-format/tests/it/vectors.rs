//! The vectors in `vectors/`: each gets its verdict, and each is what the generator makes.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use crate::cases;

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("vectors")
}

/// Name and bytes of every file in a folder of the vectors.
fn read(name: &str) -> BTreeMap<String, Vec<u8>> {
    let files = fs::read_dir(folder().join(name)).unwrap().map(|entry| entry.unwrap());
    files
        .map(|file| {
            (format!("{name}/{}", file.file_name().to_str().unwrap()), fs::read(file.path()).unwrap())
        })
        .collect()
}

#[test]
fn every_vector_gets_its_verdict() {
    let mut refused = 0;
    let mut codes = BTreeMap::new();
    let mut wrong = Vec::new();
    let files = [read("good"), read("bad")].into_iter().flatten().collect::<BTreeMap<_, _>>();
    for (path, volume) in files.iter().filter(|(path, _)| path.ends_with(".aftk.tar")) {
        let text = &files[&path.replace(".aftk.tar", ".txt")];
        let text = std::str::from_utf8(text).unwrap();
        let expected = text.lines().next().unwrap().strip_prefix("expect: ").unwrap();
        let verdict = cases::verdict(volume);
        assert_eq!(expected == "ok", path.starts_with("good/"), "{path}");
        if verdict != expected {
            wrong.push(format!("{path}: expected {expected}, got {verdict}"));
        }
        refused += usize::from(expected != "ok");
        *codes.entry(expected.to_owned()).or_insert(0) += 1;
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(refused >= 80, "only {refused} bad vectors");
    println!("{refused} bad vectors: {codes:?}");
}

#[test]
fn the_generator_makes_these_vectors() {
    let made = cases::files();
    for (path, bytes) in &made {
        let held = fs::read(folder().join(path)).unwrap_or_default();
        assert!(held == *bytes, "{path} is not what the generator makes");
    }
    let held = read("good").into_keys().chain(read("bad").into_keys());
    let strays: Vec<String> = held.filter(|path| !made.contains_key(path)).collect();
    assert!(strays.is_empty(), "not made by the generator: {strays:?}");
}
