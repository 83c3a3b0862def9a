//! The way to each registry: its address, and what lets one in.

use std::collections::HashMap;

use async_trait::async_trait;
use tokio::sync::Mutex;
use url::Url;

use super::reference::{DOCKER, Name, check_registry};
use crate::ecosystem::{CollectContext, Upstreams};
use crate::net::Access;
use crate::problem::{Kind, Problem};

/// The registries as this machine knows them.
pub(crate) struct Registries {
    /// What the installed client takes for the registry of names without a host.
    docker: Option<Url>,
    /// The addresses that were found out.
    known: Mutex<HashMap<String, Url>>,
}

impl Registries {
    /// Learns what is configured.
    ///
    /// # Errors
    /// If a configuration cannot be read.
    pub(crate) async fn load(context: &dyn CollectContext) -> Result<Registries, Problem> {
        let answer =
            context.ask_client("docker", &["info", "--format", "{{.IndexServerAddress}}"], false).await;
        let docker = answer.and_then(|answer| Url::parse(answer.trim()).ok()).and_then(|mut url| {
            url.set_path("/");
            (url.scheme() == "https").then_some(url)
        });
        Ok(Registries { docker, known: Mutex::default() })
    }

    /// The address of a registry, ending in a slash.
    ///
    /// # Errors
    /// If nobody says where docker's own is.
    pub(crate) async fn address(&self, registry: &str, context: &dyn CollectContext) -> Result<Url, Problem> {
        // Held while it is found out: whoever wants the same meanwhile waits for it.
        let mut known = self.known.lock().await;
        if let Some(address) = known.get(registry) {
            return Ok(address.clone());
        }
        let address = self.find_out(registry, context).await?;
        known.insert(registry.to_owned(), address.clone());
        Ok(address)
    }

    async fn find_out(&self, registry: &str, context: &dyn CollectContext) -> Result<Url, Problem> {
        if registry == DOCKER {
            return self.docker.clone().ok_or_else(|| {
                let message = format!(
                    "where {DOCKER} is to be found is for docker to say, and no docker engine answers"
                );
                Problem::new(Kind::Usage, "oci.no-registry", message)
                    .hint("start docker, or name the image with the host of a registry that has it")
            });
        }
        let bad = |why: String| Problem::new(Kind::Usage, "oci.bad-registry", why);
        check_registry(registry).map_err(bad)?;
        let address = |scheme: &str| {
            Url::parse(&format!("{scheme}://{registry}/"))
                .map_err(|error| bad(format!("{registry}: {error}")))
        };
        let plain = address("http")?;
        let ping = plain.join("v2/").map_err(|error| bad(format!("{registry}: {error}")))?;
        if context.speaks_plain_http(&ping).await { Ok(plain) } else { address("https") }
    }

    /// What lets one in at a path below `/v2/` of a repository.
    ///
    /// # Errors
    /// As [`Registries::address`].
    pub(crate) async fn access(
        &self,
        name: &Name,
        below: &str,
        context: &dyn CollectContext,
    ) -> Result<Access, Problem> {
        let address = self.address(&name.registry, context).await?;
        let url = address.join(&format!("v2/{}/{below}", name.path)).map_err(|error| {
            Problem::new(Kind::Failed, "oci.bad-address", format!("{name} has no address")).caused_by(&error)
        })?;
        Ok(Access::open(url))
    }
}

#[async_trait]
impl Upstreams for Registries {
    async fn access(
        &self,
        repository: &str,
        origin: &str,
        context: &dyn CollectContext,
    ) -> Result<Access, Problem> {
        let wrong = || {
            let message = format!("{origin:?} is not the place of a blob at {repository}");
            Problem::new(Kind::Failed, "oci.bad-origin", message)
        };
        let (path, digest) = origin.split_once("/blobs/").ok_or_else(wrong)?;
        super::reference::check_path(path).map_err(|why| wrong().because(why))?;
        super::reference::read_digest(digest).map_err(|why| wrong().because(why))?;
        let name = Name { registry: repository.to_owned(), path: path.to_owned() };
        Registries::access(self, &name, &format!("blobs/{digest}"), context).await
    }
}
