//! What is known so far of indexes: pages, and what files say of themselves.

use std::collections::hash_map::Entry;
use std::collections::{HashMap, HashSet};

use bundle_format::BlobKey;

use super::build::Builds;
use super::indexes::Indexes;
use super::metadata::Metadata;
use super::name::Name;
use super::release::{File, Release, releases};
use super::requirement::Requirement;
use super::resolve::Candidates;
use super::sdist::Knows;
use super::simple::{Listed, Page};
use super::version::Version;
use crate::ecosystem::attested::Attested;

/// What an index lists of a project.
#[derive(Debug, Default)]
pub(super) struct Project {
    /// What can be installed, oldest first.
    pub(super) releases: Vec<Release>,
    /// What the index says of each file, by its name.
    pub(super) listed: HashMap<String, Listed>,
    /// What has become of the project.
    pub(super) status: Option<String>,
    /// Where the page was had, and its digest.
    pub(super) page: Option<(String, BlobKey)>,
    /// Files that the index does not list, though a lockfile says where they are.
    pub(super) unlisted: HashSet<String>,
}

/// What a file says of itself.
#[derive(Debug)]
pub(super) struct Described {
    pub(super) metadata: Metadata,
    /// The document that says it, if it is a wheel's.
    pub(super) document: Option<MetadataDocument>,
    /// What building it needs, if it is a source distribution.
    pub(super) build: Option<Build>,
}

/// The `METADATA` of a wheel, which is held.
#[derive(Debug, Clone)]
pub(super) struct MetadataDocument {
    pub(super) key: BlobKey,
    pub(super) size: u64,
    /// Where it can be had by itself; empty, if it was read out of the wheel.
    pub(super) origin: String,
}

/// What building a source distribution needs.
#[derive(Debug, Clone)]
pub(super) struct Build {
    pub(super) requires: Vec<Requirement>,
    pub(super) knows: Knows,
}

/// A file of an index or an address: where it is, and what it says of itself or why that cannot be had.
pub(super) type Description = Result<Described, String>;

/// All that is known.
#[derive(Debug, Default)]
pub(super) struct Known {
    /// By the index's number.
    pub(super) projects: HashMap<(usize, Name), Project>,
    /// By the index's number, the project and the file's name.
    pub(super) files: HashMap<(usize, Name, String), Description>,
    /// By the address, with what is listed of it.
    pub(super) addresses: HashMap<Box<str>, (Listed, Description)>,
    /// What proves who published files, by the address of the proof.
    pub(super) provenances: HashMap<String, Proven>,
    /// What was built here of releases, by repository, project and version.
    pub(super) builds: HashMap<ReleaseKey, Builds>,
}

/// A release, by its repository, project and version.
pub(super) type ReleaseKey = (String, Name, Version);

/// What proves who published a file, which is held.
#[derive(Debug)]
pub(super) struct Proven {
    pub(super) key: BlobKey,
    pub(super) size: u64,
    /// What it proved to those who pinned roots; nothing else was looked at.
    pub(super) attested: Vec<Attested>,
}

impl Project {
    /// Reads what a page lists: of one file that is listed twice, the first counts.
    pub(super) fn of(project: &Name, page: Page) -> Project {
        let mut of = Project { status: page.status, ..Project::default() };
        of.listed.reserve(page.files.len());
        let files: Vec<File> = page.files.into_iter().filter_map(|file| of.enter(project, file)).collect();
        of.releases = releases(files);
        of
    }

    /// Takes in what is listed elsewhere, as far as it is not listed here.
    pub(super) fn add(&mut self, project: &Name, files: impl IntoIterator<Item = Listed>) {
        for file in files {
            let Some(file) = self.enter(project, file) else { continue };
            let version = &file.parsed.version;
            match self.releases.binary_search_by(|release| release.version.cmp(version)) {
                Ok(at) => self.releases.get_mut(at).into_iter().for_each(|one| one.files.push(file.clone())),
                Err(at) => self.releases.insert(at, Release { version: version.clone(), files: vec![file] }),
            }
        }
    }

    /// Takes in what a lockfile says of a file that the index does not list.
    pub(super) fn add_unlisted(&mut self, project: &Name, file: Listed) {
        self.unlisted.insert(file.name.clone());
        self.add(project, [file]);
    }

    /// Remembers what is listed of a file: `None`, if it is none of the project's, or was listed before.
    fn enter(&mut self, project: &Name, file: Listed) -> Option<File> {
        let (pythons, is_yanked) = (file.requires_python.as_deref(), file.yanked.is_some());
        let read = File::read(project, &file.name, pythons, is_yanked)?;
        let Entry::Vacant(place) = self.listed.entry(file.name.clone()) else { return None };
        place.insert(file);
        Some(read)
    }
}

/// What is known of some of the indexes, in an order of their own.
pub(super) struct View<'a> {
    pub(super) known: &'a Known,
    /// Their numbers.
    pub(super) numbers: &'a [usize],
    pub(super) indexes: &'a Indexes,
}

impl Candidates for View<'_> {
    fn releases(&self, index: usize, project: &Name) -> Option<&[Release]> {
        let number = self.numbers.get(index)?;
        // A project that is said to be of one index is of no other.
        let itself = self.indexes.without_links(*number);
        let is_asked = match self.indexes.of_project(project) {
            Some(of) => of == itself,
            None => !self.indexes.is_for_some(itself),
        };
        if !is_asked {
            return Some(&[]);
        }
        Some(&self.known.projects.get(&(*number, project.clone()))?.releases)
    }

    fn metadata(&self, index: usize, project: &Name, file: &str) -> Option<Result<&Metadata, &str>> {
        let number = self.numbers.get(index)?;
        let found = self.known.files.get(&(*number, project.clone(), file.to_owned()))?;
        Some(found.as_ref().map(|it| &it.metadata).map_err(String::as_str))
    }

    fn metadata_at(&self, url: &str) -> Option<Result<&Metadata, &str>> {
        let (_, found) = self.known.addresses.get(url)?;
        Some(found.as_ref().map(|it| &it.metadata).map_err(String::as_str))
    }
}
