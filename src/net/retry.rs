//! Trying again: decided here and nowhere else. Each operation has one budget, whatever layer fails.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use async_trait::async_trait;

use super::error::{Again, NetError};
use crate::clock;

/// Time and chance, as retrying needs them; tests put in their own and wait for nothing.
#[async_trait]
pub trait Timer: Send + Sync {
    /// The time of day, against which dates in Retry-After are read, and by which tokens expire.
    fn now(&self) -> SystemTime;
    /// Waits.
    async fn sleep(&self, time: Duration);
    /// A random number from 0 to 1, for the jitter.
    fn random(&self) -> f64;
}

/// The real time and chance.
#[derive(Debug, Default)]
pub struct SystemTimer;

#[async_trait]
impl Timer for SystemTimer {
    fn now(&self) -> SystemTime {
        clock::now()
    }

    async fn sleep(&self, time: Duration) {
        tokio::time::sleep(time).await;
    }

    fn random(&self) -> f64 {
        // Without randomness the pauses are still bounded, only less spread.
        getrandom::u32().map_or(0.5, |number| f64::from(number) / f64::from(u32::MAX))
    }
}

/// The first pause is a random part of this, each further one of twice as much.
const FIRST: Duration = Duration::from_millis(500);
/// No random pause is longer.
const LONGEST: Duration = Duration::from_secs(20);
/// Retry-After is obeyed up to here. Whoever asks for more is not asked again: it would be in vain.
const LONGEST_ASKED: Duration = Duration::from_secs(120);
/// All pauses of an operation together.
const ALTOGETHER: Duration = Duration::from_secs(300);

/// What an operation may still spend on trying again.
pub(super) struct Budget {
    timer: Arc<dyn Timer>,
    retries: u32,
    /// Failed attempts since the operation last got on.
    failed: u32,
    /// All failed attempts.
    attempts: u32,
    /// How long it may still wait.
    left: Duration,
}

impl Budget {
    pub(super) fn new(timer: Arc<dyn Timer>, retries: u32) -> Budget {
        Budget { timer, retries, failed: 0, attempts: 0, left: ALTOGETHER }
    }

    /// The operation got on since its last failure: earlier ones no longer count. Whoever calls this sees to
    /// it that it can be called only so often, as for every so many bytes of a bounded file.
    pub(super) fn refill(&mut self) {
        self.failed = 0;
        self.left = ALTOGETHER;
    }

    /// Waits until the next attempt.
    ///
    /// # Errors
    /// `error` itself, if trying again does not help or the budget is spent.
    pub(super) async fn spend(&mut self, mut error: NetError) -> Result<(), NetError> {
        self.attempts = self.attempts.saturating_add(1);
        error.attempts = self.attempts;
        let pause = match error.fault.again() {
            Again::Never => return Err(error),
            Again::After(asked) if asked > LONGEST_ASKED => return Err(error),
            Again::Soon => self.jittered(),
            // Some jitter on top, or all clients that were sent away come back at once.
            Again::After(asked) => asked + self.jittered().min(Duration::from_secs(1)),
        };
        if self.failed >= self.retries || pause > self.left {
            return Err(error);
        }
        self.failed += 1;
        self.left -= pause;
        tracing::debug!(error = %error, ?pause, "trying again");
        self.timer.sleep(pause).await;
        Ok(())
    }

    /// Exponential with full jitter: a random part of the pause that doubles.
    fn jittered(&self) -> Duration {
        let whole = FIRST.saturating_mul(1 << self.failed.min(10)).min(LONGEST);
        whole.mul_f64(self.timer.random().clamp(0.0, 1.0))
    }
}

/// Reads Retry-After in both its forms (RFC 9110, section 10.2.3): seconds, or a date. `None` if it is
/// neither.
pub(super) fn retry_after(value: &str, now: SystemTime) -> Option<Duration> {
    let value = value.trim();
    if !value.is_empty() && value.bytes().all(|byte| byte.is_ascii_digit()) {
        return Some(value.parse().map_or(Duration::MAX, Duration::from_secs));
    }
    let date = httpdate::parse_http_date(value).ok()?;
    Some(date.duration_since(now).unwrap_or(Duration::ZERO))
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use super::*;
    use crate::net::error::Fault;

    /// Waits for nothing, and notes what it was asked to wait.
    struct Noting {
        random: f64,
        waited: Mutex<Vec<Duration>>,
    }

    #[async_trait]
    impl Timer for Noting {
        fn now(&self) -> SystemTime {
            SystemTime::UNIX_EPOCH + Duration::from_secs(784_111_777)
        }
        async fn sleep(&self, time: Duration) {
            self.waited.lock().unwrap().push(time);
        }
        fn random(&self) -> f64 {
            self.random
        }
    }

    fn fault(fault: Fault) -> NetError {
        NetError { fault, url: String::new(), attempts: 1 }
    }

    fn status(status: u16, retry_after: Option<u64>) -> NetError {
        let retry_after = retry_after.map(Duration::from_secs);
        fault(Fault::Status { status, retry_after, shown_credential: false, advice: None })
    }

    /// Spends until the budget is spent; what was waited, in milliseconds.
    async fn spend(random: f64, retries: u32, error: impl Fn() -> NetError) -> (Vec<u128>, NetError) {
        let timer = Arc::new(Noting { random, waited: Mutex::default() });
        let mut budget = Budget::new(timer.clone(), retries);
        let last = loop {
            if let Err(last) = budget.spend(error()).await {
                break last;
            }
        };
        let waited = timer.waited.lock().unwrap().iter().map(Duration::as_millis).collect();
        (waited, last)
    }

    #[tokio::test]
    async fn pauses_double_up_to_the_longest() {
        let (waited, last) = spend(1.0, 8, || fault(Fault::Broken { causes: vec![] })).await;
        assert_eq!(waited, [500, 1000, 2000, 4000, 8000, 16_000, 20_000, 20_000]);
        assert_eq!(last.attempts, 9);
        let (waited, _) = spend(0.0, 3, || fault(Fault::Broken { causes: vec![] })).await;
        assert_eq!(waited, [0, 0, 0], "the jitter is full");
    }

    #[tokio::test]
    async fn what_is_asked_is_waited_for_but_not_for_ever() {
        assert_eq!(spend(0.0, 2, || status(429, Some(7))).await.0, [7000, 7000]);
        assert_eq!(spend(0.0, 9, || status(503, Some(120))).await.0, [120_000, 120_000]);
        for long in [121, 86_400, u64::MAX] {
            let (waited, last) = spend(0.0, 9, || status(503, Some(long))).await;
            assert_eq!((waited, last.attempts), (vec![], 1), "{long}");
        }
        assert_eq!(spend(1.0, 1, || status(503, None)).await.0, [500]);
    }

    #[tokio::test]
    async fn some_errors_stay() {
        for final_one in [400, 401, 403, 404, 418, 501, 505] {
            assert_eq!(spend(1.0, 4, || status(final_one, Some(1))).await.0, [0; 0], "{final_one}");
        }
        for passing in [408, 425, 429, 500, 502, 503, 504, 520] {
            assert_eq!(spend(1.0, 1, || status(passing, None)).await.0, [500], "{passing}");
        }
        assert_eq!(spend(1.0, 4, || fault(Fault::TooLarge { limit: 1 })).await.0, [0; 0]);
    }

    #[test]
    fn retry_after_has_two_forms() {
        let now = SystemTime::UNIX_EPOCH + Duration::from_secs(784_111_777);
        let read = |value| retry_after(value, now).map(|time| time.as_secs());
        assert_eq!(read("120"), Some(120));
        assert_eq!(read(" 0 "), Some(0));
        assert_eq!(read("99999999999999999999999"), Some(u64::MAX));
        assert_eq!(read("Sun, 06 Nov 1994 08:49:47 GMT"), Some(10));
        assert_eq!(read("Sun, 06 Nov 1994 08:49:27 GMT"), Some(0), "a date that has passed");
        for nonsense in ["", "-1", "1.5", "soon", "06 Nov"] {
            assert_eq!(read(nonsense), None, "{nonsense}");
        }
    }
}
