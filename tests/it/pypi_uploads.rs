//! Python releases that clients upload into an index of the site's own.

use aftk::access::Read;
use bundle_format::BlobKey;
use serde_json::{Value, json};

use crate::support::hosting::{ADA, EVE, Hosting};
use crate::support::raw_http::{Client, Response};
use crate::support::releases::{Releases, metadata, wheel};
use crate::support::sides::scratch;

const WHEEL: &str = "some_project-1.0-py3-none-any.whl";

/// The form that uploads a file, as twine sends it; `change` has other values for its fields.
fn form(file: &str, bytes: &[u8], change: &[(&str, &str)]) -> Vec<u8> {
    let digest = BlobKey::of(bytes).hex();
    let fields = [
        (":action", "file_upload"),
        ("protocol_version", "1"),
        ("metadata_version", "2.1"),
        ("name", "Some.Project"),
        ("version", "1.0"),
        ("requires_python", ">=3.9"),
        ("description", "A description;\r\nwith \"quotes\" in it"),
        ("sha256_digest", &digest),
    ];
    let mut body = String::new();
    for (name, value) in fields {
        let value = change.iter().find(|(other, _)| *other == name).map_or(value, |(_, value)| value);
        body.push_str(&format!("--b0\r\nContent-Disposition: form-data; name=\"{name}\"\r\n\r\n{value}\r\n"));
    }
    body.push_str(&format!(
        "--b0\r\nContent-Disposition: form-data; name=\"content\"; filename=\"{file}\"\r\n\
         Content-Type: application/octet-stream\r\n\r\n"
    ));
    [body.as_bytes(), bytes, b"\r\n--b0--\r\n"].concat()
}

fn post(hosting: &Hosting, who: &'static str, path: &str, body: &[u8]) -> Response {
    let kind = "Content-Type: multipart/form-data; boundary=b0";
    hosting.client().of(who).send("POST", path, &[kind], body)
}

fn upload(hosting: &Hosting, file: &str, bytes: &[u8], change: &[(&str, &str)]) -> Response {
    post(hosting, ADA, "/pypi/team/", &form(file, bytes, change))
}

fn page(hosting: &Hosting, index: &str) -> Option<Value> {
    let path = format!("/pypi/{index}/simple/some-project/");
    let accept = "Accept: application/vnd.pypi.simple.v1+json";
    let response = Client::connect(hosting.address).ask("GET", &path, &[accept]);
    (response.status == 200).then(|| serde_json::from_slice(&response.body).unwrap())
}

fn good() -> Vec<u8> {
    wheel("some-project", "1.0", &metadata("Some.Project", "1.0"))
}

#[test]
fn what_is_uploaded_is_listed_at_once() {
    let hosting = Hosting::start();
    let bytes = good();
    let taken = upload(&hosting, WHEEL, &bytes, &[]);
    assert_eq!(taken.status, 200, "{}", taken.text());
    let sources = b"sources".repeat(100_000);
    assert_eq!(upload(&hosting, "some_project-1.0.tar.gz", &sources, &[]).status, 200);
    let page = page(&hosting, "team").unwrap();
    let (wheel, sdist) = (&page["files"][0], &page["files"][1]);
    assert_eq!(
        (&sdist["filename"], &sdist["size"]),
        (&json!("some_project-1.0.tar.gz"), &json!(sources.len()))
    );
    // A wheel says itself what it needs; a source distribution has its form alone.
    assert_eq!((&sdist["requires-python"], &wheel["requires-python"]), (&json!(">=3.9"), &json!(">=3.8")));
    assert_eq!(wheel["hashes"]["sha256"], BlobKey::of(&bytes).hex());
    assert!(wheel["upload-time"].as_str().unwrap().ends_with('Z'), "{wheel}");
    let url = wheel["url"].as_str().unwrap().strip_prefix("http://aftk.test:2385").unwrap();
    let ask = |path: &str| Client::connect(hosting.address).ask("GET", path, &[]);
    assert_eq!(ask(url).body, bytes);
    assert_eq!(ask(&format!("{url}.metadata")).text(), metadata("Some.Project", "1.0"));
    let json: Value = serde_json::from_slice(&ask("/pypi/team/pypi/some-project/json").body).unwrap();
    assert_eq!(json["info"]["name"], "Some.Project");
    // Once more it is there; with other bytes it is not taken, and nothing of it stays.
    assert_eq!(upload(&hosting, WHEEL, &bytes, &[]).status, 200);
    let other = wheel_of("some-project", "1.0", "Other: bytes\n");
    let refused = upload(&hosting, WHEEL, &other, &[]);
    assert_eq!(refused.status, 400);
    assert!(refused.text().contains("File already exists"), "{}", refused.text());
    // twine shows this line alone.
    assert_eq!(refused.reason, refused.text().trim());
    assert_eq!(ask(url).body, bytes);
    assert_eq!(hosting.staged(), 0);
    // It outlives the server.
    let hosting = hosting.restart();
    assert_eq!(self::page(&hosting, "team").unwrap()["files"].as_array().unwrap().len(), 2);
}

fn wheel_of(name: &str, version: &str, more: &str) -> Vec<u8> {
    wheel(name, version, &format!("{more}{}", metadata(name, version)))
}

#[test]
fn nobody_uploads_without_the_right_to() {
    let hosting = Hosting::start();
    let body = form(WHEEL, &good(), &[]);
    for (who, path, status) in [
        ("", "/pypi/team/", 401),
        ("", "/pypi/all/", 403),
        (EVE, "/pypi/team/", 403),
        (ADA, "/pypi/all/", 403),
        (ADA, "/pypi/pypi/", 403),
        (ADA, "/pypi/nothing/", 403),
        ("Authorization: Basic YWRhOmRvbmtleQ==", "/pypi/team/", 401),
    ] {
        let refused = post(&hosting, who, path, &body);
        assert_eq!(refused.status, status, "{who} {path}: {}", refused.text());
        assert_eq!(refused.header("www-authenticate").is_some(), status == 401);
    }
    assert_eq!(page(&hosting, "team"), None);
    assert_eq!(hosting.staged(), 0);
}

#[test]
fn what_does_not_fit_together_is_refused_and_named() {
    let hosting = Hosting::start();
    let good = good();
    for (file, bytes, change, why) in [
        (WHEEL, &good[..], &[("sha256_digest", "00")][..], "no sha256"),
        (WHEEL, &good, &[("sha256_digest", "")], "has no sha256_digest"),
        (WHEEL, &good, &[("sha256_digest", &"0".repeat(64))], "does not have the sha256_digest"),
        (WHEEL, &good, &[(":action", "submit")], "only file_upload is"),
        (WHEEL, &good, &[("name", "other")], "neither a wheel nor"),
        (WHEEL, &good, &[("version", "1.1")], "neither a wheel nor"),
        (WHEEL, &good, &[("version", "one")], "is no version"),
        (WHEEL, &good, &[("name", "../x")], "is no project name"),
        ("../some_project-1.0.tar.gz", b"x", &[], "neither a wheel nor"),
        ("some_project-1.0.exe", b"x", &[], "neither a wheel nor"),
        ("", b"x", &[], "has no content"),
        (WHEEL, b"no archive", &[], "archive is damaged"),
        (WHEEL, &wheel_of("other", "1.0", ""), &[], "of another project"),
        (
            WHEEL,
            &wheel("some-project", "1.0", &metadata("some-project", "2.0")),
            &[],
            "that of some-project 2.0",
        ),
    ] {
        let refused = upload(&hosting, file, bytes, change);
        assert_eq!(refused.status, 400, "{why}: {}", refused.text());
        assert!(refused.text().contains(why), "{why}: {}", refused.text());
    }
    for (kind, body) in [
        ("application/x-www-form-urlencoded", &b":action=file_upload"[..]),
        ("multipart/form-data; boundary=b0", b"--b0\r\nX: y\r\n\r\n"),
        ("multipart/form-data; boundary=b0", &form(WHEEL, &good, &[])[..300]),
    ] {
        let refused = hosting.client().send("POST", "/pypi/team/", &[&format!("Content-Type: {kind}")], body);
        assert_eq!(refused.status, 400, "{kind}: {}", refused.text());
        assert!(refused.text().contains("no form"), "{}", refused.text());
    }
    assert_eq!(page(&hosting, "team"), None);
    assert_eq!(hosting.staged(), 0);
}

#[test]
fn an_index_has_no_more_than_it_may() {
    let hosting = Hosting::start();
    let large = form("some_project-1.0.tar.gz", &[7; 10_001], &[]);
    let refused = post(&hosting, ADA, "/pypi/small/", &large);
    assert_eq!(refused.status, 413, "{}", refused.text());
    assert_eq!(
        post(&hosting, ADA, "/pypi/small/", &form("some_project-1.0.tar.gz", &[7; 9_990], &[])).status,
        200
    );
    // The wheel would have fitted, but not with its metadata.
    let bytes = good();
    assert_eq!(post(&hosting, ADA, "/pypi/small/", &form(WHEEL, &bytes, &[])).status, 413);
    assert_eq!(page(&hosting, "small").unwrap()["files"].as_array().unwrap().len(), 1);
}

#[test]
fn a_hosted_name_is_nobody_elses() {
    let directory = scratch();
    let home = directory.path().join("home");
    let mut releases = Releases::new(&home);
    // What a stranger published under the same name, and newer.
    releases.release("pypi", "some-project", "99.0", json!({}));
    releases.release("pypi", "other", "1.0", json!({}));
    releases.publish("one");
    let hosting = Hosting::at(&home, Read::Open);
    assert_eq!(page(&hosting, "all").unwrap()["versions"], json!(["99.0"]));
    assert_eq!(upload(&hosting, WHEEL, &good(), &[]).status, 200);
    assert_eq!(page(&hosting, "all").unwrap()["versions"], json!(["1.0"]));
    assert_eq!(page(&hosting, "team").unwrap()["versions"], json!(["1.0"]));
    assert_eq!(page(&hosting, "pypi").unwrap()["versions"], json!(["99.0"]), "whoever names it means it");
}
