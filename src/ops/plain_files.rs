//! Files as upstream names them, of any ecosystem: for whoever wants tarballs, wheels or debs, and no server.

use std::collections::{BTreeMap, BTreeSet};

use super::export_files::Files;
use super::select::{self, Selected, Selector};
use crate::ecosystem::{ExportKind, Exported, ExportedFile, ExportedItem, Note, registry};
use crate::problem::{Kind, Problem};
use crate::store::Store;

/// The form. It is a directory, unless the name of what is made ends in `.tar`.
pub(super) const PLAIN: ExportKind = ExportKind {
    name: "files",
    about: "plain files as upstream names them: tarballs of npm, wheels, debs; a directory, or a tar if OUT ends in .tar",
    is_directory: true,
};
/// The longest name of a file or folder that every file system takes, in bytes.
const LONGEST: usize = 255;

/// Gathers the files of what selectors select; of everything, if there is none.
///
/// # Errors
/// Incomplete (4) if a selector selects nothing that has files; refused (6) if two different files have one name.
pub(super) fn gather(store: &Store, selectors: &[Selector]) -> Result<Exported, Problem> {
    let mut files = Files::new();
    let mut unnamed = 0_u64;
    let counts = select::each(store, None, selectors, &mut |Selected { linked, .. }| {
        let artifact = &linked.artifact;
        let ecosystem = registry::find(&artifact.ecosystem).filter(|known| known.knows(&artifact.schema));
        for (path, file) in ecosystem.map(|known| known.plain_files(artifact)).unwrap_or_default() {
            if !is_path(&path) {
                unnamed += 1;
                continue;
            }
            let content = ExportedFile::Blob { key: file.blob, size: file.size };
            if files.get(&path).is_some_and(|there| *there != content) {
                return Err(two_of(&path));
            }
            files.insert(path, content);
        }
        Ok(())
    })?;
    if let Some((selector, _)) = selectors.iter().zip(counts).find(|(_, count)| *count == 0) {
        return Err(select::nothing(format!("{} selects nothing here", selector.text())));
    }
    if files.is_empty() {
        return Err(select::nothing("nothing that is selected has files of its own".to_owned()));
    }
    must_be_files(&files)?;
    let items = files.iter().map(|(name, content)| ExportedItem {
        name: name.clone(),
        digest: match content {
            ExportedFile::Blob { key, .. } => key.to_string(),
            ExportedFile::Document(_) => String::new(),
        },
    });
    Ok(Exported { items: items.collect(), notes: notes(&files, unnamed), files })
}

/// Whether a path stays below where it is written, on any file system.
fn is_path(path: &str) -> bool {
    path.split('/').all(|name| {
        !matches!(name, "" | "." | "..")
            && name.len() <= LONGEST
            && !name.contains('\\')
            && !name.chars().any(char::is_control)
    })
}

/// No file may stand where another one has its folder.
fn must_be_files(files: &Files) -> Result<(), Problem> {
    let folders = files.keys().flat_map(|path| path.match_indices('/').filter_map(|(at, _)| path.get(..at)));
    match folders.into_iter().find(|folder| files.contains_key(*folder)) {
        Some(folder) => Err(two_of(folder)),
        None => Ok(()),
    }
}

fn two_of(path: &str) -> Problem {
    let message = format!("two different files are called {path}");
    Problem::new(Kind::Refused, "export.two-files", message)
        .hint("select what is meant, as `aftk ls` shows it: channel:NAME, or an ecosystem's own selector")
}

fn notes(files: &Files, unnamed: u64) -> Vec<Note> {
    let note =
        |code: &str, message: String| Note { code: code.to_owned(), subject: "files".to_owned(), message };
    let mut notes = Vec::new();
    let mut seen: BTreeMap<String, &str> = BTreeMap::new();
    let alike: BTreeSet<&str> =
        files.keys().filter_map(|path| seen.insert(path.to_lowercase(), path)).collect();
    if let Some(first) = alike.first() {
        let message = format!(
            "some names differ by case alone, such as that of {first}: not every disk keeps them apart"
        );
        notes.push(note("export.case", message));
    }
    if unnamed > 0 {
        notes.push(note(
            "export.unnamed",
            format!("{unnamed} files are left out, as no disk could call them so"),
        ));
    }
    notes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_stay_below_where_they_are_written() {
        for good in ["a-1.0.0.tgz", "@s/a-1.0.0.tgz", "manual v2.pdf"] {
            assert!(is_path(good), "{good}");
        }
        let long = "x".repeat(LONGEST + 1);
        for bad in ["", "/etc/passwd", "../a", "a/../../b", "a//b", "a/", ".", "a\\b", "a\u{1b}[2J", &long] {
            assert!(!is_path(bad), "{bad:?}");
        }
    }

    #[test]
    fn what_some_disks_take_for_one_is_said() {
        let blob = |size| ExportedFile::Blob { key: bundle_format::BlobKey::of(b"a"), size };
        let files =
            |names: &[&str]| names.iter().map(|name| ((*name).to_owned(), blob(1))).collect::<Files>();
        let codes = |names| notes(&files(names), 0).into_iter().map(|note| note.code).collect::<Vec<_>>();
        assert_eq!(codes(&["a-1.tgz", "A-1.tgz"]), ["export.case"]);
        assert!(codes(&["a-1.tgz", "a-2.tgz"]).is_empty());
        assert!(
            must_be_files(&files(&["a", "a/b"])).is_err() && must_be_files(&files(&["a", "b/b"])).is_ok()
        );
    }
}
