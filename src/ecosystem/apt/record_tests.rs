use super::super::fake::{Fake, wait};
use super::super::keys::keys_of;
use super::super::options::Options;
use super::super::suites::Suites;
use super::*;

fn suites() -> Suites {
    let fake = Fake::with_archive();
    let (_, machine, ways) = fake.sources();
    let options = wait(Options::load(&machine, &fake)).unwrap();
    assert!(wait(keys_of(&options.sources[0], &machine, &fake)).unwrap().is_some());
    wait(Suites::fetch(&options, &["amd64".to_owned()], (&machine, &ways), &fake)).unwrap()
}

fn stanza(change: impl Fn(String) -> String) -> String {
    let hash = "0f".repeat(32);
    change(format!(
        "Package: hello\nVersion: 1:2.10-3\nArchitecture: amd64\nFilename: pool/h/hello_2.10-3_amd64.deb\nSize: 12\nSHA256: {hash}\nDescription: a\n b"
    ))
}

#[test]
fn a_package_is_carried_with_its_stanza_as_it_is() {
    let suites = suites();
    let (suite, index) = (&suites.suites[0], &suites.indices[0]);
    let text = stanza(|text| text);
    let planned = binary(&Stanza::only(text.as_bytes()), suite, index).unwrap();
    assert_eq!(planned.attributes["control"], text.as_str());
    assert_eq!((planned.version.as_str(), planned.qualifier.as_str()), ("1:2.10-3", "amd64;stable/main"));
    let file = &planned.files[0];
    assert_eq!((file.role.as_str(), file.path.as_str()), ("package", "pool/h/hello_2.10-3_amd64.deb"));
    assert_eq!((file.size, file.blob.map(|key| key.hex())), (Some(12), Some("0f".repeat(32))));
}

#[test]
fn what_a_package_needs_is_told_one_by_one() {
    let suites = suites();
    let text =
        stanza(|text| text + "\nDepends: a (>= 1), b:any | c\nPre-Depends: a (>= 1)\nRecommends: d (<< 2)");
    let planned = binary(&Stanza::only(text.as_bytes()), &suites.suites[0], &suites.indices[0]).unwrap();
    let told = planned.requires.iter().map(|one| format!("{} {} {}", one.name, one.range, one.kind));
    assert_eq!(told.collect::<Vec<_>>(), ["a >= 1 runtime", "b  runtime", "c  runtime", "d < 2 recommends"]);
}

#[test]
fn hostile_stanzas_are_gaps_that_say_why() {
    let suites = suites();
    for (from, to, why) in [
        ("pool/h/", "../../etc/", "leads elsewhere"),
        ("pool/h/", "/etc/", "leads elsewhere"),
        ("pool/h/", "pool//", "leads elsewhere"),
        ("pool/h/", "pool\\..\\", "leads elsewhere"),
        ("Filename: pool/h/hello_2.10-3_amd64.deb\n", "", "no Filename"),
        ("Size: 12", "Size: -1", "no Size"),
        ("SHA256: ", "MD5sum: ", "neither SHA256 nor SHA512"),
        ("SHA256: 0f", "SHA256: 0", "malformed"),
        ("Package: hello", "Package: ../hello", "no name"),
        ("Version: 1:2.10-3", "Version: 1;rm", "no version"),
        ("Version: 1:2.10-3", "Version: 1\nVersion: 2", "twice"),
        ("Description: a", "Description: \u{1b}[2J", "control character"),
        ("amd64\n", "amd64;evil\n", "no Architecture"),
    ] {
        let text = stanza(|text| text.replacen(from, to, 1));
        let gap = binary(&Stanza::only(text.as_bytes()), &suites.suites[0], &suites.indices[0]).unwrap_err();
        assert!(gap.detail.contains(why), "{to}: {}", gap.detail);
        assert!(!gap.detail.contains('\u{1b}'));
    }
    let mut bytes = stanza(|text| text).into_bytes();
    *bytes.last_mut().unwrap() = 0xff;
    let gap = binary(&Stanza::only(&bytes), &suites.suites[0], &suites.indices[0]).unwrap_err();
    assert!(gap.detail.contains("not UTF-8"), "{}", gap.detail);
}

#[test]
fn files_of_source_packages_have_roles() {
    for (name, role) in [
        ("a_1-1.dsc", "dsc"),
        ("a_1.orig.tar.xz", "orig"),
        ("a_1.orig.tar.xz.asc", "signature"),
        ("a_1.orig-docs.tar.gz", "component"),
        ("a_1-1.debian.tar.xz", "debian"),
        ("a_1-1.diff.gz", "debian"),
        ("a_1.tar.xz", "native"),
    ] {
        assert_eq!(role_of(name), role, "{name}");
    }
}
