//! What products of registries do in ways of their own. Each is imitated as its interface is documented, or as the issue
//! that a test is named after describes it.

use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use serde_json::json;

use super::{House, LAYER, is_begin, is_put};
use crate::support::fake_registry::{FakeRegistry, OCI_MANIFEST};
use crate::support::fake_upstream::{Reply, Seen};

/// A registry with Harbor's projects: those that are made with its interface (`api/v2.0/swagger.yaml`). Without its
/// project, nothing of an image is shown or taken, and the answer is 401.
fn harbor() -> FakeRegistry {
    let made = AtomicUsize::new(0);
    FakeRegistry::odd(move |seen| {
        let is_there = made.load(Ordering::SeqCst) > 0;
        match (seen.method.as_str(), seen.path.as_str()) {
            ("HEAD", "/api/v2.0/projects?project_name=mirror") => {
                Some(Reply::status(if is_there { 200 } else { 404 }))
            }
            ("POST", "/api/v2.0/projects") => {
                assert_eq!(seen.body, br#"{"metadata":{"public":"false"},"project_name":"mirror"}"#);
                let is_admin = seen.header("authorization") == Some("Basic cm9ib3QkYWZ0azpzZXNhbWU=");
                made.fetch_add(usize::from(is_admin), Ordering::SeqCst);
                Some(Reply::status(if is_admin { 201 } else { 401 }))
            }
            (_, path) if path.starts_with("/v2/mirror/") && !is_there => Some(Reply::status(401)),
            _ => None,
        }
    })
}

/// <https://github.com/goharbor/harbor/issues/6892>: no project is made by pushing. The name of a robot has a `$`.
#[test]
fn harbor_6892_projects_are_made_if_that_is_wanted() {
    let (house, target) = (House::new(), harbor());
    let accounts = json!({"auths": {target.host(): {"auth": "cm9ib3QkYWZ0azpzZXNhbWU="}}}).to_string();
    std::fs::create_dir(house.sides.path("user").join(".docker")).unwrap();
    std::fs::write(house.sides.path("user").join(".docker/config.json"), accounts).unwrap();
    let options = ["--product", "harbor", "--create-projects"];
    let project = json!([format!("{}/mirror", target.host())]);
    let looked = house.push(&target, &[&options[..], &["--dry-run"]].concat()).json();
    assert_eq!((&looked["projects"], &looked["totals"]["refs"]), (&project, &json!({"uploaded": 2})));
    assert_eq!(looked["totals"]["parts"]["missing"]["count"], 4, "{looked}");
    assert_eq!((target.count("POST", ""), target.count("PUT", "")), (0, 0));
    assert_eq!(house.push(&target, &options).json()["projects"], project);
    assert_eq!(target.count("POST", "/api/v2.0/projects"), 1, "once for all images");
    assert!(house.is_there(&target, "team/app", "1") && house.is_there(&target, "team/other", "1"));
}

/// <https://github.com/goharbor/harbor/issues/966>: a missing project looks as if one were not let in.
#[test]
fn harbor_966_a_missing_project_is_named() {
    let (house, target) = (House::new(), harbor());
    let ran = house.push(&target, &["--product", "harbor"]);
    let report = ran.json();
    assert_eq!((ran.code, report["error"]["code"].as_str()), (Some(6), Some("push.no-project")), "{report}");
    assert!(report["error"]["hints"].to_string().contains("--create-projects"), "{report}");
    assert_eq!(target.count("POST", ""), 0);
}

/// A Nexus that wants a token, which it has for everybody, and says with these words where that is; HOST stands for its
/// own host and port. With another port it would be spoken to by TLS.
fn nexus(realm: &'static str) -> FakeRegistry {
    FakeRegistry::odd(move |seen| {
        let host = seen.header("host").unwrap();
        if seen.path.starts_with("/v2/token?") {
            return Some(Reply::json(&json!({"token": "let-me-in"})));
        }
        let is_in = seen.path == "/v2/" || seen.header("authorization") == Some("Bearer let-me-in");
        let challenge = format!("Bearer realm=\"{0}\",service=\"{0}\"", realm.replace("HOST", host));
        (!is_in).then(|| Reply::status(401).header("WWW-Authenticate", challenge))
    })
}

fn nexus_lets_in(realm: &'static str) {
    let (house, target) = (House::new(), nexus(realm));
    let ran = house.push(&target, &["docker:*/app"]);
    assert_ne!(ran.code, Some(0), "{}", ran.stdout);
    house.push(&target, &["docker:*/app", "--product", "nexus"]).done();
    assert!(house.is_there(&target, "team/app", "1"));
}

/// <https://github.com/sonatype/nexus-public/issues/611> and 651: behind a proxy that says the port, the realm has it twice.
#[test]
fn nexus_611_and_651_a_realm_with_two_ports_is_at_the_registry() {
    nexus_lets_in("http://HOST:5001/v2/token");
}

/// <https://github.com/sonatype/nexus-public/issues/580> and 565: the realm's scheme is `null`.
#[test]
fn nexus_580_and_565_a_realm_without_a_scheme_is_at_the_registry() {
    nexus_lets_in("null://HOST/v2/token");
}

/// <https://github.com/sonatype/nexus-public/issues/435>: the realm has the scheme of another port. There it is plain HTTP
/// on a port of https, which `tests/it/net/sign_in.rs` has.
#[test]
fn nexus_435_a_realm_of_another_scheme_is_at_the_registry() {
    nexus_lets_in("https://HOST/v2/token");
}

#[test]
fn a_realm_is_overridden_by_whoever_knows_better() {
    let (house, target) = (House::new(), nexus("https://wrong.example.test/v2/token"));
    let realm = target.upstream.at("/v2/token").to_string();
    house.push(&target, &["docker:*/app", "--realm-override", &realm]).done();
    assert!(house.is_there(&target, "team/app", "1"));
    for (wrong, code) in [("/v2/token", 2), ("https://me:sesame@h.test/", 2), ("http://h.test/", 6)] {
        assert_eq!(house.push(&target, &["docker:*/app", "--realm-override", wrong]).code, Some(code));
    }
}

#[test]
fn nexus_is_shown_the_account_from_the_first_request_on() {
    let house = House::new();
    let target = FakeRegistry::odd(|seen| {
        let is_known = seen.path == "/v2/" || seen.header("authorization") == Some("Basic bWU6c2VzYW1l");
        // To whom it does not know it has nothing to show, and does not ask either.
        (!is_known).then(|| Reply::status(403))
    });
    house.sign_in(&target);
    let refused = house.push(&target, &["docker:*/app"]);
    assert_eq!(refused.code, Some(6), "{}", refused.stdout);
    assert!(refused.json()["error"]["hints"].to_string().contains("--user USER"), "{}", refused.stdout);
    house.push(&target, &["docker:*/app", "--product", "nexus"]).done();
    assert!(house.is_there(&target, "team/app", "1"));
}

/// What a proxy makes wrong with realms (sonatype/nexus-public#611) can be wrong with a Location as well.
#[test]
fn nexus_gets_uploads_at_the_host_where_they_began() {
    let house = House::new();
    let target = FakeRegistry::saying(|seen, reply| {
        let here = format!("https://{}:5001", seen.header("host").unwrap());
        let location = reply.value("Location").map(|path| format!("{here}{path}"));
        match location {
            Some(location) => reply.without("Location").header("Location", location),
            None => reply,
        }
    });
    for options in [&[][..], &["--product", "nexus", "--rewrite-location", "never"]] {
        let ran = house.push(&target, &[&["docker:*/app"], options].concat());
        assert_eq!((ran.code, ran.json()["error"]["code"].as_str()), (Some(6), Some("net.location")));
    }
    house.push(&target, &["docker:*/app", "--product", "nexus"]).done();
    assert!(house.is_there(&target, "team/app", "1"));
}

/// <https://github.com/sonatype/nexus-public/issues/1059>: HEAD fails for manifests that GET has. Older ones say 404.
#[test]
fn nexus_1059_manifests_are_asked_for_by_get_where_head_fails() {
    let house = House::new();
    for status in [500, 404] {
        let target = FakeRegistry::odd(move |seen| {
            (seen.method == "HEAD" && seen.path.contains("/manifests/")).then(|| Reply::status(status))
        });
        target.image("mirror/team/app", "1", b"another one");
        let ran = house.push(&target, &["docker:*/app", "--product", "nexus", "--no-move-tags"]);
        assert_eq!((ran.code, ran.json()["error"]["code"].as_str()), (Some(6), Some("push.conflict")));
        house.push(&target, &["docker:*/app", "--product", "nexus"]).done();
        assert!(house.is_there(&target, "team/app", "1"));
        let before = target.count("PUT", "");
        house.push(&target, &["docker:*/app", "--product", "nexus"]).done();
        assert_eq!(target.count("PUT", ""), before);
    }
}

/// <https://github.com/containers/skopeo/issues/2409>: where there is no tag, the list of tags is `null`.
#[test]
fn skopeo_2409_a_list_of_tags_may_be_null() {
    let source = FakeRegistry::odd(|seen| {
        seen.path.contains("/tags/list").then(|| Reply::json(&json!({"name": "team/app", "tags": null})))
    });
    source.image("team/app", "1", LAYER);
    let (house, target) = (House::of(source, &["team/app:1"]), FakeRegistry::start());
    house.push(&target, &["--product", "nexus"]).done();
    assert!(house.is_there(&target, "team/app", "1"));
}

/// Signatures that were made twice name one layer twice, which Quay refuses (400): all else is pushed.
#[test]
fn quay_refuses_layers_that_are_named_twice_and_nothing_else_is_lost() {
    let source = FakeRegistry::start();
    let image = source.image("team/app", "1", LAYER);
    let (config, layer) = (source.blob("team/app", b"{}"), source.blob("team/app", b"a signature"));
    let signature =
        json!({"schemaVersion": 2, "mediaType": OCI_MANIFEST, "config": config, "layers": [layer, layer]});
    let tag = format!("{}.sig", image["digest"].as_str().unwrap().replacen(':', "-", 1));
    source.manifest("team/app", Some(&tag), &signature);
    let house = House::of(source, &["team/app:1"]);
    let target = FakeRegistry::odd(|seen| {
        let is_twice =
            seen.method == "PUT" && String::from_utf8_lossy(&seen.body).matches("digest").count() > 2;
        let said = json!({"errors": [{"code": "MANIFEST_INVALID", "message": "manifest invalid"}]});
        is_twice.then(|| Reply::json(&said).with_status(400))
    });
    let ran = house.push(&target, &[]);
    let report = ran.json();
    assert_eq!(
        (ran.code, &report["totals"]["refs"]),
        (Some(6), &json!({"failed": 1, "uploaded": 1})),
        "{report}"
    );
    assert!(report["error"]["causes"].to_string().contains("names a blob twice"), "{report}");
    assert!(house.is_there(&target, "team/app", "1"));
}

/// A token for more than pushing and pulling is void at Quay (`delete`); and at docker's own registry, mounting needs one
/// that lets read the other repository.
#[test]
fn tokens_are_asked_for_pushing_and_for_reading_what_is_mounted() {
    let (house, scopes) = (House::new(), std::sync::Arc::new(Mutex::new(Vec::new())));
    let asked = scopes.clone();
    let target = FakeRegistry::odd(move |seen| {
        if let Some((_, query)) = seen.path.split_once("/token?") {
            let pairs = url::form_urlencoded::parse(query.as_bytes());
            let scope: Vec<_> =
                pairs.filter(|(name, _)| name == "scope").map(|(_, scope)| scope.into_owned()).collect();
            let scope = scope.join(" ");
            asked.lock().unwrap().push(scope.clone());
            return Some(Reply::json(
                &json!({"token": url::form_urlencoded::byte_serialize(scope.as_bytes()).collect::<String>()}),
            ));
        }
        let shown = seen.header("authorization").unwrap_or_default().to_owned();
        let own = seen.path.split('/').skip(2).take(3).collect::<Vec<_>>().join("%2F");
        let other = seen.path.split("from=").nth(1).unwrap_or_default();
        let lets = |name: &str, what: &str| shown.contains(&format!("repository%3A{name}%3A{what}"));
        let is_in =
            seen.path == "/v2/" || lets(&own, "pull%2Cpush") && (other.is_empty() || lets(other, "pull"));
        let realm = format!("Bearer realm=\"http://{}/token?a=b\"", seen.header("host").unwrap());
        (!is_in).then(|| Reply::status(401).header("WWW-Authenticate", realm))
    });
    house.sign_in(&target);
    let report = house.push(&target, &[]).json();
    assert_eq!(report["totals"]["parts"]["mounted"]["count"], 2, "{report}");
    let scopes = scopes.lock().unwrap();
    assert!(scopes.iter().all(|scope| !scope.contains("delete") && !scope.contains('*')), "{scopes:?}");
}

/// GitLab takes but the media types that it knows, and ECR answers 405 to others: images go on without them.
#[test]
fn types_that_a_registry_does_not_know_are_named() {
    for status in [400, 405] {
        let source = FakeRegistry::start();
        let config = source.blob("team/chart", b"{}");
        let chart = json!({
            "schemaVersion": 2, "mediaType": OCI_MANIFEST, "artifactType": "application/vnd.example.chart",
            "config": config, "layers": [],
        });
        source.manifest("team/chart", Some("1"), &chart);
        source.image("team/app", "1", LAYER);
        let house = House::of(source, &["team/app:1", "team/chart:1"]);
        let target = FakeRegistry::odd(move |seen| {
            let is_chart = is_manifest(seen) && String::from_utf8_lossy(&seen.body).contains("example.chart");
            is_chart.then(|| Reply::status(status))
        });
        let report = house.push(&target, &[]).json();
        assert_eq!(report["exit_code"], 6, "{report}");
        assert!(report["error"]["causes"].to_string().contains("application/vnd.example.chart"), "{report}");
        assert!(house.is_there(&target, "team/app", "1"));
    }
}

fn is_manifest(seen: &Seen) -> bool {
    seen.method == "PUT" && seen.path.contains("/manifests/")
}

/// ECR makes no repository by pushing: nothing of one that is missing is taken (404, `NAME_UNKNOWN`).
#[test]
fn ecr_wants_repositories_made_before() {
    let house = House::new();
    let target = FakeRegistry::odd(|seen| {
        let said = json!({"errors": [{"code": "NAME_UNKNOWN", "message": "The repository does not exist"}]});
        seen.path.starts_with("/v2/mirror/").then(|| Reply::json(&said).with_status(404))
    });
    let ran = house.push(&target, &["docker:*/app"]);
    let report = ran.json();
    assert_eq!(ran.code, Some(6), "{report}");
    assert!(report["error"]["hints"].to_string().contains("make the repository"), "{report}");
}

/// ECR answers 201 to a piece of an upload, and says `OCI-Subject` without listing what refers to anything.
#[test]
fn ecr_takes_pieces_with_201_and_lists_no_referrers() {
    let source = FakeRegistry::start();
    let image = source.image("team/app", "1", LAYER);
    let config = source.blob("team/app", b"{}");
    let signature = json!({
        "schemaVersion": 2, "mediaType": OCI_MANIFEST, "artifactType": "application/vnd.example.signature",
        "config": config, "layers": [], "subject": image,
    });
    let tag = image["digest"].as_str().unwrap().replacen(':', "-", 1);
    let listed = source.manifest("team/app", None, &signature);
    let list = json!({"schemaVersion": 2, "mediaType": crate::support::fake_registry::OCI_INDEX, "manifests": [listed]});
    source.manifest("team/app", Some(&tag), &list);
    let house = House::of(source, &["team/app:1"]);
    let subject = image["digest"].as_str().unwrap().to_owned();
    let target = FakeRegistry::saying(move |seen, reply| match seen.method.as_str() {
        _ if is_put(seen) && !seen.body.is_empty() => Reply::status(405),
        "PATCH" => reply.with_status(201),
        "PUT" if seen.path.contains("/manifests/") => reply.header("OCI-Subject", &subject),
        _ => reply,
    });
    house.push(&target, &["docker:*/app:1"]).done();
    assert!(target.count("PATCH", "") > 0 && target.shown("mirror/team/app", &tag).is_some());
    assert!(house.is_there(&target, "team/app", "1"));
}

/// GHCR's Location is relative to what was asked for.
#[test]
fn ghcr_names_uploads_relative_to_their_repository() {
    let house = House::new();
    let target = FakeRegistry::saying(|seen, reply| match is_begin(seen) {
        // The session of this registry is the last part of its own Location.
        true => {
            let location = reply.value("Location").unwrap_or_default();
            let session = location.rsplit('/').next().unwrap_or_default().to_owned();
            reply.without("Location").header("Location", session)
        }
        false => reply,
    });
    house.push(&target, &[]).done();
    assert!(house.is_there(&target, "team/app", "1") && house.is_there(&target, "team/other", "1"));
}
