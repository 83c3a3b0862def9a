//! Writes `man/` and `completions/` anew: `cargo run --example generate`. A test asserts that they are current.

#![expect(clippy::disallowed_methods, reason = "it writes generated files, and nothing else")]

mod files;

use std::fs;
use std::io;
use std::path::Path;

fn main() -> io::Result<()> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    for folder in files::FOLDERS {
        // A page of a verb that is gone must go too.
        match fs::remove_dir_all(root.join(folder)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => fs::create_dir_all(root.join(folder))?,
        }
    }
    for (path, bytes) in files::files()? {
        fs::write(root.join(path), bytes)?;
    }
    Ok(())
}
