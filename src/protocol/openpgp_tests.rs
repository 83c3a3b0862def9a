//! Documents that GnuPG signed: `fixtures/apt/openpgp/make.sh` says how.

use super::*;

fn fixture(name: &str) -> Vec<u8> {
    std::fs::read(format!("{}/fixtures/apt/openpgp/{name}", env!("CARGO_MANIFEST_DIR"))).unwrap()
}

fn keyring(name: &str) -> Keyring {
    Keyring::read(&fixture(name)).unwrap()
}

fn now() -> Timestamp {
    "2026-06-01T00:00:00Z".parse().unwrap()
}

fn inline(document: &str, keys: &str) -> Result<Vec<Signer>, Fault> {
    verify_inline(&fixture(document), &keyring(keys), now()).map(|(_, signers)| signers)
}

/// Why a document's one signature does not count.
fn refused(document: &str, keys: &str) -> String {
    match inline(document, keys).unwrap_err() {
        Fault::NotSigned(reasons) => reasons.join("; "),
        other => panic!("{other}"),
    }
}

#[test]
fn a_document_signed_by_a_subkey_is_read_as_it_was_signed() {
    for keys in ["archive.gpg", "archive.asc"] {
        let (text, signers) = verify_inline(&fixture("InRelease"), &keyring(keys), now()).unwrap();
        let release = String::from_utf8(fixture("Release")).unwrap();
        assert_eq!(String::from_utf8(text).unwrap(), release.replace("space \n", "space\n"));
        let [signer] = &signers[..] else { panic!("{signers:?}") };
        assert_eq!(keyring(keys).fingerprints(), std::slice::from_ref(&signer.certificate));
        assert_ne!(signer.certificate, signer.key);
        assert_eq!(signer.signed.to_string(), "2026-01-01T00:00:00Z");
    }
}

#[test]
fn windows_line_ends_are_no_change() {
    let document = String::from_utf8(fixture("InRelease")).unwrap().replace('\n', "\r\n");
    assert!(verify_inline(document.as_bytes(), &keyring("archive.gpg"), now()).is_ok());
}

#[test]
fn detached_signatures_may_be_several_and_binary() {
    let (release, both) = (fixture("Release"), fixture("Release.gpg"));
    let mut keys = keyring("archive.gpg");
    assert_eq!(verify_detached(&release, &both, &keys, now()).unwrap().len(), 1);
    keys.extend(keyring("second.gpg"));
    let signers = verify_detached(&release, &both, &keys, now()).unwrap();
    assert_eq!(signers.len(), 2);
    assert_eq!(signers[1].key, signers[1].certificate, "an RSA key that signs by itself");
    assert_eq!(verify_detached(&release, &fixture("Release.sig"), &keys, now()).unwrap(), signers[..1]);
}

#[test]
fn every_curve_and_hash_that_archives_use_is_known() {
    let release = fixture("Release");
    for (curve, hashes) in [
        ("nistp256", &["SHA256", "SHA384", "SHA512"][..]),
        ("nistp384", &["SHA384", "SHA512"]),
        ("nistp521", &["SHA512"]),
    ] {
        let keys = keyring(&format!("{curve}.gpg"));
        for hash in hashes {
            let signature = fixture(&format!("{curve}.{hash}.asc"));
            assert_eq!(
                verify_detached(&release, &signature, &keys, now()).unwrap().len(),
                1,
                "{curve} {hash}"
            );
            let fault = verify_detached(b"something else", &signature, &keys, now()).unwrap_err();
            assert!(matches!(fault, Fault::Changed(_)), "{curve} {hash}: {fault}");
        }
    }
}

#[test]
fn a_changed_document_is_no_matter_of_whom_one_believes() {
    let document = String::from_utf8(fixture("InRelease")).unwrap();
    for (from, to) in
        [("main/x", "main/y"), ("Suite: stable", "Suite: stable\nSuite: other"), ("- - and", "- and")]
    {
        let changed = document.replace(from, to);
        assert_ne!(changed, document);
        let fault = verify_inline(changed.as_bytes(), &keyring("archive.gpg"), now()).unwrap_err();
        assert!(matches!(fault, Fault::Changed(_)), "{from}: {fault}");
    }
    let mut release = fixture("Release");
    release.push(b'\n');
    let mut keys = keyring("second.gpg");
    keys.extend(keyring("archive.gpg"));
    let fault = verify_detached(&release, &fixture("Release.gpg"), &keys, now()).unwrap_err();
    assert!(matches!(fault, Fault::Changed(_)), "{fault}");
}

#[test]
fn nothing_stands_outside_of_what_is_signed() {
    let document = String::from_utf8(fixture("InRelease")).unwrap();
    let rest = document.split_once('\n').unwrap().1;
    for (what, hostile) in [
        ("before", format!("Suite: evil\n{document}")),
        ("a line before", format!("\n{document}")),
        ("after", format!("{document}Suite: evil\n")),
        ("twice", document.repeat(2)),
        ("a header", document.replacen("Hash: SHA256\n", "Hash: SHA256\nSuite: evil\n", 1)),
        ("another header", document.replacen("Hash: SHA256\n", "Hash: SHA256\nNotDashEscaped: yes\n", 1)),
        ("not escaped", document.replacen("- -a line", "-a line", 1)),
        ("cut in the text", document[..100].to_owned()),
        ("cut in the signature", document[..document.len() - 40].to_owned()),
        ("no beginning", rest.to_owned()),
        ("nothing", String::new()),
    ] {
        let fault = verify_inline(hostile.as_bytes(), &keyring("archive.gpg"), now()).unwrap_err();
        assert!(matches!(fault, Fault::Malformed(_)), "{what}: {fault}");
    }
}

#[test]
fn keys_that_are_not_believed_any_more_are_named() {
    for (document, keys, why) in [
        ("InRelease", "second.gpg", "not believed here"),
        ("expired-after.InRelease", "expired.gpg", "after its key had expired"),
        ("compromised.InRelease", "compromised.gpg", "revoked"),
        ("retired-after.InRelease", "retired.gpg", "revoked"),
        ("subkey.InRelease", "subkey.gpg", "revoked"),
        ("sha1.InRelease", "archive.gpg", "SHA1"),
        ("short.InRelease", "archive.gpg", "has expired"),
        ("weak.InRelease", "weak.gpg", "1024 bits"),
        ("old.InRelease", "old.gpg", "no sound signature of its own"),
    ] {
        let refused = refused(document, keys);
        assert!(refused.contains(why), "{document}: {refused}");
    }
    // What they signed while they were good stays so.
    assert_eq!(inline("expired-before.InRelease", "expired.gpg").unwrap().len(), 1);
    assert_eq!(inline("retired.InRelease", "retired.gpg").unwrap().len(), 1);
}

#[test]
fn a_signature_of_tomorrow_means_that_a_clock_is_wrong() {
    let early = "2025-12-31T00:00:00Z".parse().unwrap();
    let fault = verify_inline(&fixture("InRelease"), &keyring("archive.gpg"), early).unwrap_err();
    assert!(fault.to_string().contains("clock"), "{fault}");
}

#[test]
fn a_keyring_may_have_a_certificate_as_it_was_and_as_it_is() {
    let mut bytes = fixture("archive.gpg");
    bytes.extend(fixture("second.gpg"));
    bytes.extend(fixture("archive.gpg"));
    let both = Keyring::read(&bytes).unwrap();
    assert_eq!(both.fingerprints().len(), 3);
    assert!(verify_inline(&fixture("InRelease"), &both, now()).is_ok());
    let armored = [fixture("archive.asc"), b"\n# some text\n".to_vec(), fixture("archive.asc")].concat();
    assert_eq!(Keyring::read(&armored).unwrap().fingerprints().len(), 2);
}

#[test]
fn a_keyring_can_be_narrowed_to_fingerprints() {
    let mut keys = keyring("archive.gpg");
    keys.extend(keyring("second.gpg"));
    let signer = verify_inline(&fixture("InRelease"), &keys, now()).unwrap().1.remove(0);
    let verified =
        |wanted: String| verify_inline(&fixture("InRelease"), &keys.only(&[wanted]), now()).is_ok();
    assert!(verified(signer.certificate.to_lowercase()));
    assert!(verified(signer.key.clone()));
    assert!(verified(format!("{}!", signer.key)));
    assert!(!verified(format!("{}!", signer.certificate)), "its subkey is another key");
    assert!(!verified(keyring("second.gpg").fingerprints().remove(0)));
    assert!(keys.only(&["00".repeat(20)]).is_empty());
}

#[test]
fn what_is_no_keyring_is_refused() {
    for nothing in [&b""[..], b"hello", &fixture("InRelease"), &fixture("Release.sig"), &[0x99; 100]] {
        assert!(Keyring::read(nothing).is_err());
    }
    assert!(Keyring::read(&vec![b' '; LARGEST_KEYRING + 1]).is_err());
}

/// Whatever bytes come, an answer does.
#[test]
fn damaged_bytes_are_no_panic() {
    let (document, keys) = (fixture("InRelease"), fixture("second.gpg"));
    let (signatures, good) = (fixture("Release.gpg"), keyring("archive.gpg"));
    for place in 0..document.len() {
        let mut damaged = document.clone();
        damaged[place] ^= 0x15;
        let _ = verify_inline(&damaged, &good, now());
    }
    for place in 0..keys.len() {
        let mut damaged = keys.clone();
        damaged[place] ^= 0x81;
        if let Ok(keys) = Keyring::read(&damaged) {
            let _ = verify_detached(&fixture("Release"), &signatures, &keys, now());
        }
        let _ = verify_detached(b"", &keys[place..], &good, now());
    }
}
