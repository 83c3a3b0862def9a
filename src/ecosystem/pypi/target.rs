//! Targets: the Python and the machine that packages are wanted for.
//!
//! Markers and tags are answered from here alone, never from the machine that collects.

use std::ops::RangeBounds;

use super::file_name::Wheel;
use super::marker::Environment;
use super::specifier::Specifiers;
use super::tags::{Implementation, Interpreter, LEGACY, Platform, Tags};
use super::unreadable::Unreadable;
use super::version::Version;

/// What packages are wanted for.
#[derive(Debug, Clone)]
pub(crate) struct Target {
    /// Its name, which also says what it is: `cp312-manylinux_2_28_x86_64`.
    pub(crate) name: String,
    /// The full version of its Python.
    pub(crate) python: Version,
    /// What it is.
    pub(crate) interpreter: Interpreter,
    /// What its machine runs.
    pub(crate) platform: Platform,
    /// What markers are told.
    pub(crate) environment: Environment,
    /// Some later release of the same series, where nobody says which one it is.
    later: Option<Version>,
    tags: Tags,
}

/// What `linux-x86_64` means where nobody says how old the system may be: RHEL 8, Debian 10, Ubuntu 20.04, and uv's choice.
const USUAL_GLIBC: (u64, u64) = (2, 28);
/// The same of musl: Alpine 3.13.
const USUAL_MUSL: (u64, u64) = (1, 2);
/// The same of macOS.
const USUAL_MACOS: (u64, u64) = (14, 0);
/// The number of a release that no series of Python comes to.
const LATER: u64 = 99;

impl Target {
    /// Reads a Python and a platform in one: `cp312-manylinux_2_28_x86_64`, `3.12.4-linux-x86_64`.
    ///
    /// # Errors
    /// As [`Target::new`].
    pub(crate) fn parse(text: &str) -> Result<Target, Unreadable> {
        let (python, platform) = text.split_once('-').ok_or_else(|| {
            Unreadable::new(text, "target", "write it as cp312-manylinux_2_28_x86_64 or 3.12-linux-x86_64")
        })?;
        Target::new(python, platform)
    }

    /// Reads a Python (`3.12`, `3.12.4`, `cp312`, `cp313t`, `pp310`) and a platform: a platform tag of wheels, or a short name
    /// as others have it (`linux-x86_64`, `linux/arm64`, `windows-amd64`, `macos-arm64`, `linux-x64-musl`).
    ///
    /// Without a third number, Python is taken to be the first release of its series.
    ///
    /// # Errors
    /// If either is none that is known.
    pub(crate) fn new(python: &str, platform: &str) -> Result<Target, Unreadable> {
        let (interpreter, patch) = read_python(python).ok_or_else(|| {
            Unreadable::new(
                python,
                "Python",
                "write it as 3.12, 3.12.4, cp312, cp313t (without the global lock) or pp310",
            )
        })?;
        let platform = read_platform(platform).ok_or_else(|| {
            let examples = "write it as manylinux_2_28_x86_64, musllinux_1_2_aarch64, macosx_14_0_arm64, win_amd64, or \
                            linux-x86_64";
            Unreadable::new(platform, "platform of Python's", examples)
        })?;
        let series = format!("{}.{}", interpreter.major, interpreter.minor);
        let full = format!("{series}.{patch}");
        let version =
            Version::parse(&full).ok_or_else(|| Unreadable::new(python, "Python", "it is no version"))?;
        let free = if interpreter.is_free_threaded { "t" } else { "" };
        let mut name = format!("{}{free}-{}", interpreter.tag(), platform.tag());
        if patch > 0 {
            name = format!("{full}{free}-{}", platform.tag());
        }
        Ok(Target {
            name,
            python: version,
            later: (patch == 0).then(|| Version::parse(&format!("{series}.{LATER}"))).flatten(),
            environment: environment(interpreter, &platform, series, full),
            tags: Tags::of(interpreter, &platform),
            interpreter,
            platform,
        })
    }

    /// Whether its Python is among those that something works with.
    ///
    /// Where it is only said to be of a series, single releases of that which are excluded do not count: they were broken, and
    /// nobody has them.
    pub(crate) fn has_python(&self, pythons: &Specifiers) -> bool {
        let spans = || {
            pythons
                .ranges()
                .bounding_range()
                .is_some_and(|span| RangeBounds::<Version>::contains(&span, &self.python))
        };
        pythons.contains(&self.python)
            || self.later.as_ref().is_some_and(|later| pythons.contains(later)) && spans()
    }

    /// How early it takes a wheel; `None`, if it does not. The least is the best.
    pub(crate) fn rank(&self, wheel: &Wheel) -> Option<(usize, usize)> {
        wheel.tags().filter_map(|(python, abi, platform)| self.tags.rank(python, abi, platform)).min()
    }
}

fn read_python(text: &str) -> Option<(Interpreter, u64)> {
    let text = text.to_ascii_lowercase();
    let (implementation, numbers) = match (text.strip_prefix("cp"), text.strip_prefix("pp")) {
        (_, Some(rest)) => (Implementation::PyPy, rest),
        (Some(rest), _) => (Implementation::CPython, rest),
        _ => (Implementation::CPython, text.as_str()),
    };
    let (numbers, is_free_threaded) = match numbers.strip_suffix('t') {
        Some(numbers) if implementation == Implementation::CPython => (numbers, true),
        _ => (numbers, false),
    };
    let number = |text: &str| text.parse::<u16>().ok().map(u64::from);
    let (major, minor, patch) = match numbers.split_once('.') {
        Some((major, rest)) => match rest.split_once('.') {
            Some((minor, patch)) => (number(major)?, number(minor)?, number(patch)?),
            None => (number(major)?, number(rest)?, 0),
        },
        // Tags write no dot: the first digit is the first number.
        None => (number(numbers.get(..1)?)?, number(numbers.get(1..)?)?, 0),
    };
    let known = major == 3 && minor < 100 || (major, minor) == (2, 7);
    known.then_some((Interpreter { implementation, major, minor, is_free_threaded }, patch))
}

fn read_platform(text: &str) -> Option<Platform> {
    read_tag(text).or_else(|| read_short(text))
}

/// A platform tag of wheels.
fn read_tag(text: &str) -> Option<Platform> {
    for (minor, legacy) in LEGACY {
        if let Some(machine) = text.strip_prefix(legacy).and_then(|rest| rest.strip_prefix('_')) {
            return Some(Platform::Manylinux {
                major: 2,
                minor,
                machine: linux_machine(machine)?.to_owned(),
            });
        }
    }
    let version = |rest: &str| {
        let (major, rest) = rest.split_once('_')?;
        let (minor, machine) = rest.split_once('_')?;
        Some((
            u64::from(major.parse::<u16>().ok()?),
            u64::from(minor.parse::<u16>().ok()?),
            machine.to_owned(),
        ))
    };
    if let Some(rest) = text.strip_prefix("manylinux_") {
        let (major, minor, machine) = version(rest)?;
        let machine = linux_machine(&machine)?.to_owned();
        return (major == 2).then_some(Platform::Manylinux { major, minor, machine });
    }
    if let Some(rest) = text.strip_prefix("musllinux_") {
        let (major, minor, machine) = version(rest)?;
        return Some(Platform::Musllinux { major, minor, machine: linux_machine(&machine)?.to_owned() });
    }
    if let Some(rest) = text.strip_prefix("macosx_") {
        let (major, minor, machine) = version(rest)?;
        let is_known = matches!((machine.as_str(), major), ("x86_64", 10..) | ("arm64", 11..));
        return is_known.then_some(Platform::Macos { major, minor, machine });
    }
    match text {
        "win_amd64" => Some(Platform::Windows("win_amd64")),
        "win32" => Some(Platform::Windows("win32")),
        "win_arm64" => Some(Platform::Windows("win_arm64")),
        _ => read_short(text.strip_prefix("linux_").map(|machine| format!("linux-{machine}"))?.as_str()),
    }
}

/// A name that says system and processor, and perhaps the C library.
fn read_short(text: &str) -> Option<Platform> {
    let mut words = text.splitn(3, ['-', '/']);
    let (system, processor, library) = (words.next()?, words.next()?, words.next());
    match (system, library) {
        ("linux", None | Some("glibc" | "gnu" | "v6" | "v7" | "v8")) => {
            let (major, minor) = USUAL_GLIBC;
            Some(Platform::Manylinux { major, minor, machine: linux_machine(processor)?.to_owned() })
        }
        ("linux", Some("musl")) => {
            let (major, minor) = USUAL_MUSL;
            Some(Platform::Musllinux { major, minor, machine: linux_machine(processor)?.to_owned() })
        }
        ("macos" | "darwin", None) => {
            let machine = match linux_machine(processor)? {
                "aarch64" => "arm64",
                "x86_64" => "x86_64",
                _ => return None,
            };
            let (major, minor) = USUAL_MACOS;
            Some(Platform::Macos { major, minor, machine: machine.to_owned() })
        }
        ("windows" | "win32", None) => match linux_machine(processor)? {
            "x86_64" => Some(Platform::Windows("win_amd64")),
            "aarch64" => Some(Platform::Windows("win_arm64")),
            "i686" => Some(Platform::Windows("win32")),
            _ => None,
        },
        _ => None,
    }
}

/// A processor as Linux calls it, from whatever others call it.
fn linux_machine(text: &str) -> Option<&'static str> {
    Some(match text {
        "x86_64" | "amd64" | "x64" => "x86_64",
        "aarch64" | "arm64" => "aarch64",
        "i686" | "386" | "i386" | "ia32" | "x86" => "i686",
        "armv7l" | "arm" => "armv7l",
        "ppc64le" => "ppc64le",
        "s390x" => "s390x",
        "riscv64" => "riscv64",
        "loongarch64" | "loong64" => "loongarch64",
        _ => return None,
    })
}

fn environment(interpreter: Interpreter, platform: &Platform, series: String, full: String) -> Environment {
    let (os_name, sys_platform, system, machine) = match platform {
        Platform::Manylinux { machine, .. } | Platform::Musllinux { machine, .. } => {
            ("posix", "linux", "Linux", machine.as_str())
        }
        Platform::Macos { machine, .. } => ("posix", "darwin", "Darwin", machine.as_str()),
        Platform::Windows(tag) => {
            let machine = match *tag {
                "win_amd64" => "AMD64",
                "win_arm64" => "ARM64",
                _ => "x86",
            };
            ("nt", "win32", "Windows", machine)
        }
    };
    let (name, implementation, version) = match interpreter.implementation {
        Implementation::CPython => ("cpython", "CPython", full.clone()),
        // PyPy's own version is not that of its language.
        Implementation::PyPy => ("pypy", "PyPy", "7.3.0".to_owned()),
    };
    Environment {
        os_name: os_name.to_owned(),
        sys_platform: sys_platform.to_owned(),
        platform_machine: machine.to_owned(),
        platform_python_implementation: implementation.to_owned(),
        // Nobody can know the kernel that will run there.
        platform_release: String::new(),
        platform_version: String::new(),
        platform_system: system.to_owned(),
        python_version: series,
        python_full_version: full,
        implementation_name: name.to_owned(),
        implementation_version: version,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ecosystem::pypi::file_name::{FileName, Kind};
    use crate::ecosystem::pypi::marker::{Chosen, Marker};

    fn takes(target: &str, wheel: &str) -> bool {
        let (_, name) = FileName::with_project(wheel).unwrap();
        let Kind::Wheel(wheel) = name.kind else { panic!("{wheel} is a wheel") };
        Target::parse(target).unwrap().rank(&wheel).is_some()
    }

    #[test]
    fn targets_are_named_in_many_ways() {
        for (text, name) in [
            ("cp312-manylinux_2_28_x86_64", "cp312-manylinux_2_28_x86_64"),
            ("3.12-linux-x86_64", "cp312-manylinux_2_28_x86_64"),
            ("cp312-linux/amd64", "cp312-manylinux_2_28_x86_64"),
            ("cp312-linux-x64-glibc", "cp312-manylinux_2_28_x86_64"),
            ("cp312-linux_x86_64", "cp312-manylinux_2_28_x86_64"),
            ("cp39-manylinux2014_aarch64", "cp39-manylinux_2_17_aarch64"),
            ("3.12.4-linux/arm64", "3.12.4-manylinux_2_28_aarch64"),
            ("cp313t-linux-x64-musl", "cp313t-musllinux_1_2_x86_64"),
            ("pp310-linux/arm/v7", "pp310-manylinux_2_28_armv7l"),
            ("3.11-darwin-arm64", "cp311-macosx_14_0_arm64"),
            ("3.11-macosx_10_9_x86_64", "cp311-macosx_10_9_x86_64"),
            ("3.11-windows/amd64", "cp311-win_amd64"),
            ("3.11-win32", "cp311-win32"),
            ("3.11-win32-x64", "cp311-win_amd64"),
        ] {
            let target = Target::parse(text).unwrap();
            assert_eq!(target.name, name, "{text}");
            assert_eq!(Target::parse(name).unwrap().name, name);
        }
        for bad in [
            "",
            "cp312",
            "cp312-",
            "3-linux-x86_64",
            "4.0-linux-x86_64",
            "cp3-linux-x86_64",
            "jy27-linux-x86_64",
            "cp312-linux-z80",
            "cp312-plan9-x86_64",
            "cp312-manylinux_2_x86_64",
            "cp312-manylinux_3_1_x86_64",
            "cp312-macosx_10_9_arm64",
            "3.12.1.2-win32",
            "cp312-linux-x64-uclibc",
            "cp31é-win32",
            "cp312-manylinux_2_99999999_x86_64",
        ] {
            assert!(Target::parse(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn markers_are_told_of_the_target_and_not_of_this_machine() {
        for (target, marker) in [
            ("cp38-win_amd64", "sys_platform == 'win32' and os_name == 'nt' and platform_machine == 'AMD64'"),
            ("cp38-win32", "platform_machine == 'x86' and platform_system == 'Windows'"),
            ("cp312-macosx_14_0_arm64", "sys_platform == 'darwin' and platform_machine == 'arm64'"),
            ("3.12.4-linux-aarch64", "python_full_version == '3.12.4' and platform_machine == 'aarch64'"),
            (
                "cp312-linux-x86_64",
                "python_version == '3.12' and platform_python_implementation == 'CPython'",
            ),
            ("pp310-linux-x86_64", "implementation_name == 'pypy' and python_version == '3.10'"),
        ] {
            let target = Target::parse(target).unwrap();
            assert!(Marker::parse(marker).unwrap().holds(&target.environment, Chosen::default()), "{marker}");
        }
    }

    #[test]
    fn a_series_is_not_its_first_release() {
        for (target, pythons, has) in [
            ("cp39-linux-x86_64", ">=3.8,!=3.9.0,!=3.9.1", true),
            ("cp39-linux-x86_64", "!=3.9.0", true),
            ("cp39-linux-x86_64", ">=3.9.2", false),
            ("cp39-linux-x86_64", "!=3.9.*", false),
            ("cp39-linux-x86_64", "<3.9", false),
            ("cp39-linux-x86_64", "==3.9.0", true),
            ("3.9.1-linux-x86_64", ">=3.8,!=3.9.1", false),
        ] {
            let pythons = Specifiers::parse(pythons).unwrap();
            assert_eq!(Target::parse(target).unwrap().has_python(&pythons), has, "{target} {pythons}");
        }
    }

    #[test]
    fn a_wheel_with_many_tags_fits_by_one() {
        let three_ways =
            "p-5-cp311-cp311-manylinux_2_17_x86_64.manylinux2014_x86_64.manylinux_2_28_x86_64.whl";
        assert!(takes("cp311-manylinux2014_x86_64", three_ways));
        assert!(!takes("cp311-manylinux2010_x86_64", three_ways));
        assert!(!takes("cp311-linux-aarch64", three_ways));
        assert!(takes("cp312-win_amd64", "p-5-py2.py3-none-any.whl"));
        assert!(takes("cp312-win_amd64", "p-5-cp36.cp37-abi3-win_amd64.win32.whl"));
    }
}
