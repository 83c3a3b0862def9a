//! Packages and what proves them, as artifacts.

use std::collections::BTreeMap;

use bundle_format::{Algorithm, Artifact, BlobKey, Digest, Requirement};
use serde_json::Value;

use super::deb822::Stanza;
use super::relation;
use super::request::is_name;
use super::suites::{Suite, SuiteIndex};
use super::{EVIDENCE, SCHEMA};
use crate::ecosystem::{Gap, Planned, PlannedFile};

const MEDIA_TYPE: &str = "application/vnd.debian.binary-package";

/// A binary package, by its stanza in an index.
///
/// # Errors
/// A gap, if it cannot be carried.
pub(super) fn binary(stanza: &Stanza<'_>, suite: &Suite, index: &SuiteIndex) -> Result<Planned, Gap> {
    let planned = || -> Result<Planned, String> {
        let named = Named::read(stanza)?;
        let architecture =
            stanza.text("Architecture").filter(|one| is_word(one)).ok_or("has no Architecture")?;
        let path = path_of(stanza.text("Filename").ok_or("has no Filename")?)?;
        let size = stanza.text("Size").and_then(|size| size.parse().ok()).ok_or("has no Size")?;
        let checksums = [Algorithm::Sha1, Algorithm::Sha256, Algorithm::Sha512]
            .into_iter()
            .zip(["SHA1", "SHA256", "SHA512"])
            .filter_map(|(algorithm, field)| Some((algorithm, stanza.text(field)?)))
            .map(|(algorithm, hex)| digest(algorithm, hex))
            .collect::<Result<Vec<_>, _>>()?;
        if !checksums.iter().any(Digest::is_strong) {
            return Err("has neither SHA256 nor SHA512".to_owned());
        }
        let file = PlannedFile {
            role: "package".to_owned(),
            origin: path.clone(),
            path,
            media_type: MEDIA_TYPE.to_owned(),
            blob: key_of(&checksums),
            checksums,
            size: Some(size),
            ..PlannedFile::default()
        };
        let planned = named.planned(architecture, suite, index, vec![file]);
        Ok(Planned { requires: requires(stanza), ..planned })
    };
    planned().map_err(|why| gap(stanza, suite, &why))
}

/// A source package, by its stanza in an index.
///
/// # Errors
/// A gap, if it cannot be carried.
pub(super) fn source(stanza: &Stanza<'_>, suite: &Suite, index: &SuiteIndex) -> Result<Planned, Gap> {
    let planned = || -> Result<Planned, String> {
        let named = Named::read(stanza)?;
        let directory = stanza.text("Directory").ok_or("has no Directory")?;
        let listed = stanza.text("Checksums-Sha256").ok_or("has no Checksums-Sha256")?;
        let mut files = Vec::new();
        for line in listed.lines().filter(|line| !line.trim().is_empty()) {
            let words: Vec<&str> = line.split_whitespace().collect();
            let [hex, size, name] = words[..] else { return Err("lists a file that is none".to_owned()) };
            let path = path_of(&format!("{directory}/{name}"))?;
            let checksums = vec![digest(Algorithm::Sha256, hex)?];
            files.push(PlannedFile {
                role: role_of(name).to_owned(),
                origin: path.clone(),
                path,
                blob: key_of(&checksums),
                checksums,
                size: Some(size.parse().map_err(|_| "lists a file without a size".to_owned())?),
                ..PlannedFile::default()
            });
        }
        if files.is_empty() {
            return Err("has no files".to_owned());
        }
        Ok(named.planned("source", suite, index, files))
    };
    planned().map_err(|why| gap(stanza, suite, &why))
}

/// What proves a suite: its Release, and those of its indices that packages came from. Clients ask for none of its files by
/// these records, so they have no paths: which is which, the attribute `files` says. `before` is what a lock has.
pub(super) fn evidence(suite: &Suite, indices: &[&SuiteIndex], before: &[Planned]) -> Planned {
    let Suite { source, release, proof } = suite;
    let mut files = Vec::new();
    let mut names = serde_json::Map::new();
    let mut add =
        |role: &str, name: &str, (key, size): (BlobKey, u64), origin: &str, digest: Option<&Digest>| {
            names.insert(name.to_owned(), key.to_string().into());
            files.push(PlannedFile {
                role: role.to_owned(),
                origin: origin.to_owned(),
                blob: Some(key),
                size: Some(size),
                // What its Release lists it by, where that is not its key.
                checksums: digest.filter(|digest| digest.blob_key().is_none()).cloned().into_iter().collect(),
                ..PlannedFile::default()
            });
        };
    for (role, name, key, size) in &proof.documents {
        add(role, name, (*key, *size), "", None);
    }
    for (index, key) in indices.iter().filter_map(|one| Some((&one.index, one.index.held?))) {
        add("index", &index.path, (key, index.listed.size), &index.origin, Some(&index.listed.digest));
    }
    let text = |text: &str| Value::from(text);
    let list = |list: &[String]| Value::from(list);
    let mut attributes: BTreeMap<String, Value> = [
        ("architectures", list(&release.architectures)),
        ("codename", text(&release.codename)),
        ("components", list(&release.components)),
        ("date", release.date.to_string().into()),
        ("files", names.into()),
        ("label", text(&release.label)),
        ("origin", text(&release.origin)),
        ("signers", list(&proof.signers)),
        ("suite", text(&release.suite)),
    ]
    .into_iter()
    .map(|(name, value)| (name.to_owned(), value))
    .collect();
    if let Some(until) = release.valid_until {
        attributes.insert("valid_until".to_owned(), until.to_string().into());
    }
    let (name, version) = (source.evidence_name(), release.date.to_string());
    // The same documents were looked at before: then that is when, so that nothing changes where nothing changed.
    let same = before.iter().find(|planned| {
        (&planned.repository, &planned.name, &planned.version) == (&source.repository, &name, &version)
            && planned
                .files
                .iter()
                .filter(|file| file.role != "index")
                .map(|file| file.blob)
                .eq(proof.documents.iter().map(|document| Some(document.2)))
    });
    let observed = same.and_then(|planned| planned.attributes.get("observed_at").cloned());
    let now = || Value::from(proof.observed.strftime("%Y-%m-%dT%H:%M:%SZ").to_string());
    attributes.insert("observed_at".to_owned(), observed.unwrap_or_else(now));
    Planned {
        ecosystem: "apt".to_owned(),
        repository: source.repository.clone(),
        name,
        version,
        qualifier: String::new(),
        schema: EVIDENCE.to_owned(),
        attributes,
        files,
        requires: Vec::new(),
        requests: Vec::new(),
    }
}

/// What the proof of a suite says of itself, for people.
pub(super) fn shown_evidence(artifact: &Artifact) -> String {
    let text =
        |name: &str| artifact.attributes.get(name).and_then(Value::as_str).unwrap_or("an unknown time");
    let signers = artifact.attributes.get("signers").and_then(Value::as_array).into_iter().flatten();
    let signers: Vec<&str> = signers.filter_map(Value::as_str).collect();
    let by = if signers.is_empty() { "nobody".to_owned() } else { signers.join(" ") };
    format!("of {}, looked at {}, signed by {by}", text("date"), text("observed_at"))
}

/// What every package has.
struct Named {
    name: String,
    version: String,
    control: String,
}

impl Named {
    fn read(stanza: &Stanza<'_>) -> Result<Named, String> {
        if let Some(defect) = stanza.defect() {
            return Err(format!("has a stanza that cannot be carried: {defect}"));
        }
        let name =
            stanza.text("Package").filter(|name| is_name(name)).ok_or("has no name that packages have")?;
        let is_version = |text: &&str| {
            !text.is_empty() && text.chars().all(|c| c.is_ascii_alphanumeric() || ".+-~:".contains(c))
        };
        let version = stanza.text("Version").filter(is_version).ok_or("has no version that packages have")?;
        let control = std::str::from_utf8(stanza.raw).map_err(|_| "has a stanza that is not UTF-8")?;
        Ok(Named { name: name.to_owned(), version: version.to_owned(), control: control.to_owned() })
    }

    fn planned(
        self,
        architecture: &str,
        suite: &Suite,
        index: &SuiteIndex,
        files: Vec<PlannedFile>,
    ) -> Planned {
        let Suite { source, release, .. } = suite;
        let component = &index.component;
        let slash = if component.is_empty() { "" } else { "/" };
        let attributes = [
            ("architecture", architecture),
            ("component", component),
            ("control", &self.control),
            ("origin", &release.origin),
            ("suite", &source.suite),
        ];
        Planned {
            ecosystem: "apt".to_owned(),
            repository: source.repository.clone(),
            name: self.name,
            version: self.version,
            qualifier: format!("{architecture};{}{slash}{component}", source.suite),
            schema: SCHEMA.to_owned(),
            attributes: attributes.map(|(name, value)| (name.to_owned(), value.into())).into(),
            files,
            requires: Vec::new(),
            requests: Vec::new(),
        }
    }
}

/// What a package needs, for whoever asks why another is carried: each alternative by itself.
fn requires(stanza: &Stanza<'_>) -> Vec<Requirement> {
    let mut all = Vec::new();
    for (field, kind) in [("Pre-Depends", "runtime"), ("Depends", "runtime"), ("Recommends", "recommends")] {
        let field = stanza.text(field).unwrap_or_default();
        all.extend(relation::alternatives(field).flatten().map(|one| Requirement {
            name: one.name.split(':').next().unwrap_or_default().to_owned(),
            range: format!("{} {}", one.operator.sign(), one.version).trim().to_owned(),
            kind: kind.to_owned(),
        }));
    }
    all.sort();
    all.dedup();
    all
}

fn gap(stanza: &Stanza<'_>, suite: &Suite, why: &str) -> Gap {
    let shown = |name: &str| -> String {
        let text = String::from_utf8_lossy(stanza.field(name).unwrap_or_default()).into_owned();
        text.chars().take(100).collect::<String>().escape_debug().to_string()
    };
    let (name, what) = (shown("Package"), suite.source.suite_of_repository());
    let detail = format!("the package {name:?} of {what} {why}");
    Gap {
        ecosystem: "apt".to_owned(),
        name,
        version: shown("Version"),
        reason: "malformed".to_owned(),
        detail,
    }
}

/// A path below the archive's address, such as `pool/main/h/hello/hello_2.10-3_amd64.deb`.
///
/// # Errors
/// If it leads elsewhere, or has what no path has.
pub(super) fn path_of(text: &str) -> Result<String, String> {
    let path = text.strip_prefix("./").unwrap_or(text);
    let is_good = |segment: &str| !matches!(segment, "" | "." | "..");
    let is_plain = |c: char| !c.is_control() && c != '\\';
    if path.len() > 4096 || !path.chars().all(is_plain) || !path.split('/').all(is_good) {
        let shown: String = text.chars().take(100).collect();
        return Err(format!("has a file name that leads elsewhere: {shown:?}"));
    }
    Ok(path.to_owned())
}

pub(super) fn is_word(text: &str) -> bool {
    !text.is_empty() && text.chars().all(|c| c.is_ascii_alphanumeric() || c == '-')
}

fn digest(algorithm: Algorithm, hex: &str) -> Result<Digest, String> {
    let text = format!("{}:{}", algorithm.name(), hex.to_ascii_lowercase());
    text.parse().map_err(|_| format!("has a checksum that is malformed: {}", hex.escape_debug()))
}

/// The one checksum that names a blob.
fn key_of(checksums: &[Digest]) -> Option<BlobKey> {
    checksums.iter().find_map(Digest::blob_key)
}

/// What a file of a source package is (dsc(5)).
fn role_of(name: &str) -> &'static str {
    match () {
        () if name.ends_with(".dsc") => "dsc",
        () if name.ends_with(".asc") => "signature",
        () if name.contains(".debian.tar.") || name.ends_with(".diff.gz") => "debian",
        () if name.contains(".orig-") => "component",
        () if name.contains(".orig.tar.") => "orig",
        () => "native",
    }
}

#[cfg(test)]
#[path = "record_tests.rs"]
mod tests;
