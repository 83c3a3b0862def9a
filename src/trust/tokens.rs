//! The tokens of accounts that last, as npm and yarn keep one for every time somebody signs in: a file of a line for each, with the
//! sha256 of the token, its account and the mark of the password that it was given for, in the order in which they were given.
//!
//! Whoever reads the file has no token: a token is as hard to guess as its hash is.

use std::path::{Path, PathBuf};

use bundle_format::BlobKey;

use super::accounts::{AccountList, AccountsStamp, stamp};
use super::error::TrustError;
use crate::access::is_account_name;
use crate::fsx;

/// The largest file of tokens that is read, in bytes.
const LARGEST_FILE: u64 = 16 << 20;
/// The most tokens of one account: the oldest goes when one more is given, which is nobody else's.
const MOST_OF_ONE: usize = 100;
/// The most tokens in all: as many as the file can have.
const MOST: usize = 80_000;

/// The file of a home's tokens, which need not be there.
#[derive(Debug, Clone)]
pub struct TokensFile {
    path: PathBuf,
}

/// Tokens as they were read.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TokenList(Vec<Given>);

/// A token that was given.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Given {
    token: BlobKey,
    account: String,
    password: BlobKey,
}

impl TokensFile {
    /// The file at a path.
    pub fn at(path: PathBuf) -> TokensFile {
        TokensFile { path }
    }

    /// Reads the tokens; none, if there is no file.
    ///
    /// # Errors
    /// If it cannot be read, or a line of it is not understood.
    pub fn read(&self) -> Result<TokenList, TrustError> {
        let bytes = fsx::read_limited(&self.path, LARGEST_FILE)
            .map_err(TrustError::io("read the tokens in", &self.path))?;
        TokenList::parse(&self.path, &bytes.unwrap_or_default())
    }

    /// What the file looks like now, without reading it. Take it before reading: then no change is missed.
    ///
    /// # Errors
    /// If the file system does not answer.
    pub fn stamp(&self) -> Result<AccountsStamp, TrustError> {
        stamp(&self.path)
    }

    /// Notes that a token was given to an account. Those of accounts that are gone, or have another password, go.
    ///
    /// # Errors
    /// If there are too many in all, or the file cannot be read or written.
    pub fn give(&self, accounts: &AccountList, account: &str, token: &str) -> Result<(), TrustError> {
        let password = accounts.hash(account).map(|hash| BlobKey::of(hash.as_bytes()));
        let password = password.ok_or_else(|| TrustError::NoSuchAccount(account.to_owned()))?;
        self.change(|tokens| {
            tokens.retain(|given| given.is_good(accounts));
            let mut own = tokens.iter().filter(|given| given.account == account).count();
            tokens.retain(|given| {
                let is_too_much = given.account == account && own >= MOST_OF_ONE;
                own -= usize::from(is_too_much);
                !is_too_much
            });
            if tokens.len() >= MOST {
                return Err(TrustError::TooManyTokens(MOST));
            }
            let token = BlobKey::of(token.as_bytes());
            tokens.push(Given { token, account: account.to_owned(), password });
            Ok(())
        })
    }

    /// Ends a token; says whether there was one.
    ///
    /// # Errors
    /// If the file cannot be read or written.
    pub fn end(&self, token: &str) -> Result<bool, TrustError> {
        let token = BlobKey::of(token.as_bytes());
        if !self.read()?.0.iter().any(|given| given.token == token) {
            return Ok(false);
        }
        self.change(|tokens| {
            tokens.retain(|given| given.token != token);
            Ok(true)
        })
    }

    fn change<T>(
        &self,
        change: impl FnOnce(&mut Vec<Given>) -> Result<T, TrustError>,
    ) -> Result<T, TrustError> {
        let lock = self.path.with_extension("lock");
        let _lock = fsx::Lock::passing(&lock).map_err(TrustError::io("lock", &lock))?;
        let TokenList(mut tokens) = self.read()?;
        let done = change(&mut tokens)?;
        let lines: String = tokens.iter().map(Given::line).collect();
        fsx::replace_private(&self.path, lines.as_bytes()).map_err(TrustError::io("write", &self.path))?;
        Ok(done)
    }
}

impl TokenList {
    fn parse(path: &Path, bytes: &[u8]) -> Result<TokenList, TrustError> {
        let read = |line: &str| {
            let mut words = line.split(' ');
            let (Some(token), Some(account), Some(password), None) =
                (words.next(), words.next(), words.next(), words.next())
            else {
                return None;
            };
            Some(Given {
                token: BlobKey::from_hex(token).ok()?,
                account: Some(account).filter(|name| is_account_name(name))?.to_owned(),
                password: BlobKey::from_hex(password).ok()?,
            })
        };
        let wrong = |line: usize| TrustError::Tokens { place: format!("{}:{line}", path.display()) };
        let text = std::str::from_utf8(bytes).map_err(|_| wrong(1))?;
        let lines = text.lines().enumerate();
        lines
            .map(|(index, line)| read(line).ok_or_else(|| wrong(index + 1)))
            .collect::<Result<_, _>>()
            .map(TokenList)
    }

    /// Whose token this is, if it is one of an account that still has the password for which it was given.
    pub fn account(&self, accounts: &AccountList, token: &str) -> Option<&str> {
        let token = BlobKey::of(token.as_bytes());
        let given = self.0.iter().find(|given| given.token == token)?;
        given.is_good(accounts).then_some(given.account.as_str())
    }
}

impl Given {
    fn is_good(&self, accounts: &AccountList) -> bool {
        accounts.hash(&self.account).is_some_and(|hash| BlobKey::of(hash.as_bytes()) == self.password)
    }

    fn line(&self) -> String {
        format!("{} {} {}\n", self.token.hex(), self.account, self.password.hex())
    }
}

#[cfg(test)]
mod tests {
    use super::super::accounts::AccountsFile;
    use super::*;

    fn files() -> (tempfile::TempDir, AccountsFile, TokensFile) {
        let directory = fsx::test_directory();
        let accounts = AccountsFile::at(directory.path().join("accounts"));
        for name in ["ada", "bob"] {
            accounts.set(name, "horse").unwrap();
        }
        let tokens = TokensFile::at(directory.path().join("tokens"));
        (directory, accounts, tokens)
    }

    #[test]
    fn a_token_lasts_as_long_as_its_password_and_until_it_is_ended() {
        let (_directory, accounts, tokens) = files();
        let before = accounts.read().unwrap();
        for (name, token) in [("ada", "one"), ("ada", "two"), ("bob", "three")] {
            tokens.give(&before, name, token).unwrap();
        }
        assert!(matches!(tokens.give(&before, "eve", "x"), Err(TrustError::NoSuchAccount(_))));
        let whose =
            |list: &AccountList, token: &str| tokens.read().unwrap().account(list, token).map(str::to_owned);
        assert_eq!(whose(&before, "one").as_deref(), Some("ada"));
        assert_eq!(whose(&before, "three").as_deref(), Some("bob"));
        assert_eq!(whose(&before, "four"), None);
        assert!(tokens.end("one").unwrap() && !tokens.end("one").unwrap());
        assert_eq!((whose(&before, "one"), whose(&before, "two").as_deref()), (None, Some("ada")));
        accounts.set("ada", "donkey").unwrap();
        accounts.remove("bob").unwrap();
        let after = accounts.read().unwrap();
        assert_eq!((whose(&after, "two"), whose(&after, "three")), (None, None));
        // Not even if the account comes back.
        accounts.set("bob", "horse").unwrap();
        assert_eq!(whose(&accounts.read().unwrap(), "three"), None);
        tokens.give(&after, "ada", "five").unwrap();
        assert_eq!(tokens.read().unwrap().0.len(), 1, "what is good for nothing goes");
    }

    #[test]
    fn an_account_pushes_out_its_own_tokens_alone() {
        let (_directory, accounts, tokens) = files();
        let list = accounts.read().unwrap();
        tokens.give(&list, "bob", "his").unwrap();
        for number in 0..=MOST_OF_ONE {
            tokens.give(&list, "ada", &format!("hers {number}")).unwrap();
        }
        let read = tokens.read().unwrap();
        assert_eq!(read.0.len(), MOST_OF_ONE + 1);
        let is_good = |token: &str| read.account(&list, token).is_some();
        assert!(is_good("his") && !is_good("hers 0") && is_good("hers 1"));
    }

    #[test]
    fn a_line_that_is_not_understood_is_an_error() {
        let (_directory, _, tokens) = files();
        for text in ["x\n", "00 ada 00\n", "\u{e9}"] {
            fsx::replace_private(&tokens.path, text.as_bytes()).unwrap();
            assert!(tokens.read().is_err(), "{text}");
        }
    }
}
