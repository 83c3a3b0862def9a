//! What time it is at a site: its clock, held up by what it has accepted.

use crate::clock;
use crate::problem::Problem;
use crate::store::Store;
use crate::trust::{Root, time};

/// The time that counts here, in seconds since 1970: never before the signed times of what was accepted.
///
/// # Errors
/// If the catalogue cannot be read.
pub(super) fn now(store: &Store, root: Option<&Root>) -> Result<i64, Problem> {
    let mut created = Vec::new();
    for channel in store.catalogue.channels()? {
        let entries = store.catalogue.snapshots(&channel.name)?;
        created.extend(entries.into_iter().map(|entry| (entry.accepted, entry.created)));
    }
    created.sort();
    let floor = root.map_or(0, |root| time::floor(root, created.iter().map(|(_, created)| created.as_str())));
    let clock = clock::seconds(&clock::now_text()).unwrap_or(0);
    Ok(time::effective(clock, floor))
}
