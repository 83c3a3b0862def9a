//! What is remembered beside the artifacts: answers of upstreams, and what clients asked for in vain.

use rusqlite::{Connection, OptionalExtension, Transaction};

use super::value::{key, unsigned};
use crate::clock;
use crate::store::{CachedAnswer, Miss, StoreError};

/// The most different misses that are kept. They are deleted all at once or not at all, so the newest row's number is their
/// count.
const MISSES: i64 = 100_000;
/// The most bytes of a name or version that a miss may have: clients make them up.
const MISS_LENGTH: usize = 512;

pub(super) fn cached(connection: &Connection, name: &str) -> Result<Option<CachedAnswer>, StoreError> {
    let mut statement = connection.prepare_cached(
        "SELECT body, etag, last_modified, content_type, confirmed FROM answer WHERE key = ?1",
    )?;
    let mut rows = statement.query([name])?;
    let Some(row) = rows.next()? else { return Ok(None) };
    Ok(Some(CachedAnswer {
        body: key(row, "body")?,
        etag: row.get("etag")?,
        last_modified: row.get("last_modified")?,
        content_type: row.get("content_type")?,
        confirmed: row.get("confirmed")?,
    }))
}

pub(super) fn cache(
    transaction: &Transaction<'_>,
    name: &str,
    answer: &CachedAnswer,
) -> Result<(), StoreError> {
    transaction
        .prepare_cached(
            "INSERT OR REPLACE INTO answer (key, body, etag, last_modified, content_type, confirmed) \
             VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
        )?
        .execute((
            name,
            answer.body.as_bytes(),
            &answer.etag,
            &answer.last_modified,
            &answer.content_type,
            &answer.confirmed,
        ))?;
    Ok(())
}

pub(super) fn record_miss(
    transaction: &Transaction<'_>,
    (ecosystem, repository, name, version): (&str, &str, &str, &str),
) -> Result<(), StoreError> {
    if [ecosystem, repository, name, version].iter().any(|text| text.len() > MISS_LENGTH) {
        return Ok(());
    }
    let now = clock::now_text();
    let known = transaction
        .prepare_cached(
            "UPDATE miss SET count = count + 1, last = ?5 \
             WHERE ecosystem = ?1 AND repository = ?2 AND name = ?3 AND version = ?4",
        )?
        .execute((ecosystem, repository, name, version, &now))?;
    if known > 0 {
        return Ok(());
    }
    let last: Option<i64> = transaction
        .prepare_cached("SELECT max(id) FROM miss")?
        .query_row([], |row| row.get(0))
        .optional()?
        .flatten();
    if last.unwrap_or_default() < MISSES {
        transaction
            .prepare_cached(
                "INSERT INTO miss (ecosystem, repository, name, version, count, last) VALUES (?1, ?2, ?3, ?4, 1, ?5)",
            )?
            .execute((ecosystem, repository, name, version, &now))?;
    }
    Ok(())
}

pub(super) fn clear_misses(transaction: &Transaction<'_>) -> Result<(), StoreError> {
    transaction.execute("DELETE FROM miss", [])?;
    Ok(())
}

pub(super) fn misses(connection: &Connection) -> Result<Vec<Miss>, StoreError> {
    let mut statement = connection.prepare_cached(
        "SELECT ecosystem, repository, name, version, count, last FROM miss \
         ORDER BY ecosystem, repository, name, version",
    )?;
    let mut rows = statement.query([])?;
    let mut found = Vec::new();
    while let Some(row) = rows.next()? {
        found.push(Miss {
            ecosystem: row.get("ecosystem")?,
            repository: row.get("repository")?,
            name: row.get("name")?,
            version: row.get("version")?,
            count: unsigned(row, "count")?,
            last: row.get("last")?,
        });
    }
    Ok(found)
}
