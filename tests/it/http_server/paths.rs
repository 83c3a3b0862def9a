//! What is asked for: hosts, paths, methods, mounts.

use super::*;

#[test]
fn path_tricks_reach_nothing() {
    let site = Site::start();
    for (path, status) in [
        ("/fake/all/../../etc/passwd", 400),
        ("/fake/all/%2e%2e/%2e%2e/etc/passwd", 400),
        ("/fake/all/.%2E/x", 400),
        ("/fake/all/%2e%2e%2fx", 400),
        ("/fake/all/x%2f..%2f..%2fy", 400),
        ("/fake/all/%00", 400),
        ("/fake/all/x%00.tgz", 400),
        ("/fake/all/x%0d%0aSet-Cookie:%20a", 400),
        ("/fake/all//x", 400),
        ("//fake/all/x", 400),
        ("//", 400),
        ("/fake//x", 400),
        ("/fake/all/%", 400),
        ("/fake/all/%c0%ae%c0%ae/x", 400),
        ("/fake/all/%e0%80%ae", 400),
        ("/fake/all/%ff", 400),
        ("/fake/all/files/a%2fb", 404),
        ("/fake%2fall%2fx", 404),
        ("/fake/all%2fx/y", 404),
        ("/fake/%2e%2e/x", 400),
        ("/fake/all/x/", 404),
        ("/Fake/all/x", 404),
        ("/fake/nowhere/x", 404),
        ("/fake/all@12/x", 404),
        ("/fake/all%4012/x", 404),
        ("/fake", 404),
        ("/-/nothing", 404),
        ("/setup/nobody", 404),
        ("/setup/%3Cscript%3E", 404),
    ] {
        let response = site.get(path, &[]);
        assert_eq!(response.status, status, "{path}: {}", response.text());
        assert_eq!(response.header("content-type"), Some("application/json"), "{path}");
        assert!(response.text().starts_with("{\"error\":\""), "{path}");
    }
    assert!(site.get("/fake/all@12/x", &[]).text().contains("generation"));
    // Decoded once, and only once.
    for (path, package) in [
        ("/fake/all/%252e%252e", "%2e%2e"),
        ("/fake/all/%252fx", "%2fx"),
        ("/fake/all/@s%2fp", "@s/p"),
        ("/fake/all/@s%2Fp", "@s/p"),
        ("/fake/all/%40s%2Fp", "@s/p"),
        ("/fake/all/a%20b", "a b"),
        ("/fake/all/...", "..."),
        ("/fake/all/files/a/b/c.txt", "a/b/c.txt"),
        ("/%66ake/%61ll/x", "x"),
    ] {
        let response = site.get(path, &[]);
        assert!(response.text().starts_with(&format!("{package} - ")), "{path}: {}", response.text());
    }
    // An overlong path within the limit of a head.
    let long = "a".repeat(10_000);
    assert!(site.get(&format!("/fake/all/{long}"), &[]).text().starts_with(&long));
    assert_eq!(site.get(&format!("/fake/all{}", "/a".repeat(5_000)), &[]).status, 404);
}

#[test]
fn methods_are_a_table() {
    let site = Site::start();
    for (method, path, allow) in [
        ("PUT", "/fake/all/x", "GET, HEAD"),
        ("DELETE", "/fake/all/x", "GET, HEAD"),
        ("OPTIONS", "/fake/all/document/x", "GET, HEAD"),
        ("TRACE", "/fake/all/x", "GET, HEAD"),
        ("get", "/fake/all/x", "GET, HEAD"),
        ("BREW", "/fake/all/x", "GET, HEAD"),
        ("POST", "/", "GET, HEAD"),
        ("POST", "/-/health", "GET, HEAD"),
        ("PUT", "/fake/all/echo", "POST, GET, HEAD"),
    ] {
        let response = site.client().ask(method, path, &[]);
        assert_eq!((response.status, response.header("allow")), (405, Some(allow)), "{method} {path}");
    }
}

#[test]
fn the_base_is_what_the_client_used() {
    let site = Site::start();
    for (host, base) in [
        ("inside:2385", "http://inside:2385/fake/all/"),
        ("INSIDE", "http://inside/fake/all/"),
        ("[::1]:2385", "http://[::1]:2385/fake/all/"),
    ] {
        let response = site.get("/fake/all/x?a=b", &[&format!("Host: {host}"), "X-Forwarded-Proto: https"]);
        assert_eq!(response.text(), format!("x - {base} ?a=b"));
    }
    let response = site.get("/fake/origin_5000/x", &[]);
    assert_eq!(response.text(), "x origin_5000 http://aftk.test:2385/fake/origin_5000/ ?");
    // An absolute target, as proxies send it.
    let response = site.get("http://other.test/fake/all/x", &[]);
    assert_eq!(response.text(), "x - http://other.test/fake/all/ ?");
    let behind = Site::with(|settings| settings.trusted_proxies = vec![[127, 0, 0, 1].into()]);
    let response =
        behind.get("/fake/all/x", &["X-Forwarded-Proto: https", "X-Forwarded-Host: packages.test"]);
    assert_eq!(response.text(), "x - https://packages.test/fake/all/ ?");
}

#[test]
fn hosts_are_validated() {
    let site = Site::start();
    for host in ["a<b>", "a b", "a/b", "a@b", "a:b", "a:99999", "", "\"", "a,b"] {
        assert_eq!(site.get("/fake/all/x", &[&format!("Host: {host}")]).status, 400, "{host}");
    }
    assert_eq!(site.get("/fake/all/x", &["Host: a", "Host: b"]).status, 400);
    let mut client = site.client();
    client.send("GET /fake/all/x HTTP/1.1\r\n\r\n");
    assert_eq!(client.response(false).unwrap().status, 400);
    let mut old = site.client();
    old.send("GET /fake/all/x HTTP/1.0\r\n\r\n");
    assert_eq!(old.response(false).unwrap().text(), format!("x - http://{}/fake/all/ ?", site.address));
}

#[test]
fn an_impersonated_host_shows_nothing_else() {
    let site = Site::start();
    let host = "Host: registry.example.test";
    assert_eq!(site.get("/x", &[host]).text(), "x origin_5000 http://registry.example.test/ ?");
    assert_eq!(site.get("/@s%2fp", &[host]).text(), "@s/p origin_5000 http://registry.example.test/ ?");
    for path in ["/fake/all/x", "/-/health", "/setup/fakeclient", "/"] {
        assert_eq!(site.get(path, &[host]).status, 404, "{path}");
    }
}
