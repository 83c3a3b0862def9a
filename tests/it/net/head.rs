//! What a server says of a file without sending it.

use aftk::net::{Access, Settings};

use super::{impatient, noting};
use crate::support::fake_upstream::{FakeUpstream, Reply};

#[tokio::test]
async fn a_head_has_what_the_server_says() {
    let upstream = FakeUpstream::start();
    let reply = Reply::ok("manifest").header("Content-Type", "application/vnd.example+json");
    upstream.route("/a", reply.header("Docker-Content-Digest", "sha256:00"));
    upstream.route("/bare", Reply::ok("").chunked());
    let client = impatient();
    let head = client.head(&Access::open(upstream.at("/a")), "text/a, text/b").await.unwrap().unwrap();
    assert_eq!((head.content_type(), head.length()), ("application/vnd.example+json", Some(8)));
    assert_eq!(head.header("docker-content-digest"), Some("sha256:00"));
    let [seen] = &upstream.requests()[..] else { panic!() };
    assert_eq!((seen.method.as_str(), seen.header("accept")), ("HEAD", Some("text/a, text/b")));
    assert_eq!(seen.header("accept-encoding"), Some("identity"), "the length is that of the file itself");

    let bare = client.head(&Access::open(upstream.at("/bare")), "").await.unwrap().unwrap();
    assert_eq!((bare.content_type(), bare.length(), bare.header("docker-content-digest")), ("", None, None));
    assert!(client.head(&Access::open(upstream.at("/none")), "").await.unwrap().is_none());
    assert_eq!(client.size(&Access::open(upstream.at("/a"))).await, Some(8));
    assert_eq!(client.size(&Access::open(upstream.at("/none"))).await, None);
}

#[tokio::test]
async fn a_head_is_asked_for_again_where_that_may_help() {
    let upstream = FakeUpstream::start();
    upstream.route("/a", Reply::first(vec![Reply::status(503)], Reply::ok("text")));
    upstream.route("/no-head", Reply::status(405));
    let (client, timer) = noting(Settings::default());
    let head = client.head(&Access::open(upstream.at("/a")), "").await.unwrap().unwrap();
    assert_eq!((head.length(), timer.pauses().len()), (Some(4), 1));
    let problem = client.head(&Access::open(upstream.at("/no-head")), "").await.unwrap_err();
    assert_eq!((problem.code.as_ref(), upstream.requests_to("/no-head").len()), ("net.status", 1));
}
