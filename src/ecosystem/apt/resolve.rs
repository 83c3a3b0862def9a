//! Resolving: what was asked for, to packages with all that proves them.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::path::Path;
use std::sync::Arc;

use bundle_format::{BlobKey, Repository};
use serde_json::Value;

use super::choose::{Choice, Chosen, Outcome, Places};
use super::credentials::Ways;
use super::deb822::{Stanza, Stanzas};
use super::request::Asked;
use super::solve::Engine;
use super::source::SourceKind;
use super::suites::Suites;
use super::task::Task;
use super::unpacked::{Texts, Unpacked};
use super::{EVIDENCE, prove, record, relation};
use crate::blocking::blocking;
use crate::ecosystem::{CollectContext, Evidence, Gap, Note, Planned, Request, Resolution};
use crate::problem::Problem;
use crate::spill::Sorter;

/// Resolves requests.
///
/// # Errors
/// If a suite is not believed or cannot be had, or something that was asked for cannot be installed.
pub(super) async fn resolve(
    requests: &[Request],
    platforms: &[String],
    context: &dyn CollectContext,
) -> Result<Resolution, Problem> {
    let task = Task::load(requests, platforms, context).await?;
    let ways = Ways::load(&task.machine, &task.options.sources, context).await?;
    let of = (&task.machine, &ways);
    let suites = Suites::fetch(&task.options, &task.architectures(), of, context).await?;
    let (suites, task) = (Arc::new(suites), Arc::new(task));

    let mut unpacked = Unpacked::default();
    let (mut chosen, mut outside) = (Chosen::default(), Vec::new());
    for systems in task.of_same_architectures() {
        let mut texts =
            unpacked.open(&suites, context, |place| suites.is_of(place, SourceKind::Binary)).await?;
        let (suites, task) = (suites.clone(), task.clone());
        let group = blocking(move || {
            let outcomes = task.choose(&systems, &task.rules, (&suites, &mut texts), &mut chosen)?;
            Ok((chosen, outcomes))
        });
        let outcomes;
        (chosen, outcomes) = group.await?;
        outside.push(outcomes);
    }
    let mut resolution = take(&task, (&suites, &mut unpacked), &chosen, context).await?;
    if resolution.gaps.is_empty() && !task.is_all_wanted() && task.rules.engine == Engine::Exact {
        let before = chosen.places.clone();
        chosen =
            keep_what_is_there(&task, (&suites, &mut unpacked), (&resolution, &outside), chosen, context)
                .await?;
        if chosen.places != before {
            resolution = take(&task, (&suites, &mut unpacked), &chosen, context).await?;
        }
    }
    resolution.notes.extend(chosen.notes);
    Ok(resolution)
}

/// To apt, what no archive has is worth less than what one has: inside it would remove packages that it keeps outside, where
/// one has to go. What a machine has and would lose by that is carried as it is there.
async fn keep_what_is_there(
    task: &Arc<Task>,
    (suites, unpacked): (&Arc<Suites>, &mut Unpacked),
    (resolution, outside): (&Resolution, &[Vec<Outcome>]),
    mut chosen: Chosen,
    context: &dyn CollectContext,
) -> Result<Chosen, Problem> {
    if task.systems.iter().all(|system| system.baseline.is_none()) {
        return Ok(chosen);
    }
    // A lock is proved for what requests ask for, with the reasons, when all of it is there.
    let Ok(inside) = prove::inside(task, &resolution.artifacts, context).await else { return Ok(chosen) };
    for ((systems, outside), inside) in task.of_same_architectures().into_iter().zip(outside).zip(inside) {
        let lost = outside.iter().zip(&inside).map(|(outside, inside)| &inside.remove - &outside.remove);
        let lost: Vec<BTreeSet<String>> = lost.collect();
        if lost.iter().all(BTreeSet::is_empty) {
            continue;
        }
        let mut texts =
            unpacked.open(suites, context, |place| suites.is_of(place, SourceKind::Binary)).await?;
        let (suites, task) = (suites.clone(), task.clone());
        chosen = blocking(move || {
            let systems = || systems.iter().filter_map(|number| task.systems.get(*number));
            let architectures = systems().next().map_or(&[][..], |first| &first.architectures);
            let choice = Choice::read(&suites, architectures, &mut texts, &mut chosen)?;
            let requests: BTreeSet<usize> = (0..task.asked.len()).collect();
            for (system, lost) in systems().zip(&lost) {
                for name in choice.keep(lost, (system, &requests), &mut chosen)? {
                    let why = "apt will remove it inside, where it sees less than outside; no source has the version that is there";
                    chosen.note("apt.removed-inside", &format!("{name} on {}", system.name), why.to_owned());
                }
            }
            Ok(chosen)
        })
        .await?;
    }
    Ok(chosen)
}

/// Takes what was chosen out of the indices.
async fn take(
    task: &Arc<Task>,
    (suites, unpacked): (&Arc<Suites>, &mut Unpacked),
    chosen: &Chosen,
    context: &dyn CollectContext,
) -> Result<Resolution, Problem> {
    let all = task.is_all_wanted();
    let is_chosen =
        |place: usize| suites.is_of(place, SourceKind::Binary) && (all || chosen.places.contains_key(&place));
    let is_source = |place: usize| task.options.with_sources && suites.is_of(place, SourceKind::Source);
    let texts = unpacked.open(suites, context, is_chosen).await?;
    let of_sources = unpacked.open(suites, context, is_source).await?;
    let (before, scratch) = (context.locked(EVIDENCE).await?, context.scratch().to_owned());
    let (task, suites, places) = (task.clone(), suites.clone(), chosen.places.clone());
    blocking(move || {
        let mut taking = Taking::new(&suites, &task.asked, &scratch);
        taking.binaries(texts, if all { None } else { Some(&places) })?;
        if task.options.with_sources {
            taking.sources(of_sources)?;
        }
        taking.finish(&before)
    })
    .await
}

/// A package's repository, name, version and qualifier.
type Named = [String; 4];

/// Takes packages out of the indices.
struct Taking<'a> {
    suites: &'a Suites,
    asked: &'a [(String, Asked)],
    scratch: &'a Path,
    artifacts: Sorter<Planned>,
    /// What was taken, since `Architecture: all` stands in the index of every architecture: its stanza, and for whom.
    taken: HashMap<Named, (BlobKey, BTreeSet<usize>)>,
    /// Places of indices that something was taken from.
    used: BTreeSet<usize>,
    gaps: Vec<Gap>,
    notes: Vec<Note>,
    /// The source packages of what was taken, and which of them were only built in.
    made_from: BTreeMap<(String, String), (MadeFrom, BTreeSet<usize>)>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum MadeFrom {
    /// The package itself was.
    Itself,
    /// Something of it stands in the package.
    BuiltIn,
    Found,
}

impl<'a> Taking<'a> {
    fn new(suites: &'a Suites, asked: &'a [(String, Asked)], scratch: &'a Path) -> Taking<'a> {
        Taking {
            suites,
            asked,
            scratch,
            artifacts: Sorter::new(scratch),
            taken: HashMap::new(),
            used: BTreeSet::new(),
            gaps: Vec::new(),
            notes: suites.notes.clone(),
            made_from: BTreeMap::new(),
        }
    }

    /// Takes the binary packages at these places, or all.
    fn binaries(&mut self, mut texts: Texts, places: Option<&Places>) -> Result<(), Problem> {
        let suites = self.suites;
        let of_all: BTreeSet<usize> = (0..self.asked.len()).collect();
        for (place, index) in suites.indices.iter().enumerate() {
            let wanted = places.map(|places| places.get(&place));
            let Some(reader) = texts.get_mut(place).and_then(Option::take) else { continue };
            if index.kind != SourceKind::Binary || wanted == Some(None) {
                continue;
            }
            let suite = &suites.suites[index.suite];
            let mut left = wanted.flatten().map(BTreeMap::len);
            let mut stanzas = Stanzas::new(reader);
            while left != Some(0) {
                let stanza = stanzas.next().map_err(|error| index.index.damaged(&error))?;
                let Some(stanza) = stanza else { break };
                let requests = match wanted.flatten() {
                    None => &of_all,
                    Some(wanted) => match wanted.get(&stanza.offset) {
                        None => continue,
                        Some(requests) => requests,
                    },
                };
                left = left.map(|left| left - 1);
                match record::binary(&stanza, suite, index) {
                    Ok(planned) => {
                        self.is_made_from(&stanza, requests);
                        self.take(planned, place, requests)?;
                    }
                    Err(gap) => self.gaps.push(gap),
                }
            }
        }
        Ok(())
    }

    /// Takes the source packages of what was taken.
    fn sources(&mut self, mut texts: Texts) -> Result<(), Problem> {
        let suites = self.suites;
        for (place, index) in suites.indices.iter().enumerate() {
            if index.kind != SourceKind::Source {
                continue;
            }
            let Some(reader) = texts.get_mut(place).and_then(Option::take) else { continue };
            let mut stanzas = Stanzas::new(reader);
            while let Some(stanza) = stanzas.next().map_err(|error| index.index.damaged(&error))? {
                let field = |name| stanza.text(name).unwrap_or_default().to_owned();
                let key = (field("Package"), field("Version"));
                let Some((state, requests)) = self.made_from.get_mut(&key) else { continue };
                *state = MadeFrom::Found;
                let requests = requests.clone();
                match record::source(&stanza, &suites.suites[index.suite], index) {
                    Ok(planned) => self.take(planned, place, &requests)?,
                    Err(gap) => self.gaps.push(gap),
                }
            }
        }
        for ((name, version), (state, _)) in std::mem::take(&mut self.made_from) {
            let detail = "no source that is configured has this source package: has each suite its deb-src?"
                .to_owned();
            match state {
                MadeFrom::Found => {}
                MadeFrom::Itself => self.gaps.push(Gap {
                    ecosystem: "apt".to_owned(),
                    name: format!("src:{name}"),
                    version,
                    reason: "not-found".to_owned(),
                    detail,
                }),
                // Archives do not keep every version that was once built in.
                MadeFrom::BuiltIn => self.notes.push(Note {
                    code: "apt.built-using".to_owned(),
                    subject: format!("src:{name} {version}"),
                    message: detail,
                }),
            }
        }
        Ok(())
    }

    fn take(
        &mut self,
        mut planned: Planned,
        place: usize,
        requests: &BTreeSet<usize>,
    ) -> Result<(), Problem> {
        self.used.insert(place);
        let key: Named =
            [&planned.repository, &planned.name, &planned.version, &planned.qualifier].map(Clone::clone);
        let control = planned.attributes.get("control").and_then(Value::as_str).unwrap_or_default();
        let control = BlobKey::of(control.as_bytes());
        // The same from another index adds nothing but the requests that lead there.
        if let Some((known, of)) = self.taken.get(&key)
            && (*known != control || requests.is_subset(of))
        {
            return Ok(());
        }
        self.taken.entry(key).or_insert_with(|| (control, BTreeSet::new())).1.extend(requests);
        let texts = requests.iter().filter_map(|number| self.asked.get(*number));
        planned.is_asked_for_by(texts.map(|(text, _)| text.clone()));
        self.artifacts.push(planned)
    }

    /// Notes the source packages that a binary one was made from.
    fn is_made_from(&mut self, stanza: &Stanza<'_>, requests: &BTreeSet<usize>) {
        let field = |name| stanza.text(name).unwrap_or_default();
        // `Source: glibc (2.36-9)`, where it differs.
        let (name, version) = match field("Source").split_once('(') {
            Some((name, version)) => (name.trim(), version.trim_end_matches(')').trim()),
            None => (field("Source"), field("Version")),
        };
        let name = if name.is_empty() { field("Package") } else { name };
        let made_from = self.made_from.entry((name.to_owned(), version.to_owned()));
        let (state, of) = made_from.or_insert((MadeFrom::Itself, BTreeSet::new()));
        *state = MadeFrom::Itself;
        of.extend(requests);
        for list in [field("Built-Using"), field("Static-Built-Using")] {
            // What cannot be read names nothing that could be carried.
            for one in relation::alternatives(list).flatten() {
                let source = (one.name.to_owned(), one.version.to_owned());
                let of = self.made_from.entry(source).or_insert((MadeFrom::BuiltIn, BTreeSet::new()));
                of.1.extend(requests);
            }
        }
    }

    fn finish(mut self, before: &[Planned]) -> Result<Resolution, Problem> {
        let mut repositories: Vec<Repository> = Vec::new();
        let mut evidence = Sorter::new(self.scratch);
        for (number, suite) in self.suites.suites.iter().enumerate() {
            let used = self.used.iter().map(|place| &self.suites.indices[*place]);
            let used: Vec<_> = used.filter(|index| index.suite == number).collect();
            if used.is_empty() {
                continue;
            }
            let (name, origin) = (suite.source.repository.clone(), suite.source.base.to_string());
            let repository = Repository { ecosystem: "apt".to_owned(), name, origin };
            if !repositories.contains(&repository) {
                repositories.push(repository);
            }
            for (_, name, key, _) in &suite.proof.documents {
                let origin = format!("{}{}{name}", suite.source.base, suite.source.directory());
                evidence.push(Evidence { origin, digest: *key })?;
            }
            self.artifacts.push(record::evidence(suite, &used, before))?;
        }
        Ok(Resolution {
            repositories,
            artifacts: self.artifacts.finish()?,
            evidence: evidence.finish()?,
            gaps: self.gaps,
            notes: self.notes,
            ..Resolution::default()
        })
    }
}
