//! `aftk check`: is everything that is held what it should be?

use super::output;
use super::session::Session;
use crate::ops::check;
use crate::problem::{Kind, Problem};
use crate::store::RESTORE_CATALOGUE;
use crate::units;

/// Re-hash everything in the store, and set aside what is damaged
///
/// A damaged blob is named with the artifacts that need it. The next collect or import brings it back.
#[derive(Debug, clap::Args)]
pub(super) struct Arguments {}

pub(super) fn run(_: Arguments, session: &Session) -> Result<(), Problem> {
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
