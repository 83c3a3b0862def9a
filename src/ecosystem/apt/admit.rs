//! What a package must be before it is shown: its record says what its stanza says, and nothing leads elsewhere.
//!
//! Clients are given the stanza as it is, so it is what everything else is held against. Whether upstream ever published
//! it is another question: see `proof`.

use std::collections::BTreeMap;

use bundle_format::{Artifact, BlobKey, Digest, File, Ref};
use bytes::Bytes;
use jiff::Timestamp;
use serde_json::Value;

use super::deb822::Stanza;
use super::proof::Proving;
use super::record::{is_word, path_of};
use super::request::is_name;
use super::source::is_path;
use super::{EVIDENCE, SCHEMA};
use crate::ecosystem::{Admit, AdmitContext, Together};
use crate::problem::{Kind, Problem};

/// Re-validates packages and what proves them.
pub(super) struct AptAdmit;

impl Admit for AptAdmit {
    fn admit(
        &self,
        artifact: &Artifact,
        _read: &mut dyn FnMut(&BlobKey) -> Result<Bytes, Problem>,
    ) -> Result<(), Problem> {
        check(artifact).map_err(|why| untrusted(artifact, &why))
    }

    fn admit_ref(&self, reference: &Ref) -> Result<(), Problem> {
        let name = reference.name.escape_debug();
        Err(Problem::new(Kind::Untrusted, "apt.refused-ref", format!("packages have no tags: {name}")))
    }

    fn together<'a>(&self, context: &'a dyn AdmitContext) -> Result<Option<Box<dyn Together + 'a>>, Problem> {
        Ok(Some(Box::new(Proving::begin(context)?)))
    }
}

fn check(artifact: &Artifact) -> Result<(), String> {
    if !is_repository(&artifact.repository) {
        return Err("its repository has a name that none has".to_owned());
    }
    match artifact.schema.as_str() {
        SCHEMA => check_package(artifact),
        EVIDENCE => check_evidence(artifact),
        _ => Err("its schema is another".to_owned()),
    }
}

/// A name that stands in addresses as it is.
fn is_repository(name: &str) -> bool {
    let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_');
    !name.is_empty() && !name.starts_with('.') && name.chars().all(allowed)
}

fn check_package(artifact: &Artifact) -> Result<(), String> {
    let text = |name: &str| {
        let value = artifact.attributes.get(name).and_then(Value::as_str);
        value.ok_or_else(|| format!("it does not say its {name}"))
    };
    let (architecture, suite, component) = (text("architecture")?, text("suite")?, text("component")?);
    if !is_path(suite) || suite.ends_with('/') != component.is_empty() {
        return Err("its suite or component is none".to_owned());
    }
    if !component.is_empty() && (!is_path(component) || component.ends_with('/')) {
        return Err("its component is none".to_owned());
    }
    let slash = if component.is_empty() { "" } else { "/" };
    if !is_word(architecture) || artifact.qualifier != format!("{architecture};{suite}{slash}{component}") {
        return Err("its qualifier is that of another one".to_owned());
    }
    if !is_name(&artifact.name) {
        return Err("it has a name that no package has".to_owned());
    }
    let control = text("control")?;
    let stanza = Stanza::only(control.as_bytes());
    if stanza.raw.len() != control.len() {
        return Err("its control data is not one stanza".to_owned());
    }
    if let Some(defect) = stanza.defect() {
        return Err(format!("its control data cannot be relied on: {defect}"));
    }
    must_say(&stanza, "Package", &artifact.name)?;
    must_say(&stanza, "Version", &artifact.version)?;
    if architecture == "source" {
        check_source(artifact, &stanza)
    } else {
        check_binary(artifact, architecture, &stanza)
    }
}

fn must_say(stanza: &Stanza<'_>, name: &str, value: &str) -> Result<(), String> {
    match stanza.text(name) {
        Some(said) if said == value => Ok(()),
        _ => Err(format!("its control data has another {name}")),
    }
}

fn check_binary(artifact: &Artifact, architecture: &str, stanza: &Stanza<'_>) -> Result<(), String> {
    must_say(stanza, "Architecture", architecture)?;
    let [file] = artifact.files.as_slice() else { return Err("it is not exactly one file".to_owned()) };
    if file.role != "package" || path_of(stanza.text("Filename").unwrap_or_default())? != file.path {
        return Err("its file has another role or path".to_owned());
    }
    must_say(stanza, "Size", &file.size.to_string())?;
    for (field, algorithm) in [("SHA256", "sha256"), ("SHA1", "sha1"), ("SHA512", "sha512")] {
        if let Some(hex) = stanza.text(field) {
            must_have(file, algorithm, hex)?;
        }
    }
    if stanza.text("SHA256").or(stanza.text("SHA512")).is_none() {
        return Err("its control data has neither SHA256 nor SHA512".to_owned());
    }
    Ok(())
}

/// The caller has compared the checksums that a file lists with its bytes, so it has to list them.
fn must_have(file: &File, algorithm: &str, hex: &str) -> Result<(), String> {
    let digest: Digest = format!("{algorithm}:{}", hex.to_ascii_lowercase())
        .parse()
        .map_err(|_| format!("its {algorithm} is malformed"))?;
    let is_blob = digest.blob_key().is_none_or(|key| key == file.blob);
    let is_there = digest.blob_key().is_some() || file.checksums.contains(&digest);
    if is_blob && is_there {
        Ok(())
    } else {
        Err(format!("its file has another {algorithm} than its control data says"))
    }
}

fn check_source(artifact: &Artifact, stanza: &Stanza<'_>) -> Result<(), String> {
    let directory = stanza.text("Directory").ok_or("its control data has no Directory")?;
    let listed = stanza.text("Checksums-Sha256").ok_or("its control data has no Checksums-Sha256")?;
    let mut left: BTreeMap<&str, &File> =
        artifact.files.iter().map(|file| (file.path.as_str(), file)).collect();
    for line in listed.lines().filter(|line| !line.trim().is_empty()) {
        let words: Vec<&str> = line.split_whitespace().collect();
        let [hex, size, name] = words[..] else {
            return Err("its control data lists a file that is none".to_owned());
        };
        let path = path_of(&format!("{directory}/{name}"))?;
        let file = left.remove(path.as_str()).ok_or_else(|| format!("its file {name:?} is missing"))?;
        if size != file.size.to_string() {
            return Err("a file of it has another size than its control data says".to_owned());
        }
        must_have(file, "sha256", hex)?;
    }
    if artifact.files.is_empty() || !left.is_empty() {
        return Err("it has other files than its control data".to_owned());
    }
    Ok(())
}

fn check_evidence(artifact: &Artifact) -> Result<(), String> {
    let is_suite = artifact.name == "." || is_path(&artifact.name);
    if !is_suite || !artifact.qualifier.is_empty() || artifact.version.parse::<Timestamp>().is_err() {
        return Err("it is the Release of no suite".to_owned());
    }
    let names =
        artifact.attributes.get("files").and_then(Value::as_object).ok_or("it does not name its files")?;
    let roles: Vec<&str> = artifact.files.iter().map(|file| file.role.as_str()).collect();
    let documents = roles.iter().copied().filter(|role| *role != "index").collect::<Vec<_>>();
    if !matches!(documents[..], ["inrelease"] | ["release"] | ["release", "signature"]) {
        return Err("it has not one Release".to_owned());
    }
    let named = |key: &BlobKey| names.values().any(|value| value.as_str() == Some(&key.to_string()));
    if names.len() < documents.len()
        || artifact.files.iter().any(|file| !file.path.is_empty() || !named(&file.blob))
    {
        return Err("a file of it has no name, or a path that clients ask for".to_owned());
    }
    Ok(())
}

pub(super) fn untrusted(artifact: &Artifact, why: &str) -> Problem {
    // Names are not known to be harmless to a terminal yet.
    let shown = |text: &str| text.chars().take(256).collect::<String>().escape_debug().to_string();
    let place =
        format!("{} {} ({})", shown(&artifact.name), shown(&artifact.version), shown(&artifact.qualifier));
    Problem::new(Kind::Untrusted, "apt.refused-artifact", "a package of the bundle is not acceptable")
        .because(format!("{place}: {}", why.escape_debug()))
        .hint("collect it again outside with a current aftk")
}

#[cfg(test)]
#[path = "admit_tests.rs"]
mod tests;
