//! The keys of this home itself: `keys/<name>.pem` is the private half, `keys/<name>.pub` the public one.
//!
//! The public half stands in a file of its own so that it can be shown and used without the passphrase.

use std::path::{Path, PathBuf};

use bundle_format::document::is_name;

use super::crypto::{Algorithm, SecretKey};
use super::error::TrustError;
use super::key::PublicKey;
use super::key_file;
use super::signer::KeySigner;
use crate::fsx;

/// The directory of this home's keys.
#[derive(Debug, Clone)]
pub(super) struct HomeKeys {
    directory: PathBuf,
}

impl HomeKeys {
    pub(super) fn new(directory: PathBuf) -> HomeKeys {
        HomeKeys { directory }
    }

    /// Makes a key. One that is there already is never overwritten.
    pub(super) fn create(
        &self,
        name: &str,
        algorithm: Algorithm,
        passphrase: Option<&[u8]>,
    ) -> Result<PublicKey, TrustError> {
        let private = self.free(name)?;
        fsx::create_directory(&self.directory, fsx::Access::Private)
            .map_err(TrustError::io("make", &self.directory))?;
        let lock = self.directory.join("lock");
        let _lock = fsx::Lock::exclusive(&lock).map_err(TrustError::io("lock", &lock))?;
        // Again under the lock: another process may have been faster.
        self.free(name)?;
        let rejected = TrustError::key(name);
        let made = SecretKey::generate(algorithm).and_then(|secret| {
            let public = PublicKey::from_spki(&secret.public_spki())?;
            Ok((public.to_pem()?, key_file::private_pem(&secret, passphrase)?, public))
        });
        let (public_pem, private_pem, public) = made.map_err(rejected)?;
        // The private half first: the public one can be made from it.
        fsx::replace_private(&private, private_pem.as_bytes()).map_err(TrustError::io("write", &private))?;
        let path = self.public_path(name);
        fsx::replace_file(&path, public_pem.as_bytes()).map_err(TrustError::io("write", &path))?;
        Ok(public)
    }

    /// Where the private half of a key of that name will be, if there is none yet.
    pub(super) fn free(&self, name: &str) -> Result<PathBuf, TrustError> {
        let private = self.private_path(name)?;
        // A public half alone is a key whose private half is kept elsewhere, or was lost.
        if private.exists() || self.public_path(name).exists() {
            return Err(TrustError::KeyExists(name.to_owned()));
        }
        Ok(private)
    }

    /// The names of the keys, sorted.
    pub(super) fn names(&self) -> Result<Vec<String>, TrustError> {
        let entries = match std::fs::read_dir(&self.directory) {
            Ok(entries) => entries,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(error) => return Err(TrustError::io("read", &self.directory)(error)),
        };
        let mut names = Vec::new();
        for entry in entries {
            let file = entry.map_err(TrustError::io("read", &self.directory))?.file_name();
            let name = file.to_string_lossy();
            names.extend(name.strip_suffix(".pem").filter(|name| is_name(name)).map(str::to_owned));
        }
        names.sort();
        Ok(names)
    }

    /// Whether there is a key of that name.
    pub(super) fn has(&self, name: &str) -> bool {
        self.private_path(name).is_ok_and(|path| path.exists())
    }

    /// The public half of a key; from the private one where the file is missing.
    pub(super) fn public(&self, name: &str) -> Result<PublicKey, TrustError> {
        let path = self.public_path(name);
        if path.exists() {
            return key_file::read_public(&path);
        }
        let private = self.private_path(name)?;
        if !private.exists() {
            return Err(TrustError::NoSuchKey(name.to_owned()));
        }
        Ok(signer_from(&private, None)?.public().clone())
    }

    /// What signs with the key of that name.
    pub(super) fn signer(&self, name: &str, passphrase: Option<&[u8]>) -> Result<KeySigner, TrustError> {
        if !self.has(name) {
            return Err(TrustError::NoSuchKey(name.to_owned()));
        }
        signer_from(&self.private_path(name)?, passphrase)
    }

    fn private_path(&self, name: &str) -> Result<PathBuf, TrustError> {
        if is_name(name) {
            Ok(self.directory.join(format!("{name}.pem")))
        } else {
            Err(TrustError::Name(name.to_owned()))
        }
    }

    fn public_path(&self, name: &str) -> PathBuf {
        self.directory.join(format!("{name}.pub"))
    }
}

/// What signs with the private key in a file.
pub(super) fn signer_from(path: &Path, passphrase: Option<&[u8]>) -> Result<KeySigner, TrustError> {
    let secret = key_file::read_private(path, passphrase)?;
    let public =
        PublicKey::from_spki(&secret.public_spki()).map_err(TrustError::key(path.display().to_string()))?;
    Ok(KeySigner::new(public, secret))
}
