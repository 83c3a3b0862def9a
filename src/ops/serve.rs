//! Serving: the server with a mount for every ecosystem of this build.

use std::net::SocketAddr;
use std::sync::Arc;

use crate::cancel::Cancel;
use crate::ecosystem::registry;
use crate::http_server::{AccessLog, Mount, Served, Server, ServerSettings};
use crate::problem::{Kind, Problem};
use crate::store::Store;

/// Serves a store until it is asked to stop. `ready` is called once with the addresses, when clients can connect.
///
/// # Errors
/// If an address is not one, or cannot be listened on.
pub async fn serve(
    store: &Store,
    listen: &[String],
    log: Option<AccessLog>,
    cancel: &Cancel,
    ready: impl FnOnce(&[SocketAddr]),
) -> Result<(), Problem> {
    let mut addresses = Vec::new();
    for text in listen {
        addresses.extend(tokio::net::lookup_host(text).await.map_err(|error| {
            Problem::new(Kind::Usage, "serve.listen", "this is not an address to listen on")
                .at(text)
                .caused_by(&error)
                .hint("write address:port, such as 0.0.0.0:2385")
        })?);
    }
    let settings = ServerSettings { listen: addresses, ..ServerSettings::default() };
    let served = Served {
        blobs: Arc::clone(&store.blobs),
        catalogue: Arc::clone(&store.catalogue),
        mounts: registry::ECOSYSTEMS.iter().flat_map(|ecosystem| Mount::of(*ecosystem)).collect(),
        ecosystems: registry::ECOSYSTEMS.to_vec(),
        log,
    };
    let server = Server::bind(settings, served)?;
    ready(server.local_addresses());
    server.run(cancel.asked()).await;
    Ok(())
}
