//! npm packages pushed into a registry: that of another site, and one that has the ways of Nexus.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use serde_json::{Value, json};

use crate::support::fake_upstream::{FakeUpstream, Reply, Seen};
use crate::support::hosting::{ADA, Hosting};
use crate::support::npm_packages::{document, integrity, mirror_all, tarball};
use crate::support::raw_http::Client;
use crate::support::sides::{Ran, Sides};

/// A site that holds packages, and another one that they are pushed to.
struct Push {
    sides: Sides,
    target: Hosting,
}

impl Push {
    fn new() -> Push {
        let push = Push { sides: Sides::new(), target: Hosting::start() };
        mirror_all(
            &push.sides.path("in"),
            "@some/tool",
            &["10.0.0", "2.0.0", "3.0.0-rc.1"],
            &[("latest", "2.0.0"), ("next", "3.0.0-rc.1")],
        );
        mirror_all(&push.sides.path("in"), "other", &["1.0.0"], &[]);
        push
    }

    /// Pushes as that account, with more words.
    fn push(&self, account: &str, words: &[&str]) -> Ran {
        let address = self.target.address;
        let auth =
            base64::Engine::encode(&base64::engine::general_purpose::STANDARD, format!("{account}:horse"));
        sign_in(&self.sides, &format!("//{address}/npm/team/:_auth={auth}\n"));
        let target = format!("npm:http://{address}/npm/team");
        self.sides.run("in", &[&["push", &target, "--json"], words].concat())
    }

    fn packument(&self, name: &str) -> Value {
        let response = Client::connect(self.target.address).ask("GET", &format!("/npm/team/{name}"), &[]);
        serde_json::from_slice(&response.body).unwrap_or_default()
    }
}

fn sign_in(sides: &Sides, npmrc: &str) {
    std::fs::write(sides.path("user").join(".npmrc"), npmrc).unwrap();
}

#[test]
fn what_was_chosen_is_there_once_with_its_tags() {
    let push = Push::new();
    let looked = push.push("ada", &["-n"]);
    assert_eq!(looked.code, Some(0), "{}", looked.stderr);
    assert_eq!(looked.json()["totals"]["parts"]["missing"]["count"], 4, "{}", looked.stdout);
    assert_eq!(looked.json()["totals"]["refs"], json!({"uploaded": 3}), "{}", looked.stdout);
    assert!(push.packument("other")["versions"].is_null());

    let pushed = push.push("ada", &["npm:@some/tool"]);
    assert_eq!(pushed.code, Some(0), "{}{}", pushed.stderr, pushed.stdout);
    assert_eq!(pushed.json()["totals"]["artifacts"], json!({"uploaded": 3}), "{}", pushed.stdout);
    let there = push.packument("@some%2ftool");
    // The highest one was published last, and is not what people are to get.
    assert_eq!(there["dist-tags"], json!({"latest": "2.0.0", "next": "3.0.0-rc.1"}));
    let own = tarball(&json!({"name": "@some/tool", "version": "2.0.0", "by": "a stranger"}));
    assert_eq!(there["versions"]["2.0.0"]["dist"]["integrity"], integrity(&own));
    let path = "/npm/team/@some/tool/-/tool-2.0.0.tgz";
    assert_eq!(Client::connect(push.target.address).ask("GET", path, &[]).body, own);

    let again = push.push("ada", &[]).json();
    assert_eq!(again["totals"]["artifacts"], json!({"present": 3, "uploaded": 1}), "{again}");
    assert_eq!(again["totals"]["refs"], json!({"present": 2, "uploaded": 1}), "{again}");
    let last = push.push("ada", &[]).json();
    assert_eq!(last["totals"]["artifacts"], json!({"present": 4}), "{last}");
    assert_eq!(last["totals"]["refs"], json!({"present": 3}), "{last}");
}

/// Publishes a version into the target by hand.
fn publish(push: &Push, name: &str, version: &str) {
    let bytes = tarball(&json!({"name": name, "version": version, "by": "somebody else"}));
    let body = document(name, version, &bytes).to_string();
    let path = format!("/npm/team/{}", name.replace('/', "%2f"));
    assert_eq!(push.target.client().of(ADA).send("PUT", &path, &[], body.as_bytes()).status, 201);
}

#[test]
fn another_tarball_of_a_version_stays_and_stops_no_other() {
    let push = Push::new();
    publish(&push, "@some/tool", "10.0.0");
    let pushed = push.push("ada", &[]);
    assert_eq!(pushed.code, Some(6), "{}", pushed.stderr);
    let report = pushed.json();
    assert_eq!(report["totals"]["artifacts"], json!({"conflict": 1, "uploaded": 3}), "{report}");
    assert_eq!(report["failures"][0]["problem"]["code"], "push.conflict", "{report}");
    assert_eq!(report["totals"]["refs"], json!({"moved": 1, "uploaded": 2}), "{report}");
    assert_eq!(push.packument("@some/tool")["dist-tags"]["latest"], "2.0.0");
}

#[test]
fn tags_that_stand_for_something_else_are_left_if_that_is_wanted() {
    let push = Push::new();
    publish(&push, "@some/tool", "1.0.0");
    let pushed = push.push("ada", &["--no-move-tags", "npm:@some/tool"]);
    assert_eq!(pushed.code, Some(6), "{}", pushed.stderr);
    let report = pushed.json();
    assert_eq!(report["totals"]["artifacts"], json!({"uploaded": 3}), "{report}");
    assert_eq!(report["totals"]["refs"], json!({"conflict": 1, "uploaded": 1}), "{report}");
    // Publishing moved it for a while.
    assert_eq!(push.packument("@some/tool")["dist-tags"], json!({"latest": "1.0.0", "next": "3.0.0-rc.1"}));
}

#[test]
fn what_the_registry_says_of_a_refusal_is_passed_on() {
    let push = Push::new();
    let refused = push.push("eve", &["npm:other"]);
    assert_ne!(refused.code, Some(0));
    assert!(refused.stdout.contains("the account eve may not write into team"), "{}", refused.stdout);
    assert_eq!(refused.json()["totals"]["artifacts"], json!({"failed": 1}));
    for (target, words) in [
        ("npm:ftp://x/y", &[][..]),
        ("npm:https://ada:horse@x/y", &[]),
        ("npm:https://x/y", &["--tag", "x"]),
        ("npm:https://x/y", &["--map", "a=b"]),
    ] {
        let refused = push.sides.run("in", &[&["push", target][..], words].concat());
        assert_eq!(refused.code, Some(2), "{target} {words:?}: {}", refused.stderr);
    }
}

/// A hosted npm repository of Nexus, by what its documentation and its clients tell of it.
#[derive(Default)]
struct Nexus {
    packages: Mutex<BTreeMap<String, Value>>,
    /// The next publish is taken, and its answer lost.
    loses_an_answer: Mutex<bool>,
}

const PREFIX: &str = "/repository/npm-hosted/";

impl Nexus {
    fn start(self) -> FakeUpstream {
        let nexus = Arc::new(self);
        let upstream = FakeUpstream::start();
        upstream.route("*", Reply::answer(move |seen| nexus.answer(seen)));
        upstream
    }

    fn answer(&self, seen: &Seen) -> Reply {
        // Without "npm Bearer Token Realm" it knows accounts alone, and says so before it looks at anything.
        if seen.header("authorization") != Some("Bearer NpmToken.1") {
            return Reply::status(401)
                .header("WWW-Authenticate", "BASIC realm=\"Sonatype Nexus Repository Manager\"");
        }
        let path = seen.path.strip_prefix(PREFIX).unwrap().replace("%2f", "/");
        let mut packages = self.packages.lock().unwrap();
        if let Some(rest) = path.strip_prefix("-/package/") {
            let (name, tag) = rest.split_once("/dist-tags/").unwrap();
            let tag = percent_encoding::percent_decode_str(tag).decode_utf8().unwrap().into_owned();
            assert_eq!(
                (seen.method.as_str(), seen.header("content-type")),
                ("PUT", Some("application/json"))
            );
            packages.get_mut(name).unwrap()["dist-tags"][tag] = serde_json::from_slice(&seen.body).unwrap();
            return Reply::status(204);
        }
        if seen.method == "GET" {
            return match packages.get(&path) {
                Some(package) => Reply::json(package),
                None => {
                    Reply::json(&json!({"success": false, "error": "Package not found"})).with_status(404)
                }
            };
        }
        let mut body: Value = serde_json::from_slice(&seen.body).unwrap();
        let (version, mut object) = body["versions"].as_object().unwrap().clone().into_iter().next().unwrap();
        let attachments = body["_attachments"].as_object_mut().unwrap();
        let (_, attachment) = attachments.iter().next().unwrap();
        let data = base64::Engine::decode(
            &base64::engine::general_purpose::STANDARD,
            attachment["data"].as_str().unwrap(),
        );
        assert_eq!(attachment["length"], data.as_ref().unwrap().len());
        assert_eq!(object["dist"]["integrity"], integrity(&data.unwrap()));
        let package = packages
            .entry(path.clone())
            .or_insert_with(|| json!({"_id": path, "name": path, "dist-tags": {}, "versions": {}}));
        if package["versions"].get(&version).is_some() {
            // With "Disable redeploy"; the words stand in the status line alone.
            return Reply::status(400);
        }
        // It names itself by its base URL, which need not be how clients reach it.
        object["dist"]["tarball"] = json!(format!("http://nexus.example.test{PREFIX}{path}/-/x.tgz"));
        package["versions"][&version] = object;
        for (tag, version) in body["dist-tags"].as_object().unwrap() {
            package["dist-tags"][tag] = version.clone();
        }
        match std::mem::take(&mut *self.loses_an_answer.lock().unwrap()) {
            true => Reply::hang_up(),
            false => Reply::status(200),
        }
    }
}

fn push_to_nexus(sides: &Sides, nexus: &FakeUpstream, words: &[&str]) -> Ran {
    let target = format!("npm:{}{PREFIX}", nexus.url());
    sides.run("in", &[&["push", &target, "--json", "--product", "nexus"], words].concat())
}

/// A store with a package, and a Nexus that `.npmrc` knows the token of.
fn at_nexus(nexus: Nexus) -> (Sides, FakeUpstream) {
    let (sides, nexus) = (Sides::new(), nexus.start());
    mirror_all(
        &sides.path("in"),
        "@some/tool",
        &["1.0.0", "1.1.0"],
        &[("latest", "1.1.0"), ("a/b", "1.0.0")],
    );
    sign_in(&sides, &format!("{}{PREFIX}:_authToken=NpmToken.1\n", nexus.url().trim_start_matches("http:")));
    (sides, nexus)
}

#[test]
fn nexus_has_what_was_pushed_by_its_token() {
    let (sides, nexus) = at_nexus(Nexus::default());
    let pushed = push_to_nexus(&sides, &nexus, &[]);
    assert_eq!(pushed.code, Some(0), "{}{}", pushed.stdout, pushed.stderr);
    assert_eq!(pushed.json()["totals"]["artifacts"], json!({"uploaded": 2}));
    let again = push_to_nexus(&sides, &nexus, &[]).json();
    assert_eq!(
        (&again["totals"]["artifacts"], &again["totals"]["refs"]),
        (&json!({"present": 2}), &json!({"present": 2}))
    );
    sign_in(&sides, "");
    let refused = push_to_nexus(&sides, &nexus, &[]);
    assert_ne!(refused.code, Some(0));
}

#[test]
fn nexus_refuses_with_400_what_it_took_already_when_its_answer_was_lost() {
    let (sides, nexus) = at_nexus(Nexus { loses_an_answer: Mutex::new(true), ..Nexus::default() });
    let pushed = push_to_nexus(&sides, &nexus, &[]);
    assert_eq!(pushed.code, Some(0), "{}{}", pushed.stdout, pushed.stderr);
    assert_eq!(
        pushed.json()["totals"]["artifacts"]
            .as_object()
            .unwrap()
            .values()
            .filter_map(Value::as_u64)
            .sum::<u64>(),
        2
    );
    assert!(pushed.json()["failures"].as_array().unwrap().is_empty());
}

#[test]
fn tarballs_of_this_machine_are_pushed_without_a_store() {
    let push = Push::new();
    let [one, two, three] = ["1.0.0", "1.10.0", "1.9.0"].map(|version| {
        tarball(&json!({"name": "@own/tool", "version": version, "license": "MIT", "dependencies": {"other": "^1"}}))
    });
    push.sides.write("tool-1.0.0.tgz", &one);
    let mut archive = tar::Builder::new(Vec::new());
    for (name, bytes) in [("deep/tool-1.10.0.tgz", &two), ("tool-1.9.0.tgz", &three), ("README", &one)] {
        let mut header = tar::Header::new_ustar();
        header.set_size(bytes.len() as u64);
        archive.append_data(&mut header, name, &bytes[..]).unwrap();
    }
    push.sides.write("all.tar", archive.into_inner().unwrap());
    let from = ["--from", "npm-tarball:./tool-1.0.0.tgz", "--from", "npm-tarball:./all.tar"];
    let pushed = push.push("ada", &from);
    assert_eq!(pushed.code, Some(0), "{}{}", pushed.stderr, pushed.stdout);
    assert_eq!(pushed.json()["totals"]["artifacts"], json!({"uploaded": 3}), "{}", pushed.stdout);
    let there = push.packument("@own%2ftool");
    assert_eq!(there["dist-tags"], json!({"latest": "1.10.0"}));
    for (version, bytes) in [("1.0.0", &one), ("1.10.0", &two), ("1.9.0", &three)] {
        let object = &there["versions"][version];
        assert_eq!(object["dist"]["integrity"], integrity(bytes));
        assert_eq!(object["dependencies"], json!({"other": "^1"}));
    }
    // A directory of them, of which all is there already.
    let again = push.push("ada", &["--from", "npm-tarball:."]);
    assert_eq!(
        again.json()["totals"]["artifacts"],
        json!({"present": 1}),
        "{}{}",
        again.stderr,
        again.stdout
    );

    push.sides.write("other.tgz", tarball(&json!({"name": "@own/tool", "version": "1.0.0", "other": true})));
    push.sides.write("text.tgz", "text");
    push.sides.write("bad.tgz", tarball(&json!({"name": "../x", "version": "1.0.0"})));
    for (from, code, why) in [
        ("npm-tarball:./text.tgz", 2, "no tarball of a package"),
        ("npm-tarball:./bad.tgz", 2, "could not be published"),
        ("npm-tarball:./nothing.tgz", 2, "cannot be read"),
        ("npm-tarball:./empty", 2, "cannot be read"),
    ] {
        std::fs::create_dir_all(push.sides.path("project").join("empty")).unwrap();
        let refused = push.push("ada", &["--from", from]);
        assert_eq!(refused.code, Some(code), "{from}: {}{}", refused.stderr, refused.stdout);
        assert!((refused.stderr.clone() + &refused.stdout).contains(why), "{from}: {}", refused.stderr);
    }
    let both = ["--from", "npm-tarball:./tool-1.0.0.tgz", "--from", "npm-tarball:./other.tgz"];
    assert_eq!(push.push("ada", &both).code, Some(6));
}
