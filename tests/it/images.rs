//! Images served by the program from a store that holds some: what registries' clients ask, over raw sockets.

use serde_json::{Value, json};

use crate::support::images::{IMAGE, INDEX, Images, sha512};
use crate::support::raw_http::{Client, Response};
use crate::support::serving::Serving;
use crate::support::sides::Sides;

const DOCKER: &str = "docker.io";
const OTHER: &str = "registry.example.test:5000";

/// A mirror with images in it.
struct Mirror {
    serving: Serving,
    sides: Sides,
}

impl Mirror {
    fn with(fill: impl FnOnce(&mut Images)) -> Mirror {
        let sides = Sides::new();
        let mut images = Images::new(&sides.path("in"));
        fill(&mut images);
        images.publish("default");
        Mirror { serving: Serving::start(&sides), sides }
    }

    fn ask(&self, method: &str, path: &str, headers: &[&str]) -> Response {
        Client::connect(self.serving.address).ask(method, path, headers)
    }

    fn get(&self, path: &str) -> Response {
        self.ask("GET", path, &[])
    }

    fn json(&self, path: &str) -> Value {
        let response = self.get(path);
        assert_eq!(response.status, 200, "{path}: {}", response.text());
        serde_json::from_slice(&response.body).unwrap()
    }
}

fn digest(descriptor: &Value) -> &str {
    descriptor["digest"].as_str().unwrap()
}

/// Status and code of an error.
fn refused(response: &Response) -> (u16, String) {
    assert_eq!(response.header("content-type"), Some("application/json"));
    let body: Value = serde_json::from_slice(&response.body).unwrap();
    let error = &body["errors"][0];
    assert!(!error["message"].as_str().unwrap().is_empty());
    (response.status, error["code"].as_str().unwrap().to_owned())
}

/// redis at docker's registry, with a tag, and another image of another registry.
fn two_registries(images: &mut Images) -> (Value, Value) {
    let redis = images.image(DOCKER, "library/redis", b"the layer of redis");
    images.tag(DOCKER, "library/redis", "7", &redis);
    let app = images.image(OTHER, "team/app", b"the layer of app");
    images.tag(OTHER, "team/app", "1.0", &app);
    (redis, app)
}

#[test]
fn a_registry_says_that_it_is_one() {
    let mirror = Mirror::with(|images| {
        two_registries(images);
    });
    for path in ["/v2/", "/v2"] {
        let response = mirror.get(path);
        assert_eq!((response.status, response.text().as_str()), (200, "{}"));
        assert_eq!(response.header("docker-distribution-api-version"), Some("registry/2.0"));
    }
}

#[test]
fn every_dialect_leads_to_the_same_image() {
    let mut held = None;
    let mirror = Mirror::with(|images| held = Some(two_registries(images)));
    let (redis, app) = held.unwrap();
    for (path, image, namespace) in [
        ("/v2/redis/manifests/7", &redis, None),
        ("/v2/library/redis/manifests/7", &redis, None),
        ("/v2/docker.io/library/redis/manifests/7", &redis, None),
        ("/v2/docker.io/redis/manifests/7", &redis, None),
        ("/v2/library/redis/manifests/7?ns=docker.io", &redis, Some("docker.io")),
        ("/v2/registry.example.test_5000/team/app/manifests/1.0", &app, None),
        ("/v2/team/app/manifests/1.0?ns=registry.example.test:5000", &app, Some(OTHER)),
        ("/v2/team/app/manifests/1.0?ns=registry.example.test%3A5000", &app, Some(OTHER)),
    ] {
        for method in ["GET", "HEAD"] {
            let response = mirror.ask(method, path, &["Accept: application/json"]);
            assert_eq!(response.status, 200, "{method} {path}: {}", response.text());
            assert_eq!(response.header("docker-content-digest"), Some(digest(image)));
            assert_eq!(response.header("content-type"), Some(IMAGE));
            assert_eq!(response.header("content-length"), Some(image["size"].to_string().as_str()));
            assert_eq!(response.header("oci-namespace"), namespace);
            assert_eq!(response.header("docker-distribution-api-version"), Some("registry/2.0"));
            assert_eq!(
                response.body.len() as u64,
                if method == "GET" { image["size"].as_u64().unwrap() } else { 0 }
            );
        }
    }
}

#[test]
fn manifests_and_blobs_come_as_they_are() {
    let mut parts = None;
    let mirror = Mirror::with(|images| {
        let layer = images.blob("application/vnd.oci.image.layer.v1.tar", &[b'x'; 5000]);
        let config = images.blob("application/vnd.oci.image.config.v1+json", b"{ }");
        // Long enough to be worth compressing, and in a form of its own.
        let note = "a ".repeat(5000);
        let image = json!({
            "schemaVersion": 2, "mediaType": "application/vnd.docker.distribution.manifest.v2+json",
            "config": config, "layers": [layer], "annotations": {"note": note},
        });
        let manifest = images.manifest(DOCKER, "library/redis", &image);
        parts = Some((serde_json::to_vec_pretty(&image).unwrap(), manifest, layer));
    });
    let (bytes, manifest, layer) = parts.unwrap();
    let path = format!("/v2/library/redis/manifests/{}", digest(&manifest));
    // The second time it comes from memory.
    for _ in 0..2 {
        let response = mirror.ask("GET", &path, &["Accept-Encoding: gzip", "Accept: text/html"]);
        assert!(response.status == 200 && response.body == bytes);
        assert_eq!(response.header("content-encoding"), None);
        assert_eq!(
            response.header("content-type"),
            Some("application/vnd.docker.distribution.manifest.v2+json")
        );
        let etag = format!("If-None-Match: {}", response.header("etag").unwrap());
        assert_eq!(mirror.ask("GET", &path, &[&etag]).status, 304);
        let part = mirror.ask("GET", &path, &["Range: bytes=2-5"]);
        assert!(part.status == 206 && part.body == bytes[2..6]);
        assert_eq!(refused(&mirror.ask("POST", &path, &["Content-Length: 0"])), (405, "UNSUPPORTED".into()));
    }
    let path = format!("/v2/library/redis/blobs/{}", digest(&layer));
    for _ in 0..2 {
        let response = mirror.ask("GET", &path, &["Accept-Encoding: gzip"]);
        assert!(response.status == 200 && response.body == [b'x'; 5000]);
        assert_eq!(response.header("content-encoding"), None);
        assert_eq!(response.header("content-type"), Some("application/octet-stream"));
        assert_eq!(response.header("docker-content-digest"), Some(digest(&layer)));
        let head = mirror.ask("HEAD", &path, &[]);
        assert_eq!(
            (head.header("content-length"), head.header("accept-ranges")),
            (Some("5000"), Some("bytes"))
        );
    }
}

#[test]
fn ranges_of_blobs_are_what_clients_rely_on() {
    let mut layers = Vec::new();
    let bytes: Vec<u8> = (0..300_000_u32).map(|index| (index % 251) as u8).collect();
    let mirror = Mirror::with(|images| {
        // One that is kept in memory, and one that isn't.
        for length in [2000, 300_000] {
            let layer = images.blob("application/vnd.oci.image.layer.v1.tar", &bytes[..length]);
            let config = images.blob("application/vnd.oci.image.config.v1+json", b"{}");
            let image = json!({"mediaType": IMAGE, "config": config, "layers": [layer]});
            images.manifest(DOCKER, "library/redis", &image);
            layers.push((length, layer));
        }
    });
    for (length, layer) in &layers {
        let path = format!("/v2/library/redis/blobs/{}", digest(layer));
        for (range, expected) in [
            ("500-1499", Some(500..1500)),
            ("500-", Some(500..*length)),
            ("-500", Some(length - 500..*length)),
            ("1500-9999999", Some(1500..*length)),
            ("500-0", None),
            ("9999999-", None),
            ("9999998-9999999", None),
        ] {
            for _ in 0..2 {
                let response = mirror.ask("GET", &path, &[&format!("Range: bytes={range}")]);
                match &expected {
                    Some(part) => {
                        assert_eq!(response.status, 206, "{range} of {length}");
                        let content = format!("bytes {}-{}/{length}", part.start, part.end - 1);
                        assert_eq!(response.header("content-range"), Some(content.as_str()));
                        assert_eq!(response.header("docker-content-digest"), Some(digest(layer)));
                        assert!(response.body == bytes[part.clone()], "{range} of {length}");
                    }
                    None => {
                        assert_eq!(response.status, 416, "{range} of {length}");
                        let content = format!("bytes */{length}");
                        assert_eq!(response.header("content-range"), Some(content.as_str()));
                    }
                }
            }
        }
    }
}

#[test]
fn only_the_repository_that_has_it_shows_it() {
    let (mut held, mut secret) = (None, None);
    let mirror = Mirror::with(|images| {
        held = Some(two_registries(images));
        secret = Some(images.blob("application/vnd.oci.image.layer.v1.tar", b"the layer of app"));
        images.image(OTHER, "team/other", b"the layer of the other");
    });
    let (redis, app) = held.unwrap();
    let secret = secret.unwrap();
    let here = format!("/v2/registry.example.test_5000/team/app/blobs/{}", digest(&secret));
    for _ in 0..2 {
        assert_eq!(mirror.get(&here).body, b"the layer of app");
        for elsewhere in ["library/redis", "registry.example.test_5000/team/other", "team/app"] {
            let path = format!("/v2/{elsewhere}/blobs/{}", digest(&secret));
            assert_eq!(refused(&mirror.get(&path)), (404, "BLOB_UNKNOWN".into()), "{path}");
        }
        let path = format!("/v2/registry.example.test_5000/team/other/manifests/{}", digest(&app));
        assert_eq!(refused(&mirror.get(&path)), (404, "MANIFEST_UNKNOWN".into()));
    }
    // A manifest is no blob, and a blob no manifest.
    let path = format!("/v2/library/redis/blobs/{}", digest(&redis));
    assert_eq!(refused(&mirror.get(&path)), (404, "BLOB_UNKNOWN".into()));
    let path = format!("/v2/registry.example.test_5000/team/app/manifests/{}", digest(&secret));
    assert_eq!(refused(&mirror.get(&path)), (404, "MANIFEST_UNKNOWN".into()));
}

#[test]
fn errors_have_the_form_and_the_codes_of_registries() {
    let mirror = Mirror::with(|images| {
        two_registries(images);
    });
    let digest = format!("sha256:{}", "0".repeat(64));
    for (method, path, status, code) in [
        ("GET", "/v2/redis/manifests/8".to_owned(), 404, "MANIFEST_UNKNOWN"),
        ("GET", "/v2/redi/manifests/7".to_owned(), 404, "NAME_UNKNOWN"),
        ("GET", "/v2/rediss/manifests/7".to_owned(), 404, "NAME_UNKNOWN"),
        ("GET", format!("/v2/redis/manifests/{digest}"), 404, "MANIFEST_UNKNOWN"),
        ("GET", "/v2/redis/manifests/.INVALID".to_owned(), 404, "MANIFEST_UNKNOWN"),
        ("GET", "/v2/redis/manifests/sha256:abc".to_owned(), 400, "DIGEST_INVALID"),
        ("GET", "/v2/redis/manifests/md5:00".to_owned(), 400, "DIGEST_INVALID"),
        ("GET", "/v2/Redis/manifests/7".to_owned(), 400, "NAME_INVALID"),
        ("GET", "/v2/redis/manifests/7?ns=a/b".to_owned(), 400, "NAME_INVALID"),
        ("GET", format!("/v2/redis/blobs/{digest}"), 404, "BLOB_UNKNOWN"),
        ("GET", "/v2/redis/blobs/x".to_owned(), 400, "DIGEST_INVALID"),
        ("GET", "/v2/none/tags/list".to_owned(), 404, "NAME_UNKNOWN"),
        ("GET", "/v2/redis/tags/list?n=x".to_owned(), 400, "PAGINATION_NUMBER_INVALID"),
        ("GET", "/v2/redis/tags/list?n=-1".to_owned(), 400, "PAGINATION_NUMBER_INVALID"),
        ("GET", "/v2/_catalog?n=x".to_owned(), 400, "PAGINATION_NUMBER_INVALID"),
        ("GET", "/v2/redis/referrers/x".to_owned(), 400, "DIGEST_INVALID"),
        ("GET", "/v2/redis".to_owned(), 404, "UNSUPPORTED"),
        ("POST", "/v2/redis/blobs/uploads/".to_owned(), 403, "DENIED"),
        ("PUT", "/v2/redis/manifests/7".to_owned(), 403, "DENIED"),
        ("DELETE", format!("/v2/redis/manifests/{digest}"), 403, "DENIED"),
        ("PATCH", "/v2/redis/blobs/uploads/1".to_owned(), 403, "DENIED"),
        ("NONSENSE", "/v2/".to_owned(), 405, "UNSUPPORTED"),
    ] {
        let response = mirror.ask(method, &path, &["Content-Length: 0"]);
        assert_eq!(refused(&response), (status, code.into()), "{method} {path}");
        if status == 405 {
            assert_eq!(response.header("allow"), Some("GET, HEAD"));
        }
    }
    let help = mirror.get("/v2/redis/manifests/8").text();
    assert!(help.contains("collect it outside (docker:docker.io/library/redis:8)"), "{help}");
}

#[test]
fn manifests_that_are_missed_are_remembered() {
    let mirror = Mirror::with(|images| {
        two_registries(images);
    });
    let digest = format!("sha256:{}", "0".repeat(64));
    for path in [
        "redis/manifests/8",
        "team/none/manifests/1?ns=registry.example.test:5000",
        &format!("redis/manifests/{digest}"),
        &format!("redis/blobs/{digest}"),
        &format!("redis/manifests/{}.sig", digest.replace(':', "-")),
        "redis/manifests/.bad",
        "redis/manifests/7",
    ] {
        mirror.get(&format!("/v2/{path}"));
    }
    let home = mirror.sides.path("in");
    let missed = || -> Vec<String> {
        let store = aftk::store::Store::open(&home).unwrap();
        let misses = store.catalogue.misses().unwrap();
        let mut texts: Vec<_> = misses
            .iter()
            .map(|miss| format!("{} {} {} {}", miss.ecosystem, miss.repository, miss.name, miss.version))
            .collect();
        texts.sort();
        texts
    };
    let begin = aftk::clock::instant();
    while missed().len() < 3 && begin.elapsed().as_secs() < 5 {
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
    assert_eq!(
        missed(),
        [
            "oci docker.io library/redis 8".to_owned(),
            format!("oci docker.io library/redis {digest}"),
            format!("oci {OTHER} team/none 1"),
        ]
    );
}

#[test]
fn tags_are_listed_in_pages() {
    let tags = ["1", "1.0", "10", "2", "A", "a", "latest"];
    let mirror = Mirror::with(|images| {
        let (redis, _) = two_registries(images);
        for tag in tags {
            images.tag(DOCKER, "library/redis", tag, &redis);
        }
        images.image(DOCKER, "team/untagged", b"x");
    });
    let all = mirror.json("/v2/redis/tags/list");
    assert_eq!(all, json!({"name": "redis", "tags": ["1", "1.0", "10", "2", "7", "A", "a", "latest"]}));
    assert_eq!(mirror.get("/v2/redis/tags/list").header("link"), None);
    assert_eq!(
        mirror.json("/v2/docker.io/library/redis/tags/list?last=2")["tags"],
        json!(["7", "A", "a", "latest"])
    );
    assert_eq!(mirror.json("/v2/redis/tags/list?last=between")["tags"], json!(["latest"]));
    let none = mirror.get("/v2/redis/tags/list?n=0");
    assert_eq!((none.text().as_str(), none.header("link")), (r#"{"name":"redis","tags":[]}"#, None));
    assert_eq!(mirror.json("/v2/team/untagged/tags/list")["tags"], json!([]));
    let (mut path, mut seen) = ("/v2/redis/tags/list?n=3&ns=docker.io".to_owned(), Vec::new());
    loop {
        let response = mirror.get(&path);
        let page: Value = serde_json::from_slice(&response.body).unwrap();
        seen.extend(page["tags"].as_array().unwrap().clone());
        let Some(link) = response.header("link") else { break };
        path = link.strip_prefix('<').unwrap().strip_suffix(">; rel=\"next\"").unwrap().to_owned();
        assert!(path.contains("ns=docker.io") && path.contains("n=3"), "{path}");
    }
    assert_eq!(json!(seen), all["tags"]);
}

#[test]
fn a_tag_that_two_channels_set_is_the_first_ones() {
    let (mut first, mut second) = (None, None);
    let mirror = Mirror::with(|images| {
        let image = images.image(DOCKER, "library/redis", b"one");
        images.tag(DOCKER, "library/redis", "7", &image);
        images.publish("zebra");
        first = Some(image);
        let image = images.image(DOCKER, "library/redis", b"two");
        images.tag(DOCKER, "library/redis", "7", &image);
        images.tag(DOCKER, "library/redis", "8", &image);
        second = Some(image);
    });
    let (first, second) = (first.unwrap(), second.unwrap());
    for (tag, image) in [("7", &first), ("8", &second)] {
        let response = mirror.get(&format!("/v2/redis/manifests/{tag}"));
        assert_eq!(response.header("docker-content-digest"), Some(digest(image)), "{tag}");
    }
    assert_eq!(mirror.json("/v2/redis/tags/list")["tags"], json!(["7", "8"]));
    for image in [&first, &second] {
        assert_eq!(mirror.get(&format!("/v2/redis/manifests/{}", digest(image))).status, 200);
    }
}

#[test]
fn what_is_imported_while_it_runs_is_seen_at_once() {
    let mut redis = None;
    let mirror = Mirror::with(|images| redis = Some(two_registries(images).0));
    let redis = redis.unwrap();
    let old = format!("/v2/redis/manifests/{}", digest(&redis));
    assert_eq!(mirror.get("/v2/redis/manifests/7").header("docker-content-digest"), Some(digest(&redis)));
    assert_eq!(mirror.get(&old).status, 200);
    let mut images = Images::new(&mirror.sides.path("in"));
    let moved = images.image(DOCKER, "library/redis", b"a newer layer");
    images.tag(DOCKER, "library/redis", "7", &moved);
    images.publish("default");
    assert_eq!(mirror.get("/v2/redis/manifests/7").header("docker-content-digest"), Some(digest(&moved)));
    assert_eq!(mirror.get(&format!("/v2/redis/manifests/{}", digest(&moved))).status, 200);
    // What is shown no more may be sent from memory for as long as that may be behind.
    std::thread::sleep(aftk::ecosystem::LASTING + std::time::Duration::from_millis(20));
    assert_eq!(mirror.get(&old).status, 404);
}

#[test]
fn all_repositories_are_listed_in_pages() {
    let mirror = Mirror::with(|images| {
        two_registries(images);
        // In the order of these registries' names a dash comes before the slash that is after them.
        for (registry, path) in [("a.test", "z"), ("a.test-b.test", "a"), (OTHER, "a"), (OTHER, "zoo")] {
            images.image(registry, path, path.as_bytes());
        }
    });
    let all = json!([
        "a.test-b.test/a",
        "a.test/z",
        "docker.io/library/redis",
        "registry.example.test_5000/a",
        "registry.example.test_5000/team/app",
        "registry.example.test_5000/zoo",
    ]);
    assert_eq!(mirror.json("/v2/_catalog"), json!({"repositories": all}));
    assert_eq!(
        mirror.json("/v2/_catalog?ns=registry.example.test:5000")["repositories"],
        json!(["a", "team/app", "zoo"])
    );
    assert_eq!(mirror.json("/v2/_catalog?n=0")["repositories"], json!([]));
    for n in 1..=6 {
        let (mut path, mut seen, mut pages) = (format!("/v2/_catalog?n={n}"), Vec::new(), 0);
        loop {
            let response = mirror.get(&path);
            let page: Value = serde_json::from_slice(&response.body).unwrap();
            seen.extend(page["repositories"].as_array().unwrap().clone());
            pages += 1;
            let Some(link) = response.header("link") else { break };
            path = link.strip_prefix('<').unwrap().strip_suffix(">; rel=\"next\"").unwrap().to_owned();
        }
        assert_eq!((json!(seen), pages), (all.clone(), 6_usize.div_ceil(n)), "{n}");
    }
}

#[test]
fn what_refers_to_an_image_is_found() {
    let (mut image, mut signature, mut report) = (None, None, None);
    let mirror = Mirror::with(|images| {
        let (redis, _) = two_registries(images);
        let empty = images.blob("application/vnd.oci.empty.v1+json", b"{}");
        let signed = json!({
            "schemaVersion": 2, "mediaType": IMAGE, "artifactType": "application/vnd.example.signature",
            "config": empty, "layers": [empty], "subject": redis, "annotations": {"by": "somebody"},
        });
        signature = Some(images.manifest(DOCKER, "library/redis", &signed));
        let config = images.blob("application/vnd.example.report", b"[]");
        let reported =
            json!({"schemaVersion": 2, "mediaType": IMAGE, "config": config, "layers": [], "subject": redis});
        report = Some(images.manifest(DOCKER, "library/redis", &reported));
        // What another repository says of the same image is its own.
        images.manifest(OTHER, "team/app", &signed);
        image = Some(redis);
    });
    let (image, signature, report) = (image.unwrap(), signature.unwrap(), report.unwrap());
    let path = format!("/v2/redis/referrers/{}", digest(&image));
    let response = mirror.get(&path);
    assert_eq!((response.status, response.header("content-type")), (200, Some(INDEX)));
    assert_eq!(response.header("oci-filters-applied"), None);
    let index: Value = serde_json::from_slice(&response.body).unwrap();
    assert_eq!((&index["schemaVersion"], &index["mediaType"]), (&json!(2), &json!(INDEX)));
    let mut expected = [
        json!({
            "mediaType": IMAGE, "digest": digest(&signature), "size": signature["size"],
            "artifactType": "application/vnd.example.signature", "annotations": {"by": "somebody"},
        }),
        json!({
            "mediaType": IMAGE, "digest": digest(&report), "size": report["size"],
            "artifactType": "application/vnd.example.report",
        }),
    ];
    expected.sort_by_key(|one| digest(one).to_owned());
    assert_eq!(index["manifests"], json!(expected));

    let filtered = mirror.get(&format!("{path}?artifactType=application%2Fvnd.example.report"));
    assert_eq!(filtered.header("oci-filters-applied"), Some("artifactType"));
    let filtered: Value = serde_json::from_slice(&filtered.body).unwrap();
    assert_eq!(filtered["manifests"].as_array().unwrap().len(), 1);
    assert_eq!(filtered["manifests"][0]["digest"], json!(digest(&report)));

    // Nothing refers to these, and some of them are not even there.
    for path in [
        format!("/v2/redis/referrers/{}", digest(&report)),
        format!("/v2/redis/referrers/sha256:{}", "0".repeat(64)),
        format!("/v2/none/referrers/sha512:{}", "0".repeat(128)),
        format!("/v2/none/referrers/{}?ns=none.example.test", digest(&image)),
    ] {
        let response = mirror.get(&path);
        assert_eq!((response.status, response.header("content-type")), (200, Some(INDEX)), "{path}");
        let index: Value = serde_json::from_slice(&response.body).unwrap();
        assert_eq!(index["manifests"], json!([]), "{path}");
    }
}

#[test]
fn long_lists_of_referrers_come_in_pages() {
    let (mut image, mut digests) = (None, Vec::new());
    let mirror = Mirror::with(|images| {
        let (redis, _) = two_registries(images);
        let empty = images.blob("application/vnd.oci.empty.v1+json", b"{}");
        for number in 0..7 {
            let signed = json!({
                "schemaVersion": 2, "mediaType": IMAGE, "artifactType": "application/vnd.example.signature",
                "config": empty, "layers": [empty], "subject": redis,
                "annotations": {"number": number.to_string(), "note": "x".repeat(1_000_000)},
            });
            digests.push(digest(&images.manifest(DOCKER, "library/redis", &signed)).to_owned());
        }
        image = Some(redis);
    });
    digests.sort();
    let filter = "artifactType=application%2Fvnd.example.signature";
    let mut path = format!("/v2/redis/referrers/{}?{filter}&ns=docker.io", digest(&image.unwrap()));
    let (mut seen, mut pages) = (Vec::new(), 0);
    loop {
        let response = mirror.get(&path);
        assert!(response.status == 200 && response.body.len() <= 4 * 1024 * 1024);
        assert_eq!(response.header("oci-filters-applied"), Some("artifactType"));
        let page: Value = serde_json::from_slice(&response.body).unwrap();
        seen.extend(page["manifests"].as_array().unwrap().iter().map(|one| digest(one).to_owned()));
        pages += 1;
        let Some(link) = response.header("link") else { break };
        path = link.strip_prefix('<').unwrap().strip_suffix(">; rel=\"next\"").unwrap().to_owned();
        assert!(path.contains(filter) && path.contains("ns=docker.io"), "{path}");
    }
    assert_eq!((seen, pages), (digests, 2));
}

#[test]
fn sha512_is_as_good_as_sha256() {
    let mut image = None;
    let mirror = Mirror::with(|images| {
        let empty = images.blob("application/vnd.oci.empty.v1+json", b"{}");
        let manifest = json!({"schemaVersion": 2, "mediaType": IMAGE, "config": empty, "layers": []});
        let manifest = images.manifest_as(DOCKER, "library/redis", &manifest, sha512);
        images.tag(DOCKER, "library/redis", "7", &manifest);
        image = Some(manifest);
    });
    let image = image.unwrap();
    assert!(digest(&image).starts_with("sha512:"));
    for reference in ["7", digest(&image)] {
        let response = mirror.get(&format!("/v2/redis/manifests/{reference}"));
        assert_eq!(response.status, 200);
        assert_eq!(response.header("docker-content-digest"), Some(digest(&image)));
        assert_eq!(sha512(&response.body).to_string(), digest(&image));
    }
}

#[test]
fn people_see_where_images_stand() {
    let mirror = Mirror::with(|images| {
        two_registries(images);
    });
    let page = mirror.get("/").text();
    assert!(page.contains("/v2/registry.example.test_5000/\n"), "{page}");
    assert!(page.contains(&format!("http://aftk.test:2385/v2/{DOCKER}/\n")), "{page}");
}
