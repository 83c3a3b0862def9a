//! Bundles of which not all volumes have arrived.

use std::collections::BTreeMap;

use bundle_format::BlobKey;
use rusqlite::{Connection, Transaction};

use super::claims;
use super::value::{key, number, unsigned};
use crate::store::{Arrival, SessionId, StoreError};

/// How long a bundle waits for its next volume, in seconds: ships are long away.
const KEPT: u64 = 400 * 24 * 60 * 60;

pub(super) fn all(connection: &Connection) -> Result<Vec<Arrival>, StoreError> {
    let mut statement = connection.prepare_cached(
        "SELECT packing, snapshot, channel, epoch, sequence, volumes, session, began FROM arrival \
         ORDER BY channel, epoch, sequence, packing",
    )?;
    let mut arrived = connection
        .prepare_cached("SELECT volume, checked FROM arrived WHERE packing = ?1 ORDER BY volume")?;
    let mut rows = statement.query([])?;
    let mut found = Vec::new();
    while let Some(row) = rows.next()? {
        let packing = key(row, "packing")?;
        let mut volumes = BTreeMap::new();
        let mut rows = arrived.query([packing.as_bytes()])?;
        while let Some(row) = rows.next()? {
            volumes.insert(unsigned(row, "volume")?, row.get("checked")?);
        }
        found.push(Arrival {
            packing,
            snapshot: key(row, "snapshot")?,
            channel: row.get("channel")?,
            epoch: unsigned(row, "epoch")?,
            sequence: unsigned(row, "sequence")?,
            volumes: unsigned(row, "volumes")?,
            session: SessionId(unsigned(row, "session")?),
            began: row.get("began")?,
            arrived: volumes,
        });
    }
    Ok(found)
}

/// Notes that volumes of this bundle arrive; the session that keeps their blobs.
pub(super) fn begin(transaction: &Transaction<'_>, arrival: &Arrival) -> Result<SessionId, StoreError> {
    let session = claims::open(transaction, KEPT)?;
    transaction.execute(
        "INSERT INTO arrival (packing, snapshot, channel, epoch, sequence, volumes, session, began) \
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
        (
            arrival.packing.as_bytes(),
            arrival.snapshot.as_bytes(),
            &arrival.channel,
            number(arrival.epoch)?,
            number(arrival.sequence)?,
            number(arrival.volumes)?,
            session,
            &arrival.began,
        ),
    )?;
    u64::try_from(session).map(SessionId).map_err(|_| super::value::damaged("session"))
}

pub(super) fn arrived(
    transaction: &Transaction<'_>,
    packing: &BlobKey,
    volume: u64,
    checked: bool,
) -> Result<(), StoreError> {
    transaction.execute(
        "INSERT INTO arrived (packing, volume, checked) VALUES (?1, ?2, ?3) \
         ON CONFLICT DO UPDATE SET checked = max(checked, excluded.checked)",
        (packing.as_bytes(), number(volume)?, checked),
    )?;
    Ok(())
}

pub(super) fn end(transaction: &Transaction<'_>, packing: &BlobKey) -> Result<(), StoreError> {
    for sql in [
        "DELETE FROM claim WHERE session IN (SELECT session FROM arrival WHERE packing = ?1)",
        "DELETE FROM session WHERE id IN (SELECT session FROM arrival WHERE packing = ?1)",
        "DELETE FROM arrived WHERE packing = ?1",
        "DELETE FROM arrival WHERE packing = ?1",
    ] {
        transaction.execute(sql, [packing.as_bytes()])?;
    }
    Ok(())
}

/// Forgets bundles whose sessions have ended: what had arrived may be gone.
pub(super) fn forget(transaction: &Transaction<'_>) -> Result<(), StoreError> {
    transaction.execute(
        "DELETE FROM arrived WHERE packing IN (SELECT packing FROM arrival WHERE session NOT IN (SELECT id FROM session))",
        [],
    )?;
    transaction.execute("DELETE FROM arrival WHERE session NOT IN (SELECT id FROM session)", [])?;
    Ok(())
}
