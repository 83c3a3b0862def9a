//! Images of containers, as OCI registries have them.

#[allow(dead_code, reason = "images are not collected yet")]
mod credential_helper;
#[allow(dead_code, reason = "images are not collected yet")]
mod credentials;
#[cfg(test)]
mod credentials_tests;

use bundle_format::Artifact;

use super::Ecosystem;

/// Images.
pub(crate) struct Oci;

impl Ecosystem for Oci {
    fn name(&self) -> &'static str {
        "oci"
    }

    fn schema(&self) -> &'static str {
        "oci/1"
    }

    fn purl(&self, artifact: &Artifact) -> String {
        format!("pkg:oci/{}", artifact.name)
    }
}
