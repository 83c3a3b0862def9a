//! The verbs' work. Nothing here knows an ecosystem by name, and nothing prints.
//!
//! Every operation takes a request, tells [`crate::events::Events`] what happens, and returns a report that is the
//! same for the command line, `--json` and whatever comes later.

mod accession;
pub mod account;
mod admission;
mod archive_index;
mod arriving;
mod at_site;
pub mod backup;
mod believed;
pub mod bundle;
mod carried;
pub mod certificates;
pub mod check;
pub mod collect;
pub mod context;
pub mod diff;
pub mod difference;
mod download;
pub mod editions;
mod evidence;
pub mod export;
pub mod export_files;
pub mod fetch;
pub mod forecast;
pub mod forget;
pub mod gather;
pub mod gc;
pub mod generations;
mod heal;
mod impersonation;
pub mod import;
mod ingest;
pub mod init;
pub mod inspect;
mod install;
mod intake;
pub mod issue;
pub use self::at_site::Basis;
mod isolation;
mod late;
mod ledger;
pub mod list;
pub mod lock;
pub mod lock_file;
pub mod login;
mod make;
pub mod media;
pub mod pack;
pub mod pack_store;
mod plain_files;
pub mod preflight;
mod programs;
pub mod project;
mod protect;
pub mod push;
pub mod rebuild;
pub mod recall;
pub mod receipt;
pub mod records;
pub mod recover;
pub mod repair;
pub mod requests;
pub mod resolve;
pub mod restore;
pub mod sbom;
pub mod select;
pub mod serve;
pub mod setup;
mod signing;
mod site_time;
mod snapshots;
pub mod status;
#[cfg(test)]
mod testing;
mod unpack;
mod upgrade;
pub mod verify;
pub mod volumes;
pub mod wanted;
pub mod watch;
pub mod why;

use std::io::Read;

use bundle_format::BlobKey;
use bytes::Bytes;

use crate::fsx;
use crate::problem::{Kind, Problem};
use crate::store::Store;
use crate::units;

pub use intake::Intake;

/// How much is read or written at once.
const BUFFER: usize = 256 * 1024;

/// A directory for lists that outgrow memory, where there is no store with room for them.
///
/// # Errors
/// If there is no room for one.
fn scratch() -> Result<fsx::TemporaryDirectory, Problem> {
    fsx::temporary_directory().map_err(|error| {
        Problem::new(Kind::Failed, "job.scratch", "cannot make a temporary directory")
            .caused_by(&error)
            .hint("TMPDIR says where there is room")
    })
}

/// Reads a small blob whole and checks that it is what its key says.
///
/// # Errors
/// If it isn't held, is larger than `limit` bytes, or is damaged.
pub fn read_blob(store: &Store, key: &BlobKey, limit: u64) -> Result<Bytes, Problem> {
    let blob = store.blobs.open(key)?.ok_or(crate::store::StoreError::Missing(*key))?;
    if blob.length > limit {
        return Err(Problem::new(
            Kind::Untrusted,
            "store.too-large",
            format!(
                "blob {key} has {}, more than the {} that are read at once",
                units::bytes(blob.length),
                units::bytes(limit)
            ),
        ));
    }
    let mut bytes = Vec::with_capacity(usize::try_from(blob.length).unwrap_or(0));
    let read = blob.file.take(blob.length).read_to_end(&mut bytes);
    read.map_err(|error| {
        Problem::new(Kind::Failed, "store.io", format!("cannot read blob {key}")).caused_by(&error)
    })?;
    if BlobKey::of(&bytes) != *key {
        return Err(Problem::new(Kind::Untrusted, "store.damaged", format!("blob {key} is damaged")).hint(
            "run `aftk check`: it sets damaged blobs aside, so that they can be collected or imported again",
        ));
    }
    Ok(Bytes::from(bytes))
}
