//! Debian packages, as apt finds, chooses and trusts them.
//!
//! An artifact is a binary package of one suite and component; what proves where it came from is an artifact too: the
//! suite's `InRelease`, with the indices that it vouches for.

mod admit;
mod bootstrap;
mod choose;
mod collect;
mod credentials;
mod deb;
mod deb822;
mod edition;
#[cfg(test)]
mod fake;
mod index;
mod keys;
mod leading;
mod machine;
mod options;
mod preferences;
mod proof;
mod prove;
mod push;
mod record;
mod relation;
mod release;
mod request;
mod resolve;
mod serve;
mod setup;
mod solve;
mod source;
mod sources;
mod status;
mod suites;
mod systems;
mod task;
mod universe;
mod unpacked;
mod version;

use bundle_format::Artifact;
use serde_json::Value;

use super::{Admit, Collect, Ecosystem, Materialise, Serve, Setup};

/// The schema of packages' artifacts.
const SCHEMA: &str = "apt/1";
/// The schema of what proves a suite.
const EVIDENCE: &str = "apt-release/1";

/// The ecosystem of Debian packages.
pub(super) struct Apt;

impl Ecosystem for Apt {
    fn name(&self) -> &'static str {
        "apt"
    }

    fn words(&self) -> &'static [&'static str] {
        &["apt"]
    }

    fn schema(&self) -> &'static str {
        SCHEMA
    }

    /// Archives that were built from the same sources call packages alike, and each has built them by itself.
    fn repositories_stand_apart(&self) -> bool {
        true
    }

    fn purl(&self, artifact: &Artifact) -> String {
        let attribute = |name| artifact.attributes.get(name).and_then(Value::as_str).unwrap_or_default();
        let origin = attribute("origin").to_ascii_lowercase();
        let vendor = if origin.is_empty() { artifact.repository.clone() } else { origin.replace(' ', "-") };
        let mut purl = format!("pkg:deb/{}/{}", escaped(&vendor), escaped(&artifact.name));
        purl.push_str(&format!("@{}", escaped(&artifact.version)));
        let (architecture, suite) = (attribute("architecture"), attribute("suite"));
        if artifact.schema == SCHEMA {
            purl.push_str(&format!("?arch={}&distro={}", escaped(architecture), escaped(suite)));
        }
        purl
    }

    fn is_metadata_only(&self, artifact: &Artifact) -> bool {
        artifact.schema == EVIDENCE
    }

    fn is_proof(&self, schema: &str) -> bool {
        schema == EVIDENCE
    }

    fn proved_by(&self, artifact: &Artifact) -> Option<String> {
        let suite = artifact.attributes.get("suite").and_then(Value::as_str)?;
        (artifact.schema == SCHEMA).then(|| source::evidence_name_of(suite))
    }

    fn proof(&self, artifact: &Artifact) -> Option<String> {
        (artifact.schema == EVIDENCE).then(|| record::shown_evidence(artifact))
    }

    fn collect(&self) -> Option<&dyn Collect> {
        Some(&collect::AptCollect)
    }

    fn knows(&self, schema: &str) -> bool {
        matches!(schema, SCHEMA | EVIDENCE)
    }

    fn admit(&self) -> Option<&dyn Admit> {
        Some(&admit::AptAdmit)
    }

    fn serve(&self) -> Option<&dyn Serve> {
        Some(&serve::AptServe)
    }

    fn materialise(&self) -> Option<&dyn Materialise> {
        Some(&edition::AptMaterialise)
    }

    fn push(&self) -> Option<&dyn super::push::Push> {
        Some(self)
    }

    fn setup(&self) -> &[&dyn Setup] {
        setup::CLIENTS
    }

    fn request_for(&self, _repository: &str, name: &str, version: &str) -> Option<String> {
        let version = if version.is_empty() { String::new() } else { format!("={version}") };
        request::is_name(name).then(|| format!("apt:{name}{version}"))
    }
}

/// As a package URL writes it.
fn escaped(text: &str) -> String {
    use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
    const ESCAPED: &AsciiSet =
        &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~').remove(b':');
    utf8_percent_encode(text, ESCAPED).to_string()
}
