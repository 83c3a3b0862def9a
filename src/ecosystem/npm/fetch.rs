//! One package: its metadata from the registry, and what is recorded of the wanted versions.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use bundle_format::{BlobKey, Ref, Requirement};
use serde_json::Value;

use super::SCHEMA;
use super::attestations;
use super::cuttings::{Cutting, Cuttings};
use super::documents::Documents;
use super::lock::EdgeKind;
use super::names;
use super::origin::{Routes, Source};
use super::platform::Platform;
use super::range::Range;
use super::signers::{self, Signers};
use super::version_object::{LARGEST_DOCUMENT, VersionObject};
use super::wanted::{Package, Wanted, gap};
use crate::blocking::blocking;
use crate::ecosystem::{CollectContext, Evidence, Gap, MetadataRequest, Note, Planned, PlannedFile};
use crate::problem::Problem;

/// The attribute of a version whose tarball says itself what is installed inside of it.
pub(crate) const SHRINKWRAP: &str = "shrinkwrap";
/// How many characters of a script are shown.
const LONGEST_SCRIPT: usize = 200;

/// A version that is carried.
#[derive(Debug)]
pub(crate) struct Carried {
    /// What is recorded of it.
    pub(crate) planned: Planned,
    /// What it asks for.
    pub(crate) edges: Vec<(String, String, EdgeKind)>,
    /// Whether a lockfile listed it; otherwise it was chosen here, and its edges have to be followed.
    pub(crate) listed: bool,
    /// Whether one can do without it.
    pub(crate) optional: bool,
    /// Whether clients only have to know what it says.
    pub(crate) only_known: bool,
}

/// What came of one package.
#[derive(Debug, Default)]
pub(crate) struct Fetched {
    /// The wanted versions.
    pub(crate) carried: Vec<Carried>,
    /// The dist-tags of the registry.
    pub(crate) tags: BTreeMap<String, String>,
    /// What the registry doesn't have.
    pub(crate) gaps: Vec<Gap>,
    /// What a person should know.
    pub(crate) notes: Vec<Note>,
    /// The document that all this was read from.
    pub(crate) evidence: Vec<Evidence>,
}

/// What every package is fetched with.
#[derive(Clone, Copy)]
pub(crate) struct Fetcher<'a> {
    /// The registries in use.
    pub(crate) routes: &'a Routes,
    /// The platforms whose optional packages are wanted whole; empty for all.
    pub(crate) platforms: &'a [Platform],
    /// What edges get instead of what they ask for.
    pub(crate) bent: &'a BTreeMap<(String, String), BTreeSet<Requirement>>,
    /// Who signs what registries publish.
    pub(crate) signers: &'a Signers,
    /// The registries' documents.
    pub(crate) documents: &'a Documents<'a>,
    /// What ops hand us.
    pub(crate) context: &'a dyn CollectContext,
}

impl Fetcher<'_> {
    /// Fetches the metadata of `name` and cuts what is wanted out of it.
    ///
    /// # Errors
    /// If the registry cannot be reached, or contradicts itself or the lockfile. What it merely doesn't have is a gap.
    pub(crate) async fn fetch(
        self,
        source: &Source,
        name: &str,
        package: Package,
    ) -> Result<Fetched, Problem> {
        let access = self.routes.metadata(source, name)?;
        let limit = LARGEST_DOCUMENT;
        let mut request = MetadataRequest { access, accept: "application/json", limit, fresh: false };
        let package = Arc::new(package);
        let mut found = self.cut(&request, name, &package).await?;
        let lacks_listed = match &found {
            Some((_, cuttings)) => cuttings.missing.iter().any(|(_, _, listed)| *listed),
            None => !package.versions.is_empty(),
        };
        if lacks_listed {
            // A cache before the registry may not know yet what was published a moment ago: it is made to ask.
            request.fresh = true;
            found = self.cut(&request, name, &package).await?;
        }
        let mut fetched = Fetched::default();
        let Some((evidence, cuttings)) = found else {
            let detail = format!("the registry at {} has no package of that name, or hides it", source.base);
            for (version, wanted) in &package.versions {
                fetched.missing(name, version, wanted, true, &detail);
            }
            for (range, wanted) in &package.ranges {
                fetched.missing(name, range, wanted, false, &detail);
            }
            return Ok(fetched);
        };
        fetched.evidence.push(evidence);
        for (version, wanted, listed) in &cuttings.missing {
            let detail = format!("the registry at {} has no such version", source.base);
            fetched.missing(name, version, wanted, *listed, &detail);
        }
        for cutting in cuttings.versions {
            if cutting.checksums.is_empty() {
                let needed_by = &cutting.wanted.needed_by;
                let detail = format!("neither the lockfile nor the registry has a checksum; {needed_by}");
                fetched.gaps.push(gap(name, &cutting.version, "no-checksum", detail));
                continue;
            }
            let signed_by = self.signers.verify(self, source, name, &cutting).await?;
            let size = cutting.manifest.len() as u64;
            let manifest = self.context.keep(cutting.manifest.clone()).await?;
            let mut planned = self.plan(source, name, &cutting, (manifest, size))?;
            if !signed_by.is_empty() {
                planned.attributes.insert(signers::ATTRIBUTE.to_owned(), signed_by.into());
            }
            fetched.notes.extend(notes(&planned, &cutting));
            let (checksums, version) = (&cutting.checksums, &cutting.version);
            if cutting.object.is_attested
                && planned.files.len() > 1
                && attestations::can_be_checked(checksums)
            {
                match attestations::fetch(self, source, (name, version), checksums).await? {
                    Some((file, attested)) => {
                        planned.files.push(file);
                        planned.attributes.extend(attestations::attribute(&attested));
                    }
                    None => fetched.notes.push(Note {
                        code: "npm.no-attestations".to_owned(),
                        subject: format!("{name}@{version}"),
                        message: format!("says that it has attestations, and {} has none", source.base),
                    }),
                }
            }
            fetched.carried.push(Carried {
                planned,
                edges: cutting.object.edges,
                listed: cutting.listed,
                optional: cutting.wanted.optional,
                only_known: cutting.wanted.only_known,
            });
        }
        fetched.tags = cuttings.tags;
        Ok(fetched)
    }

    /// Asks for a package's document and cuts what is wanted out of it; `None` if there is none.
    async fn cut(
        self,
        request: &MetadataRequest,
        name: &str,
        package: &Arc<Package>,
    ) -> Result<Option<(Evidence, Cuttings)>, Problem> {
        let Some(document) = self.documents.get(request).await? else { return Ok(None) };
        let (name, package, place) = (name.to_owned(), package.clone(), request.access.url.to_string());
        let evidence = Evidence { origin: place.clone(), digest: document.digest };
        let cuttings = blocking(move || Cuttings::cut(&document.bytes, &name, &package, &place)).await?;
        Ok(Some((evidence, cuttings)))
    }

    /// The artifact of a version, whose manifest is held already.
    fn plan(
        &self,
        source: &Source,
        name: &str,
        cutting: &Cutting,
        (manifest, size): (BlobKey, u64),
    ) -> Result<Planned, Problem> {
        let Cutting { version, object, .. } = cutting;
        let fits =
            || self.platforms.is_empty() || self.platforms.iter().any(|platform| platform.fits(object));
        let selected = !cutting.wanted.only_known && (!cutting.wanted.optional || fits());
        let mut files = vec![PlannedFile {
            role: "manifest".to_owned(),
            path: String::new(),
            media_type: "application/json".to_owned(),
            origin: String::new(),
            checksums: Vec::new(),
            blob: Some(manifest),
            size: Some(size),
            estimate: None,
            held: false,
        }];
        let mut attributes = BTreeMap::new();
        if let Some(time) = &cutting.time {
            attributes.insert("time".to_owned(), Value::String(time.clone()));
        }
        if let Some(licence) = &object.licence {
            attributes.insert("licence".to_owned(), Value::String(licence.clone()));
        }
        if object.has_shrinkwrap {
            attributes.insert(SHRINKWRAP.to_owned(), Value::Bool(true));
        }
        let path = names::tarball_path(name, version);
        if selected {
            let conventional = format!("{}{path}", source.base);
            let tarball = object.tarball.as_deref().unwrap_or(&conventional);
            files.push(PlannedFile {
                role: "tarball".to_owned(),
                path,
                media_type: "application/octet-stream".to_owned(),
                origin: self.routes.tarball_origin(source, name, tarball)?,
                checksums: cutting.checksums.clone(),
                blob: None,
                size: None,
                estimate: object.unpacked_size,
                held: false,
            });
        } else {
            attributes.insert("selected".to_owned(), Value::Bool(false));
        }
        // Of what is only known, only that counts which it wants beside it.
        let counts = |kind: &EdgeKind| matches!(kind, EdgeKind::Peer | EdgeKind::OptionalPeer);
        let edges = object.edges.iter().filter(|(_, _, kind)| !cutting.wanted.only_known || counts(kind));
        let edges = edges.map(|(name, range, kind)| Requirement {
            name: name.clone(),
            range: range.clone(),
            kind: kind.name().to_owned(),
        });
        let bent = self.bent.get(&(name.to_owned(), version.clone())).into_iter().flatten().cloned();
        let mut requires: Vec<Requirement> = edges.chain(bent).collect();
        requires.sort();
        requires.dedup();
        Ok(Planned {
            ecosystem: "npm".to_owned(),
            repository: source.repository.clone(),
            name: name.to_owned(),
            version: version.clone(),
            qualifier: String::new(),
            schema: SCHEMA.to_owned(),
            attributes,
            files,
            requires,
            requests: Vec::new(),
        })
    }
}

impl Fetched {
    /// Something the registry doesn't have. What no lockfile lists and one can do without is missing outside as well:
    /// nothing that works there fails inside.
    fn missing(&mut self, name: &str, version: &str, wanted: &Wanted, listed: bool, detail: &str) {
        let detail = format!("{detail}; {}", wanted.needed_by);
        if listed || !wanted.optional {
            self.gaps.push(gap(name, version, "not-found", detail));
        } else {
            let subject = format!("{name}@{version}");
            self.notes.push(Note { code: "npm.absent-optional".to_owned(), subject, message: detail });
        }
    }
}

/// The dist-tags that point at carried versions, as refs.
pub(crate) fn refs<'a>(
    repository: &'a str,
    name: &'a str,
    tags: &'a BTreeMap<String, String>,
    held: &'a dyn Fn(&str) -> bool,
) -> impl Iterator<Item = Ref> + 'a {
    // What reads as a range could never be asked for as a tag.
    let is_label = |label: &str| {
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.!~*'()".contains(&byte);
        !label.is_empty() && label.len() <= 214 && label.bytes().all(plain) && Range::parse(label).is_none()
    };
    tags.iter().filter(move |(label, version)| is_label(label) && held(version)).map(
        move |(label, version)| Ref {
            ecosystem: "npm".to_owned(),
            repository: repository.to_owned(),
            name: name.to_owned(),
            label: label.clone(),
            version: version.clone(),
        },
    )
}

/// What a version runs when it is installed, for a person to know; a lockfile may say that it runs something.
pub(crate) fn script_note(subject: &str, object: &VersionObject, is_said: bool) -> Option<Note> {
    if !is_said && !object.runs_scripts {
        return None;
    }
    let readable = |text: &str| -> String {
        text.chars().filter(|character| !character.is_control()).take(LONGEST_SCRIPT).collect()
    };
    let scripts = object.install_scripts.iter().map(|(name, text)| format!("{name}: {}", readable(text)));
    let scripts: Vec<String> = scripts.collect();
    let scripts = if scripts.is_empty() { "which, is not said".to_owned() } else { scripts.join("; ") };
    let message = format!("runs scripts at installation ({scripts}); what they download is not carried");
    Some(Note { code: "npm.install-script".to_owned(), subject: subject.to_owned(), message })
}

/// What a person should know about a carried version.
fn notes(planned: &Planned, cutting: &Cutting) -> Vec<Note> {
    let object = &cutting.object;
    let subject = format!("{}@{}", planned.name, planned.version);
    let note =
        |code: &str, message: String| Note { code: code.to_owned(), subject: subject.clone(), message };
    let mut notes = Vec::new();
    // A reduced document may leave the scripts out that the lockfile knows of.
    if planned.files.len() > 1 {
        notes.extend(script_note(&subject, object, cutting.wanted.install_script));
    }
    if !object.bundled.is_empty() {
        let names: Vec<&str> = object.bundled.iter().map(String::as_str).take(20).collect();
        notes.push(note("npm.bundled", format!("brings along in its tarball: {}", names.join(", "))));
    }
    if cutting.repeated {
        let message =
            "stands more than once in the registry's document; the last one is carried, as npm reads it";
        notes.push(note("npm.repeated-version", message.to_owned()));
    }
    notes
}
