//! The one writer of what people and clients see, and the audit log that it keeps.

use bundle_format::BlobKey;
use rusqlite::{Connection, OptionalExtension, Transaction};

use super::forget;
use super::hosted::Hosted;
use super::stage::{MERGED, PUBLISHED, Staging};
use super::value::{key, number, to_text, unsigned};
use crate::store::{AuditEntry, Change, Precondition, Revision, SnapshotEntry, StoreError};

pub(super) fn revision(connection: &Connection) -> Result<Revision, StoreError> {
    let mut statement = connection.prepare_cached("SELECT revision FROM state")?;
    let mut rows = statement.query([])?;
    let row = rows.next()?.ok_or_else(|| super::value::damaged("state"))?;
    unsigned(row, "revision").map(Revision)
}

/// Whether what a change set relies on is still so.
pub(super) fn check(connection: &Connection, precondition: &Precondition) -> Result<(), StoreError> {
    match precondition {
        Precondition::None => Ok(()),
        Precondition::Revision(seen) if revision(connection)? == *seen => Ok(()),
        Precondition::Revision(_) => Err(StoreError::Precondition),
    }
}

/// Applies one change; those of one commit to hosted repositories make one generation.
pub(super) fn apply(hosted: &mut Hosted<'_>, change: &Change) -> Result<(), StoreError> {
    let transaction = hosted.transaction;
    match change {
        Change::Publish(generation) => publish(transaction, number(generation.0)?),
        Change::LetGo(generation) => forget::let_go(transaction, number(generation.0)?),
        Change::Forget { source, place, qualifier } => forget::forget(transaction, source, place, qualifier),
        Change::Snapshot(entry) => snapshot(transaction, entry),
        Change::Signatures(entry) => signatures(transaction, entry),
        // What there is to it belongs to the commit as a whole.
        Change::Recovered => Ok(()),
        Change::Audit(entry) => audit(transaction, entry),
        Change::Link(artifact) => hosted.link(artifact),
        Change::Unlink(place) => hosted.unlink(place),
        Change::SetRef(reference) => hosted.set_ref(reference),
        Change::DropRef(place) => hosted.drop_ref(place),
        Change::Deposit { place, blob, size } => hosted.deposit(place, blob, *size),
        Change::Withdraw(place) => hosted.withdraw(place),
    }
}

/// Counts the commit.
pub(super) fn count(transaction: &Transaction<'_>) -> Result<Revision, StoreError> {
    transaction.execute("UPDATE state SET revision = revision + 1", [])?;
    revision(transaction)
}

fn publish(transaction: &Transaction<'_>, generation: i64) -> Result<(), StoreError> {
    let staging = Staging::load(transaction, generation)?;
    let (visible, floor): (i64, i64) = transaction.query_row(
        "SELECT visible, floor FROM source WHERE id = ?1",
        [staging.source],
        |row| Ok((row.get(0)?, row.get(1)?)),
    )?;
    match staging.state {
        // It was merged with what was visible then; if that moved, it is no longer right.
        MERGED if staging.base != visible => return Err(StoreError::Precondition),
        MERGED => {
            transaction.execute(
                "UPDATE generation SET state = ?2, published = (SELECT revision + 1 FROM state) WHERE id = ?1",
                [generation, PUBLISHED],
            )?;
        }
        // Going back, or forward again: only as far as the rows are still there.
        PUBLISHED if generation < floor => return Err(StoreError::Precondition),
        PUBLISHED => {}
        _ => return Err(StoreError::Misuse("a generation is published before it is merged")),
    }
    if generation != visible {
        transaction.execute(
            "UPDATE source SET previous = visible, visible = ?2 WHERE id = ?1",
            [staging.source, generation],
        )?;
    }
    Ok(())
}

fn snapshot(transaction: &Transaction<'_>, entry: &SnapshotEntry) -> Result<(), StoreError> {
    let (epoch, sequence) = (number(entry.epoch)?, number(entry.sequence)?);
    transaction.execute("INSERT OR IGNORE INTO source (hosted, name) VALUES (0, ?1)", [&entry.channel])?;
    let source: i64 = transaction.query_row(
        "SELECT id FROM source WHERE hosted = 0 AND name = ?1",
        [&entry.channel],
        |row| row.get(0),
    )?;
    let generation = number(entry.generation.0)?;
    let written = transaction.execute(
        "INSERT OR IGNORE INTO snapshot (source, epoch, sequence, created, accepted, signers, generation) \
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
        (source, epoch, sequence, &entry.created, &entry.accepted, to_text(&entry.signers)?, generation),
    )?;
    if written == 0 {
        // This place of the channel is taken: another process was faster, or it is a fork.
        return Err(StoreError::Precondition);
    }
    let id = transaction.last_insert_rowid();
    let mut insert = transaction
        .prepare_cached("INSERT INTO snapshot_blob (snapshot, position, blob) VALUES (?1, ?2, ?3)")?;
    let blobs = [entry.snapshot, entry.signatures].into_iter().chain(entry.segments.iter().copied());
    for (position, blob) in blobs.enumerate() {
        insert.execute((id, position as i64, blob.as_bytes()))?;
    }
    transaction.execute(
        "UPDATE source SET epoch = ?2, sequence = ?3 WHERE id = ?1 AND (epoch, sequence) < (?2, ?3)",
        [source, epoch, sequence],
    )?;
    Ok(())
}

fn signatures(transaction: &Transaction<'_>, entry: &SnapshotEntry) -> Result<(), StoreError> {
    let place = (&entry.channel, number(entry.epoch)?, number(entry.sequence)?, entry.snapshot.as_bytes());
    let found = transaction
        .prepare_cached(
            "SELECT n.id FROM source s JOIN snapshot n ON n.source = s.id JOIN snapshot_blob b \
             ON b.snapshot = n.id AND b.position = 0 WHERE s.hosted = 0 AND s.name = ?1 \
             AND n.epoch = ?2 AND n.sequence = ?3 AND b.blob = ?4",
        )?
        .query_row(place, |row| row.get::<_, i64>(0))
        .optional()?;
    let Some(id) = found else { return Err(StoreError::Precondition) };
    transaction.execute("UPDATE snapshot SET signers = ?2 WHERE id = ?1", (id, to_text(&entry.signers)?))?;
    transaction.execute(
        "UPDATE snapshot_blob SET blob = ?2 WHERE snapshot = ?1 AND position = 1",
        (id, entry.signatures.as_bytes()),
    )?;
    Ok(())
}

fn audit(transaction: &Transaction<'_>, entry: &AuditEntry) -> Result<(), StoreError> {
    let line = to_text(entry)?;
    let (length, head): (i64, [u8; 32]) =
        transaction.query_row("SELECT audit_length, audit_head FROM state", [], |row| {
            Ok((row.get(0)?, row.get(1)?))
        })?;
    let digest = chain(&head, &line);
    transaction.execute(
        "INSERT INTO audit (position, line, digest) VALUES (?1, ?2, ?3)",
        (length, &line, digest.as_bytes()),
    )?;
    transaction.execute(
        "UPDATE state SET audit_length = ?1, audit_head = ?2",
        (length.saturating_add(1), digest.as_bytes()),
    )?;
    Ok(())
}

/// The digest after a line: of the digest before it and the line.
fn chain(before: &[u8; 32], line: &str) -> BlobKey {
    BlobKey::of(&[before, line.as_bytes()].concat())
}

pub(super) fn audit_from(
    connection: &Connection,
    from: i64,
    limit: i64,
) -> Result<Vec<(AuditEntry, BlobKey)>, StoreError> {
    let mut statement = connection
        .prepare_cached("SELECT line, digest FROM audit WHERE position >= ?1 ORDER BY position LIMIT ?2")?;
    let mut rows = statement.query([from, limit])?;
    let mut found = Vec::new();
    while let Some(row) = rows.next()? {
        let line: String = row.get("line")?;
        let entry =
            serde_json::from_str(&line).map_err(|_| super::value::damaged("line of the audit log"))?;
        found.push((entry, key(row, "digest")?));
    }
    Ok(found)
}

/// What is wrong with the chain, if anything.
pub(super) fn check_audit(connection: &Connection) -> Result<Option<String>, StoreError> {
    let (length, head): (i64, [u8; 32]) =
        connection.query_row("SELECT audit_length, audit_head FROM state", [], |row| {
            Ok((row.get(0)?, row.get(1)?))
        })?;
    let mut statement = connection.prepare("SELECT position, line, digest FROM audit ORDER BY position")?;
    let mut rows = statement.query([])?;
    let (mut next, mut digest) = (0_i64, [0_u8; 32]);
    while let Some(row) = rows.next()? {
        let (position, line): (i64, String) = (row.get(0)?, row.get(1)?);
        let stored: Vec<u8> = row.get(2)?;
        digest = *chain(&digest, &line).as_bytes();
        if position != next || stored != digest {
            return Ok(Some(format!("the audit log was changed at entry {next}")));
        }
        next += 1;
    }
    Ok((next != length || digest != head).then(|| format!("the audit log was cut off after entry {next}")))
}
