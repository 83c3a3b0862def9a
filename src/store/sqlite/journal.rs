//! What is written beside the catalogue before a commit, so that a lost catalogue can be made again: which snapshots were
//! accepted, and what was forgotten.

use std::collections::BTreeSet;
use std::path::PathBuf;

use super::incarnation::Renewal;
use super::value::number;
use super::{SqliteCatalogue, forget, view};
use crate::fsx;
use crate::store::accepted::Accepted;
use crate::store::forgotten::Forgotten;
use crate::store::{Catalogue, Change, ChangeSet, Generation, SnapshotEntry, Source, StoreError};

/// The files that were written for a commit.
#[derive(Debug, Default)]
pub(super) struct Noted {
    accepted: Vec<Accepted>,
    forgotten: Vec<PathBuf>,
}

/// The channel that is to forget something.
pub(super) fn forgetting_channel(change: &Change) -> Option<&str> {
    match change {
        Change::Forget { source: Source::Channel(channel), .. } => Some(channel),
        _ => None,
    }
}

impl SqliteCatalogue {
    /// Writes what these changes add to the files beside the catalogue.
    pub(super) fn note(&self, changes: &ChangeSet, renewal: Option<&Renewal>) -> Result<Noted, StoreError> {
        let mut noted = Noted::default();
        let result = self
            .note_accepted(changes, renewal, &mut noted)
            .and_then(|()| self.note_forgotten(changes, &mut noted));
        match result {
            Ok(()) => Ok(noted),
            Err(error) => {
                self.take_back(changes, &noted);
                Err(error)
            }
        }
    }

    /// Removes the files of a commit that failed. It may have gone through all the same: then they stay, and rather one too
    /// many does than one too few.
    pub(super) fn take_back(&self, changes: &ChangeSet, noted: &Noted) {
        for accepted in noted.accepted.iter().filter(|accepted| !self.has(accepted)) {
            let _ = accepted.remove(&self.layout);
        }
        let is_forgetting =
            |change: &&Change| forgetting_channel(change).is_some() || matches!(change, Change::LetGo(_));
        let first = changes.changes.iter().find(is_forgetting);
        let is_done = first.is_none_or(|change| {
            self.database.read(|connection| forget::is_done(connection, change)).unwrap_or(true)
        });
        if !is_done {
            noted.forgotten.iter().for_each(|path| drop(fsx::remove(path)));
        }
    }

    /// Writes the files of the snapshots that are accepted; only those that were not there can be taken back. What an earlier
    /// version accepted, or could not write, is made up for.
    fn note_accepted(
        &self,
        changes: &ChangeSet,
        renewal: Option<&Renewal>,
        noted: &mut Noted,
    ) -> Result<(), StoreError> {
        for change in &changes.changes {
            match change {
                Change::Snapshot(entry) => {
                    for earlier in self.snapshots(&entry.channel)? {
                        let accepted = self.accepted(earlier)?;
                        if !accepted.is_written(&self.layout)? {
                            accepted.write(&self.layout)?;
                        }
                    }
                    let incarnation = renewal.map(|renewal| renewal.incarnation.clone()).unwrap_or_default();
                    let accepted = Accepted { incarnation, ..self.accepted(entry.clone())? };
                    let is_new = !accepted.is_written(&self.layout)?;
                    accepted.write(&self.layout)?;
                    noted.accepted.extend(is_new.then_some(accepted));
                }
                Change::Signatures(entry) => {
                    self.accepted(entry.clone())?
                        .with_written_incarnation(&self.layout)
                        .write(&self.layout)?;
                }
                _ => {}
            }
        }
        Ok(())
    }

    /// Writes the files of what channels forget. What clients pushed has no snapshots, and needs none.
    fn note_forgotten(&self, changes: &ChangeSet, noted: &mut Noted) -> Result<(), StoreError> {
        let mut channels: BTreeSet<String> =
            changes.changes.iter().filter_map(forgetting_channel).map(str::to_owned).collect();
        let mut let_go = None;
        for change in &changes.changes {
            if let Change::LetGo(generation) = change {
                let id = number(generation.0)?;
                let channel = self.database.read(|connection| view::channel_of(connection, id))?;
                channels.insert(channel.clone());
                let_go = Some((channel, *generation));
            }
        }
        for channel in channels {
            let snapshots = self.snapshots(&channel)?;
            let until = snapshots.iter().map(|entry| entry.generation).max().unwrap_or(Generation::NONE);
            let let_go = let_go.as_ref().filter(|(of, _)| *of == channel).map(|(_, generation)| *generation);
            for forgotten in Forgotten::of(&channel, until, let_go, changes) {
                noted.forgotten.push(forgotten.write(&self.layout)?);
            }
        }
        Ok(())
    }

    fn accepted(&self, entry: SnapshotEntry) -> Result<Accepted, StoreError> {
        let generation = number(entry.generation.0)?;
        let base = self.database.read(|connection| view::base(connection, generation))?;
        Ok(Accepted { base, entry, incarnation: String::new() })
    }

    /// Whether a snapshot was accepted here.
    fn has(&self, accepted: &Accepted) -> bool {
        let held = self.snapshots(&accepted.entry.channel);
        held.map_or(true, |held| held.iter().any(|entry| entry.snapshot == accepted.entry.snapshot))
    }
}
