//! `aftk ls`: what the store shows.

use super::output;
use super::session::Session;
use crate::ops::list;
use crate::ops::select::Selector;
use crate::problem::Problem;

/// List what the store shows
#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    /// Only what matches: `npm:@org/*`, `docker:redis:7`, `channel:prod`, `bundle:prod/42`, `pkg:npm/left-pad`
    #[arg(value_name = "SELECTOR")]
    selectors: Vec<String>,
}

pub(super) fn run(arguments: Arguments, session: &Session) -> Result<(), Problem> {
    let selectors =
        arguments.selectors.iter().map(|text| Selector::parse(text)).collect::<Result<Vec<_>, _>>()?;
    let store = session.existing_store()?;
    if session.global.json {
        let report = session.block(move || list::list(&store, &selectors))?;
        return session.finish(&report, || ());
    }
    // A long list is printed as it is read.
    let shown = session.block(move || {
        let mut shown = 0_u64;
        list::each(&store, &selectors, &mut |artifact| {
            let named = &artifact.named;
            let purl = output::printable(&named.purl);
            let mark = if named.metadata_only { ", metadata only" } else { "" };
            output::line(&format!("{purl}  ({}, {}{mark})", named.repository, artifact.source));
            shown += 1;
            Ok(())
        })?;
        Ok(shown)
    })?;
    if shown == 0 {
        session.say("nothing is here that matches");
    }
    Ok(())
}
