//! What must hold when a collect or an import ends in the middle, whatever ended it.

use std::collections::BTreeMap;
use std::process::Command;
use std::sync::atomic::{AtomicU64, Ordering};

use bundle_format::{Ledger, LedgerEntry};

use super::fake_upstream::{FakeUpstream, Reply};
use super::npm_project::{self, Package, publish, write_project};
use super::sides::{Sides, bundles, copy_directory, home_like, import, sound};

/// How many runs go on at once.
const THREADS: u64 = 2;

/// Calls `run` for every number up to `last`, on all threads, as long as it returns true.
pub(crate) fn for_every(last: u64, run: impl Fn(u64) -> bool + Sync) {
    let next = AtomicU64::new(1);
    std::thread::scope(|scope| {
        for _ in 0..THREADS {
            scope.spawn(|| {
                while let Some(number) = Some(next.fetch_add(1, Ordering::Relaxed)).filter(|at| *at <= last)
                    && run(number)
                {}
            });
        }
    });
}

/// Whether the command that was handed over ended in the middle; `false` if it came to its end.
type Interrupt<'a> = &'a dyn Fn(Command) -> bool;

/// A small npm project that is collected again and again, each time from the start.
pub(crate) struct Collects {
    sides: Sides,
    packages: Vec<Package>,
    slowly: Option<std::time::Duration>,
    whole: Vec<String>,
    expected: Vec<LedgerEntry>,
    /// Bodies that were sent a second time.
    pub(crate) documents: AtomicU64,
    pub(crate) tarballs: AtomicU64,
    /// How many runs ended in the middle.
    pub(crate) interrupted: AtomicU64,
}

/// One home, one project, and an upstream to itself, so that its requests can be told.
struct Place {
    home: String,
    project: String,
    upstream: FakeUpstream,
}

impl Collects {
    /// With an upstream that waits before each answer, if it is to be slow.
    pub(crate) fn new(slowly: Option<std::time::Duration>) -> Collects {
        let (sides, packages) = (Sides::new(), npm_project::packages());
        write_project(&sides, &packages);
        sides.run("template", &["key", "show"]).done();
        let mut collects = Collects {
            sides,
            packages,
            slowly,
            whole: Vec::new(),
            expected: Vec::new(),
            documents: AtomicU64::default(),
            tarballs: AtomicU64::default(),
            interrupted: AtomicU64::default(),
        };
        let place = collects.place(0);
        assert!(collects.command(&place).output().unwrap().status.success());
        assert_eq!(bodies(&place.upstream).len(), 6, "three documents and three tarballs");
        collects.whole = sound(&collects.sides.path(&place.home));
        collects.expected = collects.ledger(&place);
        assert_eq!((collects.whole.len(), collects.expected.len()), (4, 1));
        collects
    }

    fn place(&self, number: u64) -> Place {
        let (home, project) = (format!("home-{number}"), format!("project-{number}"));
        home_like(&self.sides.path("template"), &self.sides.path(&home));
        copy_directory(&self.sides.path("project"), &self.sides.path(&project));
        let upstream = FakeUpstream::start();
        publish(&upstream, &self.packages);
        if let Some(pause) = self.slowly {
            for package in &self.packages {
                let tarball = Reply::ok(package.tarball.clone()).etag("\"t\"").ranges().after(pause);
                upstream.route(&package.tarball_path(), tarball);
            }
        }
        Place { home, project, upstream }
    }

    fn command(&self, place: &Place) -> Command {
        let mut command = self.sides.command(&place.home);
        npm_project::reach(&mut command, &place.upstream);
        command.current_dir(self.sides.path(&place.project)).args(["collect", "-q", "--out", "stick"]);
        command
    }

    fn ledger(&self, place: &Place) -> Vec<LedgerEntry> {
        let bytes = std::fs::read(self.sides.path(&place.project).join("aftk.ledger")).unwrap_or_default();
        let ledger = Ledger::parse(&bytes).unwrap_or_else(|error| panic!("{}: {error}", place.project));
        ledger.entries().to_vec()
    }

    fn made(&self, place: &Place) -> Vec<Vec<u8>> {
        let files = bundles(&self.sides.path(&place.project).join("stick"));
        files.iter().map(|file| std::fs::read(file).unwrap()).collect()
    }

    /// Interrupts a collect, looks at what is there, and lets the next one come to its end. Says whether it ended in
    /// the middle.
    pub(crate) fn interrupt(&self, number: u64, interrupt: Interrupt<'_>) -> bool {
        let place = self.place(number);
        let context = format!("collect {number}");
        let ended = interrupt(self.command(&place));
        let home = self.sides.path(&place.home);
        let shown = sound(&home);
        assert!(shown.is_empty() || shown == self.whole, "{context}: half-visible: {shown:?}");
        let (reserved, left) = (self.ledger(&place), self.made(&place));
        let locked = self.sides.path(&place.project).join("aftk.lock").exists();

        let again = self.command(&place).output().unwrap();
        assert!(again.status.success(), "{context}: {}", String::from_utf8_lossy(&again.stderr));
        assert_eq!(sound(&home), self.whole, "{context}");
        let now = self.ledger(&place);
        assert_eq!(now.len(), 1, "{context}");
        assert_eq!(now[0].content, self.expected[0].content, "{context}: other content");
        assert!(reserved.is_empty() || reserved == now, "{context}: a reserved sequence was given away");
        let made = self.made(&place);
        assert_eq!(made.len(), 1, "{context}");
        assert!(left.is_empty() || left == made, "{context}: the bundle has other bytes now");
        for (path, times) in bodies(&place.upstream) {
            let is_tarball = path.ends_with(".tgz");
            // What was under way, or among the few that are made durable together, may come once more; nothing else.
            let done_with = if is_tarball { !reserved.is_empty() } else { locked };
            assert!(times <= if done_with { 1 } else { 2 }, "{context}: {path} was fetched {times} times");
            let kind = if is_tarball { &self.tarballs } else { &self.documents };
            kind.fetch_add(times - 1, Ordering::Relaxed);
        }
        for directory in [&place.home, &place.project] {
            std::fs::remove_dir_all(self.sides.path(directory)).unwrap();
        }
        self.interrupted.fetch_add(u64::from(ended), Ordering::Relaxed);
        ended
    }
}

/// How often each body was sent, whole: what goes on in the middle, or only confirms, is not counted.
fn bodies(upstream: &FakeUpstream) -> BTreeMap<String, u64> {
    let mut bodies = BTreeMap::new();
    for seen in upstream.requests() {
        // What the registry says of itself, and has no body here, is no package's.
        let is_of_package = !seen.path.starts_with("/-/");
        if is_of_package
            && seen.method == "GET"
            && seen.header("range").is_none()
            && seen.header("if-none-match").is_none()
        {
            *bodies.entry(seen.path).or_default() += 1;
        }
    }
    bodies
}

/// A bundle that is imported again and again, each time into an empty store.
pub(crate) struct Imports {
    sides: Sides,
    whole: Vec<String>,
    /// How many runs ended in the middle.
    pub(crate) interrupted: AtomicU64,
}

impl Imports {
    pub(crate) fn new() -> Imports {
        let (sides, upstream, packages) = (Sides::new(), FakeUpstream::start(), npm_project::packages());
        publish(&upstream, &packages);
        write_project(&sides, &packages);
        let mut command = sides.command("out");
        npm_project::reach(&mut command, &upstream);
        assert!(command.args(["collect", "-q", "--out", "../stick"]).output().unwrap().status.success());
        sides.trust();
        home_like(&sides.path("in"), &sides.path("reference"));
        import(&sides.path("reference"), &sides.medium()).unwrap();
        let whole = sound(&sides.path("reference"));
        assert_eq!(whole.len(), 4);
        Imports { sides, whole, interrupted: AtomicU64::default() }
    }

    /// Interrupts an import, looks at what is there, and lets the next one come to its end. Says whether it ended in
    /// the middle.
    pub(crate) fn interrupt(&self, number: u64, interrupt: Interrupt<'_>) -> bool {
        let (name, context) = (format!("home-{number}"), format!("import {number}"));
        let home = self.sides.path(&name);
        home_like(&self.sides.path("in"), &home);
        let mut command = self.sides.command(&name);
        command.args(["import", "-q"]).arg(self.sides.path("stick"));
        let ended = interrupt(command);
        let shown = sound(&home);
        assert!(shown.is_empty() || shown == self.whole, "{context}: half-visible: {shown:?}");
        import(&home, &self.sides.medium()).unwrap_or_else(|problem| panic!("{context}: {problem:?}"));
        assert_eq!(sound(&home), self.whole, "{context}");
        std::fs::remove_dir_all(&home).unwrap();
        self.interrupted.fetch_add(u64::from(ended), Ordering::Relaxed);
        ended
    }
}
