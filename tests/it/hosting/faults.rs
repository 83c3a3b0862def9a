//! Every write of a push fails once: whatever the server says that it has taken is there.

use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};

use aftk::access::Read;
use aftk::fsx::faults::{Fault, Kind, Watch};

use crate::support::crash::for_every;
use crate::support::hosting::{Hosting, describe, digest, image};
use crate::support::sides::{scratch, sound};

const REPOSITORY: &str = "team/app";
/// Two, so that a second push finds the layer of the first.
const LAYER: &[u8] = &[9; 100_000];

/// Pushes an image; the paths of what was taken, and whether all was.
fn push(hosting: &Hosting) -> (Vec<String>, bool) {
    let mut taken = Vec::new();
    let mut client = hosting.client();
    let uploads = format!("/v2/{REPOSITORY}/blobs/uploads/");
    let config = describe("", b"{}");
    let made = client.send("POST", &format!("{uploads}?digest={}", digest(&config)), &[], b"{}");
    if made.status == 201 {
        taken.push(format!("/v2/{REPOSITORY}/blobs/{}", digest(&config)));
    }
    let layer = describe("", LAYER);
    let begun = client.send("POST", &uploads, &[], b"");
    if begun.status == 202 {
        let upload = crate::support::hosting::location(&begun);
        if client.send("PATCH", &upload, &[], LAYER).status == 202
            && client.send("PUT", &format!("{upload}?digest={}", digest(&layer)), &[], b"").status == 201
        {
            taken.push(format!("/v2/{REPOSITORY}/blobs/{}", digest(&layer)));
        }
    }
    let made = client.manifest(REPOSITORY, "1.0", &image(&config, &[layer]));
    assert!(made.status == 201 || made.status >= 400, "{made:?}");
    if made.status == 201 {
        taken.push(format!("/v2/{REPOSITORY}/manifests/1.0"));
    }
    let all = taken.len() == 3;
    (taken, all)
}

/// All that was taken is served, from what is on the disk.
fn is_there(home: &Path, taken: &[String], context: &str) {
    let hosting = Hosting::at(home, Read::Open);
    for path in taken {
        let read = hosting.ask("GET", path);
        assert_eq!(read.status, 200, "{context}: {path} was taken");
    }
    let (_, all) = push(&hosting);
    assert!(all, "{context}: the next push");
}

#[test]
fn every_failing_write_of_a_push_is_told_to_the_client() {
    let directory = scratch();
    let reference = directory.path().join("reference");
    let hosting = Hosting::at(&reference, Read::Open);
    let watch = Watch::new(&reference);
    assert!(push(&hosting).1);
    let last = watch.count();
    drop((watch, hosting));
    let whole = sound(&reference);
    assert_eq!(whole.len(), 1);
    let failed = AtomicU64::new(0);
    for_every(last * 2, |number| {
        let at = number.div_ceil(2);
        let kind = match (number % 2, at % 2) {
            (0, _) => Kind::Halt,
            (_, 0) => Kind::Enospc,
            _ => Kind::ShortWrite,
        };
        let context = format!("{kind:?} at {at} of {last}");
        let home = directory.path().join(format!("home-{number}"));
        let hosting = Hosting::at(&home, Read::Open);
        let watch = Watch::new(&home);
        watch.plan(Fault { at, kind });
        let (taken, all) = push(&hosting);
        assert!(watch.forget(), "{context}: not reached");
        drop(watch);
        failed.fetch_add(u64::from(!all), Ordering::Relaxed);
        if kind != Kind::Halt {
            // The same server goes on.
            assert!(push(&hosting).1, "{context}: the same push again");
        }
        drop(hosting);
        sound(&home);
        is_there(&home, &taken, &context);
        assert_eq!(sound(&home), whole, "{context}");
        std::fs::remove_dir_all(&home).unwrap();
        true
    });
    let failed = failed.into_inner();
    println!("push: {last} writes, {} faults, {failed} pushes failed, 0 lost", last * 2);
    assert!(failed * 5 >= last * 6, "most faults must be noticed: {failed}");
}
