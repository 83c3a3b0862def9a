//! `aftk rollback CHANNEL`: show an earlier state of a channel.

use super::output;
use super::session::Session;
use crate::ops::generations::{self, ShownReport};
use crate::problem::Problem;

/// Show an earlier state of a channel
///
/// Clients of a running serve see it at once; nothing is copied. The next import of the channel continues what is
/// visible then. A bundle that one went back from is held already when it comes again: promote shows it again.
#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    /// The channel
    #[arg(value_name = "CHANNEL")]
    channel: String,
    /// Go back to what was visible with this sequence; else to what was visible before
    #[arg(long, value_name = "SEQUENCE")]
    to: Option<u64>,
    /// Only say what would be shown
    #[arg(short = 'n', long)]
    dry_run: bool,
}

pub(super) fn run(arguments: Arguments, session: &Session) -> Result<(), Problem> {
    let store = session.existing_store()?;
    let Arguments { channel, to, dry_run } = arguments;
    let report = session.block(move || generations::rollback(&store, &channel, to, dry_run))?;
    session.finish(&report, || show(&report))?;
    if report.now.generation != report.newest.generation && !dry_run {
        session.say(&format!("`aftk promote {}` shows the newest again", report.channel));
    }
    Ok(())
}

/// Says which state of a channel is visible.
pub(super) fn show(report: &ShownReport) {
    let (now, before, newest) = (&report.now, &report.before, &report.newest);
    let word = if report.dry_run { "would show" } else { "shows" };
    let was = match before.generation == now.generation {
        true => "as before".to_owned(),
        false => format!("it was {}", before.sequence),
    };
    let newest = match newest.generation == now.generation {
        true => "the newest here".to_owned(),
        false => format!("the newest here is {}", newest.sequence),
    };
    output::line(&format!("{}: {word} sequence {} ({was}, {newest})", report.channel, now.sequence));
}
