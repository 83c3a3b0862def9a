//! How much at once: connections for each host and in all, and bytes a second.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use url::Url;

use super::error::host_of;
use crate::clock;

/// Requests under way to one host.
const PER_HOST: usize = 8;
/// Requests under way in all.
const IN_ALL: usize = 32;
/// Hosts that are remembered before those without requests are forgotten.
const REMEMBERED: usize = 256;

/// The limits that all operations of a client share.
pub(super) struct Limits {
    in_all: Arc<Semaphore>,
    hosts: Mutex<HashMap<String, Arc<Semaphore>>>,
    rate: Option<Rate>,
}

/// The right to have one request under way. Held until its body is read or dropped.
pub(super) struct Permit {
    _host: Option<OwnedSemaphorePermit>,
    _in_all: Option<OwnedSemaphorePermit>,
}

impl Limits {
    pub(super) fn new(rate: Option<u64>) -> Limits {
        let rate = rate.filter(|&bytes| bytes > 0).map(|bytes| Rate { bytes, free_at: Mutex::new(None) });
        Limits { in_all: Arc::new(Semaphore::new(IN_ALL)), hosts: Mutex::default(), rate }
    }

    /// Waits until a request to the host of `url` may begin. A host's turn comes first, so that a slow host's
    /// queue keeps no other from working.
    pub(super) async fn enter(&self, url: &Url) -> Permit {
        let host = {
            let mut hosts = self.hosts.lock().unwrap_or_else(PoisonError::into_inner);
            if hosts.len() >= REMEMBERED {
                hosts.retain(|_, semaphore| Arc::strong_count(semaphore) > 1);
            }
            hosts.entry(host_of(url)).or_insert_with(|| Arc::new(Semaphore::new(PER_HOST))).clone()
        };
        // The semaphores are never closed, so there is always a permit to come.
        Permit {
            _host: host.acquire_owned().await.ok(),
            _in_all: self.in_all.clone().acquire_owned().await.ok(),
        }
    }

    /// Waits as long as `bytes` that came in take at the rate limit.
    pub(super) async fn pace(&self, bytes: usize) {
        if let Some(rate) = &self.rate {
            let wait = rate.reserve(clock::instant(), bytes);
            if !wait.is_zero() {
                tokio::time::sleep(wait).await;
            }
        }
    }
}

/// A rate limit over all connections: each piece takes its time on one common line.
struct Rate {
    /// Bytes a second, above 0.
    bytes: u64,
    /// When what came in so far has been paid for.
    free_at: Mutex<Option<Instant>>,
}

impl Rate {
    fn reserve(&self, now: Instant, bytes: usize) -> Duration {
        let takes = Duration::from_secs_f64(bytes as f64 / self.bytes as f64);
        let mut free_at = self.free_at.lock().unwrap_or_else(PoisonError::into_inner);
        let from = free_at.unwrap_or(now).max(now);
        let until = from.checked_add(takes).unwrap_or(from);
        *free_at = Some(until);
        until.duration_since(now)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn eight_for_a_host_and_thirty_two_in_all() {
        let limits = Limits::new(None);
        let mut held = Vec::new();
        let mut enter = async |host: u32| {
            let url = Url::parse(&format!("https://h{host}.example.test/")).unwrap();
            let permit = tokio::time::timeout(Duration::from_millis(5), limits.enter(&url)).await;
            permit.map(|permit| held.push(permit)).is_ok()
        };
        for host in 0..4 {
            for _ in 0..8 {
                assert!(enter(host).await);
            }
        }
        assert!(!enter(0).await, "a ninth");
        assert!(!enter(9).await, "a thirty-third");
        held.truncate(31);
        let url = Url::parse("https://h9.example.test/").unwrap();
        assert!(
            tokio::time::timeout(Duration::from_secs(5), limits.enter(&url)).await.is_ok(),
            "one came free"
        );
    }

    #[tokio::test]
    async fn hosts_without_requests_are_forgotten() {
        let limits = Limits::new(None);
        let busy = limits.enter(&Url::parse("https://busy.example.test/").unwrap()).await;
        for host in 0..2 * REMEMBERED {
            limits.enter(&Url::parse(&format!("https://h{host}.example.test/")).unwrap()).await;
        }
        let hosts = limits.hosts.lock().unwrap();
        assert!(hosts.len() <= REMEMBERED && hosts.contains_key("busy.example.test"), "{}", hosts.len());
        drop(busy);
    }

    #[test]
    fn bytes_take_their_time() {
        let rate = Rate { bytes: 1000, free_at: Mutex::new(None) };
        let start = clock::instant();
        assert_eq!(rate.reserve(start, 500), Duration::from_millis(500));
        assert_eq!(rate.reserve(start, 500), Duration::from_secs(1), "behind the first");
        let later = start + Duration::from_secs(10);
        assert_eq!(rate.reserve(later, 100), Duration::from_millis(100), "idle time is not saved up");
    }
}
