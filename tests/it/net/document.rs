//! Small documents.

use std::time::Duration;

use aftk::net::{Access, Client, Credential, Document, DocumentAnswer, Settings, Validators};
use aftk::problem::{Kind, Problem};
use url::Url;

use super::{hasty, impatient, noting};
use crate::support::fake_upstream::{FakeUpstream, Reply};

const LIMIT: u64 = 100_000;

async fn ask(client: &Client, access: &Access, accept: &str, held: &Validators) -> DocumentAnswer {
    client.document(access, accept, LIMIT, false, held).await.unwrap()
}

async fn read(client: &Client, url: Url) -> Result<DocumentAnswer, Problem> {
    client.document(&Access::open(url), "", LIMIT, false, &Validators::default()).await
}

async fn found(client: &Client, url: Url) -> Document {
    match read(client, url).await {
        Ok(DocumentAnswer::Found(document)) => document,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_document_comes_with_what_the_server_says_of_it() {
    let upstream = FakeUpstream::start();
    let reply = Reply::json(&serde_json::json!({})).etag("W/\"7\"");
    upstream.route("/doc?x=%2f", reply.header("Last-Modified", "Sun, 06 Nov 1994 08:49:37 GMT"));
    let client = impatient();
    let access = Access::open(upstream.at("/doc?x=%2f"));
    let first = ask(&client, &access, "application/json", &Validators::default()).await;
    let DocumentAnswer::Found(document) = first else { panic!("{first:?}") };
    assert_eq!((&document.bytes[..], document.content_type.as_str()), (&b"{}"[..], "application/json"));

    let [seen] = &upstream.requests()[..] else { panic!() };
    assert_eq!((seen.method.as_str(), seen.target.as_str()), ("GET", "/doc?x=%2f"));
    assert_eq!(seen.header("accept"), Some("application/json"));
    assert_eq!(seen.header("accept-encoding"), Some("gzip"));
    assert_eq!(seen.header("user-agent"), Some(concat!("aftk/", env!("CARGO_PKG_VERSION"))));
    assert_eq!(seen.header("authorization"), None);

    let held = Validators { etag: document.etag.clone(), last_modified: document.last_modified.clone() };
    assert_eq!(ask(&client, &access, "", &held).await, DocumentAnswer::NotModified);
    assert_eq!(upstream.requests()[1].header("if-none-match"), Some("W/\"7\""));
    assert_eq!(upstream.requests()[1].header("if-modified-since"), Some("Sun, 06 Nov 1994 08:49:37 GMT"));

    let held = Validators { etag: Some("\"6\"".to_owned()), last_modified: None };
    assert_eq!(ask(&client, &access, "", &held).await, DocumentAnswer::Found(document));
}

#[tokio::test]
async fn absence_is_no_error_but_an_unasked_304_is() {
    let upstream = FakeUpstream::start();
    upstream.route("/gone", Reply::status(410)).route("/304", Reply::status(304));
    let client = impatient();
    assert_eq!(read(&client, upstream.at("/none")).await.unwrap(), DocumentAnswer::NotFound);
    assert_eq!(read(&client, upstream.at("/gone")).await.unwrap(), DocumentAnswer::NotFound);
    assert_eq!(read(&client, upstream.at("/304")).await.unwrap_err().code, "net.status");
}

#[tokio::test]
async fn compressed_documents_are_decoded_under_the_limit() {
    let upstream = FakeUpstream::start();
    upstream.route("/small", Reply::gzip("text"));
    upstream.route("/chunked", Reply::gzip(vec![b'a'; LIMIT as usize]).chunked());
    upstream.route("/over", Reply::gzip(vec![b'a'; LIMIT as usize + 1]));
    upstream.route("/bomb", Reply::gzip(vec![0; 20_000_000]));
    upstream.route("/said", Reply::ok(vec![0; LIMIT as usize + 1]).stall_after(0));
    upstream.route("/endless", Reply::ok(vec![0; 60_000]).chunked().endless());
    upstream.route("/untold", Reply::ok(vec![0; 60_000]).until_close().endless());
    upstream.route("/odd", Reply::ok("?").header("Content-Encoding", "br"));
    upstream.route("/twice", Reply::gzip("?").header("Content-Encoding", "gzip"));
    upstream.route("/not", Reply::ok("<html>").header("Content-Encoding", "gzip"));
    let client = impatient();
    assert_eq!(found(&client, upstream.at("/small")).await.bytes, "text");
    assert_eq!(found(&client, upstream.at("/chunked")).await.bytes.len() as u64, LIMIT);
    for path in ["/over", "/bomb", "/said", "/endless", "/untold"] {
        let problem = read(&client, upstream.at(path)).await.unwrap_err();
        assert_eq!((problem.code.as_ref(), problem.kind), ("net.too-large", Kind::Refused), "{path}");
        assert_eq!(upstream.requests_to(path).len(), 1, "{path} is not asked for again");
    }
    for path in ["/odd", "/twice"] {
        assert_eq!(read(&client, upstream.at(path)).await.unwrap_err().code, "net.coding", "{path}");
    }
    assert_eq!(read(&client, upstream.at("/not")).await.unwrap_err().code, "net.damaged");
}

#[tokio::test]
async fn what_passes_is_tried_again() {
    let upstream = FakeUpstream::start();
    let good = Reply::ok("at last");
    let bad = vec![
        Reply::status(503),
        Reply::ok("at last").truncate_after(3),
        Reply::ok("at last").reset_after(3),
        Reply::ok("at last").stall_after(3),
    ];
    upstream.route("/doc", Reply::first(bad, good));
    upstream.route(
        "/gzip",
        Reply::first(vec![Reply::gzip("at last").chunked().truncate_after(9)], Reply::gzip("at last")),
    );
    upstream.route(
        "/silent",
        Reply::first(vec![Reply::ok("late").after(Duration::from_secs(9))], Reply::ok("at last")),
    );
    let (client, timer) = hasty(Settings::default());
    assert_eq!(found(&client, upstream.at("/doc")).await.bytes, "at last");
    assert_eq!(timer.pauses().len(), 4);
    assert_eq!(found(&client, upstream.at("/gzip")).await.bytes, "at last");
    assert_eq!(found(&client, upstream.at("/silent")).await.bytes, "at last");
}

#[tokio::test]
async fn what_stays_is_told() {
    let upstream = FakeUpstream::start();
    upstream.route("/doc", Reply::status(502));
    let problem = read(&impatient(), upstream.at("/doc")).await.unwrap_err();
    assert_eq!((problem.code.as_ref(), problem.kind), ("net.status", Kind::Unavailable));
    assert_eq!(problem.message, "the server answered 502 Bad Gateway");
    assert_eq!(problem.place.unwrap(), upstream.at("/doc").to_string());
    assert_eq!(problem.causes, ["this was attempt 5"]);
    assert_eq!(upstream.requests_to("/doc").len(), 5);
}

#[tokio::test]
async fn retry_after_is_heeded_in_both_forms() {
    let upstream = FakeUpstream::start();
    let busy = |when: &str| Reply::status(429).header("Retry-After", when);
    let replies = vec![busy("7"), busy("Sun, 06 Nov 1994 08:50:07 GMT"), busy("120"), busy("soon")];
    upstream.route("/doc", Reply::first(replies, Reply::ok("ok")));
    let (client, timer) = noting(Settings::default());
    found(&client, upstream.at("/doc")).await;
    assert_eq!(timer.pauses(), [7, 30, 120, 0].map(Duration::from_secs));
}

#[tokio::test]
async fn whoever_asks_for_a_day_is_not_waited_for() {
    let upstream = FakeUpstream::start();
    upstream.route("/a", Reply::status(503).header("Retry-After", "86400"));
    upstream.route("/b", Reply::status(429).header("Retry-After", "Mon, 07 Nov 1994 20:49:37 GMT"));
    let (client, timer) = noting(Settings::default());
    for (path, told) in [("/a", "it says to come back in 24 h"), ("/b", "it says to come back in 36 h")] {
        let problem = read(&client, upstream.at(path)).await.unwrap_err();
        assert_eq!((problem.kind, problem.causes), (Kind::Unavailable, vec![told.to_owned()]));
        assert!(!problem.hints.is_empty());
        assert_eq!(upstream.requests_to(path).len(), 1);
    }
    assert!(timer.pauses().is_empty());
}

#[tokio::test]
async fn credentials_open_doors_and_hints_say_how() {
    let upstream = FakeUpstream::start();
    upstream.route("/private", Reply::ok("secret").only_for("Bearer sesame"));
    let client = impatient();
    let problem = read(&client, upstream.at("/private")).await.unwrap_err();
    assert_eq!((problem.code.as_ref(), problem.kind), ("net.unauthorized", Kind::Refused));
    assert!(problem.hints[0].contains("configure credentials"), "{problem:?}");
    assert_eq!(upstream.requests().len(), 1, "it does not help to ask again");

    let url = upstream.at("/private");
    let read_with = async |token| {
        let credential = Some(Credential::bearer(&url, token));
        let access = Access { credential, ..Access::open(url.clone()) };
        client.document(&access, "", LIMIT, false, &Validators::default()).await
    };
    assert!(matches!(read_with("sesame").await, Ok(DocumentAnswer::Found(_))));
    let told = format!("{:?}", read_with("mustard").await.unwrap_err());
    assert!(told.contains("not accepted") && !told.contains("mustard"), "{told}");
    assert_eq!(read_with("two\nlines").await.unwrap_err().code, "net.credential");
}

#[tokio::test]
async fn a_user_in_the_address_is_neither_sent_nor_printed() {
    let upstream = FakeUpstream::start();
    upstream.route("/doc", Reply::status(403));
    let url: Url = upstream.at("/doc").as_str().replace("http://", "http://me:sesame@").parse().unwrap();
    let problem = read(&impatient(), url).await.unwrap_err();
    assert_eq!(problem.code, "net.forbidden");
    assert!(!format!("{problem:?}").contains("sesame"), "{problem:?}");
    assert_eq!(upstream.requests()[0].header("authorization"), None);
}

#[tokio::test]
async fn a_server_that_trickles_is_not_waited_for() {
    let upstream = FakeUpstream::start();
    upstream.route("/doc", Reply::ok(vec![b'a'; 1000]).trickle(Duration::from_millis(20)));
    let settings = Settings { retries: 0, ..Settings::default() };
    let problem = read(&hasty(settings).0, upstream.at("/doc")).await.unwrap_err();
    assert_eq!(problem.code, "net.timeout");
}

#[tokio::test]
async fn nobody_at_home_is_told_with_its_cause() {
    let upstream = FakeUpstream::start();
    let url = upstream.at("/doc?token=sesame");
    drop(upstream);
    let problem = read(&impatient(), url).await.unwrap_err();
    assert_eq!((problem.code.as_ref(), problem.kind), ("net.connect", Kind::Unavailable));
    let told = format!("{problem:?}");
    assert!(told.contains("refused") && told.contains("token=***") && !told.contains("sesame"), "{told}");
}

#[tokio::test]
async fn at_most_eight_requests_go_to_a_host_at_once() {
    let upstream = FakeUpstream::start();
    upstream.route("/doc", Reply::ok("ok").after(Duration::from_millis(100)));
    let client = impatient();
    let reads = (0..24).map(|_| found(&client, upstream.at("/doc")));
    futures_util::future::join_all(reads).await;
    let most = upstream.most_under_way();
    assert!((2..=8).contains(&most), "{most}");
}
