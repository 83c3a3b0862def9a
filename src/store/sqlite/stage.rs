//! Filling a generation that nobody sees yet, and clearing one away.

use std::collections::HashMap;

use bundle_format::{Artifact, BlobKey, Record, Ref, Repository};
use rusqlite::{Connection, OptionalExtension, Params, Transaction, named_params};

use super::database::{Database, Durable};
use super::value::{number, to_text};
use crate::store::StoreError;

/// How many records, or rows, one transaction handles: others wait for no more than that.
pub(super) const BATCH: usize = 1_000;

/// How many records are staged in one transaction. Each goes to some page of every index: the more come at once, the fewer
/// pages are written twice.
const STAGED: usize = 4_000;

/// States of a generation: `staging`, `merged`, `published`.
pub(super) const STAGING: i64 = 0;
pub(super) const MERGED: i64 = 1;
pub(super) const PUBLISHED: i64 = 2;

/// What there is to know of a generation.
#[derive(Debug, Clone, Copy)]
pub(super) struct Staging {
    pub(super) id: i64,
    pub(super) source: i64,
    pub(super) base: i64,
    pub(super) state: i64,
}

impl Staging {
    pub(super) fn load(connection: &Connection, id: i64) -> Result<Staging, StoreError> {
        connection
            .prepare_cached("SELECT source, base, state FROM generation WHERE id = ?1")?
            .query_row([id], |row| {
                Ok(Staging { id, source: row.get(0)?, base: row.get(1)?, state: row.get(2)? })
            })
            .optional()?
            .ok_or(StoreError::Misuse("there is no such generation"))
    }

    /// The generation, if it can still be written.
    pub(super) fn open(connection: &Connection, id: i64) -> Result<Staging, StoreError> {
        let staging = Staging::load(connection, id)?;
        match staging.state {
            STAGING => Ok(staging),
            _ => Err(StoreError::Misuse("a generation is staged into after it was merged")),
        }
    }
}

/// The number of a channel, which is made if need be.
pub(super) fn channel_id(database: &Database, channel: &str) -> Result<i64, StoreError> {
    let find = |connection: &Connection| {
        let mut find = connection.prepare_cached("SELECT id FROM source WHERE hosted = 0 AND name = ?1")?;
        Ok::<_, StoreError>(find.query_row([channel], |row| row.get(0)).optional()?)
    };
    if let Some(id) = database.read(find)? {
        return Ok(id);
    }
    database.write(Durable::Soon, |transaction| {
        transaction.execute("INSERT OR IGNORE INTO source (hosted, name) VALUES (0, ?1)", [channel])?;
        find(transaction)?.ok_or(StoreError::Misuse("a source that was just made is not there"))
    })
}

/// Makes a generation; whoever calls holds the lock of the source, and nothing is left over in it.
pub(super) fn begin(database: &Database, source: i64) -> Result<i64, StoreError> {
    database.write(Durable::Soon, |transaction| {
        transaction.execute(
            "INSERT INTO generation (source, base, state) SELECT id, visible, ?2 FROM source WHERE id = ?1",
            (source, STAGING),
        )?;
        Ok(transaction.last_insert_rowid())
    })
}

/// Adds rows, a batch a transaction. The same rows again change nothing.
pub(super) fn stage(database: &Database, generation: i64, records: &[Record]) -> Result<(), StoreError> {
    let mut batches = records.chunks(STAGED).peekable();
    while let Some(batch) = batches.next() {
        database.write(Durable::Soon, |transaction| {
            let staging = Staging::open(transaction, generation)?;
            let mut rows = Rows::new(transaction, staging);
            batch.iter().try_for_each(|record| match record {
                Record::Artifact(artifact) => rows.artifact(artifact),
                Record::Ref(reference) => rows.reference(reference),
                Record::Repository(repository) => rows.repository(repository),
            })
        })?;
        if batches.peek().is_some() {
            database.pause();
        }
    }
    Ok(())
}

/// Writes the rows of one batch.
pub(super) struct Rows<'a> {
    transaction: &'a Transaction<'a>,
    staging: Staging,
    repositories: HashMap<(String, String), i64>,
    /// The package, in its repository, of the artifact before: its versions come one after the other.
    package: (i64, String),
}

impl<'a> Rows<'a> {
    pub(super) fn new(transaction: &'a Transaction<'a>, staging: Staging) -> Rows<'a> {
        Rows { transaction, staging, repositories: HashMap::new(), package: (0, String::new()) }
    }

    fn artifact(&mut self, artifact: &Artifact) -> Result<(), StoreError> {
        let (id, repository) = self.record(artifact)?;
        let (name, version, qualifier) = (&artifact.name, &artifact.version, &artifact.qualifier);
        let twice = self
            .transaction
            .prepare_cached(
                "SELECT 1 FROM artifact a CROSS JOIN staged s ON s.generation = ?1 AND s.artifact = a.id \
                 WHERE a.name = ?2 AND a.repository = ?3 AND a.version = ?4 AND a.qualifier = ?5 AND a.id <> ?6",
            )?
            .exists((self.staging.id, name, repository, version, qualifier, id))?;
        if twice {
            return Err(StoreError::Catalogue(format!("{name} {version} is listed twice, and differently")));
        }
        self.transaction
            .prepare_cached("INSERT OR IGNORE INTO staged (generation, artifact) VALUES (?1, ?2)")?
            .execute((self.staging.id, id))?;
        self.link(id)
    }

    /// The numbers of a record, which is kept once for all that link it, and of its repository.
    pub(super) fn record(&mut self, artifact: &Artifact) -> Result<(i64, i64), StoreError> {
        let repository = self.repository_id(&artifact.ecosystem, &artifact.repository)?;
        self.package(repository, &artifact.name)?;
        let record = to_text(artifact)?;
        let digest = BlobKey::of(record.as_bytes());
        let found = self
            .transaction
            .prepare_cached("SELECT id FROM artifact WHERE digest = ?1")?
            .query_row([digest.as_bytes()], |row| row.get(0))
            .optional()?;
        match found {
            Some(id) => Ok((id, repository)),
            None => Ok((self.new_artifact(artifact, repository, &digest, &record)?, repository)),
        }
    }

    /// Links a record from the generation on.
    pub(super) fn link(&self, artifact: i64) -> Result<(), StoreError> {
        // What is visible, and would go on to be, needs no new row.
        self.transaction
            .prepare_cached(
                "INSERT OR IGNORE INTO link (artifact, source, since) SELECT :artifact, :source, :id WHERE NOT \
                 EXISTS (SELECT 1 FROM link WHERE artifact = :artifact AND source = :source AND since <= :base \
                 AND until IS NULL)",
            )?
            .execute(named_params! {
                ":artifact": artifact, ":source": self.staging.source, ":id": self.staging.id,
                ":base": self.staging.base,
            })?;
        Ok(())
    }

    fn new_artifact(
        &self,
        artifact: &Artifact,
        repository: i64,
        digest: &BlobKey,
        record: &str,
    ) -> Result<i64, StoreError> {
        let (name, version, qualifier) = (&artifact.name, &artifact.version, &artifact.qualifier);
        self.transaction
            .prepare_cached(
                "INSERT INTO artifact (repository, name, version, qualifier, digest, record) \
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
            )?
            .execute((repository, name, version, qualifier, digest.as_bytes(), record))?;
        let id = self.transaction.last_insert_rowid();
        let mut insert = self.transaction.prepare_cached(
            "INSERT INTO file (artifact, position, path, blob, size) VALUES (?1, ?2, ?3, ?4, ?5)",
        )?;
        for (position, file) in artifact.files.iter().enumerate() {
            insert.execute((id, position as i64, &file.path, file.blob.as_bytes(), number(file.size)?))?;
        }
        Ok(id)
    }

    /// Notes that the source brings this package, if it never did.
    fn package(&mut self, repository: i64, name: &str) -> Result<(), StoreError> {
        if (self.package.0, self.package.1.as_str()) != (repository, name) {
            self.transaction
                .prepare_cached(
                    "INSERT OR IGNORE INTO package (repository, name, source, since) VALUES (?1, ?2, ?3, ?4)",
                )?
                .execute((repository, name, self.staging.source, self.staging.id))?;
            self.package = (repository, name.to_owned());
        }
        Ok(())
    }

    fn reference(&mut self, reference: &Ref) -> Result<(), StoreError> {
        let repository = self.repository_id(&reference.ecosystem, &reference.repository)?;
        let Staging { id, source, .. } = self.staging;
        let (name, label, version) = (&reference.name, &reference.label, &reference.version);
        let written = self
            .transaction
            .prepare_cached(
                "INSERT INTO ref (repository, name, label, version, source, since) \
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6) \
                 ON CONFLICT DO UPDATE SET version = version WHERE version = excluded.version",
            )?
            .execute((repository, name, label, version, source, id))?;
        if written == 0 {
            return Err(StoreError::Catalogue(format!("the ref {label} of {name} is listed twice")));
        }
        Ok(())
    }

    pub(super) fn repository(&mut self, repository: &Repository) -> Result<(), StoreError> {
        let id = self.repository_id(&repository.ecosystem, &repository.name)?;
        self.transaction
            .prepare_cached(
                "INSERT INTO repository_link (repository, origin, source, since) VALUES (?1, ?2, ?3, ?4) \
                 ON CONFLICT DO UPDATE SET origin = excluded.origin",
            )?
            .execute((id, &repository.origin, self.staging.source, self.staging.id))?;
        Ok(())
    }

    pub(super) fn repository_id(&mut self, ecosystem: &str, name: &str) -> Result<i64, StoreError> {
        let key = (ecosystem.to_owned(), name.to_owned());
        if let Some(id) = self.repositories.get(&key) {
            return Ok(*id);
        }
        self.transaction
            .prepare_cached("INSERT OR IGNORE INTO repository (ecosystem, name) VALUES (?1, ?2)")?
            .execute((ecosystem, name))?;
        let id = self
            .transaction
            .prepare_cached("SELECT id FROM repository WHERE ecosystem = ?1 AND name = ?2")?
            .query_row((ecosystem, name), |row| row.get(0))?;
        self.repositories.insert(key, id);
        Ok(id)
    }
}

/// Clears away what an unfinished generation wrote. Interrupted, it can be called again.
pub(super) fn clear(database: &Database, generation: i64) -> Result<(), StoreError> {
    while database.write(Durable::Soon, |transaction| {
        drop_links(transaction, "SELECT id FROM link WHERE since = ?1", [generation])
    })? {
        database.pause();
    }
    for table in ["link", "ref"] {
        let sql = format!(
            "UPDATE {table} SET until = NULL WHERE id IN (SELECT t.id FROM {table} t JOIN generation g \
             ON g.id = ?1 WHERE t.source = g.source AND t.until = ?1 LIMIT {BATCH})"
        );
        while database
            .write(Durable::Soon, |transaction| Ok(transaction.execute(&sql, [generation])? == BATCH))?
        {
            database.pause();
        }
    }
    forget_staged(database, generation)?;
    database.write(Durable::Soon, |transaction| {
        transaction.execute("DELETE FROM ref WHERE since = ?1", [generation])?;
        transaction.execute("DELETE FROM package WHERE since = ?1", [generation])?;
        transaction.execute("DELETE FROM repository_link WHERE since = ?1", [generation])?;
        transaction.execute("UPDATE repository_link SET until = NULL WHERE until = ?1", [generation])?;
        transaction
            .execute("DELETE FROM generation WHERE id = ?1 AND state < ?2", [generation, PUBLISHED])?;
        Ok(())
    })
}

/// Removes the list of what a generation holds, which only its merge needs.
pub(super) fn forget_staged(database: &Database, generation: i64) -> Result<(), StoreError> {
    let sql = format!(
        "DELETE FROM staged WHERE generation = ?1 AND artifact IN \
         (SELECT artifact FROM staged WHERE generation = ?1 LIMIT {BATCH})"
    );
    while database
        .write(Durable::Soon, |transaction| Ok(transaction.execute(&sql, [generation])? == BATCH))?
    {
        database.pause();
    }
    Ok(())
}

/// Deletes up to [`BATCH`] of the links that `select` names, and the artifacts that are left without any.
/// Says whether there may be more.
pub(super) fn drop_links(
    transaction: &Transaction<'_>,
    select: &str,
    parameters: impl Params,
) -> Result<bool, StoreError> {
    let sql = format!("DELETE FROM link WHERE id IN ({select} LIMIT {BATCH}) RETURNING artifact");
    let mut delete = transaction.prepare_cached(&sql)?;
    let artifacts: Vec<i64> = delete.query_map(parameters, |row| row.get(0))?.collect::<Result<_, _>>()?;
    let mut linked = transaction.prepare_cached("SELECT 1 FROM link WHERE artifact = ?1")?;
    let mut drop_files = transaction.prepare_cached("DELETE FROM file WHERE artifact = ?1")?;
    let mut drop_artifact = transaction.prepare_cached("DELETE FROM artifact WHERE id = ?1")?;
    for artifact in &artifacts {
        if !linked.exists([artifact])? {
            drop_files.execute([artifact])?;
            drop_artifact.execute([artifact])?;
        }
    }
    Ok(artifacts.len() == BATCH)
}
