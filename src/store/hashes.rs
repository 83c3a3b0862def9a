//! All digests of a blob in one pass over its bytes.

use bundle_format::{Algorithm, BlobKey, Digest};
use sha2::Digest as _;

use super::{Expected, StoreError};

/// The digests under way.
#[derive(Clone)]
pub(super) struct Hashes {
    sha256: sha2::Sha256,
    others: Vec<Other>,
}

#[derive(Clone)]
enum Other {
    Sha1(sha1::Sha1),
    Sha384(sha2::Sha384),
    Sha512(sha2::Sha512),
}

/// The digests of all bytes.
pub(super) struct Found {
    pub(super) key: BlobKey,
    others: Vec<Digest>,
}

impl Hashes {
    /// sha256 and these. md5 is refused: whoever has nothing better has nothing.
    pub(super) fn new(algorithms: &[Algorithm]) -> Result<Hashes, StoreError> {
        let mut wanted = algorithms.to_vec();
        wanted.sort_unstable();
        wanted.dedup();
        wanted.retain(|algorithm| *algorithm != Algorithm::Sha256);
        let other = |algorithm| match algorithm {
            Algorithm::Sha1 => Ok(Other::Sha1(sha1::Sha1::new())),
            Algorithm::Sha384 => Ok(Other::Sha384(sha2::Sha384::new())),
            Algorithm::Sha512 => Ok(Other::Sha512(sha2::Sha512::new())),
            Algorithm::Md5 | Algorithm::Sha256 => Err(StoreError::Unsupported(algorithm)),
        };
        Ok(Hashes {
            sha256: sha2::Sha256::new(),
            others: wanted.into_iter().map(other).collect::<Result<_, _>>()?,
        })
    }

    /// Begins again.
    pub(super) fn reset(&mut self) {
        self.sha256 = sha2::Sha256::new();
        for other in &mut self.others {
            match other {
                Other::Sha1(hash) => *hash = sha1::Sha1::new(),
                Other::Sha384(hash) => *hash = sha2::Sha384::new(),
                Other::Sha512(hash) => *hash = sha2::Sha512::new(),
            }
        }
    }

    /// Takes the next bytes in.
    pub(super) fn update(&mut self, bytes: &[u8]) {
        self.sha256.update(bytes);
        for other in &mut self.others {
            match other {
                Other::Sha1(hash) => hash.update(bytes),
                Other::Sha384(hash) => hash.update(bytes),
                Other::Sha512(hash) => hash.update(bytes),
            }
        }
    }

    /// What they come to.
    pub(super) fn finish(self) -> Found {
        let others = self.others.into_iter().filter_map(|other| match other {
            Other::Sha1(hash) => Digest::new(Algorithm::Sha1, &hash.finalize()),
            Other::Sha384(hash) => Digest::new(Algorithm::Sha384, &hash.finalize()),
            Other::Sha512(hash) => Digest::new(Algorithm::Sha512, &hash.finalize()),
        });
        Found { others: others.collect(), key: BlobKey::new(self.sha256.finalize().into()) }
    }
}

impl Found {
    /// Compares with all that is expected. A checksum that was not computed is a mistake of the caller: nothing
    /// that is said goes unchecked.
    pub(super) fn check(&self, length: u64, expected: &Expected) -> Result<(), StoreError> {
        if let Some(size) = expected.size.filter(|size| *size != length) {
            return Err(StoreError::Size { expected: size, found: length });
        }
        let mine = Digest::from(self.key);
        for wanted in expected.key.map(Digest::from).iter().chain(&expected.checksums) {
            let found = match wanted.algorithm() {
                Algorithm::Sha256 => &mine,
                Algorithm::Md5 => return Err(StoreError::Unsupported(Algorithm::Md5)),
                other => self.others.iter().find(|digest| digest.algorithm() == other).ok_or(
                    StoreError::Misuse("a checksum is expected that was not asked for at the start"),
                )?,
            };
            if found != wanted {
                return Err(StoreError::Mismatch { expected: wanted.clone(), found: found.clone() });
            }
        }
        Ok(())
    }
}
