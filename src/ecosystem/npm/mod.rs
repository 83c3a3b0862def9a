//! npm: lockfiles in, a registry out.

#[cfg(test)]
mod fake;
mod integrity;
mod lock_graph;
mod lockfile;
pub(crate) mod names;
mod npmrc;
mod origin;
mod platform;
mod prove;
mod range;
pub(crate) mod spec;
pub(crate) mod version;
mod version_object;

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
