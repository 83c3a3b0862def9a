//! Serving: the server with a mount for every ecosystem of this build.

use std::path::PathBuf;
use std::sync::Arc;

use super::certificates::{self, CertificateSource};
use super::editions;
use super::impersonation::Impersonation;
use crate::access::{Hosted, Read};
use crate::blocking::blocking;
use crate::cancel::Cancel;
use crate::config::MountRule;
use crate::ecosystem::{Ecosystem, registry};
use crate::events::Events;
use crate::http_server::{Access, AccessLog, Accounts, Mount, Served, Server, ServerSettings};
use crate::problem::{Kind, Problem};
use crate::store::Store;

/// How a store is served.
#[derive(Debug, Clone)]
pub struct ServeRequest {
    /// The addresses to listen on: `address:port`.
    pub listen: Vec<String>,
    /// Where the certificate comes from; without one, there is no TLS.
    pub certificate: Option<CertificateSource>,
    /// Whether whoever asks is answered.
    pub read: Read,
    /// The repositories that clients write into.
    pub hosted: Vec<Hosted>,
    /// Where repositories stand besides their own places.
    pub mounts: Vec<MountRule>,
    /// Whether upstreams are answered for by their own names.
    pub impersonate: bool,
    /// The file of the accounts, which need not be there yet.
    pub accounts: PathBuf,
}

/// Serves a store until it is asked to stop. `ready` is called once with the addresses as clients write them, when they can
/// connect.
///
/// # Errors
/// If an address is not one, or cannot be listened on; if there is no certificate where there should be one; if the
/// accounts cannot be read, or a hosted repository is one of an ecosystem that does not serve.
pub async fn serve(
    store: &Store,
    request: ServeRequest,
    log: Option<AccessLog>,
    events: &Arc<dyn Events>,
    cancel: &Cancel,
    ready: impl FnOnce(Vec<String>),
) -> Result<(), Problem> {
    let ServeRequest { listen, certificate, read, hosted, mounts: rules, impersonate, accounts } = request;
    let access = access(read, hosted, accounts)?;
    let mut addresses = Vec::new();
    for text in &listen {
        addresses.extend(tokio::net::lookup_host(text).await.map_err(|error| {
            Problem::new(Kind::Usage, "serve.listen", "this is not an address to listen on")
                .at(text)
                .caused_by(&error)
                .hint("write address:port, such as 0.0.0.0:2385")
        })?);
    }
    let own = match &certificate {
        Some(CertificateSource::Own { names, .. }) => &names[..],
        _ => &[],
    };
    let mut impersonation = Impersonation::new(store, certificates::all_names(own, &addresses));
    if impersonate {
        impersonation.refresh(&**events).await?;
    }
    let hosts = impersonation.hosts();
    let named: Vec<String> = rules.iter().filter_map(|rule| rule.host.clone()).collect();
    let open = |source: CertificateSource| source.open(&addresses, named, &hosts.borrow(), &**events);
    let certificate = certificate.map(open).transpose()?;
    let tls = certificate.as_ref().map(|(tls, _)| tls.clone());
    let scheme = if tls.is_some() { "https" } else { "http" };
    let settings = ServerSettings { listen: addresses, tls, ..ServerSettings::default() };
    let told = Arc::clone(events);
    let warn = Arc::new(move |code: &str, message: &str| told.warn(code, message.to_owned()));
    let served = Served {
        blobs: Arc::clone(&store.blobs),
        catalogue: Arc::clone(&store.catalogue),
        mounts: mounts(&rules)?,
        upstreams: impersonation.upstreams(),
        ecosystems: registry::ECOSYSTEMS.to_vec(),
        access,
        log,
        warn: Some(warn),
    };
    let server = Server::bind(settings, served)?;
    make_editions(store, events, cancel).await?;
    ready(server.local_addresses().iter().map(|address| format!("{scheme}://{address}/")).collect());
    let fresh = async {
        match certificate {
            Some((tls, certificates)) => certificates.keep_fresh(tls, hosts, &**events).await,
            None => std::future::pending().await,
        }
    };
    let impersonating = async {
        if impersonate {
            impersonation.keep_fresh(Arc::clone(events)).await;
        }
        // Whoever waits for other hosts waits for ever.
        std::future::pending::<()>().await;
    };
    let serving = server.run(cancel.asked());
    tokio::pin!(serving);
    tokio::select! {
        () = &mut serving => {}
        () = fresh => serving.await,
        () = impersonating => {}
        () = editions::keep_fresh(store, Arc::clone(events), cancel) => {}
    }
    Ok(())
}

/// Makes what clients may find from the first moment on. If that fails, the rest is served all the same, unless somebody
/// has to write something else.
async fn make_editions(store: &Store, events: &Arc<dyn Events>, cancel: &Cancel) -> Result<(), Problem> {
    let (store, shared, cancel) = (store.clone(), Arc::clone(events), cancel.clone());
    match blocking(move || editions::refresh(&store, &*shared, &cancel)).await {
        Err(problem) if problem.kind == Kind::Usage => Err(problem),
        Err(problem) => {
            events.warn(&problem.code, problem.to_string());
            Ok(())
        }
        Ok(()) => Ok(()),
    }
}

/// Where everything stands: what each ecosystem has of its own, and what the site says.
fn mounts(rules: &[MountRule]) -> Result<Vec<Mount>, Problem> {
    let mut mounts: Vec<Mount> =
        registry::ECOSYSTEMS.iter().flat_map(|ecosystem| Mount::of(*ecosystem)).collect();
    let taken: Vec<String> =
        mounts.iter().map(|mount| mount.prefix.clone()).chain(["-".to_owned(), "setup".to_owned()]).collect();
    for MountRule { repository, path, host } in rules {
        let wrong = |why: String| {
            let message = format!("the repository {repository:?} cannot be mounted at {path:?}: {why}");
            Problem::new(Kind::Usage, "serve.mount", message).at("site.toml")
        };
        let (ecosystem, name) = repository
            .split_once('/')
            .ok_or_else(|| wrong("write ECOSYSTEM/REPOSITORY, such as apt/debian".to_owned()))?;
        let places = |one: &&&dyn Ecosystem| one.serve().is_some_and(|serve| serve.names_repository_first());
        let mut known = registry::ECOSYSTEMS.iter().filter(places);
        let found = known.find(|one| one.name() == ecosystem);
        let found = found.ok_or_else(|| wrong(format!("{ecosystem} has no repositories by their names")))?;
        let prefix = path.trim_matches('/').to_owned();
        let first = prefix.split('/').next().unwrap_or_default();
        if host.is_none() && (first.is_empty() || taken.iter().any(|taken| taken == first)) {
            return Err(wrong("something else stands there; choose another path, or name a host".to_owned()));
        }
        mounts.push(Mount {
            host: host.clone(),
            prefix,
            repository: Some(name.to_owned()),
            ecosystem: *found,
        });
    }
    Ok(mounts)
}

/// Who may read and write.
fn access(read: Read, hosted: Vec<Hosted>, accounts: PathBuf) -> Result<Access, Problem> {
    let serving = registry::ECOSYSTEMS.iter().filter(|one| one.serve().is_some()).map(|one| one.name());
    if let Some(one) = hosted.iter().find(|one| !serving.clone().any(|name| name == one.ecosystem)) {
        let message =
            format!("the hosted repository {:?} is of {:?}, which is not served", one.name, one.ecosystem);
        let known: Vec<_> = serving.collect();
        return Err(Problem::new(Kind::Usage, "serve.hosted", message)
            .at("site.toml")
            .hint(format!("these ecosystems are served: {}", known.join(", "))));
    }
    Ok(Access { read, hosted, accounts: Some(Arc::new(Accounts::open(accounts)?)) })
}
