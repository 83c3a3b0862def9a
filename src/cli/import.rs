//! `aftk import`: the journey's second half.

use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::Serialize;

use super::output;
use super::session::Session;
use crate::ops::import::{self, ImportReport, ImportRequest, Imported, Outcome, PIPE};
use crate::ops::watch;
use crate::problem::{Kind, Problem};
use crate::units;

/// How often an inbox is looked at.
const EVERY: Duration = Duration::from_secs(1);

/// Verify bundles and take them into the store
///
/// Nothing of a bundle becomes visible before every byte of it is verified. The media are only read.
#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    /// Bundles, or directories of them; `-` alone: one volume from stdin
    #[arg(value_name = "PATH", required_unless_present = "watch")]
    paths: Vec<PathBuf>,
    /// Import what is in DIR, and what comes there until the program is stopped. A volume is taken once its `.sha256` lies
    /// beside it, or its size does not change any more
    #[arg(long, value_name = "DIR", conflicts_with_all = ["paths", "dry_run", "missing"])]
    watch: Option<PathBuf>,
    /// Verify every byte and say what would be imported, but change nothing
    #[arg(short = 'n', long)]
    dry_run: bool,
    /// Write what a bundle relies on and is not here into FILE, for `aftk collect --missing FILE`
    #[arg(long, value_name = "FILE", conflicts_with = "dry_run")]
    missing: Option<PathBuf>,
}

pub(super) fn run(arguments: Arguments, session: &Session) -> Result<(), Problem> {
    let is_piped = arguments.paths.iter().any(|path| path == Path::new(PIPE));
    if is_piped && (arguments.paths.len() > 1 || arguments.dry_run) {
        let message = "`-` is one volume from stdin, which can be read once";
        return Err(Problem::new(Kind::Usage, "usage.pipe", message)
            .hint("import other paths by themselves, and save to a file what is only to be looked at"));
    }
    let store = session.store()?;
    let trust = session.trust()?;
    if let Some(directory) = &arguments.watch {
        return watch_inbox(session.path(directory), store, trust, session);
    }
    let paths = arguments.paths.iter().map(|path| session.path(path)).collect();
    let missing = arguments.missing.as_ref().map(|path| session.path(path));
    let request = ImportRequest { paths, dry_run: arguments.dry_run, missing };
    let (events, cancel) = (session.events.clone(), session.cancel.clone());
    let result = session.block(move || match is_piped {
        true => {
            let missing = request.missing.as_deref();
            import::import_from(Box::new(std::io::stdin()), (&store, &trust), missing, &*events, &cancel)
        }
        false => import::import(&store, &trust, &request, &*events, &cancel),
    });
    let report = result?;
    session.finish_bundles(&report, &report.failed, || {
        report.bundles.iter().for_each(|bundle| output::line(&line(bundle, arguments.dry_run)));
    })
}

/// What became of a bundle, in a line.
fn line(bundle: &Imported, dry_run: bool) -> String {
    let outcome = match bundle.outcome {
        _ if dry_run && bundle.outcome != Outcome::AlreadyHeld => "would be imported",
        Outcome::Imported => "imported",
        Outcome::ImportedLate => "imported late, a newer one keeps its tags",
        Outcome::AlreadyHeld => "already here",
        Outcome::Healed => "already here, what was lost is back",
    };
    format!(
        "{}: {outcome}; {} sequence {}, {}, {} new ({})",
        bundle.which.file.display(),
        bundle.which.channel,
        bundle.which.sequence,
        units::count(bundle.artifacts, "artifact"),
        units::count(bundle.new_blobs, "blob"),
        units::bytes(bundle.new_bytes)
    )
}

/// What an inbox brought until the program was stopped.
#[derive(Debug, Clone, Copy, Default, Serialize)]
struct WatchReport {
    /// How many bundles were imported, or were here already.
    bundles: u64,
    /// How often one was not accepted, or not whole yet.
    failed: u64,
}

fn watch_inbox(
    directory: PathBuf,
    store: crate::store::Store,
    trust: crate::trust::Trust,
    session: &Session,
) -> Result<(), Problem> {
    session.say(&format!("watching {}", directory.display()));
    let (events, cancel, json) = (session.events.clone(), session.cancel.clone(), session.global.json);
    let report = session.block(move || {
        let mut sum = WatchReport::default();
        let mut found = |report: &ImportReport| {
            sum.bundles += report.bundles.len() as u64;
            sum.failed += report.failed.len() as u64;
            for bundle in report.bundles.iter().filter(|_| !json) {
                output::line(&line(bundle, false));
            }
            // The inbox goes on, so it is no error of the program's.
            for failed in &report.failed {
                let Problem { code, message, .. } = &failed.problem;
                let message = format!("{}: {message}", failed.file.display());
                events.warn(code, message);
            }
        };
        watch::watch((&store, &trust), &directory, EVERY, &mut found, &*events, &cancel)?;
        Ok(sum)
    })?;
    session.finish(&report, || {})
}
