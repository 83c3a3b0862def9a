//! Signing documents as package archives do, with keys of our own.
//!
//! A key is Ed25519 in version 4 with SHA-512: what every verifier of today's distributions takes, from GnuPG 2.2 to
//! Sequoia. It has no subkeys and no end: a mirror must not stop on a day that nobody remembers.

use aws_lc_rs::encoding::AsBigEndian as _;
use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair as _};
use jiff::Timestamp;
use zeroize::Zeroizing;

use super::key::{EDDSA, Hash, PublicKey};
use super::packet::{Bytes, packets, tag, write, write_length, write_number};
use super::signature::{self, About, CERTIFIES, SIGNS, Signature, kind, part};
use super::{BEGIN_MESSAGE, Fault, armor, hex, malformed};

/// The number of SHA-512 in a signature.
const SHA512: u8 = 10;

/// A key that signs.
pub struct SigningKey {
    pair: Ed25519KeyPair,
    public: PublicKey,
    user: Vec<u8>,
    /// The body of the packet in which the key says whose it is.
    certification: Vec<u8>,
}

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
        let pair = Ed25519KeyPair::generate().map_err(failed)?;
        let public = PublicKey::ed25519(pair.public_key().as_ref(), seconds(created));
        let public = public.ok_or_else(|| malformed("the OpenPGP key cannot be made"))?;
        let mut key = SigningKey { pair, public, user: user.as_bytes().to_vec(), certification: Vec::new() };
        // Dated as the key is: a client whose clock is late would not believe one of now.
        let about = [key.public.hashed(), &signature::user_prefix(&key.user), &key.user];
        let says = [(part::KEY_FLAGS, &[CERTIFIES | SIGNS][..]), (part::PRIMARY_USER, &[1])];
        key.certification = key.sign(kind::POSITIVE_CERTIFICATION, &about, created, &says);
        Ok(key)
    }

    /// Reads a key that [`SigningKey::armored`] wrote.
    ///
    /// # Errors
    /// If it is something else.
    pub fn read(text: &str) -> Result<SigningKey, Fault> {
        let bytes = Zeroizing::new(armor::read(text.as_bytes(), armor::PRIVATE_KEY)?);
        let (mut secret, mut user, mut certification) = (None, None, None);
        for packet in packets(&bytes) {
            let packet = packet?;
            match packet.tag {
                tag::SECRET_KEY => secret = secret.or(Some(packet.body)),
                tag::USER_ID => user = user.or(Some(packet.body)),
                tag::SIGNATURE => certification = certification.or(Some(packet.body)),
                _ => {}
            }
        }
        let secret = secret.ok_or_else(|| malformed("this is no OpenPGP private key"))?;
        let (Some(user), Some(certification)) = (user, certification) else {
            return Err(malformed("this OpenPGP private key does not say whose it is"));
        };
        let (public, secret) = PublicKey::read_ed25519(secret)
            .ok_or_else(|| malformed("only Ed25519 keys of version 4 sign here"))?;
        let pair = read_secret(secret, &public)
            .ok_or_else(|| malformed("this OpenPGP private key is protected by a password, or damaged"))?;
        let is_sound = Signature::read(certification).is_some_and(|one| {
            kind::CERTIFICATION.contains(&one.kind) && one.is_about(&public, About::User(user), &public)
        });
        if !is_sound {
            return Err(malformed("this key is not sound: it did not sign whose it is"));
        }
        Ok(SigningKey { pair, public, user: user.to_vec(), certification: certification.to_vec() })
    }

    /// The private key, armored.
    ///
    /// # Errors
    /// Only if the library fails.
    pub fn armored(&self) -> Result<Zeroizing<String>, Fault> {
        let seed = self.pair.seed().and_then(|seed| seed.as_be_bytes()).map_err(failed)?;
        let seed: Zeroizing<Vec<u8>> = Zeroizing::new(seed.as_ref().to_vec());
        // Protected by nothing but the file that it stands in (RFC 9580, section 3.7.2.1), with a sum of the number's bytes.
        let mut secret = Zeroizing::new(self.public.body().to_vec());
        secret.push(0);
        let number = secret.len();
        write_number(&seed, &mut secret);
        let sum = secret[number..].iter().fold(0_u16, |sum, byte| sum.wrapping_add(u16::from(*byte)));
        secret.extend_from_slice(&sum.to_be_bytes());
        let mut packets = Zeroizing::new(Vec::with_capacity(1024));
        write(tag::SECRET_KEY, &secret, &mut packets);
        self.write_identity(&mut packets);
        Ok(Zeroizing::new(armor::write(&packets, armor::PRIVATE_KEY)))
    }

    /// The public certificate, armored: what verifiers are given.
    pub fn certificate(&self) -> String {
        let mut packets = Vec::new();
        write(tag::PUBLIC_KEY, self.public.body(), &mut packets);
        self.write_identity(&mut packets);
        armor::write(&packets, armor::PUBLIC_KEY)
    }

    fn write_identity(&self, to: &mut Vec<u8>) {
        write(tag::USER_ID, &self.user, to);
        write(tag::SIGNATURE, &self.certification, to);
    }

    /// The fingerprint, in upper-case hex.
    pub fn fingerprint(&self) -> String {
        hex(&self.public.fingerprint)
    }

    /// From when on it signs.
    pub fn created(&self) -> Timestamp {
        self.public.created
    }

    /// Signs bytes as of a time, saying some parts beside: the body of a signature's packet.
    fn sign(&self, kind: u8, about: &[&[u8]], at: Timestamp, says: &[(u8, &[u8])]) -> Vec<u8> {
        let created = seconds(at.max(self.created())).to_be_bytes();
        let fingerprint = [&[4], &self.public.fingerprint[..]].concat();
        let mut signed = Vec::new();
        for (kind, value) in
            [(part::CREATED, &created[..]), (part::ISSUER_FINGERPRINT, &fingerprint)].iter().chain(says)
        {
            write_part(*kind, value, &mut signed);
        }
        let mut beside = Vec::new();
        write_part(part::ISSUER, self.public.identity(), &mut beside);
        let mut body = vec![4, kind, EDDSA, SHA512];
        body.extend_from_slice(&(signed.len() as u16).to_be_bytes());
        body.extend_from_slice(&signed);
        let digest = signature::digest(Hash::Sha512, about, &body);
        body.extend_from_slice(&(beside.len() as u16).to_be_bytes());
        body.extend_from_slice(&beside);
        body.extend_from_slice(&digest.as_ref()[..2]);
        for number in self.pair.sign(digest.as_ref()).as_ref().chunks(32) {
            write_number(number, &mut body);
        }
        body
    }
}

/// The private key of a packet, which has to be that of the public one.
fn read_secret(packet: &[u8], public: &PublicKey) -> Option<Ed25519KeyPair> {
    let mut rest = Bytes(packet);
    if rest.byte()? != 0 {
        return None;
    }
    let number = rest.number()?;
    let mut seed = Zeroizing::new([0; 32]);
    seed[32_usize.checked_sub(number.len())?..].copy_from_slice(number);
    Ed25519KeyPair::from_seed_and_public_key(&*seed, public.as_ed25519()?).ok()
}

/// A document that is signed within, such as an `InRelease`, by all of these keys as of a time. No line of it ends in white
/// space: that is not signed.
pub fn sign_inline(text: &str, keys: &[SigningKey], at: Timestamp) -> String {
    // The newline at its end belongs to the frame.
    let text = text.strip_suffix('\n').unwrap_or(text);
    let mut signed = format!("{BEGIN_MESSAGE}\nHash: SHA512\n\n");
    for line in text.split('\n') {
        if line.starts_with('-') {
            signed.push_str("- ");
        }
        signed.push_str(line);
        signed.push('\n');
    }
    signed.push_str(&signatures(text.replace('\n', "\r\n").as_bytes(), kind::TEXT, keys, at));
    signed
}

/// Signatures that stand beside a document, such as a `Release.gpg`, by all of these keys as of a time.
pub fn sign_detached(document: &[u8], keys: &[SigningKey], at: Timestamp) -> String {
    signatures(document, kind::BINARY, keys, at)
}

/// One block of signatures, a key's after another's.
fn signatures(signed: &[u8], kind: u8, keys: &[SigningKey], at: Timestamp) -> String {
    let mut packets = Vec::new();
    for key in keys {
        write(tag::SIGNATURE, &key.sign(kind, &[signed], at, &[]), &mut packets);
    }
    armor::write(&packets, armor::SIGNATURE)
}

fn write_part(kind: u8, value: &[u8], to: &mut Vec<u8>) {
    write_length(value.len() + 1, to);
    to.push(kind);
    to.extend_from_slice(value);
}

/// Seconds since 1970; of the few times that OpenPGP can say, the nearest.
fn seconds(at: Timestamp) -> u32 {
    at.as_second().clamp(0, i64::from(u32::MAX)) as u32
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
        Keyring::read(key.certificate().as_bytes()).unwrap()
    }

    #[test]
    fn what_several_keys_sign_each_of_them_proves() {
        let (old, new) = (key(), SigningKey::read(&key().armored().unwrap()).unwrap());
        let (signed, now) = (time("2026-03-01T00:00:00Z"), time("2026-06-01T00:00:00Z"));
        let keys = [old, new];
        let inline = sign_inline(TEXT, &keys, signed);
        let beside = sign_detached(TEXT.as_bytes(), &keys, signed);
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
        let inline = sign_inline(TEXT, std::slice::from_ref(&key), time("2020-01-01T00:00:00Z"));
        let (_, signers) =
            verify_inline(inline.as_bytes(), &keyring(&key), time("2026-06-01T00:00:00Z")).unwrap();
        assert_eq!(signers[0].signed, key.created());
    }

    #[test]
    fn what_is_no_private_key_is_refused() {
        for text in ["", "x", &key().certificate()] {
            assert!(matches!(SigningKey::read(text), Err(Fault::Malformed(_))));
        }
    }
}
