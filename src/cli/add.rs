//! `aftk add`: requests into an aftk.toml.

use std::path::PathBuf;

use super::output;
use super::session::Session;
use crate::ops::project;
use crate::problem::{Kind, Problem};
use crate::units;

/// Add requests to aftk.toml, and leave its comments and order as they are
///
/// What a list asks for and this version cannot collect is named; it ends with 4 then, and the others are added.
#[derive(Debug, clap::Args)]
#[command(group = clap::ArgGroup::new("what").required(true).multiple(true).args(["requests", "from"]))]
pub(super) struct Arguments {
    /// What to collect besides
    #[arg(value_name = "REQUEST")]
    requests: Vec<String>,
    /// Read requests from FILE, as `aftk wanted` prints them
    #[arg(long, value_name = "FILE")]
    from: Option<PathBuf>,
    /// Add them to FILE
    #[arg(short, long, value_name = "FILE", default_value = "aftk.toml")]
    file: PathBuf,
    /// Only say what would be added
    #[arg(short = 'n', long)]
    dry_run: bool,
}

pub(super) fn run(arguments: Arguments, session: &Session) -> Result<(), Problem> {
    let list = arguments.from.as_ref().map(|path| project::read_list(&session.path(path))).transpose()?;
    let file = session.path(&arguments.file);
    let report = project::add(&file, &arguments.requests, list.as_deref(), arguments.dry_run)?;
    let text = || {
        report.changed.iter().for_each(|request| output::line(&format!("+ {request}")));
        report.unchanged.iter().for_each(|request| session.say(&format!("there already: {request}")));
        for refused in &report.refused {
            session.say(&format!("not added: {}: {}", refused.request, refused.problem.message));
        }
        if !report.changed.is_empty() && !arguments.dry_run {
            session.say("next: `aftk lock`");
        }
    };
    if report.refused.is_empty() {
        return session.finish(&report, text);
    }
    let message = format!(
        "{} cannot be collected by this version",
        units::count(report.refused.len() as u64, "request")
    );
    session.finish_failed(&report, Problem::new(Kind::Incomplete, "request.not-collected", message), text)
}
