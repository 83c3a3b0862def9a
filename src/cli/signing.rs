//! With which key a verb signs.

use std::path::PathBuf;
use std::sync::Arc;

use bundle_format::Signer;

use super::session::Session;
use crate::problem::Problem;

/// With which key a verb signs.
#[derive(Debug, Clone, clap::Args)]
pub(super) struct SigningArguments {
    /// Sign with this key of the home, or this key file; made on first use
    #[arg(long, value_name = "NAME|FILE")]
    key: Option<String>,
    /// Read the passphrase of the key from FILE
    #[arg(long, value_name = "FILE")]
    passphrase_file: Option<PathBuf>,
    /// Let COMMAND sign, for keys in tokens: it gets what is to be signed on stdin and prints the raw signature; --key
    /// names the file of the public key
    #[arg(long, value_name = "COMMAND", requires = "key", conflicts_with = "passphrase_file")]
    sign_command: Option<String>,
}

impl SigningArguments {
    /// What signs; by the key that a project names, if the command line names none.
    ///
    /// # Errors
    /// If there is no such key, or it cannot be used.
    pub(super) fn signer(
        &self,
        of_project: Option<&str>,
        session: &Session,
    ) -> Result<Arc<dyn Signer + Send + Sync>, Problem> {
        let key = self.key.as_deref().or(of_project);
        Ok(match (&self.sign_command, key) {
            (Some(command), Some(public)) => Arc::new(session.command_signer(public.as_ref(), command)?),
            _ => Arc::new(session.signer(key, self.passphrase_file.as_deref())?),
        })
    }
}
