//! `aftk gc`: free what nothing refers to.

use super::output;
use super::session::Session;
use crate::config::Site;
use crate::ops::gc::{self, GcRequest};
use crate::problem::Problem;
use crate::units;

/// Free what nothing in the store refers to any more
///
/// What one can go back to with rollback is kept: of each channel the newest two generations, or as many as site.toml
/// says ([store] keep_generations).
#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    /// Only say what would be freed
    #[arg(short = 'n', long)]
    dry_run: bool,
}

pub(super) fn run(arguments: Arguments, session: &Session) -> Result<(), Problem> {
    let store = session.existing_store()?;
    let (events, cancel, dry_run) = (session.events.clone(), session.cancel.clone(), arguments.dry_run);
    let keep_generations = Site::read(&store.layout.site())?.store.keep_generations;
    let request = GcRequest { dry_run, keep_generations };
    let result = session.block(move || gc::gc(&store, &request, &*events, &cancel));
    let report = result?;
    session.finish(&report, || {
        let verb = if dry_run { "would free" } else { "freed" };
        output::line(&format!(
            "{verb} {}, {}",
            units::count(report.blobs, "blob"),
            units::bytes(report.bytes)
        ));
    })
}
