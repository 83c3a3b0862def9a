//! From what is asked of one repository to all manifests that belong to it: entries of indexes, attestations, signatures
//! and whatever else says something of a manifest that is carried.

use std::collections::{BTreeSet, HashSet};
use std::pin::pin;

use bundle_format::{BlobKey, Digest};
use bytes::Bytes;
use futures_util::{StreamExt as _, TryStreamExt as _};
use serde::Deserialize;

use super::found::Found;
use super::manifest::{self, Descriptor, Kind, Manifest};
use super::platform::Platform;
use super::reference::{Name, Which};
use super::registries::Registries;
use super::tags;
use crate::ecosystem::{CollectContext, Evidence, MetadataRequest};
use crate::events::Happening;
use crate::net::Access;
use crate::problem::{Kind as Class, Problem};
use crate::store;

/// How many manifests are asked for at once.
const AT_ONCE: usize = 8;
/// How far one thing may lead to the next: an index to an image to its signature to that one's attestation.
const DEEPEST: usize = 32;
/// The most manifests that one repository leads to.
const MOST: usize = 200_000;
/// The most pages of what refers to one manifest.
const PAGES: usize = 1000;
/// What cosign adds to a digest to name the tag of what it has to say of it.
const COSIGN: [&str; 3] = [".sig", ".att", ".sbom"];

/// The walk through one repository.
pub(super) struct Walk<'a> {
    name: &'a Name,
    platforms: &'a [Platform],
    registries: &'a Registries,
    context: &'a dyn CollectContext,
    found: &'a mut Found,
    /// What was met already.
    seen: HashSet<Digest>,
    /// The tags of the repository; empty if it does not show them.
    tags: BTreeSet<String>,
}

/// A manifest that is to be read.
struct Wanted {
    by: By,
    /// Whether somebody asked for it: then it has to be of a platform that is wanted.
    asked_for: bool,
}

/// What a manifest is asked for by.
enum By {
    Tag(String),
    Digest(Digest),
    /// As another manifest describes it.
    Described(Descriptor),
}

impl By {
    fn text(&self) -> String {
        match self {
            By::Tag(tag) => tag.clone(),
            By::Digest(digest) => digest.to_string(),
            By::Described(descriptor) => descriptor.digest.to_string(),
        }
    }
}

/// A manifest that was read.
struct Read {
    digest: Digest,
    blob: BlobKey,
    size: u64,
    manifest: Manifest,
    evidence: Evidence,
    /// What an image for one platform alone runs on, if that matters.
    runs_on: Option<manifest::Platform>,
    /// What refers to it, as the registry says.
    referrers: Vec<Descriptor>,
}

impl<'a> Walk<'a> {
    /// A walk that has not begun. What turns up is added to `found`.
    pub(super) fn new(
        name: &'a Name,
        platforms: &'a [Platform],
        registries: &'a Registries,
        context: &'a dyn CollectContext,
        found: &'a mut Found,
    ) -> Walk<'a> {
        let (seen, tags) = (HashSet::new(), BTreeSet::new());
        Walk { name, platforms, registries, context, found, seen, tags }
    }

    /// Reads what is asked for, and what belongs to it, round after round.
    ///
    /// # Errors
    /// If the registry cannot be reached, or what it says is not what its digests say. What it merely does not have is a
    /// gap.
    pub(super) async fn follow(mut self, which: &BTreeSet<Which>) -> Result<(), Problem> {
        self.list_tags(which).await?;
        let mut next = Vec::new();
        for which in which {
            next.extend(self.begin(which).into_iter().map(|by| Wanted { by, asked_for: true }));
        }
        for _ in 0..DEEPEST {
            if next.is_empty() {
                return Ok(());
            }
            next = self.round(next).await?;
        }
        let message = format!("what belongs to {} leads on and on", self.name);
        Err(Problem::new(Class::Failed, "oci.endless", message)
            .because(format!("after {DEEPEST} steps there still is more")))
    }

    async fn list_tags(&mut self, which: &BTreeSet<Which>) -> Result<(), Problem> {
        match tags::list(self.name, self.registries, self.context).await {
            Ok(tags) => self.tags = tags.unwrap_or_default(),
            // Some registries show images to people whom they do not show their tags.
            Err(problem)
                if is_denied(&problem) && !which.iter().any(|which| matches!(which, Which::Pattern(..))) =>
            {
                let message = "the registry does not show its tags, so signatures that stand under tags are not looked for";
                self.found.note("oci.no-tag-list", self.name.to_string(), message.to_owned());
            }
            Err(problem) => return Err(problem),
        }
        Ok(())
    }

    /// What to begin with.
    fn begin(&mut self, which: &Which) -> Vec<By> {
        match which {
            Which::Tag(tag) => vec![By::Tag(tag.clone())],
            Which::Digest(digest) => vec![By::Digest(digest.clone())],
            Which::Pattern(pattern, newest) => {
                let tags = tags::matching(&self.tags, pattern, *newest);
                let tags: Vec<By> = tags.into_iter().map(|tag| By::Tag(tag.to_owned())).collect();
                if tags.is_empty() {
                    let detail = "no tag of the repository matches the pattern".to_owned();
                    self.found.gap(self.name, pattern, "not-found", detail);
                }
                tags
            }
        }
    }

    async fn round(&mut self, wanted: Vec<Wanted>) -> Result<Vec<Wanted>, Problem> {
        let events = self.context.events();
        let items = Some(wanted.len() as u64);
        events.emit(Happening::Stage { name: "resolve".to_owned(), items, bytes: None });
        let asking = Asking {
            name: self.name,
            checks_platform: !self.platforms.is_empty(),
            registries: self.registries,
            context: self.context,
        };
        let reads = wanted.into_iter().map(|wanted| async move {
            let read = asking.read(&wanted).await?;
            Ok::<_, Problem>((wanted, read))
        });
        // In order, so that what is said twice is said of the same one in every run.
        let mut reads = pin!(futures_util::stream::iter(reads).buffered(AT_ONCE));
        let mut next = Vec::new();
        while let Some((wanted, read)) = reads.try_next().await? {
            events.emit(Happening::ItemDone { item: format!("{} {}", self.name, wanted.by.text()) });
            match read {
                Some(read) => self.take(&wanted, read, &mut next)?,
                None => self.missing(&wanted),
            }
        }
        Ok(next)
    }

    fn missing(&mut self, wanted: &Wanted) {
        let (reason, detail) = match wanted.by {
            By::Described(_) => ("not-upstream", "the registry itself does not have this part of an index"),
            _ => ("not-found", "the registry has no such image, or hides it from whoever is not logged in"),
        };
        self.found.gap(self.name, &wanted.by.text(), reason, detail.to_owned());
    }

    /// Takes in a manifest, and notes down what it leads to.
    fn take(&mut self, wanted: &Wanted, read: Read, next: &mut Vec<Wanted>) -> Result<(), Problem> {
        if wanted.asked_for
            && let Some(runs_on) = &read.runs_on
            && !self.platforms.iter().any(|platform| platform.is(runs_on))
        {
            let detail = format!("it is for {}/{} alone", runs_on.os, runs_on.architecture);
            self.found.gap(self.name, &wanted.by.text(), "no-platform", detail);
            return Ok(());
        }
        if let By::Tag(tag) = &wanted.by {
            self.found.tag(self.name, tag, &read.digest)?;
            self.found.evidence.push(read.evidence)?;
        }
        if !self.seen.insert(read.digest.clone()) {
            return Ok(());
        }
        if self.seen.len() > MOST {
            let message = format!("{} leads to more than {MOST} manifests", self.name);
            return Err(Problem::new(Class::Failed, "oci.too-much", message));
        }
        let carried = self.carried(wanted, &read.manifest);
        let mut absent: Vec<&Digest> = Vec::new();
        for entry in &read.manifest.manifests {
            if carried.contains(&&entry.digest) {
                if !self.seen.contains(&entry.digest) {
                    next.push(Wanted { by: By::Described(entry.clone()), asked_for: false });
                }
            } else {
                absent.push(&entry.digest);
            }
        }
        for layer in read.manifest.layers.iter().filter(|layer| layer.is_foreign()) {
            absent.push(&layer.digest);
            let message = format!(
                "the layer {} is not the registry's to give (it is licensed to be had from its maker alone), so it is not carried",
                layer.digest
            );
            self.found.note("oci.foreign-layer", format!("{}@{}", self.name, read.digest), message);
        }
        self.found.registry(&self.name.registry);
        self.found.manifest(self.name, &read.digest, (read.blob, read.size), &read.manifest, &absent)?;
        for referrer in read.referrers {
            if !self.seen.contains(&referrer.digest) {
                next.push(Wanted { by: By::Described(referrer), asked_for: false });
            }
        }
        next.extend(
            self.speaking_tags(&read.digest).map(|tag| Wanted { by: By::Tag(tag), asked_for: false }),
        );
        Ok(())
    }

    /// The tags whose names say that they are about a manifest: those of registries without an API for referrers
    /// (distribution specification, "Referrers Tag Schema"), and cosign's.
    fn speaking_tags(&self, digest: &Digest) -> impl Iterator<Item = String> {
        let tag = digest.to_string().replacen(':', "-", 1);
        let names = COSIGN.iter().map(|suffix| format!("{tag}{suffix}")).chain([tag.clone()]);
        names.filter(|name| self.tags.contains(name)).collect::<Vec<_>>().into_iter()
    }

    /// The entries of an index that are carried: those of wanted platforms with what attests them, and those that are
    /// for no platform.
    fn carried<'m>(&mut self, wanted: &Wanted, index: &'m Manifest) -> HashSet<&'m Digest> {
        let all = index.manifests.iter();
        if index.kind != Kind::Index || self.platforms.is_empty() {
            return all.map(|entry| &entry.digest).collect();
        }
        let mut carried: HashSet<&Digest> = HashSet::new();
        let mut met = vec![false; self.platforms.len()];
        let mut any = false;
        for entry in all.clone().filter(|entry| entry.attests.is_none()) {
            let Some(runs_on) = entry.platform.as_ref().filter(|platform| !is_unknown(platform)) else {
                carried.insert(&entry.digest);
                continue;
            };
            any = true;
            for (platform, met) in self.platforms.iter().zip(&mut met) {
                if platform.is(runs_on) {
                    *met = true;
                    carried.insert(&entry.digest);
                }
            }
        }
        let attesting = all.filter(|entry| entry.attests.as_ref().is_some_and(|of| carried.contains(of)));
        let attesting: Vec<&Digest> = attesting.map(|entry| &entry.digest).collect();
        carried.extend(attesting);
        let unmet = self.platforms.iter().zip(met).filter(|(_, met)| any && !met);
        for (platform, _) in unmet {
            let detail = format!("there is none for {platform}");
            self.found.gap(self.name, &wanted.by.text(), "no-platform", detail);
        }
        carried
    }
}

/// Whether an entry's platform is what BuildKit writes where there is none.
fn is_unknown(platform: &manifest::Platform) -> bool {
    platform.os.is_empty() || platform.os == "unknown"
}

/// Whether a registry said that this is not for us.
fn is_denied(problem: &Problem) -> bool {
    matches!(problem.code.as_ref(), "net.unauthorized" | "net.forbidden" | "net.status")
}

/// What manifests are asked for with.
#[derive(Clone, Copy)]
struct Asking<'a> {
    name: &'a Name,
    checks_platform: bool,
    registries: &'a Registries,
    context: &'a dyn CollectContext,
}

#[derive(Deserialize)]
struct Referrers {
    manifests: Vec<serde_json::Value>,
}

impl Asking<'_> {
    async fn access(self, below: &str) -> Result<Access, Problem> {
        self.registries.access(self.name, below, self.context).await
    }

    /// Reads a manifest and what refers to it; `None` if the registry has none.
    async fn read(self, wanted: &Wanted) -> Result<Option<Read>, Problem> {
        let access = self.access(&format!("manifests/{}", wanted.by.text())).await?;
        let place = access.url.to_string();
        let request =
            MetadataRequest { access, accept: manifest::ACCEPT, limit: manifest::LARGEST, fresh: false };
        let Some(document) = self.context.metadata(&request).await? else { return Ok(None) };
        let untrusted = |code: &'static str, message: String| {
            Problem::new(Class::Untrusted, code, message)
                .at(&place)
                .hint("nothing of it was kept; try again, and if it stays so, ask whoever runs that registry")
        };
        let (digest, described) = match &wanted.by {
            By::Tag(_) => (document.digest.into(), None),
            By::Digest(digest) => (digest.clone(), None),
            By::Described(descriptor) => (descriptor.digest.clone(), Some(descriptor)),
        };
        let size = document.bytes.len() as u64;
        if !store::has_digest(&document.bytes, &digest)? || described.is_some_and(|one| one.size != size) {
            let message = format!("the registry sent another manifest than {} {digest}", self.name);
            return Err(untrusted("oci.digest-mismatch", message));
        }
        let manifest = Manifest::read(&document.bytes, &document.content_type).map_err(|why| {
            untrusted("oci.bad-manifest", format!("the manifest of {} cannot be relied on", self.name))
                .because(why)
        })?;
        let runs_on =
            if self.checks_platform && wanted.asked_for { self.runs_on(&manifest).await? } else { None };
        let referrers = self.referrers(&digest).await?;
        let evidence = Evidence { origin: place.clone(), digest: document.digest };
        Ok(Some(Read { digest, blob: document.digest, size, manifest, evidence, runs_on, referrers }))
    }

    /// What an image runs on, by its configuration; `None` for what is no image of a file system.
    async fn runs_on(self, manifest: &Manifest) -> Result<Option<manifest::Platform>, Problem> {
        let Some(config) = manifest.config.as_ref().filter(|config| config.media_type.contains(".image."))
        else {
            return Ok(None);
        };
        let Some(bytes) = self.small_blob(config).await? else { return Ok(None) };
        let platform: Option<manifest::Platform> = serde_json::from_slice(&bytes).ok();
        Ok(platform.filter(|platform| !is_unknown(platform)))
    }

    async fn small_blob(self, descriptor: &Descriptor) -> Result<Option<Bytes>, Problem> {
        let access = self.access(&format!("blobs/{}", descriptor.digest)).await?;
        let request = MetadataRequest { access, accept: "", limit: manifest::LARGEST, fresh: false };
        let found = self.context.metadata(&request).await?;
        let Some(found) = found else { return Ok(None) };
        // A wrong one is found out when it is downloaded.
        Ok(store::has_digest(&found.bytes, &descriptor.digest)?.then_some(found.bytes))
    }

    /// What refers to a manifest, as the registry says; nothing if it has no API for it.
    async fn referrers(self, digest: &Digest) -> Result<Vec<Descriptor>, Problem> {
        let mut access = self.access(&format!("referrers/{digest}")).await?;
        let mut referrers = Vec::new();
        for _ in 0..PAGES {
            let place = access.url.to_string();
            let limit = manifest::LARGEST;
            let request =
                MetadataRequest { access: access.clone(), accept: manifest::OCI_INDEX, limit, fresh: true };
            let page = match self.context.page(&request).await {
                Ok(Some(page)) => page,
                Ok(None) => break,
                // Registries that do not know the API answer it in many ways.
                Err(problem) if is_denied(&problem) => break,
                Err(problem) => return Err(problem),
            };
            // Some answer anything that they do not know with a page for people.
            let Ok(index) = serde_json::from_slice::<Referrers>(&page.bytes) else { break };
            let read = Manifest::read(&page.bytes, manifest::OCI_INDEX).map_err(|why| {
                let message =
                    format!("what the registry says to refer to {} {digest} cannot be read", self.name);
                Problem::new(Class::Untrusted, "oci.bad-referrers", message).at(&place).because(why)
            })?;
            let before = referrers.len();
            referrers.extend(read.manifests);
            match page.next {
                Some(next) if referrers.len() > before && !index.manifests.is_empty() => {
                    access = Access { url: next, ..access };
                }
                _ => break,
            }
        }
        Ok(referrers)
    }
}
