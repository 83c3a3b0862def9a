//! A copy of the catalogue for a backup.

use std::path::Path;

use bundle_format::BlobKey;
use rusqlite::{Connection, OpenFlags};

use super::value::damaged;
use crate::store::{Copied, StoreError};

/// Copies the rows into a new file. The same rows always make the same file.
pub(super) fn copy(connection: &Connection, path: &Path) -> Result<Copied, StoreError> {
    let name = path.to_str().ok_or_else(|| StoreError::Unsuitable("its path is not UTF-8".into()))?;
    connection.execute("VACUUM INTO ?1", [name])?;
    let copy = Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_WRITE)?;
    copy.execute_batch(
        "PRAGMA journal_mode = off;
         DELETE FROM claim WHERE session IN (SELECT session FROM arrival);
         DELETE FROM session WHERE id IN (SELECT session FROM arrival);
         DELETE FROM arrived;
         DELETE FROM arrival;
         DELETE FROM answer;
         VACUUM",
    )?;
    let blobs = |sql: &str| {
        let mut statement = copy.prepare(sql)?;
        let rows = statement.query_map([], |row| row.get::<_, [u8; 32]>(0))?;
        rows.map(|row| row.map(BlobKey::new).map_err(|_| damaged("blob"))).collect::<Result<_, _>>()
    };
    Ok(Copied {
        papers: blobs("SELECT blob FROM snapshot_blob WHERE position < 2")?,
        hosted: blobs(
            "SELECT f.blob FROM source s JOIN link l ON l.source = s.id AND l.until IS NULL \
             JOIN file f ON f.artifact = l.artifact WHERE s.hosted = 1 UNION SELECT blob FROM deposit",
        )?,
    })
}
