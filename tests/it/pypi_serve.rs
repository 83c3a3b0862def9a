//! Python releases inside: what installers are told, and what they get.

use aftk::access::Read;
use bundle_format::BlobKey;
use serde_json::{Value, json};

use crate::support::hosting::Hosting;
use crate::support::raw_http::{Client, Response};
use crate::support::releases::{Releases, metadata};
use crate::support::serving::Serving;
use crate::support::sides::{Sides, scratch};

const JSON: &str = "application/vnd.pypi.simple.v1+json";

/// A site with two indexes: one has `some-project` in three versions, the other a file of the same name with other bytes.
struct Index {
    hosting: Hosting,
    digest: BlobKey,
    _directory: tempfile::TempDir,
}

impl Index {
    fn new() -> Index {
        let directory = scratch();
        let home = directory.path().join("home");
        let mut releases = Releases::new(&home);
        releases.release(
            "pypi",
            "some-project",
            "1.10",
            json!({ "upload_time": "2026-03-19T14:22:25.026315Z" }),
        );
        releases.say("name", json!("Some.Project"));
        releases.say("project_status", json!({ "status": "archived", "reason": "done <with> it" }));
        releases.release("pypi", "some-project", "1.9", json!({ "yanked": "broken \"here\" & there" }));
        let digest = releases.release(
            "pypi",
            "some-project",
            "2.0rc1",
            json!({ "requires_python": ">=3.8,<4", "upload_time": "2026-03-20T00:00:00Z" }),
        );
        releases.release("pypi", "local", "1.0+cu124", json!({}));
        releases.publish("one");
        releases.release("corp", "some-project", "2.0rc1", json!({}));
        releases.release("corp", "other", "1.0", json!({ "yanked": true }));
        releases.publish("two");
        Index { hosting: Hosting::at(&home, Read::Open), digest, _directory: directory }
    }

    fn ask(&self, path: &str, headers: &[&str]) -> Response {
        Client::connect(self.hosting.address).ask("GET", path, headers)
    }

    fn page(&self, path: &str) -> Value {
        let response = self.ask(path, &[&format!("Accept: {JSON}")]);
        assert_eq!(response.status, 200, "{}", response.text());
        assert_eq!(response.header("content-type"), Some(JSON));
        assert_eq!(response.header("vary"), Some("Accept, Accept-Encoding"));
        serde_json::from_slice(&response.body).unwrap()
    }

    /// What stands at an address of ours.
    fn follow(&self, url: &Value) -> Response {
        let path = url.as_str().unwrap().strip_prefix("http://aftk.test:2385").unwrap();
        self.ask(path, &[])
    }
}

#[test]
fn a_page_lists_exactly_what_is_held() {
    let index = Index::new();
    let page = index.page("/pypi/pypi/simple/some-project/");
    assert_eq!(page["meta"], json!({ "api-version": "1.4" }));
    assert_eq!(page["name"], "some-project");
    assert_eq!(page["project-status"], json!({ "status": "archived", "reason": "done <with> it" }));
    assert_eq!(page["versions"], json!(["1.9", "1.10", "2.0rc1"]));
    let files = page["files"].as_array().unwrap();
    let names: Vec<_> = files.iter().map(|file| file["filename"].as_str().unwrap()).collect();
    assert_eq!(
        names,
        [
            "some-project-1.9.tar.gz",
            "some_project-1.9-py3-none-any.whl",
            "some-project-1.10.tar.gz",
            "some_project-1.10-py3-none-any.whl",
            "some-project-2.0rc1.tar.gz",
            "some_project-2.0rc1-py3-none-any.whl",
        ]
    );
    assert_eq!(files[1]["yanked"], "broken \"here\" & there");
    assert_eq!(files[3]["upload-time"], "2026-03-19T14:22:25.026315Z");
    let newest = &files[5];
    assert_eq!(newest["requires-python"], ">=3.8,<4");
    assert_eq!(newest["hashes"], json!({ "sha256": index.digest.hex() }));
    assert!(newest.get("yanked").is_none() && newest.get("dist-info-metadata").is_none(), "{newest}");
    assert_eq!(files[4]["core-metadata"], false);
    // Each address has what is said of it.
    let wheel = index.follow(&newest["url"]);
    assert_eq!((wheel.status, BlobKey::of(&wheel.body)), (200, index.digest));
    assert_eq!(newest["size"], wheel.body.len());
    let beside = Value::from(format!("{}.metadata", newest["url"].as_str().unwrap()));
    let beside = index.follow(&beside);
    assert!(beside.text().starts_with(&metadata("some-project", "2.0rc1")), "{}", beside.text());
    assert_eq!(newest["core-metadata"], json!({ "sha256": BlobKey::of(&beside.body).hex() }));
    let provenance = index.follow(&newest["provenance"]);
    assert_eq!(provenance.header("content-type"), Some("application/vnd.pypi.integrity.v1+json"));
    assert!(provenance.text().contains("attestation_bundles"));
}

#[test]
fn browsers_and_old_clients_read_the_same_as_html() {
    let index = Index::new();
    for (accept, media_type) in [
        ("text/html", "text/html; charset=utf-8"),
        ("*/*", "text/html; charset=utf-8"),
        ("application/vnd.pypi.simple.v1+html", "application/vnd.pypi.simple.v1+html"),
    ] {
        let response = index.ask("/pypi/pypi/simple/some-project/", &[&format!("Accept: {accept}")]);
        assert_eq!(response.header("content-type"), Some(media_type), "{accept}");
        assert_eq!(response.header("vary"), Some("Accept, Accept-Encoding"));
        let page = response.text();
        let digest = index.digest.hex();
        let name = "some_project-2.0rc1-py3-none-any.whl";
        for part in [
            "<meta name=\"pypi:repository-version\" content=\"1.4\">",
            "<meta name=\"pypi:project-status-reason\" content=\"done &lt;with&gt; it\">",
            "data-yanked=\"broken &quot;here&quot; &amp; there\"",
            "data-requires-python=\"&gt;=3.8,&lt;4\"",
            "data-core-metadata=\"sha256=",
            "data-dist-info-metadata=\"sha256=",
            &format!("<a href=\"http://aftk.test:2385/pypi/pypi/files/{digest}/{name}#sha256={digest}\""),
            &format!("data-provenance=\"http://aftk.test:2385/pypi/pypi/files/{digest}/{name}.provenance\""),
        ] {
            assert!(page.contains(part), "{part} in {page}");
        }
        assert_eq!(page.matches("<a href=").count(), 6);
    }
    let refused = index.ask("/pypi/pypi/simple/some-project/", &["Accept: application/json"]);
    assert_eq!(refused.status, 406);
}

#[test]
fn names_and_slashes_lead_to_the_one_address() {
    let index = Index::new();
    for (path, place) in [
        ("/pypi/pypi/simple/Some.Project/", "/pypi/pypi/simple/some-project/"),
        ("/pypi/pypi/simple/some_project", "/pypi/pypi/simple/some-project/"),
        ("/pypi/pypi/simple/some-project", "/pypi/pypi/simple/some-project/"),
        ("/pypi/all/simple", "/pypi/all/simple/"),
        ("/pypi/all/", "/pypi/all/simple/"),
    ] {
        let response = index.ask(path, &[]);
        assert_eq!((response.status, response.header("location")), (301, Some(place)), "{path}");
    }
    for path in [
        "/pypi/pypi/simple/nothing/",
        "/pypi/pypi/simple/-x-/",
        "/pypi/pypi/simple/a%2fb/",
        "/pypi/pypi/simple/other/",
        "/pypi/none/simple/",
        "/pypi/pypi/pypi/some-project/3/json",
        "/pypi/pypi/pypi/some-project/x!/json",
        "/pypi/pypi/files/x/y",
        "/pypi/pypi/else",
    ] {
        assert_eq!(index.ask(path, &[]).status, 404, "{path}");
    }
}

#[test]
fn the_index_over_all_has_each_file_once_with_the_bytes_that_it_lists() {
    let index = Index::new();
    let names = |page: &Value| -> Vec<String> {
        let projects = page["projects"].as_array().unwrap().iter();
        projects.map(|project| project["name"].as_str().unwrap().to_owned()).collect()
    };
    assert_eq!(names(&index.page("/pypi/all/simple/")), ["local", "other", "some-project"]);
    assert_eq!(names(&index.page("/pypi/corp/simple/")), ["other", "some-project"]);
    let html = index.ask("/pypi/corp/simple/", &[]).text();
    assert!(html.contains("<a href=\"other/\">other</a>"), "{html}");
    let page = index.page("/pypi/all/simple/some-project/");
    let files = page["files"].as_array().unwrap();
    assert_eq!(files.len(), 6);
    for file in files {
        let bytes = index.follow(&file["url"]).body;
        assert_eq!(file["hashes"]["sha256"], BlobKey::of(&bytes).hex(), "{file}");
    }
    // A lock that was written with the other index is still right, whatever has precedence.
    let other = index.page("/pypi/corp/simple/some-project/");
    let url = other["files"][1]["url"].as_str().unwrap();
    let over_all = Value::from(url.replace("/pypi/corp/", "/pypi/all/"));
    let bytes = index.follow(&over_all).body;
    assert_eq!(other["files"][1]["hashes"]["sha256"], BlobKey::of(&bytes).hex());
    assert_ne!(BlobKey::of(&bytes), index.digest);
    let elsewhere = Value::from(url.replace("/pypi/corp/", "/pypi/pypi/"));
    assert_eq!(index.follow(&elsewhere).status, 404);
}

#[test]
fn files_are_sent_in_ranges_and_never_packed() {
    let index = Index::new();
    let page = index.page("/pypi/all/simple/local/");
    let url = page["files"][0]["url"].as_str().unwrap().to_owned();
    assert!(url.ends_with("/local-1.0%2Bcu124-py3-none-any.whl"), "{url}");
    let path = url.strip_prefix("http://aftk.test:2385").unwrap();
    let whole = index.ask(path, &["Accept-Encoding: gzip"]);
    assert_eq!(whole.header("content-encoding"), None);
    assert_eq!(whole.header("content-type"), Some("application/octet-stream"));
    assert_eq!(whole.header("accept-ranges"), Some("bytes"));
    let length = whole.body.len().to_string();
    assert_eq!(whole.header("content-length"), Some(length.as_str()));
    let tag = whole.header("etag").unwrap().to_owned();
    let end = index.ask(path, &["Range: bytes=-4", &format!("If-Range: {tag}")]);
    assert_eq!((end.status, end.body.as_slice()), (206, &whole.body[whole.body.len() - 4..]));
    assert_eq!(index.ask(path, &[&format!("If-None-Match: {tag}")]).status, 304);
    assert_eq!(index.ask(&path.replace("%2B", "+"), &[]).status, 200);
}

#[test]
fn the_older_interface_says_what_a_release_requires() {
    let index = Index::new();
    let json = |path: &str| -> Value {
        let response = index.ask(path, &[]);
        assert_eq!(response.header("content-type"), Some("application/json"), "{}", response.text());
        serde_json::from_slice(&response.body).unwrap()
    };
    let newest = json("/pypi/pypi/pypi/Some_Project/json");
    assert_eq!(newest["info"]["version"], "1.10", "neither a prerelease nor one that was taken back");
    assert_eq!(newest["info"]["name"], "Some.Project");
    assert_eq!(newest["releases"].as_object().unwrap().len(), 3);
    assert_eq!(newest["releases"]["1.9"][1]["yanked_reason"], "broken \"here\" & there");
    let release = json("/pypi/pypi/pypi/some-project/2.0.rc1/json");
    let info = &release["info"];
    assert_eq!((&info["summary"], &info["license"]), (&json!("About some-project"), &json!("MIT")));
    assert_eq!(
        (&info["requires_dist"], &info["requires_python"]),
        (&json!(["other>=1"]), &json!(">=3.8,<4"))
    );
    assert!(release.get("releases").is_none());
    let wheel = &release["urls"][1];
    assert_eq!((&wheel["packagetype"], &wheel["python_version"]), (&json!("bdist_wheel"), &json!("py3")));
    assert_eq!(wheel["digests"]["sha256"], index.digest.hex());
    assert_eq!(BlobKey::of(&index.follow(&wheel["url"]).body), index.digest);
}

/// Lockfiles name the hosts of files, which are others than those of indexes.
#[test]
fn files_are_found_where_lockfiles_say_on_hosts_that_are_answered_for() {
    let sides = Sides::new();
    let home = sides.path("in");
    let mut releases = Releases::new(&home);
    let digest = releases.release("pypi", "some-project", "1.0", json!({}));
    releases.publish("one");
    std::fs::write(home.join("site.toml"), "format = 1\n[serve]\nimpersonate = true\n").unwrap();
    let serving = Serving::start(&sides);
    let ask = |host: &str, path: &str| {
        Client::connect(serving.address).ask("GET", path, &[&format!("Host: {host}")])
    };
    let (host, file) = ("files.pypi.example.test", "some_project-1.0-py3-none-any.whl");
    for folder in ["some-project+", "some-project%2B"] {
        let found = ask(host, &format!("/packages/{folder}/{file}"));
        assert_eq!((found.status, BlobKey::of(&found.body)), (200, digest), "{}", found.text());
    }
    let beside = ask(host, &format!("/packages/some-project+/{file}.metadata"));
    assert!(beside.text().starts_with("Metadata-Version"), "{}", beside.text());
    for (host, path) in [
        (host, format!("/other/some-project+/{file}")),
        (host, "/packages/some-project+/some_project-2.0-py3-none-any.whl".to_owned()),
        (host, "/packages/x".to_owned()),
        (host, "/".to_owned()),
        (host, format!("/pypi/all/packages/some-project+/{file}")),
        ("mirror.example.test", format!("/pypi/all/packages/some-project+/{file}")),
        ("mirror.example.test", format!("/packages/some-project+/{file}")),
    ] {
        let status = ask(host, &path).status;
        assert!(matches!(status, 301 | 404), "{host}{path}: {status}");
    }
}
