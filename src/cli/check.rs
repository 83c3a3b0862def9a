//! `aftk check`: is everything that is held what it should be?

use super::session::Session;
use super::{output, progress, units};
use crate::ops::check;
use crate::problem::{Kind, Problem};
use crate::store::RESTORE_CATALOGUE;

/// Re-hash everything in the store, and set aside what is damaged
///
/// A damaged blob is named with the artifacts that need it. The next collect or import brings it back.
#[derive(Debug, clap::Args)]
pub(super) struct Arguments {}

pub(super) fn run(_: Arguments, session: &Session) -> Result<(), Problem> {
    let store = session.existing_store()?;
    let (events, cancel) = (session.events.clone(), session.cancel.clone());
    let result = session.block(move || check::check(&store, &*events, &cancel));
    let report = progress::end(&*session.events, result)?;
    let sound = report.is_sound();
    session.finish(&report, || {
        for line in report.findings() {
            output::line(&output::printable(&line));
        }
        if sound {
            let (blobs, bytes) = (units::count(report.blobs, "blob"), units::bytes(report.bytes));
            output::line(&format!("sound: {blobs}, {bytes}"));
        }
    })?;
    if sound {
        return Ok(());
    }
    let hint = if report.catalogue.is_empty() {
        "collect or import the same bundles again: what is missing comes back, what is held is not copied again"
    } else {
        RESTORE_CATALOGUE
    };
    Err(Problem::new(Kind::Untrusted, "store.unsound", "the store is not sound").hint(hint))
}
