//! The listener: mounts, ranges, entity tags, compression, streaming.
//!
//! Ecosystems say what there is ([`crate::ecosystem::Serve`]); everything that is HTTP happens here, once:
//!
//! - `listener` accepts, `tls` shakes hands, `guard` limits how long a connection may wait, `responder` answers a request.
//! - `origin`, `route` and `mount` find out what is asked for.
//! - `gate` lets in who may read, `accounts` knows whose credentials those are, and `token` gives tokens for them.
//! - `hosting` is what a handler that writes can do besides: `receive` brings large bodies into `uploads`.
//! - `context` is what a handler sees, with `documents` (the cache) and `misses` behind it; `answers` keeps what needs no
//!   handler a second time.
//! - `reply` makes the response, with `ranges`, `conditional`, `compression` and `body`.
//! - `completion` follows a request to its end; `pages`, `access_log` and `metrics` are for people.
//! - `site` is what all requests share.

mod access_log;
mod accounts;
mod answers;
mod attachment;
mod body;
mod completion;
mod compression;
mod conditional;
mod context;
mod documents;
mod envelope;
mod form;
mod gate;
mod guard;
mod hosting;
mod lasting;
mod listener;
mod metrics;
mod misses;
mod mount;
mod origin;
mod pages;
mod ranges;
mod receive;
mod reply;
mod responder;
mod route;
mod site;
mod tls;
mod token;
mod uploads;
mod upstreams;
mod warnings;

use std::future::Future;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tokio::net::{TcpListener, TcpSocket};

pub use access_log::{AccessLog, AccessRecord};
pub use accounts::Accounts;
pub use gate::Access;
pub use mount::Mount;
pub use tls::{Certificate, Tls};
pub use upstreams::{Upstream, Upstreams};
pub use warnings::Warn;

use crate::ecosystem::Ecosystem;
use crate::problem::{Kind, Problem};
use crate::store::{Blobs, Catalogue};

/// How the server listens.
#[derive(Debug, Clone)]
pub struct ServerSettings {
    /// The addresses; port 0 takes a free one.
    pub listen: Vec<SocketAddr>,
    /// How it speaks TLS; without it, it speaks HTTP alone.
    pub tls: Option<Tls>,
    /// Proxies next to us, whose `X-Forwarded-Proto`, `-Host` and `-For` are believed. Nobody else's are.
    pub trusted_proxies: Vec<IpAddr>,
    /// The most connections at once. Fewer if the process may not open two files for each.
    pub connections: usize,
    /// How long things may take.
    pub timeouts: Timeouts,
    /// How many bytes of derived documents are kept.
    pub document_cache: usize,
}

impl Default for ServerSettings {
    fn default() -> ServerSettings {
        ServerSettings {
            listen: vec![SocketAddr::from(([127, 0, 0, 1], 2385))],
            tls: None,
            trusted_proxies: Vec::new(),
            connections: 16_384,
            timeouts: Timeouts::default(),
            document_cache: 64 * 1024 * 1024,
        }
    }
}

/// How long a connection may take.
#[derive(Debug, Clone, Copy)]
pub struct Timeouts {
    /// For the head of a request, from its first byte (the first request: from the connection).
    pub head: Duration,
    /// Between two requests.
    pub idle: Duration,
    /// For the body of a request.
    pub body: Duration,
    /// For a client that drains nothing of its response.
    pub stall: Duration,
    /// For what has begun when the server stops.
    pub shutdown: Duration,
}

impl Default for Timeouts {
    fn default() -> Timeouts {
        Timeouts {
            head: Duration::from_secs(10),
            idle: Duration::from_secs(60),
            body: Duration::from_secs(30),
            stall: Duration::from_secs(60),
            shutdown: Duration::from_secs(10),
        }
    }
}

/// What is served.
#[derive(Clone)]
pub struct Served {
    /// Where blobs come from.
    pub blobs: Arc<dyn Blobs>,
    /// What they are.
    pub catalogue: Arc<dyn Catalogue>,
    /// What stands where; [`Mount::of`] each ecosystem for the usual places.
    pub mounts: Vec<Mount>,
    /// The upstreams that are answered for by their own names.
    pub upstreams: Upstreams,
    /// Whose clients `/setup/` knows.
    pub ecosystems: Vec<&'static dyn Ecosystem>,
    /// Who may read and write.
    pub access: Access,
    /// Who is told of every request.
    pub log: Option<AccessLog>,
    /// Who is told what whoever runs the site should know.
    pub warn: Option<Warn>,
}

impl std::fmt::Debug for Served {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Served").field("mounts", &self.mounts).finish_non_exhaustive()
    }
}

/// A server that listens, but does not answer before [`Server::run`].
#[derive(Debug)]
pub struct Server {
    listeners: Vec<TcpListener>,
    addresses: Vec<SocketAddr>,
    tls: Option<Tls>,
    connections: usize,
    timeouts: Timeouts,
    responder: Arc<responder::Responder>,
    misses: misses::MissWriter,
}

impl Server {
    /// Listens. Call it within a tokio runtime that has I/O and time.
    ///
    /// # Errors
    /// `http.listen` if an address cannot be had; `http.bad-mount`, `http.bad-route` for mounts that cannot work.
    pub fn bind(settings: ServerSettings, served: Served) -> Result<Server, Problem> {
        let (misses, writer) = misses::queue();
        let site = site::Site {
            documents: documents::Documents::new(settings.document_cache),
            answers: answers::Answers::default(),
            misses,
            metrics: metrics::Metrics::new(),
            log: served.log,
            warnings: warnings::Warnings::new(served.warn),
            hosted: served.access.hosted.clone(),
            uploads: uploads::Uploads::default(),
            writing: Mutex::default(),
            repositories: Mutex::new(None),
            blobs: served.blobs,
            catalogue: served.catalogue,
        };
        let responder = responder::Responder {
            site: Arc::new(site),
            access: served.access,
            mounts: mount::Mounts::compile(&served.mounts, served.upstreams)?,
            pages: pages::Pages::new(&served.ecosystems, settings.tls.as_ref().and_then(Tls::authority))?,
            trusted_proxies: settings.trusted_proxies,
            body_timeout: settings.timeouts.body,
        };
        if settings.listen.is_empty() {
            return Err(Problem::new(Kind::Usage, "http.listen", "there is no address to listen on"));
        }
        let listeners = settings.listen.into_iter().map(listen).collect::<Result<Vec<_>, _>>()?;
        let addresses = listeners.iter().filter_map(|listener| listener.local_addr().ok()).collect();
        Ok(Server {
            listeners,
            addresses,
            tls: settings.tls,
            connections: settings.connections.clamp(1, connections_possible()),
            timeouts: settings.timeouts,
            responder: Arc::new(responder),
            misses: writer,
        })
    }

    /// The addresses it listens on, with the ports that were taken for port 0.
    pub fn local_addresses(&self) -> &[SocketAddr] {
        &self.addresses
    }

    /// Answers until `shutdown` is done, lets what has begun end, and returns.
    pub async fn run(mut self, shutdown: impl Future<Output = ()>) {
        let catalogue = Arc::clone(&self.responder.site.catalogue);
        let serving = listener::serve(
            self.responder,
            self.listeners,
            self.tls,
            self.connections,
            self.timeouts,
            shutdown,
        );
        tokio::select! {
            () = serving => {}
            () = self.misses.run(&catalogue) => {}
        }
        self.misses.finish(&catalogue).await;
    }
}

fn listen(address: SocketAddr) -> Result<TcpListener, Problem> {
    let socket = if address.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() };
    let listening = socket.and_then(|socket| {
        // A restarted server need not wait for the connections of the one before.
        socket.set_reuseaddr(true)?;
        socket.bind(address)?;
        socket.listen(listener::BACKLOG)
    });
    listening.map_err(|error| {
        let problem = Problem::new(Kind::Failed, "http.listen", format!("cannot listen on {address}"));
        let problem = problem.caused_by(&error);
        match error.kind() {
            std::io::ErrorKind::AddrInUse => {
                problem.hint("something listens there already; choose another with --listen")
            }
            std::io::ErrorKind::PermissionDenied => {
                problem.hint("ports below 1024 need a privilege; choose another with --listen")
            }
            _ => problem,
        }
    })
}

/// How many connections the process has file descriptors for: each may have a blob open besides its socket, and the
/// store needs some of its own. The soft limit is raised to the hard one first.
fn connections_possible() -> usize {
    let limit = getrlimit(Resource::Nofile);
    let raised = Rlimit { current: limit.maximum, maximum: limit.maximum };
    let files = match setrlimit(Resource::Nofile, raised) {
        Ok(()) => limit.maximum,
        Err(_) => limit.current,
    };
    let files = usize::try_from(files.unwrap_or(1 << 20)).unwrap_or(1 << 20).min(1 << 20);
    (files.saturating_sub(256 + uploads::MOST) / 2).max(8)
}
