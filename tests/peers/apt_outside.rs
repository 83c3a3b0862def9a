//! Packages from the archive that this machine's apt is configured to use, judged by apt's own tools; and documents that
//! GnuPG signs with keys of all kinds.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;

use aftk::protocol::openpgp::{Fault, Keyring, verify_detached, verify_inline};
use aftk::store::Store;
use serde_json::Value;

use super::command::{AFTK, bundle_in, run};

/// The artifacts of a lock in a home.
fn locked(home: &Path) -> Vec<Value> {
    let locks = std::fs::read_dir(home.join("channels/default")).unwrap().map(|entry| entry.unwrap().path());
    let lock =
        locks.into_iter().find(|path| path.extension().is_some_and(|ending| ending == "lock")).unwrap();
    let lines = std::fs::read_to_string(lock).unwrap();
    let lines = lines.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    lines.filter(|line| line["type"] == "artifact").collect()
}

fn blob(home: &Path, digest: &Value) -> PathBuf {
    let hex = digest.as_str().unwrap().strip_prefix("sha256:").unwrap();
    home.join("store/blobs/sha256").join(&hex[..2]).join(hex)
}

/// The primary fingerprints of valid signatures, as gpgv says them.
fn valid_signers(gpgv: &str) -> BTreeSet<String> {
    let valid = gpgv.lines().filter(|line| line.contains("VALIDSIG"));
    valid.map(|line| line.split_whitespace().last().unwrap().to_owned()).collect()
}

#[test]
fn the_real_archive_is_believed_as_gpgv_believes_it_and_packages_are_collected() {
    let directory = tempfile::tempdir().unwrap();
    let (home, stick) = (directory.path().join("home"), directory.path().join("stick"));
    let aftk = |words: &[&str]| {
        run(Command::new(AFTK).current_dir(directory.path()).arg("--home").arg(&home).args(words)).succeeded()
    };
    aftk(&["collect", "apt:nginx", "--out", stick.to_str().unwrap()]);
    aftk(&["verify", bundle_in(&stick).to_str().unwrap()]);
    assert_eq!(
        aftk(&["lock", "apt:nginx", "--upgrade"])
            .stdout
            .lines()
            .last()
            .map(|line| line.contains("unchanged")),
        Some(true)
    );

    let artifacts = locked(&home);
    let of = |schema: &str| artifacts.iter().filter(|one| one["schema"] == schema).collect::<Vec<_>>();
    assert!(!of("apt-release/1").is_empty());
    for suite in of("apt-release/1") {
        let document =
            suite["files"].as_array().unwrap().iter().find(|file| file["role"] == "inrelease").unwrap();
        let keyring = "/usr/share/keyrings/debian-archive-keyring.gpg";
        let gpgv = run(Command::new("gpgv")
            .args(["--status-fd", "1", "--keyring", keyring])
            .arg(blob(&home, &document["blob"])));
        let ours = suite["attributes"]["signers"].as_array().unwrap().iter();
        let ours: BTreeSet<String> = ours.map(|one| one.as_str().unwrap().to_owned()).collect();
        assert_eq!(ours, valid_signers(&gpgv.stdout), "{}", gpgv.stderr);
    }
    let packages = of("apt/1");
    assert!(packages.len() > 50, "{}", packages.len());
    for package in packages {
        let control = package["attributes"]["control"].as_str().unwrap();
        let file = blob(&home, &package["files"][0]["blob"]);
        let said =
            run(Command::new("dpkg-deb").arg("--field").arg(&file).args(["Package", "Version"])).succeeded();
        for line in said.stdout.lines() {
            assert!(control.lines().any(|other| other == line), "{line} is not in {control}");
        }
    }
    assert!(Store::open(&home).unwrap().catalogue.repositories().unwrap().len() >= 2);
}

/// A GnuPG of its own.
struct Gpg(tempfile::TempDir);

impl Gpg {
    fn new() -> Gpg {
        Gpg(tempfile::tempdir().unwrap())
    }

    #[track_caller]
    fn run(&self, words: &[&str]) -> String {
        let mut command = Command::new("gpg");
        command.env("GNUPGHOME", self.0.path()).current_dir(self.0.path());
        run(command
            .args(["--batch", "--yes", "--quiet", "--pinentry-mode", "loopback", "--passphrase", ""])
            .args(words))
        .succeeded()
        .stdout
    }

    fn file(&self, name: &str) -> Vec<u8> {
        std::fs::read(self.0.path().join(name)).unwrap()
    }
}

impl Drop for Gpg {
    fn drop(&mut self) {
        drop(Command::new("gpgconf").env("GNUPGHOME", self.0.path()).args(["--kill", "all"]).status());
    }
}

#[test]
fn keys_of_all_kinds_that_gnupg_makes_are_understood() {
    for kind in ["rsa2048", "rsa4096", "ed25519", "nistp256", "nistp384", "nistp521"] {
        let gpg = Gpg::new();
        gpg.run(&["--quick-generate-key", kind, kind, "sign", "never"]);
        gpg.run(&["--output", "keys", "--export"]);
        let text = "Origin: x\n- dashes \n-----BEGIN\n\n  spaces\t \nend";
        std::fs::write(gpg.0.path().join("text"), text).unwrap();
        gpg.run(&["--output", "inline", "--clear-sign", "text"]);
        gpg.run(&["--output", "beside", "--armor", "--detach-sign", "text"]);
        gpg.run(&["--output", "binary", "--digest-algo", "SHA512", "--textmode", "--detach-sign", "text"]);
        let keys = Keyring::read(&gpg.file("keys")).unwrap();
        let now = jiff::Timestamp::try_from(aftk::clock::now()).unwrap();
        let (signed, signers) = verify_inline(&gpg.file("inline"), &keys, now).unwrap();
        assert_eq!(
            String::from_utf8(signed).unwrap(),
            "Origin: x\n- dashes\n-----BEGIN\n\n  spaces\nend\n",
            "{kind}"
        );
        assert_eq!(signers[0].certificate, keys.fingerprints()[0]);
        for signature in ["beside", "binary"] {
            let signers = verify_detached(text.as_bytes(), &gpg.file(signature), &keys, now).unwrap();
            assert_eq!(signers.len(), 1, "{kind} {signature}");
            let changed = verify_detached(b"Origin: y", &gpg.file(signature), &keys, now);
            assert!(matches!(changed, Err(Fault::Changed(_))), "{kind} {signature}");
        }
    }
}
