//! apt with directories of its own, so that nothing of this machine's configuration shows.

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use super::inside::Inside;

/// A system's apt.
pub(crate) struct Apt<'a> {
    inside: &'a Inside,
    directory: PathBuf,
}

impl<'a> Apt<'a> {
    /// One that has never asked anybody, with these sources.
    pub(crate) fn new(inside: &'a Inside, name: &str, sources: &str) -> Apt<'a> {
        let directory = inside.path(name);
        // apt warns of each of its own folders that is not there.
        for folder in [
            "etc/apt/sources.list.d",
            "etc/apt/apt.conf.d",
            "etc/apt/preferences.d",
            "etc/apt/auth.conf.d",
            "etc/apt/trusted.gpg.d",
            "state/lists/partial",
            "cache/archives/partial",
        ] {
            fs::create_dir_all(directory.join(folder)).unwrap();
        }
        fs::write(directory.join("status"), "").unwrap();
        let configuration = format!(
            "Dir::Etc \"{0}/etc/apt\";\nDir::State \"{0}/state\";\nDir::State::status \"{0}/status\";\nDir::Cache \
             \"{0}/cache\";\nAPT::Sandbox::User \"root\";\n",
            directory.display()
        );
        fs::write(directory.join("apt.conf"), configuration).unwrap();
        let apt = Apt { inside, directory };
        apt.sources(sources);
        apt
    }

    /// Gives it other sources.
    pub(crate) fn sources(&self, sources: &str) {
        fs::write(self.directory.join("etc/apt/sources.list.d/aftk.sources"), sources).unwrap();
    }

    /// `apt-get` of it.
    pub(crate) fn get(&self) -> Command {
        self.program("apt-get")
    }

    /// The same, so many days from now: `+10 days`.
    pub(crate) fn get_at(&self, time: &str) -> Command {
        let mut command = self.program("faketime");
        command.args([time, "apt-get"]);
        command
    }

    fn program(&self, program: &str) -> Command {
        let mut command = self.inside.program(program);
        command.env("APT_CONFIG", self.directory.join("apt.conf"));
        command
    }

    /// The names of the packages that it has downloaded.
    pub(crate) fn downloaded(&self) -> Vec<String> {
        let entries = fs::read_dir(self.directory.join("cache/archives")).unwrap();
        let names = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
        let mut names: Vec<String> = names.filter(|name| name.ends_with(".deb")).collect();
        names.sort();
        names
    }
}
