//! `aftk import`: the journey's second half.

use std::path::PathBuf;

use super::output;
use super::session::Session;
use crate::ops::import::{self, ImportRequest, Outcome};
use crate::problem::Problem;
use crate::units;

/// Verify bundles and take them into the store
///
/// Nothing of a bundle becomes visible before every byte of it is verified. The media are only read.
#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    /// Bundles, or directories of them
    #[arg(value_name = "PATH", required = true)]
    paths: Vec<PathBuf>,
    /// Verify every byte and say what would be imported, but change nothing
    #[arg(short = 'n', long)]
    dry_run: bool,
    /// Write what a bundle relies on and is not here into FILE, for `aftk collect --missing FILE`
    #[arg(long, value_name = "FILE", conflicts_with = "dry_run")]
    missing: Option<PathBuf>,
}

pub(super) fn run(arguments: Arguments, session: &Session) -> Result<(), Problem> {
    let store = session.store()?;
    let trust = session.trust()?;
    let paths = arguments.paths.iter().map(|path| session.path(path)).collect();
    let missing = arguments.missing.as_ref().map(|path| session.path(path));
    let request = ImportRequest { paths, dry_run: arguments.dry_run, missing };
    let (events, cancel) = (session.events.clone(), session.cancel.clone());
    let result = session.block(move || import::import(&store, &trust, &request, &*events, &cancel));
    let report = result?;
    session.finish_bundles(&report, &report.failed, || {
        for bundle in &report.bundles {
            let outcome = match bundle.outcome {
                _ if arguments.dry_run && bundle.outcome != Outcome::AlreadyHeld => "would be imported",
                Outcome::Imported => "imported",
                Outcome::ImportedLate => "imported late, a newer one keeps its tags",
                Outcome::AlreadyHeld => "already here",
                Outcome::Healed => "already here, what was lost is back",
            };
            output::line(&format!(
                "{}: {outcome}; {} sequence {}, {}, {} new ({})",
                bundle.which.file.display(),
                bundle.which.channel,
                bundle.which.sequence,
                units::count(bundle.artifacts, "artifact"),
                units::count(bundle.new_blobs, "blob"),
                units::bytes(bundle.new_bytes)
            ));
        }
    })
}
