//! What a person looks at before, and after, something is carried in: diff, inspect, why, status.

use serde_json::json;

use crate::support::fake_upstream::FakeUpstream;
use crate::support::npm_project::{self, Package, lockfile, package, publish, write_project};
use crate::support::sides::{Ran, Sides};

/// A project outside, and an inside that trusts it.
struct Carry {
    sides: Sides,
    upstream: FakeUpstream,
}

impl Carry {
    fn new() -> Carry {
        let carry = Carry { sides: Sides::new(), upstream: FakeUpstream::start() };
        carry.sides.trust();
        carry
    }

    fn run(&self, arguments: &[&str]) -> Ran {
        let mut command = self.sides.command("out");
        npm_project::reach(&mut command, &self.upstream);
        command.args(arguments).output().unwrap().into()
    }

    /// Collects a project of these packages and a file; the bundle.
    #[track_caller]
    fn collect(&self, packages: &[Package]) -> String {
        publish(&self.upstream, packages);
        let toml = self.sides.path("project/aftk.toml");
        if toml.exists() {
            self.sides.write("package-lock.json", lockfile(packages).to_string());
        } else {
            write_project(&self.sides, packages);
        }
        let ran = self.run(&["collect", "--json", "--out", "../stick"]);
        assert_eq!(ran.code, Some(0), "{}", ran.stderr);
        ran.json()["bundle"]["files"][0].as_str().unwrap().to_owned()
    }

    fn inside(&self, arguments: &[&str]) -> Ran {
        self.sides.run("in", arguments)
    }
}

fn versions(versions: &[(&'static str, &'static str)]) -> Vec<Package> {
    versions.iter().map(|(name, version)| package(name, version, json!({}), 4000)).collect()
}

#[test]
fn two_bundles_are_compared() {
    let carry = Carry::new();
    let one = carry.collect(&versions(&[("gone", "1.0.0"), ("moved", "1.0.0"), ("same", "1.0.0")]));
    let two = carry.collect(&versions(&[("moved", "1.1.0"), ("new", "2.0.0"), ("same", "1.0.0")]));
    let ran = carry.inside(&["diff", &one, &two]);
    let lines: Vec<&str> = ran.stdout.lines().collect();
    assert_eq!(lines[0], "- npm:gone 1.0.0");
    assert!(lines[1].starts_with("~ npm:moved 1.0.0 -> 1.1.0  (4."), "{lines:?}");
    assert!(lines[2].starts_with("+ npm:new 2.0.0  (4."), "{lines:?}");
    assert_eq!(
        lines[3..],
        [
            "- npm:gone tag latest 1.0.0",
            "~ npm:moved tag latest 1.0.0 -> 1.1.0",
            "+ npm:new tag latest 2.0.0",
        ]
    );
    assert!(
        ran.stderr.contains("from prod sequence 1 to prod sequence 2: 1 package added, 1 package removed, 1 package updated, 3 tags moved, 4 blobs new"),
        "{}",
        ran.stderr
    );
    let report = carry.inside(&["diff", "--json", &one, &two]).json();
    assert_eq!(report["totals"]["new_blobs"], 4);
    let kinds: Vec<_> = report["changes"].as_array().unwrap().iter().map(|one| one["kind"].clone()).collect();
    assert_eq!(json!(kinds), json!(["removed", "updated", "added", "removed", "updated", "added"]));

    assert_eq!(carry.inside(&["diff", &one, &two, "--exit-code"]).code, Some(1));
    let none = carry.inside(&["diff", &one, &one, "--exit-code"]);
    assert_eq!((none.code, none.stdout.as_str()), (Some(0), ""));
    assert!(none.stderr.contains("nothing moved"), "{}", none.stderr);
    assert!(!carry.sides.path("in/store").exists(), "looking makes no store");
    // A directory is a bundle if it has one.
    let several = carry.inside(&["diff", "../stick", &two]);
    assert_eq!((several.code, several.stderr.contains("several bundles")), (Some(2), true));
}

#[test]
fn a_bundle_is_compared_with_what_is_here() {
    let carry = Carry::new();
    let one = carry.collect(&versions(&[("gone", "1.0.0"), ("moved", "1.0.0")]));
    let two = carry.collect(&versions(&[("moved", "1.1.0")]));
    let no_store = carry.inside(&["diff", &one]);
    assert_eq!(no_store.code, Some(2), "{}", no_store.stderr);
    carry.inside(&["import", &one]).done();
    let held = carry.inside(&["diff", &one, "--exit-code"]);
    assert_eq!((held.code, held.stdout.as_str()), (Some(0), ""), "{}", held.stderr);

    // The channel keeps what it has: nothing is removed, and what another one needs is counted once.
    let told = carry.inside(&["diff", &two, "--json"]).json();
    assert_eq!(told["changes"][0]["kind"], "updated");
    assert_eq!(told["changes"][0]["to"], json!(["1.1.0"]));
    assert_eq!((&told["totals"]["removed"], &told["totals"]["new_blobs"]), (&json!(0), &json!(2)));
    assert_eq!(told["from"], json!({"channel": "prod", "sequence": 1}));
    let replacing = carry.sides.path("project/aftk.toml");
    let text = std::fs::read_to_string(&replacing).unwrap();
    std::fs::write(&replacing, text.replace("channel", "mode = \"replace\"\nchannel")).unwrap();
    let three = carry.collect(&versions(&[("moved", "1.1.0")]));
    let told = carry.inside(&["diff", &three]).done();
    assert!(told.contains("- npm:gone 1.0.0\n") && told.contains("~ npm:moved 1.0.0 -> 1.1.0"), "{told}");

    carry.inside(&["import", &three]).done();
    assert_eq!(carry.inside(&["diff", &three, "--exit-code"]).code, Some(0));
}

#[test]
fn a_bundle_that_nobody_trusts_is_not_compared() {
    let carry = Carry::new();
    let one = carry.collect(&versions(&[("a", "1.0.0")]));
    let refused = carry.sides.run("stranger", &["diff", &one, &one]);
    assert_eq!(refused.code, Some(3), "{}", refused.stderr);
}

#[test]
fn a_bundle_is_looked_into_in_every_form() {
    let carry = Carry::new();
    let mut packages = versions(&[("@scope/leaf", "2.0.1"), ("plain", "1.4.0")]);
    packages[1].licence = Some("(MIT OR Apache-2.0)");
    let bundle = carry.collect(&packages);
    let look = |format: &str| carry.inside(&["inspect", "--format", format, &bundle]).done();

    let tree = look("tree");
    assert_eq!(tree, carry.inside(&["inspect", &bundle]).done());
    let report = carry.inside(&["inspect", "--json", &bundle]).json();
    let [name, key] = ["name", "key"].map(|field| report["bundles"][0]["signatures"][0][field].clone());
    let (name, key) = (name.as_str().unwrap(), key.as_str().unwrap());
    let signed = format!("  signed by {name} {key}: trusted here (snapshot and packing list)");
    assert!(tree.contains(&signed), "{tree}");
    assert!(tree.contains("  evidence  2 of 5 files with a checksum of upstream's"), "{tree}");
    let line = tree.lines().find(|line| line.contains("pkg:npm/plain@1.4.0")).unwrap();
    assert!(line.ends_with("KiB  (MIT OR Apache-2.0)"), "{line}");

    let table = look("table");
    let columns: Vec<&str> =
        table.lines().find(|line| line.contains("/plain@")).unwrap().split_whitespace().collect();
    assert_eq!(columns[3..], ["(MIT", "OR", "Apache-2.0)", "npm", "plain/-/plain-1.4.0.tgz"]);

    let csv = look("csv");
    assert_eq!(csv.lines().count(), 6, "a line for each file");
    assert!(csv.lines().all(|line| line.matches(',').count() == 10), "{csv}");
    assert!(
        csv.contains("prod,1,pkg:npm/%40scope/leaf@2.0.1,,npm,tarball,'@scope/leaf/-/leaf-2.0.1.tgz,4000,"),
        "{csv}"
    );

    assert_eq!(serde_json::from_str::<serde_json::Value>(&look("json")).unwrap(), report);
    let plain = &report["bundles"][0]["artifacts"][2];
    assert_eq!(
        (&plain["purl"], &plain["licence"]),
        (&json!("pkg:npm/plain@1.4.0"), &json!("(MIT OR Apache-2.0)"))
    );
    assert_eq!(report["bundles"][0]["signatures"][0]["verdict"], "trusted");

    let cyclonedx: serde_json::Value = serde_json::from_str(&look("cyclonedx")).unwrap();
    assert_eq!(look("cyclonedx"), look("cyclonedx"), "the same bundle makes the same document");
    let components = cyclonedx["components"].as_array().unwrap();
    assert_eq!(components.len(), 3);
    assert_eq!(components[2]["licenses"], json!([{"expression": "(MIT OR Apache-2.0)"}]));
    let sha256 = bundle_format::BlobKey::of(&packages[1].tarball).hex();
    assert_eq!(components[2]["hashes"][0], json!({"alg": "SHA-256", "content": sha256}));

    let spdx: serde_json::Value = serde_json::from_str(&look("spdx")).unwrap();
    let package = &spdx["packages"][2];
    assert_eq!(package["licenseDeclared"], "(MIT OR Apache-2.0)");
    assert_eq!(package["externalRefs"][0]["referenceLocator"], "pkg:npm/plain@1.4.0");
    assert_eq!(spdx["relationships"][2]["relatedSpdxElement"], package["SPDXID"]);

    let two =
        carry.inside(&["inspect", "--format", "spdx", &bundle, &carry.collect(&versions(&[("b", "1.0.0")]))]);
    assert_eq!(two.code, Some(2), "{}", two.stderr);
}

#[test]
fn why_something_is_here_is_told_on_both_sides() {
    let carry = Carry::new();
    let mut packages = versions(&[("leaf", "2.0.1"), ("other", "1.0.0"), ("top", "0.3.0")]);
    packages[2].dependencies = json!({"leaf": "^2.0.0"});
    let bundle = carry.collect(&packages);

    let outside = carry.run(&["why", "pkg:npm/leaf@2.0.1"]).done();
    for expected in [
        "pkg:npm/leaf@2.0.1\n",
        "  requested npm:./package-lock.json\n",
        "  needed by pkg:npm/top@0.3.0 (runtime ^2.0.0)\n",
        "            from leaf/-/leaf-2.0.1.tgz of npm\n",
        "            upstream says sha512:",
        "  brought   by bundle:prod/1, created ",
        "(collector)\n",
        "  tags      latest\n",
    ] {
        assert!(outside.contains(expected), "{expected:?} is not in:\n{outside}");
    }

    let before = carry.inside(&["import", &bundle, "--dry-run"]);
    assert_eq!(before.code, Some(0), "{}", before.stderr);
    carry.inside(&["import", &bundle]).done();
    std::fs::remove_file(carry.sides.path("project/aftk.toml")).unwrap();
    let inside = carry.inside(&["why", "npm:leaf", "--json"]).json();
    let told = &inside["artifacts"][0];
    assert_eq!((&told["purl"], &told["locked"]), (&json!("pkg:npm/leaf@2.0.1"), &json!(null)));
    let brought = &told["brought"][0];
    assert_eq!((&brought["source"], &brought["snapshot"]["sequence"]), (&json!("channel:prod"), &json!(1)));
    assert!(!brought["snapshot"]["signer_names"][0].as_str().unwrap().is_empty());

    let nothing = carry.inside(&["why", "pkg:npm/nobody@1.0.0"]);
    assert_eq!(nothing.code, Some(4), "{}", nothing.stderr);
}

#[test]
fn why_tells_from_the_lock_before_anything_is_collected() {
    let carry = Carry::new();
    let packages = versions(&[("leaf", "2.0.1")]);
    publish(&carry.upstream, &packages);
    write_project(&carry.sides, &packages);
    carry.run(&["lock"]).done();
    let told = carry.run(&["why", "npm:leaf", "--json"]).json();
    let told = &told["artifacts"][0];
    let requests = &told["locked"]["requests"];
    assert_eq!((&told["brought"], requests), (&json!([]), &json!(["npm:./package-lock.json"])));
    let told = carry.run(&["why", "file:manual.txt", "--json"]).json();
    assert_eq!(told["artifacts"][0]["locked"]["requests"], json!(["file:./manual.txt"]));

    // Of a single request the lock says it once.
    let path = carry.sides.path("project/aftk.toml");
    let project = std::fs::read_to_string(&path).unwrap().replace(", \"file:./manual.txt\"", "");
    std::fs::write(&path, project).unwrap();
    carry.run(&["lock"]).done();
    let lock = std::fs::read_to_string(carry.sides.path("project/aftk.lock")).unwrap();
    assert_eq!(lock.matches("requests").count(), 1, "{lock}");
    let told = carry.run(&["why", "npm:leaf", "--json"]).json();
    assert_eq!(told["artifacts"][0]["locked"]["requests"], json!(["npm:./package-lock.json"]));
}

#[test]
fn how_channels_stand_is_told_and_stale_ones_end_with_seven() {
    let carry = Carry::new();
    let bundles: Vec<String> = ["1.0.0", "2.0.0", "3.0.0"]
        .into_iter()
        .map(|version| carry.collect(&[package("plain", version, json!({}), 100)]))
        .collect();
    for bundle in [&bundles[0], &bundles[2]] {
        carry.inside(&["import", bundle]).done();
    }
    let told = carry.inside(&["status"]).done();
    assert!(told.starts_with("prod\n  newest    sequence 3, created 2"), "{told}");
    assert!(told.contains("  arrived   2 snapshots; never arrived: sequence 2\n"), "{told}");
    assert!(told.contains("  visible   sequence 3, 3 artifacts (generation 2)\n"), "{told}");
    carry.inside(&["import", &bundles[1]]).done();
    let report = carry.inside(&["status", "prod", "--json"]).json();
    let prod = &report["channels"][0];
    assert_eq!((&prod["snapshots"], prod.get("not_arrived")), (&json!(3), None));
    assert_eq!(carry.inside(&["status", "other"]).code, Some(2));

    // What was expected and never came is stale as well, and what is old.
    let site = carry.sides.path("in/site.toml");
    std::fs::write(
        &site,
        "format = 1\n[channel.prod]\nmax_age = \"1w\"\n[channel.other]\nmax_age = \"1w\"\n",
    )
    .unwrap();
    let stale = carry.inside(&["status"]);
    assert_eq!(stale.code, Some(7), "{}", stale.stderr);
    assert!(
        stale.stdout.contains("other: stale\n  stale     nothing of it ever arrived"),
        "{}",
        stale.stdout
    );
    assert!(stale.stdout.contains("\nprod\n"), "{}", stale.stdout);
    assert_eq!(carry.inside(&["status", "prod"]).code, Some(0));
    let json = carry.inside(&["status", "--json"]).json();
    assert_eq!((&json["exit_code"], &json["error"]["code"]), (&json!(7), &json!("channel.stale")));
}

#[test]
fn volumes_that_did_not_arrive_are_told() {
    let carry = Carry::new();
    carry.sides.write("large.bin", vec![7_u8; 5 << 20]);
    let out = ["collect", "--json", "--out", "../stick", "--volume-size", "2MiB", "file:./large.bin"];
    let ran = carry.run(&out);
    assert_eq!(ran.code, Some(0), "{}", ran.stderr);
    let files: Vec<String> =
        carry.sides.medium().iter().map(|path| path.to_str().unwrap().to_owned()).collect();
    assert_eq!(files.len(), 3);
    assert_eq!(carry.inside(&["import", &files[1]]).code, Some(4));
    let told = carry.inside(&["status"]);
    assert_eq!(told.code, Some(4), "{}", told.stderr);
    let expected =
        "default\n  arrived   0 snapshots\n  missing   of sequence 1: volume 1, 3 of 3 (the first arrived 2";
    assert!(told.stdout.starts_with(expected), "{}", told.stdout);
    // Looking into a bundle wants its lists, which the first volume has.
    let lone = carry.inside(&["inspect", &files[1]]);
    assert_eq!(lone.code, Some(4), "{}", lone.stderr);
    let inspected = carry.inside(&["inspect", &files[0]]).done();
    assert!(inspected.contains("  volumes   1 of 3\n"), "{inspected}");
    carry.inside(&["import", "../stick"]).done();
    assert_eq!(carry.inside(&["status"]).code, Some(0));
    assert_eq!(carry.inside(&["diff", "../stick", "--exit-code"]).code, Some(0));
}
