//! Input that is damaged, hostile or unfinished: a clear error, the right exit code, and nothing half-written.

use serde_json::{Value, json};

use crate::support::fake_upstream::{FakeUpstream, Reply};
use crate::support::npm_project::{self, Package, lockfile, package, packages, publish, write_project};
use crate::support::sides::{Ran, Sides, sound};

fn collect(sides: &Sides, upstream: &FakeUpstream, arguments: &[&str]) -> Ran {
    let mut command = sides.command("out");
    npm_project::reach(&mut command, upstream);
    command.args(["collect", "--out", "../stick"]).args(arguments).output().unwrap().into()
}

/// No panic, no word to the terminal, an error with a code, and nothing made of what was refused.
#[track_caller]
fn refused(sides: &Sides, ran: &Ran, codes: &[i32], context: &str) {
    assert!(ran.code.is_some_and(|code| codes.contains(&code)), "{context}: {:?} {}", ran.code, ran.stderr);
    assert!(ran.stderr.contains("error: ") && !ran.stderr.contains("panicked"), "{context}: {}", ran.stderr);
    for text in [&ran.stdout, &ran.stderr] {
        assert!(!text.contains(['\x1b', '\x07', '\u{9b}', '\u{202e}']), "{context}: {text:?}");
    }
    assert_eq!(sides.medium(), [""; 0].map(std::path::PathBuf::from), "{context}");
    assert!(!sides.path("project/aftk.ledger").exists(), "{context}");
    if sides.path("out/store").exists() {
        assert_eq!(sound(&sides.path("out")), [""; 0], "{context}");
    }
}

#[test]
fn lockfiles_that_are_none() {
    let (sides, upstream) = (Sides::new(), FakeUpstream::start());
    publish(&upstream, &packages());
    sides.write(".npmrc", format!("registry={}\n", npm_project::REGISTRY));
    let one = |name: &str, entry: Value| {
        json!({"lockfileVersion": 3, "packages": {"": {}, format!("node_modules/{name}"): entry}}).to_string()
    };
    let texts = [
        ("empty", String::new()),
        ("no JSON", "hello".to_owned()),
        ("cut", lockfile(&packages()).to_string()[..100].to_owned()),
        ("deep", "[".repeat(100_000)),
        ("deep objects", "{\"packages\":".repeat(50_000)),
        ("a list", "[]".to_owned()),
        ("version 1", json!({"lockfileVersion": 1, "dependencies": {"a": {"version": "1.0.0"}}}).to_string()),
        ("version 99", json!({"lockfileVersion": 99, "packages": {}}).to_string()),
        ("packages of another type", json!({"lockfileVersion": 3, "packages": 7}).to_string()),
        ("a name that climbs", one("../../x", json!({"version": "1.0.0"}))),
        ("a version that is none", one("plain", json!({"version": "../../etc"}))),
        ("a name that speaks to terminals", one("a\u{1b}[2Jb\u{202e}", json!({"version": "1.0.0"}))),
        ("a version that speaks", one("plain", json!({"version": "1.0.0\u{1b}]0;x\u{7}"}))),
        ("an address that speaks", one("x", json!({"version": "1.0.0", "resolved": "git+ssh://\u{9b}2J@h/x"}))),
        ("a key twice", "{\"lockfileVersion\":3,\"packages\":{},\"packages\":{\"node_modules/zz\":{\"version\":\"1.0.0\"}}}".to_owned()),
    ];
    for (what, text) in texts {
        sides.write("package-lock.json", text);
        let ran = collect(&sides, &upstream, &["npm:./package-lock.json"]);
        refused(&sides, &ran, &[2, 3, 4], what);
    }
}

#[test]
fn upstreams_that_lie() {
    let wanted = || package("plain", "1.4.0", json!({}), 9000);
    let lie = |change: &dyn Fn(&FakeUpstream, &Package)| {
        let (sides, upstream) = (Sides::new(), FakeUpstream::start());
        publish(&upstream, &[wanted()]);
        write_project(&sides, &[wanted()]);
        change(&upstream, &wanted());
        let ran = collect(&sides, &upstream, &["npm:./package-lock.json"]);
        (sides, upstream, ran)
    };
    let document = |text: &'static str| {
        move |up: &FakeUpstream, p: &Package| _ = up.route(&p.document_path(), Reply::ok(text))
    };
    let edited = |edit: fn(&mut Value)| {
        move |upstream: &FakeUpstream, package: &Package| {
            let mut document = package.document();
            edit(&mut document);
            upstream.route(&package.document_path(), Reply::json(&document));
        }
    };
    type Change<'a> = Box<dyn Fn(&FakeUpstream, &Package) + 'a>;
    let lies: [(&str, Change<'_>, i32); 8] = [
        ("a page", Box::new(document("<html>\u{1b}[2J</html>")), 3),
        ("a cut document", Box::new(document("{\"name\":\"plain\",\"versions\":{")), 3),
        ("another package", Box::new(edited(|d| d["versions"]["1.4.0"]["name"] = json!("other"))), 3),
        (
            "another checksum",
            Box::new(edited(|d| {
                d["versions"]["1.4.0"]["dist"]["integrity"] = json!(format!("sha512-{}==", "A".repeat(86)))
            })),
            3,
        ),
        (
            "a file of this machine",
            Box::new(edited(|d| d["versions"]["1.4.0"]["dist"]["tarball"] = json!("file:///etc/passwd"))),
            3,
        ),
        ("no such version", Box::new(edited(|d| d["versions"] = json!({}))), 4),
        ("other bytes", Box::new(|up, p| _ = up.route(&p.tarball_path(), Reply::ok(vec![7; 9000]))), 3),
        ("no tarball", Box::new(|up, p| _ = up.route(&p.tarball_path(), Reply::status(404))), 4),
    ];
    for (what, change, code) in &lies {
        let (sides, upstream, ran) = lie(change);
        refused(&sides, &ran, &[*code], what);
        // Once it is honest again, nothing is in the way.
        publish(&upstream, &[wanted()]);
        collect(&sides, &upstream, &["npm:./package-lock.json"]).done();
    }
}

#[test]
fn project_files_that_are_damaged() {
    let (sides, upstream, packages) = (Sides::new(), FakeUpstream::start(), packages());
    publish(&upstream, &packages);
    write_project(&sides, &packages);
    let mut locking = sides.command("out");
    npm_project::reach(&mut locking, &upstream);
    assert!(locking.args(["lock", "-q"]).output().unwrap().status.success());
    let read = |name: &str| std::fs::read_to_string(sides.path("project").join(name)).unwrap();
    let (lock, project) = (read("aftk.lock"), read("aftk.toml"));
    let lines: Vec<&str> = lock.lines().collect();
    let with = |name: &str, text: String, whole: &str, place: &str| {
        sides.write(name, &text);
        let ran = collect(&sides, &upstream, &[]);
        refused(&sides, &ran, &[2, 3, 6], &format!("{name} {:?}", text.chars().take(80).collect::<String>()));
        assert!(ran.stderr.contains(place), "{}", ran.stderr);
        sides.write(name, whole);
    };
    for text in [
        String::new(),
        "hello\n".to_owned(),
        lock[..lock.len() - 10].to_owned(),
        lock.replacen("\"format\":1", "\"format\":99", 1),
        format!("{}\n", lines[1..].join("\n")),
        format!("{lock}{}\n", lines[0]),
        format!("{lock}{{\"type\":\"\u{1b}[2J\"}}\n"),
        format!("{lock}{}\n", "[".repeat(100_000)),
    ] {
        with("aftk.lock", text, &lock, "aftk.lock:");
    }
    for text in [
        "format = 1\nrequests = [\n".to_owned(),
        format!("{project}chanel = \"x\"\n"),
        project.replace("format = 1", "format = 2"),
        "requests = []\nformat = 1\n".to_owned(),
        project.replace("\"prod\"", "\"../prod\""),
        project.replace("\"prod\"", "\"pr\\u001b[2Jod\""),
    ] {
        with("aftk.toml", text, &project, "");
    }
    // A lock that somebody edited names what upstream never published.
    let edited = lock.replacen("plain/-/plain-1.4.0.tgz", "top/-/top-0.3.0.tgz", 1);
    assert_ne!(edited, lock);
    sides.write("aftk.lock", edited);
    let ran = collect(&sides, &upstream, &[]);
    assert_ne!(ran.code, Some(101), "{}", ran.stderr);
    sides.write("aftk.lock", &lock);
    collect(&sides, &upstream, &[]).done();
}

#[test]
fn stores_and_settings_that_are_damaged() {
    let sides = Sides::new();
    sides.write("a.txt", "a");
    let upstream = FakeUpstream::start();
    let run = |home: &str, arguments: &[&str]| sides.run(home, arguments);
    let store = |home: &str| {
        run(home, &["collect", "-q", "file:./a.txt", "--out", "../other"]).done();
        _ = std::fs::remove_dir_all(sides.path("other"));
        sides.path(home).join("store/catalogue.sqlite")
    };
    let change = |home: &str, change: &dyn Fn(&mut Vec<u8>), code: i32, said: &str| {
        let path = store(home);
        let mut bytes = std::fs::read(&path).unwrap();
        change(&mut bytes);
        std::fs::write(&path, bytes).unwrap();
        for arguments in [&["ls"][..], &["check"], &["gc"], &["import", "../nothing"]] {
            let ran = run(home, arguments);
            assert!(!ran.stderr.contains("panicked"), "{home} {arguments:?}: {}", ran.stderr);
            if arguments[0] != "import" || said == "newer" {
                assert_ne!(ran.code, Some(0), "{home} {arguments:?}: {}", ran.stdout);
            }
            if arguments[0] == "ls" {
                assert_eq!(ran.code, Some(code), "{home}: {}", ran.stderr);
                assert!(ran.stderr.contains(said), "{home}: {}", ran.stderr);
            }
        }
    };
    change(
        "foreign",
        &|bytes| *bytes = b"this is no database, but somebody's notes\n".repeat(100),
        3,
        "database",
    );
    change("cut", &|bytes| bytes.truncate(5000), 3, "catalogue");
    // The header's user_version: four bytes, the most significant first.
    change("newer", &|bytes| bytes[60..64].copy_from_slice(&[0, 0, 0, 99]), 2, "newer");
    change("alien", &|bytes| bytes[68..72].copy_from_slice(b"misc"), 3, "another program");

    store("site");
    for text in ["format = 1\n[serve]\nlissten = \"x\"\n", "format = 9\n", "format = \n", "\u{1b}[2J"] {
        std::fs::write(sides.path("site/site.toml"), text).unwrap();
        let ran = run("site", &["serve", "--listen", "127.0.0.1:0"]);
        refused(&sides, &ran, &[2], text);
        assert!(ran.stderr.contains("site.toml"), "{}", ran.stderr);
    }
    for text in ["", "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n", "\u{1b}[2J"] {
        let key = sides.path("project/private.pem");
        std::fs::write(&key, text).unwrap();
        std::fs::set_permissions(&key, std::os::unix::fs::PermissionsExt::from_mode(0o600)).unwrap();
        let ran = collect(&sides, &upstream, &["file:./a.txt", "--key", "private.pem"]);
        refused(&sides, &ran, &[2, 3], text);
    }
}

#[test]
fn names_on_a_medium_do_not_speak_to_the_terminal() {
    let (sides, upstream) = (Sides::new(), FakeUpstream::start());
    sides.write("a.txt", "a");
    collect(&sides, &upstream, &["-q", "file:./a.txt"]).done();
    sides.trust();
    let bundle = sides.medium().remove(0);
    let evil = sides.path("stick").join("\u{1b}[2J\u{202e}\nerror: x.aftk.tar");
    std::fs::rename(bundle, &evil).unwrap();
    let stick = sides.path("stick");
    for arguments in [&["inspect"][..], &["verify"], &["import"], &["import"], &["-v", "-v", "import"]] {
        let mut command = sides.command("in");
        let ran: Ran = command.args(arguments).arg(&stick).output().unwrap().into();
        assert_eq!(ran.code, Some(0), "{}", ran.stderr);
        for text in [&ran.stdout, &ran.stderr] {
            assert!(
                !text.contains(['\x1b', '\u{202e}']) && !text.contains("\nerror: x"),
                "{arguments:?}: {text:?}"
            );
        }
    }
    std::fs::write(&evil, "damaged").unwrap();
    let ran = sides.run("in", &["import", stick.to_str().unwrap()]);
    assert_eq!(ran.code, Some(3));
    assert!(!ran.stderr.contains(['\x1b', '\u{202e}']), "{:?}", ran.stderr);
    // A link is not followed, whatever it leads to.
    std::fs::remove_file(&evil).unwrap();
    std::os::unix::fs::symlink("/etc/passwd", sides.path("stick/link.aftk.tar")).unwrap();
    assert_eq!(
        sides.run("in", &["import", sides.path("stick/link.aftk.tar").to_str().unwrap()]).code,
        Some(3)
    );
    assert_eq!(sides.run("in", &["import", stick.to_str().unwrap()]).code, Some(2));
}

#[test]
fn a_download_that_fails_is_named_with_what_it_is_of() {
    let (sides, upstream) = (Sides::new(), FakeUpstream::start());
    let plain = package("plain", "1.4.0", json!({}), 9000);
    publish(&upstream, std::slice::from_ref(&plain));
    write_project(&sides, std::slice::from_ref(&plain));
    upstream.route(&plain.tarball_path(), Reply::status(404));
    let ran = collect(&sides, &upstream, &["npm:./package-lock.json"]);
    refused(&sides, &ran, &[4], "a tarball that is gone");
    assert!(ran.stderr.contains("npm plain 1.4.0 cannot be downloaded"), "{}", ran.stderr);
    assert!(ran.stderr.contains("removed upstream"), "{}", ran.stderr);
}

#[test]
fn a_checksum_that_a_person_named_is_not_said_to_be_published() {
    let (sides, upstream) = (Sides::new(), FakeUpstream::start());
    upstream.route("/tool.bin", Reply::ok("other bytes"));
    let request = format!("file:{}/tool.bin#sha256={}", upstream.url(), "0f".repeat(32));
    let ran = collect(&sides, &upstream, &[&request]);
    refused(&sides, &ran, &[3], "a file with another checksum");
    assert!(ran.stderr.contains("than the checksum that was asked for"), "{}", ran.stderr);
    assert!(!ran.stderr.contains("published"), "{}", ran.stderr);
}
