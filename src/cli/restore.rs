//! `aftk restore FILE`: a home from its backup.

use std::path::PathBuf;

use super::output;
use super::session::Session;
use crate::ops::restore;
use crate::problem::Problem;
use crate::units;

/// Make an empty home what it was when it was backed up
///
/// The bytes of what was imported come back when the same bundles are imported again. Others are refused until recover says
/// from which sequences on: what came after the backup is not known to it.
#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    /// What `aftk backup` wrote
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// Only verify the backup
    #[arg(short = 'n', long)]
    dry_run: bool,
}

pub(super) fn run(arguments: Arguments, session: &Session) -> Result<(), Problem> {
    session.say_home();
    let (file, home, dry_run) = (session.path(&arguments.file), session.home.clone(), arguments.dry_run);
    let (events, cancel) = (session.events.clone(), session.cancel.clone());
    let report = session.block(move || restore::restore(&file, &home, dry_run, &*events, &cancel))?;
    session.finish(&report, || {
        let word = if dry_run { "the backup is sound" } else { "restored" };
        output::line(&format!(
            "{word}: {}, {}",
            units::count(report.files, "file"),
            units::bytes(report.bytes)
        ));
        for channel in &report.channels {
            output::line(&format!("{}: up to sequence {}", channel.name, channel.sequence));
        }
    })?;
    if !report.channels.is_empty() {
        session.say("import the bundles that you kept again: `aftk check` says whether anything is missing");
        let channels: Vec<_> = report
            .channels
            .iter()
            .map(|channel| format!("--min-sequence {}=SEQUENCE", channel.name))
            .collect();
        session.say(&format!(
            "others are refused until you say which are too old: `aftk recover {}`",
            channels.join(" ")
        ));
    }
    Ok(())
}
