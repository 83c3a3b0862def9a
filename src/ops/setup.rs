//! Pointing clients at a server: our lines in a client's own file, between marks, so that they can be taken out again. Where
//! a file cannot hold ours and others' text at once, one that is there stays as it is.

use std::path::{Path, PathBuf};

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use crate::ecosystem::{ClientFile, Editions, Form, RewrittenLock, Setup, SetupServer, registry};
use crate::fsx;
use crate::problem::{Kind, Problem};
use crate::store::{Store, edition_document};

/// The most bytes that a client's file may have.
const LIMIT: u64 = 1024 * 1024;

/// The most bytes that a lockfile may have.
const LARGEST_LOCK: u64 = 64 * 1024 * 1024;

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

/// The configuration of a client for a server, and for the certificate authority, in PEM, that the client needs to believe
/// it, if it needs one.
///
/// # Errors
/// Usage (2), if no ecosystem knows the client or the server's address is not one.
pub fn configuration(
    client: &str,
    server: &str,
    authority: Option<&str>,
    store: Option<&Store>,
) -> Result<ClientFile, Problem> {
    let (ecosystem, setup) = find(client)?;
    // Nobody asks the server here: it may not run yet, or not be reached from this machine.
    let address = server.trim_end_matches('/');
    let here = store.map(|store| Here { store, ecosystem });
    let repositories = here.as_ref().map(Here::repositories).transpose()?.unwrap_or_default();
    let editions = here.as_ref().map(|here| here as &dyn Editions);
    setup.configuration(&SetupServer { address, repositories: &repositories, editions, authority })
}

/// The client of that name, and its ecosystem.
fn find(client: &str) -> Result<(&'static str, &'static dyn Setup), Problem> {
    let all =
        registry::ECOSYSTEMS.iter().flat_map(|one| one.setup().iter().map(|setup| (one.name(), *setup)));
    all.clone().find(|(_, setup)| setup.client() == client).ok_or_else(|| {
        let known: Vec<_> = all.map(|(_, setup)| setup.client()).collect();
        Problem::new(Kind::Usage, "setup.client", format!("no client is called {client:?} here"))
            .hint(format!("this version knows: {}", known.join(", ")))
    })
}

/// What became of a lockfile.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LockReport {
    /// The lockfile.
    pub file: PathBuf,
    /// How many of its addresses are the server's now; in a dry run: would be.
    pub changed: usize,
    /// Addresses that stay: no registry has what is there.
    pub left: Vec<String>,
    /// What package.json has to ask for, or npm refuses the lockfile: what it asks for now, and what instead.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub project: Vec<(String, String)>,
}

/// Puts the server's addresses into a lockfile of a client, in place of those that it was made from. Nothing else in it
/// changes.
///
/// # Errors
/// If there is no such client, its lockfiles name no addresses, or this one cannot be read or written.
pub fn rewrite_lock(client: &str, server: &str, path: &Path, dry_run: bool) -> Result<LockReport, Problem> {
    let (_, setup) = find(client)?;
    let failed = |what: &str, error: &std::io::Error| {
        let message = format!("cannot {what} {}", path.display());
        Problem::new(Kind::Usage, "setup.lock", message).caused_by(error)
    };
    let bytes = fsx::read_limited(path, LARGEST_LOCK).map_err(|error| failed("read", &error))?;
    let bytes = bytes.ok_or_else(|| {
        Problem::new(Kind::Usage, "setup.lock", "there is no such lockfile").at(path.display())
    })?;
    let server = SetupServer { address: server.trim_end_matches('/'), ..SetupServer::default() };
    let rewritten = setup.rewrite_lock(&server, path, &bytes)?;
    if rewritten.changed > 0 && !dry_run {
        let written = fsx::replace_file(&followed(path), rewritten.text.as_bytes());
        written.map_err(|error| failed("write", &error))?;
    }
    let RewrittenLock { changed, left, project, .. } = rewritten;
    Ok(LockReport { file: path.to_owned(), changed, left, project })
}

/// What the store of this machine has for clients.
struct Here<'a> {
    store: &'a Store,
    ecosystem: &'static str,
}

impl std::fmt::Debug for Here<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.ecosystem)
    }
}

impl Here<'_> {
    fn repositories(&self) -> Result<Vec<String>, Problem> {
        let all = self.store.catalogue.repositories()?.into_iter();
        Ok(all.filter(|one| one.ecosystem == self.ecosystem).map(|one| one.name).collect())
    }
}

impl Editions for Here<'_> {
    fn document(&self, repository: &str, path: &str) -> Result<Option<Bytes>, Problem> {
        let (catalogue, blobs) = (&*self.store.catalogue, &*self.store.blobs);
        let found = edition_document(catalogue, blobs, (self.ecosystem, repository), path)?;
        found.map(|found| super::read_blob(self.store, &found.blob, LIMIT)).transpose()
    }
}

fn mark(comment: &str, word: &str) -> String {
    format!("{comment} {word} aftk setup")
}

/// What became of a client's file, or would in a dry run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Change {
    /// It is as it was.
    None,
    /// It has our lines.
    Written,
    /// Our lines are gone; those of others are there.
    TakenOut,
    /// There was nothing but our lines in it, so it is gone.
    Removed,
}

/// Puts our lines into a client's file, in place of those from an earlier time. A link stays one: what it points to is
/// written.
///
/// # Errors
/// If the file cannot be read or written, somebody broke the marks, or it is no file for others beside us.
pub fn write(path: &Path, file: &ClientFile, dry_run: bool) -> Result<Change, Problem> {
    let path = &followed(path);
    let before = read(path)?;
    let mut text = without_ours(&before, file, path)?;
    match file.form {
        Form::Among(_) if !text.is_empty() && !text.ends_with('\n') => text.push('\n'),
        Form::Among(_) => {}
        Form::Alone(_) | Form::Bare if text.trim().is_empty() => text.clear(),
        Form::Alone(_) | Form::Bare => return Err(taken(path)),
    }
    match file.form {
        Form::Among(comment) | Form::Alone(comment) => {
            let (begin, end) = (mark(comment, "begin"), mark(comment, "end"));
            text.push_str(&format!("{begin}\n{}\n{end}\n", file.text.trim_end()));
        }
        Form::Bare => text.push_str(&file.text),
    }
    if before == text {
        return Ok(Change::None);
    }
    if !dry_run {
        let directory = path.parent().filter(|directory| !directory.is_dir());
        let made = directory.map_or(Ok(()), |one| fsx::create_directory(one, fsx::Access::Ordinary));
        made.and_then(|()| fsx::replace_file(path, text.as_bytes()))
            .map_err(|error| unwritable(path, &error))?;
    }
    Ok(Change::Written)
}

/// Takes our lines out of a client's file, and removes a file that has no others.
///
/// # Errors
/// As for [`write()`].
pub fn undo(path: &Path, file: &ClientFile, dry_run: bool) -> Result<Change, Problem> {
    let target = followed(path);
    let before = read(&target)?;
    let text = without_ours(&before, file, path)?;
    let change = match text.as_str() {
        _ if before == text => return Ok(Change::None),
        // Whoever made a link has their reasons: the file that it points to stays, empty.
        "" if target == path => Change::Removed,
        _ => Change::TakenOut,
    };
    if !dry_run {
        let done = match change {
            Change::Removed => fsx::remove(path).map(drop),
            _ => fsx::replace_file(&target, text.as_bytes()),
        };
        done.map_err(|error| unwritable(path, &error))?;
    }
    Ok(change)
}

/// Where a link points to, or the path itself.
fn followed(path: &Path) -> PathBuf {
    if path.is_symlink() { path.canonicalize().unwrap_or_else(|_| path.to_owned()) } else { path.to_owned() }
}

fn read(path: &Path) -> Result<String, Problem> {
    let unreadable =
        || Problem::new(Kind::Failed, "setup.unreadable", format!("cannot read {}", path.display()));
    let bytes =
        fsx::read_limited(path, LIMIT).map_err(|error| unreadable().caused_by(&error))?.unwrap_or_default();
    String::from_utf8(bytes).map_err(|error| unreadable().caused_by(&error))
}

/// What is left of a client's file without what we wrote there.
fn without_ours(text: &str, file: &ClientFile, path: &Path) -> Result<String, Problem> {
    let (begin, end) = match file.form {
        Form::Among(comment) | Form::Alone(comment) => (mark(comment, "begin"), mark(comment, "end")),
        // Without marks only what is exactly ours is known to be.
        Form::Bare if text == file.text => return Ok(String::new()),
        Form::Bare => return Ok(text.to_owned()),
    };
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

/// Somebody configured the client already.
fn taken(path: &Path) -> Problem {
    let what = "this file has a configuration of its own, which stays as it is";
    Problem::new(Kind::Refused, "setup.taken", what)
        .at(path.display())
        .hint("put what the same command prints without --write into it by hand")
}

fn unwritable(path: &Path, error: &std::io::Error) -> Problem {
    Problem::new(Kind::Failed, "setup.unwritable", format!("cannot write {}", path.display()))
        .caused_by(error)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn client_file(text: &str, form: Form) -> ClientFile {
        ClientFile { path: ".clientrc", text: text.to_owned(), form, then: "", authority_file: None }
    }

    #[test]
    fn a_document_of_somebody_else_stays_as_it_is() {
        for form in [Form::Alone("#"), Form::Bare] {
            let directory = tempfile::tempdir().unwrap();
            let path = directory.path().join("made/as/well/client.json");
            let file = client_file("{ ours }\n", form);
            assert_eq!(write(&path, &file, true).unwrap(), Change::Written);
            assert!(!directory.path().join("made").exists());
            assert_eq!(write(&path, &file, false).unwrap(), Change::Written);
            assert_eq!(write(&path, &file, false).unwrap(), Change::None);
            let text = std::fs::read_to_string(&path).unwrap();
            assert_eq!(text == file.text, form == Form::Bare);
            assert_eq!(undo(&path, &file, false).unwrap(), Change::Removed);
            assert!(!path.exists());
            for theirs in ["{ theirs }\n", &format!("{text}more\n"), &format!("theirs\n{text}")] {
                fsx::replace_file(&path, theirs.as_bytes()).unwrap();
                let problem = write(&path, &file, false).unwrap_err();
                assert_eq!((problem.kind, problem.code.as_ref()), (Kind::Refused, "setup.taken"));
                assert_eq!(std::fs::read_to_string(&path).unwrap(), theirs);
            }
        }
    }

    #[test]
    fn a_document_with_marks_is_known_whatever_is_in_it() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("hosts.toml");
        write(&path, &client_file("server = 1\n", Form::Alone("#")), false).unwrap();
        let other = client_file("server = 2\n", Form::Alone("#"));
        assert_eq!(write(&path, &other, false).unwrap(), Change::Written);
        assert!(!std::fs::read_to_string(&path).unwrap().contains("server = 1"));
        assert_eq!(undo(&path, &client_file("", Form::Alone("#")), false).unwrap(), Change::Removed);
    }

    #[test]
    fn our_lines_come_and_go_and_others_stay() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join(".clientrc");
        let file = |text: &str| client_file(text, Form::Among("#"));
        fsx::replace_file(&path, b"theirs=1").unwrap();
        assert_eq!(write(&path, &file("ours=1\n"), true).unwrap(), Change::Written);
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "theirs=1");
        assert_eq!(write(&path, &file("ours=1\n"), false).unwrap(), Change::Written);
        assert_eq!(write(&path, &file("ours=1\n"), false).unwrap(), Change::None);
        assert_eq!(write(&path, &file("ours=2\n"), false).unwrap(), Change::Written);
        let text = std::fs::read_to_string(&path).unwrap();
        assert_eq!(text, "theirs=1\n# begin aftk setup\nours=2\n# end aftk setup\n");
        assert_eq!(undo(&path, &file(""), true).unwrap(), Change::TakenOut);
        assert_eq!(std::fs::read_to_string(&path).unwrap(), text);
        assert_eq!(undo(&path, &file(""), false).unwrap(), Change::TakenOut);
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "theirs=1\n");
        assert_eq!(undo(&path, &file(""), false).unwrap(), Change::None);
        fsx::replace_file(&path, b"# begin aftk setup\nx\n").unwrap();
        assert_eq!(write(&path, &file("y"), false).unwrap_err().code, "setup.marks");
    }

    #[test]
    fn a_file_of_our_lines_alone_goes_with_them() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join(".clientrc");
        let file = client_file("ours=1\n", Form::Among("#"));
        assert_eq!(write(&path, &file, false).unwrap(), Change::Written);
        assert_eq!(undo(&path, &file, true).unwrap(), Change::Removed);
        assert!(path.exists());
        assert_eq!(undo(&path, &file, false).unwrap(), Change::Removed);
        assert!(!path.exists());
        // Somebody's own empty file was never ours.
        fsx::replace_file(&path, b"").unwrap();
        assert_eq!(undo(&path, &file, false).unwrap(), Change::None);
        assert!(path.exists());
    }

    #[test]
    fn a_link_stays_a_link() {
        let directory = tempfile::tempdir().unwrap();
        let (path, target) = (directory.path().join(".clientrc"), directory.path().join("theirs"));
        let file = client_file("ours=1\n", Form::Among("#"));
        fsx::replace_file(&target, b"").unwrap();
        std::os::unix::fs::symlink(&target, &path).unwrap();
        assert_eq!(write(&path, &file, false).unwrap(), Change::Written);
        assert!(path.is_symlink() && std::fs::read_to_string(&target).unwrap().contains("ours=1"));
        assert_eq!(undo(&path, &file, false).unwrap(), Change::TakenOut);
        assert!(path.is_symlink() && std::fs::read_to_string(&target).unwrap().is_empty());
    }
}
