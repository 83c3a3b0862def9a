//! Writes `vectors/`: volumes that a reader accepts, and volumes that it refuses for one reason each.
//!
//! `cargo run -p bundle-format --example make_vectors`; the same bytes every time, and a test compares them.

// A generator that cannot write its vectors has nothing better to do than to stop.
#![allow(clippy::unwrap_used)]
#![expect(clippy::disallowed_methods, reason = "it writes the vectors, and nothing else")]

mod cases;
#[path = "../../tests/it/support.rs"]
mod support;

use std::fs;
use std::path::Path;

fn main() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("vectors");
    for name in ["good", "bad"] {
        let _ = fs::remove_dir_all(folder.join(name));
        fs::create_dir_all(folder.join(name)).unwrap();
    }
    for (path, bytes) in cases::files() {
        fs::write(folder.join(path), bytes).unwrap();
    }
}
