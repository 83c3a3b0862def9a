//! Debian packages inside: admitted with their proof, and served as an archive that the site signs.

use std::io::Read as _;
use std::time::{Duration, Instant};

use aftk::protocol::openpgp::{Keyring, verify_detached, verify_inline};
use bundle_format::BlobKey;

use crate::apt_collect::{Project, archive};
use crate::support::raw_http::Client;
use crate::support::serving::Serving;

/// What stands at a path below the repository.
fn get(serving: &Serving, path: &str) -> (u16, Vec<u8>) {
    let mut client = Client::connect(serving.address);
    let response = client.ask("GET", &format!("/apt/debian/{path}"), &[]);
    (response.status, response.body)
}

fn found(serving: &Serving, path: &str) -> Vec<u8> {
    let (status, body) = get(serving, path);
    assert_eq!(status, 200, "{path}");
    body
}

/// The signed text of the suite, believed by the key that the site gives to clients.
fn release(serving: &Serving) -> String {
    let keys = Keyring::read(&found(serving, "aftk-archive-keyring.asc")).unwrap();
    let now = jiff::Timestamp::try_from(aftk::clock::now()).unwrap();
    let (text, _) = verify_inline(&found(serving, "dists/stable/InRelease"), &keys, now).unwrap();
    assert_eq!(text, found(serving, "dists/stable/Release"));
    verify_detached(&text, &found(serving, "dists/stable/Release.gpg"), &keys, now).unwrap();
    String::from_utf8(text).unwrap()
}

/// The digest of a file that a Release lists.
fn listed(release: &str, path: &str) -> String {
    let line = release.lines().find(|line| line.ends_with(&format!(" {path}"))).unwrap();
    line.split_whitespace().next().unwrap().to_owned()
}

fn field<'a>(release: &'a str, name: &str) -> &'a str {
    let found = release.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(": "));
    found.unwrap_or_default()
}

/// Brings what the project wants to the other side.
fn carry(project: &Project) {
    for old in project.sides.medium() {
        std::fs::remove_file(old).unwrap();
    }
    project.run(&["collect", "--out", "../stick"]).done();
    project.sides.run("in", &["import", project.sides.path("stick").to_str().unwrap()]).done();
}

#[test]
fn clients_find_a_signed_archive_with_stanzas_as_upstream_wrote_them() {
    let project = Project::new();
    project.write("[\"apt:hello\"]", "recommends = false");
    project.run(&["collect", "--out", "../stick"]).done();
    project.sides.trust();
    project.pin("debian.asc", &std::fs::read(archive().join("keyring.asc")).unwrap());
    carry(&project);
    let serving = Serving::start(&project.sides);

    let first = release(&serving);
    let fields = ["Origin", "Label", "Suite", "Codename", "Version", "Components", "Architectures"];
    let expected = ["Example", "Example", "stable", "example", "1", "main", "amd64"];
    assert_eq!(fields.map(|name| field(&first, name)), expected, "{first}");
    assert_eq!(field(&first, "Acquire-By-Hash"), "yes");

    let upstream = std::fs::read(archive().join("dists/stable/main/binary-amd64/Packages.gz")).unwrap();
    let unpacked = |bytes: &[u8]| {
        let mut text = String::new();
        flate2::read::MultiGzDecoder::new(bytes).read_to_string(&mut text).unwrap();
        text
    };
    let upstream = unpacked(&upstream);
    let index = found(&serving, "dists/stable/main/binary-amd64/Packages.gz");
    let by_hash = format!("dists/stable/main/binary-amd64/by-hash/SHA256/{}", BlobKey::of(&index).hex());
    assert_eq!(found(&serving, &by_hash), index);
    assert_eq!(listed(&first, "main/binary-amd64/Packages.gz"), BlobKey::of(&index).hex());
    let packages = unpacked(&index);
    assert_eq!(listed(&first, "main/binary-amd64/Packages"), BlobKey::of(packages.as_bytes()).hex());
    let names: Vec<&str> = packages.lines().filter_map(|line| line.strip_prefix("Package: ")).collect();
    assert_eq!(names, ["hello", "hello-data", "libhello1"]);
    for stanza in packages.split_terminator("\n\n") {
        assert!(upstream.contains(&format!("{stanza}\n\n")), "{stanza}");
    }

    let library = std::fs::read(archive().join("pool/main/h/libhello1_1.2+b1_amd64.deb")).unwrap();
    for path in ["pool/main/h/libhello1_1.2+b1_amd64.deb", "pool/main/h/libhello1_1.2%2bb1_amd64.deb"] {
        assert_eq!(found(&serving, path), library, "{path}");
    }
    for path in [
        "dists/stable/InRelease.bak",
        "dists/testing/InRelease",
        "pool/main/h/hello-doc_2.10-3_all.deb",
        "..%2fkeys",
        "%2fsuites",
        "/suites",
        "/parts/dists/stable/main/binary-amd64/Packages",
    ] {
        assert!(get(&serving, path).0 >= 400, "{path}");
    }
    let mut client = Client::connect(serving.address);
    let setup = client.ask("GET", "/setup/apt", &[]).text();
    assert!(
        setup.contains("Suites: stable\nComponents: main\nArchitectures: amd64\nSigned-By:\n -----BEGIN"),
        "{setup}"
    );

    // Another bundle: the running server has a new edition, and what clients were told of before is there still.
    project.write("[\"apt:hello\"]", "");
    carry(&project);
    let begun = Instant::now();
    let second = loop {
        let second = release(&serving);
        if second != first {
            break second;
        }
        assert!(begun.elapsed() < Duration::from_secs(60), "no new edition");
        std::thread::sleep(Duration::from_millis(50));
    };
    assert_eq!(found(&serving, &by_hash), index);
    let index = found(&serving, "dists/stable/main/binary-amd64/Packages.gz");
    assert_eq!(listed(&second, "main/binary-amd64/Packages.gz"), BlobKey::of(&index).hex());
    assert!(unpacked(&index).contains("Package: hello-doc\n"));
    let date = |release: &str| {
        jiff::fmt::rfc2822::parse(&field(release, "Date").replace("UTC", "+0000")).unwrap().timestamp()
    };
    assert!(date(&second) > date(&first));
    // One that begins anew has nothing to make.
    drop(serving);
    let serving = Serving::start(&project.sides);
    assert_eq!(release(&serving), second);

    // Another key: both sign, so that clients may have either.
    let old = Keyring::read(&found(&serving, "aftk-archive-keyring.asc")).unwrap();
    project.sides.run("in", &["key", "rotate", "apt"]).done();
    let begun = Instant::now();
    let both = loop {
        let both = Keyring::read(&found(&serving, "aftk-archive-keyring.asc")).unwrap();
        if both.fingerprints().len() == 2 {
            break both;
        }
        assert!(begun.elapsed() < Duration::from_secs(60), "no new key");
        std::thread::sleep(Duration::from_millis(50));
    };
    let inline = found(&serving, "dists/stable/InRelease");
    let now = jiff::Timestamp::try_from(aftk::clock::now()).unwrap();
    assert_eq!(verify_inline(&inline, &both, now).unwrap().1.len(), 2);
    assert_eq!(verify_inline(&inline, &old, now).unwrap().1.len(), 1);
}

#[test]
fn a_repository_whose_keys_are_pinned_is_taken_in_with_a_proof_only() {
    let project = Project::new();
    project.run(&["collect", "--out", "../stick"]).done();
    project.sides.trust();
    let stick = project.sides.path("stick");
    let import = || project.sides.run("in", &["import", stick.to_str().unwrap()]);
    let others = std::fs::read(archive().join("../openpgp/archive.asc")).unwrap();
    project.pin("debian.asc", &others);
    let refused = import();
    assert_eq!(refused.code, Some(3), "{}", refused.stderr);
    assert!(refused.stderr.contains("not believed here"), "{}", refused.stderr);
    // Under any other name, it proves what it can.
    project.pin("debian.asc", &[]);
    project.pin("others.asc", &others);
    let taken = import();
    assert_eq!(taken.code, Some(0), "{}", taken.stderr);
    assert!(taken.stderr.contains("debian dists/stable: not verified here"), "{}", taken.stderr);
}
