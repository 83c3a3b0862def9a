//! Listing what a store shows.

use bundle_format::Artifact;
use serde::Serialize;

use super::records::Named;
use super::select::{self, Selected, Selector};
use crate::problem::Problem;
use crate::store::{Source, Store};

/// An artifact as `ls` shows it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Shown {
    /// What it is called.
    #[serde(flatten)]
    pub named: Named,
    /// `channel:NAME` or `hosted`.
    pub source: String,
}

impl Shown {
    /// An artifact of this source.
    pub(super) fn of(artifact: &Artifact, source: &Source) -> Shown {
        let source = match source {
            Source::Channel(name) => format!("channel:{name}"),
            Source::Hosted => "hosted".to_owned(),
        };
        Shown { named: Named::of(artifact), source }
    }
}

/// What a store shows.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ListReport {
    /// The artifacts, by ecosystem, name and version.
    pub artifacts: Vec<Shown>,
}

/// Lists what selectors select; all, if there is none.
pub fn list(store: &Store, selectors: &[Selector]) -> Result<ListReport, Problem> {
    let mut artifacts = Vec::new();
    each(store, selectors, &mut |shown| {
        artifacts.push(shown);
        Ok(())
    })?;
    Ok(ListReport { artifacts })
}

/// Walks what selectors select, by ecosystem, name and version as texts, flat in memory.
pub fn each(
    store: &Store,
    selectors: &[Selector],
    visit: &mut dyn FnMut(Shown) -> Result<(), Problem>,
) -> Result<(), Problem> {
    select::each(store, None, selectors, &mut |Selected { linked, .. }| {
        visit(Shown::of(&linked.artifact, &linked.source))
    })?;
    Ok(())
}
