//! Blobs: in one piece, in chunks, in pieces that do not fit, and with nothing left of what was not taken.

use std::time::Duration;

use bundle_format::BlobKey;

use crate::support::hosting::{ADA, BOB, EVE, Hosting, Pusher, QUOTA, describe, digest, location, refused};
use crate::support::images::sha512;
use crate::support::raw_http::Client;

const UPLOADS: &str = "/v2/team/app/blobs/uploads/";

fn key(bytes: &[u8]) -> String {
    BlobKey::of(bytes).to_string()
}

/// A blob as the server has it now; `None` if it has none.
fn held(hosting: &Hosting, repository: &str, digest: &str) -> Option<Vec<u8>> {
    let response = hosting.ask("GET", &format!("/v2/{repository}/blobs/{digest}"));
    match response.status {
        200 => Some(response.body),
        status => {
            assert_eq!(status, 404, "{}", response.text());
            None
        }
    }
}

#[test]
fn a_blob_comes_in_one_request_or_in_two() {
    let hosting = Hosting::start();
    let mut client = hosting.client();
    for (number, bytes) in [&b""[..], b"x", &[7; 300_000]].into_iter().enumerate() {
        let (digest, repository) = (key(bytes), format!("team/one-{number}"));
        let upload = client.upload(&repository);
        let made = client.send("PUT", &format!("{upload}?digest={digest}"), &[], bytes);
        assert_eq!(made.status, 201, "{}", made.text());
        assert_eq!(location(&made), format!("/v2/{repository}/blobs/{digest}"));
        assert_eq!(made.header("docker-content-digest"), Some(digest.as_str()));
        assert_eq!(held(&hosting, &repository, &digest).as_deref(), Some(bytes));
        assert_eq!(client.ask("GET", &upload, &[]).status, 404, "it is over");

        let other = format!("team/other-{number}");
        let path = format!("/v2/{other}/blobs/uploads/?digest={digest}");
        let made = client.send("POST", &path, &[], bytes);
        assert_eq!((made.status, location(&made)), (201, format!("/v2/{other}/blobs/{digest}")));
        let head = client.ask("HEAD", &location(&made), &[]);
        assert_eq!(head.status, 200);
        assert_eq!(head.header("content-length"), Some(bytes.len().to_string().as_str()));
    }
    assert_eq!(hosting.staged(), 0);
}

#[test]
fn a_blob_comes_in_chunks() {
    let hosting = Hosting::start();
    let mut client = hosting.client();
    let upload = client.upload("team/app");
    let status = client.ask("GET", &upload, &[]);
    assert_eq!((status.status, status.header("range")), (204, Some("0-0")));
    for (range, bytes, end) in [("0-3", "0123", "0-3"), ("4-4", "4", "0-4")] {
        let chunk = client.send("PATCH", &upload, &[&format!("Content-Range: {range}")], bytes.as_bytes());
        assert_eq!((chunk.status, chunk.header("range")), (202, Some(end)));
        assert_eq!(location(&chunk), upload);
        let status = client.ask("GET", &upload, &[]);
        assert_eq!((status.status, status.header("range")), (204, Some(end)));
        assert_eq!(location(&status), upload);
    }
    // Out of order, whether they come once more or too early: the client is told where to go on.
    for (method, path, range, bytes) in [
        ("PATCH", upload.clone(), "0-3", "0123"),
        ("PATCH", upload.clone(), "6-6", "6"),
        ("PUT", format!("{upload}?digest={}", key(b"0123456789")), "6-9", "6789"),
    ] {
        let early = client.send(method, &path, &[&format!("Content-Range: {range}")], bytes.as_bytes());
        assert_eq!(refused(&early), (416, "BLOB_UPLOAD_INVALID".to_owned()), "{method} {range}");
        assert_eq!((location(&early), early.header("range")), (upload.clone(), Some("0-4")));
    }
    // What a chunk says of itself must be true.
    for range in ["5-9", "5-5"] {
        let chunk = client.send("PATCH", &upload, &[&format!("Content-Range: {range}")], b"567");
        assert_eq!(chunk.status, 413, "{range}");
    }
    for range in ["5", "x-y", "9-5", ""] {
        let chunk = client.send("PATCH", &upload, &[&format!("Content-Range: {range}")], b"567");
        assert_eq!(refused(&chunk), (400, "BLOB_UPLOAD_INVALID".to_owned()), "{range:?}");
    }
    let path = format!("{upload}?digest={}", key(b"0123456789"));
    let made = client.send("PUT", &path, &["Content-Range: 5-9"], b"56789");
    assert_eq!(made.status, 201, "{}", made.text());
    assert_eq!(held(&hosting, "team/app", &key(b"0123456789")).unwrap(), b"0123456789");
}

#[test]
fn a_blob_comes_as_a_stream() {
    let hosting = Hosting::start();
    let mut client = hosting.client();
    let upload = client.upload("team/app");
    let stream = client.begin("PATCH", &upload, &["Transfer-Encoding: chunked"]);
    for piece in ["one ", "two ", "three"] {
        stream.send(format!("{:x}\r\n{piece}\r\n", piece.len()));
        std::thread::sleep(Duration::from_millis(5));
    }
    stream.send("0\r\n\r\n");
    let chunk = stream.response(false).unwrap();
    assert_eq!((chunk.status, chunk.header("range")), (202, Some("0-12")));
    let digest = key(b"one two three");
    assert_eq!(client.send("PUT", &format!("{upload}?digest={digest}"), &[], b"").status, 201);
    assert_eq!(held(&hosting, "team/app", &digest).unwrap(), b"one two three");

    // A stream that says which bytes it brings is held to it as well.
    let upload = client.upload("team/app");
    let headers = ["Transfer-Encoding: chunked", "Content-Range: 0-1"];
    let stream = client.begin("PATCH", &upload, &headers);
    stream.send("4\r\nfour\r\n0\r\n\r\n");
    assert_eq!(stream.response(false).unwrap().status, 413);
}

#[test]
fn what_is_not_what_it_is_called_is_not_kept() {
    let hosting = Hosting::start();
    let mut client = hosting.client();
    let (wrong, long) = (key(b"something else"), sha512(b"something else"));
    for digest in [wrong.as_str(), &long.to_string()] {
        let at_once = client.send("POST", &format!("{UPLOADS}?digest={digest}"), &[], b"bytes");
        assert_eq!(refused(&at_once), (400, "DIGEST_INVALID".to_owned()));
        let upload = client.upload("team/app");
        let whole = client.send("PUT", &format!("{upload}?digest={digest}"), &[], b"bytes");
        assert_eq!(refused(&whole), (400, "DIGEST_INVALID".to_owned()));
        let upload = client.upload("team/app");
        assert_eq!(client.send("PATCH", &upload, &[], b"by").status, 202);
        let chunks = client.send("PUT", &format!("{upload}?digest={digest}"), &[], b"tes");
        assert_eq!(refused(&chunks), (400, "DIGEST_INVALID".to_owned()));
        assert_eq!(client.ask("GET", &upload, &[]).status, 404);
        assert_eq!(held(&hosting, "team/app", digest), None);
    }
    assert_eq!(held(&hosting, "team/app", &key(b"bytes")), None);
    assert_eq!(hosting.staged(), 0);
    // Where nothing is said, or nonsense, the upload waits for a better word.
    let upload = client.upload("team/app");
    for query in ["", "?digest=", "?digest=sha256:abc", "?digest=md5:00", "?digest=sha256%3A"] {
        let unsaid = client.send("PUT", &format!("{upload}{query}"), &[], b"bytes");
        assert_eq!(refused(&unsaid), (400, "DIGEST_INVALID".to_owned()), "{query}");
    }
    assert_eq!(client.send("PUT", &format!("{upload}?digest={}", key(b"bytes")), &[], b"bytes").status, 201);
    let begun = client.send("POST", &format!("{UPLOADS}?digest=sha256:abc"), &[], b"bytes");
    assert_eq!(refused(&begun), (400, "DIGEST_INVALID".to_owned()));
}

#[test]
fn other_digests_than_sha256_are_announced_or_not() {
    let hosting = Hosting::start();
    let mut client = hosting.client();
    for (number, query) in ["", "?digest-algorithm=sha512", "?digest-algorithm=sha256"].iter().enumerate() {
        let bytes = format!("bytes {number}");
        let digest = sha512(bytes.as_bytes()).to_string();
        let begun = client.send("POST", &format!("{UPLOADS}{query}"), &[], b"");
        let upload = location(&begun);
        assert_eq!(client.send("PATCH", &upload, &[], bytes.as_bytes()).status, 202);
        let made = client.send("PUT", &format!("{upload}?digest={digest}"), &[], b"");
        assert_eq!(made.status, 201, "{query}: {}", made.text());
        assert_eq!(made.header("docker-content-digest"), Some(digest.as_str()));
        assert_eq!(held(&hosting, "team/app", &digest).unwrap(), bytes.as_bytes());
        // Under the other name it is another blob, which nobody brought.
        assert_eq!(held(&hosting, "team/app", &key(bytes.as_bytes())), None);
    }
    let begun = client.send("POST", &format!("{UPLOADS}?digest-algorithm=md5"), &[], b"");
    assert_eq!(refused(&begun), (400, "DIGEST_INVALID".to_owned()));
    assert_eq!(hosting.staged(), 0);
}

#[test]
fn an_upload_is_known_to_who_began_it_alone() {
    let hosting = Hosting::start();
    let upload = hosting.client().upload("team/app");
    let elsewhere = upload.replace("team/app", "team/other");
    let digest = key(b"bytes");
    let nonsense = format!("{UPLOADS}{}", "0".repeat(36));
    for (who, path, status) in [
        (BOB, &upload, 404),
        (EVE, &upload, 403),
        ("", &upload, 401),
        (ADA, &elsewhere, 404),
        (ADA, &nonsense, 404),
        (ADA, &format!("{UPLOADS}..%2f..%2fetc"), 404),
        (ADA, &format!("{UPLOADS}x"), 404),
    ] {
        for (method, query) in [("GET", ""), ("PATCH", ""), ("PUT", "?digest="), ("DELETE", "")] {
            let query = if query.is_empty() { String::new() } else { format!("{query}{digest}") };
            let mut client = hosting.client().of(who);
            let refused = client.send(method, &format!("{path}{query}"), &[], b"bytes");
            // A path that goes up is none at all.
            assert!(
                refused.status == status || path.contains("..") && refused.status == 400,
                "{method} {path} {refused:?}"
            );
        }
    }
    assert_eq!(hosting.client().ask("DELETE", &upload, &[]).status, 204);
    assert_eq!(hosting.client().ask("DELETE", &upload, &[]).status, 404);
    assert_eq!(hosting.client().send("PATCH", &upload, &[], b"bytes").status, 404);
    assert_eq!(hosting.staged(), 0);
}

/// Begins to send ten bytes, and sends five when the server listens to them: then it works on the upload.
fn begin_ten<'a>(client: &'a mut Pusher, upload: &str) -> &'a mut Client {
    let sending = client.begin("PATCH", upload, &["Content-Length: 10", "Expect: 100-continue"]);
    assert_eq!(sending.response(false).unwrap().status, 100);
    sending.send("01234");
    sending
}

#[test]
fn one_request_at_a_time_works_on_an_upload() {
    let hosting = Hosting::start();
    let (mut first, mut second) = (hosting.client(), hosting.client());
    let upload = first.upload("team/app");
    let sending = begin_ten(&mut first, &upload);
    let busy = second.send("PATCH", &upload, &[], b"x");
    assert_eq!(refused(&busy), (409, "BLOB_UPLOAD_INVALID".to_owned()));
    sending.send("56789");
    assert_eq!(sending.response(false).unwrap().header("range"), Some("0-9"));
    // Given up while bytes come, it is gone when they have come.
    let sending = begin_ten(&mut first, &upload);
    assert_eq!(second.ask("DELETE", &upload, &[]).status, 204);
    sending.send("56789");
    sending.response(false).unwrap();
    assert_eq!(second.ask("GET", &upload, &[]).status, 404);
    assert_eq!(hosting.staged(), 0);
}

/// Asks until an upload has so many bytes.
fn wait_for_range(hosting: &Hosting, upload: &str, range: &str) {
    for _ in 0..200 {
        if hosting.ask("GET", upload).header("range") == Some(range) {
            return;
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    panic!("{upload} never has {range}: {:?}", hosting.ask("GET", upload));
}

#[test]
fn what_breaks_off_goes_on_where_it_was() {
    let hosting = Hosting::start();
    let mut client = hosting.client();
    let upload = client.upload("team/app");
    let mut broken = hosting.client();
    broken.begin("PATCH", &upload, &["Content-Length: 10"]).send("01234");
    drop(broken);
    wait_for_range(&hosting, &upload, "0-4");
    // A client that says no more is gone, too.
    let mut stalled = hosting.client();
    let stalled = stalled.begin("PATCH", &upload, &["Content-Length: 10", "Content-Range: 5-14"]);
    stalled.send("56");
    assert_eq!(refused(&stalled.response(false).unwrap()), (400, "BLOB_UPLOAD_INVALID".to_owned()));
    assert!(stalled.ends());
    wait_for_range(&hosting, &upload, "0-6");
    let path = format!("{upload}?digest={}", key(b"0123456789"));
    assert_eq!(client.send("PUT", &path, &["Content-Range: 7-9"], b"789").status, 201);

    // Nobody knows the address of one that broke off in its only request.
    let mut broken = hosting.client();
    let path = format!("{UPLOADS}?digest={}", key(b"0123456789 "));
    broken.begin("POST", &path, &["Content-Length: 11"]).send("01234");
    drop(broken);
    let mut stalled = hosting.client();
    let stalled = stalled.begin("POST", &path, &["Content-Length: 11"]);
    stalled.send("01234");
    assert_eq!(stalled.response(false).unwrap().status, 400);
    for _ in 0..200 {
        if hosting.staged() == 0 {
            return;
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    panic!("{} files stay", hosting.staged());
}

#[test]
fn a_repository_has_no_more_than_it_may() {
    let hosting = Hosting::start();
    let mut client = hosting.client();
    let large = vec![1; QUOTA as usize + 1];
    let path = format!("/v2/small/app/blobs/uploads/?digest={}", key(&large));
    let full = client.send("POST", &path, &[], &large);
    assert_eq!(refused(&full), (413, "DENIED".to_owned()));
    assert!(full.text().contains("10000 bytes"), "{}", full.text());
    // One that does not say how much it is, is stopped where it is too much.
    let upload = hosting.client().upload("small/app");
    let mut client = hosting.client();
    let stream = client.begin("PATCH", &upload, &["Transfer-Encoding: chunked"]);
    for _ in 0..11 {
        stream.send(format!("{:x}\r\n{}\r\n", 1000, "x".repeat(1000)));
    }
    stream.send("0\r\n\r\n");
    assert_eq!(refused(&stream.response(false).unwrap()), (413, "DENIED".to_owned()));
    assert_eq!(hosting.ask("GET", &upload).status, 404);
    assert_eq!((hosting.staged(), held(&hosting, "small/app", &key(&large))), (0, None));

    // Two that only together are too much: the one that comes later is stopped, however it comes.
    let (one, two) = (vec![1; 6000], vec![2; 6000]);
    let mut client = hosting.client();
    let (first, second) = (client.upload("small/one"), client.upload("small/two"));
    assert_eq!(client.send("PATCH", &first, &[], &one).status, 202);
    let full = client.send("PATCH", &second, &[], &two);
    assert_eq!(refused(&full), (413, "DENIED".to_owned()));
    assert_eq!(client.ask("GET", &second, &[]).status, 404);
    let full = client.send("POST", &format!("/v2/small/two/blobs/uploads/?digest={}", key(&two)), &[], &two);
    assert_eq!(refused(&full), (413, "DENIED".to_owned()));
    let small = client.upload("small/two");
    assert_eq!(client.send("PATCH", &small, &[], &two[..4000]).status, 202);
    assert_eq!(client.send("PATCH", &small, &[], b"x").status, 413);
    assert_eq!(client.send("PUT", &format!("{first}?digest={}", key(&one)), &[], b"").status, 201);
    assert_eq!(held(&hosting, "small/one", &key(&one)).unwrap(), one);
    assert_eq!(held(&hosting, "small/two", &key(&two)), None);
    assert_eq!(hosting.staged(), 0);
    // What is there already costs nothing, neither once more nor beside it.
    for repository in ["small/one", "small/two"] {
        let mounted = format!("/v2/{repository}/blobs/uploads/?mount={}&from=small/one", key(&one));
        assert_eq!(client.send("POST", &mounted, &[], b"").status, 201);
    }
    // Nor does it help to come in from a repository that has more room.
    client.blob("team/app", &two);
    let mount = format!("/v2/small/two/blobs/uploads/?mount={}&from=team/app", key(&two));
    assert_eq!(client.send("POST", &mount, &[], b"").status, 413);
    // What was taken out makes room.
    for repository in ["small/one", "small/two"] {
        let path = format!("/v2/{repository}/blobs/{}", key(&one));
        assert_eq!(client.ask("DELETE", &path, &[]).status, 202);
    }
    assert_eq!(client.send("POST", &mount, &[], b"").status, 201);
}

#[test]
fn a_full_repository_still_moves_its_tags() {
    let hosting = Hosting::start();
    let mut client = hosting.client();
    let image = client.image("small/app", "1", b"layer");
    let held: u64 = image["size"].as_u64().unwrap() + 2 + 5;
    client.blob("small/app", &vec![3; (QUOTA - held) as usize]);
    let path = format!("/v2/small/app/manifests/{}", digest(&image));
    let manifest = hosting.ask("GET", &path).body;
    let header = format!("Content-Type: {}", image["mediaType"].as_str().unwrap());
    let moved = client.send("PUT", "/v2/small/app/manifests/2", &[&header], &manifest);
    assert_eq!(moved.status, 201, "{}", moved.text());
    let more = client.manifest(
        "small/app",
        "3",
        &serde_json::json!({
            "schemaVersion": 2, "mediaType": crate::support::images::INDEX, "manifests": [],
        }),
    );
    assert_eq!(refused(&more), (413, "DENIED".to_owned()));
}

#[test]
fn who_goes_away_at_once_can_come_back() {
    let hosting = Hosting::start();
    let mut client = hosting.client();
    let uploads: Vec<_> = (0..120)
        .map(|number| {
            let upload = client.upload("team/app");
            let mut gone = hosting.client();
            gone.begin("PATCH", &upload, &["Content-Length: 0"]);
            // At all moments that there are between the head and the answer.
            std::thread::sleep(Duration::from_micros(number * 8));
            upload
        })
        .collect();
    for upload in uploads {
        let free = (0..200).any(|_| {
            let answer = client.send("PATCH", &upload, &[], b"");
            std::thread::sleep(Duration::from_millis(if answer.status == 409 { 5 } else { 0 }));
            answer.status == 202
        });
        assert!(free, "{upload} is busy for ever");
    }
}

#[test]
fn who_waits_to_send_is_told_before_it_does() {
    let hosting = Hosting::start();
    let upload = hosting.client().upload("small/app");
    let expect = "Expect: 100-continue";
    for (who, method, path, length, status) in [
        ("", "PATCH", upload.as_str(), 10, 401),
        (EVE, "POST", UPLOADS, 10, 403),
        (ADA, "PATCH", upload.as_str(), 100_000, 413),
        ("", "PUT", "/v2/team/app/manifests/1", 10, 401),
    ] {
        let mut client = hosting.client().of(who);
        let length = format!("Content-Length: {length}");
        let answer = client.begin(method, path, &[expect, &length]).response(false).unwrap();
        assert_eq!(answer.status, status, "{method} {path}");
    }
    let mut client = hosting.client();
    let upload = client.upload("team/app");
    let waiting = client.begin("PATCH", &upload, &[expect, "Content-Length: 2"]);
    assert_eq!(waiting.response(false).unwrap().status, 100);
    waiting.send("ok");
    assert_eq!(waiting.response(false).unwrap().status, 202);
}

#[test]
fn blobs_that_nothing_names_are_taken_out_again() {
    let hosting = Hosting::start();
    let mut client = hosting.client();
    let blob = client.blob("team/app", b"bytes");
    let path = format!("/v2/team/app/blobs/{}", digest(&blob));
    assert_eq!(client.ask("DELETE", &path, &[]).status, 202);
    assert_eq!(client.ask("GET", &path, &[]).status, 404);
    assert_eq!(refused(&client.ask("DELETE", &path, &[])), (404, "BLOB_UNKNOWN".to_owned()));
    let bad = client.ask("DELETE", "/v2/team/app/blobs/sha256:abc", &[]);
    assert_eq!(refused(&bad), (400, "DIGEST_INVALID".to_owned()));
    let layer = describe("x", b"the layer");
    let image = client.image("team/app", "1", b"the layer");
    let path = format!("/v2/team/app/blobs/{}", digest(&layer));
    assert_eq!(refused(&client.ask("DELETE", &path, &[])), (405, "UNSUPPORTED".to_owned()));
    let manifest = format!("/v2/team/app/manifests/{}", digest(&image));
    assert_eq!(client.ask("DELETE", &manifest, &[]).status, 202);
    assert_eq!(client.ask("DELETE", &path, &[]).status, 202, "it is named no longer");
}
