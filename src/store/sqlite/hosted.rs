//! What clients write into hosted repositories: each commit is a generation of its own, visible at once.

use bundle_format::{Artifact, BlobKey, Ref, Repository};
use rusqlite::{Connection, OptionalExtension, Transaction, named_params};

use super::claims::now;
use super::database::Database;
use super::stage::{PUBLISHED, Rows, Staging};
use super::value::{damaged, key, number, unsigned};
use super::view::VISIBLE;
use crate::store::{Place, StoreError};

/// How long a deposit is kept, in seconds: whoever uploads for longer uploads again what is gone by then.
const KEPT: i64 = 7 * 24 * 60 * 60;
/// How many deposits are read at once.
const PAGE: usize = 10_000;
/// The one source of all hosted repositories.
const SOURCE: &str = "(SELECT id FROM source WHERE hosted = 1 AND name = '')";
/// A repository by its ecosystem and name.
const REPOSITORY: &str = "(SELECT id FROM repository WHERE ecosystem = :ecosystem AND name = :repository)";

/// The hosted changes of one commit.
pub(super) struct Hosted<'a> {
    pub(super) transaction: &'a Transaction<'a>,
    /// The generation that they make, once there is one.
    made: Option<Staging>,
}

impl<'a> Hosted<'a> {
    pub(super) fn new(transaction: &'a Transaction<'a>) -> Hosted<'a> {
        Hosted { transaction, made: None }
    }

    /// The generation of this commit, which is visible as soon as the commit is.
    fn generation(&mut self) -> Result<Staging, StoreError> {
        if let Some(made) = self.made {
            return Ok(made);
        }
        self.transaction.execute("INSERT OR IGNORE INTO source (hosted, name) VALUES (1, '')", [])?;
        let (source, base) = self.transaction.query_row(
            "SELECT id, visible FROM source WHERE hosted = 1 AND name = ''",
            [],
            |row| Ok((row.get::<_, i64>(0)?, row.get::<_, i64>(1)?)),
        )?;
        self.transaction.execute(
            "INSERT INTO generation (source, base, state, published) \
             SELECT ?1, ?2, ?3, revision + 1 FROM state",
            [source, base, PUBLISHED],
        )?;
        let id = self.transaction.last_insert_rowid();
        // Nobody goes back to what clients wrote before, so nothing is kept for that.
        self.transaction
            .execute("UPDATE source SET previous = ?2, visible = ?2 WHERE id = ?1", [source, id])?;
        let made = Staging { id, source, base, state: PUBLISHED };
        self.made = Some(made);
        Ok(made)
    }

    fn rows(&mut self) -> Result<(Rows<'a>, Staging), StoreError> {
        let made = self.generation()?;
        Ok((Rows::new(self.transaction, made), made))
    }

    pub(super) fn link(&mut self, artifact: &Artifact) -> Result<(), StoreError> {
        let (mut rows, made) = self.rows()?;
        let (id, repository) = rows.record(artifact)?;
        let shown = self
            .transaction
            .prepare_cached(
                "SELECT 1 FROM repository_link WHERE repository = ?1 AND source = ?2 AND until IS NULL",
            )?
            .exists([repository, made.source])?;
        if !shown {
            rows.repository(&Repository {
                ecosystem: artifact.ecosystem.clone(),
                name: artifact.repository.clone(),
                origin: String::new(),
            })?;
        }
        self.transaction
            .prepare_cached(
                "UPDATE link SET until = :generation WHERE id IN (SELECT l.id FROM artifact a \
                 CROSS JOIN link l ON l.artifact = a.id AND l.source = :source AND l.until IS NULL \
                 WHERE a.name = :name AND a.repository = :repository AND a.version = :version \
                 AND a.qualifier = :qualifier AND a.id <> :artifact)",
            )?
            .execute(named_params! {
                ":generation": made.id, ":source": made.source, ":name": artifact.name,
                ":repository": repository, ":version": artifact.version, ":qualifier": artifact.qualifier,
                ":artifact": id,
            })?;
        rows.link(id)
    }

    pub(super) fn unlink(&mut self, place: &Place) -> Result<(), StoreError> {
        let Staging { id, source, .. } = self.generation()?;
        let ended = [
            "UPDATE link SET until = :generation WHERE id IN (SELECT l.id FROM artifact a \
             CROSS JOIN link l ON l.artifact = a.id AND l.source = :source AND l.until IS NULL \
             WHERE a.name = :name AND a.repository = {REPOSITORY} AND a.version = :what)",
            "UPDATE ref SET until = :generation WHERE repository = {REPOSITORY} AND name = :name \
             AND version = :what AND source = :source AND until IS NULL",
        ];
        ended.iter().try_for_each(|sql| self.end(sql, place, id, source))
    }

    pub(super) fn drop_ref(&mut self, place: &Place) -> Result<(), StoreError> {
        let Staging { id, source, .. } = self.generation()?;
        let sql = "UPDATE ref SET until = :generation WHERE repository = {REPOSITORY} AND name = :name \
                   AND label = :what AND source = :source AND until IS NULL";
        self.end(sql, place, id, source)
    }

    fn end(&self, sql: &str, place: &Place, generation: i64, source: i64) -> Result<(), StoreError> {
        let sql = sql.replace("{REPOSITORY}", REPOSITORY);
        self.transaction.prepare_cached(&sql)?.execute(named_params! {
            ":generation": generation, ":source": source, ":ecosystem": place.ecosystem,
            ":repository": place.repository, ":name": place.name, ":what": place.what,
        })?;
        Ok(())
    }

    pub(super) fn set_ref(&mut self, reference: &Ref) -> Result<(), StoreError> {
        let (mut rows, made) = self.rows()?;
        let repository = rows.repository_id(&reference.ecosystem, &reference.repository)?;
        let (name, label, version) = (&reference.name, &reference.label, &reference.version);
        let current: Option<String> = self
            .transaction
            .prepare_cached(
                "SELECT version FROM ref WHERE repository = ?1 AND name = ?2 AND label = ?3 AND source = ?4 \
                 AND until IS NULL",
            )?
            .query_row((repository, name, label, made.source), |row| row.get(0))
            .optional()?;
        if current.as_ref() == Some(version) {
            return Ok(());
        }
        self.transaction
            .prepare_cached(
                "UPDATE ref SET until = ?5 WHERE repository = ?1 AND name = ?2 AND label = ?3 AND source = ?4 \
                 AND until IS NULL AND since < ?5",
            )?
            .execute((repository, name, label, made.source, made.id))?;
        // Set twice in one commit, it is what was said last.
        self.transaction
            .prepare_cached(
                "INSERT INTO ref (repository, name, label, version, source, since) \
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6) ON CONFLICT DO UPDATE SET version = excluded.version, until = NULL",
            )?
            .execute((repository, name, label, version, made.source, made.id))?;
        Ok(())
    }

    pub(super) fn deposit(&self, place: &Place, blob: &BlobKey, size: u64) -> Result<(), StoreError> {
        // A deposit is seen under no generation, so it needs none.
        let outside = Staging { id: 0, source: 0, base: 0, state: PUBLISHED };
        let repository =
            Rows::new(self.transaction, outside).repository_id(&place.ecosystem, &place.repository)?;
        self.transaction
            .prepare_cached(
                "INSERT OR REPLACE INTO deposit (repository, name, label, blob, size, since) \
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
            )?
            .execute((repository, &place.name, &place.what, blob.as_bytes(), number(size)?, now()))?;
        Ok(())
    }

    pub(super) fn withdraw(&self, place: &Place) -> Result<(), StoreError> {
        let sql =
            format!("DELETE FROM deposit WHERE repository = {REPOSITORY} AND name = :name AND label = :what");
        self.transaction.prepare_cached(&sql)?.execute(named_params! {
            ":ecosystem": place.ecosystem, ":repository": place.repository,
            ":name": place.name, ":what": place.what,
        })?;
        Ok(())
    }
}

/// Forgets deposits that are too old; what was linked meanwhile needs them no longer.
pub(super) fn forget_deposits(transaction: &Transaction<'_>, now: i64) -> Result<(), StoreError> {
    transaction.execute("DELETE FROM deposit WHERE since <= ?1", [now.saturating_sub(KEPT)])?;
    Ok(())
}

pub(super) fn deposit(connection: &Connection, place: &Place) -> Result<Option<(BlobKey, u64)>, StoreError> {
    let sql = format!(
        "SELECT blob, size FROM deposit WHERE repository = {REPOSITORY} AND name = :name AND label = :what"
    );
    let mut statement = connection.prepare_cached(&sql)?;
    let mut rows = statement.query(named_params! {
        ":ecosystem": place.ecosystem, ":repository": place.repository,
        ":name": place.name, ":what": place.what,
    })?;
    rows.next()?.map(|row| Ok((key(row, "blob")?, unsigned(row, "size")?))).transpose()
}

pub(super) fn blob_of(
    connection: &Connection,
    ecosystem: &str,
    blob: Option<&BlobKey>,
    label: &str,
) -> Result<Option<(BlobKey, u64)>, StoreError> {
    let mut deposited = connection.prepare_cached(
        "SELECT d.blob, d.size FROM deposit d CROSS JOIN repository r ON r.id = d.repository \
         AND r.ecosystem = ?1 WHERE d.label = ?2 LIMIT 1",
    )?;
    let mut rows = deposited.query([ecosystem, label])?;
    if let Some(row) = rows.next()? {
        return Ok(Some((key(row, "blob")?, unsigned(row, "size")?)));
    }
    let Some(blob) = blob else { return Ok(None) };
    let sql = format!(
        "SELECT f.blob, f.size FROM file f CROSS JOIN artifact a ON a.id = f.artifact \
         CROSS JOIN repository r ON r.id = a.repository AND r.ecosystem = ?1 \
         CROSS JOIN link l ON l.artifact = a.id {VISIBLE} WHERE f.blob = ?2 LIMIT 1"
    );
    let mut linked = connection.prepare_cached(&sql)?;
    let mut rows = linked.query((ecosystem, blob.as_bytes()))?;
    rows.next()?.map(|row| Ok((key(row, "blob")?, unsigned(row, "size")?))).transpose()
}

pub(super) fn size(connection: &Connection, ecosystem: &str, repository: &str) -> Result<u64, StoreError> {
    let sql = format!(
        "SELECT coalesce(sum(size), 0) AS size FROM (SELECT blob, size FROM deposit WHERE repository = {REPOSITORY} \
         UNION SELECT f.blob, f.size FROM artifact a CROSS JOIN link l ON l.artifact = a.id \
         AND l.source = {SOURCE} AND l.until IS NULL CROSS JOIN file f ON f.artifact = a.id \
         WHERE a.repository = {REPOSITORY})"
    );
    let mut statement = connection.prepare_cached(&sql)?;
    let mut rows = statement.query(named_params! { ":ecosystem": ecosystem, ":repository": repository })?;
    let row = rows.next()?.ok_or_else(|| damaged("size"))?;
    unsigned(row, "size")
}

pub(super) fn has(
    connection: &Connection,
    ecosystem: &str,
    repository: &str,
    blob: &BlobKey,
) -> Result<bool, StoreError> {
    let sql = format!(
        "SELECT 1 FROM deposit WHERE blob = :blob AND repository = {REPOSITORY} \
         UNION ALL SELECT 1 FROM file f CROSS JOIN artifact a ON a.id = f.artifact AND a.repository = {REPOSITORY} \
         CROSS JOIN link l ON l.artifact = a.id AND l.source = {SOURCE} AND l.until IS NULL WHERE f.blob = :blob"
    );
    let parameters = named_params! {
        ":ecosystem": ecosystem, ":repository": repository, ":blob": blob.as_bytes(),
    };
    Ok(connection.prepare_cached(&sql)?.exists(parameters)?)
}

pub(super) fn deposits(
    database: &Database,
    each: &mut dyn FnMut(BlobKey, u64) -> Result<bool, StoreError>,
) -> Result<(), StoreError> {
    let mut last: Option<BlobKey> = None;
    loop {
        let page = database.read(|connection| {
            let mut statement = connection.prepare_cached(
                "SELECT DISTINCT blob, size FROM deposit WHERE blob > ?1 ORDER BY blob LIMIT ?2",
            )?;
            let after = last.as_ref().map(|key| key.as_bytes().as_slice()).unwrap_or_default();
            let mut rows = statement.query((after, PAGE as i64))?;
            let mut page = Vec::new();
            while let Some(row) = rows.next()? {
                page.push((key(row, "blob")?, unsigned(row, "size")?));
            }
            Ok(page)
        })?;
        for (key, size) in &page {
            if !each(*key, *size)? {
                return Ok(());
            }
        }
        match page.last() {
            Some((key, _)) if page.len() == PAGE => last = Some(*key),
            _ => return Ok(()),
        }
    }
}
