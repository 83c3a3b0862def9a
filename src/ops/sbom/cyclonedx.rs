//! CycloneDX 1.6 in JSON.

use bundle_format::{Artifact, Digest, File};
use serde::Serialize;

use super::{address, algorithm, expression, identifier, uuid};
use crate::ecosystem::registry;
use crate::ops::inspect::Inspected;
use crate::ops::records::{Named, ShownList};

/// A document of CycloneDX.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct CycloneDx {
    #[serde(rename = "$schema")]
    schema: &'static str,
    bom_format: &'static str,
    spec_version: &'static str,
    serial_number: String,
    version: u64,
    metadata: Metadata,
    components: ShownList<Artifact, Component>,
}

#[derive(Debug, Clone, Serialize)]
struct Metadata {
    timestamp: String,
    tools: Tools,
    component: Component,
}

#[derive(Debug, Clone, Serialize)]
struct Tools {
    components: [Tool; 1],
}

#[derive(Debug, Clone, Serialize)]
struct Tool {
    #[serde(rename = "type")]
    kind: &'static str,
    name: &'static str,
    version: &'static str,
}

/// A component.
#[derive(Debug, Clone, Default, Serialize)]
#[serde(rename_all = "camelCase")]
struct Component {
    #[serde(rename = "type")]
    kind: &'static str,
    #[serde(rename = "bom-ref", skip_serializing_if = "String::is_empty")]
    reference: String,
    name: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    version: String,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    hashes: Vec<Hash>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    licenses: Vec<Licence>,
    #[serde(skip_serializing_if = "String::is_empty")]
    purl: String,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    external_references: Vec<Reference>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    components: Vec<Component>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    properties: Vec<Property>,
}

#[derive(Debug, Clone, Serialize)]
struct Hash {
    alg: &'static str,
    content: String,
}

#[derive(Debug, Clone, Serialize)]
#[serde(untagged)]
enum Licence {
    Expression { expression: String },
    Named { license: LicenceName },
}

#[derive(Debug, Clone, Serialize)]
struct LicenceName {
    name: String,
}

#[derive(Debug, Clone, Serialize)]
struct Reference {
    #[serde(rename = "type")]
    kind: &'static str,
    url: String,
}

#[derive(Debug, Clone, Serialize)]
struct Property {
    name: &'static str,
    value: String,
}

/// What a bundle lists, as CycloneDX has it.
pub fn cyclonedx(bundle: &Inspected) -> CycloneDx {
    let which = &bundle.which;
    CycloneDx {
        schema: "http://cyclonedx.org/schema/bom-1.6.schema.json",
        bom_format: "CycloneDX",
        spec_version: "1.6",
        serial_number: format!("urn:uuid:{}", uuid(&which.snapshot)),
        version: 1,
        metadata: Metadata {
            timestamp: bundle.created.clone(),
            tools: Tools {
                components: [Tool { kind: "application", name: "aftk", version: env!("CARGO_PKG_VERSION") }],
            },
            component: Component {
                kind: "data",
                reference: which.snapshot.hex(),
                name: which.channel.clone(),
                version: format!("{}.{}", which.epoch, which.sequence),
                properties: vec![property("aftk:snapshot", which.snapshot.to_string())],
                ..Component::default()
            },
        },
        components: bundle.artifacts.shown_as(component),
    }
}

fn property(name: &'static str, value: impl Into<String>) -> Property {
    Property { name, value: value.into() }
}

fn component(artifact: Artifact) -> Component {
    let named = Named::of(&artifact);
    let licence = named.licence.map(|licence| match expression(&licence) {
        Some(_) => Licence::Expression { expression: licence },
        None => Licence::Named { license: LicenceName { name: licence } },
    });
    let mut references: Vec<Reference> = Vec::new();
    for url in artifact.files.iter().filter_map(|file| address(&file.origin)) {
        if !references.iter().any(|known| known.url == url) {
            references.push(Reference { kind: "distribution", url: url.to_owned() });
        }
    }
    // What clients ask for is the artifact itself, if it is one file.
    let mut asked = artifact.files.iter().filter(|file| !file.path.is_empty());
    let hashes = match (asked.next(), asked.next()) {
        (Some(file), None) => hashes(file),
        _ => Vec::new(),
    };
    Component {
        kind: registry::find(&artifact.ecosystem).map_or("data", |found| found.component_type()),
        reference: identifier(&artifact),
        hashes,
        licenses: licence.into_iter().collect(),
        purl: named.purl,
        external_references: references,
        components: artifact.files.iter().map(file).collect(),
        properties: vec![property("aftk:repository", artifact.repository.as_str())],
        name: artifact.name,
        version: artifact.version,
    }
}

fn file(file: &File) -> Component {
    Component {
        kind: "file",
        name: if file.path.is_empty() { file.role.clone() } else { file.path.clone() },
        hashes: hashes(file),
        properties: vec![
            property("aftk:role", file.role.as_str()),
            property("aftk:size", file.size.to_string()),
        ],
        ..Component::default()
    }
}

/// The checksums of a file: ours, and those of upstream.
fn hashes(file: &File) -> Vec<Hash> {
    let mut digests: Vec<Digest> = vec![file.blob.into()];
    digests.extend(file.checksums.iter().filter(|digest| **digest != Digest::from(file.blob)).cloned());
    digests.iter().map(|digest| Hash { alg: algorithm(digest.algorithm()), content: digest.hex() }).collect()
}
