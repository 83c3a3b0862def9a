//! How a thing is sent: ranges, entity tags, compression, HEAD.

use std::io::Read as _;

use super::*;

fn sample(length: usize) -> Vec<u8> {
    (0..length).map(|index| (index * 31 % 251) as u8).collect()
}

/// A blob of the store and the path to it.
fn blob(site: &Site, length: usize) -> (Vec<u8>, String, String) {
    let bytes = sample(length);
    let key = site.store.put(&bytes);
    (bytes, format!("/fake/all/blob/{}/{length}", key.hex()), format!("\"{key}\""))
}

#[test]
fn blobs_arrive_whole_whatever_their_size() {
    let site = Site::start();
    let mut client = site.client();
    for length in [0, 1, 32_767, 32_768, 32_769, 65_536, 1_000_003] {
        let (bytes, path, tag) = blob(&site, length);
        let response = client.ask("GET", &path, &["Accept-Encoding: gzip"]);
        assert_eq!((response.status, response.header("etag")), (200, Some(tag.as_str())));
        assert_eq!(response.header("content-encoding"), None);
        assert_eq!(response.header("content-length"), Some(length.to_string().as_str()));
        assert!(response.body == bytes, "{length}");
    }
}

#[test]
fn ranges_are_exact() {
    let site = Site::start();
    let (bytes, path, tag) = blob(&site, 100_000);
    let mut client = site.client();
    for (range, expected) in [
        ("bytes=0-0", Some(0..1)),
        ("bytes=0-99999", Some(0..100_000)),
        ("bytes=32767-32768", Some(32_767..32_769)),
        ("bytes=10-70000", Some(10..70_001)),
        ("bytes=99999-", Some(99_999..100_000)),
        ("bytes=5-1000000", Some(5..100_000)),
        ("bytes=-1", Some(99_999..100_000)),
        ("bytes=-40000", Some(60_000..100_000)),
        ("bytes=-1000000", Some(0..100_000)),
        ("bytes=0-1,5-6", None),
        ("pages=1-2", None),
        ("nonsense", None),
    ] {
        let response = client.ask("GET", &path, &[&format!("Range: {range}")]);
        match expected {
            Some(part) => {
                let content_range = format!("bytes {}-{}/100000", part.start, part.end - 1);
                assert_eq!(response.status, 206, "{range}");
                assert_eq!(response.header("content-range"), Some(content_range.as_str()));
                assert!(response.body == bytes[part], "{range}");
            }
            None => assert!(response.status == 200 && response.body == bytes, "{range}"),
        }
    }
    for range in ["bytes=100000-", "bytes=-0", "bytes=6-5", "bytes=99999999999999999999-"] {
        let response = client.ask("GET", &path, &[&format!("Range: {range}")]);
        assert_eq!((response.status, response.header("content-range")), (416, Some("bytes */100000")));
        assert_eq!(response.body, b"");
    }
    for (if_range, status) in
        [(tag.as_str(), 206), ("\"other\"", 200), ("Wed, 21 Oct 2015 07:28:00 GMT", 200)]
    {
        let response = client.ask("GET", &path, &["Range: bytes=1-2", &format!("If-Range: {if_range}")]);
        assert_eq!(response.status, status, "{if_range}");
    }
}

#[test]
fn head_is_get_without_the_body() {
    let site = Site::start();
    let (_, path, _) = blob(&site, 100_000);
    let mut client = site.client();
    for (path, headers) in [
        (path.as_str(), &[][..]),
        ("/fake/all/document/head", &[]),
        ("/fake/all/document/head", &["Accept-Encoding: gzip"]),
        ("/fake/all/missing/a/1", &[]),
        ("/fake/all/refused", &[]),
        ("/fake/all/document/../x", &[]),
        ("/-/health", &[]),
        ("/", &["Accept: text/html"]),
        ("/", &[]),
    ] {
        let strip = |response: Response| {
            let headers: Vec<_> = response.headers.into_iter().filter(|(name, _)| name != "date").collect();
            (response.status, headers)
        };
        let get = client.ask("GET", path, headers);
        let head = client.ask("HEAD", path, headers);
        assert!(!get.body.is_empty() && head.body.is_empty());
        assert_eq!(strip(head), strip(get), "{path}");
    }
    // A range is for GET alone.
    let head = client.ask("HEAD", &path, &["Range: bytes=0-1"]);
    assert_eq!((head.status, head.header("content-length")), (200, Some("100000")));
}

#[test]
fn what_the_client_holds_is_not_sent_again() {
    let site = Site::start();
    let (_, path, _) = blob(&site, 5000);
    let mut client = site.client();
    for (path, encoding) in
        [(path.as_str(), ""), ("/fake/all/document/held", ""), ("/fake/all/document/held", "gzip")]
    {
        let encoding = format!("Accept-Encoding: {encoding}");
        let first = client.ask("GET", path, &[&encoding]);
        let tag = first.header("etag").unwrap().to_owned();
        for held in [tag.clone(), format!("W/{tag}"), format!("\"x\", {tag}"), "*".to_owned()] {
            let second = client.ask("GET", path, &[&encoding, &format!("If-None-Match: {held}")]);
            assert_eq!(second.status, 304, "{path} {held}");
            assert_eq!(second.header("content-length"), None);
            for name in ["etag", "vary", "cache-control"] {
                assert_eq!(second.header(name), first.header(name), "{name}");
            }
        }
        assert_eq!(client.ask("GET", path, &[&encoding, "If-None-Match: \"x\""]).status, 200);
    }
}

#[test]
fn documents_are_compressed_for_those_who_ask() {
    let site = Site::start();
    let mut client = site.client();
    let plain = client.ask("GET", "/fake/all/document/gzip", &[]);
    let packed = client.ask("GET", "/fake/all/document/gzip", &["Accept-Encoding: br;q=1, gzip;q=0.8"]);
    assert_eq!(packed.header("content-encoding"), Some("gzip"));
    assert_eq!(packed.header("vary"), Some("Accept, Accept-Encoding"));
    assert_eq!(plain.header("vary"), packed.header("vary"));
    assert_ne!(plain.header("etag"), packed.header("etag"));
    let mut unpacked = Vec::new();
    flate2::read::GzDecoder::new(packed.body.as_slice()).read_to_end(&mut unpacked).unwrap();
    assert!(unpacked == plain.body && packed.body.len() < plain.body.len() / 4);
    let refused = client.ask("GET", "/fake/all/document/gzip", &["Accept-Encoding: gzip;q=0"]);
    assert_eq!(refused.header("content-encoding"), None);
    let small = client.ask("GET", "/fake/all/small", &["Accept-Encoding: gzip"]);
    assert_eq!(small.header("content-encoding"), None);
}

#[test]
fn derived_documents_are_kept_until_the_store_changes() {
    let site = Site::start();
    let first = site.get("/fake/all/document/kept", &[]);
    assert_eq!(site.get("/fake/all/document/kept", &[]).body, first.body);
    site.store.revision.fetch_add(1, Ordering::Relaxed);
    let second = site.get("/fake/all/document/kept", &[]);
    assert_ne!(second.body, first.body);
    assert_ne!(second.header("etag"), first.header("etag"));
    assert_eq!(site.get("/fake/all/document/kept", &[]).body, second.body);
}

#[test]
fn a_damaged_blob_never_looks_whole() {
    let site = Site::start();
    // Its file is shorter than the store says: the connection is cut.
    let short = site.store.put_claiming(&sample(50_000), 100_000);
    let mut client = site.client();
    client.send(format!("GET /fake/all/blob/{}/100000 HTTP/1.1\r\nHost: a\r\n\r\n", short.hex()));
    assert!(client.response(false).is_none());
    eventually("it is logged", || site.log().contains("shorter than its size"));
    // What fits into one piece is found before anything is sent.
    let short = site.store.put_claiming(b"abc", 10);
    assert_eq!(site.get(&format!("/fake/all/blob/{}/10", short.hex()), &[]).status, 500);
    // The store and the catalogue disagree, or it is not there at all: no 404, for clients believe that.
    let other = site.store.put(b"abcd");
    assert_eq!(site.get(&format!("/fake/all/blob/{}/5", other.hex()), &[]).status, 500);
    assert_eq!(site.get(&format!("/fake/all/blob/{}/5", "ab".repeat(32)), &[]).status, 500);
}

#[test]
fn handlers_read_small_blobs_within_their_limit() {
    let site = Site::start();
    let key = site.store.put(b"manifest").hex();
    assert_eq!(site.get(&format!("/fake/all/read/{key}/8"), &[]).text(), "manifest");
    assert_eq!(site.get(&format!("/fake/all/read/{key}/7"), &[]).status, 500);
    let short = site.store.put_claiming(b"mani", 8).hex();
    assert_eq!(site.get(&format!("/fake/all/read/{short}/8"), &[]).status, 500);
}
