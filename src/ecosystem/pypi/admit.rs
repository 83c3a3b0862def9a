//! What an index needs of a release before a mirror shows it: files that are the project's and the version's by their
//! names, and metadata that is theirs by what it says.

use std::collections::BTreeSet;
use std::io::Cursor;

use bundle_format::{Artifact, BlobKey, File, Ref};
use bytes::Bytes;

use super::attestations::Provenance;
use super::facts::{
    Facts, FileFacts, METADATA, METADATA_END, PROVENANCE, PROVENANCE_END, SDIST, Status, WHEEL, Yanked,
};
use super::file_name::{FileName, Kind};
use super::name::Name;
use super::publishers::Publishers;
use super::version::Version;
use super::wheel::{self, LARGEST_METADATA};
use super::{SCHEMA, metadata};
use crate::ecosystem::attested::Attested;
use crate::ecosystem::{Admit, AdmitContext, Together, origin};
use crate::problem::{self, Problem};

/// Re-validates releases.
pub(super) struct PypiAdmit;

/// Wheels that are no larger are looked into.
const LARGEST_LOOK: u64 = 4 << 20;
/// The most bytes of what an index says of a file in one of its words.
const LONGEST_FACT: usize = 4096;

impl Admit for PypiAdmit {
    fn admit(
        &self,
        artifact: &Artifact,
        read: &mut dyn FnMut(&BlobKey) -> Result<Bytes, Problem>,
    ) -> Result<(), Problem> {
        let refuse = |why: String| untrusted(&artifact.name, &artifact.version, why);
        let release = Release::read(artifact).map_err(&refuse)?;
        check_facts(artifact).map_err(&refuse)?;
        let mut paths = BTreeSet::new();
        for file in &artifact.files {
            origin::check(&file.origin).map_err(|why| refuse(why.to_owned()))?;
            if !paths.insert(&file.path) {
                return Err(refuse(format!("it has two files of the name {:?}", shown(&file.path))));
            }
            if installs(file) {
                release.check_name(file).map_err(&refuse)?;
            }
        }
        for file in artifact.files.iter().filter(|file| !installs(file)) {
            match file.role.as_str() {
                METADATA => {
                    let of = release.belonging(artifact, file, METADATA_END).map_err(&refuse)?;
                    let bytes = read(&file.blob)?;
                    release.check_metadata(&bytes).map_err(&refuse)?;
                    if of.role == WHEEL && of.size <= LARGEST_LOOK {
                        let wheel = read(&of.blob)?;
                        release.check_wheel(of, &wheel, &bytes).map_err(&refuse)?;
                    }
                }
                PROVENANCE => {
                    release.belonging(artifact, file, PROVENANCE_END).map_err(&refuse)?;
                    Provenance::read(&read(&file.blob)?)
                        .map_err(|why| refuse(format!("its provenance is none: {why}")))?;
                }
                _ => return Err(refuse("it has a file of an unknown role".to_owned())),
            }
        }
        Ok(())
    }

    fn admit_ref(&self, reference: &Ref) -> Result<(), Problem> {
        let why = "Python's indexes have no movable names".to_owned();
        Err(untrusted(&reference.name, &reference.label, why))
    }

    fn together<'a>(&self, context: &'a dyn AdmitContext) -> Result<Option<Box<dyn Together + 'a>>, Problem> {
        Publishers::begin(context)
    }
}

/// Whether a file is one that clients install.
fn installs(file: &File) -> bool {
    [WHEEL, SDIST].contains(&file.role.as_str())
}

fn untrusted(name: &str, version: &str, why: String) -> Problem {
    Problem::new(
        problem::Kind::Untrusted,
        "pypi.refused-artifact",
        "a Python release of the bundle is not acceptable",
    )
    .at(format!("{} {}", shown(name), shown(version)))
    .because(why)
    .hint("collect it again outside with a current aftk; if it stays so, what upstream published is damaged")
}

/// What is not known to be harmless to a terminal yet.
fn shown(text: &str) -> String {
    text.chars().take(256).collect::<String>().escape_debug().to_string()
}

/// A project and version that can be listed.
struct Release {
    name: Name,
    version: Version,
}

impl Release {
    fn read(artifact: &Artifact) -> Result<Release, String> {
        if artifact.ecosystem != "pypi" || artifact.schema != SCHEMA {
            return Err("its ecosystem or schema is another".to_owned());
        }
        if !is_index_name(&artifact.repository) {
            return Err("its repository's name is neither an index's nor a host".to_owned());
        }
        if !artifact.qualifier.is_empty() {
            return Err("Python's releases have no qualifier".to_owned());
        }
        let name = Name::parse(&artifact.name).ok().filter(|name| name.as_str() == artifact.name);
        let name = name.ok_or("its name is no project's in the normal form")?;
        let version = Version::parse(&artifact.version).filter(|one| one.to_string() == artifact.version);
        let version = version.ok_or("its version is none in the normal form")?;
        let readable = |text: &str| text.len() <= LONGEST_FACT && !text.chars().any(char::is_control);
        if artifact
            .requires
            .iter()
            .any(|edge| ![&edge.name, &edge.range, &edge.kind].iter().all(|one| readable(one)))
        {
            return Err("it requires something whose name no one can read".to_owned());
        }
        Ok(Release { name, version })
    }

    /// Whether a wheel or source distribution is this release's by its name.
    fn check_name(&self, file: &File) -> Result<(), String> {
        let fits = FileName::parse(&file.path, &self.name).is_some_and(|read| {
            read.version == self.version && matches!(read.kind, Kind::Wheel(_)) == (file.role == WHEEL)
        });
        if fits {
            Ok(())
        } else {
            Err(format!("{:?} is no {} of this release", shown(&file.path), file.role))
        }
    }

    /// The wheel or source distribution that a document is about.
    fn belonging<'a>(&self, artifact: &'a Artifact, file: &File, end: &str) -> Result<&'a File, String> {
        if file.size > LARGEST_METADATA {
            return Err(format!("{:?} is larger than 4 MiB", shown(&file.path)));
        }
        let of = file
            .path
            .strip_suffix(end)
            .and_then(|path| artifact.files.iter().find(|one| installs(one) && one.path == path));
        of.ok_or_else(|| format!("{:?} belongs to no file of this release", shown(&file.path)))
    }

    fn check_metadata(&self, bytes: &[u8]) -> Result<(), String> {
        let (name, version) = metadata::identity(bytes).map_err(|error| error.to_string())?;
        if name == self.name && version == self.version {
            return Ok(());
        }
        Err(format!("its metadata is that of {name} {version}"))
    }

    /// Whether a wheel has this very metadata: what clients resolve with must be what they install.
    fn check_wheel(&self, file: &File, bytes: &Bytes, expected: &[u8]) -> Result<(), String> {
        let found =
            wheel::metadata(Cursor::new(bytes), &file.path, &self.name).map_err(|error| error.to_string())?;
        if found == expected {
            return Ok(());
        }
        Err(format!("the METADATA in {:?} is not the one that is listed", file.path))
    }
}

/// Whether an index can be called so: words of lower case, or a host. `all` is the virtual one over all others.
fn is_index_name(text: &str) -> bool {
    let is_plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"._-".contains(&byte);
    !text.is_empty()
        && text.len() <= 255
        && text != "all"
        && !text.starts_with('.')
        && text.bytes().all(is_plain)
}

fn check_facts(artifact: &Artifact) -> Result<(), String> {
    let facts =
        Facts::of(artifact).map_err(|error| format!("what it says of its files cannot be read: {error}"))?;
    let readable =
        |text: &str| text.len() <= LONGEST_FACT && !text.chars().any(|one| one.is_control() && one != '\n');
    let says = |facts: &FileFacts| {
        let yanked = match &facts.yanked {
            Yanked::Because(why) => Some(why),
            Yanked::Is(_) => None,
        };
        let attested = facts.attested.iter().flat_map(Attested::texts);
        let built =
            facts.built.iter().flat_map(|one| [&one.from, &one.sha256, &one.by].into_iter().chain(&one.with));
        [&facts.requires_python, &facts.upload_time]
            .into_iter()
            .flatten()
            .chain(yanked)
            .chain(attested)
            .chain(built)
            .all(|one| readable(one))
    };
    let status = facts.project_status.as_ref().map(Status::parts);
    let status = status.is_none_or(|(word, why)| readable(word) && why.is_none_or(readable));
    if readable(&facts.name) && facts.files.values().all(says) && status {
        return Ok(());
    }
    Err("it says something of its files that no one can read".to_owned())
}

#[cfg(test)]
mod tests {
    use super::super::wheel::made;
    use super::*;
    use crate::problem::Kind;

    const WHEEL_NAME: &str = "some_project-1.0-py3-none-any.whl";

    /// What became of a release after a change of its record and bytes.
    fn admitted(change: impl FnOnce(&mut Artifact, &mut Vec<Vec<u8>>)) -> Result<(), String> {
        let metadata = made::metadata("some-project", "1.0").into_bytes();
        let mut blobs = vec![
            metadata,
            br#"{"version":1,"attestation_bundles":[]}"#.to_vec(),
            b"sources".to_vec(),
            made::wheel("some-project", "1.0"),
        ];
        let paths = [
            (METADATA, format!("{WHEEL_NAME}.metadata")),
            (PROVENANCE, format!("{WHEEL_NAME}.provenance")),
            (SDIST, "some-project-1.0.tar.gz".to_owned()),
            (WHEEL, WHEEL_NAME.to_owned()),
        ];
        let files = paths.map(|(role, path)| File {
            role: role.to_owned(),
            path,
            blob: BlobKey::of(b""),
            size: 0,
            media_type: String::new(),
            checksums: Vec::new(),
            origin: "https://files.example.test/x".to_owned(),
        });
        let facts = serde_json::json!({
            "name": "Some.Project",
            "files": { WHEEL_NAME: { "requires_python": ">=3.8", "yanked": "broken", "size": 5 } },
            "project_status": "archived",
            "targets": ["from a newer aftk"],
        });
        let mut artifact = Artifact {
            ecosystem: "pypi".to_owned(),
            repository: "pypi".to_owned(),
            name: "some-project".to_owned(),
            version: "1.0".to_owned(),
            qualifier: String::new(),
            schema: SCHEMA.to_owned(),
            attributes: serde_json::from_value(facts).unwrap(),
            files: files.to_vec(),
            requires: Vec::new(),
        };
        change(&mut artifact, &mut blobs);
        for (file, bytes) in artifact.files.iter_mut().zip(&blobs) {
            file.blob = BlobKey::of(bytes);
            file.size = file.size.max(bytes.len() as u64);
        }
        let mut read = |key: &BlobKey| {
            let found = blobs.iter().find(|bytes| BlobKey::of(bytes) == *key);
            Ok(Bytes::from(found.cloned().unwrap()))
        };
        PypiAdmit.admit(&artifact, &mut read).map_err(|problem| {
            assert_eq!(problem.kind, Kind::Untrusted);
            problem.causes.join("; ")
        })
    }

    #[test]
    fn what_collecting_makes_is_admitted() {
        assert_eq!(admitted(|_, _| {}), Ok(()));
        // A large wheel is not looked into, so its bytes may be anything here.
        let large = |artifact: &mut Artifact, blobs: &mut Vec<Vec<u8>>| {
            artifact.files[3].size = LARGEST_LOOK + 1;
            blobs[3] = b"large".to_vec();
        };
        assert_eq!(admitted(large), Ok(()));
    }

    #[test]
    fn hostile_records_are_refused() {
        type Change = fn(&mut Artifact, &mut Vec<Vec<u8>>);
        let cases: &[(&str, Change)] = &[
            ("ecosystem or schema", |artifact, _| artifact.schema = "pypi/2".to_owned()),
            ("repository's name", |artifact, _| artifact.repository = "all".to_owned()),
            ("repository's name", |artifact, _| artifact.repository = "../x".to_owned()),
            ("no qualifier", |artifact, _| artifact.qualifier = "x".to_owned()),
            ("name is no project's", |artifact, _| artifact.name = "Some.Project".to_owned()),
            ("version is none", |artifact, _| artifact.version = "v1.0".to_owned()),
            ("no wheel of this release", |artifact, _| artifact.files[3].path = "../x.whl".to_owned()),
            ("no wheel of this release", |artifact, _| {
                artifact.files[3].path = "other-1.0-py3-none-any.whl".to_owned();
            }),
            ("no wheel of this release", |artifact, _| {
                artifact.files[3].path = "some_project-1.1-py3-none-any.whl".to_owned();
            }),
            ("no wheel of this release", |artifact, _| artifact.files[2].role = WHEEL.to_owned()),
            ("belongs to no file", |artifact, _| artifact.files[0].path = "x.metadata".to_owned()),
            ("belongs to no file", |artifact, _| artifact.files[1].path = WHEEL_NAME.to_owned() + ".x"),
            ("larger than 4 MiB", |artifact, _| artifact.files[0].size = LARGEST_METADATA + 1),
            ("unknown role", |artifact, _| artifact.files[2].role = "egg".to_owned()),
            ("two files of the name", |artifact, _| {
                artifact.files[3] = artifact.files[2].clone();
            }),
            ("origin has credentials", |artifact, _| {
                artifact.files[2].origin = "https://user:word@files.example.test/x".to_owned();
            }),
            ("cannot be read", |artifact, _| {
                artifact.attributes.insert("files".to_owned(), serde_json::json!([]));
            }),
            ("no one can read", |artifact, _| {
                artifact.attributes.insert("name".to_owned(), serde_json::json!("\u{1b}[2J"));
            }),
            ("metadata is that of other 1.0", |_, blobs| {
                blobs[0] = made::metadata("other", "1.0").into_bytes();
            }),
            ("metadata is that of some-project 1.1", |_, blobs| {
                blobs[0] = made::metadata("some-project", "1.1").into_bytes();
            }),
            ("does not say its name", |_, blobs| blobs[0] = b"x".to_vec()),
            ("is not the one that is listed", |_, blobs| blobs[0].push(b'.')),
            ("archive is damaged", |_, blobs| blobs[3] = b"no wheel".to_vec()),
            ("provenance is none", |_, blobs| blobs[1] = b"{}".to_vec()),
        ];
        for (why, change) in cases {
            let outcome = admitted(change);
            assert!(outcome.as_ref().is_err_and(|said| said.contains(why)), "{why}: {outcome:?}");
        }
    }
}
