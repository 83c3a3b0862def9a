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
    loop {
        let inline = found(serving, "dists/stable/InRelease");
        let parts = ["Release", "Release.gpg"].map(|name| found(serving, &format!("dists/stable/{name}")));
        // They go together as long as there was no other edition in between.
        if found(serving, "dists/stable/InRelease") != inline {
            continue;
        }
        let (text, _) = verify_inline(&inline, &keys, now).unwrap();
        assert_eq!(text, parts[0]);
        verify_detached(&text, &parts[1], &keys, now).unwrap();
        return String::from_utf8(text).unwrap();
    }
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
fn clients_are_told_what_they_hold_and_find_what_they_were_told_of() {
    let project = Project::new();
    project.write("[\"apt:hello\"]", "");
    project.run(&["collect", "--out", "../stick"]).done();
    project.sides.trust();
    carry(&project);
    let serving = Serving::start(&project.sides);
    let ask = |path: &str, headers: &[&str]| {
        Client::connect(serving.address).ask("GET", &format!("/apt/debian/{path}"), headers)
    };
    let index = "dists/stable/main/binary-amd64/Packages.xz";
    let dates =
        ["dists/stable/InRelease", "dists/stable/Release", "dists/stable/Release.gpg", index].map(|path| {
            let date = ask(path, &[]).header("last-modified").unwrap().to_owned();
            let condition = format!("If-Modified-Since: {date}");
            assert_eq!(ask(path, &[&condition]).status, 304, "{path}");
            let wrong = "If-Modified-Since: Fri, 01 Jan 2100 00:00:00 GMT";
            assert_eq!(ask(path, &[wrong]).status, 200, "{path}: of a clock that is not ours");
            (path, condition)
        });

    // What was interrupted goes on, by a date, as apt knows no entity tags.
    let package = "pool/main/h/hello-doc_2.10-3_all.deb";
    let whole = ask(package, &[]);
    let date = format!("If-Range: {}", whole.header("last-modified").unwrap());
    let rest = ask(package, &["Range: bytes=10-", &date]);
    assert_eq!((rest.status, &rest.body[..]), (206, &whole.body[10..]));
    // A second time it is answered from memory.
    assert_eq!(ask(package, &["Range: bytes=10-", &date]).status, 206);
    assert_eq!(ask(package, &["Range: bytes=10-", "If-Range: Fri, 01 Jan 2100 00:00:00 GMT"]).status, 200);

    // A package goes. Whoever has the old index finds it, before there is a new one as well as afterwards.
    let inline = "dists/stable/InRelease";
    let (removed, first) = ("pool/main/h/hello-doc_2.10-3_all.deb", found(&serving, inline));
    let bytes = found(&serving, removed);
    project.write("[\"apt:hello\"]\nmode = \"replace\"", "recommends = false");
    carry(&project);
    let begun = Instant::now();
    while found(&serving, inline) == first {
        assert_eq!(found(&serving, removed), bytes);
        assert!(begun.elapsed() < Duration::from_secs(60), "no new edition");
    }
    assert_eq!(found(&serving, removed), bytes);
    let mut listed = String::new();
    flate2::read::MultiGzDecoder::new(&found(&serving, &index.replace(".xz", ".gz"))[..])
        .read_to_string(&mut listed)
        .unwrap();
    assert!(listed.contains("Package: hello\n") && !listed.contains("Package: hello-doc\n"), "{listed}");
    for (path, condition) in dates {
        assert_eq!(ask(path, &[&condition]).status, 200, "{path}");
    }
}

#[test]
fn a_suite_is_served_as_upstream_signed_it_where_all_of_it_is_here() {
    let project = Project::new();
    project.write("[\"apt:@all\"]", "");
    project.run(&["collect", "--out", "../stick"]).done();
    project.sides.trust();
    project.pin("debian.asc", &std::fs::read(archive().join("keyring.asc")).unwrap());
    carry(&project);
    let say = |text: &str| std::fs::write(project.sides.path("in/site.toml"), text).unwrap();
    say("format = 1\n[[apt]]\nrepository = \"debian\"\nverbatim = true\nvalid_until = \"14d\"\n");
    let serving = Serving::start(&project.sides);
    let upstream = |path: &str| std::fs::read(archive().join(path)).unwrap();
    for path in ["dists/stable/InRelease", "dists/stable/main/binary-amd64/Packages.xz"] {
        assert_eq!(found(&serving, path), upstream(path), "{path}");
    }
    let index = upstream("dists/stable/main/binary-amd64/Packages.xz");
    let by_hash = format!("dists/stable/main/binary-amd64/by-hash/SHA256/{}", BlobKey::of(&index).hex());
    assert_eq!(found(&serving, &by_hash), index);
    assert_eq!(get(&serving, "dists/stable/main/binary-amd64/Packages.gz").0, 404, "nobody brought it");
    let setup = Client::connect(serving.address).ask("GET", "/setup/apt", &[]).text();
    let key = String::from_utf8(found(&serving, "upstream-archive-keyring.asc")).unwrap();
    let believed = Keyring::read(&upstream("keyring.asc")).unwrap();
    assert_eq!(Keyring::read(key.as_bytes()).unwrap().fingerprints(), believed.fingerprints());
    assert!(
        setup.contains("Check-Valid-Until: no") && setup.contains(key.lines().nth(3).unwrap()),
        "{setup}"
    );

    // Less than all of it, and the site says what is there, until a day that it says too.
    project.write("[\"apt:hello\"]\nmode = \"replace\"", "");
    carry(&project);
    let begun = Instant::now();
    while found(&serving, "dists/stable/InRelease") == upstream("dists/stable/InRelease") {
        assert!(begun.elapsed() < Duration::from_secs(60), "no new edition");
        std::thread::sleep(Duration::from_millis(50));
    }
    assert!(!field(&release(&serving), "Valid-Until").is_empty());
    let setup = Client::connect(serving.address).ask("GET", "/setup/apt", &[]).text();
    assert!(!setup.contains("Check-Valid-Until"), "{setup}");
    drop(serving);
    let mut serve = project.sides.command("in");
    say("format = 1\n[[apt]]\nverbatm = true\n");
    let refused = serve.args(["serve", "--listen", "127.0.0.1:0"]).output().unwrap();
    let said = String::from_utf8(refused.stderr).unwrap();
    assert_eq!(refused.status.code(), Some(2), "{said}");
    assert!(said.contains("verbatm") && said.contains("site.toml:2:1"), "{said}");
}

#[test]
fn a_repository_stands_at_the_places_that_the_site_gives_it() {
    let project = Project::new();
    project.run(&["collect", "--out", "../stick"]).done();
    project.sides.trust();
    carry(&project);
    let say = |text: &str| {
        std::fs::write(project.sides.path("in/site.toml"), format!("format = 1\n{text}")).unwrap()
    };
    say("[[mount]]\nrepository = \"apt/debian\"\npath = \"/debian\"\n\
         [[mount]]\nrepository = \"apt/debian\"\npath = \"/\"\nhost = \"deb.example.test\"\n");
    let serving = Serving::start(&project.sides);
    let ask = |path: &str, host: &str| {
        Client::connect(serving.address).ask("GET", path, &[&format!("Host: {host}")])
    };
    let there = found(&serving, "dists/stable/InRelease");
    for (path, host) in
        [("/debian/dists/stable/InRelease", "any"), ("/dists/stable/InRelease", "deb.example.test")]
    {
        let answer = ask(path, host);
        assert_eq!((answer.status, answer.body), (200, there.clone()), "{host}{path}");
    }
    assert_eq!(ask("/debian/pool/main/h/hello_2.10-3_amd64.deb", "any").status, 200);
    assert_eq!(ask("/apt/debian/dists/stable/InRelease", "deb.example.test").status, 404);
    drop(serving);
    for (repository, path) in [("apt/debian", "/apt"), ("apt/debian", "/"), ("debian", "/x"), ("oci/x", "/x")]
    {
        say(&format!("[[mount]]\nrepository = \"{repository}\"\npath = \"{path}\"\n"));
        let refused = project.sides.run("in", &["serve", "--listen", "127.0.0.1:0"]);
        assert_eq!(refused.code, Some(2), "{repository} {path}: {}", refused.stderr);
    }
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
