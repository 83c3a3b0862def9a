//! Taking a file of this machine into the store.

use std::fs::{File, Metadata};
use std::io::{Read, Seek};
use std::path::Path;

use bundle_format::{BlobHasher, BlobKey, Digest};

use super::BUFFER;
use super::intake::{Intake, digest_name};
use crate::cancel::Cancel;
use crate::clock;
use crate::events::{Events, Happening};
use crate::problem::{Kind, Problem};
use crate::store::{CachedAnswer, Expected, Store, StoreError};

/// Takes a file into the store: its key, and its size in bytes. One that was taken before is read and hashed again, but
/// not written.
pub(super) fn ingest(
    store: &Store,
    intake: &Intake,
    path: &Path,
    events: &dyn Events,
    cancel: &Cancel,
) -> Result<(BlobKey, u64), Problem> {
    let unreadable = |error: &std::io::Error| {
        Problem::new(Kind::Usage, "input.unreadable", format!("cannot read {}", path.display()))
            .caused_by(error)
    };
    let mut file = File::open(path).map_err(|error| unreadable(&error))?;
    let metadata = file.metadata().map_err(|error| unreadable(&error))?;
    if !metadata.is_file() {
        return Err(Problem::new(
            Kind::Usage,
            "input.not-a-file",
            format!("{} is not a regular file", path.display()),
        ));
    }
    let item = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    events.emit(Happening::Stage { name: "read".into(), items: Some(1), bytes: Some(metadata.len()) });
    let mut buffer = vec![0; BUFFER];
    let mut read = |each: &mut dyn FnMut(&[u8]) -> Result<(), Problem>| {
        file.rewind().map_err(|error| unreadable(&error))?;
        loop {
            cancel.check()?;
            let length = file.read(&mut buffer).map_err(|error| unreadable(&error))?;
            if length == 0 {
                return Ok::<(), Problem>(());
            }
            each(buffer.get(..length).unwrap_or_default())?;
            events.emit(Happening::ItemProgress { bytes: length as u64 });
        }
    };

    let note = likeness(&metadata);
    if let Some(before) = store.catalogue.cached(&note)? {
        // It looks as it did when it was taken: most likely its bytes are held.
        let mut hasher = BlobHasher::default();
        read(&mut |bytes| {
            hasher.update(bytes);
            Ok(())
        })?;
        if hasher.finish() == before.body && intake.hold(&before.body, metadata.len())? {
            events.emit(Happening::ItemDone { item });
            return Ok((before.body, metadata.len()));
        }
    }
    let mut write = store.blobs.begin(&[], true)?;
    read(&mut |bytes| Ok(write.write(bytes)?))?;
    let staged = write.stage(&Expected::default())?;
    let (key, size) = (staged.key(), staged.size());
    intake.take(staged, Some((note, answer(key))))?;
    events.emit(Happening::ItemDone { item });
    Ok((key, size))
}

/// That something was this blob when it was read.
fn answer(body: BlobKey) -> CachedAnswer {
    CachedAnswer {
        body,
        etag: None,
        last_modified: None,
        content_type: String::new(),
        confirmed: clock::now_text(),
    }
}

/// Takes what somebody reads into the store, where it goes by a name in messages: its key, and its size in bytes. It is
/// not told again from what was read before: who knows its key asks [`Intake::hold`] first. A digest of another algorithm is
/// remembered: [`Intake::known_as`].
///
/// # Errors
/// If it cannot be read, or has another digest than the one that is expected.
pub(super) fn take_in(
    store: &Store,
    intake: &Intake,
    (name, mut from, digest): (&str, Box<dyn Read + Send>, Option<Digest>),
    events: &dyn Events,
    cancel: &Cancel,
) -> Result<(BlobKey, u64), Problem> {
    let other = digest.as_ref().filter(|digest| digest.blob_key().is_none());
    let algorithms: Vec<_> = other.map(Digest::algorithm).into_iter().collect();
    let mut write = store.blobs.begin(&algorithms, true)?;
    let mut buffer = vec![0; BUFFER];
    loop {
        cancel.check()?;
        let length = from.read(&mut buffer).map_err(|error| {
            Problem::new(Kind::Usage, "input.unreadable", format!("cannot read {name}")).caused_by(&error)
        })?;
        if length == 0 {
            break;
        }
        write.write(buffer.get(..length).unwrap_or_default())?;
        events.emit(Happening::ItemProgress { bytes: length as u64 });
    }
    let checksums = digest.iter().cloned().collect();
    let staged =
        write.stage(&Expected { checksums, ..Expected::default() }).map_err(|error| match error {
            StoreError::Mismatch { .. } => {
                let message = format!("{name} is not what its name says: it was damaged or changed");
                Problem::new(Kind::Untrusted, "input.mismatch", message).because(error.to_string())
            }
            other => other.into(),
        })?;
    let (key, size) = (staged.key(), staged.size());
    intake.take(staged, other.map(|digest| (digest_name(digest), answer(key))))?;
    events.emit(Happening::ItemDone { item: name.to_owned() });
    Ok((key, size))
}

/// What a file is recognised by without reading it. It proves nothing: the bytes are hashed all the same.
fn likeness(metadata: &Metadata) -> String {
    use std::os::unix::fs::MetadataExt;
    let (device, inode, size) = (metadata.dev(), metadata.ino(), metadata.len());
    format!("local {device} {inode} {size} {}.{:09}", metadata.mtime(), metadata.mtime_nsec())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::events::Silent;
    use crate::fsx;

    #[test]
    fn what_was_taken_is_not_written_again_and_what_changed_is_taken_anew() {
        let home = fsx::test_directory();
        let store = Store::open(home.path()).unwrap();
        let intake = Intake::new(&store).unwrap();
        let path = home.path().join("manual");
        let take = |bytes: &[u8]| {
            fsx::replace_file(&path, bytes).unwrap();
            let mut taken = Vec::new();
            for _ in 0..2 {
                taken.push(ingest(&store, &intake, &path, &Silent, &Cancel::default()).unwrap());
                intake.flush().unwrap();
            }
            assert_eq!(taken, [(BlobKey::of(bytes), bytes.len() as u64); 2]);
        };
        take(b"first");
        take(b"other");
        // Even one that looks as it did is not believed.
        let note = likeness(&path.metadata().unwrap());
        let mut answer = store.catalogue.cached(&note).unwrap().unwrap();
        answer.body = BlobKey::of(b"first");
        store.catalogue.cache(&[(note, answer)]).unwrap();
        let taken = ingest(&store, &intake, &path, &Silent, &Cancel::default()).unwrap();
        assert_eq!(taken.0, BlobKey::of(b"other"));
    }

    #[test]
    fn a_held_file_needs_no_room() {
        let home = fsx::test_directory();
        let store = Store::open(home.path()).unwrap();
        let intake = Intake::new(&store).unwrap();
        let path = home.path().join("manual");
        fsx::replace_file(&path, b"bytes").unwrap();
        ingest(&store, &intake, &path, &Silent, &Cancel::default()).unwrap();
        intake.flush().unwrap();
        let watch = fsx::faults::Watch::new(&store.layout.staging());
        ingest(&store, &intake, &path, &Silent, &Cancel::default()).unwrap();
        assert_eq!(watch.count(), 0, "nothing was staged");
    }
}
