//! A home from its backup.
//!
//! Every member is held to the list that comes first, while it is written beside the home to be; that has its name only
//! once all of it is there.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

use bundle_format::{BlobHasher, BlobKey};
use serde::Serialize;

use super::backup::{FORMAT, HEAD, LIST, PARTS};
use crate::cancel::Cancel;
use crate::events::{Events, Happening};
use crate::fsx::{self, Access, AtomicDirectory};
use crate::problem::{Kind, Problem};
use crate::store::{ChannelState, Store};

/// The most bytes that the list may have: some 500,000 files.
const LARGEST_LIST: u64 = 64 * 1024 * 1024;
/// The most bytes that the first member may have.
const LARGEST_HEAD: u64 = 1024;
/// Where blobs are in it.
const BLOBS: &str = "store/blobs/sha256/";

/// What was restored, or would be.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct RestoreReport {
    /// Whether nothing was written.
    pub dry_run: bool,
    /// How many files.
    pub files: u64,
    /// How many bytes they have.
    pub bytes: u64,
    /// How far each channel is; not told by a dry run.
    pub channels: Vec<ChannelState>,
}

/// Makes a home that is empty, or not there, what it was when it was backed up. A dry run only verifies the backup.
///
/// # Errors
/// Refused (6), if there is something in the home. Usage (2), if the file is no backup. Untrusted (3), if it is damaged. If
/// something cannot be read or written, or the job is stopped.
pub fn restore(
    file: &Path,
    home: &Path,
    dry_run: bool,
    events: &dyn Events,
    cancel: &Cancel,
) -> Result<RestoreReport, Problem> {
    let is_empty = match home.read_dir() {
        Ok(mut entries) => entries.next().is_none(),
        Err(error) => error.kind() == io::ErrorKind::NotFound,
    };
    if !is_empty && !dry_run {
        let message = format!("there is something in {} already", home.display());
        return Err(Problem::new(Kind::Refused, "restore.not-empty", message)
            .hint("restore into an empty home, and name it with --home DIR"));
    }
    let opened = File::open(file).map_err(|error| unreadable(file, &error))?;
    let bytes = opened.metadata().map_or(0, |metadata| metadata.len());
    events.emit(Happening::Stage { name: "restore".into(), items: None, bytes: Some(bytes) });
    let target = if dry_run { None } else { Some(Target::begin(home)?) };
    let mut report = read(file, opened, target.as_ref(), events, cancel)?;
    report.dry_run = dry_run;
    if let Some(target) = target {
        target.commit()?;
        report.channels = Store::open_existing(home)?.catalogue.channels()?;
    }
    Ok(report)
}

/// Reads an archive, and writes what is in it.
fn read(
    path: &Path,
    file: File,
    target: Option<&Target>,
    events: &dyn Events,
    cancel: &Cancel,
) -> Result<RestoreReport, Problem> {
    let unreadable = |error: &io::Error| unreadable(path, error);
    let damaged = |message: String| damaged(path, message);
    let mut archive = tar::Archive::new(io::BufReader::with_capacity(super::BUFFER, file));
    let no_backup = || {
        Problem::new(Kind::Usage, "restore.no-backup", format!("{} is no backup of aftk", path.display()))
            .hint("name a file that `aftk backup FILE` wrote")
    };
    let mut entries = archive.entries().map_err(|error| unreadable(&error))?;
    let mut small = |name: &str, limit| -> Result<Option<String>, Problem> {
        let Some(Ok(entry)) = entries.next() else { return Ok(None) };
        if entry.path_bytes() != name.as_bytes() {
            return Ok(None);
        }
        let mut text = String::new();
        let read = entry.take(limit).read_to_string(&mut text);
        Ok(read.is_ok().then_some(text))
    };
    let head = small(HEAD, LARGEST_HEAD)?.ok_or_else(no_backup)?;
    let digest = head.strip_prefix(FORMAT).and_then(|rest| rest.strip_prefix('\n')).ok_or_else(no_backup)?;
    let list = small(LIST, LARGEST_LIST)?.ok_or_else(|| damaged(format!("{LIST} is missing")))?;
    if digest != format!("{}  {LIST}\n", BlobKey::of(list.as_bytes()).hex()) {
        return Err(damaged(format!("{LIST} is not what it was")));
    }
    let mut listed = parse(&list).map_err(damaged)?;
    let mut report = RestoreReport { dry_run: false, files: 0, bytes: 0, channels: Vec::new() };
    let mut buffer = vec![0; super::BUFFER];
    for entry in entries {
        let mut entry = entry.map_err(|error| damaged(error.to_string()))?;
        let name = String::from_utf8_lossy(&entry.path_bytes()).into_owned();
        let digest = listed.remove(&name).ok_or_else(|| damaged(format!("{name} is not in {LIST}")))?;
        if !entry.header().entry_type().is_file() {
            return Err(damaged(format!("{name} is no file")));
        }
        let mut out = target.map(|target| target.create(&name)).transpose()?;
        let mut hash = BlobHasher::default();
        loop {
            cancel.check()?;
            let count = entry.read(&mut buffer).map_err(|error| damaged(error.to_string()))?;
            let bytes = buffer.get(..count).unwrap_or_default();
            if bytes.is_empty() {
                break;
            }
            hash.update(bytes);
            report.bytes += count as u64;
            events.emit(Happening::ItemProgress { bytes: count as u64 });
            if let Some(out) = &mut out {
                out.write_all(bytes).map_err(|error| unwritable(out.path(), &error))?;
            }
        }
        if hash.finish() != digest {
            return Err(damaged(format!("{name} is not what it was")));
        }
        if let Some(out) = out {
            let done = if name.starts_with(BLOBS) { out.set_read_only() } else { Ok(()) };
            done.and_then(|()| out.sync()).map_err(|error| unwritable(out.path(), &error))?;
        }
        report.files += 1;
    }
    match listed.keys().next() {
        Some(name) => Err(damaged(format!("{name} is missing"))),
        None => Ok(report),
    }
}

/// The digests of all files, by their paths.
fn parse(list: &str) -> Result<BTreeMap<String, BlobKey>, String> {
    let mut found = BTreeMap::new();
    for line in list.lines() {
        let (digest, name) = line.split_once("  ").ok_or_else(|| format!("a line of {LIST} is none"))?;
        let digest = format!("sha256:{digest}").parse::<BlobKey>().map_err(|error| error.to_string())?;
        let known =
            |part: &&str| name == *part || name.strip_prefix(part).is_some_and(|rest| rest.starts_with('/'));
        let is_known = PARTS.iter().any(known) || name.starts_with("store/");
        let is_plain = name.split('/').all(|part| !part.is_empty() && !part.starts_with('.'));
        let is_blob = name.strip_prefix(BLOBS).is_none_or(|blob| {
            blob.split_once('/')
                .is_some_and(|(two, hex)| hex == digest.hex() && hex.starts_with(two) && two.len() == 2)
        });
        if !is_known
            || !is_plain
            || !is_blob
            || name.contains('\\')
            || found.insert(name.to_owned(), digest).is_some()
        {
            return Err(format!("{name:?} has no place in a home"));
        }
    }
    Ok(found)
}

/// The home to be.
struct Target {
    home: PathBuf,
    directory: AtomicDirectory,
}

impl Target {
    fn begin(home: &Path) -> Result<Target, Problem> {
        let parent = home.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
        let begun = fsx::create_directory(parent, Access::Private)
            .and_then(|()| AtomicDirectory::create_with(home, Access::Private));
        let directory = begun.map_err(|error| unwritable(home, &error))?;
        Ok(Target { home: home.to_owned(), directory })
    }

    fn create(&self, name: &str) -> Result<fsx::File, Problem> {
        let path = self.directory.path().join(name);
        let directory = path.parent().unwrap_or(&path);
        let made = fsx::create_directory(directory, Access::Private)
            .and_then(|()| fsx::File::create_new(&path, Access::Private));
        made.map_err(|error| unwritable(&path, &error))
    }

    fn commit(self) -> Result<(), Problem> {
        let Target { home, directory } = self;
        let sync = sync_all(directory.path());
        sync.and_then(|()| directory.commit()).map_err(|error| unwritable(&home, &error))
    }
}

/// Makes the names in a directory, and all below, durable.
fn sync_all(directory: &Path) -> io::Result<()> {
    for entry in std::fs::read_dir(directory)? {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            sync_all(&entry.path())?;
        }
    }
    fsx::sync_directory(directory)
}

fn damaged(path: &Path, message: String) -> Problem {
    Problem::new(Kind::Untrusted, "restore.damaged", format!("the backup is damaged: {message}"))
        .at(path.display())
        .hint("take another copy of it; nothing was restored")
}

fn unreadable(path: &Path, error: &io::Error) -> Problem {
    Problem::new(Kind::Usage, "restore.unreadable", format!("cannot read {}", path.display()))
        .caused_by(error)
}

fn unwritable(path: &Path, error: &io::Error) -> Problem {
    Problem::new(Kind::Failed, "restore.unwritable", format!("cannot write {}", path.display()))
        .caused_by(error)
}
