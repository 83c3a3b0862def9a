//! Digests: the names of blobs, and the checksums that upstreams publish.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// The key of a blob: the sha256 of its bytes. Written `sha256:<64 lower-case hex digits>`.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct BlobKey([u8; 32]);

/// A checksum under one of the algorithms that upstreams use. Written `algorithm:hex`.
///
/// Only `sha256` and `sha512` are collision resistant; the older ones are carried because an upstream
/// published nothing better, and [`Digest::is_strong`] tells them apart.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Digest {
    algorithm: Algorithm,
    bytes: Vec<u8>,
}

/// The digest algorithms that the format knows.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Algorithm {
    /// MD5, 16 bytes; broken, carried for old indices only.
    Md5,
    /// SHA-1, 20 bytes; broken, carried for old registries only.
    Sha1,
    /// SHA-256, 32 bytes; the algorithm of every blob's key.
    Sha256,
    /// SHA-384, 48 bytes.
    Sha384,
    /// SHA-512, 64 bytes.
    Sha512,
}

/// A text that is not a digest.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{text:?} is not a digest: {reason}")]
pub struct DigestError {
    text: String,
    reason: &'static str,
}

impl Algorithm {
    /// The name as written before the colon.
    pub fn name(self) -> &'static str {
        match self {
            Algorithm::Md5 => "md5",
            Algorithm::Sha1 => "sha1",
            Algorithm::Sha256 => "sha256",
            Algorithm::Sha384 => "sha384",
            Algorithm::Sha512 => "sha512",
        }
    }

    /// The length of a digest in bytes.
    pub fn length(self) -> usize {
        match self {
            Algorithm::Md5 => 16,
            Algorithm::Sha1 => 20,
            Algorithm::Sha256 => 32,
            Algorithm::Sha384 => 48,
            Algorithm::Sha512 => 64,
        }
    }

    /// The algorithm of that name, if the format knows it.
    pub fn from_name(name: &str) -> Option<Algorithm> {
        [Algorithm::Md5, Algorithm::Sha1, Algorithm::Sha256, Algorithm::Sha384, Algorithm::Sha512]
            .into_iter()
            .find(|algorithm| algorithm.name() == name)
    }
}

impl BlobKey {
    /// The key of a blob whose sha256 is `bytes`.
    pub const fn new(bytes: [u8; 32]) -> BlobKey {
        BlobKey(bytes)
    }

    /// The key of these bytes, hashed here: for small documents that are in memory anyway.
    pub fn of(bytes: &[u8]) -> BlobKey {
        use sha2::Digest as _;
        BlobKey(sha2::Sha256::digest(bytes).into())
    }

    /// The raw sha256.
    pub fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// The 64 lower-case hex digits, without the algorithm.
    pub fn hex(&self) -> String {
        encode_hex(&self.0)
    }

    /// Reads 64 lower-case hex digits.
    pub fn from_hex(text: &str) -> Result<BlobKey, DigestError> {
        let bytes = decode_hex(text).map_err(|reason| error(text, reason))?;
        let bytes = <[u8; 32]>::try_from(bytes).map_err(|_| error(text, "sha256 has 64 hex digits"))?;
        Ok(BlobKey(bytes))
    }
}

/// Finds the key of bytes that come piece by piece.
#[derive(Clone, Default)]
pub struct BlobHasher(sha2::Sha256);

impl BlobHasher {
    /// Takes the next bytes in.
    pub fn update(&mut self, bytes: &[u8]) {
        sha2::Digest::update(&mut self.0, bytes);
    }

    /// The key of all bytes.
    pub fn finish(self) -> BlobKey {
        BlobKey(sha2::Digest::finalize(self.0).into())
    }
}

impl fmt::Debug for BlobHasher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("BlobHasher")
    }
}

impl Digest {
    /// A digest of `algorithm` with these raw bytes; `None` if the length is not the algorithm's.
    pub fn new(algorithm: Algorithm, bytes: &[u8]) -> Option<Digest> {
        (bytes.len() == algorithm.length()).then(|| Digest { algorithm, bytes: bytes.to_vec() })
    }

    /// Which algorithm made it.
    pub fn algorithm(&self) -> Algorithm {
        self.algorithm
    }

    /// The raw digest.
    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// The lower-case hex digits, without the algorithm.
    pub fn hex(&self) -> String {
        encode_hex(&self.bytes)
    }

    /// Whether nobody is known to be able to make two files of this digest.
    pub fn is_strong(&self) -> bool {
        !matches!(self.algorithm, Algorithm::Md5 | Algorithm::Sha1)
    }

    /// The blob key, if this is a sha256.
    pub fn blob_key(&self) -> Option<BlobKey> {
        match self.algorithm {
            Algorithm::Sha256 => <[u8; 32]>::try_from(self.bytes.as_slice()).ok().map(BlobKey),
            _ => None,
        }
    }
}

impl From<BlobKey> for Digest {
    fn from(key: BlobKey) -> Digest {
        Digest { algorithm: Algorithm::Sha256, bytes: key.0.to_vec() }
    }
}

impl FromStr for Digest {
    type Err = DigestError;

    fn from_str(text: &str) -> Result<Digest, DigestError> {
        let (name, hex) = text.split_once(':').ok_or_else(|| error(text, "expected algorithm:hex"))?;
        let algorithm = Algorithm::from_name(name).ok_or_else(|| error(text, "unknown algorithm"))?;
        let bytes = decode_hex(hex).map_err(|reason| error(text, reason))?;
        Digest::new(algorithm, &bytes).ok_or_else(|| error(text, "wrong number of digits for the algorithm"))
    }
}

impl FromStr for BlobKey {
    type Err = DigestError;

    fn from_str(text: &str) -> Result<BlobKey, DigestError> {
        let hex = text.strip_prefix("sha256:").ok_or_else(|| error(text, "expected sha256:<hex>"))?;
        BlobKey::from_hex(hex)
    }
}

fn error(text: &str, reason: &'static str) -> DigestError {
    // A hostile text may be long; the message shows only as much as a person needs to find it.
    let text = text.chars().take(160).collect();
    DigestError { text, reason }
}

const HEX_DIGITS: &[u8; 16] = b"0123456789abcdef";

/// Lower-case hex of `bytes`.
pub fn encode_hex(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len() * 2);
    for byte in bytes {
        text.push(char::from(HEX_DIGITS[usize::from(byte >> 4)]));
        text.push(char::from(HEX_DIGITS[usize::from(byte & 15)]));
    }
    text
}

fn decode_hex(text: &str) -> Result<Vec<u8>, &'static str> {
    if !text.len().is_multiple_of(2) {
        return Err("an odd number of hex digits");
    }
    // Longer than any known digest: refused before anything is allocated for it.
    if text.len() > 128 {
        return Err("too many hex digits");
    }
    // What is no digit has high bits, which are looked at once, at the end.
    let mut met = 0;
    let mut bytes = Vec::with_capacity(text.len() / 2);
    for pair in text.as_bytes().chunks_exact(2) {
        let (high, low) = (HEX_VALUE[usize::from(pair[0])], HEX_VALUE[usize::from(pair[1])]);
        met |= high | low;
        bytes.push(high << 4 | low);
    }
    if met > 15 { Err("only lower-case hex digits are allowed") } else { Ok(bytes) }
}

/// What each byte is worth as a lower-case hex digit; 255 if it is none.
const HEX_VALUE: [u8; 256] = {
    let mut values = [255; 256];
    let mut value = 0;
    while value < 16 {
        values[HEX_DIGITS[value] as usize] = value as u8;
        value += 1;
    }
    values
};

macro_rules! as_text {
    ($type:ty, $write:expr) => {
        impl fmt::Display for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                let write: fn(&$type, &mut fmt::Formatter<'_>) -> fmt::Result = $write;
                write(self, f)
            }
        }
        impl fmt::Debug for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(self, f)
            }
        }
        impl Serialize for $type {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }
        impl<'de> Deserialize<'de> for $type {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
                text.parse().map_err(serde::de::Error::custom)
            }
        }
    };
}

as_text!(BlobKey, |key, f| write!(f, "sha256:{}", key.hex()));
as_text!(Digest, |digest, f| write!(f, "{}:{}", digest.algorithm.name(), digest.hex()));

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digests_are_read_strictly() {
        let good = format!("sha256:{}", "ab".repeat(32));
        assert_eq!(good.parse::<Digest>().unwrap().to_string(), good);
        assert_eq!(good.parse::<BlobKey>().unwrap().to_string(), good);
        for bad in
            ["", "sha256", "sha256:", "sha256:AB", "sha3:00", "sha1:00", &good.to_uppercase(), &good[..70]]
        {
            assert!(bad.parse::<Digest>().is_err(), "{bad}");
        }
        assert!(format!("sha512:{}", "ab".repeat(64)).parse::<BlobKey>().is_err());
    }
}
