//! Resolving: what was asked for, to packages with all that proves them.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::path::Path;
use std::sync::Arc;

use bundle_format::{BlobKey, Repository};

use super::choose::{self, Choice, Chosen, Packed, Rules};
use super::credentials::Ways;
use super::deb822::Stanza;
use super::machine::Machine;
use super::options::Options;
use super::relation;
use super::request::{Asked, read_list};
use super::source::SourceKind;
use super::suites::Suites;
use super::systems::{System, systems};
use super::{EVIDENCE, record};
use crate::blocking::blocking;
use crate::ecosystem::{CollectContext, Evidence, Gap, Note, Planned, Request, RequestBody, Resolution};
use crate::problem::{Kind, Problem};
use crate::spill::Sorter;

/// The largest list of packages that is read, in bytes.
const LARGEST_LIST: u64 = 16 << 20;
/// The largest preferences file that is read, in bytes.
const LARGEST_PREFERENCES: u64 = 1 << 20;

/// Resolves requests.
///
/// # Errors
/// If a suite is not believed or cannot be had, or something that was asked for cannot be installed.
pub(super) async fn resolve(
    requests: &[Request],
    platforms: &[String],
    context: &dyn CollectContext,
) -> Result<Resolution, Problem> {
    let machine = Machine::ask(context).await;
    let options = Options::load(&machine, context).await?;
    let ways = Ways::load(&machine, &options.sources, context).await?;
    let asked = asked(requests, context).await?;
    let systems = systems(&options, platforms, &machine, context).await?;
    let rules = rules(&options, context).await?;
    let mut architectures: Vec<String> = Vec::new();
    for one in systems.iter().flat_map(|system| &system.architectures) {
        if !architectures.contains(one) {
            architectures.push(one.clone());
        }
    }
    let suites = Suites::fetch(&options, &architectures, (&machine, &ways), context).await?;
    let (suites, asked, rules) = (Arc::new(suites), Arc::new(asked), Arc::new(rules));

    let mut chosen = Chosen::default();
    let mut decided = Vec::new();
    for systems in of_same_architectures(systems) {
        let mut packed = open(&suites, context, |_| true).await?;
        let (suites, asked, rules) = (suites.clone(), asked.clone(), rules.clone());
        let (so_far, decision) = blocking(move || {
            let architectures = systems.first().map(|first| first.architectures.clone()).unwrap_or_default();
            let choice = Choice::read(&suites, &architectures, &mut packed, &mut chosen)?;
            let mut answers = Vec::new();
            for system in systems {
                let answered = choice.add(&asked, &system, &rules, &mut chosen)?;
                answers.push((system, answered));
            }
            Ok((chosen, (choice, answers)))
        })
        .await?;
        chosen = so_far;
        decided.push(decision);
    }

    let all = asked.iter().any(|(_, asked)| *asked == Asked::All);
    let is_chosen = |place: usize| all || chosen.places.contains_key(&place);
    let packed = open(&suites, context, is_chosen).await?;
    let of_sources = open(&suites, context, |place| suites.indices[place].kind == SourceKind::Source).await?;
    let before = context.locked(EVIDENCE).await?;
    let (with_sources, scratch) = (options.with_sources, context.scratch().to_owned());
    blocking(move || {
        let mut taking = Taking::new(&suites, &scratch);
        taking.binaries(packed, if all { None } else { Some(&chosen.places) })?;
        if with_sources {
            taking.sources(of_sources)?;
        }
        // Where all that there is is carried, there is nothing to prove; and gaps are missed, whether or not somebody accepts that.
        for (choice, answers) in decided.iter().filter(|_| !all && taking.gaps.is_empty()) {
            for (system, answers) in answers {
                choice.prove((system, answers), (&suites, &taking.carried), &rules, &mut chosen)?;
            }
        }
        let mut resolution = taking.finish(&before)?;
        resolution.notes.extend(chosen.notes);
        Ok(resolution)
    })
    .await
}

/// What the requests ask for, each with what a person wrote.
async fn asked(requests: &[Request], context: &dyn CollectContext) -> Result<Vec<(String, Asked)>, Problem> {
    let mut asked = Vec::new();
    for request in requests {
        match &request.body {
            RequestBody::Words(words) => asked.push((request.text.clone(), Asked::read(words)?)),
            RequestBody::Document { path, digest } => {
                let place = path.display().to_string();
                let bytes = context.read(path, LARGEST_LIST).await?.unwrap_or_default();
                if BlobKey::of(&bytes) != *digest {
                    let message = "the list of packages changed while it was read";
                    return Err(Problem::new(Kind::Failed, "apt.list", message).at(place).hint("try again"));
                }
                let text = String::from_utf8_lossy(&bytes);
                asked.extend(read_list(&text, &place)?.into_iter().map(|one| (request.text.clone(), one)));
            }
            RequestBody::Blob { .. } => {
                let message = "packages are collected from archives";
                return Err(Problem::new(Kind::Usage, "apt.request", message).at(&request.text));
            }
        }
    }
    Ok(asked)
}

async fn rules(options: &Options, context: &dyn CollectContext) -> Result<Rules, Problem> {
    let mut files = Vec::new();
    for path in &options.preferences {
        let path = context.directory().join(path);
        let place = path.display().to_string();
        let bytes = context.read(&path, LARGEST_PREFERENCES).await?.ok_or_else(|| {
            Problem::new(Kind::Usage, "apt.preferences", "there is no such preferences file").at(&place)
        })?;
        files.push((place, String::from_utf8_lossy(&bytes).into_owned()));
    }
    Ok(Rules {
        engine: options.engine,
        recommends: !options.without_recommends,
        suggests: options.suggests,
        pins: choose::pins(&files)?,
        target_release: options.target_release.clone(),
    })
}

/// Systems of the same architectures choose from the same packages, which are read once for all of them.
fn of_same_architectures(systems: Vec<System>) -> Vec<Vec<System>> {
    let mut groups: Vec<Vec<System>> = Vec::new();
    for system in systems {
        match groups.iter_mut().find(|group| group[0].architectures == system.architectures) {
            Some(group) => group.push(system),
            None => groups.push(vec![system]),
        }
    }
    groups
}

async fn open(
    suites: &Suites,
    context: &dyn CollectContext,
    is_wanted: impl Fn(usize) -> bool,
) -> Result<Packed, Problem> {
    let mut packed = Vec::new();
    for (place, index) in suites.indices.iter().enumerate() {
        packed.push(match is_wanted(place) {
            true => Some(context.open_blob(&index.index.listed.key).await?),
            false => None,
        });
    }
    Ok(packed)
}

/// Takes packages out of the indices.
struct Taking<'a> {
    suites: &'a Suites,
    scratch: &'a Path,
    artifacts: Sorter<Planned>,
    /// What was taken, since `Architecture: all` stands in the index of every architecture.
    taken: HashSet<(String, String, String, String)>,
    /// The stanzas that were chosen, by the places of their indices; of all that there is, none.
    carried: BTreeMap<usize, Vec<u8>>,
    /// Places of indices that something was taken from.
    used: BTreeSet<usize>,
    gaps: Vec<Gap>,
    notes: Vec<Note>,
    /// The source packages of what was taken, and which of them were only built in.
    made_from: BTreeMap<(String, String), MadeFrom>,
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
    fn new(suites: &'a Suites, scratch: &'a Path) -> Taking<'a> {
        Taking {
            suites,
            scratch,
            artifacts: Sorter::new(scratch),
            taken: HashSet::new(),
            carried: BTreeMap::new(),
            used: BTreeSet::new(),
            gaps: Vec::new(),
            notes: suites.notes.clone(),
            made_from: BTreeMap::new(),
        }
    }

    /// Takes the binary packages at these places, or all.
    fn binaries(
        &mut self,
        mut packed: Packed,
        places: Option<&BTreeMap<usize, BTreeSet<u64>>>,
    ) -> Result<(), Problem> {
        let suites = self.suites;
        for (place, index) in suites.indices.iter().enumerate() {
            let wanted = places.map(|places| places.get(&place));
            let Some(reader) = packed.get_mut(place).and_then(Option::take) else { continue };
            if index.kind != SourceKind::Binary || wanted == Some(None) {
                continue;
            }
            let suite = &suites.suites[index.suite];
            let mut left = wanted.flatten().map(BTreeSet::len);
            let mut stanzas = index.index.stanzas(reader)?;
            while left != Some(0) {
                let stanza = stanzas.next().map_err(|error| index.index.damaged(&error))?;
                let Some(stanza) = stanza else { break };
                if wanted.flatten().is_some_and(|wanted| !wanted.contains(&stanza.offset)) {
                    continue;
                }
                left = left.map(|left| left - 1);
                match record::binary(&stanza, suite, index) {
                    Ok(planned) => {
                        self.is_made_from(&stanza);
                        if wanted.is_some() {
                            let carried = self.carried.entry(place).or_default();
                            carried.extend_from_slice(stanza.raw);
                            carried.extend_from_slice(b"\n\n");
                        }
                        self.take(planned, place)?;
                    }
                    Err(gap) => self.gaps.push(gap),
                }
            }
        }
        Ok(())
    }

    /// Takes the source packages of what was taken.
    fn sources(&mut self, mut packed: Packed) -> Result<(), Problem> {
        let suites = self.suites;
        for (place, index) in suites.indices.iter().enumerate() {
            if index.kind != SourceKind::Source {
                continue;
            }
            let Some(reader) = packed.get_mut(place).and_then(Option::take) else { continue };
            let mut stanzas = index.index.stanzas(reader)?;
            while let Some(stanza) = stanzas.next().map_err(|error| index.index.damaged(&error))? {
                let field = |name| stanza.text(name).unwrap_or_default().to_owned();
                let Some(state) = self.made_from.get_mut(&(field("Package"), field("Version"))) else {
                    continue;
                };
                *state = MadeFrom::Found;
                match record::source(&stanza, &suites.suites[index.suite], index) {
                    Ok(planned) => self.take(planned, place)?,
                    Err(gap) => self.gaps.push(gap),
                }
            }
        }
        for ((name, version), state) in std::mem::take(&mut self.made_from) {
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

    fn take(&mut self, planned: Planned, place: usize) -> Result<(), Problem> {
        self.used.insert(place);
        let key = (
            planned.repository.clone(),
            planned.name.clone(),
            planned.version.clone(),
            planned.qualifier.clone(),
        );
        if self.taken.insert(key) { self.artifacts.push(planned) } else { Ok(()) }
    }

    /// Notes the source packages that a binary one was made from.
    fn is_made_from(&mut self, stanza: &Stanza<'_>) {
        let field = |name| stanza.text(name).unwrap_or_default();
        // `Source: glibc (2.36-9)`, where it differs.
        let (name, version) = match field("Source").split_once('(') {
            Some((name, version)) => (name.trim(), version.trim_end_matches(')').trim()),
            None => (field("Source"), field("Version")),
        };
        let name = if name.is_empty() { field("Package") } else { name };
        self.made_from.insert((name.to_owned(), version.to_owned()), MadeFrom::Itself);
        for list in [field("Built-Using"), field("Static-Built-Using")] {
            // What cannot be read names nothing that could be carried.
            for one in relation::alternatives(list).flatten() {
                let source = (one.name.to_owned(), one.version.to_owned());
                self.made_from.entry(source).or_insert(MadeFrom::BuiltIn);
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
