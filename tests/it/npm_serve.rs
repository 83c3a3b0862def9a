//! The registry as clients see it: each path with what HTTP says around it, as the public registry has it.

use serde_json::{Value, json};

use crate::support::fake_upstream::{FakeUpstream, Reply};
use crate::support::npm_project::{self, packages, publish, write_project};
use crate::support::raw_http::{Client, Response};
use crate::support::serving::Serving;
use crate::support::sides::{Ran, Sides};

const CORGI: &str = "Accept: application/vnd.npm.install-v1+json; q=1.0, application/json; q=0.8, */*";
const JSON: &str = "application/json";
const BYTES: &str = "application/octet-stream";

/// A site that has the three packages; `plain` says for which platforms it is.
fn site() -> (Sides, Serving) {
    let (sides, upstream, packages) = (Sides::new(), FakeUpstream::start(), packages());
    publish(&upstream, &packages);
    let mut document = packages[1].document();
    document["time"] = json!({ "1.4.0": "2024-01-01T00:00:00.000Z" });
    let version = &mut document["versions"]["1.4.0"];
    for (key, value) in [("os", "linux"), ("cpu", "x64"), ("libc", "musl")] {
        version[key] = json!([value]);
    }
    upstream.route(&packages[1].document_path(), Reply::json(&document));
    write_project(&sides, &packages);
    let mut collect = sides.command("out");
    npm_project::reach(&mut collect, &upstream);
    let collected = collect.args(["collect", "--out", "../stick"]).output().unwrap();
    assert!(collected.status.success(), "{}", String::from_utf8_lossy(&collected.stderr));
    sides.trust();
    sides.run("in", &["import", sides.path("stick").to_str().unwrap()]).done();
    let serving = Serving::start(&sides);
    (sides, serving)
}

fn ask(serving: &Serving, method: &str, path: &str, headers: &[&str]) -> Response {
    Client::connect(serving.address).ask(method, &format!("/npm/all/{path}"), headers)
}

#[test]
fn every_path_is_answered_with_what_caches_and_clients_go_by() {
    let (_sides, serving) = site();
    // Each path with its status, its media type, and whether it may be had in parts and asked about again.
    let table: &[(&str, u16, &str, bool)] = &[
        ("plain", 200, JSON, true),
        ("@scope/leaf", 200, JSON, true),
        ("@scope%2fleaf", 200, JSON, true),
        ("@scope%2Fleaf", 200, JSON, true),
        ("plain/1.4.0", 200, JSON, true),
        ("plain/latest", 200, JSON, true),
        ("@scope%2fleaf/2.0.1", 200, JSON, true),
        ("plain/-/plain-1.4.0.tgz", 200, BYTES, true),
        ("@scope/leaf/-/leaf-2.0.1.tgz", 200, BYTES, true),
        ("@scope%2fleaf/-/leaf-2.0.1.tgz", 200, BYTES, true),
        ("-/package/plain/dist-tags", 200, JSON, true),
        ("-/ping", 200, JSON, true),
        ("-/v1/search?text=plain", 200, JSON, true),
        ("-/npm/v1/security/advisories", 200, JSON, true),
        ("-/whoami", 401, JSON, false),
        ("-/npm/v1/keys", 404, JSON, false),
        ("-/npm/v1/attestations/plain@1.4.0", 404, JSON, false),
        ("plain/9.9.9", 404, JSON, false),
        ("pnpm", 404, JSON, false),
        ("plain/-/plain-9.9.9.tgz", 404, JSON, false),
        ("-/unknown", 404, JSON, false),
    ];
    for (path, status, media_type, lasts) in table {
        // Yarn 1 and pnpm ask for tarballs as they ask for documents, berry names nothing that it accepts.
        for accept in [CORGI, "Accept: application/json", "Accept: */*", "X-None: 1"] {
            let whole = ask(&serving, "GET", path, &[accept]);
            let about = format!("{path} ({accept})");
            assert_eq!((whole.status, whole.header("content-type")), (*status, Some(*media_type)), "{about}");
            let length = whole.body.len().to_string();
            assert_eq!(whole.header("content-length"), Some(length.as_str()), "{about}");
            let head = ask(&serving, "HEAD", path, &[accept]);
            assert_eq!((head.status, head.body.len()), (*status, 0), "{about}");
            for header in ["content-type", "content-length", "etag", "vary", "accept-ranges"] {
                assert_eq!(head.header(header), whole.header(header), "HEAD {about}: {header}");
            }
            if !lasts {
                assert_eq!(whole.header("etag"), None, "{about}");
                assert!(
                    serde_json::from_slice::<Value>(&whole.body).unwrap()["error"].is_string(),
                    "{about}"
                );
                continue;
            }
            let tag = whole.header("etag").unwrap();
            assert!(tag.starts_with('"'), "{about}: {tag} is weak");
            if *media_type == JSON {
                assert_eq!(whole.header("vary"), Some("Accept, Accept-Encoding"), "{about}");
            }
            for (told, expected) in [(tag, 304), ("\"other\"", 200), ("*", 304)] {
                let again = ask(&serving, "GET", path, &[accept, &format!("If-None-Match: {told}")]);
                assert_eq!((again.status, again.header("etag")), (expected, Some(tag)), "{about}: {told}");
                assert_eq!(again.body.is_empty(), expected == 304, "{about}: {told}");
            }
        }
    }
}

#[test]
fn tarballs_are_had_in_parts_and_documents_packed() {
    let (_sides, serving) = site();
    let path = "plain/-/plain-1.4.0.tgz";
    let whole = ask(&serving, "GET", path, &[]);
    let tag = whole.header("etag").unwrap();
    // What is asked, the status, and the first and last byte that come, if any do.
    let table: &[(&str, u16, Option<[usize; 2]>)] = &[
        ("Range: bytes=0-0", 206, Some([0, 0])),
        ("Range: bytes=8000-", 206, Some([8000, 8999])),
        ("Range: bytes=-10", 206, Some([8990, 8999])),
        ("Range: bytes=9000-", 416, None),
        ("Range: bytes=0-0\r\nIf-Range: \"other\"", 200, Some([0, 8999])),
        ("Range: lines=1-2", 200, Some([0, 8999])),
    ];
    for (headers, status, part) in table {
        let answer = ask(&serving, "GET", path, &[headers]);
        assert_eq!(answer.status, *status, "{headers}");
        if let Some([first, last]) = part {
            assert!(answer.body == whole.body[*first..=*last], "{headers}");
        }
    }
    let resumed = ask(&serving, "GET", path, &["Range: bytes=100-", &format!("If-Range: {tag}")]);
    assert!(resumed.status == 206 && resumed.body == whole.body[100..]);
    // A tarball is packed already; a document has another tag when it is sent packed.
    let packed = ask(&serving, "GET", path, &["Accept-Encoding: gzip"]);
    assert_eq!((packed.header("content-encoding"), packed.body == whole.body), (None, true));
    let [plain, packed] = ["identity", "gzip"]
        .map(|coding| ask(&serving, "GET", "plain", &[&format!("Accept-Encoding: {coding}")]));
    if packed.header("content-encoding").is_some() {
        assert_ne!(plain.header("etag"), packed.header("etag"));
    }
}

/// Whoever asks for the short form gets all of it: clients lose `libc` and the time out of their locks otherwise.
#[test]
fn the_short_form_lacks_nothing() {
    let (_sides, serving) = site();
    let [short, whole] = [CORGI, "Accept: application/json"].map(|accept| {
        let answer = ask(&serving, "GET", "plain", &[accept]);
        serde_json::from_slice::<Value>(&answer.body).unwrap()
    });
    assert_eq!(short, whole);
    let version = &short["versions"]["1.4.0"];
    assert_eq!([&version["os"][0], &version["cpu"][0], &version["libc"][0]], ["linux", "x64", "musl"]);
    assert_eq!(short["time"]["1.4.0"], "2024-01-01T00:00:00.000Z");
    let tarball = version["dist"]["tarball"].as_str().unwrap();
    assert!(tarball.ends_with("/npm/all/plain/-/plain-1.4.0.tgz"), "{tarball}");
}

/// A mirror answers audits even where it was brought nothing to answer with. Whoever collects from it is not to take that for
/// knowledge.
#[test]
fn a_mirror_without_advisories_is_not_one_that_knows_of_none() {
    let (sides, serving) = site();
    let mirror = format!("http://{}/npm/all/", serving.address);
    sides.write(".npmrc", format!("registry={mirror}\n"));
    let lock = npm_project::lockfile(&packages()).to_string();
    sides.write("package-lock.json", lock.replace(npm_project::REGISTRY, &mirror));
    let mut collect = sides.command("other");
    let arguments = ["collect", "--insecure-host", "127.0.0.1", "--out", "../other-stick"];
    let ran: Ran = collect.args(arguments).output().unwrap().into();
    assert!(ran.stderr.contains("does not tell what is known of weaknesses"), "{}", ran.stderr);
    ran.done();
    // It is told once; from then on the note is one of those that the lock has.
    let mut collect = sides.command("other");
    let again: Ran = collect.args(arguments).output().unwrap().into();
    assert!(!again.stderr.contains("weaknesses") && again.stderr.contains("as before"), "{}", again.stderr);
    let bulk = "-/npm/v1/security/advisories/bulk";
    let mut client = Client::connect(serving.address);
    let head = format!("POST /npm/all/{bulk} HTTP/1.1\r\nHost: a\r\nContent-Length: 19\r\n\r\n");
    client.send(head + r#"{"plain":["1.4.0"]}"#);
    assert_eq!(client.response(false).unwrap().text(), "{}", "clients are answered all the same");
}
