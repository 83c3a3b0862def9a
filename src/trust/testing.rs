//! What the tests of this room share: people with keys, root documents and snapshots.

use std::collections::BTreeMap;

use bundle_format::signature::pae;
use bundle_format::{Format, Mode, PayloadType, SignatureLine, Signer as _, Snapshot};

use super::crypto::{Algorithm, SecretKey};
use super::key::PublicKey;
use super::root::{Principal, Require, Role, Root};
use super::signer::KeySigner;

/// A new key that signs.
pub(super) fn signer(algorithm: Algorithm) -> KeySigner {
    let secret = SecretKey::generate(algorithm).unwrap();
    KeySigner::new(PublicKey::from_spki(&secret.public_spki()).unwrap(), secret)
}

/// A new Ed25519 key that signs.
pub(super) fn ed25519() -> KeySigner {
    signer(Algorithm::Ed25519)
}

/// A principal with these keys and roles, any key enough.
pub(super) fn principal(name: &str, keys: &[&KeySigner], roles: &[(Role, &[&str])]) -> Principal {
    let mut keys: Vec<_> = keys.iter().map(|key| key.public().clone()).collect();
    keys.sort_by(|a, b| a.id().cmp(b.id()));
    let channels = |channels: &[&str]| channels.iter().map(|channel| (*channel).to_owned()).collect();
    let roles = roles.iter().map(|(role, scope)| (*role, channels(scope))).collect();
    Principal { name: name.to_owned(), keys, require: Require::One, roles }
}

/// A valid root document of these principals, sorted here.
pub(super) fn root(mut principals: Vec<Principal>) -> Root {
    principals.sort_by(|a, b| a.name.cmp(&b.name));
    Root {
        format: Format::current(),
        version: 1,
        epoch: 1,
        created: "2026-11-21T08:00:00Z".to_owned(),
        expires: None,
        principals,
        thresholds: BTreeMap::new(),
        floors: BTreeMap::new(),
        sites: Vec::new(),
        revocations: BTreeMap::new(),
        ext: BTreeMap::new(),
    }
}

/// The lines with which these keys sign the document.
pub(super) fn lines(kind: PayloadType, payload: &[u8], signers: &[&KeySigner]) -> Vec<SignatureLine> {
    let encoding = pae(kind, payload);
    let line = |signer: &&KeySigner| SignatureLine {
        key_id: signer.key_id().to_owned(),
        signature: signer.sign(&encoding).unwrap(),
    };
    let mut lines: Vec<_> = signers.iter().map(line).collect();
    lines.sort_by(|a, b| a.key_id.cmp(&b.key_id));
    lines
}

/// An empty snapshot at this place.
pub(super) fn snapshot(channel: &str, epoch: u64, sequence: u64) -> Snapshot {
    Snapshot {
        format: Format::current(),
        channel: channel.to_owned(),
        epoch,
        sequence,
        previous: None,
        created: "2026-11-21T09:00:00Z".to_owned(),
        expires: None,
        mode: Mode::Add,
        sites: Vec::new(),
        labels: BTreeMap::new(),
        segments: Vec::new(),
        ext: BTreeMap::new(),
    }
}
