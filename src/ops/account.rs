//! The accounts of a site: who may use what it serves.

use std::collections::BTreeMap;
use std::path::Path;

use serde::Serialize;

use crate::clock;
use crate::problem::Problem;
use crate::store::{AuditEntry, Change, ChangeSet, Layout, Precondition, Store};
use crate::trust::AccountsFile;

/// The accounts there are.
#[derive(Debug, Clone, Serialize)]
pub struct AccountsReport {
    /// In byte order of their names.
    pub accounts: Vec<AccountReport>,
}

/// An account.
#[derive(Debug, Clone, Serialize)]
pub struct AccountReport {
    /// Its name.
    pub name: String,
}

/// What became of an account.
#[derive(Debug, Clone, Serialize)]
pub struct AccountChange {
    /// Its name.
    pub name: String,
    /// Whether it was there before.
    pub was_there: bool,
}

/// The accounts of a home.
///
/// # Errors
/// If their file cannot be read.
pub fn list(home: &Path) -> Result<AccountsReport, Problem> {
    let list = file(home).read()?;
    Ok(AccountsReport {
        accounts: list.names().map(|name| AccountReport { name: name.to_owned() }).collect(),
    })
}

/// Makes an account, or gives it another password; the audit log of the store says so.
///
/// # Errors
/// If the name or the password cannot be one, or the file cannot be read or written.
pub fn set(home: &Path, store: &Store, name: &str, password: &str) -> Result<AccountChange, Problem> {
    let was_there = file(home).set(name, password)?;
    record(store, if was_there { "account-changed" } else { "account-added" }, name)?;
    Ok(AccountChange { name: name.to_owned(), was_there })
}

/// Removes an account; the audit log of the store says so.
///
/// # Errors
/// If there is none of that name, or the file cannot be read or written.
pub fn remove(home: &Path, store: &Store, name: &str) -> Result<AccountChange, Problem> {
    file(home).remove(name)?;
    record(store, "account-removed", name)?;
    Ok(AccountChange { name: name.to_owned(), was_there: true })
}

fn file(home: &Path) -> AccountsFile {
    AccountsFile::at(Layout::new(home).accounts())
}

fn record(store: &Store, action: &str, name: &str) -> Result<(), Problem> {
    let subject = BTreeMap::from([("account".to_owned(), name.to_owned())]);
    let entry = AuditEntry { time: clock::now_text(), action: action.to_owned(), subject };
    store.catalogue.commit(&ChangeSet { changes: vec![Change::Audit(entry)] }, &Precondition::None)?;
    Ok(())
}
