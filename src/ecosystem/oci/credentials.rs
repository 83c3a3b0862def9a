//! The accounts that docker and podman keep for registries on this machine.
//!
//! Both keep them in files of one form, and whoever has signed in with either is let in. The files are searched in the
//! order of containers-auth.json(5): the one that `REGISTRY_AUTH_FILE` names, or podman's own for this session;
//! podman's lasting one; docker's. Before them all comes what `DOCKER_AUTH_CONFIG` holds, as docker has it: the text of
//! such a file, of which only the accounts count that stand in it. The first that has an account counts. Within a file a registry's own helper program
//! comes before the helper for all registries, and that before what stands in the file itself.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;
use zeroize::Zeroizing;

use super::credential_helper;
use crate::ecosystem::CollectContext;
use crate::net::Account;
use crate::problem::{Kind, Problem};

/// The largest file that is read, in bytes.
pub(super) const LARGEST: u64 = 1 << 20;
/// The variable that holds accounts.
const VARIABLE: &str = "DOCKER_AUTH_CONFIG";
/// The user by which clients say that what they have is an identity token.
const TOKEN_USER: &str = "<token>";

/// The files with accounts, in the order in which they count.
pub(crate) struct Credentials {
    files: Vec<AuthFile>,
}

/// A file of docker's or podman's.
struct AuthFile {
    path: PathBuf,
    content: Content,
}

#[derive(Deserialize)]
struct Content {
    auths: Option<BTreeMap<String, Entry>>,
    #[serde(rename = "credHelpers")]
    helpers: Option<BTreeMap<String, String>>,
    #[serde(rename = "credsStore")]
    store: Option<String>,
}

/// What a file has for a registry, or for a part of one. Docker Desktop leaves empty ones.
#[derive(Deserialize)]
struct Entry {
    auth: Option<Zeroizing<String>>,
    username: Option<Zeroizing<String>>,
    password: Option<Zeroizing<String>>,
    identitytoken: Option<Zeroizing<String>>,
}

impl Credentials {
    /// Reads the files that docker and podman would read.
    ///
    /// # Errors
    /// If one cannot be read, is larger than 1 MiB, or is not of their form.
    pub(crate) async fn load(context: &dyn CollectContext) -> Result<Credentials, Problem> {
        let mut files = Vec::new();
        if let Some(text) =
            context.environment(VARIABLE).map(Zeroizing::new).filter(|text| !text.trim().is_empty())
        {
            let path = PathBuf::from(VARIABLE);
            let content: Content = serde_json::from_str(&text).map_err(|error| damaged(&path, &error))?;
            files.push(AuthFile { path, content: Content { helpers: None, store: None, ..content } });
        }
        for path in paths(context) {
            if let Some(bytes) = context.read(&path, LARGEST).await?
                && !bytes.trim_ascii().is_empty()
            {
                let content = serde_json::from_slice(&bytes).map_err(|error| damaged(&path, &error))?;
                files.push(AuthFile { path, content });
            }
        }
        Ok(Credentials { files })
    }

    /// The account for a repository of a registry.
    ///
    /// `server` is what clients call the registry: its host, with its port if it has one; or an address, as docker has
    /// one for its default registry. `repository` is the name within it, `library/alpine`.
    ///
    /// # Errors
    /// If what is kept for it cannot be read, or a helper fails.
    pub(crate) async fn for_registry(
        &self,
        server: &str,
        repository: &str,
        context: &dyn CollectContext,
    ) -> Result<Option<Account>, Problem> {
        for file in &self.files {
            if let Some(account) = file.account(server, repository, context).await? {
                return Ok(Some(account));
            }
        }
        Ok(None)
    }
}

/// Where the files are.
fn paths(context: &dyn CollectContext) -> Vec<PathBuf> {
    let directory =
        |name: &str| context.environment(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    let in_home = |path: &str| context.home_directory().map(|home| home.join(path));
    let session = || {
        let user = rustix::process::getuid().as_raw();
        let runtime = directory("XDG_RUNTIME_DIR").map(|directory| directory.join("containers"));
        runtime.unwrap_or_else(|| PathBuf::from(format!("/run/containers/{user}"))).join("auth.json")
    };
    let mut paths = vec![directory("REGISTRY_AUTH_FILE").unwrap_or_else(session)];
    let lasting = directory("XDG_CONFIG_HOME").or_else(|| in_home(".config"));
    paths.extend(lasting.map(|directory| directory.join("containers/auth.json")));
    paths.extend(docker_file(context));
    paths
}

/// Docker's own file.
pub(super) fn docker_file(context: &dyn CollectContext) -> Option<PathBuf> {
    let named = context.environment("DOCKER_CONFIG").filter(|value| !value.is_empty()).map(PathBuf::from);
    let directory = named.or_else(|| context.home_directory().map(|home| home.join(".docker")))?;
    Some(directory.join("config.json"))
}

impl AuthFile {
    async fn account(
        &self,
        server: &str,
        repository: &str,
        context: &dyn CollectContext,
    ) -> Result<Option<Account>, Problem> {
        let host = host(server);
        let own = self.content.helpers.as_ref().and_then(|helpers| {
            let same_host =
                || helpers.iter().find(|(key, _)| whole_registry(key) == Some(host)).map(|(_, name)| name);
            helpers.get(server).or_else(same_host)
        });
        let helper = own.map(|name| (name, true)).or(self.content.store.as_ref().map(|name| (name, false)));
        // An empty name switches off, for one registry, the helper for all.
        if let Some((name, is_own)) = helper.filter(|(name, _)| !name.is_empty()) {
            let account = credential_helper::ask(name, server, &self.path, context).await?;
            if is_own || account.is_some() {
                return Ok(account);
            }
        }
        self.written(server, host, repository)
    }

    /// What stands in the file itself: of the keys that lead to the repository, the longest counts.
    fn written(&self, server: &str, host: &str, repository: &str) -> Result<Option<Account>, Problem> {
        let Some(auths) = &self.content.auths else { return Ok(None) };
        let whole = format!("{host}/{repository}");
        let mut keys = vec![whole.as_str()];
        while let Some((shorter, _)) = keys.last().and_then(|key| key.rsplit_once('/')) {
            keys.push(shorter);
        }
        keys.push(server);
        let exact = keys.into_iter().filter_map(|key| auths.get_key_value(key));
        // Older clients wrote addresses.
        let of_host = auths.iter().filter(|(key, _)| whole_registry(key) == Some(host));
        for (key, entry) in exact.chain(of_host) {
            let account = entry.account().ok_or_else(|| {
                let message = format!("the account for {key} cannot be read");
                Problem::new(Kind::Usage, "oci.bad-account", message)
                    .at(self.path.display())
                    .because("its auth is not a user, a colon and a password, in base64")
                    .hint(format!("sign in again, and it is written anew: `aftk login {host} --user USER`"))
            })?;
            if account.is_some() {
                return Ok(account);
            }
        }
        Ok(None)
    }
}

impl Entry {
    /// `Some(None)` if it has none; `None` if it cannot be read.
    fn account(&self) -> Option<Option<Account>> {
        let given = |text: &Option<Zeroizing<String>>| text.clone().filter(|text| !text.is_empty());
        let (user, password) = match given(&self.auth) {
            None => (given(&self.username), given(&self.password)),
            Some(auth) => {
                let decoded = Zeroizing::new(STANDARD.decode(auth.trim()).ok()?);
                let (user, password) = std::str::from_utf8(&decoded).ok()?.split_once(':')?;
                let owned = |text: &str| Some(Zeroizing::new(text.to_owned()));
                (owned(user), owned(password.trim_matches('\0')))
            }
        };
        let user = user.as_deref().cloned().unwrap_or_default();
        Some(match given(&self.identitytoken) {
            Some(token) => Some(Account::IdentityToken { user, token }),
            None => account(user, password.unwrap_or_default()),
        })
    }
}

/// An account from what stands for user and password; `None` if nothing does.
pub(super) fn account(user: String, secret: Zeroizing<String>) -> Option<Account> {
    if secret.is_empty() {
        None
    } else if user == TOKEN_USER {
        Some(Account::IdentityToken { user: String::new(), token: secret })
    } else {
        Some(Account::Password { user, password: secret })
    }
}

/// The host, with its port, that a key or an address names.
fn host(name: &str) -> &str {
    let (name, _) = without_scheme(name);
    name.split_once('/').map_or(name, |(host, _)| host)
}

/// The host that a key stands for as a whole; `None` if it stands for a part of a registry.
fn whole_registry(key: &str) -> Option<&str> {
    let (name, had_scheme) = without_scheme(key);
    let path = name.split_once('/').map_or("", |(_, path)| path.trim_end_matches('/'));
    (had_scheme || matches!(path, "" | "v1" | "v2")).then(|| host(name))
}

fn without_scheme(name: &str) -> (&str, bool) {
    let rest = name.strip_prefix("https://").or_else(|| name.strip_prefix("http://"));
    (rest.unwrap_or(name), rest.is_some())
}

/// A file that is not what it should be. What the parser says of it may repeat a secret, so it is not printed.
fn damaged(path: &Path, error: &serde_json::Error) -> Problem {
    let why =
        if error.is_data() { "it has something else than docker writes there" } else { "it is no JSON" };
    Problem::new(Kind::Usage, "oci.bad-auth-file", "the file with the accounts for registries cannot be read")
        .at(format!("{}:{}:{}", path.display(), error.line(), error.column()))
        .because(why)
        .hint("mend it, or move it away and sign in again: `aftk login HOST --user USER`")
}
