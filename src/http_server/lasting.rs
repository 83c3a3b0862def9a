//! Tokens that last until they are ended, or their account has another password: what clients keep that sign in once.

use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use crate::blocking::blocking;
use crate::clock;
use crate::problem::{Kind, Problem};
use crate::trust::{AccountList, AccountsStamp, TokenList, TokensFile};

/// What these tokens begin with.
const PREFIX: &str = "aftk_";
/// How old what is known of the file may be.
const LOOKED: Duration = Duration::from_secs(1);

/// The tokens of a site that last.
#[derive(Debug)]
pub(super) struct LastingTokens {
    file: TokensFile,
    known: Mutex<Known>,
}

/// What is known of the file.
#[derive(Debug, Default)]
struct Known {
    list: Arc<TokenList>,
    stamp: AccountsStamp,
    looked: Option<Instant>,
}

/// Whether a token would be one of these.
pub(super) fn is_lasting(token: &str) -> bool {
    token.starts_with(PREFIX)
}

impl LastingTokens {
    pub(super) fn at(path: PathBuf) -> Arc<LastingTokens> {
        Arc::new(LastingTokens { file: TokensFile::at(path), known: Mutex::default() })
    }

    /// Gives an account a token.
    ///
    /// # Errors
    /// If it cannot be noted.
    pub(super) async fn give(
        self: &Arc<LastingTokens>,
        accounts: &Arc<AccountList>,
        account: &str,
    ) -> Result<String, Problem> {
        let mut random = [0; 32];
        getrandom::fill(&mut random).map_err(|error| {
            Problem::new(Kind::Failed, "http.random", "no token could be made").because(error.to_string())
        })?;
        let token = format!("{PREFIX}{}", URL_SAFE_NO_PAD.encode(random));
        let (here, accounts, account) = (Arc::clone(self), Arc::clone(accounts), account.to_owned());
        blocking(move || {
            here.file.give(&accounts, &account, &token)?;
            here.look_again();
            Ok(token)
        })
        .await
    }

    /// Ends a token, if it is one.
    ///
    /// # Errors
    /// If that cannot be noted.
    pub(super) async fn end(self: &Arc<LastingTokens>, token: &str) -> Result<(), Problem> {
        let (here, token) = (Arc::clone(self), token.to_owned());
        blocking(move || {
            here.file.end(&token)?;
            here.look_again();
            Ok(())
        })
        .await
    }

    /// Whose token this is.
    ///
    /// # Errors
    /// If the file cannot be read.
    pub(super) async fn account(
        self: &Arc<LastingTokens>,
        accounts: &AccountList,
        token: &str,
    ) -> Result<Option<String>, Problem> {
        let list = self.list().await?;
        Ok(list.account(accounts, token).map(str::to_owned))
    }

    /// The tokens as they were a second ago at most.
    async fn list(self: &Arc<LastingTokens>) -> Result<Arc<TokenList>, Problem> {
        {
            let known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
            let now = clock::instant();
            if known.looked.is_some_and(|looked| now.saturating_duration_since(looked) < LOOKED) {
                return Ok(Arc::clone(&known.list));
            }
        }
        let here = Arc::clone(self);
        blocking(move || {
            let (looked, stamp) = (clock::instant(), here.file.stamp()?);
            let mut known = here.known.lock().unwrap_or_else(PoisonError::into_inner);
            if known.looked.is_none() || known.stamp != stamp {
                // No mistake of the client's.
                let list = here.file.read();
                known.list = list.map_err(|error| Problem { kind: Kind::Failed, ..error.into() })?.into();
            }
            (known.stamp, known.looked) = (stamp, Some(looked));
            Ok(Arc::clone(&known.list))
        })
        .await
    }

    fn look_again(&self) {
        self.known.lock().unwrap_or_else(PoisonError::into_inner).looked = None;
    }
}
