//! The one way from an async thread to work that blocks or computes: hashing, SQLite, files, parsing.

use std::sync::LazyLock;

use tokio::sync::Semaphore;

use crate::problem::{Kind, Problem};

/// More blocking jobs than this at once only queue up in the kernel.
const AT_ONCE: usize = 64;

static PERMITS: LazyLock<Semaphore> = LazyLock::new(|| Semaphore::new(AT_ONCE));

/// Runs `work` on a thread that may block, a bounded number of them at a time.
///
/// # Errors
/// What `work` returns; a [`Problem`] with code `internal.panic` if it panicked.
pub async fn blocking<T, F>(work: F) -> Result<T, Problem>
where
    T: Send + 'static,
    F: FnOnce() -> Result<T, Problem> + Send + 'static,
{
    let _permit = PERMITS.acquire().await.map_err(|_| stopped("the program is shutting down"))?;
    match tokio::task::spawn_blocking(work).await {
        Ok(result) => result,
        Err(error) => Err(stopped(&error.to_string())),
    }
}

fn stopped(why: &str) -> Problem {
    Problem::new(Kind::Failed, "internal.panic", "a worker thread ended early").because(why)
}
