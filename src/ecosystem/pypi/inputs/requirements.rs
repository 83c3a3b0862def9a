//! `requirements.txt`, and constraints, which are written alike: all of pip's grammar.

use std::collections::BTreeMap;

use super::damaged;
use super::lock::{Hash, file_name};
use crate::ecosystem::pypi::file_name::FileName;
use crate::ecosystem::pypi::name::Name;
use crate::ecosystem::pypi::release::Formats;
use crate::ecosystem::pypi::requirement::{Requirement, Source};
use crate::problem::Problem;

/// What a file of requirements says.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Requirements {
    /// What is asked for.
    pub(crate) wanted: Vec<Wanted>,
    /// Other files, in their order.
    pub(crate) includes: Vec<Include>,
    /// What is asked for and is nothing that an index could have: directories, files of this machine, `-e`.
    pub(crate) local: Vec<String>,
    /// The index, where another one than the configured one is meant.
    pub(crate) index_url: Option<String>,
    /// Further indexes.
    pub(crate) extra_index_urls: Vec<String>,
    /// Whether no index is to be asked.
    pub(crate) no_index: bool,
    /// Pages and directories that list files.
    pub(crate) find_links: Vec<String>,
    /// What may be used of some projects.
    pub(crate) formats: BTreeMap<Name, Formats>,
    /// What may be used of all others.
    pub(crate) other_formats: Option<Formats>,
    /// Whether each file needs a checksum. One that has any means it for all of them.
    pub(crate) require_hashes: bool,
    /// Whether prereleases are as welcome as releases.
    pub(crate) with_prereleases: bool,
}

/// A requirement, with the checksums that its files may have.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Wanted {
    /// The requirement.
    pub(crate) requirement: Requirement,
    /// The checksums.
    pub(crate) hashes: Vec<Hash>,
    /// The line that it begins in, from 1.
    pub(crate) line: usize,
}

/// Another file that is meant to be read, too.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Include {
    /// Its path, relative to this file, or its address.
    pub(crate) path: String,
    /// Whether it has constraints.
    pub(crate) is_constraint: bool,
    /// The line that names it, from 1.
    pub(crate) line: usize,
}

/// The most lines that are read.
const MOST_LINES: usize = 1_000_000;

/// Options with a value, and the short forms that may stand right before it.
const WITH_VALUE: &[(&str, &str)] = &[
    ("-r", "--requirement"),
    ("-c", "--constraint"),
    ("-e", "--editable"),
    ("-i", "--index-url"),
    ("-f", "--find-links"),
    ("", "--pypi-url"),
    ("", "--extra-index-url"),
    ("", "--no-binary"),
    ("", "--only-binary"),
    ("", "--trusted-host"),
    ("", "--use-feature"),
];

impl Requirements {
    /// Reads a file. `variable` knows the environment, for `${NAME}`.
    ///
    /// # Errors
    /// If a line is none of pip's.
    pub(crate) fn parse(
        text: &str,
        place: &str,
        variable: &dyn Fn(&str) -> Option<String>,
    ) -> Result<Requirements, Problem> {
        let mut read = Requirements::default();
        let text = text.strip_prefix('\u{feff}').unwrap_or(text);
        for (number, line) in logical_lines(text) {
            if number > MOST_LINES {
                return Err(damaged(place, "it has more than a million lines"));
            }
            let line = expand(without_comment(&line).trim(), variable);
            if !line.is_empty() {
                let at = format!("{place}:{number}");
                read.line(&line, number).map_err(|why| damaged(place, why).at(at))?;
            }
        }
        read.require_hashes |= read.wanted.iter().any(|wanted| !wanted.hashes.is_empty());
        Ok(read)
    }

    fn line(&mut self, line: &str, number: usize) -> Result<(), String> {
        if line.starts_with('-') { self.option(line, number) } else { self.requirement(line, number) }
    }

    fn option(&mut self, line: &str, number: usize) -> Result<(), String> {
        match line {
            "--no-index" => self.no_index = true,
            "--pre" => self.with_prereleases = true,
            "--require-hashes" => self.require_hashes = true,
            "--prefer-binary" | "--only-deps" => {}
            _ => {
                let (option, value) =
                    option_value(line).ok_or_else(|| format!("{line:?} is no option that is known"))?;
                self.option_with(option, value, number)?;
            }
        }
        Ok(())
    }

    fn option_with(&mut self, option: &str, value: &str, number: usize) -> Result<(), String> {
        let include = |is_constraint| Include { path: value.to_owned(), is_constraint, line: number };
        match option {
            "--requirement" => self.includes.push(include(false)),
            "--constraint" => self.includes.push(include(true)),
            "--editable" => self.local.push(value.to_owned()),
            "--index-url" | "--pypi-url" => self.index_url = Some(value.to_owned()),
            "--extra-index-url" => self.extra_index_urls.push(value.to_owned()),
            "--find-links" => self.find_links.push(value.to_owned()),
            "--no-binary" => self.set_formats(value, Formats::Sdists)?,
            "--only-binary" => self.set_formats(value, Formats::Wheels)?,
            // Whom to trust, and what is new in pip, is for others to say.
            _ => {}
        }
        Ok(())
    }

    fn set_formats(&mut self, value: &str, formats: Formats) -> Result<(), String> {
        for name in value.split(',').map(str::trim) {
            match name {
                ":all:" => self.other_formats = Some(formats),
                ":none:" => {
                    self.other_formats = self.other_formats.filter(|others| *others != formats);
                    self.formats.retain(|_, others| *others != formats);
                }
                _ => {
                    self.formats.insert(Name::parse(name).map_err(|error| error.to_string())?, formats);
                }
            }
        }
        Ok(())
    }

    fn requirement(&mut self, line: &str, number: usize) -> Result<(), String> {
        // What stands behind a requirement are options of its own; markers have no ` --` outside of quotes.
        let (text, options) = match line.find(" --") {
            Some(at) => line.split_at(at),
            None => (line, ""),
        };
        let mut hashes = Vec::new();
        for option in options.split(" --").map(str::trim).filter(|option| !option.is_empty()) {
            match option.split_once(['=', ' ']) {
                Some(("hash", hash)) => hashes.push(Hash::parse(hash).map_err(|error| error.to_string())?),
                Some(("config-settings" | "global-option" | "config-setting", _)) => {}
                _ => return Err(format!("\"--{option}\" is no option of a requirement")),
            }
        }
        let text = text.trim();
        if is_local(text) {
            self.local.push(text.to_owned());
            return Ok(());
        }
        let requirement = match text.contains("://") && !text.contains('@') || starts_as_address(text) {
            true => from_address(text)?,
            false => Requirement::parse(text).map_err(|error| error.to_string())?,
        };
        self.wanted.push(Wanted { requirement, hashes, line: number });
        Ok(())
    }
}

/// Lines with those that continue them, each with the number of its first one.
fn logical_lines(text: &str) -> impl Iterator<Item = (usize, String)> {
    let mut lines = text.lines().enumerate();
    std::iter::from_fn(move || {
        let (number, first) = lines.next()?;
        let mut whole = first.to_owned();
        // A comment goes on nowhere, even if it ends in a backslash.
        while !whole.trim_start().starts_with('#') && whole.ends_with('\\') {
            whole.pop();
            let Some((_, next)) = lines.next() else { break };
            if next.trim_start().starts_with('#') {
                break;
            }
            whole.push_str(next);
        }
        Some((number + 1, whole))
    })
}

/// A line without the comment at its end, which begins the line or stands behind a blank.
fn without_comment(line: &str) -> &str {
    let mut starts = line.match_indices('#').map(|(at, _)| at);
    let comment = starts.find(|at| {
        line.get(..*at).is_some_and(|before| before.is_empty() || before.ends_with(char::is_whitespace))
    });
    comment.and_then(|at| line.get(..at)).unwrap_or(line)
}

/// A line with the values of the variables in it: `${NAME}`, in capitals. One that is not set stays as it is.
fn expand(line: &str, variable: &dyn Fn(&str) -> Option<String>) -> String {
    let mut expanded = String::with_capacity(line.len());
    let mut rest = line;
    while let Some((before, after)) = rest.split_once("${") {
        expanded.push_str(before);
        let named = after.split_once('}').filter(|(name, _)| {
            !name.is_empty()
                && name.bytes().all(|byte| byte.is_ascii_uppercase() || byte.is_ascii_digit() || byte == b'_')
        });
        match named.and_then(|(name, after)| Some((variable(name)?, after))) {
            Some((value, after)) => {
                expanded.push_str(&value);
                rest = after;
            }
            None => {
                expanded.push_str("${");
                rest = after;
            }
        }
    }
    expanded + rest
}

/// An option and its value: `--option value`, `--option=value`, `-rvalue`.
fn option_value(line: &str) -> Option<(&'static str, &str)> {
    for (short, long) in WITH_VALUE {
        let value = match line.strip_prefix(long) {
            Some(rest) => rest.strip_prefix('=').or_else(|| rest.strip_prefix(char::is_whitespace)),
            None => line.strip_prefix(short).filter(|_| !short.is_empty()),
        };
        if let Some(value) = value.map(str::trim).filter(|value| !value.is_empty()) {
            return Some((long, value));
        }
    }
    None
}

/// Whether words name a file or directory of this machine.
fn is_local(text: &str) -> bool {
    let path = text.split(['[', ';', ' ']).next().unwrap_or_default();
    let is_file = [".whl", ".tar.gz", ".zip"].iter().any(|end| path.ends_with(end)) && !text.contains("://");
    text.starts_with(['.', '/', '~']) || text.starts_with("file:") || is_file
}

/// Whether words are an address, and not a name with an address behind it.
fn starts_as_address(text: &str) -> bool {
    text.split_once("://")
        .is_some_and(|(scheme, _)| scheme.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'+'))
}

/// An address that stands alone: its end says of which project it is, or `#egg=`.
fn from_address(text: &str) -> Result<Requirement, String> {
    let (url, marker) = match text.split_once(" ;") {
        Some((url, marker)) => (url.trim(), Some(marker)),
        None => (text, None),
    };
    let egg = url
        .split_once('#')
        .and_then(|(_, parts)| parts.split('&').find_map(|part| part.strip_prefix("egg=")));
    let named = egg
        .map(str::to_owned)
        .or_else(|| FileName::with_project(&file_name(url)).map(|(name, _)| name.to_string()));
    let named = named.ok_or_else(|| format!("of which project is {url}? Write it as NAME @ {url}"))?;
    let marker = marker.map(|marker| format!(" ; {marker}")).unwrap_or_default();
    let requirement = Requirement::parse(&format!("{named}{marker}")).map_err(|error| error.to_string())?;
    Ok(Requirement { source: Source::Url(url.into()), ..requirement })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Requirements, Problem> {
        let variable = |name: &str| (name == "TOKEN").then(|| "secret".to_owned());
        Requirements::parse(text, "requirements.txt", &variable)
    }

    fn wanted(text: &str) -> Vec<String> {
        read(text).unwrap().wanted.iter().map(|wanted| wanted.requirement.to_string()).collect()
    }

    #[test]
    fn requirements_are_read_as_pip_reads_them() {
        let text = "\u{feff}# a comment \\\na[x,y]>=1.0,<2 ; python_version < '4'  # behind\n\n  b ==1.0\n\
                    c @ https://files.example.test/c-1.0.zip#sha256=00\nd>=1,\\\n  <2\n\
                    https://files.example.test/e_f-1.0-py3-none-any.whl ; os_name == 'posix'\n\
                    git+https://git.example.test/g.git@main#egg=g&subdirectory=x\nh;extra=='z'\n";
        assert_eq!(
            wanted(text),
            [
                "a[x,y]>=1.0,<2 ; python_version < '4'",
                "b==1.0",
                "c @ https://files.example.test/c-1.0.zip#sha256=00",
                "d>=1,<2",
                "e-f @ https://files.example.test/e_f-1.0-py3-none-any.whl ; os_name == 'posix'",
                "g @ git+https://git.example.test/g.git@main#egg=g&subdirectory=x",
                "h ; extra == 'z'",
            ]
        );
        assert_eq!(read(text).unwrap().wanted.last().unwrap().line, 10);
    }

    #[test]
    fn checksums_may_stand_on_lines_of_their_own() {
        let (one, two) = ("0".repeat(64), "a".repeat(64));
        let read =
            read(&format!("a==1.0 \\\n    --hash=sha256:{one} \\\n    --hash sha256:{two}\nb==2\n")).unwrap();
        assert!(read.require_hashes);
        let hex: Vec<_> = read.wanted[0].hashes.iter().map(|hash| hash.hex.as_str()).collect();
        assert_eq!(hex, [one, two]);
        assert!(read.wanted[1].hashes.is_empty());
    }

    #[test]
    fn options_are_read_in_all_their_forms() {
        let text = "-r other.txt\n-rthird.txt\n--constraint=c.txt\n-c https://files.example.test/c.txt\n-e .\n./local\n\
                    dist/p-1.0-py3-none-any.whl\n-i https://user:${TOKEN}@index.example.test/simple/\n\
                    --extra-index-url https://${UNSET}.example.test/\n--no-binary :all:\n--only-binary=a,B.c\n\
                    --find-links wheels\n--pre\n--no-index\n--trusted-host x\n--prefer-binary\n";
        let read = read(text).unwrap();
        let includes: Vec<_> =
            read.includes.iter().map(|one| (one.path.as_str(), one.is_constraint, one.line)).collect();
        let expected = [
            ("other.txt", false, 1),
            ("third.txt", false, 2),
            ("c.txt", true, 3),
            ("https://files.example.test/c.txt", true, 4),
        ];
        assert_eq!(includes, expected);
        assert_eq!(read.local, [".", "./local", "dist/p-1.0-py3-none-any.whl"]);
        assert_eq!(read.index_url.as_deref(), Some("https://user:secret@index.example.test/simple/"));
        assert_eq!(read.extra_index_urls, ["https://${UNSET}.example.test/"]);
        assert_eq!(read.other_formats, Some(Formats::Sdists));
        assert_eq!(read.formats[&Name::parse("b-c").unwrap()], Formats::Wheels);
        assert_eq!(read.find_links, ["wheels"]);
        assert!(read.with_prereleases && read.no_index && !read.require_hashes);
    }

    #[test]
    fn a_bad_line_is_named() {
        for (text, place) in [
            ("a\n\nb c\n", "requirements.txt:3"),
            ("--unknown x", "requirements.txt:1"),
            ("-r", "requirements.txt:1"),
            ("a --hash=sha256:00", "requirements.txt:1"),
            ("a --install-option=x", "requirements.txt:1"),
            ("https://files.example.test/main.bin", "requirements.txt:1"),
            ("--no-binary !", "requirements.txt:1"),
        ] {
            let problem = read(text).unwrap_err();
            assert_eq!(problem.place.as_deref(), Some(place), "{text:?}");
            assert!(!problem.causes.is_empty());
        }
    }
}
