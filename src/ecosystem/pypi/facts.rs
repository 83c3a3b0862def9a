//! What a record says of a release besides its files' bytes: what the index said of each file.

use std::collections::BTreeMap;

use bundle_format::Artifact;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::ecosystem::attested::Attested;

/// The roles of files.
pub(super) const WHEEL: &str = "wheel";
pub(super) const SDIST: &str = "sdist";
/// Core metadata of a file, at its path with [`METADATA_END`] (PEP 658).
pub(super) const METADATA: &str = "metadata";
/// Who published a file, and by what build, at its path with [`PROVENANCE_END`] (PEP 740).
pub(super) const PROVENANCE: &str = "provenance";
/// What stands behind a file's name in the path of its metadata.
pub(super) const METADATA_END: &str = ".metadata";
/// What stands behind a file's name in the path of its provenance.
pub(super) const PROVENANCE_END: &str = ".provenance";

/// The attributes of a release. Others may come from a newer aftk of this schema, and mean nothing here.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Facts {
    /// The project, as it spells itself.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub(super) name: String,
    /// By the name of the file.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub(super) files: BTreeMap<String, FileFacts>,
    /// The state of the project (PEP 792).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) project_status: Option<Status>,
}

/// What the index said of a file.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct FileFacts {
    /// The Pythons that it works with, as written.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) requires_python: Option<String>,
    /// When it was uploaded (RFC 3339, as written).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) upload_time: Option<String>,
    /// Whether it was taken back (PEP 592).
    #[serde(default, skip_serializing_if = "Yanked::is_no")]
    pub(super) yanked: Yanked,
    /// The targets that it is carried for.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(super) targets: Vec<String>,
    /// Who published it, as that was verified outside (PEP 740).
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(super) attested: Vec<Attested>,
    /// How it was made, if whoever collected it did: then nothing of it is upstream's word.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) built: Option<Built>,
}

/// How whoever collects made a wheel.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Built {
    /// The source distribution, by its name.
    pub(super) from: String,
    /// The sha256 of that, in hex.
    pub(super) sha256: String,
    /// By what: `pip 26.3, Python 3.12.4`.
    pub(super) by: String,
    /// What there was to build it with: `setuptools 84.2.1`.
    #[serde(default)]
    pub(super) with: Vec<String>,
}

/// Whether a file was taken back, and why.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub(super) enum Yanked {
    /// Yes or no.
    Is(bool),
    /// Yes, and this is why.
    Because(String),
}

/// The state of a project, and why.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub(super) enum Status {
    /// One of PEP 792's words.
    Word(String),
    /// With what its maintainers say of it.
    Because {
        /// One of PEP 792's words.
        status: String,
        /// Why.
        #[serde(default)]
        reason: Option<String>,
    },
}

impl Default for Yanked {
    fn default() -> Yanked {
        Yanked::Is(false)
    }
}

impl Built {
    /// For people, of the wheel of this name.
    pub(super) fn says(&self, wheel: &str) -> String {
        format!(
            "{wheel} was built by whoever collected it, from {}, by {}, and is not upstream's",
            self.from, self.by
        )
    }
}

impl Yanked {
    /// Whether it was not taken back.
    pub(super) fn is_no(&self) -> bool {
        *self == Yanked::Is(false)
    }
}

impl Status {
    /// The state and why.
    pub(super) fn parts(&self) -> (&str, Option<&str>) {
        match self {
            Status::Word(word) => (word, None),
            Status::Because { status, reason } => (status, reason.as_deref()),
        }
    }
}

impl Facts {
    /// What a record says.
    ///
    /// # Errors
    /// If an attribute is of another kind than it has to be.
    pub(super) fn of(artifact: &Artifact) -> Result<Facts, serde_json::Error> {
        Facts::of_attributes(&artifact.attributes)
    }

    /// The same of a record that is not whole yet.
    ///
    /// # Errors
    /// If an attribute is of another kind than it has to be.
    pub(super) fn of_attributes(attributes: &BTreeMap<String, Value>) -> Result<Facts, serde_json::Error> {
        let members = attributes.iter().map(|(key, value)| (key.as_str(), value));
        Facts::deserialize(serde::de::value::MapDeserializer::new(members))
    }
}
