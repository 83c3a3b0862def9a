//! `aftk setup CLIENT`: point a client at a mirror.

use std::path::PathBuf;

use super::output;
use super::session::Session;
use crate::config;
use crate::ops::setup;
use crate::problem::{Kind, Problem};

/// Print the configuration that points a client at a server
#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    /// The client: npm
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
}

pub(super) fn run(arguments: Arguments, session: &Session) -> Result<(), Problem> {
    let file = setup::configuration(&arguments.client, &arguments.server)?;
    if !arguments.write && !arguments.undo {
        return session.finish(&setup::SetupReport::of(&file, None), || print!("{}", file.text));
    }
    let home: PathBuf = config::user_home().ok_or_else(|| {
        Problem::new(Kind::Usage, "setup.home", "HOME is not set, so there is no place for the client's file")
    })?;
    let path = home.join(file.path);
    let changed = if arguments.write { setup::write(&path, &file)? } else { setup::undo(&path, &file)? };
    session.finish(&setup::SetupReport::of(&file, Some(&path)), || {
        let verb = match (changed, arguments.write) {
            (false, _) => "unchanged",
            (true, true) => "written",
            (true, false) => "taken out",
        };
        output::line(&format!("{}: {verb}", path.display()));
    })
}
