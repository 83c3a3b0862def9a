//! Taking out of view what was imported or pushed, and giving up what one could go back to.

use bundle_format::BlobKey;
use rusqlite::{Connection, Transaction, named_params};

use super::claims;
use super::stage::Staging;
use super::value::{key, number, unsigned};
use crate::store::{Change, Place, Source, StoreError};

/// A source by whether it is hosted, and its name.
const SOURCE: &str = "(SELECT id FROM source WHERE hosted = :hosted AND name = :source)";
/// A repository by its ecosystem and name.
const REPOSITORY: &str = "(SELECT id FROM repository WHERE ecosystem = :ecosystem AND name = :repository)";

/// Takes an artifact out of every generation: its rows end before the first one, so that the next prune removes them and
/// nothing is referred to by them from now on.
pub(super) fn forget(
    transaction: &Transaction<'_>,
    source: &Source,
    place: &Place,
    qualifier: &str,
) -> Result<(), StoreError> {
    let (hosted, source) = of(source);
    let links = format!(
        "UPDATE link SET until = 0 WHERE id IN (SELECT l.id FROM artifact a CROSS JOIN link l \
         ON l.artifact = a.id AND l.source = {SOURCE} WHERE a.name = :name AND a.repository = {REPOSITORY} \
         AND a.version = :version AND a.qualifier = :qualifier)"
    );
    transaction.prepare_cached(&links)?.execute(named_params! {
        ":hosted": hosted, ":source": source, ":ecosystem": place.ecosystem, ":repository": place.repository,
        ":name": place.name, ":version": place.what, ":qualifier": qualifier,
    })?;
    if hosted {
        // What its client uploaded for it is kept for a while, should that come again; that is no longer wanted either.
        let deposits = format!(
            "DELETE FROM deposit WHERE repository = {REPOSITORY} AND name = :name AND blob IN (SELECT f.blob \
             FROM artifact a CROSS JOIN file f ON f.artifact = a.id WHERE a.name = :name \
             AND a.repository = {REPOSITORY} AND a.version = :version AND a.qualifier = :qualifier)"
        );
        transaction.prepare_cached(&deposits)?.execute(named_params! {
            ":ecosystem": place.ecosystem, ":repository": place.repository,
            ":name": place.name, ":version": place.what, ":qualifier": qualifier,
        })?;
    }
    let refs = format!(
        "UPDATE ref SET until = 0 WHERE repository = {REPOSITORY} AND name = :name AND version = :version \
         AND source = {SOURCE} AND NOT EXISTS (SELECT 1 FROM artifact a CROSS JOIN link l \
         ON l.artifact = a.id AND l.source = ref.source AND (l.until IS NULL OR l.until > 0) \
         WHERE a.name = :name AND a.repository = ref.repository AND a.version = :version)"
    );
    transaction.prepare_cached(&refs)?.execute(named_params! {
        ":hosted": hosted, ":source": source, ":ecosystem": place.ecosystem, ":repository": place.repository,
        ":name": place.name, ":version": place.what,
    })?;
    Ok(())
}

/// Whether a source is hosted, and its name.
pub(super) fn of(source: &Source) -> (bool, &str) {
    match source {
        Source::Channel(name) => (false, name),
        Source::Hosted => (true, ""),
    }
}

/// Gives up what a source showed before a generation.
pub(super) fn let_go(transaction: &Transaction<'_>, generation: i64) -> Result<(), StoreError> {
    let staging = Staging::load(transaction, generation)?;
    let raised = transaction.execute(
        "UPDATE source SET floor = max(floor, ?2) WHERE id = ?1 AND visible >= ?2",
        [staging.source, generation],
    )?;
    if raised == 0 {
        return Err(StoreError::Precondition);
    }
    Ok(())
}

/// Whether what a change takes away is not there any more.
pub(super) fn is_done(connection: &Connection, change: &Change) -> Result<bool, StoreError> {
    let count: i64 = match change {
        Change::Forget { source, place, qualifier } => {
            let (hosted, source) = of(source);
            let links = format!(
                "SELECT count(*) FROM artifact a CROSS JOIN link l ON l.artifact = a.id AND l.source = {SOURCE} \
                 WHERE a.name = :name AND a.repository = {REPOSITORY} AND a.version = :version \
                 AND a.qualifier = :qualifier AND (l.until IS NULL OR l.until > 0)"
            );
            let place = named_params! {
                ":hosted": hosted, ":source": source, ":ecosystem": place.ecosystem, ":repository": place.repository,
                ":name": place.name, ":version": place.what, ":qualifier": qualifier,
            };
            connection.query_row(&links, place, |row| row.get(0))?
        }
        Change::LetGo(generation) => connection.query_row(
            "SELECT count(*) FROM generation g JOIN source s ON s.id = g.source WHERE g.id = ?1 AND s.floor < ?1",
            [number(generation.0)?],
            |row| row.get(0),
        )?,
        _ => 0,
    };
    Ok(count == 0)
}

/// The blobs of links that have ended before what is kept, which nothing needs otherwise.
pub(super) fn freed(
    transaction: &Transaction<'_>,
    keep: i64,
    each: &mut dyn FnMut(BlobKey, u64) -> Result<(), StoreError>,
) -> Result<(), StoreError> {
    let mut statement = transaction.prepare(
        "SELECT DISTINCT f.blob, f.size FROM source s CROSS JOIN link l ON l.source = s.id AND l.until <= s.floor \
         CROSS JOIN file f ON f.artifact = l.artifact",
    )?;
    let mut rows = statement.query([])?;
    while let Some(row) = rows.next()? {
        let blob = key(row, "blob")?;
        if !claims::is_needed(transaction, &blob, Some(keep))? {
            each(blob, unsigned(row, "size")?)?;
        }
    }
    Ok(())
}
