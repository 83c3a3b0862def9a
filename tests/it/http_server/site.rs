//! The server's own pages, its records, and what it tells of its troubles.

use super::*;

#[test]
fn problems_do_not_leak() {
    let site = Site::start();
    let broken = site.get("/fake/all/broken", &[]);
    assert_eq!(broken.status, 500);
    let refused = site.get("/fake/all/refused", &[]);
    assert_eq!((refused.status, refused.text().as_str()), (400, "{\"error\":\"this is not how to ask\"}"));
    assert!(!broken.text().contains("secret") && !broken.text().contains("store"));
    eventually("the log says why", || site.log().contains("errno 5 in /secret/place"));
}

#[test]
fn misses_are_recorded_off_the_path() {
    let mut site = Site::start();
    let mut client = site.client();
    assert_eq!(client.ask("GET", "/fake/all/missing/left-pad/1.0.0", &[]).status, 404);
    client.ask("GET", "/fake/origin_5000/missing/@s%2fp/1", &[]);
    client.ask("GET", &format!("/fake/all/missing/{}/1", "long".repeat(200)), &[]);
    let expected = ["fake/all/left-pad@1.0.0", "fake/origin_5000/@s/p@1"];
    eventually("they are written", || *site.store.misses.lock().unwrap() == expected);
    // However many come, the writer is not kept busy by them; and none of those that were taken is lost at the end.
    for number in 0..300 {
        client.ask("GET", &format!("/fake/all/missing/n{number}/1"), &[]);
    }
    drop(client);
    site.stop();
    assert_eq!(site.store.misses.lock().unwrap().len(), 302);
}

#[test]
fn a_person_is_told_what_this_is() {
    let site = Site::start();
    let page = site.get("/", &["Accept: text/html,application/xhtml+xml"]);
    assert_eq!(page.header("content-type"), Some("text/html; charset=utf-8"));
    let policy = page.header("content-security-policy").unwrap();
    assert!(policy.starts_with("default-src 'none'; style-src 'sha256-"), "{policy}");
    let html = page.text();
    for part in [
        "http://aftk.test:2385/fake/all/",
        "/fake/origin_5000/",
        "https://&lt;origin&gt;.example.test",
        "href=\"/setup/fakeclient\"",
        "registry=http://aftk.test:2385/fake/all/",
        "width=device-width",
    ] {
        assert!(html.contains(part), "{part} is not in {html}");
    }
    let text = site.get("/", &["Accept: */*"]);
    assert_eq!(text.header("content-type"), Some("text/plain; charset=utf-8"));
    assert!(text.text().contains("curl http://aftk.test:2385/setup/fakeclient"));
    let setup = site.get("/setup/fakeclient", &[]);
    assert_eq!(setup.text(), "registry=http://aftk.test:2385/fake/all/\nrepositories=origin_5000\n");
}

#[test]
fn machines_are_told_how_it_is() {
    let site = Site::start();
    site.store.revision.store(7, Ordering::Relaxed);
    let health: serde_json::Value = serde_json::from_slice(&site.get("/-/health", &[]).body).unwrap();
    assert_eq!(health["status"], "ok");
    assert_eq!(health["revision"], 7);
    assert_eq!(health["version"], env!("CARGO_PKG_VERSION"));
    site.get("/fake/nowhere/x", &[]);
    eventually("they are counted", || {
        let metrics = site.get("/-/metrics", &[]).text();
        metrics.contains("aftk_http_requests_total{status=\"404\"} 1")
            && metrics.contains("aftk_store_revision 7")
            && metrics.contains("aftk_http_request_duration_seconds_bucket{le=\"+Inf\"}")
    });
}

#[test]
fn every_request_is_logged_without_secrets() {
    let site = Site::start();
    let path = "/fake/all/x?token=secret";
    site.get(path, &["Authorization: Bearer secret", "User-Agent: npm/10 \"x\""]);
    site.client().ask("HEAD", path, &[]);
    eventually("both are logged", || site.log().lines().count() == 2);
    let log = site.log();
    assert!(!log.contains("secret"), "{log}");
    assert!(log.contains(" 127.0.0.1 \"GET /fake/all/x\" 200 "), "{log}");
    assert!(log.contains("\"npm/10 \\\"x\\\"\"") && log.contains("\"HEAD /fake/all/x\" 200 0 "), "{log}");
}
