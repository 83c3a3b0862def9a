//! Packuments as clients write them: to publish a version, or to change what is said of those that are there.

use std::collections::BTreeMap;

use bytes::Bytes;

use super::host::bad_request;
use super::splice;
use crate::ecosystem::Answer;

/// A packument that a client wrote.
#[derive(Debug, Default)]
pub(super) struct Written<'a> {
    /// The package.
    pub(super) name: String,
    /// The objects of versions, as they were written.
    pub(super) versions: BTreeMap<String, &'a str>,
    /// The dist-tags.
    pub(super) tags: BTreeMap<String, String>,
    /// The state of the package from which the client made this.
    pub(super) revision: Option<String>,
    /// Whether a tarball comes with it.
    pub(super) has_tarball: bool,
}

impl<'a> Written<'a> {
    /// Reads a body. As with JSON.parse, the last of several members of one name counts.
    ///
    /// # Errors
    /// The refusal, if it is no packument.
    pub(super) fn read(body: &'a Bytes) -> Result<Written<'a>, Answer> {
        let wrong = |error: &dyn std::fmt::Display| bad_request(&format!("this is no packument: {error}"));
        let text = std::str::from_utf8(body).map_err(|error| wrong(&error))?;
        let mut written = Written::default();
        for (key, value) in splice::members(text).map_err(|error| wrong(&error))? {
            let read = match key.as_str() {
                "name" => serde_json::from_str(value).map(|name| written.name = name),
                "versions" => splice::members(value).map(|all| written.versions = all.into_iter().collect()),
                "dist-tags" => serde_json::from_str(value).map(|tags| written.tags = tags),
                "_rev" => serde_json::from_str(value).map(|revision| written.revision = revision),
                "_attachments" => splice::members(value)
                    .map(|all| written.has_tarball = all.iter().any(|(name, _)| name.ends_with(".tgz"))),
                _ => Ok(()),
            };
            read.map_err(|error| wrong(&format!("its `{key}` is something else: {error}")))?;
        }
        Ok(written)
    }
}
