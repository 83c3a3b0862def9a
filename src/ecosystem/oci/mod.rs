//! Images and other artifacts of OCI registries: collected from one, served as one.
//!
//! An artifact is one manifest: its version is the manifest's digest, its name the path of its repository, and the
//! repository of the catalogue is the registry that it is from (`docker.io`, `registry.example.test:5000`). Tags are
//! refs. Its files are the manifest and the blobs that it names, each at the path that clients ask for.
//!
//! [`reference`] reads names as docker does, [`manifest`] what registries hold, [`record`] is the shape of an artifact.
//!
//! Collecting: [`request`] reads a request, [`image_list`] a list that people have anyway ([`image_yaml`],
//! [`dockerfile`]). [`resolve`] sends a [`walk`] through each repository, from [`tags`] and digests to all that belongs to
//! an image for a [`platform`]; [`found`] gathers what came of it, and [`prove`] checks that it is enough. [`asking`] reads
//! manifests: of registries, to each of which [`registries`] knows the way (by mirrors, where [`registries_conf`] has some) and [`credentials`] who is let in
//! (which [`login`] writes down), or of a [`layout`] of this machine, which may be in an archive ([`archive_files`]) or with
//! docker's engine ([`daemon`]).
//!
//! Inside: [`admit`] checks what a bundle brings, and [`serve`] is the registry: [`address`] finds out which repository is
//! meant, [`lists`] and [`referrers`] are what is not sent as it came, [`refusal`] the rest. [`setup`] points clients at
//! it.
//!
//! Exporting: [`selector`] reads which images are meant, [`export`] finds what the store has of them, and [`to_layout`] or
//! [`to_docker`] says what files that makes. [`bundle_index`] is what other programs find in a bundle of images alone.
//! [`push`] brings what is held into another registry.

mod address;
mod admit;
mod archive_files;
mod asking;
mod bundle_index;
#[cfg(test)]
mod collect_tests;
mod credential_helper;
mod credentials;
#[cfg(test)]
mod credentials_tests;
mod daemon;
mod dockerfile;
mod export;
#[cfg(test)]
mod export_tests;
#[cfg(test)]
mod fake;
mod found;
mod hosting;
mod image_list;
mod image_yaml;
mod layout;
mod lists;
mod login;
mod manifest;
mod manifests;
mod platform;
mod prove;
mod push;
mod record;
mod reference;
mod referrers;
mod refusal;
mod registries;
mod registries_conf;
mod request;
mod resolve;
mod selector;
mod serve;
mod setup;
mod tags;
mod to_docker;
mod to_layout;
mod upload;
mod walk;

use async_trait::async_trait;
use bundle_format::Artifact;

use super::pattern::Pattern;
use super::{
    Admit, ArchiveIndex, Collect, CollectContext, Ecosystem, Export, Gathered, Login, Proof, Request,
    Resolution, Serve, Setup, Upstreams,
};
use crate::problem::Problem;

/// The schema of images' artifacts.
const SCHEMA: &str = "oci/1";

/// The ecosystem of OCI registries.
pub(super) struct Oci;

impl Ecosystem for Oci {
    fn name(&self) -> &'static str {
        "oci"
    }

    /// As other tools have them: images of registries, and what stands on this machine.
    fn words(&self) -> &'static [&'static str] {
        &[
            request::REGISTRY,
            request::LAYOUT,
            request::LAYOUT_ARCHIVE,
            request::DOCKER_ARCHIVE,
            request::DAEMON,
        ]
    }

    fn schema(&self) -> &'static str {
        SCHEMA
    }

    fn is_lockfile(&self, file_name: &str) -> bool {
        image_list::is_list(file_name)
    }

    /// The purl type says the registry and path of the repository in a qualifier, and only the last part in the name.
    fn purl(&self, artifact: &Artifact) -> String {
        let last = artifact.name.rsplit('/').next().unwrap_or_default();
        let digest = artifact.version.replacen(':', "%3A", 1);
        let registry = artifact.repository.replacen(':', "%3A", 1);
        format!("pkg:oci/{last}@{digest}?repository_url={registry}/{}", artifact.name)
    }

    fn component_type(&self) -> &'static str {
        "container"
    }

    fn request_for(&self, repository: &str, name: &str, version: &str) -> Option<String> {
        let what = match version {
            "" => format!("{repository}/{name}"),
            // A tag has no colon in it, a digest has one.
            digest if digest.contains(':') => format!("{repository}/{name}@{digest}"),
            tag => format!("{repository}/{name}:{tag}"),
        };
        Some(format!("docker:{what}"))
    }

    fn collect(&self) -> Option<&dyn Collect> {
        Some(self)
    }

    fn login(&self) -> Option<&dyn Login> {
        Some(self)
    }

    fn push(&self) -> Option<&dyn super::push::Push> {
        Some(self)
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

    fn export(&self) -> Option<&dyn Export> {
        Some(self)
    }

    fn archive_index(&self) -> Option<Box<dyn ArchiveIndex>> {
        Some(Box::new(bundle_index::BundleIndex::default()))
    }

    fn pattern(&self, text: &str) -> Result<Box<dyn Pattern>, Problem> {
        Ok(Box::new(selector::Images::read(text)?))
    }
}

#[async_trait]
impl Collect for Oci {
    fn check(&self, word: &str, what: &str) -> Result<(), Problem> {
        request::check(word, what)
    }

    async fn parse(&self, word: &str, what: &str, context: &dyn CollectContext) -> Result<Request, Problem> {
        request::parse(word, what, context).await
    }

    async fn resolve(
        &self,
        requests: &[Request],
        platforms: &[String],
        context: &dyn CollectContext,
    ) -> Result<Resolution, Problem> {
        resolve::resolve(requests, platforms, context).await
    }

    async fn upstreams(
        &self,
        _requests: &[Request],
        context: &dyn CollectContext,
    ) -> Result<Box<dyn Upstreams>, Problem> {
        Ok(Box::new(registries::Registries::load(context).await?))
    }

    fn prove(&self, gathered: &Gathered<'_>) -> Result<Proof, Problem> {
        prove::prove(gathered)
    }
}
