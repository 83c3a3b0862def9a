//! What the real apt answers, as the solver is held to it.

use std::collections::BTreeSet;
use std::fs::{self, File};

use bundle_format::BlobKey;

use super::deb822::{Stanza, Stanzas};
use super::solve::cases::Case;
use super::status::Baseline;
use super::universe::{IndexFacts, Universe};
use crate::apt_private;
use crate::command::{self, run};

/// What apt says of an index, a line each: where it is, and what pins may ask about it.
const FORMAT: &str =
    "$(FILENAME)|$(SUITE)|$(CODENAME)|$(ORIGIN)|$(LABEL)|$(VERSION)|$(COMPONENT)|$(ARCHITECTURE)|$(SITE)";

/// An apt for some architectures.
pub(super) struct Apt(apt_private::Apt);

/// What apt would do: packages as `name:architecture=version`, and the names of those it would remove.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Outcome {
    pub(super) install: BTreeSet<String>,
    pub(super) remove: BTreeSet<String>,
}

impl Apt {
    /// With the indices of this machine's Debian, fetched now.
    pub(super) fn of_this_machine(architectures: &[&str]) -> Apt {
        let apt = Apt::empty(architectures);
        fs::copy("/etc/apt/sources.list.d/debian.sources", apt.0.path("etc/sources.list.d/debian.sources"))
            .expect("this machine has Debian's sources");
        // A mirror may be in the midst of an update; what apt takes in is what both answer from.
        apt.get(&["update"]);
        apt
    }

    /// With a small archive.
    pub(super) fn of_case(case: &Case) -> Apt {
        let architectures: Vec<&str> = case.architectures.iter().map(String::as_str).collect();
        let apt = Apt::empty(&architectures);
        let mut sources = String::new();
        for index in &case.indices {
            let suite = format!("archive/dists/{}", index.suite);
            let mut release = format!(
                "Origin: Fixture\nLabel: Fixture\nSuite: {0}\nCodename: {0}\nDate: Sat, 01 Jan 2022 00:00:00 UTC\n\
                 Architectures: {1}\nComponents: main\n",
                index.suite,
                case.architectures.join(" ")
            );
            for flag in &index.flags {
                release += &format!("{flag}: yes\n");
            }
            release += "SHA256:\n";
            for architecture in &architectures {
                let path = format!("main/binary-{architecture}/Packages");
                let packages: String = index.of(architecture).map(published).collect();
                fs::create_dir_all(apt.0.path(&suite).join(&path).parent().unwrap()).unwrap();
                fs::write(apt.0.path(&suite).join(&path), &packages).unwrap();
                release +=
                    &format!(" {} {} {path}\n", BlobKey::of(packages.as_bytes()).hex(), packages.len());
            }
            fs::write(apt.0.path(&suite).join("Release"), release).unwrap();
            let root = apt.0.path("archive");
            sources += &format!("deb [trusted=yes] file:{} {} main\n", root.display(), index.suite);
        }
        fs::write(apt.0.path("etc/sources.list"), sources).unwrap();
        fs::write(apt.0.path("etc/preferences"), &case.preferences).unwrap();
        apt.set_baseline(&case.baseline);
        apt.get(&["update"]).succeeded();
        apt
    }

    fn empty(architectures: &[&str]) -> Apt {
        let mut configuration = format!(
            "APT::Architecture \"{}\";\nAPT::Get::Always-Include-Phased-Updates \"1\";\n",
            architectures[0]
        );
        for architecture in architectures {
            configuration += &format!("APT::Architectures:: \"{architecture}\";\n");
        }
        Apt(apt_private::Apt::new(&configuration))
    }

    pub(super) fn set_baseline(&self, baseline: &Baseline) {
        self.0.set_status(&baseline.status, &baseline.extended_states);
    }

    fn get(&self, words: &[&str]) -> command::Outcome {
        run(&mut self.0.get(words))
    }

    /// What it would do, or what it says why not.
    pub(super) fn would(&self, words: &[&str]) -> Result<Outcome, String> {
        let said = self.get(&[&["-y", "--allow-change-held-packages", "--print-uris"], words].concat());
        if said.code != Some(0) {
            return Err(said.stdout + &said.stderr);
        }
        let mut outcome = Outcome::default();
        let mut removing = false;
        for line in said.stdout.lines() {
            if let Some(line) = line.strip_prefix('\'') {
                // 'address' name_version_architecture.deb size hash
                let file = line.split(' ').nth(1).unwrap().trim_end_matches(".deb");
                let [name, version, architecture] = file.split('_').collect::<Vec<_>>()[..] else {
                    panic!("{line}")
                };
                let version = version.replace("%3a", ":").replace("%3A", ":");
                outcome.install.insert(format!("{name}:{architecture}={version}"));
            } else if line.starts_with("  ") {
                if removing {
                    let names =
                        line.split_ascii_whitespace().map(|name| name.trim_end_matches('*').to_owned());
                    outcome.remove.extend(names);
                }
            } else {
                removing = line.starts_with("The following packages will be REMOVED");
            }
        }
        Ok(outcome)
    }

    /// Its indices, in its order.
    pub(super) fn universe(&self, architectures: &[&str]) -> Universe {
        let targets = self.get(&["indextargets", "--format", FORMAT, "Created-By: Packages"]);
        let mut universe = Universe::new(architectures).unwrap();
        for line in targets.stdout.lines() {
            let fields: Vec<&str> = line.split('|').collect();
            let [file, archive, codename, origin, label, version, component, architecture, site] = fields[..]
            else {
                panic!("{line}")
            };
            if !fs::exists(file).unwrap() {
                continue;
            }
            let text = str::to_owned;
            let facts = IndexFacts {
                archive: text(archive),
                codename: text(codename),
                origin: text(origin),
                label: text(label),
                version: text(version),
                component: text(component),
                architecture: text(architecture),
                site: text(site),
                not_automatic: release_says(file, "NotAutomatic"),
                but_automatic_upgrades: release_says(file, "ButAutomaticUpgrades"),
            };
            let index = universe.begin_index(facts).unwrap();
            let mut stanzas = Stanzas::new(File::open(file).unwrap());
            while let Some(stanza) = stanzas.next().unwrap() {
                universe.add(index, &stanza, stanza.offset).unwrap();
            }
        }
        assert!(universe.version_count() > 10_000, "apt has no indices");
        universe
    }
}

/// Whether the Release beside an index says yes to a field that apt does not print.
fn release_says(index: &str, field: &str) -> bool {
    let places = index.match_indices('_').map(|(place, _)| format!("{}_InRelease", &index[..place]));
    let release =
        places.filter_map(|path| fs::read_to_string(path).ok()).next().expect("each index has a Release");
    release.lines().any(|line| line == format!("{field}: yes"))
}

/// A stanza with what apt wants to know of its file.
fn published(stanza: &str) -> String {
    let field = |name| Stanza::only(stanza.as_bytes()).text(name).unwrap();
    let file = format!(
        "{}_{}_{}.deb",
        field("Package"),
        field("Version").replace(':', "%3a"),
        field("Architecture")
    );
    format!("{stanza}Filename: pool/{file}\nSize: 1\nSHA256: {}\n\n", BlobKey::of(stanza.as_bytes()).hex())
}
