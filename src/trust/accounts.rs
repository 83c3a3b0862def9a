//! The accounts of a home: a file of htpasswd's form, a name, a colon and the bcrypt hash of a password a line.
//!
//! It is this side's own, so it may be written by hand or by htpasswd; whatever writes it, a line that is not understood
//! is an error rather than an account less.

use std::collections::BTreeMap;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use super::crypto::PasswordHash;
use super::error::TrustError;
use crate::access::is_account_name;
use crate::fsx;

/// The largest file of accounts that is read, in bytes: some 15,000 accounts.
const LARGEST_FILE: u64 = 1 << 20;

/// The file of a home's accounts, which need not be there.
#[derive(Debug, Clone)]
pub struct AccountsFile {
    path: PathBuf,
}

/// By what it is seen that a file of accounts is another one than before; `None`: there is none.
pub type AccountsStamp = Option<(SystemTime, u64, u64)>;

impl AccountsFile {
    /// The file at a path.
    pub fn at(path: PathBuf) -> AccountsFile {
        AccountsFile { path }
    }

    /// Reads the accounts; none, if there is no file.
    ///
    /// # Errors
    /// If it cannot be read, or a line of it is not understood.
    pub fn read(&self) -> Result<AccountList, TrustError> {
        let bytes = fsx::read_limited(&self.path, LARGEST_FILE)
            .map_err(TrustError::io("read the accounts in", &self.path))?;
        AccountList::parse(&self.path, &bytes.unwrap_or_default())
    }

    /// What the file looks like now, without reading it. Take it before reading: then no change is missed.
    ///
    /// # Errors
    /// If the file system does not answer.
    pub fn stamp(&self) -> Result<AccountsStamp, TrustError> {
        stamp(&self.path)
    }

    /// Whether an account could have this name.
    ///
    /// # Errors
    /// If it could not.
    pub fn check_name(name: &str) -> Result<(), TrustError> {
        if is_account_name(name) { Ok(()) } else { Err(TrustError::AccountName(name.to_owned())) }
    }

    /// Gives an account this password; whether there was one of that name before.
    ///
    /// # Errors
    /// If the name or the password cannot be one, or the file cannot be read or written.
    pub fn set(&self, name: &str, password: &str) -> Result<bool, TrustError> {
        AccountsFile::check_name(name)?;
        if password.is_empty() {
            return Err(TrustError::Password("it is empty"));
        }
        if password.chars().any(char::is_control) {
            return Err(TrustError::Password("it has a control character, which clients cannot send"));
        }
        let hash = PasswordHash::new(password).map_err(TrustError::Password)?;
        self.change(|accounts| Ok(accounts.hashes.insert(name.to_owned(), hash).is_some()))
    }

    /// Removes an account.
    ///
    /// # Errors
    /// If there is none of that name, or the file cannot be read or written.
    pub fn remove(&self, name: &str) -> Result<(), TrustError> {
        self.change(|accounts| match accounts.hashes.remove(name) {
            Some(_) => Ok(()),
            None => Err(TrustError::NoSuchAccount(name.to_owned())),
        })
    }

    fn change<T>(
        &self,
        change: impl FnOnce(&mut AccountList) -> Result<T, TrustError>,
    ) -> Result<T, TrustError> {
        if let Some(home) = self.path.parent() {
            fsx::create_directory(home, fsx::Access::Private).map_err(TrustError::io("make", home))?;
        }
        let lock = self.path.with_extension("lock");
        let _lock = fsx::Lock::passing(&lock).map_err(TrustError::io("lock", &lock))?;
        let mut accounts = self.read()?;
        let done = change(&mut accounts)?;
        fsx::replace_private(&self.path, accounts.text().as_bytes())
            .map_err(TrustError::io("write", &self.path))?;
        Ok(done)
    }
}

/// What a file of accounts, or of what is theirs, looks like now.
pub(super) fn stamp(path: &Path) -> Result<AccountsStamp, TrustError> {
    match std::fs::metadata(path).and_then(|file| Ok((file.modified()?, file.len(), file.ino()))) {
        Ok(stamp) => Ok(Some(stamp)),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(TrustError::io("read", path)(error)),
    }
}

/// Accounts as they were read.
#[derive(Default)]
pub struct AccountList {
    hashes: BTreeMap<String, PasswordHash>,
}

impl AccountList {
    fn parse(path: &Path, bytes: &[u8]) -> Result<AccountList, TrustError> {
        let wrong = |line: usize, reason: &str| TrustError::Accounts {
            place: format!("{}:{line}", path.display()),
            reason: reason.to_owned(),
        };
        let text = std::str::from_utf8(bytes).map_err(|_| wrong(1, "the file is not UTF-8"))?;
        let mut hashes = BTreeMap::new();
        for (index, line) in text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty()) {
            let wrong = |reason: &str| wrong(index + 1, reason);
            let (name, hash) = line.split_once(':').ok_or_else(|| wrong("the line has no colon"))?;
            if !is_account_name(name) {
                return Err(wrong("this cannot name an account"));
            }
            let hash = PasswordHash::read(hash).map_err(wrong)?;
            if hashes.insert(name.to_owned(), hash).is_some() {
                return Err(wrong("there is an account of that name already"));
            }
        }
        Ok(AccountList { hashes })
    }

    fn text(&self) -> String {
        self.hashes.iter().map(|(name, hash)| format!("{name}:{}\n", hash.as_str())).collect()
    }

    /// The names, in byte order.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.hashes.keys().map(String::as_str)
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.hashes.is_empty()
    }

    /// The hash of an account's password, which changes with the password. `None`: there is no such account.
    pub fn hash(&self, name: &str) -> Option<&str> {
        self.hashes.get(name).map(PasswordHash::as_str)
    }

    /// Whether this is the account's password. Computes for some 50 ms, for a name that is nobody's as well: which names
    /// there are cannot be told by the time it takes, as long as all hashes cost the same, as those that are made here.
    pub fn verify(&self, name: &str, password: &str) -> bool {
        match (self.hashes.get(name), self.hashes.values().next()) {
            (Some(hash), _) => hash.is_of(password),
            (None, Some(somebodys)) => {
                somebodys.is_of(password);
                false
            }
            (None, None) => false,
        }
    }
}

impl std::fmt::Debug for AccountList {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_set().entries(self.names()).finish()
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;
    use crate::problem::{Kind, Problem};

    fn accounts() -> (tempfile::TempDir, AccountsFile) {
        let directory = fsx::test_directory();
        let file = AccountsFile::at(directory.path().join("home/accounts"));
        (directory, file)
    }

    #[test]
    fn an_account_has_the_password_that_was_set_last() {
        let (_directory, file) = accounts();
        assert!(file.read().unwrap().is_empty() && file.stamp().unwrap().is_none());
        assert!(!file.set("ada", "first").unwrap());
        let stamp = file.stamp().unwrap();
        assert!(file.set("ada", "second").unwrap() && !file.set("ci", "third").unwrap());
        assert!(stamp.is_some() && file.stamp().unwrap() != stamp);
        let list = file.read().unwrap();
        assert_eq!(list.names().collect::<Vec<_>>(), ["ada", "ci"]);
        assert!(list.verify("ada", "second") && !list.verify("ada", "first") && !list.verify("ci", "second"));
        assert!(!list.verify("eve", "second"));
        file.remove("ada").unwrap();
        assert!(!file.read().unwrap().verify("ada", "second"));
        assert!(matches!(file.remove("ada"), Err(TrustError::NoSuchAccount(_))));
        // The owner's alone, and nothing is left beside it.
        assert_eq!(std::fs::metadata(&file.path).unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(std::fs::read_dir(file.path.parent().unwrap()).unwrap().count(), 1);
    }

    #[test]
    fn what_cannot_be_an_account_is_refused_when_it_is_made() {
        let (_directory, file) = accounts();
        for name in ["", "*", "a:b", "a\nb"] {
            assert!(matches!(file.set(name, "password"), Err(TrustError::AccountName(_))), "{name:?}");
        }
        for password in ["", "a\nb", &"x".repeat(73)] {
            assert!(matches!(file.set("ada", password), Err(TrustError::Password(_))), "{password:?}");
        }
        assert!(!file.path.exists());
    }

    #[test]
    fn a_line_that_is_not_understood_is_named() {
        let (_directory, file) = accounts();
        file.set("ada", "password").unwrap();
        let good = file.read().unwrap().text();
        for (more, reason) in [
            ("bob\n", "no colon"),
            (":x\n", "cannot name an account"),
            ("# comment: x\n", "cannot name an account"),
            ("bob:$apr1$x$y\n", "not hashed by bcrypt"),
            ("bob:{SHA}x\n", "not hashed by bcrypt"),
            ("bob:$2y$10$short\n", "not whole"),
            ("bob:\n", "not hashed by bcrypt"),
            (good.as_str(), "already"),
        ] {
            fsx::replace_private(&file.path, format!("{good}\n{more}").as_bytes()).unwrap();
            let problem = Problem::from(file.read().unwrap_err());
            assert!(problem.message.contains(reason), "{more}: {}", problem.message);
            assert!(problem.place.as_deref().is_some_and(|place| place.ends_with("accounts:3")), "{problem}");
            assert!(problem.kind == Kind::Usage && !problem.hints.is_empty());
            // Nor is it written over.
            assert!(file.set("bob", "password").is_err());
        }
    }
}
