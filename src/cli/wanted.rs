//! `aftk wanted`: what clients asked for and was not here.

use super::output;
use super::session::Session;
use crate::ops::wanted;
use crate::problem::Problem;
use crate::units;

/// List what clients asked for and was not here, as requests
///
/// Carry the list outside and give it to `aftk add --from FILE`. What is noted while the server runs appears within a second.
#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    /// Forget what is listed
    #[arg(long)]
    clear: bool,
}

pub(super) fn run(arguments: Arguments, session: &Session) -> Result<(), Problem> {
    let store = session.existing_store()?;
    let report = session.block(move || wanted::wanted(&store, arguments.clear))?;
    session.finish(&report, || {
        for wanted in &report.wanted {
            let miss = &wanted.miss;
            let often = format!("{}, last {}", units::count(miss.count, "time"), miss.last);
            match &wanted.request {
                Some(request) => output::line(&format!("{request}  # {often}")),
                None => output::line(&format!(
                    "# no request brings it: {} {} {} {}  ({often})",
                    miss.ecosystem, miss.repository, miss.name, miss.version
                )),
            }
        }
        if report.wanted.is_empty() {
            session.say("nobody asked for anything that is not here");
        } else if report.cleared {
            session.say("forgotten here");
        }
    })
}
