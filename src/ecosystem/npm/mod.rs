//! npm: lockfiles, projects and packages by name in, a registry out.
//!
//! Collecting: [`request`] reads a request, [`lock`] the lockfile. Where there is none, [`solve`] finds out which one npm
//! would write, for packages by name or a [`package_json`] with its [`workspaces`]: [`shelf`] looks ahead at what registries
//! have, [`ideal`] builds the tree, for certain [`engines`]. [`wanted`] is what a lockfile asks for. [`resolve`] turns that
//! into artifacts: [`closure`] follows what leads further, [`fetch`] asks for a package, with [`cuttings`] from registries'
//! [`documents`] ([`version_object`]), and [`found`] gathers what came of it. What is in no registry has an [`address`], where the
//! project allows to fetch it ([`remote`]). [`prove`] and [`solve_again`] check that it is
//! enough, and [`install`] has npm install it. [`texts`] and [`held`] keep hundreds of thousands of names and versions in
//! little memory. [`range`], [`version`] and [`spec`] read what npm compares; [`npmrc`], [`origin`]
//! and [`network`] know where packages come from, and on which way.
//!
//! [`signers`] knows which keys a registry signs with ([`keys`]) and holds versions to that ([`signature`]), outside; [`proof`]
//! does inside; [`attestations`] tell who made them. [`advisories`] takes along what is known of weaknesses ([`advisory`], [`osv`], [`osv_archive`]), and [`audit`] answers it.
//!
//! Inside: [`admit`] checks what a bundle brings, [`serve`] is the registry, with [`packument`] for its documents, in
//! which [`splice`] puts the mirror's own addresses; [`setup`] points clients at it. [`host`] lets clients publish packages of
//! their own: [`publish`] takes a version in, whose [`tarball`] has to be what its document says, [`revise`] changes what is
//! said of it, both in packuments as clients [`written`] them, and [`hosted`] knows which names are hosted here. [`login`]
//! lets people sign in for that. [`push`] publishes elsewhere, also what is
//! [`packed`] on this machine; both ways a [`publication`] becomes an artifact.

mod address;
mod admit;
mod advisories;
mod advisory;
#[cfg(test)]
mod advisory_tests;
mod attestations;
mod audit;
#[cfg(test)]
mod audit_tests;
mod closure;
#[cfg(test)]
mod collect_tests;
mod cuttings;
mod documents;
mod engines;
#[cfg(test)]
mod fake;
#[cfg(test)]
mod fake_store;
mod fetch;
mod found;
mod held;
mod host;
mod hosted;
mod ideal;
mod install;
mod integrity;
mod keys;
mod lock;
mod login;
mod names;
mod network;
mod npmrc;
mod options;
mod origin;
mod osv;
mod osv_archive;
mod package_json;
mod packed;
mod packument;
mod platform;
mod proof;
mod prove;
mod publication;
mod publish;
mod push;
mod range;
mod remote;
#[cfg(test)]
mod remote_tests;
mod request;
mod resolve;
mod revise;
mod search;
mod serve;
mod setup;
mod shelf;
mod signature;
mod signers;
#[cfg(test)]
mod signing_tests;
mod solve;
mod solve_again;
#[cfg(test)]
mod solve_tests;
mod spec;
mod splice;
mod tarball;
mod tarball_name;
mod texts;
mod version;
mod version_object;
mod wanted;
mod workspaces;
mod written;

use async_trait::async_trait;
use bundle_format::{Artifact, File};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};

use super::{
    Admit, Collect, CollectContext, Ecosystem, Gathered, Proof, Request, Resolution, Serve, Setup, Upstreams,
};
use crate::net::Access;
use crate::problem::{Kind, Problem};

/// The schema of npm's artifacts.
const SCHEMA: &str = "npm/1";
/// The schema of the keys that a registry signs with.
const KEYS: &str = "npm-keys/1";
/// The schema of what is known of weaknesses of packages.
const ADVISORIES: &str = "npm-advisories/1";

/// The schema of what stands at an address of its own.
const REMOTE: &str = "npm-remote/1";

/// The npm ecosystem.
pub(super) struct Npm;

impl Ecosystem for Npm {
    fn name(&self) -> &'static str {
        "npm"
    }

    fn words(&self) -> &'static [&'static str] {
        &["npm", packed::WORD]
    }

    fn schema(&self) -> &'static str {
        SCHEMA
    }

    fn knows(&self, schema: &str) -> bool {
        matches!(schema, SCHEMA | KEYS | ADVISORIES | REMOTE)
    }

    fn is_lockfile(&self, file_name: &str) -> bool {
        request::is_document(file_name)
    }

    fn that_count<'a>(&self, file_names: &[&'a str]) -> Vec<&'a str> {
        request::first_that_counts(file_names).into_iter().collect()
    }

    fn purl(&self, artifact: &Artifact) -> String {
        let name =
            remote::package(&artifact.name, &artifact.schema, &artifact.attributes).replacen('@', "%40", 1);
        let version =
            if artifact.version.is_empty() { String::new() } else { format!("@{}", artifact.version) };
        let address = match artifact.schema == REMOTE {
            true => format!(
                "?download_url={}",
                utf8_percent_encode(&format!("https://{}", artifact.name), NON_ALPHANUMERIC)
            ),
            false => String::new(),
        };
        format!("pkg:npm/{name}{version}{address}")
    }

    /// An optional package of a platform that nobody selected.
    fn is_metadata_only(&self, artifact: &Artifact) -> bool {
        !artifact.files.iter().any(|file| file.role == "tarball")
    }

    fn install(&self) -> Option<&dyn super::Install> {
        Some(&install::NpmInstall)
    }

    fn is_proof(&self, schema: &str) -> bool {
        schema == KEYS
    }

    fn proved_by(&self, artifact: &Artifact) -> Option<String> {
        artifact.attributes.contains_key(signers::ATTRIBUTE).then(|| keys::PLACE.to_owned())
    }

    fn proof(&self, artifact: &Artifact) -> Option<String> {
        if artifact.schema == KEYS { Some(keys::shown(artifact)) } else { attestations::shown(artifact) }
    }

    fn is_of_its_day(&self, schema: &str) -> bool {
        schema == ADVISORIES
    }

    fn dated(&self) -> Option<&'static str> {
        Some(advisory::PLACE)
    }

    fn as_of<'a>(&self, artifact: &'a Artifact) -> Option<(&'static str, &'a str)> {
        Some(("advisories", advisory::made(artifact)?))
    }

    /// Tarballs, as `npm pack` names them; those of a scope stand in a folder, as two scopes may have packages of one name.
    fn plain_files<'a>(&self, artifact: &'a Artifact) -> Vec<(String, &'a File)> {
        let tarballs = artifact.files.iter().filter(|file| file.role == "tarball");
        let named = tarballs.filter_map(|file| {
            let place = if artifact.schema == REMOTE { &artifact.name } else { &file.path };
            let name = place.rsplit('/').find(|part| !part.is_empty())?;
            let scope = names::scope(&artifact.name).map(|scope| format!("{scope}/")).unwrap_or_default();
            Some((format!("{scope}{name}"), file))
        });
        named.collect()
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

    fn push(&self) -> Option<&dyn super::push::Push> {
        Some(self)
    }

    fn setup(&self) -> &[&dyn Setup] {
        setup::CLIENTS
    }
}

#[async_trait]
impl Collect for Npm {
    fn check(&self, word: &str, what: &str) -> Result<(), Problem> {
        if word == packed::WORD { Ok(()) } else { request::check(what) }
    }

    async fn parse(&self, word: &str, what: &str, context: &dyn CollectContext) -> Result<Request, Problem> {
        if word == packed::WORD {
            return packed::parse(what, context).await;
        }
        request::parse(what, context).await
    }

    async fn resolve(
        &self,
        requests: &[Request],
        platforms: &[String],
        context: &dyn CollectContext,
    ) -> Result<Resolution, Problem> {
        if requests.iter().any(packed::is_packed) {
            return packed::resolve(requests, context).await;
        }
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

    async fn prove_requests(
        &self,
        gathered: &Gathered<'_>,
        requests: &[Request],
        _platforms: &[String],
        context: &dyn CollectContext,
    ) -> Result<(), Problem> {
        solve_again::prove(gathered, requests, context).await
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
