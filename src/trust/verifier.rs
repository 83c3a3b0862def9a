//! Whether a document may be believed: the trusted keys' answer to the bundle format.

use std::collections::{BTreeMap, BTreeSet};

use bundle_format::signature::pae;
use bundle_format::{PayloadType, SignatureLine, Snapshot, Untrusted};

use super::key::PublicKey;
use super::root::{Revocation, Role, Root};
use super::sequence::Mark;

/// Verifies signatures by the keys that this home trusts.
#[derive(Debug, Clone, Default)]
pub struct TrustVerifier {
    /// Who is trusted; `None` before the first `key trust`.
    root: Option<Root>,
    /// Keys of this home itself, by id: collectors of every channel.
    own: BTreeMap<String, PublicKey>,
    /// Which site this is; `None` where that does not matter.
    site: Option<String>,
}

impl TrustVerifier {
    pub(super) fn new(root: Option<Root>, own: impl IntoIterator<Item = PublicKey>) -> TrustVerifier {
        let own = own.into_iter().map(|key| (key.id().to_owned(), key)).collect();
        TrustVerifier { root, own, site: None }
    }

    /// Refuses snapshots that were made for other sites than this one.
    #[must_use]
    pub fn at_site(mut self, site: impl Into<String>) -> TrustVerifier {
        self.site = Some(site.into());
        self
    }

    /// The key of that id, if it is known here.
    fn key(&self, id: &str) -> Option<&PublicKey> {
        let trusted = self.root.as_ref().and_then(|root| root.principal_of(id)).map(|(_, key)| key);
        trusted.or_else(|| self.own.get(id))
    }

    fn revocation(&self, id: &str) -> Option<&Revocation> {
        self.root.as_ref()?.revocations.get(id)
    }

    fn is_valid_at(&self, id: &str, channel: &str, mark: Mark) -> bool {
        self.root.as_ref().is_none_or(|root| root.is_valid_at(id, channel, mark))
    }

    fn check_site(&self, snapshot: &Snapshot) -> Result<(), Untrusted> {
        let Some(site) = &self.site else { return Ok(()) };
        let governed =
            self.root.as_ref().is_none_or(|root| root.sites.is_empty() || root.sites.contains(site));
        if !governed {
            return refuse("trust.wrong-site", format!("the root document here is not for the site {site}"));
        }
        if snapshot.sites.is_empty() || snapshot.sites.contains(site) {
            return Ok(());
        }
        let sites = snapshot.sites.join(", ");
        refuse("trust.wrong-site", format!("it was made for {sites}, and this is the site {site}"))
    }
}

impl bundle_format::Verifier for TrustVerifier {
    fn verify(
        &self,
        kind: PayloadType,
        payload: &[u8],
        lines: &[SignatureLine],
    ) -> Result<Vec<String>, Untrusted> {
        let encoding = pae(kind, payload);
        let mut signers = Vec::new();
        let mut revoked = None;
        for line in lines {
            let Some(key) = self.key(&line.key_id) else {
                // A revoked key may have left the document altogether; it is still called by what it is.
                revoked = revoked.or_else(|| self.revocation(&line.key_id).map(|_| &line.key_id));
                continue;
            };
            if !key.verifies(&encoding, &line.signature) {
                return refuse(
                    "trust.bad-signature",
                    format!("the signature of {} does not verify", line.key_id),
                );
            }
            if self.revocation(key.id()) == Some(&Revocation::Compromised) {
                revoked = Some(&line.key_id);
            } else if !signers.contains(&line.key_id) {
                signers.push(line.key_id.clone());
            }
        }
        if !signers.is_empty() {
            return Ok(signers);
        }
        if let Some(revoked) = revoked {
            return refuse("trust.revoked", format!("it is signed by {revoked}, which was revoked here"));
        }
        let keys: Vec<_> = lines.iter().take(4).map(|line| line.key_id.as_str()).collect();
        refuse(
            "trust.unknown-key",
            format!("none of the keys that signed it is trusted here: {}", keys.join(", ")),
        )
    }

    fn authorise(&self, kind: PayloadType, snapshot: &Snapshot, signers: &[String]) -> Result<(), Untrusted> {
        // Who may sign a packing list need not be who signs the snapshot: it says how, not what.
        let roles: &[Role] = match kind {
            PayloadType::Snapshot => &[Role::Collector],
            PayloadType::PackingList => &[Role::Packer, Role::Collector],
            PayloadType::Approval => &[Role::Approver],
            PayloadType::Receipt | PayloadType::Root | PayloadType::AuditCheckpoint => {
                return refuse(
                    "trust.document",
                    "a document of this type says nothing of a snapshot".to_owned(),
                );
            }
        };
        let channel = snapshot.channel.as_str();
        let mark = Mark { epoch: snapshot.epoch, sequence: snapshot.sequence };
        let open = self.root.as_ref().map_or(1, |root| root.epoch);
        if mark.epoch > open {
            return refuse(
                "trust.epoch",
                format!("its epoch is {}, and here epoch {open} is open", mark.epoch),
            );
        }
        self.check_site(snapshot)?;

        let (valid, retired): (Vec<&String>, Vec<&String>) =
            signers.iter().partition(|id| self.is_valid_at(id, channel, mark));
        let valid: BTreeSet<&str> = valid.into_iter().map(String::as_str).collect();
        if kind != PayloadType::Approval && valid.iter().any(|id| self.own.contains_key(*id)) {
            return Ok(());
        }
        let principals = self.root.iter().flat_map(|root| &root.principals);
        let allowed: Vec<_> = principals
            .filter(|principal| roles.iter().any(|role| principal.may(*role, channel)))
            .filter(|principal| principal.keys.iter().any(|key| valid.contains(key.id())))
            .collect();
        let voices = allowed.iter().filter(|principal| principal.speaks(&|id| valid.contains(id))).count();
        let threshold = self
            .root
            .as_ref()
            .and_then(|root| roles.first().map(|role| root.threshold(*role, channel)))
            .unwrap_or(1);
        if voices >= threshold {
            return Ok(());
        }
        if let Some(id) = retired.first() {
            return refuse(
                "trust.revoked",
                format!("{id} may not sign {mark} of channel {channel} any more"),
            );
        }
        let signers = signers.iter().map(String::as_str).collect::<Vec<_>>().join(", ");
        if allowed.is_empty() {
            return refuse("trust.scope", format!("{signers} may not sign this for channel {channel}"));
        }
        refuse(
            "trust.threshold",
            format!("channel {channel} needs the signatures of {threshold}, and it has those of {}", voices),
        )
    }
}

fn refuse<T>(code: &str, message: String) -> Result<T, Untrusted> {
    Err(Untrusted { code: code.to_owned(), message })
}

#[cfg(test)]
mod tests {
    use bundle_format::Verifier as _;

    use super::*;
    use crate::trust::crypto::Algorithm;
    use crate::trust::root::{Principal, Require};
    use crate::trust::signer::KeySigner;
    use crate::trust::testing::{ed25519, lines, principal, root, signer, snapshot};

    const COLLECTOR: &[(Role, &[&str])] = &[(Role::Collector, &["*"])];

    fn verifier(principals: Vec<Principal>, edit: impl FnOnce(&mut Root)) -> TrustVerifier {
        let site = ed25519();
        let mut root =
            root([principals, vec![principal("site", &[&site], &[(Role::Root, &["*"])])]].concat());
        edit(&mut root);
        // Through the bytes, so that no test relies on a document that could not be.
        let root = Root::from_bytes(&root.to_bytes().unwrap()).unwrap();
        TrustVerifier::new(Some(root), [])
    }

    /// What comes of a snapshot that these keys signed: both steps, as the reader of a bundle takes them.
    fn judge(verifier: &TrustVerifier, snapshot: &Snapshot, signers: &[&KeySigner]) -> Result<(), String> {
        let bytes = snapshot.to_bytes().unwrap();
        let kind = PayloadType::Snapshot;
        verifier
            .verify(kind, &bytes, &lines(kind, &bytes, signers))
            .and_then(|signers| verifier.authorise(kind, snapshot, &signers))
            .map_err(|untrusted| untrusted.code)
    }

    fn code<T>(code: &str) -> Result<T, String> {
        Err(code.to_owned())
    }

    #[test]
    fn one_trusted_collector_is_enough_by_default_and_a_stranger_is_not() {
        let (alice, stranger) = (ed25519(), ed25519());
        let trust = verifier(vec![principal("alice", &[&alice], COLLECTOR)], |_| {});
        let snapshot = snapshot("prod", 1, 1);
        assert_eq!(judge(&trust, &snapshot, &[&alice]), Ok(()));
        assert_eq!(judge(&trust, &snapshot, &[&alice, &stranger]), Ok(()));
        assert_eq!(judge(&trust, &snapshot, &[&stranger]), code("trust.unknown-key"));
        assert_eq!(judge(&TrustVerifier::default(), &snapshot, &[&alice]), code("trust.unknown-key"));
    }

    #[test]
    fn every_line_by_a_known_key_must_verify() {
        let (alice, bob) = (ed25519(), ed25519());
        let trust = verifier(
            vec![principal("alice", &[&alice], COLLECTOR), principal("bob", &[&bob], COLLECTOR)],
            |_| {},
        );
        let kind = PayloadType::Snapshot;
        let mut lines = lines(kind, b"payload", &[&alice, &bob]);
        assert_eq!(trust.verify(kind, b"payload", &lines).unwrap().len(), 2);
        assert_eq!(trust.verify(kind, b"Payload", &lines).unwrap_err().code, "trust.bad-signature");
        lines[1].signature[3] ^= 1;
        assert_eq!(trust.verify(kind, b"payload", &lines).unwrap_err().code, "trust.bad-signature");
        lines.truncate(1);
        assert!(trust.verify(kind, b"payload", &lines).is_ok());
        assert!(trust.verify(kind, b"payload", &[]).is_err());
        // Alice's signature under Bob's id.
        lines[0].key_id =
            if lines[0].key_id == alice.public().id() { bob } else { alice }.public().id().to_owned();
        assert_eq!(trust.verify(kind, b"payload", &lines).unwrap_err().code, "trust.bad-signature");
    }

    #[test]
    fn no_document_passes_for_another() {
        let alice = ed25519();
        let trust = verifier(vec![principal("alice", &[&alice], COLLECTOR)], |_| {});
        let kinds = [
            PayloadType::Snapshot,
            PayloadType::PackingList,
            PayloadType::Approval,
            PayloadType::Receipt,
            PayloadType::Root,
            PayloadType::AuditCheckpoint,
        ];
        for signed in kinds {
            for shown in kinds {
                let verdict = trust.verify(shown, b"payload", &lines(signed, b"payload", &[&alice]));
                assert_eq!(verdict.is_ok(), signed == shown, "{signed:?} shown as {shown:?}");
            }
        }
    }

    #[test]
    fn one_person_with_two_keys_is_one_person() {
        let (first, second, bob) = (ed25519(), signer(Algorithm::EcdsaP384Sha384), ed25519());
        let people =
            vec![principal("alice", &[&first, &second], COLLECTOR), principal("bob", &[&bob], COLLECTOR)];
        let two =
            |root: &mut Root| drop(root.thresholds.insert(Role::Collector, [("prod".to_owned(), 2)].into()));
        let trust = verifier(people, two);
        let prod = snapshot("prod", 1, 1);
        assert_eq!(judge(&trust, &prod, &[&first, &second]), code("trust.threshold"));
        assert_eq!(judge(&trust, &prod, &[&bob]), code("trust.threshold"));
        assert_eq!(judge(&trust, &prod, &[&first, &bob]), Ok(()));
        assert_eq!(judge(&trust, &prod, &[&second, &bob]), Ok(()));
        assert_eq!(judge(&trust, &snapshot("dev", 1, 1), &[&bob]), Ok(()));
        // Who signs twice has spoken once.
        let bob = bob.public().id().to_owned();
        assert!(trust.authorise(PayloadType::Snapshot, &prod, &[bob.clone(), bob]).is_err());
    }

    #[test]
    fn a_hybrid_speaks_with_all_its_keys() {
        let (ed, p384) = (ed25519(), signer(Algorithm::EcdsaP384Sha384));
        let hybrid = Principal { require: Require::All, ..principal("hybrid", &[&ed, &p384], COLLECTOR) };
        let trust = verifier(vec![hybrid], |_| {});
        let snapshot = snapshot("prod", 1, 1);
        assert_eq!(judge(&trust, &snapshot, &[&ed, &p384]), Ok(()));
        assert_eq!(judge(&trust, &snapshot, &[&ed]), code("trust.threshold"));
        assert_eq!(judge(&trust, &snapshot, &[&p384]), code("trust.threshold"));
    }

    #[test]
    fn roles_and_channels_bind() {
        let (dev, packer, approver) = (ed25519(), ed25519(), ed25519());
        let trust = verifier(
            vec![
                principal("approver", &[&approver], &[(Role::Approver, &["*"])]),
                principal("dev", &[&dev], &[(Role::Collector, &["dev"])]),
                principal("packer", &[&packer], &[(Role::Packer, &["dev"])]),
            ],
            |_| {},
        );
        let (in_dev, in_prod) = (snapshot("dev", 1, 1), snapshot("prod", 1, 1));
        assert_eq!(judge(&trust, &in_dev, &[&dev]), Ok(()));
        assert_eq!(judge(&trust, &in_prod, &[&dev]), code("trust.scope"));
        assert_eq!(judge(&trust, &in_dev, &[&packer]), code("trust.scope"));
        assert_eq!(judge(&trust, &in_dev, &[&approver]), code("trust.scope"));
        let may = |kind, snapshot: &Snapshot, signer: &KeySigner| {
            trust.authorise(kind, snapshot, &[signer.public().id().to_owned()]).is_ok()
        };
        assert!(may(PayloadType::PackingList, &in_dev, &packer));
        assert!(may(PayloadType::PackingList, &in_dev, &dev));
        assert!(!may(PayloadType::PackingList, &in_dev, &approver));
        assert!(!may(PayloadType::PackingList, &in_prod, &packer));
        assert!(may(PayloadType::Approval, &in_prod, &approver));
        assert!(!may(PayloadType::Approval, &in_dev, &dev));
        for kind in [PayloadType::Root, PayloadType::Receipt, PayloadType::AuditCheckpoint] {
            assert!(!may(kind, &in_dev, &dev), "{kind:?}");
        }
    }

    #[test]
    fn revoked_keys_count_for_nothing_and_retired_ones_for_what_was() {
        let (stolen, retired, good) = (ed25519(), ed25519(), ed25519());
        let people = vec![
            principal("good", &[&good], COLLECTOR),
            principal("retired", &[&retired], COLLECTOR),
            principal("stolen", &[&stolen], COLLECTOR),
        ];
        let (stolen_id, retired_id) = (stolen.public().id().to_owned(), retired.public().id().to_owned());
        let trust = verifier(people, |root| {
            root.epoch = 2;
            root.revocations.insert(stolen_id, Revocation::Compromised);
            let after = [("prod".to_owned(), Mark { epoch: 1, sequence: 7 })].into();
            root.revocations.insert(retired_id, Revocation::RetiredAfter(after));
        });
        let at = |epoch, sequence| snapshot("prod", epoch, sequence);
        assert_eq!(judge(&trust, &at(1, 1), &[&stolen]), code("trust.revoked"));
        assert_eq!(judge(&trust, &at(1, 1), &[&stolen, &good]), Ok(()));
        assert_eq!(judge(&trust, &at(1, 7), &[&retired]), Ok(()));
        assert_eq!(judge(&trust, &at(1, 8), &[&retired]), code("trust.revoked"));
        assert_eq!(judge(&trust, &at(2, 1), &[&retired]), code("trust.revoked"));
        assert_eq!(judge(&trust, &snapshot("dev", 1, 1), &[&retired]), code("trust.revoked"));
        assert_eq!(judge(&trust, &at(1, 8), &[&retired, &good]), Ok(()));
    }

    #[test]
    fn only_a_root_document_opens_an_epoch() {
        let alice = ed25519();
        let trust = verifier(vec![principal("alice", &[&alice], COLLECTOR)], |root| root.epoch = 2);
        assert_eq!(judge(&trust, &snapshot("prod", 2, 1), &[&alice]), Ok(()));
        assert_eq!(judge(&trust, &snapshot("prod", 3, 1), &[&alice]), code("trust.epoch"));
    }

    #[test]
    fn a_bundle_for_another_site_is_refused() {
        let alice = ed25519();
        let trust = verifier(vec![principal("alice", &[&alice], COLLECTOR)], |root| {
            root.sites = vec!["berlin".to_owned(), "oslo".to_owned()];
        });
        let mut snapshot = snapshot("prod", 1, 1);
        assert_eq!(judge(&trust.clone().at_site("oslo"), &snapshot, &[&alice]), Ok(()));
        assert_eq!(judge(&trust.clone().at_site("rome"), &snapshot, &[&alice]), code("trust.wrong-site"));
        snapshot.sites = vec!["berlin".to_owned()];
        assert_eq!(judge(&trust, &snapshot, &[&alice]), Ok(()));
        assert_eq!(judge(&trust.clone().at_site("berlin"), &snapshot, &[&alice]), Ok(()));
        assert_eq!(judge(&trust.at_site("oslo"), &snapshot, &[&alice]), code("trust.wrong-site"));
    }

    #[test]
    fn a_home_verifies_what_it_signed_itself() {
        let own = ed25519();
        let trust = TrustVerifier::new(None, [own.public().clone()]);
        assert_eq!(judge(&trust, &snapshot("prod", 1, 1), &[&own]), Ok(()));
        assert_eq!(judge(&trust, &snapshot("prod", 2, 1), &[&own]), code("trust.epoch"));
        let id = [own.public().id().to_owned()];
        assert!(trust.authorise(PayloadType::Approval, &snapshot("prod", 1, 1), &id).is_err());
    }
}
