//! The HTTP client against an upstream that misbehaves.

mod document;
mod download;
mod head;
mod own_way;
mod route;
mod sign_in;
mod upload;

use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};

use aftk::net::{Client, Settings, Timeouts, Timer};

/// Waits for nothing, and notes what it was asked to wait for.
#[derive(Default)]
struct NoWaiting {
    pauses: Mutex<Vec<Duration>>,
}

impl NoWaiting {
    fn pauses(&self) -> Vec<Duration> {
        self.pauses.lock().unwrap().clone()
    }
}

/// What time it is in these tests.
const NOW: &str = "Sun, 06 Nov 1994 08:49:37 GMT";

#[async_trait::async_trait]
impl Timer for NoWaiting {
    fn now(&self) -> SystemTime {
        httpdate::parse_http_date(NOW).unwrap()
    }
    async fn sleep(&self, time: Duration) {
        self.pauses.lock().unwrap().push(time);
    }
    fn random(&self) -> f64 {
        0.0
    }
}

/// A client that waits for nothing between attempts.
fn impatient() -> Client {
    noting(Settings::default()).0
}

/// One that waits for no slow server either.
fn hasty(settings: Settings) -> (Client, Arc<NoWaiting>) {
    let short = Duration::from_millis(250);
    let timeouts = Timeouts { connect: short, response: short, stall: short };
    noting(Settings { timeouts, ..settings })
}

/// A client that waits for nothing between attempts, and what it was asked to wait.
fn noting(settings: Settings) -> (Client, Arc<NoWaiting>) {
    let timer = Arc::new(NoWaiting::default());
    let client = Client::with_timer(settings, timer.clone()).unwrap();
    (client, timer)
}
