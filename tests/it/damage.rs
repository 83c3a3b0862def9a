//! A bundle that is damaged in any way is refused, and the store stays as it was.

use std::io::{Seek, SeekFrom, Write};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};

use aftk::cancel::Cancel;
use aftk::events::Silent;
use aftk::ops::import;
use aftk::problem::Kind;
use aftk::store::{Revision, Store};
use aftk::trust::Trust;
use bundle_format::BlobKey;
use serde_json::json;

use crate::support::fake_upstream::FakeUpstream;
use crate::support::npm_project::{self, package, publish, write_project};
use crate::support::sides::{Sides, copy_directory, scratch, shown, sound};

/// How many stores are tried on at once.
const THREADS: usize = 2;
/// What one damage is.
#[derive(Debug, Clone, Copy)]
enum Damage {
    /// These bits of a byte are flipped.
    Flip(usize, u8),
    /// It ends before this byte.
    Cut(usize),
    /// A byte more at the end.
    Append,
}

/// Makes a bundle with tarballs of about so many bytes; returns its file.
fn bundle(sides: &Sides, tarballs: [usize; 2]) -> PathBuf {
    let upstream = FakeUpstream::start();
    let [one, two] = tarballs;
    let packages = [package("a", "1.0.0", json!({}), one), package("@b/c", "2.0.0", json!({"a": "1"}), two)];
    publish(&upstream, &packages);
    write_project(sides, &packages);
    let mut command = sides.command("out");
    npm_project::reach(&mut command, &upstream);
    assert!(command.args(["collect", "-q", "--out", "../stick"]).status().unwrap().success());
    sides.medium().remove(0)
}

/// Where the documents stand in a volume: their bytes, without headers and padding.
fn documents(volume: &[u8]) -> Vec<std::ops::Range<usize>> {
    let mut at = 0;
    let mut found = Vec::new();
    while volume[at] != 0 {
        let field =
            |from: usize, length: usize| std::str::from_utf8(&volume[at + from..at + from + length]).unwrap();
        let name = field(0, 100).trim_end_matches('\0');
        let size = usize::from_str_radix(field(124, 11), 8).unwrap();
        if name.starts_with("aftk/") {
            found.push(at + 512..at + 512 + size);
        }
        at += 512 + size.div_ceil(512) * 512;
    }
    assert_eq!(found.len(), 5);
    found
}

/// What must not change.
#[derive(Debug, PartialEq, Eq)]
struct State {
    revision: Revision,
    /// How many rows each table has, but for the log of what was refused, and for names that mean nothing by themselves.
    rows: Vec<(&'static str, i64)>,
    blobs: Vec<(BlobKey, u64)>,
}

const TABLES: [&str; 11] = [
    "generation",
    "repository_link",
    "package",
    "artifact",
    "file",
    "link",
    "ref",
    "staged",
    "snapshot",
    "session",
    "claim",
];

impl State {
    fn of(store: &Store, rows: &rusqlite::Connection) -> State {
        let mut blobs = Vec::new();
        store
            .blobs
            .list(&mut |key, size| {
                blobs.push((key, size));
                Ok(true)
            })
            .unwrap();
        let count = |table| {
            let mut statement = rows.prepare_cached(&format!("SELECT count(*) FROM {table}")).unwrap();
            (table, statement.query_row([], |row| row.get(0)).unwrap())
        };
        State {
            revision: store.catalogue.revision().unwrap(),
            rows: TABLES.into_iter().map(count).collect(),
            blobs,
        }
    }
}

/// Imports the bundle with every damage, into stores that begin like `home`.
fn refuse_all(home: &Path, bundle: &Path, damages: &[Damage]) {
    let bytes = std::fs::read(bundle).unwrap();
    let next = AtomicUsize::new(0);
    std::thread::scope(|scope| {
        for _ in 0..THREADS {
            scope.spawn(|| {
                let directory = scratch();
                let mine = directory.path().join("home");
                copy_directory(home, &mine);
                let (store, trust) = (Store::open(&mine).unwrap(), Trust::open(&mine).unwrap());
                let rows = rusqlite::Connection::open(store.layout.catalogue()).unwrap();
                let before = (State::of(&store, &rows), shown(&store));
                let path = directory.path().join("damaged.aftk.tar");
                std::fs::write(&path, &bytes).unwrap();
                let request =
                    import::ImportRequest { paths: vec![path.clone()], dry_run: false, missing: None };
                let mut file = std::fs::OpenOptions::new().write(true).open(&path).unwrap();
                while let Some(damage) = damages.get(next.fetch_add(1, Ordering::Relaxed)) {
                    match damage {
                        Damage::Flip(at, bits) => {
                            file.write_all_at(&[bytes[*at] ^ bits], *at as u64).unwrap()
                        }
                        Damage::Cut(at) => file.set_len(*at as u64).unwrap(),
                        Damage::Append => file.write_all_at(&[0], bytes.len() as u64).unwrap(),
                    }
                    let problem = import::import(&store, &trust, &request, &Silent, &Cancel::default())
                        .and_then(import::ImportReport::all)
                        .expect_err("damaged, and imported");
                    assert_eq!(problem.kind, Kind::Untrusted, "{damage:?}: {problem:?}");
                    assert_eq!(State::of(&store, &rows), before.0, "{damage:?}");
                    match damage {
                        Damage::Flip(at, _) => file.write_all_at(&bytes[*at..=*at], *at as u64).unwrap(),
                        Damage::Cut(at) => {
                            file.seek(SeekFrom::Start(*at as u64)).unwrap();
                            file.write_all(&bytes[*at..]).unwrap();
                        }
                        Damage::Append => file.set_len(bytes.len() as u64).unwrap(),
                    }
                }
                assert_eq!(shown(&store), before.1);
                assert_eq!(store.layout.staging().read_dir().unwrap().count(), 0, "nothing is left over");
                drop((store, trust, rows));
                sound(&mine);
                // Whole again, it is what it was made for.
                let report = crate::support::sides::import(&mine, std::slice::from_ref(&path)).unwrap();
                assert_eq!(report.bundles[0].artifacts, 3);
            });
        }
    });
}

/// Damages a bundle: every bit of its documents, and elsewhere and for cuts every `step`-th byte.
fn every(step: usize, bundle: &Path) -> Vec<Damage> {
    let bytes = std::fs::read(bundle).unwrap();
    let documents = documents(&bytes);
    let is_document = |at: &usize| documents.iter().any(|document| document.contains(at));
    let (inside, elsewhere): (Vec<usize>, Vec<usize>) = (0..bytes.len()).partition(is_document);
    let bits = inside.iter().flat_map(|at| (0..8).map(|bit| Damage::Flip(*at, 1 << bit)));
    let flips = elsewhere.iter().step_by(step).map(|at| Damage::Flip(*at, 0xFF));
    let cuts = (0..bytes.len()).step_by(step).map(Damage::Cut);
    let damages: Vec<Damage> = bits.chain(flips).chain(cuts).chain([Damage::Append]).collect();
    let (bits, flips, cuts) = (8 * inside.len(), elsewhere.len().div_ceil(step), bytes.len().div_ceil(step));
    assert!(bits > 8 * 1024);
    assert_eq!(damages.len(), bits + flips + cuts + 1);
    println!(
        "{} bytes: {bits} bits of documents and {flips} bytes elsewhere flipped, {cuts} cuts, 1 byte more",
        bytes.len()
    );
    damages
}

/// A store that holds the bundle already reads it as whoever imports a second time: every byte, and nothing is staged.
fn damage_what_is_held(step: usize) {
    let sides = Sides::new();
    let bundle = bundle(&sides, [17_000, 33_000]);
    sides.trust();
    sides.run("in", &["import", "-q", bundle.to_str().unwrap()]).done();
    refuse_all(&sides.path("in"), &bundle, &every(step, &bundle));
}

/// A store that holds nothing stages rows and bytes until it meets the damage. There each takes longer, so that the tarballs
/// are small: of their bytes each is like the other.
fn damage_what_is_new(step: usize) {
    let sides = Sides::new();
    let bundle = bundle(&sides, [200, 300]);
    sides.trust();
    refuse_all(&sides.path("in"), &bundle, &every(step, &bundle));
}

#[test]
fn every_bit_of_the_documents_and_bytes_everywhere_are_held_to_what_was_signed() {
    // The bundle's reader is tried with every byte by its own tests.
    damage_what_is_held(17);
}

#[test]
fn an_empty_store_refuses_them_too() {
    let sides = Sides::new();
    let bundle = bundle(&sides, [17_000, 33_000]);
    sides.trust();
    let length = std::fs::read(&bundle).unwrap().len();
    assert!(length >= 64 * 1024);
    // A prime step meets headers, documents and blobs at all kinds of places.
    let flips = (0..length).step_by(307).map(|at| Damage::Flip(at, 1 << (at % 8)));
    let cuts = (0..length).step_by(613).map(Damage::Cut);
    let damages: Vec<Damage> = flips.chain(cuts).chain([Damage::Append]).collect();
    refuse_all(&sides.path("in"), &bundle, &damages);
}

#[test]
#[ignore = "takes some minutes; .ci/run calls it"]
fn every_flip_and_every_cut_is_refused() {
    damage_what_is_held(1);
}

#[test]
#[ignore = "takes some minutes; .ci/run calls it"]
fn every_flip_and_every_cut_is_refused_by_an_empty_store() {
    damage_what_is_new(1);
}
