//! A catalogue that is made again, in a home of its own until it takes the place of the one that was lost.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use rusqlite::Transaction;

use super::database::Durable;
use super::hosted::Hosted;
use super::value::{artifact, number};
use super::{SqliteCatalogue, commit, incarnation};
use crate::fsx;
use crate::store::error::io_error;
use crate::store::layout::Layout;
use crate::store::{Catalogue, Generation, StoreError};

/// A database and what SQLite writes beside it, in the order in which they are moved: without the first there is none, while
/// one without its log would look sound and be old.
const FILES: [&str; 3] = ["", "-wal", "-shm"];

/// Takes one kind of rows over from the database that is called `old`.
type TakeOver = fn(&Transaction<'_>) -> Result<(), StoreError>;

/// A new catalogue, which nobody uses yet.
pub struct Rebuild {
    layout: Layout,
    catalogue: Arc<SqliteCatalogue>,
}

impl Rebuild {
    /// Begins one for the store of a home; returns it, and its catalogue to be filled. What an earlier one left is removed; whoever calls sees to it that there is none
    /// at work.
    ///
    /// # Errors
    /// If it cannot be written.
    pub fn begin(layout: &Layout) -> Result<(Rebuild, Arc<dyn Catalogue>), StoreError> {
        let home = layout.rebuild();
        removed(&home)?;
        let own = Layout::new(&home);
        for directory in [own.store(), own.locks()] {
            fsx::create_directory(&directory, fsx::Access::Private)
                .map_err(|error| io_error("cannot create", &directory, error))?;
        }
        let catalogue = Arc::new(SqliteCatalogue::open(&own)?);
        Ok((Rebuild { layout: layout.clone(), catalogue: catalogue.clone() }, catalogue))
    }

    /// The new catalogue.
    pub fn catalogue(&self) -> &dyn Catalogue {
        &*self.catalogue
    }

    /// Lets the generation that is begun next have this number, unless there is one of a higher number: what is written beside
    /// the catalogue names generations by the numbers that they had.
    ///
    /// # Errors
    /// If it cannot be written.
    pub fn number_next(&self, generation: Generation) -> Result<(), StoreError> {
        let before = number(generation.0)?.saturating_sub(1);
        self.catalogue.database.write(Durable::Soon, |transaction| {
            transaction.execute("DELETE FROM sqlite_sequence WHERE name = 'generation'", [])?;
            let sql = "INSERT INTO sqlite_sequence (name, seq) VALUES ('generation', ?1)";
            transaction.execute(sql, [before])?;
            Ok(())
        })
    }

    /// Says that the new catalogue goes on from there: where it is put, the other place knows what was accepted last.
    ///
    /// # Errors
    /// If it cannot be written.
    pub fn go_on_from(&self, incarnation: &str) -> Result<(), StoreError> {
        self.catalogue.database.write(Durable::Now, |transaction| {
            // Twice, so that none counts that was made on the way.
            incarnation::renew(transaction, incarnation)?;
            incarnation::renew(transaction, incarnation)
        })
    }

    /// Takes over from the old catalogue what no snapshot says; returns what of it cannot be read, each with the reason.
    pub fn take_over(&self) -> Vec<String> {
        let old = self.layout.catalogue();
        let parts: [(&str, TakeOver); 5] = [
            ("the audit log", audit),
            ("what clients pushed", hosted),
            ("what clients uploaded and did not name yet", deposits),
            ("what receipts promised, and bundles of which volumes are missing", claims),
            ("what clients asked for in vain", misses),
        ];
        // To look into one that is not there would make it.
        if !old.is_file() {
            return parts.iter().map(|(what, _)| format!("{what}: there is no old catalogue")).collect();
        }
        let lost = parts.into_iter().filter_map(|(what, part)| {
            let taken = self.catalogue.database.write_beside(&old, part);
            taken.err().map(|error| format!("{what}: {error}"))
        });
        lost.collect()
    }

    /// Puts the new catalogue in the place of the old one, which is set aside; returns where, if there was one.
    ///
    /// # Errors
    /// If the new one is still in use, or a file cannot be moved: then [`Rebuild::finish`] goes on.
    pub fn replace(self) -> Result<Option<PathBuf>, StoreError> {
        let Rebuild { layout, catalogue } = self;
        // Closed, it has no log any more.
        if Arc::into_inner(catalogue).is_none() {
            return Err(StoreError::Misuse("a new catalogue is put in its place while it is in use"));
        }
        moved(&layout.rebuild(), &layout.rebuilt())?;
        synced(&layout.store())?;
        Rebuild::finish(&layout)
    }

    /// Goes on where [`Rebuild::replace`] was interrupted, if it was; returns where the old catalogue is then. What it took
    /// over from that is nowhere else in order.
    ///
    /// # Errors
    /// If a file cannot be moved.
    pub fn finish(layout: &Layout) -> Result<Option<PathBuf>, StoreError> {
        let (new, old) = (Layout::new(&layout.rebuilt()).catalogue(), layout.catalogue());
        let mut set_aside = None;
        if is_there(&new)? {
            let name = fsx::random_name().map_err(|error| io_error("cannot name", &old, error))?;
            let aside = layout.quarantine().join(format!("catalogue-{name}.sqlite"));
            for end in FILES {
                let path = beside(&old, end);
                if is_there(&path)? {
                    moved(&path, &beside(&aside, end))?;
                    set_aside = Some(aside.clone());
                }
            }
            synced(&layout.store())?;
            moved(&new, &old)?;
            synced(&layout.quarantine())?;
            synced(&layout.store())?;
        }
        removed(&layout.rebuilt())?;
        Ok(set_aside)
    }

    /// Removes the new catalogue again.
    ///
    /// # Errors
    /// If it cannot be removed.
    pub fn discard(self) -> Result<(), StoreError> {
        let home = self.layout.rebuild();
        drop(self.catalogue);
        removed(&home)
    }
}

fn beside(path: &Path, end: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(end);
    PathBuf::from(name)
}

fn is_there(path: &Path) -> Result<bool, StoreError> {
    path.try_exists().map_err(|error| io_error("cannot look at", path, error))
}

fn removed(directory: &Path) -> Result<(), StoreError> {
    fsx::remove_directory(directory).map_err(|error| io_error("cannot remove", directory, error))
}

fn synced(directory: &Path) -> Result<(), StoreError> {
    fsx::sync_directory(directory).map_err(|error| io_error("cannot sync", directory, error))
}

fn moved(from: &Path, to: &Path) -> Result<(), StoreError> {
    fsx::rename(from, to).map_err(|error| io_error("cannot move", from, error))
}

fn audit(transaction: &Transaction<'_>) -> Result<(), StoreError> {
    transaction.execute_batch(
        "INSERT INTO main.audit SELECT position, line, digest FROM old.audit;
         UPDATE main.state SET (audit_length, audit_head) = (SELECT audit_length, audit_head FROM old.state)",
    )?;
    match commit::check_audit(transaction)? {
        None => Ok(()),
        Some(problem) => Err(StoreError::Damaged(problem)),
    }
}

fn claims(transaction: &Transaction<'_>) -> Result<(), StoreError> {
    Ok(transaction.execute_batch(
        "INSERT INTO main.session SELECT * FROM old.session;
         INSERT INTO main.claim SELECT * FROM old.claim;
         INSERT INTO main.arrival SELECT * FROM old.arrival;
         INSERT INTO main.arrived SELECT * FROM old.arrived",
    )?)
}

fn misses(transaction: &Transaction<'_>) -> Result<(), StoreError> {
    Ok(transaction.execute_batch("INSERT INTO main.miss SELECT * FROM old.miss")?)
}

fn deposits(transaction: &Transaction<'_>) -> Result<(), StoreError> {
    Ok(transaction.execute_batch(
        "INSERT OR IGNORE INTO main.repository (ecosystem, name) SELECT DISTINCT r.ecosystem, r.name
             FROM old.deposit d JOIN old.repository r ON r.id = d.repository;
         INSERT INTO main.deposit SELECT n.id, d.name, d.label, d.blob, d.size, d.since FROM old.deposit d
             JOIN old.repository r ON r.id = d.repository
             JOIN main.repository n ON n.ecosystem = r.ecosystem AND n.name = r.name",
    )?)
}

fn hosted(transaction: &Transaction<'_>) -> Result<(), StoreError> {
    let mut hosted = Hosted::new(transaction);
    let mut artifacts = transaction.prepare(
        "SELECT a.record FROM old.source s JOIN old.link l ON l.source = s.id AND l.until IS NULL \
         JOIN old.artifact a ON a.id = l.artifact WHERE s.hosted = 1 ORDER BY l.id",
    )?;
    let mut rows = artifacts.query([])?;
    while let Some(row) = rows.next()? {
        hosted.link(&artifact(row.get_ref(0)?.as_str().map_err(|_| super::value::damaged("record"))?)?)?;
    }
    let mut refs = transaction.prepare(
        "SELECT r.ecosystem, r.name, f.name, f.label, f.version FROM old.source s \
         JOIN old.ref f ON f.source = s.id AND f.until IS NULL JOIN old.repository r ON r.id = f.repository \
         WHERE s.hosted = 1 ORDER BY f.id",
    )?;
    let mut rows = refs.query([])?;
    while let Some(row) = rows.next()? {
        hosted.set_ref(&bundle_format::Ref {
            ecosystem: row.get(0)?,
            repository: row.get(1)?,
            name: row.get(2)?,
            label: row.get(3)?,
            version: row.get(4)?,
        })?;
    }
    Ok(())
}
