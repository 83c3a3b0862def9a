//! Building wheels outside, of source distributions that have none for a target: where this machine is such a target, by
//! the pip that is carried, with what is carried to build them and nothing else.
//!
//! A wheel that was built here is not upstream's word: it stands beside its sources, its record says what it was made of
//! and by what, and it never takes the name of a file that an index lists.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::io::{Seek as _, SeekFrom};

use bundle_format::{BlobKey, Digest};
use bytes::Bytes;
use futures_util::{StreamExt as _, TryStreamExt as _};
use url::Url;

use super::carry::{Carried, Release};
use super::facts::{Built, Facts, WHEEL};
use super::fetch::{Fetcher, sha256};
use super::file_name::{FileName, Kind as FileKind, Wheel};
use super::glibc;
use super::group::{Group, Part, Wants};
use super::known::{Known, MetadataDocument, ReleaseKey};
use super::machine::{self, Python};
use super::metadata::Metadata;
use super::simple::Listed;
use super::tags::Platform;
use super::target::Target;
use super::{SCHEMA, wheel};
use crate::blocking::blocking;
use crate::ecosystem::{Attempt, CollectContext, Made, Planned};
use crate::events::Happening;
use crate::problem::{Kind, Problem};

/// How many of the files that a build needs are had at once.
const AT_ONCE: usize = 8;
/// Where the programs that build find files, and leave wheels.
const LINKS: &str = "links";
const WHEELS: &str = "wheels";
/// When everything was made, for builders that are told: so that two builds give the same bytes, as far as they can.
const EPOCH: &str = "946684800";

/// What became of building a release.
#[derive(Debug, Default)]
pub(super) struct Builds {
    pub(super) wheels: Vec<BuiltWheel>,
    /// Why there is none for a target, by its number.
    pub(super) refused: BTreeMap<usize, String>,
}

/// A wheel that was built here, and is held.
#[derive(Debug)]
pub(super) struct BuiltWheel {
    pub(super) name: String,
    pub(super) key: BlobKey,
    pub(super) size: u64,
    pub(super) document: MetadataDocument,
    pub(super) requires_python: Option<String>,
    /// The targets that it serves, by their numbers.
    pub(super) serves: BTreeSet<usize>,
    /// How it was made.
    pub(super) built: Built,
}

impl Builds {
    /// Whether there is a wheel for a target.
    pub(super) fn serve(&self, target: usize) -> bool {
        self.wheels.iter().any(|wheel| wheel.serves.contains(&target))
    }
}

/// What is built with.
pub(super) struct Builder<'a> {
    pub(super) fetcher: &'a Fetcher<'a>,
    pub(super) groups: &'a [Group],
    pub(super) targets: &'a [Target],
    pub(super) carried: &'a Carried,
}

/// One build.
struct Job<'a> {
    release: &'a Release,
    /// The source distribution.
    sdist: &'a str,
    /// The target, by its number.
    number: usize,
    target: &'a Target,
}

impl Builder<'_> {
    /// Builds what has no wheel for a target yet, once. Says whether a wheel requires what was not known: then other things
    /// may have to be carried.
    ///
    /// # Errors
    /// Incomplete, if something cannot be built; usage, if builds cannot be cut off from the network here.
    pub(super) async fn build(&self, known: &mut Known) -> Result<bool, Problem> {
        let jobs = self.jobs();
        let is_open = |job: &Job<'_>, known: &Known| {
            known
                .builds
                .get(&job.release.key())
                .is_none_or(|builds| !builds.serve(job.number) && !builds.refused.contains_key(&job.number))
        };
        if !jobs.iter().any(|job| is_open(job, known)) {
            return Ok(false);
        }
        let context = self.fetcher.context;
        let items = Some(jobs.len() as u64);
        context.events().emit(Happening::Stage { name: "build".to_owned(), items, bytes: None });
        let before = context.locked(SCHEMA).await?;
        let mut is_new = false;
        for job in &jobs {
            if is_open(job, known) {
                let outcome = self.wheel(job, known, &before).await?;
                let mut builds = known.builds.remove(&job.release.key()).unwrap_or_default();
                match outcome {
                    Ok((wheel, metadata)) => {
                        is_new |= job.release.believes(job.sdist, &metadata, known);
                        builds.wheels.push(wheel);
                    }
                    Err(why) => drop(builds.refused.insert(job.number, why)),
                }
                known.builds.insert(job.release.key(), builds);
            }
            context.events().emit(Happening::ItemDone { item: job.sdist.to_owned() });
        }
        Ok(is_new)
    }

    /// Every source distribution with a target that it has no wheel for.
    fn jobs(&self) -> Vec<Job<'_>> {
        let mut jobs = Vec::new();
        for release in self.carried.releases() {
            for (file, serves) in release.files.iter().filter(|(file, _)| !file.ends_with(".whl")) {
                let without_wheel = serves.iter().filter(|target| !release.has_wheel_for(**target));
                jobs.extend(without_wheel.filter_map(|number| {
                    Some(Job { release, sdist: file, number: *number, target: self.targets.get(*number)? })
                }));
            }
        }
        jobs
    }

    /// The wheel of a source distribution for a target: built, or the one that the lock had; or why there is none.
    async fn wheel(
        &self,
        job: &Job<'_>,
        known: &Known,
        before: &[Planned],
    ) -> Result<Result<(BuiltWheel, Metadata), String>, Problem> {
        let context = self.fetcher.context;
        let python = match machine::python_of(job.target, context).await {
            Ok(python) => python,
            Err(why) => return Ok(Err(why)),
        };
        let materials = self.materials(job, known);
        let Some(pip) = materials.iter().find(|release| release.project.as_str() == "pip") else {
            return Ok(Err("pip is not carried for it, which builds".to_owned()));
        };
        let sources = self.hold(job.release, job.sdist, known).await?;
        let others = materials.iter().filter(|release| release.key() != pip.key());
        let built = Built {
            from: job.sdist.to_owned(),
            sha256: sources.hex(),
            by: format!("pip {}, {}", pip.version, python.name),
            with: others.map(|release| format!("{} {}", release.project, release.version)).collect(),
        };
        if let Some(made) = held_before(job, &built, before, context).await? {
            return self.read(job, made, built, known).await;
        }
        let mut blobs = vec![(job.sdist.to_owned(), sources)];
        let mut needed = Vec::new();
        for &release in &materials {
            for (file, _) in release.files.iter().filter(|(_, serves)| serves.contains(&job.number)) {
                needed
                    .push(async { Ok::<_, Problem>((file.clone(), self.hold(release, file, known).await?)) });
            }
        }
        let needed = futures_util::stream::iter(needed).buffered(AT_ONCE);
        blobs.extend(needed.try_collect::<Vec<_>>().await?);
        let Some((pip, _)) = blobs
            .iter()
            .find(|(file, _)| file.ends_with(".whl") && FileName::parse(file, &pip.project).is_some())
        else {
            return Ok(Err("pip is carried for it as sources alone".to_owned()));
        };
        let attempt = attempt(job, &python, &pip.clone(), blobs);
        let failed = |why: String| {
            let (project, version) = (&job.release.project, &job.release.version);
            Problem::new(
                Kind::Incomplete,
                "pypi.build-failed",
                format!("{project} {version} cannot be built for {}", job.target.name),
            )
            .because(why)
            .hint(
                "a compiler or libraries with their headers may be missing on this machine; what it needs inside is named \
                 in aftk.toml: [[pypi]] system-packages",
            )
            .hint("without build-wheels its sources are carried, and it is built inside")
        };
        let made = context.make(&attempt, WHEELS).await?.map_err(&failed)?;
        let Ok([made]) = <[Made; 1]>::try_from(made) else {
            return Err(failed("the build left no wheel, or several".to_owned()));
        };
        self.read(job, made, built, known).await
    }

    /// What has to be there for a build: pip, and what builds it and all that is built for that.
    fn materials(&self, job: &Job<'_>, known: &Known) -> Vec<&Release> {
        let serves = |release: &&Release| release.files.values().any(|serves| serves.contains(&job.number));
        let of = |group: usize| {
            self.carried.releases().filter(move |release| release.groups.contains(&group)).filter(serves)
        };
        let installers = self.groups.iter().position(|group| group.part == Part::Installers);
        let pip = installers.into_iter().flat_map(of).filter(|release| release.project.as_str() == "pip");
        let mut all: BTreeMap<ReleaseKey, &Release> = pip.map(|release| (release.key(), release)).collect();
        let mut open = vec![(job.release, job.sdist)];
        let mut seen = HashSet::new();
        while let Some((release, sdist)) = open.pop() {
            let Some(Ok(described)) = release.described(sdist, known) else { continue };
            let Some(build) = &described.build else { continue };
            let is_its_own = |group: &Group| match &group.wants {
                Wants::Resolved(wanted) => {
                    group.part == Part::Build
                        && group.targets == [job.number]
                        && wanted.requirements == build.requires
                }
                Wants::Locked { .. } => false,
            };
            let group = self.groups.iter().position(is_its_own);
            if let Some(group) = group.filter(|group| seen.insert(*group)) {
                for release in of(group) {
                    all.insert(release.key(), release);
                    let sdists = release
                        .files
                        .iter()
                        .filter(|(file, serves)| serves.contains(&job.number) && !file.ends_with(".whl"));
                    open.extend(sdists.map(|(file, _)| (release, file.as_str())));
                }
            }
        }
        all.into_values().collect()
    }

    /// A file of a release, in the store, as its index and the lockfiles say that it is.
    async fn hold(&self, release: &Release, file: &str, known: &Known) -> Result<BlobKey, Problem> {
        let gone = |why: &str| {
            Problem::new(Kind::Incomplete, "pypi.gone", format!("{file} is needed for a build, and {why}"))
        };
        let listed = release.listed(file, known).ok_or_else(|| gone("is not listed"))?;
        let context = self.fetcher.context;
        if let Some(key) = sha256(listed).filter(|_| listed.url.is_empty()) {
            // A file of this machine, which is held.
            return Ok(key);
        }
        let url = Url::parse(&listed.url).map_err(|error| gone("has no address").caused_by(&error))?;
        let access = self.fetcher.indexes.let_in(url, Some(&release.repository));
        if let (Some(key), Some(size)) = (sha256(listed), listed.size) {
            let held = context.obtain(&access, &key.into(), size).await?;
            return held.ok_or_else(|| gone("is not where its index says"));
        }
        let content = context.download(&access).await?;
        let digest = expected(listed, release.checksums.get(file).map(Vec::as_slice).unwrap_or_default());
        Ok(context.take_in(file, Box::new(content), digest).await?.0)
    }

    /// What a wheel that was built is, or why it is of no use.
    async fn read(
        &self,
        job: &Job<'_>,
        made: Made,
        built: Built,
        known: &Known,
    ) -> Result<Result<(BuiltWheel, Metadata), String>, Problem> {
        let (release, name) = (job.release, made.name.as_str());
        let parsed = FileName::parse(name, &release.project).filter(|name| name.version == release.version);
        let Some(FileName { kind: FileKind::Wheel(tags), .. }) = parsed else {
            return Ok(Err(format!("the build left {name:?}, which is no wheel of it")));
        };
        if release.pages(known).any(|page| page.listed.contains_key(name)) {
            return Ok(Err(format!(
                "its index lists a file {name} of its own, which another must not stand for"
            )));
        }
        let mut file = self.fetcher.context.open_blob(&made.key).await?;
        let (wheel_name, project) = (made.name.clone(), release.project.clone());
        let read = blocking(move || {
            let document =
                wheel::metadata(&mut file, &wheel_name, &project).map_err(|error| error.to_string());
            let needed = file.seek(SeekFrom::Start(0)).and_then(|_| glibc::needed(&mut file));
            let needed = needed.map_err(|error| format!("{wheel_name}: {error}"));
            Ok(document.and_then(|document| Ok((Bytes::from(document), needed?))))
        });
        let (document, glibc) = match read.await? {
            Ok(read) => read,
            Err(why) => return Ok(Err(why)),
        };
        let metadata = match Metadata::parse(&document) {
            Ok(metadata) => metadata,
            Err(error) => return Ok(Err(error.to_string())),
        };
        if (&metadata.name, &metadata.version) != (&release.project, &release.version) {
            return Ok(Err(format!(
                "{name} says of itself that it is {} {}",
                metadata.spelled, metadata.version
            )));
        }
        let fits = |target: &Target| fits(target, &tags, &metadata, glibc);
        if let Err(why) = fits(job.target) {
            return Ok(Err(format!("{name} {why}")));
        }
        let of_sources = release.files.get(job.sdist).into_iter().flatten();
        let open = of_sources.filter(|number| !release.has_wheel_for(**number));
        let serves =
            open.filter(|number| self.targets.get(**number).is_some_and(|target| fits(target).is_ok()));
        let (serves, size) = (serves.copied().collect(), document.len() as u64);
        let key = self.fetcher.context.keep(document).await?;
        let wheel = BuiltWheel {
            name: made.name,
            key: made.key,
            size: made.size,
            document: MetadataDocument { key, size, origin: String::new() },
            requires_python: metadata.requires_python.as_ref().map(ToString::to_string),
            serves,
            built,
        };
        Ok(Ok((wheel, metadata)))
    }
}

/// Whether a wheel is for a target, or why not: `glibc` is the one that it needs.
fn fits(target: &Target, tags: &Wheel, metadata: &Metadata, glibc: Option<u64>) -> Result<(), String> {
    if target.rank(tags).is_none() {
        return Err(format!("is not for {} by its tags", target.name));
    }
    if metadata.requires_python.as_ref().is_some_and(|pythons| !target.has_python(pythons)) {
        return Err(format!("is for other Pythons than that of {}", target.name));
    }
    match (&target.platform, glibc) {
        (Platform::Manylinux { minor, .. }, Some(needed)) if needed > *minor => Err(format!(
            "needs glibc 2.{needed}, and {} has 2.{minor}: build it on a system that is as old",
            target.name
        )),
        _ => Ok(()),
    }
}

/// What builds a wheel.
fn attempt(job: &Job<'_>, python: &Python, pip: &str, blobs: Vec<(String, BlobKey)>) -> Attempt {
    let (pip, sdist) = (format!("{LINKS}/{pip}/pip"), format!("{LINKS}/{}", job.sdist));
    let words = [
        &python.program,
        &pip,
        "wheel",
        "--no-deps",
        "--no-index",
        "--find-links",
        LINKS,
        "--wheel-dir",
        WHEELS,
        &sdist,
    ];
    let variables = [
        ("PIP_CONFIG_FILE", "/dev/null"),
        ("PIP_NO_CACHE_DIR", "1"),
        ("PIP_NO_INPUT", "1"),
        ("PIP_DISABLE_PIP_VERSION_CHECK", "1"),
        ("PIP_USE_PEP517", "1"),
        ("PYTHONNOUSERSITE", "1"),
        ("PYTHONHASHSEED", "0"),
        ("SOURCE_DATE_EPOCH", EPOCH),
    ];
    Attempt {
        what: format!("{} {} for {}", job.release.project, job.release.version, job.target.name),
        blobs: blobs.into_iter().map(|(file, key)| (format!("{LINKS}/{file}"), key)).collect(),
        variables: variables.map(|(name, value)| (name.to_owned(), value.to_owned())).into(),
        steps: vec![words.map(str::to_owned).to_vec()],
        ..Attempt::default()
    }
}

/// The wheel that the lock has, if it was made of the same for the same target and is still held.
async fn held_before(
    job: &Job<'_>,
    built: &Built,
    before: &[Planned],
    context: &dyn CollectContext,
) -> Result<Option<Made>, Problem> {
    let key = job.release.key();
    for artifact in before {
        if (&artifact.repository, artifact.name.as_str(), &artifact.version)
            != (&key.0, key.1.as_str(), &key.2.to_string())
        {
            continue;
        }
        let facts = Facts::of_attributes(&artifact.attributes).unwrap_or_default();
        for file in artifact.files.iter().filter(|file| file.role == WHEEL) {
            let Some(fact) = facts.files.get(&file.path) else { continue };
            let (Some(key), Some(size)) = (file.blob, file.size) else { continue };
            let is_same = fact.built.as_ref() == Some(built) && fact.targets.contains(&job.target.name);
            if is_same && context.hold(&key, size).await? {
                return Ok(Some(Made { name: file.path.clone(), key, size }));
            }
        }
    }
    Ok(None)
}

/// The checksum that a file is held to: sha256, where one is known.
fn expected(listed: &Listed, locked: &[Digest]) -> Option<Digest> {
    let mut all = listed.checksums.iter().chain(locked);
    all.clone().find(|digest| digest.blob_key().is_some()).or_else(|| all.next()).cloned()
}
