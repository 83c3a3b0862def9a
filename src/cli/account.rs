//! `aftk account`: who may use what this side serves.

use clap::Subcommand;

use super::session::Session;
use super::{output, password};
use crate::ops::account;
use crate::problem::Problem;
use crate::trust::AccountsFile;

/// Say who may use what this side serves
///
/// A running server knows of a change within a second. What accounts may do is said in site.toml: `read = "accounts"`
/// below [serve], and `write` in each [[hosted]].
#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    #[command(subcommand)]
    verb: AccountVerb,
}

#[derive(Debug, Subcommand)]
enum AccountVerb {
    /// Make an account, or give one another password, which is read from stdin
    ///
    /// At most 72 bytes, on one line; at a terminal it is asked for.
    Add {
        /// Its name: letters, digits, `.`, `_`, `-`, `@` and `+`
        #[arg(value_name = "NAME")]
        name: String,
    },
    /// Remove an account; whoever is signed in with it is not any more
    Remove {
        /// Its name
        #[arg(value_name = "NAME")]
        name: String,
    },
    /// List the accounts
    Ls,
}

pub(super) fn run(arguments: Arguments, session: &Session) -> Result<(), Problem> {
    match arguments.verb {
        AccountVerb::Add { name } => add(&name, session),
        AccountVerb::Remove { name } => {
            let store = session.store()?;
            let report = account::remove(&session.home, &store, &name)?;
            session.finish(&report, || output::line(&format!("removed: {name}")))
        }
        AccountVerb::Ls => {
            let report = account::list(&session.home)?;
            session.finish(&report, || report.accounts.iter().for_each(|one| output::line(&one.name)))
        }
    }
}

fn add(name: &str, session: &Session) -> Result<(), Problem> {
    // Before somebody types for nothing.
    AccountsFile::check_name(name)?;
    let password =
        password::read_new(&format!("password for {name}: "), &format!("aftk account add {name}"))?;
    let store = session.store()?;
    let report = account::set(&session.home, &store, name, &password)?;
    session.finish(&report, || {
        let what = if report.was_there { "changed" } else { "added" };
        output::line(&format!("{what}: {name}"));
    })
}
