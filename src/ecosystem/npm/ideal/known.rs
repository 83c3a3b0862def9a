//! What is known of packages while a tree is built. Building waits for nothing: where something isn't known it stops, says
//! what it needs, and is begun anew.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::manifest::Manifest;

/// What is asked for: a name and a right side.
pub(crate) type Need = (Arc<str>, Arc<str>);

/// Several of them, each once.
pub(crate) type Needs = BTreeSet<Need>;

/// What is known of something that is asked for.
#[derive(Debug, Clone)]
pub(crate) enum Look {
    /// The version that npm would choose.
    Found(Arc<Manifest>),
    /// There is none.
    Absent,
    /// Nobody looked yet.
    Unknown,
}

/// What is known.
pub(crate) trait Known: Sync {
    /// What a dependency called `name` gets that asks for `text`.
    fn look(&self, name: &str, text: &str) -> Look;
}
