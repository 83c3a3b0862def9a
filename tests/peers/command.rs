//! Running programs, with all they said when one of them disappoints.

use std::ffi::OsStr;
use std::path::Path;
use std::process::{Command, Stdio};

use serde_json::Value;

/// The program under test.
pub(crate) const AFTK: &str = env!("CARGO_BIN_EXE_aftk");
/// A client that takes longer hangs.
const SECONDS: &str = "300";

/// How a program ended, and what it said.
pub(crate) struct Outcome {
    pub(crate) code: Option<i32>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
    command: String,
}

impl Outcome {
    /// Must have succeeded.
    #[track_caller]
    pub(crate) fn succeeded(self) -> Outcome {
        self.ended(0)
    }

    /// Must have ended with this exit code.
    #[track_caller]
    pub(crate) fn ended(self, code: i32) -> Outcome {
        assert_eq!(self.code, Some(code), "{}\n{}\n{}", self.command, self.stdout, self.stderr);
        self
    }

    /// Standard output as JSON.
    #[track_caller]
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.stdout).unwrap_or_else(|error| panic!("{error}: {}", self.stdout))
    }

    /// Must have said this on standard error.
    #[track_caller]
    pub(crate) fn complained(self, of: &str) -> Outcome {
        assert!(self.stderr.contains(of), "{}: {of:?} is not in:\n{}", self.command, self.stderr);
        self
    }
}

/// A command that is ended when it hangs, after words that say where it runs.
pub(crate) fn bounded(before: &[&str], program: impl AsRef<OsStr>) -> Command {
    let words = [before, &["timeout", SECONDS]].concat();
    let mut command = Command::new(words[0]);
    command.args(&words[1..]).arg(program).stdin(Stdio::null());
    command
}

/// Runs a command to its end.
#[track_caller]
pub(crate) fn run(command: &mut Command) -> Outcome {
    let output = command.output().unwrap_or_else(|error| panic!("{command:?}: {error}"));
    let text = |bytes| String::from_utf8_lossy(bytes).into_owned();
    Outcome {
        code: output.status.code(),
        stdout: text(&output.stdout),
        stderr: text(&output.stderr),
        command: format!("{command:?}"),
    }
}

/// The only bundle in a directory.
pub(crate) fn bundle_in(directory: &Path) -> std::path::PathBuf {
    let files = std::fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().path());
    let mut bundles = files.filter(|path| path.to_string_lossy().ends_with(".aftk.tar"));
    let bundle = bundles.next().expect("a bundle");
    assert_eq!(bundles.next(), None, "one bundle");
    bundle
}
