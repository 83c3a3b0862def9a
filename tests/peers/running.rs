//! Servers of other makes, inside.

use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use super::command::run;
use super::inside::Inside;

/// A server that is ended when it is dropped.
pub(crate) struct Running(Child);

impl Running {
    /// Starts it in the namespace, and waits until something is answered there.
    pub(crate) fn start(inside: &Inside, program: &Path, arguments: &[&str], address: &str) -> Running {
        let [ip, words @ ..] = inside.enter();
        let mut command = Command::new(ip);
        command.args(words).arg(program).args(arguments).env("HOME", inside.user());
        let running = Running(
            command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap(),
        );
        let begun = Instant::now();
        while run(inside.program("curl").args(["-sS", "-o", "/dev/null", address])).code != Some(0) {
            assert!(begun.elapsed() < Duration::from_secs(60), "{program:?} is not ready");
            std::thread::sleep(Duration::from_millis(100));
        }
        running
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}
