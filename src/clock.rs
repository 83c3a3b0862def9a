//! The only clock: everything that needs the time asks here, so that tests and signed times have one source.

use std::time::{Duration, SystemTime};

/// The time now, to the second, as the format writes it: RFC 3339 in UTC with a `Z`.
pub fn now_text() -> String {
    text(now())
}

/// The time now.
#[expect(clippy::disallowed_methods, reason = "this is the one clock that everything else asks")]
pub fn now() -> SystemTime {
    SystemTime::now()
}

/// `time` as RFC 3339 in UTC, to the second.
pub fn text(time: SystemTime) -> String {
    let seconds = time.duration_since(SystemTime::UNIX_EPOCH).unwrap_or(Duration::ZERO).as_secs();
    let seconds = i64::try_from(seconds).unwrap_or(i64::MAX);
    jiff::Timestamp::from_second(seconds)
        .unwrap_or(jiff::Timestamp::MAX)
        .strftime("%Y-%m-%dT%H:%M:%SZ")
        .to_string()
}

/// Seconds since 1970 for a time written by [`text`]; `None` if it is not one.
pub fn seconds(text: &str) -> Option<i64> {
    text.parse::<jiff::Timestamp>().ok().map(jiff::Timestamp::as_second)
}

/// A monotonic instant, for measuring how long something took.
#[expect(clippy::disallowed_methods, reason = "this is the one clock that everything else asks")]
pub fn instant() -> std::time::Instant {
    std::time::Instant::now()
}
