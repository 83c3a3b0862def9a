//! What `--find-links` names: pages and directories with files that an index is looked through together with.
//!
//! pip and uv choose among what an index lists and what is linked to, so both are one list here, too.

use std::collections::{BTreeSet, HashMap};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use url::Url;

use super::fetch::Fetcher;
use super::file_name::FileName;
use super::indexes::Link;
use super::name::Name;
use super::simple::{self, ACCEPT, Listed, Page};
use crate::blocking::blocking;
use crate::ecosystem::MetadataRequest;
use crate::problem::{Kind, Problem};

/// What is found behind a link, by project.
#[derive(Debug, Default)]
pub(super) struct Linked(HashMap<Name, Vec<Found>>);

#[derive(Debug)]
enum Found {
    /// A file that can be had from elsewhere.
    Listed(Listed),
    /// A file of this machine.
    Local(PathBuf),
}

impl Link {
    /// Reads what a document or setting names; `path`, where it stands if it is of this machine.
    pub(super) fn read(text: &str, path: impl FnOnce(&str) -> PathBuf) -> Link {
        match Url::parse(text) {
            Ok(url) if matches!(url.scheme(), "http" | "https") => Link::Page(url),
            Ok(url) if url.scheme() == "file" => {
                Link::Directory(url.to_file_path().unwrap_or_else(|()| PathBuf::from(text)))
            }
            _ => Link::Directory(path(text)),
        }
    }
}

impl Fetcher<'_> {
    /// What links have of a project. What is of this machine is taken into the store.
    ///
    /// # Errors
    /// If a page cannot be had or read, or there is nothing behind a link.
    pub(super) async fn linked(
        &self,
        links: &BTreeSet<Link>,
        project: &Name,
    ) -> Result<Vec<Listed>, Problem> {
        let mut all = Vec::new();
        for link in links {
            let linked = self.behind(link).await?;
            for found in linked.0.get(project).into_iter().flatten() {
                all.push(match found {
                    Found::Listed(listed) => listed.clone(),
                    Found::Local(path) => {
                        let (key, size) = self.context.ingest(path).await?;
                        let name = file_name(path).unwrap_or_default().to_owned();
                        let checksums = vec![key.into()];
                        Listed { name, checksums, size: Some(size), ..Listed::default() }
                    }
                });
            }
        }
        Ok(all)
    }

    /// What is behind a link, which is looked at once.
    async fn behind(&self, link: &Link) -> Result<Arc<Linked>, Problem> {
        // Held meanwhile: whoever wants the same waits for it.
        let mut known = self.linked.lock().await;
        if let Some(linked) = known.get(link) {
            return Ok(linked.clone());
        }
        let found = match link {
            Link::Page(url) => self.on_page(url).await?.into_iter().map(Found::Listed).collect(),
            Link::Directory(path) => self.in_directory(path).await?,
        };
        let mut linked = Linked::default();
        for one in found {
            let name = match &one {
                Found::Listed(listed) => Some(listed.name.as_str()),
                Found::Local(path) => file_name(path),
            };
            if let Some((project, _)) = name.and_then(FileName::with_project) {
                linked.0.entry(project).or_default().push(one);
            }
        }
        let linked = Arc::new(linked);
        known.insert(link.clone(), linked.clone());
        Ok(linked)
    }

    /// What a page links to; an address of a file is a link to that.
    async fn on_page(&self, url: &Url) -> Result<Vec<Listed>, Problem> {
        let name = url.path_segments().and_then(|mut parts| parts.next_back()).unwrap_or_default();
        if FileName::with_project(name).is_some() {
            let page = format!("<a href='{url}'>");
            return Ok(Page::parse(page.as_bytes(), "text/html", url).unwrap_or_default().files);
        }
        let mut bare = url.clone();
        bare.set_fragment(None);
        let access = self.indexes.let_in(bare, None);
        let url = access.url.clone();
        let request = MetadataRequest { access, accept: ACCEPT, limit: simple::LARGEST, fresh: false };
        let Some(document) = self.context.metadata(&request).await? else { return Err(nothing(&url)) };
        blocking(move || {
            let page = Page::parse(&document.bytes, &document.content_type, &url);
            let unreadable = |error: super::unreadable::Unreadable| {
                Problem::new(Kind::Untrusted, "pypi.bad-page", "a page of links cannot be read")
                    .at(&url)
                    .because(error.to_string())
            };
            Ok(page.map_err(unreadable)?.files)
        })
        .await
    }

    async fn in_directory(&self, path: &Path) -> Result<Vec<Found>, Problem> {
        if file_name(path).and_then(FileName::with_project).is_some() {
            return Ok(vec![Found::Local(path.to_owned())]);
        }
        let mut files = self.context.list(path).await?;
        if files.is_empty() {
            return Err(nothing(&path.display()));
        }
        files.sort();
        Ok(files.into_iter().map(Found::Local).collect())
    }
}

fn file_name(path: &Path) -> Option<&str> {
    path.file_name()?.to_str()
}

fn nothing(place: &dyn std::fmt::Display) -> Problem {
    Problem::new(Kind::Usage, "pypi.find-links", "there is nothing where --find-links leads").at(place).hint(
        "it is the address of a page or file, or the path of a directory, beside the document that names it",
    )
}
