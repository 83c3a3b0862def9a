//! Which files of which bundles are at hand, however damaged they are.

use std::fs::File;
use std::io::Seek;
use std::path::{Path, PathBuf};

use bundle_format::names::{RECOVERY_ENDING, SPARE_ENDING, VOLUME_ENDING};
use bundle_format::recovery::{RecoveryFile, Subject};
use bundle_format::{BlobKey, FormatError, Head, Verifier, VolumeReader, file_name, spare_name};

use crate::fsx;
use crate::ops::media;
use crate::problem::{Kind, Problem};

/// The most files that are looked for in a directory.
const FILES: usize = 100_000;

/// The files of one bundle.
pub(super) struct Bundle {
    pub(super) head: Head,
    pub(super) key: BlobKey,
    /// Whether the names of its files say which packing they are of.
    named_by_packing: bool,
    pub(super) files: Vec<Found>,
}

/// A file of a bundle.
#[derive(Debug, Clone)]
pub(super) struct Found {
    pub(super) path: PathBuf,
    pub(super) role: Role,
}

/// What a file is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Role {
    /// The volume with this number.
    Volume(u64),
    /// A spare volume, or what lies beside a file; where its packets begin.
    Recovery(Subject, u64),
}

impl Role {
    /// Whether it is the file of recovery for a subject.
    pub(super) fn is(&self, subject: Subject) -> bool {
        matches!(self, Role::Recovery(it, _) if *it == subject)
    }
}

impl Bundle {
    /// How many volumes it has.
    pub(super) fn count(&self) -> u64 {
        self.head.packing().volumes.len() as u64
    }

    fn packing(&self) -> Option<&BlobKey> {
        self.named_by_packing.then_some(&self.key)
    }

    /// The usual name of a volume.
    pub(super) fn volume_name(&self, number: u64) -> String {
        let snapshot = self.head.snapshot();
        file_name(&snapshot.channel, snapshot.sequence, self.packing(), number, self.count())
    }

    /// The usual name of a spare volume.
    pub(super) fn spare_name(&self, number: u64) -> String {
        let snapshot = self.head.snapshot();
        spare_name(&snapshot.channel, snapshot.sequence, self.packing(), number, self.spares())
    }

    /// How many spare volumes were made.
    pub(super) fn spares(&self) -> u64 {
        self.head.packing().recovery.map_or(0, |recovery| recovery.spares())
    }

    /// The number of a volume by its name, or by what it has in common with the file that mends it.
    fn number_of(&self, path: &Path) -> Option<u64> {
        let (snapshot, name) = (self.head.snapshot(), name_of(path));
        let mut numbers = 1..=self.count();
        let by_name = numbers.find(|number| {
            [None, Some(&self.key)].into_iter().any(|packing| {
                file_name(&snapshot.channel, snapshot.sequence, packing, *number, self.count()) == name
            })
        });
        let by_what_lies_beside = || {
            let beside = media::recovery_of(path)?;
            self.files.iter().find_map(|found| match found.role {
                Role::Recovery(Subject::Recovery { number }, _) if found.path == beside => {
                    Some(number).filter(|number| *number <= self.count())
                }
                _ => None,
            })
        };
        by_name.or_else(by_what_lies_beside)
    }

    /// Whether a file that is called so has the packing in its name.
    fn is_named_by_packing(&self, name: &str) -> bool {
        name.contains(&format!("-{}-", self.key.hex().chars().take(8).collect::<String>()))
    }
}

/// A file that nothing is known of, and why.
pub(super) type Unknown = (PathBuf, Problem);

/// What a file says of itself.
enum Said {
    Role(Box<Head>, Role),
    /// Its head is sound, but not what says which volume it is.
    Some(Box<Head>),
    Nothing(Box<FormatError>),
}

/// The files that paths stand for, by their bundles, and those of which nobody can say what they are. In `out` may be what an
/// earlier repair left.
///
/// # Errors
/// Usage (2), if a path is not there or has nothing of a bundle.
pub(super) fn find(
    paths: &[PathBuf],
    out: Option<&Path>,
    verifier: &dyn Verifier,
) -> Result<(Vec<Bundle>, Vec<Unknown>), Problem> {
    let mut bundles: Vec<Bundle> = Vec::new();
    let (mut unknown, mut unnamed) = (Vec::new(), Vec::new());
    for path in files(paths)? {
        let said = match fsx::open_regular(&path) {
            Ok(file) => ask(&file, &path, verifier),
            Err(error) => {
                unnamed.push((path.clone(), unreadable(&path, &error)));
                continue;
            }
        };
        let (head, role) = match said {
            Said::Role(head, role) => (head, Some(role)),
            Said::Some(head) => (head, None),
            Said::Nothing(error) => {
                let problem = media::problem(*error, &path);
                unknown.push((path, problem));
                continue;
            }
        };
        let key = head.packing_key();
        if bundles.iter().all(|bundle| bundle.key != key) {
            bundles.push(Bundle { head: *head, key, named_by_packing: false, files: Vec::new() });
        }
        let Some(bundle) = bundles.iter_mut().find(|bundle| bundle.key == key) else { continue };
        bundle.named_by_packing |= bundle.is_named_by_packing(&name_of(&path));
        match role {
            Some(role) => bundle.files.push(Found { path, role }),
            None => unknown.push((path.clone(), nameless(&path))),
        }
    }
    let names: Vec<String> = out
        .and_then(|out| std::fs::read_dir(out).ok())
        .into_iter()
        .flatten()
        .take(FILES)
        .filter_map(|entry| Some(entry.ok()?.file_name().to_string_lossy().into_owned()))
        .collect();
    for bundle in &mut bundles {
        bundle.named_by_packing |= names.iter().any(|name| bundle.is_named_by_packing(name));
    }
    // What is damaged where it says what it is, is known by what it is called, and by others of its bundle.
    for (path, problem) in unknown {
        let called = bundles.iter_mut().find_map(|bundle| Some((bundle.number_of(&path)?, bundle)));
        match called {
            Some((number, bundle)) => bundle.files.push(Found { path, role: Role::Volume(number) }),
            None => unnamed.push((path, problem)),
        }
    }
    Ok((bundles, unnamed))
}

fn nameless(path: &Path) -> Problem {
    let message = "the part of the file is damaged that says which volume of its bundle it is";
    Problem::new(Kind::Incomplete, "repair.nameless", message)
        .at(path.display())
        .hint("give it the name back that it had when it was made, such as prod-000001-02of03.aftk.tar")
}

fn name_of(path: &Path) -> String {
    path.file_name().unwrap_or_default().to_string_lossy().into_owned()
}

/// Asks a file what it is.
fn ask(file: &File, path: &Path, verifier: &dyn Verifier) -> Said {
    let name = name_of(path);
    if !(name.ends_with(RECOVERY_ENDING) || name.ends_with(SPARE_ENDING)) {
        match VolumeReader::open(file, verifier) {
            Ok(volume) => {
                let number = volume.volume_number();
                return Said::Role(Box::new(volume.head().clone()), Role::Volume(number));
            }
            // It is one of recovery under another name.
            Err(error) if error.code() == "bundle.recovery" => {}
            Err(error) => {
                let mut again = file;
                return match again.rewind().map(|()| Head::read(again, verifier)) {
                    Ok(Ok(head)) => Said::Some(Box::new(head)),
                    _ => Said::Nothing(Box::new(error)),
                };
            }
        }
    }
    let size = file.metadata().map_or(0, |metadata| metadata.len());
    match RecoveryFile::open(file, size, verifier) {
        Ok(read) => Said::Role(Box::new(read.head), Role::Recovery(read.subject, read.start)),
        Err(error) => Said::Nothing(Box::new(error)),
    }
}

/// The files that paths stand for: a file is itself, a directory all in it that is called like a part of a bundle.
fn files(paths: &[PathBuf]) -> Result<Vec<PathBuf>, Problem> {
    let mut files = Vec::new();
    for path in paths {
        let metadata = std::fs::symlink_metadata(path).map_err(|error| unreadable(path, &error))?;
        if !metadata.is_dir() {
            files.push(path.clone());
            // What mends a file lies beside it.
            files.extend(media::recovery_of(path).filter(|beside| !paths.contains(beside)));
            continue;
        }
        let mut found = Vec::new();
        for entry in std::fs::read_dir(path).map_err(|error| unreadable(path, &error))?.take(FILES) {
            let entry = entry.map_err(|error| unreadable(path, &error))?;
            let name = entry.file_name().to_string_lossy().into_owned();
            let is_ours =
                [VOLUME_ENDING, SPARE_ENDING, RECOVERY_ENDING].iter().any(|ending| name.ends_with(ending));
            if is_ours && entry.file_type().is_ok_and(|kind| kind.is_file()) {
                found.push(entry.path());
            }
        }
        if found.is_empty() {
            let message = format!("nothing of a bundle is in {}", path.display());
            return Err(Problem::new(Kind::Usage, "media.empty", message)
                .hint(format!("names end in {VOLUME_ENDING}, {SPARE_ENDING} or {RECOVERY_ENDING}")));
        }
        found.sort();
        files.extend(found);
    }
    Ok(files)
}

fn unreadable(path: &Path, error: &std::io::Error) -> Problem {
    Problem::new(Kind::Usage, "media.unreadable", format!("cannot read {}", path.display())).caused_by(error)
}
