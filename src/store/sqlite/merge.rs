//! How a staged generation relates to what its source shows: which older rows end with it, and what of it must give way.
//!
//! Nothing of this is seen before the generation is published. All is done in batches, so that others write in
//! between, and all can be done again after a failure.

use bundle_format::Record;
use rusqlite::{Connection, OptionalExtension, Transaction, named_params};

use super::database::{Database, Durable};
use super::stage::{BATCH, MERGED, PUBLISHED, Staging, drop_links};
use crate::store::{Merge, StoreError};

/// Another artifact `o` of the same name as the staged one `n`, and its link `l` in the same source.
const NAMESAKES: &str = "artifact o ON o.name = n.name AND o.repository = n.repository \
                         AND o.version = n.version AND o.qualifier = n.qualifier AND o.id <> n.id \
                         CROSS JOIN link l ON l.artifact = o.id AND l.source = :source";

pub(super) fn merge(database: &Database, generation: i64, merge: Merge) -> Result<(), StoreError> {
    let staging = database.read(|connection| Staging::open(connection, generation))?;
    match merge {
        Merge::Add => {
            rebase(database, &staging)?;
            supersede_artifacts(database, &staging)?;
            supersede_refs(database, &staging)?;
        }
        Merge::Replace => replace(database, &staging)?,
    }
    database.write(Durable::Soon, |transaction| {
        transaction.execute("UPDATE generation SET state = ?2 WHERE id = ?1", [generation, MERGED])?;
        Ok(())
    })
}

/// Calls back for each batch of staged artifacts: those after the first number, up to the second.
fn for_staged(
    database: &Database,
    staging: &Staging,
    mut each: impl FnMut(&Transaction<'_>, i64, i64) -> Result<(), StoreError>,
) -> Result<(), StoreError> {
    let mut after = i64::MIN;
    loop {
        let last = database.read(|connection| staged_batch(connection, staging.id, after))?;
        let end = last.unwrap_or(i64::MAX);
        database.write(Durable::Soon, |transaction| each(transaction, after, end))?;
        if last.is_none() {
            return Ok(());
        }
        after = end;
        database.pause();
    }
}

/// The last artifact of the next full batch.
fn staged_batch(connection: &Connection, generation: i64, after: i64) -> Result<Option<i64>, StoreError> {
    let offset = BATCH as i64 - 1;
    Ok(connection
        .prepare_cached(
            "SELECT artifact FROM staged WHERE generation = ?1 AND artifact > ?2 ORDER BY artifact LIMIT 1 OFFSET ?3",
        )?
        .query_row([generation, after, offset], |row| row.get(0))
        .optional()?)
}

/// Takes back what a generation staged under the names of these records.
pub(super) fn give_way(database: &Database, generation: i64, newer: &[Record]) -> Result<(), StoreError> {
    for batch in newer.chunks(BATCH) {
        database.write(Durable::Soon, |transaction| {
            let staging = Staging::open(transaction, generation)?;
            batch.iter().try_for_each(|record| give_way_to(transaction, &staging, record))
        })?;
        database.pause();
    }
    Ok(())
}

fn give_way_to(transaction: &Transaction<'_>, staging: &Staging, newer: &Record) -> Result<(), StoreError> {
    const REPOSITORY: &str =
        "(SELECT id FROM repository WHERE ecosystem = :ecosystem AND name = :repository)";
    match newer {
        Record::Artifact(newer) => {
            let sql = format!(
                "SELECT n.id FROM artifact n CROSS JOIN staged s ON s.generation = :generation AND s.artifact = n.id \
                 WHERE n.name = :name AND n.repository = {REPOSITORY} AND n.version = :version \
                 AND n.qualifier = :qualifier"
            );
            let parameters = named_params! {
                ":generation": staging.id, ":ecosystem": newer.ecosystem, ":repository": newer.repository,
                ":name": newer.name, ":version": newer.version, ":qualifier": newer.qualifier,
            };
            let staged: Option<i64> =
                transaction.prepare_cached(&sql)?.query_row(parameters, |row| row.get(0)).optional()?;
            if let Some(artifact) = staged {
                transaction
                    .prepare_cached("DELETE FROM staged WHERE generation = ?1 AND artifact = ?2")?
                    .execute([staging.id, artifact])?;
                let link = "SELECT id FROM link WHERE artifact = ?1 AND source = ?2 AND since = ?3";
                drop_links(transaction, link, [artifact, staging.source, staging.id])?;
            }
        }
        Record::Ref(newer) => {
            let sql = format!(
                "DELETE FROM ref WHERE repository = {REPOSITORY} AND name = :name AND label = :label \
                 AND source = :source AND since = :generation"
            );
            transaction.prepare_cached(&sql)?.execute(named_params! {
                ":generation": staging.id, ":source": staging.source, ":ecosystem": newer.ecosystem,
                ":repository": newer.repository, ":name": newer.name, ":label": newer.label,
            })?;
        }
        Record::Repository(newer) => {
            let sql = format!(
                "DELETE FROM repository_link WHERE repository = {REPOSITORY} AND source = :source \
                 AND since = :generation"
            );
            transaction.prepare_cached(&sql)?.execute(named_params! {
                ":generation": staging.id, ":source": staging.source, ":ecosystem": newer.ecosystem,
                ":repository": newer.name,
            })?;
        }
    }
    Ok(())
}

/// Where the source was set back to an earlier generation, what came after that ends here, and what had ended
/// after that is seen again: the new generation continues what is visible.
fn rebase(database: &Database, staging: &Staging) -> Result<(), StoreError> {
    let set_back = database.read(|connection| {
        let mut later = connection
            .prepare_cached("SELECT 1 FROM generation WHERE source = ?1 AND state = ?2 AND id > ?3")?;
        Ok(later.exists([staging.source, PUBLISHED, staging.base])?)
    })?;
    if !set_back {
        return Ok(());
    }
    let rows = [
        ("link", "artifact"),
        ("ref", "repository, name, label, version"),
        ("repository_link", "repository, origin"),
    ];
    for (table, columns) in rows {
        let parameters = named_params! {
            ":generation": staging.id, ":source": staging.source, ":base": staging.base,
        };
        database.write(Durable::Soon, |transaction| {
            transaction.execute(
                &format!(
                    "UPDATE {table} SET until = :generation WHERE source = :source AND since > :base \
                     AND since < :generation AND until IS NULL"
                ),
                parameters,
            )?;
            transaction.execute(
                &format!(
                    "INSERT OR IGNORE INTO {table} ({columns}, source, since) SELECT {columns}, source, :generation \
                     FROM {table} WHERE source = :source AND since <= :base AND until > :base AND until < :generation"
                ),
                parameters,
            )?;
            Ok(())
        })?;
    }
    Ok(())
}

/// Of two artifacts with one name the new one is seen.
fn supersede_artifacts(database: &Database, staging: &Staging) -> Result<(), StoreError> {
    let sql = format!(
        "UPDATE link SET until = :generation WHERE id IN (SELECT l.id FROM staged s \
         CROSS JOIN artifact n ON n.id = s.artifact CROSS JOIN {NAMESAKES} AND l.until IS NULL \
         WHERE s.generation = :generation AND s.artifact > :after AND s.artifact <= :last)"
    );
    for_staged(database, staging, |transaction, after, last| {
        transaction.prepare_cached(&sql)?.execute(named_params! {
            ":generation": staging.id, ":source": staging.source, ":after": after, ":last": last,
        })?;
        Ok(())
    })
}

/// Of two refs, or two origins of a repository, the new one is seen.
fn supersede_refs(database: &Database, staging: &Staging) -> Result<(), StoreError> {
    database.write(Durable::Soon, |transaction| {
        transaction.execute(
            "UPDATE ref SET until = ?1 WHERE id IN (SELECT o.id FROM ref n CROSS JOIN ref o \
             ON o.repository = n.repository AND o.name = n.name AND o.label = n.label AND o.source = n.source \
             AND o.since < n.since AND o.until IS NULL WHERE n.since = ?1)",
            [staging.id],
        )?;
        transaction.execute(
            "UPDATE repository_link SET until = ?1 WHERE source = ?2 AND until IS NULL AND since < ?1 \
             AND repository IN (SELECT repository FROM repository_link WHERE since = ?1)",
            [staging.id, staging.source],
        )?;
        Ok(())
    })
}

/// Whatever is not staged ends.
fn replace(database: &Database, staging: &Staging) -> Result<(), StoreError> {
    let sql = format!(
        "UPDATE link SET until = :generation WHERE id IN (SELECT l.id FROM link l WHERE l.source = :source \
         AND l.until IS NULL AND l.id > :after AND NOT EXISTS (SELECT 1 FROM staged s \
         WHERE s.generation = :generation AND s.artifact = l.artifact) ORDER BY l.id LIMIT {BATCH}) RETURNING id"
    );
    let mut after = i64::MIN;
    loop {
        let ended = database.write(Durable::Soon, |transaction| {
            let mut statement = transaction.prepare_cached(&sql)?;
            let parameters = named_params! {
                ":generation": staging.id, ":source": staging.source, ":after": after,
            };
            let rows = statement.query_map(parameters, |row| row.get::<_, i64>(0))?;
            Ok(rows.collect::<Result<Vec<_>, _>>()?)
        })?;
        if ended.len() < BATCH {
            break;
        }
        after = ended.into_iter().max().unwrap_or(i64::MAX);
        database.pause();
    }
    database.write(Durable::Soon, |transaction| {
        for table in ["ref", "repository_link"] {
            transaction.execute(
                &format!("UPDATE {table} SET until = ?1 WHERE source = ?2 AND until IS NULL AND since < ?1"),
                [staging.id, staging.source],
            )?;
        }
        Ok(())
    })
}
