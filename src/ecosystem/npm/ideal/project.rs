//! What a tree is built for.

use std::sync::Arc;

use serde_json::{Map, Value};

use super::manifest::Manifest;

/// A project: what it needs, and its directories that are packages themselves.
#[derive(Debug)]
pub(crate) struct Project {
    /// What it needs itself.
    pub(crate) manifest: Arc<Manifest>,
    /// Its `overrides`.
    pub(crate) overrides: Map<String, Value>,
    /// Whether they may contradict what it asks for itself, as yarn's `resolutions` may.
    pub(crate) overrides_itself: bool,
    /// Its workspaces, and other directories that it refers to.
    pub(crate) directories: Vec<Directory>,
}

/// A directory that is a package.
#[derive(Debug)]
pub(crate) struct Directory {
    /// Its path from the project's.
    pub(crate) path: Arc<str>,
    /// What it needs.
    pub(crate) manifest: Arc<Manifest>,
    /// Whether it is a workspace.
    pub(crate) is_workspace: bool,
}
