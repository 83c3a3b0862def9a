//! From what was asked for to the places in indices where the packages stand that are needed for it.

use std::collections::{BTreeMap, BTreeSet};

use super::deb822::Stanzas;
use super::preferences::{self, Pin};
use super::request::{Asked, Base};
use super::solve::{Answer, Engine, Question, Unsolvable, Want, solve};
use super::source::SourceKind;
use super::status::Baseline;
use super::suites::Suites;
use super::systems::System;
use super::universe::{Kind, NATIVE, Origin, PackageId, Priority, Universe, VersionId};
use super::unpacked::Texts;
use super::{bootstrap, leading, version};
use crate::ecosystem::Note;
use crate::problem::{self, Problem};

/// More stanzas than these that cannot be understood are only counted.
const MOST_NOTES: usize = 20;

/// How it is decided what is needed.
#[derive(Debug, Clone, Default)]
pub(super) struct Rules {
    pub(super) engine: Engine,
    pub(super) recommends: bool,
    pub(super) suggests: bool,
    pub(super) pins: Vec<Pin>,
    pub(super) target_release: String,
}

/// Of each index, by its place in the list, where the stanzas begin, unpacked, in bytes; and of each stanza the requests
/// that lead to it, by their numbers.
pub(super) type Places = BTreeMap<usize, BTreeMap<u64, BTreeSet<usize>>>;

/// What is needed.
#[derive(Debug, Clone, Default)]
pub(super) struct Chosen {
    pub(super) places: Places,
    pub(super) notes: BTreeSet<Note>,
}

impl Rules {
    fn question<'a>(&'a self, wanted: Vec<Want>, system: &'a System) -> Question<'a> {
        Question {
            wanted,
            recommends: self.recommends,
            suggests: self.suggests,
            baseline: system.baseline.as_ref(),
            pins: &self.pins,
            target_release: &self.target_release,
            engine: self.engine,
        }
    }

    /// Whether what a dependency names is installed as well.
    fn follow(&self, kind: Kind) -> bool {
        match kind {
            Kind::PreDepends | Kind::Depends => true,
            Kind::Recommends => self.recommends,
            Kind::Suggests => self.suggests,
            Kind::Conflicts | Kind::Breaks => false,
        }
    }
}

/// What apt would do on a system: packages as `name:architecture=version`, and the names of those that it would remove.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Outcome {
    pub(super) install: BTreeSet<String>,
    pub(super) remove: BTreeSet<String>,
}

/// All packages that systems of the same architectures may choose from, and which of the indices each came from.
pub(super) struct Choice {
    universe: Universe,
    /// The universe's numbers of indices, as places in the list of all.
    indices: Vec<usize>,
}

impl Choice {
    /// Reads all indices of binary packages for these architectures.
    ///
    /// # Errors
    /// If an index cannot be read.
    pub(super) fn read(
        suites: &Suites,
        architectures: &[String],
        texts: &mut Texts,
        chosen: &mut Chosen,
    ) -> Result<Choice, Problem> {
        let names: Vec<&str> = architectures.iter().map(String::as_str).collect();
        let wrong = |why: String| Problem::new(problem::Kind::Usage, "apt.architecture", why);
        let mut choice = Choice { universe: Universe::new(&names).map_err(wrong)?, indices: Vec::new() };
        let mut strange = 0;
        for (place, index) in suites.indices.iter().enumerate() {
            let is_for_us = index.architecture == "all" || names.contains(&index.architecture.as_str());
            if index.kind != SourceKind::Binary || !(is_for_us || index.component.is_empty()) {
                continue;
            }
            let Some(reader) = texts.get_mut(place).and_then(Option::take) else { continue };
            let number = choice.universe.begin_index(suites.facts(index)).map_err(wrong)?;
            choice.indices.push(place);
            let mut stanzas = Stanzas::new(reader);
            while let Some(stanza) = stanzas.next().map_err(|error| index.index.damaged(&error))? {
                // A flat repository lists the packages of all architectures in one index.
                let is_foreign = |one: &str| one != "all" && !names.contains(&one);
                if index.component.is_empty() && stanza.text("Architecture").is_some_and(is_foreign) {
                    continue;
                }
                let Err(why) = choice.universe.add(number, &stanza, stanza.offset) else { continue };
                strange += 1;
                if strange <= MOST_NOTES {
                    chosen.note("apt.strange-stanza", &index.index.path, why);
                }
            }
        }
        if strange > MOST_NOTES {
            chosen.note(
                "apt.strange-stanza",
                "indices",
                format!("{strange} packages could not be understood"),
            );
        }
        Ok(choice)
    }

    /// Adds what a system needs for what was asked for, and says what apt would do there.
    ///
    /// # Errors
    /// Incomplete, if something cannot be had, with apt's reasons.
    pub(super) fn add(
        &self,
        asked: &[(String, Asked)],
        system: &System,
        rules: &Rules,
        chosen: &mut Chosen,
    ) -> Result<Outcome, Problem> {
        let mut wants: Vec<(usize, Vec<Want>)> = Vec::new();
        for (number, (text, one)) in asked.iter().enumerate().filter(|(_, (_, one))| system.is_asked(one)) {
            let wanted = self.wants(one, system, text)?;
            if !wanted.is_empty() {
                wants.push((number, wanted));
            }
        }
        let mut outcome = Outcome::default();
        if wants.is_empty() {
            return Ok(outcome);
        }
        let answered = |wants: Vec<(usize, Vec<Want>)>| {
            let wanted = wants.iter().flat_map(|(_, wants)| wants.clone()).collect();
            solve(&self.universe, &rules.question(wanted, system)).map(|answer| (wants, answer))
        };
        let text_of = |number: usize| asked.get(number).map_or("", |(text, _)| text);
        let answers: Vec<(_, Answer)> = match answered(wants.clone()) {
            Ok(answered) => vec![answered],
            Err(_) if wants.len() > 1 => {
                // What excludes each other is for different systems: each is wanted by itself then.
                let subject = if system.name.is_empty() { "requests" } else { &system.name };
                let why = "not all that was asked for can be installed on one system: each request was resolved by itself";
                chosen.note("apt.not-together", subject, why.to_owned());
                let each = wants.into_iter().map(|(number, wanted)| {
                    answered(vec![(number, wanted)]).map_err(|why| {
                        unsolvable(&format!("{} cannot be installed", text_of(number)), system, why)
                    })
                });
                each.collect::<Result<_, _>>()?
            }
            Err(why) => {
                let text = wants.first().map(|(number, _)| text_of(*number)).unwrap_or_default();
                return Err(unsolvable(&format!("{text} cannot be installed"), system, why));
            }
        };
        for (wants, answer) in &answers {
            outcome.install.extend(answer.install.iter().map(|version| self.universe.file_name(*version)));
            outcome.remove.extend(answer.remove.iter().cloned());
            for why in &answer.strange {
                chosen.note("apt.strange-status", &system.name, why.clone());
            }
            let led = leading::requests_of(&self.universe, wants, &answer.install, |kind| rules.follow(kind));
            for (version, requests) in led {
                // Each suite that has it is to have it inside.
                self.universe.origins(version).for_each(|origin| self.place(origin, &requests, chosen));
            }
        }
        Ok(outcome)
    }

    /// Adds packages as a system has them already, by their names; gives back those that are to be had nowhere.
    ///
    /// # Errors
    /// If the system's status cannot be read.
    pub(super) fn keep<'a>(
        &self,
        names: &'a BTreeSet<String>,
        (system, requests): (&System, &BTreeSet<usize>),
        chosen: &mut Chosen,
    ) -> Result<BTreeSet<&'a str>, Problem> {
        let mut left: BTreeSet<&str> = names.iter().map(String::as_str).collect();
        let Some(baseline) = &system.baseline else { return Ok(left) };
        self.each_installed(baseline, |package, version_text| {
            let universe = &self.universe;
            let shown = universe.shown(package);
            if !left.contains(&*shown) {
                return;
            }
            let is_it = |version: &&VersionId| universe.version_text(**version) == version_text;
            let versions = universe.versions(package).iter().filter(is_it);
            let mut is_there = false;
            for origin in versions.flat_map(|version| universe.origins(*version)) {
                is_there = true;
                self.place(origin, requests, chosen);
            }
            if is_there {
                left.remove(&*shown);
            }
        })?;
        Ok(left)
    }

    /// Adds what debootstrap builds systems of, if that was asked for: of each suite by itself.
    ///
    /// # Errors
    /// Incomplete, if no suite has what it begins with.
    pub(super) fn bootstrap(
        &self,
        asked: &[(String, Asked)],
        suites: &Suites,
        chosen: &mut Chosen,
    ) -> Result<(), Problem> {
        let is_asked = |asked: &Asked| *asked == Asked::Base(Base::Debootstrap);
        let asked = asked.iter().enumerate().filter(|(_, (_, asked))| is_asked(asked));
        let requests: BTreeSet<usize> = asked.map(|(number, _)| number).collect();
        if requests.is_empty() {
            return Ok(());
        }
        let suite_of = |index: u16| {
            let place = self.indices.get(usize::from(index))?;
            suites.indices.get(*place).map(|index| index.suite)
        };
        let sets = bootstrap::sets(&self.universe, suite_of);
        if sets.is_empty() {
            let message = "no suite has what debootstrap begins with: base-files, base-passwd and dpkg";
            return Err(Problem::new(problem::Kind::Incomplete, "apt.no-base", message)
                .hint("name the archive's own suite among the sources, not only those of its updates"));
        }
        for (_, origin) in sets.into_values().flatten() {
            self.place(origin, &requests, chosen);
        }
        Ok(())
    }

    /// Notes where a stanza stands that some requests lead to.
    fn place(&self, origin: Origin, requests: &BTreeSet<usize>, chosen: &mut Chosen) {
        if let Some(place) = origin.index.and_then(|index| self.indices.get(usize::from(index))) {
            chosen.places.entry(*place).or_default().entry(origin.place).or_default().extend(requests);
        }
    }

    fn wants(&self, asked: &Asked, system: &System, text: &str) -> Result<Vec<Want>, Problem> {
        if asked.needs_baseline() && system.baseline.is_none() {
            let message = format!("{text} asks what machines lack, and no machine is known");
            return Err(Problem::new(problem::Kind::Usage, "apt.no-baseline", message).hint(
                "name captures of the machines in aftk.toml: [[apt]] baseline = [\"captures/web01\"]; \"this-machine\" is the one that collects",
            ));
        }
        match asked {
            Asked::Want(want) => Ok(vec![want.clone()]),
            Asked::Base(Base::Minimal) => Ok(self.minimal_base()),
            Asked::Security => {
                system.baseline.as_ref().map_or_else(|| Ok(Vec::new()), |one| self.security(one))
            }
            // All of it is taken without being asked, what debootstrap takes is no choice of apt's, and lists were read before.
            Asked::All | Asked::Base(Base::Debootstrap) | Asked::List(_) => Ok(Vec::new()),
        }
    }

    /// What mmdebstrap begins a system with, which asks apt for it: by priority, of all suites together.
    fn minimal_base(&self) -> Vec<Want> {
        let universe = &self.universe;
        let native = universe.packages().filter(|package| universe.architecture_of(*package) == NATIVE);
        let names = native.filter(|package| {
            let newest = universe.versions(*package).first();
            let is_required = |version: &VersionId| universe.priority(*version) == Priority::Required;
            newest.is_some_and(is_required) || universe.is_essential(*package)
        });
        let mut wants: Vec<Want> =
            names.map(|package| Want::package(universe.name_text(universe.name(package)))).collect();
        let apt = Want::package("apt");
        if !wants.contains(&apt) {
            wants.push(apt);
        }
        wants
    }

    /// Of what a machine has, what a suite of security updates has in a later version.
    fn security(&self, baseline: &Baseline) -> Result<Vec<Want>, Problem> {
        let universe = &self.universe;
        let from_security = |version: &VersionId| {
            let indices = universe.origins(*version).filter_map(|origin| origin.index);
            let mut facts = indices.filter_map(|index| universe.indices().get(usize::from(index)));
            facts.any(|facts| {
                facts.label.to_ascii_lowercase().contains("security") || facts.archive.ends_with("-security")
            })
        };
        let mut wants = Vec::new();
        self.each_installed(baseline, |package, installed| {
            let later = universe
                .versions(package)
                .iter()
                .filter(|version| from_security(version))
                .find(|version| version::compare(universe.version_text(**version), installed).is_gt());
            if let Some(later) = later {
                let architecture = universe.architecture_of(package);
                wants.push(Want::Package {
                    name: universe.name_text(universe.name(package)).to_owned(),
                    architecture: universe.architecture_name(architecture).filter(|_| architecture != NATIVE),
                    version: Some(universe.version_text(*later).to_owned()),
                    suite: None,
                });
            }
        })?;
        Ok(wants)
    }
}

impl Choice {
    /// Goes through what a machine has installed: the packages that the universe knows, and their versions there.
    fn each_installed(
        &self,
        baseline: &Baseline,
        mut each: impl FnMut(PackageId, &str),
    ) -> Result<(), Problem> {
        let mut stanzas = Stanzas::new(&*baseline.status);
        let wrong = |error: std::io::Error| {
            Problem::new(problem::Kind::Usage, "apt.baseline", "a machine's dpkg status cannot be read")
                .caused_by(&error)
        };
        while let Some(stanza) = stanzas.next().map_err(wrong)? {
            let is_installed = stanza.text("Status").is_some_and(|status| status.ends_with(" installed"));
            let field = |name| stanza.text(name).unwrap_or_default();
            let architecture = self.universe.architecture(field("Architecture"));
            let package = architecture.and_then(|one| self.universe.find_package(field("Package"), one));
            if let Some(package) = package.filter(|_| is_installed) {
                each(package, field("Version"));
            }
        }
        Ok(())
    }
}

impl Chosen {
    pub(super) fn note(&mut self, code: &str, subject: &str, message: String) {
        self.notes.insert(Note { code: code.to_owned(), subject: subject.to_owned(), message });
    }
}

/// Reads preferences files.
///
/// # Errors
/// Usage, with the file.
pub(super) fn pins(files: &[(String, String)]) -> Result<Vec<Pin>, Problem> {
    let mut pins = Vec::new();
    for (place, text) in files {
        let read = preferences::read(text);
        pins.extend(
            read.map_err(|why| Problem::new(problem::Kind::Usage, "apt.preferences", why).at(place))?,
        );
    }
    Ok(pins)
}

fn unsolvable(what: &str, system: &System, unsolvable: Unsolvable) -> Problem {
    let on = if system.name.is_empty() { String::new() } else { format!(" on {}", system.name) };
    let mut problem = Problem::new(problem::Kind::Incomplete, "apt.unsolvable", format!("{what}{on}"));
    problem.causes = unsolvable.reasons;
    problem.hint("apt would say the same: are all suites among the sources that it needs?")
}
