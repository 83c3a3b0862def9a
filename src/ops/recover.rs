//! Going on after an old copy of the store was put back, or a backup restored: what was accepted after it was made is not
//! known to it, so a person has to say which bundles are too old.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::clock;
use crate::problem::{Kind, Problem};
use crate::store::{AuditEntry, Change, ChangeSet, Precondition, Store};
use crate::trust::Trust;

/// What was said of the channels.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct RecoverReport {
    /// Whether nothing was changed.
    pub dry_run: bool,
    /// Whether the store was an old copy; else there was nothing to do.
    pub was_put_back: bool,
    /// The lowest sequence of each channel that is taken from now on.
    pub min_sequences: BTreeMap<String, u64>,
}

/// Refuses what is new to a store that may have known it, or better.
///
/// # Errors
/// Refused (6), if an old copy of the store was put back.
pub(super) fn must_not_be_put_back(store: &Store) -> Result<(), Problem> {
    if !store.catalogue.is_put_back()? {
        return Ok(());
    }
    Err(Problem::new(
        Kind::Refused,
        "trust.put-back",
        "this store is not what this home accepted last: an old copy of it was put back, or a backup restored",
    )
    .because("bundles that it accepted after that are not known to it, so old ones cannot be told from new ones")
    .hint(
        "ask whoever collects for the newest sequence of each channel, then `aftk recover --min-sequence \
         CHANNEL=SEQUENCE`; bundles that are known here are imported all the same",
    ))
}

/// Takes the store for what it is, and refuses from now on what is below these sequences.
///
/// # Errors
/// Usage (2), if a channel of the store is not among them, or one cannot be called so. If trust or the catalogue cannot be
/// written.
pub fn recover(
    store: &Store,
    trust: &mut Trust,
    min_sequences: BTreeMap<String, u64>,
    dry_run: bool,
) -> Result<RecoverReport, Problem> {
    let was_put_back = store.catalogue.is_put_back()?;
    let report = RecoverReport { dry_run, was_put_back, min_sequences };
    if !was_put_back {
        return Ok(report);
    }
    let channels = store.catalogue.channels()?;
    if let Some(state) = channels.iter().find(|state| !report.min_sequences.contains_key(&state.name)) {
        let message = format!("nothing is said of the channel {}", state.name);
        return Err(Problem::new(Kind::Usage, "recover.channel", message).hint(format!(
            "add --min-sequence {}=SEQUENCE: the newest that was collected; this store knows up to {}",
            state.name, state.sequence
        )));
    }
    if dry_run {
        return Ok(report);
    }
    // First what keeps old bundles out, then what lets new ones in.
    trust.raise_floors(&report.min_sequences)?;
    let sequences = report.min_sequences.iter().map(|(name, sequence)| (name.clone(), sequence.to_string()));
    let audit =
        AuditEntry { time: clock::now_text(), action: "recovered".to_owned(), subject: sequences.collect() };
    let changes = vec![Change::Recovered, Change::Audit(audit)];
    store.catalogue.commit(&ChangeSet { changes }, &Precondition::None)?;
    Ok(report)
}
