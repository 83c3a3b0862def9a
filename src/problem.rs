//! The one error that leaves a room towards people, scripts and clients.
//!
//! Each room has its own error type and turns it into a [`Problem`] at its border; the command line prints it,
//! the HTTP server maps it to a status, `--json` carries it as it is.

use std::borrow::Cow;
use std::fmt;

use serde::{Deserialize, Serialize};

/// What kind of failure it is: decides the exit code and the HTTP status.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// Something went wrong here: exit 1.
    Failed,
    /// The call or a configuration file is wrong: exit 2.
    Usage,
    /// Untrusted or damaged: exit 3.
    Untrusted,
    /// Something is missing, and it is named: exit 4.
    Incomplete,
    /// Upstream or target is unavailable; trying again may help: exit 5.
    Unavailable,
    /// Refused by policy, or in conflict with what is there: exit 6.
    Refused,
    /// Older than it may be: exit 7.
    Stale,
    /// Stopped by the person who started it: exit 130.
    Interrupted,
}

impl Kind {
    /// The exit code of the program.
    pub fn exit_code(self) -> u8 {
        match self {
            Kind::Failed => 1,
            Kind::Usage => 2,
            Kind::Untrusted => 3,
            Kind::Incomplete => 4,
            Kind::Unavailable => 5,
            Kind::Refused => 6,
            Kind::Stale => 7,
            Kind::Interrupted => 130,
        }
    }

    /// The HTTP status that tells a client the same.
    pub fn http_status(self) -> u16 {
        match self {
            Kind::Failed | Kind::Interrupted => 500,
            Kind::Usage => 400,
            Kind::Untrusted | Kind::Refused => 403,
            Kind::Incomplete | Kind::Stale => 404,
            Kind::Unavailable => 503,
        }
    }
}

/// What failed, where, why, and what a person can do about it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Problem {
    /// The kind, which decides the exit code.
    pub kind: Kind,
    /// A stable code for scripts, `room.what`: `bundle.digest-mismatch`.
    pub code: Cow<'static, str>,
    /// What failed, in one sentence without a full stop.
    pub message: String,
    /// Where: `file:line`, a URL without secrets, or a member and offset.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub place: Option<String>,
    /// Why, from the nearest cause to the farthest.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub causes: Vec<String>,
    /// What helps.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub hints: Vec<String>,
}

impl Problem {
    /// A problem without place, causes or hints yet.
    pub fn new(kind: Kind, code: &'static str, message: impl Into<String>) -> Problem {
        let code = Cow::Borrowed(code);
        Problem { kind, code, message: message.into(), place: None, causes: Vec::new(), hints: Vec::new() }
    }

    /// Says where it happened.
    #[must_use]
    pub fn at(mut self, place: impl fmt::Display) -> Problem {
        self.place = Some(place.to_string());
        self
    }

    /// Adds a cause and, below it, that cause's own sources.
    #[must_use]
    pub fn caused_by(mut self, cause: &dyn std::error::Error) -> Problem {
        let mut next = Some(cause);
        while let Some(error) = next {
            self.causes.push(error.to_string());
            next = error.source();
        }
        self
    }

    /// Adds a cause in words.
    #[must_use]
    pub fn because(mut self, cause: impl Into<String>) -> Problem {
        self.causes.push(cause.into());
        self
    }

    /// Adds a hint: what the person can do. A call in backticks, `` `aftk VERB …` ``, is one for this side: the command
    /// line completes it with the home in use. One for the other side stands without backticks.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Problem {
        self.hints.push(hint.into());
        self
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)?;
        if let Some(place) = &self.place {
            write!(f, " ({place})")?;
        }
        Ok(())
    }
}

impl std::error::Error for Problem {}
