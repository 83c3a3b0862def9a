//! Source distributions: what they say of themselves, and what building them needs.
//!
//! Nothing of theirs is run. Where they do not say for sure what they require, it is read from where setuptools wrote it down
//! when the distribution was made.

use std::io::{self, Read, Seek};

use bytes::Bytes;
use flate2::read::{DeflateDecoder, MultiGzDecoder};
use rawzip::{CompressionMethod, RECOMMENDED_BUFFER_SIZE, ZipArchive};

use super::inputs::build_system::BuildSystem;
use super::inputs::pyproject::Pyproject;
use super::metadata::{LARGEST, Metadata};
use super::requirement::Requirement;

/// The most bytes that are unpacked of one.
const MOST_UNPACKED: u64 = 8 << 30;
/// The most files that one may have.
const MOST_FILES: usize = 500_000;
/// The most documents in one that are looked at.
const MOST_DOCUMENTS: usize = 64;
/// What builds a project that does not say what does (PEP 517).
const USUAL_BUILDERS: [&str; 2] = ["setuptools>=40.8.0", "wheel"];

/// What a source distribution says.
#[derive(Debug)]
pub(super) struct Sdist {
    /// Its metadata, with what it requires as far as that is known.
    pub(super) metadata: Metadata,
    /// Whether that is known for sure.
    pub(super) knows: Knows,
    /// What building it needs.
    pub(super) build_requires: Vec<Requirement>,
}

/// How well a source distribution knows what it requires.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Knows {
    /// It says it for every wheel that may be made from it.
    ForSure,
    /// Whoever made it wrote down what its build said there.
    AsMade,
    /// Only building it tells.
    Nothing,
}

/// The documents in it that are read.
#[derive(Default)]
struct Documents {
    pkg_info: Option<Bytes>,
    pyproject: Option<Bytes>,
    egg_requires: Option<Bytes>,
    has_egg_info: bool,
}

/// Reads a source distribution by the end of its name, if it is no zip. Blocks.
///
/// # Errors
/// What is wrong with it.
pub(super) fn read(name: &str, file: impl Read) -> io::Result<Sdist> {
    let mut documents = Documents::default();
    if name.ends_with(".tar.gz") || name.ends_with(".tgz") {
        documents.untar(MultiGzDecoder::new(file))?;
    } else if name.ends_with(".tar") {
        documents.untar(file)?;
    } else {
        return Err(damaged("it is packed in a way that is not read: .tar.gz and .zip are"));
    }
    documents.understand()
}

/// Reads a source distribution that is a zip. Blocks.
///
/// # Errors
/// What is wrong with it.
pub(super) fn read_zip(file: impl Read + Seek) -> io::Result<Sdist> {
    let mut documents = Documents::default();
    documents.unzip(file)?;
    documents.understand()
}

impl Documents {
    fn untar(&mut self, tar: impl Read) -> io::Result<()> {
        let mut archive = tar::Archive::new(tar.take(MOST_UNPACKED));
        for (number, entry) in archive.entries()?.enumerate() {
            if number > MOST_FILES {
                return Err(damaged("it has more than 500,000 files"));
            }
            let mut entry = entry?;
            let path = String::from_utf8_lossy(&entry.path_bytes()).into_owned();
            self.take(&path, &mut entry)?;
        }
        Ok(())
    }

    fn unzip(&mut self, file: impl Read + Seek) -> io::Result<()> {
        let odd = |error: rawzip::Error| damaged(&error.to_string());
        let mut buffer = vec![0; RECOMMENDED_BUFFER_SIZE];
        let archive = ZipArchive::from_seekable(file, &mut buffer).map_err(odd)?;
        let mut entries = archive.entries(&mut buffer);
        let mut found = Vec::new();
        while let Some(entry) = entries.next_entry().map_err(odd)? {
            let path = String::from_utf8_lossy(entry.file_path().as_ref()).into_owned();
            if Document::of(&path).is_some() && found.len() < MOST_DOCUMENTS {
                found.push((path, entry.wayfinder(), entry.compression_method()));
            }
        }
        for (path, wayfinder, method) in found {
            let entry = archive.get_entry(wayfinder).map_err(odd)?;
            match method {
                CompressionMethod::STORE => self.take(&path, &mut entry.verifying_reader(entry.reader()))?,
                CompressionMethod::DEFLATE => {
                    self.take(&path, &mut entry.verifying_reader(DeflateDecoder::new(entry.reader())))?;
                }
                _ => {
                    return Err(damaged(
                        "a document in it is compressed in a way that installers do not know",
                    ));
                }
            }
        }
        Ok(())
    }

    fn take(&mut self, path: &str, from: &mut impl Read) -> io::Result<()> {
        let Some(document) = Document::of(path) else { return Ok(()) };
        if document == Document::EggInfo {
            self.has_egg_info = true;
            return Ok(());
        }
        let mut bytes = Vec::new();
        from.take(LARGEST as u64 + 1).read_to_end(&mut bytes)?;
        if bytes.len() > LARGEST {
            return Err(damaged("a document in it is larger than 16 MiB"));
        }
        let place = match document {
            Document::PkgInfo => &mut self.pkg_info,
            Document::Pyproject => &mut self.pyproject,
            _ => &mut self.egg_requires,
        };
        place.get_or_insert(bytes.into());
        Ok(())
    }

    fn understand(self) -> io::Result<Sdist> {
        let pkg_info = self.pkg_info.ok_or_else(|| damaged("it has no PKG-INFO"))?;
        let mut metadata = Metadata::parse(&pkg_info).map_err(|error| damaged(&error.to_string()))?;
        let text = self.pyproject.map(|bytes| String::from_utf8_lossy(&bytes).into_owned());
        // One in Poetry's own form says what builds it all the same.
        let stated = match &text {
            Some(text) => {
                BuildSystem::read(text, "pyproject.toml").map_err(|problem| damaged(&problem.to_string()))?
            }
            None => None,
        };
        let mut knows = if metadata.is_static { Knows::ForSure } else { Knows::AsMade };
        if !metadata.is_static && metadata.requires.is_empty() {
            let project = text.as_deref().and_then(|text| Pyproject::parse(text, "pyproject.toml").ok());
            match (project, &self.egg_requires) {
                (Some(Pyproject { dependencies: Some(dependencies), extras, .. }), _) => {
                    metadata.requires = dependencies;
                    for (extra, requirements) in extras {
                        let marked = requirements.into_iter().filter_map(|one| one.only_for_extra(&extra));
                        metadata.requires.extend(marked);
                    }
                }
                (_, Some(egg)) => metadata.requires = egg_requires(&String::from_utf8_lossy(egg)),
                // It has a project's table, and leaves what it needs to its build.
                (Some(Pyproject { name: Some(_), .. }), None) if !self.has_egg_info => knows = Knows::Nothing,
                // What is older than that could require nothing but by setuptools, which leaves its traces.
                _ => {}
            }
        }
        let usual = || USUAL_BUILDERS.iter().filter_map(|text| Requirement::parse(text).ok()).collect();
        let build_requires = stated.map_or_else(usual, |system| system.for_wheel);
        Ok(Sdist { metadata, knows, build_requires })
    }
}

/// A document in a source distribution that is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Document {
    PkgInfo,
    Pyproject,
    EggRequires,
    EggInfo,
}

impl Document {
    fn of(path: &str) -> Option<Document> {
        let mut parts = path.trim_start_matches("./").split('/');
        let (_, rest) = (parts.next()?, parts.collect::<Vec<_>>());
        match rest.as_slice() {
            ["PKG-INFO"] => Some(Document::PkgInfo),
            ["pyproject.toml"] => Some(Document::Pyproject),
            [.., folder, "requires.txt"] if folder.ends_with(".egg-info") => Some(Document::EggRequires),
            [.., folder, "PKG-INFO"] if folder.ends_with(".egg-info") => Some(Document::EggInfo),
            _ => None,
        }
    }
}

/// What `requires.txt` of setuptools says: requirements by sections, `[extra:marker]`.
fn egg_requires(text: &str) -> Vec<Requirement> {
    let (mut requirements, mut condition) = (Vec::new(), String::new());
    for line in text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#')) {
        if let Some(section) = line.strip_prefix('[').and_then(|line| line.strip_suffix(']')) {
            let (extra, marker) = section.split_once(':').unwrap_or((section, ""));
            let extra = if extra.is_empty() { String::new() } else { format!("extra == \"{extra}\"") };
            condition = match (extra.is_empty(), marker.is_empty()) {
                (true, _) => marker.to_owned(),
                (false, true) => extra,
                (false, false) => format!("({marker}) and {extra}"),
            };
            continue;
        }
        let written = if condition.is_empty() { line.to_owned() } else { format!("{line} ; {condition}") };
        requirements.extend(Requirement::parse(&written));
    }
    requirements
}

fn damaged(why: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, why.to_owned())
}

#[cfg(test)]
pub(super) mod tests {
    use std::io::Cursor;

    use super::*;
    use crate::ecosystem::pypi::wheel::made::archive as zipped;

    /// A source distribution in a tar.gz.
    pub(in crate::ecosystem::pypi) fn tarred(files: &[(&str, &[u8])]) -> Vec<u8> {
        let encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        let mut builder = tar::Builder::new(encoder);
        for (path, bytes) in files {
            let mut header = tar::Header::new_gnu();
            header.set_size(bytes.len() as u64);
            header.set_mode(0o644);
            header.set_cksum();
            builder.append_data(&mut header, path, *bytes).unwrap();
        }
        builder.into_inner().unwrap().finish().unwrap()
    }

    const OLD: &[u8] = b"Metadata-Version: 1.1\nName: a\nVersion: 1\n";
    const NEW: &[u8] = b"Metadata-Version: 2.2\nName: a\nVersion: 1\nRequires-Dist: b\n";

    fn of(files: &[(&str, &[u8])]) -> (Knows, Vec<String>, Vec<String>) {
        let sdist = read("a-1.tar.gz", Cursor::new(tarred(files))).unwrap();
        let zip = read_zip(Cursor::new(zipped(files))).unwrap();
        let texts = |list: &[Requirement]| list.iter().map(ToString::to_string).collect::<Vec<_>>();
        assert_eq!((sdist.knows, &sdist.metadata.requires), (zip.knows, &zip.metadata.requires));
        (sdist.knows, texts(&sdist.metadata.requires), texts(&sdist.build_requires))
    }

    #[test]
    fn what_a_distribution_requires_is_found_where_it_is_said() {
        let usual = vec!["setuptools>=40.8.0".to_owned(), "wheel".to_owned()];
        assert_eq!(of(&[("a-1/PKG-INFO", NEW)]), (Knows::ForSure, vec!["b".to_owned()], usual.clone()));
        assert_eq!(of(&[("a-1/PKG-INFO", OLD)]), (Knows::AsMade, vec![], usual.clone()));
        let dynamic = ("a-1/pyproject.toml", &b"[project]\nname = 'a'\ndynamic = ['dependencies']\n"[..]);
        assert_eq!(of(&[("a-1/PKG-INFO", OLD), dynamic]).0, Knows::Nothing);
        let egg = ("a-1/src/a.egg-info/PKG-INFO", OLD);
        assert_eq!(of(&[("a-1/PKG-INFO", OLD), egg]), (Knows::AsMade, vec![], usual));
        let requires = b"c>=1\n\n[:sys_platform == \"win32\"]\nd\n\n[x]\ne\n\n[x:os_name == \"nt\"]\nf\n";
        let (knows, found, _) =
            of(&[("a-1/PKG-INFO", OLD), egg, ("a-1/src/a.egg-info/requires.txt", requires)]);
        assert_eq!(knows, Knows::AsMade);
        assert_eq!(found.len(), 4);
        assert_eq!(found[..2], ["c>=1", "d ; sys_platform == 'win32'"]);
        let pyproject =
            b"[build-system]\nrequires = ['hatchling']\n[project]\nname = 'a'\ndependencies = ['g']\n\
                          [project.optional-dependencies]\nx = ['h ; os_name == \"nt\"']\n";
        let (knows, found, builders) = of(&[("a-1/PKG-INFO", OLD), ("a-1/pyproject.toml", pyproject)]);
        assert_eq!((knows, found.len(), builders), (Knows::AsMade, 2, vec!["hatchling".to_owned()]));
        assert!(found[1].starts_with("h ; ") && found[1].contains("extra == 'x'"), "{found:?}");
    }

    #[test]
    fn poetry_alone_says_what_builds_it() {
        let pyproject =
            b"[build-system]\nrequires = ['poetry-core']\n[tool.poetry.dependencies]\npython = '*'\n";
        let (_, _, builders) = of(&[("a-1/PKG-INFO", NEW), ("a-1/pyproject.toml", pyproject)]);
        assert_eq!(builders, ["poetry-core"]);
    }

    #[test]
    fn damaged_ones_are_refused() {
        assert!(read_zip(Cursor::new(b"PK")).is_err());
        for (name, bytes) in [
            ("a-1.tar.gz", tarred(&[("a-1/setup.py", b"")])),
            ("a-1.tar.gz", b"no gzip".to_vec()),
            ("a-1.tar.xz", vec![0xfd]),
            ("a-1.tar.gz", tarred(&[("a-1/PKG-INFO", b"Name: a\n")])),
            ("a-1.tar.gz", tarred(&[("a-1/PKG-INFO", NEW), ("a-1/pyproject.toml", b"[build-system\n")])),
        ] {
            assert!(read(name, Cursor::new(bytes)).is_err(), "{name}");
        }
    }
}
