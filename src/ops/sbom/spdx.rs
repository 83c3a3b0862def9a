//! SPDX 2.3 in JSON.

use bundle_format::{Artifact, Digest};
use serde::Serialize;

use super::{address, algorithm, expression, identifier, uuid};
use crate::ops::inspect::Inspected;
use crate::ops::records::{Named, ShownList};

/// What stands where nothing is said.
const NOTHING_SAID: &str = "NOASSERTION";
/// The document itself.
const DOCUMENT: &str = "SPDXRef-DOCUMENT";

/// A document of SPDX.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Spdx {
    spdx_version: &'static str,
    data_license: &'static str,
    #[serde(rename = "SPDXID")]
    id: &'static str,
    name: String,
    document_namespace: String,
    creation_info: CreationInfo,
    packages: ShownList<Artifact, Package>,
    relationships: ShownList<Artifact, Relationship>,
}

#[derive(Debug, Clone, Serialize)]
struct CreationInfo {
    created: String,
    creators: [String; 1],
}

/// A package.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
struct Package {
    #[serde(rename = "SPDXID")]
    id: String,
    name: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    version_info: String,
    download_location: String,
    files_analyzed: bool,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    checksums: Vec<Checksum>,
    license_concluded: &'static str,
    license_declared: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    license_comments: Option<String>,
    copyright_text: &'static str,
    external_refs: [ExternalRef; 1],
}

#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
struct Checksum {
    algorithm: String,
    checksum_value: String,
}

#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
struct ExternalRef {
    reference_category: &'static str,
    reference_type: &'static str,
    reference_locator: String,
}

/// That the document is about a package.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
struct Relationship {
    spdx_element_id: &'static str,
    relationship_type: &'static str,
    related_spdx_element: String,
}

/// What a bundle lists, as SPDX has it.
pub fn spdx(bundle: &Inspected) -> Spdx {
    let which = &bundle.which;
    Spdx {
        spdx_version: "SPDX-2.3",
        data_license: "CC0-1.0",
        id: DOCUMENT,
        name: format!("{}-{}.{}", which.channel, which.epoch, which.sequence),
        document_namespace: format!("urn:uuid:{}", uuid(&which.snapshot)),
        creation_info: CreationInfo {
            created: bundle.created.clone(),
            creators: [format!("Tool: aftk-{}", env!("CARGO_PKG_VERSION"))],
        },
        packages: bundle.artifacts.shown_as(package),
        relationships: bundle.artifacts.shown_as(|artifact| Relationship {
            spdx_element_id: DOCUMENT,
            relationship_type: "DESCRIBES",
            related_spdx_element: element(&artifact),
        }),
    }
}

fn element(artifact: &Artifact) -> String {
    format!("SPDXRef-{}", identifier(artifact))
}

fn package(artifact: Artifact) -> Package {
    let named = Named::of(&artifact);
    let declared = named.licence.as_deref().and_then(expression);
    // What clients ask for is the package itself, if it is one file.
    let mut asked = artifact.files.iter().filter(|file| !file.path.is_empty());
    let one = match (asked.next(), asked.next()) {
        (Some(file), None) => Some(file),
        _ => None,
    };
    let mut checksums: Vec<Checksum> = Vec::new();
    for digest in
        one.iter().flat_map(|file| [Digest::from(file.blob)].into_iter().chain(file.checksums.clone()))
    {
        let algorithm = algorithm(digest.algorithm()).replace('-', "");
        if !checksums.iter().any(|known| known.algorithm == algorithm) {
            checksums.push(Checksum { algorithm, checksum_value: digest.hex() });
        }
    }
    let origin = one.and_then(|file| address(&file.origin)).unwrap_or(NOTHING_SAID).to_owned();
    Package {
        id: element(&artifact),
        version_info: artifact.version,
        download_location: origin,
        files_analyzed: false,
        checksums,
        license_concluded: NOTHING_SAID,
        license_declared: declared.unwrap_or(NOTHING_SAID).to_owned(),
        license_comments: named
            .licence
            .as_ref()
            .filter(|_| declared.is_none())
            .map(|licence| format!("upstream says: {licence}")),
        copyright_text: NOTHING_SAID,
        external_refs: [ExternalRef {
            reference_category: "PACKAGE-MANAGER",
            reference_type: "purl",
            reference_locator: named.purl,
        }],
        name: artifact.name,
    }
}
