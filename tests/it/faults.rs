//! Every write of a small collect and of its import fails, or is the last thing the process does. Whatever happens,
//! the store stays sound, nothing is half-visible, and the next run gets to the same end without fetching again what
//! it had.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use aftk::cancel::Cancel;
use aftk::events::Silent;
use aftk::fsx::faults::{Fault, Kind, Watch};
use aftk::net::{Client, Settings};
use aftk::ops::collect::{self, CollectRequest};
use aftk::ops::context::Outside;
use aftk::ops::lock::{self, LockRequest, Order, Place};
use aftk::problem::Problem;
use aftk::store::Store;
use aftk::trust::{COLLECT_KEY, Trust};
use bundle_format::{BlobKey, Ledger, Mode};

use crate::support::fake_upstream::{FakeUpstream, Reply};
use crate::support::npm_project::{self, packages, publish, write_project};
use crate::support::sides::{Sides, bundles, copy_directory, home_like, import, scratch, sound};

/// How the N-th write fails within a process.
const KINDS: [Kind; 4] = [Kind::Enospc, Kind::Eio, Kind::ShortWrite, Kind::Halt];
/// How many of these tests' runs go on at once.
const THREADS: u64 = 2;

/// Calls `run` for every number up to `last`, on all threads.
fn for_every(last: u64, run: impl Fn(u64) + Sync) {
    let next = AtomicU64::new(1);
    std::thread::scope(|scope| {
        for _ in 0..THREADS {
            scope.spawn(|| {
                while let Some(at) = Some(next.fetch_add(1, Ordering::Relaxed)).filter(|at| *at <= last) {
                    run(at);
                }
            });
        }
    });
}

/// How often something was fetched; asking for a size is not.
fn gets(upstream: &FakeUpstream) -> usize {
    upstream.requests().iter().filter(|seen| seen.method == "GET").count()
}

/// How often each body was sent, whole: what goes on in the middle, or only confirms, is not counted.
fn bodies(upstream: &FakeUpstream) -> BTreeMap<String, u64> {
    let mut bodies = BTreeMap::new();
    for seen in upstream.requests() {
        if seen.method == "GET" && seen.header("range").is_none() && seen.header("if-none-match").is_none() {
            *bodies.entry(seen.path).or_default() += 1;
        }
    }
    bodies
}

/// Three files at an upstream and one of this machine.
struct Small {
    directory: tempfile::TempDir,
    upstream: FakeUpstream,
    requests: Vec<String>,
}

impl Small {
    fn new() -> Small {
        let (directory, upstream) = (scratch(), FakeUpstream::start());
        let mut requests = vec!["file:./local.txt".to_owned()];
        std::fs::write(directory.path().join("local.txt"), "of this machine").unwrap();
        for (number, size) in [10_000, 70_000, 300].into_iter().enumerate() {
            let bytes = vec![b'a' + number as u8; size];
            let key = BlobKey::of(&bytes).hex();
            upstream.route(&format!("/{number}.bin"), Reply::ok(bytes).etag("\"1\"").ranges());
            requests.push(format!("file:{}/{number}.bin#sha256={key}", upstream.url()));
        }
        Small { directory, upstream, requests }
    }

    /// Makes the home that all runs begin with: a key, and a lock, so that all runs make the same snapshot.
    fn template(&self) -> PathBuf {
        let home = self.directory.path().join("template");
        Trust::open(&home).unwrap().ensure_collect_key().unwrap();
        let throwaway = self.directory.path().join("locking");
        home_like(&home, &throwaway);
        self.work(&throwaway, async |order, outside| {
            lock::lock(&LockRequest { order, dry_run: false }, &outside).await
        })
        .unwrap();
        copy_directory(&throwaway.join("channels"), &home.join("channels"));
        home
    }

    fn work<T>(
        &self,
        home: &Path,
        work: impl AsyncFnOnce(Order, Arc<Outside>) -> Result<T, Problem>,
    ) -> Result<T, Problem> {
        let store = Store::open(home)?;
        let client = Arc::new(Client::new(Settings::default())?);
        let directory = self.directory.path();
        let outside = Arc::new(Outside::new(&store, client, Arc::new(Silent), Cancel::default(), directory)?);
        let order = Order {
            channel: "prod".to_owned(),
            mode: Mode::Add,
            requests: self.requests.clone(),
            platforms: Vec::new(),
            gaps: Vec::new(),
            place: Place::Channel(collect::channel_directory(home, "prod")),
        };
        let runtime =
            tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        runtime.block_on(work(order, outside))
    }

    /// Collects into the directory `stick` beside the home's content; the bundle's bytes.
    fn collect(&self, home: &Path) -> Result<Vec<u8>, Problem> {
        let out = home.join("stick");
        let signer = Arc::new(Trust::open(home)?.signer(COLLECT_KEY, None)?);
        let report = self.work(home, async |order, outside| {
            let request =
                CollectRequest { order, out, locked: false, dry_run: false, read_back: true, jobs: 4 };
            collect::collect(&request, &outside, signer).await
        })?;
        Ok(std::fs::read(&report.bundle.unwrap().files[0]).unwrap())
    }

    fn downloads(&self) -> usize {
        gets(&self.upstream)
    }
}

/// The ledger of a home, which must be whole.
fn ledger(home: &Path) -> Ledger {
    let path = collect::channel_directory(home, "prod").join("aftk.ledger");
    Ledger::parse(&std::fs::read(path).unwrap_or_default()).unwrap()
}

/// After a collect that failed: a sound store that shows all or nothing, a whole ledger, and a bundle only if it is
/// whole.
fn nothing_half_done(home: &Path, whole: &[String], bundle: &[u8], context: &str) {
    let shown = sound(home);
    assert!(shown.is_empty() || shown == whole, "{context}: half-visible: {shown:?}");
    assert!(ledger(home).entries().len() <= 1, "{context}");
    for file in bundles(&home.join("stick")) {
        let left = std::fs::read(&file).unwrap();
        assert!(left == bundle, "{context}: a bundle that is not whole");
    }
}

/// By how many writes one run may differ from another: bodies come from a socket.
const PIECES: u64 = 8;

#[test]
fn every_failing_write_of_a_collect_loses_nothing() {
    let small = Small::new();
    let template = small.template();
    let reference = small.directory.path().join("reference");
    home_like(&template, &reference);
    let watch = Watch::new(&reference);
    let before = small.downloads();
    let bundle = small.collect(&reference).unwrap();
    let (last, files) = (watch.count(), small.downloads() - before);
    drop(watch);
    assert_eq!(files, 3);
    let whole = sound(&reference);
    let lines = ledger(&reference);

    let (failed, spent) = (AtomicU64::new(0), AtomicU64::new(0));
    let before = small.downloads();
    for_every(last * KINDS.len() as u64, |number| {
        let (at, kind) = (1 + (number - 1) / 4, KINDS[(number as usize - 1) % 4]);
        let context = format!("{kind:?} at {at} of {last}");
        let home = small.directory.path().join(format!("home-{number}"));
        home_like(&template, &home);
        let watch = Watch::new(&home);
        watch.plan(Fault { at, kind });
        let result = small.collect(&home);
        let reached = watch.forget();
        drop(watch);
        // Where clearing away fails, nothing depends on it.
        if let Err(problem) = &result {
            failed.fetch_add(1, Ordering::Relaxed);
            assert!(!problem.message.is_empty(), "{context}");
        }
        // A body may come in fewer pieces than the first time, and then it takes fewer writes.
        assert!(reached || at + PIECES > last, "{context}: not reached");
        nothing_half_done(&home, &whole, &bundle, &context);
        let again = small.collect(&home).unwrap_or_else(|problem| panic!("{context}: {problem:?}"));
        assert!(again == bundle, "{context}: the next run makes another bundle");
        assert_eq!(sound(&home), whole, "{context}");
        assert_eq!(ledger(&home), lines, "{context}");
        std::fs::remove_dir_all(&home).unwrap();
        spent.fetch_add(1, Ordering::Relaxed);
    });
    let downloads = (small.downloads() - before) as u64;
    let (failed, spent) = (failed.into_inner(), spent.into_inner());
    println!(
        "collect: {last} writes, {spent} faults, {failed} runs failed, {downloads} requests, 0 unsound stores"
    );
    assert_eq!(spent, last * 4);
    assert!(failed * 5 >= spent * 4, "most faults must be noticed: {failed} of {spent}");
    // A failure costs at most the group of files that was on its way into the store.
    assert!(downloads <= spent * 2 * 3);
}

#[test]
fn every_failing_write_of_an_import_loses_nothing() {
    let small = Small::new();
    let outside = small.template();
    let bundle = small.collect(&outside).unwrap();
    let stick = [outside.join("stick/prod-000001-01of01.aftk.tar")];
    assert!(std::fs::read(&stick[0]).unwrap() == bundle);
    let template = small.directory.path().join("inside");
    let pem = Trust::open(&outside).unwrap().public_key(COLLECT_KEY).unwrap().to_pem().unwrap();
    Trust::open(&template).unwrap().trust(pem.as_bytes(), None, &[]).unwrap();

    let reference = small.directory.path().join("reference");
    home_like(&template, &reference);
    let watch = Watch::new(&reference);
    import(&reference, &stick).unwrap();
    let last = watch.count();
    drop(watch);
    let whole = sound(&reference);
    assert_eq!(whole.len(), 4);

    let failed = AtomicU64::new(0);
    for_every(last * KINDS.len() as u64, |number| {
        let (at, kind) = (1 + (number - 1) / 4, KINDS[(number as usize - 1) % 4]);
        let context = format!("{kind:?} at {at} of {last}");
        let home = small.directory.path().join(format!("home-{number}"));
        home_like(&template, &home);
        let watch = Watch::new(&home);
        watch.plan(Fault { at, kind });
        failed.fetch_add(u64::from(import(&home, &stick).is_err()), Ordering::Relaxed);
        assert!(watch.forget(), "{context}: not reached");
        drop(watch);
        let shown = sound(&home);
        assert!(shown.is_empty() || shown == whole, "{context}: half-visible: {shown:?}");
        import(&home, &stick).unwrap_or_else(|problem| panic!("{context}: {problem:?}"));
        assert_eq!(sound(&home), whole, "{context}");
        std::fs::remove_dir_all(&home).unwrap();
    });
    let (failed, faults) = (failed.into_inner(), last * 4);
    println!("import: {last} writes, {faults} faults, {failed} runs failed, 0 unsound stores");
    assert!(failed * 10 >= faults * 8, "most faults must be noticed: {failed} of {faults}");
}

/// Whether a command reaches its N-th write, where it ends.
fn ends(sides: &Sides, home: &str, arguments: &[&str], at: u64) -> bool {
    let ran = sides.command(home).args(arguments).env("AFTK_FAULT", format!("{at}:abort")).output().unwrap();
    ran.status.code().is_none()
}

#[test]
fn a_process_that_ends_at_any_write_of_a_collect_loses_nothing() {
    let (sides, packages) = (Sides::new(), packages());
    write_project(&sides, &packages);
    let collect = |home: &str, directory: &str, upstream: &FakeUpstream| {
        let mut command = sides.command(home);
        npm_project::reach(&mut command, upstream);
        command.current_dir(sides.path(directory)).args(["collect", "--out", "stick"]);
        command
    };
    sides.run("template", &["key", "show"]).done();
    let fresh = |number: u64| {
        let (home, project) = (format!("home-{number}"), format!("project-{number}"));
        home_like(&sides.path("template"), &sides.path(&home));
        copy_directory(&sides.path("project"), &sides.path(&project));
        // Each has an upstream to itself, so that its requests can be told.
        let upstream = FakeUpstream::start();
        publish(&upstream, &packages);
        (home, project, upstream)
    };
    let (home, project, upstream) = fresh(0);
    assert!(collect(&home, &project, &upstream).output().unwrap().status.success());
    let whole = sound(&sides.path(&home));
    let content = |project: &str| {
        let ledger =
            Ledger::parse(&std::fs::read(sides.path(project).join("aftk.ledger")).unwrap_or_default());
        let ledger = ledger.unwrap_or_else(|error| panic!("the ledger of {project} is broken: {error}"));
        ledger.entries().to_vec()
    };
    let expected = content(&project);
    assert_eq!(bodies(&upstream).len(), 6, "three documents and three tarballs");

    let (aborted, over) = (AtomicU64::new(0), AtomicU64::new(0));
    let (documents, tarballs) = (AtomicU64::new(0), AtomicU64::new(0));
    // Each number is tried until the command gets to its end; how many writes that are nobody says beforehand.
    for_every(2000, |number| {
        if over.load(Ordering::Relaxed) > 0 {
            return;
        }
        let (home, project, upstream) = fresh(number);
        let context = format!("abort at {number}");
        let ran = collect(&home, &project, &upstream)
            .env("AFTK_FAULT", format!("{number}:abort"))
            .output()
            .unwrap();
        if ran.status.success() {
            over.fetch_max(number, Ordering::Relaxed);
            return;
        }
        assert_eq!(ran.status.code(), None, "{context}: {}", String::from_utf8_lossy(&ran.stderr));
        aborted.fetch_add(1, Ordering::Relaxed);
        let shown = sound(&sides.path(&home));
        assert!(shown.is_empty() || shown == whole, "{context}: half-visible: {shown:?}");
        let (reserved, locked) = (content(&project), sides.path(&project).join("aftk.lock").exists());
        let left: Vec<Vec<u8>> = bundles(&sides.path(&project).join("stick"))
            .iter()
            .map(|file| std::fs::read(file).unwrap())
            .collect();

        let ran = collect(&home, &project, &upstream).output().unwrap();
        assert!(ran.status.success(), "{context}: {}", String::from_utf8_lossy(&ran.stderr));
        assert_eq!(sound(&sides.path(&home)), whole, "{context}");
        let now = content(&project);
        assert_eq!(now.len(), 1, "{context}");
        assert_eq!(now[0].content, expected[0].content, "{context}: other content");
        assert!(reserved.is_empty() || reserved == now, "{context}: a reserved sequence was given away");
        let made = bundles(&sides.path(&project).join("stick"));
        assert_eq!(made.len(), 1, "{context}");
        let made = std::fs::read(&made[0]).unwrap();
        assert!(left.iter().all(|left| *left == made), "{context}: the bundle has other bytes now");
        for (path, times) in bodies(&upstream) {
            let is_tarball = path.ends_with(".tgz");
            // What was under way, or among the few that are made durable together, may come once more; nothing else.
            let done_with = if is_tarball { !reserved.is_empty() } else { locked };
            let most = if done_with { 1 } else { 2 };
            assert!(times <= most, "{context}: {path} was fetched {times} times");
            let kind = if is_tarball { &tarballs } else { &documents };
            kind.fetch_add(times - 1, Ordering::Relaxed);
        }
        for directory in [home, project] {
            std::fs::remove_dir_all(sides.path(&directory)).unwrap();
        }
    });
    let [aborted, documents, tarballs] = [aborted, documents, tarballs].map(AtomicU64::into_inner);
    println!(
        "collect: {aborted} aborts, {documents} documents and {tarballs} tarballs fetched twice, 0 unsound stores"
    );
    assert!(aborted > 50);
}

#[test]
fn a_process_that_ends_at_any_write_of_an_import_loses_nothing() {
    let (sides, upstream, packages) = (Sides::new(), FakeUpstream::start(), packages());
    publish(&upstream, &packages);
    write_project(&sides, &packages);
    let mut command = sides.command("out");
    npm_project::reach(&mut command, &upstream);
    assert!(command.args(["collect", "--out", "../stick"]).status().unwrap().success());
    sides.trust();
    let stick = sides.path("stick");
    let stick = stick.to_str().unwrap();
    home_like(&sides.path("in"), &sides.path("reference"));
    sides.run("reference", &["import", stick]).done();
    let whole = sound(&sides.path("reference"));
    assert_eq!(whole.len(), 4);

    let (aborted, over) = (AtomicU64::new(0), AtomicU64::new(0));
    for_every(2000, |number| {
        if over.load(Ordering::Relaxed) > 0 {
            return;
        }
        let home = format!("home-{number}");
        home_like(&sides.path("in"), &sides.path(&home));
        let context = format!("abort at {number}");
        if !ends(&sides, &home, &["import", stick], number) {
            over.fetch_max(number, Ordering::Relaxed);
            return;
        }
        aborted.fetch_add(1, Ordering::Relaxed);
        let shown = sound(&sides.path(&home));
        assert!(shown.is_empty() || shown == whole, "{context}: half-visible: {shown:?}");
        import(&sides.path(&home), &sides.medium())
            .unwrap_or_else(|problem| panic!("{context}: {problem:?}"));
        assert_eq!(sound(&sides.path(&home)), whole, "{context}");
        std::fs::remove_dir_all(sides.path(&home)).unwrap();
    });
    println!("import: {} aborts, 0 unsound stores", aborted.load(Ordering::Relaxed));
    assert!(aborted.into_inner() > 50);
}
