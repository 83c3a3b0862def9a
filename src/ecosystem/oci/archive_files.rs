//! The files of a directory or an archive, by name and in any order.
//!
//! An archive is never unpacked: its members are found once, and read from where they stand. A compressed one is
//! decompressed first, into a file without a name. Links lead to other members, never to anything of this machine.

use std::collections::HashMap;
use std::fs::File;
use std::io::{self, Read, Seek};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use tar::EntryType;

use crate::spill;

/// The most members of an archive.
const MOST: usize = 200_000;
/// How many links lead from one to the next.
const LINKS: usize = 8;

/// The files of a directory or an archive.
#[derive(Debug, Clone)]
pub(super) enum Files {
    /// Of a directory.
    Directory(PathBuf),
    /// Of an archive.
    Archive(Arc<Archive>),
}

/// An archive's members.
#[derive(Debug)]
pub(super) struct Archive {
    file: File,
    members: HashMap<String, Member>,
}

#[derive(Debug)]
enum Member {
    File { offset: u64, size: u64 },
    Link(String),
}

impl Files {
    /// Opens a directory, or an archive, which may be compressed by gzip or zstd. `scratch` gets what is decompressed.
    /// Blocks, long for a compressed one.
    ///
    /// # Errors
    /// If it cannot be read, is no archive, or is one that nobody makes in good faith.
    pub(super) fn open(path: &Path, scratch: &Path) -> io::Result<Files> {
        if path.is_dir() {
            return Ok(Files::Directory(path.to_owned()));
        }
        Files::of_archive(File::open(path)?, scratch)
    }

    /// The same of an archive that is open.
    ///
    /// # Errors
    /// As [`Files::open`].
    pub(super) fn of_archive(mut file: File, scratch: &Path) -> io::Result<Files> {
        let mut magic = [0; 4];
        let length = file.read(&mut magic)?;
        file.rewind()?;
        let file = match magic.get(..length) {
            Some([0x1f, 0x8b, ..]) => spill::to_file(&mut flate2::read::MultiGzDecoder::new(file), scratch)?,
            Some([0x28, 0xb5, 0x2f, 0xfd]) => spill::to_file(&mut zstd::Decoder::new(file)?, scratch)?,
            _ => file,
        };
        Ok(Files::Archive(Arc::new(Archive::read(file)?)))
    }

    /// The file of that name with its size; `None` if there is none. Names are relative, without `.` and `..`.
    ///
    /// # Errors
    /// If it cannot be opened.
    pub(super) fn get(&self, name: &str) -> io::Result<Option<(Box<dyn Read + Send>, u64)>> {
        match self {
            Files::Directory(directory) => {
                if clean(name).as_deref() != Some(name) {
                    return Ok(None);
                }
                let file = match File::open(directory.join(name)) {
                    Ok(file) => file,
                    Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
                    Err(error) => return Err(error),
                };
                let metadata = file.metadata()?;
                Ok(metadata.is_file().then(|| (Box::new(file) as Box<dyn Read + Send>, metadata.len())))
            }
            Files::Archive(archive) => Ok(archive.find(name).map(|(offset, size)| {
                let section = Section { archive: archive.clone(), offset, left: size };
                (Box::new(section) as Box<dyn Read + Send>, size)
            })),
        }
    }

    /// A small file whole; `None` if there is none.
    ///
    /// # Errors
    /// If it cannot be read, or is larger than `limit` bytes.
    pub(super) fn read(&self, name: &str, limit: u64) -> io::Result<Option<Vec<u8>>> {
        let Some((file, size)) = self.get(name)? else { return Ok(None) };
        if size > limit {
            return Err(io::Error::other(format!(
                "{name} has {size} bytes, and more than {limit} are not read"
            )));
        }
        let mut bytes = Vec::new();
        file.take(limit).read_to_end(&mut bytes)?;
        Ok(Some(bytes))
    }
}

impl Archive {
    fn read(file: File) -> io::Result<Archive> {
        let mut members = HashMap::new();
        let length = file.metadata()?.len();
        let mut archive = tar::Archive::new(&file);
        for entry in archive.entries_with_seek()? {
            let entry = entry?;
            let name = entry.path_bytes();
            let Some(name) = std::str::from_utf8(&name).ok().and_then(clean) else {
                return Err(wrong(format!("it has a member {:?}", String::from_utf8_lossy(&name))));
            };
            let member = match entry.header().entry_type() {
                EntryType::Regular | EntryType::Continuous => {
                    let (offset, size) = (entry.raw_file_position(), entry.size());
                    if offset.checked_add(size).is_none_or(|end| end > length) {
                        return Err(io::ErrorKind::UnexpectedEof.into());
                    }
                    Member::File { offset, size }
                }
                EntryType::Symlink | EntryType::Link => {
                    let target = entry.link_name_bytes().unwrap_or_default();
                    let target = std::str::from_utf8(&target).unwrap_or_default();
                    // A symbolic link counts from where it stands, a hard one from the top.
                    let from = name.rsplit_once('/').map_or("", |(directory, _)| directory);
                    let is_symbolic = entry.header().entry_type() == EntryType::Symlink;
                    let path = if is_symbolic { join(from, target) } else { clean(target) };
                    let Some(path) = path else { return Err(wrong(format!("{name} leads out of it"))) };
                    Member::Link(path)
                }
                EntryType::Directory | EntryType::XGlobalHeader => continue,
                _ => return Err(wrong(format!("{name} is neither a file nor a link"))),
            };
            if members.len() >= MOST {
                return Err(wrong(format!("it has more than {MOST} members")));
            }
            if members.insert(name.clone(), member).is_some() {
                return Err(wrong(format!("it has two members {name}")));
            }
        }
        Ok(Archive { file, members })
    }

    fn find(&self, name: &str) -> Option<(u64, u64)> {
        let mut name = name;
        for _ in 0..LINKS {
            match self.members.get(name)? {
                Member::File { offset, size } => return Some((*offset, *size)),
                Member::Link(target) => name = target,
            }
        }
        None
    }
}

fn wrong(why: String) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, why)
}

/// A name without `.` and doubled slashes; `None` if it leads upwards or is absolute.
fn clean(name: &str) -> Option<String> {
    if name.starts_with('/') { None } else { join("", name) }
}

/// A path seen from a directory; `None` if it leads out at the top.
fn join(directory: &str, path: &str) -> Option<String> {
    if path.starts_with('/') || path.contains('\0') {
        return None;
    }
    let mut parts: Vec<&str> = directory.split('/').filter(|part| !part.is_empty()).collect();
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." => drop(parts.pop()?),
            part => parts.push(part),
        }
    }
    Some(parts.join("/"))
}

/// A member of an archive, being read.
struct Section {
    archive: Arc<Archive>,
    offset: u64,
    left: u64,
}

impl Read for Section {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let length = buffer.len().min(usize::try_from(self.left).unwrap_or(usize::MAX));
        let read = self.archive.file.read_at(buffer.get_mut(..length).unwrap_or_default(), self.offset)?;
        if read == 0 && length > 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        self.offset += read as u64;
        self.left -= read as u64;
        Ok(read)
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use super::*;
    use crate::fsx;

    /// An archive of members, each a name with its bytes, or with where it leads.
    fn archive(members: &[(&str, &str, Option<&str>)]) -> Vec<u8> {
        let mut builder = tar::Builder::new(Vec::new());
        for (name, bytes, link) in members {
            let mut header = tar::Header::new_ustar();
            header.as_ustar_mut().unwrap().name[..name.len()].copy_from_slice(name.as_bytes());
            header.set_size(bytes.len() as u64);
            header.set_mode(0o644);
            if let Some(target) = link {
                header.set_entry_type(EntryType::Symlink);
                header.as_ustar_mut().unwrap().linkname[..target.len()].copy_from_slice(target.as_bytes());
            }
            header.set_cksum();
            builder.append(&header, bytes.as_bytes()).unwrap();
        }
        builder.into_inner().unwrap()
    }

    fn open(bytes: &[u8]) -> io::Result<Files> {
        let directory = fsx::test_directory();
        let path = directory.path().join("archive");
        fsx::replace_file(&path, bytes).unwrap();
        Files::open(&path, directory.path())
    }

    fn text(files: &Files, name: &str) -> Option<String> {
        files.read(name, 100).unwrap().map(|bytes| String::from_utf8(bytes).unwrap())
    }

    #[test]
    fn members_are_read_in_any_order_and_through_links() {
        let plain = archive(&[
            ("a/layer.tar", "first", None),
            ("./b/layer.tar", "", Some("../a/layer.tar")),
            ("c", "second", None),
            ("loop", "", Some("loop")),
        ]);
        let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        gzip.write_all(&plain).unwrap();
        let zstd = zstd::encode_all(plain.as_slice(), 1).unwrap();
        for bytes in [plain, gzip.finish().unwrap(), zstd] {
            let files = open(&bytes).unwrap();
            assert_eq!(text(&files, "c").as_deref(), Some("second"));
            assert_eq!(text(&files, "b/layer.tar").as_deref(), Some("first"));
            assert_eq!((text(&files, "loop"), text(&files, "d")), (None, None));
            assert!(files.read("c", 3).is_err());
        }
    }

    #[test]
    fn archives_of_bad_faith_are_refused() {
        let mut cut = archive(&[("a", &"x".repeat(2000), None)]);
        cut.truncate(1024);
        for (what, bytes) in [
            ("twice", archive(&[("a", "1", None), ("./a", "2", None)])),
            ("upwards", archive(&[("../a", "1", None)])),
            ("absolute", archive(&[("/etc/passwd", "1", None)])),
            ("out", archive(&[("a", "", Some("../../etc/passwd"))])),
            ("absolute link", archive(&[("a", "", Some("/etc/passwd"))])),
            ("cut", cut),
            ("no archive", vec![7; 2048]),
        ] {
            assert!(open(&bytes).is_err(), "{what}");
        }
    }

    #[test]
    fn a_directory_gives_nothing_from_outside() {
        let directory = fsx::test_directory();
        fsx::replace_file(&directory.path().join("secret"), b"secret").unwrap();
        fsx::create_directory(&directory.path().join("layout"), fsx::Access::Private).unwrap();
        fsx::replace_file(&directory.path().join("layout/index.json"), b"{}").unwrap();
        let files = Files::open(&directory.path().join("layout"), directory.path()).unwrap();
        assert_eq!(text(&files, "index.json").as_deref(), Some("{}"));
        for bad in ["../secret", "/etc/passwd", "./index.json", "", "x/../index.json"] {
            assert!(files.get(bad).unwrap().is_none(), "{bad}");
        }
    }
}
