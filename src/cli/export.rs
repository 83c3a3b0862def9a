//! `aftk export`: archives and directories that other programs read.

use std::path::PathBuf;

use clap::builder::{PossibleValue, PossibleValuesParser};

use super::output;
use super::session::Session;
use crate::ops::export::{self, ExportRequest};
use crate::ops::export_files::Outcome;
use crate::ops::select::Selector;
use crate::problem::Problem;
use crate::units;

/// Write images as docker, podman, skopeo and containerd read them, or packages as plain files
///
/// All that the store has of the kind, or what selectors name. Images come with what belongs to them: the platforms that are
/// carried, signatures and other things about them. Nothing is left under the name of OUT unless it is whole; the same
/// things always make the same bytes.
#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    /// What to write
    #[arg(value_name = "KIND", value_parser = kinds())]
    kind: String,
    /// The archive or directory to be made; a file of other contents is left as it is
    #[arg(value_name = "OUT")]
    out: PathBuf,
    /// Only what matches: `docker:redis:7`, `docker:registry.example.org/team/*`, `channel:prod`, `bundle:prod/42`
    #[arg(value_name = "SELECTOR")]
    selectors: Vec<String>,
    /// Only this platform of each image, for example linux/arm64; several are possible. docker-archive holds one, by
    /// default this machine's
    #[arg(short, long, value_name = "PLATFORM")]
    platform: Vec<String>,
    /// Only say what would be written
    #[arg(short = 'n', long)]
    dry_run: bool,
}

fn kinds() -> PossibleValuesParser {
    PossibleValuesParser::new(export::kinds().map(|kind| PossibleValue::new(kind.name).help(kind.about)))
}

pub(super) fn run(arguments: Arguments, session: &Session) -> Result<(), Problem> {
    let selectors =
        arguments.selectors.iter().map(|text| Selector::parse(text)).collect::<Result<Vec<_>, _>>()?;
    let request = ExportRequest {
        kind: arguments.kind,
        out: session.path(&arguments.out),
        platforms: arguments.platform,
        dry_run: arguments.dry_run,
    };
    let store = session.existing_store()?;
    let (events, cancel) = (session.events.clone(), session.cancel.clone());
    let report = session.block(move || export::export(&request, &selectors, &store, &*events, &cancel))?;
    session.remark(&report.notes, &[], &[]);
    session.finish(&report, || {
        for item in &report.items {
            output::line(&format!("{}  {}", item.name, item.digest));
        }
        let verb = match report.outcome {
            None => "would be written",
            Some(Outcome::Written) => "written",
            Some(Outcome::Unchanged) => "unchanged",
        };
        output::line(&format!(
            "{}: {verb}, {}, {}",
            report.out.display(),
            units::count(report.items.len() as u64, if report.kind == "files" { "file" } else { "image" }),
            units::bytes(report.bytes)
        ));
    })
}
