//! What clients asked for and was not here, as requests that somebody outside can collect.

use std::cmp::Reverse;

use serde::{Deserialize, Serialize};

use crate::ecosystem::registry;
use crate::problem::Problem;
use crate::store::{Miss, Store};

/// What clients asked for in vain.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct WantedReport {
    /// The most wanted first.
    pub wanted: Vec<Wanted>,
    /// Whether it was forgotten afterwards.
    pub cleared: bool,
}

/// Something that clients asked for in vain.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Wanted {
    /// The request that would bring it, if one can.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub request: Option<String>,
    /// What was asked for, how often and when last.
    #[serde(flatten)]
    pub miss: Miss,
}

/// Tells what clients asked for in vain; with `clear`, forgets it.
///
/// # Errors
/// If the catalogue cannot be read or written.
pub fn wanted(store: &Store, clear: bool) -> Result<WantedReport, Problem> {
    let mut wanted: Vec<Wanted> = store
        .catalogue
        .misses()?
        .into_iter()
        .map(|miss| {
            let ecosystem = registry::find(&miss.ecosystem);
            let request =
                ecosystem.and_then(|it| it.request_for(&miss.repository, &miss.name, &miss.version));
            // Clients make names up: one that cannot stand on a line is no request.
            let request = request.filter(|request| !request.contains(char::is_control));
            Wanted { request, miss }
        })
        .collect();
    wanted.sort_by_key(|wanted| Reverse(wanted.miss.count));
    if clear {
        store.catalogue.clear_misses()?;
    }
    Ok(WantedReport { wanted, cleared: clear })
}
