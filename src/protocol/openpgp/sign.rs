//! Signing documents as package archives do, with keys of our own.
//!
//! A key is Ed25519 in version 4 with SHA-512: what every verifier of today's distributions takes, from GnuPG 2.2 to
//! Sequoia. It has no subkeys and no end: a mirror must not stop on a day that nobody remembers.

use jiff::Timestamp;
use pgp::armor::{self, BlockType};
use pgp::composed::{
    ArmorOptions, CleartextSignedMessage, Deserializable as _, KeyType, SignedKeyDetails, SignedSecretKey,
};
use pgp::crypto::hash::HashAlgorithm;
use pgp::crypto::public_key::PublicKeyAlgorithm;
use pgp::packet::{
    KeyFlags, PacketTrait as _, PubKeyInner, PublicKey, SecretKey, Signature, SignatureConfig, SignatureType,
    Subpacket, SubpacketData, UserId,
};
use pgp::ser::Serialize;
use pgp::types::{KeyDetails as _, KeyVersion, Password, SignedUser, Tag};
use rand_core::OsRng;
use zeroize::Zeroizing;

use super::{Fault, hex, instant, malformed};

/// A key that signs.
pub struct SigningKey(SignedSecretKey);

impl std::fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "SigningKey({})", self.fingerprint())
    }
}

impl SigningKey {
    /// Makes a key that calls itself `user` and was there from `created` on: what it signs as of earlier counts for nobody.
    ///
    /// # Errors
    /// If the system has no random numbers.
    pub fn generate(user: &str, created: Timestamp) -> Result<SigningKey, Fault> {
        generate(user, created).map(SigningKey).map_err(failed)
    }

    /// Reads a key that [`SigningKey::armored`] wrote.
    ///
    /// # Errors
    /// If it is something else.
    pub fn read(text: &str) -> Result<SigningKey, Fault> {
        let (key, _) = SignedSecretKey::from_string(text)
            .map_err(|error| malformed(format!("this is no OpenPGP private key: {error}")))?;
        if key.details.users.is_empty() {
            return Err(malformed("this OpenPGP private key does not say whose it is"));
        }
        // What others made may be RSA, whose library gives its private keys away to who measures it.
        if key.primary_key.algorithm() != PublicKeyAlgorithm::EdDSALegacy {
            return Err(malformed("only Ed25519 keys of version 4 sign here"));
        }
        key.verify_bindings().map_err(|error| malformed(format!("this key is not sound: {error}")))?;
        Ok(SigningKey(key))
    }

    /// The private key, armored.
    ///
    /// # Errors
    /// Only if the library fails.
    pub fn armored(&self) -> Result<Zeroizing<String>, Fault> {
        self.0.to_armored_string(ArmorOptions::default()).map(Zeroizing::new).map_err(failed)
    }

    /// The public certificate, armored: what verifiers are given.
    ///
    /// # Errors
    /// Only if the library fails.
    pub fn certificate(&self) -> Result<String, Fault> {
        self.0.to_public_key().to_armored_string(ArmorOptions::default()).map_err(failed)
    }

    /// The fingerprint, in upper-case hex.
    pub fn fingerprint(&self) -> String {
        hex(&self.0.primary_key.fingerprint())
    }

    /// From when on it signs.
    pub fn created(&self) -> Timestamp {
        instant(self.0.primary_key.created_at().as_secs()).unwrap_or(Timestamp::UNIX_EPOCH)
    }

    /// Signs bytes as of a time.
    fn sign(&self, signed: &[u8], typ: SignatureType, at: Timestamp) -> pgp::errors::Result<Signature> {
        let key = &self.0.primary_key;
        let algorithm = key.algorithm();
        configuration(key, algorithm, typ, at.max(self.created()), Vec::new())?.sign(
            key,
            &Password::empty(),
            signed,
        )
    }
}

/// A document that is signed within, such as an `InRelease`, by all of these keys as of a time. No line of it ends in white
/// space: that is not signed.
///
/// # Errors
/// If a key cannot be used.
pub fn sign_inline(text: &str, keys: &[SigningKey], at: Timestamp) -> Result<String, Fault> {
    // The newline at its end belongs to the frame.
    let text = text.strip_suffix('\n').unwrap_or(text);
    let message = CleartextSignedMessage::new_many(text, |normal| {
        keys.iter().map(|key| key.sign(normal.as_bytes(), SignatureType::Text, at)).collect()
    });
    message.and_then(|message| message.to_armored_string(ArmorOptions::default())).map_err(failed)
}

/// Signatures that stand beside a document, such as a `Release.gpg`, by all of these keys as of a time.
///
/// # Errors
/// If a key cannot be used.
pub fn sign_detached(document: &[u8], keys: &[SigningKey], at: Timestamp) -> Result<String, Fault> {
    let signatures: Result<Vec<_>, _> =
        keys.iter().map(|key| key.sign(document, SignatureType::Binary, at)).collect();
    let mut text = Vec::new();
    signatures
        .and_then(|all| armor::write(&Signatures(all), BlockType::Signature, &mut text, None, true))
        .map_err(failed)?;
    String::from_utf8(text).map_err(failed)
}

/// Several signatures in one block.
struct Signatures(Vec<Signature>);

impl Serialize for Signatures {
    fn to_writer<W: std::io::Write>(&self, writer: &mut W) -> pgp::errors::Result<()> {
        self.0.iter().try_for_each(|one| one.to_writer_with_header(writer))
    }

    fn write_len(&self) -> usize {
        self.0.iter().map(|one| one.write_len_with_header()).sum()
    }
}

/// The library's own way dates a key's self-signature now, which a client whose clock is late does not believe.
fn generate(user: &str, created: Timestamp) -> pgp::errors::Result<SignedSecretKey> {
    let (public, secret) = KeyType::Ed25519Legacy.generate(OsRng)?;
    let algorithm = PublicKeyAlgorithm::EdDSALegacy;
    let public = PubKeyInner::new(KeyVersion::V4, algorithm, library_time(created), None, public)?;
    let key = SecretKey::new(PublicKey::from_inner(public)?, secret)?;
    let user = UserId::from_str(Default::default(), user)?;
    let mut flags = KeyFlags::default();
    flags.set_certify(true);
    flags.set_sign(true);
    let says = vec![
        Subpacket::regular(SubpacketData::KeyFlags(flags))?,
        Subpacket::regular(SubpacketData::IsPrimary(true))?,
    ];
    let certification = configuration(&key, algorithm, SignatureType::CertPositive, created, says)?;
    let public = key.public_key().clone();
    let own = certification.sign_certification(&key, &public, &Password::empty(), Tag::UserId, &user)?;
    let details =
        SignedKeyDetails::new(Vec::new(), Vec::new(), vec![SignedUser::new(user, vec![own])], Vec::new());
    Ok(SignedSecretKey::new(key, details, Vec::new(), Vec::new()))
}

/// How something is signed with a key.
fn configuration(
    key: &SecretKey,
    algorithm: PublicKeyAlgorithm,
    typ: SignatureType,
    at: Timestamp,
    more: Vec<Subpacket>,
) -> pgp::errors::Result<SignatureConfig> {
    let mut configuration = SignatureConfig::v4(typ, algorithm, HashAlgorithm::Sha512);
    configuration.hashed_subpackets = vec![
        Subpacket::regular(SubpacketData::SignatureCreationTime(library_time(at)))?,
        Subpacket::regular(SubpacketData::IssuerFingerprint(key.fingerprint()))?,
    ];
    configuration.hashed_subpackets.extend(more);
    let identity = SubpacketData::IssuerKeyId(key.legacy_key_id());
    configuration.unhashed_subpackets = vec![Subpacket::regular(identity)?];
    Ok(configuration)
}

/// Seconds since 1970; of the few times that OpenPGP can say, the nearest.
fn library_time(at: Timestamp) -> pgp::types::Timestamp {
    pgp::types::Timestamp::from_secs(at.as_second().clamp(0, i64::from(u32::MAX)) as u32)
}

fn failed(error: impl std::fmt::Display) -> Fault {
    malformed(format!("the OpenPGP key cannot be used: {error}"))
}

#[cfg(test)]
mod tests {
    use super::super::{Keyring, verify_detached, verify_inline};
    use super::*;

    const TEXT: &str = "Origin: Example\nDate: Thu, 01 Jan 2026 00:00:00 UTC\n- dashes\n";

    fn time(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    fn key() -> SigningKey {
        SigningKey::generate("a site", time("2026-01-02T00:00:00Z")).unwrap()
    }

    fn keyring(key: &SigningKey) -> Keyring {
        Keyring::read(key.certificate().unwrap().as_bytes()).unwrap()
    }

    #[test]
    fn what_several_keys_sign_each_of_them_proves() {
        let (old, new) = (key(), SigningKey::read(&key().armored().unwrap()).unwrap());
        let (signed, now) = (time("2026-03-01T00:00:00Z"), time("2026-06-01T00:00:00Z"));
        let keys = [old, new];
        let inline = sign_inline(TEXT, &keys, signed).unwrap();
        let beside = sign_detached(TEXT.as_bytes(), &keys, signed).unwrap();
        for key in &keys {
            let (text, signers) = verify_inline(inline.as_bytes(), &keyring(key), now).unwrap();
            assert_eq!(std::str::from_utf8(&text).unwrap(), TEXT);
            assert_eq!(signers[0].certificate, key.fingerprint());
            assert_eq!(signers[0].signed, signed);
            let signers = verify_detached(TEXT.as_bytes(), beside.as_bytes(), &keyring(key), now).unwrap();
            assert_eq!(signers.len(), 1);
        }
        let other = inline.replace("Example", "Exemple");
        assert!(verify_inline(other.as_bytes(), &keyring(&keys[0]), now).is_err());
    }

    #[test]
    fn nothing_is_signed_before_its_key_was_there() {
        let key = key();
        let inline = sign_inline(TEXT, std::slice::from_ref(&key), time("2020-01-01T00:00:00Z")).unwrap();
        let (_, signers) =
            verify_inline(inline.as_bytes(), &keyring(&key), time("2026-06-01T00:00:00Z")).unwrap();
        assert_eq!(signers[0].signed, key.created());
    }

    #[test]
    fn what_is_no_private_key_is_refused() {
        for text in ["", "x", &key().certificate().unwrap()] {
            assert!(matches!(SigningKey::read(text), Err(Fault::Malformed(_))));
        }
    }
}
