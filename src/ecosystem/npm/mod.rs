//! npm: lockfiles in, a registry out.

mod range;
pub(crate) mod version;

use bundle_format::Artifact;

use super::Ecosystem;

/// The npm ecosystem.
pub(super) struct Npm;

impl Ecosystem for Npm {
    fn name(&self) -> &'static str {
        "npm"
    }

    fn schema(&self) -> &'static str {
        "npm/1"
    }

    fn purl(&self, artifact: &Artifact) -> String {
        let name = artifact.name.replacen('@', "%40", 1);
        format!("pkg:npm/{name}@{}", artifact.version)
    }
}
