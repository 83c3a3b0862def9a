//! `aftk check`: is everything that is held what it should be?

use super::output;
use super::session::Session;
use crate::ops::check;
use crate::ops::rebuild::{Old, RebuildReport, Rebuilt};
use crate::problem::{Kind, Problem};
use crate::store::RESTORE_CATALOGUE;
use crate::units;

/// Re-hash everything in the store, and set aside what is damaged
///
/// A damaged blob is named with the artifacts that need it. The next collect or import brings it back.
#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    /// Make the catalogue again from what was imported, in place of one that is lost or damaged; hold it against a sound
    /// one. No other aftk may use this home meanwhile. Blobs are not hashed
    #[arg(long)]
    rebuild: bool,
    /// With --rebuild: only say what it would come to
    #[arg(short = 'n', long, requires = "rebuild")]
    dry_run: bool,
}

pub(super) fn run(arguments: Arguments, session: &Session) -> Result<(), Problem> {
    if arguments.rebuild {
        return rebuild(arguments.dry_run, session);
    }
    let store = session.existing_store()?;
    let (events, cancel) = (session.events.clone(), session.cancel.clone());
    let result = session.block(move || check::check(&store, &*events, &cancel));
    let report = result?;
    if report.is_sound() {
        return session.finish(&report, || {
            let (blobs, bytes) = (units::count(report.blobs, "blob"), units::bytes(report.bytes));
            output::line(&format!("sound: {blobs}, {bytes}"));
        });
    }
    let hint = if report.catalogue.is_empty() {
        "collect or import the same bundles again: what is missing comes back, what is held is not copied again"
    } else {
        RESTORE_CATALOGUE
    };
    let problem = Problem::new(Kind::Untrusted, "store.unsound", "the store is not sound").hint(hint);
    session.finish_failed(&report, problem, || {
        for line in report.findings() {
            output::line(&line);
        }
    })
}

fn rebuild(dry_run: bool, session: &Session) -> Result<(), Problem> {
    session.say_home();
    let (home, events, cancel) = (session.home.clone(), session.events.clone(), session.cancel.clone());
    let rebuilt = session.block(move || Rebuilt::make(&home, &*events, &cancel))?;
    let is_needed = rebuilt.report().old != Old::Sound;
    if is_needed && !dry_run {
        for lost in &rebuilt.report().lost {
            session.say(&format!("lost: {lost}"));
        }
        session.confirm("put the new catalogue in the place of the old one, which is set aside?")?;
        let report = session.block(move || rebuilt.replace())?;
        session.finish(&report, || show(&report))?;
        session.say("`aftk check` says what is missing; importing those bundles again brings it back");
        return Ok(());
    }
    let report = session.block(move || rebuilt.discard())?;
    if report.underived_count == 0 {
        return session.finish(&report, || show(&report));
    }
    let message = format!(
        "the catalogue shows {} that no snapshot lists and no client pushed",
        units::count(report.underived_count, "artifact")
    );
    let problem = Problem::new(Kind::Untrusted, "store.underived", message)
        .hint("somebody else may have written to it; move it out of HOME/store, then `aftk check --rebuild`");
    session.finish_failed(&report, problem, || show(&report))
}

fn show(report: &RebuildReport) {
    for artifact in &report.underived {
        output::line(&format!("no snapshot lists {}  ({})", artifact.named.purl, artifact.source));
    }
    let mut made = format!(
        "{}, {}",
        units::count(report.snapshots, "snapshot"),
        units::count(report.artifacts, "artifact")
    );
    if report.forgotten_count > 0 {
        made.push_str(&format!(", and {} forgotten", report.forgotten_count));
    }
    let line = match (report.old, report.replaced) {
        (Old::Sound, _) => format!("the catalogue is sound: {made}"),
        (_, true) => format!("the catalogue was made again: {made}"),
        (_, false) => format!("the catalogue would be made again: {made}"),
    };
    output::line(&line);
    if let Some(aside) = &report.aside {
        output::line(&format!("the old one is {}", aside.display()));
    }
    if !report.replaced {
        report.lost.iter().for_each(|lost| output::line(&format!("lost: {lost}")));
    }
}
