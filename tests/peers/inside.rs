//! Inside: a network namespace in which only loopback is up, with a home, a user and a server of its own.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};
use std::{fs, thread};

use super::command::{AFTK, bounded, run};
use super::outside;

/// Where the server listens: every namespace has a loopback of its own.
pub(crate) const SERVER: &str = "http://127.0.0.1:2385";

/// One site behind the gap.
pub(crate) struct Inside {
    namespace: Namespace,
    directory: tempfile::TempDir,
}

impl Inside {
    /// A new site, which trusts the outside's key and whose user's npm is set up for the server.
    pub(crate) fn new() -> Inside {
        let directory = tempfile::tempdir_in(outside::directory()).unwrap();
        let inside = Inside { namespace: Namespace::new(), directory };
        run(inside.aftk().args(["key", "trust"]).arg(outside::key())).succeeded();
        inside.new_user(|home| {
            let setup = run(inside.aftk().args(["setup", "npm", "--server", SERVER])).succeeded();
            fs::write(home.join(".npmrc"), setup.stdout).unwrap();
        });
        inside
    }

    /// Replaces the user by one who has never installed anything.
    pub(crate) fn new_user(&self, set_up: impl FnOnce(&Path)) {
        let home = self.user();
        if home.exists() {
            fs::remove_dir_all(&home).unwrap();
        }
        fs::create_dir(&home).unwrap();
        set_up(&home);
    }

    /// The user's directory.
    pub(crate) fn user(&self) -> PathBuf {
        self.directory.path().join("user")
    }

    /// Lets the names of these hosts, and no others, lead to this machine.
    pub(crate) fn leads_here(&self, hosts: &[&str]) {
        let lines: String = hosts.iter().map(|host| format!("127.0.0.1 {host}\n")).collect();
        let directory = self.namespace.configuration();
        fs::create_dir_all(&directory).unwrap();
        fs::write(directory.join("hosts"), format!("127.0.0.1 localhost\n{lines}")).unwrap();
    }

    /// This side's home.
    pub(crate) fn home(&self) -> PathBuf {
        self.directory.path().join("inside")
    }

    /// A place for files.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    /// A program in the namespace, with nothing of this machine's configuration.
    pub(crate) fn program(&self, program: &str) -> Command {
        self.clean(bounded(&self.namespace.enter(), program))
    }

    fn clean(&self, mut command: Command) -> Command {
        command.env_clear().env("PATH", outside::search_path(None)).env("HOME", self.user());
        command.env("npm_config_globalconfig", self.path("no-such-npmrc"));
        // Else yarn of root has one for the whole machine, and asks nobody.
        command.env("YARN_CACHE_FOLDER", self.user().join("yarn"));
        command.current_dir(self.directory.path());
        command
    }

    /// The words that run a program here.
    pub(crate) fn enter(&self) -> [&str; 4] {
        self.namespace.enter()
    }

    /// aftk on this side.
    pub(crate) fn aftk(&self) -> Command {
        let mut command = self.program(AFTK);
        command.env("AFTK_HOME", self.home());
        command
    }

    /// The same without a limit in time, so that its process id is its own: for what is killed.
    pub(crate) fn aftk_alone(&self) -> Command {
        let [ip, words @ ..] = self.namespace.enter();
        let mut command = Command::new(ip);
        command.args(words).arg(AFTK).stdin(Stdio::null());
        let mut command = self.clean(command);
        command.env("AFTK_HOME", self.home());
        command
    }

    /// Imports what a stick holds.
    pub(crate) fn import(&self, stick: &Path) {
        run(self.aftk().arg("import").arg(stick)).succeeded();
    }

    /// Serves until it is dropped.
    pub(crate) fn serve(&self) -> Server {
        self.serve_with(&[])
    }

    /// The same with arguments.
    pub(crate) fn serve_with(&self, arguments: &[&str]) -> Server {
        let log = self.path("access.log");
        let errors = fs::File::create(&log).unwrap();
        let mut serve = self.aftk_alone();
        serve.arg("serve").args(arguments).stdout(Stdio::null()).stderr(errors);
        let process = serve.spawn().unwrap();
        let server = Server { process, log };
        let waited = Instant::now();
        while !server.log().contains("serving on") {
            assert!(waited.elapsed() < Duration::from_secs(60), "the server is not ready: {}", server.log());
            thread::sleep(Duration::from_millis(20));
        }
        server
    }

    /// Writes what the server gives to clients under a path.
    pub(crate) fn fetch(&self, path: &str, to: &Path) {
        run(self.program("curl").args(["-sSf", "-o"]).arg(to).arg(format!("{SERVER}/{path}"))).succeeded();
    }

    /// A fresh copy of a project, in which a command can run.
    pub(crate) fn project(&self, of: &Path) -> PathBuf {
        let project = self.path("project");
        if project.exists() {
            fs::remove_dir_all(&project).unwrap();
        }
        fs::create_dir(&project).unwrap();
        outside::copy_project(of, &project);
        project
    }
}

/// A running server.
pub(crate) struct Server {
    process: Child,
    log: PathBuf,
}

impl Server {
    /// What it has said so far: one line a request.
    pub(crate) fn log(&self) -> String {
        fs::read_to_string(&self.log).unwrap()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// A network namespace; it goes away with this.
struct Namespace {
    name: String,
}

impl Namespace {
    fn new() -> Namespace {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let name = format!("aftk-{}-{}", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed));
        run(Command::new("ip").args(["netns", "add", &name])).succeeded();
        let namespace = Namespace { name };
        run(bounded(&namespace.enter(), "ip").args(["link", "set", "lo", "up"])).succeeded();
        // The gap is real: no way leads anywhere but to this machine itself.
        let links =
            run(bounded(&namespace.enter(), "ip").args(["-o", "link", "show", "up"])).succeeded().stdout;
        assert!(links.lines().all(|link| link.contains(": lo: ")), "{links}");
        assert_eq!(run(bounded(&namespace.enter(), "ip").args(["route", "show"])).succeeded().stdout, "");
        namespace
    }

    /// What is laid over `/etc` for programs in it.
    fn configuration(&self) -> PathBuf {
        Path::new("/etc/netns").join(&self.name)
    }

    fn enter(&self) -> [&str; 4] {
        ["ip", "netns", "exec", &self.name]
    }
}

impl Drop for Namespace {
    fn drop(&mut self) {
        let _ = Command::new("ip").args(["netns", "del", &self.name]).status();
        let _ = fs::remove_dir_all(self.configuration());
    }
}
