//! Every write of a small collect and of its import fails, or is the last thing the process does. Whatever happens,
//! the store stays sound, nothing is half-visible, and the next run gets to the same end without fetching again what
//! it had.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use aftk::cancel::Cancel;
use aftk::events::Silent;
use aftk::fsx::faults::{Fault, Kind, Watch};
use aftk::net::{Client, Settings};
use aftk::ops::collect::{self, CollectRequest};
use aftk::ops::context::Outside;
use aftk::ops::lock::{self, LockRequest, Order, Place};
use aftk::ops::volumes::Volumes;
use aftk::problem::Problem;
use aftk::store::Store;
use aftk::trust::{COLLECT_KEY, Trust};
use bundle_format::{BlobKey, Ledger, Mode};

use crate::support::crash::{Collects, Imports, for_every};
use crate::support::fake_upstream::{FakeUpstream, Reply};
use crate::support::sides::{bundles, copy_directory, home_like, import, scratch, sound};

/// How the N-th write fails within a process.
const KINDS: [Kind; 4] = [Kind::Enospc, Kind::Eio, Kind::ShortWrite, Kind::Halt];

/// How often something was fetched; asking for a size is not.
fn gets(upstream: &FakeUpstream) -> usize {
    upstream.requests().iter().filter(|seen| seen.method == "GET").count()
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
            lock::lock(&LockRequest { order, upgrade: false, packages: Vec::new(), dry_run: false }, &outside)
                .await
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
            settings: Vec::new(),
            place: Place::Channel(collect::channel_directory(home, "prod")),
        };
        let runtime =
            tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        runtime.block_on(work(order, outside))
    }

    /// Collects into the directory `stick` beside the home's content; the bundle's bytes.
    fn collect(&self, home: &Path) -> Result<Vec<u8>, Problem> {
        Ok(std::fs::read(&self.collect_into(home, None)?[0]).unwrap())
    }

    /// Collects in the same way, into volumes of at most so many bytes; the files.
    fn collect_into(&self, home: &Path, volume_size: Option<u64>) -> Result<Vec<PathBuf>, Problem> {
        let out = home.join("stick");
        let signer = Arc::new(Trust::open(home)?.signer(COLLECT_KEY, None)?);
        let report = self.work(home, async |order, outside| {
            let request = CollectRequest {
                order,
                out,
                locked: false,
                dry_run: false,
                read_back: true,
                jobs: 4,
                volumes: Volumes { size: volume_size, recovery: None },
                basis: None,
                full_every: None,
                must_install: false,
            };
            collect::collect(&request, &outside, || Ok(signer), None).await
        })?;
        Ok(report.bundle.unwrap().files)
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
        true
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
        true
    });
    let (failed, faults) = (failed.into_inner(), last * 4);
    println!("import: {last} writes, {faults} faults, {failed} runs failed, 0 unsound stores");
    assert!(failed * 10 >= faults * 8, "most faults must be noticed: {failed} of {faults}");
}

#[test]
fn every_failing_write_while_volumes_arrive_loses_nothing() {
    let mut small = Small::new();
    let mut state = 7_u32;
    let noise = (0..2_300_000).map(|_| {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 24) as u8
    });
    std::fs::write(small.directory.path().join("large.bin"), noise.collect::<Vec<_>>()).unwrap();
    small.requests.push("file:./large.bin".to_owned());
    let outside = small.template();
    let mut volumes = small.collect_into(&outside, Some(1_500_000)).unwrap();
    assert_eq!(volumes.len(), 2);
    // The second one first: what it brings is not known before the first one comes.
    volumes.reverse();
    let template = small.directory.path().join("inside");
    let pem = Trust::open(&outside).unwrap().public_key(COLLECT_KEY).unwrap().to_pem().unwrap();
    Trust::open(&template).unwrap().trust(pem.as_bytes(), None, &[]).unwrap();
    let one_by_one = |home: &Path| -> Result<(), Problem> {
        let first = import(home, &volumes[..1]).map(drop);
        match first {
            Err(problem) if problem.code == "bundle.volumes-missing" => {}
            other => return other,
        }
        import(home, &volumes[1..]).map(drop)
    };

    let reference = small.directory.path().join("reference");
    home_like(&template, &reference);
    let watch = Watch::new(&reference);
    one_by_one(&reference).unwrap();
    let last = watch.count();
    drop(watch);
    let whole = sound(&reference);
    assert_eq!(whole.len(), 5);

    let failed = AtomicU64::new(0);
    // One kind for each write, in turn: it is the same code that fails as for one volume.
    for_every(last, |number| {
        let (at, kind) = (number, KINDS[number as usize % 4]);
        let context = format!("{kind:?} at {at} of {last}");
        let home = small.directory.path().join(format!("home-{number}"));
        home_like(&template, &home);
        let watch = Watch::new(&home);
        watch.plan(Fault { at, kind });
        failed.fetch_add(u64::from(one_by_one(&home).is_err()), Ordering::Relaxed);
        assert!(watch.forget(), "{context}: not reached");
        drop(watch);
        let shown = sound(&home);
        assert!(shown.is_empty() || shown == whole, "{context}: half-visible: {shown:?}");
        // Whatever came before, both volumes make it whole.
        let again = one_by_one(&home).and_then(|()| import(&home, &volumes).map(drop));
        again.unwrap_or_else(|problem| panic!("{context}: {problem:?}"));
        assert_eq!(sound(&home), whole, "{context}");
        std::fs::remove_dir_all(&home).unwrap();
        true
    });
    let (failed, faults) = (failed.into_inner(), last);
    println!("volumes: {last} writes, {faults} faults, {failed} runs failed, 0 unsound stores");
    assert!(failed * 10 >= faults * 8, "most faults must be noticed: {failed} of {faults}");
}

/// Ends the process at its N-th write; whether it came that far.
fn abort_at(number: u64) -> impl Fn(Command) -> bool {
    move |mut command| {
        let ran = command.env("AFTK_FAULT", format!("{number}:abort")).output().unwrap();
        assert!(
            ran.status.success() || ran.status.code().is_none(),
            "{}",
            String::from_utf8_lossy(&ran.stderr)
        );
        !ran.status.success()
    }
}

/// How many writes there may be; each number is tried until the command comes to its end.
const MOST: u64 = 2000;

#[test]
fn a_process_that_ends_at_any_write_of_a_collect_loses_nothing() {
    let collects = Collects::new(None);
    for_every(MOST, |number| collects.interrupt(number, &abort_at(number)));
    let [aborted, documents, tarballs] = [&collects.interrupted, &collects.documents, &collects.tarballs]
        .map(|number| number.load(Ordering::Relaxed));
    println!(
        "collect: {aborted} aborts, {documents} documents and {tarballs} tarballs fetched twice, 0 unsound stores"
    );
    assert!((50..MOST).contains(&aborted));
}

#[test]
fn a_process_that_ends_at_any_write_of_an_import_loses_nothing() {
    let imports = Imports::new();
    for_every(MOST, |number| imports.interrupt(number, &abort_at(number)));
    let aborted = imports.interrupted.load(Ordering::Relaxed);
    println!("import: {aborted} aborts, 0 unsound stores");
    assert!((50..MOST).contains(&aborted));
}
