//! From requests to artifacts, with the little archive of `fixtures/apt/archive`.

use std::path::Path;

use super::super::fake::{ARCHIVE, Fake, wait};
use super::*;
use crate::ecosystem::Planned;
use crate::settings::Settings;

fn resolved(fake: &Fake, requests: &[&str]) -> Result<Resolution, Problem> {
    let parsed = requests.iter().map(|what| wait(AptCollect.parse("apt", what, fake)));
    let parsed = parsed.collect::<Result<Vec<_>, _>>()?;
    wait(AptCollect.resolve(&parsed, &[], fake))
}

fn artifacts(resolution: &Resolution) -> Vec<Planned> {
    resolution.artifacts.iter().map(Result::unwrap).collect()
}

fn packages(resolution: &Resolution) -> String {
    let all = artifacts(resolution);
    let packages =
        all.iter().filter(|one| one.schema == "apt/1").map(|one| match one.qualifier.starts_with("source") {
            true => format!("src:{}", one.name),
            false => one.name.clone(),
        });
    packages.collect::<Vec<_>>().join(" ")
}

fn say(fake: &mut Fake, table: &str) {
    let values = serde_json::from_str(table).unwrap();
    fake.settings.push(Settings { ecosystem: "apt".to_owned(), place: "aftk.toml:1:1".to_owned(), values });
}

#[test]
fn a_package_comes_with_what_it_needs_and_what_proves_it() {
    let fake = Fake::with_archive();
    let resolution = resolved(&fake, &["hello"]).unwrap();
    assert_eq!(packages(&resolution), "hello hello-data hello-doc libhello1");
    assert_eq!(resolution.repositories[0].origin, ARCHIVE);
    let all = artifacts(&resolution);
    let evidence = all.iter().find(|one| one.schema == "apt-release/1").unwrap();
    assert_eq!((evidence.name.as_str(), evidence.version.as_str()), ("dists/stable", "2026-01-01T00:00:00Z"));
    let roles: Vec<_> = evidence.files.iter().map(|file| (file.role.as_str(), file.path.as_str())).collect();
    assert_eq!(roles, [("inrelease", ""), ("index", "")]);
    let files = &evidence.attributes["files"];
    assert_eq!(files["InRelease"], evidence.files[0].blob.unwrap().to_string());
    assert_eq!(files["main/binary-amd64/Packages.xz"], evidence.files[1].blob.unwrap().to_string());
    assert_eq!(evidence.attributes["signers"].as_array().unwrap().len(), 1);
    assert_eq!(
        (&evidence.attributes["origin"], &evidence.attributes["codename"]),
        (&"Example".into(), &"example".into())
    );
    let library = all.iter().find(|one| one.name == "libhello1").unwrap();
    assert_eq!(library.version, "1:1.2+b1");
    assert_eq!(library.qualifier, "amd64;stable/main");
    // Its address escapes what has a meaning there.
    let upstreams = wait(AptCollect.upstreams(&[], &fake)).unwrap();
    let access = wait(upstreams.access("debian", &library.files[0].origin, &fake)).unwrap();
    assert_eq!(access.url.as_str(), format!("{ARCHIVE}pool/main/h/libhello1_1.2%2Bb1_amd64.deb"));
    assert!(access.route.plain_http);
}

#[test]
fn what_a_project_says_counts() {
    let mut fake = Fake::with_archive();
    say(&mut fake, r#"{"recommends": false}"#);
    assert_eq!(packages(&resolved(&fake, &["hello"]).unwrap()), "hello hello-data libhello1");
    say(&mut fake, r#"{"with-sources": true}"#);
    let resolution = resolved(&fake, &["hello-data"]).unwrap();
    assert_eq!(packages(&resolution), "src:hello hello-data");
    let source =
        artifacts(&resolution).into_iter().find(|one| one.qualifier == "source;stable/main").unwrap();
    let roles: Vec<_> = source.files.iter().map(|file| file.role.as_str()).collect();
    assert_eq!(roles, ["dsc", "orig", "debian"]);
    let resolution = resolved(&fake, &["libhello1"]).unwrap();
    assert_eq!(resolution.gaps[0].name, "src:libhello");
    say(&mut fake, r#"{"recomends": false}"#);
    let problem = resolved(&fake, &["hello"]).unwrap_err();
    assert!(problem.message.contains("recomends") && problem.place.is_some(), "{problem}");
}

#[test]
fn what_cannot_be_had_is_named_as_apt_would() {
    let fake = Fake::with_archive();
    let problem = resolved(&fake, &["broken"]).unwrap_err();
    assert_eq!((problem.kind, &*problem.code), (Kind::Incomplete, "apt.unsolvable"));
    assert_eq!(problem.message, "apt:broken cannot be installed");
    assert!(problem.causes[0].contains("Depends: absent (>= 1) but it is not installable"), "{problem:?}");
    let problem = resolved(&fake, &["nothing"]).unwrap_err();
    assert!(problem.causes[0].contains("nothing"), "{problem:?}");
}

#[test]
fn all_is_all_whether_it_can_be_installed_or_not() {
    let resolution = resolved(&Fake::with_archive(), &["@all"]).unwrap();
    assert_eq!(packages(&resolution), "broken hello hello-data hello-doc libhello1");
}

#[test]
fn what_a_machine_has_is_not_collected_again() {
    let mut fake = Fake::with_archive();
    let installed = |name: &str, version: &str| {
        format!(
            "Package: {name}\nStatus: install ok installed\nArchitecture: amd64\nMulti-Arch: same\nVersion: {version}\n\n"
        )
    };
    fake.file("/project/web01", installed("libhello1", "1:1.2+b1"));
    say(&mut fake, r#"{"baseline": "web01", "recommends": false}"#);
    assert_eq!(packages(&resolved(&fake, &["hello"]).unwrap()), "hello hello-data");
    let before = wait(AptCollect.parse("apt", "hello", &fake)).unwrap().identity;
    fake.file("/project/web01", installed("libhello1", "1:1.1"));
    assert_eq!(packages(&resolved(&fake, &["@upgrades"]).unwrap()), "libhello1");
    assert_ne!(
        wait(AptCollect.parse("apt", "hello", &fake)).unwrap().identity,
        before,
        "it is another capture"
    );
    let problem = resolved(&Fake::with_archive(), &["@upgrades"]).unwrap_err();
    assert_eq!((problem.kind, &*problem.code), (Kind::Usage, "apt.no-baseline"));
}

#[test]
fn a_list_is_read_as_its_requests() {
    let mut fake = Fake::with_archive();
    fake.file("./selections", "hello-data\t\tinstall\nlibhello1:amd64\thold\n");
    assert_eq!(packages(&resolved(&fake, &["./selections"]).unwrap()), "hello-data libhello1");
    assert_eq!(resolved(&fake, &["./absent"]).unwrap_err().code, "apt.list");
}

#[test]
fn a_suite_does_not_go_back_behind_the_lock() {
    let mut fake = Fake::with_archive();
    fake.locked = artifacts(&resolved(&fake, &["hello"]).unwrap());
    fake.locked.retain(|one| one.schema == "apt-release/1");
    let observed = fake.locked[0].attributes["observed_at"].clone();
    fake.locked[0].attributes.insert("observed_at".to_owned(), "2026-02-02T00:00:00Z".into());
    let again = artifacts(&resolved(&fake, &["hello"]).unwrap());
    let evidence = again.into_iter().find(|one| one.schema == "apt-release/1").unwrap();
    assert_eq!(evidence.attributes["observed_at"], "2026-02-02T00:00:00Z", "nothing changed: {observed}");
    fake.locked[0].version = "2026-01-02T00:00:00Z".to_owned();
    let problem = resolved(&fake, &["hello"]).unwrap_err();
    assert_eq!((problem.kind, &*problem.code), (Kind::Stale, "apt.rolled-back"));
}

#[test]
fn flat_repositories_are_resolved_together_with_the_others() {
    let mut fake = Fake::with_archive();
    let line = format!("deb [signed-by=/etc/apt/keyring.asc] {ARCHIVE} flat/\n");
    fake.file("/etc/apt/sources.list.d/flat.list", line);
    let resolution = resolved(&fake, &["tool"]).unwrap();
    assert_eq!(packages(&resolution), "hello hello-data hello-doc libhello1 tool");
    let all = artifacts(&resolution);
    let tool = all.iter().find(|one| one.name == "tool").unwrap();
    assert_eq!(
        (tool.qualifier.as_str(), tool.files[0].path.as_str()),
        ("amd64;flat/", "flat/tool_1_amd64.deb")
    );
    let names: Vec<_> = all.iter().filter(|one| one.schema == "apt-release/1").map(|one| &one.name).collect();
    assert_eq!(names, ["dists/stable", "flat"]);
}

/// A machine whose apt believes suites without signatures, each a name, the lines of its Release, and packages as
/// `NAME VERSION ARCHITECTURE [FIELD; FIELD]`.
fn machine(suites: &[(&str, &str, &[&str])]) -> Fake {
    let dump =
        "APT::Architecture \"amd64\";\nDir::Etc \"etc/apt\";\nDir::Etc::sourcelist \"sources.list\";\n";
    let mut fake = Fake { apt_config: Some(dump.to_owned()), ..Fake::default() };
    let mut lines = String::new();
    for (suite, release, packages) in suites {
        lines += &format!("deb [trusted=yes] {ARCHIVE} {suite} main\n");
        let mut release = format!("Suite: {suite}\n{release}Date: Thu, 01 Jan 2026 00:00:00 UTC\nSHA256:\n");
        for architecture in ["amd64", "i386"] {
            let mut index = String::new();
            for package in *packages {
                let (package, more) = package.split_once(" [").unwrap_or((package, "]"));
                let words: Vec<&str> = package.split(' ').collect();
                let [name, version, of] = words[..] else { panic!("{package}") };
                if ![architecture, "all"].contains(&of) {
                    continue;
                }
                let more = more.trim_end_matches(']').replace("; ", "\n");
                let more = if more.is_empty() { more } else { more + "\n" };
                let key = BlobKey::of(package.as_bytes()).hex();
                index += &format!(
                    "Package: {name}\nVersion: {version}\nArchitecture: {of}\n{more}Filename: pool/{name}_{version}_{of}.deb\nSize: 1\nSHA256: {key}\n\n"
                );
            }
            let path = format!("main/binary-{architecture}/Packages");
            release += &format!(" {} {} {path}\n", BlobKey::of(index.as_bytes()).hex(), index.len());
            fake.document(&format!("{ARCHIVE}dists/{suite}/{path}"), index);
        }
        fake.document(&format!("{ARCHIVE}dists/{suite}/Release"), release);
    }
    fake.file("/etc/apt/sources.list", lines);
    fake
}

#[test]
fn bases_are_found_by_priority() {
    let mut fake = machine(&[
        (
            "stable",
            "",
            &[
                "dpkg 1 amd64 [Essential: yes; Priority: required; Pre-Depends: libc6]",
                "libc6 2 amd64 [Priority: optional]",
                "base-files 1 amd64 [Priority: required; Depends: awk, mawk | gawk, libc6 (>= 9)]",
                "base-passwd 1 amd64 [Priority: required]",
                "mawk 1 amd64 [Provides: awk; Depends: data:any; Recommends: vim]",
                "gawk 1 amd64 [Provides: awk]",
                "data 1 all",
                "apt 2 amd64 [Priority: important]",
                "cron 3 amd64 [Priority: important]",
                "vim 9 amd64 [Priority: optional]",
            ],
        ),
        (
            "stable-security",
            "",
            &[
                "dpkg 2 amd64 [Essential: yes; Priority: required]",
                "cron 4 amd64 [Priority: important]",
                "libc6 9 amd64",
            ],
        ),
    ]);
    let versions = |resolution: &Resolution| {
        let all = artifacts(resolution).into_iter().filter(|one| one.schema == "apt/1");
        all.map(|one| format!("{}={}", one.name, one.version)).collect::<Vec<_>>().join(" ")
    };
    // debootstrap asks neither which version fits nor who provides something, and never sees another suite.
    let all_of_one = "apt=2 base-files=1 base-passwd=1 cron=3 data=1 dpkg=1 libc6=2 mawk=1";
    assert_eq!(versions(&resolved(&fake, &["@debootstrap"]).unwrap()), all_of_one);
    // apt does.
    let of_apt = "apt=2 base-files=1 base-passwd=1 dpkg=2 gawk=1 libc6=9";
    say(&mut fake, r#"{"recommends": false}"#);
    assert_eq!(versions(&resolved(&fake, &["@minbase"]).unwrap()), of_apt);
    assert_eq!(resolved(&fake, &["vim"]).unwrap().notes[0].code, "apt.unsigned");
    // What machines have makes no difference for new ones.
    fake.file(
        "/project/web",
        "Package: libc6\nStatus: install ok installed\nArchitecture: amd64\nVersion: 9\n",
    );
    say(&mut fake, r#"{"baseline": "web"}"#);
    assert_eq!(versions(&resolved(&fake, &["@minbase"]).unwrap()), of_apt);
    assert_eq!(versions(&resolved(&fake, &["@debootstrap"]).unwrap()), all_of_one);
    let updates = machine(&[("stable-security", "", &["dpkg 2 amd64 [Priority: required]"])]);
    assert_eq!(resolved(&updates, &["@debootstrap"]).unwrap_err().code, "apt.no-base");
}

#[test]
fn each_package_knows_the_requests_that_lead_to_it() {
    let fake = machine(&[(
        "stable",
        "",
        &[
            "web 1 amd64 [Depends: server, libc6; Recommends: doc]",
            "nginx 1 amd64 [Provides: server; Depends: libc6]",
            "cron 1 amd64 [Depends: libc6]",
            "libc6 1 amd64",
            "doc 1 all",
        ],
    )]);
    let asked_by = |requests: &[&str]| {
        let resolution = resolved(&fake, requests).unwrap();
        let all = artifacts(&resolution).into_iter().filter(|one| one.schema == "apt/1");
        all.map(|one| format!("{}: {}", one.name, one.requests.join(" "))).collect::<Vec<_>>()
    };
    assert_eq!(
        asked_by(&["web", "cron"]),
        ["cron: apt:cron", "doc: apt:web", "libc6: apt:cron apt:web", "nginx: apt:web", "web: apt:web"]
    );
    assert_eq!(asked_by(&["server", "@all"])[3], "nginx: apt:@all apt:server");
}

#[test]
fn updates_of_security_are_those_of_its_suites() {
    let mut fake = machine(&[
        ("stable", "Label: Debian\n", &["openssl 1 amd64", "vim 9 amd64", "vim 8 amd64"]),
        ("stable-security", "Label: Debian-Security\n", &["openssl 2 amd64", "bind 3 amd64"]),
    ]);
    let installed = |name: &str, version: &str| {
        format!("Package: {name}\nStatus: install ok installed\nArchitecture: amd64\nVersion: {version}\n\n")
    };
    fake.file("/project/web/status", [installed("openssl", "1"), installed("vim", "8")].concat());
    fake.file("/project/new", installed("openssl", "2"));
    say(&mut fake, r#"{"baseline": ["web/status", "new"]}"#);
    assert_eq!(packages(&resolved(&fake, &["@security"]).unwrap()), "openssl");
    assert_eq!(packages(&resolved(&fake, &["@upgrades"]).unwrap()), "openssl vim");
}

#[test]
fn what_apt_keeps_outside_it_does_not_remove_inside() {
    // Of two architectures that have a library in lockstep, one has no update yet.
    let fake = || {
        machine(&[
            (
                "stable",
                "",
                &[
                    "lib 1 amd64 [Multi-Arch: same; Priority: optional]",
                    "lib 1 i386 [Multi-Arch: same; Priority: optional]",
                    "user 1 amd64 [Depends: lib; Priority: optional]",
                ],
            ),
            ("stable-security", "", &["lib 2 amd64 [Multi-Arch: same; Priority: optional]"]),
        ])
    };
    let installed = |name: &str, architecture: &str, more: &str| {
        format!(
            "Package: {name}\nStatus: install ok installed\nArchitecture: {architecture}\nPriority: optional\n{more}Version: 1\n\n"
        )
    };
    let (same, depends) = ("Multi-Arch: same\n", "Depends: lib\n");
    let one = [installed("lib", "amd64", same), installed("user", "amd64", depends)].concat();
    let both = one.clone() + &installed("lib", "i386", same);
    let upgrades = |captures: &str| {
        let mut fake = fake();
        fake.file("/project/one/status", &one);
        fake.file("/project/both/status", &both);
        fake.file("/project/both/architectures", "amd64 i386");
        say(&mut fake, &format!(r#"{{"baseline": {captures}}}"#));
        let all = artifacts(&resolved(&fake, &["@upgrades"]).unwrap()).into_iter();
        let all = all
            .filter(|one| one.schema == "apt/1")
            .map(|one| format!("{}:{}={}", one.name, one.qualifier.split(';').next().unwrap(), one.version));
        all.collect::<Vec<_>>()
    };
    assert_eq!(upgrades(r#"["both/status"]"#), Vec::<String>::new());
    assert_eq!(upgrades(r#"["one/status"]"#), ["lib:amd64=2"]);
    // Inside the update is there for both machines, and what has to stay behind on one of them as well.
    assert_eq!(upgrades(r#"["one/status", "both/status"]"#), ["lib:i386=1", "lib:amd64=2"]);
}

/// What Ubuntu's archives do and Debian's do not: phased updates, packages that are packed with zstd, a suite of proposals that
/// nobody takes of his own accord, and archives besides under labels of their own.
#[test]
fn traits_of_ubuntu_are_known() {
    let mut fake = machine(&[
        ("noble", "Origin: Ubuntu\nLabel: Ubuntu\n", &["openssl 1 amd64", "vim 1 amd64", "kernel 1 amd64"]),
        (
            "noble-updates",
            "Origin: Ubuntu\nLabel: Ubuntu\n",
            &["openssl 2 amd64 [Phased-Update-Percentage: 0]"],
        ),
        (
            "noble-proposed",
            "Origin: Ubuntu\nLabel: Ubuntu\nNotAutomatic: yes\nButAutomaticUpgrades: yes\n",
            &["vim 2 amd64"],
        ),
        ("noble-apps-security", "Origin: UbuntuESMApps\nLabel: UbuntuESMApps\n", &["kernel 2 amd64"]),
    ]);
    let installed = |name: &str, version: &str| {
        format!("Package: {name}\nStatus: install ok installed\nArchitecture: amd64\nVersion: {version}\n\n")
    };
    let all = ["openssl", "vim", "kernel"].map(|name| installed(name, "1")).concat();
    fake.file("/project/web", all);
    say(&mut fake, r#"{"baseline": "web"}"#);
    let versions = |requests: &[&str]| {
        let all =
            artifacts(&resolved(&fake, requests).unwrap()).into_iter().filter(|one| one.schema == "apt/1");
        all.map(|one| format!("{}={}", one.name, one.version)).collect::<Vec<_>>().join(" ")
    };
    // Whoever's turn it is, the update is carried; a proposal only for who asks for it.
    assert_eq!(versions(&["@upgrades"]), "kernel=2 openssl=2");
    assert_eq!(versions(&["vim/noble-proposed"]), "vim=2");
    assert_eq!(versions(&["@security"]), "kernel=2");
    let phased = artifacts(&resolved(&fake, &["openssl"]).unwrap());
    let control = phased.iter().find(|one| one.name == "openssl").unwrap().attributes["control"].clone();
    assert!(control.as_str().unwrap().contains("Phased-Update-Percentage: 0"), "byte for byte: {control}");
}

#[test]
fn systems_of_several_architectures_get_what_each_needs() {
    let packages_of =
        ["tool 1 amd64 [Depends: data]", "tool 1 i386 [Depends: data, only]", "only 1 i386", "data 1 all"];
    let mut fake = machine(&[("stable", "", &packages_of)]);
    let qualifiers = |resolution: &Resolution| {
        let all = artifacts(resolution).into_iter().filter(|one| one.schema == "apt/1");
        all.map(|one| format!("{}:{}", one.name, one.qualifier.split(';').next().unwrap()))
            .collect::<Vec<_>>()
            .join(" ")
    };
    let request = wait(AptCollect.parse("apt", "tool", &fake)).unwrap();
    let platforms = ["linux/amd64".to_owned(), "linux/386".to_owned()];
    let resolution = wait(AptCollect.resolve(&[request], &platforms, &fake)).unwrap();
    assert_eq!(qualifiers(&resolution), "data:all only:i386 tool:amd64 tool:i386");
    // One system with both of them.
    say(&mut fake, r#"{"architectures": ["amd64", "i386"]}"#);
    assert_eq!(qualifiers(&resolved(&fake, &["only:i386"]).unwrap()), "only:i386");
    assert_eq!(qualifiers(&resolved(&fake, &["tool"]).unwrap()), "data:all tool:amd64");
}

#[test]
fn what_excludes_each_other_is_resolved_for_itself() {
    let fake =
        machine(&[("stable", "", &["exim 1 amd64 [Conflicts: postfix]", "postfix 1 amd64", "vim 1 amd64"])]);
    let resolution = resolved(&fake, &["exim", "postfix", "vim"]).unwrap();
    assert_eq!(packages(&resolution), "exim postfix vim");
    assert!(resolution.notes.iter().any(|note| note.code == "apt.not-together"));
    let problem = resolved(&fake, &["exim", "postfix", "emacs"]).unwrap_err();
    assert_eq!(problem.message, "apt:emacs cannot be installed");
}

#[test]
fn what_is_carried_is_proved_to_be_enough() {
    let mut fake = machine(&[
        ("stable", "", &["tool 1 amd64 [Depends: data]", "data 1 all", "other 1 amd64"]),
        // Nobody takes from here what is not asked for by the suite's name.
        ("backports", "NotAutomatic: yes\n", &["data 2 all"]),
    ]);
    fake.file(
        "/project/web",
        "Package: other\nStatus: install ok installed\nArchitecture: amd64\nVersion: 0\n",
    );
    say(&mut fake, r#"{"baseline": ["web"]}"#);
    let requests: Vec<Request> = ["tool", "@upgrades"]
        .iter()
        .map(|what| wait(AptCollect.parse("apt", what, &fake)).unwrap())
        .collect();
    let resolution = wait(AptCollect.resolve(&requests, &[], &fake)).unwrap();
    let prove = |without: &str| {
        let mut left = crate::spill::Sorter::new(Path::new("/dev/shm"));
        let kept = artifacts(&resolution).into_iter().filter(|one| one.name != without);
        kept.for_each(|one| left.push(one).unwrap());
        let (left, refs) = (left.finish().unwrap(), resolution.refs.clone());
        let gathered = Gathered { ecosystem: "apt", artifacts: &left, refs: &refs };
        wait(AptCollect.prove_requests(&gathered, &requests, &[], &fake))
    };
    prove("").unwrap();
    let problem = prove("data").unwrap_err();
    assert_eq!((problem.kind, &*problem.code), (Kind::Incomplete, "apt.closure"));
    assert_eq!(problem.message, "of what would be carried, apt:tool cannot be installed on web");
    assert!(problem.causes[0].contains("Depends: data"), "{problem:?}");
    assert!(prove("tool").is_err());
}
