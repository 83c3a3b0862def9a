//! Counters, and how Prometheus reads them.

use std::fmt::Write as _;
use std::sync::atomic::{AtomicU64, Ordering};

use super::access_log::AccessRecord;

/// What is counted. The labels are few and fixed, whatever clients send.
#[derive(Debug)]
pub(super) struct Metrics {
    /// Requests by status, from 100 to 599.
    statuses: [AtomicU64; 500],
    /// Requests by duration; the last bucket has no bound.
    durations: [AtomicU64; BOUNDS.len() + 1],
    microseconds: AtomicU64,
    bytes: AtomicU64,
    cut: AtomicU64,
    connections: AtomicU64,
    open: AtomicU64,
}

/// The bounds of the buckets in milliseconds.
const BOUNDS: [u64; 9] = [1, 3, 10, 30, 100, 300, 1_000, 10_000, 60_000];

impl Metrics {
    pub(super) fn new() -> Metrics {
        Metrics {
            statuses: std::array::from_fn(|_| AtomicU64::new(0)),
            durations: std::array::from_fn(|_| AtomicU64::new(0)),
            microseconds: AtomicU64::new(0),
            bytes: AtomicU64::new(0),
            cut: AtomicU64::new(0),
            connections: AtomicU64::new(0),
            open: AtomicU64::new(0),
        }
    }

    /// A request ended.
    pub(super) fn request(&self, record: &AccessRecord<'_>) {
        if let Some(status) = self.statuses.get(usize::from(record.status).wrapping_sub(100)) {
            add(status, 1);
        }
        let bucket = BOUNDS.iter().position(|bound| record.duration.as_millis() < u128::from(*bound));
        if let Some(duration) = self.durations.get(bucket.unwrap_or(BOUNDS.len())) {
            add(duration, 1);
        }
        add(&self.microseconds, u64::try_from(record.duration.as_micros()).unwrap_or(u64::MAX));
        add(&self.bytes, record.bytes);
        add(&self.cut, u64::from(!record.complete));
    }

    /// A connection was accepted.
    pub(super) fn opened(&self) {
        add(&self.connections, 1);
        add(&self.open, 1);
    }

    /// A connection ended.
    pub(super) fn closed(&self) {
        self.open.fetch_sub(1, Ordering::Relaxed);
    }

    /// The text format of Prometheus, version 0.0.4, with what others know.
    pub(super) fn text(&self, revision: u64, document_bytes: usize, misses_dropped: u64) -> String {
        let mut text = String::with_capacity(2048);
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        head(&mut text, "aftk_http_requests_total", "counter", "Requests by status.");
        for (status, count) in (100..).zip(&self.statuses) {
            if read(count) > 0 {
                let _ = writeln!(text, "aftk_http_requests_total{{status=\"{status}\"}} {}", read(count));
            }
        }
        let name = "aftk_http_request_duration_seconds";
        head(&mut text, name, "histogram", "From a request's head to the last byte of its response.");
        let mut sum = 0;
        let bounds = BOUNDS.iter().map(|bound| format!("{}", *bound as f64 / 1000.0));
        for (bound, count) in bounds.chain(["+Inf".to_owned()]).zip(&self.durations) {
            sum += read(count);
            let _ = writeln!(text, "{name}_bucket{{le=\"{bound}\"}} {sum}");
        }
        let _ = writeln!(text, "{name}_sum {}", read(&self.microseconds) as f64 / 1e6);
        let _ = writeln!(text, "{name}_count {sum}");
        for (name, kind, help, value) in [
            ("aftk_http_response_bytes_total", "counter", "Bytes of bodies sent.", read(&self.bytes)),
            ("aftk_http_responses_cut_total", "counter", "Responses that did not end.", read(&self.cut)),
            ("aftk_http_connections_total", "counter", "Connections accepted.", read(&self.connections)),
            ("aftk_http_connections", "gauge", "Connections open.", read(&self.open)),
            ("aftk_documents_bytes", "gauge", "Bytes of derived documents kept.", document_bytes as u64),
            ("aftk_misses_dropped_total", "counter", "Misses that were not recorded.", misses_dropped),
            ("aftk_store_revision", "gauge", "The newest commit of the store.", revision),
        ] {
            head(&mut text, name, kind, help);
            let _ = writeln!(text, "{name} {value}");
        }
        text
    }
}

fn head(text: &mut String, name: &str, kind: &str, help: &str) {
    let _ = writeln!(text, "# HELP {name} {help}\n# TYPE {name} {kind}");
}

fn add(counter: &AtomicU64, amount: u64) {
    counter.fetch_add(amount, Ordering::Relaxed);
}
