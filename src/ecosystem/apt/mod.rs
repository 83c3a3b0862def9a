//! Debian packages, as apt finds, chooses and trusts them.
//!
//! An artifact is a binary package of one suite and component; what proves where it came from is an artifact too: the
//! suite's `InRelease`, with the indices that it vouches for.

#[allow(dead_code, reason = "what collects is not here yet")]
mod closure;
#[allow(dead_code, reason = "what collects is not here yet")]
mod deb822;
#[allow(dead_code, reason = "what collects is not here yet")]
mod preferences;
#[allow(dead_code, reason = "what collects is not here yet")]
mod relation;
#[allow(dead_code, reason = "what collects is not here yet")]
mod solve;
#[allow(dead_code, reason = "what collects is not here yet")]
mod status;
#[allow(dead_code, reason = "what collects is not here yet")]
mod universe;
#[allow(dead_code, reason = "what collects is not here yet")]
mod version;

use bundle_format::Artifact;

use super::Ecosystem;

/// The schema of packages' artifacts.
const SCHEMA: &str = "apt/1";

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

    fn purl(&self, artifact: &Artifact) -> String {
        format!("pkg:deb/{}/{}@{}", artifact.repository, artifact.name, artifact.version)
    }
}
