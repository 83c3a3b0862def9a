//! `aftk backup FILE`: all of a home that is nowhere else.

use std::path::PathBuf;

use super::output;
use super::session::Session;
use crate::ops::backup::{self, BackupRequest};
use crate::problem::Problem;
use crate::units;

/// Write all of a home that is nowhere else into one file
///
/// Keys, whom it trusts, accounts, site.toml, the catalogue with its audit log, and what clients pushed. What was imported
/// is on the media that it came on: keep those. The file has private keys in it; its owner alone may read it. It is a tar
/// archive with a list of its own for sha256sum.
#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    /// The file to write, which is not there yet
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// Leave out the blobs that clients pushed
    #[arg(long)]
    without_hosted: bool,
    /// Only say what would be in it
    #[arg(short = 'n', long)]
    dry_run: bool,
}

pub(super) fn run(arguments: Arguments, session: &Session) -> Result<(), Problem> {
    let store = session.existing_store()?;
    let request = BackupRequest {
        file: session.path(&arguments.file),
        with_hosted: !arguments.without_hosted,
        dry_run: arguments.dry_run,
    };
    let (events, cancel) = (session.events.clone(), session.cancel.clone());
    let report = session.block(move || backup::backup(&store, &request, &*events, &cancel))?;
    session.finish(&report, || {
        let word = if report.dry_run { "would write" } else { "wrote" };
        let left_out = match report.hosted_blobs_left_out {
            0 => String::new(),
            count => format!("; left out: {} that clients pushed", units::count(count, "blob")),
        };
        output::line(&format!(
            "{word} {}: {}, {}{left_out}",
            report.file.display(),
            units::count(report.files, "file"),
            units::bytes(report.bytes)
        ));
    })?;
    if !report.dry_run {
        session.say("whoever has this file has the private keys of this home; keep the media that were imported as well");
    }
    Ok(())
}
