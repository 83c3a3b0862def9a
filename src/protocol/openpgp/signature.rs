//! Signatures (RFC 9580, section 5.2): what one says, and whether a key made it.

use aws_lc_rs::digest::{Context, Digest};
use jiff::{SignedDuration, Timestamp};

use super::key::{Hash, PublicKey};
use super::packet::{self, Bytes};
use super::{hex, instant};

/// What is signed (RFC 9580, section 5.2.1).
pub(super) mod kind {
    pub(crate) const BINARY: u8 = 0x00;
    pub(crate) const TEXT: u8 = 0x01;
    pub(crate) const CERTIFICATION: std::ops::RangeInclusive<u8> = 0x10..=0x13;
    pub(crate) const POSITIVE_CERTIFICATION: u8 = 0x13;
    pub(crate) const SUBKEY_BINDING: u8 = 0x18;
    pub(crate) const PRIMARY_KEY_BINDING: u8 = 0x19;
    pub(crate) const DIRECT_KEY: u8 = 0x1f;
    pub(crate) const KEY_REVOCATION: u8 = 0x20;
    pub(crate) const SUBKEY_REVOCATION: u8 = 0x28;
}

/// The parts of a signature that say something (RFC 9580, section 5.2.3.7).
pub(super) mod part {
    pub(crate) const CREATED: u8 = 2;
    pub(crate) const EXPIRES: u8 = 3;
    pub(crate) const KEY_EXPIRES: u8 = 9;
    pub(crate) const ISSUER: u8 = 16;
    pub(crate) const PRIMARY_USER: u8 = 25;
    pub(crate) const KEY_FLAGS: u8 = 27;
    pub(crate) const REVOCATION_REASON: u8 = 29;
    pub(crate) const EMBEDDED: u8 = 32;
    pub(crate) const ISSUER_FINGERPRINT: u8 = 33;
}

/// The flag of a key that signs documents, among those of [`part::KEY_FLAGS`].
pub(super) const SIGNS: u8 = 0x02;
/// As [`SIGNS`], of one that signs other keys.
pub(super) const CERTIFIES: u8 = 0x01;
/// The bit of a part that must be understood.
const CRITICAL: u8 = 0x80;

/// A signature of version 4.
#[derive(Debug, Clone, Default)]
pub(super) struct Signature {
    pub(super) kind: u8,
    algorithm: u8,
    hash: u8,
    /// From its version on to the end of the parts that it signs itself.
    hashed: Vec<u8>,
    /// Its numbers, in the form of the algorithm.
    numbers: Vec<u8>,
    says: Said,
}

/// What it says. But for who made it, which is found out by verifying, and what is signed itself, this is what it signs.
#[derive(Debug, Clone, Default)]
struct Said {
    created: Option<u32>,
    expires: u32,
    key_expires: u32,
    flags: Option<u8>,
    reason: Option<u8>,
    fingerprints: Vec<[u8; 20]>,
    identities: Vec<[u8; 8]>,
    embedded: Option<Box<Signature>>,
    has_unknown_critical: bool,
}

impl Signature {
    /// Reads the body of a packet; nothing is given for what is cut off, or of another version than 4.
    pub(super) fn read(body: &[u8]) -> Option<Signature> {
        Signature::read_nested(body, false)
    }

    fn read_nested(body: &[u8], is_embedded: bool) -> Option<Signature> {
        let mut rest = Bytes(body);
        if rest.byte()? != 4 {
            return None;
        }
        let (kind, algorithm, hash) = (rest.byte()?, rest.byte()?, rest.byte()?);
        let mut says = Said::default();
        let length = usize::from(rest.short()?);
        says.read(rest.take(length)?, true, is_embedded)?;
        let hashed = body[..body.len() - rest.0.len()].to_vec();
        let length = usize::from(rest.short()?);
        says.read(rest.take(length)?, false, is_embedded)?;
        // The first two bytes of the digest, which tell nothing that the numbers do not.
        rest.short()?;
        Some(Signature { kind, algorithm, hash, hashed, numbers: rest.0.to_vec(), says })
    }

    /// When it was made, as it says.
    pub(super) fn created(&self) -> Option<Timestamp> {
        instant(self.says.created?)
    }

    /// Whether it says of itself that it is over by then.
    pub(super) fn is_over(&self, made: Timestamp, at: Timestamp) -> bool {
        is_over(made, self.says.expires, at)
    }

    /// Whether the key that it is about is over by then.
    pub(super) fn key_is_over(&self, key: &PublicKey, at: Timestamp) -> bool {
        is_over(key.created, self.says.key_expires, at)
    }

    /// What the key that it is about may be used for, if it says.
    pub(super) fn flags(&self) -> Option<u8> {
        self.says.flags
    }

    /// Why a key is revoked by it (RFC 9580, section 5.2.3.31), if it says.
    pub(super) fn reason(&self) -> Option<u8> {
        self.says.reason
    }

    /// The signature within it: by a subkey, of the certificate that it belongs to.
    pub(super) fn embedded(&self) -> Option<&Signature> {
        self.says.embedded.as_deref()
    }

    /// Whether it says that this key made it.
    pub(super) fn is_by(&self, key: &PublicKey) -> bool {
        if self.says.fingerprints.is_empty() {
            return self.says.identities.iter().any(|identity| identity == key.identity());
        }
        self.says.fingerprints.contains(&key.fingerprint)
    }

    /// Who made it, as it says itself.
    pub(super) fn issuer(&self) -> String {
        let fingerprint = self.says.fingerprints.first().map(|one| hex(one));
        let identity = || self.says.identities.first().map(|one| hex(one));
        fingerprint.or_else(identity).unwrap_or_else(|| "a key that it does not name".to_owned())
    }

    /// Whether it was made in a way that can be relied on.
    ///
    /// # Errors
    /// Why not.
    pub(super) fn is_sound(&self) -> Result<(), String> {
        match Hash::read(self.hash) {
            Ok(Hash::Sha256 | Hash::Sha384 | Hash::Sha512) => {}
            Ok(Hash::Sha1) => return Err("uses SHA1, which is not believed any more".to_owned()),
            Err(name) => return Err(format!("uses {name}, which is not believed here")),
        }
        if self.says.has_unknown_critical {
            return Err("has a critical part that this version does not know".to_owned());
        }
        Ok(())
    }

    /// Whether a key made it of a document.
    pub(super) fn is_of_document(&self, document: &[u8], by: &PublicKey) -> bool {
        if self.kind != kind::TEXT {
            return self.is_of(&[document], by);
        }
        // Lines of text end in `\r\n` for whoever signs.
        let mut lines = Vec::with_capacity(document.len() + document.len() / 32);
        let mut before = 0;
        for byte in document {
            if *byte == b'\n' && before != b'\r' {
                lines.push(b'\r');
            }
            lines.push(*byte);
            before = *byte;
        }
        self.is_of(&[&lines], by)
    }

    /// Whether a key made it of these bytes, one after the other.
    pub(super) fn is_of(&self, parts: &[&[u8]], by: &PublicKey) -> bool {
        let Ok(hash) = Hash::read(self.hash) else { return false };
        self.algorithm == by.algorithm && by.verify(hash, &digest(hash, parts, &self.hashed), &self.numbers)
    }

    /// Whether a certificate's key made it of itself, and of one of its users, subkeys, or nothing else.
    pub(super) fn is_about(&self, key: &PublicKey, what: About<'_>, by: &PublicKey) -> bool {
        match what {
            About::Key => self.is_of(&[key.hashed()], by),
            About::User(user) => self.is_of(&[key.hashed(), &user_prefix(user), user], by),
            About::Subkey(subkey) => self.is_of(&[key.hashed(), subkey.hashed()], by),
        }
    }
}

/// What a signature in a certificate is about, beside the primary key (RFC 9580, section 5.2.4).
#[derive(Debug, Clone, Copy)]
pub(super) enum About<'a> {
    Key,
    User(&'a [u8]),
    Subkey(&'a PublicKey),
}

/// What is hashed before a user.
pub(super) fn user_prefix(user: &[u8]) -> [u8; 5] {
    let [a, b, c, d] = (user.len() as u32).to_be_bytes();
    [0xb4, a, b, c, d]
}

/// What is signed: the parts, and what the signature says itself (RFC 9580, section 5.2.4).
pub(super) fn digest(hash: Hash, parts: &[&[u8]], says: &[u8]) -> Digest {
    let mut context = Context::new(hash.algorithm());
    for part in parts {
        context.update(part);
    }
    context.update(says);
    context.update(&[4, 0xff]);
    context.update(&(says.len() as u32).to_be_bytes());
    context.finish()
}

impl Said {
    /// Reads parts; nothing is given if they are not of the form that they should have.
    fn read(&mut self, parts: &[u8], is_signed: bool, is_embedded: bool) -> Option<()> {
        let mut rest = Bytes(parts);
        while !rest.0.is_empty() {
            let length = packet::new_length(&mut rest)?;
            let mut body = Bytes(rest.take(length)?);
            let kind = body.byte()?;
            self.read_part(kind & !CRITICAL, kind & CRITICAL != 0, body, is_signed, is_embedded)?;
        }
        Some(())
    }

    fn read_part(
        &mut self,
        kind: u8,
        is_critical: bool,
        mut body: Bytes<'_>,
        is_signed: bool,
        is_embedded: bool,
    ) -> Option<()> {
        match kind {
            part::ISSUER => self.identities.push(body.0.try_into().ok()?),
            // After the version of the key.
            part::ISSUER_FINGERPRINT => {
                if body.byte()? == 4 {
                    self.fingerprints.push(body.0.try_into().ok()?);
                }
            }
            // There is no end to a signature within one within one.
            part::EMBEDDED if !is_embedded => {
                self.embedded = Signature::read_nested(body.0, true).map(Box::new);
            }
            _ if !is_signed => {}
            part::CREATED => self.created = Some(body.long()?),
            part::EXPIRES => self.expires = body.long()?,
            part::KEY_EXPIRES => self.key_expires = body.long()?,
            part::KEY_FLAGS => self.flags = Some(body.byte().unwrap_or(0)),
            part::REVOCATION_REASON => self.reason = Some(body.byte()?),
            // What the key prefers, may be known by, and such: nothing that a verifier of documents looks at.
            4..=7 | 11 | 12 | 21..=26 | 28 | 30 | 31 | 34 | 35 => {}
            _ => self.has_unknown_critical |= is_critical,
        }
        Some(())
    }
}

/// Whether what lasts so many seconds from then on is over; none means for ever.
fn is_over(from: Timestamp, seconds: u32, at: Timestamp) -> bool {
    seconds > 0 && from + SignedDuration::from_secs(i64::from(seconds)) <= at
}
