//! How this machine's clients let themselves in: netrc, what uv finds in the environment, and pip's settings of proxies and
//! certificates. What stands in an index's own address comes before all of that.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::Bytes;
use url::Url;
use zeroize::Zeroizing;

use super::machine::Machine;
use crate::ecosystem::CollectContext;
use crate::ecosystem::netrc::{self, Account};
use crate::net::{Authorities, Credential, Identity, Proxy, Route};
use crate::problem::{Kind, Problem};

/// The largest file of accounts or certificates that is read, in bytes.
const LARGEST: u64 = 16 << 20;

/// The ways to indexes.
#[derive(Default)]
pub(super) struct Ways {
    accounts: Vec<Account>,
    /// What uv finds for indexes that have a name: `UV_INDEX_NAME_USERNAME`.
    variables: Vec<(String, Zeroizing<String>)>,
    route: Arc<Route>,
    /// To hosts whose certificates pip does not check.
    unchecked: Arc<Route>,
    trusted_hosts: Vec<String>,
}

impl Ways {
    /// Reads what the configuration names.
    ///
    /// # Errors
    /// If a file that it names cannot be read.
    pub(super) async fn load(machine: &Machine, context: &dyn CollectContext) -> Result<Ways, Problem> {
        let accounts = accounts(context).await?;
        let mut route = Route::default();
        if let Some(address) = machine.settings.option("proxy") {
            let address = Zeroizing::new(address.to_owned());
            route.proxy = Some(Proxy { address, named_by: "pip's setting proxy".to_owned() });
        }
        if let Some(path) = machine.settings.option("cert") {
            let pem = file(path, "cert", context).await?;
            route.authorities =
                Some(Authorities { pem, alone: true, named_by: "the file of pip's setting cert".to_owned() });
        }
        if let Some(path) = machine.settings.option("client-cert") {
            let pem = Zeroizing::new(file(path, "client-cert", context).await?.to_vec());
            route.identity = Some(Identity { pem, named_by: "pip's setting client-cert".to_owned() });
        }
        let variables = context.environment_with("UV_INDEX_");
        Ok(Ways {
            accounts,
            variables: variables.into_iter().map(|(name, value)| (name, value.into())).collect(),
            unchecked: Arc::new(Route { unchecked: true, ..route.clone() }),
            route: Arc::new(route),
            trusted_hosts: machine.settings.list("trusted-host").map(str::to_owned).collect(),
        })
    }

    /// What lets one in at an address, if netrc says it.
    pub(super) fn credential(&self, url: &Url) -> Option<Credential> {
        self.accounts.iter().find(|account| account.is_for(url)).map(|account| account.credential(url))
    }

    /// What lets one in at an index of that name, as uv has it.
    pub(super) fn of_index(&self, name: &str, base: &Url) -> Option<Credential> {
        let name: String = name
            .chars()
            .map(|one| if one.is_ascii_alphanumeric() { one.to_ascii_uppercase() } else { '_' })
            .collect();
        let variable = |what: &str| {
            let name = format!("UV_INDEX_{name}_{what}");
            self.variables.iter().find(|(found, _)| *found == name).map(|(_, value)| value)
        };
        let (user, password) = (variable("USERNAME"), variable("PASSWORD"));
        if user.is_none() && password.is_none() {
            return None;
        }
        let text = |value: Option<&Zeroizing<String>>| value.cloned().unwrap_or_default();
        Some(Credential::basic(base, &text(user), &text(password)))
    }

    /// The way to an address.
    pub(super) fn route(&self, url: &Url) -> Arc<Route> {
        let host = url.host_str().unwrap_or_default();
        let with_port = format!("{host}:{}", url.port_or_known_default().unwrap_or_default());
        let is_trusted = self.trusted_hosts.iter().any(|trusted| trusted == host || *trusted == with_port);
        if is_trusted { self.unchecked.clone() } else { self.route.clone() }
    }
}

impl std::fmt::Debug for Ways {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Ways").field("route", &self.route).finish_non_exhaustive()
    }
}

/// The accounts of the user's netrc.
///
/// # Errors
/// If it cannot be read.
pub(super) async fn accounts(context: &dyn CollectContext) -> Result<Vec<Account>, Problem> {
    let of_user = context.environment("NETRC").map(PathBuf::from);
    let of_user = of_user.or_else(|| Some(context.home_directory()?.join(".netrc")));
    let Some(path) = of_user else { return Ok(Vec::new()) };
    let Some(bytes) = context.read(&path, LARGEST).await? else { return Ok(Vec::new()) };
    // What is wrong with it is not shown: it has passwords in it.
    let text = std::str::from_utf8(&bytes).map_err(|_| {
        Problem::new(Kind::Usage, "pypi.netrc", "the accounts in netrc are no UTF-8").at(path.display())
    })?;
    Ok(netrc::read(text))
}

async fn file(path: &str, setting: &str, context: &dyn CollectContext) -> Result<Bytes, Problem> {
    context.read(Path::new(path), LARGEST).await?.ok_or_else(|| {
        let message = format!("the file that pip's setting {setting} names is not there");
        Problem::new(Kind::Usage, "pypi.certificate", message).at(path)
    })
}
