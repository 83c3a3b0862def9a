//! A client that sends exactly what it is told, and reads what comes.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

/// A response as it came.
#[derive(Debug, Clone)]
pub(crate) struct Response {
    pub(crate) status: u16,
    /// What stands behind the status.
    pub(crate) reason: String,
    /// Names in lower case, in order.
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
}

impl Response {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }
}

/// A connection.
pub(crate) struct Client(pub(crate) TcpStream);

impl Client {
    pub(crate) fn connect(address: SocketAddr) -> Client {
        Client::over(TcpStream::connect(address).unwrap())
    }

    /// Over a connection that is there.
    pub(crate) fn over(stream: TcpStream) -> Client {
        stream.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
        stream.set_write_timeout(Some(Duration::from_secs(10))).unwrap();
        stream.set_nodelay(true).unwrap();
        Client(stream)
    }

    pub(crate) fn send(&mut self, bytes: impl AsRef<[u8]>) {
        self.0.write_all(bytes.as_ref()).unwrap();
    }

    /// A request without a body; `headers` are lines without their ends.
    pub(crate) fn ask(&mut self, method: &str, path: &str, headers: &[&str]) -> Response {
        let lines: String = headers.iter().map(|line| format!("{line}\r\n")).collect();
        let host = if headers.iter().any(|line| line.to_lowercase().starts_with("host:")) {
            ""
        } else {
            "Host: aftk.test:2385\r\n"
        };
        self.send(format!("{method} {path} HTTP/1.1\r\n{host}{lines}\r\n"));
        self.response(method == "HEAD").unwrap_or_else(|| panic!("no response to {method} {path}"))
    }

    /// The next response; `None` if the connection ends before it is whole.
    pub(crate) fn response(&mut self, bodiless: bool) -> Option<Response> {
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            let mut byte = [0];
            match self.0.read(&mut byte) {
                Ok(1) => head.push(byte[0]),
                _ => return None,
            }
        }
        let head = String::from_utf8(head).unwrap();
        let mut lines = head.split("\r\n");
        let (status, reason) = lines.next().unwrap().split_once(' ').unwrap().1.split_once(' ').unwrap();
        let (status, reason) = (status.parse().unwrap(), reason.to_owned());
        let headers: Vec<(String, String)> = lines
            .filter_map(|line| line.split_once(": "))
            .map(|(name, value)| (name.to_ascii_lowercase(), value.to_owned()))
            .collect();
        let mut response = Response { status, reason, headers, body: Vec::new() };
        if status == 100 {
            return Some(response);
        }
        let bodiless = bodiless || status == 304;
        let length = response.header("content-length").map_or(0, |length| length.parse().unwrap());
        if !bodiless {
            response.body = vec![0; length];
            self.0.read_exact(&mut response.body).ok()?;
        }
        Some(response)
    }

    /// Whether the server ends the connection, whatever it still sends.
    pub(crate) fn ends(&mut self) -> bool {
        let mut buffer = vec![0; 1 << 16];
        loop {
            match self.0.read(&mut buffer) {
                Ok(0) => return true,
                Ok(_) => {}
                Err(error) => return error.kind() == std::io::ErrorKind::ConnectionReset,
            }
        }
    }
}
