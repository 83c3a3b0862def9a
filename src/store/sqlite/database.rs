//! Connections: one that writes, some that read, and what every transaction has in common.

use std::path::{Path, PathBuf};
use std::sync::{Condvar, Mutex, PoisonError};
use std::time::Duration;

use rusqlite::config::DbConfig;
use rusqlite::{Connection, ErrorCode, OpenFlags, Transaction, TransactionBehavior};

use super::schema;
use crate::fsx;
use crate::store::StoreError;

/// How many connections are kept for reading.
const READERS: usize = 8;
/// Who finds all of them in use waits this long for one, and then opens another: that costs several times what most reads
/// do. Not for ever, because who has one may be waiting as well, for what it reads in between.
const READER_WAIT: Duration = Duration::from_millis(20);
/// How many prepared statements a connection keeps.
const STATEMENTS: usize = 96;
/// A writer waits this long, in steps of [`WAIT`], for the writers of other processes.
const PATIENCE: Duration = Duration::from_secs(60);
/// See [`PATIENCE`]. Short, because those who write much pause only shortly.
const WAIT: Duration = Duration::from_millis(1);
/// Pages of the log before it is copied into the database, which waits for the disk: 64 MiB. Batches of a large
/// import touch the same pages again and again, so that copying after each would write them many times.
const LOG_PAGES: i64 = 16 * 1024;
/// KiB of pages that a writing and a reading connection keep.
const WRITER_CACHE: i32 = 24 * 1024;
const READER_CACHE: i32 = 2 * 1024;

/// When a transaction is durable.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Durable {
    /// When its commit returns.
    Now,
    /// With the next one that is durable now, or soon by itself; it survives the process, not a power cut.
    Soon,
}

pub(super) struct Database {
    path: PathBuf,
    writer: Mutex<Writer>,
    readers: Mutex<Readers>,
    /// Told when one is idle again.
    returned: Condvar,
}

#[derive(Default)]
struct Readers {
    idle: Vec<Connection>,
    in_use: usize,
}

struct Writer {
    connection: Connection,
    durable: Durable,
}

impl Database {
    /// Opens the database; makes it only where no store was `made` before.
    pub(super) fn open(path: &Path, made: bool) -> Result<Database, StoreError> {
        fsx::fault_point(path, "open").map_err(|error| fault(&error))?;
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE
            | OpenFlags::SQLITE_OPEN_CREATE
            | OpenFlags::SQLITE_OPEN_NO_MUTEX
            | OpenFlags::SQLITE_OPEN_NOFOLLOW;
        let mut connection = connect(path, flags, WRITER_CACHE)?;
        let mode: String =
            connection.pragma_update_and_check(None, "journal_mode", "wal", |row| row.get(0))?;
        if mode != "wal" {
            return Err(StoreError::Unsuitable(format!(
                "{} cannot have a write-ahead log on this file system",
                path.display()
            )));
        }
        connection.pragma_update(None, "synchronous", "full")?;
        connection.pragma_update(None, "wal_autocheckpoint", LOG_PAGES)?;
        connection.pragma_update(None, "journal_size_limit", LOG_PAGES * 4096)?;
        schema::migrate(&mut connection, made)?;
        let writer = Mutex::new(Writer { connection, durable: Durable::Now });
        Ok(Database { path: path.to_owned(), writer, readers: Mutex::default(), returned: Condvar::new() })
    }

    /// Reads. Several statements see one state only within a transaction of their own.
    pub(super) fn read<T>(
        &self,
        work: impl FnOnce(&Connection) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        let mut reader = self.reader();
        let connection = match reader.connection.take() {
            Some(connection) => connection,
            None => {
                let flags = OpenFlags::SQLITE_OPEN_READ_WRITE
                    | OpenFlags::SQLITE_OPEN_NO_MUTEX
                    | OpenFlags::SQLITE_OPEN_NOFOLLOW;
                let connection = connect(&self.path, flags, READER_CACHE)?;
                connection.pragma_update(None, "query_only", true)?;
                connection
            }
        };
        let result = work(&connection);
        reader.connection = Some(connection);
        result
    }

    /// A place among the readers, with a connection if one is idle.
    fn reader(&self) -> Reader<'_> {
        let readers = self.readers.lock().unwrap_or_else(PoisonError::into_inner);
        let all_in_use = |readers: &mut Readers| readers.idle.is_empty() && readers.in_use >= READERS;
        let waited = self.returned.wait_timeout_while(readers, READER_WAIT, all_in_use);
        let (mut readers, _) = waited.unwrap_or_else(PoisonError::into_inner);
        readers.in_use += 1;
        Reader { database: self, connection: readers.idle.pop() }
    }

    /// Reads with several statements that all see the same state.
    pub(super) fn read_at_once<T>(
        &self,
        work: impl FnOnce(&Connection) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        self.read(|connection| {
            let transaction = connection.unchecked_transaction()?;
            let value = work(&transaction)?;
            transaction.finish()?;
            Ok(value)
        })
    }

    /// Writes: all that `work` does becomes visible at once, or nothing if it fails. No two run at the same time.
    pub(super) fn write<T>(
        &self,
        durable: Durable,
        work: impl FnOnce(&Transaction<'_>) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        let mut writer = self.writer.lock().unwrap_or_else(PoisonError::into_inner);
        if writer.durable != durable {
            let level = if durable == Durable::Now { "full" } else { "normal" };
            writer.connection.pragma_update(None, "synchronous", level)?;
            writer.durable = durable;
        }
        let transaction = writer.connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        let value = work(&transaction)?;
        fsx::fault_point(&self.path, "before a commit").map_err(|error| fault(&error))?;
        transaction.commit()?;
        // What is done is done, whatever a test has in mind; only the end of the process can follow.
        let _ = fsx::fault_point(&self.path, "after a commit");
        Ok(value)
    }

    /// Writes as [`Database::write`], and sees another database meanwhile as `old`.
    pub(super) fn write_beside<T>(
        &self,
        old: &Path,
        work: impl FnOnce(&Transaction<'_>) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        let mut writer = self.writer.lock().unwrap_or_else(PoisonError::into_inner);
        let name = old.to_str().ok_or_else(|| StoreError::Unsuitable("its path is not UTF-8".into()))?;
        writer.connection.execute("ATTACH DATABASE ?1 AS old", [name])?;
        let written = || {
            let transaction = writer.connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
            let value = work(&transaction)?;
            transaction.commit()?;
            Ok(value)
        };
        let value = written();
        writer.connection.execute("DETACH DATABASE old", [])?;
        value
    }

    /// Does what no transaction may be around.
    pub(super) fn alone<T>(
        &self,
        work: impl FnOnce(&Connection) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        work(&self.writer.lock().unwrap_or_else(PoisonError::into_inner).connection)
    }

    /// Does what `work` would write, for what can be read then, and takes it back.
    pub(super) fn rehearse<T>(
        &self,
        work: impl FnOnce(&Transaction<'_>) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        let mut writer = self.writer.lock().unwrap_or_else(PoisonError::into_inner);
        let transaction = writer.connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        let value = work(&transaction)?;
        transaction.rollback()?;
        Ok(value)
    }

    /// Lets other processes in between two transactions of a long job.
    pub(super) fn pause(&self) {
        std::thread::sleep(2 * WAIT);
    }
}

/// Somebody who reads; the connection is somebody else's afterwards.
struct Reader<'a> {
    database: &'a Database,
    connection: Option<Connection>,
}

impl Drop for Reader<'_> {
    fn drop(&mut self) {
        let mut readers = self.database.readers.lock().unwrap_or_else(PoisonError::into_inner);
        readers.in_use -= 1;
        if readers.idle.len() < READERS {
            readers.idle.extend(self.connection.take());
        }
        self.database.returned.notify_one();
    }
}

fn connect(path: &Path, flags: OpenFlags, cache: i32) -> Result<Connection, StoreError> {
    let mut connection = Connection::open_with_flags(path, flags)?;
    let tries = i32::try_from(PATIENCE.as_millis() / WAIT.as_millis()).unwrap_or(i32::MAX);
    connection.busy_handler(Some(move |count: i32| {
        std::thread::sleep(WAIT);
        count < tries
    }))?;
    connection.set_prepared_statement_cache_capacity(STATEMENTS);
    // Negative: in KiB instead of pages.
    connection.pragma_update(None, "cache_size", -cache)?;
    connection.pragma_update(None, "foreign_keys", false)?;
    // Else SQLite compares values that are bound with the conditions of indexes, and plans a statement anew for each.
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true)?;
    connection.pragma_update(None, "trusted_schema", false)?;
    Ok(connection)
}

fn fault(error: &std::io::Error) -> StoreError {
    StoreError::Catalogue(error.to_string())
}

impl From<rusqlite::Error> for StoreError {
    fn from(error: rusqlite::Error) -> StoreError {
        use rusqlite::Error;
        match error.sqlite_error_code() {
            Some(ErrorCode::DiskFull) => StoreError::Io {
                what: "cannot write the catalogue".into(),
                source: std::io::ErrorKind::StorageFull.into(),
            },
            Some(ErrorCode::DatabaseBusy) => StoreError::Busy("the catalogue".into()),
            Some(ErrorCode::NotADatabase | ErrorCode::DatabaseCorrupt) => {
                StoreError::Damaged(error.to_string())
            }
            // Our statements are fixed and read what we wrote: tables, rows or types that are not so were changed.
            _ if matches!(
                error,
                Error::SqlInputError { .. }
                    | Error::QueryReturnedNoRows
                    | Error::InvalidColumnType(..)
                    | Error::FromSqlConversionFailure(..)
            ) =>
            {
                StoreError::Damaged(error.to_string())
            }
            _ => StoreError::Catalogue(error.to_string()),
        }
    }
}

#[cfg(test)]
mod tests {
    use rusqlite::StatementStatus;

    use super::*;

    /// Reads in the middle of so many other reads.
    fn read_within(database: &Database, depth: usize) -> i64 {
        let read = database.read(|connection| {
            if depth > 0 {
                return Ok(read_within(database, depth - 1));
            }
            Ok(connection.query_row("SELECT 7", [], |row| row.get(0))?)
        });
        read.unwrap()
    }

    #[test]
    fn readers_share_few_connections_and_never_wait_for_ever() {
        let home = fsx::test_directory();
        let database = Database::open(&home.path().join("catalogue.sqlite"), false).unwrap();
        assert_eq!(read_within(&database, READERS + 2), 7);
        std::thread::scope(|scope| {
            for _ in 0..4 * READERS {
                scope.spawn(|| (0..50).for_each(|_| assert_eq!(read_within(&database, 0), 7)));
            }
        });
        let readers = database.readers.lock().unwrap();
        assert!(readers.in_use == 0 && (1..=READERS).contains(&readers.idle.len()));
    }

    #[test]
    fn a_statement_is_not_prepared_anew_for_each_value() {
        let home = fsx::test_directory();
        let database = Database::open(&home.path().join("catalogue.sqlite"), false).unwrap();
        let prepared_anew = database.read(|connection| {
            let sql = "SELECT 1 FROM file f CROSS JOIN artifact a ON a.id = f.artifact \
                       WHERE f.path = ?1 AND f.path <> ''";
            for path in ["one", "another"] {
                connection.prepare_cached(sql)?.exists([path])?;
            }
            Ok(connection.prepare_cached(sql)?.get_status(StatementStatus::RePrepare))
        });
        assert_eq!(prepared_anew.unwrap(), 0);
    }
}
