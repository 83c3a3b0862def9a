//! Collecting what has not changed.

use std::fs;
use std::time::Instant;

use super::command::{bundle_in, run};
use super::inside::Inside;
use super::outside::{self, Lockfile};

#[test]
fn unchanged_content_is_the_same_bundle_and_asks_nobody() {
    for (lockfile, channel) in [(Lockfile::Bare, "bare"), (Lockfile::Resolved, "resolved")] {
        let first = outside::collected(lockfile);
        // The namespace is the proof: whoever asked upstream would get no answer here.
        let nowhere = Inside::new();
        let other = nowhere.path("stick");
        for out in [&first.stick, &other] {
            let mut aftk = outside::aftk_behind(&nowhere.enter());
            aftk.args(["collect", &first.request(), "--channel", channel, "--json", "--out"]).arg(out);
            let started = Instant::now();
            let again = run(&mut aftk).succeeded().json();
            eprintln!("collected again in {:?}", started.elapsed());
            assert_eq!(again["preflight"]["downloads"], 0);
            assert_eq!(again["bundle"]["held"], true);
            assert_eq!(again["bundle"]["snapshot"], first.report["bundle"]["snapshot"]);
            assert_eq!(again["artifacts"], first.report["artifacts"]);
        }
        let copy = bundle_in(&other);
        assert_eq!(copy.file_name(), first.bundle().file_name());
        assert!(fs::read(copy).unwrap() == fs::read(first.bundle()).unwrap(), "the bytes differ");
    }
}
