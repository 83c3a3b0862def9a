//! From what is asked of one repository to all manifests that belong to it: entries of indexes, attestations, signatures
//! and whatever else says something of a manifest that is carried.

use std::collections::{BTreeSet, HashSet};
use std::pin::pin;

use bundle_format::Digest;
use futures_util::{StreamExt as _, TryStreamExt as _};

use super::asking::{Asked, Asking, By, Read, Source, Wanted, is_denied};
use super::found::Found;
use super::manifest::Manifest;
use super::platform::{Platform, entries_for};
use super::reference::{Name, Which};
use super::tags;
use crate::events::Happening;
use crate::problem::{Kind as Class, Problem};

/// How many manifests are asked for at once.
const AT_ONCE: usize = 8;
/// How far one thing may lead to the next: an index to an image to its signature to that one's attestation.
const DEEPEST: usize = 32;
/// The most manifests that one repository leads to.
const MOST: usize = 200_000;
/// What cosign adds to a digest to name the tag of what it has to say of it.
const COSIGN: [&str; 3] = [".sig", ".att", ".sbom"];

/// The walk through one repository.
pub(super) struct Walk<'a> {
    asking: Asking<'a>,
    name: &'a Name,
    platforms: &'a [Platform],
    found: &'a mut Found,
    /// What was met already.
    seen: HashSet<Digest>,
    /// The tags of the repository; empty if it does not show them.
    tags: BTreeSet<String>,
}

impl<'a> Walk<'a> {
    /// A walk that has not begun. What turns up is added to `found`.
    pub(super) fn new(asking: Asking<'a>, platforms: &'a [Platform], found: &'a mut Found) -> Walk<'a> {
        Walk { asking, name: asking.name, platforms, found, seen: HashSet::new(), tags: BTreeSet::new() }
    }

    /// Reads what is asked for, and what belongs to it, round after round.
    ///
    /// # Errors
    /// If the registry cannot be reached, or what it says is not what its digests say. What it merely does not have is a
    /// gap.
    pub(super) async fn follow(mut self, asked: &BTreeSet<Asked>) -> Result<(), Problem> {
        if self.asking.source == Source::Registry {
            self.list_tags(asked).await?;
        }
        let mut next = Vec::new();
        for asked in asked {
            next.extend(self.begin(asked));
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

    async fn list_tags(&mut self, asked: &BTreeSet<Asked>) -> Result<(), Problem> {
        let needs_tags = asked.iter().any(|asked| matches!(asked.which, Which::Pattern(..)));
        match tags::list(self.name, self.asking.registries, self.asking.context).await {
            Ok(tags) => self.tags = tags.unwrap_or_default(),
            // Some registries show images to people whom they do not show their tags.
            Err(problem) if is_denied(&problem) && !needs_tags => {
                let message = "the registry does not show its tags, so signatures that stand under tags are not looked for";
                self.found.note("oci.no-tag-list", self.name.to_string(), message.to_owned());
            }
            Err(problem) => return Err(problem),
        }
        Ok(())
    }

    /// What to begin with.
    fn begin(&mut self, asked: &Asked) -> Vec<Wanted> {
        let wanted = |by, tag| Wanted { by, tag, asked_for: true };
        match (&asked.which, &asked.held) {
            (Which::Tag(tag), Some(held)) => vec![wanted(By::Digest(held.clone()), Some(tag.clone()))],
            (Which::Tag(tag), None) => vec![wanted(By::Tag(tag.clone()), Some(tag.clone()))],
            (Which::Digest(digest), _) => vec![wanted(By::Digest(digest.clone()), None)],
            (Which::Pattern(pattern, newest), _) => {
                let tags = tags::matching(&self.tags, pattern, *newest).into_iter().map(str::to_owned);
                let tags: Vec<Wanted> = tags.map(|tag| wanted(By::Tag(tag.clone()), Some(tag))).collect();
                if tags.is_empty() {
                    let detail = "no tag of the repository matches the pattern".to_owned();
                    self.found.gap(self.name, pattern, "not-found", detail);
                }
                tags
            }
        }
    }

    async fn round(&mut self, wanted: Vec<Wanted>) -> Result<Vec<Wanted>, Problem> {
        let asking = self.asking;
        let events = asking.context.events();
        let items = Some(wanted.len() as u64);
        events.emit(Happening::Stage { name: "resolve".to_owned(), items, bytes: None });
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
        if let Some(tag) = &wanted.tag {
            self.found.tag(self.name, tag, &read.digest)?;
            self.found.evidence.extend(read.evidence)?;
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
            if carried.contains(&&entry.digest) && !read.lacking.contains(&entry.digest) {
                self.further(next, By::Described(entry.clone()), None);
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
        let blob = (read.blob, read.size);
        let keys = read.keys.as_ref();
        self.found.manifest(self.name, &read.digest, blob, &read.manifest, &absent, keys)?;
        for referrer in read.referrers {
            self.further(next, By::Described(referrer), None);
        }
        for tag in self.speaking_tags(&read.digest) {
            self.further(next, By::Tag(tag.clone()), Some(tag));
        }
        Ok(())
    }

    /// Notes down something that is to be read as well, unless it was.
    fn further(&self, next: &mut Vec<Wanted>, by: By, tag: Option<String>) {
        let is_known = matches!(&by, By::Described(descriptor) if self.seen.contains(&descriptor.digest));
        if !is_known {
            next.push(Wanted { by, tag, asked_for: false });
        }
    }

    /// The tags whose names say that they are about a manifest: those of registries without an API for referrers
    /// (distribution specification, "Referrers Tag Schema"), and cosign's.
    fn speaking_tags(&self, digest: &Digest) -> Vec<String> {
        let tag = digest.to_string().replacen(':', "-", 1);
        let names = COSIGN.iter().map(|suffix| format!("{tag}{suffix}")).chain([tag.clone()]);
        names.filter(|name| self.tags.contains(name)).collect()
    }

    /// The entries of an index that are carried. That there is none for a wanted platform is noted down.
    fn carried<'m>(&mut self, wanted: &Wanted, index: &'m Manifest) -> HashSet<&'m Digest> {
        let runs_on: Vec<_> = index.runnable().map(|(_, platform)| platform).collect();
        let is_met = |platform: &&Platform| runs_on.iter().any(|runs_on| platform.is(runs_on));
        let unmet = self.platforms.iter().filter(|platform| !runs_on.is_empty() && !is_met(platform));
        for platform in unmet {
            let detail = format!("there is none for {platform}");
            self.found.gap(self.name, &wanted.by.text(), "no-platform", detail);
        }
        entries_for(index, self.platforms)
    }
}
