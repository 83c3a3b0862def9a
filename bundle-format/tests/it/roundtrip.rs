//! What is written is read back, and nothing is released before it is verified.

use std::io::Read;

use crate::sample::Sample;
use crate::support::{TestKey, TestVerifier, artifact};
use bundle_format::*;

fn sample() -> Sample {
    Sample::of(&[b"one".to_vec(), Vec::new(), vec![7; 300_000], vec![8; 512]])
}

#[test]
fn a_volume_is_read_back() {
    let sample = sample();
    let volume = sample.volume();
    let mut reader = VolumeReader::open(volume.as_slice(), &TestVerifier::new()).unwrap();
    assert_eq!(reader.snapshot(), &sample.snapshot);
    assert_eq!(reader.head().snapshot_bytes(), sample.snapshot.to_bytes().unwrap());
    assert_eq!(reader.signers(), [TestKey::new(1).key_id()]);
    assert_eq!((reader.volume_number(), reader.blobs()), (1, 5));
    assert!(sample.blobs.keys().all(|key| reader.carries(key)));
    assert!(!reader.carries(&BlobKey::of(b"another")));
    assert_eq!(reader.expected_size(), volume.len() as u64);

    let mut order = RecordOrder::default();
    let mut listed = Vec::new();
    let mut met = Vec::new();
    while let Some((key, size)) = reader.next_blob().unwrap() {
        let mut bytes = Vec::new();
        let blob = if let Some(segment) = reader.current_segment().cloned() {
            let (blob, segment_bytes) = reader.read_segment().unwrap();
            for record in SegmentReader::new(&segment, segment_bytes.as_slice(), &mut order) {
                listed.push(record.unwrap());
            }
            bytes = segment_bytes;
            blob
        } else {
            reader
                .copy_blob(&mut |chunk| {
                    bytes.extend_from_slice(chunk);
                    Ok(())
                })
                .unwrap()
        };
        assert_eq!((blob.key(), blob.size()), (key, size));
        assert_eq!(bytes, sample.blobs[&key]);
        met.push(key);
    }
    assert_eq!(met.len(), sample.blobs.len());
    assert_eq!(met[0], sample.snapshot.segments[0].digest);
    assert!(met[1..].is_sorted());
    assert_eq!(listed.len(), 4);
    let verified = reader.finish().unwrap();
    assert_eq!((verified.blobs, verified.size), (5, volume.len() as u64));
    assert_eq!(verified.snapshot_key, BlobKey::of(&sample.snapshot.to_bytes().unwrap()));
}

#[test]
fn a_volume_that_is_an_oci_archive_says_what_its_index_is() {
    let sample = sample();
    let index = br#"{"manifests":[],"schemaVersion":2}"#.to_vec();
    let volume = sample.volume_of(sample.plan().with_index(index.clone()).unwrap());
    let reader = VolumeReader::open(volume.as_slice(), &TestVerifier::new()).unwrap();
    assert_eq!(reader.index(), Some(BlobKey::of(&index)));
    assert_eq!(reader.expected_size(), volume.len() as u64);
    assert_eq!(reader.finish().unwrap().blobs, 5);
    let plain = sample.volume();
    assert_eq!(VolumeReader::open(plain.as_slice(), &TestVerifier::new()).unwrap().index(), None);
    // The largest is still one.
    assert!(sample.plan().with_index(vec![b' '; 16 << 20]).is_ok());
    for size in [0, (16 << 20) + 1] {
        let refused = sample.plan().with_index(vec![b' '; size]).unwrap_err();
        assert!(matches!(refused, PlanError::IndexSize(refused) if refused == size));
    }
}

#[test]
fn blobs_that_nobody_reads_are_verified_all_the_same() {
    let sample = sample();
    let mut volume = sample.volume();
    assert!(VolumeReader::open(volume.as_slice(), &TestVerifier::new()).unwrap().finish().is_ok());
    let at = volume.len() - 100_000;
    volume[at] ^= 1;
    let reader = VolumeReader::open(volume.as_slice(), &TestVerifier::new()).unwrap();
    assert_eq!(reader.finish().unwrap_err().code(), "bundle.digest-mismatch");
}

#[test]
fn a_source_may_give_a_byte_at_a_time() {
    struct Slow<R>(R);
    impl<R: Read> Read for Slow<R> {
        fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
            let length = buffer.len().min(1);
            self.0.read(&mut buffer[..length])
        }
    }
    let volume = Sample::of(&[b"one".to_vec()]).volume();
    let reader = VolumeReader::open(Slow(volume.as_slice()), &TestVerifier::new()).unwrap();
    assert_eq!(reader.finish().unwrap().size, volume.len() as u64);
}

#[test]
fn after_an_error_nothing_more_is_read() {
    let volume = sample().volume();
    let mut reader = VolumeReader::open(volume.as_slice(), &TestVerifier::new()).unwrap();
    reader.next_blob().unwrap();
    let full = reader.copy_blob(&mut |_| Err(std::io::ErrorKind::StorageFull.into())).unwrap_err();
    assert_eq!(full.code(), "bundle.sink");
    assert!(reader.next_blob().is_err());
    assert!(reader.finish().is_err());
}

#[test]
fn a_delta_leaves_out_what_the_site_holds() {
    let sample = sample();
    let plan = BundlePlan::single(&[], [(BlobKey::of(b"one"), 3)]).unwrap();
    let documents = Documents::sign(&sample.snapshot, &plan, &[&TestKey::new(1)]).unwrap();
    let mut volume = Vec::new();
    write_volume(&mut volume, &documents, (&plan, 0), &mut |key| sample.open(key)).unwrap();
    let reader = VolumeReader::open(volume.as_slice(), &TestVerifier::new()).unwrap();
    assert!(!reader.carries(&sample.snapshot.segments[0].digest));
    assert_eq!(reader.finish().unwrap().blobs, 1);
}

#[test]
fn a_damaged_blob_is_not_written() {
    let sample = sample();
    let plan = sample.plan();
    let documents = Documents::sign(&sample.snapshot, &plan, &[&TestKey::new(1)]).unwrap();
    for (change, expected) in
        [(&b"two"[..], "digest"), (b"on", "2 of its 3 bytes"), (b"one more", "more than its 3 bytes")]
    {
        let mut damaged = sample.clone();
        damaged.blobs.insert(BlobKey::of(b"one"), change.to_vec());
        let error =
            write_volume(&mut Vec::new(), &documents, (&plan, 0), &mut |key| damaged.open(key)).unwrap_err();
        assert!(error.to_string().contains(expected), "{error}");
        assert!(error.to_string().contains(&BlobKey::of(b"one").hex()), "{error}");
    }
}

#[test]
fn documents_that_a_reader_would_refuse_are_not_written() {
    let sample = sample();
    let plan = sample.plan();
    let documents = Documents::sign(&sample.snapshot, &plan, &[&TestKey::new(1)]).unwrap();
    let other = BundlePlan::single(&[], []).unwrap();
    let mut other_sequence = sample.snapshot.clone();
    other_sequence.sequence += 1;
    let cases = [
        (documents.clone(), &other),
        (Documents { snapshot: b"{}".to_vec(), ..documents.clone() }, &plan),
        (Documents { snapshot: other_sequence.to_bytes().unwrap(), ..documents.clone() }, &plan),
        (Documents { packing_sig: b"none".to_vec(), ..documents.clone() }, &plan),
    ];
    for (documents, plan) in cases {
        assert!(write_volume(&mut Vec::new(), &documents, (plan, 0), &mut |key| sample.open(key)).is_err());
    }
    let large = BundlePlan::single(&[], [(BlobKey::of(b""), 8 << 30)]).unwrap_err();
    assert!(matches!(large, PlanError::Unreadable { .. }), "it has to be cut");
    let twice = BundlePlan::single(&[], [(BlobKey::of(b""), 0), (BlobKey::of(b""), 1)]).unwrap_err();
    assert!(matches!(twice, PlanError::TwoSizes { .. }));
}

#[test]
fn an_insertion_changes_few_segments() {
    let segments = |skip: Option<usize>| {
        let mut total = 0;
        let mut writer = SegmentWriter::new(|segment: &SegmentRef, bytes: &[u8]| {
            assert_eq!((segment.size, segment.digest), (bytes.len() as u64, BlobKey::of(bytes)));
            assert!(bytes.len() <= limits::MAX_SEGMENT);
            total += bytes.len();
            Ok(())
        });
        for index in (0..40_000).filter(|index| Some(*index) != skip) {
            writer.push(&artifact(&format!("part-{index:06}"), &[])).unwrap();
        }
        let segments = writer.finish().unwrap();
        assert!(segments.len() >= 4, "{total} bytes in {} segments", segments.len());
        segments
    };
    let all = segments(None);
    let changed = segments(Some(10_000)).iter().filter(|segment| !all.contains(segment)).count();
    assert!(changed <= 2, "{changed} of {} segments changed", all.len());
}

#[test]
fn records_come_sorted_and_valid() {
    let mut writer = SegmentWriter::new(|_: &SegmentRef, _: &[u8]| Ok(()));
    writer.push(&artifact("b", &[])).unwrap();
    for name in ["b", "a", "", "c\n"] {
        assert!(writer.push(&artifact(name, &[])).is_err(), "{name:?}");
    }
    writer.push(&artifact("c", &[])).unwrap();
    assert_eq!(writer.finish().unwrap()[0].records, 2);
}

/// Takes a block at a time, and fails at its n-th write.
struct Failing {
    writes_left: usize,
}

impl std::io::Write for Failing {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.writes_left = self.writes_left.checked_sub(1).ok_or(std::io::ErrorKind::StorageFull)?;
        Ok(bytes.len().min(512))
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

#[test]
fn no_failed_write_goes_unnoticed() {
    let sample = sample();
    let plan = sample.plan();
    let documents = Documents::sign(&sample.snapshot, &plan, &[&TestKey::new(1)]).unwrap();
    let write = |writes_left| {
        let mut out = Failing { writes_left };
        write_volume(&mut out, &documents, (&plan, 0), &mut |key| sample.open(key)).map(|_| out.writes_left)
    };
    let writes = 1000 - write(1000).unwrap();
    assert!(writes > 20);
    for at in 0..writes {
        assert!(matches!(write(at), Err(WriteError::Out(_))), "write {at} of {writes}");
    }
}
