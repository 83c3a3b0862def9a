//! npm: lockfiles in, a registry out.

mod admit;
#[cfg(test)]
mod fake_store;
mod package_name;
mod packument;
mod search;
mod serve;
mod setup;
mod splice;
mod version;

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
