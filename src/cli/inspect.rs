//! `aftk inspect`: what a bundle lists.

mod csv;
mod text;

use std::path::PathBuf;

use clap::ValueEnum;

use super::output;
use super::session::Session;
use crate::ops::inspect::{self, InspectReport, Inspected};
use crate::ops::sbom;
use crate::problem::{Kind, Problem};

/// Show what bundles list, without unpacking them
///
/// Reads only the signed lists; `aftk verify` reads every byte. CSV has a line for each file: a cell that a spreadsheet
/// would take for a formula gets an apostrophe before it.
#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    /// Bundles, or directories of them
    #[arg(value_name = "BUNDLE", required = true)]
    bundles: Vec<PathBuf>,
    /// How to show it; cyclonedx (1.6) and spdx (2.3) are bills of materials in JSON, of one bundle each
    #[arg(long, value_name = "FORMAT", default_value = "tree")]
    format: Format,
}

/// How a bundle is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Format {
    Tree,
    Table,
    Json,
    Csv,
    Cyclonedx,
    Spdx,
}

pub(super) fn run(arguments: Arguments, session: &Session) -> Result<(), Problem> {
    let trust = session.trust()?;
    let paths: Vec<PathBuf> = arguments.bundles.iter().map(|path| session.path(path)).collect();
    // What a delta does not list itself is here, if anywhere.
    let store = session.existing_store().ok();
    let cancel = session.cancel.clone();
    let report = session.block(move || inspect::inspect(&paths, &trust, store.as_ref(), &cancel))?;
    match arguments.format {
        Format::Json => output::json(&report),
        Format::Cyclonedx => output::json(&sbom::cyclonedx(the_one(&report)?)),
        Format::Spdx => output::json(&sbom::spdx(the_one(&report)?)),
        format => {
            let mut unread = Ok(());
            session.finish(&report, || {
                unread = match format {
                    Format::Csv => csv::print(&report.bundles),
                    Format::Table => report.bundles.iter().try_for_each(text::table),
                    _ => report.bundles.iter().try_for_each(text::tree),
                };
            })?;
            unread
        }
    }
}

/// The bundle, if it is one alone.
fn the_one(report: &InspectReport) -> Result<&Inspected, Problem> {
    match report.bundles.as_slice() {
        [bundle] => Ok(bundle),
        _ => Err(Problem::new(Kind::Usage, "inspect.several", "a bill of materials is of one bundle")
            .hint("name one bundle")),
    }
}
