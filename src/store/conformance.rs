//! What every implementation of [`Blobs`] must do.

use std::io::Read;

use bundle_format::{
    Algorithm, BlobKey, Digest, PayloadType, SignatureLine, Snapshot, Untrusted, Verifier, VolumeReader,
};

use super::{Blobs, Expected, Staged, StoreError};

/// Runs the whole suite on a store that is empty.
pub(super) fn all(blobs: &dyn Blobs) {
    what_is_settled_is_held(blobs);
    what_is_staged_is_not(blobs);
    everything_said_is_checked(blobs);
    a_proof_stands_for_the_hash(blobs);
    a_named_session_is_resumed(blobs);
    a_restart_begins_again(blobs);
    a_group_is_settled_at_once(blobs);
    a_blob_is_settled_twice(blobs);
    all_are_listed_in_order(blobs);
    what_is_removed_is_gone(blobs);
    what_is_damaged_is_healed(blobs);
    misuse_is_refused(blobs);
}

/// Settles these bytes.
pub(super) fn put(blobs: &dyn Blobs, bytes: &[u8]) -> BlobKey {
    let staged = stage(blobs, bytes);
    let key = staged.key();
    blobs.settle(vec![staged]).unwrap();
    key
}

/// Stages these bytes.
pub(super) fn stage(blobs: &dyn Blobs, bytes: &[u8]) -> Box<dyn Staged> {
    let mut write = blobs.begin(&[], true).unwrap();
    write.write(bytes).unwrap();
    write.stage(&Expected::default()).unwrap()
}

fn read(blobs: &dyn Blobs, key: &BlobKey) -> Option<Vec<u8>> {
    let mut blob = blobs.open(key).unwrap()?;
    let mut bytes = Vec::new();
    blob.file.read_to_end(&mut bytes).unwrap();
    assert_eq!(blob.length, bytes.len() as u64);
    Some(bytes)
}

fn what_is_settled_is_held(blobs: &dyn Blobs) {
    for bytes in [b"".as_slice(), b"one", &[7; 300_000]] {
        let key = put(blobs, bytes);
        assert_eq!(key, BlobKey::of(bytes));
        assert_eq!(blobs.size(&key).unwrap(), Some(bytes.len() as u64));
        assert_eq!(read(blobs, &key).unwrap(), bytes);
    }
    let unknown = BlobKey::of(b"never written");
    assert_eq!(blobs.size(&unknown).unwrap(), None);
    assert!(blobs.open(&unknown).unwrap().is_none());
}

fn what_is_staged_is_not(blobs: &dyn Blobs) {
    let staged = stage(blobs, b"staged only");
    assert_eq!((staged.key(), staged.size()), (BlobKey::of(b"staged only"), 11));
    assert_eq!(blobs.size(&staged.key()).unwrap(), None);
}

fn everything_said_is_checked(blobs: &dyn Blobs) {
    let bytes = b"checked";
    let sha1: Digest = "sha1:56df93e5dd36e7676b6b9c4c82e22d8c47ac9b9c".parse().unwrap();
    let sha512 = {
        use sha2::Digest as _;
        Digest::new(Algorithm::Sha512, &sha2::Sha512::digest(bytes)).unwrap()
    };
    let good = Expected {
        key: Some(BlobKey::of(bytes)),
        size: Some(7),
        checksums: vec![sha512.clone(), BlobKey::of(bytes).into()],
    };
    let stage = |expected: &Expected| {
        let algorithms = [Algorithm::Sha1, Algorithm::Sha256, Algorithm::Sha384, Algorithm::Sha512];
        let mut write = blobs.begin(&algorithms, true).unwrap();
        write.write(&bytes[..3]).unwrap();
        write.write(&bytes[3..]).unwrap();
        write.stage(expected).map(|staged| staged.key())
    };
    assert_eq!(stage(&good).unwrap(), BlobKey::of(bytes));
    assert!(matches!(
        stage(&Expected { size: Some(8), ..good.clone() }),
        Err(StoreError::Size { expected: 8, found: 7 })
    ));
    let other = Some(BlobKey::of(b"other"));
    assert!(matches!(stage(&Expected { key: other, ..good.clone() }), Err(StoreError::Mismatch { .. })));
    for wrong in [sha1, Digest::new(Algorithm::Sha384, &[0; 48]).unwrap(), BlobKey::of(b"other").into()] {
        let expected = Expected { checksums: vec![sha512.clone(), wrong], ..good.clone() };
        assert!(matches!(stage(&expected), Err(StoreError::Mismatch { .. })));
    }
    let md5 = Digest::new(Algorithm::Md5, &[0; 16]).unwrap();
    let expected = Expected { checksums: vec![md5], ..good };
    assert!(matches!(stage(&expected), Err(StoreError::Unsupported(Algorithm::Md5))));
}

/// Believes every signature: what is proven here is bytes.
struct Anybody;

impl Verifier for Anybody {
    fn verify(&self, _: PayloadType, _: &[u8], lines: &[SignatureLine]) -> Result<Vec<String>, Untrusted> {
        Ok(lines.iter().map(|line| line.key_id.clone()).collect())
    }

    fn authorise(&self, _: PayloadType, _: &Snapshot, _: &[String]) -> Result<(), Untrusted> {
        Ok(())
    }
}

fn a_proof_stands_for_the_hash(blobs: &dyn Blobs) {
    let volume = include_bytes!("../../bundle-format/vectors/good/001-plain.aftk.tar");
    let wrong = Digest::new(Algorithm::Sha1, &[0; 20]).unwrap();
    // What follows the bytes, what else is claimed, and whether that is refused.
    let cases = [(b"x".as_slice(), vec![], true), (b"", vec![wrong], true), (b"", vec![], false)];
    let mut group = Vec::new();
    for (more, checksums, refused) in cases {
        let mut reader = VolumeReader::open(volume.as_slice(), &Anybody).unwrap();
        while let Some((key, size)) = reader.next_blob().unwrap() {
            let mut write = blobs.begin(&[Algorithm::Sha1], false).unwrap();
            let proof = reader
                .copy_blob(&mut |part| {
                    write.write(part).map_err(|error| std::io::Error::other(error.to_string()))
                })
                .unwrap();
            write.write(more).unwrap();
            match write.stage_verified(proof, &checksums) {
                Ok(staged) => {
                    assert_eq!((staged.key(), staged.size(), refused), (key, size, false));
                    group.push(staged);
                }
                Err(error) => assert!(refused, "{error}"),
            }
        }
    }
    let keys: Vec<_> = group.iter().map(|staged| staged.key()).collect();
    assert!(!keys.is_empty());
    blobs.settle(group).unwrap();
    for key in keys {
        assert_eq!(BlobKey::of(&read(blobs, &key).unwrap()), key);
    }
}

fn a_named_session_is_resumed(blobs: &dyn Blobs) {
    let name = "5e".repeat(32);
    let mut write = blobs.resume(&name, &[]).unwrap();
    assert_eq!(write.length(), 0);
    write.write(b"first ").unwrap();
    assert!(matches!(blobs.resume(&name, &[]), Err(StoreError::Busy(_))));
    write.suspend();

    let mut write = blobs.resume(&name, &[Algorithm::Sha512]).unwrap();
    assert_eq!(write.length(), 6);
    write.write(b"second").unwrap();
    let expected = Expected { key: Some(BlobKey::of(b"first second")), ..Expected::default() };
    let staged = write.stage(&expected).unwrap();
    blobs.settle(vec![staged]).unwrap();
    // Once they are settled, the name is free again.
    assert_eq!(blobs.resume(&name, &[]).unwrap().length(), 0);
    assert_eq!(read(blobs, &BlobKey::of(b"first second")).unwrap(), b"first second");

    // What turned out wrong is not resumed.
    let mut write = blobs.resume(&name, &[]).unwrap();
    write.write(b"wrong").unwrap();
    assert!(write.stage(&expected).is_err());
    assert_eq!(blobs.resume(&name, &[]).unwrap().length(), 0);
    blobs.empty_trash(0).unwrap();
}

fn a_restart_begins_again(blobs: &dyn Blobs) {
    let mut write = blobs.begin(&[Algorithm::Sha1], true).unwrap();
    write.write(b"from a server that does not resume").unwrap();
    write.restart().unwrap();
    assert_eq!(write.length(), 0);
    write.write(b"again").unwrap();
    let staged = write.stage(&Expected { size: Some(5), ..Expected::default() }).unwrap();
    assert_eq!(staged.key(), BlobKey::of(b"again"));
    blobs.settle(vec![staged]).unwrap();
    assert_eq!(read(blobs, &BlobKey::of(b"again")).unwrap(), b"again");
}

fn a_group_is_settled_at_once(blobs: &dyn Blobs) {
    let texts: Vec<String> = (0..40).map(|number| format!("blob {number}")).collect();
    let group = texts.iter().map(|text| stage(blobs, text.as_bytes())).collect();
    blobs.settle(group).unwrap();
    for text in &texts {
        assert_eq!(read(blobs, &BlobKey::of(text.as_bytes())).unwrap(), text.as_bytes());
    }
    blobs.settle(Vec::new()).unwrap();
}

fn a_blob_is_settled_twice(blobs: &dyn Blobs) {
    let (first, second) = (stage(blobs, b"twice"), stage(blobs, b"twice"));
    let key = first.key();
    blobs.settle(vec![first, second]).unwrap();
    assert_eq!(put(blobs, b"twice"), key);
    assert_eq!(read(blobs, &key).unwrap(), b"twice");
}

fn all_are_listed_in_order(blobs: &dyn Blobs) {
    let mut keys = Vec::new();
    blobs
        .list(&mut |key, size| {
            assert_eq!(blobs.size(&key)?, Some(size));
            keys.push(key);
            Ok(true)
        })
        .unwrap();
    assert!(keys.len() > 40 && keys.is_sorted());
    let mut seen = 0;
    blobs
        .list(&mut |_, _| {
            seen += 1;
            Ok(seen < 3)
        })
        .unwrap();
    assert_eq!(seen, 3);
}

fn what_is_removed_is_gone(blobs: &dyn Blobs) {
    let key = put(blobs, b"to be removed");
    let open = blobs.open(&key).unwrap().unwrap();
    blobs.remove(&key).unwrap();
    blobs.remove(&key).unwrap();
    assert_eq!(blobs.size(&key).unwrap(), None);
    assert_eq!(blobs.empty_trash(3600).unwrap(), 13);
    assert_eq!(blobs.empty_trash(3600).unwrap(), 0);
    // Whoever reads it reads on.
    let mut bytes = Vec::new();
    (&open.file).read_to_end(&mut bytes).unwrap();
    assert_eq!(bytes, b"to be removed");
    assert_eq!(put(blobs, b"to be removed"), key);
}

fn what_is_damaged_is_healed(blobs: &dyn Blobs) {
    let key = put(blobs, b"will be damaged");
    blobs.quarantine(&key).unwrap();
    blobs.quarantine(&key).unwrap();
    assert_eq!(blobs.size(&key).unwrap(), None);
    assert_eq!(put(blobs, b"will be damaged"), key);
    assert!(read(blobs, &key).is_some());
}

fn misuse_is_refused(blobs: &dyn Blobs) {
    for name in ["", "../../etc/passwd", &"AB".repeat(32), &"ab".repeat(31)] {
        assert!(blobs.resume(name, &[]).is_err(), "{name}");
    }
    assert!(blobs.begin(&[Algorithm::Md5], true).is_err());
    let unhashed = blobs.begin(&[], false).unwrap();
    assert!(matches!(unhashed.stage(&Expected::default()), Err(StoreError::Misuse(_))));
    let sha1 = Digest::new(Algorithm::Sha1, &[0; 20]).unwrap();
    let write = blobs.begin(&[], true).unwrap();
    let expected = Expected { checksums: vec![sha1], ..Expected::default() };
    assert!(matches!(write.stage(&expected), Err(StoreError::Misuse(_))));
    let foreign = stage(&super::MemoryBlobs::new(), b"elsewhere");
    assert!(matches!(blobs.settle(vec![foreign]), Err(StoreError::Misuse(_))));
}
