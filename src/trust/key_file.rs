//! Private keys in files: PKCS#8 version 1 in PEM, plain or under a passphrase, readable by their owner alone.

use std::fs::File;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use pkcs8::{LineEnding, SecretDocument};
use zeroize::Zeroizing;

use super::crypto::{self, KeyRejected, SecretKey};
use super::error::TrustError;
use super::files;
use super::key::PublicKey;

const PLAIN: &str = "PRIVATE KEY";
const ENCRYPTED: &str = "ENCRYPTED PRIVATE KEY";

/// The largest key file that is read, in bytes.
const MAX_KEY_FILE: u64 = 64 << 10;

/// Reads a private key's file.
///
/// # Errors
/// If others may read the file, if it is encrypted and there is no passphrase, or the wrong one, and if it is no
/// key of a known algorithm.
pub(super) fn read_private(path: &Path, passphrase: Option<&[u8]>) -> Result<SecretKey, TrustError> {
    let file = File::open(path).map_err(TrustError::io("open the key", path))?;
    // Asked of the open file, so that it is the one that is then read.
    let mode = file.metadata().map_err(TrustError::io("read", path))?.permissions().mode() & 0o777;
    if mode & 0o077 != 0 {
        return Err(TrustError::Exposed { path: path.to_owned(), mode });
    }
    let pem = Zeroizing::new(files::read_open(&file, MAX_KEY_FILE).map_err(TrustError::io("read", path))?);
    let rejected = |reason| TrustError::Key { place: path.display().to_string(), reason };
    let text = std::str::from_utf8(&pem).map_err(|_| rejected(KeyRejected::PrivateUnsupported))?;
    let (label, document) =
        SecretDocument::from_pem(text).map_err(|_| rejected(KeyRejected::PrivateUnsupported))?;
    match (label, passphrase) {
        (PLAIN, _) => SecretKey::from_pkcs8(document.as_bytes()).map_err(rejected),
        (ENCRYPTED, None) => Err(TrustError::PassphraseNeeded(path.to_owned())),
        (ENCRYPTED, Some(passphrase)) => crypto::decrypt_pkcs8(document.as_bytes(), passphrase)
            .and_then(|plain| SecretKey::from_pkcs8(plain.as_bytes()))
            .map_err(rejected),
        _ => Err(rejected(KeyRejected::PrivateUnsupported)),
    }
}

/// The file of a private key, encrypted if there is a passphrase.
pub(super) fn private_pem(
    key: &SecretKey,
    passphrase: Option<&[u8]>,
) -> Result<Zeroizing<String>, KeyRejected> {
    let plain = key.to_pkcs8()?;
    let (label, document) = match passphrase {
        None => (PLAIN, plain),
        Some(passphrase) => (ENCRYPTED, crypto::encrypt_pkcs8(plain.as_bytes(), passphrase)?),
    };
    document.to_pem(label, LineEnding::LF).map_err(|_| KeyRejected::Failed("it cannot be written as PEM"))
}

/// Reads a public key's file.
pub(super) fn read_public(path: &Path) -> Result<PublicKey, TrustError> {
    let pem = files::read(path, MAX_KEY_FILE).map_err(TrustError::io("read the key", path))?;
    PublicKey::from_pem(&pem).map_err(TrustError::key(path.display().to_string()))
}
