//! `aftk push TARGET`: bring what is held into another registry.

use clap::ValueEnum;

use super::network::NetworkArguments;
use super::output;
use super::session::Session;
use crate::ecosystem::push::{Outcome, Product, PushOrder};
use crate::ops::push::{self, PushReport};
use crate::ops::select::Selector;
use crate::problem::Problem;
use crate::units;

/// Push images into a registry
///
/// Uploads what the registry does not have: blobs first, tags last. What was interrupted goes on with what is missing.
/// Accounts are those that docker and podman keep.
#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    /// The registry, and what all names there begin with: `docker://registry.example.test/mirror`
    #[arg(value_name = "TARGET")]
    target: String,
    /// Only what matches, with all that belongs to it: `docker:redis`, `docker:registry.example.test/team/*:1.*`,
    /// `channel:prod`, `bundle:prod/42`
    #[arg(value_name = "SELECTOR")]
    selectors: Vec<String>,
    /// What names become: 'docker.io/library/*=base/*'; the first that matches counts
    #[arg(long, value_name = "PATTERN=NAME")]
    map: Vec<String>,
    /// Keep the host of the source in names: docker.io/library/redis; else they begin after it
    #[arg(long)]
    keep_host: bool,
    /// Tag what is pushed with TAG, in place of its own tags; for one image
    #[arg(long, value_name = "TAG")]
    tag: Option<String>,
    /// Leave tags alone that point at something else there, and end with 6
    #[arg(long)]
    no_move_tags: bool,
    /// Where an upload goes on: only where the registry says, if that is its own address; or at the same host, whatever
    /// host it names
    #[arg(long, value_name = "HOW", default_value = "never")]
    rewrite_location: Rewrite,
    /// What the registry is: harbor looks for the project of each image before
    #[arg(long, value_name = "NAME", default_value = "generic")]
    product: ProductName,
    /// Make projects that are not there (with --product harbor), for their members alone
    #[arg(long)]
    create_projects: bool,
    /// Only look what is there, and say what would be done
    #[arg(short = 'n', long)]
    dry_run: bool,
    #[command(flatten)]
    network: NetworkArguments,
}

// What stands at a value itself would give it a paragraph in the verb's help.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Rewrite {
    Never,
    SameHost,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum ProductName {
    Generic,
    Harbor,
}

pub(super) fn run(arguments: Arguments, session: &Session) -> Result<(), Problem> {
    let selectors =
        arguments.selectors.iter().map(|text| Selector::parse(text)).collect::<Result<Vec<_>, _>>()?;
    let store = session.existing_store()?;
    let order = PushOrder {
        target: String::new(),
        map: arguments.map,
        keep_host: arguments.keep_host,
        label: arguments.tag,
        moves_labels: !arguments.no_move_tags,
        same_host: arguments.rewrite_location == Rewrite::SameHost,
        product: match arguments.product {
            ProductName::Generic => Product::Generic,
            ProductName::Harbor => Product::Harbor,
        },
        creates_projects: arguments.create_projects,
        dry_run: arguments.dry_run,
    };
    let report = session.block_on(async {
        let outside = arguments.network.outside(session, &store, &session.directory)?;
        push::push(&arguments.target, order, selectors, &outside).await
    })?;
    match report.problem() {
        None => session.finish(&report, || show(&report, session)),
        Some(problem) => session.finish_failed(&report, problem, || show(&report, session)),
    }
}

fn show(report: &PushReport, session: &Session) {
    for entry in &report.ledger.refs {
        let word = match (entry.outcome, report.dry_run) {
            (Outcome::Present, _) => "present".to_owned(),
            (Outcome::Uploaded, false) => "pushed".to_owned(),
            (Outcome::Uploaded, true) => "would be pushed".to_owned(),
            (Outcome::Moved, false) => "moved".to_owned(),
            (Outcome::Moved, true) => "would be moved".to_owned(),
            (Outcome::Conflict, _) => "conflict".to_owned(),
            (Outcome::Failed, _) => "failed".to_owned(),
        };
        let was = entry.was.as_ref().map(|was| format!(" (there: {was})")).unwrap_or_default();
        output::line(&format!("{}  {word}{was}", entry.target));
    }
    for failure in &report.ledger.failures {
        output::line(&format!("{}  failed: {}", failure.target, failure.problem.message));
    }
    let parts: Vec<String> = report
        .totals
        .parts
        .iter()
        .map(|(state, total)| {
            let state = if state == "exists" { "there already" } else { state };
            format!("{} {state} ({})", units::count(total.count, "blob"), units::bytes(total.bytes))
        })
        .collect();
    let manifests = units::count(report.ledger.artifacts.len() as u64, "manifest");
    if report.ledger.artifacts.is_empty() && report.ledger.failures.is_empty() {
        session.say("nothing is here to be pushed");
    } else {
        session.say(&[vec![manifests], parts].concat().join(", "));
    }
}
