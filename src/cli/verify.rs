//! `aftk verify`: every byte of a bundle.

use std::path::PathBuf;

use bundle_format::recovery::Subject;

use super::output;
use super::session::Session;
use crate::ops::verify;
use crate::problem::Problem;
use crate::units;

/// Verify bundles: signatures, every byte, and that all is there; what mends them as well
///
/// Trusts what this home trusts, and its own keys.
#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    /// Bundles, or directories of them
    #[arg(value_name = "BUNDLE", required = true)]
    bundles: Vec<PathBuf>,
}

pub(super) fn run(arguments: Arguments, session: &Session) -> Result<(), Problem> {
    let trust = session.trust()?;
    let paths: Vec<PathBuf> = arguments.bundles.iter().map(|path| session.path(path)).collect();
    let (events, cancel) = (session.events.clone(), session.cancel.clone());
    let result = session.block(move || verify::verify(&paths, &trust.verifier(true)?, &*events, &cancel));
    let report = result?;
    session.finish_bundles(&report, &report.failed, || {
        for bundle in &report.bundles {
            output::line(&format!(
                "{}: sound; {} sequence {}, {} in {}, signed by {}",
                bundle.which.file.display(),
                bundle.which.channel,
                bundle.which.sequence,
                units::count(bundle.artifacts, "artifact"),
                units::bytes(bundle.bytes),
                bundle.which.signers.join(", ")
            ));
        }
        for beside in &report.recovery {
            let what = match beside.subject {
                Subject::Spare { number } => format!("spare volume {number}"),
                Subject::Recovery { number } => format!("mends file {number}"),
            };
            output::line(&format!(
                "{}: sound; {what}, {}",
                beside.file.display(),
                units::bytes(beside.bytes)
            ));
        }
    })
}
