//! Sending something to a server that misbehaves.

use std::io::Write as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use aftk::net::{Access, Account, Credential, Encoding, FilePart, Payload, SignIn, Upload};
use aftk::problem::Problem;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::{HeaderMap, Method};

use super::{hasty, impatient};
use crate::support::fake_upstream::{FakeUpstream, Reply};

/// A part of a file: what is left of `text` after so many bytes; and what is counted while it is sent.
fn part(text: &str, from: u64) -> (Payload, Arc<AtomicU64>) {
    let mut file = tempfile::tempfile().unwrap();
    file.write_all(text.as_bytes()).unwrap();
    let counted = Arc::new(AtomicU64::new(0));
    let counting = counted.clone();
    let progress = Arc::new(move |bytes| {
        counting.fetch_add(bytes, Ordering::SeqCst);
    });
    let length = text.len() as u64 - from;
    (Payload::File(FilePart { file: Arc::new(file), from, length, progress }), counted)
}

fn put(access: &Access, payload: Payload) -> Upload<'_> {
    Upload { method: Method::PUT, access, headers: HeaderMap::new(), payload }
}

#[tokio::test]
async fn a_part_of_a_file_arrives_with_its_length() {
    let upstream = FakeUpstream::start();
    upstream.route("/a", Reply::status(201));
    let (payload, counted) = part("0123456789", 4);
    let access = Access::open(upstream.at("/a"));
    assert_eq!(impatient().send(&put(&access, payload), &[201]).await.unwrap().status(), 201);
    let [seen] = &upstream.requests()[..] else { panic!() };
    assert_eq!((seen.body.as_slice(), seen.header("content-length")), (b"456789".as_slice(), Some("6")));
    assert_eq!((seen.header("transfer-encoding"), counted.load(Ordering::SeqCst)), (None, 6));
    // As forms have it, and what the server says of it is heard.
    upstream.route("/form", Reply::ok("taken"));
    let (Payload::File(file), counted) = part("0123456789", 4) else { panic!() };
    let payload =
        Payload::Between { before: "head ".into(), file, encoding: Encoding::Plain, after: " tail".into() };
    let form = Access::open(upstream.at("/form"));
    let sent = impatient().send(&put(&form, payload), &[200]).await.unwrap();
    let seen = &upstream.requests()[1];
    assert_eq!(
        (seen.body.as_slice(), seen.header("content-length")),
        (b"head 456789 tail".as_slice(), Some("16"))
    );
    assert_eq!((&sent.words()[..], counted.load(Ordering::SeqCst)), (b"taken".as_slice(), 6));
    // And as JSON has it: in base64, of a file that is read in several pieces.
    let text = "0123456789".repeat(100_000) + "x";
    let (Payload::File(file), counted) = part(&text, 0) else { panic!() };
    let (before, after) = ("{\"data\":\"".into(), "\"}".into());
    let payload = Payload::Between { before, file, encoding: Encoding::Base64, after };
    impatient().send(&put(&form, payload), &[200]).await.unwrap();
    let seen: serde_json::Value = serde_json::from_slice(&upstream.requests()[2].body).unwrap();
    assert_eq!(STANDARD.decode(seen["data"].as_str().unwrap()).unwrap(), text.as_bytes());
    assert_eq!(counted.load(Ordering::SeqCst), text.len() as u64);
    // A POST of nothing says so.
    let upload = Upload { method: Method::POST, ..put(&access, Payload::Nothing) };
    impatient().send(&upload, &[201]).await.unwrap();
    assert_eq!(upstream.requests()[3].header("content-length"), Some("0"));
}

#[tokio::test]
async fn an_upload_is_sent_on_whole_but_no_credential_is() {
    let (home, stranger) = (FakeUpstream::start(), FakeUpstream::start());
    stranger.route("/there", Reply::status(201));
    home.route("/a", Reply::status(307).header("Location", stranger.at("/there")));
    home.route("/b", Reply::status(302).header("Location", stranger.at("/there")));
    let access = Access {
        credential: Some(Credential::basic(&home.at("/"), "me", "sesame")),
        ..Access::open(home.at("/a"))
    };
    impatient().send(&put(&access, part("text", 0).0), &[201]).await.unwrap();
    assert!(home.requests()[0].header("authorization").is_some());
    let [seen] = &stranger.requests()[..] else { panic!() };
    assert_eq!((seen.method.as_str(), seen.body.as_slice()), ("PUT", b"text".as_slice()));
    assert_eq!(seen.header("authorization"), None);
    // 302 does not say that it is to be sent there.
    let access = Access { url: home.at("/b"), ..access };
    let refused = impatient().send(&put(&access, part("text", 0).0), &[201]).await.unwrap_err();
    assert_eq!((refused.status(), stranger.requests().len()), (Some(302), 1));
}

#[tokio::test]
async fn whoever_asks_who_we_are_gets_it_all_once_more() {
    let upstream = FakeUpstream::start();
    let asking = Reply::status(401).header("WWW-Authenticate", "Basic realm=\"x\"");
    upstream.route("/a", Reply::first(vec![asking], Reply::status(201)));
    let account = Account::Password { user: "me".to_owned(), password: "sesame".to_owned().into() };
    let sign_in = SignIn { account: Some(account), remedy: "log in".to_owned(), ..SignIn::default() };
    let access = Access { sign_in: Some(Arc::new(sign_in)), ..Access::open(upstream.at("/a")) };
    impatient().send(&put(&access, part("text", 0).0), &[201]).await.unwrap();
    let bodies: Vec<_> = upstream.requests().into_iter().map(|seen| seen.body).collect();
    assert_eq!(bodies, [b"text", b"text"]);
}

#[tokio::test]
async fn a_location_keeps_its_query_and_stays_at_home() {
    let upstream = FakeUpstream::start();
    let access = Access::open(upstream.at("/v2/a/uploads/"));
    for (told, found) in [
        ("/x?y=%2F", Some("/x?y=%2F")),
        ("z?w", Some("/v2/a/uploads/z?w")),
        ("//other.example.test/x?y", None),
    ] {
        upstream.route("/v2/a/uploads/", Reply::status(202).header("Location", told));
        let sent = impatient().send(&put(&access, Payload::Nothing), &[202]).await.unwrap();
        match (sent.location(false), found) {
            (Ok(Some(url)), Some(path)) => assert_eq!(url, upstream.at(path)),
            (Err(unsent), None) => {
                assert_eq!(Problem::from(unsent).code, "net.location");
                assert_eq!(sent.location(true).unwrap().unwrap(), upstream.at("/x?y"));
            }
            other => panic!("{told}: {other:?}"),
        }
    }
}

#[tokio::test]
async fn refusals_are_read_up_to_a_limit_and_silence_is_not_waited_for() {
    let upstream = FakeUpstream::start();
    upstream.route("/a", Reply::ok("no ").with_status(400).until_close().endless());
    upstream.route("/b", Reply::hang_up().after(std::time::Duration::from_secs(30)));
    let client = hasty(aftk::net::Settings::default()).0;
    let refused =
        client.send(&put(&Access::open(upstream.at("/a")), Payload::Nothing), &[201]).await.unwrap_err();
    assert_eq!((refused.status(), refused.words().len()), (Some(400), 64 * 1024));
    let silent =
        client.send(&put(&Access::open(upstream.at("/b")), part("text", 0).0), &[201]).await.unwrap_err();
    assert_eq!((silent.status(), Problem::from(silent).code.as_ref()), (None, "net.timeout"));
}
