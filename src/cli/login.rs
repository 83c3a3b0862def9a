//! `aftk login HOST`: sign in to a registry.

use super::network::NetworkArguments;
use super::session::Session;
use super::{output, password};
use crate::ops::login;
use crate::problem::Problem;

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
    let host = &arguments.host;
    let password =
        password::read(&format!("password for {host}: "), &format!("aftk login {host} --user USER"))?;
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
