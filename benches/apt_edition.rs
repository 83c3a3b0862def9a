//! How long an edition takes: of a store with 60,000 packages, and of ten more.
//!
//! `cargo bench --bench apt_edition -- PACKAGES`: the file lists packages as an archive's unpacked index does.

#![allow(clippy::unwrap_used, reason = "a benchmark that cannot go on fails")]
#![allow(clippy::disallowed_methods, clippy::print_stdout, reason = "it measures, and says what it measured")]

use std::collections::BTreeMap;
use std::time::Instant;

use aftk::cancel::Cancel;
use aftk::events::Silent;
use aftk::ops::editions;
use aftk::store::{Change, ChangeSet, Generation, Merge, Precondition, Store};
use bundle_format::{Artifact, BlobKey, File, Record, Repository};

fn artifact(stanza: &str) -> Artifact {
    let field = |name: &str| {
        let found = stanza.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(": "));
        found.unwrap_or_default().to_owned()
    };
    let architecture = field("Architecture");
    let attributes = [
        ("architecture", architecture.as_str()),
        ("component", "main"),
        ("control", stanza),
        ("suite", "stable"),
    ];
    Artifact {
        ecosystem: "apt".to_owned(),
        repository: "debian".to_owned(),
        name: field("Package"),
        version: field("Version"),
        qualifier: format!("{architecture};stable/main"),
        schema: "apt/1".to_owned(),
        attributes: attributes.map(|(name, value)| (name.to_owned(), value.into())).into(),
        files: vec![File {
            role: "package".to_owned(),
            path: field("Filename"),
            blob: BlobKey::from_hex(&field("SHA256")).unwrap(),
            size: field("Size").parse().unwrap(),
            media_type: String::new(),
            checksums: Vec::new(),
            origin: String::new(),
        }],
        requires: Vec::new(),
    }
}

fn add(store: &Store, artifacts: &[Artifact]) {
    let generation: Generation = store.catalogue.begin_generation("main").unwrap();
    let repository =
        Repository { ecosystem: "apt".to_owned(), name: "debian".to_owned(), origin: String::new() };
    store.catalogue.stage(generation, &[Record::Repository(repository)]).unwrap();
    for some in artifacts.chunks(2000) {
        let records: Vec<Record> = some.iter().cloned().map(Record::Artifact).collect();
        store.catalogue.stage(generation, &records).unwrap();
    }
    store.catalogue.merge(generation, Merge::Add).unwrap();
    let changes = ChangeSet { changes: vec![Change::Publish(generation)] };
    store.catalogue.commit(&changes, &Precondition::None).unwrap();
}

/// Processor time so far, of all threads, in seconds.
fn processor() -> f64 {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap();
    let fields: Vec<&str> = stat.rsplit(')').next().unwrap().split_whitespace().collect();
    let ticks = fields[11].parse::<f64>().unwrap() + fields[12].parse::<f64>().unwrap();
    ticks / 100.0
}

fn peak() -> String {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    status.lines().find(|line| line.starts_with("VmHWM")).unwrap_or_default().to_owned()
}

fn main() {
    let Some(path) = std::env::args().skip(1).find(|word| !word.starts_with('-')) else { return };
    let home = tempfile::tempdir_in(".").unwrap();
    let store = Store::open(home.path()).unwrap();
    let mut all = BTreeMap::new();
    for stanza in std::fs::read_to_string(path).unwrap().split_terminator("\n\n") {
        let artifact = artifact(stanza);
        all.insert((artifact.name.clone(), artifact.version.clone(), artifact.qualifier.clone()), artifact);
    }
    let all: Vec<Artifact> = all.into_values().collect();
    let (mut first, mut later) = (Vec::new(), Vec::new());
    for (number, artifact) in all.iter().cloned().enumerate() {
        // Ten that stand far from each other.
        if number % (all.len() / 10) == 7 && later.len() < 10 {
            later.push(artifact)
        } else {
            first.push(artifact)
        }
    }
    add(&store, &first);
    println!("{} packages; {}", first.len(), peak());
    let measured = |what: &str| {
        let (begun, spent) = (Instant::now(), processor());
        editions::refresh(&store, &Silent, &Cancel::default()).unwrap();
        let (wall, spent) = (begun.elapsed().as_secs_f64(), processor() - spent);
        println!("{what}: {wall:.2} s, {spent:.2} s of processor time; {}", peak());
    };
    measured("the first edition");
    measured("again, unchanged");
    add(&store, &later);
    measured("ten packages more");
}
