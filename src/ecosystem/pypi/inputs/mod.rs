//! What projects say that they need, in the forms of every client.
//!
//! Two kinds: documents that ask ([`requirements`], [`pyproject`]) are resolved for each target; lockfiles ([`pylock`],
//! [`uv_lock`], [`poetry_lock`], [`pdm_lock`], [`pipfile_lock`]) have been resolved, and become a [`lock::Lock`], of which a
//! target takes its part. [`uv_settings`] say which indexes are meant, [`build_system`] what builds a project. Nothing is read
//! from anywhere here: what a document includes is for its reader to bring.

pub(crate) mod build_system;
pub(crate) mod lock;
pub(crate) mod pdm_lock;
pub(crate) mod pipfile_lock;
pub(crate) mod poetry_lock;
pub(crate) mod pylock;
pub(crate) mod pyproject;
pub(crate) mod requirements;
pub(crate) mod uv_lock;
pub(crate) mod uv_settings;

use serde::de::DeserializeOwned;

use super::unreadable::Unreadable;
use crate::problem::{Kind, Problem};

/// A problem with a document.
fn damaged(place: &str, why: impl Into<String>) -> Problem {
    let name = place.rsplit('/').next().unwrap_or(place);
    Problem::new(Kind::Usage, "pypi.damaged-input", format!("{name} cannot be read")).at(place).because(why)
}

/// A problem with words in a document.
fn unreadable(place: &str) -> impl Fn(Unreadable) -> Problem {
    move |error| damaged(place, error.to_string())
}

/// Reads a document in TOML.
fn read_toml<T: DeserializeOwned>(text: &str, place: &str) -> Result<T, Problem> {
    toml::from_str(text).map_err(|error| {
        let before = error.span().and_then(|span| text.get(..span.start));
        let line = before.map(|before| before.matches('\n').count() + 1);
        let line = line.map(|line| format!(":{line}")).unwrap_or_default();
        damaged(place, error.message()).at(format_args!("{place}{line}"))
    })
}
