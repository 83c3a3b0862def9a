//! How each channel stands: what arrived, what did not, how old it is, and what clients see of it.

use std::collections::BTreeMap;
use std::{fmt, iter};

use bundle_format::Record;
use serde::{Deserialize, Serialize};

use super::{at_site, evidence, site_time, snapshots};
use crate::cancel::Cancel;
use crate::clock;
use crate::config::ChannelRules;
use crate::ecosystem::registry;
use crate::problem::{Kind, Problem};
use crate::store::{ChannelState, Cursor, Generation, SnapshotEntry, Source, Store};
use crate::trust::Trust;
use crate::units;

/// How many rows are read at once.
const PAGE: usize = 1000;
/// So many gaps between sequences are named: the newest ones.
const GAPS: usize = 20;

/// How channels stand.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StatusReport {
    /// The time that counts here, RFC 3339 UTC.
    pub now: String,
    /// The channels, by name.
    pub channels: Vec<ChannelStatus>,
}

/// How a channel stands.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChannelStatus {
    /// Its name.
    pub channel: String,
    /// The newest snapshot that arrived; none, if none did.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub newest: Option<Newest>,
    /// How many snapshots arrived.
    pub snapshots: u64,
    /// Sequences below the newest one that never arrived. Nothing is wrong with a gap as such, since each snapshot says
    /// all that its lock holds; but what only they brought is not here.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub not_arrived: Vec<NumberRange>,
    /// Bundles of which not all volumes have arrived.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub arriving: Vec<Arriving>,
    /// What clients see.
    pub visible: Visible,
    /// What clients are told that gets old.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub as_of: Vec<AsOf>,
    /// What the newest snapshot lists, if it was packed here: others show it, so none of it is visible as this channel's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub packed: Option<PackedHere>,
    /// How old the newest snapshot may get, in seconds, if the site says so.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_age: Option<u64>,
    /// Why it is stale, if it is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stale: Option<String>,
}

/// The newest snapshot of a channel.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Newest {
    /// Its place.
    pub epoch: u64,
    /// See `epoch`.
    pub sequence: u64,
    /// When its lock was resolved.
    pub created: String,
    /// When it was accepted here.
    pub accepted: String,
    /// How many seconds ago it was created, by the time that counts here.
    pub age: u64,
    /// From when on it must not be imported any more.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub expires: Option<String>,
}

/// A bundle of which not all volumes have arrived.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Arriving {
    /// Its place in the channel.
    pub epoch: u64,
    /// See `epoch`.
    pub sequence: u64,
    /// How many volumes it has.
    pub volumes: u64,
    /// The volumes that have not arrived.
    pub missing: Vec<NumberRange>,
    /// When the first one arrived.
    pub began: String,
}

/// Numbers from one to another, both included.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct NumberRange {
    /// The first.
    pub from: u64,
    /// The last.
    pub to: u64,
}

/// What clients see of a channel.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Visible {
    /// The generation.
    pub generation: u64,
    /// The sequence of the snapshot that made it, if it was one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sequence: Option<u64>,
    /// How many artifacts that shows.
    pub artifacts: u64,
}

/// Something that clients are told and that gets old.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct AsOf {
    /// The ecosystem and repository that it is about.
    pub about: String,
    /// What it is, in a word: `advisories`.
    pub what: String,
    /// As of when it is, RFC 3339 UTC.
    pub time: String,
    /// How many seconds ago that was.
    pub age: u64,
}

/// What a snapshot lists that was packed here.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct PackedHere {
    /// How many artifacts that were selected.
    pub artifacts: u64,
    /// How many earlier snapshots, as evidence.
    pub evidence: u64,
}

impl fmt::Display for NumberRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.from == self.to {
            write!(f, "{}", self.from)
        } else {
            write!(f, "{} to {}", self.from, self.to)
        }
    }
}

impl StatusReport {
    /// The problem with what is stale (exit code 7), else with what is incomplete (4), if anything is.
    pub fn problem(&self) -> Option<Problem> {
        self.staleness().or_else(|| self.incompleteness())
    }

    fn incompleteness(&self) -> Option<Problem> {
        let (channel, bundle) =
            self.channels.iter().find_map(|status| Some((&status.channel, status.arriving.first()?)))?;
        let message = format!("volumes of sequence {} of the channel {channel} are missing", bundle.sequence);
        Some(
            Problem::new(Kind::Incomplete, "bundle.volumes-missing", message)
                .hint("import them in any order; those that were lost can be written again outside"),
        )
    }

    fn staleness(&self) -> Option<Problem> {
        let mut stale = self.channels.iter().filter_map(|channel| Some((channel, channel.stale.as_ref()?)));
        let (first, why) = stale.next()?;
        let problem = Problem::new(
            Kind::Stale,
            "channel.stale",
            format!("the channel {} is stale: {why}", first.channel),
        )
        .hint("ask whoever collects for it for the newest bundle");
        Some(
            stale.fold(problem, |problem, (channel, why)| {
                problem.because(format!("{}: {why}", channel.channel))
            }),
        )
    }
}

/// Tells how channels stand: the one that is named, or all that are here or in `rules`.
///
/// # Errors
/// Usage (2), if there is no channel of that name; if the store cannot be read.
pub fn status(
    store: &Store,
    trust: &Trust,
    rules: &BTreeMap<String, ChannelRules>,
    channel: Option<&str>,
    cancel: &Cancel,
) -> Result<StatusReport, Problem> {
    let now = site_time::now(store, trust.root())?;
    let mut shown = visible_artifacts(store, now, cancel)?;
    let mut states: BTreeMap<String, Option<ChannelState>> =
        rules.keys().map(|name| (name.clone(), None)).collect();
    let known = store.catalogue.channels()?;
    let mut arriving: BTreeMap<String, Vec<Arriving>> = BTreeMap::new();
    for arrival in store.catalogue.arrivals()? {
        states.entry(arrival.channel.clone()).or_default();
        // The numbers around all volumes, which are none themselves, make gaps of what is missing at either end.
        let around = arrival.volumes.saturating_add(1);
        let numbers: Vec<u64> = iter::once(0).chain(arrival.arrived.into_keys()).chain([around]).collect();
        arriving.entry(arrival.channel).or_default().push(Arriving {
            epoch: arrival.epoch,
            sequence: arrival.sequence,
            volumes: arrival.volumes,
            missing: gaps(&numbers, usize::MAX),
            began: arrival.began,
        });
    }
    states.extend(known.into_iter().map(|state| (state.name.clone(), Some(state))));
    if let Some(name) = channel {
        states.retain(|known, _| known == name);
        if states.is_empty() {
            let message = format!("nothing of a channel {name} is here");
            return Err(Problem::new(Kind::Usage, "channel.unknown", message)
                .hint("`aftk status` lists the channels that are here"));
        }
    }
    let channels = states.into_iter().map(|(name, state)| {
        let max_age = rules.get(&name).and_then(|rules| rules.max_age);
        let Shown { artifacts, as_of } = shown.remove(&name).unwrap_or_default();
        let arriving = arriving.remove(&name).unwrap_or_default();
        let status = one(store, name, state.as_ref(), max_age, artifacts, (now, cancel))?;
        Ok(ChannelStatus { arriving, as_of, ..status })
    });
    let channels = channels.collect::<Result<_, Problem>>()?;
    let time = std::time::UNIX_EPOCH + std::time::Duration::from_secs(u64::try_from(now).unwrap_or(0));
    Ok(StatusReport { now: clock::text(time), channels })
}

fn one(
    store: &Store,
    channel: String,
    state: Option<&ChannelState>,
    max_age: Option<u64>,
    artifacts: u64,
    (now, cancel): (i64, &Cancel),
) -> Result<ChannelStatus, Problem> {
    let entries = store.catalogue.snapshots(&channel)?;
    let entry = entries.iter().max_by_key(|entry| (entry.epoch, entry.sequence));
    let newest = entry.map(|entry| -> Result<Newest, Problem> {
        let created = clock::seconds(&entry.created).unwrap_or(now);
        Ok(Newest {
            epoch: entry.epoch,
            sequence: entry.sequence,
            created: entry.created.clone(),
            accepted: entry.accepted.clone(),
            age: u64::try_from(now.saturating_sub(created)).unwrap_or(0),
            expires: snapshots::read(store, entry)?.expires,
        })
    });
    let newest = newest.transpose()?;
    let packed = entry.filter(|entry| entry.generation == Generation::NONE);
    let packed = packed.map(|entry| packed_here(store, entry, cancel)).transpose()?;
    let mut sequences: Vec<u64> = entries
        .iter()
        .filter(|entry| newest.as_ref().is_some_and(|newest| newest.epoch == entry.epoch))
        .map(|entry| entry.sequence)
        .collect();
    sequences.sort_unstable();
    let generation = state.map_or(0, |state| state.generation.0);
    let mut shown = entries.iter().filter(|entry| entry.generation != Generation::NONE);
    let shown = shown.find(|entry| entry.generation.0 == generation);
    let visible = Visible { generation, sequence: shown.map(|entry| entry.sequence), artifacts };
    Ok(ChannelStatus {
        stale: stale(newest.as_ref(), max_age, now),
        snapshots: entries.len() as u64,
        not_arrived: gaps(&sequences, GAPS),
        arriving: Vec::new(),
        as_of: Vec::new(),
        channel,
        newest,
        visible,
        packed,
        max_age,
    })
}

/// Counts what a snapshot lists that was packed here.
fn packed_here(store: &Store, entry: &SnapshotEntry, cancel: &Cancel) -> Result<PackedHere, Problem> {
    let mut packed = PackedHere::default();
    at_site::records(entry, store, &mut |record| {
        match record {
            Record::Artifact(artifact) if artifact.ecosystem == evidence::ECOSYSTEM => packed.evidence += 1,
            Record::Artifact(_) => packed.artifacts += 1,
            _ => {}
        }
        cancel.check()
    })?;
    Ok(packed)
}

/// Why a channel is stale, if it is.
fn stale(newest: Option<&Newest>, max_age: Option<u64>, now: i64) -> Option<String> {
    let Some(newest) = newest else { return max_age.map(|_| "nothing of it ever arrived".to_owned()) };
    if let Some(expires) = &newest.expires
        && clock::seconds(expires).is_none_or(|expires| expires <= now)
    {
        return Some(format!("its newest snapshot expired at {expires}"));
    }
    let max_age = max_age.filter(|max_age| newest.age > *max_age)?;
    let (age, max_age) = (units::age(newest.age), units::age(max_age));
    Some(format!("its newest snapshot is {age} old, and {max_age} are allowed"))
}

/// The last gaps between numbers that come sorted, at most so many, the first gap first. What is before the first number is
/// none.
fn gaps(numbers: &[u64], most: usize) -> Vec<NumberRange> {
    let pairs = numbers.iter().zip(numbers.iter().skip(1)).rev();
    let mut gaps: Vec<NumberRange> = pairs
        .filter(|(one, next)| next.saturating_sub(**one) > 1)
        .map(|(one, next)| NumberRange { from: one + 1, to: next - 1 })
        .take(most)
        .collect();
    gaps.reverse();
    gaps
}

/// What clients see of a channel.
#[derive(Default)]
struct Shown {
    artifacts: u64,
    as_of: Vec<AsOf>,
}

/// Counts what each channel shows, and looks for what gets old in it.
fn visible_artifacts(store: &Store, now: i64, cancel: &Cancel) -> Result<BTreeMap<String, Shown>, Problem> {
    let mut all: BTreeMap<String, Shown> = BTreeMap::new();
    let mut cursor: Option<Cursor> = None;
    loop {
        cancel.check()?;
        let page = store.catalogue.list(cursor.as_ref(), PAGE)?;
        let Some(last) = page.last() else { return Ok(all) };
        cursor = Some(last.cursor.clone());
        for listed in page {
            let artifact = &listed.linked.artifact;
            if let Source::Channel(name) = &listed.linked.source {
                let shown = all.entry(name.clone()).or_default();
                shown.artifacts += 1;
                let ecosystem = registry::find(&artifact.ecosystem);
                if let Some((what, time)) = ecosystem.and_then(|ecosystem| ecosystem.as_of(artifact)) {
                    let ago = clock::seconds(time).map_or(0, |time| now.saturating_sub(time));
                    shown.as_of.push(AsOf {
                        about: format!("{}/{}", artifact.ecosystem, artifact.repository),
                        what: what.to_owned(),
                        time: time.to_owned(),
                        age: u64::try_from(ago).unwrap_or(0),
                    });
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn newest(age: u64, expires: Option<&str>) -> Newest {
        let [created, accepted] = ["2026-01-01T00:00:00Z", "2026-01-02T00:00:00Z"].map(str::to_owned);
        Newest { epoch: 1, sequence: 1, created, accepted, age, expires: expires.map(str::to_owned) }
    }

    #[test]
    fn what_is_too_old_or_expired_is_stale() {
        let day = 86_400;
        assert_eq!(stale(Some(&newest(400 * day, None)), None, 0), None, "by default nothing gets stale");
        assert_eq!(stale(Some(&newest(30 * day, None)), Some(30 * day), 0), None);
        let why = stale(Some(&newest(31 * day, None)), Some(30 * day), 0).unwrap();
        assert_eq!(why, "its newest snapshot is 31 days old, and 30 days are allowed");
        assert!(stale(None, Some(day), 0).is_some() && stale(None, None, 0).is_none());
        let expires = Some("2026-06-01T00:00:00Z");
        let at = |text: &str| clock::seconds(text).unwrap();
        assert_eq!(stale(Some(&newest(0, expires)), None, at("2026-05-31T23:59:59Z")), None);
        assert!(stale(Some(&newest(0, expires)), None, at("2026-06-01T00:00:00Z")).is_some());
    }

    #[test]
    fn gaps_are_between_what_arrived() {
        let found: Vec<_> = gaps(&[3, 4, 7, 9, 12], GAPS).iter().map(|gap| (gap.from, gap.to)).collect();
        assert_eq!(found, [(5, 6), (8, 8), (10, 11)]);
        assert!(gaps(&[], GAPS).is_empty() && gaps(&[7], GAPS).is_empty());
        let many: Vec<u64> = (0..100).map(|number| number * 2).collect();
        assert_eq!((gaps(&many, GAPS).len(), gaps(&many, GAPS).last().unwrap().to), (GAPS, 197));
    }
}
