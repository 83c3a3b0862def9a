//! Which state of a channel is visible: going back to an earlier one, and forward again.
//!
//! Nothing is copied and nothing is forgotten: the channel's high-water mark stays where it is, so a bundle that one went
//! back from is held already when it comes again, and older ones are as old as before.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::select;
use crate::clock;
use crate::ecosystem::registry;
use crate::problem::{Kind, Problem};
use crate::store::{
    AuditEntry, Change, ChangeSet, Generation, Precondition, Published, SnapshotEntry, Store, StoreError,
};

/// How many conflicts are shown to a person.
const CONFLICTS: usize = 20;

/// A state of a channel.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct State {
    /// The epoch of the newest snapshot in it.
    pub epoch: u64,
    /// The sequence of the newest snapshot in it; 0 if there is none.
    pub sequence: u64,
    /// When that snapshot was accepted here; empty if there is none.
    pub accepted: String,
    /// The number that this store gave the state.
    pub generation: Generation,
    /// Whether clients see it.
    pub is_visible: bool,
}

/// Which state of a channel is visible now.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ShownReport {
    /// The channel.
    pub channel: String,
    /// Whether nothing was changed.
    pub dry_run: bool,
    /// What was visible before.
    pub before: State,
    /// What is visible now, or would be.
    pub now: State,
    /// The newest state that is here.
    pub newest: State,
    /// All that one can go to, oldest first.
    pub kept: Vec<State>,
}

/// The states of a channel that are kept, oldest first.
///
/// # Errors
/// Incomplete (4), if nothing of such a channel was imported here.
pub fn states(store: &Store, channel: &str) -> Result<Vec<State>, Problem> {
    Ok(Past::read(store, channel)?.kept())
}

/// Makes an earlier state visible: the newest one of this sequence, or the one that the visible one continued.
///
/// # Errors
/// Incomplete (4), if there is no such channel, or no such earlier state is kept. Refused (6), if other channels meanwhile
/// brought other bytes for what would be seen again.
pub fn rollback(
    store: &Store,
    channel: &str,
    sequence: Option<u64>,
    dry_run: bool,
) -> Result<ShownReport, Problem> {
    show(store, channel, "rollback", dry_run, &|past| {
        let visible = past.visible()?;
        let mut earlier = past.kept().into_iter().filter(|state| state.generation < visible.generation);
        let found = match sequence {
            Some(sequence) => earlier.rfind(|state| state.sequence == sequence),
            None => {
                let base = past.base(visible.generation);
                earlier.rfind(|state| Some(state.generation) == base)
            }
        };
        found.ok_or_else(|| past.nothing(sequence, "earlier"))
    })
}

/// Makes a later state visible: the newest one of this sequence, or the newest of all.
///
/// # Errors
/// As [`rollback`].
pub fn promote(
    store: &Store,
    channel: &str,
    sequence: Option<u64>,
    dry_run: bool,
) -> Result<ShownReport, Problem> {
    show(store, channel, "promote", dry_run, &|past| {
        let visible = past.visible()?;
        let mut later = past.kept().into_iter().filter(|state| state.generation >= visible.generation);
        let found = later.rfind(|state| sequence.is_none_or(|sequence| state.sequence == sequence));
        found.ok_or_else(|| past.nothing(sequence, "later"))
    })
}

/// Makes the state visible that `choose` names.
fn show(
    store: &Store,
    channel: &str,
    action: &str,
    dry_run: bool,
    choose: &dyn Fn(&Past) -> Result<State, Problem>,
) -> Result<ShownReport, Problem> {
    loop {
        // What this relies on may change while it looks; then it looks again.
        let seen = store.catalogue.revision()?;
        let past = Past::read(store, channel)?;
        let (before, chosen) = (past.visible()?, choose(&past)?);
        let mut kept = past.kept();
        kept.iter_mut().for_each(|state| state.is_visible = state.generation == chosen.generation);
        let report = ShownReport {
            channel: channel.to_owned(),
            dry_run,
            newest: kept.last().cloned().unwrap_or_else(|| chosen.clone()),
            now: State { is_visible: true, ..chosen },
            before,
            kept,
        };
        if report.before.generation == report.now.generation {
            return Ok(report);
        }
        must_not_shadow(store, channel, report.now.generation)?;
        if dry_run {
            return Ok(report);
        }
        let name = |state: &State| format!("{}.{}", state.epoch, state.sequence);
        let subject = BTreeMap::from([
            ("channel".to_owned(), channel.to_owned()),
            ("sequence".to_owned(), name(&report.now)),
            ("before".to_owned(), name(&report.before)),
        ]);
        let audit = AuditEntry { time: clock::now_text(), action: action.to_owned(), subject };
        let changes =
            ChangeSet { changes: vec![Change::Publish(report.now.generation), Change::Audit(audit)] };
        match store.catalogue.commit(&changes, &Precondition::Revision(seen)) {
            Ok(_) => return Ok(report),
            Err(StoreError::Precondition) if store.catalogue.revision()? != seen => {}
            Err(error) => return Err(error.into()),
        }
    }
}

/// Refuses what would show other bytes for files that other channels show by now.
fn must_not_shadow(store: &Store, channel: &str, generation: Generation) -> Result<(), Problem> {
    let conflicts = store.catalogue.conflicts(generation, &registry::apart(), CONFLICTS)?;
    if conflicts.is_empty() {
        return Ok(());
    }
    let message = format!("that state of channel {channel} has other bytes for files that are shown by now");
    let problem = Problem::new(Kind::Refused, "policy.shadowed", message)
        .hint("go back with the other channel first, or take those files out of it with `aftk forget`");
    Err(conflicts.into_iter().fold(problem, |problem, conflict| {
        let (ecosystem, repository) = (conflict.ecosystem, conflict.repository);
        problem.because(format!("{ecosystem} {repository}/{} is held by {}", conflict.path, conflict.held_by))
    }))
}

/// What a channel has shown here.
struct Past {
    channel: String,
    visible: Generation,
    published: Vec<Published>,
    /// The newest snapshot in each generation.
    newest: BTreeMap<Generation, SnapshotEntry>,
}

impl Past {
    fn read(store: &Store, channel: &str) -> Result<Past, Problem> {
        let unknown = || select::nothing(format!("nothing of a channel {channel} was taken in here"));
        let state = store.catalogue.channel(channel)?.ok_or_else(unknown)?;
        let published = store.catalogue.generations(channel)?;
        let mut newest: BTreeMap<Generation, SnapshotEntry> = BTreeMap::new();
        for entry in store.catalogue.snapshots(channel)? {
            newest.insert(entry.generation, entry);
        }
        // Each continues its base, which began before it.
        for one in &published {
            let Some(before) = newest.get(&one.base) else { continue };
            let own = newest.get(&one.generation);
            if own.is_none_or(|own| (own.epoch, own.sequence) < (before.epoch, before.sequence)) {
                newest.insert(one.generation, before.clone());
            }
        }
        Ok(Past { channel: channel.to_owned(), visible: state.generation, published, newest })
    }

    fn state(&self, generation: Generation) -> State {
        let entry = self.newest.get(&generation);
        State {
            epoch: entry.map_or(0, |entry| entry.epoch),
            sequence: entry.map_or(0, |entry| entry.sequence),
            accepted: entry.map_or_else(String::new, |entry| entry.accepted.clone()),
            generation,
            is_visible: generation == self.visible,
        }
    }

    fn visible(&self) -> Result<State, Problem> {
        if self.published.iter().any(|one| one.generation == self.visible) {
            return Ok(self.state(self.visible));
        }
        Err(select::nothing(format!("the channel {} shows nothing here", self.channel)))
    }

    fn base(&self, generation: Generation) -> Option<Generation> {
        self.published.iter().find(|one| one.generation == generation).map(|one| one.base)
    }

    fn kept(&self) -> Vec<State> {
        self.published.iter().filter(|one| one.is_kept).map(|one| self.state(one.generation)).collect()
    }

    fn nothing(&self, sequence: Option<u64>, which: &str) -> Problem {
        let channel = &self.channel;
        let message = match sequence {
            Some(sequence) => format!("no {which} state of channel {channel} at sequence {sequence} is kept"),
            None => format!("no {which} state of channel {channel} is kept"),
        };
        let kept: Vec<_> = self
            .kept()
            .iter()
            .map(|state| format!("{}{}", state.sequence, if state.is_visible { " (visible)" } else { "" }))
            .collect();
        Problem::new(Kind::Incomplete, "generation.none", message)
            .because(format!("these are: {}", kept.join(", ")))
            .hint("site.toml says how many `gc` leaves: [store] keep_generations = 2")
    }
}

#[cfg(test)]
mod tests {
    use bundle_format::{BlobKey, Record};

    use super::*;
    use crate::ops::testing::artifact;
    use crate::store::Merge;

    /// Imports as sequence `sequence` of `prod`.
    fn import(store: &Store, sequence: u64, merge: Merge, records: &[Record]) {
        let generation = store.catalogue.begin_generation("prod").unwrap();
        store.catalogue.stage(generation, records).unwrap();
        store.catalogue.merge(generation, merge).unwrap();
        let entry = SnapshotEntry {
            channel: "prod".into(),
            epoch: 1,
            sequence,
            snapshot: BlobKey::of(&sequence.to_be_bytes()),
            signatures: BlobKey::of(b""),
            segments: Vec::new(),
            created: String::new(),
            accepted: format!("accepted {sequence}"),
            signers: Vec::new(),
            generation,
        };
        let changes = vec![Change::Publish(generation), Change::Snapshot(entry)];
        store.catalogue.commit(&ChangeSet { changes }, &Precondition::None).unwrap();
    }

    fn shown(store: &Store) -> Vec<String> {
        let list = store.catalogue.list(None, 100).unwrap();
        list.into_iter().map(|one| one.linked.artifact.version).collect()
    }

    fn sequences(states: &[State]) -> Vec<u64> {
        states.iter().map(|state| state.sequence).collect()
    }

    #[test]
    fn one_goes_back_and_forward_and_the_mark_stays() {
        let home = crate::fsx::test_directory();
        let store = Store::open(home.path()).unwrap();
        assert_eq!(states(&store, "prod").unwrap_err().kind, Kind::Incomplete);
        for sequence in 1..=3 {
            import(&store, sequence, Merge::Add, &[artifact("a", &sequence.to_string(), &["x"])]);
        }
        let back = rollback(&store, "prod", None, true).unwrap();
        assert_eq!((back.before.sequence, back.now.sequence, shown(&store).len()), (3, 2, 3));
        let back = rollback(&store, "prod", None, false).unwrap();
        assert_eq!((back.now.sequence, back.newest.sequence), (2, 3));
        assert_eq!(back.kept.iter().filter(|state| state.is_visible).count(), 1);
        assert_eq!(shown(&store), ["1", "2"]);
        assert_eq!(rollback(&store, "prod", None, false).unwrap().now.sequence, 1);
        assert_eq!(rollback(&store, "prod", None, false).unwrap_err().code, "generation.none");
        assert_eq!(store.catalogue.channel("prod").unwrap().unwrap().sequence, 3);
        assert_eq!(promote(&store, "prod", Some(2), false).unwrap().now.sequence, 2);
        assert_eq!(promote(&store, "prod", Some(1), false).unwrap_err().kind, Kind::Incomplete);
        assert_eq!(promote(&store, "prod", None, false).unwrap().now.sequence, 3);
        // What is so already is not done, nor logged, again.
        let log = store.catalogue.audit(0, 100).unwrap().len();
        assert_eq!(promote(&store, "prod", None, false).unwrap().now.sequence, 3);
        assert_eq!(store.catalogue.audit(0, 100).unwrap().len(), log);
        assert_eq!(rollback(&store, "prod", Some(1), false).unwrap().now.sequence, 1);
        assert_eq!(shown(&store), ["1"]);
    }

    #[test]
    fn what_one_went_back_from_is_left_out_of_the_way_back() {
        let home = crate::fsx::test_directory();
        let store = Store::open(home.path()).unwrap();
        for sequence in 1..=2 {
            import(&store, sequence, Merge::Add, &[artifact("a", &sequence.to_string(), &["x"])]);
        }
        rollback(&store, "prod", None, false).unwrap();
        import(&store, 3, Merge::Add, &[artifact("a", "3", &["x"])]);
        assert_eq!(shown(&store), ["1", "3"]);
        // Two are kept, and so is what the newest one continues.
        store.catalogue.prune("2026-01-01T00:00:00Z", 2).unwrap();
        assert_eq!(sequences(&states(&store, "prod").unwrap()), [1, 2, 3]);
        assert_eq!(rollback(&store, "prod", None, false).unwrap().now.sequence, 1);
        assert_eq!(promote(&store, "prod", Some(2), false).unwrap().now.sequence, 2);
        assert_eq!(shown(&store), ["1", "2"]);
    }

    #[test]
    fn a_late_snapshot_is_a_state_of_the_newer_one() {
        let home = crate::fsx::test_directory();
        let store = Store::open(home.path()).unwrap();
        for sequence in [1, 3, 2] {
            import(&store, sequence, Merge::Add, &[artifact("a", &sequence.to_string(), &["x"])]);
        }
        assert_eq!(sequences(&states(&store, "prod").unwrap()), [1, 3, 3]);
        rollback(&store, "prod", None, false).unwrap();
        assert_eq!(shown(&store), ["1", "3"]);
    }

    #[test]
    fn as_many_are_kept_as_the_site_says() {
        let home = crate::fsx::test_directory();
        let store = Store::open(home.path()).unwrap();
        for sequence in 1..=5 {
            import(&store, sequence, Merge::Replace, &[artifact("a", &sequence.to_string(), &["x"])]);
        }
        for (keep, expected) in [(9, [1, 2, 3, 4, 5].as_slice()), (3, &[3, 4, 5]), (2, &[4, 5]), (1, &[5])] {
            store.catalogue.prune("2026-01-01T00:00:00Z", keep).unwrap();
            assert_eq!(sequences(&states(&store, "prod").unwrap()), expected);
            assert_eq!(shown(&store), ["5"]);
        }
        assert!(rollback(&store, "prod", Some(4), false).is_err());
    }

    #[test]
    fn what_another_channel_brought_meanwhile_is_not_shadowed() {
        let home = crate::fsx::test_directory();
        let store = Store::open(home.path()).unwrap();
        import(&store, 1, Merge::Replace, &[artifact("a", "1", &["ours"])]);
        import(&store, 2, Merge::Replace, &[artifact("b", "1", &["b"])]);
        crate::ops::testing::import(&store, "dev", &[artifact("a", "1", &["theirs"])]);
        let refused = rollback(&store, "prod", None, false).unwrap_err();
        assert_eq!((refused.kind, &*refused.code), (Kind::Refused, "policy.shadowed"));
        assert!(refused.causes[0].ends_with("held by dev"), "{refused:?}");
    }
}
