//! What whoever runs the site should know, said once: clients ask the same thing again and again.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, PoisonError};

/// Whoever is told, by a stable code and in words. Called on threads that answer clients, so it must not block for long.
pub type Warn = Arc<dyn Fn(&str, &str) + Send + Sync>;

/// What was said already.
pub(super) struct Warnings {
    warn: Option<Warn>,
    said: Mutex<BTreeSet<&'static str>>,
}

impl Warnings {
    /// Nothing yet.
    pub(super) fn new(warn: Option<Warn>) -> Warnings {
        Warnings { warn, said: Mutex::default() }
    }

    /// Says something, unless it said something of this code before.
    pub(super) fn say_once(&self, code: &'static str, message: &str) {
        let is_new = self.said.lock().unwrap_or_else(PoisonError::into_inner).insert(code);
        if let Some(warn) = self.warn.as_ref().filter(|_| is_new) {
            warn(code, message);
        }
    }
}
