//! What registries have of all that a tree may ask for, fetched ahead: what a version needs is looked up as soon as the
//! version is known, many packages at once, whether or not it will be placed.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::fs::File;
use std::io::{self, Seek as _};
use std::sync::Arc;

use bundle_format::Digest;
use futures_util::StreamExt as _;
use futures_util::stream::FuturesUnordered;
use jiff::Timestamp;

use super::documents::Documents;
use super::engines::Engines;
use super::ideal::{Known, Look, Manifest, Need, Needs, Origin};
use super::lock::{EdgeKind, Lock};
use super::origin::{Routes, Source};
use super::remote::Remotes;
use super::spec::{Spec, without_alias};
use super::version_object::{LARGEST_DOCUMENT, Upstream, VersionObject};
use super::{integrity, lock, names, tarball};
use crate::blocking::blocking;
use crate::ecosystem::{CollectContext, MetadataRequest};
use crate::events::Happening;
use crate::problem::{Kind, Problem};
use crate::store::digests_of;

/// How many packages' documents are fetched at once.
const AT_ONCE: usize = 24;
/// The largest shrinkwrap in a tarball, in bytes.
const LARGEST_SHRINKWRAP: u64 = 16 << 20;
/// The most different wishes that are looked up.
const MOST: usize = 200_000;

/// What is known so far.
#[derive(Debug, Default)]
pub(crate) struct Shelf {
    found: HashMap<Need, Option<Arc<Manifest>>>,
    /// What was looked up with all that it leads to; the rest with its peers alone.
    whole: HashSet<Need>,
}

impl Known for Shelf {
    fn look(&self, name: &str, text: &str) -> Look {
        match self.found.get(&(Arc::from(name), Arc::from(text))) {
            Some(Some(manifest)) => Look::Found(manifest.clone()),
            Some(None) => Look::Absent,
            None => Look::Unknown,
        }
    }
}

/// Fills a shelf.
#[derive(Clone, Copy)]
pub(crate) struct Filler<'a> {
    /// The registries in use.
    pub(crate) routes: &'a Routes,
    /// Their documents.
    pub(crate) documents: &'a Documents<'a>,
    /// What stands at addresses of their own.
    pub(crate) remotes: &'a Remotes<'a>,
    /// Until when a version has to have been published, if that is said.
    pub(crate) before: Option<Timestamp>,
    /// What runs the packages.
    pub(crate) engines: &'a Engines,
    /// What ops hand us.
    pub(crate) context: &'a dyn CollectContext,
}

/// A version whose tarball has a shrinkwrap.
struct Wrapped {
    manifest: Arc<Manifest>,
    tarball: Option<String>,
    integrity: String,
}

/// The shrinkwrap in a tarball, if the tarball is what its registry says. Blocks.
fn shrinkwrap(
    mut file: File,
    expected: &[Digest],
    shown: &str,
    wrong: &dyn Fn(String) -> Problem,
) -> Result<Option<Lock>, Problem> {
    let failed = |error: io::Error| wrong(error.to_string());
    if let Some(strongest) = expected.iter().map(Digest::algorithm).max() {
        let found = digests_of(&file, &[strongest]).map_err(|error| wrong(error.to_string()))?;
        if !found.iter().any(|digest| expected.contains(digest)) {
            return Err(wrong("it has other bytes than its registry says".to_owned()));
        }
        file.rewind().map_err(failed)?;
    }
    let text = tarball::document(&file, "npm-shrinkwrap.json", LARGEST_SHRINKWRAP).map_err(failed)?;
    text.map(|text| lock::read_shrinkwrap(text.as_bytes(), shown)).transpose()
}

/// What is to be looked up of a package: what is asked for, and whether what it leads to is wanted too, or only what it
/// wants beside itself.
type Wishes = BTreeMap<Need, bool>;

impl Filler<'_> {
    /// Looks up what is needed, and all that it leads to.
    ///
    /// # Errors
    /// If a registry cannot be reached or contradicts itself, or there is no end of it.
    pub(crate) async fn fill(self, shelf: &mut Shelf, needs: Needs) -> Result<(), Problem> {
        let stage = Happening::Stage { name: "resolve".to_owned(), items: None, bytes: None };
        self.context.events().emit(stage);
        let mut open: BTreeMap<String, Wishes> = BTreeMap::new();
        for need in needs {
            add(&mut open, shelf, need, true);
        }
        let mut running = FuturesUnordered::new();
        let mut busy: BTreeSet<String> = BTreeSet::new();
        loop {
            while running.len() < AT_ONCE {
                let next = open.keys().find(|name| !busy.contains(*name)).cloned();
                let Some((name, wishes)) = next.and_then(|name| open.remove_entry(&name)) else { break };
                busy.insert(name.clone());
                running.push(async move {
                    let found = self.look_up(&name, wishes.keys().cloned().collect()).await;
                    (name, wishes, found)
                });
            }
            let Some((name, wishes, found)) = running.next().await else { return Ok(()) };
            self.context.events().emit(Happening::ItemDone { item: name.clone() });
            busy.remove(&name);
            for (need, manifest) in found? {
                let whole = wishes.get(&need).copied().unwrap_or_default();
                for dependency in manifest.iter().flat_map(|manifest| &manifest.dependencies) {
                    let beside = matches!(dependency.kind, EdgeKind::Peer | EdgeKind::OptionalPeer);
                    let is_wrapped = manifest.as_ref().is_some_and(|found| !found.shrinkwrap.is_empty());
                    if whole && !is_wrapped || beside {
                        let leads_on = whole && dependency.kind != EdgeKind::OptionalPeer;
                        let need = (dependency.name.clone(), dependency.text.clone());
                        add(&mut open, shelf, need, leads_on);
                    }
                }
                shelf.found.insert(need, manifest);
            }
            if shelf.whole.len().max(shelf.found.len()) > MOST {
                let cause = format!("it leads to more than {MOST} different ranges");
                return Err(Problem::new(Kind::Failed, "npm.too-much", "there is no end of what is needed")
                    .because(cause));
            }
        }
    }

    /// Looks up wishes for one package.
    async fn look_up(
        self,
        name: &str,
        needs: Vec<Need>,
    ) -> Result<Vec<(Need, Option<Arc<Manifest>>)>, Problem> {
        let (registry, others): (Vec<Need>, Vec<Need>) =
            needs.into_iter().partition(|(_, text)| Spec::read(text).is_registry());
        let mut all = Vec::new();
        for need in others {
            let manifest = self.remotes.look(self.routes, &need.0, &need.1).await?;
            let unknown = || Manifest::new(&need.0, "", Vec::new(), Origin::Address(need.1.to_string()));
            let manifest = manifest.unwrap_or_else(unknown);
            all.push((need, Some(Arc::new(manifest))));
        }
        if registry.is_empty() {
            return Ok(all);
        }
        let source = if names::is_valid(name) { self.routes.source(name, None)? } else { None };
        let Some(source) = source else {
            all.extend(registry.into_iter().map(|need| (need, None)));
            return Ok(all);
        };
        let access = self.routes.metadata(&source, name)?;
        let mut request =
            MetadataRequest { access, accept: "application/json", limit: LARGEST_DOCUMENT, fresh: false };
        let (mut found, mut wrapped) = self.pick(&request, name, registry).await?;
        if found.iter().any(|(_, manifest)| manifest.is_none()) {
            // A cache before the registry may not know yet what was published a moment ago: it is made to ask.
            request.fresh = true;
            let needs = found.into_iter().map(|(need, _)| need).collect();
            (found, wrapped) = self.pick(&request, name, needs).await?;
        }
        for object in wrapped {
            let Some(manifest) = self.unwrap(&source, &object).await?.map(Arc::new) else { continue };
            for (_, found) in &mut found {
                if found.as_ref().is_some_and(|found| found.version == manifest.version) {
                    *found = Some(manifest.clone());
                }
            }
        }
        all.extend(found);
        Ok(all)
    }

    /// What a version needs whose tarball has a shrinkwrap; `None`, if the tarball has none after all.
    async fn unwrap(self, source: &Source, object: &Wrapped) -> Result<Option<Manifest>, Problem> {
        let Wrapped { manifest, tarball, integrity } = object;
        let path = names::tarball_path(&manifest.name, &manifest.version);
        let conventional = format!("{}{path}", source.base);
        let tarball = tarball.as_deref().unwrap_or(&conventional);
        let origin = self.routes.tarball_origin(source, &manifest.name, tarball)?;
        let file = self.context.download(&self.routes.access(&source.repository, &origin)?).await?;
        let (shown, expected) =
            (format!("{}@{}", manifest.name, manifest.version), integrity::read(integrity));
        let wrong = {
            let shown = shown.clone();
            move |why: String| {
                let message = format!("the tarball of {shown} has no shrinkwrap that could be followed");
                Problem::new(Kind::Untrusted, "npm.shrinkwrap", message).because(why)
            }
        };
        let lock = blocking(move || shrinkwrap(file, &expected, &shown, &wrong)).await?;
        Ok(lock.map(|lock| manifest.with_shrinkwrap(&lock)))
    }

    /// The versions of one package that npm would choose for what is asked for, and those of them with a shrinkwrap.
    async fn pick(
        self,
        request: &MetadataRequest,
        name: &str,
        needs: Vec<Need>,
    ) -> Result<(Vec<(Need, Option<Arc<Manifest>>)>, Vec<Wrapped>), Problem> {
        let Some(document) = self.documents.get(request).await? else {
            return Ok((needs.into_iter().map(|need| (need, None)).collect(), Vec::new()));
        };
        let (name, place) = (name.to_owned(), request.access.url.to_string());
        let (engines, before) = (self.engines.clone(), self.before);
        blocking(move || {
            let upstream = Upstream::read(&document.bytes, &place)?;
            let mut read: BTreeMap<String, Arc<Manifest>> = BTreeMap::new();
            let mut wrapped = Vec::new();
            let pick = |need: Need| {
                let spec = Spec::read(without_alias(&need.1));
                let Some(version) = upstream.pick(&spec, &engines, before) else { return Ok((need, None)) };
                if let Some(manifest) = read.get(version) {
                    return Ok((need, Some(manifest.clone())));
                }
                let raw = upstream.cut(version).unwrap_or_default();
                let object = VersionObject::read(raw, &name, version, &place)?;
                let manifest = Arc::new(Manifest::of(&object, &name, version));
                read.insert(version.to_owned(), manifest.clone());
                if object.has_shrinkwrap {
                    let integrity = object.integrity.unwrap_or_default();
                    wrapped.push(Wrapped { manifest: manifest.clone(), tarball: object.tarball, integrity });
                }
                Ok((need, Some(manifest)))
            };
            let found = needs.into_iter().map(pick).collect::<Result<_, Problem>>()?;
            Ok((found, wrapped))
        })
        .await
    }
}

/// Notes down that something is to be looked up, unless it was.
fn add(open: &mut BTreeMap<String, Wishes>, shelf: &mut Shelf, need: Need, whole: bool) {
    let spec = Spec::read(&need.1);
    // Directories of the project are read with it.
    if spec == Spec::Local || shelf.whole.contains(&need) || !whole && shelf.found.contains_key(&need) {
        return;
    }
    let real = spec.target(&need.0).0.to_owned();
    if whole {
        shelf.whole.insert(need.clone());
    }
    *open.entry(real).or_default().entry(need).or_default() |= whole;
}
