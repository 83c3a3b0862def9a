use std::path::Path;

use super::super::fake::{ARCHIVE, Fake, wait};
use super::super::keys::keys_of;
use super::*;

fn fetched(fake: &Fake) -> Result<(Release, Proof), Problem> {
    let (sources, machine, ways) = fake.sources();
    let keys = wait(keys_of(&sources[0], &machine, fake))?;
    wait(fetch(&sources[0], keys.as_ref(), &ways, fake))
}

fn flat(fake: &mut Fake, options: &str) {
    let line = format!("deb [signed-by=/etc/apt/keyring.asc {options}] {ARCHIVE} flat/\n");
    fake.files.remove(Path::new("/etc/apt/sources.list.d/stable.sources"));
    fake.file("/etc/apt/sources.list.d/flat.list", line);
}

#[test]
fn a_suite_is_believed_by_its_inrelease() {
    let fake = Fake::with_archive();
    let (release, proof) = fetched(&fake).unwrap();
    assert_eq!((release.origin.as_str(), release.codename.as_str()), ("Example", "example"));
    assert_eq!(release.date.to_string(), "2026-01-01T00:00:00Z");
    assert!(release.by_hash && !release.has_index_for_all && release.valid_until.is_none());
    assert_eq!(release.files["main/binary-amd64/Packages.xz"].size, 640);
    assert_eq!(proof.signers.len(), 1);
    let [("inrelease", "InRelease", key, _)] = proof.documents[..] else { panic!("{proof:?}") };
    assert_eq!(key, BlobKey::of(&fake.answer("dists/stable/InRelease")));
    assert_eq!(fake.asked_below(), ["dists/stable/InRelease"]);
}

#[test]
fn a_release_with_a_signature_beside_it_is_as_good() {
    let mut fake = Fake::with_archive();
    flat(&mut fake, "");
    let (release, proof) = fetched(&fake).unwrap();
    assert_eq!((release.origin.as_str(), release.files.len()), ("Flat", 5));
    let roles: Vec<_> = proof.documents.iter().map(|document| document.0).collect();
    assert_eq!(roles, ["release", "signature"]);
    assert_eq!(fake.asked_below(), ["flat/InRelease", "flat/Release", "flat/Release.gpg"]);
    fake.without(&format!("{ARCHIVE}flat/Release.gpg"));
    let problem = fetched(&fake).unwrap_err();
    assert_eq!((problem.kind, &*problem.code), (Kind::Untrusted, "apt.signature"));
    flat(&mut fake, "trusted=yes");
    let (_, proof) = fetched(&fake).unwrap();
    assert!(proof.signers.is_empty());
}

#[test]
fn what_an_archive_forbids_may_be_what_it_does_not_have() {
    let mut fake = Fake::with_archive();
    fake.forbids_what_is_not_there = true;
    flat(&mut fake, "");
    assert_eq!(fetched(&fake).unwrap().0.origin, "Flat");
    fake.documents.clear();
    assert_eq!(fetched(&fake).unwrap_err().code, "net.forbidden");
}

#[test]
fn a_bad_signature_is_no_reason_to_look_for_another() {
    let mut fake = Fake::with_archive();
    let document = String::from_utf8(fake.answer("dists/stable/InRelease").to_vec()).unwrap();
    fake.document(&format!("{ARCHIVE}dists/stable/InRelease"), document.replace("Version: 1", "Version: 2"));
    fake.document(&format!("{ARCHIVE}dists/stable/Release"), "Origin: Evil\n");
    let problem = fetched(&fake).unwrap_err();
    assert_eq!((problem.kind, &*problem.code), (Kind::Untrusted, "apt.signature"));
    assert!(problem.causes[0].contains("is not what"), "{problem:?}");
    assert!(problem.place.unwrap().ends_with("dists/stable/InRelease"));
}

#[test]
fn who_signed_with_another_key_is_not_believed() {
    let mut fake = Fake::with_archive();
    let other = format!("{}/fixtures/apt/openpgp/archive.asc", env!("CARGO_MANIFEST_DIR"));
    fake.file("/etc/apt/keyring.asc", std::fs::read(other).unwrap());
    assert_eq!(fetched(&fake).unwrap_err().code, "apt.signature");
    fake.file("/etc/apt/keyring.asc", "nothing");
    assert_eq!(fetched(&fake).unwrap_err().code, "apt.keys");
    fake.files.remove(Path::new("/etc/apt/keyring.asc"));
    let problem = fetched(&fake).unwrap_err();
    assert_eq!((&*problem.code, problem.place.as_deref()), ("apt.keys", Some("/etc/apt/keyring.asc")));
}

#[test]
fn a_suite_that_is_not_there_is_named() {
    let mut fake = Fake::with_archive();
    fake.without(&format!("{ARCHIVE}dists/stable/InRelease"));
    let problem = fetched(&fake).unwrap_err();
    assert_eq!(problem.message, "stable of debian has no Release file");
}

const RELEASE: &str =
    "Suite: s\nDate: Thu, 01 Jan 2026 00:00:00 UTC\nValid-Until: Thu, 08 Jan 2026 00:00:00 UTC\n";

#[test]
fn what_is_over_or_yet_to_come_is_refused() {
    let (sources, ..) = Fake::with_archive().sources();
    let mut source = sources[0].clone();
    let release = read(format!("{RELEASE}SHA256:\n").as_bytes(), "here").unwrap();
    let at = |text: &str| text.parse::<Timestamp>().unwrap();
    let judged = |source: &Source, before, now: &str| must_be_current(&release, source, before, at(now));
    assert_eq!(judged(&source, None, "2026-01-07T00:00:00Z").unwrap(), None);
    assert_eq!(judged(&source, None, "2026-01-09T00:00:00Z").unwrap_err().code, "apt.expired");
    assert_eq!(judged(&source, None, "2025-12-31T00:00:00Z").unwrap_err().code, "apt.not-yet-valid");
    source.check_valid_until = false;
    assert!(judged(&source, None, "2026-01-09T00:00:00Z").unwrap().unwrap().contains("2026-01-08"));
    let now = "2026-01-07T00:00:00Z";
    assert!(judged(&source, Some(release.date), now).is_ok());
    let problem = judged(&source, Some(at("2026-01-02T00:00:00Z")), now).unwrap_err();
    assert_eq!((problem.kind, &*problem.code), (Kind::Stale, "apt.rolled-back"));
}

#[test]
fn a_release_that_others_might_read_differently_is_refused() {
    let key = "00".repeat(32);
    let good = format!("{RELEASE}SHA256:\n {key} 12 main/x\n");
    assert!(read(good.as_bytes(), "here").is_ok());
    for (wrong, why) in [
        (RELEASE.to_owned(), "neither SHA256 nor SHA512"),
        (format!("{RELEASE}MD5Sum:\nSHA1:\n"), "by MD5 and SHA-1 alone"),
        (format!("{good}\nOrigin: second\n"), "several parts"),
        (format!("{good} {key} 13 main/x\n"), "twice"),
        (format!("{good} {key} many main/y\n"), "no number"),
        (format!("{good} 00 1 main/y\n"), "malformed"),
        (format!("{good} {key} 1\n"), "lists no file"),
        (format!("{good}Suite: t\n"), "twice"),
        (good.replace("Date: Thu, 01 Jan 2026", "Date: someday"), "no time"),
        (good.replace("Date:", "X:"), "no Date"),
    ] {
        let problem = read(wrong.as_bytes(), "here").unwrap_err();
        assert!(problem.message.contains(why), "{why}: {problem}");
    }
}

#[test]
fn paths_become_addresses_character_by_character() {
    let base = Url::parse(ARCHIVE).unwrap();
    for (path, expected) in [
        ("pool/7zip_22.01+really26.01_amd64.deb", "pool/7zip_22.01%2Breally26.01_amd64.deb"),
        ("pool/a_1%3a2~b.deb", "pool/a_1%253a2~b.deb"),
        ("a?b#c d", "a%3Fb%23c%20d"),
        ("https://other.example.test/x", "https%3A//other.example.test/x"),
        ("a:b", "a%3Ab"),
    ] {
        assert_eq!(joined(&base, path).unwrap().as_str(), format!("{ARCHIVE}{expected}"));
    }
}
