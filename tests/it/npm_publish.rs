//! Packages that clients publish into a registry of the site's own.

use std::io::Write as _;

use aftk::access::Read;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bundle_format::BlobKey;
use serde_json::{Value, json};

use crate::support::hosting::{ADA, EVE, Hosting};
use crate::support::npm_packages::{document, integrity, mirror, tarball};
use crate::support::raw_http::{Client, Response};
use crate::support::sides::scratch;

fn put(hosting: &Hosting, who: &'static str, path: &str, body: &Value) -> Response {
    let kind = "Content-Type: application/json";
    hosting.client().of(who).send("PUT", path, &[kind], body.to_string().as_bytes())
}

/// Publishes a version with a tarball of its own; the tarball.
#[track_caller]
fn publish(hosting: &Hosting, repository: &str, name: &str, version: &str) -> Vec<u8> {
    let tarball = tarball(&json!({"name": name, "version": version}));
    let path = format!("/npm/{repository}/{}", name.replace('/', "%2f"));
    let taken = put(hosting, ADA, &path, &document(name, version, &tarball));
    assert_eq!(taken.status, 201, "{}", taken.text());
    tarball
}

fn get(hosting: &Hosting, path: &str) -> Response {
    Client::connect(hosting.address).ask("GET", path, &[])
}

fn packument(hosting: &Hosting, repository: &str, name: &str) -> Value {
    let response = get(hosting, &format!("/npm/{repository}/{name}"));
    if response.status == 200 { serde_json::from_slice(&response.body).unwrap() } else { Value::Null }
}

/// What npm shows of an error.
fn error(response: &Response) -> String {
    let body: Value =
        serde_json::from_slice(&response.body).unwrap_or_else(|_| panic!("{}", response.text()));
    body["error"].as_str().unwrap().to_owned()
}

#[test]
fn what_is_published_is_there_at_once() {
    let hosting = Hosting::start();
    let first = publish(&hosting, "team", "@ada/tool", "1.0.0");
    publish(&hosting, "team", "@ada/tool", "1.1.0");
    let shown = packument(&hosting, "team", "@ada%2ftool");
    assert_eq!(shown["dist-tags"], json!({"latest": "1.1.0"}));
    let object = &shown["versions"]["1.0.0"];
    assert_eq!(object["dist"]["integrity"], integrity(&first));
    assert_eq!(object["dependencies"], json!({"other": "^1.0.0"}));
    assert!(shown["time"]["1.0.0"].as_str().unwrap().ends_with('Z') && shown["_rev"].is_string());
    let url = object["dist"]["tarball"].as_str().unwrap().strip_prefix("http://aftk.test:2385").unwrap();
    assert_eq!(url, "/npm/team/@ada/tool/-/tool-1.0.0.tgz");
    assert_eq!(get(&hosting, url).body, first);
    // A version that is there stays as it is, and the same once more is no other answer.
    for bytes in [&first, &tarball(&json!({"name": "@ada/tool", "version": "1.0.0", "other": 1}))] {
        let refused = put(&hosting, ADA, "/npm/team/@ada%2ftool", &document("@ada/tool", "1.0.0", bytes));
        assert_eq!(refused.status, 403);
        assert!(error(&refused).contains("cannot publish over the previously published versions: 1.0.0"));
    }
    assert_eq!(get(&hosting, url).body, first);
    assert_eq!(hosting.staged(), 0);
    let hosting = hosting.restart();
    assert_eq!(packument(&hosting, "team", "@ada/tool")["versions"].as_object().unwrap().len(), 2);
}

#[test]
fn nobody_publishes_without_the_right_to() {
    let hosting = Hosting::start();
    let bytes = tarball(&json!({"name": "a", "version": "1.0.0"}));
    let body = document("a", "1.0.0", &bytes);
    for (who, path, status, why) in [
        ("", "/npm/team/a", 401, "an account is needed"),
        (EVE, "/npm/team/a", 403, "the account eve may not write into team"),
        (ADA, "/npm/all/a", 403, "no hosted repository has a"),
        (ADA, "/npm/npm/a", 403, "npm is a mirror"),
        (ADA, "/npm/nothing/a", 403, "nothing is a mirror"),
        (ADA, "/npm/owner/a", 403, "owner takes @owned/* only"),
        (ADA, "/npm/team/.a", 400, "no package's name"),
        ("Authorization: Basic YWRhOmRvbmtleQ==", "/npm/team/a", 401, "wrong"),
    ] {
        let refused = put(&hosting, who, path, &body);
        assert_eq!(refused.status, status, "{path}: {}", refused.text());
        assert!(error(&refused).contains(why), "{path}: {}", refused.text());
        assert_eq!(refused.header("www-authenticate").is_some(), status == 401);
    }
    for (method, path) in [
        ("PUT", "/npm/team/-/package/a/dist-tags/x"),
        ("DELETE", "/npm/team/-/package/a/dist-tags/x"),
        ("PUT", "/npm/team/a/-rev/1"),
        ("DELETE", "/npm/team/a/-rev/1"),
        ("DELETE", "/npm/team/a/-/a-1.0.0.tgz/-rev/1"),
    ] {
        for (who, status) in [("", 401), (EVE, 403)] {
            let refused = hosting.client().of(who).send(method, path, &[], b"");
            assert_eq!(refused.status, status, "{method} {path}: {}", refused.text());
        }
    }
    assert_eq!(packument(&hosting, "team", "a"), Value::Null);
    assert_eq!(hosting.staged(), 0);
}

#[test]
fn what_does_not_fit_together_is_refused_and_named() {
    let hosting = Hosting::start();
    let bytes = tarball(&json!({"name": "a", "version": "1.0.0"}));
    let good = document("a", "1.0.0", &bytes);
    let with = |change: &dyn Fn(&mut Value)| {
        let mut document = good.clone();
        change(&mut document);
        document
    };
    let data = "/_attachments/a-1.0.0.tgz/data";
    for (body, why) in [
        (with(&|it| it["name"] = json!("b")), "is about \"b\""),
        (with(&|it| it["versions"]["2.0.0"] = json!({})), "one version"),
        (with(&|it| it["versions"] = json!({})), "one version"),
        (with(&|it| it["versions"] = json!("x")), "`versions` is something else"),
        (with(&|it| it["versions"]["1.0.0"]["version"] = json!("1.0.1")), "a@1.0.1"),
        (with(&|it| it["versions"]["1.0.0"]["dist"] = json!({})), "has to say a sha512"),
        (
            with(&|it| it["versions"]["1.0.0"]["dist"]["integrity"] = json!(integrity(b"another"))),
            "not what dist.integrity",
        ),
        (
            with(&|it| it["versions"]["1.0.0"]["dist"]["shasum"] = json!("0".repeat(40))),
            "not what dist.integrity",
        ),
        (
            with(&|it| *it.pointer_mut(data).unwrap() = json!(STANDARD.encode(b"another"))),
            "not what dist.integrity",
        ),
        (with(&|it| *it.pointer_mut(data).unwrap() = json!("no base64")), "no JSON with at most one tarball"),
        (document("a", "1.0.0", &tarball(&json!({"name": "b", "version": "1.0.0"}))), "is that of \"b\""),
        (document("a", "1.0.0", &tarball(&json!({"name": "a", "version": "1.0.1"}))), "\"1.0.1\""),
        (document("a", "1.0.0", b"no archive"), "cannot be read"),
        (with(&|it| it["dist-tags"] = json!({"1.0.0": "1.0.0"})), "dist-tag"),
        (with(&|it| it["dist-tags"] = json!({"a b": "1.0.0"})), "dist-tag"),
        (with(&|it| it["versions"]["1.0.0"]["readme"] = json!("x".repeat(1 << 20))), "larger than 1 MiB"),
    ] {
        let refused = put(&hosting, ADA, "/npm/team/a", &body);
        assert_eq!(refused.status, 400, "{why}: {}", refused.text());
        assert!(error(&refused).contains(why), "{why}: {}", refused.text());
    }
    let mut document = good.to_string();
    document.pop();
    let refused = hosting.client().send("PUT", "/npm/team/a", &[], document.as_bytes());
    assert!(error(&refused).contains("no JSON"), "{}", refused.text());
    let bad = self::document("a", "one", &tarball(&json!({"name": "a", "version": "one"})));
    assert_eq!(put(&hosting, ADA, "/npm/team/a", &bad).status, 400);
    assert_eq!(packument(&hosting, "team", "a"), Value::Null);
    assert_eq!(hosting.staged(), 0);
}

#[test]
fn a_repository_has_no_more_than_it_may() {
    let hosting = Hosting::start();
    let mut noise = vec![0; 10_000];
    getrandom::fill(&mut noise).unwrap();
    let bytes = tarball(&json!({"name": "a", "version": "1.0.0", "noise": STANDARD.encode(noise)}));
    let refused = put(&hosting, ADA, "/npm/small/a", &document("a", "1.0.0", &bytes));
    assert_eq!(refused.status, 413, "{}", refused.text());
    assert!(error(&refused).contains("at most 10000 bytes in all"), "{}", refused.text());
    publish(&hosting, "small", "a", "1.0.0");
    assert_eq!(hosting.staged(), 0);
}

#[test]
fn half_a_gigabyte_is_refused_before_it_comes() {
    let hosting = Hosting::start();
    let mut pusher = hosting.client();
    let connection = pusher.begin("PUT", "/npm/team/a", &["Content-Length: 500000000"]);
    connection.0.write_all(b"{\"_id\":\"a\"").unwrap();
    let refused = connection.response(false).unwrap();
    assert_eq!(refused.status, 413, "{}", refused.text());
    assert!(error(&refused).contains("a tarball has at most 256 MiB"), "{}", refused.text());
    assert_eq!(hosting.staged(), 0);
}

#[test]
fn who_publishes_too_much_may_send_all_of_it_and_is_told_then() {
    let hosting = Hosting::start();
    // A client of Node.js dies of a connection that ends before.
    let body = vec![b' '; 40 << 20];
    let refused = hosting.client().try_send("PUT", "/npm/small/a", &[], &body).expect("an answer");
    assert_eq!(refused.status, 413, "{}", refused.text());
}

#[test]
fn tags_are_set_and_taken_away() {
    let hosting = Hosting::start();
    for version in ["1.0.0", "1.1.0", "2.0.0-rc.1"] {
        publish(&hosting, "team", "@ada/tool", version);
    }
    let tags = "/npm/team/-/package/@ada%2ftool/dist-tags";
    let send =
        |method: &str, path: &str, body: &str| hosting.client().send(method, path, &[], body.as_bytes());
    let shown = || serde_json::from_slice::<Value>(&get(&hosting, tags).body).unwrap();
    assert_eq!(shown(), json!({"latest": "2.0.0-rc.1"}));
    assert_eq!(send("PUT", &format!("{tags}/latest"), "\"1.1.0\"").status, 201);
    assert_eq!(send("PUT", "/npm/team/-/package/@ada/tool/dist-tags/next", "\"2.0.0-rc.1\"").status, 201);
    assert_eq!(shown(), json!({"latest": "1.1.0", "next": "2.0.0-rc.1"}));
    for (method, path, body, status) in [
        ("PUT", "x", "\"3.0.0\"", 404),
        ("PUT", "x", "1.0.0", 400),
        ("PUT", "1.0.0", "\"1.0.0\"", 400),
        ("PUT", "x", &format!("\"{}\"", "1".repeat(2000)), 413),
        ("DELETE", "x", "", 404),
        ("DELETE", "latest", "", 403),
    ] {
        let refused = send(method, &format!("{tags}/{path}"), body);
        assert_eq!(refused.status, status, "{method} {path}: {}", refused.text());
    }
    assert_eq!(send("DELETE", &format!("{tags}/next"), "").status, 200);
    assert_eq!(shown(), json!({"latest": "1.1.0"}));
}

#[test]
fn what_is_deprecated_says_so_and_what_is_unpublished_is_gone() {
    let hosting = Hosting::start();
    let tarballs = ["1.0.0", "1.1.0", "1.2.0"].map(|version| publish(&hosting, "team", "a", version));
    // As npm does: all of it is read, changed and written back.
    let before = packument(&hosting, "team", "a");
    let mut written = before.clone();
    written["versions"]["1.0.0"]["deprecated"] = json!("use another");
    assert_eq!(put(&hosting, ADA, "/npm/team/a", &written).status, 201);
    let after = packument(&hosting, "team", "a");
    assert_eq!(after["versions"]["1.0.0"]["deprecated"], "use another");
    assert_eq!(after["versions"]["1.0.0"]["dist"], before["versions"]["1.0.0"]["dist"]);
    assert_eq!(after["versions"]["1.1.0"], before["versions"]["1.1.0"]);
    assert_eq!(after["dist-tags"], before["dist-tags"]);
    // Whoever read it before that has to read it again.
    let refused = put(&hosting, ADA, "/npm/team/a", &written);
    assert_eq!((refused.status, error(&refused).contains("Document update conflict")), (409, true));
    written = after;
    written["versions"]["1.0.0"]["deprecated"] = json!("");
    assert_eq!(put(&hosting, ADA, "/npm/team/a", &written).status, 201);
    let revision = |of: &Value| of["_rev"].as_str().unwrap().to_owned();
    let now = packument(&hosting, "team", "a");
    assert!(now["versions"]["1.0.0"].get("deprecated").is_none(), "{now}");

    let mut written = now.clone();
    written["versions"].as_object_mut().unwrap().remove("1.2.0");
    written["dist-tags"] = json!({"latest": "1.1.0"});
    let mut other = written.clone();
    other["versions"]["9.0.0"] = other["versions"]["1.0.0"].clone();
    let path = format!("/npm/team/a/-rev/{}", revision(&now));
    let refused = put(&hosting, ADA, &path, &other);
    assert_eq!((refused.status, error(&refused).contains("a@9.0.0 is not here")), (400, true));
    assert_eq!(put(&hosting, ADA, &path, &written).status, 201);
    assert_eq!(put(&hosting, ADA, &path, &written).status, 409);
    let now = packument(&hosting, "team", "a");
    assert_eq!(now["dist-tags"], json!({"latest": "1.1.0"}));
    let delete = |path: &str| hosting.client().send("DELETE", path, &[], b"").status;
    assert_eq!(delete(&format!("/npm/team/a/-/a-1.2.0.tgz/-rev/{}", revision(&now))), 200);
    assert_eq!(get(&hosting, "/npm/team/a/-/a-1.2.0.tgz").status, 404);
    assert_eq!(get(&hosting, "/npm/team/a/-/a-1.1.0.tgz").body, tarballs[1]);
    assert_eq!(delete("/npm/team/a/-rev/1-x"), 409);
    assert_eq!(delete(&format!("/npm/team/a/-rev/{}", revision(&now))), 200);
    assert_eq!(packument(&hosting, "team", "a"), Value::Null);
    assert_eq!(delete("/npm/team/a/-rev/1-x"), 404);
    // What has gone out under a version never changes.
    let bytes = tarball(&json!({"name": "a", "version": "1.2.0", "changed": true}));
    let refused = put(&hosting, ADA, "/npm/team/a", &document("a", "1.2.0", &bytes));
    assert_eq!((refused.status, error(&refused).contains("1.2.0 was unpublished")), (403, true));
    let log = hosting.ask("GET", "/npm/team/-/v1/search?text=a").text();
    assert!(log.contains("\"total\":0"), "{log}");
}

#[test]
fn a_hosted_name_is_nobody_elses() {
    let directory = scratch();
    let home = directory.path().join("home");
    // What a stranger published under the same names, and newer.
    mirror(&home, "@owned/a", "99.0.0");
    mirror(&home, "lodash", "4.0.0");
    let hosting = Hosting::at(&home, Read::Open);
    // Before anything is published under it, too.
    assert_eq!(packument(&hosting, "all", "@owned/a"), Value::Null);
    assert_eq!(get(&hosting, "/npm/all/@owned/a/-/a-99.0.0.tgz").status, 404);
    assert!(packument(&hosting, "npm", "@owned/a").is_object(), "whoever names the mirror means it");
    // Where a name is one repository's, all of them know where it goes.
    let own = publish(&hosting, "all", "@owned/a", "1.0.0");
    let shown = packument(&hosting, "all", "@owned/a");
    assert_eq!(shown["versions"].as_object().unwrap().keys().collect::<Vec<_>>(), ["1.0.0"]);
    assert_eq!(get(&hosting, "/npm/all/@owned/a/-/a-1.0.0.tgz").body, own);
    assert_eq!(packument(&hosting, "owner", "@owned/a")["dist-tags"], json!({"latest": "1.0.0"}));
    assert_eq!(get(&hosting, "/npm/all/-/package/@owned%2fa/dist-tags").text(), "{\"latest\":\"1.0.0\"}");
    let found: Value =
        serde_json::from_slice(&get(&hosting, "/npm/all/-/v1/search?text=owned").body).unwrap();
    assert_eq!(found["objects"][0]["package"]["version"], "1.0.0");

    // A name that nobody kept is a stranger's where one has it, and whoever is first has it where not.
    let bytes = tarball(&json!({"name": "lodash", "version": "5.0.0"}));
    let refused = put(&hosting, ADA, "/npm/team/lodash", &document("lodash", "5.0.0", &bytes));
    assert_eq!((refused.status, error(&refused).contains("would hide from everybody")), (403, true));
    let own = publish(&hosting, "team", "tool", "1.0.0");
    mirror(&home, "tool", "1.0.0");
    std::thread::sleep(std::time::Duration::from_millis(200));
    assert_eq!(get(&hosting, "/npm/all/tool/-/tool-1.0.0.tgz").body, own);
    publish(&hosting, "all", "tool", "1.0.1");
    assert_eq!(packument(&hosting, "all", "tool")["dist-tags"], json!({"latest": "1.0.1"}));
    assert_eq!(BlobKey::of(&own), BlobKey::of(&get(&hosting, "/npm/team/tool/-/tool-1.0.0.tgz").body));
}
