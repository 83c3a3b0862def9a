//! Several processes on one catalogue, and a large import.

use std::sync::atomic::{AtomicBool, Ordering};

use super::*;
use crate::clock;

#[test]
fn a_channel_is_imported_by_one_process_at_a_time() {
    let home = Home::new();
    let other = home.again();
    let generation = home.catalogue().begin_generation("prod").unwrap();
    assert!(matches!(other.catalogue.begin_generation("prod"), Err(StoreError::Busy(_))));
    assert!(matches!(other.catalogue.stage(generation, &[]), Err(StoreError::Misuse(_))));
    other.catalogue.prune("2026-01-01T00:00:00Z", 2).unwrap();
    home.catalogue().stage(generation, &[artifact("a", "1", &["a"])]).unwrap();
    home.catalogue().merge(generation, Merge::Add).unwrap();
    publish(home.catalogue(), generation).unwrap();
    import(&*other.catalogue, &prod(), Merge::Add, &[artifact("b", "1", &["b"])]);
    assert_eq!(seen(home.catalogue()).len(), 2);
}

#[test]
fn what_a_dead_process_left_is_cleared() {
    let home = Home::new();
    for begin_again in [true, false] {
        let other = home.again();
        let left =
            prepare(&*other.catalogue, &prod(), Merge::Replace, &[artifact("a", "1", &["left"])]).unwrap();
        drop(other);
        if begin_again {
            let generation = home.catalogue().begin_generation("prod").unwrap();
            home.catalogue().abandon(generation).unwrap();
        } else {
            home.catalogue().prune("2026-01-01T00:00:00Z", 2).unwrap();
        }
        assert!(publish(home.catalogue(), left).is_err());
        assert!(home.catalogue().if_unreferenced(&BlobKey::of(b"left"), &mut || Ok(())).unwrap());
    }
}

#[test]
fn what_was_merged_with_something_else_is_not_published() {
    let home = Home::new();
    let catalogue = home.catalogue();
    let one = import(catalogue, &prod(), Merge::Add, &[artifact("a", "1", &["one"])]);
    import(catalogue, &prod(), Merge::Add, &[artifact("a", "1", &["two"])]);
    let three = prepare(catalogue, &prod(), Merge::Add, &[]).unwrap();
    publish(&*home.again().catalogue, one).unwrap();
    assert!(matches!(publish(catalogue, three), Err(StoreError::Precondition)));
    assert_eq!(seen(catalogue), [line("a", "1", "one")]);
}

#[test]
fn hosted_writes_commit_while_a_large_import_is_staged() {
    let home = Home::new();
    let staging = AtomicBool::new(true);
    let records: Vec<_> = (0..9_000).map(|number| artifact(&format!("big{number}"), "1", &["x"])).collect();
    let between = std::thread::scope(|scope| {
        let hosted = scope.spawn(|| {
            let other = home.again();
            let mut during = 0;
            for number in 0..40 {
                let name = format!("hosted{number}");
                let records = [artifact(&name, "1", &[&name])];
                host(&*other.catalogue, &records);
                during += usize::from(staging.load(Ordering::Relaxed));
                assert_eq!(other.catalogue.artifacts("npm", None, &name).unwrap().len(), 1);
            }
            during
        });
        let generation = prepare(home.catalogue(), &prod(), Merge::Replace, &records).unwrap();
        staging.store(false, Ordering::Relaxed);
        let during = hosted.join().unwrap();
        assert_eq!(seen(home.catalogue()).len(), 40, "nothing of the import yet");
        publish(home.catalogue(), generation).unwrap();
        during
    });
    assert!(between > 0, "none came in between");
    assert_eq!(seen(home.catalogue()).len(), 9_040);
}

#[test]
fn two_processes_write_to_the_hosted_repositories() {
    let home = Home::new();
    std::thread::scope(|scope| {
        for writer in 0..2 {
            let home = &home;
            scope.spawn(move || {
                let other = home.again();
                for number in 0..15 {
                    let name = format!("w{writer}n{number}");
                    host(&*other.catalogue, &[artifact(&name, "1", &["x"])]);
                }
            });
        }
    });
    assert_eq!(seen(home.catalogue()).len(), 30);
}

const CHILD: &str = "AFTK_TEST_LARGE";

/// Does nothing but in the child process of the next test, whose memory nobody else uses.
#[test]
#[expect(clippy::disallowed_methods, reason = "how a test tells its own child what to do")]
fn large_child() {
    let Some(count) = std::env::var(CHILD).ok().and_then(|count| count.parse::<usize>().ok()) else { return };
    let home = Home::new();
    let catalogue = home.catalogue();
    let generation = catalogue.begin_generation("prod").unwrap();
    let started = clock::instant();
    for batch in 0..count / 1_000 {
        let records: Vec<_> = (0..1_000)
            .map(|number| {
                let name = format!("package-{batch}-{number}");
                artifact(&name, "1.0.0", &[&name, &format!("second of {name}")])
            })
            .collect();
        catalogue.stage(generation, &records).unwrap();
    }
    let staged = started.elapsed();
    catalogue.merge(generation, Merge::Add).unwrap();
    let merged = started.elapsed();
    let mut blobs = 0;
    catalogue
        .staged_blobs(generation, &mut |_, _| {
            blobs += 1;
            Ok(true)
        })
        .unwrap();
    assert_eq!(blobs, 2 * count);
    assert!(catalogue.conflicts(generation, &[], 10).unwrap().is_empty());
    let walked = started.elapsed();
    publish(catalogue, generation).unwrap();
    let published = started.elapsed();
    assert_eq!(catalogue.artifacts("npm", None, "package-0-7").unwrap().len(), 1);
    let (listing, mut listed, mut after) = (clock::instant(), 0, None);
    loop {
        let page = catalogue.list(after.as_ref(), 1_000).unwrap();
        let Some(last) = page.last() else { break };
        after = Some(last.cursor.clone());
        listed += page.len();
    }
    assert_eq!(listed, count);
    let listing = listing.elapsed();
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let peak: u64 = status
        .lines()
        .find_map(|line| line.strip_prefix("VmHWM:"))
        .and_then(|rest| rest.trim().strip_suffix(" kB")?.parse().ok())
        .unwrap();
    assert!(peak < 64 * 1024, "{peak} KiB");
    let lookups = clock::instant();
    for number in 0..1_000 {
        let path = format!("package-1-{number}/-/package-1-{number}-1.0.0.1");
        assert!(catalogue.file_at("npm", "npm/1", None, &path).unwrap().is_some());
    }
    let lookups = lookups.elapsed() / 1_000;
    println!(
        "{count}: staged {staged:?}, merged {merged:?}, walked {walked:?}, published {published:?}, \
              listed {listing:?}, file_at {lookups:?}, peak {peak} KiB"
    );
}

#[test]
fn a_large_import_needs_little_memory() {
    let output = std::process::Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "store::sqlite::tests::several::large_child", "--nocapture"])
        .env(CHILD, "10000")
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}
