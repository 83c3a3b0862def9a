//! All digests of a blob in one pass over its bytes.

use bundle_format::{Algorithm, BlobKey, Digest, VerifiedBlob};
use sha2::Digest as _;

use super::{Expected, StoreError};

/// The digests under way.
#[derive(Clone)]
pub(super) struct Hashes {
    /// None where the bundle reader computes it.
    sha256: Option<sha2::Sha256>,
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
    key: Option<BlobKey>,
    others: Vec<Digest>,
}

impl Hashes {
    /// These and, if `key`, sha256. md5 is refused: whoever has nothing better has nothing.
    pub(super) fn new(algorithms: &[Algorithm], key: bool) -> Result<Hashes, StoreError> {
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
            sha256: key.then(sha2::Sha256::new),
            others: wanted.into_iter().map(other).collect::<Result<_, _>>()?,
        })
    }

    /// Begins again.
    pub(super) fn reset(&mut self) {
        self.sha256 = self.sha256.is_some().then(sha2::Sha256::new);
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
        if let Some(sha256) = &mut self.sha256 {
            sha256.update(bytes);
        }
        for other in &mut self.others {
            match other {
                Other::Sha1(hash) => hash.update(bytes),
                Other::Sha384(hash) => hash.update(bytes),
                Other::Sha512(hash) => hash.update(bytes),
            }
        }
    }

    /// What they come to so far.
    pub(super) fn found(&self) -> Found {
        let others = self.others.iter().filter_map(|other| match other {
            Other::Sha1(hash) => Digest::new(Algorithm::Sha1, &hash.clone().finalize()),
            Other::Sha384(hash) => Digest::new(Algorithm::Sha384, &hash.clone().finalize()),
            Other::Sha512(hash) => Digest::new(Algorithm::Sha512, &hash.clone().finalize()),
        });
        let key = self.sha256.as_ref().map(|hash| BlobKey::new(hash.clone().finalize().into()));
        Found { others: others.collect(), key }
    }
}

/// Whether bytes that are in memory have a digest.
///
/// # Errors
/// For md5, which proves nothing.
pub fn has_digest(bytes: &[u8], digest: &Digest) -> Result<bool, StoreError> {
    reads_as(bytes, digest)
}

/// Whether bytes that are read from a file have a digest.
///
/// # Errors
/// For md5, which proves nothing; if they cannot be read.
pub fn reads_as(file: impl std::io::Read, digest: &Digest) -> Result<bool, StoreError> {
    let (hashes, length) = read(file, &[digest.algorithm()])?;
    let expected = Expected { checksums: vec![digest.clone()], ..Expected::default() };
    match hashes.found().check(length, &expected) {
        Ok(()) => Ok(true),
        Err(StoreError::Mismatch { .. }) => Ok(false),
        Err(error) => Err(error),
    }
}

/// The digests of bytes that are read from a file, in the order of the algorithms, each once.
///
/// # Errors
/// For md5, which proves nothing; if they cannot be read.
pub fn digests_of(file: impl std::io::Read, algorithms: &[Algorithm]) -> Result<Vec<Digest>, StoreError> {
    let Found { key, others } = read(file, algorithms)?.0.found();
    let sha256 = key.filter(|_| algorithms.contains(&Algorithm::Sha256)).map(Digest::from);
    let mut digests: Vec<Digest> = others.into_iter().chain(sha256).collect();
    digests.sort();
    Ok(digests)
}

/// Hashes bytes that are read from a file, and counts them.
fn read(mut file: impl std::io::Read, algorithms: &[Algorithm]) -> Result<(Hashes, u64), StoreError> {
    let mut hashes = Hashes::new(algorithms, true)?;
    let (mut buffer, mut length) = (vec![0; 256 * 1024], 0);
    loop {
        match file.read(&mut buffer) {
            Ok(0) => return Ok((hashes, length)),
            Ok(count) => {
                hashes.update(buffer.get(..count).unwrap_or_default());
                length += count as u64;
            }
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
            Err(source) => {
                return Err(StoreError::Io { what: "cannot read a blob again".to_owned(), source });
            }
        }
    }
}

impl Found {
    /// The key, if it was computed here.
    pub(super) fn key(&self) -> Result<BlobKey, StoreError> {
        self.key.ok_or(StoreError::Misuse("nothing was hashed, and no proof is given"))
    }

    /// Compares with a proof's size, and with checksums besides the key that it proves.
    pub(super) fn check_others(
        self,
        length: u64,
        proof: &VerifiedBlob,
        checksums: &[Digest],
    ) -> Result<(), StoreError> {
        let expected = Expected { key: None, size: Some(proof.size()), checksums: checksums.to_vec() };
        Found { key: Some(proof.key()), ..self }.check(length, &expected)
    }

    /// Compares with all that is expected. A checksum that was not computed is a mistake of the caller: nothing
    /// that is said goes unchecked.
    pub(super) fn check(&self, length: u64, expected: &Expected) -> Result<(), StoreError> {
        if let Some(size) = expected.size.filter(|size| *size != length) {
            return Err(StoreError::Size { expected: size, found: length });
        }
        let mine = Digest::from(self.key()?);
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
