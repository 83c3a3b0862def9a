//! `aftk demo`: the journey for a newcomer.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use super::output;
use super::session::Session;
use crate::demo::{self, Demonstration, Step};
use crate::events::Silent;
use crate::problem::{Kind, Problem};
use crate::units;

/// Show the whole journey on this machine, from collect to install
///
/// Uses a small real npm project, or invented packages if no registry can be reached. Everything is kept in one
/// directory, to be looked at.
#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    /// Fail with exit code 5 rather than use invented packages
    #[arg(long)]
    real: bool,
    /// Keep everything in DIR, which must not exist yet
    #[arg(short, long, value_name = "DIR")]
    out: Option<PathBuf>,
}

pub(super) fn run(arguments: Arguments, session: &Session) -> Result<(), Problem> {
    let directory = match &arguments.out {
        Some(out) => session.path(out),
        None => crate::fsx::lasting_temporary_directory("aftk-demo").map_err(|error| {
            Problem::new(Kind::Failed, "demo.directory", "cannot make a directory for the demo")
                .caused_by(&error)
        })?,
    };
    if arguments.out.is_some() && directory.exists() {
        return Err(Problem::new(
            Kind::Refused,
            "demo.exists",
            format!("{} is there already", directory.display()),
        ));
    }
    // Its parts are read from within each other, so it must not depend on where one stands.
    let directory = std::path::absolute(&directory).map_err(|error| {
        let message = format!("cannot find out where {} is", directory.display());
        Problem::new(Kind::Failed, "demo.directory", message).caused_by(&error)
    })?;
    let how = Demonstration { real: arguments.real, directory };
    let say = !session.global.json;
    let tell = |step: &Step| {
        if say {
            output::line(&format!(
                "{}  ({})",
                step.title,
                units::duration(Duration::from_millis(step.milliseconds))
            ));
            output::line(&format!("    {}", output::printable(&step.result)));
        }
    };
    let result = session.block_on(demo::demonstrate(&how, Arc::new(Silent), &session.cancel, &tell));
    let report = result.map_err(|mut problem| {
        // It does not go on in a directory that is there.
        if problem.kind == Kind::Interrupted {
            problem.hints = vec!["remove the directory to begin again".to_owned()];
        }
        problem
    })?;
    session.finish(&report, || {
        output::line("");
        output::line(&format!("Everything is in {}:", report.directory.display()));
        output::line("    outside/project   the project, its aftk.lock and aftk.ledger");
        output::line("    outside           the collecting side: store and keys");
        output::line("    stick             the bundle, as it would be carried");
        output::line("    damaged.aftk.tar  the copy with the flipped bit");
        output::line("    inside            the other side: trust and store");
        let directory = report.directory.display();
        output::line("Look on:");
        output::line(&format!("    aftk --home {directory}/inside inspect {directory}/stick"));
        output::line(&format!("    aftk --home {directory}/inside serve"));
    })
}
