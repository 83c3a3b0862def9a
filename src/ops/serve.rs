//! Serving: the server with a mount for every ecosystem of this build.

use std::sync::Arc;

use super::certificates::CertificateSource;
use crate::cancel::Cancel;
use crate::ecosystem::registry;
use crate::events::Events;
use crate::http_server::{AccessLog, Mount, Served, Server, ServerSettings};
use crate::problem::{Kind, Problem};
use crate::store::Store;

/// How a store is served.
#[derive(Debug, Clone)]
pub struct ServeRequest {
    /// The addresses to listen on: `address:port`.
    pub listen: Vec<String>,
    /// Where the certificate comes from; without one, there is no TLS.
    pub certificate: Option<CertificateSource>,
}

/// Serves a store until it is asked to stop. `ready` is called once with the addresses as clients write them, when they can
/// connect.
///
/// # Errors
/// If an address is not one, or cannot be listened on; if there is no certificate where there should be one.
pub async fn serve(
    store: &Store,
    request: ServeRequest,
    log: Option<AccessLog>,
    events: &dyn Events,
    cancel: &Cancel,
    ready: impl FnOnce(Vec<String>),
) -> Result<(), Problem> {
    let ServeRequest { listen, certificate } = request;
    let mut addresses = Vec::new();
    for text in &listen {
        addresses.extend(tokio::net::lookup_host(text).await.map_err(|error| {
            Problem::new(Kind::Usage, "serve.listen", "this is not an address to listen on")
                .at(text)
                .caused_by(&error)
                .hint("write address:port, such as 0.0.0.0:2385")
        })?);
    }
    let certificate = certificate.map(|source| source.open(&addresses, events)).transpose()?;
    let tls = certificate.as_ref().map(|(tls, _)| tls.clone());
    let scheme = if tls.is_some() { "https" } else { "http" };
    let settings = ServerSettings { listen: addresses, tls, ..ServerSettings::default() };
    let served = Served {
        hosted: Vec::new(),
        blobs: Arc::clone(&store.blobs),
        catalogue: Arc::clone(&store.catalogue),
        mounts: registry::ECOSYSTEMS.iter().flat_map(|ecosystem| Mount::of(*ecosystem)).collect(),
        ecosystems: registry::ECOSYSTEMS.to_vec(),
        log,
    };
    let server = Server::bind(settings, served)?;
    ready(server.local_addresses().iter().map(|address| format!("{scheme}://{address}/")).collect());
    let fresh = async {
        match certificate {
            Some((tls, certificates)) => certificates.keep_fresh(tls, events).await,
            None => std::future::pending().await,
        }
    };
    let serving = server.run(cancel.asked());
    tokio::pin!(serving);
    tokio::select! {
        () = &mut serving => {}
        () = fresh => serving.await,
    }
    Ok(())
}
