//! A snapshot with its blobs in memory, and the volume that it makes.

use std::collections::{BTreeMap, HashMap};
use std::io::{self, Read};

use bundle_format::*;

use crate::support::{TestKey, artifact};

/// A snapshot with its blobs in memory.
#[derive(Clone)]
pub(crate) struct Sample {
    pub(crate) snapshot: Snapshot,
    pub(crate) blobs: HashMap<BlobKey, Vec<u8>>,
}

impl Sample {
    /// One artifact for each of these blobs.
    pub(crate) fn of(files: &[Vec<u8>]) -> Sample {
        let mut blobs: HashMap<BlobKey, Vec<u8>> =
            files.iter().map(|bytes| (BlobKey::of(bytes), bytes.clone())).collect();
        let mut writer = SegmentWriter::new(|segment: &SegmentRef, bytes: &[u8]| {
            blobs.insert(segment.digest, bytes.to_vec());
            Ok(())
        });
        for (index, bytes) in files.iter().enumerate() {
            writer.push(&artifact(&format!("part-{index:04}"), bytes)).unwrap();
        }
        let segments = writer.finish().unwrap();
        let snapshot = Snapshot {
            format: Format::current(),
            channel: "prod".to_owned(),
            epoch: 1,
            sequence: 42,
            previous: None,
            created: "2026-11-21T08:38:55Z".to_owned(),
            expires: None,
            mode: Mode::Add,
            sites: Vec::new(),
            labels: BTreeMap::new(),
            segments,
            ext: BTreeMap::new(),
        };
        Sample { snapshot, blobs }
    }

    pub(crate) fn plan(&self) -> BundlePlan {
        let sizes = self.blobs.iter().map(|(key, bytes)| (*key, bytes.len() as u64));
        BundlePlan::single(&self.snapshot.segments, sizes).unwrap()
    }

    /// The volume, signed by the key with the seed 1.
    pub(crate) fn volume(&self) -> Vec<u8> {
        self.volume_of(self.plan())
    }

    /// The same, as planned.
    pub(crate) fn volume_of(&self, plan: BundlePlan) -> Vec<u8> {
        let documents = Documents::sign(&self.snapshot, &plan, &[&TestKey::new(1)]).unwrap();
        let mut volume = Vec::new();
        let written = write_volume(&mut volume, &documents, (&plan, 0), &mut |key| self.open(key)).unwrap();
        assert_eq!((written.size, written.digest), (volume.len() as u64, BlobKey::of(&volume)));
        assert_eq!(documents.file_size(&plan.volumes()[0]), written.size);
        volume
    }

    pub(crate) fn open(&self, key: &BlobKey) -> io::Result<Box<dyn Read>> {
        let bytes = self.blobs.get(key).ok_or(io::ErrorKind::NotFound)?;
        Ok(Box::new(io::Cursor::new(bytes.clone())))
    }
}
