//! What people ask for: `nginx`, `libc6:i386`, `nginx=1.22.1-9`, `linux-image-amd64/bookworm-backports`, `task-desktop^`,
//! `@minbase`, a dump of `dpkg --get-selections`.

use super::solve::Want;
use super::status;
use crate::problem::{Kind, Problem};

/// One thing that is asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Asked {
    /// Something that the solver knows.
    Want(Want),
    /// The packages that a system begins with.
    Base(Base),
    /// What has to do with security of what captured machines have.
    Security,
    /// Every package of every source, whether it is needed or not.
    All,
    /// A file of this machine that lists packages.
    List(String),
}

/// What a system begins with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Base {
    /// What is essential or required, and apt: `mmdebstrap --variant=minbase`.
    Minimal,
    /// What is important besides: what debootstrap installs unless told otherwise.
    Debootstrap,
}

impl Asked {
    /// Reads what stands after `apt:`.
    ///
    /// # Errors
    /// Usage, if it is none of what can be asked for.
    pub(super) fn read(what: &str) -> Result<Asked, Problem> {
        let wrong = |why: &str| {
            Problem::new(Kind::Usage, "apt.request", format!("apt:{what} {why}"))
                .hint("apt:NAME, apt:NAME:ARCHITECTURE, apt:NAME=VERSION, apt:NAME/SUITE, apt:TASK^, apt:@minbase, apt:@debootstrap, apt:@upgrades, apt:@security, apt:@all, apt:./FILE")
        };
        if what.starts_with('/') || what.starts_with("./") || what.starts_with("../") {
            return Ok(Asked::List(what.to_owned()));
        }
        if let Some(set) = what.strip_prefix('@') {
            return match set {
                "minbase" => Ok(Asked::Base(Base::Minimal)),
                "debootstrap" => Ok(Asked::Base(Base::Debootstrap)),
                "upgrades" => Ok(Asked::Want(Want::Upgrades)),
                "security" => Ok(Asked::Security),
                "all" => Ok(Asked::All),
                _ => Err(wrong("is no set of packages that is known")),
            };
        }
        if let Some(task) = what.strip_suffix('^') {
            if !is_name(task) {
                return Err(wrong("is no name of a task"));
            }
            return Ok(Asked::Want(Want::Task(task.to_owned())));
        }
        let (rest, suite) = split(what, '/');
        let (rest, version) = split(rest, '=');
        let (name, architecture) = split(rest, ':');
        if !is_name(name) {
            return Err(wrong("names no package: names have lower-case letters, digits, `+`, `-` and `.`"));
        }
        let is_version = |c: char| c.is_ascii_alphanumeric() || ".+-~:*".contains(c);
        let is_word = |c: char| c.is_ascii_alphanumeric() || ".+-~_".contains(c);
        let is_good = |text: Option<&str>, allowed: &dyn Fn(char) -> bool| {
            text.is_none_or(|text| !text.is_empty() && text.chars().all(allowed))
        };
        if !is_good(architecture, &is_word) || !is_good(version, &is_version) || !is_good(suite, &is_word) {
            return Err(wrong("names an architecture, version or suite that cannot be"));
        }
        let owned = |text: Option<&str>| text.map(str::to_owned);
        Ok(Asked::Want(Want::Package {
            name: name.to_owned(),
            architecture: owned(architecture),
            version: owned(version),
            suite: owned(suite),
        }))
    }

    /// Whether it asks about machines that are there already.
    pub(super) fn needs_baseline(&self) -> bool {
        matches!(self, Asked::Security | Asked::Want(Want::Upgrades))
    }
}

/// The packages that a file lists: a dump of `dpkg --get-selections`, or one name a line.
///
/// # Errors
/// Usage, with what is wrong.
pub(super) fn read_list(text: &str, place: &str) -> Result<Vec<Asked>, Problem> {
    let wrong = |why: String| Problem::new(Kind::Usage, "apt.list", why).at(place);
    let lines = text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#'));
    let is_dump = lines.clone().any(|line| line.contains(char::is_whitespace));
    let names = if is_dump { status::selections(text).map_err(wrong)? } else { lines.collect() };
    names
        .into_iter()
        .map(|name| match Asked::read(name) {
            Ok(asked @ Asked::Want(_)) => Ok(asked),
            Ok(_) => Err(wrong(format!("{name:?} is no package"))),
            Err(problem) => Err(problem.at(place)),
        })
        .collect()
}

/// What is before a character, and what after it.
fn split(text: &str, at: char) -> (&str, Option<&str>) {
    text.split_once(at).map_or((text, None), |(before, after)| (before, Some(after)))
}

/// Whether it may be a package's name (Debian Policy, section 5.6.7).
pub(super) fn is_name(name: &str) -> bool {
    let is_plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    name.bytes().next().is_some_and(is_plain)
        && name.bytes().all(|byte| is_plain(byte) || b"+-.".contains(&byte))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn package(name: &str, parts: [&str; 3]) -> Asked {
        let [architecture, version, suite] =
            parts.map(|part| Some(part.to_owned()).filter(|part| !part.is_empty()));
        Asked::Want(Want::Package { name: name.to_owned(), architecture, version, suite })
    }

    #[test]
    fn requests_say_which_package_is_meant() {
        for (text, asked) in [
            ("nginx", package("nginx", ["", "", ""])),
            ("libc6:i386", package("libc6", ["i386", "", ""])),
            ("g++=4:12.2.0-3", package("g++", ["", "4:12.2.0-3", ""])),
            ("libc6:i386=2.36-9+deb12u*", package("libc6", ["i386", "2.36-9+deb12u*", ""])),
            ("git/bookworm-backports", package("git", ["", "", "bookworm-backports"])),
            ("task-desktop^", Asked::Want(Want::Task("task-desktop".to_owned()))),
            ("@minbase", Asked::Base(Base::Minimal)),
            ("@upgrades", Asked::Want(Want::Upgrades)),
            ("./list", Asked::List("./list".to_owned())),
        ] {
            assert_eq!(Asked::read(text).unwrap(), asked, "{text}");
        }
    }

    #[test]
    fn what_cannot_be_meant_is_refused() {
        for wrong in [
            "",
            "Nginx",
            "-nginx",
            "a b",
            "nginx=",
            "nginx:",
            "nginx/",
            "nginx=1;2",
            "@everything",
            "^",
            "a\u{1b}",
        ] {
            let problem = Asked::read(wrong).unwrap_err();
            assert_eq!((problem.kind, &*problem.code), (Kind::Usage, "apt.request"), "{wrong}");
        }
    }

    #[test]
    fn lists_are_dumps_or_names() {
        let of = |text: &str| read_list(text, "here").unwrap();
        let both = [package("nginx", ["", "", ""]), package("libc6", ["i386", "", ""])];
        assert_eq!(of("# mine\nnginx\n\nlibc6:i386\n"), both);
        assert_eq!(of("nginx\t\t\tinstall\nlibc6:i386   hold\nold   deinstall\n"), both);
        for wrong in ["nginx perhaps", "@all", "NGINX"] {
            assert_eq!(read_list(wrong, "here").unwrap_err().place.as_deref(), Some("here"), "{wrong}");
        }
    }
}
