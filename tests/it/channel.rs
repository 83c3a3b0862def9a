//! Sequences, forks, channels and keys, as sites and collectors meet them.

use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use crate::support::fake_upstream::FakeUpstream;
use crate::support::npm_project::{self, lockfile, package, publish};
use crate::support::sides::{Ran, Sides, checked, copy_directory};
use aftk::cancel::Cancel;
use aftk::events::{Events, Happening};
use aftk::ops::import::{self, ImportRequest};
use aftk::store::Store;
use aftk::trust::Trust;

/// An outside that publishes one package after the other, and an inside that trusts it.
struct Channel {
    sides: Sides,
    upstream: FakeUpstream,
}

impl Channel {
    fn new() -> Channel {
        let channel = Channel { sides: Sides::new(), upstream: FakeUpstream::start() };
        channel.sides.write(".npmrc", format!("registry={}\n", npm_project::REGISTRY));
        channel.sides.trust();
        channel
    }

    /// The home collects these words; what is printed with `--json`.
    fn collect(&self, home: &str, words: &[&str]) -> Ran {
        let mut command = self.sides.command(home);
        npm_project::reach(&mut command, &self.upstream);
        command.args(["collect", "--json", "--out", "../stick"]).args(words).output().unwrap().into()
    }

    /// Collects `plain` in this version, which becomes its latest; the bundle.
    #[track_caller]
    fn collect_version(&self, version: &'static str) -> PathBuf {
        let packages = [package("plain", version, json!({}), 700)];
        publish(&self.upstream, &packages);
        self.sides.write("package-lock.json", lockfile(&packages).to_string());
        self.bundle(self.collect("out", &["npm:./package-lock.json", "--channel", "prod"]))
    }

    /// The bundle that was collected.
    #[track_caller]
    fn bundle(&self, ran: Ran) -> PathBuf {
        assert_eq!(ran.code, Some(0), "{}", ran.stderr);
        self.sides.path("project").join(ran.json()["bundle"]["files"][0].as_str().unwrap())
    }

    fn import(&self, bundle: &Path) -> Ran {
        self.sides.run("in", &["import", "--json", bundle.to_str().unwrap()])
    }

    #[track_caller]
    fn imported(&self, bundle: &Path) -> String {
        let ran = self.import(bundle);
        assert_eq!(ran.code, Some(0), "{}", ran.stderr);
        ran.json()["bundles"][0]["outcome"].as_str().unwrap().to_owned()
    }

    #[track_caller]
    fn refused(&self, bundle: &Path, code: i32, what: &str) {
        let before = self.shown();
        let ran = self.import(bundle);
        assert_eq!((ran.code, &ran.json()["error"]["code"]), (Some(code), &json!(what)), "{}", ran.stderr);
        assert_eq!(self.shown(), before);
        // Whoever looks into the log later finds it.
        let (entry, _) = self.inside().catalogue.audit(0, 1000).unwrap().pop().unwrap();
        assert_eq!((entry.action.as_str(), entry.subject["code"].as_str()), ("refused", what));
    }

    fn inside(&self) -> Store {
        Store::open(&self.sides.path("in")).unwrap()
    }

    fn shown(&self) -> Vec<String> {
        crate::support::sides::shown(&self.inside())
    }

    fn latest(&self) -> String {
        let refs = self.inside().catalogue.refs("npm", None, "plain", None).unwrap();
        refs.into_iter().find(|found| found.reference.label == "latest").unwrap().reference.version
    }
}

#[test]
fn an_overtaken_snapshot_adds_and_moves_no_tag() {
    let channel = Channel::new();
    let [one, two, three] = ["1.0.0", "2.0.0", "3.0.0"].map(|version| channel.collect_version(version));
    assert_eq!(channel.imported(&one), "imported");
    assert_eq!(channel.latest(), "1.0.0");
    assert_eq!(channel.imported(&three), "imported");
    assert_eq!(channel.imported(&two), "imported-late");
    assert_eq!(channel.latest(), "3.0.0");
    let versions = ["1.0.0", "2.0.0", "3.0.0"].map(|version| format!("pkg:npm/plain@{version} channel:prod"));
    assert_eq!(channel.shown(), versions);
    let state = channel.inside().catalogue.channel("prod").unwrap().unwrap();
    assert_eq!((state.epoch, state.sequence), (1, 3));

    // Again, in any order, is nothing to do.
    let revision = channel.inside().catalogue.revision().unwrap();
    for bundle in [&two, &one, &three] {
        assert_eq!(channel.imported(bundle), "already-held");
    }
    assert_eq!(channel.inside().catalogue.revision().unwrap(), revision);
    // A whole directory is imported by name.
    channel.sides.run("other", &["key", "trust", "collector.pem"]).done();
    channel.sides.run("other", &["import", channel.sides.path("stick").to_str().unwrap()]).done();
}

#[test]
fn an_overtaken_snapshot_replaces_what_only_older_ones_said() {
    let channel = Channel::new();
    let collect = |files: &[(&str, &str)]| {
        for (name, content) in files {
            channel.sides.write(name, content);
        }
        let words: Vec<String> = files.iter().map(|(name, _)| format!("file:./{name}")).collect();
        channel.bundle(channel.collect("out", &words.iter().map(String::as_str).collect::<Vec<_>>()))
    };
    let one = collect(&[("a.txt", "one"), ("b.txt", "one")]);
    let two = collect(&[("a.txt", "two"), ("b.txt", "two")]);
    // It says of b what the first said: to take up an older word is a newer word.
    let three = collect(&[("b.txt", "one")]);
    for (bundle, outcome) in [(one, "imported"), (three, "imported"), (two, "imported-late")] {
        assert_eq!(channel.imported(&bundle), outcome);
    }
    for (name, content) in [("a.txt", "two"), ("b.txt", "one")] {
        let found = channel.inside().catalogue.file_at("file", "file/1", None, name).unwrap().unwrap();
        assert_eq!(found.file.blob, bundle_format::BlobKey::of(content.as_bytes()), "{name}");
    }
}

#[test]
fn a_fork_is_refused_and_logged() {
    let channel = Channel::new();
    channel.sides.write("a.txt", "first");
    // The same key, and two ledgers: a home that was copied.
    copy_directory(&channel.sides.path("out"), &channel.sides.path("twin"));
    let one = channel.bundle(channel.collect("out", &["file:./a.txt"]));
    assert_eq!(channel.imported(&one), "imported");
    std::fs::rename(&one, channel.sides.path("one.aftk.tar")).unwrap();
    channel.sides.write("b.txt", "second");
    let fork = channel.bundle(channel.collect("twin", &["file:./b.txt"]));
    channel.refused(&fork, 6, "trust.fork");
}

#[test]
fn replace_shows_exactly_what_is_listed() {
    let channel = Channel::new();
    let project = |requests: &str| {
        channel
            .sides
            .write("aftk.toml", format!("format = 1\nmode = \"replace\"\nrequests = [{requests}]\n"));
        _ = std::fs::remove_file(channel.sides.path("project/aftk.lock"));
        channel.bundle(channel.collect("out", &[]))
    };
    for name in ["a", "b"] {
        channel.sides.write(&format!("{name}.txt"), name);
    }
    let both = project("\"file:./a.txt\", \"file:./b.txt\"");
    let only_b = project("\"file:./b.txt\"");
    let again = project("\"file:./a.txt\", \"file:./b.txt\"");
    assert_ne!(both, again, "a site that replaces must be told to go back");
    let names = || {
        channel.shown().iter().map(|shown| shown["pkg:generic/".len()..][..5].to_owned()).collect::<Vec<_>>()
    };
    channel.imported(&both);
    assert_eq!(names(), ["a.txt", "b.txt"]);
    channel.imported(&only_b);
    assert_eq!(names(), ["b.txt"]);
    // Imported before: it does not come back by itself.
    assert_eq!(channel.imported(&both), "already-held");
    assert_eq!(names(), ["b.txt"]);
    assert_eq!(channel.imported(&again), "imported");
    assert_eq!(names(), ["a.txt", "b.txt"]);
}

#[test]
fn one_channel_does_not_shadow_another() {
    let channel = Channel::new();
    channel.sides.write("tool", "of prod");
    let prod = channel.bundle(channel.collect("out", &["file:./tool", "--channel", "prod"]));
    assert_eq!(channel.imported(&prod), "imported");
    // Another collector, trusted for everything, brings other bytes under the same name.
    channel.sides.write("dev.pem", channel.sides.run("dev", &["key", "show"]).done());
    channel.sides.run("in", &["key", "trust", "dev.pem", "--name", "developer"]).done();
    channel.sides.write("third.pem", channel.sides.run("third", &["key", "show"]).done());
    channel.sides.run("in", &["key", "trust", "third.pem", "--name", "third"]).done();
    channel.sides.write("tool", "of dev");
    let dev = channel.bundle(channel.collect("dev", &["file:./tool", "--channel", "dev"]));
    channel.refused(&dev, 6, "policy.shadowed");
    // The same bytes are no conflict.
    channel.sides.write("tool", "of prod");
    let same = channel.bundle(channel.collect("third", &["file:./tool", "--channel", "same"]));
    assert_eq!(channel.imported(&same), "imported");
}

#[test]
fn what_a_newer_snapshot_replaced_does_not_come_back_late() {
    let channel = Channel::new();
    let mut bundles = Vec::new();
    for name in ["a", "b", "c"] {
        channel.sides.write(&format!("{name}.txt"), name);
        channel.sides.write(
            "aftk.toml",
            format!("format = 1\nmode = \"replace\"\nrequests = [\"file:./{name}.txt\"]\n"),
        );
        _ = std::fs::remove_file(channel.sides.path("project/aftk.lock"));
        bundles.push(channel.bundle(channel.collect("out", &[])));
    }
    channel.imported(&bundles[0]);
    channel.imported(&bundles[2]);
    let shown = channel.shown();
    channel.refused(&bundles[1], 6, "trust.overtaken");
    assert_eq!(channel.shown(), shown);
}

#[test]
fn a_path_means_one_file_whatever_repository_it_is_in() {
    let channel = Channel::new();
    let mut bundles = Vec::new();
    for (name, body) in [("dev", "evil"), ("prod", "good")] {
        let upstream = FakeUpstream::start();
        upstream.route("/tool.bin", crate::support::fake_upstream::Reply::ok(body));
        let digest = bundle_format::BlobKey::of(body.as_bytes()).hex();
        let request = format!("file:{}/tool.bin#sha256={digest}", upstream.url());
        bundles.push(channel.bundle(channel.collect("out", &[&request, "--channel", name])));
    }
    channel.imported(&bundles[0]);
    channel.refused(&bundles[1], 6, "policy.shadowed");
}

#[test]
fn a_collector_may_fill_channels_that_differ_for_sites_that_differ() {
    let channel = Channel::new();
    let [prod, dev] = ["prod", "dev"].map(|name| {
        channel.sides.write("tool", format!("of {name}"));
        channel.bundle(channel.collect("out", &["file:./tool", "--channel", name]))
    });
    assert_eq!(channel.imported(&dev), "imported");
    channel.refused(&prod, 6, "policy.shadowed");
}

#[test]
fn only_keys_that_may_sign_a_channel_are_obeyed() {
    let channel = Channel::new();
    channel.sides.write("a.txt", "a");
    let prod = channel.bundle(channel.collect("out", &["file:./a.txt", "--channel", "prod"]));

    let stranger = |home: &str| channel.sides.run(home, &["import", "--json", prod.to_str().unwrap()]);
    let said = |ran: Ran| (ran.code, ran.json()["error"]["code"].clone());
    assert_eq!(said(stranger("stranger")), (Some(3), json!("trust.unknown-key")));
    channel.sides.run("narrow", &["key", "trust", "collector.pem", "--channel", "dev"]).done();
    let (code, what) = said(stranger("narrow"));
    assert_eq!(code, Some(3), "{what}");
    channel.sides.run("narrow", &["key", "trust", "collector.pem", "--channel", "prod"]).done();
    assert_eq!(stranger("narrow").code, Some(0));

    let id = channel.sides.run("out", &["key", "show", "--json"]).json()["id"].as_str().unwrap().to_owned();
    channel.sides.run("in", &["key", "revoke", &id]).done();
    channel.refused(&prod, 3, "trust.revoked");
    // A key of small order, which any signature fits, and text that is no key.
    let weak = "-----BEGIN PUBLIC KEY-----\nMCowBQYDK2VwAyEAAQAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\n-----END PUBLIC KEY-----\n";
    for (name, pem) in [("weak.pem", weak), ("none.pem", "not a key"), ("empty.pem", "")] {
        channel.sides.write(name, pem);
        let ran = channel.sides.run("in", &["key", "trust", name, "--json"]);
        assert_eq!(ran.code, Some(3), "{name}: {}", ran.stderr);
    }
}

/// Revokes a key as soon as a bundle's bytes are read.
struct Revoking<'a> {
    sides: &'a Sides,
    key: String,
}

impl Events for Revoking<'_> {
    fn emit(&self, happening: Happening) {
        if matches!(happening, Happening::ItemProgress { .. }) {
            // The second time there is nothing to change.
            self.sides.run("in", &["key", "revoke", &self.key, "--compromised"]);
        }
    }
}

#[test]
fn a_key_that_is_revoked_during_an_import_is_not_believed() {
    let channel = Channel::new();
    channel.sides.write("a.txt", "a");
    let bundle = channel.bundle(channel.collect("out", &["file:./a.txt"]));
    let key = channel.sides.run("out", &["key", "show", "--json"]).json()["id"].as_str().unwrap().to_owned();
    let (home, store) = (channel.sides.path("in"), channel.inside());
    let trust = Trust::open(&home).unwrap();
    let request = ImportRequest { paths: vec![bundle], dry_run: false, missing: None };
    let revoking = Revoking { sides: &channel.sides, key };
    let imported = import::import(&store, &trust, &request, &revoking, &Cancel::default());
    let problem = imported.and_then(import::ImportReport::all).unwrap_err();
    assert_eq!((problem.kind.exit_code(), problem.code.as_ref()), (3, "trust.revoked"));
    assert!(channel.shown().is_empty() && store.catalogue.channels().unwrap().is_empty());
}

#[test]
fn the_same_content_is_the_same_snapshot() {
    let channel = Channel::new();
    let held = |ran: &Ran| (ran.json()["bundle"]["sequence"].clone(), ran.json()["bundle"]["held"].clone());
    for (name, content) in [("a.txt", "A"), ("b.txt", "B")] {
        channel.sides.write(name, content);
    }
    let first = channel.collect("out", &["file:./a.txt"]);
    assert_eq!(held(&first), (json!(1), json!(false)));
    assert_eq!(held(&channel.collect("out", &["file:./b.txt"])), (json!(2), json!(false)));
    let bytes = std::fs::read(channel.bundle(first)).unwrap();
    let back = channel.collect("out", &["file:./a.txt"]);
    assert_eq!(held(&back), (json!(1), json!(true)), "a site that adds still shows it");
    assert!(std::fs::read(channel.bundle(back)).unwrap() == bytes);
    // Where another took its place, a site has to be told to go back.
    for (content, expected) in [("other", 3), ("A", 4)] {
        channel.sides.write("a.txt", content);
        assert_eq!(held(&channel.collect("out", &["file:./a.txt"])), (json!(expected), json!(false)));
    }
    let sequences: Vec<_> = channel.sides.medium().iter().map(|bundle| channel.imported(bundle)).collect();
    assert_eq!(sequences, ["imported"; 4]);
    let file = channel.inside().catalogue.file_at("file", "file/1", None, "local/a.txt").unwrap();
    let file = file
        .or_else(|| channel.inside().catalogue.file_at("file", "file/1", None, "a.txt").unwrap())
        .unwrap();
    assert_eq!(file.file.blob, bundle_format::BlobKey::of(b"A"));
}

#[test]
fn a_ledger_that_was_lost_or_edited_is_noticed_before_anything_is_signed() {
    let channel = Channel::new();
    for (name, content) in [("a.txt", "a"), ("b.txt", "b")] {
        channel.sides.write(name, content);
        channel.bundle(channel.collect("out", &[&format!("file:./{name}")]));
    }
    let ledger = channel.sides.path("out/channels/default/aftk.ledger");
    let whole = std::fs::read_to_string(&ledger).unwrap();
    channel.sides.write("c.txt", "c");
    let lines: Vec<&str> = whole.lines().collect();
    let refused = |text: Option<String>, code: i32, what: &str| {
        match &text {
            Some(text) => std::fs::write(&ledger, text).unwrap(),
            None => std::fs::remove_file(&ledger).unwrap(),
        }
        let ran = channel.collect("out", &["file:./c.txt"]);
        assert_eq!(
            (ran.code, &ran.json()["error"]["code"]),
            (Some(code), &json!(what)),
            "{text:?}: {}",
            ran.stderr
        );
        let error = ran.json()["error"].clone();
        assert!(error["place"].as_str().unwrap().contains("aftk.ledger"), "{error}");
        assert!(!error["hints"].as_array().unwrap().is_empty(), "{error}");
        assert_eq!(channel.sides.medium().len(), 2, "something was made");
        std::fs::write(&ledger, &whole).unwrap();
    };
    refused(None, 6, "ledger.fork");
    refused(Some(format!("{}\n", lines[0])), 6, "ledger.fork");
    refused(Some(format!("{}\n{}\n", lines[1], lines[0])), 3, "ledger.invalid");
    refused(Some(format!("{whole}{}\n", lines[0])), 3, "ledger.invalid");
    refused(Some(whole.replace("\"sequence\":2", "\"sequence\":1")), 3, "ledger.invalid");
    refused(Some(format!("{whole}hello\n")), 3, "ledger.invalid");
    // Two projects that call their channel alike.
    std::fs::write(channel.sides.path("project/aftk.toml"), "format = 1\nrequests = [\"file:./c.txt\"]\n")
        .unwrap();
    let ran = channel.collect("out", &[]);
    assert_eq!((ran.code, &ran.json()["error"]["code"]), (Some(6), &json!("ledger.fork")), "{}", ran.stderr);
    assert_eq!(channel.sides.medium().len(), 2);
    assert_eq!(held_sequence(&channel.collect("out", &["file:./c.txt"])), 3);
}

fn held_sequence(ran: &Ran) -> Value {
    ran.json()["bundle"]["sequence"].clone()
}

#[test]
fn what_was_lost_comes_back_with_the_same_bundle_and_nothing_else_changes() {
    let channel = Channel::new();
    let one = channel.collect_version("1.0.0");
    let two = channel.collect_version("2.0.0");
    channel.imported(&one);
    channel.imported(&two);
    let (shown, inside) = (channel.shown(), channel.inside());
    let artifacts = inside.catalogue.artifacts("npm", None, "plain").unwrap();
    for artifact in &artifacts {
        for file in &artifact.artifact.files {
            let path = inside.layout.blob(&file.blob);
            std::fs::remove_file(&path).unwrap();
            std::fs::write(&path, vec![0; file.size as usize]).unwrap();
        }
    }
    let report = checked(&inside);
    assert_eq!((report.damaged_count, report.missing_count), (4, 4));
    let ran = channel.sides.run("in", &["check", "--json"]);
    assert_eq!((ran.code, ran.stdout.contains("missing")), (Some(3), true));
    for bundle in [&one, &two] {
        assert_eq!(channel.imported(bundle), "healed");
        assert_eq!(channel.imported(bundle), "already-held");
    }
    assert!(checked(&channel.inside()).is_sound());
    assert_eq!((channel.shown(), channel.latest()), (shown, "2.0.0".to_owned()));
}

#[test]
fn a_lost_snapshot_or_its_signatures_come_back_too() {
    let channel = Channel::new();
    let bundle = channel.collect_version("1.0.0");
    channel.imported(&bundle);
    let inside = channel.inside();
    let known = inside.catalogue.channels().unwrap();
    let entry = inside.catalogue.snapshots(&known[0].name).unwrap().remove(0);
    for lost in [entry.snapshot, entry.signatures] {
        std::fs::remove_file(inside.layout.blob(&lost)).unwrap();
        assert_eq!(checked(&inside).missing_count, 1);
        assert_eq!(channel.imported(&bundle), "healed");
        assert!(checked(&channel.inside()).is_sound());
        assert_eq!(channel.imported(&bundle), "already-held");
    }
}
