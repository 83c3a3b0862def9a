//! Which wheels a target takes, and which of them first: the tags of PEP 425, in the order that installers have them.

use std::collections::HashMap;

/// What a target's interpreter is: which Python, which build of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Interpreter {
    /// Which Python.
    pub(crate) implementation: Implementation,
    /// The first number of its version: 3.
    pub(crate) major: u64,
    /// The second.
    pub(crate) minor: u64,
    /// Whether it was built without the global lock (PEP 703), which changes its ABI.
    pub(crate) is_free_threaded: bool,
}

/// The Pythons whose tags are known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Implementation {
    CPython,
    PyPy,
}

/// What a target's machine runs, as the newest platform tag that it takes says it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Platform {
    /// Linux with glibc of that version.
    Manylinux { major: u64, minor: u64, machine: String },
    /// Linux with musl of that version.
    Musllinux { major: u64, minor: u64, machine: String },
    /// macOS from that version.
    Macos { major: u64, minor: u64, machine: String },
    /// Windows, by its tag: `win_amd64`.
    Windows(&'static str),
}

/// The most tags of platforms that one target may have: versions come from outside.
const MOST_MINORS: u64 = 200;

/// The tags that a target takes.
#[derive(Debug, Clone)]
pub(crate) struct Tags {
    /// By Python: which ABIs it takes with a platform, each with its rank.
    native: HashMap<String, Vec<(String, usize)>>,
    /// By Python: the rank of `PYTHON-none-any`.
    pure: HashMap<String, usize>,
    /// By platform: its rank.
    platforms: HashMap<String, usize>,
}

impl Tags {
    /// The tags that an interpreter takes on a platform.
    pub(crate) fn of(interpreter: Interpreter, platform: &Platform) -> Tags {
        let mut tags = Tags { native: HashMap::new(), pure: HashMap::new(), platforms: HashMap::new() };
        for (rank, platform) in platform.tags().into_iter().enumerate() {
            tags.platforms.entry(platform).or_insert(rank);
        }
        let mut rank = 0..;
        let mut next = || rank.next().unwrap_or(usize::MAX);
        for (python, abi) in interpreter.native() {
            tags.native.entry(python).or_default().push((abi, next()));
        }
        for python in interpreter.pure() {
            tags.native.entry(python).or_default().push(("none".to_owned(), next()));
        }
        // The interpreter's own pure tag comes before all the others, and PyPy's has its own word.
        for python in [interpreter.pure_tag()].into_iter().chain(interpreter.pure()) {
            tags.pure.insert(python, next());
        }
        tags
    }

    /// How early a tag is taken; `None`, if it is not. The least is the best.
    pub(crate) fn rank(&self, python: &str, abi: &str, platform: &str) -> Option<(usize, usize)> {
        if platform == "any" {
            return (abi == "none").then(|| self.pure.get(python)).flatten().map(|rank| (*rank, 0));
        }
        let (_, rank) = self.native.get(python)?.iter().find(|(taken, _)| taken == abi)?;
        Some((*rank, *self.platforms.get(platform)?))
    }
}

impl Interpreter {
    /// Its own tag: `cp312`.
    pub(crate) fn tag(self) -> String {
        let word = match self.implementation {
            Implementation::CPython => "cp",
            Implementation::PyPy => "pp",
        };
        format!("{word}{}{}", self.major, self.minor)
    }

    /// The tag of wheels that need it, but no ABI of its.
    fn pure_tag(self) -> String {
        match self.implementation {
            Implementation::CPython => self.tag(),
            Implementation::PyPy => format!("pp{}", self.major),
        }
    }

    /// Its own ABI.
    pub(crate) fn abi(self) -> String {
        match self.implementation {
            Implementation::CPython if self.is_free_threaded => format!("{}t", self.tag()),
            Implementation::CPython if (self.major, self.minor) < (3, 8) => format!("{}m", self.tag()),
            Implementation::CPython => self.tag(),
            // The ABI's own version has not changed since 2019.
            Implementation::PyPy => format!("pypy{}{}_pp73", self.major, self.minor),
        }
    }

    /// Pythons and ABIs that are taken with a platform, best first.
    fn native(self) -> Vec<(String, String)> {
        let none = (self.tag(), "none".to_owned());
        let mut native = vec![(self.tag(), self.abi())];
        if self.implementation == Implementation::PyPy {
            native.push(none);
            return native;
        }
        let stable = if self.is_free_threaded { "abi3t" } else { "abi3" };
        let with_stable = (self.major, self.minor) >= (3, 2);
        if with_stable {
            native.push((self.tag(), stable.to_owned()));
        }
        native.push(none);
        if with_stable {
            let older = (2..self.minor).rev();
            native.extend(older.map(|minor| (format!("cp{}{minor}", self.major), stable.to_owned())));
        }
        native
    }

    /// The Pythons that are taken without an ABI, best first.
    fn pure(self) -> Vec<String> {
        let major = self.major;
        let mut pure = vec![format!("py{major}{}", self.minor), format!("py{major}")];
        pure.extend((0..self.minor).rev().map(|minor| format!("py{major}{minor}")));
        pure
    }
}

impl Platform {
    /// The platform tags that it takes, best first.
    fn tags(&self) -> Vec<String> {
        match self {
            Platform::Manylinux { major, minor, machine } => manylinux(*major, *minor, machine),
            Platform::Musllinux { major, minor, machine } => {
                let minors = (0..=*minor).rev().take(usize::try_from(MOST_MINORS).unwrap_or(usize::MAX));
                let musl = minors.map(|minor| format!("musllinux_{major}_{minor}_{machine}"));
                [format!("linux_{machine}")].into_iter().chain(musl).collect()
            }
            Platform::Macos { major, minor, machine } => macos(*major, *minor, machine),
            Platform::Windows(tag) => vec![(*tag).to_owned()],
        }
    }

    /// The newest tag that it takes, which names it.
    pub(crate) fn tag(&self) -> String {
        match self {
            Platform::Manylinux { major, minor, machine } => format!("manylinux_{major}_{minor}_{machine}"),
            Platform::Musllinux { major, minor, machine } => format!("musllinux_{major}_{minor}_{machine}"),
            Platform::Macos { major, minor, machine } => format!("macosx_{major}_{minor}_{machine}"),
            Platform::Windows(tag) => (*tag).to_owned(),
        }
    }
}

/// The names that manylinux had before they were versions of glibc (PEP 513, 571, 599).
pub(super) const LEGACY: [(u64, &str); 3] = [(17, "manylinux2014"), (12, "manylinux2010"), (5, "manylinux1")];

fn manylinux(major: u64, minor: u64, machine: &str) -> Vec<String> {
    let mut tags = vec![format!("linux_{machine}")];
    // CPUs that came to Linux later are not in the older profiles.
    let oldest = if matches!(machine, "x86_64" | "i686") { 5 } else { 17 };
    for minor in (oldest..=minor.min(MOST_MINORS)).rev() {
        tags.push(format!("manylinux_{major}_{minor}_{machine}"));
        let legacy = LEGACY.iter().find(|(glibc, _)| (2, *glibc) == (major, minor));
        tags.extend(legacy.map(|(_, name)| format!("{name}_{machine}")));
    }
    tags
}

fn macos(major: u64, minor: u64, machine: &str) -> Vec<String> {
    let formats = |major, minor| -> &[&str] {
        match machine {
            "arm64" if (major, minor) >= (11, 0) => &["arm64", "universal2"],
            "arm64" => &["universal2"],
            _ => &["x86_64", "intel", "fat64", "fat3", "universal2", "universal"],
        }
    };
    // Since macOS 11 each year has a new first number; the second one says nothing of binaries.
    let mut versions: Vec<(u64, u64)> = (11..=major.min(MOST_MINORS)).rev().map(|major| (major, 0)).collect();
    versions.extend((4..=if major > 10 { 16 } else { minor.min(16) }).rev().map(|minor| (10, minor)));
    let tags = versions.into_iter().flat_map(|(major, minor)| {
        formats(major, minor).iter().map(move |format| format!("macosx_{major}_{minor}_{format}"))
    });
    tags.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cpython(minor: u64) -> Interpreter {
        Interpreter { implementation: Implementation::CPython, major: 3, minor, is_free_threaded: false }
    }

    fn linux(minor: u64) -> Platform {
        Platform::Manylinux { major: 2, minor, machine: "x86_64".to_owned() }
    }

    /// Tags in the order in which they are taken; those that are not taken are missing.
    fn taken<'a>(tags: &Tags, of: &[&'a str]) -> Vec<&'a str> {
        let mut ranked: Vec<_> = of
            .iter()
            .filter_map(|tag| {
                let mut parts = tag.split('-').map(str::to_owned);
                let [python, abi, platform] = [(); 3].map(|()| parts.next().unwrap());
                Some((tags.rank(&python, &abi, &platform)?, *tag))
            })
            .collect();
        ranked.sort_unstable();
        ranked.into_iter().map(|(_, tag)| tag).collect()
    }

    #[test]
    fn the_nearest_tag_is_taken_first() {
        let in_order = [
            "cp312-cp312-linux_x86_64",
            "cp312-cp312-manylinux_2_28_x86_64",
            "cp312-cp312-manylinux_2_17_x86_64",
            "cp312-cp312-manylinux2014_x86_64",
            "cp312-cp312-manylinux_2_5_x86_64",
            "cp312-cp312-manylinux1_x86_64",
            "cp312-abi3-manylinux2014_x86_64",
            "cp312-none-manylinux2014_x86_64",
            "cp38-abi3-manylinux_2_28_x86_64",
            "cp37-abi3-manylinux_2_28_x86_64",
            "py312-none-linux_x86_64",
            "py3-none-manylinux1_x86_64",
            "cp312-none-any",
            "py312-none-any",
            "py3-none-any",
            "py311-none-any",
            "py30-none-any",
        ];
        let others = [
            "cp312-cp312-manylinux_2_29_x86_64",
            "cp312-cp312-manylinux_2_4_x86_64",
            "cp311-cp311-linux_x86_64",
            "cp313-abi3-linux_x86_64",
            "py313-none-any",
            "py2-none-any",
            "cp312-cp312-win_amd64",
            "cp312-abi3-any",
            "cp312-cp312-musllinux_1_2_x86_64",
            "cp311-none-any",
            "cp312-cp312-manylinux_2_17_aarch64",
        ];
        let mut all = [&in_order[..], &others[..]].concat();
        all.reverse();
        assert_eq!(taken(&Tags::of(cpython(12), &linux(28)), &all), in_order);
    }

    #[test]
    fn builds_of_other_kinds_have_their_own_abis() {
        let free = Tags::of(Interpreter { is_free_threaded: true, ..cpython(15) }, &linux(34));
        let of = [
            "cp315-cp315-linux_x86_64",
            "cp315-cp315t-linux_x86_64",
            "cp315-abi3t-linux_x86_64",
            "cp38-abi3-linux_x86_64",
        ];
        assert_eq!(taken(&free, &of), of[1..3]);
        let old = Tags::of(cpython(7), &linux(17));
        assert!(old.rank("cp37", "cp37m", "manylinux1_x86_64").is_some());
        let pypy = Tags::of(Interpreter { implementation: Implementation::PyPy, ..cpython(10) }, &linux(17));
        let of =
            ["pp310-pypy310_pp73-linux_x86_64", "pp3-none-any", "py3-none-any", "cp310-abi3-linux_x86_64"];
        assert_eq!(taken(&pypy, &of), of[..3]);
    }

    #[test]
    fn other_systems_have_their_own_platforms() {
        let macos =
            |major, minor, machine: &str| Platform::Macos { major, minor, machine: machine.to_owned() };
        let arm = Tags::of(cpython(12), &macos(14, 0, "arm64"));
        let of = [
            "cp312-cp312-macosx_14_0_arm64",
            "cp312-cp312-macosx_11_0_arm64",
            "cp312-cp312-macosx_11_0_universal2",
            "cp312-cp312-macosx_10_9_universal2",
            "cp312-cp312-macosx_15_0_arm64",
            "cp312-cp312-macosx_10_9_x86_64",
        ];
        assert_eq!(taken(&arm, &of), of[..4]);
        let intel = Tags::of(cpython(12), &macos(10, 12, "x86_64"));
        let of = [
            "cp312-cp312-macosx_10_9_x86_64",
            "cp312-cp312-macosx_10_6_intel",
            "cp312-cp312-macosx_11_0_x86_64",
        ];
        assert_eq!(taken(&intel, &of), of[..2]);
        let musl = Platform::Musllinux { major: 1, minor: 2, machine: "aarch64".to_owned() };
        let of = [
            "cp312-cp312-musllinux_1_2_aarch64",
            "cp312-cp312-musllinux_1_1_aarch64",
            "cp312-cp312-manylinux2014_aarch64",
        ];
        assert_eq!(taken(&Tags::of(cpython(12), &musl), &of), of[..2]);
        assert!(Tags::of(cpython(12), &Platform::Windows("win32")).rank("cp312", "cp312", "win32").is_some());
        // A version from outside makes no list without end.
        assert!(Tags::of(cpython(12), &linux(u64::MAX)).platforms.len() < 1000);
    }
}
