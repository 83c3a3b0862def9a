//! Bundles that are OCI archives as well: what their `index.json` is to be, and whether it is.

use std::path::Path;

use bundle_format::{BlobKey, Record, VolumeReader};

use crate::ecosystem::{ArchiveIndex, registry};
use crate::problem::{Kind, Problem};

/// The index for records that travel together and whole; `None` if they are not all of one ecosystem that has such.
///
/// # Errors
/// The first that is none.
pub(super) fn of(records: impl Iterator<Item = Result<Record, Problem>>) -> Result<Option<Vec<u8>>, Problem> {
    let Some(mut index) = begin() else { return Ok(None) };
    for record in records {
        index.take(&record?);
    }
    Ok(index.finish())
}

/// Of the ecosystems of a build there is one at most whose artifacts such archives hold.
fn begin() -> Option<Box<dyn ArchiveIndex>> {
    registry::ECOSYSTEMS.iter().find_map(|ecosystem| ecosystem.archive_index())
}

/// Holds the index of a volume against its records.
pub(super) struct Check {
    index: Box<dyn ArchiveIndex>,
    carried: BlobKey,
    is_whole: bool,
}

impl Check {
    /// `None` if the volume is no OCI archive, or this build does not know what those hold: then the index is nothing to
    /// it but bytes that were signed.
    pub(super) fn of<R: std::io::Read>(volume: &VolumeReader<R>) -> Option<Check> {
        Some(Check { carried: volume.index()?, index: begin()?, is_whole: true })
    }

    /// Takes in a record of the volume.
    pub(super) fn take<R: std::io::Read>(&mut self, record: &Record, volume: &VolumeReader<R>) {
        if let Record::Artifact(artifact) = record {
            self.is_whole &= artifact.files.iter().all(|file| volume.carries(&file.blob));
        }
        self.index.take(record);
    }

    /// # Errors
    /// Untrusted, if the index is another one than follows from the records, or lists what is not carried: other programs
    /// would find something else in the bundle than those who import it.
    pub(super) fn finish(self, path: &Path) -> Result<(), Problem> {
        let message = if !self.is_whole {
            "the bundle has an index.json and does not carry all that its records name"
        } else if self.index.finish().is_none_or(|index| BlobKey::of(&index) != self.carried) {
            "the bundle's index.json is not the one that follows from its records"
        } else {
            return Ok(());
        };
        Err(Problem::new(Kind::Untrusted, "bundle.index", message)
            .at(path.display())
            .hint("whoever made it wrote it with another program, or meant to show two things; nothing of it was used"))
    }
}

#[cfg(all(test, feature = "oci"))]
mod tests {
    use std::collections::BTreeMap;
    use std::io::Cursor;

    use bundle_format::{
        Artifact, Documents, File, Format, Mode, PayloadType, Ref, SegmentRef, SegmentWriter, SignatureLine,
        Signer, Snapshot, Untrusted, Verifier, VolumePlan, write_volume,
    };

    use super::*;
    use crate::cancel::Cancel;
    use crate::events::Silent;
    use crate::fsx;
    use crate::ops::verify;

    /// Signs and believes everything.
    struct Anyone;

    impl Signer for Anyone {
        fn key_id(&self) -> &str {
            "anyone"
        }

        fn sign(&self, _: &[u8]) -> Result<Vec<u8>, String> {
            Ok(vec![1])
        }
    }

    impl Verifier for Anyone {
        fn verify(&self, _: PayloadType, _: &[u8], _: &[SignatureLine]) -> Result<Vec<String>, Untrusted> {
            Ok(vec!["anyone".to_owned()])
        }

        fn authorise(&self, _: PayloadType, _: &Snapshot, _: &[String]) -> Result<(), Untrusted> {
            Ok(())
        }
    }

    const MANIFEST: &[u8] = b"a manifest";

    /// An image with a tag, as its records.
    fn records() -> Vec<Record> {
        let version = BlobKey::of(MANIFEST).to_string();
        let file = File {
            role: "manifest".to_owned(),
            path: format!("app/manifests/{version}"),
            blob: BlobKey::of(MANIFEST),
            size: MANIFEST.len() as u64,
            media_type: "application/vnd.oci.image.manifest.v1+json".to_owned(),
            checksums: Vec::new(),
            origin: String::new(),
        };
        let image = Artifact {
            ecosystem: "oci".to_owned(),
            repository: "registry.example.test".to_owned(),
            name: "app".to_owned(),
            version: version.clone(),
            qualifier: String::new(),
            schema: "oci/1".to_owned(),
            attributes: BTreeMap::new(),
            files: vec![file],
            requires: Vec::new(),
        };
        let tag = Ref {
            ecosystem: "oci".to_owned(),
            repository: "registry.example.test".to_owned(),
            name: "app".to_owned(),
            label: "1".to_owned(),
            version,
        };
        vec![Record::Artifact(image), Record::Ref(tag)]
    }

    fn index_of(records: Vec<Record>) -> Option<String> {
        of(records.into_iter().map(Ok)).unwrap().map(|index| String::from_utf8(index).unwrap())
    }

    /// What verifying says to a volume of these records with that index, which carries the manifest or does not.
    fn verdict(index: &str, carries: bool) -> String {
        let mut segment = Vec::new();
        let mut writer = SegmentWriter::new(|_: &SegmentRef, bytes: &[u8]| {
            segment = bytes.to_vec();
            Ok(())
        });
        records().iter().for_each(|record| writer.push(record).unwrap());
        let segments = writer.finish().unwrap();
        let snapshot = Snapshot {
            format: Format::current(),
            channel: "prod".to_owned(),
            epoch: 1,
            sequence: 1,
            previous: None,
            created: "2026-11-21T09:00:00Z".to_owned(),
            expires: None,
            mode: Mode::Add,
            sites: Vec::new(),
            labels: BTreeMap::new(),
            segments,
            ext: BTreeMap::new(),
        };
        let blobs = carries.then(|| (BlobKey::of(MANIFEST), MANIFEST.len() as u64));
        let plan = VolumePlan::new(&snapshot.segments, blobs).unwrap().with_index(index.into()).unwrap();
        let documents = Documents::sign(&snapshot, &plan, &[&Anyone]).unwrap();
        let mut volume = Vec::new();
        let open = &mut |key: &BlobKey| {
            let bytes = if *key == BlobKey::of(MANIFEST) { MANIFEST } else { &segment };
            Ok(Box::new(Cursor::new(bytes.to_vec())) as Box<dyn std::io::Read>)
        };
        write_volume(&mut volume, &documents, &plan, open).unwrap();
        let home = fsx::test_directory();
        let path = home.path().join("volume");
        fsx::replace_file(&path, &volume).unwrap();
        match verify::verify_one(&path, &Anyone, &|_, _| true, &Silent, &Cancel::default()) {
            Ok(_) => "ok".to_owned(),
            Err(problem) => problem.code.to_string(),
        }
    }

    #[test]
    fn an_index_must_be_the_one_that_follows() {
        let index = index_of(records()).unwrap();
        assert!(
            index.contains(r#""org.opencontainers.image.ref.name":"registry.example.test/app:1""#),
            "{index}"
        );
        assert_eq!(verdict(&index, true), "ok");
        assert_eq!(verdict(&index.replace("app:1", "app:2"), true), "bundle.index");
        assert_eq!(verdict(&index, false), "bundle.index", "it is not whole, whatever the site holds");
    }

    #[test]
    fn what_is_not_images_alone_has_none() {
        assert_eq!(index_of(Vec::new()), None);
        let mut mixed = records();
        mixed.push(crate::ops::testing::artifact("left-pad", "1", &[]));
        assert_eq!(index_of(mixed), None);
        let mut newer = records();
        let Record::Artifact(image) = &mut newer[0] else { panic!() };
        image.schema = "oci/2".to_owned();
        assert_eq!(index_of(newer), None);
    }
}
