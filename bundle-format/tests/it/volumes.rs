//! Bundles of several volumes: each verifies alone, and together they carry everything.

use std::collections::{BTreeSet, HashMap};
use std::io::{self, Read};

use bundle_format::*;

use crate::sample::Sample;
use crate::support::{TestKey, TestVerifier};

/// Bytes that look like nothing, different for each number.
pub(crate) fn noise(number: u64, length: usize) -> Vec<u8> {
    let mut state = number.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1;
    let next = |_| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state.to_le_bytes()[0]
    };
    (0..length).map(next).collect()
}

fn sample() -> Sample {
    let sizes = [0, 1, 511, 512, 513, 40_000, 700_000, 1_500_000, 3_000_000, 200_000];
    let files: Vec<Vec<u8>> = sizes.iter().zip(1..).map(|(size, number)| noise(number, *size)).collect();
    Sample::of(&files)
}

const DOCUMENTS: u64 = 16 * 1024;

/// The sample, cut into volumes of at most so many bytes; with the recipes among its blobs.
pub(crate) fn cut(sample: &Sample, most: u64) -> Result<(BundlePlan, Sample), PlanError> {
    let mut all = sample.clone();
    let sizes: Vec<_> = sample.blobs.iter().map(|(key, bytes)| (*key, bytes.len() as u64)).collect();
    let part = |source: &Source| {
        let bytes = &sample.blobs[&source.blob];
        BlobKey::of(&bytes[source.offset as usize..(source.offset + source.size) as usize])
    };
    let plan = BundlePlan::cut(
        &sample.snapshot.segments,
        sizes,
        &mut Cutter {
            most,
            documents: DOCUMENTS,
            hash: &mut |source| Ok(part(source)),
            keep: &mut |segment, bytes| {
                all.blobs.insert(segment.digest, bytes.to_vec());
                Ok(())
            },
        },
    )?;
    Ok((plan, all))
}

pub(crate) fn volumes(plan: &BundlePlan, sample: &Sample) -> Vec<Vec<u8>> {
    let documents = Documents::sign(&sample.snapshot, plan, &[&TestKey::new(1)]).unwrap();
    let open = |key: &BlobKey| -> io::Result<Box<dyn Read>> {
        let Some(source) = plan.piece(key) else { return sample.open(key) };
        let bytes = &sample.blobs[&source.blob];
        let part = &bytes[source.offset as usize..(source.offset + source.size) as usize];
        Ok(Box::new(io::Cursor::new(part.to_vec())))
    };
    let write = |number| {
        let mut volume = Vec::new();
        let written = write_volume(&mut volume, &documents, (plan, number), &mut |key| open(key)).unwrap();
        assert_eq!(written.size, documents.file_size(&plan.volumes()[number]));
        volume
    };
    (0..plan.volumes().len()).map(write).collect()
}

/// All blobs and recipes that volumes bring.
fn read(volumes: &[Vec<u8>]) -> (HashMap<BlobKey, Vec<u8>>, Vec<Recipe>) {
    let (mut blobs, mut recipes) = (HashMap::new(), Vec::new());
    for volume in volumes {
        let mut reader = VolumeReader::open(volume.as_slice(), &TestVerifier::new()).unwrap();
        let mut order = RecordOrder::default();
        while let Some((key, size)) = reader.next_blob().unwrap() {
            let segment = reader.current_recipes().cloned();
            let mut bytes = Vec::new();
            reader
                .copy_blob(&mut |chunk| {
                    bytes.extend_from_slice(chunk);
                    Ok(())
                })
                .unwrap();
            assert_eq!(bytes.len() as u64, size);
            if let Some(segment) = segment {
                let read = RecipeReader::new(&segment, bytes.as_slice(), &mut order);
                recipes = read.collect::<Result<_, _>>().unwrap();
            }
            blobs.insert(key, bytes);
        }
        reader.finish().unwrap();
    }
    (blobs, recipes)
}

#[test]
fn volumes_carry_everything_and_none_is_too_large() {
    let sample = sample();
    for most in [1_100_000, 1_500_000, 2_000_000, 4_000_000, u64::MAX] {
        let (plan, all) = cut(&sample, most).unwrap();
        let volumes = volumes(&plan, &all);
        assert_eq!(volumes.len() == 1, most == u64::MAX, "{most}");
        assert!(volumes.iter().all(|volume| volume.len() as u64 <= most), "{most}");
        let (mut blobs, recipes) = read(&volumes);
        assert_eq!(recipes.is_empty(), volumes.len() == 1);
        for recipe in recipes {
            let whole: Vec<u8> = recipe.concat.iter().flat_map(|piece| blobs[&piece.blob].clone()).collect();
            assert_eq!((BlobKey::of(&whole), whole.len() as u64), (recipe.blob, recipe.size));
            blobs.insert(recipe.blob, whole);
        }
        assert!(sample.blobs.iter().all(|(key, bytes)| blobs.get(key) == Some(bytes)), "{most}");
        // Nothing travels twice but the segments, which the first and the last have.
        let sizes = plan.volumes().iter().flat_map(VolumePlan::blobs);
        let carried: u64 = sizes.map(|(_, size)| size).sum();
        let needed: u64 = sample.blobs.values().map(|bytes| bytes.len() as u64).sum();
        assert!(carried < needed + 100_000, "{carried} for {needed}");
    }
}

#[test]
fn a_volume_says_which_it_is_whatever_it_is_called() {
    let (plan, all) = cut(&sample(), 1_500_000).unwrap();
    let volumes = volumes(&plan, &all);
    let mut numbers = BTreeSet::new();
    for volume in volumes.iter().rev() {
        let reader = VolumeReader::open(volume.as_slice(), &TestVerifier::new()).unwrap();
        assert_eq!(reader.volume_count(), volumes.len() as u64);
        assert_eq!(reader.expected_size(), volume.len() as u64);
        numbers.insert(reader.volume_number());
    }
    assert_eq!(numbers, (1..=volumes.len() as u64).collect());
}

#[test]
fn what_every_volume_has_must_fit() {
    let sample = sample();
    assert!(matches!(cut(&sample, 100_000), Err(PlanError::TooSmall(100_000, least)) if least > 1 << 20));
    let (again, _) = cut(&sample, 1_200_000).unwrap();
    assert_eq!(cut(&sample, 1_200_000).unwrap().0, again, "the same every time");
}

#[test]
fn what_does_not_make_the_blob_is_no_recipe() {
    let piece = |size| Piece { blob: BlobKey::of(b"piece"), size };
    let recipe = |size, concat| {
        let recipe = Recipe { kind: recipe::Kind::Recipe, blob: BlobKey::of(b"whole"), size, concat };
        recipe.validate()
    };
    assert!(recipe(3, vec![piece(1), piece(2)]).is_ok());
    for (size, concat) in [
        (1, vec![piece(1)]),
        (0, vec![]),
        (4, vec![piece(1), piece(2)]),
        (1, vec![piece(1), piece(0)]),
        ((8 << 30) + 1, vec![piece(8 << 30), piece(1)]),
        (u64::MAX, vec![piece((8 << 30) - 1); 2]),
        (2, vec![Piece { blob: BlobKey::of(b"whole"), size: 1 }, piece(1)]),
    ] {
        assert!(recipe(size, concat.clone()).is_err(), "{size} {concat:?}");
    }
}
