//! A server that keeps files as they are put, as Nexus' raw repositories do.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

/// The server; it ends with the process.
pub(crate) struct RawRepository {
    address: SocketAddr,
    kept: Arc<Mutex<Kept>>,
}

#[derive(Default)]
struct Kept {
    files: BTreeMap<String, Vec<u8>>,
    /// The paths that were put, in order.
    order: Vec<String>,
    /// What is refused: paths that contain this.
    refused: Option<String>,
}

impl RawRepository {
    pub(crate) fn start() -> RawRepository {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let (address, kept) = (listener.local_addr().unwrap(), Arc::<Mutex<Kept>>::default());
        let shared = kept.clone();
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let kept = shared.clone();
                std::thread::spawn(move || while_asked(&stream.unwrap(), &kept));
            }
        });
        RawRepository { address, kept }
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// What was put, path by path, since the last time.
    pub(crate) fn puts(&self) -> Vec<String> {
        std::mem::take(&mut self.kept.lock().unwrap().order)
    }

    pub(crate) fn file(&self, path: &str) -> Option<Vec<u8>> {
        self.kept.lock().unwrap().files.get(path).cloned()
    }

    /// Puts a file there.
    pub(crate) fn keep(&self, path: &str, bytes: &[u8]) {
        self.kept.lock().unwrap().files.insert(path.to_owned(), bytes.to_vec());
    }

    pub(crate) fn refuse(&self, part: Option<&str>) {
        self.kept.lock().unwrap().refused = part.map(str::to_owned);
    }
}

fn while_asked(stream: &TcpStream, kept: &Mutex<Kept>) {
    let mut reader = BufReader::new(stream);
    while let Some((method, path, body)) = request(&mut reader) {
        let mut kept = kept.lock().unwrap();
        let is_refused = kept.refused.as_ref().is_some_and(|part| path.contains(part));
        let (status, length) = match (method.as_str(), kept.files.get(&path)) {
            ("PUT", _) if is_refused => (403, 0),
            ("PUT", _) => {
                kept.files.insert(path.clone(), body);
                kept.order.push(path);
                (201, 0)
            }
            (_, Some(bytes)) => (200, bytes.len()),
            _ => (404, 0),
        };
        drop(kept);
        let head = format!("HTTP/1.1 {status} x\r\nContent-Length: {length}\r\n\r\n");
        let mut stream = stream;
        if stream.write_all(head.as_bytes()).is_err() {
            return;
        }
    }
}

fn request(reader: &mut impl BufRead) -> Option<(String, String, Vec<u8>)> {
    let mut line = String::new();
    let mut next = |reader: &mut dyn BufRead| -> Option<String> {
        line.clear();
        (reader.read_line(&mut line).ok()? > 0).then(|| line.trim_end().to_owned())
    };
    let first = next(reader)?;
    let (mut length, mut is_chunked) = (0, false);
    loop {
        let header = next(reader)?.to_ascii_lowercase();
        if header.is_empty() {
            break;
        }
        if let Some(value) = header.strip_prefix("content-length:") {
            length = value.trim().parse().unwrap();
        }
        is_chunked |= header == "transfer-encoding: chunked";
    }
    let mut body = Vec::new();
    if is_chunked {
        loop {
            let size = usize::from_str_radix(&next(reader)?, 16).unwrap();
            reader.take(size as u64).read_to_end(&mut body).unwrap();
            next(reader)?;
            if size == 0 {
                break;
            }
        }
    } else {
        reader.take(length).read_to_end(&mut body).unwrap();
    }
    let mut words = first.split(' ');
    Some((words.next()?.to_owned(), words.next()?.to_owned(), body))
}
