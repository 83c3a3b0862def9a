//! What clients see: every source at the generation that is visible.

use std::collections::HashSet;

use bundle_format::{Ref, Repository};
use rusqlite::{Connection, named_params};

use super::stage::PUBLISHED;
use super::value::{artifact, damaged, file, generation, key, source, unsigned};
use crate::store::{
    ChannelState, Cursor, FoundFile, Generation, Linked, LinkedRef, Listed, Published, SnapshotEntry,
    StoreError,
};

/// Joins a table `l` of links with the source `s` that shows them. The cross joins here and elsewhere keep
/// SQLite from choosing another order: it knows nothing of how the rows are distributed.
pub(super) const VISIBLE: &str = "CROSS JOIN source s ON s.id = l.source AND l.since <= s.visible \
                       AND (l.until IS NULL OR l.until > s.visible)";

/// Joins when the source `s` brought the package that a row is of: what came first has precedence.
fn precedence(row: &str) -> String {
    format!(
        "CROSS JOIN package p ON p.repository = {row}.repository AND p.name = {row}.name AND p.source = s.id \
         CROSS JOIN generation g ON g.id = p.since"
    )
}

/// How what [`precedence`] joined is ordered.
const BY_PRECEDENCE: &str = "g.published, p.since";

/// The repositories of an ecosystem, or the one of that name.
const REPOSITORIES: &str = "SELECT id FROM repository WHERE ecosystem = :ecosystem \
                            AND (:repository IS NULL OR name = :repository)";

pub(super) fn repositories(connection: &Connection) -> Result<Vec<Repository>, StoreError> {
    let sql = format!(
        "SELECT r.ecosystem, r.name, l.origin FROM repository_link l {VISIBLE} \
         JOIN repository r ON r.id = l.repository ORDER BY r.ecosystem, r.name, s.id"
    );
    let mut statement = connection.prepare_cached(&sql)?;
    let rows = statement.query_map([], |row| {
        Ok(Repository { ecosystem: row.get(0)?, name: row.get(1)?, origin: row.get(2)? })
    })?;
    let mut found = rows.collect::<Result<Vec<_>, _>>()?;
    // The source that was known first says what the origin is.
    found.dedup_by(|next, first| (&next.ecosystem, &next.name) == (&first.ecosystem, &first.name));
    Ok(found)
}

/// An address up to where its path begins.
pub(super) fn servers(
    connection: &Connection,
    ecosystem: &str,
    limit: usize,
) -> Result<Vec<String>, StoreError> {
    let sql = format!(
        "SELECT DISTINCT substr(origin, 1, path + instr(substr(origin, path), '/') - 2) AS server FROM (\
             SELECT json_extract(f.value, '$.origin') AS origin, \
                    instr(json_extract(f.value, '$.origin'), '://') + 3 AS path \
             FROM artifact a CROSS JOIN link l ON l.artifact = a.id {VISIBLE} \
             CROSS JOIN json_each(a.record, '$.files') f \
             WHERE a.repository IN (SELECT id FROM repository WHERE ecosystem = :ecosystem)) \
         WHERE path > 3 AND instr(substr(origin, path), '/') > 1 ORDER BY server LIMIT :limit"
    );
    let mut statement = connection.prepare_cached(&sql)?;
    let limit = i64::try_from(limit).unwrap_or(i64::MAX);
    let rows =
        statement.query_map(named_params! { ":ecosystem": ecosystem, ":limit": limit }, |row| row.get(0))?;
    Ok(rows.collect::<Result<Vec<_>, _>>()?)
}

pub(super) fn artifacts(
    connection: &Connection,
    ecosystem: &str,
    repository: Option<&str>,
    name: &str,
) -> Result<Vec<Linked>, StoreError> {
    let sql = format!(
        "SELECT a.id, a.record, s.hosted, s.name, l.since FROM artifact a \
         CROSS JOIN link l ON l.artifact = a.id {VISIBLE} {precedence} \
         WHERE a.name = :name AND a.repository IN ({REPOSITORIES}) \
         ORDER BY {BY_PRECEDENCE}, a.repository, a.version, a.qualifier, a.id",
        precedence = precedence("a")
    );
    let mut statement = connection.prepare_cached(&sql)?;
    let mut rows = statement
        .query(named_params! { ":ecosystem": ecosystem, ":repository": repository, ":name": name })?;
    let (mut found, mut seen) = (Vec::new(), HashSet::new());
    while let Some(row) = rows.next()? {
        // Several sources may link the same record; it is seen once, as the first one's.
        if seen.insert(row.get::<_, i64>("id")?) {
            found.push(Linked {
                artifact: artifact(row.get_ref("record")?.as_str().map_err(|_| damaged("record"))?)?,
                source: source(row.get("hosted")?, row.get("name")?),
                generation: generation(row, "since")?,
            });
        }
    }
    Ok(found)
}

/// Joins a table `l` of links with the source `s` that showed them once, if one can still go back to that.
const KEPT: &str = "CROSS JOIN source s ON s.id = l.source AND (l.until IS NULL OR l.until > s.floor) \
                    CROSS JOIN generation g ON g.id = l.since AND g.state = 2";

pub(super) fn file_at(
    connection: &Connection,
    ecosystem: &str,
    schema: &str,
    repository: Option<&str>,
    path: &str,
) -> Result<Option<FoundFile>, StoreError> {
    file_among(connection, VISIBLE, ecosystem, schema, repository, path)
}

pub(super) fn former_file_at(
    connection: &Connection,
    ecosystem: &str,
    schema: &str,
    repository: Option<&str>,
    path: &str,
) -> Result<Option<FoundFile>, StoreError> {
    file_among(connection, KEPT, ecosystem, schema, repository, path)
}

/// `among` joins the links of whatever may be found.
fn file_among(
    connection: &Connection,
    among: &str,
    ecosystem: &str,
    schema: &str,
    repository: Option<&str>,
    path: &str,
) -> Result<Option<FoundFile>, StoreError> {
    if path.is_empty() {
        return Ok(None);
    }
    // A record without a schema is damaged, which must not look like one that isn't there.
    let sql = format!(
        "SELECT f.position, a.record, r.name AS repository, a.name, a.version FROM file f \
         CROSS JOIN artifact a ON a.id = f.artifact AND a.repository IN ({REPOSITORIES}) \
         CROSS JOIN link l ON l.artifact = a.id {among} \
         CROSS JOIN repository r ON r.id = a.repository \
         WHERE f.path = :path AND f.path <> '' AND coalesce(json_extract(a.record, '$.schema'), :schema) = :schema \
         ORDER BY s.id, l.since DESC, a.id LIMIT 1"
    );
    let mut statement = connection.prepare_cached(&sql)?;
    let mut rows = statement.query(named_params! {
        ":ecosystem": ecosystem, ":schema": schema, ":repository": repository, ":path": path,
    })?;
    let Some(row) = rows.next()? else { return Ok(None) };
    let record = row.get_ref("record")?.as_str().map_err(|_| damaged("record"))?;
    Ok(Some(FoundFile {
        file: file(record, row.get("position")?)?,
        repository: row.get("repository")?,
        name: row.get("name")?,
        version: row.get("version")?,
    }))
}

pub(super) fn refs(
    connection: &Connection,
    ecosystem: &str,
    repository: Option<&str>,
    name: &str,
    label: Option<&str>,
) -> Result<Vec<LinkedRef>, StoreError> {
    // Only so does SQLite look a label up among the many that a package may have.
    let labelled = if label.is_some() { "AND l.label = :label" } else { "AND :label IS NULL" };
    let sql = format!(
        "SELECT r.ecosystem, r.name AS repository, l.name, l.label, l.version, s.hosted, s.name AS source \
         FROM repository r CROSS JOIN ref l ON l.repository = r.id AND l.name = :name {labelled} {VISIBLE} {precedence} \
         WHERE r.id IN ({REPOSITORIES}) AND EXISTS (SELECT 1 FROM artifact a CROSS JOIN link o \
         ON o.artifact = a.id AND o.source = s.id AND o.since <= s.visible \
         AND (o.until IS NULL OR o.until > s.visible) \
         WHERE a.name = l.name AND a.repository = r.id AND a.version = l.version) \
         ORDER BY {BY_PRECEDENCE}, r.id, l.label",
        precedence = precedence("l")
    );
    let mut statement = connection.prepare_cached(&sql)?;
    let parameters = named_params! {
        ":ecosystem": ecosystem, ":repository": repository, ":name": name, ":label": label
    };
    let rows = statement.query_map(parameters, |row| {
        let reference = Ref {
            ecosystem: row.get("ecosystem")?,
            repository: row.get("repository")?,
            name: row.get("name")?,
            label: row.get("label")?,
            version: row.get("version")?,
        };
        Ok(LinkedRef { reference, source: source(row.get("hosted")?, row.get("source")?) })
    })?;
    Ok(rows.collect::<Result<_, _>>()?)
}

pub(super) fn names(
    connection: &Connection,
    ecosystem: &str,
    repository: Option<&str>,
    after: &str,
    limit: i64,
) -> Result<Vec<String>, StoreError> {
    let sql = format!(
        "SELECT a.name FROM artifact a CROSS JOIN link l ON l.artifact = a.id {VISIBLE} \
         WHERE a.name > :after AND a.repository IN ({REPOSITORIES}) GROUP BY a.name ORDER BY a.name LIMIT :limit"
    );
    let mut statement = connection.prepare_cached(&sql)?;
    let parameters = named_params! {
        ":ecosystem": ecosystem, ":repository": repository, ":after": after, ":limit": limit
    };
    let rows = statement.query_map(parameters, |row| row.get(0))?;
    Ok(rows.collect::<Result<_, _>>()?)
}

pub(super) fn list(
    connection: &Connection,
    after: Option<&Cursor>,
    limit: i64,
) -> Result<Vec<Listed>, StoreError> {
    let mut next = connection.prepare_cached("SELECT min(ecosystem) FROM repository WHERE ecosystem > ?1")?;
    let (mut found, mut after) = (Vec::new(), after.cloned());
    loop {
        let room = limit.saturating_sub_unsigned(found.len() as u64);
        if let Some(after) = &after {
            found.extend(list_ecosystem(connection, after, room)?);
        }
        // One page may end an ecosystem and begin the next one.
        let ecosystem = after.as_ref().map_or("", |after| &after.ecosystem);
        let following: Option<String> = next.query_row([ecosystem], |row| row.get(0))?;
        match following {
            Some(ecosystem) if (found.len() as u64) < limit.unsigned_abs() => {
                after = Some(Cursor { ecosystem, ..Cursor::default() });
            }
            _ => return Ok(found),
        }
    }
}

/// What follows in the cursor's own ecosystem. In the order of an index, so that a page costs what it holds: one
/// ecosystem at a time, as that is no part of the index.
fn list_ecosystem(connection: &Connection, after: &Cursor, limit: i64) -> Result<Vec<Listed>, StoreError> {
    let sql = format!(
        "SELECT a.name, a.repository, a.version, a.qualifier, l.id, a.record, s.hosted, s.name AS source, l.since \
         FROM artifact a INDEXED BY artifact_name \
         CROSS JOIN repository r ON r.id = a.repository AND r.ecosystem = :ecosystem \
         CROSS JOIN link l ON l.artifact = a.id {VISIBLE} \
         WHERE (a.name, a.repository, a.version, a.qualifier, l.id) \
             > (:name, :repository, :version, :qualifier, :link) \
         ORDER BY a.name, a.repository, a.version, a.qualifier, l.id LIMIT :limit"
    );
    let mut statement = connection.prepare_cached(&sql)?;
    let mut rows = statement.query(named_params! {
        ":ecosystem": after.ecosystem, ":name": after.name, ":repository": after.repository,
        ":version": after.version, ":qualifier": after.qualifier, ":link": after.link, ":limit": limit
    })?;
    let mut found = Vec::new();
    while let Some(row) = rows.next()? {
        let cursor = Cursor {
            ecosystem: after.ecosystem.clone(),
            name: row.get("name")?,
            repository: row.get("repository")?,
            version: row.get("version")?,
            qualifier: row.get("qualifier")?,
            link: row.get("id")?,
        };
        let linked = Linked {
            artifact: artifact(row.get_ref("record")?.as_str().map_err(|_| damaged("record"))?)?,
            source: source(row.get("hosted")?, row.get("source")?),
            generation: generation(row, "since")?,
        };
        found.push(Listed { cursor, linked });
    }
    Ok(found)
}

/// The channels that anything was accepted in or published for; one of that name, or all.
pub(super) fn channels(connection: &Connection, name: Option<&str>) -> Result<Vec<ChannelState>, StoreError> {
    let mut statement = connection.prepare_cached(
        "SELECT name, epoch, sequence, visible FROM source WHERE hosted = 0 AND (?1 IS NULL OR name = ?1) \
         AND (visible > 0 OR epoch > 0 OR sequence > 0) ORDER BY name",
    )?;
    let mut rows = statement.query([name])?;
    let mut found = Vec::new();
    while let Some(row) = rows.next()? {
        found.push(ChannelState {
            name: row.get("name")?,
            epoch: unsigned(row, "epoch")?,
            sequence: unsigned(row, "sequence")?,
            generation: generation(row, "visible")?,
        });
    }
    Ok(found)
}

pub(super) fn snapshots(connection: &Connection, channel: &str) -> Result<Vec<SnapshotEntry>, StoreError> {
    let mut statement = connection.prepare_cached(
        "SELECT n.id, n.epoch, n.sequence, n.created, n.accepted, n.signers, n.generation FROM source s \
         JOIN snapshot n ON n.source = s.id WHERE s.hosted = 0 AND s.name = ?1 ORDER BY n.epoch, n.sequence",
    )?;
    let mut blobs =
        connection.prepare_cached("SELECT blob FROM snapshot_blob WHERE snapshot = ?1 ORDER BY position")?;
    let mut rows = statement.query([channel])?;
    let mut found = Vec::new();
    while let Some(row) = rows.next()? {
        let mut keys = Vec::new();
        let mut blobs = blobs.query([row.get::<_, i64>("id")?])?;
        while let Some(row) = blobs.next()? {
            keys.push(key(row, "blob")?);
        }
        let mut keys = keys.into_iter();
        let signers: String = row.get("signers")?;
        found.push(SnapshotEntry {
            channel: channel.to_owned(),
            epoch: unsigned(row, "epoch")?,
            sequence: unsigned(row, "sequence")?,
            snapshot: keys.next().ok_or_else(|| damaged("snapshot"))?,
            signatures: keys.next().ok_or_else(|| damaged("signatures"))?,
            segments: keys.collect(),
            created: row.get("created")?,
            accepted: row.get("accepted")?,
            signers: serde_json::from_str(&signers).map_err(|_| damaged("signers"))?,
            generation: generation(row, "generation")?,
        });
    }
    Ok(found)
}

/// The generations that a channel ever showed.
pub(super) fn generations(connection: &Connection, channel: &str) -> Result<Vec<Published>, StoreError> {
    let mut statement = connection.prepare_cached(
        "SELECT g.id, g.base, g.id >= s.floor AS is_kept FROM source s JOIN generation g \
         ON g.source = s.id AND g.state = ?2 WHERE s.hosted = 0 AND s.name = ?1 ORDER BY g.id",
    )?;
    let mut rows = statement.query((channel, PUBLISHED))?;
    let mut found = Vec::new();
    while let Some(row) = rows.next()? {
        found.push(Published {
            generation: generation(row, "id")?,
            base: generation(row, "base")?,
            is_kept: row.get("is_kept")?,
        });
    }
    Ok(found)
}

/// What was visible when a generation began; 0 if nothing was.
pub(super) fn base(connection: &Connection, generation: i64) -> Result<Generation, StoreError> {
    let mut statement = connection.prepare_cached("SELECT base FROM generation WHERE id = ?1")?;
    let mut rows = statement.query([generation])?;
    let Some(row) = rows.next()? else { return Ok(Generation(0)) };
    unsigned(row, "base").map(Generation)
}

/// The channel of a generation.
pub(super) fn channel_of(connection: &Connection, generation: i64) -> Result<String, StoreError> {
    let mut statement = connection
        .prepare_cached("SELECT s.name FROM generation g JOIN source s ON s.id = g.source WHERE g.id = ?1")?;
    let mut rows = statement.query([generation])?;
    let row = rows.next()?.ok_or(StoreError::Misuse("there is no such generation"))?;
    Ok(row.get(0)?)
}
