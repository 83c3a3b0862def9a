//! Recovery: damaged volumes are mended, and lost ones made again, byte for byte.

use std::collections::BTreeMap;
use std::io;

use bundle_format::recovery::{
    self, Data, Grid, Lanes, Layout, Packets, RecoveryFile, Subject, Survey, mend, protect,
};
use bundle_format::*;
use proptest::prelude::*;

use crate::sample::Sample;
use crate::support::{TestKey, TestVerifier};
use crate::volumes::{cut, noise, volumes};

/// A bundle of several volumes with everything that it can have of recovery.
struct Protected {
    plan: BundlePlan,
    packing: PackingList,
    key: BlobKey,
    documents: Documents,
    sample: Sample,
    /// The files of the volumes.
    volumes: Vec<Vec<u8>>,
}

impl Protected {
    fn new(files: &[Vec<u8>], most: u64, percent: Option<u64>, spares: Option<u64>) -> Protected {
        let (plan, sample) = cut(&Sample::of(files), most).unwrap();
        let plan = plan.with_recovery(Some(Recovery { percent, spares }));
        let documents = Documents::sign(&sample.snapshot, &plan, &[&TestKey::new(1)]).unwrap();
        let volumes = volumes(&plan, &sample);
        Protected {
            packing: PackingList::from_bytes(&documents.packing).unwrap(),
            key: BlobKey::of(&documents.packing),
            plan,
            documents,
            sample,
            volumes,
        }
    }

    fn layout(&self, subject: Subject) -> Layout {
        Layout::of(&self.packing, self.key, subject).unwrap()
    }

    fn body(&self, volume: usize) -> Vec<u8> {
        self.volumes[volume][self.documents.head_size() as usize..].to_vec()
    }

    fn bodies(&self) -> Vec<Vec<u8>> {
        (0..self.volumes.len()).map(|volume| self.body(volume)).collect()
    }

    /// The packets of a file of recovery.
    fn packets(&self, subject: Subject, data: &Lanes<'_>) -> Vec<u8> {
        let layout = self.layout(subject);
        let mut packets = vec![0; layout.size() as usize];
        protect(&layout.grid, data, &layout.seal, &layout.lanes, &mut |made| {
            let at = layout.offset(made.lane, made.stripe) as usize;
            packets[at..at + made.bytes.len()].copy_from_slice(made.bytes);
            Ok(())
        })
        .unwrap();
        packets
    }
}

fn files() -> Vec<Vec<u8>> {
    let sizes = [0, 1, 511, 512, 513, 40_000, 700_000, 1_500_000, 3_000_000, 200_000];
    sizes.iter().zip(1..).map(|(size, number)| noise(number, *size)).collect()
}

/// Mends bodies in memory.
fn mend_all(layout: &Layout, bodies: &mut [Vec<u8>], packets: &BTreeMap<usize, &[u8]>) -> Survey {
    mend_with(layout, bodies, packets, &[], &[])
}

/// The same with other copies of the bodies, and lanes that are known to be sound.
fn mend_with(
    layout: &Layout,
    bodies: &mut [Vec<u8>],
    packets: &BTreeMap<usize, &[u8]>,
    copies: &[&[Vec<u8>]],
    sound: &[usize],
) -> Survey {
    let (mut put, grid) = (Vec::new(), layout.grid);
    let files: Vec<(usize, Vec<u8>)> = packets.iter().map(|(lane, bytes)| (*lane, bytes.to_vec())).collect();
    let packets: Vec<Packets<'_>> = files
        .iter()
        .map(|(lane, bytes)| Packets {
            file: bytes,
            start: 0,
            layout: Layout { lanes: *lane..lane + 1, ..layout.clone() },
        })
        .collect();
    let survey = {
        let copies: Vec<Lanes<'_>> = copies.iter().map(|copy| lanes(copy, layout.seal.unit)).collect();
        let lanes = lanes(bodies, layout.seal.unit);
        let data = Data { lanes: &lanes, copies: &copies, sound: &|lane| sound.contains(&lane) };
        let put = &mut |lane, stripe, slice: &[u8]| {
            put.push((lane, stripe, slice.to_vec()));
            Ok(())
        };
        mend(&data, &packets, Some(put), &mut |_| Ok(())).unwrap()
    };
    for (lane, stripe, slice) in put {
        assert!(!sound.contains(&lane));
        let (at, length) = lanes(bodies, layout.seal.unit).part(&grid, lane, stripe);
        let body = if layout.seal.unit > 0 { &mut bodies[0] } else { &mut bodies[lane] };
        body[at as usize..at as usize + length].copy_from_slice(&slice[..length]);
    }
    survey
}

fn lanes(bodies: &[Vec<u8>], unit: u64) -> Lanes<'_> {
    match unit {
        0 => Lanes::Each(bodies.iter().map(|it| (it as &dyn ReadAt, it.len() as u64)).collect()),
        _ => Lanes::One(&bodies[0], bodies[0].len() as u64),
    }
}

/// The packets of a file with all lanes, a slice of it for each.
fn by_lane<'a>(layout: &Layout, packets: &'a [u8]) -> BTreeMap<usize, &'a [u8]> {
    let size = packets.len() / layout.lanes.len();
    layout.lanes.clone().zip(packets.chunks_exact(size)).collect()
}

#[test]
fn a_body_is_what_stands_in_the_file() {
    let protected = Protected::new(&files(), 1_500_000, Some(10), None);
    assert!(protected.volumes.len() > 2);
    let open = |key: &BlobKey| -> io::Result<Box<dyn ReadAt>> {
        let bytes = match protected.plan.piece(key) {
            Some(part) => {
                let whole = &protected.sample.blobs[&part.blob];
                &whole[part.offset as usize..(part.offset + part.size) as usize]
            }
            None => &protected.sample.blobs[key],
        };
        Ok(Box::new(bytes.to_vec()))
    };
    for (number, plan) in protected.plan.volumes().iter().enumerate() {
        let (body, expected) = (Body::new(plan, &open), protected.body(number));
        assert_eq!(body.size(), expected.len() as u64);
        let mut read = vec![0xAA; expected.len()];
        body.read_at(0, &mut read).unwrap();
        assert!(read == expected, "volume {number}");
        for (at, length) in [(0, 1), (511, 3), (600, 100), (1000, 50_000), (expected.len() - 1500, 1500)] {
            let mut read = vec![0xAA; length];
            body.read_at(at as u64, &mut read).unwrap();
            assert!(read == expected[at..at + length], "volume {number} at {at}");
        }
        assert!(body.read_at(expected.len() as u64, &mut [0]).is_err());
    }
}

#[test]
fn a_volume_that_is_an_archive_has_its_body_too() {
    let sample = Sample::of(&[noise(1, 3000)]);
    let plan = sample.plan().with_index(b"{}".to_vec()).unwrap();
    let volume = sample.volume_of(plan.clone());
    let open = |key: &BlobKey| -> io::Result<Box<dyn ReadAt>> { Ok(Box::new(sample.blobs[key].clone())) };
    let body = Body::new(&plan.volumes()[0], &open);
    let mut read = vec![0; body.size() as usize];
    body.read_at(0, &mut read).unwrap();
    assert!(volume.ends_with(&read));
}

#[test]
fn a_lost_volume_is_made_again_from_the_others_and_a_spare_one() {
    let protected = Protected::new(&files(), 2_000_000, None, Some(2));
    let count = protected.volumes.len();
    assert!(count >= 3);
    let sound = protected.bodies();
    let spares: Vec<Vec<u8>> =
        (1..=2).map(|number| protected.packets(Subject::Spare { number }, &lanes(&sound, 0))).collect();
    let layout = protected.layout(Subject::Spare { number: 1 });
    for lost in 0..count {
        for (spare, made) in spares.iter().enumerate() {
            let mut bodies = protected.bodies();
            bodies[lost].fill(0);
            let packets = BTreeMap::from([(spare, made.as_slice())]);
            let survey = mend_all(&layout, &mut bodies, &packets);
            assert!(survey.is_mendable() && survey.damaged > 0);
            assert!(bodies == sound, "volume {lost} by spare {spare}");
        }
    }
    let (mut bodies, mut packets) = (protected.bodies(), by_lane(&layout, &spares[0]));
    packets.insert(1, &spares[1]);
    bodies[0].fill(0);
    bodies[2].fill(0);
    assert!(mend_all(&layout, &mut bodies, &packets).is_mendable());
    assert!(bodies == sound, "two by two");
    // What packets say of a lane that is sound does not count.
    bodies[1][300_000..300_100].fill(0);
    bodies[0].fill(0);
    assert!(mend_with(&layout, &mut bodies, &packets, &[], &[1]).is_mendable());
    assert!(bodies[0] != sound[0] && bodies[2] == sound[2]);
    bodies[1].clone_from(&sound[1]);
    bodies.iter_mut().for_each(|body| body.fill(0));
    assert!(!mend_all(&layout, &mut bodies, &packets).is_mendable());
}

#[test]
fn holes_are_mended_up_to_the_share_that_was_asked_for() {
    let files = [noise(7, 30_000_000)];
    let protected = Protected::new(&files, u64::MAX, Some(10), None);
    let layout = protected.layout(Subject::Recovery { number: 1 });
    assert!(layout.grid.stripes >= 2 && layout.grid.recovery * 10 >= layout.grid.data);
    let sound = protected.bodies();
    let packets = protected.packets(Subject::Recovery { number: 1 }, &lanes(&sound, 1));
    // A hole, and damaged packets.
    let mut bodies = sound.clone();
    bodies[0][5_000_000..6_500_000].fill(0);
    let mut scratched = packets.clone();
    scratched[1_000_000..1_100_000].fill(1);
    let survey = mend_all(&layout, &mut bodies, &by_lane(&layout, &scratched));
    assert!(survey.is_mendable() && survey.damaged >= 22, "{survey:?}");
    assert!(bodies == sound);
    // More than there is for it.
    bodies[0][..4_000_000].fill(0);
    let survey = mend_all(&layout, &mut bodies, &by_lane(&layout, &packets));
    assert!(!survey.is_mendable() && survey.damaged >= 60);
    // What is sound in another copy need not be made.
    let mut copy = sound.clone();
    copy[0][20_000_000..].fill(0);
    let survey = mend_with(&layout, &mut bodies, &by_lane(&layout, &packets), &[&copy], &[]);
    assert!(survey.is_mendable() && bodies == sound);
    // Packets of another bundle are none.
    let mut bodies = sound.clone();
    let mut other = layout.clone();
    other.seal.packing = BlobKey::of(b"another");
    assert_eq!(mend_all(&other, &mut bodies, &by_lane(&layout, &packets)).unknown, layout.grid.stripes);
}

#[test]
fn a_file_of_recovery_is_known_by_either_head() {
    let protected = Protected::new(&files(), 2_000_000, Some(10), Some(1));
    let spare = Subject::Spare { number: 1 };
    let number = protected.volumes.len() as u64 + 1;
    for subject in [spare, Subject::Recovery { number: 2 }, Subject::Recovery { number }] {
        let layout = protected.layout(subject);
        let head = recovery::file::head(&protected.documents, subject);
        let mut file = head.clone();
        file.resize(file.len() + layout.size() as usize, 7);
        file.extend_from_slice(&head);
        let size = file.len() as u64;
        assert_eq!(size, recovery::file::file_size(head.len() as u64, &layout));
        let open = |file: &Vec<u8>| RecoveryFile::open(file, size, &TestVerifier::new());
        for damage in [0..0, 0..head.len(), 700..701, file.len() - head.len()..file.len()] {
            let mut file = file.clone();
            file[damage.clone()].iter_mut().for_each(|byte| *byte ^= 0x55);
            let read = open(&file).unwrap();
            assert_eq!((read.subject, &read.layout), (subject, &layout), "{damage:?}");
            assert_eq!(read.start, head.len() as u64, "{damage:?}");
            assert_eq!(read.head.documents(), protected.documents);
        }
        let mut padded = file.clone();
        padded[..600].fill(0);
        padded.resize(file.len() + 2048, 0);
        let read = RecoveryFile::open(&padded, padded.len() as u64, &TestVerifier::new()).unwrap();
        assert_eq!(read.start, head.len() as u64, "a file that got longer");
        file.iter_mut().for_each(|byte| *byte ^= 0x55);
        assert!(open(&file).is_err());
        let volume = VolumeReader::open(head.as_slice(), &TestVerifier::new());
        assert_eq!(volume.unwrap_err().code(), "bundle.recovery");
    }
    for (subject, met) in [
        (Subject::Spare { number: 2 }, "a spare volume that there is not"),
        (Subject::Spare { number: 0 }, "none"),
        (Subject::Recovery { number: 0 }, "none"),
        (Subject::Recovery { number: 99 }, "of no file"),
    ] {
        let file = recovery::file::head(&protected.documents, subject);
        let opened = RecoveryFile::open(&file, file.len() as u64, &TestVerifier::new());
        assert_eq!(
            opened.err().map(|error| error.code().to_owned()).as_deref(),
            Some("bundle.recovery"),
            "{met}"
        );
    }
}

#[test]
fn a_packing_list_says_what_there_is_and_nothing_absurd() {
    let packing = |percent, spares| {
        let plan = Sample::of(&[noise(1, 100)]).plan().with_recovery(Some(Recovery { percent, spares }));
        let list = PackingList::new(BlobKey::of(b""), &plan);
        list.to_bytes().map(|bytes| PackingList::from_bytes(&bytes).unwrap().recovery)
    };
    let both = Recovery { percent: Some(100), spares: Some(255) };
    assert_eq!(packing(Some(100), Some(255)).unwrap(), Some(both));
    for (percent, spares) in
        [(None, None), (Some(0), None), (Some(101), None), (None, Some(0)), (None, Some(256))]
    {
        assert!(packing(percent, spares).is_err(), "{percent:?} {spares:?}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Whatever is damaged is mended, or said not to be.
    #[test]
    fn what_is_said_to_be_mendable_is_mended(
        size in 1_usize..1_500_000,
        percent in 1_u64..=100,
        holes in prop::collection::vec((0.0..1.0, 1_usize..200_000), 0..4),
    ) {
        let protected = Protected::new(&[noise(3, size)], u64::MAX, Some(percent), None);
        let layout = protected.layout(Subject::Recovery { number: 1 });
        let sound = protected.bodies();
        let packets = protected.packets(Subject::Recovery { number: 1 }, &lanes(&sound, 1));
        let mut bodies = sound.clone();
        for (at, length) in holes {
            let at = (at * bodies[0].len() as f64) as usize;
            let end = (at + length).min(bodies[0].len());
            bodies[0][at..end].iter_mut().for_each(|byte| *byte = !*byte);
        }
        let survey = mend_all(&layout, &mut bodies, &by_lane(&layout, &packets));
        prop_assert_eq!(survey.is_mendable(), bodies == sound);
        let grid = Grid::of_one(sound[0].len() as u64, percent);
        prop_assert!(survey.damaged > grid.recovery as u64 || survey.is_mendable());
    }
}
