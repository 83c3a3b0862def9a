//! From what was asked for to the places in indices where the packages stand that are needed for it.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Read;

use super::closure;
use super::deb822::Stanzas;
use super::preferences::{self, Pin};
use super::request::{Asked, Base};
use super::solve::{Answer, Engine, Question, Unsolvable, Want, solve};
use super::source::SourceKind;
use super::status::Baseline;
use super::suites::Suites;
use super::systems::System;
use super::universe::{NATIVE, Priority, Universe, VersionId};
use super::version;
use crate::ecosystem::Note;
use crate::problem::{Kind, Problem};

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

/// What is needed.
#[derive(Debug, Default)]
pub(super) struct Chosen {
    /// Of each index, by its place in the list, where the stanzas begin, unpacked, in bytes.
    pub(super) places: BTreeMap<usize, BTreeSet<u64>>,
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
}

/// What was wanted, and what of the universe that needs.
pub(super) struct Answered {
    wanted: Vec<Want>,
    answer: Answer,
}

/// All packages that systems of the same architectures may choose from, and which of the indices each came from.
pub(super) struct Choice {
    universe: Universe,
    /// The universe's numbers of indices, as places in the list of all.
    indices: Vec<usize>,
}

/// The indices, opened, by their places in the list; each is read once.
pub(super) type Packed = Vec<Option<Box<dyn Read + Send>>>;

impl Choice {
    /// Reads all indices of binary packages for these architectures.
    ///
    /// # Errors
    /// If an index cannot be read.
    pub(super) fn read(
        suites: &Suites,
        architectures: &[String],
        packed: &mut Packed,
        chosen: &mut Chosen,
    ) -> Result<Choice, Problem> {
        let names: Vec<&str> = architectures.iter().map(String::as_str).collect();
        let wrong = |why: String| Problem::new(Kind::Usage, "apt.architecture", why);
        let mut choice = Choice { universe: Universe::new(&names).map_err(wrong)?, indices: Vec::new() };
        let mut strange = 0;
        for (place, index) in suites.indices.iter().enumerate() {
            let is_for_us = index.architecture == "all" || names.contains(&index.architecture.as_str());
            if index.kind != SourceKind::Binary || !(is_for_us || index.component.is_empty()) {
                continue;
            }
            let Some(reader) = packed.get_mut(place).and_then(Option::take) else { continue };
            let number = choice.universe.begin_index(suites.facts(index)).map_err(wrong)?;
            choice.indices.push(place);
            let mut stanzas = index.index.stanzas(reader)?;
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

    /// Adds what a system needs for what was asked for.
    ///
    /// # Errors
    /// Incomplete, if something cannot be had, with apt's reasons.
    pub(super) fn add(
        &self,
        asked: &[(String, Asked)],
        system: &System,
        rules: &Rules,
        chosen: &mut Chosen,
    ) -> Result<Vec<Answered>, Problem> {
        let mut wants: Vec<(String, Vec<Want>)> = Vec::new();
        for (text, one) in asked {
            let wanted = self.wants(one, system, text)?;
            if !wanted.is_empty() {
                wants.push((text.clone(), wanted));
            }
        }
        let together: Vec<Want> = wants.iter().flat_map(|(_, wants)| wants.clone()).collect();
        if together.is_empty() {
            return Ok(Vec::new());
        }
        let answered = |wanted: Vec<Want>| {
            let answer = solve(&self.universe, &rules.question(wanted.clone(), system));
            answer.map(|answer| Answered { wanted, answer })
        };
        let answers = match answered(together) {
            Ok(answered) => vec![answered],
            Err(_) if wants.len() > 1 => {
                // What excludes each other is for different systems: each is wanted by itself then.
                let subject = if system.name.is_empty() { "requests" } else { &system.name };
                let why = "not all that was asked for can be installed on one system: each request was resolved by itself";
                chosen.note("apt.not-together", subject, why.to_owned());
                let each = wants.into_iter().map(|(text, wants)| {
                    answered(wants)
                        .map_err(|why| unsolvable(&format!("{text} cannot be installed"), system, why))
                });
                each.collect::<Result<_, _>>()?
            }
            Err(why) => {
                let text = wants.first().map(|(text, _)| text.as_str()).unwrap_or_default();
                return Err(unsolvable(&format!("{text} cannot be installed"), system, why));
            }
        };
        for Answered { answer, .. } in &answers {
            for why in &answer.strange {
                chosen.note("apt.strange-status", &system.name, why.clone());
            }
            for version in &answer.install {
                self.place(*version, chosen);
            }
        }
        Ok(answers)
    }

    /// Proves that a system which sees nothing but what is carried gets what it was asked for. `carried` has the stanzas by
    /// the places of their indices.
    ///
    /// # Errors
    /// Incomplete, with apt's reasons, if it does not.
    pub(super) fn prove(
        &self,
        (system, answers): (&System, &[Answered]),
        (suites, carried): (&Suites, &BTreeMap<usize, Vec<u8>>),
        rules: &Rules,
        chosen: &mut Chosen,
    ) -> Result<(), Problem> {
        let names: Vec<&str> = system.architectures.iter().map(String::as_str).collect();
        let wrong = |why: String| Problem::new(Kind::Failed, "apt.closure", why);
        let mut inside = Universe::new(&names).map_err(wrong)?;
        for place in &self.indices {
            let Some(index) = suites.indices.get(*place) else { continue };
            let number = inside.begin_index(suites.facts(index)).map_err(wrong)?;
            let mut stanzas = Stanzas::new(carried.get(place).map(Vec::as_slice).unwrap_or_default());
            while let Some(stanza) = stanzas.next().map_err(|error| index.index.damaged(&error))? {
                // One that is for other systems alone is none to this one.
                let _ = inside.add(number, &stanza, stanza.offset);
            }
        }
        for Answered { wanted, answer } in answers {
            let question = rules.question(wanted.clone(), system);
            let others = closure::prove(&inside, &question, (&self.universe, answer))
                .map_err(|why| unsolvable("what would be carried is not enough", system, why))?;
            for other in others {
                let why = "apt will choose it inside, where it sees less than outside";
                chosen.note("apt.other-choice", &other, why.to_owned());
            }
        }
        Ok(())
    }

    /// Every place where a version is to be had: each suite that has it is to have it inside.
    fn place(&self, version: VersionId, chosen: &mut Chosen) {
        for origin in self.universe.origins(version) {
            let place = origin.index.and_then(|index| self.indices.get(usize::from(index)));
            if let Some(place) = place {
                chosen.places.entry(*place).or_default().insert(origin.place);
            }
        }
    }

    fn wants(&self, asked: &Asked, system: &System, text: &str) -> Result<Vec<Want>, Problem> {
        if asked.needs_baseline() && system.baseline.is_none() {
            let message = format!("{text} asks what machines lack, and no machine is known");
            return Err(Problem::new(Kind::Usage, "apt.no-baseline", message).hint(
                "name captures of the machines in aftk.toml: [[apt]] baseline = [\"captures/web01\"]; \"this-machine\" is the one that collects",
            ));
        }
        match asked {
            Asked::Want(want) => Ok(vec![want.clone()]),
            Asked::Base(base) => Ok(self.base(*base)),
            Asked::Security => {
                system.baseline.as_ref().map_or_else(|| Ok(Vec::new()), |one| self.security(one))
            }
            // All of it is taken without being asked, and lists were read before.
            Asked::All | Asked::List(_) => Ok(Vec::new()),
        }
    }

    /// What a system begins with: by priority, as debootstrap finds it.
    fn base(&self, base: Base) -> Vec<Want> {
        let universe = &self.universe;
        let is_in = |version: VersionId| match universe.priority(version) {
            Priority::Required => true,
            Priority::Important => base == Base::Debootstrap,
            _ => false,
        };
        let native = universe.packages().filter(|package| universe.architecture_of(*package) == NATIVE);
        let names = native.filter(|package| {
            let newest = universe.versions(*package).first();
            newest.is_some_and(|version| is_in(*version) || universe.is_essential(*package))
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
        let mut stanzas = Stanzas::new(&*baseline.status);
        let wrong = |error: std::io::Error| {
            Problem::new(Kind::Usage, "apt.baseline", "a machine's dpkg status cannot be read")
                .caused_by(&error)
        };
        while let Some(stanza) = stanzas.next().map_err(wrong)? {
            let is_installed = stanza.text("Status").is_some_and(|status| status.ends_with(" installed"));
            let field = |name| stanza.text(name).unwrap_or_default();
            let architecture = match field("Architecture") {
                "all" => Some(NATIVE),
                other => universe.architecture(other),
            };
            let package = architecture.and_then(|one| universe.find_package(field("Package"), one));
            let Some(package) = package.filter(|_| is_installed) else { continue };
            let later =
                universe.versions(package).iter().filter(|version| from_security(version)).find(|version| {
                    version::compare(universe.version_text(**version), field("Version")).is_gt()
                });
            if let Some(later) = later {
                let native = universe.architecture_of(package) == NATIVE;
                wants.push(Want::Package {
                    name: field("Package").to_owned(),
                    architecture: Some(field("Architecture").to_owned()).filter(|_| !native),
                    version: Some(universe.version_text(*later).to_owned()),
                    suite: None,
                });
            }
        }
        Ok(wants)
    }
}

impl Chosen {
    fn note(&mut self, code: &str, subject: &str, message: String) {
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
        pins.extend(read.map_err(|why| Problem::new(Kind::Usage, "apt.preferences", why).at(place))?);
    }
    Ok(pins)
}

fn unsolvable(what: &str, system: &System, unsolvable: Unsolvable) -> Problem {
    let on = if system.name.is_empty() { String::new() } else { format!(" on {}", system.name) };
    let mut problem = Problem::new(Kind::Incomplete, "apt.unsolvable", format!("{what}{on}"));
    problem.causes = unsolvable.reasons;
    problem.hint("apt would say the same: are all suites among the sources that it needs?")
}
