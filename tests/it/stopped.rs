//! The wish to stop is heard amid one large file, and is told from a failure.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use aftk::cancel::Cancel;
use aftk::events::{Events, Happening};
use aftk::net::{Client, Settings};
use aftk::ops::collect::{self, CollectRequest};
use aftk::ops::context::Outside;
use aftk::ops::lock::{Order, Place};
use aftk::ops::verify;
use aftk::ops::volumes::Volumes;
use aftk::problem::{Kind, Problem};
use aftk::store::Store;
use aftk::trust::{COLLECT_KEY, Trust};
use bundle_format::Mode;

use crate::support::sides::{Sides, bundles};

/// The file is read in pieces much smaller than it.
const SIZE: usize = 8 << 20;

/// Asks a job to stop in the middle of the file, in one of its stages.
struct Impatient {
    stage: &'static str,
    is_there: AtomicBool,
    seen: AtomicU64,
    cancel: Cancel,
}

impl Impatient {
    fn in_stage(stage: &'static str) -> Arc<Impatient> {
        let (is_there, seen) = (AtomicBool::new(false), AtomicU64::new(0));
        Arc::new(Impatient { stage, is_there, seen, cancel: Cancel::default() })
    }
}

impl Events for Impatient {
    fn emit(&self, happening: Happening) {
        match happening {
            Happening::Stage { name, .. } => self.is_there.store(name == self.stage, Ordering::Relaxed),
            Happening::ItemProgress { bytes } if self.is_there.load(Ordering::Relaxed) => {
                let seen = self.seen.fetch_add(bytes, Ordering::Relaxed) + bytes;
                if seen > SIZE as u64 / 2 {
                    self.cancel.ask();
                }
            }
            _ => {}
        }
    }
}

fn collect(sides: &Sides, events: &Arc<Impatient>) -> Result<(), Problem> {
    let home = sides.path("out");
    let (store, project) = (Store::open(&home)?, sides.path("project"));
    let trust = Trust::open(&home)?;
    trust.ensure_collect_key()?;
    let signer = Arc::new(trust.signer(COLLECT_KEY, None)?);
    let client = Arc::new(Client::new(Settings::default())?);
    let outside = Arc::new(Outside::new(&store, client, events.clone(), events.cancel.clone(), &project)?);
    let order = Order {
        channel: "prod".to_owned(),
        mode: Mode::Add,
        requests: vec!["file:./large".to_owned()],
        platforms: Vec::new(),
        gaps: Vec::new(),
        settings: Vec::new(),
        place: Place::Channel(collect::channel_directory(&home, "prod")),
    };
    let out = sides.path("stick");
    let request = CollectRequest {
        order,
        out,
        locked: false,
        dry_run: false,
        read_back: true,
        jobs: 1,
        volumes: Volumes::default(),
        basis: None,
        full_every: None,
        must_install: false,
    };
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(collect::collect(&request, &outside, || Ok(signer), None)).map(drop)
}

fn verify(home: &Path, stick: &Path, events: &Impatient) -> Result<(), Problem> {
    let verifier = Trust::open(home)?.verifier(true)?;
    verify::verify(&[stick.to_owned()], &verifier, events, &events.cancel)?.all().map(drop)
}

#[test]
fn a_job_stops_amid_a_large_file() {
    let sides = Sides::new();
    sides.write("large", vec![7; SIZE]);
    let stick = sides.path("stick");
    for stage in ["read", "pack", "read back"] {
        let events = Impatient::in_stage(stage);
        assert_eq!(collect(&sides, &events).unwrap_err().kind, Kind::Interrupted, "{stage}");
        let seen = events.seen.load(Ordering::Relaxed);
        assert!(seen < SIZE as u64, "{stage} went on for {seen} bytes");
        assert!(bundles(&stick).is_empty(), "{stage}");
    }
    collect(&sides, &Impatient::in_stage("none")).unwrap();
    let events = Impatient::in_stage("verify");
    assert_eq!(verify(&sides.path("out"), &stick, &events).unwrap_err().kind, Kind::Interrupted);
    assert!(events.seen.load(Ordering::Relaxed) < SIZE as u64);
    verify(&sides.path("out"), &stick, &Impatient::in_stage("none")).unwrap();
}
