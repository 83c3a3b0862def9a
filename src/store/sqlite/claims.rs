//! What keeps a blob from being collected, and the cleaning before that.

use bundle_format::BlobKey;
use rusqlite::{Connection, Transaction, named_params};

use super::arrivals;
use super::database::{Database, Durable};
use super::hosted;
use super::stage::{BATCH, PUBLISHED, drop_links, forget_staged};
use super::value::number;
use crate::clock;
use crate::store::StoreError;
use crate::store::edition::SUPERSEDED_KEPT;

/// The first generation of the source `s` whose rows are kept if `:keep` generations are: of a channel the visible one, the
/// newest ones, and, of several, the one that was visible before. Nobody goes back to what clients wrote before. Where clients
/// are given editions, which list it all, it is also what was the newest one at the time `:told`. Rows that ended at or
/// before it refer to nothing.
const FLOOR: &str = "max(s.floor, CASE WHEN s.hosted THEN s.visible ELSE min(s.visible, \
                     CASE WHEN :keep > 1 THEN s.previous ELSE s.visible END, \
                     coalesce((SELECT g.id FROM generation g WHERE g.source = s.id AND g.state = 2 \
                     ORDER BY g.id DESC LIMIT 1 OFFSET :keep - 1), 0), \
                     CASE WHEN EXISTS (SELECT 1 FROM repository_link k JOIN repository r ON r.id = k.repository \
                     JOIN answer e ON e.key = 'edition ' || r.ecosystem || ' ' || r.name WHERE k.source = s.id) \
                     THEN coalesce((SELECT max(n.generation) FROM snapshot n \
                     WHERE n.source = s.id AND n.accepted <= :told), 0) ELSE s.visible END) END)";

/// Whoever was told of something before this may not count on it any more.
fn told() -> String {
    clock::now().checked_sub(SUPERSEDED_KEPT).map(clock::text).unwrap_or_default()
}

pub(super) fn now() -> i64 {
    let since = clock::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_secs()).unwrap_or(i64::MAX)
}

pub(super) fn open(transaction: &Transaction<'_>, seconds: u64) -> Result<i64, StoreError> {
    let seconds = number(seconds)?;
    transaction.execute(
        "INSERT INTO session (seconds, expires) VALUES (?1, ?2)",
        [seconds, now().saturating_add(seconds)],
    )?;
    Ok(transaction.last_insert_rowid())
}

pub(super) fn claim(transaction: &Transaction<'_>, session: i64, keys: &[BlobKey]) -> Result<(), StoreError> {
    let now = now();
    // An expired session is not revived: what it claimed may be gone.
    let renewed = transaction
        .prepare_cached("UPDATE session SET expires = ?2 + seconds WHERE id = ?1 AND expires > ?2")?
        .execute([session, now])?;
    if renewed == 0 {
        return Err(StoreError::Misuse("a session of claims is used after it has expired"));
    }
    let mut insert =
        transaction.prepare_cached("INSERT OR IGNORE INTO claim (blob, session) VALUES (?1, ?2)")?;
    for key in keys {
        insert.execute((key.as_bytes(), session))?;
    }
    Ok(())
}

pub(super) fn release(transaction: &Transaction<'_>, session: i64, key: &BlobKey) -> Result<(), StoreError> {
    let sql = "DELETE FROM claim WHERE blob = ?1 AND session = ?2";
    transaction.execute(sql, (key.as_bytes(), session))?;
    Ok(())
}

pub(super) fn close(transaction: &Transaction<'_>, session: i64) -> Result<(), StoreError> {
    transaction.execute("DELETE FROM claim WHERE session = ?1", [session])?;
    transaction.execute("DELETE FROM session WHERE id = ?1", [session])?;
    Ok(())
}

/// Whether anything refers to a blob, or claims it: now, or after so many generations were kept by a [`prune`].
pub(super) fn is_needed(
    connection: &Connection,
    blob: &BlobKey,
    keep: Option<i64>,
) -> Result<bool, StoreError> {
    let floor = if keep.is_some() { FLOOR } else { "s.floor" };
    let sql = format!(
        "SELECT EXISTS (SELECT 1 FROM file f CROSS JOIN link l ON l.artifact = f.artifact \
         CROSS JOIN source s ON s.id = l.source AND (l.until IS NULL OR l.until > {floor}) WHERE f.blob = :blob) \
         OR EXISTS (SELECT 1 FROM deposit WHERE blob = :blob) \
         OR EXISTS (SELECT 1 FROM snapshot_blob WHERE blob = :blob) \
         OR EXISTS (SELECT 1 FROM answer WHERE body = :blob) \
         OR EXISTS (SELECT 1 FROM claim c JOIN session n ON n.id = c.session \
         WHERE c.blob = :blob AND n.expires > :now)"
    );
    let mut statement = connection.prepare_cached(&sql)?;
    let (blob, now, told) = (blob.as_bytes(), now(), told());
    let needed = match keep {
        None => statement.query_row(named_params! { ":blob": blob, ":now": now }, |row| row.get(0)),
        Some(keep) => {
            let all = named_params! { ":blob": blob, ":now": now, ":keep": keep, ":told": told };
            statement.query_row(all, |row| row.get(0))
        }
    };
    Ok(needed?)
}

/// Removes rows that nobody will see again: old answers, expired sessions, links before the floor.
pub(super) fn prune(database: &Database, before: &str, keep: i64) -> Result<(), StoreError> {
    let answers = format!(
        "DELETE FROM answer WHERE key IN (SELECT key FROM answer WHERE confirmed < ?1 LIMIT {BATCH})"
    );
    while database
        .write(Durable::Soon, |transaction| Ok(transaction.execute(&answers, [before])? == BATCH))?
    {
        database.pause();
    }
    database.write(Durable::Soon, |transaction| {
        let now = now();
        transaction.execute(
            "DELETE FROM claim WHERE session IN (SELECT id FROM session WHERE expires <= ?1)",
            [now],
        )?;
        transaction.execute("DELETE FROM session WHERE expires <= ?1", [now])?;
        arrivals::forget(transaction)?;
        hosted::forget_deposits(transaction, now)?;
        let raise = format!("UPDATE source AS s SET floor = {FLOOR}");
        transaction.execute(&raise, named_params! { ":keep": keep.max(1), ":told": told() })?;
        Ok(())
    })?;
    let ended = |table: &str| {
        format!("SELECT l.id FROM source s CROSS JOIN {table} l ON l.source = s.id AND l.until <= s.floor")
    };
    while database.write(Durable::Soon, |transaction| drop_links(transaction, &ended("link"), []))? {
        database.pause();
    }
    database.write(Durable::Soon, |transaction| {
        for table in ["ref", "repository_link"] {
            let sql = format!("DELETE FROM {table} WHERE id IN ({})", ended(table));
            transaction.execute(&sql, [])?;
        }
        Ok(())
    })?;
    let finished = database.read(|connection| {
        let mut statement = connection.prepare_cached(
            "SELECT DISTINCT s.generation FROM staged s LEFT JOIN generation g ON g.id = s.generation \
             WHERE g.state IS NULL OR g.state = ?1",
        )?;
        let rows = statement.query_map([PUBLISHED], |row| row.get::<_, i64>(0))?;
        Ok(rows.collect::<Result<Vec<_>, _>>()?)
    })?;
    finished.into_iter().try_for_each(|generation| forget_staged(database, generation))
}
