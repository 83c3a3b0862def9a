//! `aftk forget`: take artifacts out of view.

use super::output;
use super::session::Session;
use crate::config::Site;
use crate::ops::forget::{ForgetReport, Keep, Plan, Wish};
use crate::ops::select::Selector;
use crate::problem::{Kind, Problem};
use crate::units;

/// Take artifacts out of view: their bytes go with the next gc
///
/// They go from every state that one could go back to. What a bundle lists that is imported later comes back, whatever was
/// forgotten before. What an image consists of goes along, unless another one has it or a tag leads to it.
#[derive(Debug, clap::Args)]
#[command(group = clap::ArgGroup::new("which").required(true).args(["selectors", "keep_last", "keep_within"]))]
pub(super) struct Arguments {
    /// What matches, from whoever has it: `npm:left-pad@1.0.0`, `docker:redis:6*`, `channel:prod`, `bundle:prod/42`
    #[arg(value_name = "SELECTOR")]
    selectors: Vec<String>,
    /// The channel that --keep-last and --keep-within are about
    #[arg(long, value_name = "NAME", conflicts_with = "selectors")]
    channel: Option<String>,
    /// Forget what the newest N bundles of the channel do not list, and its earlier states
    #[arg(long, value_name = "N", requires = "channel", value_parser = clap::value_parser!(u64).range(1..))]
    keep_last: Option<u64>,
    /// The same with the bundles that came within a time (30d, 6w, 6m, 1y) and the newest one
    #[arg(long, value_name = "TIME", requires = "channel")]
    keep_within: Option<String>,
    /// Only say what would go, and how much gc would free
    #[arg(short = 'n', long)]
    dry_run: bool,
}

pub(super) fn run(arguments: Arguments, session: &Session) -> Result<(), Problem> {
    let wish = wish(&arguments)?;
    let store = session.existing_store()?;
    let keep_generations = Site::read(&store.layout.site())?.store.keep_generations;
    let planning = store.clone();
    let plan = session.block(move || Plan::make(&planning, &wish, keep_generations))?;
    if arguments.dry_run {
        return session.finish(plan.report(), || show(plan.report()));
    }
    let count = units::count(plan.report().artifacts.len() as u64, "artifact");
    session
        .confirm(&format!("forget {count}, and {} with the next gc?", units::bytes(plan.report().bytes)))?;
    let report = session.block(move || plan.carry_out(&store))?;
    session.finish(&report, || show(&report))?;
    session.say("`aftk gc` frees the bytes; what a later bundle lists comes back");
    Ok(())
}

fn wish(arguments: &Arguments) -> Result<Wish, Problem> {
    let keep = match (arguments.keep_last, &arguments.keep_within) {
        (Some(count), _) => Keep::Last(count),
        (None, Some(text)) => Keep::Within(units::parse_days(text).ok_or_else(|| {
            Problem::new(Kind::Usage, "usage.time", format!("{text:?} is no time"))
                .hint("write a number of days, weeks, months or years: 30d, 6w, 6m, 1y")
        })?),
        (None, None) => {
            let selectors = arguments.selectors.iter().map(|text| Selector::parse(text));
            return Ok(Wish::Selected(selectors.collect::<Result<_, _>>()?));
        }
    };
    // The command line requires it with either.
    Ok(Wish::Outdated { channel: arguments.channel.clone().unwrap_or_default(), keep })
}

fn show(report: &ForgetReport) {
    for artifact in &report.artifacts {
        output::line(&format!(
            "{}  ({}, {})",
            artifact.named.purl, artifact.named.repository, artifact.source
        ));
    }
    let word = if report.dry_run { "would forget" } else { "forgot" };
    output::line(&format!(
        "{word} {}; gc frees {}, {}",
        units::count(report.artifacts.len() as u64, "artifact"),
        units::count(report.blobs, "blob"),
        units::bytes(report.bytes)
    ));
}
