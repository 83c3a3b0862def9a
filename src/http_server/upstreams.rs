//! Hosts of upstreams that the server answers for: a repository stands there at the path that it has at its upstream, so that
//! clients which know no other address find it.

use std::sync::{Arc, PoisonError, RwLock};

/// Where a repository stands as it does at its upstream.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Upstream {
    /// The upstream's host, in lower case.
    pub host: String,
    /// The segments of the path before what the ecosystem's own routes begin with.
    pub prefix: Vec<String>,
    /// Who answers.
    pub ecosystem: &'static str,
    /// The repository; `None`: the virtual one.
    pub repository: Option<String>,
}

/// The upstreams that a server answers for. They may become others while it serves; clones are the same.
#[derive(Debug, Clone, Default)]
pub struct Upstreams(Arc<RwLock<Arc<[Upstream]>>>);

impl Upstreams {
    /// Answers for these, and for no others any more.
    pub fn replace(&self, all: Vec<Upstream>) {
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = all.into();
    }

    /// All of them.
    pub fn all(&self) -> Arc<[Upstream]> {
        Arc::clone(&self.0.read().unwrap_or_else(PoisonError::into_inner))
    }
}
