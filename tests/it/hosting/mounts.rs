//! Blobs that are mounted from where they are already.

use aftk::access::Read;

use crate::support::hosting::{Hosting, digest, location};
use crate::support::images::{Images, sha512};

/// A site with an image of a mirror.
fn mirror() -> Hosting {
    let hosting = Hosting::with(Read::Open);
    let mut images = Images::new(&hosting.home);
    images.image("docker.io", "library/redis", b"the layer of redis");
    images.publish("default");
    hosting
}

#[test]
fn blobs_are_mounted_from_hosted_repositories_and_mirrors() {
    let hosting = mirror();
    let mut client = hosting.client();
    let deposited = client.blob("team/deposited", b"waits for its manifest");
    client.image("team/linked", "1", b"has its manifest");
    let redis = crate::support::hosting::describe("", b"the layer of redis");
    let linked = crate::support::hosting::describe("", b"has its manifest");
    for (number, (blob, from)) in [
        (&deposited, Some("team/deposited")),
        (&linked, Some("team/linked")),
        (&redis, Some("docker.io/library/redis")),
        (&redis, Some("redis")),
        (&deposited, None),
        (&linked, None),
        (&redis, None),
    ]
    .into_iter()
    .enumerate()
    {
        let from = from.map(|from| format!("&from={from}")).unwrap_or_default();
        let path = format!("/v2/team/into-{number}/blobs/uploads/?mount={}{from}", digest(blob));
        let made = client.send("POST", &path, &[], b"");
        assert_eq!(made.status, 201, "{path}: {}", made.text());
        assert_eq!(location(&made), format!("/v2/team/into-{number}/blobs/{}", digest(blob)));
        assert_eq!(made.header("docker-content-digest"), Some(digest(blob)));
        assert_eq!(client.ask("GET", &location(&made), &[]).status, 200);
    }
    assert_eq!(hosting.staged(), 0);
}

#[test]
fn what_cannot_be_mounted_is_uploaded() {
    let hosting = mirror();
    let mut client = hosting.client();
    let blob = client.blob("team/app", b"bytes");
    let missing = format!("sha256:{}", "0".repeat(64));
    for (mount, from) in [
        (missing.as_str(), "&from=team/app"),
        (missing.as_str(), ""),
        // It is held, but not there.
        (digest(&blob), "&from=team/other"),
        (digest(&blob), "&from=redis"),
        (digest(&blob), "&from=..%2f..%2fteam%2fapp"),
        (digest(&blob), "&from=%00"),
        (digest(&blob), "&from=team"),
        (digest(&blob), "&from="),
        ("nonsense", "&from=team/app"),
        ("", ""),
    ] {
        let path = format!("/v2/team/into/blobs/uploads/?mount={mount}{from}");
        let begun = client.send("POST", &path, &[], b"");
        assert_eq!(begun.status, 202, "{path}: {}", begun.text());
        let upload = location(&begun);
        assert!(upload.starts_with("/v2/team/into/blobs/uploads/"));
        assert_eq!(client.ask("DELETE", &upload, &[]).status, 204);
    }
    let path = format!("/v2/team/into/blobs/{}", digest(&blob));
    assert_eq!(client.ask("GET", &path, &[]).status, 404);
    assert_eq!(hosting.staged(), 0);
}

#[test]
fn a_mounted_blob_keeps_the_digest_that_it_is_known_by() {
    let hosting = mirror();
    let mut client = hosting.client();
    let long = sha512(b"long bytes").to_string();
    let path = format!("/v2/team/app/blobs/uploads/?digest={long}");
    assert_eq!(client.send("POST", &path, &[], b"long bytes").status, 201);
    for from in ["&from=team/app", ""] {
        let repository = if from.is_empty() { "team/any" } else { "team/from" };
        let path = format!("/v2/{repository}/blobs/uploads/?mount={long}{from}");
        let made = client.send("POST", &path, &[], b"");
        assert_eq!(made.status, 201, "{}", made.text());
        assert_eq!(client.ask("GET", &location(&made), &[]).body, b"long bytes");
    }
}
