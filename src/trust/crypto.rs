//! The one file that calls cryptography.
//!
//! Two algorithms: `ed25519` (RFC 8032, verified strictly) and `ecdsa-p384-sha384` (FIPS 186-5, signatures in DER).
//! A public key has exactly one encoding here, the SubjectPublicKeyInfo of RFC 5280 as OpenSSL writes it, so that
//! one key cannot stand in two places under two spellings.

use aws_lc_rs::hmac;
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{
    ECDSA_P384_SHA384_ASN1, ECDSA_P384_SHA384_ASN1_SIGNING, EcdsaKeyPair, KeyPair as _, ParsedPublicKey,
};
use ed25519_dalek::pkcs8::DecodePrivateKey as _;
use ed25519_dalek::{Signature, Signer as _, SigningKey};
use pkcs8::pkcs5::pbes2::{self, Kdf};
use pkcs8::{EncryptedPrivateKeyInfoRef, PrivateKeyInfoRef};
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

/// The PEM framing of keys (RFC 7468).
pub(super) use pkcs8::{Document, LineEnding, SecretDocument};

/// SubjectPublicKeyInfo of an Ed25519 key up to the key's 32 bytes (RFC 8410).
const ED25519_PREFIX: [u8; 12] = *b"\x30\x2a\x30\x05\x06\x03\x2b\x65\x70\x03\x21\x00";

/// PKCS#8 version 1 of an Ed25519 key up to the 32 bytes of its seed (RFC 8410).
const ED25519_PKCS8_PREFIX: [u8; 16] = *b"\x30\x2e\x02\x01\x00\x30\x05\x06\x03\x2b\x65\x70\x04\x22\x04\x20";

/// SubjectPublicKeyInfo of a P-384 key up to the 97 bytes of the uncompressed point (RFC 5480).
const P384_PREFIX: [u8; 23] =
    *b"\x30\x76\x30\x10\x06\x07\x2a\x86\x48\xce\x3d\x02\x01\x06\x05\x2b\x81\x04\x00\x22\x03\x62\x00";

/// How often PBKDF2 hashes a passphrase in the key files that are written here.
const PASSPHRASE_ITERATIONS: u32 = 600_000;

/// The most iterations that a key file may ask for: about ten seconds of one core.
const MAX_PASSPHRASE_ITERATIONS: u32 = 10_000_000;

/// A signature algorithm. It belongs to the key; no signature names its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Algorithm {
    /// Ed25519 (RFC 8032), 64-byte signatures.
    #[serde(rename = "ed25519")]
    Ed25519,
    /// ECDSA on P-384 over SHA-384 (FIPS 186-5), signatures in DER: for sites under FIPS.
    #[serde(rename = "ecdsa-p384-sha384")]
    EcdsaP384Sha384,
}

impl Algorithm {
    /// The name that stands in root documents and before the colon of a key id.
    pub fn name(self) -> &'static str {
        match self {
            Algorithm::Ed25519 => "ed25519",
            Algorithm::EcdsaP384Sha384 => "ecdsa-p384-sha384",
        }
    }
}

/// Why a key is not used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum KeyRejected {
    /// The bytes are not a key of a known algorithm in its one encoding.
    #[error("not a public key of Ed25519 or of P-384 with an uncompressed point")]
    Unsupported,
    /// Signatures could be forged for it, or it has a second spelling.
    #[error("the key is weak: {0}")]
    Weak(&'static str),
    /// It is the private half, which never leaves its home.
    #[error("this is a private key, and a public one is expected")]
    PrivateGiven,
    /// The bytes are not a private key of a known algorithm.
    #[error("not a private key (PKCS#8) of Ed25519 or P-384")]
    PrivateUnsupported,
    /// It is encrypted by something else than PBES2 with PBKDF2 and AES.
    #[error("the private key is encrypted in a way that is not read here: {0}")]
    Encryption(String),
    /// An empty passphrase protects nothing.
    #[error("the passphrase is empty")]
    EmptyPassphrase,
    /// The passphrase is wrong, or the file is damaged.
    #[error("the passphrase is wrong, or the file is damaged")]
    Passphrase,
    /// The system has no randomness, or a library failed.
    #[error("the key could not be made: {0}")]
    Failed(&'static str),
}

/// A public key that was checked: on its curve, not weak, in its one encoding.
#[derive(Clone)]
pub(super) enum VerifyingKey {
    Ed25519(ed25519_dalek::VerifyingKey),
    EcdsaP384(ParsedPublicKey),
}

impl VerifyingKey {
    /// Reads and checks a SubjectPublicKeyInfo in DER.
    pub(super) fn from_spki(spki: &[u8]) -> Result<VerifyingKey, KeyRejected> {
        if let Some(point) = spki.strip_prefix(&ED25519_PREFIX) {
            let point = <[u8; 32]>::try_from(point).map_err(|_| KeyRejected::Unsupported)?;
            let key = ed25519_dalek::VerifyingKey::from_bytes(&point)
                .map_err(|_| KeyRejected::Weak("it is no point of the curve"))?;
            if key.is_weak() {
                return Err(KeyRejected::Weak("it has small order, so anybody can sign for it"));
            }
            let decoded = key.to_edwards();
            if decoded.compress().as_bytes() != &point {
                return Err(KeyRejected::Weak("it is not in its canonical encoding"));
            }
            if !decoded.is_torsion_free() {
                return Err(KeyRejected::Weak("it has a small-order part, which no honest key has"));
            }
            return Ok(VerifyingKey::Ed25519(key));
        }
        if let Some(point) = spki.strip_prefix(&P384_PREFIX) {
            if point.len() != 97 || point.first() != Some(&4) {
                return Err(KeyRejected::Unsupported);
            }
            let key = ParsedPublicKey::new(&ECDSA_P384_SHA384_ASN1, point)
                .map_err(|_| KeyRejected::Weak("it is no point of the curve"))?;
            return Ok(VerifyingKey::EcdsaP384(key));
        }
        Err(KeyRejected::Unsupported)
    }

    /// Which algorithm its signatures follow.
    pub(super) fn algorithm(&self) -> Algorithm {
        match self {
            VerifyingKey::Ed25519(_) => Algorithm::Ed25519,
            VerifyingKey::EcdsaP384(_) => Algorithm::EcdsaP384Sha384,
        }
    }

    /// Whether `signature` is this key's over `message`. For Ed25519 strictly: canonical S, no small-order R.
    pub(super) fn verifies(&self, message: &[u8], signature: &[u8]) -> bool {
        match self {
            VerifyingKey::Ed25519(key) => Signature::from_slice(signature)
                .is_ok_and(|signature| key.verify_strict(message, &signature).is_ok()),
            VerifyingKey::EcdsaP384(key) => key.verify_sig(message, signature).is_ok(),
        }
    }
}

/// A private key; its bytes are wiped when it is dropped.
pub(super) enum SecretKey {
    Ed25519(SigningKey),
    EcdsaP384(EcdsaKeyPair),
}

impl SecretKey {
    /// A new key from the system's randomness.
    pub(super) fn generate(algorithm: Algorithm) -> Result<SecretKey, KeyRejected> {
        match algorithm {
            Algorithm::Ed25519 => {
                let mut seed = Zeroizing::new([0; 32]);
                random(seed.as_mut_slice())?;
                Ok(SecretKey::Ed25519(SigningKey::from_bytes(&seed)))
            }
            Algorithm::EcdsaP384Sha384 => EcdsaKeyPair::generate(&ECDSA_P384_SHA384_ASN1_SIGNING)
                .map(SecretKey::EcdsaP384)
                .map_err(|_| KeyRejected::Failed("the library makes no P-384 key")),
        }
    }

    /// Reads an unencrypted PKCS#8 document, version 1 or 2.
    pub(super) fn from_pkcs8(der: &[u8]) -> Result<SecretKey, KeyRejected> {
        if let Ok(key) = SigningKey::from_pkcs8_der(der) {
            return Ok(SecretKey::Ed25519(key));
        }
        EcdsaKeyPair::from_pkcs8(&ECDSA_P384_SHA384_ASN1_SIGNING, der)
            .map(SecretKey::EcdsaP384)
            .map_err(|_| KeyRejected::PrivateUnsupported)
    }

    /// PKCS#8 **version 1** in DER: OpenSSL 3.0 cannot read version 2.
    pub(super) fn to_pkcs8(&self) -> Result<SecretDocument, KeyRejected> {
        const FAILED: KeyRejected = KeyRejected::Failed("it cannot be written as PKCS#8");
        match self {
            SecretKey::Ed25519(key) => {
                let der = Zeroizing::new([&ED25519_PKCS8_PREFIX[..], key.as_bytes()].concat());
                SecretDocument::try_from(der.as_slice()).map_err(|_| FAILED)
            }
            SecretKey::EcdsaP384(key) => {
                let document = key.to_pkcs8v1().map_err(|_| FAILED)?;
                SecretDocument::try_from(document.as_ref()).map_err(|_| FAILED)
            }
        }
    }

    /// SubjectPublicKeyInfo of its public half, in DER.
    pub(super) fn public_spki(&self) -> Vec<u8> {
        match self {
            SecretKey::Ed25519(key) => [&ED25519_PREFIX[..], key.verifying_key().as_bytes()].concat(),
            SecretKey::EcdsaP384(key) => [&P384_PREFIX[..], key.public_key().as_ref()].concat(),
        }
    }

    /// Signs `message`.
    pub(super) fn sign(&self, message: &[u8]) -> Result<Vec<u8>, KeyRejected> {
        match self {
            SecretKey::Ed25519(key) => Ok(key.sign(message).to_bytes().to_vec()),
            SecretKey::EcdsaP384(key) => key
                .sign(&SystemRandom::new(), message)
                .map(|signature| signature.as_ref().to_vec())
                .map_err(|_| KeyRejected::Failed("the library did not sign")),
        }
    }
}

/// Encrypts a PKCS#8 document: PBES2 with PBKDF2-HMAC-SHA-256 and AES-256-CBC (RFC 8018).
pub(super) fn encrypt_pkcs8(der: &[u8], passphrase: &[u8]) -> Result<SecretDocument, KeyRejected> {
    if passphrase.is_empty() {
        return Err(KeyRejected::EmptyPassphrase);
    }
    let (mut salt, mut iv) = ([0; 16], [0; 16]);
    random(&mut salt)?;
    random(&mut iv)?;
    let failed = |_| KeyRejected::Failed("it cannot be encrypted");
    let parameters = pbes2::Parameters::generate_pbkdf2_sha256_aes256cbc(PASSPHRASE_ITERATIONS, &salt, iv)
        .map_err(|_| KeyRejected::Failed("it cannot be encrypted"))?;
    let info = PrivateKeyInfoRef::try_from(der).map_err(|_| KeyRejected::PrivateUnsupported)?;
    info.encrypt_with_params(parameters, passphrase).map_err(failed)
}

/// Decrypts a PKCS#8 document that [`encrypt_pkcs8`] or OpenSSL encrypted.
pub(super) fn decrypt_pkcs8(der: &[u8], passphrase: &[u8]) -> Result<SecretDocument, KeyRejected> {
    let info = EncryptedPrivateKeyInfoRef::try_from(der)
        .map_err(|e| KeyRejected::Encryption(format!("it is not PBES2 of a known kind ({e})")))?;
    match info.encryption_algorithm.pbes2().map(|parameters| &parameters.kdf) {
        Some(Kdf::Pbkdf2(kdf)) if kdf.iteration_count <= MAX_PASSPHRASE_ITERATIONS => {}
        Some(Kdf::Pbkdf2(kdf)) => {
            return Err(KeyRejected::Encryption(format!("{} iterations are too many", kdf.iteration_count)));
        }
        _ => return Err(KeyRejected::Encryption("it does not use PBKDF2".to_owned())),
    }
    info.decrypt(passphrase).map_err(|_| KeyRejected::Passphrase)
}

/// Fills `bytes` from the system's randomness.
pub(super) fn random(bytes: &mut [u8]) -> Result<(), KeyRejected> {
    getrandom::fill(bytes).map_err(|_| KeyRejected::Failed("the system gives no randomness"))
}

/// What bcrypt costs here: 2^10 rounds, some 50 ms of a core.
const PASSWORD_COST: u32 = 10;

/// The highest cost of a hash that is verified: about a second of a core.
const MAX_PASSWORD_COST: u32 = 14;

/// The longest password in bytes: bcrypt looks at no more.
pub(super) const LONGEST_PASSWORD: usize = 72;

/// The hash of a password by bcrypt, as it stands in files of htpasswd's form.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct PasswordHash(String);

impl PasswordHash {
    /// Hashes a password.
    ///
    /// # Errors
    /// If it is longer than [`LONGEST_PASSWORD`], or the system has no randomness.
    pub(super) fn new(password: &str) -> Result<PasswordHash, &'static str> {
        let mut salt = [0; 16];
        random(&mut salt).map_err(|_| "the system gives no randomness")?;
        bcrypt::hash_with_salt(too_long(password)?, PASSWORD_COST, salt)
            .map(|parts| PasswordHash(parts.format_for_version(bcrypt::Version::TwoY)))
            .map_err(|_| "the library does not hash it")
    }

    /// Reads one. The error says what is wrong with it.
    pub(super) fn read(text: &str) -> Result<PasswordHash, &'static str> {
        if !["$2y$", "$2a$", "$2b$"].iter().any(|prefix| text.starts_with(prefix)) {
            return Err("the password is not hashed by bcrypt");
        }
        let parts: bcrypt::HashParts = text.parse().map_err(|_| "the hash is not whole")?;
        match parts.get_cost() {
            4..=MAX_PASSWORD_COST => Ok(PasswordHash(text.to_owned())),
            _ => Err("the cost of the hash is not between 4 and 14"),
        }
    }

    /// Whether it is this password's. Takes as long for another password.
    pub(super) fn is_of(&self, password: &str) -> bool {
        too_long(password).is_ok_and(|password| bcrypt::verify(password, &self.0).unwrap_or(false))
    }

    /// Its text.
    pub(super) fn as_str(&self) -> &str {
        &self.0
    }
}

/// The password, unless bcrypt would look at its beginning alone.
fn too_long(password: &str) -> Result<&str, &'static str> {
    if password.len() <= LONGEST_PASSWORD { Ok(password) } else { Err("it is longer than 72 bytes") }
}

/// A secret of one running process. What it marked is known to be of its own making; nobody else can make such a mark,
/// nor can any be made again after the process.
#[derive(Debug)]
pub struct SessionKey(hmac::Key);

impl SessionKey {
    /// How many bytes a mark has.
    pub const MARK: usize = 32;

    /// A new one from the system's randomness.
    ///
    /// # Errors
    /// If the system has none.
    pub fn generate() -> Result<SessionKey, KeyRejected> {
        hmac::Key::generate(hmac::HMAC_SHA256, &SystemRandom::new())
            .map(SessionKey)
            .map_err(|_| KeyRejected::Failed("the system gives no randomness"))
    }

    /// The mark of these parts, in this order (HMAC with SHA-256).
    pub fn mark(&self, parts: &[&[u8]]) -> [u8; SessionKey::MARK] {
        let tag = hmac::sign(&self.0, &joined(parts));
        std::array::from_fn(|index| tag.as_ref().get(index).copied().unwrap_or(0))
    }

    /// Whether it is their mark; in constant time.
    pub fn is_mark(&self, parts: &[&[u8]], mark: &[u8]) -> bool {
        hmac::verify(&self.0, &joined(parts), mark).is_ok()
    }
}

/// Parts with their lengths before them: no two lists are joined to the same bytes.
fn joined(parts: &[&[u8]]) -> Zeroizing<Vec<u8>> {
    let length = parts.iter().map(|part| size_of::<u64>() + part.len()).sum();
    let mut all = Zeroizing::new(Vec::with_capacity(length));
    for part in parts {
        all.extend_from_slice(&(part.len() as u64).to_be_bytes());
        all.extend_from_slice(part);
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spki(point: &[u8; 32]) -> Vec<u8> {
        [&ED25519_PREFIX[..], point].concat()
    }

    fn point(hex: &str) -> [u8; 32] {
        let digit = |at: usize| u8::from_str_radix(&hex[at..at + 2], 16).unwrap();
        std::array::from_fn(|index| digit(index * 2))
    }

    /// Every encoding of a point of small order, canonical or not.
    const SMALL_ORDER: [&str; 14] = [
        "0100000000000000000000000000000000000000000000000000000000000000",
        "0100000000000000000000000000000000000000000000000000000000000080",
        "0000000000000000000000000000000000000000000000000000000000000000",
        "0000000000000000000000000000000000000000000000000000000000000080",
        "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
        "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff",
        "edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
        "edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff",
        "eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
        "eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff",
        "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05",
        "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc85",
        "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a",
        "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac03fa",
    ];

    #[test]
    fn keys_that_anybody_can_sign_for_are_weak() {
        for hex in SMALL_ORDER {
            assert!(
                matches!(VerifyingKey::from_spki(&spki(&point(hex))), Err(KeyRejected::Weak(_))),
                "{hex}"
            );
        }
        // What makes them weak: these 64 bytes are a signature of every message, to a verifier that is not strict.
        let identity = point(SMALL_ORDER[0]);
        let forged = Signature::from_bytes(&std::array::from_fn(|i| identity.get(i).copied().unwrap_or(0)));
        let loose = ed25519_dalek::VerifyingKey::from_bytes(&identity).unwrap();
        assert!(ed25519_dalek::Verifier::verify(&loose, b"anything", &forged).is_ok());
    }

    #[test]
    fn keys_with_a_second_spelling_or_a_small_part_are_weak() {
        // p + y for the y below 19, whose canonical encoding is y itself: those that are large points of the curve.
        let mut large = 0;
        for low in 0xed..=0xff {
            let mut encoded = [0xff; 32];
            (encoded[0], encoded[31]) = (low, 0x7f);
            match VerifyingKey::from_spki(&spki(&encoded)) {
                Err(KeyRejected::Weak("it is not in its canonical encoding")) => large += 1,
                Err(KeyRejected::Weak(_)) => {}
                other => panic!("{low:x}: {:?}", other.map(|key| key.algorithm())),
            }
        }
        assert!(large > 0);

        let SecretKey::Ed25519(good) = SecretKey::generate(Algorithm::Ed25519).unwrap() else { panic!() };
        let small = ed25519_dalek::VerifyingKey::from_bytes(&point(SMALL_ORDER[10])).unwrap();
        let mixed = (good.verifying_key().to_edwards() + small.to_edwards()).compress();
        assert!(matches!(VerifyingKey::from_spki(&spki(mixed.as_bytes())), Err(KeyRejected::Weak(_))));
    }

    #[test]
    fn a_signature_has_one_spelling() {
        // The order of the group, little endian: S and S + L would be one signature to a loose verifier.
        let order = point("edd3f55c1a631258d69cf7a2def9de1400000000000000000000000000000010");
        let secret = SecretKey::generate(Algorithm::Ed25519).unwrap();
        let key = VerifyingKey::from_spki(&secret.public_spki()).unwrap();
        let mut signature = secret.sign(b"message").unwrap();
        assert!(key.verifies(b"message", &signature));
        assert!(!key.verifies(b"massage", &signature));
        let mut carry = 0;
        for (byte, add) in signature[32..].iter_mut().zip(order) {
            let sum = u16::from(*byte) + u16::from(add) + carry;
            (*byte, carry) = (sum as u8, sum >> 8);
        }
        assert!(!key.verifies(b"message", &signature));
        for length in [0, 63, 65] {
            signature.resize(length, 0);
            assert!(!key.verifies(b"message", &signature));
        }
    }

    #[test]
    fn public_keys_are_read_strictly() {
        for algorithm in [Algorithm::Ed25519, Algorithm::EcdsaP384Sha384] {
            let spki = SecretKey::generate(algorithm).unwrap().public_spki();
            assert_eq!(VerifyingKey::from_spki(&spki).unwrap().algorithm(), algorithm);
            for end in 0..spki.len() {
                assert!(VerifyingKey::from_spki(&spki[..end]).is_err(), "{end} bytes");
            }
            assert!(VerifyingKey::from_spki(&[&spki[..], b"\0"].concat()).is_err());
        }
        // A point that is not on P-384.
        let off_curve = [&P384_PREFIX[..], &[4], &[1; 96]].concat();
        assert!(VerifyingKey::from_spki(&off_curve).is_err());
    }

    #[test]
    fn a_key_of_one_algorithm_verifies_nothing_of_the_other() {
        let [ed, p384] =
            [Algorithm::Ed25519, Algorithm::EcdsaP384Sha384].map(|a| SecretKey::generate(a).unwrap());
        let key = |secret: &SecretKey| VerifyingKey::from_spki(&secret.public_spki()).unwrap();
        assert!(key(&p384).verifies(b"m", &p384.sign(b"m").unwrap()));
        assert!(!key(&p384).verifies(b"m", &ed.sign(b"m").unwrap()));
        assert!(!key(&ed).verifies(b"m", &p384.sign(b"m").unwrap()));
    }

    #[test]
    fn a_password_is_known_by_its_hash() {
        let hash = PasswordHash::new("correct horse").unwrap();
        assert!(hash.as_str().starts_with("$2y$10$") && hash.as_str().len() == 60);
        assert!(hash.is_of("correct horse") && !hash.is_of("correct house") && !hash.is_of(""));
        assert_ne!(PasswordHash::new("correct horse").unwrap().as_str(), hash.as_str(), "salted");
        // The longest differ in their last byte still, and what is longer is nobody's.
        let longest = "x".repeat(LONGEST_PASSWORD);
        let hash = PasswordHash::new(&longest).unwrap();
        assert!(hash.is_of(&longest) && !hash.is_of(&format!("{}y", "x".repeat(LONGEST_PASSWORD - 1))));
        let longer = format!("{longest}x");
        assert!(PasswordHash::new(&longer).is_err() && !hash.is_of(&longer));
    }

    #[test]
    fn hashes_of_others_are_read() {
        // Made by `htpasswd -nbB -C 5 ada horse` (Apache 2.4), and the same under the other two names of the algorithm.
        let theirs = "$2y$05$5GKvZIcj7evyq1se80BNbeilxBU8wy.Q0uK1dNs1cf3NaSeWtbGHK";
        for prefix in ["$2y$", "$2a$", "$2b$"] {
            let hash = PasswordHash::read(&theirs.replace("$2y$", prefix)).unwrap();
            assert!(hash.is_of("horse") && !hash.is_of("house"), "{prefix}");
        }
        let costly = theirs.replace("$05$", "$15$");
        for other in
            ["", "horse", "{SHA}x", "$apr1$x$y", "$2x$05$", &theirs[..59], &format!("{theirs}x"), &costly]
        {
            assert!(PasswordHash::read(other).is_err(), "{other}");
        }
    }

    #[test]
    fn a_mark_is_of_its_parts_and_its_key_alone() {
        let (key, other) = (SessionKey::generate().unwrap(), SessionKey::generate().unwrap());
        let mark = key.mark(&[b"ab", b"c"]);
        assert!(key.is_mark(&[b"ab", b"c"], &mark));
        assert!(!key.is_mark(&[b"a", b"bc"], &mark) && !key.is_mark(&[b"abc"], &mark));
        assert!(!other.is_mark(&[b"ab", b"c"], &mark) && !key.is_mark(&[b"ab", b"c"], &mark[..31]));
    }

    #[test]
    fn a_key_file_cannot_keep_the_machine_busy() {
        let pkcs8 = SecretKey::generate(Algorithm::Ed25519).unwrap().to_pkcs8().unwrap();
        let info = PrivateKeyInfoRef::try_from(pkcs8.as_bytes()).unwrap();
        let endless =
            pbes2::Parameters::generate_pbkdf2_sha256_aes256cbc(99_000_000, &[1; 16], [1; 16]).unwrap();
        // Made without running it: the parameters stand before the ciphertext.
        let cheap = pbes2::Parameters::generate_pbkdf2_sha256_aes256cbc(65_536, &[1; 16], [1; 16]).unwrap();
        let cheap = info.encrypt_with_params(cheap, b"x").unwrap();
        assert!(decrypt_pkcs8(cheap.as_bytes(), b"x").is_ok());
        let info = EncryptedPrivateKeyInfoRef::try_from(cheap.as_bytes()).unwrap();
        let endless = pkcs8::EncryptedPrivateKeyInfo {
            encryption_algorithm: endless.into(),
            encrypted_data: info.encrypted_data,
        };
        let endless = SecretDocument::encode_msg(&endless).unwrap();
        assert!(matches!(decrypt_pkcs8(endless.as_bytes(), b"x"), Err(KeyRejected::Encryption(_))));
    }
}
