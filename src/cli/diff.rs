//! `aftk diff`: what one bundle has that another one, or the store, has not.

use std::path::PathBuf;

use super::output;
use super::session::Session;
use crate::ops::diff::{self, DiffSide, DiffTotals};
use crate::ops::difference::Moved;
use crate::problem::Problem;
use crate::units;

/// Show what moved from one bundle to another, or what importing a bundle would change here
///
/// `+` is new, `-` is gone, `~` has other versions or is something else than it was. Only the signed lists are read;
/// `aftk verify` reads every byte. A bundle that adds to its channel removes nothing that is here.
#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    /// A bundle, or a directory with one
    #[arg(value_name = "BUNDLE")]
    first: PathBuf,
    /// The bundle to compare it with; without, the first one is compared with what is here
    #[arg(value_name = "BUNDLE")]
    second: Option<PathBuf>,
    /// Exit with 1 if anything moved
    #[arg(long)]
    exit_code: bool,
}

pub(super) fn run(arguments: Arguments, session: &Session) -> Result<(), Problem> {
    let trust = session.trust()?;
    let first = session.path(&arguments.first);
    let (before, after) = match &arguments.second {
        Some(second) => (Some(first), session.path(second)),
        None => (None, first),
    };
    // Of two bundles one may be a delta, whose other lists are here; but two need no store.
    let store = match session.existing_store() {
        Err(_) if before.is_some() => None,
        store => Some(store?),
    };
    let cancel = session.cancel.clone();
    let report = session.block(move || {
        diff::diff(before.as_deref(), &after, store.as_ref(), &trust.verifier(true)?, &cancel)
    })?;
    let mut unread: Result<(), Problem> = Ok(());
    session.finish(&report, || {
        if !report.differs {
            session.say(&format!("nothing moved from {} to {}", name(&report.from), name(&report.to)));
            return;
        }
        unread = report.changes.iter().try_for_each(|moved| {
            print_moved(&moved?);
            Ok(())
        });
        session.say(&format!(
            "from {} to {}: {}",
            name(&report.from),
            name(&report.to),
            totals(&report.totals)
        ));
    })?;
    unread?;
    if arguments.exit_code && report.differs {
        session.answer(1);
    }
    Ok(())
}

fn name(side: &DiffSide) -> String {
    match (&side.file, side.sequence) {
        (Some(_), Some(sequence)) => format!("{} sequence {sequence}", side.channel),
        (_, Some(sequence)) => format!("{} as it is here (sequence {sequence})", side.channel),
        (_, None) => format!("{} as it is here (nothing)", side.channel),
    }
}

fn totals(totals: &DiffTotals) -> String {
    let counts = [
        (totals.added, "added"),
        (totals.removed, "removed"),
        (totals.updated, "updated"),
        (totals.changed, "changed"),
    ];
    let mut parts: Vec<String> = counts
        .iter()
        .filter(|(count, _)| *count > 0)
        .map(|(count, word)| format!("{} {word}", units::count(*count, "package")))
        .collect();
    if totals.tags > 0 {
        parts.push(format!("{} moved", units::count(totals.tags, "tag")));
    }
    let (blobs, bytes) = (units::count(totals.new_blobs, "blob"), units::bytes(totals.new_bytes));
    parts.push(format!("{blobs} new ({bytes})"));
    parts.join(", ")
}

/// A line for what happened under one name: `+` new, `-` gone, `~` moved or changed.
pub(super) fn print_moved(moved: &Moved) {
    let (from, to) = (moved.from.join(", "), moved.to.join(", "));
    let name = match moved.label.as_str() {
        "" => format!("{}:{}", moved.ecosystem, moved.name),
        label => format!("{}:{} tag {label}", moved.ecosystem, moved.name),
    };
    let size = moved.size.map(|size| format!("  ({})", units::bytes(size))).unwrap_or_default();
    match (from.is_empty(), to.is_empty()) {
        (true, false) => output::line(&format!("+ {name} {to}{size}")),
        (false, true) => output::line(&format!("- {name} {from}")),
        (false, false) => output::line(&format!("~ {name} {from} -> {to}{size}")),
        (true, true) => {}
    }
    if !moved.changed.is_empty() {
        let changed = moved.changed.join(", ");
        let size = if to.is_empty() { size.as_str() } else { "" };
        output::line(&format!("~ {name} {changed}: something else than it was{size}"));
    }
}
