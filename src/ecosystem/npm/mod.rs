//! npm: lockfiles in, a registry out.
//!
//! Collecting: [`request`] reads a request, [`lock`] the lockfile, [`wanted`] what it asks for. [`resolve`] turns that into artifacts: [`closure`] follows what leads further, [`fetch`] asks for
//! a package, with [`cuttings`] from registry documents ([`version_object`]), and [`found`] gathers what came of it.
//! [`prove`] checks that it is enough, and [`install`] has npm install it. [`texts`] and [`held`] keep hundreds of thousands of names and versions in
//! little memory. [`range`], [`version`] and [`spec`] read what npm compares; [`npmrc`], [`origin`]
//! and [`network`] know where packages come from, and on which way.
//!
//! Inside: [`admit`] checks what a bundle brings, [`serve`] is the registry, with [`packument`] for its documents, in
//! which [`splice`] puts the mirror's own addresses; [`setup`] points clients at it. [`host`] lets clients publish packages of
//! their own: [`publish`] takes a version in, whose [`tarball`] has to be what its document says, [`revise`] changes what is
//! said of it, both in packuments as clients [`written`] them, and [`hosted`] knows which names are hosted here.

mod admit;
mod closure;
#[cfg(test)]
mod collect_tests;
mod cuttings;
#[cfg(test)]
mod fake;
#[cfg(test)]
mod fake_store;
mod fetch;
mod found;
mod held;
mod host;
mod hosted;
mod install;
mod integrity;
mod lock;
mod names;
mod network;
mod npmrc;
mod origin;
mod packument;
mod platform;
mod prove;
mod publish;
mod range;
mod request;
mod resolve;
mod revise;
mod search;
mod serve;
mod setup;
mod spec;
mod splice;
mod tarball;
mod tarball_name;
mod texts;
mod version;
mod version_object;
mod wanted;
mod written;

use async_trait::async_trait;
use bundle_format::Artifact;

use super::{
    Admit, Collect, CollectContext, Ecosystem, Gathered, Proof, Request, Resolution, Serve, Setup, Upstreams,
};
use crate::net::Access;
use crate::problem::{Kind, Problem};

/// The schema of npm's artifacts.
const SCHEMA: &str = "npm/1";

/// The npm ecosystem.
pub(super) struct Npm;

impl Ecosystem for Npm {
    fn name(&self) -> &'static str {
        "npm"
    }

    fn words(&self) -> &'static [&'static str] {
        &["npm"]
    }

    fn schema(&self) -> &'static str {
        SCHEMA
    }

    fn is_lockfile(&self, file_name: &str) -> bool {
        lock::is_lockfile(file_name)
    }

    fn purl(&self, artifact: &Artifact) -> String {
        let name = artifact.name.replacen('@', "%40", 1);
        format!("pkg:npm/{name}@{}", artifact.version)
    }

    /// An optional package of a platform that nobody selected.
    fn is_metadata_only(&self, artifact: &Artifact) -> bool {
        !artifact.files.iter().any(|file| file.role == "tarball")
    }

    fn install(&self) -> Option<&dyn super::Install> {
        Some(&install::NpmInstall)
    }

    fn licence<'a>(&self, artifact: &'a Artifact) -> Option<&'a str> {
        artifact.attributes.get("licence")?.as_str()
    }

    fn request_for(&self, _repository: &str, name: &str, version: &str) -> Option<String> {
        let version = if version.is_empty() { String::new() } else { format!("@{version}") };
        Some(format!("npm:{name}{version}"))
    }

    fn collect(&self) -> Option<&dyn Collect> {
        Some(self)
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

#[async_trait]
impl Collect for Npm {
    fn check(&self, _word: &str, what: &str) -> Result<(), Problem> {
        request::check(what)
    }

    async fn parse(&self, _word: &str, what: &str, context: &dyn CollectContext) -> Result<Request, Problem> {
        request::parse(what, context).await
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
        requests: &[Request],
        context: &dyn CollectContext,
    ) -> Result<Box<dyn Upstreams>, Problem> {
        let mut projects = request::projects(requests);
        if projects.is_empty() {
            projects.push(context.directory().to_owned());
        }
        let mut routes = Vec::new();
        for project in projects {
            routes.push(origin::Routes::load(context, &project).await?);
        }
        Ok(Box::new(NpmUpstreams(routes)))
    }

    fn prove(&self, gathered: &Gathered<'_>) -> Result<Proof, Problem> {
        prove::prove(gathered)
    }
}

/// The registries as each project has them configured.
struct NpmUpstreams(Vec<origin::Routes>);

#[async_trait]
impl Upstreams for NpmUpstreams {
    async fn access(
        &self,
        repository: &str,
        origin: &str,
        _context: &dyn CollectContext,
    ) -> Result<Access, Problem> {
        let mut found = None;
        for routes in &self.0 {
            let access = routes.access(repository, origin)?;
            // Of several projects, the one that has a credential for it is the one that means it.
            if access.credential.is_some() {
                return Ok(access);
            }
            found.get_or_insert(access);
        }
        found.ok_or_else(|| {
            let message = "no project says how to reach a registry";
            Problem::new(Kind::Failed, "npm.no-project", message)
        })
    }
}
