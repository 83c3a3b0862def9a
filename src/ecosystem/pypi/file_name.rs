//! The file names of wheels (PEP 427) and source distributions (PEP 625, and what came before it).

use super::name::Name;
use super::version::Version;

/// The longest file name that is read, in bytes: what file systems allow.
const LONGEST: usize = 255;
/// How source distributions end that installers unpack. Some are older than rules.
const SDIST_ENDS: [&str; 8] = [".tar.gz", ".zip", ".tgz", ".tar.bz2", ".tbz", ".tar.xz", ".txz", ".tar"];

/// What a file name says of a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct FileName {
    /// The version that it is of.
    pub(crate) version: Version,
    /// What it is.
    pub(crate) kind: Kind,
}

/// The kinds of files that install a project.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Kind {
    /// A wheel.
    Wheel(Wheel),
    /// A source distribution.
    Sdist,
}

/// What a wheel is for: every combination of the three lists.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Wheel {
    /// The build number, to choose among wheels that fit alike: digits, and what stands behind them.
    pub(crate) build: Option<(u64, Box<str>)>,
    /// The three sets of tags, each joined with `.`: Pythons, ABIs, platforms.
    tags: Box<str>,
}

impl FileName {
    /// Reads the name of a file that an index lists for a project. `None`, if it is neither a wheel nor a source distribution
    /// (indexes list eggs and installers, too), or is of another project.
    pub(crate) fn parse(text: &str, project: &Name) -> Option<FileName> {
        if text.len() > LONGEST || text.contains(['/', '\\']) || text.contains(char::is_control) {
            return None;
        }
        if let Some(stem) = text.strip_suffix(".whl") {
            return wheel(stem, project);
        }
        let stem = SDIST_ENDS.iter().find_map(|end| text.strip_suffix(end))?;
        // Neither name nor version is sure to have no `-`, but the project is known.
        let version = stem.match_indices('-').find_map(|(at, _)| {
            let (name, version) = stem.split_at(at);
            (Name::parse(name).ok()? == *project).then(|| Version::parse(version.get(1..)?)).flatten()
        })?;
        Some(FileName { version, kind: Kind::Sdist })
    }

    /// Reads the name of a wheel or source distribution of any project, such as one that an address ends in.
    pub(crate) fn with_project(text: &str) -> Option<(Name, FileName)> {
        let project = if text.ends_with(".whl") {
            Name::parse(text.split('-').next()?).ok()?
        } else {
            let stem = SDIST_ENDS.iter().find_map(|end| text.strip_suffix(end))?;
            Name::parse(stem.rsplit_once('-')?.0).ok()?
        };
        let name = FileName::parse(text, &project)?;
        Some((project, name))
    }
}

fn wheel(stem: &str, project: &Name) -> Option<FileName> {
    let parts: Vec<&str> = stem.split('-').collect();
    let (name, version, build, tags) = match parts.as_slice() {
        [name, version, python, abi, platform] => (name, version, None, [python, abi, platform]),
        [name, version, build, python, abi, platform] => {
            (name, version, Some(read_build(build)?), [python, abi, platform])
        }
        _ => return None,
    };
    if Name::parse(name).ok()? != *project || tags.iter().any(|tag| tag.is_empty()) {
        return None;
    }
    let version = Version::parse(version)?;
    let [python, abi, platform] = tags;
    let tags = format!("{python}-{abi}-{platform}").to_ascii_lowercase().into();
    Some(FileName { version, kind: Kind::Wheel(Wheel { build, tags }) })
}

fn read_build(text: &str) -> Option<(u64, Box<str>)> {
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let (number, rest) = text.split_at(digits);
    Some((number.parse().ok()?, rest.into()))
}

impl Wheel {
    /// Its combinations of tags: Python, ABI and platform.
    pub(crate) fn tags(&self) -> impl Iterator<Item = (&str, &str, &str)> {
        let mut sets = self.tags.split('-');
        let [pythons, abis, platforms] = [(); 3].map(|()| sets.next().unwrap_or_default());
        pythons.split('.').flat_map(move |python| {
            let of_python = move |abi| platforms.split('.').map(move |platform| (python, abi, platform));
            abis.split('.').flat_map(of_python)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(project: &str, text: &str) -> Option<FileName> {
        FileName::parse(text, &Name::parse(project).unwrap())
    }

    #[test]
    fn wheels_say_what_they_are_for() {
        let name = read(
            "some-project",
            "Some_Project-1.0-2x-cp310.cp311-abi3-manylinux_2_17_x86_64.manylinux2014_x86_64.whl",
        );
        let Some(FileName { version, kind: Kind::Wheel(wheel) }) = name else { panic!("it is a wheel") };
        assert_eq!(version.to_string(), "1.0");
        assert_eq!(wheel.build, Some((2, "x".into())));
        assert_eq!(wheel.tags().count(), 4);
        assert_eq!(wheel.tags().last(), Some(("cp311", "abi3", "manylinux2014_x86_64")));
        let dotted = read("some-project", "some.project-1.0+cu124-py3-none-any.whl").unwrap();
        assert_eq!(dotted.version.to_string(), "1.0+cu124");
    }

    #[test]
    fn source_distributions_are_read_with_their_project_in_hand() {
        for (project, text, version) in [
            ("a-b", "a_b-1.0.tar.gz", "1.0"),
            ("a-b", "a-b-1.0.zip", "1.0"),
            ("a-b", "A.B-1.0-1.tar.bz2", "1.0.post1"),
            ("a-2", "a-2-3.tgz", "3"),
            ("a", "a-1.0-beta-2.tar.gz", "1.0b2"),
        ] {
            let name = read(project, text).unwrap();
            assert_eq!((name.version.to_string().as_str(), name.kind), (version, Kind::Sdist), "{text}");
        }
        let (project, name) = FileName::with_project("a-b-1.0.tar.gz").unwrap();
        assert_eq!((project.as_str(), name.version.to_string().as_str()), ("a-b", "1.0"));
        assert_eq!(FileName::with_project("A_b-1-py3-none-any.whl").unwrap().0.as_str(), "a-b");
    }

    #[test]
    fn other_files_are_none() {
        for text in [
            "a-1.0-py2.7.egg",
            "a-1.0.win32.exe",
            "a-1.0.msi",
            "a-1.0.rpm",
            "b-1.0.tar.gz",
            "a-1.0-py3-none.whl",
            "a-1.0-x-py3-none-any.whl",
            "a-x-py3-none-any.whl",
            "b-1.0-py3-none-any.whl",
            "a-1.0--none-any.whl",
            "../a-1.0.tar.gz",
            "a-1.0.tar.gz\n",
            "a-.tar.gz",
            "a.tar.gz",
            "",
            ".whl",
        ] {
            assert_eq!(read("a", text), None, "{text:?}");
        }
    }
}
