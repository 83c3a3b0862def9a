//! `aftk init`: an aftk.toml to begin with.

use super::output;
use super::session::Session;
use crate::ops::init;
use crate::problem::Problem;

/// Write an aftk.toml for the lockfiles in this directory
#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    /// What to collect; without any, the lockfiles that are here
    #[arg(value_name = "REQUEST")]
    requests: Vec<String>,
    /// Write into FILE
    #[arg(short, long, value_name = "FILE", default_value = "aftk.toml")]
    file: std::path::PathBuf,
    /// Only say what would be written
    #[arg(short = 'n', long)]
    dry_run: bool,
}

pub(super) fn run(arguments: Arguments, session: &Session) -> Result<(), Problem> {
    let report = init::init(&session.path(&arguments.file), &arguments.requests, arguments.dry_run)?;
    session.finish(&report, || {
        let verb = if arguments.dry_run { "would write" } else { "wrote" };
        output::line(&format!("{verb} {} with {}", report.file.display(), report.requests.join(", ")));
        if !report.passed_over.is_empty() {
            let others = report.passed_over.join(", ");
            session.say(&format!("left out, for another one says what is installed: {others}"));
        }
        if !arguments.dry_run {
            session.say("next: `aftk lock`, commit aftk.toml and aftk.lock, then `aftk collect --out DIR`");
        }
    })
}
