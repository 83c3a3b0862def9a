//! `aftk receipt`: what this site has, for whoever packs the next bundle.

use super::output;
use super::session::Session;
use crate::ops::receipt;
use crate::problem::Problem;
use crate::units;

/// Print a signed receipt of what this site has
///
/// Carried out, it makes the next bundle an exact delta: `aftk collect --receipt FILE`. What it lists is kept from gc for
/// 200 days.
#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    /// The name by which outside knows this site
    #[arg(long, value_name = "NAME", default_value = "site")]
    site: String,
    /// List only which bundles are here whole, not every blob: a few lines
    #[arg(long)]
    short: bool,
}

pub(super) fn run(arguments: Arguments, session: &Session) -> Result<(), Problem> {
    let store = session.existing_store()?;
    let trust = session.trust()?;
    let cancel = session.cancel.clone();
    let Arguments { site, short } = arguments;
    let report = session.block(move || receipt::issue(&store, &trust, &site, short, &cancel))?;
    session.finish(&report, || {
        output::block(&report.text);
        let blobs = report.receipt.blobs.as_ref().map(|listing| units::count(listing.count, "blob"));
        session.say(&format!(
            "receipt {} of the site {}: {}{}",
            report.receipt.number,
            report.receipt.site,
            units::count(report.receipt.channels.len() as u64, "channel"),
            blobs.map(|blobs| format!(", {blobs}")).unwrap_or_default()
        ));
    })
}
