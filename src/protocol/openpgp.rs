//! OpenPGP as package archives use it (RFC 9580): is this document signed by one of these keys?
//!
//! The arithmetic is the library's. What a signature is worth is decided here, as strictly as the verifiers of today's
//! distributions do: no SHA-1, no short RSA keys, no subkey that does not say that it signs. Of all that OpenPGP has, this
//! knows what archives use: keys and signatures of version 4 by RSA, ECDSA and Ed25519. Nothing is encrypted.
//!
//! - `armor`, `packet`: the form · `key`, `signature`, `certificate`: what it says · [`sign`]: with keys of our own

mod armor;
mod certificate;
mod key;
mod packet;
pub mod sign;
mod signature;

use jiff::Timestamp;

use self::certificate::{Certificate, FUTURE, Subkey};
use self::key::PublicKey;
use self::packet::{packets, tag};
use self::signature::{Signature, kind};

/// The most bytes that a keyring may have: 16 MiB. Debian's has 56 KiB.
const LARGEST_KEYRING: usize = 16 << 20;
/// The most bytes that the signatures of one document may have: 256 KiB.
const LARGEST_SIGNATURES: usize = 256 << 10;
/// How many signatures are looked at.
const MOST_SIGNATURES: usize = 64;
const BEGIN_MESSAGE: &str = "-----BEGIN PGP SIGNED MESSAGE-----";

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
    certificates: Vec<Certificate>,
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
        // The first bit of a packet is set, and of no letter.
        if bytes.first().is_some_and(|first| first & 0x80 != 0) {
            return Ok(Keyring { certificates: certificate::read(bytes)? });
        }
        let mut certificates = Vec::new();
        for block in armor::blocks(bytes, armor::PUBLIC_KEY) {
            certificates.extend(certificate::read(&armor::read(block, armor::PUBLIC_KEY)?)?);
        }
        if certificates.is_empty() {
            return Err(malformed("there is no OpenPGP certificate in it"));
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
            let wanted = |key: &PublicKey, exactly: bool| {
                fingerprints.iter().any(|wanted| match wanted.strip_suffix('!') {
                    Some(wanted) => wanted.eq_ignore_ascii_case(&hex(&key.fingerprint)),
                    None => !exactly && wanted.eq_ignore_ascii_case(&hex(&key.fingerprint)),
                })
            };
            if certificate.keys().any(|key| wanted(key, false)) {
                let mut chosen = certificate.clone();
                if certificate.keys().any(|key| wanted(key, true)) {
                    chosen.subkeys.retain(|subkey| wanted(&subkey.key, true));
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

    /// Its certificates, each as an armored block.
    pub fn armored(&self) -> String {
        self.certificates.iter().map(|one| armor::write(&one.packets, armor::PUBLIC_KEY)).collect()
    }

    /// The fingerprints of its certificates, in upper-case hex.
    pub fn fingerprints(&self) -> Vec<String> {
        self.certificates.iter().map(|one| hex(&one.primary.fingerprint)).collect()
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
    if next_line().is_none_or(|line| line.trim_ascii_end() != BEGIN_MESSAGE.as_bytes()) {
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
    let (begin_signature, end_signature) = (armor::beginning(armor::SIGNATURE), armor::end(armor::SIGNATURE));
    let mut text = Vec::with_capacity(document.len());
    let start = loop {
        let line = next_line().ok_or_else(cut)?;
        if line.trim_ascii_end() == begin_signature.as_bytes() {
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
        if next_line().ok_or_else(cut)?.trim_ascii_end() == end_signature.as_bytes() {
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

/// The signatures of a block, armored or not.
fn signatures(block: &[u8]) -> Result<Vec<Signature>, Fault> {
    if block.len() > LARGEST_SIGNATURES {
        return Err(malformed(format!("its signatures are larger than {LARGEST_SIGNATURES} bytes")));
    }
    let packets_of_text = match block.first() {
        Some(first) if first & 0x80 != 0 => None,
        _ => Some(armor::read(block, armor::SIGNATURE)?),
    };
    let mut signatures = Vec::new();
    for packet in packets(packets_of_text.as_deref().unwrap_or(block)).take(MOST_SIGNATURES) {
        let packet = packet?;
        if packet.tag != tag::SIGNATURE {
            return Err(malformed("something else than signatures stands among its signatures"));
        }
        // One of a version that is not known here counts as little as one by somebody who is not.
        signatures.extend(Signature::read(packet.body));
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
    if !matches!(signature.kind, kind::BINARY | kind::TEXT) {
        return Err("one is of a kind that documents do not have".to_owned().into());
    }
    let mut why = None;
    // One certificate may be there several times, as it was then and as it is now.
    for certificate in &keyring.certificates {
        let subkey = certificate.subkeys.iter().find(|subkey| signature.is_by(&subkey.key));
        if subkey.is_none() && !signature.is_by(&certificate.primary) {
            continue;
        }
        match judge_by(signature, signed, (certificate, subkey), now) {
            Ok(signer) => return Ok(signer),
            Err(reason) => why = Some(reason),
        }
    }
    Err(why.unwrap_or_else(|| format!("one is by {}, which is not believed here", signature.issuer()).into()))
}

/// Whether a signature by one key counts: a certificate's primary one, or a subkey of it.
fn judge_by(
    signature: &Signature,
    signed: &[u8],
    (certificate, subkey): (&Certificate, Option<&Subkey>),
    now: Timestamp,
) -> Result<Signer, Reason> {
    let by = signature.issuer();
    let refuse = |why: String| Reason::Refused(format!("the one by {by} {why}"));
    let key = subkey.map_or(&certificate.primary, |subkey| &subkey.key);
    signature.is_sound().map_err(refuse)?;
    key.is_strong().map_err(refuse)?;
    // A document that was changed is worse than a key that expired, so this comes first.
    if !signature.is_of_document(signed, key) {
        return Err(Reason::Changed(by));
    }
    let made = signature.created().ok_or_else(|| refuse("does not say when it was made".to_owned()))?;
    if made > now + FUTURE {
        return Err(refuse(format!("is of {made}, which is still to come: is this machine's clock right?")));
    }
    if signature.is_over(made, now) {
        return Err(refuse("has expired".to_owned()));
    }
    certificate.may_sign(subkey, made, now).map_err(refuse)?;
    let certificate = hex(&certificate.primary.fingerprint);
    Ok(Signer { certificate, key: hex(&key.fingerprint), signed: made })
}

fn instant(seconds: u32) -> Option<Timestamp> {
    Timestamp::from_second(i64::from(seconds)).ok()
}

/// Bytes in upper-case hex, as fingerprints are written.
fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02X}")).collect()
}

#[cfg(test)]
#[path = "openpgp_tests.rs"]
mod tests;
