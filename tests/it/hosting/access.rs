//! Who may push where, and that a hosted name is nobody else's.

use aftk::access::Read;
use serde_json::json;

use crate::support::hosting::{ADA, BOB, EVE, Hosting, describe, digest, image, refused};
use crate::support::images::Images;

/// All that writes.
const WRITES: [(&str, &str); 8] = [
    ("POST", "blobs/uploads/"),
    ("POST", "blobs/uploads"),
    ("PATCH", "blobs/uploads/00000000-0000-4000-8000-000000000000"),
    ("PUT", "blobs/uploads/00000000-0000-4000-8000-000000000000"),
    ("DELETE", "blobs/uploads/00000000-0000-4000-8000-000000000000"),
    ("PUT", "manifests/1.0"),
    ("DELETE", "manifests/1.0"),
    ("DELETE", "blobs/sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"),
];

#[test]
fn nobody_writes_without_the_right_to() {
    let hosting = Hosting::start();
    for (method, path) in WRITES {
        let ask = |who, repository: &str| {
            hosting.client().of(who).send(method, &format!("/v2/{repository}/{path}"), &[], b"body")
        };
        let asked = ask("", "team/app");
        assert_eq!(refused(&asked), (401, "UNAUTHORIZED".to_owned()), "{method} {path}");
        assert_eq!(
            asked.header("www-authenticate"),
            Some(
                "Bearer realm=\"http://aftk.test:2385/-/token\",service=\"aftk.test:2385\",\
                 scope=\"repository:team/app:pull,push\""
            )
        );
        for (who, repository) in [
            (EVE, "team/app"),
            // What is mirrored is nobody's to write, and neither is what would be hosted were it named so.
            (ADA, "docker.io/team/app"),
            (ADA, "teams/app"),
            (ADA, "library/redis"),
            (ADA, "redis"),
            ("", "redis"),
        ] {
            let denied = ask(who, repository);
            assert_eq!(refused(&denied), (403, "DENIED".to_owned()), "{method} {repository}/{path}");
        }
        let wrong = ask("Authorization: Basic YWRhOmRvbmtleQ==", "team/app");
        assert_eq!(refused(&wrong), (401, "UNAUTHORIZED".to_owned()));
        for repository in ["team", "team/App", "team//app", "team/.app"] {
            let invalid = ask(ADA, repository);
            assert!([400, 404].contains(&invalid.status), "{repository} {invalid:?}");
        }
    }
    assert_eq!(hosting.staged(), 0);
}

#[test]
fn a_token_pushes_like_the_password_that_it_was_had_for() {
    let hosting = Hosting::start();
    let given = hosting.client().ask("GET", "/-/token?scope=repository:team/app:pull,push", &[]);
    let given: serde_json::Value = serde_json::from_slice(&given.body).unwrap();
    let bearer: &'static str = format!("Authorization: Bearer {}", given["token"].as_str().unwrap()).leak();
    hosting.client().of(bearer).image("team/app", "1.0", b"layer");
    let nobody = hosting.client().of("").ask("GET", "/-/token?scope=repository:team/app:pull,push", &[]);
    let nobody: serde_json::Value = serde_json::from_slice(&nobody.body).unwrap();
    let bearer: &'static str = format!("Authorization: Bearer {}", nobody["token"].as_str().unwrap()).leak();
    let refusal = hosting.client().of(bearer).send("POST", "/v2/team/app/blobs/uploads/", &[], b"");
    assert_eq!(refused(&refusal), (401, "UNAUTHORIZED".to_owned()));
}

#[test]
fn a_hosted_name_is_no_other_registrys() {
    let hosting = Hosting::start();
    let mut images = Images::new(&hosting.home);
    let mirrored = images.image("docker.io", "team/app", b"docker's own");
    images.tag("docker.io", "team/app", "1.0", &mirrored);
    images.publish("default");
    let at = |path: &str| {
        let response = hosting.ask("GET", path);
        (response.status, response.header("docker-content-digest").map(str::to_owned))
    };
    let path = "/v2/team/app/manifests/1.0";
    assert_eq!(at(path).0, 404, "nobody pushed it, whatever docker's registry has");
    let pushed = hosting.client().image("team/app", "1.0", b"ours");
    for ours in [path.to_owned(), format!("{path}?ns=aftk.test:2385"), format!("{path}?ns=aftk.test%3A2385")]
    {
        assert_eq!(at(&ours), (200, Some(digest(&pushed).to_owned())), "{ours}");
    }
    for theirs in [format!("{path}?ns=docker.io"), "/v2/docker.io/team/app/manifests/1.0".to_owned()] {
        assert_eq!(at(&theirs), (200, Some(digest(&mirrored).to_owned())), "{theirs}");
    }
    // What is said for another registry is not written here.
    let manifest = image(&describe("", b"{}"), &[]);
    let elsewhere = hosting.client().manifest("team/app", "2.0?ns=docker.io", &manifest);
    assert_eq!(refused(&elsewhere), (403, "DENIED".to_owned()));
    let deleted = hosting.ask("DELETE", &format!("{path}?ns=docker.io"));
    assert_eq!(refused(&deleted), (403, "DENIED".to_owned()));
    assert_eq!(at(path).1.as_deref(), Some(digest(&pushed)));
    // All are listed, each where it is pulled from.
    let catalogue = hosting.ask("GET", "/v2/_catalog");
    let catalogue: serde_json::Value = serde_json::from_slice(&catalogue.body).unwrap();
    let listed = catalogue["repositories"].as_array().unwrap();
    assert!(
        listed.contains(&json!("team/app")) && listed.contains(&json!("docker.io/team/app")),
        "{listed:?}"
    );
}

#[test]
fn where_only_accounts_read_nobody_else_does() {
    let hosting = Hosting::with(Read::Accounts);
    let pushed = hosting.client().image("team/app", "1.0", b"layer");
    let manifest = format!("/v2/team/app/manifests/{}", digest(&pushed));
    let layer = format!("/v2/team/app/blobs/{}", digest(&describe("", b"layer")));
    for path in [manifest.as_str(), &layer, "/v2/team/app/tags/list", "/v2/_catalog", "/v2/"] {
        // Also when it is kept in memory for those who may.
        for who in ["", ADA, "", BOB, EVE, ""] {
            let status = hosting.client().of(who).ask("GET", path, &[]).status;
            assert_eq!(status, if who.is_empty() { 401 } else { 200 }, "{path} {who}");
        }
    }
}
