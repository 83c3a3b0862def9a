//! Whether a snapshot may follow what a channel has here: a pure decision, so that it can be read and tested whole.

use std::fmt;

use bundle_format::BlobKey;
use serde::{Deserialize, Serialize};

use crate::problem::{Kind, Problem};

/// How far above the newest a sequence may be. A stolen key cannot use up the numbers in one stroke, and nobody
/// collects a million times between two imports.
pub const MAX_JUMP: u64 = 1_000_000;

/// A place in a channel. Places are ordered by epoch, then by sequence.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Mark {
    /// Which reign of a root document; only a new root version opens a new one.
    pub epoch: u64,
    /// The place within it.
    pub sequence: u64,
}

impl fmt::Display for Mark {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "sequence {} of epoch {}", self.sequence, self.epoch)
    }
}

/// What to do with a snapshot.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Decision {
    /// It is above everything that was accepted: it is the channel's newest.
    New,
    /// It was accepted before: there is nothing to do.
    AlreadyHeld,
    /// It is below the newest and was never seen, as when an emergency patch overtook it: it adds its artifacts,
    /// and moves no ref that a higher one set.
    Late,
    /// Another snapshot has its place; `None` if the place is taken by one that is not known any more.
    Fork(Option<BlobKey>),
    /// It is below the floor.
    BelowFloor(Mark),
    /// It is of an epoch that has ended.
    OldEpoch(Mark),
    /// It is too far above the newest.
    TooFar(Mark),
}

/// What is known of a channel here when a snapshot arrives.
#[derive(Debug, Clone, Copy)]
pub struct Channel<'a> {
    /// The newest place that was ever accepted; `None` for a channel that is new here.
    pub high_water: Option<Mark>,
    /// The snapshots that were accepted, in any order.
    pub accepted: &'a [(Mark, BlobKey)],
    /// The lowest place that may still be accepted: [`super::Root::floor`].
    pub floor: Mark,
}

/// Decides about the snapshot with this digest at this place.
pub fn decide(channel: Channel<'_>, mark: Mark, digest: BlobKey) -> Decision {
    if let Some((_, held)) = channel.accepted.iter().find(|(accepted, _)| *accepted == mark) {
        return if *held == digest { Decision::AlreadyHeld } else { Decision::Fork(Some(*held)) };
    }
    let newest = channel.high_water.into_iter().chain(channel.accepted.iter().map(|(mark, _)| *mark)).max();
    let epoch = newest.map_or(0, |newest| newest.epoch).max(channel.floor.epoch);
    if mark.epoch < epoch {
        return Decision::OldEpoch(Mark { epoch, sequence: 0 });
    }
    if mark < channel.floor {
        return Decision::BelowFloor(channel.floor);
    }
    // In a new epoch counting starts again, from the floor if there is one.
    let base = newest.into_iter().chain([channel.floor]).filter(|base| base.epoch == mark.epoch).max();
    let base = base.unwrap_or(Mark { epoch: mark.epoch, sequence: 0 });
    if mark.sequence.saturating_sub(base.sequence) > MAX_JUMP {
        return Decision::TooFar(base);
    }
    match newest {
        Some(newest) if mark == newest => Decision::Fork(None),
        Some(newest) if mark < newest => Decision::Late,
        _ => Decision::New,
    }
}

impl Decision {
    /// Why a snapshot with this decision is refused, exit 6; `None` if it is not.
    pub fn refusal(self, channel: &str, mark: Mark) -> Option<Problem> {
        let refused = |code, message| Some(Problem::new(Kind::Refused, code, message));
        match self {
            Decision::New | Decision::AlreadyHeld | Decision::Late => None,
            Decision::Fork(held) => {
                let held = held.map_or("another snapshot".to_owned(), |held| format!("the snapshot {held}"));
                let message = format!("fork: {mark} of channel {channel} was already given to {held}");
                let hint = "two collectors signed the same sequence, or a ledger was lost: find out which, \
                            and collect again from the ledger that is right";
                refused("trust.fork", message).map(|problem| problem.hint(hint))
            }
            Decision::BelowFloor(floor) => refused(
                "trust.below-floor",
                format!("{mark} of channel {channel} is below the floor, which is {floor}"),
            ),
            Decision::OldEpoch(newest) => refused(
                "trust.old-epoch",
                format!("{mark} of channel {channel} comes too late: epoch {} has begun", newest.epoch),
            ),
            Decision::TooFar(base) => refused(
                "trust.sequence-jump",
                format!(
                    "{mark} of channel {channel} is more than {MAX_JUMP} above {base}, the newest that is known"
                ),
            ),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Imports sequences of epoch 1 one after the other, as a site does.
    fn import(order: &[(u64, &str)]) -> Vec<Decision> {
        let mut accepted: Vec<(Mark, BlobKey)> = Vec::new();
        let mut high_water = None;
        let mut decisions = Vec::new();
        for (sequence, content) in order {
            let (mark, digest) = (at(1, *sequence), BlobKey::of(content.as_bytes()));
            let channel = Channel { high_water, accepted: &accepted, floor: at(1, 0) };
            let decision = decide(channel, mark, digest);
            if matches!(decision, Decision::New | Decision::Late) {
                accepted.push((mark, digest));
                high_water = high_water.max(Some(mark));
            }
            decisions.push(decision);
        }
        decisions
    }

    fn at(epoch: u64, sequence: u64) -> Mark {
        Mark { epoch, sequence }
    }

    #[test]
    fn an_overtaken_snapshot_is_late_and_not_lost() {
        assert_eq!(import(&[(1, "a"), (3, "c"), (2, "b")]), [Decision::New, Decision::New, Decision::Late]);
    }

    #[test]
    fn the_same_snapshot_twice_is_held() {
        assert_eq!(import(&[(2, "b"), (2, "b")]), [Decision::New, Decision::AlreadyHeld]);
        let again = import(&[(1, "a"), (3, "c"), (2, "b"), (2, "b"), (1, "a")]);
        assert_eq!(again.last(), Some(&Decision::AlreadyHeld));
        assert_eq!(again.get(3), Some(&Decision::AlreadyHeld));
    }

    #[test]
    fn another_snapshot_of_a_sequence_is_a_fork() {
        let held = BlobKey::of(b"b");
        assert_eq!(import(&[(2, "b"), (2, "x")]), [Decision::New, Decision::Fork(Some(held))]);
        assert_eq!(import(&[(2, "b"), (3, "c"), (2, "x")]).last(), Some(&Decision::Fork(Some(held))));
        let refusal = Decision::Fork(Some(held)).refusal("prod", at(1, 2)).unwrap();
        assert_eq!((refusal.code.as_ref(), refusal.kind), ("trust.fork", Kind::Refused));
    }

    #[test]
    fn floors_epochs_and_jumps_hold() {
        let digest = BlobKey::of(b"any");
        let cases = [
            // High-water mark, floor, snapshot, decision.
            (None, at(1, 0), at(1, 1), Decision::New),
            (None, at(1, 0), at(1, 7), Decision::New),
            (None, at(1, 5), at(1, 4), Decision::BelowFloor(at(1, 5))),
            (None, at(1, 5), at(1, 5), Decision::New),
            (Some(at(1, 9)), at(1, 5), at(1, 4), Decision::BelowFloor(at(1, 5))),
            (Some(at(1, 9)), at(1, 5), at(1, 6), Decision::Late),
            (Some(at(1, 9)), at(1, 0), at(1, 9), Decision::Fork(None)),
            (Some(at(1, 9)), at(1, 0), at(1, 30), Decision::New),
            (Some(at(1, 9)), at(2, 0), at(1, 10), Decision::OldEpoch(at(2, 0))),
            (Some(at(2, 1)), at(1, 0), at(1, 10), Decision::OldEpoch(at(2, 0))),
            (Some(at(1, 900)), at(2, 0), at(2, 1), Decision::New),
            (None, at(1, 0), at(1, MAX_JUMP), Decision::New),
            (None, at(1, 0), at(1, MAX_JUMP + 1), Decision::TooFar(at(1, 0))),
            (None, at(1, MAX_JUMP), at(1, MAX_JUMP + 1), Decision::New),
            (Some(at(1, 9)), at(1, 0), at(1, MAX_JUMP + 10), Decision::TooFar(at(1, 9))),
            (Some(at(1, 9)), at(1, 0), at(2, u64::MAX), Decision::TooFar(at(2, 0))),
        ];
        for (high_water, floor, mark, expected) in cases {
            let decided = decide(Channel { high_water, accepted: &[], floor }, mark, digest);
            assert_eq!(decided, expected, "{mark} above {high_water:?}, floor {floor}");
        }
    }

    #[test]
    fn what_was_accepted_before_the_floor_rose_is_still_held() {
        let accepted = [(at(1, 3), BlobKey::of(b"c"))];
        let channel = Channel { high_water: Some(at(1, 3)), accepted: &accepted, floor: at(2, 10) };
        assert_eq!(decide(channel, at(1, 3), BlobKey::of(b"c")), Decision::AlreadyHeld);
        assert_eq!(decide(channel, at(1, 3), BlobKey::of(b"x")), Decision::Fork(Some(BlobKey::of(b"c"))));
    }
}
