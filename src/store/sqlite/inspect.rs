//! What an import asks about a generation that it has staged.

use bundle_format::{BlobKey, Digest};
use rusqlite::{Connection, named_params};

use super::database::Database;
use super::stage::{PUBLISHED, Staging};
use super::value::{damaged, file, key, source, unsigned};
use crate::store::{Conflict, Source, StoreError};

/// How many rows are read at once, so that no read transaction stays open while a caller works.
const PAGE: usize = 50_000;

pub(super) fn claimed_checksums(
    connection: &Connection,
    generation: i64,
    blob: &BlobKey,
) -> Result<(Option<u64>, Vec<Digest>), StoreError> {
    let mut statement = connection.prepare_cached(
        "SELECT a.record, f.position FROM file f CROSS JOIN staged s ON s.generation = ?1 \
         AND s.artifact = f.artifact CROSS JOIN artifact a ON a.id = f.artifact WHERE f.blob = ?2",
    )?;
    let mut rows = statement.query((generation, blob.as_bytes()))?;
    let (mut size, mut checksums) = (None, Vec::new());
    while let Some(row) = rows.next()? {
        let record = row.get_ref("record")?.as_str().map_err(|_| damaged("record"))?;
        let file = file(record, row.get("position")?)?;
        same_size(size.replace(file.size), file.size)?;
        for checksum in file.checksums {
            // There are few different ones, one for each algorithm unless somebody lies.
            if !checksums.contains(&checksum) {
                checksums.push(checksum);
            }
        }
    }
    Ok((size, checksums))
}

pub(super) fn staged_blobs(
    database: &Database,
    generation: i64,
    each: &mut dyn FnMut(BlobKey, u64) -> Result<bool, StoreError>,
) -> Result<(), StoreError> {
    let mut last: Option<(BlobKey, u64)> = None;
    loop {
        let page = database.read(|connection| {
            let mut statement = connection.prepare_cached(
                "SELECT f.blob, f.size FROM staged s CROSS JOIN file f ON f.artifact = s.artifact \
                 WHERE s.generation = ?1 AND f.blob > ?2 ORDER BY f.blob LIMIT ?3",
            )?;
            let after = last.as_ref().map(|(key, _)| key.as_bytes().as_slice()).unwrap_or_default();
            let mut rows = statement.query((generation, after, PAGE as i64))?;
            let mut page = Vec::new();
            while let Some(row) = rows.next()? {
                page.push((key(row, "blob")?, unsigned(row, "size")?));
            }
            Ok(page)
        })?;
        let full = page.len() == PAGE;
        for (key, size) in page {
            match last {
                Some((known, claimed)) if known == key => same_size(Some(claimed), size)?,
                _ if !each(key, size)? => return Ok(()),
                _ => last = Some((key, size)),
            }
        }
        if !full {
            return Ok(());
        }
    }
}

/// A list of names as SQL takes it in.
fn json_list(names: &[&str]) -> String {
    serde_json::Value::from(names.to_vec()).to_string()
}

/// One blob cannot have two sizes: somebody lies.
fn same_size(known: Option<u64>, size: u64) -> Result<(), StoreError> {
    match known {
        Some(known) if known != size => Err(StoreError::Size { expected: known, found: size }),
        _ => Ok(()),
    }
}

pub(super) fn conflicts(
    connection: &Connection,
    generation: i64,
    apart: &[&str],
    limit: usize,
) -> Result<Vec<Conflict>, StoreError> {
    // Files that clients ask for by path must be the same for that path in every repository of the ecosystem: its virtual
    // repository shows all of them. What has no path says what an upstream thinks of those files, which changes as
    // upstreams deprecate or withdraw them, and what is shown of it is what the source with precedence says. But who brings
    // the files first is shown whatever its precedence, so then it must be the same. A name that is hosted is shown of its
    // hosted repository alone, so what others have under it in repositories of their own is in nobody's way.
    const SQL: &str = "
        WITH shown (artifact) AS ({SHOWN})
        SELECT r.ecosystem, r.name AS repository, f.path, a.name, a.version, o.hosted, o.name AS holder
        FROM shown s CROSS JOIN file f ON f.artifact = s.artifact CROSS JOIN artifact a ON a.id = s.artifact
        CROSS JOIN file g ON g.path = f.path AND g.path <> '' AND g.blob <> f.blob
        CROSS JOIN artifact b ON b.id = g.artifact
        CROSS JOIN link l ON l.artifact = b.id AND l.source <> :source
        CROSS JOIN source o ON o.id = l.source AND l.since <= o.visible
            AND (l.until IS NULL OR l.until > o.visible)
        CROSS JOIN repository r ON r.id = a.repository
        CROSS JOIN repository q ON q.id = b.repository AND q.ecosystem = r.ecosystem
            AND (q.id = r.id OR o.hosted = 0 AND r.ecosystem NOT IN (SELECT value FROM json_each(:apart)))
        WHERE f.path <> ''
        UNION
        SELECT r.ecosystem, r.name, '', a.name, a.version, o.hosted, o.name
        FROM shown s CROSS JOIN artifact a ON a.id = s.artifact
        CROSS JOIN artifact b ON b.name = a.name AND b.repository = a.repository
            AND b.version = a.version AND b.qualifier = a.qualifier AND b.id <> a.id
        CROSS JOIN link l ON l.artifact = b.id AND l.source <> :source
        CROSS JOIN source o ON o.id = l.source AND l.since <= o.visible
            AND (l.until IS NULL OR l.until > o.visible)
        CROSS JOIN repository r ON r.id = a.repository
        WHERE EXISTS (
            SELECT 1 FROM file f JOIN file g ON g.artifact = b.id AND g.path = ''
            WHERE f.artifact = a.id AND f.path = ''
            AND json_extract(a.record, '$.files[' || f.position || '].role')
              = json_extract(b.record, '$.files[' || g.position || '].role')
            AND f.blob NOT IN (SELECT blob FROM file WHERE artifact = b.id))
            AND EXISTS (SELECT 1 FROM file WHERE artifact = a.id AND path <> '')
            AND NOT EXISTS (SELECT 1 FROM file WHERE artifact = b.id AND path <> '')
        LIMIT :limit";
    let staging = Staging::load(connection, generation)?;
    // A generation that was published before has no list of its own any more.
    let shown = match staging.state {
        PUBLISHED => {
            "SELECT l.artifact FROM source o CROSS JOIN link l ON l.source = o.id AND l.since <= :generation \
             AND (l.until IS NULL OR l.until > :generation) \
             AND (l.since > o.visible OR l.until <= o.visible) WHERE o.id = :source"
        }
        _ => "SELECT artifact FROM staged WHERE generation = :generation",
    };
    let mut statement = connection.prepare_cached(&SQL.replace("{SHOWN}", shown))?;
    let limit = i64::try_from(limit).unwrap_or(i64::MAX);
    let mut rows = statement.query(named_params! {
        ":generation": generation, ":source": staging.source, ":apart": json_list(apart), ":limit": limit,
    })?;
    let mut found = Vec::new();
    while let Some(row) = rows.next()? {
        let path: String = row.get("path")?;
        let (name, version): (String, String) = (row.get("name")?, row.get("version")?);
        let held_by = match source(row.get("hosted")?, row.get("holder")?) {
            Source::Channel(name) => name,
            Source::Hosted => "hosted".to_owned(),
        };
        found.push(Conflict {
            ecosystem: row.get("ecosystem")?,
            repository: row.get("repository")?,
            path: if path.is_empty() { format!("{name} {version}") } else { path },
            held_by,
        });
    }
    Ok(found)
}
