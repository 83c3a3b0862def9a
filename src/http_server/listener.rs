//! Accepting connections and serving HTTP/1.1 on them.
//!
//! hyper's connection is driven by hand, because what a ready-made server leaves open is exactly what matters here:
//! how many connections there may be, how long each may take, and how much each may hold in memory.

use std::future::Future;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use http::header::{CONNECTION, HeaderValue};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};

use super::Timeouts;
use super::guard::Phase;
use super::origin::{Ends, Speech};
use super::responder::Responder;
use super::tls::{self, Begun, Tls};

/// The largest head of a request in bytes; a larger one is answered with 431, as is one of more than 100 lines. It is
/// also what may wait to be written before the next piece of a body is read, so a client that stalls holds one piece.
const BUFFER: usize = 16 * 1024;

/// Connections that wait to be accepted.
pub(super) const BACKLOG: u32 = 4096;

/// Whether the server goes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd)]
enum Stop {
    /// It does.
    No,
    /// Requests that have begun may end.
    Soon,
    /// Nothing may.
    Now,
}

/// Accepts until `shutdown` is done; then lets what has begun end, for a while.
pub(super) async fn serve(
    responder: Arc<Responder>,
    listeners: Vec<TcpListener>,
    tls: Option<Tls>,
    connections: usize,
    timeouts: Timeouts,
    shutdown: impl Future<Output = ()>,
) {
    let slots = Arc::new(Semaphore::new(connections));
    let (stop, stopped) = watch::channel(Stop::No);
    let accepting: Vec<_> = listeners
        .into_iter()
        .map(|listener| {
            let (responder, slots, stopped) = (Arc::clone(&responder), Arc::clone(&slots), stopped.clone());
            tokio::spawn(accept(listener, tls.clone(), responder, slots, timeouts, stopped))
        })
        .collect();
    shutdown.await;
    for task in accepting {
        task.abort();
    }
    stop.send_replace(Stop::Soon);
    // Every connection holds a slot: when all are back, there is none left.
    let all = u32::try_from(connections).unwrap_or(u32::MAX);
    if tokio::time::timeout(timeouts.shutdown, slots.acquire_many(all)).await.is_err() {
        stop.send_replace(Stop::Now);
        let _ = tokio::time::timeout(Duration::from_secs(1), slots.acquire_many(all)).await;
    }
}

async fn accept(
    listener: TcpListener,
    tls: Option<Tls>,
    responder: Arc<Responder>,
    slots: Arc<Semaphore>,
    timeouts: Timeouts,
    stopped: watch::Receiver<Stop>,
) {
    let few = slots.available_permits() / 8;
    // Where there is no slot, clients wait in the backlog rather than be turned away.
    while let Ok(slot) = Arc::clone(&slots).acquire_owned().await {
        match listener.accept().await {
            Ok((stream, _)) => {
                let crowd = Crowd { slots: Arc::clone(&slots), few };
                tokio::spawn(connection(
                    Arc::clone(&responder),
                    stream,
                    tls.clone(),
                    timeouts,
                    stopped.clone(),
                    crowd,
                    slot,
                ));
            }
            // A client that was gone before we came; or no file descriptors, which only time can change.
            Err(error) if error.kind() == io::ErrorKind::ConnectionAborted => {}
            Err(error) => {
                tracing::warn!(%error, "a connection could not be accepted");
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        }
    }
}

async fn connection(
    responder: Arc<Responder>,
    stream: TcpStream,
    tls: Option<Tls>,
    timeouts: Timeouts,
    mut stopped: watch::Receiver<Stop>,
    crowd: Crowd,
    _slot: OwnedSemaphorePermit,
) {
    let (Ok(remote), Ok(local)) = (stream.peer_addr(), stream.local_addr()) else { return };
    // An answer is written in one go; waiting for more to send with it only delays it.
    let _ = stream.set_nodelay(true);
    responder.site.metrics.opened();
    let phase = Arc::new(Phase::new());
    let begun = tokio::select! {
        begun = tls::begin(tls.as_ref(), stream, Arc::clone(&phase), timeouts) => begun,
        () = reached(&mut stopped, Stop::Soon) => Err(io::ErrorKind::Interrupted.into()),
    };
    let ends = |speech| Ends { remote, local, speech };
    let ended = match begun {
        Ok(Begun::Plain(stream, speech)) => {
            exchange(&responder, stream, ends(speech), phase, stopped, crowd).await
        }
        Ok(Begun::Tls(stream)) => {
            exchange(&responder, stream, ends(Speech::Tls), phase, stopped, crowd).await
        }
        Err(error) => Err(error.into()),
    };
    if let Err(error) = ended {
        tracing::debug!(%error, %remote, "a connection ended early");
    }
    responder.site.metrics.closed();
}

/// Answers the requests on a connection, one after the other.
async fn exchange<S: AsyncRead + AsyncWrite + Unpin>(
    responder: &Arc<Responder>,
    stream: S,
    ends: Ends,
    phase: Arc<Phase>,
    mut stopped: watch::Receiver<Stop>,
    crowd: Crowd,
) -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
    let service = service_fn(|request| {
        let answered = Arc::clone(responder).respond(ends, Arc::clone(&phase), request);
        async {
            let mut response = answered.await;
            if crowd.is_thick() {
                response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
            }
            Ok::<_, std::convert::Infallible>(response)
        }
    });
    let mut builder = http1::Builder::new();
    // Timeouts are the guard's. Never `pipeline_flush`: it lets hyper buffer whole bodies for a client that pipelines.
    builder.header_read_timeout(None).max_buf_size(BUFFER).half_close(false);
    let mut serving = std::pin::pin!(builder.serve_connection(TokioIo::new(stream), service));
    tokio::select! {
        ended = serving.as_mut() => return Ok(ended?),
        () = reached(&mut stopped, Stop::Soon) => {}
    }
    serving.as_mut().graceful_shutdown();
    tokio::select! {
        ended = serving => Ok(ended?),
        () = reached(&mut stopped, Stop::Now) => Ok(()),
    }
}

/// The other connections. Where slots are few, none is kept for a client that may not ask again.
struct Crowd {
    slots: Arc<Semaphore>,
    few: usize,
}

impl Crowd {
    fn is_thick(&self) -> bool {
        self.slots.available_permits() < self.few
    }
}

/// Waits until the server is to stop this much.
async fn reached(stopped: &mut watch::Receiver<Stop>, much: Stop) {
    // The sender is gone only with the server.
    let _ = stopped.wait_for(|stop| *stop >= much).await;
}
