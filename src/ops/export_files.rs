//! The files of an export, streamed from the store into a tar archive or a directory, or compared with one that is there.
//!
//! The same files always make the same archive: members sorted by name, without times, owners or directories.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io::{self, Read, Write};
use std::path::Path;

use bundle_format::BlobHasher;
use serde::{Deserialize, Serialize};

use crate::cancel::Cancel;
use crate::ecosystem::ExportedFile;
use crate::events::{Events, Happening};
use crate::fsx::{self, Access, AtomicDirectory, AtomicFile};
use crate::problem::{Kind, Problem};
use crate::store::Store;

/// The unit that archives are made of, in bytes.
pub(super) const BLOCK: u64 = 512;
/// How much of the name of a long path stands in the header itself.
const SHORT: usize = 64;
/// What ends an archive.
pub(super) const END: [u8; 1024] = [0; 1024];

/// What became of an archive or directory.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Outcome {
    /// It was made.
    Written,
    /// It was there already, with the same bytes.
    Unchanged,
}

/// What stands before a file in an archive: its header, without times and owners. A path that does not fit into one, as those of
/// blobs that are named by sha512 do not, stands in a member of its own before that (POSIX, "pax Extended Header").
///
/// # Errors
/// If the path is none.
pub(super) fn tar_head(path: &str, size: u64, mode: u32) -> io::Result<Vec<u8>> {
    let mut header = tar::Header::new_ustar();
    let mut head = Vec::new();
    if header.set_path(path).is_err() {
        let record = pax_record("path", path);
        header = tar::Header::new_ustar();
        header.set_path("pax")?;
        finish(&mut header, tar::EntryType::XHeader, record.len() as u64, mode);
        head.extend_from_slice(header.as_bytes());
        head.extend_from_slice(record.as_bytes());
        head.resize(head.len().next_multiple_of(BLOCK as usize), 0);
        header = tar::Header::new_ustar();
        // For readers that know nothing else.
        header.set_path(path.rsplit('/').next().and_then(|name| name.get(..SHORT)).unwrap_or("long"))?;
    }
    finish(&mut header, tar::EntryType::Regular, size, mode);
    head.extend_from_slice(header.as_bytes());
    Ok(head)
}

fn finish(header: &mut tar::Header, entry_type: tar::EntryType, size: u64, mode: u32) {
    header.set_mode(mode);
    header.set_uid(0);
    header.set_gid(0);
    header.set_mtime(0);
    header.set_entry_type(entry_type);
    // More than 8 GiB do not fit into ustar's digits and are written as binary, which all readers know.
    header.set_size(size);
    header.set_cksum();
}

/// A line of an extended header, which begins with its own length.
fn pax_record(key: &str, value: &str) -> String {
    let rest = format!(" {key}={value}\n");
    let mut length = rest.len();
    while rest.len() + length.to_string().len() != length {
        length = rest.len() + length.to_string().len();
    }
    format!("{length}{rest}")
}

/// What stands before a file of an export.
fn head(path: &str, content: &ExportedFile) -> io::Result<Vec<u8>> {
    tar_head(path, content.size(), 0o644)
}

/// Files by their paths.
pub(super) type Files = BTreeMap<String, ExportedFile>;

/// Reads the files of an export.
pub(super) struct Reading<'a> {
    pub(super) store: &'a Store,
    pub(super) events: &'a dyn Events,
    pub(super) cancel: &'a Cancel,
}

/// Why bytes did not go from the store to their place.
enum Failure {
    /// The store, or the wish to stop.
    Store(Problem),
    /// The place.
    Out(io::Error),
}

impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Failure {
        Failure::Out(error)
    }
}

impl Failure {
    fn problem(self, out: &Path) -> Problem {
        match self {
            Failure::Store(problem) => problem,
            Failure::Out(error) => unwritable(out, &error),
        }
    }
}

impl Reading<'_> {
    /// Writes an archive, which has its name only once it is whole.
    pub(super) fn write_archive(&self, files: &Files, out: &Path) -> Result<(), Problem> {
        let failed = |error: &io::Error| unwritable(out, error);
        let mut file = AtomicFile::create(out).map_err(|error| failed(&error))?;
        self.archive(files, &mut file).map_err(|failure| failure.problem(out))?;
        file.commit().map_err(|error| failed(&error))
    }

    /// Whether the archive is there already.
    ///
    /// # Errors
    /// Refused, if something else is.
    pub(super) fn compare_archive(&self, files: &Files, out: &Path) -> Result<bool, Problem> {
        let Some(metadata) = there(out)? else { return Ok(false) };
        let mut length = END.len() as u64;
        for (path, content) in files {
            let head = head(path, content).map_err(|error| unwritable(out, &error))?;
            length += head.len() as u64 + content.size().next_multiple_of(BLOCK);
        }
        if !metadata.is_file() || metadata.len() != length {
            return Err(in_the_way(out));
        }
        let file = fsx::open_regular(out).map_err(|error| unwritable(out, &error))?;
        match self.archive(files, &mut Comparing { file }) {
            Ok(()) => Ok(true),
            Err(failure) => Err(self.differs(failure, out)),
        }
    }

    fn archive(&self, files: &Files, out: &mut dyn Write) -> Result<(), Failure> {
        for (path, content) in files {
            out.write_all(&head(path, content)?)?;
            self.copy(path, content, out)?;
            let padding = content.size().next_multiple_of(BLOCK) - content.size();
            io::copy(&mut io::repeat(0).take(padding), out)?;
        }
        Ok(out.write_all(&END)?)
    }

    /// Makes a directory, which has its name only once it is whole.
    pub(super) fn write_directory(&self, files: &Files, out: &Path) -> Result<(), Problem> {
        let write = || {
            let directory = AtomicDirectory::create(out)?;
            for path in directories(files) {
                fsx::make_directory(&directory.path().join(path), Access::Ordinary)?;
            }
            for (path, content) in files {
                let mut file = fsx::File::create_new(&directory.path().join(path), Access::Ordinary)?;
                self.copy(path, content, &mut file)?;
                file.sync()?;
            }
            for path in directories(files) {
                fsx::sync_directory(&directory.path().join(path))?;
            }
            Ok(directory.commit()?)
        };
        write().map_err(|failure: Failure| failure.problem(out))
    }

    /// Whether the directory is there already. An empty one is as good as none.
    ///
    /// # Errors
    /// Refused, if something else is.
    pub(super) fn compare_directory(&self, files: &Files, out: &Path) -> Result<bool, Problem> {
        let Some(metadata) = there(out)? else { return Ok(false) };
        if !metadata.is_dir() {
            return Err(in_the_way(out));
        }
        let directories = directories(files);
        let mut is_empty = true;
        for directory in directories.iter().copied().chain([""]) {
            let entries = match std::fs::read_dir(out.join(directory)) {
                Ok(entries) => entries,
                Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
                Err(error) => return Err(unwritable(out, &error)),
            };
            for entry in entries {
                let name = entry.map_err(|error| unwritable(out, &error))?.file_name();
                let path = Path::new(directory).join(name);
                let is_ours =
                    path.to_str().is_some_and(|path| files.contains_key(path) || directories.contains(path));
                if !is_ours {
                    return Err(in_the_way(out));
                }
                is_empty = false;
            }
        }
        if is_empty {
            return Ok(false);
        }
        for (path, content) in files {
            let file = fsx::open_regular(&out.join(path)).map_err(|_| in_the_way(out))?;
            let length = file.metadata().map_err(|error| unwritable(out, &error))?.len();
            if length != content.size() {
                return Err(in_the_way(out));
            }
            let copied = self.copy(path, content, &mut Comparing { file });
            copied.map_err(|failure| self.differs(failure, out))?;
        }
        Ok(true)
    }

    /// What a comparison ended with: other bytes, unless it could not be made.
    fn differs(&self, failure: Failure, out: &Path) -> Problem {
        match failure {
            Failure::Out(error) if error.kind() == io::ErrorKind::AlreadyExists => in_the_way(out),
            other => other.problem(out),
        }
    }

    /// Copies a file; what comes from the store is hashed on the way, and must be what its key says.
    fn copy(&self, path: &str, content: &ExportedFile, out: &mut dyn Write) -> Result<(), Failure> {
        let bytes = content.size();
        self.events.emit(Happening::ItemStart { item: path.to_owned(), bytes: Some(bytes) });
        match content {
            ExportedFile::Document(bytes) => out.write_all(bytes)?,
            ExportedFile::Blob { key, size } => {
                let damaged = |why: String| {
                    let message = format!("the store cannot give {key}");
                    let problem = Problem::new(Kind::Untrusted, "store.damaged", message).because(why);
                    Failure::Store(problem.hint(
                        "run `aftk check`, which sets damaged blobs aside, then collect or import again",
                    ))
                };
                let blob = self.store.blobs.open(key).map_err(|error| Failure::Store(error.into()))?;
                let mut blob = blob.ok_or_else(|| damaged("it is not held any more".to_owned()))?;
                let (mut hash, mut left) = (BlobHasher::default(), *size);
                let mut buffer = vec![0; super::BUFFER];
                loop {
                    self.cancel.check().map_err(Failure::Store)?;
                    let length = match blob.file.read(&mut buffer) {
                        Ok(length) => length,
                        Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                        Err(error) => return Err(damaged(error.to_string())),
                    };
                    let Some(bytes) = buffer.get(..length).filter(|bytes| !bytes.is_empty()) else { break };
                    // Never more than the header says.
                    left = left
                        .checked_sub(length as u64)
                        .ok_or_else(|| damaged("it is longer than it should be".to_owned()))?;
                    hash.update(bytes);
                    out.write_all(bytes)?;
                    self.events.emit(Happening::ItemProgress { bytes: length as u64 });
                }
                if left > 0 || hash.finish() != *key {
                    return Err(damaged("its bytes are not what its digest says".to_owned()));
                }
            }
        }
        self.events.emit(Happening::ItemDone { item: path.to_owned() });
        Ok(())
    }
}

/// Takes the bytes that a file has, and no others.
struct Comparing {
    file: File,
}

impl Write for Comparing {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let mut there = vec![0; bytes.len()];
        match self.file.read_exact(&mut there) {
            Ok(()) if there == bytes => Ok(bytes.len()),
            Err(error) if error.kind() != io::ErrorKind::UnexpectedEof => Err(error),
            _ => Err(io::ErrorKind::AlreadyExists.into()),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// The directories that files stand in, those above first.
fn directories(files: &Files) -> BTreeSet<&str> {
    let slashes = files.keys().flat_map(|path| path.match_indices('/').map(move |(at, _)| path.get(..at)));
    slashes.flatten().collect()
}

/// What has a name already.
fn there(out: &Path) -> Result<Option<std::fs::Metadata>, Problem> {
    match std::fs::symlink_metadata(out) {
        Ok(metadata) => Ok(Some(metadata)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(unwritable(out, &error)),
    }
}

fn in_the_way(out: &Path) -> Problem {
    let message = format!("{} is there already, and is something else", out.display());
    Problem::new(Kind::Refused, "export.in-the-way", message).hint("move it away, or write to another place")
}

fn unwritable(out: &Path, error: &io::Error) -> Problem {
    let message = format!("cannot write {}", out.display());
    let problem = Problem::new(Kind::Failed, "export.unwritable", message).caused_by(error);
    match error.kind() {
        io::ErrorKind::StorageFull => problem.hint("free some space there, or choose another place"),
        io::ErrorKind::NotFound => problem.hint("make the directory that it is to stand in"),
        _ => problem,
    }
}
