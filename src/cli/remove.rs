//! `aftk remove`: requests out of an aftk.toml.

use std::path::PathBuf;

use super::output;
use super::session::Session;
use crate::ops::project;
use crate::problem::Problem;

/// Take requests out of aftk.toml, and leave its comments and order as they are
#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    /// The requests, as they stand there
    #[arg(value_name = "REQUEST", required = true)]
    requests: Vec<String>,
    /// Take them out of FILE
    #[arg(short, long, value_name = "FILE", default_value = "aftk.toml")]
    file: PathBuf,
    /// Only say what would be taken out
    #[arg(short = 'n', long)]
    dry_run: bool,
}

pub(super) fn run(arguments: Arguments, session: &Session) -> Result<(), Problem> {
    let report = project::remove(&session.path(&arguments.file), &arguments.requests, arguments.dry_run)?;
    session.finish(&report, || {
        report.changed.iter().for_each(|request| output::line(&format!("- {request}")));
        if !arguments.dry_run {
            session.say("next: `aftk lock`");
        }
    })
}
