//! The two forms in which apt's own configuration names sources (sources.list(5)).

use std::path::PathBuf;

use super::deb822::{Stanzas, without_comments};
use super::source::{
    Key, Reach, Source, SourceKind, Trust, base_of, is_path, repository_name, without_account,
};
use crate::problem::{Kind, Problem};

/// What a source is written with: the same in both forms, under other names.
#[derive(Debug, Clone, Default)]
struct Entry {
    kinds: Vec<SourceKind>,
    addresses: Vec<String>,
    suites: Vec<String>,
    components: Vec<String>,
    architectures: Option<Vec<String>>,
    more_architectures: Vec<String>,
    less_architectures: Vec<String>,
    signed_by: Option<String>,
    trusted: bool,
    by_hash: Option<String>,
    check_valid_until: Option<String>,
    place: String,
}

/// Reads a deb822 file, `*.sources`. `architectures` are those that this machine wants, its own first.
///
/// # Errors
/// Usage, with the stanza's place.
pub(super) fn read_deb822(text: &str, file: &str, architectures: &[String]) -> Result<Vec<Source>, Problem> {
    let text = without_comments(text);
    let mut stanzas = Stanzas::new(text.as_bytes());
    let mut sources = Vec::new();
    let mut number = 0;
    loop {
        let stanza = stanzas.next().map_err(|error| wrong("it cannot be read", file).caused_by(&error))?;
        let Some(stanza) = stanza else { break };
        number += 1;
        let place = format!("{file}, stanza {number}");
        if let Some(defect) = stanza.defect() {
            return Err(wrong(&defect, &place));
        }
        let words = |name| split(stanza.text(name).unwrap_or_default());
        let one = |name| stanza.text(name).map(str::to_owned);
        if one("Enabled").is_some_and(|value| !is_yes(&value)) {
            continue;
        }
        let entry = Entry {
            kinds: kinds(&words("Types"), &place)?,
            addresses: words("URIs"),
            suites: words("Suites"),
            components: words("Components"),
            architectures: stanza.text("Architectures").map(split),
            more_architectures: words("Architectures-Add"),
            less_architectures: words("Architectures-Remove"),
            signed_by: one("Signed-By"),
            trusted: one("Trusted").is_some_and(|value| is_yes(&value)),
            by_hash: one("By-Hash"),
            check_valid_until: one("Check-Valid-Until"),
            place,
        };
        entry.expand(architectures, &mut sources)?;
    }
    Ok(sources)
}

/// Reads a file of one source a line, `*.list`.
///
/// # Errors
/// Usage, with the line.
pub(super) fn read_list(text: &str, file: &str, architectures: &[String]) -> Result<Vec<Source>, Problem> {
    let mut sources = Vec::new();
    for (number, line) in text.lines().enumerate() {
        let line = line.split('#').next().unwrap_or_default().trim();
        if line.is_empty() {
            continue;
        }
        let place = format!("{file}:{}", number + 1);
        let (kind, rest) = line.split_once(char::is_whitespace).unwrap_or((line, ""));
        let mut entry =
            Entry { kinds: kinds(&[kind.to_owned()], &place)?, place: place.clone(), ..Entry::default() };
        let mut rest = rest.trim_start();
        if let Some(options) = rest.strip_prefix('[') {
            let (options, after) =
                options.split_once(']').ok_or_else(|| wrong("a bracket is never closed", &place))?;
            options.split_whitespace().for_each(|option| entry.option(option));
            rest = after;
        }
        let mut words = rest.split_whitespace().map(str::to_owned);
        entry.addresses = words.next().into_iter().collect();
        entry.suites = words.next().into_iter().collect();
        entry.components = words.collect();
        entry.expand(architectures, &mut sources)?;
    }
    Ok(sources)
}

impl Entry {
    /// An option in brackets: `arch=amd64,i386`, `arch+=i386`. Those that say nothing to us are left out.
    fn option(&mut self, option: &str) {
        let Some((name, value)) = option.split_once('=') else { return };
        let list = || value.split(',').filter(|one| !one.is_empty()).map(str::to_owned).collect::<Vec<_>>();
        match name {
            "arch" => self.architectures = Some(list()),
            "arch+" => self.more_architectures = list(),
            "arch-" => self.less_architectures = list(),
            "signed-by" => self.signed_by = Some(value.replace(',', " ")),
            "trusted" => self.trusted = is_yes(value),
            "by-hash" => self.by_hash = Some(value.to_owned()),
            "check-valid-until" => self.check_valid_until = Some(value.to_owned()),
            _ => {}
        }
    }

    /// Every suite of every archive of it.
    fn expand(self, machine: &[String], into: &mut Vec<Source>) -> Result<(), Problem> {
        let place = &self.place;
        // A disc is no archive that could be asked; apt itself does without it.
        if self.addresses.first().is_some_and(|address| address.starts_with("cdrom:")) {
            return Ok(());
        }
        for (what, list) in [("address", &self.addresses), ("suite", &self.suites)] {
            if list.is_empty() {
                return Err(wrong(&format!("a source has no {what}"), place));
            }
        }
        let native = machine.first().map(String::as_str).unwrap_or_default();
        let mut architectures = self.architectures.clone().unwrap_or_default();
        if !(self.more_architectures.is_empty() && self.less_architectures.is_empty()) {
            if architectures.is_empty() {
                architectures = machine.to_vec();
            }
            architectures.extend_from_slice(&self.more_architectures);
            architectures.retain(|one| !self.less_architectures.contains(one));
        }
        for address in &self.addresses {
            let (address, account) = without_account(&address.replace("$(ARCH)", native));
            let base = base_of(&address, place)?;
            for suite in &self.suites {
                let suite = suite.replace("$(ARCH)", native);
                let names = std::iter::once(&suite).chain(&self.components).chain(&architectures);
                if let Some(name) = names.into_iter().find(|name| !is_path(name)) {
                    return Err(wrong(&format!("{name:?} is no name in an archive"), place));
                }
                if suite.ends_with('/') != self.components.is_empty() {
                    let why =
                        "a suite has components, and a flat repository, whose suite ends in `/`, has none";
                    return Err(wrong(why, place));
                }
                for kind in &self.kinds {
                    into.push(Source {
                        repository: repository_name(&base),
                        base: base.clone(),
                        account: account.clone(),
                        suite: suite.clone(),
                        components: self.components.clone(),
                        kind: *kind,
                        architectures: architectures.clone(),
                        trust: if self.trusted {
                            Trust::Anybody
                        } else {
                            signed_by(self.signed_by.as_deref())
                        },
                        by_hash: self
                            .by_hash
                            .as_deref()
                            .is_none_or(|value| value == "force" || is_yes(value)),
                        check_valid_until: self.check_valid_until.as_deref().is_none_or(is_yes),
                        reach: Reach::default(),
                        place: place.clone(),
                    });
                }
            }
        }
        Ok(())
    }
}

/// What `Signed-By` says: a block of keys, or paths and fingerprints.
pub(super) fn signed_by(value: Option<&str>) -> Trust {
    let Some(value) = value.map(str::trim).filter(|value| !value.is_empty()) else { return Trust::Machine };
    if value.starts_with("-----BEGIN") {
        // A line that is empty there is written as ` .`, and all of them are indented.
        let lines = value.lines().map(str::trim).map(|line| if line == "." { "" } else { line });
        return Trust::Keys(vec![Key::Embedded(lines.collect::<Vec<_>>().join("\n") + "\n")]);
    }
    let keys = value.split([' ', '\t', '\n', ',']).filter(|word| !word.is_empty()).map(|word| {
        if word.starts_with('/') { Key::File(PathBuf::from(word)) } else { Key::Fingerprint(word.to_owned()) }
    });
    Trust::Keys(keys.collect())
}

fn kinds(words: &[String], place: &str) -> Result<Vec<SourceKind>, Problem> {
    if words.is_empty() {
        return Err(wrong("a source has no type", place));
    }
    let kind = |word: &String| match word.as_str() {
        "deb" => Ok(SourceKind::Binary),
        "deb-src" => Ok(SourceKind::Source),
        other => Err(wrong(&format!("{other:?} is no type of source: deb and deb-src are"), place)),
    };
    words.iter().map(kind).collect()
}

fn split(text: &str) -> Vec<String> {
    text.split_whitespace().map(str::to_owned).collect()
}

/// What apt takes for a yes.
fn is_yes(value: &str) -> bool {
    matches!(value.trim().to_ascii_lowercase().as_str(), "yes" | "true" | "with" | "on" | "enable" | "1")
}

fn wrong(why: &str, place: &str) -> Problem {
    Problem::new(Kind::Usage, "apt.source", format!("apt's sources cannot be followed: {why}")).at(place)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn machine() -> Vec<String> {
        vec!["amd64".to_owned(), "i386".to_owned()]
    }

    fn list(text: &str) -> Vec<Source> {
        read_list(text, "x.list", &machine()).unwrap()
    }

    fn deb822(text: &str) -> Vec<Source> {
        read_deb822(text, "x.sources", &machine()).unwrap()
    }

    #[test]
    fn both_forms_say_the_same() {
        let one = deb822(
            "# ours\nTypes: deb deb-src\nURIs: http://mirror.example.test/debian\nSuites: bookworm\n bookworm-updates\n\
             Components: main contrib\nArchitectures: amd64\n# why\nSigned-By: /usr/share/keyrings/a.gpg ABCD\n\
             By-Hash: no\nCheck-Valid-Until: no\n",
        );
        let options =
            "[arch=amd64 signed-by=/usr/share/keyrings/a.gpg,ABCD by-hash=no check-valid-until=no lang=de]";
        let lines = ["bookworm", "bookworm-updates"].map(|suite| {
            ["deb", "deb-src"].map(|kind| {
                format!(
                    "{kind} {options} http://mirror.example.test/debian/ {suite} main contrib # comment\n"
                )
            })
        });
        let mut other = list(&lines.concat().concat());
        for (one, other) in one.iter().zip(&mut other) {
            other.place.clone_from(&one.place);
        }
        assert_eq!(one, other);
        assert_eq!(one.len(), 4);
        assert_eq!(one[0].directory(), "dists/bookworm/");
        assert!(!one[0].by_hash && !one[0].check_valid_until);
        let keys = vec![Key::File("/usr/share/keyrings/a.gpg".into()), Key::Fingerprint("ABCD".to_owned())];
        assert_eq!(one[0].trust, Trust::Keys(keys));
    }

    #[test]
    fn disabled_sources_and_comments_are_none() {
        assert!(
            list("deb cdrom:[Debian GNU/Linux 12 - amd64 DVD 20230610-10:21]/ bookworm main\n").is_empty()
        );
        assert!(list("# deb http://x.example.test a main\n\n   # more\n").is_empty());
        let text = "Types: deb\nEnabled: no\nURIs: http://x.example.test\nSuites: a\nComponents: b\n";
        assert!(deb822(text).is_empty());
        assert_eq!(deb822(&text.replace("no", "yes")).len(), 1);
    }

    #[test]
    fn flat_repositories_have_no_components() {
        for (suite, directory) in [("./", ""), ("/", ""), ("amd64/", "amd64/"), ("$(ARCH)/", "amd64/")] {
            let [source] = &list(&format!("deb http://x.example.test/apt {suite}"))[..] else { panic!() };
            assert_eq!((source.directory().as_str(), source.suite.ends_with('/')), (directory, true));
        }
        for wrong in ["deb http://x.example.test ./ main", "deb http://x.example.test stable"] {
            assert!(read_list(wrong, "x.list", &machine()).unwrap_err().message.contains("flat"));
        }
    }

    #[test]
    fn architectures_are_added_to_and_taken_from_the_machines() {
        let of = |options: &str| {
            list(&format!("deb [{options}] http://x.example.test a main")).remove(0).architectures.join(" ")
        };
        assert_eq!(of(""), "");
        assert_eq!(of("arch=arm64"), "arm64");
        assert_eq!(of("arch+=arm64"), "amd64 i386 arm64");
        assert_eq!(of("arch-=i386"), "amd64");
    }

    #[test]
    fn keys_may_stand_in_the_source_itself() {
        let text = "Types: deb\nURIs: http://x.example.test\nSuites: a\nComponents: b\nSigned-By:\n -----BEGIN PGP \
                    PUBLIC KEY BLOCK-----\n .\n mDMEZ\n -----END PGP PUBLIC KEY BLOCK-----\n";
        let key = "-----BEGIN PGP PUBLIC KEY BLOCK-----\n\nmDMEZ\n-----END PGP PUBLIC KEY BLOCK-----\n";
        assert_eq!(deb822(text)[0].trust, Trust::Keys(vec![Key::Embedded(key.to_owned())]));
    }

    #[test]
    fn mistakes_are_named_with_their_place() {
        for (text, place) in [
            ("deb http://x.example.test a main\nrpm http://x.example.test a main", "x.list:2"),
            ("deb [arch=amd64 http://x.example.test a main", "x.list:1"),
            ("deb", "x.list:1"),
            ("deb http://x.example.test", "x.list:1"),
            ("deb http://x.example.test ../a main", "x.list:1"),
            ("deb file:/srv/debian a main", "x.list:1"),
        ] {
            let problem = read_list(text, "x.list", &machine()).unwrap_err();
            assert_eq!((problem.kind, problem.place.as_deref()), (Kind::Usage, Some(place)), "{text}");
        }
        let twice = "Types: deb\nURIs: http://x.example.test\nSuites: a\nSuites: b\nComponents: c\n";
        let problem = read_deb822(&format!("\n# x\n\n{twice}"), "x.sources", &machine()).unwrap_err();
        assert_eq!(problem.place.as_deref(), Some("x.sources, stanza 1"));
        assert!(problem.message.contains("twice"), "{problem}");
    }
}
