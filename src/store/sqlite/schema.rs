//! The schema and how an older one becomes the newest.

use rusqlite::{Connection, TransactionBehavior};

use crate::store::StoreError;

/// The scripts that lead from each version to the next, from an empty database on.
const STEPS: [&str; 6] = [
    include_str!("schema/1.sql"),
    include_str!("schema/2.sql"),
    include_str!("schema/3.sql"),
    include_str!("schema/4.sql"),
    include_str!("schema/5.sql"),
    include_str!("schema/6.sql"),
];

/// "aftk" in ASCII, in the header of the file: tells ours from other SQLite databases.
const APPLICATION: u32 = 0x6166_746B;

/// Brings a database to the newest schema. An empty one, where a store was `made` before, has lost what it had.
pub(super) fn migrate(connection: &mut Connection, made: bool) -> Result<(), StoreError> {
    if version(connection)? == STEPS.len() && application(connection)? == APPLICATION {
        return Ok(());
    }
    // Another process may be at the same; whoever comes second finds the work done.
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let found = version(&transaction)?;
    let tables: u32 = transaction.query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0))?;
    let application = application(&transaction)?;
    if tables == 0 && made {
        return Err(StoreError::Lost);
    }
    if application != APPLICATION && !(found == 0 && application == 0 && tables == 0) {
        return Err(StoreError::Damaged("it is a database of another program".into()));
    }
    if found > STEPS.len() {
        let number = |version| u32::try_from(version).unwrap_or(u32::MAX);
        return Err(StoreError::Newer { found: number(found), known: number(STEPS.len()) });
    }
    for step in STEPS.iter().skip(found) {
        transaction.execute_batch(step)?;
    }
    transaction.pragma_update(None, "application_id", APPLICATION)?;
    transaction.pragma_update(None, "user_version", u32::try_from(STEPS.len()).unwrap_or(u32::MAX))?;
    transaction.commit()?;
    Ok(())
}

fn version(connection: &Connection) -> Result<usize, StoreError> {
    Ok(connection.pragma_query_value(None, "user_version", |row| row.get::<_, u32>(0))? as usize)
}

fn application(connection: &Connection) -> Result<u32, StoreError> {
    Ok(connection.pragma_query_value(None, "application_id", |row| row.get(0))?)
}
