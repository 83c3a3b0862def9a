//! What is resolved together, because it is to be installed together: what requests ask for, or what a lockfile says.

use std::borrow::Cow;
use std::collections::{BTreeMap, HashMap};
use std::path::{Path, PathBuf};

use super::documents::{Asks, Reader, Said};
use super::indexes::Indexes;
use super::inputs::lock::{Hash, Lock};
use super::marker::{Chosen, Marker};
use super::name::Name;
use super::options::Options;
use super::request::{Asked, Document};
use super::requirement::Requirement;
use super::resolve::Wanted;
use super::target::Target;
use super::with_uv;
use crate::ecosystem::{CollectContext, Gap, Note, Request};
use crate::problem::{Kind, Problem};

/// What is installed together.
#[derive(Debug)]
pub(super) struct Group {
    /// What it is called when something of it is missing.
    pub(super) name: String,
    /// The requests that it comes from.
    pub(super) requests: Vec<String>,
    pub(super) wants: Wants,
    /// The indexes that are asked, by their numbers, in their order.
    pub(super) indexes: Vec<usize>,
    /// The checksums that files of a project may have; none for any.
    pub(super) hashes: BTreeMap<Name, Vec<Hash>>,
    /// Whether each file needs such a checksum.
    pub(super) require_hashes: bool,
    /// The targets that it is for, by their numbers; none for all.
    pub(super) targets: Vec<usize>,
    pub(super) part: Part,
    /// Projects that are to be had from one index alone, by its place in `indexes`, on the targets where a marker holds.
    pub(super) sources: Vec<(Name, Option<Marker>, usize)>,
}

/// What a group wants.
#[derive(Debug)]
pub(super) enum Wants {
    /// What is still to be resolved.
    Resolved(Wanted),
    /// What was resolved already.
    Locked {
        lock: Box<Lock>,
        extras: Vec<Name>,
        groups: Vec<Name>,
        /// The index of each of the lockfile's names and addresses of indexes.
        indexes: BTreeMap<String, usize>,
    },
}

/// What a group is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Part {
    /// What somebody asked for.
    Document,
    /// Requirements that were asked for one by one: if they cannot be together, each may be by itself.
    Words,
    /// What builds a source distribution, or a project.
    Build,
    /// pip, setuptools and wheel, which clients look for whatever is installed.
    Installers,
}

/// What requests come to.
#[derive(Debug, Default)]
pub(super) struct Groups {
    pub(super) groups: Vec<Group>,
    pub(super) gaps: Vec<Gap>,
    pub(super) notes: Vec<Note>,
}

/// The identity of what is asked for, without the circumstances.
///
/// # Errors
/// If it is nothing that can be read.
pub(super) async fn identity(
    asked: &Asked,
    options: &Options,
    context: &dyn CollectContext,
) -> Result<String, Problem> {
    let mut reader = Reader::new(context);
    let name = match asked {
        Asked::Requirement(requirement) => requirement.to_string(),
        Asked::Document(document) => {
            reader.read(document).await?;
            let names = |names: &[Name]| names.iter().map(Name::as_str).collect::<Vec<_>>().join(",");
            format!("{:?}[{}]:{}", document.form, names(&document.extras), names(&document.groups))
        }
    };
    reader.constraints(&options.constraints).await?;
    Ok(format!("{name} {}", reader.digest().hex().get(..32).unwrap_or_default()))
}

impl Groups {
    /// Reads what requests ask for; indexes that they name are known from now on.
    ///
    /// # Errors
    /// If a document cannot be read, or no index is known.
    pub(super) async fn of(
        requests: &[Request],
        options: &Options,
        indexes: &mut Indexes,
        context: &dyn CollectContext,
    ) -> Result<Groups, Problem> {
        let constraints = Reader::new(context).constraints(&options.constraints).await?;
        let mut groups = Groups::default();
        let (mut words, mut asked_by) = (Vec::new(), Vec::new());
        for request in requests {
            // A request may be written with its ecosystem's name or be a mere path.
            let what = request.text.strip_prefix("pypi:").unwrap_or(&request.text);
            let asked = Asked::read(what)?;
            let identity = identity(&asked, options, context).await?;
            if !request.identity.starts_with(&format!("pypi:{identity}")) {
                let problem = Problem::new(
                    Kind::Failed,
                    "pypi.changed",
                    "a document changed while it was being collected",
                );
                return Err(problem.at(&request.text).hint("try again once nobody writes it any more"));
            }
            match asked {
                Asked::Requirement(requirement) => {
                    words.push(requirement);
                    asked_by.push(request.text.clone());
                }
                Asked::Document(document) => {
                    let said = Reader::new(context).read(&document).await?;
                    groups.document(document, said, (&request.text, options, &constraints), indexes)?;
                }
            }
        }
        if !words.is_empty() {
            let name = words
                .first()
                .filter(|_| words.len() == 1)
                .map_or("requests".to_owned(), |one| one.name.to_string());
            let wanted = wanted(options, words, &constraints);
            groups.groups.push(Group::new(
                name,
                asked_by,
                Wants::Resolved(wanted),
                indexes.usual()?,
                Part::Words,
            ));
        }
        if !options.without_installers {
            let installers =
                ["pip", "setuptools", "wheel"].iter().filter_map(|name| Requirement::parse(name).ok());
            let wanted = wanted(options, installers.collect(), &constraints);
            let requests = requests.iter().map(|request| request.text.clone()).collect();
            let usual = match indexes.usual() {
                Ok(usual) => usual,
                // A lockfile may name all the indexes that there are.
                Err(_) => groups.groups.first().map(|group| group.indexes.clone()).unwrap_or_default(),
            };
            let name = "installers".to_owned();
            groups.groups.push(Group::new(name, requests, Wants::Resolved(wanted), usual, Part::Installers));
        }
        Ok(groups)
    }

    fn document(
        &mut self,
        document: Document,
        said: Said,
        (request, options, constraints): (&str, &Options, &[Requirement]),
        indexes: &mut Indexes,
    ) -> Result<(), Problem> {
        let name = document.path.rsplit('/').next().unwrap_or_default().to_owned();
        let requests = vec![request.to_owned()];
        let mut builds = BTreeMap::new();
        let group = match said {
            Said::Asks(mut asks) => {
                builds = std::mem::take(&mut asks.builds);
                self.asks(name, requests, *asks, (options, constraints), indexes)?
            }
            Said::Project(mut project) => {
                let uv = project.uv.clone();
                builds.extend(project.build.take().map(|build| (PathBuf::from(&document.path), build)));
                let extras = document.extras.iter().chain(&options.extras);
                let asked = document.groups.iter().chain(options.groups.iter().flatten());
                let required = project.required(&document.path, extras, asked)?;
                let wanted = wanted(options, required, constraints);
                let (group, gaps) =
                    with_uv::group((name, requests), wanted, uv, Path::new(&document.path), indexes)?;
                self.gaps.extend(gaps);
                group
            }
            Said::Locked(said) => {
                with_uv::name_indexes(&said.uv, indexes)?;
                builds = said.builds;
                locked(name, requests, said.lock, &document, options, indexes)?
            }
        };
        // Whoever installs the project itself inside builds it there, and may want to edit it.
        for (project, build) in builds {
            let name = format!("the build of {}", project.display());
            self.groups.extend(group.building(name, group.requests.clone(), build.all(), options));
        }
        self.groups.push(group);
        Ok(())
    }

    fn asks(
        &mut self,
        name: String,
        requests: Vec<String>,
        asks: Asks,
        (options, constraints): (&Options, &[Requirement]),
        indexes: &mut Indexes,
    ) -> Result<Group, Problem> {
        for local in &asks.local {
            let detail = format!(
                "{local} is of this machine, and no index has it; `aftk collect file:…` carries files as they are"
            );
            self.gaps.push(gap(local, "", "local", detail));
        }
        let mut wanted = wanted(options, asks.requirements, constraints);
        wanted.constraints.extend(asks.constraints);
        wanted.formats.extend(asks.formats);
        wanted.other_formats = asks.other_formats.or(wanted.other_formats);
        wanted.with_prereleases |= asks.with_prereleases;
        // Whoever names further indexes means them before the general one: as uv has it, for nobody is to take over a name.
        let mut order = Vec::new();
        for url in &asks.extra_index_urls {
            order.push(indexes.number(url, None)?);
        }
        match &asks.index_url {
            Some(url) => order.push(indexes.number(url, None)?),
            None if asks.no_index => {}
            // Links may be all that there is.
            None if !asks.find_links.is_empty() => order.extend(indexes.usual().unwrap_or_default()),
            None => order.extend(indexes.usual()?),
        }
        let order = indexes.with_links(order, &asks.find_links);
        let mut group = Group::new(name, requests, Wants::Resolved(wanted), order, Part::Document);
        group.hashes = asks.hashes;
        group.hashes.retain(|_, hashes| !hashes.is_empty());
        group.require_hashes = asks.require_hashes;
        Ok(group)
    }
}

impl Group {
    pub(super) fn new(
        name: String,
        requests: Vec<String>,
        wants: Wants,
        indexes: Vec<usize>,
        part: Part,
    ) -> Group {
        let wants = match wants {
            Wants::Resolved(wanted) => Wants::Resolved(Wanted { indexes: indexes.len(), ..wanted }),
            wants => wants,
        };
        let (hashes, targets, sources) = (BTreeMap::new(), Vec::new(), Vec::new());
        Group { name, requests, wants, indexes, hashes, require_hashes: false, targets, part, sources }
    }

    /// What builds something of this group, from the indexes that it is from itself; `None`, if nothing is needed.
    pub(super) fn building(
        &self,
        name: String,
        requests: Vec<String>,
        requires: Vec<Requirement>,
        options: &Options,
    ) -> Option<Group> {
        if requires.is_empty() {
            return None;
        }
        let constraints = options.build_constraints.clone();
        let wanted = Wanted { requirements: requires, constraints, ..Wanted::default() };
        // Those behind the ones that it asks are for its sources alone.
        let asked = match &self.wants {
            Wants::Resolved(wanted) => wanted.indexes,
            Wants::Locked { .. } => self.indexes.len(),
        };
        let indexes = self.indexes.iter().copied().take(asked).collect();
        Some(Group::new(name, requests, Wants::Resolved(wanted), indexes, Part::Build))
    }

    /// What is to be resolved for a target.
    pub(super) fn wanted_for<'a>(&self, wanted: &'a Wanted, target: &Target) -> Cow<'a, Wanted> {
        let holds = |marker: &Option<Marker>| {
            marker.as_ref().is_none_or(|marker| marker.holds(&target.environment, Chosen::default()))
        };
        let of = self.sources.iter().filter(|(_, marker, _)| holds(marker));
        let index_of: HashMap<Name, usize> = of.map(|(name, _, index)| (name.clone(), *index)).collect();
        match index_of.is_empty() {
            true => Cow::Borrowed(wanted),
            false => Cow::Owned(Wanted { index_of, ..wanted.clone() }),
        }
    }
}

/// What is to be resolved, as the project wants things resolved.
fn wanted(options: &Options, requirements: Vec<Requirement>, constraints: &[Requirement]) -> Wanted {
    Wanted {
        requirements,
        constraints: constraints.to_vec(),
        formats: options.formats.iter().map(|(name, formats)| (name.clone(), *formats)).collect(),
        other_formats: options.other_formats,
        with_prereleases: options.with_prereleases,
        ..Wanted::default()
    }
}

fn locked(
    name: String,
    requests: Vec<String>,
    lock: Lock,
    document: &Document,
    options: &Options,
    known: &mut Indexes,
) -> Result<Group, Problem> {
    let usual = known.usual();
    let mut indexes = BTreeMap::new();
    let named = lock.packages.iter().filter_map(|package| match &package.origin {
        super::inputs::lock::Origin::Index(index) => index.as_deref(),
        _ => None,
    });
    for index in named {
        if !indexes.contains_key(index) {
            let address = lock.indexes.get(index).map_or(index, String::as_str);
            let is_address = address.contains("://");
            let number = match is_address {
                true => known.number(address, None)?,
                // A name that the lockfile does not explain.
                false => *usual.as_ref().map_err(Clone::clone)?.last().unwrap_or(&0),
            };
            indexes.insert(index.to_owned(), number);
        }
    }
    let order = match usual {
        Ok(usual) => usual,
        Err(problem) => match indexes.values().next() {
            Some(_) => indexes.values().copied().collect(),
            None => return Err(problem),
        },
    };
    let extras: Vec<Name> = document.extras.iter().chain(&options.extras).cloned().collect();
    let asked: Vec<Name> = document.groups.iter().chain(options.groups.iter().flatten()).cloned().collect();
    let groups =
        if asked.is_empty() && options.groups.is_none() { lock.default_groups.clone() } else { asked };
    let wants = Wants::Locked { lock: Box::new(lock), extras, groups, indexes };
    Ok(Group::new(name, requests, wants, order, Part::Document))
}

/// Something that cannot be had.
pub(super) fn gap(name: &str, version: &str, reason: &str, detail: impl Into<String>) -> Gap {
    Gap {
        ecosystem: "pypi".to_owned(),
        name: name.to_owned(),
        version: version.to_owned(),
        reason: reason.to_owned(),
        detail: detail.into(),
    }
}
