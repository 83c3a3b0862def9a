//! `aftk ls`: what the store shows.

use super::output;
use super::session::Session;
use crate::ops::list::{self, Selector};
use crate::problem::Problem;

/// List what the store shows
#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    /// Only what matches: `npm:@org/*`, `channel:prod`
    #[arg(value_name = "SELECTOR")]
    selectors: Vec<String>,
}

pub(super) fn run(arguments: Arguments, session: &Session) -> Result<(), Problem> {
    let selectors =
        arguments.selectors.iter().map(|text| Selector::parse(text)).collect::<Result<Vec<_>, _>>()?;
    let store = session.existing_store()?;
    if session.global.json {
        let report = session.block(move || list::list(&store, &selectors))?;
        return output::json(&report);
    }
    // A long list is printed as it is read.
    session.block(move || {
        list::each(&store, &selectors, &mut |artifact| {
            let named = &artifact.named;
            output::line(&format!(
                "{}  ({}, {})",
                output::printable(&named.purl),
                named.repository,
                artifact.source
            ));
            Ok(())
        })
    })
}
