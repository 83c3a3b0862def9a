//! The documents of projects, with what they include, read from this machine.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Component, Path, PathBuf};

use bundle_format::BlobKey;

use super::file_name::FileName;
use super::indexes::Link;
use super::inputs::build_system::BuildSystem;
use super::inputs::lock::{Hash, Lock, Origin};
use super::inputs::pyproject::Pyproject;
use super::inputs::requirements::Requirements;
use super::inputs::uv_settings::UvSettings;
use super::inputs::{pdm_lock, pipfile_lock, poetry_lock, pylock, uv_lock};
use super::name::Name;
use super::release::Formats;
use super::request::{Document, Form};
use super::requirement::Requirement;
use crate::ecosystem::CollectContext;
use crate::problem::{Kind, Problem};

/// The largest document that is read, in bytes.
const LARGEST: u64 = 64 << 20;
/// The most documents that one may include, with what they include.
const MOST_INCLUDES: usize = 256;

/// The most projects of this machine that a lockfile may be of.
const MOST_PROJECTS: usize = 4096;

/// What a document says.
#[derive(Debug)]
pub(super) enum Said {
    /// What it asks for.
    Asks(Box<Asks>),
    /// What it asks for in its project's words.
    Project(Box<Pyproject>),
    /// What it was resolved to.
    Locked(Box<Locked>),
}

/// A lockfile, with what stands beside it.
#[derive(Debug)]
pub(super) struct Locked {
    pub(super) lock: Lock,
    pub(super) uv: UvSettings,
    /// What builds the projects that it is of, by the files that say it.
    pub(super) builds: BTreeMap<PathBuf, BuildSystem>,
}

/// What files of requirements ask for, together.
#[derive(Debug, Default)]
pub(super) struct Asks {
    pub(super) requirements: Vec<Requirement>,
    pub(super) constraints: Vec<Requirement>,
    /// The checksums that files of a project may have.
    pub(super) hashes: BTreeMap<Name, Vec<Hash>>,
    /// Whether each file needs a checksum.
    pub(super) require_hashes: bool,
    /// What is asked for and is nothing that an index could have.
    pub(super) local: Vec<String>,
    /// What builds projects of this machine that are asked for, by the files that say it.
    pub(super) builds: BTreeMap<PathBuf, BuildSystem>,
    pub(super) index_url: Option<String>,
    pub(super) extra_index_urls: Vec<String>,
    pub(super) no_index: bool,
    pub(super) find_links: BTreeSet<Link>,
    pub(super) formats: BTreeMap<Name, Formats>,
    pub(super) other_formats: Option<Formats>,
    pub(super) with_prereleases: bool,
}

/// Reads documents, and remembers which.
pub(super) struct Reader<'a> {
    context: &'a dyn CollectContext,
    read: Vec<BlobKey>,
}

impl<'a> Reader<'a> {
    pub(super) fn new(context: &'a dyn CollectContext) -> Reader<'a> {
        Reader { context, read: Vec::new() }
    }

    /// The digest of all that was read so far.
    pub(super) fn digest(&self) -> BlobKey {
        let all: Vec<String> = self.read.iter().map(ToString::to_string).collect();
        BlobKey::of(all.join("\n").as_bytes())
    }

    /// Reads a document and what it includes.
    ///
    /// # Errors
    /// If one is missing, damaged, or not UTF-8.
    pub(super) async fn read(&mut self, document: &Document) -> Result<Said, Problem> {
        let place = document.path.as_str();
        if document.form == Form::Requirements {
            let mut asks = Asks::default();
            self.requirements(plain(Path::new(place)), false, &mut asks).await?;
            return Ok(Said::Asks(Box::new(asks)));
        }
        let text = self.text(Path::new(place)).await?;
        let lock = match document.form {
            Form::Pyproject => {
                let mut project = Pyproject::parse(&text, place)?;
                if let Some(file) = self.uv_file(Path::new(place)).await? {
                    project.uv = project.uv.under(file);
                }
                return Ok(Said::Project(Box::new(project)));
            }
            Form::Uv => uv_lock::parse(&text, place)?,
            Form::Poetry => poetry_lock::parse(&text, place)?,
            Form::Pdm => pdm_lock::parse(&text, place)?,
            Form::Pipfile => pipfile_lock::parse(&text, place)?,
            Form::Pylock | Form::Requirements => pylock::parse(&text, place)?,
        };
        let uv = if document.form == Form::Uv { self.uv_settings(Path::new(place)).await? } else { None };
        let builds = self.builds(Path::new(place), document.form, &lock).await?;
        Ok(Said::Locked(Box::new(Locked { lock, uv: uv.unwrap_or_default(), builds })))
    }

    /// What builds the projects that a lockfile is of: no lockfile says it.
    async fn builds(
        &mut self,
        lockfile: &Path,
        form: Form,
        lock: &Lock,
    ) -> Result<BTreeMap<PathBuf, BuildSystem>, Problem> {
        let beside = lockfile.parent().unwrap_or(Path::new(""));
        // Clients of these install the project that the lockfile stands beside, whether or not it says so.
        let own = matches!(form, Form::Poetry | Form::Pdm).then(|| beside.to_owned());
        let local = lock.packages.iter().filter_map(|package| match &package.origin {
            Origin::Local(path) => Some(plain(&beside.join(path))),
            _ => None,
        });
        let directories: BTreeSet<PathBuf> = own.into_iter().chain(local).collect();
        if directories.len() > MOST_PROJECTS {
            let message = format!("it is of more than {MOST_PROJECTS} projects of this machine");
            return Err(wrong(lockfile, &message));
        }
        let mut builds = BTreeMap::new();
        for directory in directories {
            let path = directory.join("pyproject.toml");
            let Some(text) = self.text_if_there(&path).await? else { continue };
            if let Some(system) = BuildSystem::read(&text, &path.display().to_string())? {
                builds.insert(path, system);
            }
        }
        Ok(builds)
    }

    /// What uv is told in the project that a lockfile is of.
    async fn uv_settings(&mut self, lockfile: &Path) -> Result<Option<UvSettings>, Problem> {
        let file = self.uv_file(lockfile).await?;
        let beside = lockfile.with_file_name("pyproject.toml");
        let Some(text) = self.text_if_there(&beside).await? else { return Ok(file) };
        let project = Pyproject::uv_settings(&text, &beside.display().to_string())?;
        Ok(Some(match file {
            Some(file) => project.under(file),
            None => project,
        }))
    }

    /// What stands in the `uv.toml` beside a document.
    async fn uv_file(&mut self, document: &Path) -> Result<Option<UvSettings>, Problem> {
        let beside = document.with_file_name("uv.toml");
        let Some(text) = self.text_if_there(&beside).await? else { return Ok(None) };
        UvSettings::parse(&text, &beside.display().to_string()).map(Some)
    }

    /// Reads files of constraints.
    ///
    /// # Errors
    /// As [`Reader::read`].
    pub(super) async fn constraints(&mut self, paths: &[String]) -> Result<Vec<Requirement>, Problem> {
        let mut asks = Asks::default();
        for path in paths {
            self.requirements(plain(Path::new(path)), true, &mut asks).await?;
        }
        Ok(asks.constraints)
    }

    /// Reads a file of requirements and those that it names, in the order in which pip does.
    async fn requirements(
        &mut self,
        path: PathBuf,
        is_constraint: bool,
        asks: &mut Asks,
    ) -> Result<(), Problem> {
        let mut seen = vec![(path.clone(), is_constraint)];
        let mut waiting = vec![(path, is_constraint)];
        while let Some((path, is_constraint)) = waiting.pop() {
            let text = self.text(&path).await?;
            let place = path.display().to_string();
            let variable = |name: &str| self.context.environment(name);
            let read = Requirements::parse(&text, &place, &variable)?;
            let directory = path.parent().unwrap_or(Path::new(""));
            for include in read.includes.iter().rev() {
                if include.path.contains("://") {
                    let message = format!(
                        "{} is included by its address, and only files of this machine are read",
                        include.path
                    );
                    return Err(Problem::new(Kind::Usage, "pypi.include", message)
                        .at(format_args!("{place}:{}", include.line))
                        .hint("download it, and include the file"));
                }
                let next = (plain(&directory.join(&include.path)), is_constraint || include.is_constraint);
                if seen.contains(&next) {
                    continue;
                }
                if seen.len() > MOST_INCLUDES {
                    let message =
                        format!("more than {MOST_INCLUDES} files of requirements include each other");
                    return Err(Problem::new(Kind::Usage, "pypi.include", message).at(place));
                }
                seen.push(next.clone());
                waiting.push(next);
            }
            let (mut known, mut unknown) = (Vec::new(), Vec::new());
            for local in &read.local {
                match self.local_project(local, directory).await? {
                    Some((place, project)) => known.push((place, project, local)),
                    None => unknown.push(local.clone()),
                }
            }
            for (place, mut project, local) in known {
                let build = project.build.take();
                asks.builds.extend(build.map(|build| (place.clone(), build)));
                let extras = extras_of(local)?;
                let file = place.display().to_string();
                asks.requirements.extend(project.required(&file, extras.iter(), std::iter::empty())?);
            }
            asks.local.extend(unknown);
            for link in &read.find_links {
                let link = self.link(link, directory).await?;
                asks.find_links.insert(link);
            }
            asks.take(read, is_constraint);
        }
        Ok(())
    }

    /// The project that a path leads to, with the file that says what it needs; `None`, if only its build would tell. Paths of
    /// pip are from where one works, those of others from where the document is.
    async fn local_project(
        &mut self,
        path: &str,
        beside: &Path,
    ) -> Result<Option<(PathBuf, Pyproject)>, Problem> {
        let path = path.split_once('[').map_or(path, |(path, _)| path).trim_end();
        for directory in [plain(&beside.join(path)), plain(Path::new(path))] {
            let file = directory.join("pyproject.toml");
            let Some(text) = self.text_if_there(&file).await? else { continue };
            let project = Pyproject::parse(&text, &file.display().to_string())?;
            let is_told = project.name.is_some() && project.dependencies.is_some();
            return Ok(is_told.then_some((file, project)));
        }
        Ok(None)
    }

    /// A place that `--find-links` names: a path stands beside the document, or where one works, as pip has it.
    async fn link(&self, text: &str, beside: &Path) -> Result<Link, Problem> {
        let path = plain(&beside.join(text));
        let name = path.file_name().and_then(|name| name.to_str());
        let is_file = name.is_some_and(|name| FileName::with_project(name).is_some());
        let is_beside = is_file || !self.context.list(&path).await?.is_empty();
        Ok(Link::read(text, |text| if is_beside { path } else { PathBuf::from(text) }))
    }

    async fn text(&mut self, path: &Path) -> Result<String, Problem> {
        self.text_if_there(path).await?.ok_or_else(|| wrong(path, "there is no such file"))
    }

    async fn text_if_there(&mut self, path: &Path) -> Result<Option<String>, Problem> {
        let Some(bytes) = self.context.read(path, LARGEST).await? else { return Ok(None) };
        self.read.push(BlobKey::of(&bytes));
        String::from_utf8(bytes.into()).map(Some).map_err(|_| wrong(path, "it is no text in UTF-8"))
    }
}

fn wrong(path: &Path, message: &str) -> Problem {
    Problem::new(Kind::Usage, "pypi.document", message).at(path.display())
}

/// The extras of a project that is asked for by its path: `./app[web]`.
fn extras_of(path: &str) -> Result<Vec<Name>, Problem> {
    let Some((_, extras)) = path.split_once('[') else { return Ok(Vec::new()) };
    let extras = extras.split_once(']').map_or(extras, |(extras, _)| extras);
    let names = extras.split(',').map(str::trim).filter(|name| !name.is_empty()).map(Name::parse);
    names
        .collect::<Result<_, _>>()
        .map_err(|error| Problem::new(Kind::Usage, "pypi.damaged-input", error.to_string()).at(path))
}

/// A path without what leads nowhere, so that each file has one.
fn plain(path: &Path) -> PathBuf {
    let mut plain = PathBuf::new();
    for component in path.components() {
        match component {
            Component::CurDir => {}
            Component::ParentDir if matches!(plain.components().next_back(), Some(Component::Normal(_))) => {
                plain.pop();
            }
            component => plain.push(component),
        }
    }
    plain
}

impl Asks {
    fn take(&mut self, read: Requirements, is_constraint: bool) {
        for wanted in read.wanted {
            let hashes = self.hashes.entry(wanted.requirement.name.clone()).or_default();
            hashes.extend(wanted.hashes);
            match is_constraint {
                true => self.constraints.push(wanted.requirement),
                false => self.requirements.push(wanted.requirement),
            }
        }
        self.require_hashes |= read.require_hashes;
        self.index_url = read.index_url.or(self.index_url.take());
        self.extra_index_urls.extend(read.extra_index_urls);
        self.no_index |= read.no_index;
        self.formats.extend(read.formats);
        self.other_formats = read.other_formats.or(self.other_formats);
        self.with_prereleases |= read.with_prereleases;
    }
}
