//! `aftk lock`: resolve, and download nothing but metadata.

use super::collect::What;
use super::network::NetworkArguments;
use super::output;
use super::session::Session;
use crate::ops::lock::{self, LockRequest};
use crate::problem::Problem;
use crate::units;

/// Resolve requests to exact versions, and write them to aftk.lock
///
/// Nothing but metadata is downloaded. A lock that answers the requests stays as it is.
#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    #[command(flatten)]
    what: What,
    /// Resolve, but write nothing
    #[arg(short = 'n', long)]
    dry_run: bool,
    #[command(flatten)]
    network: NetworkArguments,
}

pub(super) fn run(arguments: Arguments, session: &Session) -> Result<(), Problem> {
    let (order, _) = arguments.what.order(session)?;
    let request = LockRequest { order, dry_run: arguments.dry_run };
    let store = session.store()?;
    let result = session.block_on(async {
        let outside =
            arguments.network.outside(session, &store, request.order.directory(&session.directory))?;
        lock::lock(&request, &outside).await
    });
    let report = result?;
    session.finish(&report, || {
        session.remark(&report.notes, &report.gaps);
        if session.global.verbose > 0 || report.lock.is_none() {
            for artifact in &report.artifacts {
                output::line(&output::printable(&artifact.purl));
            }
        }
        if let (Some(lock), false) = (&report.lock, session.global.quiet) {
            let state = if report.held { "unchanged" } else { "written" };
            let artifacts = units::count(report.artifacts.len() as u64, "artifact");
            output::line(&format!("{}: {artifacts}, {state}", lock.display()));
        }
    })
}
