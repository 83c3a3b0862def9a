//! A connection that does not wait for ever.
//!
//! Three things may take only so long: the head of a request, the pause between two requests, and a write that the
//! client does not drain. The limits stand here, under hyper, because only here is it seen which one is waited for.

use std::future::Future;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::time::{Instant, Sleep, sleep};

use super::Timeouts;

/// What a connection is waiting for. Shared by the socket and the request being answered, in one task.
///
/// The value counts up, so that two pauses in a row are two waits.
#[derive(Debug)]
pub(super) struct Phase(AtomicU32);

const HEAD: u32 = 0;
const BUSY: u32 = 1;
const IDLE: u32 = 2;

impl Phase {
    /// A new connection: it owes the head of a request.
    pub(super) fn new() -> Phase {
        Phase(AtomicU32::new(HEAD))
    }

    /// A request is being answered: nothing is owed.
    pub(super) fn busy(&self) {
        self.enter(BUSY);
    }

    /// A request was answered: the next one may take its time to begin.
    pub(super) fn idle(&self) {
        self.enter(IDLE);
    }

    fn enter(&self, state: u32) {
        let turn = self.value() >> 2;
        self.0.store(turn.wrapping_add(1) << 2 | state, Ordering::Relaxed);
    }

    fn value(&self) -> u32 {
        self.0.load(Ordering::Relaxed)
    }
}

/// A TCP connection under its limits.
#[derive(Debug)]
pub(super) struct Guarded {
    stream: TcpStream,
    phase: Arc<Phase>,
    timeouts: Timeouts,
    reading: Alarm,
    writing: Alarm,
}

impl Guarded {
    pub(super) fn new(stream: TcpStream, phase: Arc<Phase>, timeouts: Timeouts) -> Guarded {
        Guarded { stream, phase, timeouts, reading: Alarm::default(), writing: Alarm::default() }
    }

    /// What to return for a write: pending ones only for so long.
    fn limit_write<T>(
        &mut self,
        result: Poll<io::Result<T>>,
        context: &mut Context<'_>,
    ) -> Poll<io::Result<T>> {
        if result.is_ready() {
            self.writing.set_for = None;
            return result;
        }
        std::task::ready!(self.writing.poll(0, self.timeouts.stall, context));
        // What the kernel still holds for this client is not worth keeping either: reset.
        let _ = self.stream.set_zero_linger();
        Poll::Ready(Err(late("the client does not drain the response")))
    }
}

impl AsyncRead for Guarded {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        let result = Pin::new(&mut self.stream).poll_read(context, buffer);
        let phase = self.phase.value();
        if result.is_ready() {
            if phase & 3 == IDLE && buffer.filled().len() > before {
                self.phase.enter(HEAD);
            }
            return result;
        }
        let limit = match phase & 3 {
            HEAD => self.timeouts.head,
            IDLE => self.timeouts.idle,
            _ => return Poll::Pending,
        };
        std::task::ready!(self.reading.poll(phase, limit, context));
        Poll::Ready(Err(late("the client sends no request")))
    }
}

impl AsyncWrite for Guarded {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let result = Pin::new(&mut self.stream).poll_write(context, bytes);
        self.limit_write(result, context)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let result = Pin::new(&mut self.stream).poll_write_vectored(context, slices);
        self.limit_write(result, context)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}

fn late(what: &'static str) -> io::Error {
    io::Error::new(io::ErrorKind::TimedOut, what)
}

/// A timer that is made when something is first waited for, and used again.
#[derive(Debug, Default)]
struct Alarm {
    timer: Option<Pin<Box<Sleep>>>,
    /// What it is running for.
    set_for: Option<u32>,
}

impl Alarm {
    /// Ready when `what` has been waited for as long as `limit`.
    fn poll(&mut self, what: u32, limit: Duration, context: &mut Context<'_>) -> Poll<()> {
        let timer = self.timer.get_or_insert_with(|| Box::pin(sleep(limit)));
        if self.set_for.replace(what) != Some(what) {
            timer.as_mut().reset(Instant::now() + limit);
        }
        timer.as_mut().poll(context)
    }
}
