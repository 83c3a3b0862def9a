//! Images go from one registry into another by way of the store, whatever that one does meanwhile.

mod products;

use std::sync::atomic::{AtomicUsize, Ordering};

use bundle_format::BlobKey;
use serde_json::json;

use crate::support::fake_registry::{FakeRegistry, OCI_INDEX, OCI_MANIFEST};
use crate::support::fake_upstream::{Reply, Seen};
use crate::support::sides::{Ran, Sides};

/// A store with images of a registry.
struct House {
    sides: Sides,
    source: FakeRegistry,
}

const LAYER: &[u8] = b"the layer that both images have";

impl House {
    /// `team/app:1` with one layer, and `team/other:1` with the same one.
    fn new() -> House {
        let source = FakeRegistry::start();
        source.image("team/app", "1", LAYER);
        source.image("team/other", "1", LAYER);
        House::of(source, &["team/app:1", "team/other:1"])
    }

    fn of(source: FakeRegistry, images: &[&str]) -> House {
        let sides = Sides::new();
        let requests: Vec<String> =
            images.iter().map(|image| format!("docker:{}/{image}", source.host())).collect();
        let mut arguments = vec!["collect", "--out", "../stick"];
        arguments.extend(requests.iter().map(String::as_str));
        sides.run("out", &arguments).done();
        House { sides, source }
    }

    /// Keeps an account of docker's, `me` with the password `sesame`, for a registry.
    fn sign_in(&self, target: &FakeRegistry) {
        let accounts = json!({"auths": {target.host(): {"auth": "bWU6c2VzYW1l"}}}).to_string();
        std::fs::create_dir_all(self.sides.path("user").join(".docker")).unwrap();
        std::fs::write(self.sides.path("user").join(".docker/config.json"), accounts).unwrap();
    }

    fn push(&self, target: &FakeRegistry, arguments: &[&str]) -> Ran {
        let to = format!("docker://{}/mirror", target.host());
        self.sides.run("out", &[&["push", &to, "--json", "-q"], arguments].concat())
    }

    /// Whether a tag is at the target what it is at the source.
    fn is_there(&self, target: &FakeRegistry, repository: &str, tag: &str) -> bool {
        let there = target.shown(&format!("mirror/{repository}"), tag);
        there.is_some() && there == self.source.shown(repository, tag)
    }
}

/// Answers the first so many requests that `which` means in its own way.
fn first(
    times: usize,
    which: impl Fn(&Seen) -> bool + Send + Sync + 'static,
    reply: impl Fn(&Seen) -> Reply + Send + Sync + 'static,
) -> impl Fn(&Seen) -> Option<Reply> + Send + Sync + 'static {
    let met = AtomicUsize::new(0);
    move |seen| (which(seen) && met.fetch_add(1, Ordering::SeqCst) < times).then(|| reply(seen))
}

fn is_put(seen: &Seen) -> bool {
    seen.method == "PUT" && seen.path.contains("/blobs/")
}

fn is_begin(seen: &Seen) -> bool {
    seen.method == "POST" && !seen.path.contains("mount=")
}

#[test]
fn what_is_there_is_not_sent_again_and_what_is_elsewhere_is_mounted() {
    let (house, target) = (House::new(), FakeRegistry::start());
    let looked = house.push(&target, &["--dry-run"]).json();
    assert_eq!(
        (looked["dry_run"].as_bool(), target.count("PUT", ""), target.count("POST", "")),
        (Some(true), 0, 0)
    );

    let report = house.push(&target, &[]).json();
    assert_eq!(report["totals"]["refs"], json!({"uploaded": 2}));
    assert_eq!(report["totals"]["parts"]["pushed"]["count"], 2, "{report}");
    assert_eq!(report["totals"]["parts"]["mounted"]["count"], 2, "{report}");
    assert!(house.is_there(&target, "team/app", "1") && house.is_there(&target, "team/other", "1"));
    // Tags come last, after all that they lead to.
    let puts: Vec<_> = target.upstream.requests().into_iter().filter(|seen| seen.method == "PUT").collect();
    let place =
        |end: &str| puts.iter().position(|seen| seen.path.contains("team/app") && seen.path.contains(end));
    assert!(place("/manifests/sha256:") < place("/manifests/1"), "{:?}", place("/manifests/1"));

    let again = house.push(&target, &[]).json();
    assert_eq!(again["totals"]["refs"], json!({"present": 2}));
    assert_eq!(target.count("PUT", ""), puts.len());
}

#[test]
fn a_registry_that_mounts_nothing_gets_an_upload() {
    let house = House::new();
    let target = FakeRegistry::odd(|seen| {
        (seen.method == "POST" && seen.path.contains("mount="))
            .then(|| Reply::status(202).header("Location", "/v2/mirror/team/other/blobs/uploads/unused"))
    });
    let report = house.push(&target, &[]).json();
    assert_eq!(report["totals"]["parts"]["pushed"]["count"], 4, "{report}");
    assert!(house.is_there(&target, "team/other", "1"));
}

#[test]
fn broken_connections_and_busy_registries_are_waited_for() {
    let house = House::new();
    for reply in [Reply::hang_up(), Reply::status(503), Reply::status(429).header("Retry-After", "0")] {
        let answer = reply.clone();
        let target = FakeRegistry::odd(first(2, is_put, move |_| answer.clone()));
        assert_eq!(house.push(&target, &["docker:*/app"]).code, Some(0));
        assert!(house.is_there(&target, "team/app", "1"));
        let target =
            FakeRegistry::odd(first(1, |seen| seen.path.ends_with("/manifests/1"), move |_| reply.clone()));
        assert_eq!(house.push(&target, &["docker:*/app"]).code, Some(0));
    }
}

#[test]
fn a_registry_that_wants_pieces_gets_them() {
    for status in [405, 416, 404] {
        // Not even a PUT with a body is taken.
        let target = FakeRegistry::odd(move |seen| {
            (is_put(seen) && !seen.body.is_empty()).then(|| Reply::status(status))
        });
        let house = House::new();
        let ran = house.push(&target, &["docker:*/app"]);
        assert_eq!((ran.code, target.count("PATCH", "")), (Some(0), 2), "{}", ran.stderr);
        assert!(house.is_there(&target, "team/app", "1"));
    }
}

#[test]
fn a_broken_piece_goes_on_where_the_registry_is() {
    let house = House::new();
    let broken = first(1, |seen| seen.method == "PATCH", |_| Reply::hang_up());
    let target = FakeRegistry::odd(move |seen| {
        let refused = is_put(seen) && !seen.body.is_empty();
        if refused { Some(Reply::status(405)) } else { broken(seen) }
    });
    assert_eq!(house.push(&target, &["docker:*/app"]).code, Some(0));
    assert_eq!(target.count("GET", "/uploads/"), 1, "it was asked how far it got");
    assert!(house.is_there(&target, "team/app", "1"));
}

#[test]
fn an_upload_goes_on_at_the_registry_or_nowhere() {
    let (house, stranger) = (House::new(), FakeRegistry::start());
    for elsewhere in [stranger.upstream.url(), "https://registry.example.test:5000".to_owned()] {
        let at = elsewhere.clone();
        let target = FakeRegistry::odd(move |seen| {
            is_begin(seen)
                .then(|| Reply::status(202).header("Location", format!("{at}/v2/x/blobs/uploads/s0?a=b")))
        });
        let ran = house.push(&target, &["docker:*/app"]);
        let report = ran.json();
        assert_eq!((ran.code, report["error"]["code"].as_str()), (Some(6), Some("net.location")), "{report}");
        assert!(report["error"]["hints"][0].as_str().unwrap().contains("--rewrite-location"), "{report}");
        // Told to, it goes on at the same host, with path and query as they were.
        let ran = house.push(&target, &["docker:*/app", "--rewrite-location", "same-host"]);
        assert_ne!(ran.code, Some(0));
        assert!(target.count("PUT", "/v2/x/blobs/uploads/s0?a=b&digest=sha256") > 0);
    }
    assert_eq!(stranger.upstream.requests().len(), 0);
}

#[test]
fn lies_about_what_arrived_are_found_out() {
    let house = House::new();
    let other = format!("sha256:{}", "0".repeat(64));
    let said = other.clone();
    let blob = FakeRegistry::odd(first(1, is_put, move |_| {
        Reply::status(201).header("Docker-Content-Digest", &said)
    }));
    let manifest = FakeRegistry::odd(first(
        1,
        |seen| seen.method == "PUT" && seen.path.contains("/manifests/"),
        move |_| Reply::status(201).header("Docker-Content-Digest", &other),
    ));
    // It says so, and has nothing.
    let forgetful = FakeRegistry::odd(|seen| {
        (seen.method == "PUT" && seen.path.ends_with("/manifests/1")).then(|| Reply::status(201))
    });
    for target in [blob, manifest, forgetful] {
        let ran = house.push(&target, &["docker:*/app"]);
        assert_eq!((ran.code, ran.json()["error"]["code"].as_str()), (Some(3), Some("oci.digest-mismatch")));
    }
}

#[test]
fn endless_words_end() {
    let house = House::new();
    let target = FakeRegistry::odd(|seen| {
        is_put(seen).then(|| Reply::ok("no ".repeat(1000)).with_status(400).until_close().endless())
    });
    let ran = house.push(&target, &["docker:*/app"]);
    assert_eq!((ran.code, ran.json()["error"]["code"].as_str()), (Some(6), Some("net.status")));
}

#[test]
fn tags_move_unless_they_may_not() {
    let (house, target) = (House::new(), FakeRegistry::start());
    let before = target.image("mirror/team/app", "1", b"another one");
    let kept = house.push(&target, &["docker:*/app", "--no-move-tags"]);
    let report = kept.json();
    assert_eq!((kept.code, report["error"]["code"].as_str()), (Some(6), Some("push.conflict")));
    assert_eq!(
        (report["refs"][0]["was"].clone(), report["refs"][0]["outcome"].as_str()),
        (before["digest"].clone(), Some("conflict"))
    );
    assert!(!house.is_there(&target, "team/app", "1"));
    let moved = house.push(&target, &["docker:*/app"]).json();
    assert_eq!(moved["totals"]["refs"], json!({"moved": 1}));
    assert!(house.is_there(&target, "team/app", "1"));
    house.push(&target, &["docker:*/app", "--tag", "stable"]).done();
    assert_eq!(target.shown("mirror/team/app", "stable"), house.source.shown("team/app", "1"));
}

#[test]
fn what_refers_to_an_image_is_found_from_there_though_the_registry_has_no_list() {
    let source = FakeRegistry::start();
    let image = source.image("team/app", "1", LAYER);
    let config = source.blob("team/app", b"{}");
    let signature = json!({
        "schemaVersion": 2, "mediaType": OCI_MANIFEST, "artifactType": "application/vnd.example.signature",
        "config": config, "layers": [], "subject": image, "annotations": {"by": "me"},
    });
    let signature = source.manifest("team/app", None, &signature);
    let list = json!({"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": [signature]});
    let tag = image["digest"].as_str().unwrap().replacen(':', "-", 1);
    source.manifest("team/app", Some(&tag), &list);
    let house = House::of(source, &["team/app:1"]);

    let target = FakeRegistry::start();
    // Somebody there has signed it, too; that stays.
    let theirs =
        target.manifest("mirror/team/app", None, &json!({"mediaType": OCI_MANIFEST, "theirs": true}));
    let list = json!({"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": [theirs]});
    target.manifest("mirror/team/app", Some(&tag), &list);
    house.push(&target, &["docker:*/app:1"]).done();
    let list: serde_json::Value =
        serde_json::from_slice(&target.shown("mirror/team/app", &tag).unwrap()).unwrap();
    let listed: Vec<_> = list["manifests"].as_array().unwrap().iter().map(|entry| &entry["digest"]).collect();
    assert_eq!(listed, [&theirs["digest"], &signature["digest"]]);
    assert_eq!(list["manifests"][1]["artifactType"], "application/vnd.example.signature");
    let before = target.count("PUT", "");
    house.push(&target, &["docker:*/app:1"]).done();
    assert_eq!(target.count("PUT", ""), before);
}

#[test]
fn who_is_not_let_in_is_told_what_helps() {
    let house = House::new();
    let target = FakeRegistry::odd(|seen| {
        (seen.path != "/v2/").then(|| Reply::status(401).header("WWW-Authenticate", "Basic realm=\"x\""))
    });
    let ran = house.push(&target, &["docker:*/app"]);
    let report = ran.json();
    assert_eq!(
        (ran.code, report["failures"][0]["problem"]["code"].as_str()),
        (Some(6), Some("net.unauthorized"))
    );
    assert!(
        report["error"]["hints"].to_string().contains(&format!("login {} --user", target.host())),
        "{report}"
    );
}

#[test]
fn an_account_of_docker_is_shown_to_the_registry() {
    let house = House::new();
    let target = FakeRegistry::odd(|seen| {
        let is_known = seen.path == "/v2/" || seen.header("authorization") == Some("Basic bWU6c2VzYW1l");
        (!is_known).then(|| Reply::status(401).header("WWW-Authenticate", "Basic realm=\"x\""))
    });
    house.sign_in(&target);
    house.push(&target, &["docker:*/app"]).done();
    assert!(house.is_there(&target, "team/app", "1"));
}

#[test]
fn names_that_would_collide_are_kept_apart() {
    let (house, target) = (House::new(), FakeRegistry::start());
    let ran = house.push(&target, &["--map", "*=one"]);
    assert_eq!((ran.code, ran.json()["error"]["code"].as_str()), (Some(6), Some("push.same-name")));
    assert_eq!(target.upstream.requests().len(), 0);
    let pattern = format!("{}/team/*=base/*", house.source.host());
    house.push(&target, &["--map", &pattern]).done();
    assert_eq!(target.shown("mirror/base/app", "1"), house.source.shown("team/app", "1"));
    let ran = house.push(&target, &["docker:nothing"]);
    assert_eq!((ran.code, ran.json()["error"]["code"].as_str()), (Some(4), Some("selector.nothing")));
}

#[test]
fn an_index_with_absent_entries_is_explained() {
    let source = FakeRegistry::start();
    let mut entries = Vec::new();
    for architecture in ["amd64", "arm64"] {
        let mut entry = source.image("team/app", architecture, architecture.as_bytes());
        entry["platform"] = json!({"os": "linux", "architecture": architecture});
        entries.push(entry);
    }
    let index = json!({"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": entries});
    source.manifest("team/app", Some("1"), &index);
    let sides = Sides::new();
    let request = format!("docker:{}/team/app:1", source.host());
    sides.run("out", &["collect", &request, "--platform", "linux/amd64", "--out", "../stick"]).done();
    let (house, target) = (House { sides, source }, FakeRegistry::start());
    let ran = house.push(&target, &[]);
    let report = ran.json();
    assert_eq!(ran.code, Some(6), "{report}");
    assert!(report["error"]["hints"].to_string().contains("all platforms"), "{report}");
    assert_eq!(report["totals"]["refs"], json!({"failed": 1}), "{report}");
    let digest = entries[0]["digest"].as_str().unwrap();
    assert!(target.shown("mirror/team/app", digest).is_some(), "the platform itself is there");
    assert_eq!(BlobKey::of(&target.shown("mirror/team/app", digest).unwrap()).to_string(), digest);
}

#[test]
fn a_bundle_is_pushed_as_it_was_whatever_its_channel_shows_since() {
    let source = FakeRegistry::start();
    source.image("team/app", "1", LAYER);
    let house = House::of(source, &["team/app:1"]);
    let first = house.source.shown("team/app", "1").unwrap();
    house.source.image("team/app", "1", b"a later layer");
    house.source.image("team/other", "1", LAYER);
    let requests = ["app", "other"].map(|name| format!("docker:{}/team/{name}:1", house.source.host()));
    house.sides.run("out", &["collect", &requests[0], &requests[1], "--out", "../stick"]).done();

    let target = FakeRegistry::start();
    house.push(&target, &["bundle:default/1"]).done();
    assert_eq!(target.shown("mirror/team/app", "1"), Some(first));
    assert_eq!(target.shown("mirror/team/other", "1"), None);
    house.push(&target, &["channel:default"]).done();
    assert!(house.is_there(&target, "team/app", "1") && house.is_there(&target, "team/other", "1"));
    let target = FakeRegistry::start();
    house.push(&target, &["pkg:oci/other@*", "bundle:default/2"]).done();
    assert!(house.is_there(&target, "team/app", "1") && house.is_there(&target, "team/other", "1"));
    for gone in ["bundle:default/9", "bundle:other/1", "channel:other", "npm:*"] {
        let ran = house.push(&target, &["docker:*", gone]);
        assert_eq!((ran.code, ran.json()["error"]["code"].as_str()), (Some(4), Some("selector.nothing")));
    }
    assert_eq!(house.push(&target, &["bundle:default"]).code, Some(2));
}

#[test]
fn targets_have_names_and_the_command_line_beats_their_file() {
    let (house, target) = (House::new(), FakeRegistry::start());
    let site = house.sides.path("out").join("site.toml");
    let file = format!(
        "format = 1\n[[target]]\nname = \"docker\"\nurl = \"docker://{}/mirror\"\nkeep_host = true\nmap = [\"*/app=base/app\"]\n",
        target.host()
    );
    std::fs::write(&site, &file).unwrap();
    let push = |arguments: &[&str]| house.sides.run("out", &[&["push", "--json", "-q"], arguments].concat());
    // The name of an ecosystem's requests is a name like others.
    let report = push(&["docker"]).json();
    assert_eq!(report["target"], format!("docker://{}/mirror", target.host()));
    let kept = format!("mirror/{}/team/other", house.source.host().replace(':', "_"));
    assert!(target.shown("mirror/base/app", "1").is_some() && target.shown(&kept, "1").is_some());
    push(&["docker", "--keep-host=false", "--map", "*/other=own/other"]).done();
    assert!(house.is_there(&target, "team/app", "1") && target.shown("mirror/own/other", "1").is_some());
    assert!(push(&["prod"]).json()["error"]["causes"].to_string().contains("these are: docker"));
    std::fs::write(&site, format!("{file}password = \"sesame\"\n")).unwrap();
    let ran = push(&["docker"]);
    assert_eq!(ran.code, Some(2));
    assert!(ran.json()["error"]["place"].as_str().unwrap().ends_with("site.toml:7:1"), "{}", ran.stdout);
}

#[test]
fn each_image_says_where_its_parts_went_and_events_what_becomes_of_them() {
    let (house, target) = (House::new(), FakeRegistry::start());
    let to = format!("docker://{}/mirror", target.host());
    let ran = house.sides.run("out", &["push", &to, "--json", "--progress", "json"]);
    let report = ran.json();
    for artifact in report["artifacts"].as_array().unwrap() {
        let (repository, _) = artifact["target"].as_str().unwrap().split_once('@').unwrap();
        let parts = artifact["parts"].as_array().unwrap();
        assert!(parts.len() == 2 && parts.iter().all(|part| part["repository"] == repository), "{artifact}");
    }
    let events = ran.stderr.lines().map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap());
    let states: Vec<(String, String)> = events
        .filter(|event| event["event"] == "item-state")
        .map(|event| ["item", "state"].map(|key| event[key].as_str().unwrap().to_owned()).into())
        .collect();
    let layer = BlobKey::of(LAYER).to_string();
    let of = |name: &str| {
        let item = format!("{}/mirror/team/{name} {layer}", target.host());
        states.iter().filter(|(of, _)| *of == item).map(|(_, state)| state.as_str()).collect::<Vec<_>>()
    };
    let mut both = [of("app"), of("other")];
    both.sort();
    assert_eq!(both, [vec!["mounted"], vec!["uploading", "pushed"]]);
    let again = house.sides.run("out", &["push", &to, "--progress", "json"]).stderr;
    assert_eq!(again.matches(r#""state":"exists""#).count(), 4, "{again}");
}

#[test]
fn archives_are_pushed_without_a_store() {
    let house = House::new();
    for kind in ["oci", "oci-archive"] {
        let out = house.sides.path(&format!("project/{kind}-out"));
        house.sides.run("out", &["export", kind, out.to_str().unwrap()]).done();
    }
    for (number, request) in ["oci:oci-out", "oci-archive:./oci-archive-out"].into_iter().enumerate() {
        let target = FakeRegistry::start();
        let to = format!("docker://{}/mirror", target.host());
        let home = format!("none{number}");
        house.sides.run(&home, &["push", &to, "--from", request, "docker:*/app"]).done();
        assert!(house.is_there(&target, "team/app", "1") && target.shown("mirror/team/other", "1").is_none());
        // What was read is gone, and no store was made.
        assert!(!house.sides.path(&home).exists());
        let left = house.sides.path("").read_dir().unwrap().map(|entry| entry.unwrap().file_name());
        assert_eq!(left.filter(|name| name.to_string_lossy().starts_with("aftk-")).count(), 0);
    }
    let target = FakeRegistry::start();
    let to = format!("docker://{}/mirror", target.host());
    let push = |from: &str| house.sides.run("none", &["push", &to, "--json", "--from", from]);
    assert_eq!((push("oci:gone").code, push("gone").code), (Some(2), Some(2)));
    // What is wrong with the call is said before anything is read.
    let wrong = house.sides.run("none", &["push", "docker://no_host", "--json", "--from", "oci:gone"]);
    assert_eq!((wrong.code, wrong.json()["error"]["code"].as_str()), (Some(2), Some("push.target")));
    // From another registry all the same.
    push(&format!("docker:{}/team/app:1", house.source.host())).done();
    assert!(house.is_there(&target, "team/app", "1"));
}

#[test]
fn the_audit_log_keeps_what_was_pushed_and_why_tells_it() {
    let (house, target) = (House::new(), FakeRegistry::start());
    house.push(&target, &["docker:*/team/app", "--dry-run"]).done();
    house.push(&target, &["docker:*/team/app"]).done();
    let pushes = |what: &str| {
        let told = house.sides.run("out", &["why", what, "--json"]).json();
        let pushes = told["artifacts"][0]["pushes"].as_array().unwrap().clone();
        pushes.iter().map(|push| (push["there"].clone(), push["outcome"].clone())).collect::<Vec<_>>()
    };
    let app = pushes("docker:*/team/app:1");
    assert_eq!(app.len(), 2, "the manifest and its tag, once: {app:?}");
    assert_eq!(app[1], (json!(format!("{}/mirror/team/app:1", target.host())), json!("uploaded")));
    assert!(pushes("docker:*/team/other:1").is_empty());
}
