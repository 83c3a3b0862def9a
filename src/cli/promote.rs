//! `aftk promote CHANNEL[/SEQUENCE]`: show a later state of a channel.

use super::rollback;
use super::session::Session;
use crate::ops::generations;
use crate::problem::{Kind, Problem};

/// Show a later state of a channel, after a rollback
///
/// Clients of a running serve see it at once; nothing is copied.
#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    /// The channel, and the sequence to show: prod/42; else the newest that is here
    #[arg(value_name = "CHANNEL[/SEQUENCE]")]
    channel: String,
    /// Only say what would be shown
    #[arg(short = 'n', long)]
    dry_run: bool,
}

pub(super) fn run(arguments: Arguments, session: &Session) -> Result<(), Problem> {
    let Arguments { channel, dry_run } = arguments;
    let (channel, sequence) = match channel.split_once('/') {
        None => (channel, None),
        Some((name, sequence)) => {
            let read = sequence.parse().map_err(|_| {
                Problem::new(Kind::Usage, "usage.sequence", format!("{sequence:?} is not a sequence"))
                    .hint("write a channel, or a channel and one of its sequences: prod/42")
            });
            (name.to_owned(), Some(read?))
        }
    };
    let store = session.existing_store()?;
    let report = session.block(move || generations::promote(&store, &channel, sequence, dry_run))?;
    session.finish(&report, || rollback::show(&report))
}
