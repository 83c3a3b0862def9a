//! The record of a request that ended, and the line it makes.

use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use crate::clock;

/// One request, as it ended. Its `Display` is the line of the log.
///
/// The query and the Authorization header are not in it: both may hold secrets.
#[derive(Debug)]
pub struct AccessRecord<'a> {
    /// When it ended.
    pub time: SystemTime,
    /// Who asked: the connection's other end, or whom a trusted proxy named.
    pub client: IpAddr,
    /// The method.
    pub method: &'a str,
    /// The path as sent, still percent-encoded.
    pub path: &'a str,
    /// The status that was answered.
    pub status: u16,
    /// How many bytes of the body were handed to the connection.
    pub bytes: u64,
    /// Whether that is all of them.
    pub complete: bool,
    /// From the request's last header to the body's last byte.
    pub duration: Duration,
    /// What the client calls itself.
    pub agent: &'a str,
    /// What went wrong here, for whoever runs the site. Clients never see it.
    pub failure: Option<&'a str>,
}

/// Whoever writes the log. Called on the runtime's threads, so it must not block.
pub type AccessLog = Arc<dyn Fn(&AccessRecord<'_>) + Send + Sync>;

impl fmt::Display for AccessRecord<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // What a client sent must not be able to forge a line.
        let path = self.path.chars().flat_map(char::escape_debug).take(2048).collect::<String>();
        let agent = self.agent.chars().flat_map(char::escape_debug).take(200).collect::<String>();
        write!(
            f,
            "{} {} \"{} {path}\" {} {}{} {:.1}ms \"{agent}\"",
            clock::text(self.time),
            self.client,
            self.method,
            self.status,
            self.bytes,
            if self.complete { "" } else { " cut" },
            self.duration.as_secs_f64() * 1000.0,
        )?;
        match self.failure {
            Some(failure) => write!(f, " {failure:?}"),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_client_cannot_forge_a_line() {
        let line = AccessRecord {
            time: SystemTime::UNIX_EPOCH,
            client: IpAddr::from([192, 0, 2, 1]),
            method: "GET",
            path: "/npm/all/x",
            status: 200,
            bytes: 12,
            complete: true,
            duration: Duration::from_micros(1500),
            agent: "npm\" 200\nroot",
            failure: Some("a \"b\"\n"),
        };
        assert_eq!(
            line.to_string(),
            "1970-01-01T00:00:00Z 192.0.2.1 \"GET /npm/all/x\" 200 12 1.5ms \"npm\\\" 200\\nroot\" \"a \\\"b\\\"\\n\""
        );
    }
}
