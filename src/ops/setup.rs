//! Pointing clients at a server: our lines in a client's own file, between marks, so that they can be taken out again.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::ecosystem::{ClientFile, registry};
use crate::fsx;
use crate::problem::{Kind, Problem};

/// The most bytes that a client's file may have.
const LIMIT: u64 = 1024 * 1024;

/// A client's configuration.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SetupReport {
    /// The client's file, relative to the home directory, or where it was written.
    pub file: PathBuf,
    /// Our lines.
    pub text: String,
}

impl SetupReport {
    /// The report of a configuration, written to `path` if it was.
    pub fn of(file: &ClientFile, path: Option<&Path>) -> SetupReport {
        SetupReport { file: path.unwrap_or(Path::new(file.path)).to_owned(), text: file.text.clone() }
    }
}

/// The configuration of a client for a server.
///
/// # Errors
/// Usage (2), if no ecosystem knows the client or the server's address is not one.
pub fn configuration(client: &str, server: &str) -> Result<ClientFile, Problem> {
    let mut known = Vec::new();
    for setup in registry::ECOSYSTEMS.iter().flat_map(|ecosystem| ecosystem.setup()) {
        if setup.client() == client {
            return setup.configuration(server.trim_end_matches('/'));
        }
        known.push(setup.client());
    }
    Err(Problem::new(Kind::Usage, "setup.client", format!("no client is called {client:?} here"))
        .hint(format!("this version knows: {}", known.join(", "))))
}

fn marks(file: &ClientFile) -> (String, String) {
    let mark = |word: &str| format!("{} {word} aftk setup", file.comment);
    (mark("begin"), mark("end"))
}

/// Puts our lines into a client's file, in place of those from an earlier time; returns whether anything changed.
///
/// # Errors
/// If the file cannot be read or written, or somebody broke the marks.
pub fn write(path: &Path, file: &ClientFile) -> Result<bool, Problem> {
    let (begin, end) = marks(file);
    let before = read(path)?;
    let mut text = without_ours(&before, file, path)?;
    if !text.is_empty() && !text.ends_with('\n') {
        text.push('\n');
    }
    let ours = file.text.trim_end();
    text.push_str(&format!("{begin}\n{ours}\n{end}\n"));
    replace(path, &before, &text)
}

/// Takes our lines out of a client's file; returns whether anything changed.
///
/// # Errors
/// As for [`write()`].
pub fn undo(path: &Path, file: &ClientFile) -> Result<bool, Problem> {
    let before = read(path)?;
    let text = without_ours(&before, file, path)?;
    replace(path, &before, &text)
}

fn read(path: &Path) -> Result<String, Problem> {
    let unreadable =
        || Problem::new(Kind::Failed, "setup.unreadable", format!("cannot read {}", path.display()));
    let bytes =
        fsx::read_limited(path, LIMIT).map_err(|error| unreadable().caused_by(&error))?.unwrap_or_default();
    String::from_utf8(bytes).map_err(|error| unreadable().caused_by(&error))
}

fn without_ours(text: &str, file: &ClientFile, path: &Path) -> Result<String, Problem> {
    let (begin, end) = marks(file);
    let mut kept = String::with_capacity(text.len());
    let mut ours = false;
    for line in text.split_inclusive('\n') {
        match line.trim_end() {
            mark if mark == begin && !ours => ours = true,
            mark if mark == end && ours => ours = false,
            _ if ours => {}
            _ => kept.push_str(line),
        }
    }
    if ours {
        return Err(Problem::new(Kind::Refused, "setup.marks", format!("the line `{end}` is missing"))
            .at(path.display())
            .hint("put it back where our lines end, or take them out by hand"));
    }
    Ok(kept)
}

fn replace(path: &Path, before: &str, text: &str) -> Result<bool, Problem> {
    if before == text {
        return Ok(false);
    }
    fsx::replace_file(path, text.as_bytes()).map(|()| true).map_err(|error| {
        Problem::new(Kind::Failed, "setup.unwritable", format!("cannot write {}", path.display()))
            .caused_by(&error)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn our_lines_come_and_go_and_others_stay() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join(".clientrc");
        let file = |text: &str| ClientFile { path: ".clientrc", text: text.to_owned(), comment: "#" };
        fsx::replace_file(&path, b"theirs=1").unwrap();
        assert!(write(&path, &file("ours=1\n")).unwrap());
        assert!(!write(&path, &file("ours=1\n")).unwrap());
        assert!(write(&path, &file("ours=2\n")).unwrap());
        let text = std::fs::read_to_string(&path).unwrap();
        assert_eq!(text, "theirs=1\n# begin aftk setup\nours=2\n# end aftk setup\n");
        assert!(undo(&path, &file("")).unwrap());
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "theirs=1\n");
        assert!(!undo(&path, &file("")).unwrap());
        fsx::replace_file(&path, b"# begin aftk setup\nx\n").unwrap();
        assert_eq!(write(&path, &file("y")).unwrap_err().code, "setup.marks");
    }
}
