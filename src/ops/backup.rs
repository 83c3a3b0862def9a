//! All of a home that is nowhere else, in one file: whom it trusts, its keys, its catalogue, what clients pushed. What was
//! imported stands on the media that it came on.
//!
//! The file is a tar archive. Its first member names the digest of the second, and that is a list of all others for
//! `sha256sum -c`: [`super::restore`] reads it. The same home always makes the same archive.

use std::collections::BTreeMap;
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

use bundle_format::{BlobHasher, BlobKey};
use serde::Serialize;

use super::export_files::{BLOCK, END, tar_header};
use crate::cancel::Cancel;
use crate::events::{Events, Happening};
use crate::fsx::{self, Access, AtomicFile, Lock};
use crate::problem::{Kind, Problem};
use crate::store::{Store, StoreError};

/// The first member: what this is, and the digest of the list.
pub(super) const HEAD: &str = "aftk-backup";
/// The second member: the digests of all others.
pub(super) const LIST: &str = "SHA256SUMS";
/// The first line of the first member.
pub(super) const FORMAT: &str = "aftk backup, format 1";
/// What is taken of a home besides its store, with all that is below. That of TLS is the site's own authority.
pub(super) const PARTS: [&str; 7] = ["site.toml", "accounts", "keys", "trust", "sites", "tls", "channels"];
/// What is not: locks; and that this is the home which went on from there.
const LEFT_OUT: [&str; 2] = ["lock", "incarnation"];
/// How deep directories of a home are at most.
const DEPTH: usize = 4;
/// Keys and passwords are in it.
const MODE: u32 = 0o600;

/// A wish to back a home up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BackupRequest {
    /// The file to write, which is not there yet.
    pub file: PathBuf,
    /// Whether the blobs of what clients pushed are in it.
    pub with_hosted: bool,
    /// Only say what would be in it.
    pub dry_run: bool,
}

/// What is in a backup.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct BackupReport {
    /// Whether nothing was written.
    pub dry_run: bool,
    /// The file.
    pub file: PathBuf,
    /// How many bytes the files in it have.
    pub bytes: u64,
    /// How many files are in it.
    pub files: u64,
    /// How many blobs that clients pushed are in it.
    pub hosted_blobs: u64,
    /// How many blobs that clients pushed are not in it.
    pub hosted_blobs_left_out: u64,
}

/// A file on its way into the archive.
struct Member {
    from: PathBuf,
    size: u64,
    digest: BlobKey,
}

/// Writes a backup of a store and its home.
///
/// # Errors
/// Refused (6), if the file is there, or garbage is being collected. Incomplete (4), if a blob that belongs in it is not
/// held. If something cannot be read or written, changes meanwhile, or the job is stopped.
pub fn backup(
    store: &Store,
    request: &BackupRequest,
    events: &dyn Events,
    cancel: &Cancel,
) -> Result<BackupReport, Problem> {
    let out = &request.file;
    if out.exists() {
        let message = format!("{} is there already", out.display());
        return Err(Problem::new(Kind::Refused, "backup.exists", message).hint("name another file"));
    }
    let path = store.layout.gc_lock();
    let lock = Lock::try_exclusive(&path).map_err(|error| unreadable(&path, &error))?;
    let Some(_lock) = lock else {
        return Err(StoreError::Busy("the store's garbage collection".into()).into());
    };
    let copies = Copies::make(store.layout.backup())?;
    let copy = copies.0.join("catalogue.sqlite");
    let copied = store.catalogue.copy_to(&copy)?;
    let mut members = Members { members: BTreeMap::new(), cancel };
    members.add("store/catalogue.sqlite".to_owned(), &copy)?;
    let home = store.layout.home();
    for part in PARTS {
        members.walk(part, &home.join(part), DEPTH)?;
    }
    members.walk("store/accepted", &store.layout.accepted(), DEPTH)?;
    members.walk("store/forgotten", &store.layout.forgotten(), DEPTH)?;
    let hosted = if request.with_hosted { copied.hosted.len() } else { 0 };
    let blobs = copied.papers.iter().chain(copied.hosted.iter().take(hosted));
    for key in blobs {
        let path = store.layout.blob(key);
        if store.blobs.size(key)?.is_none() {
            return Err(StoreError::Missing(*key).into());
        }
        let name = format!("store/blobs/sha256/{}/{}", key.hex().get(..2).unwrap_or_default(), key.hex());
        if members.add(name, &path)? != *key {
            let message = format!("blob {key} is damaged");
            return Err(Problem::new(Kind::Untrusted, "store.damaged", message)
                .hint("run `aftk check`: it sets damaged blobs aside"));
        }
    }
    let members = members.members;
    let report = BackupReport {
        dry_run: request.dry_run,
        file: out.clone(),
        bytes: members.values().map(|member| member.size).sum(),
        files: members.len() as u64,
        hosted_blobs: hosted as u64,
        hosted_blobs_left_out: (copied.hosted.len() - hosted) as u64,
    };
    if !request.dry_run {
        let (files, bytes) = (Some(report.files), Some(report.bytes));
        events.emit(Happening::Stage { name: "backup".into(), items: files, bytes });
        write(&members, out, events, cancel)?;
    }
    Ok(report)
}

/// The directory of the catalogue's copy, which goes again.
struct Copies(PathBuf);

impl Copies {
    fn make(path: PathBuf) -> Result<Copies, Problem> {
        let made = fsx::remove_directory(&path).and_then(|()| fsx::create_directory(&path, Access::Private));
        made.map_err(|error| unwritable(&path, &error))?;
        Ok(Copies(path))
    }
}

impl Drop for Copies {
    fn drop(&mut self) {
        // The next backup removes what is left.
        let _ = fsx::remove_directory(&self.0);
    }
}

/// What goes into the archive, by its path there.
struct Members<'a> {
    members: BTreeMap<String, Member>,
    cancel: &'a Cancel,
}

impl Members<'_> {
    /// Adds a file, or what is below a directory; nothing, if it is not there.
    fn walk(&mut self, name: &str, path: &Path, depth: usize) -> Result<(), Problem> {
        let metadata = match std::fs::metadata(path) {
            Ok(metadata) => metadata,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            Err(error) => return Err(unreadable(path, &error)),
        };
        if metadata.is_file() {
            return self.add(name.to_owned(), path).map(drop);
        }
        if !metadata.is_dir() || depth == 0 {
            return Ok(());
        }
        for entry in std::fs::read_dir(path).map_err(|error| unreadable(path, &error))? {
            let entry = entry.map_err(|error| unreadable(path, &error))?.file_name();
            let Some(entry) = entry.to_str() else { continue };
            // What begins with a dot is being written, or a lock.
            if !entry.starts_with('.') && !LEFT_OUT.contains(&entry) {
                self.walk(&format!("{name}/{entry}"), &path.join(entry), depth - 1)?;
            }
        }
        Ok(())
    }

    /// Adds a file; returns its digest.
    fn add(&mut self, name: String, path: &Path) -> Result<BlobKey, Problem> {
        let mut hash = BlobHasher::default();
        let size = read(path, self.cancel, &mut |bytes| {
            hash.update(bytes);
            Ok(())
        })?;
        let digest = hash.finish();
        self.members.insert(name, Member { from: path.to_owned(), size, digest });
        Ok(digest)
    }
}

/// Reads a file to its end; returns how many bytes it has.
fn read(
    path: &Path,
    cancel: &Cancel,
    each: &mut dyn FnMut(&[u8]) -> Result<(), Problem>,
) -> Result<u64, Problem> {
    let mut file = std::fs::File::open(path).map_err(|error| unreadable(path, &error))?;
    let (mut buffer, mut size) = (vec![0; super::BUFFER], 0);
    loop {
        cancel.check()?;
        match file.read(&mut buffer) {
            Ok(0) => return Ok(size),
            Ok(count) => {
                each(buffer.get(..count).unwrap_or_default())?;
                size += count as u64;
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(unreadable(path, &error)),
        }
    }
}

fn write(
    members: &BTreeMap<String, Member>,
    out: &Path,
    events: &dyn Events,
    cancel: &Cancel,
) -> Result<(), Problem> {
    let failed = |error: &io::Error| unwritable(out, error);
    let mut file = AtomicFile::create_with(out, Access::Private).map_err(|error| failed(&error))?;
    let list: String =
        members.iter().map(|(name, member)| format!("{}  {name}\n", member.digest.hex())).collect();
    let head = format!("{FORMAT}\n{}  {LIST}\n", BlobKey::of(list.as_bytes()).hex());
    for (name, text) in [(HEAD, head), (LIST, list)] {
        let written = start(&mut file, name, text.len() as u64)
            .and_then(|()| file.write_all(text.as_bytes()))
            .and_then(|()| end(&mut file, text.len() as u64));
        written.map_err(|error| failed(&error))?;
    }
    for (name, member) in members {
        start(&mut file, name, member.size).map_err(|error| failed(&error))?;
        let (mut hash, mut left) = (BlobHasher::default(), member.size);
        read(&member.from, cancel, &mut |bytes| {
            // One that grows would push what follows out of its place.
            left = left.checked_sub(bytes.len() as u64).ok_or_else(|| changed(&member.from))?;
            hash.update(bytes);
            events.emit(Happening::ItemProgress { bytes: bytes.len() as u64 });
            file.write_all(bytes).map_err(|error| failed(&error))
        })?;
        if left != 0 || hash.finish() != member.digest {
            return Err(changed(&member.from));
        }
        end(&mut file, member.size).map_err(|error| failed(&error))?;
        events.emit(Happening::ItemDone { item: name.clone() });
    }
    file.write_all(&END).and_then(|()| file.commit()).map_err(|error| failed(&error))
}

fn start(out: &mut dyn Write, name: &str, size: u64) -> io::Result<()> {
    out.write_all(tar_header(name, size, MODE)?.as_bytes())
}

fn end(out: &mut dyn Write, size: u64) -> io::Result<()> {
    io::copy(&mut io::repeat(0).take(size.next_multiple_of(BLOCK) - size), out).map(drop)
}

fn changed(path: &Path) -> Problem {
    Problem::new(Kind::Failed, "backup.changed", format!("{} changed meanwhile", path.display()))
        .hint("run the same command again")
}

fn unreadable(path: &Path, error: &io::Error) -> Problem {
    Problem::new(Kind::Failed, "backup.unreadable", format!("cannot read {}", path.display()))
        .caused_by(error)
}

fn unwritable(path: &Path, error: &io::Error) -> Problem {
    Problem::new(Kind::Failed, "backup.unwritable", format!("cannot write {}", path.display()))
        .caused_by(error)
}
