//! Releases as artifacts: their files, and what the index and they themselves say of them.

use std::collections::{BTreeMap, BTreeSet};

use bundle_format::{Digest, Requirement as Edge};
use serde_json::{Map, Value};

use super::SCHEMA;
use super::build::BuiltWheel;
use super::carry::Release;
use super::facts::{METADATA, METADATA_END, PROVENANCE, PROVENANCE_END, SDIST, WHEEL};
use super::group::{Group, gap};
use super::known::{Described, Known, MetadataDocument, Proven};
use super::requirement::Requirement;
use super::simple::Listed;
use super::target::Target;
use crate::ecosystem::{Evidence, Gap, Planned, PlannedFile};

/// The artifact of a release.
///
/// # Errors
/// A gap, if a file says that it is of another release, or cannot be read.
pub(super) fn planned(
    release: &Release,
    known: &Known,
    groups: &[Group],
    targets: &[Target],
) -> Result<Planned, Gap> {
    let (project, version) = (release.project.as_str(), release.version.to_string());
    let wrong = |reason: &str, detail: String| gap(project, &version, reason, detail);
    let (mut files, mut facts) = (Vec::new(), Map::new());
    let mut requires = BTreeSet::new();
    let mut attributes = BTreeMap::new();
    for (name, serves) in &release.files {
        let listed =
            release.listed(name, known).ok_or_else(|| wrong("not-found", format!("{name} is not listed")))?;
        let described = match release.described(name, known) {
            Some(Ok(described)) => described,
            Some(Err(why)) => return Err(wrong("unreadable", format!("{name}: {why}"))),
            None => return Err(wrong("unreadable", format!("{name}: nothing is known of it"))),
        };
        let says = &described.metadata;
        if says.name != release.project || says.version != release.version {
            let detail = format!("{name} says of itself that it is {} {}", says.spelled, says.version);
            return Err(wrong("mismatch", detail));
        }
        attributes.entry("name".to_owned()).or_insert_with(|| says.spelled.clone().into());
        if let Some(licence) = &says.licence {
            attributes.entry("licence".to_owned()).or_insert_with(|| licence.clone().into());
        }
        requires.extend(says.requires.iter().map(|requirement| edge(requirement, "runtime")));
        let build = described.build.iter().flat_map(|build| &build.requires);
        requires.extend(build.map(|requirement| edge(requirement, "build")));
        let locked = release.checksums.get(name).map(Vec::as_slice).unwrap_or_default();
        let proven = listed.provenance.as_ref().and_then(|address| known.provenances.get_key_value(address));
        let mut fact = fact(listed, described.document.as_ref(), serves, targets);
        if let Some((address, proven)) = proven {
            files.push(provenance(name, address, proven));
            if !proven.attested.is_empty()
                && let Ok(attested) = serde_json::to_value(&proven.attested)
            {
                fact.insert("attested".to_owned(), attested);
            }
        }
        facts.insert(name.clone(), fact.into());
        add(&mut files, listed, described, locked);
    }
    for wheel in known.builds.get(&release.key()).into_iter().flat_map(|builds| &builds.wheels) {
        let sources = release.listed(&wheel.built.from, known);
        facts.insert(wheel.name.clone(), fact_of_built(wheel, sources, targets).into());
        files.extend(built(wheel));
    }
    attributes.insert("files".to_owned(), facts.into());
    if let Some(extras) = extras(release, targets) {
        attributes.insert("extras".to_owned(), extras);
    }
    if let Some(status) = release.pages(known).find_map(|page| page.status.clone()) {
        attributes.insert("project_status".to_owned(), status.into());
    }
    Ok(Planned {
        ecosystem: "pypi".to_owned(),
        repository: release.repository.clone(),
        name: project.to_owned(),
        version,
        qualifier: String::new(),
        schema: SCHEMA.to_owned(),
        attributes,
        files,
        requires: requires.into_iter().collect(),
        requests: release.requests(groups),
    })
}

/// The page that a release was found on.
pub(super) fn evidence(release: &Release, known: &Known) -> Option<Evidence> {
    let (origin, digest) = release.pages(known).find_map(|page| page.page.clone())?;
    Some(Evidence { origin, digest })
}

/// A file, and the metadata of a wheel.
fn add(files: &mut Vec<PlannedFile>, listed: &Listed, described: &Described, locked: &[Digest]) {
    let mut checksums: Vec<Digest> = listed.checksums.iter().chain(locked).cloned().collect();
    checksums.sort();
    checksums.dedup();
    let is_wheel = listed.name.ends_with(".whl");
    let media_type = match listed.name.rsplit('.').next() {
        Some("whl" | "zip") => "application/zip",
        Some("gz" | "tgz") => "application/gzip",
        _ => "application/octet-stream",
    };
    files.push(PlannedFile {
        role: if is_wheel { WHEEL } else { SDIST }.to_owned(),
        path: listed.name.clone(),
        media_type: media_type.to_owned(),
        origin: listed.url.clone(),
        blob: checksums.iter().find_map(Digest::blob_key),
        size: listed.size,
        checksums,
        ..PlannedFile::default()
    });
    files.extend(described.document.as_ref().map(|document| metadata(&listed.name, document)));
}

/// The metadata of a wheel.
fn metadata(of: &str, document: &MetadataDocument) -> PlannedFile {
    PlannedFile {
        role: METADATA.to_owned(),
        path: format!("{of}{METADATA_END}"),
        media_type: "text/plain".to_owned(),
        origin: document.origin.clone(),
        checksums: vec![document.key.into()],
        blob: Some(document.key),
        size: Some(document.size),
        ..PlannedFile::default()
    }
}

/// A wheel that was built here, and its metadata: upstream says nothing of either.
fn built(wheel: &BuiltWheel) -> [PlannedFile; 2] {
    let file = PlannedFile {
        role: WHEEL.to_owned(),
        path: wheel.name.clone(),
        media_type: "application/zip".to_owned(),
        blob: Some(wheel.key),
        size: Some(wheel.size),
        ..PlannedFile::default()
    };
    [file, PlannedFile { checksums: Vec::new(), ..metadata(&wheel.name, &wheel.document) }]
}

/// What is said of a wheel that was built here: how, and what the index says of its sources.
fn fact_of_built(wheel: &BuiltWheel, sources: Option<&Listed>, targets: &[Target]) -> Map<String, Value> {
    let upstream = sources.cloned().unwrap_or_default();
    let listed = Listed {
        requires_python: wheel.requires_python.clone(),
        size: Some(wheel.size),
        upload_time: upstream.upload_time,
        yanked: upstream.yanked,
        ..Listed::default()
    };
    let mut fact = fact(&listed, Some(&wheel.document), &wheel.serves, targets);
    fact.extend(serde_json::to_value(&wheel.built).ok().map(|built| ("built".to_owned(), built)));
    fact
}

/// What the index says of a file, and the targets that it is for.
fn fact(
    listed: &Listed,
    document: Option<&MetadataDocument>,
    serves: &BTreeSet<usize>,
    targets: &[Target],
) -> Map<String, Value> {
    let mut fact = Map::new();
    let mut say = |name: &str, value: Option<Value>| value.map(|value| fact.insert(name.to_owned(), value));
    say("requires_python", listed.requires_python.clone().map(Value::from));
    say("upload_time", listed.upload_time.clone().map(Value::from));
    let yanked = listed.yanked.as_ref();
    say("yanked", yanked.map(|why| if why.is_empty() { true.into() } else { why.clone().into() }));
    say("size", listed.size.map(Value::from));
    say("metadata_sha256", document.map(|document| document.key.hex().into()));
    let names = serves.iter().filter_map(|target| targets.get(*target));
    say("targets", Some(names.map(|target| target.name.clone()).collect()));
    fact
}

/// What proves who published a file.
fn provenance(of: &str, address: &str, proven: &Proven) -> PlannedFile {
    PlannedFile {
        role: PROVENANCE.to_owned(),
        path: format!("{of}{PROVENANCE_END}"),
        media_type: "application/vnd.pypi.integrity.v1+json".to_owned(),
        origin: address.to_owned(),
        checksums: vec![proven.key.into()],
        blob: Some(proven.key),
        size: Some(proven.size),
        ..PlannedFile::default()
    }
}

/// The extras that are wanted, by target, if there are any.
fn extras(release: &Release, targets: &[Target]) -> Option<Value> {
    let wanted = release.extras.iter().filter(|(_, extras)| !extras.is_empty());
    let named = wanted.filter_map(|(target, extras)| {
        let extras: Value = extras.iter().map(|extra| extra.to_string()).collect();
        Some((targets.get(*target)?.name.clone(), extras))
    });
    let named: Map<String, Value> = named.collect();
    (!named.is_empty()).then_some(named.into())
}

/// A requirement, as an edge: what stands behind the name is the range.
fn edge(requirement: &Requirement, kind: &str) -> Edge {
    let text = requirement.to_string();
    let range = text.strip_prefix(requirement.name.as_str()).unwrap_or_default();
    Edge { name: requirement.name.to_string(), range: range.to_owned(), kind: kind.to_owned() }
}
