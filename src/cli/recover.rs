//! `aftk recover`: go on after an old copy of the store was put back.

use std::collections::BTreeMap;

use super::output;
use super::session::Session;
use crate::ops::recover;
use crate::problem::{Kind, Problem};

/// Take new bundles again, after a backup was restored or an old copy of the store put back
///
/// Such a store does not know what was accepted after it was made: an old bundle looks like a new one to it. So it takes
/// only those that it knows, until it is said which are too old. Whoever collects knows the newest of each channel.
#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    /// The lowest sequence of a channel that is taken from now on: prod=42; each channel that is here has to be named
    #[arg(long, value_name = "CHANNEL=SEQUENCE", required = true)]
    min_sequence: Vec<String>,
    /// Only say what would be done
    #[arg(short = 'n', long)]
    dry_run: bool,
}

pub(super) fn run(arguments: Arguments, session: &Session) -> Result<(), Problem> {
    let mut min_sequences = BTreeMap::new();
    for text in &arguments.min_sequence {
        let read = text.split_once('=').and_then(|(name, sequence)| Some((name, sequence.parse().ok()?)));
        let (name, sequence) = read.ok_or_else(|| {
            Problem::new(Kind::Usage, "usage.sequence", format!("{text:?} is no channel with a sequence"))
                .hint("write it so: --min-sequence prod=42")
        })?;
        min_sequences.insert(name.to_owned(), sequence);
    }
    let (store, mut trust, dry_run) = (session.store()?, session.trust()?, arguments.dry_run);
    let report = session.block(move || recover::recover(&store, &mut trust, min_sequences, dry_run))?;
    session.finish(&report, || {
        if !report.was_put_back {
            return output::line("there is nothing to do: this store is what this home accepted last");
        }
        let word = if report.dry_run { "would take" } else { "takes" };
        for (name, sequence) in &report.min_sequences {
            output::line(&format!("{name}: {word} bundles from sequence {sequence} on"));
        }
    })
}
