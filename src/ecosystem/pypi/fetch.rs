//! Asking indexes: for pages, and for what files say of themselves without having the files, as far as that goes.
//!
//! A wheel's metadata stands beside it where the index offers that (PEP 658), and often where it does not say so; else it is
//! read out of the wheel in parts; else the wheel is had whole. A source distribution is always had whole.

use std::collections::{HashMap, HashSet};
use std::fs;
use std::io::{Read, Seek};
use std::pin::pin;
use std::sync::{Arc, Mutex, PoisonError};

use bundle_format::BlobKey;
use bytes::Bytes;
use futures_util::{StreamExt as _, TryStreamExt as _};
use url::Url;

use super::file_name::FileName;
use super::indexes::{Indexes, Link};
use super::known::{Build, Described, Description, Known, MetadataDocument, Project};
use super::links::Linked;
use super::metadata::Metadata;
use super::name::Name;
use super::parts::Parts;
use super::resolve::Need;
use super::simple::{self, Listed, Offered, Page};
use super::wheel::{self, LARGEST_METADATA};
use super::{sdist, simple::ACCEPT};
use crate::blocking::blocking;
use crate::ecosystem::{CollectContext, MetadataRequest};
use crate::events::Happening;
use crate::net::{Access, PartAnswer, Span};
use crate::problem::{Kind, Problem};
use crate::protocol::sigstore::Roots;

/// How much is asked for at once; the client keeps to its own limits for each host.
pub(super) const AT_ONCE: usize = 64;
/// How much of the end of a wheel is asked for first: the list of its files, and often the metadata itself.
const FIRST_PART: u64 = 65 << 10;
/// How much is asked for after that at once.
const NEXT_PART: u64 = 64 << 10;
/// The most that is asked for in parts; the list of files of the largest wheels takes less.
const MOST_PARTS: u64 = 64 << 20;

/// What asks.
pub(super) struct Fetcher<'a> {
    pub(super) indexes: &'a Indexes,
    pub(super) context: &'a dyn CollectContext,
    /// Hosts that have no metadata beside their wheels, though nobody said so.
    without_metadata: Mutex<HashSet<String>>,
    /// What is behind links that were looked at.
    pub(super) linked: tokio::sync::Mutex<HashMap<Link, Arc<Linked>>>,
    /// Whose attestations are believed.
    pub(super) roots: Roots,
}

/// What came of a need.
enum Fetched {
    Project(Project),
    File(Description),
    Address(Box<(Listed, Description)>),
}

impl<'a> Fetcher<'a> {
    pub(super) fn new(indexes: &'a Indexes, context: &'a dyn CollectContext, roots: Roots) -> Fetcher<'a> {
        Fetcher { indexes, context, roots, without_metadata: Mutex::default(), linked: Default::default() }
    }

    /// Fetches what is needed; indexes have their numbers here, not those of a view.
    ///
    /// # Errors
    /// If an index cannot be reached, or sends other than it says.
    pub(super) async fn fetch(&self, needs: HashSet<Need>, known: &mut Known) -> Result<(), Problem> {
        let items = Some(needs.len() as u64);
        self.context.events().emit(Happening::Stage { name: "resolve".to_owned(), items, bytes: None });
        // Pages come first: more depends on them.
        let mut needs: Vec<Need> = needs.into_iter().collect();
        needs.sort_by_key(|need| !matches!(need, Need::Releases { .. }));
        let listed: Vec<Option<Listed>> = needs.iter().map(|need| listed(need, known)).collect();
        let fetches = needs.into_iter().zip(listed).map(|(need, listed)| async move {
            let fetched = match &need {
                Need::Releases { index, project } => Fetched::Project(self.project(*index, project).await?),
                Need::Metadata { index, project, .. } => {
                    Fetched::File(self.describe(Some(*index), project, &listed.unwrap_or_default()).await?)
                }
                Need::MetadataAt { url } => Fetched::Address(Box::new(self.at(url).await?)),
            };
            let item = match &need {
                Need::Releases { project, .. } => project.to_string(),
                Need::Metadata { file, .. } => file.clone(),
                Need::MetadataAt { url } => url.rsplit('/').next().unwrap_or_default().to_owned(),
            };
            self.context.events().emit(Happening::ItemDone { item });
            Ok::<_, Problem>((need, fetched))
        });
        let mut fetches = pin!(futures_util::stream::iter(fetches).buffer_unordered(AT_ONCE));
        while let Some((need, fetched)) = fetches.try_next().await? {
            match (need, fetched) {
                (Need::Releases { index, project }, Fetched::Project(page)) => {
                    known.projects.insert((index, project), page);
                }
                (Need::Metadata { index, project, file }, Fetched::File(description)) => {
                    known.files.insert((index, project, file), description);
                }
                (Need::MetadataAt { url }, Fetched::Address(found)) => {
                    drop(known.addresses.insert(url, *found))
                }
                _ => {}
            }
        }
        Ok(())
    }

    /// What an index lists of a project, with what it is looked through together with; nothing, if there is none.
    async fn project(&self, index: usize, project: &Name) -> Result<Project, Problem> {
        let mut page = self.page(index, project).await?;
        if let Some(index) = self.indexes.get(index)
            && (index.are_links_enough || !page.releases.is_empty())
        {
            page.add(project, self.linked(&index.links, project).await?);
        }
        Ok(page)
    }

    async fn page(&self, index: usize, project: &Name) -> Result<Project, Problem> {
        let Some(access) = self.indexes.page(index, project) else { return Ok(Project::default()) };
        let url = access.url.clone();
        let request = MetadataRequest { access, accept: ACCEPT, limit: simple::LARGEST, fresh: false };
        let Some(document) = self.context.metadata(&request).await? else { return Ok(Project::default()) };
        let project = project.clone();
        blocking(move || {
            let page = Page::parse(&document.bytes, &document.content_type, &url).map_err(|error| {
                Problem::new(
                    Kind::Untrusted,
                    "pypi.bad-page",
                    format!("the index's page of {project} cannot be read"),
                )
                .at(&url)
                .because(error.to_string())
            })?;
            let origin = url.to_string();
            Ok(Project { page: Some((origin, document.digest)), ..Project::of(&project, page) })
        })
        .await
    }

    /// What a file at an address is and says of itself.
    async fn at(&self, url: &str) -> Result<(Listed, Description), Problem> {
        let unusable = |why: &str| Ok((Listed::default(), Err(format!("{url} {why}"))));
        let base = Url::parse("https://invalid.invalid/");
        let Some((address, fragment)) = base.ok().and_then(|base| simple::address(&base, url)) else {
            return unusable("is no address that files can be had from");
        };
        let path = address.split('?').next().unwrap_or_default();
        let last = path.rsplit('/').next().unwrap_or_default();
        let name = percent_encoding::percent_decode_str(last).decode_utf8_lossy().into_owned();
        let Some((project, _)) = FileName::with_project(&name) else {
            return unusable("is neither a wheel nor a source distribution by its name");
        };
        let checksums = fragment.split('&').filter_map(|one| one.split_once('='));
        let checksums = checksums.filter_map(|(algorithm, hex)| simple::digest(algorithm, hex)).collect();
        let listed = Listed { name, url: address, checksums, ..Listed::default() };
        let description = self.describe(None, &project, &listed).await?;
        Ok((listed, description))
    }

    /// What a file says of itself.
    async fn describe(
        &self,
        index: Option<usize>,
        project: &Name,
        listed: &Listed,
    ) -> Result<Description, Problem> {
        if listed.url.is_empty()
            && let Some(key) = sha256(listed)
        {
            return self.local(project, listed, key).await;
        }
        let Ok(url) = Url::parse(&listed.url) else { return Ok(Err("it has no address".to_owned())) };
        let repository =
            index.and_then(|index| self.indexes.get(index)).map(|index| index.repository.as_str());
        let access = self.indexes.let_in(url, repository);
        if !listed.name.ends_with(".whl") {
            return self.sdist(&access, listed).await;
        }
        if let Some((document, origin)) = self.beside(&access, listed).await? {
            return self.described(document, origin).await;
        }
        let read = match self.in_parts(&access, project, &listed.name).await? {
            Some(read) => read,
            None => {
                let (project, name) = (project.clone(), listed.name.clone());
                self.whole(&access, move |file| wheel::metadata(file, &name, &project)).await?
            }
        };
        match read {
            Ok(document) => self.described(document.into(), String::new()).await,
            Err(why) => Ok(Err(why)),
        }
    }

    /// A file of this machine, which is held.
    async fn local(&self, project: &Name, listed: &Listed, key: BlobKey) -> Result<Description, Problem> {
        let (file, name, project) =
            (self.context.open_blob(&key).await?, listed.name.clone(), project.clone());
        if listed.name.ends_with(".whl") {
            let read = move || Ok(wheel::metadata(file, &name, &project).map_err(|error| error.to_string()));
            return match blocking(read).await? {
                Ok(document) => self.described(document.into(), String::new()).await,
                Err(why) => Ok(Err(why)),
            };
        }
        let read = move || Ok(read_sdist(&name, file));
        Ok(blocking(read).await?.map(of_sdist))
    }

    async fn described(&self, document: Bytes, origin: String) -> Result<Description, Problem> {
        let metadata = match Metadata::parse(&document) {
            Ok(metadata) => metadata,
            Err(error) => return Ok(Err(error.to_string())),
        };
        let size = document.len() as u64;
        let key = self.context.keep(document).await?;
        let document = Some(MetadataDocument { key, size, origin });
        Ok(Ok(Described { metadata, document, build: None }))
    }

    /// The metadata that stands beside a wheel, and its address.
    async fn beside(&self, access: &Access, listed: &Listed) -> Result<Option<(Bytes, String)>, Problem> {
        let host = access.url.host_str().unwrap_or_default().to_owned();
        let lacking = || self.without_metadata.lock().unwrap_or_else(PoisonError::into_inner);
        match listed.metadata {
            Offered::No => return Ok(None),
            Offered::Unsaid if lacking().contains(&host) => return Ok(None),
            _ => {}
        }
        let mut access = access.clone();
        access.url.set_path(&format!("{}.metadata", access.url.path()));
        let url = access.url.clone();
        let request = MetadataRequest { access, accept: "", limit: LARGEST_METADATA, fresh: false };
        let document = match self.context.metadata(&request).await {
            Ok(document) => document,
            // Where nobody offered it, whatever the server says means that there is none.
            Err(problem) if listed.metadata == Offered::Unsaid && problem.code == "net.status" => None,
            Err(problem) => return Err(problem),
        };
        match (document, listed.metadata) {
            (Some(document), Offered::Yes(Some(digest))) if document.digest != digest => {
                let message =
                    format!("the metadata of {} is not what the index published a checksum for", listed.name);
                Err(Problem::new(Kind::Untrusted, "collect.upstream-mismatch", message)
                    .at(&url)
                    .because(format!("sha256:{} was published, and {} came", digest.hex(), document.digest))
                    .hint("try again; if it stays so, ask whoever runs that index or the proxy before it"))
            }
            // Some servers answer anything with a page of theirs.
            (Some(document), Offered::Unsaid) if Metadata::parse(&document.bytes).is_err() => Ok(None),
            (Some(document), _) => Ok(Some((document.bytes, url.into()))),
            (None, offered) => {
                if offered == Offered::Unsaid {
                    lacking().insert(host);
                }
                Ok(None)
            }
        }
    }

    /// The metadata of a wheel, read in parts; `None`, if the server has no parts.
    async fn in_parts(
        &self,
        access: &Access,
        project: &Name,
        name: &str,
    ) -> Result<Option<Result<Vec<u8>, String>>, Problem> {
        let mut left = MOST_PARTS;
        let mut parts: Option<Parts> = None;
        let mut span = Span::Last(FIRST_PART);
        loop {
            let part = match self.context.part(access, span).await? {
                PartAnswer::Found(part) => part,
                PartAnswer::Whole => return Ok(None),
                PartAnswer::NotFound => return Ok(Some(Err(gone(access)))),
            };
            left = left.saturating_sub(part.bytes.len() as u64);
            let known = parts.get_or_insert_with(|| Parts::new(part.total));
            if part.bytes.is_empty() || left == 0 {
                return Ok(None);
            }
            known.learn(part.first, part.bytes);
            // What is known is little, and reading it is quick.
            match wheel::metadata(known.reader(), name, project) {
                Ok(document) => return Ok(Some(Ok(document))),
                Err(error) => match known.unknown() {
                    Some(at) => span = Span::From(at, NEXT_PART),
                    None => return Ok(Some(Err(error.to_string()))),
                },
            }
        }
    }

    /// A source distribution: had for good, where its digest and size are known, for it will be carried very likely.
    async fn sdist(&self, access: &Access, listed: &Listed) -> Result<Description, Problem> {
        let name = listed.name.clone();
        let read = match (sha256(listed), listed.size) {
            (Some(key), Some(size)) => {
                if self.context.obtain(access, &key.into(), size).await?.is_none() {
                    return Ok(Err(gone(access)));
                }
                let file = self.context.open_blob(&key).await?;
                blocking(move || Ok(read_sdist(&name, file))).await?
            }
            _ => self.whole(access, move |file| read_sdist(&name, file)).await?,
        };
        Ok(read.map(of_sdist))
    }

    /// Reads a file that has to be had whole, into a file that is gone afterwards.
    async fn whole<T: Send + 'static, E: ToString>(
        &self,
        access: &Access,
        read: impl FnOnce(fs::File) -> Result<T, E> + Send + 'static,
    ) -> Result<Result<T, String>, Problem> {
        match self.context.download(access).await {
            Ok(file) => blocking(move || Ok(read(file).map_err(|error| error.to_string()))).await,
            Err(problem) if problem.code == "net.not-found" => Ok(Err(gone(access))),
            Err(problem) => Err(problem),
        }
    }
}

/// What is listed of the file that a need is about.
fn listed(need: &Need, known: &Known) -> Option<Listed> {
    let Need::Metadata { index, project, file } = need else { return None };
    known.projects.get(&(*index, project.clone()))?.listed.get(file).cloned()
}

fn read_sdist(name: &str, file: impl Read + Seek) -> Result<sdist::Sdist, String> {
    let read = if name.ends_with(".zip") { sdist::read_zip(file) } else { sdist::read(name, file) };
    read.map_err(|error| error.to_string())
}

fn of_sdist(sdist: sdist::Sdist) -> Described {
    let build = Build { requires: sdist.build_requires, knows: sdist.knows };
    Described { metadata: sdist.metadata, document: None, build: Some(build) }
}

pub(super) fn sha256(listed: &Listed) -> Option<BlobKey> {
    listed.checksums.iter().find_map(bundle_format::Digest::blob_key)
}

fn gone(access: &Access) -> String {
    format!("the index lists it, but there is nothing at {}", crate::net::redact(&access.url))
}
