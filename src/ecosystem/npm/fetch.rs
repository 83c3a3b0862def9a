//! One package: its metadata from the registry, and the wanted versions cut out of it.

use std::collections::{BTreeMap, BTreeSet};

use bundle_format::{Digest, Ref, Requirement};
use bytes::Bytes;
use serde_json::Value;

use super::SCHEMA;
use super::integrity;
use super::lockfile::EdgeKind;
use super::names;
use super::origin::{Routes, Source};
use super::platform::Platform;
use super::range::Range;
use super::spec::Spec;
use super::version_object::{LARGEST_DOCUMENT, Upstream, VersionObject};
use super::wanted::{Package, Wanted, gap};
use crate::ecosystem::{CollectContext, Evidence, Gap, MetadataRequest, Note, Planned, PlannedFile};
use crate::problem::{Kind, Problem};

/// The schema that artifacts follow.

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
        package: &Package,
    ) -> Result<Fetched, Problem> {
        let access = self.routes.metadata(source, name)?;
        let place = access.url.to_string();
        let request = MetadataRequest { access, accept: "application/json", limit: LARGEST_DOCUMENT };
        let mut fetched = Fetched::default();
        let Some(document) = self.context.metadata(&request).await? else {
            for (version, wanted) in package.versions.iter().chain(&package.ranges) {
                let listed = package.versions.contains_key(version);
                let detail = format!("the registry at {} has no package of that name", source.base);
                fetched.missing(name, version, wanted, listed, &detail);
            }
            return Ok(fetched);
        };
        fetched.evidence.push(Evidence { origin: place.clone(), digest: document.digest });
        let upstream = Upstream::read(&document.bytes, &place)?;
        let mut chosen: BTreeMap<&str, (Wanted, bool)> = package
            .versions
            .iter()
            .map(|(version, wanted)| (version.as_str(), (wanted.clone(), true)))
            .collect();
        for (range, wanted) in &package.ranges {
            match upstream.pick(&Spec::read(range)) {
                Some(version) => {
                    let (chosen, _) = chosen.entry(version).or_insert_with(|| (wanted.clone(), false));
                    chosen.optional &= wanted.optional;
                }
                None => fetched.missing(name, range, wanted, false, "the registry has no version that fits"),
            }
        }
        for (version, (wanted, listed)) in &chosen {
            let Some(raw) = upstream.cut(version) else {
                let detail = format!("the registry at {} does not have this version", source.base);
                fetched.missing(name, version, wanted, *listed, &detail);
                continue;
            };
            let object = VersionObject::read(raw, name, version, &place)?;
            let checksums = checksums(name, version, wanted, &object, &place)?;
            if checksums.is_empty() {
                let detail =
                    format!("neither the lockfile nor the registry has a checksum; {}", wanted.needed_by);
                fetched.gaps.push(gap(name, version, "no-checksum", detail));
                continue;
            }
            let manifest = self.context.keep(Bytes::copy_from_slice(raw.as_bytes())).await?;
            let mut planned = self.plan(source, name, version, &object, checksums, wanted.optional)?;
            if let Some(file) = planned.files.first_mut() {
                file.blob = Some(manifest);
                file.size = Some(raw.len() as u64);
            }
            if let Some(time) = upstream.time(version) {
                planned.attributes.insert("time".to_owned(), Value::String(time));
            }
            fetched.notes.extend(notes(&planned, &object, upstream.repeated.contains(*version)));
            let optional = wanted.optional;
            fetched.carried.push(Carried { planned, edges: object.edges, listed: *listed, optional });
        }
        fetched.tags = upstream.tags;
        Ok(fetched)
    }

    /// The artifact of a version, its manifest's blob still unknown.
    fn plan(
        &self,
        source: &Source,
        name: &str,
        version: &str,
        object: &VersionObject,
        checksums: Vec<Digest>,
        optional: bool,
    ) -> Result<Planned, Problem> {
        let selected = !optional
            || self.platforms.is_empty()
            || self.platforms.iter().any(|platform| platform.fits(object));
        let mut files = vec![PlannedFile {
            role: "manifest".to_owned(),
            path: String::new(),
            media_type: "application/json".to_owned(),
            origin: String::new(),
            checksums: Vec::new(),
            blob: None,
            size: None,
            estimate: None,
            held: false,
        }];
        let mut attributes = BTreeMap::new();
        let path = names::tarball_path(name, version);
        if selected {
            let conventional = format!("{}{path}", source.base);
            let tarball = object.tarball.as_deref().unwrap_or(&conventional);
            files.push(PlannedFile {
                role: "tarball".to_owned(),
                path,
                media_type: "application/octet-stream".to_owned(),
                origin: self.routes.tarball_origin(source, name, tarball)?,
                checksums,
                blob: None,
                size: None,
                estimate: object.unpacked_size,
                held: false,
            });
        } else {
            attributes.insert("selected".to_owned(), Value::Bool(false));
        }
        let edges = object.edges.iter().map(|(name, range, kind)| Requirement {
            name: name.clone(),
            range: range.clone(),
            kind: kind.name().to_owned(),
        });
        let bent = self.bent.get(&(name.to_owned(), version.to_owned())).into_iter().flatten().cloned();
        let mut requires: Vec<Requirement> = edges.chain(bent).collect();
        requires.sort();
        requires.dedup();
        Ok(Planned {
            ecosystem: "npm".to_owned(),
            repository: source.repository.clone(),
            name: name.to_owned(),
            version: version.to_owned(),
            qualifier: String::new(),
            schema: SCHEMA.to_owned(),
            attributes,
            files,
            requires,
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

/// What the lockfile and the registry say of the tarball, which have to agree.
fn checksums(
    name: &str,
    version: &str,
    wanted: &Wanted,
    object: &VersionObject,
    place: &str,
) -> Result<Vec<Digest>, Problem> {
    let mut published = object.integrity.as_deref().map(integrity::read).unwrap_or_default();
    published.extend(object.shasum.as_deref().and_then(integrity::read_shasum));
    published.sort();
    published.dedup();
    integrity::join(&wanted.checksums, &published).map_err(|algorithm| {
        let of = |digests: &[Digest]| {
            let digests = digests.iter().filter(|digest| digest.algorithm() == algorithm);
            digests.map(Digest::to_string).collect::<Vec<_>>().join(", ")
        };
        let message = format!("the lockfile and the registry disagree about the bytes of {name}@{version}");
        Problem::new(Kind::Untrusted, "npm.checksum-conflict", message)
            .at(place)
            .because(format!("the lockfile says {}", of(&wanted.checksums)))
            .because(format!("the registry says {}", of(&published)))
            .hint("find out which of them was changed before you go on; the lockfile is usually right")
    })
}

/// What a person should know about a carried version.
fn notes(planned: &Planned, object: &VersionObject, repeated: bool) -> Vec<Note> {
    let subject = format!("{}@{}", planned.name, planned.version);
    let note =
        |code: &str, message: String| Note { code: code.to_owned(), subject: subject.clone(), message };
    let mut notes = Vec::new();
    if !object.install_scripts.is_empty() && planned.files.len() > 1 {
        let scripts: Vec<String> = object
            .install_scripts
            .iter()
            .map(|(name, text)| {
                let text: String =
                    text.chars().filter(|character| !character.is_control()).take(200).collect();
                format!("{name}: {text}")
            })
            .collect();
        let message =
            format!("runs at installation ({}); what that downloads is not carried", scripts.join("; "));
        notes.push(note("npm.install-script", message));
    }
    if !object.bundled.is_empty() {
        let names: Vec<&str> = object.bundled.iter().map(String::as_str).take(20).collect();
        notes.push(note("npm.bundled", format!("brings along in its tarball: {}", names.join(", "))));
    }
    if repeated {
        let message =
            "stands more than once in the registry's document; the last one is carried, as npm reads it";
        notes.push(note("npm.repeated-version", message.to_owned()));
    }
    notes
}
