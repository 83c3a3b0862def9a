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
