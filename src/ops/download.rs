//! Downloading one file into the store, going on from where an earlier try was cut off.

use bundle_format::{Algorithm, BlobKey};

use super::context::Outside;
use crate::blocking::blocking;
use crate::ecosystem::CollectContext as _;
use crate::events::Happening;
use crate::net::{Access, Sink};
use crate::problem::{Kind, Problem};
use crate::store::{BlobWrite, CachedAnswer, Expected, StoreError};

/// No single file may be larger: 1 TiB. An upstream that never ends is cut off.
const FILE_LIMIT: u64 = 1 << 40;

/// A file to download.
pub(super) struct Download<'a> {
    /// How to reach it.
    pub(super) access: &'a Access,
    /// What a person knows it by.
    pub(super) item: &'a str,
    /// What it goes by while it is staged, and in the cache of answers afterwards.
    pub(super) alias: &'a str,
    /// What is known of it.
    pub(super) expected: Expected,
}

/// Downloads a file; says what is wrong with its bytes, if they are not the expected ones: nothing is kept of them.
///
/// # Errors
/// Those of the network, where what came is kept for the next try, and of the store.
pub(super) async fn download(what: Download<'_>, outside: &Outside) -> Result<Option<StoreError>, Problem> {
    let Download { access, item, alias, expected } = what;
    let events = outside.events();
    events.emit(Happening::ItemStart { item: item.to_owned(), bytes: expected.size });
    let mut algorithms: Vec<Algorithm> = expected.checksums.iter().map(|one| one.algorithm()).collect();
    algorithms.sort();
    algorithms.dedup();
    algorithms.retain(|algorithm| *algorithm != Algorithm::Sha256);
    let staging_name = BlobKey::of(alias.as_bytes()).hex();

    let mut resumed = true;
    loop {
        let (store, name, also) = (outside.store().clone(), staging_name.clone(), algorithms.clone());
        let write = blocking(move || Ok(store.blobs.resume(&name, &also)?)).await?;
        resumed &= write.length() > 0;
        let mut sink = StagingSink { write: Some(write) };
        let progress = |bytes| events.emit(Happening::ItemProgress { bytes });
        let limit = expected.size.unwrap_or(FILE_LIMIT);
        let fetched = outside.client().download(access, expected.size, limit, &mut sink, &progress);
        let result = outside.cancel().race(fetched).await;
        let Some(write) = sink.write.take() else {
            return Err(Problem::new(Kind::Failed, "internal.sink", "a download lost its staging file"));
        };
        if let Err(problem) = result {
            // The staged bytes stay for the next run.
            write.suspend();
            return Err(problem);
        }
        let (check, intake, note) = (expected.clone(), outside.intake().clone(), alias.to_owned());
        let staged = blocking(move || match write.stage(&check) {
            Ok(staged) => {
                let answer = CachedAnswer {
                    body: staged.key(),
                    etag: None,
                    last_modified: None,
                    content_type: String::new(),
                    confirmed: crate::clock::now_text(),
                };
                intake.take(staged, Some((note, answer)))?;
                Ok(Ok(()))
            }
            Err(error @ (StoreError::Mismatch { .. } | StoreError::Size { .. })) => Ok(Err(error)),
            Err(error) => Err(error.into()),
        })
        .await?;
        match staged {
            Ok(()) => {
                events.emit(Happening::ItemDone { item: item.to_owned() });
                return Ok(None);
            }
            // What an earlier run left may be what is wrong: once more, from the start.
            Err(_) if resumed => resumed = false,
            Err(error) => return Ok(Some(error)),
        }
    }
}

/// Writes a download to its staging file.
struct StagingSink {
    write: Option<Box<dyn BlobWrite>>,
}

impl StagingSink {
    fn inner(&mut self) -> Result<&mut Box<dyn BlobWrite>, Problem> {
        self.write
            .as_mut()
            .ok_or_else(|| Problem::new(Kind::Failed, "internal.sink", "a download lost its staging file"))
    }
}

impl Sink for StagingSink {
    fn length(&self) -> u64 {
        self.write.as_ref().map_or(0, |write| write.length())
    }

    fn write(&mut self, bytes: &[u8]) -> Result<(), Problem> {
        Ok(self.inner()?.write(bytes)?)
    }

    fn restart(&mut self) -> Result<(), Problem> {
        Ok(self.inner()?.restart()?)
    }
}
