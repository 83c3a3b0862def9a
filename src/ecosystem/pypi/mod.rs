//! Python packages, as pip and uv find and choose them.
//!
//! An artifact is a release: a project's version, with the wheels and the source distribution that targets need.
//!
//! [`version`] and [`specifier`] compare as PEP 440 does, [`name`] and [`file_name`] read what indexes list.

#[allow(dead_code, reason = "what collects is not here yet")]
mod file_name;
#[allow(dead_code, reason = "what collects is not here yet")]
mod inputs;
#[allow(dead_code, reason = "what collects is not here yet")]
mod marker;
#[allow(dead_code, reason = "what collects is not here yet")]
mod metadata;
#[allow(dead_code, reason = "what collects is not here yet")]
mod name;
#[allow(dead_code, reason = "what collects is not here yet")]
mod release;
#[allow(dead_code, reason = "what collects is not here yet")]
mod requirement;
#[allow(dead_code, reason = "what collects is not here yet")]
mod resolve;
#[allow(dead_code, reason = "what collects is not here yet")]
mod specifier;
#[allow(dead_code, reason = "what collects is not here yet")]
mod tags;
#[allow(dead_code, reason = "what collects is not here yet")]
mod target;
#[allow(dead_code, reason = "what collects is not here yet")]
mod unreadable;
#[allow(dead_code, reason = "what collects is not here yet")]
mod version;

use bundle_format::Artifact;

use super::Ecosystem;

/// The schema of releases' artifacts.
const SCHEMA: &str = "pypi/1";

/// The ecosystem of Python packages.
pub(super) struct Pypi;

impl Ecosystem for Pypi {
    fn name(&self) -> &'static str {
        "pypi"
    }

    fn words(&self) -> &'static [&'static str] {
        &["pypi"]
    }

    fn schema(&self) -> &'static str {
        SCHEMA
    }

    fn purl(&self, artifact: &Artifact) -> String {
        format!("pkg:pypi/{}@{}", artifact.name, artifact.version)
    }
}
