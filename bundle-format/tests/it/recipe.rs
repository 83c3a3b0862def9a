//! The auditor's recipe in `SPEC.md` is run as it stands there, with `bash`, `tar`, `sha256sum` and `openssl`.

#![expect(clippy::disallowed_methods, reason = "a test lays out its own directory")]

use std::fs;
use std::path::Path;
use std::process::{Command, Output};

/// Runs the recipe on a vector in a directory of its own.
fn audit(vector: &str) -> Output {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let specification = fs::read_to_string(root.join("SPEC.md")).unwrap();
    let (_, recipe) = specification.split_once("```bash\n").unwrap();
    let (recipe, _) = recipe.split_once("```\n").unwrap();
    let vectors = root.join("vectors");
    let directory =
        Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("recipe-{}", vector.replace('/', "-")));
    let _ = fs::remove_dir_all(&directory);
    fs::create_dir_all(&directory).unwrap();
    Command::new("bash")
        .args(["-c", recipe])
        .current_dir(&directory)
        .env("bundle", vectors.join(format!("{vector}.aftk.tar")))
        .env("key", vectors.join("key.pem"))
        .env("id", fs::read_to_string(vectors.join("key.id")).unwrap().trim())
        .output()
        .unwrap()
}

/// The vector of this name, whatever its number.
fn vector(folder: &str, name: &str) -> String {
    let entries = fs::read_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("vectors").join(folder)).unwrap();
    let suffix = format!("-{name}.aftk.tar");
    let files = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let file = files.into_iter().find(|file| file.ends_with(&suffix)).unwrap_or_else(|| panic!("no {name}"));
    format!("{folder}/{}", file.trim_end_matches(".aftk.tar"))
}

#[test]
fn the_recipe_accepts_what_is_good() {
    for name in
        ["plain", "every-field", "two-segments", "second-segment-alone", "unknown-second-key", "empty-file"]
    {
        let output = audit(&vector("good", name));
        assert!(output.status.success(), "{name}: {}", String::from_utf8_lossy(&output.stderr));
        let said = String::from_utf8(output.stdout).unwrap();
        assert_eq!(said.matches("Signature Verified Successfully").count(), 2, "{name}: {said}");
    }
}

#[test]
fn the_recipe_refuses_what_is_bad() {
    for name in [
        "key-unknown",
        "signature-flipped",
        "payload-approval",
        "signatures-swapped",
        "snapshot-changed",
        "packing-changed",
        "another-snapshot",
        "contents-not-signed",
        "contents-of-another",
        "blob-flipped",
        "blob-longer",
        "blobs-swapped",
        "missing-blob",
        "extra-last",
        "extra-blob",
        "order-blobs",
        "name-dot",
        "name-parent",
        "symbolic-link",
        "directory",
        "pax-before-blob",
        "cut-in-document",
    ] {
        assert!(!audit(&vector("bad", name)).status.success(), "{name}");
    }
}
