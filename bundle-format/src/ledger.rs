//! The ledger (`aftk.ledger`): which sequence of a channel was given to which content.
//!
//! Canonical JSON lines, only ever appended to, kept in version control beside the lock. A line is made durable
//! before the snapshot is signed, so that a sequence never means two things.

use serde::{Deserialize, Serialize};

use crate::canonical::{self, MAX_INTEGER};
use crate::digest::BlobKey;
use crate::document::{is_channel, is_time};

/// The longest line, in bytes with its line feed.
const MAX_LINE: usize = 4096;

/// One line: a sequence that was reserved.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LedgerEntry {
    /// The channel.
    pub channel: String,
    /// The snapshot's content key, see [`crate::Snapshot::content_key`].
    pub content: BlobKey,
    /// When the snapshot was created.
    pub created: String,
    /// The snapshot's epoch.
    pub epoch: u64,
    /// The snapshot's sequence.
    pub sequence: u64,
    /// The snapshot's digest.
    pub snapshot: BlobKey,
}

/// A ledger as it was read.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Ledger {
    entries: Vec<LedgerEntry>,
}

/// Why a ledger is not read, or an entry is not taken.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum LedgerError {
    /// A line is not in its form.
    #[error("line {line}: {reason}")]
    Line {
        /// From 1.
        line: usize,
        /// What was met.
        reason: String,
    },
    /// Two snapshots of one sequence: two ledgers were used for one channel, or merged.
    #[error("line {line}: the sequence {sequence} of {channel} is given a second time")]
    Fork {
        /// The line that gives it the second time, from 1.
        line: usize,
        /// The channel.
        channel: String,
        /// The sequence.
        sequence: u64,
    },
}

/// How a snapshot stands to those that are known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    /// Its sequence is not known.
    New,
    /// It is known.
    Known,
    /// Its sequence is known with another digest.
    Fork,
}

impl LedgerError {
    /// The stable code.
    pub fn code(&self) -> &'static str {
        match self {
            LedgerError::Line { .. } => "ledger.line",
            LedgerError::Fork { .. } => "ledger.fork",
        }
    }
}

impl LedgerEntry {
    /// The entry as a line of the ledger, with its line feed.
    pub fn to_line(&self) -> Result<Vec<u8>, LedgerError> {
        let fault = |reason: String| LedgerError::Line { line: 1, reason };
        self.validate().map_err(fault)?;
        let mut line = canonical::to_bytes(self).map_err(|e| fault(e.to_string()))?;
        line.push(b'\n');
        Ok(line)
    }

    fn validate(&self) -> Result<(), String> {
        if !is_channel(&self.channel) {
            return Err(format!("{:?} cannot name a channel", self.channel));
        }
        if !is_time(&self.created) {
            return Err(format!("created is {:?}, not a UTC time in whole seconds", self.created));
        }
        if !(1..=MAX_INTEGER).contains(&self.epoch) || !(1..=MAX_INTEGER).contains(&self.sequence) {
            return Err("epoch and sequence start at 1".to_owned());
        }
        Ok(())
    }
}

impl Ledger {
    /// Reads a ledger strictly. An empty file is an empty ledger.
    pub fn parse(bytes: &[u8]) -> Result<Ledger, LedgerError> {
        let mut ledger = Ledger::default();
        for (index, line) in bytes.split_inclusive(|byte| *byte == b'\n').enumerate() {
            let fault = |reason: String| LedgerError::Line { line: index + 1, reason };
            if line.len() > MAX_LINE {
                return Err(fault(format!("longer than {MAX_LINE} bytes")));
            }
            let line = line.strip_suffix(b"\n").ok_or_else(|| fault("it has no end".to_owned()))?;
            let entry = canonical::from_bytes::<LedgerEntry>(line).map_err(|e| fault(e.to_string()))?;
            ledger.take(entry, index + 1)?;
        }
        Ok(ledger)
    }

    /// Takes another entry, and returns the line to append to the file before anything is signed.
    pub fn append(&mut self, entry: LedgerEntry) -> Result<Vec<u8>, LedgerError> {
        let line = entry.to_line()?;
        self.take(entry, self.entries.len() + 1)?;
        Ok(line)
    }

    fn take(&mut self, entry: LedgerEntry, line: usize) -> Result<(), LedgerError> {
        entry.validate().map_err(|reason| LedgerError::Line { line, reason })?;
        if let Some(newest) = self.newest(&entry.channel) {
            let late = entry.sequence <= newest.sequence;
            if late && self.entry(&entry.channel, entry.sequence).is_some() {
                let LedgerEntry { channel, sequence, .. } = entry;
                return Err(LedgerError::Fork { line, channel, sequence });
            }
            if late || entry.epoch < newest.epoch {
                let reason = format!("{} had a later sequence or epoch before", entry.channel);
                return Err(LedgerError::Line { line, reason });
            }
        }
        self.entries.push(entry);
        Ok(())
    }

    /// All entries, in the order of the file.
    pub fn entries(&self) -> &[LedgerEntry] {
        &self.entries
    }

    /// The newest entry of a channel.
    pub fn newest(&self, channel: &str) -> Option<&LedgerEntry> {
        self.entries.iter().rev().find(|entry| entry.channel == channel)
    }

    /// The entry to return instead of taking a new sequence: the channel's newest, if it holds this content.
    ///
    /// An older one does not do: a channel that went from A to B and back to A must say so.
    pub fn held(&self, channel: &str, content: &BlobKey) -> Option<&LedgerEntry> {
        self.newest(channel).filter(|entry| entry.content == *content)
    }

    /// The entry of a sequence.
    pub fn entry(&self, channel: &str, sequence: u64) -> Option<&LedgerEntry> {
        self.entries.iter().rev().find(|entry| entry.channel == channel && entry.sequence == sequence)
    }

    /// The sequence that the channel's next content takes.
    pub fn next_sequence(&self, channel: &str) -> u64 {
        self.newest(channel).map_or(1, |entry| entry.sequence + 1)
    }

    /// How the snapshot of this digest stands to what the ledger knows of its sequence.
    pub fn standing(&self, channel: &str, sequence: u64, snapshot: &BlobKey) -> Standing {
        match self.entry(channel, sequence) {
            None => Standing::New,
            Some(entry) if entry.snapshot == *snapshot => Standing::Known,
            Some(_) => Standing::Fork,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(channel: &str, sequence: u64, content: &str) -> LedgerEntry {
        LedgerEntry {
            channel: channel.to_owned(),
            content: BlobKey::of(content.as_bytes()),
            created: "2026-11-21T08:38:55Z".to_owned(),
            epoch: 1,
            sequence,
            snapshot: BlobKey::of(format!("{channel} {sequence} {content}").as_bytes()),
        }
    }

    #[test]
    fn held_content_takes_no_new_sequence() {
        let mut ledger = Ledger::default();
        let mut file = Vec::new();
        for entry in [entry("prod", 1, "a"), entry("dev", 7, "a"), entry("prod", 2, "b")] {
            file.extend(ledger.append(entry).unwrap());
        }
        let ledger = Ledger::parse(&file).unwrap();
        assert_eq!(ledger.held("prod", &BlobKey::of(b"b")).unwrap().sequence, 2);
        assert!(ledger.held("prod", &BlobKey::of(b"a")).is_none());
        assert_eq!((ledger.next_sequence("prod"), ledger.next_sequence("new")), (3, 1));
        let known = entry("prod", 1, "a").snapshot;
        assert_eq!(ledger.standing("prod", 1, &known), Standing::Known);
        assert_eq!(ledger.standing("prod", 2, &known), Standing::Fork);
        assert_eq!(ledger.standing("prod", 3, &known), Standing::New);
    }

    #[test]
    fn a_ledger_that_says_two_things_is_refused() {
        let lines = |entries: &[LedgerEntry]| -> Vec<u8> {
            entries.iter().flat_map(|entry| entry.to_line().unwrap()).collect()
        };
        let fork = Ledger::parse(&lines(&[entry("prod", 1, "a"), entry("prod", 1, "b")])).unwrap_err();
        assert_eq!((fork.code(), fork.to_string().contains("line 2")), ("ledger.fork", true));
        let old_fork = [entry("prod", 1, "a"), entry("prod", 2, "a"), entry("prod", 1, "b")];
        assert_eq!(Ledger::parse(&lines(&old_fork)).unwrap_err().code(), "ledger.fork");
        let backwards = [entry("prod", 2, "a"), entry("prod", 1, "b")];
        assert_eq!(Ledger::parse(&lines(&backwards)).unwrap_err().code(), "ledger.line");
        let old_epoch = [LedgerEntry { epoch: 2, ..entry("prod", 1, "a") }, entry("prod", 2, "b")];
        assert_eq!(Ledger::parse(&lines(&old_epoch)).unwrap_err().code(), "ledger.line");
        let mut whole = lines(&[entry("prod", 1, "a")]);
        whole.pop();
        assert!(Ledger::parse(&whole).is_err());
        assert!(Ledger::parse(b"\n").is_err());
        let key = BlobKey::of(b"");
        let array = format!("[\"prod\",\"{key}\",\"2026-11-21T08:38:55Z\",1,1,\"{key}\"]\n");
        assert!(Ledger::parse(array.as_bytes()).is_err());
        assert!(Ledger::parse(b"").unwrap().entries().is_empty());
    }
}
