//! What a person must know about what is carried: gaps stop a bundle unless they are accepted, notes stop nothing.

use serde::{Deserialize, Serialize};

/// Something that will be missing inside.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Gap {
    /// The ecosystem.
    pub ecosystem: String,
    /// What is missing, as `[[gap]]` names it.
    pub name: String,
    /// The version, range or address.
    pub version: String,
    /// A stable reason: `git-dependency`, `not-found`, `yanked` …
    pub reason: String,
    /// In words, with who needs it.
    pub detail: String,
}

/// Something a person should know about what is carried, which is no gap.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Note {
    /// A stable code: `npm.install-script`, `npm.open-peer` …
    pub code: String,
    /// What it is about.
    pub subject: String,
    /// In words.
    pub message: String,
}
