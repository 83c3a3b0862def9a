//! `aftk login HOST`: sign in to a registry.

use std::io::{IsTerminal as _, Read as _};

use rustix::termios::{LocalModes, OptionalActions, tcgetattr, tcsetattr};
use zeroize::Zeroizing;

use super::network::NetworkArguments;
use super::output;
use super::session::Session;
use crate::ops::login;
use crate::problem::{Kind, Problem};

/// The longest password in bytes: tokens are long.
const LONGEST: u64 = 64 * 1024;

/// Sign in to a registry; the account is kept as docker keeps it
#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    /// The registry: a host, with its port if it has one
    #[arg(value_name = "HOST")]
    host: String,
    /// The user; the password is read from stdin
    #[arg(short, long, value_name = "USER")]
    user: String,
    #[command(flatten)]
    network: NetworkArguments,
}

pub(super) fn run(arguments: Arguments, session: &Session) -> Result<(), Problem> {
    let password = password(&arguments.host)?;
    let store = session.store()?;
    let outside = arguments.network.outside(session, &store, &session.directory)?;
    let report = session.block_on(login::login(&arguments.host, &arguments.user, password, &outside))?;
    if report.in_the_clear {
        session.say("whoever can read that file can read the password; a credsStore in it names a helper that hides it");
    }
    session.finish(&report, || {
        output::line(&format!("signed in to {}, kept by {}", report.host, report.kept_by))
    })
}

/// The password: the first line of stdin, unseen if that is a terminal.
fn password(host: &str) -> Result<Zeroizing<String>, Problem> {
    let unreadable = |error: &std::io::Error| {
        Problem::new(Kind::Usage, "login.no-password", "the password cannot be read from stdin")
            .caused_by(error)
    };
    let stdin = std::io::stdin();
    let seen = if stdin.is_terminal() { tcgetattr(&stdin).ok() } else { None };
    if let Some(seen) = &seen {
        output::ask(&format!("password for {host}: "));
        let mut unseen = seen.clone();
        unseen.local_modes.remove(LocalModes::ECHO);
        tcsetattr(&stdin, OptionalActions::Flush, &unseen).map_err(|error| unreadable(&error.into()))?;
    }
    let mut text = Zeroizing::new(String::new());
    let read = if seen.is_some() {
        stdin.read_line(&mut text)
    } else {
        stdin.lock().take(LONGEST).read_to_string(&mut text)
    };
    if let Some(seen) = &seen {
        // Should it fail, the terminal's own reset is left.
        let _ = tcsetattr(&stdin, OptionalActions::Flush, seen);
        output::ask("\n");
    }
    read.map_err(|error| unreadable(&error))?;
    let password = text.trim_end_matches(['\r', '\n']);
    if password.is_empty() {
        let message = "there is no password on stdin";
        return Err(Problem::new(Kind::Usage, "login.no-password", message)
            .hint(format!("write it there: aftk login {host} --user USER < password-file")));
    }
    Ok(Zeroizing::new(password.to_owned()))
}
