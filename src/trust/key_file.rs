//! Private keys in files: PKCS#8 version 1 in PEM, plain or under a passphrase, readable by their owner alone.

use std::fs::File;
use std::io::Read as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use zeroize::Zeroizing;

use super::crypto::{self, KeyRejected, LineEnding, SecretDocument, SecretKey};
use super::error::TrustError;
use super::key::PublicKey;
use crate::fsx;

const PLAIN: &str = "PRIVATE KEY";
const ENCRYPTED: &str = "ENCRYPTED PRIVATE KEY";

/// The largest key file that is read, in bytes.
const MAX_KEY_FILE: usize = 64 << 10;

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
    // Room for all of it from the start: a buffer that grew would leave copies of the key behind.
    let mut pem = Zeroizing::new(Vec::with_capacity(MAX_KEY_FILE));
    file.take(MAX_KEY_FILE as u64).read_to_end(&mut pem).map_err(TrustError::io("read", path))?;
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
    let pem = fsx::read_limited(path, MAX_KEY_FILE as u64).map_err(TrustError::io("read the key", path))?;
    let pem = pem.ok_or_else(|| TrustError::NoSuchKey(path.display().to_string()))?;
    PublicKey::from_pem(&pem).map_err(TrustError::key(path.display().to_string()))
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use bundle_format::PayloadType;
    use bundle_format::signature::pae;

    use super::*;
    use crate::trust::crypto::Algorithm;
    use crate::trust::home_keys::signer_from;

    const BOTH: [Algorithm; 2] = [Algorithm::Ed25519, Algorithm::EcdsaP384Sha384];

    /// Runs the real `openssl` in `directory`; its standard output.
    fn openssl(directory: &Path, arguments: &str) -> Vec<u8> {
        let output =
            Command::new("openssl").current_dir(directory).args(arguments.split(' ')).output().unwrap();
        assert!(output.status.success(), "openssl {arguments}: {}", String::from_utf8_lossy(&output.stderr));
        output.stdout
    }

    /// A new key in `key.pem` of `directory`, and its public half in `key.pub`.
    fn ours(directory: &Path, algorithm: Algorithm, passphrase: Option<&[u8]>) -> (SecretKey, PublicKey) {
        let secret = SecretKey::generate(algorithm).unwrap();
        let public = PublicKey::from_spki(&secret.public_spki()).unwrap();
        let pem = private_pem(&secret, passphrase).unwrap();
        fsx::replace_private(&directory.join("key.pem"), pem.as_bytes()).unwrap();
        fsx::replace_file(&directory.join("key.pub"), public.to_pem().unwrap().as_bytes()).unwrap();
        (secret, public)
    }

    fn genpkey(algorithm: Algorithm) -> &'static str {
        match algorithm {
            Algorithm::Ed25519 => "genpkey -algorithm ed25519 -out key.pem",
            Algorithm::EcdsaP384Sha384 => {
                "genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-384 -out key.pem"
            }
        }
    }

    fn digest(algorithm: Algorithm) -> &'static str {
        if algorithm == Algorithm::EcdsaP384Sha384 { " -digest sha384" } else { "" }
    }

    #[test]
    fn openssl_reads_the_keys_that_we_write() {
        for algorithm in BOTH {
            let directory = tempfile::tempdir().unwrap();
            let (_, public) = ours(directory.path(), algorithm, None);
            let derived = openssl(directory.path(), "pkey -in key.pem -pubout");
            assert_eq!(String::from_utf8(derived).unwrap(), public.to_pem().unwrap());
            assert_eq!(read_public(&directory.path().join("key.pub")).unwrap(), public);

            let (_, public) = ours(directory.path(), algorithm, Some(b"correct-horse"));
            let derived = openssl(directory.path(), "pkey -in key.pem -passin pass:correct-horse -pubout");
            assert_eq!(String::from_utf8(derived).unwrap(), public.to_pem().unwrap());
            let text = openssl(directory.path(), "asn1parse -in key.pem");
            let text = String::from_utf8(text).unwrap();
            assert!(text.contains("PBKDF2") && text.contains("aes-256-cbc"), "{text}");
        }
    }

    #[test]
    fn we_read_the_keys_that_openssl_writes() {
        for algorithm in BOTH {
            let directory = tempfile::tempdir().unwrap();
            let path = directory.path().join("key.pem");
            let public =
                || PublicKey::from_pem(&openssl(directory.path(), "pkey -in key.pem -pubout")).unwrap();
            openssl(directory.path(), genpkey(algorithm));
            assert_eq!(signer_from(&path, None).unwrap().public(), &public());

            openssl(directory.path(), &format!("{} -aes-256-cbc -pass pass:horse", genpkey(algorithm)));
            let read = signer_from(&path, Some(b"horse")).unwrap();
            let shown = openssl(directory.path(), "pkey -in key.pem -passin pass:horse -pubout");
            assert_eq!(read.public(), &PublicKey::from_pem(&shown).unwrap());
            let missing = read_private(&path, None).err().unwrap();
            assert!(matches!(missing, TrustError::PassphraseNeeded(_)), "{missing}");
            let wrong = read_private(&path, Some(b"house")).err().unwrap();
            assert!(matches!(wrong, TrustError::Key { reason: KeyRejected::Passphrase, .. }), "{wrong}");
        }
    }

    #[test]
    fn signatures_pass_between_openssl_and_us_both_ways() {
        for algorithm in BOTH {
            let directory = tempfile::tempdir().unwrap();
            let (secret, public) = ours(directory.path(), algorithm, None);
            let encoding = pae(PayloadType::Snapshot, br#"{"channel":"prod"}"#);
            fsx::replace_file(&directory.path().join("pae"), &encoding).unwrap();
            let signature = secret.sign(&encoding).unwrap();
            fsx::replace_file(&directory.path().join("sig"), &signature).unwrap();
            let verify = "pkeyutl -verify -rawin -pubin -inkey key.pub -in pae -sigfile sig";
            openssl(directory.path(), &format!("{verify}{}", digest(algorithm)));

            let sign = format!("pkeyutl -sign -rawin -inkey key.pem -in pae{}", digest(algorithm));
            let theirs = openssl(directory.path(), &sign);
            assert!(public.verifies(&encoding, &theirs));
            assert!(!public.verifies(&pae(PayloadType::PackingList, br#"{"channel":"prod"}"#), &theirs));
        }
    }

    #[test]
    fn other_keys_are_refused() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("key.pem");
        for other in [
            "genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256 -out key.pem",
            "genpkey -algorithm RSA -pkeyopt rsa_keygen_bits:1024 -out key.pem",
            "genpkey -algorithm x25519 -out key.pem",
        ] {
            openssl(directory.path(), other);
            let refused = read_private(&path, None).err().unwrap();
            assert!(
                matches!(refused, TrustError::Key { reason: KeyRejected::PrivateUnsupported, .. }),
                "{other}"
            );
            let public = openssl(directory.path(), "pkey -in key.pem -pubout");
            assert_eq!(PublicKey::from_pem(&public), Err(KeyRejected::Unsupported), "{other}");
        }
        openssl(directory.path(), genpkey(Algorithm::EcdsaP384Sha384));
        let compressed = openssl(directory.path(), "ec -in key.pem -pubout -conv_form compressed");
        assert_eq!(PublicKey::from_pem(&compressed), Err(KeyRejected::Unsupported));
        let private = std::fs::read(&path).unwrap();
        assert_eq!(PublicKey::from_pem(&private), Err(KeyRejected::PrivateGiven));
        assert_eq!(PublicKey::from_pem(b"not a key\xff"), Err(KeyRejected::Unsupported));
    }

    #[test]
    fn a_private_key_that_others_can_read_is_refused() {
        let directory = tempfile::tempdir().unwrap();
        ours(directory.path(), Algorithm::Ed25519, None);
        let path = directory.path().join("key.pem");
        assert!(read_private(&path, None).is_ok());
        for mode in [0o640, 0o604, 0o620] {
            File::open(&path).unwrap().set_permissions(std::fs::Permissions::from_mode(mode)).unwrap();
            let refused = read_private(&path, None).err().unwrap();
            assert!(matches!(refused, TrustError::Exposed { .. }), "{mode:o}: {refused}");
        }
    }
}
