//! `aftk repair`: damaged and lost volumes.

use std::path::PathBuf;

use super::output;
use super::session::Session;
use crate::ops::repair::{self, RepairRequest, Repaired, State};
use crate::problem::Problem;

/// Mend damaged volumes, and make lost ones again
///
/// Copies what media still give into DIR, and mends it there: a damaged volume by the file of recovery that lies beside it
/// (`--recovery`), a lost one by the others and a spare volume (`--survive`). Media are only read. With one drive, call it once for
/// each medium with the same DIR; then import DIR.
#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    /// Volumes, spare ones and files of recovery, or directories of them
    #[arg(value_name = "BUNDLE", required = true)]
    bundles: Vec<PathBuf>,
    /// The directory that gets the sound volumes
    #[arg(short, long, value_name = "DIR")]
    out: PathBuf,
}

pub(super) fn run(arguments: Arguments, session: &Session) -> Result<(), Problem> {
    let trust = session.trust()?;
    let request = RepairRequest {
        paths: arguments.bundles.iter().map(|path| session.path(path)).collect(),
        out: session.writable_directory(&arguments.out)?,
    };
    let (events, cancel) = (session.events.clone(), session.cancel.clone());
    let out = request.out.clone();
    let report =
        session.block(move || repair::repair(&request, &trust.verifier(true)?, &*events, &cancel))?;
    session.finish_bundles(&report, &report.failed, || {
        for bundle in &report.bundles {
            show(bundle);
        }
        let is_whole = |bundle: &Repaired| bundle.volumes.iter().all(|volume| volume.state.is_sound());
        if report.failed.is_empty() && report.bundles.iter().all(is_whole) {
            session.say(&format!("import it with `aftk import {}`", out.display()));
        }
    })
}

/// Prints a line for each volume that is there.
fn show(bundle: &Repaired) {
    for volume in &bundle.volumes {
        let what = match volume.state {
            State::Sound => "sound",
            State::Mended => "mended",
            State::MadeAgain => "made again",
            State::Damaged => "damaged",
            State::Missing => "missing",
        };
        output::line(&format!("{}: {what}", volume.file.display()));
    }
}
