//! An outside and an inside: two homes, a medium between them, and the program itself as a child process.

use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use aftk::cancel::Cancel;
use aftk::events::Silent;
use aftk::ops::check::{self, CheckReport};
use aftk::ops::list;
use aftk::store::Store;
use aftk::trust::Trust;

/// Two sides in one temporary directory.
pub(crate) struct Sides {
    root: tempfile::TempDir,
}

/// What a run of the program said.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Ran {
    /// The exit code; `None` if a signal ended it.
    pub(crate) code: Option<i32>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Ran {
    /// What was printed, if all went well.
    #[track_caller]
    pub(crate) fn done(self) -> String {
        assert_eq!(self.code, Some(0), "{}", self.stderr);
        self.stdout
    }

    /// The object that `--json` printed.
    #[track_caller]
    pub(crate) fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.stdout).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }
}

impl From<Output> for Ran {
    fn from(output: Output) -> Ran {
        Ran {
            code: output.status.code(),
            stdout: String::from_utf8(output.stdout).unwrap(),
            stderr: String::from_utf8(output.stderr).unwrap(),
        }
    }
}

/// Bytes that look like nothing, different for each number.
pub(crate) fn noise(number: u64, length: usize) -> Vec<u8> {
    let mut state = number.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state.to_le_bytes()
    };
    (0..length.div_ceil(8)).flat_map(|_| next()).take(length).collect()
}

/// A directory that is fast to sync where there is one: these tests write much, and no power cut is part of them.
pub(crate) fn scratch() -> tempfile::TempDir {
    let memory = Path::new("/dev/shm");
    let made = if memory.is_dir() { tempfile::tempdir_in(memory) } else { tempfile::tempdir() };
    made.unwrap()
}

impl Sides {
    pub(crate) fn new() -> Sides {
        let sides = Sides { root: scratch() };
        for directory in ["project", "user"] {
            std::fs::create_dir(sides.path(directory)).unwrap();
        }
        sides
    }

    /// A path in the temporary directory: `out` and `in` are the homes, `project` is where one stands, `stick` the
    /// medium.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.root.path().join(name)
    }

    /// Writes a file of the project.
    pub(crate) fn write(&self, name: &str, bytes: impl AsRef<[u8]>) {
        std::fs::write(self.path("project").join(name), bytes).unwrap();
    }

    /// The program with nothing of this machine around it, on a side that is called by its home.
    pub(crate) fn command(&self, home: &str) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_aftk"));
        command.env_clear().env("HOME", self.path("user")).env("PATH", self.path("nothing"));
        command.env("TMPDIR", self.root.path());
        command.current_dir(self.path("project")).stdin(Stdio::null());
        command.arg("--home").arg(self.path(home));
        command
    }

    /// Runs the program to its end.
    pub(crate) fn run(&self, home: &str, arguments: &[&str]) -> Ran {
        self.command(home).args(arguments).output().unwrap().into()
    }

    /// Lets inside trust what outside collects with.
    pub(crate) fn trust(&self) {
        let pem = self.run("out", &["key", "show"]).done();
        self.write("collector.pem", pem);
        self.run("in", &["key", "trust", "collector.pem"]).done();
    }

    /// The files on the medium, by name.
    pub(crate) fn medium(&self) -> Vec<PathBuf> {
        bundles(&self.path("stick"))
    }
}

/// The volumes in a directory, by name.
pub(crate) fn bundles(directory: &Path) -> Vec<PathBuf> {
    let Ok(entries) = directory.read_dir() else { return Vec::new() };
    let mut files: Vec<PathBuf> = entries.map(|entry| entry.unwrap().path()).collect();
    files.retain(|file| file.extension().is_some_and(|extension| extension == "tar"));
    files.sort();
    files
}

/// What a store shows, in order: package URL and source.
pub(crate) fn shown(store: &Store) -> Vec<String> {
    let report = list::list(store, &[]).unwrap();
    let mut shown: Vec<String> = report
        .artifacts
        .into_iter()
        .map(|artifact| format!("{} {}", artifact.named.purl, artifact.source))
        .collect();
    shown.sort();
    shown
}

/// Checks a whole store.
pub(crate) fn checked(store: &Store) -> CheckReport {
    check::check(store, &Silent, &Cancel::default()).unwrap()
}

/// Opens the store of a home, which must be sound, and says what it shows.
#[track_caller]
pub(crate) fn sound(home: &Path) -> Vec<String> {
    let store = Store::open(home).unwrap();
    let report = checked(&store);
    assert!(report.is_sound(), "{:?}", report.findings().collect::<Vec<_>>());
    shown(&store)
}

/// Makes a home whose keys, locks and ledgers are those of another one; it has no store yet.
pub(crate) fn home_like(template: &Path, home: &Path) {
    for part in ["keys", "trust", "channels"] {
        if template.join(part).is_dir() {
            copy_directory(&template.join(part), &home.join(part));
        }
    }
}

/// Copies a directory with all in it, permissions included.
pub(crate) fn copy_directory(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in from.read_dir().unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy_directory(&entry.path(), &target);
        } else {
            std::fs::copy(entry.path(), target).unwrap();
        }
    }
    std::fs::set_permissions(to, from.metadata().unwrap().permissions()).unwrap();
}

/// Imports in this process.
pub(crate) fn import(
    home: &Path,
    paths: &[PathBuf],
) -> Result<aftk::ops::import::ImportReport, aftk::problem::Problem> {
    let store = Store::open(home)?;
    let request = aftk::ops::import::ImportRequest { paths: paths.to_vec(), dry_run: false, missing: None };
    aftk::ops::import::import(&store, &Trust::open(home)?, &request, &Silent, &Cancel::default())?.all()
}
