//! The documents of repositories: for each suite a signed Release, and the indices of what is here of the suite, with
//! each package's stanza byte for byte as upstream wrote it.
//!
//! All artifacts are walked to learn which suites, components and architectures there are, and to write. What is published
//! as upstream signed it (`verbatim`) is not written.

mod index;
mod publish;
mod release;
mod rules;
mod verbatim;

use std::collections::{BTreeMap, BTreeSet, HashMap};

use bundle_format::{Artifact, BlobKey};
use bytes::Bytes;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use self::index::{Index, IndexWriter};
use self::publish::Publisher;
use self::release::{BACKDATED, Suite};
use self::rules::Rules;
use self::verbatim::{Evidence, Here};
use super::keys::ENDINGS;
use super::source::{directory_of, evidence_name_of, is_path};
use super::{EVIDENCE, SCHEMA};
use crate::ecosystem::{Materialise, MaterialiseContext};
use crate::problem::{Kind, Problem};
use crate::protocol::openpgp::sign::SigningKey;
use crate::protocol::openpgp::{Fault, Keyring};
use crate::store::EditionDocuments;

/// Makes the documents of apt's repositories.
pub(super) struct AptMaterialise;

/// The certificates of the keys that sign, for clients.
pub(super) const KEYRING: &str = "aftk-archive-keyring.asc";
/// The certificates of the upstream's keys, where its own documents are published.
pub(super) const KEYRING_OF_UPSTREAM: &str = "upstream-archive-keyring.asc";
/// What suites a repository has: a list of [`SuiteFacts`].
pub(super) const SUITES: &str = "/suites";
/// Whose signatures are on the documents.
const SIGNERS: &str = "/signers";
/// So many indices are written at once: each has two files open.
const AT_ONCE: usize = 128;
/// The most indices that a repository may have. Debian's largest suite has 60.
const MOST_INDICES: usize = 10_000;
/// The largest Release of an upstream that is read, in bytes.
const LARGEST_RELEASE: u64 = 16 << 20;

/// A suite, for who sets clients up.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct SuiteFacts {
    pub(super) suite: String,
    pub(super) components: Vec<String>,
    pub(super) architectures: Vec<String>,
    /// The components that have source packages.
    pub(super) sources: Vec<String>,
    /// Whether its documents are those that upstream signed.
    #[serde(default)]
    pub(super) verbatim: bool,
}

impl Materialise for AptMaterialise {
    fn stamp(&self, context: &dyn MaterialiseContext) -> Result<String, Problem> {
        let settings = serde_json::to_vec(&context.settings()?).unwrap_or_default();
        let mut believed = bundle_format::BlobHasher::default();
        for (_, keyring) in context.keyrings(ENDINGS)? {
            believed.update(&keyring);
        }
        let (settings, believed) = (BlobKey::of(&settings).hex(), believed.finish().hex());
        Ok(format!("apt 2 {} {settings} {believed}", signers(&keys(context)?)))
    }

    fn new_key(&self, context: &dyn MaterialiseContext) -> Result<(), Problem> {
        make_key(super::release::now(), context).map(drop)
    }

    fn materialise(
        &self,
        repositories: &[String],
        context: &dyn MaterialiseContext,
    ) -> Result<Vec<EditionDocuments>, Problem> {
        let now = super::release::now();
        let rules = Rules::read(&context.settings()?)?;
        let world = World { repositories, rules: &rules, now, context };
        let (plan, indices) = Plan::write(&world)?;
        for text in &plan.refused {
            context.warn("apt.verbatim", text);
        }
        let keys = plan.keys(now, context)?;
        let mut editions = vec![EditionDocuments::new(); repositories.len()];
        for (number, suites) in plan.repositories.iter().enumerate() {
            let (Some(repository), Some(edition)) = (repositories.get(number), editions.get_mut(number))
            else {
                continue;
            };
            let valid_for = rules.of(repository).valid_for;
            let publisher = Publisher { repository, keys: &keys, valid_for, now, context };
            publisher.publish(suites, &indices[number], &plan.believed[number], edition)?;
        }
        Ok(editions)
    }
}

/// For whom and when editions are made.
#[derive(Clone, Copy)]
struct World<'a> {
    repositories: &'a [String],
    rules: &'a Rules,
    now: Timestamp,
    context: &'a dyn MaterialiseContext,
}

/// Where an index is: the suite, the component, and the architecture or `source`.
type Place = (String, String, String);

/// What there is.
struct Plan {
    /// Of each repository, its suites by their names.
    repositories: Vec<BTreeMap<String, Planned>>,
    /// Of each repository, who signed what is published as it is.
    believed: Vec<Keyring>,
    /// Which suites cannot be published as they are, and why.
    refused: Vec<String>,
}

#[derive(Default)]
struct Planned {
    suite: Suite,
    /// Components that have source packages.
    sources: BTreeSet<String>,
    /// What upstream published.
    evidence: Option<Evidence>,
    /// That, if it is what clients get.
    verbatim: Option<EditionDocuments>,
}

impl Planned {
    fn is_flat(&self) -> bool {
        self.suite.name.ends_with('/')
    }

    /// Its indices: a component and an architecture, or `source`.
    fn places(&self) -> Vec<(String, String)> {
        let mut places = Vec::new();
        if self.is_flat() {
            places.push((String::new(), String::new()));
        } else {
            for component in &self.suite.components {
                places.extend(self.suite.architectures.iter().map(|one| (component.clone(), one.clone())));
            }
        }
        places.extend(self.sources.iter().map(|component| (component.clone(), SOURCE.to_owned())));
        places
    }
}

const SOURCE: &str = "source";

/// Where an index is below its Release.
fn path_of(component: &str, architecture: &str) -> String {
    match (component, architecture) {
        ("", SOURCE) => "Sources".to_owned(),
        ("", _) => "Packages".to_owned(),
        (component, SOURCE) => format!("{component}/source/Sources"),
        (component, architecture) => format!("{component}/binary-{architecture}/Packages"),
    }
}

/// What of an artifact an index needs.
struct Row<'a> {
    architecture: &'a str,
    suite: &'a str,
    component: &'a str,
    control: &'a str,
    origin: &'a str,
}

impl<'a> Row<'a> {
    /// What an admitted package has; others are in no index.
    fn of(artifact: &'a Artifact) -> Option<Row<'a>> {
        let text = |name: &str| artifact.attributes.get(name).and_then(Value::as_str);
        let (suite, component) = (text("suite")?, text("component")?);
        let is_sound = artifact.schema == SCHEMA
            && is_path(suite)
            && (component.is_empty() == suite.ends_with('/'))
            && (component.is_empty() || is_path(component));
        is_sound.then_some(())?;
        Some(Row {
            architecture: text("architecture")?,
            suite,
            component,
            control: text("control")?,
            origin: text("origin").unwrap_or_default(),
        })
    }
}

impl Plan {
    /// Walks all artifacts, and shows each of them to somebody else as well.
    fn learn(
        world: &World<'_>,
        also: &mut dyn FnMut(&Artifact) -> Result<(), Problem>,
    ) -> Result<Plan, Problem> {
        let World { repositories, rules, context, .. } = *world;
        let number: HashMap<&str, usize> =
            repositories.iter().enumerate().map(|(number, name)| (name.as_str(), number)).collect();
        let verbatim: Vec<bool> = repositories.iter().map(|name| rules.of(name).verbatim).collect();
        let mut plan = Plan {
            repositories: repositories.iter().map(|_| BTreeMap::new()).collect(),
            believed: vec![Keyring::default(); repositories.len()],
            refused: Vec::new(),
        };
        let mut here = Here::default();
        let mut evidence: HashMap<(usize, String), Evidence> = HashMap::new();
        context.each(&mut |linked| {
            let artifact = &linked.artifact;
            also(artifact)?;
            let Some(number) = number.get(artifact.repository.as_str()).copied() else { return Ok(()) };
            if artifact.schema == EVIDENCE {
                let found = Evidence::of(artifact);
                let known = evidence.get(&(number, artifact.name.clone())).map(|one| one.version.as_str());
                if let Some(found) = found.filter(|found| known < Some(found.version.as_str())) {
                    evidence.insert((number, artifact.name.clone()), found);
                }
                return Ok(());
            }
            let Some(row) = Row::of(artifact) else { return Ok(()) };
            if verbatim[number] {
                here.add(number, &row);
            }
            let suites = &mut plan.repositories[number];
            if !suites.contains_key(row.suite) {
                let suite = Suite { name: row.suite.to_owned(), ..Suite::default() };
                suites.insert(row.suite.to_owned(), Planned { suite, ..Planned::default() });
            }
            let Some(planned) = suites.get_mut(row.suite) else { return Ok(()) };
            let suite = &mut planned.suite;
            if suite.origin.is_empty() {
                row.origin.clone_into(&mut suite.origin);
            }
            insert(&mut suite.components, row.component);
            match row.architecture {
                "all" => {}
                SOURCE => insert(&mut planned.sources, row.component),
                architecture => insert(&mut suite.architectures, architecture),
            }
            Ok(())
        })?;
        for (number, suites) in plan.repositories.iter_mut().enumerate() {
            for planned in suites.values_mut() {
                if let Some(found) = evidence.remove(&(number, evidence_name_of(&planned.suite.name))) {
                    planned.believe(found, context)?;
                }
                if planned.suite.architectures.is_empty() && !planned.is_flat() {
                    insert(&mut planned.suite.architectures, "all");
                }
                planned.suite.components.remove("");
            }
            let count: usize = suites.values().map(|planned| planned.places().len()).sum();
            if count > MOST_INDICES {
                let message = format!("a repository would have {count} indices; {MOST_INDICES} are the most");
                return Err(Problem::new(Kind::Refused, "apt.edition", message));
            }
        }
        for number in verbatim.iter().enumerate().filter(|(_, verbatim)| **verbatim).map(|(number, _)| number)
        {
            plan.leave_as_they_are(number, &here, world)?;
        }
        Ok(plan)
    }

    /// Finds out which suites of a repository can be published as upstream signed them.
    fn leave_as_they_are(&mut self, number: usize, here: &Here, world: &World<'_>) -> Result<(), Problem> {
        let World { repositories, context, now, .. } = *world;
        let (mut own, mut any) = (Keyring::default(), Keyring::default());
        for (path, bytes) in context.keyrings(ENDINGS)? {
            let keyring = super::keys::read(&bytes, &path)?;
            if path.file_stem().is_some_and(|name| name == repositories[number].as_str()) {
                own.extend(keyring.clone());
            }
            any.extend(keyring);
        }
        let keys = if own.is_empty() { any } else { own };
        for planned in self.repositories[number].values_mut() {
            match verbatim::documents((number, planned), here, &keys, now, context)? {
                Ok((documents, signers)) => {
                    planned.verbatim = Some(documents);
                    self.believed[number].extend(signers);
                }
                Err(why) => {
                    let (repository, suite) = (&repositories[number], &planned.suite.name);
                    self.refused.push(format!(
                        "{repository} {suite} is signed by this site, not served as its upstream signed it: {why}"
                    ));
                }
            }
        }
        Ok(())
    }

    /// The site's keys; the first one is made now if there is something to sign.
    fn keys(&self, now: Timestamp, context: &dyn MaterialiseContext) -> Result<Vec<SigningKey>, Problem> {
        let mut keys = keys(context)?;
        let mut suites = self.repositories.iter().flat_map(BTreeMap::values);
        if keys.is_empty() && suites.any(|planned| planned.verbatim.is_none()) {
            keys.push(make_key(now, context)?);
        }
        Ok(keys)
    }

    /// Where all indices are that are written: in which repository, and where there.
    fn places(&self) -> Vec<(usize, Place)> {
        let suites = self.repositories.iter().enumerate();
        let planned =
            suites.flat_map(|(number, suites)| suites.iter().map(move |(name, one)| (number, name, one)));
        let written = planned.filter(|(_, _, planned)| planned.verbatim.is_none());
        let places = written.flat_map(|(number, name, planned)| {
            let of_suite = planned.places().into_iter();
            of_suite.map(move |(component, architecture)| (number, (name.clone(), component, architecture)))
        });
        places.collect()
    }

    /// The plan of the edition before; an empty one, if there was none.
    fn before(repositories: &[String], context: &dyn MaterialiseContext) -> Result<Plan, Problem> {
        let mut plan = Plan { repositories: Vec::new(), believed: Vec::new(), refused: Vec::new() };
        for repository in repositories {
            let facts = match context.before(repository, SUITES)? {
                Some((document, _)) => context.read(&document.blob, LARGEST_RELEASE)?,
                None => Bytes::from_static(b"[]"),
            };
            let facts: Vec<SuiteFacts> = serde_json::from_slice(&facts).unwrap_or_default();
            let written = facts.into_iter().filter(|facts| !facts.verbatim);
            plan.repositories.push(written.map(SuiteFacts::planned).collect());
        }
        Ok(plan)
    }

    /// Writes all indices. As a rule those are the same ones as before, and one walk is enough to learn that and to write.
    fn write(world: &World<'_>) -> Result<(Plan, Vec<BTreeMap<Place, Index>>), Problem> {
        let World { repositories, context, .. } = *world;
        let mut done: Vec<BTreeMap<Place, Index>> = repositories.iter().map(|_| BTreeMap::new()).collect();
        let before = Plan::before(repositories, context)?.places();
        if !before.is_empty() && before.len() <= AT_ONCE {
            let mut writers = Writers::begin(&before, repositories, context)?;
            let plan = Plan::learn(world, &mut |artifact| writers.push(artifact))?;
            if plan.places() == before {
                writers.finish(&mut done)?;
                return Ok((plan, done));
            }
        }
        let plan = Plan::learn(world, &mut |_| Ok(()))?;
        for some in plan.places().chunks(AT_ONCE) {
            let mut writers = Writers::begin(some, repositories, context)?;
            context.each(&mut |linked| writers.push(&linked.artifact))?;
            writers.finish(&mut done)?;
        }
        Ok((plan, done))
    }
}

impl SuiteFacts {
    fn planned(self) -> (String, Planned) {
        let suite = Suite {
            name: self.suite.clone(),
            components: self.components.into_iter().collect(),
            architectures: self.architectures.into_iter().collect(),
            ..Suite::default()
        };
        (self.suite, Planned { suite, sources: self.sources.into_iter().collect(), ..Planned::default() })
    }
}

impl Planned {
    /// Takes over what upstream says of the suite, and which of its architectures were asked for.
    fn believe(&mut self, evidence: Evidence, context: &dyn MaterialiseContext) -> Result<(), Problem> {
        self.suite.upstream = Some(evidence.release(&self.suite.name, context)?);
        for architecture in evidence.architectures() {
            if architecture != "all" && super::record::is_word(architecture) {
                insert(&mut self.suite.architectures, architecture);
            }
        }
        self.evidence = Some(evidence);
        Ok(())
    }
}

/// The indices that are being written.
struct Writers<'a> {
    number: HashMap<&'a str, usize>,
    /// By repository, suite and component: each architecture's.
    open: HashMap<(usize, String, String), Vec<(String, IndexWriter<'a>)>>,
    /// What was shown last, by its repository, name, version and qualifier.
    last: [String; 4],
    context: &'a dyn MaterialiseContext,
}

impl<'a> Writers<'a> {
    fn begin(
        places: &[(usize, Place)],
        repositories: &'a [String],
        context: &'a dyn MaterialiseContext,
    ) -> Result<Writers<'a>, Problem> {
        let number = repositories.iter().enumerate().map(|(number, name)| (name.as_str(), number)).collect();
        let mut open: HashMap<_, Vec<_>> = HashMap::new();
        for (number, (suite, component, architecture)) in places {
            let Some(repository) = repositories.get(*number) else { continue };
            let path = format!("{}{}", directory_of(suite), path_of(component, architecture));
            let writer = IndexWriter::begin(repository, &path, context)?;
            let key = (*number, suite.clone(), component.clone());
            open.entry(key).or_default().push((architecture.clone(), writer));
        }
        Ok(Writers { number, open, last: Default::default(), context })
    }

    /// Of one that several channels brought, the first counts: they come one after the other.
    fn push(&mut self, artifact: &Artifact) -> Result<(), Problem> {
        let Artifact { repository, name, version, qualifier, .. } = artifact;
        let this = [repository, name, version, qualifier];
        if self.last.iter().eq(this) {
            return Ok(());
        }
        self.last = this.map(Clone::clone);
        let (Some(row), Some(number)) = (Row::of(artifact), self.number.get(artifact.repository.as_str()))
        else {
            return Ok(());
        };
        let key = (*number, row.suite.to_owned(), row.component.to_owned());
        for (architecture, writer) in self.open.get_mut(&key).into_iter().flatten() {
            let belongs = match row.architecture {
                // Clients look for these among those of their own architecture.
                "all" => architecture != SOURCE,
                SOURCE => architecture == SOURCE,
                other => architecture == other || architecture.is_empty(),
            };
            if belongs {
                writer.push(&artifact.name, row.control)?;
            }
        }
        Ok(())
    }

    fn finish(self, done: &mut [BTreeMap<Place, Index>]) -> Result<(), Problem> {
        for ((number, suite, component), writers) in self.open {
            for (architecture, writer) in writers {
                let index = writer.finish(self.context)?;
                if let Some(done) = done.get_mut(number) {
                    done.insert((suite.clone(), component.clone(), architecture), index);
                }
            }
        }
        Ok(())
    }
}

fn keys(context: &dyn MaterialiseContext) -> Result<Vec<SigningKey>, Problem> {
    let read = |(name, text): (String, zeroize::Zeroizing<String>)| {
        SigningKey::read(&text).map_err(|fault| unusable(&fault).at(name))
    };
    context.keys()?.into_iter().map(read).collect()
}

/// Clocks of clients that are late must not take the key for one to come.
fn make_key(now: Timestamp, context: &dyn MaterialiseContext) -> Result<SigningKey, Problem> {
    let key = SigningKey::generate("aftk mirror", now - BACKDATED).map_err(|fault| unusable(&fault))?;
    let (fingerprint, text) = (key.fingerprint(), key.armored().map_err(|fault| unusable(&fault))?);
    context.add_key(&fingerprint, &text, &fingerprint)?;
    Ok(key)
}

fn signers(keys: &[SigningKey]) -> String {
    keys.iter().map(SigningKey::fingerprint).collect::<Vec<_>>().join(" ")
}

fn insert(set: &mut BTreeSet<String>, word: &str) {
    if !set.contains(word) {
        set.insert(word.to_owned());
    }
}

fn unusable(fault: &Fault) -> Problem {
    Problem::new(Kind::Failed, "apt.edition", "the indices of a repository cannot be made or signed")
        .caused_by(fault)
}
