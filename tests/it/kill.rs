//! kill -9 at random moments of a collect and of an import.

use std::process::{Command, Stdio};
use std::sync::Mutex;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use crate::support::crash::{Collects, Imports, for_every};

/// How many runs of each are killed.
const RUNS: u64 = 40;

/// Kills a process after so long; whether it was still there.
fn kill_after(mut command: Command, pause: Duration) -> bool {
    let mut child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    std::thread::sleep(pause);
    child.kill().unwrap();
    child.wait().unwrap().code().is_none()
}

/// Pauses that are the same in every run of the test, spread over a time that is somewhat longer than the work takes.
fn pauses(longest: Duration) -> impl FnMut() -> Duration {
    let mut state: u32 = 0x5eed;
    move || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        longest.mul_f64(f64::from(state >> 8) / f64::from(1 << 24))
    }
}

/// How long a command takes that nobody ends.
fn time(mut command: Command) -> Duration {
    let started = Instant::now();
    assert!(command.output().unwrap().status.success());
    started.elapsed()
}

#[test]
fn a_killed_collect_loses_nothing() {
    let collects = Collects::new(Some(Duration::from_millis(30)));
    let took = Mutex::new(Duration::ZERO);
    collects.interrupt(0, &|command| {
        *took.lock().unwrap() = time(command);
        false
    });
    let pauses = Mutex::new(pauses(took.into_inner().unwrap()));
    for_every(RUNS, |number| {
        let pause = pauses.lock().unwrap()();
        collects.interrupt(number, &|command| kill_after(command, pause));
        true
    });
    let [killed, documents, tarballs] = [&collects.interrupted, &collects.documents, &collects.tarballs]
        .map(|number| number.load(Ordering::Relaxed));
    println!(
        "collect: {killed} of {RUNS} killed, {documents} documents and {tarballs} tarballs fetched twice, 0 unsound stores"
    );
    assert!(killed >= RUNS / 4, "only {killed} of {RUNS} were still running");
}

#[test]
fn a_killed_import_loses_nothing() {
    let imports = Imports::new();
    let took = Mutex::new(Duration::ZERO);
    imports.interrupt(0, &|command| {
        *took.lock().unwrap() = time(command);
        false
    });
    let pauses = Mutex::new(pauses(took.into_inner().unwrap()));
    for_every(RUNS, |number| {
        let pause = pauses.lock().unwrap()();
        imports.interrupt(number, &|command| kill_after(command, pause));
        true
    });
    let killed = imports.interrupted.load(Ordering::Relaxed);
    println!("import: {killed} of {RUNS} killed, 0 unsound stores");
    assert!(killed >= RUNS / 4, "only {killed} of {RUNS} were still running");
}
