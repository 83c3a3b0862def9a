//! Public keys (RFC 9580, section 5.5.2): which one it is, and whether it made a signature.

use aws_lc_rs::digest::{self, Digest, SHA1_FOR_LEGACY_USE_ONLY};
use aws_lc_rs::encoding::{AsDer as _, PublicKeyX509Der};
use aws_lc_rs::signature::{self, EcdsaVerificationAlgorithm, RsaPublicKeyComponents, UnparsedPublicKey};
use jiff::Timestamp;

use super::instant;
use super::packet::{self, Bytes};

/// RSA keys shorter than this are refused, in bits.
const SHORTEST_RSA: usize = 2048;

/// EdDSA as it was before RFC 9580: what GnuPG makes.
pub(super) const EDDSA: u8 = 22;
const RSA: u8 = 1;
const RSA_TO_SIGN: u8 = 3;
const ECDSA: u8 = 19;
const ED25519: u8 = 27;

/// The curves by their object identifiers, as they stand in a key (RFC 9580, section 9.2).
const P256: &[u8] = &[0x2a, 0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07];
const P384: &[u8] = &[0x2b, 0x81, 0x04, 0x00, 0x22];
const P521: &[u8] = &[0x2b, 0x81, 0x04, 0x00, 0x23];
const CURVE_25519: &[u8] = &[0x2b, 0x06, 0x01, 0x04, 0x01, 0xda, 0x47, 0x0f, 0x01];

/// What a point of EdDSA begins with.
const NATIVE_POINT: u8 = 0x40;

/// By what something is hashed before it is signed (RFC 9580, section 9.5).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Hash {
    Sha1,
    Sha256,
    Sha384,
    Sha512,
}

impl Hash {
    /// By its number; else the name of one that nothing is verified with.
    pub(super) fn read(number: u8) -> Result<Hash, &'static str> {
        match number {
            2 => Ok(Hash::Sha1),
            8 => Ok(Hash::Sha256),
            9 => Ok(Hash::Sha384),
            10 => Ok(Hash::Sha512),
            1 => Err("MD5"),
            3 => Err("RIPEMD-160"),
            11 => Err("SHA-224"),
            12 => Err("SHA3-256"),
            14 => Err("SHA3-512"),
            _ => Err("an unknown hash"),
        }
    }

    pub(super) fn algorithm(self) -> &'static digest::Algorithm {
        match self {
            Hash::Sha1 => &SHA1_FOR_LEGACY_USE_ONLY,
            Hash::Sha256 => &digest::SHA256,
            Hash::Sha384 => &digest::SHA384,
            Hash::Sha512 => &digest::SHA512,
        }
    }
}

/// A key of a certificate: its primary one, or a subkey.
#[derive(Debug, Clone)]
pub(super) struct PublicKey {
    /// What is hashed wherever the key is signed (RFC 9580, section 5.2.4): three bytes, and the body of its packet.
    hashed: Vec<u8>,
    pub(super) created: Timestamp,
    pub(super) fingerprint: [u8; 20],
    pub(super) algorithm: u8,
    material: Material,
}

#[derive(Debug, Clone)]
enum Material {
    Rsa {
        modulus: Vec<u8>,
        exponent: Vec<u8>,
    },
    /// With its point as SEC 1 writes it.
    Ecdsa(Curve, Vec<u8>),
    Ed25519([u8; 32]),
    /// Of a kind that is not believed any more, or is not known here.
    Other,
}

#[derive(Debug, Clone, Copy)]
enum Curve {
    P256,
    P384,
    P521,
}

impl PublicKey {
    /// Reads the body of a packet; nothing is given for what is cut off, or of another version than 4.
    pub(super) fn read(body: &[u8]) -> Option<PublicKey> {
        let mut rest = Bytes(body);
        if rest.byte()? != 4 {
            return None;
        }
        let created = instant(rest.long()?)?;
        let algorithm = rest.byte()?;
        let material = Material::read(algorithm, &mut rest)?;
        let length = u16::try_from(body.len()).ok()?;
        let hashed = [&[0x99][..], &length.to_be_bytes(), body].concat();
        let mut fingerprint = [0; 20];
        fingerprint.copy_from_slice(digest::digest(&SHA1_FOR_LEGACY_USE_ONLY, &hashed).as_ref());
        Some(PublicKey { hashed, created, fingerprint, algorithm, material })
    }

    /// The key at the beginning of the packet of a private one, and what comes after it. Only of Ed25519, whose length is
    /// known.
    pub(super) fn read_ed25519(body: &[u8]) -> Option<(PublicKey, &[u8])> {
        let (public, private) = body.split_at_checked(6 + 1 + CURVE_25519.len() + 2 + 33)?;
        let key = PublicKey::read(public)?;
        key.as_ed25519().is_some().then_some((key, private))
    }

    /// One of Ed25519, in the form that verifiers know since GnuPG 2.1. `created` is in seconds since 1970.
    pub(super) fn ed25519(key: &[u8], created: u32) -> Option<PublicKey> {
        let mut body = vec![4];
        body.extend_from_slice(&created.to_be_bytes());
        body.extend([EDDSA, CURVE_25519.len() as u8]);
        body.extend_from_slice(CURVE_25519);
        packet::write_number(&[&[NATIVE_POINT], key].concat(), &mut body);
        PublicKey::read(&body)
    }

    /// The body of its packet.
    pub(super) fn body(&self) -> &[u8] {
        &self.hashed[3..]
    }

    /// What is hashed of it wherever it is signed.
    pub(super) fn hashed(&self) -> &[u8] {
        &self.hashed
    }

    /// The shorter name that older signatures have of it.
    pub(super) fn identity(&self) -> &[u8] {
        &self.fingerprint[12..]
    }

    /// The key alone, where it is of Ed25519.
    pub(super) fn as_ed25519(&self) -> Option<&[u8; 32]> {
        match &self.material {
            Material::Ed25519(key) => Some(key),
            _ => None,
        }
    }

    /// Whether it can be relied on, by its kind and length.
    ///
    /// # Errors
    /// Why not.
    pub(super) fn is_strong(&self) -> Result<(), String> {
        match &self.material {
            Material::Rsa { modulus, .. } => {
                let zeros = modulus.first().map_or(0, |first| first.leading_zeros() as usize);
                let bits = modulus.len() * 8 - zeros;
                if bits < SHORTEST_RSA {
                    return Err(format!(
                        "is by an RSA key of {bits} bits: {SHORTEST_RSA} are the least that is believed"
                    ));
                }
                Ok(())
            }
            Material::Ecdsa(..) | Material::Ed25519(_) => Ok(()),
            Material::Other => Err("is by a key of a kind that is not believed any more".to_owned()),
        }
    }

    /// Whether it signed what hashes to this, with these numbers.
    pub(super) fn verify(&self, hash: Hash, digest: &Digest, numbers: &[u8]) -> bool {
        self.checked(hash, digest, Bytes(numbers)).is_some()
    }

    fn checked(&self, hash: Hash, digest: &Digest, mut numbers: Bytes<'_>) -> Option<()> {
        match &self.material {
            Material::Rsa { modulus, exponent } => {
                // A power of it may have fewer bytes than the modulus, and then stands without its zeros.
                let power = numbers.number()?;
                let mut padded = vec![0; modulus.len().checked_sub(power.len())?];
                padded.extend_from_slice(power);
                let components = RsaPublicKeyComponents { n: modulus, e: exponent };
                let key: PublicKeyX509Der<'_> = components.as_der().ok()?;
                let algorithm = match hash {
                    Hash::Sha1 => &signature::RSA_PKCS1_2048_8192_SHA1_FOR_LEGACY_USE_ONLY,
                    Hash::Sha256 => &signature::RSA_PKCS1_2048_8192_SHA256,
                    Hash::Sha384 => &signature::RSA_PKCS1_2048_8192_SHA384,
                    Hash::Sha512 => &signature::RSA_PKCS1_2048_8192_SHA512,
                };
                UnparsedPublicKey::new(algorithm, key.as_ref()).verify_digest(digest, &padded).ok()
            }
            Material::Ecdsa(curve, point) => {
                let (r, s) = (numbers.number()?, numbers.number()?);
                let key = UnparsedPublicKey::new(curve.algorithm(hash)?, point);
                key.verify_digest(digest, &as_der(r, s)?).ok()
            }
            Material::Ed25519(key) => {
                let mut pair = [0; 64];
                if self.algorithm == ED25519 {
                    pair.copy_from_slice(numbers.take(64)?);
                } else {
                    for half in pair.chunks_exact_mut(32) {
                        let number = numbers.number()?;
                        half[32_usize.checked_sub(number.len())?..].copy_from_slice(number);
                    }
                }
                UnparsedPublicKey::new(&signature::ED25519, key).verify(digest.as_ref(), &pair).ok()
            }
            Material::Other => None,
        }
    }
}

impl Material {
    fn read(algorithm: u8, from: &mut Bytes<'_>) -> Option<Material> {
        match algorithm {
            RSA | RSA_TO_SIGN => {
                let (modulus, exponent) = (from.number()?.to_vec(), from.number()?.to_vec());
                Some(Material::Rsa { modulus, exponent })
            }
            ED25519 => from.take(32)?.try_into().ok().map(Material::Ed25519),
            ECDSA | EDDSA => {
                let length = usize::from(from.byte()?);
                let (curve, point) = (from.take(length)?, from.number()?);
                Some(match (algorithm, curve) {
                    (ECDSA, P256) => Material::Ecdsa(Curve::P256, point.to_vec()),
                    (ECDSA, P384) => Material::Ecdsa(Curve::P384, point.to_vec()),
                    (ECDSA, P521) => Material::Ecdsa(Curve::P521, point.to_vec()),
                    (EDDSA, CURVE_25519) => {
                        Material::Ed25519(point.strip_prefix(&[NATIVE_POINT])?.try_into().ok()?)
                    }
                    _ => Material::Other,
                })
            }
            _ => Some(Material::Other),
        }
    }
}

impl Curve {
    fn algorithm(self, hash: Hash) -> Option<&'static EcdsaVerificationAlgorithm> {
        Some(match (self, hash) {
            (_, Hash::Sha1) => return None,
            (Curve::P256, Hash::Sha256) => &signature::ECDSA_P256_SHA256_ASN1,
            (Curve::P256, Hash::Sha384) => &signature::ECDSA_P256_SHA384_ASN1,
            (Curve::P256, Hash::Sha512) => &signature::ECDSA_P256_SHA512_ASN1,
            (Curve::P384, Hash::Sha256) => &signature::ECDSA_P384_SHA256_ASN1,
            (Curve::P384, Hash::Sha384) => &signature::ECDSA_P384_SHA384_ASN1,
            (Curve::P384, Hash::Sha512) => &signature::ECDSA_P384_SHA512_ASN1,
            (Curve::P521, Hash::Sha256) => &signature::ECDSA_P521_SHA256_ASN1,
            (Curve::P521, Hash::Sha384) => &signature::ECDSA_P521_SHA384_ASN1,
            (Curve::P521, Hash::Sha512) => &signature::ECDSA_P521_SHA512_ASN1,
        })
    }
}

/// The two numbers of ECDSA as the arithmetic wants them (RFC 3279, section 2.2.3). Those of the largest curve have 66 bytes.
fn as_der(r: &[u8], s: &[u8]) -> Option<Vec<u8>> {
    let mut numbers = Vec::with_capacity(144);
    for number in [r, s] {
        // It counts as negative where its first bit is set.
        let is_high = number.first().is_none_or(|first| first & 0x80 != 0);
        numbers.push(0x02);
        numbers.push(u8::try_from(number.len() + usize::from(is_high)).ok().filter(|length| *length < 0x80)?);
        numbers.extend(is_high.then_some(0));
        numbers.extend_from_slice(number);
    }
    let length = u8::try_from(numbers.len()).ok()?;
    let head: &[u8] = if length < 0x80 { &[0x30, length] } else { &[0x30, 0x81, length] };
    Some([head, &numbers].concat())
}
