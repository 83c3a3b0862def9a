//! The way to each registry: its address, and what lets one in.

use std::collections::{HashMap, HashSet};
use std::path::Path;
use std::sync::{Arc, PoisonError};

use async_trait::async_trait;
use tokio::sync::Mutex;
use url::Url;
use zeroize::Zeroizing;

use super::asking::unless_it_fails;
use super::credentials::Credentials;
use super::reference::{DOCKER, Name, check_path, check_registry, read_digest};
use super::registries_conf::RegistriesConf;
use crate::ecosystem::{CollectContext, Upstreams};
use crate::net::{Access, Account, Authorities, Credential, Identity, Realm, Route, SignIn};
use crate::problem::{Kind, Problem};

/// Where docker keeps the certificates of registries: a directory for each (docker's "Verify repository client with
/// certificates").
const CERTIFICATES: &str = "/etc/docker/certs.d";
/// The largest certificate that is read, in bytes.
const LARGEST_CERTIFICATE: u64 = 1 << 20;

/// The registries as this machine knows them.
pub(crate) struct Registries {
    /// What the installed client calls the server of names without a host.
    docker: Option<String>,
    credentials: Credentials,
    /// Where tokens are asked for.
    realm: Realm,
    /// Whether user and password are shown from the first request on.
    shows_first: bool,
    configured: RegistriesConf,
    /// What was found out.
    known: Mutex<HashMap<String, Known>>,
    /// Registries that did not answer, where mirrors did.
    silent: std::sync::Mutex<HashSet<String>>,
}

/// What was found out of a registry.
#[derive(Clone)]
struct Known {
    /// Its address, ending in a slash.
    address: Url,
    route: Arc<Route>,
}

impl Registries {
    /// Learns what is configured.
    ///
    /// # Errors
    /// If a configuration cannot be read.
    pub(crate) async fn load(context: &dyn CollectContext) -> Result<Registries, Problem> {
        let docker =
            context.ask_client("docker", &["info", "--format", "{{.IndexServerAddress}}"], false).await;
        let docker = docker.map(|answer| answer.trim().to_owned()).filter(|answer| !answer.is_empty());
        let credentials = Credentials::load(context).await?;
        let configured = RegistriesConf::load(context).await?;
        Ok(Registries {
            docker,
            credentials,
            realm: Realm::default(),
            shows_first: false,
            configured,
            known: Mutex::default(),
            silent: Default::default(),
        })
    }

    /// The same, where signing in is done in another way than the registry asks for.
    #[must_use]
    pub(super) fn signing_in(self, realm: Realm, shows_first: bool) -> Registries {
        Registries { realm, shows_first, ..self }
    }

    async fn known(&self, registry: &str, context: &dyn CollectContext) -> Result<Known, Problem> {
        // Held while it is found out: whoever wants the same meanwhile waits for it.
        let mut known = self.known.lock().await;
        if let Some(known) = known.get(registry) {
            return Ok(known.clone());
        }
        let address = self.find_out(registry, context).await?;
        let route = Arc::new(route(registry, context).await?);
        let found = Known { address, route };
        known.insert(registry.to_owned(), found.clone());
        Ok(found)
    }

    /// What docker calls a registry where it keeps accounts.
    pub(super) fn server(&self, registry: &str) -> String {
        let docker = self.docker.as_ref().filter(|_| registry == DOCKER);
        docker.map_or(registry, String::as_str).to_owned()
    }

    /// The address at which a registry only says that it is one.
    ///
    /// # Errors
    /// If nobody says where docker's own registry is.
    pub(super) async fn ping(&self, registry: &str, context: &dyn CollectContext) -> Result<Access, Problem> {
        let Known { address, route } = self.known(registry, context).await?;
        let url = address.join("v2/").map_err(|error| {
            Problem::new(Kind::Failed, "oci.bad-address", format!("{registry} has no address"))
                .caused_by(&error)
        })?;
        Ok(Access { route, ..Access::open(url) })
    }

    /// The account for a repository, if this machine has one.
    async fn account(&self, name: &Name, context: &dyn CollectContext) -> Result<Option<Account>, Problem> {
        // Docker keeps the account of its own registry under the address that it asks, podman under the name.
        if let (DOCKER, Some(server)) = (name.registry.as_str(), &self.docker)
            && let Some(account) = self.credentials.for_registry(server, &name.path, context).await?
        {
            return Ok(Some(account));
        }
        self.credentials.for_registry(&name.registry, &name.path, context).await
    }

    async fn find_out(&self, registry: &str, context: &dyn CollectContext) -> Result<Url, Problem> {
        if registry == DOCKER {
            let docker = self.docker.as_deref().and_then(|address| Url::parse(address).ok());
            let docker =
                docker.filter(|address| address.scheme() == "https").and_then(|it| it.join("/").ok());
            return docker.ok_or_else(|| {
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

    /// What lets one in at a path beside `/v2/`: user and password are shown without being asked for, as interfaces of
    /// products have it.
    ///
    /// # Errors
    /// As [`Registries::access_for`].
    pub(crate) async fn access_beside(
        &self,
        name: &Name,
        path: &str,
        context: &dyn CollectContext,
    ) -> Result<Access, Problem> {
        let Known { address, route } = self.known(&name.registry, context).await?;
        let url = address.join(path).map_err(|error| {
            Problem::new(Kind::Failed, "oci.bad-address", format!("{name} has no address")).caused_by(&error)
        })?;
        let credential = match self.account(name, context).await? {
            Some(Account::Password { user, password }) => Some(Credential::basic(&url, &user, &password)),
            _ => None,
        };
        Ok(Access { credential, route, ..Access::open(url) })
    }

    /// Whether something else stands in for the registry of a repository on this machine.
    ///
    /// # Errors
    /// As [`Registries::mirrors`].
    pub(super) fn is_elsewhere(&self, name: &Name) -> Result<bool, Problem> {
        Ok(self.configured.places(name, true)?.own != *name)
    }

    /// Whether the registry of a repository did not answer before, where its mirrors do.
    pub(super) fn is_silent(&self, name: &Name) -> bool {
        self.silent.lock().unwrap_or_else(PoisonError::into_inner).contains(&name.registry)
    }

    /// What a registry says that its mirrors, which answer, do not know. A machine that has mirrors may well not reach the
    /// registry: then there is nothing, and it need not be asked again.
    ///
    /// # Errors
    /// If the job was stopped.
    pub(super) fn unless_silent<T>(
        &self,
        name: &Name,
        asked: Result<Option<T>, Problem>,
    ) -> Result<Option<T>, Problem> {
        let answer = unless_it_fails(asked)?;
        if answer.is_none() {
            let mut silent = self.silent.lock().unwrap_or_else(PoisonError::into_inner);
            silent.insert(name.registry.clone());
        }
        Ok(answer.flatten())
    }

    /// What lets one read at a path below `/v2/` of a repository at the mirrors that it has on this machine, in their order:
    /// to be tried before [`Registries::access`].
    ///
    /// # Errors
    /// Refused (6) if the registry is blocked on this machine; if an account cannot be had.
    pub(crate) async fn mirrors(
        &self,
        name: &Name,
        below: &str,
        context: &dyn CollectContext,
    ) -> Result<Vec<Access>, Problem> {
        let mut accesses = Vec::new();
        for mirror in self.configured.places(name, is_by_digest(below))?.mirrors {
            accesses.push(self.access_to_read(&mirror, below, context).await?);
        }
        Ok(accesses)
    }

    /// What lets one read at a path below `/v2/` of a repository, at its own registry or what stands in for it on this
    /// machine.
    ///
    /// # Errors
    /// As [`Registries::mirrors`] and [`Registries::access_for`].
    pub(crate) async fn access(
        &self,
        name: &Name,
        below: &str,
        context: &dyn CollectContext,
    ) -> Result<Access, Problem> {
        let own = self.configured.places(name, is_by_digest(below))?.own;
        self.access_to_read(&own, below, context).await
    }

    async fn access_to_read(
        &self,
        name: &Name,
        below: &str,
        context: &dyn CollectContext,
    ) -> Result<Access, Problem> {
        self.access_for(name, below, format!("repository:{}:pull", name.path), context).await
    }

    /// What lets one in at a path below `/v2/` of a repository, for what `scope` says.
    ///
    /// # Errors
    /// If nobody says where docker's own registry is, or an account cannot be had.
    pub(crate) async fn access_for(
        &self,
        name: &Name,
        below: &str,
        scope: String,
        context: &dyn CollectContext,
    ) -> Result<Access, Problem> {
        let Known { address, route } = self.known(&name.registry, context).await?;
        let url = address.join(&format!("v2/{}/{below}", name.path)).map_err(|error| {
            Problem::new(Kind::Failed, "oci.bad-address", format!("{name} has no address")).caused_by(&error)
        })?;
        let sign_in = SignIn {
            account: self.account(name, context).await?,
            scope,
            remedy: remedy(&name.registry),
            realm: self.realm.clone(),
            shows_first: self.shows_first,
        };
        Ok(Access { sign_in: Some(Arc::new(sign_in)), route, ..Access::open(url) })
    }
}

/// What a person calls to be let in at a registry.
pub(super) fn remedy(registry: &str) -> String {
    format!("`aftk login {registry} --user USER`")
}

/// Whether a path below a repository names something by its digest: no tag has a colon.
fn is_by_digest(below: &str) -> bool {
    below.contains(':')
}

/// The repository and the path below it that the origin of a blob names.
fn place_of_blob(repository: &str, origin: &str) -> Result<(Name, String), Problem> {
    let wrong = || {
        let message = format!("{origin:?} is not the place of a blob at {repository}");
        Problem::new(Kind::Failed, "oci.bad-origin", message)
    };
    let (path, digest) = origin.split_once("/blobs/").ok_or_else(wrong)?;
    check_path(path).map_err(|why| wrong().because(why))?;
    read_digest(digest).map_err(|why| wrong().because(why))?;
    Ok((Name { registry: repository.to_owned(), path: path.to_owned() }, format!("blobs/{digest}")))
}

/// The certificates that docker has for a registry.
async fn route(registry: &str, context: &dyn CollectContext) -> Result<Route, Problem> {
    let directory = Path::new(CERTIFICATES).join(registry);
    let named_by = directory.display().to_string();
    // Of hosts that the user calls insecure docker checks no certificate.
    let mut route = Route { unchecked: true, ..Route::default() };
    if let Some(pem) = context.read(&directory.join("ca.crt"), LARGEST_CERTIFICATE).await? {
        route.authorities = Some(Authorities { pem, alone: false, named_by: named_by.clone() });
    }
    let certificate = context.read(&directory.join("client.cert"), LARGEST_CERTIFICATE).await?;
    let key = context.read(&directory.join("client.key"), LARGEST_CERTIFICATE).await?;
    if let (Some(certificate), Some(key)) = (certificate, key) {
        let pem = Zeroizing::new([certificate.as_ref(), b"\n", key.as_ref()].concat());
        route.identity = Some(Identity { pem, named_by });
    }
    Ok(route)
}

#[async_trait]
impl Upstreams for Registries {
    async fn mirrors(
        &self,
        repository: &str,
        origin: &str,
        context: &dyn CollectContext,
    ) -> Result<Vec<Access>, Problem> {
        let (name, below) = place_of_blob(repository, origin)?;
        Registries::mirrors(self, &name, &below, context).await
    }

    async fn access(
        &self,
        repository: &str,
        origin: &str,
        context: &dyn CollectContext,
    ) -> Result<Access, Problem> {
        let (name, below) = place_of_blob(repository, origin)?;
        Registries::access(self, &name, &below, context).await
    }
}
