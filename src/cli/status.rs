//! `aftk status`: how each channel stands.

use super::output;
use super::session::Session;
use crate::config::Site;
use crate::ops::status::{self, AsOf, ChannelStatus, NumberRange};
use crate::problem::Problem;
use crate::store::Layout;
use crate::units;

/// Tell how channels stand: what arrived and what did not, how old it is, what clients see
///
/// Ends with 7 if a channel is stale: its newest snapshot has expired, or is older than `max_age` of `[channel.NAME]` in
/// site.toml. Ends with 4 if volumes of a bundle are missing.
#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    /// The channel; without, all of them
    #[arg(value_name = "CHANNEL")]
    channel: Option<String>,
}

pub(super) fn run(arguments: Arguments, session: &Session) -> Result<(), Problem> {
    let rules = Site::read(&Layout::new(&session.home).site())?.channels;
    let (store, trust, cancel) = (session.existing_store()?, session.trust()?, session.cancel.clone());
    let report = session
        .block(move || status::status(&store, &trust, &rules, arguments.channel.as_deref(), &cancel))?;
    let text = || {
        if report.channels.is_empty() {
            session.say("nothing arrived yet");
        }
        report.channels.iter().for_each(print);
    };
    match report.problem() {
        Some(problem) => session.finish_failed(&report, problem, text),
        None => session.finish(&report, text),
    }
}

fn print(status: &ChannelStatus) {
    let mark = if status.stale.is_some() { ": stale" } else { "" };
    output::line(&format!("{}{mark}", status.channel));
    if let Some(newest) = &status.newest {
        output::line(&format!(
            "  newest    sequence {}, created {} ({} ago), accepted {}",
            newest.sequence,
            newest.created,
            units::age(newest.age),
            newest.accepted
        ));
        if let Some(expires) = &newest.expires {
            output::line(&format!("  expires   {expires}"));
        }
    }
    if let Some(why) = &status.stale {
        output::line(&format!("  stale     {why}"));
    }
    let mut arrived = units::count(status.snapshots, "snapshot");
    if !status.not_arrived.is_empty() {
        arrived.push_str(&format!("; never arrived: sequence {}", ranges(&status.not_arrived)));
    }
    // What is packed for a channel here is on its way out.
    let word = if status.packed.is_some() { "packed " } else { "arrived" };
    output::line(&format!("  {word}   {arrived}"));
    for bundle in &status.arriving {
        output::line(&format!(
            "  missing   of sequence {}: volume {} of {} (the first arrived {})",
            bundle.sequence,
            ranges(&bundle.missing),
            bundle.volumes,
            bundle.began
        ));
    }
    if let Some(packed) = &status.packed {
        let artifacts = units::count(packed.artifacts, "artifact");
        let evidence = units::count(packed.evidence, "snapshot");
        output::line(&format!(
            "  lists     {artifacts}, with {evidence} as evidence; here, others show them"
        ));
        return;
    }
    let visible = &status.visible;
    let sequence = visible.sequence.map(|sequence| format!("sequence {sequence}, ")).unwrap_or_default();
    let artifacts = units::count(visible.artifacts, "artifact");
    output::line(&format!("  visible   {sequence}{artifacts} (generation {})", visible.generation));
    for AsOf { about, what, time, age } in &status.as_of {
        output::line(&format!("  as of     {time} ({} ago): {what} of {about}", units::age(*age)));
    }
}

fn ranges(ranges: &[NumberRange]) -> String {
    ranges.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
}
