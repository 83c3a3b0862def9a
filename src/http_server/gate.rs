//! Who is let in: held before anything is answered, from memory as well.

use std::sync::Arc;

use http::HeaderMap;

use super::accounts::{Accounts, Asker, Denied};
use super::reply::{Refusal, Reply};
use crate::access::{Hosted, Read};
use crate::ecosystem::{Principal, Serve};

/// Who may read and write what is served.
#[derive(Debug, Clone, Default)]
pub struct Access {
    /// Whether whoever asks is answered.
    pub read: Read,
    /// The repositories that clients write into.
    pub hosted: Vec<Hosted>,
    /// The accounts. Without any, credentials are not looked at, and nobody is an account.
    pub accounts: Option<Arc<Accounts>>,
}

impl Access {
    /// Who brings these headers.
    ///
    /// # Errors
    /// If the credentials are wrong, though nothing needs any: a client has to learn that its token is over.
    pub(super) async fn asker(&self, headers: &HeaderMap) -> Result<Asker, Denied> {
        match &self.accounts {
            Some(accounts) => accounts.asker(headers).await,
            None => Ok(Asker::Nobody),
        }
    }

    /// Whether they may read.
    pub(super) fn admits(&self, asker: &Asker) -> bool {
        self.read == Read::Open || matches!(asker, Asker::Account(_))
    }

    /// Whether there are accounts and something of this ecosystem that they could write into.
    pub(super) async fn has_writers(&self, ecosystem: &str) -> Result<bool, Denied> {
        match &self.accounts {
            Some(accounts) if self.hosted.iter().any(|hosted| hosted.ecosystem == ecosystem) => {
                Ok(!accounts.list().await?.is_empty())
            }
            _ => Ok(false),
        }
    }
}

impl From<Asker> for Principal {
    fn from(asker: Asker) -> Principal {
        match asker {
            Asker::Nobody | Asker::Anonymous => Principal::Anonymous,
            Asker::Account(name) => Principal::Account(name),
        }
    }
}

/// How long whoever could not be signed in waits before they try again, in seconds.
const LATER: u32 = 5;

impl Denied {
    /// What a client is told, in the words of its ecosystem if it is one's.
    ///
    /// # Errors
    /// Always, but for a problem of our own, which is answered as such.
    pub(super) fn refuse(
        self,
        challenge: impl FnOnce() -> String,
        serve: Option<&dyn Serve>,
    ) -> Result<Reply, Refusal> {
        let refusal = match self {
            Denied::Failed(problem) => return Ok(Reply::problem(&problem, serve)),
            Denied::Needed => Refusal::challenge(challenge(), "this needs an account of this site"),
            Denied::Wrong => {
                Refusal::challenge(challenge(), "name, password or token are wrong, or were right once")
            }
            Denied::Busy => Refusal::later(LATER, "too many passwords are being tried; try again"),
        };
        Err(match serve {
            Some(serve) => refusal.in_words_of(serve),
            None => refusal,
        })
    }
}
