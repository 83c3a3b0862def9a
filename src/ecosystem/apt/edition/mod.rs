//! The documents of repositories: for each suite a signed Release, and the indices of what is here of the suite, with
//! each package's stanza byte for byte as upstream wrote it.
//!
//! All artifacts are walked to learn which suites, components and architectures there are, and to write.

mod index;
mod release;

use std::collections::{BTreeMap, BTreeSet, HashMap};

use bundle_format::{Artifact, BlobKey};
use bytes::Bytes;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use self::index::{Index, IndexWriter, Written, list_path, write};
use self::release::{BACKDATED, Suite};
use super::source::{directory_of, evidence_name_of, is_path};
use super::{EVIDENCE, SCHEMA};
use crate::ecosystem::{Materialise, MaterialiseContext};
use crate::problem::{Kind, Problem};
use crate::protocol::openpgp::sign::{SigningKey, sign_detached, sign_inline};
use crate::protocol::openpgp::{Fault, unverified};
use crate::store::{EditionDocument, EditionDocuments};

/// Makes the documents of apt's repositories.
pub(super) struct AptMaterialise;

/// The certificates of the keys that sign, for clients.
pub(super) const KEYRING: &str = "aftk-archive-keyring.asc";
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
}

impl Materialise for AptMaterialise {
    fn stamp(&self, context: &dyn MaterialiseContext) -> Result<String, Problem> {
        Ok(format!("apt 1 {}", signers(&keys(context)?)))
    }

    fn new_key(&self, context: &dyn MaterialiseContext) -> Result<(), Problem> {
        make_key(super::release::now(), context).map(drop)
    }

    fn materialise(
        &self,
        repositories: &[String],
        context: &dyn MaterialiseContext,
    ) -> Result<Vec<EditionDocuments>, Problem> {
        let (plan, indices) = Plan::write(repositories, context)?;
        let now = super::release::now();
        let keys = plan.keys(now, context)?;
        let mut editions = vec![EditionDocuments::new(); repositories.len()];
        for (number, suites) in plan.repositories.iter().enumerate() {
            let (Some(repository), Some(edition)) = (repositories.get(number), editions.get_mut(number))
            else {
                continue;
            };
            let publisher = Publisher { repository, keys: &keys, now, context };
            publisher.publish(suites, &indices[number], edition)?;
        }
        Ok(editions)
    }
}

/// Where an index is: the suite, the component, and the architecture or `source`.
type Place = (String, String, String);

/// What there is.
struct Plan {
    /// Of each repository, its suites by their names.
    repositories: Vec<BTreeMap<String, Planned>>,
}

#[derive(Default)]
struct Planned {
    suite: Suite,
    /// Components that have source packages.
    sources: BTreeSet<String>,
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

/// What upstream published of a suite, the newest that is here.
struct Evidence {
    version: String,
    blob: BlobKey,
    is_inline: bool,
    indices: Vec<String>,
}

impl Evidence {
    fn of(artifact: &Artifact) -> Option<Evidence> {
        let release =
            artifact.files.iter().find(|file| matches!(file.role.as_str(), "inrelease" | "release"))?;
        let names = artifact.attributes.get("files").and_then(Value::as_object);
        Some(Evidence {
            version: artifact.version.clone(),
            blob: release.blob,
            is_inline: release.role == "inrelease",
            indices: names.into_iter().flat_map(|names| names.keys().cloned()).collect(),
        })
    }
}

impl Plan {
    /// Walks all artifacts, and shows each of them to somebody else as well.
    fn learn(
        repositories: &[String],
        context: &dyn MaterialiseContext,
        also: &mut dyn FnMut(&Artifact) -> Result<(), Problem>,
    ) -> Result<Plan, Problem> {
        let number: HashMap<&str, usize> =
            repositories.iter().enumerate().map(|(number, name)| (name.as_str(), number)).collect();
        let mut plan = Plan { repositories: repositories.iter().map(|_| BTreeMap::new()).collect() };
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
                if let Some(found) = evidence.get(&(number, evidence_name_of(&planned.suite.name))) {
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
        Ok(plan)
    }

    /// The site's keys; the first one is made now if there is something to sign.
    fn keys(&self, now: Timestamp, context: &dyn MaterialiseContext) -> Result<Vec<SigningKey>, Problem> {
        let mut keys = keys(context)?;
        if keys.is_empty() && self.repositories.iter().any(|suites| !suites.is_empty()) {
            keys.push(make_key(now, context)?);
        }
        Ok(keys)
    }

    /// Where all indices are: in which repository, and where there.
    fn places(&self) -> Vec<(usize, Place)> {
        let suites = self.repositories.iter().enumerate();
        let planned =
            suites.flat_map(|(number, suites)| suites.iter().map(move |(name, one)| (number, name, one)));
        let places = planned.flat_map(|(number, name, planned)| {
            let of_suite = planned.places().into_iter();
            of_suite.map(move |(component, architecture)| (number, (name.clone(), component, architecture)))
        });
        places.collect()
    }

    /// The plan of the edition before; an empty one, if there was none.
    fn before(repositories: &[String], context: &dyn MaterialiseContext) -> Result<Plan, Problem> {
        let mut plan = Plan { repositories: Vec::new() };
        for repository in repositories {
            let facts = match context.before(repository, SUITES)? {
                Some((document, _)) => context.read(&document.blob, LARGEST_RELEASE)?,
                None => Bytes::from_static(b"[]"),
            };
            let facts: Vec<SuiteFacts> = serde_json::from_slice(&facts).unwrap_or_default();
            plan.repositories.push(facts.into_iter().map(SuiteFacts::planned).collect());
        }
        Ok(plan)
    }

    /// Writes all indices. As a rule those are the same ones as before, and one walk is enough to learn that and to write.
    fn write(
        repositories: &[String],
        context: &dyn MaterialiseContext,
    ) -> Result<(Plan, Vec<BTreeMap<Place, Index>>), Problem> {
        let mut done: Vec<BTreeMap<Place, Index>> = repositories.iter().map(|_| BTreeMap::new()).collect();
        let before = Plan::before(repositories, context)?.places();
        if !before.is_empty() && before.len() <= AT_ONCE {
            let mut writers = Writers::begin(&before, repositories, context)?;
            let plan = Plan::learn(repositories, context, &mut |artifact| writers.push(artifact))?;
            if plan.places() == before {
                writers.finish(&mut done)?;
                return Ok((plan, done));
            }
        }
        let plan = Plan::learn(repositories, context, &mut |_| Ok(()))?;
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
        (self.suite, Planned { suite, sources: self.sources.into_iter().collect() })
    }
}

impl Planned {
    /// Takes over what upstream says of the suite, and which of its architectures were asked for.
    fn believe(&mut self, evidence: &Evidence, context: &dyn MaterialiseContext) -> Result<(), Problem> {
        let bytes = context.read(&evidence.blob, LARGEST_RELEASE)?;
        let text = if evidence.is_inline {
            unverified(&bytes).map_err(|fault| unusable(&fault))?
        } else {
            bytes.to_vec()
        };
        self.suite.upstream = Some(super::release::read(&text, &directory_of(&self.suite.name))?);
        for index in &evidence.indices {
            let architecture = index.rsplit('/').nth(1).and_then(|folder| folder.strip_prefix("binary-"));
            if let Some(architecture) =
                architecture.filter(|one| *one != "all" && super::record::is_word(one))
            {
                insert(&mut self.suite.architectures, architecture);
            }
        }
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

/// Puts an edition of one repository together.
struct Publisher<'a> {
    repository: &'a str,
    keys: &'a [SigningKey],
    now: Timestamp,
    context: &'a dyn MaterialiseContext,
}

impl Publisher<'_> {
    fn publish(
        &self,
        suites: &BTreeMap<String, Planned>,
        indices: &BTreeMap<Place, Index>,
        edition: &mut EditionDocuments,
    ) -> Result<(), Problem> {
        let signers = signers(self.keys);
        let same_signers = self.before(SIGNERS)?.as_deref() == Some(signers.as_str());
        let mut facts = Vec::new();
        for (name, planned) in suites {
            let directory = directory_of(name);
            let mut listed = Vec::new();
            for (component, architecture) in planned.places() {
                let place = (name.clone(), component, architecture);
                let Some(index) = indices.get(&place) else { continue };
                let path = path_of(&place.1, &place.2);
                add_index(edition, &format!("{directory}{path}"), index);
                listed.push((path, index));
            }
            let before = self.before(&format!("{directory}Release"))?;
            let text = planned.suite.text(&listed, before.as_deref(), self.now);
            let is_new = !same_signers || before.as_deref() != Some(text.as_str());
            self.sign(&directory, &text, is_new, edition)?;
            facts.push(SuiteFacts {
                suite: name.clone(),
                components: planned.suite.components.iter().cloned().collect(),
                architectures: planned.suite.architectures.iter().cloned().collect(),
                sources: planned.sources.iter().cloned().collect(),
            });
        }
        let facts = serde_json::to_vec(&facts).unwrap_or_default();
        let certificates: String = self.keys.iter().map(SigningKey::certificate).collect();
        for (path, bytes) in
            [(SUITES, &facts[..]), (SIGNERS, signers.as_bytes()), (KEYRING, certificates.as_bytes())]
        {
            edition.insert(path.to_owned(), document(write(bytes, self.context)?, false));
        }
        Ok(())
    }

    /// Adds a Release with its signatures; those of the edition before, if it is as it was.
    fn sign(
        &self,
        directory: &str,
        text: &str,
        is_new: bool,
        edition: &mut EditionDocuments,
    ) -> Result<(), Problem> {
        let paths = ["InRelease", "Release.gpg"].map(|name| format!("{directory}{name}"));
        if !is_new {
            let mut kept = Vec::new();
            for path in &paths {
                kept.extend(
                    self.context.before(self.repository, path)?.map(|(document, _)| (path, document)),
                );
            }
            if kept.len() == paths.len() {
                edition.extend(kept.into_iter().map(|(path, document)| (path.clone(), document)));
                edition.insert(
                    format!("{directory}Release"),
                    document(write(text.as_bytes(), self.context)?, false),
                );
                return Ok(());
            }
        }
        // Clocks of clients that are late must not take a signature for one to come.
        let at = self.now - BACKDATED;
        let inline = sign_inline(text, self.keys, at);
        let beside = sign_detached(text.as_bytes(), self.keys, at);
        for (path, bytes) in paths.iter().zip([inline, beside]) {
            edition.insert(path.clone(), document(write(bytes.as_bytes(), self.context)?, false));
        }
        edition.insert(format!("{directory}Release"), document(write(text.as_bytes(), self.context)?, false));
        Ok(())
    }

    /// A small text of the edition before.
    fn before(&self, path: &str) -> Result<Option<String>, Problem> {
        let Some((document, _)) = self.context.before(self.repository, path)? else { return Ok(None) };
        Ok(String::from_utf8(self.context.read(&document.blob, LARGEST_RELEASE)?.to_vec()).ok())
    }
}

/// An index in both its forms, by its name and by its digests; unpacked it is only listed, as the large archives do it.
fn add_index(edition: &mut EditionDocuments, path: &str, index: &Index) {
    let folder = path.rsplit_once('/').map_or(String::new(), |(folder, _)| format!("{folder}/"));
    for (ending, written) in [("xz", index.xz), ("gz", index.gz)] {
        edition.insert(format!("{path}.{ending}"), document(written, false));
        edition.insert(format!("{folder}by-hash/SHA256/{}", written.0.hex()), document(written, true));
    }
    edition.insert(list_path(path), document(index.parts, false));
}

fn document((blob, size): Written, lasts: bool) -> EditionDocument {
    EditionDocument { blob, size, lasts }
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
