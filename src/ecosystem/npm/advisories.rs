//! Taking along what is known of weaknesses of the packages that are carried: what their registries tell, asked as
//! `npm audit` asks, and what files say (OSV).
//!
//! A mirror tells what was brought to it: as of when, it is asked first. It answers clients even where nothing was brought,
//! and then as if nothing were known.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bundle_format::BlobKey;
use bytes::Bytes;
use serde_json::{Map, Value};

use super::advisory::{self, Advisory, ByName};
use super::options::Advisories;
use super::origin::{Routes, Source};
use super::{SCHEMA, osv, osv_archive, signers};
use crate::blocking::blocking;
use crate::clock;
use crate::ecosystem::{CollectContext, MetadataRequest, Note, Planned, Resolution};
use crate::problem::{Kind, Problem};
use crate::spill::{Sorted, Sorter};

/// How many packages are asked about at once.
const BATCH: usize = 1000;
/// The largest answer that is read, in bytes.
const LARGEST_ANSWER: u64 = 16 << 20;
/// The largest file of an advisory, in bytes.
const LARGEST_FILE: u64 = 4 << 20;
/// The largest answer to as of when advisories are, in bytes.
const LARGEST_DAY: u64 = 64 << 10;
/// The most files: as many as a directory is listed of. A list that is cut off would look like one that knows nothing.
const MOST_FILES: usize = 10_000;

/// The registries of one run, each with the way to it.
pub(super) type Ways = Vec<(Source, Arc<Routes>)>;

/// Adds the advisories on what was resolved.
///
/// # Errors
/// If a registry cannot be reached, or a file that the project names is no advisory.
pub(super) async fn add(
    mut resolution: Resolution,
    wish: &Advisories,
    ways: &Ways,
    context: &dyn CollectContext,
) -> Result<Resolution, Problem> {
    if *wish == Advisories::None || resolution.artifacts.is_empty() {
        return Ok(resolution);
    }
    let artifacts = resolution.artifacts.clone();
    let carried = blocking(move || Carried::of(&artifacts)).await?;
    let mut known: BTreeMap<String, Known> = BTreeMap::new();
    for (repository, questions) in &carried.questions {
        let Some((source, routes)) = ways.iter().find(|(source, _)| source.repository == *repository) else {
            continue;
        };
        match ask(source, routes, questions, context).await? {
            Some((told, made)) => {
                known.entry(repository.clone()).or_default().take(source.base.to_string(), told, made);
            }
            None => resolution.notes.push(Note {
                code: "npm.no-advisories".to_owned(),
                subject: repository.clone(),
                message: format!(
                    "{} does not tell what is known of weaknesses of its packages, so `npm audit` inside will know nothing; \
                     advisories of OSV can be named in aftk.toml: [[npm]] advisories = [\"osv/*.json\"]",
                    source.base
                ),
            }),
        }
    }
    if let Advisories::Files(patterns) = wish {
        for (repository, told) in from_files(patterns, &carried, context).await? {
            known.entry(repository).or_default().take(patterns.join(" "), told, None);
        }
    }
    if known.is_empty() {
        return Ok(resolution);
    }
    resolution.notes.retain(|note| note.code != "npm.no-advisories" || !known.contains_key(&note.subject));
    let (artifacts, scratch) = (resolution.artifacts, context.scratch().to_owned());
    resolution.artifacts = blocking(move || with_records(&artifacts, known, &scratch)).await?;
    Ok(resolution)
}

/// What is known of the packages of a repository, and who told of it.
#[derive(Default)]
struct Known {
    from: Vec<String>,
    advisories: ByName,
    /// As of when they are, if that is not now: the time of whoever knows the least.
    made: Option<String>,
}

impl Known {
    fn take(&mut self, from: String, told: ByName, made: Option<String>) {
        self.from.push(from);
        self.made = match (self.made.take(), made) {
            (Some(one), Some(other)) if clock::seconds(&other) < clock::seconds(&one) => Some(other),
            (one, other) => one.or(other),
        };
        for (name, mut list) in told {
            self.advisories.entry(name).or_default().append(&mut list);
        }
    }
}

/// What is carried: the questions that registries are asked, and in which repositories a name stands, for what files say.
struct Carried {
    questions: BTreeMap<String, Vec<Bytes>>,
    /// Digests instead of names: there may be hundreds of thousands.
    names: Arc<HashMap<BlobKey, BTreeSet<String>>>,
}

impl Carried {
    fn of(artifacts: &Sorted<Planned>) -> Result<Carried, Problem> {
        let (mut questions, mut names) = (BTreeMap::<String, Vec<Bytes>>::new(), HashMap::new());
        let mut open: BTreeMap<String, Map<String, Value>> = BTreeMap::new();
        let mut close = |repository: &str, question: Map<String, Value>| {
            let question = Bytes::from(Value::Object(question).to_string());
            questions.entry(repository.to_owned()).or_default().push(question);
        };
        for artifact in artifacts.iter() {
            let artifact = artifact?;
            if artifact.schema != SCHEMA {
                continue;
            }
            let of_it: &mut BTreeSet<String> =
                names.entry(BlobKey::of(artifact.name.as_bytes())).or_default();
            of_it.insert(artifact.repository.clone());
            let question = open.entry(artifact.repository.clone()).or_default();
            // They come sorted by name, so all versions of one stand in one question.
            if question.len() >= BATCH && !question.contains_key(&artifact.name) {
                close(&artifact.repository, std::mem::take(question));
            }
            let versions = question.entry(artifact.name).or_insert_with(|| Value::Array(Vec::new()));
            if let Value::Array(versions) = versions {
                versions.push(artifact.version.into());
            }
        }
        open.into_iter().for_each(|(repository, question)| close(&repository, question));
        Ok(Carried { questions, names: Arc::new(names) })
    }
}

/// As of when a registry tells what it does.
enum Day {
    /// As of now: it is no mirror.
    Today,
    /// As of then: it is a mirror, to which it was brought.
    Of(String),
    /// It is a mirror, to which nothing was brought.
    None,
}

/// Asks a registry as of when it tells of weaknesses. Only mirrors of our own kind know what is meant.
async fn day(source: &Source, routes: &Routes, context: &dyn CollectContext) -> Result<Day, Problem> {
    let access = routes.beside(source, advisory::PLACE)?;
    let request = MetadataRequest { access, accept: "application/json", limit: LARGEST_DAY, fresh: true };
    let document = match context.metadata(&request).await {
        Ok(Some(document)) => document,
        Ok(None) => return Ok(Day::Today),
        Err(problem) if signers::is_an_answer(&problem) => return Ok(Day::Today),
        Err(problem) => return Err(problem),
    };
    let said = serde_json::from_slice::<Value>(&document.bytes).unwrap_or_default();
    Ok(match said.get(advisory::MADE) {
        Some(Value::Null) => Day::None,
        Some(Value::String(made)) => match clock::seconds(made) {
            // A clock that goes ahead does not make them newer than they can be.
            Some(then) if Some(then) < clock::seconds(&clock::now_text()) => Day::Of(made.clone()),
            _ => Day::Today,
        },
        _ => Day::Today,
    })
}

/// Asks a registry, and as of when that is, if not as of now; `None`, if it answers no such questions, or knows nothing.
async fn ask(
    source: &Source,
    routes: &Routes,
    questions: &[Bytes],
    context: &dyn CollectContext,
) -> Result<Option<(ByName, Option<String>)>, Problem> {
    let made = match day(source, routes, context).await? {
        Day::Today => None,
        Day::Of(made) => Some(made),
        Day::None => return Ok(None),
    };
    let mut all = ByName::new();
    for question in questions {
        let access = routes.beside(source, &format!("{}/bulk", advisory::PLACE))?;
        let place = access.url.to_string();
        let (accept, limit) = ("application/json", LARGEST_ANSWER);
        let request = MetadataRequest { access, accept, limit, fresh: true };
        let answer = match context.answer(&request, question.clone()).await {
            Ok(Some(answer)) => answer,
            Ok(None) => return Ok(None),
            Err(problem) if signers::is_an_answer(&problem) => return Ok(None),
            Err(problem) => return Err(problem),
        };
        let asked = question.clone();
        let told = blocking(move || Ok(read(&asked, &answer))).await?;
        let Some(mut told) = told else {
            context.events().warn("npm.no-advisories", format!("{place} answered with something else"));
            return Ok(None);
        };
        all.append(&mut told);
    }
    Ok(Some((all, made)))
}

/// Reads an answer; of names that nobody asked about nothing is taken. `None`, if it is none.
fn read(question: &[u8], answer: &[u8]) -> Option<ByName> {
    let asked: Map<String, Value> = serde_json::from_slice(question).ok()?;
    let told: BTreeMap<String, Vec<Value>> = serde_json::from_slice(answer).ok()?;
    let told = told.into_iter().filter(|(name, _)| asked.contains_key(name));
    let told = told.map(|(name, list)| (name, list.iter().filter_map(Advisory::read).collect::<Vec<_>>()));
    Some(told.filter(|(_, list)| !list.is_empty()).collect())
}

/// What files say of what is carried, by repository.
async fn from_files(
    patterns: &[String],
    carried: &Carried,
    context: &dyn CollectContext,
) -> Result<BTreeMap<String, ByName>, Problem> {
    let mut all: BTreeMap<String, ByName> = BTreeMap::new();
    // Files that say nothing of what is here make this a source all the same: then it is known that nothing is known.
    for repository in carried.questions.keys() {
        all.insert(repository.clone(), ByName::new());
    }
    for pattern in patterns {
        for path in matching(pattern, context).await? {
            let wrong = |why: &str| {
                let message = "an advisory cannot be used";
                Problem::new(Kind::Usage, "npm.advisory", message).at(path.display()).because(why.to_owned())
            };
            let missing = || wrong("there is no such file");
            let told = if path.extension().is_some_and(|ending| ending == "zip") {
                let archive = context.open(&path).await?.ok_or_else(missing)?;
                let names = carried.names.clone();
                let is_wanted = move |name: &str| names.contains_key(&BlobKey::of(name.as_bytes()));
                let read = blocking(move || Ok(osv_archive::read(archive, is_wanted))).await?;
                read.map_err(|why| {
                    wrong(&why).hint("it has to be an archive of OSV's: all.zip of npm, as it is published")
                })?
            } else {
                let bytes = context.read(&path, LARGEST_FILE).await?.ok_or_else(missing)?;
                osv::read(&bytes).map_err(|error| {
                    wrong(&error.to_string()).hint("it has to be JSON as OSV writes it, one advisory a file")
                })?
            };
            for (name, advisory) in told {
                for repository in carried.names.get(&BlobKey::of(name.as_bytes())).into_iter().flatten() {
                    let by_name = all.entry(repository.clone()).or_default();
                    by_name.entry(name.clone()).or_default().push(advisory.clone());
                }
            }
        }
    }
    Ok(all)
}

/// The files that a person means: one, those of a directory, or those whose names fit `*` in a directory.
async fn matching(pattern: &str, context: &dyn CollectContext) -> Result<Vec<PathBuf>, Problem> {
    let (directory, name) = match pattern.rsplit_once('/') {
        Some((directory, name)) => (directory, name),
        None => (".", pattern),
    };
    let (directory, name) = match name.split_once('*') {
        Some(parts) => (Path::new(directory), Some(parts)),
        None if name.ends_with(".json") || name.ends_with(".zip") => return Ok(vec![PathBuf::from(pattern)]),
        None => (Path::new(pattern), Some(("", ".json"))),
    };
    let fits = |path: &PathBuf| {
        let file_name = path.file_name().and_then(|file| file.to_str()).unwrap_or_default();
        let rest = name.and_then(|(start, end)| file_name.strip_prefix(start)?.strip_suffix(end));
        rest.is_some()
    };
    let mut files = context.list(directory).await?;
    let wrong = |why: String| {
        Problem::new(Kind::Usage, "npm.advisories", "advisories that the project names cannot be had")
            .at(pattern)
            .because(why)
    };
    if files.len() >= MOST_FILES {
        return Err(wrong(format!("there are {MOST_FILES} files or more"))
            .hint("put those of the packages that you use into a directory of their own"));
    }
    files.retain(fits);
    files.sort();
    if files.is_empty() { Err(wrong("there is no such file".to_owned())) } else { Ok(files) }
}

/// The artifacts with the records of what is known. Blocks.
fn with_records(
    artifacts: &Sorted<Planned>,
    known: BTreeMap<String, Known>,
    scratch: &Path,
) -> Result<Sorted<Planned>, Problem> {
    let now = clock::now_text();
    let mut all = Sorter::new(scratch);
    for artifact in artifacts.iter() {
        all.push(artifact?)?;
    }
    for (repository, Known { from, advisories, made }) in known {
        all.extend(advisory::planned(&repository, made.as_ref().unwrap_or(&now), &from, advisories))?;
    }
    all.finish()
}
