//! Resolving: from lockfiles to artifacts.
//!
//! A lockfile lists nearly all that is wanted. What npm leaves out of it, optional packages of other platforms, is
//! found in the metadata of the listed ones and followed until nothing new turns up.

use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use bundle_format::{Ref, Repository, Requirement};
use futures_util::{StreamExt as _, TryStreamExt as _};

use super::fetch::{Carried, Fetched, Fetcher, refs};
use super::integrity;
use super::lock_graph::Overrides;
use super::lockfile::{EdgeKind, Lock};
use super::names;
use super::origin::{PUBLIC, Routes, Source};
use super::platform::Platform;
use super::request;
use super::spec::{Spec, without_alias};
use super::version::Version;
use super::wanted::{Package, Wanted, Wants, gap};
use crate::blocking::blocking;
use crate::ecosystem::{CollectContext, Planned, Request, RequestBody, Resolution};
use crate::events::Happening;
use crate::problem::{Kind, Problem};
use crate::spill::Sorter;

/// How many packages' metadata are fetched at once.
const AT_ONCE: usize = 16;
/// How often what turned up is followed.
const ROUNDS: usize = 32;
/// The most versions that one lockfile leads to.
const MOST: usize = 200_000;

/// Resolves lockfiles for platforms; for all, if none is named.
pub(super) async fn resolve(
    requests: &[Request],
    platforms: &[String],
    context: &dyn CollectContext,
) -> Result<Resolution, Problem> {
    let platforms: Vec<Platform> =
        platforms.iter().map(|text| Platform::read(text)).collect::<Result<_, _>>()?;
    let mut resolution = Found::default();
    let mut artifacts = Artifacts::new();
    for request in requests {
        let RequestBody::Document { path, .. } = &request.body else {
            return Err(request::not_built(&request.text));
        };
        let lock_bytes = context.read(path, super::lockfile::LARGEST).await?.unwrap_or_default();
        let lock_path = path.clone();
        let lock = blocking(move || Lock::read(&lock_path, &lock_bytes)).await?;
        let overrides = request::overrides(path, context).await?;
        let overrides = overrides.as_ref().map(Overrides::read).unwrap_or_default();
        let project = context.directory().join(path.parent().unwrap_or(Path::new("")));
        let routes = Routes::load(context, &project).await?;
        routes.warn(context);
        let mut wants = Wants::default();
        wants.add(&lock, &overrides, &routes, &path.display().to_string())?;
        resolution.gaps.append(&mut wants.gaps);
        resolution.notes.append(&mut wants.notes);
        let fetcher = Fetcher { routes: &routes, platforms: &platforms, bent: &wants.bent, context };
        let mut closure = Closure { fetcher, carried: BTreeMap::new(), tags: BTreeMap::new() };
        closure.follow(wants.packages, &mut resolution).await?;
        closure.mark_absent();
        closure.add_to(&mut artifacts, &mut resolution)?;
    }
    tidy(&mut resolution);
    let mut sorted = Sorter::new(context.scratch());
    sorted.extend(artifacts.into_values())?;
    let mut refs = Sorter::new(context.scratch());
    refs.extend(resolution.refs)?;
    let mut evidence = Sorter::new(context.scratch());
    evidence.extend(resolution.evidence)?;
    Ok(Resolution {
        repositories: resolution.repositories,
        artifacts: sorted.finish()?,
        refs: refs.finish()?,
        follow_ups: Vec::new(),
        gaps: resolution.gaps,
        notes: resolution.notes,
        evidence: evidence.finish()?,
    })
}

#[derive(Default)]
struct Found {
    repositories: Vec<Repository>,
    refs: Vec<Ref>,
    gaps: Vec<crate::ecosystem::Gap>,
    notes: Vec<crate::ecosystem::Note>,
    evidence: Vec<crate::ecosystem::Evidence>,
}

/// By repository, name and version.
type Artifacts = BTreeMap<[String; 3], Planned>;
type Packages = BTreeMap<(Source, String), Package>;

/// What one lockfile leads to.
struct Closure<'a> {
    fetcher: Fetcher<'a>,
    carried: BTreeMap<(Source, String), BTreeMap<String, Carried>>,
    tags: BTreeMap<(Source, String), BTreeMap<String, String>>,
}

impl Closure<'_> {
    /// Fetches what is wanted, and what that leads to.
    async fn follow(&mut self, mut open: Packages, resolution: &mut Found) -> Result<(), Problem> {
        for _ in 0..ROUNDS {
            if open.is_empty() {
                return Ok(());
            }
            let context = self.fetcher.context;
            let items = Some(open.len() as u64);
            context.events().emit(Happening::Stage { name: "resolve".to_owned(), items, bytes: None });
            let fetcher = self.fetcher;
            let fetches = open.into_iter().map(|((source, name), package)| async move {
                let fetched = fetcher.fetch(&source, &name, package).await?;
                fetcher.context.events().emit(Happening::ItemDone { item: name.clone() });
                Ok::<_, Problem>(((source, name), fetched))
            });
            let fetched: Vec<((Source, String), Fetched)> =
                futures_util::stream::iter(fetches).buffer_unordered(AT_ONCE).try_collect().await?;
            let mut new = Vec::new();
            for (package, fetched) in fetched {
                resolution.gaps.extend(fetched.gaps);
                resolution.notes.extend(fetched.notes);
                resolution.evidence.extend(fetched.evidence);
                let versions = self.carried.entry(package.clone()).or_default();
                for carried in fetched.carried {
                    let version = carried.planned.version.clone();
                    if let Entry::Vacant(place) = versions.entry(version.clone()) {
                        place.insert(carried);
                        new.push((package.clone(), version));
                    }
                }
                self.tags.insert(package, fetched.tags);
            }
            if self.carried.values().map(BTreeMap::len).sum::<usize>() > MOST {
                return Err(endless(&format!("it leads to more than {MOST} versions")));
            }
            open = self.unmet(&new, resolution);
        }
        Err(endless(&format!("it still leads further after {ROUNDS} rounds")))
    }

    /// What new versions ask for that nothing carried meets: of listed ones the optional packages, which a lockfile
    /// may leave out; of those chosen here all that they need.
    fn unmet(&self, new: &[((Source, String), String)], resolution: &mut Found) -> Packages {
        let by_name = self.by_name();
        let mut open = Packages::new();
        for (package, version) in new {
            let Some(from) = self.carried.get(package).and_then(|versions| versions.get(version)) else {
                continue;
            };
            let needed_by = format!("needed by {}@{version}", from.planned.name);
            for (name, range, kind) in &from.edges {
                let followed = match kind {
                    EdgeKind::Optional => true,
                    EdgeKind::Runtime | EdgeKind::Peer => !from.listed,
                    EdgeKind::OptionalPeer => false,
                };
                let bent = |edge: &Requirement| edge.kind == "override" && edge.name == *name;
                if !followed || from.planned.requires.iter().any(bent) {
                    continue;
                }
                let spec = Spec::read(range);
                let optional = from.optional || *kind == EdgeKind::Optional;
                if !spec.is_registry() {
                    // The lockfile's own entries tell of those that listed packages need.
                    if !from.listed && !optional {
                        let detail = format!("comes from no registry; {needed_by}");
                        let reason = if spec == Spec::Git { "git-dependency" } else { "url-dependency" };
                        resolution.gaps.push(gap(name, range, reason, detail));
                    }
                    continue;
                }
                let (real, wanted) = spec.target(name);
                if by_name.get(real).is_some_and(|held| held.iter().any(|version| wanted.admits(version))) {
                    continue;
                }
                if !names::is_valid(real) {
                    resolution.gaps.push(gap(
                        real,
                        range,
                        "bad-name",
                        format!("is no package name; {needed_by}"),
                    ));
                    continue;
                }
                // Where no registry is configured, the one that the asking package came from has to do.
                let source = self.fetcher.routes.source(real, None);
                let source = source.unwrap_or_else(|_| Some(package.0.clone()));
                let (Some(source), range) = (source, without_alias(range)) else { continue };
                let mut wanted = Wanted {
                    checksums: Vec::new(),
                    optional,
                    install_script: false,
                    needed_by: needed_by.clone(),
                };
                let ranges = &mut open.entry((source.clone(), real.to_owned())).or_default().ranges;
                if let Some(other) = ranges.get(range) {
                    wanted.optional &= other.optional;
                }
                ranges.insert(range.to_owned(), wanted);
            }
        }
        open
    }

    /// The carried versions by name.
    fn by_name(&self) -> BTreeMap<&str, Vec<Version>> {
        let mut by_name: BTreeMap<&str, Vec<Version>> = BTreeMap::new();
        for ((_, name), versions) in &self.carried {
            let versions = versions.keys().filter_map(|version| Version::parse(version));
            by_name.entry(name).or_default().extend(versions);
        }
        by_name
    }

    /// Marks the optional edges that nothing meets. All were followed, so their packages are absent upstream as well,
    /// and the proof need not look for them.
    fn mark_absent(&mut self) {
        let by_name = self.by_name();
        let is_absent = |edge: &Requirement| {
            let spec = Spec::read(&edge.range);
            let (real, range) = spec.target(&edge.name);
            let held = by_name.get(real).into_iter().flatten();
            spec.is_registry() && !held.into_iter().any(|version| range.admits(version))
        };
        let mut absent = BTreeSet::new();
        for carried in self.carried.values().flat_map(BTreeMap::values) {
            let optional = carried.planned.requires.iter().filter(|edge| edge.kind == "optional");
            absent.extend(optional.filter(|edge| is_absent(edge)).cloned());
        }
        for carried in self.carried.values_mut().flat_map(BTreeMap::values_mut) {
            for edge in &mut carried.planned.requires {
                if absent.contains(edge) {
                    edge.kind = "absent-optional".to_owned();
                }
            }
        }
    }

    /// Adds this lockfile's artifacts, refs and repositories to those of others.
    fn add_to(self, artifacts: &mut Artifacts, resolution: &mut Found) -> Result<(), Problem> {
        for ((source, name), versions) in self.carried {
            let tags = self.tags.get(&(source.clone(), name.clone()));
            let held = |version: &str| versions.contains_key(version);
            let found = tags.map(|tags| refs(&source.repository, &name, tags, &held)).into_iter().flatten();
            resolution.refs.extend(found);
            if !versions.is_empty() {
                resolution.repositories.push(Repository {
                    ecosystem: "npm".to_owned(),
                    name: source.repository.clone(),
                    // The public registry is recorded without the route that was taken to it.
                    origin: if source.repository == PUBLIC { String::new() } else { source.base.to_string() },
                });
            }
            for carried in versions.into_values() {
                let planned = carried.planned;
                let key = [&planned.repository, &planned.name, &planned.version].map(Clone::clone);
                match artifacts.entry(key) {
                    Entry::Vacant(place) => {
                        place.insert(planned);
                    }
                    Entry::Occupied(mut place) => merge(place.get_mut(), planned)?,
                }
            }
        }
        Ok(())
    }
}

/// Merges what two lockfiles, or two registries of one host, say of one version.
fn merge(artifact: &mut Planned, other: Planned) -> Result<(), Problem> {
    artifact.requires.extend(other.requires);
    artifact.requires.sort();
    artifact.requires.dedup();
    for file in other.files {
        let Some(held) = artifact.files.iter_mut().find(|held| held.role == file.role) else {
            // Another lockfile needs the tarball that this one doesn't.
            artifact.files.push(file);
            artifact.attributes.remove("selected");
            continue;
        };
        held.checksums = integrity::join(&held.checksums, &file.checksums).map_err(|algorithm| {
            let subject = format!("{}@{}", artifact.name, artifact.version);
            let message = format!("two different {subject} go by the one repository {}", artifact.repository);
            Problem::new(Kind::Refused, "npm.version-conflict", message)
                .because(format!("their {} differ", algorithm.name()))
                .because(format!("one comes from {}, the other from {}", held.origin, file.origin))
                .hint("collect them into two channels")
        })?;
    }
    Ok(())
}

fn endless(cause: &str) -> Problem {
    Problem::new(Kind::Failed, "npm.too-much", "the lockfile leads to more than can be right").because(cause)
}

/// Sorts everything and drops what is said twice, so that equal requests give equal answers.
fn tidy(resolution: &mut Found) {
    let ref_key = |r: &Ref| [&r.repository, &r.name, &r.label, &r.version].map(Clone::clone);
    resolution.refs.sort_by_key(ref_key);
    // Two registries of one host may disagree about a tag; the first wins.
    resolution.refs.dedup_by_key(|r| [&r.repository, &r.name, &r.label].map(Clone::clone));
    resolution.repositories.sort_by(|a, b| (&a.name, &a.origin).cmp(&(&b.name, &b.origin)));
    resolution.repositories.dedup_by(|next, first| next.name == first.name);
    resolution.gaps.sort_by(|a, b| {
        (&a.name, &a.version, &a.reason, &a.detail).cmp(&(&b.name, &b.version, &b.reason, &b.detail))
    });
    resolution.gaps.dedup_by(|a, b| (&a.name, &a.version, &a.reason) == (&b.name, &b.version, &b.reason));
    resolution.notes.sort();
    resolution.notes.dedup();
    resolution.evidence.sort();
    resolution.evidence.dedup();
}
