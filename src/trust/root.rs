//! The root document: who may sign what, from which sequence on, and whose keys are revoked.
//!
//! It is canonical JSON, signed under its own payload type. Thresholds count **principals** (people, machines), not
//! keys: a key stands under one principal only, so that one person with two keys is still one person.

use std::collections::{BTreeMap, BTreeSet};

use bundle_format::canonical::{self, MAX_INTEGER};
use bundle_format::document::{is_name, is_time};
use bundle_format::limits::{MAX_DOCUMENT, MAX_SIGNATURE_LINES};
use bundle_format::signature::is_key_id;
use bundle_format::{CanonicalError, Format};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::key::PublicKey;
use super::sequence::Mark;

/// The largest version: file names have six digits for it.
pub const MAX_VERSION: u64 = 999_999;

/// The most principals of a root document, and the most sites and channels that it names.
const MAX_ENTRIES: usize = 4096;

/// The most keys of one principal.
const MAX_KEYS: usize = 8;

/// What stands for every channel in a scope, a threshold or a retirement.
pub const EVERY_CHANNEL: &str = "*";

/// What a principal may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Role {
    /// Consent to snapshots as a second person.
    Approver,
    /// Sign snapshots, and the packing lists they travel under.
    Collector,
    /// Sign packing lists of snapshots that a collector signed.
    Packer,
    /// Sign the next root document. Not bound to channels.
    Root,
    /// Sign what a site holds. Not bound to channels.
    Site,
}

/// A version of the root document.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Root {
    /// Version of the format, and required features.
    pub format: Format,
    /// From 1 on, without gaps: 1 to [`MAX_VERSION`].
    pub version: u64,
    /// Which epoch is open: snapshots of a later one are refused, those of an earlier one come too late.
    pub epoch: u64,
    /// When this version was made, RFC 3339 UTC in whole seconds.
    pub created: String,
    /// From when on nothing is imported under it any more; later than `created`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires: Option<String>,
    /// Strictly ascending by name.
    pub principals: Vec<Principal>,
    /// How many principals must sign, by role and channel. A channel's own number goes before that of `*`; where
    /// there is neither, one is enough.
    pub thresholds: BTreeMap<Role, BTreeMap<String, u64>>,
    /// The lowest place that a channel may still accept: holds even for an empty store.
    pub floors: BTreeMap<String, Mark>,
    /// The sites that this document is for, strictly ascending; empty means any.
    pub sites: Vec<String>,
    /// Keys that may not sign any more, or not for what is new, by their id.
    pub revocations: BTreeMap<String, Revocation>,
    /// What readers may ignore.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub ext: BTreeMap<String, Value>,
}

/// Somebody or something that signs: one voice, whatever the number of its keys.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Principal {
    /// Its name.
    pub name: String,
    /// Its keys, strictly ascending by id, 1 to 8.
    pub keys: Vec<PublicKey>,
    /// How many of them must sign for it to have spoken.
    pub require: Require,
    /// What it may do, and for which channels: strictly ascending names, or `*` alone.
    pub roles: BTreeMap<Role, Vec<String>>,
}

/// How many keys of a principal must sign.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Require {
    /// Any of them.
    One,
    /// Every one of them: two algorithms as one signature.
    All,
}

/// How a key was revoked.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Revocation {
    /// Somebody else may have it: nothing that it signed counts.
    Compromised,
    /// What it signed up to this place of a channel (or of `*`: every other) still counts.
    RetiredAfter(BTreeMap<String, Mark>),
}

impl Root {
    /// Reads a root document strictly. Only bytes whose signatures are checked before they are obeyed may come here.
    ///
    /// # Errors
    /// In words, if it is not canonical or breaks a rule.
    pub fn from_bytes(bytes: &[u8]) -> Result<Root, String> {
        if bytes.len() as u64 > MAX_DOCUMENT {
            return Err(format!("{} bytes, the limit is {MAX_DOCUMENT}", bytes.len()));
        }
        let root: Root = canonical::from_bytes(bytes).map_err(|e| e.to_string())?;
        if canonical::to_bytes(&root).map_err(|e| e.to_string())? != bytes {
            return Err("a field is written that is left out when it is empty".to_owned());
        }
        root.validate()?;
        Ok(root)
    }

    /// The canonical bytes, if every rule is kept.
    ///
    /// # Errors
    /// If a rule is broken.
    pub fn to_bytes(&self) -> Result<Vec<u8>, CanonicalError> {
        self.validate().map_err(CanonicalError::Unwritable)?;
        canonical::to_bytes(self)
    }

    /// Who has this key.
    pub fn principal_of(&self, key_id: &str) -> Option<(&Principal, &PublicKey)> {
        self.principals
            .iter()
            .find_map(|principal| Some((principal, principal.keys.iter().find(|key| key.id() == key_id)?)))
    }

    /// How many principals must sign in this role for this channel.
    pub fn threshold(&self, role: Role, channel: &str) -> usize {
        let thresholds = self.thresholds.get(&role);
        let threshold = thresholds.and_then(|t| t.get(channel).or_else(|| t.get(EVERY_CHANNEL)));
        // A number that does not fit is larger than any number of signatures, and stays unattainable.
        threshold.map_or(1, |threshold| usize::try_from(*threshold).unwrap_or(usize::MAX)).max(1)
    }

    /// The lowest place of a channel that may still be accepted, for [`super::sequence::decide`].
    pub fn floor(&self, channel: &str) -> Mark {
        let epoch = Mark { epoch: self.epoch, sequence: 0 };
        self.floors.get(channel).copied().unwrap_or(epoch).max(epoch)
    }

    /// Whether a key may still speak for a place of a channel.
    pub fn is_valid_at(&self, key_id: &str, channel: &str, mark: Mark) -> bool {
        match self.revocations.get(key_id) {
            None => true,
            Some(Revocation::Compromised) => false,
            Some(Revocation::RetiredAfter(channels)) => channels
                .get(channel)
                .or_else(|| channels.get(EVERY_CHANNEL))
                .is_some_and(|last| mark <= *last),
        }
    }

    /// Whether these keys, whose signatures of a root document were verified, reach the threshold of the root role.
    pub(super) fn root_threshold_met(&self, signers: &BTreeSet<&str>) -> bool {
        let valid = |key: &str| signers.contains(key) && !self.revocations.contains_key(key);
        let voices = self.principals.iter().filter(|p| p.may(Role::Root, EVERY_CHANNEL) && p.speaks(&valid));
        voices.count() >= self.threshold(Role::Root, EVERY_CHANNEL)
    }

    fn validate(&self) -> Result<(), String> {
        if self.format != Format::current() {
            let Format { major, minor, must_understand } = &self.format;
            return Err(format!("format {major}.{minor} {must_understand:?}: another version reads it"));
        }
        if self.version == 0 || self.version > MAX_VERSION {
            return Err(format!("version {} is not within 1 to {MAX_VERSION}", self.version));
        }
        if self.epoch == 0 || self.epoch > MAX_INTEGER {
            return Err(format!("epoch {}: it starts at 1", self.epoch));
        }
        if !is_time(&self.created) {
            return Err("created is no UTC time in whole seconds".to_owned());
        }
        if self.expires.as_ref().is_some_and(|expires| !is_time(expires) || *expires <= self.created) {
            return Err("expires is no UTC time after created".to_owned());
        }
        let most = [self.principals.len(), self.sites.len(), self.floors.len(), self.revocations.len()];
        if most.iter().any(|count| *count > MAX_ENTRIES) {
            return Err(format!("more than {MAX_ENTRIES} entries"));
        }
        if !self.principals.is_sorted_by(|a, b| a.name < b.name) {
            return Err("principals are not sorted by name, or one stands twice".to_owned());
        }
        let mut keys = BTreeSet::new();
        for principal in &self.principals {
            principal.validate().map_err(|reason| format!("principal {:?}: {reason}", principal.name))?;
            if let Some(key) = principal.keys.iter().find(|key| !keys.insert(key.id())) {
                return Err(format!("the key {} stands under two principals", key.id()));
            }
        }
        for (role, thresholds) in &self.thresholds {
            for (channel, threshold) in thresholds {
                is_scope(*role, channel)?;
                if *threshold == 0 || *threshold > MAX_SIGNATURE_LINES as u64 {
                    return Err(format!(
                        "a threshold of {threshold} is not within 1 to {MAX_SIGNATURE_LINES}"
                    ));
                }
            }
        }
        if let Some((channel, _)) =
            self.floors.iter().find(|(channel, mark)| !is_name(channel) || mark.epoch == 0)
        {
            return Err(format!("the floor of {channel:?} is none"));
        }
        if !self.sites.iter().all(|site| is_name(site)) || !self.sites.is_sorted_by(|a, b| a < b) {
            return Err("sites: a name that cannot be a site's, not sorted, or one twice".to_owned());
        }
        for (key, revocation) in &self.revocations {
            let Revocation::RetiredAfter(channels) = revocation else { continue };
            if !channels.keys().all(|channel| channel == EVERY_CHANNEL || is_name(channel)) {
                return Err(format!("the retirement of {key} names a channel that cannot be"));
            }
        }
        if !self.revocations.keys().all(|key| is_key_id(key)) {
            return Err("a revocation names no key".to_owned());
        }
        let everyone: BTreeSet<&str> = keys;
        if !self.root_threshold_met(&everyone) {
            return Err("too few principals could sign the next root document".to_owned());
        }
        Ok(())
    }
}

impl Principal {
    /// Whether it has the role for the channel.
    pub fn may(&self, role: Role, channel: &str) -> bool {
        let scope = self.roles.get(&role);
        scope.is_some_and(|channels| channels.iter().any(|c| c == EVERY_CHANNEL || c == channel))
    }

    /// Whether it has spoken, given which keys have.
    pub(super) fn speaks(&self, signed: &dyn Fn(&str) -> bool) -> bool {
        match self.require {
            Require::One => self.keys.iter().any(|key| signed(key.id())),
            Require::All => self.keys.iter().all(|key| signed(key.id())),
        }
    }

    fn validate(&self) -> Result<(), String> {
        if !is_name(&self.name) {
            return Err("it cannot have that name".to_owned());
        }
        if self.keys.is_empty() || self.keys.len() > MAX_KEYS {
            return Err(format!("{} keys are not within 1 to {MAX_KEYS}", self.keys.len()));
        }
        if !self.keys.is_sorted_by(|a, b| a.id() < b.id()) {
            return Err("its keys are not sorted by id, or one stands twice".to_owned());
        }
        for (role, channels) in &self.roles {
            let alone = channels.len() == 1 || !channels.iter().any(|channel| channel == EVERY_CHANNEL);
            if channels.is_empty() || !alone || !channels.is_sorted_by(|a, b| a < b) {
                return Err("a scope is empty, not sorted, names one twice, or more than '*'".to_owned());
            }
            channels.iter().try_for_each(|channel| is_scope(*role, channel))?;
        }
        Ok(())
    }
}

/// Whether a scope or threshold of a role may name this channel.
fn is_scope(role: Role, channel: &str) -> Result<(), String> {
    let bound = !matches!(role, Role::Root | Role::Site);
    if channel == EVERY_CHANNEL || (bound && is_name(channel)) {
        return Ok(());
    }
    Err(format!("{channel:?} is no scope of this role"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::trust::testing::{ed25519, principal, root};

    fn base() -> Root {
        let (site, alice) = (ed25519(), ed25519());
        let site = principal("site", &[&site], &[(Role::Root, &["*"]), (Role::Site, &["*"])]);
        root(vec![site, principal("alice", &[&alice], &[(Role::Collector, &["dev", "prod"])])])
    }

    #[test]
    fn a_root_document_reads_as_it_was_written() {
        let mut full = base();
        full.expires = Some("2030-01-01T00:00:00Z".to_owned());
        full.thresholds = [(Role::Collector, [("*".to_owned(), 1), ("prod".to_owned(), 2)].into())].into();
        full.floors = [("prod".to_owned(), Mark { epoch: 1, sequence: 40 })].into();
        full.sites = vec!["berlin".to_owned(), "oslo".to_owned()];
        let after = [("*".to_owned(), Mark { epoch: 1, sequence: 7 })];
        let retired = Revocation::RetiredAfter(after.into());
        full.revocations = [("gone".to_owned(), Revocation::Compromised), ("old".to_owned(), retired)].into();
        for root in [base(), full] {
            assert_eq!(Root::from_bytes(&root.to_bytes().unwrap()).unwrap(), root);
        }
    }

    #[test]
    fn thresholds_and_floors_are_those_of_the_channel() {
        let mut root = base();
        root.epoch = 3;
        root.thresholds = [(Role::Collector, [("*".to_owned(), 3), ("prod".to_owned(), 2)].into())].into();
        root.floors.insert("prod".to_owned(), Mark { epoch: 3, sequence: 40 });
        root.floors.insert("old".to_owned(), Mark { epoch: 2, sequence: 40 });
        assert_eq!(root.threshold(Role::Collector, "prod"), 2);
        assert_eq!(root.threshold(Role::Collector, "dev"), 3);
        assert_eq!(root.threshold(Role::Approver, "dev"), 1);
        assert_eq!(root.floor("prod"), Mark { epoch: 3, sequence: 40 });
        assert_eq!(root.floor("old"), Mark { epoch: 3, sequence: 0 });
        assert_eq!(root.floor("new"), Mark { epoch: 3, sequence: 0 });
    }

    #[test]
    fn what_would_weaken_it_is_refused() {
        type Break = fn(&mut Root);
        let breaks: [(&str, Break); 21] = [
            ("threshold 0", |r| drop(r.thresholds.insert(Role::Collector, [("*".to_owned(), 0)].into()))),
            ("root threshold 0", |r| drop(r.thresholds.insert(Role::Root, [("*".to_owned(), 0)].into()))),
            ("root threshold out of reach", |r| {
                drop(r.thresholds.insert(Role::Root, [("*".to_owned(), 2)].into()));
            }),
            ("threshold of a channel that cannot be", |r| {
                drop(r.thresholds.insert(Role::Collector, [("A".to_owned(), 1)].into()));
            }),
            ("root role of a channel", |r| {
                drop(r.principals[1].roles.insert(Role::Root, vec!["prod".to_owned()]));
            }),
            ("one key in two principals", |r| {
                let keys = r.principals[1].keys.clone();
                r.principals.push(Principal { name: "zoe".to_owned(), keys, ..r.principals[0].clone() });
            }),
            ("one key twice", |r| {
                let key = r.principals[0].keys[0].clone();
                r.principals[0].keys.push(key);
            }),
            ("one name twice", |r| {
                let key = ed25519();
                let second = principal("alice", &[&key], &[(Role::Collector, &["*"])]);
                r.principals.insert(0, second);
            }),
            ("principals not sorted", |r| r.principals.reverse()),
            ("a principal without keys", |r| r.principals[0].keys.clear()),
            ("a name that cannot be", |r| r.principals[0].name = "Al ice".to_owned()),
            ("nobody for the next", |r| drop(r.principals.pop())),
            ("the site compromised", |r| {
                let site = r.principals[1].keys[0].id().to_owned();
                r.revocations.insert(site, Revocation::Compromised);
            }),
            ("an empty scope", |r| drop(r.principals[0].roles.insert(Role::Collector, Vec::new()))),
            ("a scope of everything and more", |r| {
                r.principals[0].roles.insert(Role::Collector, vec!["*".to_owned(), "prod".to_owned()]);
            }),
            ("a scope not sorted", |r| {
                r.principals[0].roles.insert(Role::Collector, vec!["prod".to_owned(), "dev".to_owned()]);
            }),
            ("version 0", |r| r.version = 0),
            ("epoch 0", |r| r.epoch = 0),
            ("another format", |r| r.format.minor += 1),
            ("expired when made", |r| r.expires = Some(r.created.clone())),
            ("a feature to be understood", |r| r.format.must_understand.push("quorum".to_owned())),
        ];
        for (what, weaken) in breaks {
            let mut root = base();
            weaken(&mut root);
            let bytes = canonical::to_bytes(&root).unwrap();
            assert!(Root::from_bytes(&bytes).is_err(), "{what}");
            assert!(root.to_bytes().is_err(), "{what}");
        }
    }

    #[test]
    fn what_it_does_not_know_is_refused() {
        let good = String::from_utf8(base().to_bytes().unwrap()).unwrap();
        let bad = [
            good.replace(r#"{"created""#, r#"{"admin":true,"created""#),
            good.replace(r#""epoch":1"#, r#""epoch": 1"#),
            good.replace(r#","floors":{}"#, r#","expires":null,"floors":{}"#),
            good.replace(r#""name":"alice""#, r#""name":"alice","power":9"#),
            good.replace(r#""require":"one""#, r#""require":"none""#),
            good.replace(r#""algorithm":"ed25519""#, r#""algorithm":"ecdsa-p384-sha384""#),
            good.replace(r#""algorithm":"ed25519""#, r#""algorithm":"rsa""#),
            good.replace(r#"="#, ""),
            format!("{good}\n"),
            format!("{good} "),
        ];
        assert!(Root::from_bytes(good.as_bytes()).is_ok());
        for bad in bad {
            assert_ne!(bad, good);
            assert!(Root::from_bytes(bad.as_bytes()).is_err(), "{bad}");
        }
        assert!(Root::from_bytes(&vec![b' '; 2 << 20]).is_err());
    }
}
