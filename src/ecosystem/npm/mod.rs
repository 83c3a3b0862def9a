//! npm: lockfiles in, a registry out.

mod admit;
#[cfg(test)]
mod fake;
#[cfg(test)]
mod fake_store;
mod integrity;
mod lock_graph;
mod lockfile;
pub(crate) mod names;
mod npmrc;
mod origin;
mod packument;
mod platform;
mod prove;
mod range;
mod search;
mod serve;
mod setup;
pub(crate) mod spec;
mod splice;
mod tarball_name;
pub(crate) mod version;
mod version_object;

use bundle_format::Artifact;

use super::{Admit, Ecosystem, Serve, Setup};

/// The schema of npm's artifacts.
const SCHEMA: &str = "npm/1";

/// The npm ecosystem.
pub(super) struct Npm;

impl Ecosystem for Npm {
    fn name(&self) -> &'static str {
        "npm"
    }

    fn schema(&self) -> &'static str {
        SCHEMA
    }

    fn purl(&self, artifact: &Artifact) -> String {
        let name = artifact.name.replacen('@', "%40", 1);
        format!("pkg:npm/{name}@{}", artifact.version)
    }

    fn admit(&self) -> Option<&dyn Admit> {
        Some(&admit::NpmAdmit)
    }

    fn serve(&self) -> Option<&dyn Serve> {
        Some(&serve::NpmServe)
    }

    fn setup(&self) -> &[&dyn Setup] {
        &[&setup::NpmSetup]
    }
}
