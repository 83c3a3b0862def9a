//! Whose credentials a request brings.
//!
//! A password is hashed once in a few minutes: what was right is remembered by a mark that only this process can make.
//! A token is such a mark, too, rather than a row in a table: nobody can push out another's token by asking for many.
//! Both kinds of mark cover the hash of the account's password, so an account that was removed, or has another password,
//! has neither any more.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use http::HeaderMap;
use http::header::AUTHORIZATION;
use tokio::sync::Semaphore;
use zeroize::Zeroizing;

use super::lasting::{self, LastingTokens};
use crate::blocking::blocking;
use crate::clock;
use crate::problem::{Kind, Problem};
use crate::trust::{AccountList, AccountsFile, AccountsStamp, SessionKey, TrustError};

/// How long a token is good for, as clients are told.
pub(super) const TOKEN_LIFE: Duration = Duration::from_secs(300);
/// How much longer it is: docker sends it to the last moment, and gives up where it is refused.
const TOKEN_GRACE: Duration = Duration::from_secs(30);
/// How long a password that was right need not be hashed again.
const REMEMBERED: Duration = Duration::from_secs(300);
/// How old what is known of the file may be.
const LOOKED: Duration = Duration::from_secs(1);
/// How many passwords are hashed at once: guessing must not take all cores.
const AT_ONCE: usize = 2;
/// How long a password waits for its turn.
const TURN: Duration = Duration::from_secs(10);
/// The longest token in characters: one of ours with the longest name is shorter.
const LONGEST_TOKEN: usize = 512;
/// How many bytes of a token say when it ends.
const END: usize = size_of::<u64>();

/// The accounts of a site, and who is signed in.
#[derive(Debug)]
pub struct Accounts {
    file: AccountsFile,
    key: SessionKey,
    /// From here on tokens count their seconds: the clock on the wall may jump.
    started: Instant,
    known: Mutex<Known>,
    /// The mark of the password that was right, and until when it counts: one for each account at most.
    remembered: Mutex<HashMap<String, ([u8; SessionKey::MARK], Instant)>>,
    turns: Arc<Semaphore>,
    /// What those have who signed in once.
    pub(super) lasting: Arc<LastingTokens>,
}

/// What is known of the file.
#[derive(Debug)]
struct Known {
    list: Result<Arc<AccountList>, Problem>,
    stamp: AccountsStamp,
    looked: Instant,
}

/// Who asks, as far as they showed it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Asker {
    /// Nobody said who.
    Nobody,
    /// Somebody with a token that says that they are nobody: so clients of images ask once they were told how.
    Anonymous,
    /// An account.
    Account(String),
}

/// Why a request gets no further.
#[derive(Debug)]
pub(super) enum Denied {
    /// It brings no credentials, and needs some.
    Needed,
    /// Those that it brings are wrong, or were right once.
    Wrong,
    /// So many passwords are tried that it cannot be known in time.
    Busy,
    /// The accounts cannot be read.
    Failed(Problem),
}

/// What a request brings to show who asks.
pub(super) enum Shown<'a> {
    Nothing,
    Password(Credentials),
    Token(&'a str),
}

/// A name and a password as a client sent them.
pub(super) struct Credentials {
    pub(super) name: String,
    pub(super) password: Zeroizing<String>,
}

impl Accounts {
    /// The accounts in a file, which need not be there yet.
    ///
    /// # Errors
    /// If the file cannot be read, or the system has no randomness.
    pub fn open(path: PathBuf) -> Result<Accounts, Problem> {
        let key = SessionKey::generate()
            .map_err(|reason| TrustError::Key { place: "the key of this process".to_owned(), reason })?;
        let lasting = LastingTokens::at(path.with_file_name("tokens"));
        let (file, started) = (AccountsFile::at(path), clock::instant());
        let (stamp, list) = (file.stamp()?, Arc::new(file.read()?));
        Ok(Accounts {
            file,
            key,
            started,
            known: Mutex::new(Known { list: Ok(list), stamp, looked: started }),
            remembered: Mutex::default(),
            turns: Arc::new(Semaphore::new(AT_ONCE)),
            lasting,
        })
    }

    /// The accounts as they were a second ago at most.
    pub(super) async fn list(self: &Arc<Accounts>) -> Result<Arc<AccountList>, Problem> {
        {
            let mut known = held(&self.known);
            let now = clock::instant();
            if now.saturating_duration_since(known.looked) < LOOKED {
                return known.list.clone();
            }
            // One request looks, and others go on with what is known.
            known.looked = now;
        }
        let here = Arc::clone(self);
        blocking(move || here.look()).await
    }

    /// Reads the file if it is another one than before. Nobody has an account while it cannot be read: it may be that
    /// somebody was to be removed from it.
    fn look(&self) -> Result<Arc<AccountList>, Problem> {
        let stamp = self.file.stamp();
        let list = match &stamp {
            Ok(stamp) => {
                let known = held(&self.known);
                if known.stamp == *stamp && known.list.is_ok() {
                    return known.list.clone();
                }
                drop(known);
                self.file.read()
            }
            // For the same reason, most likely.
            Err(_) => self.file.read(),
        };
        // No mistake of the client's.
        let failed = |error: TrustError| Problem { kind: Kind::Failed, ..error.into() };
        let list = list.map(Arc::new).map_err(failed);
        let mut known = held(&self.known);
        known.stamp = stamp.unwrap_or_default();
        known.list.clone_from(&list);
        list
    }

    /// Who brings these headers.
    pub(super) async fn asker(self: &Arc<Accounts>, headers: &HeaderMap) -> Result<Asker, Denied> {
        if !headers.contains_key(AUTHORIZATION) {
            return Ok(Asker::Nobody);
        }
        let list = self.list().await?;
        if list.is_empty() {
            // Where there are no accounts, nobody was given credentials for this site: a client sends what is another's.
            return Ok(Asker::Nobody);
        }
        match Shown::read(headers)? {
            Shown::Nothing => Ok(Asker::Nobody),
            Shown::Password(credentials) => self.sign_in(&list, credentials).await.map(Asker::Account),
            Shown::Token(token) if lasting::is_lasting(token) => {
                let account = self.lasting.account(&list, token).await?;
                account.map(Asker::Account).ok_or(Denied::Wrong)
            }
            Shown::Token(token) => self.bearer(&list, token, clock::instant()).ok_or(Denied::Wrong),
        }
    }

    /// The account whose credentials these are.
    pub(super) async fn sign_in(
        self: &Arc<Accounts>,
        list: &Arc<AccountList>,
        credentials: Credentials,
    ) -> Result<String, Denied> {
        if self.remembers(list, &credentials, clock::instant()) {
            return Ok(credentials.name);
        }
        let turn = tokio::time::timeout(TURN, Arc::clone(&self.turns).acquire_owned()).await;
        let turn = turn.map_err(|_| Denied::Busy)?.map_err(|_| Denied::Busy)?;
        // The same client may have asked for many things at once, and the first of them was waited for.
        if self.remembers(list, &credentials, clock::instant()) {
            return Ok(credentials.name);
        }
        let (here, list) = (Arc::clone(self), Arc::clone(list));
        let verified = blocking(move || {
            // Until it is computed, though the client may be gone: it must not make room for the next by leaving.
            let _turn = turn;
            let Credentials { name, password } = &credentials;
            let is_right = list.verify(name, password);
            if is_right {
                here.remember(&list, &credentials, clock::instant());
            }
            Ok(is_right.then_some(credentials.name))
        });
        verified.await?.ok_or(Denied::Wrong)
    }

    fn remembers(&self, list: &AccountList, credentials: &Credentials, now: Instant) -> bool {
        let Some(hash) = list.hash(&credentials.name) else { return false };
        let remembered = held(&self.remembered).get(&credentials.name).copied();
        remembered
            .is_some_and(|(mark, until)| now < until && self.key.is_mark(&credentials.parts(hash), &mark))
    }

    fn remember(&self, list: &AccountList, credentials: &Credentials, now: Instant) {
        let Some(hash) = list.hash(&credentials.name) else { return };
        let mark = self.key.mark(&credentials.parts(hash));
        let mut remembered = held(&self.remembered);
        remembered.retain(|_, (_, until)| now < *until);
        remembered.insert(credentials.name.clone(), (mark, now + REMEMBERED));
    }

    /// A token for an account, or for nobody.
    pub(super) fn token(&self, list: &AccountList, account: Option<&str>) -> String {
        self.token_until(list, account, clock::instant() + TOKEN_LIFE + TOKEN_GRACE)
    }

    /// A token is the second at which it ends, its mark and the account's name.
    fn token_until(&self, list: &AccountList, account: Option<&str>, end: Instant) -> String {
        let end = end.saturating_duration_since(self.started).as_secs().to_be_bytes();
        let name = account.unwrap_or_default();
        let hash = list.hash(name).unwrap_or_default();
        let mark = self.key.mark(&token_parts(&end, name, hash));
        URL_SAFE_NO_PAD.encode([&end[..], &mark, name.as_bytes()].concat())
    }

    /// Whose token this is.
    fn bearer(&self, list: &AccountList, token: &str, now: Instant) -> Option<Asker> {
        if token.len() > LONGEST_TOKEN {
            return None;
        }
        let bytes = URL_SAFE_NO_PAD.decode(token).ok()?;
        let (end, rest) = bytes.split_first_chunk::<END>()?;
        let (mark, name) = rest.split_at_checked(SessionKey::MARK)?;
        let name = std::str::from_utf8(name).ok()?;
        let hash = if name.is_empty() { "" } else { list.hash(name)? };
        let is_ours = self.key.is_mark(&token_parts(end, name, hash), mark);
        let second = now.saturating_duration_since(self.started).as_secs();
        if !is_ours || second >= u64::from_be_bytes(*end) {
            return None;
        }
        Some(if name.is_empty() { Asker::Anonymous } else { Asker::Account(name.to_owned()) })
    }
}

/// What the mark of a token covers. The first part tells it from that of a password.
fn token_parts<'a>(end: &'a [u8; END], name: &'a str, hash: &'a str) -> [&'a [u8]; 4] {
    [b"token", end, name.as_bytes(), hash.as_bytes()]
}

impl Shown<'_> {
    /// Reads the Authorization header.
    ///
    /// # Errors
    /// If there are two, or what it holds is nothing that is known here.
    pub(super) fn read(headers: &HeaderMap) -> Result<Shown<'_>, Denied> {
        let mut values = headers.get_all(AUTHORIZATION).iter();
        let (value, None) = (values.next(), values.next()) else { return Err(Denied::Wrong) };
        let Some(value) = value else { return Ok(Shown::Nothing) };
        let value = value.to_str().map_err(|_| Denied::Wrong)?;
        let (scheme, text) = value.split_once(' ').ok_or(Denied::Wrong)?;
        let text = text.trim();
        if scheme.eq_ignore_ascii_case("basic") {
            Credentials::read(text).map(Shown::Password).ok_or(Denied::Wrong)
        } else if scheme.eq_ignore_ascii_case("bearer") {
            Ok(Shown::Token(text))
        } else {
            Err(Denied::Wrong)
        }
    }
}

impl Credentials {
    /// Reads what stands behind `Basic` (RFC 7617).
    fn read(text: &str) -> Option<Credentials> {
        let bytes = Zeroizing::new(STANDARD.decode(text).ok()?);
        let (name, password) = std::str::from_utf8(&bytes).ok()?.split_once(':')?;
        Some(Credentials { name: name.to_owned(), password: Zeroizing::new(password.to_owned()) })
    }

    /// What the mark of a password covers.
    fn parts<'a>(&'a self, hash: &'a str) -> [&'a [u8]; 4] {
        [b"password", self.name.as_bytes(), hash.as_bytes(), self.password.as_bytes()]
    }
}

impl From<Problem> for Denied {
    fn from(problem: Problem) -> Denied {
        Denied::Failed(problem)
    }
}

fn held<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn accounts() -> (tempfile::TempDir, Accounts) {
        let directory = crate::fsx::test_directory();
        let path = directory.path().join("accounts");
        let file = AccountsFile::at(path.clone());
        file.set("ada", "horse").unwrap();
        file.set("bob", "horse").unwrap();
        (directory, Accounts::open(path).unwrap())
    }

    fn of(name: &str, password: &str) -> Credentials {
        Credentials { name: name.to_owned(), password: Zeroizing::new(password.to_owned()) }
    }

    #[test]
    fn a_token_is_its_accounts_until_it_ends() {
        let (_directory, accounts) = accounts();
        let list = accounts.file.read().unwrap();
        let now = clock::instant();
        let end = now + TOKEN_LIFE;
        let account = |name: &str| Some(Asker::Account(name.to_owned()));
        let token = accounts.token_until(&list, Some("ada"), end);
        assert_eq!(accounts.bearer(&list, &token, now), account("ada"));
        assert_eq!(accounts.bearer(&list, &token, end - Duration::from_secs(2)), account("ada"));
        assert_eq!(accounts.bearer(&list, &token, end), None);
        let anonymous = accounts.token_until(&list, None, end);
        assert_eq!(accounts.bearer(&list, &anonymous, now), Some(Asker::Anonymous));
        assert_eq!(accounts.bearer(&list, &anonymous, end), None);
        // Nor after another start, nor with any part changed.
        let again = Accounts::open(_directory.path().join("accounts")).unwrap();
        assert_eq!(again.bearer(&list, &token, now), None);
        let bytes = URL_SAFE_NO_PAD.decode(&token).unwrap();
        for index in 0..bytes.len() {
            let mut other = bytes.clone();
            other[index] ^= 1;
            assert_eq!(accounts.bearer(&list, &URL_SAFE_NO_PAD.encode(&other), now), None, "{index}");
            assert_eq!(accounts.bearer(&list, &URL_SAFE_NO_PAD.encode(&bytes[..index]), now), None);
        }
        assert_eq!(accounts.bearer(&list, &"A".repeat(10_000), now), None);
        // A right mark under another's name.
        let other = [&bytes[..END + SessionKey::MARK], b"bob"].concat();
        assert_eq!(accounts.bearer(&list, &URL_SAFE_NO_PAD.encode(other), now), None);
    }

    #[test]
    fn whoever_is_removed_is_signed_out() {
        let (_directory, accounts) = accounts();
        let (before, now) = (accounts.file.read().unwrap(), clock::instant());
        let ada = of("ada", "horse");
        accounts.remember(&before, &ada, now);
        let token = accounts.token_until(&before, Some("ada"), now + TOKEN_LIFE);
        assert!(accounts.remembers(&before, &ada, now) && accounts.bearer(&before, &token, now).is_some());
        for change in ["password", "removal"] {
            match change {
                "password" => drop(accounts.file.set("ada", "horse").unwrap()),
                _ => accounts.file.remove("ada").unwrap(),
            }
            let after = accounts.file.read().unwrap();
            assert!(!accounts.remembers(&after, &ada, now), "{change}");
            assert!(accounts.bearer(&after, &token, now).is_none(), "{change}");
        }
    }

    #[test]
    fn what_is_remembered_is_one_password_for_a_while() {
        let (_directory, accounts) = accounts();
        let (list, now) = (accounts.file.read().unwrap(), clock::instant());
        accounts.remember(&list, &of("ada", "horse"), now);
        assert!(accounts.remembers(&list, &of("ada", "horse"), now));
        assert!(!accounts.remembers(&list, &of("ada", "house"), now));
        assert!(!accounts.remembers(&list, &of("bob", "horse"), now));
        assert!(!accounts.remembers(&list, &of("ada", "horse"), now + REMEMBERED));
        // What is over goes when the next comes: no more is kept than there are accounts.
        accounts.remember(&list, &of("bob", "horse"), now + REMEMBERED);
        assert_eq!(held(&accounts.remembered).len(), 1);
    }

    #[test]
    fn a_file_that_cannot_be_read_is_nobodys() {
        let (directory, accounts) = accounts();
        let path = directory.path().join("accounts");
        let accounts = Arc::new(accounts);
        let ours = std::fs::read(&path).unwrap();
        assert!(accounts.look().is_ok());
        crate::fsx::replace_private(&path, b"ada:horse\n").unwrap();
        assert!(accounts.look().is_err() && held(&accounts.known).list.is_err());
        crate::fsx::replace_private(&path, &ours).unwrap();
        assert!(accounts.look().is_ok() && held(&accounts.known).list.is_ok());
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn whoever_leaves_makes_no_room_for_more_guesses() {
        let directory = crate::fsx::test_directory();
        let path = directory.path().join("accounts");
        // A quarter of a second for each guess: `htpasswd -nbB -C 12 ada horse`.
        let slow = "ada:$2y$12$JuAM2v.KLI85RVBky8COsuSZJGdtk0t2moX3I2iwOu9rWi7kF56Rq\n";
        crate::fsx::replace_private(&path, slow.as_bytes()).unwrap();
        let accounts = Arc::new(Accounts::open(path).unwrap());
        let list = accounts.list().await.unwrap();
        let here = Arc::clone(&accounts);
        let guess = tokio::spawn(async move { here.sign_in(&list, of("ada", "house")).await });
        while accounts.turns.available_permits() == AT_ONCE {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        // The turn is taken first, and computing begins right after.
        tokio::time::sleep(Duration::from_millis(20)).await;
        guess.abort();
        assert!(guess.await.is_err_and(|error| error.is_cancelled()));
        assert_eq!(accounts.turns.available_permits(), AT_ONCE - 1);
        let all = u32::try_from(AT_ONCE).unwrap();
        let turns = tokio::time::timeout(Duration::from_secs(10), accounts.turns.acquire_many(all));
        assert!(turns.await.is_ok());
    }

    #[test]
    fn credentials_are_read_as_clients_write_them() {
        let read = |text: &str| {
            let found = Credentials::read(&STANDARD.encode(text))?;
            Some((found.name.clone(), found.password.to_string()))
        };
        assert_eq!(read("ada:a:b"), Some(("ada".to_owned(), "a:b".to_owned())));
        assert_eq!(read(":"), Some((String::new(), String::new())));
        assert!(read("ada").is_none() && Credentials::read("%").is_none());
        assert!(Credentials::read(&STANDARD.encode(b"ada:\xff")).is_none());
    }
}
