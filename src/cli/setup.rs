//! `aftk setup CLIENT`: point a client at a mirror.

use std::path::PathBuf;

use super::output;
use super::session::Session;
use crate::config;
use crate::ops::setup::{self, Change};
use crate::problem::{Kind, Problem};

/// Print the configuration that points a client at a server
#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    /// The client, such as npm, docker or containerd
    #[arg(value_name = "CLIENT")]
    client: String,
    /// The server's address
    #[arg(long, value_name = "URL", default_value = "http://127.0.0.1:2385")]
    server: String,
    /// Write it into the client's own file, between marks
    #[arg(long, conflicts_with = "undo")]
    write: bool,
    /// Take out what --write wrote
    #[arg(long)]
    undo: bool,
    /// Only say what --write or --undo would change
    #[arg(short = 'n', long)]
    dry_run: bool,
}

pub(super) fn run(arguments: Arguments, session: &Session) -> Result<(), Problem> {
    let file = setup::configuration(&arguments.client, &arguments.server)?;
    if !arguments.write && !arguments.undo {
        session.say(format!("this is for {}", file.place()).as_str());
        if !file.then.is_empty() {
            session.say(file.then);
        }
        return session.finish(&setup::SetupReport::of(&file, None), || output::block(&file.text));
    }
    let home: PathBuf = config::user_home().ok_or_else(|| {
        Problem::new(Kind::Usage, "setup.home", "HOME is not set, so there is no place for the client's file")
    })?;
    let path = home.join(file.path);
    let change = if arguments.write { setup::write } else { setup::undo };
    let changed = change(&path, &file, arguments.dry_run)?;
    if changed != Change::None && !file.then.is_empty() {
        session.say(file.then);
    }
    session.finish(&setup::SetupReport::of(&file, Some(&path)), || {
        let verb = match (changed, arguments.dry_run) {
            (Change::None, _) => "unchanged",
            (Change::Written, false) => "written",
            (Change::Written, true) => "would be written",
            (Change::TakenOut, false) => "our lines are taken out",
            (Change::TakenOut, true) => "our lines would be taken out",
            (Change::Removed, false) => "removed, nothing else was in it",
            (Change::Removed, true) => "would be removed, nothing else is in it",
        };
        output::line(&format!("{}: {verb}", path.display()));
    })
}
