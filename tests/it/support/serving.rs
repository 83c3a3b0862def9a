//! The program as a server.

use std::io::{BufRead, BufReader};
use std::process::{Child, Stdio};

use super::sides::Sides;

/// A server as a child, ended when it is dropped.
pub(crate) struct Serving {
    child: Child,
    pub(crate) address: std::net::SocketAddr,
}

impl Serving {
    /// Serves the inside, once it is ready.
    pub(crate) fn start(sides: &Sides) -> Serving {
        let mut command = sides.command("in");
        command.args(["serve", "--listen", "127.0.0.1:0"]).stderr(Stdio::piped()).stdout(Stdio::null());
        let mut child = command.spawn().unwrap();
        let mut line = String::new();
        let mut stderr = BufReader::new(child.stderr.take().unwrap());
        // It may have something to say before.
        while !line.starts_with("serving on") {
            line.clear();
            assert!(stderr.read_line(&mut line).unwrap() > 0, "it ended before it served");
        }
        let address = line.trim().trim_start_matches("serving on http://").trim_end_matches('/').parse();
        let address = address.unwrap_or_else(|_| panic!("{line:?}"));
        // Somebody has to read what it says.
        std::thread::spawn(move || std::io::copy(&mut stderr, &mut std::io::sink()));
        Serving { child, address }
    }
}

impl Drop for Serving {
    fn drop(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}
