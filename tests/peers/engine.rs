//! Engines of containers in a site, and a registry that is not ours.

use std::fs;
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use super::command::{Outcome, bounded, run};
use super::inside::Inside;

/// Starts a registry that nobody stops before the tests end; its name.
pub(crate) fn registry(directory: &Path) -> String {
    let address = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().to_string();
    let configuration = directory.join("registry.yml");
    let storage = directory.join("registry");
    let text = format!(
        "version: 0.1\nlog: {{level: error}}\nstorage: {{filesystem: {{rootdirectory: {}}}}}\nhttp: {{addr: '{address}'}}\n",
        storage.display()
    );
    fs::write(&configuration, text).unwrap();
    let mut command = Command::new("setpriv");
    command.args(["--pdeathsig", "KILL", "docker-registry", "serve"]).arg(&configuration);
    // Ended with the thread that started it, so that thread must live as long as the tests.
    let (told, started) = std::sync::mpsc::channel();
    thread::spawn(move || {
        let mut child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        told.send(()).unwrap();
        child.wait()
    });
    started.recv().unwrap();
    wait_for(|| TcpStream::connect(&address).is_ok(), "the registry");
    address
}

/// A program that sees the network of a site, and else this machine: `ip netns exec` hides what engines need of /sys.
pub(crate) fn in_network_of(inside: &Inside, program: &str) -> Command {
    let [.., name] = inside.enter();
    let mut command = Command::new("nsenter");
    command.arg(format!("--net=/run/netns/{name}")).arg(program).env("HOME", inside.user());
    command
}

pub(crate) fn wait_for(is_there: impl Fn() -> bool, what: &str) {
    let waited = Instant::now();
    while !is_there() {
        assert!(waited.elapsed() < Duration::from_secs(60), "{what} is not ready");
        thread::sleep(Duration::from_millis(50));
    }
}

/// A daemon that ends when it is dropped.
pub(crate) struct Daemon(Child);

impl Daemon {
    /// Starts it, and waits for its socket.
    pub(crate) fn start(command: &mut Command, socket: &Path) -> Daemon {
        let log = fs::File::create(socket.with_extension("log")).unwrap();
        let child = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(log).spawn().unwrap();
        let daemon = Daemon(child);
        let answers = || std::os::unix::net::UnixStream::connect(socket).is_ok();
        wait_for(answers, &format!("{command:?}"));
        daemon
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        // It has mounts and children to clear away, so it is asked first.
        let _ = Command::new("kill").arg(self.0.id().to_string()).status();
        for _ in 0..100 {
            if let Ok(Some(_)) = self.0.try_wait() {
                return;
            }
            thread::sleep(Duration::from_millis(50));
        }
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// A docker engine in a site.
pub(crate) struct Engine {
    socket: PathBuf,
    /// Where its client keeps accounts.
    user: PathBuf,
    _daemon: Daemon,
}

impl Engine {
    pub(crate) fn start(inside: &Inside) -> Engine {
        let socket = inside.path("docker.sock");
        let mut daemon = in_network_of(inside, "dockerd");
        daemon.args(["--bridge=none", "--iptables=false", "--storage-driver=vfs", "--data-root"]);
        daemon.arg(inside.path("docker")).arg("--exec-root").arg(inside.path("docker-run"));
        daemon.arg("--pidfile").arg(inside.path("docker.pid"));
        daemon.arg("--host").arg(format!("unix://{}", socket.display()));
        let daemon = Daemon::start(&mut daemon, &socket);
        Engine { socket, user: inside.user(), _daemon: daemon }
    }

    pub(crate) fn docker(&self, words: &[&str]) -> Outcome {
        run(&mut self.client(words))
    }

    pub(crate) fn client(&self, words: &[&str]) -> Command {
        let mut command = bounded(&[], "docker");
        command.env("HOME", &self.user).arg("--host").arg(format!("unix://{}", self.socket.display()));
        command.args(words);
        command
    }
}
