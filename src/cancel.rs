//! Stopping a job: asked for once, seen by every thread of it.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use tokio::sync::Notify;

use crate::problem::{Kind, Problem};

/// A wish to stop that all parts of a job share.
#[derive(Debug, Clone, Default)]
pub struct Cancel {
    state: Arc<State>,
}

#[derive(Debug, Default)]
struct State {
    asked: AtomicBool,
    wake: Notify,
}

impl Cancel {
    /// Asks the job to stop.
    pub fn ask(&self) {
        self.state.asked.store(true, Ordering::Release);
        self.state.wake.notify_waiters();
    }

    /// Ends the caller if the job was asked to stop.
    ///
    /// # Errors
    /// A problem of kind [`Kind::Interrupted`].
    pub fn check(&self) -> Result<(), Problem> {
        if self.state.asked.load(Ordering::Acquire) { Err(interrupted()) } else { Ok(()) }
    }

    /// [`Cancel::check`] amid reading and writing; [`interruption`] finds the problem again.
    ///
    /// # Errors
    /// One that carries the problem.
    pub fn check_io(&self) -> io::Result<()> {
        self.check().map_err(io::Error::other)
    }

    /// Returns once the job is asked to stop.
    pub async fn asked(&self) {
        let woken = self.state.wake.notified();
        if !self.state.asked.load(Ordering::Acquire) {
            woken.await;
        }
    }

    /// Runs `work` unless the job is asked to stop before it ends.
    ///
    /// # Errors
    /// What `work` returns, or [`Kind::Interrupted`].
    pub async fn race<T>(&self, work: impl Future<Output = Result<T, Problem>>) -> Result<T, Problem> {
        self.check()?;
        tokio::select! {
            result = work => result,
            () = self.asked() => Err(interrupted()),
        }
    }
}

/// The problem with which [`Cancel::check_io`] ended something, if it did.
pub fn interruption(error: &io::Error) -> Option<Problem> {
    error.get_ref()?.downcast_ref().cloned()
}

fn interrupted() -> Problem {
    Problem::new(Kind::Interrupted, "job.interrupted", "stopped before it was done")
        .hint("the same command goes on where it was")
}
