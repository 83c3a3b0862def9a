//! What an index lists of a project, and which of it a target can install.

use std::collections::BTreeMap;

use super::file_name::{FileName, Kind};
use super::name::Name;
use super::specifier::Specifiers;
use super::target::Target;
use super::version::Version;

/// A file that an index lists.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct File {
    /// Its name, as the index spells it.
    pub(crate) name: String,
    /// What its name says.
    pub(crate) parsed: FileName,
    /// The Pythons that it works with. What cannot be read limits nothing, as with pip.
    pub(crate) requires_python: Option<Specifiers>,
    /// Whether it was taken back (PEP 592).
    pub(crate) is_yanked: bool,
}

/// A version of a project, with all its files.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Release {
    /// The version, as its first file spells it.
    pub(crate) version: Version,
    /// Its files, in the order of the index.
    pub(crate) files: Vec<File>,
}

/// Which kinds of files may be used of a project.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Formats {
    /// Wheels, else source distributions.
    Both,
    /// `--only-binary`.
    Wheels,
    /// `--no-binary`.
    Sdists,
}

/// Why a target can install nothing of a release.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Unusable {
    /// No file works with the target's Python.
    Python,
    /// There are wheels, but for other targets, and no source distribution that may be used.
    Wheels,
    /// There is nothing of the formats that may be used.
    Formats,
}

impl File {
    /// Reads a line of an index: `None`, if it is no file that installs this project.
    pub(crate) fn read(
        project: &Name,
        name: &str,
        requires_python: Option<&str>,
        is_yanked: bool,
    ) -> Option<File> {
        let parsed = FileName::parse(name, project)?;
        let requires_python = requires_python.and_then(|text| Specifiers::parse(text).ok());
        Some(File { name: name.to_owned(), parsed, requires_python, is_yanked })
    }
}

/// The releases that files make, oldest first.
pub(crate) fn releases(files: impl IntoIterator<Item = File>) -> Vec<Release> {
    let mut releases: BTreeMap<Version, Vec<File>> = BTreeMap::new();
    for file in files {
        releases.entry(file.parsed.version.clone()).or_default().push(file);
    }
    releases.into_iter().map(|(version, files)| Release { version, files }).collect()
}

impl Release {
    /// The file that a target installs: its best wheel, else a source distribution. One that was not yanked comes before one
    /// that was.
    ///
    /// # Errors
    /// Why there is none.
    pub(crate) fn best(&self, target: &Target, formats: Formats) -> Result<&File, Unusable> {
        let works =
            |file: &&File| file.requires_python.as_ref().is_none_or(|pythons| target.has_python(pythons));
        let allowed = |file: &&File| match file.parsed.kind {
            Kind::Wheel(_) => formats != Formats::Sdists,
            Kind::Sdist => formats != Formats::Wheels,
        };
        if !self.files.iter().any(|file| allowed(&file)) {
            return Err(if self.files.iter().any(|file| works(&file)) {
                Unusable::Formats
            } else {
                Unusable::Python
            });
        }
        let mut files = self.files.iter().filter(allowed).filter(works).peekable();
        if files.peek().is_none() {
            return Err(Unusable::Python);
        }
        let ranked = files.filter_map(|file| {
            let rank = match &file.parsed.kind {
                Kind::Wheel(wheel) => (target.rank(wheel)?, std::cmp::Reverse(wheel.build.clone())),
                Kind::Sdist => ((usize::MAX, usize::MAX), std::cmp::Reverse(None)),
            };
            Some(((file.is_yanked, rank), file))
        });
        ranked.min_by(|(one, _), (other, _)| one.cmp(other)).map(|(_, file)| file).ok_or(Unusable::Wheels)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn release(files: &[(&str, Option<&str>, bool)]) -> Release {
        let project = Name::parse("p").unwrap();
        let files =
            files.iter().filter_map(|(name, python, yanked)| File::read(&project, name, *python, *yanked));
        let mut releases = releases(files);
        assert_eq!(releases.len(), 1);
        releases.remove(0)
    }

    #[test]
    fn the_best_file_is_the_nearest_wheel() {
        let release = release(&[
            ("p-1.0.tar.gz", None, false),
            ("p-1-py3-none-any.whl", None, false),
            ("p-1.0-cp312-cp312-manylinux_2_17_x86_64.whl", Some(">=3.12"), false),
            ("p-1.0-1-cp312-cp312-manylinux_2_17_x86_64.whl", None, false),
            ("p-1.0-2-cp312-cp312-manylinux_2_17_x86_64.whl", None, true),
            ("p-1.0-cp312-cp312-manylinux_2_99_x86_64.whl", None, false),
            ("p-1.0-py3.egg", None, false),
        ]);
        let best = |target: &str, formats| {
            release.best(&Target::parse(target).unwrap(), formats).map(|file| file.name.as_str())
        };
        assert_eq!(
            best("cp312-linux-x86_64", Formats::Both),
            Ok("p-1.0-1-cp312-cp312-manylinux_2_17_x86_64.whl")
        );
        assert_eq!(best("cp312-linux-aarch64", Formats::Wheels), Ok("p-1-py3-none-any.whl"));
        assert_eq!(best("cp312-linux-aarch64", Formats::Sdists), Ok("p-1.0.tar.gz"));
        assert_eq!(best("cp27-linux-aarch64", Formats::Both), Ok("p-1.0.tar.gz"));
        assert_eq!(best("cp27-linux-aarch64", Formats::Wheels), Err(Unusable::Wheels));
    }

    #[test]
    fn it_is_said_why_nothing_fits() {
        let target = Target::parse("cp312-linux-x86_64").unwrap();
        for (files, why) in [
            (&[("p-1-py3-none-any.whl", Some(">=3.13"), false)][..], Unusable::Python),
            (&[("p-1-cp311-cp311-win_amd64.whl", None, false)], Unusable::Wheels),
            (
                &[("p-1.tar.gz", Some("<3"), false), ("p-1-cp311-cp311-win_amd64.whl", None, false)],
                Unusable::Wheels,
            ),
        ] {
            assert_eq!(release(files).best(&target, Formats::Both).map(|file| &file.name), Err(why));
        }
        let sdist = release(&[("p-1.tar.gz", Some("strange"), false)]);
        assert!(sdist.best(&target, Formats::Both).is_ok());
        assert_eq!(sdist.best(&target, Formats::Wheels).map(|file| &file.name), Err(Unusable::Formats));
    }
}
