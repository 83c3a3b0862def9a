//! What was pushed stays, whatever happens beside it, and goes when it is taken out.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use aftk::access::Read;
use aftk::cancel::Cancel;
use aftk::events::Silent;
use aftk::ops::gc::{self, GcRequest};
use aftk::store::Store;
use bundle_format::BlobKey;
use serde_json::json;

use crate::support::hosting::{Hosting, Pusher, describe, digest, write_accounts};
use crate::support::images::{INDEX, Images};
use crate::support::serving::Serving;
use crate::support::sides::{Ran, Sides, sound};

fn collect_garbage(home: &std::path::Path) {
    gc::gc(
        &Store::open(home).unwrap(),
        &GcRequest { dry_run: false, keep_generations: 1 },
        &Silent,
        &Cancel::default(),
    )
    .unwrap();
}

#[test]
fn what_was_pushed_is_there_after_a_restart() {
    let hosting = Hosting::start();
    let mut client = hosting.client();
    let image = client.image("team/app", "1.0", b"layer");
    client.blob("team/app", b"deposited");
    let upload = client.upload("team/app");
    assert_eq!(client.send("PATCH", &upload, &[], b"half").status, 202);
    let hosting = hosting.restart();
    let tagged = hosting.ask("HEAD", "/v2/team/app/manifests/1.0");
    assert_eq!(tagged.header("docker-content-digest"), Some(digest(&image)));
    for blob in [&b"layer"[..], b"deposited", b"{}"] {
        let path = format!("/v2/team/app/blobs/{}", digest(&describe("", blob)));
        assert_eq!(hosting.ask("GET", &path).body, blob);
    }
    // An upload ends with the server, and leaves nothing.
    assert_eq!(hosting.ask("GET", &upload).status, 404);
    assert_eq!(hosting.staged(), 0);
    assert_eq!(sound(&hosting.home).len(), 1);
}

#[test]
fn garbage_is_what_was_taken_out() {
    let hosting = Hosting::start();
    let mut client = hosting.client();
    let kept = client.image("team/app", "kept", b"kept");
    let gone = client.image("team/app", "gone", b"gone");
    client.blob("team/app", b"deposited");
    let upload = client.upload("team/app");
    assert_eq!(client.send("PATCH", &upload, &[], b"under way").status, 202);
    for blob in [&b"gone"[..], b"deposited"] {
        let path = format!("/v2/team/app/blobs/{}", digest(&describe("", blob)));
        assert_eq!(client.ask("HEAD", &path, &[]).status, 200);
    }
    assert_eq!(client.ask("DELETE", &format!("/v2/team/app/manifests/{}", digest(&gone)), &[]).status, 202);
    let layer = format!("/v2/team/app/blobs/{}", digest(&describe("", b"gone")));
    assert_eq!(client.ask("DELETE", &layer, &[]).status, 202);
    let blobs = Arc::clone(&Store::open(&hosting.home).unwrap().blobs);
    assert!(blobs.size(&BlobKey::of(b"gone")).unwrap().is_some());
    collect_garbage(&hosting.home);
    assert!(blobs.size(&BlobKey::of(b"gone")).unwrap().is_none());
    for held in [&b"kept"[..], b"{}", b"deposited"] {
        assert!(blobs.size(&BlobKey::of(held)).unwrap().is_some());
    }
    assert_eq!(client.ask("HEAD", &format!("/v2/team/app/manifests/{}", digest(&kept)), &[]).status, 200);
    let name = digest(&describe("", b"under way")).to_owned();
    assert_eq!(client.send("PUT", &format!("{upload}?digest={name}"), &[], b"").status, 201);
    assert_eq!(sound(&hosting.home).len(), 1);
}

/// Pushes images until it is told to stop, each of which must be taken; what was pushed.
fn push_until(hosting: &Hosting, stop: &AtomicBool, number: usize) -> Vec<String> {
    let mut pushed = Vec::new();
    let mut client = hosting.client();
    // A few in any case: a busy machine may come to no more meanwhile.
    while !stop.load(Ordering::Relaxed) || pushed.len() < 4 {
        let layer = format!("layer {} of {number}", pushed.len());
        let image = client.image(&format!("team/app-{number}"), "latest", layer.as_bytes());
        pushed.push(digest(&image).to_owned());
    }
    pushed
}

#[test]
fn pushes_go_on_beside_imports_and_garbage_collections() {
    let hosting = Hosting::start();
    let stop = AtomicBool::new(false);
    let pushed: Vec<Vec<String>> = std::thread::scope(|scope| {
        let (hosting, stop) = (&hosting, &stop);
        let pushers = [0, 1].map(|number| scope.spawn(move || push_until(hosting, stop, number)));
        for number in 0..10 {
            let mut images = Images::new(&hosting.home);
            images.image("docker.io", "team/app-0", format!("mirrored {number}").as_bytes());
            images.publish("default");
        }
        for _ in 0..10 {
            collect_garbage(&hosting.home);
        }
        stop.store(true, Ordering::Relaxed);
        pushers.into_iter().map(|pusher| pusher.join().unwrap()).collect()
    });
    collect_garbage(&hosting.home);
    for (number, pushed) in pushed.iter().enumerate() {
        for (at, digest) in pushed.iter().enumerate() {
            let path = format!("/v2/team/app-{number}/manifests/{digest}");
            assert_eq!(hosting.ask("HEAD", &path).status, 200);
            let layer = describe("", format!("layer {at} of {number}").as_bytes());
            let path = format!("/v2/team/app-{number}/blobs/{}", crate::support::hosting::digest(&layer));
            assert_eq!(hosting.ask("HEAD", &path).status, 200);
        }
    }
    assert_eq!(sound(&hosting.home).len(), 1 + pushed.iter().map(Vec::len).sum::<usize>());
}

/// How often a server is killed.
const KILLS: u64 = 8;

#[test]
fn a_killed_server_keeps_what_it_said_that_it_has() {
    let sides = Sides::new();
    let home = sides.path("in");
    drop(Store::open(&home).unwrap());
    write_accounts(&home);
    let site = "format = 1\n[[hosted]]\necosystem = \"oci\"\nname = \"team\"\nwrite = [\"ada\"]\n";
    std::fs::write(home.join("site.toml"), site).unwrap();
    let taken = Mutex::new(Vec::new());
    for round in 0..KILLS {
        let serving = Serving::start(&sides);
        std::thread::scope(|scope| {
            for number in 0..2 {
                let (address, taken) = (serving.address, &taken);
                scope.spawn(move || {
                    for push in 0.. {
                        let layer = format!("layer {push} of {number} in round {round}").repeat(500);
                        let client = Pusher::try_connect(address);
                        let image = client
                            .and_then(|mut client| client.try_image("team/app", "1.0", layer.as_bytes()));
                        let Some(image) = image else { return };
                        let layer = describe("", layer.as_bytes());
                        taken.lock().unwrap().push([digest(&image), digest(&layer)].map(str::to_owned));
                    }
                });
            }
            std::thread::sleep(Duration::from_millis(20 + 13 * round));
            // Dropped, it is killed.
            drop(serving);
        });
        sound(&home);
    }
    let taken = taken.into_inner().unwrap();
    assert!(taken.len() as u64 > KILLS, "{}", taken.len());
    let hosting = Hosting::at(&home, Read::Open);
    let mut client = hosting.client();
    for [image, layer] in &taken {
        for path in [format!("/v2/team/app/manifests/{image}"), format!("/v2/team/app/blobs/{layer}")] {
            assert_eq!(client.ask("GET", &path, &[]).status, 200, "{path}");
        }
    }
    client.image("team/app", "after", b"all of this");
    println!("{} images taken, {KILLS} kills", taken.len());
}

#[test]
fn an_index_goes_on_without_an_entry_that_was_taken_out() {
    let hosting = Hosting::start();
    let mut client = hosting.client();
    let (kept, gone) = (client.image("team/app", "kept", b"kept"), client.image("team/app", "gone", b"gone"));
    let index = json!({"schemaVersion": 2, "mediaType": INDEX, "manifests": [kept, gone]});
    assert_eq!(client.manifest("team/app", "both", &index).status, 201);
    assert_eq!(client.ask("DELETE", &format!("/v2/team/app/manifests/{}", digest(&gone)), &[]).status, 202);
    collect_garbage(&hosting.home);
    assert_eq!(sound(&hosting.home).len(), 2);
    let archive = hosting.home.join("app.tar");
    let mut export = std::process::Command::new(env!("CARGO_BIN_EXE_aftk"));
    export
        .arg("--home")
        .arg(&hosting.home)
        .args(["export", "oci-archive"])
        .arg(&archive)
        .arg("docker:team/app:both");
    let ran: Ran = export.output().unwrap().into();
    assert_eq!(ran.code, Some(0), "{ran:?}");
    assert!(ran.stderr.contains("1 of its 2 entries are not in here"), "{ran:?}");
}
