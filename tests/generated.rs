//! `man/` and `completions/` say what the program does today.

#[path = "../examples/generate/files.rs"]
mod files;

use std::collections::BTreeSet;
use std::path::Path;

const AGAIN: &str = "run `cargo run --example generate` and commit what it writes";

#[test]
fn generated_files_are_current() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let files = files::files().unwrap();
    for (path, bytes) in &files {
        let there = std::fs::read(root.join(path)).unwrap_or_default();
        assert!(there == *bytes, "{path} is not current: {AGAIN}");
    }
    let expected: BTreeSet<String> = files.into_iter().map(|(path, _)| path).collect();
    for folder in files::FOLDERS {
        for entry in std::fs::read_dir(root.join(folder)).unwrap() {
            let path = format!("{folder}/{}", entry.unwrap().file_name().to_str().unwrap());
            assert!(expected.contains(&path), "nothing generates {path} any more: {AGAIN}");
        }
    }
}

#[test]
fn every_verb_has_a_page() {
    let files = files::files().unwrap();
    for verb in aftk::cli::command().get_subcommands() {
        let page = format!("man/aftk-{}.1", verb.get_name());
        assert!(files.iter().any(|(path, _)| *path == page), "there is no {page}");
    }
}
