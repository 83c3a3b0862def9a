//! Manifests: kept as they came, with what the repository has of what they name, and taken out with their tags.

use aftk::store::{Place, Store};
use bundle_format::{Artifact, BlobKey};
use serde_json::{Value, json};

use crate::support::hosting::{Hosting, describe, digest, image, location, refused};
use crate::support::images::{IMAGE, INDEX, sha512};

/// The largest manifest that is taken, in bytes.
const LARGEST: usize = 4 * 1024 * 1024;

fn put(
    hosting: &Hosting,
    reference: &str,
    media_type: &str,
    bytes: &[u8],
) -> crate::support::raw_http::Response {
    let header = format!("Content-Type: {media_type}");
    let path = format!("/v2/team/app/manifests/{reference}");
    hosting.client().send("PUT", &path, &[&header], bytes)
}

fn index(entries: &[&Value]) -> Value {
    json!({"schemaVersion": 2, "mediaType": INDEX, "manifests": entries})
}

/// What is recorded of a manifest of `team/app`.
fn record(hosting: &Hosting, digest: &str) -> Artifact {
    let store = Store::open(&hosting.home).unwrap();
    let linked = store.catalogue.artifacts("oci", Some("team"), "app").unwrap();
    linked.into_iter().map(|linked| linked.artifact).find(|artifact| artifact.version == digest).unwrap()
}

/// What is recorded as absent.
fn absent(artifact: &Artifact) -> Vec<String> {
    serde_json::from_value(artifact.attributes.get("absent").cloned().unwrap_or(json!([]))).unwrap()
}

/// The tags of `team/app`.
fn tags(hosting: &Hosting) -> Value {
    let list = hosting.ask("GET", "/v2/team/app/tags/list");
    serde_json::from_slice::<Value>(&list.body).unwrap()["tags"].clone()
}

#[test]
fn manifests_are_kept_byte_for_byte() {
    let hosting = Hosting::start();
    let mut client = hosting.client();
    let (config, layer) = (client.blob("team/app", b"{}"), client.blob("team/app", b"layer"));
    // In a form that no program writes, and one that does not say what it is.
    let mut odd = image(&config, std::slice::from_ref(&layer)).to_string().replace("\":", "\" :\t");
    odd.push_str("\n\n");
    let mut silent = image(&config, &[layer]);
    silent.as_object_mut().unwrap().remove("mediaType");
    for bytes in [odd, silent.to_string()] {
        let digest = BlobKey::of(bytes.as_bytes()).to_string();
        let long = sha512(bytes.as_bytes()).to_string();
        for (reference, digest) in [("1.0", &digest), (&digest, &digest), (&long, &long)] {
            let made = put(&hosting, reference, IMAGE, bytes.as_bytes());
            assert_eq!(made.status, 201, "{}", made.text());
            assert_eq!(location(&made), format!("/v2/team/app/manifests/{digest}"));
            assert_eq!(made.header("docker-content-digest"), Some(digest.as_str()));
            assert_eq!((made.header("oci-subject"), made.header("oci-tag")), (None, None));
            for path in [location(&made), format!("/v2/team/app/manifests/{reference}")] {
                let read = hosting.ask("GET", &path);
                assert_eq!((read.status, read.text()), (200, bytes.clone()));
                assert_eq!(read.header("content-type"), Some(IMAGE));
                assert_eq!(read.header("docker-content-digest"), Some(digest.as_str()));
            }
        }
        let other = BlobKey::of(b"other").to_string();
        let wrong = put(&hosting, &other, IMAGE, bytes.as_bytes());
        assert_eq!(refused(&wrong), (400, "DIGEST_INVALID".to_owned()));
        assert_eq!(hosting.ask("GET", &format!("/v2/team/app/manifests/{other}")).status, 404);
    }
}

#[test]
fn what_is_no_manifest_is_not_taken() {
    let hosting = Hosting::start();
    let mut client = hosting.client();
    let (config, layer) = (client.blob("team/app", b"{}"), client.blob("team/app", b"layer"));
    let good = image(&config, std::slice::from_ref(&layer));
    let with = |change: &dyn Fn(&mut Value)| {
        let mut manifest = good.clone();
        change(&mut manifest);
        manifest.to_string()
    };
    let both = with(&|manifest| manifest["manifests"] = json!([]));
    let wrong_size = with(&|manifest| manifest["layers"][0]["size"] = json!(6));
    let no_digest = with(&|manifest| manifest["layers"][0]["digest"] = json!("../../etc/passwd"));
    let negative = with(&|manifest| manifest["layers"][0]["size"] = json!(-5));
    let mut entry = client.image("team/app", "entry", b"layer");
    entry["size"] = json!(1);
    let wrong_entry = index(&[&entry]).to_string();
    let first = with(&|manifest| manifest["schemaVersion"] = json!(1));
    let deep = "[".repeat(100_000);
    for (media_type, bytes) in [
        // Clients would not agree what it is (CVE-2021-41190).
        (IMAGE, both.as_str()),
        (INDEX, &both.replace(IMAGE, INDEX)),
        (INDEX, &good.to_string()),
        ("", &with(&|manifest| manifest["mediaType"] = json!("text/plain"))),
        ("text/plain", "{}"),
        (IMAGE, "{}"),
        (IMAGE, ""),
        (IMAGE, "{"),
        (IMAGE, &deep),
        (IMAGE, &wrong_size),
        (INDEX, &wrong_entry),
        (IMAGE, &no_digest),
        (IMAGE, &negative),
        (IMAGE, &first),
    ] {
        let refusal = put(&hosting, "1.0", media_type, bytes.as_bytes());
        assert_eq!(refused(&refusal), (400, "MANIFEST_INVALID".to_owned()), "{media_type} {bytes:.200}");
    }
    for tag in [".bad", "-bad", &"a".repeat(129), "a%20b"] {
        let refusal = put(&hosting, tag, IMAGE, good.to_string().as_bytes());
        assert_eq!(refused(&refusal), (400, "MANIFEST_INVALID".to_owned()), "{tag}");
    }
    assert_eq!(tags(&hosting), json!(["entry"]), "nothing else was kept");
}

#[test]
fn four_mebibytes_are_a_manifest_and_one_byte_more_is_not() {
    let hosting = Hosting::start();
    let mut client = hosting.client();
    let mut manifest = image(&client.blob("team/app", b"{}"), &[]);
    manifest["annotations"] = json!({"note": ""});
    let left = LARGEST - manifest.to_string().len();
    for (more, status) in [(0, 201), (1, 413)] {
        manifest["annotations"]["note"] = json!("n".repeat(left + more));
        let made = put(&hosting, &format!("tag-{more}"), IMAGE, manifest.to_string().as_bytes());
        assert_eq!(made.status, status, "{}", made.text());
    }
    assert_eq!(hosting.ask("GET", "/v2/team/app/manifests/tag-0").body.len(), LARGEST);
    // Without an announced length it is the same.
    let mut client = hosting.client();
    let header = format!("Content-Type: {IMAGE}");
    let stream = client.begin("PUT", "/v2/team/app/manifests/x", &[&header, "Transfer-Encoding: chunked"]);
    let bytes = manifest.to_string();
    stream.send(format!("{:x}\r\n{bytes}\r\n0\r\n\r\n", bytes.len()));
    assert_eq!(refused(&stream.response(false).unwrap()), (413, "SIZE_INVALID".to_owned()));
}

#[test]
fn a_digest_takes_tags_with_it() {
    let hosting = Hosting::start();
    let mut client = hosting.client();
    let manifest = image(&client.blob("team/app", b"{}"), &[client.blob("team/app", b"layer")]);
    let bytes = manifest.to_string();
    let digest = BlobKey::of(bytes.as_bytes()).to_string();
    let made = put(&hosting, &format!("{digest}?tag=1&tag=1.0&tag=latest"), IMAGE, bytes.as_bytes());
    assert_eq!((made.status, made.header("oci-tag")), (201, Some("1, 1.0, latest")));
    assert_eq!(tags(&hosting), json!(["1", "1.0", "latest"]));
    let bad = put(&hosting, &format!("{digest}?tag=2&tag=.bad"), IMAGE, bytes.as_bytes());
    assert_eq!(refused(&bad), (400, "MANIFEST_INVALID".to_owned()));
    let many: String = (0..101).map(|number| format!("&tag=t{number}")).collect();
    let many = put(&hosting, &format!("{digest}?{}", &many[1..]), IMAGE, bytes.as_bytes());
    assert_eq!(many.status, 414, "{}", many.text());
    assert_eq!(tags(&hosting), json!(["1", "1.0", "latest"]));
    // A tag moves, and the others stay.
    let other = client.image("team/app", "latest", b"another layer");
    let moved = hosting.ask("HEAD", "/v2/team/app/manifests/latest");
    assert_eq!(moved.header("docker-content-digest"), Some(other["digest"].as_str().unwrap()));
    let stays = hosting.ask("HEAD", "/v2/team/app/manifests/1.0");
    assert_eq!(stays.header("docker-content-digest"), Some(digest.as_str()));
}

#[test]
fn a_manifest_takes_nothing_from_another_repository() {
    let hosting = Hosting::start();
    let mut client = hosting.client();
    let secret = client.blob("team/secret", b"of another repository");
    let config = client.blob("team/app", b"{}");
    // That it is held elsewhere gives nobody a right to it (CVE-2024-39897).
    let manifest = image(&config, std::slice::from_ref(&secret));
    let made = client.manifest("team/app", "1.0", &manifest);
    assert_eq!(made.status, 201, "{}", made.text());
    let path = format!("/v2/team/app/blobs/{}", digest(&secret));
    assert_eq!(hosting.ask("GET", &path).status, 404);
    let recorded = record(&hosting, made.header("docker-content-digest").unwrap());
    assert_eq!(absent(&recorded), [digest(&secret)]);
    let other = client.image("team/secret", "1", b"layer");
    assert_eq!(client.manifest("team/app", "2.0", &index(&[&other])).status, 201);
    let path = format!("/v2/team/app/manifests/{}", digest(&other));
    assert_eq!(hosting.ask("GET", &path).status, 404);
}

#[test]
fn what_comes_after_its_manifest_stays_with_it() {
    let hosting = Hosting::start();
    let mut client = hosting.client();
    let config = client.blob("team/app", b"{}");
    let layers = [describe("a", b"first"), describe("b", b"second")];
    let manifest = image(&config, &layers);
    let made = client.manifest("team/app", "1.0", &manifest);
    let name = made.header("docker-content-digest").unwrap().to_owned();
    assert_eq!(absent(&record(&hosting, &name)).len(), 2);
    // Neither a blob of another size nor one of another repository is what it waits for.
    client.blob("team/other", b"first");
    assert_eq!(absent(&record(&hosting, &name)).len(), 2);
    client.blob("team/app", b"first");
    assert_eq!(absent(&record(&hosting, &name)), [digest(&layers[1])]);
    client.blob("team/other", b"second");
    let mount = format!("/v2/team/app/blobs/uploads/?mount={}&from=team/other", digest(&layers[1]));
    assert_eq!(client.send("POST", &mount, &[], b"").status, 201);
    let whole = record(&hosting, &name);
    assert_eq!((absent(&whole).len(), whole.files.len()), (0, 4));
    // It needs no deposit any more.
    let store = Store::open(&hosting.home).unwrap();
    for layer in &layers {
        let key = BlobKey::from_hex(&digest(layer)[7..]).unwrap();
        let place = Place {
            ecosystem: "oci".to_owned(),
            repository: "team".to_owned(),
            name: "app".to_owned(),
            what: digest(layer).to_owned(),
        };
        let withdraw = aftk::store::ChangeSet { changes: vec![aftk::store::Change::Withdraw(place)] };
        store.catalogue.commit(&withdraw, &aftk::store::Precondition::None).unwrap();
        assert!(!store.catalogue.if_unreferenced(&key, &mut || Ok(())).unwrap());
    }
    let read = hosting.ask("GET", &format!("/v2/team/app/blobs/{}", digest(&layers[0])));
    assert_eq!(read.body, b"first");
}

#[test]
fn a_manifest_and_what_it_names_may_come_at_the_same_time() {
    let hosting = Hosting::start();
    let config = hosting.client().blob("team/app", b"{}");
    let layers: Vec<String> = (0..60).map(|number| format!("layer {number}")).collect();
    let push = |from: usize| {
        let mut client = hosting.client();
        layers.iter().skip(from).step_by(2).for_each(|layer| drop(client.blob("team/app", layer.as_bytes())));
    };
    let made: Vec<String> = std::thread::scope(|scope| {
        scope.spawn(|| push(0));
        scope.spawn(|| push(1));
        let mut client = hosting.client();
        let described = layers.iter().map(|layer| describe("", layer.as_bytes()));
        let manifests = described.map(|layer| client.manifest("team/app", "1.0", &image(&config, &[layer])));
        manifests.map(|made| made.header("docker-content-digest").unwrap().to_owned()).collect()
    });
    for (number, name) in made.iter().enumerate() {
        assert!(absent(&record(&hosting, name)).is_empty(), "manifest {number} lacks its layer");
    }
}

#[test]
fn an_index_has_the_entries_that_come_after_it() {
    let hosting = Hosting::start();
    let mut client = hosting.client();
    let parts = (client.blob("team/app", b"{}"), client.blob("team/app", b"layer"));
    let entry = image(&parts.0, &[parts.1]);
    let described = describe(IMAGE, entry.to_string().as_bytes());
    let inner = index(&[&described]);
    let inner_described = describe(INDEX, inner.to_string().as_bytes());
    // From the outside in.
    for (tag, manifest) in [("outer", &index(&[&inner_described])), ("inner", &inner)] {
        let made = client.manifest("team/app", tag, manifest);
        assert_eq!(made.status, 201);
        let name = made.header("docker-content-digest").unwrap();
        assert_eq!(record(&hosting, name).requires, []);
    }
    // A blob of its digest is not the manifest.
    client.blob("team/app", entry.to_string().as_bytes());
    assert_eq!(record(&hosting, digest(&inner_described)).requires, []);
    assert_eq!(client.manifest("team/app", digest(&described), &entry).status, 201);
    for (of, to) in [("inner", &described), ("outer", &inner_described)] {
        let tagged = hosting.ask("HEAD", &format!("/v2/team/app/manifests/{of}"));
        let whole = record(&hosting, tagged.header("docker-content-digest").unwrap());
        let edges: Vec<_> = whole.requires.iter().map(|edge| edge.range.as_str()).collect();
        assert_eq!((edges, absent(&whole)), (vec![digest(to)], Vec::new()), "{of}");
    }
}

#[test]
fn what_is_said_of_a_manifest_is_found() {
    let hosting = Hosting::start();
    let mut client = hosting.client();
    let config = client.blob("team/app", b"{}");
    let subject = describe(IMAGE, b"which need not be there");
    let referrers = |query: &str| {
        let path = format!("/v2/team/app/referrers/{}{query}", digest(&subject));
        let list = hosting.ask("GET", &path);
        assert_eq!((list.status, list.header("content-type")), (200, Some(INDEX)));
        let filtered = list.header("oci-filters-applied").map(str::to_owned);
        let list: Value = serde_json::from_slice(&list.body).unwrap();
        (list["manifests"].as_array().unwrap().clone(), filtered)
    };
    assert_eq!(referrers(""), (Vec::new(), None));
    let mut made = Vec::new();
    for kind in ["application/x.signature", "application/x.sbom"] {
        let mut manifest = image(&config, &[]);
        manifest["artifactType"] = json!(kind);
        manifest["subject"] = subject.clone();
        manifest["annotations"] = json!({"kind": kind});
        let bytes = manifest.to_string();
        let name = BlobKey::of(bytes.as_bytes()).to_string();
        let answer = put(&hosting, &name, IMAGE, bytes.as_bytes());
        assert_eq!((answer.status, answer.header("oci-subject")), (201, Some(digest(&subject))));
        made.push(name);
    }
    let (all, _) = referrers("");
    assert_eq!(all.len(), 2);
    let (signatures, filtered) = referrers("?artifactType=application/x.signature");
    assert_eq!(filtered.as_deref(), Some("artifactType"));
    assert_eq!(signatures.len(), 1);
    assert_eq!(signatures[0]["digest"], json!(made[0]));
    assert_eq!(signatures[0]["artifactType"], json!("application/x.signature"));
    assert_eq!(signatures[0]["annotations"], json!({"kind": "application/x.signature"}));
    assert_eq!(hosting.ask("DELETE", &format!("/v2/team/app/manifests/{}", made[0])).status, 202);
    assert_eq!(referrers("").0.len(), 1);
}

#[test]
fn what_is_taken_out_is_gone_at_once() {
    let hosting = Hosting::start();
    let mut client = hosting.client();
    let image = client.image("team/app", "1.0", b"layer");
    let bytes = hosting.ask("GET", &format!("/v2/team/app/manifests/{}", digest(&image))).body;
    for tag in ["1", "latest"] {
        assert_eq!(put(&hosting, tag, IMAGE, &bytes).status, 201);
    }
    let path = format!("/v2/team/app/manifests/{}", digest(&image));
    let layer = format!("/v2/team/app/blobs/{}", digest(&describe("", b"layer")));
    // A tag alone.
    assert_eq!(client.ask("DELETE", "/v2/team/app/manifests/latest", &[]).status, 202);
    assert_eq!(client.ask("GET", "/v2/team/app/manifests/latest", &[]).status, 404);
    let again = client.ask("DELETE", "/v2/team/app/manifests/latest", &[]);
    assert_eq!(refused(&again), (404, "MANIFEST_UNKNOWN".to_owned()));
    // Answers that are kept in memory do not outlive it.
    for _ in 0..3 {
        assert_eq!(client.ask("GET", &path, &[]).status, 200);
        assert_eq!(client.ask("GET", &layer, &[]).status, 200);
    }
    assert_eq!(client.ask("DELETE", &path, &[]).status, 202);
    for gone in [path.as_str(), "/v2/team/app/manifests/1.0", "/v2/team/app/manifests/1"] {
        for method in ["GET", "HEAD"] {
            assert_eq!(client.ask(method, gone, &[]).status, 404, "{method} {gone}");
        }
    }
    assert_eq!(refused(&client.ask("DELETE", &path, &[])), (404, "MANIFEST_UNKNOWN".to_owned()));
    for bad in ["sha256:abc", ".bad", "nothing"] {
        let path = format!("/v2/team/app/manifests/{bad}");
        assert!([400, 404].contains(&client.ask("DELETE", &path, &[]).status), "{bad}");
    }
    // What is pushed once more comes without the tags that it had.
    assert_eq!(put(&hosting, "2", IMAGE, &bytes).status, 201);
    assert_eq!(tags(&hosting), json!(["2"]));
}

#[test]
fn whoever_looks_before_pushing_asks_for_nothing_from_outside() {
    let hosting = Hosting::start();
    let response = hosting.ask("GET", "/v2/team/app/manifests/1.0");
    assert_eq!(response.status, 404);
    // What is hosted here is collected by nobody.
    assert!(!response.text().contains("collect"), "{}", response.text());
    assert!(response.text().contains("push"), "{}", response.text());
    assert_eq!(hosting.ask("GET", "/v2/redis/manifests/7").status, 404);
    let home = hosting.home.clone();
    let directory = hosting.close();
    let misses = Store::open(&home).unwrap().catalogue.misses().unwrap();
    let names: Vec<_> = misses.iter().map(|miss| miss.name.as_str()).collect();
    assert_eq!(names, ["library/redis"]);
    drop(directory);
}
