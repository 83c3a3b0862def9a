//! A forward proxy for https: it takes CONNECT (RFC 9110, section 9.3.6) and leads every tunnel to one upstream,
//! whatever host was named.

use std::io::{BufRead, BufReader, Write, copy};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use super::fake_upstream::FakeUpstream;

/// What a client has to show: `me` and `sesame`.
const AUTHORIZATION: &str = "Proxy-Authorization: Basic bWU6c2VzYW1l";

/// A proxy on a free port of 127.0.0.1. Its threads end with the test.
pub(crate) struct ConnectProxy {
    address: SocketAddr,
    targets: Arc<Mutex<Vec<String>>>,
}

impl ConnectProxy {
    /// Starts one that leads to `upstream`.
    pub(crate) fn start(upstream: &FakeUpstream) -> ConnectProxy {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let to = SocketAddr::from(([127, 0, 0, 1], upstream.at("/").port().unwrap()));
        let targets = Arc::<Mutex<Vec<String>>>::default();
        let seen = targets.clone();
        thread::spawn(move || {
            for client in listener.incoming().flatten() {
                let seen = seen.clone();
                thread::spawn(move || drop(tunnel(client, to, &seen)));
            }
        });
        ConnectProxy { address, targets }
    }

    /// Its address, with the user and the password that it wants.
    pub(crate) fn url(&self) -> String {
        format!("http://me:sesame@{}", self.address)
    }

    /// Its address without them.
    pub(crate) fn bare_url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// The hosts and ports that tunnels were opened to so far.
    pub(crate) fn targets(&self) -> Vec<String> {
        self.targets.lock().unwrap().clone()
    }
}

fn tunnel(mut client: TcpStream, to: SocketAddr, seen: &Mutex<Vec<String>>) -> std::io::Result<()> {
    client.set_read_timeout(Some(Duration::from_secs(60)))?;
    // The client says nothing more before it is answered, so nothing is lost in the buffer.
    let mut head = BufReader::new(&client).lines();
    let request = head.next().transpose()?.unwrap_or_default();
    let mut is_let_in = false;
    for line in head {
        let line = line?;
        if line.is_empty() {
            break;
        }
        is_let_in |= line.eq_ignore_ascii_case(AUTHORIZATION);
    }
    if !is_let_in {
        return client.write_all(b"HTTP/1.1 407 Proxy Authentication Required\r\nContent-Length: 0\r\n\r\n");
    }
    let Some(target) = request.strip_prefix("CONNECT ").and_then(|rest| rest.strip_suffix(" HTTP/1.1"))
    else {
        return client.write_all(b"HTTP/1.1 405 Method Not Allowed\r\nContent-Length: 0\r\n\r\n");
    };
    seen.lock().unwrap().push(target.to_owned());
    let mut server = TcpStream::connect(to)?;
    client.write_all(b"HTTP/1.1 200 Connection Established\r\n\r\n")?;
    let (mut from, mut to) = (client.try_clone()?, server.try_clone()?);
    thread::spawn(move || copy(&mut from, &mut to).and_then(|_| to.shutdown(Shutdown::Write)));
    copy(&mut server, &mut client)?;
    client.shutdown(Shutdown::Both)
}
