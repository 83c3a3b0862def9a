//! `aftk lock`: resolve, and download nothing but metadata.

use super::collect::What;
use super::diff::print_moved;
use super::network::NetworkArguments;
use super::output;
use super::session::Session;
use crate::ops::lock::{self, LockRequest};
use crate::problem::Problem;
use crate::units;

/// Resolve requests to exact versions, and write them to aftk.lock
///
/// Nothing but metadata is downloaded. A lock that answers the requests stays as it is, unless --upgrade is given. What
/// a new lock moves is printed.
#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    #[command(flatten)]
    what: What,
    /// Resolve anew even if the lock answers, and print what moved
    #[arg(long)]
    upgrade: bool,
    /// Resolve anew, but move NAME alone (`name` or `ecosystem:name`), and print what moved; several are possible
    #[arg(short = 'P', long, value_name = "NAME")]
    upgrade_package: Vec<String>,
    /// Resolve, but write nothing
    #[arg(short = 'n', long)]
    dry_run: bool,
    #[command(flatten)]
    network: NetworkArguments,
}

pub(super) fn run(arguments: Arguments, session: &Session) -> Result<(), Problem> {
    let (order, _) = arguments.what.order(session)?;
    let request = LockRequest {
        order,
        upgrade: arguments.upgrade,
        packages: arguments.upgrade_package,
        dry_run: arguments.dry_run,
    };
    let store = session.store()?;
    let result = session.block_on(async {
        let outside =
            arguments.network.outside(session, &store, request.order.directory(&session.directory))?;
        lock::lock(&request, &outside).await
    });
    let report = result?;
    let mut unread = Ok(());
    session.finish(&report, || {
        session.remark(&report.notes, &report.told, &report.gaps);
        if let Some(difference) = report.difference.as_ref().filter(|_| !session.global.quiet) {
            difference.moved.iter().for_each(print_moved);
            if difference.more > 0 {
                output::line(&format!("and {} more", difference.more));
            }
        } else if session.global.verbose > 0 || report.lock.is_none() {
            unread = report.artifacts.iter().try_for_each(|artifact| {
                output::line(&artifact?.purl);
                Ok(())
            });
        }
        if let (Some(lock), false) = (&report.lock, session.global.quiet) {
            let state = if report.held { "unchanged" } else { "written" };
            let artifacts = units::count(report.artifacts.len(), "artifact");
            output::line(&format!("{}: {artifacts}, {state}", lock.display()));
        }
    })?;
    unread
}
