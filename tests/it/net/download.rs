//! Files, resumed where they broke off.

use std::sync::atomic::{AtomicU64, Ordering};

use aftk::net::{Access, Client, Downloaded, Settings, Sink};
use aftk::problem::{Kind, Problem};

use super::{hasty, impatient, noting};
use crate::support::fake_upstream::{FakeUpstream, Reply, Seen};

#[derive(Default)]
pub(super) struct Memory {
    pub(super) bytes: Vec<u8>,
    restarts: u32,
    written: usize,
    full_at: Option<usize>,
}

impl Sink for Memory {
    fn length(&self) -> u64 {
        self.bytes.len() as u64
    }
    fn write(&mut self, bytes: &[u8]) -> Result<(), Problem> {
        if self.full_at.is_some_and(|full| self.bytes.len() + bytes.len() > full) {
            return Err(Problem::new(Kind::Failed, "test.full", "no space left"));
        }
        self.bytes.extend_from_slice(bytes);
        self.written += bytes.len();
        Ok(())
    }
    fn restart(&mut self) -> Result<(), Problem> {
        self.bytes.clear();
        self.restarts += 1;
        Ok(())
    }
}

/// Bytes in which every part differs from every other.
fn bytes(length: u32) -> Vec<u8> {
    (0..length.div_ceil(4)).flat_map(u32::to_be_bytes).take(length as usize).collect()
}

const LIMIT: u64 = 10_000_000;

async fn download(
    client: &Client,
    upstream: &FakeUpstream,
    expected_size: Option<u64>,
    sink: &mut Memory,
) -> Result<Downloaded, Problem> {
    let access = Access::open(upstream.at("/file"));
    client.download(&access, expected_size, LIMIT, sink, &|_| {}).await
}

fn ranges(seen: &[Seen]) -> Vec<Option<&str>> {
    seen.iter().map(|seen| seen.header("range")).collect()
}

#[tokio::test]
async fn a_file_is_streamed_and_its_progress_told() {
    let upstream = FakeUpstream::start();
    upstream.route("/file", Reply::ok(bytes(300_000)).header("Content-Type", "application/gzip"));
    let mut sink = Memory::default();
    let progress = AtomicU64::new(0);
    let tell = |bytes| {
        progress.fetch_add(bytes, Ordering::Relaxed);
    };
    let access = Access::open(upstream.at("/file"));
    let downloaded = impatient().download(&access, Some(300_000), LIMIT, &mut sink, &tell).await.unwrap();
    assert_eq!((downloaded.length, downloaded.content_type.as_str()), (300_000, "application/gzip"));
    assert!(sink.bytes == bytes(300_000));
    assert_eq!(progress.load(Ordering::Relaxed), 300_000);
    let [seen] = &upstream.requests()[..] else { panic!() };
    assert_eq!((seen.header("accept-encoding"), seen.header("range")), (Some("identity"), None));
}

#[tokio::test]
async fn what_is_not_there_is_missing() {
    let upstream = FakeUpstream::start();
    let problem = download(&impatient(), &upstream, None, &mut Memory::default()).await.unwrap_err();
    assert_eq!((problem.code.as_ref(), problem.kind), ("net.not-found", Kind::Incomplete));
}

#[tokio::test]
async fn nothing_is_downloaded_twice_on_a_flaky_line() {
    let upstream = FakeUpstream::start();
    let file = bytes(1_000_000);
    // More breaks than any budget allows without getting on: 14 cuts.
    upstream.route("/file", Reply::ok(file.clone()).etag("\"1\"").ranges().truncate_after(70_000));
    let mut sink = Memory::default();
    let downloaded = download(&impatient(), &upstream, None, &mut sink).await.unwrap();
    assert_eq!(downloaded.length, 1_000_000);
    assert!(sink.bytes == file);
    assert_eq!((sink.written, sink.restarts), (1_000_000, 0));
    let seen = upstream.requests();
    assert_eq!(ranges(&seen)[..3], [None, Some("bytes=70000-"), Some("bytes=140000-")]);
    assert_eq!((seen[0].header("if-range"), seen[1].header("if-range")), (None, Some("\"1\"")));
}

#[tokio::test]
async fn resets_and_stalls_are_resumed_too() {
    let upstream = FakeUpstream::start();
    let reply = || Reply::ok(bytes(1000)).ranges().header("Last-Modified", "Sun, 06 Nov 1994 08:49:37 GMT");
    upstream.route("/file", Reply::first(vec![reply().reset_after(100), reply().stall_after(200)], reply()));
    let mut sink = Memory::default();
    download(&hasty(Settings::default()).0, &upstream, Some(1000), &mut sink).await.unwrap();
    assert!(sink.bytes == bytes(1000));
    let seen = upstream.requests();
    assert_eq!(ranges(&seen), [None, Some("bytes=100-"), Some("bytes=300-")]);
    assert_eq!(seen[2].header("if-range"), Some("Sun, 06 Nov 1994 08:49:37 GMT"));
}

#[tokio::test]
async fn a_line_that_never_gets_on_is_given_up() {
    let upstream = FakeUpstream::start();
    upstream.route("/file", Reply::ok(bytes(1_000_000)).ranges().truncate_after(1));
    let mut sink = Memory::default();
    let problem = download(&impatient(), &upstream, None, &mut sink).await.unwrap_err();
    assert_eq!((problem.code.as_ref(), problem.kind), ("net.broken", Kind::Unavailable));
    assert_eq!((upstream.requests().len(), sink.bytes.len()), (5, 5));
}

#[tokio::test]
async fn an_earlier_session_is_gone_on_with() {
    let upstream = FakeUpstream::start();
    upstream.route("/file", Reply::ok(bytes(1000)).ranges());
    let mut sink = Memory { bytes: bytes(400), ..Memory::default() };
    download(&impatient(), &upstream, Some(1000), &mut sink).await.unwrap();
    assert!(sink.bytes == bytes(1000));
    assert_eq!(sink.written, 600);
    let complete = download(&impatient(), &upstream, Some(1000), &mut sink).await.unwrap();
    assert_eq!((complete.length, upstream.requests().len()), (1000, 1), "nothing is left to ask for");
}

/// A process that was killed may have had all of a file whose size nobody had told it.
#[tokio::test]
async fn a_whole_file_of_an_earlier_session_is_not_sent_again() {
    let upstream = FakeUpstream::start();
    upstream.route("/file", Reply::status(416).header("Content-Range", "bytes */1000"));
    let mut sink = Memory { bytes: bytes(1000), ..Memory::default() };
    let complete = download(&impatient(), &upstream, None, &mut sink).await.unwrap();
    assert_eq!((complete.length, sink.written, sink.restarts), (1000, 0, 0));
    assert_eq!(ranges(&upstream.requests()), [Some("bytes=1000-")]);
}

#[tokio::test]
async fn a_server_without_ranges_begins_again() {
    let upstream = FakeUpstream::start();
    let reply = || Reply::ok(bytes(1000));
    upstream.route("/file", Reply::first(vec![reply().truncate_after(400)], reply()));
    let mut sink = Memory::default();
    download(&impatient(), &upstream, None, &mut sink).await.unwrap();
    assert!(sink.bytes == bytes(1000));
    assert_eq!(sink.restarts, 1);
}

#[tokio::test]
async fn versions_are_never_mixed() {
    let old = Reply::ok(vec![1; 1000]).etag("\"old\"").ranges().truncate_after(400);
    let new = Reply::ok(vec![2; 1000]).etag("\"new\"").ranges();
    // One that ignores If-Range, and one that is shorter than what is held.
    let rude = Reply::status(206).header("Content-Range", "bytes 400-999/1000").etag("\"new\"");
    let shorter = Reply::status(416).header("Content-Range", "bytes */300").etag("\"new\"");
    let elsewhere = Reply::status(206).header("Content-Range", "bytes 300-999/1000").etag("\"old\"");
    let larger = Reply::status(206).header("Content-Range", "bytes 400-999/2000").etag("\"old\"");
    for between in [None, Some(rude), Some(shorter), Some(elsewhere), Some(larger)] {
        let upstream = FakeUpstream::start();
        let replies = [Some(old.clone()), between].into_iter().flatten().collect();
        upstream.route("/file", Reply::first(replies, new.clone()));
        let mut sink = Memory::default();
        download(&impatient(), &upstream, None, &mut sink).await.unwrap();
        assert!(sink.bytes == vec![2; 1000]);
    }
}

#[tokio::test]
async fn a_file_that_keeps_changing_is_given_up() {
    let upstream = FakeUpstream::start();
    let count = AtomicU64::new(0);
    let reply = move |seen: &Seen| {
        let etag = format!("\"{}\"", count.fetch_add(1, Ordering::Relaxed));
        match seen.header("range") {
            None => Reply::ok(bytes(100_000)).etag(&etag).truncate_after(70_000),
            Some(_) => Reply::status(206).header("Content-Range", "bytes 70000-99999/100000").etag(&etag),
        }
    };
    upstream.route("/file", Reply::answer(reply));
    let problem = download(&impatient(), &upstream, None, &mut Memory::default()).await.unwrap_err();
    assert_eq!(problem.code, "net.unstable");
}

#[tokio::test]
async fn sizes_are_checked() {
    let upstream = FakeUpstream::start();
    let download = async |reply: Reply, expected| {
        upstream.route("/file", reply);
        let mut sink = Memory::default();
        let problem = download(&impatient(), &upstream, expected, &mut sink).await.unwrap_err();
        assert!(sink.bytes.len() <= LIMIT as usize);
        (problem.code.to_string(), problem.kind)
    };
    let size = ("net.size".to_owned(), Kind::Untrusted);
    let too_large = ("net.too-large".to_owned(), Kind::Refused);
    assert_eq!(download(Reply::ok(bytes(999)), Some(1000)).await, size);
    assert_eq!(download(Reply::ok(bytes(1001)), Some(1000)).await, size);
    assert_eq!(download(Reply::ok(bytes(1001)).chunked(), Some(1000)).await, size);
    assert_eq!(download(Reply::ok(bytes(999)).chunked().ranges(), Some(1000)).await, size);
    assert_eq!(download(Reply::ok(bytes(60_000)).chunked().endless(), None).await, too_large);
    assert_eq!(download(Reply::ok("").content_length(LIMIT + 1).stall_after(0), None).await, too_large);
    let broken = ("net.broken".to_owned(), Kind::Unavailable);
    assert_eq!(download(Reply::ok(bytes(500)).content_length(1000).truncate_after(500), None).await, broken);
}

#[tokio::test]
async fn an_encoding_that_nobody_asked_for() {
    let upstream = FakeUpstream::start();
    let client = impatient();
    let read = async |path: &str, expected| {
        let mut sink = Memory::default();
        let outcome =
            client.download(&Access::open(upstream.at(path)), expected, 1000, &mut sink, &|_| {}).await;
        outcome.map(|_| sink.bytes).map_err(|problem| problem.code.to_string())
    };
    // The server means that the file is gzip, not that it is encoded for the way.
    let tarball = Reply::gzip("tar");
    upstream.route("/a.tgz", tarball.clone()).route("/a", tarball.clone());
    let held = read("/a.tgz", None).await.unwrap();
    assert_eq!(held[..2], [0x1f, 0x8b]);
    assert_eq!(read("/a", Some(held.len() as u64)).await, Ok(held));
    // Encoded for the way.
    upstream.route("/text", Reply::first(vec![Reply::gzip("text").truncate_after(9)], Reply::gzip("text")));
    assert_eq!(read("/text", None).await, Ok(b"text".to_vec()));
    upstream.route("/bomb", Reply::gzip(vec![0; 20_000_000]));
    assert_eq!(read("/bomb", None).await, Err("net.too-large".to_owned()));
    upstream.route("/br", Reply::ok("?").header("Content-Encoding", "br"));
    assert_eq!(read("/br", None).await, Err("net.coding".to_owned()));
}

#[tokio::test]
async fn a_sink_that_fails_ends_it() {
    let upstream = FakeUpstream::start();
    upstream.route("/file", Reply::ok(bytes(1_000_000)));
    let mut sink = Memory { full_at: Some(100_000), ..Memory::default() };
    let problem = download(&impatient(), &upstream, None, &mut sink).await.unwrap_err();
    assert_eq!((problem.code.as_ref(), upstream.requests().len()), ("test.full", 1));
}

#[tokio::test]
async fn the_rate_is_limited() {
    let upstream = FakeUpstream::start();
    upstream.route("/file", Reply::ok(bytes(100_000)));
    let settings = Settings { rate_limit: Some(500_000), ..Settings::default() };
    let before = std::time::Duration::from_millis(195);
    let started = aftk::clock::instant();
    download(&noting(settings).0, &upstream, None, &mut Memory::default()).await.unwrap();
    assert!(started.elapsed() >= before, "{:?}", started.elapsed());
}
