//! Signing in to an upstream that asks who one is.

use std::sync::Arc;

use serde::Serialize;
use zeroize::Zeroizing;

use super::context::Outside;
use crate::blocking::blocking;
use crate::ecosystem::{Keeping, registry};
use crate::fsx::{self, Access};
use crate::problem::{Kind, Problem};

/// What became of it.
#[derive(Debug, Clone, Serialize)]
pub struct LoginReport {
    /// The host.
    pub host: String,
    /// The file or the program that has the account now.
    pub kept_by: String,
    /// Whether whoever can read that file can read the password.
    pub in_the_clear: bool,
}

/// Signs in to a host, and keeps the account where the host's usual client does.
///
/// # Errors
/// As [`crate::ecosystem::Login::log_in`], or if the client's file cannot be written.
pub async fn login(
    host: &str,
    user: &str,
    password: Zeroizing<String>,
    outside: &Arc<Outside>,
) -> Result<LoginReport, Problem> {
    let login = registry::ECOSYSTEMS.iter().find_map(|ecosystem| ecosystem.login()).ok_or_else(|| {
        Problem::new(Kind::Usage, "login.nowhere", "this build knows no hosts that one signs in to")
    })?;
    let keeping = login.log_in(host, user, password, &**outside).await?;
    let host = host.to_owned();
    match keeping {
        Keeping::Helper(program) => Ok(LoginReport { host, kept_by: program, in_the_clear: false }),
        Keeping::File { path, bytes } => {
            let shown = path.display().to_string();
            blocking(move || {
                let made = path
                    .parent()
                    .map_or(Ok(()), |directory| fsx::create_directory(directory, Access::Private));
                made.and_then(|()| fsx::replace_private(&path, &bytes)).map_err(|error| {
                    let message = format!("cannot write {}", path.display());
                    Problem::new(Kind::Failed, "login.unwritable", message).caused_by(&error)
                })
            })
            .await?;
            Ok(LoginReport { host, kept_by: shown, in_the_clear: true })
        }
    }
}
