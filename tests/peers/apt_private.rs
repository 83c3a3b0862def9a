//! The real apt, under a directory of its own, so that this machine's configuration hides nothing.

use std::ffi::OsStr;
use std::fs;
use std::path::PathBuf;
use std::process::Command;

use tempfile::TempDir;

use super::command::run;

/// Who signs Debian's archive.
pub(crate) const KEYRING: &str = "/usr/share/keyrings/debian-archive-keyring.gpg";

/// The suite of this machine, which is the one that its apt knows.
pub(crate) fn codename() -> String {
    let text = fs::read_to_string("/etc/os-release").unwrap();
    let found = text.lines().find_map(|line| line.strip_prefix("VERSION_CODENAME="));
    found.unwrap().trim_matches('"').to_owned()
}

/// Where this machine's apt has a suite from.
pub(crate) fn archive(suite: &str) -> String {
    let mut targets = Command::new("apt-get");
    targets.args(["indextargets", "--format", "$(REPO_URI) $(RELEASE)", "Created-By: Packages"]);
    let targets = run(&mut targets).succeeded().stdout;
    let of_suite = targets.lines().find_map(|line| line.strip_suffix(&format!(" {suite}")));
    of_suite.unwrap().to_owned()
}

/// An apt with its own sources, indices and status.
pub(crate) struct Apt {
    directory: TempDir,
}

impl Apt {
    /// One without sources, on a machine that has nothing. It says at least what `more` does, as apt.conf(5) writes it.
    pub(crate) fn new(more: &str) -> Apt {
        let apt = Apt { directory: tempfile::tempdir().unwrap() };
        // apt warns of each of its own folders that is not there.
        for folder in [
            "etc/apt.conf.d",
            "etc/auth.conf.d",
            "etc/preferences.d",
            "etc/sources.list.d",
            "etc/trusted.gpg.d",
            "state/lists/partial",
            "cache/archives/partial",
        ] {
            fs::create_dir_all(apt.path(folder)).unwrap();
        }
        let root = apt.directory.path().display();
        let configuration = format!(
            "Dir \"{root}/\";\nDir::Etc \"{root}/etc/\";\nDir::State \"{root}/state/\";\n\
             Dir::State::status \"{root}/status\";\nDir::Cache \"{root}/cache/\";\nAPT::Sandbox::User \"root\";\n\
             Acquire::Languages \"none\";\nDebug::NoLocking \"1\";\n{more}"
        );
        fs::write(apt.path("apt.conf"), configuration).unwrap();
        apt.set_status(b"", b"");
        apt
    }

    /// A place of its own.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    /// Writes a file of its own.
    pub(crate) fn write(&self, name: &str, text: impl AsRef<[u8]>) {
        fs::write(self.path(name), text).unwrap();
    }

    /// What its machine has, as dpkg's status and apt's `extended_states` say it.
    pub(crate) fn set_status(&self, status: &[u8], extended_states: &[u8]) {
        self.write("status", status);
        self.write("state/extended_states", extended_states);
    }

    /// A command of which `apt-get` is the last word, with words for it.
    pub(crate) fn told(&self, mut command: Command, words: &[impl AsRef<OsStr>]) -> Command {
        command.env_clear().env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin").env("LC_ALL", "C");
        command.env("APT_CONFIG", self.path("apt.conf"));
        command.args(words);
        command
    }

    /// `apt-get` with words.
    pub(crate) fn get(&self, words: &[impl AsRef<OsStr>]) -> Command {
        self.told(Command::new("apt-get"), words)
    }
}
