//! Lockfiles of one project as each client wrote it, with a workspace, an alias, packages for other platforms, peers, and
//! strip-ansi overridden (but by npm 6, which has neither workspaces nor overrides); only the hosts were changed.

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;

use super::*;
use crate::ecosystem::npm::lock::{EdgeKind, Node, Overrides, Place, place};

const ALL: [(Client, &str); 7] = [
    (Client::Npm, "npm-6.json"),
    (Client::Yarn, "yarn-1.lock"),
    (Client::Yarn, "yarn-berry.lock"),
    (Client::Pnpm, "pnpm-5.yaml"),
    (Client::Pnpm, "pnpm-6.yaml"),
    (Client::Pnpm, "pnpm-9.yaml"),
    (Client::Bun, "bun.lock"),
];

fn fixture(name: &str) -> Vec<u8> {
    std::fs::read(format!("{}/fixtures/npm/locks/{name}", env!("CARGO_MANIFEST_DIR"))).unwrap()
}

fn packages(lock: &Lock) -> BTreeMap<String, Node<'_>> {
    let packages = lock.nodes().filter_map(|node| match place(node) {
        Place::Package(name, version) => Some((format!("{name}@{version}"), node)),
        Place::Elsewhere => None,
    });
    packages.collect()
}

#[test]
fn every_client_says_the_same_of_one_project() {
    let pnpm = read(Client::Pnpm, &fixture("pnpm-9.yaml")).unwrap();
    let expected: BTreeSet<String> = packages(&pnpm.lock).into_keys().collect();
    assert_eq!(expected.len(), 48);
    for (client, name) in ALL {
        let read = read(client, &fixture(name)).unwrap();
        let found = packages(&read.lock);
        let names: BTreeSet<String> = found.keys().cloned().collect();
        match name {
            "npm-6.json" => {}
            // It adds what builds packages that have scripts.
            "yarn-berry.lock" => assert!(names.is_superset(&expected), "{name}: {names:?}"),
            _ => assert_eq!(names, expected, "{name}"),
        }
        for package in [
            "@isaacs/cliui@8.0.2",
            "string-width@4.2.3",
            "string-width@5.1.2",
            "ms@2.1.3",
            "JSONStream@1.3.5",
        ] {
            assert!(found.contains_key(package), "{name}: {package}");
        }
        for (package, node) in found.iter().filter(|(package, _)| expected.contains(*package)) {
            let is_said = node.integrity().is_some_and(|integrity| integrity.starts_with("sha512-"));
            assert!(is_said || name == "yarn-berry.lock", "{name}: {package}");
            let is_of_a_platform = package.starts_with("@esbuild/") || package.starts_with("fsevents@");
            let is_optional = name != "yarn-1.lock" && is_of_a_platform;
            assert_eq!(node.flags().optional, is_optional, "{name}: {package}");
        }
    }
}

#[test]
fn every_edge_leads_somewhere_and_overridden_ones_are_told() {
    for (client, name) in ALL {
        let read = read(client, &fixture(name)).unwrap();
        let mut overrides = Overrides::default();
        overrides.extend(read.overridden);
        for edge in read.lock.edges().filter(|edge| edge.kind == EdgeKind::Runtime) {
            assert!(edge.to.is_some(), "{name}: {} {} {}", edge.from.path(), edge.name, edge.range);
        }
        assert!(read.lock.unmet_by_project(&overrides).is_empty(), "{name}");
        let bent = read.lock.bent_edges(&overrides);
        let bent = bent.get(&("@isaacs/cliui".to_owned(), "8.0.2".to_owned()));
        let told: Vec<String> =
            bent.into_iter().flatten().map(|one| format!("{}@{}", one.name, one.range)).collect();
        match name {
            "npm-6.json" => assert!(told.is_empty()),
            _ => assert!(told.contains(&"strip-ansi@6.0.1".to_owned()), "{name}: {told:?}"),
        }
    }
}

#[test]
fn workspaces_are_known_and_lead_on() {
    for (client, name) in ALL.into_iter().filter(|(_, name)| !matches!(*name, "npm-6.json" | "yarn-1.lock")) {
        let read = read(client, &fixture(name)).unwrap();
        let directory = read.lock.at("packages/w").unwrap_or_else(|| panic!("{name}"));
        let edges: Vec<_> = read.lock.edges().filter(|edge| edge.from.path() == directory.path()).collect();
        assert_eq!(edges.iter().map(|edge| edge.name).collect::<Vec<_>>(), ["ms"], "{name}");
        assert_eq!(edges[0].to.map(place), Some(Place::Package("ms", "2.1.3")), "{name}");
        let own = read.lock.edges().filter(|edge| edge.from.path().is_empty());
        let by_name: BTreeMap<&str, Option<Place<'_>>> =
            own.map(|edge| (edge.name, edge.to.map(place))).collect();
        assert_eq!(by_name["w"], Some(Place::Elsewhere), "{name}");
        assert_eq!(by_name["mine"], Some(Place::Package("ms", "2.1.3")), "{name}");
    }
}

fn pnpm(text: &str) -> Lockfile {
    read(Client::Pnpm, text.as_bytes()).unwrap()
}

#[test]
fn what_pnpm_has_from_elsewhere_is_told_apart() {
    let lock = pnpm(
        "lockfileVersion: '9.0'\nimporters:\n  .:\n    dependencies:\n      g:\n        specifier: github:u/g\n        version: \
         https://code.example.test/u/g/tar.gz/0123\n      l:\n        specifier: link:../l\n        version: link:../l\n      \
         f:\n        specifier: file:f\n        version: file:f\n      r:\n        specifier: git+ssh://git@x.example.test/r\n        \
         version: git+ssh://git@x.example.test/r#0123\npackages:\n  g@https://code.example.test/u/g/tar.gz/0123:\n    \
         resolution: {tarball: https://code.example.test/u/g/tar.gz/0123}\n    version: 1.0.0\n  f@file:f:\n    resolution: \
         {directory: f, type: directory}\n  r@git+ssh://git@x.example.test/r#0123:\n    resolution: {commit: '0123', repo: \
         git+ssh://git@x.example.test/r, type: git}\n    version: 2.0.0\nsnapshots:\n  g@https://code.example.test/u/g/tar.gz/0123: {}\n  f@file:f: {}\n  \
         r@git+ssh://git@x.example.test/r#0123: {}\n",
    )
    .lock;
    let resolved: BTreeMap<_, _> =
        lock.nodes().filter_map(|node| Some((node.name()?, node.resolved()?.into_owned()))).collect();
    assert_eq!(resolved["g"], "https://code.example.test/u/g/tar.gz/0123");
    assert_eq!(resolved["r"], "git+ssh://git@x.example.test/r#0123");
    assert_eq!(resolved["f"], "file:f");
    assert!(lock.unmet_by_project(&Overrides::default()).is_empty());
}

#[test]
fn old_names_of_pnpm_are_taken_apart() {
    let lock = pnpm(
        "lockfileVersion: 5.3\nspecifiers:\n  '@s/a': ^1\ndependencies:\n  '@s/a': 1.0.0_b@2.0.0\npackages:\n  \
         /@s/a/1.0.0_b@2.0.0:\n    resolution: {integrity: sha512-AA==}\n    dependencies: {c: /other/3.0.0}\n  \
         /other/3.0.0:\n    resolution: {integrity: sha512-AA==}\n",
    )
    .lock;
    assert_eq!(packages(&lock).into_keys().collect::<Vec<_>>(), ["@s/a@1.0.0", "other@3.0.0"]);
    let edges: Vec<_> =
        lock.edges().map(|edge| (edge.name.to_owned(), edge.range.to_owned(), edge.to.is_some())).collect();
    assert!(edges.contains(&("c".to_owned(), "npm:other@3.0.0".to_owned(), true)), "{edges:?}");
}

#[test]
fn yarns_older_checksums_and_addresses_are_read() {
    let text = "# yarn lockfile v1\n\n\na@^1, \"a@>=1 <2\":\n  version \"1.0.0\"\n  resolved \
                \"https://r.example.test/a/-/a-1.0.0.tgz#da39a3ee5e6b4b0d3255bfef95601890afd80709\"\n\n\"b@file:./b\":\n  version \"0.0.0\"\n\n\
                \"c@git+https://x.example.test/c\":\n  version \"1.0.0\"\n  resolved \"git+https://x.example.test/c#0123\"\n";
    let read = read(Client::Yarn, text.as_bytes()).unwrap();
    assert!(read.is_of_yarn_1);
    let lock = &read.lock;
    let of = |name: &str| lock.nodes().find(|node| node.name() == Some(name)).unwrap();
    assert_eq!(of("a").integrity(), Some("sha1-2jmj7l5rSw0yVb/vlWAYkK/YBwk="));
    assert_eq!(of("a").resolved().as_deref(), Some("https://r.example.test/a/-/a-1.0.0.tgz"));
    assert_eq!(of("b").resolved().as_deref(), Some("file:./b"));
    assert_eq!(of("c").resolved().as_deref(), Some("git+https://x.example.test/c#0123"));
}

#[test]
fn berrys_patches_and_addresses_are_read() {
    let text = "__metadata:\n  version: 8\n\n\"a@npm:^1.0.0\":\n  version: 1.0.0\n  resolution: \
                \"a@npm:1.0.0::__archiveUrl=https%3A%2F%2Ffiles.example.test%2Fa.tgz\"\n\n\"a@patch:a@npm%3A^1.0.0#x\":\n  version: 1.0.0\n  \
                resolution: \"a@patch:a@npm%3A1.0.0%3A%3A__archiveUrl=https%253A%252F%252Ffiles.example.test%252Fa.tgz#x::version=1.0.0\"\n\n\"app@workspace:.\":\n  version: \
                0.0.0-use.local\n  resolution: \"app@workspace:.\"\n  dependencies:\n    a: \"patch:a@npm%3A^1.0.0#x\"\n    g: \
                \"https://x.example.test/g.git\"\n    old: ^2\n\n\"g@https://x.example.test/g.git\":\n  version: 1.0.0\n  resolution: \
                \"g@https://x.example.test/g.git#commit=0123\"\n\n\"old@npm:^2\":\n  version: 2.0.0\n  resolution: \"old@npm:2.0.0\"\n";
    let lock = read(Client::Yarn, text.as_bytes()).unwrap().lock;
    let of = |name: &str| lock.nodes().find(|node| node.name() == Some(name)).unwrap();
    assert_eq!(of("a").resolved().as_deref(), Some("https://files.example.test/a.tgz"));
    assert_eq!(of("g").resolved().as_deref(), Some("git+https://x.example.test/g.git#commit=0123"));
    let own: Vec<_> = lock.edges().filter(|edge| edge.to.is_some()).map(|edge| edge.name).collect();
    assert_eq!(own, ["a", "g", "old"]);
}

#[test]
fn bad_lockfiles_are_refused_with_their_place() {
    for (client, text, message, line) in [
        (Client::Pnpm, "lockfileVersion: '9.0'\npackages: {a: 'x\n", "is not YAML", 2),
        (Client::Pnpm, "packages: {}\n", "`lockfileVersion`", 1),
        (Client::Pnpm, "lockfileVersion: '12.0'\n", "version 12.0", 0),
        (Client::Pnpm, "lockfileVersion: '9.0'\npackages:\n  ../../etc@1.0.0: {}\n", "no package name", 1),
        (Client::Pnpm, "lockfileVersion: '9.0'\npackages: x\n", "where a mapping should stand", 2),
        (Client::Yarn, "a@1\n  version \"1.0.0\"\n", "no colon", 1),
        (Client::Yarn, "a@1:\n  version \"1.0.0\n", "cannot be read", 2),
        (Client::Yarn, "a@1:\n  version \"one\"\n", "no version", 1),
        (Client::Yarn, "__metadata:\n  version: 8\n\"a@npm:1\":\n  version: 1.0.0\n", "no resolution", 3),
        (Client::Bun, "{\n\"lockfileVersion\": 1,\n\"packages\": {\"a\": [7]}}", "cannot be read", 3),
        (Client::Bun, "{\"lockfileVersion\": 1, // x\n]", "damaged", 2),
        (Client::Bun, "{\"lockfileVersion\": 9}", "version 9", 0),
        (Client::Npm, "{\"lockfileVersion\":1,\n\"dependencies\":{\"a\":{\"version\":7}}}", "damaged", 2),
    ] {
        let damage = read(client, text.as_bytes()).unwrap_err();
        assert!(damage.message.contains(message), "{text}: {}", damage.message);
        assert_eq!(damage.line, line, "{text}: {}", damage.message);
        let problem = damage.explain(client, Path::new("project/lock"), text.as_bytes());
        assert!(!problem.hints.is_empty());
    }
    let conflict = "lockfileVersion: '9.0'\n<<<<<<< HEAD\n";
    let damage = read(Client::Pnpm, conflict.as_bytes()).unwrap_err();
    let problem = damage.explain(Client::Pnpm, Path::new("lock"), conflict.as_bytes());
    assert_eq!(
        (problem.place.as_deref(), problem.message.as_str()),
        (Some("lock:2"), "the lockfile holds an unresolved merge conflict")
    );
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(16))]
    #[test]
    fn no_damage_panics(which in 0usize..7, at: prop::sample::Index, byte: u8, cut: prop::sample::Index) {
        let (client, name) = ALL[which];
        let mut bytes = fixture(name);
        let place = at.index(bytes.len());
        bytes[place] = byte;
        let _ = read(client, &bytes);
        bytes.truncate(cut.index(bytes.len()));
        let _ = read(client, &bytes);
    }
}
