//! A year of carrying to ten sites: volumes are lost, come in any order, and emergency patches overtake them.

use std::fs;
use std::path::{Path, PathBuf};

use aftk::cancel::Cancel;
use aftk::events::Silent;
use aftk::ops::Basis;
use aftk::ops::collect::{self, ReissueRequest};
use aftk::ops::pack::Packed;
use aftk::ops::receipt;
use aftk::ops::volumes::Volumes;
use aftk::problem::{Kind, Problem};
use aftk::store::Store;
use aftk::trust::{COLLECT_KEY, Trust};

use crate::support::sides::{Sides, bundles, import, sound};

const MONTHS: u64 = 12;
const SITES: usize = 10;
/// How many files the channel has, how many change in a month, and how large they are.
const FILES: u64 = 16;
const CHANGING: u64 = 8;
const SIZE: usize = 200_000;
const VOLUME: u64 = 1200 * 1024;
/// So many in a hundred volumes are lost.
const LOST: u64 = 5;

/// Chance that is the same in every run.
struct Chance(u64);

impl Chance {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    fn below(&mut self, end: u64) -> u64 {
        // The lower bits are the weaker ones.
        (self.next() >> 32) % end
    }

    fn shuffle<T>(&mut self, list: &mut [T]) {
        for at in (1..list.len()).rev() {
            list.swap(at, self.below(at as u64 + 1) as usize);
        }
    }

    fn bytes(&mut self) -> Vec<u8> {
        (0..SIZE / 8).flat_map(|_| self.next().to_le_bytes()).collect()
    }
}

/// Outside, and how many bytes left it.
struct Outside {
    sides: Sides,
    store: Store,
    trust: Trust,
    chance: Chance,
    carried: u64,
    /// What would have left it if it had known each site, and nothing had been lost.
    ideal: u64,
    volumes: u64,
    lost: u64,
    overtaken: u64,
}

impl Outside {
    /// Collects files of the channel; the sequence.
    fn collect(&self, files: impl Iterator<Item = u64>) -> u64 {
        let files: Vec<String> = files.map(|file| format!("file:./{file}.bin")).collect();
        let words = ["collect", "--channel", "prod", "--no-readback", "--json", "--out", "../collected"];
        let words: Vec<&str> = words.into_iter().chain(files.iter().map(String::as_str)).collect();
        let ran = self.sides.run("out", &words);
        ran.json()["bundle"]["sequence"].as_u64().unwrap_or_else(|| panic!("{ran:?}"))
    }

    fn change(&mut self, file: u64) {
        let bytes = self.chance.bytes();
        self.sides.write(&format!("{file}.bin"), bytes);
    }

    fn issue(&self, sequence: u64, out: &Path, volume_size: Option<u64>, basis: Option<Basis>) -> Packed {
        let request = ReissueRequest {
            channel: "prod".to_owned(),
            sequence,
            out: out.to_owned(),
            read_back: false,
            volumes: Volumes { size: volume_size, recovery: None },
            basis,
        };
        let signer = self.trust.signer(COLLECT_KEY, None).unwrap();
        collect::reissue(&request, &self.store, &signer, None, &Silent, &Cancel::default()).unwrap()
    }

    /// What a site lacks of what is listed, as a file for `--missing`.
    fn lacking(&self, sequence: u64, files: &[u64], site: &Path) -> PathBuf {
        let there = Store::open(site).unwrap();
        let entries = self.store.catalogue.snapshots("prod").unwrap();
        let entry = entries.iter().find(|entry| entry.sequence == sequence).unwrap();
        let read = |file: &u64| fs::read(self.sides.path("project").join(format!("{file}.bin"))).unwrap();
        let blobs = files.iter().map(|file| bundle_format::BlobKey::of(&read(file)));
        let keys = blobs.chain(entry.segments.iter().copied());
        let lacking = keys.filter(|key| there.blobs.size(key).unwrap().is_none());
        let list = self.sides.path("lacking");
        fs::write(&list, lacking.map(|key| format!("{key}\n")).collect::<String>()).unwrap();
        list
    }

    /// Carries volumes to a site in this order, and those that were lost once more until all have arrived; of each bundle, what
    /// it was issued by. Returns the sequences in the order in which they became visible.
    fn carry(&mut self, site: &Path, bundles: &[Bundle]) -> Vec<u64> {
        let mut visible = Vec::new();
        let all = bundles
            .iter()
            .flat_map(|bundle| bundle.volumes.iter().map(move |volume| (bundle, volume.clone())));
        let mut all: Vec<(&Bundle, PathBuf)> = all.collect();
        self.chance.shuffle(&mut all);
        while !all.is_empty() {
            let mut again = Vec::new();
            for (bundle, volume) in all {
                self.carried += volume.metadata().unwrap().len();
                self.volumes += 1;
                if self.chance.below(100) < LOST {
                    self.lost += 1;
                    // Made again with what it was made by, it is the same.
                    fs::remove_file(&volume).unwrap();
                    let basis = bundle.receipt.clone().map(|receipt| Basis::Receipts(vec![receipt]));
                    self.issue(bundle.sequence, volume.parent().unwrap(), Some(VOLUME), basis);
                    again.push((bundle, volume));
                    continue;
                }
                match import(site, &[volume]) {
                    Ok(_) => visible.push(bundle.sequence),
                    Err(Problem { kind: Kind::Incomplete, code, .. }) if code == "bundle.volumes-missing" => {
                    }
                    Err(problem) => panic!("{}: {problem:?}", site.display()),
                }
            }
            all = again;
        }
        visible
    }
}

/// A bundle for one site.
struct Bundle {
    sequence: u64,
    volumes: Vec<PathBuf>,
    receipt: Option<PathBuf>,
}

#[test]
fn a_year_of_losses_and_patches_needs_nothing_but_volumes_issued_again() {
    let sides = Sides::new();
    sides.trust();
    let home = sides.path("out");
    let (store, trust) = (Store::open(&home).unwrap(), Trust::open(&home).unwrap());
    let mut outside = Outside {
        sides,
        store,
        trust,
        chance: Chance(0x9E37_79B9_7F4A_7C15),
        carried: 0,
        ideal: 0,
        volumes: 0,
        lost: 0,
        overtaken: 0,
    };
    (0..FILES).for_each(|file| outside.change(file));
    let sites: Vec<PathBuf> = (0..SITES).map(|site| outside.sides.path(&format!("site-{site}"))).collect();
    for site in &sites {
        outside.sides.run(site.to_str().unwrap(), &["key", "trust", "collector.pem"]).done();
    }
    let mut receipts: Vec<Option<PathBuf>> = vec![None; SITES];
    for month in 1..=MONTHS {
        for file in 0..CHANGING {
            outside.change((month * CHANGING + file) % FILES);
        }
        let all: Vec<u64> = (0..FILES).collect();
        let monthly = outside.collect(all.iter().copied());
        let is_ideal: Vec<u64> = sites.iter().map(|site| outside.ideal_size(monthly, &all, site)).collect();
        // Now and then one file has to be mended before the bundle of the month arrived.
        let patch = (month % 4 == 0).then(|| {
            let file = outside.chance.below(FILES);
            outside.change(file);
            (outside.collect(std::iter::once(file)), file)
        });
        for (number, site) in sites.iter().enumerate() {
            let mut coming = Vec::new();
            let out = outside.sides.path(&format!("stick-{number}-{month}"));
            let basis = receipts[number].clone().map(|receipt| Basis::Receipts(vec![receipt]));
            outside.ideal += is_ideal[number];
            for sequence in [Some(monthly), patch.map(|(sequence, _)| sequence)].into_iter().flatten() {
                let out = out.join(sequence.to_string());
                outside.issue(sequence, &out, Some(VOLUME), basis.clone());
                coming.push(Bundle { sequence, volumes: bundles(&out), receipt: receipts[number].clone() });
            }
            if let Some((sequence, file)) = patch {
                outside.ideal += outside.ideal_size(sequence, &[file], site);
            }
            let visible = outside.carry(site, &coming);
            outside.overtaken += u64::from(visible.len() == 2 && visible[0] > visible[1]);
            let (there, trust) = (Store::open(site).unwrap(), Trust::open(site).unwrap());
            let name = format!("site-{number}");
            let said = receipt::issue(&there, &trust, &name, month % 2 == 0, &Cancel::default()).unwrap();
            let file = outside.sides.path(&format!("{name}-{month}.receipt"));
            fs::write(&file, said.text).unwrap();
            receipts[number] = Some(file);
            fs::remove_dir_all(&out).unwrap();
        }
    }
    let shown = sound(&home);
    for site in &sites {
        assert_eq!(sound(site), shown, "{}", site.display());
    }
    let ratio = outside.carried as f64 / outside.ideal as f64;
    let Outside { volumes, lost, overtaken, carried, .. } = outside;
    println!(
        "{carried} bytes carried, {ratio:.3} of the least; {lost} of {volumes} volumes lost, {overtaken} overtaken"
    );
    assert!(lost > 5 && overtaken > 5, "{lost} lost, {overtaken} overtaken");
    assert!(ratio <= 1.1, "{ratio}");
}

impl Outside {
    /// The bytes of a bundle in one volume, of exactly what a site lacks.
    fn ideal_size(&self, sequence: u64, files: &[u64], site: &Path) -> u64 {
        let out = self.sides.path("ideal");
        let list = self.lacking(sequence, files, site);
        let packed = self.issue(sequence, &out, None, Some(Basis::AllBut(list)));
        fs::remove_dir_all(&out).unwrap();
        packed.bytes
    }
}
