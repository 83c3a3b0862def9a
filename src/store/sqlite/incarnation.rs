//! Whether this is the store that went on from what this home accepted last, or an old copy of it.
//!
//! With every snapshot that is accepted the catalogue gets another random text, its *incarnation*, which is written to a
//! place outside of the store afterwards. Whoever dies in between leaves the one before there, which is as good.

use rusqlite::{Connection, Transaction};

use super::SqliteCatalogue;
use crate::fsx::{self, Access, Lock};
use crate::store::StoreError;
use crate::store::error::io_error;

/// The most bytes of the other place that are read: whatever is longer is none of ours.
const LIMIT: u64 = 256;

/// A commit with which the catalogue gets another incarnation. Nobody else commits such a one meanwhile.
pub(super) struct Renewal {
    /// The new one.
    pub(super) incarnation: String,
    /// Whether the other place follows, whatever stands there.
    is_recovery: bool,
    _alone: Lock,
}

/// What the catalogue says, and said before that.
fn own(connection: &Connection) -> Result<[String; 2], StoreError> {
    let sql = "SELECT incarnation, incarnation_before FROM state";
    Ok(connection.query_row(sql, [], |row| Ok([row.get(0)?, row.get(1)?]))?)
}

/// Gives the catalogue another incarnation.
pub(super) fn renew(transaction: &Transaction<'_>, incarnation: &str) -> Result<(), StoreError> {
    let sql = "UPDATE state SET incarnation_before = incarnation, incarnation = ?1";
    transaction.execute(sql, [incarnation])?;
    Ok(())
}

impl SqliteCatalogue {
    /// Prepares a renewal.
    pub(super) fn begin_renewal(&self, is_recovery: bool) -> Result<Renewal, StoreError> {
        let path = self.layout.incarnation_lock();
        let alone = Lock::exclusive(&path).map_err(|error| io_error("cannot lock", &path, error))?;
        let incarnation = fsx::random_name().map_err(|error| io_error("cannot name", &path, error))?;
        // Only one step may be outstanding.
        self.follow()?;
        Ok(Renewal { incarnation, is_recovery, _alone: alone })
    }

    /// Tells the other place, once the renewal is committed.
    pub(super) fn end_renewal(&self, renewal: &Renewal) -> Result<(), StoreError> {
        if renewal.is_recovery { self.tell(&renewal.incarnation) } else { self.follow() }
    }

    /// Whether the other place says something else.
    pub(super) fn differs(&self) -> Result<bool, StoreError> {
        let path = self.layout.incarnation_lock();
        let _alone = Lock::exclusive(&path).map_err(|error| io_error("cannot lock", &path, error))?;
        Ok(!self.database.read(own)?.contains(&self.told()?))
    }

    /// Tells the other place what it has missed, if it is but one step.
    fn follow(&self) -> Result<(), StoreError> {
        let [own, before] = self.database.read(own)?;
        if own != before && self.told()? == before { self.tell(&own) } else { Ok(()) }
    }

    /// What the other place says; nothing, if it is not there.
    fn told(&self) -> Result<String, StoreError> {
        let path = self.layout.incarnation();
        let read = fsx::read_limited(&path, LIMIT).map_err(|error| io_error("cannot read", &path, error))?;
        Ok(String::from_utf8_lossy(&read.unwrap_or_default()).trim_end().to_owned())
    }

    fn tell(&self, incarnation: &str) -> Result<(), StoreError> {
        let path = self.layout.incarnation();
        let directory = path.parent().unwrap_or(&path);
        fsx::create_directory(directory, Access::Private)
            .and_then(|()| fsx::replace_private(&path, format!("{incarnation}\n").as_bytes()))
            .map_err(|error| io_error("cannot write", &path, error))
    }
}
