//! Which files are carried: of each release that a target was given, all that serve that target.

use std::collections::{BTreeMap, BTreeSet, HashSet};

use bundle_format::Digest;

use super::file_name::Kind as FileKind;
use super::group::{Group, gap};
use super::indexes::{Indexes, host_name};
use super::inputs::lock::{File as LockedFile, Hash};
use super::known::{Described, Known, Project, ReleaseKey};
use super::metadata::Metadata;
use super::name::Name;
use super::options::Options;
use super::release::{File, Formats};
use super::requirement::Requirement;
use super::resolve::Need;
use super::sdist::Knows;
use super::simple::Listed;
use super::target::Target;
use super::version::Version;
use crate::ecosystem::Gap;
use crate::problem::{Kind, Problem};

/// A release that a target is given.
#[derive(Debug, Clone)]
pub(super) struct Selection {
    pub(super) project: Name,
    pub(super) version: Version,
    pub(super) from: Source,
    /// Which files may be used.
    pub(super) formats: Formats,
    /// The checksums that they may have; none for any.
    pub(super) hashes: Vec<Hash>,
    /// The files that a lockfile names; none, if it names none.
    pub(super) files: Vec<LockedFile>,
    /// The extras that are wanted of it.
    pub(super) extras: Vec<Name>,
    /// The group that it is of, by its number.
    pub(super) group: usize,
    /// The target, by its number.
    pub(super) target: usize,
}

/// Where a release is from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Source {
    /// The index of that number.
    Index(usize),
    /// An address.
    Url(Box<str>),
}

/// All that is carried.
#[derive(Debug, Default)]
pub(super) struct Carried {
    releases: BTreeMap<ReleaseKey, Release>,
    /// What cannot be.
    pub(super) gaps: Vec<Gap>,
}

/// A release of which files are carried.
#[derive(Debug)]
pub(super) struct Release {
    pub(super) repository: String,
    pub(super) project: Name,
    pub(super) version: Version,
    /// Where it is from: several, where some requests look through further links for it.
    pub(super) from: Vec<Source>,
    /// The files by their names, each with the targets that it serves, by their numbers.
    pub(super) files: BTreeMap<String, BTreeSet<usize>>,
    /// Checksums that lockfiles say of the files, besides those of the index.
    pub(super) checksums: BTreeMap<String, Vec<Digest>>,
    /// The groups that it is of, by their numbers.
    pub(super) groups: BTreeSet<usize>,
    /// The extras that are wanted of it, by target.
    pub(super) extras: BTreeMap<usize, BTreeSet<Name>>,
}

impl Carried {
    /// What is carried of what was selected.
    ///
    /// # Errors
    /// Untrusted, if an index lists a file with another checksum than a lockfile has.
    pub(super) fn of(
        selected: &[Selection],
        known: &Known,
        groups: &[Group],
        targets: &[Target],
        indexes: &Indexes,
        options: &Options,
    ) -> Result<Carried, Problem> {
        let mut carried = Carried::default();
        for selection in selected {
            let (Some(group), Some(target)) = (groups.get(selection.group), targets.get(selection.target))
            else {
                continue;
            };
            match &selection.from {
                Source::Url(url) => carried.add_address(selection, url, known, group),
                Source::Index(index) => {
                    let Some(repository) = indexes.get(*index).map(|index| index.repository.as_str()) else {
                        continue;
                    };
                    carried.add(selection, repository, *index, known, (group, target, options))?;
                }
            }
        }
        Ok(carried)
    }

    /// The releases, in order.
    pub(super) fn releases(&self) -> impl Iterator<Item = &Release> {
        self.releases.values()
    }

    /// What the files that are carried say of themselves and is not known yet.
    pub(super) fn needs(&self, known: &Known) -> HashSet<Need> {
        let of = |release: &Release| -> Vec<Need> {
            let unknown = release.files.keys().filter(|file| release.described(file, known).is_none());
            let need = |file: &String| {
                let index = release.index_of(file, known)?;
                Some(Need::Metadata { index, project: release.project.clone(), file: file.clone() })
            };
            unknown.filter_map(need).collect()
        };
        self.releases().flat_map(of).collect()
    }

    fn release(&mut self, selection: &Selection, repository: &str, version: &Version) -> &mut Release {
        let key = (repository.to_owned(), selection.project.clone(), version.clone());
        let release = self.releases.entry(key).or_insert_with(|| Release {
            repository: repository.to_owned(),
            project: selection.project.clone(),
            version: version.clone(),
            from: Vec::new(),
            files: BTreeMap::new(),
            checksums: BTreeMap::new(),
            groups: BTreeSet::new(),
            extras: BTreeMap::new(),
        });
        release.groups.insert(selection.group);
        if !release.from.contains(&selection.from) {
            release.from.push(selection.from.clone());
        }
        release.extras.entry(selection.target).or_default().extend(selection.extras.iter().cloned());
        release
    }

    fn add_address(&mut self, selection: &Selection, url: &str, known: &Known, group: &Group) {
        let Some((listed, description)) = known.addresses.get(url) else { return };
        match description {
            Ok(described) => {
                let host = url::Url::parse(&listed.url).map(|url| host_name(&url)).unwrap_or_default();
                let (name, target) = (listed.name.clone(), selection.target);
                let checksums: Vec<Digest> = selection.hashes.iter().filter_map(digest).collect();
                let release = self.release(selection, &host, &described.metadata.version);
                release.checksums.entry(name.clone()).or_default().extend(checksums);
                release.files.entry(name).or_default().insert(target);
            }
            Err(why) => self.gaps.push(gap(
                selection.project.as_str(),
                url,
                "unreadable",
                format!("{}: {why}", group.name),
            )),
        }
    }

    fn add(
        &mut self,
        selection: &Selection,
        repository: &str,
        index: usize,
        known: &Known,
        (group, target, options): (&Group, &Target, &Options),
    ) -> Result<(), Problem> {
        let (project, version) = (&selection.project, &selection.version);
        let text = version.to_string();
        let page = known.projects.get(&(index, project.clone()));
        let release = page.and_then(|page| {
            let at = page.releases.binary_search_by(|release| release.version.cmp(version)).ok()?;
            Some((page, page.releases.get(at)?))
        });
        let Some((page, listed)) = release else {
            let detail = format!("{} needs it, and the index {repository} does not list it", group.name);
            self.gaps.push(gap(project.as_str(), &text, "not-found", detail));
            return Ok(());
        };
        if selection.hashes.is_empty() && selection.files.is_empty() && group.require_hashes {
            let detail = format!("{} has checksums for others, so pip wants one of this too", group.name);
            self.gaps.push(gap(project.as_str(), &text, "no-checksum", detail));
            return Ok(());
        }
        let (mut allowed, mut refused) = (Vec::new(), Vec::new());
        for file in &listed.files {
            let Some(listed) = page.listed.get(&file.name) else { continue };
            match allowed_by(selection, listed)? {
                Some(checksums) => allowed.push((file, checksums)),
                None => refused.push(file),
            }
        }
        let serves = |file: &File| {
            let works = file.requires_python.as_ref().is_none_or(|pythons| target.has_python(pythons));
            works
                && match &file.parsed.kind {
                    FileKind::Wheel(wheel) => {
                        selection.formats != Formats::Sdists && target.rank(wheel).is_some()
                    }
                    FileKind::Sdist => selection.formats != Formats::Wheels,
                }
        };
        let is_wheel = |file: &File| matches!(file.parsed.kind, FileKind::Wheel(_));
        let serving: Vec<_> = allowed.into_iter().filter(|(file, _)| serves(file)).collect();
        let has_wheel = serving.iter().any(|(file, _)| is_wheel(file));
        // What was taken back is carried only where there is nothing else.
        let has_good = serving.iter().any(|(file, _)| !file.is_yanked && is_wheel(file) == has_wheel);
        let wanted = serving.into_iter().filter(|(file, _)| {
            (is_wheel(file) || !has_wheel || options.with_sdists) && (!file.is_yanked || !has_good)
        });
        let wanted: Vec<_> = wanted.collect();
        if wanted.is_empty() {
            if let Some(file) = refused.into_iter().find(|file| serves(file)) {
                let message = format!("{} has no file with a checksum that {} names", file.name, group.name);
                return Err(Problem::new(
                    Kind::Untrusted,
                    "pypi.other-checksum",
                    format!("{project} {text}: {message}"),
                )
                .hint("lock again, and look at what changed: an index must not replace files"));
            }
            let detail = format!("{} needs it, and it has no file for {}", group.name, target.name);
            self.gaps.push(gap(project.as_str(), &text, "no-file", detail));
            return Ok(());
        }
        let files: Vec<_> =
            wanted.into_iter().map(|(file, checksums)| (file.name.clone(), checksums)).collect();
        let release = self.release(selection, repository, version);
        for (name, checksums) in files {
            release.checksums.entry(name.clone()).or_default().extend(checksums);
            release.files.entry(name).or_default().insert(selection.target);
        }
        Ok(())
    }
}

impl Release {
    /// What makes it one certain release.
    pub(super) fn key(&self) -> ReleaseKey {
        (self.repository.clone(), self.project.clone(), self.version.clone())
    }

    /// Takes the word of a wheel that was built of a source distribution of it for what that requires; says whether that is
    /// something new.
    pub(super) fn believes(&self, file: &str, wheel: &Metadata, known: &mut Known) -> bool {
        let mut is_new = false;
        for from in &self.from {
            let description = match from {
                Source::Index(index) => known.files.get_mut(&(*index, self.project.clone(), file.to_owned())),
                Source::Url(url) => {
                    known.addresses.get_mut(url).filter(|(at, _)| at.name == file).map(|(_, it)| it)
                }
            };
            let Some(Ok(Described { metadata, build, .. })) = description else { continue };
            let texts = |list: &[Requirement]| list.iter().map(ToString::to_string).collect::<BTreeSet<_>>();
            is_new |= texts(&metadata.requires) != texts(&wheel.requires);
            metadata.requires.clone_from(&wheel.requires);
            build.iter_mut().for_each(|build| build.knows = Knows::AsMade);
        }
        is_new
    }

    /// Whether an index has a wheel of it for a target.
    pub(super) fn has_wheel_for(&self, target: usize) -> bool {
        self.files.iter().any(|(file, serves)| file.ends_with(".whl") && serves.contains(&target))
    }

    /// What a file of it says of itself, if that is known.
    pub(super) fn described<'k>(
        &self,
        file: &str,
        known: &'k Known,
    ) -> Option<Result<&'k Described, &'k str>> {
        let description = self.from.iter().find_map(|from| match from {
            Source::Index(index) => known.files.get(&(*index, self.project.clone(), file.to_owned())),
            Source::Url(url) => known.addresses.get(url).filter(|(at, _)| at.name == file).map(|(_, it)| it),
        });
        Some(description?.as_ref().map_err(String::as_str))
    }

    /// What is listed of a file of it.
    pub(super) fn listed<'k>(&self, file: &str, known: &'k Known) -> Option<&'k Listed> {
        self.from.iter().find_map(|from| match from {
            Source::Index(index) => known.projects.get(&(*index, self.project.clone()))?.listed.get(file),
            Source::Url(url) => known.addresses.get(url).map(|(at, _)| at).filter(|at| at.name == file),
        })
    }

    /// The pages of it.
    pub(super) fn pages<'k>(&self, known: &'k Known) -> impl Iterator<Item = &'k Project> {
        let indexes = self.from.iter().filter_map(|from| match from {
            Source::Index(index) => Some(*index),
            Source::Url(_) => None,
        });
        indexes.filter_map(|index| known.projects.get(&(index, self.project.clone())))
    }

    /// The index that lists a file of it.
    fn index_of(&self, file: &str, known: &Known) -> Option<usize> {
        self.from.iter().find_map(|from| {
            let Source::Index(index) = from else { return None };
            let page = known.projects.get(&(*index, self.project.clone()))?;
            page.listed.contains_key(file).then_some(*index)
        })
    }

    /// The requests that lead to it.
    pub(super) fn requests(&self, groups: &[Group]) -> Vec<String> {
        let of = self.groups.iter().filter_map(|group| groups.get(*group));
        let requests: BTreeSet<&String> = of.flat_map(|group| &group.requests).collect();
        requests.into_iter().cloned().collect()
    }
}

/// Whether a lockfile allows a file, and the checksums that it has to have then besides the index's own.
///
/// # Errors
/// Untrusted, if it names the file with another checksum.
fn allowed_by(selection: &Selection, listed: &Listed) -> Result<Option<Vec<Digest>>, Problem> {
    let agrees = |hash: &Hash| {
        let of_kind = listed.checksums.iter().find(|digest| digest.algorithm().name() == hash.algorithm);
        of_kind.map(|digest| digest.hex() == hash.hex)
    };
    if !selection.files.is_empty() {
        let Some(file) = selection.files.iter().find(|file| file.name == listed.name) else {
            return Ok(None);
        };
        if let Some(hash) = file.hashes.iter().find(|hash| agrees(hash) == Some(false)) {
            let message = format!("{} is another file than the one that was locked", listed.name);
            return Err(Problem::new(Kind::Untrusted, "pypi.other-checksum", message)
                .at(&listed.url)
                .because(format!("its {} was {} and is listed as another now", hash.algorithm, hash.hex))
                .hint("an index must not replace files: ask whoever runs it, or the proxy before it"));
        }
        return Ok(Some(file.hashes.iter().filter_map(digest).collect()));
    }
    if selection.hashes.is_empty() {
        return Ok(Some(Vec::new()));
    }
    let matching: Vec<Digest> =
        selection.hashes.iter().filter(|hash| agrees(hash) == Some(true)).filter_map(digest).collect();
    Ok((!matching.is_empty()).then_some(matching))
}

fn digest(hash: &Hash) -> Option<Digest> {
    super::simple::digest(&hash.algorithm, &hash.hex)
}
