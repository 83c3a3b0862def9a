//! Changing whom a home trusts: each change is one more version of the root document.

use std::collections::{BTreeMap, BTreeSet};

use bundle_format::document::is_name;
use bundle_format::signature::is_key_id;
use bundle_format::{Format, PayloadType};
use serde::{Deserialize, Serialize};

use super::error::TrustError;
use super::key::PublicKey;
use super::root::{EVERY_CHANNEL, Principal, Require, Revocation, Role, Root};
use super::sequence::Mark;
use super::{SITE_KEY, Trust};
use crate::{clock, fsx};

/// How [`Trust::revoke`] revokes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Revoke {
    /// Somebody else may have the key: nothing it signed counts any more.
    Compromised,
    /// The key is no longer used: what it signed up to this sequence of the open epoch still counts.
    RetiredAfter(u64),
}

/// What a change of trust came to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Changed {
    /// The principal it was about; empty if a key without one was revoked.
    pub name: String,
    /// The ids of its keys.
    pub keys: Vec<String>,
    /// The version of the root document that says so now.
    pub version: u64,
    /// Whether that version was made for it; else everything was so already.
    pub changed: bool,
}

impl Trust {
    /// Trusts the key in a PEM file as a collector of these channels; of every channel if there are none. The channels
    /// come to those that it has; but if it has every channel, it is left with these alone: to name some must not
    /// mean nothing.
    /// `name` is who has it, else the key's id names it. What is so already makes no new version.
    ///
    /// # Errors
    /// If the key is weak, of an unknown algorithm, private, or revoked here; if the name is another key's.
    pub fn trust(
        &mut self,
        pem: &[u8],
        name: Option<&str>,
        channels: &[String],
    ) -> Result<Changed, TrustError> {
        let key = PublicKey::from_pem(pem).map_err(TrustError::key("the key to trust"))?;
        self.refuse_revoked(&key)?;
        for name in
            name.into_iter().chain(channels.iter().map(String::as_str).filter(|c| *c != EVERY_CHANNEL))
        {
            if !is_name(name) {
                return Err(TrustError::Name(name.to_owned()));
            }
        }
        let every = channels.is_empty() || channels.iter().any(|channel| channel == EVERY_CHANNEL);
        let scope: BTreeSet<String> =
            if every { [EVERY_CHANNEL.to_owned()].into() } else { channels.iter().cloned().collect() };
        let wanted = name.map_or_else(|| key.id().replace(':', "-"), str::to_owned);
        let (keys, mut found) = (vec![key.id().to_owned()], wanted.clone());
        let (version, changed) = self.change(|root| {
            if root.revocations.contains_key(key.id()) {
                return Err(TrustError::Revoked(key.id().to_owned()));
            }
            if let Some(principal) = root.principals.iter_mut().find(|p| p.keys.contains(&key)) {
                if principal.roles.contains_key(&Role::Root) {
                    return Err(TrustError::RootRefused(
                        "the site's own key signs root documents alone".into(),
                    ));
                }
                if name.is_some_and(|name| name != principal.name) {
                    let id = key.id().to_owned();
                    return Err(TrustError::NameTaken { name: principal.name.clone(), id });
                }
                found.clone_from(&principal.name);
                let had = principal.roles.entry(Role::Collector).or_default();
                let mut all = scope;
                if !every && !had.iter().any(|channel| channel == EVERY_CHANNEL) {
                    all.extend(had.iter().cloned());
                }
                *had = all.into_iter().collect();
                return Ok(());
            }
            if let Some(other) = root.principals.iter().find(|principal| principal.name == wanted) {
                let id = other.keys.first().map(|key| key.id().to_owned()).unwrap_or_default();
                return Err(TrustError::NameTaken { name: wanted.clone(), id });
            }
            root.principals.push(Principal {
                name: wanted.clone(),
                keys: vec![key.clone()],
                require: Require::One,
                roles: [(Role::Collector, scope.into_iter().collect())].into(),
            });
            Ok(())
        })?;
        Ok(Changed { name: found, keys, version, changed })
    }

    /// Revokes every key of a principal, one of this home's own keys, or the key of an id, known or not.
    ///
    /// # Errors
    /// [`TrustError::NoSuchKey`]; if it is the site's own key; if a compromised key were to be merely retired.
    pub fn revoke(&mut self, name_or_id: &str, how: Revoke) -> Result<Changed, TrustError> {
        let mut principals = self.root.iter().flat_map(|root| &root.principals);
        let named = principals.find(|principal| principal.name == name_or_id);
        let (name, keys): (String, Vec<String>) = match named {
            Some(principal) => {
                (principal.name.clone(), principal.keys.iter().map(|key| key.id().to_owned()).collect())
            }
            None => match self.public_key(name_or_id) {
                Ok(key) => (String::new(), vec![key.id().to_owned()]),
                // A key that was never trusted can be revoked before anybody trusts it.
                Err(_) if name_or_id.contains(':') && is_key_id(name_or_id) => {
                    (String::new(), vec![name_or_id.to_owned()])
                }
                Err(error) => return Err(error),
            },
        };
        let (version, changed) = self.change(|root| {
            for id in &keys {
                let holder = root.principal_of(id).map(|(principal, _)| principal);
                if holder.is_some_and(|principal| principal.roles.contains_key(&Role::Root)) {
                    let reason = "the site's own key signs the next root document, and cannot revoke itself";
                    return Err(TrustError::RootRefused(reason.into()));
                }
                let revocation = match how {
                    Revoke::Compromised => Revocation::Compromised,
                    Revoke::RetiredAfter(_) if root.revocations.get(id) == Some(&Revocation::Compromised) => {
                        return Err(TrustError::RootRefused(format!(
                            "{id} is compromised, which is for ever"
                        )));
                    }
                    Revoke::RetiredAfter(sequence) => {
                        let mark = Mark { epoch: root.epoch, sequence };
                        Revocation::RetiredAfter([(EVERY_CHANNEL.to_owned(), mark)].into())
                    }
                };
                root.revocations.insert(id.clone(), revocation);
            }
            Ok(())
        })?;
        Ok(Changed { name, keys, version, changed })
    }

    /// Refuses from now on what is below these sequences of their channels, in the open epoch. Floors only rise.
    ///
    /// # Errors
    /// If a name cannot be a channel's; as [`Trust::trust`] where the chain cannot be written.
    pub fn raise_floors(&mut self, floors: &BTreeMap<String, u64>) -> Result<u64, TrustError> {
        if let Some(name) = floors.keys().find(|name| !is_name(name)) {
            return Err(TrustError::Name(name.clone()));
        }
        let (version, _) = self.change(|root| {
            for (channel, sequence) in floors {
                let mark = Mark { epoch: root.epoch, sequence: *sequence };
                let floor = root.floors.entry(channel.clone()).or_insert(mark);
                *floor = mark.max(*floor);
            }
            Ok(())
        })?;
        Ok(version)
    }

    /// Makes the next version of the root document, unless `edit` changes nothing. Returns the version that now
    /// holds, and whether it is new.
    fn change(
        &mut self,
        edit: impl FnOnce(&mut Root) -> Result<(), TrustError>,
    ) -> Result<(u64, bool), TrustError> {
        if self.rehearses {
            let mut next = self.root.clone().unwrap_or_else(|| local_root(None));
            let changed = edited(&mut next, self.root.as_ref(), edit)?;
            let version = next.version;
            self.root = Some(next);
            return Ok((version, changed));
        }
        let directory = self.chain.directory();
        fsx::create_directory(directory, fsx::Access::Private).map_err(TrustError::io("make", directory))?;
        let lock = directory.join("lock");
        let _lock = fsx::Lock::exclusive(&lock).map_err(TrustError::io("lock", &lock))?;
        // Read again under the lock: another process may have made a version since this one opened the chain. Not
        // before the chain is found whole is the site's key made, so that a lost one is noticed and not replaced.
        self.root = self.load()?;
        self.ensure(SITE_KEY)?;
        let site = self.keys.signer(SITE_KEY, None)?;
        let mut next = match &self.root {
            Some(head) => head.clone(),
            None => local_root(Some(site.public().clone())),
        };
        if !edited(&mut next, self.root.as_ref(), edit)? {
            return Ok((next.version, false));
        }
        next.created = clock::now_text();
        next.principals.sort_by(|a, b| a.name.cmp(&b.name));
        let bytes = next.to_bytes().map_err(|error| TrustError::RootRefused(error.to_string()))?;
        let signatures = bundle_format::signature::sign(PayloadType::Root, &bytes, &[&site])
            .map_err(|error| TrustError::NotSigned(error.to_string()))?;
        let head = self.chain.append(self.root.as_ref(), site.public(), &bytes, &signatures)?;
        let version = head.version;
        self.root = Some(head);
        Ok((version, true))
    }
}

/// Edits what is to follow the newest document, and gives it the next version if that changed anything; says whether it
/// did.
fn edited(
    next: &mut Root,
    head: Option<&Root>,
    edit: impl FnOnce(&mut Root) -> Result<(), TrustError>,
) -> Result<bool, TrustError> {
    edit(next)?;
    if head == Some(next) {
        return Ok(false);
    }
    next.version = head.map_or(1, |head| head.version + 1);
    Ok(true)
}

/// The root document that a home begins with: it trusts nobody but itself, to say whom it trusts. A rehearsal may not
/// have the site's key yet.
fn local_root(site: Option<PublicKey>) -> Root {
    let every = vec![EVERY_CHANNEL.to_owned()];
    Root {
        format: Format::current(),
        version: 1,
        epoch: 1,
        created: clock::now_text(),
        expires: None,
        principals: vec![Principal {
            name: SITE_KEY.to_owned(),
            keys: site.into_iter().collect(),
            require: Require::One,
            roles: [(Role::Root, every.clone()), (Role::Site, every)].into(),
        }],
        thresholds: BTreeMap::new(),
        floors: BTreeMap::new(),
        sites: Vec::new(),
        revocations: BTreeMap::new(),
        ext: BTreeMap::new(),
    }
}

#[cfg(test)]
mod tests {
    use bundle_format::{Signer as _, Verifier as _};

    use super::*;
    use crate::problem::{Kind, Problem};
    use crate::trust::testing::{ed25519, lines, snapshot};
    use crate::trust::{Algorithm, COLLECT_KEY, KeySigner};

    fn pem(key: &KeySigner) -> Vec<u8> {
        key.public().to_pem().unwrap().into_bytes()
    }

    fn names(names: &[&str]) -> Vec<String> {
        names.iter().map(|name| (*name).to_owned()).collect()
    }

    /// The code of what comes of a snapshot that `signer` signed, `""` if it is believed.
    fn judge(trust: &Trust, own: bool, channel: &str, sequence: u64, signer: &KeySigner) -> String {
        let snapshot = snapshot(channel, 1, sequence);
        let bytes = snapshot.to_bytes().unwrap();
        let verifier = trust.verifier(own).unwrap();
        let kind = PayloadType::Snapshot;
        let verdict = verifier
            .verify(kind, &bytes, &lines(kind, &bytes, &[signer]))
            .and_then(|signers| verifier.authorise(kind, &snapshot, &signers));
        verdict.map_or_else(|untrusted| untrusted.code, |()| String::new())
    }

    #[test]
    fn naming_channels_limits_a_key_that_has_every_one() {
        let home = crate::fsx::test_directory();
        let alice = ed25519();
        let mut trust = Trust::open(home.path()).unwrap();
        trust.trust(&pem(&alice), Some("alice"), &[]).unwrap();
        let narrower = trust.trust(&pem(&alice), None, &names(&["prod"])).unwrap();
        assert_eq!((narrower.version, narrower.changed), (2, true));
        assert_eq!(judge(&trust, false, "prod", 1, &alice), "");
        assert_eq!(judge(&trust, false, "dev", 1, &alice), "trust.scope");
        assert!(trust.trust(&pem(&alice), None, &[]).unwrap().changed);
        assert_eq!(judge(&trust, false, "dev", 1, &alice), "");
    }

    #[test]
    fn floors_only_rise() {
        let home = crate::fsx::test_directory();
        let mut trust = Trust::open(home.path()).unwrap();
        let floors = |sequence| [("prod".to_owned(), sequence)].into();
        assert_eq!(trust.raise_floors(&floors(7)).unwrap(), 1);
        assert_eq!(trust.raise_floors(&floors(5)).unwrap(), 1, "what is so already is no new version");
        assert_eq!(trust.raise_floors(&floors(9)).unwrap(), 2);
        let floor = Trust::open(home.path()).unwrap().root().unwrap().floor("prod");
        assert_eq!(floor, Mark { epoch: 1, sequence: 9 });
        assert!(trust.raise_floors(&[("a b".to_owned(), 1)].into()).is_err());
    }

    #[test]
    fn a_rehearsal_says_what_would_be_and_writes_nothing() {
        let parent = tempfile::tempdir().unwrap();
        let home = parent.path().join("home");
        let alice = ed25519();
        let rehearse = || Trust::open(&home).unwrap().rehearsal();
        let mut trust = rehearse();
        let would = trust.trust(&pem(&alice), Some("alice"), &[]).unwrap();
        assert_eq!((would.version, would.changed, trust.keys().unwrap().len()), (1, true, 1));
        assert!(trust.revoke("nobody", Revoke::Compromised).is_err());
        assert!(!home.exists());

        Trust::open(&home).unwrap().trust(&pem(&alice), Some("alice"), &[]).unwrap();
        assert!(!rehearse().trust(&pem(&alice), Some("alice"), &[]).unwrap().changed);
        assert_eq!(rehearse().revoke("alice", Revoke::Compromised).unwrap().version, 2);
        assert_eq!(Trust::open(&home).unwrap().root().unwrap().version, 1);
        assert_eq!(judge(&Trust::open(&home).unwrap(), false, "prod", 1, &alice), "");
    }

    #[test]
    fn trust_makes_the_home_and_one_version_a_change() {
        let parent = tempfile::tempdir().unwrap();
        let home = parent.path().join("not/yet");
        let (alice, bob) = (ed25519(), ed25519());
        let mut trust = Trust::open(&home).unwrap();
        assert!(trust.root().is_none());
        assert!(!home.exists());

        let first = trust.trust(&pem(&alice), Some("alice"), &names(&["prod"])).unwrap();
        assert_eq!((first.name.as_str(), first.version, first.changed), ("alice", 1, true));
        let again = trust.trust(&pem(&alice), None, &names(&["prod"])).unwrap();
        assert_eq!((again.name.as_str(), again.version, again.changed), ("alice", 1, false));
        let wider = trust.trust(&pem(&alice), Some("alice"), &names(&["dev"])).unwrap();
        assert_eq!((wider.version, wider.changed), (2, true));
        let second = trust.trust(&pem(&bob), None, &[]).unwrap();
        assert_eq!((second.name, second.version), (bob.key_id().replace(':', "-"), 3));

        let reopened = Trust::open(&home).unwrap();
        assert_eq!(reopened.root(), trust.root());
        for (signer, channel, verdict) in [
            (&alice, "prod", ""),
            (&alice, "dev", ""),
            (&alice, "test", "trust.scope"),
            (&bob, "test", ""),
            (&ed25519(), "prod", "trust.unknown-key"),
        ] {
            assert_eq!(judge(&reopened, false, channel, 1, signer), verdict, "{channel}");
        }
    }

    #[test]
    fn two_processes_lose_no_change() {
        let home = tempfile::tempdir().unwrap();
        let mut stale = Trust::open(home.path()).unwrap();
        Trust::open(home.path()).unwrap().trust(&pem(&ed25519()), Some("alice"), &[]).unwrap();
        assert_eq!(stale.trust(&pem(&ed25519()), Some("bob"), &[]).unwrap().version, 2);
        std::thread::scope(|scope| {
            for name in ["carol", "dave", "erin", "frank"] {
                scope.spawn(|| {
                    Trust::open(home.path()).unwrap().trust(&pem(&ed25519()), Some(name), &[]).unwrap();
                });
            }
        });
        let root = Trust::open(home.path()).unwrap().root().cloned().unwrap();
        assert_eq!((root.version, root.principals.len()), (6, 7));
    }

    #[test]
    fn revoked_keys_are_refused_everywhere_and_for_ever() {
        let home = tempfile::tempdir().unwrap();
        let mut trust = Trust::open(home.path()).unwrap();
        let (alice, bob) = (ed25519(), ed25519());
        trust.trust(&pem(&alice), Some("alice"), &[]).unwrap();
        trust.trust(&pem(&bob), Some("bob"), &[]).unwrap();

        trust.revoke("bob", Revoke::RetiredAfter(7)).unwrap();
        assert_eq!(judge(&trust, false, "prod", 7, &bob), "");
        assert_eq!(judge(&trust, false, "prod", 8, &bob), "trust.revoked");
        let revoked = trust.revoke(alice.key_id(), Revoke::Compromised).unwrap();
        assert_eq!((revoked.version, revoked.changed), (4, true));
        assert_eq!(judge(&trust, false, "prod", 1, &alice), "trust.revoked");
        assert!(!trust.revoke("alice", Revoke::Compromised).unwrap().changed);
        assert!(trust.revoke("alice", Revoke::RetiredAfter(9)).is_err());

        for key in [&alice, &bob] {
            let problem = Problem::from(trust.trust(&pem(key), Some("again"), &[]).unwrap_err());
            assert_eq!((problem.kind, problem.code.as_ref()), (Kind::Untrusted, "trust.revoked"));
        }
        // A key that nobody trusted yet, by its id; and this home's own, which then neither signs nor counts.
        let stranger = ed25519();
        trust.revoke(stranger.key_id(), Revoke::Compromised).unwrap();
        assert!(trust.trust(&pem(&stranger), None, &[]).is_err());
        trust.ensure_collect_key().unwrap();
        let own = trust.signer(COLLECT_KEY, None).unwrap();
        assert_eq!(judge(&trust, true, "prod", 1, &own), "");
        assert_eq!(judge(&trust, false, "prod", 1, &own), "trust.unknown-key");
        trust.revoke(COLLECT_KEY, Revoke::Compromised).unwrap();
        assert_eq!(judge(&trust, true, "prod", 1, &own), "trust.revoked");
        assert!(matches!(trust.signer(COLLECT_KEY, None), Err(TrustError::Revoked(_))));
        assert!(trust.revoke("nobody", Revoke::Compromised).is_err());
    }

    #[test]
    fn names_keep_their_keys_and_the_site_its_own() {
        let home = tempfile::tempdir().unwrap();
        let mut trust = Trust::open(home.path()).unwrap();
        let (alice, bob) = (ed25519(), ed25519());
        trust.trust(&pem(&alice), Some("alice"), &[]).unwrap();
        let before = trust.root().cloned();
        assert!(matches!(trust.trust(&pem(&bob), Some("alice"), &[]), Err(TrustError::NameTaken { .. })));
        assert!(matches!(trust.trust(&pem(&alice), Some("bob"), &[]), Err(TrustError::NameTaken { .. })));
        assert!(matches!(trust.trust(&pem(&bob), Some("site"), &[]), Err(TrustError::NameTaken { .. })));
        assert!(matches!(trust.trust(&pem(&bob), Some("B"), &[]), Err(TrustError::Name(_))));
        assert!(matches!(trust.trust(&pem(&bob), None, &names(&["a/b"])), Err(TrustError::Name(_))));
        assert!(matches!(trust.new_key("site", Algorithm::Ed25519, None), Err(TrustError::ReservedName(_))));
        let site = trust.public_key("site").unwrap().to_pem().unwrap();
        assert!(trust.trust(site.as_bytes(), None, &[]).is_err());
        assert!(trust.revoke("site", Revoke::Compromised).is_err());
        assert_eq!(trust.root().cloned(), before);
    }

    #[test]
    fn weak_and_unknown_kinds_of_keys_exit_with_3() {
        let home = tempfile::tempdir().unwrap();
        let mut trust = Trust::open(home.path()).unwrap();
        let mut spki = b"\x30\x2a\x30\x05\x06\x03\x2b\x65\x70\x03\x21\x00".to_vec();
        spki.extend([0; 32]);
        let weak =
            pkcs8::Document::try_from(spki).unwrap().to_pem("PUBLIC KEY", pkcs8::LineEnding::LF).unwrap();
        for (pem, code) in [(weak.as_str(), "trust.weak-key"), ("not a key", "trust.unsupported-key")] {
            let problem = Problem::from(trust.trust(pem.as_bytes(), None, &[]).unwrap_err());
            assert_eq!((problem.kind.exit_code(), problem.code.as_ref()), (3, code));
            assert!(!problem.hints.is_empty());
        }
        assert!(trust.root().is_none());
    }

    #[test]
    fn a_home_without_its_site_key_is_not_healed_silently() {
        let home = tempfile::tempdir().unwrap();
        let mut trust = Trust::open(home.path()).unwrap();
        trust.trust(&pem(&ed25519()), None, &[]).unwrap();
        for file in ["keys/site.pem", "keys/site.pub"] {
            let path = home.path().join(file);
            let kept = home.path().join("kept");
            fsx::rename(&path, &kept).unwrap();
            let lost =
                Trust::open(home.path()).and_then(|mut trust| trust.trust(&pem(&ed25519()), None, &[]));
            // From the private half the public one is made again; the private one is lost for ever.
            assert_eq!(lost.is_ok(), file == "keys/site.pub");
            fsx::rename(&kept, &path).unwrap();
        }
    }

    #[test]
    fn whatever_write_fails_the_home_stays_whole() {
        use crate::fsx::faults::{Fault, Kind, Watch};
        let people = [("alice", pem(&ed25519())), ("bob", pem(&ed25519()))];
        let work = |home: &std::path::Path| {
            people.iter().try_for_each(|(name, pem)| Trust::open(home)?.trust(pem, Some(name), &[]).map(drop))
        };
        let mut failed = 0;
        for kind in [Kind::Eio, Kind::ShortWrite, Kind::Halt] {
            for at in 1.. {
                let parent = tempfile::tempdir().unwrap();
                let home = parent.path().join("home");
                let watch = Watch::new(&home);
                watch.plan(Fault { at, kind });
                let outcome = work(&home);
                if !watch.forget() {
                    outcome.unwrap();
                    break;
                }
                failed += 1;
                let found = Trust::open(&home).unwrap_or_else(|e| panic!("{kind:?} at {at}: {e}"));
                assert!(found.root().is_none_or(|root| root.principals.len() <= 3));
                work(&home).unwrap_or_else(|e| panic!("{kind:?} at {at}, again: {e}"));
                assert_eq!(Trust::open(&home).unwrap().root().unwrap().principals.len(), 3);
            }
        }
        assert!(failed > 60, "{failed}");
    }
}
