//! How our types stand in columns.

use bundle_format::{Artifact, BlobKey, File};
use rusqlite::Row;
use serde::{Deserialize, Serialize};

use crate::store::{Generation, Source, StoreError};

/// SQLite's integers are signed.
pub(super) fn number(value: u64) -> Result<i64, StoreError> {
    i64::try_from(value)
        .map_err(|_| StoreError::Catalogue(format!("the number {value} is too large to be kept")))
}

/// A number that we wrote with [`number`].
pub(super) fn unsigned(row: &Row<'_>, column: &str) -> Result<u64, StoreError> {
    let value: i64 = row.get(column)?;
    u64::try_from(value).map_err(|_| damaged(column))
}

/// A generation's number.
pub(super) fn generation(row: &Row<'_>, column: &str) -> Result<Generation, StoreError> {
    unsigned(row, column).map(Generation)
}

/// A blob key, as its 32 raw bytes.
pub(super) fn key(row: &Row<'_>, column: &str) -> Result<BlobKey, StoreError> {
    row.get::<_, [u8; 32]>(column).map(BlobKey::new).map_err(|_| damaged(column))
}

/// The columns `hosted` and `name` of a source.
pub(super) fn source(hosted: bool, name: String) -> Source {
    if hosted { Source::Hosted } else { Source::Channel(name) }
}

/// The text of a value: canonical, so that equal records have equal digests.
pub(super) fn to_text<T: Serialize>(value: &T) -> Result<String, StoreError> {
    let unwritable =
        |why: &dyn std::fmt::Display| StoreError::Catalogue(format!("a record cannot be written: {why}"));
    let bytes = bundle_format::canonical::to_bytes(value).map_err(|error| unwritable(&error))?;
    String::from_utf8(bytes).map_err(|error| unwritable(&error))
}

/// An artifact from its record.
pub(super) fn artifact(record: &str) -> Result<Artifact, StoreError> {
    serde_json::from_str(record).map_err(|_| damaged("record"))
}

/// A file of an artifact from its record; what else is in it is skipped.
pub(super) fn file(record: &str, position: u32) -> Result<File, StoreError> {
    #[derive(Deserialize)]
    struct Files {
        files: Vec<File>,
    }
    let files: Files = serde_json::from_str(record).map_err(|_| damaged("record"))?;
    files.files.into_iter().nth(position as usize).ok_or_else(|| damaged("position"))
}

/// The catalogue holds what we cannot have written.
pub(super) fn damaged(what: &str) -> StoreError {
    StoreError::Damaged(format!("a row has a wrong {what}"))
}
