//! Images and other artifacts of OCI registries: collected from one, served as one.
//!
//! An artifact is one manifest: its version is the manifest's digest, its name the path of its repository, and the
//! repository of the catalogue is the registry that it is from (`docker.io`, `registry.example.test:5000`). Tags are
//! refs. Its files are the manifest and the blobs that it names, each at the path that clients ask for.
//!
//! [`reference`] reads names as docker does, [`manifest`] what registries hold. Collecting: [`request`] reads a request,
//! [`resolve`] walks from tags to all that belongs to an image, [`registries`] knows the way to each registry.
//! [`record`] is the shape of an artifact, which [`admit`] checks inside and [`serve`] answers from: [`address`] finds out
//! which repository is meant, [`lists`] and [`referrers`] are what is not sent as it came, [`refusal`] the rest.

mod address;
mod admit;
mod lists;
mod manifest;
mod record;
mod reference;
mod referrers;
mod refusal;
mod serve;
mod setup;

use bundle_format::Artifact;

use super::{Admit, Ecosystem, Serve, Setup};

/// The schema of images' artifacts.
const SCHEMA: &str = "oci/1";

/// The ecosystem of OCI registries.
pub(super) struct Oci;

impl Ecosystem for Oci {
    fn name(&self) -> &'static str {
        "oci"
    }

    /// What people write before the name of an image.
    fn aliases(&self) -> &'static [&'static str] {
        &["docker"]
    }

    fn schema(&self) -> &'static str {
        SCHEMA
    }

    /// The purl type says the registry and path of the repository in a qualifier, and only the last part in the name.
    fn purl(&self, artifact: &Artifact) -> String {
        let last = artifact.name.rsplit('/').next().unwrap_or_default();
        let digest = artifact.version.replacen(':', "%3A", 1);
        let registry = artifact.repository.replacen(':', "%3A", 1);
        format!("pkg:oci/{last}@{digest}?repository_url={registry}/{}", artifact.name)
    }

    fn admit(&self) -> Option<&dyn Admit> {
        Some(&admit::OciAdmit)
    }

    fn serve(&self) -> Option<&dyn Serve> {
        Some(&serve::OciServe)
    }

    fn setup(&self) -> &[&dyn Setup] {
        setup::CLIENTS
    }
}
