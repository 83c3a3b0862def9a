//! What signs: a key file, or a command that asks a token or an HSM.

use std::io::{Read as _, Write as _};
use std::process::{Command, Stdio};

use bundle_format::Signer;
use bundle_format::limits::MAX_SIGNATURE;

use super::crypto::SecretKey;
use super::key::PublicKey;

/// Signs with a private key that was read from a file.
pub struct KeySigner {
    public: PublicKey,
    secret: SecretKey,
}

impl KeySigner {
    pub(super) fn new(public: PublicKey, secret: SecretKey) -> KeySigner {
        KeySigner { public, secret }
    }

    /// The public half.
    pub fn public(&self) -> &PublicKey {
        &self.public
    }
}

impl Signer for KeySigner {
    fn key_id(&self) -> &str {
        self.public.id()
    }

    fn sign(&self, pae: &[u8]) -> Result<Vec<u8>, String> {
        self.secret.sign(pae).map_err(|error| error.to_string())
    }
}

/// Signs by running a command of the user's: it gets the pre-authentication encoding on its standard input and
/// writes the raw signature (for P-384: DER) to its standard output, nothing else.
///
/// `openssl pkeyutl -sign -rawin -inkey KEY -in FILE` does so for a key that OpenSSL reaches.
#[derive(Debug)]
pub struct CommandSigner {
    public: PublicKey,
    command: String,
}

impl CommandSigner {
    /// A signer that runs `command` in the shell; `public` is the key that it signs with.
    pub fn new(public: PublicKey, command: impl Into<String>) -> CommandSigner {
        CommandSigner { public, command: command.into() }
    }

    fn run(&self, input: &[u8]) -> std::io::Result<(Vec<u8>, std::process::ExitStatus)> {
        let mut child = Command::new("/bin/sh")
            .args(["-c", &self.command])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()?;
        let (stdin, stdout) = (child.stdin.take(), child.stdout.take());
        let mut signature = Vec::new();
        std::thread::scope(|scope| {
            // Written beside the reading, so that neither waits for the other. A command that does not want all of
            // it says so by its exit code and its signature.
            scope.spawn(move || stdin.map(|mut stdin| stdin.write_all(input)));
            stdout.map(|stdout| stdout.take(MAX_SIGNATURE as u64 + 1).read_to_end(&mut signature)).transpose()
        })?;
        Ok((signature, child.wait()?))
    }
}

impl Signer for CommandSigner {
    fn key_id(&self) -> &str {
        self.public.id()
    }

    fn sign(&self, pae: &[u8]) -> Result<Vec<u8>, String> {
        let (signature, status) =
            self.run(pae).map_err(|error| format!("the signing command could not be run: {error}"))?;
        if !status.success() {
            return Err(format!("the signing command failed ({status})"));
        }
        // Found out here and not at the site: the wrong token, or a signature in another encoding.
        if !self.public.verifies(pae, &signature) {
            return Err(format!(
                "the signing command wrote {} bytes that are no signature of {}",
                signature.len(),
                self.public.id()
            ));
        }
        Ok(signature)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::trust::Trust;
    use crate::trust::crypto::Algorithm;
    use crate::trust::testing::ed25519;

    #[test]
    fn a_command_signs_with_a_key_that_we_never_see() {
        let home = tempfile::tempdir().unwrap();
        let trust = Trust::open(home.path()).unwrap();
        for (name, algorithm, options) in
            [("token", Algorithm::Ed25519, ""), ("module", Algorithm::EcdsaP384Sha384, "-digest sha384")]
        {
            let public = trust.new_key(name, algorithm, None).unwrap();
            let (key, input) = (home.path().join(format!("keys/{name}.pem")), home.path().join("input"));
            let (key, input) = (key.display(), input.display());
            let command =
                format!("cat > {input} && openssl pkeyutl -sign -rawin -inkey {key} -in {input} {options}");
            let pem = public.to_pem().unwrap();
            let signer = trust.command_signer(pem.as_bytes(), &command).unwrap();
            let signature = signer.sign(b"the encoding").unwrap();
            assert_eq!(signer.key_id(), public.id());
            assert!(public.verifies(b"the encoding", &signature));
            // The same command, and another key than was said.
            let other = CommandSigner::new(ed25519().public().clone(), command);
            assert!(other.sign(b"the encoding").unwrap_err().contains("no signature of"));
        }
    }

    #[test]
    fn a_command_that_misbehaves_signs_nothing() {
        let public = ed25519().public().clone();
        let large = vec![7; 1 << 20];
        for command in
            ["exit 3", "true", "head -c 64 /dev/zero", "cat", "yes", "no-such-command 2> /dev/null"]
        {
            let signed = CommandSigner::new(public.clone(), command).sign(&large);
            assert!(signed.is_err(), "{command}");
        }
    }
}
