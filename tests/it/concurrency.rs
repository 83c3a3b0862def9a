//! Several processes on one store.

use std::path::PathBuf;
use std::process::{Child, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};

use aftk::cancel::Cancel;
use aftk::events::Silent;
use aftk::ops::gc::{self, GcRequest};
use aftk::store::Store;
use bundle_format::Ledger;

use crate::support::raw_http::Client;
use crate::support::serving::Serving;
use crate::support::sides::{Ran, Sides, import, sound};

fn start(sides: &Sides, home: &str, arguments: &[&str]) -> Child {
    let mut command = sides.command(home);
    command.args(arguments).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
}

/// Collects one file a bundle.
fn bundles(sides: &Sides, count: usize) -> Vec<PathBuf> {
    for number in 0..count {
        let name = format!("{number}.txt");
        sides.write(&name, format!("file {number} ").repeat(1000));
        sides.run("out", &["collect", "-q", "--out", "../stick", &format!("file:./{name}")]).done();
    }
    sides.trust();
    sides.medium()
}

#[test]
fn two_collects_of_one_channel_take_their_turns() {
    let sides = Sides::new();
    for round in 0..8 {
        let arguments = ["a", "b"].map(|name| {
            let name = format!("{name}{round}.txt");
            sides.write(&name, &name);
            format!("file:./{name}")
        });
        let children = arguments
            .each_ref()
            .map(|request| start(&sides, "out", &["collect", "-q", "--out", "../stick", request]));
        for child in children {
            let ran: Ran = child.wait_with_output().unwrap().into();
            ran.done();
        }
    }
    let ledger = std::fs::read(sides.path("out/channels/default/aftk.ledger")).unwrap();
    let sequences: Vec<u64> =
        Ledger::parse(&ledger).unwrap().entries().iter().map(|entry| entry.sequence).collect();
    assert_eq!(sequences, (1..=16).collect::<Vec<_>>());
    assert_eq!(sides.medium().len(), 16);
    assert_eq!(sound(&sides.path("out")).len(), 16);
    sides.trust();
    import(&sides.path("in"), &sides.medium()).unwrap();
    assert_eq!(sound(&sides.path("in")).len(), 16);
}

#[test]
fn two_collects_of_the_same_make_one_bundle() {
    let sides = Sides::new();
    sides.write("a.txt", "a");
    let children =
        [(); 3].map(|()| start(&sides, "out", &["collect", "-q", "--out", "../stick", "file:./a.txt"]));
    for child in children {
        let ran: Ran = child.wait_with_output().unwrap().into();
        ran.done();
    }
    assert_eq!(sides.medium().len(), 1);
    assert_eq!(sound(&sides.path("out")).len(), 1);
}

#[test]
fn two_imports_at_once_leave_what_one_would() {
    let sides = Sides::new();
    let media = bundles(&sides, 6);
    let stick = sides.path("stick");
    for _ in 0..3 {
        let children = [(); 2].map(|()| start(&sides, "in", &["import", "-q", stick.to_str().unwrap()]));
        for child in children {
            let ran: Ran = child.wait_with_output().unwrap().into();
            // Whoever comes second is told so, and nothing else.
            assert!(matches!(ran.code, Some(0 | 6)), "{}", ran.stderr);
            assert!(
                ran.code == Some(0) || ran.stderr.contains("run") || ran.stderr.contains("wait"),
                "{}",
                ran.stderr
            );
        }
    }
    import(&sides.path("in"), &media).unwrap();
    assert_eq!(sound(&sides.path("in")).len(), 6);
    let store = Store::open(&sides.path("in")).unwrap();
    assert_eq!(store.catalogue.snapshots("default").unwrap().len(), 6);
}

#[test]
fn a_site_serves_while_it_imports_and_collects_garbage() {
    let sides = Sides::new();
    let media = bundles(&sides, 12);
    import(&sides.path("in"), &media[..1]).unwrap();
    let serving = Serving::start(&sides);
    let done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let collector = scope.spawn(|| {
            let store = Store::open(&sides.path("in")).unwrap();
            let mut times = 0;
            while !done.load(Ordering::Relaxed) {
                gc::gc(
                    &store,
                    &GcRequest { dry_run: false, keep_generations: 2 },
                    &Silent,
                    &Cancel::default(),
                )
                .unwrap();
                times += 1;
            }
            times
        });
        let client = scope.spawn(|| {
            let mut times = 0;
            while !done.load(Ordering::Relaxed) {
                let answer = Client::connect(serving.address).ask("GET", "/files/local/0.txt", &[]);
                assert_eq!((answer.status, answer.text()), (200, "file 0 ".repeat(1000)));
                times += 1;
            }
            times
        });
        for bundle in &media[1..] {
            import(&sides.path("in"), std::slice::from_ref(bundle)).unwrap();
        }
        done.store(true, Ordering::Relaxed);
        let (collections, answers) = (collector.join().unwrap(), client.join().unwrap());
        assert!(collections > 1 && answers > 1, "{collections} collections, {answers} answers");
    });
    for number in 0..media.len() {
        let answer = Client::connect(serving.address).ask("GET", &format!("/files/local/{number}.txt"), &[]);
        assert_eq!((answer.status, answer.text()), (200, format!("file {number} ").repeat(1000)));
    }
    drop(serving);
    assert_eq!(sound(&sides.path("in")).len(), media.len());
}
