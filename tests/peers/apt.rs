//! A client's apt, inside.

use std::fs;
use std::process::Command;

use super::apt_private;
use super::inside::Inside;

/// A system's apt.
pub(crate) struct Apt<'a> {
    inside: &'a Inside,
    apt: apt_private::Apt,
}

impl<'a> Apt<'a> {
    /// One that has never asked anybody, with these sources.
    pub(crate) fn new(inside: &'a Inside, sources: &str) -> Apt<'a> {
        let apt = Apt { inside, apt: apt_private::Apt::new("") };
        apt.sources(sources);
        apt
    }

    /// Gives it other sources.
    pub(crate) fn sources(&self, sources: &str) {
        self.apt.write("etc/sources.list.d/aftk.sources", sources);
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
        self.apt.told(self.inside.program(program), &[] as &[&str])
    }

    /// The names of the packages that it has downloaded.
    pub(crate) fn downloaded(&self) -> Vec<String> {
        let entries = fs::read_dir(self.apt.path("cache/archives")).unwrap();
        let names = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
        let mut names: Vec<String> = names.filter(|name| name.ends_with(".deb")).collect();
        names.sort();
        names
    }
}
