//! An upstream of our own on raw sockets, which misbehaves as it is told.
//!
//! ```ignore
//! let upstream = FakeUpstream::start();
//! upstream.route("/a.tgz", Reply::ok(bytes).etag("\"1\"").ranges());
//! upstream.route("/busy", Reply::first(vec![Reply::status(503)], Reply::ok("at last")));
//! upstream.route("/meta", Reply::answer(|request| Reply::json(&make(request.header("accept")))));
//! client.get(upstream.at("/a.tgz"));
//! assert_eq!(upstream.requests_to("/a.tgz").len(), 1);
//! ```
//!
//! Anything without a route is answered by the route `*`, or is 404. It also answers as a proxy would: a request in absolute form is answered
//! by the route of the address's path.

use std::collections::HashMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

/// A request as it arrived.
#[derive(Debug, Clone)]
pub(crate) struct Seen {
    /// `GET`, `CONNECT` …
    pub(crate) method: String,
    /// The target as it was sent: a path, or a whole address if we were taken for a proxy.
    pub(crate) target: String,
    /// The path with its query.
    pub(crate) path: String,
    /// Headers in order, names in lower case.
    pub(crate) headers: Vec<(String, String)>,
    /// The body, if Content-Length announced one.
    pub(crate) body: Vec<u8>,
}

impl Seen {
    /// A header's value; `name` in lower case.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }
}

/// An upstream that listens on a free port of 127.0.0.1 until it is dropped.
pub(crate) struct FakeUpstream {
    address: SocketAddr,
    shared: Arc<Shared>,
    accepting: Option<thread::JoinHandle<()>>,
}

#[derive(Default)]
struct Shared {
    routes: Mutex<HashMap<String, Arc<Reply>>>,
    requests: Mutex<Vec<Seen>>,
    under_way: AtomicUsize,
    most_under_way: AtomicUsize,
    stopped: AtomicBool,
    tls: Option<Arc<rustls::ServerConfig>>,
}

impl FakeUpstream {
    /// Starts one that speaks plain HTTP.
    pub(crate) fn start() -> FakeUpstream {
        FakeUpstream::listen(Shared::default())
    }

    /// Starts one that speaks TLS.
    pub(crate) fn start_tls(config: rustls::ServerConfig) -> FakeUpstream {
        FakeUpstream::listen(Shared { tls: Some(Arc::new(config)), ..Shared::default() })
    }

    fn listen(shared: Shared) -> FakeUpstream {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let shared = Arc::new(shared);
        let sharing = shared.clone();
        let accepting = thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                if sharing.stopped.load(Ordering::Relaxed) {
                    break;
                }
                let shared = sharing.clone();
                // A connection that breaks is what many tests are about.
                thread::spawn(move || drop(shared.connection(stream)));
            }
        });
        FakeUpstream { address, shared, accepting: Some(accepting) }
    }

    /// `http://127.0.0.1:PORT` (or https), without a slash at the end.
    pub(crate) fn url(&self) -> String {
        let scheme = if self.shared.tls.is_some() { "https" } else { "http" };
        format!("{scheme}://{}", self.address)
    }

    /// The address of a path.
    pub(crate) fn at(&self, path: &str) -> url::Url {
        format!("{}{path}", self.url()).parse().unwrap()
    }

    /// What is answered at a path (with its query, if there is one), from now on.
    pub(crate) fn route(&self, path: &str, reply: Reply) -> &FakeUpstream {
        self.shared.routes.lock().unwrap().insert(path.to_owned(), Arc::new(reply));
        self
    }

    /// All requests so far.
    pub(crate) fn requests(&self) -> Vec<Seen> {
        self.shared.requests.lock().unwrap().clone()
    }

    /// The requests to one path so far.
    pub(crate) fn requests_to(&self, path: &str) -> Vec<Seen> {
        self.requests().into_iter().filter(|seen| seen.path == path).collect()
    }

    /// The most requests that were being answered at the same time.
    pub(crate) fn most_under_way(&self) -> usize {
        self.shared.most_under_way.load(Ordering::SeqCst)
    }
}

impl Drop for FakeUpstream {
    fn drop(&mut self) {
        self.shared.stopped.store(true, Ordering::Relaxed);
        // Wakes the listener; from here on nobody listens at its port.
        drop(TcpStream::connect(self.address));
        drop(self.accepting.take().map(thread::JoinHandle::join));
    }
}

/// What is answered, and how badly.
#[derive(Clone, Default)]
pub(crate) struct Reply {
    status: u16,
    headers: Vec<(String, String)>,
    body: Vec<u8>,
    length: Length,
    ranges: bool,
    ending: Ending,
    pause: Duration,
    authorization: Option<String>,
    choose: Option<Choose>,
}

type Choose = Arc<dyn Fn(&Seen) -> Reply + Send + Sync>;

/// How the body's length is told.
#[derive(Clone, Copy, Default)]
enum Length {
    #[default]
    Honest,
    Lie(u64),
    Chunked,
    /// Not at all: the body ends with the connection.
    Untold,
}

/// How an answer ends.
#[derive(Clone, Copy, Default)]
enum Ending {
    #[default]
    Proper,
    /// The connection is closed after so many bytes of the body.
    Truncate(usize),
    /// The connection is reset after so many bytes of the body.
    Reset(usize),
    /// Nothing more comes after so many bytes of the body.
    Stall(usize),
    /// The body is sent again and again.
    Endless,
    /// Nothing is answered at all.
    HangUp,
    /// One byte of the body after each such pause.
    Trickle(Duration),
}

impl Reply {
    /// 200 with a body.
    pub(crate) fn ok(body: impl Into<Vec<u8>>) -> Reply {
        Reply { status: 200, body: body.into(), ..Reply::default() }
    }

    /// 200 with a JSON document.
    pub(crate) fn json(document: &serde_json::Value) -> Reply {
        Reply::ok(document.to_string()).header("Content-Type", "application/json")
    }

    /// A status with an empty body.
    pub(crate) fn status(status: u16) -> Reply {
        Reply { status, ..Reply::default() }
    }

    /// The same with another status.
    pub(crate) fn with_status(mut self, status: u16) -> Reply {
        self.status = status;
        self
    }

    /// 302 to somewhere.
    pub(crate) fn redirect(location: impl Into<String>) -> Reply {
        Reply::status(302).header("Location", location)
    }

    /// 200 with a body that is compressed and says so.
    pub(crate) fn gzip(body: impl AsRef<[u8]>) -> Reply {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
        encoder.write_all(body.as_ref()).unwrap();
        Reply::ok(encoder.finish().unwrap()).header("Content-Encoding", "gzip")
    }

    /// Some replies one after the other, then `last` for good.
    pub(crate) fn first(replies: Vec<Reply>, last: Reply) -> Reply {
        let left = Mutex::new(replies.into_iter());
        Reply::answer(move |_| left.lock().unwrap().next().unwrap_or_else(|| last.clone()))
    }

    /// A reply that depends on the request.
    pub(crate) fn answer(choose: impl Fn(&Seen) -> Reply + Send + Sync + 'static) -> Reply {
        Reply { choose: Some(Arc::new(choose)), ..Reply::default() }
    }

    /// With a header.
    pub(crate) fn header(mut self, name: &str, value: impl Into<String>) -> Reply {
        self.headers.push((name.to_owned(), value.into()));
        self
    }

    /// A header that it has.
    pub(crate) fn value(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    /// Without a header.
    pub(crate) fn without(mut self, name: &str) -> Reply {
        self.headers.retain(|(known, _)| known != name);
        self
    }

    /// With an ETag (quotes and all): `If-None-Match` and `If-Range` are then heeded.
    pub(crate) fn etag(self, etag: &str) -> Reply {
        self.header("ETag", etag)
    }

    /// Honours Range.
    pub(crate) fn ranges(mut self) -> Reply {
        self.ranges = true;
        self
    }

    /// Only for whoever shows this Authorization header; 401 for others.
    pub(crate) fn only_for(mut self, authorization: &str) -> Reply {
        self.authorization = Some(authorization.to_owned());
        self
    }

    /// Tells a Content-Length that may not be true.
    pub(crate) fn content_length(mut self, length: u64) -> Reply {
        self.length = Length::Lie(length);
        self
    }

    /// Sends the body in chunks, its length untold.
    pub(crate) fn chunked(mut self) -> Reply {
        self.length = Length::Chunked;
        self
    }

    /// Sends the body until the connection closes, its length untold.
    pub(crate) fn until_close(mut self) -> Reply {
        self.length = Length::Untold;
        self
    }

    /// Closes the connection after so many bytes of each body.
    pub(crate) fn truncate_after(mut self, bytes: usize) -> Reply {
        self.ending = Ending::Truncate(bytes);
        self
    }

    /// Resets the connection after so many bytes of each body.
    pub(crate) fn reset_after(mut self, bytes: usize) -> Reply {
        self.ending = Ending::Reset(bytes);
        self
    }

    /// Closes the connection without an answer.
    pub(crate) fn hang_up() -> Reply {
        Reply { ending: Ending::HangUp, ..Reply::default() }
    }

    /// Sends nothing more after so many bytes of each body.
    pub(crate) fn stall_after(mut self, bytes: usize) -> Reply {
        self.ending = Ending::Stall(bytes);
        self
    }

    /// Sends the body again and again, as long as somebody reads; with [`Reply::until_close`] or
    /// [`Reply::chunked`].
    pub(crate) fn endless(mut self) -> Reply {
        self.ending = Ending::Endless;
        self
    }

    /// Sends the body byte by byte.
    pub(crate) fn trickle(mut self, pause: Duration) -> Reply {
        self.ending = Ending::Trickle(pause);
        self
    }

    /// Waits before it answers.
    pub(crate) fn after(mut self, pause: Duration) -> Reply {
        self.pause = pause;
        self
    }
}

/// Whether the connection can be used again.
type KeepAlive = bool;

/// What an answer is written to: a socket that can also be reset.
trait Wire: Write {
    fn socket(&self) -> &TcpStream;
}

impl Wire for &TcpStream {
    fn socket(&self) -> &TcpStream {
        self
    }
}

impl Wire for rustls::StreamOwned<rustls::ServerConnection, TcpStream> {
    fn socket(&self) -> &TcpStream {
        &self.sock
    }
}

impl Shared {
    fn connection(&self, stream: TcpStream) -> std::io::Result<()> {
        stream.set_nodelay(true)?;
        // Nobody waits for a connection that a test forgot.
        stream.set_read_timeout(Some(Duration::from_secs(60)))?;
        match &self.tls {
            None => {
                let mut reader = BufReader::new(&stream);
                while let Some(seen) = read_request(&mut reader)? {
                    if !self.serve(&seen, &mut &stream)? {
                        break;
                    }
                }
            }
            Some(config) => {
                let connection =
                    rustls::ServerConnection::new(config.clone()).map_err(std::io::Error::other)?;
                let mut reader = BufReader::new(rustls::StreamOwned::new(connection, stream));
                while let Some(seen) = read_request(&mut reader)? {
                    if !self.serve(&seen, reader.get_mut())? {
                        break;
                    }
                }
            }
        }
        Ok(())
    }

    fn serve(&self, seen: &Seen, wire: &mut dyn Wire) -> std::io::Result<KeepAlive> {
        self.requests.lock().unwrap().push(seen.clone());
        let now = self.under_way.fetch_add(1, Ordering::SeqCst) + 1;
        self.most_under_way.fetch_max(now, Ordering::SeqCst);
        let routes = self.routes.lock().unwrap();
        let route = routes.get(&seen.path).or_else(|| routes.get("*")).cloned();
        drop(routes);
        let mut reply = route.map_or_else(|| Reply::status(404), |route| Reply::clone(&route));
        while let Some(choose) = reply.choose.take() {
            reply = choose(seen);
        }
        let served = self.answer(seen, reply, wire);
        self.under_way.fetch_sub(1, Ordering::SeqCst);
        served
    }

    fn answer(&self, seen: &Seen, mut reply: Reply, wire: &mut dyn Wire) -> std::io::Result<KeepAlive> {
        self.wait(reply.pause);
        if matches!(reply.ending, Ending::HangUp) {
            return Ok(false);
        }
        if reply.authorization.as_deref().is_some_and(|wanted| seen.header("authorization") != Some(wanted)) {
            reply = Reply::status(401).header("WWW-Authenticate", "Bearer");
        }
        condition(seen, &mut reply);
        let mut head = format!("HTTP/1.1 {} Told\r\n", reply.status);
        for (name, value) in &reply.headers {
            head += &format!("{name}: {value}\r\n");
        }
        match reply.length {
            _ if reply.status == 304 => {}
            Length::Honest => head += &format!("Content-Length: {}\r\n", reply.body.len()),
            Length::Lie(length) => head += &format!("Content-Length: {length}\r\n"),
            Length::Chunked => head += "Transfer-Encoding: chunked\r\n",
            Length::Untold => head += "Connection: close\r\n",
        }
        wire.write_all(format!("{head}\r\n").as_bytes())?;
        if seen.method == "HEAD" {
            return Ok(true);
        }
        self.send_body(&reply, wire)
    }

    fn send_body(&self, reply: &Reply, wire: &mut dyn Wire) -> std::io::Result<KeepAlive> {
        let chunked = matches!(reply.length, Length::Chunked);
        let send = |wire: &mut dyn Wire, bytes: &[u8]| {
            if chunked && !bytes.is_empty() {
                write!(wire, "{:x}\r\n", bytes.len())?;
                wire.write_all(bytes)?;
                wire.write_all(b"\r\n")?;
            } else {
                wire.write_all(bytes)?;
            }
            wire.flush()
        };
        let upto = |bytes: usize| &reply.body[..bytes.min(reply.body.len())];
        match reply.ending {
            Ending::Proper => {
                send(wire, &reply.body)?;
                if chunked {
                    wire.write_all(b"0\r\n\r\n")?;
                }
                wire.flush()?;
                return Ok(matches!(reply.length, Length::Honest | Length::Chunked));
            }
            Ending::HangUp => {}
            Ending::Truncate(bytes) => send(wire, upto(bytes))?,
            Ending::Reset(bytes) => {
                send(wire, upto(bytes))?;
                // What was sent arrives before the reset does.
                thread::sleep(Duration::from_millis(5));
                let socket = tokio::net::TcpSocket::from_std_stream(wire.socket().try_clone()?);
                socket.set_zero_linger()?;
            }
            Ending::Stall(bytes) => {
                send(wire, upto(bytes))?;
                self.wait(Duration::from_secs(60));
            }
            Ending::Endless => loop {
                send(wire, &reply.body)?;
            },
            Ending::Trickle(pause) => {
                for byte in &reply.body {
                    send(wire, &[*byte])?;
                    self.wait(pause);
                }
            }
        }
        Ok(false)
    }

    /// Sleeps, but not past the end of the test.
    fn wait(&self, time: Duration) {
        let step = Duration::from_millis(5);
        let mut left = time;
        while !left.is_zero() && !self.stopped.load(Ordering::Relaxed) {
            thread::sleep(left.min(step));
            left = left.saturating_sub(step);
        }
    }
}

/// Makes 304, 206 or 416 of a reply where the request asks for that and the reply's way is to heed it.
fn condition(seen: &Seen, reply: &mut Reply) {
    let own =
        |name: &str| reply.headers.iter().find(|(known, _)| known == name).map(|(_, value)| value.clone());
    let etag = own("ETag");
    if reply.status != 200 {
        return;
    }
    if etag.is_some() && seen.header("if-none-match") == etag.as_deref() {
        reply.status = 304;
        reply.body.clear();
        return;
    }
    let start =
        seen.header("range").and_then(|range| range.strip_prefix("bytes=")?.strip_suffix('-')?.parse().ok());
    let Some(start): Option<usize> = start.filter(|_| reply.ranges) else { return };
    let still = seen
        .header("if-range")
        .is_none_or(|held| Some(held) == etag.as_deref() || Some(held) == own("Last-Modified").as_deref());
    let total = reply.body.len();
    if !still {
        return;
    }
    if start >= total {
        reply.status = 416;
        reply.body.clear();
        reply.headers.push(("Content-Range".to_owned(), format!("bytes */{total}")));
        return;
    }
    reply.status = 206;
    reply.body.drain(..start);
    reply.headers.push(("Content-Range".to_owned(), format!("bytes {start}-{}/{total}", total - 1)));
}

/// Reads a request; `None` when the client closed the connection.
fn read_request(reader: &mut impl BufRead) -> std::io::Result<Option<Seen>> {
    let mut line = String::new();
    if reader.read_line(&mut line)? == 0 {
        return Ok(None);
    }
    let mut words = line.split_whitespace().map(str::to_owned);
    let (Some(method), Some(target)) = (words.next(), words.next()) else { return Ok(None) };
    let mut headers = Vec::new();
    loop {
        let mut line = String::new();
        reader.read_line(&mut line)?;
        let Some((name, value)) = line.split_once(':') else { break };
        headers.push((name.to_ascii_lowercase(), value.trim().to_owned()));
    }
    let path = match url::Url::parse(&target) {
        Ok(url) if url.has_host() => url[url::Position::BeforePath..].to_owned(),
        _ => target.clone(),
    };
    let mut seen = Seen { method, target, path, headers, body: Vec::new() };
    let length = seen.header("content-length").and_then(|length| length.parse().ok()).unwrap_or(0);
    reader.take(length).read_to_end(&mut seen.body)?;
    Ok(Some(seen))
}
