//! OpenPGP as package archives use it (RFC 9580): is this document signed by one of these keys?
//!
//! The packets and the arithmetic are the library's. What a signature is worth is decided here, as strictly as the
//! verifiers of today's distributions do: no SHA-1, no short RSA keys, no subkey that does not say that it signs.

pub mod sign;

use std::io::{BufReader, Read as _};

use jiff::{SignedDuration, Timestamp};
use pgp::armor::{BlockType, Dearmor, DearmorOptions};
use pgp::composed::{Deserializable as _, SignedPublicKey, SignedPublicSubKey};
use pgp::crypto::hash::HashAlgorithm;
use pgp::packet::{
    Packet, PacketParser, RevocationCode, Signature, SignatureType, SignatureVersion, SubpacketData,
};
use pgp::ser::Serialize as _;
use pgp::types::{Fingerprint, KeyDetails, PublicParams, Tag};

/// The most bytes that a keyring may have: 16 MiB. Debian's has 56 KiB.
const LARGEST_KEYRING: usize = 16 << 20;
/// The most bytes that the signatures of one document may have: 256 KiB.
const LARGEST_SIGNATURES: usize = 256 << 10;
/// How many signatures are looked at.
const MOST_SIGNATURES: usize = 64;
/// A signature may be made so much later than it is now: clocks differ.
const FUTURE: SignedDuration = SignedDuration::from_mins(10);
/// RSA keys shorter than this are refused, in bits.
const SHORTEST_RSA: u16 = 2048;

const BEGIN_MESSAGE: &[u8] = b"-----BEGIN PGP SIGNED MESSAGE-----";
const BEGIN_SIGNATURE: &[u8] = b"-----BEGIN PGP SIGNATURE-----";
const END_SIGNATURE: &[u8] = b"-----END PGP SIGNATURE-----";
const BEGIN_KEY: &[u8] = b"-----BEGIN PGP PUBLIC KEY BLOCK-----";
const END_KEY: &[u8] = b"-----END PGP PUBLIC KEY BLOCK-----";

/// Why a document is not believed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    /// It is not of the form that it should have.
    #[error("{0}")]
    Malformed(String),
    /// Nobody whom we know signed it; each reason is about one signature.
    #[error("none of its signatures counts: {}", .0.join("; "))]
    NotSigned(Vec<String>),
    /// A known key's signature is not of this document: somebody changed it.
    #[error("it is not what {0} signed")]
    Changed(String),
}

/// Whose signature of a document counts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Signer {
    /// The certificate: the fingerprint of its primary key, in upper-case hex.
    pub certificate: String,
    /// The key that signed: this one or one of its subkeys.
    pub key: String,
    /// When it says that it signed.
    pub signed: Timestamp,
}

/// The keys that are believed.
#[derive(Debug, Clone, Default)]
pub struct Keyring {
    certificates: Vec<SignedPublicKey>,
}

impl Keyring {
    /// Reads a keyring: certificates one after the other, or any number of armored blocks of them. Those that use what
    /// this version does not know are left out.
    ///
    /// # Errors
    /// If it has no certificate, or is larger than 16 MiB.
    pub fn read(bytes: &[u8]) -> Result<Keyring, Fault> {
        if bytes.len() > LARGEST_KEYRING {
            return Err(malformed(format!("a keyring may have {LARGEST_KEYRING} bytes")));
        }
        let mut certificates = Vec::new();
        let mut first_error = None;
        let mut take = |packets: &[u8]| {
            let found = SignedPublicKey::from_bytes_many(packets);
            for certificate in found.into_iter().flatten() {
                match certificate {
                    Ok(certificate) => certificates.push(certificate),
                    Err(error) => drop(first_error.get_or_insert_with(|| error.to_string())),
                }
            }
        };
        // The first bit of a packet is set, and of no letter.
        if bytes.first().is_some_and(|first| first & 0x80 != 0) {
            take(bytes);
        } else {
            for block in blocks(bytes) {
                take(&dearmored(block, BlockType::PublicKey, LARGEST_KEYRING)?);
            }
        }
        if certificates.is_empty() {
            let why = first_error.map(|error| format!(": {error}")).unwrap_or_default();
            return Err(malformed(format!("there is no OpenPGP certificate in it{why}")));
        }
        Ok(Keyring { certificates })
    }

    /// Adds another one's certificates.
    pub fn extend(&mut self, other: Keyring) {
        self.certificates.extend(other.certificates);
    }

    /// Those of these fingerprints, each of a certificate or of one of its keys, in hex of any case. A `!` after one means
    /// this very key and none of its subkeys, as in apt's `Signed-By`.
    pub fn only(&self, fingerprints: &[String]) -> Keyring {
        let mut certificates = Vec::new();
        for certificate in &self.certificates {
            let wanted = |key: &Fingerprint, exactly: bool| {
                fingerprints.iter().any(|wanted| match wanted.strip_suffix('!') {
                    Some(wanted) => wanted.eq_ignore_ascii_case(&hex(key)),
                    None => !exactly && wanted.eq_ignore_ascii_case(&hex(key)),
                })
            };
            let subkeys = &certificate.public_subkeys;
            let keys = subkeys.iter().map(|subkey| subkey.key.fingerprint());
            if wanted(&certificate.fingerprint(), false) || keys.clone().any(|key| wanted(&key, false)) {
                let mut chosen = certificate.clone();
                let is_exact =
                    std::iter::once(certificate.fingerprint()).chain(keys).any(|key| wanted(&key, true));
                if is_exact {
                    chosen.public_subkeys.retain(|subkey| wanted(&subkey.key.fingerprint(), true));
                }
                certificates.push(chosen);
            }
        }
        Keyring { certificates }
    }

    /// Whether nobody is believed.
    pub fn is_empty(&self) -> bool {
        self.certificates.is_empty()
    }

    /// The fingerprints of its certificates, in upper-case hex.
    pub fn fingerprints(&self) -> Vec<String> {
        self.certificates.iter().map(|one| hex(&one.fingerprint())).collect()
    }
}

/// Verifies a document that is signed within (RFC 9580, section 7), such as an `InRelease`: all of it has to be the one
/// signed message. `now` is the time as of which keys are judged. The text is returned as it was signed, with `\n` at the
/// end of each line.
///
/// # Errors
/// As [`Fault`] says; one signature that counts is enough, but one that a known key made of something else is too many.
pub fn verify_inline(
    document: &[u8],
    keyring: &Keyring,
    now: Timestamp,
) -> Result<(Vec<u8>, Vec<Signer>), Fault> {
    let (text, armor) = open(document)?;
    let signatures = signatures(armor)?;
    // What is signed has `\r\n` between its lines, and none at its end.
    let mut signed = Vec::with_capacity(text.len() + text.len() / 32);
    let lines = text.strip_suffix(b"\n").unwrap_or(&text).split(|byte| *byte == b'\n');
    for (number, line) in lines.enumerate() {
        if number > 0 {
            signed.extend_from_slice(b"\r\n");
        }
        signed.extend_from_slice(line);
    }
    let signers = judge(&signatures, &signed, keyring, now)?;
    Ok((text, signers))
}

/// Verifies a document by signatures that stand beside it, armored or not, such as a `Release.gpg`.
///
/// # Errors
/// As [`verify_inline`].
pub fn verify_detached(
    document: &[u8],
    signature: &[u8],
    keyring: &Keyring,
    now: Timestamp,
) -> Result<Vec<Signer>, Fault> {
    judge(&signatures(signature)?, document, keyring, now)
}

/// The text of a document that is signed within, whoever signed it.
///
/// # Errors
/// If it is not of the form that it should have.
pub fn unverified(document: &[u8]) -> Result<Vec<u8>, Fault> {
    open(document).map(|(text, _)| text)
}

fn malformed(message: impl Into<String>) -> Fault {
    Fault::Malformed(message.into())
}

/// Takes a signed message apart: its text, without what it is escaped by, and its armored signatures.
fn open(document: &[u8]) -> Result<(Vec<u8>, &[u8]), Fault> {
    let mut rest = document;
    let mut next_line = || {
        let (line, after) = match rest.iter().position(|byte| *byte == b'\n') {
            Some(end) => rest.split_at(end + 1),
            None if rest.is_empty() => return None,
            None => (rest, &rest[rest.len()..]),
        };
        rest = after;
        Some(line)
    };
    let cut = || malformed("the signed message is cut off");
    if next_line().is_none_or(|line| line.trim_ascii_end() != BEGIN_MESSAGE) {
        return Err(malformed("it does not begin as a signed message does"));
    }
    // Its headers say nothing but with what it was hashed, which each signature says too.
    loop {
        let header = next_line().ok_or_else(cut)?.trim_ascii_end();
        if header.is_empty() {
            break;
        }
        if !header.starts_with(b"Hash: ") {
            return Err(malformed("there is a header in it that is not signed"));
        }
    }
    let mut text = Vec::with_capacity(document.len());
    let start = loop {
        let line = next_line().ok_or_else(cut)?;
        if line.trim_ascii_end() == BEGIN_SIGNATURE {
            break line;
        }
        let line = match line.strip_prefix(b"- ") {
            Some(line) => line,
            None if line.starts_with(b"-") => return Err(malformed("a line of it begins with `-`")),
            None => line,
        };
        // White space at the end of a line is not signed: it does not count.
        let end = line.iter().rposition(|byte| !matches!(byte, b' ' | b'\t' | b'\r' | b'\n'));
        text.extend_from_slice(&line[..end.map_or(0, |end| end + 1)]);
        text.push(b'\n');
    };
    let begin = offset_of(start, document);
    loop {
        if next_line().ok_or_else(cut)?.trim_ascii_end() == END_SIGNATURE {
            break;
        }
    }
    if !rest.trim_ascii().is_empty() {
        return Err(malformed("something stands after the signed message"));
    }
    Ok((text, &document[begin..]))
}

/// Where a part of a document begins.
fn offset_of(part: &[u8], document: &[u8]) -> usize {
    part.as_ptr() as usize - document.as_ptr() as usize
}

/// The armored blocks of public keys in a text.
fn blocks(text: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut rest = text;
    std::iter::from_fn(move || {
        let begin = memchr::memmem::find(rest, BEGIN_KEY)?;
        let end = begin + memchr::memmem::find(&rest[begin..], END_KEY)? + END_KEY.len();
        let block = &rest[begin..end];
        rest = &rest[end..];
        Some(block)
    })
}

/// What an armored block has in it.
fn dearmored(block: &[u8], expected: BlockType, limit: usize) -> Result<Vec<u8>, Fault> {
    let wrong = |error: &dyn std::fmt::Display| malformed(format!("its armor cannot be read: {error}"));
    let options = DearmorOptions::new().set_limit(limit);
    let mut armor = Dearmor::with_options(block, options);
    armor.read_header().map_err(|error| wrong(&error))?;
    if armor.typ.as_ref() != Some(&expected) {
        return Err(malformed(format!("this is no {expected}")));
    }
    let mut bytes = Vec::new();
    armor.read_to_end(&mut bytes).map_err(|error| wrong(&error))?;
    Ok(bytes)
}

/// The signatures of a block, armored or not.
fn signatures(block: &[u8]) -> Result<Vec<Signature>, Fault> {
    if block.len() > LARGEST_SIGNATURES {
        return Err(malformed(format!("its signatures are larger than {LARGEST_SIGNATURES} bytes")));
    }
    let dearmored = match block.first() {
        Some(first) if first & 0x80 != 0 => None,
        _ => Some(dearmored(block, BlockType::Signature, LARGEST_SIGNATURES)?),
    };
    let packets = dearmored.as_deref().unwrap_or(block);
    let mut signatures = Vec::new();
    for packet in PacketParser::new(BufReader::new(packets)).take(MOST_SIGNATURES) {
        match packet {
            Ok(Packet::Signature(signature)) => signatures.push(signature),
            Ok(_) => return Err(malformed("something else than signatures stands among its signatures")),
            Err(error) => return Err(malformed(format!("a signature cannot be read: {error}"))),
        }
    }
    Ok(signatures)
}

/// Whose signatures of some bytes count.
fn judge(
    signatures: &[Signature],
    signed: &[u8],
    keyring: &Keyring,
    now: Timestamp,
) -> Result<Vec<Signer>, Fault> {
    let mut signers: Vec<Signer> = Vec::new();
    let mut refused = Vec::new();
    for signature in signatures {
        match judge_one(signature, signed, keyring, now) {
            Ok(signer) if signers.contains(&signer) => {}
            Ok(signer) => signers.push(signer),
            Err(Reason::Refused(why)) => refused.push(why),
            Err(Reason::Changed(by)) => return Err(Fault::Changed(by)),
        }
    }
    if signers.is_empty() {
        if refused.is_empty() {
            refused.push("there is none".to_owned());
        }
        return Err(Fault::NotSigned(refused));
    }
    Ok(signers)
}

/// Why a signature does not count.
enum Reason {
    Refused(String),
    Changed(String),
}

impl From<String> for Reason {
    fn from(why: String) -> Reason {
        Reason::Refused(why)
    }
}

fn judge_one(
    signature: &Signature,
    signed: &[u8],
    keyring: &Keyring,
    now: Timestamp,
) -> Result<Signer, Reason> {
    if !matches!(signature.typ(), Some(SignatureType::Binary | SignatureType::Text)) {
        return Err("one is of a kind that documents do not have".to_owned().into());
    }
    let mut why = None;
    // One certificate may be there several times, as it was then and as it is now.
    for certificate in &keyring.certificates {
        let subkeys = certificate.public_subkeys.iter();
        let subkey = subkeys.clone().find(|subkey| is_by(signature, &subkey.key));
        if subkey.is_none() && !is_by(signature, &certificate.primary_key) {
            continue;
        }
        match judge_by(signature, signed, (certificate, subkey), now) {
            Ok(signer) => return Ok(signer),
            Err(reason) => why = Some(reason),
        }
    }
    Err(why.unwrap_or_else(|| format!("one is by {}, which is not believed here", issuer(signature)).into()))
}

/// Whether a signature by one key counts: a certificate's primary one, or a subkey of it.
fn judge_by(
    signature: &Signature,
    signed: &[u8],
    (certificate, subkey): (&SignedPublicKey, Option<&SignedPublicSubKey>),
    now: Timestamp,
) -> Result<Signer, Reason> {
    let by = issuer(signature);
    let refuse = |why: String| Reason::Refused(format!("the one by {by} {why}"));
    is_sound(signature).map_err(refuse)?;
    let verified = match subkey {
        None => signature.verify(&certificate.primary_key, signed),
        Some(subkey) => signature.verify(&subkey.key, signed),
    };
    // A document that was changed is worse than a key that expired, so this comes first.
    if verified.is_err() {
        return Err(Reason::Changed(by));
    }
    let made = created(signature).ok_or_else(|| refuse("does not say when it was made".to_owned()))?;
    if made > now + FUTURE {
        return Err(refuse(format!("is of {made}, which is still to come: is this machine's clock right?")));
    }
    if signature.signature_expiration_time().is_some_and(|lasts| is_over(made, lasts.as_secs(), now)) {
        return Err(refuse("has expired".to_owned()));
    }
    primary_must_be_good(certificate, made, now).map_err(refuse)?;
    let key = match subkey {
        None => {
            let says = newest_self_signature(certificate, now).map_err(refuse)?;
            if has_flags(says) && !says.key_flags().sign() {
                return Err(refuse("is by a key that is not for signing".to_owned()));
            }
            certificate.fingerprint()
        }
        Some(subkey) => {
            subkey_must_be_good(subkey, certificate, made, now).map_err(refuse)?;
            subkey.key.fingerprint()
        }
    };
    Ok(Signer { certificate: hex(&certificate.fingerprint()), key: hex(&key), signed: made })
}

/// Whether a signature says that this key made it.
fn is_by(signature: &Signature, key: &impl KeyDetails) -> bool {
    let (fingerprints, identities) = (signature.issuer_fingerprint(), signature.issuer_key_id());
    if fingerprints.is_empty() {
        return identities.contains(&&key.legacy_key_id());
    }
    fingerprints.contains(&&key.fingerprint())
}

/// Who made a signature, as it says itself.
fn issuer(signature: &Signature) -> String {
    let fingerprint = signature.issuer_fingerprint().first().map(|one| hex(one));
    let identity = || signature.issuer_key_id().first().map(|one| one.to_string().to_uppercase());
    fingerprint.or_else(identity).unwrap_or_else(|| "a key that it does not name".to_owned())
}

/// Whether a signature was made in a way that can be relied on.
fn is_sound(signature: &Signature) -> Result<(), String> {
    use HashAlgorithm::{Sha3_256, Sha3_512, Sha256, Sha384, Sha512};
    if !matches!(signature.version(), SignatureVersion::V4 | SignatureVersion::V6) {
        return Err("is of a version that is not believed any more".to_owned());
    }
    match signature.hash_alg() {
        Some(Sha256 | Sha384 | Sha512 | Sha3_256 | Sha3_512) => {}
        Some(other) => return Err(format!("uses {other}, which is not believed any more")),
        None => return Err("does not say how it was made".to_owned()),
    }
    let critical = signature.config().into_iter().flat_map(|config| config.hashed_subpackets());
    let is_unknown = |data: &SubpacketData| {
        matches!(
            data,
            SubpacketData::Other(..) | SubpacketData::Experimental(..) | SubpacketData::Notation(_)
        )
    };
    if critical.filter(|one| one.is_critical).any(|one| is_unknown(&one.data)) {
        return Err("has a critical part that this version does not know".to_owned());
    }
    Ok(())
}

/// Whether a key can be relied on, by its kind and length.
fn is_strong(key: &impl KeyDetails) -> Result<(), String> {
    match key.public_params() {
        PublicParams::RSA(parameters) => {
            // The modulus comes first, and its length in bits before it.
            let bytes = parameters.to_bytes().unwrap_or_default();
            let bits = bytes.first_chunk().map_or(0, |length| u16::from_be_bytes(*length));
            if bits < SHORTEST_RSA {
                return Err(format!(
                    "is by an RSA key of {bits} bits: {SHORTEST_RSA} are the least that is believed"
                ));
            }
            Ok(())
        }
        PublicParams::ECDSA(_)
        | PublicParams::EdDSALegacy(_)
        | PublicParams::Ed25519(_)
        | PublicParams::Ed448(_) => Ok(()),
        _ => Err("is by a key of a kind that is not believed any more".to_owned()),
    }
}

fn created(signature: &Signature) -> Option<Timestamp> {
    instant(signature.created()?.as_secs())
}

fn instant(seconds: u32) -> Option<Timestamp> {
    Timestamp::from_second(i64::from(seconds)).ok()
}

/// Whether what lasts so many seconds from then on is over; none means for ever.
fn is_over(from: Timestamp, seconds: u32, at: Timestamp) -> bool {
    seconds > 0 && from + SignedDuration::from_secs(i64::from(seconds)) <= at
}

fn has_flags(signature: &Signature) -> bool {
    let packets = signature.config().into_iter().flat_map(|config| config.hashed_subpackets());
    packets.into_iter().any(|one| matches!(one.data, SubpacketData::KeyFlags(_)))
}

/// Whether a primary key was one to rely on when something was signed, by what its owner says as of now.
fn primary_must_be_good(
    certificate: &SignedPublicKey,
    signed: Timestamp,
    now: Timestamp,
) -> Result<(), String> {
    let key = &certificate.primary_key;
    is_strong(key)?;
    let revocations = certificate.details.revocation_signatures.iter();
    must_not_be_revoked(revocations.filter(|one| one.verify_key(key).is_ok()), signed)?;
    let says = newest_self_signature(certificate, now)?;
    must_be_in_time(key, says.key_expiration_time().map(|lasts| lasts.as_secs()), signed)
}

/// What the owner of a certificate last said of its primary key.
fn newest_self_signature(certificate: &SignedPublicKey, now: Timestamp) -> Result<&Signature, String> {
    let (key, details) = (&certificate.primary_key, &certificate.details);
    let direct = details.direct_signatures.iter().filter(|one| one.verify_key(key).is_ok());
    let of_users = details.users.iter().flat_map(|user| {
        let own = user.signatures.iter().filter(|one| is_by(one, key) && one.is_certification());
        own.filter(move |one| one.verify_certification(key, Tag::UserId, &user.id).is_ok())
    });
    newest(direct.chain(of_users), now)
        .ok_or_else(|| "is by a certificate that has no sound signature of its own".to_owned())
}

/// Whether a subkey was one to sign with when something was signed, by what its owner says as of now.
fn subkey_must_be_good(
    subkey: &SignedPublicSubKey,
    certificate: &SignedPublicKey,
    signed: Timestamp,
    now: Timestamp,
) -> Result<(), String> {
    let primary = &certificate.primary_key;
    is_strong(&subkey.key)?;
    let verified =
        || subkey.signatures.iter().filter(|one| one.verify_subkey_binding(primary, &subkey.key).is_ok());
    let is = |typ| move |one: &&Signature| one.typ() == Some(typ);
    must_not_be_revoked(verified().filter(is(SignatureType::SubkeyRevocation)), signed)?;
    let binding = newest(verified().filter(is(SignatureType::SubkeyBinding)), now)
        .ok_or_else(|| "is by a subkey that nothing sound binds to its certificate".to_owned())?;
    if !binding.key_flags().sign() {
        return Err("is by a subkey that is not for signing".to_owned());
    }
    let back = binding.embedded_signature().filter(|back| {
        is_sound(back).is_ok() && back.verify_primary_key_binding(&subkey.key, primary).is_ok()
    });
    if back.is_none() {
        return Err("is by a subkey that does not say whose it is".to_owned());
    }
    must_be_in_time(&subkey.key, binding.key_expiration_time().map(|lasts| lasts.as_secs()), signed)
}

/// The newest sound signature of some that verified; one that has expired says nothing any more.
fn newest<'a>(signatures: impl Iterator<Item = &'a Signature>, now: Timestamp) -> Option<&'a Signature> {
    let said = signatures.filter(|one| is_sound(one).is_ok()).filter_map(|one| Some((created(one)?, one)));
    let holds = said.filter(|(made, one)| {
        let lasts = one.signature_expiration_time().map_or(0, |lasts| lasts.as_secs());
        *made <= now + FUTURE && !is_over(*made, lasts, now)
    });
    holds.max_by_key(|(made, _)| *made).map(|(_, one)| one)
}

/// Revocations that verified. One that says that the key was given up, or replaced, leaves what was signed before; any
/// other one leaves nothing. How weakly it is made does not matter: nobody but the owner gains by it.
fn must_not_be_revoked<'a>(
    mut revocations: impl Iterator<Item = &'a Signature>,
    signed: Timestamp,
) -> Result<(), String> {
    use RevocationCode::{KeyRetired, KeySuperseded};
    let counts = |one: &Signature| match one.revocation_reason_code() {
        Some(KeyRetired | KeySuperseded) => created(one).is_none_or(|revoked| revoked <= signed),
        _ => true,
    };
    if revocations.any(counts) {
        return Err("is by a key that its owner revoked".to_owned());
    }
    Ok(())
}

/// Whether a key was there already, and not expired, when something was signed.
fn must_be_in_time(key: &impl KeyDetails, lasts: Option<u32>, signed: Timestamp) -> Result<(), String> {
    let made = instant(key.created_at().as_secs()).ok_or("is by a key of an impossible time")?;
    if made > signed {
        return Err("is older than its key".to_owned());
    }
    if is_over(made, lasts.unwrap_or(0), signed) {
        return Err("was made after its key had expired".to_owned());
    }
    Ok(())
}

fn hex(fingerprint: &Fingerprint) -> String {
    format!("{fingerprint:X}")
}

#[cfg(test)]
#[path = "openpgp_tests.rs"]
mod tests;
